/* bench_fts.h - SQLite's FTS5 doing what the index does, in memory, for comparison. */
#ifndef TRUNKLINE_TESTS_BENCH_BENCH_FTS_H
#define TRUNKLINE_TESTS_BENCH_BENCH_FTS_H

#include "tests/bench/bench_corpus.h"

struct fts;

/* Make an index of rows [0, rows), with external content and detail=none: its fastest form. */
struct fts *fts_new(const struct corpus *corpus, size_t rows);
void fts_free(struct fts *fts);

/* Merge all segments into one: the best state, until something changes. */
void fts_optimise(struct fts *fts);

/* Add rows [first, first + count) in one transaction, or take them out. */
void fts_add(struct fts *fts, size_t first, size_t count);
void fts_remove(struct fts *fts, size_t first, size_t count);

/* Search and fetch up to 50 rows; `is_filtered`: of the type of the query's row, and of half to
 * twice its size. Return the number of rows. */
uint32_t fts_search(struct fts *fts, const struct corpus_query *query, bool is_filtered);

#endif
