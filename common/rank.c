/* rank.c - personalised PageRank by power iteration, in integers and in slices. */
#include "common/rank.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/limits.h"
#include "common/map.h"
#include "common/mem.h"

#define PERCENT 100
#define MILLI 1000
#define SETTLED (RANK_ONE >> 30) /* moved within one sweep, all nodes together */
#define NODE_COST 4              /* of a node beside its edges, in edges */

struct edge {
    uint32_t to;
    uint32_t weight; /* in hundredths of the row's unit, capped */
};

struct node {
    struct node_id id;
    uint64_t first;    /* of its edges */
    uint64_t sum;      /* of its row, in hundredths, before the cap */
    uint64_t given;    /* of its row, in hundredths, after the cap */
    uint64_t named_at; /* 1 + the last edge of anybody that leads here */
    uint32_t edges;
    bool is_seed;
};

/* A seed, with its id at hand for sorting. */
struct seed {
    struct node_id id;
    uint32_t node;
};

enum phase { PHASE_BUILD, PHASE_PUSH, PHASE_SETTLE, PHASE_DONE };

struct rank {
    struct rank_config config;
    struct map indices; /* id -> index + 1 */
    struct node *nodes;
    uint64_t *mass;
    uint64_t *next;
    struct edge *edges;
    struct seed *seeds;  /* by id once begun */
    uint64_t edge_count; /* written, those of replaced rows included */
    uint32_t node_count;
    uint32_t seed_count;
    uint32_t node_cap;
    uint32_t edge_cap;
    uint32_t seed_cap;
    enum phase phase;
    uint32_t cursor; /* of the sweep */
    uint32_t sweeps;
    uint32_t sweeps_max;
    uint64_t to_seeds; /* gathered in this sweep */
    uint64_t moved;    /* in this sweep */
};

struct rank_config rank_defaults(uint64_t map_seed) {
    return (struct rank_config){.map_seed = map_seed,
                                .teleport_milli = RANK_TELEPORT_MILLI,
                                .row_cap_percent = RANK_ROW_CAP_PERCENT,
                                .nodes_max = RANK_NODES_MAX,
                                .edges_max = RANK_EDGES_MAX};
}

struct rank *rank_new(const struct rank_config *config) {
    CHECK(config->teleport_milli > 0 && config->teleport_milli <= MILLI);
    CHECK(config->row_cap_percent > 0 && config->row_cap_percent <= PERCENT);
    struct rank *rank = mem_new(sizeof *rank);
    rank->config = *config;
    /* A sweep leaves (1 - a) of the distance, so that these are enough. */
    for (uint64_t left = RANK_ONE; left >= SETTLED; rank->sweeps_max++) {
        left = left / MILLI * (MILLI - config->teleport_milli);
    }
    map_init(&rank->indices, sizeof(struct node_id), config->map_seed);
    return rank;
}

void rank_free(struct rank *rank) {
    if (rank == NULL) {
        return;
    }
    map_free(&rank->indices);
    mem_free(rank->nodes);
    mem_free(rank->mass);
    mem_free(rank->next);
    mem_free(rank->edges);
    mem_free(rank->seeds);
    mem_free(rank);
}

/* ---- Building ---- */

static uint32_t grown(uint32_t cap) {
    return cap < 16 ? 16 : cap * 2;
}

uint32_t rank_find(const struct rank *rank, const struct node_id *id) {
    uintptr_t value = (uintptr_t)map_get(&rank->indices, id);
    return value == 0 ? RANK_NONE : (uint32_t)(value - 1);
}

uint32_t rank_node(struct rank *rank, const struct node_id *id) {
    uint32_t index = rank_find(rank, id);
    if (index != RANK_NONE) {
        return index;
    }
    CHECK(rank->phase == PHASE_BUILD);
    if (rank->node_count >= rank->config.nodes_max) {
        return RANK_NONE;
    }
    if (rank->node_count == rank->node_cap) {
        rank->node_cap = grown(rank->node_cap);
        rank->nodes = mem_resize(rank->nodes, rank->node_cap, sizeof *rank->nodes);
    }
    index = rank->node_count++;
    rank->nodes[index] = (struct node){.id = *id};
    (void)map_put(&rank->indices, id, (void *)((uintptr_t)index + 1));
    return index;
}

void rank_seed(struct rank *rank, uint32_t node) {
    CHECK(rank->phase == PHASE_BUILD && node < rank->node_count);
    if (rank->nodes[node].is_seed) {
        return;
    }
    if (rank->seed_count == rank->seed_cap) {
        rank->seed_cap = grown(rank->seed_cap);
        rank->seeds = mem_resize(rank->seeds, rank->seed_cap, sizeof *rank->seeds);
    }
    rank->nodes[node].is_seed = true;
    rank->seeds[rank->seed_count++] = (struct seed){rank->nodes[node].id, node};
}

/* Append what the row says, one edge for each subject that it names. */
static void append_row(struct rank *rank, struct node *row, const uint32_t *to,
                       const uint16_t *weights, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        CHECK(to[i] < rank->node_count);
        struct node *subject = &rank->nodes[to[i]];
        if (weights[i] == 0 || subject == row) {
            continue;
        }
        uint32_t weight = PERCENT * (uint32_t)weights[i];
        row->sum += weight;
        if (subject->named_at > row->first) {
            uint32_t *sum = &rank->edges[subject->named_at - 1].weight;
            *sum = weight < UINT32_MAX - *sum ? *sum + weight : UINT32_MAX;
            continue;
        }
        rank->edges[rank->edge_count++] = (struct edge){.to = to[i], .weight = weight};
        subject->named_at = rank->edge_count;
    }
    row->edges = (uint32_t)(rank->edge_count - row->first);
}

enum err rank_row(struct rank *rank, uint32_t from, const uint32_t *to, const uint16_t *weights,
                  uint32_t count) {
    CHECK(rank->phase == PHASE_BUILD && from < rank->node_count);
    if (count > rank->config.edges_max - rank->edge_count) {
        return ERR_LIMIT;
    }
    while (rank->edge_cap < rank->edge_count + count) {
        rank->edge_cap = grown(rank->edge_cap);
        rank->edges = mem_resize(rank->edges, rank->edge_cap, sizeof *rank->edges);
    }
    struct node *row = &rank->nodes[from];
    row->first = rank->edge_count;
    row->sum = 0;
    row->given = 0;
    append_row(rank, row, to, weights, count);
    uint64_t cap = row->sum / PERCENT * rank->config.row_cap_percent;
    for (uint64_t at = row->first; at < rank->edge_count; at++) {
        struct edge *edge = &rank->edges[at];
        edge->weight = edge->weight < cap ? edge->weight : (uint32_t)cap;
        row->given += edge->weight;
    }
    return OK;
}

/* ---- Calculating ---- */

static int compare_seeds(const void *a, const void *b) {
    const struct seed *x = a, *y = b;
    return memcmp(x->id.b, y->id.b, sizeof x->id.b);
}

/* Give `units` to the seeds in equal parts; what does not divide goes to the first by id. */
static void give_seeds(struct rank *rank, uint64_t *mass, uint64_t units) {
    uint64_t part = units / rank->seed_count;
    for (uint32_t i = 0; i < rank->seed_count; i++) {
        mass[rank->seeds[i].node] += part;
    }
    mass[rank->seeds[0].node] += units % rank->seed_count;
}

void rank_begin(struct rank *rank) {
    CHECK(rank->phase == PHASE_BUILD);
    rank->mass = mem_array(rank->node_count, sizeof *rank->mass);
    rank->next = mem_array(rank->node_count, sizeof *rank->next);
    rank->phase = rank->seed_count == 0 ? PHASE_DONE : PHASE_PUSH;
    if (rank->seed_count > 0) {
        qsort(rank->seeds, rank->seed_count, sizeof *rank->seeds, compare_seeds);
        give_seeds(rank, rank->mass, RANK_ONE);
    }
}

/* What of a node's mass one hundredth of a unit of its row passes on. */
static uint64_t flow_unit(const struct rank *rank, uint32_t node) {
    uint64_t sum = rank->nodes[node].sum;
    uint64_t flow = rank->mass[node] / MILLI * (MILLI - rank->config.teleport_milli);
    return sum == 0 ? 0 : flow / sum;
}

/* Pass on one node's mass: by its row, and the rest to the seeds. Return what it cost. */
static uint32_t push_node(struct rank *rank, uint32_t index) {
    const struct node *node = &rank->nodes[index];
    uint64_t unit = flow_unit(rank, index);
    rank->to_seeds += rank->mass[index] - unit * node->given;
    if (unit == 0) {
        return NODE_COST;
    }
    const struct edge *edge = rank->edges + node->first, *end = edge + node->edges;
    uint64_t *next = rank->next;
    for (; edge < end; edge++) {
        next[edge->to] += unit * edge->weight;
    }
    return NODE_COST + node->edges;
}

static uint32_t settle_node(struct rank *rank, uint32_t index) {
    uint64_t old = rank->mass[index], new = rank->next[index];
    rank->moved += new > old ? new - old : old - new;
    rank->mass[index] = new;
    rank->next[index] = 0;
    return 1;
}

static void end_phase(struct rank *rank) {
    rank->cursor = 0;
    if (rank->phase == PHASE_PUSH) {
        give_seeds(rank, rank->next, rank->to_seeds);
        rank->to_seeds = 0;
        rank->phase = PHASE_SETTLE;
        return;
    }
    rank->sweeps++;
    rank->phase =
        rank->moved < SETTLED || rank->sweeps >= rank->sweeps_max ? PHASE_DONE : PHASE_PUSH;
    rank->moved = 0;
}

bool rank_step(struct rank *rank, uint32_t budget) {
    CHECK(rank->phase != PHASE_BUILD);
    uint64_t cost = 0;
    while (rank->phase != PHASE_DONE && cost < budget) {
        if (rank->cursor == rank->node_count) {
            end_phase(rank);
        } else if (rank->phase == PHASE_PUSH) {
            cost += push_node(rank, rank->cursor++);
        } else {
            cost += settle_node(rank, rank->cursor++);
        }
    }
    return rank->phase == PHASE_DONE;
}

/* ---- Reading ---- */

uint64_t rank_mass(const struct rank *rank, uint32_t node) {
    CHECK(rank->phase == PHASE_DONE && node < rank->node_count);
    return rank->mass[node];
}

uint64_t rank_flow(const struct rank *rank, uint32_t from, uint32_t to) {
    CHECK(rank->phase == PHASE_DONE && from < rank->node_count);
    const struct node *node = &rank->nodes[from];
    uint64_t unit = flow_unit(rank, from), flow = 0;
    for (uint32_t i = 0; i < node->edges; i++) {
        const struct edge *edge = &rank->edges[node->first + i];
        flow += edge->to == to ? unit * edge->weight : 0;
    }
    return flow;
}

uint32_t rank_count(const struct rank *rank) {
    return rank->node_count;
}

uint32_t rank_sweeps(const struct rank *rank) {
    return rank->sweeps;
}
