/* sim.h - the virtual-time driver: many machines, one network, one disk each, one 64-bit seed.
 *
 * It drives the same node code as the libevent driver, through common/node.h, and holds every node
 * to the contract. Time moves only from event to event, so an hour of a quiet network costs
 * nothing; the same seed gives the same run, byte for byte, whatever compiler built it. Functions
 * below are called between runs or from a callback; none of them steps a node at once. */
#ifndef TRUNKLINE_SIM_SIM_H
#define TRUNKLINE_SIM_SIM_H

#include "common/node.h"

struct sim;

/* What happened to one message as it was handed to a link, inflated. */
struct sim_message {
    uint32_t from; /* machine numbers */
    uint32_t to;
    uint32_t link;
    uint8_t type;
    struct slice payload; /* borrowed; a QUERY's body is still compressed */
};

/* Where a run reports to. Every function may be NULL. */
struct sim_watch {
    void *context;
    /* One line per fact, without a line feed, when `trace` is set. */
    void (*line)(void *context, const char *line);
    /* Answer to a command; `fields` is for report_next. */
    void (*report)(void *context, uint64_t command, struct slice fields, const struct action *how);
    void (*message)(void *context, const struct sim_message *message);
    /* A link is gone for both its ends. */
    void (*link_gone)(void *context, uint32_t link);
    /* A download was verified as a whole and renamed. */
    void (*finished)(void *context, uint32_t machine, const struct content_id *content);
};

struct sim_config {
    uint64_t seed;
    const struct network *network; /* sealed with sim_crypto() before the first sim_start */
    enum log_level log_level;      /* of the lines that nodes log */
    bool trace;                    /* hand out lines at all */
    struct sim_watch watch;
};

/* What may go wrong, each in parts per million of the occasions named. All zero is a good day. */
struct sim_faults {
    uint32_t latency_us_max; /* one way, between two machines; 0 = 40 ms */
    uint32_t jitter_us_max;  /* added to each segment, order is kept */
    uint32_t reset_ppm;      /* of segments written: the link breaks */
    uint32_t split_ppm;      /* of segments: they arrive in two reads */
    uint32_t dial_ppm;       /* of dials: no answer */
    uint32_t disk_ppm;       /* of disk jobs: they fail */
    uint32_t rot_ppm;        /* of blocks read to be sent: one bit is wrong */
};

/* Return an empty world at time 0; `network` may be filled after this call. */
struct sim *sim_new(const struct sim_config *config);
void sim_free(struct sim *sim);

/* The stand-in for OpenSSL, see sim_crypto.c: signs for the machine that acts, or for the one set
 * with sim_sign_as. Good for making certificates before the first machine starts. */
const struct crypto *sim_crypto(struct sim *sim);
void sim_sign_as(struct sim *sim, uint32_t machine);

/* Id, address and host name of a machine, also of one that is not there yet. */
struct node_id sim_node_id(const struct sim *sim, uint32_t machine);
struct address sim_address(uint32_t machine);
/* The machine that would have this address, or UINT32_MAX. */
uint32_t sim_machine_at(const struct address *address);
#define SIM_NAME_BYTES 24
void sim_host_name(char name[SIM_NAME_BYTES], uint32_t machine);

struct sim_machine_config {
    /* Make its node; called at every start. */
    struct node (*make)(const struct node_env *env, void *context);
    void *context;
    bool cannot_listen;          /* behind a NAT: dials only */
    uint32_t uplink_bytes_per_s; /* 0 = 12,500,000 */
    struct slice cert;           /* copied */
};

/* Add a machine (off at first) and return its number; numbers count from 0. */
uint32_t sim_add(struct sim *sim, const struct sim_machine_config *config);

/* Start its node now. */
void sim_start(struct sim *sim, uint32_t machine);

enum sim_crash {
    SIM_KILL, /* the process ends, the other ends of its links are told */
    SIM_POWER /* the machine falls silent; disk writes that were not synced may be lost */
};
/* Memory is lost, what was durable is kept. */
void sim_crash(struct sim *sim, uint32_t machine, enum sim_crash how);

/* Let its process hang until then: the kernel goes on taking bytes for it, the node sees nothing,
 * then everything at once. */
void sim_freeze(struct sim *sim, uint32_t machine, uint64_t until_us);
bool sim_is_frozen(const struct sim *sim, uint32_t machine);

/* Ask it to stop politely (NODE_SHUTDOWN). */
void sim_shutdown(struct sim *sim, uint32_t machine);

bool sim_is_up(const struct sim *sim, uint32_t machine);

/* Give a machine that is off an empty disk: its store, part files and shared files are gone. */
void sim_wipe(struct sim *sim, uint32_t machine);

/* Machines in different groups cannot hear each other; all are in group 0 at first. */
void sim_set_group(struct sim *sim, uint32_t machine, uint32_t group);

/* Move a machine's wall clock; its monotonic clock goes on. */
void sim_set_wall_offset(struct sim *sim, uint32_t machine, int64_t seconds);
/* True time in Unix seconds: what a machine's wall clock shows without its offset. */
int64_t sim_wall_s(const struct sim *sim);

void sim_set_faults(struct sim *sim, const struct sim_faults *faults);

/* Run until virtual time `until_us`, or until a safety check failed. */
void sim_run(struct sim *sim, uint64_t until_us);
uint64_t sim_now_us(const struct sim *sim);

/* A draw of the world's dice, for scenarios. */
uint64_t sim_below(struct sim *sim, uint64_t bound);

/* ---- Files: named by number, their bytes follow from (seed, number) ---- */

/* Make a file of `size` bytes known to the world; return its number, from 0. */
uint32_t sim_file_add(struct sim *sim, uint64_t size);
const struct content_id *sim_file_content(const struct sim *sim, uint32_t file);
/* The number of the file with this content, or UINT32_MAX. */
uint32_t sim_file_of(const struct sim *sim, const struct content_id *content);

/* A machine has this file in its shared folder, from now on and at every start. */
void sim_share(struct sim *sim, uint32_t machine, uint32_t file, const char *name);
/* A lie: its node shares this file, but the bytes on the disk are others. */
void sim_share_false(struct sim *sim, uint32_t machine, uint32_t file, const char *name);
/* So many of a machine's blocks, in parts per million, are sent with a wrong bit; the second says
 * how many were. */
void sim_spoil(struct sim *sim, uint32_t machine, uint32_t ppm);
uint32_t sim_spoilt(const struct sim *sim, uint32_t machine);
/* It is gone from the folder. */
void sim_unshare(struct sim *sim, uint32_t machine, uint32_t file);
/* True when the machine shares it or has finished it. */
bool sim_has_file(const struct sim *sim, uint32_t machine, uint32_t file);

/* ---- Asking and watching ---- */

/* Hand a command to a node; answers come through watch.report. Return its id. */
uint64_t sim_command(struct sim *sim, uint32_t machine, const char *name,
                     const struct command_arg *args, uint32_t count);

/* What was counted so far. */
struct sim_counts {
    uint64_t events;     /* steps of nodes */
    uint64_t messages;   /* written to links */
    uint64_t bytes;      /* of them, uncompressed */
    uint64_t links;      /* that came up */
    uint64_t resets;     /* links broken by faults and crashes */
    uint64_t hard_caps;  /* links closed for LINK_OUTPUT_HARD */
    uint64_t rotten;     /* blocks sent with a wrong bit */
    uint64_t finished;   /* downloads */
    uint32_t links_open; /* now */
};
struct sim_counts sim_counts(const struct sim *sim);

/* Hash of everything that happened: steps with their times, and decoded messages. */
struct hash sim_trace_hash(const struct sim *sim);

/* Note that a safety check failed (the first one is kept) and stop the run. */
void sim_fail(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The failed check with its virtual time, or NULL. */
const char *sim_failure(const struct sim *sim);

#endif
