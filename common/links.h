/* links.h - all links of one node: dialling, HELLO and WELCOME, frames, keepalive, goodbye.
 *
 * Both kinds of node own one `struct links`, feed it every link event, and are told through
 * `links_role` when a link is open, brings a message, or is gone. The framing and compression of
 * one link are session.h's. */
#ifndef TRUNKLINE_COMMON_LINKS_H
#define TRUNKLINE_COMMON_LINKS_H

#include "common/map.h"
#include "common/node.h"
#include "common/session.h"
#include "common/timers.h"
#include "common/wire.h"

struct links;

/* What only the handshake needs. */
struct handshake {
    struct hash exporter;
    uint8_t nonce[16]; /* PURPOSE_CALLBACK */
};

/* One link. Fields are the role's to read; `owner` is the role's to set. The order leaves no gaps:
 * most of what an idle leaf costs are three of these. */
struct link {
    uint32_t number; /* the driver's; 0 while dialling */
    uint32_t token;  /* of the dial; 0 = the other side dialled */
    uint8_t purpose; /* enum purpose, ours when we dialled, theirs when they did */
    bool open;       /* HELLO and WELCOME are done: messages may flow */
    bool stalled;    /* send no more bulk */
    bool closing;
    bool is_probed;         /* a sign of life was asked for by the PING that is out */
    uint8_t why;            /* closing: the reason for `closed`, enum err */
    uint8_t place;          /* in env->listen of the address that our end of it has */
    uint8_t busy_s;         /* the dial failed because they are busy: when to come back */
    struct node_id id;      /* proven by TLS (wanted, while dialling) */
    struct address remote;  /* host as observed; port of the far socket */
    uint32_t round_trip_us; /* of the last PING; 0 = unknown */
    void *owner;
    struct links *links;
    struct handshake *handshake; /* NULL once `opened` has returned */
    uint64_t heard_us;
    uint64_t pinged_us;      /* 0 = no PING is unanswered */
    struct timer timer;      /* handshake deadline, then keepalive */
    struct session *session; /* NULL unless a message has come in part */
};

/* What the role decides. Called from links_handle only. A role may call any links function in
 * them; a link that is closed there stays valid until `closed` has returned. */
struct links_role {
    /* The other side dialled and its HELLO is well-formed and authentic: return OK to welcome it,
     * or fill *goaway (zeroed; set reason at least) and return any error. */
    enum err (*admit)(void *role, struct link *link, const struct hello *hello,
                      struct goaway *goaway);
    /* WELCOME was sent or received; `hello` is the other side's HELLO or WELCOME. */
    void (*opened)(void *role, struct link *link, const struct hello *hello);
    /* A message of an open link, inflated. An error closes the link with GOAWAY_PROTOCOL. Link-up,
     * keepalive and GOAWAY bookkeeping are done here; GOAWAY is passed on too. */
    enum err (*message)(void *role, struct link *link, uint8_t type, struct slice payload);
    /* The link (open or not, dialled or not) is gone and freed after this call. */
    void (*closed)(void *role, struct link *link, enum err reason);
    /* `stalled` changed. May be NULL. */
    void (*flow)(void *role, struct link *link);
};

struct links {
    const struct node_env *env;
    const struct links_role *role;
    void *context;
    struct timers *timers;
    struct outbox *out; /* of the current step */
    uint64_t mono_us;   /* of the current step */
    int64_t wall_s;
    struct map by_number; /* u32 -> struct link */
    struct map by_token;  /* u32 -> struct link */
    uint32_t last_token;
    uint32_t pending_in;            /* accepted, not yet welcomed */
    uint64_t address_record_made_s; /* its sequence number */
    struct buf *address_records; /* our own, one per place in env->listen, or NULL; encoded, renewed
                                  * when half of their life is over; signed again when they were
                                  * dropped in between */
    uint16_t address_record_flags;
    struct slice cert; /* for HELLO: at first that of the environment; the role may set another */
};

#define LINKS_TIMER 0xfffffff0 /* timer kind: hand such timers to links_timer */

/* Start; nothing is copied from env. The role's context comes with every call back. */
void links_init(struct links *links, const struct node_env *env, const struct links_role *role,
                void *context, struct timers *timers);

/* Note the step's time and outbox; call first in every step. */
void links_begin(struct links *links, const struct node_event *event, struct outbox *out);

/* Handle NODE_LINK_* and NODE_DIAL_FAILED; false when the event is of another kind. */
bool links_handle(struct links *links, const struct node_event *event);

/* Handle a timer of kind LINKS_TIMER. */
void links_timer(struct links *links, struct timer *timer);

/* Dial a node. The link exists at once (not open). `nonce` is for PURPOSE_CALLBACK, else NULL. */
struct link *links_dial(struct links *links, const struct node_id *id,
                        const struct address *address, enum purpose purpose,
                        const uint8_t nonce[16]);

/* Send a message on an open link (nothing happens when it is closing). */
void links_send(struct link *link, uint8_t type, struct slice payload);

/* One block of a file and where it goes. */
struct link_block {
    uint64_t token; /* comes back in NODE_BLOCK_SENT or NODE_BLOCK_FAILED */
    uint32_t handle;
    uint32_t index;
    uint64_t file;   /* NODE_SHARED's number, or a part file's */
    uint64_t offset; /* in the file, bytes */
    uint32_t len;    /* 1 to BLOCK_BYTES */
};

/* Send BLOCK from a file: the whole message or nothing of it. */
void links_send_block(struct link *link, const struct link_block *block);

/* Ask for a sign of life: when nothing is heard for PROBE_TIMEOUT_MS, the link ends as one that was
 * silent for long. Nothing is done while one is awaited. */
void links_probe(struct link *link);

/* Close: sends GOAWAY with this reason first when the link got that far. `closed` is called with
 * `why` when the driver confirms. */
void links_close(struct link *link, enum goaway_reason reason, enum err why);
/* The same with retry time and alternatives. */
void links_goaway(struct link *link, const struct goaway *goaway, enum err why);

/* The open (or dialling) link to a node for a purpose, or NULL. */
struct link *links_find(const struct links *links, const struct node_id *id, uint8_t purpose);

/* Walk all links, *cursor from 0; the current one may be closed while walking. */
struct link *links_next(const struct links *links, uint32_t *cursor);

/* Our own address record, signed and fresh; empty when we cannot be dialled. It names one address:
 * that of our end of `link` (NULL = any), since others pass on only what they have seen. */
struct slice links_own_record(struct links *links, const struct link *link);

/* Release everything; no callbacks. */
void links_free(struct links *links);

#endif
