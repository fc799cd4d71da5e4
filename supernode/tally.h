/* tally.h - all records that there are, as they are told when an epoch begins: put together once
 * for all neighbours, and read list by list, by each at its own pace. Pure. */
#ifndef TRUNKLINE_SUPERNODE_TALLY_H
#define TRUNKLINE_SUPERNODE_TALLY_H

#include "common/trust.h"

struct tally {
    uint32_t readers;
    size_t in_order;     /* bytes of `prefixes` that have been cut into lists */
    struct buf prefixes; /* u64 each, in the order of trust_told; within a list they rise */
};

/* Put together what there is, for no readers yet. */
struct tally *tally_new(const struct trust *trust);
/* One reader less; true when it was the last, and the tally is gone. */
bool tally_leave(struct tally *tally);
/* The list at `*at` bytes (0 for a new reader), at most TRUST_LIST_MAX prefixes; move on to the
 * next. Empty at the end. Borrowed from the tally. */
struct slice tally_next(struct tally *tally, size_t *at);

#endif
