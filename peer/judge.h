/* judge.h - what a candidate knows of the network's supernodes: who may measure it, and whether the
 * certificate of its own holds. */
#ifndef TRUNKLINE_PEER_JUDGE_H
#define TRUNKLINE_PEER_JUDGE_H

#include "common/links.h"

struct peer;

void judge_init(struct peer *peer);
void judge_free(struct peer *peer);

/* MSG_CHECKPOINT and MSG_MEMBERS of a parent; the last of each is remembered. */
enum err judge_take_checkpoint(struct peer *peer, struct link *link, struct slice payload);
enum err judge_take_members(struct peer *peer, struct link *link, struct slice payload);

/* OK: this node may be a supernode now. ERR_NOT_FOUND: its certificate is in time, but by those of
 * an epoch that is not known here. Anything else: it may not. */
MUST_CHECK enum err judge_certificate(struct peer *peer, const struct node_id *id,
                                      struct slice cert);
/* True when this node may measure us: as above, or a member of the last checkpoint. */
bool judge_may_measure(struct peer *peer, const struct node_id *id, struct slice cert);
/* True when the dice of the last checkpoint name it among those who are to measure us. */
bool judge_is_drawn(struct peer *peer, const struct node_id *id);

#endif
