/* flood.c - relays queries onward, routes their hits back, and answers every copy exactly once.
 *
 * A *copy* is one QUERY or LOCATE on one link. On one link the ttl of an id's copies is strictly
 * rising, so (id, link, ttl) names a copy, and HITS and END repeat its ttl. A *wave* is what one
 * copy with a larger ttl than any before sets off: copies with ttl - 1 to all neighbours who had
 * less. Since the ttl of waves rises strictly too, the answer to a copy sent with ttl t belongs to
 * the wave that a copy with ttl t + 1 set off:
 *
 *     parent --ttl 3--> us: wave[3] --ttl 2--> child
 *     parent <--ttl 3-- us          <--ttl 2-- child
 *
 * Rules: an id is answered from the index once, for its first copy; a copy whose ttl does not rise
 * is the former one again, and has no answer of its own; a copy that sets off no wave is answered
 * at once; a wave is answered when its last child has answered, at its deadline (150
 * ms earlier per hop, so that parents outwait children), or never when its parent is gone.
 *
 * A leaf's copy climbs a ladder instead: its wave goes through ttl 1, 2, 3 up to the leaf's, one
 * after the other, each step when the one before is over, and only while ladder.c finds it worth
 * while. wave[t] of every step taken is this one wave, so late answers still find their leaf.
 *
 * Copies whose receiver would not relay (ttl 0) go only to neighbours whose summary may match. That
 * needs words: a LOCATE goes to all. An exact lookup by content id with the one or two owners that
 * rendezvous hashing over the membership gives a root would be asked here, before the first step
 * of a LOCATE's ladder; standing queries would hang on the listener that summaries.c has in the
 * index, since both are about what comes in later. */
#include "supernode/flood.h"

#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "common/query.h"
#include "supernode/conduct.h"
#include "supernode/core.h"
#include "supernode/ladder.h"
#include "supernode/routed.h"

#define EXPIRE_SLICE 256 /* ids forgotten per step */

/* What one link has had of a query. */
struct tried {
    uint32_t link;
    int8_t seen;      /* largest ttl received, -1 = none */
    int8_t sent;      /* largest ttl sent, -1 = none */
    uint16_t awaited; /* bit t: it owes the answer to the copy with ttl t */
};

struct query {
    struct query_id id;
    struct query *next; /* the next to arrive */
    uint64_t born_us;
    uint8_t type;         /* MSG_QUERY or MSG_LOCATE */
    int8_t relayed;       /* largest ttl of a copy that was let further on */
    uint8_t open;         /* waves */
    bool truncated;       /* hits were left out */
    struct routed routed; /* back so far, ours included */
    uint16_t tried_count;
    uint16_t tried_cap;
    struct tried *tried;
    struct wave *waves[TTL_POLICY + 1]; /* by the ttl of the copy, or the step, that set them off */
};

struct wave {
    struct timer timer;
    struct wave *next;
    struct wave **at; /* what points here */
    struct query *query;
    uint32_t parent;       /* link of the copy that is to be answered */
    uint8_t echo;          /* its ttl as received */
    uint8_t ttl;           /* its ttl as we count, or the present step: index in query->waves */
    uint16_t children;     /* that owe an answer to this step */
    struct ladder *ladder; /* of a leaf's copy, else NULL */
    struct coverage coverage;
};

/* A copy as it came in. */
struct copy {
    struct link *link;
    uint8_t type;
    struct query_header header;
    struct query_id id;
    uint8_t hops;         /* made, never less than we know */
    uint8_t ttl;          /* hops it may still make by our rules */
    uint32_t deadline_ms; /* for our answer */
};

/* ---- Queries we know ---- */

void flood_init(struct supernode *supernode) {
    struct flood *flood = &supernode->flood;
    map_init(&flood->queries, sizeof(struct query_id), supernode->env->seed ^ 0x7175657269657321);
    flood->newest_next = &flood->oldest;
    flood->timer.kind = TIMER_QUERIES;
}

static struct query *new_query(struct supernode *supernode, const struct copy *copy) {
    struct flood *flood = &supernode->flood;
    struct query *query = mem_new(sizeof *query);
    query->id = copy->id;
    query->born_us = supernode->links.mono_us;
    query->type = copy->type;
    query->relayed = -1;
    map_put(&flood->queries, query->id.b, query);
    *flood->newest_next = query;
    flood->newest_next = &query->next;
    if (!timer_is_set(&flood->timer)) {
        timers_set(&supernode->timers, &flood->timer,
                   supernode_after_ms(supernode, QUERY_ID_KEEP_MS));
    }
    return query;
}

static void free_wave(struct supernode *supernode, struct wave *wave) {
    timers_cancel(&supernode->timers, &wave->timer);
    *wave->at = wave->next;
    if (wave->next != NULL) {
        wave->next->at = wave->at;
    }
    supernode->flood.wave_count--;
    for (uint8_t ttl = 0; ttl <= TTL_POLICY; ttl++) {
        if (wave->query->waves[ttl] == wave) {
            wave->query->waves[ttl] = NULL;
        }
    }
    if (--wave->query->open == 0) {
        routed_free(&wave->query->routed); /* ids are kept longer than this may cost */
    }
    ladder_free(wave->ladder);
    mem_free(wave);
}

/* Take the oldest query out of the queue. */
static struct query *take_oldest(struct flood *flood) {
    struct query *query = flood->oldest;
    flood->oldest = query->next;
    if (flood->oldest == NULL) {
        flood->newest_next = &flood->oldest;
    }
    query->next = NULL;
    return query;
}

/* Forget the oldest query; one that is still open goes to the end of the queue instead. */
static void forget_oldest(struct flood *flood) {
    struct query *query = take_oldest(flood);
    if (query->open > 0) {
        *flood->newest_next = query;
        flood->newest_next = &query->next;
        return;
    }
    map_remove(&flood->queries, query->id.b);
    routed_free(&query->routed);
    mem_free(query->tried);
    mem_free(query);
}

void flood_expire(struct supernode *supernode) {
    struct flood *flood = &supernode->flood;
    uint64_t keep_us = QUERY_ID_KEEP_MS * 1000ull;
    uint64_t now_us = supernode->links.mono_us;
    uint32_t slice = EXPIRE_SLICE;
    while (flood->oldest != NULL && flood->oldest->born_us + keep_us <= now_us && slice-- > 0) {
        forget_oldest(flood);
    }
    if (flood->oldest != NULL) {
        uint64_t due_us = flood->oldest->born_us + keep_us;
        uint64_t soon_us = supernode_after_ms(supernode, 1);
        timers_set(&supernode->timers, &flood->timer, due_us > soon_us ? due_us : soon_us);
    }
}

void flood_free(struct supernode *supernode) {
    struct flood *flood = &supernode->flood;
    while (flood->waves != NULL) {
        free_wave(supernode, flood->waves);
    }
    while (flood->oldest != NULL) {
        forget_oldest(flood);
    }
    map_free(&flood->queries);
    buf_free(&flood->payload);
    mem_free(flood->answer);
}

/* Inflate and decode a body of this kind; it borrows the packer's scratch. */
static enum err open_body(const struct supernode *supernode, struct slice body, uint8_t kind,
                          struct query_body *plain) {
    struct slice bytes;
    enum err err = packer_inflate(supernode->env->packer, body, QUERY_BODY_MAX, &bytes);
    if (err == OK) {
        err = wire_query_body_decode(bytes, plain);
    }
    return err == OK && plain->kind != kind ? ERR_FORMAT : err;
}

static struct tried *find_tried(const struct query *query, uint32_t link) {
    for (uint16_t i = 0; i < query->tried_count; i++) {
        if (query->tried[i].link == link) {
            return &query->tried[i];
        }
    }
    return NULL;
}

/* The entry of a link, made when there is none; valid until the next call. */
static struct tried *tried_of(struct query *query, uint32_t link) {
    struct tried *tried = find_tried(query, link);
    if (tried != NULL) {
        return tried;
    }
    if (query->tried_count == query->tried_cap) {
        query->tried_cap = (uint16_t)(query->tried_cap < 4 ? 4 : query->tried_cap * 2);
        query->tried = mem_resize(query->tried, query->tried_cap, sizeof *query->tried);
    }
    tried = &query->tried[query->tried_count++];
    *tried = (struct tried){.link = link, .seen = -1, .sent = -1};
    return tried;
}

/* ---- Answers ---- */

/* Answer a copy by its (link, id, ttl). A leaf is told how far its search got. */
static void send_end(struct supernode *supernode, uint32_t number, const struct ladder *ladder,
                     struct query_end *end) {
    struct link *link = supernode_link(supernode, number);
    if (link == NULL) {
        return;
    }
    if (link->purpose == PURPOSE_LEAF) {
        ladder_tell_reach(supernode, ladder, &end->coverage);
    }
    struct buf payload = {0};
    wire_end_encode(&payload, end);
    supernode_send(link, MSG_END, &payload);
}

static void end_copy(struct supernode *supernode, const struct copy *copy,
                     const struct coverage *coverage) {
    struct query_end end = {.id = copy->id, .ttl = copy->header.ttl, .coverage = *coverage};
    send_end(supernode, copy->link->number, NULL, &end);
}

/* True while a copy that the link brought is let on and not answered yet. */
static bool is_owed(const struct supernode *supernode, uint32_t link) {
    const struct wave *wave = supernode->flood.waves;
    while (wave != NULL && wave->parent != link) {
        wave = wave->next;
    }
    return wave != NULL;
}

/* Count a misdeed. The link stays for the answers it is owed: they are for leaves who did nothing,
 * and nobody answers an id twice. */
static enum err misdeed(const struct supernode *supernode, struct link *link) {
    enum err err = supernode_misdeed(link);
    bool may_stay = err != OK && supernode_port(link)->misdeeds < MISDEEDS_OWED_MAX &&
                    is_owed(supernode, link->number);
    return may_stay ? OK : err;
}

static void finish_wave(struct supernode *supernode, struct wave *wave) {
    struct query_end end = {.id = wave->query->id, .ttl = wave->echo, .coverage = wave->coverage};
    end.coverage.truncated |= wave->query->truncated;
    uint32_t parent = wave->parent;
    send_end(supernode, parent, wave->ladder, &end);
    free_wave(supernode, wave);
    struct link *link = supernode_link(supernode, parent);
    bool may_part =
        link != NULL && !link->closing; /* a leaf's replaced link is nobody's any more */
    if (may_part && conduct_is_parting(link) && !is_owed(supernode, parent)) {
        links_close(link, GOAWAY_PROTOCOL, ERR_UNEXPECTED);
    }
}

static uint16_t sum_u16(uint16_t a, uint16_t b) {
    return b > UINT16_MAX - a ? UINT16_MAX : (uint16_t)(a + b);
}

static uint32_t sum_u32(uint32_t a, uint32_t b) {
    return b > UINT32_MAX - a ? UINT32_MAX : a + b;
}

static void add_coverage(struct coverage *sum, const struct coverage *more) {
    sum->supernodes = sum_u16(sum->supernodes, more->supernodes);
    sum->leaves = sum_u32(sum->leaves, more->leaves);
    sum->files = more->files > UINT64_MAX - sum->files ? UINT64_MAX : sum->files + more->files;
    sum->refused = sum_u16(sum->refused, more->refused);
    sum->truncated |= more->truncated;
    sum->copies = sum_u32(sum->copies, more->copies);
    sum->spared = sum_u32(sum->spared, more->spared);
    for (size_t i = 0; i < REACH_BYTES; i++) {
        sum->reach[i] |= more->reach[i];
    }
}

static void mark_reached(struct coverage *coverage, const struct node_id *id) {
    uint32_t bit = wire_reach_bit(id);
    coverage->reach[bit >> 3] |= (uint8_t)(0x80 >> (bit & 7));
}

static bool climb(struct supernode *supernode, struct wave *wave);

/* The present step of a wave is over: climb on, or answer. */
static void step_over(struct supernode *supernode, struct wave *wave) {
    if (wave->ladder == NULL || !climb(supernode, wave)) {
        finish_wave(supernode, wave);
    }
}

/* A child has answered the copy with `ttl`, or will not any more. */
static void child_answered(struct supernode *supernode, struct wave *wave, uint8_t ttl,
                           const struct coverage *coverage) {
    add_coverage(&wave->coverage, coverage);
    if (ttl + 1 < wave->ttl) {
        wave->coverage.refused--; /* counted as silent when its step was over */
    } else if (--wave->children == 0) {
        step_over(supernode, wave);
    }
}

/* Count the silence of those who owe an answer to the present step. */
static void blame_silent(struct supernode *supernode, const struct wave *wave) {
    for (uint32_t i = 0; i < supernode->neighbour_count; i++) {
        struct neighbour *neighbour = supernode->neighbours[i];
        const struct tried *tried = find_tried(wave->query, neighbour->link->number);
        if (tried != NULL && (tried->awaited & 1u << (wave->ttl - 1)) != 0) {
            conduct_was_silent(supernode, neighbour);
        }
    }
}

void flood_wave_timer(struct supernode *supernode, struct wave *wave) {
    blame_silent(supernode, wave);
    struct coverage silent = {.refused = wave->children};
    supernode->counts.timeouts += wave->children;
    log_debug(supernode->env->log, "flood.timeout ttl=%u children=%u", wave->ttl, wave->children);
    add_coverage(&wave->coverage, &silent);
    step_over(supernode, wave);
}

void flood_link_closed(struct supernode *supernode, const struct link *link) {
    static const struct coverage lost = {.refused = 1};
    struct wave *next;
    for (struct wave *wave = supernode->flood.waves; wave != NULL; wave = next) {
        next = wave->next;
        const struct tried *tried = find_tried(wave->query, link->number);
        uint8_t ttl = (uint8_t)(wave->ttl - 1);
        if (wave->parent == link->number) {
            free_wave(supernode, wave);
        } else if (tried != NULL && (tried->awaited & 1u << ttl) != 0) {
            child_answered(supernode, wave, ttl, &lost);
        }
    }
}

/* ---- Relaying ---- */

static struct wave *new_wave(struct supernode *supernode, struct query *query,
                             const struct copy *copy) {
    struct flood *flood = &supernode->flood;
    struct wave *wave = mem_new(sizeof *wave);
    wave->query = query;
    wave->parent = copy->link->number;
    wave->echo = copy->header.ttl;
    wave->timer.kind = TIMER_WAVE;
    wave->timer.owner = wave;
    wave->next = flood->waves;
    wave->at = &flood->waves;
    if (wave->next != NULL) {
        wave->next->at = &wave->next;
    }
    flood->waves = wave;
    flood->wave_count++;
    query->open++;
    return wave;
}

/* A copy that goes out to many: one payload, and whom not to send it. */
struct sending {
    uint8_t *payload;
    size_t len;
    uint32_t parent; /* link that it came from */
    uint8_t ttl;
    bool is_pruned;
    struct terms terms; /* is_pruned: only to those whose summary may match */
};

/* True when a copy with this ttl lets the neighbour do more than the copies it has had. One who
 * sent us a copy with ttl t had it with t + 1. */
static bool would_widen(const struct tried *tried, uint8_t ttl) {
    bool has_had = tried->seen >= 0 && tried->seen + 1 >= ttl;
    return tried->sent < ttl && !has_had;
}

/* True when the summary of a neighbour spares it a copy. One that claims every word, or tells none,
 * is counted as one that refused: if it counted as not reached, a few of them would make everybody
 * search four times as far. */
static bool is_spared(struct supernode *supernode, const struct neighbour *neighbour,
                      const struct sending *sending, struct coverage *coverage) {
    if (!sending->is_pruned) {
        return false;
    }
    enum summary_verdict verdict = summaries_ask(supernode, neighbour, &sending->terms);
    if (verdict == SUMMARY_MAY_MATCH) {
        return false;
    }
    supernode->counts.spared++;
    mark_reached(coverage, &neighbour->link->id);
    if (verdict == SUMMARY_CANNOT_MATCH) {
        coverage->spared = sum_u32(coverage->spared, 1);
    } else {
        coverage->refused = sum_u16(coverage->refused, 1);
    }
    return true;
}

/* Send a copy on to all neighbours whom it helps. Return how many owe an answer; those who could
 * not be sent to are added to coverage->refused, those who need not be to coverage->reach. */
static uint16_t relay(struct supernode *supernode, struct query *query,
                      const struct sending *sending, struct coverage *coverage) {
    uint16_t children = 0;
    for (uint32_t i = 0; i < supernode->neighbour_count; i++) {
        struct neighbour *neighbour = supernode->neighbours[i];
        struct link *link = neighbour->link;
        struct tried *tried = tried_of(query, link->number);
        if (link->number == sending->parent || !would_widen(tried, sending->ttl) ||
            is_spared(supernode, neighbour, sending, coverage)) {
            continue;
        }
        mark_reached(coverage, &link->id);
        if (conduct_is_mute(supernode, neighbour)) {
            coverage->refused = sum_u16(coverage->refused, 1);
            continue;
        }
        links_send(link, query->type, (struct slice){sending->payload, sending->len});
        tried->sent = (int8_t)sending->ttl;
        tried->awaited |= (uint16_t)(1u << sending->ttl);
        children++;
    }
    supernode->counts.relayed += children;
    coverage->copies = sum_u32(coverage->copies, children);
    return children;
}

/* The words of a copy's body, for copies that go no further than their receiver. */
static void prune(struct supernode *supernode, const struct query *query, struct slice body,
                  struct sending *sending) {
    struct query_body plain;
    struct query_expr expr;
    sending->is_pruned = sending->ttl == 0 && query->type == MSG_QUERY &&
                         !supernode->config.plain_flood &&
                         open_body(supernode, body, QUERY_WORDS, &plain) == OK &&
                         query_parse(plain.text, &expr, NULL) == OK;
    for (uint32_t i = 0; sending->is_pruned && i < expr.words.count; i++) {
        const struct word *one = &expr.words.words[i];
        struct slice word = {(const uint8_t *)one->text, one->len};
        sending->terms.hashes[sending->terms.count++] = summary_hash(word);
    }
}

/* Take the next step of a ladder that is worth taking and has somebody to ask; false = none is. */
static bool climb(struct supernode *supernode, struct wave *wave) {
    struct query *query = wave->query;
    struct ladder *ladder = wave->ladder;
    for (;;) {
        uint8_t radius = (uint8_t)(1 + (wave->ttl > query->relayed ? wave->ttl : query->relayed));
        uint32_t step_ms = ladder_step_ms(supernode, ladder, &wave->coverage, radius);
        if (step_ms == 0 || query->routed.distinct >= ladder->want ||
            query->routed.records >= QUERY_ROUTED_MAX) {
            return false;
        }
        wave->ttl = radius;
        query->waves[radius] = wave;
        query->relayed = (int8_t)radius;
        struct sending sending = {.payload = ladder->payload.data,
                                  .len = ladder->payload.len,
                                  .parent = wave->parent,
                                  .ttl = (uint8_t)(radius - 1)};
        struct query_header header;
        enum err err =
            wire_query_decode((struct slice){ladder->payload.data, ladder->payload.len}, &header);
        CHECK(err == OK);
        prune(supernode, query, header.body, &sending);
        wire_query_patch(sending.payload, sending.ttl, 1,
                         (uint16_t)(step_ms - QUERY_DEADLINE_STEP_MS));
        wave->children = relay(supernode, query, &sending, &wave->coverage);
        if (wave->children > 0) {
            timers_set(&supernode->timers, &wave->timer, supernode_after_ms(supernode, step_ms));
            return true;
        }
    }
}

/* Relay a neighbour's copy; false when nobody is to answer. */
static bool spread(struct supernode *supernode, struct wave *wave, const struct copy *copy) {
    struct query *query = wave->query;
    query->relayed = (int8_t)copy->ttl;
    wave->ttl = copy->ttl;
    query->waves[wave->ttl] = wave;
    struct sending sending = {.payload = supernode->flood.payload.data,
                              .len = supernode->flood.payload.len,
                              .parent = wave->parent,
                              .ttl = (uint8_t)(copy->ttl - 1)};
    prune(supernode, query, copy->header.body, &sending);
    wire_query_patch(sending.payload, sending.ttl, (uint8_t)(copy->hops + 1),
                     (uint16_t)(copy->deadline_ms - QUERY_DEADLINE_STEP_MS));
    wave->children = relay(supernode, query, &sending, &wave->coverage);
    timers_set(&supernode->timers, &wave->timer, supernode_after_ms(supernode, copy->deadline_ms));
    return wave->children > 0;
}

/* Let a copy further on if its ttl allows more than any before. Return the wave that will answer
 * the copy and has taken over *coverage, or NULL when it is to be answered now. */
static struct wave *set_off(struct supernode *supernode, struct query *query,
                            const struct copy *copy, struct coverage *coverage) {
    if (copy->ttl == 0 || copy->ttl <= query->relayed ||
        copy->deadline_ms <= QUERY_DEADLINE_STEP_MS) {
        return NULL;
    }
    if (supernode->flood.wave_count >= QUERIES_OPEN_MAX) {
        supernode->counts.refused_waves++;
        coverage->refused++;
        return NULL;
    }
    bool is_entry = copy->link->purpose == PURPOSE_LEAF && !supernode->config.plain_flood;
    struct wave *wave = new_wave(supernode, query, copy);
    wave->coverage = *coverage;
    if (is_entry) {
        const struct buf *payload = &supernode->flood.payload;
        wave->ladder = ladder_new((struct slice){payload->data, payload->len}, copy->header.want,
                                  copy->ttl, supernode_after_ms(supernode, copy->deadline_ms));
    }
    bool is_waiting = is_entry ? climb(supernode, wave) : spread(supernode, wave, copy);
    if (!is_waiting) {
        *coverage = wave->coverage;
        if (is_entry) {
            ladder_tell_reach(supernode, wave->ladder, coverage);
        }
        free_wave(supernode, wave);
        return NULL;
    }
    return wave;
}

/* ---- Copies ---- */

/* A text that a neighbour could read and we cannot, since one of us has newer Unicode tables or
 * fields, is not his misdeed: a leaf's choice of words must not cut the mesh. */
static enum err ask_words(struct supernode *supernode, const struct copy *copy, struct slice text,
                          const struct index_ask *ask) {
    struct query_expr query;
    enum err err = query_parse(text, &query, NULL);
    if (err != OK) {
        return copy->link->purpose == PURPOSE_LEAF ? err : ERR_REFUSED;
    }
    index_search(supernode->index, &query, ask, supernode->flood.answer);
    return OK;
}

/* Look a query up in the index; the answer stands in flood.answer. */
static enum err ask_index(struct supernode *supernode, const struct copy *copy) {
    struct flood *flood = &supernode->flood;
    struct query_body body;
    uint8_t kind = copy->type == MSG_QUERY ? QUERY_WORDS : QUERY_CONTENT;
    enum err err = open_body(supernode, copy->header.body, kind, &body);
    if (err != OK) {
        return err;
    }
    if (flood->answer == NULL) {
        flood->answer = mem_new(sizeof *flood->answer);
    }
    struct index_ask ask = {.max = copy->header.want};
    ask.max = ask.max < QUERY_RESULTS_MAX ? ask.max : QUERY_RESULTS_MAX;
    ask.except = copy->link->purpose == PURPOSE_LEAF ? copy->link->owner : NULL;
    ask.spread = (uint32_t)rng_u64(&supernode->rng);
    if (kind == QUERY_CONTENT) {
        index_locate(supernode->index, &body.content, &ask, flood->answer);
        return OK;
    }
    return ask_words(supernode, copy, body.text, &ask);
}

/* Answer a copy with nothing but that we refused it, and for how long (0 = that is not known). */
static enum err refuse_copy(struct supernode *supernode, const struct copy *copy, uint64_t *count,
                            uint32_t wait_ms) {
    struct query_end end = {.id = copy->id, .ttl = copy->header.ttl, .coverage = {.refused = 1}};
    struct buf tlvs = {0};
    ++*count;
    if (wait_ms > 0) {
        wire_end_wait_put(&tlvs, wait_ms);
    }
    end.tlvs = (struct slice){tlvs.data, tlvs.len};
    send_end(supernode, copy->link->number, NULL, &end);
    buf_free(&tlvs);
    return OK;
}

static enum err first_copy(struct supernode *supernode, const struct copy *copy) {
    struct flood *flood = &supernode->flood;
    enum err err = ask_index(supernode, copy);
    if (err == ERR_REFUSED) {
        return refuse_copy(supernode, copy, &supernode->counts.unread, 0);
    }
    if (err != OK) {
        return err;
    }
    if (flood->queries.count >= QUERY_IDS_MAX) {
        forget_oldest(flood);
    }
    supernode->counts.queries++;
    struct query *query = new_query(supernode, copy);
    tried_of(query, copy->link->number)->seen = (int8_t)copy->header.ttl;
    routed_own(&query->routed, flood->answer, query->type == MSG_LOCATE);
    query->truncated = flood->answer->truncated;
    struct index_counts held = index_count(supernode->index);
    struct coverage coverage = {
        .supernodes = 1, .leaves = held.leaves, .files = held.files, .truncated = query->truncated};
    struct wave *wave = set_off(supernode, query, copy, &coverage);
    struct reply reply = {.link = copy->link, .id = copy->id, .ttl = copy->header.ttl};
    if (!answer_send(supernode, &reply, flood->answer, wave == NULL ? &coverage : NULL) &&
        wave == NULL) {
        end_copy(supernode, copy, &coverage);
    }
    if (wave == NULL) {
        routed_free(&query->routed);
    }
    return OK;
}

static enum err further_copy(struct supernode *supernode, struct query *query,
                             const struct copy *copy) {
    struct coverage coverage = {0};
    if (query->type != copy->type) {
        return ERR_FORMAT; /* the body says which it is, and the id is the body's */
    }
    struct tried *tried = tried_of(query, copy->link->number);
    if (copy->header.ttl <= tried->seen) { /* zeroes would come before the answer that it has */
        return misdeed(supernode, copy->link);
    }
    tried->seen = (int8_t)copy->header.ttl;
    if (set_off(supernode, query, copy, &coverage) == NULL) {
        supernode->counts.duplicates++;
        end_copy(supernode, copy, &coverage);
    }
    return OK;
}

/* Hold a copy to our own rules, whatever its sender wrote. */
static void bound_copy(struct copy *copy) {
    bool is_entry = copy->link->purpose == PURPOSE_LEAF;
    copy->hops = is_entry || copy->header.hops > 0 ? copy->header.hops : 1;
    uint8_t room = copy->hops < TTL_POLICY ? (uint8_t)(TTL_POLICY - copy->hops) : 0;
    copy->ttl = copy->header.ttl < room ? copy->header.ttl : room;
    uint32_t deadline_max = QUERY_DEADLINE_MS - QUERY_DEADLINE_STEP_MS * (uint32_t)copy->hops;
    copy->deadline_ms =
        copy->header.deadline_ms < deadline_max ? copy->header.deadline_ms : deadline_max;
}

enum err flood_serve(struct supernode *supernode, struct link *link, uint8_t type,
                     struct slice payload, uint32_t *cost) {
    struct flood *flood = &supernode->flood;
    struct copy copy = {.link = link, .type = type};
    flood->payload.len = 0; /* ours, to be patched and sent on */
    buf_append(&flood->payload, payload.data, payload.len);
    enum err err =
        wire_query_decode((struct slice){flood->payload.data, flood->payload.len}, &copy.header);
    CHECK(err == OK); /* it was decoded before it waited */
    wire_query_id(copy.header.body, supernode->env->crypto, &copy.id);
    bound_copy(&copy);
    struct query *query = map_get(&flood->queries, copy.id.b);
    *cost = query == NULL ? TURN_COST_NEW : 1;
    return query == NULL ? first_copy(supernode, &copy) : further_copy(supernode, query, &copy);
}

static enum err take_copy(struct supernode *supernode, struct link *link, uint8_t type,
                          struct slice payload) {
    struct copy copy = {.link = link, .type = type};
    enum err err = wire_query_decode(payload, &copy.header);
    if (err == OK && link->purpose == PURPOSE_LEAF && copy.header.hops != 0) {
        err = ERR_FORMAT;
    }
    if (err != OK) {
        return err;
    }
    uint32_t wait_ms = 0;
    supernode->counts.copies++;
    if (conduct_is_parting(link) || !admission_query(supernode, link, &wait_ms) ||
        !turns_add(supernode, link, type, payload)) {
        wire_query_id(copy.header.body, supernode->env->crypto, &copy.id);
        return refuse_copy(supernode, &copy, &supernode->counts.limited, wait_ms);
    }
    return OK;
}

enum err flood_take_query(struct supernode *supernode, struct link *link, struct slice payload) {
    return take_copy(supernode, link, MSG_QUERY, payload);
}

enum err flood_take_locate(struct supernode *supernode, struct link *link, struct slice payload) {
    return take_copy(supernode, link, MSG_LOCATE, payload);
}

/* ---- Answers of children ---- */

/* What an answer belongs to: `query` NULL = nothing that this link was sent; `wave` NULL = it comes
 * too late. */
struct match {
    struct query *query;
    struct tried *tried;
    struct wave *wave;
};

static struct match match_answer(const struct supernode *supernode, const struct link *link,
                                 const struct query_id *id, uint8_t ttl) {
    struct match match = {0};
    struct query *query = map_get(&supernode->flood.queries, id->b);
    struct tried *tried = query != NULL ? find_tried(query, link->number) : NULL;
    if (tried != NULL && ttl < TTL_POLICY && (tried->awaited & 1u << ttl) != 0) {
        match.query = query;
        match.tried = tried;
        match.wave = query->waves[ttl + 1];
    }
    return match;
}

/* A neighbour's last word on a copy. */
static void answered(struct supernode *supernode, struct link *link, struct wave *wave, uint8_t ttl,
                     const struct coverage *coverage) {
    conduct_answered(link->owner);
    child_answered(supernode, wave, ttl, coverage);
}

static enum err unmatched(struct supernode *supernode, struct link *link) {
    supernode->counts.unmatched++;
    log_debug(supernode->env->log, "flood.unmatched link=%u", link->number);
    return misdeed(supernode, link);
}

/* Pass hits on unchanged but for the copy they answer. */
static void forward_hits(struct supernode *supernode, const struct wave *wave,
                         const struct hits *hits, struct slice payload) {
    struct query *query = wave->query;
    struct link *parent = supernode_link(supernode, wave->parent);
    enum routed_verdict verdict = ROUTED_FULL;
    if (parent != NULL && !parent->stalled) {
        verdict = routed_take(&query->routed, hits, query->type == MSG_LOCATE);
    }
    if (verdict != ROUTED_PASS) {
        query->truncated |= verdict == ROUTED_FULL;
        supernode->counts.hits_dropped += hits->hit_count;
        return;
    }
    supernode->counts.hits_routed += hits->hit_count;
    struct buf passed = {0};
    wire_hits_pass(&passed, payload, wave->echo);
    supernode_send(parent, MSG_HITS, &passed);
}

enum err flood_take_hits(struct supernode *supernode, struct link *link, struct slice payload) {
    struct hits hits;
    enum err err = wire_hits_decode(payload, &hits);
    if (err != OK) {
        return err;
    }
    struct match match = match_answer(supernode, link, &hits.id, hits.ttl);
    if (match.query == NULL) {
        return unmatched(supernode, link);
    }
    if (hits.last) {
        match.tried->awaited &= (uint16_t) ~(1u << hits.ttl);
    }
    if (match.wave == NULL) {
        supernode->counts.hits_dropped += hits.hit_count;
        return OK;
    }
    forward_hits(supernode, match.wave, &hits, payload);
    if (hits.last) {
        answered(supernode, link, match.wave, hits.ttl, &hits.coverage);
    }
    return OK;
}

enum err flood_take_end(struct supernode *supernode, struct link *link, struct slice payload) {
    struct query_end end;
    enum err err = wire_end_decode(payload, &end);
    if (err != OK) {
        return err;
    }
    struct match match = match_answer(supernode, link, &end.id, end.ttl);
    if (match.query == NULL) {
        return unmatched(supernode, link);
    }
    match.tried->awaited &= (uint16_t) ~(1u << end.ttl);
    if (match.wave != NULL) {
        answered(supernode, link, match.wave, end.ttl, &end.coverage);
    }
    return OK;
}
