/* bench_join.c - CPU time that one leaf's list of 100 files costs a supernode, from REG_BEGIN to
 * searchable. The leaves are linked before their files appear, so no handshake is in it. Peers come
 * one now and then, and find the supernode asleep and its caches cold; in a crowd, as after its
 * restart, one list follows the other. */
#include <stdio.h>

#include "tests/bench/bench_join_parts.h"
#include "tests/bench/bench_paper.h"
#include "tests/bench/bench_wire.h"

#define LEAVES 200
#define FILES 100
#define SETTLE_S 4
#define EMPTY_S                                                                                    \
    7 /* until every leaf has said that it has nothing (yet): REGISTER_SCAN_MS and more */

static bool all_are_linked(void *context) {
    static double asked_s;
    if (bench_now() - asked_s < 0.5) {
        return false;
    }
    asked_s = bench_now();
    return bench_status(context, 0, "leaves") == LEAVES;
}

/* ---- A crowd of bare links ---- */

/* As many lists as may come at a time, less a few. */
#define AT_ONCE (REG_LISTS_MAX - 4)

static struct {
    struct wire wire;
    struct wire_link *links[LEAVES];
    struct join_frames frames[LEAVES];
    uint32_t begun;
    uint32_t done;
} crowd;

static void send_frames(struct wire_link *link, const struct buf *frames) {
    wire_send(link, (struct slice){frames->data, frames->len});
}

static void begin_next(void) {
    if (crowd.begun < LEAVES) {
        send_frames(crowd.links[crowd.begun], &crowd.frames[crowd.begun].begin);
        crowd.begun++;
    }
}

static void take_message(struct wire_link *link, const struct session_message *message) {
    struct reg_status status;
    if (message->type != MSG_REG_STATUS) {
        return;
    }
    if (wire_reg_status_decode(message->payload, &status) != OK) {
        bench_fail("a supernode sent a broken REG_STATUS");
    }
    if (status.verdict == REG_SEND_ALL) {
        send_frames(link, &((const struct join_frames *)link->owner)->rest);
    } else if (status.verdict == REG_DONE) {
        crowd.done++;
        begin_next();
    } else {
        bench_fail("a list is not taken, verdict %u", status.verdict);
    }
}

static void take(struct wire_link *link, struct slice data) {
    wire_each_message(link, data, take_message);
}

static void wait_for_all(void) {
    double end = bench_now() + 60;
    while (crowd.done < LEAVES) {
        wire_turn(&crowd.wire, 100);
        if (crowd.wire.gone > 0 || bench_now() > end) {
            bench_fail("%u of %u lists were taken", crowd.done, LEAVES);
        }
    }
    crowd.done = 0;
}

/* CPU seconds of the supernode for all lists. */
static double measure_crowd(const struct bench *bench) {
    struct bench_network network;
    bench_network_start(&network, bench, 1);
    wire_init(&crowd.wire, take);
    struct address address = bench_supernode_address(&network, 0);
    for (uint32_t i = 0; i < LEAVES; i++) {
        crowd.links[i] = wire_dial(&crowd.wire, &address, &network.introducers[0].id);
        join_frames_make(&crowd.frames[i], crowd.wire.packer, i * FILES, FILES);
        crowd.links[i]->owner = &crowd.frames[i];
        wire_hello(crowd.links[i], &network.file.network, PURPOSE_LEAF);
    }
    crowd.begun = LEAVES; /* nobody follows whoever is done with nothing */
    for (uint32_t i = 0; i < LEAVES; i++) {
        send_frames(crowd.links[i], &crowd.frames[i].empty);
    }
    wait_for_all();
    pid_t pid = process_pid(network.supernodes[0]);
    double cpu_s = bench_cpu(pid);
    crowd.begun = 0;
    for (uint32_t i = 0; i < AT_ONCE; i++) {
        begin_next();
    }
    wait_for_all();
    cpu_s = bench_cpu(pid) - cpu_s;
    for (uint32_t i = 0; i < LEAVES; i++) {
        wire_close(crowd.links[i]);
        join_frames_free(&crowd.frames[i]);
    }
    wire_free(&crowd.wire);
    bench_network_stop(&network);
    return cpu_s;
}

/* ---- Parts ---- */

/* The same without sockets, TLS and loop, and what of it the index takes. */
static void show_parts(const struct bench *bench) {
    struct join_parts parts;
    bench_join_parts(LEAVES, FILES, &parts);
    bench_figure(bench,
                 &(struct figure){.name = "of it the node alone",
                                  .value = parts.cpu_s / LEAVES * 1000,
                                  .unit = "ms",
                                  .peer = "of it the index alone",
                                  .peer_value = bench_join_index(LEAVES, FILES) / LEAVES * 1000});
    bench_join_floor(bench, LEAVES, FILES);
}

void bench_join(const struct bench *bench) {
    struct bench_network network;
    bool may_share = false;
    bench_network_start(&network, bench, 1);
    struct host *host = bench_host();
    for (uint32_t i = 0; i < LEAVES; i++) {
        struct paper paper = {.first = i * FILES, .files = FILES, .may_share = &may_share};
        paper_peer(host, &network, 0, &paper);
    }
    bench_loop_until(host, all_are_linked, &network, 60, "all leaves to be linked");
    pid_t pid = process_pid(network.supernodes[0]);
    bench_run_for(host, EMPTY_S);
    double idle_s = bench_cpu(pid);
    bench_run_for(host, SETTLE_S);
    idle_s = bench_cpu(pid) - idle_s;
    may_share = true;
    double cpu_s = bench_cpu(pid);
    bench_run_for(host, SETTLE_S);
    cpu_s = bench_cpu(pid) - cpu_s - idle_s;
    paper_wait(host, &network, (uint64_t)LEAVES * FILES);
    bench_host_stop(host);
    bench_network_stop(&network);
    bench_figure(bench, &(struct figure){.name = "CPU per join",
                                         .value = cpu_s / LEAVES * 1000,
                                         .unit = "ms",
                                         .peer = "gtk-gnutella 1.2.3, published",
                                         .peer_value = 0.5,
                                         .target = 0.1});
    bench_figure(bench, &(struct figure){.name = "CPU per join in a crowd",
                                         .value = measure_crowd(bench) / LEAVES * 1000,
                                         .unit = "ms",
                                         .peer = "gtk-gnutella 1.2.3, published",
                                         .peer_value = 0.5,
                                         .target = 0.1});
    show_parts(bench);
}
