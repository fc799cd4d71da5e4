/* hashtree.h - the SHA-256 tree over 16 KiB leaves of BEP 52 ("pieces root"), and its proofs.
 *
 * Layer 0 are the hashes of the blocks (the last may be short and is not padded); missing leaves up
 * to the next power of two are zero hashes. Layer HASHTREE_PIECE_LAYER are 1 MiB pieces, the only
 * layer that is stored; a file of at most one piece has no such layer, its root is all. */
#ifndef TRUNKLINE_COMMON_HASHTREE_H
#define TRUNKLINE_COMMON_HASHTREE_H

#include "common/crypto.h"
#include "common/limits.h"

#define HASHTREE_PIECE_LAYER 6

/* Numbers that follow from a size of 1 to FILE_BYTES_MAX bytes. */
uint32_t hashtree_blocks(uint64_t size);
uint32_t hashtree_pieces(uint64_t size);
/* Layer of the root: log2 of the blocks rounded up to a power of two. */
uint32_t hashtree_height(uint64_t size);
/* Blocks of one piece: PIECE_BLOCKS but for the last. */
uint32_t hashtree_piece_blocks(uint64_t size, uint32_t piece);
/* Bytes of one block: BLOCK_BYTES but for the last. */
uint32_t hashtree_block_bytes(uint64_t size, uint32_t block);

/* The hash that stands for missing leaves at a layer. */
void hashtree_pad(const struct crypto *crypto, uint32_t layer, struct hash *out);

/* The root over `count` hashes of one layer, padded there to a power of two. count 0 gives a zero
 * hash. */
void hashtree_root(const struct crypto *crypto, const struct hash *hashes, uint32_t count,
                   uint32_t layer, struct hash *out);

/* The same over hashes that come one by one, in memory of one hash per level. All zero at first;
 * beyond 2^PROOF_MAX hashes it is our bug. */
struct hashtree_growth {
    uint32_t count;
    struct hash whole[PROOF_MAX + 1]; /* roots of whole subtrees, as the bits of `count` say */
};
void hashtree_grow(const struct crypto *crypto, struct hashtree_growth *growth,
                   const struct hash *hash);
void hashtree_grown(const struct crypto *crypto, const struct hashtree_growth *growth,
                    uint32_t layer, struct hash *out);

/* The hash of one piece from its block hashes: what stands at HASHTREE_PIECE_LAYER, or the root
 * itself when the file has one piece. */
void hashtree_piece(const struct crypto *crypto, uint64_t size, uint32_t piece,
                    const struct hash *blocks, struct hash *out);

/* The content root from all piece hashes. */
void hashtree_file_root(const struct crypto *crypto, uint64_t size, const struct hash *pieces,
                        struct hash *out);

/* A run of hashes of one layer: count is a power of two that divides first; pads included. The
 * proof are the uncles up to the root, lowest first. */
struct hash_run {
    uint32_t layer;
    uint32_t first;
    uint32_t count;
    const struct hash *hashes;
    uint32_t proof_count;
    struct hash proof[PROOF_MAX];
};

/* True for a run that lies within the tree of a file of this size and does not begin in its
 * padding. */
bool hashtree_run_ok(uint64_t size, uint32_t layer, uint32_t first, uint32_t count);

/* Set the proof of a run of whole pieces (run->first and count, at the piece layer; `hashes` is
 * not read), given all piece hashes. */
void hashtree_proof(const struct crypto *crypto, uint64_t size, const struct hash *pieces,
                    struct hash_run *run);

/* Set the proof of a run of layer 0 inside one piece, given that piece's block hashes and all
 * piece hashes (NULL when the file has one piece). */
void hashtree_block_proof(const struct crypto *crypto, uint64_t size, const struct hash *blocks,
                          const struct hash *pieces, struct hash_run *run);

/* Check a run with its proof against the root. Return ERR_FORMAT for an impossible run,
 * ERR_MISMATCH when the root does not come out. */
MUST_CHECK enum err hashtree_verify(const struct crypto *crypto, const struct content_id *content,
                                    const struct hash_run *run);

#endif
