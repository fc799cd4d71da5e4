/* bench_download.c - rate of a verified download from 1 and 4 sources, by the clock and by the CPU.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"
#include "tests/bench/bench_bare.h"
#include "tests/bench/bench_network.h"
#include "tests/bench/bench_sources.h"

#define FILE_BYTES (256u * 1024 * 1024)
#define ROUNDS 3
#define SOURCES_MOST 4

static double curl_rate(const struct bench *bench, const struct bench_nginx *nginx) {
    double rates[ROUNDS];
    for (size_t i = 0; i < ROUNDS; i++) {
        rates[i] = FILE_BYTES / bench_curl_seconds(bench, nginx, "cargo");
    }
    return bench_percentile(rates, ROUNDS, 50);
}

/* A round between ours, so that both are measured while the machine is the same. */
static double bare_per_cpu(const struct bench *bench, const struct bench_nginx *nginx) {
    char *path = owner_path(bench->owner, "bare.bin");
    double per_cpu = bench_bare_per_cpu(nginx, "cargo", path, FILE_BYTES);
    mem_free(path);
    return per_cpu;
}

void bench_download(const struct bench *bench) {
    char *share = owner_path(bench->owner, "download-share");
    mkdir(share, 0755);
    char path[600];
    snprintf(path, sizeof path, "%s/heavy cargo.bin", share);
    bench_write_file(path, FILE_BYTES, 11);
    struct bench_nginx nginx;
    bench_nginx_start(&nginx, bench);
    bench_nginx_offer(&nginx, path, "cargo");
    double curl = curl_rate(bench, &nginx);
    struct bench_network network;
    bench_network_start(&network, bench, 1);
    struct process *sources[SOURCES_MOST];
    uint32_t started = 0;
    for (uint32_t wanted = 1; wanted <= SOURCES_MOST; wanted += 3) {
        while (started < wanted) {
            sources[started] = bench_source_start(&network, share, started, NULL);
            started++;
        }
        double rates[ROUNDS];
        double per_cpu[ROUNDS], bare[ROUNDS];
        for (uint32_t i = 0; i < ROUNDS; i++) {
            struct bench_fetched fetched = bench_fetch(&network, wanted, NULL);
            rates[i] = FILE_BYTES / fetched.seconds;
            per_cpu[i] = FILE_BYTES / fetched.cpu_s;
            bare[i] = bare_per_cpu(bench, &nginx);
        }
        char name[40];
        snprintf(name, sizeof name, "download from %u", wanted);
        bench_figure(bench, &(struct figure){.name = name,
                                             .value = bench_percentile(rates, ROUNDS, 50) / 1e6,
                                             .unit = "MB/s",
                                             .peer = "curl from nginx over HTTPS",
                                             .peer_value = curl / 1e6,
                                             .better = BETTER_HIGH});
        snprintf(name, sizeof name, "receiver's CPU, from %u", wanted);
        bench_figure(bench, &(struct figure){.name = name,
                                             .value = bench_percentile(per_cpu, ROUNDS, 50) / 1e9,
                                             .unit = "GB/s",
                                             .peer = "TLS, SHA-256 and write in bare C",
                                             .peer_value = bench_percentile(bare, ROUNDS, 50) / 1e9,
                                             .target = 0.5,
                                             .better = BETTER_HIGH});
    }
    for (uint32_t i = 0; i < started; i++) {
        process_stop(sources[i], 5000);
        process_free(sources[i]);
    }
    bench_network_stop(&network);
    bench_nginx_stop(&nginx);
    mem_free(share);
}
