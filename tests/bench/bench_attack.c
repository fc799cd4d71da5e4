/* bench_attack.c - those who ask too much, in a process of their own. */
#include "tests/bench/bench_attack.h"

#include <limits.h>
#include <openssl/bio.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/mem.h"
#include "src/host/sockets.h"
#include "tests/bench/bench_paper.h"
#include "tests/bench/bench_wire.h"

#define HELLOS_PER_S 2000
#define HELLO_ADDRESSES 200
#define HELLOS_OPEN 512 /* connections that are left hanging */
#define QUERIES_PER_S 1000
#define LISTERS 20
#define ATTACK_NICE 10

struct attack {
    struct address to;
    struct node_id id;
    struct network_file network;
};

struct process *attack_start(const struct bench_network *network, const char *kind) {
    char address[ADDRESS_TEXT_BYTES], id[NODE_ID_TEXT_BYTES];
    struct address to = bench_supernode_address(network, 0);
    struct process *process = NULL;
    address_format(address, &to);
    char *folder = owner_path(network->bench->owner, "lister");
    node_id_format(id, &network->introducers[0].id);
    const char *argv[] = {"/proc/self/exe",      "--role", "attack", kind, address, id,
                          network->network_path, folder,   NULL};
    struct process_options options = {.argv = argv};
    if (process_start(network->bench->owner, &options, &process) != OK) {
        bench_fail("the attack does not start");
    }
    mem_free(folder);
    return process;
}

/* Wait until the next of `per_s` is due. */
static void pace(double *next_s, double per_s) {
    *next_s += 1 / per_s;
    double wait_s = *next_s - bench_now();
    if (wait_s > 0) {
        usleep((useconds_t)(wait_s * 1e6));
    } else if (wait_s < -1) {
        *next_s = bench_now(); /* held up: no burst to make up for it */
    }
}

/* ---- ClientHello and nothing more ---- */

static void record_hello(struct buf *hello) {
    struct host_error error;
    struct tls_peer peer = {.dialled = true};
    struct identity *identity = identity_ephemeral(NULL);
    SSL_CTX *context = tls_context_new(&error);
    SSL *ssl = tls_new(context, identity, &peer);
    BIO *out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
    (void)SSL_connect(ssl);
    const uint8_t *bytes = NULL;
    long len = BIO_get_mem_data(out, &bytes);
    buf_append(hello, bytes, (size_t)len);
    SSL_free(ssl);
    SSL_CTX_free(context);
    identity_free(identity);
}

static int send_hello(const struct attack *attack, struct slice hello, uint32_t number) {
    struct address from = {.family = ADDRESS_IPV4,
                           .ip = {127, 250, (uint8_t)(number >> 8), (uint8_t)(number & 255)}};
    struct sockaddr_storage storage;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t len = socket_address(&storage, &from);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&storage, len) == 0) {
        len = socket_address(&storage, &attack->to);
        (void)connect(fd, (struct sockaddr *)&storage, len);
        (void)send(fd, hello.data, hello.len, MSG_NOSIGNAL);
    }
    return fd;
}

static _Noreturn void flood_hellos(const struct attack *attack, uint32_t addresses) {
    struct buf hello = {0};
    int open_fds[HELLOS_OPEN];
    double next_s = bench_now();
    memset(open_fds, -1, sizeof open_fds);
    record_hello(&hello);
    for (uint32_t i = 0;; i++) {
        int *slot = &open_fds[i % HELLOS_OPEN];
        if (*slot >= 0) {
            close(*slot);
        }
        *slot = send_hello(attack, (struct slice){hello.data, hello.len}, 256 + i % addresses);
        pace(&next_s, HELLOS_PER_S);
    }
}

/* ---- Queries ---- */

static void ignore_message(struct wire_link *link, const struct session_message *message) {
    (void)link;
    (void)message;
}

static void take(struct wire_link *link, struct slice data) {
    wire_each_message(link, data, ignore_message);
}

static void send_query(struct wire_link *link, struct rng *rng) {
    char text[PAPER_NAME_BYTES];
    struct buf plain = {0}, body = {0}, payload = {0};
    struct query_body query = {.kind = QUERY_WORDS};
    paper_query(text, (uint32_t)rng_below(rng, 1000));
    query.text = (struct slice){(const uint8_t *)text, strlen(text)};
    rng_fill(rng, query.salt, sizeof query.salt);
    wire_query_body_encode(&plain, &query);
    packer_deflate(link->wire->packer, (struct slice){plain.data, plain.len}, &body);
    struct query_header header = {
        .ttl = 3, .want = 100, .deadline_ms = 2000, .body = {body.data, body.len}};
    wire_query_encode(&payload, &header);
    wire_message(link, MSG_QUERY, (struct slice){payload.data, payload.len});
    buf_free(&plain);
    buf_free(&body);
    buf_free(&payload);
}

static _Noreturn void flood_queries(const struct attack *attack) {
    struct wire wire;
    struct rng rng;
    double next_s = bench_now();
    wire_init(&wire, take);
    rng_seed(&rng, 9);
    for (;;) {
        struct wire_link *link = wire_dial(&wire, &attack->to, &attack->id);
        wire_hello(link, &attack->network.network, PURPOSE_LEAF);
        while (!link->is_gone) {
            send_query(link, &rng);
            wire_turn(&wire, 0);
            pace(&next_s, QUERIES_PER_S);
        }
        wire_close(link);
    }
}

/* ---- Lists ---- */

static _Noreturn void flood_lists(const struct attack *attack, const char *folder) {
    struct bench_network network = {.file = attack->network};
    struct introducer *introducer = &network.introducers[0];
    const uint8_t *ip = attack->to.ip;
    struct host *host = bench_host();
    introducer->id = attack->id;
    introducer->port = attack->to.port;
    snprintf(introducer->host, sizeof introducer->host, "127.%u.%u.%u", ip[1], ip[2], ip[3]);
    for (uint32_t i = 0; i < LISTERS; i++) {
        char state[PATH_MAX];
        snprintf(state, sizeof state, "%s%u", folder, i);
        struct paper paper = {
            .first = 1000000 + i * LEAF_FILES_MAX, .files = LEAF_FILES_MAX, .state = state};
        paper_peer(host, &network, 0, &paper);
    }
    host_run(host);
    bench_fail("the listers have stopped");
}

int bench_role_attack(int argc, char **argv) {
    struct attack attack;
    struct host_error error = {0};
    if (argc != 5 || address_parse(&attack.to, argv[1], false) != OK ||
        node_id_parse(&attack.id, argv[2]) != OK ||
        network_load(argv[3], &attack.network, &error) != OK) {
        bench_fail("attack takes a kind, an address, an id, a network and a folder: %s",
                   error.text);
    }
    if (nice(ATTACK_NICE) == -1) { /* it stands for other machines: ours is for the leaves */
        bench_fail("nice failed");
    }
    if (strcmp(argv[0], "hello") == 0) {
        flood_hellos(&attack, HELLO_ADDRESSES);
    } else if (strcmp(argv[0], "one") == 0) {
        flood_hellos(&attack, 1);
    } else if (strcmp(argv[0], "queries") == 0) {
        flood_queries(&attack);
    }
    flood_lists(&attack, argv[4]);
}
