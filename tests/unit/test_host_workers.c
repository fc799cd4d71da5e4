/* test_host_workers.c - jobs, strands and slow jobs; and where log lines go. */
#include <event2/event.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "src/host/logsink.h"
#include "src/host/workers.h"
#include "tests/unit/hostlib.h"

#define JOBS 3000
#define STRANDS 5

struct floor {
    struct event_base *base;
    struct workers *workers;
    atomic_int running[STRANDS];
    uint32_t next[STRANDS]; /* of what ran, by the order of submission */
    uint32_t done;
    struct strand strands[STRANDS];
    atomic_int slow_running;
    atomic_int slow_most;
    atomic_bool release;
};

struct task {
    struct job job;
    struct floor *floor;
    uint32_t strand;
    uint32_t number;
    bool was_alone;
    bool was_in_order;
    int disk_class; /* ioprio_get(2) */
};

static void floor_init(struct floor *floor, uint32_t threads) {
    *floor = (struct floor){.base = event_base_new()};
    floor->workers = workers_new(floor->base, threads);
    assert_non_null(floor->workers);
}

static void floor_free(struct floor *floor) {
    workers_free(floor->workers);
    event_base_free(floor->base);
}

static void run_task(struct job *job) {
    struct task *task = (struct task *)job;
    struct floor *floor = task->floor;
    task->was_alone = atomic_fetch_add(&floor->running[task->strand], 1) == 0;
    task->was_in_order = floor->next[task->strand]++ == task->number;
    if (task->number % 16 == 0) {
        usleep(50);
    }
    atomic_fetch_sub(&floor->running[task->strand], 1);
}

static void done_task(struct job *job) {
    struct task *task = (struct task *)job;
    assert_true(task->was_alone);
    assert_true(task->was_in_order);
    task->floor->done++;
    mem_free(task);
}

static void test_strands_keep_order(void **state) {
    (void)state;
    struct floor floor;
    floor_init(&floor, 4);
    uint32_t numbers[STRANDS] = {0};
    for (uint32_t i = 0; i < JOBS; i++) {
        struct task *task = mem_new(sizeof *task);
        task->floor = &floor;
        task->strand = i % STRANDS;
        task->number = numbers[task->strand]++;
        task->job = (struct job){
            .run = run_task, .done = done_task, .strand = &floor.strands[task->strand]};
        workers_submit(floor.workers, &task->job);
    }
    for (int i = 0; i < 2000 && floor.done < JOBS; i++) {
        event_base_loop(floor.base, EVLOOP_ONCE);
    }
    assert_int_equal(floor.done, JOBS);
    assert_int_equal(workers_pending(floor.workers), 0);
    floor_free(&floor);
}

static void run_slow(struct job *job) {
    struct floor *floor = ((struct task *)job)->floor;
    int running = atomic_fetch_add(&floor->slow_running, 1) + 1;
    if (running > atomic_load(&floor->slow_most)) {
        atomic_store(&floor->slow_most, running);
    }
    while (!atomic_load(&floor->release) && !workers_stopping(job->workers)) {
        usleep(100);
    }
    atomic_fetch_sub(&floor->slow_running, 1);
}

static void done_slow(struct job *job) {
    ((struct task *)job)->floor->done++;
    mem_free(job);
}

/* Slow jobs leave a worker free: a fast one is done while they hang. */
static void test_slow_jobs_leave_room(void **state) {
    (void)state;
    struct floor floor;
    floor_init(&floor, 3);
    for (int i = 0; i < 6; i++) {
        struct task *slow = mem_new(sizeof *slow);
        slow->floor = &floor;
        slow->job = (struct job){.run = run_slow, .done = done_slow, .slow = true};
        workers_submit(floor.workers, &slow->job);
    }
    usleep(20000);
    struct task *fast = mem_new(sizeof *fast);
    fast->floor = &floor;
    fast->job = (struct job){.run = run_task, .done = done_task};
    workers_submit(floor.workers, &fast->job);
    event_base_loop(floor.base, EVLOOP_ONCE);
    assert_int_equal(floor.done, 1);
    assert_int_equal(atomic_load(&floor.slow_most), 2);
    atomic_store(&floor.release, true);
    for (int i = 0; i < 100 && floor.done < 7; i++) {
        event_base_loop(floor.base, EVLOOP_ONCE);
    }
    assert_int_equal(floor.done, 7);
    floor_free(&floor);
}

static void run_looking(struct job *job) {
    enum { WHO_PROCESS = 1, CLASS_SHIFT = 13 };
    ((struct task *)job)->disk_class = (int)syscall(SYS_ioprio_get, WHO_PROCESS, 0) >> CLASS_SHIFT;
}

static void done_looking(struct job *job) {
    ((struct task *)job)->floor->done++;
}

/* Slow jobs read when nobody else wants the disk; the same workers then do fast ones like others.
 */
static void test_slow_jobs_let_others_read_first(void **state) {
    (void)state;
    enum { TASKS = 40, CLASS_IDLE = 3 };
    struct floor floor;
    struct task tasks[TASKS];
    floor_init(&floor, 2);
    for (uint32_t i = 0; i < TASKS; i++) {
        tasks[i] = (struct task){.floor = &floor};
        tasks[i].job = (struct job){.run = run_looking, .done = done_looking, .slow = i % 2 == 0};
        workers_submit(floor.workers, &tasks[i].job);
    }
    while (floor.done < TASKS) {
        event_base_loop(floor.base, EVLOOP_ONCE);
    }
    for (uint32_t i = 0; i < TASKS; i++) {
        assert_true(tasks[i].disk_class >= 0);
        assert_int_equal(tasks[i].disk_class == CLASS_IDLE, tasks[i].job.slow);
    }
    floor_free(&floor);
}

/* Freeing runs and completes what is left; long jobs are asked to give up. */
static void test_free_completes(void **state) {
    (void)state;
    struct floor floor;
    floor_init(&floor, 2);
    for (int i = 0; i < 100; i++) {
        struct task *task = mem_new(sizeof *task);
        task->floor = &floor;
        task->job = (struct job){.run = run_slow, .done = done_slow, .slow = i % 2 == 0};
        workers_submit(floor.workers, &task->job);
    }
    floor_free(&floor);
    assert_int_equal(floor.done, 100);
}

/* ---- The log ---- */

static size_t count_lines(const char *path, const char *with) {
    FILE *file = fopen(path, "re");
    char line[600];
    size_t count = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        count += strstr(line, with) != NULL;
    }
    if (file != NULL) {
        fclose(file);
    }
    return count;
}

static void test_log_is_limited(void **state) {
    (void)state;
    char folder[64];
    char path[100];
    struct host_error error;
    folder_make_temporary(folder);
    snprintf(path, sizeof path, "%s/log", folder);
    struct log_sink *sink = log_sink_new(path, &error);
    assert_non_null(sink);
    struct log log = log_sink_log(sink, LOG_LEVEL_INFO);
    for (int i = 0; i < 1000; i++) {
        log_warn(&log, "trouble number=%d", i);
    }
    log_info(&log, "calm");
    log_debug(&log, "hidden");
    size_t written = count_lines(path, "trouble");
    assert_in_range(written, LOG_TROUBLE_PER_S, 2 * LOG_TROUBLE_PER_S);
    assert_int_equal(count_lines(path, "calm"), 1);
    assert_int_equal(count_lines(path, "hidden"), 0);
    log_sink_free(sink);
    assert_null(log_sink_new("/nonexistent/log", &error));
    assert_int_equal(error.err, ERR_NOT_FOUND);
    folder_remove(folder);
}

/* Three files at most, none much larger than the cap, the newest lines in the first. */
static void test_log_rotates(void **state) {
    (void)state;
    char folder[64];
    char path[100];
    struct host_error error;
    folder_make_temporary(folder);
    snprintf(path, sizeof path, "%s/log", folder);
    struct log_sink *sink = log_sink_new(path, &error);
    struct log log = log_sink_log(sink, LOG_LEVEL_INFO);
    char filler[361];
    memset(filler, 'x', sizeof filler - 1);
    filler[sizeof filler - 1] = '\0';
    uint32_t lines = LOG_FILE_BYTES / 390 * 5;
    for (uint32_t i = 0; i < lines; i++) {
        log_info(&log, "fill=%s", filler);
    }
    log_info(&log, "newest");
    log_sink_free(sink);
    assert_int_equal(count_lines(path, "newest"), 1);
    DIR *dir = opendir(folder);
    uint32_t files = 0;
    for (struct dirent *at; (at = readdir(dir)) != NULL;) {
        struct stat stat;
        files += at->d_name[0] == 'l';
        assert_int_equal(fstatat(dirfd(dir), at->d_name, &stat, 0), 0);
        assert_true(S_ISDIR(stat.st_mode) || stat.st_size <= LOG_FILE_BYTES + 512);
    }
    closedir(dir);
    assert_int_equal(files, LOG_FILES);
    folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strands_keep_order),
        cmocka_unit_test(test_slow_jobs_leave_room),
        cmocka_unit_test(test_slow_jobs_let_others_read_first),
        cmocka_unit_test(test_free_completes),
        cmocka_unit_test(test_log_is_limited),
        cmocka_unit_test(test_log_rotates),
    };
    alarm(60);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
