/* test_host_faults.c - links when the system or its libraries refuse something.
 *
 * A function of a shared library that is defined here is the one that everybody in this program
 * calls: OpenSSL's word on its version, its way to a socket, the loop's epoll_ctl. */
#include <dlfcn.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "src/host/conn.h"
#include "tests/unit/hostlib.h"

#define DIALLER 51 /* listens on and dials from 127.0.0.51 */
#define LISTENER 52

/* ---- What is refused ---- */

static unsigned long version = TLS_OPENSSL_MIN;

unsigned long OpenSSL_version_num(void) {
    return version;
}

static bool is_short_of_memory; /* for links */

int SSL_set_fd(SSL *ssl, int fd) {
    int (*real)(SSL *, int);
    *(void **)&real = dlsym(RTLD_NEXT, "SSL_set_fd");
    return is_short_of_memory || real == NULL ? 0 : real(ssl, fd);
}

static bool is_unwatched; /* links of DIALLER, as when max_user_watches is reached */

static bool is_diallers(int fd) {
    struct sockaddr_in at = {0};
    socklen_t len = sizeof at;
    return getsockname(fd, (struct sockaddr *)&at, &len) == 0 && at.sin_family == AF_INET &&
           (ntohl(at.sin_addr.s_addr) & 0xff) == DIALLER;
}

int epoll_ctl(int epoll, int what, int fd, struct epoll_event *event) {
    if (is_unwatched && what == EPOLL_CTL_ADD && is_diallers(fd)) {
        errno = ENOSPC;
        return -1;
    }
    return (int)syscall(SYS_epoll_ctl, epoll, what, fd, event);
}

/* ---- Two nodes, the first dials the second ---- */

struct pair {
    struct host *host;
    struct probe probes[2];
    int fds_before;
    uint32_t tries;
    bool is_poller_full; /* from the start on */
};

static void run_pair(struct pair *pair, probe_fn *dialler) {
    pair->host = test_host();
    pair->probes[0].on = dialler;
    pair->probes[0].context = pair;
    probe_add(pair->host, &pair->probes[1], LISTENER);
    probe_add(pair->host, &pair->probes[0], DIALLER);
    assert_int_equal(host_run(pair->host), 0);
    test_host_done(pair->host, pair->probes, 2);
}

static void test_old_openssl_is_refused(void **state) {
    (void)state;
    static const struct {
        unsigned long version;
        bool is_welcome;
    } rows[] = {{0x1010117fL, false}, /* 1.1.1 */
                {0x300000d0L, false}, /* 3.0.13 */
                {0x300000e0L, true},  /* 3.0.14 */
                {0x30200000L, true}}; /* 3.2.0 */
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct host_error error = {0};
        struct host_config config = {.log_level = LOG_LEVEL_ERROR};
        version = rows[i].version;
        struct host *host = host_new(&config, &error);
        assert_int_equal(host != NULL, rows[i].is_welcome);
        if (!rows[i].is_welcome) {
            assert_int_equal(error.err, ERR_VERSION);
            assert_non_null(strstr(error.text, "3.0.14"));
        }
        host_free(host);
    }
    version = TLS_OPENSSL_MIN;
}

/* ---- Links that cannot be made ---- */

#define TRIES 5

/* Fails TRIES times, then works: nothing of the failures may be left. */
static void try_again(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct pair *pair = probe->context;
    bool has_failed = event->kind == NODE_DIAL_FAILED || event->kind == NODE_LINK_DOWN;
    if (event->kind == NODE_START) {
        pair->fds_before = fds_open();
        is_unwatched = pair->is_poller_full;
    }
    if (has_failed && ++pair->tries == TRIES) {
        is_unwatched = false;
    }
    if (event->kind == NODE_START || has_failed) {
        probe_dial(&pair->probes[1], out, 1);
    } else if (event->kind == NODE_LINK_UP && pair->tries >= TRIES) {
        probe_wake(probe, event, 200);
    } else if (event->kind == NODE_TIMER) {
        assert_int_equal(fds_open(), pair->fds_before + 2);
        host_stop(pair->host);
    }
}

/* At once, not after the time that a silent address is given. */
static void test_a_full_poller_fails_dials(void **state) {
    (void)state;
    struct pair pair = {.is_poller_full = true};
    double start_s = seconds_now();
    run_pair(&pair, try_again);
    assert_int_equal(pair.probes[1].counts[NODE_LINK_UP], 1);
    assert_int_equal(pair.probes[0].counts[NODE_DIAL_FAILED], TRIES);
    assert_int_equal(pair.probes[0].reason, ERR_IO);
    assert_true(seconds_now() - start_s < 5);
}

/* Nothing that is said on such a link would ever come. */
static void test_no_memory_for_a_link_is_the_end(void **state) {
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct pair pair = {0};
        signal(SIGABRT, SIG_DFL);
        is_short_of_memory = true;
        run_pair(&pair, try_again);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

/* ---- What every link has ---- */

static int option_of(int fd, int level, int option) {
    int value = -1;
    socklen_t len = sizeof value;
    assert_int_equal(getsockopt(fd, level, option, &value, &len), 0);
    return value;
}

/* A half-open link cannot be had on loopback, but what the kernel needs to find one can. */
static void assert_tuned(const struct probe *probe) {
    int fd = conn_find(probe->node, probe->link)->fd;
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_in_range(option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 10000, DEAD_AFTER_MS);
    assert_int_equal(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    int silence_s =
        option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE) +
        option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL) * option_of(fd, IPPROTO_TCP, TCP_KEEPCNT);
    assert_in_range(silence_s, 30, DEAD_AFTER_MS / 1000);
}

/* Both ends are up: look at them. */
static void look_closely(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct pair *pair = probe->context;
    if (event->kind == NODE_START) {
        probe_dial(&pair->probes[1], out, 1);
    } else if (event->kind == NODE_LINK_UP) {
        probe_wake(probe, event, 100);
    } else if (event->kind == NODE_TIMER && !pair->host->is_stopping) {
        for (size_t i = 0; i < 2; i++) {
            assert_tuned(&pair->probes[i]);
        }
        host_stop(pair->host);
    }
}

static void test_links_are_tuned_and_up_once(void **state) {
    (void)state;
    struct pair pair = {0};
    run_pair(&pair, look_closely);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pair.probes[i].counts[NODE_LINK_UP], 1);
        assert_int_equal(pair.probes[i].counts[NODE_LINK_DOWN], 0);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_old_openssl_is_refused),
        cmocka_unit_test(test_a_full_poller_fails_dials),
        cmocka_unit_test(test_no_memory_for_a_link_is_the_end),
        cmocka_unit_test(test_links_are_tuned_and_up_once),
    };
    alarm(60);
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
