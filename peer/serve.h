/* serve.h - gives blocks and hashes of our files to whoever opens them, a few at a time. */
#ifndef TRUNKLINE_PEER_SERVE_H
#define TRUNKLINE_PEER_SERVE_H

#include "common/map.h"
#include "common/ratelimit.h"
#include "common/timers.h"
#include "common/wire.h"
#include "peer/transfer.h"

/* Blocks asked for and not yet sent. */
struct block_range {
    struct block_range *next;
    uint32_t first;
    uint32_t count;
};

/* A file that the other end of a link has opened. */
struct serving {
    struct serving *next; /* of the same link */
    struct transfer *transfer;
    struct serving *behind; /* in the queue for a slot */
    struct block_range *asked;
    struct block_range *asked_last;
    struct content_id content;
    uint32_t handle;   /* drawn by the other end */
    uint32_t serial;   /* never used again */
    uint64_t used_us;  /* last request or block */
    uint64_t queue_us; /* since when it waits for a slot; 0 = it does not */
    uint64_t have_us;  /* last HAVE */
    uint64_t served;   /* bytes sent */
    uint64_t turn_us;  /* since when it has its slot ... */
    uint64_t turn_bytes;
    uint64_t told_us;     /* last PLACE; 0 = none since it is in the queue ... */
    uint64_t told_due_us; /* ... and when its turn was expected then */
    uint32_t flight;      /* blocks with the driver */
    uint32_t slot;        /* which one, when it has_slot */
    uint16_t told_position;
    bool has_slot;
    bool is_offered; /* it has a slot and was told so: it has not asked for anything yet */
    bool is_ending;  /* its turn is over: once the flight has landed, the rest is put off */
    bool is_small;
    bool is_part; /* told a bitmap */
};

struct serve {
    struct map servings; /* serial -> struct serving */
    struct map hash_jobs;
    struct serving **slots; /* upload_slots places, NULL = free */
    struct serving *queue;
    uint64_t turns_us[2]; /* how long a turn takes, averaged: long, small; 0 = none has ended */
    uint64_t looked_us;
    struct timer timer;
    struct ratelimit pace;
    struct ratelimit proofs; /* hashes looked at to prove others */
    uint64_t bytes;          /* handed to links */
    uint64_t last_job;
    uint32_t slots_used;
    uint32_t turn;
    uint32_t last_serial;
};

/* ---- serve.c ---- */

enum err serve_take_open(struct peer *peer, struct link *link, struct slice payload);
enum err serve_take_shut(struct peer *peer, struct link *link, struct slice payload);
enum err serve_take_block_request(struct peer *peer, struct link *link, struct slice payload);
void serve_block_sent(struct peer *peer, const struct node_event *event);
void serve_block_failed(struct peer *peer, const struct node_event *event);

/* Hand on what can go now. */
void serve_more(struct peer *peer);
/* TIMER_SERVE. */
void serve_timer(struct peer *peer);
/* Nothing more goes to this link. */
void serve_link_gone(struct peer *peer, struct transfer *transfer);
/* More of a file is there: tell those who have opened it. */
void serve_grown(struct peer *peer, const struct content_id *content);
void serve_free(struct peer *peer);

/* How many slots are in use, and how many wait. */
uint32_t serve_uploads(const struct peer *peer);
uint32_t serve_queued(const struct peer *peer);

/* For serve_hashes.c and audit.c. */
struct serve *serve_of(struct peer *peer);
enum reject_reason serve_reason(enum err err);
struct serving *serve_find(const struct transfer *transfer, uint32_t handle);
/* Put off or refuse the blocks that a serving waits for. */
void serve_refuse(struct serving *serving, const struct reject *why);
void serve_reject(struct link *link, const struct reject *reject);

/* ---- slots.c ---- */

/* Give a slot, or say in *reject why not now. */
bool slots_ask(struct peer *peer, struct serving *serving, struct reject *reject);
/* It has no slot and no place in the queue any more. */
void slots_leave(struct peer *peer, struct serving *serving);
/* Blocks have landed: its turn may be over. */
void slots_sent(struct peer *peer, struct serving *serving);
/* Give free slots to those who wait, and tell everybody whose place has changed. */
void slots_offer(struct peer *peer);
/* Once a second: turns, offers and idle slots that end. */
void slots_look(struct peer *peer);
/* How many slots are free for a file of any size. */
uint32_t slots_free(const struct peer *peer);

/* ---- serve_hashes.c ---- */

enum err serve_take_hashes_request(struct peer *peer, struct link *link, struct slice payload);
/* Have a piece read to answer a supernode's request within it. */
void serve_audit_hashes(struct peer *peer, struct link *link, const struct content_id *content,
                        const struct hashes_request *request);
/* The driver's answer to ACTION_FILE_HASH, or its failure. */
void serve_hashed(struct peer *peer, const struct node_event *event);
void serve_hashes_free(struct peer *peer);

#endif
