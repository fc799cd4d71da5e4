/* sim_downloads.c - downloads from ten sources, of which some send wrong blocks.
 *
 * One to five of the ten lie, each with a chance of its own between 1 and 100 %. Claims: the file
 * comes and is right (the simulated disk compares every block), nobody honest is banned, a liar is
 * banned by the fourth wrong block, needed or not, and little is received for nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/wire.h"
#include "tests/sim/overlay.h"

#define SOURCES 10
#define ASKER 1 /* machine 0 is the supernode */
#define FIRST_SOURCE 2
#define FILE_MIB 32
#define FILE_BYTES (FILE_MIB * 1048576ull - 5000)
#define SPARE_PERCENT_MAX 10
#define DEADLINE_S 600

struct liars {
    struct overlay *overlay;
    uint32_t ppm[SOURCES];   /* 0 = honest */
    uint32_t wrong[SOURCES]; /* blocks sent before the ban */
    bool is_banned[SOURCES];
    uint64_t blocks; /* received, right and wrong */
};

/* What a whole campaign adds up to. */
struct totals {
    uint32_t seeds;
    uint32_t failed;
    uint32_t liars;
    uint32_t banned;
    uint32_t due;        /* liars that sent enough wrong blocks to be banned */
    uint32_t wrong_most; /* blocks of one liar before its ban */
    double spare_most;   /* percent */
    double spare_sum;
    double seconds_sum;
};

static void saw_message(void *context, const struct sim_message *message) {
    struct liars *liars = context;
    struct sim *sim = liars->overlay->sim;
    if (message->to == ASKER && message->type == MSG_BLOCK) {
        liars->blocks++;
    }
    struct goaway goaway;
    bool is_ban =
        message->from == ASKER && message->to >= FIRST_SOURCE && message->type == MSG_GOAWAY &&
        wire_goaway_decode(message->payload, &goaway) == OK && goaway.reason == GOAWAY_PROTOCOL;
    if (!is_ban) {
        return;
    }
    uint32_t number = message->to - FIRST_SOURCE;
    if (liars->ppm[number] == 0) {
        sim_fail(sim, "the honest source %u is banned", message->to);
    }
    if (!liars->is_banned[number]) {
        liars->is_banned[number] = true;
        liars->wrong[number] = sim_spoilt(sim, message->to);
    }
}

static void begin(struct liars *liars, struct overlay *overlay, uint64_t seed, bool is_traced) {
    struct overlay_config config = {
        .seed = seed, .supernodes = 1, .peers = SOURCES + 1, .trace = is_traced};
    overlay_begin(overlay, &config);
    liars->overlay = overlay;
    overlay->saw_message = saw_message;
    overlay->context = liars;
    struct sim *sim = overlay->sim;
    struct published *published = &overlay->published[overlay->published_count++];
    published->file = sim_file_add(sim, FILE_BYTES);
    for (uint32_t i = 0; i < SOURCES; i++) {
        sim_share(sim, FIRST_SOURCE + i, published->file, "a long song of the sea.ogg");
    }
    uint32_t count = 1 + (uint32_t)sim_below(sim, 5);
    while (count > 0) {
        uint32_t liar = (uint32_t)sim_below(sim, SOURCES);
        if (liars->ppm[liar] == 0) {
            liars->ppm[liar] = 10000 * (1 + (uint32_t)sim_below(sim, 100));
            sim_spoil(sim, FIRST_SOURCE + liar, liars->ppm[liar]);
            count--;
        }
    }
    overlay_start_all(overlay);
}

/* Fetch the file; return the seconds it took. */
static double fetch(struct overlay *overlay) {
    struct sim *sim = overlay->sim;
    sim_run(sim, 60 * SECOND_US);
    uint32_t number = overlay_get(overlay, ASKER, 0);
    const struct request *request = &overlay->requests[number];
    uint64_t end_us = sim_now_us(sim) + DEADLINE_S * SECOND_US;
    while (!request->is_answered && sim_now_us(sim) < end_us && sim_failure(sim) == NULL) {
        sim_run(sim, sim_now_us(sim) + SECOND_US / 10);
    }
    if (!request->is_answered) {
        sim_fail(sim, "no file after %d s", DEADLINE_S);
    } else if (request->err != OK || !sim_has_file(sim, ASKER, overlay->published[0].file)) {
        sim_fail(sim, "the download failed: %s", err_name(request->err));
    }
    return (double)(request->answered_us - request->asked_us) / 1e6;
}

static void judge(struct liars *liars, struct totals *totals) {
    struct sim *sim = liars->overlay->sim;
    for (uint32_t i = 0; i < SOURCES; i++) {
        if (liars->ppm[i] == 0) {
            continue;
        }
        uint32_t wrong = liars->is_banned[i] ? liars->wrong[i] : sim_spoilt(sim, FIRST_SOURCE + i);
        totals->liars++;
        totals->banned += liars->is_banned[i];
        totals->due += wrong >= FETCH_WRONG_BLOCKS_MAX;
        totals->wrong_most = wrong > totals->wrong_most ? wrong : totals->wrong_most;
        if (wrong > FETCH_WRONG_BLOCKS_MAX) {
            sim_fail(sim, "source %u, of whose blocks %u %% are wrong, sent %u wrong ones%s",
                     FIRST_SOURCE + i, liars->ppm[i] / 10000, wrong,
                     liars->is_banned[i] ? "" : " and is not banned");
        }
    }
    double needed = (double)((FILE_BYTES + BLOCK_BYTES - 1) / BLOCK_BYTES);
    double spare = ((double)liars->blocks - needed) * 100 / needed;
    totals->spare_sum += spare;
    totals->spare_most = spare > totals->spare_most ? spare : totals->spare_most;
    if (spare > SPARE_PERCENT_MAX) {
        sim_fail(sim, "%.1f %% more was received than needed", spare);
    }
}

static void run(uint64_t seed, bool is_traced, struct totals *totals) {
    struct overlay *overlay = mem_new(sizeof *overlay);
    struct liars liars = {0};
    begin(&liars, overlay, seed, is_traced);
    totals->seconds_sum += fetch(overlay);
    judge(&liars, totals);
    totals->seeds++;
    const char *failure = sim_failure(overlay->sim);
    if (failure != NULL) {
        totals->failed++;
        printf("seed %llu FAILED: %s\nreplay: sim_downloads --seeds %llu 1 --trace\n",
               (unsigned long long)seed, failure, (unsigned long long)seed);
    }
    overlay_end(overlay);
    mem_free(overlay);
}

int main(int argc, char **argv) {
    uint64_t first = 1;
    uint64_t count = 10;
    bool is_traced = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seeds") == 0 && i + 2 < argc) {
            first = strtoull(argv[++i], NULL, 10);
            count = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--trace") == 0) {
            is_traced = true;
        } else {
            fprintf(stderr, "usage: sim_downloads [--seeds FIRST COUNT] [--trace]\n");
            return 2;
        }
    }
    struct totals totals = {0};
    for (uint64_t seed = first; seed < first + count; seed++) {
        run(seed, is_traced, &totals);
    }
    printf("%u seeds, %u failed; %u liars, %u banned; wrong blocks of one liar: at most %u; more "
           "received than needed: %.2f %% on average, at most %.2f %%; %.1f s per download\n",
           totals.seeds, totals.failed, totals.liars, totals.banned, totals.wrong_most,
           totals.spare_sum / totals.seeds, totals.spare_most, totals.seconds_sum / totals.seeds);
    /* The end of a download may come before the last of them are judged. */
    bool are_banned = totals.banned * 10 >= totals.due * 9;
    if (!are_banned) {
        printf("FAILED: of %u liars with wrong blocks enough only %u are banned\n", totals.due,
               totals.banned);
    }
    return totals.failed == 0 && are_banned ? 0 : 1;
}
