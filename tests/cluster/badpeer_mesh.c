/* badpeer_mesh.c - a certified supernode that does wrong: it answers what nobody asked, or falsely,
 * or not at all. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/mem.h"
#include "src/host/sockets.h"
#include "tests/cluster/badpeer.h"

#define END_MS 5000
#define REPEATS 64
#define VICTIMS 40
#define FLOOD_PER_S 3000

/* ---- Answers ---- */

static void end_for(struct buf *payload, const struct query_id *id, uint8_t ttl) {
    struct query_end end = {.id = *id, .ttl = ttl, .coverage = {.supernodes = 1}};
    wire_end_encode(payload, &end);
}

/* One hit: a file that nobody has, at a holder that there is not. */
static void hits_for(struct bad *bad, struct buf *payload, const struct query_id *id, uint8_t ttl) {
    static struct hits hits;
    memset(&hits, 0, sizeof hits);
    hits.id = *id;
    hits.ttl = ttl;
    hits.last = true;
    hits.coverage.supernodes = 1;
    hits.holder_count = 1;
    rng_fill(&bad->rng, hits.holders[0].id.b, sizeof hits.holders[0].id.b);
    hits.hit_count = 1;
    hits.hits[0].file.name = (struct slice){(const uint8_t *)bad->name, strlen(bad->name)};
    hits.hits[0].file.content.size = 123456;
    rng_fill(&bad->rng, hits.hits[0].file.content.root.b, HASH_BYTES);
    hits.hits[0].holder_count = 1;
    wire_hits_encode(payload, &hits);
}

/* Hits for searches that were never sent here, and their ends. */
static void run_forged_hits(struct bad *bad) {
    for (int i = 0; i < 2; i++) {
        struct bad_link link;
        struct query_id id;
        bool is_open = bad_open(bad, &link);
        for (int j = 0; j < REPEATS && is_open && link.end == BAD_OPEN; j++) {
            struct buf payload = {0};
            rng_fill(&bad->rng, id.b, sizeof id.b);
            if (i == 0) {
                hits_for(bad, &payload, &id, 2);
            } else {
                end_for(&payload, &id, 2);
            }
            bad_send(&link, i == 0 ? MSG_HITS : MSG_END, &payload);
            bad->sent++;
        }
        bad_await_end(&link, END_MS);
        bad_close(&link);
    }
}

/* What to do with a query that has come. */
typedef void answer_fn(struct bad_link *link, const struct query_id *id, uint8_t ttl);

/* Answer what comes until then. */
static void answer_all(struct bad_link *link, answer_fn *answer, int64_t until_ms) {
    struct bad *bad = link->bad;
    struct session_message message;
    struct query_header header;
    struct query_id id;
    while (link->end == BAD_OPEN && bad_now_ms() < until_ms) {
        if (!bad_next(link, (int)(until_ms - bad_now_ms()), &message)) {
            continue;
        }
        bool is_query = message.type == MSG_QUERY || message.type == MSG_LOCATE;
        if (is_query && wire_query_decode(message.payload, &header) == OK) {
            wire_query_id(header.body, identity_crypto(bad->identity), &id);
            bad->answered++;
            answer(link, &id, header.ttl);
        }
    }
}

static void answer_for_a_while(struct bad *bad, answer_fn *answer) {
    struct bad_link link;
    if (bad_open(bad, &link)) {
        answer_all(&link, answer, bad_now_ms() + bad->seconds * 1000);
    }
    bad_close(&link);
}

/* As a neighbour without files would. */
static void answer_truly(struct bad_link *link, const struct query_id *id, uint8_t ttl) {
    struct buf payload = {0};
    end_for(&payload, id, ttl);
    bad_send(link, MSG_END, &payload);
}

static void answer_falsely(struct bad_link *link, const struct query_id *id, uint8_t ttl) {
    struct buf payload = {0};
    hits_for(link->bad, &payload, id, ttl);
    bad_send(link, MSG_HITS, &payload);
}

static void answer_nothing(struct bad_link *link, const struct query_id *id, uint8_t ttl) {
    (void)link;
    (void)id;
    (void)ttl;
}

/* The right answer, and again for the same copy, and for one that was never sent. */
static void answer_twice(struct bad_link *link, const struct query_id *id, uint8_t ttl) {
    for (int i = 0; i < 3; i++) {
        struct buf payload = {0};
        end_for(&payload, id, i < 2 ? ttl : (uint8_t)(ttl + 5));
        bad_send(link, MSG_END, &payload);
    }
}

static void run_wrong_hits(struct bad *bad) {
    answer_for_a_while(bad, answer_falsely);
}

static void run_mute(struct bad *bad) {
    answer_for_a_while(bad, answer_nothing);
}

static void run_stale_answers(struct bad *bad) {
    answer_for_a_while(bad, answer_twice);
}

/* ---- Queries ---- */

/* The same copy again and again: on a link the ttl of an id must rise. */
static void run_stale_queries(struct bad *bad) {
    struct bad_link link;
    struct buf query = {0};
    bad_query(bad, &query, "stale", 2, 1);
    bool is_open = bad_open(bad, &link);
    for (int i = 0; i < REPEATS && is_open && link.end == BAD_OPEN; i++) {
        struct buf copy = {0};
        buf_append(&copy, query.data, query.len);
        bad_send(&link, MSG_QUERY, &copy);
        bad->sent++;
    }
    bad_await_end(&link, END_MS);
    bad_close(&link);
    buf_free(&query);
}

/* Ten times what a neighbour may relay. */
static void run_mesh_flood(struct bad *bad) {
    struct bad_link link;
    int64_t begin_ms = bad_now_ms(), until_ms = begin_ms + bad->seconds * 1000;
    if (bad_open(bad, &link)) {
        while (link.end == BAD_OPEN && bad_now_ms() < until_ms) {
            struct buf query = {0};
            bad_query(bad, &query, "flood of a neighbour", 3, 1);
            bad_send(&link, MSG_QUERY, &query);
            bad->sent++;
            answer_all(&link, answer_truly, bad_now_ms() + 1);
            int64_t due_ms = begin_ms + (int64_t)(bad->sent * 1000 / FLOOD_PER_S);
            if (due_ms > bad_now_ms()) {
                bad_sleep_ms((uint32_t)(due_ms - bad_now_ms()));
            }
        }
    }
    bad_close(&link);
}

/* ---- What supernodes tell each other ---- */

/* A filter in which every bit is set would draw every search. */
static void run_poisoned_summary(struct bad *bad) {
    struct bad_link link;
    static uint8_t ones[SUMMARY_CHUNK_BYTES];
    memset(ones, 0xff, sizeof ones);
    int64_t until_ms = bad_now_ms() + bad->seconds * 1000;
    if (bad_open(bad, &link)) {
        struct summary_part part = {.version = 1,
                                    .log2_bits = 18,
                                    .hashes = SUMMARY_HASHES,
                                    .words = 1000,
                                    .kind = SUMMARY_CHUNK,
                                    .bytes = {ones, sizeof ones}};
        struct buf payload = {0};
        wire_summary_encode(&payload, &part);
        bad_send(&link, MSG_SUMMARY, &payload);
        answer_all(&link, answer_truly, until_ms);
    }
    bad_close(&link);
}

/* A chunk out of order, and a filter larger than there may be. */
static void run_wrong_summary(struct bad *bad) {
    static uint8_t bytes[SUMMARY_CHUNK_BYTES];
    for (int i = 0; i < 2; i++) {
        struct bad_link link;
        struct summary_part part = {.version = 1,
                                    .log2_bits = SUMMARY_LOG2_MAX,
                                    .hashes = SUMMARY_HASHES,
                                    .kind = SUMMARY_CHUNK,
                                    .first = 2 * SUMMARY_CHUNK_BYTES,
                                    .bytes = {bytes, sizeof bytes}};
        struct buf payload = {0};
        wire_summary_encode(&payload, &part);
        payload.data[4] = i == 0 ? SUMMARY_LOG2_MAX : SUMMARY_LOG2_MAX + 1;
        if (bad_open(bad, &link)) {
            bad_send(&link, MSG_SUMMARY, &payload);
            bad_await_end(&link, END_MS);
        }
        bad->sent++;
        buf_free(&payload);
        bad_close(&link);
    }
}

/* Supernodes that nobody asked for (CVE-2003-0397 came that way): the first may be an answer. */
static void run_unasked_nodes(struct bad *bad) {
    struct bad_link link;
    struct nodes nodes = {0};
    if (bad_open(bad, &link)) {
        for (int i = 0; i < 2; i++) {
            struct buf payload = {0};
            wire_nodes_encode(&payload, &nodes);
            bad_send(&link, MSG_NODES, &payload);
        }
        answer_all(&link, answer_truly, bad_now_ms() + END_MS);
    }
    bad_close(&link);
}

/* Dial-backs to one host under many names: how often is it dialled? Peers, who know the address and
 * want a supernode more, may dial it as well: only the one who was asked counts. */
static void run_dialback_flood(struct bad *bad) {
    struct bad_link link;
    struct sockaddr_storage storage;
    int victim = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t len = socket_address(&storage, &bad->listen);
    int yes = 1;
    setsockopt(victim, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(victim, (struct sockaddr *)&storage, len) != 0 || listen(victim, 128) != 0) {
        bad_fail("the victim cannot listen: %s", strerror(errno));
    }
    if (bad_open(bad, &link)) {
        for (int i = 0; i < VICTIMS; i++) {
            struct dialback ask = {.address = bad->listen, .nonce = (uint64_t)i};
            struct buf payload = {0};
            rng_fill(&bad->rng, ask.target.b, sizeof ask.target.b);
            wire_dialback_encode(&payload, &ask);
            bad_send(&link, MSG_DIALBACK, &payload);
            bad->sent++;
        }
        uint64_t answered = bad->answered;
        answer_all(&link, answer_truly, bad_now_ms() + 2000);
        bad->answered = answered; /* here it is dials that count */
    }
    len = sizeof storage;
    for (int fd; (fd = accept(victim, (struct sockaddr *)&storage, &len)) >= 0;) {
        struct address from = socket_address_read((struct sockaddr *)&storage);
        bad->answered += memcmp(from.ip, bad->target.ip, sizeof from.ip) == 0;
        len = sizeof storage;
        close(fd);
    }
    close(victim);
    bad_close(&link);
}

const struct bad_mode bad_mesh_modes[] = {
    {"forged-hits", PURPOSE_MESH, run_forged_hits},
    {"wrong-hits", PURPOSE_MESH, run_wrong_hits},
    {"mute", PURPOSE_MESH, run_mute},
    {"stale-answers", PURPOSE_MESH, run_stale_answers},
    {"stale-queries", PURPOSE_MESH, run_stale_queries},
    {"mesh-flood", PURPOSE_MESH, run_mesh_flood},
    {"poisoned-summary", PURPOSE_MESH, run_poisoned_summary},
    {"wrong-summary", PURPOSE_MESH, run_wrong_summary},
    {"unasked-nodes", PURPOSE_MESH, run_unasked_nodes},
    {"dialback-flood", PURPOSE_MESH, run_dialback_flood},
    {0},
};
