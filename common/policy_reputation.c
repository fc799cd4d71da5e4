/* policy_reputation.c - the default: a draw in proportion to the mass that measured rows give. */
#include "common/policy_parts.h"

static struct ticket ticket(const struct policy_view *view, const struct policy_node *node) {
    return (struct ticket){.id = node->id, .mass = node->mass, .number = policy_number(view, node)};
}

const struct policy policy_reputation = {
    .name = "reputation",
    .what = "a draw in proportion to what supernodes measured, as far as the anchors trust them",
    .teleport_milli = RANK_TELEPORT_MILLI,
    .row_cap_percent = RANK_ROW_CAP_PERCENT,
    .ticket = ticket,
};
