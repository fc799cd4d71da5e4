/* test_pack.c - the preset dictionary is the one of the protocol, and inflating is bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "common/limits.h"
#include "common/mem.h"
#include "common/pack.h"
#include "common/rng.h"
#include "common/wire.h"
#include "src/host/crypto.h"

#define BODY_TARGET 55 /* bytes: median of a deflated query body over the committed queries */
#define QUERIES 1000

/* Other bytes are another dictionary, which needs another id in the frame's flags. */
static void test_dictionary_is_pinned(void **state) {
    (void)state;
    struct hash hash;
    char text[2 * HASH_BYTES + 1];
    crypto_hash(crypto_keyless(), pack_dictionary(), &hash);
    hex_format(text, hash.b, sizeof hash.b);
    assert_string_equal(text, "0c9a03721da2eac1a8e700ed7cd9b243b4d3124e734cefaa59fb6550c01f2e07");
}

static void assert_round_trip(struct packer *packer, struct slice bytes) {
    struct buf packed = {0};
    struct slice plain;
    packer_deflate(packer, bytes, &packed);
    struct slice sent = {packed.data, packed.len};
    assert_int_equal(packer_inflate(packer, sent, bytes.len, &plain), OK);
    assert_int_equal(plain.len, bytes.len);
    if (bytes.len > 0) {
        assert_memory_equal(plain.data, bytes.data, bytes.len);
        assert_int_equal(packer_inflate(packer, sent, bytes.len - 1, &plain), ERR_LIMIT);
        assert_int_equal(plain.len, 0);
    }
    buf_free(&packed);
}

static void test_round_trips(void **state) {
    (void)state;
    struct packer *packer = packer_new();
    struct rng rng;
    rng_seed(&rng, 7);
    uint8_t *bytes = mem_new(FRAME_PAYLOAD_MAX);
    for (int round = 0; round < 2000; round++) {
        size_t max = round % 20 == 0 ? FRAME_PAYLOAD_MAX : 600;
        size_t len = (size_t)rng_below(&rng, max + 1);
        uint64_t letters = 1 + rng_below(&rng, 256); /* few repeat, many do not deflate */
        for (size_t i = 0; i < len; i++) {
            bytes[i] = (uint8_t)rng_below(&rng, letters);
        }
        assert_round_trip(packer, (struct slice){bytes, len});
    }
    mem_free(bytes);
    packer_free(packer);
    packer_free(NULL);
}

/* Noise anywhere, also at the start, at the end and all of it, and of any length. */
static void test_round_trips_around_noise(void **state) {
    (void)state;
    struct packer *packer = packer_new();
    struct rng rng;
    rng_seed(&rng, 8);
    uint8_t *bytes = mem_new(FRAME_PAYLOAD_MAX);
    for (int round = 0; round < 1000; round++) {
        size_t len = 1 + (size_t)rng_below(&rng, round % 20 == 0 ? FRAME_PAYLOAD_MAX : 600);
        size_t from = round % 3 == 0 ? 0 : (size_t)rng_below(&rng, len);
        size_t noisy = round % 4 == 0 ? len - from : (size_t)rng_below(&rng, len - from + 1);
        for (size_t i = 0; i < len; i++) {
            bool is_noise = i >= from && i < from + noisy;
            bytes[i] = (uint8_t)rng_below(&rng, is_noise ? 256 : 4);
        }
        struct buf packed = {0};
        struct slice plain, whole = {bytes, len};
        packer_deflate_around(packer, whole, (struct slice){bytes + from, noisy}, &packed);
        assert_int_equal(
            packer_inflate(packer, (struct slice){packed.data, packed.len}, len, &plain), OK);
        assert_int_equal(plain.len, len);
        assert_memory_equal(plain.data, bytes, len);
        assert_in_range(packed.len, noisy, noisy + (len - noisy) / 2 + 100);
        buf_free(&packed);
        assert_round_trip(packer, whole); /* the next knows nothing of it */
    }
    mem_free(bytes);
    packer_free(packer);
}

/* What another zlib makes by the same recipe, so that not only our own inflate reads it. */
static void test_foreign_deflate(void **state) {
    (void)state;
    struct slice dictionary = pack_dictionary();
    uint8_t text[] = "greatest hits of the soundtrack", packed[200];
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, 1, Z_DEFLATED, -9, 1, Z_FIXED), Z_OK);
    assert_int_equal(deflateSetDictionary(&stream, dictionary.data, (uInt)dictionary.len), Z_OK);
    stream.next_in = text;
    stream.avail_in = sizeof text;
    stream.next_out = packed;
    stream.avail_out = sizeof packed;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    struct packer *packer = packer_new();
    struct slice plain;
    assert_int_equal(packer_inflate(packer, (struct slice){packed, stream.total_out}, 100, &plain),
                     OK);
    assert_int_equal(plain.len, sizeof text);
    assert_memory_equal(plain.data, text, sizeof text);
    deflateEnd(&stream);
    packer_free(packer);
}

static void test_cut_and_trailing(void **state) {
    (void)state;
    struct packer *packer = packer_new();
    struct slice text = {(const uint8_t *)"documentation of the kernel, third edition", 42}, plain;
    struct buf packed = {0};
    packer_deflate(packer, text, &packed);
    for (size_t len = 0; len < packed.len; len++) {
        struct slice cut = {packed.data, len};
        assert_int_equal(packer_inflate(packer, cut, 1000, &plain), ERR_FORMAT);
        assert_int_equal(plain.len, 0);
    }
    buf_u8(&packed, 0);
    struct slice longer = {packed.data, packed.len};
    assert_int_equal(packer_inflate(packer, longer, 1000, &plain), ERR_FORMAT);
    buf_free(&packed);
    packer_free(packer);
}

/* Deflate shrinks zeroes 1029 to 1: a megabyte in a thousand bytes. */
static void test_bomb(void **state) {
    (void)state;
    uint8_t *zeroes = mem_new(1 << 20), bomb[2048];
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = zeroes;
    stream.avail_in = 1 << 20;
    stream.next_out = bomb;
    stream.avail_out = sizeof bomb;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_true(stream.total_out < 1100);
    struct packer *packer = packer_new();
    struct slice plain, bytes = {bomb, stream.total_out};
    static const size_t bounds[] = {0, 1, 64, QUERY_BODY_MAX, FRAME_PAYLOAD_MAX};
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        assert_int_equal(packer_inflate(packer, bytes, bounds[i], &plain), ERR_LIMIT);
        assert_int_equal(plain.len, 0);
    }
    deflateEnd(&stream);
    mem_free(zeroes);
    packer_free(packer);
}

/* No message leaves anything behind for the next: the same bytes deflate alike each time, and a
 * broken stream harms none after it. */
static void test_no_history(void **state) {
    (void)state;
    struct packer *packer = packer_new();
    struct slice text = {(const uint8_t *)"qwzx qwzx qwzx unlikely words", 29}, plain;
    struct buf first = {0}, second = {0};
    packer_deflate(packer, text, &first);
    assert_int_equal(
        packer_inflate(packer, (struct slice){(const uint8_t *)"\xff\xff", 2}, 9, &plain),
        ERR_FORMAT);
    packer_deflate(packer, text, &second);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.data, second.data, first.len);
    assert_round_trip(packer, text);
    buf_free(&first);
    buf_free(&second);
    packer_free(packer);
}

static size_t body_bytes(struct packer *packer, struct rng *rng, const char *text) {
    struct query_body body = {.kind = QUERY_WORDS, .text = {(const uint8_t *)text, strlen(text)}};
    rng_fill(rng, body.salt, sizeof body.salt);
    struct buf plain = {0}, packed = {0};
    wire_query_body_encode(&plain, &body);
    packer_deflate(packer, (struct slice){plain.data, plain.len}, &packed);
    size_t len = packed.len;
    assert_round_trip(packer, (struct slice){plain.data, plain.len});
    buf_free(&plain);
    buf_free(&packed);
    return len;
}

static void test_query_bodies(void **state) {
    (void)state;
    FILE *file = fopen(TESTS_DIR "/vectors/queries.txt", "r");
    assert_non_null(file);
    struct packer *packer = packer_new();
    struct rng rng;
    rng_seed(&rng, 1);
    char line[QUERY_TEXT_MAX + 2];
    size_t count = 0, within = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] != '#' && line[0] != '\0') {
            within += body_bytes(packer, &rng, line) <= BODY_TARGET;
            count++;
        }
    }
    fclose(file);
    packer_free(packer);
    assert_int_equal(count, QUERIES);
    assert_true(within * 2 > count);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dictionary_is_pinned),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_round_trips_around_noise),
        cmocka_unit_test(test_foreign_deflate),
        cmocka_unit_test(test_cut_and_trailing),
        cmocka_unit_test(test_bomb),
        cmocka_unit_test(test_no_history),
        cmocka_unit_test(test_query_bodies),
    };
    return cmocka_run_group_tests_name("pack", tests, NULL, NULL);
}
