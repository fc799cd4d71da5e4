/* test_ratelimit.c - a bucket never gives more than its rate and burst allow, nor much less. */
#include "tests/unit/testlib.h"

#include "common/ratelimit.h"

static void test_burst_then_rate(void **state) {
    (void)state;
    struct ratelimit limit = {0};
    uint64_t now_us = 5000000;
    for (int i = 0; i < 10; i++) { /* LEAF_QUERIES: 0.5/s, burst 10 */
        assert_true(ratelimit_take(&limit, 500, 10, 1, now_us));
    }
    assert_false(ratelimit_take(&limit, 500, 10, 1, now_us));
    assert_int_equal(ratelimit_wait(&limit, 500, 10, 1, now_us), 2000000);
    assert_false(ratelimit_take(&limit, 500, 10, 1, now_us + 1999999));
    assert_true(ratelimit_take(&limit, 500, 10, 1, now_us + 2000000));
    assert_int_equal(ratelimit_wait(&limit, 500, 10, 10, now_us + 2000000), 20000000);
    assert_int_equal(ratelimit_wait(&limit, 500, 10, 11, now_us), UINT64_MAX);
    assert_false(ratelimit_take(&limit, 500, 10, 11, UINT64_MAX));
    assert_true(ratelimit_take(&limit, 500, 10, 10, UINT64_MAX));
}

/* Asking every microsecond must not lose the fractions. */
static void test_impatience_costs_nothing(void **state) {
    (void)state;
    struct ratelimit limit = {0};
    assert_true(ratelimit_take(&limit, 300, 1, 1, 0));
    uint64_t now_us = 3333000;
    while (!ratelimit_take(&limit, 300, 1, 1, now_us)) {
        now_us++;
    }
    assert_int_equal(now_us, 3333334);
}

static void test_clock_and_extremes(void **state) {
    (void)state;
    struct ratelimit limit = {0};
    assert_true(ratelimit_take(&limit, 1000, 2, 2, 1000000));
    assert_false(ratelimit_take(&limit, 1000, 2, 1, 0)); /* an earlier time gives nothing */
    assert_int_equal(ratelimit_wait(&limit, 1000, 2, 1, 0), 2000000);
    assert_true(ratelimit_take(&limit, UINT64_MAX, 2, 2, 2000000));
    struct ratelimit late = {0};
    assert_true(ratelimit_take(&late, 1000, 2, 1, 5000000));
    assert_true(ratelimit_take(&late, 1000, 2, 1, 0)); /* ... and does not turn the clock back */
    assert_false(ratelimit_take(&late, 1000, 2, 1, 5999999));
    assert_true(ratelimit_take(&late, 1000, 2, 1, 6000000));
    struct ratelimit closed = {0};
    assert_true(ratelimit_take(&closed, 0, 1, 1, 1)); /* no refill: the burst is all */
    assert_false(ratelimit_take(&closed, 0, 1, 1, UINT64_MAX));
    assert_int_equal(ratelimit_wait(&closed, 0, 1, 1, 2), UINT64_MAX);
}

/* One random schedule: what was given in any window stays within burst + rate * window. It is
 * enough to look at windows that start where the bucket was full (the first event). */
static void run_schedule(struct rng *rng) {
    uint64_t milli_per_s = 1 + rng_below(rng, 5000000);
    uint64_t burst = 1 + rng_below(rng, 1000);
    uint64_t start_us = rng_below(rng, 1000000000);
    uint64_t now_us = start_us;
    uint64_t given = 0;
    struct ratelimit limit = {0};
    uint64_t events = 2 + rng_below(rng, 30);
    for (uint64_t i = 0; i < events; i++) {
        uint64_t tokens = rng_below(rng, burst + 1);
        uint64_t wait_us = ratelimit_wait(&limit, milli_per_s, burst, tokens, now_us);
        struct ratelimit before = limit;
        bool is_given = ratelimit_take(&limit, milli_per_s, burst, tokens, now_us);
        assert_int_equal(is_given, wait_us == 0);
        given += is_given ? tokens : 0;
        /* given <= burst + rate * elapsed, all times 10^9 to stay in integers */
        uint64_t refill = milli_per_s * (now_us - start_us);
        assert_true(given * 1000000000 <= burst * 1000000000 + refill);
        if (wait_us > 0) { /* the promise of wait is exact */
            struct ratelimit copy = before;
            assert_false(ratelimit_take(&copy, milli_per_s, burst, tokens, now_us + wait_us - 1));
            assert_true(ratelimit_take(&copy, milli_per_s, burst, tokens, now_us + wait_us));
        }
        uint64_t gap_us = rng_below(rng, 2) == 0 ? 2000 : 2000000;
        now_us += rng_below(rng, gap_us);
    }
}

static void test_never_exceeds(void **state) {
    (void)state;
    struct rng rng;
    rng_seed(&rng, 5);
    for (int i = 0; i < 100000; i++) {
        run_schedule(&rng);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_then_rate),
        cmocka_unit_test(test_impatience_costs_nothing),
        cmocka_unit_test(test_clock_and_extremes),
        cmocka_unit_test(test_never_exceeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
