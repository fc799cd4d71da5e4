/* bench_bare.c - the named peer of a receiver's CPU: TLS, SHA-256 and write, and nothing else.
 *
 * It does once what every receiver must: no protocol, no other sources, no journal, and it does not
 * read back what it has written. */
#include "tests/bench/bench_bare.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/mem.h"
#include "tests/bench/bench_network.h"

static double thread_cpu(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int dial(const char *address) {
    char host[64];
    snprintf(host, sizeof host, "%s", address);
    char *colon = strrchr(host, ':');
    *colon = '\0';
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1))};
    inet_pton(AF_INET, host, &to.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        bench_fail("cannot connect to nginx");
    }
    return fd;
}

/* Ask for the file and read past the answer's head, byte by byte. */
static void begin(SSL *ssl, const char *name) {
    char text[200];
    uint32_t matched = 0;
    int len = snprintf(text, sizeof text, "GET /%s HTTP/1.0\r\nHost: bench\r\n\r\n", name);
    if (SSL_connect(ssl) != 1 || SSL_write(ssl, text, len) != len) {
        bench_fail("nginx does not answer");
    }
    while (matched < 4) {
        char byte;
        if (SSL_read(ssl, &byte, 1) != 1) {
            bench_fail("nginx ends its answer");
        }
        matched = byte == "\r\n\r\n"[matched] ? matched + 1 : byte == '\r';
    }
}

/* One piece: received, each block of it hashed, written. */
static void take_piece(SSL *ssl, int fd, uint8_t *piece, uint64_t offset) {
    uint8_t digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *state = EVP_MD_CTX_new();
    for (size_t at = 0; at < PIECE_BYTES; at += BLOCK_BYTES) {
        for (size_t got = 0; got < BLOCK_BYTES;) {
            int part = SSL_read(ssl, piece + at + got, (int)(BLOCK_BYTES - got));
            if (part <= 0) {
                bench_fail("nginx ends before the file does");
            }
            got += (size_t)part;
        }
        EVP_DigestInit_ex(state, EVP_sha256(), NULL);
        EVP_DigestUpdate(state, piece + at, BLOCK_BYTES);
        EVP_DigestFinal_ex(state, digest, NULL);
    }
    EVP_MD_CTX_free(state);
    if (pwrite(fd, piece, PIECE_BYTES, (off_t)offset) != (ssize_t)PIECE_BYTES) {
        bench_fail("cannot write");
    }
}

double bench_bare_per_cpu(const struct bench_nginx *nginx, const char *name, const char *path,
                          uint64_t bytes) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(context);
    uint8_t *piece = mem_new(PIECE_BYTES);
    int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int fd = dial(nginx->address);
    SSL_set_fd(ssl, fd);
    if (out < 0 || posix_fallocate(out, 0, (off_t)bytes) != 0) {
        bench_fail("cannot make %s", path);
    }
    double before_s = thread_cpu();
    begin(ssl, name);
    for (uint64_t at = 0; at < bytes; at += PIECE_BYTES) {
        take_piece(ssl, out, piece, at);
    }
    if (fdatasync(out) != 0) {
        bench_fail("cannot sync %s", path);
    }
    double cpu_s = thread_cpu() - before_s;
    close(out);
    close(fd);
    unlink(path);
    SSL_free(ssl);
    SSL_CTX_free(context);
    mem_free(piece);
    return (double)bytes / cpu_s;
}
