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
 * Rules: an id is answered from the index once, for its first copy; a copy that sets off no wave
 * is answered at once; a wave is answered when its last child has answered, at its deadline (150
 * ms earlier per hop, so that parents outwait children), or never when its parent is gone. */
#include "supernode/flood.h"

#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "supernode/core.h"

#define HITS_TTL_AT 16 /* bytes into HITS: after the id */
#define HITS_FLAGS_AT 17
#define HITS_HEAD 18
#define COVERAGE_BYTES 17
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
    uint8_t type;     /* MSG_QUERY or MSG_LOCATE */
    int8_t relayed;   /* largest ttl of a copy that was let further on */
    uint8_t open;     /* waves */
    bool truncated;   /* hits were left out */
    uint16_t records; /* routed back so far, ours included */
    uint16_t tried_count;
    uint16_t tried_cap;
    struct tried *tried;
    struct wave *waves[TTL_POLICY + 1]; /* by the ttl of the copy that set them off */
};

struct wave {
    struct timer timer;
    struct wave *next;
    struct wave **at; /* what points here */
    struct query *query;
    uint32_t parent;   /* link of the copy that is to be answered */
    uint8_t echo;      /* its ttl as received */
    uint8_t ttl;       /* its ttl as we count: index in query->waves */
    uint16_t children; /* that owe an answer */
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
    wave->query->waves[wave->ttl] = NULL;
    wave->query->open--;
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

static void send_end(struct supernode *supernode, uint32_t number, const struct query_end *end) {
    struct link *link = supernode_link(supernode, number);
    if (link != NULL) {
        struct buf payload = {0};
        wire_end_encode(&payload, end);
        supernode_send(link, MSG_END, &payload);
    }
}

static void end_copy(struct supernode *supernode, const struct copy *copy,
                     const struct coverage *coverage) {
    struct query_end end = {.id = copy->id, .ttl = copy->header.ttl, .coverage = *coverage};
    send_end(supernode, copy->link->number, &end);
}

static void finish_wave(struct supernode *supernode, struct wave *wave) {
    struct query_end end = {.id = wave->query->id, .ttl = wave->echo, .coverage = wave->coverage};
    end.coverage.truncated |= wave->query->truncated;
    send_end(supernode, wave->parent, &end);
    free_wave(supernode, wave);
}

static void add_coverage(struct coverage *sum, const struct coverage *more) {
    sum->supernodes = more->supernodes > UINT16_MAX - sum->supernodes
                          ? UINT16_MAX
                          : (uint16_t)(sum->supernodes + more->supernodes);
    sum->leaves = more->leaves > UINT32_MAX - sum->leaves ? UINT32_MAX : sum->leaves + more->leaves;
    sum->files = more->files > UINT64_MAX - sum->files ? UINT64_MAX : sum->files + more->files;
    sum->refused = more->refused > UINT16_MAX - sum->refused
                       ? UINT16_MAX
                       : (uint16_t)(sum->refused + more->refused);
    sum->truncated |= more->truncated;
}

static void child_answered(struct supernode *supernode, struct wave *wave,
                           const struct coverage *coverage) {
    add_coverage(&wave->coverage, coverage);
    if (--wave->children == 0) {
        finish_wave(supernode, wave);
    }
}

void flood_wave_timer(struct supernode *supernode, struct wave *wave) {
    struct coverage silent = {.refused = wave->children};
    supernode->counts.timeouts += wave->children;
    log_debug(supernode->env->log, "flood.timeout ttl=%u children=%u", wave->ttl, wave->children);
    add_coverage(&wave->coverage, &silent);
    finish_wave(supernode, wave);
}

void flood_link_closed(struct supernode *supernode, const struct link *link) {
    static const struct coverage lost = {.refused = 1};
    struct wave *next;
    for (struct wave *wave = supernode->flood.waves; wave != NULL; wave = next) {
        next = wave->next;
        const struct tried *tried = find_tried(wave->query, link->number);
        if (wave->parent == link->number) {
            free_wave(supernode, wave);
        } else if (tried != NULL && (tried->awaited & 1u << (wave->ttl - 1)) != 0) {
            child_answered(supernode, wave, &lost);
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
    wave->ttl = copy->ttl;
    wave->timer.kind = TIMER_WAVE;
    wave->timer.owner = wave;
    timers_set(&supernode->timers, &wave->timer, supernode_after_ms(supernode, copy->deadline_ms));
    wave->next = flood->waves;
    wave->at = &flood->waves;
    if (wave->next != NULL) {
        wave->next->at = &wave->next;
    }
    flood->waves = wave;
    flood->wave_count++;
    query->waves[wave->ttl] = wave;
    query->open++;
    return wave;
}

/* True when a copy with this ttl lets the neighbour do more than the copies it has had. One who
 * sent us a copy with ttl t had it with t + 1. */
static bool would_widen(const struct tried *tried, uint8_t ttl) {
    bool has_had = tried->seen >= 0 && tried->seen + 1 >= ttl;
    return tried->sent < ttl && !has_had;
}

/* Send a copy on to all neighbours whom it helps. Return how many owe an answer; those who could
 * not be sent to are added to coverage->refused. */
static uint16_t relay(struct supernode *supernode, struct query *query, const struct copy *copy,
                      struct coverage *coverage) {
    uint8_t ttl = (uint8_t)(copy->ttl - 1);
    uint16_t children = 0;
    struct query_header header = copy->header;
    header.ttl = ttl;
    header.hops = (uint8_t)(copy->hops + 1);
    header.deadline_ms = (uint16_t)(copy->deadline_ms - QUERY_DEADLINE_STEP_MS);
    struct buf payload = {0};
    wire_query_encode(&payload, &header);
    for (uint32_t i = 0; i < supernode->neighbour_count; i++) {
        const struct neighbour *neighbour = supernode->neighbours[i];
        struct tried *tried = tried_of(query, neighbour->link->number);
        if (neighbour->link == copy->link || !would_widen(tried, ttl)) {
            continue;
        }
        if (neighbour->link->stalled || neighbour->link->closing || neighbour->is_leaving) {
            coverage->refused++;
            continue;
        }
        links_send(neighbour->link, copy->type, (struct slice){payload.data, payload.len});
        tried->sent = (int8_t)ttl;
        tried->awaited |= (uint16_t)(1u << ttl);
        children++;
    }
    supernode->counts.relayed += children;
    buf_free(&payload);
    return children;
}

/* Let a copy further on if its ttl allows more than any before. Return the wave that will answer
 * it, which has taken over *coverage, or NULL when the copy is to be answered now. */
static struct wave *set_off(struct supernode *supernode, struct query *query,
                            const struct copy *copy, struct coverage *coverage) {
    if (copy->ttl == 0 || copy->ttl <= query->relayed ||
        copy->deadline_ms <= QUERY_DEADLINE_STEP_MS) {
        return NULL;
    }
    if (supernode->flood.wave_count >= QUERIES_OPEN_MAX) {
        log_warn(supernode->env->log, "flood.full open=%u", supernode->flood.wave_count);
        coverage->refused++;
        return NULL;
    }
    query->relayed = (int8_t)copy->ttl;
    uint16_t children = relay(supernode, query, copy, coverage);
    if (children == 0) {
        return NULL;
    }
    struct wave *wave = new_wave(supernode, query, copy);
    wave->children = children;
    wave->coverage = *coverage;
    return wave;
}

/* ---- Copies ---- */

/* Look a query up in the index; the answer stands in flood.answer. */
static enum err ask_index(struct supernode *supernode, const struct copy *copy) {
    struct flood *flood = &supernode->flood;
    struct slice plain;
    struct query_body body;
    enum err err =
        packer_inflate(supernode->env->packer, copy->header.body, QUERY_BODY_MAX, &plain);
    if (err == OK) {
        err = wire_query_body_decode(plain, &body);
    }
    uint8_t kind = copy->type == MSG_QUERY ? QUERY_WORDS : QUERY_CONTENT;
    if (err == OK && body.kind != kind) {
        err = ERR_FORMAT;
    }
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
    struct words words;
    err = words_split(body.text, QUERY_TERMS_MAX, &words);
    if (err == OK) {
        index_search(supernode->index, &words, &ask, flood->answer);
    }
    return err;
}

static enum err first_copy(struct supernode *supernode, const struct copy *copy) {
    struct flood *flood = &supernode->flood;
    enum err err = ask_index(supernode, copy);
    if (err != OK) {
        return err;
    }
    if (flood->queries.count >= QUERY_IDS_MAX) {
        forget_oldest(flood);
    }
    supernode->counts.queries++;
    struct query *query = new_query(supernode, copy);
    tried_of(query, copy->link->number)->seen = (int8_t)copy->header.ttl;
    query->records = (uint16_t)flood->answer->count;
    query->truncated = flood->answer->truncated;
    struct index_counts held = index_count(supernode->index);
    struct coverage coverage = {
        .supernodes = 1, .leaves = held.leaves, .files = held.files, .truncated = query->truncated};
    struct wave *wave = set_off(supernode, query, copy, &coverage);
    struct reply reply = {.link = copy->link, .id = copy->id, .ttl = copy->header.ttl};
    bool is_sent = answer_send(supernode, &reply, flood->answer, wave == NULL ? &coverage : NULL);
    if (wave == NULL && !is_sent) {
        end_copy(supernode, copy, &coverage);
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
    if (copy->header.ttl <= tried->seen) {
        end_copy(supernode, copy, &coverage);
        return supernode_misdeed(copy->link);
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

static enum err take_copy(struct supernode *supernode, struct link *link, uint8_t type,
                          struct slice payload) {
    struct flood *flood = &supernode->flood;
    struct copy copy = {.link = link, .type = type};
    flood->payload.len = 0; /* a copy of it: inflating the body may overwrite the original */
    buf_append(&flood->payload, payload.data, payload.len);
    enum err err =
        wire_query_decode((struct slice){flood->payload.data, flood->payload.len}, &copy.header);
    if (err == OK && link->purpose == PURPOSE_LEAF && copy.header.hops != 0) {
        err = ERR_FORMAT;
    }
    if (err != OK) {
        return err;
    }
    supernode->counts.copies++;
    wire_query_id(copy.header.body, supernode->env->crypto, &copy.id);
    if (!admission_query(supernode, link)) {
        static const struct coverage limited = {.refused = 1};
        supernode->counts.limited++;
        end_copy(supernode, &copy, &limited);
        return OK;
    }
    bound_copy(&copy);
    struct query *query = map_get(&flood->queries, copy.id.b);
    return query == NULL ? first_copy(supernode, &copy) : further_copy(supernode, query, &copy);
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

static enum err unmatched(struct supernode *supernode, struct link *link) {
    supernode->counts.unmatched++;
    log_debug(supernode->env->log, "flood.unmatched link=%u", link->number);
    return supernode_misdeed(link);
}

/* Pass hits on unchanged but for the copy they answer: the fields before the answerer's record
 * stand at fixed places. */
static void forward_hits(struct supernode *supernode, const struct wave *wave,
                         const struct hits *hits, struct slice payload) {
    struct query *query = wave->query;
    struct link *parent = supernode_link(supernode, wave->parent);
    uint32_t records = hits->hit_count > 0 ? hits->hit_count : 1; /* empty ones are not free */
    if (parent == NULL || parent->stalled || query->records + records > QUERY_RESULTS_MAX) {
        query->truncated = true;
        supernode->counts.hits_dropped += records;
        return;
    }
    query->records = (uint16_t)(query->records + records);
    supernode->counts.hits_routed += hits->hit_count;
    struct buf patched = {0};
    size_t skip = HITS_HEAD + (hits->last ? COVERAGE_BYTES : 0);
    buf_append(&patched, payload.data, HITS_HEAD);
    patched.data[HITS_TTL_AT] = wave->echo;
    patched.data[HITS_FLAGS_AT] = 0;
    buf_append(&patched, payload.data + skip, payload.len - skip);
    supernode_send(parent, MSG_HITS, &patched);
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
    struct coverage coverage = hits.coverage;
    bool is_last = hits.last;
    forward_hits(supernode, match.wave, &hits, payload);
    if (is_last) {
        child_answered(supernode, match.wave, &coverage);
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
        child_answered(supernode, match.wave, &end.coverage);
    }
    return OK;
}
