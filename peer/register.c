/* register.c - tells the parents what is shared: a root when they know the list, else the list.
 *
 *   REG_BEGIN ->  <- REG_STATUS done                          (they still have it)
 *   REG_BEGIN ->  <- REG_STATUS send all, REG_ADD ... REG_COMMIT ->  <- REG_STATUS done
 *
 * A list that changes while it is sent is offered again from the start. The index id and the
 * sequence outlive the process, so that a parent recognises the list after a restart. */
#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "peer/state.h"
#include "peer/uplink.h"

#define STATE_KEY "registration"
#define STATE_VERSION 1
#define BATCH_BYTES_MAX (FRAME_PAYLOAD_MAX - 2) /* the count comes first */

/* ---- What is remembered ---- */

static struct slice state_key(void) {
    return (struct slice){(const uint8_t *)STATE_KEY, strlen(STATE_KEY)};
}

static void load(struct peer *peer) {
    struct uplink *uplink = &peer->uplink;
    struct slice value;
    uplink->is_loaded = true;
    if (store_get(peer->env->store, STORE_META, state_key(), &value)) {
        struct reader reader = reader_of(value.data, value.len);
        uint8_t version = reader_u8(&reader);
        uplink->index_id = reader_u64(&reader);
        uplink->sequence = reader_u64(&reader);
        reader_copy(&reader, uplink->root.b, sizeof uplink->root.b);
        if (reader_done(&reader) && version == STATE_VERSION) {
            return;
        }
        log_warn(peer->env->log, "register.state_damaged");
    }
    uplink->sequence = 0;
    uplink->root = (struct hash){0};
    peer->env->crypto->fill_random(peer->env->crypto->context, &uplink->index_id,
                                   sizeof uplink->index_id);
}

static void save(struct peer *peer) {
    const struct uplink *uplink = &peer->uplink;
    struct buf value = {0};
    buf_u8(&value, STATE_VERSION);
    buf_u64(&value, uplink->index_id);
    buf_u64(&value, uplink->sequence);
    buf_append(&value, uplink->root.b, sizeof uplink->root.b);
    store_put(peer->env->store, STORE_META, state_key(), (struct slice){value.data, value.len});
    buf_free(&value);
}

/* Bring root, count and sequence up to the share table. */
static void refresh(struct peer *peer) {
    struct uplink *uplink = &peer->uplink;
    uint32_t version = peer->share.version + 1; /* 0 means never */
    if (!uplink->is_loaded) {
        load(peer);
    }
    if (uplink->version == version) {
        return;
    }
    struct hash root;
    share_root(&peer->share, peer->env->crypto, &root);
    uplink->version = version;
    uplink->count = share_registered(&peer->share);
    if (uplink->count < share_count(&peer->share)) {
        log_warn(peer->env->log, "register.too_many files=%u registered=%u",
                 share_count(&peer->share), uplink->count);
    }
    if (uplink->sequence == 0 || memcmp(root.b, uplink->root.b, sizeof root.b) != 0) {
        uplink->sequence++;
        uplink->root = root;
        save(peer);
    }
}

/* ---- Sending ---- */

static void send_state(struct peer *peer, struct link *link, uint8_t type) {
    const struct uplink *uplink = &peer->uplink;
    struct reg_state state = {.index_id = uplink->index_id,
                              .sequence = uplink->sequence,
                              .count = uplink->count,
                              .root = uplink->root};
    struct buf payload = {0};
    wire_reg_state_encode(&payload, &state);
    peer_send(link, type, &payload);
}

bool register_is_ready(const struct peer *peer) {
    return peer->share.ready ||
           peer->links.mono_us >= peer->started_us + REGISTER_SCAN_MS * 1000ull;
}

void register_begin(struct peer *peer, struct parent *parent) {
    refresh(peer);
    parent->state = PARENT_REGISTERING;
    parent->step = REGISTER_BEGUN;
    parent->is_outdated = false;
    parent->since_us = peer->links.mono_us;
    send_state(peer, parent->link, MSG_REG_BEGIN);
}

/* Send as many records as fit one REG_ADD; false when none are left. */
static bool send_batch(struct peer *peer, struct parent *parent) {
    struct reg_add add = {0};
    struct buf records = {0};
    while (add.count < REG_RECORDS_MAX && parent->added < peer->uplink.count) {
        uint32_t cursor = parent->cursor;
        const struct shared_file *file = share_next(&peer->share, &cursor);
        CHECK(file != NULL);
        struct file_record record = share_record(file);
        size_t before = records.len;
        wire_file_record_encode(&records, &record);
        if (records.len > BATCH_BYTES_MAX) {
            records.len = before;
            break;
        }
        parent->cursor = cursor;
        parent->added++;
        add.count++;
    }
    if (add.count > 0) {
        struct buf payload = {0};
        add.records = (struct slice){records.data, records.len};
        wire_reg_add_encode(&payload, &add);
        peer_send(parent->link, MSG_REG_ADD, &payload);
    }
    buf_free(&records);
    return parent->added < peer->uplink.count;
}

static void send_more(struct peer *peer, struct parent *parent) {
    if (parent->link->stalled || parent->link->closing) {
        return; /* register_flow comes */
    }
    bool is_more = true;
    for (int i = 0; i < REGISTER_BATCHES && is_more; i++) {
        is_more = send_batch(peer, parent);
    }
    parent->since_us = peer->links.mono_us;
    if (is_more) {
        timers_set(&peer->timers, &peer->uplink.register_timer, peer->links.mono_us + 1);
        return;
    }
    parent->step = REGISTER_COMMITTED;
    send_state(peer, parent->link, MSG_REG_COMMIT);
}

/* ---- Changes ---- */

void register_changed(struct peer *peer) {
    struct uplink *uplink = &peer->uplink;
    uint64_t now_us = peer->links.mono_us;
    for (uint32_t i = 0; i <= PARENTS; i++) {
        struct parent *parent = uplink->parents[i];
        if (parent != NULL && parent->state >= PARENT_REGISTERING) {
            parent->is_outdated = true;
            uplink->changed_us = uplink->changed_us != 0 ? uplink->changed_us : now_us;
        }
    }
    if (uplink->changed_us == 0) {
        return;
    }
    uint64_t jitter_us = rng_below(&peer->rng, REGISTER_DELAY_MS * 1000);
    uint64_t due_us = peer_after_ms(peer, REGISTER_DELAY_MS) + jitter_us;
    uint64_t latest_us = uplink->changed_us + REGISTER_DELAY_MS_MAX * 1000ull;
    timers_set(&peer->timers, &uplink->register_timer, due_us < latest_us ? due_us : latest_us);
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
    return status->count == peer->uplink.count &&
           memcmp(status->root.b, peer->uplink.root.b, sizeof status->root.b) == 0;
}

static void take_done(struct peer *peer, struct parent *parent) {
    parent->state = PARENT_REGISTERED;
    parent->tries = 0;
    log_info(peer->env->log, "register.done link=%u files=%u sequence=%llu", parent->link->number,
             peer->uplink.count, (unsigned long long)peer->uplink.sequence);
}

static void take_send_all(struct peer *peer, struct parent *parent) {
    parent->step = REGISTER_ADDING;
    parent->cursor = 0;
    parent->added = 0;
    send_more(peer, parent);
}

static void take_refused(struct peer *peer, struct parent *parent) {
    log_warn(peer->env->log, "register.refused link=%u files=%u", parent->link->number,
             peer->uplink.count);
    if (parent->retry_s < PARENT_TIMEOUT_MS / 1000) {
        parent->retry_s = PARENT_TIMEOUT_MS / 1000; /* another one first */
    }
    links_close(parent->link, GOAWAY_IDLE, ERR_REFUSED);
}

enum err register_take_status(struct peer *peer, struct link *link, struct slice payload) {
    struct parent *parent = link->owner;
    struct reg_status status;
    enum err err = wire_reg_status_decode(payload, &status);
    if (err != OK) {
        return err;
    }
    bool is_awaited = parent->state == PARENT_REGISTERING && parent->step != REGISTER_ADDING;
    if (!is_awaited) {
        return parent->state == PARENT_STANDBY ? ERR_UNEXPECTED : OK;
    }
    if (parent->is_outdated) {
        return OK; /* about a list that has changed: the timer offers the new one */
    }
    if (status.verdict == REG_DONE) {
        if (is_our_list(peer, &status)) {
            take_done(peer, parent);
        }
    } else if (status.verdict == REG_REFUSED || parent->tries++ >= REGISTER_TRIES) {
        take_refused(peer, parent);
    } else if (parent->step == REGISTER_BEGUN) {
        take_send_all(peer, parent);
    } else {
        register_begin(peer, parent); /* what arrived was not what was promised */
    }
    uplink_tend(peer);
    return OK;
}
