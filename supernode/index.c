/* index.c - the inverted index: words -> records -> holders, with exact and cheap removal.
 *
 * A content id is one more word of its records (0xff and its key, which no UTF-8 word can be), so
 * locating by content is a search for one word.
 *
 *     word "whale"  records: [ 7 | 12 | 3 ]          places[] of record 12: {word, at = 1}
 *                                  ^-----------------------'
 * Every record knows where it stands in the array of each of its words, so it leaves them by
 * swapping with the last entry, however popular the word is. A search walks the array of its
 * rarest word and looks the other words up in the record's own places (at most NAME_WORDS_MAX);
 * no order is needed in the arrays. */
#include "supernode/index.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/map.h"
#include "common/mem.h"
#include "common/rng.h"
#include "supernode/table.h"

#define BLOCK_OVERHEAD 16 /* bytes that malloc adds to a block, for the budget */
#define ARRAY_CAP_MIN 2
#define RECORD_CHARGE 48
#define CONTENT_WORD_MARK ((char)0xff) /* never the first byte of UTF-8 */

/* An array of numbers inside words, records and lists. */
struct numbers {
    uint32_t *at;
    uint32_t count;
    uint32_t cap;
};

struct indexed_word {
    struct table_item item;
    struct numbers records;
    uint8_t len;
    char text[];
};

struct place {
    uint32_t word;
    uint32_t at; /* in the word's records */
};

/* Followed by its places, the name, and the metadata. */
struct record {
    struct table_item item; /* hash of content id, name and metadata */
    struct content_id content;
    struct numbers holders; /* lists */
    uint16_t meta_len;
    uint8_t name_len;
    uint8_t place_count;
    struct place places[];
};

struct index_list {
    struct table_item item;
    struct index *index;
    void *owner;
    struct numbers records;
    uint32_t number;
    bool shown;
    uint64_t bytes; /* charged for its records */
    struct index_list *next_dropped;
};

struct index {
    struct table words;
    struct table records;
    struct table lists;
    uint64_t sip_key[2];
    uint64_t bytes;
    uint64_t bytes_max;
    uint32_t lists_made;
    uint32_t leaves;
    uint64_t files;
    struct index_list *dropped; /* to be reclaimed, oldest first */
    struct index_list **dropped_end;
    uint32_t contents; /* among the words */
    index_word_fn *listener;
    void *listener_context;
};

struct index *index_new(uint64_t seed, uint64_t bytes_max) {
    struct index *index = mem_new(sizeof *index);
    struct rng rng;
    rng_seed(&rng, seed);
    index->sip_key[0] = rng_u64(&rng);
    index->sip_key[1] = rng_u64(&rng);
    index->bytes_max = bytes_max / 100 * INDEX_REFUSE_PERCENT;
    index->dropped_end = &index->dropped;
    return index;
}

bool index_is_full(const struct index *index) {
    return index->bytes >= index->bytes_max;
}

/* ---- Arrays of numbers, with their memory accounted for ---- */

static uint64_t numbers_bytes(uint32_t cap) {
    return cap == 0 ? 0 : (uint64_t)cap * sizeof(uint32_t) + BLOCK_OVERHEAD;
}

static void numbers_resize(struct index *index, struct numbers *numbers, uint32_t cap) {
    index->bytes -= numbers_bytes(numbers->cap);
    index->bytes += numbers_bytes(cap);
    numbers->cap = cap;
    if (cap == 0) {
        mem_free(numbers->at);
        numbers->at = NULL;
    } else {
        numbers->at = mem_resize(numbers->at, cap, sizeof *numbers->at);
    }
}

static uint32_t numbers_add(struct index *index, struct numbers *numbers, uint32_t number) {
    if (numbers->count == numbers->cap) {
        uint32_t cap = numbers->cap < ARRAY_CAP_MIN ? ARRAY_CAP_MIN : numbers->cap * 2;
        numbers_resize(index, numbers, cap);
    }
    numbers->at[numbers->count] = number;
    return numbers->count++;
}

/* Give memory back after a removal. */
static void numbers_shrink(struct index *index, struct numbers *numbers) {
    if (numbers->count == 0) {
        numbers_resize(index, numbers, 0);
    } else if (numbers->cap > ARRAY_CAP_MIN && numbers->count <= numbers->cap / 4) {
        numbers_resize(index, numbers, numbers->cap / 2);
    }
}

/* ---- Words ---- */

static struct indexed_word *word_at(const struct index *index, uint32_t number) {
    return (struct indexed_word *)table_item(&index->words, number);
}

static uint32_t hash_of(const struct index *index, const void *bytes, size_t len) {
    return (uint32_t)siphash(index->sip_key, bytes, len);
}

static uint32_t find_word(const struct index *index, const struct word *word, uint32_t hash) {
    uint32_t number = table_first(&index->words, hash);
    while (number != TABLE_NONE) {
        const struct indexed_word *other = word_at(index, number);
        if (other->item.hash == hash && other->len == word->len &&
            memcmp(other->text, word->text, word->len) == 0) {
            break;
        }
        number = other->item.next;
    }
    return number;
}

static uint64_t word_bytes(uint8_t len) {
    return sizeof(struct indexed_word) + len + BLOCK_OVERHEAD + TABLE_ITEM_BYTES;
}

static uint32_t intern_word(struct index *index, const struct word *word) {
    uint32_t hash = hash_of(index, word->text, word->len);
    uint32_t number = find_word(index, word, hash);
    if (number == TABLE_NONE) {
        struct indexed_word *made = mem_new(sizeof *made + word->len);
        made->item.hash = hash;
        made->len = word->len;
        memcpy(made->text, word->text, word->len);
        index->bytes += word_bytes(word->len);
        number = table_add(&index->words, &made->item);
        if (word->text[0] == CONTENT_WORD_MARK) {
            index->contents++;
        } else if (index->listener != NULL) {
            index->listener(index->listener_context,
                            (struct slice){(const uint8_t *)made->text, made->len});
        }
    }
    return number;
}

static void free_word(struct index *index, uint32_t number) {
    struct indexed_word *word = word_at(index, number);
    index->contents -= word->text[0] == CONTENT_WORD_MARK;
    index->bytes -= word_bytes(word->len);
    table_remove(&index->words, number);
    mem_free(word);
}

/* ---- Records ---- */

static struct record *record_at(const struct index *index, uint32_t number) {
    return (struct record *)table_item(&index->records, number);
}

static uint8_t *record_name(const struct record *record) {
    return (uint8_t *)(record->places + record->place_count);
}

static struct file_record record_file(const struct record *record) {
    const uint8_t *name = record_name(record);
    return (struct file_record){.content = record->content,
                                .name = {name, record->name_len},
                                .meta = {name + record->name_len, record->meta_len}};
}

static uint64_t record_bytes(uint32_t places, size_t text) {
    return sizeof(struct record) + places * sizeof(struct place) + text + BLOCK_OVERHEAD +
           TABLE_ITEM_BYTES;
}

/* What a list is charged for a record, as if nobody shared it: its text, its words, and a flat
 * part. LEAF_FILES_MAX names of 60 bytes and 11 words just fit. */
static uint64_t record_charge(const struct record *record) {
    return RECORD_CHARGE + (uint64_t)record->name_len + record->meta_len +
           sizeof(struct place) * record->place_count;
}

static bool slices_equal(struct slice a, struct slice b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static struct word content_word(const struct content_id *content) {
    struct word word = {.len = 1 + CONTENT_KEY_BYTES};
    uint8_t key[CONTENT_KEY_BYTES];
    content_key(key, content);
    word.text[0] = CONTENT_WORD_MARK;
    memcpy(word.text + 1, key, sizeof key);
    return word;
}

/* All that tells records apart goes in, or one content with many names would make long chains. */
static uint32_t file_hash(const struct index *index, const struct file_record *file) {
    uint8_t key[CONTENT_KEY_BYTES];
    content_key(key, &file->content);
    uint64_t hash = siphash(index->sip_key, key, sizeof key);
    uint64_t part_key[2] = {index->sip_key[0] ^ hash, index->sip_key[1]};
    hash = siphash(part_key, file->name.data, file->name.len);
    part_key[0] = index->sip_key[0] ^ hash;
    return (uint32_t)siphash(part_key, file->meta.data, file->meta.len);
}

static uint32_t find_record(const struct index *index, const struct file_record *file,
                            uint32_t hash) {
    uint32_t number = table_first(&index->records, hash);
    while (number != TABLE_NONE) {
        const struct record *record = record_at(index, number);
        struct file_record other = record_file(record);
        if (record->item.hash == hash && content_equal(&other.content, &file->content) &&
            slices_equal(other.name, file->name) && slices_equal(other.meta, file->meta)) {
            break;
        }
        number = record->item.next;
    }
    return number;
}

static void copy_slice(uint8_t *to, struct slice from) {
    if (from.len > 0) {
        memcpy(to, from.data, from.len);
    }
}

static void join_word(struct index *index, uint32_t number, const struct word *word) {
    struct record *record = record_at(index, number);
    struct place *place = &record->places[record->place_count++];
    place->word = intern_word(index, word);
    place->at = numbers_add(index, &word_at(index, place->word)->records, number);
}

static uint32_t make_record(struct index *index, const struct file_record *file, uint32_t hash) {
    struct words words;
    if (words_split(file->name, NAME_WORDS_MAX, &words) != OK) {
        words.count = 0; /* still found by its content id */
    }
    uint32_t places = words.count + 1;
    size_t text = file->name.len + file->meta.len;
    struct record *record = mem_new(sizeof *record + places * sizeof(struct place) + text);
    record->item.hash = hash;
    record->content = file->content;
    record->name_len = (uint8_t)file->name.len;
    record->meta_len = (uint16_t)file->meta.len;
    index->bytes += record_bytes(places, text);
    uint32_t number = table_add(&index->records, &record->item);
    struct word content = content_word(&file->content);
    join_word(index, number, &content);
    for (uint32_t i = 0; i < words.count; i++) {
        join_word(index, number, &words.words[i]);
    }
    uint8_t *name = record_name(record); /* after the places, now that they are counted */
    copy_slice(name, file->name);
    copy_slice(name + file->name.len, file->meta);
    return number;
}

/* Take the entry of a record out of a word's array: the last entry moves there. */
static void leave_word(struct index *index, const struct place *place) {
    struct indexed_word *word = word_at(index, place->word);
    uint32_t moved = word->records.at[--word->records.count];
    if (place->at != word->records.count) {
        word->records.at[place->at] = moved;
        struct record *other = record_at(index, moved);
        uint32_t i = 0;
        while (other->places[i].word != place->word) {
            i++;
            CHECK(i < other->place_count);
        }
        other->places[i].at = place->at;
    }
    numbers_shrink(index, &word->records);
    if (word->records.count == 0) {
        free_word(index, place->word);
    }
}

static void free_record(struct index *index, uint32_t number) {
    struct record *record = record_at(index, number);
    for (uint32_t i = 0; i < record->place_count; i++) {
        leave_word(index, &record->places[i]);
    }
    numbers_resize(index, &record->holders, 0);
    index->bytes -= record_bytes(record->place_count, (size_t)record->name_len + record->meta_len);
    table_remove(&index->records, number);
    mem_free(record);
}

static uint32_t find_holder(const struct record *record, uint32_t list) {
    uint32_t i = 0;
    while (i < record->holders.count && record->holders.at[i] != list) {
        i++;
    }
    return i;
}

static void remove_holder(struct index *index, uint32_t number, uint32_t list) {
    struct record *record = record_at(index, number);
    uint32_t i = find_holder(record, list);
    CHECK(i < record->holders.count);
    record->holders.at[i] = record->holders.at[--record->holders.count];
    if (record->holders.count == 0) {
        free_record(index, number);
    } else {
        numbers_shrink(index, &record->holders);
    }
}

/* ---- Lists ---- */

static uint64_t list_bytes(void) {
    return sizeof(struct index_list) + BLOCK_OVERHEAD + TABLE_ITEM_BYTES;
}

struct index_list *index_list_new(struct index *index, void *owner) {
    CHECK(owner != NULL);
    struct index_list *list = mem_new(sizeof *list);
    list->index = index;
    list->owner = owner;
    list->item.hash = index->lists_made++; /* lists are only found by number */
    list->number = table_add(&index->lists, &list->item);
    index->bytes += list_bytes();
    return list;
}

enum err index_list_add(struct index_list *list, const struct file_record *file) {
    struct index *index = list->index;
    if (file->name.len > NAME_BYTES_MAX || file->meta.len > FILE_META_MAX ||
        list->records.count >= LEAF_FILES_MAX || index_is_full(index)) {
        return ERR_LIMIT;
    }
    uint32_t hash = file_hash(index, file);
    uint32_t number = find_record(index, file, hash);
    bool is_new = number == TABLE_NONE;
    if (is_new) {
        number = make_record(index, file, hash);
    }
    struct record *record = record_at(index, number);
    if (find_holder(record, list->number) < record->holders.count) {
        return OK;
    }
    uint64_t bytes = list->bytes + record_charge(record);
    if (bytes > LEAF_INDEX_BYTES_MAX) {
        if (is_new) {
            free_record(index, number);
        }
        return ERR_LIMIT;
    }
    list->bytes = bytes;
    numbers_add(index, &record->holders, list->number);
    numbers_add(index, &list->records, number);
    index->files += list->shown ? 1 : 0;
    return OK;
}

void index_list_show(struct index_list *list, bool shown) {
    struct index *index = list->index;
    if (list->shown == shown) {
        return;
    }
    list->shown = shown;
    if (shown) {
        index->leaves++;
        index->files += list->records.count;
    } else {
        index->leaves--;
        index->files -= list->records.count;
    }
}

uint32_t index_list_files(const struct index_list *list) {
    return list->records.count;
}

void index_list_drop(struct index_list *list) {
    struct index *index = list->index;
    index_list_show(list, false);
    list->owner = NULL;
    list->next_dropped = NULL;
    *index->dropped_end = list;
    index->dropped_end = &list->next_dropped;
}

static void free_list(struct index *index, struct index_list *list) {
    numbers_resize(index, &list->records, 0);
    table_remove(&index->lists, list->number);
    index->bytes -= list_bytes();
    mem_free(list);
}

bool index_reclaim(struct index *index, uint32_t records) {
    while (index->dropped != NULL) {
        struct index_list *list = index->dropped;
        while (list->records.count > 0) {
            if (records-- == 0) {
                return true;
            }
            remove_holder(index, list->records.at[--list->records.count], list->number);
        }
        index->dropped = list->next_dropped;
        if (index->dropped == NULL) {
            index->dropped_end = &index->dropped;
        }
        free_list(index, list);
    }
    return false;
}

void index_free(struct index *index) {
    if (index == NULL) {
        return;
    }
    for (uint32_t i = 0; i < index->lists.used; i++) {
        struct index_list *list = (struct index_list *)index->lists.items[i];
        if (list != NULL && list->owner != NULL) {
            index_list_drop(list);
        }
    }
    bool more = index_reclaim(index, UINT32_MAX);
    CHECK(!more && index->records.count == 0 && index->words.count == 0 && index->bytes == 0);
    table_free(&index->words);
    table_free(&index->records);
    table_free(&index->lists);
    mem_free(index);
}

/* ---- Searching ---- */

/* A search under way. */
struct scan {
    const struct index *index;
    const struct index_ask *ask;
    struct index_answer *answer;
    uint32_t looked_at; /* records and holders */
};

/* The owner of the record's i-th list if a search may name him, else NULL. */
static void *holder_at(const struct scan *scan, const struct record *record, uint32_t i) {
    const struct index_list *list =
        (const struct index_list *)table_item(&scan->index->lists, record->holders.at[i]);
    return list->shown && list->owner != scan->ask->except ? list->owner : NULL;
}

/* Note a matching record if anybody who is there holds it. False when the answer is full. */
static bool take_record(struct scan *scan, const struct record *record) {
    struct index_found found;
    found.holder_count = 0;
    uint32_t holders = record->holders.count;
    uint32_t first = scan->ask->spread % holders;
    for (uint32_t n = 0; n < holders && found.holder_count < RECORD_HOLDERS_MAX; n++) {
        void *holder = holder_at(scan, record, (first + n) % holders);
        scan->looked_at++;
        if (holder != NULL) {
            found.holders[found.holder_count++] = holder;
        }
    }
    if (found.holder_count == 0) {
        return true;
    }
    if (scan->answer->count == scan->ask->max || scan->answer->count == QUERY_RESULTS_MAX) {
        scan->answer->truncated = true;
        return false;
    }
    found.file = record_file(record);
    scan->answer->found[scan->answer->count++] = found;
    return true;
}

static bool has_word(const struct record *record, uint32_t word) {
    for (uint32_t i = 0; i < record->place_count; i++) {
        if (record->places[i].word == word) {
            return true;
        }
    }
    return false;
}

static bool has_words(const struct record *record, const uint32_t *words, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (!has_word(record, words[i])) {
            return false;
        }
    }
    return true;
}

static int compare_slices(struct slice a, struct slice b) {
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common > 0 ? memcmp(a.data, b.data, common) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_found(const void *left, const void *right) {
    const struct file_record *a = &((const struct index_found *)left)->file;
    const struct file_record *b = &((const struct index_found *)right)->file;
    int order = memcmp(a->content.root.b, b->content.root.b, sizeof a->content.root.b);
    if (order == 0) {
        order = (a->content.size > b->content.size) - (a->content.size < b->content.size);
    }
    if (order == 0) {
        order = compare_slices(a->name, b->name);
    }
    return order != 0 ? order : compare_slices(a->meta, b->meta);
}

/* Look through the records of the rarest of these words. */
static void scan_words(struct scan *scan, const uint32_t *words, uint32_t count) {
    const struct index *index = scan->index;
    const struct numbers *rarest = &word_at(index, words[0])->records;
    for (uint32_t i = 1; i < count; i++) {
        const struct numbers *records = &word_at(index, words[i])->records;
        rarest = records->count < rarest->count ? records : rarest;
    }
    for (uint32_t i = 0; i < rarest->count; i++) {
        if (scan->looked_at >= INDEX_SCAN_MAX) {
            scan->answer->truncated = true;
            return;
        }
        scan->looked_at++;
        const struct record *record = record_at(index, rarest->at[i]);
        if (has_words(record, words, count) && !take_record(scan, record)) {
            return;
        }
    }
}

static void search(struct scan *scan, const struct word *wanted, uint32_t count) {
    const struct index *index = scan->index;
    uint32_t words[NAME_WORDS_MAX];
    scan->answer->count = 0;
    scan->answer->truncated = false;
    for (uint32_t i = 0; i < count; i++) {
        words[i] = find_word(index, &wanted[i], hash_of(index, wanted[i].text, wanted[i].len));
        if (words[i] == TABLE_NONE) {
            return;
        }
    }
    if (count > 0) {
        scan_words(scan, words, count);
        qsort(scan->answer->found, scan->answer->count, sizeof scan->answer->found[0],
              compare_found);
    }
}

void index_search(const struct index *index, const struct words *wanted,
                  const struct index_ask *ask, struct index_answer *answer) {
    struct scan scan = {.index = index, .ask = ask, .answer = answer};
    search(&scan, wanted->words, wanted->count);
}

void index_locate(const struct index *index, const struct content_id *content,
                  const struct index_ask *ask, struct index_answer *answer) {
    struct scan scan = {.index = index, .ask = ask, .answer = answer};
    struct word word = content_word(content);
    search(&scan, &word, 1);
}

bool index_word_next(const struct index *index, uint32_t *cursor, struct slice *word) {
    while (*cursor < index->words.used) {
        const struct table_item *item = index->words.items[(*cursor)++];
        const struct indexed_word *found = (const struct indexed_word *)item;
        if (found != NULL && found->text[0] != CONTENT_WORD_MARK) {
            *word = (struct slice){(const uint8_t *)found->text, found->len};
            return true;
        }
    }
    return false;
}

void index_listen(struct index *index, index_word_fn *listener, void *context) {
    index->listener = listener;
    index->listener_context = context;
}

struct index_counts index_count(const struct index *index) {
    return (struct index_counts){.leaves = index->leaves,
                                 .files = index->files,
                                 .records = index->records.count,
                                 .words = index->words.count - index->contents,
                                 .bytes = index->bytes};
}
