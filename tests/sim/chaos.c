/* chaos.c - the phase in which everything goes wrong, while people search and fetch.
 *
 * Every second or so one of the troubles below is drawn by weight. What must hold (checks.c and
 * the simulator's own) holds throughout; that things are found is asked only after healing. */
#include "tests/sim/overlay.h"

#define STEP_US_MAX (2 * SECOND_US)
#define CLOCK_STEP_S_MAX 7200
#define SUPERNODES_DOWN_MAX 3 /* at once; the overlay need not survive the loss of all */

static uint32_t random_machine(struct overlay *overlay) {
    return (uint32_t)sim_below(overlay->sim, overlay_machines(overlay));
}

static uint32_t supernodes_down(const struct overlay *overlay) {
    uint32_t down = 0;
    for (uint32_t i = 0; i < overlay->config.supernodes; i++) {
        down += sim_is_up(overlay->sim, i) ? 0 : 1;
    }
    return down;
}

/* Most pauses are short; some outlast the patience of whoever is linked. */
static void hang(struct overlay *overlay) {
    uint32_t machine = random_machine(overlay);
    uint64_t most_us = sim_below(overlay->sim, 5) == 0 ? 400 * SECOND_US : 20 * SECOND_US;
    uint64_t until_us = sim_now_us(overlay->sim) + 1 + sim_below(overlay->sim, most_us);
    if (sim_is_up(overlay->sim, machine)) {
        sim_freeze(overlay->sim, machine, until_us);
    }
}

static void take_down(struct overlay *overlay, uint32_t machine) {
    bool is_too_many =
        machine < overlay->config.supernodes && supernodes_down(overlay) >= SUPERNODES_DOWN_MAX;
    if (!sim_is_up(overlay->sim, machine) || is_too_many) {
        return;
    }
    /* A process that hangs cannot be asked to stop. */
    switch (sim_below(overlay->sim, sim_is_frozen(overlay->sim, machine) ? 1 : 4)) {
    case 0:
        overlay_crash(overlay, machine, SIM_POWER);
        break;
    case 1:
        overlay_shutdown(overlay, machine);
        break;
    default:
        overlay_crash(overlay, machine, SIM_KILL);
    }
}

static void crash_a_peer(struct overlay *overlay) {
    take_down(overlay, random_machine(overlay));
}

static void crash_a_supernode(struct overlay *overlay) {
    take_down(overlay, (uint32_t)sim_below(overlay->sim, overlay->config.supernodes));
}

static void start_some(struct overlay *overlay) {
    for (uint32_t i = 0; i < overlay_machines(overlay); i++) {
        if (!sim_is_up(overlay->sim, i) && sim_below(overlay->sim, 3) == 0) {
            sim_start(overlay->sim, i);
        }
    }
}

static void cut_in_two(struct overlay *overlay) {
    uint32_t share = 1 + (uint32_t)sim_below(overlay->sim, 50);
    for (uint32_t i = 0; i < overlay_machines(overlay); i++) {
        bool is_cut_off = sim_below(overlay->sim, 100) < share;
        sim_set_group(overlay->sim, i, is_cut_off ? 1 : 0);
    }
}

static void join_again(struct overlay *overlay) {
    for (uint32_t i = 0; i < overlay_machines(overlay); i++) {
        sim_set_group(overlay->sim, i, 0);
    }
}

static void step_a_clock(struct overlay *overlay) {
    uint32_t machine = random_machine(overlay);
    int64_t seconds = (int64_t)sim_below(overlay->sim, 2 * CLOCK_STEP_S_MAX) - CLOCK_STEP_S_MAX;
    sim_set_wall_offset(overlay->sim, machine, seconds);
}

static void change_the_weather(struct overlay *overlay) {
    struct sim_faults faults = {0};
    faults.latency_us_max = 1000 + (uint32_t)sim_below(overlay->sim, 300000);
    faults.jitter_us_max = 1 + (uint32_t)sim_below(overlay->sim, 100000);
    faults.reset_ppm = (uint32_t)sim_below(overlay->sim, 2000);
    faults.split_ppm = (uint32_t)sim_below(overlay->sim, 300000);
    faults.dial_ppm = (uint32_t)sim_below(overlay->sim, 200000);
    faults.disk_ppm = (uint32_t)sim_below(overlay->sim, 3000);
    faults.rot_ppm = (uint32_t)sim_below(overlay->sim, 20000);
    sim_set_faults(overlay->sim, &faults);
}

static void somebody_searches(struct overlay *overlay) {
    uint32_t index = (uint32_t)sim_below(overlay->sim, overlay->published_count);
    uint32_t machine = overlay_random_asker(overlay, index);
    if (machine != UINT32_MAX) {
        overlay_search(overlay, machine, index);
    }
}

/* Get what an earlier search has found. */
static void somebody_fetches(struct overlay *overlay) {
    if (overlay->request_count == 0) {
        return;
    }
    uint32_t place = 1 + (uint32_t)sim_below(overlay->sim, overlay->request_count);
    const struct request *request = &overlay->requests[place];
    bool is_worth = request->kind == REQUEST_SEARCH && request->is_hit && !request->is_lost;
    if (is_worth && sim_is_up(overlay->sim, request->machine)) {
        overlay_get(overlay, request->machine, request->published);
    }
}

static const struct trouble {
    uint32_t weight;
    void (*make)(struct overlay *overlay);
} troubles[] = {
    {10, crash_a_peer},      {5, hang},
    {3, crash_a_supernode},  {10, start_some},
    {1, cut_in_two},         {2, join_again},
    {3, step_a_clock},       {3, change_the_weather},
    {30, somebody_searches}, {40, somebody_fetches},
};
#define TROUBLES (sizeof troubles / sizeof *troubles)

static void make_trouble(struct overlay *overlay) {
    uint32_t total = 0;
    for (size_t i = 0; i < TROUBLES; i++) {
        total += troubles[i].weight;
    }
    uint64_t drawn = sim_below(overlay->sim, total);
    size_t at = 0;
    while (drawn >= troubles[at].weight) {
        drawn -= troubles[at++].weight;
    }
    troubles[at].make(overlay);
}

void chaos_run(struct overlay *overlay, uint64_t until_us) {
    while (sim_now_us(overlay->sim) < until_us && sim_failure(overlay->sim) == NULL) {
        make_trouble(overlay);
        uint64_t pause_us = 1 + sim_below(overlay->sim, STEP_US_MAX);
        sim_run(overlay->sim, sim_now_us(overlay->sim) + pause_us);
    }
}
