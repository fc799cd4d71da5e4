/* trust_parts.h - what the files of trust share; nobody else includes it. */
#ifndef TRUNKLINE_COMMON_TRUST_PARTS_H
#define TRUNKLINE_COMMON_TRUST_PARTS_H

#include <string.h>

#include "common/trust.h"

#define VOTE_KEY_BYTES (32 + 32) /* subject, checkpoint */

struct slice trust_bytes(const struct trust_record *record);
/* Copy a record that is not known yet. */
struct trust_record *trust_keep(struct trust *trust, uint8_t type, uint32_t epoch,
                                struct slice bytes);
/* Forget it; NULL is fine. */
void trust_drop(struct trust *trust, struct trust_record *record);
void trust_drop_checkpoint(struct trust *trust, struct trust_checkpoint *checkpoint);
uint32_t trust_cert_epoch(const struct trust *trust);
/* The first epoch in which a certificate is over: epochs without a checkpoint do not count. */
uint32_t trust_cert_end(const struct trust *trust, const struct cert *cert);
/* A checkpoint came, or went: see what is missing between those that are known. */
void trust_note_gaps(struct trust *trust);
/* Draw who is to sign, once for all votes: a hash per member each time would be too much. */
void trust_draw_committee(const struct trust *trust, const struct trust_checkpoint *checkpoint,
                          struct trust_certified *vote);

static inline void trust_vote_key(uint8_t key[VOTE_KEY_BYTES], const struct node_id *subject,
                                  const struct hash *checkpoint) {
    memcpy(key, subject->b, sizeof subject->b);
    memcpy(key + sizeof subject->b, checkpoint->b, sizeof checkpoint->b);
}

/* True when the epoch is one ahead of ours at most, and one of the last `kept`. */
bool trust_is_current(const struct trust *trust, uint32_t epoch, uint32_t kept);

/* ---- trust_candidates.c ---- */

enum err trust_take_candidacy(struct trust *trust, struct slice bytes, struct trust_record **added);
/* Forget a candidate; NULL is fine. */
void trust_drop_candidate(struct trust *trust, struct trust_candidate *candidate);

static inline struct signer_env trust_signer_env(const struct trust *trust) {
    return (struct signer_env){trust->env.crypto, &trust->env.network->id};
}

#endif
