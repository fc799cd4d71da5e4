/* cluster.c - a network of real processes while it lives: begin, tick, events, end. */
#include "src/cluster/cluster.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/mem.h"
#include "src/cluster/cluster_again.h"
#include "src/cluster/cluster_control.h"
#include "src/cluster/cluster_fleet.h"
#include "src/cluster/cluster_liars.h"
#include "src/cluster/cluster_links.h"
#include "src/cluster/cluster_load.h"
#include "src/cluster/cluster_sample.h"
#include "src/cluster/cluster_traffic.h"
#include "src/cluster/guard.h"

#define SETTLE_POLL_MS 250
#define QUIET_MS 1000 /* before descriptors are counted at the end */
#define LAST_MS 500   /* for the answers to the last sample */

/* ---- Small things ---- */

static enum err trouble(struct cluster *cluster, enum err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static enum err trouble(struct cluster *cluster, enum err err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(cluster->trouble, sizeof cluster->trouble, format, args);
    va_end(args);
    return err;
}

int64_t cluster_now(const struct cluster *cluster) {
    return process_now_ms() - cluster->start_ms;
}

/* In the form of the nodes' logs, so that they can be merged. */
void cluster_note(struct cluster *cluster, const char *format, ...) {
    struct timespec now;
    struct tm parts;
    char stamp[32];
    va_list args;
    if (cluster->timeline == NULL) {
        return;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &parts);
    fprintf(cluster->timeline, "%s.%03ldZ %+8.3f ", stamp, now.tv_nsec / 1000000,
            (double)cluster_now(cluster) / 1000);
    va_start(args, format);
    vfprintf(cluster->timeline, format, args);
    va_end(args);
    fputc('\n', cluster->timeline);
    fflush(cluster->timeline);
}

void series_add(struct series *series, double value) {
    if (series->count == series->room) {
        series->room = series->room == 0 ? 1024 : 2 * series->room;
        series->values = mem_resize(series->values, series->room, sizeof *series->values);
    }
    series->values[series->count++] = value;
}

static int by_value(const void *a, const void *b) {
    double first = *(const double *)a, second = *(const double *)b;
    return (first > second) - (first < second);
}

void trend_add(struct trend *trend, double x, double y) {
    trend->count += 1;
    trend->x += x;
    trend->y += y;
    trend->xx += x * x;
    trend->xy += x * y;
}

double trend_slope(const struct trend *trend) {
    double spread = trend->count * trend->xx - trend->x * trend->x;
    return trend->count < 2 || spread <= 0
               ? 0
               : (trend->count * trend->xy - trend->x * trend->y) / spread;
}

double series_quantile(struct series *series, double share) {
    if (series->count == 0) {
        return 0;
    }
    qsort(series->values, series->count, sizeof *series->values, by_value);
    uint32_t at = (uint32_t)(share * series->count);
    return series->values[at < series->count ? at : series->count - 1];
}

/* ---- The folder ---- */

static char *format_path(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *format_path(const char *format, ...) {
    char path[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(path, sizeof path, format, args);
    va_end(args);
    return mem_string(path);
}

char *cluster_folder(const char *name) {
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (state != NULL && state[0] == '/') {
        return format_path("%s/trunkline/clusters/%s", state, name);
    }
    return format_path("%s/.local/state/trunkline/clusters/%s", home == NULL ? "/tmp" : home, name);
}

static bool make_folders(const char *path) {
    char *copy = mem_string(path);
    for (char *slash = copy + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(copy, 0700);
        *slash = '/';
    }
    bool made = mkdir(copy, 0700) == 0 || errno == EEXIST;
    mem_free(copy);
    return made;
}

static FILE *open_file(struct cluster *cluster, const char *name, const char *header) {
    char *path = format_path("%s/%s", cluster->folder, name);
    FILE *file = fopen(path, "we");
    if (file != NULL && header != NULL) {
        fprintf(file, "%s\n", header);
    }
    mem_free(path);
    return file;
}

/* A folder is ours when it has our lock; what an earlier run left in it goes. */
static enum err take_folder(struct cluster *cluster) {
    char *lock = format_path("%s/" CLUSTER_LOCK, cluster->folder);
    char *logs = format_path("%s/logs", cluster->folder);
    enum err err = OK;
    if (access(lock, F_OK) != 0 && access(cluster->folder, F_OK) == 0 &&
        rmdir(cluster->folder) != 0) {
        err = trouble(cluster, ERR_EXISTS,
                      "%.600s is not empty and no run's folder; name another one with --out",
                      cluster->folder);
    } else if (!make_folders(cluster->folder)) {
        err = trouble(cluster, ERR_IO, "%.600s: %s", cluster->folder, strerror(errno));
    } else {
        cluster->lock = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (cluster->lock < 0 || flock(cluster->lock, LOCK_EX | LOCK_NB) != 0) {
            err = trouble(cluster, ERR_BUSY,
                          "a cluster already runs in %.600s; stop it, or name this one with --name",
                          cluster->folder);
        }
    }
    if (err == OK) {
        guard_remove_folder(logs);
        mkdir(logs, 0700);
        cluster->timeline = open_file(cluster, "timeline.log", NULL);
        cluster->nodes_csv =
            open_file(cluster, "nodes.csv",
                      "time_s,node,state,memory_bytes,share_bytes,descriptors,cpu_ms,files,"
                      "parents,leaves,neighbours,bytes_in,bytes_out");
        cluster->searches_csv =
            open_file(cluster, "searches.csv", "time_s,node,word,outcome,ms,error");
        cluster->downloads_csv =
            open_file(cluster, "downloads.csv", "time_s,node,word,bytes,outcome,ms");
        cluster->samples_csv = open_file(cluster, "samples.csv",
                                         "time_s,running,registered,memory_bytes,bytes_in,"
                                         "bytes_out");
        cluster->traffic_csv = open_file(cluster, "traffic.csv", NULL);
        cluster->liars_csv =
            open_file(cluster, "liars.csv",
                      "time_s,elected,liars,bytes,liar_bytes,streams,liar_streams,counted");
        if (cluster->timeline == NULL || cluster->traffic_csv == NULL ||
            cluster->liars_csv == NULL || cluster->nodes_csv == NULL ||
            cluster->searches_csv == NULL || cluster->downloads_csv == NULL ||
            cluster->samples_csv == NULL) {
            err = trouble(cluster, ERR_IO, "cannot write in %.600s: %s", cluster->folder,
                          strerror(errno));
        }
    }
    mem_free(lock);
    mem_free(logs);
    return err;
}

/* ---- Beginning ---- */

static void make_members(struct cluster *cluster) {
    struct localnet *net = &cluster->net;
    cluster->member_count = net->supernode_count + net->peer_count;
    cluster->members = mem_array(cluster->member_count, sizeof *cluster->members);
    for (uint32_t i = 0; i < cluster->member_count; i++) {
        struct member *member = &cluster->members[i];
        member->node =
            i < net->supernode_count ? &net->supernodes[i] : &net->peers[i - net->supernode_count];
        mem_free(member->node->log);
        member->node->log = format_path("%s/logs/%s.log", cluster->folder, member->node->name);
    }
}

/* Evenly by logarithm, the slowest first. */
static void set_lines(struct cluster *cluster) {
    const struct spec_election *election = &cluster->spec.election;
    double least = (double)election->line_min;
    double range = least > 0 ? (double)election->line_max / least : 1;
    for (uint32_t i = 0; i < election->consenting && i < cluster->spec.peers; i++) {
        double place = election->consenting > 1 ? (double)i / (election->consenting - 1) : 0;
        if (election->line_max > 0) {
            snprintf(cluster->net.peers[i].line, sizeof cluster->net.peers[i].line, "up=%.0f",
                     least * pow(range, place));
        }
    }
}

static enum err make_network(struct cluster *cluster, const char *bin) {
    cluster->owner = owner_new("trunkline-cluster");
    if (cluster->owner == NULL) {
        return trouble(cluster, ERR_IO, "cannot make a folder in $TMPDIR or /tmp: %s",
                       strerror(errno));
    }
    const struct spec *spec = &cluster->spec;
    enum err err = cluster_links_prepare(cluster);
    if (err != OK) {
        return err;
    }
    err = cluster->netns != NULL
              ? localnet_init_apart(
                    &cluster->net, cluster->owner, bin, cluster->netns,
                    (struct localnet_size){.supernodes = spec->supernodes, .peers = spec->peers})
              : localnet_init(&cluster->net, cluster->owner, bin, spec->supernodes, spec->peers);
    if (err != OK) {
        return trouble(cluster, err, "%s", cluster->net.trouble);
    }
    make_members(cluster);
    if (spec->leaves > 0 || spec->fleet_peers > 0) {
        cluster->net.leaves = spec->leaves > 0 ? spec->leaves : spec->fleet_peers + SPEC_NODES_MAX;
    }
    if (spec->election.policy[0] != '\0') {
        const struct localnet_election election = {.policy = spec->election.policy,
                                                   .epoch_s = spec->election.epoch_ms / 1000,
                                                   .dwell_s = spec->election.dwell_ms / 1000,
                                                   .measure = spec->election.measure,
                                                   .minimum = spec->election.minimum,
                                                   .consenting = spec->election.consenting,
                                                   .leaves = spec->leaves};
        err = localnet_elect(&cluster->net, &election);
        if (err != OK) {
            return trouble(cluster, err, "%s", cluster->net.trouble);
        }
    }
    if (spec->upload_rate > 0) {
        snprintf(cluster->upload_rate, sizeof cluster->upload_rate, "%" PRIu64, spec->upload_rate);
        for (uint32_t i = 0; i < spec->peers; i++) {
            cluster->net.peers[i].upload_rate = cluster->upload_rate;
        }
    }
    set_lines(cluster);
    char why[SPEC_TROUBLE_BYTES] = "";
    err = corpus_make(&cluster->corpus, spec, &cluster->net, why);
    return err == OK ? OK : trouble(cluster, err, "%s", why);
}

enum err cluster_new(struct cluster *cluster, const struct spec *spec, const char *bin,
                     const char *folder) {
    *cluster = (struct cluster){.spec = *spec, .lock = -1, .control = -1, .proxy_control = -1};
    cluster->spec.names = NULL;
    cluster->folder = mem_string(folder);
    cluster->start_ms = process_now_ms();
    cluster->asker = asker_new();
    rng_seed(&cluster->rng, spec->seed);
    enum err err = take_folder(cluster);
    if (err == OK) {
        cluster->spec.names = spec->names == NULL ? NULL : mem_string(spec->names);
        err = make_network(cluster, bin);
    }
    err = err != OK ? err : cluster_links_start(cluster);
    return err != OK ? err : cluster_control_open(cluster);
}

static enum err launch(struct cluster *cluster, struct member *member) {
    enum err err = localnet_launch(&cluster->net, member->node);
    if (err != OK) {
        return trouble(cluster, err, "%s", cluster->net.trouble);
    }
    member->state = CLUSTER_RUNNING;
    member->is_leaving = member->is_registered = member->was_registered = false;
    member->up_count = 0;
    member->parents = member->links = member->leaves = member->files = 0;
    traffic_forget(member);
    return OK;
}

static enum err start_role(struct cluster *cluster, uint32_t from, uint32_t to) {
    for (uint32_t i = from; i < to; i++) {
        enum err err = launch(cluster, &cluster->members[i]);
        if (err != OK) {
            return err;
        }
    }
    for (uint32_t i = from; i < to; i++) {
        enum err err = localnet_await(&cluster->net, cluster->members[i].node);
        if (err != OK) {
            return trouble(cluster, err, "%s", cluster->net.trouble);
        }
    }
    return OK;
}

enum err cluster_begin(struct cluster *cluster, cluster_show_fn *show, void *context) {
    uint32_t supernodes = cluster->spec.supernodes;
    int64_t until = process_now_ms() + (int64_t)cluster->spec.settle_ms;
    cluster_note(cluster, "%u supernodes and %u peers start", supernodes, cluster->spec.peers);
    enum err err = start_role(cluster, 0, supernodes);
    err = err != OK ? err : cluster_fleet_start(cluster);
    err = err != OK ? err : start_role(cluster, supernodes, cluster->member_count);
    while (err == OK && !sample_is_whole(cluster) && !cluster->is_stopping) {
        if (process_now_ms() > until) {
            return trouble(cluster, ERR_TIMEOUT,
                           "not whole after %" PRIu64 " s: %.0f %% of the peers are registered and "
                           "%" PRIu64 " of %" PRIu64 " files indexed; see the logs, or allow more "
                           "with `settle`",
                           cluster->spec.settle_ms / 1000, 100 * sample_registered(cluster),
                           sample_indexed(cluster), sample_wanted(cluster));
        }
        sample_tick(cluster);
        int64_t next = process_now_ms() + SETTLE_POLL_MS;
        while (process_now_ms() < next) {
            asker_step(cluster->asker, (int)(next - process_now_ms()));
            cluster_control_step(cluster);
            cluster_fleet_step(cluster);
            cluster_liars_step(cluster);
        }
        show(context, cluster);
    }
    if (err == OK) {
        cluster_note(cluster, "the network is whole");
        cluster->start_ms = process_now_ms();
        cluster->sample_due_ms = 0;
        cluster->is_begun = true;
        memset(cluster->traffic, 0, sizeof cluster->traffic);
        traffic_header(cluster->traffic_csv);
        cluster_fleet_search(cluster, cluster->spec.fleet_search_milli > 0);
        cluster->descriptors_start = sample_descriptors(cluster);
    }
    return err;
}

/* ---- Events ---- */

static bool fits(const struct member *member, enum spec_verb verb) {
    switch (verb) {
    case SPEC_START:
        return member->state == CLUSTER_DOWN;
    case SPEC_THAW:
        return member->state == CLUSTER_FROZEN;
    case SPEC_KILL:
    case SPEC_STOP:
    case SPEC_FREEZE:
        return member->state == CLUSTER_RUNNING;
    case SPEC_LINK:
    case SPEC_SPLIT:
    case SPEC_HEAL:
    case SPEC_VERBS:
    default:
        return true;
    }
}

static void apply_to(struct cluster *cluster, const struct spec_event *event,
                     struct member *member) {
    struct localnet_node *node = member->node;
    switch (event->verb) {
    case SPEC_KILL:
        cluster->counts.kills_fetching += load_is_fetching(cluster, member);
        localnet_cut(node);
        member->state = CLUSTER_DOWN;
        break;
    case SPEC_STOP:
        process_ask_to_stop(node->process);
        member->is_leaving = true;
        member->asked_ms = cluster_now(cluster);
        break;
    case SPEC_FREEZE:
        process_freeze(node->process);
        member->state = CLUSTER_FROZEN;
        break;
    case SPEC_THAW:
        process_thaw(node->process);
        member->state = CLUSTER_RUNNING;
        break;
    case SPEC_START:
        if (launch(cluster, member) != OK) {
            cluster_note(cluster, "%s", cluster->trouble);
        }
        break;
    case SPEC_LINK:
        cluster_links_set(cluster, node, &event->link);
        break;
    case SPEC_SPLIT:
    case SPEC_HEAL:
        member->group = event->verb == SPEC_SPLIT;
        cluster_links_group(cluster, node, member->group);
        break;
    case SPEC_VERBS:
    default:
        break;
    }
    cluster_note(cluster, "%s: %s", event->text, node->name);
}

static bool is_meant(const struct cluster *cluster, const struct spec_event *event,
                     const struct member *member) {
    const struct spec_targets *targets = &event->targets;
    bool peer = member->node->role == LOCALNET_PEER;
    return (peer ? targets->peers : targets->supernodes) &&
           (targets->percent > 0 ||
            (member->node->number >= targets->first && member->node->number <= targets->last)) &&
           (!targets->elected || member->is_elected) &&
           (!targets->parents || again_is_parent(cluster, member)) &&
           (!targets->fetchers || load_is_fetching(cluster, member)) && fits(member, event->verb);
}

void cluster_apply(struct cluster *cluster, const struct spec_event *event) {
    struct member *chosen[SPEC_NODES_MAX] = {NULL};
    uint32_t count = 0;
    for (uint32_t i = 0; i < cluster->member_count; i++) {
        if (is_meant(cluster, event, &cluster->members[i])) {
            chosen[count++] = &cluster->members[i];
        }
    }
    uint32_t wanted =
        event->targets.percent == 0 ? count : (count * event->targets.percent + 50) / 100;
    for (uint32_t i = 0; i < wanted; i++) {
        uint32_t other = i;
        if (wanted < count) {
            other += (uint32_t)rng_below(&cluster->rng, count - i);
        }
        struct member *member = chosen[other];
        chosen[other] = chosen[i];
        apply_to(cluster, event, member);
    }
    if (event->verb == SPEC_LINK || event->verb == SPEC_SPLIT || event->verb == SPEC_HEAL) {
        cluster_links_apply(cluster);
    }
    again_begin(cluster, event, chosen, wanted);
    if (wanted == 0) {
        cluster_note(cluster, "%s: nobody to do it to", event->text);
    }
}

/* ---- Going on ---- */

/* A process that ended and was not asked to has crashed. */
static void watch_processes(struct cluster *cluster) {
    for (uint32_t i = 0; i < cluster->member_count; i++) {
        struct member *member = &cluster->members[i];
        struct localnet_node *node = member->node;
        if (member->state == CLUSTER_DOWN || process_running(node->process)) {
            continue;
        }
        int status = 0;
        bool asked = member->is_leaving;
        if (process_wait(node->process, 0, &status) == OK && (!asked || status != 0)) {
            cluster->counts.crashes++;
            cluster_note(cluster, "CRASH: %s ended with status %d; see %s", node->name, status,
                         node->log);
        } else {
            int64_t took_ms = cluster_now(cluster) - member->asked_ms;
            cluster->exit_ms_max = took_ms > cluster->exit_ms_max ? took_ms : cluster->exit_ms_max;
            cluster_note(cluster, "%s has ended after %" PRId64 " ms", node->name, took_ms);
        }
        process_free(node->process);
        node->process = NULL;
        member->state = CLUSTER_DOWN;
    }
}

static void begin_checks(struct cluster *cluster, int64_t now, int64_t before) {
    for (uint32_t i = 0; i < cluster->spec.check_count; i++) {
        const struct spec_check *check = &cluster->spec.checks[i];
        int64_t at = (int64_t)check->at_ms;
        if (!check->is_timed || at > now || at <= before) {
            continue;
        }
        if (check->measure == SPEC_RECALL) {
            load_sweep(cluster, i);
        } else {
            cluster->outcomes[i] = (struct outcome){.is_known = true,
                                                    .value = check->measure == SPEC_REGISTERED
                                                                 ? sample_registered(cluster)
                                                                 : sample_supernodes(cluster)};
        }
    }
}

void cluster_tick(struct cluster *cluster, int wait_ms) {
    asker_step(cluster->asker, wait_ms);
    cluster_control_step(cluster);
    cluster_fleet_step(cluster);
    cluster_liars_step(cluster);
    watch_processes(cluster);
    int64_t now = cluster_now(cluster);
    while (cluster->next_event < cluster->spec.event_count &&
           (int64_t)cluster->spec.events[cluster->next_event].at_ms <= now) {
        cluster_apply(cluster, &cluster->spec.events[cluster->next_event++]);
    }
    if (now >= cluster->sample_due_ms) {
        cluster->sample_due_ms = now + (int64_t)cluster->spec.sample_ms;
        sample_tick(cluster);
        load_look_at_cut(cluster);
    }
    again_tick(cluster);
    begin_checks(cluster, now, cluster->checked_ms);
    cluster->checked_ms = now;
    uint64_t until = cluster->spec.load_until_ms;
    if (now < (int64_t)(until > 0 ? until : cluster->spec.duration_ms)) {
        load_tick(cluster);
    } else {
        cluster_fleet_search(cluster, false);
    }
}

/* ---- The end ---- */

static double measure_at_end(struct cluster *cluster, enum spec_measure measure) {
    const struct cluster_counts *counts = &cluster->counts;
    uint64_t memory = 0, descriptors = 0;
    for (uint32_t i = 0; i < cluster->member_count; i++) {
        const struct member *member = &cluster->members[i];
        memory = member->memory_max > memory ? member->memory_max : memory;
        descriptors = member->descriptors_max > descriptors ? member->descriptors_max : descriptors;
    }
    switch (measure) {
    case SPEC_RECALL:
        return counts->searches == 0 ? 1 : (double)counts->found / (double)counts->searches;
    case SPEC_REGISTERED:
        return sample_registered(cluster);
    case SPEC_SEARCH_P99:
        return series_quantile(&cluster->latencies, 0.99);
    case SPEC_GAP_P99:
        return series_quantile(&cluster->gaps, 0.99);
    case SPEC_AGAIN_P99:
        return series_quantile(&cluster->agains, 0.99);
    case SPEC_AGAIN_WARM_P99:
        return series_quantile(&cluster->agains_warm, 0.99);
    case SPEC_KILLS_FETCHING:
        return (double)cluster->counts.kills_fetching;
    case SPEC_MEMORY:
        return (double)memory;
    case SPEC_MEMORY_TOTAL:
        return (double)cluster->memory_total_max;
    case SPEC_DOWNLOADS_FAILED:
        return (double)(counts->downloads_failed + counts->downloads_wrong);
    case SPEC_DOWNLOADS_DONE:
        return (double)counts->downloads_done;
    case SPEC_OVERHEAD:
        return traffic_overhead(cluster);
    case SPEC_DESCRIPTORS:
        return (double)descriptors;
    case SPEC_DESCRIPTORS_GROWN:
        return (double)sample_descriptors(cluster) - cluster->descriptors_start;
    case SPEC_MEMORY_SLOPE:
        return trend_slope(&cluster->memory_trend);
    case SPEC_DOWNLOAD_P99:
        return series_quantile(&cluster->fetches, 0.99);
    case SPEC_SUPERNODES:
    case SPEC_SUPERNODES_MOST:
        return sample_supernodes(cluster);
    case SPEC_ROLE_FLAPS:
        return (double)cluster->role_flaps;
    case SPEC_EXIT:
        return (double)cluster->exit_ms_max;
    case SPEC_LIAR_SEATS:
        return liars_seats(&cluster->liars);
    case SPEC_LIAR_BANDWIDTH:
        return liars_bandwidth(&cluster->liars);
    case SPEC_LIAR_RATIO:
        return liars_ratio(&cluster->liars);
    case SPEC_MEASURES:
    default:
        return 0;
    }
}

/* Where nobody lost a parent nothing was shown. */
static bool is_measured(const struct cluster *cluster, enum spec_measure measure) {
    return measure == SPEC_AGAIN_P99        ? cluster->agains.count > 0
           : measure == SPEC_AGAIN_WARM_P99 ? cluster->agains_warm.count > 0
                                            : true;
}

/* A peer that has no parent when all is over has a gap that is at least so long. */
static void close_gaps(struct cluster *cluster) {
    for (uint32_t i = 0; i < cluster->member_count; i++) {
        struct member *member = &cluster->members[i];
        if (member->state == CLUSTER_RUNNING && member->was_registered && !member->is_registered) {
            series_add(&cluster->gaps, (double)(cluster_now(cluster) - member->lost_ms));
        }
    }
}

void cluster_settle(struct cluster *cluster, int timeout_ms) {
    int64_t until = process_now_ms() + timeout_ms;
    while ((cluster->sweeps > 0 || load_open_downloads(cluster) > 0) && process_now_ms() < until &&
           !cluster->is_stopping) {
        cluster_tick(cluster, 50);
    }
    /* What was done in the last moments is in the next sample. */
    until = process_now_ms() + (timeout_ms > 0 ? (int64_t)cluster->spec.sample_ms + LAST_MS : 0);
    while (process_now_ms() < until && !cluster->is_stopping) {
        cluster_tick(cluster, 50);
    }
    asker_cancel(cluster->asker);
    poll(NULL, 0, QUIET_MS); /* the nodes see that nobody asks any more, and close their ends */
    load_close(cluster);
    close_gaps(cluster);
    again_close(cluster);
    for (uint32_t i = 0; i < cluster->spec.check_count; i++) {
        const struct spec_check *check = &cluster->spec.checks[i];
        struct outcome *outcome = &cluster->outcomes[i];
        if (!check->is_timed) {
            *outcome = (struct outcome){.is_known = is_measured(cluster, check->measure),
                                        .value = measure_at_end(cluster, check->measure)};
        }
        outcome->is_held = outcome->is_known && (spec_measures[check->measure].is_least
                                                     ? outcome->value >= check->bound
                                                     : outcome->value <= check->bound);
        cluster_note(cluster, "check %s: %s, %g", check->text,
                     !outcome->is_known ? "not measured"
                     : outcome->is_held ? "held"
                                        : "NOT HELD",
                     outcome->value);
    }
}

static void close_file(FILE **file) {
    if (*file != NULL) {
        fclose(*file);
        *file = NULL;
    }
}

uint32_t cluster_stop(struct cluster *cluster) {
    uint32_t untidy = 0;
    cluster->ended_ms = cluster_now(cluster);
    for (uint32_t i = 0; i < cluster->member_count; i++) {
        if (cluster->members[i].state == CLUSTER_FROZEN) {
            process_thaw(cluster->members[i].node->process);
        }
    }
    if (cluster->member_count > 0) {
        untidy = cluster_fleet_stop(cluster) + cluster_liars_stop(cluster) +
                 localnet_stop_all(&cluster->net);
        cluster_note(cluster, "all nodes have ended, %u of them not as they should%s%s", untidy,
                     untidy > 0 ? ": " : "", untidy > 0 ? cluster->net.trouble : "");
    }
    cluster_control_close(cluster);
    return untidy;
}

void cluster_free(struct cluster *cluster) {
    asker_free(cluster->asker);
    localnet_free(&cluster->net);
    corpus_free(&cluster->corpus);
    owner_free(cluster->owner);
    netns_free(cluster->netns);
    close_file(&cluster->timeline);
    close_file(&cluster->nodes_csv);
    close_file(&cluster->searches_csv);
    close_file(&cluster->downloads_csv);
    close_file(&cluster->samples_csv);
    close_file(&cluster->traffic_csv);
    close_file(&cluster->liars_csv);
    if (cluster->lock >= 0) {
        close(cluster->lock); /* the file stays: it marks the folder as a run's */
    }
    mem_free(cluster->members);
    mem_free(cluster->latencies.values);
    mem_free(cluster->gaps.values);
    mem_free(cluster->fetches.values);
    mem_free(cluster->agains.values);
    mem_free(cluster->agains_warm.values);
    mem_free(cluster->folder);
    spec_free(&cluster->spec);
    *cluster = (struct cluster){.lock = -1, .control = -1};
}
