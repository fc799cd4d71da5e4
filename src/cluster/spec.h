/* spec.h - a network as data: what `lab cluster` starts, breaks and checks, read from an INI file.
 *
 *     [network]            [library]           [load]               [schedule]
 *     name = campus        files = 20          searches = 5/s       10s = kill supernode 2
 *     supernodes = 10      copies = 2          downloads = 1/s      40s = start supernode 2
 *     peers = 200          sizes = 1K..64K
 *     duration = 60s                           [checks]
 *     seed = 1                                 recall at 60s = 0.99
 *
 *     [election]           where supernodes are elected among the peers 0 to consenting - 1
 *     policy = reputation
 *     epoch = 10s
 *     dwell = 60s
 *     consenting = 60 */
#ifndef TRUNKLINE_CLUSTER_SPEC_H
#define TRUNKLINE_CLUSTER_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

#define SPEC_NODES_MAX 254 /* of both roles: addresses 127.x.y.1 to .254 */
#define SPEC_EVENTS_MAX 1024
#define SPEC_CHECKS_MAX 64
#define SPEC_FLEET_MAX 5000 /* peers of one process; descriptors are the limit */
#define SPEC_LIARS_MAX 1000
#define SPEC_FLEET_FILES_MAX 1000
#define SPEC_RATE_MILLI_MAX (1000 * 1000) /* 1000/s */
#define SPEC_LOSS_ALL 100000              /* 100 % */
#define SPEC_NAME_BYTES 33
#define SPEC_TEXT_BYTES 96
#define SPEC_TROUBLE_BYTES 320

enum spec_verb {
    SPEC_KILL,   /* SIGKILL */
    SPEC_STOP,   /* SIGTERM, as a person would */
    SPEC_FREEZE, /* SIGSTOP */
    SPEC_THAW,   /* SIGCONT */
    SPEC_START,  /* again, with its old state */
    SPEC_LINK,   /* change what the links to these nodes are like */
    SPEC_SPLIT,  /* nothing passes between these nodes and the others */
    SPEC_HEAL,   /* they are with the others again */
    SPEC_VERBS
};

/* Which nodes: numbers of one role, or a share of it drawn with the run's dice, or all. */
struct spec_targets {
    bool supernodes;
    bool peers;
    bool elected;   /* only peers whose supernode runs */
    bool parents;   /* only supernodes that index a peer */
    bool fetchers;  /* only peers in the middle of a download */
    uint32_t first; /* with `last`, when percent is 0 */
    uint32_t last;
    uint32_t percent; /* 1 to 100 of those that the verb can be applied to */
};

/* What a link is like. All zero = as loopback is. */
struct spec_link {
    uint32_t latency_ms; /* added, each way */
    uint32_t jitter_ms;  /* at most so much more */
    uint64_t rate;       /* bytes per second and direction; 0 = unlimited */
    uint32_t slice;      /* bytes per piece that is passed on; 0 = as they come */
    uint32_t reset_ms;   /* each connection is reset when it is so old; 0 = never */
    uint32_t close_ms;   /* an end is passed on so much later */
    bool black_hole;     /* passes nothing on, ends neither, until it is cleared */
    uint32_t loss;       /* of SPEC_LOSS_ALL packets; only with `is_netns` */
};

struct spec_event {
    uint64_t at_ms;
    enum spec_verb verb;
    struct spec_targets targets;
    struct spec_link link;
    char text[SPEC_TEXT_BYTES]; /* as it was written */
};

/* How supernodes are elected. */
struct spec_election {
    char policy[16]; /* "" = those of the network are all there are */
    uint64_t epoch_ms;
    uint64_t dwell_ms;
    uint64_t measure; /* bytes of one stream */
    uint32_t minimum;
    uint32_t consenting; /* peers that would be supernodes: the first ones */
    uint64_t line_min;   /* bytes per second that these can send, evenly by logarithm ... */
    uint64_t line_max;   /* ... up to this; 0 = unlimited */
};

/* Candidates that lie about themselves, in one process. */
struct spec_liars {
    uint32_t identities;
    uint64_t rate;    /* bytes per second of the line that they share */
    uint64_t join_ms; /* when they come */
    uint64_t from_ms; /* since when epochs count */
};

enum spec_measure {
    SPEC_RECALL,            /* share of the wanted files that a sweep of searches finds */
    SPEC_REGISTERED,        /* share of the running peers that have a registered parent */
    SPEC_SEARCH_P99,        /* milliseconds */
    SPEC_AGAIN_P99,         /* milliseconds until a peer that lost a parent finds something */
    SPEC_AGAIN_WARM_P99,    /* ... and had another link */
    SPEC_GAP_P99,           /* milliseconds that a running peer was without a parent */
    SPEC_MEMORY,            /* bytes resident, the largest process at its worst */
    SPEC_MEMORY_TOTAL,      /* bytes, all processes together, what they share counted once */
    SPEC_DOWNLOADS_FAILED,  /* downloads that ended with an error or did not end */
    SPEC_DOWNLOADS_DONE,    /* at least so many */
    SPEC_KILLS_FETCHING,    /* at least so many, of peers in the middle of a download */
    SPEC_OVERHEAD,          /* blocks sent beyond what was fetched, as a share of it */
    SPEC_DESCRIPTORS,       /* the most that one process had open */
    SPEC_DESCRIPTORS_GROWN, /* all processes together: at the end, less those at the start */
    SPEC_MEMORY_SLOPE,      /* bytes per hour that a process grows by, on average */
    SPEC_DOWNLOAD_P99,      /* milliseconds from the search to the file */
    SPEC_SUPERNODES,        /* that run and are certified, at least ... */
    SPEC_SUPERNODES_MOST,   /* ... and at most */
    SPEC_ROLE_FLAPS,        /* changes of one peer's role sooner than the dwell time allows */
    SPEC_EXIT,              /* milliseconds from `stop` to the end of the slowest process */
    SPEC_LIAR_SEATS,        /* mean share of the elected seats that liars have, at least */
    SPEC_LIAR_BANDWIDTH,    /* share of the measured bandwidth that is theirs, at most */
    SPEC_LIAR_RATIO,        /* that as a multiple of their share of the bandwidth, at most */
    SPEC_MEASURES
};

struct spec_check {
    enum spec_measure measure;
    bool is_timed;
    uint64_t at_ms; /* when it is timed; else at the end */
    double bound;
    char text[SPEC_TEXT_BYTES];
};

struct spec {
    char name[SPEC_NAME_BYTES];
    uint32_t supernodes;
    uint32_t peers;
    uint64_t duration_ms;
    uint64_t settle_ms; /* at most so long until it is whole at the start */
    uint64_t sample_ms;
    uint64_t seed;
    uint32_t files; /* of each peer */
    uint32_t copies;
    uint64_t size_min;
    uint64_t size_max;
    char *names;             /* file with a name per line; NULL = those of /usr/share/doc */
    uint64_t load_until_ms;  /* then no search or download begins; 0 = the end */
    uint32_t load_first;     /* peers that search and fetch ... */
    uint32_t load_last;      /* ... to this one; 0 = all */
    uint64_t search_milli;   /* searches per second in all, thousandths */
    uint64_t download_milli; /* downloads begun per second in all, thousandths */
    uint64_t upload_rate;    /* bytes per second of each peer; 0 = unlimited */
    uint32_t fleet_peers;    /* more peers, in one process */
    uint32_t fleet_files;    /* of each */
    uint64_t fleet_search_milli;
    uint32_t leaves; /* that a supernode takes; 0 = its own default, or enough for all */
    struct spec_link link;
    bool is_netns; /* each node has a network namespace of its own */
    struct spec_election election;
    struct spec_liars liars;
    bool has_faults; /* some link is ever other than loopback */
    bool has_delays; /* ... in a way that only the proxy can */
    bool has_loss;   /* ... in a way that only namespaces can */
    uint32_t event_count;
    struct spec_event events[SPEC_EVENTS_MAX]; /* by time */
    uint32_t check_count;
    struct spec_check checks[SPEC_CHECKS_MAX];
};

/* What a measure is called in a file, and whether its bound is the least or the most allowed. */
struct spec_measure_row {
    const char *name;
    bool is_least;
};
extern const struct spec_measure_row spec_measures[SPEC_MEASURES];

/* True for 1 to 32 letters, digits, `-`, `_` and `.`, not beginning with `-` or `.`: what a cluster
 * may be called, for it names a folder. */
bool spec_name_ok(const char *name);

/* Read a file. ERR_NOT_FOUND or ERR_PERMISSION when it cannot be opened, ERR_CONFIG with what is
 * wrong in `trouble`, and where. */
MUST_CHECK enum err spec_read(struct spec *spec, const char *path,
                              char trouble[SPEC_TROUBLE_BYTES]);

/* Take a number of peers of its fleet; false when it is none. */
bool spec_take_fleet(struct spec *spec, const char *peers);

void spec_free(struct spec *spec);

/* The smaller of two rates where 0 means that there is none. */
uint64_t spec_slower(uint64_t a, uint64_t b);

/* Read what stands after `AT =` in a schedule: `kill supernode 2`, `freeze peers 10%`, `link all
 * latency=50ms rate=1M`. ERR_CONFIG with the reason. */
MUST_CHECK enum err spec_event_read(struct spec_event *event, const struct spec *spec,
                                    const char *text, char trouble[SPEC_TROUBLE_BYTES]);

#endif
