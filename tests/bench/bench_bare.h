/* bench_bare.h - the named peer of a receiver's CPU: TLS, SHA-256 and write, and nothing else. */
#ifndef TRUNKLINE_TESTS_BENCH_BENCH_BARE_H
#define TRUNKLINE_TESTS_BENCH_BENCH_BARE_H

#include "tests/bench/bench_nginx.h"

/* Fetch a file of nginx's folder over HTTPS, hash every block of it and write it to `path`; return
 * the bytes per second of this thread's CPU time. */
double bench_bare_per_cpu(const struct bench_nginx *nginx, const char *name, const char *path,
                          uint64_t bytes);

#endif
