/* nodeconfig.c - a program's configuration file: the long options as `name = value` lines. */
#include "src/host/nodeconfig.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>

#include "src/host/failure.h"
#include "src/host/textfile.h"

/* inih reports only the number of the first bad line; we count lines to know the text for it. */
struct reading {
    FILE *file;
    const char *section;
    struct options *options;
    int line;
    int failed_line; /* 0 = none so far */
    struct host_error failure;
};

static void note(struct reading *reading, const char *text, const char *remedy) {
    if (reading->failed_line == 0) {
        reading->failed_line = reading->line;
        (void)fail(&reading->failure, ERR_CONFIG, "%s%s%s", text, remedy != NULL ? "; " : "",
                   remedy != NULL ? remedy : "");
    }
}

static char *read_line(char *text, int size, void *stream) {
    struct reading *reading = stream;
    char *got = fgets(text, size, reading->file);
    if (got == NULL) {
        return NULL;
    }
    reading->line++;
    const char *remedy = NULL;
    const char *problem = ini_line_problem(got, size, &remedy);
    if (problem != NULL) {
        note(reading, problem, remedy);
    }
    return got;
}

static int take(void *user, const char *section, const char *name, const char *value) {
    struct reading *reading = user;
    struct host_error error = {0};
    if (strcmp(section, reading->section) != 0) {
        (void)fail(&error, ERR_CONFIG, "%s `%.60s`; options go below [%s]",
                   section[0] == '\0' ? "no section before" : "unknown section",
                   section[0] == '\0' ? name : section, reading->section);
    } else if (options_set_from_file(reading->options, name, value, &error) == OK) {
        return 1;
    }
    note(reading, error.text, NULL);
    return 0;
}

enum err nodeconfig_load(const char *path, const char *section, struct options *options,
                         struct host_error *error) {
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return fail_errno(error, path, "cannot be opened");
    }
    struct reading reading = {.file = file, .section = section, .options = options};
    int first = ini_parse_stream(read_line, &reading, take, &reading);
    bool unread = ferror(file) != 0;
    fclose(file);
    if (unread) {
        return fail_errno(error, path, "cannot be read");
    }
    if (first > 0 && (reading.failed_line == 0 || first < reading.failed_line)) {
        return fail(error, ERR_CONFIG, "%.200s:%d: not a line of the form `name = value`", path,
                    first);
    }
    if (reading.failed_line > 0) {
        return fail(error, ERR_CONFIG, "%.200s:%d: %.280s", path, reading.failed_line,
                    reading.failure.text);
    }
    return OK;
}
