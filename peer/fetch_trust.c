/* fetch_trust.c - what a source is believed: wrong blocks count against it until it is banned.
 *
 * A block proven wrong costs two points, a right piece gives one back; -7 or the fourth wrong block
 * is a ban (the rule of libtorrent's trust points, with no credit above zero). One who sent a whole
 * wrong piece alone is banned at once. A newcomer is on parole: it owes one block at first, and
 * one more for every FETCH_PAROLE_SHARE that prove right, in pieces whose block hashes are asked
 * for. A wrong block sends it back to the beginning, and from then on it owes no more blocks than
 * it may still have wrong: so the fourth is the last. */
#include <string.h>

#include "common/mem.h"
#include "peer/fetch.h"
#include "peer/state.h"

bool fetch_is_banned(const struct peer *peer, const struct node_id *id) {
    const struct trust *trust = map_get(&peer->fetch->trusts, id->b);
    return trust != NULL && trust->until_us > peer->links.mono_us;
}

static void forget_oldest(struct fetch *fetch) {
    uint32_t cursor = 0;
    const void *key = NULL;
    struct trust *oldest = map_next(&fetch->trusts, &cursor, &key);
    struct node_id id;
    memcpy(id.b, key, sizeof id.b);
    map_remove(&fetch->trusts, id.b);
    mem_free(oldest);
}

static struct trust *trust_of(struct peer *peer, const struct node_id *id) {
    struct fetch *fetch = peer->fetch;
    struct trust *trust = map_get(&fetch->trusts, id->b);
    if (trust == NULL) {
        if (fetch->trusts.count >= FETCH_BANS_MAX) {
            forget_oldest(fetch);
        }
        trust = mem_new(sizeof *trust);
        trust->next_ms = FETCH_BAN_MS_MIN;
        map_put(&fetch->trusts, id->b, trust);
    }
    return trust;
}

void fetch_source_ban(struct peer *peer, struct source *source) {
    struct node_id id = source->holder.id;
    struct trust *trust = trust_of(peer, &id);
    uint64_t wait_ms = trust->next_ms;
    char text[NODE_ID_SHORT_BYTES];
    node_id_short(text, &id);
    log_warn(peer->env->log, "fetch.banned source=%s ms=%llu", text, (unsigned long long)wait_ms);
    trust->until_us = peer_after_ms(peer, wait_ms);
    trust->next_ms = wait_ms * 4 < FETCH_BAN_MS_MAX ? wait_ms * 4 : FETCH_BAN_MS_MAX;
    trust->score = 0;
    trust->wrong = 0;
    source->wrong_blocks = 0;
    struct transfer *transfer = source->transfer;
    source->failures++;
    source->right_blocks = 0;
    fetch_source_release(peer, source, wait_ms);
    if (transfer != NULL && !transfer->link->closing) {
        transfer_close(peer, transfer, GOAWAY_PROTOCOL, ERR_MISMATCH);
    }
}

void fetch_trust_wrong(struct peer *peer, struct source *source, uint32_t blocks) {
    if (fetch_is_banned(peer, &source->holder.id)) {
        return; /* it came before the ban */
    }
    struct trust *trust = trust_of(peer, &source->holder.id);
    trust->wrong += blocks;
    trust->score -= (int32_t)(FETCH_TRUST_WRONG * blocks);
    source->right_blocks = 0;
    source->wrong_blocks = trust->wrong;
    log_info(peer->env->log, "fetch.wrong_blocks source=%u count=%u score=%d", source->serial,
             blocks, (int)trust->score);
    if (trust->score <= FETCH_TRUST_BAN || trust->wrong >= FETCH_WRONG_BLOCKS_MAX) {
        fetch_source_ban(peer, source);
    }
}

void fetch_trust_block(struct source *source, uint32_t blocks) {
    uint32_t sum = source->right_blocks + blocks;
    source->right_blocks = sum < FETCH_FORGIVE_BLOCKS ? sum : FETCH_FORGIVE_BLOCKS;
}

void fetch_trust_piece(struct peer *peer, struct source *source) {
    struct trust *trust = map_get(&peer->fetch->trusts, source->holder.id.b);
    if (trust == NULL) {
        return;
    }
    trust->score += trust->score < 0;
    if (source->right_blocks >= FETCH_FORGIVE_BLOCKS) {
        trust->wrong = 0;
        source->wrong_blocks = 0;
    }
}

void fetch_trust_recall(const struct peer *peer, struct source *source) {
    const struct trust *trust = map_get(&peer->fetch->trusts, source->holder.id.b);
    source->wrong_blocks = trust != NULL ? trust->wrong : 0;
}

bool fetch_is_newcomer(const struct source *source) {
    return source->right_blocks < FETCH_PAROLE_BLOCKS || source->wrong_blocks > 0;
}

uint32_t fetch_trust_window(const struct source *source) {
    if (!fetch_is_newcomer(source)) {
        return FETCH_PIPELINE * PIECE_BLOCKS;
    }
    uint32_t window = 1 + source->right_blocks / FETCH_PAROLE_SHARE;
    uint32_t most = FETCH_PIPELINE * PIECE_BLOCKS;
    if (source->wrong_blocks > 0) { /* four are a ban, so this is at least one */
        most = FETCH_WRONG_BLOCKS_MAX - source->wrong_blocks;
    }
    return window < most ? window : most;
}
