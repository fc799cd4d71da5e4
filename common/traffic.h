/* traffic.h - what a node has sent and received, by type of message. */
#ifndef TRUNKLINE_COMMON_TRAFFIC_H
#define TRUNKLINE_COMMON_TRAFFIC_H

#include "common/node.h"

#define TRAFFIC_TYPES 64 /* at least as many as wire.h has messages */

struct traffic_count {
    uint64_t messages;
    uint64_t bytes; /* whole frames, as they are before encryption */
};

/* All zero has counted nothing. */
struct traffic {
    struct traffic_count sent[TRAFFIC_TYPES]; /* by wire_message_place */
    struct traffic_count received[TRAFFIC_TYPES];
};

/* Count one message of a type that is spoken; nothing is done without `traffic`. */
void traffic_sent(struct traffic *traffic, uint8_t type, size_t bytes);
void traffic_received(struct traffic *traffic, uint8_t type, size_t bytes);

/* Report "traffic" {message, sent, sent_bytes, received, received_bytes} for each type that there
 * was any of; nothing without `traffic`. */
void traffic_report(const struct traffic *traffic, struct outbox *out, uint64_t command);

#endif
