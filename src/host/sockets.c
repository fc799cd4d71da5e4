/* sockets.c - between struct address and the kernel's socket addresses; options of every link. */
#include "src/host/sockets.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#define USER_TIMEOUT_MS 40000
#define KEEPALIVE_IDLE_S 60
#define KEEPALIVE_EVERY_S 15
#define KEEPALIVE_COUNT 4

socklen_t socket_address(struct sockaddr_storage *to, const struct address *address) {
    memset(to, 0, sizeof *to);
    if (address->family == ADDRESS_IPV6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)to;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(address->port);
        memcpy(&in6->sin6_addr, address->ip, sizeof in6->sin6_addr);
        return sizeof *in6;
    }
    struct sockaddr_in *in = (struct sockaddr_in *)to;
    in->sin_family = AF_INET;
    in->sin_port = htons(address->port);
    memcpy(&in->sin_addr, address->ip, sizeof in->sin_addr);
    return sizeof *in;
}

struct address socket_address_read(const struct sockaddr *from) {
    struct address address = {.family = ADDRESS_NONE};
    if (from->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)from;
        address.family = ADDRESS_IPV4;
        address.port = ntohs(in->sin_port);
        memcpy(address.ip, &in->sin_addr, sizeof in->sin_addr);
    } else if (from->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)from;
        address.port = ntohs(in6->sin6_port);
        if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
            address.family = ADDRESS_IPV4;
            memcpy(address.ip, in6->sin6_addr.s6_addr + 12, 4);
        } else {
            address.family = ADDRESS_IPV6;
            memcpy(address.ip, &in6->sin6_addr, sizeof in6->sin6_addr);
        }
    }
    return address;
}

struct address socket_own_address(int fd) {
    struct sockaddr_storage storage = {0};
    socklen_t len = sizeof storage;
    if (getsockname(fd, (struct sockaddr *)&storage, &len) != 0) {
        return (struct address){.family = ADDRESS_NONE};
    }
    return socket_address_read((const struct sockaddr *)&storage);
}

bool address_is_any(const struct address *address) {
    static const uint8_t zero[16];
    return memcmp(address->ip, zero, sizeof zero) == 0;
}

bool socket_keep_to(int fd, const char *interface) {
    return interface[0] == '\0' || setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface,
                                              (socklen_t)strlen(interface)) == 0;
}

void socket_tune(int fd) {
    static const struct {
        int level;
        int option;
        int value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_EVERY_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        /* A refusal only makes us slower to notice a dead link. */
        (void)setsockopt(fd, options[i].level, options[i].option, &options[i].value,
                         sizeof options[i].value);
    }
}
