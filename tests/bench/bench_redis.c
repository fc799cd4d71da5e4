/* bench_redis.c - the named peer of messaging: redis, publishing over TLS on loopback. */
#include "tests/bench/bench_redis.h"

#include <stdio.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "tests/bench/bench_network.h"
#include "tests/bench/bench_nginx.h"

#define REDIS_PORT 7648

void bench_redis_start(struct bench_redis *redis, const struct bench *bench) {
    redis->address = bench_address();
    redis->address.port = REDIS_PORT;
    const uint8_t *ip = redis->address.ip;
    char *folder = owner_path(bench->owner, "redis");
    char *key = owner_path(bench->owner, "redis/key.pem");
    char *cert = owner_path(bench->owner, "redis/cert.pem");
    char *log = owner_path(bench->owner, "redis.log");
    char host[32], listen[64], port[8];
    snprintf(host, sizeof host, "%u.%u.%u.%u", ip[0], ip[1], ip[2], ip[3]);
    snprintf(port, sizeof port, "%u", REDIS_PORT);
    snprintf(listen, sizeof listen, "%s:%s", host, port);
    mkdir(folder, 0755); /* may be there from another benchmark */
    bench_certificate(bench, folder);
    const char *argv[] = {"redis-server",
                          "--port",
                          "0",
                          "--tls-port",
                          port,
                          "--bind",
                          host,
                          "--tls-cert-file",
                          cert,
                          "--tls-key-file",
                          key,
                          "--tls-auth-clients",
                          "no",
                          "--tls-protocols",
                          "TLSv1.3",
                          "--tls-ciphersuites",
                          "TLS_AES_128_GCM_SHA256",
                          "--save",
                          "",
                          "--dir",
                          folder,
                          "--protected-mode",
                          "no",
                          "--client-output-buffer-limit",
                          "pubsub 0 0 0",
                          NULL};
    struct process_options options = {.argv = argv, .log = log};
    if (process_start(bench->owner, &options, &redis->process) != OK) {
        bench_fail("cannot start redis-server; install redis-server");
    }
    (void)bench_wait_accept(listen, 10);
    mem_free(log);
    mem_free(cert);
    mem_free(key);
    mem_free(folder);
}

void bench_redis_stop(struct bench_redis *redis) {
    process_stop(redis->process, 5000);
    process_free(redis->process);
}
