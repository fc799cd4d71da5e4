/* pins.c - lets libc give a heap that empties back in small parts.
 *
 * When the last block of a heap goes after all others, libc gives everything below it back in one
 * call: 3 ms for 380 MB. So the heap is pinned every few megabytes as it grows, by a block that
 * nobody uses. A pin is freed when the heap has come down to it, and libc gives back what lies
 * between it and whatever is in use below, at most until the next pin. */
#include "src/host/pins.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#include "common/mem.h"

/* Left alone, libc lets both thresholds grow with the blocks that are freed, up to 64 MiB free at
 * the end of the heap: it would never come down to a pin. */
#define TRIM_BYTES (256u << 10) /* more than this free at the end is given back, but 128 KiB */
#define MAP_BYTES (4u << 20)    /* larger blocks are not in the heap; a summary is smaller */

#define PIN_EVERY (8u << 20) /* a tenth of a millisecond to give back */
#define PINS_MAX 256         /* of 2 GiB; what grows beyond goes in one part */

/* Asked for, so that a pin is not in a hole, and what is left of it: more than malloc keeps per
 * thread of what is freed. */
#define PIN_ROOM (96u << 10)
#define PIN_BYTES 2000

/* Of the end, when all behind a pin is free: TRIM_BYTES, libc's 128 KiB, PIN_ROOM and some. */
#define PIN_NEAR (512u << 10)

static struct {
    bool is_on;
    bool is_passed; /* the heap has gone beyond the last one: when it is near again, it came down */
    uint32_t count;
    void *at[PINS_MAX]; /* upwards */
    uintptr_t start;    /* the lowest end seen */
    uintptr_t retry;    /* where the end is when the next attempt is due */
} pins;

void pins_init(void) {
    (void)mallopt(M_TRIM_THRESHOLD, TRIM_BYTES); /* another malloc may know nothing of it */
    (void)mallopt(M_MMAP_THRESHOLD, MAP_BYTES);
    pins.is_on = true;
}

static uintptr_t heap_end(void) {
    return (uintptr_t)sbrk(0); /* no system call: libc knows */
}

static bool is_near(const void *pin) {
    return heap_end() - (uintptr_t)pin < PIN_NEAR;
}

static uintptr_t last_pin(void) {
    return pins.count > 0 ? (uintptr_t)pins.at[pins.count - 1] : pins.start;
}

static void set_pin(void) {
    void *pin = mem_resize(mem_resize(NULL, 1, PIN_ROOM), 1, PIN_BYTES); /* not touched */
    if (is_near(pin)) {
        pins.at[pins.count++] = pin;
        pins.is_passed = false;
        pins.retry = 0;
    } else { /* it was in a hole */
        mem_free(pin);
        pins.retry = heap_end() + PIN_NEAR;
    }
}

void pins_step(void) {
    if (!pins.is_on) {
        return;
    }
    if (pins.count > 0) {
        bool is_last_near = is_near(pins.at[pins.count - 1]);
        if (is_last_near && pins.is_passed) {
            mem_free(pins.at[--pins.count]); /* the one below was passed before this one was set */
        }
        pins.is_passed = pins.is_passed || !is_last_near;
    }
    uintptr_t end = heap_end();
    pins.start = pins.start == 0 || end < pins.start ? end : pins.start;
    if (pins.count < PINS_MAX && end - last_pin() >= PIN_EVERY && end >= pins.retry) {
        set_pin();
    }
}
