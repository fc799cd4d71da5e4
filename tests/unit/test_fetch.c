/* test_fetch.c - downloads from one source and several, from liars and from those who leave. */
#include "tests/unit/peer_cast.h"

#include "peer/receipts.h"

#define MIB (1024 * 1024ull)

static int setup(void **state) {
    struct world *world = world_new(1);
    cast_supernode(world);
    *state = world;
    return 0;
}

static int teardown(void **state) {
    world_free(*state);
    return 0;
}

/* Let everybody register. */
static void settle(struct world *world) {
    world_run_for(world, 3 * SECOND_US);
}

static uint32_t links_between(const struct world_node *a, const struct world_node *b) {
    const struct world *world = a->world;
    uint32_t count = 0;
    for (uint32_t i = 1; i <= world->link_count; i++) {
        const struct world_end *ends = world->links[i].ends;
        bool is_theirs =
            (ends[0].node == a && ends[1].node == b) || (ends[0].node == b && ends[1].node == a);
        count += is_theirs && world->links[i].is_open;
    }
    return count;
}

static void one_source_gives_a_file_of_any_size(void **state) {
    struct world *world = *state;
    static const uint64_t sizes[] = {1,   BLOCK_BYTES, BLOCK_BYTES + 1, MIB - 1,
                                     MIB, MIB + 1,     5 * MIB + 123};
    struct world_node *source = cast_peer(world, NULL, 0);
    struct world_node *asker = cast_peer(world, NULL, 0);
    const struct world_file *files[LENGTH(sizes)];
    for (size_t i = 0; i < LENGTH(sizes); i++) {
        files[i] = world_make_file(world, sizes[i], "a song.ogg");
        world_share(source, files[i]);
    }
    settle(world);
    for (size_t i = 0; i < LENGTH(sizes); i++) {
        uint64_t get = world_get(asker, files[i]);
        uint64_t most_us = i < LOCATE_BURST ? SECOND_US / 2 : 10 * SECOND_US; /* rationed */
        assert_true(cast_wait(asker, get, 30 * SECOND_US) < most_us);
        cast_assert_fetched(asker, get, files[i]);
        const struct world_part *part = world_part_of(asker, &files[i]->content);
        assert_in_range(part->commits, 1, 3);
    }
    uint64_t all = 0;
    for (size_t i = 0; i < LENGTH(sizes); i++) {
        all += sizes[i];
    }
    assert_int_equal(asker->bytes_written, all); /* nothing twice */
    assert_int_equal(links_between(asker, source), 1);
    world_run_for(world, (TRANSFER_IDLE_MS + 20000) * 1000ull);
    assert_int_equal(links_between(asker, source), 0);
}

/* Where supernodes are elected, who gave pieces that were verified is told of in the next epoch,
 * and once: to the supernode, which has no candidates here. */
static void a_download_is_worth_a_receipt(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 3 * MIB, "whale.bin");
    const struct world_file *small = world_make_file(world, MIB / 2, "minnow.bin");
    struct world_node *source = cast_peer(world, file, 0), *other = cast_peer(world, small, 0);
    struct world_node *asker = cast_peer(world, NULL, 0);
    settle(world);
    world->network.policy = NETWORK_CERTIFIED;
    world->network.epoch_s = 60;
    snprintf(world->network.promotion.policy, sizeof world->network.promotion.policy, "reputation");
    uint64_t gets[] = {world_get(asker, file), world_get(asker, small)};
    assert_true(cast_wait(asker, gets[0], 20 * SECOND_US) < 20 * SECOND_US);
    assert_true(cast_wait(asker, gets[1], 20 * SECOND_US) < 20 * SECOND_US);
    world_run_for(world, 130 * SECOND_US);
    struct world_node *supernode = &world->nodes[0];
    uint64_t status = world_command(supernode, "status", NULL, NULL);
    assert_int_equal(receipts_sent(asker->node.self), 1);
    assert_int_equal(receipts_sent(source->node.self), 0);
    assert_int_equal(receipts_sent(other->node.self), 0);
    assert_int_equal(
        world_number(world_reported(supernode, status, "status", 0), "receipts_ignored"), 1);
}

static void four_equal_sources_finish_together(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 32 * MIB, "whale.bin");
    struct world_node *sources[4];
    for (int i = 0; i < 4; i++) {
        sources[i] = cast_peer(world, file, 2 * MIB);
    }
    struct world_node *asker = cast_peer(world, NULL, 0);
    settle(world);
    uint64_t get = world_get(asker, file);
    uint64_t took_us = cast_wait(asker, get, 60 * SECOND_US);
    cast_assert_fetched(asker, get, file);
    assert_in_range(took_us, 3 * SECOND_US, 5 * SECOND_US); /* 32 MiB at 4 x 2 MiB/s */
    uint64_t blocks = 0;
    for (int i = 0; i < 4; i++) {
        assert_in_range(sources[i]->blocks_sent, 32 * 64 / 5, 32 * 64 / 3);
        blocks += sources[i]->blocks_sent;
    }
    assert_in_range(blocks, 32 * 64, 32 * 64 + 128); /* few blocks come twice */
}

static void a_slow_source_does_not_hold_up_the_end(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 16 * MIB, "whale.bin");
    cast_peer(world, file, 4 * MIB);
    cast_peer(world, file, MIB / 16); /* alone it would need 256 s, for one piece 16 s */
    struct world_node *asker = cast_peer(world, NULL, 0);
    settle(world);
    uint64_t get = world_get(asker, file);
    uint64_t took_us = cast_wait(asker, get, 60 * SECOND_US);
    cast_assert_fetched(asker, get, file);
    assert_in_range(took_us, 3 * SECOND_US, 7 * SECOND_US);
}

static void a_liar_is_banned_and_the_file_right(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 8 * MIB, "whale.bin");
    struct world_node *honest = cast_peer(world, file, 4 * MIB);
    struct world_node *liar = cast_peer(world, file, 4 * MIB);
    liar->spoil_every = 10;
    struct world_node *asker = cast_peer(world, NULL, 0);
    settle(world);
    uint64_t get = world_get(asker, file);
    assert_true(cast_wait(asker, get, 60 * SECOND_US) < 10 * SECOND_US);
    cast_assert_fetched(asker, get, file); /* the world compares every byte written */
    assert_int_equal(world->bans, 1);
    assert_in_range(liar->blocks_sent, 1, 3 * 64 + 16);
    assert_true(honest->blocks_sent > 5 * 64);
}

/* Half a piece from one who then leaves, half from another: block hashes show who lied. */
static void block_hashes_find_the_culprit(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, MIB - 5000, "whale.bin");
    struct world_node *liar = cast_peer(world, file, MIB / 2);
    liar->spoil_every = 16;
    struct world_node *asker = cast_peer(world, NULL, 0);
    settle(world);
    uint64_t get = world_get(asker, file);
    world_run_for(world, SECOND_US);
    assert_in_range(liar->blocks_sent, 20, 60);
    world_kill(liar);
    struct world_node *honest = cast_peer(world, file, 0);
    assert_true(cast_wait(asker, get, 90 * SECOND_US) < 60 * SECOND_US);
    cast_assert_fetched(asker, get, file);
    assert_in_range(honest->blocks_sent, 10, 63); /* the liar's right blocks were kept */
}

static void a_source_that_leaves_is_replaced(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 12 * MIB, "whale.bin");
    struct world_node *leaves = cast_peer(world, file, 2 * MIB);
    struct world_node *stays = cast_peer(world, file, 2 * MIB);
    struct world_node *asker = cast_peer(world, NULL, 0);
    settle(world);
    uint64_t get = world_get(asker, file);
    world_run_for(world, SECOND_US);
    assert_true(leaves->blocks_sent > 64);
    world_kill(leaves);
    assert_true(cast_wait(asker, get, 60 * SECOND_US) < 10 * SECOND_US);
    cast_assert_fetched(asker, get, file);
    assert_true(stays->blocks_sent > 6 * 64);
    assert_int_equal(world->bans, 0);
}

static void a_cut_link_is_dialled_again(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 8 * MIB, "whale.bin");
    struct world_node *source = cast_peer(world, file, 2 * MIB);
    struct world_node *asker = cast_peer(world, NULL, 0);
    settle(world);
    uint64_t get = world_get(asker, file);
    for (int i = 0; i < 3; i++) {
        world_run_for(world, SECOND_US);
        world_cut_all(asker); /* parents too */
    }
    assert_true(cast_wait(asker, get, 120 * SECOND_US) < 60 * SECOND_US);
    cast_assert_fetched(asker, get, file);
    assert_true(source->blocks_sent < 2 * 8 * 64); /* what had come was kept */
}

static void a_killed_peer_resumes(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 12 * MIB, "whale.bin");
    cast_peer(world, file, 2 * MIB);
    struct world_node *asker = cast_peer(world, NULL, 0);
    settle(world);
    world_get(asker, file);
    world_run_for(world, 4 * SECOND_US);
    struct world_part *part = world_part_of(asker, &file->content);
    uint32_t committed = 0;
    for (uint32_t i = 0; i < 12; i++) {
        committed += (part->committed[i / 8] & (0x80 >> i % 8)) != 0;
    }
    assert_in_range(committed, 4, 8);
    world_kill(asker);
    asker->bytes_written = 0;
    cast_start(asker, 0, 0);
    world_run_for(world, 15 * SECOND_US); /* it goes on without being asked */
    assert_true(part->is_finished);
    assert_int_equal(asker->bytes_written, (12 - committed) * MIB);
    uint64_t list = world_command(asker, "downloads", NULL, NULL);
    assert_int_equal(world_count(asker, list, "download"), 0);
}

static void a_second_get_joins_the_first(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 4 * MIB, "whale.bin");
    cast_peer(world, file, 2 * MIB);
    struct world_node *asker = cast_peer(world, NULL, 0);
    settle(world);
    uint64_t first = world_get(asker, file);
    world_run_for(world, SECOND_US);
    uint64_t second = world_get(asker, file);
    cast_wait(asker, first, 60 * SECOND_US);
    cast_assert_fetched(asker, first, file);
    cast_assert_fetched(asker, second, file);
    assert_int_equal(asker->bytes_written, file->content.size);
    assert_true(world_count(asker, first, "progress") >= 2);
}

static void without_sources_it_waits_and_looks_again(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 3 * MIB, "whale.bin");
    struct world_node *asker = cast_peer(world, NULL, 0);
    settle(world);
    uint64_t get = world_get(asker, file);
    assert_int_equal(cast_wait(asker, get, 20 * SECOND_US), UINT64_MAX);
    const struct world_report *progress = world_reported(asker, get, "progress", 10);
    assert_int_equal(world_number(progress, "sources"), 0);
    cast_peer(world, file, 0);
    assert_true(cast_wait(asker, get, 60 * SECOND_US) < 40 * SECOND_US);
    cast_assert_fetched(asker, get, file);
}

/* Its only source has gone for good: it is dialled again at once, then ever more rarely. */
static void who_is_gone_is_dialled_ever_more_rarely(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 8 * MIB, "whale.bin");
    struct world_node *source = cast_peer(world, file, MIB);
    struct world_node *asker = cast_peer(world, NULL, 0);
    settle(world);
    (void)world_get(asker, file);
    world_run_for(world, 2 * SECOND_US);
    world_kill(source);
    uint64_t before = asker->dials;
    world_run_for(world, 60 * SECOND_US);
    assert_in_range(asker->dials - before, 3, 6); /* after 2, 4, 8, 16, 32 s or a little less */
    world_run_for(world, 30 * 60 * SECOND_US);
    before = asker->dials;
    world_run_for(world, 60 * 60 * SECOND_US);
    uint64_t most = 3600000 / (SOURCE_RETRY_MS_MAX / 2);
    assert_in_range(asker->dials - before, most / 2, most);
}

static void expect_paused(struct world_node *asker, uint64_t get, enum err reason) {
    const struct world_report *report = NULL;
    bool is_told = false;
    for (uint32_t i = 0; (report = world_reported(asker, get, "progress", i)) != NULL; i++) {
        char now[1024];
        char error[1024];
        is_told =
            is_told ||
            (world_field(report, "state", now, NULL) && strcmp(now, "paused") == 0 &&
             world_field(report, "error", error, NULL) && strcmp(error, err_name(reason)) == 0);
    }
    assert_true(is_told);
    /* `downloads` says the same in words. */
    uint64_t list = world_command(asker, "downloads", NULL, NULL);
    world_run_for(asker->world, SECOND_US / 10);
    report = world_reported(asker, list, "download", 0);
    assert_non_null(report);
    char text[1024];
    assert_true(world_field(report, "state", text, NULL));
    assert_string_equal(text, "paused");
    assert_true(world_field(report, "error", text, NULL));
    assert_non_null(strstr(text, "disk"));
}

static void a_full_disk_pauses(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 4 * MIB, "whale.bin");
    cast_peer(world, file, 0);
    struct world_node *asker = cast_peer(world, NULL, 0);
    settle(world);
    asker->disk_fails = ERR_NO_SPACE;
    uint64_t get = world_get(asker, file);
    assert_int_equal(cast_wait(asker, get, 20 * SECOND_US), UINT64_MAX);
    asker->disk_fails = OK;
    assert_true(cast_wait(asker, get, 60 * SECOND_US) < 20 * SECOND_US);
    cast_assert_fetched(asker, get, file);
}

/* Full when it is opened, written to, committed or finished: it is paused and says so, and within
 * a minute after there is room it has gone on, without fetching what it had. */
static void a_disk_full_at_any_step_pauses(void **state) {
    static const uint32_t steps[] = {1, 2, 4, 8};
    static const enum err reasons[] = {ERR_NO_SPACE, ERR_IO};
    struct world *world = *state;
    const struct world_file *files[8];
    for (uint32_t i = 0; i < LENGTH(files); i++) {
        char name[16];
        snprintf(name, sizeof name, "whale%u.bin", i);
        files[i] = world_make_file(world, (2 + i) * MIB + 5, name);
        cast_peer(world, files[i], 0);
    }
    struct world_node *asker = cast_peer(world, NULL, 0);
    settle(world);
    for (uint32_t i = 0; i < LENGTH(files); i++) {
        asker->disk_fails = reasons[i % 2];
        asker->disk_spares = 15 & ~steps[i / 2];
        uint64_t get = world_get(asker, files[i]);
        assert_int_equal(cast_wait(asker, get, 100 * SECOND_US), UINT64_MAX);
        expect_paused(asker, get, reasons[i % 2]);
        asker->disk_fails = OK;
        assert_true(cast_wait(asker, get, 120 * SECOND_US) < 60 * SECOND_US);
        cast_assert_fetched(asker, get, files[i]);
    }
}

static void a_forbidden_folder_fails_at_once(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 4 * MIB, "whale.bin");
    cast_peer(world, file, 0);
    struct world_node *asker = cast_peer(world, NULL, 0);
    settle(world);
    asker->disk_fails = ERR_PERMISSION;
    uint64_t get = world_get(asker, file);
    assert_true(cast_wait(asker, get, 20 * SECOND_US) < 5 * SECOND_US);
    assert_int_equal(world_reported(asker, get, "error", 0)->reason, ERR_PERMISSION);
    asker->disk_fails = OK; /* asked again, it goes on */
    get = world_get(asker, file);
    assert_true(cast_wait(asker, get, 20 * SECOND_US) < 5 * SECOND_US);
    cast_assert_fetched(asker, get, file);
}

static void a_cancelled_download_is_gone(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 8 * MIB, "whale.bin");
    struct world_node *source = cast_peer(world, file, MIB);
    struct world_node *asker = cast_peer(world, NULL, 0);
    settle(world);
    uint64_t get = world_get(asker, file);
    world_run_for(world, 3 * SECOND_US);
    char text[CONTENT_TEXT_BYTES];
    content_format(text, &file->content);
    uint64_t cancel = world_command(asker, "cancel", "content", text);
    assert_non_null(world_reported(asker, cancel, "done", 0));
    assert_int_equal(world_reported(asker, get, "error", 0)->reason, ERR_REFUSED);
    struct slice key;
    struct slice value;
    assert_false(store_next(asker->store, STORE_DOWNLOADS, (struct slice){0}, &key, &value));
    world_run_for(world, SECOND_US);
    uint64_t sent = source->blocks_sent;
    world_run_for(world, 10 * SECOND_US);
    assert_int_equal(source->blocks_sent, sent); /* SHUT was understood */
}

static void a_hidden_source_calls_back(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 3 * MIB, "whale.bin");
    struct world_node *source = cast_peer(world, file, 0);
    source->is_hidden = true;
    struct world_node *asker = cast_peer(world, NULL, 0);
    settle(world);
    uint64_t get = world_get(asker, file);
    assert_true(cast_wait(asker, get, 60 * SECOND_US) < 20 * SECOND_US);
    cast_assert_fetched(asker, get, file);
    assert_true(source->dials >= 2); /* the supernode, and us */
}

static void a_changed_file_is_dropped_as_a_source(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 4 * MIB, "whale.bin");
    struct world_node *changed = cast_peer(world, file, 0);
    changed->read_fails = ERR_CHANGED;
    cast_peer(world, file, 2 * MIB);
    struct world_node *asker = cast_peer(world, NULL, 0);
    settle(world);
    uint64_t get = world_get(asker, file);
    assert_true(cast_wait(asker, get, 60 * SECOND_US) < 10 * SECOND_US);
    cast_assert_fetched(asker, get, file);
    assert_true(changed->blocks_read < 200);
    assert_int_equal(world->bans, 0);
}

static void stopping_keeps_what_was_committed(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 8 * MIB, "whale.bin");
    cast_peer(world, file, 2 * MIB);
    struct world_node *asker = cast_peer(world, NULL, 0);
    settle(world);
    uint64_t get = world_get(asker, file);
    world_run_for(world, 2 * SECOND_US);
    struct node_event event = {.kind = NODE_SHUTDOWN};
    world_step(asker, &event);
    world_run_for(world, 4 * SECOND_US);
    assert_true(asker->is_stopped);
    assert_int_equal(world_reported(asker, get, "error", 0)->reason, ERR_SHUTDOWN);
    struct world_part *part = world_part_of(asker, &file->content);
    assert_false(part->is_open);
    assert_true(part->committed[0] != 0);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(one_source_gives_a_file_of_any_size),
        CASE(a_download_is_worth_a_receipt),
        CASE(four_equal_sources_finish_together),
        CASE(a_slow_source_does_not_hold_up_the_end),
        CASE(a_liar_is_banned_and_the_file_right),
        CASE(block_hashes_find_the_culprit),
        CASE(a_source_that_leaves_is_replaced),
        CASE(a_cut_link_is_dialled_again),
        CASE(a_killed_peer_resumes),
        CASE(a_second_get_joins_the_first),
        CASE(without_sources_it_waits_and_looks_again),
        CASE(who_is_gone_is_dialled_ever_more_rarely),
        CASE(a_full_disk_pauses),
        CASE(a_disk_full_at_any_step_pauses),
        CASE(a_forbidden_folder_fails_at_once),
        CASE(a_cancelled_download_is_gone),
        CASE(a_hidden_source_calls_back),
        CASE(a_changed_file_is_dropped_as_a_source),
        CASE(stopping_keeps_what_was_committed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
