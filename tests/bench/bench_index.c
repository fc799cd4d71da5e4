/* bench_index.c - the supernode's index on real names, beside SQLite's FTS5. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/mem.h"
#include "common/rng.h"
#include "src/host/heap.h"
#include "src/host/pins.h"
#include "supernode/index.h"
#include "tests/bench/bench.h"
#include "tests/bench/bench_corpus.h"
#include "tests/bench/bench_fts.h"

#define MILLION 1000000
#define QUERIES 10000
#define ROUNDS 3 /* of all queries; the median counts */
#define RESULTS 50
#define GUEST_FILES 100 /* of a leaf that comes and goes */
#define GUESTS 3000
#define GUESTS_STAYING 300
#define FTS_GUESTS 300
#define TURNOVERS 100
#define GTK_GNUTELLA_US 56.6 /* two words, hits, 100,000 files (1.2.3, measured by hand) */

/* An index over rows of a corpus, a list per peer. */
struct subject {
    const struct corpus *corpus;
    struct index *index;
    struct index_list **lists;
    double build_s;
    double malloc_bytes;
};

/* What all queries together came to. */
struct result {
    double per_s;
    double p99_us;
    double hit_us; /* mean of those with hits */
    double hits;   /* records per query */
};

/* Seconds of processor this process has had: one thread in memory, whoever else is at work here. */
static double cpu_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double allocated(void) {
    struct mallinfo2 info = mallinfo2();
    return (double)info.uordblks + (double)info.hblkhd;
}

static void settle_heap(void) {
    void *piece = heap_grown();
    if (piece != NULL) {
        heap_settle(piece);
    }
}

/* Add rows [first, end) as a list; *seconds grows by what it took, the making of the records apart.
 */
static struct index_list *add_list(struct subject *subject, size_t first, size_t end,
                                   double *seconds) {
    static int owner;
    static struct file_record files[LEAF_FILES_MAX];
    for (size_t row = first; row < end; row++) {
        files[row - first] = corpus_record(subject->corpus, row);
    }
    double start = cpu_now();
    struct index_list *list = index_list_new(subject->index, &owner);
    for (size_t row = first; row < end; row++) {
        if (index_list_add(list, &files[row - first]) != OK) {
            bench_fail("the index refuses row %zu", row);
        }
    }
    index_list_show(list, true);
    pins_step();
    settle_heap(); /* a worker's, in a supernode */
    *seconds += cpu_now() - start;
    return list;
}

static void subject_start(struct subject *subject, const struct corpus *corpus, size_t rows) {
    *subject = (struct subject){.corpus = corpus};
    subject->lists = mem_array(corpus->peers, sizeof *subject->lists);
    double before = allocated();
    subject->index = index_new(1, INDEX_BYTES_MAX);
    for (size_t row = 0, end; row < rows; row = end) {
        uint32_t peer = corpus->rows[row].peer;
        for (end = row; end < rows && corpus->rows[end].peer == peer; end++) {
        }
        subject->lists[peer] = add_list(subject, row, end, &subject->build_s);
    }
    subject->malloc_bytes = allocated() - before;
}

static void subject_end(struct subject *subject) {
    index_free(subject->index);
    mem_free(subject->lists);
}

/* ---- Queries ---- */

static struct corpus_query *draw_queries(const struct corpus *corpus, size_t rows) {
    struct corpus_query *queries = mem_array(QUERIES, sizeof *queries);
    struct rng rng;
    rng_seed(&rng, 2);
    for (size_t i = 0; i < QUERIES; i++) {
        corpus_draw(corpus, rows, &rng, &queries[i]);
    }
    return queries;
}

/* From the text to the records, as a supernode does it. */
static uint32_t search(const struct subject *subject, const struct corpus_query *query,
                       bool is_filtered, struct index_answer *answer) {
    char text[2 * QUERY_TEXT_MAX];
    struct query_expr parsed;
    struct index_ask ask = {.max = RESULTS};
    const char *whole = query->text;
    if (is_filtered) {
        struct file_record file = corpus_record(subject->corpus, query->row);
        snprintf(text, sizeof text, "%s type:%s size:%llu..%llu", query->text,
                 file_type_name(file_type_of(file_extension(file.name))),
                 (unsigned long long)(file.content.size / 2),
                 (unsigned long long)(file.content.size * 2));
        whole = text;
    }
    if (query_parse((struct slice){(const uint8_t *)whole, strlen(whole)}, &parsed, NULL) != OK) {
        bench_fail("not a query: %s", whole);
    }
    index_search(subject->index, &parsed, &ask, answer);
    return answer->count;
}

/* One of the two engines. */
struct engine {
    const struct subject *subject;
    struct fts *fts; /* NULL = the index */
    bool is_filtered;
};

static struct result ask_all(const struct engine *engine, const struct corpus_query *queries) {
    static double times[QUERIES], whole[ROUNDS];
    static struct index_answer answer;
    struct result result = {0};
    double hit_s = 0;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t hits = 0, found = 0;
        double start = cpu_now(), before = start;
        hit_s = 0;
        for (size_t i = 0; i < QUERIES; i++) {
            uint32_t count =
                engine->fts != NULL
                    ? fts_search(engine->fts, &queries[i], engine->is_filtered)
                    : search(engine->subject, &queries[i], engine->is_filtered, &answer);
            double now = cpu_now();
            times[i] = now - before;
            before = now;
            hits += count;
            found += count > 0;
            hit_s += count > 0 ? times[i] : 0;
        }
        whole[round] = before - start;
        result.hits = (double)hits / QUERIES;
        result.hit_us = found == 0 ? 0 : hit_s / (double)found * 1e6;
    }
    result.p99_us = bench_percentile(times, QUERIES, 99) * 1e6;
    result.per_s = QUERIES / bench_percentile(whole, ROUNDS, 50);
    return result;
}

/* ---- Figures ---- */

static void show(const struct bench *bench, const struct figure *figure) {
    bench_figure(bench, figure);
}

/* Whom to beat, and how many times. */
struct rival {
    const char *name;
    double per_s;
    double times;
};

static void show_rate(const struct bench *bench, const char *name, double per_s,
                      struct rival rival) {
    show(bench, &(struct figure){name, per_s, "q/s", rival.name, rival.per_s,
                                 rival.times * rival.per_s, BETTER_HIGH});
}

static void show_bytes(const struct bench *bench, const char *name, const struct subject *subject,
                       double target) {
    struct index_counts counts = index_count(subject->index);
    show(bench, &(struct figure){name, (double)counts.bytes / counts.records, "B",
                                 "what malloc says of it", subject->malloc_bytes / counts.records,
                                 target, BETTER_LOW});
}

/* Queries of both engines, FTS5 as built and at its best. */
static void compare(const struct bench *bench, const struct subject *subject, size_t rows,
                    const char *label) {
    char name[64];
    struct corpus_query *queries = draw_queries(subject->corpus, rows);
    struct engine ours = {subject, NULL, false}, ours_filtered = {subject, NULL, true};
    struct result plain = ask_all(&ours, queries), filtered = ask_all(&ours_filtered, queries);
    double start = cpu_now();
    struct fts *fts = fts_new(subject->corpus, rows);
    double fts_build_s = cpu_now() - start;
    struct engine theirs = {subject, fts, false}, theirs_filtered = {subject, fts, true};
    struct result built = ask_all(&theirs, queries);
    fts_optimise(fts);
    struct result best = ask_all(&theirs, queries);
    struct result best_filtered = ask_all(&theirs_filtered, queries);
    if (plain.hits != best.hits || filtered.hits > best_filtered.hits) {
        bench_fail("the engines find %.3f and %.3f records per query", plain.hits, best.hits);
    }
    fts_free(fts);
    mem_free(queries);
    snprintf(name, sizeof name, "index %s build", label);
    show(bench, &(struct figure){name, subject->build_s, "s", "SQLite FTS5", fts_build_s,
                                 rows <= MILLION ? (double)rows / MILLION : 0, BETTER_LOW});
    snprintf(name, sizeof name, "index %s queries", label);
    show_rate(bench, name, plain.per_s, (struct rival){"SQLite FTS5, optimised", best.per_s, 7});
    show_rate(bench, name, plain.per_s, (struct rival){"SQLite FTS5, as built", built.per_s, 12});
    snprintf(name, sizeof name, "index %s query p99", label);
    show(bench, &(struct figure){name, plain.p99_us, "us", "SQLite FTS5, optimised", best.p99_us,
                                 rows <= MILLION ? 50 : 0, BETTER_LOW});
    snprintf(name, sizeof name, "index %s filtered", label);
    show_rate(
        bench, name, filtered.per_s,
        (struct rival){"SQLite FTS5, optimised", best_filtered.per_s, rows <= MILLION ? 15 : 0});
}

/* ---- Coming and going ---- */

struct churn {
    double arrival_us;   /* median, of GUEST_FILES files */
    double departure_us; /* mean, with all the sweeping that follows from it */
    double slice_us;     /* the 99.9th percentile */
};

static void reclaim_all(struct subject *subject, double *slices, size_t *count, size_t max) {
    bool is_more = true;
    while (is_more) {
        double start = cpu_now();
        is_more = index_reclaim(subject->index, INDEX_RECLAIM_SLICE);
        pins_step(); /* as after every step of a supernode */
        if (*count < max) {
            slices[(*count)++] = cpu_now() - start;
        }
    }
}

static struct churn churn_index(struct subject *subject, size_t first) {
    static double arrivals[GUESTS], slices[100 * GUESTS];
    static struct index_list *guests[GUESTS];
    size_t slice_count = 0;
    double gone_s = 0;
    for (size_t i = 0; i < GUESTS; i++) {
        size_t at = first + i * GUEST_FILES;
        arrivals[i] = 0;
        guests[i] = add_list(subject, at, at + GUEST_FILES, &arrivals[i]);
        if (i >= GUESTS_STAYING) {
            double start = cpu_now();
            index_list_drop(guests[i - GUESTS_STAYING]);
            reclaim_all(subject, slices, &slice_count, sizeof slices / sizeof *slices);
            gone_s += cpu_now() - start;
        }
    }
    return (struct churn){bench_percentile(arrivals, GUESTS, 50) * 1e6,
                          gone_s / (GUESTS - GUESTS_STAYING) * 1e6,
                          bench_percentile(slices, slice_count, 99.9) * 1e6};
}

static struct churn churn_fts(const struct corpus *corpus, size_t rows) {
    static double arrivals[FTS_GUESTS];
    struct fts *fts = fts_new(corpus, rows);
    double gone_s = 0;
    for (size_t i = 0; i < FTS_GUESTS; i++) {
        double start = cpu_now();
        fts_add(fts, rows + i * GUEST_FILES, GUEST_FILES);
        double there = cpu_now();
        fts_remove(fts, rows + i * GUEST_FILES, GUEST_FILES);
        arrivals[i] = there - start;
        gone_s += cpu_now() - there;
    }
    fts_free(fts);
    return (struct churn){bench_percentile(arrivals, FTS_GUESTS, 50) * 1e6,
                          gone_s / FTS_GUESTS * 1e6, 0};
}

static void show_churn(const struct bench *bench, struct subject *subject, size_t rows) {
    struct churn ours = churn_index(subject, rows), theirs = churn_fts(subject->corpus, rows);
    show(bench, &(struct figure){"index 100 files come", ours.arrival_us, "us", "SQLite FTS5",
                                 theirs.arrival_us, 80, BETTER_LOW});
    show(bench, &(struct figure){"index 100 files go", ours.departure_us, "us", "SQLite FTS5",
                                 theirs.departure_us, 50, BETTER_LOW});
    show(bench, &(struct figure){"index reclaim slice p999", ours.slice_us, "us", "none", 0, 1000,
                                 BETTER_LOW});
}

/* All leaves leave at once: the longest slice, which gives the heap back to the system too. */
static void show_emptying(const struct bench *bench, struct subject *subject) {
    static double slices[100000];
    size_t count = 0;
    for (uint32_t peer = 0; peer < subject->corpus->peers; peer++) {
        if (subject->lists[peer] != NULL) {
            index_list_drop(subject->lists[peer]);
        }
    }
    reclaim_all(subject, slices, &count, sizeof slices / sizeof *slices);
    double longest = bench_percentile(slices, count, 100) * 1e6;
    show(bench, &(struct figure){"index all go, longest slice", longest, "us", "p99.9 of them",
                                 bench_percentile(slices, count, 99.9) * 1e6, 1000, BETTER_LOW});
}

/* All leaves leave and others come, again and again: what is left of the memory's thrift. */
static void show_turnover(const struct bench *bench, const struct corpus *corpus, size_t rows) {
    struct subject subject;
    subject_start(&subject, corpus, rows);
    double first = (double)index_count(subject.index).bytes, worst = first;
    size_t at = rows;
    for (int turn = 0; turn < TURNOVERS; turn++) {
        for (size_t row = 0, end; row < rows; row = end) {
            uint32_t peer = corpus->rows[row].peer;
            for (end = row; end < rows && corpus->rows[end].peer == peer; end++) {
            }
            index_list_drop(subject.lists[peer]);
            while (index_reclaim(subject.index, INDEX_RECLAIM_SLICE)) {
            }
            at = at + (end - row) > corpus->count ? 0 : at;
            double seconds = 0;
            subject.lists[peer] = add_list(&subject, at, at + (end - row), &seconds);
            at += end - row;
            double bytes = (double)index_count(subject.index).bytes;
            worst = bytes > worst ? bytes : worst;
        }
    }
    show(bench, &(struct figure){"index after 100 turnovers", worst / 1e6, "MB",
                                 "itself when filled", first / 1e6, first / 1e6 * 1.2, BETTER_LOW});
    subject_end(&subject);
}

/* ---- What waiting costs here ---- */

#define LINE_NUMBERS 16  /* of 4 bytes, a cache line */
#define LINES (1U << 20) /* 64 MiB, as much as the index of a million takes */
#define STEPS 2000000

/* Nanoseconds to read a line that no near cache holds: each known from the one before, or from a
 * formula, so that many are read at once. */
static double read_lines(const uint32_t *lines, bool is_chain) {
    struct rng rng;
    rng_seed(&rng, 3);
    volatile uint32_t keep;
    uint32_t at = 0, sum = 0;
    double start = cpu_now();
    for (uint32_t i = 0; i < STEPS; i++) {
        at = is_chain ? lines[(size_t)at * LINE_NUMBERS] : (uint32_t)rng_u64(&rng) % LINES;
        sum += is_chain ? at : lines[(size_t)at * LINE_NUMBERS];
    }
    keep = sum;
    (void)keep;
    return (cpu_now() - start) / STEPS * 1e9;
}

static void show_memory(const struct bench *bench) {
    uint32_t *lines = mem_array((size_t)LINES * LINE_NUMBERS, sizeof *lines);
    struct rng rng;
    rng_seed(&rng, 4);
    for (uint32_t i = 0; i < LINES; i++) {
        lines[(size_t)i * LINE_NUMBERS] = i;
    }
    for (uint32_t i = LINES - 1; i > 0; i--) { /* one cycle through all (Sattolo, 1986) */
        uint32_t *one = &lines[(size_t)i * LINE_NUMBERS];
        uint32_t *other = &lines[(size_t)rng_below(&rng, i) * LINE_NUMBERS];
        uint32_t swapped = *one;
        *one = *other;
        *other = swapped;
    }
    double chained = read_lines(lines, true), apart = read_lines(lines, false);
    show(bench, &(struct figure){"index a line of memory", chained, "ns", "one of many at once",
                                 apart, 0, BETTER_LOW});
    mem_free(lines);
}

/* ---- The benchmarks ---- */

static void show_small(const struct bench *bench, const struct corpus *corpus) {
    struct subject subject;
    const size_t rows = MILLION / 10;
    subject_start(&subject, corpus, rows);
    struct corpus_query *queries = draw_queries(corpus, rows);
    struct engine ours = {&subject, NULL, false};
    struct result result = ask_all(&ours, queries);
    show(bench, &(struct figure){"index 100k query with hits", result.hit_us, "us",
                                 "gtk-gnutella 1.2.3, two words", GTK_GNUTELLA_US, 12, BETTER_LOW});
    mem_free(queries);
    subject_end(&subject);
}

void bench_index(const struct bench *bench) {
    pins_init(); /* as in a supernode */
    struct corpus *corpus = corpus_new(2 * MILLION, false);
    if (corpus == NULL) {
        return;
    }
    struct subject subject;
    show_memory(bench);
    subject_start(&subject, corpus, MILLION);
    show_bytes(bench, "index 1M per record", &subject, 82);
    compare(bench, &subject, MILLION, "1M");
    show_churn(bench, &subject, MILLION);
    show_emptying(bench, &subject);
    subject_end(&subject);
    show_small(bench, corpus);
    show_turnover(bench, corpus, MILLION / 10);
    corpus_free(corpus);
    corpus = corpus_new(MILLION, true);
    subject_start(&subject, corpus, MILLION);
    show_bytes(bench, "index shuffled per record", &subject, 107);
    subject_end(&subject);
    corpus_free(corpus);
}

void bench_index_5m(const struct bench *bench) {
    pins_init();
    struct corpus *corpus = corpus_new(5 * MILLION, false);
    if (corpus == NULL) {
        return;
    }
    struct subject subject;
    subject_start(&subject, corpus, 5 * MILLION);
    show_bytes(bench, "index 5M per record", &subject, 82);
    compare(bench, &subject, 5 * MILLION, "5M");
    subject_end(&subject);
    corpus_free(corpus);
}
