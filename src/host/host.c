/* host.c - one event loop for any number of nodes: start, run, stop politely, stop at once. */
#include "src/host/host.h"

#include <event2/dns.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/check.h"
#include "common/mem.h"
#include "common/pack.h"
#include "src/host/child.h"
#include "src/host/conn.h"
#include "src/host/crypto.h"
#include "src/host/failure.h"
#include "src/host/files.h"
#include "src/host/library.h"
#include "src/host/logsink.h"
#include "src/host/nodes.h"
#include "src/host/watch.h"

#define STOP_CAP_MS 9000 /* then what has not stopped is cut off: host_run promises 10 s */
#define POLL_MS 10       /* while the last jobs and links end */
#define LEAVING_MS 1000
#define WORKERS_MAX 9
#define RESERVED_FDS_MIN 64

/* ---- Stopping ---- */

/* Everything of a node that could still make events has ended. */
static bool is_quiet(const struct host *host) {
    for (const struct host_node *node = host->nodes; node != NULL; node = node->next) {
        if (node->state != NODE_STOPPED || node->conns != NULL || child_lives(node)) {
            return false;
        }
    }
    return workers_pending(host->workers) == 0 && host->leaving == NULL && host->dead == NULL;
}

static void cut_off(struct host *host) {
    for (struct host_node *node = host->nodes; node != NULL; node = node->next) {
        if (node->state != NODE_STOPPED) {
            log_warn(&host->log, "host.cut_off reason=timeout");
            node_stopped(node);
        }
        conns_drop(node);
        child_kill(node);
    }
}

static void on_stop_timer(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    struct host *host = context;
    uint64_t now_us = clock_mono_us();
    if (now_us >= host->stop_by_us) {
        cut_off(host);
        event_base_loopbreak(host->base);
    } else if (is_quiet(host)) {
        event_base_loopbreak(host->base);
    } else {
        struct timeval wait = {.tv_usec = POLL_MS * 1000};
        event_add(host->stop_timer, &wait);
    }
}

void host_stop(struct host *host) {
    if (host->is_stopping) {
        return;
    }
    host->is_stopping = true;
    host->stop_by_us = clock_mono_us() + STOP_CAP_MS * 1000ull;
    workers_stop(host->workers); /* long hashing gives up */
    for (struct host_node *node = host->nodes; node != NULL; node = node->next) {
        node_shut_down(node);
    }
    struct timeval now = {0};
    event_add(host->stop_timer, &now);
}

static void on_signal(evutil_socket_t number, short what, void *context) {
    (void)what;
    struct host *host = context;
    log_info(&host->log, "host.signal number=%d", (int)number);
    if (host->has_parent && (number == SIGINT || host->is_stopping)) {
        return; /* Ctrl-C is for all processes of a terminal: the parent passes it on */
    }
    if (host->is_stopping) { /* asked twice: at once */
        host->failed = true;
        event_base_loopbreak(host->base);
    }
    host_stop(host);
}

/* ---- Starting ---- */

static void ignore_sigpipe(void) {
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigemptyset(&ignore.sa_mask);
    sigaction(SIGPIPE, &ignore, NULL);
}

/* Take all descriptors the system gives, and leave some of them to files. */
static void set_limits(struct host *host) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        limit.rlim_cur = 256;
    } else if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            getrlimit(RLIMIT_NOFILE, &limit);
        }
    }
    uint32_t fds = limit.rlim_cur > 1u << 20 ? 1u << 20 : (uint32_t)limit.rlim_cur;
    uint32_t reserved = fds / 20 > RESERVED_FDS_MIN ? fds / 20 : RESERVED_FDS_MIN;
    host->conns_max = fds > 2 * reserved ? fds - reserved : fds / 2;
    host->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    mode_t mask = umask(077);
    umask(mask);
    host->file_mode = 0666 & ~mask;
}

static bool watch_signals(struct host *host) {
    static const int numbers[] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        host->signals[i] = evsignal_new(host->base, numbers[i], on_signal, host);
        if (host->signals[i] == NULL || event_add(host->signals[i], NULL) != 0) {
            return false;
        }
    }
    return true;
}

/* One to hash on every processor, and the one that slow jobs never take. */
static uint32_t worker_count(uint32_t wanted) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t count = wanted > 0 ? wanted : (uint32_t)(processors > 0 ? processors : 1) + 1;
    return count > WORKERS_MAX ? WORKERS_MAX : count;
}

struct host *host_new(const struct host_config *config, struct host_error *error) {
    ignore_sigpipe();
    struct host *host = mem_new(sizeof *host);
    host->reserve_fd = -1;
    host->sink = log_sink_new(config->log_file, error);
    host->tls = host->sink != NULL ? tls_context_new(error) : NULL;
    if (host->tls == NULL) {
        host_free(host);
        return NULL;
    }
    host->log = log_sink_log(host->sink, config->log_level);
    set_limits(host);
    host->base = event_base_new();
    host->packer = packer_new();
    uint64_t seed = 0;
    crypto_keyless()->fill_random(NULL, &seed, sizeof seed);
    gate_init(&host->gate, config->handshakes_per_s, seed, &host->counts);
    if (host->base != NULL) {
        conns_init(host);
        host->stop_timer = evtimer_new(host->base, on_stop_timer, host);
        host->workers = workers_new(host->base, worker_count(config->workers));
        host->watch = watch_new(host->base, &host->log, library_watched, host);
    }
    if (host->workers == NULL || host->stop_timer == NULL ||
        (config->handle_signals && !watch_signals(host))) {
        fail_errno(error, "the event loop", "cannot be started");
        host_free(host);
        return NULL;
    }
    return host;
}

const struct driver_counts *host_counts(const struct host *host) {
    return &host->counts;
}

struct event_base *host_base(struct host *host) {
    return host->base;
}

/* ---- Running ---- */

static bool has_children(const struct host *host) {
    const struct host_node *node = host->nodes;
    while (node != NULL && !child_lives(node)) {
        node = node->next;
    }
    return node != NULL;
}

static bool all_stopped(const struct host *host) {
    const struct host_node *node = host->nodes;
    while (node != NULL && node->state == NODE_STOPPED) {
        node = node->next;
    }
    return node == NULL;
}

void host_check_stopped(struct host *host) {
    if (all_stopped(host)) {
        host_stop(host);
        uint64_t soon_us = clock_mono_us() + LEAVING_MS * 1000ull;
        bool has_jobs = workers_pending(host->workers) > 0 || has_children(host);
        if (!has_jobs && soon_us < host->stop_by_us) {
            host->stop_by_us = soon_us; /* nobody is left but links that say goodbye */
        }
    }
}

int host_run(struct host *host) {
    if (host->nodes == NULL || !all_stopped(host)) {
        event_base_dispatch(host->base);
    }
    cut_off(host);
    return host->failed ? 1 : 0;
}

void host_free(struct host *host) {
    if (host == NULL) {
        return;
    }
    for (struct host_node *node = host->nodes; node != NULL; node = node->next) {
        node_release(node);
    }
    workers_free(host->workers); /* completes every job */
    if (host->dns != NULL) {
        evdns_base_free(host->dns, 1);
        event_base_loop(host->base, EVLOOP_NONBLOCK); /* cancelled lookups free themselves */
    }
    if (host->base != NULL) {
        conns_free(host);
    }
    while (host->nodes != NULL) {
        struct host_node *node = host->nodes;
        host->nodes = node->next;
        node_delete(node);
    }
    watch_free(host->watch);
    for (size_t i = 0; i < sizeof host->signals / sizeof *host->signals; i++) {
        if (host->signals[i] != NULL) {
            event_free(host->signals[i]);
        }
    }
    if (host->stop_timer != NULL) {
        event_free(host->stop_timer);
    }
    if (host->base != NULL) {
        event_base_free(host->base);
    }
    packer_free(host->packer);
    gate_free(&host->gate);
    mem_free(host->bulk);
    outbox_free(&host->outbox);
    SSL_CTX_free(host->tls);
    log_sink_free(host->sink);
    if (host->reserve_fd >= 0) {
        close(host->reserve_fd);
    }
    mem_free(host);
}
