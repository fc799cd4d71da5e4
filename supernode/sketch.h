/* sketch.h - which groups of 32 record numbers a long posting list touches, a bit per group.
 *
 * Where two common words seldom meet, what most probes of a list find is that it has nothing there.
 * The AND of two sketches tells it without a look at either list (as the bitmap containers of
 * Chambi, Lemire, Kaser and Godin, Software: Practice and Experience 46(5), 2016, but lossy: it
 * says where to look). A bit that is set may be stale; one that is not set is sure. */
#ifndef TRUNKLINE_SUPERNODE_SKETCH_H
#define TRUNKLINE_SUPERNODE_SKETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "supernode/pool.h"

#define SKETCH_GROUP 32
#define SKETCH_WORD_NUMBERS (64 * SKETCH_GROUP) /* numbers that one word of bits stands for */

/* Bits borrowed from the pool; void when the pool's block is given back. */
struct sketch {
    uint64_t *bits;
    uint32_t words; /* beyond them nothing is set */
};

/* The bits of a sketch's block; none for POOL_NONE. */
struct sketch sketch_at(const struct pool *pool, uint32_t block);

/* Get a block for numbers up to `last` and more, with the bits of *block (POOL_NONE = none), which
 * it replaces. */
void sketch_resize(struct pool *pool, uint32_t *block, uint32_t last);

/* Give it back. */
void sketch_free(struct pool *pool, uint32_t *block);

/* Set the bits of the groups that numbers first to last stand in, or clear those of groups that
 * stand wholly between the two. The sketch must reach so far. */
void sketch_set(struct sketch sketch, uint32_t first, uint32_t last);
void sketch_clear_between(struct sketch sketch, uint32_t first, uint32_t last);

#endif
