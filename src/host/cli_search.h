/* cli_search.h - `peer search`, `peer get` and `peer downloads`. */
#ifndef TRUNKLINE_HOST_CLI_SEARCH_H
#define TRUNKLINE_HOST_CLI_SEARCH_H

#include "src/host/cli.h"

int cli_search(struct cli *cli);
int cli_get(struct cli *cli);
int cli_downloads(struct cli *cli);

#endif
