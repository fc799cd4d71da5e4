/* test_peer_audit.c - a peer shows its supernodes single blocks of what it shares, however busy it
 * is, and no more than that. */
#include "tests/unit/peer_cast.h"
#include "tests/unit/peer_raw.h"

#define BLOCKS 10

struct stage {
    struct world *world;
    struct raw *parent;
    struct world_node *peer;
    const struct world_file *file;
};

/* A parent that believes all it is told. */
static void believe(struct raw *raw, struct link *link, uint8_t type, struct slice payload) {
    (void)raw;
    if (type != MSG_REG_BEGIN) {
        return;
    }
    struct reg_state list;
    assert_int_equal(wire_reg_state_decode(payload, &list), OK);
    struct reg_status status = {.verdict = REG_DONE, .count = list.count, .root = list.root};
    struct buf answer = {0};
    wire_reg_status_encode(&answer, &status);
    links_send(link, MSG_REG_STATUS, (struct slice){answer.data, answer.len});
    buf_free(&answer);
}

static int setup(void **state) {
    struct stage *stage = mem_new(sizeof *stage);
    stage->world = world_new(5);
    stage->parent = raw_add(stage->world);
    stage->parent->answer = believe;
    stage->peer = world_add(stage->world);
    stage->file = world_make_file(stage->world, (BLOCKS - 1) * BLOCK_BYTES + 9, "a whale.ogg");
    world_share(stage->peer, stage->file);
    cast_start(stage->peer, 1000, 1); /* bytes a second, one slot */
    world_run_for(stage->world, SECOND_US);
    assert_non_null(stage->parent->link);
    *state = stage;
    return 0;
}

static int teardown(void **state) {
    struct stage *stage = *state;
    world_free(stage->world);
    mem_free(stage);
    return 0;
}

static void send_open(struct raw *raw, uint32_t handle, const struct content_id *content) {
    struct open_file open = {.handle = handle, .content = *content};
    struct buf payload = {0};
    wire_open_encode(&payload, &open);
    raw_send(raw, raw->link, MSG_OPEN, &payload);
}

static void send_requests(struct raw *raw, uint32_t handle, uint32_t block, uint8_t count) {
    struct block_request request = {.handle = handle, .first = block, .count = count};
    struct hashes_request proof = {.handle = handle, .first = block, .count = 1};
    struct buf payload = {0};
    wire_block_request_encode(&payload, &request);
    raw_send(raw, raw->link, MSG_BLOCK_REQUEST, &payload);
    wire_hashes_request_encode(&payload, &proof);
    raw_send(raw, raw->link, MSG_HASHES_REQUEST, &payload);
}

/* Ask for a block as a supernode does, and let a moment pass. */
static void audit(struct stage *stage, uint32_t handle, uint32_t block,
                  const struct content_id *content) {
    raw_forget(stage->parent);
    send_open(stage->parent, handle, content);
    send_requests(stage->parent, handle, block, 1);
    world_run_for(stage->world, SECOND_US / 2);
}

/* Both answers are there and prove the block. */
static void expect_shown(struct stage *stage, uint32_t handle, uint32_t index) {
    struct block block;
    struct hashes hashes;
    assert_int_equal(wire_block_decode(raw_payload(stage->parent, MSG_BLOCK, 0), &block), OK);
    assert_int_equal(wire_hashes_decode(raw_payload(stage->parent, MSG_HASHES, 0), &hashes), OK);
    assert_int_equal(block.handle, handle);
    assert_int_equal(block.index, index);
    assert_int_equal(block.data.len, hashtree_block_bytes(stage->file->content.size, index));
    struct hash hash;
    crypto_hash(stage->peer->env.crypto, block.data, &hash);
    struct hash_run run = {.first = index, .count = 1, .hashes = &hash};
    run.proof_count = hashes.proof_count;
    memcpy(run.proof, hashes.proof.data, hashes.proof.len);
    assert_int_equal(hashtree_verify(stage->peer->env.crypto, &stage->file->content, &run), OK);
}

static enum reject_reason rejected(const struct stage *stage) {
    struct reject reject;
    assert_int_equal(wire_reject_decode(raw_payload(stage->parent, MSG_REJECT, 0), &reject), OK);
    return (enum reject_reason)reject.reason;
}

static void every_block_can_be_shown(void **state) {
    struct stage *stage = *state;
    for (uint32_t i = 0; i < BLOCKS; i++) {
        audit(stage, i + 1, i, &stage->file->content);
        expect_shown(stage, i + 1, i);
        assert_int_equal(raw_count(stage->parent, MSG_HAVE), 1);
        assert_int_equal(raw_count(stage->parent, MSG_REJECT), 0);
        world_run_for(stage->world, 60 * SECOND_US);
    }
}

/* Its one slot is taken and its rate used up. */
static void a_busy_peer_shows_all_the_same(void **state) {
    struct stage *stage = *state;
    struct raw *reader = raw_add(stage->world);
    raw_dial(reader, stage->peer, PURPOSE_TRANSFER);
    send_open(reader, 1, &stage->file->content);
    struct block_request request = {.handle = 1, .first = 0, .count = BLOCKS};
    struct buf payload = {0};
    wire_block_request_encode(&payload, &request);
    raw_send(reader, reader->link, MSG_BLOCK_REQUEST, &payload);
    world_run_for(stage->world, SECOND_US);
    assert_true(raw_count(reader, MSG_BLOCK) < BLOCKS);
    audit(stage, 1, 3, &stage->file->content);
    expect_shown(stage, 1, 3);
}

static void what_is_not_shared_is_refused(void **state) {
    struct stage *stage = *state;
    struct content_id other = stage->file->content;
    other.size++;
    audit(stage, 1, 0, &other);
    assert_int_equal(rejected(stage), REJECT_NOT_FOUND);
    assert_int_equal(raw_count(stage->parent, MSG_REJECT), 1); /* the rest is ignored */
    struct node_event event = {.kind = NODE_UNSHARED};
    event.shared.file = 1;
    world_step(stage->peer, &event);
    audit(stage, 2, 0, &stage->file->content);
    assert_int_equal(rejected(stage), REJECT_NOT_FOUND);
    assert_non_null(stage->parent->link);
}

/* How many files the last list that was offered holds. */
static uint32_t offered(const struct stage *stage) {
    struct reg_state list;
    uint32_t count = raw_count(stage->parent, MSG_REG_BEGIN);
    struct slice last = raw_payload(stage->parent, MSG_REG_BEGIN, count - 1);
    assert_int_equal(wire_reg_state_decode(last, &list), OK);
    return list.count;
}

/* Share it again for some other node, and let the list be told. */
static void share_closed(struct stage *stage, const struct world_file *file, bool is_locked) {
    struct node_id other = {{7}};
    world_share_for(stage->peer, is_locked, 1, &other);
    world_share(stage->peer, file);
    world_run_for(stage->world, 60 * SECOND_US);
}

/* What is for some is neither registered nor shown; what is locked is registered and proven, its
 * bytes stay where they are; what is open beside that is listed once. */
static void what_is_not_for_everybody_is_not_shown(void **state) {
    struct stage *stage = *state;
    const struct world_file *file = world_make_file(stage->world, 3 * BLOCK_BYTES, "orca.ogg");
    assert_int_equal(offered(stage), 1);
    share_closed(stage, file, false);
    assert_int_equal(offered(stage), 1);
    audit(stage, 1, 0, &file->content);
    assert_int_equal(rejected(stage), REJECT_NOT_FOUND);
    share_closed(stage, stage->file, true);
    if (raw_count(stage->parent, MSG_REG_BEGIN) > 0) {
        assert_int_equal(offered(stage), 1);
    }
    share_closed(stage, file, true);
    assert_int_equal(offered(stage), 2);
    audit(stage, 2, 1, &file->content);
    assert_int_equal(rejected(stage), REJECT_LOCKED);
    assert_int_equal(raw_count(stage->parent, MSG_BLOCK), 0);
    assert_int_equal(raw_count(stage->parent, MSG_HASHES), 1);
    struct node_event event = {.kind = NODE_UNSHARED, .shared = {.file = 1}};
    raw_forget(stage->parent);
    world_step(stage->peer, &event); /* the open one: its locked twin takes its place */
    world_run_for(stage->world, 60 * SECOND_US);
    assert_int_equal(offered(stage), 2);
}

static void what_cannot_be_read_is_refused(void **state) {
    struct stage *stage = *state;
    stage->peer->read_fails = ERR_CHANGED;
    audit(stage, 1, 0, &stage->file->content);
    assert_int_equal(rejected(stage), REJECT_CHANGED);
    assert_int_equal(raw_count(stage->parent, MSG_REJECT), 2);
    assert_int_equal(raw_count(stage->parent, MSG_BLOCK), 0);
}

/* Audits are no way to fetch a file. */
static void one_block_is_shown_at_a_time(void **state) {
    struct stage *stage = *state;
    audit(stage, 1, 0, &stage->file->content);
    send_requests(stage->parent, 1, 1, 1);
    world_run_for(stage->world, SECOND_US);
    assert_int_equal(raw_count(stage->parent, MSG_BLOCK), 1);
    assert_int_equal(raw_count(stage->parent, MSG_HASHES), 1);
    assert_int_equal(rejected(stage), REJECT_BUSY);
    for (uint32_t i = 2; i <= AUDITS_BURST; i++) {
        audit(stage, i, 0, &stage->file->content);
        assert_int_equal(raw_count(stage->parent, MSG_BLOCK), 1);
    }
    audit(stage, 9, 0, &stage->file->content);
    assert_int_equal(raw_count(stage->parent, MSG_BLOCK), 0);
    assert_int_equal(rejected(stage), REJECT_BUSY);
    assert_non_null(stage->parent->link);
    send_open(stage->parent, 10, &stage->file->content);
    world_run_for(stage->world, 60 * SECOND_US);
    audit(stage, 11, 0, &stage->file->content);
    send_requests(stage->parent, 11, 0, 2); /* more than one at once */
    world_run_for(stage->world, SECOND_US / 10);
    assert_int_equal(stage->parent->closed, 1);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(every_block_can_be_shown),      CASE(a_busy_peer_shows_all_the_same),
        CASE(what_is_not_shared_is_refused), CASE(what_cannot_be_read_is_refused),
        CASE(one_block_is_shown_at_a_time),  CASE(what_is_not_for_everybody_is_not_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
