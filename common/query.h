/* query.h - the query language: what a person types, read once, matched alike by supernodes, peers
 * and the command line.
 *
 *     blue whale "song of the" -remix type:audio size:>10M year:1990..1999 title:whale
 *
 * All words must be among a file's keywords (AND), a phrase must stand in one of its texts in that
 * order, an excluded word must not be among them, and every filter must hold; a file that does not
 * know a filtered value does not match. At least one positive word is needed. */
#ifndef TRUNKLINE_COMMON_QUERY_H
#define TRUNKLINE_COMMON_QUERY_H

#include "common/wire.h"
#include "common/words.h"

/* What a file is, told by its extension. */
enum file_type {
    FILE_AUDIO,
    FILE_VIDEO,
    FILE_IMAGE,
    FILE_DOCUMENT,
    FILE_ARCHIVE,
    FILE_SOFTWARE,
    FILE_OTHER,
    FILE_TYPES
};

/* Texts of a file that words are taken from. */
enum file_text { TEXT_NAME, TEXT_TITLE, TEXT_ARTIST, TEXT_ALBUM, FILE_TEXTS };

/* Numbers of a file that can be filtered. 0 = unknown. */
enum file_number {
    NUMBER_SIZE, /* bytes */
    NUMBER_YEAR,
    NUMBER_BITRATE,  /* kbit/s */
    NUMBER_DURATION, /* seconds */
    NUMBER_WIDTH,    /* pixels */
    NUMBER_HEIGHT,
    FILE_NUMBERS
};

/* What is known of a file: its name and the TLVs of its metadata, read. Slices borrow from the
 * record. */
struct file_facts {
    enum file_type type;
    struct slice extension; /* without the dot, as written; empty = none */
    struct slice texts[FILE_TEXTS];
    struct slice language;
    uint64_t numbers[FILE_NUMBERS];
};

/* Read a record's facts; metadata that makes no sense counts as unknown. */
void file_facts_read(const struct file_record *file, struct file_facts *facts);

/* The keywords under which a file is found: of its name, then of title, artist and album, distinct,
 * at most NAME_WORDS_MAX. */
void file_keywords(const struct file_facts *facts, struct words *keywords);

struct query_range {
    uint64_t min; /* both inclusive */
    uint64_t max;
};

/* A run of words that must stand in this order in one text. */
struct query_phrase {
    uint8_t texts; /* bit per enum file_text in which it may stand */
    uint8_t count;
    uint8_t words[QUERY_TERMS_MAX]; /* numbers in query_expr.words */
};

/* A query that has been read. Plain data: copy it, compare nothing. */
struct query_expr {
    struct words words; /* positive, distinct, at least one, at most QUERY_TERMS_MAX */
    uint8_t word_texts[QUERY_TERMS_MAX]; /* bit per enum file_text in which it must stand: each */
    struct words excluded;               /* at most QUERY_TERMS_MAX */
    uint8_t phrase_count;
    struct query_phrase phrases[QUERY_PHRASES_MAX];
    uint8_t types; /* bit per enum file_type that is wanted; 0 = any */
    uint8_t extension_count;
    struct word extensions[QUERY_EXTENSIONS_MAX]; /* case folded; any of them; none = any */
    struct word language;                         /* case folded; len 0 = any */
    uint8_t ranged;                               /* bit per enum file_number that is filtered */
    struct query_range ranges[FILE_NUMBERS];
    bool is_plain; /* words alone decide: no need for query_matches after them */
};

/* Why a text is not a query. */
struct query_error {
    size_t at;       /* byte of the text */
    const char *why; /* for people, static */
};

/* Read a query of at most QUERY_TEXT_MAX bytes. Return OK, or ERR_FORMAT or ERR_LIMIT with *error
 * (may be NULL) set. Terms are joined by spaces; order never matters but in a phrase. */
MUST_CHECK enum err query_parse(struct slice text, struct query_expr *query,
                                struct query_error *error);

/* True when the file matches, checked in full from its facts. */
bool query_matches(const struct query_expr *query, const struct file_facts *facts);

/* True when the filters that need no text hold (types and ranges), for an index that keeps these
 * beside its postings. */
bool query_admits(const struct query_expr *query, enum file_type type,
                  const uint64_t numbers[FILE_NUMBERS]);

#endif
