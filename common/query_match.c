/* query_match.c - whether a file is what a query asks for. */
#include <string.h>

#include "common/query.h"

/* What was seen in the texts so far. Phrases are followed by Shift-And (Baeza-Yates and Gonnet,
 * "A new approach to text searching", 1992) with words for characters: bit i of a state is set when
 * the first i words of the phrase end here, as the first none do anywhere. */
struct scan {
    const struct query_expr *query;
    uint8_t text;                        /* the one being read: its bit */
    uint8_t word_texts[QUERY_TERMS_MAX]; /* where each was seen */
    uint8_t piece_texts[QUERY_TERMS_MAX];
    uint32_t states[QUERY_PHRASES_MAX];
    uint8_t phrases; /* bit per phrase that was seen */
    bool is_excluded;
};

static bool begins_with(const struct word *word, const struct word *piece) {
    return word->len >= piece->len && memcmp(word->text, piece->text, piece->len) == 0;
}

static bool ends_with(const struct word *word, const struct word *piece) {
    return word->len >= piece->len &&
           memcmp(word->text + word->len - piece->len, piece->text, piece->len) == 0;
}

/* The word, or a single character inside its pair. */
static bool is_or_holds(const struct word *word, const struct word *wanted) {
    return word_equal(word, wanted) ||
           (word_is_piece(wanted) && (begins_with(word, wanted) || ends_with(word, wanted)));
}

/* True when `word` can be word `at` of the phrase: a single character that the phrase begins or
 * ends with may be half of a pair there. */
static bool fits_phrase(const struct query_expr *query, const struct query_phrase *phrase,
                        uint8_t at, const struct word *word) {
    const struct word *wanted = &query->spoken.words[phrase->words[at]];
    if (word_equal(word, wanted)) {
        return true;
    }
    return word_is_piece(wanted) && ((at == 0 && ends_with(word, wanted)) ||
                                     (at + 1 == phrase->count && begins_with(word, wanted)));
}

static void follow_phrases(struct scan *scan, const struct word *word) {
    const struct query_expr *query = scan->query;
    for (uint8_t i = 0; i < query->phrase_count; i++) {
        const struct query_phrase *phrase = &query->phrases[i];
        uint32_t fitting = 0;
        for (uint8_t at = 0; at < phrase->count; at++) {
            fitting |= (uint32_t)fits_phrase(query, phrase, at, word) << at;
        }
        scan->states[i] = ((scan->states[i] | 1) & fitting) << 1;
        bool is_seen = (scan->states[i] >> phrase->count & 1) != 0;
        if (is_seen && (phrase->texts & scan->text) != 0) {
            scan->phrases |= (uint8_t)(1 << i);
            scan->is_excluded = scan->is_excluded || phrase->is_excluded;
        }
    }
}

static bool take_word(void *context, const struct word *word) {
    struct scan *scan = context;
    const struct query_expr *query = scan->query;
    for (uint32_t i = 0; i < query->words.count; i++) {
        if (word_equal(word, &query->words.words[i])) {
            scan->word_texts[i] |= scan->text;
        }
    }
    for (uint32_t i = 0; i < query->pieces.count; i++) {
        if (is_or_holds(word, &query->pieces.words[i])) {
            scan->piece_texts[i] |= scan->text;
        }
    }
    for (uint32_t i = 0; i < query->excluded.count; i++) {
        scan->is_excluded = scan->is_excluded || is_or_holds(word, &query->excluded.words[i]);
    }
    follow_phrases(scan, word);
    return !scan->is_excluded;
}

/* True when each of `count` words was seen, and in every text where it must be. */
static bool all_seen(uint32_t count, const uint8_t *seen, const uint8_t *wanted) {
    for (uint32_t i = 0; i < count; i++) {
        if (seen[i] == 0 || (seen[i] & wanted[i]) != wanted[i]) {
            return false;
        }
    }
    return true;
}

static bool texts_match(const struct query_expr *query, const struct file_facts *facts) {
    struct scan scan = {.query = query};
    for (uint8_t i = 0; i < FILE_TEXTS && !scan.is_excluded; i++) {
        scan.text = (uint8_t)(1 << i);
        memset(scan.states, 0, sizeof scan.states);
        if (words_each(facts->texts[i], take_word, &scan) != OK) {
            return false;
        }
    }
    uint8_t wanted = 0;
    for (uint8_t i = 0; i < query->phrase_count; i++) {
        wanted |= (uint8_t)(!query->phrases[i].is_excluded << i);
    }
    return !scan.is_excluded && (scan.phrases & wanted) == wanted &&
           all_seen(query->words.count, scan.word_texts, query->word_texts) &&
           all_seen(query->pieces.count, scan.piece_texts, query->piece_texts);
}

/* True when the first bytes of `text` are the word in any case. */
static bool begins_folded(struct slice text, const struct word *word) {
    bool is_same = text.len >= word->len;
    for (size_t i = 0; is_same && i < word->len; i++) {
        uint8_t byte = text.data[i];
        is_same =
            (byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte) == (uint8_t)word->text[i];
    }
    return is_same;
}

static bool extension_matches(const struct query_expr *query, struct slice extension) {
    bool is_one = query->extension_count == 0;
    for (uint8_t i = 0; !is_one && i < query->extension_count; i++) {
        is_one = extension.len == query->extensions[i].len &&
                 begins_folded(extension, &query->extensions[i]);
    }
    return is_one;
}

/* Basic filtering of RFC 4647, section 3.3.1: "en" is also "en-GB". */
static bool language_matches(const struct word *wanted, struct slice language) {
    return wanted->len == 0 || (begins_folded(language, wanted) &&
                                (language.len == wanted->len || language.data[wanted->len] == '-'));
}

bool query_admits(const struct query_expr *query, enum file_type type,
                  const uint64_t numbers[FILE_NUMBERS]) {
    if (query->types != 0 && (query->types >> type & 1) == 0) {
        return false;
    }
    for (uint8_t i = 0; i < FILE_NUMBERS; i++) {
        bool is_ranged = (query->ranged >> i & 1) != 0;
        const struct query_range *range = &query->ranges[i];
        if (is_ranged && (numbers[i] < range->min || numbers[i] > range->max)) {
            return false;
        }
    }
    return true;
}

bool query_matches(const struct query_expr *query, const struct file_facts *facts) {
    return query_admits(query, facts->type, facts->numbers) &&
           extension_matches(query, facts->extension) &&
           language_matches(&query->language, facts->language) && texts_match(query, facts);
}
