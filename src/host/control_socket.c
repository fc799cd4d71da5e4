/* control_socket.c - the UNIX socket of a state folder through which its program takes commands. */
#include "src/host/control_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "src/host/failure.h"

#define BACKLOG 16

enum err control_socket_path(const char *state_dir, char path[CONTROL_PATH_BYTES], int *folder_fd,
                             struct host_error *error) {
    *folder_fd = -1;
    if (snprintf(path, CONTROL_PATH_BYTES, "%s/" CONTROL_SOCKET_NAME, state_dir) <
        CONTROL_PATH_BYTES) {
        return OK;
    }
    *folder_fd = open(state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*folder_fd < 0) {
        return fail_errno(error, state_dir, "cannot be opened");
    }
    snprintf(path, CONTROL_PATH_BYTES, "/proc/self/fd/%d/" CONTROL_SOCKET_NAME, *folder_fd);
    return OK;
}

static void close_fd(int fd) {
    if (fd >= 0) {
        close(fd);
    }
}

static struct sockaddr_un address_of(const char path[CONTROL_PATH_BYTES]) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1);
    return address;
}

/* Connect to the path: 0, or an errno. */
static int try_connect(int fd, const char path[CONTROL_PATH_BYTES]) {
    struct sockaddr_un address = address_of(path);
    return connect(fd, (struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
}

/* Make room for our socket: a file that nobody listens behind goes, anything else stays. */
static enum err clear_stale(const char path[CONTROL_PATH_BYTES], const char *state_dir,
                            struct host_error *error) {
    struct stat stat;
    if (lstat(path, &stat) != 0) {
        return errno == ENOENT ? OK : fail_errno(error, state_dir, "cannot be read");
    }
    if (!S_ISSOCK(stat.st_mode)) {
        return fail(error, ERR_EXISTS, "%.300s/" CONTROL_SOCKET_NAME " is no socket; move it away",
                    state_dir);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return fail_errno(error, state_dir, "no socket");
    }
    int refused = try_connect(fd, path);
    close(fd);
    if (refused == 0) {
        return fail(error, ERR_DUPLICATE,
                    "%.300s: a program runs with this state folder already; stop it, or choose "
                    "another folder with --dir",
                    state_dir);
    }
    errno = refused;
    if (refused != ECONNREFUSED || unlink(path) != 0) {
        return fail_errno(error, state_dir, "the old control socket cannot be removed");
    }
    return OK;
}

int control_socket_listen(const char *state_dir, struct host_error *error) {
    char path[CONTROL_PATH_BYTES];
    int folder_fd = -1;
    if (control_socket_path(state_dir, path, &folder_fd, error) != OK) {
        return -1;
    }
    int fd = -1;
    if (clear_stale(path, state_dir, error) == OK) {
        struct sockaddr_un address = address_of(path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        /* The mode of the unbound socket is the mode of the file that bind makes: never open. */
        if (fd < 0 || fchmod(fd, 0600) != 0 ||
            bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
            listen(fd, BACKLOG) != 0) {
            (void)fail_errno(error, state_dir, "the control socket cannot be made");
            close_fd(fd);
            fd = -1;
        }
    }
    close_fd(folder_fd);
    return fd;
}

void control_socket_remove(const char *state_dir) {
    char path[CONTROL_PATH_BYTES];
    int folder_fd = -1;
    if (control_socket_path(state_dir, path, &folder_fd, NULL) == OK) {
        unlink(path);
        close_fd(folder_fd);
    }
}

int control_socket_connect(const char *state_dir, struct host_error *error) {
    char path[CONTROL_PATH_BYTES];
    int folder_fd = -1;
    if (control_socket_path(state_dir, path, &folder_fd, error) != OK) {
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int refused = fd < 0 ? errno : try_connect(fd, path);
    close_fd(folder_fd);
    if (refused == 0) {
        return fd;
    }
    close_fd(fd);
    errno = refused;
    if (refused == ENOENT || refused == ECONNREFUSED || refused == ENOTDIR) {
        (void)fail(error, ERR_NOT_FOUND, "nothing is running in %.300s", state_dir);
    } else {
        (void)fail_errno(error, state_dir, "the control socket cannot be reached");
    }
    return -1;
}

bool control_socket_peer(int fd, pid_t *process, uid_t *user) {
    struct ucred credentials;
    socklen_t len = sizeof credentials;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &len) != 0) {
        return false;
    }
    *process = credentials.pid;
    *user = credentials.uid;
    return true;
}
