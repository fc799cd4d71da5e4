/* wire_codecs.h - every decoder of the wire beside the encoder that must undo it.
 *
 * recode_NAME decodes and, when that is accepted, encodes again: the same bytes must come out. */
#ifndef TRUNKLINE_TESTS_WIRE_CODECS_H
#define TRUNKLINE_TESTS_WIRE_CODECS_H

#include "common/check.h"
#include "common/wire_measure.h"
#include "common/wire_receipt.h"

typedef enum err recode_function(struct slice bytes, struct buf *out);

static inline enum err wire_file_record_decode(struct slice bytes, struct file_record *record) {
    struct reader reader = reader_of(bytes.data, bytes.len);
    enum err err = wire_file_record_read(&reader, record);
    CHECK(reader.failed == (err != OK));
    return err == OK && !reader_done(&reader) ? ERR_FORMAT : err;
}

static inline void wire_block_encode(struct buf *out, const struct block *block) {
    struct buf frame = {0};
    wire_block_header(&frame, block->handle, block->index, (uint32_t)block->data.len);
    buf_append(out, frame.data + FRAME_HEADER_BYTES, frame.len - FRAME_HEADER_BYTES);
    buf_append(out, block->data.data, block->data.len);
    buf_free(&frame);
}

static inline enum err wire_frame_decode(struct slice bytes, struct frame *frame) {
    size_t used;
    enum err err;
    if (!wire_frame_read(bytes, frame, &used, &err)) {
        CHECK(used == 0);
        return err == OK ? ERR_FORMAT : err;
    }
    CHECK(err == OK && used == FRAME_HEADER_BYTES + frame->payload.len);
    return used == bytes.len ? OK : ERR_FORMAT;
}

static inline void wire_frame_encode(struct buf *out, const struct frame *frame) {
    wire_frame_write(out, frame->type, frame->flags, frame->payload);
}

/* X(name in wire_NAME_decode, struct tag) */
#define WIRE_CODECS(X)                                                                             \
    X(address_record, address_record)                                                              \
    X(block, block)                                                                                \
    X(block_request, block_request)                                                                \
    X(browse, browse_request)                                                                      \
    X(candidacy, candidacy)                                                                        \
    X(cert, cert)                                                                                  \
    X(checkpoint, checkpoint)                                                                      \
    X(decision, decision)                                                                          \
    X(dialback, dialback)                                                                          \
    X(dialback_done, dialback_done)                                                                \
    X(end, query_end)                                                                              \
    X(file_record, file_record)                                                                    \
    X(fraud, fraud)                                                                                \
    X(frame, frame)                                                                                \
    X(goaway, goaway)                                                                              \
    X(hashes, hashes)                                                                              \
    X(hashes_request, hashes_request)                                                              \
    X(have, have)                                                                                  \
    X(hello, hello)                                                                                \
    X(hits, hits)                                                                                  \
    X(listing, listing)                                                                            \
    X(load, load)                                                                                  \
    X(measure, measure)                                                                            \
    X(measure_blocks, measure_blocks)                                                              \
    X(measure_files, measure_files)                                                                \
    X(measured, measured)                                                                          \
    X(members, members)                                                                            \
    X(nodes, nodes)                                                                                \
    X(nodes_request, nodes_request)                                                                \
    X(open, open_file)                                                                             \
    X(ping, ping)                                                                                  \
    X(place, queue_place)                                                                          \
    X(push, push)                                                                                  \
    X(query, query_header)                                                                         \
    X(query_body, query_body)                                                                      \
    X(receipt, receipt)                                                                            \
    X(reg_add, reg_add)                                                                            \
    X(reg_remove, reg_remove)                                                                      \
    X(reg_state, reg_state)                                                                        \
    X(reg_status, reg_status)                                                                      \
    X(reject, reject)                                                                              \
    X(row, row_record)                                                                             \
    X(shut, shut_file)                                                                             \
    X(snapshot, snapshot)                                                                          \
    X(summary, summary_part)                                                                       \
    X(trust_list, trust_list)                                                                      \
    X(why, why)

#define WIRE_RECODE(name, tag)                                                                     \
    static inline enum err recode_##name(struct slice bytes, struct buf *out) {                    \
        struct tag value;                                                                          \
        enum err err = wire_##name##_decode(bytes, &value);                                        \
        if (err == OK) {                                                                           \
            wire_##name##_encode(out, &value);                                                     \
        }                                                                                          \
        return err;                                                                                \
    }
WIRE_CODECS(WIRE_RECODE)

#endif
