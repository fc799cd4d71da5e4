/* bench_leaves.c - what one connected leaf with 100 files costs a supernode, in resident bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "tests/bench/bench_network.h"
#include "tests/bench/bench_nginx.h"

#define LEAVES 200
#define FILES 100

struct waiting {
    const struct bench_network *network;
    double asked_s;
};

/* The number after the first `"files":` of a supernode's status. */
static unsigned long files_held(const struct bench_network *network) {
    char *folder = owner_path(network->bench->owner, "sn0");
    const char *argv[] = {BIN_DIR "/supernode", "status", "--json", "--dir", folder, NULL};
    struct buf out = {0};
    int status = 0;
    unsigned long files = 0;
    struct process_options options = {.argv = argv};
    if (process_capture(network->bench->owner, &options, 10000, &out, &status) == OK &&
        status == 0) {
        const char *at = strstr((const char *)out.data, "\"files\":");
        files = at != NULL ? strtoul(at + 8, NULL, 10) : 0;
    }
    buf_free(&out);
    mem_free(folder);
    return files;
}

static bool all_are_registered(void *context) {
    struct waiting *waiting = context;
    if (bench_now() - waiting->asked_s < 0.5) {
        return false;
    }
    waiting->asked_s = bench_now();
    return files_held(waiting->network) >= (unsigned long)LEAVES * FILES;
}

static void make_share(const char *folder, uint32_t leaf) {
    mkdir(folder, 0755);
    for (uint32_t i = 0; i < FILES; i++) {
        char path[700];
        snprintf(path, sizeof path, "%s/album %u track %02u song number %u.ogg", folder, leaf, i,
                 leaf * FILES + i);
        bench_write_file(path, 200, (uint64_t)leaf * FILES + i);
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

void bench_leaves(const struct bench *bench) {
    struct bench_network network;
    bench_network_start(&network, bench, 1);
    process_sleep_ms(300);
    uint64_t before = bench_resident(process_pid(network.supernodes[0]));
    struct host_error error;
    struct host *host = host_new(&(struct host_config){.log_level = LOG_LEVEL_ERROR}, &error);
    if (host == NULL) {
        bench_fail("%s", error.text);
    }
    for (uint32_t i = 0; i < LEAVES; i++) {
        char *folder = owner_path(bench->owner, "leaf-share%u", i);
        make_share(folder, i);
        bench_peer(host, &network, 0, folder, NULL);
        mem_free(folder);
    }
    struct waiting waiting = {.network = &network};
    bench_loop_until(host, all_are_registered, &waiting, 120, "all leaves to be registered");
    uint64_t after = bench_resident(process_pid(network.supernodes[0]));
    host_stop(host);
    host_run(host);
    host_free(host);
    bench_network_stop(&network);
    double idle = nginx_bytes_per_connection(bench);
    bench_figure(bench, &(struct figure){.name = "memory per leaf",
                                         .value = (double)(after - before) / LEAVES / 1000,
                                         .unit = "kB",
                                         .peer = "nginx, idle HTTPS connection",
                                         .peer_value = idle / 1000,
                                         .target = 30});
}
