/* links.c - all links of one node: dialling, HELLO and WELCOME, frames, keepalive, goodbye.
 *
 * Life of a link: dialling (in by_token) or accepted (in by_number) -> HELLO -> WELCOME -> open ->
 * closing -> gone. A link is freed in one place only, when the driver says that it is gone, so no
 * callback ever sees it vanish. */
#include "common/links.h"

#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "common/traffic.h"

#define RECORD_MINUTES 1440
#define CURSOR_DIALLING 0x80000000u /* links_next: second half of the walk */

void links_init(struct links *links, const struct node_env *env, const struct links_role *role,
                void *context, struct timers *timers) {
    *links = (struct links){
        .env = env, .role = role, .context = context, .timers = timers, .cert = env->cert};
    map_init(&links->by_number, sizeof(uint32_t), env->seed ^ 0x6c696e6b6e756d62);
    map_init(&links->by_token, sizeof(uint32_t), env->seed ^ 0x6c696e6b746f6b65);
}

void links_begin(struct links *links, const struct node_event *event, struct outbox *out) {
    links->out = out;
    links->mono_us = event->mono_us;
    links->wall_s = event->wall_s;
}

static uint64_t after_ms(const struct links *links, uint64_t ms) {
    return links->mono_us + ms * 1000;
}

static struct link *new_link(struct links *links, const struct node_id *id,
                             const struct address *remote) {
    struct link *link = mem_new(sizeof *link);
    link->handshake = mem_new(sizeof *link->handshake);
    link->links = links;
    link->id = *id;
    link->remote = *remote;
    link->timer.kind = LINKS_TIMER;
    link->timer.owner = link;
    link->heard_us = links->mono_us;
    return link;
}

/* The next bytes go on where these ended; most times that is between two messages. */
static void keep_session(struct link *link, const struct session *session) {
    if (session->partial.data == NULL) {
        mem_free(link->session);
        link->session = NULL;
        return;
    }
    if (link->session == NULL) {
        link->session = mem_new(sizeof *link->session);
    }
    *link->session = *session;
}

static void free_link(struct link *link) {
    timers_cancel(link->links->timers, &link->timer);
    if (link->session != NULL) {
        session_free(link->session);
        mem_free(link->session);
    }
    mem_free(link->handshake);
    mem_free(link);
}

/* ---- Sending ---- */

static void send_now(struct link *link, uint8_t type, struct slice payload) {
    struct outbox *out = link->links->out;
    CHECK(payload.len <= wire_message_info(type)->payload_max);
    if (session_stays_plain(type, payload.len)) {
        uint8_t header[FRAME_HEADER_BYTES];
        wire_frame_header(header, type, 0, payload.len);
        outbox_write(out, link->number, (struct slice){header, sizeof header});
        outbox_write(out, link->number, payload);
        traffic_sent(link->links->env->traffic, type, sizeof header + payload.len);
        return;
    }
    struct buf frame = {0};
    session_pack(link->links->env->packer, type, payload, &frame);
    outbox_write(out, link->number, (struct slice){frame.data, frame.len});
    traffic_sent(link->links->env->traffic, type, frame.len);
    buf_free(&frame);
}

void links_send(struct link *link, uint8_t type, struct slice payload) {
    CHECK(link->open);
    if (!link->closing) {
        send_now(link, type, payload);
    }
}

void links_send_block(struct link *link, const struct link_block *block) {
    CHECK(link->open);
    if (link->closing) {
        return;
    }
    struct buf header = {0};
    wire_block_header(&header, block->handle, block->index, block->len);
    struct action *action = outbox_add_bytes(link->links->out, ACTION_SEND_BLOCK,
                                             (struct slice){header.data, header.len});
    action->link = link->number;
    action->token = block->token;
    action->file = block->file;
    action->offset = block->offset;
    action->len = block->len;
    buf_free(&header);
}

/* ---- Closing ---- */

static void close_silently(struct link *link, enum err why) {
    if (link->closing) {
        return;
    }
    link->closing = true;
    link->why = (uint8_t)why;
    timers_cancel(link->links->timers, &link->timer);
    if (link->number != 0) {
        struct action *action = outbox_add(link->links->out, ACTION_CLOSE);
        action->link = link->number;
        action->reason = why;
    }
}

void links_goaway(struct link *link, const struct goaway *goaway, enum err why) {
    if (!link->closing && link->number != 0) {
        struct buf payload = {0};
        wire_goaway_encode(&payload, goaway);
        send_now(link, MSG_GOAWAY, (struct slice){payload.data, payload.len});
        buf_free(&payload);
    }
    close_silently(link, why);
}

void links_close(struct link *link, enum goaway_reason reason, enum err why) {
    struct goaway goaway = {.reason = (uint8_t)reason};
    links_goaway(link, &goaway, why);
}

/* ---- HELLO and WELCOME ---- */

/* Forget our records: they are signed again when somebody wants them. */
static void drop_own_records(struct links *links) {
    for (uint32_t i = 0; links->address_records != NULL && i < links->env->listen_count; i++) {
        buf_free(&links->address_records[i]);
    }
    mem_free(links->address_records);
    links->address_records = NULL;
}

static void make_own_record(struct links *links, uint32_t place, struct buf *out) {
    const struct node_env *env = links->env;
    struct address_record record = {.key = env->id,
                                    .seq = links->address_record_made_s,
                                    .minutes = RECORD_MINUTES,
                                    .flags = links->address_record_flags,
                                    .address_count = 1,
                                    .addresses = {env->listen[place]}};
    wire_address_record_sign(&record, env->crypto, &env->network->id);
    wire_address_record_encode(out, &record);
}

struct slice links_own_record(struct links *links, const struct link *link) {
    const struct node_env *env = links->env;
    if (env->listen_count == 0) {
        return (struct slice){0};
    }
    uint64_t now_s = links->wall_s > 0 ? (uint64_t)links->wall_s : 1;
    uint64_t made_s = links->address_record_made_s;
    bool is_fresh = made_s != 0 && now_s >= made_s && now_s - made_s < RECORD_MINUTES * 60 / 2;
    if (!is_fresh) {
        links->address_record_made_s = now_s > made_s ? now_s : made_s + 1;
        drop_own_records(links);
    }
    if (links->address_records == NULL) {
        links->address_records = mem_array(env->listen_count, sizeof *links->address_records);
    }
    uint32_t place = link != NULL ? link->place : 0;
    struct buf *record = &links->address_records[place];
    if (record->len == 0) {
        make_own_record(links, place, record);
    }
    return (struct slice){record->data, record->len};
}

/* The place in env->listen of our end of a link; 0 when it is not among them. */
static uint8_t place_of(const struct links *links, const struct address *local) {
    uint32_t place = 0;
    while (place < links->env->listen_count &&
           !address_same_host(&links->env->listen[place], local)) {
        place++;
    }
    return place < links->env->listen_count ? (uint8_t)place : 0;
}

static void send_hello(struct link *link, uint8_t type) {
    struct links *links = link->links;
    const struct node_env *env = links->env;
    bool we_dialled = type == MSG_HELLO;
    struct hello hello = {
        .version_min = WIRE_VERSION,
        .version_max = WIRE_VERSION,
        .purpose = link->purpose,
        .listen_port = env->listen_count > 0 ? env->listen[0].port : 0,
        .agent = {(const uint8_t *)env->agent, strlen(env->agent)},
        .address_record = links_own_record(links, link),
        .cert = links->cert,
    };
    network_auth(env->network, env->crypto, &link->handshake->exporter, we_dialled, &hello.auth);
    if (we_dialled) {
        memcpy(hello.nonce, link->handshake->nonce, sizeof hello.nonce);
    } else {
        hello.observed = link->remote;
    }
    struct buf payload = {0};
    wire_hello_encode(&payload, &hello);
    send_now(link, type, (struct slice){payload.data, payload.len});
    buf_free(&payload);
}

/* True when the other side knows the network's secret (always in public networks). */
static bool auth_is_right(const struct link *link, const struct hello *hello) {
    const struct node_env *env = link->links->env;
    struct hash wanted;
    network_auth(env->network, env->crypto, &link->handshake->exporter, link->token == 0, &wanted);
    uint8_t difference = 0;
    for (size_t i = 0; i < sizeof wanted.b; i++) {
        difference |= wanted.b[i] ^ hello->auth.b[i];
    }
    return difference == 0;
}

static enum err check_record(const struct link *link, const struct hello *hello) {
    if (hello->address_record.len == 0) {
        return OK;
    }
    const struct node_env *env = link->links->env;
    struct address_record record;
    enum err err = wire_address_record_decode(hello->address_record, &record);
    if (err == OK && !node_id_equal(&record.key, &link->id)) {
        err = ERR_AUTH;
    }
    if (err == OK) {
        err =
            wire_address_record_check(&record, env->crypto, &env->network->id, link->links->wall_s);
    }
    /* A clock that is far off must not cut anybody off: such a record is just not passed on. */
    return err == ERR_POLICY ? OK : err;
}

static enum err check_hello(const struct link *link, struct slice payload, struct hello *hello) {
    enum err err = wire_hello_decode(payload, hello);
    if (err == OK && !auth_is_right(link, hello)) {
        err = ERR_AUTH;
    }
    if (err == OK && (hello->version_min > WIRE_VERSION || hello->version_max < WIRE_VERSION)) {
        err = ERR_VERSION;
    }
    return err == OK ? check_record(link, hello) : err;
}

/* Two links to one node for one purpose: keep the one dialled by the lower id; of two dialled by
 * the same side the newer, since the older is most likely dead; a dial of ours that has not got
 * through yet yields too. Return ERR_DUPLICATE when it is
 * `link`, an incoming one, that must go. */
static enum err settle_duplicate(struct link *link) {
    struct links *links = link->links;
    uint32_t cursor = 0;
    for (struct link *other; (other = links_next(links, &cursor)) != NULL;) {
        if (other == link || other->closing || other->purpose != link->purpose ||
            !node_id_equal(&other->id, &link->id)) {
            continue;
        }
        bool we_said_hello = other->token != 0 && other->number != 0;
        if (we_said_hello && memcmp(links->env->id.b, link->id.b, sizeof link->id.b) < 0) {
            return ERR_DUPLICATE;
        }
        log_debug(links->env->log, "link.duplicate link=%u", other->number);
        links_close(other, GOAWAY_DUPLICATE, ERR_DUPLICATE);
    }
    return OK;
}

/* A supernode hands its record out all the time; a leaf only says it in its HELLO. */
static void drop_idle_records(struct links *links) {
    bool is_wanted = links->by_token.count > 0 || links->pending_in > 0;
    if (!is_wanted && (links->address_record_flags & ADDRESS_RECORD_SUPERNODE) == 0) {
        drop_own_records(links);
    }
}

static void open_link(struct link *link, const struct hello *hello) {
    struct links *links = link->links;
    link->open = true;
    timers_set(links->timers, &link->timer, after_ms(links, PING_AFTER_MS));
    links->role->opened(links->context, link, hello);
    mem_free(link->handshake);
    link->handshake = NULL;
    drop_idle_records(links);
}

static enum err take_hello(struct link *link, struct slice payload) {
    struct links *links = link->links;
    struct hello hello;
    enum err err = check_hello(link, payload, &hello);
    if (err == ERR_AUTH) {
        log_info(links->env->log, "link.stranger link=%u", link->number);
        close_silently(link, err); /* a stranger to a private network learns nothing */
        return OK;
    }
    if (err != OK) {
        return err;
    }
    link->purpose = hello.purpose;
    memcpy(link->handshake->nonce, hello.nonce, sizeof hello.nonce);
    struct goaway goaway = {0};
    err = settle_duplicate(link);
    if (err == ERR_DUPLICATE) {
        goaway.reason = GOAWAY_DUPLICATE;
    } else {
        err = links->role->admit(links->context, link, &hello, &goaway);
    }
    if (err != OK) {
        links_goaway(link, &goaway, err);
        return OK;
    }
    links->pending_in--;
    send_hello(link, MSG_WELCOME);
    open_link(link, &hello);
    return OK;
}

static enum err take_welcome(struct link *link, struct slice payload) {
    struct hello hello;
    enum err err = check_hello(link, payload, &hello);
    if (err == OK && hello.purpose != link->purpose) {
        err = ERR_UNEXPECTED;
    }
    if (err == OK) {
        open_link(link, &hello);
    }
    return err;
}

/* ---- Messages ---- */

static enum err take_ping(struct link *link, uint8_t type, struct slice payload) {
    struct links *links = link->links;
    struct ping ping;
    enum err err = wire_ping_decode(payload, &ping);
    if (err != OK) {
        return err;
    }
    if (type == MSG_PING) {
        send_now(link, MSG_PONG, payload);
    } else if (link->pinged_us != 0 && ping.token == link->pinged_us) {
        uint64_t round_trip_us = links->mono_us - link->pinged_us;
        link->round_trip_us = round_trip_us < UINT32_MAX ? (uint32_t)round_trip_us : UINT32_MAX;
        link->pinged_us = 0;
    }
    return OK;
}

static enum err take_message(struct link *link, const struct session_message *message) {
    struct links *links = link->links;
    uint8_t type = message->type;
    if (!link->open) {
        bool we_dialled = link->token != 0;
        if (type == MSG_HELLO && !we_dialled) {
            return take_hello(link, message->payload);
        }
        if (type == MSG_WELCOME && we_dialled) {
            return take_welcome(link, message->payload);
        }
        if (type != MSG_GOAWAY || !we_dialled) {
            return ERR_UNEXPECTED;
        }
    }
    if (type == MSG_HELLO || type == MSG_WELCOME) {
        return ERR_UNEXPECTED;
    }
    if (type == MSG_PING || type == MSG_PONG) {
        return take_ping(link, type, message->payload);
    }
    return links->role->message(links->context, link, type, message->payload);
}

static void take_bytes(struct link *link, struct slice input) {
    struct links *links = link->links;
    link->heard_us = links->mono_us;
    link->is_probed = false;
    struct session session = {0};
    if (link->session != NULL) {
        session = *link->session;
    }
    struct session_message message;
    enum err err = OK;
    while (!link->closing && session_next(&session, links->env->packer, &input, &message, &err)) {
        traffic_received(links->env->traffic, message.type, message.bytes);
        err = take_message(link, &message);
        if (err != OK) {
            break;
        }
    }
    keep_session(link, &session);
    if (err != OK && !link->closing) {
        log_info(links->env->log, "link.misbehaved link=%u error=%s", link->number, err_name(err));
        links_close(link, GOAWAY_PROTOCOL, err);
    }
}

/* ---- Events of the driver ---- */

struct link *links_dial(struct links *links, const struct node_id *id,
                        const struct address *address, enum purpose purpose,
                        const uint8_t nonce[16]) {
    struct link *link = new_link(links, id, address);
    link->token = ++links->last_token;
    link->purpose = (uint8_t)purpose;
    if (nonce != NULL) {
        memcpy(link->handshake->nonce, nonce, sizeof link->handshake->nonce);
    }
    map_put(&links->by_token, &link->token, link);
    struct action *action = outbox_add(links->out, ACTION_DIAL);
    action->token32 = link->token;
    action->id = *id;
    action->address = *address;
    return link;
}

static void link_up(struct links *links, const struct node_event *event) {
    struct link *link;
    if (event->up.token != 0) {
        link = map_remove(&links->by_token, &event->up.token);
        CHECK(link != NULL && node_id_equal(&link->id, &event->up.id));
    } else {
        link = new_link(links, &event->up.id, &event->up.remote);
        links->pending_in++;
    }
    link->number = event->up.link;
    link->place = place_of(links, &event->up.local);
    link->handshake->exporter = event->up.exporter;
    link->heard_us = links->mono_us;
    link->is_probed = false;
    map_put(&links->by_number, &link->number, link);
    if (link->closing) { /* we lost interest while it was dialled */
        struct action *action = outbox_add(links->out, ACTION_CLOSE);
        action->link = link->number;
        action->reason = (enum err)link->why;
        return;
    }
    timers_set(links->timers, &link->timer, after_ms(links, HANDSHAKE_TIMEOUT_MS));
    if (link->token != 0) {
        send_hello(link, MSG_HELLO);
    } else if (links->pending_in > HANDSHAKES_PENDING_MAX) {
        close_silently(link, ERR_BUSY);
    }
}

static void link_gone(struct link *link, enum err reason) {
    struct links *links = link->links;
    if (link->token == 0 && !link->open) {
        links->pending_in--;
    }
    enum err why = link->closing ? (enum err)link->why : reason;
    link->closing = true;
    link->why = (uint8_t)why;
    links->role->closed(links->context, link, why);
    free_link(link);
}

static void link_flow(struct link *link, bool stalled) {
    struct links *links = link->links;
    link->stalled = stalled;
    if (links->role->flow != NULL && link->open && !link->closing) {
        links->role->flow(links->context, link);
    }
}

bool links_handle(struct links *links, const struct node_event *event) {
    struct link *link = NULL;
    switch (event->kind) {
    case NODE_LINK_UP:
        link_up(links, event);
        return true;
    case NODE_LINK_BYTES:
        link = map_get(&links->by_number, &event->bytes.link);
        if (link != NULL) {
            take_bytes(link, event->bytes.data);
        }
        return true;
    case NODE_LINK_STALLED:
    case NODE_LINK_READY:
        link = map_get(&links->by_number, &event->link.link);
        if (link != NULL) {
            link_flow(link, event->kind == NODE_LINK_STALLED);
        }
        return true;
    case NODE_LINK_DOWN:
        link = map_remove(&links->by_number, &event->link.link);
        if (link != NULL) {
            link_gone(link, event->link.reason);
        }
        return true;
    case NODE_DIAL_FAILED:
        link = map_remove(&links->by_token, &event->dial.token);
        if (link != NULL) {
            uint16_t busy_s = event->dial.retry_after_s;
            link->busy_s = busy_s < UINT8_MAX ? (uint8_t)busy_s : UINT8_MAX;
            link_gone(link, event->dial.reason);
        }
        return true;
    default:
        return false;
    }
}

static void send_ping(struct link *link) {
    link->pinged_us = link->links->mono_us;
    struct ping ping = {.token = link->pinged_us};
    struct buf payload = {0};
    wire_ping_encode(&payload, &ping);
    send_now(link, MSG_PING, (struct slice){payload.data, payload.len});
    buf_free(&payload);
}

void links_probe(struct link *link) {
    if (link->open && !link->closing && !link->is_probed) {
        link->is_probed = true;
        send_ping(link);
        timers_set(link->links->timers, &link->timer, link->pinged_us + PROBE_TIMEOUT_MS * 1000ull);
    }
}

/* An open link is pinged after a while of silence, and ends after a longer one; after a short one
 * when it was asked for a sign of life. */
static void tend_open(struct links *links, struct link *link) {
    uint64_t due_us = link->heard_us + PING_AFTER_MS * 1000ull;
    uint64_t end_us = link->heard_us + DEAD_AFTER_MS * 1000ull;
    if (due_us <= links->mono_us) {
        if (link->pinged_us == 0) {
            send_ping(link);
        }
        due_us = end_us;
    }
    if (link->is_probed) {
        uint64_t probe_us = link->pinged_us + PROBE_TIMEOUT_MS * 1000ull;
        end_us = probe_us < end_us ? probe_us : end_us;
        due_us = end_us < due_us ? end_us : due_us;
    }
    if (end_us <= links->mono_us) {
        close_silently(link, ERR_TIMEOUT);
    } else {
        timers_set(links->timers, &link->timer, due_us);
    }
}

void links_timer(struct links *links, struct timer *timer) {
    struct link *link = timer->owner;
    if (link->open) {
        tend_open(links, link);
    } else {
        links_close(link, GOAWAY_IDLE, ERR_TIMEOUT);
    }
}

/* ---- Looking around ---- */

struct link *links_next(const struct links *links, uint32_t *cursor) {
    if ((*cursor & CURSOR_DIALLING) == 0) {
        struct link *link = map_next(&links->by_number, cursor, NULL);
        if (link != NULL) {
            return link;
        }
        *cursor = CURSOR_DIALLING;
    }
    uint32_t place = *cursor & ~CURSOR_DIALLING;
    struct link *link = map_next(&links->by_token, &place, NULL);
    *cursor = place | CURSOR_DIALLING;
    return link;
}

struct link *links_find(const struct links *links, const struct node_id *id, uint8_t purpose) {
    uint32_t cursor = 0;
    for (struct link *link; (link = links_next(links, &cursor)) != NULL;) {
        bool is_wanted = !link->closing && link->purpose == purpose;
        if (is_wanted && (link->token != 0 || link->open) && node_id_equal(&link->id, id)) {
            return link;
        }
    }
    return NULL;
}

void links_free(struct links *links) {
    uint32_t cursor = 0;
    for (struct link *link; (link = links_next(links, &cursor)) != NULL;) {
        free_link(link);
    }
    map_free(&links->by_number);
    map_free(&links->by_token);
    drop_own_records(links);
}
