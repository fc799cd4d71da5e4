/* heap.h - keeps a heap that has grown large on large pages. */
#ifndef TRUNKLINE_SRC_HOST_HEAP_H
#define TRUNKLINE_SRC_HOST_HEAP_H

/* What the heap has grown by since the last call, in pieces of a large page; NULL when there is no
 * whole one, as most often. For after each step of a node, on one thread only. */
void *heap_grown(void);

/* Put such a piece on a large page. Takes half a millisecond, or up to some 15 when the system has
 * to make room for it: work for a worker. */
void heap_settle(void *piece);

#endif
