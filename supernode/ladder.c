/* ladder.c - how far a leaf's search is taken: step by step, until it has found or reached enough.
 *
 * Reach is counted by a sketch: END carries 1,024 bits, one per reached supernode at a place that
 * its id chooses, and sums are unions, so that a supernode which three neighbours spared is counted
 * once (linear counting: Whang, Vander-Zanden and Taylor, 1990). Two things must hold to have
 * reached enough:
 * - at most 5 % of the supernodes we know are missing. Of u missing ones about u * zeros / 1,024
 *   show, since the bits of the others hide behind reached ones. A neighbour who has more links
 *   than we know supernodes tells that there are some that we do not know;
 * - beyond a full mesh, the last step was saturated. We know the supernodes around us and not those
 *   behind them, so the search itself must tell: if links lead to a supernode each at random, and
 *   95 % of all are reached, the last step followed 3.2 new links for each reached so far (1 - exp
 *   -t at t = 3, the classical occupancy problem, and a little more since degrees differ).
 * Numbers are integers: the same everywhere. */
#include "supernode/ladder.h"

#include "common/mem.h"
#include "supernode/core.h"

struct ladder *ladder_new(struct slice payload, uint16_t want, uint8_t goal, uint64_t until_us) {
    struct ladder *ladder = mem_new(sizeof *ladder);
    buf_append(&ladder->payload, payload.data, payload.len);
    ladder->want = want < QUERY_RESULTS_MAX ? want : QUERY_RESULTS_MAX;
    ladder->goal = goal;
    ladder->until_us = until_us;
    return ladder;
}

void ladder_free(struct ladder *ladder) {
    if (ladder != NULL) {
        buf_free(&ladder->payload);
        mem_free(ladder);
    }
}

/* ---- Reach ---- */

struct count {
    uint32_t known; /* others than we */
    uint32_t missing;
};

static void count_known(struct count *count, uint8_t *known, const struct node_id *id) {
    uint32_t bit = wire_reach_bit(id);
    known[bit >> 3] |= (uint8_t)(0x80 >> (bit & 7));
    count->known++;
}

/* Supernodes that must be there beside the `known` ones: a neighbour's links lead to us and to
 * others. Believed up to a full mesh, beyond which the search itself tells. */
static uint32_t count_hidden(const struct supernode *supernode, uint32_t known) {
    uint32_t degree = 0;
    for (uint32_t i = 0; i < supernode->neighbour_count; i++) {
        uint32_t told = supernode->neighbours[i]->told.degree;
        degree = told > degree ? told : degree;
    }
    degree = degree < MESH_FULL_MAX ? degree : MESH_FULL_MAX;
    return degree > known ? degree - known : 0;
}

/* How many supernodes we know that live, for all we know, and how many of them were not reached. */
static struct count count_reach(const struct supernode *supernode, const uint8_t *reach) {
    uint8_t known[REACH_BYTES] = {0};
    struct count count = {0};
    uint32_t cursor = 0;
    for (const struct host *host;
         (host = map_next(&supernode->hosts.hosts, &cursor, NULL)) != NULL;) {
        if (!host->in_use && host->failures == 0) {
            count_known(&count, known, &host->id);
        }
    }
    for (uint32_t i = 0; i < supernode->neighbour_count; i++) {
        count_known(&count, known, &supernode->neighbours[i]->link->id);
    }
    uint32_t shown = 0;
    uint32_t strays = 0; /* reached, and not known */
    uint32_t zeros = 0;
    for (uint32_t i = 0; i < REACH_BYTES; i++) {
        strays += (uint32_t)__builtin_popcount(reach[i] & (uint8_t)~known[i]);
        shown += (uint32_t)__builtin_popcount(known[i] & (uint8_t)~reach[i]);
        zeros += (uint32_t)__builtin_popcount((uint8_t)~reach[i]);
    }
    count.missing = zeros > 0 ? shown * REACH_BITS / zeros : 0;
    count.missing = count.missing < count.known ? count.missing : count.known;
    uint32_t hidden = count_hidden(supernode, count.known);
    count.known += hidden;
    count.missing += hidden > strays ? hidden - strays : 0;
    return count;
}

static uint32_t log2_of(uint32_t numerator, uint32_t denominator);

/* Supernodes that a sketch stands for: bits * ln (bits / zeros). */
static uint32_t count_sketch(const uint8_t *reach) {
    uint32_t zeros = 0;
    for (uint32_t i = 0; i < REACH_BYTES; i++) {
        zeros += (uint32_t)__builtin_popcount((uint8_t)~reach[i]);
    }
    uint64_t ln2_16 = 45426; /* times 65,536 */
    return (uint32_t)(((uint64_t)log2_of(REACH_BITS, zeros > 0 ? zeros : 1) * ln2_16 * REACH_BITS +
                       (1ull << 31)) >>
                      32);
}

/* 65,536 times the logarithm to base 2 of a quotient of at least 1, by squaring. */
static uint32_t log2_of(uint32_t numerator, uint32_t denominator) {
    uint64_t value = ((uint64_t)numerator << 16) / denominator;
    uint32_t log = 0;
    while (value >= 2 << 16) {
        value >>= 1;
        log += 1 << 16;
    }
    for (uint32_t bit = 1 << 15; bit > 0; bit >>= 1) {
        value = value * value >> 16;
        if (value >= 2 << 16) {
            value >>= 1;
            log += bit;
        }
    }
    return log;
}

static bool is_enough(const struct ladder *ladder, const struct count *count) {
    bool is_complete =
        count->known + 1 <= MESH_FULL_MAX || (ladder != NULL && ladder->is_saturated);
    return is_complete && count->missing * 100 <= (100 - LADDER_REACH_PERCENT) * (count->known + 1);
}

void ladder_tell_reach(const struct supernode *supernode, const struct ladder *ladder,
                       struct coverage *coverage) {
    if (coverage->reached != 0) { /* told already */
        return;
    }
    struct count count = count_reach(supernode, coverage->reach);
    /* We are one of those reached, unless we refused to look. */
    bool is_refused = coverage->supernodes == 0 && coverage->copies == 0 && coverage->refused > 0;
    uint32_t reached = !is_refused + count_sketch(coverage->reach);
    bool is_known = count.known + 1 <= MESH_FULL_MAX || (ladder != NULL && ladder->is_saturated);
    uint32_t known = count.known + 1 > reached ? count.known + 1 : reached;
    if (!is_refused && is_enough(ladder, &count)) {
        reached = known - count.missing;
    }
    coverage->reached = (uint16_t)reached;
    coverage->known = (uint16_t)(is_known ? known : 0);
    for (uint32_t i = 0; i < REACH_BYTES; i++) {
        coverage->reach[i] = 0;
    }
}

/* See what the step that is over has led to. A step follows the links of the one before again. */
static void weigh_step(struct ladder *ladder, const struct coverage *coverage) {
    uint32_t all = coverage->copies + coverage->spared;
    uint32_t links = all - ladder->all_links;
    uint64_t fresh = links > ladder->step_links ? links - ladder->step_links : 0;
    uint64_t reached = count_sketch(coverage->reach);
    ladder->is_saturated = fresh > 0 && fresh * 100 >= LADDER_LINKS_PERCENT * reached;
    ladder->step_links = links;
    ladder->all_links = all;
}

uint32_t ladder_step_ms(const struct supernode *supernode, struct ladder *ladder,
                        const struct coverage *coverage, uint8_t radius) {
    uint64_t now_us = supernode->links.mono_us;
    weigh_step(ladder, coverage);
    struct count count = count_reach(supernode, coverage->reach);
    if (radius > ladder->goal || coverage->copies >= LADDER_COPIES_MAX ||
        ladder->until_us <= now_us || is_enough(ladder, &count)) {
        return 0;
    }
    uint64_t left_ms = (ladder->until_us - now_us) / 1000;
    uint64_t step_ms = (uint64_t)LADDER_STEP_MS * radius;
    step_ms = step_ms < left_ms ? step_ms : left_ms;
    return step_ms > QUERY_DEADLINE_STEP_MS ? (uint32_t)step_ms : 0;
}
