/* words.h - keyword normalisation, the same for names and for queries, on every node. */
#ifndef TRUNKLINE_COMMON_WORDS_H
#define TRUNKLINE_COMMON_WORDS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/limits.h"

/* Begins with eight bytes that compare at once: what a short word leaves of them is zero. */
struct word {
    uint8_t len;
    char text[WORD_BYTES_MAX]; /* not terminated */
};

/* Distinct words in order of appearance. */
struct words {
    uint32_t count;
    struct word words[NAME_WORDS_MAX];
};

/* Called with each word of a text in turn; false = no more. */
typedef bool word_fn(void *context, const struct word *word);

/* Read the words of a UTF-8 text in order, repeated ones again: Unicode NFKC with case folding,
 * marks stripped (utf8proc), runs of letters and digits (UAX 44 general categories L and N), where
 * a run of Han, Kana and Hangul is a run of its own and becomes its overlapping pairs of
 * characters, since these scripts do not part words (as Lucene's CJKBigramFilter); a single one is
 * a word by itself. A word longer than WORD_BYTES_MAX bytes is cut at a character. Return
 * ERR_FORMAT for invalid UTF-8, with no words. */
MUST_CHECK enum err words_each(struct slice text, word_fn *take, void *context);

/* As words_each, distinct ones in *words; words beyond `max` (at most NAME_WORDS_MAX) are left
 * out. */
MUST_CHECK enum err words_split(struct slice text, uint32_t max, struct words *words);

/* As words_split, but keep what is in *words already. */
MUST_CHECK enum err words_collect(struct slice text, uint32_t max, struct words *words);

/* True for one character of a script that is cut into pairs: it may stand inside a pair. */
bool word_is_piece(const struct word *word);

/* Eight bytes as a number, the first one lowest. */
static inline uint64_t word_bytes(const char *text) {
    uint64_t bytes;
    memcpy(&bytes, text, sizeof bytes);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    bytes = __builtin_bswap64(bytes);
#endif
    return bytes;
}

/* A word's length and its first seven bytes: nearly always enough to tell two apart, and at once.
 */
static inline uint64_t word_start(const struct word *word) {
    return word_bytes((const char *)word);
}

/* Words are short and compared often: a call, or a loop by bytes, would cost more than these. */
static inline bool word_equal(const struct word *a, const struct word *b) {
    if (word_start(a) != word_start(b)) {
        return false;
    }
    if (a->len <= 7) {
        return true;
    }
    for (uint32_t at = 7; at + 8 < a->len; at += 8) {
        if (word_bytes(a->text + at) != word_bytes(b->text + at)) {
            return false;
        }
    }
    uint32_t rest = a->len - 8U; /* from here on, what was compared before or not */
    return word_bytes(a->text + rest) == word_bytes(b->text + rest);
}

/* Where a word stands among the words; their count when it does not. */
uint32_t words_find(const struct words *words, const struct word *word);

/* Add a word unless it is there; return where it stands, or `max` when there is no room. */
uint32_t words_add(struct words *words, uint32_t max, const struct word *word);

/* True when every word of `wanted` is among `present`. */
bool words_contain(const struct words *present, const struct words *wanted);

/* How many bytes at the start are UTF-8 without NUL and control characters (C0, DEL, C1), whole
 * characters. */
size_t words_text_span(struct slice text);

/* True when that is all of it. */
bool words_text_ok(struct slice text);

#endif
