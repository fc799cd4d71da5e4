/* test_supernode_handover.c - a supernode leaves: its leaves stay searchable, their lists go on. */
#include "tests/unit/supernode_fake.h"

static const struct fake_file songs[] = {{1, "blue whale song"}, {2, "red whale"}, {3, "wind"}};

/* Supernode `one` has the leaf alice, supernode `two` the leaf bob, who asks. */
struct stage {
    struct net *net;
    struct net_node *one;
    struct net_node *two;
    struct fake *alice;
    struct link *link; /* alice's */
    struct fake *bob;
    struct link *asks; /* bob's */
};

static int setup(void **state) {
    struct stage *stage = mem_new(sizeof *stage);
    stage->net = net_new(7);
    stage->one = start_plain(stage->net);
    stage->two = start_friend(stage->net, stage->one);
    stage->alice = fake_add(stage->net);
    stage->link = fake_dial(stage->alice, stage->one, PURPOSE_LEAF);
    stage->bob = fake_add(stage->net);
    stage->asks = fake_dial(stage->bob, stage->two, PURPOSE_LEAF);
    *state = stage;
    return 0;
}

static int teardown(void **state) {
    struct stage *stage = *state;
    net_free(stage->net);
    mem_free(stage);
    return 0;
}

static void stop(struct net_node *place) {
    struct node_event event = {.kind = NODE_SHUTDOWN};
    net_step(place->net, place, &event);
}

static uint32_t found(struct stage *stage, const char *text) {
    static uint8_t salt;
    return ask(stage->asks, text, 2, ++salt).records;
}

static struct leaf *alice_at(struct stage *stage, struct net_node *place) {
    return map_get(&supernode_of(place)->leaves, stage->alice->place->env.id.b);
}

/* Not a moment in which she is not found, though she registers nowhere else. */
static void a_leaf_is_found_throughout(void **state) {
    struct stage *stage = *state;
    assert_int_equal(fake_register(stage->link, 7, songs, LENGTH(songs)), REG_DONE);
    net_run(stage->net, 2 * SUMMARY_PUSH_MS); /* which words it has */
    assert_int_equal(found(stage, "whale"), 2);
    stop(stage->one);
    net_run(stage->net, 100);
    assert_int_equal(last_goaway(stage->alice).reason, GOAWAY_SHUTDOWN);
    assert_int_equal(last_goaway(stage->alice).alternatives.count, 1);
    assert_false(stage->one->is_stopped);
    for (int i = 0; i < 6; i++) {
        assert_in_range(found(stage, "whale"), 2, 4); /* of both, for a moment */
    }
    assert_true(stage->one->is_stopped);
    assert_int_equal(supernode_of(stage->two)->neighbour_count, 0);
    assert_int_equal(found(stage, "whale"), 2);
    assert_int_equal(supernode_of(stage->two)->counts.snapshots, 1);
    /* She never came: nobody is told of her any more. */
    net_run(stage->net, SNAPSHOT_KEEP_MS);
    assert_int_equal(found(stage, "whale"), 0);
    net_run(stage->net, LEAF_KEEP_MS);
    assert_null(alice_at(stage, stage->two));
    assert_int_equal(index_count(supernode_of(stage->two)->index).records, 0);
}

/* Her link is gone, and she has not registered elsewhere yet. */
static void it_answers_while_it_leaves(void **state) {
    struct stage *stage = *state;
    assert_int_equal(fake_register(stage->link, 7, songs, LENGTH(songs)), REG_DONE);
    net_kill(stage->two);
    struct fake *other = fake_add(stage->net);
    struct link *link = fake_dial(other, stage->one, PURPOSE_MESH);
    net_run(stage->net, 500);
    fake_forget(other);
    stop(stage->one);
    net_run(stage->net, 200);
    assert_null(alice_at(stage, stage->one)->link);
    assert_int_equal(fake_count(other, MSG_SNAPSHOT), 1);
    assert_int_equal(fake_count(other, MSG_REG_ADD), 1);
    assert_int_equal(ask(link, "whale", 1, 1).records, 2);
    net_run(stage->net, HANDOVER_MS + STOP_MS);
    assert_true(stage->one->is_stopped);
}

/* Where her list is she need not send it again. */
static void a_leaf_that_comes_is_known(void **state) {
    struct stage *stage = *state;
    assert_int_equal(fake_register(stage->link, 7, songs, LENGTH(songs)), REG_DONE);
    stop(stage->one);
    net_run(stage->net, 500);
    struct link *link = fake_dial(stage->alice, stage->two, PURPOSE_LEAF);
    assert_non_null(link);
    assert_int_equal(fake_register(link, 7, songs, LENGTH(songs)), REG_DONE);
    const struct supernode_counts *counts = &supernode_of(stage->two)->counts;
    assert_int_equal(counts->unchanged, 1);
    assert_int_equal(counts->registrations, 0);
    net_run(stage->net, SNAPSHOT_KEEP_MS + 1000);
    assert_int_equal(found(stage, "whale"), 2);
    nothing_is_left(stage->net, 2);
}

/* A standby link is there already: what she says herself later counts more. */
static void a_leaf_speaks_for_itself(void **state) {
    struct stage *stage = *state;
    static const struct fake_file other[] = {{9, "green whale"}};
    assert_int_equal(fake_register(stage->link, 7, songs, LENGTH(songs)), REG_DONE);
    struct link *second = fake_dial(stage->alice, stage->two, PURPOSE_LEAF);
    assert_int_equal(fake_register(second, 7, other, 1), REG_DONE);
    stop(stage->one);
    net_run(stage->net, HANDOVER_MS + STOP_MS);
    assert_int_equal(supernode_of(stage->two)->counts.snapshots, 0);
    assert_int_equal(found(stage, "whale"), 1);
}

/* What one step of the one who leaves does. */
struct work {
    const struct net *net;
    uint64_t step_us;
    uint32_t records;
    uint32_t bytes;
    uint32_t records_most; /* of a message: they are put in order at once */
    uint32_t bytes_most;   /* of a step */
};

static void watch_work(void *watcher, const struct net_message *message) {
    struct work *work = watcher;
    struct reg_add add;
    if (message->type != MSG_REG_ADD || wire_reg_add_decode(message->payload, &add) != OK) {
        return;
    }
    work->bytes = work->step_us == work->net->now_us ? work->bytes : 0;
    work->step_us = work->net->now_us;
    work->bytes += (uint32_t)message->payload.len;
    work->records += add.count;
    work->records_most = add.count > work->records_most ? add.count : work->records_most;
    work->bytes_most = work->bytes > work->bytes_most ? work->bytes : work->bytes_most;
}

static void long_lists_go_over_too(void **state) {
    struct stage *stage = *state;
    struct work work = {.net = stage->net};
    static struct fake_file many[6000];
    static char names[LENGTH(many)][60];
    for (uint32_t i = 0; i < LENGTH(many); i++) {
        snprintf(names[i], sizeof names[i], "recording number %u of a series%s", i,
                 i % 1000 == 7 ? " rarity" : "");
        many[i] = (struct fake_file){(uint8_t)i, names[i]};
    }
    assert_int_equal(fake_register(stage->link, 7, many, LENGTH(many)), REG_DONE);
    stage->net->watcher = &work;
    stage->net->watch = watch_work;
    stop(stage->one);
    net_run(stage->net, HANDOVER_MS + STOP_MS);
    stage->net->watch = NULL;
    assert_true(stage->one->is_stopped);
    assert_int_equal(work.records, LENGTH(many));
    assert_in_range(work.records_most, HANDOVER_BATCH, HANDOVER_BATCH);
    assert_in_range(work.bytes_most, HANDOVER_BATCH, HANDOVER_STEP_BYTES + FRAME_PAYLOAD_MAX);
    assert_int_equal(found(stage, "rarity"), LENGTH(many) / 1000);
    assert_int_equal(alice_at(stage, stage->two)->held.count, LENGTH(many));
}

static void nobody_waits_for_nothing(void **state) {
    struct stage *stage = *state;
    stop(stage->one); /* its leaf has registered nothing */
    net_run(stage->net, 500);
    assert_true(stage->one->is_stopped);
    stop(stage->two); /* it has no neighbour */
    net_run(stage->net, STOP_MS + 100);
    assert_true(stage->two->is_stopped);
}

/* ---- A neighbour that says anything ---- */

static struct link *neighbour(struct stage *stage) {
    struct link *link = fake_dial(fake_add(stage->net), stage->two, PURPOSE_MESH);
    assert_non_null(link);
    return link;
}

static void send_snapshot(struct stage *stage, struct link *link, const struct reg_state *list) {
    struct snapshot snapshot = {
        .leaf = stage->alice->place->env.id, .flags = SNAPSHOT_REACHABLE, .list = *list};
    struct buf payload = {0};
    wire_snapshot_encode(&payload, &snapshot);
    fake_send(link, MSG_SNAPSHOT, &payload);
}

static void only_what_was_said_is_shown(void **state) {
    struct stage *stage = *state;
    struct link *link = neighbour(stage);
    struct reg_state list = fake_state(stage->alice, 7, songs, LENGTH(songs));
    fake_send_files(link, songs, LENGTH(songs)); /* of nobody */
    list.root.b[0] ^= 1;
    send_snapshot(stage, link, &list);
    fake_send_files(link, songs, LENGTH(songs)); /* not what it comes to */
    list.root.b[0] ^= 1;
    send_snapshot(stage, link, &list);
    fake_send_files(link, songs, 1); /* never whole */
    net_run(stage->net, 500);
    assert_int_equal(found(stage, "whale"), 0);
    send_snapshot(stage, link, &list);
    fake_send_files(link, songs, LENGTH(songs));
    net_run(stage->net, 500);
    assert_int_equal(found(stage, "whale"), 2);
    assert_int_equal(supernode_of(stage->two)->counts.snapshots, 1);
    /* Nor does it hold more than it says. */
    list.count = 2;
    struct link *other = neighbour(stage);
    uint32_t neighbours = supernode_of(stage->two)->neighbour_count;
    stage->alice = fake_add(stage->net);
    send_snapshot(stage, other, &list);
    fake_send_files(other, songs, LENGTH(songs));
    net_run(stage->net, 500);
    assert_int_equal(supernode_of(stage->two)->neighbour_count, neighbours - 1);
    net_run(stage->net, SNAPSHOT_KEEP_MS + LEAF_KEEP_MS);
    assert_int_equal(index_count(supernode_of(stage->two)->index).records, 0);
}

static void a_neighbour_hands_over_so_many(void **state) {
    struct stage *stage = *state;
    struct link *link = neighbour(stage);
    struct reg_state list = fake_state(stage->alice, 7, songs, 1);
    for (uint32_t i = 0; i < SNAPSHOTS_MAX + 50; i++) {
        struct snapshot snapshot = {.leaf = {{(uint8_t)i, (uint8_t)(i >> 8), 1}}, .list = list};
        struct buf payload = {0};
        wire_snapshot_encode(&payload, &snapshot);
        fake_send(link, MSG_SNAPSHOT, &payload);
        fake_send_files(link, songs, 1);
        net_run(stage->net, 10);
    }
    assert_in_range(supernode_of(stage->two)->counts.snapshots, LEAVES_DEPARTED_MAX - 1,
                    SNAPSHOTS_MAX);
    assert_true(supernode_of(stage->two)->leaves.count <= LEAVES_DEPARTED_MAX + 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_leaf_is_found_throughout, setup, teardown),
        cmocka_unit_test_setup_teardown(it_answers_while_it_leaves, setup, teardown),
        cmocka_unit_test_setup_teardown(a_leaf_that_comes_is_known, setup, teardown),
        cmocka_unit_test_setup_teardown(a_leaf_speaks_for_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(long_lists_go_over_too, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_waits_for_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(only_what_was_said_is_shown, setup, teardown),
        cmocka_unit_test_setup_teardown(a_neighbour_hands_over_so_many, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
