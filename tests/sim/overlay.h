/* overlay.h - a whole overlay in a simulated world: who is in it, what they share, what was asked.
 */
#ifndef TRUNKLINE_TESTS_SIM_OVERLAY_H
#define TRUNKLINE_TESTS_SIM_OVERLAY_H

#include "peer/peer.h"
#include "src/sim/sim.h"
#include "supernode/supernode.h"

#define SECOND_US 1000000ull
#define REQUESTS_MAX 4096
#define PUBLISHED_MAX 512
#define PUBLISHED_HOLDERS 4

struct checks;

struct overlay_config {
    uint64_t seed;
    uint32_t supernodes; /* machines 0 .. supernodes - 1; machine 0 is the anchor */
    uint32_t peers;      /* the machines after them */
    bool has_files;
    bool trace;
    uint32_t leaves_max; /* 0 = the default */
};

/* A file somebody shares, and how the healing phase got on with it. */
struct published {
    uint32_t file;
    uint32_t holders[PUBLISHED_HOLDERS]; /* machines */
    uint32_t holder_count;
    uint32_t asker; /* the machine that looks for it after healing */
    uint32_t request;
};

enum request_kind { REQUEST_SEARCH, REQUEST_GET, REQUEST_STATUS };

/* One command and what came back. */
struct request {
    enum request_kind kind;
    uint32_t machine;
    uint32_t published; /* index, for searches and gets */
    bool is_lost;       /* the node that was asked has crashed since */
    bool is_answered;
    bool is_owed;    /* a download that was begun and has to go on after the crash */
    bool is_hit;     /* a search gave the wanted content */
    uint64_t linked; /* a status: how many parents or neighbours */
    enum err err;
    uint64_t asked_us;
    uint64_t queued_us; /* a download was begun; 0 = not yet */
    uint64_t answered_us;
};

struct overlay {
    struct overlay_config config;
    struct sim *sim;
    uint32_t machines;
    struct network network;
    struct peer_config peer_config;
    struct supernode_config supernode_config;
    struct published published[PUBLISHED_MAX];
    uint32_t published_count;
    struct request requests[REQUESTS_MAX]; /* by command id; 0 is not used */
    uint32_t request_count;
    struct checks *checks;
    void (*saw_message)(void *context, const struct sim_message *message); /* may be NULL */
    void *context;                                                         /* its */
};

/* Build the world: network, certificates, machines, files. Nothing runs yet. */
void overlay_begin(struct overlay *overlay, const struct overlay_config *config);
void overlay_end(struct overlay *overlay);

/* One more peer, off at first; return its machine. */
uint32_t overlay_add_peer(struct overlay *overlay);

uint32_t overlay_machines(const struct overlay *overlay);

/* Start, or crash, noting what becomes of requests. */
void overlay_start_all(struct overlay *overlay);
void overlay_crash(struct overlay *overlay, uint32_t machine, enum sim_crash how);
void overlay_shutdown(struct overlay *overlay, uint32_t machine);

/* Ask a live peer; return the request's number, or 0 when the table is full. */
uint32_t overlay_search(struct overlay *overlay, uint32_t machine, uint32_t published);
uint32_t overlay_get(struct overlay *overlay, uint32_t machine, uint32_t published);
uint32_t overlay_status(struct overlay *overlay, uint32_t machine);

/* A live peer drawn by the world's dice that does not have this file and could fetch it;
 * UINT32_MAX when there is none. */
uint32_t overlay_random_asker(struct overlay *overlay, uint32_t published);

/* True for the peers that nobody can dial. */
bool overlay_is_hidden(uint32_t machine);

/* The two phases. `faults` off makes the first a quiet one. */
void chaos_run(struct overlay *overlay, uint64_t until_us);
/* Put everything right, wait, then look for every file and fetch it: sim_fail when one is not
 * found or fetched in time. */
void healing_run(struct overlay *overlay);

#endif
