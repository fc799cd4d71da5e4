/* vouch.h - who is a supernode, as a candidate can tell: by the checkpoints and member lists that
 * its parents pass on. Only a peer that would be a supernode keeps them. */
#ifndef TRUNKLINE_PEER_VOUCH_H
#define TRUNKLINE_PEER_VOUCH_H

#include "common/links.h"

struct peer;

/* MSG_CHECKPOINT, MSG_MEMBERS. */
enum err vouch_take_checkpoint(struct peer *peer, struct link *link, struct slice payload);
enum err vouch_take_members(struct peer *peer, struct link *link, struct slice payload);

/* OK: this node is an anchor, or shows a certificate of now with enough signatures. ERR_NOT_FOUND:
 * it is in time, but signed by those of a checkpoint that is not known here. Else it is none. */
MUST_CHECK enum err vouch_certificate(struct peer *peer, const struct node_id *id,
                                      struct slice cert);

/* True when this node may measure us: the certificate is right, or it is a member of the last
 * checkpoint. */
bool vouch_may_measure(struct peer *peer, const struct node_id *id, struct slice cert);

void vouch_free(struct peer *peer);

#endif
