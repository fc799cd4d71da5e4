/* fill.c - a supernode that has more leaves than others sends some of them to one that has few.
 *
 *     every FILL_MS: leaves here and there, as summaries tell --> the mean
 *     a neighbour below half of it is being filled, until it has three quarters
 *     who has more than the mean --GOAWAY full, with its record--> a few leaves, which go there
 *
 * What all send together in one turn is a part of what is lacking, so that nothing swings. A leaf
 * has its other parent meanwhile, and its list is shown here for FILL_KEEP_MS after its link: two
 * parents which send the same leaf on at once do not hide it. Who claims to be empty wins little by
 * it: where no leaf arrives none is sent any more, and whatever it claims, a part of those that
 * were sent there are taken to be there, or it could draw all leaves of all. Who claims to be full
 * wins nothing, and keeps nobody else from being filled. */
#include <stdlib.h>

#include "common/mem.h"
#include "supernode/core.h"

/* What this one knows of the layer. */
struct layer {
    uint32_t own;        /* lists shown here */
    uint32_t supernodes; /* this one, and neighbours who told */
    uint32_t mean;       /* lists shown by each, as far as believed, rounded up */
    uint32_t givers;     /* supernodes with more than the mean */
};

/* Whom leaves were sent to, by its id: a new link is no new beginning. */
struct sent_on {
    struct node_id id;
    uint64_t since_us; /* half of it is forgotten after FILL_FORGET_MS */
    uint32_t leaves;   /* by all givers, as reckoned here */
    uint32_t claimed;  /* how many it had when it was last sent some */
    uint8_t vain;      /* times in a row after which it had not more */
};

void fill_init(struct supernode *supernode) {
    supernode->fill_timer.kind = TIMER_FILL;
    map_init(&supernode->sent_on, sizeof(struct node_id), supernode->env->seed ^ 0x66696c6c);
}

void fill_free(struct supernode *supernode) {
    uint32_t cursor = 0;
    for (struct sent_on *sent; (sent = map_next(&supernode->sent_on, &cursor, NULL)) != NULL;) {
        mem_free(sent);
    }
    map_free(&supernode->sent_on);
}

/* Leaves leave again, and one that nobody reached may be reached now. */
static void forget_some(struct supernode *supernode) {
    uint32_t cursor = 0;
    for (struct sent_on *sent; (sent = map_next(&supernode->sent_on, &cursor, NULL)) != NULL;) {
        if (supernode->links.mono_us - sent->since_us < FILL_FORGET_MS * 1000ull) {
            continue;
        }
        sent->since_us = supernode->links.mono_us;
        sent->leaves /= 2;
        sent->vain = 0;
        if (sent->leaves == 0) {
            map_remove(&supernode->sent_on, sent->id.b);
            mem_free(sent);
        }
    }
}

static struct sent_on *sent_to(const struct supernode *supernode,
                               const struct neighbour *neighbour) {
    return map_get(&supernode->sent_on, neighbour->link->id.b);
}

/* How many leaves a neighbour has: what it tells, but not less than it must have. */
static uint32_t leaves_of(const struct supernode *supernode, const struct neighbour *neighbour) {
    const struct sent_on *sent = sent_to(supernode, neighbour);
    uint32_t arrived = sent != NULL ? sent->leaves / FILL_ARRIVE_PART : 0;
    return neighbour->told.leaves > arrived ? neighbour->told.leaves : arrived;
}

static bool may_send_to(const struct supernode *supernode, const struct neighbour *neighbour) {
    const struct sent_on *sent = sent_to(supernode, neighbour);
    return sent != NULL ? sent->vain < FILL_VAIN_MAX : supernode->sent_on.count < FILL_SENT_MAX;
}

static void note_sent(struct supernode *supernode, const struct neighbour *neighbour,
                      uint32_t leaves) {
    struct sent_on *sent = sent_to(supernode, neighbour);
    if (sent == NULL) {
        sent = mem_new(sizeof *sent);
        sent->id = neighbour->link->id;
        sent->since_us = supernode->links.mono_us;
        map_put(&supernode->sent_on, sent->id.b, sent);
    }
    bool has_grown = neighbour->told.leaves > sent->claimed;
    sent->vain = has_grown ? 0 : (uint8_t)(sent->vain + 1);
    sent->claimed = neighbour->told.leaves;
    sent->leaves += leaves;
}

static bool counts(const struct neighbour *neighbour) {
    return neighbour->is_open && !neighbour->is_leaving && !neighbour->is_unproven &&
           !neighbour->link->closing && neighbour->told.whole != NULL;
}

static int compare_numbers(const void *a, const void *b) {
    const uint32_t *first = a, *second = b;
    return (*first > *second) - (*first < *second);
}

/* The sum of what each has, of which some is claimed: for the mean nobody has more than half of
 * them have, or this one, or a single liar could keep it beyond what anybody has to give. */
static uint64_t believe(uint32_t *leaves, uint32_t count, uint32_t own) {
    uint64_t sum = 0;
    qsort(leaves, count, sizeof *leaves, compare_numbers);
    uint32_t middle = leaves[(count - 1) / 2];
    uint32_t most = own > middle ? own : middle;
    for (uint32_t i = 0; i < count; i++) {
        sum += leaves[i] < most ? leaves[i] : most;
    }
    return sum;
}

static struct layer look(const struct supernode *supernode) {
    struct layer layer = {.own = index_count(supernode->index).leaves, .supernodes = 1};
    uint32_t *leaves = mem_array(supernode->neighbour_count + 1, sizeof *leaves);
    leaves[0] = layer.own;
    for (uint32_t i = 0; i < supernode->neighbour_count; i++) {
        const struct neighbour *neighbour = supernode->neighbours[i];
        if (counts(neighbour)) {
            leaves[layer.supernodes++] = leaves_of(supernode, neighbour);
        }
    }
    uint64_t sum = believe(leaves, layer.supernodes, layer.own);
    mem_free(leaves);
    layer.mean = (uint32_t)((sum + layer.supernodes - 1) / layer.supernodes);
    layer.givers = layer.own > layer.mean;
    for (uint32_t i = 0; i < supernode->neighbour_count; i++) {
        const struct neighbour *neighbour = supernode->neighbours[i];
        layer.givers += counts(neighbour) && leaves_of(supernode, neighbour) > layer.mean;
    }
    return layer;
}

/* Its signed record, which leaves go by; empty when it has none that may be passed on. */
static struct slice record_of(const struct supernode *supernode,
                              const struct neighbour *neighbour) {
    const struct host *host = hostcache_find(&supernode->hosts, &neighbour->link->id);
    return host != NULL && host->succeeded_s != 0 ? hostcache_record(&supernode->hosts, host)
                                                  : (struct slice){0};
}

/* The emptiest of those that are being filled, or NULL. */
static struct neighbour *choose(const struct supernode *supernode, const struct layer *layer) {
    struct neighbour *emptiest = NULL;
    for (uint32_t i = 0; i < supernode->neighbour_count; i++) {
        struct neighbour *neighbour = supernode->neighbours[i];
        uint64_t leaves = leaves_of(supernode, neighbour);
        bool is_empty = leaves * 2 < layer->mean && leaves + FILL_LEAVES_MIN <= layer->mean;
        bool is_full = leaves * 4 >= layer->mean * 3ull;
        neighbour->is_filled = counts(neighbour) && !is_full && (neighbour->is_filled || is_empty);
        bool is_emptiest = emptiest == NULL || leaves < leaves_of(supernode, emptiest);
        if (neighbour->is_filled && may_send_to(supernode, neighbour) && is_emptiest &&
            record_of(supernode, neighbour).len > 0) {
            emptiest = neighbour;
        }
    }
    return emptiest;
}

/* One whose list is here for certain, and who need not begin again with a list half sent. */
static bool may_go(const struct leaf *leaf) {
    return leaf->link != NULL && leaf->link->open && !leaf->link->closing && leaf->list != NULL &&
           leaf->coming == NULL && leaf->vouched_us == 0;
}

/* Draw up to `wanted` leaves; return how many there are. */
static uint32_t draw_leaves(struct supernode *supernode, uint32_t wanted,
                            struct leaf *drawn[FILL_LEAVES_MAX]) {
    uint32_t seen = 0;
    uint32_t cursor = 0;
    for (struct leaf *leaf; (leaf = map_next(&supernode->leaves, &cursor, NULL)) != NULL;) {
        if (!may_go(leaf)) {
            continue;
        }
        uint64_t place = seen < wanted ? seen : rng_below(&supernode->rng, seen + 1);
        seen++;
        if (place < wanted) {
            drawn[place] = leaf;
        }
    }
    return seen < wanted ? seen : wanted;
}

static void send_on(struct supernode *supernode, struct leaf *leaf, struct slice record) {
    struct goaway goaway = {.reason = GOAWAY_FULL, .retry_after_s = FILL_RETRY_S};
    goaway.alternatives.records[goaway.alternatives.count++] = record;
    leaf->is_sent_on = true;
    supernode->counts.sent_on++;
    links_goaway(leaf->link, &goaway, ERR_BUSY);
}

/* Send this one's part of what is lacking there, and keep what it has a right to. */
static void fill(struct supernode *supernode, const struct layer *layer,
                 struct neighbour *neighbour) {
    struct leaf *drawn[FILL_LEAVES_MAX];
    uint32_t lacking = layer->mean - leaves_of(supernode, neighbour);
    uint32_t part = lacking / (FILL_PART * layer->givers) + 1;
    uint32_t share = layer->own / FILL_SHARE + 1;
    part = part < layer->own - layer->mean ? part : layer->own - layer->mean;
    part = part < share ? part : share;
    uint32_t count = draw_leaves(supernode, part < FILL_LEAVES_MAX ? part : FILL_LEAVES_MAX, drawn);
    if (count == 0) {
        return;
    }
    note_sent(supernode, neighbour, count * layer->givers);
    for (uint32_t i = 0; i < count; i++) {
        send_on(supernode, drawn[i], record_of(supernode, neighbour));
    }
    log_info(supernode->env->log, "fill.sent link=%u leaves=%u own=%u there=%u mean=%u",
             neighbour->link->number, count, layer->own, neighbour->told.leaves, layer->mean);
}

/* Between 3/4 and 5/4 of the time, so that supernodes do not fall into step. */
void fill_look_on(struct supernode *supernode) {
    uint64_t wait_ms = FILL_MS * 3 / 4 + rng_below(&supernode->rng, FILL_MS / 2 + 1);
    if (!timer_is_set(&supernode->fill_timer)) {
        timers_set(&supernode->timers, &supernode->fill_timer,
                   supernode_after_ms(supernode, wait_ms));
    }
}

void fill_timer(struct supernode *supernode) {
    if (supernode->is_stopping || supernode->neighbour_count == 0) {
        return;
    }
    summaries_recount(supernode);
    forget_some(supernode);
    struct layer layer = look(supernode);
    struct neighbour *neighbour = choose(supernode, &layer);
    if (neighbour != NULL && layer.own > layer.mean) {
        fill(supernode, &layer, neighbour);
    }
    fill_look_on(supernode);
}
