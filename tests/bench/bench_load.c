/* bench_load.c - 2,000 leaves on one supernode process, each searching every two seconds.
 *
 * 15 seconds unless `--minutes` says otherwise. The slope of its memory is told of runs of
 * 5 minutes and more. */
#include <stdio.h>

#include "common/mem.h"
#include "tests/bench/bench_searchers.h"

#define LEAVES 2000
#define PER_S 1000      /* searches of all leaves: 0.5 each */
#define SLICE_S 15      /* between two looks at the supernode's memory */
#define SLOPE_SLICES 20 /* at least, to tell a slope: 5 minutes */

static double most(const double *bytes, size_t count) {
    double result = bytes[0];
    for (size_t i = 1; i < count; i++) {
        result = bytes[i] > result ? bytes[i] : result;
    }
    return result;
}

/* Bytes per minute, from the middle third of the samples to the last. The peaks are compared: the
 * table of query ids fills and is compacted about once in 80 seconds, which moves 2 MB. */
static double slope(const double *bytes, size_t count) {
    size_t third = count / 3;
    double grown = most(bytes + count - third, third) - most(bytes + count - 2 * third, third);
    return grown / ((double)third * SLICE_S / 60);
}

/* Percentiles of all slices together would need all their values: the worst slice counts. */
struct outcome {
    double median_ms;
    double p99_ms;
    uint64_t lost; /* refused, or without the hit that is there */
    double cpu;    /* cores */
};

static struct outcome run_slices(struct searchers *searchers, pid_t pid, double *bytes,
                                 size_t count) {
    struct outcome outcome = {0};
    double cpu_s = bench_cpu(pid);
    for (size_t i = 0; i < count; i++) {
        searchers_run(searchers, PER_S, SLICE_S);
        double median_ms = searchers_percentile(searchers, 50);
        double p99_ms = searchers_percentile(searchers, 99);
        outcome.median_ms = median_ms > outcome.median_ms ? median_ms : outcome.median_ms;
        outcome.p99_ms = p99_ms > outcome.p99_ms ? p99_ms : outcome.p99_ms;
        outcome.lost += searchers->refused + searchers->empty;
        bytes[i] = (double)bench_resident(pid);
    }
    outcome.cpu = (bench_cpu(pid) - cpu_s) / ((double)count * SLICE_S);
    return outcome;
}

static void report(const struct bench *bench, const struct outcome *outcome) {
    static const char gtk[] = "gtk-gnutella, published median";
    bench_figure(bench, &(struct figure){.name = "2,000 leaves, median",
                                         .value = outcome->median_ms,
                                         .unit = "ms",
                                         .peer = gtk,
                                         .peer_value = 501});
    bench_figure(bench, &(struct figure){.name = "2,000 leaves, p99",
                                         .value = outcome->p99_ms,
                                         .unit = "ms",
                                         .peer = gtk,
                                         .peer_value = 501,
                                         .target = 20});
    bench_figure(bench, &(struct figure){.name = "2,000 leaves, lost",
                                         .value = (double)outcome->lost,
                                         .unit = "",
                                         .peer = "none may be",
                                         .target = 0.5});
    bench_figure(bench, &(struct figure){.name = "2,000 leaves, CPU",
                                         .value = outcome->cpu * 100,
                                         .unit = "%",
                                         .peer = "one core",
                                         .peer_value = 100});
}

void bench_load(const struct bench *bench) {
    struct bench_network network;
    struct searchers searchers;
    size_t slices = (size_t)(bench->minutes * 60 / SLICE_S);
    slices = slices > 0 ? slices : 1;
    double *bytes = mem_array(slices, sizeof *bytes);
    bench_network_start(&network, bench, 1);
    searchers_start(&searchers, &network, LEAVES);
    pid_t pid = process_pid(network.supernodes[0]);
    struct outcome outcome = run_slices(&searchers, pid, bytes, slices);
    outcome.lost += bench_status(&network, 0, "hits_dropped") +
                    bench_status(&network, 0, "timeouts") + bench_status(&network, 0, "limited");
    uint64_t leaves = bench_status(&network, 0, "leaves");
    outcome.lost += LEAVES - (leaves < LEAVES ? leaves : LEAVES);
    report(bench, &outcome);
    if (slices >= SLOPE_SLICES) {
        bench_figure(bench, &(struct figure){.name = "2,000 leaves, RSS slope",
                                             .value = slope(bytes, slices) / 1000,
                                             .unit = "kB/min",
                                             .peer = "its RSS in all, kB",
                                             .peer_value = bytes[slices - 1] / 1000,
                                             .target = 100});
    }
    searchers_stop(&searchers);
    bench_network_stop(&network);
    mem_free(bytes);
}
