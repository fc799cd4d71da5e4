/* register.c - tells the parents what is shared: a root when they know the list, else the rest.
 *
 *   REG_BEGIN ->  <- REG_STATUS done                          (they still have it)
 *   REG_BEGIN ->  <- REG_STATUS send changes, REG_REMOVE REG_ADD REG_COMMIT ->  <- REG_STATUS done
 *   REG_BEGIN ->  <- REG_STATUS send all, REG_ADD ... REG_COMMIT ->  <- REG_STATUS done
 *
 * A list that changes while it is sent is offered again from the start. The index id and the
 * sequence outlive the process, so that a parent recognises the list after a restart. What a parent
 * holds it says itself; nothing is remembered of it. */
#include <string.h>

#include "common/mem.h"
#include "peer/load.h"
#include "peer/plan.h"
#include "peer/state.h"
#include "peer/uplink.h"

#define STATE_KEY "registration"
#define STATE_VERSION 1

/* ---- What is remembered ---- */

static struct slice state_key(void) {
    return (struct slice){(const uint8_t *)STATE_KEY, strlen(STATE_KEY)};
}

/* Return the sequence that the list had at last, 0 = there was none. */
static uint64_t load(struct peer *peer) {
    struct uplink *uplink = &peer->uplink;
    struct slice value;
    uplink->is_loaded = true;
    if (store_get(peer->env->store, STORE_META, state_key(), &value)) {
        struct reader reader = reader_of(value.data, value.len);
        uint8_t version = reader_u8(&reader);
        uplink->index_id = reader_u64(&reader);
        uint64_t sequence = reader_u64(&reader);
        reader_copy(&reader, uplink->root.b, sizeof uplink->root.b);
        if (reader_done(&reader) && version == STATE_VERSION) {
            return sequence;
        }
        log_warn(peer->env->log, "register.state_damaged");
    }
    uplink->root = (struct hash){0};
    peer->env->crypto->fill_random(peer->env->crypto->context, &uplink->index_id,
                                   sizeof uplink->index_id);
    return 0;
}

static void save(struct peer *peer) {
    const struct uplink *uplink = &peer->uplink;
    struct buf value = {0};
    buf_u8(&value, STATE_VERSION);
    buf_u64(&value, uplink->index_id);
    buf_u64(&value, peer->share.sequence);
    buf_append(&value, uplink->root.b, sizeof uplink->root.b);
    store_put(peer->env->store, STORE_META, state_key(), (struct slice){value.data, value.len});
    buf_free(&value);
}

/* Bring root and sequence up to the share table. */
static void refresh(struct peer *peer) {
    struct uplink *uplink = &peer->uplink;
    struct share *share = &peer->share;
    uint32_t version = share->version + 1; /* 0 means never */
    uint64_t sequence = uplink->is_loaded ? share->sequence : load(peer);
    if (uplink->version == version) {
        return;
    }
    struct hash root;
    share_root(share, peer->env->crypto, &root);
    uplink->version = version;
    if (share->listed == LEAF_FILES_MAX && share_count(share) > LEAF_FILES_MAX) {
        log_warn(peer->env->log, "register.too_many files=%u registered=%u", share_count(share),
                 share->listed);
    }
    bool is_new = sequence == 0 || memcmp(root.b, uplink->root.b, sizeof root.b) != 0;
    share_settle(share, sequence + (is_new ? 1 : 0));
    if (is_new) {
        uplink->root = root;
        save(peer);
    }
}

/* ---- Sending ---- */

static void send_state(struct peer *peer, struct link *link, uint8_t type) {
    struct reg_state state = {.index_id = peer->uplink.index_id,
                              .sequence = peer->share.sequence,
                              .reach = share_reach(&peer->share),
                              .count = peer->share.listed,
                              .root = peer->uplink.root};
    struct buf payload = {0};
    wire_reg_state_encode(&payload, &state);
    peer_send(link, type, &payload);
}

bool register_is_ready(const struct peer *peer) {
    return peer->share.ready ||
           peer->links.mono_us >= peer->started_us + REGISTER_SCAN_MS * 1000ull;
}

void register_drop(struct parent *parent) {
    plan_free(parent->plan);
    parent->plan = NULL;
}

void register_begin(struct peer *peer, struct parent *parent) {
    refresh(peer);
    register_drop(parent);
    parent->state = PARENT_REGISTERING;
    parent->step = REGISTER_BEGUN;
    parent->is_outdated = false;
    parent->since_us = peer->links.mono_us;
    send_state(peer, parent->link, MSG_REG_BEGIN);
    load_tell_first(peer, parent); /* in the same turn: it costs no record of its own */
}

/* Send the next message; false when there is none. */
static bool send_next(struct parent *parent) {
    struct buf payload = {0};
    uint8_t type;
    if (!plan_next(parent->plan, &type, &payload)) {
        return false;
    }
    peer_send(parent->link, type, &payload);
    return true;
}

static void send_more(struct peer *peer, struct parent *parent) {
    if (parent->link->stalled || parent->link->closing) {
        return; /* register_flow comes */
    }
    bool is_more = true;
    for (int i = 0; i < REGISTER_BATCHES && is_more; i++) {
        is_more = send_next(parent);
    }
    parent->since_us = peer->links.mono_us;
    if (is_more) {
        timers_set(&peer->timers, &peer->uplink.register_timer, peer->links.mono_us + 1);
        return;
    }
    register_drop(parent);
    parent->step = REGISTER_COMMITTED;
    send_state(peer, parent->link, MSG_REG_COMMIT);
}

/* ---- Changes ---- */

/* Offer the list to whom it is outdated for, soon, together with what changes until then. */
static void offer_soon(struct peer *peer) {
    struct uplink *uplink = &peer->uplink;
    uint64_t now_us = peer->links.mono_us;
    uplink->changed_us = uplink->changed_us != 0 ? uplink->changed_us : now_us;
    uint64_t jitter_us = rng_below(&peer->rng, REGISTER_DELAY_MS * 1000);
    uint64_t due_us = peer_after_ms(peer, REGISTER_DELAY_MS) + jitter_us;
    uint64_t latest_us = uplink->changed_us + REGISTER_DELAY_MS_MAX * 1000ull;
    timers_set(&peer->timers, &uplink->register_timer, due_us < latest_us ? due_us : latest_us);
}

void register_changed(struct peer *peer) {
    bool is_any = peer->uplink.changed_us != 0;
    for (uint32_t i = 0; i <= PARENTS; i++) {
        struct parent *parent = peer->uplink.parents[i];
        if (parent != NULL && parent->state >= PARENT_REGISTERING) {
            register_drop(parent); /* its files may be gone */
            parent->is_outdated = true;
            is_any = true;
        }
    }
    if (is_any) {
        offer_soon(peer);
    }
}

/* Whether the delay after the last change is over is told by the timer alone, except that more
 * records of another parent may be waiting for the same timer: being early is harmless. */
void register_timer(struct peer *peer) {
    struct uplink *uplink = &peer->uplink;
    if (peer->is_stopping) {
        return;
    }
    uplink->changed_us = 0;
    for (uint32_t i = 0; i <= PARENTS; i++) {
        struct parent *parent = uplink->parents[i];
        if (parent == NULL || parent->state < PARENT_REGISTERING || parent->link->closing) {
            continue;
        }
        if (parent->is_outdated) {
            register_begin(peer, parent);
        } else if (parent->state == PARENT_REGISTERING && parent->step == REGISTER_ADDING) {
            send_more(peer, parent);
        }
    }
}

void register_flow(struct peer *peer, struct link *link) {
    struct parent *parent = link->owner;
    if (!link->stalled && parent->state == PARENT_REGISTERING && parent->step == REGISTER_ADDING &&
        !parent->is_outdated) {
        send_more(peer, parent);
    }
}

/* ---- Answers ---- */

/* An answer to an older offer says what is held now, which is not what we have. */
static bool is_our_list(const struct peer *peer, const struct reg_status *status) {
    return status->count == peer->share.listed &&
           memcmp(status->root.b, peer->uplink.root.b, sizeof status->root.b) == 0;
}

static void take_done(struct peer *peer, struct parent *parent) {
    parent->state = PARENT_REGISTERED;
    parent->was_registered = true;
    parent->tries = 0;
    if (peer->links.mono_us - parent->lost_us > LOSSES_FORGOTTEN_MS * 1000ull) {
        parent->losses = 0;
    }
    log_info(peer->env->log, "register.done link=%u files=%u sequence=%llu", parent->link->number,
             peer->share.listed, (unsigned long long)peer->share.sequence);
}

/* Send what is wanted. Changes since a list that we do not know of were asked for by an answer that
 * crossed our last offer, to which there will be another. */
static void take_send(struct peer *peer, struct parent *parent, const struct reg_status *status) {
    bool is_all = status->verdict == REG_SEND_ALL;
    const struct share *share = &peer->share;
    uint64_t oldest = share->sequence - share_reach(share);
    if (!is_all && (status->sequence < oldest || status->sequence >= share->sequence)) {
        return;
    }
    parent->plan = is_all ? plan_all(share) : plan_changes(share, status->sequence);
    parent->step = REGISTER_ADDING;
    send_more(peer, parent);
}

/* Its turn comes, it says: then it is not silent before. */
static void take_wait(struct peer *peer, struct parent *parent, uint32_t wait_ms) {
    wait_ms = wait_ms < REGISTER_WAIT_MS_MAX ? wait_ms : REGISTER_WAIT_MS_MAX;
    parent->since_us = peer_after_ms(peer, wait_ms);
}

static void take_refused(struct peer *peer, struct parent *parent) {
    log_warn(peer->env->log, "register.refused link=%u files=%u", parent->link->number,
             peer->share.listed);
    if (parent->retry_s < PARENT_TIMEOUT_MS / 1000) {
        parent->retry_s = PARENT_TIMEOUT_MS / 1000; /* another one first */
    }
    links_close(parent->link, GOAWAY_IDLE, ERR_REFUSED);
}

/* A parent that had our list says that it holds something else now. */
static void take_loss(struct peer *peer, struct parent *parent) {
    log_warn(peer->env->log, "register.lost link=%u", parent->link->number);
    parent->lost_us = peer->links.mono_us;
    if (parent->losses++ >= REGISTER_TRIES) {
        take_refused(peer, parent);
        return;
    }
    parent->is_outdated = true;
    offer_soon(peer);
}

static void take_answer(struct peer *peer, struct parent *parent, const struct reg_status *status) {
    if (status->verdict == REG_DONE) {
        if (is_our_list(peer, status)) {
            take_done(peer, parent);
        }
    } else if (status->verdict == REG_WAIT) {
        take_wait(peer, parent, status->retry_after_ms);
    } else if (status->verdict == REG_LOST) {
        log_debug(peer->env->log, "register.lost_meanwhile link=%u", parent->link->number);
    } else if (status->verdict == REG_REFUSED) {
        take_refused(peer, parent);
    } else if (parent->step == REGISTER_BEGUN) {
        take_send(peer, parent, status);
    } else if (parent->tries++ >= REGISTER_TRIES) {
        take_refused(peer, parent);
    } else {
        register_begin(peer, parent); /* what arrived was not what was promised */
    }
}

enum err register_take_status(struct peer *peer, struct link *link, struct slice payload) {
    struct parent *parent = link->owner;
    struct reg_status status;
    enum err err = wire_reg_status_decode(payload, &status);
    if (err != OK || parent->state < PARENT_REGISTERING) {
        return err != OK ? err : ERR_UNEXPECTED;
    }
    if (parent->is_outdated) {
        return OK; /* about a list that has changed: the timer offers the new one */
    }
    if (parent->state == PARENT_REGISTERED) {
        if (!is_our_list(peer, &status)) {
            take_loss(peer, parent);
        }
    } else if (parent->step != REGISTER_ADDING) {
        take_answer(peer, parent, &status);
    }
    uplink_tend(peer);
    return OK;
}
