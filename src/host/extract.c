/* extract.c - has the metadata of shared files read by a process of its own, one file at a time.
 *
 *     file --> opened by a worker --> the process answers --> told, if the file is still the same
 *                                     crash, silence, nonsense: killed; told: nothing known
 *
 * The process is started for the first file, from the loop's thread (it dies with that one), and
 * ends when there is no more to read. What waits is a list of the library's numbers. */
#include "src/host/extract.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/facts.h"
#include "common/mem.h"
#include "src/extract/protocol.h"
#include "src/host/places.h"

#define DYING_MAX 8 /* killed, but not yet gone: in the middle of a slow read */

struct wanted {
    uint64_t file;
    bool again;
    bool was_tried;
    bool has_failed;
};

/* What was read, until it is told. */
struct result {
    struct result *next;
    uint64_t file;
    uint32_t by;
    bool is_failure;
    struct buf meta;
};

enum process_state { PROCESS_NONE, PROCESS_STARTING, PROCESS_READY };

struct extract {
    struct extract_config config;
    char *program;
    struct wanted *queue;
    uint32_t first;
    uint32_t count; /* end of the queue */
    uint32_t cap;

    bool is_busy; /* with `now` */
    bool is_open; /* ... which the process may have */
    struct wanted now;
    struct source *source;
    int fd;

    struct result *results;
    uint64_t told_us; /* when they were last told */

    enum process_state state;
    pid_t pid;
    int socket;
    struct event *readable;
    struct event *timer;
    bool is_known; /* whether it has the library */
    bool has_library;
    uint32_t served;   /* by this process */
    uint32_t failures; /* processes in a row that never said hello */
    bool is_started;
    bool is_stopped; /* for ever */
    pid_t dying[DYING_MAX];
};

struct open_job {
    struct job job;
    struct extract *extract;
    struct source *source;
    int fd;
    enum err err;
};

static void go_on(struct extract *extract);

bool extract_wants(const char *path) {
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    struct slice extension = file_extension((struct slice){(const uint8_t *)name, strlen(name)});
    static const char *const documents[] = {"pdf", "odt", "ods", "odp", "odg"};
    enum file_type type = file_type_of(extension);
    bool is_one = type == FILE_AUDIO || type == FILE_VIDEO || type == FILE_IMAGE;
    for (size_t i = 0; type == FILE_DOCUMENT && i < sizeof documents / sizeof *documents; i++) {
        is_one =
            is_one || (extension.len == strlen(documents[i]) &&
                       strncasecmp((const char *)extension.data, documents[i], extension.len) == 0);
    }
    return is_one;
}

bool extract_is_current(uint32_t by) {
    return by / 2 == EXTRACT_VERSION;
}

bool extract_is_full(uint32_t by) {
    return by == EXTRACT_VERSION * 2 + 1;
}

/* ---- The process ---- */

static void reap(struct extract *extract, pid_t pid) {
    uint32_t i = 0;
    for (uint32_t at = 0; at < DYING_MAX; at++) {
        if (extract->dying[at] > 0 && waitpid(extract->dying[at], NULL, WNOHANG) != 0) {
            extract->dying[at] = 0;
        }
    }
    if (pid <= 0 || waitpid(pid, NULL, WNOHANG) != 0) {
        return;
    }
    while (i < DYING_MAX && extract->dying[i] > 0) {
        i++;
    }
    if (i < DYING_MAX) {
        extract->dying[i] = pid;
    } else {
        waitpid(pid, NULL, 0);
    }
}

static void end_process(struct extract *extract) {
    if (extract->state != PROCESS_NONE) {
        event_free(extract->readable);
        event_del(extract->timer);
        close(extract->socket);
        kill(extract->pid, SIGKILL);
        reap(extract, extract->pid);
        extract->state = PROCESS_NONE;
    }
}

static void give_up(struct extract *extract, const char *why) {
    struct host *host = extract->config.host;
    log_warn(&host->log, "extract.none program=%s reason=\"%s\"", EXTRACT_PROGRAM, why);
    host->counts.metadata = why;
    extract->is_stopped = true;
    extract->count = 0;
    extract->first = 0;
}

static int spawn(const struct extract *extract, int socket, pid_t *pid) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    char *const words[] = {extract->program, NULL};
    char *const environment[] = {(char *)(uintptr_t) "LC_ALL=C.UTF-8", NULL};
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&actions, socket, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    int error = posix_spawn(pid, extract->program, &actions, &attributes, words, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

static void arm(struct extract *extract) {
    struct timeval wait = {.tv_sec = EXTRACT_WALL_MS / 1000,
                           .tv_usec = EXTRACT_WALL_MS % 1000 * 1000};
    event_add(extract->timer, &wait);
}

static void on_readable(evutil_socket_t fd, short what, void *context);

static bool start_process(struct extract *extract) {
    int ends[2];
    if (extract->program == NULL) {
        extract->program = places_program(EXTRACT_PROGRAM);
    }
    if (extract->program == NULL) {
        give_up(extract, "none: " EXTRACT_PROGRAM " is missing; install it beside the peer");
        return false;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return false;
    }
    int error = spawn(extract, ends[1], &extract->pid);
    close(ends[1]);
    if (error != 0) {
        close(ends[0]);
        give_up(extract, "none: " EXTRACT_PROGRAM " cannot be started");
        return false;
    }
    extract->socket = ends[0];
    extract->readable = event_new(extract->config.host->base, extract->socket, EV_READ | EV_PERSIST,
                                  on_readable, extract);
    event_add(extract->readable, NULL);
    extract->state = PROCESS_STARTING;
    extract->served = 0;
    arm(extract);
    return true;
}

static bool send_file(struct extract *extract) {
    uint8_t type = EXTRACT_READ;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec part = {&type, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    control.header.cmsg_len = CMSG_LEN(sizeof extract->fd);
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    memcpy(CMSG_DATA(&control.header), &extract->fd, sizeof extract->fd);
    arm(extract);
    return sendmsg(extract->socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

/* ---- One file ---- */

/* Every new record changes the list of shared files, and a list is registered as a whole: so many
 * are told at once. */
static void tell_results(struct extract *extract) {
    struct driver_counts *counts = &extract->config.host->counts;
    struct result *result = extract->results;
    extract->results = NULL;
    extract->told_us = clock_mono_us();
    while (result != NULL) {
        struct result *next = result->next;
        if (!extract->is_stopped && !workers_stopping(extract->config.host->workers)) {
            counts->metadata_failed += result->is_failure ? 1 : 0;
            counts->metadata_read += result->is_failure ? 0 : 1;
            extract->config.done(extract->config.context, result->file,
                                 (struct slice){result->meta.data, result->meta.len}, result->by);
        }
        buf_free(&result->meta);
        mem_free(result);
        result = next;
    }
}

/* Let go of the file; tell what is known of it if anything is to be told. */
static void finish(struct extract *extract, bool is_told, struct slice meta) {
    bool is_same = source_end(extract->source, extract->fd) == OK;
    source_release(extract->source);
    event_del(extract->timer);
    extract->source = NULL;
    extract->is_open = false;
    extract->is_busy = false;
    if (is_told && is_same) {
        struct result *result = mem_new(sizeof *result);
        result->file = extract->now.file;
        result->is_failure = extract->now.has_failed;
        result->by = EXTRACT_VERSION * 2 + (extract->has_library ? 1 : 0);
        buf_append(&result->meta, meta.data, meta.len);
        result->next = extract->results;
        extract->results = result;
    }
    if (clock_mono_us() - extract->told_us >= EXTRACT_TELL_MS * 1000ull) {
        tell_results(extract);
    }
}

/* Send what is open, or have a process started that will ask for it. */
static void ask(struct extract *extract) {
    if (extract->state == PROCESS_READY && extract->served >= EXTRACT_FILES_MAX) {
        end_process(extract);
    }
    bool is_under_way = true;
    if (extract->state == PROCESS_NONE) {
        is_under_way = start_process(extract);
    } else if (extract->state == PROCESS_READY) {
        is_under_way = send_file(extract);
    }
    if (!is_under_way) {
        end_process(extract);
        finish(extract, false, (struct slice){0});
        go_on(extract);
    }
}

/* The process crashed, was too slow, or spoke nonsense. */
static void lose_process(struct extract *extract, const char *why) {
    struct host *host = extract->config.host;
    bool never_spoke = extract->state == PROCESS_STARTING;
    bool had_served = extract->served > 0;
    end_process(extract);
    if (never_spoke && ++extract->failures == EXTRACT_FAILURES_MAX) {
        give_up(extract, "none: " EXTRACT_PROGRAM " ends at once; this system refuses its sandbox");
        if (extract->is_open) {
            finish(extract, false, (struct slice){0});
        }
        go_on(extract);
    } else if (extract->is_open && (never_spoke || (had_served && !extract->now.was_tried))) {
        extract->now.was_tried = extract->now.was_tried || !never_spoke;
        ask(extract);
    } else if (extract->is_open) {
        extract->now.has_failed = true;
        log_warn(&host->log, "extract.failed file=%llu reason=%s",
                 (unsigned long long)extract->now.file, why);
        finish(extract, true, (struct slice){0});
        go_on(extract);
    }
}

static void take_hello(struct extract *extract, bool has_library) {
    struct host *host = extract->config.host;
    extract->state = PROCESS_READY;
    extract->failures = 0;
    extract->has_library = has_library;
    host->counts.metadata =
        has_library ? "on" : "partly: libextractor is not installed, so some texts are not read";
    if (!extract->is_known) {
        extract->is_known = true;
        log_info(&host->log, "extract.ready libextractor=%s", has_library ? "yes" : "missing");
    }
    if (!extract->is_open) {
        event_del(extract->timer);
    } else if (extract->now.again && !has_library) {
        finish(extract, false, (struct slice){0});
        go_on(extract);
    } else {
        ask(extract);
    }
}

/* What a record may say, and no more: read as if a stranger had sent it, and written anew. */
static bool take_answer(struct extract *extract, struct slice meta) {
    struct file_record record = {.content = {.size = 1}, .meta = meta};
    struct file_facts facts;
    struct buf canonical = {0};
    if (meta.len > FILE_META_MAX || wire_tlvs_check(meta) != OK) {
        return false;
    }
    file_facts_read(&record, &facts);
    file_facts_write(&canonical, &facts);
    extract->served++;
    finish(extract, true, (struct slice){canonical.data, canonical.len});
    buf_free(&canonical);
    go_on(extract);
    return true;
}

static void on_readable(evutil_socket_t fd, short what, void *context) {
    struct extract *extract = context;
    uint8_t packet[EXTRACT_PACKET_MAX + 1]; /* one more shows that it was too long */
    (void)what;
    ssize_t got = recv(fd, packet, sizeof packet, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        lose_process(extract, "crash");
    } else if (extract->state == PROCESS_STARTING && got == 2 && packet[0] == EXTRACT_HELLO) {
        take_hello(extract, packet[1] == 1);
    } else if (extract->state != PROCESS_READY || !extract->is_open ||
               packet[0] != EXTRACT_ANSWER ||
               !take_answer(extract, (struct slice){packet + 1, (size_t)got - 1})) {
        lose_process(extract, "nonsense");
    }
}

static void on_timer(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    lose_process(context, "silence");
}

/* ---- The queue ---- */

static void run_open(struct job *base) {
    struct open_job *job = (struct open_job *)base;
    job->err = source_begin(job->source, &job->fd);
}

static void done_open(struct job *base) {
    struct open_job *job = (struct open_job *)base;
    struct extract *extract = job->extract;
    extract->is_busy = false;
    if (job->err != OK) {
        source_release(job->source); /* it changed, and will be hashed and read again */
        go_on(extract);
    } else {
        extract->source = job->source;
        extract->fd = job->fd;
        extract->is_open = true;
        extract->is_busy = true;
        if (extract->is_stopped) {
            finish(extract, false, (struct slice){0});
        } else {
            ask(extract);
        }
    }
    mem_free(job);
}

static bool next_wanted(struct extract *extract) {
    struct source *source = NULL;
    while (source == NULL && extract->first < extract->count) {
        extract->now = extract->queue[extract->first++];
        bool is_vain = extract->now.again && extract->is_known && !extract->has_library;
        source = is_vain ? NULL : extract->config.open(extract->config.context, extract->now.file);
    }
    if (source == NULL) {
        return false;
    }
    struct open_job *job = mem_new(sizeof *job);
    job->job = (struct job){.run = run_open, .done = done_open, .slow = true};
    job->extract = extract;
    job->source = source;
    extract->is_busy = true;
    workers_submit(extract->config.host->workers, &job->job);
    return true;
}

static void go_on(struct extract *extract) {
    if (workers_stopping(extract->config.host->workers) || extract->is_stopped) {
        end_process(extract);
        tell_results(extract);
        return;
    }
    if (extract->is_started && !extract->is_busy && !next_wanted(extract)) {
        extract->first = 0;
        extract->count = 0;
        end_process(extract);
        tell_results(extract);
    }
}

void extract_add(struct extract *extract, uint64_t file, bool again) {
    if (extract->is_stopped) {
        return;
    }
    if (extract->count == extract->cap && extract->first > extract->cap / 2) {
        extract->count -= extract->first;
        memmove(extract->queue, extract->queue + extract->first,
                extract->count * sizeof *extract->queue);
        extract->first = 0;
    }
    if (extract->count == extract->cap) {
        extract->cap = extract->cap > 0 ? extract->cap * 2 : 64;
        extract->queue = mem_resize(extract->queue, extract->cap, sizeof *extract->queue);
    }
    extract->queue[extract->count++] = (struct wanted){.file = file, .again = again};
    go_on(extract);
}

void extract_start(struct extract *extract) {
    extract->is_started = true;
    extract->told_us = clock_mono_us();
    go_on(extract);
}

struct extract *extract_new(const struct extract_config *config) {
    struct extract *extract = mem_new(sizeof *extract);
    extract->config = *config;
    extract->program = config->program != NULL ? mem_string(config->program) : NULL;
    extract->timer = evtimer_new(config->host->base, on_timer, extract);
    config->host->counts.metadata = "on, nothing read yet";
    return extract;
}

void extract_stop(struct extract *extract) {
    if (extract != NULL) {
        extract->is_stopped = true;
        extract->first = 0;
        extract->count = 0;
        end_process(extract);
        if (extract->is_open) {
            finish(extract, false, (struct slice){0});
        }
    }
}

void extract_free(struct extract *extract) {
    if (extract != NULL) {
        extract_stop(extract);
        tell_results(extract); /* none; frees them */
        event_free(extract->timer);
        mem_free(extract->queue);
        mem_free(extract->program);
        mem_free(extract);
    }
}
