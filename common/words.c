/* words.c - cuts names and queries into the words that the index knows (utf8proc). */
#include "common/words.h"

#include <string.h>
#include <utf8proc.h>

#include "common/mem.h"

#define POINTS_INLINE 512 /* code points: enough for nearly every name without the heap */

/* NFKC with case folding, invisible characters dropped, marks stripped. */
static const utf8proc_option_t normal_form = UTF8PROC_STABLE | UTF8PROC_COMPAT | UTF8PROC_COMPOSE |
                                             UTF8PROC_CASEFOLD | UTF8PROC_IGNORE |
                                             UTF8PROC_STRIPMARK;

static bool is_word_point(utf8proc_int32_t point) {
    utf8proc_category_t category = utf8proc_category(point);
    return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) ||
           (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO);
}

static bool has_word(const struct words *words, const struct word *word) {
    for (uint32_t i = 0; i < words->count; i++) {
        if (words->words[i].len == word->len &&
            memcmp(words->words[i].text, word->text, word->len) == 0) {
            return true;
        }
    }
    return false;
}

static void add_word(struct words *words, uint32_t max, const struct word *word) {
    if (word->len > 0 && words->count < max && !has_word(words, word)) {
        words->words[words->count++] = *word;
    }
}

/* Append a character; false once the word is full (the rest of it is left out). */
static bool append_point(struct word *word, utf8proc_int32_t point) {
    utf8proc_uint8_t bytes[4];
    size_t len = (size_t)utf8proc_encode_char(point, bytes);
    if (word->len + len > WORD_BYTES_MAX) {
        return false;
    }
    memcpy(word->text + word->len, bytes, len);
    word->len = (uint8_t)(word->len + len);
    return true;
}

static void cut_words(const utf8proc_int32_t *points, size_t count, uint32_t max,
                      struct words *words) {
    struct word word = {0};
    bool is_full = false;
    for (size_t i = 0; i < count && words->count < max; i++) {
        if (!is_word_point(points[i])) {
            add_word(words, max, &word);
            word.len = 0;
            is_full = false;
        } else if (!is_full) {
            is_full = !append_point(&word, points[i]);
        }
    }
    add_word(words, max, &word);
}

enum err words_split(struct slice text, uint32_t max, struct words *words) {
    words->count = 0;
    max = max < NAME_WORDS_MAX ? max : NAME_WORDS_MAX;
    if (text.len == 0) {
        return OK;
    }
    utf8proc_int32_t inline_points[POINTS_INLINE];
    utf8proc_int32_t *points = inline_points;
    utf8proc_ssize_t len = (utf8proc_ssize_t)text.len;
    utf8proc_ssize_t count = utf8proc_decompose(text.data, len, points, POINTS_INLINE, normal_form);
    if (count > POINTS_INLINE) {
        points = mem_array((size_t)count, sizeof *points);
        count = utf8proc_decompose(text.data, len, points, count, normal_form);
    }
    if (count > 0) {
        count = utf8proc_normalize_utf32(points, count, normal_form);
    }
    if (count > 0) {
        cut_words(points, (size_t)count, max, words);
    }
    if (points != inline_points) {
        mem_free(points);
    }
    return count < 0 ? ERR_FORMAT : OK;
}

bool words_contain(const struct words *present, const struct words *wanted) {
    for (uint32_t i = 0; i < wanted->count; i++) {
        if (!has_word(present, &wanted->words[i])) {
            return false;
        }
    }
    return true;
}

bool words_text_ok(struct slice text) {
    size_t at = 0;
    while (at < text.len) {
        utf8proc_int32_t point;
        utf8proc_ssize_t len =
            utf8proc_iterate(text.data + at, (utf8proc_ssize_t)(text.len - at), &point);
        bool is_control = point < 0x20 || (point >= 0x7f && point < 0xa0);
        if (len <= 0 || is_control) {
            return false;
        }
        at += (size_t)len;
    }
    return true;
}
