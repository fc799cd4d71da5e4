/* wire_measure.c - measuring a candidate by what it shares. */
#include "common/wire_measure.h"

#include "common/check.h"
#include "common/wire_codec.h"

static enum err files_rule(const struct measure_files *files) {
    if (files->count > MEASURE_FILES_MAX) {
        return ERR_LIMIT;
    }
    enum err err = files->count >= 1 ? OK : ERR_FORMAT;
    for (uint8_t i = 0; i < files->count; i++) {
        err = wire_first(err, wire_content_rule(&files->files[i]));
    }
    return wire_first(err, wire_tlvs_check(files->tlvs));
}

void wire_measure_files_encode(struct buf *out, const struct measure_files *files) {
    CHECK(files_rule(files) == OK);
    buf_u8(out, files->count);
    for (uint8_t i = 0; i < files->count; i++) {
        wire_put_content(out, &files->files[i]);
    }
    wire_put_tlvs(out, files->tlvs);
}

enum err wire_measure_files_decode(struct slice payload, struct measure_files *files) {
    *files = (struct measure_files){0};
    struct reader reader = reader_of(payload.data, payload.len);
    files->count = reader_u8(&reader);
    if (files->count > MEASURE_FILES_MAX) {
        return ERR_LIMIT;
    }
    for (uint8_t i = 0; i < files->count; i++) {
        wire_get_content(&reader, &files->files[i]);
    }
    enum err err = wire_get_tlvs(&reader, &files->tlvs);
    return err != OK ? err : files_rule(files);
}

static enum err blocks_rule(const struct measure_blocks *blocks) {
    if (blocks->count > MEASURE_RUNS_MAX || blocks->bytes > MEASURE_BYTES_MAX) {
        return ERR_LIMIT;
    }
    bool is_fine = blocks->count >= 1 && blocks->bytes >= 1 && blocks->ms >= 1;
    for (uint8_t i = 0; i < blocks->count; i++) {
        const struct measure_run *run = &blocks->runs[i];
        is_fine = is_fine && run->file < MEASURE_FILES_MAX && run->count >= 1 &&
                  run->count <= PIECE_BLOCKS && run->first <= WIRE_BLOCKS_MAX - run->count;
    }
    return is_fine ? wire_tlvs_check(blocks->tlvs) : ERR_FORMAT;
}

void wire_measure_blocks_encode(struct buf *out, const struct measure_blocks *blocks) {
    CHECK(blocks_rule(blocks) == OK);
    buf_u32(out, blocks->bytes);
    buf_u16(out, blocks->ms);
    buf_u8(out, blocks->count);
    for (uint8_t i = 0; i < blocks->count; i++) {
        buf_u8(out, blocks->runs[i].file);
        buf_u32(out, blocks->runs[i].first);
        buf_u8(out, blocks->runs[i].count);
    }
    wire_put_tlvs(out, blocks->tlvs);
}

enum err wire_measure_blocks_decode(struct slice payload, struct measure_blocks *blocks) {
    *blocks = (struct measure_blocks){0};
    struct reader reader = reader_of(payload.data, payload.len);
    blocks->bytes = reader_u32(&reader);
    blocks->ms = reader_u16(&reader);
    blocks->count = reader_u8(&reader);
    if (blocks->count > MEASURE_RUNS_MAX) {
        return ERR_LIMIT;
    }
    for (uint8_t i = 0; i < blocks->count; i++) {
        blocks->runs[i].file = reader_u8(&reader);
        blocks->runs[i].first = reader_u32(&reader);
        blocks->runs[i].count = reader_u8(&reader);
    }
    enum err err = wire_get_tlvs(&reader, &blocks->tlvs);
    return err != OK ? err : blocks_rule(blocks);
}
