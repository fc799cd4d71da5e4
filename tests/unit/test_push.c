/* test_push.c - callbacks: who is called, who may call, and that no victim is called for others. */
#include "tests/unit/peer_cast.h"
#include "tests/unit/peer_raw.h"

#define MIB (1024 * 1024ull)

static int setup(void **state) {
    *state = world_new(5);
    return 0;
}

static int teardown(void **state) {
    world_free(*state);
    return 0;
}

static void a_source_that_cannot_be_dialled_calls_back(void **state) {
    struct world *world = *state;
    cast_supernode(world);
    const struct world_file *file = world_make_file(world, 3 * MIB, "whale.bin");
    struct world_node *source = cast_peer(world, file, 0);
    source->is_hidden = true;
    struct world_node *asker = cast_peer(world, NULL, 0);
    world_run_for(world, 3 * SECOND_US);
    uint64_t source_dials = source->dials;
    uint64_t asker_dials = asker->dials;
    uint64_t get = world_get(asker, file);
    assert_true(cast_wait(asker, get, 30 * SECOND_US) < 5 * SECOND_US);
    cast_assert_fetched(asker, get, file);
    assert_int_equal(source->dials - source_dials, 1);
    assert_int_equal(asker->dials - asker_dials, 0);
}

/* Fetch from each other at the same time while only one link can be had: the one that `began` has
 * begun. */
static void fetch_both_ways(struct world_node *began, const struct world_file *of_began,
                            struct world_node *other, const struct world_file *of_other) {
    struct world *world = began->world;
    uint64_t get_other = world_get(other, of_began); /* the one who was called asks first ... */
    world_run_for(world, SECOND_US);
    began->is_hidden = true;
    other->is_hidden = true;
    uint64_t dials = began->dials + other->dials;
    uint64_t get_began = world_get(began, of_other); /* ... and then the one who called */
    world_run_for(world, SECOND_US);
    for (int i = 0; i < 2; i++) { /* both are on their way */
        struct world_node *node = i == 0 ? began : other;
        uint64_t command = world_command(node, "downloads", NULL, NULL);
        world_run_for(world, 10 * LATENCY_US);
        const struct world_report *report = world_reported(node, command, "download", 0);
        assert_non_null(report);
        assert_int_equal(world_number(report, "sources"), 1);
    }
    assert_true(cast_wait(began, get_began, 20 * SECOND_US) < 20 * SECOND_US);
    assert_true(cast_wait(other, get_other, 20 * SECOND_US) < 20 * SECOND_US);
    cast_assert_fetched(began, get_began, of_other);
    cast_assert_fetched(other, get_other, of_began);
    assert_int_equal(began->dials + other->dials, dials);
}

/* The link is the source's, which was asked to call: both ends fetch on it. */
static void both_ends_may_ask_on_a_callback(void **state) {
    struct world *world = *state;
    cast_supernode(world);
    const struct world_file *whale = world_make_file(world, 6 * MIB, "whale.bin");
    const struct world_file *orca = world_make_file(world, 6 * MIB, "orca.bin");
    struct world_node *source = cast_peer(world, whale, MIB);
    struct world_node *asker = cast_peer(world, orca, MIB);
    source->is_hidden = true;
    world_run_for(world, 3 * SECOND_US);
    uint64_t asker_dials = asker->dials, source_dials = source->dials;
    fetch_both_ways(source, whale, asker, orca);
    assert_int_equal(asker->dials, asker_dials);
    assert_int_equal(source->dials, source_dials + 1);
}

/* A link that was dialled for files is for both ends likewise, also when its acceptor asks first
 * for something else than it was dialled for. */
static void both_ends_may_ask_on_a_transfer_link(void **state) {
    struct world *world = *state;
    cast_supernode(world);
    const struct world_file *whale = world_make_file(world, 6 * MIB, "whale.bin");
    const struct world_file *orca = world_make_file(world, 6 * MIB, "orca.bin");
    const struct world_file *seal = world_make_file(world, 6 * MIB, "seal.bin");
    struct world_node *left = cast_peer(world, whale, MIB);
    struct world_node *right = cast_peer(world, orca, MIB);
    world_share(right, seal);
    world_run_for(world, 3 * SECOND_US);
    uint64_t first = world_get(left, seal); /* this dials */
    world_run_for(world, SECOND_US);
    uint64_t dials = right->dials;
    fetch_both_ways(left, whale, right, orca);
    assert_int_equal(right->dials, dials);
    assert_true(cast_wait(left, first, 20 * SECOND_US) < 20 * SECOND_US);
    cast_assert_fetched(left, first, seal);
}

/* A peer at a supernode without a mind, which takes every list. */
struct stage {
    struct raw *supernode;
    struct world_node *peer;
};

static void take_list(struct raw *raw, struct link *link, uint8_t type, struct slice payload) {
    (void)raw;
    (void)payload;
    if (type == MSG_REG_BEGIN) {
        struct reg_status status = {.verdict = REG_DONE};
        struct buf answer = {0};
        wire_reg_status_encode(&answer, &status);
        links_send(link, MSG_REG_STATUS, (struct slice){answer.data, answer.len});
        buf_free(&answer);
    }
}

static struct stage start_stage(struct world *world) {
    struct stage stage = {.supernode = raw_add(world)};
    stage.supernode->answer = take_list;
    stage.peer = cast_peer(world, NULL, 0);
    world_run_for(world, SECOND_US);
    assert_non_null(stage.supernode->link);
    return stage;
}

/* Have the supernode pass on that `requester` wants to be called at its own address. */
static void send_push(const struct stage *stage, struct raw *requester) {
    struct push push = {.target = stage->peer->identity.id, .nonce = {7}};
    raw_begin(requester);
    push.requester = links_own_record(&requester->links, NULL);
    struct buf payload = {0};
    wire_push_encode(&payload, &push);
    raw_end(requester);
    raw_send(stage->supernode, stage->supernode->link, MSG_PUSH, &payload);
}

/* Whoever signs it can name a victim: its address is called once in ten minutes, whoever asks. */
static void a_victim_is_called_once(void **state) {
    struct world *world = *state;
    struct stage stage = start_stage(world);
    struct raw *attackers[2];
    for (int i = 0; i < 2; i++) {
        attackers[i] = raw_add(world);
        attackers[i]->node->env.listen[0] = test_address(4711, 80);
        attackers[i]->node->is_hidden = true; /* it is not there itself */
    }
    uint64_t before = stage.peer->dials;
    for (uint32_t second = 0; second < PUSH_AGAIN_MS / 1000 - 10; second += 20) {
        send_push(&stage, attackers[second / 20 % 2]);
        world_run_for(world, 20 * SECOND_US);
    }
    assert_int_equal(stage.peer->dials - before, 1);
    world_run_for(world, 40 * SECOND_US);
    send_push(&stage, attackers[0]);
    world_run_for(world, SECOND_US);
    assert_int_equal(stage.peer->dials - before, 2);
}

static void a_push_is_for_its_target_alone(void **state) {
    struct world *world = *state;
    struct stage stage = start_stage(world);
    struct raw *requester = raw_add(world);
    uint64_t before = stage.peer->dials;
    stage.peer->identity.id.b[0] ^= 1; /* what send_push names; the peer keeps its own in env */
    send_push(&stage, requester);
    stage.peer->identity.id.b[0] ^= 1;
    world_run_for(world, SECOND_US);
    assert_int_equal(stage.peer->dials, before);
    assert_true(stage.supernode->closed > 0);
}

/* ---- The supernode that answered ---- */

/* Answer every LOCATE with a holder that needs a callback through a supernode that nobody saw. */
struct lie {
    struct slice answerer; /* record */
    const struct world_file *file;
    uint32_t told;
};

static void tell_lies(struct raw *raw, struct link *link, uint8_t type, struct slice payload) {
    struct lie *lie = raw->context;
    struct query_header query;
    if (type != MSG_LOCATE) {
        return;
    }
    assert_int_equal(wire_query_decode(payload, &query), OK);
    struct hits *hits = mem_new(sizeof *hits);
    *hits = (struct hits){.ttl = query.ttl, .last = true, .answerer = lie->answerer};
    wire_query_id(query.body, raw->node->env.crypto, &hits->id);
    hits->holder_count = 1;
    hits->holders[0].id.b[0] = (uint8_t)++lie->told; /* another one each time */
    hits->hit_count = 1;
    hits->hits[0] = (struct hit){.holder_count = 1};
    hits->hits[0].file.content = lie->file->content;
    hits->hits[0].file.name = test_slice(lie->file->name);
    struct buf answer = {0};
    wire_hits_encode(&answer, hits);
    links_send(link, MSG_HITS, (struct slice){answer.data, answer.len});
    buf_free(&answer);
    mem_free(hits);
}

static void a_made_up_supernode_is_dialled_once(void **state) {
    struct world *world = *state;
    struct stage stage = start_stage(world);
    struct raw *attacker = raw_add(world);
    attacker->node->env.listen[0] = test_address(4711, 80);
    attacker->node->is_hidden = true;
    raw_begin(attacker);
    struct slice record = links_own_record(&attacker->links, NULL);
    struct lie lie = {.answerer = {mem_copy(record.data, record.len), record.len},
                      .file = world_make_file(world, MIB, "whale.bin")};
    raw_end(attacker);
    stage.supernode->answer = tell_lies;
    stage.supernode->context = &lie;
    uint64_t before = stage.peer->dials;
    world_get(stage.peer, lie.file);
    world_run_for(world, (UNPROVEN_DIAL_MS - 20000) * 1000ull);
    assert_true(lie.told >= 3);
    assert_int_equal(stage.peer->dials - before, 1);
    mem_free((void *)(uintptr_t)lie.answerer.data);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_source_that_cannot_be_dialled_calls_back),
        CASE(both_ends_may_ask_on_a_callback),
        CASE(both_ends_may_ask_on_a_transfer_link),
        CASE(a_victim_is_called_once),
        CASE(a_push_is_for_its_target_alone),
        CASE(a_made_up_supernode_is_dialled_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
