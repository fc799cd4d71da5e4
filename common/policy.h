/* policy.h - who becomes a supernode and who ceases to be one: one decision for all nodes at once,
 * by the policy that the network's config names.
 *
 * Every policy sees the same facts. Most give each node a ticket and leave the rest to the draw
 * (seats.h): as many seats as the load asks for, none for those who fail the gate, and no change of
 * role within the dwell time. The policies of older networks decide by their own rules, and believe
 * what a node says of itself: they are here to be compared with. */
#ifndef TRUNKLINE_COMMON_POLICY_H
#define TRUNKLINE_COMMON_POLICY_H

#include "common/seats.h"

/* What a node says of itself. */
struct policy_claims {
    uint64_t up_rate;   /* bytes per second */
    uint64_t down_rate; /* bytes per second */
    uint32_t uptime_s;
    uint32_t mean_uptime_s;
    bool accepts_links;
};

struct policy_node {
    struct node_id id;
    bool is_anchor; /* a supernode always */
    bool is_member; /* a supernode now */
    bool consents;
    bool is_gated;          /* consent, dial-backs, uptime, caps and age of key, as measured */
    uint64_t mass;          /* what seats_counts returned, in parts of RANK_ONE */
    uint64_t measured_rate; /* bytes per second, by certified supernodes */
    uint32_t witnessed_s;   /* how long supernodes have seen it */
    uint32_t role_s;        /* since its last change of role; UINT32_MAX = it never changed */
    struct policy_claims claimed;
    uint32_t leaves; /* of a member */
    uint32_t slots;  /* of a member */
    uint64_t number; /* seats_number, where it is known already; 0 = it is not */
};

struct policy_view {
    const struct crypto *crypto;
    struct beacons
        beacons; /* SEATS_TERM_EPOCHS of them, as far as they are known; epoch and dice */
    uint32_t epoch_s;
    uint32_t dwell_s;
    uint32_t members; /* supernodes now, anchors included */
    uint32_t wanted;  /* seats, as the decision before returned it; 0 = as many as there are */
    uint64_t slots;   /* for leaves, of all members */
    uint64_t used;
    uint32_t minimum; /* of seats; 0 = SEATS_MIN */
    bool is_frozen;   /* there is no new checkpoint: nobody changes his role */
};

/* For error texts: the names of all policies. */
#define POLICY_NAMES                                                                               \
    "reputation, capacity, age, random, limewire, gtk-gnutella, dlm, self-declared or eigentrust"

enum policy_verdict { POLICY_KEEP, POLICY_PROMOTE, POLICY_DEMOTE };

struct policy_decision {
    enum policy_verdict verdict;
    const char *reason; /* a constant text, never NULL */
    uint64_t score;     /* what the policy goes by: mass, bytes per second, seconds */
    uint64_t draw;      /* its number ... */
    uint64_t threshold; /* ... wins below this */
};

struct policy {
    const char *name;
    const char *what;         /* one line for people */
    uint32_t teleport_milli;  /* of the rank that makes `mass`; 0 = mass is not looked at */
    uint32_t row_cap_percent; /* of that rank */
    bool believes_claims;     /* of a node about itself: the gate is not asked */
    uint32_t (*decide)(const struct policy_view *view, const struct policy_node *nodes,
                       uint32_t count, struct policy_decision *decisions);
    struct ticket (*ticket)(const struct policy_view *view, const struct policy_node *node);
};

/* Return a policy, or NULL when none has that name; NULL as the name is the default one. */
const struct policy *policy_find(const char *name);

/* The policies one after the other, from 0; NULL after the last. */
const struct policy *policy_at(uint32_t place);

/* Decide about all nodes: decisions[i] is about nodes[i]. Return the number of seats that are
 * wanted now, for the view of the next epoch. */
uint32_t policy_decide(const struct policy *policy, const struct policy_view *view,
                       const struct policy_node *nodes, uint32_t count,
                       struct policy_decision *decisions);

#endif
