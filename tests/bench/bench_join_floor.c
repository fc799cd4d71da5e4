/* bench_join_floor.c - what no supernode can spare when a leaf joins, each part by itself: its two
 * messages in and two out through TLS and the kernel, inflating them, the hashes that the protocol
 * demands. With the index (bench_join_parts.c) that is the floor of a join. */
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/hashtree.h"
#include "common/mem.h"
#include "common/session.h"
#include "src/host/crypto.h"
#include "src/host/tls.h"
#include "tests/bench/bench.h"
#include "tests/bench/bench_join_parts.h"

#define ANSWER_BYTES 60 /* REG_STATUS: less than that is not told */

static double thread_cpu(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- Two ends of a link ---- */

struct ends {
    SSL_CTX *context;
    struct identity *identities[2];
    struct tls_peer peers[2];
    SSL *ssl[2]; /* ours, the leaf's */
    int fds[2];
};

static void connect_ends(int fds[2]) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = bind(listener, (struct sockaddr *)&at, len) == 0 && listen(listener, 1) == 0 &&
              getsockname(listener, (struct sockaddr *)&at, &len) == 0 &&
              connect(fds[1], (struct sockaddr *)&at, len) == 0;
    fds[0] = ok ? accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC) : -1;
    if (fds[0] < 0 || fcntl(fds[1], F_SETFL, O_NONBLOCK) != 0) {
        bench_fail("no link over loopback");
    }
    close(listener);
}

static void ends_make(struct ends *ends) {
    struct host_error error;
    *ends = (struct ends){.context = tls_context_new(&error)};
    connect_ends(ends->fds);
    for (int i = 0; i < 2; i++) {
        ends->identities[i] = identity_ephemeral(NULL);
    }
    ends->peers[1] =
        (struct tls_peer){.dialled = true, .wanted = *identity_id(ends->identities[0])};
    for (int i = 0; i < 2; i++) {
        ends->ssl[i] = tls_new(ends->context, ends->identities[i], &ends->peers[i]);
        (void)SSL_set_fd(ends->ssl[i], ends->fds[i]);
    }
    SSL_set_accept_state(ends->ssl[0]);
    SSL_set_connect_state(ends->ssl[1]);
    int done[2] = {0, 0};
    for (int i = 0; i < 1000 && (done[0] != 1 || done[1] != 1); i++) {
        done[1] = SSL_do_handshake(ends->ssl[1]);
        done[0] = SSL_do_handshake(ends->ssl[0]);
    }
    if (done[0] != 1 || done[1] != 1) {
        bench_fail("no handshake over loopback");
    }
}

static void ends_free(struct ends *ends) {
    for (int i = 0; i < 2; i++) {
        SSL_free(ends->ssl[i]);
        close(ends->fds[i]);
        identity_free(ends->identities[i]);
    }
    SSL_CTX_free(ends->context);
}

/* CPU seconds that our end takes for so many bytes in, and an answer. */
static double exchange(const struct ends *ends, size_t bytes) {
    static uint8_t buffer[65536];
    size_t got = 0;
    if (SSL_write(ends->ssl[1], buffer, (int)bytes) != (int)bytes) {
        bench_fail("loopback does not take a list");
    }
    double cpu_s = -thread_cpu();
    while (got < bytes) {
        int some = SSL_read(ends->ssl[0], buffer, SSL3_RT_MAX_PLAIN_LENGTH);
        got += some > 0 ? (size_t)some : 0;
    }
    (void)SSL_write(ends->ssl[0], buffer, ANSWER_BYTES);
    cpu_s += thread_cpu();
    while (SSL_read(ends->ssl[1], buffer, ANSWER_BYTES) != ANSWER_BYTES) {
    }
    return cpu_s;
}

/* ---- What is in the messages ---- */

/* The records of a list, encoded one after the other, and where each ends. */
struct records {
    struct buf bytes;
    size_t *ends;
    uint32_t count;
};

/* CPU seconds of inflating a list, framing included; what it says goes to `records`. */
static double inflate_list(struct packer *packer, const struct buf *frames,
                           struct records *records) {
    struct session session = {0};
    struct session_message message;
    struct slice input = {frames->data, frames->len};
    enum err err = OK;
    double cpu_s = -thread_cpu();
    while (session_next(&session, packer, &input, &message, &err)) {
        cpu_s += thread_cpu();
        struct reg_add add;
        struct reg_records each;
        struct file_record file;
        if (message.type == MSG_REG_ADD && wire_reg_add_decode(message.payload, &add) == OK) {
            wire_reg_records_begin(&each, &add);
            while (wire_reg_records_next(&each, &file)) {
                wire_file_record_append(&records->bytes, &file);
                records->ends[records->count++] = records->bytes.len;
            }
        }
        cpu_s -= thread_cpu();
    }
    cpu_s += thread_cpu();
    session_free(&session);
    return cpu_s;
}

/* CPU seconds of hashing records and a tree above them, as if their hashes came in order. */
static double hash_list(const struct records *records) {
    const struct crypto *crypto = crypto_keyless();
    struct hashtree_growth tree = {0};
    struct hash hash;
    size_t from = 0;
    double cpu_s = -thread_cpu();
    for (uint32_t i = 0; i < records->count; i++) {
        crypto_hash(crypto, (struct slice){records->bytes.data + from, records->ends[i] - from},
                    &hash);
        hashtree_grow(crypto, &tree, &hash);
        from = records->ends[i];
    }
    hashtree_grown(crypto, &tree, 0, &hash);
    return cpu_s + thread_cpu();
}

/* ---- The floor ---- */

static void show(const struct bench *bench, const char *name, double value_us, double all_us) {
    bench_figure(bench, &(struct figure){.name = name,
                                         .value = value_us,
                                         .unit = "us",
                                         .peer = "a join, index and all of these",
                                         .peer_value = all_us});
}

void bench_join_floor(const struct bench *bench, uint32_t leaves, uint32_t files) {
    struct ends ends;
    struct packer *packer = packer_new();
    double tls_s = 0, inflate_s = 0, hash_s = 0;
    ends_make(&ends);
    for (uint32_t i = 0; i < leaves; i++) {
        struct join_frames frames;
        struct records records = {.ends = mem_array(files, sizeof *records.ends)};
        join_frames_make(&frames, packer, i * files, files);
        tls_s += exchange(&ends, frames.begin.len) + exchange(&ends, frames.rest.len);
        inflate_s += inflate_list(packer, &frames.rest, &records);
        hash_s += hash_list(&records);
        join_frames_free(&frames);
        buf_free(&records.bytes);
        mem_free(records.ends);
    }
    ends_free(&ends);
    packer_free(packer);
    double us = 1e6 / leaves;
    double index_s = bench_join_index(leaves, files);
    double all_s = tls_s + inflate_s + hash_s + index_s;
    show(bench, "a join's floor: TLS and kernel", tls_s * us, all_s * us);
    show(bench, "inflating", inflate_s * us, all_s * us);
    show(bench, "record hashes and their tree", hash_s * us, all_s * us);
    show(bench, "the index", index_s * us, all_s * us);
}
