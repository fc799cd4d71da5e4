/* policy_parts.h - what the files policy_*.c share: one row of the table of policy.c is in each. */
#ifndef TRUNKLINE_COMMON_POLICY_PARTS_H
#define TRUNKLINE_COMMON_POLICY_PARTS_H

#include "common/policy.h"

#define POLICY_EVEN (1ULL << 63) /* of all, where chance has no say: the score decides */

extern const struct policy policy_reputation, policy_capacity, policy_age, policy_random,
    policy_limewire, policy_gtk_gnutella, policy_self_declared, policy_eigentrust, policy_dlm;

/* A ticket by score alone. */
struct ticket policy_score_ticket(const struct policy_node *node, uint64_t score);

/* Its number in the draw. */
uint64_t policy_number(const struct policy_view *view, const struct policy_node *node);

/* True when the role may be changed: its last change is a dwell time ago. */
bool policy_may_change(const struct policy_view *view, const struct policy_node *node);

/* Set the verdict of a node that is `fit` to be a supernode by a rule of its own, where `has_room`
 * says that one more is welcome and `is_idle` that nobody would miss it. */
struct policy_rule {
    bool is_fit;
    bool has_room;
    bool is_idle;
};
void policy_by_rule(const struct policy_view *view, const struct policy_node *node,
                    const struct policy_rule *rule, struct policy_decision *decision);

/* The number of seats that the load asks for. */
uint32_t policy_wanted(const struct policy_view *view);

#endif
