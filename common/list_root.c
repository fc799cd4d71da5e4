/* list_root.c - what a list of records comes to, worked out in steps of bounded time. */
#include "common/list_root.h"

#include <string.h>

#include "common/check.h"
#include "common/mem.h"

#define CHILDREN 4 /* two cache lines; half as many levels as with two */

/* The order of bytes. Most pairs differ in the first eight. */
static bool is_below(const struct hash *a, const struct hash *b) {
    uint64_t first_a, first_b;
    memcpy(&first_a, a->b, sizeof first_a);
    memcpy(&first_b, b->b, sizeof first_b);
    if (first_a == first_b) {
        return memcmp(a->b, b->b, sizeof a->b) < 0;
    }
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return __builtin_bswap64(first_a) < __builtin_bswap64(first_b);
#else
    return first_a < first_b;
#endif
}

void list_root_add(struct list_root *list, const struct hash *hash) {
    CHECK(list->tree.count == 0);
    if (list->count == list->cap) {
        list->cap = list->cap == 0 ? 16 : list->cap * 2;
        list->hashes = mem_resize(list->hashes, list->cap, sizeof *list->hashes);
    }
    uint32_t at = list->count++;
    while (at > 0 && is_below(hash, &list->hashes[(at - 1) / CHILDREN])) {
        list->hashes[at] = list->hashes[(at - 1) / CHILDREN];
        at = (at - 1) / CHILDREN;
    }
    list->hashes[at] = *hash;
}

/* Let a hash sink from the top to its place. */
static void sink(struct list_root *list, const struct hash *hash) {
    uint32_t at = 0;
    for (;;) {
        uint32_t first = at * CHILDREN + 1;
        uint32_t end = first + CHILDREN < list->count ? first + CHILDREN : list->count;
        uint32_t least = first;
        for (uint32_t i = first + 1; i < end; i++) {
            least = is_below(&list->hashes[i], &list->hashes[least]) ? i : least;
        }
        if (first >= end || !is_below(&list->hashes[least], hash)) {
            break;
        }
        list->hashes[at] = list->hashes[least];
        at = least;
    }
    list->hashes[at] = *hash;
}

bool list_root_take(struct list_root *list, const struct crypto *crypto, uint32_t steps) {
    for (; list->count > 0 && steps > 0; steps--) {
        struct hash least = list->hashes[0];
        struct hash moved = list->hashes[--list->count];
        if (list->count > 0) {
            sink(list, &moved);
        }
        bool is_twin = list->tree.count > 0 && memcmp(least.b, list->last.b, sizeof least.b) == 0;
        list->has_twins = list->has_twins || is_twin;
        list->last = least;
        hashtree_grow(crypto, &list->tree, &least);
    }
    return list->count == 0;
}

bool list_root_set(const struct list_root *list, const struct crypto *crypto, struct hash *root) {
    CHECK(list->count == 0);
    hashtree_grown(crypto, &list->tree, 0, root);
    return !list->has_twins;
}

void list_root_free(struct list_root *list) {
    mem_free(list->hashes);
    list->hashes = NULL;
    list->count = 0;
    list->cap = 0;
}
