/* conduct.h - what a neighbour's silence and misdeeds in searches come to. */
#ifndef TRUNKLINE_SUPERNODE_CONDUCT_H
#define TRUNKLINE_SUPERNODE_CONDUCT_H

#include "common/links.h"

struct neighbour;
struct supernode;

/* It left a copy unanswered, or answered one. */
void conduct_was_silent(const struct supernode *supernode, struct neighbour *neighbour);
void conduct_answered(struct neighbour *neighbour);

/* True when there is no use in sending a copy now: it takes nothing, it is about to go, or it was
 * silent too often; of the latter one copy is sent now and then: this one, when false. */
bool conduct_is_mute(const struct supernode *supernode, struct neighbour *neighbour);

/* True when its misdeeds end the link, as soon as it has the answers it is owed. */
bool conduct_is_parting(const struct link *link);

#endif
