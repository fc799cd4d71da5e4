/* bench_join.c - CPU time that one leaf's list of 100 files costs a supernode, from REG_BEGIN to
 * searchable. The leaves are linked before their files appear, so no handshake is in it. */
#include <stdio.h>

#include "tests/bench/bench_join_parts.h"
#include "tests/bench/bench_paper.h"

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
    show_parts(bench);
}
