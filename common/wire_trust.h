/* wire_trust.h - the records and messages of promotion: what supernodes measured, what anchors
 * fixed, who would serve, who contradicted himself. docs/PROTOCOL.md draws each layout.
 *
 * A record is signed and passes from supernode to supernode as the payload of the message of its
 * name; canonical as everything in wire.h. Epochs are Unix seconds / the network's epoch_s. */
#ifndef TRUNKLINE_COMMON_WIRE_TRUST_H
#define TRUNKLINE_COMMON_WIRE_TRUST_H

#include "common/wire.h"

#define RECORD_HEADROOM 1024 /* bytes of TLVs that a record of this file may carry */

/* What signs a record and where: filled by the *_seal functions. */
struct signer_env {
    const struct crypto *crypto;
    const struct hash *network_id;
};

/* ---- ROW: issuer 32, epoch u32, previous 16, n u8 x {subject 32, weight u16}, TLVs, signature 64:
 * how the bytes that a supernode counted in one epoch's slot are spread over those it measured.
 * Subjects rise, none is the issuer, weights are at least 1 and sum to at most ROW_WEIGHT_SUM. An
 * empty row is a sign of life. `previous` is the start of the hash of the issuer's row before. ----
 */
#define ROW_ENTRIES_MAX 64
#define ROW_WEIGHT_SUM 65535
#define ROW_PREVIOUS_BYTES 16
#define ROW_BYTES_MAX (32 + 4 + 16 + 1 + ROW_ENTRIES_MAX * 34 + RECORD_HEADROOM + 64)
struct row_entry {
    struct node_id subject;
    uint16_t weight;
};
struct row_record {
    struct node_id issuer;
    uint32_t epoch;
    uint8_t previous[ROW_PREVIOUS_BYTES];
    uint8_t count;
    struct row_entry entries[ROW_ENTRIES_MAX];
    struct slice tlvs;
    uint8_t signature[SIGNATURE_BYTES];
};
void wire_row_encode(struct buf *out, const struct row_record *row);
MUST_CHECK enum err wire_row_decode(struct slice bytes, struct row_record *row);

/* TLV 2 of a row: leaves u16, slots u16, bytes u64, ms u32: how full the issuer is, and how many
 * bytes in what time its weights stand for. */
#define ROW_TAG_LOAD 2
#define ROW_LOAD_BYTES 16
struct row_load {
    uint16_t leaves;
    uint16_t slots;
    uint64_t bytes;
    uint32_t ms; /* 0 = nothing was measured */
};
/* Append the TLV; read it back (all zero when the row has none, or one of another length). */
void wire_row_load_put(struct buf *tlvs, const struct row_load *load);
struct row_load wire_row_load(const struct row_record *row);
/* How many bytes a weight of the row stands for: no more than any stream may have. */
uint64_t wire_row_bytes(const struct row_record *row, uint16_t weight);

/* ---- CANDIDACY: subject 32, owner's address record bytes16, epoch u32, rate_kib u32, day_mib u32,
 * up_kib u32, down_kib u32, uptime_s u32, mean_uptime_s u32, flags u8, sponsor 32, TLVs, three
 * signatures, each over all that stands before it: the subject's, the owner's, the sponsor's. A
 * peer would run `subject` (a key it made for that, which agrees) as a supernode, and gives so much
 * of its line; the supernode that it is a leaf of stands for it. What follows day_mib is what it
 * says of itself: only policies that exist to be compared with believe it. ---- */
#define CANDIDACY_ACCEPTS_LINKS 0x01
#define CANDIDACY_SIGNATURES 3
#define CANDIDACY_BYTES_MAX                                                                        \
    (32 + 2 + ADDRESS_RECORD_BYTES_MAX + 7 * 4 + 1 + 32 + RECORD_HEADROOM +                        \
     CANDIDACY_SIGNATURES * 64)
struct candidacy {
    struct node_id subject;
    struct slice address_record; /* its key is the owner's */
    uint32_t epoch;
    uint32_t rate_kib; /* KiB/s that a supernode may use; at least 1 */
    uint32_t day_mib;  /* MiB a day; at least 1 */
    uint32_t up_kib;
    uint32_t down_kib;
    uint32_t uptime_s;
    uint32_t mean_uptime_s;
    uint8_t flags; /* CANDIDACY_* */
    struct node_id sponsor;
    struct slice tlvs;
    uint8_t by_subject[SIGNATURE_BYTES];
    uint8_t by_owner[SIGNATURE_BYTES];
    uint8_t by_sponsor[SIGNATURE_BYTES]; /* zero until the sponsor has it */
};
void wire_candidacy_encode(struct buf *out, const struct candidacy *candidacy);
MUST_CHECK enum err wire_candidacy_decode(struct slice bytes, struct candidacy *candidacy);
/* The owner of an accepted candidacy: its address record's key. */
struct node_id wire_candidacy_owner(const struct candidacy *candidacy);

/* ---- CHECKPOINT: epoch u32, members u32, set root 32, candidate root 32, beacon 32, previous 32,
 * anchor u8, TLVs, signature 64: 201 bytes. An anchor fixes who the supernodes are, which rows and
 * candidacies count, and the dice of the epoch. ---- */
#define CHECKPOINT_BYTES_MAX (4 + 4 + 4 * 32 + 1 + RECORD_HEADROOM + 64)
struct checkpoint {
    uint32_t epoch;
    uint32_t members;           /* how many the set root stands for */
    struct hash set_root;       /* wire_list_root of the SHA-256 of each member's key */
    struct hash candidate_root; /* wire_list_root of the hashes of rows and candidacies used */
    struct hash beacon;
    struct hash previous; /* hash of the encoded checkpoint before; zero in the first */
    uint8_t anchor;       /* place in the network's sorted anchors */
    struct slice tlvs;
    uint8_t signature[SIGNATURE_BYTES];
};
void wire_checkpoint_encode(struct buf *out, const struct checkpoint *checkpoint);
MUST_CHECK enum err wire_checkpoint_decode(struct slice bytes, struct checkpoint *checkpoint);

/* TLV 2 of a checkpoint: wanted u16: how many seats the decision before came to, so that everybody
 * goes on from the same number. */
#define CHECKPOINT_TAG_WANTED 2
void wire_checkpoint_wanted_put(struct buf *tlvs, uint16_t wanted);
uint16_t wire_checkpoint_wanted(const struct checkpoint *checkpoint); /* 0 = it does not say */

/* ---- MEMBERS: epoch u32, n u16 x key 32, TLVs: the set that a checkpoint's root stands for.
 * Rising, not signed: it is what it hashes to. ---- */
#define MEMBERS_MAX 1900 /* what one frame holds */
struct members {
    uint32_t epoch;
    uint16_t count;
    struct slice keys; /* count * 32 bytes */
    struct slice tlvs;
};
void wire_members_encode(struct buf *out, const struct members *members);
MUST_CHECK enum err wire_members_decode(struct slice payload, struct members *members);

/* ---- FRAUD: type u8, first bytes16, second bytes16, TLVs: two encoded records (both ROW or both
 * CHECKPOINT) of one signer and epoch that differ. The smaller comes first. ---- */
#define FRAUD_RECORD_MAX ROW_BYTES_MAX
#define FRAUD_BYTES_MAX (1 + 2 * (2 + FRAUD_RECORD_MAX) + RECORD_HEADROOM)
struct fraud {
    uint8_t type; /* enum record_type */
    struct slice first;
    struct slice second;
    struct slice tlvs;
};
void wire_fraud_encode(struct buf *out, const struct fraud *fraud);
MUST_CHECK enum err wire_fraud_decode(struct slice bytes, struct fraud *fraud);
/* Order two decoded records by what their signatures cover; 0 = they say the same. (Whoever has the
 * key can sign one body in more than one way.) */
int wire_compare_signed(struct slice first, struct slice second);

/* ---- Signatures: over all that comes before them. *_sign sets it; *_check returns ERR_AUTH. ----
 */
void wire_row_sign(struct row_record *row, const struct signer_env *env);
MUST_CHECK enum err wire_row_check(const struct row_record *row, const struct signer_env *env);
/* What the subject signs, as RECORD_CANDIDACY_SUBJECT; its key is not the owner's. */
void wire_candidacy_subject_bytes(struct buf *out, const struct candidacy *candidacy);
MUST_CHECK enum err wire_candidacy_check_subject(const struct candidacy *candidacy,
                                                 const struct signer_env *env);
/* The owner's, once the subject's is there; the sponsor's, once both are. */
void wire_candidacy_sign(struct candidacy *candidacy, const struct signer_env *env);
void wire_candidacy_sponsor(struct candidacy *candidacy, const struct signer_env *env);
/* All three. */
MUST_CHECK enum err wire_candidacy_check(const struct candidacy *candidacy,
                                         const struct signer_env *env);
void wire_checkpoint_sign(struct checkpoint *checkpoint, const struct signer_env *env);
MUST_CHECK enum err wire_checkpoint_check(const struct checkpoint *checkpoint,
                                          const struct node_id *anchor,
                                          const struct signer_env *env);

/* ---- Messages ---- */

/* TRUST_HAVE and TRUST_WANT: n u16 (1 to TRUST_LIST_MAX) x the first eight bytes of a record's
 * SHA-256 as u64, strictly rising, TLVs. */
#define TRUST_LIST_MAX 2000
struct trust_list {
    uint16_t count;
    struct slice prefixes; /* count * 8 bytes */
    struct slice tlvs;
};
void wire_trust_list_encode(struct buf *out, const struct trust_list *list);
MUST_CHECK enum err wire_trust_list_decode(struct slice payload, struct trust_list *list);

/* The value of a tag among checked TLVs; empty when it is not there. */
struct slice wire_tlv_find(struct slice tlvs, uint8_t wanted);

/* MEASURE: seed u64, bytes u32 (1 to MEASURE_BYTES_MAX), ms u16 (at least 1), TLVs. On a link of
 * purpose MEASURE, from a supernode that has shown its certificate: send so many bytes, as fast as
 * may be, for so long.
 * MEASURED: offset u32, data (1 to MEASURED_DATA_MAX bytes of the stream of that seed, to its end;
 * wire_measure_fill). */
struct measure {
    uint64_t seed;
    uint32_t bytes;
    uint16_t ms;
    struct slice tlvs;
};
void wire_measure_encode(struct buf *out, const struct measure *measure);
MUST_CHECK enum err wire_measure_decode(struct slice payload, struct measure *measure);
#define MEASURED_DATA_MAX 16384
struct measured {
    uint32_t offset;
    struct slice data;
};
void wire_measured_encode(struct buf *out, const struct measured *measured);
MUST_CHECK enum err wire_measured_decode(struct slice payload, struct measured *measured);
/* Bytes of the stream of a seed from `offset` (a multiple of 8): splitmix64 over its counter, which
 * nobody can compress. */
void wire_measure_fill(uint64_t seed, uint32_t offset, uint8_t *to, size_t len);

/* WHY: id 32, TLVs. DECISION: id 32, epoch u32 (0 = there has been none), verdict u8, reason text8,
 * members u16, wanted u16, gate u8, score u64, draw u64, threshold u64, rate u64, witnessed_s u32,
 * n u8 (at most DECISION_EVIDENCE_MAX) x {issuer 32, epoch u32, bytes u64}, TLVs. */
struct why {
    struct node_id id;
    struct slice tlvs;
};
void wire_why_encode(struct buf *out, const struct why *why);
MUST_CHECK enum err wire_why_decode(struct slice payload, struct why *why);

enum decision_verdict {
    DECISION_UNKNOWN = 0, /* nobody of that id is a candidate or a supernode */
    DECISION_KEPT = 1,
    DECISION_PROMOTED = 2,
    DECISION_DEMOTED = 3,
    DECISION_VERDICT_MAX = 3
};
#define DECISION_GATE_MEMBER 0x01  /* a supernode now */
#define DECISION_GATE_CONSENT 0x02 /* has a candidacy of this epoch */
#define DECISION_GATE_DIALLED 0x04 /* enough supernodes have reached and measured it */
#define DECISION_GATE_UPTIME 0x08  /* has been measured for long enough */
#define DECISION_GATE_CAPS 0x10    /* gives as much as the profile asks for */
#define DECISION_GATE_HONEST 0x20  /* nobody holds a proof of fraud against it */
#define DECISION_GATE_OF_AGE 0x40  /* its key is old enough */
#define DECISION_GATES 0x7f
#define DECISION_EVIDENCE_MAX 64
struct decision_evidence {
    struct node_id issuer;
    uint32_t epoch;
    uint64_t bytes;
};
struct decision {
    struct node_id id;
    uint32_t epoch;
    uint8_t verdict; /* enum decision_verdict */
    struct slice reason;
    uint16_t members;
    uint16_t wanted;
    uint8_t gate;       /* DECISION_GATE_*, those that hold */
    uint64_t score;     /* what the policy goes by: struct policy_decision */
    uint64_t draw;      /* first 64 bits of its number */
    uint64_t threshold; /* below which it has a seat */
    uint64_t rate;      /* bytes a second, measured */
    uint32_t witnessed_s;
    uint8_t evidence_count;
    struct decision_evidence evidence[DECISION_EVIDENCE_MAX];
    struct slice tlvs;
};
/* TLV 2 of a decision: u8: from how many addresses receipts speak for measuring it. */
#define DECISION_TAG_RECEIPTS 2
void wire_decision_receipts_put(struct buf *tlvs, uint8_t hosts);
uint8_t wire_decision_receipts(const struct decision *decision); /* 0 = none, or not told */
void wire_decision_encode(struct buf *out, const struct decision *decision);
MUST_CHECK enum err wire_decision_decode(struct slice payload, struct decision *decision);

#endif
