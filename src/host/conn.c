/* conn.c - one TLS connection, from connect or accept to the last byte flushed.
 *
 * Rules that libevent 2.1 with OpenSSL 3 makes necessary, each with a test: the bufferevent gets a
 * real, connected socket; callbacks are deferred; CONNECTED may come twice; input that is left is
 * not signalled again, so reading on is triggered by us; no high watermark on input; output is lost
 * on free, so a link is freed only when its output is empty and close_notify is sent; nothing is
 * freed inside a callback. */
#include "src/host/conn.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <limits.h>
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
#define READ_TURN_MAX 262144              /* bytes of one link per turn of the loop */
#define READ_TURN_US 1000                 /* ... that the node may work on them: then it waits */
#define HEAVY_US 1000000                  /* in line with others, and so long afterwards */
#define BULK_BYTES 65536                  /* read at once from a link that brings much */
#define LINGER_MS 2000
#define SHUTDOWN_RETRY_MS 5
#define PRIORITIES 3 /* the middle one is what events have when nothing is said */
#define PRIORITY_LAST 2

/* ---- Life and death ---- */

static void on_timer(evutil_socket_t fd, short what, void *context);

void conn_set_timer(struct conn *conn, uint32_t ms) {
    struct timeval wait = {.tv_sec = (time_t)(ms / 1000),
                           .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
    event_add(&conn->timer, &wait);
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
    evtimer_assign(&conn->timer, node->host->base, on_timer, conn);
    list_add(&node->conns, conn);
    node->host->conns++;
    return conn;
}

static void end_handshake(struct conn *conn, bool proven) {
    if (conn->counts_as_handshake) {
        conn->counts_as_handshake = false;
        gate_left(&conn->node->host->gate, &conn->remote, proven);
    }
}

static void stop_connecting(struct conn *conn) {
    if (conn->connected != NULL) {
        event_free(conn->connected);
        conn->connected = NULL;
    }
}

/* From here on nothing of it happens any more. It is freed at the end of the turn. */
static void bury(struct conn *conn) {
    struct host *host = conn->node->host;
    bool is_leaving = conn->state == CONN_LINGERING;
    conn->state = CONN_DEAD;
    end_handshake(conn, false);
    event_del(&conn->timer);
    stop_connecting(conn);
    if (conn->bev != NULL) {
        bufferevent_setcb(conn->bev, NULL, NULL, NULL, NULL);
        bufferevent_disable(conn->bev, EV_READ | EV_WRITE);
    }
    list_remove(is_leaving ? &host->leaving : &conn->node->conns, conn);
    conn->next_dead = host->dead;
    host->dead = conn;
    event_active(host->reap, EV_TIMEOUT, 0);
}

static void conn_free(struct conn *conn) {
    conn->node->host->conns--;
    buf_free(&conn->out);
    if (conn->held != NULL) {
        evbuffer_free(conn->held);
    }
    if (conn->bev != NULL) {
        flow_account(conn);
        bufferevent_free(conn->bev);
    } else {
        close(conn->fd);
    }
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
        node_queue_dial_failed(node, conn->token, reason);
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

SSL *conn_ssl(const struct conn *conn) {
    return bufferevent_openssl_get_ssl(conn->bev);
}

/* ---- Closing ---- */

/* All output is in the kernel: say close_notify, forget the link, wait for the other side. */
static void finish_flush(struct conn *conn) {
    ERR_clear_error();
    int said = SSL_shutdown(conn_ssl(conn));
    bool must_wait = said < 0 && SSL_get_error(conn_ssl(conn), said) == SSL_ERROR_WANT_WRITE;
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
    bufferevent_enable(conn->bev, EV_READ);
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
    bufferevent_setwatermark(conn->bev, EV_WRITE, 0, 0);
    /* Unread input would turn our close into a reset that destroys what we just sent. */
    evbuffer_drain(bufferevent_get_input(conn->bev), SIZE_MAX);
    bufferevent_enable(conn->bev, EV_READ);
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

static void on_write(struct bufferevent *bev, void *context) {
    (void)bev;
    struct conn *conn = context;
    struct host_node *node = conn->node;
    flow_account(conn);
    if (conn->held != NULL && evbuffer_get_length(conn->held) > 0) {
        flow_want(conn, DIRECTION_OUT);
    }
    if (conn->state == CONN_FLUSHING && conn_output(conn) == 0) {
        finish_flush(conn);
    } else {
        check_ready(conn);
    }
    node_run(node);
}

/* ---- Reading ---- */

static bool may_read(const struct conn *conn) {
    return conn->state == CONN_UP && !conn->is_read_stopped && !conn->is_held && !conn->is_slowed;
}

static void deliver(struct conn *conn, struct slice data) {
    conn->node->host->counts.bytes_in += data.len;
    node_bytes(conn->node, conn->link, data);
}

/* What one link may take of a turn. */
struct turn {
    size_t taken;
    uint64_t until_us;
};

static bool is_over(const struct turn *turn) {
    return turn->taken >= READ_TURN_MAX || clock_mono_us() >= turn->until_us;
}

/* Hand the input to the node piece by piece; a step may stop it at any piece. `turn` NULL = all. */
static void consume(struct conn *conn, struct turn *turn) {
    struct evbuffer *input = bufferevent_get_input(conn->bev);
    while (may_read(conn) && evbuffer_get_length(input) > 0 && (turn == NULL || !is_over(turn))) {
        struct evbuffer_iovec piece;
        CHECK(evbuffer_peek(input, -1, NULL, &piece, 1) >= 1);
        struct slice data = {piece.iov_base, piece.iov_len};
        deliver(conn, data);
        if (conn->state == CONN_UP) { /* closing has drained it already */
            evbuffer_drain(input, data.len);
        }
        if (turn != NULL) {
            turn->taken += data.len;
        }
    }
}

/* Whole records, as many as fit: the bytes then lie in one piece, and a frame is seldom cut. */
static size_t read_records(struct conn *conn, uint8_t *to) {
    size_t len = 0;
    ERR_clear_error();
    while (BULK_BYTES - len >= SSL3_RT_MAX_PLAIN_LENGTH) {
        int got = SSL_read(conn_ssl(conn), to + len, SSL3_RT_MAX_PLAIN_LENGTH);
        if (got <= 0) {
            break; /* nothing more now; an end or an error comes again from the bufferevent */
        }
        len += (size_t)got;
    }
    ERR_clear_error();
    return len;
}

/* A full record came in, so more will be there: libevent 2.1 would read one record per turn. */
static void read_bulk(struct conn *conn, struct turn *turn) {
    struct host *host = conn->node->host;
    if (host->bulk == NULL) {
        host->bulk = mem_new(BULK_BYTES);
    }
    size_t len = BULK_BYTES;
    while (may_read(conn) && !is_over(turn) && len > BULK_BYTES / 2) {
        len = read_records(conn, host->bulk);
        if (len > 0) {
            deliver(conn, (struct slice){host->bulk, len});
        }
        turn->taken += len;
    }
}

/* Get in line behind the other links that bring much. Meanwhile it is not read: the kernel keeps
 * what comes, and soon the other side. */
static void wait_in_line(struct conn *conn) {
    struct host *host = conn->node->host;
    static const struct timeval now = {0};
    bufferevent_disable(conn->bev, EV_READ);
    conn->is_waiting = true;
    conn->next_waiting = NULL;
    conn_pin(conn);
    if (host->waiting_last != NULL) {
        host->waiting_last->next_waiting = conn;
    } else {
        host->waiting_first = conn;
    }
    host->waiting_last = conn;
    event_add(host->heavy, &now);
}

/* One turn of a link: so many bytes, and so long. Whoever needs longer is heavy from then on. */
static void read_turn(struct conn *conn) {
    struct evbuffer *input = bufferevent_get_input(conn->bev);
    struct turn turn = {.until_us = clock_mono_us() + READ_TURN_US};
    bool is_bulk = evbuffer_get_length(input) >= SSL3_RT_MAX_PLAIN_LENGTH;
    consume(conn, &turn);
    if (is_bulk && evbuffer_get_length(input) == 0 && !flow_is_limited(conn, DIRECTION_IN)) {
        read_bulk(conn, &turn);
    }
    flow_account(conn);
    flow_want(conn, DIRECTION_IN);
    if (is_over(&turn)) {
        conn->heavy_until_us = clock_mono_us() + HEAVY_US;
    }
    if (may_read(conn) && evbuffer_get_length(input) > 0) {
        wait_in_line(conn);
    }
}

static struct conn *take_waiting(struct host *host) {
    struct conn *conn = host->waiting_first;
    if (conn != NULL) {
        host->waiting_first = conn->next_waiting;
        if (host->waiting_first == NULL) {
            host->waiting_last = NULL;
        }
        conn->is_waiting = false;
    }
    return conn;
}

/* The first in line has its turn; the loop looks at all others before the next. */
static void on_heavy(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    static const struct timeval now = {0};
    struct host *host = context;
    struct conn *conn = take_waiting(host);
    if (conn == NULL) {
        return;
    }
    struct host_node *node = conn->node;
    if (may_read(conn)) {
        bufferevent_enable(conn->bev, EV_READ);
        read_turn(conn);
    }
    conn_unpin(conn);
    if (host->waiting_first != NULL) {
        event_add(host->heavy, &now);
    }
    node_run(node);
}

static void on_read(struct bufferevent *bev, void *context) {
    struct conn *conn = context;
    struct host_node *node = conn->node;
    if (conn->state == CONN_UP) {
        if (!conn->is_waiting && may_read(conn) && conn->heavy_until_us > clock_mono_us()) {
            wait_in_line(conn);
        } else if (!conn->is_waiting) {
            read_turn(conn);
        }
        node_run(node);
    } else if (conn->state >= CONN_FLUSHING) {
        evbuffer_drain(bufferevent_get_input(bev), SIZE_MAX);
    }
}

static void update_reading(struct conn *conn) {
    if (conn->state != CONN_UP) {
        return;
    }
    if (!may_read(conn) || conn->is_waiting) {
        bufferevent_disable(conn->bev, EV_READ);
        return;
    }
    bufferevent_enable(conn->bev, EV_READ);
    if (evbuffer_get_length(bufferevent_get_input(conn->bev)) > 0) {
        bufferevent_trigger(conn->bev, EV_READ, BEV_OPT_DEFER_CALLBACKS);
    }
}

void conn_read_stop(struct conn *conn) {
    conn->is_read_stopped = true;
    update_reading(conn);
}

void conn_read_start(struct conn *conn) {
    conn->is_read_stopped = false;
    update_reading(conn);
}

void conn_hold(struct conn *conn, bool hold) {
    if (conn->is_held != hold) {
        conn->is_held = hold;
        update_reading(conn);
    }
}

void conn_slow(struct conn *conn, bool slow) {
    if (conn->is_slowed != slow) {
        conn->is_slowed = slow;
        update_reading(conn);
    }
}

/* ---- Connecting ---- */

static void link_up(struct conn *conn) {
    struct host_node *node = conn->node;
    struct node_event event = {.kind = NODE_LINK_UP};
    if (tls_finish(conn_ssl(conn), &event.up.exporter) != OK) {
        conn_kill(conn, ERR_AUTH);
        return;
    }
    end_handshake(conn, true);
    event_del(&conn->timer);
    conn->state = CONN_UP;
    conn->is_held = node->is_behind;
    conn->link = ++node->last_link;
    CHECK(conn->link != 0);
    map_put(&node->links, &conn->link, conn);
    bufferevent_setwatermark(conn->bev, EV_WRITE, OUTPUT_LOW, 0);
    event.up.link = conn->link;
    event.up.token = conn->token;
    event.up.id = conn->peer.id;
    event.up.remote = conn->remote;
    event.up.local = socket_own_address(bufferevent_getfd(conn->bev));
    node_queue(node, &event, NULL);
    update_reading(conn);
}

/* What OpenSSL or the kernel said, as a reason for the node. Where the kernel spoke, libevent notes
 * SSL_ERROR_SYSCALL among OpenSSL's own codes: a link that was reset is no proof of a wrong key. */
static enum err reason_of(struct conn *conn, short what) {
    unsigned long code = bufferevent_get_openssl_error(conn->bev);
    bool is_kernels = code == 0 || code == SSL_ERROR_SYSCALL;
    bool is_cut = !is_kernels && ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
    if ((what & BEV_EVENT_EOF) != 0 || is_cut) {
        return conn->state < CONN_UP ? ERR_REFUSED : ERR_CLOSED;
    }
    if (is_kernels) {
        int number = EVUTIL_SOCKET_ERROR();
        return number != 0 ? failure_of(number) : ERR_CLOSED;
    }
    return ERR_AUTH;
}

static void on_event(struct bufferevent *bev, short what, void *context) {
    struct conn *conn = context;
    struct host_node *node = conn->node;
    if ((what & BEV_EVENT_CONNECTED) != 0) {
        if (conn->state == CONN_HANDSHAKE) { /* it may be told twice */
            link_up(conn);
        }
    } else {
        enum err reason = reason_of(conn, what);
        if (conn->state == CONN_UP) {
            consume(conn, NULL); /* what came before the end counts */
        }
        if (conn->state >= CONN_FLUSHING) {
            evbuffer_drain(bufferevent_get_input(bev), SIZE_MAX);
        }
        conn_kill(conn, reason);
    }
    node_run(node);
}

static void start_tls(struct conn *conn) {
    struct host_node *node = conn->node;
    SSL *ssl = tls_new(node->host->tls, node->identity, &conn->peer);
    enum bufferevent_ssl_state state =
        conn->is_accepted ? BUFFEREVENT_SSL_ACCEPTING : BUFFEREVENT_SSL_CONNECTING;
    conn->bev = bufferevent_openssl_socket_new(node->host->base, conn->fd, ssl, state,
                                               BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    CHECK(conn->bev != NULL); /* out of memory: half-way libevent 2.1 crashes in its own clean-up */
    conn->state = CONN_HANDSHAKE;
    bufferevent_setcb(conn->bev, on_read, on_write, on_event, conn);
    conn_set_timer(conn, HANDSHAKE_TIMEOUT_MS);
}

void conn_accept(struct host_node *node, int fd, const struct address *remote) {
    struct conn *conn = conn_new(node, fd, remote);
    conn->is_accepted = true;
    conn->counts_as_handshake = true;
    socket_tune(fd);
    start_tls(conn);
}

static void on_connected(evutil_socket_t fd, short what, void *context) {
    (void)what;
    struct conn *conn = context;
    struct host_node *node = conn->node;
    int number = 0;
    socklen_t len = sizeof number;
    stop_connecting(conn);
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
    if (host->conns >= host->conns_max) {
        node_queue_dial_failed(node, token, ERR_BUSY);
        return;
    }
    int fd = open_socket(node, address);
    if (fd < 0) {
        node_queue_dial_failed(node, token, failure_of(errno));
        return;
    }
    struct conn *conn = conn_new(node, fd, address);
    conn->token = token;
    conn->peer = (struct tls_peer){.dialled = true, .wanted = *id};
    conn->connected = event_new(host->base, fd, EV_WRITE, on_connected, conn);
    CHECK(conn->connected != NULL);
    if (event_add(conn->connected, NULL) != 0) {
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
    CHECK(event_base_priority_init(host->base, PRIORITIES) == 0);
    host->flush = event_new(host->base, -1, 0, on_flush, host);
    host->reap = event_new(host->base, -1, 0, on_reap, host);
    host->heavy = evtimer_new(host->base, on_heavy, host);
    CHECK(host->flush != NULL && host->reap != NULL && host->heavy != NULL);
    CHECK(event_priority_set(host->heavy, PRIORITY_LAST) == 0);
}

void conns_free(struct host *host) {
    while (host->leaving != NULL) {
        bury(host->leaving);
    }
    for (struct conn *conn; (conn = take_waiting(host)) != NULL;) {
        conn_unpin(conn);
    }
    on_flush(-1, 0, host);
    on_reap(-1, 0, host);
    CHECK(host->dead == NULL);
    event_free(host->flush);
    event_free(host->reap);
    event_free(host->heavy);
}
