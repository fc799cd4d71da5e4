/* store.c - hands each call to the implementation, after checking what callers promised. */
#include "common/store.h"

#include "common/check.h"

static bool key_is_fine(enum store_table table, struct slice key) {
    return (unsigned)table < STORE_TABLES && key.len >= 1 && key.len <= STORE_KEY_MAX;
}

bool store_get(struct store *store, enum store_table table, struct slice key, struct slice *value) {
    CHECK(key_is_fine(table, key));
    return store->ops->get(store, table, key, value);
}

void store_put(struct store *store, enum store_table table, struct slice key, struct slice value) {
    CHECK(key_is_fine(table, key) && value.len <= STORE_VALUE_MAX);
    store->ops->put(store, table, key, value);
}

void store_remove(struct store *store, enum store_table table, struct slice key) {
    CHECK(key_is_fine(table, key));
    store->ops->remove(store, table, key);
}

bool store_next(struct store *store, enum store_table table, struct slice after, struct slice *key,
                struct slice *value) {
    CHECK((unsigned)table < STORE_TABLES);
    return store->ops->next(store, table, after, key, value);
}

void store_sync(struct store *store, uint64_t token) {
    store->ops->sync(store, token);
}

void store_free(struct store *store) {
    if (store != NULL) {
        store->ops->free(store);
    }
}
