/* input.c - what a link brings, from the socket to the node: in turns, so that none keeps the
 * others waiting, and no more than the node, the disk and a limit want. */
#include <errno.h>
#include <openssl/err.h>

#include "common/check.h"
#include "common/mem.h"
#include "src/host/conn.h"

#define READ_TURN_MAX 262144 /* bytes of one link per turn of the loop */
#define READ_TURN_US 1000    /* ... that the node may work on them: then it waits */
#define HEAVY_US 1000000     /* in line with others, and so long afterwards */
#define OVERDUE_US 5000      /* that the first in line waits for a quiet moment */
#define BULK_BYTES 65536     /* read at once from a link that brings much */
#define RECORDS_MAX 64       /* ... they may be tiny */
#define SMALL_BYTES 8192     /* half of what OpenSSL reads ahead */
#define PRIORITIES 3         /* the middle one is what events have when nothing is said */

static bool may_read(const struct conn *conn) {
    return conn->state == CONN_UP && !conn->is_read_stopped && !conn->is_held && !conn->is_slowed;
}

/* Something may be read, even if nobody wants to know it any more. */
static bool wants_input(const struct conn *conn) {
    bool is_closing = conn->state == CONN_FLUSHING || conn->state == CONN_LINGERING;
    return may_read(conn) || (is_closing && !conn->is_slowed);
}

void conn_watch_input(struct conn *conn) {
    if (event_add(&conn->readable, NULL) != 0) {
        conn_kill(conn, ERR_IO);
    }
}

/* Read the socket, or not. What OpenSSL has read ahead is not signalled by the kernel; part of a
 * record may be all of that, so it is looked at once and not whenever it is still there. */
void conn_update_reading(struct conn *conn) {
    if (conn->state < CONN_UP || conn->state == CONN_DEAD) {
        return;
    }
    if (!wants_input(conn) || conn->is_waiting) {
        event_del(&conn->readable);
        return;
    }
    conn_watch_input(conn);
    if (conn->state != CONN_DEAD && SSL_has_pending(conn->ssl)) {
        event_active(&conn->readable, EV_READ, 0);
    }
}

/* ---- Turns ---- */

static void deliver(struct conn *conn, struct slice data) {
    conn->node->host->counts.bytes_in += data.len;
    node_bytes(conn->node, conn->link, data);
}

/* What one link may take of a turn, and what came of it. */
struct turn {
    size_t taken;
    uint64_t until_us;
    bool is_dry;  /* there was no more */
    enum err end; /* why the link is over, OK = it is not */
};

static struct turn turn_begin(void) {
    return (struct turn){.until_us = clock_mono_us() + READ_TURN_US};
}

static bool is_over(const struct turn *turn) {
    return turn->is_dry || turn->taken >= READ_TURN_MAX || clock_mono_us() >= turn->until_us;
}

/* One record, since what many links are to get of it should still be in a near cache when they get
 * it; then as many as fit: the bytes lie in one piece, and a frame is seldom cut. When
 * OpenSSL has less than it could have read ahead, the kernel has no more: it is not asked in vain.
 */
static struct slice read_records(struct conn *conn, struct turn *turn) {
    struct host *host = conn->node->host;
    bool is_one = turn->taken == 0 || flow_is_limited(conn, DIRECTION_IN);
    size_t most = is_one ? 1 : BULK_BYTES - SSL3_RT_MAX_PLAIN_LENGTH;
    size_t len = 0;
    if (host->bulk == NULL) {
        host->bulk = mem_new(BULK_BYTES);
    }
    for (int i = 0; i < RECORDS_MAX && len < most && !turn->is_dry; i++) {
        ERR_clear_error();
        errno = 0;
        int got = SSL_read(conn->ssl, host->bulk + len, SSL3_RT_MAX_PLAIN_LENGTH);
        if (got <= 0) {
            turn->end = conn_trouble(conn, got);
            turn->is_dry = true;
            if (SSL_want_write(conn->ssl)) { /* an answer about keys: it goes first */
                event_del(&conn->readable);
            }
        } else {
            len += (size_t)got;
            turn->is_dry = got < SMALL_BYTES && !SSL_has_pending(conn->ssl);
        }
    }
    turn->taken += len;
    return (struct slice){host->bulk, len};
}

/* Hand the input to the node piece by piece; a step may stop it at any piece, and after each a
 * limit is asked. What a closing link brings is only read. */
static void consume(struct conn *conn, struct turn *turn) {
    do {
        struct slice data = read_records(conn, turn);
        if (data.len > 0 && conn->state == CONN_UP) {
            deliver(conn, data);
        }
    } while (wants_input(conn) && !is_over(turn) && !flow_is_limited(conn, DIRECTION_IN));
}

/* The first in line is read when nothing else is to be done, or at least every few milliseconds. */
static void await_turn(struct host *host) {
    static const struct timeval now = {0};
    static const struct timeval overdue = {.tv_usec = OVERDUE_US};
    event_add(host->heavy, &now);
    event_add(host->overdue, &overdue);
}

/* Get in line behind the other links that bring much. Meanwhile it is not read: the kernel keeps
 * what comes, and soon the other side. */
static void wait_in_line(struct conn *conn) {
    struct host *host = conn->node->host;
    event_del(&conn->readable);
    conn->is_waiting = true;
    conn->next_waiting = NULL;
    conn_pin(conn);
    if (host->waiting_last != NULL) {
        host->waiting_last->next_waiting = conn;
    } else {
        host->waiting_first = conn;
        await_turn(host);
    }
    host->waiting_last = conn;
}

/* One turn of a link: so many bytes, and so long. Whoever needs longer is heavy from then on. */
static void read_turn(struct conn *conn) {
    struct turn turn = turn_begin();
    consume(conn, &turn);
    flow_account(conn);
    if (turn.end != OK) {
        conn_kill(conn, turn.end);
        return;
    }
    flow_want(conn, DIRECTION_IN);
    uint64_t now_us = clock_mono_us();
    if (turn.taken >= READ_TURN_MAX || now_us >= turn.until_us) {
        conn->heavy_until_us = now_us + HEAVY_US;
    }
    if (!turn.is_dry && wants_input(conn)) {
        wait_in_line(conn);
    }
}

/* The other side has gone: what it said before counts. */
void conn_read_last(struct conn *conn) {
    while (may_read(conn)) {
        struct turn turn = turn_begin();
        consume(conn, &turn);
        if (turn.is_dry) {
            break;
        }
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
    struct host *host = context;
    struct conn *conn = take_waiting(host);
    if (conn == NULL) {
        return;
    }
    struct host_node *node = conn->node;
    if (wants_input(conn)) {
        read_turn(conn);
    }
    if (wants_input(conn) && !conn->is_waiting) {
        conn_watch_input(conn);
    }
    conn_unpin(conn);
    if (host->waiting_first != NULL) {
        await_turn(host);
    }
    node_run(node);
}

void conn_read(struct conn *conn) {
    if (!wants_input(conn) || conn->is_waiting) {
        return;
    }
    if (conn->heavy_until_us > clock_mono_us()) {
        wait_in_line(conn);
    } else {
        read_turn(conn);
    }
}

/* ---- Stopping and starting ---- */

void conn_read_stop(struct conn *conn) {
    conn->is_read_stopped = true;
    conn_update_reading(conn);
}

void conn_read_start(struct conn *conn) {
    conn->is_read_stopped = false;
    conn_update_reading(conn);
}

void conn_hold(struct conn *conn, bool hold) {
    if (conn->is_held != hold) {
        conn->is_held = hold;
        conn_update_reading(conn);
    }
}

void conn_slow(struct conn *conn, bool slow) {
    if (conn->is_slowed != slow) {
        conn->is_slowed = slow;
        conn_update_reading(conn);
    }
}

void input_init(struct host *host) {
    CHECK(event_base_priority_init(host->base, PRIORITIES) == 0);
    host->heavy = evtimer_new(host->base, on_heavy, host);
    host->overdue = evtimer_new(host->base, on_heavy, host);
    CHECK(host->heavy != NULL && host->overdue != NULL);
    CHECK(event_priority_set(host->heavy, PRIORITIES - 1) == 0);
}

void input_free(struct host *host) {
    for (struct conn *conn; (conn = take_waiting(host)) != NULL;) {
        conn_unpin(conn);
    }
    event_free(host->heavy);
    event_free(host->overdue);
}
