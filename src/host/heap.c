/* heap.c - keeps a heap that has grown large on large pages.
 *
 * A search in an index of a million names looks at memory all over it, and with pages of 4 KiB
 * waits for their addresses too. So the heap asks for large pages unless the system forbids them:
 * piece by piece, as it grows (MADV_COLLAPSE, Linux 6.1), a piece once and only when the heap lies
 * beyond it, so that it is in use. What trim.c gives back stays given back. A system that cannot,
 * or has no large page to spare, leaves things as they are. */
#include "src/host/heap.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PIECE_BYTES (2u << 20) /* a large page of x86-64 and AArch64 */
#define GROWTH_MIN (32u << 20) /* below, the processor keeps most addresses anyway */

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

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
