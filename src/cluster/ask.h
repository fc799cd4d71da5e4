/* ask.h - asks many running nodes at once over their control sockets.
 *
 * A program asks `supernode status` of one node; a harness asks two hundred nodes every second,
 * and has downloads running at the same time. Nothing here waits but asker_step. */
#ifndef TRUNKLINE_CLUSTER_ASK_H
#define TRUNKLINE_CLUSTER_ASK_H

#include <jansson.h>
#include <stdint.h>

#include "common/err.h"

#define ASK_ANSWER_BYTES_MAX (8 * 1024 * 1024) /* of one answer */

struct asker;

/* Called once per question, from asker_step. `answer` is an array of the objects that came before
 * the end, borrowed, never NULL. OK, the node's own error, ERR_CLOSED when it cannot be reached or
 * went away, ERR_TIMEOUT, ERR_FORMAT or ERR_LIMIT when the answer is none. */
typedef void asker_fn(void *context, enum err err, const json_t *answer);

struct asker *asker_new(void);

/* All open questions end with ERR_SHUTDOWN; */
void asker_cancel(struct asker *asker);
/* ... and that was the last of it. */
void asker_free(struct asker *asker);

struct ask {
    const char *state_dir; /* of the node */
    const char *command;
    const json_t *args; /* an object of strings, or NULL */
    int timeout_ms;
};

/* Send a command; all of `ask` is borrowed. */
void asker_start(struct asker *asker, const struct ask *ask, asker_fn *done, void *context);

uint32_t asker_open(const struct asker *asker);

/* Let the questions go on, waiting at most so long for the first of them. */
void asker_step(struct asker *asker, int wait_ms);

#endif
