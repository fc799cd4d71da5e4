/* bench_sources.h - sources as processes, and a peer that fetches what they share. */
#ifndef TRUNKLINE_TESTS_BENCH_BENCH_SOURCES_H
#define TRUNKLINE_TESTS_BENCH_BENCH_SOURCES_H

#include "tests/bench/bench_network.h"

/* Start a source as a process of its own, so that it has its own core where there is one; `rate` is
 * its --upload-rate, NULL for none. */
struct process *bench_source_start(const struct bench_network *network, const char *share,
                                   uint32_t number, const char *rate);

struct bench_fetched {
    double seconds;
    double cpu_s; /* of the receiver, all its threads together */
};

/* Fetch "heavy cargo" once with a fresh peer in this process, when so many sources are found; with
 * one more of 1 B/s, in this process too, that shares the folder `crawling_share` if not NULL. */
struct bench_fetched bench_fetch(const struct bench_network *network, uint32_t sources,
                                 const char *crawling_share);

#endif
