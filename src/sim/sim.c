/* sim.c - the world: machines, virtual time, and the loop that hands events to nodes.
 *
 * Everything that is going to happen is a timer in one heap; ties in time are broken by the order
 * in which timers were set. A step's actions only set more timers, so no node is ever entered from
 * within another's step. */
#include "src/sim/sim.h"

#include <stdio.h>
#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "common/wire.h"
#include "src/sim/world.h"

#define WALL_AT_START_S 1767225600 /* 2026-01-01 */
#define UPLINK_BYTES_PER_S 12500000
#define SAME_TIME_STEPS_MAX 20000 /* more steps of one node without time passing: it spins */
#define COMMAND_DELAY_US 100
#define SIM_PORT 6346

/* ---- Machines ---- */

struct address sim_address(uint32_t machine) {
    return (struct address){
        .family = ADDRESS_IPV4,
        .ip = {10, (uint8_t)(machine % 251), (uint8_t)(machine / 251 % 251),
               (uint8_t)(1 + machine / (251 * 251) % 250)},
        .port = SIM_PORT,
    };
}

uint32_t sim_machine_at(const struct address *address) {
    uint32_t number = address->ip[1] + 251u * address->ip[2] + 251u * 251u * (address->ip[3] - 1u);
    struct address expected = sim_address(number);
    return address_equal(&expected, address) ? number : UINT32_MAX;
}

void sim_host_name(char name[SIM_NAME_BYTES], uint32_t machine) {
    snprintf(name, SIM_NAME_BYTES, "m%u.sim", machine);
}

uint32_t sim_add(struct sim *sim, const struct sim_machine_config *config) {
    if (sim->machine_count == sim->machine_cap) {
        sim->machine_cap = sim->machine_cap > 0 ? sim->machine_cap * 2 : 64;
        sim->machines = mem_resize(sim->machines, sim->machine_cap, sizeof(struct machine *));
    }
    struct machine *machine = mem_new(sizeof *machine);
    uint32_t uplink = config->uplink_bytes_per_s;
    *machine = (struct machine){.sim = sim,
                                .number = sim->machine_count,
                                .cannot_listen = config->cannot_listen,
                                .uplink_bytes_per_s = uplink > 0 ? uplink : UPLINK_BYTES_PER_S,
                                .make = config->make,
                                .context = config->context,
                                .wake = {.kind = WAKE_NODE, .owner = machine}};
    machine->env = (struct node_env){.id = sim_node_id(sim, machine->number),
                                     .network = sim->config.network,
                                     .crypto = &sim->crypto,
                                     .log = &sim->log,
                                     .store = sim_store_new(machine),
                                     .packer = sim->packer,
                                     .listen = {sim_address(machine->number)},
                                     .listen_count = config->cannot_listen ? 0 : 1,
                                     .agent = "trunkline-sim"};
    if (config->cert.len > 0) {
        machine->env.cert.data = mem_copy(config->cert.data, config->cert.len);
        machine->env.cert.len = config->cert.len;
    }
    sim->machines[sim->machine_count++] = machine;
    return machine->number;
}

static struct machine *machine_at(const struct sim *sim, uint32_t number) {
    CHECK(number < sim->machine_count);
    return sim->machines[number];
}

void sim_start(struct sim *sim, uint32_t number) {
    struct machine *machine = machine_at(sim, number);
    CHECK(!machine->is_up && sim->acting == NULL);
    if (machine->life == 0 || machine->is_dark) {
        machine->boot_us = 1000000 + rng_below(&sim->rng, 1000000000) - sim->now_us;
    }
    machine->life++;
    machine->is_up = true;
    machine->is_dark = false;
    machine->env.seed = rng_u64(&sim->rng);
    sim->acting = machine;
    machine->node = machine->make(&machine->env, machine->context);
    sim->acting = NULL;
    sim_trace_line(sim, machine, "start");
    post_at(sim, post_new(machine, NODE_START), sim->now_us);
    sim_files_started(sim, machine);
}

static void turn_off(struct sim *sim, struct machine *machine) {
    timers_cancel(&sim->timers, &machine->wake);
    node_free(machine->node);
    machine->is_up = false;
    machine->frozen_until_us = 0;
}

void sim_crash(struct sim *sim, uint32_t number, enum sim_crash how) {
    struct machine *machine = machine_at(sim, number);
    CHECK(machine->is_up && sim->acting == NULL);
    sim_trace_line(sim, machine, how == SIM_KILL ? "killed" : "lost power");
    turn_off(sim, machine);
    machine->is_dark = how == SIM_POWER;
    sim_files_crashed(sim, machine, how);
    sim_store_crashed(sim, machine->env.store);
    sim_net_crashed(sim, machine);
}

void sim_freeze(struct sim *sim, uint32_t number, uint64_t until_us) {
    struct machine *machine = machine_at(sim, number);
    CHECK(machine->is_up);
    sim_trace_line(sim, machine, "hangs for %llu ms",
                   (unsigned long long)((until_us - sim->now_us) / 1000));
    if (machine->frozen_until_us < until_us) {
        machine->frozen_until_us = until_us;
    }
}

bool sim_is_frozen(const struct sim *sim, uint32_t machine) {
    return machine_at(sim, machine)->frozen_until_us > sim->now_us;
}

void sim_shutdown(struct sim *sim, uint32_t number) {
    post_at(sim, post_new(machine_at(sim, number), NODE_SHUTDOWN), sim->now_us);
}

bool sim_is_up(const struct sim *sim, uint32_t machine) {
    return machine_at(sim, machine)->is_up;
}

void sim_wipe(struct sim *sim, uint32_t number) {
    struct machine *machine = machine_at(sim, number);
    CHECK(!machine->is_up);
    store_free(machine->env.store);
    machine->env.store = sim_store_new(machine);
    sim_files_free_machine(machine);
    machine->disk = NULL;
}

void sim_set_group(struct sim *sim, uint32_t machine, uint32_t group) {
    machine_at(sim, machine)->group = group;
}

void sim_set_wall_offset(struct sim *sim, uint32_t machine, int64_t seconds) {
    machine_at(sim, machine)->wall_offset_s = (int32_t)seconds;
}

int64_t sim_wall_s(const struct sim *sim) {
    return WALL_AT_START_S + (int64_t)(sim->now_us / 1000000);
}

/* ---- Steps ---- */

static void report(struct sim *sim, struct machine *machine, struct action *action) {
    (void)machine;
    const struct sim_watch *watch = &sim->config.watch;
    if (watch->report != NULL) {
        watch->report(watch->context, action->token, outbox_bytes(&sim->outbox, action), action);
    }
}

static void stopped(struct sim *sim, struct machine *machine, struct action *action) {
    (void)sim;
    (void)action;
    machine->is_stopped = true;
}

/* A machine of this world is one node: the supernode beside a peer is only told of. */
static void run_supernode(struct sim *sim, struct machine *machine, struct action *action) {
    sim_trace_line(sim, machine, "supernode ignored: action %d", (int)action->kind);
}

/* Links have no limits here but their own. */
static void label(struct sim *sim, struct machine *machine, struct action *action) {
    (void)sim;
    (void)machine;
    (void)action;
}

typedef void carry_out_fn(struct sim *sim, struct machine *machine, struct action *action);

static carry_out_fn *const carry_out[] = {
    [ACTION_DIAL] = sim_net_dial,
    [ACTION_WRITE] = sim_net_write,
    [ACTION_SEND_BLOCK] = sim_files_job,
    [ACTION_READ_STOP] = sim_net_read,
    [ACTION_READ_START] = sim_net_read,
    [ACTION_CLOSE] = sim_net_close,
    [ACTION_LINK_FILES] = label,
    [ACTION_RESOLVE] = sim_net_resolve,
    [ACTION_FILE_OPEN] = sim_files_job,
    [ACTION_FILE_WRITE] = sim_files_job,
    [ACTION_FILE_COMMIT] = sim_files_job,
    [ACTION_FILE_HASH] = sim_files_job,
    [ACTION_FILE_FINISH] = sim_files_job,
    [ACTION_FILE_CLOSE] = sim_files_job,
    [ACTION_FILE_DISCARD] = sim_files_job,
    [ACTION_SUPERNODE_NAME] = run_supernode,
    [ACTION_SUPERNODE_SIGN] = run_supernode,
    [ACTION_SUPERNODE_START] = run_supernode,
    [ACTION_SUPERNODE_STOP] = run_supernode,
    [ACTION_REPORT] = report,
    [ACTION_STOPPED] = stopped,
};

static uint64_t mono_of(const struct sim *sim, const struct machine *machine) {
    return sim->now_us + machine->boot_us;
}

/* Arm the one timer of a machine for its node's deadline. */
static void arm(struct sim *sim, struct machine *machine) {
    uint64_t deadline = node_deadline(machine->node);
    if (deadline == TIMERS_NEVER) {
        timers_cancel(&sim->timers, &machine->wake);
        return;
    }
    uint64_t mono_us = mono_of(sim, machine);
    uint64_t wait_us = deadline > mono_us ? deadline - mono_us : 0;
    uint64_t due_us = sim->now_us + wait_us;
    bool is_armed = timer_is_set(&machine->wake) && machine->wake.due_us == due_us;
    if (!is_armed) {
        timers_set(&sim->timers, &machine->wake, due_us);
    }
}

static void find_spin(struct sim *sim, struct machine *machine) {
    if (machine->stepped_us != sim->now_us) {
        machine->stepped_us = sim->now_us;
        machine->same_time_steps = 0;
    }
    if (++machine->same_time_steps > SAME_TIME_STEPS_MAX) {
        sim_fail(sim, "the node of machine %u spins: its deadline never moves on", machine->number);
    }
}

void sim_step(struct sim *sim, struct machine *machine, struct node_event *event) {
    CHECK(sim->acting == NULL);
    if (!machine->is_up) {
        return;
    }
    find_spin(sim, machine);
    sim_trace_step(sim, machine, event->kind);
    sim_store_commit(machine->env.store);
    event->mono_us = mono_of(sim, machine);
    event->wall_s = sim_wall_s(sim) + machine->wall_offset_s;
    sim->acting = machine;
    node_step(machine->node, event, &sim->outbox);
    for (uint32_t i = 0; i < sim->outbox.count; i++) {
        struct action *action = &sim->outbox.actions[i];
        carry_out[action->kind](sim, machine, action);
    }
    outbox_clear(&sim->outbox);
    sim->acting = NULL;
    if (machine->is_stopped) {
        machine->is_stopped = false;
        sim_trace_line(sim, machine, "stopped");
        turn_off(sim, machine);
        sim_files_crashed(sim, machine, SIM_KILL);
        sim_store_settle(machine->env.store);
        sim_net_crashed(sim, machine);
        return;
    }
    arm(sim, machine);
}

/* ---- Posts ---- */

struct post *post_new(struct machine *machine, enum node_event_kind kind) {
    struct post *post = mem_new(sizeof *post);
    post->timer.kind = WAKE_POST;
    post->timer.owner = post;
    post->machine = machine;
    post->life = machine->life;
    post->event.kind = kind;
    return post;
}

void post_at(struct sim *sim, struct post *post, uint64_t due_us) {
    timers_set(&sim->timers, &post->timer, due_us);
}

static void post_free(struct post *post) {
    mem_free(post->job.owned);
    buf_free(&post->bytes);
    mem_free(post);
}

bool sim_defer(struct sim *sim, const struct machine *machine, struct timer *timer) {
    if (machine->frozen_until_us <= sim->now_us) {
        return false;
    }
    timers_set(&sim->timers, timer, machine->frozen_until_us);
    return true;
}

static void wake_post(struct sim *sim, struct timer *timer) {
    struct post *post = timer->owner;
    struct machine *machine = post->machine;
    bool is_valid = machine->is_up && machine->life == post->life;
    if (is_valid && sim_defer(sim, machine, timer)) {
        return;
    }
    if (is_valid && (post->run == NULL || post->run(sim, post))) {
        sim_step(sim, machine, &post->event);
    }
    post_free(post);
}

static void wake_node(struct sim *sim, struct timer *timer) {
    struct node_event event = {.kind = NODE_TIMER};
    if (!sim_defer(sim, timer->owner, timer)) {
        sim_step(sim, timer->owner, &event);
    }
}

/* ---- Running ---- */

typedef void wake_fn(struct sim *sim, struct timer *timer);

static wake_fn *const wakes[WAKE_KINDS] = {
    [WAKE_NODE] = wake_node,
    [WAKE_POST] = wake_post,
    [WAKE_ROUTE] = sim_net_wake_route,
    [WAKE_DIAL] = sim_net_wake_dial,
};

void sim_run(struct sim *sim, uint64_t until_us) {
    while (sim->failure[0] == '\0' && timers_next(&sim->timers) <= until_us) {
        uint64_t due_us = timers_next(&sim->timers);
        sim->now_us = due_us > sim->now_us ? due_us : sim->now_us;
        struct timer *timer = timers_take(&sim->timers, sim->now_us);
        wakes[timer->kind](sim, timer);
    }
    if (sim->failure[0] == '\0' && sim->now_us < until_us) {
        sim->now_us = until_us;
    }
}

uint64_t sim_now_us(const struct sim *sim) {
    return sim->now_us;
}

uint64_t sim_below(struct sim *sim, uint64_t bound) {
    return rng_below(&sim->rng, bound);
}

bool sim_chance(struct sim *sim, uint32_t ppm) {
    return ppm > 0 && rng_below(&sim->rng, 1000000) < ppm;
}

void sim_set_faults(struct sim *sim, const struct sim_faults *faults) {
    sim->faults = *faults;
}

struct sim_counts sim_counts(const struct sim *sim) {
    struct sim_counts counts = sim->counts;
    counts.links_open = sim->links.count;
    return counts;
}

/* ---- Commands ---- */

/* The strings of a command, one after the other with their NULs, so that the post owns them. */
static void keep_strings(struct post *post, const char *name, const struct command_arg *args,
                         uint32_t count) {
    buf_append(&post->bytes, name, strlen(name) + 1);
    for (uint32_t i = 0; i < count; i++) {
        buf_append(&post->bytes, args[i].key, strlen(args[i].key) + 1);
        buf_append(&post->bytes, args[i].value, strlen(args[i].value) + 1);
    }
    const char *at = (const char *)post->bytes.data;
    post->event.command.name = at;
    for (uint32_t i = 0; i < count; i++) {
        at += strlen(at) + 1;
        post->args[i].key = at;
        at += strlen(at) + 1;
        post->args[i].value = at;
    }
}

uint64_t sim_command(struct sim *sim, uint32_t number, const char *name,
                     const struct command_arg *args, uint32_t count) {
    CHECK(count <= COMMAND_ARGS_MAX);
    struct post *post = post_new(machine_at(sim, number), NODE_COMMAND);
    keep_strings(post, name, args, count);
    post->event.command.id = ++sim->last_command;
    post->event.command.count = count;
    post->event.command.args = post->args;
    post_at(sim, post, sim->now_us + COMMAND_DELAY_US);
    return sim->last_command;
}

/* ---- Beginning and end ---- */

static void write_log(void *context, enum log_level level, const char *line) {
    struct sim *sim = context;
    (void)level;
    sim_trace_line(sim, sim->acting, "%s", line);
}

struct sim *sim_new(const struct sim_config *config) {
    struct sim *sim = mem_new(sizeof *sim);
    sim->config = *config;
    rng_seed(&sim->rng, config->seed);
    map_init(&sim->links, sizeof(uint32_t), config->seed);
    map_init(&sim->contents, CONTENT_KEY_BYTES, config->seed);
    sim->packer = packer_new();
    sim->trace_packer = packer_new();
    sim->log = (struct log){.level = config->log_level, .context = sim};
    if (config->trace) {
        sim->log.write = write_log;
    }
    sim_crypto_init(sim);
    return sim;
}

/* Free what was still to happen. */
static void drop_pending(struct sim *sim) {
    for (struct timer *timer; (timer = timers_take(&sim->timers, UINT64_MAX)) != NULL;) {
        uint32_t kind = timer->kind; /* freeing the owner frees the timer */
        if (kind == WAKE_POST) {
            post_free(timer->owner);
        }
        if (kind == WAKE_DIAL) {
            sim_net_free_dial(timer);
        }
    }
}

void sim_free(struct sim *sim) {
    for (uint32_t i = 0; i < sim->machine_count; i++) {
        struct machine *machine = sim->machines[i];
        if (machine->is_up) {
            turn_off(sim, machine);
        }
    }
    drop_pending(sim);
    sim_net_free(sim);
    for (uint32_t i = 0; i < sim->machine_count; i++) {
        struct machine *machine = sim->machines[i];
        sim_files_free_machine(machine);
        store_free(machine->env.store);
        mem_free((void *)(uintptr_t)machine->env.cert.data);
        mem_free(machine);
    }
    sim_files_free(sim);
    map_free(&sim->links);
    map_free(&sim->contents);
    timers_free(&sim->timers);
    outbox_free(&sim->outbox);
    packer_free(sim->packer);
    packer_free(sim->trace_packer);
    mem_free(sim->machines);
    mem_free(sim);
}
