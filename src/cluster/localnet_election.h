/* localnet_election.h - a local network whose supernodes are elected. */
#ifndef TRUNKLINE_CLUSTER_LOCALNET_ELECTION_H
#define TRUNKLINE_CLUSTER_LOCALNET_ELECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

struct localnet_election {
    const char *policy; /* borrowed; NULL = nobody is elected */
    uint64_t epoch_s;
    uint64_t dwell_s;
    uint64_t measure;
    uint64_t minimum;
    uint32_t consenting; /* peers, the first ones */
    uint32_t leaves;     /* of an elected supernode; 0 = its default */
};

/* Write the rules into the network's file, which `supernode init` made. */
MUST_CHECK enum err localnet_election_rules(const struct localnet_election *election,
                                            const char *path);
/* What the supernode of a peer will read when it is started. */
MUST_CHECK enum err localnet_election_prepare(const struct localnet_election *election,
                                              const char *dir);
/* True while the supernode beside the peer with this state folder takes commands. */
bool localnet_election_serves(const char *dir);

#endif
