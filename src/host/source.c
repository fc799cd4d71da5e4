/* source.c - where the bytes of a shared or half-fetched file are, and whether to believe them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/mem.h"
#include "src/host/failure.h"
#include "src/host/files.h"

#define PATH_PART_MAX 255

static uint64_t nanoseconds(struct timespec time) {
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

struct stamp stamp_of(const struct stat *stat) {
    return (struct stamp){.size = (uint64_t)stat->st_size,
                          .mtime_ns = nanoseconds(stat->st_mtim),
                          .ctime_ns = nanoseconds(stat->st_ctim),
                          .inode = stat->st_ino,
                          .device = stat->st_dev};
}

bool stamp_equal(const struct stamp *a, const struct stamp *b) {
    return a->size == b->size && a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns &&
           a->inode == b->inode && a->device == b->device;
}

struct source *source_new(int fd, const char *root, const char *path, const struct stamp *stamp) {
    struct source *source = mem_new(sizeof *source);
    source->references = 1;
    source->fd = fd;
    if (fd < 0) {
        source->root = mem_string(root);
        source->path = mem_string(path);
        source->stamp = *stamp;
    }
    return source;
}

struct source *source_hold(struct source *source) {
    source->references++;
    return source;
}

void source_release(struct source *source) {
    if (--source->references == 0) {
        if (source->fd >= 0) {
            close(source->fd);
        }
        mem_free(source->root);
        mem_free(source->path);
        mem_free(source);
    }
}

/* For kernels before 5.6: step by step, so that no folder on the way can be exchanged for a link to
 * elsewhere. Takes `at`. */
static int open_stepwise(int at, const char *path) {
    while (at >= 0) {
        size_t len = strcspn(path, "/");
        bool is_last = path[len] == '\0';
        bool is_dots =
            (len == 1 && path[0] == '.') || (len == 2 && path[0] == '.' && path[1] == '.');
        char part[PATH_PART_MAX + 1];
        if (len == 0 || len > PATH_PART_MAX || is_dots) {
            close(at);
            errno = is_dots ? EXDEV : ENAMETOOLONG;
            return -1;
        }
        memcpy(part, path, len);
        part[len] = '\0';
        int flags = is_last ? O_NONBLOCK : O_DIRECTORY; /* a FIFO must not block us */
        int next = openat(at, part, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | flags);
        int number = errno;
        close(at);
        errno = number;
        if (is_last) {
            return next;
        }
        at = next;
        path += len + 1;
    }
    return -1;
}

/* The kernel resolves the whole way at once and never leaves the folder (openat2(2)). */
static int open_resolved(int at, const char *path) {
    struct open_how how = {.flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK,
                           .resolve =
                               RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, at, path, &how, sizeof how);
}

/* Old kernels do not know the call; some sandboxes forbid what they do not know. */
static bool is_missing(int number) {
    return number == ENOSYS || number == EPERM;
}

int open_beneath_by(enum beneath how, const char *root, const char *path) {
    int at = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (at < 0 || path[0] == '\0' || strstr(path, "//") != NULL) {
        int number = at < 0 ? errno : ENOENT;
        if (at >= 0) {
            close(at);
        }
        errno = number;
        return -1;
    }
    if (how != BENEATH_STEPWISE) {
        int fd = open_resolved(at, path);
        int number = errno;
        if (fd >= 0 || how == BENEATH_RESOLVED || !is_missing(number)) {
            close(at);
            errno = number;
            return fd;
        }
    }
    return open_stepwise(at, path);
}

int open_beneath(const char *root, const char *path) {
    return open_beneath_by(BENEATH_ANY, root, path);
}

/* Network file systems refuse leases for reasons of their own. */
static bool tells_writers(int fd) {
    struct statfs system;
    if (fstatfs(fd, &system) != 0) {
        return false;
    }
    switch ((unsigned long)system.f_type) {
    case EXT4_SUPER_MAGIC: /* ext2 and ext3, too */
    case XFS_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
    case TMPFS_MAGIC:
        return true;
    default:
        return false;
    }
}

/* A lease to read is given when nobody writes (fcntl(2)). Who opens the file to write in the
 * instant that it is held waits for its end; we are told of it by a signal, of which the usual one
 * kills. */
bool is_being_written(int fd) {
    if (!tells_writers(fd) || fcntl(fd, F_SETSIG, SIGURG) != 0) {
        return false;
    }
    if (fcntl(fd, F_SETLEASE, F_RDLCK) != 0) {
        return errno == EAGAIN;
    }
    (void)fcntl(fd, F_SETLEASE, F_UNLCK);
    return false;
}

enum err source_begin(const struct source *source, int *fd) {
    *fd = source->fd >= 0 ? source->fd : open_beneath(source->root, source->path);
    if (*fd < 0) {
        return errno == EMFILE || errno == ENFILE ? ERR_BUSY : ERR_CHANGED;
    }
    return OK;
}

enum err source_end(const struct source *source, int fd) {
    if (source->fd >= 0) {
        return OK;
    }
    struct stat stat;
    enum err err = OK;
    if (fstat(fd, &stat) != 0) {
        err = ERR_IO;
    } else {
        struct stamp stamp = stamp_of(&stat);
        err = S_ISREG(stat.st_mode) && stamp_equal(&stamp, &source->stamp) ? OK : ERR_CHANGED;
    }
    close(fd);
    return err;
}

enum err read_exactly(int fd, void *to, size_t len, uint64_t offset) {
    size_t done = 0;
    while (done < len) {
        ssize_t got = pread(fd, (char *)to + done, len - done, (off_t)(offset + done));
        if (got < 0 && errno != EINTR) {
            return failure_of(errno);
        }
        if (got == 0) {
            return ERR_CHANGED;
        }
        done += got > 0 ? (size_t)got : 0;
    }
    return OK;
}

enum err write_exactly(int fd, const void *from, size_t len, uint64_t offset) {
    size_t done = 0;
    while (done < len) {
        ssize_t put = pwrite(fd, (const char *)from + done, len - done, (off_t)(offset + done));
        if (put < 0 && errno != EINTR) {
            return failure_of(errno);
        }
        done += put > 0 ? (size_t)put : 0;
    }
    return OK;
}

enum err append_durably(int fd, const struct buf *bytes) {
    struct stat stat;
    if (fstat(fd, &stat) != 0) {
        return ERR_IO;
    }
    enum err err = write_exactly(fd, bytes->data, bytes->len, (uint64_t)stat.st_size);
    return err == OK && fdatasync(fd) != 0 ? failure_of(errno) : err;
}
