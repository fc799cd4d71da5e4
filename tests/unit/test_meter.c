/* test_meter.c - counts per second. */
#include "common/meter.h"
#include "tests/unit/testlib.h"

#define S 1000000ull

static void the_last_whole_second_counts(void **state) {
    (void)state;
    struct meter meter = {0};
    assert_int_equal(meter_per_s(&meter, 0), 0);
    for (uint64_t i = 0; i < 7; i++) {
        meter_count(&meter, 5 * S + i * 1000);
    }
    assert_int_equal(meter_per_s(&meter, 5 * S + 9000), 0); /* that second is not over */
    assert_int_equal(meter_per_s(&meter, 6 * S), 7);
    meter_count(&meter, 6 * S + 1);
    assert_int_equal(meter_per_s(&meter, 6 * S + 2), 7);
    assert_int_equal(meter_per_s(&meter, 7 * S), 1);
    assert_int_equal(meter_per_s(&meter, 8 * S), 0);
    meter_count(&meter, 20 * S); /* after a pause the old seconds are gone */
    assert_int_equal(meter_per_s(&meter, 20 * S + 1), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_last_whole_second_counts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
