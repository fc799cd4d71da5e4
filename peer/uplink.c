/* uplink.c - finds supernodes and keeps links to two parents and a standby.
 *
 *   dialling -> standby -> registering -> registered
 *
 * The links are equal until PARENTS of them are registered; what is open beyond that stands by, so
 * that a lost parent is replaced by a registration, not by a search for a supernode. */
#include "peer/uplink.h"

#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "peer/search.h"
#include "peer/state.h"

/* Introducers that are named by host names. */
struct resolver {
    struct timer timer;
    uint32_t wait_ms;
    uint32_t count;
    struct named {
        struct node_id id;
        uint16_t port;
        uint16_t host_at; /* its name, from the start of the resolver, with its NUL */
    } names[];
};

/* ---- Introducers ---- */

static bool is_named(const struct introducer *introducer) {
    struct address address;
    return !introducer_address(introducer, &address);
}

/* One piece of memory for all of it: the names follow the table. */
static struct resolver *resolver_new(const struct peer_config *config) {
    size_t count = 0;
    size_t text = 0;
    for (uint32_t i = 0; i < config->introducer_count; i++) {
        if (is_named(&config->introducers[i])) {
            count++;
            text += strlen(config->introducers[i].host) + 1;
        }
    }
    if (count == 0) {
        return NULL;
    }
    size_t end = offsetof(struct resolver, names) + count * sizeof(struct named);
    CHECK(end + text <= UINT16_MAX); /* of at most INTRODUCERS_MAX */
    struct resolver *resolver = mem_new(end + text);
    resolver->timer.kind = TIMER_RESOLVE;
    resolver->wait_ms = RESOLVE_MS_MIN;
    for (uint32_t i = 0; i < config->introducer_count; i++) {
        const struct introducer *introducer = &config->introducers[i];
        if (is_named(introducer)) {
            size_t len = strlen(introducer->host) + 1;
            resolver->names[resolver->count++] =
                (struct named){introducer->id, introducer->port, (uint16_t)end};
            memcpy((char *)resolver + end, introducer->host, len);
            end += len;
        }
    }
    return resolver;
}

/* Literal addresses go to the host cache at once, names are kept to be resolved. */
static void take_introducers(struct peer *peer, const struct peer_config *config) {
    for (uint32_t i = 0; i < config->introducer_count; i++) {
        const struct introducer *introducer = &config->introducers[i];
        struct address address;
        if (introducer_address(introducer, &address)) {
            hostcache_add_introducer(&peer->hosts, &introducer->id, &address);
        }
    }
    peer->uplink.resolver = resolver_new(config);
}

void uplink_resolve(struct peer *peer) {
    struct resolver *resolver = peer->uplink.resolver;
    if (resolver == NULL || uplink_count(peer, PARENT_STANDBY) > 0) {
        return; /* asked again when the last link is lost */
    }
    for (uint32_t i = 0; i < resolver->count; i++) {
        const char *host = (const char *)resolver + resolver->names[i].host_at;
        struct action *action = outbox_add_bytes(
            peer->links.out, ACTION_RESOLVE, (struct slice){(const uint8_t *)host, strlen(host)});
        action->token32 = i;
    }
    timers_set(&peer->timers, &resolver->timer, peer_after_ms(peer, resolver->wait_ms));
    resolver->wait_ms *= 2;
    resolver->wait_ms = resolver->wait_ms < RESOLVE_MS_MAX ? resolver->wait_ms : RESOLVE_MS_MAX;
}

void uplink_resolved(struct peer *peer, const struct node_event *event) {
    struct resolver *resolver = peer->uplink.resolver;
    if (resolver == NULL || event->resolved.token >= resolver->count) {
        return;
    }
    const struct named *named = &resolver->names[event->resolved.token];
    for (uint32_t i = 0; i < event->resolved.count; i++) {
        struct address address = event->resolved.addresses[i];
        address.port = named->port;
        if (network_may_dial(peer->env->network, &address)) {
            hostcache_add_introducer(&peer->hosts, &named->id, &address);
            uplink_tend(peer);
            return;
        }
    }
    log_warn(peer->env->log, "uplink.unresolved introducer=%u", event->resolved.token);
}

/* ---- Parents ---- */

uint32_t uplink_count(const struct peer *peer, enum parent_state least) {
    uint32_t count = 0;
    for (uint32_t i = 0; i <= PARENTS; i++) {
        const struct parent *parent = peer->uplink.parents[i];
        count += parent != NULL && parent->state >= least && !parent->link->closing;
    }
    return count;
}

struct link *uplink_link(const struct peer *peer, const struct node_id *except) {
    const struct parent *best = NULL;
    for (uint32_t i = 0; i <= PARENTS; i++) {
        const struct parent *parent = peer->uplink.parents[i];
        if (parent == NULL || !parent->link->open || parent->link->closing ||
            (except != NULL && node_id_equal(except, &parent->link->id))) {
            continue;
        }
        if (best == NULL || parent->state > best->state) {
            best = parent;
        }
    }
    return best != NULL ? best->link : NULL;
}

struct link *uplink_link_to(const struct peer *peer, const struct node_id *id) {
    for (uint32_t i = 0; i <= PARENTS; i++) {
        const struct parent *parent = peer->uplink.parents[i];
        if (parent != NULL && parent->link->open && !parent->link->closing &&
            node_id_equal(&parent->link->id, id)) {
            return parent->link;
        }
    }
    return NULL;
}

/* A silent death of several shows at once, not of one after the other. */
void uplink_probe(struct peer *peer, struct link *asked) {
    links_probe(asked);
    for (uint32_t i = 0; i <= PARENTS; i++) {
        const struct parent *parent = peer->uplink.parents[i];
        if (parent != NULL &&
            peer->links.mono_us - parent->link->heard_us >= PROBE_AFTER_MS * 1000ull) {
            links_probe(parent->link);
        }
    }
}

static void dial(struct peer *peer, struct host *host, struct parent **place) {
    struct parent *parent = mem_new(sizeof *parent);
    parent->host = host;
    parent->since_us = peer->links.mono_us;
    parent->link = links_dial(&peer->links, &host->id, &host->address, PURPOSE_LEAF, NULL);
    parent->link->owner = parent;
    host->in_use = true;
    *place = parent;
}

/* While places are free and nobody is known to take them, ask again; return when to do so next. */
static uint64_t ask_for_nodes(struct peer *peer) {
    struct uplink *uplink = &peer->uplink;
    if (uplink_count(peer, PARENT_STANDBY) == 0) {
        return TIMERS_NEVER;
    }
    if (uplink->ask_us > peer->links.mono_us) {
        return uplink->ask_us;
    }
    for (uint32_t i = 0; i <= PARENTS; i++) {
        struct parent *parent = uplink->parents[i];
        if (parent == NULL || !parent->link->open || parent->nodes_asked) {
            continue;
        }
        parent->nodes_asked = true;
        struct nodes_request request = {.count = NODES_WANTED};
        struct buf payload = {0};
        wire_nodes_request_encode(&payload, &request);
        peer_send(parent->link, MSG_NODES_REQUEST, &payload);
    }
    uint64_t wait_ms = uplink->ask_wait_ms;
    wait_ms = wait_ms == 0 ? NODES_AGAIN_MS_MIN : wait_ms * 2;
    wait_ms = wait_ms < NODES_AGAIN_MS_MAX ? wait_ms : NODES_AGAIN_MS_MAX;
    uplink->ask_wait_ms = (uint32_t)wait_ms;
    uplink->ask_us = peer_after_ms(peer, wait_ms);
    return uplink->ask_us;
}

/* Dial until every place is taken; return when there may be somebody to dial again. */
static uint64_t dial_missing(struct peer *peer) {
    for (uint32_t i = 0; i <= PARENTS; i++) {
        if (peer->uplink.parents[i] != NULL) {
            continue;
        }
        uint64_t wait_us;
        struct host *host = hostcache_pick(&peer->hosts, &peer->rng, peer->links.mono_us, &wait_us);
        if (host == NULL && uplink_count(peer, PARENT_STANDBY) == 0) {
            host = hostcache_pick_back(&peer->hosts);
        }
        if (host == NULL) {
            uint64_t ask_us = ask_for_nodes(peer);
            return ask_us < wait_us ? ask_us : wait_us;
        }
        dial(peer, host, &peer->uplink.parents[i]);
    }
    return TIMERS_NEVER;
}

/* True while the one that a parent sent us on to is dialled, and another parent has our list: its
 * place is kept. */
static bool is_kept(const struct peer *peer, const struct parent *parent) {
    return parent->host->is_first && parent->state == PARENT_DIALLING && !parent->link->closing &&
           parent->since_us + FILL_DIAL_MS * 1000ull > peer->links.mono_us &&
           uplink_count(peer, PARENT_REGISTERED) > 0;
}

/* The next to be registered with, the one that we were sent on to first; NULL when there is none.
 */
static struct parent *next_parent(const struct peer *peer) {
    struct parent *next = NULL;
    for (uint32_t i = 0; i <= PARENTS; i++) {
        struct parent *parent = peer->uplink.parents[i];
        if (parent == NULL) {
            continue;
        }
        if (is_kept(peer, parent)) {
            return NULL;
        }
        bool is_open = parent->state == PARENT_STANDBY && !parent->link->closing;
        if (is_open && (next == NULL || parent->host->is_first)) {
            next = parent;
        }
    }
    return next;
}

/* Return when the place that is kept may be another's. */
static uint64_t promote(struct peer *peer) {
    for (uint32_t n = uplink_count(peer, PARENT_REGISTERING); n < PARENTS; n++) {
        struct parent *parent = next_parent(peer);
        if (parent == NULL) {
            break;
        }
        parent->host->is_first = false;
        register_begin(peer, parent);
    }
    for (uint32_t i = 0; i <= PARENTS; i++) {
        const struct parent *parent = peer->uplink.parents[i];
        if (parent != NULL && is_kept(peer, parent)) {
            return parent->since_us + FILL_DIAL_MS * 1000ull;
        }
    }
    return TIMERS_NEVER;
}

/* Send off parents that do not answer; return when the next one is due. */
static uint64_t drop_silent(struct peer *peer) {
    uint64_t next_us = TIMERS_NEVER;
    for (uint32_t i = 0; i <= PARENTS; i++) {
        struct parent *parent = peer->uplink.parents[i];
        if (parent == NULL || parent->state != PARENT_REGISTERING || parent->link->closing) {
            continue;
        }
        uint64_t due_us = parent->since_us + PARENT_TIMEOUT_MS * 1000ull;
        if (due_us <= peer->links.mono_us) {
            log_info(peer->env->log, "uplink.silent link=%u", parent->link->number);
            links_close(parent->link, GOAWAY_IDLE, ERR_TIMEOUT);
        } else if (due_us < next_us) {
            next_us = due_us;
        }
    }
    return next_us;
}

void uplink_tend(struct peer *peer) {
    if (peer->is_stopping) {
        return;
    }
    uint64_t next_us = drop_silent(peer);
    uint64_t dial_us = dial_missing(peer); /* first: it may be one that is waited for */
    next_us = dial_us < next_us ? dial_us : next_us;
    uint64_t ready_us =
        register_is_ready(peer) ? promote(peer) : peer->started_us + REGISTER_SCAN_MS * 1000ull;
    next_us = ready_us < next_us ? ready_us : next_us;
    if (next_us == TIMERS_NEVER) {
        timers_cancel(&peer->timers, &peer->uplink.timer);
    } else {
        timers_set(&peer->timers, &peer->uplink.timer, next_us);
    }
}

void uplink_start(struct peer *peer, const struct peer_config *config) {
    peer->uplink.timer.kind = TIMER_UPLINK;
    peer->uplink.register_timer.kind = TIMER_REGISTER;
    take_introducers(peer, config);
}

void uplink_free(struct peer *peer) {
    for (uint32_t i = 0; i <= PARENTS; i++) {
        if (peer->uplink.parents[i] != NULL) {
            register_drop(peer->uplink.parents[i]);
            mem_free(peer->uplink.parents[i]);
        }
    }
    mem_free(peer->uplink.resolver);
}

void uplink_opened(struct peer *peer, struct link *link) {
    struct parent *parent = link->owner;
    parent->state = PARENT_STANDBY;
    parent->since_us = peer->links.mono_us;
    parent->host->sent_us_on = false;
    hostcache_succeeded(&peer->hosts, parent->host, peer->links.wall_s);
    if (peer->uplink.resolver != NULL) {
        peer->uplink.resolver->wait_ms = RESOLVE_MS_MIN;
    }
    char id[NODE_ID_SHORT_BYTES];
    node_id_short(id, &link->id);
    log_info(peer->env->log, "uplink.open link=%u parent=%s", link->number, id);
    peer->uplink.ask_us = 0;
    peer->uplink.trouble = OK;
    uplink_tend(peer);
    search_parent_opened(peer);
}

const char *uplink_advice(const struct peer *peer) {
    switch (peer->uplink.trouble) {
    case ERR_CLOSED:
        return "supernodes answer, but close the link without a word: the network file of this "
               "peer "
               "is not theirs (its secret, name, policy, profile, epoch or anchors); get the file "
               "again from whoever runs the network";
    case ERR_AUTH:
        return "another node answers at the address of the supernode: its key is not the one in "
               "the "
               "network file; get the file again from whoever runs the network";
    case ERR_BUSY:
        return "supernodes answer, but too many others call them at the moment; they are tried "
               "again in a few seconds";
    default:
        return "not connected to any supernode; check the introducers in the network file and that "
               "one runs";
    }
}

void uplink_closed(struct peer *peer, struct link *link, enum err reason) {
    struct parent *parent = link->owner;
    struct uplink *uplink = &peer->uplink;
    for (uint32_t i = 0; i <= PARENTS; i++) {
        if (uplink->parents[i] == parent) {
            uplink->parents[i] = NULL;
        }
    }
    if (parent->state == PARENT_DIALLING) {
        uplink->trouble = (uint8_t)reason;
    }
    parent->host->in_use = false;
    parent->host->is_first = false;
    hostcache_failed(&peer->hosts, parent->host, &peer->rng, parent->retry_s, peer->links.mono_us);
    hostcache_put_off(parent->host, link->busy_s);
    log_info(peer->env->log, "uplink.lost link=%u state=%u reason=%s", link->number, parent->state,
             err_name(reason));
    register_drop(parent);
    mem_free(parent);
    link->owner = NULL;
    if (peer->is_stopping) {
        return;
    }
    search_parent_lost(peer, &link->id);
    uplink_tend(peer);
    if (uplink->resolver != NULL && !timer_is_set(&uplink->resolver->timer)) {
        uplink_resolve(peer);
    }
}

/* ---- Messages ---- */

static void take_records(struct peer *peer, const struct record_list *list) {
    for (uint8_t i = 0; i < list->count; i++) {
        enum err err = hostcache_add(&peer->hosts, list->records[i], peer->links.wall_s);
        if (err != OK && err != ERR_DUPLICATE) {
            log_debug(peer->env->log, "uplink.record_refused reason=%s", err_name(err));
        }
    }
}

/* A parent that has our list names one with fewer leaves, which gets the next place. */
static void note_first(struct peer *peer, const struct record_list *list) {
    struct address_record record;
    if (list->count == 0 || wire_address_record_decode(list->records[0], &record) != OK) {
        return;
    }
    struct host *host = hostcache_find(&peer->hosts, &record.key);
    if (host != NULL && (host->in_use || host->retry_us <= peer->links.mono_us)) {
        host->is_first = true;
    }
}

enum err uplink_take_nodes(struct peer *peer, struct link *link, struct slice payload) {
    struct parent *parent = link->owner;
    struct nodes nodes;
    enum err err = wire_nodes_decode(payload, &nodes);
    if (err != OK || !parent->nodes_asked || nodes.list.count > NODES_WANTED) {
        return err != OK ? err : ERR_UNEXPECTED;
    }
    parent->nodes_asked = false;
    take_records(peer, &nodes.list);
    uplink_tend(peer);
    return OK;
}

enum err uplink_take_goaway(struct peer *peer, struct link *link, struct slice payload) {
    struct parent *parent = link->owner;
    struct goaway goaway;
    enum err err = wire_goaway_decode(payload, &goaway);
    if (err != OK) {
        return err;
    }
    parent->retry_s = goaway.retry_after_s;
    log_info(peer->env->log, "uplink.goaway link=%u reason=%u retry_s=%u", link->number,
             goaway.reason, goaway.retry_after_s);
    take_records(peer, &goaway.alternatives);
    if (goaway.reason == GOAWAY_FULL && parent->state == PARENT_REGISTERED) {
        note_first(peer, &goaway.alternatives);
        parent->host->sent_us_on = true;
    }
    links_close(link, GOAWAY_SHUTDOWN, ERR_REFUSED);
    return OK;
}
