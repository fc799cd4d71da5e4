/* test_postings.c - posting lists, their pool and the table of numbers, against plain arrays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/map.h"
#include "common/mem.h"
#include "common/rng.h"
#include "supernode/postings.h"
#include "supernode/table.h"

#define NUMBERS 8192
#define SEEDS 40

/* A list beside one bit per number. */
struct model {
    struct rng rng;
    uint64_t bytes;
    struct pool pool;
    uint32_t list;
    uint32_t swept_from;
    uint64_t alive[NUMBERS / 64];
    bool listed[NUMBERS]; /* what the list holds, the dead included */
};

/* Bits of all numbers, in pages as a sweep takes them. */
static uint64_t *const *pages_of(uint64_t alive[NUMBERS / 64]) {
    static uint64_t *pages[NUMBERS / POSTINGS_PAGE_NUMBERS];
    for (uint32_t i = 0; i < NUMBERS / POSTINGS_PAGE_NUMBERS; i++) {
        pages[i] = alive + (size_t)i * (POSTINGS_PAGE_NUMBERS / 64);
    }
    return pages;
}

static bool bit(const uint64_t *bits, uint32_t at) {
    return (bits[at / 64] >> (at % 64) & 1) != 0;
}

static void set_bit(uint64_t *bits, uint32_t at, bool is_set) {
    uint64_t mask = 1ULL << (at % 64);
    bits[at / 64] = is_set ? bits[at / 64] | mask : bits[at / 64] & ~mask;
}

static void add_run(struct model *model) {
    uint32_t first = (uint32_t)rng_below(&model->rng, NUMBERS);
    uint32_t wanted =
        rng_below(&model->rng, 3) == 0 ? 1 + (uint32_t)rng_below(&model->rng, 128) : 1;
    uint32_t end = first;
    while (end < NUMBERS && end < first + wanted && !model->listed[end]) {
        model->listed[end] = true;
        set_bit(model->alive, end++, true);
    }
    if (end > first) {
        postings_add(&model->pool, &model->list, (struct run){first, end - 1});
    }
}

/* Let numbers die: every third of a stretch, or all. */
static void kill_some(struct model *model) {
    uint32_t first = (uint32_t)rng_below(&model->rng, NUMBERS);
    uint32_t step = rng_below(&model->rng, 2) == 0 ? 1 : 3;
    for (uint32_t i = first; i < NUMBERS && i < first + 200; i += step) {
        set_bit(model->alive, i, false);
    }
}

static uint32_t sketched; /* walks of lists with a sketch */

/* A sketch has a bit for every number, and may have more. */
static void check_sketch(const struct model *model, const struct postings_walk *walk,
                         bool (*holds)(const struct model *, uint32_t)) {
    if (walk->sketch.words == 0) {
        return;
    }
    sketched++;
    for (uint32_t i = 0; i < NUMBERS; i++) {
        uint32_t group = i / SKETCH_GROUP;
        bool is_set = group / 64 < walk->sketch.words && bit(walk->sketch.bits, group);
        assert_true(is_set || !holds(model, i));
    }
}

/* Walk by random jumps: every answer must be the first run that ends there or later. */
static void walk(struct model *model, bool (*holds)(const struct model *, uint32_t)) {
    if (model->list == POSTINGS_EMPTY) {
        return;
    }
    struct postings_walk walk;
    postings_start(&walk, &model->pool, model->list);
    check_sketch(model, &walk, holds);
    uint32_t jump = 1 + (uint32_t)rng_below(&model->rng, 400);
    for (uint32_t number = 0; number < NUMBERS; number += 1 + number % jump) {
        uint32_t next = number;
        while (next < NUMBERS && !holds(model, next)) {
            next++;
        }
        postings_look_ahead(&walk, number);
        bool is_more = postings_seek(&walk, number);
        assert_int_equal(is_more, next < NUMBERS);
        if (!is_more) {
            return;
        }
        assert_true(walk.run.last >= number && walk.run.first <= walk.run.last);
        assert_int_equal(walk.run.first > number ? walk.run.first : number, next);
        for (uint32_t i = walk.run.first; i <= walk.run.last; i++) {
            assert_true(holds(model, i));
        }
    }
}

static bool is_listed(const struct model *model, uint32_t number) {
    return model->listed[number];
}

static bool is_alive(const struct model *model, uint32_t number) {
    return model->listed[number] && bit(model->alive, number);
}

/* Sweep to the end, adding at times between two steps: what was dead before must be gone, what
 * lives must be there. */
static void sweep(struct model *model) {
    uint32_t from = 0, work = 0, steps = 0;
    while (!postings_sweep(&model->pool, &model->list, pages_of(model->alive), &from, &work)) {
        assert_true(++steps < 1000);
        if (rng_below(&model->rng, 2) == 0) {
            add_run(model);
        }
    }
    walk(model, is_alive);
    for (uint32_t i = 0; i < NUMBERS; i++) {
        model->listed[i] = is_alive(model, i);
    }
}

static void lists_agree_with_one_bit_per_number(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct model *model = mem_new(sizeof *model);
        rng_seed(&model->rng, seed);
        pool_init(&model->pool, &model->bytes, 11, 20);
        model->list = POSTINGS_EMPTY;
        for (int step = 0; step < 1500; step++) {
            uint64_t what = rng_below(&model->rng, 100);
            if (what < 90) {
                add_run(model);
            } else if (what < 96) {
                kill_some(model);
            } else if (what < 98) {
                sweep(model);
            } else {
                walk(model, is_listed);
            }
        }
        memset(model->alive, 0, sizeof model->alive);
        sweep(model);
        assert_int_equal(model->list, POSTINGS_EMPTY);
        assert_int_equal(model->bytes, 0); /* every chunk and directory was given back */
        pool_free(&model->pool);
        mem_free(model);
    }
    assert_true(sketched > SEEDS);
}

/* A sweep clears the bits of groups that have died out; only ends of chunks may stay set. */
static void a_sketch_forgets_what_a_sweep_takes_out(void **state) {
    (void)state;
    uint64_t bytes = 0;
    struct pool pool;
    pool_init(&pool, &bytes, 11, 20);
    uint32_t list = POSTINGS_EMPTY, from = 0, work = 0, set = 0;
    static uint64_t alive[NUMBERS / 64];
    for (uint32_t i = 0; i < NUMBERS; i += 2) {
        postings_add(&pool, &list, (struct run){i, i});
        set_bit(alive, i, i >= NUMBERS / 2);
    }
    while (!postings_sweep(&pool, &list, pages_of(alive), &from, &work)) {
    }
    struct postings_walk walk;
    postings_start(&walk, &pool, list);
    assert_true(walk.sketch.words > 0);
    for (uint32_t i = 0; i < NUMBERS / 2 / SKETCH_GROUP; i++) {
        set += bit(walk.sketch.bits, i);
    }
    assert_true(set < NUMBERS / 2 / SKETCH_GROUP / 2);
    for (uint32_t i = NUMBERS / 2 / SKETCH_GROUP; i < NUMBERS / SKETCH_GROUP; i++) {
        assert_true(bit(walk.sketch.bits, i));
    }
    postings_free(&pool, &list);
    assert_int_equal(bytes, 0);
    pool_free(&pool);
}

/* The worst for a sweep: full runs of which every other number dies. */
static void runs_with_many_holes_grow_into_more_chunks(void **state) {
    (void)state;
    uint64_t bytes = 0;
    struct pool pool;
    pool_init(&pool, &bytes, 11, 20);
    uint32_t list = POSTINGS_EMPTY, from = 0, work = 0, steps = 0;
    static uint64_t alive[NUMBERS / 64];
    for (uint32_t i = 0; i < NUMBERS; i += 128) {
        postings_add(&pool, &list, (struct run){i, i + 127});
    }
    memset(alive, 0x55, sizeof alive);
    while (!postings_sweep(&pool, &list, pages_of(alive), &from, &work)) {
        assert_true(++steps < 1000);
    }
    struct postings_walk walk;
    postings_start(&walk, &pool, list);
    for (uint32_t i = 0; i < NUMBERS; i += 2) {
        assert_true(postings_seek(&walk, i));
        assert_int_equal(walk.run.first, i);
        assert_int_equal(walk.run.last, i);
    }
    assert_false(postings_seek(&walk, NUMBERS - 1));
    postings_free(&pool, &list);
    assert_int_equal(bytes, 0);
}

static void blocks_keep_their_bytes_until_given_back(void **state) {
    (void)state;
    enum { BLOCKS = 600 };
    static uint32_t handles[BLOCKS], sizes[BLOCKS];
    uint64_t bytes = 0;
    struct pool pool;
    struct rng rng;
    rng_seed(&rng, 5);
    pool_init(&pool, &bytes, 11, 20);
    memset(handles, 0xff, sizeof handles);
    for (int step = 0; step < 60000; step++) {
        uint32_t i = (uint32_t)rng_below(&rng, BLOCKS);
        if (handles[i] == POOL_NONE) {
            sizes[i] = 1 + (uint32_t)rng_below(&rng, rng_below(&rng, 20) == 0 ? 9000 : 300);
            handles[i] = pool_take(&pool, sizes[i]);
            assert_true(pool_bytes(&pool, handles[i]) >= sizes[i]);
            assert_true(pool_bytes(&pool, handles[i]) <= sizes[i] + 3 + sizes[i] / 16);
            memset(pool_at(&pool, handles[i]), (int)(i & 0xff), pool_bytes(&pool, handles[i]));
        } else {
            const uint8_t *block = pool_at(&pool, handles[i]);
            for (uint32_t n = 0; n < pool_bytes(&pool, handles[i]); n++) {
                assert_int_equal(block[n], i & 0xff);
            }
            pool_give(&pool, handles[i]);
            handles[i] = POOL_NONE;
        }
    }
    for (uint32_t i = 0; i < BLOCKS; i++) {
        if (handles[i] != POOL_NONE) {
            pool_give(&pool, handles[i]);
        }
    }
    assert_int_equal(bytes, 0);
}

/* Hashes of few values, so that walks are long and meet what is not theirs; in every other shard
 * they crowd at its end. */
static uint64_t hash_of(uint32_t number) {
    uint64_t home = (uint64_t)(number % 61) << 6;
    home = number % 7 % 2 == 0 ? home : 0xffff - home / 2;
    return (uint64_t)(number % 7) << 54 | home << 38 | number % 3;
}

static bool keep_even(const void *context, uint32_t number) {
    (void)context;
    return number % 2 == 0;
}

static void check_table(const struct table *table, const bool *present, uint32_t numbers) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < numbers; i++) {
        struct table_walk walk = table_start(table, hash_of(i));
        uint32_t found, times = 0;
        while ((found = table_next(&walk)) != TABLE_NONE) {
            assert_true(found < numbers && present[found]);
            times += found == i;
        }
        assert_int_equal(times, present[i]);
        count += present[i];
    }
    assert_int_equal(table->count, count);
}

static void tables_find_what_is_in_them(void **state) {
    (void)state;
    enum { COUNT = 1200 };
    static bool present[COUNT];
    uint64_t bytes = 0;
    struct table table;
    struct rng rng;
    rng_seed(&rng, 6);
    table_init(&table, &bytes);
    for (int step = 0; step < 30000; step++) {
        uint32_t i = (uint32_t)rng_below(&rng, COUNT);
        if (present[i]) {
            table_remove(&table, hash_of(i), i);
        } else {
            table_add(&table, hash_of(i), i);
        }
        present[i] = !present[i];
        if (step % 3000 == 0) {
            check_table(&table, present, COUNT);
        }
    }
    for (uint32_t shard = 0; shard < TABLE_SHARDS; shard++) {
        (void)table_sweep(&table, shard, keep_even, NULL);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        present[i] = present[i] && i % 2 == 0;
    }
    check_table(&table, present, COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        if (present[i]) {
            table_remove(&table, hash_of(i), i);
        }
    }
    assert_int_equal(bytes, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_agree_with_one_bit_per_number),
        cmocka_unit_test(a_sketch_forgets_what_a_sweep_takes_out),
        cmocka_unit_test(runs_with_many_holes_grow_into_more_chunks),
        cmocka_unit_test(blocks_keep_their_bytes_until_given_back),
        cmocka_unit_test(tables_find_what_is_in_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
