/* bench_library.c - how fast a library of many small files is shared, and how fast files are hashed
 * on all processors. */
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"
#include "src/host/host.h"
#include "tests/bench/bench_network.h"

#define FOLDERS 1000
#define FILES_PER_FOLDER 100
#define BIG_FILES 40
#define BIG_BYTES (64u << 20)
#define HASH_ROUNDS 3
#define THREADS_MAX 64

/* A node that wants to know when everything is shared, and when one file that is then changed is
 * not any more. */
struct curious {
    const struct node_env *env;
    struct host *host;
    const char *change; /* NULL = none */
    uint32_t files;
    double ready_s;
    double withdrawn_s;
};

static void append_byte(const char *path) {
    FILE *file = fopen(path, "ae");
    if (file == NULL || fputc('x', file) == EOF || fclose(file) != 0) {
        bench_fail("cannot change %s", path);
    }
}

static void curious_step(void *self, const struct node_event *event, struct outbox *out) {
    struct curious *curious = *(struct curious **)self;
    if (event->kind == NODE_SHARED) {
        curious->files++;
    } else if (event->kind == NODE_SHARES_READY) {
        curious->ready_s = bench_now();
        if (curious->change != NULL) {
            append_byte(curious->change);
        } else {
            host_stop(curious->host);
        }
    } else if (event->kind == NODE_UNSHARED) {
        curious->withdrawn_s = bench_now();
        host_stop(curious->host);
    } else if (event->kind == NODE_SHUTDOWN) {
        outbox_add(out, ACTION_STOPPED);
    }
}

static uint64_t curious_deadline(const void *self) {
    (void)self;
    return UINT64_MAX;
}

static struct node curious_make(const struct node_env *env, const void *config) {
    static const struct node_ops ops = {curious_step, curious_deadline, mem_free};
    struct curious **self = mem_new(sizeof *self);
    *self = (struct curious *)(uintptr_t)config;
    (*self)->env = env;
    return (struct node){&ops, self};
}

/* What a share took: until all of it was there, and from a change until it was withdrawn. */
struct shared_once {
    double ready_s;
    double withdrawn_s;
};

/* Share a folder with the state kept in `state`; then change a file of it, when there is one. */
static struct shared_once share_once(const char *state, const char *folder, uint32_t files,
                                     const char *change) {
    struct host_error error = {0};
    struct host_config host_config = {.log_level = LOG_LEVEL_WARN};
    struct network network = {.name = "bench", .policy = NETWORK_OPEN};
    struct curious curious = {.host = host_new(&host_config, &error), .change = change};
    const char *shares[] = {folder};
    struct host_node_config config = {.network = &network,
                                      .state_dir = state,
                                      .share_dirs = shares,
                                      .share_count = 1,
                                      .no_listen = true,
                                      .make = curious_make,
                                      .role_config = &curious,
                                      .seed = 1};
    double begin_s = bench_now();
    if (curious.host == NULL || host_add(curious.host, &config, &error) == NULL) {
        bench_fail("%s", error.text);
    }
    host_run(curious.host);
    host_free(curious.host);
    if (curious.files != files) {
        bench_fail("%u files are shared instead of %u", curious.files, files);
    }
    return (struct shared_once){curious.ready_s - begin_s, curious.withdrawn_s - curious.ready_s};
}

/* ---- Many small files ---- */

static void make_library(const char *folder) {
    mkdir(folder, 0755);
    for (uint32_t i = 0; i < FOLDERS * FILES_PER_FOLDER; i++) {
        char path[700];
        snprintf(path, sizeof path, "%s/album %04u", folder, i / FILES_PER_FOLDER);
        if (i % FILES_PER_FOLDER == 0) {
            mkdir(path, 0755);
        }
        snprintf(path, sizeof path, "%s/album %04u/track %03u.ogg", folder, i / FILES_PER_FOLDER,
                 i % FILES_PER_FOLDER);
        bench_write_file(path, 500 + i % 3500, i);
    }
}

/* Seconds of a shell command on the folder, which is "$0" there. */
static double command_seconds(const struct bench *bench, const char *command, const char *folder) {
    const char *argv[] = {"sh", "-c", command, folder, NULL};
    struct process_options options = {.argv = argv};
    struct buf out = {0};
    int status = 0;
    double begin_s = bench_now();
    if (process_capture(bench->owner, &options, 120000, &out, &status) != OK || status != 0) {
        bench_fail("%s failed", command);
    }
    buf_free(&out);
    return bench_now() - begin_s;
}

static void measure_small(const struct bench *bench) {
    char *folder = owner_path(bench->owner, "library");
    char *state = owner_path(bench->owner, "library-state");
    make_library(folder);
    char *one = owner_path(bench->owner, "library/album 0500/track 050.ogg");
    uint32_t files = FOLDERS * FILES_PER_FOLDER;
    double cold_s = share_once(state, folder, files, NULL).ready_s;
    struct shared_once warm = share_once(state, folder, files, one);
    double theirs_s = command_seconds(
        bench, "find \"$0\" -type f -print0 | xargs -0 -n 500 -P $(nproc) sha256sum >/dev/null",
        folder);
    double find_s = command_seconds(bench, "find \"$0\" -newer \"$0\" >/dev/null", folder);
    struct figure figure = {.name = "library 100k cold",
                            .value = cold_s,
                            .unit = "s",
                            .peer = "find | xargs sha256sum",
                            .peer_value = theirs_s,
                            .target = 10};
    bench_figure(bench, &figure);
    figure.name = "library 100k warm";
    figure.value = warm.ready_s;
    figure.target = 1;
    bench_figure(bench, &figure);
    figure.name = "one of 100k changed, withdrawn";
    figure.value = warm.withdrawn_s;
    figure.peer = "find -newer";
    figure.peer_value = find_s;
    figure.target = 5;
    bench_figure(bench, &figure);
    bench_remove_folder(bench, folder);
    bench_remove_folder(bench, state);
    mem_free(one);
    mem_free(folder);
    mem_free(state);
}

/* ---- Big files ---- */

static void *hash_memory(void *context) {
    static const uint8_t block[BLOCK_BYTES];
    uint8_t digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *state = EVP_MD_CTX_new();
    for (uint64_t left = *(uint64_t *)context; left >= sizeof block; left -= sizeof block) {
        EVP_DigestInit_ex(state, EVP_sha256(), NULL);
        EVP_DigestUpdate(state, block, sizeof block);
        EVP_DigestFinal_ex(state, digest, NULL);
    }
    EVP_MD_CTX_free(state);
    return NULL;
}

/* Bytes per second of OpenSSL's SHA-256 over blocks in memory, on all processors. */
static double openssl_rate(uint64_t bytes) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t count = processors > THREADS_MAX ? THREADS_MAX : (uint32_t)processors;
    uint64_t share = bytes / count;
    pthread_t threads[THREADS_MAX];
    double begin_s = bench_now();
    for (uint32_t i = 0; i < count; i++) {
        if (pthread_create(&threads[i], NULL, hash_memory, &share) != 0) {
            bench_fail("cannot start a thread");
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
    return (double)bytes / (bench_now() - begin_s);
}

static void measure_big(const struct bench *bench) {
    char *folder = owner_path(bench->owner, "big");
    mkdir(folder, 0755);
    for (uint32_t i = 0; i < BIG_FILES; i++) {
        char path[700];
        snprintf(path, sizeof path, "%s/film %02u.mkv", folder, i);
        bench_write_file(path, BIG_BYTES, i);
    }
    double ours[HASH_ROUNDS], theirs[HASH_ROUNDS];
    for (uint32_t i = 0; i < HASH_ROUNDS; i++) {
        char *state = owner_path(bench->owner, "big-state%u", i);
        ours[i] =
            (double)BIG_FILES * BIG_BYTES / share_once(state, folder, BIG_FILES, NULL).ready_s;
        theirs[i] = openssl_rate((uint64_t)BIG_FILES * BIG_BYTES);
        bench_remove_folder(bench, state);
        mem_free(state);
    }
    double peer = bench_percentile(theirs, HASH_ROUNDS, 50) / 1e9;
    bench_figure(bench, &(struct figure){.name = "library hashing",
                                         .value = bench_percentile(ours, HASH_ROUNDS, 50) / 1e9,
                                         .unit = "GB/s",
                                         .peer = "OpenSSL SHA-256, in memory",
                                         .peer_value = peer,
                                         .target = 0.9 * peer,
                                         .better = BETTER_HIGH});
    bench_remove_folder(bench, folder);
    mem_free(folder);
}

void bench_library(const struct bench *bench) {
    measure_small(bench);
    measure_big(bench);
}
