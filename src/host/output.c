/* output.c - what a link has to send, from the messages of a turn to the socket.
 *
 * Messages and blocks leave in their order: those of this turn (conn->out) behind what a limit on
 * traffic holds back (conn->held) behind what the other side has not taken yet (the bufferevent's
 * output). Without a limit nothing is held. */
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <limits.h>
#include <openssl/err.h>

#include "common/check.h"
#include "common/mem.h"
#include "src/host/conn.h"

#define COPY_MAX 16384     /* larger runs of messages go by reference */
#define STALL_LOOK_MS 5000 /* how often a link with output is looked at */

static struct evbuffer *output_of(const struct conn *conn) {
    return bufferevent_get_output(conn->bev);
}

static size_t held_bytes(const struct conn *conn) {
    return conn->held != NULL ? evbuffer_get_length(conn->held) : 0;
}

size_t conn_output(const struct conn *conn) {
    return conn->out.len + held_bytes(conn) + evbuffer_get_length(output_of(conn));
}

bool conn_is_blocked(const struct conn *conn) {
    return evbuffer_get_length(output_of(conn)) > 0;
}

static void free_reference(const void *data, size_t len, void *context) {
    (void)len;
    (void)context;
    mem_free((void *)(uintptr_t)data);
}

/* From now on the other side is expected to take something. */
static void watch_progress(struct conn *conn) {
    if (!evtimer_pending(&conn->timer, NULL)) {
        conn->progress_us = clock_mono_us();
        conn_set_timer(conn, STALL_LOOK_MS);
    }
}

void conn_look_at_output(struct conn *conn) {
    flow_account(conn); /* notes progress */
    if (conn_output(conn) == 0) {
        return;
    }
    uint64_t now_us = clock_mono_us();
    if (!conn_is_blocked(conn)) {
        conn->progress_us = now_us; /* it is we who wait */
    } else if (now_us - conn->progress_us >= UPLOAD_STALL_MS * 1000ull) {
        conn_kill(conn, ERR_STALLED);
        return;
    }
    conn_set_timer(conn, STALL_LOOK_MS);
}

/* Write a run past the bufferevent when nothing is before it: that spares the link two epoll_ctl
 * and a turn of the loop. False when some is left; then exactly this run must be written again. A
 * failure is left to the bufferevent, which will meet it too. */
static bool write_now(struct conn *conn, const struct buf *run) {
    if (conn_is_blocked(conn) || run->len > INT_MAX) {
        return false;
    }
    ERR_clear_error();
    bool is_sent = SSL_write(conn_ssl(conn), run->data, (int)run->len) == (int)run->len;
    ERR_clear_error();
    return is_sent;
}

/* Send a run, or give it to a buffer: by reference, so that a run that OpenSSL has begun with stays
 * in one piece; a small one joins the last one there. */
static void add_run(struct evbuffer *to, struct buf *run) {
    if (run->len <= COPY_MAX && evbuffer_get_length(to) > 0) {
        CHECK(evbuffer_add(to, run->data, run->len) == 0);
        buf_free(run);
    } else {
        CHECK(evbuffer_add_reference(to, run->data, run->len, free_reference, NULL) == 0);
        *run = (struct buf){0};
    }
}

static void send_run(struct conn *conn, struct buf *run) {
    if (write_now(conn, run)) {
        buf_free(run);
    } else {
        add_run(output_of(conn), run);
        watch_progress(conn);
    }
}

/* Where the next bytes go: true = behind those that are held. */
static bool is_holding(const struct conn *conn) {
    return held_bytes(conn) > 0 || flow_is_limited(conn, DIRECTION_OUT);
}

static void hold(struct conn *conn, struct buf *run) {
    if (conn->held == NULL) {
        conn->held = evbuffer_new();
        CHECK(conn->held != NULL);
    }
    add_run(conn->held, run);
    flow_want(conn, DIRECTION_OUT);
}

void conn_flush(struct conn *conn) {
    if (conn->out.len == 0) {
        return;
    }
    if (is_holding(conn)) {
        hold(conn, &conn->out);
    } else {
        send_run(conn, &conn->out);
        flow_account(conn);
    }
}

void conn_write_owned(struct conn *conn, uint8_t *bytes, size_t len) {
    CHECK(conn->state == CONN_UP);
    conn_flush(conn);
    conn->node->host->counts.bytes_out += len;
    if (is_holding(conn)) {
        struct buf run = {.data = bytes, .len = len};
        hold(conn, &run);
        buf_free(&run);
        return;
    }
    CHECK(evbuffer_add_reference(output_of(conn), bytes, len, free_reference, NULL) == 0);
    watch_progress(conn);
}

void conn_pass(struct conn *conn, size_t most) {
    size_t held = held_bytes(conn);
    if (held == 0 || conn_is_blocked(conn)) {
        return;
    }
    struct buf run = {0};
    run.len = held < most ? held : most;
    run.data = mem_new(run.len);
    CHECK(evbuffer_remove(conn->held, run.data, run.len) == (int)run.len);
    send_run(conn, &run);
    flow_account(conn);
    conn_touch(conn); /* there may be room for blocks now, or it may be closed */
}
