/* index_search.c - finds the shown records that match a query, or are of a content. */
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "supernode/index_parts.h"

#define BATCH_RUNS 32
#define BATCH_RECORDS 16
#define FILTER_SCAN_MAX (INDEX_SCAN_MAX / 8 * 7) /* the rest is for what has passed */
#define RECORDS_PER_LOOK 4                       /* of a filter: they stand side by side */
#define SCAN_PER_TEXT 8 /* reading a name costs as much as looking at so many records */

/* What a record needs before anything is decoded. */
struct filter {
    uint8_t types;      /* bit per enum file_type */
    uint32_t class_min; /* of size_min */
    uint32_t classes;   /* from there to that of size_max */
    uint64_t size_min;
    uint64_t size_max;
    bool is_any;   /* all pass */
    bool is_exact; /* what passes it matches */
};

/* Runs to be filtered. */
struct batch {
    uint32_t at; /* the first that is not yet filtered */
    uint32_t count;
    struct run runs[BATCH_RUNS];
};

/* A search under way. */
struct scan {
    const struct index *index;
    const struct query_expr *query; /* NULL when looking for a content */
    const struct index_ask *ask;
    struct index_answer *answer;
    struct filter filter;
    uint32_t looked_at; /* records, runs and holders */
    uint32_t number;    /* where the next batch begins */
    bool is_drawn;      /* the rarest word has no more runs */
    bool is_cut;        /* another word has no more */
    bool has_variants;
    struct name_reader reader;
    struct batch batches[2]; /* one is filtered while the other is being fetched */
    uint32_t batch;          /* which is being filtered */
    uint32_t sketch_count;
    uint32_t sketch_words; /* of the shortest */
    const uint64_t *sketches[QUERY_TERMS_MAX];
    struct postings_walk walks[QUERY_TERMS_MAX];
};

/* ---- One record ---- */

/* Gather the owners of a record's lists that a search may name; return how many there are. */
static uint32_t gather_holders(struct scan *scan, uint32_t number,
                               void *holders[RECORD_HOLDERS_MAX]) {
    uint32_t one, count, found = 0;
    const uint32_t *lists = records_holders(scan->index, number, &one, &count);
    uint32_t first = count > 1 ? scan->ask->spread % count : 0;
    for (uint32_t n = 0; n < count && found < RECORD_HOLDERS_MAX; n++) {
        uint32_t i = first + n < count ? first + n : first + n - count;
        void *owner = scan->index->lists[lists[i]].owner;
        if (owner != NULL && owner != scan->ask->except) {
            holders[found++] = owner;
        }
    }
    scan->looked_at += count;
    return found;
}

/* True when the size and the type are wanted. Only where the class is the least or the greatest
 * does the size itself have to be looked at. */
static inline bool passes(const struct filter *filter, const struct segment *segment, uint32_t at) {
    uint32_t rest = segment->rest[at], class = (rest & REST_CLASS) - filter->class_min;
    if (class > filter->classes ||
        (filter->types >> (rest >> REST_TYPE_SHIFT & REST_TYPE) & 1) == 0) {
        return false;
    }
    if (class > 0 && class < filter->classes) {
        return true;
    }
    uint64_t size = record_size(segment, at);
    return size >= filter->size_min && size <= filter->size_max;
}

/* True when the texts match too. They are read into the scan's reader. */
static bool matches(struct scan *scan, uint32_t number) {
    struct file_record file = {.content = record_content(scan->index, number)};
    names_read(scan->index, &scan->reader, number, &file.name, &file.meta);
    scan->looked_at += SCAN_PER_TEXT;
    struct file_facts facts;
    file_facts_read(&file, &facts);
    return query_matches(scan->query, &facts);
}

static struct slice keep_text(struct index_answer *answer, struct slice text) {
    uint8_t *to = answer->text + answer->text_len;
    CHECK(answer->text_len + text.len <= sizeof answer->text);
    if (text.len > 0) {
        memcpy(to, text.data, text.len);
    }
    answer->text_len += (uint32_t)text.len;
    return (struct slice){to, text.len};
}

/* Look at a record that has the words and passes the filter; note it when it matches and anybody
 * who is there holds it. False when the answer is full. */
static bool take_record(struct scan *scan, uint32_t number) {
    const struct segment *segment = segment_of(scan->index, number);
    uint32_t at = number % SEGMENT_RECORDS;
    struct index_answer *answer = scan->answer;
    bool is_full = answer->count >= scan->ask->max || answer->count == QUERY_RESULTS_MAX;
    void *holders[RECORD_HOLDERS_MAX];
    uint32_t count = gather_holders(scan, number, holders);
    if (count == 0 || (!scan->filter.is_exact && !matches(scan, number))) {
        return true;
    }
    if (is_full) {
        answer->truncated = true;
        return false;
    }
    struct index_found *found = &answer->found[answer->count++];
    struct slice name, meta;
    names_read(scan->index, &scan->reader, number, &name, &meta);
    found->file.content = record_content(scan->index, number);
    found->file.name = keep_text(answer, name);
    found->file.meta = keep_text(answer, meta);
    found->holder_count = count;
    memcpy(found->holders, holders, count * sizeof holders[0]);
    scan->has_variants |= (segment->rest[at] & (REST_HAS_VARIANTS | REST_IS_VARIANT)) != 0;
    return true;
}

/* ---- Variants together ---- */

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

static void finish(struct scan *scan) {
    if (scan->has_variants) {
        qsort(scan->answer->found, scan->answer->count, sizeof scan->answer->found[0],
              compare_found);
    }
}

/* ---- All words ---- */

/* Open the postings of the query's words, the rarest first; false when a word is unknown. */
static bool open_words(struct scan *scan) {
    const struct words *words = &scan->query->words;
    uint32_t terms[NAME_WORDS_MAX], lists[QUERY_TERMS_MAX], weights[QUERY_TERMS_MAX], count = 0;
    CHECK(words->count <= QUERY_TERMS_MAX);
    terms_find(scan->index, words, terms);
    for (uint32_t i = 0; i < words->count; i++) {
        uint32_t list = terms[i] == NONE ? POSTINGS_EMPTY : term_of(scan->index, terms[i])->list;
        if (list == POSTINGS_EMPTY) {
            return false;
        }
        uint32_t weight = postings_weight(&scan->index->pool, list);
        uint32_t at = count++;
        for (; at > 0 && weights[at - 1] > weight; at--) {
            weights[at] = weights[at - 1];
            lists[at] = lists[at - 1];
        }
        weights[at] = weight;
        lists[at] = list;
    }
    scan->sketch_count = 0;
    scan->sketch_words = UINT32_MAX;
    for (uint32_t i = 0; i < count; i++) {
        postings_start(&scan->walks[i], &scan->index->pool, lists[i]);
        struct sketch sketch = scan->walks[i].sketch;
        if (sketch.words > 0 && count > 1) {
            scan->sketches[scan->sketch_count++] = sketch.bits;
            scan->sketch_words =
                sketch.words < scan->sketch_words ? sketch.words : scan->sketch_words;
        }
    }
    return count > 0;
}

static bool is_spent(struct scan *scan) {
    scan->answer->truncated |= scan->looked_at >= INDEX_SCAN_MAX;
    return scan->looked_at >= INDEX_SCAN_MAX;
}

/* The groups that all sketched words may have numbers in, of one word of bits. */
static inline uint64_t candidates(const struct scan *scan, uint32_t word) {
    uint64_t bits = scan->sketches[0][word];
    for (uint32_t i = 1; i < scan->sketch_count; i++) {
        bits &= scan->sketches[i][word];
    }
    return bits;
}

/* The first number from `number` on where all words may stand; NONE if there is none. */
static uint32_t next_candidate(const struct scan *scan, uint32_t number) {
    if (scan->sketch_count == 0) {
        return number;
    }
    uint32_t word = number / SKETCH_WORD_NUMBERS, shift = number / SKETCH_GROUP % 64;
    if (word >= scan->sketch_words) {
        return NONE;
    }
    uint64_t bits = candidates(scan, word) >> shift << shift;
    while (bits == 0 && ++word < scan->sketch_words) {
        bits = candidates(scan, word);
    }
    if (bits == 0) {
        return NONE;
    }
    uint32_t first = (word * 64 + (uint32_t)__builtin_ctzll(bits)) * SKETCH_GROUP;
    return first > number ? first : number;
}

/* Ask for what the rarest word's next runs need. */
static void look_for_runs(struct scan *scan, uint32_t count) {
    struct postings_walk *walk = &scan->walks[0];
    if (scan->sketch_count == 0) {
        postings_fetch_on(walk);
        return;
    }
    uint32_t number = scan->number;
    for (uint32_t i = 0; i < count && (number = next_candidate(scan, number)) != NONE; i++) {
        postings_look_ahead(walk, number);
        number = (number | (SKETCH_GROUP - 1)) + 1;
    }
}

/* Draw up to `max` runs of the rarest word, from scan->number on. */
static uint32_t draw_runs(struct scan *scan, struct run *runs, uint32_t max) {
    struct postings_walk *walk = &scan->walks[0];
    uint32_t count = 0, looks = 0;
    for (; count < max && !scan->is_drawn; looks++) {
        uint32_t number = next_candidate(scan, scan->number);
        scan->is_drawn = number == NONE || !postings_seek(walk, number);
        if (scan->is_drawn) {
            break;
        }
        uint32_t first = walk->run.first > number ? walk->run.first : number;
        first = first > number ? next_candidate(scan, first) : first;
        if (first <= walk->run.last) {
            runs[count++] = (struct run){first, walk->run.last};
        }
        scan->number = first <= walk->run.last ? walk->run.last + 1 : first;
    }
    scan->looked_at += looks;
    return count;
}

/* The first number from `number` to `last` that passes the filter; last + 1 if none does. */
static uint32_t next_passing(const struct scan *scan, uint32_t number, uint32_t last) {
    const struct filter filter = scan->filter;
    while (number <= last) {
        const struct segment *segment = segment_of(scan->index, number);
        uint32_t end = number | (SEGMENT_RECORDS - 1);
        end = end < last ? end : last;
        for (; number <= end; number++) {
            if (passes(&filter, segment, number % SEGMENT_RECORDS)) {
                return number;
            }
        }
    }
    return number;
}

/* Draw runs to be filtered later, and ask for what that takes. */
static void draw_batch(struct scan *scan, struct batch *batch) {
    batch->at = 0;
    batch->count = draw_runs(scan, batch->runs, BATCH_RUNS);
    for (uint32_t i = 0; i < batch->count; i++) {
        records_prefetch_rest(scan->index, batch->runs[i].first);
        scan->looked_at += 1 + (batch->runs[i].last - batch->runs[i].first) / RECORDS_PER_LOOK;
    }
}

/* Filter what was drawn up to its end, or until there are `max` records; return their number. */
static uint32_t filter_batch(struct scan *scan, struct batch *batch, struct run *runs,
                             uint32_t max) {
    uint32_t count = 0;
    for (; batch->at < batch->count; batch->at++) {
        struct run *run = &batch->runs[batch->at];
        uint32_t number = next_passing(scan, run->first, run->last);
        for (; number <= run->last; number = next_passing(scan, number + 1, run->last)) {
            if (count == max) {
                run->first = number;
                return count;
            }
            runs[count++] = (struct run){number, number};
        }
    }
    return count;
}

/* Draw up to `max` runs of what passes the filter, if there is one; the other words have to be
 * looked for only there. */
static uint32_t draw(struct scan *scan, struct run *runs, uint32_t max) {
    if (scan->filter.is_any) {
        return draw_runs(scan, runs, max);
    }
    uint32_t count = 0;
    while (count < max && scan->looked_at < FILTER_SCAN_MAX) {
        struct batch *batch = &scan->batches[scan->batch], *other = &scan->batches[1 - scan->batch];
        count += filter_batch(scan, batch, runs + count, max - count);
        if (batch->at == batch->count) {
            if (scan->is_drawn && other->count == other->at) {
                break;
            }
            draw_batch(scan, batch);
            scan->batch = 1 - scan->batch;
        }
    }
    scan->answer->truncated |= scan->looked_at >= FILTER_SCAN_MAX;
    return count;
}

/* Ask for all that the runs need of a word's list: it is likely out of the cache, and they are wide
 * apart. */
static void look_ahead(struct postings_walk *walk, const struct run *runs, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        postings_look_ahead(walk, runs[i].first);
    }
}

/* Write to `out` what the runs have in common with a word's. */
static uint32_t intersect(struct scan *scan, struct postings_walk *walk, const struct run *runs,
                          uint32_t count, struct run *out) {
    uint32_t made = 0;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t number = runs[i].first; number <= runs[i].last;) {
            scan->looked_at++;
            if (!postings_seek(walk, number)) {
                scan->is_cut = true;
                return made;
            }
            if (walk->run.first > runs[i].last) {
                break;
            }
            struct run both = {walk->run.first > number ? walk->run.first : number,
                               walk->run.last < runs[i].last ? walk->run.last : runs[i].last};
            out[made++] = both;
            number = both.last + 1;
        }
    }
    if (walk->run.first > scan->number) { /* nothing before can be in this list any more */
        scan->number = walk->run.first;
    }
    return made;
}

/* Records that are being fetched. */
struct coming {
    uint32_t count;
    uint32_t numbers[BATCH_RECORDS];
};

/* Look at them; false when no more are wanted. */
static bool take_coming(struct scan *scan, struct coming *coming) {
    for (uint32_t i = 0; i < coming->count; i++) {
        names_prefetch(scan->index, coming->numbers[i]);
    }
    for (uint32_t i = 0; i < coming->count; i++) {
        if (!take_record(scan, coming->numbers[i]) || is_spent(scan)) {
            return false;
        }
    }
    coming->count = 0;
    return true;
}

/* Look at the records of runs; false when no more are wanted. */
static bool take_runs(struct scan *scan, const struct run *runs, uint32_t count) {
    struct coming coming = {.count = 0};
    for (uint32_t i = 0; i < count; i++) {
        scan->looked_at += runs[i].last - runs[i].first + 1;
        for (uint32_t number = runs[i].first; number <= runs[i].last; number++) {
            records_prefetch(scan->index, number);
            coming.numbers[coming.count++] = number;
            if (coming.count == BATCH_RECORDS && !take_coming(scan, &coming)) {
                return false;
            }
        }
    }
    return take_coming(scan, &coming) && !is_spent(scan);
}

/* Cut runs of the rarest word by the other words, from rare to common, and look at what is left;
 * false when no more are wanted. What is needed first was asked for. */
static bool take_drawn(struct scan *scan, const struct run *runs, uint32_t count) {
    struct run cut[2][BATCH_RUNS * POSTINGS_RUN_MAX / 2];
    uint32_t lists = scan->query->words.count;
    for (uint32_t i = 1; i < lists && count > 0; i++) {
        struct postings_walk *walk = &scan->walks[i];
        if (i > 1) {
            look_ahead(walk, runs, count);
        }
        count = intersect(scan, walk, runs, count, cut[i % 2]);
        runs = cut[i % 2];
    }
    return take_runs(scan, runs, count) && !scan->is_cut;
}

/* Go through the rarest word's runs in batches; what one needs is on its way while the one before
 * is looked at. Batches begin small, for many a search is full soon. */
static void scan_words(struct scan *scan) {
    struct run runs[2][BATCH_RUNS];
    struct postings_walk *second = scan->query->words.count > 1 ? &scan->walks[1] : NULL;
    uint32_t batch = BATCH_RUNS / 8, turn = 0, count = 0, next = 0;
    do {
        count = next;
        next = draw(scan, runs[turn], batch);
        if (second != NULL) {
            look_ahead(second, runs[turn], next);
        }
        look_for_runs(scan, BATCH_RUNS / 2);
        batch = batch < BATCH_RUNS ? batch * 2 : BATCH_RUNS;
        turn = 1 - turn;
    } while (take_drawn(scan, runs[turn], count) && next > 0 && !is_spent(scan));
}

static void start(struct scan *scan, const struct index *index, const struct index_ask *ask,
                  struct index_answer *answer) {
    scan->index = index;
    scan->ask = ask;
    scan->answer = answer;
    scan->looked_at = 0;
    scan->number = 0;
    scan->is_drawn = false;
    scan->is_cut = false;
    scan->has_variants = false;
    scan->batches[0].at = scan->batches[0].count = 0;
    scan->batches[1].at = scan->batches[1].count = 0;
    scan->batch = 0;
    scan->reader.group = NONE;
    scan->filter = (struct filter){.is_any = true, .is_exact = true};
    answer->count = 0;
    answer->text_len = 0;
    answer->truncated = false;
}

/* True when words, type and size do not decide alone. */
static bool needs_texts(const struct query_expr *query) {
    bool is_bound = false;
    for (uint32_t i = 0; i < query->words.count; i++) {
        is_bound = is_bound || query->word_texts[i] != 0;
    }
    return is_bound || query->pieces.count > 0 || query->excluded.count > 0 ||
           query->phrase_count > 0 || query->extension_count > 0 || query->language.len > 0 ||
           (query->ranged & ~(1U << NUMBER_SIZE)) != 0;
}

/* Types and sizes stand beside the numbers; whatever else is asked needs the texts. */
static struct filter filter_of(const struct query_expr *query) {
    struct filter filter = {.types = UINT8_MAX,
                            .size_max = FILE_BYTES_MAX,
                            .is_any = true,
                            .is_exact = !needs_texts(query)};
    if (query->types != 0) {
        filter.types = query->types;
        filter.is_any = false;
    }
    if ((query->ranged >> NUMBER_SIZE & 1) != 0) {
        const struct query_range *range = &query->ranges[NUMBER_SIZE];
        filter.size_min = range->min;
        filter.size_max = range->max < FILE_BYTES_MAX ? range->max : FILE_BYTES_MAX;
        filter.is_any = false;
    }
    if (filter.size_min > filter.size_max) {
        filter.types = 0;
    }
    filter.class_min = size_class(filter.size_min);
    filter.classes = size_class(filter.size_max) - filter.class_min;
    return filter;
}

void index_search(const struct index *index, const struct query_expr *query,
                  const struct index_ask *ask, struct index_answer *answer) {
    struct scan scan;
    start(&scan, index, ask, answer);
    scan.query = query;
    scan.filter = filter_of(query);
    if (open_words(&scan)) {
        scan_words(&scan);
        finish(&scan);
    }
}

void index_locate(const struct index *index, const struct content_id *content,
                  const struct index_ask *ask, struct index_answer *answer) {
    struct scan scan;
    start(&scan, index, ask, answer);
    uint32_t main = records_find_content(index, content, records_hash(index, content));
    uint32_t number = main;
    while (number != NONE && !is_spent(&scan) && take_record(&scan, number)) {
        number = records_next_variant(index, number);
        number = number == main ? NONE : number;
    }
    finish(&scan);
}
