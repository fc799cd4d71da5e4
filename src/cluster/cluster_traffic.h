/* cluster_traffic.h - what a cluster's nodes have sent, by type of message. */
#ifndef TRUNKLINE_CLUSTER_CLUSTER_TRAFFIC_H
#define TRUNKLINE_CLUSTER_CLUSTER_TRAFFIC_H

#include "src/cluster/cluster.h"

/* Add what is new in a node's answer to `status`. */
void traffic_take(struct cluster *cluster, struct member *member, const json_t *answer);

/* It starts anew, and counts from 0. */
void traffic_forget(struct member *member);

/* traffic.csv: bytes sent so far, a column for each type of message. */
void traffic_header(FILE *file);
void traffic_row(struct cluster *cluster, FILE *file);

/* The lines of gnuplot that draw it: the types of which there was most. */
void traffic_plot(struct cluster *cluster, FILE *script);

/* Bytes of blocks sent beyond those of finished downloads, as a share of these; 0 without any. */
double traffic_overhead(const struct cluster *cluster);

/* {"QUERY":{"messages":12,"bytes":900},...} */
json_t *traffic_json(const struct cluster *cluster);

#endif
