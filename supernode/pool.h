/* pool.h - small blocks of memory under 32-bit handles, in pages of one size each.
 *
 * A block costs its size rounded up by at most a sixteenth (to 4 bytes below 64), instead of the 16
 * bytes and the 8 bytes of pointer that malloc takes; a page whose blocks are all free is given
 * back. Blocks of one size share pages (the slab of Bonwick, USENIX 1994). */
#ifndef TRUNKLINE_SUPERNODE_POOL_H
#define TRUNKLINE_SUPERNODE_POOL_H

#include <stdint.h>

#define POOL_NONE UINT32_MAX /* never a handle */
#define POOL_CLASSES 112     /* sizes of shared pages */
#define POOL_SLACK 8    /* bytes behind a block that may be read; malloc rounds them up anyway */
#define MALLOC_BYTES 16 /* what malloc adds to a block, for budgets */

struct pool_page {
    uint8_t *memory;
    uint32_t block_bytes;
    uint16_t blocks;
    uint16_t used;
    uint16_t fresh;      /* blocks from here on were never used */
    uint16_t first_free; /* of the others; each holds the next one's number */
    uint32_t next;       /* pages of this size with room, both ways; or pages that are free */
    uint32_t before;
};

struct pool {
    uint64_t *bytes;     /* meter of all that malloc gave, borrowed */
    uint32_t block_bits; /* of a handle; the page's number stands above them */
    uint32_t page_bits;
    struct pool_page *pages;
    uint32_t page_count; /* numbers given out so far */
    uint32_t page_cap;
    uint32_t pages_live;
    uint32_t free_page;
    uint32_t with_room[POOL_CLASSES];
};

/* Start an empty pool; it adds what it takes to *bytes (borrowed), and takes it off again. Handles
 * have block_bits + page_bits bits; blocks have at least 4096 >> block_bits bytes. */
void pool_init(struct pool *pool, uint64_t *bytes, uint32_t block_bits, uint32_t page_bits);

/* Release everything. */
void pool_free(struct pool *pool);

/* Get a block of at least `bytes` bytes (1 or more), not zeroed. */
uint32_t pool_take(struct pool *pool, uint32_t bytes);

/* Where a block is; it moves never, and is void after pool_give. */
void *pool_at(const struct pool *pool, uint32_t handle);

/* Bytes of a block, those of rounding included. */
uint32_t pool_bytes(const struct pool *pool, uint32_t handle);

/* Give a block back. Its bytes but the first two stay as they are while its page lives. */
void pool_give(struct pool *pool, uint32_t handle);

/* Walk the blocks that were ever taken, those that were given back included: the first handle that
 * is *cursor or above; POOL_NONE at the end. Go on with the handle + 1. */
uint32_t pool_next(const struct pool *pool, uint32_t cursor);

#endif
