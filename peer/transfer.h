/* transfer.h - one link between two peers, on which either may ask for files of the other. */
#ifndef TRUNKLINE_PEER_TRANSFER_H
#define TRUNKLINE_PEER_TRANSFER_H

#include "common/links.h"

struct peer;
struct serving;
struct source;

struct transfer {
    struct link *link;
    struct serving *servings; /* what the other end has opened */
    struct source *sources;   /* what we have opened, or will when the link is open */
    struct timer timer;
    uint64_t used_us;      /* last message about a file */
    uint64_t stalled_us;   /* since when the other end does not read; 0 = it does */
    uint64_t page_next;    /* where the last page that it was shown ended, ... */
    uint32_t page_cursor;  /* ... at which place of the list, ... */
    uint32_t page_version; /* ... which was this one */
    uint32_t last_handle;
    uint32_t browses;      /* that wait for it, or for its answer */
    uint32_t asked_blocks; /* of us, not yet with the driver */
    uint32_t flight;       /* with the driver */
    uint32_t unasked;      /* blocks we did not ask for */
    uint32_t forgiven;     /* blocks that may still come though nobody waits for them */
    uint16_t serving_count;
    uint16_t hash_jobs;
    uint16_t retry_s; /* GOAWAY asked for it */
};

/* Return the link to a node, open or not, or NULL. */
struct transfer *transfer_find(const struct peer *peer, const struct node_id *id);

/* Dial a node for files, or call it back (`nonce` not NULL). */
struct transfer *transfer_dial(struct peer *peer, const struct node_id *id,
                               const struct address *address, const uint8_t nonce[16]);

/* Whether to welcome such a link. */
enum err transfer_admit(struct peer *peer, const struct link *link, struct goaway *goaway);

void transfer_opened(struct peer *peer, struct link *link);
void transfer_closed(struct peer *peer, struct link *link, enum err reason);
void transfer_flow(struct peer *peer, struct link *link);
enum err transfer_take_goaway(struct peer *peer, struct link *link, struct slice payload);
/* TIMER_TRANSFER. */
void transfer_timer(struct peer *peer, struct transfer *transfer);

/* Let go of everything on the link and close it. */
void transfer_close(struct peer *peer, struct transfer *transfer, enum goaway_reason reason,
                    enum err why);

#endif
