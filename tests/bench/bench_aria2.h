/* bench_aria2.h - the named peer of downloads from unequal sources: aria2, from nginx over HTTPS.
 */
#ifndef TRUNKLINE_TESTS_BENCH_BENCH_ARIA2_H
#define TRUNKLINE_TESTS_BENCH_BENCH_ARIA2_H

#include "tests/bench/bench_nginx.h"

#define BENCH_ARIA2_SOURCES 4

/* nginx behind `lab proxy`, which has an address of each rate. nginx's own limit_rate gives each
 * request a second's worth at once, and aria2 makes a request for every part. */
struct bench_aria2 {
    const struct bench *bench;
    struct bench_nginx nginx;
    struct process *proxy;
    int control;
    char addresses[BENCH_ARIA2_SOURCES][64];
};

/* Start sources of so many bytes per second each, with this file. */
void bench_aria2_start(struct bench_aria2 *aria2, const struct bench *bench, const char *file,
                       const uint64_t bytes_per_s[BENCH_ARIA2_SOURCES]);
/* Fetch the file once, from all of them; return the seconds from exec to exit. */
double bench_aria2_seconds(const struct bench_aria2 *aria2);
void bench_aria2_stop(struct bench_aria2 *aria2);

#endif
