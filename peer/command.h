/* command.h - what people and programs can ask of a running peer. */
#ifndef TRUNKLINE_PEER_COMMAND_H
#define TRUNKLINE_PEER_COMMAND_H

#include "common/node.h"

struct peer;

/* Handle NODE_COMMAND: one row per command, see peer.h. */
void command_take(struct peer *peer, const struct node_event *event);
/* Handle NODE_COMMAND_GONE. */
void command_gone(struct peer *peer, uint64_t command);

#endif
