/* index_records.c - the numbers of records: given out by groups, found by content, held by lists.
 */
#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "supernode/index_parts.h"

#define GROUPS_PER_STEP 8 /* whose dead are freed */
#define HOLDERS_AT_ONCE 16

/* ---- Bits ---- */

static void set_bit(uint64_t *bits, uint32_t at, bool is_set) {
    uint64_t bit = 1ULL << (at % 64);
    bits[at / 64] = is_set ? bits[at / 64] | bit : bits[at / 64] & ~bit;
}

/* The first bit that is set, NONE if none is. */
static uint32_t first_bit(const uint64_t *bits, uint32_t words) {
    for (uint32_t i = 0; i < words; i++) {
        if (bits[i] != 0) {
            return i * 64 + (uint32_t)__builtin_ctzll(bits[i]);
        }
    }
    return NONE;
}

/* ---- Segments ---- */

/* All that grows with the number of segments as one piece: 16 bytes of 1,024 records. */
static uint64_t directory_bytes(uint32_t segments) {
    uint64_t each = sizeof(struct segment *) + sizeof(uint64_t *);
    return segments == 0 ? 0 : segments * each + 2ULL * MALLOC_BYTES;
}

static void resize_directory(struct index *index, uint32_t segments) {
    struct records *records = &index->records;
    index->bytes += directory_bytes(segments);
    index->bytes -= directory_bytes(records->segment_cap);
    records->segments = mem_resize(records->segments, segments, sizeof *records->segments);
    records->alive = mem_resize(records->alive, segments, sizeof *records->alive);
    for (uint32_t i = records->segment_cap; i < segments; i++) {
        records->segments[i] = NULL;
        records->alive[i] = NULL;
    }
    records->segment_cap = segments;
}

static void free_directory(struct index *index) {
    struct records *records = &index->records;
    index->bytes -= directory_bytes(records->segment_cap);
    mem_free(records->segments);
    mem_free(records->alive);
    records->segments = NULL;
    records->alive = NULL;
    records->segment_cap = 0;
}

/* Make the first segment that is missing; return its number. */
static uint32_t make_segment(struct index *index) {
    struct records *records = &index->records;
    uint32_t number = 0;
    while (number < records->segment_cap && records->segments[number] != NULL) {
        number++;
    }
    CHECK(number < SEGMENTS_MAX);
    if (number == records->segment_cap) {
        resize_directory(index, number + number / 16 + 1);
    }
    struct segment *segment = mem_new(sizeof *segment);
    index->bytes += sizeof *segment + MALLOC_BYTES;
    segment->free_groups = UINT64_MAX;
    for (uint32_t i = 0; i < SEGMENT_GROUPS; i++) {
        segment->names[i] = POOL_NONE;
    }
    records->segments[number] = segment;
    records->alive[number] = segment->alive;
    records->segments_live++;
    set_bit(records->roomy, number, true);
    return number;
}

static void free_segment(struct index *index, uint32_t number) {
    struct records *records = &index->records;
    mem_free(records->segments[number]);
    records->segments[number] = NULL;
    records->alive[number] = NULL;
    index->bytes -= sizeof(struct segment) + MALLOC_BYTES;
    set_bit(records->roomy, number, false);
    set_bit(records->holed, number, false);
    if (--records->segments_live == 0) {
        free_directory(index);
    }
}

/* ---- Groups ---- */

/* The numbers of a group that are free, a bit per slot. */
static uint16_t free_slots(const struct records *records, uint32_t group) {
    const struct segment *segment = records->segments[group / SEGMENT_GROUPS];
    uint32_t word = group % SEGMENT_GROUPS / 4;
    uint64_t in_use = segment->alive[word] | segment->dead[0][word] | segment->dead[1][word];
    return (uint16_t) ~(in_use >> (group % 4 * GROUP_RECORDS));
}

/* Note which room a group has, that is not open. */
static void note_room(struct records *records, uint32_t group) {
    uint32_t number = group / SEGMENT_GROUPS;
    struct segment *segment = records->segments[number];
    uint16_t slots = free_slots(records, group);
    set_bit(&segment->free_groups, group % SEGMENT_GROUPS, slots == UINT16_MAX);
    set_bit(&segment->holed_groups, group % SEGMENT_GROUPS, slots != UINT16_MAX && slots != 0);
    set_bit(records->roomy, number, segment->free_groups != 0);
    set_bit(records->holed, number, segment->holed_groups != 0);
}

static void close_group(struct index *index) {
    uint32_t group = index->records.open.group;
    if (group != NONE) {
        names_close(index);
        note_room(&index->records, group);
    }
}

/* Open a group with room: an empty one, or else one with holes, before memory is asked for. */
static void open_group(struct index *index) {
    struct records *records = &index->records;
    uint32_t number = first_bit(records->roomy, BITMAP_WORDS);
    uint64_t groups;
    if (number == NONE && (number = first_bit(records->holed, BITMAP_WORDS)) != NONE) {
        groups = records->segments[number]->holed_groups;
    } else {
        number = number == NONE ? make_segment(index) : number;
        groups = records->segments[number]->free_groups;
    }
    struct segment *segment = records->segments[number];
    uint32_t at = (uint32_t)__builtin_ctzll(groups);
    set_bit(&segment->free_groups, at, false);
    set_bit(&segment->holed_groups, at, false);
    set_bit(records->roomy, number, segment->free_groups != 0);
    set_bit(records->holed, number, segment->holed_groups != 0);
    names_open(index, number * SEGMENT_GROUPS + at);
}

static uint32_t take_number(struct index *index) {
    struct records *records = &index->records;
    if (records->open.group == NONE || free_slots(records, records->open.group) == 0) {
        close_group(index);
        open_group(index);
    }
    uint32_t group = records->open.group;
    uint32_t slot = (uint32_t)__builtin_ctz(free_slots(records, group));
    uint32_t number = group * GROUP_RECORDS + slot;
    set_bit(records->alive[number / SEGMENT_RECORDS], number % SEGMENT_RECORDS, true);
    records->live++;
    return number;
}

void records_close(struct index *index) {
    close_group(index);
}

/* ---- Finding ---- */

static uint64_t hash_content(const struct index *index, const struct content_id *content) {
    uint8_t key[CONTENT_KEY_BYTES];
    content_key(key, content);
    return siphash(index->sip_key, key, sizeof key);
}

/* Of a variant that is not the main one: its texts go in, or one content with many names would make
 * long walks. */
static uint64_t hash_file(const struct index *index, const struct file_record *file) {
    uint64_t hash = hash_content(index, &file->content);
    uint64_t part_key[2] = {index->sip_key[0] ^ hash, index->sip_key[1]};
    hash = siphash(part_key, file->name.data, file->name.len);
    part_key[0] = index->sip_key[0] ^ hash;
    return siphash(part_key, file->meta.data, file->meta.len);
}

static uint16_t *rest_of(const struct index *index, uint32_t number) {
    return &segment_of(index, number)->rest[number % SEGMENT_RECORDS];
}

static struct file_record read_record(const struct index *index, struct name_reader *reader,
                                      uint32_t number) {
    struct file_record file = {.content = record_content(index, number)};
    names_read(index, reader, number, &file.name, &file.meta);
    return file;
}

static uint64_t hash_variant(const struct index *index, uint32_t number) {
    struct name_reader reader = {.group = NONE};
    struct file_record file = read_record(index, &reader, number);
    return hash_file(index, &file);
}

/* The hash under which a record stands in the table. */
static uint64_t hash_number(const struct index *index, uint32_t number) {
    if ((*rest_of(index, number) & REST_IS_VARIANT) != 0) {
        return hash_variant(index, number);
    }
    struct content_id content = record_content(index, number);
    return hash_content(index, &content);
}

uint64_t records_hash(const struct index *index, const struct content_id *content) {
    uint64_t hash = hash_content(index, content);
    table_prefetch(&index->records.contents, hash);
    return hash;
}

uint32_t records_find_content(const struct index *index, const struct content_id *content,
                              uint64_t hash) {
    struct table_walk walk = table_start(&index->records.contents, hash);
    uint32_t number;
    while ((number = table_next(&walk)) != TABLE_NONE) {
        const struct segment *segment = segment_of(index, number);
        uint32_t at = number % SEGMENT_RECORDS;
        if (memcmp(segment->records[at].root.b, content->root.b, sizeof content->root.b) == 0 &&
            record_size(segment, at) == content->size && record_is_alive(index, number) &&
            (segment->rest[at] & REST_IS_VARIANT) == 0) {
            break;
        }
    }
    return number;
}

static bool slices_equal(struct slice a, struct slice b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static bool texts_equal(const struct index *index, uint32_t number,
                        const struct file_record *file) {
    struct name_reader reader;
    reader.group = NONE;
    struct slice name, meta;
    names_read(index, &reader, number, &name, &meta);
    return slices_equal(name, file->name) && slices_equal(meta, file->meta);
}

static uint32_t find_variant(const struct index *index, const struct file_record *file) {
    struct table_walk walk = table_start(&index->records.contents, hash_file(index, file));
    uint32_t number;
    while ((number = table_next(&walk)) != TABLE_NONE) {
        struct content_id content = record_content(index, number);
        if (record_is_alive(index, number) && (*rest_of(index, number) & REST_IS_VARIANT) != 0 &&
            content_equal(&content, &file->content) && texts_equal(index, number, file)) {
            break;
        }
    }
    return number;
}

uint32_t records_find(const struct index *index, const struct file_record *file, uint32_t main) {
    if (main == NONE || texts_equal(index, main, file)) {
        return main;
    }
    bool has_variants = (*rest_of(index, main) & REST_HAS_VARIANTS) != 0;
    return has_variants ? find_variant(index, file) : NONE;
}

/* ---- Variants ---- */

static uint64_t hash_ringed(const struct index *index, uint32_t number) {
    return siphash(index->sip_key, &number, sizeof number);
}

/* The handle of a variant that is there. */
static uint32_t find_ringed(const struct index *index, uint32_t number) {
    const struct variants *variants = &index->records.variants;
    struct table_walk walk = table_start(&variants->table, hash_ringed(index, number));
    uint32_t handle;
    const struct variant *variant;
    do {
        handle = table_next(&walk);
        CHECK(handle != TABLE_NONE);
        variant = pool_at(&variants->pool, handle);
    } while (variant->number != number);
    return handle;
}

static struct variant *variant_of(const struct index *index, uint32_t number) {
    return pool_at(&index->records.variants.pool, find_ringed(index, number));
}

static struct variant *make_variant(struct index *index, uint32_t number) {
    struct variants *variants = &index->records.variants;
    uint32_t handle = pool_take(&variants->pool, sizeof(struct variant));
    table_add(&variants->table, hash_ringed(index, number), handle);
    struct variant *variant = pool_at(&variants->pool, handle);
    *variant = (struct variant){number, number, number};
    return variant;
}

static uint32_t free_variant(struct index *index, uint32_t number) {
    struct variants *variants = &index->records.variants;
    uint32_t handle = find_ringed(index, number);
    pool_give(&variants->pool, handle);
    return table_remove(&variants->table, hash_ringed(index, number), handle);
}

uint32_t records_next_variant(const struct index *index, uint32_t number) {
    bool is_alone = (*rest_of(index, number) & (REST_HAS_VARIANTS | REST_IS_VARIANT)) == 0;
    return is_alone ? number : variant_of(index, number)->next;
}

/* Let a record stand beside the main one of its content. */
static void join_variants(struct index *index, uint32_t main, uint32_t number) {
    uint16_t *rest = rest_of(index, main);
    if ((*rest & REST_HAS_VARIANTS) == 0) {
        *rest |= REST_HAS_VARIANTS;
        make_variant(index, main);
    }
    *rest_of(index, number) |= REST_IS_VARIANT;
    struct variant *variant = make_variant(index, number), *first = variant_of(index, main);
    variant->before = main;
    variant->next = first->next;
    variant_of(index, first->next)->before = number;
    first->next = number;
}

/* Take a dying record out of the ring; if it was the main one, another takes its place. Return how
 * much work that was. */
static uint32_t leave_variants(struct index *index, uint32_t number) {
    struct table *contents = &index->records.contents;
    uint16_t *rest = rest_of(index, number);
    bool was_main = (*rest & REST_HAS_VARIANTS) != 0;
    struct variant left = *variant_of(index, number);
    uint32_t places = table_remove(contents, hash_number(index, number), number);
    variant_of(index, left.before)->next = left.next;
    variant_of(index, left.next)->before = left.before;
    places += free_variant(index, number);
    *rest &= (uint16_t) ~(REST_HAS_VARIANTS | REST_IS_VARIANT);
    if (was_main) {
        uint16_t *heir = rest_of(index, left.next);
        places += table_remove(contents, hash_number(index, left.next), left.next);
        *heir = (uint16_t)((*heir & ~REST_IS_VARIANT) | REST_HAS_VARIANTS);
        table_add(contents, hash_number(index, left.next), left.next);
    }
    if (variant_of(index, left.next)->next == left.next) { /* nobody else */
        *rest_of(index, left.next) &= (uint16_t)~REST_HAS_VARIANTS;
        places += free_variant(index, left.next);
    }
    return WORK_GROUP + places / PLACES_PER_WORK; /* the names of one were read for its hash */
}

/* ---- Coming and going ---- */

uint32_t records_make(struct index *index, const struct file_record *file, enum file_type type,
                      uint64_t hash, uint32_t main) {
    uint32_t number = take_number(index);
    struct segment *segment = segment_of(index, number);
    uint32_t at = number % SEGMENT_RECORDS;
    segment->records[at] = (struct record){file->content.root, (uint32_t)file->content.size, NONE};
    segment->rest[at] =
        (uint16_t)((uint32_t)type << REST_TYPE_SHIFT | size_class(file->content.size));
    names_put(index, number, file);
    if (main != NONE) {
        join_variants(index, main, number);
        hash = hash_file(index, file);
    }
    table_add(&index->records.contents, hash, number);
    return number;
}

static uint32_t kill(struct index *index, uint32_t number) {
    struct records *records = &index->records;
    uint32_t work = 1;
    if ((*rest_of(index, number) & (REST_HAS_VARIANTS | REST_IS_VARIANT)) != 0) {
        work += leave_variants(index, number);
    }
    struct segment *segment = segment_of(index, number);
    set_bit(segment->alive, number % SEGMENT_RECORDS, false);
    set_bit(segment->dead[records->dead_at], number % SEGMENT_RECORDS, true);
    records->live--;
    records->dead_count++;
    return work;
}

/* Free the condemned of a group; false when there are none. */
static bool free_group(struct index *index, uint32_t group) {
    struct records *records = &index->records;
    uint64_t mask = (uint64_t)UINT16_MAX << (group % 4 * GROUP_RECORDS);
    struct segment *segment = records->segments[group / SEGMENT_GROUPS];
    uint64_t *condemned = &segment->dead[1 - records->dead_at][group % SEGMENT_GROUPS / 4];
    uint64_t gone = *condemned & mask;
    if (gone == 0) {
        return false;
    }
    *condemned &= ~mask;
    records->condemned_count -= (uint32_t)__builtin_popcountll(gone);
    if (group != records->open.group) {
        names_thin(index, group);
        note_room(records, group);
    }
    return true;
}

bool records_free_condemned(struct index *index, uint32_t number, uint32_t *from, uint32_t *work) {
    const struct segment *segment = index->records.segments[number];
    uint32_t i = *from, groups = 0;
    for (; segment != NULL && i < SEGMENT_GROUPS && groups < GROUPS_PER_STEP; i++) {
        groups += free_group(index, number * SEGMENT_GROUPS + i);
    }
    *work += groups * WORK_GROUP;
    bool is_done = segment == NULL || i == SEGMENT_GROUPS;
    *from = is_done ? 0 : i;
    if (is_done && segment != NULL && segment->free_groups == UINT64_MAX) {
        free_segment(index, number);
    }
    return is_done;
}

void records_condemn(struct index *index) {
    struct records *records = &index->records;
    CHECK(records->condemned_count == 0);
    records->dead_at = 1 - records->dead_at;
    records->condemned_count = records->dead_count;
    records->dead_count = 0;
}

/* ---- Holders ---- */

static uint32_t *holder_of(const struct index *index, uint32_t number) {
    return &segment_of(index, number)->records[number % SEGMENT_RECORDS].holder;
}

static uint32_t *set_at(const struct index *index, uint32_t holder) {
    return pool_at(&index->pool, holder & ~HOLDER_SET);
}

const uint32_t *records_holders(const struct index *index, uint32_t number, uint32_t *one,
                                uint32_t *count) {
    uint32_t holder = *holder_of(index, number);
    if ((holder & HOLDER_SET) == 0) {
        *one = holder;
        *count = 1;
        return one;
    }
    const uint32_t *set = holder == NONE ? NULL : set_at(index, holder);
    *count = set == NULL ? 0 : set[0];
    return set == NULL ? one : set + 1;
}

/* Put `count` lists into a block of their own, with room for more. */
static void make_set(struct index *index, uint32_t *holder, const uint32_t *lists, uint32_t count) {
    uint32_t block =
        pool_take(&index->pool, (uint32_t)((2 + count + count / 4) * sizeof(uint32_t)));
    uint32_t *set = pool_at(&index->pool, block);
    set[0] = count;
    memcpy(set + 1, lists, count * sizeof *lists);
    if (*holder != NONE && (*holder & HOLDER_SET) != 0) {
        pool_give(&index->pool, *holder & ~HOLDER_SET);
    }
    *holder = HOLDER_SET | block;
}

void records_hold(struct index *index, uint32_t number, uint32_t list) {
    uint32_t *holder = holder_of(index, number);
    if (*holder == NONE) {
        *holder = list;
        return;
    }
    if ((*holder & HOLDER_SET) == 0) {
        uint32_t both[2] = {*holder, list};
        make_set(index, holder, both, 2);
        return;
    }
    uint32_t *set = set_at(index, *holder);
    if ((set[0] + 2) * sizeof *set > pool_bytes(&index->pool, *holder & ~HOLDER_SET)) {
        make_set(index, holder, set + 1, set[0]);
        set = set_at(index, *holder);
    }
    set[++set[0]] = list;
}

/* Where a list stands among the first `count`; it is there. By 16 at once, which compilers turn
 * into vectors: what many share is in the lists of hundreds. */
static uint32_t find_holder(const uint32_t *lists, uint32_t count, uint32_t list) {
    uint32_t at = 0;
    for (; at + HOLDERS_AT_ONCE <= count; at += HOLDERS_AT_ONCE) {
        uint32_t found = 0;
        for (uint32_t i = 0; i < HOLDERS_AT_ONCE; i++) {
            found |= lists[at + i] == list;
        }
        if (found != 0) {
            break;
        }
    }
    while (at < count && lists[at] != list) {
        at++;
    }
    CHECK(at < count);
    return at;
}

uint32_t records_let_go(struct index *index, uint32_t number, uint32_t list) {
    uint32_t *holder = holder_of(index, number);
    if (*holder == list) {
        *holder = NONE;
        return kill(index, number);
    }
    CHECK(*holder != NONE && (*holder & HOLDER_SET) != 0);
    uint32_t *set = set_at(index, *holder);
    uint32_t at = 1 + find_holder(set + 1, set[0], list), work = 1 + at / HOLDERS_PER_WORK;
    set[at] = set[set[0]--];
    if (set[0] == 1) {
        uint32_t last = set[1];
        pool_give(&index->pool, *holder & ~HOLDER_SET);
        *holder = last;
    } else if ((set[0] + 1) * 2 * sizeof *set < pool_bytes(&index->pool, *holder & ~HOLDER_SET)) {
        work += set[0] / HOLDERS_COPIED_PER_WORK;
        make_set(index, holder, set + 1, set[0]);
    }
    return work;
}

/* ---- The whole ---- */

void records_init(struct index *index) {
    struct records *records = &index->records;
    records->open.group = NONE;
    table_init(&records->contents, &index->bytes);
    table_init(&records->variants.table, &index->bytes);
    pool_init(&records->variants.pool, &index->bytes, VARIANT_BLOCK_BITS, VARIANT_PAGE_BITS);
}

void records_free(struct index *index) {
    struct records *records = &index->records;
    table_free(&records->variants.table);
    pool_free(&records->variants.pool);
    table_free(&records->contents);
    uint32_t segments = records->segment_cap;
    for (uint32_t i = 0; i < segments; i++) {
        if (records->segments != NULL && records->segments[i] != NULL) {
            free_segment(index, i);
        }
    }
}
