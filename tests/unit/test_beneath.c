/* test_beneath.c - folders and files are exchanged for links to elsewhere while they are opened:
 * not one byte from outside is read, and none is written there.
 *
 *     unit_beneath [--tries N] */
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>

#include "src/host/files.h"
#include "src/host/folders.h"
#include "tests/unit/partlib.h"

#define TRIES_CI 20000
#define DOWNLOADS_CI 30 /* raced against */

static uint32_t tries = TRIES_CI;

/* ---- Somebody who exchanges two names, again and again ---- */

struct swapper {
    pthread_t thread;
    atomic_bool is_over;
    char first[2][200];
    char second[2][200];
};

static void *swap(void *context) {
    struct swapper *swapper = context;
    for (uint32_t i = 0; !swapper->is_over; i = 1 - i) {
        renameat2(AT_FDCWD, swapper->first[i], AT_FDCWD, swapper->second[i], RENAME_EXCHANGE);
        if (i == 0) {
            sched_yield();
        }
    }
    return NULL;
}

static void swapper_start(struct swapper *swapper) {
    swapper->is_over = false;
    assert_int_equal(pthread_create(&swapper->thread, NULL, swap, swapper), 0);
}

static void swapper_stop(struct swapper *swapper) {
    swapper->is_over = true;
    pthread_join(swapper->thread, NULL);
}

static void make_text(const char *path, const char *text) {
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* ---- Reading ---- */

struct ground {
    char folder[64];
    char shared[100];
    struct swapper swapper;
};

/* shared/sub/file and shared/plain say "i", what their doubles point to says "o". */
static void ground_make(struct ground *ground) {
    char path[200];
    char outside[200];
    folder_make_temporary(ground->folder);
    snprintf(ground->shared, sizeof ground->shared, "%s/shared", ground->folder);
    assert_int_equal(mkdir(ground->shared, 0700), 0);
    snprintf(path, sizeof path, "%s/sub", ground->shared);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/sub/file", ground->shared);
    make_text(path, "i");
    snprintf(path, sizeof path, "%s/plain", ground->shared);
    make_text(path, "i");
    snprintf(outside, sizeof outside, "%s/outside", ground->folder);
    assert_int_equal(mkdir(outside, 0700), 0);
    snprintf(path, sizeof path, "%s/double", ground->shared);
    assert_int_equal(symlink(outside, path), 0);
    snprintf(outside, sizeof outside, "%s/outside/file", ground->folder);
    make_text(outside, "o");
    snprintf(path, sizeof path, "%s/link", ground->shared);
    assert_int_equal(symlink(outside, path), 0);
    static const char *const names[2][2] = {{"sub", "double"}, {"plain", "link"}};
    for (size_t i = 0; i < 2; i++) {
        snprintf(ground->swapper.first[i], 200, "%s/%s", ground->shared, names[i][0]);
        snprintf(ground->swapper.second[i], 200, "%s/%s", ground->shared, names[i][1]);
    }
}

struct tally {
    uint32_t inside;
    uint32_t outside;
    uint32_t refused;
};

static void note(struct tally *tally, int fd) {
    char letter = 0;
    if (fd < 0) {
        tally->refused++;
        return;
    }
    assert_int_equal(read(fd, &letter, 1), 1);
    tally->inside += letter == 'i';
    tally->outside += letter == 'o';
    close(fd);
}

static struct tally read_in_race(int how) {
    static const char *const paths[] = {"sub/file", "plain"};
    struct ground ground;
    struct tally tally = {0};
    ground_make(&ground);
    swapper_start(&ground.swapper);
    for (uint32_t i = 0; i < tries; i++) {
        if (how < 0) { /* as one should not */
            char path[200];
            snprintf(path, sizeof path, "%s/%s", ground.shared, paths[i % 2]);
            note(&tally, open(path, O_RDONLY | O_CLOEXEC));
        } else {
            note(&tally, open_beneath_by((enum beneath)how, ground.shared, paths[i % 2]));
        }
    }
    swapper_stop(&ground.swapper);
    folder_remove(ground.folder);
    return tally;
}

static void test_reading(void **state) {
    (void)state;
    struct tally plain = read_in_race(-1);
    assert_true(plain.outside > 0); /* the race is one */
    static const int ways[] = {BENEATH_RESOLVED, BENEATH_STEPWISE};
    for (size_t i = 0; i < LENGTH(ways); i++) {
        struct tally tally = read_in_race(ways[i]);
        if (ways[i] == BENEATH_RESOLVED && tally.refused == tries) {
            print_message("this kernel has no openat2\n");
            continue;
        }
        print_message("%u times inside, %u refused, %u outside; by open(2) %u outside\n",
                      tally.inside, tally.refused, tally.outside, plain.outside);
        assert_int_equal(tally.outside, 0);
        assert_true(tally.inside > 0 && tally.refused > 0);
    }
}

/* Whatever the path says. */
static void test_paths(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      ".",
                                      "..",
                                      "../outside/file",
                                      "sub/..",
                                      "sub/../..",
                                      "/etc/passwd",
                                      "double/file",
                                      "link",
                                      "sub//file",
                                      "/",
                                      "sub/../../outside/file",
                                      "nothing/file"};
    struct ground ground;
    ground_make(&ground);
    for (int how = BENEATH_ANY; how <= BENEATH_STEPWISE; how++) {
        for (size_t i = 0; i < LENGTH(bad); i++) {
            int fd = open_beneath_by((enum beneath)how, ground.shared, bad[i]);
            struct stat at;
            struct stat root;
            /* The folder itself is no way out. */
            bool is_root = fd >= 0 && fstat(fd, &at) == 0 && stat(ground.shared, &root) == 0 &&
                           at.st_ino == root.st_ino;
            if (fd >= 0 && !is_root) {
                fail_msg("%s is opened", bad[i]);
            }
            close(fd);
        }
    }
    folder_remove(ground.folder);
}

/* ---- Making folders ---- */

/* How many folders lie outside after as many were made below `sub`, which is a link at times. */
static uint32_t make_in_race(bool naively) {
    struct ground ground;
    ground_make(&ground);
    int root = open(ground.shared, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint32_t made = 0;
    swapper_start(&ground.swapper);
    for (uint32_t i = 0; i < tries / 10; i++) {
        char path[NAMES_PATH_MAX + 1], full[200];
        snprintf(path, sizeof path, "sub/new%u", i);
        if (naively) { /* as one should not */
            snprintf(full, sizeof full, "%s/sub/new%u", ground.shared, i);
            made += mkdir(full, 0700) == 0;
        } else {
            int fd = folders_make(root, path);
            made += fd >= 0;
            close(fd);
        }
    }
    swapper_stop(&ground.swapper);
    char outside[100];
    snprintf(outside, sizeof outside, "%s/outside", ground.folder);
    uint32_t strays = files_in(outside, "") - 1; /* the file */
    assert_true(made > 0);
    print_message("%u folders made %s, %u outside\n", made, naively ? "by mkdir(2)" : "safely",
                  strays);
    close(root);
    folder_remove(ground.folder);
    return strays;
}

static void test_making(void **state) {
    (void)state;
    assert_true(make_in_race(true) > 0); /* the race is one */
    assert_int_equal(make_in_race(false), 0);
}

/* ---- Writing ---- */

static void test_writing(void **state) {
    (void)state;
    struct fetch fetch;
    char root[2 * HASH_BYTES + 1];
    char outside[100];
    fetch_init(&fetch);
    hex_format(root, fetch.content.root.b, HASH_BYTES);
    snprintf(outside, sizeof outside, "%s/.outside", fetch.downloads);
    char parts[100];
    snprintf(parts, sizeof parts, "%s/.trunkline", fetch.downloads);
    assert_int_equal(mkdir(parts, 0700), 0);
    file_make(outside, FILE_BYTES, 9);
    struct stat before;
    assert_int_equal(stat(outside, &before), 0);
    struct swapper swapper = {0};
    static const char *const endings[] = {"part", "journal"};
    for (size_t i = 0; i < 2; i++) { /* a file or a link to elsewhere, by turns */
        snprintf(swapper.first[i], 200, "%s/%s-%u.%s", parts, root, FILE_BYTES, endings[i]);
        snprintf(swapper.second[i], 200, "%s/other-%s", parts, endings[i]);
        assert_int_equal(symlink(outside, swapper.second[i]), 0);
    }
    fetch.wanted = ALL_PIECES;
    fetch.will_finish = true;
    uint32_t finished = 0;
    swapper_start(&swapper);
    for (uint32_t i = 0; i < DOWNLOADS_CI; i++) {
        fetch_run(&fetch);
        if (fetch.reason == OK) {
            struct stat named;
            finished++;
            assert_int_equal(lstat(fetch.path, &named), 0);
            assert_true(S_ISREG(named.st_mode));
            assert_same_file(&fetch);
        }
    }
    swapper_stop(&swapper);
    struct stat after;
    assert_int_equal(stat(outside, &after), 0);
    assert_int_equal(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
    assert_int_equal(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
    assert_int_equal(after.st_size, before.st_size);
    print_message("%u of %d downloads ended in spite of it\n", finished, DOWNLOADS_CI);
    fetch_free(&fetch);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_making),
        cmocka_unit_test(test_writing),
    };
    if (argc > 2 && strcmp(argv[1], "--tries") == 0) {
        tries = (uint32_t)strtoul(argv[2], NULL, 10);
    }
    alarm(290);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
