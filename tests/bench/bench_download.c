/* bench_download.c - rate of a verified download from 1 and 4 sources, by the clock and by the CPU.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"
#include "tests/bench/bench_network.h"
#include "tests/bench/bench_nginx.h"
#include "tests/bench/bench_sources.h"

#define FILE_BYTES (256u * 1024 * 1024)
#define ROUNDS 3
#define SOURCES_MOST 4

static double curl_rate(const struct bench *bench, const char *file) {
    struct bench_nginx nginx;
    bench_nginx_start(&nginx, bench);
    bench_nginx_offer(&nginx, file, "cargo");
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
            sources[started] = bench_source_start(&network, share, started, NULL);
            started++;
        }
        double rates[ROUNDS];
        double per_cpu[ROUNDS];
        for (uint32_t i = 0; i < ROUNDS; i++) {
            struct bench_fetched fetched = bench_fetch(&network, wanted, NULL);
            rates[i] = FILE_BYTES / fetched.seconds;
            per_cpu[i] = FILE_BYTES / fetched.cpu_s;
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
                                             .peer_value = 0.70,
                                             .target = 0.5,
                                             .better = BETTER_HIGH});
    }
    for (uint32_t i = 0; i < started; i++) {
        process_stop(sources[i], 5000);
        process_free(sources[i]);
    }
    bench_network_stop(&network);
    mem_free(share);
}
