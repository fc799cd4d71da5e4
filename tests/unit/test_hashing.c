/* test_hashing.c - what of a file is read again when it was moved, that a file which somebody has
 * open for writing is not shared, and that what was read of a changed one is not believed. */
#include <event2/event.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "src/host/hashing.h"
#include "src/host/workers.h"
#include "tests/unit/hostlib.h"

struct desk {
    struct event_base *base;
    struct workers *workers;
    struct hashing *hashing;
    struct driver_counts counts;
    char state[64];
    char folder[64];
    bool is_idle;
    uint32_t told;
    struct content_id content; /* of the last that was told */
    uint32_t meta_by;
};

static void on_hashed(void *context, const struct found_file *found) {
    struct desk *desk = context;
    desk->told++;
    desk->content = found->content;
    desk->meta_by = found->meta_by;
}

static void on_idle(void *context) {
    struct desk *desk = context;
    desk->is_idle = true;
}

static void desk_init(struct desk *desk) {
    *desk = (struct desk){.base = event_base_new()};
    folder_make_temporary(desk->state);
    folder_make_temporary(desk->folder);
    desk->workers = workers_new(desk->base, 2);
    const struct hashing_config config = {.workers = desk->workers,
                                          .counts = &desk->counts,
                                          .state_dir = desk->state,
                                          .hashed = on_hashed,
                                          .idle = on_idle,
                                          .context = desk};
    desk->hashing = hashing_new(&config);
}

static void desk_free(struct desk *desk) {
    workers_free(desk->workers);
    hashing_free(desk->hashing);
    event_base_free(desk->base);
    folder_remove(desk->state);
    folder_remove(desk->folder);
}

static void path_of(const struct desk *desk, const char *name, char path[200]) {
    snprintf(path, 200, "%s/%s", desk->folder, name);
}

static void run(struct desk *desk) {
    while (!desk->is_idle || workers_pending(desk->workers) > 0) {
        event_base_loop(desk->base, EVLOOP_ONCE);
    }
}

/* The content of a file; false when it was not told. */
static bool hash(struct desk *desk, const char *name) {
    char path[200];
    struct stat stat_of;
    path_of(desk, name, path);
    assert_int_equal(stat(path, &stat_of), 0);
    struct stamp stamp = stamp_of(&stat_of);
    uint32_t before = desk->told;
    desk->is_idle = false;
    hashing_add(desk->hashing, desk->folder, name, &stamp);
    hashing_start(desk->hashing);
    run(desk);
    return desk->told > before;
}

/* Another byte at an offset, behind an unchanged modification time. */
static void exchange(const struct desk *desk, const char *name, uint64_t offset) {
    char path[200];
    uint8_t byte;
    struct stat before;
    path_of(desk, name, path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(fstat(fd, &before), 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
    const struct timespec times[2] = {before.st_atim, before.st_mtim};
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
}

static void move(const struct desk *desk, const char *from, const char *to) {
    char one[200], other[200];
    path_of(desk, from, one);
    path_of(desk, to, other);
    assert_int_equal(rename(one, other), 0);
}

/* What is moved to another name or folder is known by its size, its times and its ends; those who
 * write titles into files leave times and size as they were, and names not always. */
static void what_was_moved_is_read_at_its_ends(void **state) {
    static const struct {
        uint64_t size, offset; /* of the byte that changes; beyond the end = none */
        bool is_seen;
    } rows[] = {
        {4 * PIECE_BYTES + 77, 5 * PIECE_BYTES / 2, false},
        {4 * PIECE_BYTES + 77, 0, true},
        {4 * PIECE_BYTES + 77, 4 * PIECE_BYTES + 76, true},
        {4 * PIECE_BYTES, 4 * PIECE_BYTES - 1, true},
        {PIECE_BYTES, PIECE_BYTES / 2, true},
        {1000, 500, true},
        {1000, 1000, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct desk desk;
        char path[200];
        desk_init(&desk);
        path_of(&desk, "deep", path);
        assert_int_equal(mkdir(path, 0700), 0);
        path_of(&desk, "one", path);
        file_make(path, rows[i].size, (uint32_t)i);
        assert_true(hash(&desk, "one"));
        struct content_id before = desk.content;
        hashing_describe(desk.hashing, &before, test_slice(""), 7);
        if (rows[i].offset < rows[i].size) {
            exchange(&desk, "one", rows[i].offset);
        }
        move(&desk, "one", "deep/two.ogg");
        assert_true(hash(&desk, "deep/two.ogg"));
        assert_int_equal(content_equal(&before, &desk.content), !rows[i].is_seen);
        assert_int_equal(desk.meta_by, rows[i].is_seen ? 0 : 7); /* it is of what it was */
        struct content_id after = desk.content;
        assert_true(hash(&desk, "deep/two.ogg")); /* as it was stored */
        assert_true(content_equal(&after, &desk.content));
        desk_free(&desk);
    }
}

/* What is written through a mapping changes without a new time once its first byte has: such a file
 * waits until nobody has it open for writing. */
static void what_is_open_for_writing_waits(void **state) {
    (void)state;
    if (folder_is_overlaid()) {
        skip();
    }
    struct desk desk;
    char path[200];
    desk_init(&desk);
    path_of(&desk, "one", path);
    file_make(path, 3 * PIECE_BYTES, 1);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t *bytes = mmap(NULL, 3 * PIECE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(bytes != MAP_FAILED);
    close(fd);
    bytes[PIECE_BYTES] ^= 1;
    assert_false(hash(&desk, "one"));
    bytes[PIECE_BYTES] ^= 1;
    assert_false(hash(&desk, "one"));
    assert_int_equal(munmap(bytes, 3 * PIECE_BYTES), 0);
    assert_true(hash(&desk, "one"));
    assert_int_equal(desk.counts.hashing_files, 0);
    fd = open(path, O_RDONLY | O_CLOEXEC); /* readers do no harm */
    move(&desk, "one", "two");
    assert_true(hash(&desk, "two"));
    close(fd);
    desk_free(&desk);
}

/* Between two times that it is looked at, a file may have changed in many ways. */
static void what_changed_while_it_was_read_is_not_believed(void **state) {
    (void)state;
    for (int change = 0; change < 5; change++) {
        struct desk desk;
        struct stat before;
        char path[200];
        int fd;
        desk_init(&desk);
        path_of(&desk, "one", path);
        file_make(path, 1000, 1);
        file_make(strcat(path, "2"), 1000, 1);
        path_of(&desk, "one", path);
        assert_int_equal(stat(path, &before), 0);
        usleep(20000); /* the kernel's file times are coarse */
        struct stamp stamp = stamp_of(&before);
        struct source *source = source_new(-1, desk.folder, "one", &stamp);
        assert_int_equal(source_begin(source, &fd), OK);
        if (change == 1) {
            file_make(path, 1000, 2);
        } else if (change == 2) {
            exchange(&desk, "one", 500); /* and put its time back */
        } else if (change == 3) {
            assert_int_equal(truncate(path, 999), 0);
        }
        assert_int_equal(source_end(source, fd), change == 0 || change == 4 ? OK : ERR_CHANGED);
        if (change == 4) { /* another file has the name by then */
            move(&desk, "one2", "one");
            assert_int_equal(source_begin(source, &fd), OK);
            assert_int_equal(source_end(source, fd), ERR_CHANGED);
        }
        source_release(source);
        desk_free(&desk);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_moved_is_read_at_its_ends),
        cmocka_unit_test(what_is_open_for_writing_waits),
        cmocka_unit_test(what_changed_while_it_was_read_is_not_believed),
    };
    alarm(60);
    return cmocka_run_group_tests_name("hashing", tests, NULL, NULL);
}
