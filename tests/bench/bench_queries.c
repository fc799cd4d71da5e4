/* bench_queries.c - whole queries per second of a supernode's CPU time: in over TLS from one
 * neighbour, inflated, matched against 100,000 records, passed on to 5 others over TLS, their
 * answers gathered, the hits and the end sent back.
 *
 * Beside it stands what cannot be spared: inflate, read the query, search, and copy five headers,
 * in this process, with nothing around it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/query.h"
#include "supernode/index.h"
#include "tests/bench/bench_paper.h"
#include "tests/bench/bench_wire.h"

#define LEAVES 100
#define FILES 1000
#define NEIGHBOURS 5
#define TTL 3 /* so that copies go on whatever a summary says */
#define MEASURE_S 1.5
#define BARE_QUERIES 20000

static struct {
    struct wire wire;
    struct wire_link *asker;
    struct wire_link *neighbours[NEIGHBOURS];
    struct rng rng;
    uint64_t asked;
    uint64_t ended;
    uint64_t hits;
    uint64_t copies;
} load;

/* ---- The neighbours ---- */

static void answer(struct wire_link *link, struct slice payload) {
    struct query_header header;
    struct query_end end = {.coverage.supernodes = 1};
    struct buf out = {0};
    if (wire_query_decode(payload, &header) != OK) {
        bench_fail("a supernode passed nonsense on");
    }
    load.copies++;
    wire_query_id(header.body, identity_crypto(link->identity), &end.id);
    end.ttl = header.ttl;
    wire_end_encode(&out, &end);
    wire_message(link, MSG_END, (struct slice){out.data, out.len});
    buf_free(&out);
}

static void take_message(struct wire_link *link, const struct session_message *message) {
    struct hits hits;
    if (message->type == MSG_QUERY && link != load.asker) {
        answer(link, message->payload);
    } else if (message->type == MSG_END && link == load.asker) {
        load.ended++;
    } else if (message->type == MSG_HITS && link == load.asker) {
        if (wire_hits_decode(message->payload, &hits) != OK) {
            bench_fail("a supernode sent broken hits");
        }
        load.hits += hits.hit_count;
        load.ended += hits.last;
    }
}

static void take(struct wire_link *link, struct slice data) {
    wire_each_message(link, data, take_message);
}

/* ---- The asker ---- */

static void append_body(struct buf *out, struct packer *packer) {
    char text[PAPER_NAME_BYTES];
    struct buf plain = {0};
    struct query_body body = {.kind = QUERY_WORDS};
    paper_query(text, (uint32_t)rng_below(&load.rng, LEAVES * FILES));
    body.text = (struct slice){(const uint8_t *)text, strlen(text)};
    rng_fill(&load.rng, body.salt, sizeof body.salt);
    wire_query_body_encode(&plain, &body);
    packer_deflate(packer, (struct slice){plain.data, plain.len}, out);
    buf_free(&plain);
}

static void ask(uint32_t window) {
    struct buf frames = {0};
    for (uint32_t i = 0; i < window; i++) {
        struct buf body = {0}, payload = {0};
        append_body(&body, load.wire.packer);
        struct query_header header = {.ttl = TTL,
                                      .hops = 1,
                                      .want = 100,
                                      .deadline_ms = QUERY_DEADLINE_MS / 2,
                                      .body = {body.data, body.len}};
        wire_query_encode(&payload, &header);
        session_pack(load.wire.packer, MSG_QUERY, (struct slice){payload.data, payload.len},
                     &frames);
        buf_free(&body);
        buf_free(&payload);
    }
    load.asked += window;
    wire_send(load.asker, (struct slice){frames.data, frames.len});
    buf_free(&frames);
}

static void run_for(uint32_t window, double seconds) {
    double end = bench_now() + seconds;
    while (bench_now() < end) {
        ask(window);
        while (load.ended < load.asked) {
            wire_turn(&load.wire, 100);
            if (load.wire.gone > 0 || bench_now() > end + 10) {
                bench_fail("%llu of %llu queries were answered", (unsigned long long)load.ended,
                           (unsigned long long)load.asked);
            }
        }
    }
}

/* Queries per second of the supernode's CPU time. */
static double measure(pid_t pid, uint32_t window) {
    run_for(window, 0.2);
    uint64_t before = load.asked;
    double cpu_s = bench_cpu(pid);
    run_for(window, MEASURE_S);
    return (double)(load.asked - before) / (bench_cpu(pid) - cpu_s);
}

/* ---- The parts alone ---- */

static struct index *make_index(char *owner) {
    struct index *index = index_new(1, INDEX_BYTES_MAX);
    for (uint32_t leaf = 0; leaf < LEAVES; leaf++) {
        struct index_list *list = index_list_new(index, owner);
        for (uint32_t i = 0; i < FILES; i++) {
            char name[PAPER_NAME_BYTES];
            struct file_record record;
            paper_record(&record, name, leaf * FILES + i);
            if (index_list_add(list, &record) != OK) {
                bench_fail("the index is full");
            }
        }
        index_list_show(list, true);
    }
    return index;
}

static void search_once(const struct index *index, struct packer *packer, struct slice packed,
                        struct index_answer *found) {
    struct slice plain;
    struct query_body body;
    struct query_expr query;
    uint8_t headers[NEIGHBOURS][FRAME_PAYLOAD_MAX / 64];
    struct index_ask ask_for = {.max = 100};
    if (packer_inflate(packer, packed, QUERY_BODY_MAX, &plain) != OK ||
        wire_query_body_decode(plain, &body) != OK || query_parse(body.text, &query, NULL) != OK) {
        bench_fail("a query of ours cannot be read");
    }
    index_search(index, &query, &ask_for, found);
    for (size_t i = 0; i < NEIGHBOURS; i++) {
        memcpy(headers[i], packed.data, packed.len);
        __asm__ volatile("" : : "r"(headers[i]) : "memory");
    }
}

static double measure_parts(void) {
    char owner = 0;
    struct index *index = make_index(&owner);
    struct index_answer *found = mem_new(sizeof *found);
    struct buf *bodies = mem_array(BARE_QUERIES, sizeof *bodies);
    for (size_t i = 0; i < BARE_QUERIES; i++) {
        append_body(&bodies[i], load.wire.packer);
    }
    double cpu_s = bench_cpu(getpid());
    for (size_t i = 0; i < BARE_QUERIES; i++) {
        search_once(index, load.wire.packer, (struct slice){bodies[i].data, bodies[i].len}, found);
    }
    cpu_s = bench_cpu(getpid()) - cpu_s;
    for (size_t i = 0; i < BARE_QUERIES; i++) {
        buf_free(&bodies[i]);
    }
    mem_free(bodies);
    mem_free(found);
    index_free(index);
    return BARE_QUERIES / cpu_s;
}

/* ---- Both ---- */

/* Returns the leaves' host: they stay linked, and silent, as long as nobody runs it. */
static struct host *register_records(const struct bench_network *network) {
    struct host *host = bench_host();
    for (uint32_t i = 0; i < LEAVES; i++) {
        struct paper paper = {.first = i * FILES, .files = FILES};
        paper_peer(host, network, 0, &paper);
    }
    paper_wait(host, network, (uint64_t)LEAVES * FILES);
    return host;
}

static struct wire_link *dial_mesh(const struct bench_network *network) {
    struct address at = bench_supernode_address(network, 0);
    struct wire_link *link = wire_dial(&load.wire, &at, &network->introducers[0].id);
    wire_hello(link, &network->file.network, PURPOSE_MESH);
    return link;
}

void bench_queries(const struct bench *bench) {
    static const struct {
        uint32_t window;
        double target;
    } rows[] = {{1, 0}, {16, 0}, {256, 60}};
    struct bench_network network;
    bench_network_start(&network, bench, 1);
    wire_init(&load.wire, take);
    rng_seed(&load.rng, 1);
    struct host *leaves = register_records(&network);
    for (size_t i = 0; i < NEIGHBOURS; i++) {
        load.neighbours[i] = dial_mesh(&network);
    }
    load.asker = dial_mesh(&network);
    double parts = measure_parts() / 1000;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char name[40];
        snprintf(name, sizeof name, "whole queries, window %u", rows[i].window);
        bench_figure(
            bench, &(struct figure){
                       .name = name,
                       .value = measure(process_pid(network.supernodes[0]), rows[i].window) / 1000,
                       .unit = "k/s",
                       .peer = "its parts alone, no TLS",
                       .peer_value = parts,
                       .target = rows[i].target,
                       .better = BETTER_HIGH});
    }
    if (load.copies < load.asked * NEIGHBOURS || load.hits < load.asked) {
        bench_fail(
            "queries were not passed on or found nothing: %llu asked, %llu copies, %llu hits",
            (unsigned long long)load.asked, (unsigned long long)load.copies,
            (unsigned long long)load.hits);
    }
    for (size_t i = 0; i < NEIGHBOURS; i++) {
        wire_close(load.neighbours[i]);
    }
    wire_close(load.asker);
    wire_free(&load.wire);
    bench_host_stop(leaves);
    bench_network_stop(&network);
}
