/* bench_nginx.h - the named peer of most figures: nginx serving a folder over HTTPS on loopback. */
#ifndef TRUNKLINE_TESTS_BENCH_BENCH_NGINX_H
#define TRUNKLINE_TESTS_BENCH_BENCH_NGINX_H

#include "tests/bench/bench.h"

struct bench_nginx {
    struct process *process;
    char *root;       /* the folder it serves */
    char address[64]; /* "127.x.y.z:port" */
    double startup_s; /* from exec to the first accepted connection */
};

/* Start nginx with TLS 1.3, AES-128-GCM and an Ed25519 certificate, as our links use. */
void bench_nginx_start(struct bench_nginx *nginx, const struct bench *bench);
/* Let it serve a file under a name. */
void bench_nginx_offer(const struct bench_nginx *nginx, const char *file, const char *name);
void bench_nginx_stop(struct bench_nginx *nginx);

/* Fetch a file of its folder once with curl into /dev/null; return the seconds. */
double bench_curl_seconds(const struct bench *bench, const struct bench_nginx *nginx,
                          const char *name);

/* Wait until something accepts connections at 127.x.y.z:port; return bench_now() of that moment. */
double bench_wait_accept(const char *address, double timeout_s);

#endif
