/* supernode.h - indexes its leaves' file lists and floods queries among its neighbours. Pure. */
#ifndef TRUNKLINE_SUPERNODE_SUPERNODE_H
#define TRUNKLINE_SUPERNODE_SUPERNODE_H

#include "common/hostcache.h"
#include "common/node.h"

struct supernode_config {
    struct introducer introducers[INTRODUCERS_MAX];
    uint32_t introducer_count;
    uint32_t leaves_max;               /* 0 = LEAVES_MAX */
    uint32_t mesh_dial_max;            /* 0 = by network size (limits.h); experiments fix it */
    bool plain_flood;                  /* no ladder, no summaries; experiments */
    bool fixed_mesh;                   /* learn no supernode but the introducers; experiments */
    uint64_t leaf_queries_milli_per_s; /* 0 = LEAF_QUERIES_PER_S */
    uint64_t leaf_queries_burst;       /* 0 = LEAF_QUERIES_BURST */
    uint64_t index_bytes_max;          /* 0 = INDEX_BYTES_MAX */
    uint32_t mesh_queries_per_s;       /* of one neighbour; 0 = MESH_QUERIES_PER_S */
};

/* Return a supernode; config is copied, env borrowed for the node's life. Free with node_free.
 *
 * Commands: status -> "status" {id, certified, leaves, files, index_bytes, neighbours, queries,
 * ...}, one "limit" {name, now, max, refused} per limit, one "leaf" {id, address, files, reachable}
 * per leaf, one "neighbour" {id, address, dialled, round_trip_us} per mesh link and one "traffic"
 * {message, sent, sent_bytes, received, received_bytes} per type of message, then done. */
struct node supernode_new(const struct node_env *env, const struct supernode_config *config);

#endif
