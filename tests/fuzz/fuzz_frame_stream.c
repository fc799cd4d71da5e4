/* fuzz_frame_stream.c - a stream of any bytes yields the same messages wherever it is cut. */
#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "common/session.h"
#include "tests/fuzz/fuzz.h"

/* What came out: type, flags, length and bytes of each message, one after the other. */
struct outcome {
    struct buf messages;
    enum err err;
};

static void note(struct outcome *outcome, const struct session_message *message) {
    const struct message_info *info = wire_message_info(message->type);
    CHECK(info != NULL && message->payload.len <= info->payload_max);
    buf_u8(&outcome->messages, message->type);
    buf_u8(&outcome->messages, message->flags);
    buf_u32(&outcome->messages, (uint32_t)message->payload.len);
    buf_append(&outcome->messages, message->payload.data, message->payload.len);
}

/* Cut into pieces of 1 to `piece_max` bytes, each in memory of its own that ends with it. */
static struct outcome run(struct packer *packer, struct slice bytes, uint32_t piece_max) {
    struct outcome outcome = {0};
    struct session session = {0};
    uint32_t turn = 1;
    while (bytes.len > 0 && outcome.err == OK) {
        turn = turn * 1103515245 + 12345;
        size_t len = 1 + (turn >> 8) % piece_max;
        len = len < bytes.len ? len : bytes.len;
        uint8_t *piece = mem_copy(bytes.data, len);
        struct slice input = {piece, len};
        struct session_message message;
        while (session_next(&session, packer, &input, &message, &outcome.err)) {
            note(&outcome, &message);
        }
        CHECK(outcome.err != OK || input.len == 0);
        CHECK(session.partial.len <= FRAME_HEADER_BYTES + FRAME_PAYLOAD_MAX);
        mem_free(piece);
        bytes = (struct slice){bytes.data + len, bytes.len - len};
    }
    session_free(&session);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct packer *packer;
    packer = packer != NULL ? packer : packer_new();
    if (size < 1) {
        return 0;
    }
    struct slice bytes = {data + 1, size - 1};
    struct outcome at_once = run(packer, bytes, UINT32_MAX);
    struct outcome in_pieces = run(packer, bytes, 1 + data[0]);
    CHECK(at_once.err == in_pieces.err);
    CHECK(at_once.messages.len == in_pieces.messages.len);
    CHECK(at_once.messages.len == 0 ||
          memcmp(at_once.messages.data, in_pieces.messages.data, at_once.messages.len) == 0);
    buf_free(&at_once.messages);
    buf_free(&in_pieces.messages);
    return 0;
}
