/* wire_link.c - messages of link-up, keepalive, goodbye, node lists and dial-back. */
#include <string.h>

#include "common/check.h"
#include "common/wire_codec.h"
#include "common/words.h"

/* ---- HELLO and WELCOME ---- */

static enum err cert_slice_rule(struct slice bytes) {
    if (bytes.len == 0) {
        return OK;
    }
    struct cert cert;
    return wire_cert_decode(bytes, &cert);
}

static enum err hello_rule(const struct hello *hello) {
    static const uint8_t zero[sizeof hello->nonce];
    bool is_sound = hello->version_min >= 1 && hello->version_min <= hello->version_max &&
                    hello->purpose >= PURPOSE_LEAF && hello->purpose <= PURPOSE_MEASURE &&
                    words_text_ok(hello->agent);
    bool has_stray_nonce =
        hello->purpose != PURPOSE_CALLBACK && memcmp(hello->nonce, zero, sizeof hello->nonce) != 0;
    enum err err = is_sound && !has_stray_nonce ? OK : ERR_FORMAT;
    err = wire_first(err, hello->agent.len <= AGENT_BYTES_MAX ? OK : ERR_LIMIT);
    err = wire_first(err, wire_nested_record_rule(hello->address_record, true));
    err = wire_first(err, cert_slice_rule(hello->cert));
    return wire_first(err, wire_tlvs_check(hello->tlvs));
}

void wire_hello_encode(struct buf *out, const struct hello *hello) {
    CHECK(hello_rule(hello) == OK);
    size_t start = out->len;
    buf_u8(out, hello->version_min);
    buf_u8(out, hello->version_max);
    buf_u32(out, hello->features);
    buf_u8(out, hello->purpose);
    buf_append(out, hello->nonce, sizeof hello->nonce);
    buf_u16(out, hello->listen_port);
    wire_put_text8(out, hello->agent);
    buf_append(out, hello->auth.b, sizeof hello->auth.b);
    wire_put_address(out, &hello->observed);
    wire_put_bytes16(out, hello->address_record);
    wire_put_bytes16(out, hello->cert);
    wire_put_bytes16(out, hello->delegation);
    wire_put_tlvs(out, hello->tlvs);
    CHECK(out->len - start <= HELLO_BYTES_MAX);
}

enum err wire_hello_decode(struct slice payload, struct hello *hello) {
    *hello = (struct hello){0};
    if (payload.len > HELLO_BYTES_MAX) {
        return ERR_LIMIT;
    }
    struct reader reader = reader_of(payload.data, payload.len);
    hello->version_min = reader_u8(&reader);
    hello->version_max = reader_u8(&reader);
    hello->features = reader_u32(&reader);
    hello->purpose = reader_u8(&reader);
    reader_copy(&reader, hello->nonce, sizeof hello->nonce);
    hello->listen_port = reader_u16(&reader);
    hello->agent = wire_get_text8(&reader);
    reader_copy(&reader, hello->auth.b, sizeof hello->auth.b);
    wire_get_address(&reader, &hello->observed);
    hello->address_record = wire_get_bytes16(&reader);
    hello->cert = wire_get_bytes16(&reader);
    hello->delegation = wire_get_bytes16(&reader);
    enum err err = wire_get_tlvs(&reader, &hello->tlvs);
    return wire_first(err, hello_rule(hello));
}

/* ---- Record lists, GOAWAY, NODES ---- */

static enum err record_list_rule(const struct record_list *list) {
    if (list->count > NODES_MAX) {
        return ERR_LIMIT;
    }
    enum err err = OK;
    for (uint8_t i = 0; i < list->count; i++) {
        err = wire_first(err, wire_nested_record_rule(list->records[i], false));
    }
    return err;
}

static void put_record_list(struct buf *out, const struct record_list *list) {
    buf_u8(out, list->count);
    for (uint8_t i = 0; i < list->count; i++) {
        wire_put_bytes16(out, list->records[i]);
    }
}

/* A count beyond the limit stays in the list for record_list_rule to refuse. */
static void get_record_list(struct reader *reader, struct record_list *list) {
    list->count = reader_u8(reader);
    for (uint8_t i = 0; i < list->count && i < NODES_MAX; i++) {
        list->records[i] = wire_get_bytes16(reader);
    }
}

static enum err goaway_rule(const struct goaway *goaway) {
    bool is_known = goaway->reason >= 1 && goaway->reason <= GOAWAY_REASON_MAX;
    enum err err = wire_first(record_list_rule(&goaway->alternatives), is_known ? OK : ERR_FORMAT);
    return wire_first(err, wire_tlvs_check(goaway->tlvs));
}

void wire_goaway_encode(struct buf *out, const struct goaway *goaway) {
    CHECK(goaway_rule(goaway) == OK);
    buf_u8(out, goaway->reason);
    buf_u16(out, goaway->retry_after_s);
    put_record_list(out, &goaway->alternatives);
    wire_put_tlvs(out, goaway->tlvs);
}

enum err wire_goaway_decode(struct slice payload, struct goaway *goaway) {
    *goaway = (struct goaway){0};
    struct reader reader = reader_of(payload.data, payload.len);
    goaway->reason = reader_u8(&reader);
    goaway->retry_after_s = reader_u16(&reader);
    get_record_list(&reader, &goaway->alternatives);
    enum err err = wire_get_tlvs(&reader, &goaway->tlvs);
    return wire_first(err, goaway_rule(goaway));
}

static enum err nodes_rule(const struct nodes *nodes) {
    return wire_first(record_list_rule(&nodes->list), wire_tlvs_check(nodes->tlvs));
}

void wire_nodes_encode(struct buf *out, const struct nodes *nodes) {
    CHECK(nodes_rule(nodes) == OK);
    put_record_list(out, &nodes->list);
    wire_put_tlvs(out, nodes->tlvs);
}

enum err wire_nodes_decode(struct slice payload, struct nodes *nodes) {
    *nodes = (struct nodes){0};
    struct reader reader = reader_of(payload.data, payload.len);
    get_record_list(&reader, &nodes->list);
    enum err err = wire_get_tlvs(&reader, &nodes->tlvs);
    return wire_first(err, nodes_rule(nodes));
}

static enum err nodes_request_rule(const struct nodes_request *request) {
    if (request->count > NODES_MAX) {
        return ERR_LIMIT;
    }
    return request->count >= 1 ? wire_tlvs_check(request->tlvs) : ERR_FORMAT;
}

void wire_nodes_request_encode(struct buf *out, const struct nodes_request *request) {
    CHECK(nodes_request_rule(request) == OK);
    buf_u8(out, request->count);
    wire_put_tlvs(out, request->tlvs);
}

enum err wire_nodes_request_decode(struct slice payload, struct nodes_request *request) {
    *request = (struct nodes_request){0};
    struct reader reader = reader_of(payload.data, payload.len);
    request->count = reader_u8(&reader);
    enum err err = wire_get_tlvs(&reader, &request->tlvs);
    return wire_first(err, nodes_request_rule(request));
}

/* ---- PING and PONG ---- */

void wire_ping_encode(struct buf *out, const struct ping *ping) {
    CHECK(wire_tlvs_check(ping->tlvs) == OK);
    buf_u64(out, ping->token);
    wire_put_tlvs(out, ping->tlvs);
}

enum err wire_ping_decode(struct slice payload, struct ping *ping) {
    *ping = (struct ping){0};
    struct reader reader = reader_of(payload.data, payload.len);
    ping->token = reader_u64(&reader);
    enum err err = wire_get_tlvs(&reader, &ping->tlvs);
    return wire_first(err, wire_tlvs_check(ping->tlvs));
}

/* ---- DIALBACK ---- */

static enum err dialback_rule(const struct dialback *dialback) {
    return wire_first(wire_address_rule(&dialback->address), wire_tlvs_check(dialback->tlvs));
}

void wire_dialback_encode(struct buf *out, const struct dialback *dialback) {
    CHECK(dialback_rule(dialback) == OK);
    buf_append(out, dialback->target.b, sizeof dialback->target.b);
    wire_put_address(out, &dialback->address);
    buf_u64(out, dialback->nonce);
    wire_put_tlvs(out, dialback->tlvs);
}

enum err wire_dialback_decode(struct slice payload, struct dialback *dialback) {
    *dialback = (struct dialback){0};
    struct reader reader = reader_of(payload.data, payload.len);
    reader_copy(&reader, dialback->target.b, sizeof dialback->target.b);
    wire_get_address(&reader, &dialback->address);
    dialback->nonce = reader_u64(&reader);
    enum err err = wire_get_tlvs(&reader, &dialback->tlvs);
    return wire_first(err, dialback_rule(dialback));
}

void wire_dialback_done_encode(struct buf *out, const struct dialback_done *done) {
    CHECK(wire_tlvs_check(done->tlvs) == OK);
    buf_u64(out, done->nonce);
    buf_u8(out, done->reached ? 1 : 0);
    wire_put_tlvs(out, done->tlvs);
}

enum err wire_dialback_done_decode(struct slice payload, struct dialback_done *done) {
    *done = (struct dialback_done){0};
    struct reader reader = reader_of(payload.data, payload.len);
    done->nonce = reader_u64(&reader);
    done->reached = wire_get_bool(&reader);
    enum err err = wire_get_tlvs(&reader, &done->tlvs);
    return wire_first(err, wire_tlvs_check(done->tlvs));
}
