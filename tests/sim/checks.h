/* checks.h - safety: what must hold at every moment, watched on the wire. */
#ifndef TRUNKLINE_TESTS_SIM_CHECKS_H
#define TRUNKLINE_TESTS_SIM_CHECKS_H

#include "src/sim/sim.h"

struct checks;

/* Machines below `supernodes` are supernodes. */
struct checks *checks_new(struct sim *sim, uint32_t supernodes);
void checks_free(struct checks *checks);

/* Every message as it is handed to a link: it decodes, keeps to its caps, and answers what was
 * asked, each copy of a query at most once. A breach is a sim_fail. */
void checks_message(struct checks *checks, const struct sim_message *message);

/* A link is gone: what was open on it will not be answered. */
void checks_link_gone(struct checks *checks, uint32_t link);

/* From now on nobody crashes: no supernode may be counted twice in an END. */
void checks_strict(struct checks *checks);

/* Machines from this one on register what they do not have. Nobody else may be sent off for it. */
void checks_liars(struct checks *checks, uint32_t first);

/* When all is quiet: every copy of a query on a link that still lives has been answered. */
void checks_quiet(struct checks *checks);

/* Counted on the way, for the summary. */
struct checks_counts {
    uint64_t queries;
    uint64_t answers;
    uint64_t hits;
    uint64_t blocks;
    uint64_t pushes;
    uint64_t audits;      /* blocks that supernodes asked for */
    uint64_t losses;      /* honest leaves told that they lost a record */
    uint64_t lies_found;  /* liars told so */
    uint64_t liars_found; /* liars sent off */
};
struct checks_counts checks_counts(const struct checks *checks);

#endif
