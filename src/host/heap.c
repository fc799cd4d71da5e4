/* heap.c - keeps a heap that has grown large on large pages, and gives it back in small parts.
 *
 * A search in an index of a million names looks at memory all over it, and with pages of 4 KiB
 * waits for their addresses too. So the heap asks for large pages unless the system forbids them:
 * piece by piece, as it grows (MADV_COLLAPSE, Linux 6.1), a piece once and only when the heap lies
 * beyond it, so that it is in use. What trim.c gives back stays given back. A system that cannot,
 * or has no large page to spare, leaves things as they are.
 *
 * When the last block of a heap goes after all others, libc gives everything below it back in one
 * call: 3 ms for 380 MB. So there is a pin every few megabytes, a block that nobody uses; it goes
 * when the heap has come down to it. */
#include "src/host/heap.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/mem.h"

#define PIECE_BYTES (2u << 20) /* a large page of x86-64 and AArch64 */
#define GROWTH_MIN (32u << 20) /* below, the processor keeps most addresses anyway */

/* More than this free at the end of the heap is given back, and larger blocks are not in it. Left
 * alone, libc lets both grow with the blocks that are freed, and a pin would be near the end never.
 */
#define TRIM_BYTES (512u << 10)
#define MAP_BYTES (4u << 20)
#define PIN_EVERY (8u << 20) /* a tenth of a millisecond to give back */
#define PIN_NEAR (1u << 20)  /* of the end: less may be free behind it and not be given back */
#define PIN_ROOM (96u << 10) /* too large for most holes, so that it is found at the end */
#define PIN_BYTES 1500       /* more than what malloc keeps per thread when it is freed */
#define PINS_MAX 256
#define CALM_CALLS 1000

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static struct {
    void *at[PINS_MAX];
    uint32_t count;
    uint32_t calm;  /* calls since the end has moved up */
    uintptr_t next; /* where the end is when one more is due */
    uintptr_t end;  /* at the last call */
} pins;

void heap_init(void) {
    (void)mallopt(M_TRIM_THRESHOLD, TRIM_BYTES); /* another malloc may know nothing of it */
    (void)mallopt(M_MMAP_THRESHOLD, MAP_BYTES);
}

/* ---- Pins ---- */

static bool is_near(const void *pin, uintptr_t end) {
    return end - (uintptr_t)pin < PIN_NEAR;
}

static void set_pin(void) {
    void *pin = mem_resize(mem_resize(NULL, 1, PIN_ROOM), 1, PIN_BYTES);
    uintptr_t end = (uintptr_t)sbrk(0);
    if (is_near(pin, end)) {
        pins.at[pins.count++] = pin;
        pins.next = end + PIN_EVERY;
    } else {
        mem_free(pin);
        pins.next = end + PIN_NEAR;
    }
}

/* Free the last pin when the heap has come down to it, or seems to: if it was too early, the next
 * part to be given back is twice as large. */
static void pull_pin(uintptr_t end) {
    if (pins.count > 0 && pins.calm >= CALM_CALLS && is_near(pins.at[pins.count - 1], end)) {
        mem_free(pins.at[--pins.count]);
        pins.calm = 0;
    }
}

static void look_at_pins(uintptr_t end) {
    if (end < pins.end || pins.next == 0) {
        pins.calm = CALM_CALLS;
        pins.next = end + PIN_EVERY;
    } else {
        pins.calm = end == pins.end ? pins.calm + 1 : 0;
    }
    pins.end = end;
    pull_pin(end);
    if (end >= pins.next && pins.count < PINS_MAX) {
        set_pin();
    }
}

/* ---- Large pages ---- */

static uintptr_t whole_piece(uintptr_t at) {
    return (at + PIECE_BYTES - 1) / PIECE_BYTES * PIECE_BYTES;
}

/* Who runs the system may have forbidden large pages; MADV_COLLAPSE would not ask. */
static bool is_forbidden(void) {
    char setting[64] = "";
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
    if (file != NULL) {
        (void)!fgets(setting, sizeof setting, file);
        fclose(file);
    }
    return strstr(setting, "[never]") != NULL;
}

void *heap_grown(void) {
    static uintptr_t start, next;
    static bool is_off;
    uintptr_t end = (uintptr_t)sbrk(0); /* no system call: libc knows */
    if (start == 0) {
        start = end;
        is_off = is_forbidden();
    }
    look_at_pins(end);
    if (end < next || next == 0) { /* it has shrunk, or this is the first look */
        next = whole_piece(end > start ? end : start);
    } else if (!is_off && end - start >= GROWTH_MIN && end - next >= PIECE_BYTES) {
        next += PIECE_BYTES;
        return (void *)(next - PIECE_BYTES);
    }
    return NULL;
}

void heap_settle(void *piece) {
    (void)madvise(piece, PIECE_BYTES, MADV_COLLAPSE);
}
