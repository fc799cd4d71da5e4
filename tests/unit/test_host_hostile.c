/* test_host_hostile.c - strangers who shake hands as they should and then abuse TLS. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "common/rateplan.h"
#include "tests/unit/hostlib.h"

#define KEY_UPDATES 40000
#define TINY_RECORDS 60000
#define FLOOD_MAX (16 << 20) /* the most that the kernel's buffers and the limit let through */

/* A stranger on a thread of its own, and one node that serves it and looks at its clock. */
struct visit {
    struct host *host;
    struct probe probe;
    struct address address;
    struct node_id id;
    pthread_t thread;
    struct stranger stranger;
    bool is_ok;
    bool is_chatty; /* the node sends much */
    bool is_limited;
    bool is_saying;      /* ... or a little now and then, until: */
    atomic_bool is_full; /* the kernel takes no more */
    double cpu_s;        /* that all of us used while the stranger waited */
    uint64_t taken;      /* bytes of the socket, when the link ended */
    size_t most;         /* bytes in one piece */
    size_t sent;
    atomic_bool is_over;
    void *(*act)(void *visit);
};

static double cpu_now(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* "c": close, "p": pour, "s": say a little, other bytes only count. */
static void host_it(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct visit *visit = probe->context;
    static const uint8_t bytes[60000];
    if (event->kind == NODE_LINK_DOWN) {
        visit->taken = host_counts(visit->host)->wire[DIRECTION_IN][TRAFFIC_OVERLAY];
    }
    if (event->kind == NODE_LINK_BYTES) {
        struct slice data = event->bytes.data;
        visit->most = data.len > visit->most ? data.len : visit->most;
        visit->is_chatty = visit->is_chatty || data.data[0] == 'p';
        visit->is_saying = visit->is_saying || data.data[0] == 's';
        if (data.data[0] == 'c') {
            outbox_write(out, event->bytes.link, test_slice("bye"));
            probe_act(out, ACTION_CLOSE, event->bytes.link);
        }
    }
    if (visit->is_chatty && probe->counts[NODE_LINK_STALLED] == 0) {
        outbox_write(out, probe->link, (struct slice){bytes, sizeof bytes});
        visit->sent += sizeof bytes;
    }
    if (visit->is_saying && event->kind == NODE_TIMER && !atomic_load(&visit->is_full)) {
        outbox_write(out, probe->link, (struct slice){bytes, 1000});
        visit->sent += 1000;
    }
    probe_wake(probe, event, 10);
    if (atomic_load(&visit->is_over)) {
        host_stop(visit->host);
    }
}

static void *be_strange(void *context) {
    struct visit *visit = context;
    struct stranger *stranger = &visit->stranger;
    if (stranger_start(stranger, stranger_connect(&visit->address), &visit->id)) {
        visit->act(visit);
    }
    stranger_free(stranger);
    atomic_store(&visit->is_over, true);
    return NULL;
}

static void run_visit(struct visit *visit) {
    struct rateplan plan = {.count = 1};
    visit->host = test_host();
    visit->probe.on = host_it;
    visit->probe.context = visit;
    probe_add(visit->host, &visit->probe, 31);
    if (visit->is_limited) {
        const char *why, *at;
        assert_int_equal(rate_row_parse(&plan.rows[0], "down=64K", &why, &at), OK);
        host_limit(visit->probe.node, &plan);
    }
    visit->address = host_node_address(visit->probe.node);
    visit->id = *host_node_id(visit->probe.node);
    assert_int_equal(pthread_create(&visit->thread, NULL, be_strange, visit), 0);
    assert_int_equal(host_run(visit->host), 0);
    pthread_join(visit->thread, NULL);
    test_host_done(visit->host, &visit->probe, 1);
    assert_true(visit->is_ok);
    assert_int_equal(visit->probe.counts[NODE_LINK_UP], 1);
}

static bool write_raw(int fd, const void *bytes, size_t len) {
    return send(fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static bool says(struct stranger *stranger, const char *text) {
    return SSL_write(stranger->ssl, text, (int)strlen(text)) == (int)strlen(text);
}

/* Wait, and note what the host does meanwhile. */
static void rest(struct visit *visit, useconds_t us) {
    double before_s = cpu_now();
    usleep(us);
    visit->cpu_s = cpu_now() - before_s;
}

/* ---- Half a record on a link that is closing: it is waited for, not looked at again and again */

static void *send_half_a_record(void *context) {
    struct visit *visit = context;
    static const uint8_t half[20] = {0x17, 3, 3, 1, 0};
    visit->is_ok = says(&visit->stranger, "c") && write_raw(visit->stranger.fd, half, sizeof half);
    rest(visit, 1000000);
    return NULL;
}

static void test_half_a_record(void **state) {
    (void)state;
    struct visit visit = {.act = send_half_a_record};
    run_visit(&visit);
    assert_true(visit.cpu_s < 0.3);
}

/* ---- Records that bring nothing: OpenSSL takes one after the other inside of one call */

/* What the stranger says from now on is collected. */
static BIO *collect(struct stranger *stranger) {
    BIO *said = BIO_new(BIO_s_mem());
    SSL_set0_wbio(stranger->ssl, said);
    return said;
}

static bool send_collected(struct stranger *stranger, BIO *said) {
    char *bytes;
    long len = BIO_get_mem_data(said, &bytes);
    return write_raw(stranger->fd, bytes, (size_t)len);
}

static void *send_keys(void *context) {
    struct visit *visit = context;
    struct stranger *stranger = &visit->stranger;
    BIO *said = collect(stranger);
    visit->is_ok = true;
    for (int i = 0; i < KEY_UPDATES; i++) {
        visit->is_ok = visit->is_ok &&
                       SSL_key_update(stranger->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 &&
                       SSL_do_handshake(stranger->ssl) == 1;
    }
    (void)send_collected(stranger, said); /* it may be cut */
    usleep(100000);
    return NULL;
}

static void test_key_updates(void **state) {
    (void)state;
    struct visit visit = {.act = send_keys};
    run_visit(&visit);
    assert_int_equal(visit.probe.counts[NODE_LINK_DOWN], 1);
    assert_true(visit.taken < 60000); /* of a megabyte: one SSL_read would take it all */
}

/* ---- Records of one byte each: no long turn either */

static void *send_tiny(void *context) {
    struct visit *visit = context;
    struct stranger *stranger = &visit->stranger;
    BIO *said = collect(stranger);
    visit->is_ok = true;
    for (int i = 0; i < TINY_RECORDS; i++) {
        visit->is_ok = visit->is_ok && says(stranger, "t");
    }
    visit->is_ok = visit->is_ok && send_collected(stranger, said);
    for (int i = 0; i < 1000 && visit->probe.bytes < TINY_RECORDS; i++) {
        usleep(10000);
    }
    return NULL;
}

static void test_tiny_records(void **state) {
    (void)state;
    struct visit visit = {.act = send_tiny};
    run_visit(&visit);
    assert_int_equal(visit.probe.bytes, TINY_RECORDS);
    assert_true(visit.most <= 64);
}

/* ---- New keys are asked of a link whose output is stuck: reading waits for writing */

static size_t read_all(struct stranger *stranger, size_t most) {
    static char bytes[16384];
    size_t sum = 0;
    for (int got = 1; got > 0 && sum<most; sum += got> 0 ? (size_t)got : 0) {
        got = SSL_read(stranger->ssl, bytes, sizeof bytes);
    }
    return sum;
}

static void *ask_keys_of_the_stuck(void *context) {
    struct visit *visit = context;
    struct stranger *stranger = &visit->stranger;
    visit->is_ok = says(stranger, "p");
    for (int i = 0; i < 1000 && visit->probe.counts[NODE_LINK_STALLED] == 0; i++) {
        usleep(10000);
    }
    usleep(50000);
    visit->is_ok = visit->is_ok && SSL_key_update(stranger->ssl, SSL_KEY_UPDATE_REQUESTED) == 1 &&
                   SSL_do_handshake(stranger->ssl) == 1 && says(stranger, "after");
    rest(visit, 500000);
    visit->is_ok = visit->is_ok && read_all(stranger, visit->sent) == visit->sent;
    usleep(100000);
    return NULL;
}

static void test_keys_of_the_stuck(void **state) {
    (void)state;
    struct visit visit = {.act = ask_keys_of_the_stuck};
    run_visit(&visit);
    assert_int_equal(visit.probe.bytes, 6);
    assert_true(visit.cpu_s < 0.2);
}

/* The same when the kernel has taken all of the output, and takes no answer about keys: such an
 * answer is sent by reading. */

/* The node's end of the stranger's connection: both are in this process. */
static int other_end(int fd) {
    struct sockaddr_in ours, at;
    socklen_t len = sizeof ours;
    getsockname(fd, (struct sockaddr *)&ours, &len);
    for (int other = 3; other < 256; other++) {
        len = sizeof at;
        if (getpeername(other, (struct sockaddr *)&at, &len) == 0 && at.sin_port == ours.sin_port) {
            return other;
        }
    }
    return -1;
}

static bool takes_more(int fd) {
    struct pollfd look = {.fd = fd, .events = POLLOUT};
    return poll(&look, 1, 0) == 1;
}

static void *ask_keys_of_the_full(void *context) {
    struct visit *visit = context;
    struct stranger *stranger = &visit->stranger;
    int least = 1;
    int end = other_end(stranger->fd);
    setsockopt(end, SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
    visit->is_ok = says(stranger, "s");
    while (takes_more(end)) {
        usleep(200);
    }
    atomic_store(&visit->is_full, true);
    usleep(30000);
    BIO *ours = SSL_get_wbio(stranger->ssl);
    BIO_up_ref(ours);
    BIO *said = collect(stranger);
    for (int i = 0; i < 90; i++) {
        visit->is_ok = visit->is_ok &&
                       SSL_key_update(stranger->ssl, SSL_KEY_UPDATE_REQUESTED) == 1 &&
                       SSL_do_handshake(stranger->ssl) == 1;
    }
    visit->is_ok = visit->is_ok && says(stranger, "after") && send_collected(stranger, said);
    SSL_set0_wbio(stranger->ssl, ours);
    usleep(100000);
    rest(visit, 400000);
    visit->is_ok = visit->is_ok && read_all(stranger, visit->sent) == visit->sent;
    usleep(300000);
    return NULL;
}

static void test_keys_of_the_full(void **state) {
    (void)state;
    struct visit visit = {.act = ask_keys_of_the_full};
    run_visit(&visit);
    assert_int_equal(visit.probe.bytes, 6);
    assert_true(visit.cpu_s < 0.1);
}

/* ---- A limit holds for what nobody wants to hear, too: others would pay for it */

static void *flood_the_closing(void *context) {
    struct visit *visit = context;
    static char bytes[16384];
    int wrote = 1;
    visit->is_ok = says(&visit->stranger, "c");
    while (wrote > 0) {
        wrote = SSL_write(visit->stranger.ssl, bytes, sizeof bytes);
        visit->sent += wrote > 0 ? (size_t)wrote : 0;
    }
    return NULL;
}

static void test_flood_of_the_closing(void **state) {
    (void)state;
    struct visit visit = {.act = flood_the_closing, .is_limited = true};
    run_visit(&visit);
    assert_true(visit.sent < FLOOD_MAX);
}

/* ---- ... and for one who has much to say: it is read a record at a time */

static void *flood(void *context) {
    struct visit *visit = context;
    static char bytes[200000];
    struct stranger *stranger = &visit->stranger;
    BIO *said = collect(stranger);
    size_t sent = 0;
    for (int took = 1; took > 0 && sent < sizeof bytes; sent += (size_t)took) {
        took = SSL_write(stranger->ssl, bytes + sent, (int)(sizeof bytes - sent));
    }
    char *ready;
    long len = BIO_get_mem_data(said, &ready);
    visit->is_ok =
        sent == sizeof bytes && send(stranger->fd, ready, (size_t)len, MSG_DONTWAIT) > 60000;
    usleep(300000);
    return NULL;
}

static void test_flood(void **state) {
    (void)state;
    struct visit visit = {.act = flood, .is_limited = true};
    run_visit(&visit);
    assert_true(visit.probe.bytes < 80000);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half_a_record),
        cmocka_unit_test(test_key_updates),
        cmocka_unit_test(test_tiny_records),
        cmocka_unit_test(test_keys_of_the_stuck),
        cmocka_unit_test(test_keys_of_the_full),
        cmocka_unit_test(test_flood_of_the_closing),
        cmocka_unit_test(test_flood),
    };
    alarm(60);
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
