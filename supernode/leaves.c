/* leaves.c - the peers registered here: their lists, their departure and return.
 *
 *     (new) -- BEGIN unknown root --> coming -- COMMIT, root right --> held and shown
 *     held  -- BEGIN other root   --> held (still shown) and coming --> the new one replaces it
 *     held  -- link gone --> hidden, kept LEAF_KEEP_MS -- BEGIN same root --> shown again */
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/hashtree.h"
#include "common/mem.h"
#include "supernode/core.h"

#define RETRY_FULL_S 120 /* a leaf whose list we have no room for */

/* ---- Lists ---- */

static void reclaim_soon(struct supernode *supernode) {
    if (!timer_is_set(&supernode->reclaim_timer)) {
        timers_set(&supernode->timers, &supernode->reclaim_timer, supernode_after_ms(supernode, 1));
    }
}

void leaves_reclaim(struct supernode *supernode) {
    if (index_reclaim(supernode->index, INDEX_RECLAIM_SLICE)) {
        reclaim_soon(supernode); /* a millisecond later, so that others get their turn */
    }
}

static void drop_list(struct leaf *leaf) {
    if (leaf->list != NULL) {
        index_list_drop(leaf->list);
        leaf->list = NULL;
        leaf->held = (struct reg_state){0};
        reclaim_soon(leaf->supernode);
    }
}

static void drop_coming(struct leaf *leaf) {
    struct registration *coming = leaf->coming;
    if (coming != NULL) {
        index_list_drop(coming->list);
        mem_free(coming->hashes);
        mem_free(coming);
        leaf->coming = NULL;
        reclaim_soon(leaf->supernode);
    }
}

static void free_leaf(struct leaf *leaf) {
    struct supernode *supernode = leaf->supernode;
    drop_list(leaf);
    drop_coming(leaf);
    timers_cancel(&supernode->timers, &leaf->timer);
    map_remove(&supernode->leaves, leaf->id.b);
    buf_free(&leaf->record);
    mem_free(leaf);
}

void leaves_free(struct supernode *supernode) {
    uint32_t cursor = 0;
    for (struct leaf *leaf; (leaf = map_next(&supernode->leaves, &cursor, NULL)) != NULL;) {
        free_leaf(leaf);
    }
    map_free(&supernode->leaves);
}

/* ---- Coming and going ---- */

bool leaves_record_is_seen(const struct supernode *supernode, const struct link *link,
                           struct slice encoded) {
    const struct node_env *env = supernode->env;
    struct address_record record;
    if (encoded.len == 0 || encoded.len > ADDRESS_RECORD_BYTES_MAX ||
        wire_address_record_decode(encoded, &record) != OK ||
        !node_id_equal(&record.key, &link->id)) {
        return false;
    }
    bool is_seen = false;
    for (uint8_t i = 0; i < record.address_count; i++) {
        is_seen = is_seen || address_same_host(&record.addresses[i], &link->remote);
    }
    return is_seen && wire_address_record_check(&record, env->crypto, &env->network->id,
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

static void note_address(struct leaf *leaf, const struct link *link, const struct hello *hello) {
    struct address address = link->remote;
    address.port = hello->listen_port;
    if (!address_equal(&address, &leaf->address)) {
        leaf->address = address;
        leaf->reach = REACH_UNKNOWN;
        leaf->dialback_us = 0;
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
        leaf->link->owner = NULL;
        supernode->leaf_links--;
    }
    timers_cancel(&supernode->timers, &leaf->timer);
    drop_coming(leaf);
    if (leaf->list != NULL) {
        index_list_show(leaf->list, false); /* until it says that it still has those files */
    }
    leaf->link = link;
    link->owner = leaf;
    supernode->leaf_links++;
    leaf->tries = 0;
    note_address(leaf, link, hello);
    log_info(supernode->env->log, "leaf.opened link=%u leaves=%u", link->number,
             supernode->leaf_links);
    dialback_ask(supernode, leaf);
}

/* Forget the departed leaf that is worth least: one without a list, else the longest gone. */
static void make_room(struct supernode *supernode) {
    struct leaf *worst = NULL;
    uint32_t cursor = 0;
    for (struct leaf *leaf; (leaf = map_next(&supernode->leaves, &cursor, NULL)) != NULL;) {
        bool is_departed = leaf->link == NULL;
        bool is_worse = worst == NULL || (leaf->list == NULL && worst->list != NULL) ||
                        ((leaf->list == NULL) == (worst->list == NULL) &&
                         leaf->departed_us < worst->departed_us);
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
    drop_coming(leaf);
    if (leaf->list != NULL) {
        index_list_show(leaf->list, false);
    }
    if (leaf->reach == REACH_ASKED) {
        leaf->reach = REACH_UNKNOWN;
    }
    timers_set(&supernode->timers, &leaf->timer, supernode_after_ms(supernode, LEAF_KEEP_MS));
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

/* ---- Registration ---- */

static void send_status(struct leaf *leaf, enum reg_verdict verdict) {
    struct reg_status status = {.verdict = (uint8_t)verdict,
                                .sequence = leaf->held.sequence,
                                .count = leaf->held.count,
                                .root = leaf->held.root};
    struct buf payload = {0};
    wire_reg_status_encode(&payload, &status);
    supernode_send(leaf->link, MSG_REG_STATUS, &payload);
}

/* There is no room for this list here: say so, and where else to go. */
static void refuse_list(struct supernode *supernode, struct leaf *leaf) {
    supernode->counts.refused++;
    supernode->counts.refused_lists++;
    log_info(supernode->env->log, "leaf.list_refused link=%u index_bytes=%llu", leaf->link->number,
             (unsigned long long)index_count(supernode->index).bytes);
    drop_coming(leaf);
    send_status(leaf, REG_REFUSED);
    struct goaway goaway = {.reason = GOAWAY_FULL, .retry_after_s = RETRY_FULL_S};
    admission_alternatives(supernode, &leaf->id, &goaway);
    links_goaway(leaf->link, &goaway, ERR_LIMIT);
}

static bool is_held(const struct leaf *leaf, const struct reg_state *state) {
    return leaf->list != NULL && leaf->held.index_id == state->index_id &&
           leaf->held.count == state->count &&
           memcmp(leaf->held.root.b, state->root.b, sizeof state->root.b) == 0;
}

/* Let the new list take the place of the old one, in one step for all who search. */
static void replace_list(struct leaf *leaf, struct index_list *list,
                         const struct reg_state *state) {
    drop_list(leaf);
    leaf->list = list;
    leaf->held = *state;
    leaf->held.tlvs = (struct slice){0};
    index_list_show(list, true);
}

static void start_list(struct leaf *leaf, const struct reg_state *state) {
    struct registration *coming = mem_new(sizeof *coming);
    coming->promised = *state;
    coming->promised.tlvs = (struct slice){0};
    coming->list = index_list_new(leaf->supernode->index, leaf);
    leaf->coming = coming;
}

enum err leaves_take_begin(struct supernode *supernode, struct link *link, struct slice payload) {
    struct leaf *leaf = link->owner;
    struct reg_state state;
    enum err err = wire_reg_state_decode(payload, &state);
    if (err != OK) {
        return err;
    }
    if (!ratelimit_take(&leaf->lists, LISTS_MILLI_PER_S, LISTS_BURST, 1,
                        supernode->links.mono_us)) {
        supernode->counts.refused++;
        supernode->counts.refused_lists++;
        admission_too_much(supernode, link, RETRY_FULL_S);
        return OK;
    }
    drop_coming(leaf);
    if (is_held(leaf, &state)) {
        leaf->held.sequence = state.sequence;
        index_list_show(leaf->list, true);
        supernode->counts.unchanged++;
        send_status(leaf, REG_DONE);
    } else if (state.count > LEAF_FILES_MAX || index_is_full(supernode->index)) {
        refuse_list(supernode, leaf);
    } else if (state.count == 0) {
        replace_list(leaf, index_list_new(supernode->index, leaf), &state);
        send_status(leaf, REG_DONE);
    } else {
        send_status(leaf, REG_SEND_ALL);
        start_list(leaf, &state);
    }
    return OK;
}

static struct hash *next_hash(struct registration *coming) {
    if (coming->count == coming->cap) {
        coming->cap = coming->cap == 0 ? 16 : coming->cap * 2;
        coming->hashes = mem_resize(coming->hashes, coming->cap, sizeof *coming->hashes);
    }
    return &coming->hashes[coming->count++];
}

/* Add records to the list on its way; ERR_LIMIT when they have no room. */
static enum err add_records(struct supernode *supernode, struct registration *coming,
                            const struct reg_add *add) {
    struct reader reader = reader_of(add->records.data, add->records.len);
    enum err err = OK;
    for (uint16_t i = 0; i < add->count && err == OK; i++) {
        struct file_record file;
        err = wire_file_record_read(&reader, &file);
        if (err == OK) {
            wire_file_record_hash(&file, supernode->env->crypto, next_hash(coming));
            err = index_list_add(coming->list, &file);
        }
    }
    return err;
}

enum err leaves_take_add(struct supernode *supernode, struct link *link, struct slice payload) {
    struct leaf *leaf = link->owner;
    struct reg_add add;
    enum err err = wire_reg_add_decode(payload, &add);
    if (err != OK) {
        return err;
    }
    struct registration *coming = leaf->coming;
    if (coming == NULL || add.count > coming->promised.count - coming->count) {
        return ERR_UNEXPECTED;
    }
    err = add_records(supernode, coming, &add);
    if (err == ERR_LIMIT) {
        refuse_list(supernode, leaf);
        return OK;
    }
    return err;
}

static int compare_hashes(const void *a, const void *b) {
    return memcmp(a, b, sizeof(struct hash));
}

/* True when what came is what was promised. */
static bool list_is_right(const struct supernode *supernode, struct registration *coming,
                          const struct reg_state *state) {
    if (coming->count != state->count || coming->promised.index_id != state->index_id) {
        return false;
    }
    struct hash root;
    qsort(coming->hashes, coming->count, sizeof *coming->hashes, compare_hashes);
    hashtree_root(supernode->env->crypto, coming->hashes, coming->count, 0, &root);
    return memcmp(root.b, state->root.b, sizeof root.b) == 0;
}

enum err leaves_take_commit(struct supernode *supernode, struct link *link, struct slice payload) {
    struct leaf *leaf = link->owner;
    struct reg_state state;
    enum err err = wire_reg_state_decode(payload, &state);
    if (err != OK) {
        return err;
    }
    struct registration *coming = leaf->coming;
    if (coming == NULL) {
        return ERR_UNEXPECTED;
    }
    if (!list_is_right(supernode, coming, &state)) {
        log_info(supernode->env->log, "leaf.list_mismatch link=%u came=%u promised=%u",
                 link->number, coming->count, state.count);
        struct reg_state again = coming->promised;
        drop_coming(leaf);
        send_status(leaf, REG_SEND_ALL);
        start_list(leaf, &again);
        return supernode_misdeed(link);
    }
    replace_list(leaf, coming->list, &state);
    mem_free(coming->hashes);
    mem_free(coming);
    leaf->coming = NULL;
    supernode->counts.registrations++;
    log_info(supernode->env->log, "leaf.registered link=%u files=%u", link->number,
             index_list_files(leaf->list));
    send_status(leaf, REG_DONE);
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
