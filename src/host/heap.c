/* heap.c - keeps a heap that has grown large on large pages.
 *
 * A search in an index of a million names looks at memory all over it, and with pages of 4 KiB
 * waits for their addresses too. So the heap asks for large pages, whatever the system's setting:
 * piece by piece, as it grows (MADV_COLLAPSE, Linux 6.1), a piece once and only when the heap lies
 * beyond it, so that it is in use. What trim.c gives back stays given back. A system that cannot,
 * or has no large page to spare, leaves things as they are. */
#include "src/host/heap.h"

#include <stdint.h>
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

void heap_settle(void) {
    static uintptr_t start, next;
    uintptr_t end = (uintptr_t)sbrk(0); /* no system call: libc knows */
    if (start == 0) {
        start = end;
    }
    if (end < next || next == 0) { /* it has shrunk, or this is the first look */
        next = whole_piece(end > start ? end : start);
    } else if (end - start >= GROWTH_MIN && end - next >= PIECE_BYTES) {
        (void)madvise((void *)next, PIECE_BYTES, MADV_COLLAPSE);
        next += PIECE_BYTES;
    }
}
