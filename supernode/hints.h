/* hints.h - what leaves' receipts suggest: whom to measure next. Never how much that counts. */
#ifndef TRUNKLINE_SUPERNODE_HINTS_H
#define TRUNKLINE_SUPERNODE_HINTS_H

#include "supernode/core.h"

void hints_init(struct supernode *supernode);
void hints_free(struct supernode *supernode);
/* A leaf's RECEIPT. */
enum err hints_take(struct supernode *supernode, struct link *link, struct slice payload);
/* From how many addresses receipts speak for this candidate, at most HINT_HOSTS_MAX. */
uint8_t hints_for(const struct supernode *supernode, const struct node_id *subject);
/* An epoch begins: forget what is older than the one before. */
void hints_sweep(struct supernode *supernode);

#endif
