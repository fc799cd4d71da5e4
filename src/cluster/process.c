/* process.c - starts, watches and ends real processes; nothing it started outlives it. */
#include "src/cluster/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/check.h"
#include "common/mem.h"
#include "src/cluster/guard.h"

#define POLL_MS 20 /* how often a condition is looked at */
#define LINE_MAX_BYTES (1024 * 1024)

struct process {
    struct owner *owner;
    uint32_t slot;
    pid_t pid;
    int pidfd;
    int pipe; /* its standard output, or -1 */
    bool running;
    bool asked; /* to stop: a second SIGTERM would mean "at once" */
    int status; /* once it has ended */
    char *log;
    off_t log_start; /* where its own output begins in the log */
    struct buf pending;
};

struct owner {
    pid_t pid; /* of the program that made it: a fork of it owns nothing */
    char *folder;
    char token[GUARD_TOKEN_BYTES];
    struct guard guard;
    struct process *processes[PROCESSES_MAX];
    volatile pid_t groups[PROCESSES_MAX]; /* what the signal handler may touch; 0 = none */
};

/* The one global here: a signal handler and an exit handler have no other way to their owner. */
static struct owner *current;

static const int fatal_signals[] = {SIGINT, SIGTERM, SIGHUP};

static void end_at_once(int number) {
    if (current != NULL && current->pid == getpid()) {
        for (int i = 0; i < PROCESSES_MAX; i++) {
            if (current->groups[i] != 0) {
                kill(-current->groups[i], SIGKILL);
            }
        }
        guard_finish(&current->guard);
        static const char message[] = "\ninterrupted: every process was ended\n";
        if (write(STDERR_FILENO, message, sizeof message - 1) < 0) {
            _exit(1);
        }
    }
    signal(number, SIG_DFL);
    raise(number);
}

static void end_at_exit(void) {
    if (current != NULL && current->pid == getpid()) {
        owner_free(current);
    }
}

int64_t process_now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t process_now_ms(void) {
    return process_now_us() / 1000;
}

void process_sleep_ms(int ms) {
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&pause, NULL);
}

static void close_if_open(int fd) {
    if (fd >= 0) {
        close(fd);
    }
}

static void watch_signals(void) {
    struct sigaction action = {.sa_handler = end_at_once};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof fatal_signals / sizeof *fatal_signals; i++) {
        sigaddset(&action.sa_mask, fatal_signals[i]);
    }
    for (size_t i = 0; i < sizeof fatal_signals / sizeof *fatal_signals; i++) {
        sigaction(fatal_signals[i], &action, NULL);
    }
}

/* Where a standard stream is closed, one of our pipes would get its number, and a child its pipe
 * in place of a stream. */
static void open_standard_streams(void) {
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    close_if_open(fd);
}

struct owner *owner_new(const char *prefix) {
    static bool at_exit_set;
    CHECK(current == NULL || current->pid != getpid());
    open_standard_streams();
    const char *temporary = getenv("TMPDIR");
    char folder[4096];
    snprintf(folder, sizeof folder, "%s/%s-XXXXXX",
             temporary != NULL && temporary[0] == '/' ? temporary : "/tmp", prefix);
    if (mkdtemp(folder) == NULL) {
        return NULL;
    }
    struct owner *owner = mem_new(sizeof *owner);
    owner->pid = getpid();
    owner->folder = mem_string(folder);
    guard_token(owner->token);
    if (guard_start(&owner->guard, owner->token, folder) != OK) {
        rmdir(folder);
        mem_free(owner->folder);
        mem_free(owner);
        return NULL;
    }
    current = owner;
    watch_signals();
    if (!at_exit_set) {
        at_exit_set = true;
        atexit(end_at_exit);
    }
    return owner;
}

void owner_free(struct owner *owner) {
    if (owner == NULL) {
        return;
    }
    for (int i = 0; i < PROCESSES_MAX; i++) {
        if (owner->processes[i] != NULL) {
            process_kill(owner->processes[i]);
        }
    }
    for (int i = 0; i < PROCESSES_MAX; i++) {
        process_free(owner->processes[i]);
    }
    for (size_t i = 0; i < sizeof fatal_signals / sizeof *fatal_signals; i++) {
        signal(fatal_signals[i], SIG_DFL);
    }
    guard_finish(&owner->guard);
    current = NULL;
    mem_free(owner->folder);
    mem_free(owner);
}

const char *owner_folder(const struct owner *owner) {
    return owner->folder;
}

char *owner_path(const struct owner *owner, const char *format, ...) {
    char below[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(below, sizeof below, format, args);
    va_end(args);
    size_t bytes = strlen(owner->folder) + strlen(below) + 2;
    char *path = mem_new(bytes);
    snprintf(path, bytes, "%s/%s", owner->folder, below);
    return path;
}

/* Our environment, the additions, and the token; tokens of outer owners stay in front of ours. */
static char **make_environment(const struct owner *owner, const char *const *more, char *token,
                               size_t token_bytes) {
    size_t ours = 0, added = 0;
    while (environ[ours] != NULL) {
        ours++;
    }
    while (more != NULL && more[added] != NULL) {
        added++;
    }
    const char *outer = getenv(GUARD_ENVIRONMENT);
    snprintf(token, token_bytes, "%s=%s%s%s", GUARD_ENVIRONMENT, outer == NULL ? "" : outer,
             outer == NULL ? "" : ",", owner->token);
    char **all = mem_array(ours + added + 2, sizeof *all);
    size_t count = 0;
    all[count++] = token;
    for (size_t i = 0; i < ours + added; i++) {
        const char *item = i < added ? more[i] : environ[i - added];
        if (strncmp(item, GUARD_ENVIRONMENT "=", strlen(GUARD_ENVIRONMENT) + 1) != 0) {
            all[count++] = (char *)(uintptr_t)item;
        }
    }
    return all;
}

struct child_files {
    int in;
    int out; /* -1 = stays */
    int err; /* -1 = stays */
    int report;
};

static bool limit(__rlimit_resource_t what, uint64_t most) {
    struct rlimit limit = {most, most};
    return most == 0 || setrlimit((__rlimit_resource_t)what, &limit) == 0;
}

/* Runs in the child: everything between fork and exec; async-signal-safe calls only. */
static _Noreturn void become(const struct process_options *options, char *const *environment,
                             const struct child_files *files, pid_t parent) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(127); /* the owner died before the line above */
    }
    for (int number = 1; number < 32; number++) {
        signal(number, SIG_DFL);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    bool ready = (options->netns == 0 || setns(options->netns, CLONE_NEWNET) == 0) &&
                 dup2(files->in, 0) == 0 && (files->out < 0 || dup2(files->out, 1) == 1) &&
                 (files->err < 0 || dup2(files->err, 2) == 2) &&
                 (options->cwd == NULL || chdir(options->cwd) == 0) &&
                 limit(RLIMIT_NOFILE, options->descriptors_max) &&
                 limit(RLIMIT_DATA, options->memory_max);
    (void)close_range(3, ~0U, CLOSE_RANGE_CLOEXEC); /* what libraries opened stays here */
    if (ready) {
        execvpe(options->argv[0], (char *const *)(uintptr_t)options->argv, environment);
    }
    int error = errno;
    if (write(files->report, &error, sizeof error) < 0) {
        _exit(126);
    }
    _exit(127);
}

static enum err err_of_errno(int number) {
    static const struct {
        int number;
        enum err err;
    } rows[] = {{ENOENT, ERR_NOT_FOUND},
                {ENOTDIR, ERR_NOT_FOUND},
                {EACCES, ERR_PERMISSION},
                {EPERM, ERR_PERMISSION},
                {ENOEXEC, ERR_PERMISSION}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].number == number) {
            return rows[i].err;
        }
    }
    return ERR_IO;
}

/* Open what the child will have as its files; false when that fails (errno). */
static bool open_files(const struct process_options *options, struct process *process,
                       struct child_files *files, int report[2]) {
    int ends[2] = {-1, -1};
    files->in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    bool good = files->in >= 0 && pipe2(report, O_CLOEXEC) == 0;
    files->report = report[1];
    if (good && options->log != NULL) {
        files->err = open(options->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        good = files->err >= 0;
        files->out = good && !options->pipe ? fcntl(files->err, F_DUPFD_CLOEXEC, 3) : -1;
        process->log = mem_string(options->log);
        process->log_start = good ? lseek(files->err, 0, SEEK_END) : 0;
    }
    if (good && options->pipe) {
        good = pipe2(ends, O_CLOEXEC) == 0;
        process->pipe = ends[0];
        files->out = ends[1];
    }
    return good;
}

/* Fork and wait until the child has become the program; return errno, 0 = done. */
static int launch(struct process *process, const struct process_options *options,
                  const struct child_files *files, int report) {
    char token[4096];
    char **environment = make_environment(process->owner, options->env, token, sizeof token);
    pid_t parent = getpid();
    process->pid = fork();
    if (process->pid == 0) {
        become(options, environment, files, parent);
    }
    int error = process->pid < 0 ? errno : 0;
    mem_free(environment);
    if (error != 0) {
        return error;
    }
    setpgid(process->pid, process->pid); /* whoever is first: both must be able to rely on it */
    process->owner->groups[process->slot] = process->pid;
    close(files->report);
    ssize_t got;
    do {
        got = read(report, &error, sizeof error);
    } while (got < 0 && errno == EINTR);
    if (got == (ssize_t)sizeof error) {
        process->owner->groups[process->slot] = 0;
        waitpid(process->pid, NULL, 0);
        return error;
    }
    process->pidfd = pidfd_open(process->pid, 0);
    process->running = true;
    return process->pidfd >= 0 ? 0 : errno;
}

static struct process *add_process(struct owner *owner) {
    for (uint32_t i = 0; i < PROCESSES_MAX; i++) {
        if (owner->processes[i] == NULL) {
            struct process *process = mem_new(sizeof *process);
            process->owner = owner;
            process->slot = i;
            process->pidfd = process->pipe = -1;
            owner->processes[i] = process;
            return process;
        }
    }
    return NULL;
}

enum err process_start(struct owner *owner, const struct process_options *options,
                       struct process **process) {
    *process = NULL;
    struct process *made = add_process(owner);
    if (made == NULL) {
        return ERR_LIMIT;
    }
    struct child_files files = {-1, -1, -1, -1};
    int report[2] = {-1, -1};
    int error = 0;
    if (!open_files(options, made, &files, report)) {
        error = errno;
        close_if_open(report[1]);
    } else {
        error = launch(made, options, &files, report[0]);
    }
    close_if_open(report[0]);
    close_if_open(files.in);
    close_if_open(files.out);
    close_if_open(files.err);
    if (error != 0) {
        process_free(made);
        return err_of_errno(error);
    }
    *process = made;
    return OK;
}

pid_t process_pid(const struct process *process) {
    return process->pid;
}

/* See whether it has ended. What is left of its group goes first, while the unreaped leader keeps
 * the group's number from being given to strangers. */
static void settle(struct process *process) {
    siginfo_t info = {0};
    if (!process->running ||
        waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid == 0) {
        return;
    }
    kill(-process->pid, SIGKILL);
    process->owner->groups[process->slot] = 0;
    process->running = false;
    process->status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
    waitpid(process->pid, NULL, 0);
}

bool process_running(struct process *process) {
    settle(process);
    return process->running;
}

/* Poll one or two descriptors; false when the time is over. */
static bool wait_readable(int first, int second, int64_t until_ms) {
    for (;;) {
        struct pollfd fds[2] = {{.fd = first, .events = POLLIN}, {.fd = second, .events = POLLIN}};
        int64_t left = until_ms - process_now_ms();
        int ready = poll(fds, 2, left < 0 ? 0 : (int)left);
        if (ready > 0 || (ready == 0 && left <= 0)) {
            return ready > 0;
        }
    }
}

enum err process_wait(struct process *process, int timeout_ms, int *status) {
    int64_t until = process_now_ms() + timeout_ms;
    while (process_running(process)) {
        if (!wait_readable(process->pidfd, -1, until) && process_running(process)) {
            return ERR_TIMEOUT;
        }
    }
    *status = process->status;
    return OK;
}

static void signal_group(struct process *process, int number) {
    if (process_running(process)) {
        kill(-process->pid, number);
    }
}

void process_ask_to_stop(struct process *process) {
    if (!process->asked) {
        process->asked = true;
        signal_group(process, SIGTERM);
        signal_group(process, SIGCONT);
    }
}

void process_kill(struct process *process) {
    signal_group(process, SIGKILL);
}

void process_freeze(struct process *process) {
    signal_group(process, SIGSTOP);
}

void process_thaw(struct process *process) {
    signal_group(process, SIGCONT);
}

int process_stop(struct process *process, int grace_ms) {
    int status = 0;
    process_ask_to_stop(process);
    if (process_wait(process, grace_ms, &status) != OK) {
        process_kill(process);
        while (process_wait(process, 1000, &status) != OK) {
        }
    }
    return status;
}

void process_free(struct process *process) {
    if (process == NULL) {
        return;
    }
    if (process->running) {
        process_kill(process);
        process_stop(process, 1000);
    }
    close_if_open(process->pidfd);
    close_if_open(process->pipe);
    buf_free(&process->pending);
    process->owner->processes[process->slot] = NULL;
    mem_free(process->log);
    mem_free(process);
}

enum err process_wait_until(struct process *process, process_test_fn *test, void *context,
                            int timeout_ms) {
    int64_t until = process_now_ms() + timeout_ms;
    for (;;) {
        bool running = process_running(process); /* before the test: its last words count */
        if (test(context)) {
            return OK;
        }
        if (!running) {
            return ERR_CLOSED;
        }
        if (process_now_ms() >= until) {
            return ERR_TIMEOUT;
        }
        process_sleep_ms(POLL_MS);
    }
}

struct log_wait {
    const struct process *process;
    const char *text;
};

static bool log_has_text(void *context) {
    const struct log_wait *wait = context;
    int fd = open(wait->process->log, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || lseek(fd, wait->process->log_start, SEEK_SET) < 0) {
        close_if_open(fd);
        return false;
    }
    struct buf all = {0};
    ssize_t got;
    while ((got = read(fd, buf_reserve(&all, 65536), 65536)) > 0) {
        all.len += (size_t)got;
    }
    close(fd);
    bool found = memmem(all.data, all.len, wait->text, strlen(wait->text)) != NULL;
    buf_free(&all);
    return found;
}

enum err process_wait_log(struct process *process, const char *text, int timeout_ms) {
    CHECK(process->log != NULL);
    struct log_wait wait = {process, text};
    return process_wait_until(process, log_has_text, &wait, timeout_ms);
}

static bool file_is_there(void *context) {
    return access(context, F_OK) == 0;
}

enum err process_wait_file(struct process *process, const char *path, int timeout_ms) {
    char *copy = mem_string(path);
    enum err err = process_wait_until(process, file_is_there, copy, timeout_ms);
    mem_free(copy);
    return err;
}

/* Through its folder's descriptor: the path itself may be longer than a UNIX address. */
static bool socket_accepts(void *context) {
    const char *path = context, *slash = strrchr(path, '/');
    char folder[4096];
    snprintf(folder, sizeof folder, "%.*s", slash == NULL ? 1 : (int)(slash - path),
             slash == NULL ? "." : path);
    int folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", folder_fd,
             slash == NULL ? path : slash + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good =
        folder_fd >= 0 && fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close_if_open(folder_fd);
    close_if_open(fd);
    return good;
}

enum err process_wait_socket(struct process *process, const char *path, int timeout_ms) {
    char *copy = mem_string(path);
    enum err err = process_wait_until(process, socket_accepts, copy, timeout_ms);
    mem_free(copy);
    return err;
}

/* Read what there is; false at the end of the output. */
static bool read_more(struct process *process, struct buf *into) {
    ssize_t got;
    do {
        got = read(process->pipe, buf_reserve(into, 65536), 65536);
    } while (got < 0 && errno == EINTR);
    into->len += got > 0 ? (size_t)got : 0;
    return got > 0;
}

enum err process_line(struct process *process, struct buf *line, int timeout_ms) {
    CHECK(process->pipe >= 0);
    int64_t until = process_now_ms() + timeout_ms;
    struct buf *pending = &process->pending;
    bool more = true;
    for (;;) {
        const uint8_t *end = pending->len > 0 ? memchr(pending->data, '\n', pending->len) : NULL;
        size_t len = end != NULL ? (size_t)(end - pending->data) : pending->len;
        if (end != NULL || (!more && len > 0) || len > LINE_MAX_BYTES) {
            line->len = 0;
            buf_append(line, pending->data, len);
            buf_u8(line, 0);
            line->len--;
            buf_consume(pending, len + (end != NULL));
            return OK;
        }
        if (!more) {
            return ERR_CLOSED;
        }
        if (!wait_readable(process->pipe, -1, until)) {
            return ERR_TIMEOUT;
        }
        more = read_more(process, pending);
    }
}

enum err process_capture(struct owner *owner, const struct process_options *options, int timeout_ms,
                         struct buf *out, int *status) {
    struct process_options piped = *options;
    struct process *process;
    piped.pipe = true;
    *status = -1;
    enum err err = process_start(owner, &piped, &process);
    if (err != OK) {
        return err;
    }
    int64_t until = process_now_ms() + timeout_ms;
    bool more = true;
    while (err == OK && more) {
        if (!wait_readable(process->pipe, -1, until)) {
            err = ERR_TIMEOUT;
        } else if (out->len > PROCESS_CAPTURE_MAX) {
            err = ERR_LIMIT;
        } else {
            more = read_more(process, out);
        }
    }
    if (err == OK) {
        int64_t left = until - process_now_ms();
        err = process_wait(process, left < 0 ? 0 : (int)left, status);
    }
    process_free(process);
    buf_u8(out, 0);
    out->len--;
    return err;
}
