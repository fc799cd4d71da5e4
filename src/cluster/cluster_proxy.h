/* cluster_proxy.h - the links of a cluster go through a proxy, so that they can be made worse. */
#ifndef TRUNKLINE_CLUSTER_CLUSTER_PROXY_H
#define TRUNKLINE_CLUSTER_CLUSTER_PROXY_H

#include "src/cluster/cluster.h"

/* Start the proxy and give every node an address behind it; before any node starts. */
MUST_CHECK enum err cluster_proxy_start(struct cluster *cluster);

/* From now on the links from and to this node are like that. */
void cluster_proxy_set(struct cluster *cluster, const struct localnet_node *node,
                       const struct spec_link *link);

/* From now on nothing passes between this node and those of other groups. */
void cluster_proxy_group(struct cluster *cluster, const struct localnet_node *node, uint32_t group);

#endif
