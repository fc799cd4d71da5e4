/* world.h - what the files of src/sim share: machines, links, pending events. */
#ifndef TRUNKLINE_SIM_WORLD_H
#define TRUNKLINE_SIM_WORLD_H

#include "common/map.h"
#include "common/pack.h"
#include "common/rng.h"
#include "common/timers.h"
#include "src/sim/sim.h"

struct machine;
struct disk;
struct post;
struct sim_file;

/* Kinds of timers in the world's heap. */
enum wake { WAKE_NODE, WAKE_POST, WAKE_ROUTE, WAKE_DIAL, WAKE_KINDS };

/* One machine with at most one node on it. Kept small: a thousand idle ones are a test. */
struct machine {
    struct sim *sim;
    uint32_t number;
    uint32_t life;  /* rises with every start: what was pending before is void */
    uint32_t group; /* of the partition it is in */
    uint32_t uplink_bytes_per_s;
    uint32_t spoil_ppm; /* of the blocks it sends: one bit is wrong */
    uint32_t spoilt;
    bool is_up;
    bool is_dark;    /* lost power: nobody is told */
    bool is_stopped; /* ACTION_STOPPED in the current step */
    bool cannot_listen;
    int32_t wall_offset_s;
    uint32_t same_time_steps; /* steps since time moved, to find a node that spins */
    uint64_t boot_us;         /* its monotonic clock is now + boot_us */
    uint64_t uplink_free_us;  /* when the last byte written so far has left */
    uint64_t disk_free_us;    /* when the last disk job is done */
    uint64_t stepped_us;
    uint64_t frozen_until_us;
    struct node node;
    struct node_env env;
    struct timer wake; /* the node's deadline */
    struct disk *disk; /* NULL until it shares or fetches something */
    struct node (*make)(const struct node_env *env, void *context);
    void *context;
};

/* Bytes on their way, or one of the two marks. */
struct segment {
    struct segment *next;
    uint64_t due_us;
    uint32_t charge;     /* uncompressed bytes, what bandwidth and queues count */
    uint8_t kind;        /* enum segment_kind */
    uint32_t last_frame; /* where the last frame starts: the place to split */
    uint32_t len;
    uint8_t bytes[];
};
enum segment_kind { SEGMENT_BYTES, SEGMENT_UP, SEGMENT_FIN };

enum end_state { END_WAITING, END_UP, END_CLOSED, END_DOWN };

/* One end of a link and the route from it to the other end. */
struct route {
    struct timer timer; /* when the first segment arrives */
    struct segment *head;
    struct segment *tail;
    struct machine *machine; /* whose end this is */
    uint32_t life;
    uint32_t undelivered; /* charged bytes on the route */
    uint8_t state;        /* enum end_state of this end */
    uint8_t side;         /* 0 = the side that dialled */
    bool is_stalled;      /* told so */
    bool read_stopped;    /* this end takes nothing for now */
    uint32_t blocked_s;   /* seconds in which a partition held the first segment */
    uint64_t last_us;     /* arrival of the last segment: order is kept */
};

struct sim_link {
    uint32_t number;
    uint32_t token; /* of the dial, for the dialling side's NODE_LINK_UP */
    bool is_broken; /* both ends have been told or will be */
    struct route ends[2];
};

/* Something that will happen to one machine. `run` (may be NULL) does the driver's part and says
 * whether the node is to hear of it. */
struct post {
    struct timer timer;
    struct machine *machine;
    uint32_t life;
    bool (*run)(struct sim *sim, struct post *post);
    struct action job; /* what the node asked for, when that matters */
    struct node_event event;
    struct buf bytes; /* whatever the event borrows */
    struct command_arg args[COMMAND_ARGS_MAX];
};

struct sim {
    struct sim_config config;
    struct sim_faults faults;
    struct sim_counts counts;
    uint64_t now_us;
    struct rng rng;
    struct timers timers;
    struct outbox outbox;
    struct packer *packer;       /* the nodes' */
    struct packer *trace_packer; /* the world's own, so that no node's borrowed bytes move */
    struct crypto crypto;
    struct log log;
    struct machine *acting; /* who signs and logs */
    uint32_t signer;
    struct machine **machines;
    uint32_t machine_count;
    uint32_t machine_cap;
    struct map links; /* u32 -> struct sim_link */
    uint32_t last_link;
    uint64_t last_command;
    struct sim_file *files;
    uint32_t file_count;
    uint32_t file_cap;
    struct map contents; /* content key -> struct sim_file number + 1 as a pointer */
    struct hash trace;
    char failure[256];
};

/* ---- sim.c ---- */
/* Hand one event to a machine's node (nothing when it is off) and carry out what it asks. */
void sim_step(struct sim *sim, struct machine *machine, struct node_event *event);
/* True when a machine hangs: the timer is set to when it will not. */
bool sim_defer(struct sim *sim, const struct machine *machine, struct timer *timer);
/* A new post for a machine's present life; send it with post_at. */
struct post *post_new(struct machine *machine, enum node_event_kind kind);
void post_at(struct sim *sim, struct post *post, uint64_t due_us);
/* True with a chance of `ppm` parts per million; draws nothing when it is 0. */
bool sim_chance(struct sim *sim, uint32_t ppm);

/* ---- sim_net.c ---- */
void sim_net_dial(struct sim *sim, struct machine *machine, struct action *action);
void sim_net_write(struct sim *sim, struct machine *machine, struct action *action);
/* Append file bytes and their header to a link; false when the link is gone. */
bool sim_net_send(struct sim *sim, struct machine *machine, uint32_t link, struct slice bytes);
void sim_net_read(struct sim *sim, struct machine *machine, struct action *action);
void sim_net_close(struct sim *sim, struct machine *machine, struct action *action);
void sim_net_resolve(struct sim *sim, struct machine *machine, struct action *action);
void sim_net_crashed(struct sim *sim, struct machine *machine);
void sim_net_wake_route(struct sim *sim, struct timer *timer);
void sim_net_wake_dial(struct sim *sim, struct timer *timer);
/* Free a dial or a link that is still pending when the world ends. */
void sim_net_free(struct sim *sim);
void sim_net_free_dial(struct timer *timer);

/* ---- sim_files.c ---- */
void sim_files_job(struct sim *sim, struct machine *machine, struct action *action);
void sim_files_started(struct sim *sim, struct machine *machine);
void sim_files_crashed(struct sim *sim, struct machine *machine, enum sim_crash how);
void sim_files_free_machine(struct machine *machine);
void sim_files_free(struct sim *sim);

/* ---- sim_store.c ---- */
/* A store on the machine's disk: what is written is durable one group commit later. */
struct store *sim_store_new(struct machine *machine);
/* What was written long enough ago is durable: drop what an undo would need. */
void sim_store_commit(struct store *store);
/* Everything written so far is durable: drops what an undo would need. */
void sim_store_settle(struct store *store);
void sim_store_crashed(struct sim *sim, struct store *store);

/* ---- sim_crypto.c ---- */
void sim_crypto_init(struct sim *sim);

/* ---- sim_trace.c ---- */
/* Take note of bytes handed to a link; return their uncompressed size and where the last frame
 * starts. */
uint32_t sim_trace_sent(struct sim *sim, const struct sim_message *where, struct slice bytes,
                        uint32_t *last_frame);
void sim_trace_step(struct sim *sim, const struct machine *machine, enum node_event_kind kind);
void sim_trace_line(struct sim *sim, const struct machine *machine, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
