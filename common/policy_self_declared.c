/* policy_self_declared.c - those that say they are fastest. Kazaa's rule is not known, but "a
 * supernode will believe you if you tell it you're also a supernode" (giFT-FastTrack, PROTOCOL). */
#include "common/policy_parts.h"

static struct ticket ticket(const struct policy_view *view, const struct policy_node *node) {
    (void)view;
    return policy_score_ticket(node, node->claimed.accepts_links ? node->claimed.up_rate : 0);
}

const struct policy policy_self_declared = {
    .name = "self-declared",
    .what = "those that say they are the fastest, as in Kazaa",
    .believes_claims = true,
    .ticket = ticket,
};
