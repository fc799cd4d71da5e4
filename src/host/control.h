/* control.h - takes commands over HTTP on the UNIX socket of a state folder.
 *
 *     POST /v1/COMMAND      {"argument": value, ...}
 *     200, one JSON object per line as the answer comes in; the last is {"kind":"done"} or
 *     {"kind":"error","error":NAME,"text":WHAT_AND_REMEDY}
 *
 * Refused requests (400, 403, 404, 413, 501, 503) carry the same error line. One request per
 * connection. `stop` is answered with {"kind":"stopping"} and the end of the connection when the
 * program ends. Only the same user and root may ask. */
#ifndef TRUNKLINE_HOST_CONTROL_H
#define TRUNKLINE_HOST_CONTROL_H

#include "src/host/control_json.h"
#include "src/host/host.h"

#define CONTROL_REQUESTS_MAX 64          /* open at once: each holds a buffer */
#define CONTROL_OUTPUT_MAX (1024 * 1024) /* bytes queued for a slow client: then it is cut off */
#define CONTROL_READ_TIMEOUT_S 10        /* for a whole request to arrive */
#define CONTROL_WRITE_TIMEOUT_S 60       /* a client that takes nothing for so long is cut off */
#define CONTROL_HEADERS_MAX 8192         /* bytes */

struct control;

/* Who answers. `local` comes first: it returns true when the command is its own, with *err and
 * lines (control_json_line) or a text in *error; the control adds the last line. Everything else
 * goes to `command`, as host_command. */
struct control_ops {
    uint64_t (*command)(void *context, const struct control_request *request,
                        host_report_fn *report, void *report_context);
    void (*gone)(void *context, uint64_t id);
    bool (*local)(void *context, const struct control_request *request, struct buf *lines,
                  struct host_error *error); /* error->err stays OK when all is well */
    void (*stop)(void *context);
};

/* Start to listen. Everything is borrowed until control_free. NULL with *error set. */
struct control *control_new(struct event_base *base, const char *state_dir,
                            const struct control_ops *ops, void *context, struct host_error *error);

/* Cut everybody off and remove the socket. */
void control_free(struct control *control);

/* Requests being answered now. */
uint32_t control_open_requests(const struct control *control);

#endif
