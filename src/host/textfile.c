/* textfile.c - small files as a whole: read with a cap, written durable or not at all. */
#include "src/host/textfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/host/failure.h"

#define READ_BYTES 4096

static enum err read_all(int fd, const char *path, size_t max, struct buf *out,
                         struct host_error *error) {
    size_t total = 0;
    for (;;) {
        ssize_t got = read(fd, buf_reserve(out, READ_BYTES), READ_BYTES);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return fail_errno(error, path, "cannot be read");
        }
        if (got == 0) {
            return OK;
        }
        out->len += (size_t)got;
        total += (size_t)got;
        if (total > max) {
            return fail(error, ERR_LIMIT, "%s: longer than %zu bytes; is this the right file?",
                        path, max);
        }
    }
}

enum err textfile_load(const char *path, size_t max, struct buf *out, struct host_error *error) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return fail_errno(error, path, "cannot be opened");
    }
    enum err err = read_all(fd, path, max, out, error);
    close(fd);
    return err;
}

static bool write_all(int fd, struct slice bytes) {
    while (bytes.len > 0) {
        ssize_t put = write(fd, bytes.data, bytes.len);
        if (put < 0 && errno != EINTR) {
            return false;
        }
        size_t done = put < 0 ? 0 : (size_t)put;
        bytes.data += done;
        bytes.len -= done;
    }
    return fsync(fd) == 0;
}

/* The rename is durable only when the folder is. */
static bool sync_folder(const char *path) {
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 1 : (size_t)(slash - path) + 1;
    memcpy(folder, slash == NULL ? "." : path, len);
    folder[len] = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool done = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return done;
}

enum err textfile_replace(const char *path, mode_t mode, struct slice bytes,
                          struct host_error *error) {
    char fresh[PATH_MAX];
    if ((size_t)snprintf(fresh, sizeof fresh, "%s.XXXXXX", path) >= sizeof fresh) {
        return fail(error, ERR_CONFIG, "%.300s: the path is too long", path);
    }
    int fd = mkostemp(fresh, O_CLOEXEC);
    if (fd < 0) {
        return fail_errno(error, path, "cannot be written");
    }
    enum err err = OK;
    if (fchmod(fd, mode) != 0 || !write_all(fd, bytes) || rename(fresh, path) != 0 ||
        !sync_folder(path)) {
        err = fail_errno(error, path, "cannot be written");
        unlink(fresh);
    }
    close(fd);
    return err;
}

enum err folder_make(const char *path, struct host_error *error) {
    char part[PATH_MAX];
    size_t len = strlen(path);
    if (len >= sizeof part) {
        return fail(error, ERR_CONFIG, "%.300s: the path is too long", path);
    }
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (part[i] != '/' && part[i] != '\0') {
            continue;
        }
        part[i] = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST) {
            return fail_errno(error, part, "the folder cannot be made");
        }
        part[i] = path[i];
    }
    return OK;
}

const char *ini_line_problem(const char *line, int size, const char **remedy) {
    size_t len = strlen(line);
    if (len + 1 == (size_t)size && line[len - 1] != '\n') {
        *remedy = "shorten it to 190 characters";
        return "the line is too long";
    }
    if ((line[0] == ' ' || line[0] == '\t') && line[strspn(line, " \t\r\n")] != '\0') {
        *remedy = "remove it";
        return "the line begins with a blank";
    }
    return NULL;
}
