/* test_host_limits.c - what many links cost, and what happens when descriptors run out. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/unit/hostlib.h"

/* ---- Many idle links: their memory, and nothing left of them afterwards ---- */

#define LINKS 150
#define ROUNDS 4

struct crowd {
    struct host *host;
    struct probe probes[2];
    uint32_t links[LINKS];
    uint32_t up;
    uint32_t round;
    size_t heap_before;
    size_t heap_idle; /* all links up and quiet */
    double dialled_s;
    int fds_before;
    int fds_after;
};

static void dial_many(struct crowd *crowd, struct outbox *out) {
    crowd->up = 0;
    crowd->dialled_s = seconds_now();
    for (uint32_t i = 0; i < LINKS; i++) {
        probe_dial(&crowd->probes[1], out, crowd->round * LINKS + i + 1);
    }
}

static size_t heap_used(void) {
    return mallinfo2().uordblks;
}

/* All up: wait, measure, close all; all down: wait, count descriptors, again. */
static void come_and_go(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct crowd *crowd = probe->context;
    switch (event->kind) {
    case NODE_START:
        crowd->fds_before = fds_open();
        crowd->heap_before = heap_used();
        dial_many(crowd, out);
        break;
    case NODE_LINK_UP:
        crowd->links[crowd->up++] = event->up.link;
        if (crowd->up == LINKS) {
            /* 100 handshakes at once, then HANDSHAKES_PER_S of them */
            assert_true(seconds_now() - crowd->dialled_s >
                        (LINKS - 100.0) / HANDSHAKES_PER_S - 0.05);
            probe_wake(probe, event, 300);
        }
        break;
    case NODE_LINK_DOWN:
        if (--crowd->up == 0) {
            probe_wake(probe, event, 300);
        }
        break;
    case NODE_TIMER:
        if (crowd->up == LINKS) {
            crowd->heap_idle = heap_used();
            for (uint32_t i = 0; i < LINKS; i++) {
                probe_act(out, ACTION_CLOSE, crowd->links[i]);
            }
        } else if (++crowd->round < ROUNDS) {
            dial_many(crowd, out);
        } else {
            crowd->fds_after = fds_open();
            host_stop(crowd->host);
        }
        break;
    default:
        break;
    }
}

static void test_idle_links(void **state) {
    (void)state;
    struct crowd crowd = {.host = test_host()};
    crowd.probes[0].on = come_and_go;
    crowd.probes[0].context = &crowd;
    probe_add(crowd.host, &crowd.probes[1], 32);
    probe_add(crowd.host, &crowd.probes[0], 31);
    assert_int_equal(host_run(crowd.host), 0);
    test_host_done(crowd.host, crowd.probes, 2);
    assert_int_equal(crowd.probes[0].counts[NODE_DIAL_FAILED], 0);
    assert_int_equal(crowd.probes[1].counts[NODE_LINK_UP], ROUNDS * LINKS);
    assert_int_equal(crowd.probes[1].counts[NODE_LINK_DOWN], ROUNDS * LINKS);
    assert_in_range(crowd.fds_after, crowd.fds_before - 4, crowd.fds_before + 4);
    double kib = (double)(crowd.heap_idle - crowd.heap_before) / (2.0 * LINKS) / 1024;
    print_message("an idle link costs %.1f KiB at each end\n", kib);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__has_feature)
    assert_true(kib < 20);
#endif
}

/* ---- Links that bring much work leave the loop to those that bring little ---- */

#define HEAVY_LINKS 8
#define HEAVY_STEP_US 1000 /* of work for each piece of theirs */
#define ASKS 41
#define ASK_ROUNDS 3 /* of which the best counts: others may be at work on this machine */

struct yard {
    struct host *host;
    struct probe probe;
    int report;     /* to the parent: port, node id */
    uint32_t light; /* the link that only asks: the first */
};

static void work(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct yard *yard = probe->context;
    if (event->kind == NODE_START) {
        uint32_t port = host_node_address(probe->node).port;
        const struct node_id *id = host_node_id(probe->node);
        assert_int_equal(write(yard->report, &port, sizeof port), sizeof port);
        assert_int_equal(write(yard->report, id, sizeof *id), sizeof *id);
    } else if (event->kind == NODE_LINK_UP && yard->light == 0) {
        yard->light = event->up.link;
    } else if (event->kind == NODE_LINK_BYTES && event->bytes.link == yard->light) {
        outbox_write(out, yard->light, test_slice("y"));
    } else if (event->kind == NODE_LINK_BYTES) {
        double end_s = seconds_now() + HEAVY_STEP_US / 1e6;
        while (seconds_now() < end_s) {
        }
    } else if (event->kind == NODE_LINK_DOWN && event->link.link == yard->light) {
        host_stop(yard->host);
    }
}

static int run_yard(int report) {
    struct yard yard = {.host = test_host(), .report = report};
    yard.probe.on = work;
    yard.probe.context = &yard;
    probe_add(yard.host, &yard.probe, 35);
    int result = host_run(yard.host);
    test_host_done(yard.host, &yard.probe, 1);
    return result;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Give every heavy link more to do, then ask; return the seconds until the answer. */
static double ask_among(struct stranger strangers[HEAVY_LINKS + 1]) {
    static uint8_t bytes[16384];
    char answer;
    for (size_t i = 1; i <= HEAVY_LINKS; i++) {
        assert_int_equal(SSL_write(strangers[i].ssl, bytes, sizeof bytes), sizeof bytes);
    }
    double begin_s = seconds_now();
    assert_int_equal(SSL_write(strangers[0].ssl, "x", 1), 1);
    assert_int_equal(SSL_read(strangers[0].ssl, &answer, 1), 1);
    return seconds_now() - begin_s;
}

/* The median wait. */
static double ask_often(struct stranger strangers[HEAVY_LINKS + 1]) {
    double waits[ASKS];
    for (size_t i = 0; i < ASKS; i++) {
        waits[i] = ask_among(strangers);
    }
    qsort(waits, ASKS, sizeof waits[0], compare_doubles);
    return waits[ASKS / 2];
}

static void test_heavy_links_yield(void **state) {
    (void)state;
    int report[2];
    assert_int_equal(pipe(report), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(60);
        _exit(run_yard(report[1]));
    }
    struct stranger strangers[HEAVY_LINKS + 1] = {0};
    struct address address = {.family = ADDRESS_IPV4, .ip = {127, 0, 0, 35}};
    struct node_id id;
    uint32_t port;
    assert_int_equal(read(report[0], &port, sizeof port), sizeof port);
    assert_int_equal(read(report[0], &id, sizeof id), sizeof id);
    address.port = (uint16_t)port;
    for (size_t i = 0; i <= HEAVY_LINKS; i++) {
        assert_true(stranger_start(&strangers[i], stranger_connect(&address), &id));
        usleep(20000); /* the first one is up first */
    }
    double wait_s = 1;
    for (int round = 0; round < ASK_ROUNDS; round++) {
        double median_s = ask_often(strangers);
        wait_s = median_s < wait_s ? median_s : wait_s;
    }
    print_message("an answer among %d heavy links takes %.1f ms\n", HEAVY_LINKS, wait_s * 1000);
    assert_true(wait_s * 1e6 < HEAVY_LINKS * HEAVY_STEP_US / 2);
    for (size_t i = 0; i <= HEAVY_LINKS; i++) {
        stranger_free(&strangers[i]);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(report[0]);
    close(report[1]);
}

/* ---- Descriptors run out: no spin, and service goes on when there are some again ---- */

#define HOARD_MAX 512

struct miser {
    struct host *host;
    struct probe probe;
    int report; /* to the parent: port, CPU time of the drought in ms, node id */
    int hoard[HOARD_MAX];
    int hoarded;
    double cpu_s;
};

static double cpu_now(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void hoard(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct miser *miser = probe->context;
    if (event->kind == NODE_START) {
        int fd;
        while (miser->hoarded < HOARD_MAX && (fd = open("/dev/null", O_RDONLY)) >= 0) {
            miser->hoard[miser->hoarded++] = fd;
        }
        uint32_t port = host_node_address(probe->node).port;
        assert_int_equal(write(miser->report, &port, sizeof port), sizeof port);
        miser->cpu_s = cpu_now();
        probe_wake(probe, event, 2500);
    } else if (event->kind == NODE_TIMER) {
        uint32_t ms = (uint32_t)((cpu_now() - miser->cpu_s) * 1000);
        while (miser->hoarded > 0) {
            close(miser->hoard[--miser->hoarded]);
        }
        const struct node_id *id = host_node_id(probe->node);
        assert_int_equal(write(miser->report, &ms, sizeof ms), sizeof ms);
        assert_int_equal(write(miser->report, id, sizeof *id), sizeof *id);
    } else if (event->kind == NODE_LINK_BYTES) {
        outbox_write(out, event->bytes.link, test_slice("ok"));
    } else if (event->kind == NODE_LINK_DOWN) {
        host_stop(miser->host);
    }
}

/* How many of these sockets the other side has closed. */
static size_t count_ended(const int *fds, size_t count) {
    size_t ended = 0;
    for (size_t i = 0; i < count; i++) {
        struct pollfd look = {.fd = fds[i], .events = POLLRDHUP};
        ended += poll(&look, 1, 0) == 1 && (look.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
    }
    return ended;
}

static int run_miser(int report) {
    struct rlimit limit = {.rlim_cur = 128, .rlim_max = 128};
    setrlimit(RLIMIT_NOFILE, &limit);
    struct miser miser = {.report = report};
    miser.host = test_host();
    miser.probe.on = hoard;
    miser.probe.context = &miser;
    struct host_error error;
    folder_make_temporary(miser.probe.folder);
    struct host_node_config config = {.network = test_network(),
                                      .state_dir = miser.probe.folder,
                                      .listen = {.family = ADDRESS_IPV4, .ip = {127, 0, 0, 33}},
                                      .make = probe_make,
                                      .role_config = &miser.probe,
                                      .seed = 1};
    miser.probe.node = host_add(miser.host, &config, &error);
    int result = miser.probe.node != NULL ? host_run(miser.host) : 1;
    host_free(miser.host);
    folder_remove(miser.probe.folder);
    return result;
}

static void test_descriptors_run_out(void **state) {
    (void)state;
    int report[2];
    assert_int_equal(pipe(report), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(60);
        _exit(run_miser(report[1]));
    }
    uint32_t port = 0;
    assert_int_equal(read(report[0], &port, sizeof port), sizeof port);
    struct address address = {.family = ADDRESS_IPV4, .ip = {127, 0, 0, 33}};
    address.port = (uint16_t)port;
    int callers[20];
    for (size_t i = 0; i < LENGTH(callers); i++) {
        callers[i] = stranger_connect(&address);
    }
    uint32_t cpu_ms = UINT32_MAX;
    assert_int_equal(read(report[0], &cpu_ms, sizeof cpu_ms), sizeof cpu_ms);
    print_message("%u ms of CPU in 2.5 s without descriptors\n", cpu_ms);
    assert_true(cpu_ms < 500);                                    /* below 20 % */
    assert_in_range(count_ended(callers, LENGTH(callers)), 2, 5); /* sent away, one per second */
    for (size_t i = 0; i < LENGTH(callers); i++) {
        close(callers[i]);
    }
    usleep(1500000); /* the listener pauses for a second at a time */
    struct stranger stranger = {0};
    char buffer[2];
    struct node_id id;
    assert_int_equal(read(report[0], &id, sizeof id), sizeof id);
    assert_true(stranger_start(&stranger, stranger_connect(&address), &id));
    assert_int_equal(SSL_write(stranger.ssl, "x", 1), 1);
    assert_int_equal(SSL_read(stranger.ssl, buffer, sizeof buffer), 2);
    stranger_free(&stranger);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(report[0]);
    close(report[1]);
}

/* ---- Callers who say nothing: so many may be in the middle of TLS, at such a rate ---- */

#define SILENT (HANDSHAKES_PENDING_MAX + 40)

struct siege {
    struct host *host;
    struct probe probe;
    struct address address;
    struct node_id id;
    int callers[SILENT];
    size_t refused;
    size_t asked_back; /* of those, who were told when to come back */
    bool is_served_after;
    atomic_bool is_over;
};

static bool is_asked_back(int caller) {
    uint8_t said[8];
    return recv(caller, said, sizeof said, MSG_DONTWAIT) == 7 && said[0] == 21 && said[5] == 2 &&
           said[6] >= TLS_ALERT_BUSY + TLS_BUSY_SHIFT_MIN &&
           said[6] <= TLS_ALERT_BUSY + TLS_BUSY_SHIFT_MAX;
}

static void *besiege(void *context) {
    struct siege *siege = context;
    double start_s = seconds_now();
    for (size_t i = 0; i < SILENT; i++) {
        siege->callers[i] = stranger_connect(&siege->address);
    }
    while (seconds_now() - start_s < 5) { /* before the first has used up its time */
        siege->refused = count_ended(siege->callers, SILENT);
        usleep(20000);
    }
    for (size_t i = 0; i < SILENT; i++) {
        siege->asked_back += is_asked_back(siege->callers[i]);
        close(siege->callers[i]);
    }
    struct stranger stranger = {0};
    siege->is_served_after =
        stranger_start(&stranger, stranger_connect(&siege->address), &siege->id);
    stranger_free(&stranger);
    atomic_store(&siege->is_over, true);
    return NULL;
}

static void wait_for_end(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct siege *siege = probe->context;
    (void)out;
    probe_wake(probe, event, 50);
    if (atomic_load(&siege->is_over)) {
        host_stop(siege->host);
    }
}

static void test_silent_callers_are_bounded(void **state) {
    (void)state;
    struct siege siege = {.host = test_host()};
    siege.probe.on = wait_for_end;
    siege.probe.context = &siege;
    probe_add(siege.host, &siege.probe, 35);
    siege.address = host_node_address(siege.probe.node);
    siege.id = *host_node_id(siege.probe.node);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, besiege, &siege), 0);
    assert_int_equal(host_run(siege.host), 0);
    pthread_join(thread, NULL);
    test_host_done(siege.host, &siege.probe, 1);
    /* All from one address, which gets no more than its share once half of the places are taken. */
    assert_int_equal(siege.refused, SILENT - HANDSHAKES_PENDING_MAX / 2);
    assert_int_equal(siege.asked_back, siege.refused);
    assert_true(siege.is_served_after);
}

/* ---- Links leave descriptors to files: so many and no more, dialled ones included ---- */

#define FEW_FDS 128
#define DIALLED 1000

struct crowded {
    struct host *host;
    struct probe probe;
    int report; /* to the parent: port and node id, then why a dial failed, or DIALLED */
    uint32_t failures;
    bool has_dialled;
    bool is_up;
};

static void dial_when_full(struct probe *probe, const struct node_event *event,
                           struct outbox *out) {
    struct crowded *crowded = probe->context;
    uint32_t word = 0;
    if (event->kind == NODE_START) {
        word = host_node_address(probe->node).port;
        probe_wake(probe, event, 2500);
    } else if (event->kind == NODE_TIMER && crowded->is_up) {
        host_stop(crowded->host);
    } else if (event->kind == NODE_TIMER) {
        crowded->has_dialled = true;
        probe_dial(probe, out, 1); /* itself */
    } else if (event->kind == NODE_DIAL_FAILED) {
        word = crowded->failures++ == 0 ? (uint32_t)event->dial.reason : 0;
        probe_wake(probe, event, 100);
    } else if (event->kind == NODE_LINK_UP && crowded->has_dialled) {
        word = crowded->failures == 0 && !crowded->is_up ? DIALLED : 0;
        crowded->is_up = true;
        probe_wake(probe, event, 500); /* the callers are counted meanwhile, or have gone */
    }
    if (word != 0) {
        assert_int_equal(write(crowded->report, &word, sizeof word), sizeof word);
    }
    if (event->kind == NODE_START) {
        const struct node_id *id = host_node_id(probe->node);
        assert_int_equal(write(crowded->report, id, sizeof *id), sizeof *id);
    }
}

static int run_crowded(int report) {
    struct rlimit limit = {.rlim_cur = FEW_FDS, .rlim_max = FEW_FDS};
    setrlimit(RLIMIT_NOFILE, &limit);
    struct crowded crowded = {.host = test_host(), .report = report};
    crowded.probe.on = dial_when_full;
    crowded.probe.context = &crowded;
    probe_add(crowded.host, &crowded.probe, 36);
    int result = host_run(crowded.host);
    test_host_done(crowded.host, &crowded.probe, 1);
    return result;
}

/* So many callers, of whom some say who they are; then it dials. Return how many callers were sent
 * away, and with *why what came of the dial. */
static size_t crowd_in(struct stranger *callers, size_t count, bool are_silent, uint32_t *why) {
    int report[2], fds[FEW_FDS];
    uint32_t word = 0;
    struct node_id id;
    int status = 0;
    assert_int_equal(pipe(report), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(60);
        _exit(run_crowded(report[1]));
    }
    assert_int_equal(read(report[0], &word, sizeof word), sizeof word);
    assert_int_equal(read(report[0], &id, sizeof id), sizeof id);
    struct address address = {.family = ADDRESS_IPV4, .ip = {127, 0, 0, 36}};
    address.port = (uint16_t)word;
    for (size_t i = 0; i < count; i++) {
        fds[i] = callers[i].fd = stranger_connect(&address);
        if (!are_silent) {
            (void)stranger_start(&callers[i], fds[i], &id);
        }
    }
    assert_int_equal(read(report[0], why, sizeof *why), sizeof *why);
    size_t ended = count_ended(fds, count);
    for (size_t i = 0; i < count; i++) {
        if (are_silent) {
            close(fds[i]);
        } else {
            stranger_free(&callers[i]);
        }
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(report[0]);
    close(report[1]);
    return ended;
}

static void test_links_leave_room_for_files(void **state) {
    (void)state;
    struct stranger callers[FEW_FDS / 2 + 10] = {0};
    uint32_t why = 0;
    size_t ended = crowd_in(callers, LENGTH(callers), false, &why);
    assert_int_equal(why, ERR_BUSY);
    assert_int_equal(ended, LENGTH(callers) - FEW_FDS / 2);
}

/* Two of them make room for the link, which has both its ends here. */
static void test_silent_callers_make_room(void **state) {
    (void)state;
    struct stranger callers[FEW_FDS / 2] = {0};
    uint32_t why = 0;
    size_t ended = crowd_in(callers, LENGTH(callers), true, &why);
    assert_int_equal(why, DIALLED);
    assert_int_equal(ended, 2);
}

/* ---- A link that is not read costs no time, however much waits for it ---- */

struct sleeper {
    struct host *host;
    struct probe probes[2]; /* the first writes, the second does not read */
    double cpu_s;
    double spent_s;
};

static void pour_in(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct sleeper *sleeper = probe->context;
    static uint8_t bytes[200000];
    if (event->kind == NODE_START) {
        probe_dial(&sleeper->probes[1], out, 1);
    } else if (event->kind == NODE_LINK_UP) {
        outbox_write(out, event->up.link, (struct slice){bytes, sizeof bytes});
    }
}

static void sleep_through(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct sleeper *sleeper = probe->context;
    if (event->kind == NODE_LINK_UP) {
        probe_wake(probe, event, 300); /* until some of it has been read */
    } else if (event->kind == NODE_LINK_BYTES && sleeper->cpu_s == 0) {
        sleeper->cpu_s = cpu_now();
        probe_act(out, ACTION_READ_STOP, probe->link);
        probe_wake(probe, event, 1500);
    } else if (event->kind == NODE_TIMER) {
        sleeper->spent_s = cpu_now() - sleeper->cpu_s;
        host_stop(sleeper->host);
    }
}

static void test_an_unread_link_costs_no_time(void **state) {
    (void)state;
    struct sleeper sleeper = {.host = test_host()};
    sleeper.probes[0].on = pour_in;
    sleeper.probes[1].on = sleep_through;
    for (size_t i = 0; i < 2; i++) {
        sleeper.probes[i].context = &sleeper;
    }
    probe_add(sleeper.host, &sleeper.probes[1], 38);
    probe_add(sleeper.host, &sleeper.probes[0], 37);
    assert_int_equal(host_run(sleeper.host), 0);
    test_host_done(sleeper.host, sleeper.probes, 2);
    assert_true(sleeper.cpu_s > 0 && sleeper.probes[1].bytes < 200000);
    print_message("%.0f ms of CPU in 1.5 s without reading\n", sleeper.spent_s * 1000);
    assert_true(sleeper.spent_s < 0.3);
}

/* ---- Signals ---- */

static void never_stop_step(void *self, const struct node_event *event, struct outbox *out) {
    (void)self;
    (void)event;
    (void)out; /* not even after NODE_SHUTDOWN */
}

static uint64_t never(const void *self) {
    (void)self;
    return UINT64_MAX;
}

static struct node stubborn_make(const struct node_env *env, const void *config) {
    static const struct node_ops ops = {never_stop_step, never, probe_free};
    (void)env;
    return (struct node){&ops, (void *)(uintptr_t)config};
}

static int run_with_signals(bool is_stubborn, int ready) {
    struct host_error error;
    struct host_config config = {.log_level = LOG_LEVEL_ERROR, .handle_signals = true};
    struct host *host = host_new(&config, &error);
    struct probe probe = {0};
    folder_make_temporary(probe.folder);
    struct host_node_config node = {.network = test_network(),
                                    .state_dir = probe.folder,
                                    .no_listen = true,
                                    .make = is_stubborn ? stubborn_make : probe_make,
                                    .role_config = &probe,
                                    .seed = 1};
    if (host == NULL || host_add(host, &node, &error) == NULL || write(ready, "r", 1) != 1) {
        return 99;
    }
    int result = host_run(host);
    host_free(host);
    folder_remove(probe.folder);
    return result;
}

/* Start a process, send it SIGTERM `signals` times, return how it ended and how long it took. */
static int end_by_signal(bool is_stubborn, int signals, double *took_s) {
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(60);
        _exit(run_with_signals(is_stubborn, ready[1]));
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    double start_s = seconds_now();
    for (int i = 0; i < signals; i++) {
        kill(pid, SIGTERM);
        usleep(200000);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    *took_s = seconds_now() - start_s;
    close(ready[0]);
    close(ready[1]);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_signals(void **state) {
    (void)state;
    double took_s;
    assert_int_equal(end_by_signal(false, 1, &took_s), 0);
    assert_true(took_s < 2);
    assert_int_equal(end_by_signal(true, 2, &took_s), 1); /* the second one: at once */
    assert_true(took_s < 2);
    assert_int_equal(end_by_signal(true, 1, &took_s), 0); /* cut off */
    assert_true(took_s > 5 && took_s < 10.5);
}

/* ---- One folder, one process ---- */

static void test_second_instance_is_refused(void **state) {
    (void)state;
    struct probe probe = {0};
    struct host *host = test_host();
    probe_add(host, &probe, 34);
    struct host_error error;
    struct host_node_config again = {.network = test_network(),
                                     .state_dir = probe.folder,
                                     .no_listen = true,
                                     .make = probe_make,
                                     .role_config = &probe};
    assert_null(host_add(host, &again, &error));
    assert_int_equal(error.err, ERR_DUPLICATE);
    struct host_node_config busy = again;
    char other[64];
    folder_make_temporary(other);
    busy.state_dir = other;
    busy.no_listen = false;
    busy.listen = host_node_address(probe.node);
    assert_null(host_add(host, &busy, &error)); /* the port is taken */
    assert_int_equal(error.err, ERR_EXISTS);
    assert_non_null(strstr(error.text, "choose another port"));
    test_host_done(host, &probe, 1);
    folder_remove(other);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle_links),
        cmocka_unit_test(test_heavy_links_yield),
        cmocka_unit_test(test_descriptors_run_out),
        cmocka_unit_test(test_silent_callers_are_bounded),
        cmocka_unit_test(test_links_leave_room_for_files),
        cmocka_unit_test(test_silent_callers_make_room),
        cmocka_unit_test(test_an_unread_link_costs_no_time),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_second_instance_is_refused),
    };
    alarm(290);
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
