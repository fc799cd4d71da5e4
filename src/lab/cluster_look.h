/* cluster_look.h - `lab cluster status` and `top`: what every node of a running cluster does. */
#ifndef TRUNKLINE_LAB_CLUSTER_LOOK_H
#define TRUNKLINE_LAB_CLUSTER_LOOK_H

#include <jansson.h>
#include <stdbool.h>

/* Print a table of the nodes in the description, once or, when `live`, every second until the
 * cluster ends or Ctrl-C. Return the exit status. */
int look_at_cluster(const char *folder, const json_t *description, bool json, bool live);

#endif
