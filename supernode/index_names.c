/* index_names.c - the names and metadata of records, front-coded by groups of 16.
 *
 * Each text is what it shares with the one before it at its beginning and at its end, and the bytes
 * between (front coding; Witten, Moffat and Bell, Managing Gigabytes, section 4.1, with the end
 * added: names end alike too).
 *
 *     block: [present u16 | has_meta u8] then per present slot: text of the name, text of the meta
 *     text:  [beginning vbyte][end 3 bits, middle 5 bits][more of end][more of middle][middle] */
#include <string.h>

#include "common/check.h"
#include "supernode/index_parts.h"

#define BLOCK_HEADER 3
#define PREFETCH_BYTES 192 /* of a block: half of it or so */
#define END_FULL 7U        /* more is in a vbyte that follows */
#define MIDDLE_FULL 31U
#define TEXT_OVERHEAD 6 /* bytes of lengths, at most */

/* ---- One text after another ---- */

static uint8_t *put_vbyte(uint8_t *to, uint32_t value) {
    if (value >= 0x80) {
        *to++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *to++ = (uint8_t)value;
    return to;
}

static inline const uint8_t *get_vbyte(const uint8_t *at, uint32_t *value) {
    *value = *at++;
    if (*value >= 0x80) {
        *value = (*value & 0x7f) | (uint32_t)*at++ << 7;
    }
    return at;
}

/* How many bytes at the beginning are alike. */
static uint32_t alike(const uint8_t *a, const uint8_t *b, uint32_t max) {
    uint32_t at = 0;
    uint64_t x, y;
    for (; at + sizeof x <= max; at += sizeof x) {
        memcpy(&x, a + at, sizeof x);
        memcpy(&y, b + at, sizeof y);
        if (x != y) {
            break;
        }
    }
    while (at < max && a[at] == b[at]) {
        at++;
    }
    return at;
}

static uint8_t *put_text(uint8_t *to, struct slice before, struct slice text) {
    uint32_t shared = (uint32_t)(before.len < text.len ? before.len : text.len);
    uint32_t beginning = alike(before.data, text.data, shared), end = 0;
    while (end < shared - beginning &&
           before.data[before.len - 1 - end] == text.data[text.len - 1 - end]) {
        end++;
    }
    uint32_t middle = (uint32_t)text.len - beginning - end;
    uint32_t end_bits = end < END_FULL ? end : END_FULL;
    uint32_t middle_bits = middle < MIDDLE_FULL ? middle : MIDDLE_FULL;
    to = put_vbyte(to, beginning);
    *to++ = (uint8_t)(end_bits << 5 | middle_bits);
    if (end_bits == END_FULL) {
        to = put_vbyte(to, end - END_FULL);
    }
    if (middle_bits == MIDDLE_FULL) {
        to = put_vbyte(to, middle - MIDDLE_FULL);
    }
    if (middle > 0) {
        memcpy(to, text.data + beginning, middle);
    }
    return to + middle;
}

/* Turn the text before into the one at `at`. */
static const uint8_t *get_text(const uint8_t *at, uint8_t *text, uint32_t *len) {
    uint32_t beginning, more;
    at = get_vbyte(at, &beginning);
    uint32_t end = *at >> 5, middle = *at & MIDDLE_FULL;
    at++;
    if (end == END_FULL) {
        at = get_vbyte(at, &more);
        end += more;
    }
    if (middle == MIDDLE_FULL) {
        at = get_vbyte(at, &more);
        middle += more;
    }
    if (end > 0 && beginning + middle + end != *len) {
        memmove(text + beginning + middle, text + *len - end, end);
    }
    memcpy(text + beginning, at, middle);
    *len = beginning + middle + end;
    return at + middle;
}

/* ---- Reading ---- */

static uint32_t *block_of(const struct index *index, uint32_t group) {
    return &index->records.segments[group / SEGMENT_GROUPS]->names[group % SEGMENT_GROUPS];
}

void names_prefetch(const struct index *index, uint32_t number) {
    uint32_t block = *block_of(index, number / GROUP_RECORDS);
    if (block != POOL_NONE) {
        const uint8_t *at = pool_at(&index->pool, block);
        for (uint32_t i = 0; i < PREFETCH_BYTES; i += 64) {
            __builtin_prefetch(at + i);
        }
    }
}

static void begin_group(const struct index *index, struct name_reader *reader, uint32_t group) {
    const uint8_t *block = pool_at(&index->pool, *block_of(index, group));
    reader->group = group;
    reader->slot = 0;
    reader->present = (uint16_t)(block[0] | block[1] << 8);
    reader->has_meta = block[2] != 0;
    reader->at = block + BLOCK_HEADER;
    reader->name_len = 0;
    reader->meta_len = 0;
}

/* Read the next slot; `present` keeps those that are still to come. */
static void next_slot(struct name_reader *reader) {
    CHECK(reader->present != 0);
    reader->slot = (uint32_t)__builtin_ctz(reader->present);
    reader->present &= (uint16_t)(reader->present - 1);
    reader->at = get_text(reader->at, reader->name, &reader->name_len);
    if (reader->has_meta) {
        reader->at = get_text(reader->at, reader->meta, &reader->meta_len);
    }
}

static void read_open(const struct open_group *open, uint32_t slot, struct slice *name,
                      struct slice *meta) {
    const uint8_t *text = open->text + open->slots[slot].at;
    *name = (struct slice){text, open->slots[slot].name_len};
    *meta = (struct slice){text + name->len, open->slots[slot].meta_len};
}

void names_read(const struct index *index, struct name_reader *reader, uint32_t number,
                struct slice *name, struct slice *meta) {
    uint32_t group = number / GROUP_RECORDS, slot = number % GROUP_RECORDS;
    if (group == index->records.open.group) {
        read_open(&index->records.open, slot, name, meta);
        return;
    }
    bool is_here =
        reader->group == group && reader->slot == slot && (reader->present >> slot & 1) == 0;
    if (reader->group != group || (!is_here && (reader->present >> slot & 1) == 0)) {
        begin_group(index, reader, group);
        is_here = false;
    }
    while (!is_here) {
        next_slot(reader);
        is_here = reader->slot == slot;
    }
    *name = (struct slice){reader->name, reader->name_len};
    *meta = (struct slice){reader->meta, reader->meta_len};
}

/* ---- Writing ---- */

static void put_slot(struct open_group *open, uint32_t slot, struct slice name, struct slice meta) {
    CHECK(open->used + name.len + meta.len <= sizeof open->text);
    open->present |= (uint16_t)(1U << slot);
    open->slots[slot].at = open->used;
    open->slots[slot].name_len = (uint16_t)name.len;
    open->slots[slot].meta_len = (uint16_t)meta.len;
    if (name.len > 0) {
        memcpy(open->text + open->used, name.data, name.len);
    }
    if (meta.len > 0) {
        memcpy(open->text + open->used + name.len, meta.data, meta.len);
    }
    open->used = (uint16_t)(open->used + name.len + meta.len);
}

void names_put(struct index *index, uint32_t number, const struct file_record *file) {
    CHECK(index->records.open.group == number / GROUP_RECORDS);
    put_slot(&index->records.open, number % GROUP_RECORDS, file->name, file->meta);
}

/* The living of a group, a bit per slot. */
static uint16_t living(const struct index *index, uint32_t group) {
    uint64_t word = index->records.alive[group / SEGMENT_GROUPS][group % SEGMENT_GROUPS / 4];
    return (uint16_t)(word >> (group % 4 * GROUP_RECORDS));
}

/* Read the living of a coded group. */
static void load(const struct index *index, uint32_t group, struct open_group *open) {
    open->group = group;
    open->present = 0;
    open->used = 0;
    if (*block_of(index, group) == POOL_NONE) {
        return;
    }
    struct name_reader reader;
    begin_group(index, &reader, group);
    uint16_t wanted = living(index, group) & reader.present;
    while (reader.present != 0) {
        next_slot(&reader);
        if ((wanted >> reader.slot & 1) != 0) {
            put_slot(open, reader.slot, (struct slice){reader.name, reader.name_len},
                     (struct slice){reader.meta, reader.meta_len});
        }
    }
}

/* Code what lives of a group and put it where its block was. */
static void save(struct index *index, const struct open_group *open) {
    uint8_t block[sizeof open->text + GROUP_RECORDS * 2 * TEXT_OVERHEAD + BLOCK_HEADER];
    uint16_t present = open->present & living(index, open->group);
    bool has_meta = false;
    for (uint32_t slot = 0; slot < GROUP_RECORDS; slot++) {
        has_meta = has_meta || ((present >> slot & 1) != 0 && open->slots[slot].meta_len > 0);
    }
    block[0] = (uint8_t)present;
    block[1] = (uint8_t)(present >> 8);
    block[2] = has_meta;
    uint8_t *at = block + BLOCK_HEADER;
    struct slice name_before = {0}, meta_before = {0}, name, meta;
    for (uint16_t left = present; left != 0; left &= (uint16_t)(left - 1)) {
        read_open(open, (uint32_t)__builtin_ctz(left), &name, &meta);
        at = put_text(at, name_before, name);
        at = has_meta ? put_text(at, meta_before, meta) : at;
        name_before = name;
        meta_before = meta;
    }
    uint32_t *place = block_of(index, open->group);
    if (*place != POOL_NONE) {
        pool_give(&index->pool, *place);
        *place = POOL_NONE;
    }
    if (present != 0) {
        uint32_t bytes = (uint32_t)(at - block);
        *place = pool_take(&index->pool, bytes);
        memcpy(pool_at(&index->pool, *place), block, bytes);
    }
}

void names_open(struct index *index, uint32_t group) {
    load(index, group, &index->records.open);
}

void names_close(struct index *index) {
    if (index->records.open.group != NONE) {
        save(index, &index->records.open);
        index->records.open.group = NONE;
    }
}

void names_thin(struct index *index, uint32_t group) {
    uint32_t block = *block_of(index, group);
    if (block == POOL_NONE) {
        return;
    }
    const uint8_t *bytes = pool_at(&index->pool, block);
    int coded = __builtin_popcount((unsigned)(bytes[0] | bytes[1] << 8));
    if (__builtin_popcount(living(index, group)) * 2 <= coded) {
        struct open_group open;
        load(index, group, &open);
        save(index, &open);
    }
}
