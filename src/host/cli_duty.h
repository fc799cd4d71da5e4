/* cli_duty.h - the commands of a peer about supernodes: `peer supernode` and `peer why`. */
#ifndef TRUNKLINE_HOST_CLI_DUTY_H
#define TRUNKLINE_HOST_CLI_DUTY_H

#include "src/host/cli.h"

int cli_duty(struct cli *cli);
int cli_why(struct cli *cli);

#endif
