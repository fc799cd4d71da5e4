/* bench_overload.c - what leaves notice of those who ask too much: 200 leaves search, within the
 * limits that every user has, while a process of its own attacks their supernode. */
#include <stdio.h>

#include "tests/bench/bench_attack.h"
#include "tests/bench/bench_searchers.h"

#define LEAVES 200
#define PER_S 80 /* searches of all leaves: 0.4 each */
#define PHASE_S 8
#define WORSE 3 /* times as long as before, at most */

static const struct {
    const char *kind;
    const char *name;
    double growth_mb; /* of the supernode's memory, at most; lists have the index's limits */
} attacks[] = {
    {"one", "ClientHellos, 1 address", 16},
    {"hello", "ClientHellos, 200", 16},
    {"queries", "1,000 queries/s", 16},
    {"lists", "20 lists of 10,000", 0},
};

static void measure_under(const struct bench *bench, struct searchers *searchers, size_t which,
                          double baseline_ms) {
    char name[64];
    const struct bench_network *network = searchers->network;
    pid_t pid = process_pid(network->supernodes[0]);
    uint64_t before = bench_resident(pid);
    struct process *process = attack_start(network, attacks[which].kind);
    process_sleep_ms(500);
    searchers_run(searchers, PER_S, PHASE_S);
    process_kill(process);
    process_free(process);
    snprintf(name, sizeof name, "p99, %s", attacks[which].name);
    bench_figure(bench, &(struct figure){.name = name,
                                         .value = searchers_percentile(searchers, 99),
                                         .unit = "ms",
                                         .peer = "p99 in peace, same run",
                                         .peer_value = baseline_ms,
                                         .target = WORSE * baseline_ms});
    uint64_t after = bench_resident(pid);
    if (searchers->refused + searchers->empty > 0) {
        bench_fail("%s: %llu searches refused, %llu without their hit", name,
                   (unsigned long long)searchers->refused, (unsigned long long)searchers->empty);
    }
    if (!process_running(network->supernodes[0])) {
        bench_fail("%s: the supernode has ended", name);
    }
    snprintf(name, sizeof name, "RSS, %s", attacks[which].name);
    bench_figure(bench,
                 &(struct figure){.name = name,
                                  .value = after > before ? (double)(after - before) / 1e6 : 0,
                                  .unit = "MB",
                                  .peer = "RSS before",
                                  .peer_value = (double)before / 1e6,
                                  .target = attacks[which].growth_mb});
}

void bench_overload(const struct bench *bench) {
    struct bench_network network;
    struct searchers searchers;
    bench_network_start_strict(&network, bench);
    searchers_start(&searchers, &network, LEAVES);
    searchers_run(&searchers, PER_S, PHASE_S);
    double baseline_ms = searchers_percentile(&searchers, 99);
    for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++) {
        measure_under(bench, &searchers, i, baseline_ms);
    }
    searchers_stop(&searchers);
    bench_network_stop(&network);
}
