/* query.h - the query language: what a person types, read once, matched alike by supernodes, peers
 * and the command line.
 *
 *     blue whale "song of the" -remix type:audio size:>10M year:1990..1999 title:whale
 *
 * Terms stand between blanks, in any order. All words must be among a file's keywords (AND), a
 * phrase must stand in one of its texts in that order, an excluded word or phrase must not, and
 * every filter must hold; a file that does not know a filtered value does not match. At least one
 * positive word is needed, and title:, artist: and album: give such words. docs/PROTOCOL.md holds
 * the grammar.
 *
 * A single character of Han, Kana or Hangul is not a keyword of most files that hold it, since
 * these are cut into pairs. It narrows what the other words find, wherever it stands; alone it
 * finds the files where it stands alone (query_expr.is_lone tells). */
#ifndef TRUNKLINE_COMMON_QUERY_H
#define TRUNKLINE_COMMON_QUERY_H

#include "common/facts.h"

struct query_range {
    uint64_t min; /* both inclusive; at least 1, so that 0, unknown, is in no range */
    uint64_t max;
};

/* A run of words that stands in this order in one text. */
struct query_phrase {
    bool is_excluded;
    uint8_t texts; /* bit per enum file_text in which it may stand */
    uint8_t count;
    uint8_t words[QUERY_TERMS_MAX]; /* numbers in query_expr.spoken */
};

/* A query that has been read. Plain data: copy it, compare nothing. */
struct query_expr {
    struct words words; /* positive, distinct, at least one, at most QUERY_TERMS_MAX */
    uint8_t word_texts[QUERY_TERMS_MAX]; /* bit per enum file_text in which it must stand: each */
    struct words pieces; /* single characters that must stand somewhere, in a pair or alone */
    uint8_t piece_texts[QUERY_TERMS_MAX];
    struct words excluded; /* at most QUERY_TERMS_MAX, as each of these sets */
    struct words spoken;   /* words of phrases; of wanted ones they are among the others too */
    uint8_t phrase_count;
    struct query_phrase phrases[QUERY_PHRASES_MAX];
    uint8_t types; /* bit per enum file_type that is wanted; 0 = any */
    uint8_t extension_count;
    struct word extensions[QUERY_EXTENSIONS_MAX]; /* lower-case; any of them; none = any */
    struct word language;                         /* lower-case; len 0 = any */
    uint8_t ranged;                               /* bit per enum file_number that is filtered */
    struct query_range ranges[FILE_NUMBERS];
    bool is_plain; /* words alone decide: no need for query_matches after them */
    bool is_lone;  /* the only words are single characters: most files with them are not found */
};

/* Why a text is not a query. */
struct query_error {
    size_t at;       /* byte of the text, at most its length */
    const char *why; /* for people, static */
};

/* Read a query of at most QUERY_TEXT_MAX bytes. Return OK, or ERR_FORMAT or ERR_LIMIT with *error
 * (may be NULL) set. */
MUST_CHECK enum err query_parse(struct slice text, struct query_expr *query,
                                struct query_error *error);

/* True when the file matches, checked in full from its facts: all words of its texts count, also
 * those beyond NAME_WORDS_MAX, by which an index does not find it. */
bool query_matches(const struct query_expr *query, const struct file_facts *facts);

/* True when the filters that need no text hold (types and ranges), for an index that keeps these
 * beside its postings. */
bool query_admits(const struct query_expr *query, enum file_type type,
                  const uint64_t numbers[FILE_NUMBERS]);

#endif
