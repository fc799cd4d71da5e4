/* test_measured.c - a candidate that is measured, by a stream or by its files, and what a peer says
 * of those who have done something for it. */
#include "tests/unit/peer_duty.h"

#include "common/hashtree.h"
#include "common/wire_measure.h"
#include "common/wire_receipt.h"
#include "peer/receipts.h"
#include "peer/state.h"

/* ---- Being measured ---- */

static struct link *dial_to_measure(struct scene *scene, struct raw *by) {
    return raw_dial(by, scene->peer, PURPOSE_MEASURE);
}

static void send_measure(struct raw *by, struct link *link, uint64_t seed, uint32_t bytes,
                         uint16_t ms) {
    struct measure measure = {.seed = seed, .bytes = bytes, .ms = ms};
    struct buf payload = {0};
    wire_measure_encode(&payload, &measure);
    raw_send(by, link, MSG_MEASURE, &payload);
}

/* How much of the stream of a seed has come, in order and right. */
static uint64_t stream_bytes(const struct raw *raw, uint64_t seed) {
    uint64_t at = 0;
    for (uint32_t i = 0; i < raw_count(raw, MSG_MEASURED); i++) {
        struct measured measured;
        uint8_t wanted[MEASURED_DATA_MAX];
        assert_int_equal(wire_measured_decode(raw_payload(raw, MSG_MEASURED, i), &measured), OK);
        assert_int_equal(measured.offset, at);
        wire_measure_fill(seed, measured.offset, wanted, measured.data.len);
        assert_memory_equal(measured.data.data, wanted, measured.data.len);
        at += measured.data.len;
    }
    return at;
}

static void test_streams_share_the_rate(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(13, NETWORK_OPEN);
    struct raw *other = raw_add(scene.world);
    struct link *first = dial_to_measure(&scene, scene.parent);
    struct link *second = dial_to_measure(&scene, other);
    assert_non_null(first);
    assert_non_null(second);
    raw_forget(scene.parent);
    uint64_t start_us = scene.world->now_us;
    send_measure(scene.parent, first, 1, 300001, 60000);
    send_measure(other, second, 2, 300001, 60000);
    world_run_for(scene.world, SECOND_US);
    uint64_t both = stream_bytes(scene.parent, 1) + stream_bytes(other, 2);
    uint64_t spent_us = scene.world->now_us - start_us;
    assert_in_range(both, RATE * 9 / 10 * spent_us / SECOND_US,
                    RATE * 12 / 10 * spent_us / SECOND_US + 2 * MEASURED_DATA_MAX);
    assert_in_range(stream_bytes(scene.parent, 1), both * 4 / 10, both * 6 / 10);
    world_run_for(scene.world, 4 * SECOND_US);
    assert_int_equal(stream_bytes(scene.parent, 1), 300001);
    assert_int_equal(stream_bytes(other, 2), 300001);
    assert_int_equal(status_number(&scene, "today_measured_bytes"), 600002);
    assert_int_equal(status_number(&scene, "today_measurements"), 2);
    world_run_for(scene.world, 70 * SECOND_US); /* who asks nothing more is let go */
    assert_int_equal(other->closed, 1);
    world_free(scene.world);
}

static void test_stream_ends_with_its_time(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(14, NETWORK_OPEN);
    struct link *link = dial_to_measure(&scene, scene.parent);
    send_measure(scene.parent, link, 5, MEASURE_BYTES_MAX, 1000);
    world_run_for(scene.world, 5 * SECOND_US);
    assert_in_range(stream_bytes(scene.parent, 5), RATE * 9 / 10, RATE * 12 / 10);
    world_free(scene.world);
}

/* Whoever does not read gets no more than a link may hold. */
static void test_stalled_stream_waits(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(15, NETWORK_OPEN);
    consent(&scene, "100M", "1G");
    struct link *link = dial_to_measure(&scene, scene.parent);
    scene.parent->node->reads_nothing = true;
    send_measure(scene.parent, link, 6, MEASURE_BYTES_MAX, 60000);
    world_run_for(scene.world, SECOND_US);
    uint64_t sent = status_number(&scene, "today_measured_bytes");
    assert_in_range(sent, LINK_OUTPUT_SOFT - MEASURE_STEP_BYTES,
                    LINK_OUTPUT_SOFT + MEASURE_STEP_BYTES);
    world_read_again(scene.parent->node);
    world_run_for(scene.world, SECOND_US);
    assert_int_equal(stream_bytes(scene.parent, 6), MEASURE_BYTES_MAX);
    world_free(scene.world);
}

static void test_only_the_certified_measure(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(16, NETWORK_CERTIFIED);
    struct raw *stranger = raw_add(scene.world);
    dial_to_measure(&scene, stranger);
    world_run_for(scene.world, SECOND_US);
    assert_int_equal(stranger->opened, 0);
    assert_int_equal(stranger->closed, 1);
    assert_non_null(dial_to_measure(&scene, scene.parent)); /* the anchor */
    assert_int_equal(scene.parent->link->purpose, PURPOSE_MEASURE);
    world_command(scene.peer, "supernode-withdraw", NULL, NULL);
    world_run_for(scene.world, SECOND_US);
    uint32_t opened = scene.parent->opened;
    dial_to_measure(&scene, scene.parent);
    world_run_for(scene.world, SECOND_US);
    assert_int_equal(scene.parent->opened, opened);
    world_free(scene.world);
}

/* The anchor says who the supernodes are. */
static void send_checkpoint(struct scene *scene, const struct node_id *member) {
    const struct crypto *crypto = &scene->parent->node->identity.crypto;
    struct node_id keys[2] = {scene->parent->node->identity.id, *member};
    struct hash hashes[2];
    if (memcmp(keys[0].b, keys[1].b, sizeof keys[0].b) > 0) {
        keys[1] = keys[0];
        keys[0] = *member;
    }
    for (int i = 0; i < 2; i++) {
        crypto_hash(crypto, (struct slice){keys[i].b, sizeof keys[i].b}, &hashes[i]);
    }
    struct checkpoint checkpoint = {.epoch = epoch_now(scene), .members = 2};
    assert_true(wire_list_root(crypto, hashes, 2, &checkpoint.set_root));
    const struct signer_env env = {crypto, &scene->world->network.id};
    wire_checkpoint_sign(&checkpoint, &env);
    struct members members = {
        .epoch = checkpoint.epoch, .count = 2, .keys = {keys[0].b, sizeof keys}};
    struct buf bytes = {0};
    wire_checkpoint_encode(&bytes, &checkpoint);
    raw_send(scene->parent, scene->parent->link, MSG_CHECKPOINT, &bytes);
    wire_members_encode(&bytes, &members);
    raw_send(scene->parent, scene->parent->link, MSG_MEMBERS, &bytes);
    world_run_for(scene->world, SECOND_US / 10);
}

static void test_members_of_a_checkpoint_measure(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(21, NETWORK_CERTIFIED);
    struct raw *member = raw_add(scene.world);
    struct raw *stranger = raw_add(scene.world);
    assert_null(dial_to_measure(&scene, member));
    send_checkpoint(&scene, &member->node->identity.id);
    assert_non_null(dial_to_measure(&scene, member));
    assert_null(dial_to_measure(&scene, stranger));
    /* It is not forgotten with the process. */
    world_kill(scene.peer);
    world_run_for(scene.world, SECOND_US);
    start_peer(&scene);
    tell(&scene, SUPERNODE_NAMED, 0, false);
    assert_non_null(dial_to_measure(&scene, member));
    /* A forged one ends the link. */
    struct link *link = scene.parent->link;
    assert_non_null(link);
    uint32_t closed = scene.parent->closed;
    struct checkpoint forged = {.epoch = epoch_now(&scene), .members = 1};
    struct buf bytes = {0};
    wire_checkpoint_encode(&bytes, &forged);
    raw_send(scene.parent, link, MSG_CHECKPOINT, &bytes);
    world_run_for(scene.world, SECOND_US / 10);
    assert_int_equal(scene.parent->closed, closed + 1);
    world_free(scene.world);
}

/* Whoever else is certified may measure, too, but leaves room for those who were drawn. */
static void test_the_drawn_have_places_of_their_own(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(27, NETWORK_OPEN);
    struct raw *member = raw_add(scene.world);
    send_checkpoint(&scene, &member->node->identity.id);
    uint32_t admitted = 0;
    for (uint32_t i = 0; i < MEASURE_LINKS_MAX; i++) {
        struct raw *other = raw_add(scene.world);
        struct link *link = dial_to_measure(&scene, other);
        bool is_in = link != NULL && link->open;
        admitted += is_in;
        for (int n = 0; n < MEASURES_SAME_MAX && is_in && other->link != NULL; n++) {
            send_measure(other, link, i, 4096, 100);
            world_run_for(scene.world, SECOND_US / 5);
        }
    }
    assert_int_equal(admitted, MEASURE_LINKS_MAX - MEASURERS);
    uint64_t before = status_number(&scene, "today_measurements");
    assert_in_range(before, 1, MEASURES_EPOCH_MAX - MEASURERS * MEASURES_SAME_MAX);
    struct link *link = dial_to_measure(&scene, member);
    assert_non_null(link);
    send_measure(member, link, 9, 4096, 1000);
    world_run_for(scene.world, 2 * SECOND_US);
    assert_int_equal(status_number(&scene, "today_measurements"), before + 1);
    world_free(scene.world);
}

static void test_one_supernode_cannot_drain_it(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(17, NETWORK_OPEN);
    struct raw *other = raw_add(scene.world);
    for (uint32_t i = 0; i < MEASURES_SAME_MAX; i++) {
        struct link *link = dial_to_measure(&scene, other);
        assert_non_null(link);
        send_measure(other, link, i, 4096, 1000);
        world_run_for(scene.world, 2 * SECOND_US);
    }
    assert_int_equal(status_number(&scene, "today_measurements"), MEASURES_SAME_MAX);
    struct link *link = dial_to_measure(&scene, other);
    send_measure(other, link, 9, 4096, 1000);
    world_run_for(scene.world, SECOND_US);
    assert_null(other->link);
    assert_int_equal(status_number(&scene, "today_measurements"), MEASURES_SAME_MAX);
    next_epoch(&scene, 1);
    link = dial_to_measure(&scene, other);
    send_measure(other, link, 9, 4096, 1000);
    world_run_for(scene.world, SECOND_US);
    assert_int_equal(status_number(&scene, "today_measurements"), MEASURES_SAME_MAX + 1);
    world_free(scene.world);
}

static void test_measuring_ends_at_the_cap(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(18, NETWORK_OPEN);
    send_cert(&scene, &scene.child, epoch_now(&scene), 100);
    tell(&scene, SUPERNODE_STARTED, 0, false);
    tell(&scene, SUPERNODE_READY, (64 << 20) - 100000, true);
    struct link *link = dial_to_measure(&scene, scene.parent);
    send_measure(scene.parent, link, 1, MEASURE_BYTES_MAX, 60000);
    world_run_for(scene.world, 5 * SECOND_US);
    assert_in_range(status_number(&scene, "today_measured_bytes"), 100000,
                    100000 + MEASURE_STEP_BYTES);
    assert_int_equal(scene.peer->supernode_stops, 1);
    world_free(scene.world);
}

/* ---- Being measured by files ---- */

/* A candidate that shares this file, a link to measure it, and what it offers there. */
static struct link *dial_sharer(struct scene *scene, const struct world_file *file) {
    world_share(scene->peer, file);
    struct link *link = dial_to_measure(scene, scene->parent);
    struct measure_files files;
    assert_non_null(link);
    assert_int_equal(
        wire_measure_files_decode(raw_payload(scene->parent, MSG_MEASURE_FILES, 0), &files), OK);
    assert_int_equal(files.count, 1);
    assert_true(content_equal(&files.files[0], &file->content));
    return link;
}

static void ask_proof(struct scene *scene, struct link *link, uint32_t piece) {
    struct hashes_request request = {.first = piece * PIECE_BLOCKS, .count = PIECE_BLOCKS};
    struct buf payload = {0};
    wire_hashes_request_encode(&payload, &request);
    raw_send(scene->parent, link, MSG_HASHES_REQUEST, &payload);
    world_run_for(scene->world, SECOND_US / 10);
}

static void ask_blocks(struct scene *scene, struct link *link, uint32_t bytes, uint32_t first) {
    struct measure_blocks ask = {.bytes = bytes, .ms = 2000, .count = 1};
    ask.runs[0] = (struct measure_run){.first = first, .count = PIECE_BLOCKS};
    struct buf payload = {0};
    wire_measure_blocks_encode(&payload, &ask);
    raw_send(scene->parent, link, MSG_MEASURE_BLOCKS, &payload);
}

static void test_measured_by_files(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(23, NETWORK_OPEN);
    const struct world_file *file = world_make_file(scene.world, 3 * PIECE_BYTES, "film");
    struct link *link = dial_sharer(&scene, file);
    ask_proof(&scene, link, 1);
    struct hashes hashes;
    assert_int_equal(wire_hashes_decode(raw_payload(scene.parent, MSG_HASHES, 0), &hashes), OK);
    struct hash known[PIECE_BLOCKS];
    memcpy(known, hashes.hashes.data, hashes.hashes.len);
    struct hash_run run = {.first = hashes.first, .count = hashes.count, .hashes = known};
    run.proof_count = hashes.proof_count;
    memcpy(run.proof, hashes.proof.data, hashes.proof.len);
    const struct crypto *crypto = &scene.parent->node->identity.crypto;
    assert_int_equal(hashtree_verify(crypto, &file->content, &run), OK);
    ask_blocks(&scene, link, PIECE_BYTES, PIECE_BLOCKS);
    world_run_for(scene.world, SECOND_US);
    uint32_t blocks = raw_count(scene.parent, MSG_BLOCK);
    assert_in_range(blocks, RATE * 9 / 10 / BLOCK_BYTES, RATE * 12 / 10 / BLOCK_BYTES + 2);
    world_run_for(scene.world, 10 * SECOND_US); /* two seconds of it */
    blocks = raw_count(scene.parent, MSG_BLOCK);
    assert_in_range(blocks, 2 * RATE * 9 / 10 / BLOCK_BYTES, 2 * RATE * 12 / 10 / BLOCK_BYTES + 2);
    for (uint32_t i = 0; i < blocks; i++) {
        struct block block;
        struct hash hash;
        assert_int_equal(wire_block_decode(raw_payload(scene.parent, MSG_BLOCK, i), &block), OK);
        assert_int_equal(block.index, PIECE_BLOCKS + i);
        crypto_hash(crypto, block.data, &hash);
        assert_memory_equal(hash.b, known[i].b, sizeof hash.b);
    }
    assert_int_equal(status_number(&scene, "today_measured_bytes"), blocks * BLOCK_BYTES);
    assert_int_equal(status_number(&scene, "today_measurements"), 1);
    world_free(scene.world);
}

/* Neither proofs nor blocks without end, nor of what was not offered. */
static void test_measuring_by_files_is_bounded(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(24, NETWORK_OPEN);
    scene.world->network.promotion.measure_bytes = 4 * BLOCK_BYTES;
    consent(&scene, "100M", "1G");
    const struct world_file *file = world_make_file(scene.world, 3 * PIECE_BYTES, "film");
    struct link *link = dial_sharer(&scene, file);
    for (int i = 0; i < MEASURE_RUNS_MAX + 3; i++) {
        ask_proof(&scene, link, 1);
    }
    assert_int_equal(raw_count(scene.parent, MSG_HASHES), MEASURE_RUNS_MAX);
    assert_int_equal(raw_count(scene.parent, MSG_REJECT), 3);
    ask_blocks(&scene, link, MEASURE_BYTES_MAX, 0);
    world_run_for(scene.world, 5 * SECOND_US);
    assert_int_equal(raw_count(scene.parent, MSG_BLOCK), 4);
    assert_int_equal(status_number(&scene, "measure_bytes_max"), 4 * BLOCK_BYTES);
    ask_blocks(&scene, link, BLOCK_BYTES, 3 * PIECE_BLOCKS); /* beyond its end */
    world_run_for(scene.world, SECOND_US);
    assert_int_equal(raw_count(scene.parent, MSG_BLOCK), 4);
    assert_null(scene.parent->link);
    world_free(scene.world);
}

/* Each proof reads a piece: a new link is no new allowance, an epoch is. */
static void test_links_give_no_more_proofs(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(26, NETWORK_OPEN);
    const struct world_file *file = world_make_file(scene.world, 3 * PIECE_BYTES, "film");
    struct link *link = dial_sharer(&scene, file);
    for (int i = 0; i < 2 * MEASURES_SAME_MAX; i++) {
        for (int j = 0; j < MEASURE_RUNS_MAX; j++) {
            ask_proof(&scene, link, 1);
        }
        link = dial_to_measure(&scene, scene.parent);
        assert_non_null(link);
    }
    uint32_t most = MEASURES_SAME_MAX * MEASURE_RUNS_MAX;
    assert_int_equal(raw_count(scene.parent, MSG_HASHES), most);
    next_epoch(&scene, 1);
    link = dial_to_measure(&scene, scene.parent);
    ask_proof(&scene, link, 1);
    assert_int_equal(raw_count(scene.parent, MSG_HASHES), most + 1);
    world_free(scene.world);
}

/* What is for some nodes alone is no stranger's business. */
static void test_only_open_files_are_offered(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(25, NETWORK_OPEN);
    world_share_for(scene.peer, true, 1, &scene.child);
    world_share(scene.peer, world_make_file(scene.world, 3 * PIECE_BYTES, "film"));
    assert_non_null(dial_to_measure(&scene, scene.parent));
    assert_int_equal(raw_count(scene.parent, MSG_MEASURE_FILES), 0);
    world_free(scene.world);
}

/* ---- Receipts ---- */

static void test_receipts_of_an_epoch(void **state) {
    (void)state;
    struct scene scene = scene_new(26, NETWORK_CERTIFIED);
    struct network *network = &scene.world->network;
    snprintf(network->promotion.policy, sizeof network->promotion.policy, "reputation");
    start_peer(&scene);
    next_epoch(&scene, EPOCH_S / 5);
    raw_forget(scene.parent);
    struct peer *peer = scene.peer->node.self;
    for (uint8_t i = 1; i <= 40; i++) { /* more than are remembered */
        struct node_id from = {{i}};
        receipts_transfer(peer, &from, i < 30 ? BLOCK_BYTES : (uint64_t)i << 20);
    }
    struct node_id most = {{50}};
    receipts_transfer(peer, &most, 1ull << 40);
    receipts_transfer(peer, &most, 1);
    uint32_t epoch = epoch_now(&scene);
    next_epoch(&scene, EPOCH_S / 5);
    uint32_t count = raw_count(scene.parent, MSG_RECEIPT);
    assert_int_equal(count, RECEIPTS_LEAF_MAX - PARENTS); /* nothing of the parent to itself */
    for (uint32_t i = 0; i < count; i++) {
        struct receipt receipt;
        const struct signer_env env = {&scene.parent->node->identity.crypto, &network->id};
        assert_int_equal(wire_receipt_decode(raw_payload(scene.parent, MSG_RECEIPT, i), &receipt),
                         OK);
        assert_int_equal(wire_receipt_check(&receipt, &env), OK);
        assert_true(node_id_equal(&receipt.issuer, &scene.peer->identity.id));
        assert_int_equal(receipt.epoch, epoch);
        assert_int_equal(receipt.kind, RECEIPT_TRANSFER);
        assert_int_equal(receipt.subject.b[0], i == 0 ? 50 : 41 - i);
    }
    raw_forget(scene.parent);
    next_epoch(&scene, EPOCH_S / 5);
    assert_int_equal(raw_count(scene.parent, MSG_RECEIPT), 0); /* nobody gave anything since */
    assert_int_equal(receipts_sent(peer), count);
    world_free(scene.world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams_share_the_rate),
        cmocka_unit_test(test_stream_ends_with_its_time),
        cmocka_unit_test(test_stalled_stream_waits),
        cmocka_unit_test(test_only_the_certified_measure),
        cmocka_unit_test(test_members_of_a_checkpoint_measure),
        cmocka_unit_test(test_the_drawn_have_places_of_their_own),
        cmocka_unit_test(test_one_supernode_cannot_drain_it),
        cmocka_unit_test(test_measuring_ends_at_the_cap),
        cmocka_unit_test(test_measured_by_files),
        cmocka_unit_test(test_measuring_by_files_is_bounded),
        cmocka_unit_test(test_links_give_no_more_proofs),
        cmocka_unit_test(test_only_open_files_are_offered),
        cmocka_unit_test(test_receipts_of_an_epoch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
