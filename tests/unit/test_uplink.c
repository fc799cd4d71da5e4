/* test_uplink.c - parents: found, registered with, lost and replaced; lists sent whole or named. */
#include "tests/unit/peer_cast.h"
#include "tests/unit/peer_raw.h"

/* A supernode's side of registration, as simple as can be. */
struct registry {
    struct reg_state held;  /* what it believes to hold */
    struct reg_state begun; /* last REG_BEGIN */
    struct hash *hashes;
    uint32_t count;
    uint32_t begins;
    uint32_t adds;
    uint32_t commits;
    uint32_t largest;   /* REG_ADD, bytes */
    bool refuses;       /* every list */
    bool falls_asleep;  /* reads nothing once it has asked for everything */
    bool never_content; /* asks for everything again and again */
};

static void send_status(struct link *link, enum reg_verdict verdict, const struct reg_state *held) {
    struct reg_status status = {.verdict = (uint8_t)verdict,
                                .sequence = held->sequence,
                                .count = held->count,
                                .root = held->root};
    struct buf payload = {0};
    wire_reg_status_encode(&payload, &status);
    links_send(link, MSG_REG_STATUS, (struct slice){payload.data, payload.len});
    buf_free(&payload);
}

static void take_begin(struct raw *raw, struct registry *registry, struct link *link,
                       struct slice payload) {
    assert_int_equal(wire_reg_state_decode(payload, &registry->begun), OK);
    registry->begins++;
    registry->count = 0;
    bool is_known = registry->begun.index_id == registry->held.index_id &&
                    memcmp(registry->begun.root.b, registry->held.root.b, HASH_BYTES) == 0;
    bool is_done = is_known && registry->commits > 0 && !registry->never_content;
    enum reg_verdict verdict = is_done ? REG_DONE : REG_SEND_ALL;
    send_status(link, registry->refuses ? REG_REFUSED : verdict, &registry->held);
    raw->node->reads_nothing = registry->falls_asleep;
}

static void take_add(struct raw *raw, struct registry *registry, struct slice payload) {
    struct reg_add add;
    assert_int_equal(wire_reg_add_decode(payload, &add), OK);
    registry->adds++;
    registry->largest =
        (uint32_t)payload.len > registry->largest ? (uint32_t)payload.len : registry->largest;
    registry->hashes = mem_resize(registry->hashes, registry->count + add.count, HASH_BYTES);
    struct reg_records records;
    struct file_record record;
    wire_reg_records_begin(&records, &add);
    while (wire_reg_records_next(&records, &record)) {
        wire_file_record_hash(&record, raw->node->env.crypto, &registry->hashes[registry->count++]);
    }
}

static void take_commit(struct raw *raw, struct registry *registry, struct link *link,
                        struct slice payload) {
    struct reg_state state;
    assert_int_equal(wire_reg_state_decode(payload, &state), OK);
    registry->commits++;
    struct hash root;
    assert_true(wire_list_root(raw->node->env.crypto, registry->hashes, registry->count, &root));
    assert_memory_equal(root.b, state.root.b, HASH_BYTES); /* what was promised was sent */
    assert_int_equal(registry->count, state.count);
    registry->held = state;
    send_status(link, registry->never_content ? REG_SEND_ALL : REG_DONE, &state);
}

static void answer(struct raw *raw, struct link *link, uint8_t type, struct slice payload) {
    struct registry *registry = raw->context;
    if (type == MSG_REG_BEGIN) {
        take_begin(raw, registry, link, payload);
    } else if (type == MSG_REG_ADD) {
        take_add(raw, registry, payload);
    } else if (type == MSG_REG_COMMIT) {
        take_commit(raw, registry, link, payload);
    }
}

/* Three supernodes without a mind, numbers 0 to 2, all of them introducers. */
struct stage {
    struct world *world;
    struct raw *supernodes[3];
    struct registry registries[3];
    struct peer_config config;
};

static int setup(void **state) {
    struct stage *stage = mem_new(sizeof *stage);
    stage->world = world_new(3);
    for (uint32_t i = 0; i < 3; i++) {
        stage->supernodes[i] = raw_add(stage->world);
        stage->supernodes[i]->answer = answer;
        stage->supernodes[i]->context = &stage->registries[i];
        struct introducer *introducer = &stage->config.introducers[i];
        introducer->id = stage->world->nodes[i].identity.id;
        snprintf(introducer->host, sizeof introducer->host, "10.0.0.%u", i + 1);
        introducer->port = 7000;
    }
    stage->config.introducer_count = 3;
    *state = stage;
    return 0;
}

static int teardown(void **state) {
    struct stage *stage = *state;
    world_free(stage->world);
    for (int i = 0; i < 3; i++) {
        mem_free(stage->registries[i].hashes);
    }
    mem_free(stage);
    return 0;
}

static struct world_node *start_peer(struct stage *stage) {
    struct world_node *node = world_add(stage->world);
    world_start(node, peer_new(&node->env, &stage->config));
    world_run_for(stage->world, SECOND_US);
    return node;
}

static uint32_t registered(const struct stage *stage) {
    uint32_t count = 0;
    for (int i = 0; i < 3; i++) {
        count += stage->registries[i].commits > 0 && stage->supernodes[i]->link != NULL;
    }
    return count;
}

static void share_some(struct world_node *node, uint64_t from, uint64_t count) {
    for (uint64_t i = from; i < from + count; i++) {
        char name[64];
        snprintf(name, sizeof name, "a song number %llu.ogg", (unsigned long long)i);
        struct node_event event = {.kind = NODE_SHARED};
        event.shared.file = 1000 + i;
        event.shared.content.size = i + 1;
        memcpy(event.shared.content.root.b, &i, sizeof i);
        event.shared.name = test_slice(name);
        world_step(node, &event);
    }
}

static void two_are_parents_and_one_stands_by(void **state) {
    struct stage *stage = *state;
    start_peer(stage);
    uint32_t open = 0;
    for (int i = 0; i < 3; i++) {
        open += stage->supernodes[i]->link != NULL;
        assert_int_equal(raw_count(stage->supernodes[i], MSG_REG_ADD), 0); /* nothing shared */
    }
    assert_int_equal(open, 3);
    assert_int_equal(registered(stage), PARENTS);
}

static void a_lost_parent_is_replaced_at_once(void **state) {
    struct stage *stage = *state;
    struct world_node *peer = start_peer(stage);
    uint32_t lost = stage->registries[0].commits > 0 ? 0 : 1;
    world_kill(stage->supernodes[lost]->node);
    world_run_for(stage->world, SECOND_US / 10);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(i == lost || stage->registries[i].commits > 0);
    }
    uint64_t dials = peer->dials;
    world_run_for(stage->world, 60 * SECOND_US); /* and the lost one is tried, ever more seldom */
    assert_in_range(peer->dials - dials, 3, 20);
    dials = peer->dials;
    world_run_for(stage->world, 600 * SECOND_US);
    assert_in_range(peer->dials - dials, 1, 20);
}

static void the_list_is_sent_once_and_then_named(void **state) {
    struct stage *stage = *state;
    struct world_node *peer = start_peer(stage);
    share_some(peer, 0, 200);
    world_run_for(stage->world, 5 * SECOND_US);
    uint32_t commits = 0;
    for (int i = 0; i < 3; i++) {
        const struct registry *registry = &stage->registries[i];
        assert_in_range(registry->commits, 0, 2); /* the empty list, and one for all 200 files */
        assert_true(registry->commits == 0 || registry->held.count == 200);
        commits += registry->commits;
    }
    assert_int_equal(commits, 2 * PARENTS);
    world_cut_all(peer);
    world_run_for(stage->world, 10 * SECOND_US);
    uint32_t adds = 0;
    for (int i = 0; i < 3; i++) {
        adds += stage->registries[i].adds;
    }
    /* At most one supernode had not seen it before. */
    assert_in_range(adds, PARENTS, 3);
    assert_int_equal(registered(stage) >= PARENTS, 1);
}

static void identity_of_the_list_outlives_the_process(void **state) {
    struct stage *stage = *state;
    struct world_node *peer = start_peer(stage);
    share_some(peer, 0, 3);
    world_run_for(stage->world, 5 * SECOND_US);
    struct reg_state before =
        stage->registries[0].commits > 0 ? stage->registries[0].held : stage->registries[1].held;
    world_kill(peer);
    world_run_for(stage->world, SECOND_US);
    stage->world->now_us += SECOND_US;
    peer->node = peer_new(&peer->env, &stage->config);
    struct node_event event = {.kind = NODE_START};
    world_step(peer, &event);
    share_some(peer, 0, 3);
    event = (struct node_event){.kind = NODE_SHARES_READY};
    world_step(peer, &event);
    world_run_for(stage->world, 5 * SECOND_US);
    for (int i = 0; i < 3; i++) {
        const struct registry *registry = &stage->registries[i];
        assert_true(registry->begins == 0 || registry->begun.index_id == before.index_id);
        assert_true(registry->begins == 0 || registry->begun.sequence == before.sequence);
    }
}

static void ten_thousand_files_go_in_bounded_batches(void **state) {
    struct stage *stage = *state;
    struct world_node *peer = start_peer(stage);
    share_some(peer, 0, LEAF_FILES_MAX + 50);
    world_run_for(stage->world, 20 * SECOND_US);
    uint32_t complete = 0;
    for (int i = 0; i < 3; i++) {
        const struct registry *registry = &stage->registries[i];
        complete += registry->held.count == LEAF_FILES_MAX;
        assert_true(registry->largest <= FRAME_PAYLOAD_MAX);
        assert_true(registry->adds == 0 || registry->adds >= LEAF_FILES_MAX / REG_RECORDS_MAX);
    }
    assert_int_equal(complete, PARENTS);
}

/* The world fails when LINK_OUTPUT_HARD is reached. */
static void a_supernode_that_does_not_read_is_not_flooded(void **state) {
    struct stage *stage = *state;
    struct world_node *peer = start_peer(stage);
    char name[200];
    for (uint64_t i = 0; i < LEAF_FILES_MAX; i++) {
        struct node_event event = {.kind = NODE_SHARED};
        event.shared.file = i + 1;
        event.shared.content.size = i + 1;
        event.shared.name = (struct slice){(const uint8_t *)name, sizeof name};
        for (size_t at = 0; at < sizeof name; at++) { /* nothing for deflate to find */
            name[at] = (char)('a' + rng_below(&stage->world->rng, 26));
        }
        world_step(peer, &event);
    }
    for (int i = 0; i < 3; i++) {
        stage->registries[i].falls_asleep = true;
    }
    world_run_for(stage->world, 10 * SECOND_US);
    for (int i = 0; i < 3; i++) {
        stage->registries[i].falls_asleep = false;
        world_read_again(stage->supernodes[i]->node);
    }
    world_run_for(stage->world, 20 * SECOND_US);
    uint32_t complete = 0;
    for (int i = 0; i < 3; i++) {
        complete += stage->registries[i].held.count == LEAF_FILES_MAX;
    }
    assert_int_equal(complete, PARENTS);
}

static void a_list_that_changes_on_its_way_ends_up_right(void **state) {
    struct stage *stage = *state;
    struct world_node *peer = start_peer(stage);
    share_some(peer, 0, 5000);
    for (uint64_t i = 0; i < 40; i++) {
        world_run_for(stage->world, SECOND_US / 4);
        share_some(peer, 5000 + i, 1);
    }
    world_run_for(stage->world, 20 * SECOND_US);
    uint32_t complete = 0;
    for (int i = 0; i < 3; i++) {
        complete += stage->registries[i].held.count == 5040;
        assert_in_range(stage->registries[i].begins, 0, 14); /* not one for every change */
    }
    assert_int_equal(complete, PARENTS);
}

static void a_refusal_leads_to_another(void **state) {
    struct stage *stage = *state;
    stage->registries[0].refuses = true;
    stage->registries[1].never_content = true;
    struct world_node *peer = start_peer(stage);
    share_some(peer, 0, 3);
    world_run_for(stage->world, 20 * SECOND_US);
    assert_true(stage->registries[2].held.count == 3);
    assert_in_range(stage->registries[0].begins, 1, 2);
    assert_in_range(stage->registries[1].begins, 1, 30);
    assert_true(stage->supernodes[0]->closed > 0);
}

static void a_full_supernode_names_others(void **state) {
    struct stage *stage = *state;
    struct raw *fourth = raw_add(stage->world);
    struct registry registry = {0};
    fourth->answer = answer;
    fourth->context = &registry;
    raw_begin(fourth);
    struct slice record = links_own_record(&fourth->links, NULL);
    for (int i = 0; i < 3; i++) {
        struct raw *full = stage->supernodes[i];
        full->refuses = true;
        full->refusal.retry_after_s = 60;
        full->refusal.alternatives.count = 1;
        full->refusal.alternatives.records[0] = record;
    }
    struct world_node *peer = start_peer(stage);
    assert_non_null(fourth->link);
    assert_int_equal(registry.commits, 1);
    assert_int_equal(peer->dials, 4);
    world_run_for(stage->world, 50 * SECOND_US);
    assert_int_equal(peer->dials, 4); /* retry_after is honoured */
    world_run_for(stage->world, 60 * SECOND_US);
    assert_true(peer->dials > 4);
}

/* The second fastest to be registered with is somebody who was not even known before. */
static void a_leaf_goes_where_it_is_sent_on_to(void **state) {
    struct stage *stage = *state;
    struct world_node *peer = start_peer(stage);
    struct raw *fourth = raw_add(stage->world);
    struct registry registry = {0};
    fourth->answer = answer;
    fourth->context = &registry;
    uint32_t parent = stage->registries[0].commits > 0 ? 0 : 1;
    uint32_t standby = 0;
    while (stage->registries[standby].commits > 0) {
        standby++;
    }
    struct raw *full = stage->supernodes[parent];
    raw_begin(fourth);
    struct goaway goaway = {.reason = GOAWAY_FULL, .retry_after_s = 60};
    goaway.alternatives.records[goaway.alternatives.count++] =
        links_own_record(&fourth->links, NULL);
    struct buf payload = {0};
    wire_goaway_encode(&payload, &goaway);
    raw_send(full, full->link, MSG_GOAWAY, &payload);
    world_run_for(stage->world, SECOND_US);
    assert_non_null(fourth->link);
    assert_int_equal(registry.commits, 1);
    assert_int_equal(stage->registries[standby].commits, 0); /* it goes on standing by */
    assert_int_equal(peer->dials, 4);
}

/* It is not there: who stands by takes the place. */
static void nobody_waits_for_one_that_does_not_come(void **state) {
    struct stage *stage = *state;
    start_peer(stage);
    struct raw *fourth = raw_add(stage->world);
    uint32_t parent = stage->registries[0].commits > 0 ? 0 : 1;
    struct raw *full = stage->supernodes[parent];
    raw_begin(fourth);
    struct goaway goaway = {.reason = GOAWAY_FULL, .retry_after_s = 600};
    goaway.alternatives.records[goaway.alternatives.count++] =
        links_own_record(&fourth->links, NULL);
    struct buf payload = {0};
    wire_goaway_encode(&payload, &goaway);
    world_kill(fourth->node);
    raw_send(full, full->link, MSG_GOAWAY, &payload);
    world_run_for(stage->world, (FILL_DIAL_MS + 1000) * 1000ull);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(i == parent || stage->registries[i].commits == 1);
    }
}

static void send_on(struct raw *raw) {
    struct goaway goaway = {.reason = GOAWAY_FULL, .retry_after_s = 600};
    struct buf payload = {0};
    wire_goaway_encode(&payload, &goaway);
    raw_send(raw, raw->link, MSG_GOAWAY, &payload);
}

/* Whoever sent it on had room for it. */
static void a_leaf_that_all_sent_on_comes_back(void **state) {
    struct stage *stage = *state;
    struct world_node *peer = start_peer(stage);
    for (int i = 0; i < 3; i++) { /* each while it indexes the leaf */
        for (int j = 0; j < 3; j++) {
            if (stage->supernodes[j]->link != NULL && stage->registries[j].commits > 0) {
                send_on(stage->supernodes[j]);
                world_run_for(stage->world, SECOND_US);
                break;
            }
        }
    }
    uint64_t dials = peer->dials;
    world_run_for(stage->world, 10 * SECOND_US);
    assert_in_range(registered(stage), PARENTS, 3);
    assert_true(peer->dials <= dials + 3); /* and does not try for ever */
}

static void send_nodes(struct raw *raw, struct link *link, uint8_t count) {
    struct nodes nodes = {.list.count = count};
    for (uint8_t i = 0; i < count; i++) {
        nodes.list.records[i] = links_own_record(&raw->links, link);
    }
    struct buf payload = {0};
    wire_nodes_encode(&payload, &nodes);
    links_send(link, MSG_NODES, (struct slice){payload.data, payload.len});
    buf_free(&payload);
}

/* Answers with as many records as asked for, then with one more. */
static void tell_of_nodes(struct raw *raw, struct link *link, uint8_t type, struct slice payload) {
    (void)payload;
    if (type == MSG_NODES_REQUEST) {
        uint32_t *told = raw->context;
        send_nodes(raw, link, (uint8_t)(*told < 1 ? NODES_WANTED : NODES_WANTED + 1));
        *told += 1;
    }
}

static void more_nodes_than_asked_for_are_refused(void **state) {
    struct stage *stage = *state;
    struct raw *teller = stage->supernodes[0];
    uint32_t told = 0;
    teller->answer = tell_of_nodes;
    teller->context = &told;
    stage->config.introducer_count = 1;
    start_peer(stage);
    assert_int_equal(told, 1);
    assert_int_equal(teller->closed, 0);
    world_run_for(stage->world, NODES_AGAIN_MS_MIN * 1000ull);
    assert_int_equal(told, 2);
    assert_int_equal(teller->closed, 1);
    assert_int_equal(teller->last_close, ERR_CLOSED);
    teller->context = &stage->registries[0];
}

static void a_scan_that_lasts_is_not_waited_for(void **state) {
    struct stage *stage = *state;
    struct world_node *peer = world_add(stage->world);
    peer->node = peer_new(&peer->env, &stage->config);
    struct node_event event = {.kind = NODE_START};
    world_step(peer, &event);
    share_some(peer, 0, 3);
    world_run_for(stage->world, 4 * SECOND_US);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(stage->registries[i].begins, 0);
        assert_non_null(stage->supernodes[i]->link); /* it can search meanwhile */
    }
    world_run_for(stage->world, 3 * SECOND_US);
    assert_int_equal(registered(stage), PARENTS);
}

static void a_silent_parent_is_left(void **state) {
    struct stage *stage = *state;
    stage->supernodes[0]->answer = NULL;
    stage->supernodes[1]->answer = NULL;
    start_peer(stage);
    world_run_for(stage->world, (PARENT_TIMEOUT_MS + 2000) * 1000ull);
    assert_int_equal(stage->registries[2].commits, 1);
    assert_true(stage->supernodes[0]->closed + stage->supernodes[1]->closed > 0);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(two_are_parents_and_one_stands_by),
        CASE(a_lost_parent_is_replaced_at_once),
        CASE(the_list_is_sent_once_and_then_named),
        CASE(identity_of_the_list_outlives_the_process),
        CASE(ten_thousand_files_go_in_bounded_batches),
        CASE(a_supernode_that_does_not_read_is_not_flooded),
        CASE(a_list_that_changes_on_its_way_ends_up_right),
        CASE(a_refusal_leads_to_another),
        CASE(a_full_supernode_names_others),
        CASE(a_leaf_goes_where_it_is_sent_on_to),
        CASE(nobody_waits_for_one_that_does_not_come),
        CASE(a_leaf_that_all_sent_on_comes_back),
        CASE(more_nodes_than_asked_for_are_refused),
        CASE(a_scan_that_lasts_is_not_waited_for),
        CASE(a_silent_parent_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
