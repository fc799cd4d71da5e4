/* cluster_fleet.c - a cluster's fleet: many more peers, all in one process (`lab fleet`). */
#include "src/cluster/cluster_fleet.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "common/mem.h"
#include "src/cluster/cluster_sample.h"
#include "src/cluster/cluster_traffic.h"

#define END_MS 15000
#define NETNS_BASE "10.77.128.0"
#define WORDS_MAX 32

/* Addresses that no node of this cluster has: its own second octet, 64 higher. */
static void name_base(const struct cluster *cluster, char base[32]) {
    unsigned second = 32;
    if (cluster->netns != NULL) {
        snprintf(base, 32, NETNS_BASE);
    } else {
        (void)sscanf(cluster->net.supernodes[0].address, "127.%u.", &second);
        snprintf(base, 32, "127.%u.0.0", (second + 64) % 256);
    }
}

static char *log_path(const struct cluster *cluster) {
    char path[4096];
    snprintf(path, sizeof path, "%s/logs/fleet.log", cluster->folder);
    return mem_string(path);
}

static enum err start(struct cluster *cluster, const char *dir, const char *log) {
    const struct spec *spec = &cluster->spec;
    char program[4096], base[32], peers[16], files[16], searches[32], seed[24];
    uint32_t count = 0;
    const char *words[WORDS_MAX];
    snprintf(program, sizeof program, "%s/lab", cluster->net.bin);
    snprintf(peers, sizeof peers, "%" PRIu32, spec->fleet_peers);
    snprintf(files, sizeof files, "%" PRIu32, spec->fleet_files);
    snprintf(searches, sizeof searches, "%" PRIu64 ".%03" PRIu64, spec->fleet_search_milli / 1000,
             spec->fleet_search_milli % 1000);
    snprintf(seed, sizeof seed, "%" PRIu64, spec->seed);
    name_base(cluster, base);
    const char *const fixed[] = {
        program,      "fleet",  "--json",      "--held", "--network", cluster->net.network_file,
        "--dir",      dir,      "--peers",     peers,    "--files",   files,
        "--searches", searches, "--addresses", base,     "--seed",    seed};
    for (; count < sizeof fixed / sizeof *fixed; count++) {
        words[count] = fixed[count];
    }
    if (spec->names != NULL) {
        words[count++] = "--names";
        words[count++] = spec->names;
    }
    words[count] = NULL;
    const struct process_options options = {
        .argv = words,
        .log = log,
        .pipe = true,
        .netns = cluster->netns == NULL ? 0 : netns_of(cluster->netns, cluster->member_count)};
    return process_start(cluster->owner, &options, &cluster->fleet.process);
}

enum err cluster_fleet_start(struct cluster *cluster) {
    if (cluster->spec.fleet_peers == 0) {
        return OK;
    }
    char why[NETNS_TROUBLE_BYTES] = "it does not start";
    char *dir = owner_path(cluster->owner, "fleet"), *log = log_path(cluster);
    enum err err = cluster->netns == NULL ? OK
                                          : netns_take_block(cluster->netns, cluster->member_count,
                                                             NETNS_BASE "/17", why);
    err = err != OK ? err : start(cluster, dir, log);
    mem_free(dir);
    mem_free(log);
    if (err != OK) {
        snprintf(cluster->trouble, sizeof cluster->trouble, "the fleet: %s: %s", why,
                 err_text(err));
    }
    return err;
}

/* ---- What it says ---- */

static void take_searches(struct cluster *cluster, const json_t *line) {
    const json_t *ms = json_object_get(line, "ms");
    uint64_t searches = (uint64_t)localnet_number(line, "searches");
    uint64_t found = (uint64_t)localnet_number(line, "found");
    double now = (double)cluster_now(cluster) / 1000;
    cluster->counts.searches += searches;
    cluster->counts.found += found;
    cluster->counts.search_errors += (uint64_t)localnet_number(line, "refused");
    for (size_t i = 0; i < json_array_size(ms); i++) {
        double took = json_number_value(json_array_get(ms, i));
        series_add(&cluster->latencies, took);
        fprintf(cluster->searches_csv, "%.3f,fleet,,found,%.2f,ok\n", now, took);
    }
    for (uint64_t i = found; i < searches; i++) {
        fprintf(cluster->searches_csv, "%.3f,fleet,,missed,0,ok\n", now);
    }
}

static void take_gaps(struct cluster *cluster, const json_t *gaps) {
    for (size_t i = 0; i < json_array_size(gaps); i++) {
        series_add(&cluster->gaps, json_number_value(json_array_get(gaps, i)));
    }
}

static void take_line(struct cluster *cluster, const char *text) {
    json_t *line = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    if (strcmp(localnet_text(line, "kind"), "fleet") == 0) {
        struct member *member = &cluster->fleet.member;
        cluster->fleet.registered = (uint32_t)localnet_number(line, "registered");
        member->bytes_in = localnet_bytes(line, "in");
        member->bytes_out = localnet_bytes(line, "out");
        traffic_take(cluster, member, json_object_get(line, "traffic"));
        if (cluster->is_begun) {
            take_searches(cluster, line);
            take_gaps(cluster, json_object_get(line, "gaps_ms"));
        }
    }
    json_decref(line);
}

void cluster_fleet_step(struct cluster *cluster) {
    struct fleet *fleet = &cluster->fleet;
    if (fleet->process == NULL) {
        return;
    }
    struct buf line = {0};
    while (process_line(fleet->process, &line, 0) == OK) {
        take_line(cluster, (const char *)line.data);
    }
    buf_free(&line);
    int status = 0;
    if (!process_running(fleet->process) && process_wait(fleet->process, 0, &status) == OK) {
        cluster->counts.crashes++;
        cluster_note(cluster, "CRASH: the fleet ended with status %d; see its log", status);
        process_free(fleet->process);
        *fleet = (struct fleet){0};
    }
}

void cluster_fleet_search(struct cluster *cluster, bool is_searching) {
    struct fleet *fleet = &cluster->fleet;
    if (fleet->process != NULL && fleet->is_searching != is_searching) {
        kill(process_pid(fleet->process), is_searching ? SIGUSR1 : SIGUSR2);
        fleet->is_searching = is_searching;
    }
}

void cluster_fleet_sample(struct cluster *cluster) {
    if (cluster->fleet.process != NULL) {
        struct member *member = &cluster->fleet.member;
        member->state = CLUSTER_RUNNING;
        member->files = (uint64_t)cluster->spec.fleet_peers * cluster->spec.fleet_files;
        sample_process(member, process_pid(cluster->fleet.process));
        sample_row(cluster, "fleet", member);
    }
}

uint32_t cluster_fleet_stop(struct cluster *cluster) {
    struct fleet *fleet = &cluster->fleet;
    if (fleet->process == NULL) {
        return 0;
    }
    int status = process_stop(fleet->process, END_MS);
    process_free(fleet->process);
    *fleet = (struct fleet){0};
    if (status != 0) {
        cluster_note(cluster, "the fleet ended with status %d; see its log", status);
    }
    return status != 0;
}
