/* bench_leaves.c - what one connected leaf with 100 files costs a supernode, in resident bytes. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "tests/bench/bench_corpus.h"
#include "tests/bench/bench_network.h"
#include "tests/bench/bench_nginx.h"

#define FEW 200
#define MANY 1000
#define FILES 100
#define FILES_MADE 103 /* some are not shared: keys, what begins with a dot */
#define SETTLED_S 6    /* trim.c gives back no oftener than every five seconds */

struct waiting {
    const struct bench_network *network;
    double asked_s;
    uint32_t leaves;
};

static bool all_are_registered(void *context) {
    struct waiting *waiting = context;
    if (bench_now() - waiting->asked_s < 0.5) {
        return false;
    }
    waiting->asked_s = bench_now();
    return bench_status(waiting->network, 0, "files") >= (uint64_t)waiting->leaves * FILES;
}

/* Real names, of which words are as often anew as with people's files; the folders that a name of
 * the corpus begins with become words of it. */
static void make_share(const char *folder, const struct corpus *corpus, uint32_t leaf) {
    mkdir(folder, 0755);
    for (uint32_t i = 0; i < FILES_MADE; i++) {
        uint32_t row = leaf * FILES_MADE + i;
        char path[1000];
        int len = snprintf(path, sizeof path, "%s/", folder);
        snprintf(path + len, sizeof path - (size_t)len, "%s", corpus->rows[row].name);
        for (char *at = path + len; *at != '\0'; at++) {
            *at = *at == '/' ? ' ' : *at;
        }
        bench_write_file(path, 200, row);
    }
}

/* Resident bytes of a process and its children. */
static uint64_t resident_tree(pid_t pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    uint64_t bytes = bench_resident(pid);
    FILE *file = fopen(path, "r");
    int child;
    while (file != NULL && fscanf(file, "%d", &child) == 1) {
        bytes += bench_resident(child);
    }
    if (file != NULL) {
        fclose(file);
    }
    return bytes;
}

static double nginx_bytes_per_connection(const struct bench *bench) {
    enum { CONNECTIONS = 60 };
    struct bench_nginx nginx;
    bench_nginx_start(&nginx, bench);
    process_sleep_ms(500);
    uint64_t before = resident_tree(process_pid(nginx.process));
    static struct process *clients[CONNECTIONS];
    /* -quiet keeps the connection open although standard input is at its end. */
    const char *argv[] = {"openssl", "s_client", "-quiet", "-connect", nginx.address, NULL};
    struct process_options options = {.argv = argv, .log = "/dev/null"};
    for (size_t i = 0; i < CONNECTIONS; i++) {
        if (process_start(bench->owner, &options, &clients[i]) != OK) {
            bench_fail("cannot start openssl s_client");
        }
    }
    process_sleep_ms(3000);
    uint64_t after = resident_tree(process_pid(nginx.process));
    for (size_t i = 0; i < CONNECTIONS; i++) {
        process_kill(clients[i]);
        process_free(clients[i]);
    }
    bench_nginx_stop(&nginx);
    return (double)(after - before) / CONNECTIONS;
}

/* What stays once the dial-backs of the newcomers have ended and their memory has been given back:
 * resident bytes that have not changed for so long. */
static uint64_t settled(struct host *host, pid_t pid) {
    double end = bench_now() + 30;
    double since = bench_now();
    uint64_t bytes = bench_resident(pid);
    while (bench_now() - since < SETTLED_S && bench_now() < end) {
        bench_run_for(host, 0.25);
        uint64_t now = bench_resident(pid);
        if (now != bytes) {
            since = bench_now();
            bytes = now;
        }
    }
    return bytes;
}

/* Add leaves until there are `leaves`, and let them register and settle; resident bytes then. */
static uint64_t grow(struct host *host, const struct bench_network *network,
                     const struct corpus *corpus, uint32_t from, uint32_t leaves) {
    for (uint32_t i = from; i < leaves; i++) {
        char *folder = owner_path(network->bench->owner, "leaf-share%u", i);
        make_share(folder, corpus, i);
        bench_peer(host, network, 0, folder, NULL);
        mem_free(folder);
    }
    struct waiting waiting = {.network = network, .leaves = leaves};
    bench_loop_until(host, all_are_registered, &waiting, 240, "all leaves to be registered");
    return settled(host, process_pid(network->supernodes[0]));
}

void bench_leaves(const struct bench *bench) {
    struct corpus *corpus = corpus_new((size_t)MANY * FILES_MADE, false);
    if (corpus == NULL) {
        return;
    }
    struct bench_network network;
    bench_network_start(&network, bench, 1);
    process_sleep_ms(300);
    uint64_t before = bench_resident(process_pid(network.supernodes[0]));
    struct host *host = bench_host();
    uint64_t few = grow(host, &network, corpus, 0, FEW) - before;
    uint64_t many = grow(host, &network, corpus, FEW, MANY) - before;
    bench_host_stop(host);
    bench_network_stop(&network);
    corpus_free(corpus);
    double idle = nginx_bytes_per_connection(bench);
    struct figure figure = {.name = "memory per leaf of 200",
                            .value = (double)few / FEW / 1000,
                            .unit = "kB",
                            .peer = "nginx, idle HTTPS connection",
                            .peer_value = idle / 1000};
    bench_figure(bench, &figure); /* a megabyte of it is no leaf's: code pages, filters */
    figure.name = "memory per leaf of 1,000";
    figure.value = (double)many / MANY / 1000;
    figure.target = 30;
    bench_figure(bench, &figure);
}
