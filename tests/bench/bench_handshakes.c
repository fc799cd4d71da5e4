/* bench_handshakes.c - accepted links per second of the server's CPU time: our listener and driver
 * against a bare loop of accept, SSL_accept, SSL_read and close with the same TLS context.
 *
 * One client dials both alike, from a fresh address and with a fresh key each time, and hangs up
 * once it knows that its certificate was taken. */
#include <openssl/err.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/mem.h"
#include "src/host/sockets.h"
#include "tests/bench/bench_fanout.h"
#include "tests/bench/bench_network.h"
#include "tests/bench/bench_wire.h"

#define ROUNDS 3
#define HANDSHAKES 500 /* of a round */
#define BARE_PORT 7649

/* ---- The bare loop ---- */

static void serve_one(SSL_CTX *context, const struct identity *identity, int listener) {
    struct tls_peer peer = {0};
    struct hash exporter;
    uint8_t byte;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
        bench_fail("accept failed");
    }
    socket_tune(fd);
    SSL *ssl = tls_new(context, identity, &peer);
    if (SSL_set_fd(ssl, fd) == 1 && SSL_accept(ssl) == 1 && tls_finish(ssl, &exporter) == OK) {
        (void)SSL_read(ssl, &byte, sizeof byte); /* until it hangs up */
    }
    SSL_free(ssl);
    ERR_clear_error();
    close(fd);
}

int bench_role_handshakes(int argc, char **argv) {
    struct host_error error;
    struct address listen_at;
    struct sockaddr_storage at;
    if (argc != 1 || address_parse(&listen_at, argv[0], false) != OK) {
        bench_fail("handshakes takes an address");
    }
    struct identity *identity = identity_ephemeral(NULL);
    SSL_CTX *context = tls_context_new(&error);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = socket_address(&at, &listen_at);
    if (context == NULL || bind(listener, (struct sockaddr *)&at, len) != 0 ||
        listen(listener, 16) != 0) {
        bench_fail("cannot listen at %s", argv[0]);
    }
    char id[NODE_ID_TEXT_BYTES];
    node_id_format(id, identity_id(identity));
    printf("%s\n", id);
    fflush(stdout);
    for (;;) {
        serve_one(context, identity, listener);
    }
}

/* ---- The client ---- */

struct target {
    pid_t pid;
    struct address address;
    struct node_id id;
};

static void ignore(struct wire_link *link, struct slice data) {
    (void)link;
    (void)data;
}

/* Handshakes per second of the server's CPU time. */
static double measure(const struct target *target) {
    struct wire wire;
    wire_init(&wire, ignore);
    double cpu_s = bench_cpu(target->pid);
    for (int i = 0; i < HANDSHAKES; i++) {
        wire_close(wire_dial(&wire, &target->address, &target->id));
    }
    process_sleep_ms(100); /* it hears of the last one's end */
    cpu_s = bench_cpu(target->pid) - cpu_s;
    wire_free(&wire);
    return HANDSHAKES / cpu_s;
}

static struct process *start_bare(const struct bench *bench, struct target *target) {
    char listen_at[ADDRESS_TEXT_BYTES];
    struct process *process = NULL;
    struct buf line = {0};
    target->address = bench_address();
    target->address.port = BARE_PORT;
    address_format(listen_at, &target->address);
    const char *argv[] = {"/proc/self/exe", "--role", "handshakes", listen_at, NULL};
    struct process_options options = {.argv = argv, .pipe = true};
    if (process_start(bench->owner, &options, &process) != OK ||
        process_line(process, &line, 10000) != OK ||
        node_id_parse(&target->id, (const char *)line.data) != OK) {
        bench_fail("the bare TLS server does not start");
    }
    buf_free(&line);
    target->pid = process_pid(process);
    return process;
}

void bench_handshakes(const struct bench *bench) {
    struct target bare;
    struct bench_fanout fanout;
    double ours[ROUNDS], theirs[ROUNDS];
    struct process *process = start_bare(bench, &bare);
    bench_fanout_start(&fanout, bench);
    struct target host = {process_pid(fanout.process), fanout.address, fanout.id};
    for (size_t i = 0; i < ROUNDS; i++) {
        theirs[i] = measure(&bare);
        ours[i] = measure(&host);
    }
    process_stop(process, 1000);
    process_free(process);
    bench_fanout_stop(&fanout);
    double bare_rate = bench_percentile(theirs, ROUNDS, 50);
    bench_figure(bench, &(struct figure){.name = "handshakes per core",
                                         .value = bench_percentile(ours, ROUNDS, 50),
                                         .unit = "1/s",
                                         .peer = "bare OpenSSL accept loop",
                                         .peer_value = bare_rate,
                                         .target = 0.95 * bare_rate,
                                         .better = BETTER_HIGH});
}
