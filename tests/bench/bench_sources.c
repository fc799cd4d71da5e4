/* bench_sources.c - sources as processes, and a peer that fetches what they share. */
#include "tests/bench/bench_sources.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"

struct process *bench_source_start(const struct bench_network *network, const char *share,
                                   uint32_t number, const char *rate) {
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
                          rate != NULL ? "--upload-rate" : NULL,
                          rate,
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

static struct node make_peer(const struct node_env *env, const void *context) {
    return peer_new(env, context);
}

/* A peer in this process that gives one byte per second. */
static void add_crawling(struct host *host, const struct bench_network *network,
                         const char *share) {
    static const struct rateplan crawl = {
        .count = 1, .rows = {{.days = ALL_DAYS, .rates = {.of = {[RATE_UPLOADS] = 1}}}}};
    static struct peer_config role;
    role = (struct peer_config){
        .introducers = {network->introducers[0]}, .introducer_count = 1, .upload_bytes_per_s = 1};
    char *state = owner_path(network->bench->owner, "crawling");
    struct host_node_config config = {.network = &network->file.network,
                                      .state_dir = state,
                                      .share_dirs = &share,
                                      .share_count = 1,
                                      .listen = bench_address(),
                                      .limits = &crawl,
                                      .make = make_peer,
                                      .role_config = &role};
    struct host_error error;
    if (host_add(host, &config, &error) == NULL) {
        bench_fail("%s", error.text);
    }
    mem_free(state);
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

static bool is_over(void *context) {
    return ((struct bench_command *)context)->is_over;
}

struct bench_fetched bench_fetch(const struct bench_network *network, uint32_t sources,
                                 const char *crawling_share) {
    static uint32_t rounds;
    struct host *host = bench_host();
    char *downloads = owner_path(network->bench->owner, "fetched%u", rounds++);
    mkdir(downloads, 0755);
    if (crawling_share != NULL) {
        add_crawling(host, network, crawling_share);
    }
    struct finder finder = {.command = {.kind = "hit", .field = "sources"},
                            .wanted_sources = sources + (crawling_share != NULL)};
    finder.node = bench_peer(host, network, 0, NULL, downloads);
    bench_loop_until(host, sources_are_found, &finder, 60, "all sources to be found");
    struct bench_command get = {.kind = "finished"};
    struct command_arg args[] = {{"number", "1"}, {"wait", "1"}};
    double begin = bench_now();
    double cpu = bench_cpu(getpid());
    bench_command_args(finder.node, "get", args, 2, &get);
    bench_loop_until(host, is_over, &get, 120, "the end of a download");
    if (get.err != OK || !get.has_record) {
        bench_fail("a download failed: %s", err_text(get.err));
    }
    struct bench_fetched fetched = {.seconds = get.first_s - begin,
                                    .cpu_s = bench_cpu(getpid()) - cpu};
    bench_host_stop(host);
    bench_remove_folder(network->bench, downloads);
    mem_free(downloads);
    return fetched;
}
