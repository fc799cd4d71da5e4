/* admission.c - decides who may come in, and looks after those who do not stay. */
#include <string.h>

#include "common/mem.h"
#include "supernode/core.h"

#define RETRY_MIN_S 30 /* a refused node comes back no sooner, and not all of them at once */
#define RETRY_SPAN_S 60

/* ---- Certificates ---- */

enum err admission_certified(const struct supernode *supernode, const struct node_id *id,
                             struct slice cert) {
    uint32_t until;
    enum err err = trust_certified(&supernode->trust, id, cert, &until);
    struct buf known = {0};
    if (err != OK && trust_cert_of(&supernode->trust, id, &known)) {
        struct slice bytes = {known.data, known.len};
        err = trust_certified(&supernode->trust, id, bytes, &until) == OK ? OK : err;
    }
    buf_free(&known);
    bool may_come = err != ERR_NOT_FOUND || election_is_on(supernode); /* the checkpoint */
    return may_come ? err : ERR_AUTH;
}

/* ---- Who may come in ---- */

void admission_alternatives(struct supernode *supernode, const struct node_id *except,
                            struct goaway *goaway) {
    hostcache_sample(&supernode->hosts, &supernode->rng, GOAWAY_ALTERNATIVES, except,
                     &goaway->alternatives);
}

static enum err refuse_as_full(struct supernode *supernode, const struct link *link,
                               struct goaway *goaway) {
    goaway->reason = GOAWAY_FULL;
    goaway->retry_after_s = (uint16_t)(RETRY_MIN_S + rng_below(&supernode->rng, RETRY_SPAN_S));
    admission_alternatives(supernode, &link->id, goaway);
    return ERR_BUSY;
}

static enum err admit_leaf(struct supernode *supernode, const struct link *link,
                           const struct hello *hello, struct goaway *goaway) {
    (void)hello;
    const struct leaf *known = map_get(&supernode->leaves, link->id.b);
    uint64_t banned_us = known != NULL ? audit_banned_us(known) : 0;
    if (banned_us > 0) {
        goaway->reason = GOAWAY_POLICY;
        goaway->retry_after_s = (uint16_t)(banned_us / 1000000 + 1);
        return ERR_POLICY;
    }
    if (known != NULL && known->banned_until_us > supernode->links.mono_us) {
        uint64_t left_us = known->banned_until_us - supernode->links.mono_us;
        goaway->reason = GOAWAY_RATE;
        goaway->retry_after_s = (uint16_t)(left_us / 1000000 + 1);
        admission_alternatives(supernode, &link->id, goaway);
        return ERR_BUSY;
    }
    bool takes_no_more_room = known != NULL && known->link != NULL;
    if (supernode->leaf_links >= supernode->config.leaves_max && !takes_no_more_room) {
        return refuse_as_full(supernode, link, goaway);
    }
    return OK;
}

uint32_t admission_accepted(const struct supernode *supernode) {
    uint32_t accepted = 0;
    for (uint32_t i = 0; i < supernode->neighbour_count; i++) {
        const struct link *link = supernode->neighbours[i]->link;
        accepted += link->token == 0 && !link->closing;
    }
    return accepted;
}

static enum err admit_neighbour(struct supernode *supernode, const struct link *link,
                                const struct hello *hello, struct goaway *goaway) {
    if (node_id_equal(&link->id, &supernode->env->id)) {
        goaway->reason = GOAWAY_DUPLICATE; /* ourselves */
        return ERR_DUPLICATE;
    }
    enum err err = admission_certified(supernode, &link->id, hello->cert);
    if (err != OK && err != ERR_NOT_FOUND) { /* what is missing may come over this link */
        goaway->reason = GOAWAY_POLICY;
        return err;
    }
    bool is_full = admission_accepted(supernode) >= MESH_ACCEPT_MAX ||
                   (err == ERR_NOT_FOUND && mesh_unproven(supernode) >= MESH_UNPROVEN_MAX);
    return is_full ? refuse_as_full(supernode, link, goaway) : OK;
}

static enum err admit_visitor(struct supernode *supernode, const struct link *link,
                              const struct hello *hello, struct goaway *goaway) {
    (void)hello;
    return supernode->visitors >= VISITORS_MAX ? refuse_as_full(supernode, link, goaway) : OK;
}

/* By enum purpose; NULL = a supernode has nothing to offer. */
static enum err (*const admits[])(struct supernode *supernode, const struct link *link,
                                  const struct hello *hello, struct goaway *goaway) = {
    [PURPOSE_LEAF] = admit_leaf,
    [PURPOSE_MESH] = admit_neighbour,
    [PURPOSE_PROBE] = admit_visitor,
    [PURPOSE_DIRECTORY] = admit_visitor,
};

static void count_refused(struct supernode_counts *counts, uint8_t purpose) {
    counts->refused++;
    if (purpose == PURPOSE_LEAF) {
        counts->refused_leaves++;
    } else if (purpose == PURPOSE_MESH) {
        counts->refused_neighbours++;
    } else {
        counts->refused_visitors++;
    }
}

enum err admission_admit(void *role, struct link *link, const struct hello *hello,
                         struct goaway *goaway) {
    struct supernode *supernode = role;
    enum err err = ERR_POLICY;
    goaway->reason = GOAWAY_POLICY;
    if (supernode->is_stopping) {
        goaway->reason = GOAWAY_SHUTDOWN;
        err = ERR_SHUTDOWN;
    } else if (link->purpose < sizeof admits / sizeof admits[0] && admits[link->purpose] != NULL) {
        err = admits[link->purpose](supernode, link, hello, goaway);
    }
    if (err != OK) {
        count_refused(&supernode->counts, link->purpose);
        log_info(supernode->env->log, "supernode.refused purpose=%u error=%s", link->purpose,
                 err_name(err));
    }
    return err;
}

/* ---- Queries ---- */

void admission_too_much(struct supernode *supernode, struct link *link, uint16_t retry_s) {
    struct goaway goaway = {.reason = GOAWAY_RATE, .retry_after_s = retry_s};
    admission_alternatives(supernode, &link->id, &goaway);
    links_goaway(link, &goaway, ERR_LIMIT);
}

/* Take one query of a rate; if there is none left, *wait_ms until there is. */
static bool take_query(struct ratelimit *rate, uint64_t milli_per_s, uint64_t burst,
                       uint64_t now_us, uint32_t *wait_ms) {
    bool is_taken = ratelimit_take(rate, milli_per_s, burst, 1, now_us);
    if (!is_taken) {
        *wait_ms = (uint32_t)(ratelimit_wait(rate, milli_per_s, burst, 1, now_us) / 1000) + 1;
    }
    return is_taken;
}

static bool leaf_may_ask(struct supernode *supernode, struct link *link, uint32_t *wait_ms) {
    uint64_t now_us = supernode->links.mono_us;
    uint64_t milli_per_s = supernode->config.leaf_queries_milli_per_s;
    struct leaf *leaf = link->owner;
    meter_count(&supernode->leaf_queries, now_us);
    if (take_query(&leaf->port.queries, milli_per_s, supernode->config.leaf_queries_burst, now_us,
                   wait_ms)) {
        return true;
    }
    supernode->counts.limited_leaves++;
    uint64_t excess_milli_per_s = milli_per_s * LEAF_QUERIES_EXCESS;
    uint64_t burst = excess_milli_per_s * LEAF_QUERIES_EXCESS_S / 1000 + 1;
    if (!ratelimit_take(&leaf->port.excess, excess_milli_per_s, burst, 1, now_us) &&
        !link->closing) {
        log_info(supernode->env->log, "leaf.banned link=%u", link->number);
        supernode->counts.banned++;
        leaf->banned_until_us = now_us + LEAF_BANNED_S * 1000000ull;
        admission_too_much(supernode, link, LEAF_BANNED_S);
    }
    return false;
}

/* The one of the rates that would be full again soonest goes: it loses least. */
static void forget_rate(struct supernode *supernode, uint64_t per_s, uint64_t burst) {
    struct map *rates = &supernode->mesh_rates;
    uint64_t least_us = UINT64_MAX;
    const void *least = NULL;
    uint32_t cursor = 0;
    const void *key;
    for (struct ratelimit *rate; (rate = map_next(rates, &cursor, &key)) != NULL;) {
        uint64_t wait_us =
            ratelimit_wait(rate, per_s * 1000, burst, burst, supernode->links.mono_us);
        if (least == NULL || wait_us < least_us) {
            least_us = wait_us;
            least = key;
        }
    }
    mem_free(map_remove(rates, least));
}

/* Kept by id and not with the link, so that a new link is no new burst. */
static bool neighbour_may_ask(struct supernode *supernode, const struct node_id *id,
                              uint32_t *wait_ms) {
    uint64_t per_s = supernode->config.mesh_queries_per_s;
    uint64_t burst = per_s * MESH_QUERIES_BURST / MESH_QUERIES_PER_S;
    struct map *rates = &supernode->mesh_rates;
    struct ratelimit *rate = map_get(rates, id->b);
    if (rate == NULL) {
        if (rates->count >= MESH_RATES_MAX) {
            forget_rate(supernode, per_s, burst);
        }
        rate = mem_new(sizeof *rate);
        map_put(rates, id->b, rate);
    }
    return take_query(rate, per_s * 1000, burst, supernode->links.mono_us, wait_ms);
}

void admission_init(struct supernode *supernode) {
    map_init(&supernode->mesh_rates, sizeof(struct node_id), supernode->env->seed ^ 0x6d6573685f72);
}

void admission_free(struct supernode *supernode) {
    uint32_t cursor = 0;
    for (struct ratelimit *rate;
         (rate = map_next(&supernode->mesh_rates, &cursor, NULL)) != NULL;) {
        mem_free(rate);
    }
    map_free(&supernode->mesh_rates);
}

bool admission_query(struct supernode *supernode, struct link *link, uint32_t *wait_ms) {
    if (link->purpose == PURPOSE_LEAF) {
        return leaf_may_ask(supernode, link, wait_ms);
    }
    meter_count(&supernode->mesh_queries, supernode->links.mono_us);
    return neighbour_may_ask(supernode, &link->id, wait_ms);
}

/* ---- Visitors ---- */

void visitor_opened(struct supernode *supernode, struct link *link) {
    struct visitor *visitor = mem_new(sizeof *visitor);
    visitor->timer.kind = TIMER_VISITOR;
    visitor->timer.owner = link;
    timers_set(&supernode->timers, &visitor->timer, supernode_after_ms(supernode, VISITOR_MS));
    link->owner = visitor;
    supernode->visitors++;
}

void visitor_closed(struct supernode *supernode, struct link *link) {
    struct visitor *visitor = link->owner;
    timers_cancel(&supernode->timers, &visitor->timer);
    supernode->visitors--;
    mem_free(visitor);
}
