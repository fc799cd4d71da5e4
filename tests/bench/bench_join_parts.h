/* bench_join_parts.h - what a join costs the node alone, and the index alone. */
#ifndef TRUNKLINE_TESTS_BENCH_BENCH_JOIN_PARTS_H
#define TRUNKLINE_TESTS_BENCH_BENCH_JOIN_PARTS_H

#include "common/buf.h"
#include "common/pack.h"
#include "tests/bench/bench.h"

/* What a leaf says to register `count` paper files from `first` on. */
struct join_frames {
    struct buf empty; /* REG_BEGIN of an empty list */
    struct buf begin; /* REG_BEGIN */
    struct buf rest;  /* REG_ADD and REG_COMMIT */
};
void join_frames_make(struct join_frames *frames, struct packer *packer, uint32_t first,
                      uint32_t count);
void join_frames_free(struct join_frames *frames);

struct join_parts {
    double cpu_s;     /* of all joins, from REG_BEGIN to the last REG_STATUS */
    double longest_s; /* a step took at most */
};

/* Register so many leaves with so many files each at a supernode without links. */
void bench_join_parts(uint32_t leaves, uint32_t files, struct join_parts *parts);

/* CPU seconds of putting the same records into an index and showing them. */
double bench_join_index(uint32_t leaves, uint32_t files);

/* Print what no supernode can spare, part by part. */
void bench_join_floor(const struct bench *bench, uint32_t leaves, uint32_t files);

#endif
