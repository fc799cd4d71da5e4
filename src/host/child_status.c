/* child_status.c - asks a program in another state folder how it does, without waiting for it.
 *
 * Its control socket speaks HTTP. libevent's client cannot use a UNIX socket, so the request is
 * written out; by HTTP/1.0 the answer ends with the connection. */
#include "src/host/child_status.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "src/host/client.h"
#include "src/host/control_socket.h"

#define ANSWER_MAX (1024 * 1024)
#define ANSWER_S 5

struct child_status {
    struct bufferevent *bev;
    child_status_fn *done;
    void *context;
};

void child_status_free(struct child_status *status) {
    if (status != NULL) {
        bufferevent_free(status->bev);
        mem_free(status);
    }
}

/* The line {"kind":"status",...} that begins the answer. */
static bool read_report(struct slice text, struct child_report *report) {
    static const char gap[] = "\r\n\r\n";
    const uint8_t *body = text.len > 0 ? memmem(text.data, text.len, gap, sizeof gap - 1) : NULL;
    if (body == NULL) {
        return false;
    }
    body += sizeof gap - 1;
    size_t len = text.len - (size_t)(body - text.data);
    const uint8_t *end = len > 0 ? memchr(body, '\n', len) : NULL;
    json_t *line =
        json_loadb((const char *)body, end != NULL ? (size_t)(end - body) : len, 0, NULL);
    *report = (struct child_report){0};
    bool is_status = strcmp(client_text(line, "kind"), "status") == 0;
    if (is_status) {
        enum err err = address_parse(&report->address, client_text(line, "address"), true);
        (void)err; /* zero when it has none */
        report->is_certified = json_is_true(json_object_get(line, "certified"));
        report->leaves = (uint32_t)client_number(line, "leaves");
        report->bytes_in = client_number(line, "bytes_in");
        report->bytes_out = client_number(line, "bytes_out");
    }
    json_decref(line);
    return is_status;
}

static void on_event(struct bufferevent *bev, short what, void *context) {
    struct child_status *status = context;
    struct child_report report;
    struct evbuffer *input = bufferevent_get_input(bev);
    struct slice text = {evbuffer_pullup(input, -1), evbuffer_get_length(input)};
    bool is_whole = (what & BEV_EVENT_EOF) != 0 && read_report(text, &report);
    struct child_status asked = *status;
    child_status_free(status);
    asked.done(asked.context, is_whole ? &report : NULL);
}

static void on_read(struct bufferevent *bev, void *context) {
    if (evbuffer_get_length(bufferevent_get_input(bev)) > ANSWER_MAX) {
        on_event(bev, BEV_EVENT_ERROR, context);
    }
}

struct child_status *child_status_ask(struct event_base *base, const char *state_dir,
                                      child_status_fn *done, void *context) {
    static const char request[] = "POST /v1/status HTTP/1.0\r\nContent-Length: 0\r\n\r\n";
    struct host_error none = {0};
    int fd = control_socket_connect(state_dir, &none);
    if (fd < 0) {
        return NULL;
    }
    evutil_make_socket_nonblocking(fd);
    struct bufferevent *bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (bev == NULL) {
        close(fd);
        return NULL;
    }
    struct child_status *status = mem_new(sizeof *status);
    *status = (struct child_status){bev, done, context};
    bufferevent_setcb(bev, on_read, NULL, on_event, status);
    bufferevent_set_timeouts(bev, &(struct timeval){.tv_sec = ANSWER_S},
                             &(struct timeval){.tv_sec = ANSWER_S});
    bufferevent_write(bev, request, sizeof request - 1);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    return status;
}

uint64_t child_status_cpu_ms(pid_t pid) {
    char path[64];
    char text[1024];
    uint64_t user = 0;
    uint64_t system = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = '\0';
    const char *after = strrchr(text, ')'); /* the name may hold anything */
    /* proc(5): state, then ppid to cmajflt, then utime and stime in clock ticks. */
    if (after == NULL ||
        sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
               &user, &system) != 2) {
        return 0;
    }
    long ticks = sysconf(_SC_CLK_TCK);
    return ticks > 0 ? (user + system) * 1000 / (uint64_t)ticks : 0;
}
