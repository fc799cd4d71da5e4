/* test_load.c - a leaf tells its parents how many upload slots are free and how many wait: once,
 * when it has changed, and never more often than once in LOAD_EVERY_MS. */
#include "tests/unit/peer_cast.h"
#include "tests/unit/peer_raw.h"

#define MIB (1024 * 1024ull)
#define LOADS_MAX 64
#define ALL_SLOTS (UPLOAD_SLOTS - 1) /* the last one is for small files only */

/* A supernode that takes every list and notes what it is told. */
struct parent_end {
    struct raw *raw;
    struct world *world;
    struct load loads[LOADS_MAX];
    uint64_t at_us[LOADS_MAX];
    uint32_t count;
};

static void take(struct raw *raw, struct link *link, uint8_t type, struct slice payload) {
    struct parent_end *end = raw->context;
    struct reg_state list;
    if (type == MSG_REG_BEGIN) {
        assert_int_equal(wire_reg_state_decode(payload, &list), OK);
        struct reg_status status = {.verdict = REG_DONE, .count = list.count, .root = list.root};
        struct buf answer = {0};
        wire_reg_status_encode(&answer, &status);
        links_send(link, MSG_REG_STATUS, (struct slice){answer.data, answer.len});
        buf_free(&answer);
    } else if (type == MSG_LOAD) {
        assert_true(end->count < LOADS_MAX);
        assert_int_equal(wire_load_decode(payload, &end->loads[end->count]), OK);
        end->at_us[end->count++] = end->world->now_us;
    }
}

/* Two parents, a peer, and who reads from it. */
struct stage {
    struct world *world;
    struct parent_end parents[PARENTS];
    struct world_node *peer;
    const struct world_file *file;
};

static int setup(void **state) {
    struct stage *stage = mem_new(sizeof *stage);
    stage->world = world_new(5);
    for (int i = 0; i < PARENTS; i++) {
        struct parent_end *end = &stage->parents[i];
        *end = (struct parent_end){.raw = raw_add(stage->world), .world = stage->world};
        end->raw->answer = take;
        end->raw->context = end;
    }
    stage->file = world_make_file(stage->world, 32 * MIB, "whale.bin");
    *state = stage;
    return 0;
}

static int teardown(void **state) {
    struct stage *stage = *state;
    world_free(stage->world);
    mem_free(stage);
    return 0;
}

static void start_peer(struct stage *stage, bool shares, uint64_t rate, uint32_t slots) {
    struct peer_config config = {.upload_bytes_per_s = rate, .upload_slots = slots};
    for (uint32_t i = 0; i < PARENTS; i++) {
        struct introducer *introducer = &config.introducers[config.introducer_count++];
        introducer->id = stage->world->nodes[i].identity.id;
        snprintf(introducer->host, sizeof introducer->host, "10.0.0.%u", i + 1);
        introducer->port = 7000;
    }
    stage->peer = world_add(stage->world);
    if (shares) {
        world_share(stage->peer, stage->file);
    }
    world_start(stage->peer, peer_new(&stage->peer->env, &config));
    world_run_for(stage->world, 3 * SECOND_US);
}

/* Have somebody ask for the first blocks of the file, in a moment, who takes them. */
static void read_blocks(struct stage *stage, struct raw *reader, uint32_t handle, uint8_t blocks) {
    struct open_file open = {.handle = handle, .content = stage->file->content};
    struct block_request request = {.handle = handle, .count = blocks};
    struct buf payload = {0};
    wire_open_encode(&payload, &open);
    raw_send(reader, reader->link, MSG_OPEN, &payload);
    wire_block_request_encode(&payload, &request);
    raw_send(reader, reader->link, MSG_BLOCK_REQUEST, &payload);
    world_run_for(stage->world, 20 * LATENCY_US);
}

static struct raw *reader_add(struct stage *stage, uint8_t blocks) {
    struct raw *reader = raw_add(stage->world);
    assert_non_null(raw_dial(reader, stage->peer, PURPOSE_TRANSFER));
    read_blocks(stage, reader, 1, blocks);
    return reader;
}

static void assert_told(const struct stage *stage, uint32_t count, uint8_t free_slots,
                        uint16_t queue) {
    for (int i = 0; i < PARENTS; i++) {
        const struct parent_end *end = &stage->parents[i];
        assert_int_equal(end->count, count);
        assert_int_equal(end->loads[count - 1].free_slots, free_slots);
        assert_int_equal(end->loads[count - 1].queue, queue);
    }
}

static void an_idle_leaf_tells_once(void **state) {
    struct stage *stage = *state;
    start_peer(stage, true, 0, 0);
    assert_told(stage, 1, ALL_SLOTS, 0);
    world_run_for(stage->world, 3600 * SECOND_US);
    assert_told(stage, 1, ALL_SLOTS, 0);
    world_share(stage->peer, world_make_file(stage->world, MIB, "song.ogg"));
    world_run_for(stage->world, 60 * SECOND_US); /* another list is no news of the slots */
    assert_told(stage, 1, ALL_SLOTS, 0);
    world_cut_all(stage->peer); /* who has forgotten us is told again */
    world_run_for(stage->world, 120 * SECOND_US);
    assert_told(stage, 2, ALL_SLOTS, 0);
}

static void who_shares_nothing_tells_nothing(void **state) {
    struct stage *stage = *state;
    start_peer(stage, false, 0, 0);
    world_run_for(stage->world, 60 * SECOND_US);
    assert_int_equal(stage->parents[0].count + stage->parents[1].count, 0);
    world_share(stage->peer, stage->file);
    world_run_for(stage->world, 60 * SECOND_US);
    assert_told(stage, 1, ALL_SLOTS, 0);
}

static void many_slots_are_told_as_so_many_or_more(void **state) {
    struct stage *stage = *state;
    start_peer(stage, true, 0, UPLOAD_SLOTS_CONFIG_MAX);
    assert_told(stage, 1, LOAD_SLOTS_MAX, 0);
}

/* A slot, then the queue, then nothing any more: each is told to both, the last though nobody is
 * served any more; and then it is quiet. */
static void what_has_changed_is_told(void **state) {
    struct stage *stage = *state;
    start_peer(stage, true, 64 * 1024, 1);
    assert_told(stage, 1, 1, 0);
    world_run_for(stage->world, 20 * SECOND_US);
    struct raw *first = reader_add(stage, 64);
    world_run_for(stage->world, 2 * SECOND_US);
    assert_told(stage, 2, 0, 0);
    struct raw *second = reader_add(stage, 64);
    struct raw *third = reader_add(stage, 64);
    world_run_for(stage->world, 6 * SECOND_US);
    assert_told(stage, 2, 0, 0); /* it is too early */
    world_run_for(stage->world, 6 * SECOND_US);
    assert_told(stage, 3, 0, 2);
    world_kill(third->node);
    world_kill(second->node);
    world_kill(first->node);
    world_run_for(stage->world, LOAD_EVERY_MS * 1000ull + SECOND_US);
    assert_told(stage, 4, 1, 0);
    world_run_for(stage->world, 3600 * SECOND_US);
    assert_told(stage, 4, 1, 0);
}

/* Slots that come and go all the time are not worth a word each. */
static void it_is_told_seldom(void **state) {
    struct stage *stage = *state;
    start_peer(stage, true, 0, 1);
    struct raw *reader = reader_add(stage, 1);
    uint64_t from_us = stage->world->now_us;
    for (uint32_t i = 1; i < 60; i++) {
        struct shut_file shut = {.handle = i};
        struct buf payload = {0};
        world_run_for(stage->world, (1 + i % 3) * SECOND_US);
        wire_shut_encode(&payload, &shut);
        raw_send(reader, reader->link, MSG_SHUT, &payload);
        world_run_for(stage->world, i % 2 * SECOND_US);
        read_blocks(stage, reader, i + 1, 1);
    }
    world_kill(reader->node);
    world_run_for(stage->world, 20 * SECOND_US);
    uint64_t steps = (stage->world->now_us - from_us) / (LOAD_EVERY_MS * 1000ull);
    for (int i = 0; i < PARENTS; i++) {
        const struct parent_end *end = &stage->parents[i];
        assert_in_range(end->count, 4, steps + 2);
        for (uint32_t k = 1; k < end->count; k++) {
            assert_true(end->at_us[k] - end->at_us[k - 1] >=
                        LOAD_EVERY_MS * 1000ull - 2 * LATENCY_US);
            bool is_same = end->loads[k].free_slots == end->loads[k - 1].free_slots &&
                           end->loads[k].queue == end->loads[k - 1].queue;
            assert_false(is_same);
        }
    }
    assert_int_equal(stage->parents[0].loads[stage->parents[0].count - 1].free_slots, 1);
}

/* Through a supernode to somebody who searches. */
static void a_search_shows_who_is_busy(void **state) {
    struct stage *stage = *state;
    struct world *world = world_new(6);
    cast_supernode(world);
    stage->file = world_make_file(world, 32 * MIB, "whale.bin");
    struct stage other = {.world = world, .file = stage->file, .peer = world_add(world)};
    world_share(other.peer, other.file);
    cast_start(other.peer, 64 * 1024, 1);
    struct world_node *asker = cast_peer(world, NULL, 0);
    world_run_for(world, 15 * SECOND_US);
    for (int busy = 0; busy < 2; busy++) {
        uint64_t search = world_command(asker, "search", "text", "whale");
        assert_true(cast_wait(asker, search, 10 * SECOND_US) < 10 * SECOND_US);
        const struct world_report *hit = world_reported(asker, search, "hit", 0);
        assert_non_null(hit);
        assert_int_equal(world_number(hit, "busy"), busy);
        assert_int_equal(world_number(hit, "free"), 1 - busy);
        (void)reader_add(&other, 64);
        world_run_for(world, 5 * SECOND_US);
    }
    world_free(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(an_idle_leaf_tells_once),
        TEST(who_shares_nothing_tells_nothing),
        TEST(many_slots_are_told_as_so_many_or_more),
        TEST(what_has_changed_is_told),
        TEST(it_is_told_seldom),
        TEST(a_search_shows_who_is_busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
