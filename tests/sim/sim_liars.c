/* sim_liars.c - hours among leaves that register what they do not have, and honest ones in trouble.
 *
 * Every liar is found out and sent off; no honest leaf is, though files come and go, disks fail now
 * and then, processes hang and restart, links break, and all of them serve downloads meanwhile. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "tests/sim/checks.h"
#include "tests/sim/overlay.h"

#define SUPERNODES 4
#define HONEST 36
#define LIARS 8
#define LIES 40 /* files of each liar */
#define HOURS 4
#define HOUR_US (3600 * SECOND_US)

static void tell_lies(struct overlay *overlay) {
    char name[32];
    for (uint32_t liar = 0; liar < LIARS; liar++) {
        for (uint32_t i = 0; i < LIES; i++) {
            uint32_t file = sim_file_add(overlay->sim, 1 + sim_below(overlay->sim, 200000));
            snprintf(name, sizeof name, "bait%05u.ogg", liar * LIES + i);
            sim_share_false(overlay->sim, SUPERNODES + HONEST + liar, file, name);
        }
    }
}

static uint32_t draw_honest(struct overlay *overlay) {
    return SUPERNODES + (uint32_t)sim_below(overlay->sim, HONEST);
}

/* A file leaves its holder's folder, or comes back. */
static void move_a_file(struct overlay *overlay) {
    struct published *published =
        &overlay->published[sim_below(overlay->sim, overlay->published_count)];
    uint32_t holder = published->holders[0];
    if (holder >= SUPERNODES + HONEST) {
        return;
    }
    if (sim_has_file(overlay->sim, holder, published->file)) {
        sim_unshare(overlay->sim, holder, published->file);
    } else {
        sim_share(overlay->sim, holder, published->file, "it is here again.ogg");
    }
}

static void make_trouble(struct overlay *overlay) {
    uint32_t machine = draw_honest(overlay);
    uint32_t file = (uint32_t)sim_below(overlay->sim, overlay->published_count);
    switch (sim_below(overlay->sim, 8)) {
    case 0:
        if (sim_is_up(overlay->sim, machine)) {
            overlay_crash(overlay, machine, SIM_KILL);
        }
        break;
    case 1:
        if (sim_is_up(overlay->sim, machine)) {
            uint64_t us = sim_below(overlay->sim, 200) * SECOND_US;
            sim_freeze(overlay->sim, machine, sim_now_us(overlay->sim) + us);
        }
        break;
    case 2:
    case 3:
        move_a_file(overlay);
        break;
    default:
        if (sim_is_up(overlay->sim, machine)) {
            overlay_get(overlay, machine, file);
        }
    }
    overlay_start_all(overlay);
}

static bool run(uint64_t seed) {
    struct overlay *overlay = mem_new(sizeof *overlay);
    struct overlay_config config = {
        .seed = seed, .supernodes = SUPERNODES, .peers = HONEST, .has_files = true};
    struct sim_faults faults = {
        .jitter_us_max = 20000, .reset_ppm = 100, .disk_ppm = 2000, .rot_ppm = 2000};
    overlay_begin(overlay, &config);
    for (uint32_t i = 0; i < LIARS; i++) {
        overlay_add_peer(overlay);
    }
    tell_lies(overlay);
    checks_liars(overlay->checks, SUPERNODES + HONEST);
    sim_set_faults(overlay->sim, &faults);
    overlay_start_all(overlay);
    while (sim_now_us(overlay->sim) < HOURS * HOUR_US && sim_failure(overlay->sim) == NULL) {
        make_trouble(overlay);
        sim_run(overlay->sim, sim_now_us(overlay->sim) + 20 * SECOND_US);
    }
    struct checks_counts counts = checks_counts(overlay->checks);
    printf("seed %llu: %llu audits, %llu lies and %llu times a liar found, %llu losses of honest "
           "leaves\n",
           (unsigned long long)seed, (unsigned long long)counts.audits,
           (unsigned long long)counts.lies_found, (unsigned long long)counts.liars_found,
           (unsigned long long)counts.losses);
    const char *failure = sim_failure(overlay->sim);
    bool is_well = failure == NULL && counts.liars_found >= 2 * LIARS;
    if (!is_well) {
        printf("FAILED: %s\n", failure != NULL ? failure : "too few liars are found");
    }
    overlay_end(overlay);
    mem_free(overlay);
    return is_well;
}

int main(int argc, char **argv) {
    uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 10) : 3;
    bool is_well = true;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        is_well = run(seed) && is_well;
    }
    return is_well ? 0 : 1;
}
