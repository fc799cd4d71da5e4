/* test_queue.c - downloads take turns, by priority and number; people pause, resume and cancel. */
#include "tests/unit/peer_cast.h"

#define MIB (1024 * 1024ull)
#define FILES 4

struct stage {
    struct world *world;
    struct world_node *source;
    struct world_node *asker;
    const struct world_file *files[FILES];
};

/* One download at a time. */
static void start_asker(struct stage *stage) {
    struct peer_config config;
    cast_config(stage->world, &config);
    config.downloads_active = 1;
    world_start(stage->asker, peer_new(&stage->asker->env, &config));
}

static int setup(void **state) {
    struct stage *stage = mem_new(sizeof *stage);
    stage->world = world_new(8);
    cast_supernode(stage->world);
    stage->source = cast_peer(stage->world, NULL, MIB);
    for (int i = 0; i < FILES; i++) {
        stage->files[i] = world_make_file(stage->world, (4 + (uint64_t)i) * MIB, "a song.ogg");
        world_share(stage->source, stage->files[i]);
    }
    stage->asker = world_add(stage->world);
    start_asker(stage);
    world_run_for(stage->world, 3 * SECOND_US);
    *state = stage;
    return 0;
}

static int teardown(void **state) {
    struct stage *stage = *state;
    world_free(stage->world);
    mem_free(stage);
    return 0;
}

/* The number that people know the download of a file by; its state goes to `text`. */
static uint64_t look_at(const struct stage *stage, int file, char text[64]) {
    char wanted[CONTENT_TEXT_BYTES], content[CONTENT_TEXT_BYTES];
    content_format(wanted, &stage->files[file]->content);
    uint64_t list = world_command(stage->asker, "downloads", NULL, NULL);
    const struct world_report *at;
    for (uint32_t i = 0; (at = world_reported(stage->asker, list, "download", i)) != NULL; i++) {
        assert_true(world_field(at, "content", content, NULL));
        if (strcmp(content, wanted) == 0) {
            assert_true(world_field(at, "state", text, NULL));
            return world_number(at, "number");
        }
    }
    strcpy(text, "gone");
    return 0;
}

static void expect_state(const struct stage *stage, int file, const char *wanted) {
    char text[64];
    look_at(stage, file, text);
    assert_string_equal(text, wanted);
}

/* Do something to the download of a file, named by its number. */
static uint64_t change(const struct stage *stage, const char *command, int file,
                       const char *priority) {
    char number[32], text[64];
    snprintf(number, sizeof number, "%llu", (unsigned long long)look_at(stage, file, text));
    const struct command_arg args[2] = {{"download", number}, {"priority", priority}};
    uint64_t id = world_command_args(stage->asker, command, args, priority != NULL ? 2 : 1);
    assert_non_null(world_reported(stage->asker, id, "done", 0));
    assert_int_equal(world_count(stage->asker, id, "changed"), 1);
    return id;
}

static void get_all(const struct stage *stage, uint64_t gets[FILES]) {
    for (int i = 0; i < FILES; i++) {
        gets[i] = world_get(stage->asker, stage->files[i]);
    }
}

static void they_take_turns_in_their_order(void **state) {
    const struct stage *stage = *state;
    uint64_t gets[FILES];
    get_all(stage, gets);
    world_run_for(stage->world, SECOND_US);
    expect_state(stage, 0, "fetching");
    for (int i = 1; i < FILES; i++) {
        expect_state(stage, i, "queued");
    }
    for (int i = 0; i < FILES; i++) {
        cast_wait(stage->asker, gets[i], 60 * SECOND_US);
        cast_assert_fetched(stage->asker, gets[i], stage->files[i]);
        if (i + 1 < FILES) {
            assert_null(world_reported(stage->asker, gets[i + 1], "finished", 0));
        }
    }
}

static void the_urgent_come_first(void **state) {
    const struct stage *stage = *state;
    uint64_t gets[FILES];
    get_all(stage, gets);
    change(stage, "priority", 1, "low");
    change(stage, "priority", 3, "high");
    cast_wait(stage->asker, gets[3], 60 * SECOND_US);
    cast_assert_fetched(stage->asker, gets[0], stage->files[0]); /* it had begun */
    cast_assert_fetched(stage->asker, gets[3], stage->files[3]);
    assert_null(world_reported(stage->asker, gets[2], "finished", 0));
    cast_wait(stage->asker, gets[2], 60 * SECOND_US);
    assert_null(world_reported(stage->asker, gets[1], "finished", 0));
    cast_wait(stage->asker, gets[1], 60 * SECOND_US);
    cast_assert_fetched(stage->asker, gets[1], stage->files[1]);
}

static void a_paused_one_keeps_what_it_has_and_gives_its_turn(void **state) {
    const struct stage *stage = *state;
    uint64_t first = world_get(stage->asker, stage->files[0]);
    uint64_t second = world_get(stage->asker, stage->files[1]);
    world_run_for(stage->world, 5 * SECOND_US / 2);
    uint64_t written = stage->asker->bytes_written;
    assert_true(written >= MIB);
    change(stage, "pause", 0, NULL);
    expect_state(stage, 0, "paused");
    uint64_t list = world_command(stage->asker, "downloads", NULL, NULL);
    assert_true(world_number(world_reported(stage->asker, list, "download", 0), "done") >= MIB);
    cast_wait(stage->asker, second, 60 * SECOND_US);
    cast_assert_fetched(stage->asker, second, stage->files[1]);
    assert_null(world_reported(stage->asker, first, "finished", 0));
    world_run_for(stage->world, 60 * SECOND_US);
    expect_state(stage, 0, "paused"); /* not by itself */
    change(stage, "resume", 0, NULL);
    cast_wait(stage->asker, first, 60 * SECOND_US);
    cast_assert_fetched(stage->asker, first, stage->files[0]);
    /* Only what was on its way when it was paused came twice. */
    assert_true(stage->asker->bytes_written <= (4 + 5 + 2) * MIB);
}

static void all_of_it_outlives_a_kill(void **state) {
    struct stage *stage = *state;
    uint64_t gets[FILES], numbers[FILES];
    char text[64];
    get_all(stage, gets);
    change(stage, "pause", 1, NULL);
    change(stage, "priority", 3, "high");
    for (int i = 0; i < FILES; i++) {
        numbers[i] = look_at(stage, i, text);
    }
    world_run_for(stage->world, SECOND_US);
    world_kill(stage->asker);
    start_asker(stage);
    expect_state(stage, 1, "paused");
    for (int i = 0; i < FILES; i++) {
        assert_int_equal(look_at(stage, i, text), numbers[i]);
    }
    world_run_for(stage->world, SECOND_US);
    expect_state(stage, 3, "fetching"); /* the urgent one */
    expect_state(stage, 2, "queued");
    world_run_for(stage->world, 60 * SECOND_US);
    expect_state(stage, 0, "gone");
    expect_state(stage, 2, "gone");
    expect_state(stage, 3, "gone");
    expect_state(stage, 1, "paused");
    /* A number is never given out again while its download is there. */
    world_get(stage->asker, stage->files[0]);
    assert_true(look_at(stage, 1, text) == numbers[1]);
}

static void one_without_sources_does_not_keep_the_others(void **state) {
    struct stage *stage = *state;
    const struct world_file *nowhere = world_make_file(stage->world, MIB, "lost.ogg");
    world_get(stage->asker, nowhere);
    uint64_t get = world_get(stage->asker, stage->files[0]);
    world_run_for(stage->world, SECOND_US);
    expect_state(stage, 0, "queued");
    world_run_for(stage->world, (DOWNLOAD_GRACE_MS + 20000) * 1000ull);
    cast_assert_fetched(stage->asker, get, stage->files[0]);
}

static void all_can_be_meant_at_once(void **state) {
    const struct stage *stage = *state;
    uint64_t gets[FILES];
    get_all(stage, gets);
    uint64_t id = world_command(stage->asker, "pause", "all", "1");
    assert_int_equal(world_count(stage->asker, id, "changed"), FILES);
    for (int i = 0; i < FILES; i++) {
        expect_state(stage, i, "paused");
    }
    id = world_command(stage->asker, "pause", "all", "1");
    assert_int_equal(world_count(stage->asker, id, "changed"), 0); /* they were already */
    id = world_command(stage->asker, "cancel", "all", "1");
    assert_int_equal(world_count(stage->asker, id, "changed"), FILES);
    for (int i = 0; i < FILES; i++) {
        expect_state(stage, i, "gone");
        assert_int_equal(world_reported(stage->asker, gets[i], "error", 0)->reason, ERR_REFUSED);
    }
    struct slice key, value;
    assert_false(store_next(stage->asker->store, STORE_DOWNLOADS, (struct slice){0}, &key, &value));
    id = world_command(stage->asker, "cancel", "all", "1"); /* nothing is left, which is fine */
    assert_non_null(world_reported(stage->asker, id, "done", 0));
}

/* By how its id begins, when that is enough. */
static void the_start_of_an_id_is_enough(void **state) {
    const struct stage *stage = *state;
    char content[CONTENT_TEXT_BYTES];
    uint64_t gets[FILES];
    get_all(stage, gets);
    content_format(content, &stage->files[2]->content);
    content[strlen("trunkline:") + 6] = '\0';
    uint64_t id = world_command(stage->asker, "pause", "prefix", content + strlen("trunkline:"));
    assert_non_null(world_reported(stage->asker, id, "done", 0));
    assert_int_equal(world_count(stage->asker, id, "changed"), 1);
    expect_state(stage, 2, "paused");
    expect_state(stage, 1, "queued");
}

/* Put a download into the store that begins like another one. */
static void an_id_that_begins_like_another_is_not_enough(void **state) {
    struct stage *stage = *state;
    world_kill(stage->asker);
    static const uint8_t entry[] = {2, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 'x'};
    uint8_t key[CONTENT_KEY_BYTES] = {0xab, 0xcd, 0xef};
    for (uint8_t i = 0; i < 2; i++) {
        key[HASH_BYTES - 1] = i;
        key[CONTENT_KEY_BYTES - 1] = 7;
        store_put(stage->asker->store, STORE_DOWNLOADS, (struct slice){key, sizeof key},
                  (struct slice){entry, sizeof entry});
    }
    start_asker(stage);
    uint64_t id = world_command(stage->asker, "cancel", "prefix", "abcdef00");
    assert_int_equal(world_reported(stage->asker, id, "error", 0)->reason, ERR_LIMIT);
    assert_int_equal(world_count(stage->asker, id, "changed"), 0);
    id = world_command(stage->asker, "cancel", "prefix", "abcde");
    assert_int_equal(world_reported(stage->asker, id, "error", 0)->reason, ERR_LIMIT);
    id = world_command(stage->asker, "cancel", "prefix", "abcdf");
    assert_int_equal(world_reported(stage->asker, id, "error", 0)->reason, ERR_NOT_FOUND);
}

static void how_long_it_takes_is_told(void **state) {
    const struct stage *stage = *state;
    uint64_t gets[FILES];
    get_all(stage, gets);
    world_run_for(stage->world, 2 * SECOND_US);
    uint64_t list = world_command(stage->asker, "downloads", NULL, NULL);
    uint64_t eta_s = 0;
    assert_true(
        world_field(world_reported(stage->asker, list, "download", 0), "eta_s", NULL, &eta_s));
    assert_in_range(eta_s, 1, 10); /* 4 MiB at 1 MiB/s, 2 s of it over */
    assert_false(world_field(world_reported(stage->asker, list, "download", 1), "eta_s", NULL,
                             NULL)); /* it waits */
}

/* ---- What has finished ---- */

static uint64_t history(const struct stage *stage, const char *clear) {
    const struct command_arg arg = {"clear", clear};
    return world_command_args(stage->asker, "history", &arg, clear != NULL ? 1 : 0);
}

static void what_has_finished_is_remembered(void **state) {
    struct stage *stage = *state;
    uint64_t gets[FILES];
    get_all(stage, gets);
    for (int i = 0; i < FILES; i++) {
        assert_true(cast_wait(stage->asker, gets[i], 60 * SECOND_US) != UINT64_MAX);
    }
    world_kill(stage->asker);
    start_asker(stage);
    uint64_t id = history(stage, NULL);
    assert_int_equal(world_count(stage->asker, id, "done-download"), FILES);
    uint64_t before = WORLD_WALL_S;
    for (uint32_t i = 0; i < FILES; i++) {
        const struct world_report *at = world_reported(stage->asker, id, "done-download", i);
        char path[300];
        assert_true(world_field(at, "path", path, NULL));
        assert_int_equal(strlen(path), 2 * HASH_BYTES); /* without another name */
        assert_int_equal(world_number(at, "size"), (4 + i) * MIB);
        assert_in_range(world_number(at, "milliseconds"), 3500, 60000);
        assert_in_range(world_number(at, "finished"), before, before + 120);
        before = world_number(at, "finished");
    }
    assert_int_equal(world_count(stage->asker, history(stage, "1"), "done-download"), 0);
    assert_int_equal(world_count(stage->asker, history(stage, NULL), "done-download"), 0);
}

/* The oldest goes; what nobody wrote is passed over. */
static void the_history_has_an_end(void **state) {
    struct stage *stage = *state;
    uint8_t key[8] = {0}, entry[60] = {1};
    for (uint32_t i = 1; i <= HISTORY_MAX; i++) {
        key[6] = (uint8_t)(i >> 8);
        key[7] = (uint8_t)i;
        entry[0] = i != 2;
        entry[56] = 9; /* its size */
        store_put(stage->asker->store, STORE_DONE, (struct slice){key, sizeof key},
                  (struct slice){entry, sizeof entry});
    }
    assert_int_equal(world_count(stage->asker, history(stage, NULL), "done-download"),
                     HISTORY_MAX - 1);
    uint64_t get = world_get(stage->asker, stage->files[0]);
    assert_true(cast_wait(stage->asker, get, 60 * SECOND_US) != UINT64_MAX);
    uint64_t id = history(stage, NULL);
    assert_int_equal(world_count(stage->asker, id, "done-download"), HISTORY_MAX - 1);
    assert_int_equal(
        world_number(world_reported(stage->asker, id, "done-download", HISTORY_MAX - 2), "size"),
        4 * MIB);
    struct slice value;
    key[6] = 0;
    key[7] = 1;
    assert_false(store_get(stage->asker->store, STORE_DONE, (struct slice){key, 8}, &value));
    key[7] = 2;
    assert_true(store_get(stage->asker->store, STORE_DONE, (struct slice){key, 8}, &value));
}

static void bad_commands_are_refused(void **state) {
    const struct stage *stage = *state;
    static const struct {
        const char *name, *key, *value;
        enum err err;
    } rows[] = {
        {"pause", NULL, NULL, ERR_FORMAT},
        {"pause", "download", "x", ERR_FORMAT},
        {"pause", "download", "0", ERR_FORMAT},
        {"resume", "download", "77", ERR_NOT_FOUND},
        {"cancel", "content", "rubbish", ERR_FORMAT},
        {"priority", "download", "1", ERR_FORMAT},
        {"priority", "priority", "huge", ERR_FORMAT},
        {"priority", "priority", "high", ERR_FORMAT},
        {"pause", "download", "99999999999999", ERR_FORMAT},
        {"pause", "prefix", "abc", ERR_FORMAT},
        {"pause", "prefix", "ABCD", ERR_FORMAT},
        {"pause", "prefix", "abcd", ERR_NOT_FOUND},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        uint64_t id = world_command(stage->asker, rows[i].name, rows[i].key, rows[i].value);
        const struct world_report *error = world_reported(stage->asker, id, "error", 0);
        assert_non_null(error);
        assert_int_equal(error->reason, rows[i].err);
    }
}

/* So many downloads, those that wait included; another must wait until one has gone. */
static void the_queue_has_an_end(void **state) {
    const struct stage *stage = *state;
    uint64_t id = 0;
    for (uint32_t i = 0; i <= DOWNLOADS_MAX; i++) {
        char text[CONTENT_TEXT_BYTES];
        struct content_id content = {.size = MIB};
        memcpy(content.root.b, &i, sizeof i);
        content_format(text, &content);
        id = world_command(stage->asker, "get", "content", text);
        assert_true(i == DOWNLOADS_MAX || world_reported(stage->asker, id, "error", 0) == NULL);
    }
    const struct world_report *error = world_reported(stage->asker, id, "error", 0);
    assert_non_null(error);
    assert_int_equal(error->reason, ERR_LIMIT);
    world_command(stage->asker, "cancel", "download", "1");
    id = world_get(stage->asker, stage->files[0]);
    assert_null(world_reported(stage->asker, id, "error", 0));
}

/* What the version before wrote is read, what nobody wrote is passed over. */
static void old_entries_are_read(void **state) {
    struct stage *stage = *state;
    world_kill(stage->asker);
    uint8_t key[CONTENT_KEY_BYTES], other[CONTENT_KEY_BYTES];
    content_key(key, &stage->files[0]->content);
    content_key(other, &stage->files[1]->content);
    static const uint8_t old[] = {1, 0, 'o', 'l', 'd'},
                         bad[] = {2, 0, 9, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 'b'};
    store_put(stage->asker->store, STORE_DOWNLOADS, (struct slice){key, sizeof key},
              (struct slice){old, sizeof old});
    store_put(stage->asker->store, STORE_DOWNLOADS, (struct slice){other, sizeof other},
              (struct slice){bad, sizeof bad});
    start_asker(stage);
    expect_state(stage, 1, "gone");
    world_run_for(stage->world, 20 * SECOND_US);
    const struct world_part *part = world_part_of(stage->asker, &stage->files[0]->content);
    assert_non_null(part);
    assert_true(part->is_finished);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(they_take_turns_in_their_order),
        CASE(the_urgent_come_first),
        CASE(a_paused_one_keeps_what_it_has_and_gives_its_turn),
        CASE(all_of_it_outlives_a_kill),
        CASE(one_without_sources_does_not_keep_the_others),
        CASE(all_can_be_meant_at_once),
        CASE(the_start_of_an_id_is_enough),
        CASE(an_id_that_begins_like_another_is_not_enough),
        CASE(how_long_it_takes_is_told),
        CASE(what_has_finished_is_remembered),
        CASE(the_history_has_an_end),
        CASE(bad_commands_are_refused),
        CASE(the_queue_has_an_end),
        CASE(old_entries_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
