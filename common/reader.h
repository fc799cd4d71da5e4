/* reader.h - reads a stranger's bytes without ever leaving them. */
#ifndef TRUNKLINE_COMMON_READER_H
#define TRUNKLINE_COMMON_READER_H

#include <stdbool.h>

#include "common/buf.h"

/* at <= end. Once a read was short, `failed` stays set and every further read yields zero:
 * read all fields, then test once. */
struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

/* Read from borrowed bytes. */
struct reader reader_of(const void *bytes, size_t len);

/* Bytes not yet read. */
static inline size_t reader_left(const struct reader *reader) {
    return (size_t)(reader->end - reader->at);
}

/* Borrow `len` bytes; an empty slice when short. */
static inline struct slice reader_slice(struct reader *reader, size_t len) {
    if (reader->failed || reader_left(reader) < len) {
        reader->failed = true;
        return (struct slice){0};
    }
    struct slice slice = {reader->at, len};
    reader->at += len;
    return slice;
}

/* Read big-endian integers; zero when short. */
static inline uint8_t reader_u8(struct reader *reader) {
    struct slice slice = reader_slice(reader, 1);
    return slice.len == 1 ? slice.data[0] : 0;
}
uint16_t reader_u16(struct reader *reader);
uint32_t reader_u24(struct reader *reader);
uint32_t reader_u32(struct reader *reader);
uint64_t reader_u64(struct reader *reader);

/* Copy `len` bytes to `to`; zeroes when short. */
void reader_copy(struct reader *reader, void *to, size_t len);

/* True when every read succeeded and nothing is left. */
bool reader_done(const struct reader *reader);

#endif
