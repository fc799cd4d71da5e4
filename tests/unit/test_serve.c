/* test_serve.c - serving: slots, queue, rate, stalled readers, hashes and their proofs. */
#include "tests/unit/peer_cast.h"
#include "tests/unit/peer_raw.h"

#include "peer/serve.h"
#include "peer/state.h"

#define MIB (1024 * 1024ull)

static int setup(void **state) {
    struct world *world = world_new(2);
    cast_supernode(world);
    *state = world;
    return 0;
}

static int teardown(void **state) {
    world_free(*state);
    return 0;
}

static void open_file(struct raw *raw, uint32_t handle, const struct content_id *content) {
    struct open_file open = {.handle = handle, .content = *content};
    struct buf payload = {0};
    wire_open_encode(&payload, &open);
    raw_send(raw, raw->link, MSG_OPEN, &payload);
    world_run_for(raw->node->world, 5 * LATENCY_US);
}

static void ask_blocks(struct raw *raw, uint32_t handle, uint32_t first, uint8_t count) {
    struct block_request request = {.handle = handle, .first = first, .count = count};
    struct buf payload = {0};
    wire_block_request_encode(&payload, &request);
    raw_send(raw, raw->link, MSG_BLOCK_REQUEST, &payload);
}

static void ask_hashes(struct raw *raw, uint8_t layer, uint32_t first, uint16_t count) {
    struct hashes_request request = {.handle = 1, .layer = layer, .first = first, .count = count};
    struct buf payload = {0};
    wire_hashes_request_encode(&payload, &request);
    raw_send(raw, raw->link, MSG_HASHES_REQUEST, &payload);
    world_run_for(raw->node->world, 10 * LATENCY_US);
}

/* The last REJECT that came. */
static struct reject last_reject(const struct raw *raw) {
    struct reject reject;
    uint32_t count = raw_count(raw, MSG_REJECT);
    assert_true(count > 0);
    assert_int_equal(wire_reject_decode(raw_payload(raw, MSG_REJECT, count - 1), &reject), OK);
    return reject;
}

/* A reader that has opened the file. */
static struct raw *reader_of_file(struct world *world, const struct world_node *server,
                                  const struct world_file *file) {
    struct raw *raw = raw_add(world);
    assert_non_null(raw_dial(raw, server, PURPOSE_TRANSFER));
    open_file(raw, 1, &file->content);
    struct have have;
    assert_int_equal(wire_have_decode(raw_payload(raw, MSG_HAVE, 0), &have), OK);
    assert_true(have.all);
    return raw;
}

static void what_is_asked_for_comes(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 3 * MIB + 77, "whale.bin");
    struct world_node *server = cast_peer(world, file, 0);
    struct raw *reader = reader_of_file(world, server, file);
    ask_blocks(reader, 1, 190, 3);
    world_run_for(world, SECOND_US);
    assert_int_equal(raw_count(reader, MSG_BLOCK), 3);
    for (uint32_t i = 0; i < 3; i++) {
        struct block block;
        assert_int_equal(wire_block_decode(raw_payload(reader, MSG_BLOCK, i), &block), OK);
        assert_int_equal(block.handle, 1);
        assert_int_equal(block.index, 190 + i);
        assert_int_equal(block.data.len, i < 2 ? BLOCK_BYTES : 77);
        assert_memory_equal(block.data.data, file->bytes + (uint64_t)block.index * BLOCK_BYTES,
                            block.data.len);
    }
}

static void what_is_not_there_is_refused(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 3 * MIB, "whale.bin");
    struct world_node *server = cast_peer(world, file, 0);
    struct raw *reader = reader_of_file(world, server, file);
    struct content_id other = file->content;
    other.size++; /* the same root */
    open_file(reader, 2, &other);
    assert_int_equal(last_reject(reader).reason, REJECT_NOT_FOUND);
    assert_int_equal(last_reject(reader).handle, 2);
    for (uint32_t handle = 3; handle < 3 + SERVINGS_MAX; handle++) {
        open_file(reader, handle, &file->content);
    }
    assert_int_equal(last_reject(reader).reason, REJECT_BUSY); /* one handle too many */
    assert_int_equal(raw_count(reader, MSG_HAVE), SERVINGS_MAX);
    ask_blocks(reader, 1, 190, 3); /* beyond the end: no correct peer does that */
    world_run_for(world, SECOND_US);
    assert_null(reader->link);
    assert_int_equal(raw_count(reader, MSG_GOAWAY), 1);
}

static void too_many_blocks_are_refused(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 8 * MIB, "whale.bin");
    struct world_node *server = cast_peer(world, file, 64 * 1024);
    struct raw *reader = reader_of_file(world, server, file);
    for (uint32_t i = 0; i < 8; i++) {
        ask_blocks(reader, 1, i * 64, 64);
    }
    world_run_for(world, 10 * LATENCY_US);
    assert_in_range(raw_count(reader, MSG_REJECT), 3, 4); /* some blocks have left already */
    assert_int_equal(last_reject(reader).reason, REJECT_BUSY);
    assert_int_equal(last_reject(reader).count, 64);
    assert_non_null(reader->link);
}

static void a_changed_file_is_said_to_be(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 3 * MIB, "whale.bin");
    struct world_node *server = cast_peer(world, file, 0);
    struct raw *reader = reader_of_file(world, server, file);
    server->read_fails = ERR_CHANGED;
    ask_blocks(reader, 1, 7, 1);
    world_run_for(world, SECOND_US);
    assert_int_equal(last_reject(reader).reason, REJECT_CHANGED);
    assert_int_equal(last_reject(reader).first, 7);
    ask_hashes(reader, 0, 64, 64);
    assert_int_equal(last_reject(reader).reason, REJECT_CHANGED);
    server->read_fails = ERR_IO;
    ask_blocks(reader, 1, 8, 1);
    world_run_for(world, SECOND_US);
    assert_int_equal(last_reject(reader).reason, REJECT_IO);
}

static void slots_are_kept_and_the_queue_has_an_order(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 4 * MIB, "whale.bin");
    struct world_node *server = world_add(world);
    world_share(server, file);
    cast_start(server, 0, 2);
    struct raw *readers[5];
    for (int i = 0; i < 5; i++) {
        readers[i] = reader_of_file(world, server, file);
        ask_blocks(readers[i], 1, 0, 1);
        world_run_for(world, SECOND_US / 10);
    }
    for (int i = 0; i < 5; i++) {
        assert_int_equal(raw_count(readers[i], MSG_BLOCK), i < 2 ? 1 : 0);
    }
    assert_int_equal(last_reject(readers[2]).reason, REJECT_QUEUED);
    assert_int_equal(last_reject(readers[2]).queue_position, 1);
    assert_int_equal(last_reject(readers[4]).queue_position, 3);
    assert_true(last_reject(readers[2]).retry_after_ms > 0);
    world_kill(readers[3]->node); /* from the middle of the queue */
    world_run_for(world, SECOND_US / 10);
    struct shut_file shut = {.handle = 1};
    struct buf payload = {0};
    wire_shut_encode(&payload, &shut);
    raw_send(readers[0], readers[0]->link, MSG_SHUT, &payload);
    world_run_for(world, SECOND_US / 10);
    ask_blocks(readers[4], 1, 0, 1); /* last in the queue: not its turn */
    world_run_for(world, SECOND_US / 10);
    assert_int_equal(raw_count(readers[4], MSG_BLOCK), 0);
    ask_blocks(readers[2], 1, 0, 1);
    world_run_for(world, SECOND_US / 10);
    assert_int_equal(raw_count(readers[2], MSG_BLOCK), 1);
    /* Who asks no more loses the slot after a while, and those who left the queue do not count. */
    world_run_for(world, 15 * SECOND_US);
    ask_blocks(readers[4], 1, 0, 1);
    world_run_for(world, SECOND_US / 10);
    assert_int_equal(raw_count(readers[4], MSG_BLOCK), 1);
}

static void the_queue_has_an_end(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 3 * MIB, "whale.bin");
    struct world_node *server = world_add(world);
    world_share(server, file);
    cast_start(server, 16 * 1024, 1);
    ask_blocks(reader_of_file(world, server, file), 1, 0, 64); /* has the slot for a minute */
    uint32_t queued = 0;
    uint32_t busy = 0;
    for (uint32_t node = 0; node < 1 + UPLOAD_QUEUE_MAX / SERVINGS_MAX; node++) {
        struct raw *reader = reader_of_file(world, server, file);
        for (uint32_t handle = 1; handle <= SERVINGS_MAX; handle++) {
            if (handle > 1) {
                open_file(reader, handle, &file->content);
            }
            ask_blocks(reader, handle, 0, 1);
            world_run_for(world, 5 * LATENCY_US);
            struct reject reject = last_reject(reader);
            assert_int_equal(reject.handle, handle);
            queued += reject.reason == REJECT_QUEUED;
            busy += reject.reason == REJECT_BUSY;
        }
    }
    assert_int_equal(queued, UPLOAD_QUEUE_MAX);
    assert_int_equal(busy, (1 + UPLOAD_QUEUE_MAX / SERVINGS_MAX) * SERVINGS_MAX - UPLOAD_QUEUE_MAX);
}

/* Of eight slots the last one is for small files. */
static void eight_are_served_at_a_time(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 4 * MIB, "whale.bin");
    const struct world_file *small = world_make_file(world, 100000, "note.txt");
    struct world_node *server = cast_peer(world, file, 16 * 1024);
    world_share(server, small);
    for (int i = 0; i < 10; i++) {
        bool is_long = i < 8;
        bool waits = i == 7 || i == 9;
        struct raw *reader = reader_of_file(world, server, is_long ? file : small);
        ask_blocks(reader, 1, 0, is_long ? 64 : 7);
        world_run_for(world, 5 * LATENCY_US);
        assert_int_equal(raw_count(reader, MSG_REJECT), waits);
        assert_true(!waits || last_reject(reader).reason == REJECT_QUEUED);
    }
}

static void one_node_gets_two_slots(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 4 * MIB, "whale.bin");
    struct world_node *server = cast_peer(world, file, 0);
    struct raw *reader = reader_of_file(world, server, file);
    open_file(reader, 2, &file->content);
    open_file(reader, 3, &file->content);
    for (uint32_t handle = 1; handle <= 3; handle++) {
        ask_blocks(reader, handle, 0, 1);
    }
    world_run_for(world, SECOND_US);
    assert_int_equal(raw_count(reader, MSG_BLOCK), 2);
    assert_int_equal(last_reject(reader).handle, 3);
    assert_int_equal(last_reject(reader).reason, REJECT_BUSY);
}

static void a_stalled_reader_costs_little_and_hurts_nobody(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 8 * MIB, "whale.bin");
    struct world_node *server = cast_peer(world, file, 0);
    struct raw *stuck = reader_of_file(world, server, file);
    struct raw *reader = reader_of_file(world, server, file);
    stuck->node->reads_nothing = true;
    for (uint32_t i = 0; i < 4; i++) {
        ask_blocks(stuck, 1, i * 64, 64);
        ask_blocks(reader, 1, i * 64, 64);
    }
    world_run_for(world, SECOND_US);
    assert_int_equal(raw_count(reader, MSG_BLOCK), 256);
    uint64_t for_stuck = server->blocks_read - 256;
    assert_in_range(for_stuck, 16, LINK_OUTPUT_SOFT / BLOCK_BYTES + UPLOAD_FLIGHT_MAX + 1);
    world_run_for(world, SECOND_US);
    assert_int_equal(server->blocks_read - 256, for_stuck);
    world_read_again(stuck->node); /* it goes on where it was */
    world_run_for(world, SECOND_US);
    assert_int_equal(raw_count(stuck, MSG_BLOCK), 256);
    stuck->node->reads_nothing = true; /* and for good: the slot is not its for ever */
    for (uint32_t i = 4; i < 8; i++) {
        ask_blocks(stuck, 1, i * 64, 64);
    }
    world_run_for(world, (UPLOAD_STALL_MS + 1000) * 1000ull);
    assert_null(stuck->link);
}

static void the_upload_rate_is_kept_and_shared(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 8 * MIB, "whale.bin");
    struct world_node *server = cast_peer(world, file, MIB);
    struct raw *readers[2];
    for (int i = 0; i < 2; i++) {
        readers[i] = reader_of_file(world, server, file);
    }
    for (uint32_t i = 0; i < 4; i++) {
        ask_blocks(readers[0], 1, i * 64, 64);
    }
    ask_blocks(readers[1], 1, 0, 64);
    ask_blocks(readers[1], 1, 64, 64);
    world_run_for(world, 2 * SECOND_US);
    uint32_t first = raw_count(readers[0], MSG_BLOCK);
    uint32_t second = raw_count(readers[1], MSG_BLOCK);
    assert_in_range(first + second, 124, 136); /* 2 MiB and the burst */
    assert_in_range(second, first - 8, first + 8);
}

/* Verify the last HASHES as its receiver would. */
static enum err verify(const struct raw *raw, const struct content_id *content, uint32_t nth) {
    struct hashes hashes;
    assert_int_equal(wire_hashes_decode(raw_payload(raw, MSG_HASHES, nth), &hashes), OK);
    struct hash copy[HASHES_MAX];
    memcpy(copy, hashes.hashes.data, hashes.hashes.len);
    struct hash_run run = {.layer = hashes.layer,
                           .first = hashes.first,
                           .count = hashes.count,
                           .hashes = copy,
                           .proof_count = hashes.proof_count};
    memcpy(run.proof, hashes.proof.data, hashes.proof.len);
    return hashtree_verify(raw->node->env.crypto, content, &run);
}

static void hashes_come_with_proofs(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 5 * MIB + 40000, "whale.bin");
    const struct world_file *small = world_make_file(world, 40000, "small.bin");
    struct world_node *server = cast_peer(world, file, 0);
    world_share(server, small);
    struct raw *reader = reader_of_file(world, server, file);
    ask_hashes(reader, HASHTREE_PIECE_LAYER, 0, 8); /* two of them padding */
    ask_hashes(reader, HASHTREE_PIECE_LAYER, 4, 2);
    ask_hashes(reader, 0, 64, 64);
    ask_hashes(reader, 0, 320, 64); /* three blocks, the rest padding */
    ask_hashes(reader, 0, 68, 4);
    assert_int_equal(raw_count(reader, MSG_HASHES), 5);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(verify(reader, &file->content, i), OK);
    }
    ask_hashes(reader, 0, 0, 128); /* more than a piece */
    assert_int_equal(last_reject(reader).reason, REJECT_NOT_FOUND);
    ask_hashes(reader, 3, 0, 8);
    assert_int_equal(last_reject(reader).reason, REJECT_NOT_FOUND);
    struct raw *other = reader_of_file(world, server, small);
    ask_hashes(other, 0, 0, 4);
    assert_int_equal(verify(other, &small->content, 0), OK);
    ask_hashes(other, 0, 4, 4); /* beyond its tree */
    assert_null(other->link);
}

/* "A fetching peer serves what it has verified." */
/* A proof costs a pass over all hashes of a file, so that there are only so many in a second. */
static void proofs_are_rationed(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 3 * MIB, "whale.bin");
    struct world_node *server = cast_peer(world, file, 0);
    struct raw *reader = reader_of_file(world, server, file);
    struct peer *peer = server->node.self;
    ask_hashes(reader, 6, 0, 4);
    assert_int_equal(raw_count(reader, MSG_HASHES), 1);
    /* All is spent, and nothing comes back for a second. */
    peer->serve->proofs = (struct ratelimit){.spent_micro = UPLOAD_PROOF_HASHES_BURST * 1000000,
                                             .at_us = world->now_us + SECOND_US};
    ask_hashes(reader, 6, 0, 4);
    assert_int_equal(last_reject(reader).reason, REJECT_BUSY);
    world_run_for(world, 2 * SECOND_US);
    ask_hashes(reader, 6, 0, 4);
    assert_int_equal(raw_count(reader, MSG_HASHES), 2);
}

static void a_growing_file_is_served(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 8 * MIB, "whale.bin");
    cast_peer(world, file, MIB);
    struct world_node *middle = cast_peer(world, NULL, 0);
    world_run_for(world, 3 * SECOND_US);
    world_get(middle, file);
    world_run_for(world, 4 * SECOND_US + SECOND_US / 2);
    const struct world_part *part = world_part_of(middle, &file->content);
    struct raw *reader = raw_add(world);
    assert_non_null(raw_dial(reader, middle, PURPOSE_TRANSFER));
    open_file(reader, 1, &file->content);
    struct have have;
    assert_int_equal(wire_have_decode(raw_payload(reader, MSG_HAVE, 0), &have), OK);
    assert_false(have.all);
    assert_int_equal(have.bitmap.len, 1);
    assert_int_equal(have.bitmap.data[0], part->committed[0]);
    assert_true(part->committed[0] != 0 && part->committed[0] != 0xff);
    for (uint32_t piece = 0; piece < 8; piece++) {
        ask_blocks(reader, 1, piece * 64 + 5, 1);
        world_run_for(world, 10 * LATENCY_US);
        bool is_there = (have.bitmap.data[0] & (0x80 >> piece)) != 0;
        uint32_t blocks = raw_count(reader, MSG_BLOCK);
        struct block block = {0};
        if (is_there) {
            struct slice payload = raw_payload(reader, MSG_BLOCK, blocks - 1);
            assert_int_equal(wire_block_decode(payload, &block), OK);
            assert_int_equal(block.index, piece * 64 + 5);
            assert_memory_equal(block.data.data, file->bytes + block.index * (uint64_t)BLOCK_BYTES,
                                BLOCK_BYTES);
        } else {
            assert_int_equal(last_reject(reader).reason, REJECT_MISSING);
            assert_int_equal(last_reject(reader).first, piece * 64 + 5);
        }
    }
    ask_hashes(reader, HASHTREE_PIECE_LAYER, 0, 8);
    assert_int_equal(verify(reader, &file->content, 0), OK);
    world_run_for(world, 4 * SECOND_US); /* it grows on, and says so */
    assert_true(raw_count(reader, MSG_HAVE) >= 2);
}

/* Both ends of one link fetch from each other at the same time. */
static void either_end_may_ask(void **state) {
    struct world *world = *state;
    const struct world_file *one = world_make_file(world, 4 * MIB, "one.bin");
    const struct world_file *two = world_make_file(world, 4 * MIB, "two.bin");
    struct world_node *left = cast_peer(world, one, 2 * MIB);
    struct world_node *right = cast_peer(world, two, 2 * MIB);
    world_run_for(world, 3 * SECOND_US);
    uint64_t left_get = world_get(left, two);
    world_run_for(world, SECOND_US);
    right->is_hidden = false;
    left->is_hidden = true; /* so that only the present link can be used */
    uint64_t dials = right->dials;
    uint64_t right_get = world_get(right, one);
    cast_wait(left, left_get, 20 * SECOND_US);
    cast_wait(right, right_get, 20 * SECOND_US);
    cast_assert_fetched(left, left_get, two);
    cast_assert_fetched(right, right_get, one);
    assert_int_equal(right->dials, dials);
}

static void a_stranger_may_not_push_blocks(void **state) {
    struct world *world = *state;
    struct world_node *server = cast_peer(world, NULL, 0);
    struct raw *raw = raw_add(world);
    assert_non_null(raw_dial(raw, server, PURPOSE_TRANSFER));
    for (uint32_t i = 0; raw->link != NULL && i < 2 * FETCH_UNASKED_MAX; i++) {
        struct buf payload = {0};
        buf_u32(&payload, 1);
        buf_u32(&payload, i);
        buf_u8(&payload, 0);
        raw_send(raw, raw->link, MSG_BLOCK, &payload);
        world_run_for(world, 5 * LATENCY_US);
    }
    assert_null(raw->link);
}

/* ---- Files that are not for everybody ---- */

/* Two readers with a link each, and a file that is for the first one. */
struct closed {
    struct world_node *server;
    struct raw *named;
    struct raw *other;
    const struct world_file *file;
};

static struct raw *linked(struct world *world, const struct world_node *server) {
    struct raw *raw = raw_add(world);
    assert_non_null(raw_dial(raw, server, PURPOSE_TRANSFER));
    world_run_for(world, 5 * LATENCY_US);
    return raw;
}

static struct closed closed_stage(struct world *world, bool is_locked) {
    struct closed stage = {.server = cast_peer(world, NULL, 0)};
    stage.named = linked(world, stage.server);
    stage.other = linked(world, stage.server);
    stage.file = world_make_file(world, 3 * MIB, "whale.bin");
    world_share_for(stage.server, is_locked, 1, &stage.named->node->identity.id);
    world_share(stage.server, stage.file);
    return stage;
}

static void expect_refused(struct raw *raw, uint32_t handle, const struct content_id *content,
                           enum reject_reason reason) {
    raw_forget(raw);
    open_file(raw, handle, content);
    assert_int_equal(last_reject(raw).reason, reason);
    assert_int_equal(raw_count(raw, MSG_HAVE), 0);
    ask_blocks(raw, handle, 0, 1);
    ask_hashes(raw, 0, 64, 64);
    assert_int_equal(raw_count(raw, MSG_BLOCK) + raw_count(raw, MSG_HASHES), 0);
}

static void expect_served(struct raw *raw, const struct content_id *content) {
    open_file(raw, 1, content);
    assert_int_equal(raw_count(raw, MSG_HAVE), 1);
    ask_blocks(raw, 1, 0, 1);
    ask_hashes(raw, 0, 64, 64);
    assert_int_equal(raw_count(raw, MSG_BLOCK), 1);
    assert_int_equal(raw_count(raw, MSG_HASHES), 1);
}

static void only_who_is_named_is_served(void **state) {
    struct world *world = *state;
    struct closed stage = closed_stage(world, false);
    expect_served(stage.named, &stage.file->content);
    expect_refused(stage.other, 1, &stage.file->content, REJECT_NOT_FOUND);
    struct reject closed = last_reject(stage.other);
    struct content_id absent = stage.file->content;
    absent.size++;
    expect_refused(stage.other, 1, &absent, REJECT_NOT_FOUND);
    struct reject missing = last_reject(stage.other); /* nothing tells the two apart */
    assert_int_equal(closed.retry_after_ms, missing.retry_after_ms);
    assert_true(closed.first == missing.first && closed.count == missing.count);
}

static void a_locked_file_says_so(void **state) {
    struct world *world = *state;
    struct closed stage = closed_stage(world, true);
    expect_served(stage.named, &stage.file->content);
    expect_refused(stage.other, 1, &stage.file->content, REJECT_LOCKED);
}

/* In two folders: the more open one decides, whichever came first; and who had the file open when
 * it was closed to him gets no more of it. */
static void the_more_open_folder_wins(void **state) {
    struct world *world = *state;
    struct closed stage = closed_stage(world, true);
    uint32_t group = stage.server->share_group;
    stage.server->share_group = 0;
    world_share(stage.server, stage.file);
    uint64_t open_number = stage.server->shared_count;
    expect_served(stage.other, &stage.file->content);
    stage.server->share_group = group;
    world_share(stage.server, stage.file);
    struct node_event event = {.kind = NODE_UNSHARED, .shared = {.file = open_number}};
    world_step(stage.server, &event);
    raw_forget(stage.other);
    ask_blocks(stage.other, 1, 5, 1);
    ask_hashes(stage.other, 0, 64, 64);
    ask_hashes(stage.other, 6, 0, 2);
    assert_int_equal(raw_count(stage.other, MSG_BLOCK) + raw_count(stage.other, MSG_HASHES), 0);
    expect_refused(stage.other, 2, &stage.file->content, REJECT_LOCKED);
}

/* A group that is over, or was never told, is nobody's. */
static void no_group_is_nobody(void **state) {
    struct world *world = *state;
    struct closed stage = closed_stage(world, false);
    struct node_event event = {.kind = NODE_GROUP, .group = {.group = stage.server->share_group}};
    world_step(stage.server, &event);
    expect_refused(stage.named, 1, &stage.file->content, REJECT_NOT_FOUND);
    const struct world_file *file = world_make_file(world, 2 * MIB, "orca.bin");
    stage.server->share_group = 99;
    world_share(stage.server, file);
    expect_refused(stage.named, 2, &file->content, REJECT_NOT_FOUND);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(what_is_asked_for_comes),
        CASE(what_is_not_there_is_refused),
        CASE(too_many_blocks_are_refused),
        CASE(a_changed_file_is_said_to_be),
        CASE(slots_are_kept_and_the_queue_has_an_order),
        CASE(the_queue_has_an_end),
        CASE(eight_are_served_at_a_time),
        CASE(one_node_gets_two_slots),
        CASE(a_stalled_reader_costs_little_and_hurts_nobody),
        CASE(the_upload_rate_is_kept_and_shared),
        CASE(hashes_come_with_proofs),
        CASE(proofs_are_rationed),
        CASE(a_growing_file_is_served),
        CASE(either_end_may_ask),
        CASE(a_stranger_may_not_push_blocks),
        CASE(only_who_is_named_is_served),
        CASE(a_locked_file_says_so),
        CASE(the_more_open_folder_wins),
        CASE(no_group_is_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
