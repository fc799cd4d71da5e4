/* journal.c - which pieces of an unfinished file are known to be on disk. */
#include "src/host/journal.h"

#include <string.h>

#include "common/reader.h"

#define RECORD_BEGIN 1
#define RECORD_PIECES 2
#define RECORD_NAME 3
#define VERSION 1
#define RECORD_HEADER_BYTES 5
#define RECORD_CRC_BYTES 4
#define RUN_BYTES 8
#define RUNS_MAX 4096 /* per record */

/* Four bits at a time: journals are short, a large table would not pay. */
uint32_t crc32c(const void *bytes, size_t len) {
    static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
                                       0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
                                       0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                       0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    const uint8_t *at = bytes;
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < len; i++) {
        crc ^= at[i];
        crc = (crc >> 4) ^ table[crc & 15];
        crc = (crc >> 4) ^ table[crc & 15];
    }
    return ~crc;
}

static void append_record(struct buf *out, uint8_t type, struct slice payload) {
    size_t start = out->len;
    buf_u32(out, (uint32_t)payload.len);
    buf_u8(out, type);
    buf_append(out, payload.data, payload.len);
    buf_u32(out, crc32c(out->data + start, out->len - start));
}

void journal_begin(struct buf *out, const struct content_id *content) {
    struct buf payload = {0};
    buf_u8(&payload, VERSION);
    buf_append(&payload, content->root.b, sizeof content->root.b);
    buf_u64(&payload, content->size);
    append_record(out, RECORD_BEGIN, (struct slice){payload.data, payload.len});
    buf_free(&payload);
}

static bool has_piece(const uint8_t *bitmap, uint32_t piece) {
    return (bitmap[piece / 8] & (0x80 >> (piece % 8))) != 0;
}

void journal_pieces(struct buf *out, struct slice bitmap, uint32_t count) {
    struct buf runs = {0};
    uint32_t end = bitmap.len * 8 < count ? (uint32_t)(bitmap.len * 8) : count;
    for (uint32_t piece = 0; piece < end;) {
        uint32_t first = piece;
        while (piece < end && has_piece(bitmap.data, piece)) {
            piece++;
        }
        if (piece > first) {
            buf_u32(&runs, first);
            buf_u32(&runs, piece - first);
        } else {
            piece++;
        }
        if (runs.len == RUNS_MAX * RUN_BYTES || (piece >= end && runs.len > 0)) {
            append_record(out, RECORD_PIECES, (struct slice){runs.data, runs.len});
            runs.len = 0;
        }
    }
    buf_free(&runs);
}

void journal_name(struct buf *out, const char *name) {
    append_record(out, RECORD_NAME, (struct slice){(const uint8_t *)name, strlen(name)});
}

static bool is_ours(struct reader payload, const struct content_id *content) {
    struct content_id named;
    uint8_t version = reader_u8(&payload);
    reader_copy(&payload, named.root.b, sizeof named.root.b);
    named.size = reader_u64(&payload);
    return reader_done(&payload) && version == VERSION && content_equal(&named, content);
}

/* Set the bits of every run; false when a run lies outside of the file. */
static bool take_runs(struct reader payload, uint8_t *bitmap, uint32_t count) {
    while (reader_left(&payload) > 0) {
        uint32_t first = reader_u32(&payload);
        uint32_t run = reader_u32(&payload);
        if (payload.failed || first >= count || run > count - first) {
            return false;
        }
        for (uint32_t piece = first; piece < first + run; piece++) {
            bitmap[piece / 8] |= (uint8_t)(0x80 >> (piece % 8));
        }
    }
    return true;
}

/* A path as finish.c has written it, no step of it empty or hidden: nothing else is ever opened. */
static bool take_name(struct slice payload, char *name) {
    bool is_fine = payload.len >= 1 && payload.len <= JOURNAL_NAME_MAX &&
                   memchr(payload.data, '\0', payload.len) == NULL &&
                   payload.data[payload.len - 1] != '/';
    for (size_t i = 0; is_fine && i < payload.len; i++) {
        bool begins = i == 0 || payload.data[i - 1] == '/';
        is_fine = !begins || (payload.data[i] != '.' && payload.data[i] != '/');
    }
    if (is_fine) {
        memcpy(name, payload.data, payload.len);
        name[payload.len] = '\0';
    }
    return is_fine;
}

size_t journal_read(struct slice bytes, const struct content_id *content, uint8_t *bitmap,
                    uint32_t count, char name[JOURNAL_NAME_MAX + 1]) {
    name[0] = '\0';
    struct reader reader = reader_of(bytes.data, bytes.len);
    size_t good = 0;
    for (bool begun = false; reader_left(&reader) > 0; begun = true) {
        const uint8_t *start = reader.at;
        uint32_t len = reader_u32(&reader);
        uint8_t type = reader_u8(&reader);
        struct slice payload = reader_slice(&reader, len);
        uint32_t crc = reader_u32(&reader);
        if (reader.failed || crc != crc32c(start, RECORD_HEADER_BYTES + payload.len)) {
            break;
        }
        struct reader fields = reader_of(payload.data, payload.len);
        bool is_good = !begun ? type == RECORD_BEGIN && is_ours(fields, content)
                       : type == RECORD_NAME
                           ? take_name(payload, name)
                           : type == RECORD_PIECES && take_runs(fields, bitmap, count);
        if (!is_good) {
            break;
        }
        good += RECORD_HEADER_BYTES + payload.len + RECORD_CRC_BYTES;
    }
    return good;
}
