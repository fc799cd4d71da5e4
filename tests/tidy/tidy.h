/* tidy.h - the rules of this tree that a compiler does not know, as one checker. */
#ifndef TRUNKLINE_TESTS_TIDY_TIDY_H
#define TRUNKLINE_TESTS_TIDY_TIDY_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"

#define FUNCTION_LINES_MAX 60 /* from the opening to the closing brace: one screen */
#define FILE_LINES_MAX 800
#define PARAMETERS_MAX 5

/* What was found, a line `path:number: rule: detail` each. */
struct faults {
    struct buf text;
    size_t count;
};

void fault_add(struct faults *faults, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* One text file, its path from the root of the tree. */
struct source {
    const char *root;
    const char *path;
    char *text;  /* as it is, NUL-terminated */
    char *prose; /* the same length, literals blanked; C files only */
    char *code;  /* the same length: comments, literals and directives blanked; C files only */
};

/* Blank everything that is not code, keeping every newline where it is. */
char *scan_code(const char *text);

/* Blank only what stands in quotes: data, not words of ours. */
char *scan_prose(const char *text);

/* The line (from 1) of a position. */
size_t scan_line(const char *text, const char *at);

/* Functions that are too long or take too many parameters. */
void scan_functions(const struct source *source, struct faults *faults);

/* Hold a folder's README.md against the C files in that folder. */
void listing_check(const struct source *source, struct faults *faults);

/* Check one file by every rule that applies to it. */
void rules_check(const struct source *source, struct faults *faults);

/* Check every file of a tree; `skip` is one more folder not to enter, or NULL. Return how many
 * files there were. */
size_t tree_check(const char *root, const char *skip, struct faults *faults);

/* Check the undefined symbols of static libraries: each must be in the allow-list, or defined in
 * that library or in the first one, which all may use. */
void symbols_check(const char *allow_list, const char *const *libraries, size_t count,
                   struct faults *faults);

/* Read a whole file, NUL-terminated; NULL when it cannot be read. Free with mem_free. */
char *read_text(const char *path);

#endif
