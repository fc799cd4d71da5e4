/* turns.h - copies of queries wait per link and are served in turn, so that no link delays others.
 */
#ifndef TRUNKLINE_SUPERNODE_TURNS_H
#define TRUNKLINE_SUPERNODE_TURNS_H

#include "common/links.h"

struct supernode;
struct turn;

struct turns {
    struct turn *next;  /* a ring: who is served next */
    struct timer timer; /* TIMER_TURNS: somebody waits */
};

/* Let a copy wait (its payload is copied). Return false when too many of this link's wait. */
bool turns_add(struct supernode *supernode, struct link *link, uint8_t type, struct slice payload);

/* Serve for one step; a timer that is due at once says when more waits. */
void turns_serve(struct supernode *supernode);

/* The link is gone: forget what waits. */
void turns_drop(struct supernode *supernode, struct link *link);

void turns_free(struct supernode *supernode);

#endif
