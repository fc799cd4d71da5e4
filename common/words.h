/* words.h - keyword normalisation, the same for names and for queries, on every node. */
#ifndef TRUNKLINE_COMMON_WORDS_H
#define TRUNKLINE_COMMON_WORDS_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/limits.h"

struct word {
    uint8_t len;
    char text[WORD_BYTES_MAX]; /* not terminated */
};

/* Distinct words in order of appearance. */
struct words {
    uint32_t count;
    struct word words[NAME_WORDS_MAX];
};

/* Split UTF-8 text into words: Unicode NFKC with case folding, marks stripped (utf8proc), runs of
 * letters and digits (UAX 44 general categories L and N); a word longer than WORD_BYTES_MAX bytes
 * is cut at a character. Words beyond `max` (at most NAME_WORDS_MAX) are left out. Return
 * ERR_FORMAT for invalid UTF-8, with no words. */
MUST_CHECK enum err words_split(struct slice text, uint32_t max, struct words *words);

/* True when every word of `wanted` is among `present`. */
bool words_contain(const struct words *present, const struct words *wanted);

/* True for UTF-8 without NUL and control characters (C0, DEL, C1). */
bool words_text_ok(struct slice text);

#endif
