/* cli_share.h - shared folders: collected at the start, changed while the peer runs. */
#ifndef TRUNKLINE_HOST_CLI_SHARE_H
#define TRUNKLINE_HOST_CLI_SHARE_H

#include "src/host/cli_node.h"
#include "src/host/control_json.h"

/* Fill node->remembered and node->shared. A remembered folder that is missing now is left out with
 * a warning; one that was named must be there. */
MUST_CHECK enum err cli_share_collect(struct cli_node *node, struct host_error *error);

/* In the running peer: answer `folders`, `share-add` and `share-remove`; false for others. */
bool cli_share_answer(struct cli_node *node, const struct control_request *request,
                      struct buf *lines, struct host_error *error);

/* `peer share [list|add FOLDER|remove FOLDER]`. */
int cli_share(struct cli *cli);

#endif
