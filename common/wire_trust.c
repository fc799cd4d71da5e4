/* wire_trust.c - the records and messages of promotion. */
#include "common/wire_trust.h"

#include <string.h>

#include "common/check.h"
#include "common/wire_codec.h"
#include "common/words.h"

#define PREFIX_BYTES 8

/* ---- What several have in common ---- */

/* The TLVs that stand before so many bytes of signatures. */
static enum err get_signed_tlvs(struct reader *reader, size_t signatures, struct slice *tlvs) {
    if (reader->failed || reader_left(reader) < signatures) {
        return ERR_FORMAT;
    }
    *tlvs = reader_slice(reader, reader_left(reader) - signatures);
    return tlvs->len <= RECORD_HEADROOM ? wire_tlvs_check(*tlvs) : ERR_LIMIT;
}

/* The TLVs and the signature that end a record. */
static enum err get_signed_end(struct reader *reader, struct slice *tlvs, uint8_t *signature) {
    enum err err = get_signed_tlvs(reader, SIGNATURE_BYTES, tlvs);
    reader_copy(reader, signature, SIGNATURE_BYTES);
    return err;
}

/* Encoded records end in their signature: what stands before it is what it covers. */
static struct signed_bytes covered(const struct buf *encoded, uint8_t type,
                                   const struct signer_env *env) {
    return (struct signed_bytes){.network_id = env->network_id,
                                 .type = type,
                                 .body = {encoded->data, encoded->len - SIGNATURE_BYTES}};
}

static void sign_encoded(struct buf *encoded, uint8_t type, const struct signer_env *env,
                         uint8_t *signature) {
    struct signed_bytes bytes = covered(encoded, type, env);
    crypto_sign(env->crypto, &bytes, signature);
    buf_free(encoded);
}

static enum err check_encoded(struct buf *encoded, uint8_t type, const struct signer_env *env,
                              const struct node_id *signer, const uint8_t *signature) {
    struct signed_bytes bytes = covered(encoded, type, env);
    enum err err = crypto_verify(env->crypto, &bytes, signer, signature);
    buf_free(encoded);
    return err;
}

static bool ids_rise(const struct node_id *a, const struct node_id *b) {
    return memcmp(a->b, b->b, sizeof a->b) < 0;
}

static void get_id(struct reader *reader, struct node_id *id) {
    reader_copy(reader, id->b, sizeof id->b);
}

static void put_id(struct buf *out, const struct node_id *id) {
    buf_append(out, id->b, sizeof id->b);
}

static void get_hash(struct reader *reader, struct hash *hash) {
    reader_copy(reader, hash->b, sizeof hash->b);
}

static void put_hash(struct buf *out, const struct hash *hash) {
    buf_append(out, hash->b, sizeof hash->b);
}

struct slice wire_tlv_find(struct slice tlvs, uint8_t wanted) {
    struct reader reader = reader_of(tlvs.data, tlvs.len);
    while (reader_left(&reader) > 0) {
        uint8_t tag = reader_u8(&reader);
        struct slice value = reader_slice(&reader, reader_u16(&reader));
        if (tag == wanted) {
            return value;
        }
    }
    return (struct slice){0};
}

/* ---- ROW ---- */

static enum err row_rule(const struct row_record *row) {
    if (row->count > ROW_ENTRIES_MAX || row->tlvs.len > RECORD_HEADROOM) {
        return ERR_LIMIT;
    }
    bool is_fine = true;
    uint32_t sum = 0;
    for (uint8_t i = 0; i < row->count; i++) {
        const struct row_entry *entry = &row->entries[i];
        sum += entry->weight;
        is_fine = is_fine && entry->weight >= 1 && !node_id_equal(&entry->subject, &row->issuer) &&
                  (i == 0 || ids_rise(&row->entries[i - 1].subject, &entry->subject));
    }
    return is_fine && sum <= ROW_WEIGHT_SUM ? wire_tlvs_check(row->tlvs) : ERR_FORMAT;
}

void wire_row_encode(struct buf *out, const struct row_record *row) {
    CHECK(row_rule(row) == OK);
    put_id(out, &row->issuer);
    buf_u32(out, row->epoch);
    buf_append(out, row->previous, sizeof row->previous);
    buf_u8(out, row->count);
    for (uint8_t i = 0; i < row->count; i++) {
        put_id(out, &row->entries[i].subject);
        buf_u16(out, row->entries[i].weight);
    }
    wire_put_tlvs(out, row->tlvs);
    buf_append(out, row->signature, sizeof row->signature);
}

enum err wire_row_decode(struct slice bytes, struct row_record *row) {
    *row = (struct row_record){0};
    if (bytes.len > ROW_BYTES_MAX) {
        return ERR_LIMIT;
    }
    struct reader reader = reader_of(bytes.data, bytes.len);
    get_id(&reader, &row->issuer);
    row->epoch = reader_u32(&reader);
    reader_copy(&reader, row->previous, sizeof row->previous);
    row->count = reader_u8(&reader);
    if (row->count > ROW_ENTRIES_MAX) {
        return ERR_LIMIT;
    }
    for (uint8_t i = 0; i < row->count; i++) {
        get_id(&reader, &row->entries[i].subject);
        row->entries[i].weight = reader_u16(&reader);
    }
    enum err err = get_signed_end(&reader, &row->tlvs, row->signature);
    return wire_first(err, row_rule(row));
}

void wire_row_load_put(struct buf *tlvs, const struct row_load *load) {
    buf_u8(tlvs, ROW_TAG_LOAD);
    buf_u16(tlvs, ROW_LOAD_BYTES);
    buf_u16(tlvs, load->leaves);
    buf_u16(tlvs, load->slots);
    buf_u64(tlvs, load->bytes);
    buf_u32(tlvs, load->ms);
}

struct row_load wire_row_load(const struct row_record *row) {
    struct slice value = wire_tlv_find(row->tlvs, ROW_TAG_LOAD);
    struct row_load load = {0};
    if (value.len == ROW_LOAD_BYTES) {
        struct reader reader = reader_of(value.data, value.len);
        load.leaves = reader_u16(&reader);
        load.slots = reader_u16(&reader);
        load.bytes = reader_u64(&reader);
        load.ms = reader_u32(&reader);
    }
    return load;
}

uint64_t wire_row_bytes(const struct row_record *row, uint16_t weight) {
    uint64_t total = wire_row_load(row).bytes;
    uint64_t bytes =
        total / ROW_WEIGHT_SUM * weight + total % ROW_WEIGHT_SUM * weight / ROW_WEIGHT_SUM;
    return bytes < MEASURE_BYTES_MAX ? bytes : MEASURE_BYTES_MAX;
}

void wire_row_sign(struct row_record *row, const struct signer_env *env) {
    struct buf encoded = {0};
    wire_row_encode(&encoded, row);
    sign_encoded(&encoded, RECORD_ROW, env, row->signature);
}

enum err wire_row_check(const struct row_record *row, const struct signer_env *env) {
    struct buf encoded = {0};
    wire_row_encode(&encoded, row);
    return check_encoded(&encoded, RECORD_ROW, env, &row->issuer, row->signature);
}

/* ---- CANDIDACY ---- */

static enum err candidacy_rule(const struct candidacy *candidacy) {
    if (candidacy->tlvs.len > RECORD_HEADROOM) {
        return ERR_LIMIT;
    }
    enum err err = wire_nested_record_rule(candidacy->address_record, false);
    bool is_fine = candidacy->rate_kib >= 1 && candidacy->day_mib >= 1;
    err = wire_first(err, is_fine ? OK : ERR_FORMAT);
    return wire_first(err, wire_tlvs_check(candidacy->tlvs));
}

void wire_candidacy_encode(struct buf *out, const struct candidacy *candidacy) {
    CHECK(candidacy_rule(candidacy) == OK);
    put_id(out, &candidacy->subject);
    wire_put_bytes16(out, candidacy->address_record);
    buf_u32(out, candidacy->epoch);
    buf_u32(out, candidacy->rate_kib);
    buf_u32(out, candidacy->day_mib);
    buf_u32(out, candidacy->up_kib);
    buf_u32(out, candidacy->down_kib);
    buf_u32(out, candidacy->uptime_s);
    buf_u32(out, candidacy->mean_uptime_s);
    buf_u8(out, candidacy->flags);
    put_id(out, &candidacy->sponsor);
    wire_put_tlvs(out, candidacy->tlvs);
    buf_append(out, candidacy->by_subject, sizeof candidacy->by_subject);
    buf_append(out, candidacy->by_owner, sizeof candidacy->by_owner);
    buf_append(out, candidacy->by_sponsor, sizeof candidacy->by_sponsor);
}

enum err wire_candidacy_decode(struct slice bytes, struct candidacy *candidacy) {
    *candidacy = (struct candidacy){0};
    if (bytes.len > CANDIDACY_BYTES_MAX) {
        return ERR_LIMIT;
    }
    struct reader reader = reader_of(bytes.data, bytes.len);
    get_id(&reader, &candidacy->subject);
    candidacy->address_record = wire_get_bytes16(&reader);
    candidacy->epoch = reader_u32(&reader);
    candidacy->rate_kib = reader_u32(&reader);
    candidacy->day_mib = reader_u32(&reader);
    candidacy->up_kib = reader_u32(&reader);
    candidacy->down_kib = reader_u32(&reader);
    candidacy->uptime_s = reader_u32(&reader);
    candidacy->mean_uptime_s = reader_u32(&reader);
    candidacy->flags = reader_u8(&reader);
    get_id(&reader, &candidacy->sponsor);
    enum err err =
        get_signed_tlvs(&reader, CANDIDACY_SIGNATURES * SIGNATURE_BYTES, &candidacy->tlvs);
    reader_copy(&reader, candidacy->by_subject, SIGNATURE_BYTES);
    reader_copy(&reader, candidacy->by_owner, SIGNATURE_BYTES);
    reader_copy(&reader, candidacy->by_sponsor, SIGNATURE_BYTES);
    return wire_first(err, candidacy_rule(candidacy));
}

struct node_id wire_candidacy_owner(const struct candidacy *candidacy) {
    struct address_record record;
    CHECK(wire_address_record_decode(candidacy->address_record, &record) == OK);
    return record.key;
}

/* What the last `signatures` of a candidacy's end stand behind. */
static void encode_before(struct buf *out, const struct candidacy *candidacy, int signatures) {
    wire_candidacy_encode(out, candidacy);
    out->len -= (size_t)signatures * SIGNATURE_BYTES;
}

void wire_candidacy_subject_bytes(struct buf *out, const struct candidacy *candidacy) {
    encode_before(out, candidacy, CANDIDACY_SIGNATURES);
}

/* The three parties, in the order in which they sign. */
static const uint8_t parties[CANDIDACY_SIGNATURES] = {RECORD_CANDIDACY_SUBJECT, RECORD_CANDIDACY,
                                                      RECORD_CANDIDACY_SPONSOR};

static void sign_as(const struct candidacy *candidacy, int party, const struct signer_env *env,
                    uint8_t *signature) {
    struct buf body = {0};
    encode_before(&body, candidacy, CANDIDACY_SIGNATURES - party);
    struct signed_bytes bytes = {env->network_id, parties[party], {body.data, body.len}};
    crypto_sign(env->crypto, &bytes, signature);
    buf_free(&body);
}

void wire_candidacy_sign(struct candidacy *candidacy, const struct signer_env *env) {
    sign_as(candidacy, 1, env, candidacy->by_owner);
}

void wire_candidacy_sponsor(struct candidacy *candidacy, const struct signer_env *env) {
    sign_as(candidacy, 2, env, candidacy->by_sponsor);
}

static enum err check_party(const struct candidacy *candidacy, int party,
                            const struct signer_env *env) {
    struct node_id owner = wire_candidacy_owner(candidacy);
    const struct node_id *ids[] = {&candidacy->subject, &owner, &candidacy->sponsor};
    const uint8_t *signatures[] = {candidacy->by_subject, candidacy->by_owner,
                                   candidacy->by_sponsor};
    struct buf body = {0};
    encode_before(&body, candidacy, CANDIDACY_SIGNATURES - party);
    struct signed_bytes bytes = {env->network_id, parties[party], {body.data, body.len}};
    enum err err = crypto_verify(env->crypto, &bytes, ids[party], signatures[party]);
    buf_free(&body);
    return err;
}

enum err wire_candidacy_check_subject(const struct candidacy *candidacy,
                                      const struct signer_env *env) {
    return check_party(candidacy, 0, env);
}

enum err wire_candidacy_check(const struct candidacy *candidacy, const struct signer_env *env) {
    enum err err = OK;
    for (int party = CANDIDACY_SIGNATURES - 1; party >= 0 && err == OK; party--) {
        err = check_party(candidacy, party, env);
    }
    return err;
}

/* ---- CHECKPOINT ---- */

static enum err checkpoint_rule(const struct checkpoint *checkpoint) {
    if (checkpoint->tlvs.len > RECORD_HEADROOM || checkpoint->members > MEMBERS_MAX) {
        return ERR_LIMIT;
    }
    return checkpoint->members >= 1 ? wire_tlvs_check(checkpoint->tlvs) : ERR_FORMAT;
}

void wire_checkpoint_encode(struct buf *out, const struct checkpoint *checkpoint) {
    CHECK(checkpoint_rule(checkpoint) == OK);
    buf_u32(out, checkpoint->epoch);
    buf_u32(out, checkpoint->members);
    put_hash(out, &checkpoint->set_root);
    put_hash(out, &checkpoint->candidate_root);
    put_hash(out, &checkpoint->beacon);
    put_hash(out, &checkpoint->previous);
    buf_u8(out, checkpoint->anchor);
    wire_put_tlvs(out, checkpoint->tlvs);
    buf_append(out, checkpoint->signature, sizeof checkpoint->signature);
}

enum err wire_checkpoint_decode(struct slice bytes, struct checkpoint *checkpoint) {
    *checkpoint = (struct checkpoint){0};
    if (bytes.len > CHECKPOINT_BYTES_MAX) {
        return ERR_LIMIT;
    }
    struct reader reader = reader_of(bytes.data, bytes.len);
    checkpoint->epoch = reader_u32(&reader);
    checkpoint->members = reader_u32(&reader);
    get_hash(&reader, &checkpoint->set_root);
    get_hash(&reader, &checkpoint->candidate_root);
    get_hash(&reader, &checkpoint->beacon);
    get_hash(&reader, &checkpoint->previous);
    checkpoint->anchor = reader_u8(&reader);
    enum err err = get_signed_end(&reader, &checkpoint->tlvs, checkpoint->signature);
    return wire_first(err, checkpoint_rule(checkpoint));
}

void wire_checkpoint_sign(struct checkpoint *checkpoint, const struct signer_env *env) {
    struct buf encoded = {0};
    wire_checkpoint_encode(&encoded, checkpoint);
    sign_encoded(&encoded, RECORD_CHECKPOINT, env, checkpoint->signature);
}

enum err wire_checkpoint_check(const struct checkpoint *checkpoint, const struct node_id *anchor,
                               const struct signer_env *env) {
    struct buf encoded = {0};
    wire_checkpoint_encode(&encoded, checkpoint);
    return check_encoded(&encoded, RECORD_CHECKPOINT, env, anchor, checkpoint->signature);
}

void wire_checkpoint_wanted_put(struct buf *tlvs, uint16_t wanted) {
    buf_u8(tlvs, CHECKPOINT_TAG_WANTED);
    buf_u16(tlvs, sizeof wanted);
    buf_u16(tlvs, wanted);
}

uint16_t wire_checkpoint_wanted(const struct checkpoint *checkpoint) {
    struct slice value = wire_tlv_find(checkpoint->tlvs, CHECKPOINT_TAG_WANTED);
    struct reader reader = reader_of(value.data, value.len);
    return value.len == sizeof(uint16_t) ? reader_u16(&reader) : 0;
}

/* ---- MEMBERS, TRUST_HAVE, TRUST_WANT: lists that rise ---- */

static bool entries_rise(struct slice entries, size_t each) {
    bool is_rising = true;
    for (size_t at = each; at < entries.len; at += each) {
        is_rising = is_rising && memcmp(entries.data + at - each, entries.data + at, each) < 0;
    }
    return is_rising;
}

static enum err members_rule(const struct members *members) {
    if (members->count > MEMBERS_MAX) {
        return ERR_LIMIT;
    }
    bool is_fine = members->count >= 1 && entries_rise(members->keys, sizeof(struct node_id));
    return is_fine ? wire_tlvs_check(members->tlvs) : ERR_FORMAT;
}

void wire_members_encode(struct buf *out, const struct members *members) {
    CHECK(members->keys.len == members->count * sizeof(struct node_id));
    CHECK(members_rule(members) == OK);
    buf_u32(out, members->epoch);
    buf_u16(out, members->count);
    buf_append(out, members->keys.data, members->keys.len);
    wire_put_tlvs(out, members->tlvs);
}

enum err wire_members_decode(struct slice payload, struct members *members) {
    *members = (struct members){0};
    struct reader reader = reader_of(payload.data, payload.len);
    members->epoch = reader_u32(&reader);
    members->count = reader_u16(&reader);
    members->keys = reader_slice(&reader, members->count * sizeof(struct node_id));
    enum err err = wire_get_tlvs(&reader, &members->tlvs);
    return wire_first(err, members_rule(members));
}

static enum err trust_list_rule(const struct trust_list *list) {
    if (list->count > TRUST_LIST_MAX) {
        return ERR_LIMIT;
    }
    bool is_fine = list->count >= 1 && entries_rise(list->prefixes, PREFIX_BYTES);
    return is_fine ? wire_tlvs_check(list->tlvs) : ERR_FORMAT;
}

void wire_trust_list_encode(struct buf *out, const struct trust_list *list) {
    CHECK(list->prefixes.len == (size_t)list->count * PREFIX_BYTES);
    CHECK(trust_list_rule(list) == OK);
    buf_u16(out, list->count);
    buf_append(out, list->prefixes.data, list->prefixes.len);
    wire_put_tlvs(out, list->tlvs);
}

enum err wire_trust_list_decode(struct slice payload, struct trust_list *list) {
    *list = (struct trust_list){0};
    struct reader reader = reader_of(payload.data, payload.len);
    list->count = reader_u16(&reader);
    list->prefixes = reader_slice(&reader, (size_t)list->count * PREFIX_BYTES);
    enum err err = wire_get_tlvs(&reader, &list->tlvs);
    return wire_first(err, trust_list_rule(list));
}

/* ---- FRAUD ---- */

/* Who signed which epoch of what: the part of two records that must agree. */
struct claim {
    struct node_id signer; /* of a checkpoint: its first byte is the anchor's place */
    uint32_t epoch;
};

static enum err read_claim(uint8_t type, struct slice bytes, struct claim *claim) {
    *claim = (struct claim){0};
    enum err err = ERR_FORMAT;
    if (type == RECORD_ROW) {
        struct row_record row;
        err = wire_row_decode(bytes, &row);
        *claim = (struct claim){row.issuer, row.epoch};
    } else if (type == RECORD_CHECKPOINT) {
        struct checkpoint checkpoint;
        err = wire_checkpoint_decode(bytes, &checkpoint);
        claim->signer.b[0] = checkpoint.anchor;
        claim->epoch = checkpoint.epoch;
    }
    return err;
}

/* What the signature covers. */
static struct slice body_of(struct slice record) {
    return (struct slice){record.data, record.len - SIGNATURE_BYTES};
}

int wire_compare_signed(struct slice first, struct slice second) {
    struct slice a = body_of(first);
    struct slice b = body_of(second);
    int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static enum err fraud_rule(const struct fraud *fraud) {
    struct claim first;
    struct claim second;
    enum err err = read_claim(fraud->type, fraud->first, &first);
    err = wire_first(err, err == OK ? read_claim(fraud->type, fraud->second, &second) : err);
    if (err != OK) {
        return err;
    }
    bool is_one = node_id_equal(&first.signer, &second.signer) && first.epoch == second.epoch;
    bool is_fraud = is_one && wire_compare_signed(fraud->first, fraud->second) < 0;
    return is_fraud ? wire_tlvs_check(fraud->tlvs) : ERR_FORMAT;
}

void wire_fraud_encode(struct buf *out, const struct fraud *fraud) {
    CHECK(fraud_rule(fraud) == OK);
    buf_u8(out, fraud->type);
    wire_put_bytes16(out, fraud->first);
    wire_put_bytes16(out, fraud->second);
    wire_put_tlvs(out, fraud->tlvs);
}

enum err wire_fraud_decode(struct slice bytes, struct fraud *fraud) {
    *fraud = (struct fraud){0};
    if (bytes.len > FRAUD_BYTES_MAX) {
        return ERR_LIMIT;
    }
    struct reader reader = reader_of(bytes.data, bytes.len);
    fraud->type = reader_u8(&reader);
    fraud->first = wire_get_bytes16(&reader);
    fraud->second = wire_get_bytes16(&reader);
    enum err err = wire_get_tlvs(&reader, &fraud->tlvs);
    return wire_first(err, err == OK ? fraud_rule(fraud) : err);
}

/* ---- MEASURE, MEASURED ---- */

static enum err measure_rule(const struct measure *measure) {
    if (measure->bytes > MEASURE_BYTES_MAX) {
        return ERR_LIMIT;
    }
    return measure->bytes >= 1 && measure->ms >= 1 ? wire_tlvs_check(measure->tlvs) : ERR_FORMAT;
}

void wire_measure_encode(struct buf *out, const struct measure *measure) {
    CHECK(measure_rule(measure) == OK);
    buf_u64(out, measure->seed);
    buf_u32(out, measure->bytes);
    buf_u16(out, measure->ms);
    wire_put_tlvs(out, measure->tlvs);
}

enum err wire_measure_decode(struct slice payload, struct measure *measure) {
    *measure = (struct measure){0};
    struct reader reader = reader_of(payload.data, payload.len);
    measure->seed = reader_u64(&reader);
    measure->bytes = reader_u32(&reader);
    measure->ms = reader_u16(&reader);
    enum err err = wire_get_tlvs(&reader, &measure->tlvs);
    return wire_first(err, measure_rule(measure));
}

static enum err measured_rule(const struct measured *measured) {
    bool is_bounded = measured->data.len <= MEASURED_DATA_MAX &&
                      measured->offset <= MEASURE_BYTES_MAX - measured->data.len;
    bool is_fine = measured->data.len >= 1 && measured->offset % 8 == 0;
    return !is_bounded ? ERR_LIMIT : is_fine ? OK : ERR_FORMAT;
}

void wire_measured_encode(struct buf *out, const struct measured *measured) {
    CHECK(measured_rule(measured) == OK);
    buf_u32(out, measured->offset);
    buf_append(out, measured->data.data, measured->data.len);
}

enum err wire_measured_decode(struct slice payload, struct measured *measured) {
    *measured = (struct measured){0};
    struct reader reader = reader_of(payload.data, payload.len);
    measured->offset = reader_u32(&reader);
    measured->data = reader_slice(&reader, reader_left(&reader));
    return reader.failed ? ERR_FORMAT : measured_rule(measured);
}

/* splitmix64 (Steele, Lea, Flood, 2014), which any word of can be had by itself. */
static uint64_t measure_word(uint64_t seed, uint64_t index) {
    uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

void wire_measure_fill(uint64_t seed, uint32_t offset, uint8_t *to, size_t len) {
    CHECK(offset % 8 == 0);
    uint64_t word = 0;
    for (size_t i = 0; i < len; i++) {
        if (i % 8 == 0) {
            word = measure_word(seed, offset / 8 + i / 8);
        }
        to[i] = (uint8_t)(word >> (56 - 8 * (i % 8)));
    }
}
