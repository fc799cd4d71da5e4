/* bench_blocks.c - blocks of files through step over TLS: rate per core, and stalled readers.
 *
 * Two processes. The sender serves a file with ACTION_SEND_BLOCK; the receiver cuts frames with
 * session.h, hashes every block as it comes, checks each piece against its hash, and hands it to a
 * worker in one owned write of 1 MiB. CPU time is of the whole process, workers included. The
 * floor is the same decryption, hashing and writing in a bare blocking program, measured right
 * after each case, since machines change their speed within minutes. The
 * results are discussed in docs/decisions/0001. Usage: bench_blocks [MIB [FOLDER]] */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/check.h"
#include "common/hashtree.h"
#include "common/mem.h"
#include "common/session.h"
#include "src/host/crypto.h"
#include "src/host/host.h"
#include "src/host/tls.h"

#define LINKS_MAX 16
#define PIECES_AHEAD 3   /* asked for per link */
#define STALLED_ASKS 16  /* pieces a stalled reader asks for and never reads */
#define JOB_BYTES 131072 /* the floor's writes */
#define LIMIT_S 60

/* What the two processes share. */
struct board {
    struct node_id id;
    struct address address;
    struct content_id content;
    volatile int is_ready;
    volatile int is_over;
    double cpu_s;        /* the receiver's */
    double wall_s;       /* from the first request to the last piece */
    double sender_cpu_s; /* the sender's in the same time */
    long sender_kib;     /* its largest resident size */
    struct hash pieces[];
};

struct run {
    struct board *board;
    const char *folder;
    uint32_t links;
    uint32_t stalled;
};

static double seconds(struct timeval time) {
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static double cpu_now(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/* ---- The sender: answers BLOCK_REQUEST ---- */

struct sender {
    const struct node_env *env;
    struct run *run;
    uint64_t file;
    struct session sessions[LINKS_MAX + 1];
    double cpu_at_start;
    uint64_t deadline_us;
};

static void send_blocks(struct sender *sender, uint32_t link, struct slice payload,
                        struct outbox *out) {
    struct block_request request;
    CHECK(wire_block_request_decode(payload, &request) == OK);
    for (uint32_t i = 0; i < request.count; i++) {
        uint32_t block = request.first + i;
        uint32_t len = hashtree_block_bytes(sender->run->board->content.size, block);
        struct buf header = {0};
        wire_block_header(&header, request.handle, block, len);
        struct action *action =
            outbox_add_bytes(out, ACTION_SEND_BLOCK, (struct slice){header.data, header.len});
        action->link = link;
        action->file = sender->file;
        action->offset = (uint64_t)block * BLOCK_BYTES;
        action->len = len;
        buf_free(&header);
    }
}

static void sender_bytes(struct sender *sender, const struct node_event *event,
                         struct outbox *out) {
    struct session *session = &sender->sessions[event->bytes.link];
    struct slice input = event->bytes.data;
    struct session_message message;
    enum err err = OK;
    while (session_next(session, sender->env->packer, &input, &message, &err)) {
        CHECK(message.type == MSG_BLOCK_REQUEST);
        send_blocks(sender, event->bytes.link, message.payload, out);
    }
    CHECK(err == OK);
}

static void sender_step(void *self, const struct node_event *event, struct outbox *out) {
    struct sender *sender = self;
    struct board *board = sender->run->board;
    sender->deadline_us = event->mono_us + 20000;
    switch (event->kind) {
    case NODE_SHARED:
        sender->file = event->shared.file;
        board->content = event->shared.content;
        memcpy(board->pieces, event->shared.pieces.data, event->shared.pieces.len);
        break;
    case NODE_SHARES_READY:
        board->is_ready = 1;
        break;
    case NODE_LINK_UP:
        CHECK(event->up.link <= LINKS_MAX);
        if (event->up.link == 1) {
            sender->cpu_at_start = cpu_now();
        }
        break;
    case NODE_LINK_BYTES:
        sender_bytes(sender, event, out);
        break;
    case NODE_BLOCK_FAILED:
        CHECK(event->block.reason == ERR_CLOSED || event->block.reason == ERR_BUSY);
        break;
    default:
        break;
    }
    if (board->is_over == 1) {
        struct rusage usage;
        getrusage(RUSAGE_SELF, &usage);
        board->sender_cpu_s = cpu_now() - sender->cpu_at_start;
        board->sender_kib = usage.ru_maxrss;
        board->is_over = 2;
        outbox_add(out, ACTION_STOPPED);
    }
}

static uint64_t sender_deadline(const void *self) {
    return ((const struct sender *)self)->deadline_us;
}

static void sender_free(void *self) {
    struct sender *sender = self;
    for (size_t i = 0; i <= LINKS_MAX; i++) {
        session_free(&sender->sessions[i]);
    }
    mem_free(sender);
}

static struct node sender_make(const struct node_env *env, const void *config) {
    static const struct node_ops ops = {sender_step, sender_deadline, sender_free};
    struct sender *sender = mem_new(sizeof *sender);
    sender->env = env;
    sender->run = (struct run *)(uintptr_t)config;
    return (struct node){&ops, sender};
}

/* ---- The receiver ---- */

/* A piece on its way. */
struct piece {
    uint8_t *bytes;
    uint32_t number;
    uint32_t got; /* blocks */
    struct hash blocks[PIECE_BLOCKS];
};

struct inlet {
    struct session session;
    uint32_t link;
    struct piece pieces[PIECES_AHEAD];
};

struct receiver {
    const struct node_env *env;
    struct run *run;
    struct inlet inlets[LINKS_MAX + 1]; /* by link number */
    uint32_t count;                     /* pieces in the file */
    uint32_t next;                      /* piece to ask for */
    uint32_t verified;
    uint32_t written;
    uint32_t up;
    uint64_t started_us;
    double cpu_at_start;
};

static void ask(struct receiver *receiver, struct inlet *inlet, struct outbox *out) {
    for (uint32_t i = 0; i < PIECES_AHEAD && receiver->next < receiver->count; i++) {
        struct piece *piece = &inlet->pieces[i];
        if (piece->bytes != NULL) {
            continue;
        }
        piece->bytes = malloc(PIECE_BYTES); /* every byte will be written: no need for zeroes */
        CHECK(piece->bytes != NULL);
        piece->number = receiver->next++;
        piece->got = 0;
        struct block_request request = {.handle = i, .count = PIECE_BLOCKS};
        request.first = piece->number * PIECE_BLOCKS;
        struct buf payload = {0};
        struct buf frame = {0};
        wire_block_request_encode(&payload, &request);
        session_pack(receiver->env->packer, MSG_BLOCK_REQUEST,
                     (struct slice){payload.data, payload.len}, &frame);
        outbox_write(out, inlet->link, (struct slice){frame.data, frame.len});
        buf_free(&payload);
        buf_free(&frame);
    }
}

static void finish_piece(struct receiver *receiver, struct piece *piece, struct outbox *out) {
    const struct board *board = receiver->run->board;
    struct hash root;
    hashtree_piece(receiver->env->crypto, board->content.size, piece->number, piece->blocks, &root);
    CHECK(memcmp(&root, &board->pieces[piece->number], sizeof root) == 0);
    receiver->verified++;
    struct action *action = outbox_add(out, ACTION_FILE_WRITE);
    action->file = FILE_PART | 1;
    action->offset = (uint64_t)piece->number * PIECE_BYTES;
    action->len = PIECE_BYTES;
    action->owned = piece->bytes;
    piece->bytes = NULL;
}

static void take_block(struct receiver *receiver, struct inlet *inlet, struct slice payload,
                       struct outbox *out) {
    struct block block;
    CHECK(wire_block_decode(payload, &block) == OK && block.handle < PIECES_AHEAD);
    struct piece *piece = &inlet->pieces[block.handle];
    uint32_t place = block.index - piece->number * PIECE_BLOCKS;
    CHECK(piece->bytes != NULL && place < PIECE_BLOCKS && block.data.len == BLOCK_BYTES);
    crypto_hash(receiver->env->crypto, block.data, &piece->blocks[place]);
    memcpy(piece->bytes + (size_t)place * BLOCK_BYTES, block.data.data, BLOCK_BYTES);
    if (++piece->got == PIECE_BLOCKS) {
        finish_piece(receiver, piece, out);
        ask(receiver, inlet, out);
    }
}

static void receiver_bytes(struct receiver *receiver, const struct node_event *event,
                           struct outbox *out) {
    struct inlet *inlet = &receiver->inlets[event->bytes.link];
    struct slice input = event->bytes.data;
    struct session_message message;
    enum err err = OK;
    while (session_next(&inlet->session, receiver->env->packer, &input, &message, &err)) {
        CHECK(message.type == MSG_BLOCK);
        take_block(receiver, inlet, message.payload, out);
    }
    CHECK(err == OK);
}

/* A stalled reader asks for much and reads nothing. */
static void stall(struct receiver *receiver, uint32_t link, struct outbox *out) {
    struct inlet greedy = {.link = link};
    struct receiver asking = {.env = receiver->env, .run = receiver->run, .count = UINT32_MAX};
    struct action *action = outbox_add(out, ACTION_READ_STOP);
    action->link = link;
    for (uint32_t i = 0; i < STALLED_ASKS; i++) {
        asking.next = i % receiver->count;
        ask(&asking, &greedy, out);
        for (uint32_t j = 0; j < PIECES_AHEAD; j++) {
            free(greedy.pieces[j].bytes);
            greedy.pieces[j].bytes = NULL;
        }
    }
}

static void all_up(struct receiver *receiver, const struct node_event *event, struct outbox *out) {
    struct run *run = receiver->run;
    for (uint32_t i = 1; i <= run->stalled; i++) {
        stall(receiver, i, out);
    }
    receiver->started_us = event->mono_us;
    receiver->cpu_at_start = cpu_now();
    for (uint32_t i = run->stalled + 1; i <= run->stalled + run->links; i++) {
        receiver->inlets[i].link = i;
        ask(receiver, &receiver->inlets[i], out);
    }
}

static void start(struct receiver *receiver, struct outbox *out) {
    const struct board *board = receiver->run->board;
    receiver->count = (uint32_t)(board->content.size / PIECE_BYTES);
    struct action *action = outbox_add(out, ACTION_FILE_OPEN);
    action->file = FILE_PART | 1;
    action->content = board->content;
}

static void dial(struct receiver *receiver, struct outbox *out) {
    const struct board *board = receiver->run->board;
    for (uint32_t i = 0; i < receiver->run->links + receiver->run->stalled; i++) {
        struct action *action = outbox_add(out, ACTION_DIAL);
        action->token32 = i + 1;
        action->id = board->id;
        action->address = board->address;
    }
}

static void end(struct receiver *receiver, const struct node_event *event, struct outbox *out) {
    struct board *board = receiver->run->board;
    board->cpu_s = cpu_now() - receiver->cpu_at_start;
    board->wall_s = (double)(event->mono_us - receiver->started_us) / 1e6;
    board->is_over = 1;
    struct action *action = outbox_add(out, ACTION_FILE_DISCARD);
    action->file = FILE_PART | 1;
    outbox_add(out, ACTION_STOPPED);
}

static void receiver_step(void *self, const struct node_event *event, struct outbox *out) {
    struct receiver *receiver = self;
    const struct run *run = receiver->run;
    switch (event->kind) {
    case NODE_START:
        start(receiver, out);
        break;
    case NODE_FILE_OPENED: /* its room is taken: not part of what is measured */
        dial(receiver, out);
        break;
    case NODE_LINK_UP:
        if (++receiver->up == run->links + run->stalled) {
            all_up(receiver, event, out);
        }
        break;
    case NODE_LINK_BYTES:
        receiver_bytes(receiver, event, out);
        break;
    case NODE_FILE_WRITTEN:
        if (++receiver->written == receiver->count) {
            CHECK(receiver->verified == receiver->count);
            end(receiver, event, out);
        }
        break;
    case NODE_DIAL_FAILED:
    case NODE_LINK_DOWN:
    case NODE_FILE_FAILED:
        fprintf(
            stderr, "bench_blocks: event %d, reason %s\n", event->kind,
            err_name(event->kind == NODE_FILE_FAILED ? event->file.reason : event->link.reason));
        exit(1);
    default:
        break;
    }
}

static uint64_t receiver_deadline(const void *self) {
    (void)self;
    return UINT64_MAX;
}

static void receiver_free(void *self) {
    struct receiver *receiver = self;
    for (size_t i = 0; i <= LINKS_MAX; i++) {
        session_free(&receiver->inlets[i].session);
        for (size_t j = 0; j < PIECES_AHEAD; j++) {
            free(receiver->inlets[i].pieces[j].bytes);
        }
    }
    mem_free(receiver);
}

static struct node receiver_make(const struct node_env *env, const void *config) {
    static const struct node_ops ops = {receiver_step, receiver_deadline, receiver_free};
    struct receiver *receiver = mem_new(sizeof *receiver);
    receiver->env = env;
    receiver->run = (struct run *)(uintptr_t)config;
    return (struct node){&ops, receiver};
}

static void path_in(char *to, size_t size, const struct run *run, const char *name) {
    snprintf(to, size, "%s/%s", run->folder, name);
}

static void wait_for(pid_t pid) {
    int status = 0;
    CHECK(waitpid(pid, &status, 0) == pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "bench_blocks: a process failed (status %d)\n", status);
        exit(1);
    }
}

/* ---- The floor: the same work in the simplest blocking program ---- */

static int loopback_pair(int pair[2]) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = bind(listener, (struct sockaddr *)&at, len) == 0 && listen(listener, 1) == 0 &&
              getsockname(listener, (struct sockaddr *)&at, &len) == 0 &&
              connect(pair[0], (struct sockaddr *)&at, len) == 0;
    pair[1] = accept(listener, NULL, NULL);
    close(listener);
    return ok && pair[1] >= 0 ? 0 : -1;
}

static SSL *floor_end(SSL_CTX *context, struct tls_peer *peer, int fd, bool is_server) {
    struct identity *identity = identity_ephemeral(NULL);
    SSL *ssl = tls_new(context, identity, peer); /* holds its own references */
    identity_free(identity);
    CHECK(SSL_set_fd(ssl, fd) == 1 && (is_server ? SSL_accept(ssl) : SSL_connect(ssl)) == 1);
    return ssl;
}

static void floor_send(SSL_CTX *context, int fd, uint64_t bytes) {
    struct tls_peer peer = {0};
    SSL *ssl = floor_end(context, &peer, fd, true);
    uint8_t *run = mem_new(JOB_BYTES);
    for (uint64_t sent = 0; sent < bytes; sent += JOB_BYTES) {
        CHECK(SSL_write(ssl, run, JOB_BYTES) == JOB_BYTES);
    }
    mem_free(run);
    SSL_free(ssl);
}

static double floor_receive(SSL *ssl, const struct run *run) {
    char path[512];
    path_in(path, sizeof path, run, "floor");
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    uint64_t bytes = run->board->content.size;
    CHECK(file >= 0 && fallocate(file, 0, 0, (off_t)bytes) == 0);
    struct crypto *crypto = crypto_make(NULL);
    uint8_t *piece = mem_new(PIECE_BYTES);
    struct hash hash;
    double start_s = cpu_now();
    for (uint64_t at = 0; at < bytes; at += PIECE_BYTES) {
        for (size_t got = 0; got < PIECE_BYTES; got += BLOCK_BYTES) {
            CHECK(SSL_read(ssl, piece + got, BLOCK_BYTES) == BLOCK_BYTES);
            crypto_hash(crypto, (struct slice){piece + got, BLOCK_BYTES}, &hash);
        }
        CHECK(pwrite(file, piece, PIECE_BYTES, (off_t)at) == PIECE_BYTES);
    }
    double cpu_s = cpu_now() - start_s;
    mem_free(piece);
    crypto_delete(crypto);
    close(file);
    unlink(path);
    return cpu_s;
}

/* The rate of TLS, SHA-256 and writing alone, per core, on this machine and in this minute. */
static double measure_floor(const struct run *run) {
    int pair[2];
    SSL_CTX *context = tls_context_new(NULL);
    CHECK(context != NULL && loopback_pair(pair) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(LIMIT_S);
        floor_send(context, pair[1], run->board->content.size);
        _exit(0);
    }
    struct tls_peer peer = {0};
    SSL *ssl = floor_end(context, &peer, pair[0], false);
    double cpu_s = floor_receive(ssl, run);
    SSL_free(ssl);
    close(pair[0]);
    close(pair[1]);
    wait_for(pid);
    SSL_CTX_free(context);
    return (double)run->board->content.size / 1e9 / cpu_s;
}

/* ---- The processes ---- */

static void fail_with(const struct host_error *error) {
    fprintf(stderr, "bench_blocks: %s\n", error->text);
    _exit(1);
}

static int drive(struct run *run, bool is_sender) {
    struct host_error error = {0};
    struct host_config host_config = {.log_level = LOG_LEVEL_WARN};
    struct network network = {.name = "bench", .policy = NETWORK_OPEN};
    char state[512];
    char files[512];
    path_in(state, sizeof state, run, is_sender ? "sender" : "receiver");
    path_in(files, sizeof files, run, is_sender ? "shared" : "got");
    const char *shares[] = {files};
    struct host_node_config config = {
        .network = &network,
        .state_dir = state,
        .download_dir = is_sender ? NULL : files,
        .share_dirs = shares,
        .share_count = is_sender ? 1 : 0,
        .listen = {.family = ADDRESS_IPV4, .ip = {127, 0, 0, is_sender ? 2 : 3}},
        .make = is_sender ? sender_make : receiver_make,
        .role_config = run,
        .seed = 1};
    struct host *host = host_new(&host_config, &error);
    struct host_node *node = host != NULL ? host_add(host, &config, &error) : NULL;
    if (node == NULL) {
        fail_with(&error);
    }
    if (is_sender) {
        run->board->id = *host_node_id(node);
        run->board->address = host_node_address(node);
    }
    int result = host_run(host);
    host_free(host);
    return result;
}

static pid_t start_process(struct run *run, bool is_sender) {
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(LIMIT_S);
        _exit(drive(run, is_sender));
    }
    return pid;
}

static void measure(struct run *run, const char *what) {
    struct board *board = run->board;
    board->is_ready = 0;
    board->is_over = 0;
    pid_t sender = start_process(run, true);
    for (int i = 0; i < LIMIT_S * 100 && board->is_ready == 0; i++) {
        usleep(10000);
    }
    pid_t receiver = start_process(run, false);
    wait_for(receiver);
    wait_for(sender);
    if (what == NULL) {
        return;
    }
    double floor = measure_floor(run);
    double gb = (double)board->content.size / 1e9;
    printf("%-28s %6.2f %9.2f %7.2f %6.2f %10.2f %9.1f\n", what, gb / board->wall_s,
           gb / board->cpu_s, floor, gb / board->cpu_s / floor, gb / board->sender_cpu_s,
           (double)board->sender_kib / 1024);
    fflush(stdout);
}

static void make_file(const struct run *run, uint32_t mib) {
    char path[512];
    path_in(path, sizeof path, run, "shared");
    char command[1200];
    snprintf(command, sizeof command, "mkdir -p '%s' && head -c %uM /dev/urandom > '%s/file'", path,
             mib, path);
    CHECK(system(command) == 0);
}

int main(int argc, char **argv) {
    uint32_t mib = argc > 1 ? (uint32_t)atoi(argv[1]) : 1024;
    char folder[256];
    snprintf(folder, sizeof folder, "%s/bench_blocks.XXXXXX", argc > 2 ? argv[2] : "/dev/shm");
    if (mib < 64 || mkdtemp(folder) == NULL) {
        fprintf(stderr, "usage: bench_blocks [MIB, at least 64 [FOLDER]]\n");
        return 2;
    }
    size_t bytes = sizeof(struct board) + mib * sizeof(struct hash);
    struct run run = {.folder = folder};
    run.board = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(run.board != MAP_FAILED);
    make_file(&run, mib);
    static const struct {
        const char *what;
        uint32_t links;
        uint32_t stalled;
    } cases[] = {
        {NULL, 1, 0}, /* touches the memory for the first time */
        {"1 link", 1, 0},
        {"4 links", 4, 0},
        {"4 links, 1 stalled reader", 4, 1},
        {"4 links, 8 stalled readers", 4, 8},
        {"4 links again", 4, 0},
    };
    printf("%-28s %6s %9s %7s %6s %10s %9s\n", "GB/s", "wall", "rcv core", "floor", "ratio",
           "send core", "send MiB");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        run.links = cases[i].links;
        run.stalled = cases[i].stalled;
        measure(&run, cases[i].what);
    }
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? 0 : 1;
}
