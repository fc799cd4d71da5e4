/* test_sim_net.c - the simulated network: each of its troubles alone, with toy nodes. */
#include "tests/unit/sim_toy.h"

static void echo(struct toy *toy, const struct node_event *event, struct outbox *out) {
    if (event->kind == NODE_LINK_BYTES) {
        say(toy, out, 100);
    }
}

/* The longest and shortest way there and back of many pairs. */
static void round_trips(uint32_t latency_us_max, uint64_t *least_us, uint64_t *most_us) {
    *least_us = UINT64_MAX;
    *most_us = 0;
    for (uint64_t seed = 200; seed < 230; seed++) {
        struct pair pair;
        pair_begin(&pair, seed);
        struct sim_faults faults = {.latency_us_max = latency_us_max};
        sim_set_faults(pair.sim, &faults);
        pair.toys[0].act = greet;
        pair.toys[1].act = echo;
        pair_start(&pair);
        sim_run(pair.sim, 10 * SECOND);
        const struct toy *toy = &pair.toys[0];
        uint64_t sent_us = toy->seen_us[NODE_TIMER];
        sent_us -= toy->seen_us[NODE_LINK_BYTES] < sent_us ? SECOND : 0;
        uint64_t took_us = toy->seen_us[NODE_LINK_BYTES] - sent_us;
        *least_us = took_us < *least_us ? took_us : *least_us;
        *most_us = took_us > *most_us ? took_us : *most_us;
        pair_end(&pair);
    }
}

static void test_latency(void **state) {
    (void)state;
    uint64_t least_us, most_us;
    round_trips(1000, &least_us, &most_us);
    assert_in_range(most_us, 100, 3000);
    round_trips(300000, &least_us, &most_us);
    assert_true(most_us > 2 * least_us); /* pairs differ */
    assert_in_range(most_us, 200000, 601000);
}

static void say_much(struct toy *toy, const struct node_event *event, struct outbox *out) {
    if (event->kind == NODE_LINK_UP) {
        say(toy, out, 300000);
        say(toy, out, 1); /* joins it: one write */
    }
}

static void test_bandwidth(void **state) {
    (void)state;
    struct pair pair;
    pair_begin_with(&pair, 21, 100000, false);
    pair.toys[0].act = say_much;
    pair_start(&pair);
    sim_run(pair.sim, 2900000);
    assert_int_equal(pair.toys[1].bytes, 0);
    sim_run(pair.sim, 4 * SECOND);
    assert_int_equal(pair.toys[1].bytes, 300001);
    pair_end(&pair);
}

/* What happens to ten greetings, a second apart. */
static void greet_under(struct pair *pair, const struct sim_faults *faults) {
    pair_begin(pair, 22);
    pair->toys[0].act = greet;
    pair_start(pair);
    sim_run(pair->sim, SECOND / 2);
    assert_int_equal(pair->toys[1].seen[NODE_LINK_BYTES], 1);
    sim_set_faults(pair->sim, faults);
    sim_run(pair->sim, 10 * SECOND);
}

static void test_jitter(void **state) {
    (void)state;
    uint32_t late = 0;
    for (uint32_t jitter_us = 0; jitter_us <= 400000; jitter_us += 400000) {
        struct pair pair;
        struct sim_faults faults = {.jitter_us_max = jitter_us};
        greet_under(&pair, &faults);
        uint64_t before_us = pair.toys[1].seen_us[NODE_LINK_BYTES];
        for (uint64_t at = 12; at < 30; at += 2) {
            sim_run(pair.sim, at * SECOND);
            uint64_t apart_us = pair.toys[1].seen_us[NODE_LINK_BYTES] - before_us;
            late += apart_us != 2 * SECOND;
            assert_in_range(apart_us, 2 * SECOND - jitter_us, 2 * SECOND + jitter_us);
            before_us = pair.toys[1].seen_us[NODE_LINK_BYTES];
        }
        assert_true(jitter_us > 0 ? late > 4 : late == 0);
        pair_end(&pair);
    }
}

static void test_loss_breaks_the_link(void **state) {
    (void)state;
    struct pair pair;
    struct sim_faults faults = {.reset_ppm = 1000000};
    greet_under(&pair, &faults);
    assert_int_equal(pair.toys[1].seen[NODE_LINK_BYTES], 1);
    assert_int_equal(sim_counts(pair.sim).resets, 1);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pair.toys[i].seen[NODE_LINK_DOWN], 1);
        assert_int_equal(pair.toys[i].reason, ERR_CLOSED);
    }
    pair_end(&pair);
}

static void test_segments_are_split(void **state) {
    (void)state;
    struct pair pair;
    struct sim_faults faults = {.split_ppm = 1000000};
    greet_under(&pair, &faults);
    assert_int_equal(pair.toys[1].seen[NODE_LINK_BYTES], 1 + 9 * 2);
    assert_int_equal(pair.toys[1].bytes, 1000);
    pair_end(&pair);
}

static void test_dials_without_an_answer(void **state) {
    (void)state;
    for (int hidden = 0; hidden < 2; hidden++) {
        struct pair pair;
        pair_begin_with(&pair, 23, 0, hidden == 1);
        struct sim_faults faults = {.dial_ppm = hidden == 1 ? 0 : 1000000};
        sim_set_faults(pair.sim, &faults);
        pair_start(&pair);
        sim_run(pair.sim, 20 * SECOND);
        assert_int_equal(pair.toys[0].seen[NODE_DIAL_FAILED], 1);
        assert_int_equal(pair.toys[0].reason, ERR_TIMEOUT);
        assert_int_equal(pair.toys[1].seen[NODE_LINK_UP], 0);
        pair_end(&pair);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_latency),
        cmocka_unit_test(test_bandwidth),
        cmocka_unit_test(test_jitter),
        cmocka_unit_test(test_loss_breaks_the_link),
        cmocka_unit_test(test_segments_are_split),
        cmocka_unit_test(test_dials_without_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
