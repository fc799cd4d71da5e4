/* output.c - what a link has to send, from the messages of a turn to the socket.
 *
 * Messages and blocks leave in their order: those of this turn (conn->out) behind what a limit on
 * traffic holds back (conn->held) behind what the other side has not taken yet (conn->unsent).
 * Without a limit nothing is held. */
#include <errno.h>
#include <event2/buffer.h>
#include <limits.h>
#include <openssl/err.h>

#include "common/check.h"
#include "common/mem.h"
#include "src/host/conn.h"

#define COPY_MAX 16384     /* larger runs of messages go by reference */
#define STALL_LOOK_MS 5000 /* how often a link with output is looked at */

static size_t bytes_in(const struct evbuffer *buffer) {
    return buffer != NULL ? evbuffer_get_length(buffer) : 0;
}

/* Most links never need one. */
static struct evbuffer *buffer_at(struct evbuffer **buffer) {
    if (*buffer == NULL) {
        *buffer = evbuffer_new();
        CHECK(*buffer != NULL);
    }
    return *buffer;
}

size_t conn_output(const struct conn *conn) {
    return conn->out.len + bytes_in(conn->held) + bytes_in(conn->unsent);
}

bool conn_is_blocked(const struct conn *conn) {
    return bytes_in(conn->unsent) > 0;
}

static void free_reference(const void *data, size_t len, void *context) {
    (void)len;
    (void)context;
    mem_free((void *)(uintptr_t)data);
}

/* From now on the other side is expected to take something. */
static void watch_progress(struct conn *conn) {
    if (conn->timer == NULL || !evtimer_pending(conn->timer, NULL)) {
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

/* Give bytes to OpenSSL; return how many it took. *trouble says why not all: OK = it waits. */
static size_t write_some(struct conn *conn, const uint8_t *bytes, size_t len, enum err *trouble) {
    size_t sent = 0;
    *trouble = OK;
    while (sent < len) {
        size_t left = len - sent;
        ERR_clear_error();
        errno = 0;
        int took = SSL_write(conn->ssl, bytes + sent, left < INT_MAX ? (int)left : INT_MAX);
        if (took <= 0) {
            *trouble = conn_trouble(conn, took);
            break;
        }
        sent += (size_t)took;
    }
    return sent;
}

enum err conn_push(struct conn *conn) {
    enum err trouble = OK;
    struct evbuffer_iovec piece;
    while (trouble == OK && bytes_in(conn->unsent) > 0) {
        CHECK(evbuffer_peek(conn->unsent, -1, NULL, &piece, 1) >= 1);
        size_t sent = write_some(conn, piece.iov_base, piece.iov_len, &trouble);
        evbuffer_drain(conn->unsent, sent);
        if (sent < piece.iov_len) {
            break;
        }
    }
    return trouble;
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

/* They wait until the other side takes more. A failure is met again then, outside of any step. */
static void wait_to_send(struct conn *conn) {
    (void)conn_want_write(conn);
    watch_progress(conn);
}

static void send_run(struct conn *conn, struct buf *run) {
    enum err trouble;
    size_t sent = conn_is_blocked(conn) ? 0 : write_some(conn, run->data, run->len, &trouble);
    if (sent == run->len) {
        buf_free(run);
        return;
    }
    bool was_first = !conn_is_blocked(conn);
    add_run(buffer_at(&conn->unsent), run);
    if (was_first) {
        evbuffer_drain(conn->unsent, sent);
    }
    wait_to_send(conn);
}

/* Where the next bytes go: true = behind those that are held. */
static bool is_holding(const struct conn *conn) {
    return bytes_in(conn->held) > 0 || flow_is_limited(conn, DIRECTION_OUT);
}

static void hold(struct conn *conn, struct buf *run) {
    add_run(buffer_at(&conn->held), run);
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
    CHECK(evbuffer_add_reference(buffer_at(&conn->unsent), bytes, len, free_reference, NULL) == 0);
    wait_to_send(conn);
}

void conn_pass(struct conn *conn, size_t most) {
    size_t held = bytes_in(conn->held);
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
