/* bench_wire.h - bare TLS links for benchmarks: many of them in one epoll loop, no node behind. */
#ifndef TRUNKLINE_TESTS_BENCH_BENCH_WIRE_H
#define TRUNKLINE_TESTS_BENCH_BENCH_WIRE_H

#include "common/network.h"
#include "common/session.h"
#include "src/host/tls.h"
#include "tests/bench/bench.h"

struct wire_link;

/* Bytes came in; they borrow until the call returns. */
typedef void wire_take_fn(struct wire_link *link, struct slice data);

/* A set of links and what they share. */
struct wire {
    int epoll;
    SSL_CTX *ours;   /* the context of our links */
    SSL_CTX *anyone; /* TLS 1.3, AES-128-GCM, any certificate: for other servers */
    struct packer *packer;
    wire_take_fn *take;
    uint32_t gone;           /* links that the other side closed */
    struct wire_link *dirty; /* with bytes to send */
};

struct wire_link {
    struct wire *wire;
    int fd;
    SSL *ssl;
    struct identity *identity; /* owned; NULL with `anyone` */
    struct tls_peer peer;
    struct session session;
    struct buf out; /* for the end of the turn, and what the kernel did not take yet */
    bool is_dirty;
    struct wire_link *next_dirty;
    bool is_gone;
    bool is_welcome; /* the other side sent WELCOME */
    void *owner;     /* the benchmark's */
};

void wire_init(struct wire *wire, wire_take_fn *take);
void wire_free(struct wire *wire);

/* Connect, from a loopback address of its own, and shake hands, blocking. With `id` it is one of
 * our links, without one that of another server. Ends the program when it fails. */
struct wire_link *wire_dial(struct wire *wire, const struct address *to, const struct node_id *id);
void wire_close(struct wire_link *link);

/* Bytes for the end of this turn or the beginning of the next: a link's go out as one run. */
void wire_send(struct wire_link *link, struct slice bytes);

/* Wait up to `timeout_ms` for input, hand all of it to `take`; send what had to wait. */
void wire_turn(struct wire *wire, int timeout_ms);

/* Say HELLO for a purpose and wait for WELCOME. Ends the program when it is refused. */
void wire_hello(struct wire_link *link, const struct network *network, enum purpose purpose);

/* Send one message. */
void wire_message(struct wire_link *link, uint8_t type, struct slice payload);

/* Cut bytes into messages; each is handed over, PING is answered. */
typedef void wire_message_fn(struct wire_link *link, const struct session_message *message);
void wire_each_message(struct wire_link *link, struct slice data, wire_message_fn *take);

/* A blocking connection to `to` from a given address (port 0) or any; -1 when it fails. */
int wire_connect(const struct address *to, const struct address *from);

#endif
