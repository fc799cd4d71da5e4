/* policy_gtk_gnutella.c - gtk-gnutella's ultrapeers: whoever passes its own checklist is one
 * (can_become_ultra in nodes.c; rates for 42 links and 300 leaves from bsched.c). */
#include "common/policy_parts.h"

#define MEAN_UPTIME_S 10800
#define UPTIME_S 3600
#define LINK_RATE 128 /* bytes per second for each of ... */
#define LINKS 42
#define LEAF_RATE 32
#define LEAVES 300
#define KEEP_S 1800 /* who no longer qualifies stays so long */
#define IDLE_S 3600 /* and who has no leaf so long */

static bool is_qualified(const struct policy_claims *claims) {
    return claims->mean_uptime_s >= MEAN_UPTIME_S && claims->uptime_s > UPTIME_S &&
           claims->accepts_links && claims->up_rate >= LINK_RATE * LINKS + LEAF_RATE * LEAVES;
}

static uint32_t decide(const struct policy_view *view, const struct policy_node *nodes,
                       uint32_t count, struct policy_decision *decisions) {
    for (uint32_t i = 0; i < count; i++) {
        const struct policy_node *node = &nodes[i];
        decisions[i].score = node->claimed.up_rate;
        struct policy_rule rule = {.is_fit = is_qualified(&node->claimed) ||
                                             (node->is_member && node->role_s < KEEP_S),
                                   .has_room = true,
                                   .is_idle = node->leaves == 0 && node->role_s >= IDLE_S};
        policy_by_rule(view, node, &rule, &decisions[i]);
    }
    return policy_wanted(view);
}

const struct policy policy_gtk_gnutella = {
    .name = "gtk-gnutella",
    .what = "everybody who passes a checklist of his own, as gtk-gnutella",
    .believes_claims = true,
    .decide = decide,
};
