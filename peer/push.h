/* push.h - callbacks: asking a peer that cannot be dialled to dial us, and being asked. */
#ifndef TRUNKLINE_PEER_PUSH_H
#define TRUNKLINE_PEER_PUSH_H

#include "common/links.h"

struct peer;

/* Have a supernode ask one of its leaves to call us, through our link to it or one dialled for this
 * alone. False when we cannot be dialled either, do not know the supernode's address, or asked this
 * target lately. */
bool push_ask(struct peer *peer, const struct node_id *supernode, const struct node_id *target);

/* Like that, through all parents: one of them may have the target as its leaf, too. */
bool push_ask_parents(struct peer *peer, const struct node_id *target);

/* A link of PURPOSE_DIRECTORY that we dialled is open: hand over what waits for it. */
void push_link_opened(struct peer *peer, struct link *link);
/* Such a link is gone, or could not be dialled. */
void push_link_closed(struct peer *peer, const struct link *link);
/* We called an address back and it was the right node. */
void push_called(struct peer *peer, const struct address *address);

/* True when an incoming link of PURPOSE_CALLBACK is one that was asked for. */
bool push_is_expected(struct peer *peer, const struct link *link);

/* A supernode passes on that somebody wants to be called. */
enum err push_take(struct peer *peer, struct link *link, struct slice payload);

void push_free(struct peer *peer);

#endif
