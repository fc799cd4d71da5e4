/* fetch_hashes.c - gets the hashes of pieces, each run proven against the content id.
 *
 * One request at a time per download: first for the blocks of a piece that turned out wrong, then
 * for the next run of piece hashes, until all are known (16 KiB for every 512 MiB of the file). */
#include <string.h>

#include "common/hashtree.h"
#include "common/mem.h"
#include "peer/fetch.h"
#include "peer/state.h"

static uint32_t run_count(const struct download *download) {
    return (download->piece_count + HASHES_MAX - 1) / HASHES_MAX;
}

const struct hash *fetch_hashes_of_piece(const struct download *download, uint32_t piece) {
    if (download->piece_count == 1) {
        return &download->content.root;
    }
    bool is_known =
        download->hash_runs != NULL && bitmap_get(download->hash_runs, piece / HASHES_MAX);
    return is_known ? &download->hashes[piece] : NULL;
}

bool fetch_hashes_complete(const struct download *download) {
    return download->piece_count == 1 || download->hash_runs_known == run_count(download);
}

/* ---- Asking ---- */

static uint32_t power_of_two(uint32_t least) {
    uint32_t power = 1;
    while (power < least) {
        power *= 2;
    }
    return power;
}

/* Which blocks hashes are needed of, if any. */
static bool next_doubtful(const struct download *download, struct hash_request *request) {
    for (const struct piece *at = download->pieces; at != NULL; at = at->next) {
        if (at->is_doubtful) {
            request->layer = 0;
            request->first = at->index * PIECE_BLOCKS;
            request->count = download->piece_count == 1 ? power_of_two(at->blocks) : PIECE_BLOCKS;
            return true;
        }
    }
    return false;
}

static bool next_run(struct download *download, struct hash_request *request) {
    if (fetch_hashes_complete(download)) {
        return false;
    }
    if (download->hashes == NULL) {
        download->hashes = mem_array(download->piece_count, sizeof *download->hashes);
        download->hash_runs = mem_new(bitmap_bytes(run_count(download)));
    }
    uint32_t run = download->next / HASHES_MAX; /* where pieces are wanted next */
    while (bitmap_get(download->hash_runs, run)) {
        run = (run + 1) % run_count(download);
    }
    uint32_t whole = power_of_two(download->piece_count);
    request->layer = HASHTREE_PIECE_LAYER;
    request->first = run * HASHES_MAX;
    request->count = whole < HASHES_MAX ? whole : HASHES_MAX;
    return true;
}

/* Somebody who may know; those with all of the file first. */
static struct source *choose(const struct download *download) {
    struct source *best = NULL;
    for (struct source *at = download->sources; at != NULL; at = at->next) {
        bool may_know = (at->state == SOURCE_ACTIVE || at->state == SOURCE_QUEUED) &&
                        !at->has_no_hashes && !at->transfer->link->closing;
        if (may_know && (best == NULL || (best->bitmap != NULL && at->bitmap == NULL))) {
            best = at;
        }
    }
    return best;
}

/* Nobody can prove blocks: let whole pieces show who lies, each from one source. */
static void give_up_doubts(struct download *download) {
    for (struct piece *at = download->pieces; at != NULL; at = at->next) {
        if (at->is_doubtful) {
            fetch_piece_again(download, at);
        }
    }
}

void fetch_hashes_ask(struct peer *peer, struct download *download) {
    struct hash_request *request = &download->hash_request;
    uint64_t now_us = peer->links.mono_us;
    if (request->source != NULL) {
        if (now_us - request->asked_us < BLOCK_TIMEOUT_MS * 1000ull) {
            return;
        }
        request->source->has_no_hashes = true; /* or none for us */
        request->source = NULL;
    }
    if (download->state != DOWNLOAD_FETCHING || request->again_us > now_us ||
        (!next_doubtful(download, request) && !next_run(download, request))) {
        return;
    }
    struct source *source = choose(download);
    if (source == NULL) {
        give_up_doubts(download);
        return;
    }
    request->source = source;
    request->asked_us = now_us;
    struct hashes_request message = {.handle = source->handle,
                                     .layer = (uint8_t)request->layer,
                                     .first = request->first,
                                     .count = (uint16_t)request->count};
    struct buf payload = {0};
    wire_hashes_request_encode(&payload, &message);
    peer_send(source->transfer->link, MSG_HASHES_REQUEST, &payload);
}

void fetch_hashes_forget(struct source *source) {
    if (source->download->hash_request.source == source) {
        source->download->hash_request.source = NULL;
    }
}

bool fetch_hashes_refused(struct peer *peer, struct source *source, const struct reject *reject) {
    struct hash_request *request = &source->download->hash_request;
    if (request->source != source || reject->count != request->count ||
        reject->first != request->first) {
        return false;
    }
    if (reject->reason == REJECT_BUSY) {
        request->again_us = peer_after_ms(peer, FETCH_TICK_MS);
    } else {
        source->has_no_hashes = true;
    }
    request->source = NULL;
    return true;
}

/* ---- Answers ---- */

static bool answers(const struct hash_request *request, const struct source *source,
                    const struct hashes *hashes) {
    return request->source == source && hashes->layer == request->layer &&
           hashes->first == request->first && hashes->count == request->count;
}

static void take_pieces(struct download *download, const struct hashes *hashes) {
    uint32_t left = download->piece_count - hashes->first;
    uint32_t count = hashes->count < left ? hashes->count : left;
    memcpy(download->hashes[hashes->first].b, hashes->hashes.data, (size_t)count * HASH_BYTES);
    bitmap_set(download->hash_runs, hashes->first / HASHES_MAX);
    download->hash_runs_known++;
}

static void take_blocks(struct peer *peer, struct download *download, const struct hashes *hashes) {
    struct piece *piece = fetch_piece_find(download, hashes->first / PIECE_BLOCKS);
    if (piece == NULL || !piece->is_doubtful) {
        return;
    }
    uint64_t right = 0;
    for (uint32_t i = 0; i < piece->blocks; i++) {
        const uint8_t *wanted = hashes->hashes.data + (size_t)i * HASH_BYTES;
        if (memcmp(piece->hashes[i].b, wanted, HASH_BYTES) == 0) {
            right |= 1ULL << i;
        }
    }
    fetch_piece_settle(peer, download, piece, right);
}

static enum err verify(const struct peer *peer, const struct download *download,
                       const struct hashes *hashes) {
    struct hash copy[HASHES_MAX];
    struct hash_run run = {.layer = hashes->layer, .first = hashes->first};
    memcpy(copy, hashes->hashes.data, hashes->hashes.len);
    run.count = hashes->count;
    run.hashes = copy;
    run.proof_count = hashes->proof_count;
    memcpy(run.proof, hashes->proof.data, hashes->proof.len);
    return hashtree_verify(peer->env->crypto, &download->content, &run);
}

enum err fetch_take_hashes(struct peer *peer, struct link *link, struct slice payload) {
    struct hashes hashes;
    enum err err = wire_hashes_decode(payload, &hashes);
    struct source *source = err == OK ? fetch_source_find(link->owner, hashes.handle) : NULL;
    if (source == NULL || !answers(&source->download->hash_request, source, &hashes)) {
        return err; /* too late, or never asked */
    }
    struct download *download = source->download;
    if (verify(peer, download, &hashes) != OK) {
        log_warn(peer->env->log, "fetch.wrong_hashes link=%u", link->number);
        fetch_source_ban(peer, source);
    } else {
        download->hash_request.source = NULL;
        source->heard_us = peer->links.mono_us;
        if (hashes.layer == 0) {
            take_blocks(peer, download, &hashes);
        } else {
            take_pieces(download, &hashes);
        }
    }
    fetch_hashes_ask(peer, download);
    fetch_pieces_fill(peer, download);
    return OK;
}
