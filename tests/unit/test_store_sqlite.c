/* test_store_sqlite.c - the store that survives: conformance, reopening, damage, power cuts. */
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "src/host/store_sqlite.h"
#include "src/host/workers.h"
#include "tests/unit/hostlib.h"
#include "tests/unit/store_conformance.h"

struct desk {
    struct event_base *base;
    struct workers *workers;
    char folder[64];
    uint64_t synced;
};

static void synced(void *context, uint64_t token) {
    ((struct desk *)context)->synced = token;
}

static void desk_start(struct desk *desk) {
    desk->base = event_base_new();
    desk->workers = workers_new(desk->base, 2);
    assert_non_null(desk->workers);
}

static void desk_init(struct desk *desk) {
    *desk = (struct desk){0};
    folder_make_temporary(desk->folder);
    desk_start(desk);
}

static void desk_stop(struct desk *desk) {
    workers_free(desk->workers);
    event_base_free(desk->base);
}

static void desk_free(struct desk *desk) {
    desk_stop(desk);
    folder_remove(desk->folder);
}

static struct store *desk_open(void *context) {
    struct desk *desk = context;
    struct host_error error = {0};
    struct store_sqlite_config config = {
        .state_dir = desk->folder, .workers = desk->workers, .synced = synced, .context = desk};
    struct store *store = store_sqlite_open(&config, &error);
    if (store == NULL) {
        fail_msg("%s", error.text);
    }
    return store;
}

/* A store is freed after the workers: so they are started anew for the next one. */
static struct store *desk_reopen(void *context, struct store *store) {
    struct desk *desk = context;
    desk_stop(desk);
    store_free(store);
    desk_start(desk);
    return desk_open(desk);
}

static bool desk_wait(void *context, struct store *store, uint64_t token) {
    struct desk *desk = context;
    (void)store;
    for (int i = 0; i < 500 && desk->synced != token; i++) {
        event_base_loop(desk->base, EVLOOP_NONBLOCK);
        usleep(10000);
    }
    return desk->synced == token;
}

static void test_conformance(void **state) {
    (void)state;
    struct desk desk;
    desk_init(&desk);
    struct store_factory factory = {
        .context = &desk, .open = desk_open, .reopen = desk_reopen, .wait_synced = desk_wait};
    store_conformance(&factory);
    desk_free(&desk);
}

/* What was queued when it is closed is written, also without sync. */
static void test_closing_writes(void **state) {
    (void)state;
    struct desk desk;
    desk_init(&desk);
    struct store *store = desk_open(&desk);
    conform_put(store, STORE_META, "late", "but not lost");
    store = desk_reopen(&desk, store);
    conform_expect(store, STORE_META, "late", "but not lost");
    desk_stop(&desk);
    store_free(store);
    folder_remove(desk.folder);
}

/* Killed after a sync was answered: all before it is there. */
static void write_and_die(const char *folder, int round) {
    struct desk desk = {0};
    snprintf(desk.folder, sizeof desk.folder, "%s", folder);
    desk_start(&desk);
    struct store *store = desk_open(&desk);
    char text[16];
    snprintf(text, sizeof text, "%d", round);
    conform_put(store, STORE_META, "round", text);
    store_sync(store, 5);
    if (desk_wait(&desk, store, 5)) {
        conform_put(store, STORE_META, "after", text); /* may be there or not */
        kill(getpid(), SIGKILL);
    }
    _exit(1);
}

static void test_killed_after_sync(void **state) {
    (void)state;
    struct desk desk;
    desk_init(&desk);
    for (int round = 0; round < 10; round++) {
        pid_t pid = fork();
        if (pid == 0) {
            alarm(20);
            write_and_die(desk.folder, round);
        }
        int status = 0;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        char text[16];
        snprintf(text, sizeof text, "%d", round);
        struct store *store = desk_open(&desk);
        conform_expect(store, STORE_META, "round", text);
        store_free(store);
    }
    desk_free(&desk);
}

static uint32_t count_bad(const char *folder) {
    DIR *dir = opendir(folder);
    uint32_t count = 0;
    for (struct dirent *at; dir != NULL && (at = readdir(dir)) != NULL;) {
        count += strstr(at->d_name, "state.db.bad-") == at->d_name;
    }
    closedir(dir);
    return count;
}

/* Damaged in many ways: it always opens, and what is put aside is kept. */
static void test_damaged(void **state) {
    (void)state;
    struct desk desk;
    desk_init(&desk);
    struct store *store = desk_open(&desk);
    for (int i = 0; i < 200; i++) {
        char key[16];
        snprintf(key, sizeof key, "key%d", i);
        conform_put(store, STORE_HOSTS, key, "a value of some length, so that there are pages");
    }
    desk_stop(&desk);
    store_free(store);
    desk_start(&desk);
    char path[100];
    char copy[100];
    char command[300];
    snprintf(path, sizeof path, "%s/state.db", desk.folder);
    snprintf(copy, sizeof copy, "%s/whole", desk.folder);
    snprintf(command, sizeof command, "cp %s %s", path, copy);
    assert_int_equal(system(command), 0);
    struct stat whole;
    assert_int_equal(stat(copy, &whole), 0);
    uint32_t put_aside = 0;
    for (int i = 0; i < 60; i++) {
        snprintf(command, sizeof command, "rm -f %s/state.db* && cp %s %s", desk.folder, copy,
                 path);
        assert_int_equal(system(command), 0);
        if (i < 30) {
            assert_int_equal(truncate(path, whole.st_size * i / 30), 0);
        } else {
            int fd = open(path, O_WRONLY);
            uint8_t junk[64];
            memset(junk, i, sizeof junk);
            off_t at = ((off_t)i * 7919) % whole.st_size;
            assert_int_equal(pwrite(fd, junk, sizeof junk, at), sizeof junk);
            close(fd);
        }
        store = desk_open(&desk);
        conform_put(store, STORE_META, "usable", "yes");
        store_sync(store, (uint64_t)i + 100);
        assert_true(desk_wait(&desk, store, (uint64_t)i + 100));
        put_aside += count_bad(desk.folder);
        store_free(store);
    }
    assert_true(put_aside > 10);
    desk_free(&desk);
}

static void run_sql(const struct desk *desk, const char *sql) {
    char path[100];
    sqlite3 *db = NULL;
    snprintf(path, sizeof path, "%s/state.db", desk->folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* Rows that no version of ours wrote are skipped; they do not reach a CHECK. */
static void test_foreign_rows(void **state) {
    (void)state;
    struct desk desk;
    desk_init(&desk);
    struct store *store = desk_open(&desk);
    conform_put(store, STORE_META, "ours", "kept");
    store = desk_reopen(&desk, store);
    run_sql(&desk, "INSERT INTO entries VALUES (99, x'61', x'62'), (-1, x'61', x'62'),"
                   "(0, x'', x'62'), (0, zeroblob(65), x'62'), (1, x'63', zeroblob(65537)),"
                   "('text', x'61', x'62')");
    store = desk_reopen(&desk, store);
    conform_expect(store, STORE_META, "ours", "kept");
    struct slice key;
    struct slice value;
    assert_false(store_next(store, STORE_HOSTS, (struct slice){0}, &key, &value));
    assert_int_equal(count_bad(desk.folder), 0);
    desk_stop(&desk);
    store_free(store);
    folder_remove(desk.folder);
}

/* A later version's file is not ours to change; nobody else may read any of them. */
static void test_other_version(void **state) {
    (void)state;
    struct desk desk;
    struct stat stat_now;
    char path[100];
    desk_init(&desk);
    struct store *store = desk_open(&desk);
    snprintf(path, sizeof path, "%s/state.db", desk.folder);
    assert_int_equal(stat(path, &stat_now), 0);
    assert_int_equal(stat_now.st_mode & 07777, 0600);
    conform_put(store, STORE_META, "from", "the future");
    store = desk_reopen(&desk, store);
    run_sql(&desk, "PRAGMA user_version = 77");
    store = desk_reopen(&desk, store);
    struct slice value;
    assert_false(store_get(store, STORE_META, test_slice("from"), &value));
    assert_true(count_bad(desk.folder) >= 1);
    desk_stop(&desk);
    store_free(store);
    folder_remove(desk.folder);
}

/* A disk that refuses: nothing is confirmed and nothing lost, and all is well when it recovers. */
static void test_full_disk(void **state) {
    (void)state;
    struct desk desk;
    desk_init(&desk);
    struct store *store = desk_open(&desk);
    struct rlimit before;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit tiny = {.rlim_cur = 1024, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tiny), 0);
    conform_put(store, STORE_META, "first", "refused");
    store_sync(store, 9);
    for (int i = 0; i < 20; i++) {
        event_base_loop(desk.base, EVLOOP_NONBLOCK);
        usleep(10000);
    }
    uint64_t confirmed = desk.synced;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(confirmed, 0);
    conform_expect(store, STORE_META, "first", "refused");
    conform_put(store, STORE_META, "second", "accepted");
    store_sync(store, 10);
    assert_true(desk_wait(&desk, store, 10));
    store = desk_reopen(&desk, store);
    conform_expect(store, STORE_META, "first", "refused");
    conform_expect(store, STORE_META, "second", "accepted");
    desk_stop(&desk);
    store_free(store);
    folder_remove(desk.folder);
}

/* What keeps SQLite from working is not damage: the file stays and is whole again later. Root may
 * write everywhere, so a folder stands where the write-ahead log has to be. */
static void test_out_of_reach(void **state) {
    (void)state;
    struct desk desk;
    desk_init(&desk);
    struct store *store = desk_open(&desk);
    conform_put(store, STORE_META, "download", "half done");
    desk_stop(&desk);
    store_free(store);
    desk_start(&desk);
    char wal[100];
    snprintf(wal, sizeof wal, "%s/state.db-wal", desk.folder);
    assert_int_equal(mkdir(wal, 0700), 0);
    struct host_error error = {0};
    struct store_sqlite_config config = {.state_dir = desk.folder, .workers = desk.workers};
    assert_null(store_sqlite_open(&config, &error));
    assert_int_equal(error.err, ERR_IO);
    assert_non_null(strstr(error.text, "check owner"));
    assert_int_equal(count_bad(desk.folder), 0);
    assert_int_equal(rmdir(wal), 0);
    store = desk_open(&desk);
    conform_expect(store, STORE_META, "download", "half done");
    store_free(store);
    desk_free(&desk);
}

static void test_unwritable_folder(void **state) {
    (void)state;
    struct desk desk;
    desk_init(&desk);
    struct host_error error = {0};
    struct store_sqlite_config config = {.state_dir = "/proc/nowhere", .workers = desk.workers};
    assert_null(store_sqlite_open(&config, &error));
    assert_int_equal(error.err, ERR_IO);
    assert_non_null(strstr(error.text, "check owner"));
    desk_free(&desk);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conformance),       cmocka_unit_test(test_closing_writes),
        cmocka_unit_test(test_killed_after_sync), cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_foreign_rows),      cmocka_unit_test(test_other_version),
        cmocka_unit_test(test_full_disk),         cmocka_unit_test(test_unwritable_folder),
        cmocka_unit_test(test_out_of_reach),
    };
    alarm(290);
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
