/* control_json.h - commands and their answers as JSON: one object asks, one object a line answers.
 */
#ifndef TRUNKLINE_HOST_CONTROL_JSON_H
#define TRUNKLINE_HOST_CONTROL_JSON_H

#include "common/buf.h"
#include "common/node.h"

#define COMMAND_NAME_MAX 32

/* A command with the arguments it came with. */
struct control_request {
    char name[COMMAND_NAME_MAX + 1];
    uint32_t count;
    struct command_arg args[COMMAND_ARGS_MAX];
    void *json; /* owns keys */
    char *texts[COMMAND_ARGS_MAX];
};

/* Read `/v1/NAME`: lower-case letters and dashes. ERR_NOT_FOUND for another path. */
MUST_CHECK enum err control_json_name(const char *path, struct control_request *request);

/* Read the body: nothing, or one object of texts, numbers and flags (true is "1", false "0").
 * Return ERR_FORMAT, or ERR_LIMIT for more than COMMAND_ARGS_MAX; *why then is a constant text. */
MUST_CHECK enum err control_json_arguments(struct slice body, struct control_request *request,
                                           const char **why);

/* The value of an argument or NULL. */
const char *control_json_argument(const struct control_request *request, const char *key);

void control_json_free(struct control_request *request);

/* Append one line for the fields of a report. Numbers above 2^63 - 1 stand for "unknown" and
 * become null; texts that are no UTF-8 become "?". */
void control_json_report(struct buf *out, struct slice fields);

/* Append {"kind":KIND} or {"kind":KIND,"KEY":VALUE} and a line end; key NULL = none. */
void control_json_line(struct buf *out, const char *kind, const char *key, const char *value);

/* Append {"kind":"error","error":NAME,"text":TEXT} and a line end. */
void control_json_error(struct buf *out, enum err err, const char *text);

#endif
