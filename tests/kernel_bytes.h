/* kernel_bytes.h - what the kernel says that this process's TCP sockets have moved: what limits on
 * traffic are held against. */
#ifndef TRUNKLINE_TESTS_KERNEL_BYTES_H
#define TRUNKLINE_TESTS_KERNEL_BYTES_H

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define KERNEL_BYTES_FDS 1024

/* Bytes received, or sent and acknowledged, on all present sockets bound to this IPv4 address. */
static inline double kernel_bytes(const uint8_t ip[4], bool received) {
    uint32_t wanted = (uint32_t)ip[0] << 24 | (uint32_t)ip[1] << 16 | (uint32_t)ip[2] << 8 | ip[3];
    double sum = 0;
    for (int fd = 3; fd < KERNEL_BYTES_FDS; fd++) {
        struct sockaddr_in at = {0};
        struct tcp_info info = {0};
        socklen_t at_len = sizeof at, info_len = sizeof info;
        if (getsockname(fd, (struct sockaddr *)&at, &at_len) == 0 && at.sin_family == AF_INET &&
            ntohl(at.sin_addr.s_addr) == wanted &&
            getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &info_len) == 0) {
            sum += (double)(received ? info.tcpi_bytes_received : info.tcpi_bytes_acked);
        }
    }
    return sum;
}

#endif
