/* handover.h - a supernode that leaves: its leaves go on, and their lists with them. */
#ifndef TRUNKLINE_SUPERNODE_HANDOVER_H
#define TRUNKLINE_SUPERNODE_HANDOVER_H

#include "common/links.h"

struct leaf;
struct neighbour;
struct supernode;

/* Send the leaves on and begin to hand their lists over. False when nobody would gain: the rest of
 * the goodbye can follow at once; else supernode_goodbye is called when it is done. */
bool handover_begin(struct supernode *supernode);
/* TIMER_HANDOVER. */
void handover_timer(struct supernode *supernode);

/* SNAPSHOT and the REG_ADDs after it, of a neighbour that leaves. */
enum err handover_take_snapshot(struct supernode *supernode, struct link *link,
                                struct slice payload);
enum err handover_take_add(struct supernode *supernode, struct link *link, struct slice payload);
/* Forget what has come in part. */
void handover_closed(struct supernode *supernode, struct neighbour *neighbour);

/* Show the list of a leaf without a link for so long; the leaf itself has that time to come. */
void handover_vouch(struct leaf *leaf, uint64_t ms);

/* The same for a leaf that is being forgotten. */
void handover_leaf_gone(struct leaf *leaf);

void handover_free(struct supernode *supernode);

#endif
