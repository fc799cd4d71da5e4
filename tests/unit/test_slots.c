/* test_slots.c - upload slots: turns, the queue, places and times that are told, small files. */
#include "tests/unit/peer_cast.h"
#include "tests/unit/peer_raw.h"

#include "peer/serve.h"
#include "peer/state.h"

#define MIB (1024 * 1024ull)
#define PLACES_MAX 512

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

/* A reader that asks for a run of blocks of a file, one request at a time, and notes what it is
 * told while it waits. */
struct eater {
    struct raw *raw;
    struct world *world;
    uint32_t next;  /* block that comes next */
    uint32_t asked; /* ... and the one to be asked for */
    uint32_t end;
    uint32_t blocks; /* that came */
    uint64_t began_us;
    uint64_t first_us; /* first block; 0 = none yet */
    uint64_t last_us;
    uint64_t told_us[PLACES_MAX];
    struct queue_place told[PLACES_MAX];
    uint32_t told_count;
    uint32_t put_off; /* REJECTs with queued */
    uint32_t ask;     /* blocks per request */
    bool ignores_turn;
    bool is_gone;
};

static void ask(struct eater *reader, struct link *link) {
    reader->asked = reader->next;
    uint32_t left = reader->end - reader->next;
    uint32_t count = left < reader->ask ? left : reader->ask;
    struct block_request request = {.handle = 1, .first = reader->next, .count = (uint8_t)count};
    struct buf payload = {0};
    reader->asked += count;
    if (count > 0) {
        wire_block_request_encode(&payload, &request);
        links_send(link, MSG_BLOCK_REQUEST, (struct slice){payload.data, payload.len});
        buf_free(&payload);
    }
}

static void read_on(struct raw *raw, struct link *link, uint8_t type, struct slice payload) {
    struct eater *reader = raw->context;
    struct block block;
    struct reject reject;
    if (type == MSG_HAVE) {
        ask(reader, link);
    } else if (type == MSG_BLOCK) {
        assert_int_equal(wire_block_decode(payload, &block), OK);
        reader->first_us = reader->first_us == 0 ? reader->world->now_us : reader->first_us;
        reader->last_us = reader->world->now_us;
        reader->blocks++;
        assert_int_equal(block.index, reader->next);
        reader->next++;
        if (reader->next == reader->asked) {
            ask(reader, link);
        }
    } else if (type == MSG_REJECT) {
        assert_int_equal(wire_reject_decode(payload, &reject), OK);
        reader->put_off += reject.reason == REJECT_QUEUED;
    } else if (type == MSG_PLACE && reader->told_count < PLACES_MAX) {
        struct queue_place *place = &reader->told[reader->told_count];
        assert_int_equal(wire_place_decode(payload, place), OK);
        reader->told_us[reader->told_count++] = reader->world->now_us;
        if (place->position == 0 && !reader->ignores_turn) {
            ask(reader, link);
        }
    }
}

/* A node that reads blocks [0, end) of the file. */
static void reader_start(struct eater *reader, struct world *world, struct world_node *server,
                         const struct world_file *file, uint32_t end) {
    *reader = (struct eater){.world = world, .end = end, .ask = 16, .began_us = world->now_us};
    reader->raw = raw_add(world);
    reader->raw->context = reader;
    reader->raw->answer = read_on;
    assert_non_null(raw_dial(reader->raw, server, PURPOSE_TRANSFER));
    struct open_file open = {.handle = 1, .content = file->content};
    struct buf payload = {0};
    wire_open_encode(&payload, &open);
    raw_send(reader->raw, reader->raw->link, MSG_OPEN, &payload);
    world_run_for(world, 20 * LATENCY_US);
}

static struct world_node *serve_file(struct world *world, const struct world_file *file,
                                     uint64_t rate, uint32_t slots) {
    struct world_node *server = world_add(world);
    world_share(server, file);
    cast_start(server, rate, slots);
    return server;
}

static const struct queue_place *last_told(const struct eater *reader) {
    assert_true(reader->told_count > 0);
    return &reader->told[reader->told_count - 1];
}

/* ---- Turns ---- */

static void a_long_transfer_gives_way(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 32 * MIB, "whale.bin");
    struct world_node *server = serve_file(world, file, 256 * 1024, 1);
    struct eater first, second;
    reader_start(&first, world, server, file, 2048); /* 128 s of it */
    world_run_for(world, 30 * SECOND_US);
    reader_start(&second, world, server, file, 2048);
    world_run_for(world, 29 * SECOND_US);
    assert_int_equal(second.blocks, 0);
    assert_int_equal(last_told(&second)->position, 1);
    world_run_for(world, 3 * SECOND_US);
    assert_true(second.blocks > 0); /* a minute is over */
    assert_int_equal(first.put_off, 1);
    assert_int_equal(last_told(&first)->position, 1);
    assert_in_range(last_told(&first)->eta_ms, 45000, 60000);
    uint32_t had = first.blocks;
    world_run_for(world, 50 * SECOND_US);
    assert_int_equal(first.blocks, had);
    world_run_for(world, 12 * SECOND_US); /* and so on, until both have all of it */
    assert_true(first.blocks > had);
    world_run_for(world, 200 * SECOND_US);
    assert_int_equal(first.blocks, 2048);
    assert_int_equal(second.blocks, 2048);
}

static void nobody_gives_way_to_nobody(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 32 * MIB, "whale.bin");
    struct world_node *server = serve_file(world, file, 256 * 1024, 1);
    struct eater only;
    reader_start(&only, world, server, file, 2048);
    world_run_for(world, 135 * SECOND_US);
    assert_int_equal(only.blocks, 2048);
    assert_int_equal(only.put_off, 0);
    assert_int_equal(only.told_count, 0);
}

/* On a fast line a turn ends by its bytes. */
static void a_turn_has_a_size(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 96 * MIB, "whale.bin");
    struct world_node *server = serve_file(world, file, 16 * MIB, 1);
    struct eater first, second;
    reader_start(&first, world, server, file, 96 * 64);
    reader_start(&second, world, server, file, 96 * 64);
    for (int i = 0; i < 2000 && second.blocks == 0; i++) {
        world_run_for(world, SECOND_US / 100);
    }
    assert_in_range(first.blocks, 64 * 64, 65 * 64);
    world_run_for(world, 20 * SECOND_US);
    assert_int_equal(first.blocks, 96 * 64);
    assert_int_equal(second.blocks, 96 * 64);
}

/* ---- The queue ---- */

static void a_turn_that_is_not_taken_goes_on_to_the_next(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 8 * MIB, "whale.bin");
    struct world_node *server = serve_file(world, file, MIB, 1);
    struct eater first, idle, third;
    reader_start(&first, world, server, file, 512);
    reader_start(&idle, world, server, file, 512);
    idle.ignores_turn = true;
    reader_start(&third, world, server, file, 512);
    assert_int_equal(last_told(&idle)->position, 1);
    assert_int_equal(last_told(&third)->position, 2);
    world_kill(first.raw->node);
    world_run_for(world, 3 * SECOND_US);
    assert_int_equal(last_told(&idle)->position, 0);
    assert_int_equal(last_told(&third)->position, 1); /* told without having asked */
    world_run_for(world, (UPLOAD_OFFER_MS - 4000) * 1000ull);
    assert_int_equal(third.blocks, 0);
    world_run_for(world, 4 * SECOND_US);
    assert_true(third.blocks > 0);
    assert_int_equal(idle.blocks, 0);
}

/* Of those who wait, everybody hears when the turn will come, and it comes then: the estimate is of
 * the rate that is really there. */
static void the_time_that_is_told_is_true(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 8 * MIB, "whale.bin");
    struct world_node *server = serve_file(world, file, 512 * 1024, 2);
    struct eater readers[8]; /* 8 MiB each at 256 KiB/s: 32 s a turn, two at a time */
    for (int i = 0; i < 8; i++) {
        reader_start(&readers[i], world, server, file, 512);
        world_run_for(world, 2 * SECOND_US);
    }
    for (int second = 0; second < 200; second++) {
        world_run_for(world, SECOND_US);
        for (int i = 0; i < 8; i++) { /* done: off it goes */
            if (readers[i].blocks == 512 && !readers[i].is_gone) {
                readers[i].is_gone = true;
                world_kill(readers[i].raw->node);
            }
        }
    }
    for (int i = 2; i < 8; i++) {
        uint64_t waited_us = readers[i].first_us - readers[i].began_us;
        assert_true(readers[i].told_count > 0 && readers[i].first_us != 0);
        for (uint32_t k = 0; k < readers[i].told_count; k++) {
            uint64_t at_us = readers[i].told_us[k];
            uint64_t left_ms =
                readers[i].first_us > at_us ? (readers[i].first_us - at_us) / 1000 : 0;
            uint64_t told_ms = readers[i].told[k].eta_ms;
            uint64_t off_ms = told_ms > left_ms ? told_ms - left_ms : left_ms - told_ms;
            if (readers[i].told[k].position > 0 && off_ms > 6000 + left_ms / 4) {
                fail_msg("reader %d, place %u: told %llu ms, it took %llu", i,
                         readers[i].told[k].position, (unsigned long long)told_ms,
                         (unsigned long long)left_ms);
            }
        }
        assert_in_range(waited_us / SECOND_US, 10, 110);
    }
}

/* Places are told when they change, not all the time. */
static void who_waits_is_not_pestered(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 16 * MIB, "whale.bin");
    struct world_node *server = serve_file(world, file, 128 * 1024, 1);
    struct eater first, second;
    reader_start(&first, world, server, file, 1024);
    reader_start(&second, world, server, file, 1024);
    world_run_for(world, 50 * SECOND_US);
    assert_in_range(second.told_count, 1, 6);
}

/* ---- Small files ---- */

static void small_files_do_not_wait_for_long_ones(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 32 * MIB, "whale.bin");
    const struct world_file *small = world_make_file(world, 100000, "note.txt");
    struct world_node *server = serve_file(world, file, 512 * 1024, UPLOAD_SLOTS_FOR_SMALL);
    world_share(server, small);
    struct eater longs[6], note, other;
    for (int i = 0; i < 6; i++) {
        reader_start(&longs[i], world, server, file, 2048);
    }
    world_run_for(world, SECOND_US);
    assert_true(longs[2].blocks > 0);
    assert_int_equal(longs[3].blocks, 0); /* the last slot is not for it */
    reader_start(&note, world, server, small, 7);
    reader_start(&other, world, server, small, 7);
    world_run_for(world, 4 * SECOND_US);
    assert_int_equal(note.blocks, 7);
    assert_int_equal(other.blocks, 7); /* behind it, not behind the long ones */
    assert_true(note.put_off == 0);
    assert_int_equal(longs[3].blocks, 0);
    assert_int_equal(last_told(&longs[3])->position, 1);
}

/* ---- Slow readers ---- */

static void who_reads_nothing_is_cut_after_half_a_minute(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 8 * MIB, "whale.bin");
    struct world_node *server = serve_file(world, file, 0, 1);
    struct eater stuck, next;
    reader_start(&stuck, world, server, file, 0);
    stuck.raw->node->reads_nothing = true;
    for (uint32_t i = 0; i < 4; i++) {
        struct block_request request = {.handle = 1, .first = i * 64, .count = 64};
        struct buf payload = {0};
        wire_block_request_encode(&payload, &request);
        raw_send(stuck.raw, stuck.raw->link, MSG_BLOCK_REQUEST, &payload);
    }
    world_run_for(world, SECOND_US);
    reader_start(&next, world, server, file, 512);
    world_run_for(world, (UPLOAD_STALL_MS - 2000) * 1000ull);
    assert_non_null(stuck.raw->link);
    assert_int_equal(next.blocks, 0);
    world_run_for(world, 2 * SECOND_US);
    assert_null(stuck.raw->link);
    assert_true(next.blocks > 0); /* its slot has gone to the next at once */
}

/* ---- The one who downloads ---- */

static const struct world_report *shown(struct world_node *node) {
    uint64_t command = world_command(node, "downloads", NULL, NULL);
    world_run_for(node->world, 10 * LATENCY_US);
    const struct world_report *report = world_reported(node, command, "download", 0);
    assert_non_null(report);
    return report;
}

static void a_downloader_is_told_and_tells(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 20 * MIB, "whale.bin");
    struct world_node *server = serve_file(world, file, 512 * 1024, 1);
    world_run_for(world, 3 * SECOND_US);
    struct eater first;
    reader_start(&first, world, server, file, 1280);
    struct world_node *peer = cast_peer(world, NULL, 0);
    world_run_for(world, 5 * SECOND_US);
    uint64_t get = world_get(peer, file);
    world_run_for(world, 5 * SECOND_US);
    const struct world_report *report = shown(peer);
    assert_int_equal(world_number(report, "queued"), 1);
    assert_int_equal(world_number(report, "queue_position"), 1);
    assert_in_range(world_number(report, "queue_eta_s"), 20, 32); /* 20 MiB take 40 s */
    world_run_for(world, 15 * SECOND_US);
    assert_in_range(world_number(shown(peer), "queue_eta_s"), 5, 17);
    world_run_for(world, 16 * SECOND_US);
    world_kill(first.raw->node);
    world_run_for(world, 2 * SECOND_US);
    report = shown(peer);
    assert_int_equal(world_number(report, "queued"), 0);
    assert_true(world_number(report, "done") > 0);
    assert_true(cast_wait(peer, get, 60 * SECOND_US) < 60 * SECOND_US);
    cast_assert_fetched(peer, get, file);
}

/* Many downloads through few slots: turns lose no block, and everybody gets the file. */
static void turns_lose_nothing(void **state) {
    struct world *world = *state;
    const struct world_file *file = world_make_file(world, 40 * MIB, "whale.bin");
    struct world_node *server = serve_file(world, file, MIB, 1);
    server->is_hidden = false;
    struct world_node *peers[3];
    uint64_t gets[3];
    for (int i = 0; i < 3; i++) {
        peers[i] = cast_peer(world, NULL, 1024); /* gives next to nothing to the others */
    }
    world_run_for(world, 5 * SECOND_US);
    for (int i = 0; i < 3; i++) {
        gets[i] = world_get(peers[i], file);
    }
    for (int i = 0; i < 3; i++) {
        assert_true(cast_wait(peers[i], gets[i], 400 * SECOND_US) < 400 * SECOND_US);
        cast_assert_fetched(peers[i], gets[i], file);
    }
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_long_transfer_gives_way),
        CASE(nobody_gives_way_to_nobody),
        CASE(a_turn_has_a_size),
        CASE(a_turn_that_is_not_taken_goes_on_to_the_next),
        CASE(the_time_that_is_told_is_true),
        CASE(who_waits_is_not_pestered),
        CASE(small_files_do_not_wait_for_long_ones),
        CASE(who_reads_nothing_is_cut_after_half_a_minute),
        CASE(a_downloader_is_told_and_tells),
        CASE(turns_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
