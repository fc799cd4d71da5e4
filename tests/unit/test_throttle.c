/* test_throttle.c - limits hold over any time, to the byte but for a chunk; the overlay goes first.
 */
#include "tests/unit/testlib.h"

#include "common/rng.h"
#include "common/throttle.h"

#define SECOND_US 1000000ull
#define RECORD 16384

/* Somebody with this much to send in a class: it goes chunk by chunk when it may. */
struct sender {
    enum traffic_class traffic;
    uint64_t backlog; /* UINT64_MAX = endless */
    uint64_t sent;
};

/* Let senders go until `until_us`; time jumps to when the next may. As the driver does it, the
 * overlay is asked first. */
static void run(struct throttle *throttle, struct sender *senders, int count, uint64_t *now_us,
                uint64_t until_us) {
    for (;;) {
        uint64_t soonest_us = until_us - *now_us;
        bool went = false;
        for (int i = 0; i < count && !went; i++) {
            struct sender *sender = &senders[i];
            if (sender->backlog == 0) {
                continue;
            }
            uint64_t wait_us = throttle_wait(throttle, DIRECTION_OUT, sender->traffic, *now_us);
            if (wait_us > 0) {
                soonest_us = wait_us < soonest_us ? wait_us : soonest_us;
                continue;
            }
            uint64_t chunk = throttle_chunk(throttle, DIRECTION_OUT, sender->traffic, RECORD);
            chunk = chunk < sender->backlog ? chunk : sender->backlog;
            throttle_draw(throttle, DIRECTION_OUT, sender->traffic, chunk, *now_us);
            sender->backlog -= sender->backlog == UINT64_MAX ? 0 : chunk;
            sender->sent += chunk;
            went = true;
        }
        if (!went) {
            *now_us += soonest_us;
            if (*now_us >= until_us) {
                return;
            }
        }
    }
}

static void assert_within(uint64_t bytes, uint64_t wanted, double part) {
    double off = ((double)bytes - (double)wanted) / (double)wanted;
    if (off > part || off < -part) {
        fail_msg("%llu bytes instead of %llu: %.2f %%", (unsigned long long)bytes,
                 (unsigned long long)wanted, off * 100);
    }
}

/* The promise: within 2 % over 60 s, from the first byte on and at any rate. */
static void a_limit_holds_over_a_minute(void **state) {
    (void)state;
    static const uint64_t rates[] = {4096, 10000, 65536, 500000, 8000000, 125000000, 10000000000};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        for (enum traffic_class traffic = 0; traffic < TRAFFICS; traffic++) {
            struct throttle throttle = {0};
            struct sender sender = {.traffic = traffic, .backlog = UINT64_MAX};
            uint64_t now_us = 77;
            bucket_set(&throttle.all[DIRECTION_OUT], rates[i], now_us);
            run(&throttle, &sender, 1, &now_us, now_us + 60 * SECOND_US);
            assert_within(sender.sent, rates[i] * 60, 0.02);
        }
    }
}

/* Every window of a second and more, whatever the pauses and sizes: no more than the rate, a burst
 * and a chunk. */
static void no_window_has_more(void **state) {
    (void)state;
    struct rng rng;
    rng_seed(&rng, 4);
    for (int round = 0; round < 200; round++) {
        struct throttle throttle = {0};
        uint64_t rate = 4096 + rng_below(&rng, 20000000);
        uint64_t now_us = rng_below(&rng, 1000000);
        bucket_set(&throttle.of[DIRECTION_OUT][TRAFFIC_FILES], rate, now_us);
        uint64_t begin_us = now_us, sent = 0, biggest = 0;
        while (now_us - begin_us < 20 * SECOND_US) {
            uint64_t wait_us = throttle_wait(&throttle, DIRECTION_OUT, TRAFFIC_FILES, now_us);
            now_us += wait_us + (rng_below(&rng, 10) == 0 ? rng_below(&rng, 300000) : 0);
            uint64_t bytes = 1 + rng_below(&rng, 2 * RECORD);
            throttle_draw(&throttle, DIRECTION_OUT, TRAFFIC_FILES, bytes, now_us);
            sent += bytes;
            biggest = bytes > biggest ? bytes : biggest;
            uint64_t by_rate = (now_us - begin_us) * rate / SECOND_US;
            assert_true(sent <= by_rate + rate / 20 + 1500 + biggest);
        }
    }
}

static void both_buckets_count(void **state) {
    (void)state;
    struct throttle throttle = {0};
    struct sender senders[] = {{.traffic = TRAFFIC_OVERLAY, .backlog = UINT64_MAX},
                               {.traffic = TRAFFIC_FILES, .backlog = UINT64_MAX}};
    uint64_t now_us = 0;
    bucket_set(&throttle.all[DIRECTION_OUT], 100000, now_us);
    bucket_set(&throttle.of[DIRECTION_OUT][TRAFFIC_OVERLAY], 20000, now_us);
    run(&throttle, senders, 2, &now_us, 60 * SECOND_US);
    assert_within(senders[0].sent, 20000 * 60, 0.02);
    assert_within(senders[0].sent + senders[1].sent, 100000 * 60, 0.02);
}

/* Files take all there is, and a keep-alive goes out at once all the same. */
static void the_overlay_goes_first(void **state) {
    (void)state;
    struct throttle throttle = {0};
    struct sender senders[] = {{.traffic = TRAFFIC_OVERLAY},
                               {.traffic = TRAFFIC_FILES, .backlog = UINT64_MAX}};
    uint64_t now_us = 0;
    bucket_set(&throttle.all[DIRECTION_OUT], 20000, now_us);
    for (uint64_t second = 1; second <= 60; second++) {
        run(&throttle, senders, 2, &now_us, second * SECOND_US);
        assert_int_equal(throttle_wait(&throttle, DIRECTION_OUT, TRAFFIC_OVERLAY, now_us), 0);
        throttle_draw(&throttle, DIRECTION_OUT, TRAFFIC_OVERLAY, 500, now_us);
        senders[0].sent += 500;
    }
    assert_within(senders[0].sent + senders[1].sent, 20000 * 60, 0.02);
    assert_true(senders[1].sent > 1100000); /* and files have all the rest */
}

/* An overlay with more than the limit starves nobody's limit: the sum still holds. */
static void a_flood_of_overlay_is_limited_too(void **state) {
    (void)state;
    struct throttle throttle = {0};
    struct sender senders[] = {{.traffic = TRAFFIC_OVERLAY, .backlog = UINT64_MAX},
                               {.traffic = TRAFFIC_FILES, .backlog = UINT64_MAX}};
    uint64_t now_us = 0;
    bucket_set(&throttle.all[DIRECTION_OUT], 50000, now_us);
    run(&throttle, senders, 2, &now_us, 60 * SECOND_US);
    assert_within(senders[0].sent + senders[1].sent, 50000 * 60, 0.02);
}

static void a_limit_can_be_changed(void **state) {
    (void)state;
    struct throttle throttle = {0};
    struct sender sender = {.traffic = TRAFFIC_FILES, .backlog = UINT64_MAX};
    uint64_t now_us = 0;
    bucket_set(&throttle.all[DIRECTION_OUT], 1000000, now_us);
    run(&throttle, &sender, 1, &now_us, 10 * SECOND_US);
    bucket_set(&throttle.all[DIRECTION_OUT], 50000, now_us);
    sender.sent = 0;
    run(&throttle, &sender, 1, &now_us, 70 * SECOND_US);
    assert_within(sender.sent, 50000 * 60, 0.02);
    bucket_set(&throttle.all[DIRECTION_OUT], 0, now_us);
    assert_false(throttle_is_limited(&throttle, DIRECTION_OUT, TRAFFIC_FILES));
    assert_int_equal(throttle_wait(&throttle, DIRECTION_OUT, TRAFFIC_FILES, now_us), 0);
    assert_int_equal(throttle_chunk(&throttle, DIRECTION_OUT, TRAFFIC_FILES, RECORD), RECORD);
}

static void extremes_do_no_harm(void **state) {
    (void)state;
    struct throttle throttle = {0};
    bucket_set(&throttle.all[DIRECTION_IN], UINT64_MAX, 0);
    throttle_draw(&throttle, DIRECTION_IN, TRAFFIC_FILES, UINT64_MAX, 5);
    throttle_draw(&throttle, DIRECTION_IN, TRAFFIC_FILES, UINT64_MAX, 4); /* an earlier time */
    assert_true(throttle_wait(&throttle, DIRECTION_IN, TRAFFIC_FILES, 5) > 0);
    assert_int_equal(throttle_wait(&throttle, DIRECTION_IN, TRAFFIC_FILES, UINT64_MAX), 0);
    bucket_set(&throttle.all[DIRECTION_IN], 1, 10);
    throttle_draw(&throttle, DIRECTION_IN, TRAFFIC_OVERLAY, 5000, 10);
    assert_true(throttle_wait(&throttle, DIRECTION_IN, TRAFFIC_OVERLAY, 10) > 3000 * SECOND_US);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_holds_over_a_minute),
        cmocka_unit_test(no_window_has_more),
        cmocka_unit_test(both_buckets_count),
        cmocka_unit_test(the_overlay_goes_first),
        cmocka_unit_test(a_flood_of_overlay_is_limited_too),
        cmocka_unit_test(a_limit_can_be_changed),
        cmocka_unit_test(extremes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
