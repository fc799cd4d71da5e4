/* test_proxy.c - the proxy between nodes: what it passes on is whole, and each fault is one.
 *
 * A time is only ever held against its lower bound: a busy machine makes everything later. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/mem.h"
#include "src/cluster/process.h"

#define PATIENCE_MS 20000
#define LISTEN_PORT 7646

static struct net {
    struct owner *owner;
    struct process *proxy;
    int control;
    int target; /* listens behind the proxy */
    uint32_t x;
} net;

static struct sockaddr_in address(uint32_t last, uint16_t port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    at.sin_addr.s_addr = htonl(127u << 24 | 99u << 16 | net.x << 8 | last);
    return at;
}

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...) {
    char line[256], answer[64] = "";
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    assert_int_equal(send(net.control, line, (size_t)len, 0), len);
    assert_true(read(net.control, answer, sizeof answer - 1) > 0);
    assert_string_equal(answer, "ok\n");
}

/* Forget what the links were like. */
static void clear(void) {
    say("set every 0 0 0 0 0 0 0\n");
    say("set 0 0 0 0 0 0 0 0\n");
    say("set 1 0 0 0 0 0 0 0\n");
}

static bool wait_for(int fd, int ms) {
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    return poll(&ready, 1, ms) > 0;
}

static int listen_at(uint16_t port) {
    const struct sockaddr_in at = address(1, port);
    const int yes = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (const struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 16) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int set_up(void **state) {
    (void)state;
    struct sockaddr_un control = {.sun_family = AF_UNIX};
    net.owner = owner_new("trunkline-proxy");
    assert_non_null(net.owner);
    net.x = (uint32_t)getpid() % 250;
    net.target = listen_at(LISTEN_PORT + 1);
    assert_true(net.target >= 0);
    char *path = owner_path(net.owner, "proxy.sock");
    const struct process_options options = {
        .argv = (const char *const[]){BIN_DIR "/lab", "proxy", path, NULL}};
    assert_int_equal(process_start(net.owner, &options, &net.proxy), OK);
    assert_int_equal(process_wait_socket(net.proxy, path, PATIENCE_MS), OK);
    snprintf(control.sun_path, sizeof control.sun_path, "%s", path);
    net.control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(net.control, (struct sockaddr *)&control, sizeof control), 0);
    mem_free(path);
    say("node 127.99.%u.1:%d 127.99.%u.1:%d\n", net.x, LISTEN_PORT, net.x, LISTEN_PORT + 1);
    say("node 127.99.%u.2:%d 127.99.%u.2:%d\n", net.x, LISTEN_PORT, net.x, LISTEN_PORT + 1);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    int status = -1;
    close(net.control);
    /* It ends by itself when nobody commands it any longer. */
    assert_int_equal(process_wait(net.proxy, PATIENCE_MS, &status), OK);
    assert_int_equal(status, 0);
    close(net.target);
    owner_free(net.owner);
    return 0;
}

/* Node 1 dials node 0. */
static void dial(int *near, int *far) {
    const struct sockaddr_in from = address(2, 0), to = address(1, LISTEN_PORT);
    *near = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(*near, (const struct sockaddr *)&from, sizeof from), 0);
    assert_int_equal(connect(*near, (const struct sockaddr *)&to, sizeof to), 0);
    assert_true(wait_for(net.target, PATIENCE_MS));
    struct sockaddr_in seen = {0};
    socklen_t len = sizeof seen;
    *far = accept(net.target, (struct sockaddr *)&seen, &len);
    assert_true(*far >= 0);
    assert_int_equal(seen.sin_addr.s_addr, from.sin_addr.s_addr); /* as if there were no proxy */
}

static uint8_t sent[300 * 1000], got[sizeof sent];

static void fill(void) {
    for (size_t i = 0; i < sizeof sent; i++) {
        sent[i] = (uint8_t)(i * 2654435761u >> 13);
    }
}

static void receive(int fd, size_t len) {
    size_t at = 0;
    while (at < len) {
        assert_true(wait_for(fd, PATIENCE_MS));
        ssize_t more = read(fd, got + at, len - at);
        assert_true(more > 0);
        at += (size_t)more;
    }
    assert_memory_equal(got, sent, len);
}

/* Send so much, receive it, and tell how long that took. */
static int64_t pass(int from, int to, size_t len) {
    int64_t begun = process_now_ms();
    assert_int_equal(send(from, sent, len, 0), (ssize_t)len);
    receive(to, len);
    return process_now_ms() - begun;
}

static void test_bytes_pass_whole_both_ways(void **state) {
    (void)state;
    int near, far;
    clear();
    dial(&near, &far);
    pass(near, far, 100000);
    pass(far, near, 100000);
    /* One side has sent all; the other may still answer. */
    shutdown(near, SHUT_WR);
    assert_true(wait_for(far, PATIENCE_MS));
    assert_int_equal(read(far, got, 1), 0);
    pass(far, near, 50000);
    close(far);
    assert_true(wait_for(near, PATIENCE_MS));
    assert_int_equal(read(near, got, 1), 0);
    close(near);
}

static void test_latency_adds_up(void **state) {
    (void)state;
    int near, far;
    clear();
    dial(&near, &far);
    say("set every 40 0 0 0 0 0 0\n");
    assert_true(pass(near, far, 1) >= 39);
    say("set 0 60 10 0 0 0 0 0\n");
    assert_true(pass(far, near, 1) >= 99);
    close(near);
    close(far);
}

static void test_a_rate_holds_back(void **state) {
    (void)state;
    int near, far;
    clear();
    dial(&near, &far);
    say("set 1 0 0 500000 0 0 0 0\n"); /* the dialler's own line */
    assert_true(pass(near, far, 200000) >= 350);
    close(near);
    close(far);
}

static void test_slices_are_put_together_again(void **state) {
    (void)state;
    int near, far;
    clear();
    dial(&near, &far);
    say("set 0 0 0 0 100 0 0 0\n");
    assert_true(pass(near, far, 10000) >= 90); /* a hundred of them, a millisecond apart */
    close(near);
    close(far);
}

static void test_a_connection_is_reset(void **state) {
    (void)state;
    int near, far;
    clear();
    dial(&near, &far);
    say("set 0 0 0 0 0 100 0 0\n");
    assert_true(wait_for(near, PATIENCE_MS));
    assert_int_equal(read(near, got, 1), -1);
    assert_int_equal(errno, ECONNRESET);
    close(near);
    close(far);
}

static void test_an_end_comes_late(void **state) {
    (void)state;
    int near, far;
    clear();
    dial(&near, &far);
    say("set 0 0 0 0 0 0 200 0\n");
    int64_t begun = process_now_ms();
    close(near);
    assert_true(wait_for(far, PATIENCE_MS));
    assert_int_equal(read(far, got, 1), 0);
    assert_true(process_now_ms() - begun >= 199);
    close(far);
}

/* Nothing comes out of a black hole, not even an end; when it is gone, all of it does. */
static void test_a_black_hole_keeps_all(void **state) {
    (void)state;
    int near, far;
    clear();
    dial(&near, &far);
    pass(near, far, 10);
    say("set 0 0 0 0 0 0 0 1\n");
    assert_int_equal(send(near, sent, 1000, 0), 1000);
    close(near);
    assert_false(wait_for(far, 300));
    clear();
    receive(far, 1000);
    assert_true(wait_for(far, PATIENCE_MS));
    assert_int_equal(read(far, got, 1), 0);
    close(far);
}

int main(void) {
    fill();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_pass_whole_both_ways),
        cmocka_unit_test(test_latency_adds_up),
        cmocka_unit_test(test_a_rate_holds_back),
        cmocka_unit_test(test_slices_are_put_together_again),
        cmocka_unit_test(test_a_connection_is_reset),
        cmocka_unit_test(test_an_end_comes_late),
        cmocka_unit_test(test_a_black_hole_keeps_all),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
