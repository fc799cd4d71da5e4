/* index_terms.c - the words of all records, each kept once with its postings. */
#include <stddef.h>
#include <string.h>

#include "common/check.h"
#include "supernode/index_parts.h"

/* ---- Interning ---- */

static uint64_t hash_text(const struct index *index, const void *text, size_t len) {
    return siphash(index->sip_key, text, len);
}

void terms_init(struct index *index) {
    table_init(&index->terms.table, &index->bytes);
    pool_init(&index->terms.pool, &index->bytes, TERM_BLOCK_BITS, TERM_PAGE_BITS);
}

void terms_free(struct index *index) {
    table_free(&index->terms.table);
    pool_free(&index->terms.pool);
}

/* Fetch into the cache what most likely is the term of a hash. */
static void prefetch_term(const struct index *index, uint64_t hash) {
    struct table_walk walk = table_start(&index->terms.table, hash);
    uint32_t number = table_next(&walk);
    if (number != TABLE_NONE) {
        __builtin_prefetch(term_of(index, number));
    }
}

static inline bool is_word(const struct term *term, const struct word *word) {
    if (term->len != word->len) {
        return false;
    }
    uint32_t at = 0, left = word->len;
    for (; left > 8; at += 8, left -= 8) {
        if (word_bytes(term->text + at) != word_bytes(word->text + at)) {
            return false;
        }
    }
    return (word_bytes(term->text + at) ^ word_bytes(word->text + at)) << (64 - 8 * left) == 0;
}

static uint32_t find(const struct index *index, const struct word *word, uint64_t hash) {
    struct table_walk walk = table_start(&index->terms.table, hash);
    uint32_t number;
    while ((number = table_next(&walk)) != TABLE_NONE) {
        const struct term *term = term_of(index, number);
        if (is_word(term, word)) {
            break;
        }
    }
    return number;
}

void terms_find(const struct index *index, const struct words *words, uint32_t *numbers) {
    uint64_t hashes[NAME_WORDS_MAX];
    for (uint32_t i = 0; i < words->count; i++) {
        hashes[i] = hash_text(index, words->words[i].text, words->words[i].len);
        table_prefetch(&index->terms.table, hashes[i]);
    }
    for (uint32_t i = 0; i < words->count; i++) {
        prefetch_term(index, hashes[i]);
    }
    for (uint32_t i = 0; i < words->count; i++) {
        numbers[i] = find(index, &words->words[i], hashes[i]);
    }
}

static uint32_t make_term(struct index *index, const struct word *word, uint64_t hash) {
    uint32_t bytes = (uint32_t)offsetof(struct term, text) + word->len;
    uint32_t number = pool_take(&index->terms.pool, bytes);
    struct term *term = term_of(index, number);
    term->list = POSTINGS_EMPTY;
    term->len = word->len;
    memcpy(term->text, word->text, word->len);
    table_add(&index->terms.table, hash, number);
    if (index->listener != NULL) {
        struct slice text = {(const uint8_t *)term->text, term->len};
        index->listener(index->listener_context, text);
    }
    return number;
}

/* Return how much work it was. */
static uint32_t free_term(struct index *index, uint32_t number) {
    struct term *term = term_of(index, number);
    uint64_t hash = hash_text(index, term->text, term->len);
    term->len = 0;
    pool_give(&index->terms.pool, number);
    return table_remove(&index->terms.table, hash, number) / PLACES_PER_WORK;
}

bool index_word_next(const struct index *index, uint32_t *cursor, struct slice *word) {
    uint32_t number;
    while ((number = pool_next(&index->terms.pool, *cursor)) != POOL_NONE) {
        const struct term *term = term_of(index, number);
        *cursor = number + 1;
        if (term->len > 0) {
            *word = (struct slice){(const uint8_t *)term->text, term->len};
            return true;
        }
    }
    return false;
}

void index_listen(struct index *index, index_word_fn *listener, void *context) {
    index->listener = listener;
    index->listener_context = context;
}

/* ---- Joining records to them ---- */

struct words *terms_next(struct index *index) {
    return &index->pending.next;
}

/* The place among the pending of a word of the last record, where it probably has the same place;
 * PENDING_RUNS when it is not there. */
static uint32_t find_pending(const struct pending *pending, const struct word *word,
                             uint32_t likely) {
    if (likely < pending->last_count &&
        word_equal(&pending->runs[pending->last[likely]].word, word)) {
        return pending->last[likely];
    }
    for (uint32_t i = 0; i < pending->last_count; i++) {
        if (word_equal(&pending->runs[pending->last[i]].word, word)) {
            return pending->last[i];
        }
    }
    return PENDING_RUNS;
}

/* Note a word that the last record does not have, or whose run ends; return its place. */
static uint32_t add_pending(struct index *index, const struct word *word, uint32_t same,
                            uint32_t number) {
    struct pending *pending = &index->pending;
    struct pending_run *run = &pending->runs[pending->count];
    run->word = *word;
    run->run = (struct run){number, number};
    run->hash =
        same == PENDING_RUNS ? hash_text(index, word->text, word->len) : pending->runs[same].hash;
    table_prefetch(&index->terms.table, run->hash);
    return pending->count++;
}

void terms_join(struct index *index, uint32_t number) {
    struct pending *pending = &index->pending;
    const struct words *next = &pending->next;
    uint8_t places[NAME_WORDS_MAX];
    if (pending->count + next->count > PENDING_RUNS) {
        terms_flush(index);
    }
    bool is_neighbour = number == pending->number + 1;
    for (uint32_t i = 0; i < next->count; i++) {
        uint32_t at = find_pending(pending, &next->words[i], i);
        if (at == PENDING_RUNS || !is_neighbour ||
            number - pending->runs[at].run.first >= POSTINGS_RUN_MAX) {
            at = add_pending(index, &next->words[i], at, number);
        }
        pending->runs[at].run.last = number;
        places[i] = (uint8_t)at;
    }
    memcpy(pending->last, places, next->count);
    pending->last_count = next->count;
    pending->number = number;
}

/* Each step fetches for all words what the next step needs: none waits for its own memory alone. */
void terms_flush(struct index *index) {
    struct pending *pending = &index->pending;
    struct pending_run *runs = pending->runs, *end = runs + pending->count;
    for (struct pending_run *run = runs; run < end; run++) {
        prefetch_term(index, run->hash);
    }
    for (struct pending_run *run = runs; run < end; run++) {
        uint32_t term = find(index, &run->word, run->hash);
        term = term == NONE ? make_term(index, &run->word, run->hash) : term;
        run->term = term_of(index, term);
        postings_prefetch(&index->pool, run->term->list);
    }
    for (struct pending_run *run = runs; run < end; run++) {
        postings_prefetch_at(&index->pool, run->term->list, run->run.first);
    }
    for (struct pending_run *run = runs; run < end; run++) {
        postings_add(&index->pool, &run->term->list, run->run);
    }
    pending->count = pending->last_count = 0;
}

/* ---- Sweeping ---- */

bool terms_sweep(struct index *index, uint32_t number, uint32_t *from, uint32_t *work) {
    struct term *term = term_of(index, number);
    if (term->len == 0) {
        return true;
    }
    bool is_done = postings_sweep(&index->pool, &term->list, index->records.alive, from, work);
    if (is_done && term->list == POSTINGS_EMPTY) {
        *work += free_term(index, number);
    }
    return is_done;
}
