/* peer.c - the state machine of an ordinary peer: hands events, timers and messages to its parts.
 */
#include "peer/peer.h"

#include "common/check.h"
#include "common/mem.h"
#include "peer/audit.h"
#include "peer/browse.h"
#include "peer/command.h"
#include "peer/duty.h"
#include "peer/fetch.h"
#include "peer/judge.h"
#include "peer/listing.h"
#include "peer/measured.h"
#include "peer/push.h"
#include "peer/reasons.h"
#include "peer/receipts.h"
#include "peer/search.h"
#include "peer/serve.h"
#include "peer/state.h"
#include "peer/transfer.h"

/* ---- Messages ---- */

enum link_kind { LINK_LEAF = 1, LINK_TRANSFER = 2, LINK_OTHER = 4, LINK_MEASURE = 8 };

static enum link_kind kind_of(const struct link *link) {
    static const enum link_kind kinds[] = {
        [PURPOSE_LEAF] = LINK_LEAF,         [PURPOSE_MESH] = LINK_OTHER,
        [PURPOSE_TRANSFER] = LINK_TRANSFER, [PURPOSE_PROBE] = LINK_OTHER,
        [PURPOSE_CALLBACK] = LINK_TRANSFER, [PURPOSE_DIRECTORY] = LINK_OTHER,
        [PURPOSE_MEASURE] = LINK_MEASURE,
    };
    return link->purpose < sizeof kinds / sizeof *kinds ? kinds[link->purpose] : LINK_OTHER;
}

static enum err take_goaway(struct peer *peer, struct link *link, struct slice payload) {
    if (link->owner == NULL) {
        return OK; /* a probe that says goodbye */
    }
    if (kind_of(link) == LINK_MEASURE) {
        links_close(link, GOAWAY_SHUTDOWN, ERR_REFUSED);
        return OK;
    }
    return kind_of(link) == LINK_LEAF ? uplink_take_goaway(peer, link, payload)
                                      : transfer_take_goaway(peer, link, payload);
}

static const struct {
    uint8_t type;
    uint8_t kinds; /* of links on which it may come */
    enum err (*take)(struct peer *peer, struct link *link, struct slice payload);
} messages[] = {
    {MSG_BLOCK, LINK_TRANSFER, fetch_take_block}, /* by far the most frequent */
    {MSG_BLOCK_REQUEST, LINK_TRANSFER, serve_take_block_request},
    {MSG_HITS, LINK_LEAF, search_take_hits},
    {MSG_END, LINK_LEAF, search_take_end},
    {MSG_NODES, LINK_LEAF, uplink_take_nodes},
    {MSG_REG_STATUS, LINK_LEAF, register_take_status},
    {MSG_PUSH, LINK_LEAF, push_take},
    {MSG_OPEN, LINK_TRANSFER, serve_take_open},
    {MSG_SHUT, LINK_TRANSFER, serve_take_shut},
    {MSG_HASHES_REQUEST, LINK_TRANSFER, serve_take_hashes_request},
    {MSG_HAVE, LINK_TRANSFER, fetch_take_have},
    {MSG_HASHES, LINK_TRANSFER, fetch_take_hashes},
    {MSG_REJECT, LINK_TRANSFER, fetch_take_reject},
    {MSG_BROWSE, LINK_TRANSFER, listing_take_browse},
    {MSG_LISTING, LINK_TRANSFER, browse_take_listing},
    {MSG_PLACE, LINK_TRANSFER, fetch_take_place},
    {MSG_OPEN, LINK_LEAF, audit_take_open},
    {MSG_BLOCK_REQUEST, LINK_LEAF, audit_take_block_request},
    {MSG_HASHES_REQUEST, LINK_LEAF, audit_take_hashes_request},
    {MSG_SHUT, LINK_LEAF, audit_take_shut},
    {MSG_GOAWAY, LINK_LEAF | LINK_TRANSFER | LINK_OTHER | LINK_MEASURE, take_goaway},
    {MSG_MEASURE, LINK_MEASURE, measured_take},
    {MSG_MEASURE_BLOCKS, LINK_MEASURE, measured_take_blocks},
    {MSG_HASHES_REQUEST, LINK_MEASURE, measured_take_hashes_request},
    {MSG_CERT, LINK_LEAF, duty_take_cert},
    {MSG_CHECKPOINT, LINK_LEAF, judge_take_checkpoint},
    {MSG_MEMBERS, LINK_LEAF, judge_take_members},
    {MSG_DECISION, LINK_LEAF, reasons_take_decision},
};

/* ---- What links asks of the role ---- */

static enum err admit(void *role, struct link *link, const struct hello *hello,
                      struct goaway *goaway) {
    struct peer *peer = role;
    if (peer->is_stopping) {
        goaway->reason = GOAWAY_SHUTDOWN;
        return ERR_SHUTDOWN;
    }
    if (link->purpose == PURPOSE_PROBE) { /* a supernode looks whether we can be dialled */
        return OK;
    }
    if (kind_of(link) == LINK_TRANSFER) {
        return transfer_admit(peer, link, goaway);
    }
    if (kind_of(link) == LINK_MEASURE) {
        return measured_admit(peer, link, hello, goaway);
    }
    goaway->reason = GOAWAY_POLICY;
    return ERR_POLICY;
}

static void opened(void *role, struct link *link, const struct hello *hello) {
    struct peer *peer = role;
    (void)hello;
    if (kind_of(link) == LINK_TRANSFER) {
        transfer_opened(peer, link);
    } else if (link->purpose == PURPOSE_LEAF) {
        uplink_opened(peer, link);
        duty_parent_opened(peer, link);
        receipts_parent_opened(peer);
    } else if (link->purpose == PURPOSE_MEASURE) {
        measured_opened(peer, link);
    } else if (link->purpose == PURPOSE_DIRECTORY) {
        push_link_opened(peer, link);
    } else {
        links_close(link, GOAWAY_IDLE, OK); /* the probe has seen what it wanted */
    }
}

static enum err message(void *role, struct link *link, uint8_t type, struct slice payload) {
    struct peer *peer = role;
    enum link_kind kind = kind_of(link);
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        if (messages[i].type != type || (messages[i].kinds & kind) == 0) {
            continue;
        }
        if (kind == LINK_TRANSFER && link->owner != NULL) {
            struct transfer *transfer = link->owner;
            transfer->used_us = peer->links.mono_us;
        }
        return messages[i].take(peer, link, payload);
    }
    return ERR_UNEXPECTED;
}

static void closed(void *role, struct link *link, enum err reason) {
    struct peer *peer = role;
    if (kind_of(link) == LINK_TRANSFER) {
        transfer_closed(peer, link, reason);
    } else if (kind_of(link) == LINK_MEASURE) {
        measured_closed(peer, link);
    } else if (link->owner != NULL) {
        audit_link_gone(peer, link);
        uplink_closed(peer, link, reason);
    } else if (link->purpose == PURPOSE_DIRECTORY) {
        push_link_closed(peer, link);
    }
}

static void flow(void *role, struct link *link) {
    struct peer *peer = role;
    if (kind_of(link) == LINK_TRANSFER) {
        transfer_flow(peer, link);
    } else if (kind_of(link) == LINK_MEASURE) {
        measured_flow(peer, link);
    } else if (link->owner != NULL) {
        register_flow(peer, link);
    }
}

static const struct links_role peer_role = {admit, opened, message, closed, flow};

/* ---- Stopping ---- */

static void stopped(struct peer *peer) {
    if (!peer->is_stopped) {
        peer->is_stopped = true;
        outbox_add(peer->links.out, ACTION_STOPPED);
    }
}

static void stop_when_alone(struct peer *peer) {
    uint32_t cursor = 0;
    if (peer->is_stopping && links_next(&peer->links, &cursor) == NULL) {
        stopped(peer);
    }
}

static void begin_stop(struct peer *peer) {
    if (peer->is_stopping) {
        return;
    }
    search_stop(peer);
    fetch_stop(peer);
    browse_stop(peer);
    duty_stop(peer);
    peer->is_stopping = true;
    uint32_t cursor = 0;
    for (struct link *link; (link = links_next(&peer->links, &cursor)) != NULL;) {
        links_close(link, GOAWAY_SHUTDOWN, ERR_SHUTDOWN);
    }
    peer->uplink.timer.kind = TIMER_STOP; /* it has nothing else to wait for now */
    timers_set(&peer->timers, &peer->uplink.timer, peer_after_ms(peer, STOP_MS));
    stop_when_alone(peer);
}

/* ---- Timers ---- */

static void take_timer(struct peer *peer, struct timer *timer) {
    switch (timer->kind) {
    case LINKS_TIMER:
        links_timer(&peer->links, timer);
        break;
    case TIMER_UPLINK:
        uplink_tend(peer);
        break;
    case TIMER_RESOLVE:
        uplink_resolve(peer);
        break;
    case TIMER_REGISTER:
        register_timer(peer);
        break;
    case TIMER_QUERY:
        search_timer(peer, timer->owner);
        break;
    case TIMER_DOWNLOAD:
        fetch_tick(peer, timer->owner);
        break;
    case TIMER_COMMIT:
        fetch_pieces_commit(peer, timer->owner);
        break;
    case TIMER_SERVE:
        serve_timer(peer);
        break;
    case TIMER_TRANSFER:
        transfer_timer(peer, timer->owner);
        break;
    case TIMER_BROWSE:
        browse_timer(peer, timer->owner);
        break;
    case TIMER_DUTY:
        duty_timer(peer);
        break;
    case TIMER_MEASURE:
        measured_timer(peer);
        break;
    case TIMER_RECEIPTS:
        receipts_timer(peer);
        break;
    case TIMER_WHY:
        reasons_timer(peer);
        break;
    case TIMER_STOP:
        stopped(peer);
        break;
    default:
        CHECK(timer->kind == 0);
    }
}

static void take_timers(struct peer *peer) {
    for (struct timer *timer; (timer = timers_take(&peer->timers, peer->links.mono_us)) != NULL;) {
        take_timer(peer, timer);
    }
}

/* ---- Events ---- */

static void start(struct peer *peer) {
    peer->started_us = peer->links.mono_us;
    fetch_start(peer);
    uplink_tend(peer);
    uplink_resolve(peer);
    duty_start(peer);
}

static void take_shares(struct peer *peer, const struct node_event *event) {
    if (event->kind == NODE_GROUP) {
        share_group(&peer->share, event);
        return;
    }
    if (event->kind == NODE_SHARED) {
        share_add(&peer->share, peer->env->crypto, event);
        serve_grown(peer, &event->shared.content);
    } else if (event->kind == NODE_UNSHARED) {
        share_remove(&peer->share, event->shared.file);
    } else {
        peer->share.ready = true;
        log_info(peer->env->log, "share.ready files=%u bytes=%llu", share_count(&peer->share),
                 (unsigned long long)peer->share.bytes);
        uplink_tend(peer);
        return;
    }
    register_changed(peer);
}

static void take_file(struct peer *peer, const struct node_event *event) {
    if (event->file.token != 0) {
        serve_hashed(peer, event); /* only hashing is asked for with a token */
    } else {
        fetch_file_event(peer, event);
    }
}

/* A block has left, or could not be read: one of an upload, of an audit or of being measured. */
static void take_block(struct peer *peer, const struct node_event *event) {
    struct link *link = map_get(&peer->links.by_number, &event->block.link);
    bool is_sent = event->kind == NODE_BLOCK_SENT;
    if (link != NULL && kind_of(link) == LINK_LEAF) {
        if (!is_sent) {
            audit_block_failed(peer, link, event);
        }
    } else if (link != NULL && kind_of(link) == LINK_MEASURE) {
        measured_block_done(peer, link);
    } else if (is_sent) {
        serve_block_sent(peer, event);
    } else {
        serve_block_failed(peer, event);
    }
}

static void take_event(struct peer *peer, const struct node_event *event) {
    switch (event->kind) {
    case NODE_START:
        start(peer);
        break;
    case NODE_TIMER:
        take_timers(peer);
        break;
    case NODE_RESOLVED:
        uplink_resolved(peer, event);
        break;
    case NODE_BLOCK_SENT:
    case NODE_BLOCK_FAILED:
        take_block(peer, event);
        break;
    case NODE_FILE_OPENED:
    case NODE_FILE_WRITTEN:
    case NODE_FILE_COMMITTED:
    case NODE_FILE_HASHED:
    case NODE_FILE_FINISHED:
    case NODE_FILE_FAILED:
        take_file(peer, event);
        break;
    case NODE_GROUP:
    case NODE_SHARED:
    case NODE_UNSHARED:
    case NODE_SHARES_READY:
        take_shares(peer, event);
        break;
    case NODE_STORED:
        duty_stored(peer, event);
        break;
    case NODE_SUPERNODE:
        duty_child_event(peer, event);
        break;
    case NODE_COMMAND:
        command_take(peer, event);
        break;
    case NODE_COMMAND_GONE:
        command_gone(peer, event->command.id);
        break;
    case NODE_SHUTDOWN:
        begin_stop(peer);
        break;
    default:
        links_handle(&peer->links, event);
        stop_when_alone(peer);
        break;
    }
}

static void peer_step(void *self, const struct node_event *event, struct outbox *out) {
    struct peer *peer = self;
    links_begin(&peer->links, event, out);
    if (!peer->is_stopped) {
        take_event(peer, event);
    }
}

static uint64_t peer_deadline(const void *self) {
    const struct peer *peer = self;
    return peer->is_stopped ? TIMERS_NEVER : timers_next(&peer->timers);
}

/* ---- Life ---- */

static void free_transfers(struct peer *peer) {
    uint32_t cursor = 0;
    for (struct link *link; (link = links_next(&peer->links, &cursor)) != NULL;) {
        if (kind_of(link) == LINK_TRANSFER && link->owner != NULL) {
            serve_link_gone(peer, link->owner);
            mem_free(link->owner);
            link->owner = NULL;
        }
    }
}

static void peer_free(void *self) {
    struct peer *peer = self;
    peer->is_stopping = true;   /* nobody is told anything any more */
    timers_free(&peer->timers); /* before the owners of its timers */
    fetch_free(peer);
    browse_free(peer);
    listing_free(peer);
    free_transfers(peer);
    serve_free(peer);
    receipts_free(peer);
    mem_free(peer->audits);
    search_free(peer);
    push_free(peer);
    duty_free(peer);
    reasons_free(peer);
    uplink_free(peer);
    links_free(&peer->links);
    hostcache_free(&peer->hosts);
    share_free(&peer->share);
    mem_free(peer);
}

struct node peer_new(const struct node_env *env, const struct peer_config *config) {
    static const struct node_ops ops = {peer_step, peer_deadline, peer_free};
    struct peer *peer = mem_new(sizeof *peer);
    peer->env = env;
    peer->upload_slots = config->upload_slots > 0 ? config->upload_slots : UPLOAD_SLOTS;
    CHECK(peer->upload_slots <= UPLOAD_SLOTS_CONFIG_MAX);
    peer->downloads_active =
        config->downloads_active > 0 ? config->downloads_active : DOWNLOADS_ACTIVE;
    peer->upload_bytes_per_s = config->upload_bytes_per_s;
    peer->no_browse = config->no_browse;
    peer->search_wait_ms =
        config->search_wait_ms > 0 ? config->search_wait_ms : QUERY_DEADLINE_MS + 1000;
    rng_seed(&peer->rng, env->seed);
    links_init(&peer->links, env, &peer_role, peer, &peer->timers);
    hostcache_init(&peer->hosts, env);
    share_init(&peer->share, env->seed);
    uplink_start(peer, config);
    duty_configure(peer, config);
    return (struct node){&ops, peer};
}
