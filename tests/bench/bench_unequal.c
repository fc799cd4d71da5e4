/* bench_unequal.c - downloads from sources of 10, 20, 40 and 80 MiB/s, and with one of 1 B/s. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "tests/bench/bench_nginx.h"
#include "tests/bench/bench_sources.h"

#define FILE_BYTES (512u * 1048576)
#define ROUNDS 3
#define SOURCES 4
#define SUM_BYTES_PER_S (150 * 1048576.0)

static const char *const rates[SOURCES] = {"10M", "20M", "40M", "80M"};

/* Fetch the file once with aria2 from four limited places of nginx; return the seconds. */
static double aria_seconds(const struct bench *bench, const struct bench_nginx *nginx) {
    char urls[SOURCES][128];
    for (int i = 0; i < SOURCES; i++) {
        snprintf(urls[i], sizeof urls[i], "https://%s/at%s/cargo", nginx->address, rates[i]);
    }
    char *folder = owner_path(bench->owner, "aria");
    mkdir(folder, 0755);
    const char *argv[] = {"aria2c",
                          "--quiet",
                          "--check-certificate=false",
                          "--file-allocation=none",
                          "--split=4",
                          "--max-connection-per-server=4",
                          "--min-split-size=1M",
                          "--uri-selector=inorder",
                          "--dir",
                          folder,
                          "--out=cargo",
                          urls[0],
                          urls[1],
                          urls[2],
                          urls[3],
                          NULL};
    struct buf out = {0};
    int status = 0;
    struct process_options options = {.argv = argv};
    double begin = bench_now();
    if (process_capture(bench->owner, &options, 120000, &out, &status) != OK || status != 0) {
        bench_fail("aria2c does not fetch; install aria2 (status %d)", status);
    }
    double seconds = bench_now() - begin;
    buf_free(&out);
    bench_remove_folder(bench, folder);
    mem_free(folder);
    return seconds;
}

static double aria_share(const struct bench *bench, const char *file) {
    struct bench_nginx nginx;
    bench_nginx_start(&nginx, bench);
    bench_nginx_offer(&nginx, file, "cargo");
    double shares[ROUNDS];
    for (size_t i = 0; i < ROUNDS; i++) {
        shares[i] = FILE_BYTES / aria_seconds(bench, &nginx) / SUM_BYTES_PER_S;
    }
    bench_nginx_stop(&nginx);
    return bench_percentile(shares, ROUNDS, 50);
}

static double median_seconds(const struct bench_network *network, const char *crawling_share) {
    double seconds[ROUNDS];
    for (size_t i = 0; i < ROUNDS; i++) {
        seconds[i] = bench_fetch(network, SOURCES, crawling_share).seconds;
    }
    return bench_percentile(seconds, ROUNDS, 50);
}

void bench_unequal(const struct bench *bench) {
    char *share = owner_path(bench->owner, "unequal-share");
    mkdir(share, 0755);
    char path[600];
    snprintf(path, sizeof path, "%s/heavy cargo.bin", share);
    bench_write_file(path, FILE_BYTES, 12);
    double aria = aria_share(bench, path);
    struct bench_network network;
    bench_network_start(&network, bench, 1);
    struct process *sources[SOURCES];
    for (uint32_t i = 0; i < SOURCES; i++) {
        sources[i] = bench_source_start(&network, share, i, rates[i]);
    }
    double seconds = median_seconds(&network, NULL);
    bench_figure(bench, &(struct figure){.name = "share of 10+20+40+80",
                                         .value = FILE_BYTES / seconds / SUM_BYTES_PER_S,
                                         .unit = "",
                                         .peer = "aria2 from nginx limit_rate",
                                         .peer_value = aria,
                                         .target = 0.98,
                                         .better = BETTER_HIGH});
    bench_figure(bench, &(struct figure){.name = "time, one more of 1 B/s",
                                         .value = median_seconds(&network, share) / seconds,
                                         .unit = "x",
                                         .peer = "the same without it",
                                         .peer_value = 1,
                                         .target = 1.3,
                                         .better = BETTER_LOW});
    for (uint32_t i = 0; i < SOURCES; i++) {
        process_stop(sources[i], 5000);
        process_free(sources[i]);
    }
    bench_network_stop(&network);
    mem_free(share);
}
