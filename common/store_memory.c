/* store_memory.c - a store that forgets with the process: one sorted array per table. */
#include <string.h>

#include "common/mem.h"
#include "common/store.h"

/* Key and value follow the header in the same piece of memory. */
struct entry {
    uint32_t value_len;
    uint8_t key_len;
    uint8_t bytes[];
};

/* Sorted by key bytes; no memory while it is empty. */
struct table {
    struct entry **entries;
    uint32_t count;
    uint32_t cap;
};

struct memory_store {
    struct store store; /* first: struct store is what callers hold */
    void (*synced)(void *context, uint64_t token);
    void *context;
    struct table tables[STORE_TABLES];
};

static struct table *table_of(struct store *store, enum store_table table) {
    return &((struct memory_store *)store)->tables[table];
}

static struct slice key_of(const struct entry *entry) {
    return (struct slice){entry->bytes, entry->key_len};
}

static struct slice value_of(const struct entry *entry) {
    return (struct slice){entry->bytes + entry->key_len, entry->value_len};
}

/* Byte order; a key sorts before its own extensions. */
static int compare(struct slice a, struct slice b) {
    size_t shared = a.len < b.len ? a.len : b.len;
    int order = shared > 0 ? memcmp(a.data, b.data, shared) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* Return the place of the first entry that is not before `key`. */
static uint32_t find(const struct table *table, struct slice key, bool *is_there) {
    uint32_t low = 0;
    uint32_t high = table->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare(key_of(table->entries[middle]), key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *is_there = low < table->count && compare(key_of(table->entries[low]), key) == 0;
    return low;
}

static bool memory_get(struct store *store, enum store_table table, struct slice key,
                       struct slice *value) {
    const struct table *in = table_of(store, table);
    bool is_there;
    uint32_t place = find(in, key, &is_there);
    if (is_there) {
        *value = value_of(in->entries[place]);
    }
    return is_there;
}

static struct entry *new_entry(struct slice key, struct slice value) {
    struct entry *entry = mem_new(sizeof *entry + key.len + value.len);
    entry->key_len = (uint8_t)key.len;
    entry->value_len = (uint32_t)value.len;
    memcpy(entry->bytes, key.data, key.len);
    if (value.len > 0) {
        memcpy(entry->bytes + key.len, value.data, value.len);
    }
    return entry;
}

static void memory_put(struct store *store, enum store_table table, struct slice key,
                       struct slice value) {
    struct table *in = table_of(store, table);
    bool is_there;
    uint32_t place = find(in, key, &is_there);
    /* Made before the old entry goes: key and value may have been borrowed from it. */
    struct entry *entry = new_entry(key, value);
    if (is_there) {
        mem_free(in->entries[place]);
        in->entries[place] = entry;
        return;
    }
    if (in->count == in->cap) {
        in->cap = in->cap < 2 ? 2 : in->cap * 2;
        in->entries = mem_resize(in->entries, in->cap, sizeof(struct entry *));
    }
    memmove(in->entries + place + 1, in->entries + place,
            (in->count - place) * sizeof(struct entry *));
    in->entries[place] = entry;
    in->count++;
}

static void memory_remove(struct store *store, enum store_table table, struct slice key) {
    struct table *in = table_of(store, table);
    bool is_there;
    uint32_t place = find(in, key, &is_there);
    if (!is_there) {
        return;
    }
    mem_free(in->entries[place]);
    in->count--;
    memmove(in->entries + place, in->entries + place + 1,
            (in->count - place) * sizeof(struct entry *));
    if (in->count == 0) {
        mem_free(in->entries);
        *in = (struct table){0};
    }
}

static bool memory_next(struct store *store, enum store_table table, struct slice after,
                        struct slice *key, struct slice *value) {
    const struct table *in = table_of(store, table);
    bool is_there;
    uint32_t place = find(in, after, &is_there);
    place += is_there ? 1 : 0;
    if (place >= in->count) {
        return false;
    }
    *key = key_of(in->entries[place]);
    *value = value_of(in->entries[place]);
    return true;
}

static void memory_sync(struct store *store, uint64_t token) {
    struct memory_store *memory = (struct memory_store *)store;
    if (memory->synced != NULL) {
        memory->synced(memory->context, token);
    }
}

static void memory_free(struct store *store) {
    for (unsigned table = 0; table < STORE_TABLES; table++) {
        struct table *in = table_of(store, table);
        for (uint32_t i = 0; i < in->count; i++) {
            mem_free(in->entries[i]);
        }
        mem_free(in->entries);
    }
    mem_free(store);
}

static const struct store_ops memory_ops = {
    .get = memory_get,
    .put = memory_put,
    .remove = memory_remove,
    .next = memory_next,
    .sync = memory_sync,
    .free = memory_free,
};

struct store *store_memory_new(void (*synced)(void *context, uint64_t token), void *context) {
    struct memory_store *memory = mem_new(sizeof *memory);
    memory->store.ops = &memory_ops;
    memory->synced = synced;
    memory->context = context;
    return &memory->store;
}
