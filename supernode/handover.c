/* handover.c - a supernode that leaves: its leaves go on, and their lists with them.
 *
 *     leaving       GOAWAY to the leaves --> their lists stay shown here --> GOAWAY to the others
 *                                        \-> SNAPSHOT, REG_ADD ... to a neighbour each
 *     a neighbour   SNAPSHOT, REG_ADD ... --> shown for SNAPSHOT_KEEP_MS --> hidden, kept
 *                                             the leaf registers here    --> held as any other
 *
 * Nothing waits for anything: a leaf registers elsewhere by itself while we still answer for it.
 * What is handed over covers those whose other parent leaves, too, and is a list less to send for
 * those who come to the neighbour that has it. Which neighbour that is, is drawn per leaf, so that
 * none gets them all. Short lists go first: they are the most leaves for the time there is. */
#include "supernode/handover.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "supernode/core.h"

/* A leaf to hand over. It may be gone by the time of its turn: found by its id. */
struct departing {
    struct node_id id;
    uint32_t files;
};

struct handover {
    struct timer timer;
    struct departing *leaves;
    uint32_t count;
    uint32_t next; /* whose turn it is */
    uint32_t sent;
    uint64_t begun_us;
    bool is_leaving;
    uint64_t leave_us; /* when to go on with that */
    /* The list that is being sent, a batch at a time. */
    uint32_t link; /* to whom; 0 = none */
    struct node_id leaf;
    struct hash root; /* that was announced */
    uint32_t cursor;  /* in the list */
    uint32_t left;    /* records that are in no batch yet */
    struct buf bytes;
    struct file_record *records; /* the batch, borrowing from `bytes`, in the order of REG_ADD */
    uint32_t record_count;
    uint32_t records_sent;
};

/* A list that comes from a neighbour: a whole one, settled as those of leaves are. */
struct incoming {
    struct registration coming;
    bool is_settling; /* in slices, by the timer */
};

static struct handover *handover_of(struct supernode *supernode) {
    if (supernode->handover == NULL) {
        supernode->handover = mem_new(sizeof *supernode->handover);
        supernode->handover->timer.kind = TIMER_HANDOVER;
    }
    return supernode->handover;
}

/* ---- Leaving ---- */

static int compare_departing(const void *a, const void *b) {
    const struct departing *left = a;
    const struct departing *right = b;
    if (left->files != right->files) {
        return left->files < right->files ? -1 : 1;
    }
    return memcmp(left->id.b, right->id.b, sizeof left->id.b);
}

static bool may_take(const struct neighbour *neighbour) {
    return neighbour->is_open && !neighbour->is_leaving && !neighbour->is_unproven &&
           !neighbour->link->closing;
}

/* The neighbour whose number for this leaf is the highest (Thaler and Ravishankar, 1998); NULL when
 * there is none. */
static struct neighbour *draw_neighbour(const struct supernode *supernode,
                                        const struct node_id *leaf) {
    const struct crypto *crypto = supernode->env->crypto;
    struct neighbour *best = NULL;
    struct hash best_hash = {0};
    for (uint32_t i = 0; i < supernode->neighbour_count; i++) {
        struct neighbour *neighbour = supernode->neighbours[i];
        struct hash hash;
        crypto->sha256(crypto->context, (struct slice){leaf->b, sizeof leaf->b},
                       (struct slice){neighbour->link->id.b, sizeof leaf->b}, &hash);
        if (may_take(neighbour) &&
            (best == NULL || memcmp(hash.b, best_hash.b, sizeof hash.b) > 0)) {
            best = neighbour;
            best_hash = hash;
        }
    }
    return best;
}

/* Not while it is changed, or after an audit took a record out. */
static bool is_known(const struct leaf *leaf) {
    static const struct hash unknown;
    return leaf->held.count == index_list_files(leaf->list) &&
           memcmp(leaf->held.root.b, unknown.b, sizeof unknown.b) != 0;
}

static void collect(struct supernode *supernode, struct handover *handover) {
    handover->leaves = mem_array(supernode->leaf_links + 1, sizeof *handover->leaves);
    uint32_t cursor = 0;
    for (struct leaf *leaf; (leaf = map_next(&supernode->leaves, &cursor, NULL)) != NULL;) {
        bool is_ours = leaf->link != NULL && !leaf->link->closing && leaf->list != NULL;
        uint32_t files = is_ours ? index_list_files(leaf->list) : 0;
        if (files > 0 && is_known(leaf)) {
            handover->leaves[handover->count++] = (struct departing){leaf->id, files};
        }
    }
    if (handover->count > 0) {
        qsort(handover->leaves, handover->count, sizeof *handover->leaves, compare_departing);
    }
}

static void send_leaves_on(struct supernode *supernode) {
    uint32_t cursor = 0;
    for (struct link *link; (link = links_next(&supernode->links, &cursor)) != NULL;) {
        if (link->purpose == PURPOSE_LEAF) {
            struct goaway goaway = {.reason = GOAWAY_SHUTDOWN};
            admission_alternatives(supernode, &link->id, &goaway);
            links_goaway(link, &goaway, ERR_SHUTDOWN);
        }
    }
}

bool handover_begin(struct supernode *supernode) {
    const struct node_id nobody = {0};
    for (uint32_t i = 0; i < supernode->neighbour_count; i++) {
        handover_closed(supernode, supernode->neighbours[i]); /* it would be for nothing */
    }
    if (draw_neighbour(supernode, &nobody) == NULL) {
        return false;
    }
    struct handover *handover = handover_of(supernode);
    collect(supernode, handover);
    if (handover->count == 0) {
        return false;
    }
    handover->is_leaving = true;
    handover->begun_us = supernode->links.mono_us;
    log_info(supernode->env->log, "handover.begin leaves=%u", handover->count);
    send_leaves_on(supernode);
    timers_set(&supernode->timers, &handover->timer, supernode_next_step(supernode));
    return true;
}

static int compare_records(const void *a, const void *b) {
    return wire_file_record_compare(a, b);
}

static void forget_batch(struct handover *handover) {
    mem_free(handover->records);
    buf_free(&handover->bytes);
    handover->records = NULL;
    handover->record_count = 0;
    handover->records_sent = 0;
}

static void forget_list(struct handover *handover) {
    forget_batch(handover);
    handover->link = 0;
}

/* Copy the next records of the list, and put them in order. False when it is not there any more as
 * it was announced: a departed leaf may be forgotten. */
static bool take_batch(struct supernode *supernode) {
    struct handover *handover = supernode->handover;
    const struct leaf *leaf = map_get(&supernode->leaves, handover->leaf.b);
    if (leaf == NULL || leaf->list == NULL ||
        memcmp(leaf->held.root.b, handover->root.b, sizeof handover->root.b) != 0) {
        return false;
    }
    struct file_record record;
    uint32_t wanted = handover->left < HANDOVER_BATCH ? handover->left : HANDOVER_BATCH;
    uint32_t count = 0;
    while (count < wanted && index_list_next(leaf->list, &handover->cursor, &record)) {
        wire_file_record_encode(&handover->bytes, &record);
        count++;
    }
    handover->left -= count;
    handover->records = mem_array(wanted, sizeof *handover->records);
    struct reader reader = reader_of(handover->bytes.data, handover->bytes.len);
    while (handover->record_count < count &&
           wire_file_record_read(&reader, &handover->records[handover->record_count]) == OK) {
        handover->record_count++;
    }
    qsort(handover->records, handover->record_count, sizeof *handover->records, compare_records);
    return count == wanted;
}

/* Announce the next list to the one who shall have it. False when there is none to be sent. */
static bool next_list(struct supernode *supernode) {
    struct handover *handover = supernode->handover;
    while (handover->next < handover->count) {
        const struct departing *departing = &handover->leaves[handover->next++];
        const struct leaf *leaf = map_get(&supernode->leaves, departing->id.b);
        struct neighbour *neighbour = draw_neighbour(supernode, &departing->id);
        if (leaf == NULL || leaf->list == NULL || neighbour == NULL || !is_known(leaf) ||
            leaf->held.count != departing->files) {
            continue;
        }
        struct snapshot snapshot = {.leaf = leaf->id,
                                    .flags = leaf->reach == REACH_PROVEN ? SNAPSHOT_REACHABLE : 0,
                                    .address_record = {leaf->record.data, leaf->record.len},
                                    .list = leaf->held};
        snapshot.list.reach = snapshot.list.reach < snapshot.list.sequence ? snapshot.list.reach
                                                                           : snapshot.list.sequence;
        struct buf payload = {0};
        wire_snapshot_encode(&payload, &snapshot);
        supernode_send(neighbour->link, MSG_SNAPSHOT, &payload);
        handover->link = neighbour->link->number;
        handover->leaf = leaf->id;
        handover->root = leaf->held.root;
        handover->cursor = 0;
        handover->left = departing->files;
        return true;
    }
    return false;
}

/* Send of the lists what a step allows. False when all that can be is sent. */
static bool send_some(struct supernode *supernode) {
    struct handover *handover = supernode->handover;
    size_t bytes = 0;
    while (bytes < HANDOVER_STEP_BYTES) {
        if (handover->link == 0 && !next_list(supernode)) {
            return false;
        }
        struct link *link = supernode_link(supernode, handover->link);
        bool is_there = link != NULL && !link->closing;
        if (!is_there || (handover->record_count == 0 && !take_batch(supernode))) {
            forget_list(handover); /* this one is lost; the next goes to another */
            continue;
        }
        if (link->stalled) {
            return true;
        }
        struct buf payload = {0};
        handover->records_sent +=
            wire_reg_add_pack(&payload, &handover->records[handover->records_sent],
                              handover->record_count - handover->records_sent);
        bytes += payload.len;
        supernode_send(link, MSG_REG_ADD, &payload);
        if (handover->records_sent == handover->record_count) {
            forget_batch(handover);
        }
        if (handover->record_count == 0 && handover->left == 0) {
            handover->sent++;
            forget_list(handover);
        }
    }
    return true;
}

/* Return when to go on. */
static uint64_t leave(struct supernode *supernode) {
    struct handover *handover = supernode->handover;
    uint64_t spent_ms = (supernode->links.mono_us - handover->begun_us) / 1000;
    bool has_more = send_some(supernode);
    bool is_over = has_more ? spent_ms >= HANDOVER_MS : spent_ms >= HANDOVER_MS_MIN;
    if (is_over || supernode->neighbour_count == 0) {
        log_info(supernode->env->log, "handover.end lists=%u of=%u ms=%llu", handover->sent,
                 handover->count, (unsigned long long)spent_ms);
        handover->is_leaving = false;
        supernode_goodbye(supernode);
        return TIMERS_NEVER;
    }
    return supernode_after_ms(supernode, has_more ? HANDOVER_TICK_MS : HANDOVER_MS_MIN - spent_ms);
}

/* ---- Taking over ---- */

static void look_by(struct supernode *supernode, uint64_t due_us) {
    struct timer *timer = &handover_of(supernode)->timer;
    if (!timer_is_set(timer) || timer->due_us > due_us) {
        timers_set(&supernode->timers, timer, due_us);
    }
}

void handover_vouch(struct leaf *leaf, uint64_t ms) {
    struct supernode *supernode = leaf->supernode;
    leaf->vouched_us = supernode_after_ms(supernode, ms);
    index_list_show(leaf->list, true);
    look_by(supernode, leaf->vouched_us);
}

/* Hide what nobody has confirmed; return when the next one is due. */
static uint64_t end_vouched(struct supernode *supernode) {
    uint64_t next_us = TIMERS_NEVER;
    uint32_t cursor = 0;
    for (struct leaf *leaf; (leaf = map_next(&supernode->leaves, &cursor, NULL)) != NULL;) {
        if (leaf->vouched_us == 0) {
            continue;
        }
        if (leaf->vouched_us > supernode->links.mono_us) {
            next_us = leaf->vouched_us < next_us ? leaf->vouched_us : next_us;
            continue;
        }
        leaf->vouched_us = 0;
        if (leaf->list != NULL) {
            index_list_show(leaf->list, false);
        }
    }
    return next_us;
}

void handover_closed(struct supernode *supernode, struct neighbour *neighbour) {
    struct incoming *incoming = neighbour->incoming;
    if (incoming != NULL) {
        if (incoming->coming.list != NULL) {
            index_list_drop(incoming->coming.list);
            register_reclaim(supernode);
        }
        settle_free(&incoming->coming);
        mem_free(incoming);
        neighbour->incoming = NULL;
    }
}

void handover_leaf_gone(struct leaf *leaf) {
    struct supernode *supernode = leaf->supernode;
    if (supernode->is_stopping) {
        return; /* nothing comes any more, and neighbours may be freed already */
    }
    for (uint32_t i = 0; i < supernode->neighbour_count; i++) {
        struct neighbour *neighbour = supernode->neighbours[i];
        if (neighbour->incoming != NULL && neighbour->incoming->coming.leaf == leaf) {
            handover_closed(supernode, neighbour);
        }
    }
}

/* Where it can be dialled, if it has signed that itself. */
static void note_record(struct supernode *supernode, struct leaf *leaf,
                        const struct snapshot *snapshot) {
    const struct node_env *env = supernode->env;
    struct address_record record;
    if (leaf->link != NULL || snapshot->address_record.len == 0 ||
        wire_address_record_decode(snapshot->address_record, &record) != OK ||
        !node_id_equal(&record.key, &leaf->id) || record.address_count == 0 ||
        !network_may_dial(env->network, &record.addresses[0]) ||
        wire_address_record_check(&record, env->crypto, &env->network->id,
                                  supernode->links.wall_s) != OK) {
        return;
    }
    buf_free(&leaf->record);
    buf_append(&leaf->record, snapshot->address_record.data, snapshot->address_record.len);
    leaf->address = record.addresses[0];
    leaf->reach = (snapshot->flags & SNAPSHOT_REACHABLE) != 0 ? REACH_PROVEN : REACH_UNKNOWN;
}

/* A leaf that speaks for itself here needs nobody who vouches for it. */
static bool is_of_use(const struct supernode *supernode, const struct leaf *leaf) {
    if (leaf == NULL) {
        return supernode->leaves.count - supernode->leaf_links < LEAVES_DEPARTED_MAX;
    }
    bool is_banned = leaf->banned_until_us > supernode->links.mono_us || audit_banned_us(leaf) > 0;
    bool speaks = leaf->coming != NULL || (leaf->link != NULL && leaf->list != NULL);
    return !is_banned && !speaks;
}

enum err handover_take_snapshot(struct supernode *supernode, struct link *link,
                                struct slice payload) {
    struct neighbour *neighbour = link->owner;
    struct snapshot snapshot;
    enum err err = wire_snapshot_decode(payload, &snapshot);
    if (err != OK) {
        return err;
    }
    handover_closed(supernode, neighbour); /* the one before did not come whole */
    struct leaf *leaf = map_get(&supernode->leaves, snapshot.leaf.b);
    if (supernode->is_stopping || snapshot.list.count > LEAF_FILES_MAX ||
        ++neighbour->snapshots > SNAPSHOTS_MAX || index_is_full(supernode->index) ||
        !is_of_use(supernode, leaf)) {
        return OK; /* its records are passed over */
    }
    leaf = leaves_enter(supernode, &snapshot.leaf);
    note_record(supernode, leaf, &snapshot);
    if (leaf->list != NULL && register_is_held(leaf, &snapshot.list)) {
        handover_vouch(leaf, SNAPSHOT_KEEP_MS); /* kept since it was here */
        return OK;
    }
    struct incoming *incoming = mem_new(sizeof *incoming);
    incoming->coming.leaf = leaf;
    incoming->coming.promised = snapshot.list;
    incoming->coming.promised.tlvs = (struct slice){0};
    incoming->coming.list = index_list_new(supernode->index, leaf);
    incoming->coming.sum = mem_new(sizeof *incoming->coming.sum);
    neighbour->incoming = incoming;
    return OK;
}

/* It takes the place of what we kept, unless its leaf has come in between. */
static void take_over(struct supernode *supernode, struct neighbour *neighbour) {
    struct registration *coming = &neighbour->incoming->coming;
    struct leaf *leaf = coming->leaf;
    if (is_of_use(supernode, leaf)) {
        register_drop_list(leaf);
        leaf->list = coming->list;
        leaf->held = coming->promised;
        coming->list = NULL;
        handover_vouch(leaf, SNAPSHOT_KEEP_MS);
        supernode->counts.snapshots++;
        log_debug(supernode->env->log, "handover.taken link=%u files=%u", neighbour->link->number,
                  leaf->held.count);
    }
    handover_closed(supernode, neighbour);
}

/* Work out a slice of what has come. */
static void settle(struct supernode *supernode, struct neighbour *neighbour) {
    struct incoming *incoming = neighbour->incoming;
    uint32_t left = REG_SLICE_COST;
    enum err err;
    if (settle_slice(&incoming->coming, &left, &err)) {
        if (err == OK) {
            take_over(supernode, neighbour);
        } else {
            handover_closed(supernode, neighbour);
        }
        return;
    }
    incoming->is_settling = settle_has_work(&incoming->coming);
    if (incoming->is_settling) {
        look_by(supernode, supernode_next_step(supernode));
    }
}

enum err handover_take_add(struct supernode *supernode, struct link *link, struct slice payload) {
    struct neighbour *neighbour = link->owner;
    struct reg_add add;
    enum err err = wire_reg_add_decode(payload, &add);
    if (err != OK || neighbour->incoming == NULL) {
        return err;
    }
    struct registration *coming = &neighbour->incoming->coming;
    if (add.count > coming->promised.count - coming->count) {
        return ERR_UNEXPECTED;
    }
    struct reg_records records;
    wire_reg_records_begin(&records, &add);
    if (!settle_keep_records(coming, &records)) {
        handover_closed(supernode, neighbour);
        return OK;
    }
    coming->is_committed = coming->count == coming->promised.count;
    if (!neighbour->incoming->is_settling) {
        settle(supernode, neighbour);
    }
    return OK;
}

void handover_timer(struct supernode *supernode) {
    struct handover *handover = supernode->handover;
    for (uint32_t i = 0; i < supernode->neighbour_count; i++) {
        struct neighbour *neighbour = supernode->neighbours[i];
        if (neighbour->incoming != NULL && neighbour->incoming->is_settling) {
            settle(supernode, neighbour);
        }
    }
    if (handover->is_leaving && handover->leave_us <= supernode->links.mono_us) {
        handover->leave_us = leave(supernode);
    }
    uint64_t next_us = end_vouched(supernode);
    next_us = handover->is_leaving && handover->leave_us < next_us ? handover->leave_us : next_us;
    if (next_us != TIMERS_NEVER) {
        look_by(supernode, next_us);
    }
}

void handover_free(struct supernode *supernode) {
    if (supernode->handover != NULL) {
        timers_cancel(&supernode->timers, &supernode->handover->timer);
        forget_list(supernode->handover);
        mem_free(supernode->handover->leaves);
        mem_free(supernode->handover);
    }
}
