/* test_rng.c - one seed gives one sequence for ever, and numbers below a bound are even. */
#include "tests/unit/testlib.h"

#include "common/rng.h"

/* xoshiro256** from the state 1, 2, 3, 4: the sequence that its reference code gives
 * (prng.di.unimi.it; also the test vector of Rust's rand_xoshiro). */
static void test_reference(void **state) {
    (void)state;
    static const uint64_t wanted[] = {11520ULL,
                                      0ULL,
                                      1509978240ULL,
                                      1215971899390074240ULL,
                                      1216172134540287360ULL,
                                      607988272756665600ULL,
                                      16172922978634559625ULL,
                                      8476171486693032832ULL,
                                      10595114339597558777ULL,
                                      2904607092377533576ULL};
    struct rng rng = {{1, 2, 3, 4}};
    for (size_t i = 0; i < LENGTH(wanted); i++) {
        assert_true(rng_u64(&rng) == wanted[i]);
    }
}

/* splitmix64 from 0 (its first values as published with the reference code). */
static void test_seeding(void **state) {
    (void)state;
    struct rng rng;
    rng_seed(&rng, 0);
    assert_true(rng.state[0] == 0xe220a8397b1dcdaf);
    assert_true(rng.state[1] == 0x6e789e6aa1b965f4);
    assert_true(rng.state[2] == 0x06c45d188009454f);
    assert_true(rng.state[3] == 0xf88bb8a8724c81ec);
}

/* Chi-squared over 10 and 100 values; the limits are p = 10^-6, and the seed is fixed. */
static void test_below_is_even(void **state) {
    (void)state;
    static const struct {
        uint64_t bound;
        double limit;
    } rows[] = {{10, 44.8}, {100, 182.0}};
    struct rng rng;
    rng_seed(&rng, 16);
    for (size_t row = 0; row < LENGTH(rows); row++) {
        uint32_t counts[100] = {0};
        const uint32_t draws = 200000;
        for (uint32_t i = 0; i < draws; i++) {
            uint64_t value = rng_below(&rng, rows[row].bound);
            assert_true(value < rows[row].bound);
            counts[value]++;
        }
        double mean = (double)draws / (double)rows[row].bound;
        double chi = 0;
        for (uint64_t i = 0; i < rows[row].bound; i++) {
            chi += (counts[i] - mean) * (counts[i] - mean) / mean;
        }
        assert_true(chi < rows[row].limit);
        assert_true(chi > 0);
    }
    for (int i = 0; i < 1000; i++) {
        assert_true(rng_below(&rng, 1) == 0);
        assert_true(rng_below(&rng, (1ULL << 63) + 1) <= 1ULL << 63);
    }
}

/* Filling in parts of any length draws whole words: the bytes are those of rng_u64. */
static void test_fill(void **state) {
    (void)state;
    for (size_t len = 0; len < 40; len++) {
        struct rng a;
        struct rng b;
        rng_seed(&a, 17);
        rng_seed(&b, 17);
        uint8_t filled[41];
        memset(filled, 0xee, sizeof filled);
        rng_fill(&a, filled, len);
        assert_int_equal(filled[len], 0xee);
        for (size_t at = 0; at < len; at += 8) {
            uint64_t word = rng_u64(&b);
            assert_memory_equal(filled + at, &word, len - at < 8 ? len - at : 8);
        }
        assert_true(rng_u64(&a) == rng_u64(&b));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_seeding),
        cmocka_unit_test(test_below_is_even),
        cmocka_unit_test(test_fill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
