/* state.h - what the files of peer/ share: the state of one peer and its timers.
 *
 * An idle peer costs little: whatever it does not need yet is a NULL pointer. A link's `owner` is a
 * struct parent (PURPOSE_LEAF), a struct transfer (PURPOSE_TRANSFER, PURPOSE_CALLBACK) or a struct
 * stream (PURPOSE_MEASURE). */
#ifndef TRUNKLINE_PEER_STATE_H
#define TRUNKLINE_PEER_STATE_H

#include "common/hostcache.h"
#include "common/links.h"
#include "common/rng.h"
#include "peer/peer.h"
#include "peer/share.h"
#include "peer/uplink.h"

enum peer_timer {
    TIMER_UPLINK = 1, /* dial, register, give up on silent parents */
    TIMER_RESOLVE,    /* names of introducers */
    TIMER_REGISTER,   /* the list changed, or there is more of it to send */
    TIMER_QUERY,      /* owner: a query whose time is over */
    TIMER_DOWNLOAD,   /* owner: a download's progress, timeouts, retries */
    TIMER_COMMIT,     /* owner: a download's written pieces want to be durable */
    TIMER_SERVE,      /* slots that idle, the upload rate, a LOAD that must wait */
    TIMER_TRANSFER,   /* owner: a transfer link that idles or stalls */
    TIMER_BROWSE,     /* owner: a host that is browsed and does not answer, or was busy */
    TIMER_DUTY,       /* the next epoch */
    TIMER_MEASURE,    /* streams go on */
    TIMER_RECEIPTS,   /* an epoch is over: say who has done something */
    TIMER_WHY,        /* owner: a question that nobody answers */
    TIMER_STOP,       /* goodbyes have taken long enough */
    PEER_TIMERS
};

struct audits;
struct browse;
struct duty;
struct fetch;
struct listings;
struct pushes;
struct search;
struct serve;
struct reasons;
struct receipts;

struct peer {
    const struct node_env *env;
    struct links links;
    struct timers timers;
    struct rng rng;
    struct hostcache hosts;
    struct uplink uplink;
    struct share share;
    struct search *search;     /* NULL until something is searched */
    struct fetch *fetch;       /* NULL until something is fetched */
    struct serve *serve;       /* NULL until something is served */
    struct audits *audits;     /* NULL until a parent asks for a block */
    struct pushes *push;       /* NULL until somebody asks us to call back, or we them */
    struct browse *browses;    /* of others */
    struct listings *listings; /* NULL until somebody browses us */
    struct duty *duty;         /* NULL until its user would have it be a supernode, too */
    struct reasons *reasons;   /* NULL until somebody asks for a reason */
    struct receipts *receipts; /* NULL where no supernodes are elected */
    uint64_t started_us;
    uint64_t upload_bytes_per_s; /* 0 = unlimited */
    uint32_t upload_slots;
    uint32_t downloads_active;
    uint32_t search_wait_ms;
    uint32_t transfer_links; /* dialled by others */
    bool no_browse;          /* nobody is shown what is shared */
    bool is_stopping;
    bool is_stopped;
};

/* The step's time, `ms` later. */
static inline uint64_t peer_after_ms(const struct peer *peer, uint64_t ms) {
    return peer->links.mono_us + ms * 1000;
}

/* Send an encoded payload and free it. */
static inline void peer_send(struct link *link, uint8_t type, struct buf *payload) {
    links_send(link, type, (struct slice){payload->data, payload->len});
    buf_free(payload);
}

#endif
