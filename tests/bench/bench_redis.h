/* bench_redis.h - the named peer of messaging: redis, publishing over TLS on loopback. */
#ifndef TRUNKLINE_TESTS_BENCH_BENCH_REDIS_H
#define TRUNKLINE_TESTS_BENCH_BENCH_REDIS_H

#include "common/ids.h"
#include "tests/bench/bench.h"

struct bench_redis {
    struct process *process;
    struct address address;
};

/* Start redis with TLS 1.3, AES-128-GCM and an Ed25519 certificate; it keeps nothing on disk. */
void bench_redis_start(struct bench_redis *redis, const struct bench *bench);
void bench_redis_stop(struct bench_redis *redis);

#endif
