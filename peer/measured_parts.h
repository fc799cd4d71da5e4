/* measured_parts.h - what the files of being measured share; nobody else includes it. */
#ifndef TRUNKLINE_PEER_MEASURED_PARTS_H
#define TRUNKLINE_PEER_MEASURED_PARTS_H

#include "common/wire_measure.h"
#include "peer/measured.h"

/* Files that were offered on a link, and what is asked for of them. */
struct offer {
    struct measure_files files;
    struct measure_blocks asked;
    uint8_t proofs; /* given so far */
    uint8_t run;    /* of the next block ... */
    uint8_t place;  /* ... in that */
    uint8_t flight; /* blocks with the driver */
};

/* One link, and what is being sent on it. */
struct stream {
    struct link *link;
    bool is_drawn; /* whose it is: among those who are to measure us */
    bool is_sent;  /* nothing is asked for, or all of it went out, or its time is over */
    uint64_t seed;
    uint32_t bytes;
    uint32_t sent;
    uint64_t until_us;
    uint64_t idle_us;    /* when the link ends unless more is asked for */
    struct offer *offer; /* NULL = nothing is shared */
    bool is_blocks;      /* these are sent, not what the seed gives */
};

/* ---- measured.c ---- */

/* One more measurement begins, unless there have been too many: then the link ends, and false. */
bool measured_begin(struct peer *peer, struct stream *stream, uint32_t bytes, uint16_t ms);

/* One more proof is given to this supernode, unless it has had enough in this epoch, by whatever
 * links: then false. */
bool measured_may_prove(struct peer *peer, const struct stream *stream);

/* ---- measured_blocks.c ---- */

/* Tell what is shared, if anything is. */
void measured_offer(struct peer *peer, struct stream *stream);
/* True when a block may be handed to the driver now. */
bool measured_has_block(const struct stream *stream);
/* How long the next block is. */
uint32_t measured_block_bytes(const struct stream *stream);
void measured_send_block(struct peer *peer, struct stream *stream);

#endif
