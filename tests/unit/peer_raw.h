/* peer_raw.h - a node without a mind: it opens links, says what the test tells it, keeps the mail.
 */
#ifndef TRUNKLINE_TESTS_UNIT_PEER_RAW_H
#define TRUNKLINE_TESTS_UNIT_PEER_RAW_H

#include "tests/unit/peer_world.h"

struct raw_message {
    struct raw_message *next;
    struct link *link;
    uint8_t type;
    struct buf payload;
};

struct raw {
    struct world_node *node;
    struct links links;
    struct timers timers;
    struct raw_message *inbox; /* oldest first */
    struct raw_message **inbox_end;
    struct link *link; /* the last that opened, NULL when it is gone */
    uint32_t opened;
    uint32_t closed;
    enum err last_close;
    bool refuses;          /* links, with GOAWAY_FULL */
    struct goaway refusal; /* what it says then */
    /* Called for every message, within a step; may answer with links_send. May be NULL. */
    void (*answer)(struct raw *raw, struct link *link, uint8_t type, struct slice payload);
    void *context;
};

static inline enum err raw_admit(void *role, struct link *link, const struct hello *hello,
                                 struct goaway *goaway) {
    struct raw *raw = role;
    (void)link;
    (void)hello;
    if (raw->refuses) {
        *goaway = raw->refusal;
        return ERR_BUSY;
    }
    return OK;
}

static inline void raw_opened(void *role, struct link *link, const struct hello *hello) {
    struct raw *raw = role;
    (void)hello;
    raw->link = link;
    raw->opened++;
}

static inline enum err raw_message(void *role, struct link *link, uint8_t type,
                                   struct slice payload) {
    struct raw *raw = role;
    struct raw_message *message = mem_new(sizeof *message);
    message->link = link;
    message->type = type;
    buf_append(&message->payload, payload.data, payload.len);
    *raw->inbox_end = message;
    raw->inbox_end = &message->next;
    if (raw->answer != NULL) {
        raw->answer(raw, link, type, (struct slice){message->payload.data, payload.len});
    }
    return OK;
}

static inline void raw_closed(void *role, struct link *link, enum err reason) {
    struct raw *raw = role;
    raw->closed++;
    raw->last_close = reason;
    if (raw->link == link) {
        raw->link = NULL;
    }
    for (struct raw_message *at = raw->inbox; at != NULL; at = at->next) {
        at->link = at->link == link ? NULL : at->link;
    }
}

static inline void raw_step(void *self, const struct node_event *event, struct outbox *out) {
    struct raw *raw = self;
    links_begin(&raw->links, event, out);
    if (event->kind == NODE_TIMER) {
        for (struct timer *timer;
             (timer = timers_take(&raw->timers, raw->links.mono_us)) != NULL;) {
            links_timer(&raw->links, timer);
        }
    } else {
        links_handle(&raw->links, event);
    }
}

static inline uint64_t raw_deadline(const void *self) {
    const struct raw *raw = self;
    return timers_next(&raw->timers);
}

static inline void raw_forget(struct raw *raw) {
    while (raw->inbox != NULL) {
        struct raw_message *message = raw->inbox;
        raw->inbox = message->next;
        buf_free(&message->payload);
        mem_free(message);
    }
    raw->inbox_end = &raw->inbox;
}

static inline void raw_free(void *self) {
    struct raw *raw = self;
    raw_forget(raw);
    links_free(&raw->links);
    timers_free(&raw->timers);
    mem_free(raw);
}

static inline struct raw *raw_add(struct world *world) {
    static const struct links_role role = {raw_admit, raw_opened, raw_message, raw_closed, NULL};
    static const struct node_ops ops = {raw_step, raw_deadline, raw_free};
    struct raw *raw = mem_new(sizeof *raw);
    raw->node = world_add(world);
    raw->inbox_end = &raw->inbox;
    raw->refusal.reason = GOAWAY_FULL;
    links_init(&raw->links, &raw->node->env, &role, raw, &raw->timers);
    raw->links.address_record_flags = ADDRESS_RECORD_SUPERNODE;
    raw->node->node = (struct node){&ops, raw};
    struct node_event event = {.kind = NODE_START};
    world_step(raw->node, &event);
    return raw;
}

/* Let links work outside a step: what they do is carried out by raw_end. */
static inline void raw_begin(struct raw *raw) {
    struct node_event event = {.kind = NODE_TIMER, .mono_us = raw->node->world->now_us};
    event.wall_s = WORLD_WALL_S + (int64_t)(event.mono_us / SECOND_US);
    links_begin(&raw->links, &event, &raw->node->out);
}

static inline void raw_end(struct raw *raw) {
    struct node_event event = {.kind = NODE_TIMER};
    world_step(raw->node, &event); /* carries out what is in the outbox, too */
}

static inline struct link *raw_dial(struct raw *raw, const struct world_node *to,
                                    enum purpose purpose) {
    raw_begin(raw);
    links_dial(&raw->links, &to->identity.id, &to->env.listen[0], purpose, NULL);
    raw_end(raw);
    world_run_for(raw->node->world, 20 * LATENCY_US);
    return raw->link;
}

/* Send an encoded payload and free it. */
static inline void raw_send(struct raw *raw, struct link *link, uint8_t type, struct buf *payload) {
    raw_begin(raw);
    links_send(link, type, (struct slice){payload->data, payload->len});
    buf_free(payload);
    raw_end(raw);
}

static inline uint32_t raw_count(const struct raw *raw, uint8_t type) {
    uint32_t count = 0;
    for (const struct raw_message *at = raw->inbox; at != NULL; at = at->next) {
        count += at->type == type;
    }
    return count;
}

/* The payload of the `nth` message of a type. */
static inline struct slice raw_payload(const struct raw *raw, uint8_t type, uint32_t nth) {
    for (const struct raw_message *at = raw->inbox; at != NULL; at = at->next) {
        if (at->type == type && nth-- == 0) {
            return (struct slice){at->payload.data, at->payload.len};
        }
    }
    fail_msg("no message of type %u", type);
    return (struct slice){0};
}

#endif
