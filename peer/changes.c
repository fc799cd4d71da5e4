/* changes.c - a short log of the records that came and went in the list of shared files. */
#include "peer/changes.h"

#include <stdlib.h>
#include <string.h>

#include "common/limits.h"
#include "common/mem.h"

static void forget_half(struct changes *changes) {
    uint32_t half = changes->count / 2;
    changes->since = changes->log[half - 1].sequence;
    changes->count -= half;
    memmove(changes->log, changes->log + half, changes->count * sizeof *changes->log);
}

void changes_note(struct changes **place, const struct change *change) {
    if (*place == NULL) {
        *place = mem_new(sizeof **place);
        (*place)->since = change->sequence - 1;
    }
    struct changes *changes = *place;
    if (changes->count == CHANGES_MAX) {
        forget_half(changes);
    }
    if (changes->count == changes->cap) {
        changes->cap = changes->cap == 0 ? 4 : changes->cap * 2;
        changes->log = mem_resize(changes->log, changes->cap, sizeof *changes->log);
    }
    changes->log[changes->count++] = *change;
}

void changes_settle(struct changes *changes, uint64_t sequence) {
    if (changes == NULL) {
        return;
    }
    while (changes->count > 0 && changes->log[changes->count - 1].sequence > sequence) {
        changes->count--;
    }
    changes->since = changes->since < sequence ? changes->since : sequence;
}

void changes_free(struct changes *changes) {
    if (changes != NULL) {
        mem_free(changes->log);
        mem_free(changes);
    }
}

/* By record, each record's changes in the order they happened. */
static int compare_changes(const void *a, const void *b) {
    const struct change *left = *(const struct change *const *)a;
    const struct change *right = *(const struct change *const *)b;
    int order = (left->prefix > right->prefix) - (left->prefix < right->prefix);
    return order != 0 ? order : (left > right) - (left < right);
}

struct difference *changes_after(const struct changes *changes, uint64_t base, uint32_t *count) {
    uint32_t logged = changes != NULL ? changes->count : 0;
    const struct change **sorted = mem_array(logged, sizeof *sorted);
    struct difference *differences = mem_array(logged, sizeof *differences);
    uint32_t used = 0;
    for (uint32_t i = 0; i < logged; i++) {
        if (changes->log[i].sequence > base) {
            sorted[used++] = &changes->log[i];
        }
    }
    if (used > 0) {
        qsort(sorted, used, sizeof *sorted, compare_changes);
    }
    *count = 0;
    for (uint32_t i = 0; i < used; i++) {
        if (i == 0 || sorted[i]->prefix != sorted[i - 1]->prefix) { /* the first tells */
            differences[(*count)++] =
                (struct difference){.prefix = sorted[i]->prefix, .was_there = !sorted[i]->is_added};
        }
    }
    mem_free(sorted);
    return differences;
}
