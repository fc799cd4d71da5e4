/* hostile.c - a true supernode, and what is added to the messages that leave it.
 *
 * For every copy of a query that it sends, a forger sends to the same neighbour
 * - the copy again: the same id, with the same ttl;
 * - HITS for an id that nobody ever had;
 * - HITS and END for the id of the copy, which the neighbour has not sent to it with that ttl, or
 *   not at all: somebody else's query.
 * Some of these answers are to copies that it does owe an answer to: nobody can tell. Its hits
 * match no query, so the peer that asked drops them. */
#include "tests/sim/hostile.h"

#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "supernode/core.h"

struct hostile {
    struct node true_one;
    const struct node_env *env;
    enum hostile_manner manner;
    struct hits hits;
};

/* Every word is in a chunk that goes out. */
static void poison(struct outbox *out, const struct frame *frame) {
    struct summary_part part;
    if (frame->type == MSG_SUMMARY && wire_summary_decode(frame->payload, &part) == OK &&
        part.kind == SUMMARY_CHUNK) {
        memset(out->bytes.data + (part.bytes.data - out->bytes.data), 0xff, part.bytes.len);
    }
}

static void append(struct hostile *hostile, struct buf *out, uint8_t type, struct buf *payload) {
    session_pack(hostile->env->packer, type, (struct slice){payload->data, payload->len}, out);
    buf_free(payload);
}

static void append_hits(struct hostile *hostile, struct buf *out, const struct query_id *id,
                        uint8_t ttl) {
    static const char name[] = "forged";
    struct hits *hits = &hostile->hits;
    *hits = (struct hits){.id = *id, .ttl = ttl, .holder_count = 1, .hit_count = 1};
    memset(hits->holders[0].id.b, 0x66, sizeof hits->holders[0].id.b);
    hits->hits[0].file.content.size = 66;
    hits->hits[0].file.name = (struct slice){(const uint8_t *)name, sizeof name - 1};
    hits->hits[0].holder_count = 1;
    struct buf payload = {0};
    wire_hits_encode(&payload, hits);
    append(hostile, out, MSG_HITS, &payload);
}

static void append_end(struct hostile *hostile, struct buf *out, const struct query_id *id,
                       uint8_t ttl) {
    struct query_end end = {.id = *id, .ttl = ttl, .coverage.supernodes = 1000};
    struct buf payload = {0};
    wire_end_encode(&payload, &end);
    append(hostile, out, MSG_END, &payload);
}

/* What goes with a copy. */
static void forge(struct hostile *hostile, const struct frame *frame, struct buf *out) {
    struct query_header header;
    struct query_id id;
    enum err err = wire_query_decode(frame->payload, &header);
    CHECK(err == OK);
    wire_query_id(header.body, hostile->env->crypto, &id);
    struct query_id nobodys = id;
    nobodys.b[0] ^= 0xff;
    wire_frame_write(out, frame->type, 0, frame->payload);
    append_hits(hostile, out, &nobodys, 1);
    append_hits(hostile, out, &id, header.ttl);
    append_end(hostile, out, &id, header.ttl);
}

/* Look through what an action writes; what is added goes to *more. */
static void tamper(struct hostile *hostile, struct outbox *out, const struct action *action,
                   struct buf *more) {
    struct slice rest = outbox_bytes(out, action);
    struct frame frame;
    size_t used;
    enum err err;
    while (wire_frame_read(rest, &frame, &used, &err)) {
        if (hostile->manner == HOSTILE_POISONER) {
            poison(out, &frame);
        } else if (frame.type == MSG_QUERY) {
            forge(hostile, &frame, more);
        }
        rest.data += used;
        rest.len -= used;
    }
}

static void hostile_step(void *self, const struct node_event *event, struct outbox *out) {
    struct hostile *hostile = self;
    node_step(hostile->true_one, event, out);
    uint32_t count = out->count; /* what is added comes behind */
    for (uint32_t i = 0; i < count; i++) {
        struct action action = out->actions[i];
        struct buf more = {0};
        if (action.kind == ACTION_WRITE) {
            tamper(hostile, out, &action, &more);
        }
        if (more.len > 0) {
            outbox_write(out, action.link, (struct slice){more.data, more.len});
        }
        buf_free(&more);
    }
}

static uint64_t hostile_deadline(const void *self) {
    return node_deadline(((const struct hostile *)self)->true_one);
}

static void hostile_free(void *self) {
    struct hostile *hostile = self;
    node_free(hostile->true_one);
    mem_free(hostile);
}

struct node hostile_new(struct node supernode, const struct node_env *env,
                        enum hostile_manner manner) {
    static const struct node_ops ops = {hostile_step, hostile_deadline, hostile_free};
    struct hostile *hostile = mem_new(sizeof *hostile);
    hostile->true_one = supernode;
    hostile->env = env;
    hostile->manner = manner;
    return (struct node){&ops, hostile};
}
