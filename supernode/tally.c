/* tally.c - all records that there are, in lists. To put a list in order takes most of the time: it
 * is done when the first reader gets there. */
#include "supernode/tally.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

#define PREFIX_BYTES 8
#define LIST_BYTES ((size_t)TRUST_LIST_MAX * PREFIX_BYTES)

static int compare_prefixes(const void *a, const void *b) {
    return memcmp(a, b, PREFIX_BYTES);
}

struct tally *tally_new(const struct trust *trust) {
    struct tally *tally = mem_new(sizeof *tally);
    buf_reserve(&tally->prefixes, (size_t)trust_count(trust) * PREFIX_BYTES);
    trust_tell(trust, &tally->prefixes);
    return tally;
}

bool tally_leave(struct tally *tally) {
    bool is_last = --tally->readers == 0;
    if (is_last) {
        buf_free(&tally->prefixes);
        mem_free(tally);
    }
    return is_last;
}

struct slice tally_next(struct tally *tally, size_t *at) {
    size_t left = tally->prefixes.len - *at;
    struct slice list = {tally->prefixes.data + *at, left < LIST_BYTES ? left : LIST_BYTES};
    if (list.len > 0 && *at == tally->in_order) {
        qsort(tally->prefixes.data + *at, list.len / PREFIX_BYTES, PREFIX_BYTES, compare_prefixes);
        tally->in_order += list.len;
    }
    *at += list.len;
    return list;
}
