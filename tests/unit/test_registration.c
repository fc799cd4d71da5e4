/* test_registration.c - a peer and its supernodes agree on its list in the end, whatever breaks.
 *
 * Links are cut inside and between messages, either side is killed and comes back, the peer's store
 * goes back in time, and files come, go and change meanwhile. Then all is quiet, and every
 * supernode must hold, and show, exactly what is shared. */
#include "tests/unit/peer_cast.h"

#include "supernode/core.h"

#define SUPERNODES 2
#define POOL 40 /* files that may be shared */
#define TWINS 8 /* of these the last ones are copies of the first */
#define CONTENT_BYTES 4
#define QUIET_US (1500 * SECOND_US) /* audits come meanwhile */
#define SEEDS 400
#define SLICE_COST_MAX 200 /* a list of POOL records costs 900 */

struct play {
    struct world *world;
    struct peer_config config;
    struct world_node *peer;
    uint32_t version[POOL]; /* 0 = not shared, else which content the file has */
    struct buf old_state;   /* of the peer's registration */
};

/* How often what was taken, over all seeds: a test that never meets a difference shows nothing. */
static struct supernode_counts sums;

/* ---- Files ---- */

static uint32_t twin_of(uint32_t file) {
    return file >= POOL - TWINS ? file - (POOL - TWINS) : file;
}

/* The bytes of a file, which has one block. */
static const uint8_t *bytes_of(uint32_t file, uint32_t version) {
    static uint8_t bytes[CONTENT_BYTES];
    bytes[0] = (uint8_t)twin_of(file);
    bytes[1] = (uint8_t)version;
    return bytes;
}

static struct content_id content_of(struct play *play, uint32_t file, uint32_t version) {
    struct content_id content = {.size = CONTENT_BYTES};
    struct slice bytes = {bytes_of(file, version), CONTENT_BYTES};
    crypto_hash(play->peer->env.crypto, bytes, &content.root);
    return content;
}

/* What the peer's disk has, as of now. */
static const uint8_t *read_file(const struct world_node *node, uint64_t file) {
    const struct play *play = node->world->context;
    uint32_t number = (uint32_t)file - 1;
    return play->version[number] > 0 ? bytes_of(number, play->version[number]) : NULL;
}

static void tell(struct play *play, uint32_t file) {
    char name[64];
    uint32_t twin = twin_of(file);
    struct node_event event = {.kind = play->version[file] > 0 ? NODE_SHARED : NODE_UNSHARED};
    snprintf(name, sizeof name, "%s song %02u take.ogg", twin % 3 == 0 ? "Blue" : "Red", twin);
    event.shared.file = file + 1;
    event.shared.content = content_of(play, file, play->version[file]);
    event.shared.name = test_slice(name);
    if (play->peer->node.ops != NULL) {
        world_step(play->peer, &event);
    }
}

static void change(struct play *play) {
    uint32_t file = (uint32_t)rng_below(&play->world->rng, POOL);
    play->version[file] = (uint32_t)rng_below(&play->world->rng, 3);
    tell(play, file);
}

/* ---- Nodes ---- */

static void start_supernode(struct play *play, uint32_t number) {
    struct world_node *node = &play->world->nodes[number];
    struct supernode_config config = {0};
    node->node = supernode_new(&node->env, &config);
    /* Lists are short here, so slices are too: trouble comes between them. */
    struct supernode *supernode = node->node.self;
    supernode->intake.slice_cost = 1 + (uint32_t)rng_below(&play->world->rng, SLICE_COST_MAX);
    struct node_event event = {.kind = NODE_START};
    world_step(node, &event);
}

static void add_counts(const struct world_node *node) {
    const struct supernode *supernode = node->node.self;
    sums.registrations += supernode->counts.registrations;
    sums.changes += supernode->counts.changes;
    sums.mismatches += supernode->counts.mismatches;
    sums.unchanged += supernode->counts.unchanged;
    sums.audits += supernode->counts.audits;
    sums.audits_failed += supernode->counts.audits_failed;
}

static void restart_supernode(struct play *play) {
    uint32_t number = (uint32_t)rng_below(&play->world->rng, SUPERNODES);
    add_counts(&play->world->nodes[number]);
    world_kill(&play->world->nodes[number]);
    start_supernode(play, number);
}

/* A supernode is wrong about which list it holds, so that a difference starts from another one. */
static void confuse(struct play *play) {
    uint32_t number = (uint32_t)rng_below(&play->world->rng, SUPERNODES);
    struct supernode *supernode = play->world->nodes[number].node.self;
    struct leaf *leaf = map_get(&supernode->leaves, play->peer->identity.id.b);
    if (leaf != NULL && leaf->held.sequence > 1) {
        leaf->held.sequence += rng_below(&play->world->rng, 2) == 0 ? 1 : UINT64_MAX;
    }
}

static const struct slice state_key = {(const uint8_t *)"registration", 12};

static void start_peer(struct play *play) {
    play->peer->node = peer_new(&play->peer->env, &play->config);
    struct node_event event = {.kind = NODE_START};
    world_step(play->peer, &event);
    for (uint32_t i = 0; i < POOL; i++) {
        if (play->version[i] > 0) {
            tell(play, i);
        }
    }
    event = (struct node_event){.kind = NODE_SHARES_READY};
    world_step(play->peer, &event);
}

/* Now and then its store is one from before, as after a restored backup. */
static void restart_peer(struct play *play) {
    struct slice value;
    world_kill(play->peer);
    uint64_t how = rng_below(&play->world->rng, 4);
    if (how == 0 && play->old_state.len > 0) {
        struct slice old = {play->old_state.data, play->old_state.len};
        store_put(play->peer->store, STORE_META, state_key, old);
    } else if (how == 1 && store_get(play->peer->store, STORE_META, state_key, &value)) {
        buf_free(&play->old_state);
        buf_append(&play->old_state, value.data, value.len);
    }
    start_peer(play);
}

static struct play *play_new(uint64_t seed) {
    struct play *play = mem_new(sizeof *play);
    play->world = world_new(seed);
    for (uint32_t i = 0; i < SUPERNODES; i++) {
        world_add(play->world);
        start_supernode(play, i);
        struct introducer *introducer = &play->config.introducers[i];
        introducer->id = play->world->nodes[i].identity.id;
        snprintf(introducer->host, sizeof introducer->host, "10.0.0.%u", i + 1);
        introducer->port = 7000;
    }
    play->config.introducer_count = SUPERNODES;
    play->peer = world_add(play->world);
    play->peer->other_file = read_file;
    play->world->context = play;
    return play;
}

static void play_free(struct play *play) {
    for (uint32_t i = 0; i < SUPERNODES; i++) {
        add_counts(&play->world->nodes[i]);
    }
    buf_free(&play->old_state);
    world_free(play->world);
    mem_free(play);
}

/* ---- Time, message by message ---- */

/* Cut off what comes after this many whole frames. */
static void keep_frames(struct world_item *item, uint32_t frames) {
    struct slice rest = {item->owned.data, item->owned.len};
    struct frame frame;
    size_t used;
    enum err err;
    while (frames-- > 0 && wire_frame_read(rest, &frame, &used, &err)) {
        rest.data += used;
        rest.len -= used;
    }
    item->owned.len -= rest.len;
}

/* Run until a moment; but of the `nth` delivery of bytes from now only some frames arrive, and
 * `bytes` of the next, and with it all links of the peer are cut. Return how many deliveries there
 * were. */
static uint32_t run_and_cut(struct play *play, uint64_t until_us, uint32_t nth, uint32_t frames,
                            uint32_t bytes) {
    struct world *world = play->world;
    uint32_t seen = 0;
    while (timers_next(&world->timers) <= until_us && seen < nth) {
        struct timer *timer = timers_take(&world->timers, timers_next(&world->timers));
        world->now_us = timer->due_us > world->now_us ? timer->due_us : world->now_us;
        if (timer->kind != WORLD_ITEM) {
            struct node_event event = {.kind = NODE_TIMER};
            world_step(timer->owner, &event);
            continue;
        }
        struct world_item *item = timer->owner;
        seen += item->is_bytes;
        bool is_last = item->is_bytes && seen == nth;
        if (is_last) {
            size_t whole = item->owned.len;
            keep_frames(item, frames);
            size_t more = item->owned.len + bytes;
            item->owned.len = more < whole ? more : whole;
        }
        world_deliver(item);
        if (is_last) {
            world_cut_all(play->peer);
        }
    }
    return seen;
}

/* ---- What must hold in the end ---- */

static bool is_first_of_twins(const struct play *play, uint32_t file) {
    uint32_t twin = twin_of(file);
    return twin == file || play->version[twin] != play->version[file];
}

static bool is_shared(struct play *play, const struct file_record *record) {
    bool is_found = false;
    for (uint32_t i = 0; i < POOL; i++) {
        struct content_id content = content_of(play, i, play->version[i]);
        is_found |= play->version[i] > 0 && content_equal(&content, &record->content);
    }
    return is_found;
}

static void expect_agreement(struct play *play, uint64_t seed) {
    uint32_t shared = 0;
    for (uint32_t i = 0; i < POOL; i++) {
        shared += play->version[i] > 0 && is_first_of_twins(play, i);
    }
    for (uint32_t i = 0; i < SUPERNODES; i++) {
        struct supernode *supernode = play->world->nodes[i].node.self;
        const struct leaf *leaf = map_get(&supernode->leaves, play->peer->identity.id.b);
        if (leaf == NULL || leaf->link == NULL || leaf->list == NULL) {
            fail_msg("seed %llu: supernode %u has no list", (unsigned long long)seed, i);
            return;
        }
        struct hash hashes[POOL];
        uint32_t count = 0;
        uint32_t cursor = 0;
        for (struct file_record record; index_list_next(leaf->list, &cursor, &record);) {
            if (count >= POOL || !is_shared(play, &record)) {
                fail_msg("seed %llu: supernode %u has a record too many", (unsigned long long)seed,
                         i);
            }
            wire_file_record_hash(&record, play->peer->env.crypto, &hashes[count++]);
        }
        struct hash root;
        assert_true(wire_list_root(play->peer->env.crypto, hashes, count, &root));
        if (count != shared || leaf->held.count != shared ||
            index_count(supernode->index).files != shared) {
            fail_msg("seed %llu: supernode %u holds %u (says %u) of %u", (unsigned long long)seed,
                     i, count, leaf->held.count, shared);
        }
        assert_memory_equal(root.b, leaf->held.root.b, HASH_BYTES);
        assert_null(leaf->coming);
        assert_int_equal(supernode->intake.lists, 0);
        assert_true(supernode->intake.bytes == 0);
    }
}

/* ---- The tests ---- */

static void make_trouble(struct play *play) {
    struct rng *rng = &play->world->rng;
    uint32_t what = (uint32_t)rng_below(rng, 13);
    uint64_t wait_us = 1 + rng_below(rng, 6 * SECOND_US);
    if (what < 6) {
        change(play);
    } else if (what < 9) {
        uint32_t nth = 1 + (uint32_t)rng_below(rng, 12);
        uint32_t frames = (uint32_t)rng_below(rng, 4);
        uint32_t bytes = rng_below(rng, 2) == 0 ? (uint32_t)rng_below(rng, 60) : 0;
        run_and_cut(play, play->world->now_us + wait_us, nth, frames, bytes);
    } else if (what == 9) {
        restart_supernode(play);
    } else if (what == 10) {
        restart_peer(play);
    } else if (what == 11) {
        confuse(play);
    } else {
        world_cut_all(play->peer);
    }
    if (rng_below(rng, 2) == 0) {
        world_run_for(play->world, wait_us);
    }
}

static void lists_end_right_after_any_trouble(void **state) {
    (void)state;
    sums = (struct supernode_counts){0};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct play *play = play_new(seed);
        for (uint32_t i = 0; i < POOL / 2; i++) {
            change(play);
        }
        start_peer(play);
        uint32_t troubles = 5 + (uint32_t)rng_below(&play->world->rng, 40);
        for (uint32_t i = 0; i < troubles; i++) {
            make_trouble(play);
        }
        world_run_for(play->world, QUIET_US);
        expect_agreement(play, seed);
        play_free(play);
    }
    print_message("%llu whole lists, %llu differences, %llu unchanged, %llu that did not come "
                  "out; %llu audits, %llu failed\n",
                  (unsigned long long)sums.registrations, (unsigned long long)sums.changes,
                  (unsigned long long)sums.unchanged, (unsigned long long)sums.mismatches,
                  (unsigned long long)sums.audits, (unsigned long long)sums.audits_failed);
    assert_true(sums.registrations > SEEDS && sums.changes > SEEDS && sums.unchanged > SEEDS);
    assert_true(sums.mismatches > SEEDS / 10);
    assert_true(sums.audits > SEEDS); /* and nobody who is honest fails one for good */
    assert_true(sums.audits_failed == 0);
}

enum breaks { BREAK_LINKS, BREAK_SUPERNODE, BREAK_PEER, BREAKS };

/* A change of a registered list, broken after so many deliveries and frames. True when it came to
 * the break. */
static bool break_at(uint32_t nth, uint32_t frames, enum breaks how, bool is_changed_again) {
    struct play *play = play_new(nth);
    for (uint32_t i = 0; i < POOL; i++) {
        play->version[i] = i % 4 != 0;
    }
    start_peer(play);
    world_run_for(play->world, 20 * SECOND_US);
    expect_agreement(play, nth);
    play->version[5] = 0;
    play->version[8] = 1;
    play->version[9] = 2;
    tell(play, 5);
    tell(play, 8);
    tell(play, 9);
    uint32_t seen = run_and_cut(play, play->world->now_us + 5 * SECOND_US, nth, frames, 0);
    if (seen == nth && how == BREAK_SUPERNODE) {
        world_kill(&play->world->nodes[0]);
        start_supernode(play, 0);
    } else if (seen == nth && how == BREAK_PEER) {
        world_kill(play->peer);
        start_peer(play);
    }
    if (is_changed_again) {
        play->version[12] = 1;
        tell(play, 12);
    }
    world_run_for(play->world, QUIET_US);
    expect_agreement(play, nth);
    play_free(play);
    return seen == nth;
}

static void a_change_may_break_at_every_message(void **state) {
    (void)state;
    uint32_t breaks = 0;
    for (int how = 0; how < BREAKS; how++) {
        for (uint32_t again = 0; again < 2; again++) {
            for (uint32_t frames = 0; frames < 4; frames++) {
                for (uint32_t nth = 1; break_at(nth, frames, (enum breaks)how, again == 1); nth++) {
                    breaks++;
                }
            }
        }
    }
    print_message("%u breaks\n", breaks);
    assert_true(breaks >= BREAKS * 2 * 4 * 8); /* four messages to and fro, with each of two */
}

/* Both ways, frames included, TLS not: BEGIN, REMOVE, ADD, COMMIT and two answers. */
static void a_changed_file_costs_a_few_hundred_bytes(void **state) {
    (void)state;
    struct play *play = play_new(1);
    struct world *world = play->world;
    for (uint32_t i = 0; i < POOL; i++) {
        play->version[i] = 1;
    }
    start_peer(play);
    world_run_for(world, 20 * SECOND_US);
    play->version[POOL / 2] = 2;
    tell(play, POOL / 2);
    size_t bytes = 0;
    uint64_t until_us = world->now_us + 10 * SECOND_US;
    while (timers_next(&world->timers) <= until_us) {
        struct timer *timer = timers_take(&world->timers, timers_next(&world->timers));
        world->now_us = timer->due_us > world->now_us ? timer->due_us : world->now_us;
        struct world_item *item = timer->kind == WORLD_ITEM ? timer->owner : NULL;
        if (item != NULL) {
            bytes += item->is_bytes ? item->owned.len : 0;
            world_deliver(item);
        } else {
            struct node_event event = {.kind = NODE_TIMER};
            world_step(timer->owner, &event);
        }
    }
    expect_agreement(play, 1);
    assert_in_range(bytes, SUPERNODES * 200, SUPERNODES * 300);
    play_free(play);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_may_break_at_every_message),
        cmocka_unit_test(a_changed_file_costs_a_few_hundred_bytes),
        cmocka_unit_test(lists_end_right_after_any_trouble),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
