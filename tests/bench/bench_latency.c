/* bench_latency.c - from a search to its first hit when the only holder is a leaf of the same, the
 * next, or the next but one supernode; real processes, TLS, compression on. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "tests/bench/bench_network.h"
#include "tests/bench/bench_nginx.h"

#define SEARCHES 300
#define PACE_S 0.007 /* between searches: supernodes take 200 a second of each other */
#define AGAIN_S 0.1  /* between attempts until the file is there */

struct readiness {
    struct host *host;
    struct host_node *searcher;
    struct bench_command command;
    double asked_s; /* 0 = not yet */
};

/* True once a search finds the file; asks again until then. */
static bool is_found(void *context) {
    struct readiness *ready = context;
    if (ready->asked_s > 0 && !ready->command.is_over) {
        return false;
    }
    if (ready->asked_s > 0 && ready->command.has_record) {
        return true;
    }
    if (bench_now() - ready->asked_s < AGAIN_S) {
        return false;
    }
    ready->asked_s = bench_now();
    bench_command_start(ready->searcher, "search", "text", "quartz lantern", &ready->command);
    return false;
}

static bool is_over(void *context) {
    return ((struct bench_command *)context)->is_over;
}

static bool is_time(void *context) {
    return bench_now() >= *(double *)context;
}

static void measure(struct host *host, struct host_node *searcher, double *milliseconds) {
    for (size_t i = 0; i < SEARCHES; i++) {
        struct bench_command command = {.kind = "hit"};
        double begin = bench_now();
        bench_command_start(searcher, "search", "text", "quartz lantern", &command);
        bench_loop_until(host, is_over, &command, 10, "the end of a search");
        if (!command.has_record) {
            bench_fail("a search did not find the file");
        }
        milliseconds[i] = (command.first_s - begin) * 1000;
        double next_s = begin + PACE_S;
        bench_loop_until(host, is_time, &next_s, 10, "the next search");
    }
}

/* `requests` requests on one kept-alive connection: seconds of each, by curl's own clock. */
static size_t nginx_round_trips(const struct bench *bench, double *milliseconds, size_t requests) {
    struct bench_nginx nginx;
    bench_nginx_start(&nginx, bench);
    char path[600], url[256];
    snprintf(path, sizeof path, "%s/small", nginx.root);
    bench_write_file(path, 100, 7);
    snprintf(url, sizeof url, "https://%s/small?[1-%zu]", nginx.address, requests);
    const char *argv[] = {"curl", "-sk", "--fail", "-o", "/dev/null", "-w", "%{time_total}\n",
                          url,    NULL};
    struct buf out = {0};
    int status = 0;
    struct process_options options = {.argv = argv};
    if (process_capture(bench->owner, &options, 60000, &out, &status) != OK || status != 0) {
        bench_fail("curl cannot fetch %s", url);
    }
    size_t count = 0;
    for (char *line = strtok((char *)out.data, "\n"); line != NULL && count < requests;
         line = strtok(NULL, "\n")) {
        double seconds = 0;
        if (sscanf(line, "%lf", &seconds) == 1) {
            milliseconds[count++] = seconds * 1000;
        }
    }
    buf_free(&out);
    bench_nginx_stop(&nginx);
    return count;
}

/* The searcher is a leaf of the first supernode, the holder of the last of `length`. */
static void measure_chain(const struct bench *bench, uint32_t length, const char *share,
                          double *milliseconds) {
    struct bench_network network;
    bench_network_start(&network, bench, length);
    struct host *host = bench_host();
    bench_peer(host, &network, length - 1, share, NULL);
    struct readiness ready = {.host = host, .command = {.kind = "hit"}};
    ready.searcher = bench_peer(host, &network, 0, NULL, NULL);
    bench_loop_until(host, is_found, &ready, 30, "the shared file to be searchable");
    measure(host, ready.searcher, milliseconds);
    bench_host_stop(host);
    bench_network_stop(&network);
}

void bench_latency(const struct bench *bench) {
    static double ours[SEARCHES], theirs[SEARCHES];
    char *share = owner_path(bench->owner, "latency-share");
    mkdir(share, 0755);
    char path[600];
    snprintf(path, sizeof path, "%s/quartz lantern.txt", share);
    bench_write_file(path, 5000, 3);
    size_t trips = nginx_round_trips(bench, theirs, SEARCHES);
    for (uint32_t length = 1; length <= BENCH_SUPERNODES_MAX; length++) {
        measure_chain(bench, length, share, ours);
        bool is_last = length == BENCH_SUPERNODES_MAX;
        char name[40];
        struct figure figure = {.name = name, .unit = "ms", .peer = "nginx HTTPS keep-alive GET"};
        snprintf(name, sizeof name, "query via %u median", length);
        figure.value = bench_percentile(ours, SEARCHES, 50);
        figure.peer_value = bench_percentile(theirs, trips, 50);
        figure.target = is_last ? 3 : 0;
        bench_figure(bench, &figure);
        snprintf(name, sizeof name, "query via %u p99", length);
        figure.value = bench_percentile(ours, SEARCHES, 99);
        figure.peer_value = bench_percentile(theirs, trips, 99);
        figure.target = is_last ? 20 : 0;
        bench_figure(bench, &figure);
    }
    mem_free(share);
}
