/* test_supernode_register.c - lists of leaves taken by difference, in turn, and within limits. */
#include "tests/unit/supernode_fake.h"

static const struct fake_file before[] = {{1, "blue whale song"}, {2, "red whale"}, {3, "wind"}};
static const struct fake_file after[] = {{1, "blue whale song"}, {3, "wind"}, {4, "time"}};

struct stage {
    struct net *net;
    struct net_node *place;
    struct supernode *supernode;
    struct fake *alice; /* registered with `before` */
    struct link *link;
    struct link *bob; /* who asks */
};

static int setup(void **state) {
    struct stage *stage = mem_new(sizeof *stage);
    stage->net = net_new(1);
    stage->place = start_plain(stage->net);
    stage->supernode = supernode_of(stage->place);
    stage->alice = fake_add(stage->net);
    stage->link = fake_dial(stage->alice, stage->place, PURPOSE_LEAF);
    stage->bob = fake_dial(fake_add(stage->net), stage->place, PURPOSE_LEAF);
    assert_int_equal(fake_register(stage->link, 7, before, LENGTH(before)), REG_DONE);
    *state = stage;
    return 0;
}

static int teardown(void **state) {
    struct stage *stage = *state;
    net_free(stage->net);
    mem_free(stage);
    return 0;
}

static struct leaf *alice_leaf(struct stage *stage) {
    return map_get(&stage->supernode->leaves, stage->alice->place->env.id.b);
}

static uint32_t found(struct stage *stage, const char *text) {
    static uint8_t salt;
    return ask(stage->bob, text, 0, ++salt).records;
}

/* Begin a list that is `sequence`, reaching back so far; return the verdict. */
static uint8_t begin(struct stage *stage, struct reg_state *promised, uint64_t sequence,
                     uint64_t reach) {
    *promised = fake_state(stage->alice, 7, after, LENGTH(after));
    promised->sequence = sequence;
    promised->reach = reach;
    fake_forget(stage->alice);
    fake_send_state(stage->link, MSG_REG_BEGIN, promised);
    net_run(stage->net, 100);
    return fake_verdict(stage->alice);
}

static uint8_t commit(struct stage *stage, const struct reg_state *promised) {
    fake_send_state(stage->link, MSG_REG_COMMIT, promised);
    net_run(stage->net, 100);
    return fake_verdict(stage->alice);
}

static void send_everything(struct stage *stage, const struct reg_state *promised) {
    fake_send_files(stage->link, after, LENGTH(after));
    assert_int_equal(commit(stage, promised), REG_DONE);
    assert_int_equal(found(stage, "whale"), 1);
    assert_int_equal(found(stage, "time"), 1);
}

static void a_difference_shows_in_one_step(void **state) {
    struct stage *stage = *state;
    struct reg_state promised;
    assert_int_equal(begin(stage, &promised, 3, 2), REG_SEND_CHANGES);
    assert_int_equal(fake_status(stage->alice).sequence, 1); /* since when */
    fake_send_gone(stage->link, &before[1]);
    fake_send_files(stage->link, &after[2], 1);
    assert_int_equal(found(stage, "whale"), 2);
    assert_int_equal(found(stage, "time"), 0);
    assert_int_equal(commit(stage, &promised), REG_DONE);
    assert_memory_equal(fake_status(stage->alice).root.b, promised.root.b, HASH_BYTES);
    assert_int_equal(found(stage, "whale"), 1);
    assert_int_equal(found(stage, "time"), 1);
    assert_int_equal(stage->supernode->counts.changes, 1);
    assert_int_equal(index_count(stage->supernode->index).records, LENGTH(after));
    assert_int_equal(begin(stage, &promised, 3, 0), REG_DONE); /* nothing has changed */
}

/* What a difference takes away gives its memory back, though no list is dropped. */
static void a_difference_leaves_no_garbage(void **state) {
    struct stage *stage = *state;
    char names[100][16];
    struct fake_file files[100];
    for (uint32_t i = 0; i < LENGTH(files); i++) {
        snprintf(names[i], sizeof names[i], "word%u", i);
        files[i] = (struct fake_file){(uint8_t)(i + 10), names[i]};
    }
    assert_int_equal(fake_register(stage->link, 7, files, LENGTH(files)), REG_DONE);
    struct reg_state promised = fake_state(stage->alice, 7, files, 1);
    promised.sequence = 2;
    promised.reach = 1;
    fake_send_state(stage->link, MSG_REG_BEGIN, &promised);
    net_run(stage->net, 100);
    assert_int_equal(fake_verdict(stage->alice), REG_SEND_CHANGES);
    for (uint32_t i = 1; i < LENGTH(files); i++) {
        fake_send_gone(stage->link, &files[i]);
    }
    assert_int_equal(commit(stage, &promised), REG_DONE);
    assert_int_equal(index_count(stage->supernode->index).records, 1);
    assert_int_equal(index_count(stage->supernode->index).words, 1);
}

static void only_an_ancestor_is_a_base(void **state) {
    static const struct {
        uint64_t sequence;
        uint64_t reach;
    } rows[] = {{3, 0}, {3, 1}, {1, 1}, {1, 0}};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct reg_state promised;
        assert_int_equal(begin(*state, &promised, rows[i].sequence, rows[i].reach), REG_SEND_ALL);
    }
    struct stage *stage = *state;
    struct reg_state other = fake_state(stage->alice, 8, after, LENGTH(after));
    other.sequence = 2;
    other.reach = 2;
    fake_send_state(stage->link, MSG_REG_BEGIN, &other);
    net_run(stage->net, 100);
    assert_int_equal(fake_verdict(stage->alice), REG_SEND_ALL);
}

/* Ways to get a difference wrong; each ends in a whole list, and in no misdeed. */
static void a_wrong_difference_ends_in_a_whole_list(void **state) {
    for (int which = 0; which < 6; which++) {
        void *fresh = NULL;
        (void)state;
        setup(&fresh);
        struct stage *stage = fresh;
        struct reg_state promised;
        assert_int_equal(begin(stage, &promised, 2, 1), REG_SEND_CHANGES);
        if (which != 0) { /* 0: one that is gone is forgotten */
            fake_send_gone(stage->link, &before[1]);
        }
        if (which == 1) { /* the same twice */
            fake_send_gone(stage->link, &before[1]);
        } else if (which == 2) { /* one that was never there */
            fake_send_gone(stage->link, &after[2]);
        } else if (which == 3) { /* one that is there already */
            fake_send_files(stage->link, &after[1], 1);
        }
        if (which != 4) { /* 4: one that is new is forgotten */
            fake_send_files(stage->link, &after[2], 1);
        }
        struct reg_state committed = promised;
        committed.root.b[0] ^= which == 5; /* 5: the commit of another list */
        assert_int_equal(commit(stage, &committed), REG_SEND_ALL);
        assert_int_equal(found(stage, "whale"), 2);
        assert_int_equal(found(stage, "time"), 0);
        assert_int_equal(alice_leaf(stage)->port.misdeeds, 0);
        /* Beginning again makes it no base either. */
        if (which % 2 == 0) {
            assert_int_equal(begin(stage, &promised, 2, 1), REG_SEND_ALL);
        }
        send_everything(stage, &promised);
        teardown(&fresh);
    }
}

/* A hash whose first eight bytes say nothing. */
static void weak_sha256(void *context, struct slice first, struct slice second, struct hash *out) {
    test_sha256(context, first, second, out);
    memset(out->b, 0, RECORD_PREFIX_BYTES);
}

static void a_prefix_of_several_records_removes_none(void **state) {
    struct stage *stage = *state;
    stage->place->crypto.sha256 = weak_sha256;
    stage->alice->place->crypto.sha256 = weak_sha256;
    assert_int_equal(fake_register(stage->link, 7, before, LENGTH(before)), REG_DONE);
    struct reg_state promised;
    assert_int_equal(begin(stage, &promised, 2, 1), REG_SEND_CHANGES);
    fake_send_gone(stage->link, &before[1]);
    fake_send_files(stage->link, &after[2], 1);
    assert_int_equal(commit(stage, &promised), REG_SEND_ALL);
    assert_int_equal(index_list_files(alice_leaf(stage)->list), LENGTH(before));
    send_everything(stage, &promised);
}

static void a_difference_too_large_is_no_gain(void **state) {
    struct stage *stage = *state;
    static struct fake_file files[200];
    static char names[LENGTH(files)][250];
    struct reg_state promised = fake_state(stage->alice, 7, after, LENGTH(after));
    promised.sequence = 2;
    promised.reach = 1;
    promised.count = 1000;
    fake_send_state(stage->link, MSG_REG_BEGIN, &promised);
    for (uint32_t round = 0; round < 4; round++) { /* 58,000 bytes each time */
        for (size_t i = 0; i < LENGTH(files); i++) {
            memset(names[i], 'a', sizeof names[i] - 1);
            snprintf(names[i] + 200, 40, "%u %zu", round, i);
            files[i] = (struct fake_file){1, names[i]};
        }
        fake_send_files(stage->link, files, LENGTH(files));
    }
    net_run(stage->net, 100);
    assert_int_equal(fake_verdict(stage->alice), REG_SEND_CHANGES);
    assert_true(alice_leaf(stage)->coming->is_spoilt);
    assert_in_range(alice_leaf(stage)->coming->added.len, 1, REG_CHANGE_BYTES);
    assert_int_equal(commit(stage, &promised), REG_SEND_ALL);
}

/* ---- Turns ---- */

#define GUESTS (REG_LISTS_MAX + 4)

static uint8_t begin_guest(struct stage *stage, struct link *link) {
    struct fake *fake = link->links->context;
    struct reg_state promised = fake_state(fake, 1, before, LENGTH(before));
    fake_forget(fake);
    fake_send_state(link, MSG_REG_BEGIN, &promised);
    net_run(stage->net, 100);
    return fake_verdict(fake);
}

static void finish_guest(struct stage *stage, struct link *link) {
    struct fake *fake = link->links->context;
    struct reg_state promised = fake_state(fake, 1, before, LENGTH(before));
    fake_send_files(link, before, LENGTH(before));
    fake_send_state(link, MSG_REG_COMMIT, &promised);
    net_run(stage->net, 100);
    assert_int_equal(fake_verdict(fake), REG_DONE);
}

/* Dialled before the first begins: nobody may be silent for long. */
static void dial_guests(struct stage *stage, struct fake **guests, struct link **links,
                        uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        guests[i] = fake_add(stage->net);
        links[i] = fake_dial(guests[i], stage->place, PURPOSE_LEAF);
    }
}

static void lists_come_in_turn(void **state) {
    struct stage *stage = *state;
    struct fake *guests[GUESTS];
    struct link *links[GUESTS];
    dial_guests(stage, guests, links, GUESTS);
    for (uint32_t i = 0; i < GUESTS; i++) {
        uint8_t verdict = begin_guest(stage, links[i]);
        assert_int_equal(verdict, i < REG_LISTS_MAX ? REG_SEND_ALL : REG_WAIT);
    }
    assert_int_equal(fake_status(guests[REG_LISTS_MAX]).retry_after_ms, REG_TURN_MS);
    assert_int_equal(stage->supernode->intake.waiting_count, 4);
    /* One that is done makes room for the first of those who wait. */
    finish_guest(stage, links[3]);
    assert_int_equal(fake_verdict(guests[REG_LISTS_MAX]), REG_SEND_ALL);
    assert_int_equal(fake_verdict(guests[REG_LISTS_MAX + 1]), REG_WAIT);
    /* Who asks again keeps his place; who goes leaves it. */
    assert_int_equal(begin_guest(stage, links[REG_LISTS_MAX + 1]), REG_WAIT);
    fake_close(links[REG_LISTS_MAX + 2]);
    fake_close(links[4]);
    assert_int_equal(fake_verdict(guests[REG_LISTS_MAX + 1]), REG_SEND_ALL);
    fake_close(links[5]);
    assert_int_equal(fake_verdict(guests[REG_LISTS_MAX + 3]), REG_SEND_ALL);
    assert_int_equal(stage->supernode->intake.waiting_count, 0);
    finish_guest(stage, links[REG_LISTS_MAX + 3]);
    /* An unchanged list waits for nobody. */
    assert_int_equal(fake_register(stage->link, 7, before, LENGTH(before)), REG_DONE);
}

static void who_does_not_go_on_makes_room(void **state) {
    struct stage *stage = *state;
    struct fake *guests[REG_LISTS_MAX + 1];
    struct link *links[REG_LISTS_MAX + 1];
    dial_guests(stage, guests, links, REG_LISTS_MAX + 1);
    for (uint32_t i = 0; i <= REG_LISTS_MAX; i++) {
        begin_guest(stage, links[i]);
    }
    net_run(stage->net, REG_SILENT_MS - 5000);
    assert_int_equal(guests[0]->closed, 0);
    assert_int_equal(fake_verdict(guests[REG_LISTS_MAX]), REG_WAIT);
    net_run(stage->net, 6000);
    assert_int_equal(last_goaway(guests[0]).reason, GOAWAY_RATE);
    assert_int_equal(fake_verdict(guests[REG_LISTS_MAX]), REG_SEND_ALL);
    /* Alone, it might have taken its time. */
    net_run(stage->net, 2 * REG_TURN_MS);
    assert_int_equal(guests[REG_LISTS_MAX]->closed, 0);
}

/* Bytes that come keep a turn, but no longer than the list that was promised is worth. */
static void a_turn_is_as_long_as_the_list(void **state) {
    struct stage *stage = *state;
    struct fake *guests[2 * REG_LISTS_MAX];
    struct link *links[2 * REG_LISTS_MAX];
    dial_guests(stage, guests, links, 2 * REG_LISTS_MAX);
    for (uint32_t i = 0; i < 2 * REG_LISTS_MAX; i++) {
        struct reg_state promised = {.index_id = 1, .sequence = 1};
        promised.count = i == 0 ? LEAF_FILES_MAX : 1;
        fake_send_state(links[i], MSG_REG_BEGIN, &promised);
        net_run(stage->net, 10);
    }
    for (uint32_t ms = 0; ms < 2 * REG_SILENT_MS; ms += 1000) {
        for (uint32_t i = 0; i < 2 * REG_LISTS_MAX; i++) {
            if (guests[i]->closed == 0) {
                struct buf payload = {0};
                struct ping ping = {.token = 1};
                wire_ping_encode(&payload, &ping);
                fake_send(links[i], MSG_PING, &payload);
            }
        }
        net_run(stage->net, 1000);
    }
    for (uint32_t i = 1; i < REG_LISTS_MAX; i++) {
        assert_int_equal(last_goaway(guests[i]).reason, GOAWAY_RATE);
    }
    assert_int_equal(guests[0]->closed, 0);
}

static void long_lists_come_one_after_the_other(void **state) {
    struct stage *stage = *state;
    struct fake *guests[8];
    uint32_t called = 0;
    for (size_t i = 0; i < LENGTH(guests); i++) {
        guests[i] = fake_add(stage->net);
        struct link *link = fake_dial(guests[i], stage->place, PURPOSE_LEAF);
        struct reg_state promised = {.index_id = 1, .sequence = 1, .count = LEAF_FILES_MAX};
        fake_send_state(link, MSG_REG_BEGIN, &promised);
        net_run(stage->net, 100);
        called += fake_verdict(guests[i]) == REG_SEND_ALL;
    }
    assert_int_equal(called, REG_BYTES_MAX / (LEAF_FILES_MAX * REG_RECORD_BYTES));
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_difference_shows_in_one_step),
        CASE(a_difference_leaves_no_garbage),
        CASE(only_an_ancestor_is_a_base),
        CASE(a_wrong_difference_ends_in_a_whole_list),
        CASE(a_prefix_of_several_records_removes_none),
        CASE(a_difference_too_large_is_no_gain),
        CASE(lists_come_in_turn),
        CASE(who_does_not_go_on_makes_room),
        CASE(a_turn_is_as_long_as_the_list),
        CASE(long_lists_come_one_after_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
