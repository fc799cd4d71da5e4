/* routed.c - which files and holders a query has brought so far, so that rare ones are not drowned
 * by the thousandth copy of a popular one. */
#include "supernode/routed.h"

#include "common/map.h"
#include "common/mem.h"
#include "supernode/core.h"

#define CAP_MIN 16

static struct routed_slot *find_slot(const struct routed *routed, uint64_t number) {
    uint32_t at = (uint32_t)number & (routed->cap - 1u);
    while (routed->slots[at].times > 0 && routed->slots[at].number != number) {
        at = (at + 1) & (routed->cap - 1u);
    }
    return &routed->slots[at];
}

static void grow(struct routed *routed) {
    struct routed former = *routed;
    routed->cap = former.cap < CAP_MIN ? CAP_MIN : (uint16_t)(former.cap * 2);
    routed->slots = mem_array(routed->cap, sizeof *routed->slots);
    for (uint32_t i = 0; i < former.cap; i++) {
        if (former.slots[i].times > 0) {
            *find_slot(routed, former.slots[i].number) = former.slots[i];
        }
    }
    mem_free(former.slots);
}

/* Count a thing once more; true when it has not come too often. */
static bool note(struct routed *routed, const void *key, size_t len) {
    static const uint64_t any_key[2] = {1, 2}; /* a collision hides one file of one search */
    uint64_t number = siphash(any_key, key, len);
    if (routed->distinct * 2 >= routed->cap) {
        grow(routed);
    }
    struct routed_slot *slot = find_slot(routed, number);
    routed->distinct = (uint16_t)(routed->distinct + (slot->times == 0));
    slot->number = number;
    return slot->times++ < ROUTED_SAME_MAX;
}

static bool note_content(struct routed *routed, const struct content_id *content) {
    uint8_t key[CONTENT_KEY_BYTES];
    content_key(key, content);
    return note(routed, key, sizeof key);
}

void routed_own(struct routed *routed, const struct index_answer *answer, bool is_locate) {
    for (uint32_t i = 0; i < answer->count; i++) {
        const struct index_found *found = &answer->found[i];
        for (uint32_t n = 0; is_locate && n < found->holder_count; n++) {
            const struct leaf *leaf = found->holders[n];
            (void)note(routed, leaf->id.b, sizeof leaf->id.b);
        }
        if (!is_locate) {
            (void)note_content(routed, &found->file.content);
        }
    }
    routed->records = (uint16_t)answer->count;
}

enum routed_verdict routed_take(struct routed *routed, const struct hits *hits, bool is_locate) {
    if (routed->records >= QUERY_ROUTED_MAX) {
        return ROUTED_FULL;
    }
    uint32_t worth = hits->hit_count == 0; /* empty ones are not free */
    for (uint8_t i = 0; is_locate && i < hits->holder_count; i++) {
        worth += note(routed, hits->holders[i].id.b, sizeof hits->holders[i].id.b);
    }
    for (uint8_t i = 0; !is_locate && i < hits->hit_count; i++) {
        worth += note_content(routed, &hits->hits[i].file.content);
    }
    routed->records = (uint16_t)(routed->records + worth);
    return worth > 0 ? ROUTED_PASS : ROUTED_KNOWN;
}

void routed_free(struct routed *routed) {
    mem_free(routed->slots);
    *routed = (struct routed){0};
}
