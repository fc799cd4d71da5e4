/* cluster_links.h - what the links of a cluster are like: told to the proxy between its nodes, or
 * to their network namespaces, or to both. */
#ifndef TRUNKLINE_CLUSTER_CLUSTER_LINKS_H
#define TRUNKLINE_CLUSTER_CLUSTER_LINKS_H

#include "src/cluster/cluster.h"

/* Make the namespaces, when the network's description wants them; before the nodes are named.
 * ERR_PERMISSION or ERR_NOT_FOUND when they cannot be had here, ERR_CONFIG when the description
 * wants what only they can do. */
MUST_CHECK enum err cluster_links_prepare(struct cluster *cluster);

/* Start the proxy and set what all links are like; before any node starts. */
MUST_CHECK enum err cluster_links_start(struct cluster *cluster);

/* Why an event cannot be done to these links; NULL when it can. */
const char *cluster_links_refuse(const struct cluster *cluster, const struct spec_event *event);

/* The links from and to this node are like that, ... */
void cluster_links_set(struct cluster *cluster, const struct localnet_node *node,
                       const struct spec_link *link);
/* ... nothing passes between this node and those of other groups, ... */
void cluster_links_group(struct cluster *cluster, const struct localnet_node *node, uint32_t group);
/* ... from now on. */
void cluster_links_apply(struct cluster *cluster);

#endif
