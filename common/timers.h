/* timers.h - every timer of a node in one heap; the driver arms a single clock for the first. */
#ifndef TRUNKLINE_COMMON_TIMERS_H
#define TRUNKLINE_COMMON_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

#define TIMERS_NEVER UINT64_MAX

/* Lives inside its owner, all zero at first; `kind` and `owner` are for whoever handles it. */
struct timer {
    uint64_t due_us;
    uint64_t order; /* ties break by the order in which timers were set */
    uint32_t place; /* index in the heap + 1; 0 = not set */
    uint32_t kind;
    void *owner;
};

struct timers {
    struct timer **heap;
    uint32_t count;
    uint32_t cap;
    uint64_t orders;
};

/* Set or move a timer to `due_us` of the node's monotonic clock. */
void timers_set(struct timers *timers, struct timer *timer, uint64_t due_us);

/* Cancel; nothing happens when it is not set. Do so before freeing its owner. */
void timers_cancel(struct timers *timers, struct timer *timer);

/* Take and return the earliest timer that is due, or NULL. */
struct timer *timers_take(struct timers *timers, uint64_t now_us);

/* When the next timer is due, or TIMERS_NEVER. */
uint64_t timers_next(const struct timers *timers);

/* Unset every timer and release the heap: first of all when a node goes, while the owners of its
 * timers still live. */
void timers_free(struct timers *timers);

/* True while set. */
static inline bool timer_is_set(const struct timer *timer) {
    return timer->place != 0;
}

#endif
