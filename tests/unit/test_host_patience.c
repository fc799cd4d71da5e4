/* test_host_patience.c - how long the driver waits for those who do nothing, all at the same time.
 */
#include "tests/unit/hostlib.h"

#define CHUNK 60000
#define TRIALS 3

/* One node that waits for something in vain. */
struct trial {
    struct probe probe;
    struct crowd *crowd;
    double begun_s; /* when it began to wait */
    double took_s;  /* until the driver gave up */
};

struct crowd {
    struct host *host;
    struct trial stalled;  /* its output does not move */
    struct trial closing;  /* ... nor after ACTION_CLOSE */
    struct trial dialling; /* nobody answers */
    struct probe deaf;     /* takes links and never reads */
    struct address silent; /* takes no connection */
    uint32_t over;
};

static void wait_in_vain(struct trial *trial) {
    trial->begun_s = seconds_now();
}

static void give_up(struct trial *trial) {
    trial->took_s = seconds_now() - trial->begun_s;
    if (++trial->crowd->over == TRIALS) {
        host_stop(trial->crowd->host);
    }
}

/* Dial the deaf one and write until the kernel has taken nothing for a second. */
static bool is_stuck(struct probe *probe, const struct node_event *event, struct outbox *out) {
    const struct trial *trial = probe->context;
    static uint8_t bytes[CHUNK];
    bool is_stalled = probe->counts[NODE_LINK_STALLED] > probe->counts[NODE_LINK_READY];
    if (event->kind == NODE_START) {
        probe_dial(&trial->crowd->deaf, out, 1);
    } else if (event->kind == NODE_LINK_STALLED) {
        probe_wake(probe, event, 1000);
    } else if (event->kind == NODE_TIMER && is_stalled) {
        return true;
    } else if (event->kind == NODE_LINK_UP || event->kind == NODE_LINK_READY ||
               event->kind == NODE_TIMER) {
        outbox_write(out, probe->link, (struct slice){bytes, CHUNK});
        probe_wake(probe, event, 1);
    }
    return false;
}

static void write_until_stuck(struct probe *probe, const struct node_event *event,
                              struct outbox *out) {
    if (is_stuck(probe, event, out)) {
        wait_in_vain(probe->context);
    } else if (event->kind == NODE_LINK_DOWN) {
        give_up(probe->context);
    }
}

static void close_when_stuck(struct probe *probe, const struct node_event *event,
                             struct outbox *out) {
    if (is_stuck(probe, event, out)) {
        wait_in_vain(probe->context);
        probe_act(out, ACTION_CLOSE, probe->link);
    } else if (event->kind == NODE_LINK_DOWN) {
        give_up(probe->context);
    }
}

static void dial_the_silent(struct probe *probe, const struct node_event *event,
                            struct outbox *out) {
    struct trial *trial = probe->context;
    if (event->kind == NODE_START) {
        probe_dial(&trial->crowd->deaf, out, 1);
        out->actions[0].address = trial->crowd->silent;
        wait_in_vain(trial);
    } else if (event->kind == NODE_DIAL_FAILED) {
        give_up(trial);
    }
}

static void hear_nothing(struct probe *probe, const struct node_event *event, struct outbox *out) {
    (void)probe;
    if (event->kind == NODE_LINK_UP) {
        probe_act(out, ACTION_READ_STOP, event->up.link);
    }
}

static void add(struct crowd *crowd, struct trial *trial, probe_fn *script, uint8_t octet) {
    trial->crowd = crowd;
    trial->probe.on = script;
    trial->probe.context = trial;
    probe_add(crowd->host, &trial->probe, octet);
}

/* A listener whose queue is full: the kernel drops what more comes. */
static int listen_full(struct address *address, int *queued, size_t count) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(0x7f00004a)}};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *address =
        (struct address){.family = ADDRESS_IPV4, .ip = {127, 0, 0, 74}, .port = ntohs(at.sin_port)};
    for (size_t i = 0; i < count; i++) {
        queued[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(queued[i], (struct sockaddr *)&at, len);
    }
    return fd;
}

static void assert_took(const struct trial *trial, double least_s, double most_s) {
    print_message("%.1f s, expected %.0f to %.0f\n", trial->took_s, least_s, most_s);
    assert_true(trial->took_s > least_s && trial->took_s < most_s);
}

static void test_patience_ends(void **state) {
    (void)state;
    struct crowd crowd = {.host = test_host(), .deaf = {.on = hear_nothing}};
    int queued[3];
    int listener = listen_full(&crowd.silent, queued, LENGTH(queued));
    probe_add(crowd.host, &crowd.deaf, 70);
    add(&crowd, &crowd.stalled, write_until_stuck, 71);
    add(&crowd, &crowd.closing, close_when_stuck, 72);
    add(&crowd, &crowd.dialling, dial_the_silent, 73);
    assert_int_equal(host_run(crowd.host), 0);
    test_host_done(crowd.host, &crowd.deaf, 1);
    folder_remove(crowd.stalled.probe.folder);
    folder_remove(crowd.closing.probe.folder);
    folder_remove(crowd.dialling.probe.folder);
    for (size_t i = 0; i < LENGTH(queued); i++) {
        close(queued[i]);
    }
    close(listener);
    /* Ours, looked at every 30 s, or the kernel's TCP_USER_TIMEOUT, whichever is first. */
    enum err reason = crowd.stalled.probe.reason;
    assert_true(reason == ERR_STALLED || reason == ERR_TIMEOUT);
    assert_took(&crowd.stalled, 27, 38);
    assert_int_equal(crowd.closing.probe.reason, ERR_TIMEOUT);
    assert_took(&crowd.closing, CLOSE_FLUSH_MS / 1000.0 - 0.5, CLOSE_FLUSH_MS / 1000.0 + 3);
    assert_int_equal(crowd.dialling.probe.reason, ERR_TIMEOUT);
    assert_took(&crowd.dialling, DIAL_TIMEOUT_MS / 1000.0 - 0.5, DIAL_TIMEOUT_MS / 1000.0 + 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patience_ends),
    };
    alarm(100);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
