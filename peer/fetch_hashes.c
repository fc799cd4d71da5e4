/* fetch_hashes.c - gets the hashes of pieces, each run proven against the content id.
 *
 * One request at a time per download: first for the blocks of a piece that turned out wrong, then
 * for those of pieces that newcomers have a hand in, then for the next run of piece hashes, until
 * all are known (16 KiB for every 512 MiB of the file). Whoever answers late has answered all the
 * same: what is proven does not ask who brought it. */
#include <string.h>

#include "common/hashtree.h"
#include "common/mem.h"
#include "peer/fetch.h"
#include "peer/state.h"

#define LATE_MAX 7 /* answers that did not come: 32 s of waiting */

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

/* Which piece's block hashes are needed, if any: a doubtful one's first. */
static struct piece *next_unknown(const struct download *download) {
    struct piece *next = NULL;
    for (struct piece *at = download->pieces; at != NULL; at = at->next) {
        bool is_wanted =
            at->known == NULL && (at->is_doubtful || (at->is_watched && !at->cannot_know));
        if (is_wanted && (next == NULL || (at->is_doubtful && !next->is_doubtful))) {
            next = at;
        }
    }
    return next;
}

static void want_blocks(const struct download *download, const struct piece *piece,
                        struct hash_request *request) {
    request->layer = 0;
    request->first = piece->index * PIECE_BLOCKS;
    request->count = download->piece_count == 1 ? power_of_two(piece->blocks) : PIECE_BLOCKS;
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

/* True when `a` is the better one to ask: in time so far, with all of the file, trusted, fast. */
static bool is_better(const struct source *a, const struct source *b) {
    if (a->late_hashes != b->late_hashes) {
        return a->late_hashes < b->late_hashes;
    }
    if ((a->bitmap == NULL) != (b->bitmap == NULL)) {
        return a->bitmap == NULL;
    }
    if (fetch_is_newcomer(a) != fetch_is_newcomer(b)) {
        return fetch_is_newcomer(b);
    }
    return a->bytes_per_s > b->bytes_per_s;
}

/* Somebody who may know, of a piece (NULL = of the file); *is_some says whether there is any link
 * at all to a source. */
static struct source *choose(const struct download *download, const struct piece *piece,
                             bool *is_some) {
    struct source *best = NULL;
    *is_some = false;
    for (struct source *at = download->sources; at != NULL; at = at->next) {
        bool is_there = (at->state == SOURCE_ACTIVE || at->state == SOURCE_QUEUED) &&
                        !at->transfer->link->closing;
        bool may_know =
            is_there && !at->has_no_hashes && (piece == NULL || fetch_source_has(at, piece->index));
        *is_some = *is_some || is_there;
        if (may_know && (best == NULL || is_better(at, best))) {
            best = at;
        }
    }
    return best;
}

/* Nobody can prove the blocks of a piece: let whole pieces show who lies. */
static void give_up(struct download *download, struct piece *piece) {
    piece->cannot_know = true;
    if (piece->is_doubtful) {
        fetch_piece_again(download, piece);
    }
}

/* The source did not answer in time. */
static void is_late(struct hash_request *request) {
    struct source *source = request->source;
    source->late_hashes++;
    source->has_no_hashes = source->late_hashes >= LATE_MAX; /* or none for us */
    request->source = NULL;
}

/* When another is asked. */
static uint64_t due_us(const struct download *download) {
    const struct hash_request *request = &download->hash_request;
    uint64_t wait_us = ((uint64_t)FETCH_HASHES_MS << request->source->late_hashes) * 1000;
    return request->asked_us + wait_us + 4 * request->source->rtt_us;
}

void fetch_hashes_ask(struct peer *peer, struct download *download) {
    struct hash_request *request = &download->hash_request;
    uint64_t now_us = peer->links.mono_us;
    if (request->source != NULL) {
        if (now_us < due_us(download)) {
            return;
        }
        is_late(request);
    }
    if (download->state != DOWNLOAD_FETCHING || request->again_us > now_us) {
        return;
    }
    struct piece *piece = next_unknown(download);
    if (piece != NULL) {
        want_blocks(download, piece, request);
    } else if (!next_run(download, request)) {
        return;
    }
    bool is_some = false;
    struct source *source = choose(download, piece, &is_some);
    if (source == NULL) {
        if (is_some && piece != NULL) {
            give_up(download, piece);
        }
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
    struct timer *tick = &download->tick;
    if (!timer_is_set(tick) || tick->due_us > due_us(download)) {
        timers_set(&peer->timers, tick, due_us(download));
    }
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
    return request->source != NULL && source->state >= SOURCE_ACTIVE &&
           hashes->layer == request->layer && hashes->first == request->first &&
           hashes->count == request->count;
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
    if (piece == NULL || piece->known != NULL) {
        return;
    }
    struct hash known[PIECE_BLOCKS];
    memcpy(known, hashes->hashes.data, piece->blocks * sizeof *known);
    fetch_piece_known(peer, download, piece, known);
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
