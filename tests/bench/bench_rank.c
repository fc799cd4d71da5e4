/* bench_rank.c - the score of 50,000 candidates with 30 rows' entries each, whole and in slices. */
#include <string.h>

#include "common/mem.h"
#include "common/rank.h"
#include "common/rng.h"
#include "tests/bench/bench.h"

#define CANDIDATES 50000
#define ROW 30
#define SEEDS 5
#define BUDGET 65536 /* what a node gives to one step */
#define ROUNDS 5

static struct rank *build(void) {
    struct rng rng;
    rng_seed(&rng, 1);
    struct rank_config config = rank_defaults(1);
    struct rank *rank = rank_new(&config);
    for (uint32_t i = 0; i < CANDIDATES; i++) {
        struct node_id id;
        rng_fill(&rng, id.b, sizeof id.b);
        (void)rank_node(rank, &id);
    }
    for (uint32_t i = 0; i < SEEDS; i++) {
        rank_seed(rank, i);
    }
    for (uint32_t i = 0; i < CANDIDATES; i++) {
        uint32_t to[ROW];
        uint16_t weights[ROW];
        for (uint32_t j = 0; j < ROW; j++) {
            to[j] = (uint32_t)rng_below(&rng, CANDIDATES);
            weights[j] = (uint16_t)(1 + rng_below(&rng, 2000));
        }
        if (rank_row(rank, i, to, weights, ROW) != OK) {
            bench_fail("a row does not fit");
        }
    }
    return rank;
}

/* The plainest way: double precision, whole sweeps, rows of equal weights, no cap, as many sweeps.
 */
static double naive_s(uint32_t sweeps) {
    uint32_t *to = mem_array(CANDIDATES * ROW, sizeof *to);
    double *weights = mem_array(CANDIDATES * ROW, sizeof *weights);
    double *mass = mem_array(CANDIDATES, sizeof *mass), *next = mem_array(CANDIDATES, sizeof *next);
    struct rng rng;
    rng_seed(&rng, 1);
    for (uint32_t i = 0; i < CANDIDATES * ROW; i++) {
        to[i] = (uint32_t)rng_below(&rng, CANDIDATES);
        weights[i] = 1.0 / ROW;
    }
    mass[0] = 1;
    double start = bench_now();
    for (uint32_t sweep = 0; sweep < sweeps; sweep++) {
        memset(next, 0, CANDIDATES * sizeof *next);
        next[0] = .5;
        for (uint32_t i = 0; i < CANDIDATES * ROW; i++) {
            next[to[i]] += .5 * mass[i / ROW] * weights[i];
        }
        double *old = mass;
        mass = next;
        next = old;
    }
    double took = bench_now() - start;
    mem_free(to);
    mem_free(weights);
    mem_free(mass);
    mem_free(next);
    return took;
}

void bench_rank(const struct bench *bench) {
    double build_ms[ROUNDS], total_ms[ROUNDS], naive_ms[ROUNDS], step_ms[4096];
    size_t steps = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        double start = bench_now();
        struct rank *rank = build();
        build_ms[round] = (bench_now() - start) * 1e3;
        start = bench_now();
        rank_begin(rank);
        for (bool is_done = false; !is_done; steps++) {
            double before = bench_now();
            is_done = rank_step(rank, BUDGET);
            step_ms[steps % 4096] = (bench_now() - before) * 1e3;
        }
        total_ms[round] = (bench_now() - start) * 1e3;
        naive_ms[round] = naive_s(rank_sweeps(rank)) * 1e3;
        rank_free(rank);
    }
    steps = steps < 4096 ? steps : 4096;
    double naive = bench_percentile(naive_ms, ROUNDS, 50);
    const char *peer = "double precision, unsliced";
    bench_figure(bench, &(struct figure){"rank 50,000 x 30", bench_percentile(total_ms, ROUNDS, 50),
                                         "ms", peer, naive, 100, BETTER_LOW});
    bench_figure(bench, &(struct figure){"rank one step, p99", bench_percentile(step_ms, steps, 99),
                                         "ms", "a turn of the loop", 1, 1, BETTER_LOW});
    bench_figure(bench,
                 &(struct figure){"rank, nodes and rows", bench_percentile(build_ms, ROUNDS, 50),
                                  "ms", peer, naive, 0, BETTER_LOW});
}
