/* cluster_load.h - searches and downloads in a running cluster, each checked against what exists.
 */
#ifndef TRUNKLINE_CLUSTER_CLUSTER_LOAD_H
#define TRUNKLINE_CLUSTER_CLUSTER_LOAD_H

#include "src/cluster/cluster.h"

/* Begin what is due of both. */
void load_tick(struct cluster *cluster);

/* Search for a sample of everything that a running peer has; the check's outcome is set when the
 * last answer is in. */
void load_sweep(struct cluster *cluster, uint32_t check);

/* Look for downloads that went on after their peer was killed. */
void load_look_at_cut(struct cluster *cluster);

/* A file that somebody whom this peer can reach has and it has not; NULL when there is no luck. */
struct corpus_file *load_file_for(struct cluster *cluster, const struct member *member);

/* Have a peer search for a file. */
void load_ask(struct cluster *cluster, const struct member *member, const struct corpus_file *file,
              asker_fn *done, void *context);

/* The hit of an answer that is this file; NULL without one. */
const json_t *load_hit(const json_t *answer, const struct corpus_file *file);

/* True while a peer fetches something. */
bool load_is_fetching(const struct cluster *cluster, const struct member *member);

uint32_t load_open_downloads(const struct cluster *cluster);

/* What has not ended by now has failed. */
void load_close(struct cluster *cluster);

#endif
