/* mem.c - allocation that cannot fail: when memory is out, the process ends at once. */
#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"

#define TIDY_BYTES 1500 /* more than what malloc keeps per thread, and no size that is common */

void *mem_new(size_t bytes) {
    return mem_array(1, bytes);
}

void *mem_array(size_t count, size_t bytes) {
    size_t total;
    CHECK(!__builtin_mul_overflow(count, bytes, &total));
    void *memory = calloc(1, total > 0 ? total : 1);
    CHECK(memory != NULL);
    return memory;
}

void *mem_resize(void *memory, size_t count, size_t bytes) {
    size_t total;
    CHECK(!__builtin_mul_overflow(count, bytes, &total));
    void *resized = realloc(memory, total > 0 ? total : 1);
    CHECK(resized != NULL);
    return resized;
}

void *mem_copy(const void *from, size_t bytes) {
    void *memory = mem_new(bytes);
    if (bytes > 0) {
        memcpy(memory, from, bytes);
    }
    return memory;
}

char *mem_string(const char *text) {
    return mem_copy(text, strlen(text) + 1);
}

void mem_free(void *memory) {
    free(memory);
}

void mem_tidy(void) {
    void *volatile memory = malloc(TIDY_BYTES); /* volatile: or the two are left out */
    free(memory);
}
