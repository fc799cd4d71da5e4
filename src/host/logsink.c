/* logsink.c - where log lines go: standard error or a file of bounded size, at a bounded rate.
 *
 * Strangers cause warnings; so they are limited (TROVE-2021-001 was a disk filled by them), and
 * what was dropped is said with the next line that gets through. */
#include "src/host/logsink.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/mem.h"
#include "src/host/failure.h"

#define LINE_BYTES 512

struct log_sink {
    pthread_mutex_t lock;
    char *path; /* NULL = standard error */
    int fd;
    size_t bytes; /* in the file */
    int64_t second;
    unsigned in_second;
    unsigned long dropped;
};

static void rotate(struct log_sink *sink) {
    char from[1024];
    char to[1024];
    for (int i = LOG_FILES - 1; i > 0; i--) {
        snprintf(to, sizeof to, "%s.%d", sink->path, i);
        if (i == 1) {
            snprintf(from, sizeof from, "%s", sink->path);
        } else {
            snprintf(from, sizeof from, "%s.%d", sink->path, i - 1);
        }
        (void)rename(from, to);
    }
    int fd = open(sink->path, O_WRONLY | O_CREAT | O_APPEND | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0) {
        close(sink->fd);
        sink->fd = fd;
    }
    sink->bytes = 0; /* also when it failed: try again a file's length later */
}

static void put(struct log_sink *sink, enum log_level level, const char *line) {
    static const char letters[] = "EWID";
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    char text[LINE_BYTES];
    size_t stamp = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    int len = snprintf(text + stamp, sizeof text - stamp, ".%03ldZ %c %s\n", now.tv_nsec / 1000000,
                       letters[level], line);
    size_t bytes = stamp + (size_t)len < sizeof text ? stamp + (size_t)len : sizeof text - 1;
    ssize_t written = write(sink->fd, text, bytes); /* a full disk must not stop the node */
    sink->bytes += written > 0 ? (size_t)written : 0;
    if (sink->path != NULL && sink->bytes >= LOG_FILE_BYTES) {
        rotate(sink);
    }
}

/* True when this line is over the rate. */
static bool is_too_many(struct log_sink *sink, enum log_level level) {
    if (level > LOG_LEVEL_WARN) {
        return false;
    }
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec != sink->second) {
        sink->second = now.tv_sec;
        sink->in_second = 0;
    }
    return ++sink->in_second > LOG_TROUBLE_PER_S;
}

static void write_line(void *context, enum log_level level, const char *line) {
    struct log_sink *sink = context;
    pthread_mutex_lock(&sink->lock);
    if (is_too_many(sink, level)) {
        sink->dropped++;
    } else {
        if (sink->dropped > 0) {
            char text[64];
            snprintf(text, sizeof text, "log.dropped lines=%lu", sink->dropped);
            sink->dropped = 0;
            put(sink, LOG_LEVEL_WARN, text);
        }
        put(sink, level, line);
    }
    pthread_mutex_unlock(&sink->lock);
}

struct log_sink *log_sink_new(const char *path, struct host_error *error) {
    int fd = STDERR_FILENO;
    struct stat stat = {0};
    if (path != NULL) {
        fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (fd < 0 || fstat(fd, &stat) != 0) {
            fail_errno(error, path, "the log file cannot be opened");
            return NULL;
        }
    }
    struct log_sink *sink = mem_new(sizeof *sink);
    pthread_mutex_init(&sink->lock, NULL);
    sink->path = path != NULL ? mem_string(path) : NULL;
    sink->fd = fd;
    sink->bytes = (size_t)stat.st_size;
    return sink;
}

struct log log_sink_log(struct log_sink *sink, enum log_level level) {
    return (struct log){.level = level, .write = write_line, .context = sink};
}

void log_sink_free(struct log_sink *sink) {
    if (sink != NULL) {
        if (sink->path != NULL) {
            close(sink->fd);
        }
        pthread_mutex_destroy(&sink->lock);
        mem_free(sink->path);
        mem_free(sink);
    }
}
