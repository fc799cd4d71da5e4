/* conn.h - one TLS connection, from connect or accept to the last byte flushed. */
#ifndef TRUNKLINE_HOST_CONN_H
#define TRUNKLINE_HOST_CONN_H

#include <event2/buffer.h>

#include "src/host/internal.h"
#include "src/host/tls.h"

/* connecting -> handshake -> up -> flushing -> lingering -> dead -> freed. Any state may go to
 * dead. The node knows a link while it is up or flushing. */
enum conn_state {
    CONN_CONNECTING,
    CONN_HANDSHAKE,
    CONN_UP,
    CONN_FLUSHING,  /* closed by the node: what is queued still goes out */
    CONN_LINGERING, /* all sent; waits for the other side to close, so that nothing is lost */
    CONN_DEAD       /* nothing happens any more; freed at the end of the turn, when not pinned */
};

struct pending_block;

/* Blocks the node wants sent: read from disk only as fast as the other side takes them. */
struct block_queue {
    struct pending_block *first;
    struct pending_block *last;
    uint32_t count;
    bool is_reading; /* a job is out */
};

/* A link's place in the line of those whom a limit holds up. */
struct flow_place {
    bool is_taken;
    struct conn *next;
};

struct conn {
    struct host_node *node;
    struct conn *next; /* among the node's, later among the host's leaving ones */
    struct conn *previous;
    struct conn *next_dirty;
    struct conn *next_dead;
    int fd;
    SSL *ssl;               /* from CONN_HANDSHAKE on */
    struct event readable;  /* ... and this */
    struct event *writable; /* connected, or the other side takes more; NULL = nobody waited yet */
    struct event *timer;    /* of the present state; CONN_UP: no progress of output; NULL = none */
    enum conn_state state;
    uint32_t link; /* 0 = the node does not know it */
    uint32_t token;
    uint32_t pins;   /* jobs that point here */
    uint16_t busy_s; /* dialled: the other side asks us to come back later */
    bool is_accepted;
    bool is_dirty;
    bool is_read_stopped;
    bool is_waiting; /* in line to be read: */
    struct conn *next_waiting;
    uint64_t heavy_until_us; /* its input took long lately: it is read when nobody else has any */
    bool is_held;            /* not read because the disk is behind */
    bool is_stalled;
    bool counts_as_handshake;
    struct tls_peer peer;
    struct address remote;
    struct buf out;          /* small messages of this turn */
    struct evbuffer *held;   /* before them, what a limit holds back; NULL = nothing yet */
    struct evbuffer *unsent; /* before that, what the other side has not taken; NULL the same */
    enum traffic_class traffic;
    struct flow_place flow[DIRECTIONS];
    bool is_slowed;               /* not read until the limit allows */
    uint64_t counted[DIRECTIONS]; /* bytes of the socket */
    uint64_t progress_us;         /* when output last moved, or began to wait for the other side */
    uint64_t flush_by_us;
    struct block_queue blocks;
};

/* Dial; NODE_DIAL_FAILED or NODE_LINK_UP follows. */
void conn_dial(struct host_node *node, uint32_t token, const struct node_id *id,
               const struct address *address);

/* Take over an accepted socket. */
void conn_accept(struct host_node *node, int fd, const struct address *remote);

/* The link, or NULL when the node knows it no more. */
struct conn *conn_find(const struct host_node *node, uint32_t link);

/* Queue bytes: they leave in one TLS record with the others of this turn. Past LINK_OUTPUT_SOFT the
 * node is told, past LINK_OUTPUT_HARD the link is closed. */
void conn_write(struct conn *conn, struct slice bytes);

/* What it means that OpenSSL returned `result` <= 0, errno as it left it: OK = the call waits for
 * the socket, else why the link is over. */
enum err conn_trouble(struct conn *conn, int result);

/* Go on as soon as the socket takes more. ERR_IO: the poller cannot watch it. */
enum err conn_want_write(struct conn *conn);

/* ---- output.c ---- */

/* Bytes that wait to be sent, and whether the other side is what they wait for. */
size_t conn_output(const struct conn *conn);
bool conn_is_blocked(const struct conn *conn);
/* Takes mem_* bytes: they go out by reference, behind what was written before. */
void conn_write_owned(struct conn *conn, uint8_t *bytes, size_t len);
/* Send the messages of this turn, or hold them as long as a limit says. */
void conn_flush(struct conn *conn);
/* Send what the other side has not taken yet, as far as it goes. */
enum err conn_push(struct conn *conn);
/* Send up to `most` bytes of what is held; nothing is sent while the other side takes nothing. */
void conn_pass(struct conn *conn, size_t most);
/* The timer of a link with output: ends it when nothing moves for too long. */
void conn_look_at_output(struct conn *conn);

/* Look at its output and its blocks at the end of this turn. */
void conn_touch(struct conn *conn);

void conn_set_timer(struct conn *conn, uint32_t ms);

/* Flush for at most CLOSE_FLUSH_MS, close politely; NODE_LINK_DOWN follows. */
void conn_close(struct conn *conn, enum err reason);

/* Drop it now; the node is told why. */
void conn_kill(struct conn *conn, enum err reason);

/* A job that points to the connection begins or has ended. */
void conn_pin(struct conn *conn);
void conn_unpin(struct conn *conn);

/* Drop what the node does not know as a link yet. */
void conns_drop_pending(struct host_node *node);
/* Drop all connections of a node without telling it; lingering ones go on. */
void conns_drop(struct host_node *node);

void conns_init(struct host *host);
/* Free everything that is dead or lingering. */
void conns_free(struct host *host);

/* Send one block of a file, or nothing of it (blocks.c). */
void blocks_queue(struct conn *conn, const struct action *action, struct slice header);
/* Read more blocks if the output has room. */
void blocks_pump(struct conn *conn);
/* Fail what still waits. */
void blocks_drop(struct conn *conn, enum err reason);

/* ---- input.c ---- */

/* There is something to read: have a turn, or get in line. */
void conn_read(struct conn *conn);
/* Hand all that is there to the node: the other side has gone. */
void conn_read_last(struct conn *conn);
/* Watch the socket, or not any more, after its state has changed. */
void conn_update_reading(struct conn *conn);
void conn_watch_input(struct conn *conn);
/* Stop and start to read: asked by the node, or because the disk is behind. */
void conn_read_stop(struct conn *conn);
void conn_read_start(struct conn *conn);
void conn_hold(struct conn *conn, bool hold);
/* A limit stops it, or lets it go on. */
void conn_slow(struct conn *conn, bool slow);
void input_init(struct host *host);
void input_free(struct host *host);

/* ---- flow.c ---- */

/* Count what its socket has moved since the last call, against every limit. */
void flow_account(struct conn *conn);
/* True when a limit applies to it. */
bool flow_is_limited(const struct conn *conn, enum direction direction);
/* It has something to send, or could be read: now, or when its turn comes. */
void flow_want(struct conn *conn, enum direction direction);
/* How much of its output should wait, so that the limit is used and no more is read from disk. */
size_t flow_ahead(const struct conn *conn);
void flow_init(struct host_node *node, const struct rateplan *plan);
/* Nobody waits any more. */
void flow_free(struct host_node *node);

#endif
