/* query_naive.h - a query printed as text, and matched the slow and plain way, for tests. */
#ifndef TRUNKLINE_TESTS_QUERY_NAIVE_H
#define TRUNKLINE_TESTS_QUERY_NAIVE_H

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/check.h"
#include "common/query.h"

#define QUERY_PRINT_MAX 16384
#define NAIVE_WORDS_MAX 2048 /* of one text: an expansion of 255 bytes has fewer */

/* ---- Printing: a text that reads as the same query ---- */

static const char *const naive_texts[FILE_TEXTS] = {"", "title", "artist", "album"};
static const char *const naive_numbers[FILE_NUMBERS] = {"size",     "year",  "bitrate",
                                                        "duration", "width", "height"};

static inline void print_more(char *out, const char *text, size_t len) {
    size_t at = strlen(out);
    CHECK(at + len < QUERY_PRINT_MAX);
    memcpy(out + at, text, len);
    out[at + len] = '\0';
}

static inline void print_text(char *out, const char *text) {
    print_more(out, text, strlen(text));
}

static inline void print_blank(char *out) {
    if (out[0] != '\0') {
        print_text(out, " ");
    }
}

static inline void print_words(char *out, const struct words *words, const uint8_t *texts) {
    for (uint32_t i = 0; i < words->count; i++) {
        for (int text = 0; text < FILE_TEXTS; text++) {
            bool is_here = text == TEXT_NAME ? texts[i] == 0 : (texts[i] >> text & 1) != 0;
            if (is_here) {
                print_blank(out);
                print_text(out, naive_texts[text]);
                print_text(out, text == TEXT_NAME ? "" : ":");
                print_more(out, words->words[i].text, words->words[i].len);
            }
        }
    }
}

static inline void print_phrases(char *out, const struct query_expr *query) {
    for (uint8_t i = 0; i < query->phrase_count; i++) {
        const struct query_phrase *phrase = &query->phrases[i];
        print_blank(out);
        print_text(out, phrase->is_excluded ? "-" : "");
        for (int text = TEXT_TITLE; text < FILE_TEXTS; text++) {
            if (phrase->texts == 1 << text) {
                print_text(out, naive_texts[text]);
                print_text(out, ":");
            }
        }
        for (uint8_t w = 0; w < phrase->count; w++) {
            const struct word *word = &query->spoken.words[phrase->words[w]];
            print_text(out, w == 0 ? "\"" : " ");
            print_more(out, word->text, word->len);
        }
        print_text(out, "\"");
    }
}

static inline void print_filters(char *out, const struct query_expr *query) {
    char number[64];
    for (int type = 0; type < FILE_TYPES; type++) {
        if ((query->types >> type & 1) != 0) {
            print_blank(out);
            print_text(out, "type:");
            print_text(out, file_type_name((enum file_type)type));
        }
    }
    for (uint8_t i = 0; i < query->extension_count; i++) {
        print_blank(out);
        print_text(out, "ext:\"");
        print_more(out, query->extensions[i].text, query->extensions[i].len);
        print_text(out, "\"");
    }
    for (int i = 0; i < FILE_NUMBERS; i++) {
        if ((query->ranged >> i & 1) != 0) {
            print_blank(out);
            snprintf(number, sizeof number, "%s:%" PRIu64 "..", naive_numbers[i],
                     query->ranges[i].min);
            print_text(out, number);
            snprintf(number, sizeof number, "%" PRIu64, query->ranges[i].max);
            print_text(out, query->ranges[i].max < UINT64_MAX ? number : "");
        }
    }
    if (query->language.len > 0) {
        print_blank(out);
        print_text(out, "language:");
        print_more(out, query->language.text, query->language.len);
    }
}

static inline void query_print(const struct query_expr *query, char out[QUERY_PRINT_MAX]) {
    static const uint8_t no_texts[QUERY_TERMS_MAX];
    out[0] = '\0';
    print_words(out, &query->words, query->word_texts);
    print_words(out, &query->pieces, query->piece_texts);
    for (uint32_t i = 0; i < query->excluded.count; i++) {
        struct words one = {.count = 1, .words = {query->excluded.words[i]}};
        print_blank(out);
        print_text(out, "-");
        char word[QUERY_PRINT_MAX] = "";
        print_words(word, &one, no_texts);
        print_text(out, word);
    }
    print_phrases(out, query);
    print_filters(out, query);
}

/* ---- Matching ---- */

struct naive_text {
    uint32_t count;
    struct word words[NAIVE_WORDS_MAX];
};

static inline bool naive_take(void *context, const struct word *word) {
    struct naive_text *text = context;
    CHECK(text->count < NAIVE_WORDS_MAX);
    text->words[text->count++] = *word;
    return true;
}

/* True when `part` stands anywhere in the word, if that may be: else they must be equal. */
static inline bool naive_holds(const struct word *word, const struct word *part, bool anywhere) {
    return word_equal(word, part) || (anywhere && word_is_piece(part) &&
                                      memmem(word->text, word->len, part->text, part->len) != NULL);
}

static inline bool naive_has(const struct naive_text *text, const struct word *wanted,
                             bool anywhere) {
    bool has = false;
    for (uint32_t i = 0; i < text->count; i++) {
        has = has || naive_holds(&text->words[i], wanted, anywhere);
    }
    return has;
}

static inline bool naive_phrase_at(const struct query_expr *query,
                                   const struct query_phrase *phrase, const struct naive_text *text,
                                   uint32_t at) {
    for (uint8_t i = 0; i < phrase->count; i++) {
        const struct word *wanted = &query->spoken.words[phrase->words[i]];
        const struct word *word = &text->words[at + i];
        size_t slack = word->len - wanted->len;
        bool is_piece = word_is_piece(wanted) && word->len > wanted->len;
        bool is_tail = is_piece && i == 0 && !memcmp(word->text + slack, wanted->text, wanted->len);
        bool is_head =
            is_piece && i + 1 == phrase->count && !memcmp(word->text, wanted->text, wanted->len);
        if (!word_equal(word, wanted) && !is_tail && !is_head) {
            return false;
        }
    }
    return true;
}

static inline bool naive_has_phrase(const struct query_expr *query,
                                    const struct query_phrase *phrase,
                                    const struct naive_text *text) {
    for (uint32_t at = 0; at + phrase->count <= text->count; at++) {
        if (naive_phrase_at(query, phrase, text, at)) {
            return true;
        }
    }
    return false;
}

static inline bool naive_words(const struct words *words, const uint8_t *where,
                               const struct naive_text *texts, bool anywhere) {
    for (uint32_t i = 0; i < words->count; i++) {
        bool has = false;
        for (int text = 0; text < FILE_TEXTS; text++) {
            bool is_here = naive_has(&texts[text], &words->words[i], anywhere);
            has = has || is_here;
            if ((where[i] >> text & 1) != 0 && !is_here) {
                return false;
            }
        }
        if (!has) {
            return false;
        }
    }
    return true;
}

static inline bool naive_filters(const struct query_expr *query, const struct file_facts *facts) {
    bool fits = query->types == 0 || (query->types & 1 << facts->type) != 0;
    for (int i = 0; i < FILE_NUMBERS; i++) {
        uint64_t number = facts->numbers[i];
        bool is_in = number >= query->ranges[i].min && number <= query->ranges[i].max;
        fits = fits && ((query->ranged & 1 << i) == 0 || (number > 0 && is_in));
    }
    bool is_one = query->extension_count == 0;
    for (int i = 0; i < query->extension_count; i++) {
        const struct word *word = &query->extensions[i];
        is_one = is_one ||
                 (facts->extension.len == word->len &&
                  strncasecmp((const char *)facts->extension.data, word->text, word->len) == 0);
    }
    size_t len = query->language.len;
    bool speaks = len == 0 || (facts->language.len >= len &&
                               strncasecmp((const char *)facts->language.data, query->language.text,
                                           len) == 0 &&
                               (facts->language.len == len || facts->language.data[len] == '-'));
    return fits && is_one && speaks;
}

static inline bool naive_matches(const struct query_expr *query, const struct file_facts *facts) {
    static struct naive_text texts[FILE_TEXTS];
    for (int text = 0; text < FILE_TEXTS; text++) {
        texts[text].count = 0;
        if (words_each(facts->texts[text], naive_take, &texts[text]) != OK) {
            return false;
        }
    }
    bool fits = naive_filters(query, facts) &&
                naive_words(&query->words, query->word_texts, texts, false) &&
                naive_words(&query->pieces, query->piece_texts, texts, true);
    for (int text = 0; text < FILE_TEXTS; text++) {
        for (uint32_t i = 0; i < query->excluded.count; i++) {
            fits = fits && !naive_has(&texts[text], &query->excluded.words[i], true);
        }
    }
    for (int i = 0; i < query->phrase_count; i++) {
        bool has = false;
        for (int text = 0; text < FILE_TEXTS; text++) {
            has = has || ((query->phrases[i].texts >> text & 1) != 0 &&
                          naive_has_phrase(query, &query->phrases[i], &texts[text]));
        }
        fits = fits && has != query->phrases[i].is_excluded;
    }
    return fits;
}

#endif
