/* internal.h - what the files of the driver share: the host, its nodes, and how events reach them.
 *
 * A node is stepped from one place (node_run, node_bytes), never from inside a step: whatever
 * happens while actions are carried out is queued, and comes with the next turn of the loop. */
#ifndef TRUNKLINE_HOST_INTERNAL_H
#define TRUNKLINE_HOST_INTERNAL_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <net/if.h>
#include <openssl/ssl.h>

#include "common/map.h"
#include "common/node.h"
#include "common/rateplan.h"
#include "common/traffic.h"
#include "src/host/gate.h"
#include "src/host/handshakes.h"
#include "src/host/host.h"
#include "src/host/identity.h"
#include "src/host/workers.h"

struct child;
struct conn;
struct ending;
struct evdns_base;
struct library;
struct log_sink;
struct part_line;
struct queued;
struct watch;

struct heap_job {
    struct job job;
    void *piece; /* NULL = none */
};

struct host {
    struct event_base *base;
    struct log_sink *sink;
    struct log log;
    SSL_CTX *tls;
    struct workers *workers;
    struct heap_job heap; /* a piece of the heap on its way to a large page (heap.h) */
    struct watch *watch;  /* of shared folders; NULL = none to be had */
    struct packer *packer;
    uint8_t *bulk;          /* conn.c's, to read many records into; NULL until needed */
    struct evdns_base *dns; /* made when first needed */
    struct host_node *nodes;
    struct outbox outbox; /* of the step that is running */
    bool stepping;
    bool is_stopping;
    bool failed;
    bool has_parent; /* who asks it to stop, and ends it when that takes too long */
    struct event *signals[2];
    struct event *stop_timer;
    uint64_t stop_by_us;
    struct event *flush;   /* end of turn: what was written goes to the buffers */
    struct conn *dirty;    /* ... of these */
    struct event *heavy;   /* nothing else to do: the next of these is read */
    struct event *overdue; /* ... or that has waited too long while there was always something */
    struct conn *waiting_first;
    struct conn *waiting_last;
    struct event *trim;   /* links have come and gone: unused pages go back to the system */
    uint64_t trimmed_us;  /* when they last did */
    struct event *reap;   /* end of turn: frees */
    struct conn *dead;    /* ... these */
    struct conn *leaving; /* lingering after their node has forgotten them */
    int reserve_fd;       /* given up for a moment when descriptors run out */
    uint32_t conns;       /* sockets of links, pending ones included */
    uint32_t conns_max;   /* leaves descriptors for files */
    struct gate gate;     /* of those who dial us */
    struct handshakes handshakes;
    struct driver_counts counts;
    uint64_t accept_turn_us; /* when it began, and how many came in in it */
    uint32_t accepted_in_turn;
    uint32_t file_mode; /* of finished downloads: 0666 without the umask */
};

enum node_state { NODE_RUNNING, NODE_STOPPING, NODE_STOPPED };

/* The limits on a node's traffic, and the links that wait for them (flow.c). */
struct flow_line {
    struct conn *first;
    struct conn *last;
};
struct flow {
    struct rateplan plan;
    struct rates rates; /* in force */
    struct throttle throttle;
    struct flow_line lines[DIRECTIONS][TRAFFICS];
    struct event again;  /* when the next chunk may go */
    struct event minute; /* the plan is looked at */
    char text[RATE_TEXT_BYTES];
};

struct host_node {
    struct host *host;
    struct host_node *next;
    enum node_state state;
    struct node node;
    bool has_node;
    struct node_env env;
    struct traffic traffic;
    struct identity *identity;
    int lock_fd;
    char *state_dir;
    struct buf cert;
    struct event timer; /* the node's deadline, or now when something is queued */
    uint64_t timer_us;  /* when it is armed for; UINT64_MAX = not */
    struct queued *first;
    struct queued *last;

    /* Links. */
    struct address listen;
    struct address advertise;
    char interface[IFNAMSIZ]; /* that nothing may leave beside; "" = any */
    struct event *listener;   /* NULL = nobody may come */
    struct event listen_again;
    struct map links;   /* u32 -> struct conn that the node knows */
    struct conn *conns; /* all, pending and closing ones included */
    uint32_t last_link;
    struct flow flow;

    /* Files. */
    char *download_dir;
    int download_fd;  /* -1 = no downloads */
    int parts_fd;     /* its folder of unfinished files */
    struct map parts; /* u64 -> struct part */
    struct part_line *lines;
    struct ending *endings; /* finished files whose journals may not go yet */
    struct library *library;
    uint64_t write_backlog; /* bytes handed to workers, not yet written */
    bool is_behind;         /* too many: links are not read */
    uint32_t resolving;

    /* Commands. */
    struct map commands; /* u64 -> struct command */
    uint64_t last_command;

    struct child *child; /* a supernode beside it; NULL = none can be run */
};

/* Monotonic microseconds and Unix seconds. */
uint64_t clock_mono_us(void);
int64_t clock_wall_s(void);

/* Queue an event (times are filled in when it is delivered). `owned` (may be NULL) is mem_* memory
 * that event borrows from; it is freed afterwards. */
void node_queue(struct host_node *node, const struct node_event *event, void *owned);
/* Deliver what is queued, unless a step is running. Call at the end of a callback of the loop. */
void node_run(struct host_node *node);
/* Deliver borrowed bytes of a link at once; only from the loop, never from inside a step. */
void node_bytes(struct host_node *node, uint32_t link, struct slice data);

void drive_init(struct host_node *node);
/* Forget the timer and what is queued. */
void drive_free(struct host_node *node);

/* Shorthands for node_queue. */
void node_queue_link(struct host_node *node, enum node_event_kind kind, uint32_t link,
                     enum err reason);
void node_queue_dial_failed(struct host_node *node, uint32_t token, enum err reason,
                            uint16_t retry_after_s);

/* Carry out the actions of a step, in their order (actions.c). */
void actions_run(struct host_node *node, struct outbox *out);

/* The node has said ACTION_STOPPED, or must go now. */
void node_stopped(struct host_node *node);
/* A node has stopped: when it was the last one, the loop ends soon. */
void host_check_stopped(struct host *host);

/* A command's report, or the loss of the one who asked (commands.c). */
void command_report(struct host_node *node, const struct action *action, struct slice bytes);
/* Whoever still waits is told that the node is gone. */
void commands_end(struct host_node *node);

/* Look a host name up (resolve.c); NODE_RESOLVED follows. */
void resolve_name(struct host_node *node, uint32_t token, struct slice name);

/* Links come and go: give unused memory back once it is calm (trim.c). */
void trim_init(struct host *host);
void trim_soon(struct host *host);
void trim_free(struct host *host);

/* Begin and end to listen (listen.c). */
MUST_CHECK enum err listen_start(struct host_node *node, struct host_error *error);
void listen_stop(struct host_node *node);
/* The addresses to advertise: the one that was asked for, the one listened on, or this machine's
 * when that is a wildcard. */
uint32_t listen_addresses(const struct host_node *node, struct address to[ADDRESSES_MAX]);

#endif
