/* pack.h - bounded raw deflate with the protocol's preset dictionary, one message at a time.
 *
 * One packer per driver: both zlib states are made once and reset per message, so no history is
 * shared between messages of different origin and no link owns zlib memory. */
#ifndef TRUNKLINE_COMMON_PACK_H
#define TRUNKLINE_COMMON_PACK_H

#include "common/buf.h"
#include "common/err.h"

struct packer;

/* Return a packer (about 300 KiB: window 15, memory level 8); free with packer_free. */
struct packer *packer_new(void);
void packer_free(struct packer *packer);

/* Append raw deflate of `bytes` made with dictionary 1. */
void packer_deflate(struct packer *packer, struct slice bytes, struct buf *out);

/* The same for bytes of which a part, `noise`, cannot shrink: it goes as it is, so that nobody
 * looks for matches in it, and inflating it is copying. It does not spoil the codes of the rest
 * either. */
void packer_deflate_around(struct packer *packer, struct slice bytes, struct slice noise,
                           struct buf *out);

/* Inflate into *plain, which borrows the packer's scratch until its next call. Return ERR_LIMIT
 * when more than `max` (at most FRAME_PAYLOAD_MAX) bytes would come out, ERR_FORMAT when the
 * stream is broken, cut short, or followed by other bytes. Output is bounded before it is made. */
MUST_CHECK enum err packer_inflate(struct packer *packer, struct slice bytes, size_t max,
                                   struct slice *plain);

/* The dictionary: common words of names, queries and records. Part of the protocol. */
struct slice pack_dictionary(void);

#endif
