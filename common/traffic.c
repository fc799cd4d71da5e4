/* traffic.c - what a node has sent and received, by type of message. */
#include "common/traffic.h"

#include "common/check.h"
#include "common/wire.h"

static void count(struct traffic_count counts[TRAFFIC_TYPES], uint8_t type, size_t bytes) {
    uint32_t place = wire_message_place(type);
    CHECK(place < TRAFFIC_TYPES);
    counts[place].messages++;
    counts[place].bytes += bytes;
}

void traffic_sent(struct traffic *traffic, uint8_t type, size_t bytes) {
    if (traffic != NULL) {
        count(traffic->sent, type, bytes);
    }
}

void traffic_received(struct traffic *traffic, uint8_t type, size_t bytes) {
    if (traffic != NULL) {
        count(traffic->received, type, bytes);
    }
}

void traffic_report(const struct traffic *traffic, struct outbox *out, uint64_t command) {
    const struct message_info *info;
    for (uint32_t i = 0; traffic != NULL && (info = wire_message_at(i)) != NULL; i++) {
        const struct traffic_count *sent = &traffic->sent[i], *received = &traffic->received[i];
        if (sent->messages > 0 || received->messages > 0) {
            report_begin(out, command, "traffic");
            report_text(out, "message", info->name);
            report_number(out, "sent", sent->messages);
            report_number(out, "sent_bytes", sent->bytes);
            report_number(out, "received", received->messages);
            report_number(out, "received_bytes", received->bytes);
        }
    }
}
