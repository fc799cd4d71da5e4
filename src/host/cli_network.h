/* cli_network.h - `supernode init`, `certify` and `id`: making a network and its members. */
#ifndef TRUNKLINE_HOST_CLI_NETWORK_H
#define TRUNKLINE_HOST_CLI_NETWORK_H

#include <limits.h>

#include "src/host/cli.h"

/* Where the network's file is: --network, or in the state folder. */
MUST_CHECK enum err cli_network_path(const struct cli *cli, char path[PATH_MAX],
                                     struct host_error *error);

int cli_init(struct cli *cli);
int cli_certify(struct cli *cli);
int cli_id(struct cli *cli);

#endif
