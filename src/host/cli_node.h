/* cli_node.h - `run`: from settings to a running node with its control socket. */
#ifndef TRUNKLINE_HOST_CLI_NODE_H
#define TRUNKLINE_HOST_CLI_NODE_H

#include "src/host/cli.h"
#include "src/host/config.h"
#include "src/host/shares.h"

/* A node about to run. The main file fills in what only it knows between the two calls. */
struct cli_node {
    struct cli *cli;
    bool is_peer; /* shares folders and downloads; set by the caller */
    uint16_t default_port;
    struct network_file network;
    struct introducer introducers[INTRODUCERS_MAX]; /* the options', then the network's */
    uint32_t introducer_count;
    struct shares remembered; /* in the state folder */
    struct shares shared;     /* now: those, the options' and the configuration's */
    char downloads[PATH_MAX];
    char network_path[PATH_MAX];
    char child_listen[ADDRESS_TEXT_BYTES];
    char child_advertise[ADDRESS_TEXT_BYTES];
    char child_log[PATH_MAX];
    struct rateplan limits;
    struct host_node_config config; /* make and role_config are the caller's */
    struct host *host;
    struct host_node *node;
};

/* Read network, introducers and shares; make the folders. */
MUST_CHECK enum err cli_node_prepare(struct cli_node *node, struct cli *cli,
                                     struct host_error *error);

/* Run until it is stopped; print one line when ready. Return the exit code. Frees the node's
 * parts, also those of prepare. */
int cli_node_run(struct cli_node *node);

void cli_node_free(struct cli_node *node);

#endif
