/* index.c - the lists of leaves: their records come, are shown, hidden, walked, and go. */
#include "supernode/index.h"

#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "common/rng.h"
#include "supernode/index_parts.h"

/* Of a block's handle, which has a 32nd bit to spare in lists and holders. */
#define BLOCK_BITS 11
#define PAGE_BITS 20
#define RECORD_CHARGE 48
#define WORD_CHARGE 8

struct index *index_new(uint64_t seed, uint64_t bytes_max) {
    CHECK(bytes_max <= INDEX_BYTES_MAX); /* numbers have 24 bits: more records than it can hold */
    struct index *index = mem_new(sizeof *index);
    struct rng rng;
    rng_seed(&rng, seed);
    index->sip_key[0] = rng_u64(&rng);
    index->sip_key[1] = rng_u64(&rng);
    index->bytes_max = bytes_max / 100 * INDEX_REFUSE_PERCENT;
    index->dropped_end = &index->dropped;
    pool_init(&index->pool, &index->bytes, BLOCK_BITS, PAGE_BITS);
    records_init(index);
    terms_init(index);
    return index;
}

bool index_is_full(const struct index *index) {
    return index->bytes >= index->bytes_max ||
           index->terms.table.count > TABLE_NUMBERS_MAX - NAME_WORDS_MAX - PENDING_RUNS;
}

/* ---- Numbers of lists ---- */

static uint64_t directory_bytes(uint32_t lists) {
    return lists == 0 ? 0 : lists * sizeof(struct list_place) + MALLOC_BYTES;
}

static uint64_t runs_bytes(uint32_t runs) {
    return runs == 0 ? 0 : runs * sizeof(struct run) + MALLOC_BYTES;
}

static void resize_directory(struct index *index, uint32_t cap) {
    index->bytes += directory_bytes(cap);
    index->bytes -= directory_bytes(index->list_cap);
    index->lists = mem_resize(index->lists, cap, sizeof *index->lists);
    for (uint32_t i = index->list_cap; i < cap; i++) {
        index->lists[i] = (struct list_place){0};
    }
    index->list_cap = cap;
}

struct index_list *index_list_new(struct index *index, void *owner) {
    CHECK(owner != NULL);
    uint32_t number = index->list_hint;
    while (number < index->list_cap && index->lists[number].list != NULL) {
        number++;
    }
    if (number == index->list_cap) {
        resize_directory(index, number + number / 2 + 4);
    }
    struct index_list *list = mem_new(sizeof *list);
    index->bytes += sizeof *list + MALLOC_BYTES;
    list->index = index;
    list->owner = owner;
    list->number = number;
    index->lists[number].list = list;
    index->list_hint = number + 1;
    index->list_count++;
    return list;
}

void lists_free(struct index *index, struct index_list *list) {
    index->lists[list->number].list = NULL;
    index->list_hint = list->number < index->list_hint ? list->number : index->list_hint;
    index->bytes -= sizeof *list + MALLOC_BYTES + runs_bytes(list->run_cap);
    mem_free(list->runs);
    mem_free(list);
    if (--index->list_count == 0) {
        index->bytes -= directory_bytes(index->list_cap);
        mem_free(index->lists);
        index->lists = NULL;
        index->list_cap = 0;
    }
}

void index_free(struct index *index) {
    if (index == NULL) {
        return;
    }
    for (uint32_t i = 0; index->list_count > 0; i++) {
        if (index->lists[i].list != NULL) {
            lists_free(index, index->lists[i].list);
        }
    }
    records_free(index);
    terms_free(index);
    pool_free(&index->pool);
    CHECK(index->bytes == 0);
    mem_free(index);
}

/* ---- Runs of a list ---- */

/* The first run that ends at `number` or later; run_count if none does. */
static uint32_t find_run(const struct index_list *list, uint32_t number) {
    uint32_t low = 0, high = list->run_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (list->runs[middle].last < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool list_has(const struct index_list *list, uint32_t number) {
    uint32_t at = find_run(list, number);
    return at < list->run_count && list->runs[at].first <= number;
}

static void resize_runs(struct index_list *list, uint32_t cap) {
    list->index->bytes += runs_bytes(cap);
    list->index->bytes -= runs_bytes(list->run_cap);
    list->runs = mem_resize(list->runs, cap, sizeof *list->runs);
    list->run_cap = cap;
}

static void insert_run(struct index_list *list, uint32_t at, struct run run) {
    if (list->run_count == list->run_cap) {
        resize_runs(list, list->run_cap + list->run_cap / 2 + 2);
    }
    memmove(&list->runs[at + 1], &list->runs[at], (list->run_count - at) * sizeof run);
    list->runs[at] = run;
    list->run_count++;
}

static void remove_run(struct index_list *list, uint32_t at) {
    list->run_count--;
    memmove(&list->runs[at], &list->runs[at + 1], (list->run_count - at) * sizeof list->runs[0]);
}

static void put_number(struct index_list *list, uint32_t number) {
    uint32_t at = find_run(list, number);
    bool after = at > 0 && list->runs[at - 1].last + 1 == number;
    bool before = at < list->run_count && list->runs[at].first == number + 1;
    if (after && before) {
        list->runs[at - 1].last = list->runs[at].last;
        remove_run(list, at);
    } else if (after) {
        list->runs[at - 1].last = number;
    } else if (before) {
        list->runs[at].first = number;
    } else {
        insert_run(list, at, (struct run){number, number});
    }
    list->files++;
}

static void take_number(struct index_list *list, uint32_t number) {
    uint32_t at = find_run(list, number);
    struct run *run = &list->runs[at];
    struct run tail = {number + 1, run->last};
    if (run->first == run->last) {
        remove_run(list, at);
    } else if (number == run->first) {
        run->first++;
    } else {
        run->last = number - 1;
        if (tail.first <= tail.last) {
            insert_run(list, at + 1, tail);
        }
    }
    list->files--;
}

uint32_t lists_pop(struct index_list *list) {
    struct run *run = &list->runs[list->run_count - 1];
    uint32_t number = run->last;
    if (run->first == run->last) {
        list->run_count--;
    } else {
        run->last--;
    }
    list->files--;
    return number;
}

/* ---- Records of a list ---- */

/* What a list is charged for a record, as if nobody shared it: its text, its words, and a flat
 * part. LEAF_FILES_MAX names of 60 bytes and 11 words just fit. */
static uint64_t charge_of(const struct file_record *file, const struct words *words) {
    return RECORD_CHARGE + file->name.len + file->meta.len + WORD_CHARGE * (words->count + 1ULL);
}

/* Read a file's words to where the next record's go; return its type. */
static enum file_type read_words(struct index *index, const struct file_record *file) {
    struct file_facts facts;
    file_facts_read(file, &facts);
    file_keywords(&facts, terms_next(index));
    return facts.type;
}

enum err index_list_add(struct index_list *list, const struct file_record *file) {
    struct index *index = list->index;
    if (file->name.len > NAME_BYTES_MAX || file->meta.len > FILE_META_MAX ||
        file->content.size > FILE_BYTES_MAX || index_is_full(index)) {
        return ERR_LIMIT;
    }
    uint64_t hash = records_hash(index, &file->content);
    enum file_type type = read_words(index, file);
    uint32_t main = records_find_content(index, &file->content, hash);
    uint32_t number = records_find(index, file, main);
    if (number != NONE && list_has(list, number)) {
        return OK;
    }
    uint64_t charge = list->charge + charge_of(file, terms_next(index));
    if (list->files >= LEAF_FILES_MAX || charge > LEAF_INDEX_BYTES_MAX) {
        return ERR_LIMIT;
    }
    if (number == NONE) {
        number = records_make(index, file, type, hash, main);
        terms_join(index, number);
    }
    records_hold(index, number, list->number);
    put_number(list, number);
    list->charge = charge;
    if (list->shown) {
        index->files++;
        terms_flush(index);
    }
    return OK;
}

bool index_list_remove(struct index_list *list, const struct file_record *file) {
    struct index *index = list->index;
    uint64_t hash = records_hash(index, &file->content);
    uint32_t number = records_find(index, file, records_find_content(index, &file->content, hash));
    if (number == NONE || !list_has(list, number)) {
        return false;
    }
    terms_flush(index);
    (void)read_words(index, file);
    list->charge -= charge_of(file, terms_next(index));
    take_number(list, number);
    (void)records_let_go(index, number, list->number);
    index->files -= list->shown ? 1 : 0;
    return true;
}

bool index_list_next(const struct index_list *list, uint32_t *cursor, struct file_record *file) {
    struct index *index = list->index;
    uint32_t at = find_run(list, *cursor);
    if (at == list->run_count) {
        return false;
    }
    uint32_t number = list->runs[at].first > *cursor ? list->runs[at].first : *cursor;
    index->scratch.group = *cursor == 0 ? NONE : index->scratch.group;
    file->content = record_content(index, number);
    names_read(index, &index->scratch, number, &file->name, &file->meta);
    *cursor = number + 1;
    return true;
}

void index_list_show(struct index_list *list, bool shown) {
    struct index *index = list->index;
    if (list->shown == shown) {
        return;
    }
    terms_flush(index);
    list->shown = shown;
    index->lists[list->number].owner = shown ? list->owner : NULL;
    if (shown) {
        index->leaves++;
        index->files += list->files;
    } else {
        index->leaves--;
        index->files -= list->files;
    }
}

uint32_t index_list_files(const struct index_list *list) {
    return list->files;
}

void index_list_drop(struct index_list *list) {
    struct index *index = list->index;
    index_list_show(list, false);
    list->owner = NULL;
    *index->dropped_end = list;
    index->dropped_end = &list->next_dropped;
}

struct index_counts index_count(const struct index *index) {
    return (struct index_counts){.leaves = index->leaves,
                                 .files = index->files,
                                 .records = index->records.live,
                                 .words = index->terms.table.count,
                                 .bytes = index->bytes};
}
