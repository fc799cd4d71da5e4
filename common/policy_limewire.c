/* policy_limewire.c - LimeWire's ultrapeers: each node judges itself, and offers itself when
 * supernodes say that they are nearly full (NodeAssignerImpl, UltrapeerSettings). */
#include "common/policy_parts.h"

#define UP_RATE 10240 /* bytes per second, or ... */
#define DOWN_RATE 20480
#define MEAN_UPTIME_S 3600 /* or ... */
#define UPTIME_S 7200
#define FULL_PERCENT 90 /* of the slots: "supernode needed" */

static bool is_capable(const struct policy_claims *claims) {
    return (claims->up_rate >= UP_RATE || claims->down_rate >= DOWN_RATE) &&
           claims->accepts_links &&
           (claims->mean_uptime_s >= MEAN_UPTIME_S || claims->uptime_s >= UPTIME_S);
}

static uint32_t decide(const struct policy_view *view, const struct policy_node *nodes,
                       uint32_t count, struct policy_decision *decisions) {
    bool is_full = 100 * view->used >= FULL_PERCENT * view->slots;
    for (uint32_t i = 0; i < count; i++) {
        decisions[i].score = nodes[i].claimed.up_rate;
        struct policy_rule rule = {.is_fit = is_capable(&nodes[i].claimed),
                                   .has_room = is_full,
                                   .is_idle = nodes[i].leaves == 0 && !is_full};
        policy_by_rule(view, &nodes[i], &rule, &decisions[i]);
    }
    return policy_wanted(view);
}

const struct policy policy_limewire = {
    .name = "limewire",
    .what = "those that find themselves capable when others are nearly full, as LimeWire",
    .believes_claims = true,
    .decide = decide,
};
