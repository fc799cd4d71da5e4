/* test_host_files.c - downloads on disk: journal, resume, finish, and blocks served from files. */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "src/host/files.h"
#include "src/host/journal.h"
#include "tests/unit/partlib.h"

/* ---- The journal as bytes ---- */

static const struct content_id content = {.root = {{1, 2, 3}}, .size = 20ull * PIECE_BYTES};

static struct buf journal_with(const uint8_t bitmap[3]) {
    struct buf bytes = {0};
    journal_begin(&bytes, &content);
    journal_pieces(&bytes, (struct slice){bitmap, 3}, 20);
    return bytes;
}

static void test_crc32c(void **state) {
    (void)state;
    uint8_t zeros[32] = {0};
    assert_int_equal(crc32c("123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(zeros, sizeof zeros), 0x8a9136aa); /* RFC 3720, B.4 */
    assert_int_equal(crc32c("", 0), 0);
}

static void test_journal_round_trip(void **state) {
    (void)state;
    char name[JOURNAL_NAME_MAX + 1];
    struct rng rng;
    rng_seed(&rng, 1);
    for (int i = 0; i < 1000; i++) {
        uint8_t bitmap[3];
        rng_fill(&rng, bitmap, sizeof bitmap);
        bitmap[2] &= 0xf0;
        struct buf bytes = journal_with(bitmap);
        uint8_t read[3] = {0};
        size_t good = journal_read((struct slice){bytes.data, bytes.len}, &content, read, 20, name);
        assert_int_equal(good, bytes.len);
        assert_memory_equal(read, bitmap, sizeof read);
        buf_free(&bytes);
    }
}

/* Cut or flipped anywhere: what is believed is a prefix, and never a piece that was not written. */
static void test_journal_damaged(void **state) {
    (void)state;
    const uint8_t bitmap[3] = {0xa5, 0x00, 0x10};
    char name[JOURNAL_NAME_MAX + 1];
    struct buf bytes = journal_with(bitmap);
    for (size_t cut = 0; cut < bytes.len; cut++) {
        uint8_t read[3] = {0};
        size_t good = journal_read((struct slice){bytes.data, cut}, &content, read, 20, name);
        assert_true(good <= cut);
        assert_true((read[0] & ~bitmap[0]) == 0 && (read[2] & ~bitmap[2]) == 0);
    }
    for (size_t bit = 0; bit < bytes.len * 8; bit++) {
        uint8_t read[3] = {0};
        bytes.data[bit / 8] ^= (uint8_t)(1 << (bit % 8));
        size_t good = journal_read((struct slice){bytes.data, bytes.len}, &content, read, 20, name);
        assert_true(good < bytes.len);
        assert_true((read[0] & ~bitmap[0]) == 0 && read[1] == 0 && (read[2] & ~bitmap[2]) == 0);
        bytes.data[bit / 8] ^= (uint8_t)(1 << (bit % 8));
    }
    struct content_id other = content;
    other.size++;
    uint8_t read[3] = {0};
    assert_int_equal(journal_read((struct slice){bytes.data, bytes.len}, &other, read, 20, name),
                     0);
    buf_free(&bytes);
}

static void test_write_resume_finish(void **state) {
    (void)state;
    struct fetch fetch;
    fetch_init(&fetch);
    fetch.wanted = 0xa0;
    fetch_run(&fetch);
    assert_int_equal(fetch.opened, 0);
    assert_int_equal(fetch.committed, 0xa0);
    fetch.wanted = 0x5c; /* the rest, in a new process's life */
    fetch.will_finish = true;
    fetch_run(&fetch);
    assert_int_equal(fetch.opened, 0xa0);
    assert_int_equal(fetch.reason, OK);
    assert_same_file(&fetch);
    assert_int_equal(files_in(fetch.downloads, "/.trunkline"), 0);
    struct stat stat_after;
    assert_int_equal(stat(fetch.path, &stat_after), 0);
    assert_int_equal(stat_after.st_mode & 0111, 0);
    /* The same again does not replace it. */
    fetch.wanted = 0xfc;
    char first[300];
    strcpy(first, fetch.path);
    fetch_run(&fetch);
    assert_non_null(strstr(fetch.path, "/song (2).ogg"));
    assert_same_file(&fetch);
    assert_string_not_equal(first, fetch.path);
    fetch_free(&fetch);
}

/* Where a file goes that is wanted there: below the folder, every step of the way harmless. */
static void test_evil_names(void **state) {
    (void)state;
    static const struct {
        const char *wanted;
        const char *path;
    } rows[] = {{"../../etc/passwd", "unnamed/unnamed/etc/passwd"},
                {"/etc/passwd", "etc/passwd"},
                {".profile", "_profile"},
                {"-rf", "_rf"},
                {"..", "unnamed"},
                {"CON", "_CON"},
                {"a/b\\c", "a/b_c"},
                {"", ""},
                {".trunkline/x", "_trunkline/x"},
                {"a//./b/", "a/unnamed/b"}};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct fetch fetch;
        fetch_init(&fetch);
        fetch.wanted = 0xfc;
        fetch.will_finish = true;
        fetch.name = rows[i].wanted;
        fetch_run(&fetch);
        assert_int_equal(fetch.reason, OK);
        char *folder = realpath(fetch.downloads, NULL);
        assert_memory_equal(fetch.path, folder, strlen(folder));
        assert_string_equal(fetch.path + strlen(folder) + 1,
                            rows[i].path[0] != '\0' ? rows[i].path : "unnamed");
        assert_same_file(&fetch);
        assert_int_equal(files_in(fetch.downloads, ""), 1);
        free(folder);
        fetch_free(&fetch);
    }
}

/* Something else has a folder's name: nothing is written through a link, and nothing replaced. */
static void test_taken_folders(void **state) {
    (void)state;
    struct fetch fetch;
    char path[100], outside[100];
    fetch_init(&fetch);
    snprintf(outside, sizeof outside, "%s/.outside", fetch.downloads);
    assert_int_equal(mkdir(outside, 0700), 0);
    snprintf(path, sizeof path, "%s/Album", fetch.downloads);
    assert_int_equal(symlink(outside, path), 0);
    snprintf(path, sizeof path, "%s/Album (2)", fetch.downloads);
    file_make(path, 10, 1);
    fetch.wanted = ALL_PIECES;
    fetch.will_finish = true;
    fetch.name = "Album/CD 1/song.ogg";
    static const char *const wanted[] = {"/Album (3)/CD 1/song.ogg",
                                         "/Album (3)/CD 1/song (2).ogg"};
    for (size_t i = 0; i < LENGTH(wanted); i++) {
        fetch_run(&fetch);
        assert_int_equal(fetch.reason, OK);
        assert_non_null(strstr(fetch.path, wanted[i]));
        assert_same_file(&fetch);
    }
    assert_int_equal(files_in(outside, ""), 0);
    fetch_free(&fetch);
}

/* Wrong bytes are never given a name, and the journal forgets them. */
static void test_mismatch(void **state) {
    (void)state;
    struct fetch fetch;
    fetch_init(&fetch);
    fetch.wanted = 0xfc;
    fetch.will_finish = true;
    fetch.bytes[3 * PIECE_BYTES + 5] ^= 1;
    fetch_run(&fetch);
    assert_int_equal(fetch.reason, ERR_MISMATCH);
    assert_int_equal(files_in(fetch.downloads, ""), 0);
    fetch.bytes[3 * PIECE_BYTES + 5] ^= 1;
    fetch_run(&fetch);
    assert_int_equal(fetch.opened, 0);
    assert_int_equal(fetch.reason, OK);
    assert_same_file(&fetch);
    fetch_free(&fetch);
}

static void test_discard(void **state) {
    (void)state;
    struct fetch fetch;
    fetch_init(&fetch);
    fetch.wanted = 0xf0;
    fetch.will_discard = true;
    fetch_run(&fetch);
    assert_int_equal(files_in(fetch.downloads, "/.trunkline"), 0);
    fetch_free(&fetch);
}

/* A part file that is gone or was cut is not believed, whatever its journal says. */
static void test_lost_part_file(void **state) {
    (void)state;
    struct fetch fetch;
    fetch_init(&fetch);
    fetch.wanted = 0xf0;
    fetch_run(&fetch);
    char command[200];
    snprintf(command, sizeof command, "truncate -s 1000 %s/.trunkline/*.part", fetch.downloads);
    assert_int_equal(system(command), 0);
    fetch_run(&fetch);
    assert_int_equal(fetch.opened, 0);
    fetch_free(&fetch);
}

/* A torn record at the end: what was before counts, the torn bytes are kept aside. */
static void test_torn_journal(void **state) {
    (void)state;
    struct fetch fetch;
    fetch_init(&fetch);
    fetch.wanted = 0x80;
    fetch_run(&fetch);
    char command[200];
    snprintf(command, sizeof command, "printf torn >> %s/.trunkline/*.journal", fetch.downloads);
    assert_int_equal(system(command), 0);
    fetch.wanted = 0x40;
    fetch_run(&fetch);
    assert_int_equal(fetch.opened, 0x80);
    assert_int_equal(files_in(fetch.downloads, "/.trunkline"), 3); /* part, journal, .bad */
    fetch.wanted = 0;
    fetch_run(&fetch);
    assert_int_equal(fetch.opened, 0xc0);
    fetch_free(&fetch);
}

/* Killed right after COMMITTED was told: every piece that was told is there. */
static void test_killed(void **state) {
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct fetch fetch;
        fetch_init(&fetch);
        fetch.wanted = (uint8_t)(0x80 >> i | 0x04);
        fetch.dies_after_commit = true;
        pid_t pid = fork();
        if (pid == 0) {
            alarm(30);
            fetch_run(&fetch);
            _exit(0);
        }
        int status = 0;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        fetch.dies_after_commit = false;
        uint8_t told = fetch.wanted;
        fetch.wanted = 0;
        fetch_run(&fetch);
        assert_int_equal(fetch.opened, told);
        fetch_free(&fetch);
    }
}

/* No room: a clear reason, at once and not at 99 %. */
static void test_no_space(void **state) {
    (void)state;
    struct fetch fetch;
    fetch_init(&fetch);
    fetch.wanted = 0xfc;
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit limit = {PIECE_BYTES, PIECE_BYTES};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        alarm(30);
        fetch_run(&fetch);
        _exit(fetch.reason == ERR_NO_SPACE && fetch.committed == 0 ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    fetch_free(&fetch);
}

/* ---- Below a folder, and nowhere else ---- */

static void test_open_beneath(void **state) {
    (void)state;
    char folder[64];
    char path[200];
    folder_make_temporary(folder);
    snprintf(path, sizeof path, "%s/sub", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/sub/file", folder);
    file_make(path, 10, 1);
    int fd = open_beneath(folder, "sub/file");
    assert_true(fd >= 0);
    close(fd);
    snprintf(path, sizeof path, "%s/link", folder);
    assert_int_equal(symlink("/etc", path), 0);
    assert_int_equal(open_beneath(folder, "link/passwd"), -1);
    assert_int_equal(open_beneath(folder, "link"), -1);
    assert_int_equal(open_beneath(folder, "sub//file"), -1);
    assert_int_equal(open_beneath(folder, ""), -1);
    assert_int_equal(open_beneath(folder, "nothing/file"), -1);
    folder_remove(folder);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc32c),          cmocka_unit_test(test_journal_round_trip),
        cmocka_unit_test(test_journal_damaged), cmocka_unit_test(test_write_resume_finish),
        cmocka_unit_test(test_evil_names),      cmocka_unit_test(test_mismatch),
        cmocka_unit_test(test_taken_folders),   cmocka_unit_test(test_discard),
        cmocka_unit_test(test_lost_part_file),  cmocka_unit_test(test_torn_journal),
        cmocka_unit_test(test_killed),          cmocka_unit_test(test_no_space),
        cmocka_unit_test(test_open_beneath),
    };
    alarm(290);
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
