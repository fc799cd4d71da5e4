/* wire_record.c - what outlives a message: address records, certificates, file records. */
#include <string.h>

#include "common/check.h"
#include "common/wire_codec.h"
#include "common/words.h"

#define RECORD_MINUTES_MAX 1440
#define RECORD_SKEW_S 86400 /* clocks of strangers may be a day off */

/* ---- Address record ---- */

static enum err address_record_rule(const struct address_record *record) {
    if (record->address_count > ADDRESSES_MAX) {
        return ERR_LIMIT;
    }
    enum err err = wire_tlvs_check(record->tlvs);
    for (uint8_t i = 0; i < record->address_count; i++) {
        err = wire_first(err, wire_address_rule(&record->addresses[i]));
    }
    bool is_whole =
        record->address_count >= 1 && record->minutes >= 1 && record->minutes <= RECORD_MINUTES_MAX;
    return is_whole ? err : ERR_FORMAT;
}

bool address_record_is_at(const struct address_record *record, const struct address *host) {
    bool is_there = record->address_count > 0;
    for (uint8_t i = 0; i < record->address_count; i++) {
        is_there = is_there && address_same_host(&record->addresses[i], host);
    }
    return is_there;
}

/* Append all that the signature covers. */
static void put_signed_part(struct buf *out, const struct address_record *record) {
    CHECK(address_record_rule(record) == OK);
    buf_append(out, record->key.b, sizeof record->key.b);
    buf_u64(out, record->seq);
    buf_u16(out, record->minutes);
    buf_u16(out, record->flags);
    buf_u8(out, record->address_count);
    for (uint8_t i = 0; i < record->address_count; i++) {
        wire_put_address(out, &record->addresses[i]);
    }
    wire_put_tlvs(out, record->tlvs);
}

void wire_address_record_encode(struct buf *out, const struct address_record *record) {
    size_t start = out->len;
    put_signed_part(out, record);
    buf_append(out, record->signature, sizeof record->signature);
    CHECK(out->len - start <= ADDRESS_RECORD_BYTES_MAX);
}

enum err wire_address_record_decode(struct slice bytes, struct address_record *record) {
    *record = (struct address_record){0};
    if (bytes.len > ADDRESS_RECORD_BYTES_MAX) {
        return ERR_LIMIT;
    }
    struct reader reader = reader_of(bytes.data, bytes.len);
    reader_copy(&reader, record->key.b, sizeof record->key.b);
    record->seq = reader_u64(&reader);
    record->minutes = reader_u16(&reader);
    record->flags = reader_u16(&reader);
    record->address_count = reader_u8(&reader);
    if (record->address_count > ADDRESSES_MAX) {
        return ERR_LIMIT;
    }
    for (uint8_t i = 0; i < record->address_count; i++) {
        wire_get_address(&reader, &record->addresses[i]);
    }
    if (reader.failed || reader_left(&reader) < SIGNATURE_BYTES) {
        return ERR_FORMAT;
    }
    record->tlvs = reader_slice(&reader, reader_left(&reader) - SIGNATURE_BYTES);
    reader_copy(&reader, record->signature, sizeof record->signature);
    return address_record_rule(record);
}

static struct signed_bytes signed_bytes_of(const struct buf *body, const struct hash *network_id) {
    return (struct signed_bytes){
        .network_id = network_id, .type = RECORD_ADDRESS, .body = {body->data, body->len}};
}

void wire_address_record_sign(struct address_record *record, const struct crypto *crypto,
                              const struct hash *network_id) {
    struct buf body = {0};
    put_signed_part(&body, record);
    struct signed_bytes bytes = signed_bytes_of(&body, network_id);
    crypto_sign(crypto, &bytes, record->signature);
    buf_free(&body);
}

/* True within a day around [seq, seq + minutes]. Unsigned sums here cannot overflow: a time that
 * would is refused first. */
static bool is_current(const struct address_record *record, int64_t wall_s) {
    if (wall_s < 0 || record->seq > INT64_MAX / 2) {
        return false;
    }
    uint64_t now_s = (uint64_t)wall_s;
    uint64_t end_s = record->seq + (uint64_t)record->minutes * 60;
    return now_s + RECORD_SKEW_S >= record->seq && now_s <= end_s + RECORD_SKEW_S;
}

enum err wire_address_record_check(const struct address_record *record, const struct crypto *crypto,
                                   const struct hash *network_id, int64_t wall_s) {
    struct buf body = {0};
    put_signed_part(&body, record);
    struct signed_bytes bytes = signed_bytes_of(&body, network_id);
    enum err err = crypto_verify(crypto, &bytes, &record->key, record->signature);
    buf_free(&body);
    return wire_first(err, is_current(record, wall_s) ? OK : ERR_POLICY);
}

/* ---- Certificate ---- */

static enum err cert_rule(const struct cert *cert) {
    if (cert->signer_count > CERT_SIGNERS_MAX) {
        return ERR_LIMIT;
    }
    bool is_rising = true;
    for (uint8_t i = 1; i < cert->signer_count; i++) {
        is_rising = is_rising && cert->signers[i - 1].signer < cert->signers[i].signer;
    }
    bool is_whole = cert->life >= 1 && cert->signer_count >= 1 && is_rising;
    return is_whole ? wire_tlvs_check(cert->tlvs) : ERR_FORMAT;
}

void wire_cert_signed_bytes(struct buf *out, const struct cert *cert) {
    buf_append(out, cert->subject.b, sizeof cert->subject.b);
    buf_u32(out, cert->epoch);
    buf_u8(out, cert->life);
    buf_u8(out, cert->flags);
    buf_append(out, cert->checkpoint.b, sizeof cert->checkpoint.b);
    wire_put_bytes16(out, cert->tlvs);
}

void wire_cert_encode(struct buf *out, const struct cert *cert) {
    CHECK(cert_rule(cert) == OK);
    size_t start = out->len;
    wire_cert_signed_bytes(out, cert);
    buf_u8(out, cert->signer_count);
    for (uint8_t i = 0; i < cert->signer_count; i++) {
        buf_u16(out, cert->signers[i].signer);
        buf_append(out, cert->signers[i].signature, sizeof cert->signers[i].signature);
    }
    CHECK(out->len - start <= CERT_BYTES_MAX);
}

enum err wire_cert_decode(struct slice bytes, struct cert *cert) {
    *cert = (struct cert){0};
    if (bytes.len > CERT_BYTES_MAX) {
        return ERR_LIMIT;
    }
    struct reader reader = reader_of(bytes.data, bytes.len);
    reader_copy(&reader, cert->subject.b, sizeof cert->subject.b);
    cert->epoch = reader_u32(&reader);
    cert->life = reader_u8(&reader);
    cert->flags = reader_u8(&reader);
    reader_copy(&reader, cert->checkpoint.b, sizeof cert->checkpoint.b);
    cert->tlvs = wire_get_bytes16(&reader);
    cert->signer_count = reader_u8(&reader);
    if (cert->signer_count > CERT_SIGNERS_MAX) {
        return ERR_LIMIT;
    }
    for (uint8_t i = 0; i < cert->signer_count; i++) {
        cert->signers[i].signer = reader_u16(&reader);
        reader_copy(&reader, cert->signers[i].signature, sizeof cert->signers[i].signature);
    }
    return reader_done(&reader) ? cert_rule(cert) : ERR_FORMAT;
}

/* ---- File record ---- */

bool wire_name_ok(struct slice name) {
    bool is_dots = (name.len == 1 && name.data[0] == '.') ||
                   (name.len == 2 && name.data[0] == '.' && name.data[1] == '.');
    return name.len >= 1 && name.len <= NAME_BYTES_MAX && !is_dots &&
           memchr(name.data, '/', name.len) == NULL && memchr(name.data, '\\', name.len) == NULL &&
           words_text_ok(name);
}

enum err wire_file_record_rule(const struct file_record *record) {
    enum err err = wire_content_rule(&record->content);
    err = wire_first(err, wire_name_ok(record->name) ? OK : ERR_FORMAT);
    err = wire_first(err, record->meta.len <= FILE_META_MAX ? OK : ERR_LIMIT);
    return wire_first(err, wire_tlvs_check(record->meta));
}

#define RECORD_BEFORE_META_MAX (RECORD_HEAD_BYTES + NAME_BYTES_MAX + 2)
#define RECORD_HEAD_BYTES (HASH_BYTES + 8 + 1)

/* All of a record but its metadata; return where it ends. The lengths are looked at, not what the
 * name says: a supernode does this a hundred times per leaf, of records that were looked at when
 * they came. */
static size_t put_before_meta(uint8_t to[RECORD_BEFORE_META_MAX],
                              const struct file_record *record) {
    size_t name_len = record->name.len, meta_len = record->meta.len;
    CHECK(name_len <= NAME_BYTES_MAX && meta_len <= FILE_META_MAX);
    memcpy(to, record->content.root.b, HASH_BYTES);
    for (int i = 0; i < 8; i++) {
        to[HASH_BYTES + i] = (uint8_t)(record->content.size >> (56 - 8 * i));
    }
    to[RECORD_HEAD_BYTES - 1] = (uint8_t)name_len;
    memcpy(to + RECORD_HEAD_BYTES, record->name.data, name_len);
    size_t end = RECORD_HEAD_BYTES + name_len;
    to[end] = (uint8_t)(meta_len >> 8);
    to[end + 1] = (uint8_t)meta_len;
    return end + 2;
}

void wire_file_record_append(struct buf *out, const struct file_record *record) {
    out->len += put_before_meta(buf_reserve(out, RECORD_BEFORE_META_MAX), record);
    buf_append(out, record->meta.data, record->meta.len);
}

void wire_file_record_encode(struct buf *out, const struct file_record *record) {
    CHECK(wire_file_record_rule(record) == OK);
    wire_file_record_append(out, record);
}

static void get_file_record(struct reader *reader, struct file_record *record) {
    *record = (struct file_record){0};
    wire_get_content(reader, &record->content);
    record->name = wire_get_text8(reader);
    record->meta = wire_get_bytes16(reader);
}

enum err wire_file_record_read(struct reader *reader, struct file_record *record) {
    get_file_record(reader, record);
    enum err err = reader->failed ? ERR_FORMAT : wire_file_record_rule(record);
    reader->failed = err != OK;
    return err;
}

void wire_file_record_reread(struct reader *reader, struct file_record *record) {
    get_file_record(reader, record);
    CHECK(!reader->failed);
}

void wire_file_record_hash(const struct file_record *record, const struct crypto *crypto,
                           struct hash *out) {
    uint8_t before[RECORD_BEFORE_META_MAX];
    struct slice first = {before, put_before_meta(before, record)};
    crypto->sha256(crypto->context, first, record->meta, out);
}

static int compare_slices(struct slice a, struct slice b) {
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common > 0 ? memcmp(a.data, b.data, common) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

int wire_file_record_compare(const struct file_record *a, const struct file_record *b) {
    int order = compare_slices(a->name, b->name);
    if (order == 0) {
        order = memcmp(a->content.root.b, b->content.root.b, sizeof a->content.root.b);
    }
    if (order == 0) {
        order = (a->content.size > b->content.size) - (a->content.size < b->content.size);
    }
    return order != 0 ? order : compare_slices(a->meta, b->meta);
}
