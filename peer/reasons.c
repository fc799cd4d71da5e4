/* reasons.c - the command `why`: asks a parent for the reasons of the last decision on a node. */
#include "peer/reasons.h"

#include "common/mem.h"
#include "common/wire_trust.h"
#include "peer/duty.h"
#include "peer/state.h"

/* A question; command 0 = free. */
struct question {
    uint64_t command;
    uint32_t link; /* that it was asked on */
    struct node_id id;
    uint64_t until_us;
};

struct reasons {
    struct timer timer;
    struct question questions[REASONS_MAX];
};

static void arm(struct peer *peer) {
    struct reasons *reasons = peer->reasons;
    uint64_t next_us = TIMERS_NEVER;
    for (uint32_t i = 0; i < REASONS_MAX; i++) {
        const struct question *question = &reasons->questions[i];
        if (question->command != 0 && question->until_us < next_us) {
            next_us = question->until_us;
        }
    }
    if (next_us == TIMERS_NEVER) {
        timers_cancel(&peer->timers, &reasons->timer);
    } else {
        timers_set(&peer->timers, &reasons->timer, next_us);
    }
}

void reasons_timer(struct peer *peer) {
    struct reasons *reasons = peer->reasons;
    for (uint32_t i = 0; i < REASONS_MAX; i++) {
        struct question *question = &reasons->questions[i];
        if (question->command != 0 && question->until_us <= peer->links.mono_us) {
            report_error(peer->links.out, question->command, ERR_TIMEOUT,
                         "the supernode does not answer; it may be too old to know, or just gone: "
                         "try again");
            question->command = 0;
        }
    }
    arm(peer);
}

/* The id that is meant, or an error that has been reported. */
static bool read_id(struct peer *peer, const struct node_event *event, struct node_id *id) {
    const char *text = command_arg(event, "id");
    struct outbox *out = peer->links.out;
    if (text != NULL) {
        if (node_id_parse(id, text) == OK) {
            return true;
        }
        report_error(out, event->command.id, ERR_CONFIG,
                     "`id` is no node id, or was mistyped; `supernode id` prints one, as does "
                     "`peer supernode status`");
        return false;
    }
    if (peer->duty != NULL && peer->duty->is_named) {
        *id = peer->duty->id;
        return true;
    }
    report_error(out, event->command.id, ERR_NOT_FOUND,
                 "this peer is no candidate; `peer supernode consent` makes it one, or name a node "
                 "to ask about");
    return false;
}

void reasons_command(struct peer *peer, const struct node_event *event) {
    struct outbox *out = peer->links.out;
    struct why why = {0};
    if (!read_id(peer, event, &why.id)) {
        return;
    }
    struct link *link = uplink_link(peer, NULL);
    if (link == NULL) {
        report_error(out, event->command.id, ERR_UNREACHABLE, uplink_advice(peer));
        return;
    }
    if (peer->reasons == NULL) {
        peer->reasons = mem_new(sizeof *peer->reasons);
        peer->reasons->timer.kind = TIMER_WHY;
    }
    struct question *question = NULL;
    for (uint32_t i = 0; i < REASONS_MAX && question == NULL; i++) {
        question = peer->reasons->questions[i].command == 0 ? &peer->reasons->questions[i] : NULL;
    }
    if (question == NULL) {
        report_error(out, event->command.id, ERR_BUSY, "too many questions at once; try again");
        return;
    }
    *question = (struct question){.command = event->command.id,
                                  .link = link->number,
                                  .id = why.id,
                                  .until_us = peer_after_ms(peer, REASONS_WAIT_MS)};
    struct buf payload = {0};
    wire_why_encode(&payload, &why);
    peer_send(link, MSG_WHY, &payload);
    arm(peer);
}

void reasons_command_gone(struct peer *peer, uint64_t command) {
    for (uint32_t i = 0; peer->reasons != NULL && i < REASONS_MAX; i++) {
        if (peer->reasons->questions[i].command == command) {
            peer->reasons->questions[i].command = 0;
        }
    }
}

/* ---- The answer ---- */

static void report_id(struct outbox *out, const char *key, const struct node_id *id) {
    char text[NODE_ID_TEXT_BYTES];
    node_id_format(text, id);
    report_text(out, key, text);
}

static void report_decision(struct outbox *out, uint64_t command, const char *policy,
                            const struct decision *decision) {
    static const char *const verdicts[] = {
        [DECISION_UNKNOWN] = "unknown",
        [DECISION_KEPT] = "kept",
        [DECISION_PROMOTED] = "promoted",
        [DECISION_DEMOTED] = "demoted",
    };
    static const struct {
        uint8_t gate;
        const char *key;
    } gates[] = {
        {DECISION_GATE_MEMBER, "member"},   {DECISION_GATE_CONSENT, "consent"},
        {DECISION_GATE_DIALLED, "dialled"}, {DECISION_GATE_UPTIME, "uptime"},
        {DECISION_GATE_CAPS, "caps"},       {DECISION_GATE_HONEST, "honest"},
        {DECISION_GATE_OF_AGE, "of_age"},
    };
    report_begin(out, command, "decision");
    report_id(out, "id", &decision->id);
    report_text(out, "policy", policy);
    report_text(out, "verdict", verdicts[decision->verdict]);
    report_slice(out, "reason", decision->reason);
    report_number(out, "epoch", decision->epoch);
    report_number(out, "members", decision->members);
    report_number(out, "wanted", decision->wanted);
    for (size_t i = 0; i < sizeof gates / sizeof *gates; i++) {
        report_flag(out, gates[i].key, (decision->gate & gates[i].gate) != 0);
    }
    report_number(out, "score", decision->score);
    report_number(out, "draw", decision->draw >> 16); /* units of 2^-48 */
    report_number(out, "threshold", decision->threshold >> 16);
    report_number(out, "rate", decision->rate);
    report_number(out, "witnessed_s", decision->witnessed_s);
    report_number(out, "receipts", wire_decision_receipts(decision));
    for (uint8_t i = 0; i < decision->evidence_count; i++) {
        const struct decision_evidence *evidence = &decision->evidence[i];
        report_begin(out, command, "evidence");
        report_id(out, "issuer", &evidence->issuer);
        report_number(out, "epoch", evidence->epoch);
        report_number(out, "bytes", evidence->bytes);
    }
    report_done(out, command);
}

/* The one about this id; else the oldest on this link: who asks about a peer is told about the
 * supernode that it would run. */
static struct question *find_question(const struct peer *peer, const struct link *link,
                                      const struct node_id *id) {
    struct question *oldest = NULL;
    for (uint32_t i = 0; peer->reasons != NULL && i < REASONS_MAX; i++) {
        struct question *question = &peer->reasons->questions[i];
        if (question->command == 0 || question->link != link->number) {
            continue;
        }
        if (node_id_equal(&question->id, id)) {
            return question;
        }
        bool is_older = oldest == NULL || question->until_us < oldest->until_us;
        oldest = is_older ? question : oldest;
    }
    return oldest;
}

enum err reasons_take_decision(struct peer *peer, struct link *link, struct slice payload) {
    struct decision decision;
    enum err err = wire_decision_decode(payload, &decision);
    if (err != OK) {
        return err;
    }
    struct question *question = find_question(peer, link, &decision.id);
    if (question != NULL) { /* one that comes late has nobody who waits for it */
        report_decision(peer->links.out, question->command, peer->env->network->promotion.policy,
                        &decision);
        question->command = 0;
    }
    return OK;
}

void reasons_free(struct peer *peer) {
    mem_free(peer->reasons);
}
