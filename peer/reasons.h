/* reasons.h - the command `why`: asks a parent for the reasons of the last decision on a node. */
#ifndef TRUNKLINE_PEER_REASONS_H
#define TRUNKLINE_PEER_REASONS_H

#include "common/links.h"

struct peer;

void reasons_command(struct peer *peer, const struct node_event *event);
void reasons_command_gone(struct peer *peer, uint64_t command);
enum err reasons_take_decision(struct peer *peer, struct link *link, struct slice payload);
/* TIMER_WHY. */
void reasons_timer(struct peer *peer);
void reasons_free(struct peer *peer);

#endif
