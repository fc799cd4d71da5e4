/* decide.h - from evidence to decisions: ranks what was measured, looks at the gates, lets the
 * network's policy decide about everybody. Everybody with the same evidence decides the same. Pure,
 * in slices. */
#ifndef TRUNKLINE_COMMON_DECIDE_H
#define TRUNKLINE_COMMON_DECIDE_H

#include "common/policy.h"
#include "common/rank.h"
#include "common/trust.h"

/* What was decided about one node, and why. */
struct decide_row {
    struct node_id id;
    uint8_t gate; /* DECISION_GATE_* that hold */
    bool is_member;
    uint8_t verdict; /* enum policy_verdict */
    const char *reason;
    uint64_t score;
    uint64_t draw;
    uint64_t threshold;
    uint64_t rate; /* bytes a second */
    uint32_t witnessed_s;
};

/* The rank of one epoch's rows. */
struct decide_rank {
    uint32_t epoch; /* 0 = none */
    struct hash checkpoint;
    uint64_t evidence; /* a digest of what it was built from */
    struct rank *rank;
    uint32_t members; /* of the checkpoint, whose rows are in it */
    bool is_whole;    /* all rows are: it is being ranked */
    bool is_done;
};

struct decide_work;

struct decide {
    const struct network *network;
    const struct crypto *crypto;
    const struct policy *policy; /* NULL = supernodes are not elected */
    uint64_t seed;
    struct decide_rank ranks[SEATS_HISTORY]; /* by epoch modulo their number */
    uint32_t epoch;                          /* of the checkpoint that is decided under ... */
    struct hash under;                       /* ... and its hash */
    uint32_t members;
    uint32_t wanted;
    struct decide_row *rows; /* by id; those of the last decision */
    uint32_t count;
    struct decide_work *work; /* a decision that is under way, or NULL */
    uint32_t spent;           /* of its budget by the last step, and what went beyond it */
};

void decide_init(struct decide *decide, const struct network *network, const struct crypto *crypto,
                 uint64_t seed);
void decide_free(struct decide *decide);

/* Begin to decide under a checkpoint whose members are known. */
void decide_begin(struct decide *decide, const struct trust *trust,
                  const struct trust_checkpoint *checkpoint);

/* False when another anchor's checkpoint has taken the place of the one decided under. */
bool decide_holds(const struct decide *decide, const struct trust *trust);

/* Work through about `budget` edges (at most DECIDE_BUDGET_PAST more); true when rows, members and
 * wanted are set, or when that is for nothing: see decide_holds. */
#define DECIDE_BUDGET_PAST 1000
bool decide_step(struct decide *decide, const struct trust *trust, uint32_t budget);

/* The row of a node, or NULL. */
const struct decide_row *decide_find(const struct decide *decide, const struct node_id *id);

#endif
