/* why.c - tells why somebody is a supernode, or is not: the last decision and what it rests on. */
#include <string.h>

#include "supernode/core.h"
#include "supernode/hints.h"

static uint8_t verdict_of(const struct decide_row *row) {
    static const uint8_t verdicts[] = {[POLICY_KEEP] = DECISION_KEPT,
                                       [POLICY_PROMOTE] = DECISION_PROMOTED,
                                       [POLICY_DEMOTE] = DECISION_DEMOTED};
    return verdicts[row->verdict];
}

/* The rows that name a node in the epoch decided about, and how many bytes each counted. */
static void add_evidence(const struct supernode *supernode, const struct node_id *id,
                         struct decision *decision) {
    uint32_t cursor = 0;
    for (const struct trust_issuer *issuer;
         (issuer = map_next(&supernode->trust.issuers, &cursor, NULL)) != NULL &&
         decision->evidence_count < DECISION_EVIDENCE_MAX;) {
        const struct trust_record *record = issuer->rows[decision->epoch % TRUST_EPOCHS];
        struct row_record row;
        if (record == NULL || record->epoch != decision->epoch ||
            wire_row_decode((struct slice){record->bytes, record->len}, &row) != OK) {
            continue;
        }
        for (uint8_t i = 0; i < row.count; i++) {
            if (node_id_equal(&row.entries[i].subject, id)) {
                decision->evidence[decision->evidence_count++] = (struct decision_evidence){
                    issuer->id, row.epoch, wire_row_bytes(&row, row.entries[i].weight)};
            }
        }
    }
}

/* A peer asks about itself by its own id; supernodes know it by the key it would serve with. */
static struct node_id subject_of(const struct supernode *supernode, const struct node_id *id) {
    uint32_t cursor = 0;
    for (const struct trust_candidate *candidate;
         (candidate = map_next(&supernode->trust.candidates, &cursor, NULL)) != NULL;) {
        if (node_id_equal(&candidate->owner, id)) {
            return candidate->subject;
        }
    }
    return *id;
}

void election_why(const struct supernode *supernode, const struct node_id *id,
                  struct decision *decision) {
    const struct decide *decide = &supernode->election.decide;
    *decision = (struct decision){.id = subject_of(supernode, id),
                                  .epoch = decide->epoch,
                                  .members = (uint16_t)decide->members,
                                  .wanted = (uint16_t)decide->wanted};
    const struct decide_row *row = decide_find(decide, &decision->id);
    const char *reason = decide->epoch == 0 ? "nothing has been decided yet"
                                            : "neither a supernode nor a candidate of that epoch";
    if (row != NULL) {
        reason = row->reason;
        decision->verdict = verdict_of(row);
        decision->gate = row->gate;
        decision->score = row->score;
        decision->draw = row->draw;
        decision->threshold = row->threshold;
        decision->rate = row->rate;
        decision->witnessed_s = row->witnessed_s;
        add_evidence(supernode, &decision->id, decision);
    }
    decision->reason = (struct slice){(const uint8_t *)reason, strlen(reason)};
}

enum err election_take_why(struct supernode *supernode, struct link *link, struct slice payload) {
    struct why why;
    struct decision decision;
    enum err err = wire_why_decode(payload, &why);
    if (err != OK || !ratelimit_take(&supernode_port(link)->nodes, (uint64_t)(NODES_PER_S * 1000),
                                     NODES_BURST, 1, supernode->links.mono_us)) {
        return err;
    }
    election_why(supernode, &why.id, &decision);
    struct buf answer = {0}, tlvs = {0};
    wire_decision_receipts_put(&tlvs, hints_for(supernode, &decision.id));
    decision.tlvs = (struct slice){tlvs.data, tlvs.len};
    wire_decision_encode(&answer, &decision);
    supernode_send(link, MSG_DECISION, &answer);
    buf_free(&tlvs);
    return OK;
}
