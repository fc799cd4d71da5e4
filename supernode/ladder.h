/* ladder.h - how far a leaf's search is taken: step by step, until it has found or reached enough.
 */
#ifndef TRUNKLINE_SUPERNODE_LADDER_H
#define TRUNKLINE_SUPERNODE_LADDER_H

#include "common/wire.h"

struct supernode;

/* What an entry supernode keeps of a search while it widens. */
struct ladder {
    struct buf payload;  /* the leaf's copy, to be sent on with one ttl after the other */
    uint64_t until_us;   /* the leaf waits no longer */
    uint8_t goal;        /* largest radius */
    uint16_t want;       /* distinct contents, or holders of a LOCATE; at most QUERY_RESULTS_MAX */
    bool is_saturated;   /* the last step led to few that were not reached before */
    uint32_t step_links; /* followed by the last step: copies and what was spared */
    uint32_t all_links;  /* by all steps */
};

/* Return a ladder for a leaf's copy (copied); free with ladder_free. */
struct ladder *ladder_new(struct slice payload, uint16_t want, uint8_t goal, uint64_t until_us);
void ladder_free(struct ladder *ladder);

/* How long step `radius` may take now, in milliseconds; 0 = no such step: enough was reached, the
 * copies were too many, the goal or the time is over. Call once per step. */
uint32_t ladder_step_ms(const struct supernode *supernode, struct ladder *ladder,
                        const struct coverage *coverage, uint8_t radius);

/* Turn what was reached into what a leaf is told of it, once; `ladder` may be NULL. */
void ladder_tell_reach(const struct supernode *supernode, const struct ladder *ladder,
                       struct coverage *coverage);

#endif
