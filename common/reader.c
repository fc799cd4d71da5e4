/* reader.c - the only code that turns a stranger's bytes into numbers. */
#include "common/reader.h"

#include <string.h>

struct reader reader_of(const void *bytes, size_t len) {
    static const uint8_t nothing;
    const uint8_t *at = bytes != NULL ? bytes : &nothing;
    return (struct reader){.at = at, .end = at + (bytes != NULL ? len : 0)};
}

static uint64_t big_endian(struct reader *reader, size_t bytes) {
    struct slice slice = reader_slice(reader, bytes);
    uint64_t value = 0;
    for (size_t i = 0; i < slice.len; i++) {
        value = value << 8 | slice.data[i];
    }
    return value;
}

uint16_t reader_u16(struct reader *reader) {
    return (uint16_t)big_endian(reader, 2);
}

uint32_t reader_u24(struct reader *reader) {
    return (uint32_t)big_endian(reader, 3);
}

uint32_t reader_u32(struct reader *reader) {
    return (uint32_t)big_endian(reader, 4);
}

uint64_t reader_u64(struct reader *reader) {
    return big_endian(reader, 8);
}

void reader_copy(struct reader *reader, void *to, size_t len) {
    struct slice slice = reader_slice(reader, len);
    if (slice.len == len && len > 0) {
        memcpy(to, slice.data, len);
    } else {
        memset(to, 0, len);
    }
}

bool reader_done(const struct reader *reader) {
    return !reader->failed && reader->at == reader->end;
}
