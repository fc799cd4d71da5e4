/* heap.h - keeps a heap that has grown large on large pages. */
#ifndef TRUNKLINE_SRC_HOST_HEAP_H
#define TRUNKLINE_SRC_HOST_HEAP_H

/* Move at most one large page's worth of what the heap has grown by since the last call; for after
 * each step of a node. Costs next to nothing when there is none, else half a millisecond, or up to
 * some 15 when the system has to make room for it. Call it on one thread only. */
void heap_settle(void);

#endif
