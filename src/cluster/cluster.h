/* cluster.h - a network of real processes while it lives: its schedule, load, samples and checks.
 *
 *   spec -> cluster_new -> cluster_begin -> cluster_tick ... -> cluster_settle -> cluster_stop ->
 * report
 *
 * One thread, one loop: cluster_tick lets open questions go on, applies the events that are due,
 * begins searches and downloads, samples, and evaluates timed checks. The run's folder keeps what
 * outlives it:
 *
 *     cluster.json      which process owns it, where the nodes are, who was promoted (while
 *                       it runs)
 *     control.sock      `fault ...` and `stop` (while it runs)
 *     logs/NAME.log     what each node printed
 *     timeline.log      what was done to the network and what came of it
 *     merged.log        all of these by time
 *     nodes.csv searches.csv downloads.csv samples.csv traffic.csv liars.csv
 *     result.json report.html */
#ifndef TRUNKLINE_CLUSTER_CLUSTER_H
#define TRUNKLINE_CLUSTER_CLUSTER_H

#include <stdio.h>

#include "common/limits.h"
#include "common/rng.h"
#include "common/traffic.h"
#include "src/cluster/ask.h"
#include "src/cluster/corpus.h"
#include "src/cluster/localnet.h"
#include "src/cluster/spec.h"

#define CLUSTER_TROUBLE_BYTES 1024
#define CLUSTER_LOCK "trunkline-cluster.lock" /* marks a run's folder; held while it is owned */

enum cluster_state { CLUSTER_DOWN, CLUSTER_RUNNING, CLUSTER_FROZEN };

/* A peer's link to a supernode. */
struct up {
    uint32_t supernode;
    bool is_parent; /* it indexes the peer; else it stands by */
};

/* What is known of a node beside what localnet knows. */
struct member {
    struct localnet_node *node;
    enum cluster_state state;
    uint32_t group;      /* 0, or 1 on the other side of a split */
    bool is_asked;       /* a status question is open */
    bool is_leaving;     /* it was asked to stop ... */
    int64_t asked_ms;    /* ... then */
    bool is_registered;  /* peers: at least one parent indexes it */
    bool was_registered; /* since it was last started */
    bool is_elected;     /* peers: the supernode beside it runs */
    bool was_seen;       /* ... has been looked for since the peer was registered */
    uint32_t promotions; /* how often it has become one */
    int64_t role_ms;     /* since when; 0 = it has not changed since the peer was started */
    uint64_t parents;    /* registered ones */
    struct up up[PARENTS + 1];
    uint32_t up_count;
    uint64_t links; /* supernodes: neighbours */
    uint64_t leaves;
    uint64_t files;
    int64_t lost_ms; /* when it was last seen registered, while it is not */
    uint64_t memory; /* bytes resident, at the last sample */
    uint64_t share;  /* of it, what is its own, and its part of what several have */
    uint64_t memory_max;
    uint32_t descriptors;
    uint32_t descriptors_max;
    uint64_t cpu_ms;
    uint64_t bytes_in;
    uint64_t bytes_out;
    struct traffic_count traffic[TRAFFIC_TYPES]; /* sent by this process, when last asked */
};

/* Numbers whose order counts: latencies, gaps. */
struct series {
    double *values;
    uint32_t count;
    uint32_t room;
};

void series_add(struct series *series, double value);
/* The value that this share of them does not exceed; 0 without any. */
double series_quantile(struct series *series, double share);

/* A straight line through points. */
struct trend {
    double count, x, y, xx, xy; /* sums */
};

void trend_add(struct trend *trend, double x, double y);
double trend_slope(const struct trend *trend); /* 0 for fewer than two */

struct cluster_counts {
    uint64_t searches;
    uint64_t found;
    uint64_t search_errors;
    uint64_t downloads;
    uint64_t downloads_done;
    uint64_t downloads_bytes; /* of these */
    uint64_t downloads_failed;
    uint64_t downloads_wrong;
    uint64_t kills_fetching; /* of peers in the middle of a download */
    uint64_t crashes;
};

struct outcome {
    bool is_known;
    bool is_held;
    double value;
};

/* Many peers in one process. */
struct fleet {
    struct process *process; /* NULL = none */
    uint32_t registered;     /* of its peers, as it last said */
    bool is_searching;
    struct member member; /* what all of them together send and take */
};

/* Candidates that lie, in one process, and what they won in the epochs that count. */
struct liars {
    bool is_started;
    struct process *process; /* NULL = none, not yet, not any more */
    uint32_t epochs;
    double seat_shares; /* sum over these */
    double seat_share_max;
    uint64_t bytes;     /* measured by honest supernodes ... */
    uint64_t own_bytes; /* ... of liars */
};

struct cluster {
    struct spec spec;
    struct owner *owner;
    struct localnet net;
    struct corpus corpus;
    struct asker *asker;
    struct netns *netns; /* NULL = loopback */
    struct fleet fleet;
    struct liars liars;
    struct process *proxy; /* NULL without link faults */
    int proxy_control;     /* its control socket */
    struct rng rng;
    char *folder; /* of the run */
    int lock;     /* keeps others from the folder */
    int control;  /* socket, -1 = none */
    FILE *timeline;
    FILE *nodes_csv;
    FILE *searches_csv;
    FILE *downloads_csv;
    FILE *samples_csv;
    FILE *traffic_csv;
    FILE *liars_csv;
    struct traffic_count traffic[TRAFFIC_TYPES]; /* sent by all nodes */
    struct member *members;                      /* supernodes first */
    uint32_t member_count;
    int64_t start_ms; /* of the schedule */
    int64_t search_due_ms;
    int64_t download_due_ms;
    int64_t sample_due_ms;
    int64_t ended_ms;   /* how long it lasted */
    int64_t checked_ms; /* timed checks up to here have begun */
    uint32_t next_event;
    struct cluster_counts counts;
    struct series latencies;   /* ms */
    struct series gaps;        /* ms */
    struct series fetches;     /* ms */
    struct series agains;      /* ms that a peer could not search after it lost a parent */
    struct series agains_warm; /* ... and had another link */
    uint64_t memory_total_max;
    uint32_t descriptors_start; /* of all processes, when the schedule began */
    uint32_t role_flaps;
    int64_t exit_ms_max;       /* from `stop` to the end of a process */
    struct trend memory_trend; /* of the mean process, by hours */
    struct download *downloads;
    struct probe *probes;
    struct outcome outcomes[SPEC_CHECKS_MAX];
    uint32_t share_next; /* the member whose share of memory is looked at next */
    uint32_t sweeps;     /* that are under way */
    bool is_begun;       /* the schedule runs: rows are written */
    bool is_stopping;
    bool is_lacking;      /* an error: this machine or user cannot have namespaces */
    char upload_rate[24]; /* as an option */
    char trouble[CLUSTER_TROUBLE_BYTES];
};

/* Where the run of a network is: $XDG_STATE_HOME/trunkline/clusters/NAME. The caller frees it. */
char *cluster_folder(const char *name);

/* Make the run's folder, keys, network file and library; nothing runs yet. A folder of an earlier
 * run is emptied. `bin` holds the programs. ERR_BUSY when a cluster of that name runs. On an error
 * `trouble` tells, and cluster_free is called all the same. */
MUST_CHECK enum err cluster_new(struct cluster *cluster, const struct spec *spec, const char *bin,
                                const char *folder);

/* Start every node and wait until all are registered. `show` is called now and then. */
typedef void cluster_show_fn(void *context, const struct cluster *cluster);
MUST_CHECK enum err cluster_begin(struct cluster *cluster, cluster_show_fn *show, void *context);

/* Go on for about so long. */
void cluster_tick(struct cluster *cluster, int wait_ms);

/* Apply one event now. */
void cluster_apply(struct cluster *cluster, const struct spec_event *event);

/* Wait until no download is open, at most so long; then evaluate the checks that have no time. */
void cluster_settle(struct cluster *cluster, int timeout_ms);

/* Stop all nodes. Return how many did not end as they should. */
uint32_t cluster_stop(struct cluster *cluster);

/* Let go of everything but the run's folder; also after an error. */
void cluster_free(struct cluster *cluster);

/* Milliseconds since the schedule began. */
int64_t cluster_now(const struct cluster *cluster);

/* One line of the timeline. */
void cluster_note(struct cluster *cluster, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
