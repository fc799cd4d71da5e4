/* cluster_test.c - 5 supernodes and 20 peers as real processes: all is found, fetched, and survives
 * kill -9.
 *
 * The tests run in order on one network: what one has fetched, the next may find with one more
 * source. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/mem.h"
#include "src/cluster/deal.h"
#include "src/cluster/localnet.h"

#define SUPERNODES 5
#define PEERS 20
#define SINGLES 3 /* files that only one peer has, per peer */
#define SHARED 20 /* files that four peers have */
#define SHARERS 4
#define FILES (PEERS * SINGLES + SHARED)
#define BIGS 2
#define BIG_BYTES (24ULL << 20)
#define BIG_RATE "2M"
#define BIG_SOURCES 3 /* peers 0 to 2: 24 MiB take 4 s */
/* A kill costs what was not yet durable: a second of three sources and a piece of each, and on a
 * busy machine as much again. */
#define LOST_MAX (BIG_SOURCES * ((4ULL << 20) + PIECE_BYTES))
#define DOWNLOADS 50
#define AT_ONCE 5
#define SETTLE_MS 60000
#define REPAIR_MS 60000 /* for peers to find other parents and register there */
#define SEARCH_MS 20000
#define GET_MS 60000

struct file {
    char name[64];
    char *path; /* the original */
    uint64_t size;
    char content[CONTENT_TEXT_BYTES]; /* once it was found */
};

static struct cluster {
    struct owner *owner;
    struct localnet net;
    struct file files[FILES];
    struct file bigs[BIGS];
    const char *missing; /* a file that the last search did not show */
    char last[1024];     /* line of a command */
} cluster;

/* ---- Setting up ---- */

#define MUST(call)                                                                                 \
    do {                                                                                           \
        enum err must_err = (call);                                                                \
        if (must_err != OK) {                                                                      \
            fail_msg("%s: %s", err_text(must_err), cluster.net.trouble);                           \
        }                                                                                          \
    } while (0)

/* Sizes around every boundary of blocks and pieces, and some between. */
static uint64_t size_of(uint32_t number) {
    static const uint64_t sizes[] = {1,
                                     100,
                                     BLOCK_BYTES - 1,
                                     BLOCK_BYTES,
                                     BLOCK_BYTES + 1,
                                     PIECE_BYTES - 1,
                                     PIECE_BYTES,
                                     PIECE_BYTES + 1,
                                     3 * PIECE_BYTES + 5 * BLOCK_BYTES + 7};
    return number < sizeof sizes / sizeof *sizes ? sizes[number] : 1000 + 977ULL * number;
}

static void make_file(struct file *file, const char *name, uint64_t size, uint64_t seed) {
    snprintf(file->name, sizeof file->name, "%s", name);
    file->size = size;
    file->path = owner_path(cluster.owner, "originals/%s", name);
    assert_int_equal(deal_generate(file->path, size, seed), OK);
}

static void lay(const struct file *file, uint32_t peer) {
    char to[4096];
    snprintf(to, sizeof to, "%s/%s", cluster.net.peers[peer].files, file->name);
    assert_int_equal(link(file->path, to), 0);
}

static void deal_files(void) {
    char *folder = owner_path(cluster.owner, "originals");
    assert_int_equal(mkdir(folder, 0700), 0);
    mem_free(folder);
    char name[64];
    for (uint32_t i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "corpus shelf%02u item%02u.dat", i % PEERS, i);
        make_file(&cluster.files[i], name, size_of(i), i + 1);
        uint32_t copies = i < SHARED ? SHARERS : 1;
        for (uint32_t copy = 0; copy < copies; copy++) {
            lay(&cluster.files[i], (i + copy * PEERS / SHARERS) % PEERS);
        }
    }
    for (uint32_t i = 0; i < BIGS; i++) {
        snprintf(name, sizeof name, "atlas volume%02u.bin", i);
        make_file(&cluster.bigs[i], name, BIG_BYTES, 1000 + i);
        for (uint32_t source = 0; source < BIG_SOURCES; source++) {
            lay(&cluster.bigs[i], source);
            cluster.net.peers[source].upload_rate = BIG_RATE;
        }
    }
}

static int set_up(void **state) {
    (void)state;
    cluster.owner = owner_new("trunkline-cluster");
    assert_non_null(cluster.owner);
    MUST(localnet_init(&cluster.net, cluster.owner, BIN_DIR, SUPERNODES, PEERS));
    deal_files();
    for (uint32_t i = 0; i < SUPERNODES; i++) {
        MUST(localnet_start(&cluster.net, &cluster.net.supernodes[i]));
    }
    for (uint32_t i = 0; i < PEERS; i++) {
        MUST(localnet_start(&cluster.net, &cluster.net.peers[i]));
    }
    MUST(localnet_settle(&cluster.net, SETTLE_MS));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    for (uint32_t i = 0; i < FILES; i++) {
        mem_free(cluster.files[i].path);
    }
    for (uint32_t i = 0; i < BIGS; i++) {
        mem_free(cluster.bigs[i].path);
    }
    localnet_free(&cluster.net);
    owner_free(cluster.owner);
    return 0;
}

/* ---- Searching ---- */

/* How many of the files are in the answer; the links of those that are new are noted. */
static uint32_t note_hits(const json_t *answer, struct file *files, uint32_t count) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool seen = false;
        for (size_t j = 0; j < json_array_size(answer) && !seen; j++) {
            const json_t *hit = json_array_get(answer, j);
            seen = strcmp(localnet_text(hit, "kind"), "hit") == 0 &&
                   strcmp(localnet_text(hit, "name"), files[i].name) == 0 &&
                   localnet_number(hit, "size") == (int64_t)files[i].size;
            if (seen) {
                snprintf(files[i].content, sizeof files[i].content, "%s",
                         localnet_text(hit, "content"));
            }
        }
        found += seen;
        if (!seen) {
            cluster.missing = files[i].name;
        }
    }
    return found;
}

static uint32_t search(uint32_t peer, const char *words, struct file *files, uint32_t count) {
    json_t *answer;
    MUST(localnet_ask(&cluster.net, &cluster.net.peers[peer],
                      (const char *const[]){"search", words, "--want", "1000", NULL}, SEARCH_MS,
                      &answer));
    assert_non_null(localnet_find(answer, "end"));
    uint32_t found = note_hits(answer, files, count);
    json_decref(answer);
    return found;
}

/* Search until all files are found or the time is over: registrations travel in the background.
 * What a peer alone has is not offered to itself. */
static void expect_all_from(uint32_t peer, int64_t until_ms) {
    uint32_t found;
    while ((found = search(peer, "corpus", cluster.files, FILES)) < FILES - SINGLES &&
           process_now_ms() < until_ms) {
        process_sleep_ms(500);
    }
    if (found < FILES - SINGLES) {
        fail_msg("peer %u finds %u of %d files, for one not %s", peer, found, FILES - SINGLES,
                 cluster.missing);
    }
}

static void test_every_file_is_found_from_every_peer(void **state) {
    (void)state;
    int64_t until = process_now_ms() + SETTLE_MS;
    for (uint32_t peer = 0; peer < PEERS; peer++) {
        expect_all_from(peer, until);
        assert_int_equal(search(peer, "atlas", cluster.bigs, BIGS), BIGS);
    }
}

static void test_words_narrow_a_search(void **state) {
    (void)state;
    struct file copy = cluster.files[30];
    assert_int_equal(search(3, "SHELF10 item30", &copy, 1), 1);
    assert_int_equal(search(3, "shelf10 item31", cluster.files, FILES), 0);
    assert_int_equal(search(3, "nosuchword", cluster.files, FILES), 0);
}

/* ---- Fetching ---- */

static void expect_same_bytes(const char *original, const char *copy) {
    FILE *first = fopen(original, "rb"), *second = fopen(copy, "rb");
    assert_non_null(first);
    if (second == NULL) {
        fail_msg("there is no %s", copy);
    }
    static uint8_t a[1 << 16], b[1 << 16];
    size_t got;
    do {
        got = fread(a, 1, sizeof a, first);
        assert_int_equal(fread(b, 1, sizeof b, second), got);
        assert_memory_equal(a, b, got);
    } while (got > 0);
    fclose(first);
    fclose(second);
}

static struct process *begin_get(uint32_t peer, const struct file *file) {
    struct process *process;
    MUST(localnet_command(&cluster.net, &cluster.net.peers[peer],
                          (const char *const[]){"get", file->content, NULL}, &process));
    return process;
}

/* Read until a line of that kind whose number `key` is at least `least`; NULL at the end. */
static json_t *read_until(struct process *process, const char *kind, const char *key,
                          int64_t least) {
    struct buf line = {0};
    json_t *found = NULL;
    while (found == NULL && process_line(process, &line, GET_MS) == OK) {
        json_t *object = json_loads((const char *)line.data, 0, NULL);
        snprintf(cluster.last, sizeof cluster.last, "%.1000s", (const char *)line.data);
        if (strcmp(localnet_text(object, "kind"), kind) == 0 &&
            localnet_number(object, key) >= least) {
            found = object;
        } else {
            json_decref(object);
        }
    }
    buf_free(&line);
    return found;
}

static void expect_fetched(struct process *process, const struct file *file) {
    json_t *finished = read_until(process, "finished", "bytes", (int64_t)file->size);
    int status = -1;
    if (finished == NULL) {
        fail_msg("%s was not fetched; the last line was: %s", file->name, cluster.last);
    }
    expect_same_bytes(file->path, localnet_text(finished, "path"));
    json_decref(finished);
    assert_int_equal(process_wait(process, GET_MS, &status), OK);
    assert_int_equal(status, 0);
    process_free(process);
}

/* Every download is by a peer that does not have the file: its shelf is another one. */
static void test_fifty_downloads_are_identical(void **state) {
    (void)state;
    for (uint32_t i = 0; i < DOWNLOADS; i += AT_ONCE) {
        struct process *processes[AT_ONCE];
        for (uint32_t j = 0; j < AT_ONCE; j++) {
            uint32_t file = (i + j) % FILES;
            processes[j] = begin_get((file + 1 + (i + j) / PEERS) % PEERS, &cluster.files[file]);
        }
        for (uint32_t j = 0; j < AT_ONCE; j++) {
            expect_fetched(processes[j], &cluster.files[(i + j) % FILES]);
        }
    }
}

/* The supernode, not the introducer, that is a parent of this peer. */
static struct localnet_node *parent_of(uint32_t peer) {
    json_t *answer;
    MUST(localnet_ask(&cluster.net, &cluster.net.peers[peer], (const char *const[]){"status", NULL},
                      SEARCH_MS, &answer));
    struct localnet_node *parent = NULL;
    for (size_t i = 0; i < json_array_size(answer); i++) {
        const json_t *object = json_array_get(answer, i);
        for (uint32_t j = 1; j < SUPERNODES; j++) {
            if (strcmp(localnet_text(object, "kind"), "parent") == 0 &&
                strcmp(localnet_text(object, "id"), cluster.net.supernodes[j].id) == 0) {
                parent = &cluster.net.supernodes[j];
            }
        }
    }
    json_decref(answer);
    assert_non_null(parent);
    return parent;
}

static void test_killing_a_supernode_loses_nothing(void **state) {
    (void)state;
    enum { FETCHER = PEERS - 1 };
    struct localnet_node *victim = parent_of(FETCHER);
    struct process *get = begin_get(FETCHER, &cluster.bigs[0]);
    json_t *progress = read_until(get, "progress", "done", BIG_BYTES / 8);
    assert_non_null(progress);
    assert_true(localnet_number(progress, "done") < (int64_t)BIG_BYTES / 2);
    json_decref(progress);
    localnet_cut(victim);
    expect_fetched(get, &cluster.bigs[0]);
    /* Its leaves find other parents, and everything is found from everywhere again. */
    MUST(localnet_settle(&cluster.net, REPAIR_MS));
    int64_t until = process_now_ms() + REPAIR_MS;
    for (uint32_t peer = 0; peer < PEERS; peer++) {
        expect_all_from(peer, until);
    }
    /* And it is taken back when it returns. */
    MUST(localnet_start(&cluster.net, victim));
    MUST(localnet_settle(&cluster.net, REPAIR_MS));
}

/* Bytes that the sources of the big files have sent so far. */
static int64_t bytes_uploaded(void) {
    int64_t bytes = 0;
    for (uint32_t i = 0; i < BIG_SOURCES; i++) {
        json_t *answer;
        MUST(localnet_ask(&cluster.net, &cluster.net.peers[i],
                          (const char *const[]){"status", NULL}, SEARCH_MS, &answer));
        bytes += localnet_number(localnet_find(answer, "status"), "uploaded");
        json_decref(answer);
    }
    return bytes;
}

static void test_killing_a_fetching_peer_loses_nothing(void **state) {
    (void)state;
    enum { FETCHER = PEERS - 2 };
    struct localnet_node *peer = &cluster.net.peers[FETCHER];
    int64_t before = bytes_uploaded();
    struct process *get = begin_get(FETCHER, &cluster.bigs[1]);
    json_t *progress = read_until(get, "progress", "done", BIG_BYTES * 8 / 10);
    assert_non_null(progress);
    int64_t done = localnet_number(progress, "done");
    json_decref(progress);
    assert_true(done < (int64_t)BIG_BYTES);
    localnet_cut(peer);
    process_free(get);
    MUST(localnet_start(&cluster.net, peer));
    /* Nobody asks it to: it goes on by itself. */
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", peer->downloads, cluster.bigs[1].name);
    MUST(process_wait_file(peer->process, path, GET_MS));
    expect_same_bytes(cluster.bigs[1].path, path);
    /* What was journalled was not asked for again: starting anew would cost `done` bytes more. */
    int64_t sent = bytes_uploaded() - before;
    print_message("killed at %lld of %llu bytes; %lld were sent in all\n", (long long)done,
                  (unsigned long long)BIG_BYTES, (long long)sent);
    assert_true(sent >= (int64_t)BIG_BYTES);
    assert_true(sent <= (int64_t)(BIG_BYTES + LOST_MAX));
}

static void test_everybody_stops_when_asked(void **state) {
    (void)state;
    assert_int_equal(localnet_stop_all(&cluster.net), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_file_is_found_from_every_peer),
        cmocka_unit_test(test_words_narrow_a_search),
        cmocka_unit_test(test_fifty_downloads_are_identical),
        cmocka_unit_test(test_killing_a_supernode_loses_nothing),
        cmocka_unit_test(test_killing_a_fetching_peer_loses_nothing),
        cmocka_unit_test(test_everybody_stops_when_asked),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
