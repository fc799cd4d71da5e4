/* test_admission.c - who asks too much of a supernode is told when to come back and where else to
 * go, and `status` tells how often. */
#include "tests/unit/supernode_fake.h"

/* A second's worth of different queries from one leaf; true when that ended its link. */
static bool flood(struct net *net, struct fake *leaf, struct link *link, uint32_t second,
                  uint32_t count) {
    uint32_t before = leaf->closed;
    char text[32];
    for (uint32_t i = 0; i < count && leaf->closed == before; i++) {
        snprintf(text, sizeof text, "whale %u", second * count + i);
        struct fake_query query = {.ttl = 0, .text = text};
        fake_ask(link, &query);
        net_run(net, 1000 / count);
    }
    return leaf->closed > before;
}

static void who_asks_far_too_much_is_sent_off(void **state) {
    (void)state;
    struct net *net = net_new(31);
    struct net_node *place = start_plain(net);
    start_friend(net, place); /* where else to go */
    struct fake *leaf = fake_add(net);
    struct fake *other = fake_add(net);
    struct link *link = fake_dial(leaf, place, PURPOSE_LEAF);
    assert_non_null(fake_dial(other, place, PURPOSE_LEAF));
    uint32_t seconds = 0;
    while (!flood(net, leaf, link, seconds, 50)) {
        assert_true(++seconds < 20);
    }
    struct goaway goaway = last_goaway(leaf);
    assert_int_equal(goaway.reason, GOAWAY_RATE);
    assert_int_equal(goaway.retry_after_s, LEAF_BANNED_S);
    assert_int_equal(goaway.alternatives.count, 1);
    assert_int_equal(supernode_of(place)->counts.banned, 1);
    assert_null(fake_dial(leaf, place, PURPOSE_LEAF)); /* not yet */
    goaway = last_goaway(leaf);
    assert_int_equal(goaway.reason, GOAWAY_RATE);
    assert_in_range(goaway.retry_after_s, LEAF_BANNED_S - 30, LEAF_BANNED_S);
    assert_int_equal(other->closed, 0);
    net_run(net, LEAF_BANNED_S * 1000 + 1000);
    assert_non_null(fake_dial(leaf, place, PURPOSE_LEAF));
    net_free(net);
}

/* Twice the rate is refused, for as long as it goes on, but no reason to part. */
static void who_asks_a_little_too_much_stays(void **state) {
    (void)state;
    struct net *net = net_new(32);
    struct net_node *place = start_plain(net);
    struct fake *leaf = fake_add(net);
    struct link *link = fake_dial(leaf, place, PURPOSE_LEAF);
    for (uint32_t second = 0; second < 200; second++) {
        assert_false(flood(net, leaf, link, second, 1));
    }
    assert_in_range(supernode_of(place)->counts.limited_leaves, 50, 150);
    assert_int_equal(supernode_of(place)->counts.limited,
                     supernode_of(place)->counts.limited_leaves);
    net_free(net);
}

static void lists_too_often_are_refused(void **state) {
    (void)state;
    struct net *net = net_new(33);
    struct net_node *place = start_plain(net);
    start_friend(net, place);
    struct fake *leaf = fake_add(net);
    struct link *link = fake_dial(leaf, place, PURPOSE_LEAF);
    for (uint32_t i = 0; leaf->closed == 0; i++) {
        assert_true(i < 2 * LISTS_BURST);
        struct reg_state begin = {.index_id = i + 2, .sequence = 1, .count = 1};
        struct buf payload = {0};
        wire_reg_state_encode(&payload, &begin);
        fake_send(link, MSG_REG_BEGIN, &payload);
        net_run(net, 20);
    }
    struct goaway goaway = last_goaway(leaf);
    assert_int_equal(goaway.reason, GOAWAY_RATE);
    assert_true(goaway.retry_after_s > 0);
    assert_int_equal(goaway.alternatives.count, 1);
    assert_int_equal(supernode_of(place)->counts.refused_lists, 1);
    net_free(net);
}

static void status_tells_the_limits(void **state) {
    (void)state;
    struct net *net = net_new(34);
    struct driver_counts driver = {.handshakes = 3, .refused_full = 4, .refused_share = 5};
    driver.bytes_in = 6;
    struct net_node *place = start_plain(net);
    const char *text = net_command(place, "status");
    assert_non_null(strstr(text, "kind=limit name=leaves now=0 max=300 refused=0"));
    assert_null(strstr(text, "name=handshakes "));
    place->env.driver = &driver;
    struct fake *leaf = fake_add(net);
    struct link *link = fake_dial(leaf, place, PURPOSE_LEAF);
    (void)flood(net, leaf, link, 0, 13);
    text = net_command(place, "status");
    assert_non_null(strstr(text, "kind=limit name=leaves now=1 max=300 refused=0"));
    assert_non_null(strstr(text, "kind=limit name=handshakes now=3 max=256 refused=4"));
    assert_non_null(strstr(text, "kind=limit name=handshakes_per_s now=0 max=200 refused=5"));
    assert_non_null(strstr(text, "kind=limit name=registrations now=0"));
    assert_non_null(strstr(text, "refused=3")); /* 10 of 13 queries were taken */
    assert_non_null(strstr(text, "bytes_in=6"));
    net_free(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_asks_far_too_much_is_sent_off),
        cmocka_unit_test(who_asks_a_little_too_much_stays),
        cmocka_unit_test(lists_too_often_are_refused),
        cmocka_unit_test(status_tells_the_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
