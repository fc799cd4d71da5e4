/* test_cluster.c - processes are started, watched and ended, and none outlives its owner. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/mem.h"
#include "src/cluster/guard.h"
#include "src/cluster/process.h"

#define COMMAND(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SHELL(script) COMMAND("/bin/sh", "-c", script)

static int set_up(void **state) {
    *state = owner_new("trunkline-test");
    return *state == NULL;
}

static int tear_down(void **state) {
    owner_free(*state);
    return 0;
}

static struct process *start(struct owner *owner, const char *const *argv, const char *log) {
    struct process *process;
    const struct process_options options = {.argv = argv, .log = log};
    assert_int_equal(process_start(owner, &options, &process), OK);
    return process;
}

static bool is_gone(pid_t pid) {
    char path[64], state = 'Z';
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (file != NULL) {
        if (fscanf(file, "%*d %*s %c", &state) != 1) {
            state = 'Z';
        }
        fclose(file);
    }
    return state == 'Z' || state == 'X';
}

static bool goes_away(pid_t pid, int timeout_ms) {
    for (int i = 0; i < timeout_ms / 10 && !is_gone(pid); i++) {
        process_sleep_ms(10);
    }
    return is_gone(pid);
}

/* Wait for a file that holds a number and return it. */
static pid_t read_pid(const char *path) {
    for (int i = 0; i < 500; i++) {
        FILE *file = fopen(path, "r");
        int pid = 0;
        if (file != NULL) {
            int got = fscanf(file, "%d\n", &pid);
            fclose(file);
            if (got == 1) {
                return pid;
            }
        }
        process_sleep_ms(10);
    }
    fail_msg("no pid in %s", path);
    return -1;
}

static void test_exit_statuses(void **state) {
    int status;
    struct process *good = start(*state, SHELL("exit 7"), NULL);
    assert_int_equal(process_wait(good, 5000, &status), OK);
    assert_int_equal(status, 7);
    assert_false(process_running(good));
    struct process *shot = start(*state, SHELL("kill -9 $$"), NULL);
    assert_int_equal(process_wait(shot, 5000, &status), OK);
    assert_int_equal(status, 128 + SIGKILL);
    struct process *sleeper = start(*state, COMMAND("sleep", "60"), NULL);
    assert_int_equal(process_wait(sleeper, 50, &status), ERR_TIMEOUT);
    assert_true(process_running(sleeper));
}

static void test_a_program_that_cannot_run_is_an_error(void **state) {
    struct process *process;
    struct process_options options = {.argv = COMMAND("/nonexistent/program")};
    assert_int_equal(process_start(*state, &options, &process), ERR_NOT_FOUND);
    assert_null(process);
    options.argv = COMMAND("/etc/passwd");
    assert_int_equal(process_start(*state, &options, &process), ERR_PERMISSION);
    options = (struct process_options){.argv = COMMAND("true"), .cwd = "/nonexistent"};
    assert_int_equal(process_start(*state, &options, &process), ERR_NOT_FOUND);
}

static void test_environment_folder_and_log(void **state) {
    char *log = owner_path(*state, "log");
    struct process *process;
    const char *const more[] = {"TRUNKLINE_TEST=blue whale", NULL};
    const struct process_options options = {
        .argv = SHELL("echo $TRUNKLINE_TEST; pwd; echo trouble >&2"),
        .env = more,
        .cwd = owner_folder(*state),
        .log = log,
    };
    assert_int_equal(process_start(*state, &options, &process), OK);
    assert_int_equal(process_wait_log(process, "blue whale\n", 5000), OK);
    assert_int_equal(process_wait_log(process, owner_folder(*state), 5000), OK);
    assert_int_equal(process_wait_log(process, "trouble\n", 5000), OK);
    assert_int_equal(process_wait_log(process, "never said", 5000), ERR_CLOSED);
    /* A second run's log does not count what the first one wrote. */
    struct process *second = start(*state, COMMAND("sleep", "60"), log);
    assert_int_equal(process_wait_log(second, "blue whale", 100), ERR_TIMEOUT);
    mem_free(log);
}

static void test_waiting_for_a_file(void **state) {
    char *path = owner_path(*state, "made");
    char script[512];
    snprintf(script, sizeof script, "sleep 0.1; touch '%s'; sleep 60", path);
    struct process *process = start(*state, SHELL(script), NULL);
    assert_int_equal(process_wait_file(process, path, 5000), OK);
    assert_int_equal(process_wait_file(process, "/nonexistent/x", 50), ERR_TIMEOUT);
    process_kill(process);
    assert_int_equal(process_wait_file(process, "/nonexistent/x", 5000), ERR_CLOSED);
    mem_free(path);
}

static void test_waiting_for_a_socket(void **state) {
    char *path = owner_path(*state, "socket");
    struct process *process = start(*state, COMMAND("sleep", "60"), NULL);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(process_wait_socket(process, path, 60), ERR_TIMEOUT); /* bound, deaf */
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(process_wait_socket(process, path, 5000), OK);
    /* A path that is longer than a UNIX address. */
    char *folder = owner_path(*state, "%0120d", 7);
    char *link = owner_path(*state, "%0120d/socket", 7);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(process_wait_socket(process, link, 5000), OK);
    close(fd);
    mem_free(link);
    mem_free(folder);
    mem_free(path);
}

static void test_stopping_escalates(void **state) {
    char *log = owner_path(*state, "stubborn.log");
    struct process *polite = start(*state,
                                   SHELL("trap 'exit 3' TERM; echo up; while :; do sleep "
                                         "0.01; done"),
                                   log);
    assert_int_equal(process_wait_log(polite, "up", 5000), OK);
    assert_int_equal(process_stop(polite, 5000), 3);
    struct process *stubborn =
        start(*state, SHELL("trap '' TERM; echo up; while :; do sleep 0.01; done"), log);
    assert_int_equal(process_wait_log(stubborn, "up", 5000), OK);
    assert_int_equal(process_stop(stubborn, 100), 128 + SIGKILL);
    struct process *frozen = start(*state, COMMAND("sleep", "60"), NULL);
    process_freeze(frozen);
    assert_int_equal(process_stop(frozen, 5000), 128 + SIGTERM);
    mem_free(log);
}

static void test_freeze_and_thaw(void **state) {
    char *log = owner_path(*state, "counting.log");
    struct process *process = start(*state, SHELL("while :; do echo tick; sleep 0.01; done"), log);
    assert_int_equal(process_wait_log(process, "tick", 5000), OK);
    process_freeze(process);
    process_sleep_ms(50);
    struct stat before, after;
    assert_int_equal(stat(log, &before), 0);
    process_sleep_ms(150);
    assert_int_equal(stat(log, &after), 0);
    assert_int_equal(before.st_size, after.st_size);
    process_thaw(process);
    process_sleep_ms(200);
    assert_int_equal(stat(log, &after), 0);
    assert_true(after.st_size > before.st_size);
    mem_free(log);
}

static void test_the_whole_group_ends(void **state) {
    char *path = owner_path(*state, "grandchild");
    char script[512];
    snprintf(script, sizeof script, "sleep 60 & echo $! >'%s'; wait", path);
    struct process *process = start(*state, SHELL(script), NULL);
    pid_t grandchild = read_pid(path);
    process_stop(process, 1000);
    assert_true(goes_away(grandchild, 2000));
    /* Also when the leader ends by itself and leaves somebody behind. */
    unlink(path);
    snprintf(script, sizeof script, "sleep 60 & echo $! >'%s'", path);
    process = start(*state, SHELL(script), NULL);
    grandchild = read_pid(path);
    int status;
    assert_int_equal(process_wait(process, 5000, &status), OK);
    assert_true(goes_away(grandchild, 2000));
    mem_free(path);
}

static void test_lines_and_capture(void **state) {
    struct process *process;
    struct process_options options = {.argv = SHELL("echo one; echo two; printf three"),
                                      .pipe = true};
    struct buf line = {0};
    assert_int_equal(process_start(*state, &options, &process), OK);
    static const char *const wanted[] = {"one", "two", "three"};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(process_line(process, &line, 5000), OK);
        assert_string_equal((char *)line.data, wanted[i]);
    }
    assert_int_equal(process_line(process, &line, 5000), ERR_CLOSED);
    buf_free(&line);
    struct buf out = {0};
    int status;
    options.argv = SHELL("seq 1 20000; exit 5");
    assert_int_equal(process_capture(*state, &options, 10000, &out, &status), OK);
    assert_int_equal(status, 5);
    assert_int_equal(out.len, 108894);
    assert_string_equal((char *)out.data + out.len - 6, "20000\n");
    out.len = 0;
    options.argv = SHELL("echo begun; sleep 60");
    assert_int_equal(process_capture(*state, &options, 200, &out, &status), ERR_TIMEOUT);
    assert_string_equal((char *)out.data, "begun\n");
    out.len = 0;
    options.argv = COMMAND("yes");
    assert_int_equal(process_capture(*state, &options, 60000, &out, &status), ERR_LIMIT);
    buf_free(&out);
}

static void test_no_descriptor_is_handed_down(void **state) {
    struct buf out = {0};
    int status;
    assert_int_equal(dup2(STDERR_FILENO, 77), 77); /* as a library might open one */
    const struct process_options options = {.argv = SHELL("test ! -e /proc/$$/fd/77")};
    assert_int_equal(process_capture(*state, &options, 10000, &out, &status), OK);
    assert_int_equal(status, 0);
    close(77);
    buf_free(&out);
}

/* Runs in a fork that cron or a careless shell left without standard streams. */
static _Noreturn void be_an_owner_without_streams(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        close(fd);
    }
    struct owner *owner = owner_new("trunkline-inner");
    struct buf out = {0};
    int status = 0;
    const struct process_options options = {.argv = SHELL("cat && echo out && echo err >&2")};
    enum err err = process_capture(owner, &options, 5000, &out, &status);
    owner_free(owner);
    _exit(err != OK ? 1 : status != 0 ? 2 : strcmp((char *)out.data, "out\n") != 0 ? 3 : 0);
}

static void test_closed_standard_streams(void **state) {
    (void)state;
    int status;
    pid_t inner = fork();
    if (inner == 0) {
        be_an_owner_without_streams();
    }
    assert_int_equal(waitpid(inner, &status, 0), inner);
    assert_int_equal(status, 0);
}

static void test_slots_are_bounded_and_come_back(void **state) {
    struct process *processes[PROCESSES_MAX], *extra;
    const struct process_options options = {.argv = COMMAND("true")};
    for (int i = 0; i < PROCESSES_MAX; i++) {
        assert_int_equal(process_start(*state, &options, &processes[i]), OK);
    }
    assert_int_equal(process_start(*state, &options, &extra), ERR_LIMIT);
    process_free(processes[17]);
    assert_int_equal(process_start(*state, &options, &extra), OK);
}

/* How the forked owner of the next tests comes to its end. */
enum ending { KILLED, INTERRUPTED, TERMINATED, EXITED, RETURNED };

/* Runs in a fork: owns a child, a grandchild and one that left the group, then waits. */
static _Noreturn void be_an_owner(const char *pids, const char *folder_file, enum ending ending) {
    struct owner *owner = owner_new("trunkline-inner");
    char script[2048];
    snprintf(script, sizeof script,
             "sleep 61 & echo $! >'%s.2'; setsid sleep 62 & echo $! >'%s.3'; "
             "echo $$ >'%s.1'; wait",
             pids, pids, pids);
    struct process *process;
    const struct process_options options = {.argv = SHELL(script)};
    if (process_start(owner, &options, &process) != OK) {
        _exit(99);
    }
    FILE *file = fopen(folder_file, "w");
    fprintf(file, "%s\n", owner_folder(owner));
    fclose(file);
    if (ending == EXITED) {
        process_sleep_ms(300);
        exit(0);
    }
    if (ending == RETURNED) {
        process_sleep_ms(300);
        owner_free(owner);
        _exit(0);
    }
    process_sleep_ms(60000);
    _exit(98);
}

static void expect_nothing_left(struct owner *owner, enum ending ending) {
    static const int signals[] = {[KILLED] = SIGKILL,
                                  [INTERRUPTED] = SIGINT,
                                  [TERMINATED] = SIGTERM,
                                  [EXITED] = 0,
                                  [RETURNED] = 0};
    char *pids = owner_path(owner, "pids-%d", (int)ending);
    char *folder_file = owner_path(owner, "folder-%d", (int)ending);
    pid_t inner = fork();
    if (inner == 0) {
        be_an_owner(pids, folder_file, ending);
    }
    pid_t found[3];
    for (int i = 0; i < 3; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s.%d", pids, i + 1);
        found[i] = read_pid(path);
    }
    char folder[4096] = "";
    for (int i = 0; i < 500 && folder[0] == '\0'; i++) {
        FILE *file = fopen(folder_file, "r");
        if (file == NULL || fscanf(file, "%4095s", folder) != 1) {
            process_sleep_ms(10);
        }
        if (file != NULL) {
            fclose(file);
        }
    }
    assert_int_equal(access(folder, F_OK), 0);
    if (signals[ending] != 0) {
        for (int i = 0; i < 3; i++) {
            assert_false(is_gone(found[i])); /* or the test would show nothing */
        }
        kill(inner, signals[ending]);
    }
    int status;
    assert_int_equal(waitpid(inner, &status, 0), inner);
    if (signals[ending] != 0) {
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == signals[ending]);
    }
    for (int i = 0; i < 3; i++) {
        assert_true(goes_away(found[i], 3000));
    }
    for (int i = 0; i < 300 && access(folder, F_OK) == 0; i++) {
        process_sleep_ms(10);
    }
    assert_int_not_equal(access(folder, F_OK), 0);
    mem_free(folder_file);
    mem_free(pids);
}

static void test_nothing_outlives_its_owner(void **state) {
    for (enum ending ending = KILLED; ending <= RETURNED; ending++) {
        expect_nothing_left(*state, ending);
    }
}

static void test_a_sweep_ends_only_its_own(void **state) {
    struct process *bystander = start(*state, COMMAND("sleep", "60"), NULL);
    char token[GUARD_TOKEN_BYTES];
    guard_token(token);
    char marked[128];
    snprintf(marked, sizeof marked, "OTHER=%s", token);
    const char *const more[] = {marked, NULL};
    struct process *target;
    const struct process_options options = {.argv = COMMAND("sleep", "60"), .env = more};
    assert_int_equal(process_start(*state, &options, &target), OK);
    assert_int_equal(guard_sweep(token), 1);
    int status;
    assert_int_equal(process_wait(target, 5000, &status), OK);
    assert_int_equal(status, 128 + SIGKILL);
    assert_true(process_running(bystander));
    assert_int_equal(guard_sweep(token), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_exit_statuses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_program_that_cannot_run_is_an_error, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_environment_folder_and_log, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_waiting_for_a_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_waiting_for_a_socket, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stopping_escalates, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_freeze_and_thaw, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_whole_group_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lines_and_capture, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_descriptor_is_handed_down, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_closed_standard_streams, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_slots_are_bounded_and_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_outlives_its_owner, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_sweep_ends_only_its_own, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
