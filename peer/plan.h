/* plan.h - what one parent is to be sent of the list, message by message. */
#ifndef TRUNKLINE_PEER_PLAN_H
#define TRUNKLINE_PEER_PLAN_H

#include "peer/share.h"

/* Borrows the files of the share table: free it before that changes. */
struct plan {
    const struct shared_file **files; /* to be added, in the order of REG_ADD */
    uint64_t *gone;                   /* prefixes of records to be removed, rising */
    uint32_t file_count;
    uint32_t gone_count;
    uint32_t files_sent;
    uint32_t gone_sent;
};

/* The whole list, or what makes it out of list `base`. Free with plan_free. */
struct plan *plan_all(const struct share *share);
struct plan *plan_changes(const struct share *share, uint64_t base);
void plan_free(struct plan *plan);

/* Append the payload of the next REG_REMOVE or REG_ADD and set *type; false when all were. */
bool plan_next(struct plan *plan, uint8_t *type, struct buf *payload);

#endif
