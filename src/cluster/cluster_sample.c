/* cluster_sample.c - what every node of a running cluster says of itself, and what the system says
 * of it. */
#include "src/cluster/cluster_sample.h"

#include <inttypes.h>
#include <string.h>

#include "common/limits.h"
#include "common/mem.h"
#include "src/cluster/cluster_again.h"
#include "src/cluster/cluster_control.h"
#include "src/cluster/cluster_fleet.h"
#include "src/cluster/cluster_traffic.h"
#include "src/cluster/procfs.h"

#define STATUS_MS 5000
#define SHARES_AT_ONCE 32 /* the kernel walks through all pages of each */

struct sampling {
    struct cluster *cluster;
    struct member *member;
};

/* ---- Status ---- */

/* A gap is open from when a peer was last seen registered until it is again. A peer that was
 * started anew has none: it has not been registered yet. */
static void take_registration(struct cluster *cluster, struct member *member) {
    int64_t now = cluster_now(cluster);
    bool registered = member->parents > 0;
    if (registered && !member->is_registered && member->was_registered) {
        series_add(&cluster->gaps, (double)(now - member->lost_ms));
        cluster_note(cluster, "%s is registered again after %" PRId64 " ms", member->node->name,
                     now - member->lost_ms);
    }
    if (!registered && member->is_registered) {
        cluster_note(cluster, "%s has no parent", member->node->name);
    }
    member->lost_ms = registered ? now : member->lost_ms;
    member->is_registered = registered;
    member->was_registered = member->was_registered || registered;
}

static void on_status(void *context, enum err err, const json_t *answer) {
    struct sampling *sampling = context;
    struct cluster *cluster = sampling->cluster;
    struct member *member = sampling->member;
    member->is_asked = false;
    mem_free(sampling);
    const json_t *status = localnet_find(answer, "status");
    if (err != OK || member->state != CLUSTER_RUNNING || status == NULL) {
        return;
    }
    member->files = (uint64_t)localnet_number(status, "files");
    member->bytes_in = localnet_bytes(status, "in");
    member->bytes_out = localnet_bytes(status, "out");
    traffic_take(cluster, member, answer);
    if (member->node->role == LOCALNET_PEER) {
        member->parents = localnet_parents(answer);
        again_take_links(cluster, member, answer);
        take_registration(cluster, member);
    } else {
        member->leaves = (uint64_t)localnet_number(status, "leaves");
        member->links = (uint64_t)localnet_number(status, "neighbours");
    }
}

static void ask_status(struct cluster *cluster, struct member *member) {
    struct sampling *sampling = mem_new(sizeof *sampling);
    *sampling = (struct sampling){cluster, member};
    member->is_asked = true;
    const struct ask ask = {
        .state_dir = member->node->dir, .command = "status", .timeout_ms = STATUS_MS};
    asker_start(cluster->asker, &ask, on_status, sampling);
}

/* ---- Rows ---- */

static const char *const states[] = {"down", "running", "frozen"};

void sample_row(struct cluster *cluster, const char *name, const struct member *member) {
    fprintf(cluster->nodes_csv,
            "%.1f,%s,%s,%" PRIu64 ",%" PRIu64 ",%" PRIu32 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64
            ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "\n",
            (double)cluster_now(cluster) / 1000, name, states[member->state], member->memory,
            member->share, member->descriptors, member->cpu_ms, member->files, member->parents,
            member->leaves, member->links, member->bytes_in, member->bytes_out);
}

/* A supernode beside a peer comes and goes. */
static void look_at_role(struct cluster *cluster, struct member *member) {
    int64_t now = process_now_ms(); /* roles change before the schedule begins, too */
    bool is_elected = localnet_election_serves(member->node->dir);
    if (is_elected == member->is_elected) {
        return;
    }
    member->is_elected = is_elected;
    member->promotions += is_elected;
    cluster_control_describe(cluster);
    cluster_note(cluster, "%s %s", member->node->name,
                 is_elected ? "is a supernode, too" : "is no supernode any more");
    if (!member->is_leaving && member->role_ms != 0 &&
        now - member->role_ms < (int64_t)cluster->spec.election.dwell_ms) {
        cluster->role_flaps++;
        cluster_note(cluster, "FLAP: %s changes its role after %" PRId64 " ms", member->node->name,
                     now - member->role_ms);
    }
    member->role_ms = member->was_seen ? now : 0; /* what it came back as is no change */
}

static uint64_t larger(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

void sample_process(struct member *member, pid_t pid) {
    member->memory = procfs_resident(pid);
    member->memory_max = larger(member->memory, member->memory_max);
    member->descriptors = procfs_descriptors(pid);
    member->descriptors_max = (uint32_t)larger(member->descriptors, member->descriptors_max);
    member->cpu_ms = procfs_cpu_ms(pid);
}

/* From when a third of the run is over: what is learnt and mapped first is no leak. */
static void follow_memory(struct cluster *cluster, uint64_t resident_sum, uint32_t running) {
    int64_t now = cluster_now(cluster);
    if (cluster->is_begun && running > 0 && now > (int64_t)cluster->spec.duration_ms / 3) {
        trend_add(&cluster->memory_trend, (double)now / (3600 * 1000),
                  (double)resident_sum / running);
    }
}

uint32_t sample_descriptors(const struct cluster *cluster) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < cluster->member_count; i++) {
        const struct member *member = &cluster->members[i];
        if (member->state != CLUSTER_DOWN) {
            sum += procfs_descriptors(process_pid(member->node->process));
        }
    }
    return sum;
}

void sample_tick(struct cluster *cluster) {
    uint64_t memory = 0, resident_sum = 0;
    uint64_t in = cluster->fleet.member.bytes_in, out = cluster->fleet.member.bytes_out;
    uint32_t running = 0;
    cluster->share_next %= cluster->member_count;
    for (uint32_t i = 0; i < cluster->member_count; i++) {
        struct member *member = &cluster->members[i];
        uint32_t turn = (i + cluster->member_count - cluster->share_next) % cluster->member_count;
        if (member->state == CLUSTER_DOWN) {
            member->share = 0;
            member->is_elected = false;
            member->role_ms = 0;
            member->was_seen = false;
            continue;
        }
        sample_process(member, process_pid(member->node->process));
        if (turn < SHARES_AT_ONCE || member->share == 0) {
            member->share = procfs_proportional(process_pid(member->node->process));
        }
        memory += member->share;
        resident_sum += member->state == CLUSTER_RUNNING ? member->memory : 0;
        in += member->bytes_in;
        out += member->bytes_out;
        running += member->state == CLUSTER_RUNNING;
        if (member->node->role == LOCALNET_PEER &&
            member->node->number < cluster->spec.election.consenting) {
            look_at_role(cluster, member);
            member->was_seen = member->was_seen || member->parents > 0;
        }
        if (member->state == CLUSTER_RUNNING && !member->is_asked) {
            ask_status(cluster, member);
        }
        if (cluster->is_begun) {
            sample_row(cluster, member->node->name, member);
        }
    }
    cluster->share_next += SHARES_AT_ONCE;
    cluster->memory_total_max = larger(memory, cluster->memory_total_max);
    follow_memory(cluster, resident_sum, running);
    if (!cluster->is_begun) {
        return;
    }
    cluster_fleet_sample(cluster);
    traffic_row(cluster, cluster->traffic_csv);
    fprintf(cluster->samples_csv, "%.1f,%u,%.4f,%" PRIu64 ",%" PRIu64 ",%" PRIu64 "\n",
            (double)cluster_now(cluster) / 1000, running, sample_registered(cluster), memory, in,
            out);
}

/* ---- Summing up ---- */

double sample_registered(const struct cluster *cluster) {
    uint32_t running = cluster->fleet.process != NULL ? cluster->spec.fleet_peers : 0;
    uint32_t registered = cluster->fleet.registered;
    for (uint32_t i = 0; i < cluster->member_count; i++) {
        const struct member *member = &cluster->members[i];
        if (member->node->role == LOCALNET_PEER && member->state == CLUSTER_RUNNING) {
            running++;
            registered += member->is_registered;
        }
    }
    return running == 0 ? 1 : (double)registered / running;
}

double sample_supernodes(const struct cluster *cluster) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < cluster->member_count; i++) {
        const struct member *member = &cluster->members[i];
        bool is_one = member->node->role == LOCALNET_SUPERNODE || member->is_elected;
        count += member->state == CLUSTER_RUNNING && is_one;
    }
    return count;
}

/* Where supernodes are elected one is enough until there are more. */
static uint64_t parents_wanted(const struct cluster *cluster) {
    if (cluster->spec.election.policy[0] != '\0') {
        return 1;
    }
    return cluster->spec.supernodes < PARENTS_WANTED ? cluster->spec.supernodes : PARENTS_WANTED;
}

uint64_t sample_wanted(const struct cluster *cluster) {
    const struct spec *spec = &cluster->spec;
    return ((uint64_t)cluster->corpus.count * cluster->corpus.copies +
            (uint64_t)spec->fleet_peers * spec->fleet_files) *
           parents_wanted(cluster);
}

uint64_t sample_indexed(const struct cluster *cluster) {
    uint64_t indexed = 0;
    for (uint32_t i = 0; i < cluster->spec.supernodes; i++) {
        indexed += cluster->members[i].files;
    }
    return indexed;
}

bool sample_is_whole(const struct cluster *cluster) {
    uint32_t supernodes = cluster->spec.supernodes;
    uint64_t mesh = supernodes <= MESH_FULL_MAX ? supernodes - 1 : 1;
    for (uint32_t i = 0; i < cluster->member_count; i++) {
        const struct member *member = &cluster->members[i];
        bool peer = member->node->role == LOCALNET_PEER;
        if (peer ? member->parents < parents_wanted(cluster) : member->links < mesh) {
            return false;
        }
    }
    return cluster->spec.election.policy[0] != '\0' ||
           (cluster->fleet.registered >= cluster->spec.fleet_peers &&
            sample_indexed(cluster) >= sample_wanted(cluster));
}
