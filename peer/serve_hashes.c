/* serve_hashes.c - proves pieces of a file from the table, and single blocks by reading a piece.
 *
 * Piece hashes (layer 6) of a shared file are known. Block hashes (layer 0) are not kept: the
 * driver reads and hashes the piece, which also shows whether the file is still the same. */
#include <string.h>

#include "common/hashtree.h"
#include "common/mem.h"
#include "peer/fetch.h"
#include "peer/serve.h"
#include "peer/state.h"

/* A piece that the driver hashes for somebody. */
struct hash_job {
    struct content_id content;
    uint32_t serial; /* of the serving; 0 = an audit */
    uint32_t link;
    struct hashes_request request; /* without TLVs */
};

/* Piece hashes of a content and the file to read it from. */
struct proof_source {
    uint64_t file;
    const struct hash *pieces; /* NULL for a single piece */
};

/* What a node may have proven of a content. */
static bool find_source(struct peer *peer, const struct node_id *id,
                        const struct content_id *content, struct proof_source *source) {
    const struct shared_file *shared = share_find_for(&peer->share, content, id);
    if (shared != NULL) {
        *source = (struct proof_source){shared->number, shared->pieces};
        return true;
    }
    struct fetch_part part;
    if (!fetch_part(peer, content, &part) || !part.hashes_known) {
        return false;
    }
    *source = (struct proof_source){part.file, part.hashes};
    return true;
}

/* What a supernode may have proven: that what everybody may know of is there. */
static bool find_audited(const struct peer *peer, const struct content_id *content,
                         struct proof_source *source) {
    const struct shared_file *shared = share_find_known(&peer->share, content);
    if (shared != NULL) {
        *source = (struct proof_source){shared->number, shared->pieces};
    }
    return shared != NULL;
}

static void refuse(struct link *link, const struct hashes_request *request,
                   enum reject_reason reason) {
    struct reject reject = {.handle = request->handle,
                            .reason = (uint8_t)reason,
                            .first = request->first,
                            .count = request->count,
                            .retry_after_ms = UPLOAD_RETRY_MS};
    serve_reject(link, &reject);
}

static void send_run(struct link *link, uint32_t handle, const struct hash_run *run) {
    struct hashes hashes = {
        .handle = handle,
        .layer = (uint8_t)run->layer,
        .first = run->first,
        .count = (uint16_t)run->count,
        .hashes = {run->hashes[0].b, (size_t)run->count * HASH_BYTES},
        .proof_count = (uint8_t)run->proof_count,
        .proof = {run->proof[0].b, (size_t)run->proof_count * HASH_BYTES},
    };
    struct buf payload = {0};
    wire_hashes_encode(&payload, &hashes);
    peer_send(link, MSG_HASHES, &payload);
}

/* Copy the run's hashes from the `known` ones of its layer, the rest padded. */
static void fill_run(const struct crypto *crypto, struct hash_run *run, struct hash *to,
                     struct slice known) {
    struct hash pad;
    hashtree_pad(crypto, run->layer, &pad);
    for (uint32_t i = 0; i < run->count; i++) {
        to[i] = pad;
        size_t at = ((size_t)run->first + i) * HASH_BYTES;
        if (at < known.len) {
            memcpy(to[i].b, known.data + at, HASH_BYTES);
        }
    }
    run->hashes = to;
}

/* A proof costs one hash per piece of the file, whatever is asked for. */
static bool may_prove(struct peer *peer, uint64_t size) {
    return ratelimit_take(&peer->serve->proofs, UPLOAD_PROOF_HASHES_PER_S * 1000ull,
                          UPLOAD_PROOF_HASHES_BURST, hashtree_pieces(size), peer->links.mono_us);
}

static void send_pieces(struct peer *peer, struct link *link, const struct serving *serving,
                        const struct hashes_request *request) {
    struct proof_source source;
    uint64_t size = serving->content.size;
    if (!find_source(peer, &link->id, &serving->content, &source) || source.pieces == NULL) {
        refuse(link, request, REJECT_MISSING);
        return;
    }
    if (!may_prove(peer, size)) {
        refuse(link, request, REJECT_BUSY);
        return;
    }
    struct hash hashes[HASHES_MAX];
    struct hash_run run = {.layer = request->layer, .first = request->first};
    run.count = request->count;
    struct slice known = {source.pieces[0].b, (size_t)hashtree_pieces(size) * HASH_BYTES};
    fill_run(peer->env->crypto, &run, hashes, known);
    hashtree_proof(peer->env->crypto, size, source.pieces, &run);
    send_run(link, request->handle, &run);
}

static void read_piece(struct peer *peer, const struct hash_job *wanted, uint64_t file) {
    struct hash_job *job = mem_copy(wanted, sizeof *wanted);
    uint32_t piece = job->request.first / PIECE_BLOCKS;
    job->request.tlvs = (struct slice){0};
    uint64_t token = ++peer->serve->last_job;
    map_put(&peer->serve->hash_jobs, &token, job);
    struct action *action = outbox_add(peer->links.out, ACTION_FILE_HASH);
    action->file = file;
    action->token = token;
    action->offset = (uint64_t)piece * PIECE_BLOCKS;
    action->len = hashtree_piece_blocks(job->content.size, piece);
}

static void prove_blocks(struct peer *peer, struct link *link, const struct serving *serving,
                         const struct hashes_request *request) {
    struct transfer *transfer = link->owner;
    struct proof_source source;
    if (!find_source(peer, &link->id, &serving->content, &source)) {
        refuse(link, request, REJECT_MISSING);
        return;
    }
    if (transfer->hash_jobs >= UPLOAD_HASH_JOBS_MAX || !may_prove(peer, serving->content.size)) {
        refuse(link, request, REJECT_BUSY);
        return;
    }
    transfer->hash_jobs++;
    struct hash_job job = {serving->content, serving->serial, link->number, *request};
    read_piece(peer, &job, source.file);
}

void serve_audit_hashes(struct peer *peer, struct link *link, const struct content_id *content,
                        const struct hashes_request *request) {
    struct proof_source source;
    if (!find_audited(peer, content, &source)) {
        refuse(link, request, REJECT_NOT_FOUND);
        return;
    }
    (void)serve_of(peer);
    struct hash_job job = {*content, 0, link->number, *request};
    read_piece(peer, &job, source.file);
}

enum err serve_take_hashes_request(struct peer *peer, struct link *link, struct slice payload) {
    struct hashes_request request;
    enum err err = wire_hashes_request_decode(payload, &request);
    struct serving *serving = err == OK ? serve_find(link->owner, request.handle) : NULL;
    if (serving == NULL) {
        return err;
    }
    uint64_t size = serving->content.size;
    bool is_in_piece = request.layer == 0 && request.count <= PIECE_BLOCKS;
    bool is_pieces = request.layer == HASHTREE_PIECE_LAYER && hashtree_pieces(size) > 1;
    if (!hashtree_run_ok(size, request.layer, request.first, request.count)) {
        return ERR_LIMIT;
    }
    if (is_pieces) {
        send_pieces(peer, link, serving, &request);
    } else if (is_in_piece) {
        prove_blocks(peer, link, serving, &request);
    } else {
        refuse(link, &request, REJECT_NOT_FOUND);
    }
    return OK;
}

/* Send what the driver hashed, if it still is what we promised. */
static void send_blocks(struct peer *peer, struct link *link, const struct hash_job *job,
                        struct slice hashes) {
    const struct crypto *crypto = peer->env->crypto;
    uint64_t size = job->content.size;
    uint32_t piece = job->request.first / PIECE_BLOCKS;
    uint32_t count = hashtree_piece_blocks(size, piece);
    struct proof_source source;
    bool is_there = job->serial == 0 ? find_audited(peer, &job->content, &source)
                                     : find_source(peer, &link->id, &job->content, &source);
    if (!is_there || hashes.len != count * HASH_BYTES) {
        refuse(link, &job->request, REJECT_MISSING);
        return;
    }
    struct hash blocks[PIECE_BLOCKS];
    memcpy(blocks, hashes.data, hashes.len);
    struct hash found;
    hashtree_piece(crypto, size, piece, blocks, &found);
    const struct hash *wanted = source.pieces != NULL ? &source.pieces[piece] : &job->content.root;
    if (memcmp(found.b, wanted->b, sizeof found.b) != 0) {
        refuse(link, &job->request, REJECT_CHANGED);
        return;
    }
    struct hash run_hashes[PIECE_BLOCKS];
    struct hash_run run = {.first = job->request.first % PIECE_BLOCKS};
    run.count = job->request.count;
    fill_run(crypto, &run, run_hashes, hashes);
    run.first = job->request.first;
    hashtree_block_proof(crypto, size, blocks, source.pieces, &run);
    send_run(link, job->request.handle, &run);
}

void serve_hashed(struct peer *peer, const struct node_event *event) {
    struct hash_job *job = NULL;
    if (peer->serve != NULL) {
        job = map_remove(&peer->serve->hash_jobs, &event->file.token);
    }
    if (job == NULL) {
        return;
    }
    struct link *link = map_get(&peer->links.by_number, &job->link);
    bool is_audit = job->serial == 0;
    bool is_wanted = link != NULL && !link->closing &&
                     (is_audit || map_get(&peer->serve->servings, &job->serial) != NULL);
    if (!is_audit && link != NULL && link->owner != NULL) {
        ((struct transfer *)link->owner)->hash_jobs--;
    }
    if (is_wanted && event->kind == NODE_FILE_HASHED) {
        send_blocks(peer, link, job, event->file.hashes);
    } else if (is_wanted) {
        refuse(link, &job->request, serve_reason(event->file.reason));
    }
    mem_free(job);
}

void serve_hashes_free(struct peer *peer) {
    uint32_t cursor = 0;
    for (void *job; (job = map_next(&peer->serve->hash_jobs, &cursor, NULL)) != NULL;) {
        mem_free(job);
    }
    map_free(&peer->serve->hash_jobs);
}
