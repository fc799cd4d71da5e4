/* rank.h - how much of the seeds' trust each node holds: personalised PageRank over measured rows.
 *
 * mass = a * seeds + (1 - a) * what the rows of others pass on, as EigenTrust (Kamvar, Schlosser
 * and Garcia-Molina, WWW 2003) with the seeds as its pre-trusted peers. A row passes on at most a
 * part of itself to one subject; the rest of it, and all of a node without a row, goes back to the
 * seeds. Therefore a set S of identities holds together at most sigma / a + ((1 - a) / a) * Phi,
 * however many it consists of: sigma is its share of the seeds (0 unless an anchor is stolen), Phi
 * what the rows of all others give to it.
 *
 * All in integers, and additions only commute: the same rows give the same bits in any order, by
 * any compiler, and no unit is ever lost. One object is one calculation: nodes, seeds and rows
 * first, then rank_begin, then rank_step until it is done; then the masses stand until rank_free.
 */
#ifndef TRUNKLINE_COMMON_RANK_H
#define TRUNKLINE_COMMON_RANK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/ids.h"

#define RANK_ONE (1ULL << 60) /* the sum of all masses */
#define RANK_NONE UINT32_MAX

struct rank_config {
    uint64_t map_seed;        /* from the node's dice; of no influence on the result */
    uint32_t teleport_milli;  /* a, 1 to 1000 */
    uint32_t row_cap_percent; /* of a row's sum for one subject, 1 to 100 */
    uint32_t nodes_max;
    uint32_t edges_max;
};

/* What the network uses: a = 0.5, 20 % of a row, RANK_NODES_MAX and RANK_EDGES_MAX. */
struct rank_config rank_defaults(uint64_t map_seed);

struct rank;

struct rank *rank_new(const struct rank_config *config);
void rank_free(struct rank *rank);

/* Return the node's index, a new one when it was unknown; RANK_NONE when nodes_max are known. */
uint32_t rank_node(struct rank *rank, const struct node_id *id);

/* Return the index of a node or RANK_NONE. */
uint32_t rank_find(const struct rank *rank, const struct node_id *id);

/* Make a node a seed; twice is once. */
void rank_seed(struct rank *rank, uint32_t node);

/* Set a node's row: `weights[i]` for the node `to[i]`. A subject named twice has the sum, the node
 * itself counts nothing, and a second row of one node replaces its first. ERR_LIMIT, and no row,
 * when edges_max would be passed. */
MUST_CHECK enum err rank_row(struct rank *rank, uint32_t from, const uint32_t *to,
                             const uint16_t *weights, uint32_t count);

/* Begin to calculate; nothing may be added afterwards. */
void rank_begin(struct rank *rank);

/* Work through about `budget` edges; true when the masses have settled: within one sweep less than
 * a billionth of them moved, or so many sweeps were made that none is needed. */
bool rank_step(struct rank *rank, uint32_t budget);

/* Parts of RANK_ONE; all masses together are RANK_ONE, or 0 when there are no seeds. */
uint64_t rank_mass(const struct rank *rank, uint32_t node);

/* What `from` passes on to `to`, in parts of RANK_ONE: a line of the evidence behind a mass. */
uint64_t rank_flow(const struct rank *rank, uint32_t from, uint32_t to);

/* How many nodes there are, and how many sweeps have been made. */
uint32_t rank_count(const struct rank *rank);
uint32_t rank_sweeps(const struct rank *rank);

#endif
