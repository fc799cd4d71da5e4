/* table.h - items with small stable numbers, found again by their hash: what the index is built on.
 *
 * A number is free for use again once its item is gone. Chains of equal buckets run through the
 * items themselves, so an entry costs about 20 bytes instead of a copy of its key. */
#ifndef TRUNKLINE_SUPERNODE_TABLE_H
#define TRUNKLINE_SUPERNODE_TABLE_H

#include <stdint.h>

/* First member of every item. */
struct table_item {
    uint32_t hash; /* set before table_add */
    uint32_t next; /* number of the next item in its bucket */
};

#define TABLE_ITEM_BYTES 20 /* of the table per item, for budgets */
#define TABLE_NONE UINT32_MAX

struct table {
    struct table_item **items; /* number -> item; NULL = free */
    uint32_t *free_numbers;    /* a stack */
    uint32_t *heads;           /* bucket -> number; TABLE_NONE = empty */
    uint32_t used;             /* numbers given out so far */
    uint32_t free_count;
    uint32_t cap;   /* of items and free_numbers: a power of two, also the number of buckets */
    uint32_t count; /* items that live */
};

/* Add an item (borrowed) and return its number. All zero is a valid empty table. */
uint32_t table_add(struct table *table, struct table_item *item);

/* Take an item out; its number may come back for another one. */
void table_remove(struct table *table, uint32_t number);

/* The item of a number that is in use. */
struct table_item *table_item(const struct table *table, uint32_t number);

/* Walk the numbers whose items may have this hash: from table_first on, then along item->next,
 * until TABLE_NONE. */
uint32_t table_first(const struct table *table, uint32_t hash);

/* Release the table's memory, not the items. */
void table_free(struct table *table);

#endif
