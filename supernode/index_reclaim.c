/* index_reclaim.c - gives back what dropped lists held, in slices.
 *
 * Taking a list apart only marks the records that nobody else holds as dead. Once the dead are
 * an eighth of the living, a sweep takes them out of all postings, then out of the table, then
 * frees their numbers and names: a constant cost per dead record, however popular its words are
 * (a lazy sweep as of mark-sweep collectors; Jones, Hosking and Moss, 2011, chapter 2). */
#include "common/mem.h"
#include "supernode/index_parts.h"

#define DEAD_SHARE 8 /* a sweep is due when the dead are this part of the living, or more */
#define DEAD_MIN 64
#define SHARDS_AT_ONCE 16 /* while they are small */

static bool sweep_is_due(const struct index *index) {
    const struct records *records = &index->records;
    if (records->live == 0) {
        return records->dead_count > 0;
    }
    return records->dead_count >= DEAD_MIN && records->dead_count >= records->live / DEAD_SHARE;
}

static void begin_sweep(struct index *index) {
    records_close(index);
    records_condemn(index);
    index->phase = SWEEP_TERMS;
    index->sweep_at = 0;
    index->sweep_from = 0;
}

static void next_phase(struct index *index, uint32_t end) {
    if (index->sweep_at >= end) {
        index->phase = index->phase == SWEEP_SEGMENTS ? SWEEP_IDLE : index->phase + 1;
        index->sweep_at = 0;
    }
}

static bool keep_alive(const void *context, uint32_t number) {
    return record_is_alive(context, number);
}

/* Sweep some parts of the table of contents; return how much work it was. */
static uint32_t sweep_contents(struct index *index) {
    uint32_t places = 0, end = index->sweep_at + SHARDS_AT_ONCE;
    end = end < TABLE_SHARDS ? end : TABLE_SHARDS;
    while (index->sweep_at < end && places < SHARDS_AT_ONCE * PLACES_PER_WORK) {
        places += table_sweep(&index->records.contents, index->sweep_at++, keep_alive, index);
    }
    return 1 + places / PLACES_PER_WORK;
}

/* Do a piece of a sweep; return how much work it was. */
static uint32_t sweep(struct index *index) {
    uint32_t work = 1;
    switch (index->phase) {
    case SWEEP_TERMS:
        index->sweep_at = pool_next(&index->terms.pool, index->sweep_at);
        if (index->sweep_at != POOL_NONE &&
            terms_sweep(index, index->sweep_at, &index->sweep_from, &work)) {
            index->sweep_at++;
        }
        next_phase(index, POOL_NONE);
        break;
    case SWEEP_CONTENTS:
        work = sweep_contents(index);
        next_phase(index, TABLE_SHARDS);
        break;
    case SWEEP_SEGMENTS:
        if (index->sweep_at < index->records.segment_cap &&
            records_free_condemned(index, index->sweep_at, &index->sweep_from, &work)) {
            index->sweep_at++;
        }
        next_phase(index, index->records.segment_cap);
        break;
    case SWEEP_IDLE:
        break;
    }
    return work;
}

/* Take a record out of the oldest dropped list, or free the list when it is empty. Return how much
 * work it was. */
static uint32_t take_apart(struct index *index) {
    struct index_list *list = index->dropped;
    if (list->files > 0) {
        return records_let_go(index, lists_pop(list), list->number);
    }
    index->dropped = list->next_dropped;
    if (index->dropped == NULL) {
        index->dropped_end = &index->dropped;
    }
    lists_free(index, list);
    return 1;
}

bool index_reclaim(struct index *index, uint32_t steps) {
    terms_flush(index);
    for (;;) {
        uint32_t work = 1;
        if (index->phase != SWEEP_IDLE) {
            work = sweep(index);
        } else if (sweep_is_due(index)) {
            begin_sweep(index);
            work = WORK_GROUP;
        } else if (index->dropped != NULL) {
            work = take_apart(index);
        } else {
            return false;
        }
        if (steps <= work) {
            mem_tidy();
            return index->dropped != NULL || index->phase != SWEEP_IDLE || sweep_is_due(index);
        }
        steps -= work;
    }
}
