/* vouch.h - who is a supernode, as a candidate can tell: by the checkpoints and member lists that
 * its parents pass on. Only a peer that would be a supernode keeps them. */
#ifndef TRUNKLINE_PEER_VOUCH_H
#define TRUNKLINE_PEER_VOUCH_H

#include "common/links.h"

struct peer;

/* MSG_CHECKPOINT, MSG_MEMBERS. */
enum err vouch_take_checkpoint(struct peer *peer, struct link *link, struct slice payload);
enum err vouch_take_members(struct peer *peer, struct link *link, struct slice payload);

/* True when this node is an anchor, or shows a certificate of now with enough signatures; *until_s
 * is set to its end. */
bool vouch_certified(struct peer *peer, const struct node_id *id, struct slice cert,
                     int64_t *until_s);

void vouch_free(struct peer *peer);

#endif
