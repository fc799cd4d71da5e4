/* failure.c - fills a host_error: what went wrong and the remedy, in one sentence for people. */
#include "src/host/failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int number;
    enum err err;
    const char *remedy;
} failures[] = {
    {ENOENT, ERR_NOT_FOUND, "check the path"},
    {ENOTDIR, ERR_NOT_FOUND, "check the path"},
    {EACCES, ERR_PERMISSION, "check owner and mode"},
    {EPERM, ERR_PERMISSION, "check owner and mode"},
    {EROFS, ERR_PERMISSION, "the file system is read-only"},
    {ELOOP, ERR_PERMISSION, "symbolic links are not followed here"},
    {ENOSPC, ERR_NO_SPACE, "free some space"},
    {EDQUOT, ERR_NO_SPACE, "free some space or raise the quota"},
    {EFBIG, ERR_NO_SPACE, "the file system does not hold files of this size"},
    {EEXIST, ERR_EXISTS, "move it away or choose another name"},
    {EMFILE, ERR_BUSY, "raise the limit of open files (ulimit -n)"},
    {ENFILE, ERR_BUSY, "raise the system's limit of open files"},
    {EADDRINUSE, ERR_EXISTS, "another program listens there; choose another port"},
    {EADDRNOTAVAIL, ERR_CONFIG, "this machine does not have that address"},
    {ECONNREFUSED, ERR_REFUSED, "nobody listens there"},
    {ECONNRESET, ERR_CLOSED, "the other side went away"},
    {EPIPE, ERR_CLOSED, "the other side went away"},
    {ETIMEDOUT, ERR_TIMEOUT, "check the network"},
    {EHOSTUNREACH, ERR_UNREACHABLE, "check the network"},
    {ENETUNREACH, ERR_UNREACHABLE, "check the network"},
    {ENETDOWN, ERR_UNREACHABLE, "check the network"},
};

#define FAILURES (sizeof failures / sizeof *failures)

static size_t find(int number) {
    size_t i = 0;
    while (i < FAILURES && failures[i].number != number) {
        i++;
    }
    return i;
}

enum err failure_of(int number) {
    size_t i = find(number);
    return i < FAILURES ? failures[i].err : ERR_IO;
}

enum err fail(struct host_error *error, enum err err, const char *format, ...) {
    if (error != NULL) {
        error->err = err;
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(error->text, sizeof error->text, format, arguments);
        va_end(arguments);
    }
    return err;
}

enum err fail_errno(struct host_error *error, const char *subject, const char *what) {
    int number = errno;
    size_t i = find(number);
    const char *remedy = i < FAILURES ? failures[i].remedy : "see the system's log";
    return fail(error, failure_of(number), "%.300s: %s: %s; %s", subject, what, strerror(number),
                remedy);
}
