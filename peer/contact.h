/* contact.h - how a node can be reached, by what people, links and searches tell of it. */
#ifndef TRUNKLINE_PEER_CONTACT_H
#define TRUNKLINE_PEER_CONTACT_H

#include "common/filelink.h"
#include "common/wire.h"

struct peer;

struct contact {
    struct node_place told;  /* its id, and an address if somebody said one */
    struct slice record;     /* its own signed address record, borrowed; empty = none */
    struct node_id answerer; /* the supernode it is a leaf of; zero = unknown */
    bool is_proven;          /* a supernode says that it can be dialled */
};

/* Add what searches have found of this node. */
void contact_recall(const struct peer *peer, struct contact *contact);

/* Where to dial it: the address of its record, if that is its own, fresh, and one we may dial; else
 * the one that was told. False when there is neither. */
bool contact_address(const struct peer *peer, const struct contact *contact,
                     struct address *address);

#endif
