/* policy_eigentrust.c - the highest scores of EigenTrust (Kamvar, Schlosser and Garcia-Molina, WWW
 * 2003), everybody's opinion counted: the anchors are its pre-trusted peers, their weight is 0.15.
 */
#include "common/policy_parts.h"

static struct ticket ticket(const struct policy_view *view, const struct policy_node *node) {
    (void)view;
    return policy_score_ticket(node, node->mass);
}

const struct policy policy_eigentrust = {
    .name = "eigentrust",
    .what = "the highest scores of EigenTrust over everybody's opinion of everybody",
    .teleport_milli = 150,
    .row_cap_percent = 100,
    .ticket = ticket,
};
