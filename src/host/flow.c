/* flow.c - keeps a node's traffic within the limits that are set, every byte of every link.
 *
 * What sockets have moved is read from OpenSSL's own counters, so that records, handshakes and
 * goodbyes count too. Whoever may not go on gets in line; the lines of the overlay come first, then
 * those of files; each link has a chunk per turn. To read less, a socket is not read: the kernel's
 * buffers fill, and the other side slows down. */
#include <event2/buffer.h>
#include <string.h>
#include <time.h>

#include "common/check.h"
#include "src/host/conn.h"

#define CHUNK_MAX 16384 /* what one link sends in its turn: a TLS record */
#define PLAN_LOOK_S 5   /* between two looks at the plan */
#define SECOND_US 1000000

/* ---- Counting ---- */

static void count(struct conn *conn, enum direction direction, uint64_t total) {
    struct host_node *node = conn->node;
    uint64_t bytes = total - conn->counted[direction];
    if (bytes == 0) {
        return;
    }
    uint64_t now_us = clock_mono_us();
    conn->counted[direction] = total;
    conn->progress_us = direction == DIRECTION_OUT ? now_us : conn->progress_us;
    node->host->counts.wire[direction][conn->traffic] += bytes;
    throttle_draw(&node->flow.throttle, direction, conn->traffic, bytes, now_us);
}

void flow_account(struct conn *conn) {
    if (conn->ssl != NULL) {
        count(conn, DIRECTION_OUT, BIO_number_written(SSL_get_wbio(conn->ssl)));
        count(conn, DIRECTION_IN, BIO_number_read(SSL_get_rbio(conn->ssl)));
    }
}

bool flow_is_limited(const struct conn *conn, enum direction direction) {
    return throttle_is_limited(&conn->node->flow.throttle, direction, conn->traffic);
}

size_t flow_ahead(const struct conn *conn) {
    const struct throttle *throttle = &conn->node->flow.throttle;
    if (!flow_is_limited(conn, DIRECTION_OUT)) {
        return LINK_OUTPUT_SOFT / 2;
    }
    return throttle_chunk(throttle, DIRECTION_OUT, conn->traffic, LINK_OUTPUT_SOFT / 2);
}

/* ---- Lines ---- */

static void get_in_line(struct conn *conn, enum direction direction) {
    struct flow_line *line = &conn->node->flow.lines[direction][conn->traffic];
    struct flow_place *place = &conn->flow[direction];
    if (place->is_taken) {
        return;
    }
    *place = (struct flow_place){.is_taken = true};
    conn_pin(conn);
    if (line->last != NULL) {
        line->last->flow[direction].next = conn;
    } else {
        line->first = conn;
    }
    line->last = conn;
}

/* The first in line; it stays pinned. */
static struct conn *take_first(struct flow_line *line, enum direction direction) {
    struct conn *conn = line->first;
    line->first = conn->flow[direction].next;
    if (line->first == NULL) {
        line->last = NULL;
    }
    conn->flow[direction] = (struct flow_place){0};
    return conn;
}

/* One turn of one link: a chunk is sent, or it is read again. */
static void have_turn(struct conn *conn, enum direction direction) {
    const struct throttle *throttle = &conn->node->flow.throttle;
    if (direction == DIRECTION_IN) {
        conn_slow(conn, false);
        return;
    }
    if (conn->state != CONN_UP && conn->state != CONN_FLUSHING) {
        return;
    }
    conn_pass(conn, throttle_chunk(throttle, direction, conn->traffic, CHUNK_MAX));
    if (!conn_is_blocked(conn) && evbuffer_get_length(conn->held) > 0) {
        get_in_line(conn, direction); /* who is blocked comes again when it has drained */
    }
}

/* Let through what may go now; return when the next may. */
static uint64_t serve_line(struct host_node *node, enum direction direction,
                           enum traffic_class traffic) {
    struct flow *flow = &node->flow;
    struct flow_line *line = &flow->lines[direction][traffic];
    while (line->first != NULL) {
        uint64_t wait_us = throttle_wait(&flow->throttle, direction, traffic, clock_mono_us());
        if (wait_us > 0) {
            return wait_us;
        }
        struct conn *conn = take_first(line, direction);
        have_turn(conn, direction);
        conn_unpin(conn);
        if (direction == DIRECTION_IN) {
            break; /* what it brings is counted when it is here */
        }
    }
    return line->first != NULL ? 1 : UINT64_MAX;
}

static void serve_lines(struct host_node *node) {
    uint64_t soonest_us = UINT64_MAX;
    for (enum direction direction = 0; direction < DIRECTIONS; direction++) {
        for (enum traffic_class traffic = 0; traffic < TRAFFICS; traffic++) {
            uint64_t wait_us = serve_line(node, direction, traffic);
            soonest_us = wait_us < soonest_us ? wait_us : soonest_us;
        }
    }
    if (soonest_us < UINT64_MAX) {
        uint64_t most_us = 3600ull * SECOND_US;
        uint64_t wait_us = soonest_us < most_us ? soonest_us : most_us;
        struct timeval wait = {.tv_sec = (time_t)(wait_us / SECOND_US),
                               .tv_usec = (suseconds_t)(wait_us % SECOND_US)};
        event_add(&node->flow.again, &wait);
    }
}

static void on_again(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    struct host_node *node = context;
    serve_lines(node);
    node_run(node);
}

void flow_want(struct conn *conn, enum direction direction) {
    struct host_node *node = conn->node;
    if (direction == DIRECTION_IN) {
        if (conn->state == CONN_DEAD || conn->is_slowed || !flow_is_limited(conn, direction) ||
            throttle_wait(&node->flow.throttle, direction, conn->traffic, clock_mono_us()) == 0) {
            return;
        }
        conn_slow(conn, true);
    } else if (conn_is_blocked(conn)) {
        return;
    }
    get_in_line(conn, direction);
    if (!evtimer_pending(&node->flow.again, NULL)) {
        static const struct timeval now = {0};
        event_add(&node->flow.again, &now);
    }
}

/* ---- Limits ---- */

/* The minute of the week, by the clock on the wall here. */
static uint32_t minute_of_week(void) {
    time_t now = (time_t)clock_wall_s();
    struct tm local;
    if (localtime_r(&now, &local) == NULL) {
        return 0;
    }
    uint32_t day = (uint32_t)(local.tm_wday + 6) % 7;
    return (day * 24 + (uint32_t)local.tm_hour) * 60 + (uint32_t)local.tm_min;
}

static void set_rates(struct host_node *node) {
    struct flow *flow = &node->flow;
    struct throttle *throttle = &flow->throttle;
    uint64_t now_us = clock_mono_us();
    flow->rates = rateplan_at(&flow->plan, minute_of_week());
    const uint64_t *of = flow->rates.of;
    bucket_set(&throttle->all[DIRECTION_OUT], of[RATE_UP], now_us);
    bucket_set(&throttle->all[DIRECTION_IN], of[RATE_DOWN], now_us);
    bucket_set(&throttle->of[DIRECTION_OUT][TRAFFIC_FILES], of[RATE_UPLOADS], now_us);
    bucket_set(&throttle->of[DIRECTION_IN][TRAFFIC_FILES], of[RATE_DOWNLOADS], now_us);
    bucket_set(&throttle->of[DIRECTION_OUT][TRAFFIC_OVERLAY], of[RATE_OVERLAY], now_us);
    bucket_set(&throttle->of[DIRECTION_IN][TRAFFIC_OVERLAY], of[RATE_OVERLAY], now_us);
    rates_format(flow->text, &flow->rates);
    node->host->counts.limits = flow->text;
}

/* The plan goes by the clock on the wall, which may jump: it is asked every few seconds. */
static void on_minute(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    struct host_node *node = context;
    char before[RATE_TEXT_BYTES];
    memcpy(before, node->flow.text, sizeof before);
    set_rates(node);
    if (strcmp(before, node->flow.text) != 0) {
        log_info(&node->host->log, "flow.limits %s", node->flow.text);
        serve_lines(node); /* perhaps there is nothing to wait for any more */
    }
    node_run(node);
}

static bool depends_on_time(const struct rateplan *plan) {
    for (uint32_t i = 0; i < plan->count; i++) {
        if (!rate_row_is_always(&plan->rows[i])) {
            return true;
        }
    }
    return false;
}

static void set_plan(struct host_node *node, const struct rateplan *plan) {
    static const struct timeval look = {.tv_sec = PLAN_LOOK_S};
    node->flow.plan = *plan;
    set_rates(node);
    event_del(&node->flow.minute);
    if (depends_on_time(plan)) {
        event_add(&node->flow.minute, &look);
    }
}

void flow_init(struct host_node *node, const struct rateplan *plan) {
    static const struct rateplan none = {0};
    struct event_base *base = node->host->base;
    evtimer_assign(&node->flow.again, base, on_again, node);
    CHECK(event_assign(&node->flow.minute, base, -1, EV_PERSIST, on_minute, node) == 0);
    set_plan(node, plan != NULL ? plan : &none);
}

void flow_free(struct host_node *node) {
    event_del(&node->flow.again);
    event_del(&node->flow.minute);
    if (node->host->counts.limits == node->flow.text) {
        node->host->counts.limits = NULL;
    }
    for (enum direction direction = 0; direction < DIRECTIONS; direction++) {
        for (enum traffic_class traffic = 0; traffic < TRAFFICS; traffic++) {
            struct flow_line *line = &node->flow.lines[direction][traffic];
            while (line->first != NULL) {
                conn_unpin(take_first(line, (enum direction)direction));
            }
        }
    }
}

const struct rateplan *host_limits(const struct host_node *node) {
    return &node->flow.plan;
}

struct rates host_rates(const struct host_node *node) {
    return node->flow.rates;
}

void host_limit(struct host_node *node, const struct rateplan *plan) {
    set_plan(node, plan);
    log_info(&node->host->log, "flow.limits %s", node->flow.text);
    serve_lines(node);
}
