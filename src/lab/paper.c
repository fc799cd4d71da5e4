/* paper.c - threats A, B and C of EigenTrust (Kamvar, Schlosser and Garcia-Molina, WWW 2003) beside
 * the curves that its authors printed, with common/rank.h as the algorithm.
 *
 * Every query reaches everybody; one honest peer and on average five more have what is asked for,
 * and all malicious ones say so. An honest peer serves one file in twenty that is not authentic. Of
 * those that answer, one with no trust at all is tried one time in ten, else one in proportion to
 * its trust. Downloads per cycle are not in the paper; its figure for threat D implies about 1,200.
 */
#include "src/lab/paper.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "common/rank.h"
#include "common/rng.h"

#define GOOD 60
#define PRETRUSTED 3
#define HONEST (GOOD + PRETRUSTED)
#define PEERS_MAX 240
#define CYCLES 30
#define CYCLES_FIRST 15 /* not counted: the paper leaves out what happens until it is steady */
#define DOWNLOADS 1200  /* per cycle */
#define RUNS 5
#define HONEST_ERROR_MILLI 50
#define EXPLORE_MILLI 100
#define MORE_HOLDERS 5 /* on average, beside one */
#define TELEPORT_MILLI 150
#define POINTS 10
#define C_HONEST 53
#define C_MALICIOUS 20

enum threat { THREAT_A, THREAT_B, THREAT_C };

struct setting {
    enum threat threat;
    bool has_trust;
    uint32_t honest;          /* pre-trusted ones first */
    uint32_t malicious;       /* after them */
    uint32_t authentic_milli; /* of what malicious ones serve */
};

struct query_cycles {
    struct setting setting;
    struct rng rng;
    int32_t opinions[PEERS_MAX][PEERS_MAX]; /* satisfied less unsatisfied */
    uint64_t trust[PEERS_MAX];
    uint64_t wrong; /* downloads of honest peers */
    uint64_t downloads;
};

static bool chance(struct rng *rng, uint32_t milli) {
    return rng_below(rng, 1000) < milli;
}

/* Poisson by counting uniform draws. */
static uint32_t draw_holders(struct rng *rng) {
    double product = 1, limit = exp(-MORE_HOLDERS);
    uint32_t count = 0;
    for (;; count++) {
        product *= (double)(rng_u64(rng) >> 11) / (double)(1ULL << 53);
        if (product < limit) {
            return count;
        }
    }
}

/* Who answers one peer's query. */
static uint32_t gather(struct query_cycles *cycles, uint32_t asker, uint32_t answers[PEERS_MAX]) {
    const struct setting *setting = &cycles->setting;
    uint32_t order[PEERS_MAX], honest = setting->honest, count = 0;
    uint32_t holders = 1 + draw_holders(&cycles->rng);
    for (uint32_t i = 0; i < honest; i++) {
        order[i] = i;
    }
    for (uint32_t i = 0; i < honest && count < holders; i++) {
        uint32_t at = i + (uint32_t)rng_below(&cycles->rng, honest - i), peer = order[at];
        order[at] = order[i];
        if (peer != asker) {
            answers[count++] = peer;
        }
    }
    for (uint32_t i = 0; i < setting->malicious; i++) {
        answers[count++] = honest + i;
    }
    return count;
}

/* Pick from those whose trust is zero, or in proportion to it. */
static uint32_t pick(struct query_cycles *cycles, const uint32_t *answers, uint32_t count) {
    uint32_t unknown[PEERS_MAX], unknown_count = 0;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t trust = cycles->trust[answers[i]];
        sum += trust;
        if (trust == 0) {
            unknown[unknown_count++] = answers[i];
        }
    }
    if (!cycles->setting.has_trust) {
        return answers[rng_below(&cycles->rng, count)];
    }
    bool explores = chance(&cycles->rng, EXPLORE_MILLI);
    if (unknown_count > 0 && (explores || sum == 0)) {
        return unknown[rng_below(&cycles->rng, unknown_count)];
    }
    uint64_t at = rng_below(&cycles->rng, sum);
    uint32_t i = 0;
    for (; i + 1 < count && at >= cycles->trust[answers[i]]; i++) {
        at -= cycles->trust[answers[i]];
    }
    return answers[i];
}

static void download(struct query_cycles *cycles, bool is_counted) {
    const struct setting *setting = &cycles->setting;
    uint32_t answers[PEERS_MAX];
    uint32_t asker = (uint32_t)rng_below(&cycles->rng, setting->honest);
    uint32_t count = gather(cycles, asker, answers);
    if (count == 0) {
        return; /* it is the only one that has it */
    }
    uint32_t source = pick(cycles, answers, count);
    bool is_good = source < setting->honest ? !chance(&cycles->rng, HONEST_ERROR_MILLI)
                                            : chance(&cycles->rng, setting->authentic_milli);
    cycles->opinions[asker][source] += is_good ? 1 : -1;
    cycles->wrong += is_counted && !is_good;
    cycles->downloads += is_counted;
}

/* Malicious ones trust each other, in threats B and C. */
static void calculate(struct query_cycles *cycles) {
    const struct setting *setting = &cycles->setting;
    uint32_t peers = setting->honest + setting->malicious;
    struct rank_config config = rank_defaults(1);
    config.teleport_milli = TELEPORT_MILLI;
    config.row_cap_percent = 100;
    struct rank *rank = rank_new(&config);
    for (uint32_t i = 0; i < peers; i++) {
        struct node_id id = {{(uint8_t)i}};
        CHECK(rank_node(rank, &id) == i);
        if (i < PRETRUSTED) {
            rank_seed(rank, i);
        }
    }
    for (uint32_t i = 0; i < peers; i++) {
        uint32_t to[PEERS_MAX], count = 0;
        uint16_t weights[PEERS_MAX];
        for (uint32_t j = 0; j < peers; j++) {
            bool praises = i >= setting->honest && j >= setting->honest && i != j &&
                           setting->threat != THREAT_A;
            int32_t opinion = praises ? 1 : cycles->opinions[i][j];
            if (opinion > 0) {
                to[count] = j;
                weights[count++] = (uint16_t)(opinion < UINT16_MAX ? opinion : UINT16_MAX);
            }
        }
        CHECK(rank_row(rank, i, to, weights, count) == OK);
    }
    rank_begin(rank);
    while (!rank_step(rank, UINT32_MAX)) {
    }
    for (uint32_t i = 0; i < peers; i++) {
        cycles->trust[i] = rank_mass(rank, i);
    }
    rank_free(rank);
}

/* The part of the downloads that is not authentic, over some runs. */
static double simulate(const struct setting *setting) {
    struct query_cycles *cycles = mem_new(sizeof *cycles);
    uint64_t wrong = 0, downloads = 0;
    for (uint64_t run = 0; run < RUNS; run++) {
        *cycles = (struct query_cycles){.setting = *setting};
        rng_seed(&cycles->rng, run + 1);
        for (uint32_t cycle = 0; cycle < CYCLES; cycle++) {
            if (setting->has_trust) {
                calculate(cycles);
            }
            for (uint32_t i = 0; i < DOWNLOADS; i++) {
                download(cycles, cycle >= CYCLES_FIRST);
            }
        }
        wrong += cycles->wrong;
        downloads += cycles->downloads;
    }
    mem_free(cycles);
    return (double)wrong / (double)downloads;
}

/* ---- What was printed, read off the authors' figures to 0.003 ---- */

static const struct curve {
    enum threat threat;
    bool has_trust;
    uint32_t points;
    double published[POINTS];
    const char *name;
} curves[] = {
    {THREAT_A, false, 8, {.038, .443, .726, .800, .879, .909, .932, .961}, "A, no trust"},
    {THREAT_A, true, 8, {.035, .104, .106, .099, .106, .104, .112, .107}, "A, EigenTrust"},
    {THREAT_B, false, 8, {.038, .476, .676, .817, .860, .891, .934, .954}, "B, no trust"},
    {THREAT_B, true, 8, {.043, .099, .101, .117, .115, .106, .109, .107}, "B, EigenTrust"},
    {THREAT_C,
     false,
     10,
     {.658, .620, .519, .434, .359, .282, .221, .167, .111, .059},
     "C, no trust"},
    {THREAT_C,
     true,
     10,
     {.110, .149, .195, .213, .259, .259, .223, .171, .118, .063},
     "C, EigenTrust"},
};
#define CURVES (sizeof curves / sizeof *curves)

static struct setting setting_of(const struct curve *curve, uint32_t point) {
    if (curve->threat == THREAT_C) {
        return (struct setting){curve->threat, curve->has_trust, C_HONEST, C_MALICIOUS,
                                100 * point};
    }
    uint32_t malicious = (HONEST * point + (10 - point) / 2) / (10 - point);
    return (struct setting){curve->threat, curve->has_trust, HONEST, malicious, 0};
}

/* ---- Verdicts ---- */

/* Without trust: within 0.05 of the figure from 20 % on; the point at 10 % does not fit the others.
 */
static bool is_near(const struct curve *curve, const double *ours) {
    bool is_good = true;
    for (uint32_t i = curve->threat == THREAT_C ? 0 : 2; i < curve->points; i++) {
        is_good = is_good && fabs(ours[i] - curve->published[i]) <= .05;
    }
    return is_good;
}

/* With trust, threats A and B: flat, and between 0.08 and 0.18 from 10 % on. */
static bool is_flat(const struct curve *curve, const double *ours) {
    double low = 1, high = 0;
    for (uint32_t i = 1; i < curve->points; i++) {
        low = ours[i] < low ? ours[i] : low;
        high = ours[i] > high ? ours[i] : high;
    }
    return low >= .08 && high <= .18 && high - low <= .03;
}

/* With trust, threat C: worst where a third to two thirds of the files are authentic, little where
 * hardly any are, and no better or worse than without where most are. */
static bool is_peaked(const struct curve *curve, const double *ours, const double *without) {
    uint32_t peak = 0;
    bool meets = true;
    for (uint32_t i = 1; i < curve->points; i++) {
        peak = ours[i] > ours[peak] ? i : peak;
        meets = meets && (i < 6 || fabs(ours[i] - without[i]) <= .03);
    }
    return peak >= 3 && peak <= 6 && ours[0] <= .2 && ours[1] <= .2 && meets;
}

static bool is_kept(const struct curve *curve, const double *ours, const double *without) {
    return !curve->has_trust           ? is_near(curve, ours)
           : curve->threat == THREAT_C ? is_peaked(curve, ours, without)
                                       : is_flat(curve, ours);
}

static void show_values(const char *label, const double *values, uint32_t count) {
    printf("  %-10s", label);
    for (uint32_t i = 0; i < count; i++) {
        printf(" %.3f", values[i]);
    }
    putchar('\n');
}

/* `without` is the curve of the same threat without trust; set when that is the one shown. */
static bool show_curve(const struct curve *curve, double without[POINTS]) {
    double ours[POINTS] = {0};
    for (uint32_t i = 0; i < curve->points; i++) {
        struct setting setting = setting_of(curve, i);
        ours[i] = simulate(&setting);
    }
    if (!curve->has_trust) {
        memcpy(without, ours, sizeof ours);
    }
    bool is_good = is_kept(curve, ours, without);
    printf("%s: %s\n", curve->name, is_good ? "within its tolerance" : "MISSED");
    show_values("published", curve->published, curve->points);
    show_values("ours", ours, curve->points);
    fflush(stdout);
    return is_good;
}

static void usage(FILE *file) {
    fprintf(file,
            "usage: lab paper eigentrust\n\n"
            "Prints the part of downloads that is not authentic: threats A and B for 0, 10 ... "
            "70 %%\nmalicious peers, threat C for 0, 10 ... 90 %% authentic files of theirs.\n");
}

int paper_run(int argc, char *const *argv) {
    const char *name = argc == 2 ? argv[1] : "";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        usage(stdout);
        return 0;
    }
    if (strcmp(name, "eigentrust") != 0) {
        fprintf(stderr, "lab paper: takes the name of a paper: eigentrust\n");
        return 2;
    }
    bool is_good = true;
    double without[POINTS] = {0};
    for (size_t i = 0; i < CURVES; i++) {
        is_good = show_curve(&curves[i], without) && is_good;
    }
    return is_good ? 0 : 1;
}
