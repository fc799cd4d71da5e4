/* checks.c - follows every message of the overlay and holds the nodes to the rules of the wire.
 *
 * A copy of a query is known by (link, who sent it, query id, TTL). It is answered by END, or by
 * HITS with the LAST flag, with its id and TTL, exactly once. HITS without the flag may come before
 * that, and none after. */
#include "tests/sim/checks.h"

#include <string.h>

#include "common/map.h"
#include "common/mem.h"
#include "common/wire.h"

#define COPY_KEY_BYTES 25 /* link u32, sender u32, id 16, ttl u8 */

struct copy {
    uint32_t link; /* first, see forget_link */
    uint32_t asker;
    uint32_t answerer;
    uint32_t answered;
    uint32_t messages; /* HITS and END: each passed back brings something, each of ours a record */
    uint64_t asked_us;
};

/* Blocks asked for and settled in one direction of a link. */
struct flow {
    uint32_t link; /* first, see forget_link */
    uint64_t asked;
    uint64_t settled;
};

struct checks {
    struct sim *sim;
    uint32_t supernodes;
    uint32_t first_liar;
    struct map copies;
    struct map flows;
    bool is_strict;
    struct checks_counts counts;
};

struct checks *checks_new(struct sim *sim, uint32_t supernodes) {
    struct checks *checks = mem_new(sizeof *checks);
    checks->sim = sim;
    checks->supernodes = supernodes;
    checks->first_liar = UINT32_MAX;
    map_init(&checks->copies, COPY_KEY_BYTES, 1);
    map_init(&checks->flows, 2 * sizeof(uint32_t), 2);
    return checks;
}

static void free_values(struct map *map) {
    uint32_t cursor = 0;
    for (void *value; (value = map_next(map, &cursor, NULL)) != NULL;) {
        mem_free(value);
    }
    map_free(map);
}

void checks_free(struct checks *checks) {
    free_values(&checks->copies);
    free_values(&checks->flows);
    mem_free(checks);
}

/* ---- Queries ---- */

static void copy_key(uint8_t key[COPY_KEY_BYTES], const struct sim_message *message, uint32_t asker,
                     const struct query_id *id, uint8_t ttl) {
    memcpy(key, &message->link, 4);
    memcpy(key + 4, &asker, 4);
    memcpy(key + 8, id->b, sizeof id->b);
    key[24] = ttl;
}

static enum err see_query(struct checks *checks, const struct sim_message *message) {
    struct query_header query;
    enum err err = wire_query_decode(message->payload, &query);
    if (err != OK) {
        return err;
    }
    checks->counts.queries++;
    if (query.ttl > TTL_POLICY || query.hops > TTL_POLICY) {
        sim_fail(checks->sim, "machine %u sends a query with ttl %u after %u hops", message->from,
                 query.ttl, query.hops);
    }
    struct query_id id;
    wire_query_id(query.body, sim_crypto(checks->sim), &id);
    uint8_t key[COPY_KEY_BYTES];
    copy_key(key, message, message->from, &id, query.ttl);
    uint64_t now_us = sim_now_us(checks->sim);
    struct copy *copy = map_get(&checks->copies, key);
    if (copy != NULL && now_us - copy->asked_us < QUERY_ID_KEEP_MS * 1000ull) {
        sim_fail(checks->sim, "machine %u sends machine %u the same query twice with ttl %u",
                 message->from, message->to, query.ttl);
        return OK;
    }
    if (copy == NULL) {
        copy = mem_new(sizeof *copy);
        map_put(&checks->copies, key, copy);
    }
    *copy = (struct copy){0}; /* one from long ago is forgotten by all */
    copy->link = message->link;
    copy->asker = message->from;
    copy->answerer = message->to;
    copy->asked_us = now_us;
    return OK;
}

static void see_answer(struct checks *checks, const struct sim_message *message,
                       const struct hits *hits) {
    uint8_t key[COPY_KEY_BYTES];
    copy_key(key, message, message->to, &hits->id, hits->ttl);
    struct copy *copy = map_get(&checks->copies, key);
    if (copy == NULL) {
        sim_fail(checks->sim, "machine %u answers machine %u, which did not ask on this link",
                 message->from, message->to);
        return;
    }
    if (copy->answered > 0) {
        sim_fail(checks->sim, "machine %u answers a copy of a query twice", message->from);
    }
    copy->answered += hits->last ? 1 : 0;
    copy->messages++;
    checks->counts.answers += hits->last ? 1 : 0;
    checks->counts.hits += hits->hit_count;
    if (checks->is_strict && hits->last && hits->coverage.supernodes > checks->supernodes) {
        sim_fail(checks->sim, "machine %u counts %u supernodes, there are %u", message->from,
                 hits->coverage.supernodes, checks->supernodes);
    }
    if (copy->messages > QUERY_ROUTED_MAX + QUERY_RESULTS_MAX) {
        sim_fail(checks->sim, "machine %u sends %u messages for one query", message->from,
                 copy->messages);
    }
}

static enum err see_hits(struct checks *checks, const struct sim_message *message) {
    struct hits hits;
    enum err err = wire_hits_decode(message->payload, &hits);
    if (err == OK) {
        see_answer(checks, message, &hits);
    }
    return err;
}

static enum err see_end(struct checks *checks, const struct sim_message *message) {
    struct query_end end;
    enum err err = wire_end_decode(message->payload, &end);
    if (err == OK) {
        struct hits as_hits = {
            .id = end.id, .ttl = end.ttl, .last = true, .coverage = end.coverage};
        see_answer(checks, message, &as_hits);
    }
    return err;
}

/* ---- Transfer ---- */

static struct flow *flow_of(struct checks *checks, uint32_t link, uint32_t asker) {
    const uint32_t key[2] = {link, asker};
    struct flow *flow = map_get(&checks->flows, key);
    if (flow == NULL) {
        flow = mem_new(sizeof *flow);
        flow->link = link;
        map_put(&checks->flows, key, flow);
    }
    return flow;
}

static enum err see_block_request(struct checks *checks, const struct sim_message *message) {
    struct block_request request;
    enum err err = wire_block_request_decode(message->payload, &request);
    if (err == OK) {
        flow_of(checks, message->link, message->from)->asked += request.count;
        checks->counts.audits += message->from < checks->supernodes;
    }
    return err;
}

static enum err see_block(struct checks *checks, const struct sim_message *message) {
    struct block block;
    enum err err = wire_block_decode(message->payload, &block);
    if (err != OK) {
        return err;
    }
    checks->counts.blocks++;
    struct flow *flow = flow_of(checks, message->link, message->to);
    flow->settled++;
    if (flow->settled > flow->asked) {
        sim_fail(checks->sim, "machine %u sends blocks that machine %u did not ask for",
                 message->from, message->to);
    }
    return OK;
}

/* ---- Registration ---- */

static enum err see_reg_status(struct checks *checks, const struct sim_message *message) {
    struct reg_status status;
    enum err err = wire_reg_status_decode(message->payload, &status);
    if (err == OK && status.verdict == REG_LOST) {
        bool is_liar = message->to >= checks->first_liar;
        *(is_liar ? &checks->counts.lies_found : &checks->counts.losses) += 1;
    }
    return err;
}

static enum err see_goaway(struct checks *checks, const struct sim_message *message) {
    struct goaway goaway;
    enum err err = wire_goaway_decode(message->payload, &goaway);
    bool is_to_a_leaf = message->from < checks->supernodes && message->to >= checks->supernodes;
    if (err == OK && goaway.reason == GOAWAY_POLICY && is_to_a_leaf) {
        checks->counts.liars_found++;
        if (message->to < checks->first_liar) {
            sim_fail(checks->sim, "machine %u sends machine %u off, which is honest", message->from,
                     message->to);
        }
    }
    return err;
}

/* ---- The rest: it must decode ---- */

#define SEE_DECODED(name, type, decode)                                                            \
    static enum err name(struct checks *checks, const struct sim_message *message) {               \
        type decoded;                                                                              \
        (void)checks;                                                                              \
        return decode(message->payload, &decoded);                                                 \
    }
SEE_DECODED(see_hello, struct hello, wire_hello_decode)
SEE_DECODED(see_ping, struct ping, wire_ping_decode)
SEE_DECODED(see_nodes_request, struct nodes_request, wire_nodes_request_decode)
SEE_DECODED(see_nodes, struct nodes, wire_nodes_decode)
SEE_DECODED(see_reg_state, struct reg_state, wire_reg_state_decode)
SEE_DECODED(see_reg_remove, struct reg_remove, wire_reg_remove_decode)
SEE_DECODED(see_snapshot, struct snapshot, wire_snapshot_decode)
SEE_DECODED(see_reg_add, struct reg_add, wire_reg_add_decode)
SEE_DECODED(see_load, struct load, wire_load_decode)
SEE_DECODED(see_dialback, struct dialback, wire_dialback_decode)
SEE_DECODED(see_dialback_done, struct dialback_done, wire_dialback_done_decode)
SEE_DECODED(see_open, struct open_file, wire_open_decode)
SEE_DECODED(see_have, struct have, wire_have_decode)
SEE_DECODED(see_hashes_request, struct hashes_request, wire_hashes_request_decode)
SEE_DECODED(see_hashes, struct hashes, wire_hashes_decode)
SEE_DECODED(see_reject, struct reject, wire_reject_decode)
SEE_DECODED(see_place, struct queue_place, wire_place_decode)
SEE_DECODED(see_shut, struct shut_file, wire_shut_decode)
SEE_DECODED(see_summary, struct summary_part, wire_summary_decode)

static enum err see_push(struct checks *checks, const struct sim_message *message) {
    struct push push;
    checks->counts.pushes++;
    return wire_push_decode(message->payload, &push);
}

enum who { ANYBODY, SUPERNODES };

/* Who may send a message, and what is looked at. */
static const struct rule {
    uint8_t type;
    uint8_t from; /* enum who */
    enum err (*see)(struct checks *checks, const struct sim_message *message);
} rules[] = {
    {MSG_HELLO, ANYBODY, see_hello},
    {MSG_WELCOME, ANYBODY, see_hello},
    {MSG_GOAWAY, ANYBODY, see_goaway},
    {MSG_PING, ANYBODY, see_ping},
    {MSG_PONG, ANYBODY, see_ping},
    {MSG_NODES_REQUEST, ANYBODY, see_nodes_request},
    {MSG_NODES, SUPERNODES, see_nodes},
    {MSG_REG_BEGIN, ANYBODY, see_reg_state},
    {MSG_REG_REMOVE, ANYBODY, see_reg_remove},
    {MSG_REG_ADD, ANYBODY, see_reg_add},
    {MSG_REG_COMMIT, ANYBODY, see_reg_state},
    {MSG_REG_STATUS, SUPERNODES, see_reg_status},
    {MSG_LOAD, ANYBODY, see_load},
    {MSG_DIALBACK, SUPERNODES, see_dialback},
    {MSG_DIALBACK_DONE, SUPERNODES, see_dialback_done},
    {MSG_QUERY, ANYBODY, see_query},
    {MSG_LOCATE, ANYBODY, see_query},
    {MSG_HITS, SUPERNODES, see_hits},
    {MSG_END, SUPERNODES, see_end},
    {MSG_OPEN, ANYBODY, see_open},
    {MSG_HAVE, ANYBODY, see_have},
    {MSG_BLOCK_REQUEST, ANYBODY, see_block_request},
    {MSG_BLOCK, ANYBODY, see_block},
    {MSG_HASHES_REQUEST, ANYBODY, see_hashes_request},
    {MSG_HASHES, ANYBODY, see_hashes},
    {MSG_REJECT, ANYBODY, see_reject},
    {MSG_SHUT, ANYBODY, see_shut},
    {MSG_PLACE, ANYBODY, see_place},
    {MSG_PUSH, ANYBODY, see_push},
    {MSG_SUMMARY, SUPERNODES, see_summary},
    {MSG_SNAPSHOT, SUPERNODES, see_snapshot},
};

void checks_message(struct checks *checks, const struct sim_message *message) {
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const struct rule *rule = &rules[i];
        if (rule->type != message->type) {
            continue;
        }
        if (rule->from == SUPERNODES && message->from >= checks->supernodes) {
            sim_fail(checks->sim, "machine %u is no supernode and sends message type %u",
                     message->from, message->type);
        }
        enum err err = rule->see(checks, message);
        if (err != OK) {
            sim_fail(checks->sim, "machine %u sends message type %u that does not decode: %s",
                     message->from, message->type, err_text(err));
        }
        return;
    }
    sim_fail(checks->sim, "machine %u sends message type %u, which nobody speaks", message->from,
             message->type);
}

/* Forget the values of a map whose first member, a link number, is this one. */
static void forget_link(struct map *map, uint32_t link) {
    uint32_t cursor = 0;
    const void *key = NULL;
    for (void *value; (value = map_next(map, &cursor, &key)) != NULL;) {
        if (*(const uint32_t *)value == link) {
            uint8_t own_key[COPY_KEY_BYTES];
            memcpy(own_key, key, map->key_bytes);
            map_remove(map, own_key);
            mem_free(value);
        }
    }
}

void checks_link_gone(struct checks *checks, uint32_t link) {
    forget_link(&checks->copies, link);
    forget_link(&checks->flows, link);
}

void checks_liars(struct checks *checks, uint32_t first) {
    checks->first_liar = first;
}

void checks_strict(struct checks *checks) {
    checks->is_strict = true;
}

void checks_quiet(struct checks *checks) {
    uint32_t cursor = 0;
    for (struct copy *copy; (copy = map_next(&checks->copies, &cursor, NULL)) != NULL;) {
        bool both_live =
            sim_is_up(checks->sim, copy->asker) && sim_is_up(checks->sim, copy->answerer);
        if (both_live && copy->answered == 0) {
            sim_fail(checks->sim,
                     "machine %u never answered machine %u, which asked on link %u at %llu s",
                     copy->answerer, copy->asker, copy->link,
                     (unsigned long long)(copy->asked_us / 1000000));
        }
    }
}

struct checks_counts checks_counts(const struct checks *checks) {
    return checks->counts;
}
