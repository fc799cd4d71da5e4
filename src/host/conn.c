/* conn.c - one TLS connection, from connect or accept to the last byte flushed.
 *
 * OpenSSL reads and writes the socket itself, and the loop says when. A bufferevent would cost a
 * link a kilobyte, every message a copy and a turn of the loop. What makes rules necessary, each
 * with a test: what OpenSSL has read ahead is not signalled again, so reading on is triggered by
 * us; output is lost on free, so a link is freed only when its output is empty and close_notify is
 * sent; nothing is freed inside a callback. */
#include "src/host/conn.h"

#include <errno.h>
#include <event2/buffer.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/check.h"
#include "common/mem.h"
#include "src/host/failure.h"
#include "src/host/sockets.h"

#define OUTPUT_LOW (LINK_OUTPUT_SOFT / 2) /* where a stalled link is ready again */
#define LINGER_MS 2000
#define SHUTDOWN_RETRY_MS 5

/* ---- Life and death ---- */

static void on_timer(evutil_socket_t fd, short what, void *context);

void conn_set_timer(struct conn *conn, uint32_t ms) {
    if (conn->timer == NULL) {
        conn->timer = evtimer_new(conn->node->host->base, on_timer, conn);
        CHECK(conn->timer != NULL);
    }
    struct timeval wait = {.tv_sec = (time_t)(ms / 1000),
                           .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
    event_add(conn->timer, &wait);
}

static void list_remove(struct conn **list, struct conn *conn) {
    if (conn->previous != NULL) {
        conn->previous->next = conn->next;
    } else {
        *list = conn->next;
    }
    if (conn->next != NULL) {
        conn->next->previous = conn->previous;
    }
    conn->next = NULL;
    conn->previous = NULL;
}

static void list_add(struct conn **list, struct conn *conn) {
    conn->previous = NULL;
    conn->next = *list;
    if (*list != NULL) {
        (*list)->previous = conn;
    }
    *list = conn;
}

static struct conn *conn_new(struct host_node *node, int fd, const struct address *remote) {
    struct conn *conn = mem_new(sizeof *conn);
    conn->node = node;
    conn->fd = fd;
    conn->remote = *remote;
    list_add(&node->conns, conn);
    node->host->conns++;
    return conn;
}

static void end_handshake(struct conn *conn, bool proven) {
    if (conn->counts_as_handshake) {
        conn->counts_as_handshake = false;
        handshakes_end(&conn->node->host->handshakes, conn);
        gate_left(&conn->node->host->gate, &conn->remote, proven);
    }
}

static void drop_event(struct event **event) {
    if (*event != NULL) {
        event_free(*event);
        *event = NULL;
    }
}

/* From here on nothing of it happens any more. It is freed at the end of the turn. */
static void bury(struct conn *conn) {
    struct host *host = conn->node->host;
    bool is_leaving = conn->state == CONN_LINGERING;
    conn->state = CONN_DEAD;
    end_handshake(conn, false);
    drop_event(&conn->timer);
    drop_event(&conn->writable);
    if (conn->ssl != NULL) {
        event_del(&conn->readable);
    }
    list_remove(is_leaving ? &host->leaving : &conn->node->conns, conn);
    conn->next_dead = host->dead;
    host->dead = conn;
    event_active(host->reap, EV_TIMEOUT, 0);
}

static void conn_free(struct conn *conn) {
    conn->node->host->conns--;
    trim_soon(conn->node->host);
    buf_free(&conn->out);
    if (conn->held != NULL) {
        evbuffer_free(conn->held);
    }
    if (conn->unsent != NULL) {
        evbuffer_free(conn->unsent);
    }
    flow_account(conn);
    SSL_free(conn->ssl);
    close(conn->fd);
    mem_free(conn);
}

static void on_reap(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    struct host *host = context;
    struct conn **at = &host->dead;
    while (*at != NULL) {
        struct conn *conn = *at;
        if (conn->pins > 0 || conn->is_dirty) {
            at = &conn->next_dead;
        } else {
            *at = conn->next_dead;
            conn_free(conn);
        }
    }
}

/* The node hears of the end, once. */
static void tell_down(struct conn *conn, enum err reason) {
    struct host_node *node = conn->node;
    blocks_drop(conn, reason);
    if (conn->link != 0) {
        map_remove(&node->links, &conn->link);
        node_queue_link(node, NODE_LINK_DOWN, conn->link, reason);
        conn->link = 0;
    } else if (!conn->is_accepted && conn->state < CONN_UP) {
        node_queue_dial_failed(node, conn->token, reason, conn->busy_s);
    }
}

void conn_kill(struct conn *conn, enum err reason) {
    if (conn->state != CONN_DEAD) {
        if (conn->state != CONN_LINGERING) {
            tell_down(conn, reason);
        }
        bury(conn);
    }
}

void conn_pin(struct conn *conn) {
    conn->pins++;
}

void conn_unpin(struct conn *conn) {
    conn->pins--;
    if (conn->state == CONN_DEAD && conn->pins == 0) {
        event_active(conn->node->host->reap, EV_TIMEOUT, 0);
    }
}

struct conn *conn_find(const struct host_node *node, uint32_t link) {
    return map_get(&node->links, &link);
}

enum err conn_trouble(struct conn *conn, int result) {
    int number = errno;
    int code = SSL_get_error(conn->ssl, result);
    unsigned long said = ERR_peek_error();
    ERR_clear_error();
    bool is_cut =
        code == SSL_ERROR_SSL && ERR_GET_REASON(said) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
    if (code == SSL_ERROR_WANT_READ) {
        return OK;
    }
    if (code == SSL_ERROR_WANT_WRITE) {
        return conn_want_write(conn);
    }
    if (code == SSL_ERROR_ZERO_RETURN || is_cut) {
        return conn->state < CONN_UP ? ERR_REFUSED : ERR_CLOSED;
    }
    if (code == SSL_ERROR_SYSCALL) { /* a link that was reset is no proof of a wrong key */
        return number != 0 ? failure_of(number) : ERR_CLOSED;
    }
    conn->busy_s = conn->state == CONN_HANDSHAKE && !conn->is_accepted ? tls_busy_s(said) : 0;
    return conn->busy_s > 0 ? ERR_BUSY : ERR_AUTH;
}

/* ---- Closing ---- */

/* All output is in the kernel: say close_notify, forget the link, wait for the other side. */
static void finish_flush(struct conn *conn) {
    ERR_clear_error();
    int said = SSL_shutdown(conn->ssl);
    bool must_wait = said < 0 && SSL_get_error(conn->ssl, said) == SSL_ERROR_WANT_WRITE;
    if (must_wait && clock_mono_us() < conn->flush_by_us) {
        conn_set_timer(conn, SHUTDOWN_RETRY_MS);
        return;
    }
    ERR_clear_error();
    shutdown(conn->fd, SHUT_WR);
    struct host_node *node = conn->node;
    tell_down(conn, ERR_CLOSED);
    list_remove(&node->conns, conn);
    conn->state = CONN_LINGERING;
    list_add(&node->host->leaving, conn);
    conn_set_timer(conn, LINGER_MS);
    conn_update_reading(conn);
}

void conn_close(struct conn *conn, enum err reason) {
    (void)reason; /* the node knows why it closes; the other side was told by a message */
    if (conn->state != CONN_UP) {
        return;
    }
    conn_flush(conn);
    blocks_drop(conn, ERR_CLOSED);
    conn->state = CONN_FLUSHING;
    conn->flush_by_us = clock_mono_us() + CLOSE_FLUSH_MS * 1000ull;
    conn_set_timer(conn, CLOSE_FLUSH_MS);
    /* Unread input would turn our close into a reset that destroys what we just sent. */
    conn_update_reading(conn);
    if (conn_output(conn) == 0) {
        conn_set_timer(conn, 0);
    }
}

static void flush_timer(struct conn *conn) {
    if (conn_output(conn) == 0 && clock_mono_us() < conn->flush_by_us) {
        finish_flush(conn);
    } else {
        conn_kill(conn, ERR_TIMEOUT);
    }
}

static void on_timer(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    struct conn *conn = context;
    struct host_node *node = conn->node;
    switch (conn->state) {
    case CONN_CONNECTING:
    case CONN_HANDSHAKE:
    case CONN_LINGERING:
        conn_kill(conn, ERR_TIMEOUT);
        break;
    case CONN_UP:
        conn_look_at_output(conn);
        break;
    case CONN_FLUSHING:
        flush_timer(conn);
        break;
    case CONN_DEAD:
        break;
    }
    node_run(node);
}

/* ---- Writing ---- */

void conn_touch(struct conn *conn) {
    struct host *host = conn->node->host;
    if (!conn->is_dirty) {
        conn->is_dirty = true;
        conn->next_dirty = host->dirty;
        host->dirty = conn;
        event_active(host->flush, EV_TIMEOUT, 0);
    }
}

/* Output has drained: the node may go on, and files too. */
static void check_ready(struct conn *conn) {
    if (conn->state == CONN_FLUSHING && conn_output(conn) == 0) {
        conn_set_timer(conn, 0);
    }
    if (conn->state == CONN_UP && conn_output(conn) <= OUTPUT_LOW) {
        if (conn->is_stalled) {
            conn->is_stalled = false;
            node_queue_link(conn->node, NODE_LINK_READY, conn->link, OK);
        }
        blocks_pump(conn);
    }
}

static void on_flush(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    struct host *host = context;
    while (host->dirty != NULL) {
        struct conn *conn = host->dirty;
        host->dirty = conn->next_dirty;
        conn->is_dirty = false;
        if (conn->state == CONN_UP || conn->state == CONN_FLUSHING) {
            conn_flush(conn);
            check_ready(conn);
        } else {
            event_active(host->reap, EV_TIMEOUT, 0);
        }
    }
}

void conn_write(struct conn *conn, struct slice bytes) {
    if (conn->state != CONN_UP || bytes.len == 0) {
        return;
    }
    size_t output = conn_output(conn) + bytes.len;
    conn->node->host->counts.bytes_out += bytes.len;
    if (output > LINK_OUTPUT_HARD) {
        log_info(&conn->node->host->log, "conn.overflow link=%u bytes=%zu", conn->link, output);
        conn_kill(conn, ERR_STALLED);
        return;
    }
    buf_append(&conn->out, bytes.data, bytes.len);
    conn_touch(conn);
    if (output > LINK_OUTPUT_SOFT && !conn->is_stalled) {
        conn->is_stalled = true;
        node_queue_link(conn->node, NODE_LINK_STALLED, conn->link, OK);
    }
}

/* What the other side had not taken goes on. */
static void write_turn(struct conn *conn) {
    enum err err = conn_push(conn);
    flow_account(conn);
    if (err != OK) {
        conn_read_last(conn);
        conn_kill(conn, err);
        return;
    }
    conn_update_reading(conn); /* reading may have waited for this */
    if (conn->held != NULL && evbuffer_get_length(conn->held) > 0) {
        flow_want(conn, DIRECTION_OUT);
    }
    if (conn->state == CONN_FLUSHING && conn_output(conn) == 0) {
        finish_flush(conn);
    } else {
        check_ready(conn);
    }
}

static void shake_hands(struct conn *conn);

static void on_readable(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    struct conn *conn = context;
    struct host_node *node = conn->node;
    if (conn->state == CONN_HANDSHAKE) {
        shake_hands(conn);
    } else {
        conn_read(conn);
    }
    node_run(node);
}

static void on_writable(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    struct conn *conn = context;
    struct host_node *node = conn->node;
    if (conn->state == CONN_HANDSHAKE) {
        shake_hands(conn);
    } else {
        write_turn(conn);
    }
    node_run(node);
}

enum err conn_want_write(struct conn *conn) {
    if (conn->writable == NULL) {
        conn->writable = event_new(conn->node->host->base, conn->fd, EV_WRITE, on_writable, conn);
        CHECK(conn->writable != NULL);
    }
    return event_add(conn->writable, NULL) == 0 ? OK : ERR_IO;
}

/* ---- Connecting ---- */

/* Who came to an address that is no wildcard came to that one: the kernel need not be asked. */
static struct address own_address(const struct conn *conn) {
    const struct address *listen = &conn->node->listen;
    bool is_known = conn->is_accepted && !address_is_any(listen);
    return is_known ? *listen : socket_own_address(conn->fd);
}

static void link_up(struct conn *conn) {
    struct host_node *node = conn->node;
    struct node_event event = {.kind = NODE_LINK_UP};
    if (tls_finish(conn->ssl, &event.up.exporter) != OK) {
        conn_kill(conn, ERR_AUTH);
        return;
    }
    end_handshake(conn, true);
    trim_soon(node->host);
    drop_event(&conn->timer); /* of most links for good */
    conn->state = CONN_UP;
    conn->is_held = node->is_behind;
    conn->link = ++node->last_link;
    CHECK(conn->link != 0);
    map_put(&node->links, &conn->link, conn);
    event.up.link = conn->link;
    event.up.token = conn->token;
    event.up.id = conn->peer.id;
    event.up.remote = conn->remote;
    event.up.local = own_address(conn);
    node_queue(node, &event, NULL);
    conn_update_reading(conn);
}

static void shake_hands(struct conn *conn) {
    ERR_clear_error();
    errno = 0;
    int done = SSL_do_handshake(conn->ssl);
    if (done == 1) {
        link_up(conn);
        return;
    }
    enum err reason = conn_trouble(conn, done);
    if (reason != OK) {
        conn_kill(conn, reason);
    }
}

static void start_tls(struct conn *conn) {
    struct host_node *node = conn->node;
    conn->ssl = tls_new(node->host->tls, node->identity, &conn->peer);
    CHECK(SSL_set_fd(conn->ssl, conn->fd) == 1);
    CHECK(event_assign(&conn->readable, node->host->base, conn->fd, EV_READ | EV_PERSIST,
                       on_readable, conn) == 0);
    if (conn->is_accepted) {
        SSL_set_accept_state(conn->ssl);
    } else {
        SSL_set_connect_state(conn->ssl);
    }
    conn->state = CONN_HANDSHAKE;
    conn_set_timer(conn, HANDSHAKE_TIMEOUT_MS);
    conn_watch_input(conn);
    if (!conn->is_accepted && conn->state == CONN_HANDSHAKE) {
        shake_hands(conn); /* who dials speaks first */
    }
}

void conn_accept(struct host_node *node, int fd, const struct address *remote) {
    struct conn *conn = conn_new(node, fd, remote);
    conn->is_accepted = true;
    conn->counts_as_handshake = true;
    handshakes_begin(&node->host->handshakes, conn, clock_mono_us());
    start_tls(conn);
}

static void on_connected(evutil_socket_t fd, short what, void *context) {
    (void)what;
    struct conn *conn = context;
    struct host_node *node = conn->node;
    int number = 0;
    socklen_t len = sizeof number;
    drop_event(&conn->writable);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &len) != 0) {
        number = EVUTIL_SOCKET_ERROR();
    }
    if (number != 0) {
        conn_kill(conn, failure_of(number));
    } else {
        start_tls(conn);
    }
    node_run(node);
}

static int open_socket(const struct host_node *node, const struct address *address) {
    struct sockaddr_storage to;
    socklen_t to_len = socket_address(&to, address);
    int fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    socket_tune(fd);
    if (!socket_keep_to(fd, node->interface)) {
        int number = errno;
        close(fd);
        errno = number;
        return -1;
    }
    struct address source = node->listen;
    source.port = 0;
    if (source.family == address->family && !address_is_any(&source)) {
        struct sockaddr_storage from;
        socklen_t from_len = socket_address(&from, &source);
        int yes = 1; /* choose the port with the destination known: many more are free */
        (void)setsockopt(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
        if (bind(fd, (struct sockaddr *)&from, from_len) != 0) {
            close(fd);
            return -1;
        }
    }
    if (connect(fd, (struct sockaddr *)&to, to_len) != 0 && errno != EINPROGRESS) {
        int number = errno;
        close(fd);
        errno = number;
        return -1;
    }
    return fd;
}

void conn_dial(struct host_node *node, uint32_t token, const struct node_id *id,
               const struct address *address) {
    struct host *host = node->host;
    if (host->conns >= host->conns_max && !handshakes_yield(&host->handshakes, clock_mono_us())) {
        node_queue_dial_failed(node, token, ERR_BUSY, 0);
        return;
    }
    int fd = open_socket(node, address);
    if (fd < 0) {
        node_queue_dial_failed(node, token, failure_of(errno), 0);
        return;
    }
    struct conn *conn = conn_new(node, fd, address);
    conn->token = token;
    conn->peer = (struct tls_peer){.dialled = true, .wanted = *id};
    conn->writable = event_new(host->base, fd, EV_WRITE, on_connected, conn);
    CHECK(conn->writable != NULL);
    if (event_add(conn->writable, NULL) != 0) {
        conn_kill(conn, ERR_IO);
        return;
    }
    conn_set_timer(conn, DIAL_TIMEOUT_MS);
}

/* ---- All of them ---- */

void conns_drop_pending(struct host_node *node) {
    struct conn *next;
    for (struct conn *conn = node->conns; conn != NULL; conn = next) {
        next = conn->next;
        if (conn->state < CONN_UP) {
            bury(conn);
        }
    }
}

void conns_drop(struct host_node *node) {
    while (node->conns != NULL) {
        struct conn *conn = node->conns;
        blocks_drop(conn, ERR_SHUTDOWN);
        if (conn->link != 0) {
            map_remove(&node->links, &conn->link);
            conn->link = 0;
        }
        bury(conn);
    }
}

void conns_init(struct host *host) {
    input_init(host);
    host->flush = event_new(host->base, -1, 0, on_flush, host);
    host->reap = event_new(host->base, -1, 0, on_reap, host);
    CHECK(host->flush != NULL && host->reap != NULL);
    trim_init(host);
}

void conns_free(struct host *host) {
    while (host->leaving != NULL) {
        bury(host->leaving);
    }
    input_free(host);
    on_flush(-1, 0, host);
    on_reap(-1, 0, host);
    CHECK(host->dead == NULL);
    event_free(host->flush);
    event_free(host->reap);
    trim_free(host);
}
