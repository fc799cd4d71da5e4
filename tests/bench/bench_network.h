/* bench_network.h - a network of real supernode processes, and peers inside the bench. */
#ifndef TRUNKLINE_TESTS_BENCH_BENCH_NETWORK_H
#define TRUNKLINE_TESTS_BENCH_BENCH_NETWORK_H

#include "peer/peer.h"
#include "src/host/config.h"
#include "tests/bench/bench.h"

#define BENCH_SUPERNODES_MAX 3

/* Supernodes in a row: each knows only the one before it, so that a query from a leaf of the first
 * to a file at the last passes through all of them. */
struct bench_network {
    const struct bench *bench;
    char *network_path;
    struct network_file file;
    uint32_t count;
    bool is_strict;
    struct process *supernodes[BENCH_SUPERNODES_MAX];
    struct introducer introducers[BENCH_SUPERNODES_MAX];
};

/* Start `count` supernodes that take queries at any rate. */
void bench_network_start(struct bench_network *network, const struct bench *bench, uint32_t count);
/* Start one supernode that holds its leaves to the limits of every user. */
void bench_network_start_strict(struct bench_network *network, const struct bench *bench);
void bench_network_stop(struct bench_network *network);

/* Where a supernode listens. */
struct address bench_supernode_address(const struct bench_network *network, uint32_t index);

/* A number of a supernode's `status`, which it is asked for: a process, some milliseconds. */
uint64_t bench_status(const struct bench_network *network, uint32_t index, const char *key);

/* A host for peers in this process, and its polite end. */
struct host *bench_host(void);
void bench_host_stop(struct host *host);

/* Run the host's loop for so long. */
void bench_run_for(struct host *host, double seconds);

/* A free loopback address of this run, 127.x.y.z, port 0. */
struct address bench_address(void);

/* Add a peer to `host`, a leaf of one supernode. `share` and `downloads` may be NULL. */
struct host_node *bench_peer(struct host *host, const struct bench_network *network,
                             uint32_t supernode, const char *share, const char *downloads);

/* Run the host's loop until the test is true; fail after `timeout_s` naming what was waited for. */
void bench_loop_until(struct host *host, bool (*test)(void *context), void *context,
                      double timeout_s, const char *what);

/* One command and its answer so far. */
struct bench_command {
    bool has_record; /* a report of the wanted kind came */
    bool is_over;
    enum err err;
    double first_s;    /* bench_now() of the first wanted record */
    uint64_t most;     /* largest value of the wanted number field */
    const char *kind;  /* wanted kind, such as "hit" */
    const char *field; /* wanted number field, or NULL */
};
void bench_command_start(struct host_node *node, const char *name, const char *key,
                         const char *value, struct bench_command *command);

void bench_command_args(struct host_node *node, const char *name, const struct command_arg *args,
                        uint32_t count, struct bench_command *command);

/* Remove a folder below the scratch folder with all that is in it. */
void bench_remove_folder(const struct bench *bench, const char *folder);

#endif
