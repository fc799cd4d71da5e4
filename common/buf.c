/* buf.c - a growing run of bytes, also the writer of everything that goes on the wire. */
#include "common/buf.h"

#include <string.h>

#include "common/mem.h"

uint8_t *buf_reserve(struct buf *buf, size_t more) {
    if (buf->cap - buf->len < more) {
        size_t cap = buf->cap < 32 ? 64 : buf->cap * 2;
        while (cap - buf->len < more) {
            cap *= 2;
        }
        buf->data = mem_resize(buf->data, cap, 1);
        buf->cap = cap;
    }
    return buf->data + buf->len;
}

void buf_append(struct buf *buf, const void *bytes, size_t len) {
    if (len > 0) {
        memcpy(buf_reserve(buf, len), bytes, len);
        buf->len += len;
    }
}

void buf_consume(struct buf *buf, size_t len) {
    buf->len -= len;
    if (buf->len > 0) {
        memmove(buf->data, buf->data + len, buf->len);
    }
}

void buf_free(struct buf *buf) {
    mem_free(buf->data);
    *buf = (struct buf){0};
}

static void append_big_endian(struct buf *buf, uint64_t value, size_t bytes) {
    uint8_t *to = buf_reserve(buf, bytes);
    for (size_t i = 0; i < bytes; i++) {
        to[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
    }
    buf->len += bytes;
}

void buf_u8(struct buf *buf, uint8_t value) {
    append_big_endian(buf, value, 1);
}

void buf_u16(struct buf *buf, uint16_t value) {
    append_big_endian(buf, value, 2);
}

void buf_u24(struct buf *buf, uint32_t value) {
    append_big_endian(buf, value & 0xffffff, 3);
}

void buf_u32(struct buf *buf, uint32_t value) {
    append_big_endian(buf, value, 4);
}

void buf_u64(struct buf *buf, uint64_t value) {
    append_big_endian(buf, value, 8);
}
