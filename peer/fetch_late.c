/* fetch_late.c - blocks that come when another's are here already: judged all the same.
 *
 * Whoever is slow loses what it owes to others (and keeps owing it, since a request cannot be taken
 * back), and at the end of a download two owe one block. What comes second is not needed, but a
 * liar is to be found out by it: it is compared with the hash of the block as soon as that is
 * known, and until then it counts as owed, so that a newcomer gets no more rope than its due. */
#include <string.h>

#include "common/hashtree.h"
#include "common/mem.h"
#include "peer/fetch.h"
#include "peer/state.h"

/* ---- What may still come ---- */

void fetch_late_lost(struct source *source, const struct run *run) {
    struct lost *lost = &source->lost[source->lost_next];
    *lost = (struct lost){.index = run->piece->index, .blocks = run->blocks};
    source->lost_next = (uint8_t)((source->lost_next + 1) % FETCH_LOST_MAX);
}

static void has_come(struct source *source, uint32_t block) {
    for (int i = 0; i < FETCH_LOST_MAX; i++) {
        if (source->lost[i].index == block / PIECE_BLOCKS) {
            source->lost[i].blocks &= ~(1ULL << block % PIECE_BLOCKS);
        }
    }
}

/* Whether a source that is in use may still send blocks of a piece. */
static bool may_come(const struct source *source, uint32_t index) {
    bool is_lost = false;
    for (int i = 0; i < FETCH_LOST_MAX; i++) {
        is_lost = is_lost || (source->lost[i].index == index && source->lost[i].blocks != 0);
    }
    return is_lost && source->state >= SOURCE_ACTIVE;
}

void fetch_late_settle(struct download *download, const struct piece *piece) {
    bool is_some = false;
    for (const struct source *at = download->sources; at != NULL; at = at->next) {
        is_some = is_some || may_come(at, piece->index);
    }
    if (!is_some) {
        return;
    }
    if (download->settled == NULL) {
        download->settled = mem_array(FETCH_SETTLED_MAX, sizeof *download->settled);
    }
    struct settled *settled = &download->settled[download->settled_next];
    download->settled_next = (uint8_t)((download->settled_next + 1) % FETCH_SETTLED_MAX);
    settled->index = piece->index;
    settled->blocks = piece->blocks;
    memcpy(settled->hashes, piece->hashes, sizeof settled->hashes);
}

static const struct settled *find_settled(const struct download *download, uint32_t index) {
    for (int i = 0; download->settled != NULL && i < FETCH_SETTLED_MAX; i++) {
        const struct settled *settled = &download->settled[i];
        if (settled->blocks > 0 && settled->index == index) {
            return settled;
        }
    }
    return NULL;
}

/* ---- Judging ---- */

static void judge(struct peer *peer, struct source *source, const struct hash *is,
                  const struct hash *wanted) {
    if (memcmp(is->b, wanted->b, HASH_BYTES) == 0) {
        fetch_trust_block(source, 1);
    } else {
        fetch_trust_wrong(peer, source, 1);
    }
}

void fetch_late_take(struct peer *peer, struct source *source, struct piece *piece,
                     const struct block *block) {
    uint32_t bit = block->index % PIECE_BLOCKS;
    const struct settled *settled = find_settled(source->download, block->index / PIECE_BLOCKS);
    const struct hash *wanted = NULL;
    struct hash hash;
    has_come(source, block->index);
    if (piece != NULL) {
        wanted = piece->known != NULL ? &piece->known[bit] : NULL;
    } else if (settled == NULL) {
        return; /* nobody can tell any more */
    } else {
        wanted = &settled->hashes[bit];
    }
    if (wanted == NULL && piece->late_count >= PIECE_BLOCKS) {
        return;
    }
    crypto_hash(peer->env->crypto, block->data, &hash);
    if (wanted != NULL) {
        judge(peer, source, &hash, wanted);
        return;
    }
    struct late_block *late = mem_new(sizeof *late);
    *late = (struct late_block){piece->late, source->serial, (uint8_t)bit, hash};
    piece->late = late;
    piece->late_count++;
}

/* The list is taken first: a ban may end in whatever else is done with pieces. */
void fetch_late_judge(struct peer *peer, struct download *download, struct piece *piece,
                      const struct hash *hashes) {
    struct late_block *late = piece->late;
    piece->late = NULL;
    piece->late_count = 0;
    while (late != NULL) {
        struct late_block *next = late->next;
        struct source *source = fetch_source_serial(download, late->serial);
        if (source != NULL && source->state != SOURCE_KNOWN) {
            judge(peer, source, &late->hash, &hashes[late->bit]);
        }
        mem_free(late);
        late = next;
    }
}

void fetch_late_forget(struct piece *piece) {
    while (piece->late != NULL) {
        struct late_block *late = piece->late;
        piece->late = late->next;
        mem_free(late);
    }
    piece->late_count = 0;
}

uint32_t fetch_late_pending(const struct piece *piece, const struct source *source) {
    uint32_t count = 0;
    for (const struct late_block *at = piece->late; at != NULL; at = at->next) {
        count += at->serial == source->serial;
    }
    return count;
}
