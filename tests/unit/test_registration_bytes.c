/* test_registration_bytes.c - what a real peer and a real supernode send each other to register. */
#include "tests/unit/peer_cast.h"

#include "common/hashtree.h"
#include "supernode/core.h"
#include "tests/list_make.h"

#define LIST 1000
#define PIECES_MAX 2048 /* of the largest file */

struct stage {
    struct world *world;
    struct world_node *peer;
    struct list list;
};

static int setup(void **state) {
    struct stage *stage = mem_new(sizeof *stage);
    stage->world = world_new(1);
    cast_supernode(stage->world);
    read_titles(&stage->list);
    *state = stage;
    return 0;
}

static int teardown(void **state) {
    struct stage *stage = *state;
    world_free(stage->world);
    mem_free(stage);
    return 0;
}

static void tell(struct stage *stage, enum node_event_kind kind, uint32_t number) {
    const struct file_record *record = &stage->list.records[number];
    static const uint8_t pieces[PIECES_MAX * HASH_BYTES]; /* nobody asks for them here */
    uint32_t count = hashtree_pieces(record->content.size);
    assert_true(count > 0 && count <= PIECES_MAX);
    struct node_event event = {.kind = kind};
    event.shared.file = number + 1;
    event.shared.content = record->content;
    event.shared.name = record->name;
    event.shared.pieces = (struct slice){pieces, count > 1 ? (size_t)count * HASH_BYTES : 0};
    world_step(stage->peer, &event);
}

/* Start a peer that shares the first files of a list. */
static void start_peer(struct stage *stage, uint32_t count) {
    make_list(&stage->list, count);
    stage->peer = world_add(stage->world);
    struct peer_config config;
    cast_config(stage->world, &config);
    stage->peer->node = peer_new(&stage->peer->env, &config);
    struct node_event event = {.kind = NODE_START};
    world_step(stage->peer, &event);
    for (uint32_t i = 0; i < count; i++) {
        tell(stage, NODE_SHARED, i);
    }
    event = (struct node_event){.kind = NODE_SHARES_READY};
    world_step(stage->peer, &event);
}

static bool is_of_registration(uint8_t type) {
    return type == MSG_REG_BEGIN || type == MSG_REG_ADD || type == MSG_REG_REMOVE ||
           type == MSG_REG_COMMIT || type == MSG_REG_STATUS;
}

/* Bytes of frames of registration, heads included, both ways. */
static size_t count_frames(struct slice bytes) {
    struct frame frame;
    size_t used, sum = 0;
    enum err err;
    while (wire_frame_read(bytes, &frame, &used, &err)) {
        sum += is_of_registration(frame.type) ? used : 0;
        bytes.data += used;
        bytes.len -= used;
    }
    return sum;
}

/* What they send each other in the next twenty seconds. */
static size_t run_and_count(struct stage *stage) {
    struct world *world = stage->world;
    uint64_t until_us = world->now_us + 20 * SECOND_US;
    size_t bytes = 0;
    while (timers_next(&world->timers) <= until_us) {
        struct timer *timer = timers_take(&world->timers, timers_next(&world->timers));
        world->now_us = timer->due_us > world->now_us ? timer->due_us : world->now_us;
        struct world_item *item = timer->kind == WORLD_ITEM ? timer->owner : NULL;
        if (item != NULL) {
            bytes += item->is_bytes
                         ? count_frames((struct slice){item->owned.data, item->owned.len})
                         : 0;
            world_deliver(item);
        } else {
            struct node_event event = {.kind = NODE_TIMER};
            world_step(timer->owner, &event);
        }
    }
    return bytes;
}

static const struct supernode_counts *counts_of(const struct stage *stage) {
    const struct supernode *supernode = stage->world->nodes[0].node.self;
    return &supernode->counts;
}

static uint64_t files_held(const struct stage *stage) {
    const struct supernode *supernode = stage->world->nodes[0].node.self;
    return index_count(supernode->index).files;
}

/* 48 bytes a record of 1,000, of which 32 are the content's root. */
static void a_whole_list_is_packed(void **state) {
    struct stage *stage = *state;
    start_peer(stage, LIST);
    size_t bytes = run_and_count(stage);
    print_message("%.1f bytes a record\n", (double)bytes / LIST);
    assert_int_equal(files_held(stage), LIST);
    assert_int_equal(counts_of(stage)->registrations, 1);
    assert_in_range(bytes, 32 * LIST, 48 * LIST);
}

/* Of 10,000 files none or one has changed: tens of bytes, or a few hundred. */
static void a_long_list_is_not_sent_again(void **state) {
    struct stage *stage = *state;
    start_peer(stage, LONG_LIST);
    (void)run_and_count(stage);
    uint64_t held = files_held(stage);
    assert_true(held == LONG_LIST);
    world_cut_all(stage->peer);
    size_t unchanged = run_and_count(stage);
    assert_int_equal(counts_of(stage)->unchanged, 1);
    tell(stage, NODE_UNSHARED, LONG_LIST / 2);
    stage->list.records[LONG_LIST / 2].content.root.b[0] ^= 1;
    tell(stage, NODE_SHARED, LONG_LIST / 2);
    size_t changed = run_and_count(stage);
    print_message("%zu bytes unchanged, %zu with one changed file\n", unchanged, changed);
    assert_int_equal(counts_of(stage)->registrations, 1);
    assert_int_equal(counts_of(stage)->changes, 1);
    assert_true(files_held(stage) == held);
    assert_in_range(unchanged, 1, 99);
    assert_in_range(changed, 100, 400);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_whole_list_is_packed),
        CASE(a_long_list_is_not_sent_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
