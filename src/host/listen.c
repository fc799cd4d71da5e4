/* listen.c - accepts those whom the gate lets in, without a spin when descriptors run out.
 *
 * What is refused is told to come back later before any TLS state exists for it. When the system
 * has no descriptor left, accept() would fail at once for ever; so one descriptor is kept in
 * reserve, given up to take the caller in and send it away, and listening pauses for a second. */
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

#include "src/host/conn.h"
#include "src/host/failure.h"
#include "src/host/sockets.h"

#define PAUSE_ERROR_MS 1000
#define PAUSE_FULL_MS 20
#define PAUSE_TURN_MS 5
#define BACKLOG 256

static void pause_listening(struct host_node *node, uint32_t ms) {
    struct timeval wait = {.tv_sec = (time_t)(ms / 1000),
                           .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
    event_del(node->listener);
    event_add(&node->listen_again, &wait);
}

/* Somebody will soon give way: whoever comes waits in the kernel's line, and is not sent away to
 * come back much later. */
static bool must_wait(const struct host *host, uint64_t now_us) {
    return host->conns >= host->conns_max && host->handshakes.count > 0 &&
           !handshakes_can_yield(&host->handshakes, now_us);
}

static void on_listen_again(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    struct host_node *node = context;
    if (node->listener != NULL && must_wait(node->host, clock_mono_us())) {
        pause_listening(node, PAUSE_FULL_MS);
    } else if (node->listener != NULL) {
        event_add(node->listener, NULL);
    }
}

/* Those let in at once take the loop from the links that are up for half a millisecond each: no
 * more than four times the rate. */
static bool ends_turn(struct host *host, uint64_t now_us) {
    if (now_us - host->accept_turn_us >= PAUSE_TURN_MS * 1000) {
        host->accept_turn_us = now_us;
        host->accepted_in_turn = 0;
    }
    return ++host->accepted_in_turn >= host->gate.per_s * 4 * PAUSE_TURN_MS / 1000;
}

/* Where no place is left, one of those who came before may have had his time. */
static enum gate_verdict ask_gate(struct host *host, const struct address *remote,
                                  uint64_t now_us) {
    bool is_full = host->conns >= host->conns_max;
    if (is_full && !handshakes_can_yield(&host->handshakes, now_us)) {
        host->counts.refused_full++;
        return GATE_FULL;
    }
    enum gate_verdict verdict = gate_enter(&host->gate, remote, now_us);
    if (verdict == GATE_FULL && handshakes_yield(&host->handshakes, now_us)) {
        is_full = false;
        verdict = gate_enter(&host->gate, remote, now_us);
    }
    if (verdict == GATE_OPEN && is_full) {
        (void)handshakes_yield(&host->handshakes, now_us);
    }
    return verdict;
}

static void turn_away(const struct host *host, int fd) {
    tls_say_busy(fd, host->counts.refused_full + host->counts.refused_share);
    close(fd);
}

static void take_in(struct host_node *node, int fd, const struct address *remote) {
    struct host *host = node->host;
    uint64_t now_us = clock_mono_us();
    enum gate_verdict verdict = ask_gate(host, remote, now_us);
    if (verdict == GATE_OPEN) {
        conn_accept(node, fd, remote);
    } else {
        turn_away(host, fd);
    }
    if (verdict == GATE_FULL || gate_wait(&host->gate, now_us) > 0 || must_wait(host, now_us)) {
        pause_listening(node, PAUSE_FULL_MS);
    } else if (verdict == GATE_OPEN && ends_turn(host, now_us)) {
        pause_listening(node, PAUSE_TURN_MS);
    }
}

static void recover(struct host_node *node, int number) {
    struct host *host = node->host;
    log_warn(&host->log, "listen.error errno=%d", number);
    if (number == EMFILE || number == ENFILE) {
        close(host->reserve_fd);
        int fd = accept(event_get_fd(node->listener), NULL, NULL);
        if (fd >= 0) {
            turn_away(host, fd);
        }
        host->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    pause_listening(node, PAUSE_ERROR_MS);
}

/* One a turn: whether there are more is not asked, since the loop knows (evconnlistener asks in
 * vain once for each who comes alone). */
static void on_accept(evutil_socket_t listener, short what, void *context) {
    (void)what;
    struct host_node *node = context;
    struct sockaddr_storage from = {0};
    socklen_t len = sizeof from;
    int fd = accept4(listener, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int number = errno;
    if (fd >= 0) {
        struct address remote = socket_address_read((const struct sockaddr *)&from);
        take_in(node, fd, &remote);
    } else if (number != EAGAIN && number != EINTR && number != ECONNABORTED) {
        recover(node, number);
    }
}

static int open_listener(const struct host_node *node) {
    struct sockaddr_storage to;
    socklen_t len = socket_address(&to, &node->listen);
    int fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int yes = 1;
    bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
              socket_keep_to(fd, node->interface) && bind(fd, (struct sockaddr *)&to, len) == 0 &&
              listen(fd, BACKLOG) == 0;
    if (fd >= 0 && !ok) {
        int number = errno;
        close(fd);
        errno = number;
        return -1;
    }
    if (ok) {
        socket_tune(fd); /* whoever is accepted inherits it */
    }
    return fd;
}

static void drop_listener(struct host_node *node, int fd) {
    if (node->listener != NULL) {
        event_free(node->listener);
        node->listener = NULL;
    }
    close(fd);
}

enum err listen_start(struct host_node *node, struct host_error *error) {
    char text[ADDRESS_TEXT_BYTES];
    address_format(text, &node->listen);
    int fd = open_listener(node);
    if (fd < 0) {
        return fail_errno(error, text, "cannot listen here");
    }
    node->listen.port = socket_own_address(fd).port;
    node->listener = event_new(node->host->base, fd, EV_READ | EV_PERSIST, on_accept, node);
    if (node->listener == NULL || event_add(node->listener, NULL) != 0) {
        enum err err = fail_errno(error, text, "cannot listen here");
        drop_listener(node, fd);
        return err;
    }
    evtimer_assign(&node->listen_again, node->host->base, on_listen_again, node);
    return OK;
}

void listen_stop(struct host_node *node) {
    if (node->listener != NULL) {
        event_del(&node->listen_again);
        drop_listener(node, event_get_fd(node->listener));
    }
}

enum err host_interface(const char *name, struct address *address, struct host_error *error) {
    struct ifaddrs *interfaces = NULL;
    uint16_t port = address->port;
    bool known = false, found = false;
    if (getifaddrs(&interfaces) != 0) {
        return fail_errno(error, name, "the interfaces cannot be read");
    }
    for (const struct ifaddrs *at = interfaces; at != NULL && !found; at = at->ifa_next) {
        bool named = strcmp(at->ifa_name, name) == 0;
        known = known || named;
        found = named && at->ifa_addr != NULL && (at->ifa_flags & IFF_UP) != 0 &&
                at->ifa_addr->sa_family == AF_INET;
        if (found) {
            *address = socket_address_read(at->ifa_addr);
            address->port = port;
        }
    }
    freeifaddrs(interfaces);
    if (!known) {
        return fail(error, ERR_NOT_FOUND,
                    "there is no interface `%.60s`; `ip link` lists those there are", name);
    }
    return found
               ? OK
               : fail(error, ERR_NOT_FOUND,
                      "interface `%.60s` is down or has no IPv4 address; bring it up first", name);
}

static bool is_usable(const struct ifaddrs *interface) {
    return interface->ifa_addr != NULL && (interface->ifa_flags & IFF_UP) != 0 &&
           (interface->ifa_flags & IFF_LOOPBACK) == 0;
}

uint32_t listen_addresses(const struct host_node *node, struct address to[ADDRESSES_MAX]) {
    if (node->listener == NULL) {
        return 0;
    }
    if (node->advertise.family != ADDRESS_NONE || !address_is_any(&node->listen)) {
        to[0] = node->advertise.family != ADDRESS_NONE ? node->advertise : node->listen;
        return 1;
    }
    uint32_t count = 0;
    struct ifaddrs *interfaces = NULL;
    if (getifaddrs(&interfaces) != 0) {
        return 0;
    }
    for (const struct ifaddrs *at = interfaces; at != NULL; at = at->ifa_next) {
        if (is_usable(at) && count < ADDRESSES_MAX) {
            struct address address = socket_address_read(at->ifa_addr);
            bool is_local = address.family == ADDRESS_IPV6 && address.ip[0] == 0xfe;
            if (address.family == node->listen.family && !is_local) {
                address.port = node->listen.port;
                to[count++] = address;
            }
        }
    }
    freeifaddrs(interfaces);
    return count;
}
