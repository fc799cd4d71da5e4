/* elect_records.h - what a simulated network's supernodes say, as the records that real ones keep,
 * and what common/decide makes of it. */
#ifndef TRUNKLINE_LAB_ELECT_RECORDS_H
#define TRUNKLINE_LAB_ELECT_RECORDS_H

#include "common/decide.h"
#include "src/lab/elect_people.h"

struct records;

/* One supernode's row of an epoch. */
struct elect_row {
    struct node_id issuer;
    uint16_t leaves;
    uint16_t slots;
    uint32_t count;                           /* at most ROW_ENTRIES_MAX */
    struct node_id subjects[ROW_ENTRIES_MAX]; /* none twice */
    double bytes[ROW_ENTRIES_MAX];            /* each above 0 */
};

/* With its hashes, but signatures are neither made nor looked at. */
struct crypto elect_crypto(const struct crypto *crypto);

/* By elect_crypto: who may issue what is looked at all the same. */
struct records *elect_records_new(const struct elect_config *config, const struct people *people,
                                  const struct crypto *crypto);
void elect_records_free(struct records *records);

/* Begin an epoch with an anchor's checkpoint: its members (none twice; they are sorted) and the
 * seats that were wanted before. */
void elect_records_checkpoint(struct records *records, const struct beacon *beacon,
                              struct node_id *members, uint32_t count, uint32_t wanted);

void elect_records_row(struct records *records, const struct elect_row *row);

/* Who stands in this epoch, and what it says of itself. */
void elect_records_candidacy(struct records *records, const struct person *person,
                             const struct policy_claims *claims);

/* These members, by their places in the checkpoint, sign for a subject: as many votes. */
void elect_records_vote(struct records *records, const struct node_id *subject,
                        const uint32_t *places, uint32_t count);

/* The next epoch begins. */
void elect_records_advance(struct records *records, uint32_t epoch);

/* True when a supernode's certificate can be checked by what everybody keeps, and is good. False
 * also for one that has none. */
bool elect_records_is_certified(const struct records *records, const struct node_id *id);

/* Decide about the epoch; true for a row that passes every gate. */
const struct decide *elect_records_decide(struct records *records);
bool elect_records_is_gated(const struct decide_row *row);

#endif
