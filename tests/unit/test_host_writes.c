/* test_host_writes.c - what is said on a link in one turn of the loop leaves by one system call.
 *
 * write() is defined here, so OpenSSL's writes to sockets come through it; each thread counts its
 * own, and the driver has one thread. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tests/unit/hostlib.h"

static _Thread_local uint32_t writes; /* to sockets */

ssize_t write(int fd, const void *bytes, size_t len) {
    ssize_t (*real)(int, const void *, size_t);
    struct sockaddr_in to;
    socklen_t room = sizeof to;
    *(void **)&real = dlsym(RTLD_NEXT, "write");
    writes += getpeername(fd, (struct sockaddr *)&to, &room) == 0;
    return real(fd, bytes, len);
}

#define LINKS 3
#define MESSAGES 5 /* for each link, of each of the two steps */
#define MESSAGE_BYTES 300
#define ALL_BYTES (2 * MESSAGES * MESSAGE_BYTES)

struct visit {
    struct host *host;
    struct address address;
    struct node_id id;
    uint32_t links[LINKS];
    uint32_t up;
    uint32_t heard; /* links that have spoken */
    uint32_t before;
    uint32_t during; /* writes to sockets from the second to speak on */
    atomic_bool have_spoken;
    atomic_bool is_counted;
    bool is_each_whole;
};

static void await(const atomic_bool *flag) {
    while (!atomic_load(flag)) {
        usleep(1000);
    }
}

/* The first to speak holds the loop up, so that the others are heard in one turn; each of these
 * makes us say something to all, link by link and over again. */
static void say_to_all(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct visit *visit = probe->context;
    static const uint8_t message[MESSAGE_BYTES];
    if (event->kind == NODE_LINK_UP) {
        visit->links[visit->up++] = event->up.link;
        return;
    }
    if (event->kind == NODE_TIMER) {
        visit->during = writes - visit->before;
        atomic_store(&visit->is_counted, true);
    }
    if (event->kind == NODE_LINK_DOWN && --visit->up == 0) {
        host_stop(visit->host);
    }
    if (event->kind != NODE_LINK_BYTES) {
        return;
    }
    if (visit->heard++ == 0) {
        await(&visit->have_spoken);
        visit->before = writes;
        return;
    }
    for (uint32_t i = 0; i < MESSAGES * LINKS; i++) {
        outbox_write(out, visit->links[i % LINKS], (struct slice){message, sizeof message});
    }
    probe_wake(probe, event, 200);
}

static void *speak_and_listen(void *context) {
    struct visit *visit = context;
    struct stranger strangers[LINKS] = {{0}};
    char bytes[16384];
    bool is_up = true;
    for (int i = 0; i < LINKS; i++) {
        is_up =
            is_up && stranger_start(&strangers[i], stranger_connect(&visit->address), &visit->id);
    }
    for (int i = 0; is_up && i < LINKS; i++) {
        usleep(i == 1 ? 100000 : 0); /* the first is heard alone */
        is_up = SSL_write(strangers[i].ssl, "x", 1) == 1;
    }
    visit->is_each_whole = is_up;
    atomic_store(&visit->have_spoken, true);
    for (int i = 0; i < LINKS; i++) {
        visit->is_each_whole =
            visit->is_each_whole && SSL_read(strangers[i].ssl, bytes, sizeof bytes) == ALL_BYTES;
    }
    if (is_up) {
        await(&visit->is_counted);
    }
    for (int i = 0; i < LINKS; i++) {
        stranger_free(&strangers[i]);
    }
    return NULL;
}

static void one_write_per_link_and_turn(void **state) {
    (void)state;
    struct visit visit = {0};
    struct probe probe = {.on = say_to_all, .context = &visit};
    visit.host = test_host();
    probe_add(visit.host, &probe, 57);
    visit.address = host_node_address(probe.node);
    visit.id = *host_node_id(probe.node);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, speak_and_listen, &visit), 0);
    assert_int_equal(host_run(visit.host), 0);
    pthread_join(thread, NULL);
    test_host_done(visit.host, &probe, 1);
    assert_int_equal(visit.heard, LINKS);
    assert_int_equal(visit.during, LINKS);
    assert_true(visit.is_each_whole);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_write_per_link_and_turn),
    };
    alarm(290);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
