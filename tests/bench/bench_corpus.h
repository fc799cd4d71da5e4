/* bench_corpus.h - real names to index: files of Debian's packages, as lists of peers, and queries.
 */
#ifndef TRUNKLINE_TESTS_BENCH_BENCH_CORPUS_H
#define TRUNKLINE_TESTS_BENCH_BENCH_CORPUS_H

#include "common/facts.h"

struct corpus_row {
    const char *name; /* the last two folders and the file: 8 to 200 bytes of ASCII */
    uint32_t peer;    /* of 100 to 1,000 files each, sorted by name, as a leaf sends its list */
    uint64_t size;
};

struct corpus {
    char *text;
    struct corpus_row *rows;
    size_t count;
    uint32_t peers;
};

/* A search: its words as they are typed, and the row it was drawn from. */
struct corpus_query {
    char text[160];
    size_t row;
};

/* Read the names that `./dev bench` has fetched and deal at most `max` of them to peers, by
 * shuffled runs of up to 20 files of one folder ("albums"), or one by one if `shuffled`. NULL, with
 * the reason and the remedy on standard error, when there are no names here. */
struct corpus *corpus_new(size_t max, bool shuffled);
void corpus_free(struct corpus *corpus);

/* The record of a row; its root is made from the row's number. */
struct file_record corpus_record(const struct corpus *corpus, size_t row);

/* Draw a query from the first `rows` rows: their target by Zipf's law (exponent 1) over at most
 * 200,000 of them; 1, 2 or 3 of its words in 30, 45 and 25 of 100; 5 of 100 have a word that
 * nothing has. */
struct rng;
void corpus_draw(const struct corpus *corpus, size_t rows, struct rng *rng,
                 struct corpus_query *query);

#endif
