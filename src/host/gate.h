/* gate.h - who may begin a handshake: so many at a time, so many a second, and to each address its
 * share of them while there are too many.
 *
 * An address is an IPv4 address or an IPv6 /64. While handshakes are few it may begin as many as it
 * likes: a campus behind one address joins at full speed. Once they are many, one that has had its
 * share is sent away before anything is spent on it, and a quarter of the places is kept for
 * addresses that a node has proven itself from. (Shares and rates: go-libp2p's 0.2 a second and
 * burst 16; Tor's dos.h keeps such tables too.) */
#ifndef TRUNKLINE_HOST_GATE_H
#define TRUNKLINE_HOST_GATE_H

#include "common/map.h"
#include "common/node.h"
#include "common/ratelimit.h"

struct gate {
    uint32_t per_s;
    struct ratelimit all;
    struct map known;     /* /64 -> struct gate_group: a node has proven itself from there */
    struct map strangers; /* the others */
    struct driver_counts *counts;
};

enum gate_verdict {
    GATE_OPEN,
    GATE_FULL, /* no place for it, whoever it is */
    GATE_SHARE /* others come first */
};

/* Start; `per_s` handshakes a second (0 = HANDSHAKES_PER_S). Counts go to `counts` (borrowed). */
void gate_init(struct gate *gate, uint32_t per_s, uint64_t seed, struct driver_counts *counts);
void gate_free(struct gate *gate);

/* May this address begin one now? GATE_OPEN has counted it: gate_left must follow. */
enum gate_verdict gate_enter(struct gate *gate, const struct address *address, uint64_t now_us);

/* Its handshake has ended; `proven` when a node is now known to be there. */
void gate_left(struct gate *gate, const struct address *address, bool proven);

/* Microseconds until the next one may begin; 0 = now. */
uint64_t gate_wait(const struct gate *gate, uint64_t now_us);

#endif
