/* sim_trace.c - follows what crosses the links: charges it, hashes it, shows it.
 *
 * The trace hash covers decoded messages, since the bytes of a deflated one depend on the build of
 * zlib. For the same reason a query's body is inflated first, and the query id (a hash of the
 * compressed body) at the front of HITS and END is left out. */
#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/wire.h"
#include "src/sim/world.h"

#define QUERY_ID_BYTES sizeof(struct query_id)
#define LINE_BYTES 600

/* Fold a few numbers and a run of bytes into the trace. */
static void fold(struct sim *sim, const uint64_t numbers[4], struct slice bytes) {
    uint8_t head[HASH_BYTES + 4 * sizeof(uint64_t)];
    memcpy(head, sim->trace.b, HASH_BYTES);
    for (size_t i = 0; i < 4; i++) {
        uint64_t word = htole64(numbers[i]);
        memcpy(head + HASH_BYTES + i * sizeof word, &word, sizeof word);
    }
    sim->crypto.sha256(sim, (struct slice){head, sizeof head}, bytes, &sim->trace);
}

void sim_trace_line(struct sim *sim, const struct machine *machine, const char *format, ...) {
    if (!sim->config.trace || sim->config.watch.line == NULL) {
        return;
    }
    char line[LINE_BYTES];
    int used = snprintf(line, sizeof line, "%12.6f ", (double)sim->now_us / 1e6);
    if (machine != NULL) {
        used += snprintf(line + used, sizeof line - (size_t)used, "m%-3u ", machine->number);
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + used, sizeof line - (size_t)used, format, arguments);
    va_end(arguments);
    sim->config.watch.line(sim->config.watch.context, line);
}

void sim_trace_step(struct sim *sim, const struct machine *machine, enum node_event_kind kind) {
    sim->counts.events++;
    const uint64_t numbers[4] = {sim->now_us, machine->number, (uint64_t)kind, 0};
    fold(sim, numbers, (struct slice){0});
}

/* The part of a payload that is the same whatever zlib made of it. */
static struct slice steady_part(struct sim *sim, uint8_t type, struct slice payload) {
    struct query_header query;
    if ((type == MSG_QUERY || type == MSG_LOCATE) && wire_query_decode(payload, &query) == OK) {
        struct slice plain;
        if (packer_inflate(sim->trace_packer, query.body, QUERY_BODY_MAX, &plain) == OK) {
            return plain;
        }
    }
    bool has_query_id = type == MSG_HITS || type == MSG_END;
    if (has_query_id && payload.len >= QUERY_ID_BYTES) {
        return (struct slice){payload.data + QUERY_ID_BYTES, payload.len - QUERY_ID_BYTES};
    }
    return payload;
}

static uint32_t note_frame(struct sim *sim, const struct sim_message *where,
                           const struct frame *frame) {
    struct sim_message message = *where;
    message.type = frame->type;
    message.payload = frame->payload;
    if ((frame->flags & FRAME_DEFLATED) != 0 &&
        packer_inflate(sim->trace_packer, frame->payload, FRAME_PAYLOAD_MAX, &message.payload) !=
            OK) {
        sim_fail(sim, "machine %u sent a frame that does not inflate", where->from);
        return (uint32_t)frame->payload.len;
    }
    sim->counts.messages++;
    if (sim->config.trace) {
        const struct message_info *info = wire_message_info(message.type);
        sim_trace_line(sim, sim->machines[where->from], "-> m%u link=%u %s %zu", where->to,
                       where->link, info != NULL ? info->name : "?", message.payload.len);
    }
    if (sim->config.watch.message != NULL) {
        sim->config.watch.message(sim->config.watch.context, &message);
    }
    uint32_t charge = (uint32_t)message.payload.len + FRAME_HEADER_BYTES;
    const uint64_t numbers[4] = {sim->now_us, where->from, where->to, message.type};
    struct slice steady = steady_part(sim, message.type, message.payload);
    if (message.type == MSG_QUERY || message.type == MSG_LOCATE) {
        charge = (uint32_t)steady.len + FRAME_HEADER_BYTES;
    }
    fold(sim, numbers, steady);
    return charge;
}

uint32_t sim_trace_sent(struct sim *sim, const struct sim_message *where, struct slice bytes,
                        uint32_t *last_frame) {
    uint32_t charge = 0;
    uint32_t at = 0;
    struct frame frame;
    size_t used = 0;
    enum err err = OK;
    *last_frame = 0;
    while (wire_frame_read(bytes, &frame, &used, &err)) {
        charge += note_frame(sim, where, &frame);
        *last_frame = at;
        at += (uint32_t)used;
        bytes.data += used;
        bytes.len -= used;
    }
    if (bytes.len > 0) { /* not frames: a toy node, or one that misbehaves */
        const uint64_t numbers[4] = {sim->now_us, where->from, where->to, UINT64_MAX};
        fold(sim, numbers, bytes);
        *last_frame = at;
        charge += (uint32_t)bytes.len;
    }
    sim->counts.bytes += charge;
    return charge;
}

struct hash sim_trace_hash(const struct sim *sim) {
    return sim->trace;
}

void sim_fail(struct sim *sim, const char *format, ...) {
    if (sim->failure[0] != '\0') {
        return;
    }
    int used = snprintf(sim->failure, sizeof sim->failure,
                        "at %llu.%06llu s: ", (unsigned long long)(sim->now_us / 1000000),
                        (unsigned long long)(sim->now_us % 1000000));
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sim->failure + used, sizeof sim->failure - (size_t)used, format, arguments);
    va_end(arguments);
    sim_trace_line(sim, NULL, "FAILED %s", sim->failure);
}

const char *sim_failure(const struct sim *sim) {
    return sim->failure[0] != '\0' ? sim->failure : NULL;
}
