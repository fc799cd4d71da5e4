/* timers.c - a binary heap of timers that live in their owners. */
#include "common/timers.h"

#include "common/check.h"
#include "common/mem.h"

static bool is_before(const struct timer *a, const struct timer *b) {
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->order < b->order;
}

static void place_at(struct timers *timers, struct timer *timer, uint32_t index) {
    timers->heap[index] = timer;
    timer->place = index + 1;
}

static void sift_up(struct timers *timers, struct timer *timer, uint32_t index) {
    while (index > 0) {
        uint32_t parent = (index - 1) / 2;
        if (!is_before(timer, timers->heap[parent])) {
            break;
        }
        place_at(timers, timers->heap[parent], index);
        index = parent;
    }
    place_at(timers, timer, index);
}

static void sift_down(struct timers *timers, struct timer *timer, uint32_t index) {
    for (;;) {
        uint32_t child = index * 2 + 1;
        if (child >= timers->count) {
            break;
        }
        if (child + 1 < timers->count && is_before(timers->heap[child + 1], timers->heap[child])) {
            child++;
        }
        if (!is_before(timers->heap[child], timer)) {
            break;
        }
        place_at(timers, timers->heap[child], index);
        index = child;
    }
    place_at(timers, timer, index);
}

void timers_set(struct timers *timers, struct timer *timer, uint64_t due_us) {
    timers_cancel(timers, timer);
    if (timers->count == timers->cap) {
        timers->cap = timers->cap < 4 ? 4 : timers->cap * 2;
        timers->heap = mem_resize(timers->heap, timers->cap, sizeof(struct timer *));
    }
    timer->due_us = due_us;
    timer->order = timers->orders++;
    sift_up(timers, timer, timers->count++);
}

void timers_cancel(struct timers *timers, struct timer *timer) {
    if (timer->place == 0) {
        return;
    }
    uint32_t index = timer->place - 1;
    CHECK(index < timers->count && timers->heap[index] == timer);
    timer->place = 0;
    struct timer *last = timers->heap[--timers->count];
    if (last != timer) {
        sift_up(timers, last, index);
        sift_down(timers, last, last->place - 1);
    }
}

struct timer *timers_take(struct timers *timers, uint64_t now_us) {
    if (timers->count == 0 || timers->heap[0]->due_us > now_us) {
        return NULL;
    }
    struct timer *timer = timers->heap[0];
    timers_cancel(timers, timer);
    return timer;
}

uint64_t timers_next(const struct timers *timers) {
    return timers->count == 0 ? TIMERS_NEVER : timers->heap[0]->due_us;
}

void timers_free(struct timers *timers) {
    for (uint32_t i = 0; i < timers->count; i++) {
        timers->heap[i]->place = 0;
    }
    mem_free(timers->heap);
    *timers = (struct timers){0};
}
