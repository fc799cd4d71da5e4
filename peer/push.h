/* push.h - callbacks: asking a peer that cannot be dialled to dial us, and being asked. */
#ifndef TRUNKLINE_PEER_PUSH_H
#define TRUNKLINE_PEER_PUSH_H

#include "common/links.h"

struct peer;

/* Ask a supernode to have one of its leaves call us. False when we cannot be dialled either, or
 * asked this target lately. */
bool push_ask(struct peer *peer, struct link *supernode, const struct node_id *target);

/* True when an incoming link of PURPOSE_CALLBACK is one that was asked for. */
bool push_is_expected(struct peer *peer, const struct link *link);

/* A supernode passes on that somebody wants to be called. */
enum err push_take(struct peer *peer, struct link *link, struct slice payload);

void push_free(struct peer *peer);

#endif
