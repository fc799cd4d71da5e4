/* wire_vectors.h - reads tests/vectors/wire/NAME.hex; tests/vectors/README.md tells the columns. */
#ifndef TRUNKLINE_TESTS_UNIT_WIRE_VECTORS_H
#define TRUNKLINE_TESTS_UNIT_WIRE_VECTORS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/ids.h"

struct vector {
    enum err verdict;
    size_t whole_prefixes;
    char label[64];
    struct buf bytes;
};

static inline uint8_t hex_byte(const char *text) {
    uint8_t byte;
    char digits[3] = {text[0], text[1], 0};
    assert_int_equal(hex_parse(&byte, 1, digits), OK);
    return byte;
}

/* Pairs of digits, and (xx*N) for N times the byte xx; "-" is nothing. */
static inline void parse_bytes(const char *text, struct buf *out) {
    while (*text != '\0' && *text != '-') {
        size_t count = 1;
        char *end;
        bool is_run = *text == '(';
        uint8_t byte = hex_byte(text + is_run);
        if (is_run) {
            assert_int_equal(text[3], '*');
            count = strtoul(text + 4, &end, 10);
            assert_int_equal(*end, ')');
            text = end + 1;
        } else {
            text += 2;
        }
        memset(buf_reserve(out, count), byte, count);
        out->len += count;
    }
}

static inline enum err verdict_of(const char *name) {
    for (int err = OK; err < ERR_COUNT; err++) {
        if (strcmp(err_name((enum err)err), name) == 0) {
            return (enum err)err;
        }
    }
    fail_msg("no verdict is named '%s'", name);
    return OK;
}

static inline void parse_vector(char *line, struct vector *vector) {
    *vector = (struct vector){0};
    char *rest = NULL;
    const char *verdict = strtok_r(line, " \n", &rest);
    const char *prefixes = strtok_r(NULL, " \n", &rest);
    const char *label = strtok_r(NULL, " \n", &rest);
    const char *bytes = strtok_r(NULL, " \n", &rest);
    assert_non_null(bytes);
    vector->verdict = verdict_of(verdict);
    vector->whole_prefixes = strtoul(prefixes, NULL, 10);
    snprintf(vector->label, sizeof vector->label, "%s", label);
    parse_bytes(bytes, &vector->bytes);
}

static inline FILE *vectors_open(const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/vectors/wire/%s.hex", TESTS_DIR, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    return file;
}

/* Read the next vector; the caller frees its bytes. */
static inline bool vectors_next(FILE *file, struct vector *vector) {
    char *line = NULL;
    size_t size = 0;
    bool found = false;
    while (!found && getline(&line, &size, file) > 0) {
        if (line[0] != '#' && line[0] != '\n') {
            parse_vector(line, vector);
            found = true;
        }
    }
    free(line);
    return found;
}

/* The bytes of one vector by its label; the caller frees them. */
static inline struct buf vectors_find(const char *name, const char *label) {
    FILE *file = vectors_open(name);
    struct buf found = {0};
    for (struct vector vector; vectors_next(file, &vector);) {
        if (strcmp(vector.label, label) == 0) {
            found = vector.bytes;
            break;
        }
        buf_free(&vector.bytes);
    }
    fclose(file);
    assert_true(found.len > 0);
    return found;
}

#endif
