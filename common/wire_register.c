/* wire_register.c - messages by which a leaf tells its supernode what it shares. */
#include <string.h>

#include "common/check.h"
#include "common/list_root.h"
#include "common/wire_codec.h"

/* ---- Lists as a whole ---- */

bool wire_list_root(const struct crypto *crypto, const struct hash *hashes, uint32_t count,
                    struct hash *root) {
    struct list_root list = {0};
    for (uint32_t i = 0; i < count; i++) {
        list_root_add(&list, &hashes[i]);
    }
    (void)list_root_take(&list, crypto, UINT32_MAX);
    bool is_set = list_root_set(&list, crypto, root);
    list_root_free(&list);
    return is_set;
}

static enum err reg_state_rule(const struct reg_state *state) {
    return state->reach <= state->sequence ? wire_tlvs_check(state->tlvs) : ERR_FORMAT;
}

void wire_reg_state_encode(struct buf *out, const struct reg_state *state) {
    CHECK(reg_state_rule(state) == OK);
    buf_u64(out, state->index_id);
    wire_put_varint(out, state->sequence);
    wire_put_varint(out, state->reach);
    wire_put_varint(out, state->count);
    buf_append(out, state->root.b, sizeof state->root.b);
    wire_put_tlvs(out, state->tlvs);
}

enum err wire_reg_state_decode(struct slice payload, struct reg_state *state) {
    *state = (struct reg_state){0};
    struct reader reader = reader_of(payload.data, payload.len);
    state->index_id = reader_u64(&reader);
    state->sequence = wire_get_varint(&reader, UINT64_MAX);
    state->reach = wire_get_varint(&reader, UINT64_MAX);
    state->count = (uint32_t)wire_get_varint(&reader, UINT32_MAX);
    reader_copy(&reader, state->root.b, sizeof state->root.b);
    enum err err = wire_get_tlvs(&reader, &state->tlvs);
    return wire_first(err, reg_state_rule(state));
}

/* ---- SNAPSHOT ---- */

static enum err snapshot_rule(const struct snapshot *snapshot) {
    bool is_sound = snapshot->list.count >= 1 && (snapshot->flags & ~SNAPSHOT_FLAGS) == 0;
    enum err err = is_sound ? OK : ERR_FORMAT;
    err = wire_first(err, wire_nested_record_rule(snapshot->address_record, true));
    err = wire_first(err, reg_state_rule(&snapshot->list));
    return wire_first(err, wire_tlvs_check(snapshot->tlvs));
}

void wire_snapshot_encode(struct buf *out, const struct snapshot *snapshot) {
    CHECK(snapshot_rule(snapshot) == OK);
    struct buf list = {0};
    wire_reg_state_encode(&list, &snapshot->list);
    buf_append(out, snapshot->leaf.b, sizeof snapshot->leaf.b);
    buf_u8(out, snapshot->flags);
    wire_put_bytes16(out, snapshot->address_record);
    wire_put_bytes16(out, (struct slice){list.data, list.len});
    wire_put_tlvs(out, snapshot->tlvs);
    buf_free(&list);
}

enum err wire_snapshot_decode(struct slice payload, struct snapshot *snapshot) {
    *snapshot = (struct snapshot){0};
    struct reader reader = reader_of(payload.data, payload.len);
    reader_copy(&reader, snapshot->leaf.b, sizeof snapshot->leaf.b);
    snapshot->flags = reader_u8(&reader);
    snapshot->address_record = wire_get_bytes16(&reader);
    struct slice list = wire_get_bytes16(&reader);
    enum err err = wire_get_tlvs(&reader, &snapshot->tlvs);
    err = wire_first(err, wire_reg_state_decode(list, &snapshot->list));
    return wire_first(err, snapshot_rule(snapshot));
}

/* ---- Records that came ---- */

void wire_reg_records_begin(struct reg_records *records, const struct reg_add *add) {
    *records = (struct reg_records){
        .sizes = reader_of(add->sizes.data, add->sizes.len),
        .roots = reader_of(add->roots.data, add->roots.len),
        .metas = reader_of(add->metas.data, add->metas.len),
        .shared = reader_of(add->shared.data, add->shared.len),
        .names = reader_of(add->names.data, add->names.len),
        .left = add->count,
    };
}

/* Borrow the text up to a zero byte, and move beyond that. */
static struct slice get_rest(struct reader *reader) {
    size_t left = reader_left(reader);
    const uint8_t *end = left > 0 ? memchr(reader->at, 0, left) : NULL;
    struct slice rest = reader_slice(reader, end != NULL ? (size_t)(end - reader->at) : 0);
    (void)reader_u8(reader);
    reader->failed = reader->failed || end == NULL;
    return rest;
}

/* Put the next name together; false when its parts do not make one. */
static bool next_name(struct reg_records *records) {
    size_t shared = reader_u8(&records->shared);
    struct slice rest = get_rest(&records->names);
    size_t len = rest.len;
    if (records->names.failed || records->shared.failed || shared > records->name_len ||
        shared + len > NAME_BYTES_MAX) {
        return false;
    }
    /* A first letter that is that of the name before should have been shared. */
    bool is_short = shared < records->name_len && len > 0 && rest.data[0] == records->name[shared];
    if (len > 0) {
        memcpy(records->name + shared, rest.data, len);
    }
    records->name_len = (uint8_t)(shared + len);
    return !is_short;
}

static bool next_record(struct reg_records *records, struct file_record *record) {
    bool is_named = next_name(records);
    reader_copy(&records->roots, record->content.root.b, sizeof record->content.root.b);
    record->content.size = wire_get_varint(&records->sizes, UINT64_MAX);
    size_t meta_len = (size_t)wire_get_varint(&records->metas, FRAME_PAYLOAD_MAX);
    record->meta = reader_slice(&records->metas, meta_len);
    record->name = (struct slice){records->name, records->name_len};
    return is_named && !records->roots.failed && !records->sizes.failed && !records->metas.failed;
}

bool wire_reg_records_next(struct reg_records *records, struct file_record *record) {
    if (records->left == 0) {
        return false;
    }
    records->left--;
    bool is_read = next_record(records, record);
    CHECK(is_read); /* decoding looked at all of them */
    return true;
}

/* True when nothing but the records is in the columns. */
static bool columns_are_done(const struct reg_records *records) {
    return reader_done(&records->sizes) && reader_done(&records->roots) &&
           reader_done(&records->metas) && reader_done(&records->shared) &&
           reader_done(&records->names);
}

static enum err records_rule(const struct reg_add *add) {
    struct reg_records records;
    struct file_record last = {0};
    uint8_t last_name[NAME_BYTES_MAX];
    wire_reg_records_begin(&records, add);
    for (uint16_t i = 0; i < add->count; i++) {
        struct file_record record = {0};
        enum err err = next_record(&records, &record) ? wire_file_record_rule(&record) : ERR_FORMAT;
        if (err == OK && i > 0 && wire_file_record_compare(&last, &record) >= 0) {
            err = ERR_FORMAT;
        }
        if (err != OK) {
            return err;
        }
        memcpy(last_name, record.name.data, record.name.len);
        last = record;
        last.name.data = last_name;
    }
    return columns_are_done(&records) ? OK : ERR_FORMAT;
}

static enum err count_rule(uint16_t count) {
    if (count > REG_RECORDS_MAX) {
        return ERR_LIMIT;
    }
    return count >= 1 ? OK : ERR_FORMAT;
}

static enum err reg_add_rule(const struct reg_add *add) {
    enum err err = count_rule(add->count);
    err = err == OK ? records_rule(add) : err;
    return wire_first(err, wire_tlvs_check(add->tlvs));
}

/* Move over one field of every record and return the bytes that they fill. */
static struct slice column(struct reader *reader, uint16_t count,
                           void (*skip)(struct reader *reader)) {
    const uint8_t *start = reader->at;
    for (uint16_t i = 0; i < count && !reader->failed; i++) {
        skip(reader);
    }
    return (struct slice){start, (size_t)(reader->at - start)};
}

static void skip_size(struct reader *reader) {
    (void)wire_get_varint(reader, UINT64_MAX);
}

static void skip_root(struct reader *reader) {
    (void)reader_slice(reader, HASH_BYTES);
}

static void skip_meta(struct reader *reader) {
    size_t len = (size_t)wire_get_varint(reader, FRAME_PAYLOAD_MAX);
    (void)reader_slice(reader, len);
}

static void skip_shared(struct reader *reader) {
    (void)reader_u8(reader);
}

static void skip_name(struct reader *reader) {
    (void)get_rest(reader);
}

void wire_reg_add_encode(struct buf *out, const struct reg_add *add) {
    CHECK(reg_add_rule(add) == OK);
    buf_u16(out, add->count);
    buf_append(out, add->sizes.data, add->sizes.len);
    buf_append(out, add->roots.data, add->roots.len);
    buf_append(out, add->metas.data, add->metas.len);
    buf_append(out, add->shared.data, add->shared.len);
    buf_append(out, add->names.data, add->names.len);
    wire_put_tlvs(out, add->tlvs);
}

enum err wire_reg_add_decode(struct slice payload, struct reg_add *add) {
    *add = (struct reg_add){0};
    struct reader reader = reader_of(payload.data, payload.len);
    add->count = reader_u16(&reader);
    enum err err = count_rule(add->count);
    if (err != OK) {
        return err;
    }
    add->sizes = column(&reader, add->count, skip_size);
    add->roots = column(&reader, add->count, skip_root);
    add->metas = column(&reader, add->count, skip_meta);
    add->shared = column(&reader, add->count, skip_shared);
    add->names = column(&reader, add->count, skip_name);
    err = wire_get_tlvs(&reader, &add->tlvs);
    return err == OK ? reg_add_rule(add) : err;
}

struct slice wire_reg_add_noise(struct slice payload) {
    struct reader reader = reader_of(payload.data, payload.len);
    uint16_t count = reader_u16(&reader);
    (void)column(&reader, count, skip_size);
    return reader_slice(&reader, (size_t)count * HASH_BYTES);
}

/* ---- Records to be sent ---- */

enum { SIZES, ROOTS, METAS, SHARED, NAMES, COLUMNS };

struct columns {
    struct buf of[COLUMNS];
};

static size_t columns_bytes(const struct columns *columns) {
    size_t bytes = 0;
    for (int i = 0; i < COLUMNS; i++) {
        bytes += columns->of[i].len;
    }
    return bytes;
}

static uint8_t shared_bytes(struct slice before, struct slice name) {
    size_t shared = 0;
    while (shared < before.len && shared < name.len && before.data[shared] == name.data[shared]) {
        shared++;
    }
    return (uint8_t)shared;
}

static void put_record(struct columns *columns, struct slice before,
                       const struct file_record *record) {
    struct buf *of = columns->of;
    uint8_t shared = shared_bytes(before, record->name);
    wire_put_varint(&of[SIZES], record->content.size);
    buf_append(&of[ROOTS], record->content.root.b, HASH_BYTES);
    wire_put_varint(&of[METAS], record->meta.len);
    buf_append(&of[METAS], record->meta.data, record->meta.len);
    buf_u8(&of[SHARED], shared);
    buf_append(&of[NAMES], record->name.data + shared, record->name.len - shared);
    buf_u8(&of[NAMES], 0);
}

static struct slice whole(const struct buf *buf) {
    return (struct slice){buf->data, buf->len};
}

uint32_t wire_reg_add_pack(struct buf *out, const struct file_record *records, uint32_t count) {
    CHECK(count > 0);
    struct columns columns = {0};
    struct reg_add add = {0};
    struct slice before = {0};
    while (add.count < count && add.count < REG_RECORDS_MAX) {
        const struct file_record *record = &records[add.count];
        struct columns kept = columns;
        put_record(&columns, before, record);
        if (columns_bytes(&columns) > FRAME_PAYLOAD_MAX - sizeof add.count) {
            for (int i = 0; i < COLUMNS; i++) { /* one too many: the next message has it */
                columns.of[i].len = kept.of[i].len;
            }
            break;
        }
        before = record->name;
        add.count++;
    }
    add.sizes = whole(&columns.of[SIZES]);
    add.roots = whole(&columns.of[ROOTS]);
    add.metas = whole(&columns.of[METAS]);
    add.shared = whole(&columns.of[SHARED]);
    add.names = whole(&columns.of[NAMES]);
    wire_reg_add_encode(out, &add);
    for (int i = 0; i < COLUMNS; i++) {
        buf_free(&columns.of[i]);
    }
    return add.count;
}

/* ---- Records that are gone ---- */

uint64_t wire_record_prefix(const struct hash *record) {
    struct reader reader = reader_of(record->b, RECORD_PREFIX_BYTES);
    return reader_u64(&reader);
}

static enum err reg_remove_rule(const struct reg_remove *remove) {
    struct reader reader = reader_of(remove->prefixes.data, remove->prefixes.len);
    enum err err = count_rule(remove->count);
    uint64_t last = 0;
    for (uint16_t i = 0; i < remove->count && err == OK; i++) {
        uint64_t prefix = reader_u64(&reader);
        err = i > 0 && prefix <= last ? ERR_FORMAT : OK;
        last = prefix;
    }
    err = wire_first(err, reader_done(&reader) ? OK : ERR_FORMAT);
    return wire_first(err, wire_tlvs_check(remove->tlvs));
}

void wire_reg_remove_encode(struct buf *out, const struct reg_remove *remove) {
    CHECK(reg_remove_rule(remove) == OK);
    buf_u16(out, remove->count);
    buf_append(out, remove->prefixes.data, remove->prefixes.len);
    wire_put_tlvs(out, remove->tlvs);
}

enum err wire_reg_remove_decode(struct slice payload, struct reg_remove *remove) {
    *remove = (struct reg_remove){0};
    struct reader reader = reader_of(payload.data, payload.len);
    remove->count = reader_u16(&reader);
    remove->prefixes = reader_slice(&reader, (size_t)remove->count * RECORD_PREFIX_BYTES);
    enum err err = wire_get_tlvs(&reader, &remove->tlvs);
    return wire_first(err, reg_remove_rule(remove));
}

/* ---- The answer ---- */

static enum err reg_status_rule(const struct reg_status *status) {
    bool is_known = status->verdict >= REG_DONE && status->verdict <= REG_VERDICT_MAX;
    bool is_timely = status->retry_after_ms == 0 || status->verdict == REG_WAIT;
    return is_known && is_timely ? wire_tlvs_check(status->tlvs) : ERR_FORMAT;
}

void wire_reg_status_encode(struct buf *out, const struct reg_status *status) {
    CHECK(reg_status_rule(status) == OK);
    buf_u8(out, status->verdict);
    wire_put_varint(out, status->sequence);
    wire_put_varint(out, status->count);
    buf_append(out, status->root.b, sizeof status->root.b);
    wire_put_varint(out, status->retry_after_ms);
    wire_put_tlvs(out, status->tlvs);
}

enum err wire_reg_status_decode(struct slice payload, struct reg_status *status) {
    *status = (struct reg_status){0};
    struct reader reader = reader_of(payload.data, payload.len);
    status->verdict = reader_u8(&reader);
    status->sequence = wire_get_varint(&reader, UINT64_MAX);
    status->count = (uint32_t)wire_get_varint(&reader, UINT32_MAX);
    reader_copy(&reader, status->root.b, sizeof status->root.b);
    status->retry_after_ms = (uint32_t)wire_get_varint(&reader, UINT32_MAX);
    enum err err = wire_get_tlvs(&reader, &status->tlvs);
    return wire_first(err, reg_status_rule(status));
}

/* ---- LOAD ---- */

void wire_load_encode(struct buf *out, const struct load *load) {
    CHECK(wire_tlvs_check(load->tlvs) == OK);
    buf_u8(out, load->free_slots);
    buf_u16(out, load->queue);
    wire_put_tlvs(out, load->tlvs);
}

enum err wire_load_decode(struct slice payload, struct load *load) {
    *load = (struct load){0};
    struct reader reader = reader_of(payload.data, payload.len);
    load->free_slots = reader_u8(&reader);
    load->queue = reader_u16(&reader);
    enum err err = wire_get_tlvs(&reader, &load->tlvs);
    return wire_first(err, wire_tlvs_check(load->tlvs));
}
