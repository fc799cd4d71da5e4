/* test_measure.c - what a supernode counts of a candidate: blocks of its files that are proven, or
 * the generated stream. */
#include "tests/unit/supernode_stage.h"

#include "common/hashtree.h"
#include "common/wire_measure.h"

enum { BLOCKS = 6, WANTED = 65536 }; /* of the file; bytes that are measured */

struct measured_one {
    struct stage *stage;
    struct fake *leaf;
    struct link *link; /* that the supernode has dialled */
    uint8_t bytes[BLOCKS * BLOCK_BYTES - 100];
    struct content_id content;
    struct hash hashes[BLOCKS];
};

static uint32_t block_bytes(const struct measured_one *one, uint32_t index) {
    return hashtree_block_bytes(one->content.size, index);
}

static void make_file(struct measured_one *one) {
    struct rng rng;
    rng_seed(&rng, 5);
    rng_fill(&rng, one->bytes, sizeof one->bytes);
    one->content.size = sizeof one->bytes;
    const struct crypto *crypto = &one->leaf->place->crypto;
    for (uint32_t i = 0; i < BLOCKS; i++) {
        struct slice block = {one->bytes + i * BLOCK_BYTES, block_bytes(one, i)};
        crypto_hash(crypto, block, &one->hashes[i]);
    }
    hashtree_root(crypto, one->hashes, BLOCKS, 0, &one->content.root);
}

/* A candidate that has been dialled to be measured. */
static struct measured_one *dialled(void **state) {
    struct measured_one *one = mem_new(sizeof *one);
    one->stage = *state;
    one->leaf = fake_add(one->stage->net);
    struct link *link = fake_dial(one->leaf, one->stage->one, PURPOSE_LEAF);
    struct buf candidacy = candidacy_for(one->leaf, 1, &one->stage->one->env);
    fake_send(link, MSG_CANDIDACY, &candidacy);
    net_run(one->stage->net, 110 * 1000); /* 800 seconds of the epoch had passed */
    one->link = links_find(&one->leaf->links, &one->stage->one->env.id, PURPOSE_MEASURE);
    assert_non_null(one->link);
    make_file(one);
    return one;
}

static void offer(struct measured_one *one, uint64_t size) {
    struct measure_files files = {.count = 1, .files = {one->content}};
    struct buf payload = {0};
    files.files[0].size = size;
    wire_measure_files_encode(&payload, &files);
    fake_send(one->link, MSG_MEASURE_FILES, &payload);
    net_run(one->stage->net, 1000);
}

/* Answer the one request for hashes; a wrong one at `spoilt`. */
static void prove(struct measured_one *one, uint32_t spoilt) {
    struct hashes_request request;
    const struct heard *heard = fake_nth(one->leaf, MSG_HASHES_REQUEST, 0);
    assert_int_equal(wire_hashes_request_decode(heard_payload(heard), &request), OK);
    assert_int_equal(request.layer, 0);
    assert_int_equal(request.first, 0);
    assert_int_equal(request.count, 8);
    struct hash run[8];
    for (uint32_t i = 0; i < 8; i++) {
        hashtree_pad(&one->leaf->place->crypto, 0, &run[i]);
        run[i] = i < BLOCKS ? one->hashes[i] : run[i];
        run[i].b[0] ^= i == spoilt;
    }
    struct hashes hashes = {.handle = request.handle, .count = 8, .hashes = {run[0].b, sizeof run}};
    struct buf payload = {0};
    wire_hashes_encode(&payload, &hashes);
    fake_send(one->link, MSG_HASHES, &payload);
    net_run(one->stage->net, 1000);
}

static void slot_begins(struct measured_one *one) {
    uint64_t into_s = 800 + one->stage->net->now_us / 1000000;
    net_run(one->stage->net, (EPOCH_S * 6 / 16 - into_s) * 1000 + 500);
}

static struct measure_blocks asked(const struct measured_one *one) {
    struct measure_blocks blocks;
    const struct heard *heard = fake_nth(one->leaf, MSG_MEASURE_BLOCKS, 0);
    assert_int_equal(wire_measure_blocks_decode(heard_payload(heard), &blocks), OK);
    return blocks;
}

static void send_block(struct measured_one *one, uint32_t index, uint8_t change) {
    struct buf payload = {0};
    buf_u32(&payload, 0);
    buf_u32(&payload, index);
    buf_append(&payload, one->bytes + index * BLOCK_BYTES, block_bytes(one, index));
    payload.data[payload.len - 1] ^= change;
    fake_send(one->link, MSG_BLOCK, &payload);
    net_run(one->stage->net, 100);
}

static const struct supernode_counts *counts(const struct measured_one *one) {
    return &supernode_of(one->stage->one)->counts;
}

static bool is_linked(const struct measured_one *one) {
    return links_find(&one->leaf->links, &one->stage->one->env.id, PURPOSE_MEASURE) != NULL;
}

/* What the row of this epoch says of the one candidate: it waits to be durable, for ever here. */
static uint64_t row_bytes(const struct measured_one *one) {
    const struct election *election = &supernode_of(one->stage->one)->election;
    struct row_record row;
    assert_int_equal(election->said_type, MSG_ROW);
    assert_int_equal(wire_row_decode((struct slice){election->said.data, election->said.len}, &row),
                     OK);
    assert_int_equal(row.count, 1);
    assert_int_equal(row.entries[0].subject.b[0], 1);
    return wire_row_load(&row).bytes;
}

static void blocks_count_when_verified(void **state) {
    struct measured_one *one = dialled(state);
    offer(one, one->content.size);
    prove(one, UINT32_MAX);
    slot_begins(one);
    assert_int_equal(fake_count(one->leaf, MSG_MEASURE), 0);
    struct measure_blocks blocks = asked(one);
    assert_int_equal(blocks.bytes, WANTED);
    assert_int_equal(blocks.count, 1);
    assert_int_equal(blocks.runs[0].count, WANTED / BLOCK_BYTES);
    for (uint32_t i = 0; i < 3; i++) {
        send_block(one, i, 0);
    }
    assert_int_equal(counts(one)->measured_blocks, 3 * BLOCK_BYTES);
    net_run(one->stage->net, 5000);
    assert_int_equal(row_bytes(one), 3 * BLOCK_BYTES);
    mem_free(one);
}

/* A wrong block, one twice, one that was not asked for: each ends the link, what was right counts.
 */
static void others_do_not_count(void **state) {
    static const struct {
        uint32_t index;
        uint8_t change;
    } tries[] = {{1, 1}, {0, 0}, {WANTED / BLOCK_BYTES, 0}};
    for (size_t i = 0; i < LENGTH(tries); i++) {
        struct stage *stage = set_up(policy_find(NULL)->name);
        void *place = stage;
        struct measured_one *one = dialled(&place);
        offer(one, one->content.size);
        prove(one, UINT32_MAX);
        slot_begins(one);
        send_block(one, 0, 0);
        assert_true(is_linked(one));
        send_block(one, tries[i].index, tries[i].change);
        net_run(stage->net, 1000);
        assert_false(is_linked(one));
        assert_int_equal(counts(one)->measured_blocks, BLOCK_BYTES);
        net_run(stage->net, 5000);
        assert_int_equal(row_bytes(one), BLOCK_BYTES);
        mem_free(one);
        (void)teardown(&place);
    }
    (void)state;
}

/* Blocks that come before they are asked for do not count, and end nothing. */
static void before_the_slot_nothing_counts(void **state) {
    struct measured_one *one = dialled(state);
    offer(one, one->content.size);
    prove(one, UINT32_MAX);
    send_block(one, 0, 0);
    assert_true(is_linked(one));
    slot_begins(one);
    assert_int_equal(counts(one)->measured, 0);
    send_block(one, 0, 0);
    assert_int_equal(counts(one)->measured, BLOCK_BYTES);
    mem_free(one);
}

static void assert_stream(struct measured_one *one) {
    slot_begins(one);
    assert_int_equal(fake_count(one->leaf, MSG_MEASURE_BLOCKS), 0);
    struct measure measure;
    const struct heard *heard = fake_nth(one->leaf, MSG_MEASURE, 0);
    assert_int_equal(wire_measure_decode(heard_payload(heard), &measure), OK);
    uint8_t data[MEASURED_DATA_MAX];
    struct buf payload = {0};
    wire_measure_fill(measure.seed, 0, data, sizeof data);
    struct measured part = {.data = {data, sizeof data}};
    wire_measured_encode(&payload, &part);
    fake_send(one->link, MSG_MEASURED, &payload);
    net_run(one->stage->net, 5000);
    assert_int_equal(counts(one)->measured, sizeof data);
    assert_int_equal(counts(one)->measured_blocks, 0);
    assert_int_equal(row_bytes(one), sizeof data);
    mem_free(one);
}

static void nothing_shared_is_a_stream(void **state) {
    assert_stream(dialled(state));
}

static void too_little_shared_is_a_stream(void **state) {
    struct measured_one *one = dialled(state);
    offer(one, WANTED - 1);
    assert_int_equal(fake_count(one->leaf, MSG_HASHES_REQUEST), 0);
    assert_stream(one);
}

static void unproven_files_are_a_stream(void **state) {
    struct measured_one *one = dialled(state);
    offer(one, one->content.size);
    assert_int_equal(fake_count(one->leaf, MSG_HASHES_REQUEST), 1);
    assert_stream(one);
}

static void a_refusal_is_a_stream(void **state) {
    struct measured_one *one = dialled(state);
    offer(one, one->content.size);
    struct reject reject = {.reason = REJECT_CHANGED};
    struct buf payload = {0};
    wire_reject_encode(&payload, &reject);
    fake_send(one->link, MSG_REJECT, &payload);
    net_run(one->stage->net, 1000);
    assert_stream(one);
}

static void a_forged_proof_ends_it(void **state) {
    struct measured_one *one = dialled(state);
    offer(one, one->content.size);
    prove(one, 3);
    assert_false(is_linked(one));
    mem_free(one);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, elected, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(blocks_count_when_verified),     cmocka_unit_test(others_do_not_count),
        TEST(before_the_slot_nothing_counts), TEST(nothing_shared_is_a_stream),
        TEST(too_little_shared_is_a_stream),  TEST(unproven_files_are_a_stream),
        TEST(a_refusal_is_a_stream),          TEST(a_forged_proof_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
