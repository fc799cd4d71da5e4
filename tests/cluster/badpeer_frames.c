/* badpeer_frames.c - wrong frames, wrong handshakes, and too many or too slow ones. */
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/mem.h"
#include "src/host/sockets.h"
#include "tests/cluster/badpeer.h"

#define END_MS 5000   /* until a link that did wrong is closed */
#define SLOW_MS 13000 /* until one that only dawdles is: HANDSHAKE_TIMEOUT_MS and some */
#define BOMB_BYTES (4 << 20)
#define CHUNK_BYTES 4096

static const uint8_t spoken[] = {
    MSG_HELLO,         MSG_WELCOME,        MSG_GOAWAY,        MSG_PING,    MSG_PONG,
    MSG_NODES_REQUEST, MSG_NODES,          MSG_REG_BEGIN,     MSG_REG_ADD, MSG_REG_COMMIT,
    MSG_REG_STATUS,    MSG_DIALBACK,       MSG_DIALBACK_DONE, MSG_QUERY,   MSG_HITS,
    MSG_END,           MSG_LOCATE,         MSG_OPEN,          MSG_HAVE,    MSG_BLOCK_REQUEST,
    MSG_BLOCK,         MSG_HASHES_REQUEST, MSG_HASHES,        MSG_REJECT,  MSG_SHUT,
    MSG_PUSH,          MSG_SUMMARY,        MSG_REG_REMOVE,    MSG_LOAD};
#define SPOKEN (sizeof spoken / sizeof *spoken)

/* One link that brings these bytes after WELCOME, and then waits for what comes of it. */
static void bring(struct bad *bad, struct slice bytes) {
    struct bad_link link;
    if (bad_open(bad, &link)) {
        bad_raw(&link, bytes);
        bad_await_end(&link, END_MS);
    }
    bad->sent++;
    bad_close(&link);
}

static void bring_frame(struct bad *bad, uint8_t type, uint8_t flags, struct slice payload) {
    struct buf frame = {0};
    bad_header(&frame, type, flags, payload.len);
    buf_append(&frame, payload.data, payload.len);
    bring(bad, (struct slice){frame.data, frame.len});
    buf_free(&frame);
}

/* ---- Lengths ---- */

/* A header alone tells that more will come than may. */
static void run_oversized(struct bad *bad) {
    static const uint32_t lengths[] = {FRAME_PAYLOAD_MAX + 1, 1 << 20, 0xffffff};
    struct buf header = {0};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        header.len = 0;
        bad_header(&header, MSG_QUERY, 0, lengths[i]);
        bring(bad, (struct slice){header.data, header.len});
    }
    for (size_t i = 0; i < SPOKEN; i++) {
        uint32_t most = wire_message_info(spoken[i])->payload_max;
        if (most < FRAME_PAYLOAD_MAX) {
            header.len = 0;
            bad_header(&header, spoken[i], 0, most + 1);
            bring(bad, (struct slice){header.data, header.len});
        }
    }
    buf_free(&header);
}

/* Every beginning of a right message, as if it were all of it. */
static void truncate_all(struct bad *bad, uint8_t type, const struct buf *payload) {
    for (size_t len = 0; len < payload->len; len += 1 + payload->len / 24) {
        bring_frame(bad, type, 0, (struct slice){payload->data, len});
    }
}

static void run_truncated(struct bad *bad) {
    struct buf payload = {0};
    if (bad->purpose == PURPOSE_LEAF) {
        bad_query(bad, &payload, "truncated words", 3, 0);
        truncate_all(bad, MSG_QUERY, &payload);
        payload.len = 0;
        struct reg_state state = {.index_id = 7, .sequence = 300, .reach = 5, .count = 10};
        wire_reg_state_encode(&payload, &state);
        truncate_all(bad, MSG_REG_BEGIN, &payload);
        payload.len = 0;
        struct goaway goaway = {.reason = GOAWAY_SHUTDOWN};
        wire_goaway_encode(&payload, &goaway);
        truncate_all(bad, MSG_GOAWAY, &payload);
    } else {
        struct open_file open = {.handle = 3, .content = bad->content};
        wire_open_encode(&payload, &open);
        truncate_all(bad, MSG_OPEN, &payload);
        payload.len = 0;
        struct hashes_request request = {.handle = 3, .layer = 6, .count = 4};
        wire_hashes_request_encode(&payload, &request);
        truncate_all(bad, MSG_HASHES_REQUEST, &payload);
    }
    buf_free(&payload);
}

/* ---- Nonsense ---- */

static void run_garbage(struct bad *bad) {
    uint8_t noise[600];
    for (int i = 0; i < 12; i++) {
        rng_fill(&bad->rng, noise, sizeof noise);
        noise[4] |= 0xf0; /* flags that nobody may set */
        bring(bad, (struct slice){noise, sizeof noise});
    }
    static const uint8_t flags[] = {0x10, 0x20, 0x40, 0x80, FRAME_DICTIONARY_1, FRAME_DICTIONARY};
    struct ping ping = {.token = 1};
    struct buf payload = {0};
    wire_ping_encode(&payload, &ping);
    for (size_t i = 0; i < sizeof flags; i++) {
        bring_frame(bad, MSG_PING, flags[i], (struct slice){payload.data, payload.len});
    }
    bring_frame(bad, 200, FRAME_CRITICAL, (struct slice){payload.data, payload.len});
    bring_frame(bad, MSG_PING, FRAME_DEFLATED | FRAME_DICTIONARY_1,
                (struct slice){noise, sizeof noise});
    bring_frame(bad, MSG_PING, FRAME_DEFLATED, (struct slice){payload.data, payload.len});
    buf_free(&payload);
}

/* Right messages at the wrong moment, or on a link that carries none such. */
static void run_unexpected(struct bad *bad) {
    struct bad_link link;
    struct buf payload = {0}, hello = {0}, record = {0};
    for (int again = 0; again < 2; again++) {
        struct hello greeting;
        if (bad_open(bad, &link)) {
            bad_make_hello(&link, &greeting, &record);
            wire_hello_encode(&hello, &greeting);
            bad_send(&link, again == 0 ? MSG_HELLO : MSG_WELCOME, &hello);
            bad_await_end(&link, END_MS);
        }
        bad_close(&link);
    }
    struct ping ping = {.token = 1};
    wire_ping_encode(&payload, &ping);
    if (bad_connect(bad, &link)) {
        bad_send(&link, MSG_PING, &payload); /* before HELLO */
        bad_await_end(&link, END_MS);
    }
    bad_close(&link);
    struct query_end end = {.ttl = 1};
    wire_end_encode(&payload, &end);
    bring_frame(bad, MSG_END, 0, (struct slice){payload.data, payload.len});
    payload.len = 0;
    struct nodes nodes = {0};
    wire_nodes_encode(&payload, &nodes);
    bring_frame(bad, MSG_NODES, 0, (struct slice){payload.data, payload.len});
    buf_free(&payload);
    buf_free(&record);
}

/* ---- Bombs ---- */

/* Megabytes in a few KiB, as each message that may be deflated; and as the body of a query. */
static void make_bomb(struct buf *bomb, size_t bytes) {
    uint8_t *zeros = mem_new(bytes);
    bad_deflate(bomb, (struct slice){zeros, bytes});
    mem_free(zeros);
}

static void run_bomb(struct bad *bad) {
    struct buf bomb = {0};
    make_bomb(&bomb, BOMB_BYTES);
    for (size_t i = 0; i < SPOKEN; i++) {
        bring_frame(bad, spoken[i], FRAME_DEFLATED | FRAME_DICTIONARY_1,
                    (struct slice){bomb.data, bomb.len});
    }
    if (bad->purpose == PURPOSE_LEAF) {
        struct buf body = {0}, payload = {0};
        make_bomb(&body, BOMB_BYTES / 8);
        struct query_header header = {
            .ttl = 3, .want = 100, .deadline_ms = 2000, .body = {body.data, body.len}};
        wire_query_encode(&payload, &header);
        bring_frame(bad, MSG_QUERY, 0, (struct slice){payload.data, payload.len});
        buf_free(&body);
        buf_free(&payload);
    }
    buf_free(&bomb);
}

/* One link after the other, each with a bomb, as fast as they are let in. */
static void run_bomb_flood(struct bad *bad) {
    struct buf bomb = {0};
    int64_t until_ms = bad_now_ms() + bad->seconds * 1000;
    make_bomb(&bomb, BOMB_BYTES);
    while (bad_now_ms() < until_ms) {
        bad_new_identity(bad);
        bring_frame(bad, MSG_REG_ADD, FRAME_DEFLATED | FRAME_DICTIONARY_1,
                    (struct slice){bomb.data, bomb.len});
    }
    buf_free(&bomb);
}

/* ---- Handshakes ---- */

static void record_client_hello(struct bad *bad, struct buf *hello) {
    struct tls_peer peer = {.dialled = true};
    SSL *ssl = tls_new(bad->tls, bad->identity, &peer);
    BIO *out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
    (void)SSL_connect(ssl);
    const uint8_t *bytes = NULL;
    long len = BIO_get_mem_data(out, &bytes);
    buf_append(hello, bytes, (size_t)len);
    SSL_free(ssl);
}

#define FLOOD_PER_S 2000
#define FLOOD_ADDRESSES 200
#define FLOOD_OPEN 512

/* Connect without waiting, with the bytes on their way. */
static int send_and_leave(const struct bad *bad, const struct address *from, struct slice bytes) {
    struct sockaddr_storage storage;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t len = socket_address(&storage, from);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&storage, len) == 0) {
        len = socket_address(&storage, &bad->target);
        (void)connect(fd, (struct sockaddr *)&storage, len);
        (void)send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);
    }
    return fd;
}

/* ClientHellos and nothing more, 2,000 a second from 200 addresses, 512 left hanging. */
static void run_handshake_flood(struct bad *bad) {
    struct buf hello = {0};
    int fds[FLOOD_OPEN];
    memset(fds, -1, sizeof fds);
    record_client_hello(bad, &hello);
    int64_t begin_ms = bad_now_ms(), until_ms = begin_ms + bad->seconds * 1000;
    while (bad_now_ms() < until_ms) {
        int *slot = &fds[bad->sent % FLOOD_OPEN];
        struct address from = bad->from;
        from.ip[1] = 251;
        from.ip[3] = (uint8_t)(1 + bad->sent % FLOOD_ADDRESSES);
        if (*slot >= 0) {
            close(*slot);
        }
        *slot = send_and_leave(bad, &from, (struct slice){hello.data, hello.len});
        bad->sent++;
        int64_t due_ms = begin_ms + (int64_t)(bad->sent * 1000 / FLOOD_PER_S);
        if (due_ms > bad_now_ms()) {
            bad_sleep_ms((uint32_t)(due_ms - bad_now_ms()));
        }
    }
    for (int i = 0; i < FLOOD_OPEN; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    buf_free(&hello);
}

/* Wait until TCP ends; true when it did. */
static bool ends_within(int fd, int64_t until_ms) {
    uint8_t bytes[256];
    while (bad_now_ms() < until_ms) {
        ssize_t got = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK)) {
            return true;
        }
        bad_sleep_ms(20);
    }
    return false;
}

/* Three that dawdle: over TCP without a word, over TLS a byte at a time, and over HELLO. */
static void run_slow_writer(struct bad *bad) {
    struct bad_link link;
    struct hello greeting;
    struct buf client_hello = {0}, record = {0}, payload = {0}, frame = {0};
    int silent = bad_tcp(bad, &bad->from, 0), slow = bad_tcp(bad, &bad->from, 0);
    record_client_hello(bad, &client_hello);
    bool is_up = bad_connect(bad, &link);
    if (is_up) {
        bad_make_hello(&link, &greeting, &record);
        wire_hello_encode(&payload, &greeting);
        wire_frame_write(&frame, MSG_HELLO, 0, (struct slice){payload.data, payload.len});
    }
    int64_t until_ms = bad_now_ms() + SLOW_MS;
    bool silent_ended = false, slow_ended = false;
    for (size_t i = 0; bad_now_ms() < until_ms; i++) {
        silent_ended = silent_ended || ends_within(silent, bad_now_ms() + 50);
        slow_ended = slow_ended ||
                     send(slow, client_hello.data + i % client_hello.len, 1, MSG_NOSIGNAL) != 1 ||
                     ends_within(slow, bad_now_ms() + 50);
        if (is_up && link.end == BAD_OPEN && i + 1 < frame.len) {
            bad_raw(&link, (struct slice){frame.data + i, 1});
            bad_await_end(&link, 100);
        }
        if (silent_ended && slow_ended && link.end != BAD_OPEN) {
            break;
        }
        bad_sleep_ms(100);
    }
    bad->ends[silent_ended ? BAD_CLOSED : BAD_OPEN]++;
    bad->ends[slow_ended ? BAD_CLOSED : BAD_OPEN]++;
    bad_close(&link);
    close(silent);
    close(slow);
    buf_free(&client_hello);
    buf_free(&record);
    buf_free(&payload);
    buf_free(&frame);
}

/* PINGs whose echoes nobody reads. */
static void run_slow_reader(struct bad *bad) {
    struct bad_link link;
    struct buf payload = {0}, frame = {0};
    struct ping ping = {.token = 1};
    uint8_t tlv[CHUNK_BYTES - 100] = {2, (sizeof tlv - 3) >> 8, (sizeof tlv - 3) & 255};
    ping.tlvs = (struct slice){tlv, sizeof tlv};
    wire_ping_encode(&payload, &ping);
    wire_frame_write(&frame, MSG_PING, 0, (struct slice){payload.data, payload.len});
    int receive = 4096;
    if (bad_open(bad, &link)) {
        setsockopt(link.fd, SOL_SOCKET, SO_RCVBUF, &receive, sizeof receive);
        int64_t until_ms = bad_now_ms() + END_MS;
        bool is_taken = true;
        while (is_taken && bad_now_ms() < until_ms) {
            int sent = SSL_write(link.ssl, frame.data, (int)frame.len);
            is_taken = sent > 0 || SSL_get_error(link.ssl, sent) == SSL_ERROR_WANT_WRITE;
            bad->sent += sent > 0;
        }
        link.end = is_taken ? BAD_OPEN : BAD_CLOSED;
    }
    bad_close(&link);
    buf_free(&payload);
    buf_free(&frame);
}

/* ---- Another TLS than agreed ---- */

static EVP_PKEY *make_key(bool is_ed25519) {
    return is_ed25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
                      : EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
}

static X509 *make_certificate(EVP_PKEY *key, EVP_PKEY *signer, bool is_ed25519) {
    X509 *x = X509_new();
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const uint8_t *)"bad",
                               -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_set_pubkey(x, key);
    X509_sign(x, signer, is_ed25519 ? NULL : EVP_sha256());
    return x;
}

enum wrong_tls { NO_CERT, P256, FOREIGN, TWO_CERTS, OLD_ALPN, NO_ALPN, TLS12, WRONG_TLS };

static void dress(SSL_CTX *context, enum wrong_tls wrong) {
    bool is_ed25519 = wrong != P256;
    EVP_PKEY *key = make_key(is_ed25519), *other = make_key(is_ed25519);
    X509 *x = make_certificate(key, wrong == FOREIGN ? other : key, is_ed25519);
    if (wrong != NO_CERT) {
        SSL_CTX_use_certificate(context, x);
        SSL_CTX_use_PrivateKey(context, key);
    }
    if (wrong == TWO_CERTS) {
        SSL_CTX_add0_chain_cert(context, make_certificate(other, other, true));
    }
    if (wrong != NO_ALPN) {
        static const uint8_t right[] = "\x0btrunkline/1", old[] = "\x0btrunkline/0";
        SSL_CTX_set_alpn_protos(context, wrong == OLD_ALPN ? old : right, sizeof right - 1);
    }
    int version = wrong == TLS12 ? TLS1_2_VERSION : TLS1_3_VERSION;
    SSL_CTX_set_max_proto_version(context, version);
    X509_free(x);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

static void run_wrong_tls(struct bad *bad) {
    for (int wrong = 0; wrong < WRONG_TLS; wrong++) {
        SSL_CTX *context = SSL_CTX_new(TLS_client_method());
        struct bad_link link = {.bad = bad, .end = BAD_OPEN};
        dress(context, (enum wrong_tls)wrong);
        link.fd = bad_tcp(bad, &bad->from, 0);
        link.ssl = SSL_new(context);
        SSL_set_fd(link.ssl, link.fd);
        uint8_t byte;
        /* Who dials has finished before he is refused: the answer is in the first read. */
        if (link.fd < 0 || SSL_connect(link.ssl) != 1) {
            link.end = BAD_REFUSED;
        } else if (SSL_read(link.ssl, &byte, 1) <= 0) {
            link.end = BAD_CLOSED;
        }
        bad->sent++;
        bad_close(&link);
        SSL_CTX_free(context);
    }
}

/* ---- Another identity than ours ---- */

static void greet(struct bad *bad, bool with_auth, bool with_record) {
    struct bad_link link;
    struct hello hello;
    struct buf record = {0}, payload = {0};
    if (bad_connect(bad, &link)) {
        struct identity *ours = bad->identity;
        bad->identity = with_record ? identity_ephemeral(NULL) : ours;
        bad_make_hello(&link, &hello, &record);
        if (with_record) {
            identity_free(bad->identity);
            bad->identity = ours;
        }
        hello.auth.b[0] ^= with_auth ? 1 : 0;
        wire_hello_encode(&payload, &hello);
        bad_send(&link, MSG_HELLO, &payload);
        bad_await_end(&link, END_MS);
    }
    bad_close(&link);
    buf_free(&record);
}

/* Another's address record in our HELLO, and a secret that this network does not have. */
static void run_wrong_identity(struct bad *bad) {
    greet(bad, false, true);
    greet(bad, true, false);
}

/* A supernode that nobody has certified, and one with another's certificate. */
static void run_not_certified(struct bad *bad) {
    struct bad_link link;
    bad_open(bad, &link);
    bad_close(&link);
    struct cert cert = {.subject = bad->target_id, .epoch = 1, .life = 255, .signer_count = 1};
    wire_cert_encode(&bad->cert, &cert);
    bad_open(bad, &link);
    bad_close(&link);
    bad->cert.len = 0;
    cert.subject = *identity_id(bad->identity); /* ours, signed by nobody */
    cert.epoch = (uint32_t)(time(NULL) / bad->network.epoch_s);
    wire_cert_encode(&bad->cert, &cert);
    bad_open(bad, &link);
    bad_close(&link);
}

const struct bad_mode bad_frame_modes[] = {
    {"oversized", PURPOSE_LEAF, run_oversized},
    {"truncated", PURPOSE_LEAF, run_truncated},
    {"garbage", PURPOSE_LEAF, run_garbage},
    {"unexpected", PURPOSE_LEAF, run_unexpected},
    {"bomb", PURPOSE_LEAF, run_bomb},
    {"bomb-flood", PURPOSE_LEAF, run_bomb_flood},
    {"handshake-flood", PURPOSE_LEAF, run_handshake_flood},
    {"slow-writer", PURPOSE_LEAF, run_slow_writer},
    {"slow-reader", PURPOSE_LEAF, run_slow_reader},
    {"wrong-tls", PURPOSE_LEAF, run_wrong_tls},
    {"wrong-identity", PURPOSE_LEAF, run_wrong_identity},
    {"not-certified", PURPOSE_MESH, run_not_certified},
    {0},
};
