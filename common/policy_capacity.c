/* policy_capacity.c - the fastest lines, as supernodes measured them. */
#include "common/policy_parts.h"

static struct ticket ticket(const struct policy_view *view, const struct policy_node *node) {
    (void)view;
    return policy_score_ticket(node, node->measured_rate);
}

const struct policy policy_capacity = {
    .name = "capacity",
    .what = "the fastest, as supernodes measured them",
    .ticket = ticket,
};
