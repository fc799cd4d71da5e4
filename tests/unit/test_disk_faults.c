/* test_disk_faults.c - every call to the disk fails once, in every way: a clear reason, nothing
 * wrong, and the next run finishes the file. */
#include "tests/unit/disktap.h"

#include <sys/wait.h>

#define FINE_NAME "/song.ogg"

static const struct {
    int number;
    enum err reason;
} rows[] = {{ENOSPC, ERR_NO_SPACE}, {EDQUOT, ERR_NO_SPACE}, {EIO, ERR_IO}, {EROFS, ERR_PERMISSION}};

static void plan(struct fetch *fetch) {
    fetch_init(fetch);
    fetch->wanted = 0xa0;
    fetch->later[0] = 0x48;
    fetch->later[1] = 0x14;
    fetch->will_finish = true;
}

static void run_tapped(struct fetch *fetch, struct tap_fault fault) {
    tap_clear();
    tap.fault = fault;
    tap.calls = 0;
    tap.hits = 0;
    tap.is_on = true;
    fetch_run(fetch);
    tap.is_on = false;
    tap_clear();
}

static uint32_t calls_of(const char *function) {
    struct fetch fetch;
    plan(&fetch);
    run_tapped(&fetch, (struct tap_fault){.only = function});
    assert_int_equal(fetch.reason, OK);
    fetch_free(&fetch);
    return tap.calls;
}

/* Then the disk is as it should be again: the same file, once, and nothing left over. */
static void expect_recovery(struct fetch *fetch) {
    uint8_t vouched = fetch->committed;
    bool was_finished = fetch->path[0] != '\0';
    assert_in_range(files_in(fetch->downloads, ""), was_finished, 1); /* renamed, not yet told */
    if (!was_finished) {
        fetch->will_resume = true;
        memset(fetch->later, 0, sizeof fetch->later);
        run_tapped(fetch, (struct tap_fault){0});
        assert_int_equal(fetch->reason, OK);
        assert_int_equal(vouched & ~fetch->opened, 0);
    }
    assert_same_file(fetch);
    assert_true(tap_ends(fetch->path, FINE_NAME));
    assert_int_equal(files_in(fetch->downloads, ""), 1);
    assert_int_equal(files_in(fetch->downloads, "/.trunkline"), 0);
}

static uint32_t fail_each(const char *function, bool is_lasting) {
    uint32_t calls = calls_of(function);
    uint32_t failed = 0;
    assert_true(calls > 0);
    for (size_t row = 0; row < LENGTH(rows); row += is_lasting ? 2 : 1) {
        for (uint32_t at = 0; at < calls; at++) {
            struct fetch fetch;
            plan(&fetch);
            run_tapped(&fetch, (struct tap_fault){.is_armed = true,
                                                  .is_lasting = is_lasting,
                                                  .at = at,
                                                  .number = rows[row].number,
                                                  .only = function});
            assert_true(tap.hits > 0);
            assert_int_equal(fetch.reason, rows[row].reason);
            expect_recovery(&fetch);
            fetch_free(&fetch);
            failed++;
        }
    }
    return failed;
}

static void test_every_call_fails_once(void **state) {
    (void)state;
    static const char *const functions[] = {"openat",    "ftruncate", "fallocate", "pwrite",
                                            "fdatasync", "fsync",     "renameat2"};
    for (size_t i = 0; i < LENGTH(functions); i++) {
        print_message("%s: %u faults\n", functions[i], fail_each(functions[i], false));
    }
}

static void test_the_disk_fails_for_good(void **state) {
    (void)state;
    print_message("%u faults\n", fail_each(NULL, true));
}

/* Then room is taken as it is written. */
static void test_without_fallocate(void **state) {
    (void)state;
    tap.no_fallocate = true;
    struct fetch fetch;
    plan(&fetch);
    run_tapped(&fetch, (struct tap_fault){0});
    assert_int_equal(fetch.reason, OK);
    assert_same_file(&fetch);
    fetch_free(&fetch);
    (void)fail_each("pwrite", false);
    tap.no_fallocate = false;
}

/* Nobody but us reads what is not yet known to be right, and nothing is ever a program. */
static void look_at_modes(struct fetch *fetch) {
    char pattern[400];
    snprintf(pattern, sizeof pattern,
             "test -z \"$(find %s/.trunkline -type f ! -perm 0600; find %s/.trunkline -type d "
             "! -perm 0700)\" && test -n \"$(find %s/.trunkline -name '*.part')\"",
             fetch->downloads, fetch->downloads, fetch->downloads);
    assert_int_equal(system(pattern), 0);
}

static void look_when_told(struct fetch *fetch, enum node_event_kind kind) {
    if (kind == NODE_FILE_COMMITTED) {
        look_at_modes(fetch);
    }
}

/* As a process that was started a moment ago: it holds what we have open, for a while. */
static void start_holder(struct fetch *fetch, enum node_event_kind kind) {
    (void)fetch;
    if (kind == NODE_FILE_COMMITTED && fork() == 0) {
        usleep(100000);
        _exit(0);
    }
}

/* The journal goes all the same. */
static void test_a_lock_that_another_process_got_too(void **state) {
    (void)state;
    struct fetch fetch;
    plan(&fetch);
    fetch.on_told = start_holder;
    fetch_run(&fetch);
    assert_same_file(&fetch);
    assert_int_equal(files_in(fetch.downloads, "/.trunkline"), 0);
    fetch_free(&fetch);
    while (wait(NULL) > 0) {
    }
}

static void test_modes(void **state) {
    (void)state;
    mode_t before = umask(0);
    struct fetch fetch;
    plan(&fetch);
    fetch.on_opened = look_at_modes;
    fetch.on_told = look_when_told;
    fetch_run(&fetch);
    umask(before);
    struct stat stat_after;
    assert_int_equal(stat(fetch.path, &stat_after), 0);
    assert_int_equal(stat_after.st_mode & 07777, 0666); /* the umask's business */
    fetch_free(&fetch);
}

/* A name that is taken is taken, whatever has it. */
static void test_collisions(void **state) {
    (void)state;
    struct fetch fetch;
    plan(&fetch);
    char path[200];
    snprintf(path, sizeof path, "%s/song.ogg", fetch.downloads);
    file_make(path, 77, 1);
    snprintf(path, sizeof path, "%s/song (2).ogg", fetch.downloads);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/song (3).ogg", fetch.downloads);
    assert_int_equal(symlink("/nowhere/at/all", path), 0);
    fetch_run(&fetch);
    assert_true(tap_ends(fetch.path, "/song (4).ogg"));
    assert_same_file(&fetch);
    struct stat stat_after;
    snprintf(path, sizeof path, "%s/song.ogg", fetch.downloads);
    assert_int_equal(stat(path, &stat_after), 0);
    assert_int_equal(stat_after.st_size, 77);
    fetch_free(&fetch);
}

/* A name that somebody takes at the last moment is taken, too. */
static void test_a_late_collision(void **state) {
    (void)state;
    struct fetch fetch;
    struct stat stat_after;
    char path[200];
    plan(&fetch);
    tap.rival = "song.ogg";
    run_tapped(&fetch, (struct tap_fault){0});
    assert_null(tap.rival);
    assert_true(tap_ends(fetch.path, "/song (2).ogg"));
    assert_same_file(&fetch);
    snprintf(path, sizeof path, "%s/song.ogg", fetch.downloads);
    assert_int_equal(stat(path, &stat_after), 0);
    assert_int_equal(stat_after.st_size, 0);
    fetch_free(&fetch);
}

/* Links in the way, of part file or journal, are not followed. */
static void test_planted_links(void **state) {
    (void)state;
    static const char *const endings[] = {"part", "journal", "journal.new"};
    for (size_t i = 0; i < LENGTH(endings); i++) {
        struct fetch fetch;
        plan(&fetch);
        char path[300];
        char outside[100];
        char root[2 * HASH_BYTES + 1];
        hex_format(root, fetch.content.root.b, HASH_BYTES);
        snprintf(outside, sizeof outside, "%s/outside", fetch.downloads);
        file_make(outside, 77, 1);
        snprintf(path, sizeof path, "%s/.trunkline", fetch.downloads);
        assert_int_equal(mkdir(path, 0700), 0);
        snprintf(path, sizeof path, "%s/.trunkline/%s-%u.%s", fetch.downloads, root, FILE_BYTES,
                 endings[i]);
        assert_int_equal(symlink(outside, path), 0);
        fetch_run(&fetch);
        assert_int_equal(fetch.reason, ERR_PERMISSION);
        struct stat stat_after;
        assert_int_equal(stat(outside, &stat_after), 0);
        assert_int_equal(stat_after.st_size, 77);
        fetch_free(&fetch);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_call_fails_once),
        cmocka_unit_test(test_the_disk_fails_for_good),
        cmocka_unit_test(test_without_fallocate),
        cmocka_unit_test(test_a_lock_that_another_process_got_too),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_collisions),
        cmocka_unit_test(test_a_late_collision),
        cmocka_unit_test(test_planted_links),
    };
    alarm(290);
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
