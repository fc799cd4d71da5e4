/* bench_fanout.h - the smallest node behind our driver: what its first link brings goes to all the
 * others. */
#ifndef TRUNKLINE_TESTS_BENCH_BENCH_FANOUT_H
#define TRUNKLINE_TESTS_BENCH_BENCH_FANOUT_H

#include "common/ids.h"
#include "tests/bench/bench.h"

#define FANOUT_BYTES 102 /* of a message: a query with its frame */
#define FANOUT_LINKS_MAX 64
#define FANOUT_PORT 7647

struct bench_fanout {
    struct process *process;
    struct address address;
    struct node_id id;
};

/* Start it in a process of its own. */
void bench_fanout_start(struct bench_fanout *fanout, const struct bench *bench);
void bench_fanout_stop(struct bench_fanout *fanout);

/* That process: `bench --role fanout ADDRESS FOLDER`, prints its node id when it listens. */
int bench_role_fanout(int argc, char **argv);

#endif
