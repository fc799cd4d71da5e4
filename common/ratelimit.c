/* ratelimit.c - token buckets counted in micro-tokens.
 *
 * The bucket holds burst - spent. spent_micro is what it was at at_us; state changes only when
 * tokens are taken, so that asking often loses no fraction of a micro-token. */
#include "common/ratelimit.h"

#define MICRO 1000000ULL

/* Micro-tokens missing from a full bucket at now_us. */
static uint64_t spent_at(const struct ratelimit *limit, uint64_t milli_per_s, uint64_t now_us) {
    uint64_t elapsed_us = now_us > limit->at_us ? now_us - limit->at_us : 0;
    uint64_t gained;
    if (__builtin_mul_overflow(elapsed_us, milli_per_s, &gained)) {
        return 0; /* more than 10^10 tokens have come back: that fills any bucket */
    }
    gained /= 1000;
    return gained < limit->spent_micro ? limit->spent_micro - gained : 0;
}

bool ratelimit_take(struct ratelimit *limit, uint64_t milli_per_s, uint64_t burst, uint64_t tokens,
                    uint64_t now_us) {
    uint64_t spent = spent_at(limit, milli_per_s, now_us);
    if (tokens > burst || spent > (burst - tokens) * MICRO) {
        return false;
    }
    limit->spent_micro = spent + tokens * MICRO;
    limit->at_us = now_us > limit->at_us ? now_us : limit->at_us;
    return true;
}

uint64_t ratelimit_wait(const struct ratelimit *limit, uint64_t milli_per_s, uint64_t burst,
                        uint64_t tokens, uint64_t now_us) {
    if (tokens > burst) {
        return UINT64_MAX;
    }
    uint64_t may_be_spent = (burst - tokens) * MICRO;
    if (spent_at(limit, milli_per_s, now_us) <= may_be_spent) {
        return 0;
    }
    uint64_t thousandths;
    if (milli_per_s == 0 ||
        __builtin_mul_overflow(limit->spent_micro - may_be_spent, 1000, &thousandths)) {
        return UINT64_MAX;
    }
    uint64_t since_us = thousandths / milli_per_s + (thousandths % milli_per_s != 0 ? 1 : 0);
    uint64_t due_us;
    if (__builtin_add_overflow(limit->at_us, since_us, &due_us)) {
        return UINT64_MAX;
    }
    return due_us - now_us;
}
