/* rng.c - xoshiro256**. */
#include "common/rng.h"

#include <string.h>

#include "common/check.h"

static uint64_t splitmix(uint64_t *state) {
    *state += 0x9e3779b97f4a7c15;
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static uint64_t rotate(uint64_t value, int by) {
    return value << by | value >> (64 - by);
}

void rng_seed(struct rng *rng, uint64_t seed) {
    for (int i = 0; i < 4; i++) {
        rng->state[i] = splitmix(&seed);
    }
}

uint64_t rng_u64(struct rng *rng) {
    uint64_t *s = rng->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t rng_below(struct rng *rng, uint64_t bound) {
    CHECK(bound > 0);
    uint64_t reject_from = UINT64_MAX - UINT64_MAX % bound;
    uint64_t value = rng_u64(rng);
    while (value >= reject_from) {
        value = rng_u64(rng);
    }
    return value % bound;
}

void rng_fill(struct rng *rng, void *to, size_t len) {
    uint8_t *at = to;
    while (len > 0) {
        uint64_t bits = rng_u64(rng);
        size_t part = len < sizeof bits ? len : sizeof bits;
        memcpy(at, &bits, part);
        at += part;
        len -= part;
    }
}
