/* policy.c - the table of policies, and the seats of those that give tickets. */
#include "common/policy.h"

#include <string.h>

#include "common/check.h"
#include "common/map.h"
#include "common/mem.h"
#include "common/policy_parts.h"
#include "common/rank.h"

#define PERCENT 100

static const struct policy *const policies[] = {
    &policy_reputation, &policy_capacity,      &policy_age,
    &policy_random,     &policy_limewire,      &policy_gtk_gnutella,
    &policy_dlm,        &policy_self_declared, &policy_eigentrust,
};

const struct policy *policy_at(uint32_t place) {
    return place < sizeof policies / sizeof *policies ? policies[place] : NULL;
}

const struct policy *policy_find(const char *name) {
    for (uint32_t i = 0; policy_at(i) != NULL; i++) {
        if (name == NULL || strcmp(policy_at(i)->name, name) == 0) {
            return policy_at(i);
        }
    }
    return NULL;
}

/* ---- What policies share ---- */

struct ticket policy_score_ticket(const struct policy_node *node, uint64_t score) {
    return (struct ticket){
        .id = node->id, .mass = score < RANK_ONE ? score : RANK_ONE, .number = POLICY_EVEN};
}

uint64_t policy_number(const struct policy_view *view, const struct policy_node *node) {
    return node->number != 0 ? node->number : seats_number(view->crypto, &view->beacons, &node->id);
}

bool policy_may_change(const struct policy_view *view, const struct policy_node *node) {
    return node->role_s >= view->dwell_s;
}

uint32_t policy_wanted(const struct policy_view *view) {
    struct seats_load load = {.wanted = view->wanted,
                              .members = view->members,
                              .slots = view->slots,
                              .used = view->used,
                              .minimum = view->minimum};
    return seats_wanted(&load);
}

static void decide(struct policy_decision *decision, enum policy_verdict verdict,
                   const char *reason) {
    decision->verdict = verdict;
    decision->reason = reason;
}

void policy_by_rule(const struct policy_view *view, const struct policy_node *node,
                    const struct policy_rule *rule, struct policy_decision *decision) {
    bool is_late = policy_may_change(view, node);
    if (node->is_anchor) {
        decide(decision, node->is_member ? POLICY_KEEP : POLICY_PROMOTE, "an anchor");
    } else if (!node->consents) {
        decide(decision, node->is_member ? POLICY_DEMOTE : POLICY_KEEP, "does not consent");
    } else if (!is_late) {
        decide(decision, POLICY_KEEP, "changed its role a short time ago");
    } else if (node->is_member && (!rule->is_fit || rule->is_idle)) {
        decide(decision, POLICY_DEMOTE, rule->is_idle ? "not needed" : "no longer qualified");
    } else if (!node->is_member && rule->is_fit && rule->has_room) {
        decide(decision, POLICY_PROMOTE, "qualified");
    } else {
        decide(decision, POLICY_KEEP,
               !rule->is_fit    ? "not qualified"
               : rule->has_room ? "qualified"
                                : "not needed now");
    }
}

/* ---- Seats for those with the best tickets ---- */

/* A draw that is under way. */
struct sitting {
    const struct policy *policy;
    const struct policy_view *view;
    const struct policy_node *nodes;
    struct policy_decision *decisions;
    struct ticket *tickets; /* of those in the draw, best first */
    struct map places;      /* id -> place in nodes, + 1 */
    uint32_t count;
    uint32_t wanted;
    uint32_t taken; /* seats */
};

/* Before the draw: who is a supernode in any case, and who in none. True for the others. */
static bool is_drawn(struct sitting *sitting, const struct policy_node *node,
                     struct policy_decision *decision) {
    if (node->is_anchor) {
        sitting->taken++;
        decide(decision, node->is_member ? POLICY_KEEP : POLICY_PROMOTE, "an anchor");
    } else if (!node->consents) {
        decide(decision, node->is_member ? POLICY_DEMOTE : POLICY_KEEP, "does not consent");
    } else if (!node->is_gated && !sitting->policy->believes_claims) {
        decide(decision, node->is_member ? POLICY_DEMOTE : POLICY_KEEP, "fails the gate");
    } else if (node->is_member && !policy_may_change(sitting->view, node)) {
        sitting->taken++;
        decide(decision, POLICY_KEEP, "a supernode for a short time: keeps its seat");
    } else if (!node->is_member && !policy_may_change(sitting->view, node)) {
        decide(decision, POLICY_KEEP, "was a supernode a short time ago");
    } else {
        return true;
    }
    return false;
}

/* Give the seats that are left to the best tickets. */
static void seat(struct sitting *sitting) {
    for (uint32_t i = 0; i < sitting->count; i++) {
        const struct ticket *ticket = &sitting->tickets[i];
        uintptr_t place = (uintptr_t)map_get(&sitting->places, &ticket->id) - 1;
        const struct policy_node *node = &sitting->nodes[place];
        struct policy_decision *decision = &sitting->decisions[place];
        bool has_seat = sitting->taken < sitting->wanted && (ticket->mass > 0 || node->is_member);
        sitting->taken += has_seat;
        if (has_seat) {
            decide(decision, node->is_member ? POLICY_KEEP : POLICY_PROMOTE,
                   ticket->mass > 0 ? "its number is below its threshold: has a seat"
                                    : "has a seat that nobody else can take");
        } else {
            decide(decision, node->is_member ? POLICY_DEMOTE : POLICY_KEEP,
                   ticket->mass > 0 ? "its number is not below its threshold: no seat"
                                    : "nobody has measured it: no seat");
        }
    }
}

static uint32_t decide_by_tickets(const struct policy *policy, const struct policy_view *view,
                                  const struct policy_node *nodes, uint32_t count,
                                  struct policy_decision *decisions) {
    struct sitting sitting = {.policy = policy,
                              .view = view,
                              .nodes = nodes,
                              .decisions = decisions,
                              .tickets = mem_array(count, sizeof(struct ticket)),
                              .wanted = policy_wanted(view)};
    map_init(&sitting.places, sizeof(struct node_id), count);
    for (uint32_t i = 0; i < count; i++) {
        struct ticket ticket = policy->ticket(view, &nodes[i]);
        decisions[i].score = ticket.mass;
        decisions[i].draw = ticket.number;
        ticket.mass += nodes[i].is_member ? ticket.mass / PERCENT * SEATS_STAY_PERCENT : 0;
        decisions[i].threshold = ticket.mass; /* until there is a price */
        if (is_drawn(&sitting, &nodes[i], &decisions[i])) {
            CHECK(map_put(&sitting.places, &nodes[i].id, (void *)((uintptr_t)i + 1)) == NULL);
            sitting.tickets[sitting.count++] = ticket;
        }
    }
    uint32_t left = sitting.wanted > sitting.taken ? sitting.wanted - sitting.taken : 0;
    uint64_t price = seats_price(sitting.tickets, sitting.count, left);
    for (uint32_t i = 0; i < count; i++) {
        decisions[i].threshold = seats_threshold(decisions[i].threshold, price);
    }
    seat(&sitting);
    map_free(&sitting.places);
    mem_free(sitting.tickets);
    return sitting.wanted;
}

uint32_t policy_decide(const struct policy *policy, const struct policy_view *view,
                       const struct policy_node *nodes, uint32_t count,
                       struct policy_decision *decisions) {
    for (uint32_t i = 0; i < count; i++) {
        decisions[i] = (struct policy_decision){.reason = ""};
    }
    if (view->is_frozen) {
        for (uint32_t i = 0; i < count; i++) {
            decide(&decisions[i], POLICY_KEEP,
                   "no anchor has set a checkpoint: all stays as it is");
        }
        return view->wanted != 0 ? view->wanted : view->members;
    }
    return policy->decide != NULL ? policy->decide(view, nodes, count, decisions)
                                  : decide_by_tickets(policy, view, nodes, count, decisions);
}
