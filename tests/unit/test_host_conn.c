/* test_host_conn.c - links of the driver: what is promised to nodes, and libevent's pitfalls. */
#include <event2/event.h>
#include <malloc.h>
#include <openssl/err.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/unit/hostlib.h"

struct pair {
    struct host *host;
    struct probe probes[2]; /* the first dials the second */
    size_t to_send;
    size_t sent;
    bool is_in_order;
    uint8_t next;
    int busy_fd; /* always writable */
    struct event *busy;
};

static void stop(struct pair *pair) {
    host_stop(pair->host);
}

/* Run two nodes with these scripts until one of them calls stop(). */
static void run_pair(struct pair *pair, probe_fn *dialler, probe_fn *listener) {
    pair->host = test_host();
    pair->is_in_order = true;
    pair->probes[0].on = dialler;
    pair->probes[1].on = listener;
    for (uint8_t i = 0; i < 2; i++) {
        pair->probes[i].context = pair;
    }
    probe_add(pair->host, &pair->probes[1], 12);
    probe_add(pair->host, &pair->probes[0], 11);
    assert_int_equal(host_run(pair->host), 0);
    if (pair->busy != NULL) {
        event_free(pair->busy);
    }
    test_host_done(pair->host, pair->probes, 2);
}

/* Send `len` bytes that count on from where the last ones ended. */
static void send_counting(struct pair *pair, struct outbox *out, uint32_t link, size_t len) {
    uint8_t *bytes = mem_new(len);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)((pair->sent + i) * 7 >> 3);
    }
    outbox_write(out, link, (struct slice){bytes, len});
    pair->sent += len;
    mem_free(bytes);
}

static void check_counting(struct pair *pair, size_t before, struct slice data) {
    for (size_t i = 0; i < data.len; i++) {
        pair->is_in_order = pair->is_in_order && data.data[i] == (uint8_t)((before + i) * 7 >> 3);
    }
}

static void check_order(struct probe *probe, const struct node_event *event) {
    if (event->kind == NODE_LINK_BYTES) {
        struct pair *pair = probe->context;
        check_counting(pair, probe->bytes - event->bytes.data.len, event->bytes.data);
    }
}

static void dial_at_start(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct pair *pair = probe->context;
    if (event->kind == NODE_START) {
        probe_dial(&pair->probes[1], out, 5);
    }
}

/* ---- Two nodes in one process meet, talk and part ---- */

static void greet(struct probe *probe, const struct node_event *event, struct outbox *out) {
    dial_at_start(probe, event, out);
    if (event->kind == NODE_LINK_UP) {
        assert_int_equal(event->up.token, 5);
        assert_int_equal(event->up.remote.ip[3], 12);
        outbox_write(out, event->up.link, test_slice("hello"));
    } else if (event->kind == NODE_LINK_BYTES) {
        probe_act(out, ACTION_CLOSE, event->bytes.link);
        probe_act(out, ACTION_CLOSE, event->bytes.link); /* twice is harmless */
    } else if (event->kind == NODE_LINK_DOWN) {
        probe_wake(probe, event, 50);
    } else if (event->kind == NODE_TIMER) {
        stop(probe->context);
    }
}

static void answer(struct probe *probe, const struct node_event *event, struct outbox *out) {
    (void)probe;
    if (event->kind == NODE_LINK_UP) {
        assert_int_equal(event->up.token, 0);
        assert_int_equal(event->up.remote.ip[3], 11); /* dialled from its own address */
    } else if (event->kind == NODE_LINK_BYTES) {
        outbox_write(out, event->bytes.link, test_slice("welcome"));
    }
}

static void test_meet_and_part(void **state) {
    (void)state;
    struct pair pair = {0};
    struct node_id ids[2];
    pair.host = NULL;
    run_pair(&pair, greet, answer);
    const struct probe *a = &pair.probes[0];
    const struct probe *b = &pair.probes[1];
    (void)ids;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pair.probes[i].counts[NODE_LINK_UP], 1);
        assert_int_equal(pair.probes[i].counts[NODE_LINK_DOWN], 1);
        assert_int_equal(pair.probes[i].reason, ERR_CLOSED);
    }
    assert_int_equal(a->bytes, 7);
    assert_int_equal(b->bytes, 5);
    assert_memory_equal(&a->exporter, &b->exporter, sizeof a->exporter);
}

/* ---- Nothing is lost by closing: 200,000 bytes, then CLOSE at once ---- */

static void blurt_at_once(struct probe *probe, const struct node_event *event, struct outbox *out) {
    dial_at_start(probe, event, out);
    if (event->kind == NODE_LINK_UP) {
        send_counting(probe->context, out, event->up.link, 200000);
        probe_act(out, ACTION_CLOSE, event->up.link);
    }
}

/* The same by one who does not read what the other side says. */
static void blurt(struct probe *probe, const struct node_event *event, struct outbox *out) {
    dial_at_start(probe, event, out);
    if (event->kind == NODE_LINK_UP) {
        send_counting(probe->context, out, event->up.link, 200000);
        probe_act(out, ACTION_READ_STOP, event->up.link);
        probe_wake(probe, event, 30); /* time for the other side's words to come, unread */
    } else if (event->kind == NODE_TIMER) {
        probe_act(out, ACTION_CLOSE, probe->link);
    }
}

static void talk_back(struct pair *pair, struct outbox *out, uint32_t link) {
    size_t sent = pair->sent;
    send_counting(pair, out, link, 100000);
    pair->sent = sent;
}

static void listen_to_all(struct probe *probe, const struct node_event *event, struct outbox *out) {
    (void)out;
    check_order(probe, event);
    if (event->kind == NODE_LINK_UP) {
        talk_back(probe->context, out, event->up.link);
    } else if (event->kind == NODE_LINK_DOWN) {
        stop(probe->context);
    }
}

static void test_close_flushes(void **state) {
    (void)state;
    for (int i = 0; i < 10; i++) {
        struct pair pair = {0};
        run_pair(&pair, i % 2 == 0 ? blurt : blurt_at_once, listen_to_all);
        assert_int_equal(pair.probes[1].bytes, 200000);
        assert_true(pair.is_in_order);
        assert_int_equal(pair.probes[1].reason, ERR_CLOSED);
        assert_int_equal(pair.probes[0].counts[NODE_LINK_DOWN], 1);
    }
}

/* The reader stops at once and comes back after a while; the writer has closed long ago. */
static void listen_late(struct probe *probe, const struct node_event *event, struct outbox *out) {
    check_order(probe, event);
    if (event->kind == NODE_LINK_UP) {
        probe_act(out, ACTION_READ_STOP, event->up.link);
        probe_wake(probe, event, 400);
    } else if (event->kind == NODE_TIMER) {
        assert_int_equal(probe->bytes, 0);
        probe_act(out, ACTION_READ_START, probe->link);
    } else if (event->kind == NODE_LINK_DOWN) {
        stop(probe->context);
    }
}

static void test_close_waits_for_slow_reader(void **state) {
    (void)state;
    struct pair pair = {0};
    run_pair(&pair, blurt, listen_late);
    assert_int_equal(pair.probes[1].bytes, 200000);
    assert_true(pair.is_in_order);
}

/* ---- Backpressure ---- */

#define STREAM_BYTES 12000000
#define STREAM_CHUNK 60000

static void pour(struct probe *probe, struct outbox *out) {
    struct pair *pair = probe->context;
    bool is_stalled = probe->counts[NODE_LINK_STALLED] > probe->counts[NODE_LINK_READY];
    if (!is_stalled && pair->sent < pair->to_send) {
        size_t left = pair->to_send - pair->sent;
        send_counting(pair, out, probe->link, left < STREAM_CHUNK ? left : STREAM_CHUNK);
    }
}

static void stream(struct probe *probe, const struct node_event *event, struct outbox *out) {
    dial_at_start(probe, event, out);
    if (event->kind == NODE_LINK_UP || event->kind == NODE_LINK_READY ||
        event->kind == NODE_TIMER) {
        pour(probe, out);
        probe->wake_us = event->mono_us + 1;
    }
    if (event->kind == NODE_LINK_STALLED || event->kind == NODE_LINK_DOWN) {
        probe->wake_us = 0;
    }
}

/* Stops at every piece, starts again a little later. */
static void sip(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct pair *pair = probe->context;
    check_order(probe, event);
    if (event->kind == NODE_LINK_BYTES) {
        probe_act(out, ACTION_READ_STOP, event->bytes.link);
        probe_wake(probe, event, 1);
        if (probe->bytes == pair->to_send) {
            stop(pair);
        }
    } else if (event->kind == NODE_TIMER) {
        probe_act(out, ACTION_READ_START, probe->link);
    }
}

static void test_stop_and_start(void **state) {
    (void)state;
    struct pair pair = {.to_send = STREAM_BYTES};
    run_pair(&pair, stream, sip);
    assert_int_equal(pair.probes[1].bytes, STREAM_BYTES);
    assert_true(pair.is_in_order);
    assert_true(pair.probes[0].counts[NODE_LINK_STALLED] > 0);
    assert_int_equal(pair.probes[0].reason, pair.probes[0].counts[NODE_LINK_DOWN] > 0
                                                ? ERR_CLOSED
                                                : OK); /* never cut for being slow */
}

static void gulp(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct pair *pair = probe->context;
    (void)out;
    check_order(probe, event);
    if (event->kind == NODE_LINK_BYTES && probe->bytes == pair->to_send) {
        stop(pair);
    }
}

static void test_stream_whole(void **state) {
    (void)state;
    struct pair pair = {.to_send = 3 * STREAM_BYTES};
    run_pair(&pair, stream, gulp);
    assert_int_equal(pair.probes[1].bytes, 3 * STREAM_BYTES);
    assert_true(pair.is_in_order);
}

/* Whoever brings much waits for those who bring little, but not for ever: here there is always
 * something else to do. */
static void nothing(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    (void)context;
}

static void gulp_beside_others(struct probe *probe, const struct node_event *event,
                               struct outbox *out) {
    struct pair *pair = probe->context;
    if (event->kind == NODE_START) {
        pair->busy =
            event_new(host_base(pair->host), pair->busy_fd, EV_WRITE | EV_PERSIST, nothing, NULL);
        assert_int_equal(event_add(pair->busy, NULL), 0);
        probe_wake(probe, event, 30000); /* it would wait for ever */
    }
    gulp(probe, event, out);
    if (event->kind == NODE_TIMER) {
        stop(pair);
    }
}

static void test_heavy_beside_others(void **state) {
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    struct pair pair = {.to_send = 3 * STREAM_BYTES, .busy_fd = fds[1]};
    run_pair(&pair, stream, gulp_beside_others);
    assert_int_equal(pair.probes[1].bytes, 3 * STREAM_BYTES);
    assert_true(pair.is_in_order);
    close(fds[0]);
    close(fds[1]);
}

/* A reader that stops for good: STALLED at the soft mark, cut at the hard one. */
static void flood(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct pair *pair = probe->context;
    dial_at_start(probe, event, out);
    if (event->kind == NODE_LINK_UP || event->kind == NODE_TIMER) {
        send_counting(pair, out, probe->link, STREAM_CHUNK);
        probe_wake(probe, event, 1);
    } else if (event->kind == NODE_LINK_DOWN) {
        probe->wake_us = 0;
        stop(pair);
    }
}

static void ignore(struct probe *probe, const struct node_event *event, struct outbox *out) {
    (void)probe;
    if (event->kind == NODE_LINK_UP) {
        probe_act(out, ACTION_READ_STOP, event->up.link);
    }
}

static void test_hard_cap_cuts(void **state) {
    (void)state;
    struct pair pair = {0};
    run_pair(&pair, flood, ignore);
    const struct probe *writer = &pair.probes[0];
    assert_true(writer->counts[NODE_LINK_STALLED] >= 1); /* the kernel's buffers may grow yet */
    assert_int_equal(writer->counts[NODE_LINK_DOWN], 1);
    assert_int_equal(writer->reason, ERR_STALLED);
    assert_true(pair.sent >= LINK_OUTPUT_HARD);
    assert_true(pair.sent < 32u << 20); /* the most the kernel's two buffers can hide */
}

/* ---- Dials that fail ---- */

static void dial_wrong_id(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct pair *pair = probe->context;
    if (event->kind == NODE_START) {
        probe_dial(&pair->probes[1], out, 9);
        out->actions[0].id.b[0] ^= 1;
    } else if (event->kind == NODE_DIAL_FAILED) {
        assert_int_equal(event->dial.token, 9);
        probe_wake(probe, event, 100);
    } else if (event->kind == NODE_TIMER) {
        stop(pair);
    }
}

static void test_wrong_id(void **state) {
    (void)state;
    struct pair pair = {0};
    run_pair(&pair, dial_wrong_id, NULL);
    assert_int_equal(pair.probes[0].reason, ERR_AUTH);
    assert_int_equal(pair.probes[0].counts[NODE_LINK_UP], 0);
    assert_int_equal(pair.probes[1].counts[NODE_LINK_UP], 0);
}

/* A node that dials again at every failure must not keep the loop from its work. */
static void dial_nobody(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct pair *pair = probe->context;
    if (event->kind == NODE_START) {
        probe_wake(probe, event, 200);
    }
    if (event->kind == NODE_TIMER) {
        stop(pair);
    } else if (event->kind == NODE_START || event->kind == NODE_DIAL_FAILED) {
        probe_dial(&pair->probes[1], out, 9);
        out->actions[0].address.port = 1;
    }
}

static void test_refused_again_and_again(void **state) {
    (void)state;
    struct pair pair = {0};
    double start = seconds_now();
    run_pair(&pair, dial_nobody, NULL);
    assert_int_equal(pair.probes[0].reason, ERR_REFUSED);
    assert_true(pair.probes[0].counts[NODE_DIAL_FAILED] > 10);
    assert_true(seconds_now() - start < 5);
}

/* ---- Strangers ---- */

/* A stranger on a thread of its own, and one node that serves or dials it. */
struct visit {
    struct host *host;
    struct probe probe;
    struct address address;
    struct node_id id;
    int listener;
    pthread_t thread;
    bool is_ok;
    bool is_rude;
    uint64_t turn;          /* of those turned away */
    uint16_t retry_after_s; /* of the dial that failed */
    atomic_bool is_over;
    void *(*stranger)(void *visit);
};

static void serve(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct visit *visit = probe->context;
    if (event->kind == NODE_LINK_BYTES) {
        outbox_write(out, event->bytes.link, test_slice("ok"));
    } else if (event->kind == NODE_LINK_DOWN) {
        host_stop(visit->host);
    }
}

static void run_visit(struct visit *visit, probe_fn *script) {
    visit->host = test_host();
    visit->probe.on = script;
    visit->probe.context = visit;
    probe_add(visit->host, &visit->probe, 21);
    visit->address = host_node_address(visit->probe.node);
    visit->id = *host_node_id(visit->probe.node);
    assert_int_equal(pthread_create(&visit->thread, NULL, visit->stranger, visit), 0);
    assert_int_equal(host_run(visit->host), 0);
    pthread_join(visit->thread, NULL);
    test_host_done(visit->host, &visit->probe, 1);
}

/* Ends without close_notify: for us an end like any other, not an error of TLS. */
static void *leave_without_a_word(void *context) {
    struct visit *visit = context;
    struct stranger stranger = {0};
    char byte;
    visit->is_ok = stranger_start(&stranger, stranger_connect(&visit->address), &visit->id) &&
                   SSL_write(stranger.ssl, "x", 1) == 1 && SSL_read(stranger.ssl, &byte, 1) == 1;
    stranger_free(&stranger);
    return NULL;
}

static void test_dirty_end(void **state) {
    (void)state;
    struct visit visit = {.stranger = leave_without_a_word};
    run_visit(&visit, serve);
    assert_true(visit.is_ok);
    assert_int_equal(visit.probe.counts[NODE_LINK_UP], 1);
    assert_int_equal(visit.probe.reason, ERR_CLOSED);
}

/* Closing says so: the other side can tell our end from a cut, whatever its options. */
static void close_at_once(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct visit *visit = probe->context;
    if (event->kind == NODE_LINK_BYTES) {
        outbox_write(out, event->bytes.link, test_slice("bye"));
        probe_act(out, ACTION_CLOSE, event->bytes.link);
    } else if (event->kind == NODE_LINK_DOWN) {
        host_stop(visit->host);
    }
}

static void *hear_the_end(void *context) {
    struct visit *visit = context;
    struct stranger stranger = {0};
    char bytes[8];
    bool is_up = stranger_start(&stranger, stranger_connect(&visit->address), &visit->id);
    SSL_clear_options(stranger.ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
    visit->is_ok = is_up && SSL_write(stranger.ssl, "x", 1) == 1 &&
                   SSL_read(stranger.ssl, bytes, sizeof bytes) == 3 &&
                   SSL_read(stranger.ssl, bytes, sizeof bytes) == 0 &&
                   SSL_get_shutdown(stranger.ssl) == SSL_RECEIVED_SHUTDOWN;
    stranger_free(&stranger);
    return NULL;
}

static void test_close_says_so(void **state) {
    (void)state;
    struct visit visit = {.stranger = hear_the_end};
    run_visit(&visit, close_at_once);
    assert_true(visit.is_ok);
}

/* Hears our end and does not end itself: its socket is not kept for ever. */
static void *never_close(void *context) {
    struct visit *visit = context;
    struct stranger stranger = {0};
    char bytes[8];
    bool is_up = stranger_start(&stranger, stranger_connect(&visit->address), &visit->id) &&
                 SSL_write(stranger.ssl, "x", 1) == 1 &&
                 SSL_read(stranger.ssl, bytes, sizeof bytes) == 3 &&
                 SSL_read(stranger.ssl, bytes, sizeof bytes) == 0;
    double start_s = seconds_now();
    double waited_s = 0;
    while (is_up && waited_s < 10 && SSL_write(stranger.ssl, "x", 1) == 1) {
        usleep(50000);
        waited_s = seconds_now() - start_s;
    }
    visit->is_ok = is_up && waited_s > 1 && waited_s < 5;
    stranger_free(&stranger);
    atomic_store(&visit->is_over, true);
    return NULL;
}

static void close_and_go_on(struct probe *probe, const struct node_event *event,
                            struct outbox *out) {
    struct visit *visit = probe->context;
    if (event->kind == NODE_LINK_BYTES) {
        outbox_write(out, event->bytes.link, test_slice("bye"));
        probe_act(out, ACTION_CLOSE, event->bytes.link);
    }
    probe_wake(probe, event, 100);
    if (atomic_load(&visit->is_over)) {
        host_stop(visit->host);
    }
}

static void test_lingering_ends(void **state) {
    (void)state;
    struct visit visit = {.stranger = never_close};
    run_visit(&visit, close_and_go_on);
    assert_true(visit.is_ok);
}

/* Many small messages of one step leave in one TLS record: one SSL_read brings them all. */
static void chatter(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct visit *visit = probe->context;
    if (event->kind == NODE_LINK_BYTES) {
        uint8_t message[700] = {1};
        for (int i = 0; i < 16; i++) {
            struct action *action =
                outbox_add_bytes(out, ACTION_WRITE, (struct slice){message, sizeof message});
            action->link = event->bytes.link;
        }
    } else if (event->kind == NODE_LINK_DOWN) {
        host_stop(visit->host);
    }
}

static void *read_once(void *context) {
    struct visit *visit = context;
    struct stranger stranger = {0};
    char bytes[16384];
    visit->is_ok = stranger_start(&stranger, stranger_connect(&visit->address), &visit->id) &&
                   SSL_write(stranger.ssl, "x", 1) == 1 &&
                   SSL_read(stranger.ssl, bytes, sizeof bytes) == 16 * 700;
    stranger_free(&stranger);
    return NULL;
}

static void test_one_record_per_turn(void **state) {
    (void)state;
    struct visit visit = {.stranger = read_once};
    run_visit(&visit, chatter);
    assert_true(visit.is_ok);
}

/* Goes while we write and do not read. After a reset the next write fails with ECONNRESET; after
 * an end that we have not read, with EPIPE, and SIGPIPE would end the process. */
static void *leave_a_writer(void *context) {
    struct visit *visit = context;
    struct stranger stranger = {0};
    visit->is_ok = stranger_start(&stranger, stranger_connect(&visit->address), &visit->id);
    struct linger linger = {.l_onoff = 1};
    if (visit->is_rude) {
        setsockopt(stranger.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    stranger_free(&stranger);
    return NULL;
}

static void keep_writing(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct visit *visit = probe->context;
    if (event->kind == NODE_LINK_UP || event->kind == NODE_TIMER) {
        probe_act(out, ACTION_READ_STOP, probe->link);
        outbox_write(out, probe->link, test_slice("are you there?"));
        probe_wake(probe, event, 5);
    } else if (event->kind == NODE_LINK_DOWN) {
        probe->wake_us = 0;
        host_stop(visit->host);
    }
}

static void test_sigpipe_survived(void **state) {
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct visit visit = {.stranger = leave_a_writer, .is_rude = i % 2 == 0};
        run_visit(&visit, keep_writing);
        assert_true(visit.is_ok);
        assert_int_equal(visit.probe.counts[NODE_LINK_DOWN], 1);
        assert_int_equal(visit.probe.reason, ERR_CLOSED); /* not ERR_AUTH: nobody lied */
    }
}

/* Dialled, and reset in the middle of TLS, as by a supernode that is killed just then. */
static void *reset_the_caller(void *context) {
    struct visit *visit = context;
    struct linger linger = {.l_onoff = 1};
    char bytes[64];
    int fd = accept(visit->listener, NULL, NULL);
    visit->is_ok = read(fd, bytes, sizeof bytes) > 0 &&
                   setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0;
    close(fd);
    return NULL;
}

/* Dialled, and turned away: at once, or with a ClientHello unread, so that a reset follows. */
static void *turn_away(void *context) {
    struct visit *visit = context;
    int fd = accept(visit->listener, NULL, NULL);
    usleep(visit->is_rude ? 50000 : 0);
    tls_say_busy(fd, visit->turn);
    visit->is_ok = close(fd) == 0;
    return NULL;
}

/* A server that refuses us: TLS 1.3 tells us after we thought we were connected. */
static int refuse(X509_STORE_CTX *store, void *context) {
    (void)store;
    (void)context;
    return 0;
}

static void *serve_refusing(void *context) {
    struct visit *visit = context;
    struct stranger stranger = {.context = tls_context_new(NULL),
                                .identity = identity_ephemeral((const uint8_t[32]){7})};
    stranger.fd = accept(visit->listener, NULL, NULL);
    SSL_CTX_set_cert_verify_callback(stranger.context, refuse, NULL);
    stranger.ssl = tls_new(stranger.context, stranger.identity, &stranger.peer);
    SSL_set_fd(stranger.ssl, stranger.fd);
    visit->is_ok = SSL_accept(stranger.ssl) != 1;
    stranger_free(&stranger);
    return NULL;
}

static void dial_stranger(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct visit *visit = probe->context;
    if (event->kind == NODE_START) {
        struct identity *identity = identity_ephemeral((const uint8_t[32]){7});
        struct action *action = outbox_add(out, ACTION_DIAL);
        action->token32 = 3;
        action->id = *identity_id(identity);
        action->address = (struct address){.family = ADDRESS_IPV4, .ip = {127, 0, 0, 22}};
        action->address.port = visit->address.port;
        identity_free(identity);
    } else if (event->kind == NODE_LINK_DOWN || event->kind == NODE_DIAL_FAILED) {
        visit->retry_after_s = event->kind == NODE_DIAL_FAILED ? event->dial.retry_after_s : 0;
        host_stop(visit->host);
    }
}

static int listen_on_22(uint16_t *port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(0x7f000016)}};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

/* One node dials a stranger who does this with its one caller. */
static void run_dial(struct visit *visit) {
    visit->listener = listen_on_22(&visit->address.port);
    visit->host = test_host();
    visit->probe.on = dial_stranger;
    visit->probe.context = visit;
    assert_int_equal(pthread_create(&visit->thread, NULL, visit->stranger, visit), 0);
    probe_add(visit->host, &visit->probe, 21);
    assert_int_equal(host_run(visit->host), 0);
    pthread_join(visit->thread, NULL);
    test_host_done(visit->host, &visit->probe, 1);
    close(visit->listener);
    assert_true(visit->is_ok);
}

static void test_reset_while_dialling(void **state) {
    (void)state;
    struct visit visit = {.stranger = reset_the_caller};
    run_dial(&visit);
    assert_int_equal(visit.probe.counts[NODE_DIAL_FAILED], 1);
    assert_int_equal(visit.probe.reason, ERR_CLOSED); /* the address is as good as before */
}

static void test_busy_while_dialling(void **state) {
    (void)state;
    for (uint64_t turn = 0; turn < 8; turn++) {
        struct visit visit = {.stranger = turn_away, .is_rude = turn % 2 == 0, .turn = turn};
        run_dial(&visit);
        assert_int_equal(visit.probe.counts[NODE_DIAL_FAILED], 1);
        assert_int_equal(visit.probe.reason, ERR_BUSY);
        assert_int_equal(visit.retry_after_s, 1 << (TLS_BUSY_SHIFT_MIN + turn % 4));
    }
    assert_int_equal(tls_busy_s(ERR_PACK(ERR_LIB_SSL, 0, SSL_AD_REASON_OFFSET + TLS_ALERT_BUSY)),
                     0);
    assert_int_equal(tls_busy_s(ERR_PACK(ERR_LIB_SSL, 0, SSL_AD_REASON_OFFSET + 255)), 0);
    assert_int_equal(tls_busy_s(ERR_PACK(ERR_LIB_X509, 0, SSL_AD_REASON_OFFSET + 226)), 0);
}

static void test_refused_after_connected(void **state) {
    (void)state;
    struct visit visit = {.stranger = serve_refusing};
    run_dial(&visit);
    assert_int_equal(visit.probe.counts[NODE_LINK_UP], 1); /* this is why WELCOME exists */
    assert_int_equal(visit.probe.counts[NODE_LINK_DOWN], 1);
    assert_int_equal(visit.probe.reason, ERR_AUTH);
}

/* Connects and says nothing: gone after the handshake's time, and no link for the node. */
static void *say_nothing(void *context) {
    struct visit *visit = context;
    int fd = stranger_connect(&visit->address);
    double start = seconds_now();
    char byte;
    ssize_t got = read(fd, &byte, 1);
    double waited = seconds_now() - start;
    visit->is_ok = got <= 0 && waited > HANDSHAKE_TIMEOUT_MS / 1000.0 - 1 &&
                   waited < HANDSHAKE_TIMEOUT_MS / 1000.0 + 3;
    close(fd);
    atomic_store(&visit->is_over, true);
    return NULL;
}

static void tick(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct visit *visit = probe->context;
    (void)out;
    probe_wake(probe, event, 100);
    if (atomic_load(&visit->is_over)) {
        host_stop(visit->host);
    }
}

static void test_silent_handshake_ends(void **state) {
    (void)state;
    struct visit visit = {.stranger = say_nothing};
    run_visit(&visit, tick);
    assert_true(visit.is_ok);
    assert_int_equal(visit.probe.counts[NODE_LINK_UP], 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meet_and_part),
        cmocka_unit_test(test_one_record_per_turn),
        cmocka_unit_test(test_close_flushes),
        cmocka_unit_test(test_close_waits_for_slow_reader),
        cmocka_unit_test(test_stop_and_start),
        cmocka_unit_test(test_stream_whole),
        cmocka_unit_test(test_heavy_beside_others),
        cmocka_unit_test(test_hard_cap_cuts),
        cmocka_unit_test(test_wrong_id),
        cmocka_unit_test(test_refused_again_and_again),
        cmocka_unit_test(test_dirty_end),
        cmocka_unit_test(test_close_says_so),
        cmocka_unit_test(test_lingering_ends),
        cmocka_unit_test(test_sigpipe_survived),
        cmocka_unit_test(test_reset_while_dialling),
        cmocka_unit_test(test_busy_while_dialling),
        cmocka_unit_test(test_refused_after_connected),
        cmocka_unit_test(test_silent_handshake_ends),
    };
    alarm(290);
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
