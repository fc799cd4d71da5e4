/* bench_handshakes.c - accepted links per second of the server's CPU time: our listener and driver
 * against bare loops of accept, SSL_accept, SSL_read and close with the same TLS context: one that
 * blocks and serves one after the other, and one on epoll that serves many at once, as ours must.
 *
 * Callers dial all alike, each from a fresh address and with a fresh key each time, and hang up
 * once they have proven who they are. */
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/mem.h"
#include "src/host/sockets.h"
#include "tests/bench/bench_fanout.h"
#include "tests/bench/bench_network.h"
#include "tests/bench/bench_wire.h"

#define ROUNDS 9
#define HANDSHAKES 400 /* of a round */
#define CALLERS 8
#define BLOCKING_PORT 7649
#define EPOLL_PORT 7650
#define EVENTS 32

/* ---- The bare loops ---- */

struct bare {
    SSL_CTX *context;
    struct identity *identity;
    int listener;
    int epoll;
};

struct caller {
    int fd;
    SSL *ssl;
    struct tls_peer peer;
    bool is_up;
};

static struct caller *take_caller(const struct bare *bare, int flags) {
    struct caller *caller = mem_new(sizeof *caller);
    caller->fd = accept4(bare->listener, NULL, NULL, SOCK_CLOEXEC | flags);
    caller->ssl = tls_new(bare->context, bare->identity, &caller->peer);
    if (caller->fd < 0 || SSL_set_fd(caller->ssl, caller->fd) != 1) {
        bench_fail("accept failed: %s", strerror(errno));
    }
    return caller;
}

static void drop_caller(struct caller *caller) {
    SSL_free(caller->ssl);
    ERR_clear_error();
    close(caller->fd);
    mem_free(caller);
}

/* Go on as far as it goes; false = it is over. */
static bool serve(struct caller *caller) {
    struct hash exporter;
    uint8_t byte;
    int done = 1;
    if (!caller->is_up) {
        done = SSL_accept(caller->ssl);
        caller->is_up = done == 1;
        if (done == 1 && tls_finish(caller->ssl, &exporter) != OK) {
            return false;
        }
    } else {
        done = SSL_read(caller->ssl, &byte, sizeof byte);
    }
    return done > 0 || SSL_get_error(caller->ssl, done) == SSL_ERROR_WANT_READ;
}

static _Noreturn void serve_one_by_one(const struct bare *bare) {
    for (;;) {
        struct caller *caller = take_caller(bare, 0);
        while (serve(caller)) {
        }
        drop_caller(caller);
    }
}

static void watch(const struct bare *bare, int fd, struct caller *caller) {
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = caller}};
    if (epoll_ctl(bare->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        bench_fail("epoll: %s", strerror(errno));
    }
}

static _Noreturn void serve_all_at_once(const struct bare *bare) {
    struct epoll_event events[EVENTS];
    watch(bare, bare->listener, NULL);
    for (;;) {
        int count = epoll_wait(bare->epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            struct caller *caller = events[i].data.ptr;
            if (caller == NULL) {
                caller = take_caller(bare, SOCK_NONBLOCK);
                watch(bare, caller->fd, caller);
            } else if (!serve(caller)) {
                drop_caller(caller);
            }
        }
    }
}

int bench_role_handshakes(int argc, char **argv) {
    struct host_error error;
    struct address listen_at;
    struct sockaddr_storage at;
    if (argc != 2 || address_parse(&listen_at, argv[1], false) != OK) {
        bench_fail("handshakes takes how and an address");
    }
    struct bare bare = {.context = tls_context_new(&error),
                        .identity = identity_ephemeral(NULL),
                        .listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                        .epoll = epoll_create1(EPOLL_CLOEXEC)};
    socklen_t len = socket_address(&at, &listen_at);
    if (bare.context == NULL || bind(bare.listener, (struct sockaddr *)&at, len) != 0 ||
        listen(bare.listener, 256) != 0) {
        bench_fail("cannot listen at %s", argv[1]);
    }
    socket_tune(bare.listener); /* those accepted inherit it */
    char id[NODE_ID_TEXT_BYTES];
    node_id_format(id, identity_id(bare.identity));
    printf("%s\n", id);
    fflush(stdout);
    if (strcmp(argv[0], "epoll") == 0) {
        serve_all_at_once(&bare);
    }
    serve_one_by_one(&bare);
}

/* ---- The callers ---- */

struct target {
    struct process *process; /* NULL = somebody else's */
    pid_t pid;
    struct address address;
    struct node_id id;
};

static void ignore(struct wire_link *link, struct slice data) {
    (void)link;
    (void)data;
}

int bench_role_caller(int argc, char **argv) {
    struct wire wire;
    struct address address;
    struct node_id id;
    if (argc != 3 || address_parse(&address, argv[0], false) != OK ||
        node_id_parse(&id, argv[1]) != OK) {
        bench_fail("caller takes an address, an id and how often");
    }
    wire_init(&wire, ignore);
    for (int left = atoi(argv[2]); left > 0; left--) {
        wire_close(wire_dial(&wire, &address, &id));
    }
    wire_free(&wire);
    return 0;
}

static struct process *start_caller(const struct bench *bench, const struct target *target,
                                    uint32_t count) {
    char address[ADDRESS_TEXT_BYTES], id[NODE_ID_TEXT_BYTES], times[16];
    struct process *process = NULL;
    address_format(address, &target->address);
    node_id_format(id, &target->id);
    snprintf(times, sizeof times, "%u", count);
    const char *argv[] = {"/proc/self/exe", "--role", "caller", address, id, times, NULL};
    struct process_options options = {.argv = argv};
    if (process_start(bench->owner, &options, &process) != OK) {
        bench_fail("a caller does not start");
    }
    return process;
}

/* Handshakes per second of the server's CPU time. With several callers it always has something to
 * do; with one it sleeps and is woken at every step. */
static double measure(const struct bench *bench, const struct target *target, uint32_t callers) {
    struct process *processes[CALLERS];
    double cpu_s = bench_cpu(target->pid);
    for (uint32_t i = 0; i < callers; i++) {
        processes[i] = start_caller(bench, target, HANDSHAKES / callers);
    }
    for (uint32_t i = 0; i < callers; i++) {
        int status = -1;
        if (process_wait(processes[i], 60000, &status) != OK || status != 0) {
            bench_fail("a caller failed");
        }
        process_free(processes[i]);
    }
    process_sleep_ms(100); /* it hears of the last one's end */
    return HANDSHAKES / (bench_cpu(target->pid) - cpu_s);
}

static struct target start_bare(const struct bench *bench, const char *how, uint16_t port) {
    char listen_at[ADDRESS_TEXT_BYTES];
    struct buf line = {0};
    struct target target = {.address = bench_address()};
    target.address.port = port;
    address_format(listen_at, &target.address);
    const char *argv[] = {"/proc/self/exe", "--role", "handshakes", how, listen_at, NULL};
    struct process_options options = {.argv = argv, .pipe = true};
    if (process_start(bench->owner, &options, &target.process) != OK ||
        process_line(target.process, &line, 10000) != OK ||
        node_id_parse(&target.id, (const char *)line.data) != OK) {
        bench_fail("the bare TLS server does not start");
    }
    buf_free(&line);
    target.pid = process_pid(target.process);
    return target;
}

static void compare(const struct bench *bench, const struct target *host, const struct target *bare,
                    uint32_t callers, const char *name) {
    double ours[ROUNDS], theirs[ROUNDS];
    for (size_t i = 0; i < ROUNDS; i++) {
        theirs[i] = measure(bench, bare, callers);
        ours[i] = measure(bench, host, callers);
    }
    double bare_rate = bench_percentile(theirs, ROUNDS, 50);
    bench_figure(bench, &(struct figure){.name = name,
                                         .value = bench_percentile(ours, ROUNDS, 50),
                                         .unit = "1/s",
                                         .peer = "bare OpenSSL loop",
                                         .peer_value = bare_rate,
                                         .target = 0.95 * bare_rate,
                                         .better = BETTER_HIGH});
}

void bench_handshakes(const struct bench *bench) {
    struct bench_fanout fanout;
    struct target blocking = start_bare(bench, "blocking", BLOCKING_PORT);
    struct target epoll = start_bare(bench, "epoll", EPOLL_PORT);
    bench_fanout_start(&fanout, bench);
    struct target host = {NULL, process_pid(fanout.process), fanout.address, fanout.id};
    compare(bench, &host, &blocking, 1, "handshakes per core");
    compare(bench, &host, &blocking, CALLERS, "eight callers at once");
    compare(bench, &host, &epoll, CALLERS, "eight, bare on epoll");
    struct target *bare[] = {&blocking, &epoll};
    for (size_t i = 0; i < sizeof bare / sizeof bare[0]; i++) {
        process_stop(bare[i]->process, 1000);
        process_free(bare[i]->process);
    }
    bench_fanout_stop(&fanout);
}
