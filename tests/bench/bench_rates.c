/* bench_rates.c - whether limits on traffic hold over a minute on real sockets, by the kernel's own
 * count, and what they cost a search. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "tests/bench/bench_network.h"
#include "tests/bench/bench_nginx.h"
#include "tests/kernel_bytes.h"

#define LIMIT (2u * 1048576)
#define FILE_BYTES (256u * 1048576)
#define MINUTE_S 60.0
#define SETTLE_S 3.0 /* for the kernel's buffers */
#define SEARCHES 25

struct minute {
    struct host *host;
    struct host_node *source;
    struct host_node *fetcher;
    double search_ms[SEARCHES];
};

static void set_limit(struct host_node *node, const char *text) {
    struct rateplan plan = {0};
    struct rate_row row;
    const char *why, *at;
    if (rate_row_parse(&row, text, &why, &at) != OK || rateplan_add(&plan, &row) != OK) {
        bench_fail("%s: %s", text, why);
    }
    host_limit(node, &plan);
}

static bool is_over(void *context) {
    return ((struct bench_command *)context)->is_over;
}

static bool is_found(void *context) {
    struct minute *minute = context;
    static struct bench_command command = {.kind = "hit", .is_over = true};
    if (command.is_over && command.has_record) {
        return true;
    }
    if (command.is_over) {
        bench_command_start(minute->fetcher, "search", "text", "heavy cargo", &command);
    }
    return false;
}

/* Search for what the node itself shares, now and then, through its busy uplink. */
static void search_meanwhile(struct minute *minute, double seconds) {
    for (int i = 0; i < SEARCHES; i++) {
        struct bench_command command = {.kind = "end"};
        double begin = bench_now();
        bench_command_start(minute->source, "search", "text", "heavy cargo", &command);
        bench_loop_until(minute->host, is_over, &command, 10, "a search");
        minute->search_ms[i] = (command.first_s - begin) * 1000;
        bench_run_for(minute->host, seconds / SEARCHES - (bench_now() - begin));
    }
}

/* Bytes per second of a node over a minute, by its kernel. */
static double measure(struct minute *minute, const struct host_node *node, bool received) {
    struct address address = host_node_address(node);
    bench_run_for(minute->host, SETTLE_S);
    double begin_s = bench_now();
    double before = kernel_bytes(address.ip, received);
    search_meanwhile(minute, MINUTE_S);
    double bytes = kernel_bytes(address.ip, received) - before;
    return bytes / (bench_now() - begin_s);
}

/* curl with the same limit for a minute, beside us: its payload, as it counts. */
static struct process *curl_start(const struct bench *bench, const struct bench_nginx *nginx) {
    char url[256], rate[32], most[32];
    snprintf(url, sizeof url, "https://%s/cargo", nginx->address);
    snprintf(rate, sizeof rate, "%u", LIMIT);
    snprintf(most, sizeof most, "%.0f", MINUTE_S);
    const char *argv[] = {"curl",      "-sk", "--limit-rate",       rate, "--max-time", most, "-o",
                          "/dev/null", "-w",  "%{size_download}\n", url,  NULL};
    struct process_options options = {.argv = argv, .pipe = true};
    struct process *process = NULL;
    if (process_start(bench->owner, &options, &process) != OK) {
        bench_fail("cannot start curl; install curl");
    }
    return process;
}

static double curl_rate(struct process *process) {
    struct buf line = {0};
    if (process_line(process, &line, 20000) != OK) {
        bench_fail("curl did not say what it fetched");
    }
    double bytes = atof((const char *)line.data);
    buf_free(&line);
    process_free(process);
    return bytes / MINUTE_S;
}

static void show(const struct bench *bench, const char *name, double rate, double curl) {
    double off = rate / LIMIT - 1, curl_off = curl / LIMIT - 1;
    bench_figure(bench, &(struct figure){.name = name,
                                         .value = (off < 0 ? -off : off) * 100,
                                         .unit = "%",
                                         .peer = "curl --limit-rate, payload",
                                         .peer_value = (curl_off < 0 ? -curl_off : curl_off) * 100,
                                         .target = 2,
                                         .better = BETTER_LOW});
}

void bench_rates(const struct bench *bench) {
    char *share = owner_path(bench->owner, "rates-share");
    char *downloads = owner_path(bench->owner, "rates-downloads");
    mkdir(share, 0755);
    mkdir(downloads, 0755);
    char path[600];
    snprintf(path, sizeof path, "%s/heavy cargo.bin", share);
    bench_write_file(path, FILE_BYTES, 13);
    struct bench_nginx nginx;
    bench_nginx_start(&nginx, bench);
    bench_nginx_offer(&nginx, path, "cargo");
    struct bench_network network;
    bench_network_start(&network, bench, 1);
    struct minute minute = {.host = bench_host()};
    minute.source = bench_peer(minute.host, &network, 0, share, NULL);
    minute.fetcher = bench_peer(minute.host, &network, 0, NULL, downloads);
    set_limit(minute.source, "up=2M");
    bench_loop_until(minute.host, is_found, &minute, 60, "the source to be found");
    struct bench_command get = {.kind = "finished"};
    bench_command_start(minute.fetcher, "get", "number", "1", &get);
    struct process *curl = curl_start(bench, &nginx);
    double sent = measure(&minute, minute.source, false);
    double curl_bytes = curl_rate(curl);
    show(bench, "up=2M, off by", sent, curl_bytes);
    double slowest = bench_percentile(minute.search_ms, SEARCHES, 95);
    set_limit(minute.source, "up=none");
    set_limit(minute.fetcher, "down=2M");
    double received = measure(&minute, minute.fetcher, true);
    show(bench, "down=2M, off by", received, curl_bytes);
    bench_figure(bench,
                 &(struct figure){.name = "search, uplink full",
                                  .value = slowest,
                                  .unit = "ms",
                                  .peer = "the same, uplink not limited",
                                  .peer_value = bench_percentile(minute.search_ms, SEARCHES, 95),
                                  .better = BETTER_LOW});
    bench_host_stop(minute.host);
    bench_network_stop(&network);
    bench_nginx_stop(&nginx);
    bench_remove_folder(bench, downloads);
    mem_free(downloads);
    mem_free(share);
}
