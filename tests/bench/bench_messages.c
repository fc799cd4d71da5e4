/* bench_messages.c - messages of 102 bytes delivered to 50 TLS links, per second of the server's
 * CPU time, with 1, 16 and 256 of them on their way.
 *
 * One client measures both servers alike: 51 links, one of which sends a window of messages at once
 * when all before have reached everybody. What limits us, by perf at a window of 16:
 * 70 % of the time is the kernel's, which for a send over loopback does the receiver's half of TCP
 * too and wakes it, 13 % OpenSSL's, a price per record. Both are paid per link and turn of the
 * loop, so that the messages of a turn share them. */
#include <stdio.h>
#include <string.h>

#include "tests/bench/bench_fanout.h"
#include "tests/bench/bench_network.h"
#include "tests/bench/bench_redis.h"
#include "tests/bench/bench_wire.h"

#define RECEIVERS 50
#define MEASURE_S 1.5
#define WARM_UP_S 0.2

/* A server under measurement. */
struct subject {
    pid_t pid;
    struct wire wire;
    struct wire_link *links[1 + RECEIVERS]; /* [0] sends */
    uint8_t message[512];                   /* as it is sent */
    size_t sent_bytes;
    size_t delivered_bytes; /* of one message, as it arrives */
    uint64_t arrived;       /* bytes at all receivers */
    uint64_t sent;          /* messages */
};

static void take(struct wire_link *link, struct slice data) {
    struct subject *subject = link->owner;
    if (link != subject->links[0]) {
        subject->arrived += data.len;
    }
}

static uint64_t delivered(const struct subject *subject) {
    return subject->arrived / subject->delivered_bytes;
}

static void send_window(struct subject *subject, uint32_t window) {
    struct buf bytes = {0};
    for (uint32_t i = 0; i < window; i++) {
        buf_append(&bytes, subject->message, subject->sent_bytes);
    }
    subject->sent += window;
    wire_send(subject->links[0], (struct slice){bytes.data, bytes.len});
    buf_free(&bytes);
}

static void wait_for_all(struct subject *subject) {
    double end = bench_now() + 10;
    while (delivered(subject) < subject->sent * RECEIVERS) {
        wire_turn(&subject->wire, 100);
        if (subject->wire.gone > 0 || bench_now() > end) {
            bench_fail("a server closed links, or lost messages");
        }
    }
}

static void run_for(struct subject *subject, uint32_t window, double seconds) {
    double end = bench_now() + seconds;
    while (bench_now() < end) {
        send_window(subject, window);
        wait_for_all(subject);
    }
}

/* Delivered messages per second of the server's CPU time. */
static double measure(struct subject *subject, uint32_t window) {
    run_for(subject, window, WARM_UP_S);
    uint64_t before = delivered(subject);
    double cpu_s = bench_cpu(subject->pid);
    run_for(subject, window, MEASURE_S);
    cpu_s = bench_cpu(subject->pid) - cpu_s;
    return (double)(delivered(subject) - before) / cpu_s;
}

static void dial_all(struct subject *subject, const struct address *to, const struct node_id *id) {
    wire_init(&subject->wire, take);
    for (size_t i = 0; i < 1 + RECEIVERS; i++) {
        subject->links[i] = wire_dial(&subject->wire, to, id);
        subject->links[i]->owner = subject;
        if (i == 0) {
            wire_turn(&subject->wire, 50); /* the first one is the source */
        }
    }
}

static void hang_up(struct subject *subject) {
    for (size_t i = 0; i < 1 + RECEIVERS; i++) {
        wire_close(subject->links[i]);
    }
    wire_free(&subject->wire);
}

static void prepare_ours(struct subject *subject, const struct bench_fanout *fanout) {
    subject->pid = process_pid(fanout->process);
    subject->sent_bytes = subject->delivered_bytes = FANOUT_BYTES;
    memset(subject->message, 'm', FANOUT_BYTES);
    dial_all(subject, &fanout->address, &fanout->id);
}

/* The message's text is as long as all of ours: redis adds its own words to it. */
static void prepare_redis(struct subject *subject, const struct bench_redis *redis) {
    static const char subscribe[] = "*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n";
    char text[FANOUT_BYTES + 1], arrives[512];
    memset(text, 'm', FANOUT_BYTES);
    text[FANOUT_BYTES] = '\0';
    subject->pid = process_pid(redis->process);
    subject->sent_bytes =
        (size_t)snprintf((char *)subject->message, sizeof subject->message,
                         "*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$%d\r\n%s\r\n", FANOUT_BYTES, text);
    subject->delivered_bytes =
        (size_t)snprintf(arrives, sizeof arrives, "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$%d\r\n%s\r\n",
                         FANOUT_BYTES, text);
    dial_all(subject, &redis->address, NULL);
    for (size_t i = 1; i < 1 + RECEIVERS; i++) {
        wire_send(subject->links[i],
                  (struct slice){(const uint8_t *)subscribe, sizeof subscribe - 1});
    }
    double end = bench_now() + 0.5;
    while (bench_now() < end) {
        wire_turn(&subject->wire, 50); /* answers to SUBSCRIBE */
    }
    subject->arrived = 0;
}

void bench_messages(const struct bench *bench) {
    static const struct {
        uint32_t window;
        double target;
    } rows[] = {{1, 0}, {16, 1300}, {256, 0}};
    struct bench_fanout fanout;
    struct bench_redis redis;
    static struct subject ours, theirs;
    bench_fanout_start(&fanout, bench);
    bench_redis_start(&redis, bench);
    prepare_ours(&ours, &fanout);
    prepare_redis(&theirs, &redis);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char name[40];
        snprintf(name, sizeof name, "delivered, window %u", rows[i].window);
        bench_figure(bench, &(struct figure){.name = name,
                                             .value = measure(&ours, rows[i].window) / 1000,
                                             .unit = "k/s",
                                             .peer = "redis TLS publish",
                                             .peer_value = measure(&theirs, rows[i].window) / 1000,
                                             .target = rows[i].target,
                                             .better = BETTER_HIGH});
    }
    hang_up(&ours);
    hang_up(&theirs);
    bench_fanout_stop(&fanout);
    bench_redis_stop(&redis);
}
