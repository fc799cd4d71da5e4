/* wire_register.c - messages by which a leaf tells its supernode what it shares. */
#include <string.h>

#include "common/check.h"
#include "common/wire_codec.h"

void wire_reg_state_encode(struct buf *out, const struct reg_state *state) {
    CHECK(wire_tlvs_check(state->tlvs) == OK);
    buf_u64(out, state->index_id);
    buf_u64(out, state->sequence);
    buf_u32(out, state->count);
    buf_append(out, state->root.b, sizeof state->root.b);
    wire_put_tlvs(out, state->tlvs);
}

enum err wire_reg_state_decode(struct slice payload, struct reg_state *state) {
    *state = (struct reg_state){0};
    struct reader reader = reader_of(payload.data, payload.len);
    state->index_id = reader_u64(&reader);
    state->sequence = reader_u64(&reader);
    state->count = reader_u32(&reader);
    reader_copy(&reader, state->root.b, sizeof state->root.b);
    enum err err = wire_get_tlvs(&reader, &state->tlvs);
    return wire_first(err, wire_tlvs_check(state->tlvs));
}

/* Read `count` records and keep the run of bytes that they fill. */
static enum err get_records(struct reader *reader, uint16_t count, struct slice *records) {
    const uint8_t *start = reader->at;
    enum err err = OK;
    for (uint16_t i = 0; i < count && err == OK; i++) {
        struct file_record record;
        err = wire_file_record_read(reader, &record);
    }
    *records = (struct slice){start, (size_t)(reader->at - start)};
    return err;
}

static enum err reg_add_rule(const struct reg_add *add) {
    if (add->count > REG_RECORDS_MAX) {
        return ERR_LIMIT;
    }
    struct reader reader = reader_of(add->records.data, add->records.len);
    struct slice records;
    enum err err = get_records(&reader, add->count, &records);
    bool is_whole = add->count >= 1 && reader_done(&reader);
    err = wire_first(err, is_whole ? OK : ERR_FORMAT);
    return wire_first(err, wire_tlvs_check(add->tlvs));
}

void wire_reg_add_encode(struct buf *out, const struct reg_add *add) {
    CHECK(reg_add_rule(add) == OK);
    buf_u16(out, add->count);
    buf_append(out, add->records.data, add->records.len);
    wire_put_tlvs(out, add->tlvs);
}

enum err wire_reg_add_decode(struct slice payload, struct reg_add *add) {
    *add = (struct reg_add){0};
    struct reader reader = reader_of(payload.data, payload.len);
    add->count = reader_u16(&reader);
    if (add->count < 1 || add->count > REG_RECORDS_MAX) {
        return add->count < 1 ? ERR_FORMAT : ERR_LIMIT;
    }
    enum err err = get_records(&reader, add->count, &add->records);
    err = wire_first(err, wire_get_tlvs(&reader, &add->tlvs));
    return wire_first(err, wire_tlvs_check(add->tlvs));
}

static enum err reg_status_rule(const struct reg_status *status) {
    bool is_known = status->verdict >= REG_DONE && status->verdict <= REG_VERDICT_MAX;
    return is_known ? wire_tlvs_check(status->tlvs) : ERR_FORMAT;
}

void wire_reg_status_encode(struct buf *out, const struct reg_status *status) {
    CHECK(reg_status_rule(status) == OK);
    buf_u8(out, status->verdict);
    buf_u64(out, status->sequence);
    buf_u32(out, status->count);
    buf_append(out, status->root.b, sizeof status->root.b);
    wire_put_tlvs(out, status->tlvs);
}

enum err wire_reg_status_decode(struct slice payload, struct reg_status *status) {
    *status = (struct reg_status){0};
    struct reader reader = reader_of(payload.data, payload.len);
    status->verdict = reader_u8(&reader);
    status->sequence = reader_u64(&reader);
    status->count = reader_u32(&reader);
    reader_copy(&reader, status->root.b, sizeof status->root.b);
    enum err err = wire_get_tlvs(&reader, &status->tlvs);
    return wire_first(err, reg_status_rule(status));
}
