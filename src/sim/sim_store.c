/* sim_store.c - a store on a simulated disk: what was written last may be lost with the power.
 *
 * Reads come from the memory store of common. Every change also leaves the former value in a list
 * of changes that are not yet durable, oldest first. A group commit makes changes durable after
 * COMMIT_US; a crash keeps a prefix of the rest, since a database loses only its newest
 * transactions. */
#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "src/sim/world.h"

#define COMMIT_US 200000 /* between group commits */
#define SYNC_US 8000     /* one that somebody waits for */

struct change {
    struct change *next;
    uint64_t at_us;
    enum store_table table;
    bool had_value;
    uint8_t key_len;
    uint8_t key[STORE_KEY_MAX];
    uint32_t value_len;
    uint8_t value[]; /* the former one */
};

struct sim_store {
    struct store base;
    struct store *memory;
    struct machine *machine;
    struct change *oldest;
    struct change *newest;
};

static struct sim_store *of(struct store *store) {
    return (struct sim_store *)store;
}

static void forget_oldest(struct sim_store *store) {
    struct change *change = store->oldest;
    store->oldest = change->next;
    if (store->oldest == NULL) {
        store->newest = NULL;
    }
    mem_free(change);
}

/* Changes up to this time are durable. */
static void commit_until(struct sim_store *store, uint64_t at_us) {
    while (store->oldest != NULL && store->oldest->at_us <= at_us) {
        forget_oldest(store);
    }
}

/* Group commits happen by themselves, whenever somebody looks. */
void sim_store_commit(struct store *store) {
    uint64_t now_us = of(store)->machine->sim->now_us;
    if (now_us > COMMIT_US) {
        commit_until(of(store), now_us - COMMIT_US);
    }
}

static void remember_former(struct sim_store *store, enum store_table table, struct slice key) {
    uint64_t now_us = store->machine->sim->now_us;
    sim_store_commit(&store->base);
    struct slice value = {0};
    bool had_value = store_get(store->memory, table, key, &value);
    struct change *change = mem_new(sizeof *change + value.len);
    change->at_us = now_us;
    change->table = table;
    change->had_value = had_value;
    change->key_len = (uint8_t)key.len;
    memcpy(change->key, key.data, key.len);
    change->value_len = (uint32_t)value.len;
    if (value.len > 0) {
        memcpy(change->value, value.data, value.len);
    }
    if (store->newest != NULL) {
        store->newest->next = change;
    } else {
        store->oldest = change;
    }
    store->newest = change;
}

static bool sim_get(struct store *store, enum store_table table, struct slice key,
                    struct slice *value) {
    return store_get(of(store)->memory, table, key, value);
}

static void sim_put(struct store *store, enum store_table table, struct slice key,
                    struct slice value) {
    remember_former(of(store), table, key);
    store_put(of(store)->memory, table, key, value);
}

static void sim_remove(struct store *store, enum store_table table, struct slice key) {
    remember_former(of(store), table, key);
    store_remove(of(store)->memory, table, key);
}

static bool sim_next(struct store *store, enum store_table table, struct slice after,
                     struct slice *key, struct slice *value) {
    return store_next(of(store)->memory, table, after, key, value);
}

static bool run_sync(struct sim *sim, struct post *post) {
    (void)sim;
    commit_until(of(post->machine->env.store), post->job.offset);
    return true;
}

static void sim_sync(struct store *store, uint64_t token) {
    struct machine *machine = of(store)->machine;
    struct post *post = post_new(machine, NODE_STORED);
    post->run = run_sync;
    post->job.offset = machine->sim->now_us;
    post->event.stored.token = token;
    post_at(machine->sim, post, machine->sim->now_us + SYNC_US);
}

static void sim_store_free(struct store *store) {
    commit_until(of(store), UINT64_MAX);
    store_free(of(store)->memory);
    mem_free(store);
}

static const struct store_ops sim_store_ops = {.get = sim_get,
                                               .put = sim_put,
                                               .remove = sim_remove,
                                               .next = sim_next,
                                               .sync = sim_sync,
                                               .free = sim_store_free};

struct store *sim_store_new(struct machine *machine) {
    struct sim_store *store = mem_new(sizeof *store);
    store->base.ops = &sim_store_ops;
    store->memory = store_memory_new(NULL, NULL);
    store->machine = machine;
    return &store->base;
}

void sim_store_settle(struct store *store) {
    commit_until(of(store), UINT64_MAX);
}

/* Put one former value back. */
static void undo(struct sim_store *store, const struct change *change) {
    struct slice key = {change->key, change->key_len};
    if (change->had_value) {
        store_put(store->memory, change->table, key,
                  (struct slice){change->value, change->value_len});
    } else {
        store_remove(store->memory, change->table, key);
    }
}

void sim_store_crashed(struct sim *sim, struct store *base) {
    struct sim_store *store = of(base);
    sim_store_commit(base);
    uint32_t pending = 0;
    for (const struct change *change = store->oldest; change != NULL; change = change->next) {
        pending++;
    }
    if (pending == 0) {
        return;
    }
    /* The writer thread dies with its process: a kill loses the tail as the power does. */
    uint32_t kept = (uint32_t)rng_below(&sim->rng, pending + 1);
    for (; kept > 0; kept--, pending--) {
        forget_oldest(store);
    }
    struct change **newest_first = mem_array(pending, sizeof(struct change *));
    uint32_t at = pending;
    for (struct change *change = store->oldest; change != NULL; change = change->next) {
        newest_first[--at] = change;
    }
    for (uint32_t i = 0; i < pending; i++) {
        undo(store, newest_first[i]);
    }
    mem_free(newest_first);
    commit_until(store, UINT64_MAX);
}
