/* folders.c - folders below the download folder, made without ever leaving it.
 *
 * One step at a time, each from the descriptor of the one before and never through a symbolic link,
 * so that whatever is exchanged meanwhile, what is made lies below the root. */
#include "src/host/folders.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES_MAX 100
#define STEP_BYTES (NAMES_DISK_MAX + 8) /* with " (99)" */

/* Open or make one folder; -1 with errno EEXIST when something else has the name. */
static int make_one(int at, const char *name) {
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(at, name, flags);
    if (fd < 0 && errno == ENOENT) {
        if (mkdirat(at, name, 0777) != 0 && errno != EEXIST) {
            return -1;
        }
        fd = openat(at, name, flags);
        if (fd >= 0 && fsync(at) != 0) {
            int number = errno;
            close(fd);
            errno = number;
            return -1;
        }
    }
    if (fd < 0 && (errno == ENOTDIR || errno == ELOOP || errno == ENOENT)) {
        errno = EEXIST; /* a file, a link, or one that goes and comes */
    }
    return fd;
}

/* Append the step that was taken to what the path has become. */
static int take_step(int at, const char *name, size_t len, char step[STEP_BYTES]) {
    int fd = -1;
    for (int number = 1; number <= TRIES_MAX && fd < 0; number++) {
        if (number == 1) {
            snprintf(step, STEP_BYTES, "%.*s", (int)len, name);
        } else {
            snprintf(step, STEP_BYTES, "%.*s (%d)", (int)len, name, number);
        }
        fd = make_one(at, step);
        if (fd < 0 && errno != EEXIST) {
            return -1;
        }
    }
    return fd;
}

int folders_make(int root, char path[NAMES_PATH_MAX + 1]) {
    char made[NAMES_PATH_MAX + 1] = "";
    size_t used = 0;
    int at = fcntl(root, F_DUPFD_CLOEXEC, 0);
    for (const char *from = path; *from != '\0' && at >= 0;) {
        char step[STEP_BYTES];
        size_t len = strcspn(from, "/");
        bool fits = len > 0 && len <= NAMES_DISK_MAX;
        int next = fits ? take_step(at, from, len, step) : -1;
        int number = fits ? errno : ENAMETOOLONG;
        int wrote =
            next >= 0 ? snprintf(made + used, sizeof made - used, "%s%s", used > 0 ? "/" : "", step)
                      : 0;
        close(at);
        at = next;
        if (next >= 0 && (size_t)wrote >= sizeof made - used) {
            close(next);
            at = -1;
            number = ENAMETOOLONG;
        }
        errno = number;
        used += (size_t)wrote;
        from += len + (from[len] == '/');
    }
    if (at >= 0) {
        memcpy(path, made, sizeof made);
    }
    return at;
}
