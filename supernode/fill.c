/* fill.c - a supernode that has more leaves than others sends some of them to one that has few.
 *
 *     every FILL_MS: leaves here and there, as summaries tell --> the mean
 *     a neighbour below half of it is being filled, until it has three quarters
 *     who has more than the mean --GOAWAY full, with its record--> a few leaves, which go there
 *
 * What all send together in one turn is a part of what is lacking, so that nothing swings. A leaf
 * has its other parent meanwhile, and its list is shown here for FILL_KEEP_MS after its link: two
 * parents which send the same leaf on at once do not hide it. Who claims to be empty wins nothing
 * by it: where no leaf arrives none is sent any more, and nobody goes below the mean. */
#include "common/mem.h"
#include "supernode/core.h"

/* What this one knows of the layer. */
struct layer {
    uint32_t own;        /* lists shown here */
    uint32_t supernodes; /* this one, and neighbours who told */
    uint32_t mean;       /* lists shown by each, rounded up */
    uint32_t givers;     /* supernodes with more than the mean */
};

static bool counts(const struct neighbour *neighbour) {
    return neighbour->is_open && !neighbour->is_leaving && !neighbour->is_unproven &&
           !neighbour->link->closing && neighbour->told.whole != NULL;
}

static struct layer look(const struct supernode *supernode) {
    struct layer layer = {.own = index_count(supernode->index).leaves, .supernodes = 1};
    uint64_t sum = layer.own;
    for (uint32_t i = 0; i < supernode->neighbour_count; i++) {
        const struct neighbour *neighbour = supernode->neighbours[i];
        if (counts(neighbour)) {
            sum += neighbour->told.leaves;
            layer.supernodes++;
        }
    }
    layer.mean = (uint32_t)((sum + layer.supernodes - 1) / layer.supernodes);
    layer.givers = layer.own > layer.mean;
    for (uint32_t i = 0; i < supernode->neighbour_count; i++) {
        const struct neighbour *neighbour = supernode->neighbours[i];
        layer.givers += counts(neighbour) && neighbour->told.leaves > layer.mean;
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
        uint64_t leaves = neighbour->told.leaves;
        bool is_empty = leaves * 2 < layer->mean && leaves + FILL_LEAVES_MIN <= layer->mean;
        bool is_full = leaves * 4 >= layer->mean * 3ull;
        neighbour->is_filled = counts(neighbour) && !is_full && (neighbour->is_filled || is_empty);
        bool is_emptiest = emptiest == NULL || leaves < emptiest->told.leaves;
        if (neighbour->is_filled && neighbour->vain_fills < FILL_VAIN_MAX && is_emptiest &&
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
    uint32_t lacking = layer->mean - neighbour->told.leaves;
    uint32_t part = lacking / (FILL_PART * layer->givers) + 1;
    uint32_t share = layer->own / FILL_SHARE + 1;
    part = part < layer->own - layer->mean ? part : layer->own - layer->mean;
    part = part < share ? part : share;
    uint32_t count = draw_leaves(supernode, part < FILL_LEAVES_MAX ? part : FILL_LEAVES_MAX, drawn);
    if (count == 0) {
        return;
    }
    bool has_grown = neighbour->told.leaves > neighbour->fill_leaves;
    neighbour->vain_fills = has_grown ? 0 : (uint8_t)(neighbour->vain_fills + 1);
    neighbour->fill_leaves = neighbour->told.leaves;
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
    struct layer layer = look(supernode);
    struct neighbour *neighbour = choose(supernode, &layer);
    if (neighbour != NULL && layer.own > layer.mean) {
        fill(supernode, &layer, neighbour);
    }
    fill_look_on(supernode);
}
