/* wire_codec.c - reads and writes the parts that messages and records are made of. */
#include "common/wire_codec.h"

#include <string.h>

#include "common/check.h"

struct slice wire_get_bytes16(struct reader *reader) {
    size_t len = reader_u16(reader);
    return reader_slice(reader, len);
}

void wire_put_bytes16(struct buf *out, struct slice bytes) {
    CHECK(bytes.len <= UINT16_MAX);
    buf_u16(out, (uint16_t)bytes.len);
    buf_append(out, bytes.data, bytes.len);
}

struct slice wire_get_text8(struct reader *reader) {
    size_t len = reader_u8(reader);
    return reader_slice(reader, len);
}

void wire_put_text8(struct buf *out, struct slice text) {
    CHECK(text.len <= UINT8_MAX);
    buf_u8(out, (uint8_t)text.len);
    buf_append(out, text.data, text.len);
}

#define VARINT_BITS 7
#define VARINT_MORE 0x80

uint64_t wire_get_varint(struct reader *reader, uint64_t max) {
    uint64_t value = 0;
    uint8_t byte = VARINT_MORE;
    for (uint32_t shift = 0; (byte & VARINT_MORE) != 0 && !reader->failed; shift += VARINT_BITS) {
        byte = reader_u8(reader);
        uint64_t bits = byte & (VARINT_MORE - 1);
        bool is_lost = shift >= 64 || bits << shift >> shift != bits;
        bool is_idle = byte == 0 && shift > 0;
        reader->failed = reader->failed || is_lost || is_idle;
        value |= is_lost ? 0 : bits << shift;
    }
    reader->failed = reader->failed || value > max;
    return reader->failed ? 0 : value;
}

void wire_put_varint(struct buf *out, uint64_t value) {
    while (value >= VARINT_MORE) {
        buf_u8(out, (uint8_t)(value | VARINT_MORE));
        value >>= VARINT_BITS;
    }
    buf_u8(out, (uint8_t)value);
}

/* Bytes of an address of this family, or -1 when there is no such family. */
static int ip_bytes(uint8_t family) {
    switch (family) {
    case ADDRESS_NONE:
        return 0;
    case ADDRESS_IPV4:
        return 4;
    case ADDRESS_IPV6:
        return 16;
    default:
        return -1;
    }
}

void wire_get_address(struct reader *reader, struct address *address) {
    *address = (struct address){.family = reader_u8(reader)};
    int bytes = ip_bytes(address->family);
    if (bytes < 0) {
        reader->failed = true;
    } else if (bytes > 0) {
        reader_copy(reader, address->ip, (size_t)bytes);
        address->port = reader_u16(reader);
    }
}

void wire_put_address(struct buf *out, const struct address *address) {
    int bytes = ip_bytes(address->family);
    CHECK(bytes >= 0);
    buf_u8(out, address->family);
    if (bytes > 0) {
        buf_append(out, address->ip, (size_t)bytes);
        buf_u16(out, address->port);
    }
}

enum err wire_address_rule(const struct address *address) {
    return address->family != ADDRESS_NONE && address->port != 0 ? OK : ERR_FORMAT;
}

bool wire_get_bool(struct reader *reader) {
    uint8_t value = reader_u8(reader);
    reader->failed = reader->failed || value > 1;
    return value == 1;
}

enum err wire_get_tlvs(struct reader *reader, struct slice *tlvs) {
    *tlvs = reader_slice(reader, reader_left(reader));
    return reader->failed ? ERR_FORMAT : OK;
}

void wire_put_tlvs(struct buf *out, struct slice tlvs) {
    buf_append(out, tlvs.data, tlvs.len);
}

enum err wire_tlvs_check(struct slice tlvs) {
    if (tlvs.len > TLV_BYTES_MAX) {
        return ERR_LIMIT;
    }
    struct reader reader = reader_of(tlvs.data, tlvs.len);
    bool is_understood = true;
    for (int last = -1; !reader.failed && reader_left(&reader) > 0;) {
        uint8_t tag = reader_u8(&reader);
        (void)wire_get_bytes16(&reader);
        reader.failed = reader.failed || tag <= last;
        last = tag;
        is_understood = is_understood && tag % 2 == 0;
    }
    if (reader.failed) {
        return ERR_FORMAT;
    }
    return is_understood ? OK : ERR_CRITICAL;
}

enum err wire_content_rule(const struct content_id *content) {
    if (content->size == 0) {
        return ERR_FORMAT;
    }
    return content->size <= FILE_BYTES_MAX ? OK : ERR_LIMIT;
}

void wire_get_content(struct reader *reader, struct content_id *content) {
    reader_copy(reader, content->root.b, sizeof content->root.b);
    content->size = reader_u64(reader);
}

void wire_put_content(struct buf *out, const struct content_id *content) {
    buf_append(out, content->root.b, sizeof content->root.b);
    buf_u64(out, content->size);
}

enum err wire_nested_record_rule(struct slice record, bool may_be_empty) {
    if (record.len == 0 && may_be_empty) {
        return OK;
    }
    struct address_record decoded;
    return wire_address_record_decode(record, &decoded);
}
