/* wire_search.c - messages of a search: the query, its hits, its end. */
#include <string.h>

#include "common/check.h"
#include "common/wire_codec.h"
#include "common/wire_trust.h"
#include "common/words.h"

#define HITS_LAST 0x01 /* no more hits for this copy of the query: coverage follows */
#define HITS_TTL_AT 16 /* bytes into HITS: after the id */
#define HITS_FLAGS_AT 17
#define HITS_HEAD 18
#define COVERAGE_FIXED_BYTES 30 /* before the bytes of reach; the last is their number */

/* ---- QUERY and LOCATE ---- */

static enum err query_rule(const struct query_header *query) {
    bool is_bounded = query->ttl <= TTL_WIRE_MAX && query->hops <= TTL_WIRE_MAX &&
                      query->body.len <= QUERY_BODY_MAX;
    enum err err = wire_first(is_bounded ? OK : ERR_LIMIT, query->body.len > 0 ? OK : ERR_FORMAT);
    return wire_first(err, wire_tlvs_check(query->tlvs));
}

void wire_query_encode(struct buf *out, const struct query_header *query) {
    CHECK(query_rule(query) == OK);
    buf_u8(out, query->ttl);
    buf_u8(out, query->hops);
    buf_u16(out, query->want);
    buf_u16(out, query->deadline_ms);
    wire_put_bytes16(out, query->body);
    wire_put_tlvs(out, query->tlvs);
}

enum err wire_query_decode(struct slice payload, struct query_header *query) {
    *query = (struct query_header){0};
    struct reader reader = reader_of(payload.data, payload.len);
    query->ttl = reader_u8(&reader);
    query->hops = reader_u8(&reader);
    query->want = reader_u16(&reader);
    query->deadline_ms = reader_u16(&reader);
    query->body = wire_get_bytes16(&reader);
    enum err err = wire_get_tlvs(&reader, &query->tlvs);
    return wire_first(err, query_rule(query));
}

void wire_query_patch(uint8_t *payload, uint8_t ttl, uint8_t hops, uint16_t deadline_ms) {
    CHECK(ttl <= TTL_WIRE_MAX && hops <= TTL_WIRE_MAX);
    payload[0] = ttl;
    payload[1] = hops;
    payload[4] = (uint8_t)(deadline_ms >> 8);
    payload[5] = (uint8_t)deadline_ms;
}

void wire_query_id(struct slice compressed_body, const struct crypto *crypto, struct query_id *id) {
    struct hash hash;
    crypto_hash(crypto, compressed_body, &hash);
    memcpy(id->b, hash.b, sizeof id->b);
}

static enum err query_text_rule(struct slice text) {
    if (text.len > QUERY_TEXT_MAX) {
        return ERR_LIMIT;
    }
    return text.len >= 1 && words_text_ok(text) ? OK : ERR_FORMAT;
}

static enum err query_body_rule(const struct query_body *body) {
    enum err err = ERR_FORMAT;
    if (body->kind == QUERY_WORDS) {
        err = query_text_rule(body->text);
    } else if (body->kind == QUERY_CONTENT) {
        err = wire_content_rule(&body->content);
    }
    return wire_first(err, wire_tlvs_check(body->tlvs));
}

void wire_query_body_encode(struct buf *out, const struct query_body *body) {
    CHECK(query_body_rule(body) == OK);
    size_t start = out->len;
    buf_append(out, body->salt, sizeof body->salt);
    buf_u8(out, body->kind);
    if (body->kind == QUERY_WORDS) {
        wire_put_bytes16(out, body->text);
    } else {
        wire_put_content(out, &body->content);
    }
    wire_put_tlvs(out, body->tlvs);
    CHECK(out->len - start <= QUERY_BODY_MAX);
}

enum err wire_query_body_decode(struct slice bytes, struct query_body *body) {
    *body = (struct query_body){0};
    if (bytes.len > QUERY_BODY_MAX) {
        return ERR_LIMIT;
    }
    struct reader reader = reader_of(bytes.data, bytes.len);
    reader_copy(&reader, body->salt, sizeof body->salt);
    body->kind = reader_u8(&reader);
    if (body->kind == QUERY_WORDS) {
        body->text = wire_get_bytes16(&reader);
    } else if (body->kind == QUERY_CONTENT) {
        wire_get_content(&reader, &body->content);
    }
    enum err err = wire_get_tlvs(&reader, &body->tlvs);
    return wire_first(err, query_body_rule(body));
}

/* ---- Coverage, END ---- */

static bool has_reach(const struct coverage *coverage) {
    uint8_t any = 0;
    for (size_t i = 0; i < REACH_BYTES; i++) {
        any |= coverage->reach[i];
    }
    return any != 0;
}

static void put_coverage(struct buf *out, const struct coverage *coverage) {
    buf_u16(out, coverage->supernodes);
    buf_u32(out, coverage->leaves);
    buf_u64(out, coverage->files);
    buf_u16(out, coverage->refused);
    buf_u8(out, coverage->truncated ? 1 : 0);
    buf_u32(out, coverage->copies);
    buf_u32(out, coverage->spared);
    buf_u16(out, coverage->reached);
    buf_u16(out, coverage->known);
    uint8_t bytes = has_reach(coverage) ? REACH_BYTES : 0;
    buf_u8(out, bytes);
    buf_append(out, coverage->reach, bytes);
}

static void get_coverage(struct reader *reader, struct coverage *coverage) {
    coverage->supernodes = reader_u16(reader);
    coverage->leaves = reader_u32(reader);
    coverage->files = reader_u64(reader);
    coverage->refused = reader_u16(reader);
    coverage->truncated = wire_get_bool(reader);
    coverage->copies = reader_u32(reader);
    coverage->spared = reader_u32(reader);
    coverage->reached = reader_u16(reader);
    coverage->known = reader_u16(reader);
    uint8_t bytes = reader_u8(reader);
    if (bytes != 0) {
        reader_copy(reader, coverage->reach, REACH_BYTES);
        reader->failed |= bytes != REACH_BYTES || !has_reach(coverage);
    }
}

static enum err end_rule(const struct query_end *end) {
    return end->ttl <= TTL_WIRE_MAX ? wire_tlvs_check(end->tlvs) : ERR_LIMIT;
}

void wire_end_encode(struct buf *out, const struct query_end *end) {
    CHECK(end_rule(end) == OK);
    buf_append(out, end->id.b, sizeof end->id.b);
    buf_u8(out, end->ttl);
    put_coverage(out, &end->coverage);
    wire_put_tlvs(out, end->tlvs);
}

enum err wire_end_decode(struct slice payload, struct query_end *end) {
    *end = (struct query_end){0};
    struct reader reader = reader_of(payload.data, payload.len);
    reader_copy(&reader, end->id.b, sizeof end->id.b);
    end->ttl = reader_u8(&reader);
    get_coverage(&reader, &end->coverage);
    enum err err = wire_get_tlvs(&reader, &end->tlvs);
    return wire_first(err, end_rule(end));
}

void wire_end_wait_put(struct buf *tlvs, uint32_t wait_ms) {
    buf_u8(tlvs, END_TAG_WAIT);
    buf_u16(tlvs, sizeof wait_ms);
    buf_u32(tlvs, wait_ms);
}

uint32_t wire_end_wait_ms(const struct query_end *end) {
    struct slice value = wire_tlv_find(end->tlvs, END_TAG_WAIT);
    struct reader reader = reader_of(value.data, value.len);
    return value.len == sizeof(uint32_t) ? reader_u32(&reader) : 0;
}

/* ---- HITS ---- */

static void put_holder(struct buf *out, const struct holder *holder) {
    wire_put_bytes16(out, holder->address_record);
    if (holder->address_record.len == 0) {
        buf_append(out, holder->id.b, sizeof holder->id.b);
    }
    buf_u8(out, holder->flags);
    buf_u8(out, holder->free_slots);
    buf_u16(out, holder->queue);
    buf_u32(out, holder->speed_kib);
}

/* An address record begins with its key. */
static void get_holder(struct reader *reader, struct holder *holder) {
    holder->address_record = wire_get_bytes16(reader);
    if (holder->address_record.len == 0) {
        reader_copy(reader, holder->id.b, sizeof holder->id.b);
    } else if (holder->address_record.len >= sizeof holder->id.b) {
        memcpy(holder->id.b, holder->address_record.data, sizeof holder->id.b);
    }
    holder->flags = reader_u8(reader);
    holder->free_slots = reader_u8(reader);
    holder->queue = reader_u16(reader);
    holder->speed_kib = reader_u32(reader);
}

static void put_hit(struct buf *out, const struct hit *hit) {
    wire_file_record_encode(out, &hit->file);
    buf_u8(out, hit->holder_count);
    buf_append(out, hit->holders, hit->holder_count);
}

static enum err get_hit(struct reader *reader, struct hit *hit) {
    enum err err = wire_file_record_read(reader, &hit->file);
    hit->holder_count = reader_u8(reader);
    if (hit->holder_count > RECORD_HOLDERS_MAX) {
        return wire_first(err, ERR_LIMIT);
    }
    reader_copy(reader, hit->holders, hit->holder_count);
    return err;
}

/* Each holder once, and the id it is known by is its record's key. */
static enum err holders_rule(const struct hits *hits) {
    enum err err = OK;
    for (uint8_t i = 0; i < hits->holder_count && err == OK; i++) {
        const struct holder *holder = &hits->holders[i];
        err = wire_nested_record_rule(holder->address_record, true);
        if (err == OK && holder->address_record.len > 0 &&
            memcmp(holder->address_record.data, holder->id.b, sizeof holder->id.b) != 0) {
            err = ERR_FORMAT;
        }
        for (uint8_t other = 0; other < i && err == OK; other++) {
            err = node_id_equal(&holder->id, &hits->holders[other].id) ? ERR_FORMAT : OK;
        }
    }
    return err;
}

/* All but the file record, which is checked where it is read and written. */
static enum err hit_rule(const struct hit *hit, uint8_t holder_count) {
    if (hit->holder_count > RECORD_HOLDERS_MAX) {
        return ERR_LIMIT;
    }
    bool is_sound = hit->holder_count >= 1;
    for (uint8_t i = 0; i < hit->holder_count; i++) {
        bool is_rising = i == 0 || hit->holders[i - 1] < hit->holders[i];
        is_sound = is_sound && is_rising && hit->holders[i] < holder_count;
    }
    return is_sound ? OK : ERR_FORMAT;
}

static enum err hits_rule(const struct hits *hits) {
    bool is_bounded = hits->ttl <= TTL_WIRE_MAX && hits->holder_count <= HITS_HOLDERS_MAX &&
                      hits->hit_count <= HITS_RECORDS_MAX;
    if (!is_bounded) {
        return ERR_LIMIT;
    }
    enum err err = wire_first(wire_nested_record_rule(hits->answerer, true), holders_rule(hits));
    for (uint8_t i = 0; i < hits->hit_count && err == OK; i++) {
        err = hit_rule(&hits->hits[i], hits->holder_count);
    }
    return wire_first(err, wire_tlvs_check(hits->tlvs));
}

void wire_hits_encode(struct buf *out, const struct hits *hits) {
    CHECK(hits_rule(hits) == OK);
    buf_append(out, hits->id.b, sizeof hits->id.b);
    buf_u8(out, hits->ttl);
    buf_u8(out, hits->last ? HITS_LAST : 0);
    if (hits->last) {
        put_coverage(out, &hits->coverage);
    }
    wire_put_bytes16(out, hits->answerer);
    buf_u8(out, hits->holder_count);
    buf_u8(out, hits->hit_count);
    for (uint8_t i = 0; i < hits->holder_count; i++) {
        put_holder(out, &hits->holders[i]);
    }
    for (uint8_t i = 0; i < hits->hit_count; i++) {
        put_hit(out, &hits->hits[i]);
    }
    wire_put_tlvs(out, hits->tlvs);
}

/* All before the two tables. */
static enum err get_hits_head(struct reader *reader, struct hits *hits) {
    reader_copy(reader, hits->id.b, sizeof hits->id.b);
    hits->ttl = reader_u8(reader);
    hits->last = wire_get_bool(reader);
    if (hits->last) {
        get_coverage(reader, &hits->coverage);
    }
    hits->answerer = wire_get_bytes16(reader);
    hits->holder_count = reader_u8(reader);
    hits->hit_count = reader_u8(reader);
    bool is_bounded = hits->holder_count <= HITS_HOLDERS_MAX && hits->hit_count <= HITS_RECORDS_MAX;
    return is_bounded ? OK : ERR_LIMIT;
}

enum err wire_hits_decode(struct slice payload, struct hits *hits) {
    *hits = (struct hits){0};
    struct reader reader = reader_of(payload.data, payload.len);
    enum err err = get_hits_head(&reader, hits);
    for (uint8_t i = 0; i < hits->holder_count && err == OK && !reader.failed; i++) {
        get_holder(&reader, &hits->holders[i]);
    }
    for (uint8_t i = 0; i < hits->hit_count && err == OK && !reader.failed; i++) {
        err = get_hit(&reader, &hits->hits[i]);
    }
    err = wire_first(err, wire_get_tlvs(&reader, &hits->tlvs));
    return err == OK ? hits_rule(hits) : err;
}

void wire_hits_pass(struct buf *out, struct slice payload, uint8_t ttl) {
    size_t skip = HITS_HEAD;
    if ((payload.data[HITS_FLAGS_AT] & HITS_LAST) != 0) {
        skip += COVERAGE_FIXED_BYTES + (size_t)payload.data[HITS_HEAD + COVERAGE_FIXED_BYTES - 1];
    }
    buf_append(out, payload.data, HITS_TTL_AT);
    buf_u8(out, ttl);
    buf_u8(out, 0);
    buf_append(out, payload.data + skip, payload.len - skip);
}
