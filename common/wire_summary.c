/* wire_summary.c - SUMMARY: a piece of a filter, or the bits that were set since. */
#include "common/check.h"
#include "common/wire_codec.h"

#define BIT_BYTES 3 /* of a bit's number in a delta */

static uint32_t bit_at(struct slice bits, size_t i) {
    const uint8_t *at = bits.data + i * BIT_BYTES;
    return (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
}

static enum err chunk_rule(const struct summary_part *part, uint32_t filter_bytes) {
    if (part->first >= filter_bytes || part->first % SUMMARY_CHUNK_BYTES != 0) {
        return ERR_FORMAT;
    }
    uint32_t left = filter_bytes - part->first;
    return part->bytes.len == (left < SUMMARY_CHUNK_BYTES ? left : SUMMARY_CHUNK_BYTES)
               ? OK
               : ERR_FORMAT;
}

static enum err delta_rule(const struct summary_part *part) {
    size_t count = part->bytes.len / BIT_BYTES;
    if (part->bytes.len % BIT_BYTES != 0 || part->first != 0) {
        return ERR_FORMAT;
    }
    if (count > SUMMARY_DELTA_MAX) {
        return ERR_LIMIT;
    }
    for (size_t i = 1; i < count; i++) {
        if (bit_at(part->bytes, i - 1) >= bit_at(part->bytes, i)) {
            return ERR_FORMAT;
        }
    }
    bool fits = count == 0 || bit_at(part->bytes, count - 1) < 1u << part->log2_bits;
    return fits ? OK : ERR_FORMAT;
}

static enum err part_rule(const struct summary_part *part) {
    if (part->log2_bits < SUMMARY_LOG2_MIN || part->log2_bits > SUMMARY_LOG2_MAX) {
        return ERR_LIMIT;
    }
    enum err err = part->hashes == SUMMARY_HASHES ? OK : ERR_FORMAT;
    if (part->kind == SUMMARY_CHUNK) {
        err = wire_first(err, chunk_rule(part, 1u << (part->log2_bits - 3)));
    } else {
        err = wire_first(err, part->kind == SUMMARY_DELTA ? delta_rule(part) : ERR_FORMAT);
    }
    return wire_first(err, wire_tlvs_check(part->tlvs));
}

void wire_summary_encode(struct buf *out, const struct summary_part *part) {
    CHECK(part_rule(part) == OK);
    buf_u32(out, part->version);
    buf_u8(out, part->log2_bits);
    buf_u8(out, part->hashes);
    buf_u32(out, part->words);
    buf_u32(out, part->leaves);
    buf_u64(out, part->files);
    buf_u16(out, part->degree);
    buf_u8(out, part->kind);
    if (part->kind == SUMMARY_CHUNK) {
        buf_u32(out, part->first);
        wire_put_bytes16(out, part->bytes);
    } else {
        buf_u16(out, (uint16_t)(part->bytes.len / BIT_BYTES));
        buf_append(out, part->bytes.data, part->bytes.len);
    }
    wire_put_tlvs(out, part->tlvs);
}

enum err wire_summary_decode(struct slice payload, struct summary_part *part) {
    *part = (struct summary_part){0};
    struct reader reader = reader_of(payload.data, payload.len);
    part->version = reader_u32(&reader);
    part->log2_bits = reader_u8(&reader);
    part->hashes = reader_u8(&reader);
    part->words = reader_u32(&reader);
    part->leaves = reader_u32(&reader);
    part->files = reader_u64(&reader);
    part->degree = reader_u16(&reader);
    part->kind = reader_u8(&reader);
    if (part->kind == SUMMARY_CHUNK) {
        part->first = reader_u32(&reader);
        part->bytes = wire_get_bytes16(&reader);
    } else {
        uint16_t count = reader_u16(&reader);
        part->bytes = reader_slice(&reader, (size_t)count * BIT_BYTES);
    }
    enum err err = wire_get_tlvs(&reader, &part->tlvs);
    return wire_first(err, part_rule(part));
}
