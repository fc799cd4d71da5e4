/* cli_limit.h - limits on traffic: collected at the start, shown and changed while a node runs. */
#ifndef TRUNKLINE_HOST_CLI_LIMIT_H
#define TRUNKLINE_HOST_CLI_LIMIT_H

#include "src/host/cli_node.h"
#include "src/host/control_json.h"

/* Fill node->limits from the settings. */
MUST_CHECK enum err cli_limit_collect(struct cli_node *node, struct host_error *error);

/* In the running program: answer `limit`; false for others. */
bool cli_limit_answer(struct cli_node *node, const struct control_request *request,
                      struct buf *lines, struct host_error *error);

/* `limit [ROW|none]` of both programs. */
int cli_limit(struct cli *cli);

#endif
