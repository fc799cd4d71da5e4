/* bench_searchers.h - many leaves of one supernode that search at a steady rate, and how long they
 * wait. Searches begin when they are due, whatever has become of those before them. */
#ifndef TRUNKLINE_TESTS_BENCH_BENCH_SEARCHERS_H
#define TRUNKLINE_TESTS_BENCH_BENCH_SEARCHERS_H

#include "tests/bench/bench_paper.h"

#define SEARCHER_FILES 20

struct searchers {
    const struct bench_network *network;
    struct host *host;
    struct host_node **nodes;
    uint32_t count;
    struct rng rng;
    double *milliseconds; /* of each search that has ended, from when it was due to its first hit */
    size_t measured;
    uint64_t begun;
    uint64_t ended;
    uint64_t refused; /* ended, and a supernode was busy, silent or gone */
    uint64_t empty;   /* ended without the file that is there */
};

/* Add `count` leaves with SEARCHER_FILES files each and wait until all is registered. */
void searchers_start(struct searchers *searchers, const struct bench_network *network,
                     uint32_t count);
void searchers_stop(struct searchers *searchers);

/* Let them search, `per_s` of all together, for so long, and wait for the last answers. What was
 * measured before is forgotten. */
void searchers_run(struct searchers *searchers, double per_s, double seconds);

/* Milliseconds that `percent` of the searches did not exceed. */
double searchers_percentile(struct searchers *searchers, double percent);

#endif
