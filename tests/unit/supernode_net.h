/* supernode_net.h - a tiny world for tests: nodes joined by links, on virtual time, from one seed.
 *
 * It carries out dials, writes and closes with random latency, keeps order per direction, and can
 * hang a node (it stays connected and says nothing more). A watcher sees every message sent. */
#ifndef TRUNKLINE_TESTS_UNIT_SUPERNODE_NET_H
#define TRUNKLINE_TESTS_UNIT_SUPERNODE_NET_H

#include "tests/unit/testlib.h"

#include <stdio.h>

#include "common/map.h"
#include "common/mem.h"
#include "common/pack.h"
#include "common/timers.h"
#include "common/wire.h"

#define NET_PORT 7000
#define NET_WALL_S 1700000000
#define NET_STEPS_MAX 100000 /* of the world at one instant: somebody spins */

struct net;

struct net_node {
    struct net *net;
    uint32_t number;
    struct node node;
    struct node_env env;
    struct crypto crypto;
    struct rng dice; /* of fill_random */
    struct store *store;
    struct timer wake;
    struct outbox out;
    struct address host; /* where its links come from; port 0 */
    bool is_hung;        /* takes nothing, says nothing, stays connected */
    bool is_deaf;        /* refuses dials */
    bool is_hidden;      /* dials to it hear nothing */
    uint16_t busy_s;     /* refuses dials, and asks them to come back so much later */
    uint32_t dials;      /* that came to it */
    bool is_stopped;     /* ACTION_STOPPED */
    struct buf reports;  /* all fields of all reports, one after the other */
};

struct net_link {
    uint32_t number;
    struct net_node *ends[2]; /* 0 dialled */
    uint64_t last_us[2];      /* when the last event for this end is due */
    bool is_closed[2];        /* this end takes nothing more */
};

/* A message as it is handed to a link. */
struct net_message {
    const struct net_node *from;
    const struct net_node *to;
    uint32_t link;
    uint8_t type;
    struct slice payload; /* inflated */
};

struct net {
    uint64_t now_us;
    struct rng rng;
    struct timers timers;
    struct packer *packer;
    struct packer *watch_packer;
    struct network network;
    struct net_node **nodes;
    uint32_t count;
    struct map links; /* u32 -> struct net_link */
    uint32_t last_link;
    uint64_t latency_us_min;
    uint64_t latency_us_max;
    uint32_t steps_now;
    bool is_loud;
    void *watcher;
    void (*watch)(void *watcher, const struct net_message *message);
};

enum net_timer { NET_WAKE, NET_EVENT };

/* Something on its way to a node. */
struct net_event {
    struct timer timer;
    struct net_node *to;
    struct net_link *link;
    int end; /* of the link */
    struct node_event event;
    struct buf bytes;
};

/* ---- A stand-in for signatures: fast, and good for nothing else ---- */

static inline void net_mark(const struct node_id *id, struct slice message,
                            uint8_t signature[SIGNATURE_BYTES]) {
    struct hash hash;
    test_sha256(NULL, (struct slice){id->b, sizeof id->b}, message, &hash);
    memcpy(signature, hash.b, sizeof hash.b);
    memcpy(signature + sizeof hash.b, hash.b, sizeof hash.b);
}

static inline void net_sign(void *context, struct slice message,
                            uint8_t signature[SIGNATURE_BYTES]) {
    net_mark(&((struct net_node *)context)->env.id, message, signature);
}

static inline bool net_verify(void *context, const struct node_id *signer, struct slice message,
                              const uint8_t signature[SIGNATURE_BYTES]) {
    (void)context;
    uint8_t wanted[SIGNATURE_BYTES];
    net_mark(signer, message, wanted);
    return memcmp(wanted, signature, sizeof wanted) == 0;
}

static inline void net_fill_random(void *context, void *to, size_t len) {
    rng_fill(&((struct net_node *)context)->dice, to, len);
}

static const struct crypto net_crypto = {.sha256 = test_sha256,
                                         .sign = net_sign,
                                         .verify = net_verify,
                                         .hmac = test_hmac,
                                         .fill_random = net_fill_random};

/* ---- Time ---- */

static inline uint64_t net_latency(struct net *net) {
    return net->latency_us_min +
           rng_below(&net->rng, net->latency_us_max - net->latency_us_min + 1);
}

static inline struct net_event *net_event(struct net *net, struct net_node *to,
                                          enum node_event_kind kind) {
    (void)net;
    struct net_event *event = mem_new(sizeof *event);
    event->timer.kind = NET_EVENT;
    event->timer.owner = event;
    event->to = to;
    event->event.kind = kind;
    return event;
}

static inline void net_post(struct net *net, struct net_event *event, uint64_t due_us) {
    timers_set(&net->timers, &event->timer, due_us);
}

/* Post to one end of a link, after all that was posted to it before. */
static inline void net_post_link(struct net *net, struct net_event *event, struct net_link *link,
                                 int end) {
    uint64_t due_us = net->now_us + net_latency(net);
    if (due_us < link->last_us[end]) {
        due_us = link->last_us[end];
    }
    link->last_us[end] = due_us;
    event->link = link;
    event->end = end;
    net_post(net, event, due_us);
}

/* ---- What nodes ask for ---- */

static inline struct net_node *net_at(const struct net *net, const struct address *address) {
    for (uint32_t i = 0; i < net->count; i++) {
        if (address_same_host(&net->nodes[i]->host, address) && address->port == NET_PORT) {
            return net->nodes[i];
        }
    }
    return NULL;
}

static inline void net_dial(struct net *net, struct net_node *from, const struct action *action) {
    struct net_node *to = net_at(net, &action->address);
    if (to != NULL) {
        to->dials++;
    }
    if (to != NULL && to->is_hidden) {
        return;
    }
    if (to == NULL || to->busy_s > 0 || to->is_deaf || to->is_hung || to->node.self == NULL ||
        !node_id_equal(&to->env.id, &action->id)) {
        struct net_event *event = net_event(net, from, NODE_DIAL_FAILED);
        event->event.dial.token = action->token32;
        event->event.dial.reason = ERR_UNREACHABLE;
        event->event.dial.retry_after_s = to != NULL ? to->busy_s : 0;
        net_post(net, event, net->now_us + 2 * net_latency(net));
        return;
    }
    struct net_link *link = mem_new(sizeof *link);
    link->number = ++net->last_link;
    link->ends[0] = from;
    link->ends[1] = to;
    map_put(&net->links, &link->number, link);
    for (int end = 1; end >= 0; end--) {
        struct net_event *event = net_event(net, link->ends[end], NODE_LINK_UP);
        event->event.up.link = link->number;
        event->event.up.token = end == 0 ? action->token32 : 0;
        event->event.up.id = link->ends[1 - end]->env.id;
        event->event.up.remote = end == 0 ? action->address : from->host;
        if (end == 1) {
            event->event.up.remote.port = (uint16_t)(40000 + link->number % 20000);
        }
        memcpy(event->event.up.exporter.b, &link->number, sizeof link->number);
        net_post_link(net, event, link, end);
        link->last_us[0] = link->last_us[1] + 1; /* the dialling end is up last */
    }
}

static inline int net_end(const struct net_link *link, const struct net_node *node) {
    return link->ends[0] == node ? 0 : 1;
}

static inline void net_show(struct net *net, const struct net_node *from,
                            const struct net_link *link, struct slice bytes) {
    struct frame frame;
    size_t used;
    enum err err;
    while (net->watch != NULL && wire_frame_read(bytes, &frame, &used, &err)) {
        struct net_message message = {from, link->ends[1 - net_end(link, from)], link->number,
                                      frame.type, frame.payload};
        if ((frame.flags & FRAME_DEFLATED) != 0) {
            assert_int_equal(packer_inflate(net->watch_packer, frame.payload, FRAME_PAYLOAD_MAX,
                                            &message.payload),
                             OK);
        }
        net->watch(net->watcher, &message);
        bytes.data += used;
        bytes.len -= used;
    }
}

static inline void net_write(struct net *net, struct net_node *from, const struct action *action) {
    struct net_link *link = map_get(&net->links, &action->link);
    assert_non_null(link);
    int end = 1 - net_end(link, from);
    struct slice bytes = outbox_bytes(&from->out, action);
    net_show(net, from, link, bytes);
    struct net_event *event = net_event(net, link->ends[end], NODE_LINK_BYTES);
    buf_append(&event->bytes, bytes.data, bytes.len);
    event->event.bytes.link = link->number;
    net_post_link(net, event, link, end);
}

static inline void net_down(struct net *net, struct net_link *link, int end, enum err reason) {
    struct net_event *event = net_event(net, link->ends[end], NODE_LINK_DOWN);
    event->event.link.link = link->number;
    event->event.link.reason = reason;
    net_post_link(net, event, link, end);
}

/* Break a link: both ends are told. */
static inline void net_break(struct net *net, struct net_link *link) {
    for (int end = 0; end < 2; end++) {
        net_down(net, link, end, ERR_CLOSED);
    }
}

static inline void net_report(struct net_node *node, const struct action *action) {
    struct slice bytes = outbox_bytes(&node->out, action);
    struct report_field field;
    while (report_next(&bytes, &field)) {
        buf_append(&node->reports, field.key.data, field.key.len);
        buf_append(&node->reports, "=", 1);
        char number[24];
        int len = snprintf(number, sizeof number, "%llu", (unsigned long long)field.number);
        if (field.type == REPORT_TEXT) {
            buf_append(&node->reports, field.text.data, field.text.len);
        } else {
            buf_append(&node->reports, number, (size_t)len);
        }
        buf_append(&node->reports, " ", 1);
    }
}

static inline void net_carry_out(struct net *net, struct net_node *node) {
    for (uint32_t i = 0; i < node->out.count; i++) {
        const struct action *action = &node->out.actions[i];
        switch (action->kind) {
        case ACTION_DIAL:
            net_dial(net, node, action);
            break;
        case ACTION_WRITE:
            net_write(net, node, action);
            break;
        case ACTION_CLOSE: {
            struct net_link *link = map_get(&net->links, &action->link);
            assert_non_null(link);
            net_break(net, link);
            break;
        }
        case ACTION_STOPPED:
            node->is_stopped = true;
            break;
        case ACTION_REPORT:
            net_report(node, action);
            break;
        default:
            break;
        }
    }
    outbox_clear(&node->out);
    uint64_t deadline = node_deadline(node->node);
    timers_cancel(&net->timers, &node->wake);
    if (deadline != TIMERS_NEVER) {
        timers_set(&net->timers, &node->wake, deadline > net->now_us ? deadline : net->now_us);
    }
}

static inline void net_step(struct net *net, struct net_node *node, struct node_event *event) {
    if (node->is_hung || node->is_stopped || node->node.self == NULL) {
        return;
    }
    assert_true(++net->steps_now < NET_STEPS_MAX);
    event->mono_us = net->now_us;
    event->wall_s = NET_WALL_S + (int64_t)(net->now_us / 1000000);
    node_step(node->node, event, &node->out);
    net_carry_out(net, node);
}

static inline void net_deliver(struct net *net, struct net_event *event) {
    struct net_link *link = event->link;
    bool is_void = link != NULL && link->is_closed[event->end];
    if (!is_void) {
        if (event->event.kind == NODE_LINK_DOWN) {
            link->is_closed[event->end] = true;
        }
        if (event->event.kind == NODE_LINK_BYTES) {
            event->event.bytes.data = (struct slice){event->bytes.data, event->bytes.len};
        }
        net_step(net, event->to, &event->event);
    }
    buf_free(&event->bytes);
    mem_free(event);
}

/* Run all that is due until then. */
static inline void net_run_until(struct net *net, uint64_t until_us) {
    while (timers_next(&net->timers) <= until_us) {
        uint64_t due_us = timers_next(&net->timers);
        if (due_us > net->now_us) {
            net->now_us = due_us;
            net->steps_now = 0;
        }
        struct timer *timer = timers_take(&net->timers, net->now_us);
        if (timer->kind == NET_EVENT) {
            net_deliver(net, timer->owner);
        } else {
            struct node_event event = {.kind = NODE_TIMER};
            net_step(net, timer->owner, &event);
        }
    }
    net->now_us = until_us;
}

static inline void net_run(struct net *net, uint64_t ms) {
    net_run_until(net, net->now_us + ms * 1000);
}

/* ---- The world ---- */

static inline void net_log(void *context, enum log_level level, const char *line) {
    struct net_node *node = context;
    if (node->net->is_loud) {
        print_message("%10.3f %u %d %s\n", (double)node->net->now_us / 1e6, node->number,
                      (int)level, line);
    }
}

static inline struct net *net_new(uint64_t seed) {
    struct net *net = mem_new(sizeof *net);
    rng_seed(&net->rng, seed);
    net->packer = packer_new();
    net->watch_packer = packer_new();
    net->now_us = 1000000;
    net->latency_us_min = 100;
    net->latency_us_max = 20000;
    map_init(&net->links, sizeof(uint32_t), seed);
    strcpy(net->network.name, "net");
    net->network.policy = NETWORK_OPEN;
    net->network.epoch_s = 3600;
    assert_int_equal(network_seal(&net->network, &net_crypto), OK);
    return net;
}

/* Add a node's place; set its `node`, then call net_start. */
static inline struct net_node *net_add(struct net *net) {
    struct net_node *node = mem_new(sizeof *node);
    node->net = net;
    node->number = net->count;
    node->host = test_address(net->count + 1, 0);
    node->crypto = net_crypto;
    node->crypto.context = node;
    node->store = store_memory_new(NULL, NULL);
    node->wake.kind = NET_WAKE;
    node->wake.owner = node;
    static struct log log = {.level = LOG_LEVEL_DEBUG, .write = net_log};
    struct log *own_log = mem_copy(&log, sizeof log);
    own_log->context = node;
    node->env = (struct node_env){.seed = rng_u64(&net->rng),
                                  .network = &net->network,
                                  .crypto = &node->crypto,
                                  .log = own_log,
                                  .store = node->store,
                                  .packer = net->packer,
                                  .listen = {test_address(net->count + 1, NET_PORT)},
                                  .listen_count = 1,
                                  .agent = "test/1"};
    rng_fill(&net->rng, node->env.id.b, sizeof node->env.id.b);
    rng_seed(&node->dice, node->env.seed ^ 1);
    net->nodes = mem_resize(net->nodes, net->count + 1, sizeof(struct net_node *));
    net->nodes[net->count++] = node;
    return node;
}

/* Start a node whose `node` is set: from then on it can be dialled. */
static inline void net_start(struct net_node *place) {
    struct node_event event = {.kind = NODE_START};
    net_step(place->net, place, &event);
}

/* Ask a node for something; its reports are in place->reports, as text with a NUL. */
static inline const char *net_command(struct net_node *place, const char *name) {
    struct node_event event = {.kind = NODE_COMMAND};
    event.command.id = 1;
    event.command.name = name;
    place->reports.len = 0;
    net_step(place->net, place, &event);
    buf_append(&place->reports, "", 1);
    return (const char *)place->reports.data;
}

/* The end of a process: no goodbye. */
static inline void net_kill(struct net_node *place) {
    struct net *net = place->net;
    uint32_t cursor = 0;
    for (struct net_link *link; (link = map_next(&net->links, &cursor, NULL)) != NULL;) {
        if (link->ends[0] == place || link->ends[1] == place) {
            net_break(net, link);
        }
    }
    timers_cancel(&net->timers, &place->wake);
    node_free(place->node);
    place->node = (struct node){0};
}

static inline void net_free(struct net *net) {
    for (struct timer *timer; (timer = timers_take(&net->timers, UINT64_MAX)) != NULL;) {
        if (timer->kind == NET_EVENT) {
            buf_free(&((struct net_event *)timer->owner)->bytes);
            mem_free(timer->owner);
        }
    }
    for (uint32_t i = 0; i < net->count; i++) {
        struct net_node *node = net->nodes[i];
        if (node->node.self != NULL) {
            node_free(node->node);
        }
        store_free(node->store);
        outbox_free(&node->out);
        buf_free(&node->reports);
        mem_free((void *)(uintptr_t)node->env.log);
        mem_free(node);
    }
    uint32_t cursor = 0;
    for (struct net_link *link; (link = map_next(&net->links, &cursor, NULL)) != NULL;) {
        mem_free(link);
    }
    map_free(&net->links);
    mem_free(net->nodes);
    timers_free(&net->timers);
    packer_free(net->packer);
    packer_free(net->watch_packer);
    mem_free(net);
}

#endif
