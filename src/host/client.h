/* client.h - sends one command to a running program and reads its answer line by line. */
#ifndef TRUNKLINE_HOST_CLIENT_H
#define TRUNKLINE_HOST_CLIENT_H

#include <jansson.h>
#include <stdbool.h>

#include "common/node.h"
#include "src/host/host.h"

/* Gets every line but the last one ("done" or "error") as an object, and as it came for --json.
 * Return false to stop listening. */
typedef bool client_line_fn(void *context, const json_t *object, const char *text);

struct client_call {
    const char *program; /* "peer" or "supernode", for texts */
    const char *state_dir;
    const char *command;
    const struct command_arg *args;
    uint32_t count;
    client_line_fn *line;
    void *context;
    /* Asked a few times a second (may be NULL): true breaks off, as after Ctrl-C. */
    bool (*interrupted)(void *context);
};

/* Return OK after "done" or when `line` stopped it; ERR_NOT_FOUND when nothing runs there; the
 * command's own error; ERR_SHUTDOWN when interrupted; ERR_CLOSED when the answer ends too early. */
MUST_CHECK enum err client_run(const struct client_call *call, struct host_error *error);

/* Stop the program behind a state folder and wait for its end, at most `wait_s` seconds. */
MUST_CHECK enum err client_stop(const char *program, const char *state_dir, uint32_t wait_s,
                                struct host_error *error);

/* Text and number of a field; "" and 0 when it is missing or of another type. */
const char *client_text(const json_t *object, const char *key);
uint64_t client_number(const json_t *object, const char *key);

#endif
