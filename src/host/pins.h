/* pins.h - lets libc give a heap that empties back in small parts. */
#ifndef TRUNKLINE_SRC_HOST_PINS_H
#define TRUNKLINE_SRC_HOST_PINS_H

/* From now on in this process; before much memory is taken. For a node with a large index: libc's
 * thresholds are fixed for it. */
void pins_init(void);

/* Look how the heap has grown or come down; nothing before pins_init. For after each step of a
 * node, on one thread only. */
void pins_step(void);

#endif
