/* test_audit.c - a supernode asks leaves for blocks: liars lose records and their place, honest
 * leaves that are slow, busy or just changing do not. */
#include "common/hashtree.h"
#include "tests/unit/supernode_fake.h"

#define FILE_BYTES (2 * BLOCK_BYTES + 77)
#define BLOCKS 3
#define FILES 4

/* How a leaf answers. */
enum manner {
    HONEST,
    HAS_NOT,     /* REJECT not found */
    BUSY,        /* REJECT busy */
    SILENT,      /* nothing at all */
    WRONG_BLOCK, /* bytes of something else, with the true proof */
    WRONG_PROOF, /* the hash of those bytes, which nothing proves */
    ONE_BLOCK,   /* no proof */
    HANGS_UP,
    REGISTERS /* begins another list whenever it is asked */
};

struct stage {
    struct net *net;
    struct net_node *place;
    struct supernode *supernode;
    struct fake *leaf;
    struct link *link;
    struct file_record files[FILES];
    char names[FILES][16];
    uint8_t bytes[FILE_BYTES]; /* of one of them: they differ in one byte of each block */
    struct hash blocks[FILES][BLOCKS];
    uint32_t answered;
    uint32_t losses; /* it was told of */
};

static void fill(struct stage *stage, uint32_t file) {
    for (uint32_t i = 0; i < FILE_BYTES; i++) {
        stage->bytes[i] = (uint8_t)(i * 7 + i / 251);
    }
    for (uint32_t block = 0; block < BLOCKS; block++) {
        stage->bytes[block * BLOCK_BYTES + 1] = (uint8_t)file;
    }
}

static struct slice block_bytes(const struct stage *stage, uint32_t block) {
    return (struct slice){stage->bytes + (size_t)block * BLOCK_BYTES,
                          hashtree_block_bytes(FILE_BYTES, block)};
}

static void make_files(struct stage *stage) {
    const struct crypto *crypto = &stage->leaf->place->crypto;
    for (uint32_t i = 0; i < FILES; i++) {
        struct file_record *record = &stage->files[i];
        fill(stage, i);
        for (uint32_t block = 0; block < BLOCKS; block++) {
            crypto_hash(crypto, block_bytes(stage, block), &stage->blocks[i][block]);
        }
        hashtree_piece(crypto, FILE_BYTES, 0, stage->blocks[i], &record->content.root);
        record->content.size = FILE_BYTES;
        snprintf(stage->names[i], sizeof stage->names[i], "whale %u", i);
        record->name = test_slice(stage->names[i]);
    }
}

static struct reg_state list_of(const struct stage *stage, uint32_t count, uint64_t sequence) {
    const struct crypto *crypto = &stage->leaf->place->crypto;
    struct reg_state list = {.index_id = 1, .sequence = sequence, .count = count};
    struct hash hashes[FILES];
    for (uint32_t i = 0; i < count; i++) {
        wire_file_record_hash(&stage->files[i], crypto, &hashes[i]);
    }
    assert_true(wire_list_root(crypto, hashes, count, &list.root));
    return list;
}

/* Register the first files, whole. */
static void register_files(struct stage *stage, uint32_t count, uint64_t sequence) {
    struct reg_state list = list_of(stage, count, sequence);
    fake_forget(stage->leaf);
    fake_send_state(stage->link, MSG_REG_BEGIN, &list);
    net_run(stage->net, 100);
    if (fake_verdict(stage->leaf) == REG_SEND_ALL) {
        struct file_record sorted[FILES];
        struct buf payload = {0};
        memcpy(sorted, stage->files, sizeof sorted);
        qsort(sorted, count, sizeof *sorted, fake_compare_records);
        assert_int_equal(wire_reg_add_pack(&payload, sorted, count), count);
        fake_send(stage->link, MSG_REG_ADD, &payload);
        fake_send_state(stage->link, MSG_REG_COMMIT, &list);
        net_run(stage->net, 100);
    }
    assert_int_equal(fake_verdict(stage->leaf), REG_DONE);
    fake_forget(stage->leaf);
}

static int setup(void **state) {
    struct stage *stage = mem_new(sizeof *stage);
    stage->net = net_new(3);
    stage->place = start_plain(stage->net);
    stage->supernode = supernode_of(stage->place);
    stage->leaf = fake_add(stage->net);
    make_files(stage);
    stage->link = fake_dial(stage->leaf, stage->place, PURPOSE_LEAF);
    register_files(stage, FILES, 1);
    *state = stage;
    return 0;
}

static int teardown(void **state) {
    struct stage *stage = *state;
    net_free(stage->net);
    mem_free(stage);
    return 0;
}

/* ---- Answers ---- */

static void answer_reject(struct stage *stage, uint32_t handle, enum reject_reason reason) {
    struct reject reject = {.handle = handle, .reason = (uint8_t)reason};
    struct buf payload = {0};
    wire_reject_encode(&payload, &reject);
    fake_send(stage->link, MSG_REJECT, &payload);
}

/* Turn the bytes of a block into others, and back. */
static void spoil(struct stage *stage, uint32_t block) {
    stage->bytes[block * BLOCK_BYTES + 5] ^= 1;
}

static void answer_block(struct stage *stage, const struct block_request *request) {
    struct buf payload = {0};
    struct slice bytes = block_bytes(stage, request->first);
    buf_u32(&payload, request->handle);
    buf_u32(&payload, request->first);
    buf_append(&payload, bytes.data, bytes.len);
    fake_send(stage->link, MSG_BLOCK, &payload);
}

static void answer_hashes(struct stage *stage, uint32_t file, const struct hashes_request *request,
                          bool is_wrong) {
    const struct crypto *crypto = &stage->leaf->place->crypto;
    struct hash hash = stage->blocks[file][request->first];
    struct hash_run run = {.first = request->first, .count = 1, .hashes = &hash};
    hashtree_block_proof(crypto, FILE_BYTES, stage->blocks[file], NULL, &run);
    if (is_wrong) {
        spoil(stage, request->first);
        crypto_hash(crypto, block_bytes(stage, request->first), &hash);
        spoil(stage, request->first);
    }
    struct hashes hashes = {.handle = request->handle,
                            .first = request->first,
                            .count = 1,
                            .hashes = {run.hashes->b, HASH_BYTES},
                            .proof_count = (uint8_t)run.proof_count,
                            .proof = {run.proof[0].b, run.proof_count * HASH_BYTES}};
    struct buf payload = {0};
    wire_hashes_encode(&payload, &hashes);
    fake_send(stage->link, MSG_HASHES, &payload);
}

static uint32_t file_of(const struct stage *stage, const struct content_id *content) {
    uint32_t i = 0;
    while (!content_equal(&stage->files[i].content, content)) {
        i++;
        assert_true(i < FILES);
    }
    return i;
}

/* Which bytes it has: the number in its name. */
static uint32_t bytes_of(const struct stage *stage, uint32_t file) {
    return stage->files[file].name.data[6] - (uint32_t)'0';
}

/* Answer the question that has come, if any. */
static void answer(struct stage *stage, enum manner manner) {
    const struct heard *heard = fake_nth(stage->leaf, MSG_OPEN, 0);
    if (heard == NULL || manner == SILENT) {
        fake_forget(stage->leaf);
        return;
    }
    struct open_file open;
    struct block_request block;
    struct hashes_request proof;
    assert_int_equal(wire_open_decode(heard_payload(heard), &open), OK);
    heard = fake_nth(stage->leaf, MSG_BLOCK_REQUEST, 0);
    assert_int_equal(wire_block_request_decode(heard_payload(heard), &block), OK);
    heard = fake_nth(stage->leaf, MSG_HASHES_REQUEST, 0);
    assert_int_equal(wire_hashes_request_decode(heard_payload(heard), &proof), OK);
    assert_int_equal(block.count, 1);
    uint32_t file = bytes_of(stage, file_of(stage, &open.content));
    fill(stage, file);
    fake_forget(stage->leaf);
    stage->answered++;
    if (manner == REGISTERS) {
        struct reg_state list = list_of(stage, 1, 100 + stage->answered);
        list.index_id = 2;
        fake_send_state(stage->link, MSG_REG_BEGIN, &list);
    }
    if (manner == HAS_NOT || manner == BUSY || manner == REGISTERS) {
        answer_reject(stage, open.handle, manner == BUSY ? REJECT_BUSY : REJECT_NOT_FOUND);
    } else if (manner == HANGS_UP) {
        fake_close(stage->link);
        stage->link = fake_dial(stage->leaf, stage->place, PURPOSE_LEAF);
        if (stage->link != NULL) {
            register_files(stage, FILES, 1);
        }
    } else {
        bool is_wrong = manner == WRONG_BLOCK || manner == WRONG_PROOF;
        if (is_wrong) {
            spoil(stage, block.first);
        }
        answer_block(stage, &block);
        if (is_wrong) {
            spoil(stage, block.first);
        }
        if (manner != ONE_BLOCK) {
            answer_hashes(stage, file, &proof, manner == WRONG_PROOF);
        }
    }
}

/* Let minutes pass, and answer in this manner. */
static void pass_minutes(struct stage *stage, uint32_t minutes, enum manner manner) {
    for (uint32_t i = 0; i < minutes * 6 && stage->leaf->closed == 0; i++) {
        net_run(stage->net, 10000);
        stage->losses += fake_verdict(stage->leaf) == REG_LOST;
        if (stage->leaf->closed == 0) {
            answer(stage, manner);
        }
    }
}

static uint32_t files_held(const struct stage *stage) {
    const struct leaf *leaf = map_get(&stage->supernode->leaves, stage->leaf->place->env.id.b);
    return leaf != NULL && leaf->list != NULL ? index_list_files(leaf->list) : 0;
}

/* ---- The tests ---- */

/* Of what is locked no block is asked for: the proof alone passes, and no proof does not. */
static void what_is_locked_is_only_proven(void **state) {
    struct stage *stage = *state;
    static const uint8_t locked[] = {20, 0, 1, 1};
    for (uint32_t i = 0; i < FILES; i++) {
        stage->files[i].meta = (struct slice){locked, sizeof locked};
    }
    register_files(stage, FILES, 2);
    uint32_t asked = 0;
    bool is_answered = true;
    for (uint32_t i = 0; i < 6 * 240 && stage->leaf->closed == 0; i++) {
        net_run(stage->net, 10000);
        is_answered = i < 6 * 120;
        const struct heard *heard = fake_nth(stage->leaf, MSG_OPEN, 0);
        if (heard == NULL) {
            continue;
        }
        struct open_file open;
        struct hashes_request proof;
        assert_int_equal(wire_open_decode(heard_payload(heard), &open), OK);
        assert_null(fake_nth(stage->leaf, MSG_BLOCK_REQUEST, 0));
        heard = fake_nth(stage->leaf, MSG_HASHES_REQUEST, 0);
        assert_int_equal(wire_hashes_request_decode(heard_payload(heard), &proof), OK);
        uint32_t file = file_of(stage, &open.content);
        fake_forget(stage->leaf);
        asked++;
        if (is_answered) {
            answer_hashes(stage, file, &proof, false);
            net_run(stage->net, 100);
            assert_int_equal(stage->supernode->counts.audits_failed, 0);
        } else {
            answer_reject(stage, open.handle, REJECT_LOCKED);
        }
    }
    assert_in_range(asked, 10, 100);
    assert_true(stage->supernode->counts.audits_failed > 0);
}

static void an_honest_leaf_is_asked_seldom_and_stays(void **state) {
    struct stage *stage = *state;
    pass_minutes(stage, 600, HONEST);
    assert_in_range(stage->answered, 40, 80); /* one in ten minutes */
    assert_int_equal(stage->supernode->counts.audits_failed, 0);
    assert_int_equal(files_held(stage), FILES);
    assert_int_equal(stage->leaf->closed, 0);
}

/* Run until it is asked for a block; true when that is a whole one. */
static bool wait_for_question(struct stage *stage) {
    struct block_request block;
    const struct heard *heard = NULL;
    for (uint32_t i = 0; i < 20 * 600 && heard == NULL; i++) {
        net_run(stage->net, 100);
        heard = fake_nth(stage->leaf, MSG_BLOCK_REQUEST, 0);
    }
    assert_int_equal(wire_block_request_decode(heard_payload(heard), &block), OK);
    return block.first < BLOCKS - 1;
}

/* Answer so many questions, those for whole blocks after `ms`, the others after a minute and a
 * half; return how many of these there were. */
static uint32_t answer_after(struct stage *stage, uint32_t questions, uint32_t ms) {
    uint32_t others = 0;
    for (uint32_t i = 0; i < questions; i++) {
        bool is_whole = wait_for_question(stage);
        others += !is_whole;
        net_run(stage->net, is_whole ? ms : 90000);
        answer(stage, HONEST);
        net_run(stage->net, 1000);
    }
    return others;
}

static void a_whole_block_that_is_right_tells_the_speed(void **state) {
    struct stage *stage = *state;
    const struct leaf *leaf = map_get(&stage->supernode->leaves, stage->leaf->place->env.id.b);
    while (!wait_for_question(stage)) {
        answer(stage, HONEST);
    }
    answer(stage, WRONG_BLOCK);
    net_run(stage->net, 1000);
    assert_int_equal(leaf->speed_kib, 0);
    uint32_t others = answer_after(stage, 20, 1000);
    assert_in_range(others, 1, 19);
    assert_in_range(leaf->speed_kib, 13, 16); /* 16 KiB */
    (void)answer_after(stage, 40, 4000);
    assert_in_range(leaf->speed_kib, 3, 5);
    (void)answer_after(stage, 40, 100000); /* what is slower than can be told is not unknown */
    assert_int_equal(leaf->speed_kib, 1);
    assert_int_equal(stage->supernode->counts.audits_failed, 0);
}

static void a_liar_loses_records_and_then_its_place(void **state) {
    (void)state;
    static const enum manner manners[] = {HAS_NOT,     BUSY,      SILENT,   WRONG_BLOCK,
                                          WRONG_PROOF, ONE_BLOCK, REGISTERS};
    for (size_t i = 0; i < LENGTH(manners); i++) {
        void *fresh;
        setup(&fresh);
        struct stage *stage = fresh;
        for (uint32_t minutes = 0; stage->supernode->counts.audits_failed == 0; minutes++) {
            assert_true(minutes < 60);
            pass_minutes(stage, 1, manners[i]);
        }
        assert_int_equal(files_held(stage), FILES - 1);
        assert_int_equal(stage->losses, 1);
        pass_minutes(stage, 240, manners[i]);
        assert_int_equal(stage->leaf->closed, 1);
        assert_int_equal(last_goaway(stage->leaf).reason, GOAWAY_POLICY);
        assert_int_equal(last_goaway(stage->leaf).retry_after_s, AUDIT_BAN_S);
        assert_int_equal(index_count(stage->supernode->index).files, 0);
        /* It may not come back, also when its list would have been forgotten, but in an hour. */
        net_run(stage->net, LEAF_KEEP_MS + 60000);
        fake_forget(stage->leaf);
        assert_null(fake_dial(stage->leaf, stage->place, PURPOSE_LEAF));
        assert_int_equal(last_goaway(stage->leaf).reason, GOAWAY_POLICY);
        assert_in_range(last_goaway(stage->leaf).retry_after_s, 2000, AUDIT_BAN_S);
        net_run(stage->net, AUDIT_BAN_S * 1000);
        assert_non_null(fake_dial(stage->leaf, stage->place, PURPOSE_LEAF));
        teardown(&fresh);
    }
}

static void a_lost_record_gives_its_memory_back(void **state) {
    struct stage *stage = *state;
    register_files(stage, 1, 2);
    while (stage->supernode->counts.audits_failed == 0) {
        pass_minutes(stage, 1, HAS_NOT);
    }
    assert_int_equal(files_held(stage), 0);
    assert_int_equal(index_count(stage->supernode->index).words, 0);
}

static void hanging_up_is_no_way_out(void **state) {
    struct stage *stage = *state;
    for (uint32_t minutes = 0; stage->supernode->counts.banished == 0; minutes++) {
        assert_true(minutes < 400);
        net_run(stage->net, 10000);
        if (stage->link != NULL) {
            answer(stage, HANGS_UP);
        }
        net_run(stage->net, 50000);
    }
    assert_null(stage->link);
}

/* Asked for a file that went a moment ago, it says so, and registers the others. */
static void a_file_that_has_gone_is_nobodys_fault(void **state) {
    struct stage *stage = *state;
    for (uint64_t sequence = 2; sequence < 22; sequence++) {
        uint32_t answered = stage->answered;
        while (stage->answered == answered) {
            net_run(stage->net, 10000);
            const struct heard *heard = fake_nth(stage->leaf, MSG_OPEN, 0);
            struct open_file open;
            if (heard == NULL) {
                continue;
            }
            assert_int_equal(wire_open_decode(heard_payload(heard), &open), OK);
            uint32_t gone = file_of(stage, &open.content);
            answer(stage, HAS_NOT);
            net_run(stage->net, 100000); /* a scan, a delay */
            struct file_record file = stage->files[gone];
            stage->files[gone] = stage->files[FILES - 1];
            stage->files[FILES - 1] = file;
            register_files(stage, FILES - 1, sequence);
        }
        pass_minutes(stage, 4, HONEST);
        register_files(stage, FILES, 100 + sequence); /* and it is there again */
    }
    assert_int_equal(stage->supernode->counts.audits_failed, 0);
    assert_int_equal(stage->leaf->closed, 0);
}

static void late_is_better_than_never(void **state) {
    struct stage *stage = *state;
    for (uint32_t round = 0; round < 30; round++) {
        while (fake_nth(stage->leaf, MSG_OPEN, 0) == NULL) {
            net_run(stage->net, 10000);
        }
        net_run(stage->net, 240000); /* four minutes for 16 KiB */
        answer(stage, HONEST);
    }
    assert_int_equal(stage->supernode->counts.audits_failed, 0);
    assert_int_equal(stage->leaf->closed, 0);
}

static void answers_to_nothing_are_misdeeds(void **state) {
    struct stage *stage = *state;
    for (uint32_t i = 0; i < MISDEEDS_MAX; i++) {
        assert_int_equal(stage->leaf->closed, 0);
        answer_reject(stage, 77, REJECT_NOT_FOUND);
        net_run(stage->net, 100);
    }
    assert_int_equal(stage->leaf->closed, 1);
}

/* It may lose a record now and then, if it shows others. */
static void a_success_takes_a_failure_back(void **state) {
    struct stage *stage = *state;
    for (uint32_t round = 0; round < 8; round++) {
        uint64_t failed = stage->supernode->counts.audits_failed;
        while (stage->supernode->counts.audits_failed == failed) {
            pass_minutes(stage, 1, HAS_NOT);
        }
        register_files(stage, FILES, 1); /* as a peer does that is told so */
        assert_int_equal(files_held(stage), FILES);
        uint32_t answered = stage->answered;
        while (stage->answered < answered + 1) {
            pass_minutes(stage, 1, HONEST);
        }
    }
    assert_int_equal(stage->supernode->counts.banished, 0);
    assert_int_equal(stage->leaf->closed, 0);
}

/* The record that an audit took out, by its place in `files`: the one that is not in the list. */
static uint32_t lose_one(struct stage *stage) {
    while (stage->supernode->counts.audits_failed == 0) {
        pass_minutes(stage, 1, HAS_NOT);
    }
    assert_int_equal(files_held(stage), FILES - 1);
    const struct leaf *leaf = map_get(&stage->supernode->leaves, stage->leaf->place->env.id.b);
    for (uint32_t i = 0; i < FILES; i++) {
        uint32_t cursor = 0;
        bool is_there = false;
        struct file_record file;
        while (!is_there && index_list_next(leaf->list, &cursor, &file)) {
            is_there = wire_file_record_compare(&file, &stage->files[i]) == 0;
        }
        if (!is_there) {
            return i;
        }
    }
    fail();
    return 0;
}

/* Nobody sends it again: the supernode knows what it took out. */
static void a_lost_record_comes_back_with_the_next_offer(void **state) {
    struct stage *stage = *state;
    (void)lose_one(stage);
    struct reg_state list = list_of(stage, FILES, 1);
    fake_forget(stage->leaf);
    fake_send_state(stage->link, MSG_REG_BEGIN, &list);
    net_run(stage->net, 100);
    assert_int_equal(fake_verdict(stage->leaf), REG_DONE);
    assert_int_equal(files_held(stage), FILES);
    assert_int_equal(stage->supernode->counts.registrations, 1);
}

/* ... and a leaf that has it no more says so by a difference. */
static void after_a_loss_a_difference_is_enough(void **state) {
    struct stage *stage = *state;
    uint32_t gone = lose_one(stage);
    struct hash hash;
    wire_file_record_hash(&stage->files[gone], &stage->leaf->place->crypto, &hash);
    stage->files[gone] = stage->files[FILES - 1];
    struct reg_state list = list_of(stage, FILES - 1, 2);
    list.reach = 1;
    fake_forget(stage->leaf);
    fake_send_state(stage->link, MSG_REG_BEGIN, &list);
    net_run(stage->net, 100);
    assert_int_equal(fake_verdict(stage->leaf), REG_SEND_CHANGES);
    struct reg_remove remove = {.count = 1, .prefixes = {hash.b, RECORD_PREFIX_BYTES}};
    struct buf payload = {0};
    wire_reg_remove_encode(&payload, &remove);
    fake_send(stage->link, MSG_REG_REMOVE, &payload);
    fake_send_state(stage->link, MSG_REG_COMMIT, &list);
    net_run(stage->net, 100);
    assert_int_equal(fake_verdict(stage->leaf), REG_DONE);
    assert_int_equal(files_held(stage), FILES - 1);
    assert_int_equal(stage->supernode->counts.changes, 1);
    assert_int_equal(stage->supernode->counts.mismatches, 0);
}

/* An offer of which the list with the lost record is no base is taken whole. */
static void after_a_loss_another_list_is_taken_whole(void **state) {
    struct stage *stage = *state;
    (void)lose_one(stage);
    register_files(stage, FILES - 2, 7);
    assert_int_equal(files_held(stage), FILES - 2);
    assert_int_equal(stage->supernode->counts.registrations, 2);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(an_honest_leaf_is_asked_seldom_and_stays),
        CASE(a_whole_block_that_is_right_tells_the_speed),
        cmocka_unit_test(a_liar_loses_records_and_then_its_place),
        CASE(a_lost_record_gives_its_memory_back),
        CASE(a_lost_record_comes_back_with_the_next_offer),
        CASE(after_a_loss_a_difference_is_enough),
        CASE(after_a_loss_another_list_is_taken_whole),
        CASE(hanging_up_is_no_way_out),
        CASE(a_file_that_has_gone_is_nobodys_fault),
        CASE(late_is_better_than_never),
        CASE(answers_to_nothing_are_misdeeds),
        CASE(a_success_takes_a_failure_back),
        CASE(what_is_locked_is_only_proven),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
