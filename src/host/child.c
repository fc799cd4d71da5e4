/* child.c - the supernode that a peer runs beside itself: a process of its own, watched.
 *
 *     none -> running -> leaving -> none              asked for, then asked to end
 *             running -> none                         it has done with it: nobody wants it any more
 *             running -> waiting -> running           it crashed: later once more
 *
 * It is started from the loop's thread. One timer serves all states: to ask how it does, to start
 * it again, to end one that does not leave. Its downloads and uploads are none of ours: whatever
 * happens to it, the peer goes on. */
#include "src/host/child.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/mem.h"
#include "src/host/certfile.h"
#include "src/host/child_status.h"
#include "src/host/failure.h"
#include "src/host/places.h"

#define CHILD_PROGRAM "supernode"
#define CHILD_DIR "supernode"
#define PARENT_FD 3         /* where the child finds its end of the pair */
#define LOOK_MS 3000        /* between two questions how it does ... */
#define LOOK_SOON_MS 200    /* ... until it first answers */
#define LEAVE_MS 10000      /* to hand over and say goodbye */
#define REAP_MS 10          /* after its end is closed, until it can be waited for */
#define AGAIN_MS_MIN 1000   /* until it is started once more; doubled ... */
#define AGAIN_MS_MAX 300000 /* ... up to this */
#define STEADY_MS 60000     /* one that ran for so long is started at once again */
#define CHILD_INTRODUCERS_MAX 16
#define WORDS_MAX (20 + 2 * CHILD_INTRODUCERS_MAX)

enum child_state { CHILD_NONE, CHILD_RUNNING, CHILD_LEAVING, CHILD_WAITING };

#define CHILD_CONFIG "supernode.ini" /* of its own options, below [supernode] */

struct child {
    struct host_node *node;
    char *dir;
    char *program; /* NULL until found */
    char *network;
    char *listen; /* NULL = where the peer listens, any port */
    char *advertise;
    char *log;
    char *config; /* in its folder, if there is one: that of other supernodes is not its own */
    char *introducers[CHILD_INTRODUCERS_MAX];
    uint32_t introducer_count;
    enum log_level log_level;

    enum child_state state;
    pid_t pid;
    int tie; /* our end of the pair */
    struct event *ended;
    struct event *timer;
    struct child_status *asking; /* NULL = nothing is asked now */
    bool is_closed;              /* its end of the pair: it will be gone in a moment */
    uint64_t leave_by_us;        /* CHILD_LEAVING */
    bool has_answered;
    bool must_reload; /* as soon as it can hear of that */
    uint64_t started_us;
    uint64_t again_ms;
    struct child_report report; /* the last one */
    struct address listening;   /* kept for the next start */
};

/* ---- Telling ---- */

static void tell(struct child *child, enum supernode_state state, enum err reason) {
    struct node_event event = {.kind = NODE_SUPERNODE};
    event.supernode.state = (uint8_t)state;
    event.supernode.reason = reason;
    event.supernode.address = child->report.address;
    event.supernode.is_certified = child->report.is_certified;
    event.supernode.leaves = child->report.leaves;
    event.supernode.bytes_in = child->report.bytes_in;
    event.supernode.bytes_out = child->report.bytes_out;
    event.supernode.cpu_ms = child->report.cpu_ms;
    node_queue(child->node, &event, NULL);
}

static void arm(struct child *child, uint64_t ms) {
    struct timeval wait = {.tv_sec = (time_t)(ms / 1000),
                           .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
    event_add(child->timer, &wait);
}

/* ---- Starting ---- */

/* The words of its command line; texts that are made for it are in `room`. */
static uint32_t fill_words(const struct child *child, char *words[WORDS_MAX],
                           char room[ADDRESS_TEXT_BYTES]) {
    uint32_t count = 0;
    struct address listen = child->node->listen;
    listen.port = 0;
    if (child->listening.port != 0 && child->listen == NULL) {
        listen.port = child->listening.port; /* where others have known it */
    }
    address_format(room, &listen);
    const char *const pairs[][2] = {
        {"--dir", child->dir},
        {"--network", child->network},
        {"--listen", child->listen != NULL ? child->listen : room},
        {"--advertise", child->advertise},
        {"--interface", child->node->interface[0] != '\0' ? child->node->interface : NULL},
        {"--config", access(child->config, F_OK) == 0 ? child->config : "/dev/null"},
        {"--log", child->log},
    };
    words[count++] = child->program;
    words[count++] = (char *)(uintptr_t) "run";
    words[count++] = (char *)(uintptr_t) "--parent-fd=3";
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (pairs[i][1] != NULL) {
            words[count++] = (char *)(uintptr_t)pairs[i][0];
            words[count++] = (char *)(uintptr_t)pairs[i][1];
        }
    }
    for (uint32_t i = 0; i < child->introducer_count; i++) {
        words[count++] = (char *)(uintptr_t) "--introducer";
        words[count++] = child->introducers[i];
    }
    if (child->log_level != LOG_LEVEL_INFO) {
        words[count++] =
            (char *)(uintptr_t)(child->log_level == LOG_LEVEL_DEBUG ? "--verbose" : "--quiet");
    }
    words[count] = NULL;
    return count;
}

static int spawn(struct child *child, int end) {
    extern char **environ;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    char *words[WORDS_MAX];
    char room[ADDRESS_TEXT_BYTES];
    fill_words(child, words, room);
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&actions, end, PARENT_FD);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    int error = posix_spawn(&child->pid, child->program, &actions, &attributes, words, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

static void on_ended(evutil_socket_t fd, short what, void *context);

/* It could not be started, or has ended by itself: once more, later. */
static void fail_child(struct child *child, enum err reason) {
    bool was_steady =
        child->state == CHILD_RUNNING && clock_mono_us() - child->started_us >= STEADY_MS * 1000ull;
    child->again_ms = child->again_ms == 0 || was_steady ? AGAIN_MS_MIN : child->again_ms * 2;
    child->again_ms = child->again_ms < AGAIN_MS_MAX ? child->again_ms : AGAIN_MS_MAX;
    child->state = CHILD_WAITING;
    if (!child->has_answered) {
        child->listening.port = 0; /* it may be another's by now */
    }
    child->has_answered = false;
    log_warn(&child->node->host->log, "child.failed reason=%s again_ms=%llu", err_name(reason),
             (unsigned long long)child->again_ms);
    tell(child, SUPERNODE_FAILED, reason);
    arm(child, child->again_ms);
}

static void start_process(struct child *child) {
    int ends[2];
    struct host *host = child->node->host;
    child->report = (struct child_report){0};
    child->program = child->program != NULL ? child->program : places_program(CHILD_PROGRAM);
    if (child->program == NULL) {
        log_warn(&host->log,
                 "child.none program=" CHILD_PROGRAM " remedy=\"install it beside the peer\"");
        fail_child(child, ERR_NOT_FOUND);
        return;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        fail_child(child, ERR_LIMIT);
        return;
    }
    int error = spawn(child, ends[1]);
    close(ends[1]);
    if (error != 0) {
        close(ends[0]);
        fail_child(child, failure_of(error));
        return;
    }
    child->tie = ends[0];
    child->ended = event_new(host->base, child->tie, EV_READ, on_ended, child);
    event_add(child->ended, NULL);
    child->state = CHILD_RUNNING;
    child->is_closed = false;
    child->has_answered = false;
    child->must_reload = false;
    child->started_us = clock_mono_us();
    log_info(&host->log, "child.started pid=%d", (int)child->pid);
    tell(child, SUPERNODE_STARTED, OK);
    arm(child, LOOK_SOON_MS);
}

/* ---- Its end ---- */

static void forget_process(struct child *child) {
    child_status_free(child->asking);
    child->asking = NULL;
    if (child->ended != NULL) {
        event_free(child->ended);
        child->ended = NULL;
        close(child->tie);
    }
    event_del(child->timer);
    child->pid = 0;
}

static void process_ended(struct child *child, int status, const struct rusage *usage) {
    bool is_over = child->state == CHILD_LEAVING || (WIFEXITED(status) && WEXITSTATUS(status) == 0);
    child->report.cpu_ms = (uint64_t)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000 +
                           (uint64_t)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1000;
    child->report.leaves = 0;
    log_info(&child->node->host->log, "child.ended pid=%d %s=%d", (int)child->pid,
             WIFSIGNALED(status) ? "signal" : "status",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    forget_process(child);
    if (is_over) { /* as asked, or since the network wants it no more */
        child->state = CHILD_NONE;
        child->again_ms = 0;
        tell(child, SUPERNODE_STOPPED, OK);
        host_check_stopped(child->node->host);
    } else {
        fail_child(child, ERR_CLOSED);
    }
}

/* True when it is gone. */
static bool reap(struct child *child, int flags) {
    int status = 0;
    struct rusage usage = {0};
    if (wait4(child->pid, &status, flags, &usage) == 0) {
        return false;
    }
    process_ended(child, status, &usage);
    return true;
}

/* Its end of the pair is closed: it is gone, or as good as that. */
static void on_ended(evutil_socket_t fd, short what, void *context) {
    struct child *child = context;
    struct host_node *node = child->node;
    (void)fd;
    (void)what;
    child->is_closed = true;
    if (!reap(child, WNOHANG)) {
        arm(child, REAP_MS);
    }
    node_run(node);
}

/* ---- How it does ---- */

static void on_status(void *context, const struct child_report *report) {
    struct child *child = context;
    child->asking = NULL;
    if (report != NULL && child->state == CHILD_RUNNING) {
        child->report = *report;
        child->report.cpu_ms = child_status_cpu_ms(child->pid);
        child->listening = report->address;
        child->has_answered = true;
        if (child->must_reload) {
            child->must_reload = false;
            kill(child->pid, SIGHUP);
        }
        tell(child, SUPERNODE_READY, OK);
        node_run(child->node);
    }
}

static void look(struct child *child) {
    if (child->asking == NULL) {
        child->asking = child_status_ask(child->node->host->base, child->dir, on_status, child);
    }
    arm(child, child->has_answered ? LOOK_MS : LOOK_SOON_MS);
}

/* What is due now that it is not gone. */
static void go_on(struct child *child) {
    bool is_late = child->state == CHILD_LEAVING && clock_mono_us() >= child->leave_by_us;
    if (is_late) {
        log_warn(&child->node->host->log, "child.killed pid=%d reason=timeout", (int)child->pid);
        kill(child->pid, SIGKILL);
        child->leave_by_us = UINT64_MAX; /* all has been done */
    }
    if (child->state == CHILD_WAITING) {
        start_process(child);
    } else if (child->state == CHILD_LEAVING || child->is_closed) {
        arm(child, REAP_MS);
    } else if (child->state == CHILD_RUNNING) {
        look(child);
    }
}

static void on_timer(evutil_socket_t fd, short what, void *context) {
    struct child *child = context;
    struct host_node *node = child->node;
    (void)fd;
    (void)what;
    if (child->pid == 0 || !reap(child, WNOHANG)) {
        go_on(child);
    }
    node_run(node);
}

/* ---- What the node asks for ---- */

/* The supernode's key; NULL where none is run (the peer stays one that is being prepared), and
 * after a line in the log. */
static struct identity *child_identity(struct host_node *node) {
    struct host_error error = {0};
    struct identity *identity = NULL;
    if (node->child != NULL) {
        identity = identity_open(node->child->dir, IDENTITY_LOAD_OR_MAKE, &error);
        if (identity == NULL) {
            log_warn(&node->host->log, "child.no_key reason=\"%s\"", error.text);
        }
    }
    return identity;
}

void child_name(struct host_node *node) {
    struct identity *identity = child_identity(node);
    struct node_event event = {.kind = NODE_SUPERNODE};
    if (identity != NULL) {
        event.supernode.state = SUPERNODE_NAMED;
        event.supernode.id = *identity_id(identity);
        node_queue(node, &event, NULL);
        identity_free(identity);
    }
}

void child_sign(struct host_node *node, uint8_t record_type, struct slice body) {
    struct identity *identity = child_identity(node);
    struct node_event event = {.kind = NODE_SUPERNODE};
    if (identity != NULL) {
        struct signed_bytes bytes = {&node->env.network->id, record_type, body};
        event.supernode.state = SUPERNODE_SIGNED;
        event.supernode.id = *identity_id(identity);
        crypto_sign(identity_crypto(identity), &bytes, event.supernode.signature);
        node_queue(node, &event, NULL);
        identity_free(identity);
    }
}

void child_start(struct host_node *node, struct slice cert) {
    struct child *child = node->child;
    if (child == NULL || node->state != NODE_RUNNING) {
        return;
    }
    char path[PATH_MAX];
    struct host_error error = {0};
    snprintf(path, sizeof path, "%s/%s", child->dir, CERTFILE_NAME);
    if (certfile_write(path, cert, &error) != OK) {
        log_warn(&node->host->log, "child.no_cert reason=\"%s\"", error.text);
    }
    if (child->state == CHILD_NONE) {
        start_process(child);
    } else if (child->state == CHILD_RUNNING && child->has_answered) {
        kill(child->pid, SIGHUP); /* it reads the certificate again */
    } else {
        child->must_reload = true;
    }
}

void child_stop(struct host_node *node) {
    struct child *child = node->child;
    if (child == NULL || child->state == CHILD_LEAVING) {
        return;
    }
    if (child->state == CHILD_RUNNING) {
        child->state = CHILD_LEAVING;
        child->leave_by_us = clock_mono_us() + LEAVE_MS * 1000ull;
        kill(child->pid, SIGTERM);
        arm(child, LEAVE_MS);
        return;
    }
    event_del(child->timer);
    child->state = CHILD_NONE;
    child->again_ms = 0;
    tell(child, SUPERNODE_STOPPED, OK);
}

bool child_lives(const struct host_node *node) {
    return node->child != NULL && node->child->pid > 0;
}

void child_kill(struct host_node *node) {
    if (child_lives(node)) {
        struct child *child = node->child;
        child->state = CHILD_LEAVING;
        kill(child->pid, SIGKILL);
        reap(child, 0);
    }
}

/* ---- Life ---- */

static char *copy(const char *text) {
    return text != NULL ? mem_string(text) : NULL;
}

struct child *child_new(struct host_node *node, const struct child_config *config) {
    if (config->network == NULL) {
        return NULL;
    }
    struct child *child = mem_new(sizeof *child);
    size_t size = strlen(node->state_dir) + sizeof "/" CHILD_DIR;
    child->node = node;
    child->dir = mem_new(size);
    snprintf(child->dir, size, "%s/" CHILD_DIR, node->state_dir);
    size_t config_size = size + sizeof "/" CHILD_CONFIG;
    child->config = mem_new(config_size);
    snprintf(child->config, config_size, "%s/" CHILD_CONFIG, child->dir);
    child->program = copy(config->program);
    child->network = copy(config->network);
    child->listen = copy(config->listen);
    child->advertise = copy(config->advertise);
    child->log = copy(config->log);
    child->log_level = config->log_level;
    for (uint32_t i = 0; i < config->introducer_count && i < CHILD_INTRODUCERS_MAX; i++) {
        child->introducers[child->introducer_count++] = copy(config->introducers[i]);
    }
    child->timer = evtimer_new(node->host->base, on_timer, child);
    return child;
}

void child_free(struct child *child) {
    if (child == NULL) {
        return;
    }
    child_kill(child->node);
    event_free(child->timer);
    for (uint32_t i = 0; i < child->introducer_count; i++) {
        mem_free(child->introducers[i]);
    }
    mem_free(child->config);
    mem_free(child->dir);
    mem_free(child->program);
    mem_free(child->network);
    mem_free(child->listen);
    mem_free(child->advertise);
    mem_free(child->log);
    mem_free(child);
}
