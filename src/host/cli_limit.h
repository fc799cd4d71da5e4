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

/* The row of both programs. */
#define CLI_LIMIT_COMMAND                                                                          \
    {                                                                                              \
        .name = "limit", .words = "[[DAYS] [HH:MM-HH:MM] KIND=RATE...|none]",                      \
        .help = "show or change the limits on traffic",                                            \
        .more =                                                                                    \
            "KIND is up or down (everything that is sent or received), uploads or downloads\n"     \
            "(files), or overlay (all the rest, each way); RATE is bytes per second, such as\n"    \
            "500K or 2M, or none. With days (mon-fri, sat,sun) or hours it holds then, whatever\n" \
            "holds otherwise. `none` lifts all limits. Changes hold until the program ends; "      \
            "those\n"                                                                              \
            "for good stand in the configuration file as `limit = ...` lines.",                    \
        .words_max = OPTION_VALUES_MAX, .run = cli_limit                                           \
    }

#endif
