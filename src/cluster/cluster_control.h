/* cluster_control.h - how another terminal finds a running cluster and changes it.
 *
 * `cluster.json` in the run's folder tells where its nodes are; `control.sock` takes one line,
 * `fault EVENT` or `stop`, and answers `ok` or `error WHY`. */
#ifndef TRUNKLINE_CLUSTER_CLUSTER_CONTROL_H
#define TRUNKLINE_CLUSTER_CLUSTER_CONTROL_H

#include "src/cluster/cluster.h"

MUST_CHECK enum err cluster_control_open(struct cluster *cluster);
/* Write cluster.json anew. */
void cluster_control_describe(struct cluster *cluster);
void cluster_control_step(struct cluster *cluster);
void cluster_control_close(struct cluster *cluster);

/* For the other terminal: send a line to the cluster whose folder that is. ERR_NOT_FOUND when none
 * runs there, ERR_REFUSED with its reason in `answer`, ERR_IO. */
MUST_CHECK enum err cluster_control_send(const char *folder, const char *line, char *answer,
                                         size_t bytes);

/* True while somebody owns that folder, until his report is written. What a killed one has left
 * there does not count. */
bool cluster_control_runs(const char *folder);

/* What `cluster.json` says; the caller releases it. ERR_NOT_FOUND when no cluster runs there. */
MUST_CHECK enum err cluster_control_read(const char *folder, json_t **description);

#endif
