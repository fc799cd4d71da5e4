/* liar_node.h - a peer that would be a supernode and claims what it has not: an uptime, a rate. It
 * shares one line with others of its kind. */
#ifndef TRUNKLINE_FLEET_LIAR_NODE_H
#define TRUNKLINE_FLEET_LIAR_NODE_H

#include "peer/peer.h"

/* One line, whose bytes per second all who are measured at a time share evenly, as TCP would. */
struct line {
    uint64_t rate;
    uint64_t begun_us; /* since when somebody has been measured without a break */
    uint64_t sent;     /* since then */
};

struct liar;

/* All of them. */
struct ring {
    struct line line;
    uint32_t count;
    uint32_t room;
    struct liar **liars;
};

/* What liar_make wants of a node's role_config. */
struct liar_role {
    struct peer_config peer;
    struct ring *ring; /* outlives the node; has room for it */
};

struct node liar_make(const struct node_env *env, const void *role);

/* The key that the supernode of this one would have; NULL as long as there is none. */
const struct node_id *liar_subject(const struct liar *liar);

#endif
