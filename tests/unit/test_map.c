/* test_map.c - the hash map against a naive list, and SipHash-1-3 against CPython's. */
#include "tests/unit/testlib.h"

#include "common/map.h"

/* hash(bytes(range(n))) of CPython 3.11, whose algorithm is SipHash-1-3. PYTHONHASHSEED=0 is the
 * zero key; 42 gives the key below (the C library's old generator, Python/bootstrap_hash.c). */
static void test_siphash(void **state) {
    (void)state;
    static const size_t lengths[] = {1, 2, 7, 8, 9, 15, 16, 17, 40};
    static const struct {
        uint64_t key[2];
        uint64_t hashes[LENGTH(lengths)];
    } rows[] = {
        {{0, 0},
         {0x68a914128e01e473, 0x10bac45c41e3669, 0x2f098ab0c751325a, 0xead411e67ebe2eea,
          0x75927f9d95124362, 0xf30eb725bb91c9ea, 0x8972188433a5c5b7, 0x4883c49a2c009c1d,
          0x95bc321ab41d8206}},
        {{0xdc504fd368cd90af, 0xb920bb9ffe99e9c1},
         {0xce880c366bcf3489, 0xef32fbc0469f0756, 0xce280fabc397fbda, 0x60866c3c108c6afb,
          0x68814005f7469e03, 0x94ace24d68c18cf8, 0x339176f3ac59ce05, 0xed2706b414c296f1,
          0xde03d697bf20e38a}},
    };
    uint8_t bytes[40];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)i;
    }
    for (size_t row = 0; row < LENGTH(rows); row++) {
        for (size_t i = 0; i < LENGTH(lengths); i++) {
            uint64_t hash = siphash(rows[row].key, bytes, lengths[i]);
            assert_true(hash == rows[row].hashes[i]);
        }
    }
}

#define MODEL_MAX 600
#define KEY_MAX 32

/* A list in insertion order: what the map must look like. */
struct model {
    struct {
        uint8_t key[KEY_MAX];
        void *value;
    } entries[MODEL_MAX];
    uint32_t count;
};

static uint32_t model_find(const struct model *model, const uint8_t *key, size_t key_bytes) {
    uint32_t i = 0;
    while (i < model->count && memcmp(model->entries[i].key, key, key_bytes) != 0) {
        i++;
    }
    return i;
}

static void *model_put(struct model *model, const uint8_t *key, size_t key_bytes, void *value) {
    uint32_t i = model_find(model, key, key_bytes);
    void *former = i < model->count ? model->entries[i].value : NULL;
    if (i == model->count) {
        assert_true(model->count++ < MODEL_MAX);
        memcpy(model->entries[i].key, key, key_bytes);
    }
    model->entries[i].value = value;
    return former;
}

static void *model_remove(struct model *model, const uint8_t *key, size_t key_bytes) {
    uint32_t i = model_find(model, key, key_bytes);
    if (i == model->count) {
        return NULL;
    }
    void *value = model->entries[i].value;
    model->count--;
    memmove(&model->entries[i], &model->entries[i + 1],
            (model->count - i) * sizeof model->entries[0]);
    return value;
}

static void expect_same(const struct map *map, const struct model *model) {
    assert_int_equal(map->count, model->count);
    uint32_t cursor = 0;
    const void *key;
    for (uint32_t i = 0; i < model->count; i++) {
        assert_ptr_equal(map_next(map, &cursor, &key), model->entries[i].value);
        assert_memory_equal(key, model->entries[i].key, map->key_bytes);
    }
    assert_null(map_next(map, &cursor, &key));
}

/* Few keys, many operations: values are replaced, removed and put again, arrays are rebuilt. */
static void run_random(struct rng *rng, size_t key_bytes, uint32_t keys) {
    static struct model model;
    static uint8_t values[256]; /* only their addresses count */
    model.count = 0;
    struct map map;
    map_init(&map, key_bytes, rng_u64(rng));
    for (uint32_t step = 0; step < 4000; step++) {
        uint8_t key[KEY_MAX] = {0};
        uint32_t number = (uint32_t)rng_below(rng, keys);
        memcpy(key, &number, key_bytes < sizeof number ? key_bytes : sizeof number);
        uint64_t draw = rng_below(rng, 8);
        bool is_growing = step / 500 % 2 == 0;
        if (draw == 0) {
            uint32_t i = model_find(&model, key, key_bytes);
            void *wanted = i < model.count ? model.entries[i].value : NULL;
            assert_ptr_equal(map_get(&map, key), wanted);
        } else if (draw <= (is_growing ? 6u : 2u)) {
            void *value = &values[rng_below(rng, sizeof values)];
            void *wanted = model_put(&model, key, key_bytes, value);
            assert_ptr_equal(map_put(&map, key, value), wanted);
        } else {
            assert_ptr_equal(map_remove(&map, key), model_remove(&model, key, key_bytes));
        }
        if (step % 97 == 0) {
            expect_same(&map, &model);
        }
    }
    expect_same(&map, &model);
    map_free(&map);
    assert_null(map_get(&map, model.entries[0].key));
    assert_null(map_remove(&map, model.entries[0].key));
}

static void test_against_model(void **state) {
    (void)state;
    static const size_t key_bytes[] = {1, 4, 16, 32};
    static const uint32_t keys[] = {3, 60, 500};
    struct rng rng;
    rng_seed(&rng, 12);
    for (size_t i = 0; i < LENGTH(key_bytes); i++) {
        for (size_t j = 0; j < LENGTH(keys); j++) {
            run_random(&rng, key_bytes[i], key_bytes[i] == 1 && keys[j] > 256 ? 256 : keys[j]);
        }
    }
}

static void test_remove_while_walking(void **state) {
    (void)state;
    struct map map;
    map_init(&map, sizeof(uint32_t), 1);
    for (uint32_t i = 0; i < 100; i++) {
        map_put(&map, &i, &map);
    }
    uint32_t cursor = 0;
    uint32_t seen = 0;
    const void *key;
    while (map_next(&map, &cursor, &key) != NULL) {
        uint32_t number;
        memcpy(&number, key, sizeof number);
        assert_int_equal(number, seen * 2); /* the odd ones went before they were reached */
        seen++;
        uint32_t next = number + 1;
        assert_non_null(map_remove(&map, &number));
        assert_non_null(map_remove(&map, &next));
    }
    assert_int_equal(seen, 50);
    assert_int_equal(map.count, 0);
    map_free(&map);
}

/* Coming and going must not grow the map: its memory follows what lives in it. */
static void test_churn_keeps_memory(void **state) {
    (void)state;
    struct map map;
    map_init(&map, sizeof(uint64_t), 2);
    assert_null(map.entries); /* empty: no memory */
    for (uint64_t i = 0; i < 100000; i++) {
        assert_null(map_put(&map, &i, &map));
        if (i >= 10) {
            uint64_t old = i - 10;
            assert_non_null(map_remove(&map, &old));
        }
    }
    assert_int_equal(map.count, 10);
    assert_true(map.cap <= 32);
    map_free(&map);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_siphash),
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_remove_while_walking),
        cmocka_unit_test(test_churn_keeps_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
