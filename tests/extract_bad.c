/* extract_bad.c - in the place of trunkline-extract: does to a peer what a file's first word says.
 *
 * Started under the name `without` it says that libextractor is missing, as `mute` it says nothing.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "src/extract/media.h"
#include "src/extract/protocol.h"
#include "src/extract/sandbox.h"

static void say(const void *bytes, size_t len) {
    if (send(0, bytes, len, MSG_NOSIGNAL) != (ssize_t)len) {
        _exit(3);
    }
}

static void say_title(const char *title) {
    struct buf out = {0};
    struct media media = {0};
    buf_u8(&out, EXTRACT_ANSWER);
    media_text(&media, TEXT_TITLE, (struct slice){(const uint8_t *)title, strlen(title)});
    media_write(&out, &media);
    say(out.data, out.len);
    buf_free(&out);
}

/* Take memory until there is no more; too much of it is a title. */
static void bloat(void) {
    for (uint32_t mib = 0; mib < 2048; mib++) {
        char *taken = malloc(1 << 20);
        if (taken == NULL) {
            abort();
        }
        memset(taken, 1, 1 << 20);
    }
    say_title("two gibibytes");
}

/* Wait for what does not come: the next file is not sent before this one is answered. */
static void hang(void) {
    uint8_t byte;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    (void)recvmsg(0, &message, 0); /* the sandbox knows no other way to wait */
    say_title("hung");
}

static void act(const char *word) {
    uint8_t noise[600];
    memset(noise, EXTRACT_ANSWER, sizeof noise);
    if (strcmp(word, "CRASH") == 0) {
        abort();
    } else if (strcmp(word, "HANGS") == 0) {
        hang();
    } else if (strcmp(word, "BLOAT") == 0) {
        bloat();
    } else if (strcmp(word, "LARGE") == 0) {
        say(noise, sizeof noise);
    } else if (strcmp(word, "NOISE") == 0) {
        say(noise, 40);
    } else if (strcmp(word, "TWICE") == 0) {
        say_title("once");
        say_title("twice");
    } else {
        say_title("fine");
    }
}

int main(int argc, char **argv) {
    const char *slash = strrchr(argv[0], '/');
    const char *name = slash != NULL ? slash + 1 : argv[0];
    const uint8_t hello[2] = {EXTRACT_HELLO, strcmp(name, "without") != 0};
    (void)argc;
    if (!sandbox_enter() || strcmp(name, "mute") == 0) {
        return 1;
    }
    say(hello, sizeof hello);
    for (;;) {
        char word[6] = {0};
        uint8_t type;
        char control[CMSG_SPACE(sizeof(int))];
        struct iovec part = {&type, 1};
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = control,
                                 .msg_controllen = sizeof control};
        if (recvmsg(0, &message, 0) != 1) {
            _exit(0);
        }
        int fd;
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
        if (pread(fd, word, 5, 0) != 5) {
            _exit(4);
        }
        close(fd);
        act(word);
    }
}
