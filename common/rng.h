/* rng.h - the node's only dice: seeded, so that one seed gives one run. */
#ifndef TRUNKLINE_COMMON_RNG_H
#define TRUNKLINE_COMMON_RNG_H

#include <stddef.h>
#include <stdint.h>

/* xoshiro256** (Blackman and Vigna, 2018), seeded through splitmix64. Not for secrets. */
struct rng {
    uint64_t state[4];
};

/* Start from a 64-bit seed. */
void rng_seed(struct rng *rng, uint64_t seed);

/* 64 random bits. */
uint64_t rng_u64(struct rng *rng);

/* A number in [0, bound), without bias; bound must not be 0. */
uint64_t rng_below(struct rng *rng, uint64_t bound);

/* Fill `len` bytes. */
void rng_fill(struct rng *rng, void *to, size_t len);

#endif
