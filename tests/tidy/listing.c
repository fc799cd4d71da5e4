/* listing.c - a folder's README.md lists its C files: each of them, and none that is not there. */
#include <dirent.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "tests/tidy/tidy.h"

#define NAMES_MAX 128
#define NAME_BYTES 64

/* The names in the first column of the table: `words` is words.c, words.h or both. */
struct listing {
    char names[NAMES_MAX][NAME_BYTES];
    size_t lines[NAMES_MAX];
    bool met[NAMES_MAX];
    size_t count;
};

static void add_row(struct listing *listing, const char *row, size_t line) {
    const char *end = row + 1 + strcspn(row + 1, "|\n");
    for (const char *at = row; (at = memchr(at, '`', (size_t)(end - at))) != NULL;) {
        size_t len = strcspn(++at, "`\n");
        if (listing->count < NAMES_MAX && len < NAME_BYTES) {
            memcpy(listing->names[listing->count], at, len);
            listing->lines[listing->count++] = line;
        }
        at += len + 1;
        if (at >= end) {
            return;
        }
    }
}

static void read_rows(struct listing *listing, const char *text) {
    size_t line = 1;
    for (const char *row = text; *row != '\0'; line++) {
        if (*row == '|') {
            add_row(listing, row, line);
        }
        row += strcspn(row, "\n");
        row += *row == '\n';
    }
}

/* The name of a C file without its ending; false for other files. */
static bool stem_of(const char *name, char stem[NAME_BYTES]) {
    size_t len = strlen(name);
    bool is_c = len > 2 && len < NAME_BYTES &&
                (strcmp(name + len - 2, ".c") == 0 || strcmp(name + len - 2, ".h") == 0);
    snprintf(stem, NAME_BYTES, "%.*s", is_c ? (int)len - 2 : 0, name);
    return is_c;
}

static bool is_listed(struct listing *listing, const char *name) {
    char stem[NAME_BYTES], listed[NAME_BYTES];
    bool found = false;
    if (!stem_of(name, stem)) {
        return true;
    }
    for (size_t i = 0; i < listing->count; i++) {
        const char *wanted =
            stem_of(listing->names[i], listed) ? listed : (const char *)listing->names[i];
        if (fnmatch(wanted, stem, 0) == 0) {
            listing->met[i] = found = true;
        }
    }
    return found;
}

void listing_check(const struct source *source, struct faults *faults) {
    struct listing listing = {0};
    char folder[4096];
    struct dirent **entries;
    snprintf(folder, sizeof folder, "%s/%.*s", source->root,
             (int)(strlen(source->path) - strlen("README.md")), source->path);
    read_rows(&listing, source->text);
    int count = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        if (!is_listed(&listing, entries[i]->d_name)) {
            fault_add(faults, "%s:1: listing: `%s` is missing", source->path, entries[i]->d_name);
        }
        free(entries[i]);
    }
    if (count >= 0) {
        free(entries);
    }
    for (size_t i = 0; i < listing.count; i++) {
        if (!listing.met[i]) {
            fault_add(faults, "%s:%zu: listing: there is no `%s`", source->path, listing.lines[i],
                      listing.names[i]);
        }
    }
}
