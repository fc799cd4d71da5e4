/* register.c - the lists of leaves: taken whole or by their difference, checked, then shown.
 *
 *     (new) -- BEGIN unknown list --> coming -- COMMIT, root right --> held and shown
 *     held  -- BEGIN later list   --> held (still shown) and its changes coming --> changed
 *     held  -- link gone --> hidden, kept LEAF_KEEP_MS -- BEGIN same root --> shown again
 *
 * The root over all record hashes decides, whatever the leaf or we believe: a difference that does
 * not lead to it is thrown away and the whole list asked for. Whole lists are built in the index,
 * hidden. A difference is kept as it came and applied at COMMIT; the hashes of the records held are
 * not stored but worked out then, in slices (settle.c), so that a list costs nothing beside the
 * index.
 *
 * Only so many lists come at a time. Who is told to wait keeps his place and is called. */
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

/* What is changing the list held cannot come out right any more. */
static void spoil_change(struct leaf *leaf) {
    if (leaf->coming != NULL && leaf->coming->is_change) {
        leaf->coming->is_spoilt = true;
    }
}

static void forget_lost(struct leaf *leaf) {
    if (leaf->lost != NULL) {
        buf_free(&leaf->lost->records);
        mem_free(leaf->lost);
        leaf->lost = NULL;
    }
}

void register_drop_list(struct leaf *leaf) {
    if (leaf->list != NULL) {
        spoil_change(leaf);
        forget_lost(leaf);
        index_list_drop(leaf->list);
        leaf->list = NULL;
        leaf->held = (struct reg_state){0};
        reclaim_soon(leaf->supernode);
    }
}

static bool has_root(const struct reg_state *state) {
    static const struct hash unknown;
    return memcmp(state->root.b, unknown.b, sizeof unknown.b) != 0;
}

/* Note a record that is lost. Of a list that is half changed, or has lost too many, nothing is
 * noted any more: all of it is asked for. */
static void note_lost(struct leaf *leaf, const struct file_record *file) {
    bool is_halfway = leaf->coming != NULL && settle_is_halfway(leaf->coming);
    if (leaf->lost == NULL && has_root(&leaf->held)) {
        leaf->lost = mem_new(sizeof *leaf->lost);
        leaf->lost->held = leaf->held;
    }
    if (is_halfway || (leaf->lost != NULL && leaf->lost->count == AUDIT_FAILURES_MAX)) {
        forget_lost(leaf);
    }
    if (leaf->lost != NULL) {
        wire_file_record_append(&leaf->lost->records, file);
        leaf->lost->count++;
    }
}

void register_lose(struct leaf *leaf, const struct file_record *file) {
    note_lost(leaf, file);
    bool was_there = index_list_remove(leaf->list, file);
    CHECK(was_there);
    spoil_change(leaf);
    leaf->held.count = index_list_files(leaf->list);
    leaf->held.sequence = 0; /* no difference leads on from here, and no offer is known again */
    leaf->held.root = (struct hash){0};
    reclaim_soon(leaf->supernode);
}

void register_send_status(struct leaf *leaf, enum reg_verdict verdict) {
    const struct intake *intake = &leaf->supernode->intake;
    struct reg_status status = {.verdict = (uint8_t)verdict,
                                .sequence = leaf->held.sequence,
                                .count = leaf->held.count,
                                .root = leaf->held.root};
    if (verdict == REG_WAIT) {
        status.retry_after_ms = (intake->waiting_count / REG_LISTS_MAX + 1) * REG_TURN_MS;
    }
    struct buf payload = {0};
    wire_reg_status_encode(&payload, &status);
    supernode_send(leaf->link, MSG_REG_STATUS, &payload);
}

/* Send a leaf with its list elsewhere. */
static void send_away(struct leaf *leaf, enum goaway_reason reason, uint16_t retry_s) {
    struct supernode *supernode = leaf->supernode;
    supernode->counts.refused++;
    supernode->counts.refused_lists += reason == GOAWAY_RATE ? 1 : 0;
    supernode->counts.refused_room += reason == GOAWAY_FULL ? 1 : 0;
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
    intake->waiting.end = &intake->waiting.first;
    intake->settling.end = &intake->settling.first;
    intake->timer.kind = TIMER_INTAKE;
    intake->settle_timer.kind = TIMER_SETTLE;
    intake->slice_cost = REG_SLICE_COST;
}

static uint64_t reckoned_bytes(const struct registration *coming) {
    return coming->is_change ? REG_CHANGE_BYTES
                             : (uint64_t)coming->promised.count * REG_RECORD_BYTES;
}

/* Of an empty list there is nothing to keep: what comes is a whole one. */
static bool is_change_of(const struct leaf *leaf, const struct reg_state *state) {
    const struct reg_state *held = &leaf->held;
    return leaf->list != NULL && held->count > 0 && held->index_id == state->index_id &&
           held->sequence > 0 && held->sequence < state->sequence &&
           state->sequence - held->sequence <= state->reach;
}

/* Ask for the list, or what changed in it. */
static void start(struct registration *coming, bool is_change) {
    struct leaf *leaf = coming->leaf;
    struct supernode *supernode = leaf->supernode;
    coming->is_change = is_change;
    coming->started_us = supernode->links.mono_us;
    supernode->intake.lists++;
    supernode->intake.bytes += reckoned_bytes(coming);
    coming->sum = mem_new(sizeof *coming->sum);
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

/* While somebody waits, those whose turn it is must go on. */
static void watch_intake(struct supernode *supernode) {
    struct intake *intake = &supernode->intake;
    if (intake->waiting.first == NULL) {
        timers_cancel(&supernode->timers, &intake->timer);
    } else if (!timer_is_set(&intake->timer)) {
        timers_set(&supernode->timers, &intake->timer, supernode_after_ms(supernode, REG_WATCH_MS));
    }
}

static void queue_put(struct registrations *queue, struct registration *coming) {
    coming->next = NULL;
    *queue->end = coming;
    queue->end = &coming->next;
}

static void queue_take(struct registrations *queue, struct registration *coming) {
    struct registration **at = &queue->first;
    while (*at != coming) {
        at = &(*at)->next;
    }
    *at = coming->next;
    queue->end = *at == NULL ? at : queue->end;
    coming->next = NULL;
}

static void leave_queue(struct intake *intake, struct registration *coming) {
    queue_take(&intake->waiting, coming);
    intake->waiting_count--;
    coming->is_waiting = false;
}

/* Call those whose turn has come. */
static void next_lists(struct supernode *supernode) {
    struct intake *intake = &supernode->intake;
    while (intake->waiting.first != NULL && !supernode->is_stopping) {
        struct registration *coming = intake->waiting.first;
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
    if (intake->waiting.first == NULL && has_room(intake, coming)) {
        start(coming, coming->is_change);
        return;
    }
    coming->is_waiting = true;
    queue_put(&intake->waiting, coming);
    intake->waiting_count++;
    supernode->counts.waits++;
    register_send_status(coming->leaf, REG_WAIT);
    watch_intake(supernode);
}

/* Give back what has come so far and the turn. */
static void empty(struct registration *coming) {
    struct leaf *leaf = coming->leaf;
    struct supernode *supernode = leaf->supernode;
    if (coming->is_waiting) {
        return;
    }
    if (coming->is_settling) {
        queue_take(&supernode->intake.settling, coming);
    }
    supernode->intake.lists--;
    supernode->intake.bytes -= reckoned_bytes(coming);
    if (coming->list != NULL) {
        index_list_drop(coming->list);
        reclaim_soon(supernode);
    }
    if (settle_is_halfway(coming)) {
        register_drop_list(leaf); /* half changed: nothing that anybody promised */
    }
    settle_free(coming);
}

static void free_coming(struct registration *coming) {
    struct supernode *supernode = coming->leaf->supernode;
    empty(coming);
    if (coming->is_waiting) {
        leave_queue(&supernode->intake, coming);
    }
    coming->leaf->coming = NULL;
    mem_free(coming);
    next_lists(supernode);
}

void register_drop_coming(struct leaf *leaf) {
    if (leaf->coming != NULL) {
        free_coming(leaf->coming);
    }
}

/* A turn is as long as the list that was promised. Who does not bring it loses it sooner: else some
 * who only begin could keep everybody else out. */
static bool has_had_turn(const struct registration *coming, uint64_t now_us) {
    uint64_t heard_us = coming->leaf->link->heard_us;
    uint64_t count = coming->promised.count; /* at most LEAF_FILES_MAX */
    uint64_t turn_ms = REG_SILENT_MS + count * REG_TURN_MS / LEAF_FILES_MAX;
    uint64_t quiet_since_us = heard_us > coming->started_us ? heard_us : coming->started_us;
    return now_us - quiet_since_us >= REG_SILENT_MS * 1000ull ||
           now_us - coming->started_us >= turn_ms * 1000;
}

void register_intake_timer(struct supernode *supernode) {
    uint32_t cursor = 0;
    for (struct leaf *leaf; (leaf = map_next(&supernode->leaves, &cursor, NULL)) != NULL;) {
        const struct registration *coming = leaf->coming;
        if (coming != NULL && !coming->is_waiting && supernode->intake.waiting.first != NULL &&
            has_had_turn(coming, supernode->links.mono_us)) {
            send_away(leaf, GOAWAY_RATE, RETRY_SLOW_S);
        }
    }
    watch_intake(supernode);
}

/* ---- BEGIN ---- */

bool register_is_held(const struct leaf *leaf, const struct reg_state *state) {
    bool is_known = leaf->held.count == 0 || has_root(&leaf->held);
    return leaf->list != NULL && is_known && leaf->held.index_id == state->index_id &&
           leaf->held.count == state->count &&
           memcmp(leaf->held.root.b, state->root.b, sizeof state->root.b) == 0;
}

/* The leaf has heard of its loss and offers the list again, or a later one: then the list is again
 * what it was, and this or the difference is all that need be sent. Who cannot show a record loses
 * it again, and in the end its place. */
static void take_back_lost(struct leaf *leaf, const struct reg_state *state) {
    if (leaf->lost == NULL) {
        return;
    }
    struct reg_state without = leaf->held;
    leaf->held = leaf->lost->held;
    bool helps = register_is_held(leaf, state) || is_change_of(leaf, state);
    struct reader reader = reader_of(leaf->lost->records.data, leaf->lost->records.len);
    for (uint32_t i = 0; i < leaf->lost->count && helps; i++) {
        struct file_record file;
        wire_file_record_reread(&reader, &file);
        helps = index_list_add(leaf->list, &file) == OK;
    }
    if (!helps) {
        leaf->held = without;
    }
    forget_lost(leaf);
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
    empty(coming);
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
    take_back_lost(leaf, &state);
    if (register_is_held(leaf, &state)) {
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

/* ---- What came ---- */

static bool is_promised(const struct registration *coming, const struct reg_state *state) {
    return coming->promised.index_id == state->index_id && coming->promised.count == state->count &&
           memcmp(coming->promised.root.b, state->root.b, sizeof state->root.b) == 0;
}

/* It did not come out: all of it, please. */
static enum err ask_for_all(struct leaf *leaf) {
    struct supernode *supernode = leaf->supernode;
    struct reg_state again = leaf->coming->promised;
    bool was_all = !leaf->coming->is_change;
    supernode->counts.mismatches++;
    log_info(supernode->env->log, "leaf.list_mismatch link=%u change=%d came=%u promised=%u",
             leaf->link->number, !was_all, leaf->coming->count, again.count);
    leaf->held.sequence = 0; /* what we hold is no base, now or when it begins again */
    restart(leaf->coming, &again);
    return was_all ? supernode_misdeed(leaf->link) : OK;
}

/* It is what was promised, and may be seen. */
static void take_list(struct leaf *leaf) {
    struct supernode *supernode = leaf->supernode;
    struct registration *coming = leaf->coming;
    struct reg_state promised = coming->promised;
    if (coming->is_change) {
        supernode->counts.changes++;
        coming->phase = SETTLE_TAKE; /* it is whole again */
        reclaim_soon(supernode);
    } else { /* the new list takes the place of the old one, in one step for all who search */
        register_drop_list(leaf);
        leaf->list = coming->list;
        coming->list = NULL;
        supernode->counts.registrations++;
    }
    hold(leaf, &promised);
    free_coming(coming);
    log_info(supernode->env->log, "leaf.registered link=%u files=%u", leaf->link->number,
             index_list_files(leaf->list));
    register_send_status(leaf, REG_DONE);
}

/* Take a cost from what this step may spend on lists. */
static void spend(struct supernode *supernode, uint32_t cost) {
    struct intake *intake = &supernode->intake;
    if (intake->slice_us != supernode->links.mono_us) {
        intake->slice_us = supernode->links.mono_us;
        intake->slice_left = intake->slice_cost;
    }
    intake->slice_left -= cost < intake->slice_left ? cost : intake->slice_left;
}

/* Do a slice of the work on what came; what is left is done in steps of its own. An error is what
 * the leaf did. */
static enum err settle(struct registration *coming) {
    struct leaf *leaf = coming->leaf;
    struct supernode *supernode = leaf->supernode;
    struct intake *intake = &supernode->intake;
    enum err err;
    if (coming->is_settling) {
        queue_take(&intake->settling, coming);
        coming->is_settling = false;
    }
    if (leaf->link->closing) {
        return OK; /* it goes with the link */
    }
    spend(supernode, 0);
    bool is_over = settle_slice(coming, &intake->slice_left, &err);
    if (!is_over && settle_has_work(coming)) {
        queue_put(&intake->settling, coming);
        coming->is_settling = true;
        timers_set(&supernode->timers, &intake->settle_timer, supernode_next_step(supernode));
    } else if (is_over && err == OK) {
        take_list(leaf);
    } else if (err == ERR_LIMIT) {
        if (settle_is_halfway(coming)) {
            register_drop_list(leaf);
        }
        refuse_list(leaf);
    } else if (is_over) {
        return ask_for_all(leaf);
    }
    return OK;
}

void register_settle_timer(struct supernode *supernode) {
    struct registration *coming = supernode->intake.settling.first;
    if (coming == NULL) {
        return;
    }
    struct link *link = coming->leaf->link;
    enum err err = settle(coming);
    if (err != OK) {
        links_close(link, GOAWAY_PROTOCOL, err);
    }
    if (supernode->intake.settling.first != NULL) {
        timers_set(&supernode->timers, &supernode->intake.settle_timer,
                   supernode_next_step(supernode));
    }
}

/* ---- Messages ---- */

/* What may be added to now, or NULL: then it was not the time for such a message. */
static struct registration *open_registration(const struct link *link) {
    struct registration *coming = ((const struct leaf *)link->owner)->coming;
    return coming == NULL || coming->is_waiting || coming->is_committed ? NULL : coming;
}

enum err register_take_add(struct supernode *supernode, struct link *link, struct slice payload) {
    struct registration *coming = open_registration(link);
    struct reg_add add;
    enum err err = wire_reg_add_decode(payload, &add);
    if (err != OK) {
        return err;
    }
    if (coming == NULL || add.count > coming->promised.count - coming->count) {
        return ERR_UNEXPECTED;
    }
    struct reg_records records;
    wire_reg_records_begin(&records, &add);
    spend(supernode, add.count * SETTLE_COST_KEEP);
    if (!coming->is_spoilt && !settle_keep_records(coming, &records)) {
        if (!coming->is_change) {
            refuse_list(link->owner);
            return OK;
        }
        coming->is_spoilt = true;
    }
    return coming->is_spoilt ? OK : settle(coming);
}

enum err register_take_remove(struct supernode *supernode, struct link *link,
                              struct slice payload) {
    (void)supernode;
    struct registration *coming = open_registration(link);
    struct reg_remove remove;
    enum err err = wire_reg_remove_decode(payload, &remove);
    if (err != OK) {
        return err;
    }
    if (coming == NULL) {
        return ERR_UNEXPECTED;
    }
    coming->is_spoilt = coming->is_spoilt || !coming->is_change; /* it took us to know more */
    if (!coming->is_spoilt && !settle_keep_removed(coming, &remove)) {
        coming->is_spoilt = true;
    }
    return OK;
}

enum err register_take_commit(struct supernode *supernode, struct link *link,
                              struct slice payload) {
    (void)supernode;
    struct registration *coming = open_registration(link);
    struct reg_state state;
    enum err err = wire_reg_state_decode(payload, &state);
    if (err != OK) {
        return err;
    }
    if (coming == NULL) {
        return ERR_UNEXPECTED;
    }
    coming->is_committed = true;
    coming->is_spoilt = coming->is_spoilt || !is_promised(coming, &state);
    return settle(coming);
}
