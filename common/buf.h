/* buf.h - a growing run of bytes that costs nothing while it is empty. */
#ifndef TRUNKLINE_COMMON_BUF_H
#define TRUNKLINE_COMMON_BUF_H

#include <stddef.h>
#include <stdint.h>

/* data[0 .. len) is what is in it. All zero is a valid empty buffer. */
struct buf {
    uint8_t *data;
    size_t len;
    size_t cap;
};

/* A borrowed run of bytes. */
struct slice {
    const uint8_t *data;
    size_t len;
};

/* Make room for `more` bytes after len and return where they go; len is unchanged. */
uint8_t *buf_reserve(struct buf *buf, size_t more);

/* Append bytes (a copy). Zero bytes are fine. */
void buf_append(struct buf *buf, const void *bytes, size_t len);

/* Drop the first `len` bytes; the rest moves to the front. */
void buf_consume(struct buf *buf, size_t len);

/* Release the memory; the buffer is empty and usable again. */
void buf_free(struct buf *buf);

/* Append big-endian integers (`u24` takes the low 24 bits). */
void buf_u8(struct buf *buf, uint8_t value);
void buf_u16(struct buf *buf, uint16_t value);
void buf_u24(struct buf *buf, uint32_t value);
void buf_u32(struct buf *buf, uint32_t value);
void buf_u64(struct buf *buf, uint64_t value);

#endif
