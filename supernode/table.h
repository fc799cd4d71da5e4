/* table.h - numbers found again by the hash of what they stand for.
 *
 * Open addressing with linear probing in TABLE_SHARDS parts that grow one by one, so that no
 * addition waits for a whole table. The numbers of a part stand in the order of their hashes (Amble
 * and Knuth, The Computer Journal 17(2), 1974): a walk ends where a greater hash stands, after a
 * few places however full the part is, and growing copies from left to right. A place is 6 bytes:
 * the number and 24 bits of its hash, so that growing looks at nothing else and hardly any walk
 * meets a number that does not match. Hashes must be keyed. */
#ifndef TRUNKLINE_SUPERNODE_TABLE_H
#define TRUNKLINE_SUPERNODE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#define TABLE_NONE UINT32_MAX
#define TABLE_NUMBERS_MAX 0xfffffeU /* numbers are below */
#define TABLE_SHARDS 1024

/* 24 bits of a hash, and a number + 1 in 24 bits, 0 when there is none. */
struct table_place {
    uint16_t home;
    uint8_t tagged[4]; /* the tag and the number, from low to high */
};

struct table_shard {
    struct table_place *places;
    uint32_t homes; /* places that hashes lead to; some more stand behind them */
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
    const struct table_place *at;
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

/* Take a number out that is in the table; return how many places that wrote anew, mostly none. */
uint32_t table_remove(struct table *table, uint64_t hash, uint32_t number);

/* Take all numbers out of one shard for which `keep` is false; return how many places were looked
 * at and written anew. */
typedef bool table_keep_fn(const void *context, uint32_t number);
uint32_t table_sweep(struct table *table, uint32_t shard, table_keep_fn *keep, const void *context);

#endif
