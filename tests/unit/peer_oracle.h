/* peer_oracle.h - a supernode without a mind that answers searches as a test wants it. */
#ifndef TRUNKLINE_TESTS_UNIT_PEER_ORACLE_H
#define TRUNKLINE_TESTS_UNIT_PEER_ORACLE_H

#include "tests/unit/peer_raw.h"

/* What it answers to a QUERY. */
struct oracle {
    struct hits hits; /* sent for every query; `id` is filled in */
    bool says_end;    /* END instead of HITS */
    bool is_silent;
    uint32_t wait_ms; /* that END asks for; 0 = it does not */
    struct coverage coverage;
    uint32_t queries;
    struct query_id ids[4]; /* of the first */
    struct query_header last;
    struct query_body body;
    char text[QUERY_TEXT_MAX + 1];
};

static inline void oracle_send_hits(struct link *link, const struct hits *hits) {
    struct buf payload = {0};
    wire_hits_encode(&payload, hits);
    links_send(link, MSG_HITS, (struct slice){payload.data, payload.len});
    buf_free(&payload);
}

static inline void oracle_send_end(const struct oracle *oracle, struct link *link,
                                   const struct query_id *id) {
    struct query_end end = {.id = *id, .ttl = oracle->last.ttl, .coverage = oracle->coverage};
    struct buf payload = {0}, tlvs = {0};
    if (oracle->wait_ms > 0) {
        wire_end_wait_put(&tlvs, oracle->wait_ms);
    }
    end.tlvs = (struct slice){tlvs.data, tlvs.len};
    wire_end_encode(&payload, &end);
    links_send(link, MSG_END, (struct slice){payload.data, payload.len});
    buf_free(&payload);
    buf_free(&tlvs);
}

static inline void oracle_take_query(struct raw *raw, struct link *link, struct slice payload) {
    struct oracle *oracle = raw->context;
    struct query_id id;
    struct slice plain;
    assert_int_equal(wire_query_decode(payload, &oracle->last), OK);
    wire_query_id(oracle->last.body, raw->node->env.crypto, &id);
    assert_int_equal(
        packer_inflate(raw->node->env.packer, oracle->last.body, QUERY_BODY_MAX, &plain), OK);
    assert_int_equal(wire_query_body_decode(plain, &oracle->body), OK);
    if (oracle->body.kind == QUERY_WORDS) {
        memcpy(oracle->text, oracle->body.text.data, oracle->body.text.len);
    }
    oracle->text[oracle->body.text.len] = '\0';
    if (oracle->queries < LENGTH(oracle->ids)) {
        oracle->ids[oracle->queries] = id;
    }
    oracle->queries++;
    if (oracle->is_silent) {
        return;
    }
    if (oracle->says_end) {
        oracle_send_end(oracle, link, &id);
        return;
    }
    struct hits hits = oracle->hits;
    hits.id = id;
    hits.ttl = oracle->last.ttl;
    oracle_send_hits(link, &hits);
    oracle_send_hits(link, &hits); /* the same again: nothing new */
    hits.hit_count = 0;
    hits.holder_count = 0;
    hits.last = true;
    hits.coverage = oracle->coverage;
    oracle_send_hits(link, &hits);
}

static inline void oracle_answer(struct raw *raw, struct link *link, uint8_t type,
                                 struct slice payload) {
    if (type == MSG_QUERY || type == MSG_LOCATE) {
        oracle_take_query(raw, link, payload);
    }
}

#endif
