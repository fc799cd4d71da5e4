/* gate.c - who may begin a handshake. */
#include "src/host/gate.h"

#include <string.h>

#include "common/check.h"
#include "common/mem.h"

#define MILLI 1000
#define GROUP_KEY_BYTES 9 /* family, the first 64 bits */

/* One address or prefix. */
struct gate_group {
    struct ratelimit rate;
    uint32_t pending;
};

void gate_init(struct gate *gate, uint32_t per_s, uint64_t seed, struct driver_counts *counts) {
    *gate = (struct gate){.per_s = per_s != 0 ? per_s : HANDSHAKES_PER_S, .counts = counts};
    map_init(&gate->known, GROUP_KEY_BYTES, seed ^ 0x6b6e6f776e);
    map_init(&gate->strangers, GROUP_KEY_BYTES, seed ^ 0x737472616e676572);
}

static void free_groups(struct map *map) {
    uint32_t cursor = 0;
    for (struct gate_group *group; (group = map_next(map, &cursor, NULL)) != NULL;) {
        mem_free(group);
    }
    map_free(map);
}

void gate_free(struct gate *gate) {
    free_groups(&gate->known);
    free_groups(&gate->strangers);
}

static void group_key(uint8_t key[GROUP_KEY_BYTES], const struct address *address) {
    key[0] = (uint8_t)address->family;
    memcpy(key + 1, address->ip, GROUP_KEY_BYTES - 1);
}

/* Make room for one more: forget the oldest that nothing is pending of. */
static void make_room(struct map *map) {
    if (map->count < GATE_ADDRESSES_MAX) {
        return;
    }
    uint32_t cursor = 0;
    const void *key = NULL;
    for (struct gate_group *group; (group = map_next(map, &cursor, &key)) != NULL;) {
        if (group->pending == 0) {
            map_remove(map, key);
            mem_free(group);
            return;
        }
    }
}

static struct gate_group *find_group(const struct gate *gate, const uint8_t *key, bool *is_known) {
    struct gate_group *group = map_get(&gate->known, key);
    *is_known = group != NULL;
    return group != NULL ? group : map_get(&gate->strangers, key);
}

static uint64_t burst_of(const struct gate *gate) {
    return gate->per_s * HANDSHAKES_BURST_S;
}

/* Half of what may come at once has come, or half of the places are taken. */
static bool is_pressed(const struct gate *gate, uint64_t now_us) {
    uint64_t burst = burst_of(gate);
    return gate->counts->handshakes >= HANDSHAKES_PENDING_MAX / 2 ||
           ratelimit_wait(&gate->all, gate->per_s * MILLI, burst, (burst + 1) / 2, now_us) > 0;
}

static bool has_had_its_share(const struct gate_group *group, uint64_t now_us) {
    return group != NULL && (group->pending >= HANDSHAKES_SHARE_PENDING ||
                             ratelimit_wait(&group->rate, HANDSHAKES_SHARE_MILLI_PER_S,
                                            HANDSHAKES_SHARE_BURST, 1, now_us) > 0);
}

enum gate_verdict gate_enter(struct gate *gate, const struct address *address, uint64_t now_us) {
    uint8_t key[GROUP_KEY_BYTES];
    bool is_known;
    struct driver_counts *counts = gate->counts;
    group_key(key, address);
    struct gate_group *group = find_group(gate, key, &is_known);
    uint32_t places = is_known ? HANDSHAKES_PENDING_MAX : HANDSHAKES_PENDING_MAX / 4 * 3;
    if (counts->handshakes >= places) {
        counts->refused_full++;
        return GATE_FULL;
    }
    if (is_pressed(gate, now_us) && has_had_its_share(group, now_us)) {
        counts->refused_share++;
        return GATE_SHARE;
    }
    if (group == NULL) {
        make_room(&gate->strangers);
        group = mem_new(sizeof *group);
        map_put(&gate->strangers, key, group);
    }
    /* Both are only charged here: whoever calls while gate_wait is not 0 overdraws nothing. */
    (void)ratelimit_take(&gate->all, gate->per_s * MILLI, burst_of(gate), 1, now_us);
    (void)ratelimit_take(&group->rate, HANDSHAKES_SHARE_MILLI_PER_S, HANDSHAKES_SHARE_BURST, 1,
                         now_us);
    group->pending++;
    counts->handshakes++;
    counts->accepted++;
    meter_count(&counts->accepting, now_us);
    return GATE_OPEN;
}

void gate_left(struct gate *gate, const struct address *address, bool proven) {
    uint8_t key[GROUP_KEY_BYTES];
    bool is_known;
    group_key(key, address);
    struct gate_group *group = find_group(gate, key, &is_known);
    CHECK(group != NULL && group->pending > 0 && gate->counts->handshakes > 0);
    group->pending--;
    gate->counts->handshakes--;
    if (!proven) {
        gate->counts->failed++;
        return;
    }
    if (!is_known) {
        map_remove(&gate->strangers, key);
        make_room(&gate->known);
        map_put(&gate->known, key, group);
    }
}

uint64_t gate_wait(const struct gate *gate, uint64_t now_us) {
    return ratelimit_wait(&gate->all, gate->per_s * MILLI, burst_of(gate), 1, now_us);
}
