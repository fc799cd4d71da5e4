/* browse.h - the command `browse`: what another peer shares. */
#ifndef TRUNKLINE_PEER_BROWSE_H
#define TRUNKLINE_PEER_BROWSE_H

#include "common/node.h"
#include "common/wire.h"
#include "peer/transfer.h"

struct browse;

void browse_command(struct peer *peer, const struct node_event *event);
/* Whoever asked has gone. */
void browse_command_gone(struct peer *peer, uint64_t command);

enum err browse_take_listing(struct peer *peer, struct link *link, struct slice payload);
/* False when the reject is about something else. */
bool browse_take_reject(struct peer *peer, const struct link *link, const struct reject *reject);
void browse_link_opened(struct peer *peer, struct transfer *transfer);
void browse_link_gone(struct peer *peer, const struct transfer *transfer);
/* TIMER_BROWSE. */
void browse_timer(struct peer *peer, struct browse *browse);
/* Answer every waiting command with an error. */
void browse_stop(struct peer *peer);
void browse_free(struct peer *peer);

#endif
