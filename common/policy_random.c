/* policy_random.c - any that pass the gate, each identity with the same chance. */
#include "common/policy_parts.h"

static struct ticket ticket(const struct policy_view *view, const struct policy_node *node) {
    return (struct ticket){.id = node->id, .mass = 1ULL << 32, .number = policy_number(view, node)};
}

const struct policy policy_random = {
    .name = "random",
    .what = "any that pass the gate, each identity with the same chance",
    .ticket = ticket,
};
