/* bench_join_parts.c - what a join costs the node alone: one supernode's logic in this process, fed
 * with the bytes of leaves; no sockets, no TLS, no loop, and the caches stay warm. */
#include "tests/bench/bench_join_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/pack.h"
#include "common/session.h"
#include "src/host/crypto.h"
#include "supernode/index.h"
#include "supernode/supernode.h"
#include "tests/bench/bench_paper.h"

#define LEAVES 300
#define FILES 100
#define ROUNDS 5
#define WALL_S 1700000000
#define STEP_US 1000    /* of virtual time between two steps */
#define PIECE_MAX 65536 /* conn.c reads so much at once from a link that brings much */
#define DRAIN_STEPS 100000

/* The supernode, and the world as it sees it. */
struct stage {
    struct network network;
    struct log log;
    struct crypto *crypto;
    struct node_env env;
    struct node node;
    struct outbox out;
    uint64_t now_us;
    double longest_s; /* of all steps */
};

static void quiet(void *context, enum log_level level, const char *line) {
    (void)context;
    (void)level;
    (void)line;
}

static void start(struct stage *stage) {
    *stage = (struct stage){.network = {.name = "bench", .policy = NETWORK_OPEN, .epoch_s = 3600},
                            .log = {.level = LOG_LEVEL_ERROR, .write = quiet}};
    stage->crypto = crypto_make(NULL);
    if (network_seal(&stage->network, stage->crypto) != OK) {
        bench_fail("the network is wrong");
    }
    stage->env = (struct node_env){.id = {.b = {1}},
                                   .seed = 1,
                                   .network = &stage->network,
                                   .crypto = stage->crypto,
                                   .log = &stage->log,
                                   .store = store_memory_new(NULL, NULL),
                                   .packer = packer_new(),
                                   .agent = "bench"};
    struct supernode_config config = {.leaves_max = 100000};
    stage->node = supernode_new(&stage->env, &config);
}

static void stop(struct stage *stage) {
    node_free(stage->node);
    outbox_free(&stage->out);
    packer_free(stage->env.packer);
    store_free(stage->env.store);
    crypto_delete(stage->crypto);
}

static void step(struct stage *stage, struct node_event *event) {
    event->mono_us = stage->now_us;
    event->wall_s = WALL_S;
    double began_s = bench_cpu(getpid());
    node_step(stage->node, event, &stage->out);
    double took_s = bench_cpu(getpid()) - began_s;
    stage->longest_s = took_s > stage->longest_s ? took_s : stage->longest_s;
}

/* Hand bytes of a link over, and let all that is due at once happen. Frees the bytes. Return the
 * verdict of the last answer, 0 = none. */
static uint8_t say(struct stage *stage, uint32_t link, struct buf *bytes) {
    struct node_event event = {.kind = NODE_LINK_BYTES};
    event.bytes.link = link;
    event.bytes.data = (struct slice){bytes->data, bytes->len};
    uint8_t verdict = 0;
    for (uint32_t i = 0; i < DRAIN_STEPS; i++) {
        step(stage, &event);
        for (uint32_t a = 0; a < stage->out.count; a++) {
            const struct action *action = &stage->out.actions[a];
            struct slice said = outbox_bytes(&stage->out, action);
            if (action->kind == ACTION_WRITE && action->link == link &&
                said.len > FRAME_HEADER_BYTES && said.data[3] == MSG_REG_STATUS) {
                verdict = said.data[FRAME_HEADER_BYTES];
            }
        }
        outbox_clear(&stage->out);
        if (node_deadline(stage->node) > stage->now_us + STEP_US) {
            break;
        }
        stage->now_us = node_deadline(stage->node) > stage->now_us ? node_deadline(stage->node)
                                                                   : stage->now_us + 1;
        event = (struct node_event){.kind = NODE_TIMER};
    }
    stage->now_us += STEP_US;
    buf_free(bytes);
    return verdict;
}

/* The same in pieces as large as the driver's largest. */
static uint8_t say_all(struct stage *stage, uint32_t link, struct buf *bytes) {
    uint8_t verdict = 0;
    for (size_t at = 0; at < bytes->len; at += PIECE_MAX) {
        struct buf piece = {0};
        size_t left = bytes->len - at;
        buf_append(&piece, bytes->data + at, left < PIECE_MAX ? left : PIECE_MAX);
        verdict = say(stage, link, &piece);
    }
    buf_free(bytes);
    return verdict;
}

static void put(struct packer *packer, struct buf *frames, uint8_t type, struct buf *payload) {
    session_pack(packer, type, (struct slice){payload->data, payload->len}, frames);
    buf_free(payload);
}

static void link_up(struct stage *stage, uint32_t link) {
    struct node_event event = {.kind = NODE_LINK_UP};
    event.up.link = link;
    memcpy(event.up.id.b, &link, sizeof link);
    event.up.id.b[31] = 2;
    event.up.remote = (struct address){.family = ADDRESS_IPV4, .ip = {10}, .port = 1};
    memcpy(event.up.remote.ip + 1, &link, 3);
    step(stage, &event);
    outbox_clear(&stage->out);
    struct hello hello = {.version_min = WIRE_VERSION,
                          .version_max = WIRE_VERSION,
                          .purpose = PURPOSE_LEAF,
                          .agent = {(const uint8_t *)"bench", 5}};
    struct buf payload = {0}, frames = {0};
    wire_hello_encode(&payload, &hello);
    put(stage->env.packer, &frames, MSG_HELLO, &payload);
    say(stage, link, &frames);
}

/* ---- Lists ---- */

struct list {
    uint32_t count;
    struct file_record *records;
    char (*names)[PAPER_NAME_BYTES];
    struct reg_state state;
};

static int compare_records(const void *a, const void *b) {
    return wire_file_record_compare(a, b);
}

static void make_list(const struct crypto *crypto, struct list *list, uint32_t first,
                      uint32_t count) {
    *list = (struct list){.count = count};
    list->records = mem_array(count, sizeof *list->records);
    list->names = mem_array(count, sizeof *list->names);
    struct hash *hashes = mem_array(count, sizeof *hashes);
    for (uint32_t i = 0; i < count; i++) {
        paper_record(&list->records[i], list->names[i], first + i);
        wire_file_record_hash(&list->records[i], crypto, &hashes[i]);
    }
    qsort(list->records, count, sizeof *list->records, compare_records);
    list->state =
        (struct reg_state){.index_id = first + 1, .sequence = 2, .reach = 1, .count = count};
    if (!wire_list_root(crypto, hashes, count, &list->state.root)) {
        bench_fail("two files of one list are the same");
    }
    mem_free(hashes);
}

static void put_state(struct packer *packer, struct buf *frames, uint8_t type,
                      const struct reg_state *state) {
    struct buf payload = {0};
    wire_reg_state_encode(&payload, state);
    put(packer, frames, type, &payload);
}

void join_frames_make(struct join_frames *frames, struct packer *packer, uint32_t first,
                      uint32_t count) {
    struct list list;
    *frames = (struct join_frames){0};
    make_list(crypto_keyless(), &list, first, count);
    struct reg_state nothing = {.index_id = list.state.index_id, .sequence = 1};
    put_state(packer, &frames->empty, MSG_REG_BEGIN, &nothing);
    put_state(packer, &frames->begin, MSG_REG_BEGIN, &list.state);
    for (uint32_t sent = 0; sent < count;) {
        struct buf payload = {0};
        sent += wire_reg_add_pack(&payload, list.records + sent, count - sent);
        put(packer, &frames->rest, MSG_REG_ADD, &payload);
    }
    put_state(packer, &frames->rest, MSG_REG_COMMIT, &list.state);
    mem_free(list.records);
    mem_free(list.names);
}

/* What a leaf says when the first file of such a list has gone and one more has come. */
static void change_frames_make(struct join_frames *frames, struct packer *packer, uint32_t first,
                               uint32_t count) {
    struct list list;
    *frames = (struct join_frames){0};
    make_list(crypto_keyless(), &list, first + 1, count);
    list.state.index_id = first + 1;
    list.state.sequence = 3;
    put_state(packer, &frames->begin, MSG_REG_BEGIN, &list.state);
    struct file_record gone, new;
    char gone_name[PAPER_NAME_BYTES], new_name[PAPER_NAME_BYTES];
    struct hash hash;
    struct buf payload = {0};
    paper_record(&gone, gone_name, first);
    wire_file_record_hash(&gone, crypto_keyless(), &hash);
    struct reg_remove remove = {.count = 1, .prefixes = {hash.b, RECORD_PREFIX_BYTES}};
    wire_reg_remove_encode(&payload, &remove);
    put(packer, &frames->rest, MSG_REG_REMOVE, &payload);
    paper_record(&new, new_name, first + count);
    (void)wire_reg_add_pack(&payload, &new, 1);
    put(packer, &frames->rest, MSG_REG_ADD, &payload);
    put_state(packer, &frames->rest, MSG_REG_COMMIT, &list.state);
    mem_free(list.records);
    mem_free(list.names);
}

void join_frames_free(struct join_frames *frames) {
    buf_free(&frames->empty);
    buf_free(&frames->begin);
    buf_free(&frames->rest);
}

/* An empty list, as every leaf has before its files are known; then all of them. */
static void register_list(struct stage *stage, uint32_t link, struct join_frames *frames,
                          struct join_parts *parts) {
    if (say(stage, link, &frames->empty) != REG_DONE) {
        bench_fail("an empty list is not taken");
    }
    double cpu_s = bench_cpu(getpid());
    say(stage, link, &frames->begin);
    uint8_t verdict = say_all(stage, link, &frames->rest);
    parts->cpu_s += bench_cpu(getpid()) - cpu_s;
    if (verdict != REG_DONE) {
        bench_fail("a list is not taken, verdict %u", verdict);
    }
}

void bench_join_parts(uint32_t leaves, uint32_t files, struct join_parts *parts) {
    struct stage stage;
    *parts = (struct join_parts){0};
    start(&stage);
    for (uint32_t i = 0; i < leaves; i++) {
        struct join_frames frames;
        join_frames_make(&frames, stage.env.packer, i * files, files);
        link_up(&stage, i + 1);
        register_list(&stage, i + 1, &frames, parts);
        join_frames_free(&frames);
    }
    parts->longest_s = stage.longest_s;
    stop(&stage);
}

/* One file of a list of 10,000 changes. */
static void change_long_list(struct join_parts *change) {
    struct stage stage;
    struct join_parts join = {0};
    struct join_frames frames, changes;
    *change = (struct join_parts){0};
    start(&stage);
    join_frames_make(&frames, stage.env.packer, 0, LEAF_FILES_MAX);
    change_frames_make(&changes, stage.env.packer, 0, LEAF_FILES_MAX);
    link_up(&stage, 1);
    register_list(&stage, 1, &frames, &join);
    stage.longest_s = 0;
    change->cpu_s = -bench_cpu(getpid());
    uint8_t begun = say(&stage, 1, &changes.begin);
    uint8_t done = say_all(&stage, 1, &changes.rest);
    change->cpu_s += bench_cpu(getpid());
    change->longest_s = stage.longest_s;
    if (begun != REG_SEND_CHANGES || done != REG_DONE) {
        bench_fail("a change is not taken, verdicts %u and %u", begun, done);
    }
    join_frames_free(&frames);
    join_frames_free(&changes);
    stop(&stage);
}

void bench_lists(const struct bench *bench) {
    struct join_parts few = {0}, long_list;
    double index_s = 0;
    for (uint32_t i = 0; i < ROUNDS; i++) { /* the best: what a neighbour takes is not ours */
        struct join_parts parts;
        bench_join_parts(LEAVES, FILES, &parts);
        double index_now_s = bench_join_index(LEAVES, FILES);
        few.cpu_s = i == 0 || parts.cpu_s < few.cpu_s ? parts.cpu_s : few.cpu_s;
        index_s = i == 0 || index_now_s < index_s ? index_now_s : index_s;
    }
    bench_figure(bench, &(struct figure){.name = "a list of 100, the node alone",
                                         .value = few.cpu_s / LEAVES * 1e6,
                                         .unit = "us",
                                         .peer = "the index alone",
                                         .peer_value = index_s / LEAVES * 1e6});
    bench_join_parts(8, LEAF_FILES_MAX, &long_list);
    bench_figure(bench, &(struct figure){.name = "longest step, lists of 10,000",
                                         .value = long_list.longest_s * 1000,
                                         .unit = "ms",
                                         .peer = "CPU time of such a list",
                                         .peer_value = long_list.cpu_s / 8 * 1000,
                                         .target = 1});
    struct join_parts change;
    change_long_list(&change);
    bench_figure(bench, &(struct figure){.name = "longest step, one of 10,000 changes",
                                         .value = change.longest_s * 1000,
                                         .unit = "ms",
                                         .peer = "CPU time of such a change",
                                         .peer_value = change.cpu_s * 1000,
                                         .target = 1});
}

double bench_join_index(uint32_t leaves, uint32_t files) {
    char owner = 0;
    struct index *index = index_new(1, INDEX_BYTES_MAX);
    char(*names)[PAPER_NAME_BYTES] = mem_array(files, sizeof *names);
    struct file_record *records = mem_array(files, sizeof *records);
    double cpu_s = 0;
    for (uint32_t leaf = 0; leaf < leaves; leaf++) {
        for (uint32_t i = 0; i < files; i++) {
            paper_record(&records[i], names[i], leaf * files + i);
        }
        qsort(records, files, sizeof *records, compare_records);
        cpu_s -= bench_cpu(getpid());
        struct index_list *list = index_list_new(index, &owner);
        for (uint32_t i = 0; i < files; i++) {
            if (index_list_add(list, &records[i]) != OK) {
                bench_fail("the index is full");
            }
        }
        index_list_show(list, true);
        cpu_s += bench_cpu(getpid());
    }
    mem_free(names);
    mem_free(records);
    index_free(index);
    return cpu_s;
}
