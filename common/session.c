/* session.c - cuts a link's bytes into messages, and makes frames of messages. */
#include "common/session.h"

#include "common/check.h"

#define DEFLATE_MIN 512 /* bytes; an answer of one hit is keys and hashes: 11 us for 30 bytes */

/* How long the frame at the front is, header included; FRAME_HEADER_BYTES while that is unknown.
 * A frame beyond its type's limit is refused here, when no more than its header has come. */
static size_t frame_bytes(struct slice front, enum err *err) {
    if (front.len < FRAME_HEADER_BYTES) {
        return FRAME_HEADER_BYTES;
    }
    struct reader reader = reader_of(front.data, front.len);
    uint32_t len = reader_u24(&reader);
    const struct message_info *info = wire_message_info(reader_u8(&reader));
    if (len > (info != NULL ? info->payload_max : FRAME_PAYLOAD_MAX)) {
        *err = ERR_LIMIT;
    }
    return FRAME_HEADER_BYTES + (size_t)len;
}

static void skip(struct slice *input, size_t len) {
    input->data += len;
    input->len -= len;
}

/* Bytes are only ever added up to the end of a frame, so a whole one was delivered before. */
static void drop_delivered(struct session *session) {
    enum err ignored = OK;
    struct slice kept = {session->partial.data, session->partial.len};
    if (kept.len >= frame_bytes(kept, &ignored)) {
        buf_free(&session->partial);
    }
}

/* Move input to `partial` until a frame is whole there, the input ends, or *err is set. */
static void gather(struct session *session, struct slice *input, enum err *err) {
    struct buf *partial = &session->partial;
    size_t wanted;
    while ((wanted = frame_bytes((struct slice){partial->data, partial->len}, err)) >
               partial->len &&
           *err == OK && input->len > 0) {
        size_t more = wanted - partial->len;
        more = more < input->len ? more : input->len;
        buf_append(partial, input->data, more);
        skip(input, more);
    }
}

static bool next_frame(struct session *session, struct slice *input, struct frame *frame,
                       enum err *err) {
    drop_delivered(session);
    size_t used;
    if (session->partial.len == 0) {
        (void)frame_bytes(*input, err);
        if (*err != OK) {
            return false;
        }
        if (wire_frame_read(*input, frame, &used, err)) {
            skip(input, used);
            return true;
        }
        if (*err != OK) {
            return false;
        }
    }
    gather(session, input, err);
    struct slice kept = {session->partial.data, session->partial.len};
    return *err == OK && wire_frame_read(kept, frame, &used, err);
}

/* What so many deflated bytes may unfold to: less than deflate allows, so that a stranger must send
 * about as much as we must work. */
static size_t inflate_bound(size_t deflated, size_t payload_max) {
    size_t bound = INFLATE_FREE_BYTES + INFLATE_RATIO_MAX * deflated;
    return bound < payload_max ? bound : payload_max;
}

/* Version 1 has one way to deflate, and never deflates file bytes. */
static enum err unpack(struct packer *packer, const struct frame *frame, size_t payload_max,
                       struct session_message *message) {
    size_t whole = FRAME_HEADER_BYTES + frame->payload.len;
    *message = (struct session_message){frame->type, frame->flags, frame->payload, whole};
    if ((frame->flags & FRAME_DEFLATED) == 0) {
        return OK;
    }
    if (frame->type == MSG_BLOCK || (frame->flags & FRAME_DICTIONARY) != FRAME_DICTIONARY_1) {
        return ERR_FORMAT;
    }
    size_t bound = inflate_bound(frame->payload.len, payload_max);
    return packer_inflate(packer, frame->payload, bound, &message->payload);
}

bool session_next(struct session *session, struct packer *packer, struct slice *input,
                  struct session_message *message, enum err *err) {
    *message = (struct session_message){0};
    *err = OK;
    struct frame frame;
    while (next_frame(session, input, &frame, err)) {
        const struct message_info *info = wire_message_info(frame.type);
        if (info != NULL) {
            *err = unpack(packer, &frame, info->payload_max, message);
            return *err == OK;
        }
        if ((frame.flags & FRAME_CRITICAL) != 0) {
            *err = ERR_CRITICAL;
            return false;
        }
    }
    return false;
}

/* Types whose payload deflate cannot shrink, or that are deflated inside (the query's body). */
bool session_stays_plain(uint8_t type, size_t len) {
    switch (type) {
    case MSG_BLOCK:
    case MSG_QUERY:
    case MSG_LOCATE:
    case MSG_HASHES:
    case MSG_SUMMARY:
    case MSG_MEASURED:
    case MSG_ROW: /* keys and prefixes of hashes: 0.7 % for 48 us, and nothing for 800 */
    case MSG_MEMBERS:
    case MSG_TRUST_HAVE:
    case MSG_TRUST_WANT:
        return true;
    default:
        return len < DEFLATE_MIN;
    }
}

void session_pack(struct packer *packer, uint8_t type, struct slice payload, struct buf *out) {
    const struct message_info *info = wire_message_info(type);
    CHECK(info != NULL && payload.len <= info->payload_max);
    if (!session_stays_plain(type, payload.len)) {
        struct buf deflated = {0};
        struct slice noise = type == MSG_REG_ADD ? wire_reg_add_noise(payload) : (struct slice){0};
        packer_deflate_around(packer, payload, noise, &deflated);
        if (deflated.len < payload.len &&
            payload.len <= inflate_bound(deflated.len, info->payload_max)) {
            wire_frame_write(out, type, FRAME_DEFLATED | FRAME_DICTIONARY_1,
                             (struct slice){deflated.data, deflated.len});
            buf_free(&deflated);
            return;
        }
        buf_free(&deflated);
    }
    wire_frame_write(out, type, 0, payload);
}

void session_free(struct session *session) {
    buf_free(&session->partial);
}
