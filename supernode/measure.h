/* measure.h - what the files that measure candidates share; nobody else includes it. */
#ifndef TRUNKLINE_SUPERNODE_MEASURE_H
#define TRUNKLINE_SUPERNODE_MEASURE_H

#include "supernode/core.h"

struct blocks;

/* A candidate that is measured in this epoch. */
struct stream {
    struct node_id subject;
    struct link *link;
    uint64_t seed;
    uint32_t bytes;        /* verified; of the generated stream in order */
    struct blocks *blocks; /* of its files that are asked for instead; NULL = of none */
};

/* ---- measure_blocks.c ---- */

/* Ask for blocks, if all of them can be verified; else false. */
bool blocks_ask(struct supernode *supernode, const struct stream *stream, uint16_t ms);
void blocks_free(struct stream *stream);

/* ---- measure.c ---- */

/* True while what comes counts. */
bool measure_is_counting(const struct supernode *supernode);
/* So many bytes more have been verified. */
void measure_count(struct supernode *supernode, struct stream *stream, uint32_t bytes);

#endif
