/* test_timers.c - timers fire in order of time, equal ones in the order they were set. */
#include "tests/unit/testlib.h"

#include "common/timers.h"

#define COUNT 200

static void test_ties_in_order_set(void **state) {
    (void)state;
    struct timers timers = {0};
    struct timer timer[COUNT] = {0};
    for (uint32_t i = 0; i < COUNT; i++) {
        timer[i].kind = i;
        timers_set(&timers, &timer[i], 1000 + i % 3);
    }
    timers_set(&timers, &timer[0], 1000); /* set again: now the last of its time */
    uint32_t wanted[COUNT];
    uint32_t count = 0;
    for (uint32_t rest = 0; rest < 3; rest++) {
        for (uint32_t i = rest == 0 ? 3 : rest; i < COUNT; i += 3) {
            wanted[count++] = i;
        }
        if (rest == 0) {
            wanted[count++] = 0;
        }
    }
    assert_null(timers_take(&timers, 999));
    for (uint32_t i = 0; i < COUNT; i++) {
        struct timer *taken = timers_take(&timers, 2000);
        assert_non_null(taken);
        assert_int_equal(taken->kind, wanted[i]);
        assert_false(timer_is_set(taken));
    }
    assert_null(timers_take(&timers, UINT64_MAX));
    assert_true(timers_next(&timers) == TIMERS_NEVER);
    timers_free(&timers);
}

/* The earliest set timer by looking at all; the order of setting decides ties. */
static struct timer *naive_first(struct timer timer[COUNT]) {
    struct timer *first = NULL;
    for (uint32_t i = 0; i < COUNT; i++) {
        if (timer_is_set(&timer[i]) &&
            (first == NULL || timer[i].due_us < first->due_us ||
             (timer[i].due_us == first->due_us && timer[i].order < first->order))) {
            first = &timer[i];
        }
    }
    return first;
}

static void test_against_model(void **state) {
    (void)state;
    struct timers timers = {0};
    static struct timer timer[COUNT];
    struct rng rng;
    rng_seed(&rng, 13);
    uint64_t now_us = 0;
    for (uint32_t step = 0; step < 50000; step++) {
        struct timer *any = &timer[rng_below(&rng, COUNT)];
        uint64_t draw = rng_below(&rng, 10);
        if (draw < 5) {
            uint64_t delay_us = rng_below(&rng, 50);
            timers_set(&timers, any, now_us + delay_us);
            assert_true(timer_is_set(any));
        } else if (draw < 7) {
            timers_cancel(&timers, any);
            assert_false(timer_is_set(any));
        } else {
            now_us += rng_below(&rng, 10);
            struct timer *wanted = naive_first(timer);
            bool is_due = wanted != NULL && wanted->due_us <= now_us;
            assert_ptr_equal(timers_take(&timers, now_us), is_due ? wanted : NULL);
        }
        const struct timer *first = naive_first(timer);
        assert_true(timers_next(&timers) == (first != NULL ? first->due_us : TIMERS_NEVER));
    }
    timers_free(&timers);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ties_in_order_set),
        cmocka_unit_test(test_against_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
