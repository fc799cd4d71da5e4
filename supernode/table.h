/* table.h - numbers found again by the hash of what they stand for.
 *
 * Open addressing with linear probing (Knuth, volume 3, section 6.4) in TABLE_SHARDS parts that
 * grow one by one, so that no addition waits for a whole table. A place is 6 bytes: the number and
 * 24 bits of its hash, so that growing looks at nothing else and hardly any walk meets a number
 * that does not match. Hashes must be keyed. */
#ifndef TRUNKLINE_SUPERNODE_TABLE_H
#define TRUNKLINE_SUPERNODE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#define TABLE_NONE UINT32_MAX
#define TABLE_NUMBERS_MAX 0xfffffeU /* numbers are below */
#define TABLE_SHARDS 1024

/* A number + 1, or what says that there is none, in 24 bits; and 24 bits of its hash. */
struct table_place {
    uint16_t home;
    uint8_t tag;
    uint8_t number[3];
};

struct table_shard {
    struct table_place *places;
    uint32_t cap;
    uint32_t used; /* places that are not empty, those of removed numbers included */
    uint32_t live;
};

struct table {
    uint64_t *bytes;            /* meter of memory, borrowed */
    struct table_shard *shards; /* NULL while nothing is in it */
    uint32_t count;
};

/* Start an empty table that takes its memory from the meter *bytes. */
void table_init(struct table *table, uint64_t *bytes);
void table_free(struct table *table);

/* A walk over the numbers that may have a hash. */
struct table_walk {
    const struct table_shard *shard;
    uint32_t at;
    uint8_t tag;
    uint16_t home;
};

/* Walk: start, then take numbers until TABLE_NONE. The table must not change meanwhile. */
struct table_walk table_start(const struct table *table, uint64_t hash);
uint32_t table_next(struct table_walk *walk);

/* Fetch the place where a walk begins into the cache, ahead of its need: a table is larger than
 * caches are, so that a lookup costs little but waiting. */
void table_prefetch(const struct table *table, uint64_t hash);

/* Add a number that is not in the table. */
void table_add(struct table *table, uint64_t hash, uint32_t number);

/* Take a number out that is in the table. */
void table_remove(struct table *table, uint64_t hash, uint32_t number);

/* Take all numbers out of one shard for which `keep` is false; return how many places it has. */
typedef bool table_keep_fn(const void *context, uint32_t number);
uint32_t table_sweep(struct table *table, uint32_t shard, table_keep_fn *keep, const void *context);

#endif
