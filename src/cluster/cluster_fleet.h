/* cluster_fleet.h - a cluster's fleet: many more peers, all in one process (`lab fleet`).
 *
 * Their registrations and searches count with those of the others. */
#ifndef TRUNKLINE_CLUSTER_CLUSTER_FLEET_H
#define TRUNKLINE_CLUSTER_CLUSTER_FLEET_H

#include "src/cluster/cluster.h"

/* Start it, when the network's description wants one; the supernodes run. */
MUST_CHECK enum err cluster_fleet_start(struct cluster *cluster);

/* Read what it has said. */
void cluster_fleet_step(struct cluster *cluster);

/* Its peers search from now on, or no longer. */
void cluster_fleet_search(struct cluster *cluster, bool is_searching);

/* A row of nodes.csv. */
void cluster_fleet_sample(struct cluster *cluster);

/* Stop it; return 1 when it did not end as it should. */
uint32_t cluster_fleet_stop(struct cluster *cluster);

#endif
