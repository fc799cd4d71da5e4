/* treehash.c - the hash tree of a file on disk, read once from front to back by a worker. */
#include "common/hashtree.h"
#include "common/mem.h"
#include "src/host/crypto.h"
#include "src/host/files.h"

static void hash_blocks(const struct crypto *crypto, const uint8_t *bytes, size_t len,
                        struct hash *hashes) {
    for (size_t at = 0; at < len; at += BLOCK_BYTES) {
        size_t part = len - at < BLOCK_BYTES ? len - at : BLOCK_BYTES;
        crypto_hash(crypto, (struct slice){bytes + at, part}, &hashes[at / BLOCK_BYTES]);
    }
}

enum err tree_of_file(int fd, uint64_t size, const struct workers *workers,
                      struct content_id *content, struct hash **pieces) {
    uint32_t count = hashtree_pieces(size);
    struct hash *roots = mem_array(count, sizeof *roots);
    uint8_t *bytes = mem_new(size < PIECE_BYTES ? (size_t)size : PIECE_BYTES);
    struct crypto *crypto = crypto_make(NULL);
    enum err err = OK;
    for (uint32_t piece = 0; piece < count && err == OK; piece++) {
        uint64_t offset = (uint64_t)piece * PIECE_BYTES;
        size_t len = size - offset < PIECE_BYTES ? (size_t)(size - offset) : PIECE_BYTES;
        err = workers_stopping(workers) ? ERR_SHUTDOWN : read_exactly(fd, bytes, len, offset);
        if (err == OK) {
            struct hash blocks[PIECE_BLOCKS];
            hash_blocks(crypto, bytes, len, blocks);
            hashtree_piece(crypto, size, piece, blocks, &roots[piece]);
        }
    }
    if (err == OK) {
        content->size = size;
        hashtree_file_root(crypto, size, roots, &content->root);
    }
    crypto_delete(crypto);
    mem_free(bytes);
    *pieces = NULL;
    if (err == OK && count > 1) {
        *pieces = roots;
    } else {
        mem_free(roots);
    }
    return err;
}

enum err tree_of_blocks(int fd, uint64_t size, uint32_t first, uint32_t count,
                        struct hash *hashes) {
    uint8_t *bytes = mem_new(PIECE_BYTES);
    struct crypto *crypto = crypto_make(NULL);
    enum err err = OK;
    for (uint32_t done = 0; done < count && err == OK; done += PIECE_BLOCKS) {
        uint64_t offset = (uint64_t)(first + done) * BLOCK_BYTES;
        uint32_t blocks = count - done < PIECE_BLOCKS ? count - done : PIECE_BLOCKS;
        uint64_t most = (uint64_t)blocks * BLOCK_BYTES;
        size_t len = (size_t)(size - offset < most ? size - offset : most);
        err = read_exactly(fd, bytes, len, offset);
        if (err == OK) {
            hash_blocks(crypto, bytes, len, hashes + done);
        }
    }
    crypto_delete(crypto);
    mem_free(bytes);
    return err;
}
