/* test_reclaim.c - no step of an index is long: what one slice of reclaiming, one addition or one
 * step of a sweep does is counted, never timed, in the cases that were once done as a whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "supernode/index_parts.h"

#define BUDGET (128u * 1024 * 1024)
#define SLICE 300

static struct file_record file_of(uint64_t content, const char *name) {
    struct file_record file = {.content.size = content + 1,
                               .name = {(const uint8_t *)name, strlen(name)}};
    memcpy(file.content.root.b, &content, sizeof content);
    return file;
}

/* What malloc has given out; 0 where sanitizers have replaced it. */
static size_t allocated(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static size_t apart(size_t a, size_t b) {
    return a > b ? a - b : b - a;
}

/* Variants of one content: a map of them that doubled took 22 ms at 131,073, and gave all of its
 * memory back at once. */
static void names_of_one_content_come_and_go_by_little(void **state) {
    (void)state;
    enum { LISTS = 4, NAMES = 5000, JUMP = 96 * 1024 };
    struct index *index = index_new(1, BUDGET);
    struct index_list *lists[LISTS];
    static int owner;
    for (uint32_t i = 0; i < LISTS; i++) {
        lists[i] = index_list_new(index, &owner);
        for (uint32_t n = 0; n < NAMES; n++) {
            char name[32];
            snprintf(name, sizeof name, "word%u part%u", i * NAMES + n, n % 7);
            struct file_record file = file_of(7, name);
            size_t before = allocated();
            assert_int_equal(index_list_add(lists[i], &file), OK);
            assert_true(apart(allocated(), before) < JUMP);
        }
    }
    for (uint32_t i = 0; i < LISTS; i++) {
        index_list_drop(lists[i]);
    }
    bool is_more = true;
    while (is_more) {
        uint32_t records = index_count(index).records;
        size_t before = allocated();
        is_more = index_reclaim(index, SLICE);
        assert_true(records - index_count(index).records <= SLICE / WORK_GROUP);
        assert_true(apart(allocated(), before) < (size_t)2 * JUMP);
    }
    assert_int_equal(index_count(index).bytes, 0);
    index_free(index);
}

static uint64_t files_held(const struct index *index) {
    uint64_t files = 0;
    for (uint32_t i = 0; i < index->list_cap; i++) {
        files += index->lists[i].list != NULL ? index->lists[i].list->files : 0;
    }
    return files;
}

/* Among many holders one is looked for: the more there are, the fewer records make a slice. */
static void popular_files_make_slices_of_fewer_records(void **state) {
    (void)state;
    enum { LISTS = 4000, FILES = 10 };
    struct index *index = index_new(2, BUDGET);
    static struct index_list *lists[LISTS];
    static int owner;
    for (uint32_t i = 0; i < LISTS; i++) {
        lists[i] = index_list_new(index, &owner);
        for (uint32_t n = 0; n < FILES; n++) {
            struct file_record file = file_of(n, "popular");
            assert_int_equal(index_list_add(lists[i], &file), OK);
        }
    }
    for (uint32_t i = LISTS; i-- > 0;) { /* the one sought is the last */
        index_list_drop(lists[i]);
    }
    for (bool is_more = true; is_more;) {
        uint64_t files = files_held(index);
        is_more = index_reclaim(index, SLICE);
        uint64_t left = files_held(index), taken = files - left, holders = left / FILES;
        assert_true(taken * (1 + holders / HOLDERS_PER_WORK) <= SLICE + LISTS / HOLDERS_PER_WORK);
    }
    assert_int_equal(index_count(index).bytes, 0);
    index_free(index);
}

/* Places of the table of contents in shards from `from` to `to`. */
static uint32_t places_between(const struct index *index, uint32_t from, uint32_t to) {
    uint32_t places = 0;
    for (uint32_t i = from; index->records.contents.shards != NULL && i < to; i++) {
        places += index->records.contents.shards[i].homes;
    }
    return places;
}

/* Do the smallest step there is; it must not do much of anything. */
static bool small_step(struct index *index) {
    const struct records *records = &index->records;
    enum sweep_phase phase = index->phase;
    uint32_t at = index->sweep_at, condemned = records->condemned_count, live = records->live;
    uint32_t segments = records->segments_live;
    uint32_t seen = phase == SWEEP_CONTENTS ? places_between(index, at, TABLE_SHARDS) : 0;
    bool is_more = index_reclaim(index, 1);
    assert_true(live - records->live <= 1);
    assert_true(segments - records->segments_live <= 1);
    if (phase == SWEEP_SEGMENTS) {
        assert_true(condemned - records->condemned_count <= 128);
    }
    if (phase == SWEEP_CONTENTS && index->phase == phase) {
        seen -= places_between(index, index->sweep_at, TABLE_SHARDS);
        assert_true(seen <= 16 * PLACES_PER_WORK + 512); /* some shards, and the last one whole */
    }
    return is_more;
}

/* Nothing survives: whole segments, the table of contents and a word that everything has go. */
static void an_index_empties_by_small_steps(void **state) {
    (void)state;
    enum { LISTS = 20, FILES = 10000 };
    struct index *index = index_new(3, BUDGET);
    struct index_list *lists[LISTS];
    static int owner;
    for (uint32_t i = 0; i < LISTS; i++) {
        lists[i] = index_list_new(index, &owner);
        for (uint32_t n = 0; n < FILES; n++) {
            struct file_record file = file_of((uint64_t)i * FILES + n, "word");
            size_t before = allocated();
            assert_int_equal(index_list_add(lists[i], &file), OK);
            assert_true(apart(allocated(), before) < 96 * 1024);
        }
    }
    for (uint32_t i = 0; i < LISTS; i++) {
        index_list_drop(lists[i]);
    }
    uint32_t steps = 0;
    while (small_step(index)) {
        steps++;
    }
    assert_in_range(steps, LISTS * FILES, 2 * LISTS * FILES);
    assert_int_equal(index_count(index).bytes, 0);
    index_free(index);
}

/* Full runs of which every other number dies: each chunk becomes 33. Once a step did it to 128
 * chunks, and pushed the directory along for each new one. */
static void chunks_that_burst_make_short_steps(void **state) {
    (void)state;
    enum { NUMBERS = 1 << 18, PAGES = NUMBERS / POSTINGS_PAGE_NUMBERS, CHUNK = 64, STEP = 256 };
    static uint64_t page[POSTINGS_PAGE_NUMBERS / 64], *pages[PAGES];
    memset(page, 0x55, sizeof page);
    for (uint32_t i = 0; i < PAGES; i++) {
        pages[i] = page;
    }
    uint64_t bytes = 0;
    struct pool pool;
    pool_init(&pool, &bytes, 11, 20);
    uint32_t list = POSTINGS_EMPTY, from = 0, work = 0, steps = 0;
    for (uint32_t i = 0; i < NUMBERS; i += POSTINGS_RUN_MAX) {
        postings_add(&pool, &list, (struct run){i, i + POSTINGS_RUN_MAX - 1});
    }
    bool is_done = false;
    while (!is_done) {
        uint32_t chunks = postings_weight(&pool, list) / CHUNK, before = work;
        is_done = postings_sweep(&pool, &list, pages, &from, &work);
        uint32_t made = postings_weight(&pool, list) / CHUNK - chunks;
        assert_true(made <= STEP);
        assert_true(work - before <= STEP && work - before >= made);
        steps++;
    }
    assert_in_range(steps, NUMBERS / 128 / STEP, 200);
    struct postings_walk walk;
    postings_start(&walk, &pool, list);
    for (uint32_t i = 0; i < NUMBERS; i += 2) {
        assert_true(postings_seek(&walk, i) && walk.run.first == i && walk.run.last == i);
    }
    postings_free(&pool, &list);
    assert_int_equal(bytes, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_one_content_come_and_go_by_little),
        cmocka_unit_test(popular_files_make_slices_of_fewer_records),
        cmocka_unit_test(an_index_empties_by_small_steps),
        cmocka_unit_test(chunks_that_burst_make_short_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
