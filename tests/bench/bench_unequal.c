/* bench_unequal.c - downloads from sources of 10, 20, 40 and 80 MiB/s, and with one of 1 B/s. */
#include <stdio.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "tests/bench/bench_aria2.h"
#include "tests/bench/bench_sources.h"

#define FILE_BYTES (512u * 1048576)
#define ROUNDS 3
#define SOURCES BENCH_ARIA2_SOURCES
#define MIB 1048576u
#define SUM_BYTES_PER_S (150 * 1048576.0)

static const char *const rates[SOURCES] = {"10M", "20M", "40M", "80M"};

/* Seconds of aria2 for the same file, from sources of the same rates. */
static double aria2_seconds(const struct bench *bench, const char *file) {
    static const uint64_t bytes_per_s[SOURCES] = {10 * MIB, 20 * MIB, 40 * MIB, 80 * MIB};
    struct bench_aria2 aria2;
    double seconds[ROUNDS];
    bench_aria2_start(&aria2, bench, file, bytes_per_s);
    for (size_t i = 0; i < ROUNDS; i++) {
        seconds[i] = bench_aria2_seconds(&aria2);
    }
    bench_aria2_stop(&aria2);
    return bench_percentile(seconds, ROUNDS, 50);
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
    struct bench_network network;
    bench_network_start(&network, bench, 1);
    struct process *sources[SOURCES];
    for (uint32_t i = 0; i < SOURCES; i++) {
        sources[i] = bench_source_start(&network, share, i, rates[i]);
    }
    double peer_seconds = aria2_seconds(bench, path);
    double seconds = median_seconds(&network, NULL);
    bench_figure(bench, &(struct figure){.name = "share of 10+20+40+80",
                                         .value = FILE_BYTES / seconds / SUM_BYTES_PER_S,
                                         .unit = "",
                                         .peer = "aria2 from nginx over HTTPS",
                                         .peer_value = FILE_BYTES / peer_seconds / SUM_BYTES_PER_S,
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
