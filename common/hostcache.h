/* hostcache.h - the supernodes a node knows, what became of dialling them, kept in the store. */
#ifndef TRUNKLINE_COMMON_HOSTCACHE_H
#define TRUNKLINE_COMMON_HOSTCACHE_H

#include "common/map.h"
#include "common/node.h"
#include "common/rng.h"
#include "common/wire.h"

#define INTRODUCERS_MAX 16
#define HOST_NAME_MAX_BYTES 253

/* A supernode known by configuration: `<node id>@<host or address>:<port>`. */
struct introducer {
    struct node_id id;
    char host[HOST_NAME_MAX_BYTES + 1]; /* name or literal address, without brackets */
    uint16_t port;
};

/* Read that text. Return ERR_CONFIG when a part is missing or wrong. */
MUST_CHECK enum err introducer_parse(struct introducer *introducer, const char *text);

/* Set *address when the host is a literal address; false when the name must be resolved. */
bool introducer_address(const struct introducer *introducer, struct address *address);

/* Its address record is in the store alone, and the fields leave no gaps: hosts are a good part of
 * what an idle leaf costs. */
struct host {
    struct node_id id;
    struct address address;
    uint8_t failures;    /* since the last success; stays at the highest number */
    bool introducer : 1; /* configured by hand: never dropped */
    bool in_use : 1;     /* a link (or a dial) exists: the role sets it */
    bool has_record : 1; /* false for an introducer whose record never came */
    bool is_first : 1;   /* to be dialled before any other: the role sets it */
    bool sent_us_on : 1; /* it had room, but another had more: the role sets it */
    uint64_t retry_us;   /* do not dial before */
    int64_t succeeded_s; /* wall clock of the last open link; 0 = never */
};

struct hostcache {
    const struct node_env *env;
    struct map hosts; /* node id -> struct host */
};

/* Load from the store (entries that do not decode are removed and logged). */
void hostcache_init(struct hostcache *cache, const struct node_env *env);
void hostcache_free(struct hostcache *cache);

/* Remember a configured introducer. NULL when it is this node itself. */
struct host *hostcache_add_introducer(struct hostcache *cache, const struct node_id *id,
                                      const struct address *address);

/* Remember an encoded address record after checking it; a smaller seq than known changes nothing.
 * At HOSTCACHE_MAX the worst host (most failures, then oldest success) makes room. Return ERR_AUTH,
 * ERR_POLICY (outdated, or no address that this network may dial), ERR_FORMAT, ERR_DUPLICATE for
 * our own id, ERR_LIMIT when every host is an introducer or in use. */
MUST_CHECK enum err hostcache_add(struct hostcache *cache, struct slice record, int64_t wall_s);

/* The encoded address record of a host, borrowed until a host is added or dialled with success;
 * empty for an introducer without one. */
struct slice hostcache_record(const struct hostcache *cache, const struct host *host);

struct host *hostcache_find(const struct hostcache *cache, const struct node_id *id);

/* Choose a host that is not in use and may be dialled now: one that is first, else by few failures,
 * then at random. NULL when there is none; *wait_us then is the time to ask again (UINT64_MAX =
 * never). */
struct host *hostcache_pick(struct hostcache *cache, struct rng *rng, uint64_t now_us,
                            uint64_t *wait_us);

/* Whoever has nobody left goes back, once, to one that only sent him on, before that one's time;
 * NULL when there is none. */
struct host *hostcache_pick_back(struct hostcache *cache);

/* Note the outcome of a dial. A failure backs off with full jitter: up to REDIAL_MS_MIN * 2^n,
 * at most REDIAL_MS_MAX. `retry_after_s` from a GOAWAY is honoured (0 = none). An address that we
 * only heard of and that did not answer is left alone for UNPROVEN_DIAL_MS, whoever else names it.
 */
void hostcache_succeeded(struct hostcache *cache, struct host *host, int64_t wall_s);
void hostcache_failed(struct hostcache *cache, struct host *host, struct rng *rng,
                      uint32_t retry_after_s, uint64_t now_us);

/* After hostcache_failed: whoever is there said that it is busy, and when to come back. Since that
 * proves no id, an address that we know from others alone is spared all the same. */
void hostcache_put_off(struct host *host, uint32_t seconds);

/* Fill a list with up to `count` encoded records for NODES and GOAWAY: hosts that were reached,
 * most recent first, `except` left out. Slices borrow as from hostcache_record. */
void hostcache_sample(const struct hostcache *cache, struct rng *rng, uint32_t count,
                      const struct node_id *except, struct record_list *list);

#endif
