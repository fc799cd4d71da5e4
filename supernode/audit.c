/* audit.c - asks leaves now and then for a block of a file they registered, and believes no more
 * than they can show.
 *
 *     (idle) -- about every AUDIT_EVERY_MS: a record by lot --> asked -- block and proof --> (idle)
 *     asked  -- refused, wrong, or nothing until the next time --> doubted
 *     doubted -- the record has left the list meanwhile --> (idle), nobody is to blame
 *             -- asked again: right --> (idle)     -- wrong --> the record is lost, a failure
 *
 * An honest leaf can miss once: its file changed a moment ago, its disk or its process stood still,
 * its link went down. It has AUDIT_AGAIN_MS to register what has changed, a whole interval to send
 * one block, and its list on its way excuses it for a while. Only a record that is missed twice in
 * a row and is still registered counts; each success takes a failure back. AUDIT_FAILURES_MAX
 * failures send the leaf off for AUDIT_BAN_S. */
#include <string.h>

#include "common/check.h"
#include "common/facts.h"
#include "common/hashtree.h"
#include "common/mem.h"
#include "supernode/core.h"

struct audit {
    struct timer timer;
    struct buf record; /* encoded, what is asked for or doubted */
    struct content_id content;
    struct hash proven; /* what the block's hash must be */
    struct hash found;  /* what it is */
    uint64_t banned_us; /* may not come back before */
    uint64_t asked_us;  /* when the last question went out ... */
    uint64_t took_us;   /* ... and how long its block took; 0 = no whole one has come */
    uint32_t block;
    uint32_t handle; /* of the last question */
    bool is_asked;
    bool is_doubted;
    bool is_locked; /* it is proven, not shown */
    bool has_proof;
    bool has_block;
    uint8_t failures;
    uint8_t excuses; /* since the last success */
};

static struct audit *audit_of(struct leaf *leaf) {
    if (leaf->audit == NULL) {
        leaf->audit = mem_new(sizeof *leaf->audit);
        leaf->audit->timer.kind = TIMER_AUDIT;
        leaf->audit->timer.owner = leaf;
    }
    return leaf->audit;
}

void audit_free(struct leaf *leaf) {
    struct audit *audit = leaf->audit;
    if (audit != NULL) {
        timers_cancel(&leaf->supernode->timers, &audit->timer);
        buf_free(&audit->record);
        mem_free(audit);
        leaf->audit = NULL;
    }
}

uint64_t audit_banned_us(const struct leaf *leaf) {
    const struct audit *audit = leaf->audit;
    uint64_t now_us = leaf->supernode->links.mono_us;
    return audit != NULL && audit->banned_us > now_us ? audit->banned_us - now_us : 0;
}

static void look_after(struct leaf *leaf, uint64_t ms) {
    struct supernode *supernode = leaf->supernode;
    timers_set(&supernode->timers, &leaf->audit->timer, supernode_after_ms(supernode, ms));
}

static void look_later(struct leaf *leaf) {
    uint64_t spread_ms = rng_below(&leaf->supernode->rng, AUDIT_EVERY_MS);
    look_after(leaf, AUDIT_EVERY_MS / 2 + spread_ms);
}

void audit_list_shown(struct leaf *leaf) {
    if (index_list_files(leaf->list) > 0 && !timer_is_set(&audit_of(leaf)->timer)) {
        look_later(leaf);
    }
}

/* ---- The record in question ---- */

static struct file_record record_of(const struct audit *audit) {
    struct reader reader = reader_of(audit->record.data, audit->record.len);
    struct file_record file;
    enum err err = wire_file_record_read(&reader, &file);
    CHECK(err == OK);
    return file;
}

static bool is_registered(const struct leaf *leaf) {
    struct file_record wanted = record_of(leaf->audit);
    uint32_t cursor = 0;
    struct file_record file;
    bool is_there = false;
    while (leaf->list != NULL && !is_there && index_list_next(leaf->list, &cursor, &file)) {
        is_there = wire_file_record_compare(&file, &wanted) == 0;
    }
    return is_there;
}

static void draw_record(struct leaf *leaf) {
    struct audit *audit = leaf->audit;
    uint64_t place = rng_below(&leaf->supernode->rng, index_list_files(leaf->list));
    uint32_t cursor = 0;
    struct file_record file;
    for (uint64_t i = 0; i <= place; i++) {
        bool is_there = index_list_next(leaf->list, &cursor, &file);
        CHECK(is_there);
    }
    audit->record.len = 0;
    wire_file_record_encode(&audit->record, &file);
    audit->content = file.content;
    struct file_facts facts;
    file_facts_read(&file, &facts);
    audit->is_locked = facts.is_locked;
}

/* ---- Asking ---- */

static void send_shut(struct leaf *leaf) {
    struct shut_file shut = {.handle = leaf->audit->handle};
    struct buf payload = {0};
    if (leaf->link != NULL && !leaf->link->closing) {
        wire_shut_encode(&payload, &shut);
        supernode_send(leaf->link, MSG_SHUT, &payload);
    }
}

/* The three messages go together: what comes after a refused OPEN is ignored. Of a locked file no
 * block is asked for: its owner shows none to whom he has not named. */
static void ask(struct leaf *leaf) {
    struct supernode *supernode = leaf->supernode;
    struct audit *audit = leaf->audit;
    uint32_t blocks = hashtree_blocks(audit->content.size);
    audit->block = (uint32_t)rng_below(&supernode->rng, blocks);
    audit->handle++;
    audit->is_asked = true;
    audit->asked_us = supernode->links.mono_us;
    audit->took_us = 0;
    audit->has_block = audit->is_locked;
    audit->has_proof = blocks == 1 && !audit->is_locked; /* the block's hash is the root */
    audit->proven = audit->content.root;
    supernode->counts.audits++;
    struct buf payload = {0};
    struct open_file open = {.handle = audit->handle, .content = audit->content};
    wire_open_encode(&payload, &open);
    supernode_send(leaf->link, MSG_OPEN, &payload);
    struct block_request block = {.handle = audit->handle, .first = audit->block, .count = 1};
    if (!audit->has_block) {
        wire_block_request_encode(&payload, &block);
        supernode_send(leaf->link, MSG_BLOCK_REQUEST, &payload);
    }
    if (!audit->has_proof) {
        struct hashes_request proof = {.handle = audit->handle, .first = audit->block, .count = 1};
        wire_hashes_request_encode(&payload, &proof);
        supernode_send(leaf->link, MSG_HASHES_REQUEST, &payload);
    }
    look_later(leaf);
}

/* ---- Verdicts ---- */

static void settle(struct leaf *leaf) {
    leaf->audit->is_asked = false;
    send_shut(leaf);
}

static void banish(struct leaf *leaf) {
    struct supernode *supernode = leaf->supernode;
    struct audit *audit = leaf->audit;
    supernode->counts.banished++;
    audit->failures = 0;
    audit->banned_us = supernode_after_ms(supernode, AUDIT_BAN_S * 1000ull);
    timers_cancel(&supernode->timers, &audit->timer);
    register_drop_list(leaf);
    if (leaf->link != NULL) {
        struct goaway goaway = {.reason = GOAWAY_POLICY, .retry_after_s = AUDIT_BAN_S};
        links_goaway(leaf->link, &goaway, ERR_POLICY);
    }
}

/* The leaf has it no more, or never had it. */
static void lose_record(struct leaf *leaf) {
    struct supernode *supernode = leaf->supernode;
    struct file_record file = record_of(leaf->audit);
    register_lose(leaf, &file);
    supernode->counts.audits_failed++;
    leaf->audit->is_doubted = false;
    leaf->audit->failures++;
    log_info(supernode->env->log, "audit.failed link=%u failures=%u",
             leaf->link != NULL ? leaf->link->number : 0, leaf->audit->failures);
    if (leaf->audit->failures >= AUDIT_FAILURES_MAX) {
        banish(leaf);
    } else if (leaf->link != NULL) {
        register_send_status(leaf, REG_LOST);
    }
}

/* True when it is just saying what has changed: but nobody is always doing that. */
static bool is_excused(struct leaf *leaf) {
    if (leaf->coming == NULL || leaf->audit->excuses >= AUDIT_EXCUSES_MAX) {
        return false;
    }
    leaf->audit->excuses++;
    return true;
}

/* The question was not answered as it should have been. */
static void miss(struct leaf *leaf) {
    struct audit *audit = leaf->audit;
    settle(leaf);
    look_after(leaf, AUDIT_AGAIN_MS);
    if (is_excused(leaf)) {
        return;
    }
    if (!is_registered(leaf)) {
        audit->is_doubted = false;
    } else if (!audit->is_doubted) {
        audit->is_doubted = true;
    } else {
        lose_record(leaf);
    }
}

/* A whole block that proved right tells what to expect of the leaf's line; a shorter one would tell
 * little but how far away it is. Averaged, since a single one may meet a busy moment. */
static void note_speed(struct leaf *leaf) {
    uint64_t took_us = leaf->audit->took_us;
    if (took_us > 0) {
        uint64_t kib = BLOCK_BYTES / 1024 * 1000000ull / took_us;
        uint64_t now = kib > 0 ? kib : 1; /* 0 would be unknown */
        uint64_t before = leaf->speed_kib > 0 ? leaf->speed_kib : now;
        leaf->speed_kib = (uint32_t)((3 * before + now) / 4);
    }
}

static void pass(struct leaf *leaf) {
    struct audit *audit = leaf->audit;
    settle(leaf);
    note_speed(leaf);
    audit->is_doubted = false;
    audit->excuses = 0;
    if (audit->failures > 0) {
        audit->failures--;
    }
}

/* Both answers are there: the block must hash to what is proven. */
static void judge(struct leaf *leaf) {
    const struct audit *audit = leaf->audit;
    if (!audit->has_block || !audit->has_proof) {
        return;
    }
    if (audit->is_locked || memcmp(audit->proven.b, audit->found.b, sizeof audit->found.b) == 0) {
        pass(leaf);
    } else {
        miss(leaf);
    }
}

void audit_timer(struct leaf *leaf) {
    struct audit *audit = leaf->audit;
    if (leaf->link == NULL || leaf->link->closing || leaf->list == NULL ||
        index_list_files(leaf->list) == 0) {
        return; /* goes on when a list is shown */
    }
    if (audit->is_asked) {
        miss(leaf);
    } else if (is_excused(leaf)) {
        look_after(leaf, AUDIT_AGAIN_MS);
    } else {
        audit->is_doubted = audit->is_doubted && is_registered(leaf);
        if (!audit->is_doubted) {
            draw_record(leaf);
        }
        ask(leaf);
    }
}

void audit_leaf_gone(struct leaf *leaf) {
    if (leaf->audit == NULL) {
        return;
    }
    if (leaf->audit->is_asked && leaf->list != NULL) {
        miss(leaf); /* or hanging up would be the way to pass */
    }
    leaf->audit->is_asked = false;
    timers_cancel(&leaf->supernode->timers, &leaf->audit->timer);
}

/* ---- Answers ---- */

/* True when this handle is the open question; else *err says what to do about the message: one to
 * an earlier question comes late, one that was never asked for is a misdeed. */
static bool is_answer(struct link *link, uint32_t handle, enum err *err) {
    const struct audit *audit = ((const struct leaf *)link->owner)->audit;
    bool was_asked = audit != NULL && handle >= 1 && handle <= audit->handle;
    if (*err == OK && !was_asked) {
        *err = supernode_misdeed(link);
    }
    return *err == OK && was_asked && handle == audit->handle && audit->is_asked;
}

enum err audit_take_have(struct supernode *supernode, struct link *link, struct slice payload) {
    struct have have;
    (void)supernode;
    enum err err = wire_have_decode(payload, &have);
    (void)is_answer(link, have.handle, &err); /* having it is not showing it */
    return err;
}

enum err audit_take_block(struct supernode *supernode, struct link *link, struct slice payload) {
    struct leaf *leaf = link->owner;
    struct block block;
    enum err err = wire_block_decode(payload, &block);
    if (!is_answer(link, block.handle, &err)) {
        return err;
    }
    struct audit *audit = leaf->audit;
    if (block.index != audit->block ||
        block.data.len != hashtree_block_bytes(audit->content.size, block.index)) {
        return ERR_UNEXPECTED;
    }
    uint64_t took_us = supernode->links.mono_us - audit->asked_us;
    bool is_asked_for = block.data.len == BLOCK_BYTES && !audit->is_locked;
    audit->took_us = !is_asked_for ? 0 : took_us > 0 ? took_us : 1;
    crypto_hash(supernode->env->crypto, block.data, &audit->found);
    audit->has_block = true;
    judge(leaf);
    return OK;
}

enum err audit_take_hashes(struct supernode *supernode, struct link *link, struct slice payload) {
    struct leaf *leaf = link->owner;
    struct hashes hashes;
    enum err err = wire_hashes_decode(payload, &hashes);
    if (!is_answer(link, hashes.handle, &err)) {
        return err;
    }
    struct audit *audit = leaf->audit;
    if (hashes.layer != 0 || hashes.first != audit->block || hashes.count != 1) {
        return ERR_UNEXPECTED;
    }
    struct hash_run run = {.first = hashes.first, .count = 1, .hashes = &audit->proven};
    memcpy(audit->proven.b, hashes.hashes.data, sizeof audit->proven.b);
    run.proof_count = hashes.proof_count;
    memcpy(run.proof, hashes.proof.data, hashes.proof.len);
    audit->has_proof = hashtree_verify(supernode->env->crypto, &audit->content, &run) == OK;
    if (audit->has_proof) {
        judge(leaf);
    } else {
        miss(leaf);
    }
    return OK;
}

enum err audit_take_reject(struct supernode *supernode, struct link *link, struct slice payload) {
    struct reject reject;
    (void)supernode;
    enum err err = wire_reject_decode(payload, &reject);
    if (!is_answer(link, reject.handle, &err)) {
        return err;
    }
    if (reject.reason != REJECT_BUSY && reject.reason != REJECT_QUEUED) {
        miss(link->owner); /* who is busy has until the next time */
    }
    return OK;
}
