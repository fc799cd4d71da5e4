/* policy_age.c - those that supernodes have seen for the longest time; LSPAN of Bustamante and Qiao
 * (WCW 2003): who has been there for long will stay. */
#include "common/policy_parts.h"

static struct ticket ticket(const struct policy_view *view, const struct policy_node *node) {
    (void)view;
    return policy_score_ticket(node, node->witnessed_s);
}

const struct policy policy_age = {
    .name = "age",
    .what = "those that supernodes have seen for the longest time",
    .ticket = ticket,
};
