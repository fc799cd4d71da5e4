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

static uint32_t find(const struct index *index, const struct word *word, uint64_t hash) {
    struct table_walk walk = table_start(&index->terms.table, hash);
    uint32_t number;
    while ((number = table_next(&walk)) != TABLE_NONE) {
        const struct term *term = term_of(index, number);
        if (term->len == word->len && memcmp(term->text, word->text, word->len) == 0) {
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

static void free_term(struct index *index, uint32_t number) {
    struct term *term = term_of(index, number);
    table_remove(&index->terms.table, hash_text(index, term->text, term->len), number);
    term->len = 0;
    pool_give(&index->terms.pool, number);
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
    return &index->pending.words[index->pending.turn ^ 1];
}

static bool words_equal(const struct word *a, const struct word *b) {
    return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

/* The place of a word among those of the last record, which probably is the same; their count when
 * it is not there. */
static uint32_t find_among(const struct words *words, const struct word *word, uint32_t likely) {
    if (likely < words->count && words_equal(&words->words[likely], word)) {
        return likely;
    }
    uint32_t i = 0;
    while (i < words->count && !words_equal(&words->words[i], word)) {
        i++;
    }
    return i;
}

static void enter_run(struct index *index, uint32_t i) {
    struct pending *pending = &index->pending;
    struct run run = {pending->runs[i].first, pending->number};
    postings_add(&index->pool, &term_of(index, pending->runs[i].term)->list, run);
}

/* What joining a record's words has found out so far. */
struct joining {
    uint64_t hashes[NAME_WORDS_MAX];
    uint8_t same[NAME_WORDS_MAX]; /* the word's place among the last record's words */
    struct pending_run runs[NAME_WORDS_MAX];
};

/* Find out which words are the last record's too, and fetch what is needed for the others. */
static void look_ahead(const struct index *index, const struct words *last,
                       const struct words *next, struct joining *joining) {
    for (uint32_t i = 0; i < next->count; i++) {
        const struct word *word = &next->words[i];
        joining->same[i] = (uint8_t)find_among(last, word, i);
        if (joining->same[i] == last->count) {
            joining->hashes[i] = hash_text(index, word->text, word->len);
            table_prefetch(&index->terms.table, joining->hashes[i]);
        }
    }
    for (uint32_t i = 0; i < next->count; i++) {
        if (joining->same[i] == last->count) {
            prefetch_term(index, joining->hashes[i]);
        }
    }
}

/* The term of a word that the last record does not have; it is made if there is none. */
static uint32_t intern(struct index *index, const struct word *word, uint64_t hash) {
    uint32_t number = find(index, word, hash);
    number = number == NONE ? make_term(index, word, hash) : number;
    postings_prefetch(&index->pool, term_of(index, number)->list);
    return number;
}

void terms_join(struct index *index, uint32_t number) {
    struct pending *pending = &index->pending;
    struct words *last = &pending->words[pending->turn], *next = terms_next(index);
    struct joining joining = {0};
    look_ahead(index, last, next, &joining);
    uint32_t is_kept = 0; /* bit per word of the last record whose run goes on */
    for (uint32_t i = 0; i < next->count; i++) {
        uint32_t same = joining.same[i];
        if (same == last->count) {
            uint32_t term = intern(index, &next->words[i], joining.hashes[i]);
            joining.runs[i] = (struct pending_run){term, number};
            continue;
        }
        joining.runs[i] = (struct pending_run){pending->runs[same].term, number};
        if (number == pending->number + 1 &&
            number - pending->runs[same].first < POSTINGS_RUN_MAX) {
            joining.runs[i].first = pending->runs[same].first;
            is_kept |= 1U << same;
        }
    }
    for (uint32_t i = 0; i < last->count; i++) {
        if ((is_kept >> i & 1) == 0) {
            enter_run(index, i);
        }
    }
    memcpy(pending->runs, joining.runs, next->count * sizeof joining.runs[0]);
    pending->number = number;
    pending->turn ^= 1;
}

void terms_flush(struct index *index) {
    struct words *last = &index->pending.words[index->pending.turn];
    for (uint32_t i = 0; i < last->count; i++) {
        enter_run(index, i);
    }
    last->count = 0;
}

/* ---- Sweeping ---- */

bool terms_sweep(struct index *index, uint32_t number, uint32_t *from, uint32_t *work) {
    struct term *term = term_of(index, number);
    if (term->len == 0) {
        return true;
    }
    bool is_done = postings_sweep(&index->pool, &term->list, index->records.alive, from, work);
    if (is_done && term->list == POSTINGS_EMPTY) {
        free_term(index, number);
    }
    return is_done;
}
