/* wire_codec.h - what the files of the wire codec share; nobody else includes it.
 *
 * Every message has one rule function: the decoder returns its verdict, the encoder CHECKs it, so
 * that we never send what we would refuse. */
#ifndef TRUNKLINE_COMMON_WIRE_CODEC_H
#define TRUNKLINE_COMMON_WIRE_CODEC_H

#include "common/wire.h"

/* Blocks of the largest file; block and hash indexes stay below it. */
#define WIRE_BLOCKS_MAX ((uint32_t)(FILE_BYTES_MAX / BLOCK_BYTES))
#define WIRE_LAYER_MAX 28 /* of that file's tree */
_Static_assert(FILE_BYTES_MAX / BLOCK_BYTES == 1U << WIRE_LAYER_MAX, "height of the tallest tree");

/* First error of two, both already found: C leaves open which of two calls in one argument list
 * comes first, so a call that reads never stands beside one that judges. */
static inline enum err wire_first(enum err first, enum err second) {
    return first != OK ? first : second;
}

/* Borrow or append a u16 length and that many bytes; a longer slice is our bug. */
struct slice wire_get_bytes16(struct reader *reader);
void wire_put_bytes16(struct buf *out, struct slice bytes);

/* Borrow or append a u8 length and that many bytes. The text itself is for the caller to judge. */
struct slice wire_get_text8(struct reader *reader);
void wire_put_text8(struct buf *out, struct slice text);

/* Read or append an unsigned LEB128 number (as in DWARF and protobuf): seven bits a byte, lowest
 * first. One beyond `max`, or longer than it need be, fails the reader. */
uint64_t wire_get_varint(struct reader *reader, uint64_t max);
void wire_put_varint(struct buf *out, uint64_t value);

/* Read or append family u8, ip 4 or 16, port u16; ADDRESS_NONE has nothing after its family. An
 * unknown family fails the reader. */
void wire_get_address(struct reader *reader, struct address *address);
void wire_put_address(struct buf *out, const struct address *address);

/* OK for an address that can be dialled: a family and a port. */
MUST_CHECK enum err wire_address_rule(const struct address *address);

/* Read 0 or 1; any other byte fails the reader. */
bool wire_get_bool(struct reader *reader);

/* Take all that is left as TLVs, unchecked; ERR_FORMAT when any read was short. */
MUST_CHECK enum err wire_get_tlvs(struct reader *reader, struct slice *tlvs);

/* Append TLVs that were checked before. */
void wire_put_tlvs(struct buf *out, struct slice tlvs);

/* OK for content that can exist: 1 to FILE_BYTES_MAX bytes. */
MUST_CHECK enum err wire_content_rule(const struct content_id *content);
void wire_get_content(struct reader *reader, struct content_id *content);
void wire_put_content(struct buf *out, const struct content_id *content);

/* True for one path component that people can read. */
bool wire_name_ok(struct slice name);

/* OK for a file record that can exist, with a name that people can read. */
MUST_CHECK enum err wire_file_record_rule(const struct file_record *record);

/* OK for an encoded address record; with `may_be_empty` also for nothing. */
MUST_CHECK enum err wire_nested_record_rule(struct slice record, bool may_be_empty);

#endif
