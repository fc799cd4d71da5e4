/* bench_download.c - rate of a verified download from 1 and 4 sources, beside curl from nginx. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"
#include "tests/bench/bench_network.h"
#include "tests/bench/bench_nginx.h"

#define FILE_BYTES (256u * 1024 * 1024)
#define ROUNDS 3
#define SOURCES_MOST 4

static bool is_over(void *context) {
    return ((struct bench_command *)context)->is_over;
}

/* Start a source as a process of its own, so that it has its own core where there is one. */
static struct process *start_source(const struct bench_network *network, const char *share,
                                    uint32_t number) {
    const struct introducer *introducer = &network->introducers[0];
    char id[NODE_ID_TEXT_BYTES], at[400], listen[ADDRESS_TEXT_BYTES];
    node_id_format(id, &introducer->id);
    snprintf(at, sizeof at, "%s@%s:%u", id, introducer->host, introducer->port);
    struct address address = bench_address();
    address_format(listen, &address);
    char *folder = owner_path(network->bench->owner, "source%u", number);
    char *log = owner_path(network->bench->owner, "source%u.log", number);
    char *socket = owner_path(network->bench->owner, "source%u/control.sock", number);
    const char *argv[] = {BIN_DIR "/peer",
                          "run",
                          "--dir",
                          folder,
                          "--network",
                          network->network_path,
                          "--listen",
                          listen,
                          "--introducer",
                          at,
                          "--share",
                          share,
                          NULL};
    struct process_options options = {.argv = argv, .log = log};
    struct process *process = NULL;
    enum err err = process_start(network->bench->owner, &options, &process);
    if (err == OK) {
        err = process_wait_socket(process, socket, 20000);
    }
    if (err != OK) {
        bench_show_log(log);
        bench_fail("a source does not start: %s", err_text(err));
    }
    mem_free(folder);
    mem_free(log);
    mem_free(socket);
    return process;
}

struct finder {
    struct host_node *node;
    struct bench_command command;
    uint64_t wanted_sources;
    bool is_asked;
};

static bool sources_are_found(void *context) {
    struct finder *finder = context;
    if (finder->is_asked && !finder->command.is_over) {
        return false;
    }
    if (finder->is_asked && finder->command.most >= finder->wanted_sources) {
        return true;
    }
    finder->is_asked = true;
    bench_command_start(finder->node, "search", "text", "heavy cargo", &finder->command);
    return false;
}

/* Fetch once with a fresh peer; return bytes per second. */
static double fetch_once(const struct bench_network *network, uint32_t sources, uint32_t round) {
    struct host *host = bench_host();
    char *downloads = owner_path(network->bench->owner, "fetched%u-%u", sources, round);
    mkdir(downloads, 0755);
    struct finder finder = {.command = {.kind = "hit", .field = "sources"},
                            .wanted_sources = sources};
    finder.node = bench_peer(host, network, 0, NULL, downloads);
    bench_loop_until(host, sources_are_found, &finder, 60, "all sources to be found");
    struct bench_command get = {.kind = "finished"};
    struct command_arg args[] = {{"number", "1"}, {"wait", "1"}};
    double begin = bench_now();
    bench_command_args(finder.node, "get", args, 2, &get);
    bench_loop_until(host, is_over, &get, 120, "the end of a download");
    if (get.err != OK || !get.has_record) {
        bench_fail("a download failed: %s", err_text(get.err));
    }
    double rate = FILE_BYTES / (get.first_s - begin);
    bench_host_stop(host);
    bench_remove_folder(network->bench, downloads);
    mem_free(downloads);
    return rate;
}

static double curl_rate(const struct bench *bench, const char *file) {
    struct bench_nginx nginx;
    bench_nginx_start(&nginx, bench);
    char path[600];
    snprintf(path, sizeof path, "%s/cargo", nginx.root);
    remove(path);
    if (symlink(file, path) != 0) {
        bench_fail("cannot link %s", path);
    }
    double rates[ROUNDS];
    for (size_t i = 0; i < ROUNDS; i++) {
        rates[i] = FILE_BYTES / bench_curl_seconds(bench, &nginx, "cargo");
    }
    bench_nginx_stop(&nginx);
    return bench_percentile(rates, ROUNDS, 50);
}

void bench_download(const struct bench *bench) {
    char *share = owner_path(bench->owner, "download-share");
    mkdir(share, 0755);
    char path[600];
    snprintf(path, sizeof path, "%s/heavy cargo.bin", share);
    bench_write_file(path, FILE_BYTES, 11);
    double curl = curl_rate(bench, path);
    struct bench_network network;
    bench_network_start(&network, bench, 1);
    struct process *sources[SOURCES_MOST];
    uint32_t started = 0;
    for (uint32_t wanted = 1; wanted <= SOURCES_MOST; wanted += 3) {
        while (started < wanted) {
            sources[started] = start_source(&network, share, started);
            started++;
        }
        double rates[ROUNDS];
        for (uint32_t i = 0; i < ROUNDS; i++) {
            rates[i] = fetch_once(&network, wanted, i);
        }
        char name[40];
        snprintf(name, sizeof name, "download from %u", wanted);
        bench_figure(bench, &(struct figure){.name = name,
                                             .value = bench_percentile(rates, ROUNDS, 50) / 1e6,
                                             .unit = "MB/s",
                                             .peer = "curl from nginx over HTTPS",
                                             .peer_value = curl / 1e6,
                                             .better = BETTER_HIGH});
    }
    for (uint32_t i = 0; i < started; i++) {
        process_stop(sources[i], 5000);
        process_free(sources[i]);
    }
    bench_network_stop(&network);
    mem_free(share);
}
