/* journal.h - which pieces of an unfinished file are known to be on disk.
 *
 * A journal is a run of records {length u32, type u8, payload, crc32c u32 over all before}. The
 * first says whose journal it is; the others name runs of pieces {first u32, count u32}, or the
 * name that the finished file is about to get. A record of pieces is appended only after the data
 * it vouches for is durable, so that everything up to the first bad check sum can be believed after
 * a crash. */
#ifndef TRUNKLINE_HOST_JOURNAL_H
#define TRUNKLINE_HOST_JOURNAL_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/ids.h"
#include "common/names.h"

#define JOURNAL_BYTES_MAX (64 * 1024 * 1024)
#define JOURNAL_NAME_MAX NAMES_PATH_MAX    /* bytes: folders and a name */
#define JOURNAL_COMPACT_BYTES (256 * 1024) /* longer ones are rewritten when they are opened */

/* CRC-32C (Castagnoli; RFC 3720, appendix B.4). */
uint32_t crc32c(const void *bytes, size_t len);

/* Append the first record. */
void journal_begin(struct buf *out, const struct content_id *content);

/* Append records for the set bits of a bitmap of `count` pieces, the first in the highest bit. */
void journal_pieces(struct buf *out, struct slice bitmap, uint32_t count);

/* Append the name in the download folder that the file gets next: who finds it there after a crash,
 * and no part file, has it already. */
void journal_name(struct buf *out, const char *name);

/* Read a journal of this content: set the bits of `bitmap` ((count + 7) / 8 bytes, zeroed by the
 * caller) and the last name ("" = none), and return how many bytes at the front are good; 0 when it
 * is another's or none. */
size_t journal_read(struct slice bytes, const struct content_id *content, uint8_t *bitmap,
                    uint32_t count, char name[JOURNAL_NAME_MAX + 1]);

#endif
