/* store.h - what a node may remember across restarts: small tables of keys and values.
 *
 * All reads are answered from memory (a driver loads the tables before the node starts); writes
 * are queued and committed in groups. One conformance test runs over both implementations: the
 * memory version here and SQLite in src/host. */
#ifndef TRUNKLINE_COMMON_STORE_H
#define TRUNKLINE_COMMON_STORE_H

#include <stdbool.h>

#include "common/buf.h"

enum store_table {
    STORE_META,      /* text key -> own format */
    STORE_HOSTS,     /* node id -> hostcache entry */
    STORE_DOWNLOADS, /* content key -> download */
    STORE_TRUST,     /* rank of the type u8, prefix u64 -> a record of promotion */
    STORE_DONE,      /* number u64 -> a download that has finished */
    STORE_TABLES
};

#define STORE_KEY_MAX 64
#define STORE_VALUE_MAX 65536

struct store;

/* An implementation; `store` is its first member. */
struct store_ops {
    bool (*get)(struct store *store, enum store_table table, struct slice key, struct slice *value);
    void (*put)(struct store *store, enum store_table table, struct slice key, struct slice value);
    void (*remove)(struct store *store, enum store_table table, struct slice key);
    bool (*next)(struct store *store, enum store_table table, struct slice after, struct slice *key,
                 struct slice *value);
    void (*sync)(struct store *store, uint64_t token);
    void (*free)(struct store *store);
};
struct store {
    const struct store_ops *ops;
};

/* Borrow the value of a key until the table is next written to; false when there is none. */
bool store_get(struct store *store, enum store_table table, struct slice key, struct slice *value);
/* Copy key (1 to STORE_KEY_MAX bytes) and value (at most STORE_VALUE_MAX) into the table. */
void store_put(struct store *store, enum store_table table, struct slice key, struct slice value);
/* Remove; nothing happens when there is none. */
void store_remove(struct store *store, enum store_table table, struct slice key);
/* Walk in byte order of the keys: borrow the first entry whose key is greater than `after` (empty
 * slice = from the start) until the table is next written to; false at the end. */
bool store_next(struct store *store, enum store_table table, struct slice after, struct slice *key,
                struct slice *value);
/* Ask for a NODE_STORED event with this token once all writes so far are durable. */
void store_sync(struct store *store, uint64_t token);
void store_free(struct store *store);

/* The memory version. `synced` (may be NULL) is called at once by sync. */
struct store *store_memory_new(void (*synced)(void *context, uint64_t token), void *context);

#endif
