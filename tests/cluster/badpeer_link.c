/* badpeer_link.c - the links of a node that does wrong: blocking, with nothing held back. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "common/mem.h"
#include "src/host/sockets.h"
#include "tests/cluster/badpeer.h"

#define CONNECT_MS 12000 /* who is sent away is sent away sooner */
#define WRITE_MS 20000
#define READ_BYTES 65536
#define RECORD_MINUTES 60

int64_t bad_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void bad_sleep_ms(uint32_t ms) {
    usleep(ms * 1000);
}

void bad_fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "badpeer: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    exit(1);
}

void bad_new_identity(struct bad *bad) {
    identity_free(bad->identity);
    bad->identity = identity_ephemeral(NULL);
}

/* ---- Connecting ---- */

int bad_tcp(const struct bad *bad, const struct address *from, int receive) {
    struct sockaddr_storage storage;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    if (receive > 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive, sizeof receive);
    }
    socklen_t len = socket_address(&storage, from);
    if (bind(fd, (struct sockaddr *)&storage, len) == 0) {
        len = socket_address(&storage, &bad->target);
        if (connect(fd, (struct sockaddr *)&storage, len) == 0) {
            return fd;
        }
    }
    close(fd);
    return -1;
}

/* False after so long. */
static bool wait_for(int fd, short events, int64_t until_ms) {
    struct pollfd poll_fd = {.fd = fd, .events = events};
    int64_t left = until_ms - bad_now_ms();
    return left > 0 && poll(&poll_fd, 1, (int)left) > 0;
}

static bool shake_hands(struct bad_link *link, int (*step)(SSL *ssl)) {
    int64_t until_ms = bad_now_ms() + CONNECT_MS;
    for (;;) {
        ERR_clear_error();
        int result = step(link->ssl);
        if (result == 1) {
            return true;
        }
        int error = SSL_get_error(link->ssl, result);
        short events = error == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN;
        if ((error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) ||
            !wait_for(link->fd, events, until_ms)) {
            return false;
        }
    }
}

static bool secure(struct bad *bad, struct bad_link *link, int fd, int (*step)(SSL *ssl)) {
    *link = (struct bad_link){.bad = bad, .fd = fd, .end = BAD_REFUSED};
    if (fd < 0) {
        return false;
    }
    socket_tune(fd);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    link->peer = (struct tls_peer){.dialled = step == SSL_connect, .wanted = bad->target_id};
    link->ssl = tls_new(bad->tls, bad->identity, &link->peer);
    SSL_set_fd(link->ssl, fd);
    SSL_set_mode(link->ssl, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (!shake_hands(link, step)) {
        return false;
    }
    link->end = BAD_OPEN;
    return true;
}

bool bad_connect(struct bad *bad, struct bad_link *link) {
    return secure(bad, link, bad_tcp(bad, &bad->from, 0), SSL_connect);
}

bool bad_accept(struct bad *bad, struct bad_link *link, int fd) {
    return secure(bad, link, fd, SSL_accept);
}

/* ---- Bytes ---- */

/* Read what is there. */
static void read_in(struct bad_link *link) {
    while (link->end == BAD_OPEN) {
        ERR_clear_error();
        int got = SSL_read(link->ssl, buf_reserve(&link->in, READ_BYTES), READ_BYTES);
        if (got > 0) {
            link->in.len += (size_t)got;
            link->bad->bytes_in += (uint64_t)got;
            continue;
        }
        int error = SSL_get_error(link->ssl, got);
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
            link->end = BAD_CLOSED;
        }
        return;
    }
}

/* The last words of a link that has ended may be in what was read. */
static void look_for_goaway(struct bad_link *link) {
    struct slice input = {link->in.data + link->used, link->in.len - link->used};
    struct session_message message;
    struct goaway goaway;
    enum err err = OK;
    while (session_next(&link->session, link->bad->packer, &input, &message, &err)) {
        if (message.type == MSG_GOAWAY && wire_goaway_decode(message.payload, &goaway) == OK) {
            link->end = (enum bad_end)(BAD_GOAWAY + goaway.reason);
        }
    }
    link->used = link->in.len;
}

void bad_close(struct bad_link *link) {
    if (link->end == BAD_CLOSED) {
        look_for_goaway(link);
    }
    link->bad->ends[link->end]++;
    SSL_free(link->ssl);
    if (link->fd >= 0) {
        close(link->fd);
    }
    session_free(&link->session);
    buf_free(&link->in);
}

bool bad_raw(struct bad_link *link, struct slice bytes) {
    int64_t until_ms = bad_now_ms() + WRITE_MS;
    while (bytes.len > 0 && link->end == BAD_OPEN) {
        ERR_clear_error();
        int sent = SSL_write(link->ssl, bytes.data, bytes.len > 16384 ? 16384 : (int)bytes.len);
        if (sent > 0) {
            bytes = (struct slice){bytes.data + sent, bytes.len - (size_t)sent};
            continue;
        }
        int error = SSL_get_error(link->ssl, sent);
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
            read_in(link);
            link->end = BAD_CLOSED;
        } else if (!wait_for(link->fd, POLLIN | POLLOUT, until_ms)) {
            break;
        } else {
            read_in(link);
        }
    }
    if (link->end == BAD_CLOSED) {
        look_for_goaway(link);
    }
    return link->end == BAD_OPEN;
}

bool bad_send(struct bad_link *link, uint8_t type, struct buf *payload) {
    struct buf frame = {0};
    session_pack(link->bad->packer, type, (struct slice){payload->data, payload->len}, &frame);
    bool is_sent = bad_raw(link, (struct slice){frame.data, frame.len});
    buf_free(&frame);
    buf_free(payload);
    return is_sent;
}

void bad_header(struct buf *out, uint8_t type, uint8_t flags, size_t payload_len) {
    buf_u24(out, (uint32_t)payload_len);
    buf_u8(out, type);
    buf_u8(out, flags);
}

void bad_deflate(struct buf *out, struct slice plain) {
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)plain.data, .avail_in = (uInt)plain.len};
    struct slice dictionary = pack_dictionary();
    if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY) != Z_OK ||
        deflateSetDictionary(&stream, dictionary.data, (uInt)dictionary.len) != Z_OK) {
        bad_fail("zlib refuses");
    }
    uLong bound = deflateBound(&stream, (uLong)plain.len);
    stream.next_out = buf_reserve(out, bound);
    stream.avail_out = (uInt)bound;
    if (deflate(&stream, Z_FINISH) != Z_STREAM_END) {
        bad_fail("zlib does not end");
    }
    out->len += stream.total_out;
    deflateEnd(&stream);
}

/* ---- Messages ---- */

/* Cut one message from what has come. */
static bool cut(struct bad_link *link, struct session_message *message) {
    struct slice input = {link->in.data + link->used, link->in.len - link->used};
    enum err err = OK;
    bool is_whole = session_next(&link->session, link->bad->packer, &input, message, &err);
    if (err != OK) {
        bad_fail("the other side sent nonsense: %s", err_text(err));
    }
    link->used = link->in.len - input.len;
    return is_whole;
}

/* What links do among themselves; false when the message is for the mode. */
static bool is_housekeeping(struct bad_link *link, const struct session_message *message) {
    struct goaway goaway;
    if (message->type == MSG_PING) {
        struct buf payload = {0};
        buf_append(&payload, message->payload.data, message->payload.len);
        bad_send(link, MSG_PONG, &payload);
        return true;
    }
    if (message->type == MSG_GOAWAY && wire_goaway_decode(message->payload, &goaway) == OK) {
        link->end = (enum bad_end)(BAD_GOAWAY + goaway.reason);
        return true;
    }
    return false;
}

bool bad_next(struct bad_link *link, int timeout_ms, struct session_message *message) {
    int64_t until_ms = bad_now_ms() + timeout_ms;
    for (;;) {
        while (cut(link, message)) {
            if (!is_housekeeping(link, message)) {
                return true;
            }
        }
        if (link->end != BAD_OPEN) {
            return false;
        }
        link->in.len = link->used = 0;
        read_in(link);
        if (link->in.len == 0 && link->end == BAD_OPEN && !wait_for(link->fd, POLLIN, until_ms)) {
            return false;
        }
    }
}

bool bad_await(struct bad_link *link, uint8_t type, int timeout_ms,
               struct session_message *message) {
    int64_t until_ms = bad_now_ms() + timeout_ms;
    while (bad_next(link, (int)(until_ms - bad_now_ms()), message)) {
        if (message->type == type) {
            return true;
        }
    }
    return false;
}

void bad_await_end(struct bad_link *link, int timeout_ms) {
    int64_t until_ms = bad_now_ms() + timeout_ms;
    struct session_message message;
    while (link->end == BAD_OPEN && bad_now_ms() < until_ms) {
        bad_next(link, (int)(until_ms - bad_now_ms()), &message);
    }
}

/* ---- HELLO ---- */

static void make_record(struct bad *bad, struct buf *out) {
    struct address_record record = {.key = *identity_id(bad->identity),
                                    .seq = (uint64_t)time(NULL),
                                    .minutes = RECORD_MINUTES,
                                    .address_count = 1,
                                    .addresses = {bad->listen}};
    record.flags = bad->purpose == PURPOSE_MESH ? ADDRESS_RECORD_SUPERNODE : 0;
    wire_address_record_sign(&record, identity_crypto(bad->identity), &bad->network.id);
    wire_address_record_encode(out, &record);
}

void bad_make_hello(struct bad_link *link, struct hello *hello, struct buf *record) {
    struct bad *bad = link->bad;
    struct hash exporter;
    if (tls_finish(link->ssl, &exporter) != OK) {
        bad_fail("the other side is not who it should be");
    }
    if (bad->listen.port != 0) {
        make_record(bad, record);
    }
    *hello = (struct hello){.version_min = WIRE_VERSION,
                            .version_max = WIRE_VERSION,
                            .purpose = (uint8_t)bad->purpose,
                            .listen_port = bad->listen.port,
                            .agent = {(const uint8_t *)"badpeer", 7},
                            .address_record = {record->data, record->len},
                            .cert = {bad->cert.data, bad->cert.len}};
    network_auth(&bad->network, identity_crypto(bad->identity), &exporter, link->peer.dialled,
                 &hello->auth);
}

bool bad_hello(struct bad_link *link) {
    struct hello hello;
    struct buf record = {0}, payload = {0};
    struct session_message message;
    bad_make_hello(link, &hello, &record);
    wire_hello_encode(&payload, &hello);
    bad_send(link, MSG_HELLO, &payload);
    buf_free(&record);
    link->is_up = bad_await(link, MSG_WELCOME, CONNECT_MS, &message);
    return link->is_up;
}

bool bad_open(struct bad *bad, struct bad_link *link) {
    return bad_connect(bad, link) && bad_hello(link);
}

/* ---- The end ---- */

void bad_report(const struct bad *bad) {
    static const char *const names[BAD_ENDS] = {[BAD_OPEN] = "open",
                                                [BAD_REFUSED] = "refused",
                                                [BAD_CLOSED] = "closed",
                                                [BAD_GOAWAY + GOAWAY_SHUTDOWN] = "shutdown",
                                                [BAD_GOAWAY + GOAWAY_FULL] = "full",
                                                [BAD_GOAWAY + GOAWAY_DUPLICATE] = "duplicate",
                                                [BAD_GOAWAY + GOAWAY_PROTOCOL] = "protocol",
                                                [BAD_GOAWAY + GOAWAY_POLICY] = "policy",
                                                [BAD_GOAWAY + GOAWAY_RATE] = "rate",
                                                [BAD_GOAWAY + GOAWAY_IDLE] = "idle",
                                                [BAD_GOAWAY + GOAWAY_AUTH] = "auth"};
    uint32_t cases = 0;
    printf("{\"kind\":\"bad\",\"mode\":\"%s\"", bad->mode);
    for (int i = 0; i < BAD_ENDS; i++) {
        cases += bad->ends[i];
        if (names[i] != NULL) {
            printf(",\"%s\":%u", names[i], bad->ends[i]);
        }
    }
    printf(",\"cases\":%u,\"sent\":%llu,\"answered\":%llu,\"bytes_in\":%llu,\"ms\":%lld}\n", cases,
           (unsigned long long)bad->sent, (unsigned long long)bad->answered,
           (unsigned long long)bad->bytes_in, (long long)(bad_now_ms() - bad->begun_ms));
    fflush(stdout);
}
