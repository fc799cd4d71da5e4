/* client.c - sends one command to a running program and reads its answer line by line. */
#include "src/host/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/check.h"
#include "common/mem.h"
#include "src/host/control_socket.h"
#include "src/host/failure.h"

#define LINE_BYTES_MAX (1024 * 1024)
#define CONNECT_TIMEOUT_S 10L

struct answer {
    const struct client_call *call;
    struct host_error *error;
    struct buf line;
    enum err err;     /* of the last line, or ours */
    bool complete;    /* the last line came */
    bool given_up;    /* `line` wants no more */
    bool interrupted; /* Ctrl-C */
};

/* ---- Reading ---- */

const char *client_text(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

uint64_t client_number(const json_t *object, const char *key) {
    json_int_t number = json_integer_value(json_object_get(object, key));
    return number < 0 ? 0 : (uint64_t)number;
}

static enum err err_of_name(const char *name) {
    for (int i = 1; i < ERR_COUNT; i++) {
        if (strcmp(err_name((enum err)i), name) == 0) {
            return (enum err)i;
        }
    }
    return ERR_FORMAT;
}

/* One whole line, NUL-terminated. False when nothing more is wanted. */
static bool take_line(struct answer *answer, const char *text) {
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const char *kind = client_text(object, "kind");
    bool go_on = true;
    if (!json_is_object(object)) {
        answer->err = fail(answer->error, ERR_FORMAT,
                           "the program answered something that is no JSON; are both of the same "
                           "version?");
        go_on = false;
    } else if (strcmp(kind, "done") == 0) {
        answer->complete = true;
    } else if (strcmp(kind, "error") == 0) {
        answer->complete = true;
        answer->err = fail(answer->error, err_of_name(client_text(object, "error")), "%s",
                           client_text(object, "text"));
    } else if (!answer->call->line(answer->call->context, object, text)) {
        answer->given_up = true;
        go_on = false;
    }
    json_decref(object);
    return go_on;
}

/* Hand on the whole lines that are there. */
static bool take_lines(struct answer *answer) {
    size_t at = 0;
    bool go_on = true;
    while (go_on && !answer->complete) {
        uint8_t *from = answer->line.data + at;
        uint8_t *end = memchr(from, '\n', answer->line.len - at);
        if (end == NULL) {
            break;
        }
        *end = '\0';
        at = (size_t)(end - answer->line.data) + 1;
        go_on = take_line(answer, (const char *)from);
    }
    buf_consume(&answer->line, at);
    return go_on;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context) {
    struct answer *answer = context;
    size_t len = size * count;
    buf_append(&answer->line, bytes, len);
    if (answer->line.len == 0) {
        return len;
    }
    if (!take_lines(answer)) {
        return CURL_WRITEFUNC_ERROR;
    }
    if (answer->line.len > LINE_BYTES_MAX) {
        answer->err = fail(answer->error, ERR_LIMIT, "the program answered an endless line");
        return CURL_WRITEFUNC_ERROR;
    }
    return len;
}

static int on_progress(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    struct answer *answer = context;
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    if (answer->call->interrupted != NULL && answer->call->interrupted(answer->call->context)) {
        answer->interrupted = true;
        return 1;
    }
    return 0;
}

/* ---- Asking ---- */

static enum err nothing_runs(const struct client_call *call, struct host_error *error) {
    return fail(error, ERR_NOT_FOUND, "no %s is running in %.300s; start one with `%s run`",
                call->program, call->state_dir, call->program);
}

static char *body_of(const struct client_call *call) {
    json_t *object = json_object();
    CHECK(object != NULL);
    for (uint32_t i = 0; i < call->count; i++) {
        json_t *value = json_string(call->args[i].value);
        if (value == NULL) { /* no UTF-8 */
            json_decref(object);
            return NULL;
        }
        json_object_set_new(object, call->args[i].key, value);
    }
    char *text = json_dumps(object, JSON_COMPACT);
    CHECK(text != NULL);
    json_decref(object);
    return text;
}

static enum err outcome(struct answer *answer, CURLcode code, CURL *curl) {
    long number = 0;
    if (answer->err != OK || answer->complete || answer->given_up) {
        return answer->err;
    }
    if (answer->interrupted) {
        return fail(answer->error, ERR_SHUTDOWN, "interrupted");
    }
    if (code == CURLE_COULDNT_CONNECT) {
        curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &number);
        bool nobody = number == ENOENT || number == ECONNREFUSED || number == ENOTDIR;
        errno = (int)number;
        return nobody ? nothing_runs(answer->call, answer->error)
                      : fail_errno(answer->error, answer->call->state_dir,
                                   "the control socket cannot be reached");
    }
    return fail(answer->error, ERR_CLOSED, "the program ended before its answer did; see its log");
}

static void prepare(CURL *curl, struct answer *answer, const char *path, const char *body) {
    char url[128];
    snprintf(url, sizeof url, "http://localhost/v1/%s", answer->call->command);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, path);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, answer);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
}

enum err client_run(const struct client_call *call, struct host_error *error) {
    char path[CONTROL_PATH_BYTES];
    int folder_fd = -1;
    char *body = body_of(call);
    if (body == NULL) {
        return fail(error, ERR_FORMAT, "the words are no UTF-8; set the terminal to UTF-8");
    }
    enum err err = access(call->state_dir, F_OK) == 0
                       ? control_socket_path(call->state_dir, path, &folder_fd, error)
                       : nothing_runs(call, error);
    if (err == OK) {
        struct answer answer = {.call = call, .error = error};
        CURL *curl = curl_easy_init();
        CHECK(curl != NULL);
        prepare(curl, &answer, path, body);
        CURLcode code = curl_easy_perform(curl);
        err = outcome(&answer, code, curl);
        curl_easy_cleanup(curl);
        buf_free(&answer.line);
    }
    if (folder_fd >= 0) {
        close(folder_fd);
    }
    free(body);
    return err;
}

/* ---- Stopping ---- */

static bool stop_at_first(void *context, const json_t *object, const char *text) {
    (void)context;
    (void)object;
    (void)text;
    return false;
}

enum err client_stop(const char *program, const char *state_dir, uint32_t wait_s,
                     struct host_error *error) {
    struct client_call call = {
        .program = program, .state_dir = state_dir, .command = "stop", .line = stop_at_first};
    pid_t process = 0;
    uid_t user = 0;
    int fd = control_socket_connect(state_dir, error);
    if (fd < 0) {
        return error->err == ERR_NOT_FOUND ? nothing_runs(&call, error) : error->err;
    }
    /* Taken before the command, so that the number cannot mean another process by then. */
    int watched = control_socket_peer(fd, &process, &user) && process > 0
                      ? (int)syscall(SYS_pidfd_open, process, 0)
                      : -1;
    close(fd);
    enum err err = client_run(&call, error);
    if (watched >= 0) {
        struct pollfd ended = {.fd = watched, .events = POLLIN};
        if (err == OK && poll(&ended, 1, (int)(wait_s * 1000)) == 0) {
            err = fail(error, ERR_TIMEOUT, "it is stopping but still runs after %u s (process %d)",
                       wait_s, (int)process);
        }
        close(watched);
    }
    return err;
}
