/* handshakes.h - callers who have not yet proven who they are, and which of them makes room.
 *
 * A place is a descriptor and some OpenSSL memory. While there are enough, a handshake may take
 * HANDSHAKE_TIMEOUT_MS; once all are taken, whoever has had HANDSHAKE_PRESSED_MS, or has not said a
 * word for HANDSHAKE_SILENT_MS, gives way to the next caller or to a dial of ours: strangers who
 * come to hold places cannot keep the others out. The oldest goes first. */
#ifndef TRUNKLINE_HOST_HANDSHAKES_H
#define TRUNKLINE_HOST_HANDSHAKES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/limits.h"

struct conn;

struct handshakes {
    struct {
        struct conn *conn;
        uint64_t begun_us;
    } open[HANDSHAKES_PENDING_MAX]; /* the oldest first */
    uint32_t count;
};

/* The gate has let it in: no more than HANDSHAKES_PENDING_MAX at a time. */
void handshakes_begin(struct handshakes *handshakes, struct conn *conn, uint64_t now_us);
void handshakes_end(struct handshakes *handshakes, const struct conn *conn);

/* Is there one that would give way? */
bool handshakes_can_yield(const struct handshakes *handshakes, uint64_t now_us);

/* End that one. False when there is none. */
bool handshakes_yield(struct handshakes *handshakes, uint64_t now_us);

#endif
