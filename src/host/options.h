/* options.h - command line options and lines of a configuration file from one table of rows.
 *
 * A value given on the command line wins over the file: `given` has one bit per row, in the order
 * of the table (at most 64 rows). Values are written into a caller's struct at each row's offset;
 * texts from the command line are borrowed, those from a file live as long as the options. */
#ifndef TRUNKLINE_HOST_OPTIONS_H
#define TRUNKLINE_HOST_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "src/host/host.h"

#define OPTION_VALUES_MAX 64 /* values of one option that may be repeated; words of a command */
#define OPTION_ROWS_MAX 64   /* bits of `given` */

enum option_type {
    OPTION_FLAG,    /* bool; in a file: yes or no */
    OPTION_TEXT,    /* const char * */
    OPTION_LIST,    /* struct option_list; may be repeated */
    OPTION_NUMBER,  /* uint64_t */
    OPTION_MILLI,   /* uint64_t: thousandths, written 0.5 */
    OPTION_BYTES,   /* uint64_t, written 8M */
    OPTION_ADDRESS, /* struct address; port 0 means any */
    OPTION_CHOICE,  /* uint64_t: the place of the word in `argument` */
    OPTION_TYPES
};

struct option_list {
    uint32_t count;
    const char *values[OPTION_VALUES_MAX];
};

struct option_row {
    const char *name;
    char letter; /* 0 = none */
    enum option_type type;
    const char *argument; /* for the help; OPTION_CHOICE: the words, "certified|open" */
    const char *help;
    size_t offset; /* of the value in the caller's struct */
    uint64_t min;  /* OPTION_NUMBER, OPTION_MILLI, OPTION_BYTES */
    uint64_t max;  /* the same; 0 = no bound */
    bool in_file;  /* may stand in a configuration file */
    /* OPTION_LIST: says what is wrong with one of its values; NULL = nothing can be. */
    enum err (*check)(const char *text, struct host_error *error);
};

struct options {
    const struct option_row *rows;
    uint32_t row_count;
    uint64_t accepted; /* rows that the command takes */
    uint64_t given;    /* rows set on the command line */
    uint64_t filed;    /* rows set by the file */
    void *values;
    bool dash_words; /* a dash with anything but an accepted letter is a word */
    struct option_list words;
    char **owned;
    uint32_t owned_count;
};

/* Read the arguments that follow the command's name; others than options become words, all after
 * `--` too. Return ERR_CONFIG with a text that names the remedy. */
MUST_CHECK enum err options_parse(struct options *options, int argc, char *const *argv,
                                  struct host_error *error);

/* Set one `key = value` of a file, unless the command line did. ERR_CONFIG for unknown keys, keys
 * given twice, and bad values; the text does not name file and line. */
MUST_CHECK enum err options_set_from_file(struct options *options, const char *key,
                                          const char *value, struct host_error *error);

/* Print one aligned line per accepted row. */
void options_help(const struct options *options, FILE *file);

/* The nearest of `count` names (may hold NULLs) that is close enough to be what was meant, or NULL.
 * Levenshtein distance, at most a third of the length. */
const char *options_nearest(const char *name, const char *const *names, uint32_t count);

/* The name of the chosen word of an OPTION_CHOICE row, into `word`. */
void options_choice_name(const struct option_row *row, uint64_t choice, char word[32]);

void options_free(struct options *options);

#endif
