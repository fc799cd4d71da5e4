/* postings_parts.h - what the files of posting lists share: how a list's bytes are read. */
#ifndef TRUNKLINE_SUPERNODE_POSTINGS_PARTS_H
#define TRUNKLINE_SUPERNODE_POSTINGS_PARTS_H

#include <stddef.h>

#include "supernode/postings.h"

#define SINGLE 0x80000000U /* the list is this number, or empty, not a handle */
#define DIRECTORY 0xff     /* first byte of a directory; a chunk's is its bytes in use */
#define CHUNK_BYTES 64     /* with that first byte: two cache lines */

struct skip {
    uint32_t first;
    uint32_t chunk;
};

struct directory {
    uint8_t mark;
    uint8_t unused[3];
    uint32_t count;
    uint32_t sketch; /* block, POOL_NONE while the list is short for its span */
    struct skip skips[];
};

static inline const uint8_t *get_vbyte(const uint8_t *at, uint32_t *value) {
    uint32_t byte = *at++;
    uint32_t result = byte & 0x7f;
    for (uint32_t shift = 7; byte >= 0x80; shift += 7) {
        byte = *at++;
        result |= (byte & 0x7f) << shift;
    }
    *value = result;
    return at;
}

/* Read one run after `next`, the number behind the last one. */
static inline const uint8_t *get_run(const uint8_t *at, uint32_t next, struct run *run) {
    uint32_t gap, more = 0;
    at = get_vbyte(at, &gap);
    if ((gap & 1) != 0) {
        more = 1U + *at++;
    }
    run->first = next + (gap >> 1);
    run->last = run->first + more;
    return at;
}

/* Ask for a chunk ahead of its need. */
static inline void fetch_chunk(const struct pool *pool, uint32_t block) {
    const uint8_t *chunk = pool_at(pool, block);
    __builtin_prefetch(chunk);
    __builtin_prefetch(chunk + CHUNK_BYTES - 1);
}

static inline bool is_single(uint32_t list) {
    return (list & SINGLE) != 0;
}

/* The directory of a list, NULL when it has none. */
static inline struct directory *directory_of(const struct pool *pool, uint32_t list) {
    if (is_single(list)) {
        return NULL;
    }
    uint8_t *block = pool_at(pool, list);
    return block[0] == DIRECTORY ? (struct directory *)(void *)block : NULL;
}

/* The last skip whose chunk may hold `number`, 0 if none begins that early. */
static inline uint32_t find_skip(const struct skip *skips, uint32_t count, uint32_t number) {
    uint32_t low = 0;
    while (count - low > 1) {
        uint32_t middle = low + (count - low) / 2;
        if (skips[middle].first <= number) {
            low = middle;
        } else {
            count = middle;
        }
    }
    return low;
}

#endif
