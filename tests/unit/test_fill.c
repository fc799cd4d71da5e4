/* test_fill.c - a supernode with many leaves sends some on to one with few, gently. */
#include "tests/unit/supernode_fake.h"

#define LEAVES 24
#define PART (LEAVES / FILL_SHARE + 1) /* of all that are here, in one turn */

/* Supernode `one` has all the leaves; `two` has come later. */
struct stage {
    struct net *net;
    struct net_node *one;
    struct net_node *two;
    struct fake *leaves[LEAVES];
    bool went[LEAVES]; /* to `two` */
};

/* Each leaf has a file of its own. */
static void add_leaf(struct fake *leaf, const struct net_node *to, uint32_t number) {
    struct fake_file song = {(uint8_t)number, "blue whale song"};
    struct link *link = fake_dial(leaf, to, PURPOSE_LEAF);
    assert_int_equal(fake_register(link, 7, &song, 1), REG_DONE);
}

static int setup(void **state) {
    struct stage *stage = mem_new(sizeof *stage);
    stage->net = net_new(7);
    stage->one = start_plain(stage->net);
    for (uint32_t i = 0; i < LEAVES; i++) {
        stage->leaves[i] = fake_add(stage->net);
        add_leaf(stage->leaves[i], stage->one, i);
    }
    *state = stage;
    return 0;
}

static int teardown(void **state) {
    struct stage *stage = *state;
    net_free(stage->net);
    mem_free(stage);
    return 0;
}

static void begin(struct stage *stage) {
    stage->two = start_friend(stage->net, stage->one);
}

static bool is_sent_on(const struct stage *stage, uint32_t leaf) {
    return stage->went[leaf] || fake_count(stage->leaves[leaf], MSG_GOAWAY) > 0;
}

static uint32_t sent_on(const struct stage *stage) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < LEAVES; i++) {
        count += is_sent_on(stage, i);
    }
    assert_int_equal(count, supernode_of(stage->one)->counts.sent_on);
    return count;
}

/* Those who were sent on go where they were told to. */
static void follow(struct stage *stage) {
    for (uint32_t i = 0; i < LEAVES; i++) {
        if (is_sent_on(stage, i) && !stage->went[i]) {
            stage->went[i] = true;
            add_leaf(stage->leaves[i], stage->two, i);
        }
    }
}

static uint32_t leaves_at(struct net_node *place) {
    return index_count(supernode_of(place)->index).leaves;
}

/* A few at a time, by name, until the new one has three quarters of the mean; then no more. */
static void a_new_one_is_filled_gently(void **state) {
    struct stage *stage = *state;
    uint32_t before = 0;
    begin(stage);
    for (int i = 0; i < 40; i++) {
        net_run(stage->net, FILL_MS * 3 / 4);
        uint32_t now = sent_on(stage);
        assert_in_range(now - before, 0, 2 * PART); /* to register takes time, too: two turns */
        before = now;
        follow(stage);
    }
    net_run(stage->net, FILL_KEEP_MS);
    assert_in_range(leaves_at(stage->two), 9, 12); /* of a mean of 12 */
    assert_int_equal(leaves_at(stage->one) + leaves_at(stage->two), LEAVES);
    uint32_t settled = sent_on(stage);
    net_run(stage->net, 30 * FILL_MS);
    assert_int_equal(sent_on(stage), settled);
    assert_int_equal(supernode_of(stage->two)->counts.sent_on, 0);
}

/* It names the one to go to, and shows the list until that one can have it. */
static void a_leaf_is_found_while_it_moves(void **state) {
    struct stage *stage = *state;
    begin(stage);
    struct fake *bob = fake_add(stage->net);
    struct link *asks = fake_dial(bob, stage->two, PURPOSE_LEAF);
    for (int i = 0; i < 20 && sent_on(stage) == 0; i++) {
        net_run(stage->net, FILL_MS / 10);
    }
    uint32_t first = 0;
    while (!is_sent_on(stage, first)) {
        first++;
        assert_in_range(first, 0, LEAVES - 1);
    }
    struct goaway goaway = last_goaway(stage->leaves[first]);
    struct address_record record;
    assert_int_equal(goaway.reason, GOAWAY_FULL);
    assert_int_equal(goaway.retry_after_s, FILL_RETRY_S);
    assert_int_equal(goaway.alternatives.count, 1);
    assert_int_equal(wire_address_record_decode(goaway.alternatives.records[0], &record), OK);
    assert_true(node_id_equal(&record.key, &stage->two->env.id));
    net_run(stage->net, 100);
    assert_int_equal(ask(asks, "whale", 2, 1).records, LEAVES);
    net_run(stage->net, FILL_KEEP_MS + 100); /* it went nowhere */
    uint32_t gone = sent_on(stage);
    assert_in_range(ask(asks, "whale", 2, 2).records, LEAVES - gone, LEAVES - 1);
}

/* Who draws leaves but does not take them gets no more. */
static void nobody_is_sent_where_none_arrives(void **state) {
    struct stage *stage = *state;
    begin(stage);
    net_run(stage->net, 60 * FILL_MS);
    assert_in_range(sent_on(stage), FILL_VAIN_MAX, FILL_VAIN_MAX * PART);
}

/* `two` says that a leaf arrived whenever it would get no more, and takes no notice of others. */
static void claim_for(struct stage *stage, uint32_t turns) {
    struct supernode *one = supernode_of(stage->one);
    uint64_t sent = one->counts.sent_on;
    uint32_t in_vain = 0;
    for (uint32_t i = 0; i < turns; i++) {
        net_run(stage->net, FILL_MS * 3 / 4);
        assert_int_equal(one->neighbour_count, 1);
        in_vain += one->counts.sent_on > sent;
        one->neighbours[0]->told.leaves += in_vain == FILL_VAIN_MAX - 1;
        in_vain = in_vain == FILL_VAIN_MAX - 1 ? 0 : in_vain;
        sent = one->counts.sent_on;
    }
}

/* Whoever claims to have few leaves gets little more than its part, by a new link, too. */
static void a_liar_does_not_get_everybody(void **state) {
    struct stage *stage = *state;
    uint32_t all = 5 * LEAVES;
    for (uint32_t i = LEAVES; i < all; i++) {
        add_leaf(fake_add(stage->net), stage->one, i);
    }
    begin(stage);
    struct supernode *one = supernode_of(stage->one);
    net_run(stage->net, 2000);
    claim_for(stage, 100);
    assert_in_range(one->counts.sent_on, all / 3, all * 3 / 4);
    links_close(one->neighbours[0]->link, GOAWAY_IDLE, OK);
    for (uint32_t i = 0; i < 600 && (i < 2 || one->neighbour_count == 0); i++) {
        net_run(stage->net, 1000);
    }
    claim_for(stage, 100);
    assert_in_range(one->counts.sent_on, all / 3, all * 3 / 4);
}

/* Who claims more leaves than there are does not keep others from being filled. */
static void a_liar_does_not_keep_others_empty(void **state) {
    struct stage *stage = *state;
    struct supernode *one = supernode_of(stage->one);
    struct net_node *liar = start_friend(stage->net, stage->one);
    begin(stage);
    for (int i = 0; i < 60; i++) {
        net_run(stage->net, FILL_MS * 3 / 4);
        for (uint32_t at = 0; at < one->neighbour_count; at++) {
            struct neighbour *neighbour = one->neighbours[at];
            if (node_id_equal(&neighbour->link->id, &liar->env.id)) {
                neighbour->told.leaves = 4000000000u;
            }
        }
        follow(stage);
    }
    assert_int_equal(leaves_at(liar), 0);
    assert_in_range(leaves_at(stage->two), LEAVES / 4, LEAVES * 2 / 3);
}

/* A few leaves more or less are no reason. */
static void nearly_equal_ones_are_left_alone(void **state) {
    struct stage *stage = *state;
    stage->one->is_deaf = true; /* until the other has leaves, too */
    begin(stage);
    for (uint32_t i = 0; i < LEAVES / 3 + 1; i++) {
        add_leaf(fake_add(stage->net), stage->two, LEAVES + i);
    }
    stage->one->is_deaf = false;
    net_run(stage->net, 30 * FILL_MS);
    assert_int_equal(supernode_of(stage->two)->neighbour_count, 1);
    assert_int_equal(sent_on(stage), 0);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_new_one_is_filled_gently),        CASE(a_leaf_is_found_while_it_moves),
        CASE(nobody_is_sent_where_none_arrives), CASE(a_liar_does_not_get_everybody),
        CASE(nearly_equal_ones_are_left_alone),  CASE(a_liar_does_not_keep_others_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
