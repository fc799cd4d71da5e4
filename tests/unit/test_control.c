/* test_control.c - commands over the control socket: a real server process, its client, and rude
 * strangers on raw sockets. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/check.h"
#include "common/mem.h"
#include "src/host/client.h"
#include "src/host/control.h"
#include "src/host/control_socket.h"

#define WAIT_STEPS 500 /* of 10 ms */
#define FLOOD_REPORT_BYTES 60000

/* ---- The server: a process whose "node" is a few lines ---- */

struct shared {
    atomic_uint commands;
    atomic_uint gone;
    atomic_uint flooded; /* reports made by `flood` */
    atomic_uint open;    /* after the last turn */
};

struct fake {
    struct event_base *base;
    struct control *control;
    struct shared *shared;
    struct event *tick;
    host_report_fn *report;
    void *report_context;
    uint64_t id;
    uint64_t flood_id;    /* 0 = none */
    struct outbox answer; /* reports that go out with the next turn */
};

static void deliver(struct fake *fake) {
    struct outbox out = fake->answer;
    fake->answer = (struct outbox){0};
    for (uint32_t i = 0; i < out.count; i++) {
        const struct action *action = &out.actions[i];
        if (action->last) {
            fake->flood_id = 0;
        }
        fake->report(fake->report_context, outbox_bytes(&out, action), action->last,
                     action->reason);
    }
    outbox_free(&out);
}

static void on_tick(evutil_socket_t fd, short what, void *context) {
    struct fake *fake = context;
    (void)fd;
    (void)what;
    if (fake->flood_id != 0) {
        char *text = mem_new(FLOOD_REPORT_BYTES + 1);
        memset(text, 'x', FLOOD_REPORT_BYTES);
        report_begin(&fake->answer, fake->flood_id, "flood");
        report_text(&fake->answer, "text", text);
        mem_free(text);
        atomic_fetch_add(&fake->shared->flooded, 1);
    }
    deliver(fake);
    atomic_store(&fake->shared->open, control_open_requests(fake->control));
}

static void answer_echo(struct fake *fake, const struct control_request *request) {
    report_begin(&fake->answer, fake->id, "echo");
    for (uint32_t i = 0; i < request->count; i++) {
        report_text(&fake->answer, request->args[i].key, request->args[i].value);
    }
    report_number(&fake->answer, "number", 12345678901234ULL);
    report_number(&fake->answer, "unknown", UINT64_MAX);
    report_flag(&fake->answer, "flag", true);
    report_slice(&fake->answer, "broken", (struct slice){(const uint8_t *)"a\xff", 2});
    report_done(&fake->answer, fake->id);
}

static uint64_t on_command(void *context, const struct control_request *request,
                           host_report_fn *report, void *report_context) {
    struct fake *fake = context;
    atomic_fetch_add(&fake->shared->commands, 1);
    fake->report = report;
    fake->report_context = report_context;
    fake->id++;
    if (strcmp(request->name, "echo") == 0) {
        answer_echo(fake, request);
    } else if (strcmp(request->name, "flood") == 0) {
        fake->flood_id = fake->id;
    } else if (strcmp(request->name, "silent") != 0) {
        report_error(&fake->answer, fake->id, ERR_NO_SPACE, "the disk is full; free some space");
    }
    return fake->id;
}

static void on_gone(void *context, uint64_t id) {
    struct fake *fake = context;
    CHECK(id > 0 && id <= fake->id);
    fake->flood_id = fake->flood_id == id ? 0 : fake->flood_id;
    atomic_fetch_add(&fake->shared->gone, 1);
}

static bool on_local(void *context, const struct control_request *request, struct buf *lines,
                     struct host_error *error) {
    (void)context;
    if (strcmp(request->name, "folders") == 0) {
        control_json_line(lines, "folder", "path", "/a\"b");
        return true;
    }
    if (strcmp(request->name, "refused") == 0) {
        *error = (struct host_error){ERR_POLICY, "not here"};
        return true;
    }
    return false;
}

static void on_stop(void *context) {
    struct fake *fake = context;
    event_base_loopexit(fake->base, NULL);
}

static _Noreturn void serve(const char *dir, struct shared *shared, int ready_fd) {
    static const struct control_ops ops = {on_command, on_gone, on_local, on_stop};
    struct host_error error = {0};
    struct fake fake = {.base = event_base_new(), .shared = shared};
    fake.control = control_new(fake.base, dir, &ops, &fake, &error);
    if (fake.control == NULL) {
        fprintf(stderr, "server: %s\n", error.text);
        exit(3);
    }
    fake.tick = event_new(fake.base, -1, EV_PERSIST, on_tick, &fake);
    event_add(fake.tick, &(struct timeval){.tv_usec = 1000});
    CHECK(write(ready_fd, "!", 1) == 1);
    close(ready_fd);
    event_base_dispatch(fake.base);
    control_free(fake.control);
    event_free(fake.tick);
    outbox_free(&fake.answer);
    event_base_free(fake.base);
    libevent_global_shutdown();
    exit(0);
}

/* ---- Around a test ---- */

struct world {
    char *dir;
    struct shared *shared;
    pid_t server;
};

static void start_server(struct world *world) {
    int ready[2];
    char sign = 0;
    assert_int_equal(pipe(ready), 0);
    fflush(NULL);
    world->server = fork();
    assert_true(world->server >= 0);
    if (world->server == 0) {
        close(ready[0]);
        alarm(60); /* never outlives a broken test for long */
        serve(world->dir, world->shared, ready[1]);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &sign, 1), 1);
    close(ready[0]);
}

static int set_up(void **state) {
    struct world *world = mem_new(sizeof *world);
    char path[] = "/tmp/test_control.XXXXXX";
    signal(SIGPIPE, SIG_IGN);
    assert_non_null(mkdtemp(path));
    world->dir = mem_string(path);
    world->shared = mmap(NULL, sizeof *world->shared, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(world->shared != MAP_FAILED);
    start_server(world);
    *state = world;
    return 0;
}

/* Stop the server by the command and check that it ended well (also its leak check). */
static void stop_server(struct world *world) {
    struct host_error error = {0};
    int status = 0;
    assert_int_equal(client_stop("peer", world->dir, 20, &error), OK);
    assert_int_equal(waitpid(world->server, &status, 0), world->server);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    world->server = 0;
}

static int tear_down(void **state) {
    struct world *world = *state;
    if (world->server != 0) {
        stop_server(world);
    }
    assert_int_equal(rmdir(world->dir), 0); /* the socket is gone */
    munmap(world->shared, sizeof *world->shared);
    mem_free(world->dir);
    mem_free(world);
    return 0;
}

static bool wait_for(const atomic_uint *counter, unsigned wanted) {
    for (int i = 0; i < WAIT_STEPS && atomic_load(counter) != wanted; i++) {
        usleep(10000);
    }
    return atomic_load(counter) == wanted;
}

/* ---- Raw sockets ---- */

static int raw_connect(const struct world *world) {
    struct host_error error = {0};
    int fd = control_socket_connect(world->dir, &error);
    assert_true(fd >= 0);
    struct timeval patience = {.tv_sec = 20};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    return fd;
}

static void raw_send(int fd, const char *text) {
    size_t len = strlen(text);
    assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), len);
}

/* Send everything, read to the end of the connection. */
static void raw_talk(const struct world *world, const char *request, char *answer, size_t size) {
    int fd = raw_connect(world);
    size_t len = 0;
    ssize_t got = 0;
    raw_send(fd, request);
    while (len + 1 < size && (got = recv(fd, answer + len, size - 1 - len, 0)) > 0) {
        len += (size_t)got;
    }
    assert_true(got == 0 || errno == ECONNRESET); /* an end, not our patience */
    answer[len] = '\0';
    close(fd);
}

static void assert_refused(const struct world *world, const char *request, const char *status,
                           const char *error) {
    char answer[4096];
    raw_talk(world, request, answer, sizeof answer);
    if (strstr(answer, status) == NULL || strstr(answer, error) == NULL) {
        fail_msg("asked %.60s, wanted %s %s, got %s", request, status, error, answer);
    }
    assert_int_equal(atomic_load(&world->shared->commands), 0);
}

/* ---- Collecting a client's lines ---- */

struct lines {
    unsigned count;
    char last[2048];
    unsigned stop_after;                 /* 0 = never */
    const atomic_uint *interrupt_at_two; /* commands; NULL = never */
};

static bool on_line(void *context, const json_t *object, const char *text) {
    struct lines *lines = context;
    (void)object;
    lines->count++;
    snprintf(lines->last, sizeof lines->last, "%s", text);
    return lines->count != lines->stop_after;
}

static bool on_interrupt(void *context) {
    struct lines *lines = context;
    return lines->interrupt_at_two != NULL && atomic_load(lines->interrupt_at_two) == 2;
}

static enum err ask(const struct world *world, const char *command, struct lines *lines,
                    struct host_error *error) {
    struct client_call call = {.program = "peer",
                               .state_dir = world->dir,
                               .command = command,
                               .line = on_line,
                               .context = lines,
                               .interrupted = on_interrupt};
    return client_run(&call, error);
}

/* ---- Tests ---- */

static void answers_come_through_whole(void **state) {
    struct world *world = *state;
    struct lines lines = {0};
    struct host_error error = {0};
    struct command_arg args[] = {{"text", "blåhval \"sång\"\n"}, {"want", "7"}};
    struct client_call call = {.program = "peer",
                               .state_dir = world->dir,
                               .command = "echo",
                               .args = args,
                               .count = 2,
                               .line = on_line,
                               .context = &lines};
    assert_int_equal(client_run(&call, &error), OK);
    assert_int_equal(lines.count, 1);
    assert_string_equal(lines.last,
                        "{\"kind\":\"echo\",\"text\":\"blåhval \\\"sång\\\"\\n\",\"want\":\"7\","
                        "\"number\":12345678901234,\"unknown\":null,\"flag\":true,"
                        "\"broken\":\"?\"}");
    assert_int_equal(atomic_load(&world->shared->gone), 0);
}

static void errors_keep_code_and_text(void **state) {
    struct world *world = *state;
    struct lines lines = {0};
    struct host_error error = {0};
    assert_int_equal(ask(world, "anything", &lines, &error), ERR_NO_SPACE);
    assert_string_equal(error.text, "the disk is full; free some space");
    assert_int_equal(ask(world, "refused", &lines, &error), ERR_POLICY);
    assert_string_equal(error.text, "not here");
    assert_int_equal(lines.count, 0);
}

static void local_commands_do_not_reach_the_node(void **state) {
    struct world *world = *state;
    struct lines lines = {0};
    struct host_error error = {0};
    assert_int_equal(ask(world, "folders", &lines, &error), OK);
    assert_string_equal(lines.last, "{\"kind\":\"folder\",\"path\":\"/a\\\"b\"}");
    assert_int_equal(atomic_load(&world->shared->commands), 0);
}

static void the_socket_is_private(void **state) {
    struct world *world = *state;
    char path[256];
    struct stat stat_of;
    snprintf(path, sizeof path, "%s/" CONTROL_SOCKET_NAME, world->dir);
    assert_int_equal(stat(path, &stat_of), 0);
    assert_true(S_ISSOCK(stat_of.st_mode));
    assert_int_equal(stat_of.st_mode & 07777, 0600);
}

/* The forked child may give up its rights for good; needs root to begin with. */
static void other_users_are_refused(void **state) {
    struct world *world = *state;
    char path[256];
    int status = 0;
    if (geteuid() != 0) {
        skip();
    }
    snprintf(path, sizeof path, "%s/" CONTROL_SOCKET_NAME, world->dir);
    assert_int_equal(chmod(world->dir, 0755), 0); /* a careless admin opens both */
    assert_int_equal(chmod(path, 0666), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        char answer[2048] = "";
        struct host_error error = {0};
        int fd = setgid(65534) == 0 && setuid(65534) == 0
                     ? control_socket_connect(world->dir, &error)
                     : -1;
        const char *request = "POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
        bool sent = fd >= 0 && send(fd, request, strlen(request), 0) > 0;
        bool got = sent && recv(fd, answer, sizeof answer - 1, 0) > 0;
        _exit(got && strstr(answer, " 403 ") != NULL ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(atomic_load(&world->shared->commands), 0);
}

static void bad_requests_are_refused(void **state) {
    struct world *world = *state;
    assert_refused(world, "GET /v1/echo HTTP/1.1\r\nHost: x\r\n\r\n", " 405 ", "unexpected");
    assert_refused(world, "POST /v2/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", " 404 ",
                   "not-found");
    assert_refused(world, "POST /v1/EC%00HO HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
                   " 404 ", "not-found");
    assert_refused(world, "POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n[1,2]",
                   " 400 ", "format");
    assert_refused(world, "POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{\"a\":[]",
                   " 400 ", "format");
    assert_refused(world,
                   "POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n{\"a\":[]}",
                   " 400 ", "whole numbers");
    assert_refused(
        world, "POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n{\"a\":1,\"a\":222}",
        " 400 ", "format");
}

static void too_many_arguments_are_refused(void **state) {
    struct world *world = *state;
    char request[512];
    char body[256] = "{";
    for (int i = 0; i <= COMMAND_ARGS_MAX; i++) {
        size_t len = strlen(body);
        snprintf(body + len, sizeof body - len, "%s\"a%d\":1", i == 0 ? "" : ",", i);
    }
    strcat(body, "}");
    snprintf(request, sizeof request,
             "POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", strlen(body),
             body);
    assert_refused(world, request, " 400 ", "too many arguments");
}

static void oversized_bodies_are_refused(void **state) {
    struct world *world = *state;
    time_t begun = time(NULL);
    assert_refused(world, "POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n",
                   " 413 ", "");
    assert_refused(
        world, "POST /v1/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
        "", "");
    assert_true(time(NULL) - begun < CONTROL_READ_TIMEOUT_S / 2); /* at once, not after waiting */
}

static void garbage_is_survived(void **state) {
    struct world *world = *state;
    static const char *const rubbish[] = {
        "\r\n\r\n\r\n",
        "\x16\x03\x01\x02\x01 hello\r\n\r\n",
        "POST\r\n\r\n",
        "POST /v1/echo HTTP/9.9\r\n\r\n",
        "POST /v1/echo HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST /v1/echo HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "POST /v1/echo HTTP/1.1\r\nNo colon\r\n\r\n",
        "POST /v1/echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello",
    };
    char answer[4096];
    for (size_t i = 0; i < sizeof rubbish / sizeof *rubbish; i++) {
        int fd = raw_connect(world);
        raw_send(fd, rubbish[i]);
        shutdown(fd, SHUT_WR);
        while (recv(fd, answer, sizeof answer, 0) > 0) {
        }
        close(fd);
    }
    char *long_line = mem_new(100001);
    memset(long_line, 'A', 100000);
    int fd = raw_connect(world);
    (void)!send(fd, long_line, 100000, MSG_NOSIGNAL);
    while (recv(fd, answer, sizeof answer, 0) > 0) {
    }
    close(fd);
    mem_free(long_line);
    assert_int_equal(atomic_load(&world->shared->commands), 0);
    struct lines lines = {0};
    struct host_error error = {0};
    assert_int_equal(ask(world, "echo", &lines, &error), OK);
}

static void a_request_may_come_in_crumbs(void **state) {
    struct world *world = *state;
    const char *request =
        "POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\n\r\n{\"text\":\"ab\"}";
    char answer[4096];
    size_t len = 0;
    ssize_t got = 0;
    int fd = raw_connect(world);
    for (const char *at = request; *at != '\0'; at++) {
        assert_int_equal(send(fd, at, 1, 0), 1);
        usleep(200);
    }
    while ((got = recv(fd, answer + len, sizeof answer - 1 - len, 0)) > 0) {
        len += (size_t)got;
    }
    answer[len] = '\0';
    assert_non_null(strstr(answer, " 200 "));
    assert_non_null(strstr(answer, "\"text\":\"ab\""));
    assert_non_null(strstr(answer, "{\"kind\":\"done\"}"));
    close(fd);
}

static void a_client_that_leaves_is_told_to_the_node(void **state) {
    struct world *world = *state;
    int fd = raw_connect(world);
    raw_send(fd, "POST /v1/silent HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    assert_true(wait_for(&world->shared->commands, 1));
    assert_int_equal(atomic_load(&world->shared->gone), 0);
    assert_true(wait_for(&world->shared->open, 1));
    close(fd);
    assert_true(wait_for(&world->shared->gone, 1));
    assert_true(wait_for(&world->shared->open, 0));
}

static void a_client_may_stop_listening(void **state) {
    struct world *world = *state;
    struct lines lines = {.stop_after = 3};
    struct host_error error = {0};
    assert_int_equal(ask(world, "flood", &lines, &error), OK);
    assert_int_equal(lines.count, 3);
    assert_true(wait_for(&world->shared->gone, 1));
    struct lines interrupted = {.interrupt_at_two = &world->shared->commands};
    assert_int_equal(ask(world, "silent", &interrupted, &error), ERR_SHUTDOWN);
    assert_true(wait_for(&world->shared->gone, 2));
}

static void a_slow_client_is_cut_off(void **state) {
    struct world *world = *state;
    int fd = raw_connect(world);
    raw_send(fd, "POST /v1/flood HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    assert_true(wait_for(&world->shared->gone, 1));
    unsigned made = atomic_load(&world->shared->flooded);
    /* what the socket holds, what may be queued, and one report more */
    assert_true(made <= (CONTROL_OUTPUT_MAX + 1024 * 1024) / FLOOD_REPORT_BYTES + 1);
    assert_true(wait_for(&world->shared->open, 0));
    close(fd);
}

static void too_many_at_once_are_told_to_wait(void **state) {
    struct world *world = *state;
    int fds[CONTROL_REQUESTS_MAX];
    char answer[4096];
    for (unsigned i = 0; i < CONTROL_REQUESTS_MAX; i++) {
        fds[i] = raw_connect(world);
        raw_send(fds[i], "POST /v1/silent HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    }
    assert_true(wait_for(&world->shared->commands, CONTROL_REQUESTS_MAX));
    raw_talk(world, "POST /v1/silent HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", answer,
             sizeof answer);
    assert_non_null(strstr(answer, " 503 "));
    for (unsigned i = 0; i < CONTROL_REQUESTS_MAX; i++) {
        close(fds[i]);
    }
    assert_true(wait_for(&world->shared->gone, CONTROL_REQUESTS_MAX));
}

static void stopping_ends_open_requests(void **state) {
    struct world *world = *state;
    char answer[4096];
    int fd = raw_connect(world);
    raw_send(fd, "POST /v1/silent HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    assert_true(wait_for(&world->shared->commands, 1));
    stop_server(world);
    assert_int_equal(atomic_load(&world->shared->gone), 1);
    ssize_t got = 0;
    while ((got = recv(fd, answer, sizeof answer, 0)) > 0) {
    }
    assert_true(got == 0 || errno == ECONNRESET);
    close(fd);
}

static void nobody_there_is_said_with_the_remedy(void **state) {
    struct world *world = *state;
    struct lines lines = {0};
    struct host_error error = {0};
    stop_server(world);
    assert_int_equal(ask(world, "echo", &lines, &error), ERR_NOT_FOUND);
    assert_non_null(strstr(error.text, "no peer is running in"));
    assert_non_null(strstr(error.text, "start one with `peer run`"));
    assert_int_equal(client_stop("peer", world->dir, 1, &error), ERR_NOT_FOUND);
    assert_non_null(strstr(error.text, "start one with `peer run`"));
    struct world nowhere = {.dir = "/nonexistent/folder"};
    assert_int_equal(ask(&nowhere, "echo", &lines, &error), ERR_NOT_FOUND);
    assert_non_null(strstr(error.text, "no peer is running in /nonexistent/folder"));
}

static void a_socket_left_by_a_crash_is_replaced(void **state) {
    struct world *world = *state;
    struct lines lines = {0};
    struct host_error error = {0};
    int status = 0;
    assert_int_equal(kill(world->server, SIGKILL), 0);
    assert_int_equal(waitpid(world->server, &status, 0), world->server);
    world->server = 0;
    assert_int_equal(ask(world, "echo", &lines, &error), ERR_NOT_FOUND);
    start_server(world);
    assert_int_equal(ask(world, "echo", &lines, &error), OK);
}

static void what_is_not_ours_stays(void **state) {
    struct world *world = *state;
    struct host_error error = {0};
    char path[256];
    assert_int_equal(control_socket_listen(world->dir, &error), -1); /* it runs */
    assert_int_equal(error.err, ERR_DUPLICATE);
    stop_server(world);
    snprintf(path, sizeof path, "%s/" CONTROL_SOCKET_NAME, world->dir);
    int fd = open(path, O_CREAT | O_WRONLY | O_EXCL, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(control_socket_listen(world->dir, &error), -1);
    assert_int_equal(error.err, ERR_EXISTS);
    assert_int_equal(unlink(path), 0); /* it was still there */
}

static void long_folders_work(void **state) {
    struct world *world = *state;
    struct lines lines = {0};
    struct host_error error = {0};
    char name[121];
    char path[512];
    stop_server(world);
    memset(name, 'd', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    snprintf(path, sizeof path, "%s/%s", world->dir, name);
    assert_int_equal(mkdir(path, 0700), 0);
    char *short_dir = world->dir;
    world->dir = path;
    start_server(world);
    assert_int_equal(ask(world, "echo", &lines, &error), OK);
    assert_int_equal(lines.count, 1);
    stop_server(world);
    assert_int_equal(rmdir(path), 0);
    world->dir = short_dir;
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(answers_come_through_whole),
        TEST(errors_keep_code_and_text),
        TEST(local_commands_do_not_reach_the_node),
        TEST(the_socket_is_private),
        TEST(other_users_are_refused),
        TEST(bad_requests_are_refused),
        TEST(too_many_arguments_are_refused),
        TEST(oversized_bodies_are_refused),
        TEST(garbage_is_survived),
        TEST(a_request_may_come_in_crumbs),
        TEST(a_client_that_leaves_is_told_to_the_node),
        TEST(a_client_may_stop_listening),
        TEST(a_slow_client_is_cut_off),
        TEST(too_many_at_once_are_told_to_wait),
        TEST(stopping_ends_open_requests),
        TEST(nobody_there_is_said_with_the_remedy),
        TEST(a_socket_left_by_a_crash_is_replaced),
        TEST(what_is_not_ours_stays),
        TEST(long_folders_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
