/* cluster_sample.h - what every node of a running cluster says of itself, and what the system says
 * of it, second by second. */
#ifndef TRUNKLINE_CLUSTER_CLUSTER_SAMPLE_H
#define TRUNKLINE_CLUSTER_CLUSTER_SAMPLE_H

#include "src/cluster/cluster.h"

/* Ask every running node for its status and read /proc of each. */
void sample_tick(struct cluster *cluster);

/* Read what the system says of a process, and write a row of nodes.csv. */
void sample_process(struct member *member, pid_t pid);
void sample_row(struct cluster *cluster, const char *name, const struct member *member);

/* Files that all supernodes together index, and how many they should. */
uint64_t sample_indexed(const struct cluster *cluster);
uint64_t sample_wanted(const struct cluster *cluster);

/* True when every supernode knows every other one and every peer's files are indexed by all the
 * parents it wants. */
bool sample_is_whole(const struct cluster *cluster);

/* Share of the running peers that are registered; 1 without any. */
/* Descriptors that all processes have open now. */
uint32_t sample_descriptors(const struct cluster *cluster);

double sample_registered(const struct cluster *cluster);
/* Supernodes that run, elected ones included. */
double sample_supernodes(const struct cluster *cluster);

#endif
