/* test_netns.c - namespaces joined by a bridge: packets pass, and each fault is one. Needs root and
 * a kernel with namespaces, veth, bridges, nftables and tbf; skipped elsewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/cluster/netns.h"

#define NODES 3
#define PORT 7646
#define HIDDEN 7647
#define PACKETS 2000
#define LATE_MS 300 /* a packet that has not come by then does not come */

static struct net {
    struct owner *owner;
    struct netns *netns; /* NULL = not on this machine */
    char why[NETNS_TROUBLE_BYTES];
} net;

static void apply(void) {
    assert_int_equal(netns_apply(net.netns, net.why), OK);
}

static void clear(void) {
    const struct spec_link none = {0};
    netns_set_every(net.netns, &none);
    for (uint32_t i = 0; i < NODES; i++) {
        netns_set(net.netns, i, &none);
        netns_set_group(net.netns, i, 0);
    }
    apply();
}

static int set_up(void **state) {
    (void)state;
    net.owner = owner_new("test-netns");
    enum err err = netns_new(&net.netns, net.owner, NODES, net.why);
    if (err != OK) {
        fprintf(stderr, "skipped: %s\n", net.why);
    }
    return net.owner == NULL || (err != OK && net.why[0] == '\0');
}

static int tear_down(void **state) {
    (void)state;
    netns_free(net.netns);
    owner_free(net.owner);
    return 0;
}

#define NEED_NAMESPACES()                                                                          \
    do {                                                                                           \
        if (net.netns == NULL) {                                                                   \
            skip();                                                                                \
        }                                                                                          \
        clear();                                                                                   \
    } while (0)

static struct sockaddr_in address_of(uint32_t node, uint16_t port) {
    char text[NETNS_ADDRESS_BYTES];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    netns_address(node, text);
    assert_int_equal(inet_pton(AF_INET, text, &address.sin_addr), 1);
    return address;
}

static int socket_in(uint32_t node, int type) {
    int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    assert_int_equal(setns(netns_of(net.netns, node), CLONE_NEWNET), 0);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    assert_int_equal(setns(own, CLONE_NEWNET), 0);
    close(own);
    assert_true(fd >= 0);
    return fd;
}

static bool wait_for(int fd, int ms) {
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    return poll(&ready, 1, ms) > 0;
}

/* Send packets from one to the other and return how many arrive; sending never fails. */
static uint32_t arrive(uint32_t from, uint32_t to, uint32_t packets) {
    const struct sockaddr_in there = address_of(to, PORT);
    int in = socket_in(to, SOCK_DGRAM), out = socket_in(from, SOCK_DGRAM);
    char packet[100] = "";
    uint32_t got = 0;
    assert_int_equal(bind(in, (const struct sockaddr *)&there, sizeof there), 0);
    for (uint32_t i = 0; i < packets; i++) {
        assert_int_equal(
            sendto(out, packet, sizeof packet, 0, (const struct sockaddr *)&there, sizeof there),
            sizeof packet);
        while (recv(in, packet, sizeof packet, MSG_DONTWAIT) > 0) {
            got++;
        }
    }
    while (got < packets && wait_for(in, LATE_MS)) {
        got += recv(in, packet, sizeof packet, 0) > 0;
    }
    close(in);
    close(out);
    return got;
}

static void test_packets_pass(void **state) {
    (void)state;
    NEED_NAMESPACES();
    for (uint32_t i = 0; i < NODES; i++) {
        assert_int_equal(arrive(i, (i + 1) % NODES, 200), 200);
    }
}

/* Each bound is 6 standard deviations away: a right one fails once in a hundred million runs. */
static void test_loss_is_the_share_that_was_asked_for(void **state) {
    (void)state;
    NEED_NAMESPACES();
    struct spec_link link = {.loss = SPEC_LOSS_ALL / 5};
    netns_set_every(net.netns, &link);
    apply();
    assert_in_range(arrive(0, 1, PACKETS), 1600 - 108, 1600 + 108);
    clear();
    /* Both ends' lines lose: 0.9 of 0.9 come through. */
    link.loss = SPEC_LOSS_ALL / 10;
    netns_set(net.netns, 0, &link);
    netns_set(net.netns, 1, &link);
    apply();
    assert_in_range(arrive(0, 1, PACKETS), 1620 - 106, 1620 + 106);
    assert_in_range(arrive(2, 1, PACKETS), 1800 - 81, 1800 + 81);
    clear();
    assert_int_equal(arrive(0, 1, PACKETS), PACKETS);
}

static void test_a_black_hole_is_silent_both_ways(void **state) {
    (void)state;
    NEED_NAMESPACES();
    const struct spec_link link = {.black_hole = true};
    netns_set(net.netns, 1, &link);
    apply();
    assert_int_equal(arrive(0, 1, 50), 0);
    assert_int_equal(arrive(1, 0, 50), 0);
    assert_int_equal(arrive(0, 2, 50), 50);
    clear();
    netns_set_every(net.netns, &link);
    apply();
    assert_int_equal(arrive(0, 2, 50), 0);
    clear();
    assert_int_equal(arrive(1, 0, 50), 50);
}

static void test_groups_are_apart(void **state) {
    (void)state;
    NEED_NAMESPACES();
    netns_set_group(net.netns, 1, 1);
    netns_set_group(net.netns, 2, 1);
    apply();
    assert_int_equal(arrive(0, 1, 50), 0);
    assert_int_equal(arrive(2, 0, 50), 0);
    assert_int_equal(arrive(1, 2, 50), 50);
    clear();
    assert_int_equal(arrive(0, 1, 50), 50);
}

/* Send so many bytes over TCP and return how long it took, in ms. */
static int64_t transfer(uint32_t from, uint32_t to, size_t bytes) {
    const struct sockaddr_in there = address_of(to, PORT);
    int listener = socket_in(to, SOCK_STREAM), out = socket_in(from, SOCK_STREAM);
    const int yes = 1;
    char *block = calloc(1, bytes);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    assert_int_equal(bind(listener, (const struct sockaddr *)&there, sizeof there), 0);
    assert_int_equal(listen(listener, 1), 0);
    int64_t begun = process_now_ms();
    assert_int_equal(connect(out, (const struct sockaddr *)&there, sizeof there), 0);
    int in = accept(listener, NULL, NULL);
    pid_t writer = fork();
    if (writer == 0) {
        size_t sent = 0;
        ssize_t more = 1;
        while (sent < bytes && more > 0) {
            more = send(out, block + sent, bytes - sent, MSG_NOSIGNAL);
            sent += more > 0 ? (size_t)more : 0;
        }
        _exit(sent == bytes ? 0 : 1);
    }
    size_t got = 0;
    ssize_t more = 1;
    while (got < bytes && more > 0 && wait_for(in, 20000)) {
        more = recv(in, block, bytes, 0);
        got += more > 0 ? (size_t)more : 0;
    }
    int64_t took = process_now_ms() - begun;
    int status;
    assert_int_equal(waitpid(writer, &status, 0), writer);
    assert_int_equal(status, 0);
    assert_int_equal(got, bytes);
    free(block);
    close(in);
    close(out);
    close(listener);
    return took;
}

/* Two lines of 500 KB/s: one that sends at it, and one that is sent to. */
static void test_a_rate_holds_both_ways(void **state) {
    (void)state;
    NEED_NAMESPACES();
    const struct spec_link link = {.rate = 500 * 1000};
    netns_set(net.netns, 0, &link);
    apply();
    assert_true(transfer(0, 1, 500 * 1000) >= 800);
    assert_true(transfer(1, 0, 500 * 1000) >= 800);
    clear();
    assert_true(transfer(0, 1, 500 * 1000) < 800);
}

/* What a proxy in a node's namespace does: it dials the node from another one's address. */
static void test_a_kept_port_answers_strangers_inside(void **state) {
    (void)state;
    NEED_NAMESPACES();
    assert_int_equal(netns_keep_port(net.netns, HIDDEN, net.why), OK);
    const struct sockaddr_in there = address_of(1, HIDDEN), stranger = address_of(2, 0);
    int listener = socket_in(1, SOCK_STREAM), out = socket_in(1, SOCK_STREAM);
    const int yes = 1;
    assert_int_equal(bind(listener, (const struct sockaddr *)&there, sizeof there), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(setsockopt(out, IPPROTO_IP, IP_TRANSPARENT, &yes, sizeof yes), 0);
    assert_int_equal(bind(out, (const struct sockaddr *)&stranger, sizeof stranger), 0);
    assert_int_equal(connect(out, (const struct sockaddr *)&there, sizeof there), 0);
    struct sockaddr_in who;
    socklen_t len = sizeof who;
    int in = accept(listener, (struct sockaddr *)&who, &len);
    assert_int_equal(who.sin_addr.s_addr, stranger.sin_addr.s_addr);
    char byte = 'x';
    assert_int_equal(send(in, &byte, 1, 0), 1);
    assert_true(wait_for(out, 5000));
    close(in);
    close(out);
    close(listener);
}

static void test_only_root_is_served(void **state) {
    (void)state;
    char why[NETNS_TROUBLE_BYTES] = "";
    if (geteuid() == 0) {
        assert_int_equal(seteuid(65534), 0);
    }
    struct netns *netns;
    enum err err = netns_new(&netns, net.owner, 1, why);
    if (getuid() == 0) {
        assert_int_equal(seteuid(0), 0);
    }
    assert_int_equal(err, ERR_PERMISSION);
    assert_null(netns);
    assert_non_null(strstr(why, "root"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packets_pass),
        cmocka_unit_test(test_loss_is_the_share_that_was_asked_for),
        cmocka_unit_test(test_a_black_hole_is_silent_both_ways),
        cmocka_unit_test(test_groups_are_apart),
        cmocka_unit_test(test_a_rate_holds_both_ways),
        cmocka_unit_test(test_a_kept_port_answers_strangers_inside),
        cmocka_unit_test(test_only_root_is_served),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
