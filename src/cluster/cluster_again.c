/* cluster_again.c - searches of peers that lost a supernode, until one finds something. */
#include "src/cluster/cluster_again.h"

#include <inttypes.h>
#include <string.h>

#include "common/mem.h"
#include "src/cluster/cluster_load.h"

#define PAUSE_MS 100 /* after a search that found nothing */

/* One peer from the event until it finds. */
struct probe {
    struct probe *next;
    struct cluster *cluster;
    struct member *member;
    struct corpus_file *file; /* that it searches for */
    int64_t event_ms;
    int64_t due_ms;
    uint32_t tries;
    bool is_asking;
    bool is_warm; /* another link was there */
};

void again_take_links(const struct cluster *cluster, struct member *member, const json_t *answer) {
    member->up_count = 0;
    for (size_t i = 0; i < json_array_size(answer); i++) {
        const json_t *object = json_array_get(answer, i);
        const char *state = localnet_text(object, "state");
        if (strcmp(localnet_text(object, "kind"), "parent") != 0 ||
            strcmp(state, "dialling") == 0) {
            continue;
        }
        for (uint32_t j = 0; j < cluster->spec.supernodes && member->up_count < PARENTS + 1; j++) {
            if (strcmp(cluster->members[j].node->id, localnet_text(object, "id")) == 0) {
                member->up[member->up_count++] =
                    (struct up){.supernode = j, .is_parent = strcmp(state, "standby") != 0};
            }
        }
    }
}

bool again_is_parent(const struct cluster *cluster, const struct member *supernode) {
    for (uint32_t i = cluster->spec.supernodes; i < cluster->member_count; i++) {
        const struct member *member = &cluster->members[i];
        for (uint32_t j = 0; j < member->up_count; j++) {
            if (member->state == CLUSTER_RUNNING && member->up[j].is_parent &&
                &cluster->members[member->up[j].supernode] == supernode) {
                return true;
            }
        }
    }
    return false;
}

static bool takes_away(const struct spec_event *event) {
    return event->verb == SPEC_KILL || event->verb == SPEC_FREEZE || event->verb == SPEC_STOP ||
           (event->verb == SPEC_LINK && event->link.black_hole);
}

static bool is_open(const struct cluster *cluster, const struct member *member) {
    const struct probe *at = cluster->probes;
    while (at != NULL && at->member != member) {
        at = at->next;
    }
    return at != NULL;
}

void again_begin(struct cluster *cluster, const struct spec_event *event, struct member *const *hit,
                 uint32_t count) {
    bool is_hit[SPEC_NODES_MAX] = {false};
    for (uint32_t i = 0; i < count && takes_away(event); i++) {
        is_hit[hit[i] - cluster->members] = true;
    }
    for (uint32_t i = cluster->spec.supernodes; i < cluster->member_count; i++) {
        struct member *member = &cluster->members[i];
        bool has_lost = false, is_warm = false;
        for (uint32_t j = 0; j < member->up_count; j++) {
            const struct up *up = &member->up[j];
            has_lost = has_lost || (is_hit[up->supernode] && up->is_parent);
            is_warm = is_warm || (!is_hit[up->supernode] &&
                                  cluster->members[up->supernode].state == CLUSTER_RUNNING);
        }
        if (has_lost && member->state == CLUSTER_RUNNING && !is_open(cluster, member)) {
            struct probe *probe = mem_new(sizeof *probe);
            *probe = (struct probe){.next = cluster->probes,
                                    .cluster = cluster,
                                    .member = member,
                                    .event_ms = cluster_now(cluster),
                                    .is_warm = is_warm};
            cluster->probes = probe;
        }
    }
}

static void end_probe(struct probe *probe, bool counts) {
    struct cluster *cluster = probe->cluster;
    int64_t took_ms = cluster_now(cluster) - probe->event_ms;
    if (counts) {
        series_add(&cluster->agains, (double)took_ms);
        if (probe->is_warm) {
            series_add(&cluster->agains_warm, (double)took_ms);
        }
        cluster_note(cluster, "%s searches again after %" PRId64 " ms, %" PRIu32 " searches, %s",
                     probe->member->node->name, took_ms, probe->tries,
                     probe->is_warm ? "warm" : "cold");
    }
    struct probe **at = &cluster->probes;
    while (*at != probe) {
        at = &(*at)->next;
    }
    *at = probe->next;
    mem_free(probe);
}

static void on_answer(void *context, enum err err, const json_t *answer) {
    struct probe *probe = context;
    probe->is_asking = false;
    probe->due_ms = cluster_now(probe->cluster) + PAUSE_MS;
    if (err != ERR_SHUTDOWN && load_hit(answer, probe->file) != NULL) {
        end_probe(probe, true);
    }
}

void again_tick(struct cluster *cluster) {
    struct probe *next;
    for (struct probe *probe = cluster->probes; probe != NULL; probe = next) {
        next = probe->next;
        if (probe->is_asking || cluster_now(cluster) < probe->due_ms) {
            continue;
        }
        probe->file = load_file_for(cluster, probe->member);
        if (probe->member->state != CLUSTER_RUNNING || probe->file == NULL) {
            end_probe(probe, false);
            continue;
        }
        probe->is_asking = true;
        probe->tries++;
        load_ask(cluster, probe->member, probe->file, on_answer, probe);
    }
}

void again_close(struct cluster *cluster) {
    while (cluster->probes != NULL) {
        end_probe(cluster->probes, cluster->probes->member->state == CLUSTER_RUNNING);
    }
}
