/* netns.h - a network of its own for every node: namespaces, a bridge between them, and faults of
 * packets.
 *
 * Each node has a network namespace with one interface and the address 10.77.x.y; a further
 * namespace has the bridge that joins them. None has a name: they exist while a descriptor of this
 * process or a node's process holds them, so the kernel removes them whatever ends us, and clusters
 * side by side never meet. Packets are dropped where the bridge forwards them (nftables), as a
 * network does: neither end is told. Rates are those of a node's line (tbf). Only for root. */
#ifndef TRUNKLINE_CLUSTER_NETNS_H
#define TRUNKLINE_CLUSTER_NETNS_H

#include "src/cluster/process.h"
#include "src/cluster/spec.h"

#define NETNS_ADDRESS_BYTES 16
#define NETNS_TROUBLE_BYTES 320

struct netns;

/* Make the namespaces. ERR_PERMISSION or ERR_NOT_FOUND when this user or this machine cannot have
 * them, ERR_IO when the system refuses; `trouble` tells. */
MUST_CHECK enum err netns_new(struct netns **netns, struct owner *owner, uint32_t nodes,
                              char trouble[NETNS_TROUBLE_BYTES]);

/* Let go of them; they are gone when the nodes' processes are. */
void netns_free(struct netns *netns);

/* The descriptor of a node's namespace (process_options), and its address without a port. */
int netns_of(const struct netns *netns, uint32_t node);
void netns_address(uint32_t node, char text[NETNS_ADDRESS_BYTES]);

/* A node has all addresses of a block beside its own, such as "10.77.128.0/17". */
MUST_CHECK enum err netns_take_block(struct netns *netns, uint32_t node, const char *block,
                                     char trouble[NETNS_TROUBLE_BYTES]);

/* What a node sends from this port stays in its namespace, whoever it is for: a proxy in there
 * that dials that port from the addresses of others (IP_TRANSPARENT) gets the answers. */
MUST_CHECK enum err netns_keep_port(struct netns *netns, uint16_t port,
                                    char trouble[NETNS_TROUBLE_BYTES]);

/* Note what all lines are like, or the line of one node: of a link, loss, rate and black_hole are
 * taken. Nothing passes between nodes of different groups; all begin in group 0. */
void netns_set_every(struct netns *netns, const struct spec_link *link);
void netns_set(struct netns *netns, uint32_t node, const struct spec_link *link);
void netns_set_group(struct netns *netns, uint32_t node, uint32_t group);

/* Let it be so, all at once. ERR_IO with the reason. */
MUST_CHECK enum err netns_apply(struct netns *netns, char trouble[NETNS_TROUBLE_BYTES]);

#endif
