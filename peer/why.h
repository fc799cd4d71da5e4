/* why.h - the command `why`: asks a parent for the reasons of the last decision on a node. */
#ifndef TRUNKLINE_PEER_WHY_H
#define TRUNKLINE_PEER_WHY_H

#include "common/links.h"

struct peer;

void why_command(struct peer *peer, const struct node_event *event);
void why_command_gone(struct peer *peer, uint64_t command);
enum err why_take_decision(struct peer *peer, struct link *link, struct slice payload);
/* TIMER_WHY. */
void why_timer(struct peer *peer);
void why_free(struct peer *peer);

#endif
