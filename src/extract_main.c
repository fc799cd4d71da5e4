/* extract_main.c - the program `trunkline-extract`: reads media files for a peer, locked in. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "src/extract/plugins.h"
#include "src/extract/protocol.h"
#include "src/extract/sandbox.h"

#define SOCKET 0

/* The next file; -1 when there will be none. */
static int receive_file(void) {
    uint8_t type = 0;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {&type, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t got = recvmsg(SOCKET, &message, MSG_CMSG_CLOEXEC);
    const struct cmsghdr *header = got == 1 ? CMSG_FIRSTHDR(&message) : NULL;
    int fd = -1;
    if (header != NULL && type == EXTRACT_READ && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof fd)) {
        memcpy(&fd, CMSG_DATA(header), sizeof fd);
    }
    return fd;
}

static void read_file(int fd, struct plugins *plugins, struct media *media) {
    struct stat stat;
    if (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode) || stat.st_size <= 0) {
        return;
    }
    struct media_input input = {.fd = fd, .size = (uint64_t)stat.st_size};
    size_t len = input.size < EXTRACT_MAP_BYTES_MAX ? (size_t)input.size : EXTRACT_MAP_BYTES_MAX;
    void *map = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) {
        return;
    }
    input.head = (struct slice){map, len};
    media_read(&input, media);
    plugins_read(plugins, input.head, media);
    munmap(map, len);
    buf_free(&input.window);
}

static bool answer(const struct media *media) {
    struct buf out = {0};
    buf_u8(&out, EXTRACT_ANSWER);
    media_write(&out, media);
    bool is_sent = send(SOCKET, out.data, out.len, MSG_NOSIGNAL) == (ssize_t)out.len;
    buf_free(&out);
    return is_sent;
}

int main(int argc, char **argv) {
    (void)argv;
    int type = 0;
    socklen_t len = sizeof type;
    if (argc != 1 || getsockopt(SOCKET, SOL_SOCKET, SO_TYPE, &type, &len) != 0 ||
        type != SOCK_SEQPACKET) {
        fputs("trunkline-extract: reads media files for a peer, which starts it by itself\n",
              stderr);
        return 2;
    }
    struct plugins *plugins = plugins_open();
    const uint8_t hello[2] = {EXTRACT_HELLO, plugins != NULL};
    if (!sandbox_enter() || send(SOCKET, hello, sizeof hello, MSG_NOSIGNAL) != sizeof hello) {
        return 1;
    }
    bool goes_on = true;
    for (int fd = 0; goes_on && (fd = receive_file()) >= 0;) {
        struct media media = {0};
        read_file(fd, plugins, &media);
        close(fd);
        goes_on = answer(&media);
    }
    _exit(0); /* what runs at the end of a program might want more than is left */
}
