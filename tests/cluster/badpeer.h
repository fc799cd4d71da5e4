/* badpeer.h - a node that does wrong on purpose: what its parts share.
 *
 * It speaks real TLS and the real wire, blocking, one link after the other; a source forks for each
 * link that it accepts. What came of it is told in one line of JSON (bad_report). */
#ifndef TRUNKLINE_TESTS_CLUSTER_BADPEER_H
#define TRUNKLINE_TESTS_CLUSTER_BADPEER_H

#include "common/network.h"
#include "common/rng.h"
#include "common/session.h"
#include "src/host/tls.h"

#define BAD_CASES_MAX 512

/* How a link ended. From BAD_GOAWAY on: with GOAWAY and its reason. */
enum bad_end {
    BAD_OPEN,    /* it has not, in the time that was given */
    BAD_REFUSED, /* TCP or TLS was not to be had */
    BAD_CLOSED,  /* without a word */
    BAD_GOAWAY,  /* + enum goaway_reason */
    BAD_ENDS = BAD_GOAWAY + GOAWAY_REASON_MAX + 1
};

struct bad {
    const char *mode;
    struct address target;
    struct node_id target_id;
    struct address from; /* where we dial from; port 0 */
    struct address listen;
    struct network network;
    SSL_CTX *tls;
    struct packer *packer;
    struct identity *identity;
    struct buf cert;  /* of our supernode's state folder; empty = none */
    const char *file; /* a source's: a true copy of what it says it has */
    struct content_id content;
    const char *name;
    uint32_t seconds; /* how long a mode without an end of its own goes on */
    enum purpose purpose;
    struct rng rng;
    int64_t begun_ms;
    uint32_t ends[BAD_ENDS];
    uint64_t sent;     /* messages, blocks, connections: what the mode has too much of */
    uint64_t answered; /* what the other side gave for it */
    uint64_t bytes_in;
};

struct bad_link {
    struct bad *bad;
    int fd;
    SSL *ssl;
    struct tls_peer peer;
    struct session session;
    struct buf in;
    size_t used; /* of `in` */
    bool is_up;  /* WELCOME has come */
    enum bad_end end;
};

int64_t bad_now_ms(void);
void bad_sleep_ms(uint32_t ms);
_Noreturn void bad_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A new key, so that what others remember of us is gone. */
void bad_new_identity(struct bad *bad);

/* TCP alone, from our address; -1 when it cannot be had. `receive` = SO_RCVBUF, 0 = as it is. */
int bad_tcp(const struct bad *bad, const struct address *from, int receive);

/* Connect and shake hands. False when that fails: end says how. */
bool bad_connect(struct bad *bad, struct bad_link *link);
/* The same from an accepted socket. */
bool bad_accept(struct bad *bad, struct bad_link *link, int fd);
/* HELLO and WELCOME for bad->purpose; false when the link ended instead. */
bool bad_hello(struct bad_link *link);
/* Both. */
bool bad_open(struct bad *bad, struct bad_link *link);
/* Count how it ended and free it. */
void bad_close(struct bad_link *link);

/* Fill in a HELLO that would be right. `record` keeps its bytes. */
void bad_make_hello(struct bad_link *link, struct hello *hello, struct buf *record);

/* Send bytes as they are, reading meanwhile. False when the link has ended. */
bool bad_raw(struct bad_link *link, struct slice bytes);
/* Send a message as an honest node would; empties `payload`. */
bool bad_send(struct bad_link *link, uint8_t type, struct buf *payload);
/* The five bytes before a payload, whatever they say. */
void bad_header(struct buf *out, uint8_t type, uint8_t flags, size_t payload_len);
/* Append raw deflate with the protocol's dictionary, however much that is. */
void bad_deflate(struct buf *out, struct slice plain);

/* The next message; false after so long or when the link has ended. PING is answered. */
bool bad_next(struct bad_link *link, int timeout_ms, struct session_message *message);
/* Skip what comes until there is one of that type. */
bool bad_await(struct bad_link *link, uint8_t type, int timeout_ms,
               struct session_message *message);
/* Read until it ends. */
void bad_await_end(struct bad_link *link, int timeout_ms);

/* One line of JSON: how many links ended in which way, and the counters. */
void bad_report(const struct bad *bad);

/* A mode and what it is called. */
struct bad_mode {
    const char *name;
    enum purpose purpose;
    void (*run)(struct bad *bad);
};
extern const struct bad_mode bad_frame_modes[];    /* badpeer_frames.c */
extern const struct bad_mode bad_leaf_modes[];     /* badpeer_leaf.c */
extern const struct bad_mode bad_mesh_modes[];     /* badpeer_mesh.c */
extern const struct bad_mode bad_transfer_modes[]; /* badpeer_source.c */

/* Register a list with the target, as an honest leaf: a link that stays open. */
bool bad_register(struct bad_link *link, const struct file_record *records, uint32_t count);
/* Append an encoded QUERY for these words. */
void bad_query(struct bad *bad, struct buf *payload, const char *words, uint8_t ttl, uint8_t hops);

#endif
