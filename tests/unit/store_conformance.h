/* store_conformance.h - what every store must do; run over the memory version and over SQLite.
 *
 * A test program gives a factory and runs store_conformance(&factory). `reopen` closes a store
 * after its writes are durable and returns one with the same contents, or is NULL for stores that
 * forget. */
#ifndef TRUNKLINE_TESTS_UNIT_STORE_CONFORMANCE_H
#define TRUNKLINE_TESTS_UNIT_STORE_CONFORMANCE_H

#include <stdio.h>

#include "common/mem.h"
#include "common/store.h"
#include "tests/unit/testlib.h"

struct store_factory {
    void *context;
    /* Return an empty store; `synced` is how it tells that writes are durable. */
    struct store *(*open)(void *context);
    struct store *(*reopen)(void *context, struct store *store);
    /* Wait (bounded) until a sync with this token has been answered; false when it is not. */
    bool (*wait_synced)(void *context, struct store *store, uint64_t token);
};

static inline void conform_put(struct store *store, enum store_table table, const char *key,
                               const char *value) {
    store_put(store, table, test_slice(key), test_slice(value));
}

/* Assert that a key has this value (NULL: is not there). */
static inline void conform_expect(struct store *store, enum store_table table, const char *key,
                                  const char *value) {
    struct slice got = {0};
    bool is_there = store_get(store, table, test_slice(key), &got);
    assert_int_equal(is_there, value != NULL);
    if (value != NULL) {
        assert_int_equal(got.len, strlen(value));
        assert_memory_equal(got.data, value, got.len);
    }
}

static inline void conform_basics(struct store *store) {
    conform_expect(store, STORE_META, "a", NULL);
    conform_put(store, STORE_META, "a", "one");
    conform_put(store, STORE_HOSTS, "a", "other table");
    conform_expect(store, STORE_META, "a", "one");
    conform_expect(store, STORE_HOSTS, "a", "other table");
    conform_expect(store, STORE_DOWNLOADS, "a", NULL);
    conform_put(store, STORE_META, "a", "replaced by something longer");
    conform_expect(store, STORE_META, "a", "replaced by something longer");
    conform_put(store, STORE_META, "a", "");
    conform_expect(store, STORE_META, "a", "");
    store_remove(store, STORE_META, test_slice("a"));
    conform_expect(store, STORE_META, "a", NULL);
    store_remove(store, STORE_META, test_slice("a"));
    conform_expect(store, STORE_HOSTS, "a", "other table");
    store_remove(store, STORE_HOSTS, test_slice("a"));
}

/* The longest key and value, and bytes that are no text. */
static inline void conform_limits(struct store *store) {
    uint8_t key[STORE_KEY_MAX];
    for (size_t i = 0; i < sizeof key; i++) {
        key[i] = (uint8_t)(i * 37);
    }
    uint8_t *value = mem_new(STORE_VALUE_MAX);
    for (size_t i = 0; i < STORE_VALUE_MAX; i++) {
        value[i] = (uint8_t)(i * 131 >> 3);
    }
    struct slice wide = {key, sizeof key};
    struct slice narrow = {key, 1}; /* one zero byte */
    store_put(store, STORE_DOWNLOADS, wide, (struct slice){value, STORE_VALUE_MAX});
    store_put(store, STORE_DOWNLOADS, narrow, (struct slice){value + 1, 3});
    struct slice got = {0};
    assert_true(store_get(store, STORE_DOWNLOADS, wide, &got));
    assert_int_equal(got.len, STORE_VALUE_MAX);
    assert_memory_equal(got.data, value, STORE_VALUE_MAX);
    assert_true(store_get(store, STORE_DOWNLOADS, narrow, &got));
    assert_int_equal(got.len, 3);
    assert_memory_equal(got.data, value + 1, 3);
    store_remove(store, STORE_DOWNLOADS, wide);
    store_remove(store, STORE_DOWNLOADS, narrow);
    mem_free(value);
}

/* Copy a borrowed slice into a string. */
static inline void conform_copy(char to[STORE_KEY_MAX + 1], struct slice from) {
    assert_in_range(from.len, 1, STORE_KEY_MAX);
    memcpy(to, from.data, from.len);
    to[from.len] = '\0';
}

static inline void conform_order(struct store *store) {
    static const char *const keys[] = {"m", "b", "ba", "z", "\x80", "a", "bb", "\xff\xff", "B"};
    static const char *const sorted[] = {"B", "a", "b", "ba", "bb", "m", "z", "\x80", "\xff\xff"};
    for (size_t i = 0; i < LENGTH(keys); i++) {
        conform_put(store, STORE_META, keys[i], keys[i]);
    }
    char after[STORE_KEY_MAX + 1] = "";
    struct slice key = {0};
    struct slice value = {0};
    for (size_t i = 0; i < LENGTH(sorted); i++) {
        assert_true(store_next(store, STORE_META, test_slice(after), &key, &value));
        assert_int_equal(value.len, key.len);
        assert_memory_equal(value.data, key.data, key.len);
        conform_copy(after, key);
        assert_string_equal(after, sorted[i]);
    }
    assert_false(store_next(store, STORE_META, test_slice(after), &key, &value));
    /* After a key that is not there, and while removing. */
    assert_true(store_next(store, STORE_META, test_slice("bab"), &key, &value));
    conform_copy(after, key);
    assert_string_equal(after, "bb");
    for (size_t i = 0; i < LENGTH(keys); i++) {
        assert_true(store_next(store, STORE_META, (struct slice){0}, &key, &value));
        conform_copy(after, key);
        assert_string_equal(after, sorted[i]);
        store_remove(store, STORE_META, test_slice(after));
    }
    assert_false(store_next(store, STORE_META, (struct slice){0}, &key, &value));
}

/* A value borrowed from the store may be put back under the same key. */
static inline void conform_borrowed(struct store *store) {
    conform_put(store, STORE_META, "k", "abcdefgh");
    struct slice value = {0};
    assert_true(store_get(store, STORE_META, test_slice("k"), &value));
    store_put(store, STORE_META, test_slice("k"), (struct slice){value.data + 2, value.len - 2});
    conform_expect(store, STORE_META, "k", "cdefgh");
    store_remove(store, STORE_META, test_slice("k"));
}

#define CONFORM_KEYS 60

/* Compare everything with the naive model: model[i] is the value of key i, 0 = none. */
static inline void conform_compare(struct store *store, const uint32_t model[CONFORM_KEYS]) {
    char after[STORE_KEY_MAX + 1] = "";
    struct slice key;
    struct slice value;
    for (uint32_t i = 0; i < CONFORM_KEYS; i++) {
        if (model[i] == 0) {
            continue;
        }
        char wanted[STORE_KEY_MAX + 1];
        char text[32];
        snprintf(wanted, sizeof wanted, "key%03u", i);
        snprintf(text, sizeof text, "%u", model[i]);
        assert_true(store_next(store, STORE_HOSTS, test_slice(after), &key, &value));
        conform_copy(after, key);
        assert_string_equal(after, wanted);
        assert_int_equal(value.len, strlen(text));
        assert_memory_equal(value.data, text, value.len);
    }
    assert_false(store_next(store, STORE_HOSTS, test_slice(after), &key, &value));
}

/* Random writes against a naive model; return with the contents of `model` in the store. */
static inline void conform_random(struct store *store, uint32_t model[CONFORM_KEYS]) {
    struct rng rng;
    rng_seed(&rng, 20);
    for (uint32_t step = 1; step <= 5000; step++) {
        uint32_t i = (uint32_t)rng_below(&rng, CONFORM_KEYS);
        bool is_removal = rng_below(&rng, 3) == 0;
        char key[16];
        char text[32];
        snprintf(key, sizeof key, "key%03u", i);
        snprintf(text, sizeof text, "%u", step);
        model[i] = is_removal ? 0 : step;
        if (is_removal) {
            store_remove(store, STORE_HOSTS, test_slice(key));
        } else {
            conform_put(store, STORE_HOSTS, key, text);
        }
        conform_expect(store, STORE_HOSTS, key, is_removal ? NULL : text);
    }
    conform_compare(store, model);
}

static inline void store_conformance(const struct store_factory *factory) {
    struct store *store = factory->open(factory->context);
    conform_basics(store);
    conform_limits(store);
    conform_order(store);
    conform_borrowed(store);
    uint32_t model[CONFORM_KEYS] = {0};
    conform_random(store, model);
    store_sync(store, 71);
    store_sync(store, 72);
    assert_true(factory->wait_synced(factory->context, store, 72));
    if (factory->reopen != NULL) {
        store = factory->reopen(factory->context, store);
        conform_compare(store, model);
        conform_expect(store, STORE_META, "k", NULL);
    }
    store_free(store);
}

#endif
