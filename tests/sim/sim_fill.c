/* sim_fill.c - supernodes that come late are filled by the others, gently and once: few leaves move
 * at a time, no more move than are lacking, nothing swings afterwards, and every file is found all
 * the while. */
#include <stdio.h>
#include <stdlib.h>

#include "common/mem.h"
#include "common/wire.h"
#include "tests/sim/overlay.h"

#define EARLY 8
#define LATE 2
#define SUPERNODES (EARLY + LATE)
#define PEERS 160
#define LISTS (PEERS * PARENTS)
#define SETTLE_S 900
#define FILL_S 300
#define QUIET_S 900

struct run {
    struct overlay *overlay;
    uint32_t lists[SUPERNODES]; /* that each has, as it tells the others */
    uint32_t moves;             /* leaves sent on, so far */
    uint32_t last_moves;        /* up to ten seconds ago */
    uint32_t most;              /* in ten seconds */
    uint32_t moves_afterwards;
};

static void saw_message(void *context, const struct sim_message *message) {
    struct run *run = context;
    struct summary_part part;
    struct goaway goaway;
    if (message->type == MSG_SUMMARY && wire_summary_decode(message->payload, &part) == OK) {
        run->lists[message->from] = part.leaves;
    }
    if (message->type == MSG_GOAWAY && message->from < SUPERNODES && message->to >= SUPERNODES &&
        wire_goaway_decode(message->payload, &goaway) == OK) {
        run->moves += goaway.reason == GOAWAY_FULL && goaway.retry_after_s == FILL_RETRY_S;
    }
}

/* Let time pass, with a search each second. */
static void go_on(struct run *run, uint32_t seconds) {
    struct overlay *overlay = run->overlay;
    for (uint32_t i = 0; i < seconds && sim_failure(overlay->sim) == NULL; i++) {
        uint32_t published = (uint32_t)sim_below(overlay->sim, overlay->published_count);
        uint32_t asker = overlay_random_asker(overlay, published);
        if (asker != UINT32_MAX && sim_now_us(overlay->sim) > 60 * SECOND_US) {
            overlay_search(overlay, asker, published);
        }
        sim_run(overlay->sim, sim_now_us(overlay->sim) + SECOND_US);
        if (i % 10 == 9) {
            uint32_t now = run->moves - run->last_moves;
            run->most = now > run->most ? now : run->most;
            run->last_moves = run->moves;
        }
    }
}

static uint32_t count_missed(const struct overlay *overlay) {
    uint32_t missed = 0;
    for (uint32_t i = 1; i <= overlay->request_count; i++) {
        missed += !overlay->requests[i].is_hit;
    }
    return missed;
}

static bool is_kept(bool holds, const char *promise) {
    if (!holds) {
        printf("FAILED: %s\n", promise);
    }
    return holds;
}

/* A late one lacks the mean of those that were there, and is filled to three quarters of its own.
 */
static bool keeps_promises(const struct run *run, uint32_t moves, uint32_t missed) {
    uint32_t mean = LISTS / SUPERNODES;
    uint32_t lacking = LATE * LISTS / (EARLY + 1);
    bool is_good = true;
    for (uint32_t i = EARLY; i < SUPERNODES; i++) {
        is_good = is_kept(run->lists[i] * 10 >= mean * 7, "a late one was not filled") && is_good;
    }
    is_good = is_kept(moves > 0 && moves <= lacking, "more moved than were lacking") && is_good;
    is_good = is_kept(run->moves_afterwards == 0, "leaves moved when all was well") && is_good;
    is_good = is_kept(run->most <= mean / 2, "too many moved at a time") && is_good;
    return is_kept(missed == 0, "a file was not found") && is_good;
}

static bool run_seed(uint64_t seed) {
    struct overlay *overlay = mem_new(sizeof *overlay);
    struct run run = {.overlay = overlay};
    struct overlay_config config = {
        .seed = seed, .supernodes = SUPERNODES, .peers = PEERS, .has_files = true};
    overlay_begin(overlay, &config);
    overlay->saw_message = saw_message;
    overlay->context = &run;
    for (uint32_t i = 0; i < SUPERNODES + PEERS; i++) {
        if (i < EARLY || i >= SUPERNODES) {
            sim_start(overlay->sim, i);
        }
    }
    go_on(&run, SETTLE_S);
    uint32_t before = run.moves;
    run.most = 0;
    for (uint32_t i = EARLY; i < SUPERNODES; i++) {
        sim_start(overlay->sim, i);
        go_on(&run, FILL_S);
    }
    uint32_t moves = run.moves - before;
    go_on(&run, QUIET_S);
    run.moves_afterwards = run.moves - before - moves;
    uint32_t missed = count_missed(overlay);
    printf("seed %llu: %u moved before, %u for the late ones, at most %u in 10 s, %u afterwards; "
           "lists of late ones %u and %u, of the first %u; %u of %u searches missed\n",
           (unsigned long long)seed, before, moves, run.most, run.moves_afterwards,
           run.lists[EARLY], run.lists[EARLY + 1], run.lists[0], missed, overlay->request_count);
    if (sim_failure(overlay->sim) != NULL) {
        printf("FAILED: %s\n", sim_failure(overlay->sim));
    }
    bool is_well = sim_failure(overlay->sim) == NULL && keeps_promises(&run, moves, missed);
    overlay_end(overlay);
    mem_free(overlay);
    return is_well;
}

int main(int argc, char **argv) {
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t seeds = argc > 2 ? strtoull(argv[2], NULL, 10) : 20;
    bool is_well = true;
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        is_well = run_seed(seed) && is_well;
    }
    return is_well ? 0 : 1;
}
