/* control.c - takes commands over HTTP on the UNIX socket of a state folder. */
#include "src/host/control.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <string.h>
#include <unistd.h>

#include "common/check.h"
#include "common/mem.h"
#include "src/host/control_socket.h"
#include "src/host/failure.h"

#define ACCEPT_PAUSE_S 5 /* at most, when descriptors run out */

/* One request whose answer is not complete. Once `dead` it only waits for the end of the loop's
 * turn: neither the node's report nor libevent's callback is a place to free it. */
struct open_request {
    struct open_request *next;
    struct control *control;
    struct evhttp_request *http; /* NULL when the connection is gone */
    uint64_t command;            /* 0 = none */
    bool stops;                  /* the program goes on only until this is said */
    bool dead;
};

struct control {
    struct event_base *base;
    struct evhttp *server;
    struct evconnlistener *listener;
    const struct control_ops *ops;
    void *context;
    char *state_dir;
    struct open_request *requests;
    uint32_t count;
    struct event *reap;
    struct event *accept_again;
};

/* ---- Sending ---- */

static struct bufferevent *transport_of(struct evhttp_request *http) {
    return evhttp_connection_get_bufferevent(evhttp_request_get_connection(http));
}

static void set_headers(struct evhttp_request *http) {
    struct evkeyvalq *headers = evhttp_request_get_output_headers(http);
    evhttp_add_header(headers, "Content-Type", "application/x-ndjson");
    evhttp_add_header(headers, "Connection", "close");
}

/* Refuse before any command was begun. */
static void refuse(struct evhttp_request *http, int status, enum err err, const char *text) {
    struct buf line = {0};
    control_json_error(&line, err, text);
    set_headers(http);
    struct evbuffer *body = evbuffer_new();
    CHECK(body != NULL && evbuffer_add(body, line.data, line.len) == 0);
    evhttp_send_reply(http, status, err_text(err), body);
    evbuffer_free(body);
    buf_free(&line);
}

static void send_lines(struct open_request *request, const struct buf *lines) {
    struct evbuffer *chunk = evbuffer_new();
    CHECK(chunk != NULL && evbuffer_add(chunk, lines->data, lines->len) == 0);
    evhttp_send_reply_chunk(request->http, chunk);
    evbuffer_free(chunk);
}

/* ---- The life of a request ---- */

static void bury(struct open_request *request) {
    request->dead = true;
    event_active(request->control->reap, EV_TIMEOUT, 0);
}

/* The whole answer is out, or on its way. */
static void finish(struct open_request *request) {
    struct evhttp_request *http = request->http;
    evhttp_connection_set_closecb(evhttp_request_get_connection(http), NULL, NULL);
    request->http = NULL;
    request->command = 0;
    evhttp_send_reply_end(http);
    bury(request);
}

/* libevent closes the connection: the client left, was too slow, or broke the protocol. */
static void on_close(struct evhttp_connection *connection, void *context) {
    struct open_request *request = context;
    (void)connection;
    /* After an early end libevent leaves the request to us; else it frees it with the connection.
     */
    if (request->http != NULL && evhttp_request_get_connection(request->http) == NULL) {
        evhttp_request_free(request->http);
    }
    request->http = NULL;
    bury(request);
}

static void cut_off(struct open_request *request) {
    struct evhttp_connection *connection = evhttp_request_get_connection(request->http);
    evhttp_connection_set_closecb(connection, NULL, NULL);
    request->http = NULL;
    evhttp_connection_free(connection);
}

/* End of the turn: forget the dead, tell the node about those who left in the middle. */
static void on_reap(evutil_socket_t fd, short what, void *context) {
    struct control *control = context;
    (void)fd;
    (void)what;
    struct open_request **at = &control->requests;
    while (*at != NULL) {
        struct open_request *request = *at;
        if (!request->dead) {
            at = &request->next;
            continue;
        }
        *at = request->next;
        if (request->http != NULL) {
            cut_off(request);
        }
        if (request->command != 0) {
            control->ops->gone(control->context, request->command);
        }
        if (request->stops) {
            control->ops->stop(control->context);
        }
        mem_free(request);
        control->count--;
    }
}

static void on_report(void *context, struct slice fields, bool last, enum err err) {
    struct open_request *request = context;
    struct buf lines = {0};
    (void)err; /* the fields say it */
    if (last) {
        request->command = 0; /* over: there is nobody to tell that we left */
    }
    if (request->dead || request->http == NULL) {
        return;
    }
    control_json_report(&lines, fields);
    send_lines(request, &lines);
    buf_free(&lines);
    if (last) {
        finish(request);
    } else if (evbuffer_get_length(bufferevent_get_output(transport_of(request->http))) >
               CONTROL_OUTPUT_MAX) {
        bury(request);
    }
}

static struct open_request *begin(struct control *control, struct evhttp_request *http) {
    struct open_request *request = mem_new(sizeof *request);
    *request = (struct open_request){.next = control->requests, .control = control, .http = http};
    control->requests = request;
    control->count++;
    evhttp_connection_set_closecb(evhttp_request_get_connection(http), on_close, request);
    set_headers(http);
    evhttp_send_reply_start(http, HTTP_OK, "OK");
    /* An answer may be silent for hours (a queued download), a reader may not. */
    bufferevent_set_timeouts(transport_of(http), NULL,
                             &(struct timeval){.tv_sec = CONTROL_WRITE_TIMEOUT_S});
    return request;
}

/* ---- Commands ---- */

static void answer_here(struct open_request *request, struct buf *lines,
                        const struct host_error *error) {
    if (error->err != OK) {
        control_json_error(lines, error->err, error->text);
    } else {
        control_json_line(lines, "done", NULL, NULL);
    }
    send_lines(request, lines);
    finish(request);
}

/* Whoever asked has read it, or the system will hand it over. */
static void on_stop_said(struct evhttp_connection *connection, void *context) {
    struct open_request *request = context;
    (void)connection;
    request->stops = false;
    request->control->ops->stop(request->control->context);
}

static void begin_stop(struct open_request *request) {
    struct buf line = {0};
    struct evbuffer *chunk = evbuffer_new();
    control_json_line(&line, "stopping", NULL, NULL);
    CHECK(chunk != NULL && evbuffer_add(chunk, line.data, line.len) == 0);
    request->stops = true;
    evhttp_send_reply_chunk_with_cb(request->http, chunk, on_stop_said, request);
    evbuffer_free(chunk);
    buf_free(&line);
}

static void dispatch(struct control *control, struct evhttp_request *http,
                     const struct control_request *asked) {
    struct buf lines = {0};
    struct host_error error = {0};
    struct open_request *request = begin(control, http);
    if (strcmp(asked->name, "stop") == 0) {
        begin_stop(request);
    } else if (control->ops->local(control->context, asked, &lines, &error)) {
        answer_here(request, &lines, &error);
    } else {
        request->command = control->ops->command(control->context, asked, on_report, request);
    }
    buf_free(&lines);
}

static bool may_ask(struct evhttp_request *http) {
    pid_t process = 0;
    uid_t user = 0;
    return control_socket_peer(bufferevent_getfd(transport_of(http)), &process, &user) &&
           (user == geteuid() || user == 0);
}

static void on_request(struct evhttp_request *http, void *context) {
    struct control *control = context;
    struct control_request asked = {0};
    const char *why = "";
    struct evbuffer *input = evhttp_request_get_input_buffer(http);
    struct slice body = {evbuffer_pullup(input, -1), evbuffer_get_length(input)};
    if (!may_ask(http)) {
        refuse(http, 403, ERR_PERMISSION, "only the user who runs this program may command it");
    } else if (evhttp_request_get_command(http) != EVHTTP_REQ_POST) {
        refuse(http, HTTP_BADMETHOD, ERR_UNEXPECTED, "commands are sent by POST");
    } else if (control_json_name(evhttp_request_get_uri(http), &asked) != OK) {
        refuse(http, HTTP_NOTFOUND, ERR_NOT_FOUND, "commands are at /v1/COMMAND");
    } else if (control->count >= CONTROL_REQUESTS_MAX) {
        refuse(http, HTTP_SERVUNAVAIL, ERR_BUSY, "too many commands at once; wait for one to end");
    } else if (control_json_arguments(body, &asked, &why) != OK) {
        refuse(http, HTTP_BADREQUEST, ERR_FORMAT, why);
    } else {
        dispatch(control, http, &asked);
    }
    control_json_free(&asked);
}

/* ---- Starting and ending ---- */

/* Descriptors are out: libevent would try again at once, for ever. Its callback does not get our
 * context (libevent keeps its own there), so a timer goes on. */
static void on_accept_error(struct evconnlistener *listener, void *context) {
    (void)context;
    evconnlistener_disable(listener);
}

static void on_accept_again(evutil_socket_t fd, short what, void *context) {
    struct control *control = context;
    (void)fd;
    (void)what;
    evconnlistener_enable(control->listener);
}

/* The server; takes the listening descriptor. */
static void serve(struct control *control, int fd) {
    control->server = evhttp_new(control->base);
    CHECK(control->server != NULL);
    evhttp_set_max_body_size(control->server, COMMAND_BYTES_MAX);
    evhttp_set_max_headers_size(control->server, CONTROL_HEADERS_MAX);
    evhttp_set_timeout(control->server, CONTROL_READ_TIMEOUT_S);
    evhttp_set_gencb(control->server, on_request, control);
    struct evhttp_bound_socket *bound = evhttp_accept_socket_with_handle(control->server, fd);
    CHECK(bound != NULL);
    control->listener = evhttp_bound_socket_get_listener(bound);
    evconnlistener_set_error_cb(control->listener, on_accept_error);
}

struct control *control_new(struct event_base *base, const char *state_dir,
                            const struct control_ops *ops, void *context,
                            struct host_error *error) {
    int fd = control_socket_listen(state_dir, error);
    if (fd < 0) {
        return NULL;
    }
    struct control *control = mem_new(sizeof *control);
    *control =
        (struct control){.base = base,
                         .ops = ops,
                         .context = context,
                         .state_dir = mem_string(state_dir),
                         .reap = event_new(base, -1, 0, on_reap, control),
                         .accept_again = event_new(base, -1, EV_PERSIST, on_accept_again, control)};
    CHECK(control->reap != NULL && control->accept_again != NULL);
    serve(control, fd);
    event_add(control->accept_again, &(struct timeval){.tv_sec = ACCEPT_PAUSE_S});
    return control;
}

void control_free(struct control *control) {
    if (control == NULL) {
        return;
    }
    control_socket_remove(control->state_dir);
    for (struct open_request *request = control->requests; request != NULL;
         request = request->next) {
        request->dead = true;
    }
    on_reap(-1, 0, control);
    evhttp_free(control->server);
    event_free(control->reap);
    event_free(control->accept_again);
    mem_free(control->state_dir);
    mem_free(control);
}

uint32_t control_open_requests(const struct control *control) {
    return control->count;
}
