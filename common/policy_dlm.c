/* policy_dlm.c - Dynamic Layer Management (Xiao, Zhuang and Liu, TPDS 2005): each node compares its
 * capacity and age with the other layer's, more generously the farther the layers' ratio is off.
 *
 * mu = log2(leaves per supernode / what is aimed at). A leaf rises when fewer than Z of the
 * supernodes have more than 2^mu times its capacity, and fewer than Z are so much older; a
 * supernode falls when more than Z of the candidates exceed it in both. The paper leaves open how Z
 * moves with mu: here it is 1/2 + mu/4, within 5 and 95 %. Nodes act one after the other, in the
 * order of a draw, and each sees the ratio that those before it left, as the paper's do in time. */
#include "common/policy_parts.h"

#include <stdlib.h>

#include "common/mem.h"

#define ONE 256        /* parts of mu */
#define USE_PERCENT 50 /* of the slots: the ratio that is aimed at */
#define MU_MAX (4 * ONE)
#define SHARE_ONE 1024
#define SHARE_MIN (SHARE_ONE / 20)

/* What one layer has, sorted. */
struct layer {
    uint64_t *rates;
    uint64_t *ages;
    uint32_t count;
};

/* When a node acts. */
struct turn {
    uint64_t number;
    uint32_t place; /* of the node */
};

struct comparison {
    struct layer supernodes;
    struct layer candidates;
    uint32_t members; /* as they are by now */
    int32_t mu;
};

static int compare_values(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static int compare_turns(const void *a, const void *b) {
    const struct turn *x = a, *y = b;
    return x->number != y->number ? (x->number < y->number ? -1 : 1)
                                  : (x->place > y->place) - (x->place < y->place);
}

/* log2 of a positive number, in parts of ONE: one bit after the other by squaring. */
static int32_t log2_parts(uint64_t value) {
    int32_t whole = 63;
    for (; whole > 0 && value >> whole == 0; whole--) {
    }
    uint64_t rest = whole >= 31 ? value >> (whole - 31) : value << (31 - whole); /* 2^31 .. 2^32 */
    int32_t parts = whole * ONE;
    for (int32_t part = ONE / 2; part > 0; part /= 2) {
        rest = rest * rest >> 31;
        if (rest >> 32 != 0) {
            rest >>= 1;
            parts += part;
        }
    }
    return parts;
}

static int32_t mu_of(const struct policy_view *view, uint32_t members) {
    if (members == 0 || view->slots == 0 || view->members == 0) {
        return members == 0 ? MU_MAX : 0;
    }
    /* used / members against slots / view->members * USE_PERCENT / 100 */
    int32_t mu = log2_parts(view->used + 1) - log2_parts(members) - log2_parts(view->slots + 1) +
                 log2_parts(view->members) + log2_parts(100) - log2_parts(USE_PERCENT);
    return mu > MU_MAX ? MU_MAX : mu < -MU_MAX ? -MU_MAX : mu;
}

/* value * 2^mu, the fraction of mu taken as linear. */
static uint64_t scaled(uint64_t value, int32_t mu) {
    value = value < 1ULL << 40 ? value : 1ULL << 40;
    uint32_t shifted = (uint32_t)(mu + MU_MAX);
    return value * (ONE + shifted % ONE) / ONE * (1ULL << shifted / ONE) >> MU_MAX / ONE;
}

/* How many of SHARE_ONE in a sorted list are above a value. */
static uint32_t share_above(const uint64_t *values, uint32_t count, uint64_t value) {
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (values[middle] > value) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return count == 0 ? SHARE_ONE / 2 : (uint32_t)((uint64_t)(count - low) * SHARE_ONE / count);
}

static void note(struct layer *layer, const struct policy_node *node) {
    layer->rates[layer->count] = node->measured_rate;
    layer->ages[layer->count++] = node->witnessed_s;
}

static void sort(struct layer *layer) {
    qsort(layer->rates, layer->count, sizeof *layer->rates, compare_values);
    qsort(layer->ages, layer->count, sizeof *layer->ages, compare_values);
}

static void judge(const struct policy_view *view, struct comparison *comparison,
                  const struct policy_node *node, struct policy_decision *decision) {
    const struct layer *other = node->is_member ? &comparison->candidates : &comparison->supernodes;
    int32_t mu = mu_of(view, comparison->members);
    int32_t share = SHARE_ONE / 2 + mu * (SHARE_ONE / ONE) / 4;
    share = share < SHARE_MIN ? SHARE_MIN : share;
    share = share > SHARE_ONE - SHARE_MIN ? SHARE_ONE - SHARE_MIN : share;
    uint32_t faster = share_above(other->rates, other->count, scaled(node->measured_rate, mu));
    uint32_t older = share_above(other->ages, other->count, scaled(node->witnessed_s, mu));
    uint32_t z = (uint32_t)share;
    struct policy_rule rule = {
        .is_fit = node->is_gated &&
                  (node->is_member ? faster <= z || older <= z : faster < z && older < z),
        .has_room = true};
    policy_by_rule(view, node, &rule, decision);
    decision->score = node->measured_rate;
    decision->draw = faster; /* the shares that the verdict comes from */
    decision->threshold = z;
    comparison->members += decision->verdict == POLICY_PROMOTE;
    comparison->members -= decision->verdict == POLICY_DEMOTE;
}

static uint32_t decide(const struct policy_view *view, const struct policy_node *nodes,
                       uint32_t count, struct policy_decision *decisions) {
    uint64_t *values = mem_array(4 * (size_t)count, sizeof *values);
    struct turn *order = mem_array(count, sizeof *order);
    struct comparison comparison = {
        .supernodes = {values, values + count, 0},
        .candidates = {values + 2 * (size_t)count, values + 3 * (size_t)count, 0},
        .members = view->members};
    for (uint32_t i = 0; i < count; i++) {
        if (nodes[i].is_member || nodes[i].is_gated) {
            note(nodes[i].is_member ? &comparison.supernodes : &comparison.candidates, &nodes[i]);
        }
        order[i] = (struct turn){policy_number(view, &nodes[i]), i};
    }
    sort(&comparison.supernodes);
    sort(&comparison.candidates);
    qsort(order, count, sizeof *order, compare_turns);
    for (uint32_t i = 0; i < count; i++) {
        judge(view, &comparison, &nodes[order[i].place], &decisions[order[i].place]);
    }
    mem_free(values);
    mem_free(order);
    return policy_wanted(view);
}

const struct policy policy_dlm = {
    .name = "dlm",
    .what = "each compares its capacity and age with the other layer's, as DLM",
    .decide = decide,
};
