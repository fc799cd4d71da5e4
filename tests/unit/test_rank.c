/* test_rank.c - trust over rows: published vectors, the bound that forged identities cannot pass,
 * and the same bits in any order. */
#include <math.h>
#include <stdlib.h>

#include "tests/unit/testlib.h"

#include "common/limits.h"
#include "common/mem.h"
#include "common/rank.h"

#define PRECISION (1.0 / (1 << 28)) /* of sums of masses, after rank_step is done */

static struct node_id node_id(uint32_t number) {
    struct node_id id = {{0}};
    struct rng rng;
    rng_seed(&rng, number);
    rng_fill(&rng, id.b, sizeof id.b);
    return id;
}

static uint32_t node(struct rank *rank, uint32_t number) {
    struct node_id id = node_id(number);
    return rank_node(rank, &id);
}

static double mass(const struct rank *rank, uint32_t index) {
    return (double)rank_mass(rank, index) / (double)RANK_ONE;
}

static void assert_near(double a, double b, double distance) {
    if (!(fabs(a - b) <= distance)) {
        fail_msg("%.9f is not %.9f", a, b);
    }
}

static void finish(struct rank *rank) {
    rank_begin(rank);
    while (!rank_step(rank, 4096)) {
    }
}

static void row(struct rank *rank, uint32_t from, const uint32_t *to, const uint16_t *weights,
                uint32_t count) {
    assert_int_equal(rank_row(rank, from, to, weights, count), OK);
}

static void assert_conserved(const struct rank *rank) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < rank_count(rank); i++) {
        sum += rank_mass(rank, i);
    }
    assert_true(sum == RANK_ONE);
}

/* README of go-eigentrust: ek -> sd 100, ek -> vm 75, vm -> sd 100, and sd without a row. Its
 * pre-trust is ek 50, vm 100; seeds here have equal parts, so that half of vm is a second node. */
enum { EK, SD, VM };

static void solve_three(uint32_t teleport_milli, const double wanted[3]) {
    struct rank_config config = rank_defaults(1);
    config.teleport_milli = teleport_milli;
    config.row_cap_percent = 100;
    struct rank *rank = rank_new(&config);
    uint32_t ek = node(rank, EK), sd = node(rank, SD), vm = node(rank, VM), twin = node(rank, 3);
    rank_seed(rank, ek);
    rank_seed(rank, vm);
    rank_seed(rank, twin);
    rank_seed(rank, twin);
    /* What ek gives to vm may go to either half: both pass on the same. */
    row(rank, ek, (uint32_t[]){sd, vm}, (uint16_t[]){100, 75}, 2);
    row(rank, vm, (uint32_t[]){sd}, (uint16_t[]){100}, 1);
    row(rank, twin, (uint32_t[]){sd}, (uint16_t[]){100}, 1);
    finish(rank);
    assert_near(mass(rank, ek), wanted[EK], 1e-6);
    assert_near(mass(rank, sd), wanted[SD], 1e-6);
    assert_near(mass(rank, vm) + mass(rank, twin), wanted[VM], 1e-6);
    assert_conserved(rank);
    rank_free(rank);
}

static void test_go_eigentrust(void **state) {
    (void)state;
    solve_three(500, (double[]){.217054, .302326, .480620});
    solve_three(100, (double[]){.165367, .440113, .394519});
    solve_three(10, (double[]){.156493, .464122, .379385});
}

static void test_row_cap(void **state) {
    (void)state;
    struct rank_config config = rank_defaults(1);
    struct rank *rank = rank_new(&config);
    uint32_t seed = node(rank, 0), rich = node(rank, 1), poor = node(rank, 2);
    rank_seed(rank, seed);
    /* 97 % of a row is cut to 20 %; 3 % stay; named twice is named once; itself is nothing. */
    row(rank, seed, (uint32_t[]){rich, poor, rich, seed}, (uint16_t[]){50, 3, 47, 60000}, 4);
    finish(rank);
    double anchor = mass(rank, seed);
    assert_near(mass(rank, rich), .5 * .20 * anchor, 1e-9);
    assert_near(mass(rank, poor), .5 * .03 * anchor, 1e-9);
    assert_near((double)rank_flow(rank, seed, rich) / RANK_ONE, mass(rank, rich), 1e-9);
    assert_int_equal(rank_flow(rank, poor, seed), 0);
    assert_conserved(rank);
    rank_free(rank);
}

static void test_limits(void **state) {
    (void)state;
    struct rank_config config = rank_defaults(1);
    config.nodes_max = 3;
    config.edges_max = 4;
    struct rank *rank = rank_new(&config);
    uint32_t a = node(rank, 0), b = node(rank, 1), c = node(rank, 2);
    struct node_id stranger = node_id(3);
    assert_int_equal(rank_node(rank, &stranger), RANK_NONE);
    assert_int_equal(rank_find(rank, &stranger), RANK_NONE);
    assert_int_equal(node(rank, 1), b);
    rank_seed(rank, a);
    row(rank, a, (uint32_t[]){b}, (uint16_t[]){9}, 1);
    row(rank, a, (uint32_t[]){c}, (uint16_t[]){9}, 1); /* instead of the former */
    assert_int_equal(rank_row(rank, b, (uint32_t[]){a, c, a}, (uint16_t[]){1, 1, 1}, 3), ERR_LIMIT);
    finish(rank);
    assert_int_equal(rank_mass(rank, b), 0);
    assert_true(rank_mass(rank, c) > 0);
    rank_free(rank);
    /* Without seeds nobody is trusted, and without nodes there is nothing to do. */
    rank = rank_new(&config);
    a = node(rank, 0);
    b = node(rank, 1);
    row(rank, a, &b, (uint16_t[]){9}, 1);
    finish(rank);
    assert_int_equal(rank_mass(rank, b), 0);
    rank_free(rank);
    rank = rank_new(&config);
    finish(rank);
    rank_free(rank);
}

/* A subject that is named until its weight would overflow keeps what fits, and nothing is lost. */
static void test_weights_saturate(void **state) {
    (void)state;
    enum { NAMED = 2000 };
    struct rank_config config = rank_defaults(1);
    config.row_cap_percent = 100;
    struct rank *rank = rank_new(&config);
    uint32_t seed = node(rank, 0), subject = node(rank, 1);
    uint32_t to[NAMED];
    uint16_t weights[NAMED];
    for (uint32_t i = 0; i < NAMED; i++) {
        to[i] = subject;
        weights[i] = UINT16_MAX;
    }
    rank_seed(rank, seed);
    row(rank, seed, to, weights, NAMED);
    finish(rank);
    assert_conserved(rank);
    assert_true(mass(rank, subject) > 0 && mass(rank, subject) <= 1.0 / 3);
    rank_free(rank);
}

/* ---- Random graphs ---- */

#define ROW_MAX 30
#define SEEDS 4

struct graph {
    uint32_t honest;
    uint32_t forged;
    uint32_t attack_edges; /* honest rows that also name a forged identity, or more */
    uint32_t forged_seeds;
    uint64_t seed;
};

struct draft {
    uint32_t to[ROW_MAX];
    uint16_t weights[ROW_MAX];
    uint32_t count;
};

static struct draft draw_row(struct rng *rng, uint32_t first, uint32_t count) {
    struct draft draft = {.count = (uint32_t)rng_below(rng, ROW_MAX)};
    for (uint32_t i = 0; i < draft.count; i++) {
        draft.to[i] = first + (uint32_t)rng_below(rng, count);
        draft.weights[i] = (uint16_t)(1 + rng_below(rng, 2000));
    }
    return draft;
}

/* Honest nodes 0 .. honest - 1, the first SEEDS of them seeds; the forged ones after them name each
 * other, and the richest rows they can make. */
static struct rank *build(const struct graph *graph) {
    struct rng rng;
    rng_seed(&rng, graph->seed);
    struct rank_config config = rank_defaults(graph->seed);
    config.nodes_max = graph->honest + graph->forged;
    struct rank *rank = rank_new(&config);
    for (uint32_t i = 0; i < graph->honest + graph->forged; i++) {
        assert_int_equal(node(rank, i), i);
    }
    for (uint32_t i = 0; i < SEEDS; i++) {
        rank_seed(rank, i < graph->forged_seeds ? graph->honest + i : i);
    }
    for (uint32_t i = 0; i < graph->honest; i++) {
        struct draft draft = draw_row(&rng, 0, graph->honest);
        if (i < graph->attack_edges && draft.count > 0) {
            draft.to[0] = graph->honest + (uint32_t)rng_below(&rng, graph->forged);
        }
        row(rank, i, draft.to, draft.weights, draft.count);
    }
    for (uint32_t i = 0; i < graph->forged; i++) {
        struct draft draft = draw_row(&rng, graph->honest, graph->forged);
        draft.count = draft.count < 5 ? draft.count : 5 + draft.count % 4;
        row(rank, graph->honest + i, draft.to, draft.weights, draft.count);
    }
    finish(rank);
    return rank;
}

/* pi(S) <= sigma / a + ((1 - a) / a) * Phi, where sigma is the part of the seeds that are forged:
 * they get that part of the teleport, a, and of what rows do not pass on, at most 1 - a. Flows and
 * masses are of one moment; a flow has the factor 1 - a already, and a is 0.5. */
static double assert_bound(const struct graph *graph) {
    struct rank *rank = build(graph);
    double held = 0, flow = 0, honest = 0;
    for (uint32_t i = graph->honest; i < rank_count(rank); i++) {
        held += mass(rank, i);
    }
    for (uint32_t i = 0; i < graph->honest; i++) {
        honest += mass(rank, i);
        for (uint32_t j = 0; i < graph->attack_edges && j < graph->forged; j++) {
            flow += (double)rank_flow(rank, i, graph->honest + j) / (double)RANK_ONE;
        }
    }
    double sigma = (double)graph->forged_seeds / SEEDS;
    assert_true(held <= 2 * sigma + 2 * flow + PRECISION);
    assert_true(fabs(held + honest - 1) < 1e-9);
    assert_true(flow > 0 || graph->attack_edges == 0);
    assert_conserved(rank);
    rank_free(rank);
    return held;
}

static void test_bound(void **state) {
    (void)state;
    static const uint32_t sizes[] = {1, 10, 100, 1000};
    for (uint64_t seed = 1; seed <= 10; seed++) {
        for (size_t i = 0; i < LENGTH(sizes); i++) {
            assert_bound(&(struct graph){200, sizes[i], 15, 0, seed});
            assert_bound(&(struct graph){200, sizes[i], 3, sizes[i] > 1, seed});
        }
    }
    assert_bound(&(struct graph){300, 100000, 15, 0, 1});
    assert_true(assert_bound(&(struct graph){300, 1000, 0, 0, 1}) <= PRECISION);
}

/* The forged identities hold no more when there are more of them. */
static void test_flat_in_identities(void **state) {
    (void)state;
    double one = assert_bound(&(struct graph){300, 10, 15, 0, 7});
    double many = assert_bound(&(struct graph){300, 20000, 15, 0, 7});
    assert_true(many < one * 1.6 && many > 0);
}

/* The same rows, nodes named in another order and rows set in another order, and slices of other
 * sizes: the same bits. */
static void test_order(void **state) {
    (void)state;
    enum { NODES = 400 };
    struct rank *ranks[2];
    static const uint32_t budgets[] = {1, 1000000};
    for (uint32_t run = 0; run < 2; run++) {
        struct rank_config config = rank_defaults(run);
        ranks[run] = rank_new(&config);
        for (uint32_t k = 0; run == 1 && k < NODES; k++) {
            node(ranks[run], NODES - 1 - k);
        }
        for (uint32_t k = 0; k < NODES; k++) {
            uint32_t from = run == 0 ? k : (k * 171 + 5) % NODES;
            struct rng rng;
            rng_seed(&rng, from + 1000);
            struct draft draft = draw_row(&rng, 0, NODES);
            for (uint32_t i = 0; i < draft.count; i++) {
                draft.to[i] = node(ranks[run], draft.to[i]);
            }
            row(ranks[run], node(ranks[run], from), draft.to, draft.weights, draft.count);
        }
        for (uint32_t i = 0; i < 7; i++) {
            rank_seed(ranks[run], node(ranks[run], run == 0 ? i : 6 - i));
        }
        rank_begin(ranks[run]);
        while (!rank_step(ranks[run], budgets[run])) {
        }
    }
    assert_int_equal(rank_sweeps(ranks[0]), rank_sweeps(ranks[1]));
    for (uint32_t k = 0; k < NODES; k++) {
        assert_true(rank_mass(ranks[0], node(ranks[0], k)) ==
                    rank_mass(ranks[1], node(ranks[1], k)));
    }
    /* And the same bits by every compiler: what this machine once gave. */
    uint64_t digest = 0;
    for (uint32_t k = 0; k < NODES; k++) {
        digest = digest * 0x9e3779b97f4a7c15 + rank_mass(ranks[0], node(ranks[0], k));
    }
    assert_true(digest == 0xfb99e11ea20cfdac);
    rank_free(ranks[0]);
    rank_free(ranks[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_go_eigentrust), cmocka_unit_test(test_row_cap),
        cmocka_unit_test(test_limits),        cmocka_unit_test(test_weights_saturate),
        cmocka_unit_test(test_bound),         cmocka_unit_test(test_flat_in_identities),
        cmocka_unit_test(test_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
