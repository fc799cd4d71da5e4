/* cli_verify.h - `supernode verify`: a certificate is checked again, without the network. */
#ifndef TRUNKLINE_HOST_CLI_VERIFY_H
#define TRUNKLINE_HOST_CLI_VERIFY_H

#include "src/host/cli.h"

int cli_verify(struct cli *cli);

#endif
