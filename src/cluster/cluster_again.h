/* cluster_again.h - how long a peer cannot search after its supernode died, hung or fell silent.
 *
 * Every peer that this supernode indexed searches at once, and again until it finds; the time from
 * the event until then counts, also when the peer itself has not noticed yet. */
#ifndef TRUNKLINE_CLUSTER_CLUSTER_AGAIN_H
#define TRUNKLINE_CLUSTER_CLUSTER_AGAIN_H

#include "src/cluster/cluster.h"

/* Note which supernodes a peer has a link to, from the answer to its status question. */
void again_take_links(const struct cluster *cluster, struct member *member, const json_t *answer);

/* True when this supernode indexes a peer that runs. */
bool again_is_parent(const struct cluster *cluster, const struct member *supernode);

/* This event has been applied to these nodes: begin to search where it took a parent away. */
void again_begin(struct cluster *cluster, const struct spec_event *event, struct member *const *hit,
                 uint32_t count);

/* Begin what is due. */
void again_tick(struct cluster *cluster);

/* Whoever has not found anything by now has been without for at least so long. */
void again_close(struct cluster *cluster);

#endif
