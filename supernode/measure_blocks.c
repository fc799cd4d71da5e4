/* measure_blocks.c - measures a candidate by blocks of the files it shares.
 *
 * It offers files; pieces of them are drawn, and proven before the slot begins: from then on every
 * block can be verified as it comes. When that cannot be had of as many bytes as are measured, the
 * generated stream is asked for, as of everybody who shares nothing. BLOCK is never deflated, so
 * that its bytes have crossed the line. */
#include <string.h>

#include "common/hashtree.h"
#include "common/mem.h"
#include "common/wire_measure.h"
#include "supernode/measure.h"

#define DRAWS_MAX 64 /* of pieces; a small library has too few for that */

struct run {
    uint8_t file;
    uint32_t first;
    uint8_t count; /* blocks that are asked for */
    bool is_proven;
    uint64_t came; /* bit n: block first + n */
    struct hash hashes[PIECE_BLOCKS];
};

struct blocks {
    struct measure_files files;
    uint8_t count;
    struct run *runs[MEASURE_RUNS_MAX];
};

void blocks_free(struct stream *stream) {
    for (uint8_t i = 0; stream->blocks != NULL && i < stream->blocks->count; i++) {
        mem_free(stream->blocks->runs[i]);
    }
    mem_free(stream->blocks);
    stream->blocks = NULL;
}

static struct run *run_of(const struct blocks *blocks, uint32_t file, uint32_t block) {
    for (uint8_t i = 0; i < blocks->count; i++) {
        struct run *run = blocks->runs[i];
        if (run->file == file && run->first / PIECE_BLOCKS == block / PIECE_BLOCKS) {
            return run;
        }
    }
    return NULL;
}

/* ---- What is asked for ---- */

static uint32_t run_bytes(const struct blocks *blocks, const struct run *run) {
    uint64_t size = blocks->files.files[run->file].size;
    uint32_t bytes = 0;
    for (uint8_t i = 0; i < run->count; i++) {
        bytes += hashtree_block_bytes(size, run->first + i);
    }
    return bytes;
}

/* Draw pieces that come to `wanted` bytes; false when there are too few. */
static bool draw_runs(struct supernode *supernode, struct blocks *blocks, uint32_t wanted) {
    uint32_t covered = 0;
    for (int i = 0; i < DRAWS_MAX && covered < wanted && blocks->count < MEASURE_RUNS_MAX; i++) {
        uint8_t file = (uint8_t)rng_below(&supernode->rng, blocks->files.count);
        uint64_t size = blocks->files.files[file].size;
        uint32_t piece = (uint32_t)rng_below(&supernode->rng, hashtree_pieces(size));
        if (run_of(blocks, file, piece * PIECE_BLOCKS) != NULL) {
            continue;
        }
        struct run *run = mem_new(sizeof *run);
        uint32_t left = (wanted - covered + BLOCK_BYTES - 1) / BLOCK_BYTES;
        uint32_t there = hashtree_piece_blocks(size, piece);
        *run = (struct run){.file = file, .first = piece * PIECE_BLOCKS};
        run->count = (uint8_t)(left < there ? left : there);
        blocks->runs[blocks->count++] = run;
        covered += run_bytes(blocks, run);
    }
    return covered >= wanted;
}

/* The run of the tree that proves all blocks of a piece. */
static uint16_t proof_count(uint64_t size, uint32_t first) {
    uint32_t there = hashtree_piece_blocks(size, first / PIECE_BLOCKS);
    uint16_t count = 1;
    bool is_only_piece = hashtree_pieces(size) == 1;
    while (count < (is_only_piece ? there : PIECE_BLOCKS)) {
        count *= 2;
    }
    return count;
}

static void ask_proofs(struct link *link, struct blocks *blocks) {
    for (uint8_t i = 0; i < blocks->count; i++) {
        struct run *run = blocks->runs[i];
        const struct content_id *content = &blocks->files.files[run->file];
        if (hashtree_blocks(content->size) == 1) { /* its hash is the root */
            run->hashes[0] = content->root;
            run->is_proven = true;
            continue;
        }
        struct hashes_request request = {.handle = run->file,
                                         .first = run->first,
                                         .count = proof_count(content->size, run->first)};
        struct buf payload = {0};
        wire_hashes_request_encode(&payload, &request);
        supernode_send(link, MSG_HASHES_REQUEST, &payload);
    }
}

enum err measure_take_files(struct supernode *supernode, struct link *link, struct slice payload) {
    struct stream *stream = link->owner;
    struct measure_files files;
    enum err err = wire_measure_files_decode(payload, &files);
    if (err != OK || stream == NULL || stream->blocks != NULL || measure_is_counting(supernode)) {
        return err;
    }
    stream->blocks = mem_new(sizeof *stream->blocks);
    stream->blocks->files = files;
    stream->blocks->files.tlvs = (struct slice){0};
    if (draw_runs(supernode, stream->blocks, supernode->env->network->promotion.measure_bytes)) {
        ask_proofs(link, stream->blocks);
    } else {
        blocks_free(stream);
    }
    return OK;
}

bool blocks_ask(struct supernode *supernode, const struct stream *stream, uint16_t ms) {
    const struct blocks *blocks = stream->blocks;
    struct measure_blocks ask = {.bytes = supernode->env->network->promotion.measure_bytes,
                                 .ms = ms};
    bool is_proven = blocks != NULL;
    for (uint8_t i = 0; is_proven && i < blocks->count; i++) {
        const struct run *run = blocks->runs[i];
        is_proven = run->is_proven;
        ask.runs[ask.count++] = (struct measure_run){run->file, run->first, run->count};
    }
    if (is_proven) {
        struct buf payload = {0};
        wire_measure_blocks_encode(&payload, &ask);
        supernode_send(stream->link, MSG_MEASURE_BLOCKS, &payload);
    }
    return is_proven;
}

/* ---- What comes ---- */

enum err measure_take_hashes(struct supernode *supernode, struct link *link, struct slice payload) {
    const struct stream *stream = link->owner;
    struct hashes hashes;
    enum err err = wire_hashes_decode(payload, &hashes);
    struct run *run = err == OK && stream != NULL && stream->blocks != NULL
                          ? run_of(stream->blocks, hashes.handle, hashes.first)
                          : NULL;
    if (run == NULL || run->is_proven) {
        return err; /* one that is not wanted any more */
    }
    const struct content_id *content = &stream->blocks->files.files[run->file];
    if (hashes.layer != 0 || hashes.first != run->first ||
        hashes.count != proof_count(content->size, run->first)) {
        return ERR_UNEXPECTED;
    }
    struct hash_run proof = {.first = hashes.first, .count = hashes.count};
    memcpy(run->hashes, hashes.hashes.data, hashes.hashes.len);
    proof.hashes = run->hashes;
    proof.proof_count = hashes.proof_count;
    memcpy(proof.proof, hashes.proof.data, hashes.proof.len);
    err = hashtree_verify(supernode->env->crypto, content, &proof);
    run->is_proven = err == OK;
    return err;
}

/* Blocks that it does not have cannot be asked for. Once they are, what is missing does not count.
 */
enum err measure_take_reject(struct supernode *supernode, struct link *link, struct slice payload) {
    struct stream *stream = link->owner;
    struct reject reject;
    enum err err = wire_reject_decode(payload, &reject);
    if (err == OK && stream != NULL && !measure_is_counting(supernode)) {
        blocks_free(stream);
    }
    return err;
}

enum err measure_take_block(struct supernode *supernode, struct link *link, struct slice payload) {
    struct stream *stream = link->owner;
    struct block block;
    enum err err = wire_block_decode(payload, &block);
    if (err != OK || stream == NULL || !measure_is_counting(supernode)) {
        return err;
    }
    struct run *run =
        stream->blocks != NULL ? run_of(stream->blocks, block.handle, block.index) : NULL;
    uint32_t place = block.index % PIECE_BLOCKS;
    bool is_asked =
        run != NULL && run->is_proven && place < run->count && (run->came >> place & 1) == 0 &&
        block.data.len ==
            hashtree_block_bytes(stream->blocks->files.files[run->file].size, block.index);
    if (!is_asked) {
        return ERR_UNEXPECTED;
    }
    struct hash found;
    crypto_hash(supernode->env->crypto, block.data, &found);
    if (memcmp(found.b, run->hashes[place].b, sizeof found.b) != 0) {
        return ERR_MISMATCH;
    }
    run->came |= 1ull << place;
    measure_count(supernode, stream, (uint32_t)block.data.len);
    supernode->counts.measured_blocks += block.data.len;
    return OK;
}
