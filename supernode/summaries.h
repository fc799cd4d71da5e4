/* summaries.h - tells all neighbours which words we have, and keeps what they tell. */
#ifndef TRUNKLINE_SUPERNODE_SUMMARIES_H
#define TRUNKLINE_SUPERNODE_SUMMARIES_H

#include "common/links.h"
#include "supernode/summary.h"

struct supernode;
struct neighbour;

struct summaries {
    struct summary *own;
    struct summary *next; /* a new one that is being built, or NULL */
    uint32_t cursor;      /* of index_word_next */
    uint32_t *fresh;      /* bits of `own` that the neighbours have not been told */
    uint32_t fresh_count;
    uint32_t fresh_cap;
    uint32_t degree;      /* that the neighbours were told last */
    uint32_t leaves;      /* the same */
    struct timer timer;   /* TIMER_SUMMARY: something is to be told or built */
    struct timer rebuild; /* TIMER_REBUILD */
    size_t bytes;         /* of the neighbours' filters */
};

/* Words of a query, as summaries know them. */
struct terms {
    uint32_t count;
    uint64_t hashes[QUERY_TERMS_MAX];
};

void summaries_init(struct supernode *supernode);
void summaries_free(struct supernode *supernode);

/* Timers. */
void summaries_tell(struct supernode *supernode);
void summaries_rebuild(struct supernode *supernode);

/* Tell the number of leaves when it is another than was told last. */
void summaries_recount(struct supernode *supernode);

/* A mesh link opened, or is gone. */
void summaries_opened(struct supernode *supernode, struct neighbour *neighbour);
void summaries_closed(struct supernode *supernode, struct neighbour *neighbour);

enum err summaries_take(struct supernode *supernode, struct link *link, struct slice payload);

/* What a neighbour's summary says of a query. */
enum summary_verdict {
    SUMMARY_MAY_MATCH, /* or it has not told yet, or we had no room for it */
    SUMMARY_CANNOT_MATCH,
    SUMMARY_UNTRUSTED /* poisoned or never told: it gets nothing, and counts as one that refused */
};
enum summary_verdict summaries_ask(const struct supernode *supernode,
                                   const struct neighbour *neighbour, const struct terms *terms);

#endif
