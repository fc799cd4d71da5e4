/* wire_receipt.h - RECEIPT: what a leaf says that somebody has done for it. docs/PROTOCOL.md draws
 * the layout. A receipt suggests whom to measure; it is no part of any score. */
#ifndef TRUNKLINE_COMMON_WIRE_RECEIPT_H
#define TRUNKLINE_COMMON_WIRE_RECEIPT_H

#include "common/wire_trust.h"

/* ---- RECEIPT: issuer 32, subject 32 (another), epoch u32, kind u8, amount u64 (at least 1), TLVs,
 * signature 64 by the issuer. ---- */
enum receipt_kind {
    RECEIPT_TRANSFER = 1, /* amount: bytes of files from the subject, verified */
    RECEIPT_SERVICE = 2   /* amount: seconds that the subject was the issuer's supernode */
};
#define RECEIPT_BYTES_MAX (32 + 32 + 4 + 1 + 8 + RECORD_HEADROOM + 64)
struct receipt {
    struct node_id issuer;
    struct node_id subject;
    uint32_t epoch;
    uint8_t kind; /* enum receipt_kind */
    uint64_t amount;
    struct slice tlvs;
    uint8_t signature[SIGNATURE_BYTES];
};
void wire_receipt_encode(struct buf *out, const struct receipt *receipt);
MUST_CHECK enum err wire_receipt_decode(struct slice bytes, struct receipt *receipt);
void wire_receipt_sign(struct receipt *receipt, const struct signer_env *env);
MUST_CHECK enum err wire_receipt_check(const struct receipt *receipt, const struct signer_env *env);

#endif
