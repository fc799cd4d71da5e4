/* session.h - the bytes of one link: frames cut and joined, payloads packed and unpacked. */
#ifndef TRUNKLINE_COMMON_SESSION_H
#define TRUNKLINE_COMMON_SESSION_H

#include "common/pack.h"
#include "common/wire.h"

/* `partial` holds the start of a frame whose rest has not come; empty (no memory) most times. */
struct session {
    struct buf partial;
};

/* A whole message. `payload` is inflated and borrows until the next session call. */
struct session_message {
    uint8_t type;
    uint8_t flags;
    struct slice payload;
    size_t bytes; /* of the frame, as it came */
};

/* Take the next message from partial bytes and *input, advancing *input. Return true with
 * *message set; false with *err OK when all input is consumed and more is needed, else the error
 * that must close the link (ERR_LIMIT, ERR_FORMAT, ERR_CRITICAL). Messages of unknown type without
 * FRAME_CRITICAL are skipped. A payload longer than its type's maximum is refused before it is
 * buffered. Call until it returns false. */
bool session_next(struct session *session, struct packer *packer, struct slice *input,
                  struct session_message *message, enum err *err);

/* True when session_pack would leave such a payload as it is: then the frame is its header and the
 * payload, and needs no memory of its own. */
bool session_stays_plain(uint8_t type, size_t len);

/* Append a frame to `out`, deflated when that makes it smaller (BLOCK, QUERY, LOCATE,
 * HASHES, SUMMARY, MEASURED and what is shorter than 512 bytes never). */
void session_pack(struct packer *packer, uint8_t type, struct slice payload, struct buf *out);

void session_free(struct session *session);

#endif
