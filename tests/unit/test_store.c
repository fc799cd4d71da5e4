/* test_store.c - the memory store does what every store must, and costs nothing while empty. */
#include "tests/unit/store_conformance.h"

#include <malloc.h>

#include "common/store.h"

static uint64_t last_token;

static void synced(void *context, uint64_t token) {
    uint64_t *to = context;
    *to = token;
}

static struct store *open_memory(void *context) {
    return store_memory_new(synced, context);
}

static bool wait_synced(void *context, struct store *store, uint64_t token) {
    (void)store;
    const uint64_t *last = context;
    return *last == token;
}

static void test_conformance(void **state) {
    (void)state;
    struct store_factory factory = {
        .context = &last_token, .open = open_memory, .wait_synced = wait_synced};
    store_conformance(&factory);
}

static void test_empty_store_is_one_small_block(void **state) {
    (void)state;
    struct store *store = store_memory_new(NULL, NULL);
    assert_true(malloc_usable_size(store) <= 128);
    store_sync(store, 1); /* nobody listens: nothing happens */
    store_free(store);
    store_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conformance),
        cmocka_unit_test(test_empty_store_is_one_small_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
