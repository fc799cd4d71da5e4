/* status.h - answers questions about the peer itself. */
#ifndef TRUNKLINE_PEER_STATUS_H
#define TRUNKLINE_PEER_STATUS_H

#include "common/node.h"

struct peer;

/* The commands `status` and `share`. */
void status_command(struct peer *peer, const struct node_event *event);
void status_share_command(struct peer *peer, const struct node_event *event);

#endif
