/* test_buf.c - what the buffer writes the reader reads, and a short read is never a wild one. */
#include "tests/unit/testlib.h"

#include "common/buf.h"
#include "common/mem.h"
#include "common/reader.h"

static void test_layout(void **state) {
    (void)state;
    struct buf buf = {0};
    buf_u8(&buf, 0x01);
    buf_u16(&buf, 0x0203);
    buf_u24(&buf, 0xff040506);
    buf_u32(&buf, 0x0708090a);
    buf_u64(&buf, 0x0b0c0d0e0f101112);
    buf_append(&buf, "end", 3);
    buf_append(&buf, NULL, 0);
    static const uint8_t wanted[] = {1,  2,  3,  4,  5,  6,  7,  8,   9,   10, 11,
                                     12, 13, 14, 15, 16, 17, 18, 'e', 'n', 'd'};
    assert_int_equal(buf.len, sizeof wanted);
    assert_memory_equal(buf.data, wanted, sizeof wanted);

    struct reader reader = reader_of(buf.data, buf.len);
    assert_int_equal(reader_u8(&reader), 0x01);
    assert_int_equal(reader_u16(&reader), 0x0203);
    assert_int_equal(reader_u24(&reader), 0x040506);
    assert_int_equal(reader_u32(&reader), 0x0708090a);
    assert_true(reader_u64(&reader) == 0x0b0c0d0e0f101112);
    assert_int_equal(reader_left(&reader), 3);
    assert_false(reader_done(&reader));
    struct slice end = reader_slice(&reader, 3);
    assert_memory_equal(end.data, "end", 3);
    assert_true(reader_done(&reader));
    buf_free(&buf);
    assert_null(buf.data);
}

static void test_short_reads_latch(void **state) {
    (void)state;
    static const uint8_t bytes[] = {1, 2, 3};
    struct reader reader = reader_of(bytes, sizeof bytes);
    assert_int_equal(reader_u32(&reader), 0);
    assert_true(reader.failed);
    assert_int_equal(reader_u8(&reader), 0); /* there would be a byte, but it is too late */
    uint8_t copy[2] = {9, 9};
    reader_copy(&reader, copy, 2);
    assert_int_equal(copy[0] | copy[1], 0);
    assert_int_equal(reader_slice(&reader, 1).len, 0);
    assert_false(reader_done(&reader));

    reader = reader_of(bytes, sizeof bytes);
    assert_int_equal(reader_slice(&reader, SIZE_MAX).len, 0);
    assert_true(reader.failed);
    reader = reader_of(NULL, 0);
    assert_true(reader_done(&reader));
    assert_int_equal(reader_u8(&reader), 0);
    assert_false(reader_done(&reader));
}

static void test_consume(void **state) {
    (void)state;
    struct buf buf = {0};
    buf_append(&buf, "abcdef", 6);
    buf_consume(&buf, 2);
    assert_int_equal(buf.len, 4);
    assert_memory_equal(buf.data, "cdef", 4);
    buf_consume(&buf, 4);
    assert_int_equal(buf.len, 0);
    uint8_t *room = buf_reserve(&buf, 1000);
    memset(room, 7, 1000);
    assert_int_equal(buf.len, 0);
    assert_true(buf.cap >= 1000);
    buf_free(&buf);
}

/* Random appends and consumes against a plain array. */
static void test_against_model(void **state) {
    (void)state;
    static uint8_t model[1 << 20];
    size_t start = 0;
    size_t end = 0;
    struct buf buf = {0};
    struct rng rng;
    rng_seed(&rng, 14);
    while (end < sizeof model - 1000) {
        size_t more = rng_below(&rng, 1000);
        rng_fill(&rng, model + end, more);
        buf_append(&buf, model + end, more);
        end += more;
        size_t less = rng_below(&rng, (end - start) / 4 + 1);
        buf_consume(&buf, less);
        start += less;
        assert_int_equal(buf.len, end - start);
        assert_memory_equal(buf.data, model + start, end - start);
    }
    buf_free(&buf);
}

/* Reading random lengths from exactly sized memory: the sanitizer watches the edges. */
static void test_reader_stays_inside(void **state) {
    (void)state;
    struct rng rng;
    rng_seed(&rng, 15);
    for (int round = 0; round < 5000; round++) {
        size_t len = rng_below(&rng, 40);
        uint8_t *bytes = mem_new(len);
        struct reader reader = reader_of(bytes, len);
        size_t read = 0;
        while (!reader.failed) {
            size_t wanted = rng_below(&rng, 20);
            struct slice slice = reader_slice(&reader, wanted);
            assert_int_equal(reader.failed, read + wanted > len);
            read += slice.len;
            for (size_t i = 0; i < slice.len; i++) {
                assert_int_equal(slice.data[i], 0);
            }
            if (read == len && wanted > 0 && rng_below(&rng, 4) == 0) {
                break;
            }
        }
        assert_int_equal(reader_done(&reader), !reader.failed && read == len);
        mem_free(bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_short_reads_latch),
        cmocka_unit_test(test_consume),
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_reader_stays_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
