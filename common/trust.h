/* trust.h - the evidence of promotion that a supernode holds: rows, candidacies, checkpoints and
 * their members, votes, certificates, proofs of fraud. Checks every record, keeps what counts, says
 * who may be a supernode. Bounded; pure.
 *
 * Time: an epoch is Unix seconds / the network's epoch_s, handed in by the caller. Certificates run
 * on the time of checkpoints: while no checkpoint comes, none of those that hold expires, up to
 * TRUST_FREEZE_S (an anchor that is away must do no harm). */
#ifndef TRUNKLINE_COMMON_TRUST_H
#define TRUNKLINE_COMMON_TRUST_H

#include "common/list_root.h"
#include "common/log.h"
#include "common/map.h"
#include "common/network.h"
#include "common/wire_trust.h"

#define TRUST_FREEZE_S (7 * 24 * 3600)
#define TRUST_VOTES_MAX 4096     /* certificates that wait for more signatures */
#define TRUST_CERTIFIED_MAX 4096 /* holders remembered */
#define TRUST_FRAUDS_MAX 1024    /* remembered for good */

/* A record as it came: the payload of the message `type`. Freed when it is too old to count. */
struct trust_record {
    struct hash hash;
    uint64_t prefix; /* first eight bytes of that */
    uint8_t type;    /* enum message_type */
    bool is_passing; /* a FRAUD of one who is a candidate and nothing else: kept while it is one */
    uint32_t epoch;
    uint32_t len;
    uint8_t *bytes;
};

/* Rows of one issuer, by epoch modulo TRUST_EPOCHS. */
struct trust_issuer {
    struct node_id id;
    struct trust_record *rows[TRUST_EPOCHS];
};

/* A supernode that stands for candidates. */
struct trust_sponsor {
    struct node_id id;
    uint32_t candidates;
};

/* One who contradicted himself keeps his place, which is his sponsor's, and counts for nothing: who
 * has a place does not depend on who has heard of the proof. */
struct trust_candidate {
    struct node_id subject;
    struct node_id owner;
    struct trust_sponsor *sponsor;
    struct address address; /* of the owner, where it is measured */
    struct trust_record *record;
    uint32_t rate_kib;
    uint32_t day_mib;
    uint32_t first_epoch; /* since when it has been known without a gap */
};

struct trust_checkpoint {
    struct checkpoint checkpoint; /* without TLVs */
    uint16_t wanted;              /* seats, as the decision before came to; 0 = not told */
    struct hash hash;             /* of the encoded record */
    uint32_t gap; /* epochs without a checkpoint before it, as it says itself; 0 = not known */
    struct trust_record *record;
    struct trust_record *members_record; /* NULL = not here yet */
    struct node_id *members;             /* checkpoint.members of them, rising; or NULL */
};

/* A certificate and since when who holds it. */
struct trust_certified {
    struct cert cert; /* without TLVs */
    /* Of a vote: who is to sign, where a committee is drawn; to draw one is a hash per member. */
    uint16_t committee[SEATS_COMMITTEE];
    uint8_t committee_count;
};

/* A supernode that did not sign what it should have, or has lost its seat. */
struct trust_shirker {
    uint32_t until_epoch; /* it is no member before that: its certificate is over then */
    uint32_t cert_epoch;  /* a certificate of a later one makes it a member again; 0 = none does */
};

struct trust_env {
    const struct network *network;
    const struct crypto *crypto;
    const struct log *log;
    uint64_t seed;
};

struct trust {
    struct trust_env env;
    struct map records;    /* prefix -> struct trust_record */
    struct map issuers;    /* node id -> struct trust_issuer */
    struct map candidates; /* subject -> struct trust_candidate */
    struct map sponsors;   /* node id -> struct trust_sponsor of at least one candidate */
    struct map votes;      /* subject and checkpoint hash -> struct trust_certified, growing */
    struct map certified;  /* subject -> struct trust_certified that is complete, the latest */
    struct map frauds;     /* signer -> struct trust_record */
    uint32_t passing;      /* of these, are passing: no more than there are candidates */
    struct map shirkers;   /* node id -> struct trust_shirker */
    struct trust_checkpoint *checkpoints[TRUST_EPOCHS]; /* by epoch modulo TRUST_EPOCHS */
    struct trust_checkpoint *latest;                    /* NULL = none yet */
    uint32_t now_epoch;
    bool is_loading;  /* what is taken was judged before */
    uint32_t refused; /* records */
    uint64_t changes; /* of what trust_evidence gives: records but votes that came or went */
};

void trust_init(struct trust *trust, const struct trust_env *env);
void trust_free(struct trust *trust);

/* The epoch is this one now: forget what is too old. */
void trust_advance(struct trust *trust, uint32_t epoch);
/* The clock had been wrong: nothing is forgotten, but what is current now may come again. */
void trust_set_back(struct trust *trust, uint32_t epoch);

/* Take a record. *added is what is new because of it (a FRAUD when it contradicts another), NULL
 * when nothing is. Return OK, also for what is known; ERR_FORMAT, ERR_LIMIT or ERR_CRITICAL for
 * bytes that are no record; ERR_AUTH when it is forged; ERR_POLICY when its signer may not say so
 * or it is too old or too new; ERR_NOT_FOUND when a checkpoint or member list is missing to tell;
 * ERR_BUSY when there is no room. */
MUST_CHECK enum err trust_take(struct trust *trust, uint8_t type, struct slice bytes,
                               struct trust_record **added);

/* In which order records are best taken, from 0: checkpoints first, without them nothing else can
 * be judged. trust_rank of what is no record is their number; trust_type of that is 0. */
uint8_t trust_rank(uint8_t type);
uint8_t trust_type(uint8_t rank);

struct trust_record *trust_find(const struct trust *trust, uint64_t prefix);
uint64_t trust_prefix(const struct trust *trust, struct slice bytes);

/* Whether somebody holds a proof that this id contradicted itself. */
bool trust_is_fraud(const struct trust *trust, const struct node_id *id);

/* Check that a node may be a supernode now. *until_epoch is the first epoch in which that is over
 * (UINT32_MAX = never). ERR_AUTH: forged, missing or of a fraud; ERR_POLICY: not its time;
 * ERR_NOT_FOUND: signed under a checkpoint that is not known here (yet). */
MUST_CHECK enum err trust_certified(const struct trust *trust, const struct node_id *id,
                                    struct slice cert, uint32_t *until_epoch);

/* The complete certificate of a node as far as it is known, encoded; false when there is none. */
bool trust_cert_of(const struct trust *trust, const struct node_id *id, struct buf *out);

/* True when a node may issue rows of this epoch: an anchor, a member, or one certified since. */
bool trust_may_issue(const struct trust *trust, const struct node_id *id, uint32_t epoch);

/* True when a node's row of an epoch is here. */
bool trust_has_row(const struct trust *trust, const struct node_id *id, uint32_t epoch);

/* The checkpoint of an epoch, or NULL. */
struct trust_checkpoint *trust_checkpoint_at(const struct trust *trust, uint32_t epoch);

/* The lot of a member for a candidate under the latest checkpoint: SHA-256 of its beacon, subject
 * and member. The MEASURERS with the smallest ones measure it. */
void trust_measure_lot(const struct trust *trust, const struct node_id *subject,
                       const struct node_id *member, struct hash *lot);
/* True when fewer than MEASURERS members have a smaller lot than this; false without members. */
bool trust_measures(const struct trust *trust, const struct node_id *subject,
                    const struct hash *lot);

/* Place of a key among sorted keys, or -1. */
int32_t trust_place(const struct node_id *keys, uint32_t count, const struct node_id *id);

/* Who would be the members of a checkpoint of this epoch: anchors and certified nodes that issued a
 * row in it, and those certified so lately that none can be expected. Sorted; the caller frees. */
uint32_t trust_live_members(const struct trust *trust, uint32_t epoch, struct node_id **keys);

/* Who was a member of a checkpoint, was there (a row of that epoch) and signed none of the
 * certificates that others completed under it, though it was to: it loses its seat. Else those who
 * hold a third of the signatures could keep everybody else out (docs/PROMOTION.md). Called by an
 * anchor before it makes the next checkpoint. */
void trust_note_shirkers(struct trust *trust, uint32_t epoch);
/* Who lost its seat by the decision under the checkpoint of that epoch is no member of the next
 * ones until it is certified anew, though its certificate is still in time and its last row counts.
 */
void trust_note_demoted(struct trust *trust, const struct node_id *id, uint32_t epoch);

/* True for a row of an anchor, or of one that the checkpoint of its epoch names. Who holds the same
 * checkpoints agrees, whatever of others' it took while they had a certificate; where there is
 * none (anchors are away) all count. */
bool trust_row_counts(const struct trust *trust, const struct node_id *issuer, uint32_t epoch);

/* ---- trust_root.c: what an anchor fixes ---- */

/* Root of a sorted list of keys. */
void trust_set_root(const struct trust *trust, const struct node_id *keys, uint32_t count,
                    struct hash *root);
/* Add the hashes of all rows and candidacies that count for a checkpoint of this epoch with these
 * (sorted) members to an empty list; keys NULL = with those of the checkpoint that is here. The
 * root of that is the checkpoint's candidate root; tens of thousands are taken slice by slice. */
void trust_evidence(const struct trust *trust, uint32_t epoch, const struct node_id *keys,
                    uint32_t members, struct list_root *list);
/* The same root in one step. */
void trust_candidate_root(const struct trust *trust, uint32_t epoch, const struct node_id *keys,
                          uint32_t members, struct hash *root);

/* ---- trust_quorum.c ---- */

/* True when this member may sign for `subject` under a checkpoint; *place is what goes into
 * cert.signers[].signer. */
bool trust_may_sign(const struct trust *trust, const struct trust_checkpoint *checkpoint,
                    const struct node_id *subject, const struct node_id *signer, uint16_t *place);

/* Check a certificate's signatures: OK, ERR_AUTH (too few valid ones), ERR_NOT_FOUND (checkpoint or
 * its members unknown). */
MUST_CHECK enum err trust_check_signers(const struct trust *trust, const struct cert *cert);

/* Who stands behind a place among the signers of a certificate, or NULL when it is unknown or may
 * not sign; *is_valid tells whether that signature is right. */
const struct node_id *trust_signer(const struct trust *trust, const struct cert *cert,
                                   const struct cert_signer *signer, bool *is_valid);

/* Check one signature of a vote. */
MUST_CHECK enum err trust_check_vote(const struct trust *trust,
                                     const struct trust_checkpoint *checkpoint,
                                     const struct cert *cert, const struct cert_signer *signer);

#endif
