/* sim_net.c - links: dialling, latency, bandwidth, backpressure, partitions, resets.
 *
 * A link has two ends; each end owns the route that leads away from it, a queue of segments in
 * order of arrival. Only the first segment of a route has a timer.
 *
 *   end 0 (dialled)  --- route 0: [UP][bytes][bytes][FIN] --->  end 1 (accepted)
 *                    <-- route 1: [bytes][bytes] ------------
 *
 * Loss shows up as a broken link, as it does above TCP. A partition holds segments back; when it
 * ends soon enough they arrive late, else the link breaks. */
#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "common/wire.h"
#include "src/sim/world.h"

#define LATENCY_US_MIN 200
#define LATENCY_US_MAX 40000
#define WINDOW_BYTES (256 * 1024) /* what the two kernels hold besides our own queue */
#define PARTITION_LOOK_US 1000000 /* how often a held segment tries again */
#define PARTITION_BREAKS_S 60     /* TCP gives up */
#define SPLIT_GAP_US 300

struct dial {
    struct timer timer;
    struct machine *machine;
    uint32_t life;
    uint32_t token;
    struct node_id id;
    struct machine *target; /* NULL = nobody has that address */
    enum err outcome;
};

/* ---- Distances ---- */

/* One-way time between two machines: fixed for a pair, within the present limit. */
static uint64_t latency_us(const struct sim *sim, const struct machine *a,
                           const struct machine *b) {
    uint32_t low = a->number < b->number ? a->number : b->number;
    uint32_t high = a->number < b->number ? b->number : a->number;
    const uint64_t key[2] = {sim->config.seed, 0x6c6174656e6379};
    const uint32_t pair[2] = {low, high};
    uint64_t limit = sim->faults.latency_us_max > 0 ? sim->faults.latency_us_max : LATENCY_US_MAX;
    return LATENCY_US_MIN + siphash(key, pair, sizeof pair) % limit;
}

static bool can_hear(const struct machine *a, const struct machine *b) {
    return a->group == b->group && !a->is_dark && !b->is_dark;
}

static struct machine *machine_of(const struct sim *sim, const struct address *address) {
    uint32_t number = sim_machine_at(address);
    return number < sim->machine_count ? sim->machines[number] : NULL;
}

/* ---- Links and routes ---- */

static struct sim_link *link_of(const struct route *route) {
    const struct route *first = route - route->side;
    return (struct sim_link *)((uintptr_t)first - offsetof(struct sim_link, ends));
}

static struct route *other_end(struct route *route) {
    return &link_of(route)->ends[1 - route->side];
}

/* The machine's end of a link, or NULL when it has none any more. */
static struct route *end_of(const struct sim *sim, const struct machine *machine, uint32_t number) {
    struct sim_link *link = map_get(&sim->links, &number);
    if (link == NULL) {
        return NULL;
    }
    for (int i = 0; i < 2; i++) {
        struct route *end = &link->ends[i];
        if (end->machine == machine && end->life == machine->life && end->state != END_DOWN) {
            return end;
        }
    }
    return NULL;
}

static void drop_segments(struct sim *sim, struct route *route) {
    timers_cancel(&sim->timers, &route->timer);
    while (route->head != NULL) {
        struct segment *segment = route->head;
        route->head = segment->next;
        mem_free(segment);
    }
    route->tail = NULL;
    route->undelivered = 0;
}

static void free_link(struct sim *sim, struct sim_link *link) {
    drop_segments(sim, &link->ends[0]);
    drop_segments(sim, &link->ends[1]);
    map_remove(&sim->links, &link->number);
    mem_free(link);
}

static void free_when_over(struct sim *sim, struct sim_link *link) {
    if (link->ends[0].state == END_DOWN && link->ends[1].state == END_DOWN) {
        if (sim->config.watch.link_gone != NULL) {
            sim->config.watch.link_gone(sim->config.watch.context, link->number);
        }
        free_link(sim, link);
    }
}

/* Mark an end as gone; the node is to hear of it when it had heard of the link. */
static bool run_down(struct sim *sim, struct post *post) {
    struct route *end = end_of(sim, post->machine, post->event.link.link);
    if (end == NULL) {
        return false;
    }
    bool was_known = end->state != END_WAITING;
    end->state = END_DOWN;
    free_when_over(sim, link_of(end));
    return was_known;
}

static void post_down(struct sim *sim, struct route *end, enum err reason, uint64_t due_us) {
    struct post *post = post_new(end->machine, NODE_LINK_DOWN);
    post->run = run_down;
    post->event.link.link = link_of(end)->number;
    post->event.link.reason = reason;
    post_at(sim, post, due_us);
}

/* The link is over: nothing more crosses it, both ends are told after `delay_us`. */
static void break_link(struct sim *sim, struct sim_link *link, enum err reason, uint64_t delay_us) {
    if (link->is_broken) {
        return;
    }
    link->is_broken = true;
    for (int i = 0; i < 2; i++) {
        drop_segments(sim, &link->ends[i]);
    }
    for (int i = 0; i < 2; i++) {
        if (link->ends[i].state != END_DOWN) {
            post_down(sim, &link->ends[i], reason, sim->now_us + delay_us);
        }
    }
}

void sim_net_crashed(struct sim *sim, struct machine *machine) {
    uint32_t cursor = 0;
    for (struct sim_link *link; (link = map_next(&sim->links, &cursor, NULL)) != NULL;) {
        for (int i = 0; i < 2; i++) {
            struct route *end = &link->ends[i];
            if (end->machine != machine || end->state == END_DOWN) {
                continue;
            }
            end->state = END_DOWN;
            sim->counts.resets++;
            if (!machine->is_dark) {
                break_link(sim, link, ERR_CLOSED,
                           latency_us(sim, machine, link->ends[1 - i].machine));
            } else {
                drop_segments(sim, end);
            }
        }
        free_when_over(sim, link);
    }
}

/* ---- Delivery ---- */

static void arm_route(struct sim *sim, struct route *route) {
    if (route->head == NULL || other_end(route)->read_stopped) {
        timers_cancel(&sim->timers, &route->timer);
        return;
    }
    uint64_t due_us = route->head->due_us;
    timers_set(&sim->timers, &route->timer, due_us > sim->now_us ? due_us : sim->now_us);
}

static void tell_flow(struct sim *sim, struct route *route) {
    uint32_t queued = route->undelivered > WINDOW_BYTES ? route->undelivered - WINDOW_BYTES : 0;
    bool is_high = queued > LINK_OUTPUT_SOFT;
    bool is_low = queued < LINK_OUTPUT_SOFT / 2;
    if (route->state != END_UP || (route->is_stalled ? !is_low : !is_high)) {
        return;
    }
    route->is_stalled = !route->is_stalled;
    enum node_event_kind kind = route->is_stalled ? NODE_LINK_STALLED : NODE_LINK_READY;
    struct post *post = post_new(route->machine, kind);
    post->event.link.link = link_of(route)->number;
    post_at(sim, post, sim->now_us);
}

static void push_segment(struct sim *sim, struct route *route, struct segment *segment) {
    struct machine *from = route->machine;
    struct machine *to = other_end(route)->machine;
    uint64_t start_us = from->uplink_free_us > sim->now_us ? from->uplink_free_us : sim->now_us;
    from->uplink_free_us =
        start_us + (uint64_t)segment->charge * 1000000 / from->uplink_bytes_per_s;
    uint64_t jitter_us =
        sim->faults.jitter_us_max > 0 ? rng_below(&sim->rng, sim->faults.jitter_us_max) : 0;
    uint64_t due_us = from->uplink_free_us + latency_us(sim, from, to) + jitter_us;
    segment->due_us = due_us > route->last_us ? due_us : route->last_us;
    route->last_us = segment->due_us;
    route->undelivered += segment->charge;
    if (route->tail != NULL) {
        route->tail->next = segment;
    } else {
        route->head = segment;
    }
    route->tail = segment;
    if (route->head == segment) {
        arm_route(sim, route);
    }
}

static struct segment *segment_new(enum segment_kind kind, struct slice bytes) {
    struct segment *segment = mem_new(sizeof *segment + bytes.len);
    segment->kind = (uint8_t)kind;
    segment->len = (uint32_t)bytes.len;
    if (bytes.len > 0) {
        memcpy(segment->bytes, bytes.data, bytes.len);
    }
    return segment;
}

/* Cut a segment within its last frame and put both parts back at the front of the route. */
static void split_segment(struct sim *sim, struct route *route, struct segment *whole) {
    uint32_t room = whole->len - whole->last_frame - 1;
    uint32_t share = (uint32_t)rng_below(&sim->rng, 65536);
    uint32_t cut = whole->last_frame + 1 + (uint32_t)((uint64_t)room * share / 65536);
    cut = cut < whole->len ? cut : whole->len - 1;
    struct segment *rest =
        segment_new(SEGMENT_BYTES, (struct slice){whole->bytes + cut, whole->len - cut});
    rest->next = whole->next;
    rest->due_us = sim->now_us + SPLIT_GAP_US;
    rest->charge = whole->charge;
    rest->last_frame = rest->len; /* not again */
    whole->charge = 0;
    whole->len = cut;
    whole->next = rest;
    if (route->tail == whole) {
        route->tail = rest;
    }
    route->last_us = route->last_us > rest->due_us ? route->last_us : rest->due_us;
}

/* What TLS would export: the same on both ends, another one on every link. */
static void set_exporter(struct sim *sim, const struct sim_link *link, struct hash *out) {
    struct buf ends = {0};
    buf_append(&ends, link->ends[0].machine->env.id.b, sizeof(struct node_id));
    buf_append(&ends, link->ends[1].machine->env.id.b, sizeof(struct node_id));
    buf_u32(&ends, link->number);
    crypto_hash(&sim->crypto, (struct slice){ends.data, ends.len}, out);
    buf_free(&ends);
}

static void deliver_up(struct sim *sim, struct route *route, struct route *to) {
    struct sim_link *link = link_of(route);
    struct node_event event = {.kind = NODE_LINK_UP};
    event.up.link = link->number;
    event.up.token = to->side == 0 ? link->token : 0;
    event.up.id = route->machine->env.id;
    event.up.remote = sim_address(route->machine->number);
    if (to->side == 1) { /* the port of a socket that dialled is any */
        event.up.remote.port = (uint16_t)(32768 + link->number % 28000);
    }
    set_exporter(sim, link, &event.up.exporter);
    to->state = END_UP;
    sim_step(sim, to->machine, &event);
}

/* Hand the first segment of a route to the other end. The link may be gone afterwards. */
static void deliver(struct sim *sim, struct route *route) {
    struct route *to = other_end(route);
    struct segment *segment = route->head;
    bool is_long = segment->kind == SEGMENT_BYTES && segment->len > segment->last_frame + 1;
    if (is_long && sim_chance(sim, sim->faults.split_ppm)) {
        split_segment(sim, route, segment);
    }
    route->head = segment->next;
    if (route->head == NULL) {
        route->tail = NULL;
    }
    route->undelivered -= segment->charge;
    arm_route(sim, route);
    tell_flow(sim, route);
    if (segment->kind == SEGMENT_FIN) {
        break_link(sim, link_of(route), ERR_CLOSED, 0);
    } else if (segment->kind == SEGMENT_UP) {
        deliver_up(sim, route, to);
    } else if (to->state == END_UP) {
        struct node_event event = {.kind = NODE_LINK_BYTES};
        event.bytes.link = link_of(route)->number;
        event.bytes.data = (struct slice){segment->bytes, segment->len};
        sim_step(sim, to->machine, &event);
    }
    mem_free(segment);
}

void sim_net_wake_route(struct sim *sim, struct timer *timer) {
    struct route *route = timer->owner;
    struct route *to = other_end(route);
    if (!can_hear(route->machine, to->machine)) {
        if (++route->blocked_s >= PARTITION_BREAKS_S) {
            sim->counts.resets++;
            break_link(sim, link_of(route), ERR_TIMEOUT, 0);
            return;
        }
        timers_set(&sim->timers, &route->timer, sim->now_us + PARTITION_LOOK_US);
        return;
    }
    if (sim_defer(sim, to->machine, timer)) {
        return;
    }
    route->blocked_s = 0;
    bool far_end_forgot = to->state == END_DOWN; /* it lost power and is back */
    if (far_end_forgot) {
        break_link(sim, link_of(route), ERR_CLOSED, latency_us(sim, route->machine, to->machine));
        return;
    }
    deliver(sim, route);
}

/* ---- Dialling ---- */

static enum err dial_outcome(struct sim *sim, const struct dial *dial) {
    const struct machine *target = dial->target;
    bool is_lost = sim_chance(sim, sim->faults.dial_ppm);
    if (target == NULL) {
        return ERR_UNREACHABLE;
    }
    if (is_lost || target->cannot_listen || !can_hear(dial->machine, target)) {
        return ERR_TIMEOUT;
    }
    if (!target->is_up || target == dial->machine) {
        return ERR_REFUSED;
    }
    return node_id_equal(&target->env.id, &dial->id) ? OK : ERR_AUTH;
}

void sim_net_dial(struct sim *sim, struct machine *machine, struct action *action) {
    struct dial *dial = mem_new(sizeof *dial);
    *dial = (struct dial){.timer = {.kind = WAKE_DIAL, .owner = dial},
                          .machine = machine,
                          .life = machine->life,
                          .token = action->token32,
                          .id = action->id,
                          .target = machine_of(sim, &action->address)};
    dial->outcome = dial_outcome(sim, dial);
    /* TCP and TLS 1.3 take one round trip each; no answer at all takes the driver's patience. */
    uint64_t wait_us = DIAL_TIMEOUT_MS * 1000;
    if (dial->target != NULL && dial->outcome != ERR_TIMEOUT) {
        wait_us = 4 * latency_us(sim, machine, dial->target);
    }
    timers_set(&sim->timers, &dial->timer, sim->now_us + wait_us);
}

static void link_new(struct sim *sim, const struct dial *dial) {
    struct sim_link *link = mem_new(sizeof *link);
    link->number = ++sim->last_link;
    link->token = dial->token;
    struct machine *machines[2] = {dial->machine, dial->target};
    for (int i = 0; i < 2; i++) {
        struct route *end = &link->ends[i];
        end->machine = machines[i];
        end->life = machines[i]->life;
        end->side = (uint8_t)i;
        end->timer.kind = WAKE_ROUTE;
        end->timer.owner = end;
    }
    map_put(&sim->links, &link->number, link);
    sim->counts.links++;
    push_segment(sim, &link->ends[0], segment_new(SEGMENT_UP, (struct slice){0}));
    deliver_up(sim, &link->ends[1], &link->ends[0]);
}

void sim_net_wake_dial(struct sim *sim, struct timer *timer) {
    struct dial *dial = timer->owner;
    struct machine *machine = dial->machine;
    if (!machine->is_up || machine->life != dial->life) {
        mem_free(dial);
        return;
    }
    if (sim_defer(sim, machine, timer)) {
        return;
    }
    if (dial->outcome == OK) { /* the world may have changed in the meantime */
        dial->outcome = dial_outcome(sim, dial);
    }
    if (dial->outcome == OK && dial->target->frozen_until_us > sim->now_us) {
        dial->outcome = ERR_TIMEOUT; /* the kernel answers, the process does not */
        timers_set(&sim->timers, timer, sim->now_us + DIAL_TIMEOUT_MS * 1000);
        return;
    }
    if (dial->outcome == OK) {
        link_new(sim, dial);
    } else {
        struct node_event event = {.kind = NODE_DIAL_FAILED};
        event.dial.token = dial->token;
        event.dial.reason = dial->outcome;
        sim_step(sim, machine, &event);
    }
    mem_free(dial);
}

void sim_net_free_dial(struct timer *timer) {
    mem_free(timer->owner);
}

/* ---- What nodes ask for ---- */

static void send_bytes(struct sim *sim, struct route *route, struct slice bytes) {
    struct sim_link *link = link_of(route);
    struct segment *segment = segment_new(SEGMENT_BYTES, bytes);
    struct sim_message where = {.from = route->machine->number,
                                .to = other_end(route)->machine->number,
                                .link = link->number};
    segment->charge = sim_trace_sent(sim, &where, bytes, &segment->last_frame);
    if (sim_chance(sim, sim->faults.reset_ppm)) {
        sim->counts.resets++;
        sim_trace_line(sim, route->machine, "reset link=%u", link->number);
        mem_free(segment);
        break_link(sim, link, ERR_CLOSED,
                   latency_us(sim, route->machine, other_end(route)->machine));
        return;
    }
    push_segment(sim, route, segment);
    if (route->undelivered > WINDOW_BYTES + LINK_OUTPUT_HARD) {
        sim->counts.hard_caps++;
        sim_trace_line(sim, route->machine, "output full link=%u", link->number);
        break_link(sim, link, ERR_STALLED, 0);
        return;
    }
    tell_flow(sim, route);
}

/* The end for an action, unless the link is over. Naming one that the node was told is gone is a
 * breach of the contract. */
static struct route *end_for(struct sim *sim, struct machine *machine, uint32_t link) {
    struct route *end = end_of(sim, machine, link);
    if (end == NULL) {
        sim_fail(sim, "machine %u acts on link %u, which it was told is gone", machine->number,
                 link);
        return NULL;
    }
    return link_of(end)->is_broken ? NULL : end;
}

void sim_net_write(struct sim *sim, struct machine *machine, struct action *action) {
    struct route *end = end_for(sim, machine, action->link);
    if (end == NULL) {
        return;
    }
    if (end->state == END_CLOSED) {
        sim_fail(sim, "machine %u writes to link %u after closing it", machine->number,
                 action->link);
        return;
    }
    send_bytes(sim, end, outbox_bytes(&sim->outbox, action));
}

bool sim_net_send(struct sim *sim, struct machine *machine, uint32_t link, struct slice bytes) {
    struct route *end = end_of(sim, machine, link);
    if (end == NULL || end->state != END_UP || link_of(end)->is_broken) {
        return false;
    }
    send_bytes(sim, end, bytes);
    return true;
}

void sim_net_read(struct sim *sim, struct machine *machine, struct action *action) {
    struct route *end = end_for(sim, machine, action->link);
    if (end != NULL) {
        end->read_stopped = action->kind == ACTION_READ_STOP;
        arm_route(sim, other_end(end));
    }
}

/* What is still queued has had its time. */
static bool run_linger(struct sim *sim, struct post *post) {
    struct route *end = end_of(sim, post->machine, post->event.link.link);
    if (end != NULL) {
        break_link(sim, link_of(end), ERR_CLOSED, 0);
    }
    return false;
}

void sim_net_close(struct sim *sim, struct machine *machine, struct action *action) {
    struct route *end = end_for(sim, machine, action->link);
    if (end == NULL || end->state == END_CLOSED) {
        return;
    }
    end->state = END_CLOSED;
    push_segment(sim, end, segment_new(SEGMENT_FIN, (struct slice){0}));
    struct post *post = post_new(machine, NODE_LINK_DOWN);
    post->run = run_linger;
    post->event.link.link = action->link;
    post_at(sim, post, sim->now_us + CLOSE_FLUSH_MS * 1000);
}

void sim_net_resolve(struct sim *sim, struct machine *machine, struct action *action) {
    struct slice name = outbox_bytes(&sim->outbox, action);
    struct post *post = post_new(machine, NODE_RESOLVED);
    post->event.resolved.token = action->token32;
    for (uint32_t i = 0; i < sim->machine_count; i++) {
        char known[SIM_NAME_BYTES];
        sim_host_name(known, i);
        if (strlen(known) == name.len && memcmp(known, name.data, name.len) == 0) {
            post->event.resolved.count = 1;
            post->event.resolved.addresses[0] = sim_address(i);
            post->event.resolved.addresses[0].port = 0;
        }
    }
    post_at(sim, post, sim->now_us + LATENCY_US_MAX);
}

void sim_net_free(struct sim *sim) {
    uint32_t cursor = 0;
    for (struct sim_link *link; (link = map_next(&sim->links, &cursor, NULL)) != NULL;) {
        free_link(sim, link);
    }
}
