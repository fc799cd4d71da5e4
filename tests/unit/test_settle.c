/* test_settle.c - long lists and long differences are settled in slices: no step does more for a
 * longer list, and whatever comes between two slices, the list ends right. */
#include "tests/unit/supernode_fake.h"

#define FILES LEAF_FILES_MAX
#define GONE 3000 /* of the change: from the front ... */
#define NEW 1000  /* ... and these behind */
#define NAME_BYTES 32
#define INDEX_ID 7

struct stage {
    struct net *net;
    struct net_node *place;
    struct supernode *supernode;
    struct fake *alice;
    struct link *link;
    uint32_t count; /* of the list before it changes */
    struct fake_file files[FILES + NEW];
    char names[FILES + NEW][NAME_BYTES];
};

/* Hashes of the supernode, by steps. */
static struct {
    const struct net *net;
    uint64_t step_us;
    uint32_t now;
    uint32_t most;
} hashes;

static void count_sha256(void *context, struct slice first, struct slice second, struct hash *out) {
    if (hashes.step_us != hashes.net->now_us) {
        hashes.step_us = hashes.net->now_us;
        hashes.now = 0;
    }
    hashes.now++;
    hashes.most = hashes.now > hashes.most ? hashes.now : hashes.most;
    test_sha256(context, first, second, out);
}

static int setup(void **state) {
    struct stage *stage = mem_new(sizeof *stage);
    stage->net = net_new(1);
    stage->place = start_plain(stage->net);
    stage->supernode = supernode_of(stage->place);
    stage->alice = fake_add(stage->net);
    stage->link = fake_dial(stage->alice, stage->place, PURPOSE_LEAF);
    for (uint32_t i = 0; i < FILES + NEW; i++) {
        snprintf(stage->names[i], NAME_BYTES, "take %u of %u", i, i % 100);
        stage->files[i] = (struct fake_file){(uint8_t)(i % 251), stage->names[i]};
    }
    stage->count = FILES;
    hashes.net = stage->net;
    hashes.most = 0;
    stage->place->crypto.sha256 = count_sha256;
    *state = stage;
    return 0;
}

static int teardown(void **state) {
    struct stage *stage = *state;
    net_free(stage->net);
    mem_free(stage);
    return 0;
}

static struct leaf *alice_leaf(const struct stage *stage) {
    return map_get(&stage->supernode->leaves, stage->alice->place->env.id.b);
}

/* The list held is that of these files, and nothing is left of the work on it. */
static void expect_list(const struct stage *stage, const struct fake_file *files, uint32_t count) {
    const struct leaf *leaf = alice_leaf(stage);
    struct reg_state wanted = fake_state(stage->alice, INDEX_ID, files, count);
    struct hash *held = mem_array(count, sizeof *held);
    struct hash root;
    uint32_t found = 0, cursor = 0;
    assert_non_null(leaf->list);
    for (struct file_record file; index_list_next(leaf->list, &cursor, &file); found++) {
        assert_true(found < count);
        wire_file_record_hash(&file, &net_crypto, &held[found]);
    }
    assert_int_equal(found, count);
    assert_true(wire_list_root(&net_crypto, held, count, &root));
    assert_memory_equal(root.b, wanted.root.b, sizeof root.b);
    assert_memory_equal(leaf->held.root.b, wanted.root.b, sizeof root.b);
    assert_int_equal(index_count(stage->supernode->index).files, count);
    assert_null(leaf->coming);
    assert_int_equal(stage->supernode->intake.lists, 0);
    assert_true(stage->supernode->intake.bytes == 0);
    assert_null(stage->supernode->intake.settling.first);
    mem_free(held);
}

/* Send all of the change up to its COMMIT, which is on its way then. */
static struct reg_state send_change(struct stage *stage, uint32_t gone, uint32_t added) {
    uint32_t count = stage->count - gone + added;
    struct reg_state promised = fake_state(stage->alice, INDEX_ID, stage->files + gone, count);
    promised.sequence = 2;
    promised.reach = 1;
    fake_forget(stage->alice);
    fake_send_state(stage->link, MSG_REG_BEGIN, &promised);
    net_run(stage->net, 100);
    assert_int_equal(fake_verdict(stage->alice), REG_SEND_CHANGES);
    for (uint32_t i = 0; i < gone; i++) {
        fake_send_gone(stage->link, &stage->files[i]);
    }
    fake_send_files(stage->link, stage->files + stage->count, added);
    fake_send_state(stage->link, MSG_REG_COMMIT, &promised);
    return promised;
}

/* ---- Bounds ---- */

/* So many hashes of one step would be a twelfth of what such a list takes. */
#define HASHES_MAX_PER_STEP (FILES / 12)

static void no_step_does_more_for_a_longer_list(void **state) {
    struct stage *stage = *state;
    assert_int_equal(fake_register(stage->link, INDEX_ID, stage->files, FILES), REG_DONE);
    expect_list(stage, stage->files, FILES);
    assert_in_range(hashes.most, 100, HASHES_MAX_PER_STEP);
    hashes.most = 0;
    send_change(stage, 1, 1);
    net_run(stage->net, 500);
    assert_int_equal(fake_verdict(stage->alice), REG_DONE);
    assert_int_equal(stage->supernode->counts.changes, 1);
    expect_list(stage, stage->files + 1, FILES);
    assert_in_range(hashes.most, 100, HASHES_MAX_PER_STEP);
}

static void a_long_change_comes_right(void **state) {
    struct stage *stage = *state;
    assert_int_equal(fake_register(stage->link, INDEX_ID, stage->files, FILES), REG_DONE);
    hashes.most = 0;
    send_change(stage, GONE, NEW);
    net_run(stage->net, 500);
    assert_int_equal(fake_verdict(stage->alice), REG_DONE);
    assert_int_equal(stage->supernode->counts.changes, 1);
    expect_list(stage, stage->files + GONE, FILES - GONE + NEW);
    assert_in_range(hashes.most, 100, HASHES_MAX_PER_STEP);
}

/* Prefixes that come in many messages, in no order between them. */
static void prefixes_may_come_in_any_order(void **state) {
    struct stage *stage = *state;
    assert_int_equal(fake_register(stage->link, INDEX_ID, stage->files, FILES), REG_DONE);
    struct reg_state promised = send_change(stage, 300, 0); /* one message each */
    net_run(stage->net, 500);
    assert_int_equal(fake_verdict(stage->alice), REG_DONE);
    assert_int_equal(promised.count, FILES - 300);
    expect_list(stage, stage->files + 300, FILES - 300);
}

/* Two leaves' lists are settled side by side. */
static void nobody_waits_for_a_long_list(void **state) {
    struct stage *stage = *state;
    struct fake *bob = fake_add(stage->net);
    struct link *link = fake_dial(bob, stage->place, PURPOSE_LEAF);
    assert_int_equal(fake_register(stage->link, INDEX_ID, stage->files, FILES), REG_DONE);
    send_change(stage, GONE, NEW);
    while (alice_leaf(stage)->coming->phase < SETTLE_ORDER) {
        net_run_until(stage->net, timers_next(&stage->net->timers));
    }
    assert_int_equal(fake_register(link, 1, stage->files, 2), REG_DONE);
    struct reg_state state_of_bob = fake_state(bob, 1, stage->files, 2);
    fake_forget(bob);
    fake_send_state(link, MSG_REG_BEGIN, &state_of_bob);
    net_run(stage->net, 100);
    assert_int_equal(fake_verdict(bob), REG_DONE);
    assert_int_equal(fake_verdict(stage->alice), REG_DONE);
}

/* ---- Between two slices ---- */

/* A shorter list in shorter slices: the same number of them. */
#define SHORT 500
#define SHORT_GONE 150
#define SHORT_NEW 50

enum meanwhile { CUT, BEGIN_AGAIN, RECORD_LOST, LIST_LOST, MEANWHILES };

static void lose_record(struct leaf *leaf) {
    struct file_record file;
    uint8_t name[NAME_BYTES_MAX];
    uint32_t cursor = 0;
    bool is_there = index_list_next(leaf->list, &cursor, &file);
    assert_true(is_there);
    memcpy(name, file.name.data, file.name.len); /* it borrows from the index */
    file.name.data = name;
    register_lose(leaf, &file);
}

static void happen(struct stage *stage, enum meanwhile what, const struct reg_state *promised) {
    struct leaf *leaf = alice_leaf(stage);
    switch (what) {
    case CUT:
        fake_close(stage->link);
        stage->link = fake_dial(stage->alice, stage->place, PURPOSE_LEAF);
        break;
    case BEGIN_AGAIN:
        fake_send_state(stage->link, MSG_REG_BEGIN, promised);
        break;
    case RECORD_LOST:
        lose_record(leaf);
        break;
    default:
        register_drop_list(leaf);
        break;
    }
}

/* What is halfway is lost, what was held before is not; nobody is told that it is done. */
static void expect_rest(const struct stage *stage, bool is_halfway, enum meanwhile what) {
    const struct leaf *leaf = alice_leaf(stage);
    if (is_halfway || what == LIST_LOST) {
        assert_null(leaf->list);
    } else {
        uint32_t lost = what == RECORD_LOST ? 1 : 0;
        assert_int_equal(index_list_files(leaf->list), stage->count - lost);
    }
    assert_int_not_equal(fake_verdict(stage->alice), REG_DONE);
}

static void a_slice_may_be_the_last(void **state) {
    for (int phase = SETTLE_PART; phase <= SETTLE_ADD; phase++) {
        for (int what = 0; what < MEANWHILES; what++) {
            void *fresh = NULL;
            (void)state;
            setup(&fresh);
            struct stage *stage = fresh;
            stage->count = SHORT;
            stage->supernode->intake.slice_cost = REG_SLICE_COST * SHORT / FILES;
            assert_int_equal(fake_register(stage->link, INDEX_ID, stage->files, stage->count),
                             REG_DONE);
            struct reg_state promised = send_change(stage, SHORT_GONE, SHORT_NEW);
            while (alice_leaf(stage)->coming->phase != (enum settle_phase)phase) {
                net_run_until(stage->net, timers_next(&stage->net->timers));
            }
            stage->net->latency_us_min = stage->net->latency_us_max = 0; /* at once */
            happen(stage, (enum meanwhile)what, &promised);
            net_run(stage->net, 500);
            expect_rest(stage, phase >= SETTLE_REMOVE, (enum meanwhile)what);
            uint8_t verdict = fake_register(stage->link, INDEX_ID, stage->files + SHORT_GONE,
                                            SHORT - SHORT_GONE + SHORT_NEW);
            assert_int_equal(verdict, REG_DONE);
            expect_list(stage, stage->files + SHORT_GONE, SHORT - SHORT_GONE + SHORT_NEW);
            teardown(&fresh);
        }
    }
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(no_step_does_more_for_a_longer_list), CASE(a_long_change_comes_right),
        CASE(prefixes_may_come_in_any_order),      CASE(nobody_waits_for_a_long_list),
        cmocka_unit_test(a_slice_may_be_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
