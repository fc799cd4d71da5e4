/* treehash.c - the hash tree of a file on disk, read once from front to back by a worker. */
#include "common/hashtree.h"
#include "common/mem.h"
#include "src/host/crypto.h"
#include "src/host/files.h"

#define READ_BYTES (8 * BLOCK_BYTES) /* stays in a processor's second cache until it is hashed */
#define PAGE_BYTES 4096              /* the kernel copies a sixth faster to where a page begins */

/* Hash `len` bytes of a file from `offset`, a multiple of the block size, block by block. */
static enum err hash_run(const struct crypto *crypto, int fd, uint64_t offset, uint64_t len,
                         struct hash *hashes) {
    _Alignas(PAGE_BYTES) uint8_t bytes[READ_BYTES];
    enum err err = OK;
    for (uint64_t done = 0; done < len && err == OK;) {
        size_t part = len - done < READ_BYTES ? (size_t)(len - done) : READ_BYTES;
        err = read_exactly(fd, bytes, part, offset + done);
        for (size_t at = 0; at < part && err == OK; at += BLOCK_BYTES) {
            size_t block = part - at < BLOCK_BYTES ? part - at : BLOCK_BYTES;
            crypto_hash(crypto, (struct slice){bytes + at, block}, hashes++);
        }
        done += part;
    }
    return err;
}

static bool is_known(const struct tree *tree, uint32_t piece) {
    return tree->known != NULL && (tree->known[piece / 8] & (0x80 >> piece % 8)) != 0;
}

enum err tree_of_file(int fd, uint64_t size, const struct workers *workers, struct tree *tree) {
    uint32_t count = hashtree_pieces(size);
    struct hash *roots = mem_array(count, sizeof *roots);
    struct crypto *crypto = crypto_make(NULL);
    enum err err = OK;
    for (uint32_t piece = 0; piece < count && err == OK; piece++) {
        uint64_t offset = (uint64_t)piece * PIECE_BYTES;
        uint64_t len = size - offset < PIECE_BYTES ? size - offset : PIECE_BYTES;
        struct hash blocks[PIECE_BLOCKS];
        if (is_known(tree, piece)) {
            roots[piece] = tree->roots[piece];
            continue;
        }
        err = workers_stopping(workers) ? ERR_SHUTDOWN : hash_run(crypto, fd, offset, len, blocks);
        if (err == OK) {
            hashtree_piece(crypto, size, piece, blocks, &roots[piece]);
        }
    }
    if (err == OK) {
        tree->content.size = size;
        hashtree_file_root(crypto, size, roots, &tree->content.root);
    }
    crypto_delete(crypto);
    tree->pieces = NULL;
    if (err == OK && count > 1) {
        tree->pieces = roots;
    } else {
        mem_free(roots);
    }
    return err;
}

enum err tree_of_piece(int fd, uint64_t size, uint32_t piece, struct hash *root) {
    uint64_t offset = (uint64_t)piece * PIECE_BYTES;
    struct hash blocks[PIECE_BLOCKS];
    struct crypto *crypto = crypto_make(NULL);
    uint64_t len = size - offset < PIECE_BYTES ? size - offset : PIECE_BYTES;
    enum err err = hash_run(crypto, fd, offset, len, blocks);
    if (err == OK) {
        hashtree_piece(crypto, size, piece, blocks, root);
    }
    crypto_delete(crypto);
    return err;
}

enum err tree_of_blocks(int fd, uint64_t size, uint32_t first, uint32_t count,
                        struct hash *hashes) {
    uint64_t offset = (uint64_t)first * BLOCK_BYTES;
    uint64_t most = (uint64_t)count * BLOCK_BYTES;
    struct crypto *crypto = crypto_make(NULL);
    enum err err =
        hash_run(crypto, fd, offset, size - offset < most ? size - offset : most, hashes);
    crypto_delete(crypto);
    return err;
}
