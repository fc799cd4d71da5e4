/* list_root.h - what a list of records comes to, worked out in steps of bounded time.
 *
 * It is the root of the hash tree over the records' hashes in ascending order. The hashes stand in
 * a heap, from which they are taken in order into a tree that grows: adding one costs next to
 * nothing, taking one four comparisons per level, and no step sorts or hashes the whole. */
#ifndef TRUNKLINE_COMMON_LIST_ROOT_H
#define TRUNKLINE_COMMON_LIST_ROOT_H

#include "common/hashtree.h"

/* All zero at first. */
struct list_root {
    struct hash *hashes; /* those not yet taken: no one is below its parent, which has four */
    uint32_t count;
    uint32_t cap;
    struct hash last; /* taken */
    bool has_twins;   /* one hash came twice: this is no set */
    struct hashtree_growth tree;
};

/* Add a hash, in any order, before the first is taken. */
void list_root_add(struct list_root *list, const struct hash *hash);

/* How many were added. */
static inline uint32_t list_root_count(const struct list_root *list) {
    return list->count + list->tree.count;
}

/* Take up to `steps` hashes into the tree; true when all are in it. */
bool list_root_take(struct list_root *list, const struct crypto *crypto, uint32_t steps);

/* All are taken: set the root, zero for an empty list. False when one hash came twice. */
bool list_root_set(const struct list_root *list, const struct crypto *crypto, struct hash *root);

void list_root_free(struct list_root *list);

#endif
