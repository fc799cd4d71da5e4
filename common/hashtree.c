/* hashtree.c - roots and proofs of the SHA-256 tree of BEP 52, in memory that does not grow. */
#include "common/hashtree.h"

#include <string.h>

#include "common/check.h"

/* ---- Shape ---- */

static uint64_t divide_up(uint64_t number, uint64_t by) {
    return number / by + (number % by != 0 ? 1 : 0);
}

/* Layers above `count` leaves: log2 of count rounded up to a power of two. */
static uint32_t layers_above(uint64_t count) {
    uint32_t layers = 0;
    while (1ULL << layers < count) {
        layers++;
    }
    return layers;
}

uint32_t hashtree_blocks(uint64_t size) {
    return (uint32_t)divide_up(size, BLOCK_BYTES);
}

uint32_t hashtree_pieces(uint64_t size) {
    return (uint32_t)divide_up(size, PIECE_BYTES);
}

uint32_t hashtree_height(uint64_t size) {
    return layers_above(hashtree_blocks(size));
}

uint32_t hashtree_piece_blocks(uint64_t size, uint32_t piece) {
    uint32_t left = hashtree_blocks(size) - piece * PIECE_BLOCKS;
    return left < PIECE_BLOCKS ? left : PIECE_BLOCKS;
}

uint32_t hashtree_block_bytes(uint64_t size, uint32_t block) {
    uint64_t left = size - (uint64_t)block * BLOCK_BYTES;
    return left < BLOCK_BYTES ? (uint32_t)left : BLOCK_BYTES;
}

/* ---- Roots ---- */

static void join(const struct crypto *crypto, const struct hash *left, const struct hash *right,
                 struct hash *out) {
    struct hash joined;
    crypto->sha256(crypto->context, (struct slice){left->b, HASH_BYTES},
                   (struct slice){right->b, HASH_BYTES}, &joined);
    *out = joined;
}

void hashtree_pad(const struct crypto *crypto, uint32_t layer, struct hash *out) {
    *out = (struct hash){0};
    for (uint32_t i = 0; i < layer; i++) {
        join(crypto, out, out, out);
    }
}

/* Whole subtrees wait in `whole` like the bits of a binary counter. */
void hashtree_grow(const struct crypto *crypto, struct hashtree_growth *growth,
                   const struct hash *hash) {
    CHECK(growth->count < UINT32_MAX);
    struct hash node = *hash;
    uint32_t level = 0;
    for (; (growth->count >> level & 1) != 0; level++) {
        join(crypto, &growth->whole[level], &node, &node);
    }
    growth->whole[level] = node;
    growth->count++;
}

/* The root `levels` layers above the hashes (1 to 2^levels) of a layer, the rest padded. */
static void close_tree(const struct crypto *crypto, const struct hashtree_growth *growth,
                       uint32_t layer, uint32_t levels, struct hash *out) {
    CHECK(growth->count > 0 && levels <= PROOF_MAX && growth->count <= 1ULL << levels);
    if (growth->count == 1ULL << levels) {
        *out = growth->whole[levels];
        return;
    }
    struct hash pad;
    hashtree_pad(crypto, layer, &pad);
    struct hash right = pad; /* what stands right of the whole subtrees, at `level` */
    for (uint32_t level = 0; level < levels; level++) {
        bool is_whole = (growth->count >> level & 1) != 0;
        join(crypto, is_whole ? &growth->whole[level] : &right, is_whole ? &right : &pad, &right);
        join(crypto, &pad, &pad, &pad);
    }
    *out = right;
}

static void subtree(const struct crypto *crypto, struct slice hashes, uint32_t layer,
                    uint32_t levels, struct hash *out) {
    struct hashtree_growth growth;
    growth.count = 0;
    for (size_t at = 0; at < hashes.len; at += HASH_BYTES) {
        struct hash hash;
        memcpy(hash.b, hashes.data + at, HASH_BYTES);
        hashtree_grow(crypto, &growth, &hash);
    }
    close_tree(crypto, &growth, layer, levels, out);
}

void hashtree_grown(const struct crypto *crypto, const struct hashtree_growth *growth,
                    uint32_t layer, struct hash *out) {
    if (growth->count == 0) {
        *out = (struct hash){0};
        return;
    }
    close_tree(crypto, growth, layer, layers_above(growth->count), out);
}

static struct slice hash_slice(const struct hash *hashes, uint64_t count) {
    return (struct slice){(const uint8_t *)hashes, count * HASH_BYTES};
}

void hashtree_root(const struct crypto *crypto, const struct hash *hashes, uint32_t count,
                   uint32_t layer, struct hash *out) {
    if (count == 0) {
        *out = (struct hash){0};
        return;
    }
    subtree(crypto, hash_slice(hashes, count), layer, layers_above(count), out);
}

/* Layers from the blocks to what a piece's hash is: the piece layer, or the root of a file of one
 * piece. */
static uint32_t piece_height(uint64_t size) {
    return hashtree_pieces(size) > 1 ? HASHTREE_PIECE_LAYER : hashtree_height(size);
}

void hashtree_piece(const struct crypto *crypto, uint64_t size, uint32_t piece,
                    const struct hash *blocks, struct hash *out) {
    uint32_t count = hashtree_piece_blocks(size, piece);
    subtree(crypto, hash_slice(blocks, count), 0, piece_height(size), out);
}

void hashtree_file_root(const struct crypto *crypto, uint64_t size, const struct hash *pieces,
                        struct hash *out) {
    hashtree_root(crypto, pieces, hashtree_pieces(size), HASHTREE_PIECE_LAYER, out);
}

/* ---- Proofs ---- */

bool hashtree_run_ok(uint64_t size, uint32_t layer, uint32_t first, uint32_t count) {
    uint32_t height = hashtree_height(size);
    if (layer > height || count == 0 || (count & (count - 1)) != 0 || first % count != 0) {
        return false;
    }
    uint64_t known = divide_up(hashtree_blocks(size), 1ULL << layer);
    return first < known && (uint64_t)first + count <= 1ULL << (height - layer);
}

/* A layer of which the first `count` hashes are known and the others are padding. */
struct layer {
    const struct hash *hashes;
    uint64_t count;
    uint32_t layer;
    uint32_t height; /* layers above it to the root that is looked for */
};

/* Append the uncles of the subtree over [first, first + 2^levels) up to the layer's root. */
static void append_uncles(const struct crypto *crypto, const struct layer *layer, uint32_t first,
                          uint32_t levels, struct hash_run *run) {
    for (; levels < layer->height; levels++) {
        uint64_t start = ((uint64_t)(first >> levels) ^ 1) << levels;
        struct hash *uncle = &run->proof[run->proof_count++];
        if (start >= layer->count) {
            hashtree_pad(crypto, layer->layer + levels, uncle);
            continue;
        }
        uint64_t known = layer->count - start;
        uint64_t wanted = 1ULL << levels;
        subtree(crypto, hash_slice(layer->hashes + start, known < wanted ? known : wanted),
                layer->layer, levels, uncle);
    }
}

void hashtree_proof(const struct crypto *crypto, uint64_t size, const struct hash *pieces,
                    struct hash_run *run) {
    CHECK(run->layer == HASHTREE_PIECE_LAYER &&
          hashtree_run_ok(size, run->layer, run->first, run->count));
    struct layer layer = {pieces, hashtree_pieces(size), HASHTREE_PIECE_LAYER,
                          hashtree_height(size) - HASHTREE_PIECE_LAYER};
    run->proof_count = 0;
    append_uncles(crypto, &layer, run->first, layers_above(run->count), run);
}

void hashtree_block_proof(const struct crypto *crypto, uint64_t size, const struct hash *blocks,
                          const struct hash *pieces, struct hash_run *run) {
    uint32_t piece = run->first / PIECE_BLOCKS;
    CHECK(run->layer == 0 && run->count <= PIECE_BLOCKS && piece < hashtree_pieces(size) &&
          hashtree_run_ok(size, 0, run->first, run->count));
    struct layer inside = {blocks, hashtree_piece_blocks(size, piece), 0, piece_height(size)};
    run->proof_count = 0;
    append_uncles(crypto, &inside, run->first % PIECE_BLOCKS, layers_above(run->count), run);
    if (hashtree_pieces(size) > 1) {
        struct layer above = {pieces, hashtree_pieces(size), HASHTREE_PIECE_LAYER,
                              hashtree_height(size) - HASHTREE_PIECE_LAYER};
        append_uncles(crypto, &above, piece, 0, run);
    }
}

enum err hashtree_verify(const struct crypto *crypto, const struct content_id *content,
                         const struct hash_run *run) {
    if (content->size == 0 || content->size > FILE_BYTES_MAX ||
        !hashtree_run_ok(content->size, run->layer, run->first, run->count)) {
        return ERR_FORMAT;
    }
    uint32_t levels = layers_above(run->count);
    if (run->proof_count != hashtree_height(content->size) - run->layer - levels) {
        return ERR_FORMAT;
    }
    struct hash node;
    subtree(crypto, hash_slice(run->hashes, run->count), run->layer, levels, &node);
    uint32_t place = run->first >> levels;
    for (uint32_t i = 0; i < run->proof_count; i++, place >>= 1) {
        bool is_right = (place & 1) != 0;
        join(crypto, is_right ? &run->proof[i] : &node, is_right ? &node : &run->proof[i], &node);
    }
    return memcmp(node.b, content->root.b, HASH_BYTES) == 0 ? OK : ERR_MISMATCH;
}
