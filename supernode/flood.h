/* flood.h - relays queries onward, routes their hits back, and answers every copy exactly once. */
#ifndef TRUNKLINE_SUPERNODE_FLOOD_H
#define TRUNKLINE_SUPERNODE_FLOOD_H

#include "common/links.h"
#include "supernode/index.h"

struct supernode;
struct query;
struct wave;

/* All zero but for `queries` at first. */
struct flood {
    struct map queries;   /* query id -> struct query */
    struct query *oldest; /* in order of arrival */
    struct query **newest_next;
    struct wave *waves; /* relayed copies that wait for their children */
    uint32_t wave_count;
    struct timer timer;          /* TIMER_QUERIES */
    struct buf payload;          /* the copy being handled */
    struct index_answer *answer; /* scratch, made when the first query comes */
};

void flood_init(struct supernode *supernode);
void flood_free(struct supernode *supernode);

/* Serve a copy that has waited for its turn. Return what closes the link; *cost is 1 or
 * TURN_COST_NEW. */
MUST_CHECK enum err flood_serve(struct supernode *supernode, struct link *link, uint8_t type,
                                struct slice payload, uint32_t *cost);

/* Messages. Copies are checked, held to the link's rate, and wait for their turn. */
enum err flood_take_query(struct supernode *supernode, struct link *link, struct slice payload);
enum err flood_take_locate(struct supernode *supernode, struct link *link, struct slice payload);
enum err flood_take_hits(struct supernode *supernode, struct link *link, struct slice payload);
enum err flood_take_end(struct supernode *supernode, struct link *link, struct slice payload);

/* A leaf or mesh link is gone: nobody waits for it, and it waits for nothing. */
void flood_link_closed(struct supernode *supernode, const struct link *link);

/* TIMER_WAVE: answer a copy without the children that are silent. */
void flood_wave_timer(struct supernode *supernode, struct wave *wave);

/* TIMER_QUERIES: forget ids that are older than QUERY_ID_KEEP_MS. */
void flood_expire(struct supernode *supernode);

#endif
