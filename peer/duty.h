/* duty.h - a peer that would be a supernode, too: says so, lets itself be measured, and has its
 * driver run one while it is certified and within what its user gives for that.
 *
 *   consent -> NAME -> NAMED -> CANDIDACY, every epoch -> measured -> CERT -> START ... STOP
 *
 * The supernode is a process of its own with a key of its own. A signed candidacy names that key,
 * which makes it the delegation as well. */
#ifndef TRUNKLINE_PEER_DUTY_H
#define TRUNKLINE_PEER_DUTY_H

#include "common/links.h"

struct peer;
struct peer_config;

enum duty_child {
    DUTY_CHILD_NONE,
    DUTY_CHILD_STARTING, /* also between a crash and the next try */
    DUTY_CHILD_READY,
    DUTY_CHILD_LEAVING
};

/* Why nothing more is given for now. */
enum duty_rest { DUTY_REST_NONE, DUTY_REST_DAY, DUTY_REST_RATE };

/* What it has cost on one day (UTC). */
struct duty_day {
    uint64_t day;            /* Unix seconds / 86,400 */
    uint64_t bytes_in;       /* of the supernode */
    uint64_t bytes_out;      /* of the supernode */
    uint64_t cpu_ms;         /* of the supernode */
    uint64_t measured_bytes; /* sent to be measured */
    uint32_t measurements;
    uint32_t leaves_most; /* at a time */
    uint64_t leaf_s;      /* seconds for which it had a leaf, of all leaves together */
    uint32_t failures;    /* of its process */
};

/* How it does now, as last heard. */
struct duty_heard {
    uint64_t at_us;
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t cpu_ms;
    uint32_t leaves;
};

struct judge;
struct measures;

struct duty {
    bool consents;
    bool is_remembered; /* by command ... */
    bool is_configured; /* ... or at every start, by the configuration */
    bool is_named;
    uint64_t rate;      /* bytes a second that its user gives */
    uint64_t day_bytes; /* bytes a day */
    struct node_id id;  /* the supernode's */

    struct timer timer;
    struct buf candidacy;   /* the last one */
    uint32_t epoch;         /* of it */
    struct node_id sponsor; /* the parent that it is for */
    bool is_signed;         /* by the supernode's key and ours */
    bool is_durable;        /* it may be shown: a restart in this epoch will find it */
    uint32_t sessions;
    uint64_t sessions_s; /* of those before this one, together */

    struct buf cert;
    int64_t until_s;     /* when it ends */
    uint32_t void_until; /* epoch; certificates of those before it do not count: it was demoted */
    uint8_t child;       /* enum duty_child */
    bool is_certified;   /* as the supernode itself says: it may have heard of a renewal */
    struct address address;
    struct duty_heard heard;
    uint64_t window_us; /* since when ... */
    uint64_t window_bytes;

    struct judge *judge;

    uint8_t rest; /* enum duty_rest */
    int64_t rest_until_s;
    struct duty_day today;
    uint64_t saved_us;         /* when that was last written down */
    struct measures *measures; /* NULL until it is measured */
};

/* ---- duty.c ---- */

/* Read what is remembered, and what the configuration says. */
void duty_configure(struct peer *peer, const struct peer_config *config);
void duty_start(struct peer *peer);
void duty_stop(struct peer *peer);
void duty_free(struct peer *peer);

/* Change what the user gives; kept. */
void duty_consent(struct peer *peer, uint64_t rate, uint64_t day_bytes);
void duty_withdraw(struct peer *peer);

/* TIMER_DUTY; NODE_SUPERNODE; NODE_STORED; a parent's link is open; MSG_CERT. */
void duty_timer(struct peer *peer);
void duty_child_event(struct peer *peer, const struct node_event *event);
void duty_stored(struct peer *peer, const struct node_event *event);
void duty_parent_opened(struct peer *peer, struct link *link);
enum err duty_take_cert(struct peer *peer, struct link *link, struct slice payload);

/* True when it would be a supernode, can be dialled, and nothing is used up. */
bool duty_is_candidate(const struct peer *peer);
/* Count bytes that were sent to be measured; rest when the day's are used up. */
void duty_spent(struct peer *peer, uint64_t measured_bytes);

/* ---- duty_commands.c ---- */

void duty_consent_command(struct peer *peer, const struct node_event *event);
void duty_withdraw_command(struct peer *peer, const struct node_event *event);
void duty_status_command(struct peer *peer, const struct node_event *event);

/* ---- While no peer runs ---- */

/* Where the consent is kept in STORE_META, and what is to stand there: `before` is what does (may
 * be empty), 0 = as it was, or the default. */
#define DUTY_STATE_KEY "duty"
void duty_consent_kept(struct slice before, uint64_t rate, uint64_t day_bytes, struct buf *after);

#endif
