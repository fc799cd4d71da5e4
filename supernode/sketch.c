/* sketch.c - bits per group in a block of the pool. */
#include "supernode/sketch.h"

#include <string.h>

#include "common/check.h"

#define WORDS_MIN 32 /* of a block, so large that the pool's classes keep it aligned */

struct sketch sketch_at(const struct pool *pool, uint32_t block) {
    if (block == POOL_NONE) {
        return (struct sketch){NULL, 0};
    }
    return (struct sketch){pool_at(pool, block), pool_bytes(pool, block) / 8};
}

void sketch_resize(struct pool *pool, uint32_t *block, uint32_t last) {
    uint32_t words = last / SKETCH_WORD_NUMBERS + 1;
    words += words / 8;
    struct sketch former = sketch_at(pool, *block);
    uint32_t made = pool_take(pool, 8 * (words > WORDS_MIN ? words : WORDS_MIN));
    struct sketch sketch = sketch_at(pool, made);
    CHECK((uintptr_t)sketch.bits % sizeof *sketch.bits == 0 && sketch.words >= former.words);
    memset(sketch.bits, 0, sketch.words * sizeof *sketch.bits);
    if (former.words > 0) {
        memcpy(sketch.bits, former.bits, former.words * sizeof *sketch.bits);
        pool_give(pool, *block);
    }
    *block = made;
}

void sketch_free(struct pool *pool, uint32_t *block) {
    if (*block != POOL_NONE) {
        pool_give(pool, *block);
        *block = POOL_NONE;
    }
}

/* Of word `word`, the bits of groups first to last. */
static uint64_t mask_of(uint32_t word, uint32_t first, uint32_t last) {
    uint64_t mask = UINT64_MAX;
    mask &= word == first / 64 ? UINT64_MAX << (first % 64) : UINT64_MAX;
    mask &= word == last / 64 ? UINT64_MAX >> (63 - last % 64) : UINT64_MAX;
    return mask;
}

void sketch_set(struct sketch sketch, uint32_t first, uint32_t last) {
    first /= SKETCH_GROUP;
    last /= SKETCH_GROUP;
    CHECK(last / 64 < sketch.words);
    for (uint32_t word = first / 64; word <= last / 64; word++) {
        sketch.bits[word] |= mask_of(word, first, last);
    }
}

void sketch_clear_between(struct sketch sketch, uint32_t first, uint32_t last) {
    first = first / SKETCH_GROUP + 1;
    last /= SKETCH_GROUP;
    if (last <= first) {
        return;
    }
    last--;
    CHECK(last / 64 < sketch.words);
    for (uint32_t word = first / 64; word <= last / 64; word++) {
        sketch.bits[word] &= ~mask_of(word, first, last);
    }
}
