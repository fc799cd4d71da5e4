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

/* `status` says how often this limit was reached. */
static void expect_limit(struct net_node *place, const char *name, unsigned refused) {
    char wanted[64];
    unsigned found = UINT32_MAX;
    snprintf(wanted, sizeof wanted, "name=%s ", name);
    const char *row = strstr(net_command(place, "status"), wanted);
    assert_non_null(row);
    row = strstr(row, "refused=");
    assert_non_null(row);
    assert_int_equal(sscanf(row, "refused=%u", &found), 1);
    assert_int_equal(found, refused);
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
    expect_limit(place, "registrations", 1);
    expect_limit(place, "index_bytes", 0);
    net_free(net);
}

static void lists_too_long_are_refused(void **state) {
    (void)state;
    struct net *net = net_new(34);
    struct net_node *place = start_plain(net);
    struct fake *leaf = fake_add(net);
    struct link *link = fake_dial(leaf, place, PURPOSE_LEAF);
    struct reg_state begin = {.index_id = 2, .sequence = 1, .count = LEAF_FILES_MAX + 1};
    fake_send_state(link, MSG_REG_BEGIN, &begin);
    net_run(net, 100);
    assert_int_equal(fake_verdict(leaf), REG_REFUSED);
    assert_int_equal(last_goaway(leaf).reason, GOAWAY_FULL);
    expect_limit(place, "registrations", 0);
    expect_limit(place, "index_bytes", 1);
    net_free(net);
}

/* As many different queries at once as a neighbour may ask, and `more`. */
static void burst(struct net *net, struct link *link, uint32_t first, uint32_t count) {
    char text[32];
    for (uint32_t i = 0; i < count; i++) {
        snprintf(text, sizeof text, "whale %u", first + i);
        struct fake_query query = {.ttl = 0, .text = text};
        fake_ask(link, &query);
    }
    net_run(net, 100);
}

static void a_new_link_is_no_new_burst(void **state) {
    (void)state;
    struct net *net = net_new(35);
    struct supernode_config config = {.fixed_mesh = true, .mesh_queries_per_s = 1};
    struct net_node *place = start(net, &config); /* two at once */
    const struct supernode_counts *counts = &supernode_of(place)->counts;
    struct fake *mesh = fake_add(net);
    struct fake *other = fake_add(net);
    struct link *link = fake_dial(mesh, place, PURPOSE_MESH);
    burst(net, link, 0, 20);
    assert_int_equal(counts->limited, 18);
    fake_close(link); /* a second passes, and another while it dials */
    link = fake_dial(mesh, place, PURPOSE_MESH);
    assert_non_null(link);
    assert_int_equal(supernode_of(place)->mesh_rates.count, 1);
    uint64_t before = counts->limited;
    fake_close(link);
    for (uint32_t i = 1; i <= 5; i++) { /* about two seconds each: two queries, whatever the link */
        link = fake_dial(mesh, place, PURPOSE_MESH);
        burst(net, link, i * 100, 20);
        fake_close(link);
    }
    assert_true(counts->limited - before >= 5 * 18 - 2);
    link = fake_dial(other, place, PURPOSE_MESH); /* another is not to blame */
    before = counts->limited;
    burst(net, link, 1000, 2);
    assert_int_equal(counts->limited, before);
    net_free(net);
}

static void the_rates_of_neighbours_are_bounded(void **state) {
    (void)state;
    struct net *net = net_new(36);
    struct supernode_config config = {.fixed_mesh = true, .mesh_queries_per_s = 1};
    struct net_node *place = start(net, &config);
    struct supernode *supernode = supernode_of(place);
    struct link link = {.purpose = PURPOSE_MESH};
    struct node_id greedy = {{7}};
    link.id = greedy;
    uint32_t wait_ms = 0;
    while (admission_query(supernode, &link, &wait_ms)) {
    }
    assert_in_range(wait_ms, 990, 1001); /* one a second */
    for (uint32_t i = 0; i < 4 * MESH_RATES_MAX; i++) {
        link.id = (struct node_id){{1, (uint8_t)(i >> 8), (uint8_t)i}};
        assert_true(admission_query(supernode, &link, &wait_ms));
        assert_in_range(supernode->mesh_rates.count, 1, MESH_RATES_MAX);
    }
    link.id = greedy; /* the most spent is not the one forgotten */
    assert_false(admission_query(supernode, &link, &wait_ms));
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
        cmocka_unit_test(lists_too_long_are_refused),
        cmocka_unit_test(a_new_link_is_no_new_burst),
        cmocka_unit_test(the_rates_of_neighbours_are_bounded),
        cmocka_unit_test(status_tells_the_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
