/* names.c - what the files of a test network are called: names from a list, or of this machine. */
#include "src/cluster/names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "src/cluster/deal.h"

#define NAMES_MAX 100000 /* lines that are read */
#define STEM_BYTES 150

static void add_name(struct names *names, const char *name) {
    if (names->count == names->room) {
        names->room = names->room == 0 ? 256 : 2 * names->room;
        names->list = mem_resize(names->list, names->room, sizeof *names->list);
    }
    names->list[names->count++] = mem_string(name);
}

void names_free(struct names *names) {
    for (uint32_t i = 0; i < names->count; i++) {
        mem_free(names->list[i]);
    }
    mem_free(names->list);
    *names = (struct names){0};
}

/* The last component of each line; what no file can be called is left out. */
static bool read_names(struct names *names, const char *path) {
    FILE *file = fopen(path, "re");
    char line[4096];
    while (file != NULL && names->count < NAMES_MAX && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        const char *slash = strrchr(line, '/');
        const char *name = slash == NULL ? line : slash + 1;
        if (name[0] != '\0' && name[0] != '.') {
            add_name(names, name);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return file != NULL;
}

/* What files of this machine are called. */
static void deal_names(struct names *names, uint32_t wanted) {
    static const char *const roots[] = {"/usr/share/doc", "/usr/share", ".", NULL};
    struct deal deal;
    deal_choose(&deal, roots, wanted);
    for (uint32_t i = 0; i < deal.count; i++) {
        add_name(names, deal.files[i].name);
    }
    deal_free(&deal);
}

enum err names_load(struct names *names, const char *path, uint32_t wanted,
                    char trouble[SPEC_TROUBLE_BYTES]) {
    *names = (struct names){0};
    if (path == NULL) {
        deal_names(names, wanted);
    } else if (!read_names(names, path)) {
        snprintf(trouble, SPEC_TROUBLE_BYTES, "%.200s: %s", path, strerror(errno));
        return ERR_NOT_FOUND;
    }
    if (names->count == 0) {
        snprintf(trouble, SPEC_TROUBLE_BYTES,
                 "there are no names to use; give a file with some as `names` in [library]");
        return ERR_NOT_FOUND;
    }
    return OK;
}

void names_with_word(const struct names *names, uint32_t n, const char *word, char *name,
                     size_t bytes) {
    const char *plain = names->list[n % names->count];
    const char *dot = strrchr(plain, '.');
    size_t len = strlen(plain);
    size_t stem = dot != NULL && dot != plain && len - (size_t)(dot - plain) <= 6
                      ? (size_t)(dot - plain)
                      : len;
    snprintf(name, bytes, "%.*s %s%.8s", (int)(stem < STEM_BYTES ? stem : STEM_BYTES), plain, word,
             plain + stem);
}
