/* search.c - sends queries to a parent and streams what comes back, checked and grouped.
 *
 * A supernode passes on what others claim, so every hit is matched against the query again. A query
 * whose parent is lost or refuses is asked once more through another, under a new id.
 *
 * The parent widens a search to LADDER_RADIUS hops. When that has neither found what is wanted nor
 * reached 95 % of the supernodes, the other parent is asked as far, then the first one hop farther,
 * all with the same body and so the same id: whoever has answered it keeps still. */
#include "peer/search.h"

#include <stdio.h>
#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "peer/fetch.h"
#include "peer/linktext.h"
#include "peer/state.h"

#define QUERY_TRIES 2

#define LONE_TEXT                                                                                  \
    "only files where this character stands alone were looked for; type the one beside it too"

/* What was last reported of one content. */
struct tally {
    uint32_t holders;
};

static struct search *search_of(struct peer *peer) {
    if (peer->search == NULL) {
        peer->search = mem_new(sizeof *peer->search);
        results_init(&peer->search->results, peer->env->seed);
    }
    return peer->search;
}

const struct results *search_results(const struct peer *peer) {
    return peer->search != NULL ? &peer->search->results : NULL;
}

/* ---- Queries ---- */

static struct query *new_query(struct peer *peer) {
    struct search *search = search_of(peer);
    struct query *query = mem_new(sizeof *query);
    query->timer.kind = TIMER_QUERY;
    query->timer.owner = query;
    map_init(&query->reported, CONTENT_KEY_BYTES, peer->env->seed ^ 0x7265706f72746564);
    query->next = search->queries;
    search->queries = query;
    search->count++;
    return query;
}

static void free_query(struct peer *peer, struct query *query) {
    struct query **at = &peer->search->queries;
    while (*at != query) {
        at = &(*at)->next;
    }
    *at = query->next;
    peer->search->count--;
    timers_cancel(&peer->timers, &query->timer);
    uint32_t cursor = 0;
    for (void *tally; (tally = map_next(&query->reported, &cursor, NULL)) != NULL;) {
        mem_free(tally);
    }
    map_free(&query->reported);
    buf_free(&query->body);
    mem_free(query->text);
    mem_free(query->expr);
    mem_free(query);
}

/* The query that a link may bring hits for. */
static struct query *find_query(const struct peer *peer, const struct query_id *id,
                                const struct link *link) {
    struct query *query = peer->search != NULL ? peer->search->queries : NULL;
    for (; query != NULL; query = query->next) {
        bool was_asked = node_id_equal(&query->asked[0], &link->id) ||
                         node_id_equal(&query->asked[1], &link->id);
        if (query->is_out && was_asked && memcmp(query->id.b, id->b, sizeof id->b) == 0) {
            return query;
        }
    }
    return NULL;
}

/* The supernode that the present leg goes through. */
static const struct node_id *via(const struct query *query) {
    return &query->asked[query->leg == LEG_SECOND ? 1 : 0];
}

/* Make a body, with a salt of its own. */
static void make_body(struct peer *peer, struct query *query) {
    struct query_body body = {.kind = query->text != NULL ? QUERY_WORDS : QUERY_CONTENT,
                              .content = query->content};
    if (query->text != NULL) {
        body.text = (struct slice){(const uint8_t *)query->text, strlen(query->text)};
    }
    /* Not from the node's rng: a restart with the same seed would ask under ids that are known. */
    const struct crypto *crypto = peer->env->crypto;
    crypto->fill_random(crypto->context, body.salt, sizeof body.salt);
    struct buf plain = {0};
    wire_query_body_encode(&plain, &body);
    query->body.len = 0;
    packer_deflate(peer->env->packer, (struct slice){plain.data, plain.len}, &query->body);
    buf_free(&plain);
    wire_query_id((struct slice){query->body.data, query->body.len}, crypto, &query->id);
}

/* Send a copy of the body for this leg. */
static void send_leg(struct peer *peer, struct query *query, enum search_leg leg,
                     struct link *link) {
    uint32_t found = query->reported.count;
    query->leg = (uint8_t)leg;
    query->ttl = leg == LEG_LAST ? TTL_POLICY : LADDER_RADIUS;
    query->asked[leg == LEG_SECOND ? 1 : 0] = link->id;
    struct query_header header = {.ttl = query->ttl,
                                  .want = (uint16_t)(query->want > found ? query->want - found : 1),
                                  .deadline_ms = QUERY_DEADLINE_MS,
                                  .body = {query->body.data, query->body.len}};
    struct buf payload = {0};
    wire_query_encode(&payload, &header);
    peer_send(link, query->text != NULL ? MSG_QUERY : MSG_LOCATE, &payload);
    query->is_out = true;
    query->sent_us = peer->links.mono_us;
    uplink_probe(peer, link);
    uint32_t silent_ms =
        SEARCH_SILENT_MS < peer->search_wait_ms ? SEARCH_SILENT_MS : peer->search_wait_ms;
    timers_set(&peer->timers, &query->timer, peer_after_ms(peer, silent_ms));
}

/* Ask from the beginning. */
static void send_query(struct peer *peer, struct query *query, struct link *link) {
    make_body(peer, query);
    query->tries++;
    query->asked[1] = (struct node_id){0};
    send_leg(peer, query, LEG_FIRST, link);
}

static bool is_costly(const struct query *query) {
    return query->sum.copies >= LADDER_COPIES_MAX;
}

/* True when enough was found, or nearly everybody was reached. */
static bool is_enough(const struct query *query) {
    const struct coverage *sum = &query->sum;
    bool is_everybody = sum->known > 0 && sum->reached * 100u >= LADDER_REACH_PERCENT * sum->known;
    return query->reported.count >= query->want || is_everybody;
}

static void report_end(struct peer *peer, const struct query *query) {
    const struct coverage *coverage = &query->sum;
    struct outbox *out = peer->links.out;
    report_begin(out, query->command, "end");
    report_number(out, "supernodes", coverage->supernodes);
    report_number(out, "leaves", coverage->leaves);
    report_number(out, "files", coverage->files);
    report_number(out, "refused", coverage->refused);
    report_flag(out, "truncated", coverage->truncated);
    report_number(out, "hits", query->reported.count);
    report_number(out, "dropped", query->dropped);
    if (query->expr->is_lone) {
        report_text(out, "note", LONE_TEXT);
    }
    report_number(out, "reached", coverage->reached);
    report_number(out, "known", coverage->known);
    report_number(out, "copies", coverage->copies);
    report_flag(out, "farther", query->leg != LEG_LAST && is_costly(query) && !is_enough(query));
    report_done(out, query->command);
}

/* The query is answered: tell whoever waits, and forget it. */
static void end_query(struct peer *peer, struct query *query) {
    if (query->command != 0) {
        report_end(peer, query);
    }
    free_query(peer, query);
}

/* Ask again through another parent; false when there is none or it was tried before. */
static bool try_another(struct peer *peer, struct query *query) {
    struct link *link = uplink_link(peer, via(query));
    if (link == NULL || query->tries >= QUERY_TRIES) {
        return false;
    }
    send_query(peer, query, link);
    return true;
}

/* True when there is still time for an answer. A supernode that gives no sign of life gets less of
 * it when there is another one. */
static bool waits_on(struct peer *peer, struct query *query) {
    uint64_t end_us = query->sent_us + peer->search_wait_ms * 1000ull;
    const struct link *link = uplink_link_to(peer, via(query));
    bool is_silent = link == NULL || link->heard_us <= query->sent_us;
    if (end_us <= peer->links.mono_us ||
        (is_silent && uplink_link(peer, via(query)) != NULL && query->tries < QUERY_TRIES)) {
        return false;
    }
    timers_set(&peer->timers, &query->timer, end_us);
    return true;
}

void search_timer(struct peer *peer, struct query *query) {
    if (query->is_out && waits_on(peer, query)) {
        return;
    }
    if (!query->is_out && query->command != 0) {
        report_error(peer->links.out, query->command, ERR_UNREACHABLE, uplink_advice(peer));
        free_query(peer, query);
        return;
    }
    if (!try_another(peer, query)) {
        query->sum.truncated = true;
        end_query(peer, query);
    }
}

void search_parent_opened(struct peer *peer) {
    struct query *query = peer->search != NULL ? peer->search->queries : NULL;
    struct link *link = uplink_link(peer, NULL);
    for (; query != NULL && link != NULL; query = query->next) {
        if (!query->is_out) {
            send_query(peer, query, link);
        }
    }
}

void search_parent_lost(struct peer *peer, const struct node_id *id) {
    struct query *next = NULL;
    struct query *query = peer->search != NULL ? peer->search->queries : NULL;
    for (; query != NULL; query = next) {
        next = query->next;
        if (query->is_out && node_id_equal(via(query), id) && !try_another(peer, query)) {
            query->sum.truncated = true;
            end_query(peer, query);
        }
    }
}

bool search_locate(struct peer *peer, const struct content_id *content) {
    struct search *search = search_of(peer);
    struct link *link = uplink_link(peer, NULL);
    for (const struct query *query = search->queries; query != NULL; query = query->next) {
        if (query->text == NULL && content_equal(&query->content, content)) {
            return false;
        }
    }
    if (link == NULL || search->count >= SEARCHES_MAX + DOWNLOADS_MAX ||
        search->held_until_us > peer->links.mono_us ||
        !ratelimit_take(&search->locates, LOCATE_MILLI_PER_S, LOCATE_BURST, 1,
                        peer->links.mono_us)) {
        return false;
    }
    struct query *query = new_query(peer);
    query->content = *content;
    query->want = LOCATE_WANT;
    send_query(peer, query, link);
    return true;
}

/* ---- The command ---- */

static bool parse_want(const char *text, uint16_t *want) {
    uint32_t number = 0;
    *want = SEARCH_WANT;
    for (; text != NULL && *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || number > SEARCH_RESULTS_MAX) {
            return false;
        }
        number = number * 10 + (uint32_t)(*text - '0');
        *want = (uint16_t)number;
    }
    return *want >= 1 && *want <= SEARCH_RESULTS_MAX;
}

/* Say where and why a text is no query. */
static void report_unread(struct outbox *out, uint64_t command, enum err err,
                          const struct query_error *error) {
    char text[256];
    snprintf(text, sizeof text, "the search cannot be read at byte %zu: %s", error->at, error->why);
    report_error(out, command, err, text);
    report_number(out, "position", error->at);
    report_text(out, "reason", error->why);
}

/* Read the command; false when it was answered with an error. */
static bool read_search(struct outbox *out, const struct node_event *event, struct query_expr *expr,
                        uint16_t *want) {
    const char *text = command_arg(event, "text");
    struct query_error error;
    if (text == NULL || text[0] == '\0') {
        report_error(out, event->command.id, ERR_FORMAT,
                     "what to search for is missing: give one or more words");
        return false;
    }
    enum err err = query_parse((struct slice){(const uint8_t *)text, strlen(text)}, expr, &error);
    if (err != OK) {
        report_unread(out, event->command.id, err, &error);
        return false;
    }
    if (!parse_want(command_arg(event, "want"), want)) {
        report_error(out, event->command.id, ERR_FORMAT, "want must be a number from 1 to 1000");
        return false;
    }
    return true;
}

/* False, with the reason reported, when no search may begin now. */
static bool may_begin(const struct peer *peer, const struct search *search, uint64_t command) {
    char text[120] = "too many searches at once; wait for one to end";
    bool is_held = search->held_until_us > peer->links.mono_us;
    if (is_held) {
        uint64_t left_s = (search->held_until_us - peer->links.mono_us + 999999) / 1000000;
        snprintf(text, sizeof text,
                 "the supernodes take no more searches from here just now; wait %llu s",
                 (unsigned long long)left_s);
    }
    if (is_held || search->count >= SEARCHES_MAX) {
        report_error(peer->links.out, command, ERR_BUSY, text);
        return false;
    }
    return true;
}

void search_command(struct peer *peer, const struct node_event *event) {
    struct outbox *out = peer->links.out;
    uint64_t command = event->command.id;
    struct query_expr expr;
    uint16_t want;
    if (!read_search(out, event, &expr, &want)) {
        return;
    }
    if (!may_begin(peer, search_of(peer), command)) {
        return;
    }
    struct query *query = new_query(peer);
    query->command = command;
    query->text = mem_string(command_arg(event, "text"));
    query->expr = mem_copy(&expr, sizeof expr);
    query->want = want;
    query->is_farther = command_arg(event, "farther") != NULL;
    query->has_links = linktext_is_wanted(event);
    struct link *link = uplink_link(peer, NULL);
    if (link != NULL) {
        send_query(peer, query, link);
    } else {
        timers_set(&peer->timers, &query->timer, peer_after_ms(peer, SEARCH_PARENT_MS));
    }
}

void search_command_gone(struct peer *peer, uint64_t command) {
    struct query *next = NULL;
    struct query *query = peer->search != NULL ? peer->search->queries : NULL;
    for (; query != NULL; query = next) {
        next = query->next;
        if (query->command == command) {
            free_query(peer, query);
        }
    }
}

/* ---- Hits ---- */

/* What its owner tells of a file, as far as it is known. */
static void report_facts(struct outbox *out, const struct file_record *file) {
    static const char *const texts[FILE_TEXTS] = {NULL, "title", "artist", "album"};
    static const char *const numbers[FILE_NUMBERS] = {NULL,       "year",  "bitrate",
                                                      "duration", "width", "height"};
    struct file_facts facts;
    file_facts_read(file, &facts);
    report_text(out, "type", file_type_name(facts.type));
    for (int i = TEXT_TITLE; i < FILE_TEXTS; i++) {
        if (facts.texts[i].len > 0) {
            report_slice(out, texts[i], facts.texts[i]);
        }
    }
    for (int i = NUMBER_YEAR; i < FILE_NUMBERS; i++) {
        if (facts.numbers[i] > 0) {
            report_number(out, numbers[i], facts.numbers[i]);
        }
    }
    if (facts.language.len > 0) {
        report_slice(out, "language", facts.language);
    }
    if (facts.is_locked) {
        report_flag(out, "locked", true);
    }
}

/* What supernodes tell of its sources: how many can be dialled, how fast the fastest is, how many
 * have a slot free, how many have none, and how long the shortest queue of these is. */
static void report_sources(struct outbox *out, const struct result *result) {
    uint32_t reachable = 0, speed_kib = 0, idle = 0, busy = 0;
    uint32_t queue = UINT32_MAX;
    for (const struct known_holder *at = result->holders; at != NULL; at = at->next) {
        const struct holder *holder = &at->holder;
        bool is_known = (holder->flags & HOLDER_LOAD_KNOWN) != 0;
        bool is_busy = is_known && holder->free_slots == 0;
        reachable += (holder->flags & HOLDER_REACHABLE) != 0;
        speed_kib = holder->speed_kib > speed_kib ? holder->speed_kib : speed_kib;
        idle += is_known && !is_busy;
        busy += is_busy;
        queue = is_busy && holder->queue < queue ? holder->queue : queue;
    }
    report_number(out, "sources", result->holder_count);
    report_number(out, "reachable", reachable);
    report_number(out, "speed", (uint64_t)speed_kib * 1024);
    report_number(out, "free", idle);
    report_number(out, "busy", busy);
    if (busy > 0) {
        report_number(out, "queue", queue);
    }
}

static void report_hit(struct peer *peer, const struct query *query, const struct result *result,
                       const struct file_record *file) {
    char content[CONTENT_TEXT_BYTES];
    content_format(content, &result->content);
    struct outbox *out = peer->links.out;
    report_begin(out, query->command, "hit");
    report_number(out, "number", result->number);
    report_text(out, "name", result->name);
    report_number(out, "size", result->content.size);
    report_text(out, "content", content);
    report_sources(out, result);
    report_facts(out, file);
    if (query->has_links) {
        linktext_report_result(peer, result);
    }
}

/* What was found under this key before, made when it is new; NULL when there is too much. */
static struct tally *tally_of(struct query *query, const uint8_t key[CONTENT_KEY_BYTES]) {
    struct tally *tally = map_get(&query->reported, key);
    if (tally == NULL && query->reported.count < SEARCH_RESULTS_MAX) {
        tally = mem_new(sizeof *tally);
        map_put(&query->reported, key, tally);
    }
    return tally;
}

/* Report a result when it is new to this search or has other sources than last told. */
static void report_changed(struct peer *peer, struct query *query, const struct result *result,
                           const struct file_record *file) {
    uint8_t key[CONTENT_KEY_BYTES];
    content_key(key, &result->content);
    struct tally *tally = tally_of(query, key);
    if (tally != NULL && tally->holders != result->holder_count) {
        tally->holders = result->holder_count;
        report_hit(peer, query, result, file);
    }
}

static bool hit_matches(const struct query *query, const struct hit *hit) {
    struct file_facts facts;
    file_facts_read(&hit->file, &facts);
    return query_matches(query->expr, &facts);
}

static void take_hit(struct peer *peer, struct query *query, const struct hits *hits,
                     const struct hit *hit) {
    struct node_id answerer = {0};
    if (hits->answerer.len >= sizeof answerer.b) {
        memcpy(answerer.b, hits->answerer.data,
               sizeof answerer.b); /* a record begins with its key */
    }
    struct result *result = NULL;
    for (uint8_t i = 0; i < hit->holder_count; i++) {
        const struct holder *holder = &hits->holders[hit->holders[i]];
        if (node_id_equal(&holder->id, &peer->env->id)) {
            continue;
        }
        if (query->text == NULL) {
            uint8_t key[CONTENT_KEY_BYTES] = {0};
            memcpy(key, holder->id.b, sizeof holder->id.b);
            (void)tally_of(query, key);
            fetch_found(peer, &query->content, holder, &answerer);
            continue;
        }
        if (result == NULL) {
            result = results_add(&peer->search->results, &hit->file.content, hit->file.name);
        }
        result_add_holder(result, holder, &answerer);
    }
    if (result != NULL) {
        report_changed(peer, query, result, &hit->file);
    }
}

static bool is_wanted(const struct query *query, const struct hit *hit) {
    return query->text != NULL ? hit_matches(query, hit)
                               : content_equal(&hit->file.content, &query->content);
}

/* Nobody answers an id twice, so the legs add up; each estimates for itself how many it reached. */
static void add_leg(struct query *query, const struct coverage *coverage) {
    struct coverage *sum = &query->sum;
    sum->supernodes = (uint16_t)(sum->supernodes + coverage->supernodes);
    sum->leaves += coverage->leaves;
    sum->files += coverage->files;
    sum->refused = (uint16_t)(sum->refused + coverage->refused);
    sum->truncated |= coverage->truncated;
    sum->copies += coverage->copies;
    if (coverage->reached >= sum->reached) {
        sum->reached = coverage->reached;
        sum->known = coverage->known;
    }
}

/* Go one leg on; false when there is none or it is not worth while. */
static bool go_on(struct peer *peer, struct query *query) {
    if (is_enough(query) || query->leg == LEG_LAST) {
        return false;
    }
    enum search_leg leg = LEG_SECOND;
    struct link *link = query->leg == LEG_FIRST ? uplink_link(peer, &query->asked[0]) : NULL;
    if (link == NULL && (query->is_farther || !is_costly(query))) {
        leg = LEG_LAST;
        link = uplink_link_to(peer, &query->asked[0]);
    }
    if (link != NULL) {
        send_leg(peer, query, leg, link);
    }
    return link != NULL;
}

/* A copy is answered. A supernode that refused without looking anywhere is not the last word. */
static void take_last(struct peer *peer, struct query *query, const struct link *link,
                      const struct query_end *end) {
    const struct coverage *coverage = &end->coverage;
    if (!node_id_equal(via(query), &link->id) || end->ttl != query->ttl) {
        return; /* of a leg that was given up */
    }
    bool is_refused = query->leg == LEG_FIRST && coverage->supernodes == 0 && coverage->refused > 0;
    if (is_refused && try_another(peer, query)) {
        return;
    }
    if (is_refused) { /* who goes on asking is sent off by his supernodes */
        uint32_t hold_ms = wire_end_wait_ms(end);
        hold_ms = hold_ms == 0 ? SEARCH_HOLD_MS : hold_ms;
        hold_ms = hold_ms < SEARCH_HOLD_MS_MAX ? hold_ms : SEARCH_HOLD_MS_MAX;
        peer->search->held_until_us = peer_after_ms(peer, hold_ms);
    }
    add_leg(query, coverage);
    if (is_refused || !go_on(peer, query)) {
        end_query(peer, query);
    }
}

/* Remember where the supernode is that answered: callbacks of its leaves go through it. */
static void note_answerer(struct peer *peer, struct slice encoded) {
    struct address_record record;
    if (encoded.len > 0 && wire_address_record_decode(encoded, &record) == OK &&
        (record.flags & ADDRESS_RECORD_SUPERNODE) != 0) {
        enum err err = hostcache_add(&peer->hosts, encoded, peer->links.wall_s);
        if (err != OK) {
            log_debug(peer->env->log, "search.answerer_refused reason=%s", err_name(err));
        }
    }
}

enum err search_take_hits(struct peer *peer, struct link *link, struct slice payload) {
    struct hits *hits = mem_new(sizeof *hits);
    enum err err = wire_hits_decode(payload, hits);
    struct query *query = err == OK ? find_query(peer, &hits->id, link) : NULL;
    if (query != NULL) {
        uint32_t dropped = 0;
        note_answerer(peer, hits->answerer);
        for (uint8_t i = 0; i < hits->hit_count; i++) {
            if (is_wanted(query, &hits->hits[i])) {
                take_hit(peer, query, hits, &hits->hits[i]);
            } else {
                dropped++;
            }
        }
        query->dropped += dropped;
        if (dropped > 0) {
            log_info(peer->env->log, "search.hits_dropped link=%u count=%u", link->number, dropped);
        }
        if (hits->last) {
            struct query_end end = {.ttl = hits->ttl, .coverage = hits->coverage};
            take_last(peer, query, link, &end);
        }
    }
    mem_free(hits);
    return err;
}

enum err search_take_end(struct peer *peer, struct link *link, struct slice payload) {
    struct query_end end;
    enum err err = wire_end_decode(payload, &end);
    struct query *query = err == OK ? find_query(peer, &end.id, link) : NULL;
    if (query != NULL) {
        take_last(peer, query, link, &end);
    }
    return err;
}

/* ---- The end ---- */

void search_stop(struct peer *peer) {
    while (peer->search != NULL && peer->search->queries != NULL) {
        struct query *query = peer->search->queries;
        if (query->command != 0) {
            report_error(peer->links.out, query->command, ERR_SHUTDOWN, "the peer is stopping");
        }
        free_query(peer, query);
    }
}

void search_free(struct peer *peer) {
    if (peer->search == NULL) {
        return;
    }
    while (peer->search->queries != NULL) {
        free_query(peer, peer->search->queries);
    }
    results_free(&peer->search->results);
    mem_free(peer->search);
    peer->search = NULL;
}
