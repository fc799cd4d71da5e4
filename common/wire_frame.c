/* wire_frame.c - frames, and the table of the messages that version 1 speaks. */
#include <stddef.h>

#include "common/check.h"
#include "common/wire_codec.h"
#include "common/wire_measure.h"
#include "common/wire_receipt.h"

#define RECORD_LIST_MAX (1 + NODES_MAX * (2 + ADDRESS_RECORD_BYTES_MAX))
#define VARINT64_MAX 10
#define VARINT32_MAX 5
#define REG_STATE_MAX (8 + 2 * VARINT64_MAX + VARINT32_MAX + 32 + TLV_BYTES_MAX)
#define REG_STATUS_MAX (1 + VARINT64_MAX + VARINT32_MAX + 32 + VARINT32_MAX + TLV_BYTES_MAX)
#define QUERY_MAX (1 + 1 + 2 + 2 + 2 + QUERY_BODY_MAX + TLV_BYTES_MAX)
#define SUMMARY_BYTES_MAX                                                                          \
    (4 + 1 + 1 + 4 + 4 + 8 + 2 + 1 + 4 + 2 + SUMMARY_CHUNK_BYTES + TLV_BYTES_MAX)
#define TRUST_LIST_BYTES_MAX (2 + TRUST_LIST_MAX * 8 + TLV_BYTES_MAX)
#define DECISION_BYTES_MAX                                                                         \
    (32 + 4 + 1 + 256 + 2 + 2 + 1 + 4 * 8 + 4 + 1 + DECISION_EVIDENCE_MAX * 44 + TLV_BYTES_MAX)
#define HASHES_BYTES_MAX                                                                           \
    (4 + 1 + 4 + 2 + HASHES_MAX * HASH_BYTES + 1 + PROOF_MAX * HASH_BYTES + TLV_BYTES_MAX)

/* Rising by type. A maximum is what the fields and their limits add up to. */
static const struct message_info messages[] = {
    {MSG_HELLO, "HELLO", HELLO_BYTES_MAX},
    {MSG_WELCOME, "WELCOME", HELLO_BYTES_MAX},
    {MSG_GOAWAY, "GOAWAY", 1 + 2 + RECORD_LIST_MAX + TLV_BYTES_MAX},
    {MSG_PING, "PING", 8 + TLV_BYTES_MAX},
    {MSG_PONG, "PONG", 8 + TLV_BYTES_MAX},
    {MSG_NODES_REQUEST, "NODES_REQUEST", 1 + TLV_BYTES_MAX},
    {MSG_NODES, "NODES", RECORD_LIST_MAX + TLV_BYTES_MAX},
    {MSG_REG_BEGIN, "REG_BEGIN", REG_STATE_MAX},
    {MSG_REG_ADD, "REG_ADD", FRAME_PAYLOAD_MAX},
    {MSG_REG_COMMIT, "REG_COMMIT", REG_STATE_MAX},
    {MSG_REG_STATUS, "REG_STATUS", REG_STATUS_MAX},
    {MSG_DIALBACK, "DIALBACK", 32 + 1 + 16 + 2 + 8 + TLV_BYTES_MAX},
    {MSG_DIALBACK_DONE, "DIALBACK_DONE", 8 + 1 + TLV_BYTES_MAX},
    {MSG_LOAD, "LOAD", 1 + 2 + TLV_BYTES_MAX},
    {MSG_QUERY, "QUERY", QUERY_MAX},
    {MSG_HITS, "HITS", FRAME_PAYLOAD_MAX},
    {MSG_END, "END", 16 + 1 + COVERAGE_BYTES_MAX + TLV_BYTES_MAX},
    {MSG_LOCATE, "LOCATE", QUERY_MAX},
    {MSG_OPEN, "OPEN", 4 + 40 + TLV_BYTES_MAX},
    {MSG_HAVE, "HAVE", FRAME_PAYLOAD_MAX},
    {MSG_BLOCK_REQUEST, "BLOCK_REQUEST", 4 + 4 + 1 + TLV_BYTES_MAX},
    {MSG_BLOCK, "BLOCK", BLOCK_HEADER_BYTES + BLOCK_BYTES},
    {MSG_HASHES_REQUEST, "HASHES_REQUEST", 4 + 1 + 4 + 2 + TLV_BYTES_MAX},
    {MSG_HASHES, "HASHES", HASHES_BYTES_MAX},
    {MSG_REJECT, "REJECT", 4 + 1 + 4 + 2 + 4 + 2 + TLV_BYTES_MAX},
    {MSG_SHUT, "SHUT", 4 + TLV_BYTES_MAX},
    {MSG_PUSH, "PUSH", 32 + 16 + 2 + ADDRESS_RECORD_BYTES_MAX + TLV_BYTES_MAX},
    {MSG_BROWSE, "BROWSE", 4 + 8 + 2 + FOLDER_BYTES_MAX + TLV_BYTES_MAX},
    {MSG_LISTING, "LISTING", FRAME_PAYLOAD_MAX},
    {MSG_PLACE, "PLACE", 4 + 2 + 4 + TLV_BYTES_MAX},
    {MSG_REG_REMOVE, "REG_REMOVE", 2 + REG_RECORDS_MAX *RECORD_PREFIX_BYTES + TLV_BYTES_MAX},
    {MSG_SUMMARY, "SUMMARY", SUMMARY_BYTES_MAX},
    {MSG_ROW, "ROW", ROW_BYTES_MAX},
    {MSG_CHECKPOINT, "CHECKPOINT", CHECKPOINT_BYTES_MAX},
    {MSG_SNAPSHOT, "SNAPSHOT",
     32 + 1 + 2 + ADDRESS_RECORD_BYTES_MAX + 2 + REG_STATE_MAX + TLV_BYTES_MAX},
    {MSG_CERT, "CERT", CERT_BYTES_MAX},
    {MSG_FRAUD, "FRAUD", FRAUD_BYTES_MAX},
    {MSG_CANDIDACY, "CANDIDACY", CANDIDACY_BYTES_MAX},
    {MSG_MEMBERS, "MEMBERS", FRAME_PAYLOAD_MAX},
    {MSG_TRUST_HAVE, "TRUST_HAVE", TRUST_LIST_BYTES_MAX},
    {MSG_TRUST_WANT, "TRUST_WANT", TRUST_LIST_BYTES_MAX},
    {MSG_MEASURE, "MEASURE", 8 + 4 + 2 + TLV_BYTES_MAX},
    {MSG_MEASURED, "MEASURED", 4 + MEASURED_DATA_MAX},
    {MSG_WHY, "WHY", 32 + TLV_BYTES_MAX},
    {MSG_DECISION, "DECISION", DECISION_BYTES_MAX},
    {MSG_MEASURE_FILES, "MEASURE_FILES", 1 + MEASURE_FILES_MAX * 40 + TLV_BYTES_MAX},
    {MSG_MEASURE_BLOCKS, "MEASURE_BLOCKS", 4 + 2 + 1 + MEASURE_RUNS_MAX * 6 + TLV_BYTES_MAX},
    {MSG_RECEIPT, "RECEIPT", RECEIPT_BYTES_MAX},
};

const struct message_info *wire_message_at(uint32_t place) {
    return place < sizeof messages / sizeof messages[0] ? &messages[place] : NULL;
}

uint32_t wire_message_place(uint8_t type) {
    for (uint32_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        if (messages[i].type == type) {
            return i;
        }
    }
    return UINT32_MAX;
}

const struct message_info *wire_message_info(uint8_t type) {
    return wire_message_at(wire_message_place(type));
}

static enum err header_rule(uint32_t len, uint8_t flags) {
    if (len > FRAME_PAYLOAD_MAX) {
        return ERR_LIMIT;
    }
    bool has_unknown = (flags & ~FRAME_FLAGS) != 0;
    bool has_idle_dictionary = (flags & FRAME_DICTIONARY) != 0 && (flags & FRAME_DEFLATED) == 0;
    return has_unknown || has_idle_dictionary ? ERR_FORMAT : OK;
}

bool wire_frame_read(struct slice bytes, struct frame *frame, size_t *used, enum err *err) {
    *frame = (struct frame){0};
    *used = 0;
    *err = OK;
    struct reader reader = reader_of(bytes.data, bytes.len);
    uint32_t len = reader_u24(&reader);
    uint8_t type = reader_u8(&reader);
    uint8_t flags = reader_u8(&reader);
    if (reader.failed) {
        return false;
    }
    *err = header_rule(len, flags);
    if (*err != OK || reader_left(&reader) < len) {
        return false;
    }
    *frame = (struct frame){type, flags, reader_slice(&reader, len)};
    *used = FRAME_HEADER_BYTES + (size_t)len;
    return true;
}

void wire_frame_header(uint8_t header[FRAME_HEADER_BYTES], uint8_t type, uint8_t flags,
                       size_t payload_len) {
    CHECK(payload_len <= FRAME_PAYLOAD_MAX && header_rule((uint32_t)payload_len, flags) == OK);
    header[0] = (uint8_t)(payload_len >> 16);
    header[1] = (uint8_t)(payload_len >> 8);
    header[2] = (uint8_t)payload_len;
    header[3] = type;
    header[4] = flags;
}

static void put_header(struct buf *out, size_t len, uint8_t type, uint8_t flags) {
    uint8_t header[FRAME_HEADER_BYTES];
    wire_frame_header(header, type, flags, len);
    buf_append(out, header, sizeof header);
}

void wire_frame_write(struct buf *out, uint8_t type, uint8_t flags, struct slice payload) {
    put_header(out, payload.len, type, flags);
    buf_append(out, payload.data, payload.len);
}

void wire_block_header(struct buf *out, uint32_t handle, uint32_t index, uint32_t len) {
    CHECK(len >= 1 && len <= BLOCK_BYTES && index < WIRE_BLOCKS_MAX);
    put_header(out, BLOCK_HEADER_BYTES + len, MSG_BLOCK, 0);
    buf_u32(out, handle);
    buf_u32(out, index);
}
