/* sim_toy.h - toy nodes for tests of the simulated world: they only note what they are told. */
#ifndef TRUNKLINE_TESTS_UNIT_SIM_TOY_H
#define TRUNKLINE_TESTS_UNIT_SIM_TOY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/mem.h"
#include "src/sim/sim.h"

#define SECOND 1000000ull

/* A node that does what its plan says and leaves notes there; the plan outlives the node. */
struct toy {
    void (*act)(struct toy *toy, const struct node_event *event, struct outbox *out);
    const struct node_env *env;
    uint32_t target; /* whom it dials at start */
    bool dials;
    uint32_t link;
    uint32_t seen[NODE_EVENT_KINDS];
    uint64_t seen_us[NODE_EVENT_KINDS]; /* the last one's time on the node's clock */
    enum err reason;
    uint64_t bytes;
    uint64_t due_us;
    struct hash exporter;
    struct slice pieces;
    uint8_t piece_bits;
    struct buf output;
};

static inline void toy_step(void *self, const struct node_event *event, struct outbox *out) {
    struct toy *toy = self;
    toy->seen[event->kind]++;
    toy->seen_us[event->kind] = event->mono_us;
    if (event->kind == NODE_START && toy->dials) {
        struct action *action = outbox_add(out, ACTION_DIAL);
        action->token32 = 1;
        action->address = sim_address(toy->target);
        memcpy(action->id.b, toy->output.data, sizeof action->id.b);
    }
    if (event->kind == NODE_LINK_UP) {
        toy->link = event->up.link;
        toy->exporter = event->up.exporter;
    }
    if (event->kind == NODE_LINK_BYTES) {
        toy->bytes += event->bytes.data.len;
    }
    if (event->kind == NODE_LINK_DOWN) {
        toy->reason = event->link.reason;
    }
    if (event->kind == NODE_DIAL_FAILED) {
        toy->reason = event->dial.reason;
    }
    if (toy->act != NULL) {
        toy->act(toy, event, out);
    }
}

static inline uint64_t toy_deadline(const void *self) {
    const struct toy *toy = self;
    return toy->due_us > 0 ? toy->due_us : UINT64_MAX;
}

static inline void toy_free(void *self) {
    (void)self;
}

static const struct node_ops toy_ops = {toy_step, toy_deadline, toy_free};

static inline struct node toy_make(const struct node_env *env, void *context) {
    struct toy *toy = context;
    toy->env = env;
    return (struct node){&toy_ops, toy};
}

/* A world of two toys; the first dials the second. */
struct pair {
    struct sim *sim;
    struct toy toys[2];
    struct network network;
};

/* Two machines that differ from the usual ones. */
static inline void pair_begin_with(struct pair *pair, uint64_t seed, uint32_t uplink_bytes_per_s,
                                   bool cannot_listen) {
    memset(pair, 0, sizeof *pair);
    struct sim_config config = {.seed = seed, .network = &pair->network};
    pair->sim = sim_new(&config);
    for (uint32_t i = 0; i < 2; i++) {
        struct sim_machine_config machine = {.make = toy_make,
                                             .context = &pair->toys[i],
                                             .uplink_bytes_per_s = uplink_bytes_per_s,
                                             .cannot_listen = cannot_listen};
        assert_int_equal(sim_add(pair->sim, &machine), i);
    }
    pair->toys[0].dials = true;
    pair->toys[0].target = 1;
    struct node_id id = sim_node_id(pair->sim, 1);
    buf_append(&pair->toys[0].output, id.b, sizeof id.b);
}

static inline void pair_begin(struct pair *pair, uint64_t seed) {
    pair_begin_with(pair, seed, 0, false);
}

static inline void pair_start(struct pair *pair) {
    sim_start(pair->sim, 1);
    sim_start(pair->sim, 0);
}

static inline void pair_end(struct pair *pair) {
    if (sim_failure(pair->sim) != NULL) {
        fail_msg("%s", sim_failure(pair->sim));
    }
    sim_free(pair->sim);
    buf_free(&pair->toys[0].output);
}

static inline void say(struct toy *toy, struct outbox *out, size_t len) {
    uint8_t *bytes = mem_new(len + 1);
    memset(bytes, 0xee, len);
    outbox_write(out, toy->link, (struct slice){bytes, len});
    mem_free(bytes);
}

/* On link-up and on every timer a second apart: a greeting. */
static inline void greet(struct toy *toy, const struct node_event *event, struct outbox *out) {
    bool is_time = event->kind == NODE_LINK_UP || event->kind == NODE_TIMER;
    if (event->kind == NODE_LINK_DOWN) {
        toy->due_us = 0;
    } else if (is_time) {
        say(toy, out, 100);
        toy->due_us = event->mono_us + SECOND;
    }
}

#endif
