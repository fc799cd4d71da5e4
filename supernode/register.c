/* register.c - the lists of leaves: taken whole or by their difference, checked, shown in one step.
 *
 *     (new) -- BEGIN unknown list --> coming -- COMMIT, root right --> held and shown
 *     held  -- BEGIN later list   --> held (still shown) and its changes coming --> changed at once
 *     held  -- link gone --> hidden, kept LEAF_KEEP_MS -- BEGIN same root --> shown again
 *
 * The root over all record hashes decides, whatever the leaf or we believe: a difference that does
 * not lead to it is thrown away and the whole list asked for. Whole lists are built in the index,
 * hidden. A difference is kept as it came and applied at COMMIT; the hashes of the records held are
 * not stored but worked out then, so that a list costs nothing beside the index.
 *
 * Only so many lists come at a time. Who is told to wait keeps his place and is called. */
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "supernode/core.h"

#define RETRY_FULL_S 120 /* a leaf whose list we have no room for */
#define RETRY_SLOW_S 300 /* a leaf whose list took too long */

/* ---- Lists ---- */

static void reclaim_soon(struct supernode *supernode) {
    if (!timer_is_set(&supernode->reclaim_timer)) {
        timers_set(&supernode->timers, &supernode->reclaim_timer, supernode_after_ms(supernode, 1));
    }
}

void register_reclaim(struct supernode *supernode) {
    if (index_reclaim(supernode->index, INDEX_RECLAIM_SLICE)) {
        reclaim_soon(supernode); /* a millisecond later, so that others get their turn */
    }
}

void register_drop_list(struct leaf *leaf) {
    if (leaf->list != NULL) {
        index_list_drop(leaf->list);
        leaf->list = NULL;
        leaf->held = (struct reg_state){0};
        reclaim_soon(leaf->supernode);
    }
}

void register_send_status(struct leaf *leaf, enum reg_verdict verdict) {
    const struct intake *intake = &leaf->supernode->intake;
    struct reg_status status = {.verdict = (uint8_t)verdict,
                                .sequence = leaf->held.sequence,
                                .count = leaf->held.count,
                                .root = leaf->held.root};
    if (verdict == REG_WAIT) {
        status.retry_after_ms = (intake->waiting / REG_LISTS_MAX + 1) * REG_TURN_MS;
    }
    struct buf payload = {0};
    wire_reg_status_encode(&payload, &status);
    supernode_send(leaf->link, MSG_REG_STATUS, &payload);
}

/* Send a leaf with its list elsewhere. */
static void send_away(struct leaf *leaf, enum goaway_reason reason, uint16_t retry_s) {
    struct supernode *supernode = leaf->supernode;
    supernode->counts.refused++;
    supernode->counts.refused_lists++;
    log_info(supernode->env->log, "leaf.list_refused link=%u reason=%u index_bytes=%llu",
             leaf->link->number, reason, (unsigned long long)index_count(supernode->index).bytes);
    struct goaway goaway = {.reason = (uint8_t)reason, .retry_after_s = retry_s};
    admission_alternatives(supernode, &leaf->id, &goaway);
    links_goaway(leaf->link, &goaway, ERR_LIMIT);
    register_drop_coming(leaf);
}

/* There is no room for this list here: say so, and where else to go. */
static void refuse_list(struct leaf *leaf) {
    register_send_status(leaf, REG_REFUSED);
    send_away(leaf, GOAWAY_FULL, RETRY_FULL_S);
}

/* ---- Turns ---- */

void register_init(struct supernode *supernode) {
    struct intake *intake = &supernode->intake;
    intake->end = &intake->first;
    intake->timer.kind = TIMER_INTAKE;
}

static uint64_t reckoned_bytes(const struct registration *coming) {
    return coming->is_change ? REG_CHANGE_BYTES
                             : (uint64_t)coming->promised.count * REG_RECORD_BYTES;
}

static bool is_change_of(const struct leaf *leaf, const struct reg_state *state) {
    const struct reg_state *held = &leaf->held;
    return leaf->list != NULL && held->index_id == state->index_id && held->sequence > 0 &&
           held->sequence < state->sequence && state->sequence - held->sequence <= state->reach;
}

/* Ask for the list, or what changed in it. */
static void start(struct registration *coming, bool is_change) {
    struct leaf *leaf = coming->leaf;
    struct supernode *supernode = leaf->supernode;
    coming->is_change = is_change;
    coming->started_us = supernode->links.mono_us;
    supernode->intake.lists++;
    supernode->intake.bytes += reckoned_bytes(coming);
    if (!is_change) {
        coming->list = index_list_new(supernode->index, leaf);
    }
    register_send_status(leaf, is_change ? REG_SEND_CHANGES : REG_SEND_ALL);
}

/* True when the list may come beside those on their way; one always may. */
static bool has_room(const struct intake *intake, const struct registration *coming) {
    return intake->lists == 0 || (intake->lists < REG_LISTS_MAX &&
                                  intake->bytes + reckoned_bytes(coming) <= REG_BYTES_MAX);
}

/* When the list that came first has kept others waiting for long enough. */
static void watch_intake(struct supernode *supernode) {
    struct intake *intake = &supernode->intake;
    if (intake->first == NULL) {
        timers_cancel(&supernode->timers, &intake->timer);
    } else if (!timer_is_set(&intake->timer)) {
        timers_set(&supernode->timers, &intake->timer, supernode_after_ms(supernode, REG_TURN_MS));
    }
}

static void leave_queue(struct intake *intake, struct registration *coming) {
    struct registration **at = &intake->first;
    while (*at != coming) {
        at = &(*at)->next;
    }
    *at = coming->next;
    intake->end = *at == NULL ? at : intake->end;
    intake->waiting--;
    coming->next = NULL;
    coming->is_waiting = false;
}

/* Call those whose turn has come. */
static void next_lists(struct supernode *supernode) {
    struct intake *intake = &supernode->intake;
    while (intake->first != NULL && !supernode->is_stopping) {
        struct registration *coming = intake->first;
        bool is_change = is_change_of(coming->leaf, &coming->promised);
        coming->is_change = is_change;
        if (!has_room(intake, coming)) {
            break;
        }
        leave_queue(intake, coming);
        start(coming, is_change);
    }
    watch_intake(supernode);
}

static void wait_or_start(struct registration *coming) {
    struct supernode *supernode = coming->leaf->supernode;
    struct intake *intake = &supernode->intake;
    coming->is_change = is_change_of(coming->leaf, &coming->promised);
    if (intake->first == NULL && has_room(intake, coming)) {
        start(coming, coming->is_change);
        return;
    }
    coming->is_waiting = true;
    *intake->end = coming;
    intake->end = &coming->next;
    intake->waiting++;
    supernode->counts.waits++;
    register_send_status(coming->leaf, REG_WAIT);
    watch_intake(supernode);
}

/* Give back what has come so far and the turn; the list in the index goes only with `with_list`. */
static void empty(struct registration *coming, bool with_list) {
    struct supernode *supernode = coming->leaf->supernode;
    if (coming->is_waiting) {
        return;
    }
    supernode->intake.lists--;
    supernode->intake.bytes -= reckoned_bytes(coming);
    if (with_list && coming->list != NULL) {
        index_list_drop(coming->list);
        reclaim_soon(supernode);
    }
    mem_free(coming->hashes);
    buf_free(&coming->removed);
    buf_free(&coming->added);
}

static void free_coming(struct registration *coming, bool with_list) {
    struct supernode *supernode = coming->leaf->supernode;
    empty(coming, with_list);
    if (coming->is_waiting) {
        leave_queue(&supernode->intake, coming);
    }
    coming->leaf->coming = NULL;
    mem_free(coming);
    next_lists(supernode);
}

void register_drop_coming(struct leaf *leaf) {
    if (leaf->coming != NULL) {
        free_coming(leaf->coming, true);
    }
}

void register_intake_timer(struct supernode *supernode) {
    uint64_t now_us = supernode->links.mono_us;
    uint32_t cursor = 0;
    for (struct leaf *leaf; (leaf = map_next(&supernode->leaves, &cursor, NULL)) != NULL;) {
        const struct registration *coming = leaf->coming;
        if (coming != NULL && !coming->is_waiting &&
            now_us - coming->started_us >= REG_TURN_MS * 1000ull) {
            send_away(leaf, GOAWAY_RATE, RETRY_SLOW_S);
        }
    }
    watch_intake(supernode);
}

/* ---- BEGIN ---- */

static bool is_held(const struct leaf *leaf, const struct reg_state *state) {
    return leaf->list != NULL && leaf->held.index_id == state->index_id &&
           leaf->held.count == state->count &&
           memcmp(leaf->held.root.b, state->root.b, sizeof state->root.b) == 0;
}

static void hold(struct leaf *leaf, const struct reg_state *state) {
    leaf->held = *state;
    leaf->held.tlvs = (struct slice){0};
    leaf->vouched_us = 0;
    index_list_show(leaf->list, true);
    audit_list_shown(leaf);
}

/* Ask again, for another list or for all of it: the turn stays his, but gets no longer. */
static void restart(struct registration *coming, const struct reg_state *state) {
    struct leaf *leaf = coming->leaf;
    uint64_t started_us = coming->started_us;
    empty(coming, true);
    *coming = (struct registration){.leaf = leaf, .promised = *state};
    coming->promised.tlvs = (struct slice){0};
    start(coming, is_change_of(leaf, state));
    coming->started_us = started_us;
}

static void expect_list(struct leaf *leaf, const struct reg_state *state) {
    struct registration *coming = leaf->coming;
    if (coming == NULL) {
        coming = mem_new(sizeof *coming);
        coming->leaf = leaf;
        coming->promised = *state;
        coming->promised.tlvs = (struct slice){0};
        leaf->coming = coming;
        wait_or_start(coming);
    } else if (coming->is_waiting) {
        coming->promised = *state;
        coming->promised.tlvs = (struct slice){0};
        register_send_status(leaf, REG_WAIT);
    } else {
        restart(coming, state);
    }
}

enum err register_take_begin(struct supernode *supernode, struct link *link, struct slice payload) {
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
    if (is_held(leaf, &state)) {
        register_drop_coming(leaf);
        hold(leaf, &state);
        supernode->counts.unchanged++;
        register_send_status(leaf, REG_DONE);
    } else if (state.count > LEAF_FILES_MAX || index_is_full(supernode->index)) {
        refuse_list(leaf);
    } else if (state.count == 0) {
        register_drop_coming(leaf);
        register_drop_list(leaf);
        leaf->list = index_list_new(supernode->index, leaf);
        hold(leaf, &state);
        register_send_status(leaf, REG_DONE);
    } else {
        expect_list(leaf, &state);
    }
    return OK;
}

/* ---- Records ---- */

static struct hash *next_hash(struct registration *coming) {
    if (coming->count == coming->cap) {
        coming->cap = coming->cap == 0 ? 16 : coming->cap * 2;
        coming->hashes = mem_resize(coming->hashes, coming->cap, sizeof *coming->hashes);
    }
    return &coming->hashes[coming->count++];
}

enum err register_add_records(const struct crypto *crypto, struct registration *coming,
                              struct reg_records *records) {
    struct file_record file;
    enum err err = OK;
    while (err == OK && wire_reg_records_next(records, &file)) {
        wire_file_record_hash(&file, crypto, next_hash(coming));
        err = index_list_add(coming->list, &file);
    }
    return err;
}

/* Keep `len` bytes more of a difference? */
static bool may_keep(struct registration *coming, size_t len) {
    size_t kept = coming->removed.len + coming->added.len;
    coming->is_spoilt = coming->is_spoilt || kept + len > REG_CHANGE_BYTES;
    return !coming->is_spoilt;
}

static void keep_records(struct registration *coming, struct reg_records *records) {
    struct file_record file;
    while (wire_reg_records_next(records, &file)) {
        size_t len = sizeof file.content + 1 + file.name.len + 2 + file.meta.len;
        if (may_keep(coming, len)) {
            wire_file_record_encode(&coming->added, &file);
            coming->count++;
        }
    }
}

enum err register_take_add(struct supernode *supernode, struct link *link, struct slice payload) {
    struct leaf *leaf = link->owner;
    struct reg_add add;
    enum err err = wire_reg_add_decode(payload, &add);
    if (err != OK) {
        return err;
    }
    struct registration *coming = leaf->coming;
    if (coming == NULL || coming->is_waiting ||
        add.count > coming->promised.count - coming->count) {
        return ERR_UNEXPECTED;
    }
    struct reg_records records;
    wire_reg_records_begin(&records, &add);
    if (coming->is_change) {
        keep_records(coming, &records);
        return OK;
    }
    err = register_add_records(supernode->env->crypto, coming, &records);
    if (err == ERR_LIMIT) {
        refuse_list(leaf);
        return OK;
    }
    return err;
}

enum err register_take_remove(struct supernode *supernode, struct link *link,
                              struct slice payload) {
    (void)supernode;
    struct leaf *leaf = link->owner;
    struct reg_remove remove;
    enum err err = wire_reg_remove_decode(payload, &remove);
    if (err != OK) {
        return err;
    }
    struct registration *coming = leaf->coming;
    if (coming == NULL || coming->is_waiting) {
        return ERR_UNEXPECTED;
    }
    coming->is_spoilt = coming->is_spoilt || !coming->is_change; /* it took us to know more */
    if (may_keep(coming, remove.prefixes.len)) {
        buf_append(&coming->removed, remove.prefixes.data, remove.prefixes.len);
    }
    return OK;
}

/* ---- COMMIT of a whole list ---- */

static bool is_promised(const struct registration *coming, const struct reg_state *state) {
    return coming->promised.index_id == state->index_id && coming->promised.count == state->count &&
           memcmp(coming->promised.root.b, state->root.b, sizeof state->root.b) == 0;
}

static bool is_root(const struct crypto *crypto, struct hash *hashes, uint32_t count,
                    const struct reg_state *state) {
    struct hash root;
    return count == state->count && wire_list_root(crypto, hashes, count, &root) &&
           memcmp(root.b, state->root.b, sizeof root.b) == 0;
}

bool register_is_root(const struct crypto *crypto, struct registration *coming,
                      const struct reg_state *state) {
    return is_root(crypto, coming->hashes, coming->count, state);
}

/* Let the new list take the place of the old one, in one step for all who search. */
static bool take_list(struct supernode *supernode, struct registration *coming) {
    struct leaf *leaf = coming->leaf;
    if (!register_is_root(supernode->env->crypto, coming, &coming->promised)) {
        return false;
    }
    register_drop_list(leaf);
    leaf->list = coming->list;
    hold(leaf, &coming->promised);
    supernode->counts.registrations++;
    return true;
}

/* ---- COMMIT of a difference ---- */

/* What a difference makes of a list. */
struct outcome {
    uint64_t *removed; /* sorted */
    uint32_t removed_count;
    uint32_t removed_found;
    struct hash *hashes; /* of what stays and of what is added */
    uint32_t count;
    struct buf gone; /* encoded records that go */
    bool is_clear;   /* every prefix named one record */
};

static int compare_prefixes(const void *a, const void *b) {
    const uint64_t left = *(const uint64_t *)a;
    const uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void read_removed(struct outcome *outcome, const struct buf *removed) {
    struct reader reader = reader_of(removed->data, removed->len);
    outcome->removed_count = (uint32_t)(removed->len / RECORD_PREFIX_BYTES);
    outcome->removed = mem_array(outcome->removed_count, sizeof *outcome->removed);
    for (uint32_t i = 0; i < outcome->removed_count; i++) {
        outcome->removed[i] = reader_u64(&reader);
    }
    if (outcome->removed_count > 0) {
        qsort(outcome->removed, outcome->removed_count, sizeof *outcome->removed, compare_prefixes);
    }
}

/* Sort the records held into those that stay and those that go. As many must go as prefixes came;
 * with two records of one prefix, or one prefix twice, the numbers or the root cannot agree. */
static void part_records(const struct crypto *crypto, const struct index_list *list,
                         struct outcome *outcome) {
    uint32_t cursor = 0;
    for (struct file_record file; index_list_next(list, &cursor, &file);) {
        struct hash *hash = &outcome->hashes[outcome->count];
        wire_file_record_hash(&file, crypto, hash);
        uint64_t prefix = wire_record_prefix(hash);
        if (outcome->removed_count > 0 && bsearch(&prefix, outcome->removed, outcome->removed_count,
                                                  sizeof prefix, compare_prefixes) != NULL) {
            outcome->removed_found++;
            wire_file_record_encode(&outcome->gone, &file);
        } else {
            outcome->count++;
        }
    }
    outcome->is_clear = outcome->removed_found == outcome->removed_count;
}

static void hash_added(const struct crypto *crypto, const struct buf *added,
                       struct outcome *outcome) {
    struct reader reader = reader_of(added->data, added->len);
    while (reader_left(&reader) > 0) {
        struct file_record file;
        enum err err = wire_file_record_read(&reader, &file);
        CHECK(err == OK);
        wire_file_record_hash(&file, crypto, &outcome->hashes[outcome->count++]);
    }
}

static void remove_gone(struct index_list *list, const struct buf *gone) {
    struct reader reader = reader_of(gone->data, gone->len);
    while (reader_left(&reader) > 0) {
        struct file_record file;
        enum err err = wire_file_record_read(&reader, &file);
        CHECK(err == OK);
        bool was_there = index_list_remove(list, &file);
        CHECK(was_there);
    }
}

static enum err add_added(struct index_list *list, const struct buf *added) {
    struct reader reader = reader_of(added->data, added->len);
    enum err err = OK;
    while (err == OK && reader_left(&reader) > 0) {
        struct file_record file;
        err = wire_file_record_read(&reader, &file);
        CHECK(err == OK);
        err = index_list_add(list, &file);
    }
    return err;
}

/* Change the list held, in one step for all who search. Nothing is done when the outcome is not
 * what was promised; ERR_LIMIT when it is, and has no room. */
static enum err take_change(struct supernode *supernode, struct registration *coming) {
    const struct crypto *crypto = supernode->env->crypto;
    struct leaf *leaf = coming->leaf;
    struct outcome outcome = {0};
    read_removed(&outcome, &coming->removed);
    outcome.hashes =
        mem_array((size_t)index_list_files(leaf->list) + coming->count, sizeof *outcome.hashes);
    part_records(crypto, leaf->list, &outcome);
    hash_added(crypto, &coming->added, &outcome);
    enum err err = ERR_MISMATCH;
    if (outcome.is_clear && is_root(crypto, outcome.hashes, outcome.count, &coming->promised)) {
        remove_gone(leaf->list, &outcome.gone);
        reclaim_soon(supernode);
        err = add_added(leaf->list, &coming->added);
    }
    if (err == OK) {
        hold(leaf, &coming->promised);
        supernode->counts.changes++;
    }
    mem_free(outcome.removed);
    mem_free(outcome.hashes);
    buf_free(&outcome.gone);
    return err;
}

void register_restate(struct leaf *leaf) {
    const struct crypto *crypto = leaf->supernode->env->crypto;
    struct outcome outcome = {0};
    leaf->held.count = index_list_files(leaf->list);
    leaf->held.sequence = 0; /* no difference leads on from here */
    outcome.hashes = mem_array(leaf->held.count, sizeof *outcome.hashes);
    part_records(crypto, leaf->list, &outcome);
    bool is_set = wire_list_root(crypto, outcome.hashes, outcome.count, &leaf->held.root);
    CHECK(is_set);
    mem_free(outcome.hashes);
    reclaim_soon(leaf->supernode);
}

/* ---- COMMIT ---- */

/* It did not come out: all of it, please. */
static enum err ask_for_all(struct supernode *supernode, struct link *link) {
    struct leaf *leaf = link->owner;
    struct reg_state again = leaf->coming->promised;
    bool was_all = !leaf->coming->is_change;
    supernode->counts.mismatches++;
    log_info(supernode->env->log, "leaf.list_mismatch link=%u change=%d came=%u promised=%u",
             link->number, !was_all, leaf->coming->count, again.count);
    leaf->held.sequence = 0; /* what we hold is no base, now or when it begins again */
    restart(leaf->coming, &again);
    return was_all ? supernode_misdeed(link) : OK;
}

enum err register_take_commit(struct supernode *supernode, struct link *link,
                              struct slice payload) {
    struct leaf *leaf = link->owner;
    struct reg_state state;
    enum err err = wire_reg_state_decode(payload, &state);
    if (err != OK) {
        return err;
    }
    struct registration *coming = leaf->coming;
    if (coming == NULL || coming->is_waiting) {
        return ERR_UNEXPECTED;
    }
    err = ERR_MISMATCH;
    if (is_promised(coming, &state) && !coming->is_spoilt) {
        bool is_change = coming->is_change;
        if (is_change) {
            err = take_change(supernode, coming);
        } else {
            err = take_list(supernode, coming) ? OK : ERR_MISMATCH;
        }
    }
    if (err == ERR_LIMIT) {
        register_drop_list(leaf); /* half changed */
        refuse_list(leaf);
        return OK;
    }
    if (err != OK) {
        return ask_for_all(supernode, link);
    }
    free_coming(coming, false);
    log_info(supernode->env->log, "leaf.registered link=%u files=%u", link->number,
             index_list_files(leaf->list));
    register_send_status(leaf, REG_DONE);
    return OK;
}
