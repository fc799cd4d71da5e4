/* badpeer_source.c - a source of files that does wrong, and one who asks too much of others. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/hashtree.h"
#include "common/mem.h"
#include "src/host/sockets.h"
#include "tests/cluster/badpeer.h"

#define END_MS 5000
#define ASKED_BLOCKS 1200
#define OPENED 64

/* ---- The file ---- */

struct copy {
    uint8_t *bytes;
    struct hash *blocks;
    struct hash *pieces;
};

static void load_copy(const struct bad *bad, struct copy *copy) {
    const struct crypto *crypto = identity_crypto(bad->identity);
    uint64_t size = bad->content.size;
    int fd = open(bad->file, O_RDONLY | O_CLOEXEC);
    copy->bytes = mem_new(size + 2);
    if (fd < 0 || read(fd, copy->bytes, size) < 0) {
        bad_fail("%s: %s", bad->file, strerror(errno));
    }
    close(fd);
    uint32_t pieces = hashtree_pieces(size);
    copy->blocks = mem_array(hashtree_blocks(size), sizeof *copy->blocks);
    copy->pieces = mem_array(pieces, sizeof *copy->pieces);
    for (uint32_t i = 0; i < hashtree_blocks(size); i++) {
        struct slice block = {copy->bytes + (uint64_t)i * BLOCK_BYTES,
                              hashtree_block_bytes(size, i)};
        crypto_hash(crypto, block, &copy->blocks[i]);
    }
    for (uint32_t i = 0; i < pieces; i++) {
        hashtree_piece(crypto, size, i, copy->blocks + (size_t)i * PIECE_BLOCKS, &copy->pieces[i]);
    }
}

/* ---- Serving ---- */

enum lie {
    LIE_WRONG,     /* every block is altered */
    LIE_SOMETIMES, /* one of ten */
    LIE_SIZES,     /* blocks of another length than theirs */
    LIE_LACKS,     /* says that it has everything, and has nothing */
    LIE_SILENT,    /* says so and never answers */
    LIE_UNASKED,   /* sends blocks that nobody asked for */
    LIE_HASHES     /* hashes that prove nothing */
};

struct serving {
    struct bad *bad;
    struct copy *copy;
    enum lie lie;
};

static void send_block(struct bad_link *link, const struct serving *serving, uint32_t handle,
                       uint32_t index) {
    static uint8_t bytes[BLOCK_BYTES];
    struct buf frame = {0};
    uint32_t len = hashtree_block_bytes(serving->bad->content.size, index);
    memcpy(bytes, serving->copy->bytes + (uint64_t)index * BLOCK_BYTES, len);
    bool is_false = serving->lie == LIE_WRONG ||
                    (serving->lie == LIE_SOMETIMES && rng_below(&serving->bad->rng, 10) == 0);
    bytes[len / 2] ^= is_false ? 0x20 : 0;
    len = serving->lie == LIE_SIZES && len > 1 ? len - 1 : len;
    wire_block_header(&frame, handle, index, len);
    buf_append(&frame, bytes, len);
    bad_raw(link, (struct slice){frame.data, frame.len});
    serving->bad->sent++;
    buf_free(&frame);
}

static void reject(struct bad_link *link, uint32_t handle, uint32_t first, uint16_t count) {
    struct reject reject = {
        .handle = handle, .reason = REJECT_MISSING, .first = first, .count = count};
    struct buf payload = {0};
    wire_reject_encode(&payload, &reject);
    bad_send(link, MSG_REJECT, &payload);
    link->bad->sent++;
}

static void serve_blocks(struct bad_link *link, const struct serving *serving,
                         struct slice payload) {
    struct block_request request;
    if (wire_block_request_decode(payload, &request) != OK) {
        return;
    }
    serving->bad->answered++;
    if (serving->lie == LIE_LACKS) {
        reject(link, request.handle, request.first, request.count);
    } else if (serving->lie == LIE_UNASKED) {
        for (uint32_t i = 0; i < ASKED_BLOCKS && link->end == BAD_OPEN; i++) {
            send_block(link, serving, request.handle, request.first);
        }
    } else if (serving->lie != LIE_SILENT) {
        for (uint32_t i = 0; i < request.count && link->end == BAD_OPEN; i++) {
            send_block(link, serving, request.handle, request.first + i);
        }
    }
}

/* Hashes are true, since only then blocks are asked for; but for LIE_HASHES. */
static void serve_hashes(struct bad_link *link, const struct serving *serving,
                         struct slice payload) {
    static struct hash hashes[HASHES_MAX];
    struct hashes_request request;
    const struct crypto *crypto = identity_crypto(serving->bad->identity);
    uint64_t size = serving->bad->content.size;
    if (wire_hashes_request_decode(payload, &request) != OK || serving->lie == LIE_SILENT) {
        return;
    }
    bool is_layer_0 = request.layer == 0;
    uint32_t have = is_layer_0 ? hashtree_blocks(size) : hashtree_pieces(size);
    const struct hash *all = is_layer_0 ? serving->copy->blocks : serving->copy->pieces;
    for (uint32_t i = 0; i < request.count; i++) {
        hashtree_pad(crypto, request.layer, &hashes[i]);
        hashes[i] = request.first + i < have ? all[request.first + i] : hashes[i];
    }
    struct hash_run run = {
        .layer = request.layer, .first = request.first, .count = request.count, .hashes = hashes};
    if (is_layer_0) {
        uint32_t piece = request.first / PIECE_BLOCKS;
        hashtree_block_proof(crypto, size, serving->copy->blocks + (size_t)piece * PIECE_BLOCKS,
                             have > PIECE_BLOCKS ? serving->copy->pieces : NULL, &run);
    } else {
        hashtree_proof(crypto, size, serving->copy->pieces, &run);
    }
    hashes[0].b[0] ^= serving->lie == LIE_HASHES ? 1 : 0;
    struct hashes answer = {.handle = request.handle,
                            .layer = request.layer,
                            .first = request.first,
                            .count = request.count,
                            .hashes = {hashes[0].b, (size_t)request.count * HASH_BYTES},
                            .proof_count = (uint8_t)run.proof_count,
                            .proof = {run.proof[0].b, (size_t)run.proof_count * HASH_BYTES}};
    struct buf encoded = {0};
    wire_hashes_encode(&encoded, &answer);
    bad_send(link, MSG_HASHES, &encoded);
}

static void serve_open(struct bad_link *link, struct slice payload) {
    struct open_file open;
    if (wire_open_decode(payload, &open) == OK) {
        struct have have = {.handle = open.handle, .all = true};
        struct buf encoded = {0};
        wire_have_encode(&encoded, &have);
        bad_send(link, MSG_HAVE, &encoded);
    }
}

static void serve_one(struct bad_link *link, const struct serving *serving,
                      const struct session_message *message) {
    if (message->type == MSG_BLOCK_REQUEST && serving->bad->answered == 0) {
        printf("{\"kind\":\"asked\"}\n"); /* for blocks, for the first time */
        fflush(stdout);
    }
    if (message->type == MSG_OPEN) {
        serve_open(link, message->payload);
    } else if (message->type == MSG_BLOCK_REQUEST) {
        serve_blocks(link, serving, message->payload);
    } else if (message->type == MSG_HASHES_REQUEST) {
        serve_hashes(link, serving, message->payload);
    }
}

/* WELCOME, whatever it is for. */
static void welcome(struct bad_link *link, const struct session_message *message) {
    struct hello theirs, ours;
    struct buf record = {0}, payload = {0};
    if (message->type == MSG_HELLO && wire_hello_decode(message->payload, &theirs) == OK) {
        link->bad->purpose = (enum purpose)theirs.purpose;
        bad_make_hello(link, &ours, &record);
        ours.observed = (struct address){.family = ADDRESS_IPV4, .ip = {127, 0, 0, 1}, .port = 1};
        wire_hello_encode(&payload, &ours);
        bad_send(link, MSG_WELCOME, &payload);
        buf_free(&record);
    }
}

/* One link that somebody dialled, in a process of its own. */
static _Noreturn void serve_link(const struct serving *serving, int fd) {
    struct bad_link link;
    struct session_message message;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int64_t until_ms = bad_now_ms() + serving->bad->seconds * 1000;
    memset(serving->bad->ends, 0, sizeof serving->bad->ends);
    if (bad_accept(serving->bad, &link, fd)) {
        printf("{\"kind\":\"ready\"}\n"); /* the first who comes proves that we can be dialled */
        fflush(stdout);
        if (bad_next(&link, END_MS, &message)) {
            welcome(&link, &message);
        }
        while (bad_next(&link, (int)(until_ms - bad_now_ms()), &message)) {
            serve_one(&link, serving, &message);
        }
    }
    bad_close(&link);
    if (serving->bad->purpose == PURPOSE_TRANSFER || serving->bad->purpose == PURPOSE_CALLBACK) {
        bad_report(serving->bad);
    }
    _exit(0);
}

static int listen_at(const struct address *address) {
    struct sockaddr_storage storage;
    int yes = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t len = socket_address(&storage, address);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&storage, len) != 0 || listen(fd, 64) != 0) {
        bad_fail("cannot listen: %s", strerror(errno));
    }
    return fd;
}

static void accept_one(const struct serving *serving, int listener) {
    int fd = accept(listener, NULL, NULL);
    if (fd >= 0) {
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            serve_link(serving, fd);
        }
        close(fd);
    }
}

/* A source's life: registered at the target, it serves in its own way whoever comes. The
 * supernode's audits come on the leaf link, and are answered by the same lie. */
static void live(struct bad *bad, enum lie lie) {
    struct copy copy;
    struct bad_link link;
    struct session_message message;
    struct serving serving = {.bad = bad, .copy = &copy, .lie = lie};
    struct file_record record = {.content = bad->content,
                                 .name = {(const uint8_t *)bad->name, strlen(bad->name)}};
    int listener = listen_at(&bad->listen);
    int64_t until_ms = bad_now_ms() + bad->seconds * 1000;
    load_copy(bad, &copy);
    if (!bad_open(bad, &link) || !bad_register(&link, &record, 1)) {
        bad_fail("the list was not taken");
    }
    while (link.end == BAD_OPEN && bad_now_ms() < until_ms) {
        struct pollfd fds[] = {{.fd = listener, .events = POLLIN},
                               {.fd = link.fd, .events = POLLIN}};
        poll(fds, 2, 100);
        accept_one(&serving, listener);
        while (bad_next(&link, 0, &message)) {
            serve_one(&link, &serving, &message);
        }
    }
    bad_close(&link);
    close(listener);
}

#define LIE(name, lie)                                                                             \
    static void name(struct bad *bad) {                                                            \
        live(bad, lie);                                                                            \
    }
LIE(run_wrong_blocks, LIE_WRONG)
LIE(run_some_wrong, LIE_SOMETIMES)
LIE(run_wrong_sizes, LIE_SIZES)
LIE(run_lacks, LIE_LACKS)
LIE(run_silent, LIE_SILENT)
LIE(run_unasked_blocks, LIE_UNASKED)
LIE(run_wrong_hashes, LIE_HASHES)

/* At another's address, under another key: nobody may say HELLO to it. */
static void run_imposter(struct bad *bad) {
    int listener = listen_at(&bad->listen);
    int64_t until_ms = bad_now_ms() + bad->seconds * 1000;
    printf("{\"kind\":\"ready\"}\n");
    fflush(stdout);
    while (bad_now_ms() < until_ms) {
        struct pollfd poll_fd = {.fd = listener, .events = POLLIN};
        struct session_message message;
        struct bad_link link;
        poll(&poll_fd, 1, 100);
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) {
            continue;
        }
        bad->sent++;
        if (bad_accept(bad, &link, fd)) {
            bad->answered += bad_next(&link, 1000, &message);
        }
        bad_close(&link);
    }
    close(listener);
}

/* ---- Asking ---- */

static void open_file(struct bad_link *link, uint32_t handle) {
    struct open_file open = {.handle = handle, .content = link->bad->content};
    struct buf payload = {0};
    wire_open_encode(&payload, &open);
    bad_send(link, MSG_OPEN, &payload);
}

static void ask_blocks(struct bad_link *link, uint32_t handle, uint32_t first, uint8_t count) {
    struct block_request request = {.handle = handle, .first = first, .count = count};
    struct buf payload = {0};
    wire_block_request_encode(&payload, &request);
    bad_send(link, MSG_BLOCK_REQUEST, &payload);
    link->bad->sent++;
}

/* More blocks at once than may wait, and more handles. */
static void run_request_flood(struct bad *bad) {
    struct bad_link link;
    struct session_message message;
    if (bad_open(bad, &link)) {
        for (uint32_t i = 0; i < OPENED && link.end == BAD_OPEN; i++) {
            open_file(&link, i);
            for (uint32_t j = 0; j < 8 && link.end == BAD_OPEN; j++) {
                ask_blocks(&link, i, 0, 64);
            }
        }
        int64_t until_ms = bad_now_ms() + bad->seconds * 1000;
        while (bad_next(&link, (int)(until_ms - bad_now_ms()), &message)) {
            bad->answered += message.type == MSG_REJECT;
        }
    }
    bad_close(&link);
}

/* Blocks that do not exist, of handles that were never opened. */
static void run_wrong_requests(struct bad *bad) {
    for (int i = 0; i < 2; i++) {
        struct bad_link link;
        struct session_message message;
        if (bad_open(bad, &link)) {
            open_file(&link, 1);
            (void)bad_await(&link, MSG_HAVE, END_MS, &message);
            ask_blocks(&link, i == 0 ? 1 : 77, i == 0 ? (1u << 28) - 64 : 0, 64);
            while (bad_next(&link, 1000, &message)) {
                bad->answered += message.type == MSG_REJECT;
            }
        }
        bad_close(&link);
    }
}

/* Asks for much and takes nothing. */
static void run_slow_fetcher(struct bad *bad) {
    struct bad_link link;
    struct session_message message;
    int receive = 4096;
    if (bad_open(bad, &link)) {
        setsockopt(link.fd, SOL_SOCKET, SO_RCVBUF, &receive, sizeof receive);
        open_file(&link, 1);
        (void)bad_await(&link, MSG_HAVE, END_MS, &message);
        for (uint32_t i = 0; i < 4; i++) {
            ask_blocks(&link, 1, i * 64, 64);
        }
        bad_sleep_ms(bad->seconds * 1000);
        bad_await_end(&link, 2000);
    }
    bad_close(&link);
}

const struct bad_mode bad_transfer_modes[] = {
    {"wrong-blocks", PURPOSE_LEAF, run_wrong_blocks},
    {"some-wrong-blocks", PURPOSE_LEAF, run_some_wrong},
    {"wrong-sizes", PURPOSE_LEAF, run_wrong_sizes},
    {"lacks", PURPOSE_LEAF, run_lacks},
    {"silent", PURPOSE_LEAF, run_silent},
    {"unasked-blocks", PURPOSE_LEAF, run_unasked_blocks},
    {"wrong-hashes", PURPOSE_LEAF, run_wrong_hashes},
    {"imposter", PURPOSE_LEAF, run_imposter},
    {"request-flood", PURPOSE_TRANSFER, run_request_flood},
    {"wrong-requests", PURPOSE_TRANSFER, run_wrong_requests},
    {"slow-fetcher", PURPOSE_TRANSFER, run_slow_fetcher},
    {0},
};
