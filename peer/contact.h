/* contact.h - how a node can be reached, by what people, links and searches tell of it. */
#ifndef TRUNKLINE_PEER_CONTACT_H
#define TRUNKLINE_PEER_CONTACT_H

#include "common/ids.h"
#include "common/wire.h"

struct peer;

struct contact {
    struct node_id id;
    struct address address;  /* that somebody told; family ADDRESS_NONE = nobody did */
    struct slice record;     /* its own signed address record, borrowed; empty = none */
    struct node_id answerer; /* the supernode it is a leaf of; zero = unknown */
    bool is_proven;          /* a supernode says that it can be dialled */
};

/* `<node id>` or `<node id>@<address>:<port>`, as people write it. */
#define CONTACT_TEXT_BYTES (NODE_ID_TEXT_BYTES + ADDRESS_TEXT_BYTES)
void contact_format(char text[CONTACT_TEXT_BYTES], const struct contact *contact);

/* Read that text (a host name instead of an address is ERR_FORMAT: nobody here asks for names).
 * ERR_MISMATCH for a check character that is wrong. */
MUST_CHECK enum err contact_parse(struct contact *contact, const char *text);

/* Add what searches have found of this node. */
void contact_recall(const struct peer *peer, struct contact *contact);

/* Where to dial it: the address of its record, if that is its own, fresh, and one we may dial; else
 * the one that was told. False when there is neither. */
bool contact_address(const struct peer *peer, const struct contact *contact,
                     struct address *address);

#endif
