/* test_hashtree.c - roots equal libtorrent's, proofs prove, and nothing altered gets through. */
#include "tests/unit/testlib.h"

#include <stdio.h>

#include "common/hashtree.h"
#include "common/mem.h"

static const struct crypto crypto = {.sha256 = test_sha256};

/* A file in memory: its block hashes, piece hashes and root. */
struct tree {
    struct content_id content;
    struct hash *blocks;
    struct hash *pieces;
};

/* Finish a tree from its block hashes. */
static void grow_tree(struct tree *tree) {
    uint64_t size = tree->content.size;
    tree->pieces = mem_array(hashtree_pieces(size), sizeof *tree->pieces);
    for (uint32_t piece = 0; piece < hashtree_pieces(size); piece++) {
        hashtree_piece(&crypto, size, piece, tree->blocks + (size_t)piece * PIECE_BLOCKS,
                       &tree->pieces[piece]);
    }
    hashtree_file_root(&crypto, size, tree->pieces, &tree->content.root);
}

static void free_tree(struct tree *tree) {
    mem_free(tree->blocks);
    mem_free(tree->pieces);
}

/* The content of tests/vectors/hashtree.py: SHA-256 of 0, 1, 2 ... as 8 bytes each. */
static uint8_t *make_content(uint64_t size) {
    uint64_t hashes = (size + HASH_BYTES - 1) / HASH_BYTES;
    uint8_t *bytes = mem_array(hashes, HASH_BYTES);
    for (uint64_t i = 0; i < hashes; i++) {
        struct buf number = {0};
        struct hash hash;
        buf_u64(&number, i);
        crypto_hash(&crypto, (struct slice){number.data, number.len}, &hash);
        memcpy(bytes + i * HASH_BYTES, hash.b, HASH_BYTES);
        buf_free(&number);
    }
    return bytes;
}

static struct tree hash_content(const uint8_t *bytes, uint64_t size) {
    struct tree tree = {.content.size = size};
    tree.blocks = mem_array(hashtree_blocks(size), sizeof *tree.blocks);
    for (uint32_t block = 0; block < hashtree_blocks(size); block++) {
        struct slice data = {bytes + (size_t)block * BLOCK_BYTES,
                             hashtree_block_bytes(size, block)};
        crypto_hash(&crypto, data, &tree.blocks[block]);
    }
    grow_tree(&tree);
    return tree;
}

/* A tree of random block hashes: big files without the bytes. */
static struct tree random_tree(struct rng *rng, uint64_t size) {
    struct tree tree = {.content.size = size};
    tree.blocks = mem_array(hashtree_blocks(size), sizeof *tree.blocks);
    rng_fill(rng, tree.blocks, hashtree_blocks(size) * sizeof *tree.blocks);
    grow_tree(&tree);
    return tree;
}

static void expect_vector(uint64_t size, const char *root_text, const char *layer_text,
                          const uint8_t *bytes) {
    struct tree tree = hash_content(bytes, size);
    struct hash layer;
    char text[2 * HASH_BYTES + 1];
    hex_format(text, tree.content.root.b, HASH_BYTES);
    assert_string_equal(text, root_text);
    assert_int_equal(hashtree_pieces(size) > 1, strcmp(layer_text, "-") != 0);
    if (hashtree_pieces(size) > 1) {
        struct slice pieces = {tree.pieces[0].b, hashtree_pieces(size) * sizeof *tree.pieces};
        crypto_hash(&crypto, pieces, &layer);
        hex_format(text, layer.b, HASH_BYTES);
        assert_string_equal(text, layer_text);
    }
    free_tree(&tree);
}

static void test_equals_libtorrent(void **state) {
    (void)state;
    const uint64_t largest = 18 * PIECE_BYTES;
    uint8_t *bytes = make_content(largest);
    FILE *file = fopen(TESTS_DIR "/vectors/hashtree.txt", "r");
    assert_non_null(file);
    char line[256];
    int vectors = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned long long size;
        char root[65];
        char layer[65];
        if (line[0] == '#') {
            continue;
        }
        assert_int_equal(sscanf(line, "%llu %64s %64s", &size, root, layer), 3);
        assert_in_range(size, 1, largest);
        expect_vector(size, root, layer, bytes);
        vectors++;
    }
    fclose(file);
    mem_free(bytes);
    assert_true(vectors >= 20);
}

static void test_shape(void **state) {
    (void)state;
    static const struct {
        uint64_t size;
        uint32_t blocks, pieces, height, last_block, last_piece;
    } rows[] = {
        {1, 1, 1, 0, 1, 1},
        {BLOCK_BYTES, 1, 1, 0, BLOCK_BYTES, 1},
        {BLOCK_BYTES + 1, 2, 1, 1, 1, 2},
        {3 * BLOCK_BYTES, 3, 1, 2, BLOCK_BYTES, 3},
        {PIECE_BYTES, 64, 1, 6, BLOCK_BYTES, 64},
        {PIECE_BYTES + 1, 65, 2, 7, 1, 1},
        {3 * PIECE_BYTES - 1, 192, 3, 8, BLOCK_BYTES - 1, 64},
        {FILE_BYTES_MAX, 1u << 28, 1u << 22, 28, BLOCK_BYTES, 64},
        {FILE_BYTES_MAX - 1, 1u << 28, 1u << 22, 28, BLOCK_BYTES - 1, 64},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        uint64_t size = rows[i].size;
        assert_int_equal(hashtree_blocks(size), rows[i].blocks);
        assert_int_equal(hashtree_pieces(size), rows[i].pieces);
        assert_int_equal(hashtree_height(size), rows[i].height);
        assert_int_equal(hashtree_block_bytes(size, rows[i].blocks - 1), rows[i].last_block);
        assert_int_equal(hashtree_piece_blocks(size, rows[i].pieces - 1), rows[i].last_piece);
    }
}

/* The definition, naively: a whole array of leaves, halved until one is left. */
static struct hash naive_root(const struct hash *hashes, uint32_t count, uint32_t layer) {
    uint32_t width = 1;
    while (width < count) {
        width *= 2;
    }
    struct hash *level = mem_array(width, sizeof *level);
    memcpy(level, hashes, count * sizeof *level);
    for (uint32_t i = count; i < width; i++) {
        hashtree_pad(&crypto, layer, &level[i]);
    }
    for (; width > 1; width /= 2) {
        for (uint32_t i = 0; i < width / 2; i++) {
            crypto_hash(&crypto, (struct slice){level[2 * i].b, 2 * HASH_BYTES}, &level[i]);
        }
    }
    struct hash root = level[0];
    mem_free(level);
    return root;
}

static void test_root_equals_definition(void **state) {
    (void)state;
    struct rng rng;
    rng_seed(&rng, 6);
    struct hash hashes[140];
    rng_fill(&rng, hashes, sizeof hashes);
    for (uint32_t count = 1; count <= LENGTH(hashes); count++) {
        uint32_t layer = count % 8;
        struct hash wanted = naive_root(hashes, count, layer);
        struct hash root;
        hashtree_root(&crypto, hashes, count, layer, &root);
        assert_memory_equal(root.b, wanted.b, HASH_BYTES);
    }
    struct hash zero = {0};
    struct hash root;
    memset(&root, 1, sizeof root);
    hashtree_root(&crypto, NULL, 0, 3, &root);
    assert_memory_equal(root.b, zero.b, HASH_BYTES);
}

/* Copy a run with its padding. */
static struct hash *run_hashes(const struct hash *known, uint64_t known_count,
                               const struct hash_run *run) {
    struct hash *hashes = mem_array(run->count, sizeof *hashes);
    for (uint32_t i = 0; i < run->count; i++) {
        if (run->first + i < known_count) {
            hashes[i] = known[run->first + i];
        } else {
            hashtree_pad(&crypto, run->layer, &hashes[i]);
        }
    }
    return hashes;
}

/* The run is right; every single altered bit, place or length is not. */
static void expect_proof(const struct tree *tree, struct hash_run *run, struct hash *hashes,
                         struct rng *rng) {
    run->hashes = hashes;
    assert_int_equal(hashtree_verify(&crypto, &tree->content, run), OK);

    uint8_t *bit_at = &hashes[rng_below(rng, run->count)].b[rng_below(rng, HASH_BYTES)];
    *bit_at ^= 0x10;
    assert_int_equal(hashtree_verify(&crypto, &tree->content, run), ERR_MISMATCH);
    *bit_at ^= 0x10;

    if (run->proof_count > 0) {
        bit_at = &run->proof[rng_below(rng, run->proof_count)].b[rng_below(rng, HASH_BYTES)];
        *bit_at ^= 0x01;
        assert_int_equal(hashtree_verify(&crypto, &tree->content, run), ERR_MISMATCH);
        *bit_at ^= 0x01;
        run->proof_count--;
        assert_int_equal(hashtree_verify(&crypto, &tree->content, run), ERR_FORMAT);
        run->proof_count += 2;
        assert_int_equal(hashtree_verify(&crypto, &tree->content, run), ERR_FORMAT);
        run->proof_count--;

        run->first ^= run->count; /* the neighbour's place */
        enum err err = hashtree_verify(&crypto, &tree->content, run);
        assert_true(err == ERR_MISMATCH || err == ERR_FORMAT);
        run->first ^= run->count;
    }
    assert_int_equal(hashtree_verify(&crypto, &tree->content, run), OK);
}

static void test_piece_proofs(void **state) {
    (void)state;
    struct rng rng;
    rng_seed(&rng, 7);
    for (uint32_t pieces = 2; pieces <= 40; pieces++) {
        struct tree tree = random_tree(&rng, (pieces - 1) * (uint64_t)PIECE_BYTES + 1 +
                                                 rng_below(&rng, PIECE_BYTES));
        for (uint32_t count = 1; count <= 64; count *= 2) {
            for (uint32_t first = 0; first < 64; first += count) {
                struct hash_run run = {
                    .layer = HASHTREE_PIECE_LAYER, .first = first, .count = count};
                if (!hashtree_run_ok(tree.content.size, run.layer, first, count)) {
                    continue;
                }
                struct hash *hashes = run_hashes(tree.pieces, pieces, &run);
                hashtree_proof(&crypto, tree.content.size, tree.pieces, &run);
                expect_proof(&tree, &run, hashes, &rng);
                mem_free(hashes);
            }
        }
        free_tree(&tree);
    }
}

static void test_block_proofs(void **state) {
    (void)state;
    struct rng rng;
    rng_seed(&rng, 8);
    for (int round = 0; round < 400; round++) {
        uint64_t span = (round % 2 == 0 ? 1 : 9) * (uint64_t)PIECE_BYTES;
        struct tree tree = random_tree(&rng, 1 + rng_below(&rng, span));
        uint64_t size = tree.content.size;
        uint32_t block = (uint32_t)rng_below(&rng, hashtree_blocks(size));
        uint32_t piece = block / PIECE_BLOCKS;
        for (uint32_t count = 1; count <= PIECE_BLOCKS; count *= 2) {
            struct hash_run run = {.first = block / count * count, .count = count};
            if (!hashtree_run_ok(size, 0, run.first, count)) {
                assert_true(count > 1ULL << hashtree_height(size));
                continue;
            }
            struct hash *hashes = run_hashes(tree.blocks, hashtree_blocks(size), &run);
            hashtree_block_proof(&crypto, size, tree.blocks + (size_t)piece * PIECE_BLOCKS,
                                 hashtree_pieces(size) > 1 ? tree.pieces : NULL, &run);
            expect_proof(&tree, &run, hashes, &rng);
            mem_free(hashes);
        }
        free_tree(&tree);
    }
}

static void test_runs(void **state) {
    (void)state;
    const uint64_t three = 3 * (uint64_t)PIECE_BYTES; /* 192 blocks in 256 places, 3 pieces in 4 */
    static const struct {
        uint32_t layer, first, count;
        bool is_ok;
    } rows[] = {
        {0, 0, 1, true},           {0, 191, 1, true},         {0, 192, 1, false},
        {0, 128, 128, true},       {0, 0, 256, true},         {0, 0, 512, false},
        {0, 0, 0, false},          {0, 0, 3, false},          {0, 1, 2, false},
        {6, 0, 4, true},           {6, 2, 2, true},           {6, 3, 1, false},
        {6, 2, 1, true},           {6, 4, 1, false},          {6, 0, 8, false},
        {8, 0, 1, true},           {8, 1, 1, false},          {9, 0, 1, false},
        {0, 0xfffffffe, 2, false}, {UINT32_MAX, 0, 1, false}, {0, 0, 1u << 31, false},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        bool is_ok = hashtree_run_ok(three, rows[i].layer, rows[i].first, rows[i].count);
        assert_int_equal(is_ok, rows[i].is_ok);
    }
    struct content_id nothing = {0};
    struct hash hash = {0};
    struct hash_run run = {.count = 1, .hashes = &hash};
    assert_int_equal(hashtree_verify(&crypto, &nothing, &run), ERR_FORMAT);
    nothing.size = FILE_BYTES_MAX + 1;
    assert_int_equal(hashtree_verify(&crypto, &nothing, &run), ERR_FORMAT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_libtorrent),      cmocka_unit_test(test_shape),
        cmocka_unit_test(test_root_equals_definition), cmocka_unit_test(test_piece_proofs),
        cmocka_unit_test(test_block_proofs),           cmocka_unit_test(test_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
