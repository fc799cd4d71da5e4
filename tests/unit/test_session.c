/* test_session.c - frames are found wherever the stream is cut, bounded, and refused in time. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "common/mem.h"
#include "common/rng.h"
#include "common/session.h"

#define MESSAGES 6

struct fixture {
    struct packer *packer;
    struct session session;
    struct buf stream;
};

static int set_up(void **state) {
    struct fixture *fixture = mem_new(sizeof *fixture);
    fixture->packer = packer_new();
    *state = fixture;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    packer_free(fixture->packer);
    session_free(&fixture->session);
    buf_free(&fixture->stream);
    mem_free(fixture);
    return 0;
}

static struct slice text_slice(const char *text) {
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

static struct slice whole(const struct buf *buf) {
    return (struct slice){buf->data, buf->len};
}

static bool next(struct fixture *fixture, struct slice *input, struct session_message *message,
                 enum err *err) {
    return session_next(&fixture->session, fixture->packer, input, message, err);
}

/* The error that one run of bytes ends with; OK when it is all taken. */
static enum err feed(struct fixture *fixture, struct slice input) {
    struct session_message message;
    enum err err;
    while (next(fixture, &input, &message, &err)) {
    }
    assert_true(err != OK || input.len == 0);
    return err;
}

/* Plain, deflated, empty, long, and one of an unknown type in between. */
static void build_stream(struct fixture *fixture, struct buf payloads[MESSAGES]) {
    struct slice text = text_slice("the song of the live album");
    static const uint8_t types[MESSAGES] = {MSG_PING,  MSG_HITS,  MSG_SHUT,
                                            MSG_BLOCK, MSG_QUERY, MSG_REG_ADD};
    static const uint32_t sizes[MESSAGES] = {8, 900, 0, BLOCK_HEADER_BYTES + BLOCK_BYTES, 60, 5000};
    for (size_t i = 0; i < MESSAGES; i++) {
        for (uint32_t at = 0; at < sizes[i]; at++) {
            buf_u8(&payloads[i], (uint8_t)(text.data[at % text.len] + at / 400));
        }
        session_pack(fixture->packer, types[i], whole(&payloads[i]), &fixture->stream);
        wire_frame_write(&fixture->stream, MSG_STANDING_QUERY, 0, text_slice("of a later version"));
    }
}

/* Feed input cut at random places; every message must come once, whole and in order. */
static void feed_in_pieces(struct fixture *fixture, struct rng *rng, uint64_t piece_max,
                           const struct buf payloads[MESSAGES]) {
    size_t at = 0, seen = 0;
    while (at < fixture->stream.len) {
        size_t len = 1 + (size_t)rng_below(rng, piece_max);
        len = len < fixture->stream.len - at ? len : fixture->stream.len - at;
        uint8_t *piece = mem_copy(fixture->stream.data + at, len);
        struct slice input = {piece, len};
        struct session_message message;
        enum err err;
        while (next(fixture, &input, &message, &err)) {
            assert_true(seen < MESSAGES);
            assert_int_equal(message.payload.len, payloads[seen].len);
            if (message.payload.len > 0) {
                assert_memory_equal(message.payload.data, payloads[seen].data, payloads[seen].len);
            }
            seen++;
        }
        assert_int_equal(err, OK);
        assert_int_equal(input.len, 0);
        mem_free(piece);
        at += len;
    }
    assert_int_equal(seen, MESSAGES);
    assert_null(fixture->session.partial.data);
}

static void test_any_cut(void **state) {
    struct fixture *fixture = *state;
    struct buf payloads[MESSAGES] = {{0}};
    struct rng rng;
    rng_seed(&rng, 11);
    build_stream(fixture, payloads);
    for (int round = 0; round < 300; round++) {
        static const uint64_t sizes[] = {1, 3, 40, 3000, 100000};
        feed_in_pieces(fixture, &rng, sizes[round % 5], payloads);
    }
    for (size_t i = 0; i < MESSAGES; i++) {
        buf_free(&payloads[i]);
    }
}

static void test_whole_frames_are_not_copied(void **state) {
    struct fixture *fixture = *state;
    session_pack(fixture->packer, MSG_PING, text_slice("12345678"), &fixture->stream);
    struct slice input = whole(&fixture->stream);
    struct session_message message;
    enum err err;
    assert_true(next(fixture, &input, &message, &err));
    assert_ptr_equal(message.payload.data, fixture->stream.data + FRAME_HEADER_BYTES);
    assert_null(fixture->session.partial.data);
}

/* Once the header is there, nothing of a frame that is too long is kept. */
static void test_too_long_for_its_type(void **state) {
    struct fixture *fixture = *state;
    const struct message_info *ping = wire_message_info(MSG_PING);
    for (uint32_t over = 0; over < 2; over++) {
        for (size_t first = 0; first < FRAME_HEADER_BYTES; first++) {
            struct buf header = {0};
            buf_u24(&header, ping->payload_max + over);
            buf_u8(&header, MSG_PING);
            buf_u8(&header, 0);
            struct slice rest = {header.data + first, header.len - first};
            assert_int_equal(feed(fixture, (struct slice){header.data, first}), OK);
            assert_int_equal(feed(fixture, rest), over == 0 ? OK : ERR_LIMIT);
            session_free(&fixture->session);
            buf_free(&header);
        }
    }
    assert_int_equal(feed(fixture, (struct slice){(const uint8_t *)"\1\0\1\x11\0", 5}), ERR_LIMIT);
}

static void test_unknown_types(void **state) {
    struct fixture *fixture = *state;
    wire_frame_write(&fixture->stream, 255, 0, text_slice("skipped"));
    assert_int_equal(feed(fixture, whole(&fixture->stream)), OK);
    wire_frame_write(&fixture->stream, 255, FRAME_CRITICAL, text_slice("not skipped"));
    assert_int_equal(feed(fixture, whole(&fixture->stream)), ERR_CRITICAL);
    fixture->stream.len = 0;
    wire_frame_write(&fixture->stream, MSG_PING, FRAME_CRITICAL, text_slice("12345678"));
    assert_int_equal(feed(fixture, whole(&fixture->stream)), OK);
}

static void test_deflate_flags(void **state) {
    static const struct {
        uint8_t type, flags;
        enum err wanted;
    } rows[] = {
        {MSG_PING, FRAME_DEFLATED | FRAME_DICTIONARY_1, OK},
        {MSG_PING, FRAME_DEFLATED, ERR_FORMAT},
        {MSG_PING, FRAME_DEFLATED | 0x04, ERR_FORMAT},
        {MSG_PING, FRAME_DEFLATED | 0x06, ERR_FORMAT},
        {MSG_PING, FRAME_DICTIONARY_1, ERR_FORMAT},
        {MSG_PING, 0x10, ERR_FORMAT},
        {MSG_BLOCK, FRAME_DEFLATED | FRAME_DICTIONARY_1, ERR_FORMAT},
        {MSG_STANDING_QUERY, FRAME_DEFLATED, OK}, /* not ours to inflate */
    };
    struct fixture *fixture = *state;
    struct buf packed = {0};
    packer_deflate(fixture->packer, text_slice("12345678"), &packed);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf frame = {0};
        buf_u24(&frame, (uint32_t)packed.len);
        buf_u8(&frame, rows[i].type);
        buf_u8(&frame, rows[i].flags);
        buf_append(&frame, packed.data, packed.len);
        assert_int_equal(feed(fixture, whole(&frame)), rows[i].wanted);
        session_free(&fixture->session);
        buf_free(&frame);
    }
    buf_free(&packed);
}

/* Feed one deflated frame of `len` zeroes; deflate makes next to nothing of them. */
static enum err feed_zeroes(struct fixture *fixture, uint8_t type, size_t len) {
    uint8_t *zeroes = mem_new(len);
    struct buf packed = {0}, frame = {0};
    packer_deflate(fixture->packer, (struct slice){zeroes, len}, &packed);
    assert_true(packed.len < 1024);
    wire_frame_write(&frame, type, FRAME_DEFLATED | FRAME_DICTIONARY_1, whole(&packed));
    enum err err = feed(fixture, whole(&frame));
    buf_free(&packed);
    buf_free(&frame);
    mem_free(zeroes);
    return err;
}

/* A few bytes may not make us do the work of many, and a deflated message not be longer than a
 * plain one. */
static void test_bomb(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(feed_zeroes(fixture, MSG_PING, INFLATE_FREE_BYTES), OK);
    assert_int_equal(feed_zeroes(fixture, MSG_REG_ADD, FRAME_PAYLOAD_MAX), ERR_LIMIT);
    uint32_t max = wire_message_info(MSG_PING)->payload_max;
    struct slice text = text_slice("the quick brown fox jumps over the lazy dog ");
    for (uint32_t over = 0; over < 2; over++) {
        struct buf plain = {0}, packed = {0}, frame = {0};
        while (plain.len < max + over) {
            buf_u8(&plain, (uint8_t)(text.data[plain.len % text.len] ^ (plain.len / 500 & 15)));
        }
        packer_deflate(fixture->packer, whole(&plain), &packed);
        assert_true(INFLATE_FREE_BYTES + INFLATE_RATIO_MAX * packed.len > plain.len);
        wire_frame_write(&frame, MSG_PING, FRAME_DEFLATED | FRAME_DICTIONARY_1, whole(&packed));
        assert_int_equal(feed(fixture, whole(&frame)), over == 0 ? OK : ERR_LIMIT);
        buf_free(&plain);
        buf_free(&packed);
        buf_free(&frame);
    }
}

static uint8_t packed_flags(struct fixture *fixture, uint8_t type, struct slice payload) {
    fixture->stream.len = 0;
    session_pack(fixture->packer, type, payload, &fixture->stream);
    struct frame frame;
    size_t used;
    enum err err;
    assert_true(wire_frame_read(whole(&fixture->stream), &frame, &used, &err));
    assert_int_equal(used, fixture->stream.len);
    assert_true(frame.payload.len <= payload.len);
    return frame.flags;
}

static void test_what_is_deflated(void **state) {
    struct fixture *fixture = *state;
    struct slice words = text_slice(
        "soundtrack of the movie, season one, episode two, the movie, and the song from the movie, "
        "and all the other songs of the album that was made for the series; after it the same in "
        "the order in which they are heard, the songs that were left out, a book on how the movie "
        "was made, the posters and the pictures, a talk with the two who wrote the words, another "
        "with those who sang, and the lists of all who had a part in the movie or in the series, "
        "with their names "
        "and what they did, from the first day to the very last, and what came of them");
    struct slice few = {words.data, 511};
    assert_true(words.len >= 512);
    uint8_t noise[600], *zeroes = mem_new(20000);
    struct rng rng;
    rng_seed(&rng, 3);
    rng_fill(&rng, noise, sizeof noise);
    uint8_t deflated = FRAME_DEFLATED | FRAME_DICTIONARY_1;
    assert_int_equal(packed_flags(fixture, MSG_HITS, words), deflated);
    assert_int_equal(packed_flags(fixture, MSG_HITS, few), 0);
    assert_int_equal(packed_flags(fixture, MSG_HITS, (struct slice){noise, sizeof noise}), 0);
    /* What would look like a bomb goes plain. */
    assert_int_equal(packed_flags(fixture, MSG_HAVE, (struct slice){zeroes, 1000}), deflated);
    assert_int_equal(packed_flags(fixture, MSG_HAVE, (struct slice){zeroes, 20000}), 0);
    static const uint8_t never[] = {MSG_BLOCK, MSG_QUERY, MSG_LOCATE, MSG_HASHES};
    for (size_t i = 0; i < sizeof never; i++) {
        assert_int_equal(packed_flags(fixture, never[i], words), 0);
    }
    mem_free(zeroes);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_any_cut),
        TEST(test_whole_frames_are_not_copied),
        TEST(test_too_long_for_its_type),
        TEST(test_unknown_types),
        TEST(test_deflate_flags),
        TEST(test_bomb),
        TEST(test_what_is_deflated),
    };
#undef TEST
    return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
