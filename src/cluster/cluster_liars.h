/* cluster_liars.h - a cluster's liars: candidates of one process behind one line, that claim what
 * they have not (`lab fleet --line`), and the seats that they won. */
#ifndef TRUNKLINE_CLUSTER_CLUSTER_LIARS_H
#define TRUNKLINE_CLUSTER_CLUSTER_LIARS_H

#include "src/cluster/cluster.h"

#define LIARS_RATIO_MAX 1e9

/* Start them when it is time, and read what they have told of elections. */
void cluster_liars_step(struct cluster *cluster);

/* Their mean share of the seats that are elected, and of the bandwidth that honest supernodes
 * measured, over all epochs that count; the first as a multiple of the second, LIARS_RATIO_MAX
 * when nothing was measured of them. */
double liars_seats(const struct liars *liars);
double liars_bandwidth(const struct liars *liars);
double liars_ratio(const struct liars *liars);

/* Stop them; return 1 when they did not end as they should. */
uint32_t cluster_liars_stop(struct cluster *cluster);

#endif
