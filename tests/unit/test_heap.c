/* test_heap.c - a heap that has grown large gets large pages, and again after it has shrunk. */
#include "tests/unit/testlib.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "src/host/heap.h"

#define LARGE_BYTES (2u << 20)
#define PART_BYTES 4000
#define PARTS 20000 /* 80 MB */

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

/* Whether the system has as many large pages for whoever asks, and malloc takes its memory from the
 * heap. */
static bool has_large_pages(void) {
    char setting[64] = "";
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
    if (file == NULL || fgets(setting, sizeof setting, file) == NULL) {
        return false;
    }
    fclose(file);
    size_t bytes = (size_t)PARTS * PART_BYTES / LARGE_BYTES * LARGE_BYTES;
    uint8_t *pieces = aligned_alloc(LARGE_BYTES, bytes);
    assert_non_null(pieces);
    memset(pieces, 1, bytes);
    bool can = madvise(pieces, bytes, MADV_COLLAPSE) == 0;
    free(pieces);
    void *part = malloc(PART_BYTES);
    bool is_heap = (char *)part < (char *)sbrk(0); /* not so under ASan */
    free(part);
    return can && is_heap && strstr(setting, "[never]") == NULL;
}

/* Bytes of the heap that are on large pages. */
static size_t large_bytes(void) {
    FILE *file = fopen("/proc/self/smaps", "r");
    assert_non_null(file);
    char line[512];
    bool is_heap = false;
    size_t kib, sum = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (strchr(line, '-') != NULL && strchr(line, '-') < strchr(line, ' ')) {
            is_heap = strstr(line, "[heap]") != NULL;
        } else if (is_heap && sscanf(line, "AnonHugePages: %zu kB", &kib) == 1) {
            sum += kib * 1024;
        }
    }
    fclose(file);
    return sum;
}

static void settle_heap(void) {
    void *piece = heap_grown();
    if (piece != NULL) {
        heap_settle(piece);
    }
}

static void grow(void *parts[PARTS]) {
    for (uint32_t i = 0; i < PARTS; i++) {
        parts[i] = malloc(PART_BYTES);
        assert_non_null(parts[i]);
        memset(parts[i], (int)i, PART_BYTES);
        settle_heap();
    }
}

static void shrink(void *parts[PARTS]) {
    for (uint32_t i = 0; i < PARTS; i++) {
        uint8_t *bytes = parts[i];
        assert_int_equal(bytes[0], (uint8_t)i);
        assert_int_equal(bytes[PART_BYTES - 1], (uint8_t)i);
        free(bytes);
    }
    malloc_trim(0);
}

static void test_grows(void **state) {
    (void)state;
    static void *parts[PARTS];
    if (!has_large_pages()) {
        skip();
    }
    settle_heap();
    assert_int_equal(large_bytes(), 0);
    for (int round = 0; round < 2; round++) {
        grow(parts);
        size_t large = large_bytes();
        assert_true(large > (size_t)PARTS * PART_BYTES / 4);
        shrink(parts);
        assert_true(large_bytes() < large / 4);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_grows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
