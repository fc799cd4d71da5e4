/* node.h - THE CONTRACT between a node (pure logic) and its driver (libevent or virtual time).
 *
 * A node is a state machine. The driver hands it one event with the time in it, carries out the
 * actions left in the outbox in their order, then arms one timer for node_deadline(). A step never
 * blocks, never calls back and never fails. Long work is done in slices with an immediate
 * deadline. Bytes, not messages, cross the boundary. Four things are injected and answer at once:
 * store, log, crypto (with fill_random for unguessable values); everything else random comes from
 * the node's own rng, started from `seed`. */
#ifndef TRUNKLINE_COMMON_NODE_H
#define TRUNKLINE_COMMON_NODE_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/crypto.h"
#include "common/err.h"
#include "common/ids.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/meter.h"
#include "common/network.h"
#include "common/store.h"
#include "common/throttle.h"

struct packer;
struct traffic;

/* What a driver counts of all its nodes' links together, since its start but for `handshakes`. */
struct driver_counts {
    uint64_t bytes_in; /* of messages and blocks, before encryption */
    uint64_t bytes_out;
    uint32_t handshakes;    /* TLS begun by others, not yet done: now */
    struct meter accepting; /* of these, as they begin */
    uint64_t accepted;
    uint64_t failed;
    uint64_t refused_full;    /* sent away: too many at once, or no descriptor for them */
    uint64_t refused_share;   /* sent away: their address had had its share */
    const char *metadata;     /* of shared files, whether it is read, for people; NULL = never */
    uint64_t metadata_read;   /* files */
    uint64_t metadata_failed; /* ... that were too much for the reader */
    uint64_t hashing_files;   /* of shared folders, that are yet to be read: now */
    uint64_t hashing_bytes;   /* ... of them together */
    uint64_t wire[DIRECTIONS][TRAFFICS]; /* of sockets: TLS and all */
    const char *limits;                  /* on traffic, in force now, for people; NULL = none */
};

/* What a node is and may use. The driver keeps all of it alive while the node lives. */
struct node_env {
    struct node_id id;
    uint64_t seed;
    const struct network *network;
    const struct crypto *crypto;
    const struct log *log;
    struct store *store;
    struct packer *packer;                /* one per driver */
    const struct driver_counts *driver;   /* NULL = it does not count */
    struct traffic *traffic;              /* where links count messages, and the driver
                                           * the blocks it sends; NULL = nowhere */
    struct address listen[ADDRESSES_MAX]; /* advertised addresses, ports included */
    uint32_t listen_count;                /* 0 = cannot be dialled */
    const char *agent;                    /* "trunkline/0.1.0" */
    struct slice cert;                    /* encoded; empty for peers */
};

/* Files the driver keeps: shared files (numbers given by NODE_SHARED) and downloads in progress
 * (numbers chosen by the node, FILE_PART set). */
#define FILE_PART (1ULL << 63)

/* ---- Events ---- */

enum node_event_kind {
    NODE_START,
    NODE_TIMER,          /* the deadline has come (an early one is harmless) */
    NODE_LINK_UP,        /* TLS is up and the other side's id proven */
    NODE_LINK_BYTES,     /* borrowed until step returns; the node takes all of them */
    NODE_LINK_STALLED,   /* output is past LINK_OUTPUT_SOFT: send no more bulk */
    NODE_LINK_READY,     /* output has drained */
    NODE_LINK_DOWN,      /* the link is gone; sent once for every NODE_LINK_UP, also after CLOSE */
    NODE_DIAL_FAILED,    /* no link will come of this dial */
    NODE_RESOLVED,       /* addresses of a host name; none = unknown */
    NODE_BLOCK_SENT,     /* ACTION_SEND_BLOCK went to the link whole */
    NODE_BLOCK_FAILED,   /* ... or nothing of it did */
    NODE_FILE_OPENED,    /* a part file is ready, with what its journal vouches for */
    NODE_FILE_WRITTEN,   /* these bytes are in the file, not yet durable */
    NODE_FILE_COMMITTED, /* these pieces are durable and in the journal */
    NODE_FILE_HASHED,    /* answer to ACTION_FILE_HASH */
    NODE_FILE_FINISHED,  /* verified as a whole, renamed, durable */
    NODE_FILE_FAILED,    /* an action on this file failed; writes after it are dropped */
    NODE_GROUP,          /* who may fetch the files of a group: told before they appear */
    NODE_SHARED,         /* a shared file appeared */
    NODE_UNSHARED,       /* a shared file went away or changed */
    NODE_SHARES_READY,   /* the first scan is complete */
    NODE_STORED,         /* store_sync's token: all writes before it are durable */
    NODE_SUPERNODE,      /* how the supernode does that this peer's driver runs */
    NODE_COMMAND,        /* a person or program asks; answer with reports */
    NODE_COMMAND_GONE,   /* whoever asked has left: no more reports */
    NODE_SHUTDOWN,       /* finish politely, then ACTION_STOPPED */
    NODE_EVENT_KINDS
};

enum supernode_state {
    SUPERNODE_NAMED,   /* answer to ACTION_SUPERNODE_NAME: its `id` */
    SUPERNODE_SIGNED,  /* answer to ACTION_SUPERNODE_SIGN: its `id` and `signature` */
    SUPERNODE_STARTED, /* its process runs; its counts begin at zero */
    SUPERNODE_READY,   /* it answers; told every few seconds, with its counts */
    SUPERNODE_STOPPED, /* it has ended as it should: asked to, or wanted by nobody any more */
    SUPERNODE_FAILED   /* it has crashed, or cannot be started; tried again later */
};

struct command_arg {
    const char *key;
    const char *value;
};

struct node_event {
    enum node_event_kind kind;
    uint64_t mono_us; /* the only clock for timers and round trips; never goes back */
    int64_t wall_s;   /* Unix seconds, only for signed records; may jump */
    union {
        struct {
            uint32_t link;  /* chosen by the driver, never 0, not used again */
            uint32_t token; /* of ACTION_DIAL; 0 = the other side dialled */
            struct node_id id;
            struct address remote; /* as seen by this machine */
            struct address local;  /* our end of it; family ADDRESS_NONE when unknown */
            struct hash exporter;  /* TLS exporter "trunkline-auth", 32 bytes, same on both ends */
        } up;
        struct {
            uint32_t link;
            struct slice data;
        } bytes;
        struct {
            uint32_t link;
            enum err reason;
        } link; /* STALLED, READY, DOWN */
        struct {
            uint32_t token;
            enum err reason;
            uint16_t retry_after_s; /* ERR_BUSY: the other side's wish, unproven; 0 = none */
        } dial;
        struct {
            uint32_t token;
            uint32_t count;
            struct address addresses[ADDRESSES_MAX]; /* port 0 */
        } resolved;
        struct {
            uint32_t link;
            uint64_t token;
            enum err reason; /* BLOCK_FAILED */
        } block;
        struct {
            uint64_t file;
            uint64_t token;      /* FILE_HASHED, and FILE_FAILED of a hash */
            uint64_t offset;     /* FILE_WRITTEN */
            uint32_t len;        /* FILE_WRITTEN */
            struct slice pieces; /* FILE_OPENED, FILE_COMMITTED: bitmap, first piece highest */
            struct slice hashes; /* FILE_HASHED: count * 32 bytes */
            struct slice name;   /* FILE_FINISHED: the path it has now, UTF-8 */
            enum err reason;     /* FILE_FAILED */
        } file;
        struct {
            uint32_t group;   /* chosen by the driver, never 0 */
            bool is_locked;   /* everybody may see that they are there; fixed with the first */
            struct slice ids; /* node ids, at most SHARE_READERS_MAX; empty: the group is over */
        } group;
        struct {
            uint64_t file;  /* those that come later have larger numbers */
            uint32_t group; /* who may have it; 0 = everybody, one that was not told = nobody */
            struct content_id content;
            struct slice name;   /* one component, valid UTF-8, 1 to NAME_BYTES_MAX bytes */
            struct slice folder; /* where it is, from the shared folder's name on, components as
                                    `name` with slashes between; empty = not told */
            struct slice pieces; /* one hash per 1 MiB piece; empty for a single piece, and when
                                    this file is shared with this content already */
            struct slice meta;   /* as in common/facts.h; empty = nothing is known (yet) */
        } shared;
        struct {
            uint64_t token;
        } stored;
        struct {
            uint8_t state;                      /* enum supernode_state */
            enum err reason;                    /* FAILED */
            struct node_id id;                  /* NAMED, SIGNED */
            uint8_t signature[SIGNATURE_BYTES]; /* SIGNED */
            struct address address;             /* READY: where it listens */
            bool is_certified;                  /* READY: it says so */
            uint32_t leaves;                    /* READY: now */
            uint64_t bytes_in; /* READY, STOPPED, FAILED: of this process, as last heard ... */
            uint64_t bytes_out;
            uint64_t cpu_ms;
        } supernode;
        struct {
            uint64_t id;
            const char *name;
            uint32_t count;
            const struct command_arg *args;
        } command; /* also COMMAND_GONE, with the id alone */
    };
};

/* Return the value of an argument or NULL. */
const char *command_arg(const struct node_event *command, const char *key);

/* ---- Actions ---- */

enum action_kind {
    ACTION_DIAL,       /* TLS to an address, accepted only from `id` */
    ACTION_WRITE,      /* small messages: copied, coalesced per link and loop turn */
    ACTION_SEND_BLOCK, /* header and file bytes, both or neither */
    ACTION_READ_STOP,  /* input backpressure */
    ACTION_READ_START,
    ACTION_CLOSE,      /* flush what is queued, then close; NODE_LINK_DOWN follows */
    ACTION_LINK_FILES, /* the link is for files: it waits for all others, its bytes count as such */
    ACTION_RESOLVE,
    ACTION_FILE_OPEN,       /* open or create the part file and journal of a content id */
    ACTION_FILE_WRITE,      /* takes `owned` */
    ACTION_FILE_COMMIT,     /* fdatasync the data, then record these pieces in the journal */
    ACTION_FILE_HASH,       /* leaf hashes of a run of blocks */
    ACTION_FILE_FINISH,     /* verify the whole, fsync, rename to a free name (below folders that
                               are made: the wanted name may have slashes), fsync the folder */
    ACTION_FILE_CLOSE,      /* keep part file and journal */
    ACTION_FILE_DISCARD,    /* remove both */
    ACTION_SUPERNODE_NAME,  /* make the key of a supernode beside this peer; answered by NAMED */
    ACTION_SUPERNODE_SIGN,  /* with that key, as a record of type token32; answered by SIGNED */
    ACTION_SUPERNODE_START, /* run it with this certificate, or hand it to the one that runs */
    ACTION_SUPERNODE_STOP,  /* have it take leave and end */
    ACTION_REPORT,          /* one record of a command's answer */
    ACTION_STOPPED          /* after NODE_SHUTDOWN: nothing more will come */
};

struct action {
    enum action_kind kind;
    uint32_t link;
    uint32_t token32;          /* DIAL, RESOLVE, SUPERNODE_SIGN */
    uint64_t token;            /* SEND_BLOCK, FILE_HASH, REPORT (the command's id) */
    uint64_t file;             /* SEND_BLOCK, FILE_* */
    uint64_t offset;           /* SEND_BLOCK, FILE_WRITE (bytes); FILE_HASH (first block) */
    uint32_t len;              /* SEND_BLOCK, FILE_WRITE (bytes); FILE_HASH (blocks) */
    enum err reason;           /* CLOSE; REPORT */
    bool last;                 /* REPORT: the command is answered */
    struct node_id id;         /* DIAL */
    struct address address;    /* DIAL */
    struct content_id content; /* FILE_OPEN */
    uint8_t *owned;            /* FILE_WRITE: mem_* memory, the driver frees it */
    size_t bytes_at;           /* WRITE, SEND_BLOCK (header), RESOLVE (host), FILE_OPEN and */
    size_t bytes_len;          /* FILE_FINISH (wanted name), FILE_COMMIT (bitmap), REPORT, */
                               /* SUPERNODE_START (certificate), SUPERNODE_SIGN (body) */
};

/* What a step leaves behind. The driver empties it with outbox_clear after carrying it out. */
struct outbox {
    struct action *actions;
    uint32_t count;
    uint32_t cap;
    struct buf bytes;
};

/* Append an action and return it, zeroed but for the kind; valid until the next append. */
struct action *outbox_add(struct outbox *out, enum action_kind kind);
/* Append an action with a copy of bytes. */
struct action *outbox_add_bytes(struct outbox *out, enum action_kind kind, struct slice bytes);
/* Append bytes for a link; joins the write before it when that was for the same link. */
void outbox_write(struct outbox *out, uint32_t link, struct slice bytes);
/* The bytes of an action, borrowed until the next append. */
struct slice outbox_bytes(const struct outbox *out, const struct action *action);
/* Forget all actions, freeing data they still own (set `owned` to NULL when taking it); memory
 * beyond 64 KiB is given back. */
void outbox_clear(struct outbox *out);
void outbox_free(struct outbox *out);

/* ---- Reports: flat records of named values that answer a command ---- */

/* report_begin(out, id, "hit"); report_text(...)...; then the next one. A command ends with
 * report_done, or report_error with a text for people that names the remedy. */
void report_begin(struct outbox *out, uint64_t command, const char *kind);
void report_text(struct outbox *out, const char *key, const char *value);
void report_slice(struct outbox *out, const char *key, struct slice value);
void report_number(struct outbox *out, const char *key, uint64_t value);
void report_flag(struct outbox *out, const char *key, bool value);
void report_done(struct outbox *out, uint64_t command);
void report_error(struct outbox *out, uint64_t command, enum err err, const char *text);

/* For drivers: walk the bytes of an ACTION_REPORT. The first field is always text "kind". */
enum report_type { REPORT_TEXT = 1, REPORT_NUMBER = 2, REPORT_FLAG = 3 };
struct report_field {
    enum report_type type;
    struct slice key;
    struct slice text;
    uint64_t number; /* REPORT_FLAG: 0 or 1 */
};
/* Read the next field from the front of *bytes and advance; false at the end. */
bool report_next(struct slice *bytes, struct report_field *field);

/* ---- The node ---- */

struct node_ops {
    void (*step)(void *self, const struct node_event *event, struct outbox *out);
    uint64_t (*deadline)(const void *self);
    void (*free)(void *self);
};

struct node {
    const struct node_ops *ops;
    void *self;
};

static inline void node_step(struct node node, const struct node_event *event, struct outbox *out) {
    node.ops->step(node.self, event, out);
}

/* Monotonic time of the next wanted NODE_TIMER, or UINT64_MAX. */
static inline uint64_t node_deadline(struct node node) {
    return node.ops->deadline(node.self);
}

static inline void node_free(struct node node) {
    node.ops->free(node.self);
}

#endif
