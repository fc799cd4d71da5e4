/* leaves.c - the peers registered here: their arrival, departure and return.
 *
 * The list of a departed leaf is hidden and kept for LEAF_KEEP_MS; it is shown again when the leaf
 * is back and says that it still has those files (register.c). */
#include "common/check.h"
#include "common/mem.h"
#include "supernode/core.h"

/* ---- Coming and going ---- */

static void free_leaf(struct leaf *leaf) {
    struct supernode *supernode = leaf->supernode;
    register_drop_list(leaf);
    register_drop_coming(leaf);
    audit_free(leaf);
    handover_leaf_gone(leaf);
    timers_cancel(&supernode->timers, &leaf->timer);
    map_remove(&supernode->leaves, leaf->id.b);
    buf_free(&leaf->record);
    mem_free(leaf);
}

void leaves_free(struct supernode *supernode) {
    supernode->is_stopping = true; /* whoever waits is not called any more */
    uint32_t cursor = 0;
    for (struct leaf *leaf; (leaf = map_next(&supernode->leaves, &cursor, NULL)) != NULL;) {
        free_leaf(leaf);
    }
    map_free(&supernode->leaves);
}

bool leaves_record_is_seen(const struct supernode *supernode, const struct link *link,
                           struct slice encoded) {
    const struct node_env *env = supernode->env;
    struct address_record record;
    if (encoded.len == 0 || encoded.len > ADDRESS_RECORD_BYTES_MAX ||
        wire_address_record_decode(encoded, &record) != OK ||
        !node_id_equal(&record.key, &link->id)) {
        return false;
    }
    return address_record_is_at(&record, &link->remote) &&
           wire_address_record_check(&record, env->crypto, &env->network->id,
                                     supernode->links.wall_s) == OK;
}

static struct leaf *leaf_of(struct supernode *supernode, const struct node_id *id) {
    struct leaf *leaf = map_get(&supernode->leaves, id->b);
    if (leaf == NULL) {
        leaf = mem_new(sizeof *leaf);
        leaf->supernode = supernode;
        leaf->id = *id;
        leaf->timer.kind = TIMER_LEAF;
        leaf->timer.owner = leaf;
        map_put(&supernode->leaves, leaf->id.b, leaf);
    }
    return leaf;
}

struct leaf *leaves_enter(struct supernode *supernode, const struct node_id *id) {
    struct leaf *leaf = leaf_of(supernode, id);
    if (leaf->link == NULL) {
        leaf->departed_us = supernode->links.mono_us;
        timers_set(&supernode->timers, &leaf->timer, supernode_after_ms(supernode, LEAF_KEEP_MS));
    }
    return leaf;
}

static void note_address(struct leaf *leaf, const struct link *link, const struct hello *hello) {
    struct address address = link->remote;
    address.port = hello->listen_port;
    if (!address_equal(&address, &leaf->address)) {
        leaf->address = address;
        leaf->reach = REACH_UNKNOWN;
        leaf->dialback_us = 0;
        leaf->speed_kib = 0; /* of another line */
    }
    buf_free(&leaf->record);
    if (leaves_record_is_seen(leaf->supernode, link, hello->address_record)) {
        leaf->record.data = mem_copy(hello->address_record.data, hello->address_record.len);
        leaf->record.len = hello->address_record.len;
        leaf->record.cap = leaf->record.len;
    }
}

void leaves_opened(struct supernode *supernode, struct link *link, const struct hello *hello) {
    struct leaf *leaf = leaf_of(supernode, &link->id);
    if (leaf->link != NULL) { /* a second link of the same leaf: the first is being closed */
        audit_leaf_gone(leaf);
        turns_drop(supernode, leaf->link); /* what waits is found through the owner */
        leaf->link->owner = NULL;
        supernode->leaf_links--;
    }
    timers_cancel(&supernode->timers, &leaf->timer);
    register_drop_coming(leaf);
    if (leaf->list != NULL && leaf->vouched_us == 0) {
        index_list_show(leaf->list, false); /* until it says that it still has those files */
    }
    leaf->link = link;
    link->owner = leaf;
    supernode->leaf_links++;
    leaf->tries = 0;
    leaf->is_load_known = false;
    leaf->is_sent_on = false;
    note_address(leaf, link, hello);
    log_info(supernode->env->log, "leaf.opened link=%u leaves=%u", link->number,
             supernode->leaf_links);
    if (audit_banned_us(leaf) > 0) { /* since a moment ago, when it left its first link */
        links_close(link, GOAWAY_POLICY, ERR_POLICY);
        return;
    }
    dialback_ask(supernode, leaf);
}

/* A list that may be shown again, or a name that may not come back. */
static bool is_worth_keeping(const struct leaf *leaf) {
    return leaf->list != NULL || audit_banned_us(leaf) > 0 ||
           leaf->banned_until_us > leaf->supernode->links.mono_us;
}

/* Forget the departed leaf that is worth least: one without a list, else the longest gone. */
static void make_room(struct supernode *supernode) {
    struct leaf *worst = NULL;
    uint32_t cursor = 0;
    for (struct leaf *leaf; (leaf = map_next(&supernode->leaves, &cursor, NULL)) != NULL;) {
        bool is_departed = leaf->link == NULL;
        bool is_worth = is_worth_keeping(leaf);
        bool is_worst_worth = worst != NULL && is_worth_keeping(worst);
        bool is_worse = worst == NULL || (!is_worth && is_worst_worth) ||
                        (is_worth == is_worst_worth && leaf->departed_us < worst->departed_us);
        worst = is_departed && is_worse ? leaf : worst;
    }
    CHECK(worst != NULL);
    free_leaf(worst);
}

void leaves_closed(struct supernode *supernode, struct link *link) {
    struct leaf *leaf = link->owner;
    if (leaf == NULL) {
        return; /* another link has taken its place */
    }
    supernode->leaf_links--;
    leaf->link = NULL;
    leaf->departed_us = supernode->links.mono_us;
    audit_leaf_gone(leaf);
    register_drop_coming(leaf);
    if (leaf->list != NULL && !supernode->is_stopping) { /* else it is sent on, and still there */
        leaf->vouched_us = 0;
        if (leaf->is_sent_on) {
            handover_vouch(leaf, FILL_KEEP_MS); /* until it is known elsewhere */
        } else {
            index_list_show(leaf->list, false);
        }
    }
    if (leaf->reach == REACH_ASKED) {
        leaf->reach = REACH_UNKNOWN;
    }
    uint64_t keep_us = LEAF_KEEP_MS * 1000ull;
    uint64_t banned_us = audit_banned_us(leaf);
    keep_us = banned_us > keep_us ? banned_us : keep_us;
    timers_set(&supernode->timers, &leaf->timer, supernode->links.mono_us + keep_us);
    log_info(supernode->env->log, "leaf.closed link=%u leaves=%u", link->number,
             supernode->leaf_links);
    if (supernode->leaves.count - supernode->leaf_links > LEAVES_DEPARTED_MAX) {
        make_room(supernode);
    }
}

void leaves_timer(struct supernode *supernode, struct leaf *leaf) {
    if (leaf->link == NULL) {
        free_leaf(leaf);
    } else {
        dialback_ask(supernode, leaf);
    }
}

/* ---- How busy a leaf is ---- */

enum err leaves_take_load(struct supernode *supernode, struct link *link, struct slice payload) {
    struct leaf *leaf = link->owner;
    struct load load;
    enum err err = wire_load_decode(payload, &load);
    if (err != OK) {
        return err;
    }
    if (!ratelimit_take(&leaf->loads, LOADS_MILLI_PER_S, LOADS_BURST, 1,
                        supernode->links.mono_us)) {
        supernode->counts.loads_limited++;
        log_debug(supernode->env->log, "leaf.loads_limited link=%u", link->number);
        return OK;
    }
    leaf->free_slots = load.free_slots;
    leaf->queue = load.queue;
    leaf->is_load_known = true;
    return OK;
}

/* ---- Asking a leaf to call back ---- */

enum err leaves_take_push(struct supernode *supernode, struct link *link, struct slice payload) {
    struct push push;
    enum err err = wire_push_decode(payload, &push);
    if (err != OK) {
        return err;
    }
    const struct leaf *target = map_get(&supernode->leaves, push.target.b);
    bool is_ours = target != NULL && target->link != NULL && !target->link->stalled;
    bool is_allowed = ratelimit_take(&supernode_port(link)->others, PUSHES_PER_S * 1000,
                                     PUSHES_BURST, 1, supernode->links.mono_us);
    /* The leaf will dial the address in it: that must be the asker's own. */
    if (!is_ours || !is_allowed || !leaves_record_is_seen(supernode, link, push.requester)) {
        supernode->counts.pushes_dropped++;
        return OK;
    }
    struct buf copy = {0};
    buf_append(&copy, payload.data, payload.len);
    supernode_send(target->link, MSG_PUSH, &copy);
    supernode->counts.pushes++;
    return OK;
}
