/* bench_aria2.c - the named peer of downloads from unequal sources: aria2, from nginx over HTTPS.
 */
#include "tests/bench/bench_aria2.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/mem.h"
#include "src/cluster/proxy.h"
#include "tests/bench/bench_network.h"

#define SOURCE_PORT 7643

/* Send the proxy a line; it answers `ok`. */
static void say(const struct bench_aria2 *aria2, const char *line) {
    char answer[200] = "no answer";
    size_t len = strlen(line);
    ssize_t got = -1;
    if (send(aria2->control, line, len, MSG_NOSIGNAL) == (ssize_t)len) {
        got = read(aria2->control, answer, sizeof answer - 1);
    }
    answer[got > 0 ? got : 0] = '\0';
    if (strcmp(answer, "ok\n") != 0) {
        bench_fail("the proxy says: %s", answer);
    }
}

static void start_proxy(struct bench_aria2 *aria2) {
    char *path = owner_path(aria2->bench->owner, "proxy.sock");
    char *log = owner_path(aria2->bench->owner, "proxy.log");
    const char *argv[] = {BIN_DIR "/lab", "proxy", path, NULL};
    struct process_options options = {.argv = argv, .log = log};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    aria2->control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (process_start(aria2->bench->owner, &options, &aria2->proxy) != OK ||
        process_wait_socket(aria2->proxy, path, 10000) != OK ||
        connect(aria2->control, (struct sockaddr *)&address, sizeof address) != 0) {
        bench_fail("cannot start lab proxy");
    }
    mem_free(path);
    mem_free(log);
}

void bench_aria2_start(struct bench_aria2 *aria2, const struct bench *bench, const char *file,
                       const uint64_t bytes_per_s[BENCH_ARIA2_SOURCES]) {
    aria2->bench = bench;
    bench_nginx_start(&aria2->nginx, bench);
    bench_nginx_offer(&aria2->nginx, file, "cargo");
    start_proxy(aria2);
    for (uint32_t i = 0; i < BENCH_ARIA2_SOURCES; i++) {
        char line[PROXY_LINE_BYTES];
        struct address address = bench_address();
        address.port = SOURCE_PORT;
        address_format(aria2->addresses[i], &address);
        snprintf(line, sizeof line, "node %s %s\n", aria2->addresses[i], aria2->nginx.address);
        say(aria2, line);
        snprintf(line, sizeof line, "set %" PRIu32 " 0 0 %" PRIu64 " 0 0 0 0\n", i, bytes_per_s[i]);
        say(aria2, line);
    }
}

double bench_aria2_seconds(const struct bench_aria2 *aria2) {
    char urls[BENCH_ARIA2_SOURCES][100];
    char *folder = owner_path(aria2->bench->owner, "aria2");
    mkdir(folder, 0755);
    for (uint32_t i = 0; i < BENCH_ARIA2_SOURCES; i++) {
        snprintf(urls[i], sizeof urls[i], "https://%s/cargo", aria2->addresses[i]);
    }
    const char *argv[] = {"aria2c",
                          "--no-conf",
                          "--quiet",
                          "--check-certificate=false",
                          "--split=4",
                          "--max-connection-per-server=1",
                          "--min-split-size=1M",
                          "--file-allocation=falloc",
                          "--dir",
                          folder,
                          urls[0],
                          urls[1],
                          urls[2],
                          urls[3],
                          NULL};
    struct buf out = {0};
    int status = 0;
    struct process_options options = {.argv = argv};
    double begin_s = bench_now();
    if (process_capture(aria2->bench->owner, &options, 120000, &out, &status) != OK ||
        status != 0) {
        bench_fail("aria2c fails with status %d; install aria2", status);
    }
    double seconds = bench_now() - begin_s;
    buf_free(&out);
    bench_remove_folder(aria2->bench, folder);
    mem_free(folder);
    return seconds;
}

void bench_aria2_stop(struct bench_aria2 *aria2) {
    close(aria2->control);
    process_stop(aria2->proxy, 5000);
    process_free(aria2->proxy);
    bench_nginx_stop(&aria2->nginx);
}
