/* measured_blocks.c - a candidate is measured by blocks of the files that it shares with everybody.
 *
 * They take no upload slot and no part of the upload rate, but count against what the user gives a
 * supernode, as all that is measured. */
#include "common/hashtree.h"
#include "common/mem.h"
#include "peer/measured_parts.h"
#include "peer/serve.h"
#include "peer/state.h"

#define LOOK_MAX 10000 /* files that are looked at for an offer */
#define FLIGHT_MAX 8   /* blocks of one link with the driver */

/* ---- The offer ---- */

/* Files of a piece or more, as long as there are any; some place in a large library to begin at. */
static void gather(struct peer *peer, struct measure_files *files, uint64_t least) {
    uint32_t count = share_count(&peer->share);
    uint32_t start = count > LOOK_MAX ? (uint32_t)rng_below(&peer->rng, count - LOOK_MAX) : 0;
    uint32_t cursor = start;
    const struct shared_file *file;
    while (files->count < MEASURE_FILES_MAX && cursor < start + LOOK_MAX &&
           (file = share_next(&peer->share, &cursor)) != NULL) {
        bool is_large = file->content.size >= PIECE_BYTES;
        if (file->group == 0 && is_large == (least > 0)) {
            files->files[files->count++] = file->content;
        }
    }
}

void measured_offer(struct peer *peer, struct stream *stream) {
    struct measure_files files = {0};
    gather(peer, &files, PIECE_BYTES);
    gather(peer, &files, 0);
    if (files.count == 0) {
        return;
    }
    stream->offer = mem_new(sizeof *stream->offer);
    stream->offer->files = files;
    struct buf payload = {0};
    wire_measure_files_encode(&payload, &files);
    peer_send(stream->link, MSG_MEASURE_FILES, &payload);
}

/* The file that a handle stands for, if it is still there; else NULL. */
static const struct shared_file *file_of(const struct peer *peer, const struct offer *offer,
                                         uint32_t handle) {
    const struct shared_file *file = NULL;
    if (offer != NULL && handle < offer->files.count) {
        file = share_find_known(&peer->share, &offer->files.files[handle]);
    }
    return file != NULL && file->group == 0 ? file : NULL;
}

static void reject(struct link *link, uint32_t handle, enum reject_reason reason) {
    struct reject reject = {
        .handle = handle, .reason = (uint8_t)reason, .retry_after_ms = UPLOAD_RETRY_MS};
    serve_reject(link, &reject);
}

/* ---- Proofs, before the slot ---- */

enum err measured_take_hashes_request(struct peer *peer, struct link *link, struct slice payload) {
    struct stream *stream = link->owner;
    struct offer *offer = stream->offer;
    struct hashes_request request;
    enum err err = wire_hashes_request_decode(payload, &request);
    if (err != OK) {
        return err;
    }
    const struct shared_file *file = file_of(peer, offer, request.handle);
    if (file == NULL) {
        reject(link, request.handle, REJECT_NOT_FOUND);
        return OK;
    }
    if (request.layer != 0 || request.count > PIECE_BLOCKS ||
        !hashtree_run_ok(file->content.size, 0, request.first, request.count)) {
        return ERR_LIMIT;
    }
    if (offer->proofs >= MEASURE_RUNS_MAX || /* each reads a piece */
        !measured_may_prove(peer, stream)) {
        reject(link, request.handle, REJECT_BUSY);
        return OK;
    }
    offer->proofs++;
    serve_audit_hashes(peer, link, &file->content, &request);
    return OK;
}

/* ---- Blocks, in the slot ---- */

enum err measured_take_blocks(struct peer *peer, struct link *link, struct slice payload) {
    struct stream *stream = link->owner;
    struct measure_blocks blocks;
    enum err err = wire_measure_blocks_decode(payload, &blocks);
    if (err != OK || stream->offer == NULL) {
        return err;
    }
    for (uint8_t i = 0; i < blocks.count; i++) {
        const struct measure_run *run = &blocks.runs[i];
        if (run->file >= stream->offer->files.count ||
            (uint64_t)run->first + run->count >
                hashtree_blocks(stream->offer->files.files[run->file].size)) {
            return ERR_LIMIT;
        }
    }
    if (stream->is_sent || peer->links.mono_us >= stream->until_us) {
        stream->offer->asked = blocks;
        stream->offer->asked.tlvs = (struct slice){0};
        stream->offer->run = stream->offer->place = 0;
        stream->is_blocks = true;
        (void)measured_begin(peer, stream, blocks.bytes, blocks.ms);
        return OK;
    }
    return ERR_UNEXPECTED; /* one at a time */
}

bool measured_has_block(const struct stream *stream) {
    const struct offer *offer = stream->offer;
    return offer->run < offer->asked.count && offer->flight < FLIGHT_MAX;
}

uint32_t measured_block_bytes(const struct stream *stream) {
    const struct offer *offer = stream->offer;
    const struct measure_run *run = &offer->asked.runs[offer->run];
    return hashtree_block_bytes(offer->files.files[run->file].size, run->first + offer->place);
}

void measured_send_block(struct peer *peer, struct stream *stream) {
    struct offer *offer = stream->offer;
    const struct measure_run *run = &offer->asked.runs[offer->run];
    const struct shared_file *file = file_of(peer, offer, run->file);
    uint32_t index = run->first + offer->place;
    if (file != NULL) {
        struct link_block block = {.token = run->file,
                                   .handle = run->file,
                                   .index = index,
                                   .file = file->number,
                                   .offset = (uint64_t)index * BLOCK_BYTES,
                                   .len = measured_block_bytes(stream)};
        links_send_block(stream->link, &block);
        offer->flight++;
    }
    bool is_run_over = ++offer->place == run->count;
    offer->place = is_run_over ? 0 : offer->place;
    offer->run += is_run_over;
}

void measured_block_done(struct peer *peer, struct link *link) {
    struct stream *stream = link->owner;
    if (stream != NULL && stream->offer != NULL && stream->offer->flight > 0) {
        stream->offer->flight--;
        measured_flow(peer, link);
    }
}
