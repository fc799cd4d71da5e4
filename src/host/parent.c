/* parent.c - a program that another one runs: it ends with that, and reads its certificate again
 * when told to. */
#include "src/host/parent.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/mem.h"
#include "src/host/failure.h"
#include "src/host/internal.h"
#include "src/host/nodes.h"

#define ORPHAN_MS 800 /* to say goodbye; the one who started us is no more */
#define HUNG_S 1      /* then whatever keeps the loop from it ends, too */

struct parent_tie {
    struct host *host;
    int fd;
    struct event *closed;
    struct event *reload;
};

static void on_death(int number) {
    (void)number;
    alarm(HUNG_S); /* whose default is to end the process */
}

/* Nothing is ever written to it: readable means closed. */
static void on_closed(evutil_socket_t fd, short what, void *context) {
    struct parent_tie *tie = context;
    (void)fd;
    (void)what;
    log_info(&tie->host->log, "parent.gone");
    host_stop(tie->host);
    uint64_t soon_us = clock_mono_us() + ORPHAN_MS * 1000ull;
    if (soon_us < tie->host->stop_by_us) {
        tie->host->stop_by_us = soon_us;
    }
}

static void on_reload(evutil_socket_t number, short what, void *context) {
    const struct parent_tie *tie = context;
    (void)number;
    (void)what;
    for (struct host_node *node = tie->host->nodes; node != NULL; node = node->next) {
        node_reload_cert(node);
    }
}

struct parent_tie *parent_watch(struct host *host, int fd, struct host_error *error) {
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
        fail_errno(error, "--parent-fd", "is no open descriptor");
        return NULL;
    }
    struct parent_tie *tie = mem_new(sizeof *tie);
    tie->host = host;
    host->has_parent = true;
    tie->fd = fd;
    tie->closed = event_new(host->base, fd, EV_READ, on_closed, tie);
    tie->reload = evsignal_new(host->base, SIGHUP, on_reload, tie);
    if (tie->closed == NULL || tie->reload == NULL || event_add(tie->closed, NULL) != 0 ||
        event_add(tie->reload, NULL) != 0) {
        (void)fail(error, ERR_IO, "--parent-fd: the descriptor cannot be watched");
        parent_free(tie);
        return NULL;
    }
    struct sigaction dies = {.sa_handler = on_death, .sa_flags = SA_RESTART};
    sigemptyset(&dies.sa_mask);
    sigaction(SIGUSR2, &dies, NULL);
    prctl(PR_SET_PDEATHSIG, SIGUSR2);
    return tie;
}

void parent_free(struct parent_tie *tie) {
    if (tie == NULL) {
        return;
    }
    if (tie->closed != NULL) {
        event_free(tie->closed);
    }
    if (tie->reload != NULL) {
        event_free(tie->reload);
    }
    close(tie->fd);
    mem_free(tie);
}
