/* routed.h - which files and holders a query has brought so far, so that rare ones are not drowned
 * by the thousandth copy of a popular one. */
#ifndef TRUNKLINE_SUPERNODE_ROUTED_H
#define TRUNKLINE_SUPERNODE_ROUTED_H

#include "common/wire.h"
#include "supernode/index.h"

struct routed_slot {
    uint64_t number; /* of a content, or of a LOCATE's holder */
    uint32_t times;  /* 0 = a free slot */
};

/* All zero at first, without memory. */
struct routed {
    struct routed_slot *slots;
    uint16_t cap;      /* a power of two */
    uint16_t distinct; /* contents, or holders */
    uint16_t records;  /* that were worth their way, ours included */
};

/* Note our own answer. */
void routed_own(struct routed *routed, const struct index_answer *answer, bool is_locate);

enum routed_verdict {
    ROUTED_PASS,
    ROUTED_KNOWN, /* all in it has been passed ROUTED_SAME_MAX times */
    ROUTED_FULL   /* QUERY_ROUTED_MAX is reached */
};
/* Judge a message of a neighbour, and note it when it is passed. */
enum routed_verdict routed_take(struct routed *routed, const struct hits *hits, bool is_locate);

void routed_free(struct routed *routed);

#endif
