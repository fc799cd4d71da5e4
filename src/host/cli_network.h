/* cli_network.h - `supernode init`, `certify` and `id`: making a network and its members. */
#ifndef TRUNKLINE_HOST_CLI_NETWORK_H
#define TRUNKLINE_HOST_CLI_NETWORK_H

#include "src/host/cli.h"

int cli_init(struct cli *cli);
int cli_certify(struct cli *cli);
int cli_id(struct cli *cli);

#endif
