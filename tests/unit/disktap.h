/* disktap.h - stands between this program and its disk: records what is written, synced and renamed
 * in a download folder, and lets calls fail.
 *
 * A function of the C library that is defined here is the one that everybody in the program calls.
 * Syncs never wait for a disk: what would survive a power cut is worked out from the record.
 * Include it in one file of a program only. */
#ifndef TRUNKLINE_TESTS_UNIT_DISKTAP_H
#define TRUNKLINE_TESTS_UNIT_DISKTAP_H

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

#include "tests/unit/partlib.h"

#define TAP_NAME 128
#define TAP_OPS 4096
#define TAP_FILES 64

enum tap_kind {
    TAP_CREATE,
    TAP_WRITE,
    TAP_SIZE,
    TAP_SYNC, /* of a file */
    TAP_SYNC_PARTS,
    TAP_SYNC_DOWNLOADS,
    TAP_RENAME,
    TAP_UNLINK,
    TAP_COMMITTED, /* told to the node; offset = bitmap */
    TAP_FINISHED
};

/* Names begin with the folder: "p/x" is x in the folder of unfinished files, "d/x" a download. */
struct tap_op {
    enum tap_kind kind;
    uint32_t file;
    uint64_t offset; /* SIZE: the new one */
    size_t len;
    uint8_t *data;
    char name[TAP_NAME];
    char to[TAP_NAME];
};

struct tap_fault {
    bool is_armed;
    bool is_lasting;  /* all calls from then on */
    uint32_t at;      /* which call fails, from 0 */
    int number;       /* errno */
    const char *only; /* of this function; NULL = any */
};

static struct disktap {
    pthread_mutex_t lock;
    bool is_on;
    bool no_fallocate; /* as a file system without it */
    struct tap_op ops[TAP_OPS];
    uint32_t count;
    ino_t inodes[TAP_FILES]; /* of file numbers; 0 = none */
    uint32_t files;
    struct tap_fault fault;
    const char *rival; /* name that somebody else takes just before it is renamed to; NULL = none */
    uint32_t calls;    /* that could have failed */
    uint32_t hits;     /* that did */
} tap = {.lock = PTHREAD_MUTEX_INITIALIZER};

static inline void *tap_real(const char *name) {
    void *real = dlsym(RTLD_NEXT, name);
    if (real == NULL) {
        abort();
    }
    return real;
}

#define TAP_REAL(result, name, ...)                                                                \
    result (*real)(__VA_ARGS__);                                                                   \
    *(void **)&real = tap_real(name)

/* ---- Recording ---- */

static inline struct tap_op *tap_add(enum tap_kind kind, uint32_t file) {
    if (tap.count == TAP_OPS) {
        abort();
    }
    struct tap_op *op = &tap.ops[tap.count++];
    *op = (struct tap_op){.kind = kind, .file = file};
    return op;
}

static inline void tap_clear(void) {
    for (uint32_t i = 0; i < tap.count; i++) {
        mem_free(tap.ops[i].data);
    }
    tap.count = 0;
    tap.files = 0;
}

static inline bool tap_file_of(ino_t inode, uint32_t *file) {
    for (*file = tap.files; *file > 0;) {
        if (tap.inodes[--*file] == inode) {
            return true;
        }
    }
    return false;
}

static inline uint32_t tap_file_new(ino_t inode) {
    if (tap.files == TAP_FILES) {
        abort();
    }
    tap.inodes[tap.files] = inode;
    return tap.files++;
}

static inline bool tap_fd_file(int fd, uint32_t *file) {
    struct stat stat;
    return fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) && tap_file_of(stat.st_ino, file);
}

/* 'p', 'd', or 0 for folders that are not ours. */
static inline char tap_folder(int fd) {
    char link[64];
    char path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    if (len <= 0) {
        return 0;
    }
    path[len] = '\0';
    const char *last = strrchr(path, '/');
    if (last != NULL && strcmp(last, "/.trunkline") == 0) {
        return 'p';
    }
    return last != NULL && strstr(last, "trunkline-test") != NULL ? 'd' : 0;
}

static inline void tap_name(char to[TAP_NAME], int fd, const char *name) {
    snprintf(to, TAP_NAME, "%c/%s", tap_folder(fd), name);
}

/* True when this call is to fail; errno is set. */
static inline bool tap_fails(const char *function) {
    if (!tap.is_on) {
        return false;
    }
    pthread_mutex_lock(&tap.lock);
    bool counts = tap.fault.only == NULL || strcmp(tap.fault.only, function) == 0;
    uint32_t call = tap.calls;
    tap.calls += counts;
    bool fails = tap.fault.is_armed && counts &&
                 (tap.fault.is_lasting ? call >= tap.fault.at : call == tap.fault.at);
    tap.hits += fails;
    pthread_mutex_unlock(&tap.lock);
    if (fails) {
        errno = tap.fault.number;
    }
    return fails;
}

/* This name goes: another file may get its inode. */
static inline void tap_forget(int folder, const char *name) {
    struct stat stat;
    uint32_t file;
    if (fstatat(folder, name, &stat, AT_SYMLINK_NOFOLLOW) == 0 && tap_file_of(stat.st_ino, &file)) {
        tap.inodes[file] = 0;
    }
}

/* ---- The calls ---- */

static inline bool tap_ends(const char *name, const char *ending) {
    size_t len = strlen(name);
    size_t end = strlen(ending);
    return len >= end && strcmp(name + len - end, ending) == 0;
}

static inline bool tap_is_ours(const char *name) {
    return tap_ends(name, ".part") || tap_ends(name, ".journal") || tap_ends(name, ".journal.new");
}

int openat(int folder, const char *name, int flags, ...) {
    mode_t mode = 0;
    if ((flags & O_CREAT) != 0) {
        va_list arguments;
        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    TAP_REAL(int, "openat", int, const char *, int, ...);
    if (!tap.is_on || !tap_is_ours(name) || (flags & O_CREAT) == 0) {
        return real(folder, name, flags, mode);
    }
    if (tap_fails("openat")) {
        return -1;
    }
    pthread_mutex_lock(&tap.lock);
    struct stat stat;
    bool is_new = fstatat(folder, name, &stat, AT_SYMLINK_NOFOLLOW) != 0;
    int fd = real(folder, name, flags, mode);
    if (fd >= 0 && is_new && fstat(fd, &stat) == 0) {
        struct tap_op *op = tap_add(TAP_CREATE, tap_file_new(stat.st_ino));
        tap_name(op->name, folder, name);
    } else if (fd >= 0 && (flags & O_TRUNC) != 0) {
        uint32_t file;
        if (tap_fd_file(fd, &file)) {
            tap_add(TAP_SIZE, file)->offset = 0;
        }
    }
    pthread_mutex_unlock(&tap.lock);
    return fd;
}

ssize_t pwrite(int fd, const void *from, size_t len, off_t offset) {
    TAP_REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    uint32_t file;
    if (!tap.is_on || !tap_fd_file(fd, &file)) {
        return real(fd, from, len, offset);
    }
    bool fails = tap_fails("pwrite");
    int number = errno;
    size_t done = fails ? len / 2 : len; /* a disk fills in the middle of a write */
    pthread_mutex_lock(&tap.lock);
    ssize_t put = done > 0 ? real(fd, from, done, offset) : 0;
    if (put > 0) {
        struct tap_op *op = tap_add(TAP_WRITE, file);
        op->offset = (uint64_t)offset;
        op->len = (size_t)put;
        op->data = mem_copy(from, op->len);
    }
    pthread_mutex_unlock(&tap.lock);
    if (fails) {
        errno = number;
    }
    return fails ? -1 : put;
}

int ftruncate(int fd, off_t size) {
    TAP_REAL(int, "ftruncate", int, off_t);
    uint32_t file;
    bool is_ours = tap.is_on && tap_fd_file(fd, &file);
    if (is_ours && tap_fails("ftruncate")) {
        return -1;
    }
    int result = real(fd, size);
    if (is_ours && result == 0) {
        pthread_mutex_lock(&tap.lock);
        tap_add(TAP_SIZE, file)->offset = (uint64_t)size;
        pthread_mutex_unlock(&tap.lock);
    }
    return result;
}

int fallocate(int fd, int mode, off_t offset, off_t len) {
    TAP_REAL(int, "fallocate", int, int, off_t, off_t);
    if (tap.is_on && tap.no_fallocate) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return tap_fails("fallocate") ? -1 : real(fd, mode, offset, len);
}

static inline int tap_sync(int fd, const char *function) {
    uint32_t file;
    char folder = 0;
    bool is_ours = tap.is_on && (tap_fd_file(fd, &file) || (folder = tap_folder(fd)) != 0);
    if (!is_ours) {
        return 0;
    }
    if (tap_fails(function)) {
        return -1;
    }
    pthread_mutex_lock(&tap.lock);
    tap_add(folder == 'p'   ? TAP_SYNC_PARTS
            : folder == 'd' ? TAP_SYNC_DOWNLOADS
                            : TAP_SYNC,
            folder == 0 ? file : 0);
    pthread_mutex_unlock(&tap.lock);
    return 0;
}

int fsync(int fd) {
    return tap_sync(fd, "fsync");
}

int fdatasync(int fd) {
    return tap_sync(fd, "fdatasync");
}

static inline void tap_renamed(const char *from, const char *to) {
    struct tap_op *op = tap_add(TAP_RENAME, 0);
    memcpy(op->name, from, TAP_NAME);
    memcpy(op->to, to, TAP_NAME);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    TAP_REAL(int, "renameat2", int, const char *, int, const char *, unsigned);
    if (!tap.is_on || tap_folder(from_folder) == 0) {
        return real(from_folder, from, to_folder, to, flags);
    }
    if (tap_fails("renameat2")) {
        return -1;
    }
    pthread_mutex_lock(&tap.lock);
    if (tap.rival != NULL && strcmp(to, tap.rival) == 0) {
        (void)mknodat(to_folder, to, S_IFREG | 0600, 0);
        tap.rival = NULL;
    }
    if ((flags & RENAME_NOREPLACE) == 0) {
        tap_forget(to_folder, to);
    }
    int result = real(from_folder, from, to_folder, to, flags);
    if (result == 0) {
        char names[2][TAP_NAME];
        tap_name(names[0], from_folder, from);
        tap_name(names[1], to_folder, to);
        tap_renamed(names[0], names[1]);
    }
    int number = errno;
    pthread_mutex_unlock(&tap.lock);
    errno = number;
    return result;
}

int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    return renameat2(from_folder, from, to_folder, to, 0);
}

int unlinkat(int folder, const char *name, int flags) {
    TAP_REAL(int, "unlinkat", int, const char *, int);
    if (!tap.is_on || tap_folder(folder) == 0) {
        return real(folder, name, flags);
    }
    pthread_mutex_lock(&tap.lock);
    tap_forget(folder, name);
    int result = real(folder, name, flags);
    if (result == 0) {
        tap_name(tap_add(TAP_UNLINK, 0)->name, folder, name);
    }
    pthread_mutex_unlock(&tap.lock);
    return result;
}

#endif
