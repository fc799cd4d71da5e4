/* settle.c - works out in slices what a list that came comes to, and changes the one held.
 *
 *     whole:  take (hash, index) ... COMMIT -- order --> right or wrong
 *     change: take (hash) ... COMMIT -- part -- order --> wrong
 *                                                     --> right -- remove -- add --> in place
 *
 * No step sorts or hashes a whole list: it costs REG_SLICE_COST at most, however long the list is.
 * A short list or change is settled in the step that brings it; a longer change is in place a few
 * turns of the loop later, record by record, what goes first. */
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "supernode/core.h"

/* What things cost, in tenths of a microsecond or so. */
#define COST_HASH 4
#define COST_PART 6
#define COST_ORDER 3
#define COST_INDEX 16 /* a record goes into the index, or out of it */

static const struct crypto *crypto_of(const struct registration *coming) {
    return coming->leaf->supernode->env->crypto;
}

void settle_free(struct registration *coming) {
    if (coming->sum != NULL) {
        list_root_free(coming->sum);
        mem_free(coming->sum);
    }
    mem_free(coming->removed);
    buf_free(&coming->added);
    buf_free(&coming->gone);
}

/* ---- What comes ---- */

/* May `len` bytes more be kept? A whole list is charged more than that for them by the index. */
static bool may_keep(const struct registration *coming, size_t len) {
    size_t kept = coming->added.len + coming->removed_count * sizeof *coming->removed;
    return kept + len <= (coming->is_change ? REG_CHANGE_BYTES : LEAF_INDEX_BYTES_MAX);
}

bool settle_keep_records(struct registration *coming, struct reg_records *records) {
    struct file_record file;
    if (!coming->is_change && coming->added_at == coming->added.len) {
        coming->added.len = coming->added_at = 0; /* all are taken: begin anew */
    }
    while (wire_reg_records_next(records, &file)) {
        if (!may_keep(coming, sizeof file.content + 1 + file.name.len + 2 + file.meta.len)) {
            return false;
        }
        wire_file_record_append(&coming->added, &file);
        coming->count++;
    }
    return true;
}

static uint64_t prefix_at(const struct reg_remove *remove, uint32_t at) {
    struct reader reader =
        reader_of(remove->prefixes.data + (size_t)at * RECORD_PREFIX_BYTES, RECORD_PREFIX_BYTES);
    return reader_u64(&reader);
}

/* They come in order, and are merged from the end with those that came before. */
bool settle_keep_removed(struct registration *coming, const struct reg_remove *remove) {
    if (!may_keep(coming, remove->prefixes.len)) {
        return false;
    }
    uint32_t from = coming->removed_count, to = from + remove->count;
    if (to > coming->removed_cap) {
        coming->removed_cap = to * 2;
        coming->removed = mem_resize(coming->removed, coming->removed_cap, sizeof *coming->removed);
    }
    coming->removed_count = to;
    for (uint32_t i = remove->count; i > 0; i--) {
        uint64_t prefix = prefix_at(remove, i - 1);
        while (from > 0 && coming->removed[from - 1] > prefix) {
            coming->removed[--to] = coming->removed[--from];
        }
        coming->removed[--to] = prefix;
    }
    return true;
}

/* ---- Steps ---- */

/* Each does one step and returns its cost, or 0 when its phase is over; *err says whether it may go
 * on. */
typedef uint32_t step_fn(struct registration *coming, enum err *err);

/* Read the record at *at and move beyond it; false at the end. */
static bool next_record(const struct buf *records, size_t *at, struct file_record *file) {
    if (*at == records->len) {
        return false;
    }
    struct reader reader = reader_of(records->data + *at, records->len - *at);
    wire_file_record_reread(&reader, file);
    *at = records->len - reader_left(&reader);
    return true;
}

static uint32_t take(struct registration *coming, enum err *err) {
    struct file_record file;
    struct hash hash;
    size_t from = coming->added_at;
    if (!next_record(&coming->added, &coming->added_at, &file)) {
        return 0;
    }
    struct slice encoded = {coming->added.data + from, coming->added_at - from};
    crypto_hash(crypto_of(coming), encoded, &hash);
    list_root_add(coming->sum, &hash);
    if (coming->is_change) {
        return COST_HASH;
    }
    *err = index_list_add(coming->list, &file);
    return COST_HASH + COST_INDEX;
}

static int compare_prefixes(const void *a, const void *b) {
    const uint64_t left = *(const uint64_t *)a;
    const uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* As many must go as prefixes came; with two records of one prefix, or one prefix twice, the
 * numbers or the root cannot agree. */
static uint32_t part(struct registration *coming, enum err *err) {
    struct file_record file;
    struct hash hash;
    if (!index_list_next(coming->leaf->list, &coming->cursor, &file)) {
        *err = coming->removed_found == coming->removed_count ? OK : ERR_MISMATCH;
        return 0;
    }
    wire_file_record_hash(&file, crypto_of(coming), &hash);
    uint64_t prefix = wire_record_prefix(&hash);
    if (coming->removed_count > 0 && bsearch(&prefix, coming->removed, coming->removed_count,
                                             sizeof prefix, compare_prefixes) != NULL) {
        coming->removed_found++;
        wire_file_record_append(&coming->gone, &file);
    } else {
        list_root_add(coming->sum, &hash);
    }
    return COST_PART;
}

static uint32_t order(struct registration *coming, enum err *err) {
    if (list_root_count(coming->sum) != coming->promised.count) {
        *err = ERR_MISMATCH;
        return 0;
    }
    if (coming->sum->count > 0) {
        (void)list_root_take(coming->sum, crypto_of(coming), 1);
        return COST_ORDER;
    }
    struct hash root;
    bool is_set = list_root_set(coming->sum, crypto_of(coming), &root);
    *err =
        is_set && memcmp(root.b, coming->promised.root.b, sizeof root.b) == 0 ? OK : ERR_MISMATCH;
    coming->added_at = 0; /* once more, into the list */
    return 0;
}

static uint32_t remove_next(struct registration *coming, enum err *err) {
    (void)err;
    struct file_record file;
    if (!next_record(&coming->gone, &coming->gone_at, &file)) {
        return 0;
    }
    bool was_there = index_list_remove(coming->leaf->list, &file);
    CHECK(was_there);
    return COST_INDEX;
}

static uint32_t add_next(struct registration *coming, enum err *err) {
    struct file_record file;
    if (!next_record(&coming->added, &coming->added_at, &file)) {
        return 0;
    }
    *err = index_list_add(coming->leaf->list, &file);
    return COST_INDEX;
}

/* ---- Slices ---- */

static step_fn *const steps[] = {
    [SETTLE_TAKE] = take,          [SETTLE_PART] = part,    [SETTLE_ORDER] = order,
    [SETTLE_REMOVE] = remove_next, [SETTLE_ADD] = add_next,
};

/* The phase after this one; false when there is none. */
static bool next_phase(struct registration *coming) {
    if (coming->phase == SETTLE_ADD || (coming->phase == SETTLE_ORDER && !coming->is_change)) {
        return false;
    }
    bool has_no_parts = coming->phase == SETTLE_TAKE && !coming->is_change;
    coming->phase += has_no_parts ? 2 : 1;
    return true;
}

/* What an earlier slice has read of the list may be gone: reading it from the start forgets that.
 */
static void look_again(struct registration *coming) {
    struct file_record file;
    uint32_t start = 0;
    if (coming->phase == SETTLE_PART && coming->cursor > 0) {
        (void)index_list_next(coming->leaf->list, &start, &file);
    }
}

bool settle_slice(struct registration *coming, uint32_t *left, enum err *err) {
    if (coming->is_spoilt && coming->is_committed) { /* the list held may be gone */
        *err = ERR_MISMATCH;
        return true;
    }
    *err = OK;
    look_again(coming);
    while (*err == OK && *left > 0) {
        uint32_t cost = steps[coming->phase](coming, err);
        *left -= cost < *left ? cost : *left;
        if (cost > 0 || *err != OK) {
            continue;
        }
        if (coming->phase == SETTLE_TAKE && !coming->is_committed) {
            return false; /* more will come */
        }
        if (!next_phase(coming)) {
            return true;
        }
    }
    return *err != OK;
}
