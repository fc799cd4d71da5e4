/* status.h - answers questions about the peer itself. */
#ifndef TRUNKLINE_PEER_STATUS_H
#define TRUNKLINE_PEER_STATUS_H

#include "common/node.h"

struct peer;

/* The commands `status` and `share`. */
void peer_status_command(struct peer *peer, const struct node_event *event);
void peer_share_command(struct peer *peer, const struct node_event *event);

#endif
