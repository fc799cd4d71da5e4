/* peer_files.h - makes the files that nodes of a small world share. */
#ifndef TRUNKLINE_TESTS_UNIT_PEER_FILES_H
#define TRUNKLINE_TESTS_UNIT_PEER_FILES_H

#include "tests/unit/peer_world.h"

static inline const struct world_file *world_make_file(struct world *world, uint64_t size,
                                                       const char *name) {
    assert_true(world->file_count < WORLD_FILES);
    struct world_file *file = &world->files[world->file_count++];
    const struct crypto *crypto = &world->nodes[0].identity.crypto;
    uint32_t pieces = hashtree_pieces(size);
    file->bytes = mem_new(size);
    rng_fill(&world->rng, file->bytes, size);
    file->pieces = mem_array(pieces, sizeof *file->pieces);
    file->content.size = size;
    for (uint32_t piece = 0; piece < pieces; piece++) {
        struct hash blocks[PIECE_BLOCKS];
        for (uint32_t i = 0; i < hashtree_piece_blocks(size, piece); i++) {
            uint32_t block = piece * PIECE_BLOCKS + i;
            crypto_hash(crypto,
                        (struct slice){file->bytes + (uint64_t)block * BLOCK_BYTES,
                                       hashtree_block_bytes(size, block)},
                        &blocks[i]);
        }
        hashtree_piece(crypto, size, piece, blocks, &file->pieces[piece]);
    }
    file->content.root = file->pieces[0];
    if (pieces > 1) {
        hashtree_file_root(crypto, size, file->pieces, &file->content.root);
    }
    snprintf(file->name, sizeof file->name, "%s", name);
    return file;
}

#endif
