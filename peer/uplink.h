/* uplink.h - a peer's links to supernodes: two parents it is registered with, and a standby. */
#ifndef TRUNKLINE_PEER_UPLINK_H
#define TRUNKLINE_PEER_UPLINK_H

#include "common/hostcache.h"
#include "common/links.h"

struct peer;
struct peer_config;

enum parent_state {
    PARENT_DIALLING,
    PARENT_STANDBY,     /* open, not registered */
    PARENT_REGISTERING, /* asked, in the order below */
    PARENT_REGISTERED
};

enum register_step {
    REGISTER_BEGUN,  /* REG_BEGIN is out */
    REGISTER_ADDING, /* records go out in slices */
    REGISTER_COMMITTED
};

/* A leaf link, from dial to end. */
struct parent {
    struct link *link;
    struct host *host;   /* in_use as long as this lives */
    uint8_t state;       /* enum parent_state */
    uint8_t step;        /* enum register_step */
    uint8_t tries;       /* lists asked for since the last success */
    bool nodes_asked;    /* one NODES is welcome */
    bool is_outdated;    /* registered with a list that has changed since */
    bool was_registered; /* it has had a whole list from us: what it gets now is a change */
    uint8_t losses;      /* how often it held another list than it had said */
    uint8_t told_slots;  /* in the last LOAD ... */
    uint64_t lost_us;    /* when it last held another list */
    uint16_t retry_s;    /* GOAWAY asked for it */
    uint16_t told_queue; /* ... as this, ... */
    uint32_t told_ms;    /* ... which went out then; 0 = none has */
    struct plan *plan;   /* what it is being sent, NULL = nothing */
    uint64_t since_us;   /* in this state */
};

struct plan;
struct resolver;

struct uplink {
    struct parent *parents[PARENTS + 1]; /* NULL = free */
    struct resolver *resolver;           /* NULL when every introducer is an address */
    struct timer timer;
    struct timer register_timer;
    uint64_t ask_us; /* when to ask for NODES again */
    uint32_t ask_wait_ms;
    uint64_t changed_us; /* first change that is not registered yet; 0 = none */
    /* What is registered, kept in the store with the list's sequence. */
    uint64_t index_id;
    struct hash root;
    uint32_t version; /* of the share table that root belongs to; 0 = not computed */
    bool is_loaded;
    uint8_t trouble; /* enum err: why the last dial failed; OK = since then one did not */
};

/* ---- uplink.c ---- */

void uplink_start(struct peer *peer, const struct peer_config *config);
void uplink_free(struct peer *peer);

/* Register what is open, dial what is missing, give up on the silent, set the next timer. */
void uplink_tend(struct peer *peer);

/* Timers and events. */
void uplink_resolve(struct peer *peer);
void uplink_resolved(struct peer *peer, const struct node_event *event);
void uplink_opened(struct peer *peer, struct link *link);
void uplink_closed(struct peer *peer, struct link *link, enum err reason);
enum err uplink_take_nodes(struct peer *peer, struct link *link, struct slice payload);
enum err uplink_take_goaway(struct peer *peer, struct link *link, struct slice payload);

/* An open link to ask a supernode through, registered ones first, `except` (may be NULL) left out;
 * NULL when there is none. */
struct link *uplink_link(const struct peer *peer, const struct node_id *except);
/* What to do when there is no parent, for people. */
const char *uplink_advice(const struct peer *peer);
/* The open link to this supernode, or NULL. */
struct link *uplink_link_to(const struct peer *peer, const struct node_id *id);

/* Something was asked of this parent: see that it lives, and those that were not heard for a while.
 */
void uplink_probe(struct peer *peer, struct link *asked);

/* How many parents are in a state or beyond it. */
uint32_t uplink_count(const struct peer *peer, enum parent_state least);

/* ---- register.c ---- */

/* Offer the present list to a parent. */
void register_begin(struct peer *peer, struct parent *parent);
enum err register_take_status(struct peer *peer, struct link *link, struct slice payload);
/* Forget what was to be sent to a parent that goes. */
void register_drop(struct parent *parent);
/* The share table changed: register again, soon. */
void register_changed(struct peer *peer);
/* TIMER_REGISTER. */
void register_timer(struct peer *peer);
/* The link takes more again. */
void register_flow(struct peer *peer, struct link *link);
/* True when there is a list to register: the scan is over or has taken long enough. */
bool register_is_ready(const struct peer *peer);

#endif
