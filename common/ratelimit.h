/* ratelimit.h - token buckets in integers, so that every compiler counts alike. */
#ifndef TRUNKLINE_COMMON_RATELIMIT_H
#define TRUNKLINE_COMMON_RATELIMIT_H

#include <stdbool.h>
#include <stdint.h>

/* All zero is a full bucket that has never been used. */
struct ratelimit {
    uint64_t spent_micro; /* micro-tokens taken and not yet refilled */
    uint64_t at_us;
};

/* Take `tokens` if the bucket (refilled at `milli_per_s` thousandths of a token per second, holding
 * `burst` tokens) has them. */
bool ratelimit_take(struct ratelimit *limit, uint64_t milli_per_s, uint64_t burst, uint64_t tokens,
                    uint64_t now_us);

/* Microseconds until `tokens` could be taken; 0 = now. */
uint64_t ratelimit_wait(const struct ratelimit *limit, uint64_t milli_per_s, uint64_t burst,
                        uint64_t tokens, uint64_t now_us);

#endif
