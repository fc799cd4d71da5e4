/* cluster_liars.c - a cluster's liars, and how far they came. */
#include "src/cluster/cluster_liars.h"

#include <inttypes.h>
#include <string.h>

#include "common/mem.h"

#define END_MS 20000 /* their supernodes take leave, too */

static enum err start(struct cluster *cluster, const char *dir, const char *log) {
    const struct spec *spec = &cluster->spec;
    char program[4096], base[32], identities[16], line[24], seed[24];
    unsigned second = 32;
    (void)sscanf(cluster->net.supernodes[0].address, "127.%u.", &second);
    snprintf(base, sizeof base, "127.%u.0.0", (second + 128) % 256); /* beyond the fleet's */
    snprintf(program, sizeof program, "%s/lab", cluster->net.bin);
    snprintf(identities, sizeof identities, "%" PRIu32, spec->liars.identities);
    snprintf(line, sizeof line, "%" PRIu64, spec->liars.rate);
    snprintf(seed, sizeof seed, "%" PRIu64, spec->seed + 1);
    const char *const words[] = {program,
                                 "fleet",
                                 "--json",
                                 "--held",
                                 "--network",
                                 cluster->net.network_file,
                                 "--dir",
                                 dir,
                                 "--peers",
                                 identities,
                                 "--files=0",
                                 "--addresses",
                                 base,
                                 "--seed",
                                 seed,
                                 "--line",
                                 line,
                                 "--watch",
                                 cluster->net.supernodes[0].dir,
                                 NULL};
    const struct process_options options = {.argv = words, .log = log, .pipe = true};
    return process_start(cluster->owner, &options, &cluster->liars.process);
}

static void join(struct cluster *cluster) {
    char log[4096];
    snprintf(log, sizeof log, "%s/logs/liars.log", cluster->folder);
    char *dir = owner_path(cluster->owner, "liars");
    enum err err = cluster->netns != NULL ? ERR_CONFIG : start(cluster, dir, log);
    mem_free(dir);
    cluster->liars.is_started = true;
    if (err == OK) {
        cluster_note(cluster, "%" PRIu32 " liars come", cluster->spec.liars.identities);
    } else {
        cluster->counts.crashes++;
        cluster_note(cluster, "the liars do not start: %s", err_text(err));
    }
}

/* ---- What they tell ---- */

static void take_epoch(struct cluster *cluster, const json_t *line) {
    struct liars *liars = &cluster->liars;
    uint64_t elected = (uint64_t)localnet_number(line, "elected");
    uint64_t seats = (uint64_t)localnet_number(line, "liars");
    uint64_t bytes = (uint64_t)localnet_number(line, "bytes");
    uint64_t own = (uint64_t)localnet_number(line, "liar_bytes");
    bool counts = cluster->is_begun && elected > 0 &&
                  cluster_now(cluster) >= (int64_t)cluster->spec.liars.from_ms;
    double share = elected > 0 ? (double)seats / (double)elected : 0;
    if (counts) {
        liars->epochs++;
        liars->seat_shares += share;
        liars->seat_share_max = share > liars->seat_share_max ? share : liars->seat_share_max;
        liars->bytes += bytes;
        liars->own_bytes += own;
    }
    cluster_note(cluster,
                 "epoch %" PRIu64 ": liars have %" PRIu64 " of %" PRIu64
                 " elected seats and %.1f %% of the bandwidth that was measured%s",
                 (uint64_t)localnet_number(line, "epoch"), seats, elected,
                 bytes > 0 ? 100 * (double)own / (double)bytes : 0, counts ? "" : "; not counted");
    fprintf(cluster->liars_csv,
            "%.1f,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRId64 ",%" PRId64 ",%d\n",
            (double)cluster_now(cluster) / 1000, elected, seats, bytes, own,
            localnet_number(line, "named"), localnet_number(line, "liars_named"), counts);
}

static void take_line(struct cluster *cluster, const char *text) {
    json_t *line = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    if (strcmp(localnet_text(line, "kind"), "seats") == 0) {
        take_epoch(cluster, line);
    }
    json_decref(line);
}

void cluster_liars_step(struct cluster *cluster) {
    struct liars *liars = &cluster->liars;
    if (cluster->spec.liars.identities > 0 && !liars->is_started && cluster->is_begun &&
        cluster_now(cluster) >= (int64_t)cluster->spec.liars.join_ms) {
        join(cluster);
    }
    if (liars->process == NULL) {
        return;
    }
    struct buf line = {0};
    while (process_line(liars->process, &line, 0) == OK) {
        take_line(cluster, (const char *)line.data);
    }
    buf_free(&line);
    int status = 0;
    if (!process_running(liars->process) && process_wait(liars->process, 0, &status) == OK) {
        cluster->counts.crashes++;
        cluster_note(cluster, "CRASH: the liars ended with status %d; see their log", status);
        process_free(liars->process);
        liars->process = NULL;
    }
}

double liars_seats(const struct liars *liars) {
    return liars->epochs > 0 ? liars->seat_shares / liars->epochs : 0;
}

double liars_bandwidth(const struct liars *liars) {
    return liars->bytes > 0 ? (double)liars->own_bytes / (double)liars->bytes : 0;
}

double liars_ratio(const struct liars *liars) {
    double bandwidth = liars_bandwidth(liars);
    return liars->epochs > 0 && bandwidth > 0 ? liars_seats(liars) / bandwidth : LIARS_RATIO_MAX;
}

uint32_t cluster_liars_stop(struct cluster *cluster) {
    struct liars *liars = &cluster->liars;
    if (liars->process == NULL) {
        return 0;
    }
    int status = process_stop(liars->process, END_MS);
    process_free(liars->process);
    liars->process = NULL;
    if (status != 0) {
        cluster_note(cluster, "the liars ended with status %d; see their log", status);
    }
    return status != 0;
}
