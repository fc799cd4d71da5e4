/* throttle.c - lets bytes through at the rates that are set, by direction and by class. */
#include "common/throttle.h"

#define MICRO 1000000
#define BURSTS_PER_S 20 /* a bucket holds what comes in a twentieth of a second ... */
#define BURST_MIN 1500  /* ... and at least a packet */
#define CHUNK_MIN 1400
#define RESERVES_PER_S 4           /* the overlay may overdraw by a quarter of a second */
#define RATE_HELD_MAX (1ULL << 40) /* bytes per second that the arithmetic has room for */

static uint64_t burst_of(uint64_t rate) {
    uint64_t burst = rate / BURSTS_PER_S;
    return burst > BURST_MIN ? burst : BURST_MIN;
}

/* What the bucket holds at `now_us`. */
static int64_t level_at(const struct bucket *bucket, uint64_t now_us) {
    int64_t full = (int64_t)(burst_of(bucket->rate) * MICRO);
    uint64_t elapsed_us = now_us > bucket->at_us ? now_us - bucket->at_us : 0;
    uint64_t gained;
    if (__builtin_mul_overflow(elapsed_us, bucket->rate, &gained) || gained > INT64_MAX ||
        bucket->level >= full - (int64_t)gained) {
        return full;
    }
    return bucket->level + (int64_t)gained;
}

static void draw(struct bucket *bucket, uint64_t bytes, uint64_t now_us) {
    if (bucket->rate == 0) {
        return;
    }
    int64_t level = level_at(bucket, now_us);
    uint64_t most = ((uint64_t)level + (1ULL << 63)) / MICRO; /* never below what can be told */
    bucket->level = (int64_t)((uint64_t)level - (bytes < most ? bytes : most) * MICRO);
    bucket->at_us = now_us > bucket->at_us ? now_us : bucket->at_us;
}

/* Microseconds until it is overdrawn by less than `debt` bytes. */
static uint64_t wait_of(const struct bucket *bucket, uint64_t debt, uint64_t now_us) {
    if (bucket->rate == 0) {
        return 0;
    }
    int64_t level = level_at(bucket, now_us) + (int64_t)(debt * MICRO);
    return level > 0 ? 0 : (0 - (uint64_t)level) / bucket->rate + 1;
}

void bucket_set(struct bucket *bucket, uint64_t rate, uint64_t now_us) {
    rate = rate < RATE_HELD_MAX ? rate : RATE_HELD_MAX;
    if (rate == bucket->rate) {
        return;
    }
    int64_t full = (int64_t)(burst_of(rate) * MICRO);
    int64_t level = bucket->rate > 0 ? level_at(bucket, now_us) : full;
    bucket->rate = rate;
    bucket->level = level < full ? level : full;
    bucket->at_us = now_us;
}

bool throttle_is_limited(const struct throttle *throttle, enum direction direction,
                         enum traffic_class traffic) {
    return throttle->all[direction].rate != 0 || throttle->of[direction][traffic].rate != 0;
}

uint32_t throttle_chunk(const struct throttle *throttle, enum direction direction,
                        enum traffic_class traffic, uint32_t most) {
    const struct bucket *buckets[] = {&throttle->all[direction], &throttle->of[direction][traffic]};
    uint64_t chunk = most;
    for (int i = 0; i < 2; i++) {
        uint64_t share = buckets[i]->rate / BURSTS_PER_S;
        if (buckets[i]->rate != 0 && share < chunk) {
            chunk = share;
        }
    }
    return chunk > CHUNK_MIN ? (uint32_t)chunk : CHUNK_MIN;
}

uint64_t throttle_wait(const struct throttle *throttle, enum direction direction,
                       enum traffic_class traffic, uint64_t now_us) {
    const struct bucket *all = &throttle->all[direction];
    uint64_t debt = traffic == TRAFFIC_OVERLAY ? all->rate / RESERVES_PER_S : 0;
    uint64_t for_all = wait_of(all, debt, now_us);
    uint64_t for_class = wait_of(&throttle->of[direction][traffic], 0, now_us);
    return for_all > for_class ? for_all : for_class;
}

void throttle_draw(struct throttle *throttle, enum direction direction, enum traffic_class traffic,
                   uint64_t bytes, uint64_t now_us) {
    draw(&throttle->all[direction], bytes, now_us);
    draw(&throttle->of[direction][traffic], bytes, now_us);
}
