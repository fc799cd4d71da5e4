/* receipts.h - tells supernodes who has done something for this peer: RECEIPT. */
#ifndef TRUNKLINE_PEER_RECEIPTS_H
#define TRUNKLINE_PEER_RECEIPTS_H

#include "common/links.h"

struct peer;

/* So many bytes of files came from this peer, and were verified. */
void receipts_transfer(struct peer *peer, const struct node_id *from, uint64_t bytes);
void receipts_parent_opened(struct peer *peer);
/* TIMER_RECEIPTS. */
void receipts_timer(struct peer *peer);
/* How many have been sent. */
uint64_t receipts_sent(const struct peer *peer);
void receipts_free(struct peer *peer);

#endif
