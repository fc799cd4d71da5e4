/* cli_browse.h - `peer browse`, and `peer get --folder`: what one node shares. */
#ifndef TRUNKLINE_HOST_CLI_BROWSE_H
#define TRUNKLINE_HOST_CLI_BROWSE_H

#include "src/host/cli.h"

int cli_browse(struct cli *cli);

/* Fetch all files of `NODE/FOLDER` in the background, into a folder of its name. */
MUST_CHECK enum err browse_get_folder(struct cli *cli, const char *place, struct host_error *error);

#endif
