/* election.h - how supernodes choose supernodes: evidence, measuring, decisions, votes. Only the
 * files of supernode/ include it. */
#ifndef TRUNKLINE_SUPERNODE_ELECTION_H
#define TRUNKLINE_SUPERNODE_ELECTION_H

#include "common/decide.h"
#include "common/links.h"
#include "common/trust.h"

struct supernode;
struct neighbour;
struct leaf;

/* ---- evidence.c: records pass by difference ---- */

void evidence_init(struct supernode *supernode);
void evidence_free(struct supernode *supernode);
void evidence_timer(struct supernode *supernode);
/* Read what was kept; forget there what has been forgotten here. */
void evidence_load(struct supernode *supernode);
void evidence_sweep(struct supernode *supernode);
/* Tell a neighbour all that we have. */
void evidence_tell_all(struct supernode *supernode, struct neighbour *neighbour);
void evidence_closed(struct neighbour *neighbour);
/* Take a record of our own making, and tell everybody. */
enum err evidence_add(struct supernode *supernode, uint8_t type, struct slice bytes);
enum err evidence_take_have(struct supernode *supernode, struct link *link, struct slice payload);
enum err evidence_take_want(struct supernode *supernode, struct link *link, struct slice payload);
enum err evidence_take_row(struct supernode *supernode, struct link *link, struct slice payload);
enum err evidence_take_checkpoint(struct supernode *supernode, struct link *link,
                                  struct slice payload);
enum err evidence_take_members(struct supernode *supernode, struct link *link,
                               struct slice payload);
enum err evidence_take_cert(struct supernode *supernode, struct link *link, struct slice payload);
enum err evidence_take_fraud(struct supernode *supernode, struct link *link, struct slice payload);
enum err evidence_take_candidacy(struct supernode *supernode, struct link *link,
                                 struct slice payload);

/* ---- measure.c: what candidates deliver at once ---- */

void measure_init(struct supernode *supernode);
void measure_free(struct supernode *supernode);
/* Dial the candidates that are drawn to us. */
void measure_dial(struct supernode *supernode);
/* A candidate is reached. */
void measure_opened(struct supernode *supernode, struct link *link);
/* Ask all of them for their stream now. */
void measure_begin(struct supernode *supernode, uint32_t window_ms);
enum err measure_take(struct supernode *supernode, struct link *link, struct slice payload);
enum err measure_take_files(struct supernode *supernode, struct link *link, struct slice payload);
enum err measure_take_hashes(struct supernode *supernode, struct link *link, struct slice payload);
enum err measure_take_reject(struct supernode *supernode, struct link *link, struct slice payload);
enum err measure_take_block(struct supernode *supernode, struct link *link, struct slice payload);
void measure_closed(struct link *link);
/* Fill in the entries of our row; return the bytes that they stand for. */
uint64_t measure_row(struct supernode *supernode, struct row_record *row);
/* How many of these were blocks of files. */
uint64_t measure_by_blocks(const struct supernode *supernode);
/* Close what is left. */
void measure_end(struct supernode *supernode);

/* ---- election.c: the epoch's calendar ---- */

enum election_phase {
    PHASE_BEGIN,
    PHASE_DIAL,
    PHASE_MEASURE,
    PHASE_ROW,
    PHASE_TELL,
    PHASE_CHECKPOINT,
    PHASE_DECIDE, /* at the latest */
    PHASES
};

/* A checkpoint in the making: an anchor works out what the evidence comes to, slice by slice. */
struct fixing {
    uint32_t epoch;
    struct node_id *members; /* sorted; NULL = none is being made */
    uint32_t count;
    struct list_root sum;
};

struct election {
    struct timer timer;
    int64_t wall_offset_us; /* wall clock less mono clock, as well as it is known */
    bool has_offset;
    uint32_t epoch;    /* that the calendar is in */
    uint8_t phase;     /* next one of it */
    uint32_t last_row; /* epoch of our last row, 0 = none */
    uint32_t last_checkpoint;
    bool checkpoint_waits;
    struct fixing fixing;
    uint8_t previous[ROW_PREVIOUS_BYTES]; /* start of that row's hash */
    struct buf said;                      /* what is sent once it is durable that we say it */
    struct buf said_members;
    uint8_t said_type;
    uint64_t said_token;
    struct decide decide;
    bool is_deciding;
    bool is_summing;      /* first: whether we have what the anchor fixed, */
    bool decides_anyway;  /* or be it as it may */
    struct list_root sum; /* what our evidence comes to ... */
    uint64_t summed;      /* ... as of so many changes of it */
    bool is_demoted;      /* and ends with the epoch */
    bool is_voting;       /* it is decided, and we sign, slice by slice: */
    uint32_t vote_at;     /* the next row of the decision */
    bool is_unsure;       /* our evidence is not quite the one that the anchor fixed */
    uint32_t decided;     /* epoch of the checkpoint that was last decided under */
    struct buf cert;      /* our own, encoded, when it came by election */
};

void election_init(struct supernode *supernode);
void election_free(struct supernode *supernode);
void election_start(struct supernode *supernode);
/* True where supernodes are elected. Elsewhere nothing of this file is done, said or heard. */
bool election_is_on(const struct supernode *supernode);
/* Every step: the time. */
void election_tick(struct supernode *supernode);
/* TIMER_ELECTION. */
void election_timer(struct supernode *supernode);
/* NODE_STORED. */
void election_stored(struct supernode *supernode, uint64_t token);
/* Records have come: perhaps all that is decided about is here now. False while that is looked at:
 * what comes meanwhile is to be told again. */
bool election_recheck(struct supernode *supernode);
/* A record is new. */
void election_noted(struct supernode *supernode, const struct trust_record *record);
enum err election_take_candidacy(struct supernode *supernode, struct link *link,
                                 struct slice payload);
enum err election_take_why(struct supernode *supernode, struct link *link, struct slice payload);
/* What is known of the last decision on a node; texts borrow from constants. */
void election_why(const struct supernode *supernode, const struct node_id *id,
                  struct decision *decision);
/* Our own certificate as it is now. */
struct slice election_cert(const struct supernode *supernode);

#endif
