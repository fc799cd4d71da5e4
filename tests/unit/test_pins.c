/* test_pins.c - a heap that empties is given back in small parts, however it has grown. */
#include "tests/unit/testlib.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "src/host/pins.h"

#define PART_BYTES 4000
#define PARTS 20000 /* 80 MB */
#define FALL_MAX (10u << 20)
#define REST_MAX (2u << 20)
#define TEMPORARY_BYTES (1u << 20)
#define LARGE_BYTES (24u << 20) /* freed, it lets libc's own thresholds grow */

/* Whether malloc takes its memory from the heap: not so under ASan. */
static bool is_heap_ours(void) {
    void *part = malloc(PART_BYTES);
    bool is_ours = (uintptr_t)part < (uintptr_t)sbrk(0);
    free(part);
    return is_ours;
}

static void take_for_a_moment(size_t bytes) {
    void *volatile memory = malloc(bytes); /* volatile: or the two are left out */
    free(memory);
}

static uintptr_t heap_end(void) {
    return (uintptr_t)sbrk(0);
}

/* How far the end has come down since *end; note where it is. */
static size_t fall(uintptr_t *end) {
    uintptr_t before = *end;
    *end = heap_end();
    return *end < before ? before - *end : 0;
}

static void *parts[PARTS];

/* Grow by a part each `steps` steps; now and then all that is free at the end is given back. */
static void grow(uint32_t steps, bool is_trimmed) {
    for (uint32_t i = 0; i < PARTS; i++) {
        parts[i] = malloc(PART_BYTES);
        assert_non_null(parts[i]);
        for (uint32_t step = 0; step < steps; step++) {
            pins_step();
        }
        if (is_trimmed && i % 100 == 0) {
            take_for_a_moment(TEMPORARY_BYTES);
            malloc_trim(0);
        }
    }
}

/* The first parts go first, so that the topmost is the last one. Return the longest fall. */
static size_t empty(void) {
    uintptr_t end = heap_end();
    size_t longest = 0;
    for (uint32_t i = 0; i < PARTS + 100; i++) {
        free(i < PARTS ? parts[i] : NULL);
        for (int half = 0; half < 2; half++) { /* what libc gave back, then what the pins let it */
            size_t fallen = fall(&end);
            longest = fallen > longest ? fallen : longest;
            pins_step();
        }
    }
    return longest;
}

static void test_a_heap_comes_down_by_parts(void **state) {
    (void)state;
    static const struct {
        uint32_t steps;
        bool is_trimmed;
    } ways[] = {{1, false}, {100, false}, {1, true}, {100, true}};
    if (!is_heap_ours()) {
        skip();
    }
    take_for_a_moment(LARGE_BYTES);
    uintptr_t start = heap_end();
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        grow(ways[i].steps, ways[i].is_trimmed);
        size_t longest = empty();
        printf("at most %zu kB at once, %zu kB stay\n", longest / 1000,
               (heap_end() > start ? heap_end() - start : 0) / 1000);
        assert_in_range(longest, 1, FALL_MAX);
        assert_true(heap_end() < start + REST_MAX);
    }
}

int main(void) {
    pins_init();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_heap_comes_down_by_parts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
