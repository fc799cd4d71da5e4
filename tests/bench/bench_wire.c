/* bench_wire.c - bare TLS links for benchmarks: many of them in one epoll loop, no node behind. */
#include "tests/bench/bench_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/wire.h"
#include "src/host/sockets.h"
#include "tests/bench/bench_network.h"

#define EVENTS_MAX 512
#define READ_BYTES 65536

void wire_init(struct wire *wire, wire_take_fn *take) {
    struct host_error error;
    *wire = (struct wire){.epoll = epoll_create1(EPOLL_CLOEXEC), .take = take};
    wire->ours = tls_context_new(&error);
    wire->anyone = SSL_CTX_new(TLS_client_method());
    wire->packer = packer_new();
    if (wire->epoll < 0 || wire->ours == NULL || wire->anyone == NULL ||
        SSL_CTX_set_min_proto_version(wire->anyone, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(wire->anyone, "TLS_AES_128_GCM_SHA256") != 1) {
        bench_fail("TLS cannot be set up");
    }
}

void wire_free(struct wire *wire) {
    close(wire->epoll);
    SSL_CTX_free(wire->ours);
    SSL_CTX_free(wire->anyone);
    packer_free(wire->packer);
}

int wire_connect(const struct address *to, const struct address *from) {
    struct sockaddr_storage storage;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = socket_address(&storage, from);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&storage, len) == 0) {
        len = socket_address(&storage, to);
        if (connect(fd, (struct sockaddr *)&storage, len) == 0) {
            socket_tune(fd);
            return fd;
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

static void watch(struct wire_link *link) {
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = link}};
    if (fcntl(link->fd, F_SETFL, O_NONBLOCK) != 0 ||
        epoll_ctl(link->wire->epoll, EPOLL_CTL_ADD, link->fd, &event) != 0) {
        bench_fail("epoll: %s", strerror(errno));
    }
}

struct wire_link *wire_dial(struct wire *wire, const struct address *to, const struct node_id *id) {
    struct wire_link *link = mem_new(sizeof *link);
    struct address from = bench_address();
    link->wire = wire;
    link->fd = wire_connect(to, &from);
    if (id != NULL) {
        link->identity = identity_ephemeral(NULL);
        link->peer = (struct tls_peer){.dialled = true, .wanted = *id};
        link->ssl = tls_new(wire->ours, link->identity, &link->peer);
    } else {
        link->ssl = SSL_new(wire->anyone);
    }
    if (link->fd < 0 || SSL_set_fd(link->ssl, link->fd) != 1 || SSL_connect(link->ssl) != 1) {
        bench_fail("a link cannot be made: %s", strerror(errno));
    }
    SSL_set_mode(link->ssl, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    watch(link);
    return link;
}

static void write_out(struct wire_link *link) {
    while (link->out.len > 0) {
        ERR_clear_error();
        int sent = SSL_write(link->ssl, link->out.data,
                             (int)(link->out.len < 16384 ? link->out.len : 16384));
        if (sent <= 0) {
            return; /* the rest, from the same place, in another turn */
        }
        buf_consume(&link->out, (size_t)sent);
    }
}

void wire_send(struct wire_link *link, struct slice bytes) {
    if (!link->is_gone) {
        buf_append(&link->out, bytes.data, bytes.len);
        if (!link->is_dirty) {
            link->is_dirty = true;
            link->next_dirty = link->wire->dirty;
            link->wire->dirty = link;
        }
    }
}

static void write_all(struct wire *wire) {
    while (wire->dirty != NULL) {
        struct wire_link *link = wire->dirty;
        wire->dirty = link->next_dirty;
        link->is_dirty = false;
        write_out(link);
    }
}

void wire_close(struct wire_link *link) {
    write_all(link->wire);
    SSL_free(link->ssl);
    close(link->fd);
    identity_free(link->identity);
    session_free(&link->session);
    buf_free(&link->out);
    mem_free(link);
}

static void read_in(struct wire_link *link) {
    static uint8_t bytes[READ_BYTES];
    for (;;) {
        ERR_clear_error();
        int got = SSL_read(link->ssl, bytes, sizeof bytes);
        if (got <= 0) {
            int error = SSL_get_error(link->ssl, got);
            if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
                link->is_gone = true;
                link->wire->gone++;
                epoll_ctl(link->wire->epoll, EPOLL_CTL_DEL, link->fd, NULL);
            }
            return;
        }
        link->wire->take(link, (struct slice){bytes, (size_t)got});
    }
}

void wire_turn(struct wire *wire, int timeout_ms) {
    struct epoll_event events[EVENTS_MAX];
    write_all(wire);
    int count = epoll_wait(wire->epoll, events, EVENTS_MAX, timeout_ms);
    for (int i = 0; i < count; i++) {
        struct wire_link *link = events[i].data.ptr;
        write_out(link);
        read_in(link);
    }
    write_all(wire);
}

/* ---- Messages ---- */

void wire_message(struct wire_link *link, uint8_t type, struct slice payload) {
    struct buf frame = {0};
    session_pack(link->wire->packer, type, payload, &frame);
    wire_send(link, (struct slice){frame.data, frame.len});
    buf_free(&frame);
}

void wire_each_message(struct wire_link *link, struct slice data, wire_message_fn *take) {
    struct session_message message;
    enum err err = OK;
    while (session_next(&link->session, link->wire->packer, &data, &message, &err)) {
        if (message.type == MSG_PING) {
            wire_message(link, MSG_PONG, message.payload);
        } else if (message.type == MSG_WELCOME) {
            link->is_welcome = true;
        } else {
            take(link, &message);
        }
    }
    if (err != OK) {
        bench_fail("a server sent nonsense: %s", err_text(err));
    }
}

void wire_hello(struct wire_link *link, const struct network *network, enum purpose purpose) {
    const struct crypto *crypto = identity_crypto(link->identity);
    struct hash exporter;
    if (tls_finish(link->ssl, &exporter) != OK) {
        bench_fail("the server is not who it should be");
    }
    struct hello hello = {.version_min = WIRE_VERSION,
                          .version_max = WIRE_VERSION,
                          .purpose = (uint8_t)purpose,
                          .agent = {(const uint8_t *)"bench", 5}};
    network_auth(network, crypto, &exporter, true, &hello.auth);
    struct buf payload = {0};
    wire_hello_encode(&payload, &hello);
    wire_message(link, MSG_HELLO, (struct slice){payload.data, payload.len});
    buf_free(&payload);
    double end = bench_now() + 10;
    while (!link->is_welcome && !link->is_gone && bench_now() < end) {
        wire_turn(link->wire, 100);
    }
    if (!link->is_welcome) {
        bench_fail("a link was not welcome");
    }
}
