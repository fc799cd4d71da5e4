/* cli_targets.h - the words that name results and downloads: numbers, ranges, links, ids, `all`. */
#ifndef TRUNKLINE_HOST_CLI_TARGETS_H
#define TRUNKLINE_HOST_CLI_TARGETS_H

#include "src/host/cli.h"

/* What is done with every word: a number as text under `key`, a link as `content`; where downloads
 * are meant also `prefix` and `all`. */
typedef enum err cli_target_fn(void *context, const struct command_arg *arg,
                               struct host_error *error);
struct cli_targets {
    const char *key;
    bool are_downloads;
    cli_target_fn *fn;
    void *context;
};

/* Do it with all that one word names. ERR_CONFIG when it names nothing. */
MUST_CHECK enum err cli_target(const struct cli_targets *targets, const char *word,
                               struct host_error *error);

/* `7` or `3-9`; false for anything else. */
bool cli_range(const char *text, uint64_t *first, uint64_t *last);

/* Why nothing moves in a download that was reported (`to` may hold it), or NULL when it does. */
#define CLI_NOTE_BYTES 96
const char *cli_note_of(char to[CLI_NOTE_BYTES], const json_t *object);

#endif
