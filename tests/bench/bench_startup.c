/* bench_startup.c - from exec of a supernode with an existing key to its first accepted connection.
 */
#include <stdio.h>

#include "common/mem.h"
#include "tests/bench/bench_network.h"
#include "tests/bench/bench_nginx.h"

#define ROUNDS 15

static double start_once(struct bench_network *network, const char *folder) {
    const char *argv[] = {BIN_DIR "/supernode",  "run",      "--dir", folder, "--network",
                          network->network_path, "--listen", NULL,    NULL};
    struct address address = bench_address();
    address.port = 7646;
    char listen[ADDRESS_TEXT_BYTES];
    address_format(listen, &address);
    argv[7] = listen;
    struct process_options options = {.argv = argv, .log = "/dev/null"};
    struct process *process = NULL;
    double begin = bench_now();
    if (process_start(network->bench->owner, &options, &process) != OK) {
        bench_fail("cannot start %s", argv[0]);
    }
    double seconds = bench_wait_accept(listen, 10) - begin;
    process_stop(process, 5000);
    process_free(process);
    return seconds;
}

void bench_startup(const struct bench *bench) {
    struct bench_network network;
    bench_network_start(&network, bench, 1);
    process_stop(network.supernodes[0], 5000);
    char *folder = owner_path(bench->owner, "sn0");
    double ours[ROUNDS], theirs[ROUNDS];
    for (size_t i = 0; i < ROUNDS; i++) {
        ours[i] = start_once(&network, folder) * 1000;
        struct bench_nginx nginx;
        bench_nginx_start(&nginx, bench);
        theirs[i] = nginx.startup_s * 1000;
        bench_nginx_stop(&nginx);
    }
    mem_free(folder);
    bench_network_stop(&network);
    bench_figure(bench, &(struct figure){.name = "start-up median",
                                         .value = bench_percentile(ours, ROUNDS, 50),
                                         .unit = "ms",
                                         .peer = "nginx with HTTPS",
                                         .peer_value = bench_percentile(theirs, ROUNDS, 50),
                                         .target = 50});
}
