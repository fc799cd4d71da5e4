/* symbols.c - what the pure libraries ask of the outside, held against an allow-list. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/map.h"
#include "common/mem.h"
#include "tests/tidy/tidy.h"

#define SYMBOL_BYTES 128 /* map keys have a fixed length; a longer name is cut */

/* A set of names: every key has itself as value. */
static void add_name(struct map *names, const char *name) {
    char key[SYMBOL_BYTES] = "";
    snprintf(key, sizeof key, "%s", name);
    map_put(names, key, names);
}

static bool has_name(const struct map *names, const char *name) {
    char key[SYMBOL_BYTES] = "";
    snprintf(key, sizeof key, "%s", name);
    return map_get(names, key) != NULL;
}

/* The compiler turns memcpy into __memcpy_chk where it knows the size: the same function. */
static void plain_name(char plain[SYMBOL_BYTES], const char *name) {
    static const char suffix[] = "_chk";
    size_t len = strlen(name), tail = sizeof suffix - 1;
    bool checked =
        len > tail + 2 && strncmp(name, "__", 2) == 0 && strcmp(name + len - tail, suffix) == 0;
    snprintf(plain, SYMBOL_BYTES, "%.*s", checked ? (int)(len - tail - 2) : (int)len,
             checked ? name + 2 : name);
}

/* Walk the lines of `nm ARGS LIBRARY`; the name is the last word. Return false when nm fails. */
static bool for_each_symbol(const char *args, const char *library,
                            void (*each)(void *context, const char *name), void *context) {
    char command[4096], line[4096];
    snprintf(command, sizeof command, "nm %s '%s' 2>/dev/null", args, library);
    FILE *nm = popen(command, "r");
    while (nm != NULL && fgets(line, sizeof line, nm) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        const char *space = strrchr(line, ' ');
        if (space != NULL && line[strlen(line) - 1] != ':') {
            each(context, space + 1);
        }
    }
    return nm != NULL && pclose(nm) == 0;
}

static void note_defined(void *context, const char *name) {
    add_name(context, name);
}

struct hunt {
    const struct map *allowed;
    const char *library;
    struct map seen; /* each fault is told once per library */
    struct faults *faults;
};

static void judge(void *context, const char *name) {
    struct hunt *hunt = context;
    char plain[SYMBOL_BYTES];
    plain_name(plain, name);
    if (has_name(hunt->allowed, name) || has_name(hunt->allowed, plain) ||
        has_name(&hunt->seen, plain)) {
        return;
    }
    add_name(&hunt->seen, plain);
    fault_add(hunt->faults, "%s:1: symbol: %s", hunt->library, plain);
}

static void check_library(const char *allow_list, const char *common, const char *library,
                          struct faults *faults) {
    struct map allowed;
    map_init(&allowed, SYMBOL_BYTES, 1);
    char *list = read_text(allow_list);
    char *rest = list;
    for (char *line; list != NULL && (line = strsep(&rest, "\n")) != NULL;) {
        if (line[0] != '#' && line[0] != '\0') {
            line[strcspn(line, " \t")] = '\0';
            add_name(&allowed, line);
        }
    }
    mem_free(list);
    struct hunt hunt = {.allowed = &allowed, .library = library, .faults = faults};
    const char *slash = strrchr(library, '/');
    hunt.library = slash == NULL ? library : slash + 1;
    map_init(&hunt.seen, SYMBOL_BYTES, 1);
    if (!for_each_symbol("--defined-only", common, note_defined, &allowed) ||
        !for_each_symbol("--defined-only", library, note_defined, &allowed) ||
        !for_each_symbol("-u", library, judge, &hunt)) {
        fault_add(faults, "%s:1: symbol: nm could not read it", hunt.library);
    }
    map_free(&hunt.seen);
    map_free(&allowed);
}

void symbols_check(const char *allow_list, const char *const *libraries, size_t count,
                   struct faults *faults) {
    for (size_t i = 0; i < count; i++) {
        check_library(allow_list, libraries[0], libraries[i], faults);
    }
}
