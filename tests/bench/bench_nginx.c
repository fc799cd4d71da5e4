/* bench_nginx.c - starts nginx on a loopback address of this run, and measures it with curl. */
#include "tests/bench/bench_nginx.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"
#include "tests/bench/bench_network.h"

#define NGINX_PORT 7643

static const char configuration[] = "%sworker_processes 1;\n"
                                    "daemon off;\n"
                                    "pid %s/nginx.pid;\n"
                                    "error_log stderr error;\n"
                                    "events { worker_connections 1024; }\n"
                                    "http {\n"
                                    "  access_log off;\n"
                                    "  client_body_temp_path %s/body;\n"
                                    "  proxy_temp_path %s/proxy;\n"
                                    "  fastcgi_temp_path %s/fastcgi;\n"
                                    "  uwsgi_temp_path %s/uwsgi;\n"
                                    "  scgi_temp_path %s/scgi;\n"
                                    "  keepalive_requests 1000000;\n"
                                    "  keepalive_timeout 300;\n"
                                    "  server {\n"
                                    "    listen %s ssl;\n"
                                    "    ssl_certificate %s/cert.pem;\n"
                                    "    ssl_certificate_key %s/key.pem;\n"
                                    "    ssl_protocols TLSv1.3;\n"
                                    "    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;\n"
                                    "    root %s/root;\n"
                                    "  }\n"
                                    "}\n";

void bench_certificate(const struct bench *bench, const char *folder) {
    char key[512], cert[512];
    snprintf(key, sizeof key, "%s/key.pem", folder);
    snprintf(cert, sizeof cert, "%s/cert.pem", folder);
    const char *argv[] = {"openssl", "req",  "-x509", "-newkey", "ed25519",   "-nodes", "-keyout",
                          key,       "-out", cert,    "-subj",   "/CN=bench", NULL};
    struct buf out = {0};
    int status = 0;
    struct process_options options = {.argv = argv, .log = "/dev/null"};
    if (process_capture(bench->owner, &options, 10000, &out, &status) != OK || status != 0) {
        bench_fail("openssl cannot make a certificate");
    }
    buf_free(&out);
}

double bench_wait_accept(const char *address, double timeout_s) {
    char host[64];
    snprintf(host, sizeof host, "%s", address);
    char *colon = strrchr(host, ':');
    *colon = '\0';
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1))};
    inet_pton(AF_INET, host, &to.sin_addr);
    double end = bench_now() + timeout_s;
    while (bench_now() < end) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int result = connect(fd, (struct sockaddr *)&to, sizeof to);
        close(fd);
        if (result == 0) {
            return bench_now();
        }
        usleep(200);
    }
    bench_fail("nothing listens at %s after %.0f s", address, timeout_s);
}

void bench_nginx_start(struct bench_nginx *nginx, const struct bench *bench) {
    char *folder = owner_path(bench->owner, "nginx");
    nginx->root = owner_path(bench->owner, "nginx/root");
    mkdir(folder, 0755); /* may be there from another benchmark */
    mkdir(nginx->root, 0755);
    bench_certificate(bench, folder);
    struct address address = bench_address();
    snprintf(nginx->address, sizeof nginx->address, "127.%u.%u.%u:%u", address.ip[1], address.ip[2],
             address.ip[3], NGINX_PORT);
    char *conf = owner_path(bench->owner, "nginx/nginx.conf");
    FILE *file = fopen(conf, "w");
    if (file == NULL) {
        bench_fail("cannot write %s", conf);
    }
    /* As root nginx would serve as a user who cannot enter our folder. */
    fprintf(file, configuration, geteuid() == 0 ? "user root;\n" : "", folder, folder, folder,
            folder, folder, folder, nginx->address, folder, folder, folder);
    fclose(file);
    const char *argv[] = {"/usr/sbin/nginx", "-c", conf, "-p", folder, NULL};
    char *log = owner_path(bench->owner, "nginx.log");
    struct process_options options = {.argv = argv, .log = log};
    double begin = bench_now();
    if (process_start(bench->owner, &options, &nginx->process) != OK) {
        bench_fail("cannot start nginx; install nginx-light");
    }
    nginx->startup_s = bench_wait_accept(nginx->address, 10) - begin;
    mem_free(log);
    mem_free(conf);
    mem_free(folder);
}

void bench_nginx_offer(const struct bench_nginx *nginx, const char *file, const char *name) {
    char path[600];
    snprintf(path, sizeof path, "%s/%s", nginx->root, name);
    remove(path);
    if (symlink(file, path) != 0) {
        bench_fail("cannot link %s", path);
    }
}

void bench_nginx_stop(struct bench_nginx *nginx) {
    process_stop(nginx->process, 5000);
    process_free(nginx->process);
    mem_free(nginx->root);
}

double bench_curl_seconds(const struct bench *bench, const struct bench_nginx *nginx,
                          const char *name) {
    char url[256];
    snprintf(url, sizeof url, "https://%s/%s", nginx->address, name);
    const char *argv[] = {"curl", "-sk",           "--fail", "-o", "/dev/null",
                          "-w",   "%{time_total}", url,      NULL};
    struct buf out = {0};
    int status = 0;
    struct process_options options = {.argv = argv};
    if (process_capture(bench->owner, &options, 120000, &out, &status) != OK || status != 0) {
        bench_fail("curl cannot fetch %s: status %d", url, status);
    }
    double seconds = atof((const char *)out.data);
    buf_free(&out);
    return seconds;
}
