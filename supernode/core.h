/* core.h - what the files of supernode/ share: the state of one supernode and its guests.
 *
 * A link's `owner` is a neighbour (mesh), a leaf, a probe (one that we dial) or a visitor (anybody
 * else), told apart by the link's purpose and by who dialled. */
#ifndef TRUNKLINE_SUPERNODE_CORE_H
#define TRUNKLINE_SUPERNODE_CORE_H

#include "common/hostcache.h"
#include "common/links.h"
#include "common/list_root.h"
#include "common/meter.h"
#include "common/ratelimit.h"
#include "supernode/election.h"
#include "supernode/flood.h"
#include "supernode/handover.h"
#include "supernode/index.h"
#include "supernode/summaries.h"
#include "supernode/supernode.h"
#include "supernode/turns.h"

enum timer_kind {
    TIMER_MESH,      /* look for neighbours */
    TIMER_RESOLVE,   /* names of introducers */
    TIMER_NEIGHBOUR, /* ask one for NODES */
    TIMER_LEAF,      /* a departed one is forgotten; a dial-back is tried again */
    TIMER_RECLAIM,   /* a slice of the index */
    TIMER_WAVE,      /* a copy of a query has waited long enough */
    TIMER_QUERIES,   /* old query ids are forgotten */
    TIMER_PROBES,    /* old targets are forgotten */
    TIMER_DIALS,     /* there is room for more dial-backs */
    TIMER_VISITOR,   /* an idle one is sent off */
    TIMER_AUDIT,     /* a leaf is asked for a block, or has not answered */
    TIMER_INTAKE,    /* lists that keep others waiting have taken long enough */
    TIMER_SETTLE,    /* a slice of a list that came */
    TIMER_TURNS,     /* copies of queries wait */
    TIMER_SUMMARY,   /* neighbours are told of our words */
    TIMER_REBUILD,   /* words that are gone leave our summary */
    TIMER_EVIDENCE,  /* neighbours are told of new records */
    TIMER_ELECTION,  /* the next date of the epoch's calendar */
    TIMER_HANDOVER,  /* lists go on to neighbours, or come from them */
    TIMER_FILL,      /* is there a neighbour with few leaves? */
    TIMER_STOP,      /* goodbyes have taken long enough */
    TIMER_KINDS
};

/* What every link to a guest may ask for, and what it did wrong. */
struct port {
    struct ratelimit queries;
    struct ratelimit excess; /* queries over that rate */
    struct ratelimit nodes;
    struct ratelimit others; /* DIALBACK of neighbours, PUSH of leaves and visitors */
    struct turn *turn;       /* copies of queries that wait, or NULL */
    uint32_t misdeeds;
};

/* A supernode at the other end of a mesh link, from dial or welcome to the link's end. */
struct neighbour {
    struct port port;
    struct link *link;
    struct timer timer;
    bool is_open;        /* in supernode.neighbours */
    bool is_leaving;     /* said GOAWAY */
    bool is_unproven;    /* its certificate is of a checkpoint that we do not know yet */
    bool is_spare;       /* closed since one of the two has enough; it may be dialled again */
    bool nodes_wanted;   /* we asked: one NODES is welcome */
    uint16_t retry_s;    /* it asked us to wait before the next dial */
    struct buf cert;     /* as it showed it, encoded */
    struct buf record;   /* ... and its address record, until it is proven */
    struct buf to_tell;  /* prefixes of records that it may not have, u64 each */
    struct tally *tally; /* of all records, until it has been told them; NULL = no more */
    size_t tally_at;     /* how far that has got */
    struct buf to_send;  /* prefixes of records that it asked for */
    struct ratelimit lists;
    struct ratelimit records;
    uint32_t wanted;           /* records that we asked it for and have not got */
    struct incoming *incoming; /* a list that it hands over, or NULL */
    uint32_t snapshots;        /* so far */
    uint64_t opened_us;
    uint8_t silences;      /* copies in a row that it did not answer in time */
    uint64_t mute_us;      /* when it is asked again, after MUTE_SILENCES of them */
    uint64_t last_word_us; /* when it was heard last, before the first of them */
    uint64_t forgiven_us;  /* when they were last forgotten, since it was heard again */
    bool was_cut;          /* and said nothing else either, until it was to be left out */
    bool is_filled;        /* it has too few leaves: fill.c */
    struct hearsay told;   /* which words it has */
    uint32_t told_version; /* of our summary that it is being told, 0 = none */
    uint32_t told_bytes;   /* of that */
};

/* What is being done with a list that came, in slices; settle.c. */
enum settle_phase {
    SETTLE_TAKE,   /* records are hashed as they come; those of a whole list go into the index */
    SETTLE_PART,   /* a change: the records held are hashed and parted, those that go put aside */
    SETTLE_ORDER,  /* the hashes are put in order, and the root worked out */
    SETTLE_REMOVE, /* a change that came out right: what goes goes ... */
    SETTLE_ADD     /* ... and what comes comes */
};

/* A list, or what changed in one, on its way or waiting for its turn. */
struct registration {
    struct leaf *leaf;
    struct registration *next; /* that waits, or that is being settled */
    struct reg_state promised;
    bool is_waiting;
    bool is_change;      /* of the list held */
    bool is_spoilt;      /* it cannot come out right any more */
    bool is_committed;   /* all has come */
    bool is_settling;    /* it has its place among those that get slices */
    uint64_t started_us; /* when it got its turn */
    uint32_t count;      /* records that came so far */
    struct buf added;    /* encoded records as they came; of a whole list those still to be taken */
    struct list_root *sum; /* what the list comes to */
    enum settle_phase phase;
    size_t added_at; /* the next of `added` */
    /* All of it: in the index already, hidden. */
    struct index_list *list;
    /* A change: prefixes of record hashes, ascending, and the records they name. */
    uint64_t *removed;
    uint32_t removed_count;
    uint32_t removed_cap;
    uint32_t removed_found;
    uint32_t cursor; /* in the list held */
    struct buf gone; /* encoded records */
    size_t gone_at;
};

/* Registrations one after the other. */
struct registrations {
    struct registration *first;
    struct registration **end;
};

/* Whose list may come now, and whose is being settled. */
struct intake {
    struct registrations waiting; /* longest first */
    uint32_t waiting_count;
    uint32_t lists; /* on their way */
    uint64_t bytes; /* that those are reckoned at */
    struct timer timer;
    struct registrations settling; /* each gets a slice in turn */
    struct timer settle_timer;
    uint64_t slice_us;   /* the step that ... */
    uint32_t slice_left; /* ... has so much left of: */
    uint32_t slice_cost; /* REG_SLICE_COST but in tests */
};

/* What audits took out of a list: the leaf's next offer brings it back without being sent. */
struct lost {
    struct reg_state held; /* what the list was with it */
    struct buf records;    /* encoded */
    uint32_t count;
};

enum reach { REACH_UNKNOWN, REACH_ASKED, REACH_PROVEN, REACH_FAILED };

struct audit;

/* A peer that registered here; kept for LEAF_KEEP_MS after its departure. */
struct leaf {
    struct port port;
    struct supernode *supernode;
    struct node_id id;
    struct link *link; /* NULL = departed */
    struct timer timer;
    struct index_list *list; /* complete, NULL = none; shown while it is known to be true */
    struct reg_state held;   /* what `list` is; root zero = not known, a record was taken out */
    struct lost *lost;       /* NULL = nothing */
    struct registration *coming;
    struct audit *audit;    /* NULL before the first list */
    struct buf record;      /* encoded address record that may be passed on, or empty */
    struct address address; /* observed host and the port it listens on; port 0 = none */
    enum reach reach;
    uint32_t speed_kib;      /* KiB/s at which it answered audits; 0 = unknown */
    uint16_t queue;          /* by its last LOAD ... */
    uint8_t free_slots;      /* ... as is this, ... */
    bool is_load_known;      /* ... if there was one on its present link */
    uint8_t tries;           /* dial-backs asked for during this stay */
    bool is_sent_on;         /* to a supernode with fewer leaves */
    uint64_t passed_on;      /* prefix of the last checkpoint, or members, that it was handed */
    uint32_t dialback_link;  /* of the neighbour asked */
    uint64_t dialback_nonce; /* of the question */
    uint64_t dialback_us;    /* when it was last asked about this address; 0 = never */
    struct ratelimit lists;
    struct ratelimit loads;
    struct ratelimit candidacies;
    struct ratelimit receipts;
    uint64_t departed_us;
    uint64_t banned_until_us; /* asked far too much */
    uint64_t vouched_us; /* until when `list` is shown on another supernode's word; 0 = it is not */
};

/* Anybody who only asks for NODES or looks whether we are there. */
struct visitor {
    struct port port;
    struct timer timer;
};

struct probe;
#define PROBE_KEY_BYTES 19 /* family, ip, port */

/* What happened, for `status`. */
struct supernode_counts {
    uint64_t queries;        /* first copies */
    uint64_t copies;         /* all copies received */
    uint64_t duplicates;     /* copies that let nothing new happen */
    uint64_t relayed;        /* copies sent */
    uint64_t spared;         /* copies not sent, since a summary said no */
    uint64_t limited;        /* copies refused for the rate, or since too many waited ... */
    uint64_t limited_leaves; /* ... those of leaves for the rate */
    uint64_t refused_waves;  /* copies not let further on, since too many were open */
    uint64_t unread;         /* copies of neighbours refused since their text is no query to us */
    uint64_t hits;           /* records of our leaves sent */
    uint64_t hits_routed;    /* records passed back for others */
    uint64_t hits_dropped;   /* records over a cap, or that nobody waits for any more */
    uint64_t unmatched;      /* answers to nothing we sent */
    uint64_t timeouts;       /* children that did not answer */
    uint64_t registrations;  /* lists taken whole */
    uint64_t changes;        /* lists taken by their difference */
    uint64_t mismatches;     /* lists and differences that did not come out */
    uint64_t waits;          /* lists told to wait */
    uint64_t audits;         /* blocks asked for */
    uint64_t audits_failed;  /* records that were not shown */
    uint64_t banished;       /* leaves */
    uint64_t unchanged;      /* lists we still had */
    uint64_t refused;        /* links and lists refused: */
    uint64_t refused_leaves;
    uint64_t refused_neighbours;
    uint64_t refused_visitors;
    uint64_t refused_lists;     /* too often or too slow */
    uint64_t refused_room;      /* lists too long, or beyond the index's memory */
    uint64_t banned;            /* leaves sent off for asking far too much */
    uint64_t nodes_limited;     /* requests for addresses, and for ... */
    uint64_t dialbacks_limited; /* ... probes, beyond their rate: not answered */
    uint64_t loads_limited;     /* LOADs beyond their rate: not taken */
    uint64_t dialbacks;         /* probes dialled for others */
    uint64_t snapshots;         /* lists taken over from neighbours that left */
    uint64_t sent_on;           /* leaves, to neighbours with fewer of them */
    uint64_t pushes;            /* passed on to a leaf */
    uint64_t measured;          /* bytes that candidates delivered, verified ... */
    uint64_t measured_blocks;   /* ... of these as blocks of their files */
    uint64_t receipts;          /* of leaves, taken as hints */
    uint64_t receipts_ignored;  /* too many, too late, or for nobody who is a candidate */
    uint64_t pushes_dropped;    /* for nobody here, or not to be trusted */
};

struct supernode {
    const struct node_env *env;
    struct supernode_config config;
    struct rng rng;
    struct timers timers;
    struct links links;
    struct hostcache hosts;
    struct index *index;
    struct flood flood;
    struct turns turns;
    struct summaries summaries;
    struct intake intake;
    struct trust trust;
    struct evidence *evidence;
    struct measure_state *measure;
    struct map hints; /* subject -> struct hint: candidates that receipts speak for */
    struct election election;
    struct map leaves;     /* node id -> struct leaf */
    struct map mesh_rates; /* node id -> struct ratelimit of its queries, parted or not */
    struct map sent_on;    /* node id -> struct sent_on: who was sent leaves, fill.c */
    struct map probes;     /* address -> struct probe, oldest first */
    struct probe *probes_dialled[DIALBACKS_AT_ONCE];
    struct probe *probes_waiting;  /* until one of those is done or slow, first come first */
    struct probe *probes_last;     /* of the waiting, if there are any */
    struct neighbour **neighbours; /* open mesh links, oldest first */
    uint32_t neighbour_count;
    uint32_t neighbour_cap;
    uint32_t dialback_turn; /* of the neighbours */
    uint32_t leaf_links;
    uint32_t visitors;
    struct timer mesh_timer;
    struct timer resolve_timer;
    struct timer reclaim_timer;
    struct timer probes_timer;
    struct timer dials_timer;
    struct timer fill_timer;
    struct timer stop_timer;
    struct handover *handover; /* NULL until somebody leaves */
    struct supernode_counts counts;
    struct meter leaf_queries; /* copies as they come, refused ones included */
    struct meter mesh_queries;
    bool is_stopping;
    bool is_stopped;
};

/* The step's time in microseconds, `ms` later. */
static inline uint64_t supernode_after_ms(const struct supernode *supernode, uint64_t ms) {
    return supernode->links.mono_us + ms * 1000;
}

/* As soon as possible, but in a step of its own: the driver reads from the links in between. */
static inline uint64_t supernode_next_step(const struct supernode *supernode) {
    return supernode->links.mono_us + 1;
}

/* ---- supernode.c ---- */

/* The limits of an open link. */
struct port *supernode_port(const struct link *link);

/* The open link with this number, or NULL. */
struct link *supernode_link(const struct supernode *supernode, uint32_t number);

/* Append an encoded message's payload to a link and free it. */
void supernode_send(struct link *link, uint8_t type, struct buf *payload);

/* Hand the leaves over, then say goodbye to everybody and stop. */
void supernode_shutdown(struct supernode *supernode);
void supernode_goodbye(struct supernode *supernode);

/* Count a misdeed; ERR_UNEXPECTED when it was one too many. */
MUST_CHECK enum err supernode_misdeed(struct link *link);

/* ---- admission.c ---- */

void admission_init(struct supernode *supernode);
void admission_free(struct supernode *supernode);

enum err admission_admit(void *role, struct link *link, const struct hello *hello,
                         struct goaway *goaway);

/* Check that a node may be a supernode of this network now, by the certificate it shows or the one
 * we know of. Return ERR_AUTH, ERR_POLICY, or ERR_NOT_FOUND when it was signed under a checkpoint
 * that is not known here yet. */
MUST_CHECK enum err admission_certified(const struct supernode *supernode, const struct node_id *id,
                                        struct slice cert);

/* Fill in where else to go. The records borrow from the host cache. */
void admission_alternatives(struct supernode *supernode, const struct node_id *except,
                            struct goaway *goaway);

/* Take one query of a link from its rate; false when there is none left for *wait_ms more. A leaf
 * that goes on far beyond it is sent off. */
bool admission_query(struct supernode *supernode, struct link *link, uint32_t *wait_ms);

/* Send a guest off because it asks too much: it may come back after `retry_s`, or go elsewhere. */
void admission_too_much(struct supernode *supernode, struct link *link, uint16_t retry_s);

/* Mesh links that others dialled. */
uint32_t admission_accepted(const struct supernode *supernode);

void visitor_opened(struct supernode *supernode, struct link *link);
void visitor_closed(struct supernode *supernode, struct link *link);

/* ---- mesh.c ---- */

void mesh_init(struct supernode *supernode);
void mesh_start(struct supernode *supernode);
void mesh_free(struct supernode *supernode);
/* Dial as many neighbours as the network's size asks for. */
void mesh_maintain(struct supernode *supernode);
void mesh_free_neighbour(struct supernode *supernode, struct neighbour *neighbour);
void mesh_resolve(struct supernode *supernode);
void mesh_resolved(struct supernode *supernode, const struct node_event *event);
void mesh_opened(struct supernode *supernode, struct link *link, const struct hello *hello);
void mesh_closed(struct supernode *supernode, struct link *link, enum err reason);
/* Records came: neighbours whose certificates could not be judged may be proven now. */
uint32_t mesh_unproven(const struct supernode *supernode);
void mesh_prove(struct supernode *supernode);
void mesh_neighbour_timer(struct supernode *supernode, struct neighbour *neighbour);
enum err mesh_take_nodes(struct supernode *supernode, struct link *link, struct slice payload);
enum err mesh_take_nodes_request(struct supernode *supernode, struct link *link,
                                 struct slice payload);
enum err mesh_take_goaway(struct supernode *supernode, struct link *link, struct slice payload);

/* ---- leaves.c ---- */

/* The leaf of this id, a departed one when it was unknown. */
struct leaf *leaves_enter(struct supernode *supernode, const struct node_id *id);
void leaves_opened(struct supernode *supernode, struct link *link, const struct hello *hello);
void leaves_closed(struct supernode *supernode, struct link *link);
void leaves_timer(struct supernode *supernode, struct leaf *leaf);
void leaves_free(struct supernode *supernode);
enum err leaves_take_load(struct supernode *supernode, struct link *link, struct slice payload);
enum err leaves_take_push(struct supernode *supernode, struct link *link, struct slice payload);

/* True when every address of the record is the host that the link was observed from, and the record
 * is fresh and signed: then it may be passed on. */
bool leaves_record_is_seen(const struct supernode *supernode, const struct link *link,
                           struct slice record);

/* ---- register.c ---- */

void register_init(struct supernode *supernode);
enum err register_take_begin(struct supernode *supernode, struct link *link, struct slice payload);
enum err register_take_remove(struct supernode *supernode, struct link *link, struct slice payload);
enum err register_take_add(struct supernode *supernode, struct link *link, struct slice payload);
enum err register_take_commit(struct supernode *supernode, struct link *link, struct slice payload);
/* True when this is the list that we hold. */
bool register_is_held(const struct leaf *leaf, const struct reg_state *state);
/* Say what we hold of a leaf, and what we want. */
void register_send_status(struct leaf *leaf, enum reg_verdict verdict);
/* Forget what is on its way, or the list itself. */
void register_drop_coming(struct leaf *leaf);
void register_drop_list(struct leaf *leaf);
/* Take a record out of the list, until the leaf offers the list again, or a later one. */
void register_lose(struct leaf *leaf, const struct file_record *file);
/* TIMER_INTAKE, TIMER_SETTLE, TIMER_RECLAIM. */
void register_intake_timer(struct supernode *supernode);
void register_settle_timer(struct supernode *supernode);
void register_reclaim(struct supernode *supernode);

/* ---- settle.c ---- */

/* Keep the records of a message, and the prefixes of one; false when that is more than may come. */
#define SETTLE_COST_KEEP 4 /* per record, decoding included */
bool settle_keep_records(struct registration *coming, struct reg_records *records);
bool settle_keep_removed(struct registration *coming, const struct reg_remove *remove);

/* Do what there is to do until *left, in the units of REG_SLICE_COST, is used up. True when it is
 * over: *err is OK when the list has come and is what was promised (a change is in the list held, a
 * whole list in `list`), ERR_MISMATCH when it is not, ERR_LIMIT when it has no room. */
bool settle_slice(struct registration *coming, uint32_t *left, enum err *err);

/* True when the list held is neither what it was nor what was promised. */
static inline bool settle_is_halfway(const struct registration *coming) {
    return coming->phase >= SETTLE_REMOVE;
}
void settle_free(struct registration *coming);

/* True when a slice would find something to do. */
static inline bool settle_has_work(const struct registration *coming) {
    return coming->is_committed ||
           (coming->phase == SETTLE_TAKE && coming->added_at < coming->added.len);
}

/* ---- audit.c ---- */

/* The leaf's list is shown: it will be asked for a file of it. */
void audit_list_shown(struct leaf *leaf);
/* Its link is gone. */
void audit_leaf_gone(struct leaf *leaf);
void audit_free(struct leaf *leaf);
/* For how long it may not come back; 0 = it may. */
uint64_t audit_banned_us(const struct leaf *leaf);
/* TIMER_AUDIT. */
void audit_timer(struct leaf *leaf);
enum err audit_take_have(struct supernode *supernode, struct link *link, struct slice payload);
enum err audit_take_block(struct supernode *supernode, struct link *link, struct slice payload);
enum err audit_take_hashes(struct supernode *supernode, struct link *link, struct slice payload);
enum err audit_take_reject(struct supernode *supernode, struct link *link, struct slice payload);

/* ---- fill.c ---- */

/* Look regularly whether a neighbour has too few leaves. */
void fill_init(struct supernode *supernode);
void fill_free(struct supernode *supernode);
void fill_look_on(struct supernode *supernode);
/* TIMER_FILL. */
void fill_timer(struct supernode *supernode);

/* ---- dialback.c ---- */

/* Have a leaf dialled by another supernode, or by us when we know none. */
void dialback_ask(struct supernode *supernode, struct leaf *leaf);
enum err dialback_take(struct supernode *supernode, struct link *link, struct slice payload);
enum err dialback_take_done(struct supernode *supernode, struct link *link, struct slice payload);
void dialback_opened(struct supernode *supernode, struct link *link);
void dialback_closed(struct supernode *supernode, struct link *link);
void dialback_serve(struct supernode *supernode);
void dialback_expire(struct supernode *supernode);
void dialback_free(struct supernode *supernode);

/* ---- answer.c ---- */

/* Which copy of a query is answered. */
struct reply {
    struct link *link;
    struct query_id id;
    uint8_t ttl; /* of the copy, as it was received */
};

/* Send an answer of the index as HITS, the last one marked so with `coverage` (NULL = more will
 * follow). Return false when there was nothing to send. */
bool answer_send(struct supernode *supernode, const struct reply *reply,
                 const struct index_answer *answer, const struct coverage *coverage);

/* ---- status.c ---- */

void status_command(struct supernode *supernode, const struct node_event *event);

#endif
