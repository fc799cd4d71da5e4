/* postings.h - ascending sets of record numbers, compact, that grow and shrink anywhere.
 *
 * A leaf's list is sorted, so its records share words with their neighbours: a posting list is kept
 * as runs of consecutive numbers, each a gap and a length in bytes of 7 bits (vbyte; Williams and
 * Zobel, The Computer Journal 42(3), 1999), in chunks of at most CHUNK_BYTES, found through a
 * directory of skips (Moffat and Zobel, TOIS 14(4), 1996). Whatever changes rewrites one chunk.
 *
 *     word --> 7                                   one number: no memory at all
 *     word --> [used | runs]                       one chunk, its first gap counted from 0
 *     word --> [0xff | count | skips] --> chunks   skip: {first number, chunk}, gaps from there
 */
#ifndef TRUNKLINE_SUPERNODE_POSTINGS_H
#define TRUNKLINE_SUPERNODE_POSTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "supernode/pool.h"
#include "supernode/sketch.h"

#define POSTINGS_EMPTY UINT32_MAX
#define POSTINGS_RUN_MAX 128 /* numbers: a length takes one byte, a sweep stays short */
#define POSTINGS_PAGE_NUMBERS 1024

/* Numbers first to last, both inclusive. */
struct run {
    uint32_t first;
    uint32_t last;
};

/* Add a run of at most POSTINGS_RUN_MAX numbers below 2^24, none of which is in the list. */
void postings_add(struct pool *pool, uint32_t *list, struct run run);

/* Fetch a list's block into the cache, ahead of its need; then, when it is there, what postings_add
 * needs to add `number`. */
void postings_prefetch(const struct pool *pool, uint32_t list);
void postings_prefetch_at(const struct pool *pool, uint32_t list, uint32_t number);

/* Release a list. */
void postings_free(struct pool *pool, uint32_t *list);

/* About how much there is to look through; 0 for one number. */
uint32_t postings_weight(const struct pool *pool, uint32_t list);

/* Take out all numbers whose bit in `alive` is 0, which is in pages of POSTINGS_PAGE_NUMBERS. A
 * list is swept in steps: *from is 0 at first and moves on; true when the end is reached. *work
 * grows by the chunks looked at and written and by what else there was to do; a step is 128 of it,
 * and once more what one chunk may become: 64 and what pushing the directory along costs. */
bool postings_sweep(struct pool *pool, uint32_t *list, uint64_t *const *alive, uint32_t *from,
                    uint32_t *work);

struct skip;

/* A walk over a list that is not empty, forward. The list must not change meanwhile. */
struct postings_walk {
    const struct pool *pool;
    const struct skip *skips;
    uint32_t skip_count;
    uint32_t skip_at;
    uint32_t ahead;       /* the skip that was looked ahead to */
    struct sketch sketch; /* no words = none: numbers may be anywhere */
    const uint8_t *at;    /* in the chunk */
    const uint8_t *end;
    struct run run; /* where the walk stands */
};
void postings_start(struct postings_walk *walk, const struct pool *pool, uint32_t list);

/* Move to the first run that ends at `number` or later; false when there is none. */
bool postings_seek(struct postings_walk *walk, uint32_t number);

/* Fetch the chunk into the cache in which postings_seek will look for `number`, without moving.
 * Numbers rise from call to call. */
void postings_look_ahead(struct postings_walk *walk, uint32_t number);

/* Fetch the next chunks into the cache. */
void postings_fetch_on(const struct postings_walk *walk);

#endif
