/* healing.c - the phase in which everything is put right, and then has to work.
 *
 * After SETTLE_US (longer than a dead link takes to be noticed and a dial to be tried again) every
 * peer must have its parents and every supernode its neighbours, all others in a small network.
 * Then one random live peer per published file searches for it, must get it among its hits, and
 * must have fetched it within FETCH_US: at the first attempt, since nothing is wrong any more. */
#include "tests/sim/checks.h"
#include "tests/sim/overlay.h"

#define SETTLE_US (700 * SECOND_US)
#define ASK_EVERY_US (SECOND_US / 4)
#define SEARCH_US (15 * SECOND_US)
#define FETCH_US (300 * SECOND_US)
#define QUIET_US (30 * SECOND_US)

static void put_right(struct overlay *overlay) {
    struct sim_faults none = {.jitter_us_max = 2000};
    sim_set_faults(overlay->sim, &none);
    for (uint32_t i = 0; i < overlay_machines(overlay); i++) {
        sim_set_group(overlay->sim, i, 0);
        sim_set_wall_offset(overlay->sim, i, 0);
    }
    for (uint32_t i = 0; i < overlay_machines(overlay); i++) {
        if (sim_is_frozen(overlay->sim, i)) { /* somebody sees that it hangs */
            overlay_crash(overlay, i, SIM_KILL);
        }
    }
    /* Whoever was asked to stop has to do so before it is started again. */
    sim_run(overlay->sim, sim_now_us(overlay->sim) + 15 * SECOND_US);
    overlay_start_all(overlay);
}

/* Every node has all the links it wants. */
static void check_shape(struct overlay *overlay) {
    uint32_t first = overlay->request_count + 1;
    for (uint32_t i = 0; i < overlay_machines(overlay); i++) {
        overlay_status(overlay, i);
    }
    sim_run(overlay->sim, sim_now_us(overlay->sim) + SECOND_US);
    for (uint32_t i = first; i <= overlay->request_count; i++) {
        const struct request *request = &overlay->requests[i];
        uint32_t supernodes = overlay->config.supernodes;
        uint32_t parents = supernodes < PARENTS ? supernodes : PARENTS;
        bool is_full = supernodes - 1 <= MESH_FULL_MAX;
        uint32_t neighbours = is_full ? supernodes - 1 : MESH_DIAL_MEDIUM;
        uint32_t wanted = request->machine < supernodes ? neighbours : parents;
        if (!request->is_answered || request->linked < wanted) {
            sim_fail(overlay->sim, "machine %u has %llu of %u links after healing",
                     request->machine, (unsigned long long)request->linked, wanted);
        }
    }
}

/* Give up on a file: say which and why. */
static void complain(struct overlay *overlay, uint32_t index, const char *what) {
    const struct published *published = &overlay->published[index];
    const struct request *request = &overlay->requests[published->request];
    sim_fail(overlay->sim, "file %u (machine %u and %u others) is %s machine %u after healing: %s",
             index, published->holders[0], published->holder_count - 1, what, published->asker,
             request->is_answered ? err_text(request->err) : "no answer");
}

static void search_all(struct overlay *overlay) {
    for (uint32_t i = 0; i < overlay->published_count; i++) {
        struct published *published = &overlay->published[i];
        published->asker = overlay_random_asker(overlay, i);
        if (published->asker == UINT32_MAX) {
            continue; /* everybody has it */
        }
        published->request = overlay_search(overlay, published->asker, i);
        sim_run(overlay->sim, sim_now_us(overlay->sim) + ASK_EVERY_US);
    }
    sim_run(overlay->sim, sim_now_us(overlay->sim) + SEARCH_US);
    for (uint32_t i = 0; i < overlay->published_count; i++) {
        const struct published *published = &overlay->published[i];
        const struct request *request = &overlay->requests[published->request];
        bool is_found = published->asker == UINT32_MAX || (request->is_answered && request->is_hit);
        if (!is_found) {
            complain(overlay, i, "not found by");
        }
    }
}

/* A download that a crash has interrupted and that nobody has asked for again. */
static bool is_forgotten(const struct overlay *overlay, const struct request *request) {
    uint32_t file = overlay->published[request->published].file;
    return request->is_owed && !sim_has_file(overlay->sim, request->machine, file);
}

static bool all_are_answered(const struct overlay *overlay) {
    for (uint32_t i = 1; i <= overlay->request_count; i++) {
        const struct request *request = &overlay->requests[i];
        if ((!request->is_answered && !request->is_lost) || is_forgotten(overlay, request)) {
            return false;
        }
    }
    return true;
}

static void fetch_all(struct overlay *overlay) {
    for (uint32_t i = 0; i < overlay->published_count; i++) {
        struct published *published = &overlay->published[i];
        if (published->asker != UINT32_MAX) {
            published->request = overlay_get(overlay, published->asker, i);
        }
    }
    uint64_t until_us = sim_now_us(overlay->sim) + FETCH_US;
    while (sim_now_us(overlay->sim) < until_us && !all_are_answered(overlay) &&
           sim_failure(overlay->sim) == NULL) {
        sim_run(overlay->sim, sim_now_us(overlay->sim) + SECOND_US);
    }
    for (uint32_t i = 0; i < overlay->published_count; i++) {
        const struct published *published = &overlay->published[i];
        const struct request *request = &overlay->requests[published->request];
        bool is_there = published->asker == UINT32_MAX ||
                        (request->is_answered && request->err == OK &&
                         sim_has_file(overlay->sim, published->asker, published->file));
        if (!is_there) {
            complain(overlay, i, "not fetched by");
        }
    }
}

/* Commands get exactly one last report, also those given in the middle of the chaos; downloads
 * outlive their node. */
static void check_commands(struct overlay *overlay) {
    for (uint32_t i = 1; i <= overlay->request_count; i++) {
        const struct request *request = &overlay->requests[i];
        if (!request->is_answered && !request->is_lost) {
            sim_fail(overlay->sim, "machine %u never answered command %u, given at %llu s",
                     request->machine, i, (unsigned long long)(request->asked_us / SECOND_US));
        }
        if (is_forgotten(overlay, request)) {
            sim_fail(overlay->sim, "machine %u never finished file %u, begun at %llu s",
                     request->machine, request->published,
                     (unsigned long long)(request->queued_us / SECOND_US));
        }
    }
}

void healing_run(struct overlay *overlay) {
    put_right(overlay);
    sim_run(overlay->sim, sim_now_us(overlay->sim) + SETTLE_US);
    checks_strict(overlay->checks);
    if (sim_failure(overlay->sim) == NULL) {
        check_shape(overlay);
    }
    if (sim_failure(overlay->sim) == NULL) {
        search_all(overlay);
    }
    if (sim_failure(overlay->sim) == NULL) {
        fetch_all(overlay);
    }
    if (sim_failure(overlay->sim) == NULL) {
        check_commands(overlay);
        sim_run(overlay->sim, sim_now_us(overlay->sim) + QUIET_US);
        checks_quiet(overlay->checks);
    }
}
