/* wire_transfer.c - messages by which two peers exchange blocks and hashes of a file. */
#include <string.h>

#include "common/check.h"
#include "common/wire_codec.h"

/* ---- OPEN and SHUT ---- */

static enum err open_rule(const struct open_file *open) {
    return wire_first(wire_content_rule(&open->content), wire_tlvs_check(open->tlvs));
}

void wire_open_encode(struct buf *out, const struct open_file *open) {
    CHECK(open_rule(open) == OK);
    buf_u32(out, open->handle);
    wire_put_content(out, &open->content);
    wire_put_tlvs(out, open->tlvs);
}

enum err wire_open_decode(struct slice payload, struct open_file *open) {
    *open = (struct open_file){0};
    struct reader reader = reader_of(payload.data, payload.len);
    open->handle = reader_u32(&reader);
    wire_get_content(&reader, &open->content);
    enum err err = wire_get_tlvs(&reader, &open->tlvs);
    return wire_first(err, open_rule(open));
}

void wire_shut_encode(struct buf *out, const struct shut_file *shut) {
    CHECK(wire_tlvs_check(shut->tlvs) == OK);
    buf_u32(out, shut->handle);
    wire_put_tlvs(out, shut->tlvs);
}

enum err wire_shut_decode(struct slice payload, struct shut_file *shut) {
    *shut = (struct shut_file){0};
    struct reader reader = reader_of(payload.data, payload.len);
    shut->handle = reader_u32(&reader);
    enum err err = wire_get_tlvs(&reader, &shut->tlvs);
    return wire_first(err, wire_tlvs_check(shut->tlvs));
}

/* ---- HAVE ---- */

static enum err have_rule(const struct have *have) {
    bool is_sound = have->all ? have->bitmap.len == 0 : have->bitmap.len >= 1;
    return is_sound ? wire_tlvs_check(have->tlvs) : ERR_FORMAT;
}

void wire_have_encode(struct buf *out, const struct have *have) {
    CHECK(have_rule(have) == OK);
    buf_u32(out, have->handle);
    buf_u8(out, have->all ? 1 : 0);
    if (!have->all) {
        wire_put_bytes16(out, have->bitmap);
    }
    wire_put_tlvs(out, have->tlvs);
}

enum err wire_have_decode(struct slice payload, struct have *have) {
    *have = (struct have){0};
    struct reader reader = reader_of(payload.data, payload.len);
    have->handle = reader_u32(&reader);
    have->all = wire_get_bool(&reader);
    if (!have->all) {
        have->bitmap = wire_get_bytes16(&reader);
    }
    enum err err = wire_get_tlvs(&reader, &have->tlvs);
    return wire_first(err, have_rule(have));
}

/* ---- Blocks ---- */

static enum err block_request_rule(const struct block_request *request) {
    if (request->count < 1) {
        return ERR_FORMAT;
    }
    bool is_bounded =
        request->count <= BLOCK_REQUEST_MAX && request->first <= WIRE_BLOCKS_MAX - request->count;
    return is_bounded ? wire_tlvs_check(request->tlvs) : ERR_LIMIT;
}

void wire_block_request_encode(struct buf *out, const struct block_request *request) {
    CHECK(block_request_rule(request) == OK);
    buf_u32(out, request->handle);
    buf_u32(out, request->first);
    buf_u8(out, request->count);
    wire_put_tlvs(out, request->tlvs);
}

enum err wire_block_request_decode(struct slice payload, struct block_request *request) {
    *request = (struct block_request){0};
    struct reader reader = reader_of(payload.data, payload.len);
    request->handle = reader_u32(&reader);
    request->first = reader_u32(&reader);
    request->count = reader_u8(&reader);
    enum err err = wire_get_tlvs(&reader, &request->tlvs);
    return wire_first(err, block_request_rule(request));
}

enum err wire_block_decode(struct slice payload, struct block *block) {
    *block = (struct block){0};
    struct reader reader = reader_of(payload.data, payload.len);
    block->handle = reader_u32(&reader);
    block->index = reader_u32(&reader);
    block->data = reader_slice(&reader, reader_left(&reader));
    if (reader.failed || block->data.len < 1) {
        return ERR_FORMAT;
    }
    return block->data.len <= BLOCK_BYTES && block->index < WIRE_BLOCKS_MAX ? OK : ERR_LIMIT;
}

/* ---- Hashes ---- */

/* A run of hashes that some file's tree can have. */
static enum err run_rule(uint8_t layer, uint32_t first, uint16_t count) {
    bool is_power = count >= 1 && (count & (count - 1)) == 0;
    if (!is_power || first % count != 0) {
        return ERR_FORMAT;
    }
    if (layer > WIRE_LAYER_MAX || count > HASHES_MAX) {
        return ERR_LIMIT;
    }
    uint64_t end = (uint64_t)first + count;
    return end <= WIRE_BLOCKS_MAX >> layer ? OK : ERR_LIMIT;
}

void wire_hashes_request_encode(struct buf *out, const struct hashes_request *request) {
    CHECK(run_rule(request->layer, request->first, request->count) == OK);
    CHECK(wire_tlvs_check(request->tlvs) == OK);
    buf_u32(out, request->handle);
    buf_u8(out, request->layer);
    buf_u32(out, request->first);
    buf_u16(out, request->count);
    wire_put_tlvs(out, request->tlvs);
}

enum err wire_hashes_request_decode(struct slice payload, struct hashes_request *request) {
    *request = (struct hashes_request){0};
    struct reader reader = reader_of(payload.data, payload.len);
    request->handle = reader_u32(&reader);
    request->layer = reader_u8(&reader);
    request->first = reader_u32(&reader);
    request->count = reader_u16(&reader);
    enum err err = wire_get_tlvs(&reader, &request->tlvs);
    err = wire_first(err, run_rule(request->layer, request->first, request->count));
    return wire_first(err, wire_tlvs_check(request->tlvs));
}

static enum err hashes_rule(const struct hashes *hashes) {
    enum err err = run_rule(hashes->layer, hashes->first, hashes->count);
    err = wire_first(err, hashes->proof_count <= PROOF_MAX ? OK : ERR_LIMIT);
    return wire_first(err, wire_tlvs_check(hashes->tlvs));
}

void wire_hashes_encode(struct buf *out, const struct hashes *hashes) {
    CHECK(hashes_rule(hashes) == OK);
    CHECK(hashes->hashes.len == (size_t)hashes->count * HASH_BYTES);
    CHECK(hashes->proof.len == (size_t)hashes->proof_count * HASH_BYTES);
    buf_u32(out, hashes->handle);
    buf_u8(out, hashes->layer);
    buf_u32(out, hashes->first);
    buf_u16(out, hashes->count);
    buf_append(out, hashes->hashes.data, hashes->hashes.len);
    buf_u8(out, hashes->proof_count);
    buf_append(out, hashes->proof.data, hashes->proof.len);
    wire_put_tlvs(out, hashes->tlvs);
}

enum err wire_hashes_decode(struct slice payload, struct hashes *hashes) {
    *hashes = (struct hashes){0};
    struct reader reader = reader_of(payload.data, payload.len);
    hashes->handle = reader_u32(&reader);
    hashes->layer = reader_u8(&reader);
    hashes->first = reader_u32(&reader);
    hashes->count = reader_u16(&reader);
    hashes->hashes = reader_slice(&reader, (size_t)hashes->count * HASH_BYTES);
    hashes->proof_count = reader_u8(&reader);
    hashes->proof = reader_slice(&reader, (size_t)hashes->proof_count * HASH_BYTES);
    enum err err = wire_get_tlvs(&reader, &hashes->tlvs);
    return wire_first(err, hashes_rule(hashes));
}

/* ---- REJECT ---- */

static enum err reject_rule(const struct reject *reject) {
    bool is_known = reject->reason >= 1 && reject->reason <= REJECT_REASON_MAX;
    return is_known ? wire_tlvs_check(reject->tlvs) : ERR_FORMAT;
}

void wire_reject_encode(struct buf *out, const struct reject *reject) {
    CHECK(reject_rule(reject) == OK);
    buf_u32(out, reject->handle);
    buf_u8(out, reject->reason);
    buf_u32(out, reject->first);
    buf_u16(out, reject->count);
    buf_u32(out, reject->retry_after_ms);
    buf_u16(out, reject->queue_position);
    wire_put_tlvs(out, reject->tlvs);
}

enum err wire_reject_decode(struct slice payload, struct reject *reject) {
    *reject = (struct reject){0};
    struct reader reader = reader_of(payload.data, payload.len);
    reject->handle = reader_u32(&reader);
    reject->reason = reader_u8(&reader);
    reject->first = reader_u32(&reader);
    reject->count = reader_u16(&reader);
    reject->retry_after_ms = reader_u32(&reader);
    reject->queue_position = reader_u16(&reader);
    enum err err = wire_get_tlvs(&reader, &reject->tlvs);
    return wire_first(err, reject_rule(reject));
}

/* ---- PLACE ---- */

static enum err place_rule(const struct queue_place *place) {
    bool is_sound = place->position > 0 || place->eta_ms == 0;
    return is_sound ? wire_tlvs_check(place->tlvs) : ERR_FORMAT;
}

void wire_place_encode(struct buf *out, const struct queue_place *place) {
    CHECK(place_rule(place) == OK);
    buf_u32(out, place->handle);
    buf_u16(out, place->position);
    buf_u32(out, place->eta_ms);
    wire_put_tlvs(out, place->tlvs);
}

enum err wire_place_decode(struct slice payload, struct queue_place *place) {
    *place = (struct queue_place){0};
    struct reader reader = reader_of(payload.data, payload.len);
    place->handle = reader_u32(&reader);
    place->position = reader_u16(&reader);
    place->eta_ms = reader_u32(&reader);
    enum err err = wire_get_tlvs(&reader, &place->tlvs);
    return wire_first(err, place_rule(place));
}

/* ---- PUSH ---- */

static enum err push_rule(const struct push *push) {
    return wire_first(wire_nested_record_rule(push->requester, false), wire_tlvs_check(push->tlvs));
}

void wire_push_encode(struct buf *out, const struct push *push) {
    CHECK(push_rule(push) == OK);
    buf_append(out, push->target.b, sizeof push->target.b);
    buf_append(out, push->nonce, sizeof push->nonce);
    wire_put_bytes16(out, push->requester);
    wire_put_tlvs(out, push->tlvs);
}

enum err wire_push_decode(struct slice payload, struct push *push) {
    *push = (struct push){0};
    struct reader reader = reader_of(payload.data, payload.len);
    reader_copy(&reader, push->target.b, sizeof push->target.b);
    reader_copy(&reader, push->nonce, sizeof push->nonce);
    push->requester = wire_get_bytes16(&reader);
    enum err err = wire_get_tlvs(&reader, &push->tlvs);
    return wire_first(err, push_rule(push));
}
