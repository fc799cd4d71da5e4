/* host.h - the libevent driver: real sockets, files, clocks and threads for nodes.
 *
 * One host is one event loop with one SSL_CTX, one worker pool and one resolver; it drives any
 * number of nodes (a fleet in one process), each with its own key, folder and listener. There are
 * no globals. */
#ifndef TRUNKLINE_HOST_HOST_H
#define TRUNKLINE_HOST_HOST_H

#include <event2/event.h>

#include "common/node.h"
#include "common/rateplan.h"

struct host;
struct host_node;

/* What went wrong, for people: what, and the remedy. */
struct host_error {
    enum err err;
    char text[512];
};

struct host_config {
    uint32_t workers; /* 0 = number of processors, at most 8 */
    enum log_level log_level;
    const char *log_file;      /* NULL = standard error */
    uint32_t handshakes_per_s; /* 0 = HANDSHAKES_PER_S */
    bool handle_signals; /* SIGTERM and SIGINT stop (a second one at once), SIGPIPE is ignored */
};

/* Start a host. NULL with *error set when OpenSSL is too old or the system refuses something. */
struct host *host_new(const struct host_config *config, struct host_error *error);

/* The supernode that a driver can run beside a peer, as its command line says it. */
struct child_config {
    const char *program; /* NULL = `supernode`, as installed */
    const char *network; /* the network's file; NULL = none is run */
    const char *listen;  /* ADDR:PORT; NULL = where the peer listens, any port */
    const char *advertise;
    const char *log; /* NULL = standard error */
    enum log_level log_level;
    const char *const *introducers; /* beside those of the network's file */
    uint32_t introducer_count;
};

/* Everything about one node that is not its logic. Strings are copied. */
struct host_node_config {
    const struct network *network;
    const char *state_dir;    /* key, store, cert; made 0700 when missing; locked with flock */
    const char *download_dir; /* NULL = no downloads (supernodes) */
    const char *const *share_dirs;
    const char *const *share_filters; /* beside them, as filter_new reads them; NULL = none */
    uint32_t share_count;
    struct address listen; /* where to listen, and the local address to dial from; port 0 = any */
    struct address advertise;      /* what others are told to dial; family 0 = where it listens */
    const char *interface;         /* that nothing may leave beside; NULL = any */
    bool no_listen;                /* dial only */
    const struct rateplan *limits; /* on traffic, copied; NULL = none */
    uint64_t seed;                 /* 0 = from the system */
    bool no_metadata;              /* of shared files: neither read nor told */
    const char *extract_program;   /* that reads it; NULL = as installed */
    struct child_config child;
    /* Make the node. `env` lives as long as it. */
    struct node (*make)(const struct node_env *env, const void *role_config);
    const void *role_config; /* borrowed until host_add returns */
};

/* Set `address` to the interface's first IPv4 address; its port stays. ERR_NOT_FOUND when there is
 * no such interface, or it is down or has none. */
enum err host_interface(const char *name, struct address *address, struct host_error *error);

/* Add and start a node: loads or makes its key (once, 0600; a damaged key is an error, never
 * replaced), opens the store, listens, scans shares. NULL with *error set. */
struct host_node *host_add(struct host *host, const struct host_node_config *config,
                           struct host_error *error);

const struct node_id *host_node_id(const struct host_node *node);
/* The address it listens on, with the real port. */
struct address host_node_address(const struct host_node *node);

/* Receives the reports of one command; called from the loop, never from inside host_command.
 * `fields` is for report_next. After `last` the command is over. */
typedef void host_report_fn(void *context, struct slice fields, bool last, enum err err);

/* A command, copied by host_command, and who hears of it. */
struct host_request {
    const char *name;
    const struct command_arg *args;
    uint32_t count;
    host_report_fn *report;
    void *context;
};

/* Hand a command to a node; return its id. */
uint64_t host_command(struct host_node *node, const struct host_request *request);
/* Whoever asked has gone: no more reports come for this id. */
void host_command_gone(struct host_node *node, uint64_t id);

/* Share one more folder from now on (not remembered here), or stop sharing it. */
MUST_CHECK enum err host_share_add(struct host_node *node, const char *folder, const char *filter,
                                   struct host_error *error);
MUST_CHECK enum err host_share_remove(struct host_node *node, const char *folder);

/* The limits on its traffic, and what holds of them now; replaced at once by host_limit. */
const struct rateplan *host_limits(const struct host_node *node);
struct rates host_rates(const struct host_node *node);
void host_limit(struct host_node *node, const struct rateplan *plan);

/* What is counted of all its nodes together. */
const struct driver_counts *host_counts(const struct host *host);

/* What the last scan left out. */
struct share_left {
    uint32_t unfit;    /* names the wire cannot carry, files too large or too many, folders that
                          cannot be read */
    uint32_t filtered; /* files and folders that a filter leaves out */
    uint32_t private;  /* ... that look like keys, mail or the like */
};
struct share_left host_share_left(const struct host_node *node);

/* The loop, for control sockets and the like. */
struct event_base *host_base(struct host *host);

/* Run until every node has stopped. Return 0, or 1 after a failure that ended it. */
int host_run(struct host *host);

/* Begin to stop every node (as SIGTERM does); host_run returns within 10 s. */
void host_stop(struct host *host);

void host_free(struct host *host);

#endif
