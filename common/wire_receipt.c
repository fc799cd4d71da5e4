/* wire_receipt.c - RECEIPT: what a leaf says that somebody has done for it. */
#include "common/wire_receipt.h"

#include "common/check.h"
#include "common/wire_codec.h"

static enum err receipt_rule(const struct receipt *receipt) {
    if (receipt->tlvs.len > RECORD_HEADROOM) {
        return ERR_LIMIT;
    }
    bool is_known = receipt->kind == RECEIPT_TRANSFER || receipt->kind == RECEIPT_SERVICE;
    bool is_fine =
        is_known && receipt->amount >= 1 && !node_id_equal(&receipt->issuer, &receipt->subject);
    return is_fine ? wire_tlvs_check(receipt->tlvs) : ERR_FORMAT;
}

void wire_receipt_encode(struct buf *out, const struct receipt *receipt) {
    CHECK(receipt_rule(receipt) == OK);
    buf_append(out, receipt->issuer.b, sizeof receipt->issuer.b);
    buf_append(out, receipt->subject.b, sizeof receipt->subject.b);
    buf_u32(out, receipt->epoch);
    buf_u8(out, receipt->kind);
    buf_u64(out, receipt->amount);
    wire_put_tlvs(out, receipt->tlvs);
    buf_append(out, receipt->signature, sizeof receipt->signature);
}

enum err wire_receipt_decode(struct slice bytes, struct receipt *receipt) {
    *receipt = (struct receipt){0};
    if (bytes.len > RECEIPT_BYTES_MAX) {
        return ERR_LIMIT;
    }
    struct reader reader = reader_of(bytes.data, bytes.len);
    reader_copy(&reader, receipt->issuer.b, sizeof receipt->issuer.b);
    reader_copy(&reader, receipt->subject.b, sizeof receipt->subject.b);
    receipt->epoch = reader_u32(&reader);
    receipt->kind = reader_u8(&reader);
    receipt->amount = reader_u64(&reader);
    if (reader.failed || reader_left(&reader) < SIGNATURE_BYTES) {
        return ERR_FORMAT;
    }
    receipt->tlvs = reader_slice(&reader, reader_left(&reader) - SIGNATURE_BYTES);
    reader_copy(&reader, receipt->signature, SIGNATURE_BYTES);
    return receipt_rule(receipt);
}

/* What the signature covers; the caller frees `encoded`. */
static struct signed_bytes covered(struct buf *encoded, const struct receipt *receipt,
                                   const struct signer_env *env) {
    wire_receipt_encode(encoded, receipt);
    return (struct signed_bytes){
        env->network_id, RECORD_RECEIPT, {encoded->data, encoded->len - SIGNATURE_BYTES}};
}

void wire_receipt_sign(struct receipt *receipt, const struct signer_env *env) {
    struct buf encoded = {0};
    struct signed_bytes bytes = covered(&encoded, receipt, env);
    crypto_sign(env->crypto, &bytes, receipt->signature);
    buf_free(&encoded);
}

enum err wire_receipt_check(const struct receipt *receipt, const struct signer_env *env) {
    struct buf encoded = {0};
    struct signed_bytes bytes = covered(&encoded, receipt, env);
    enum err err = crypto_verify(env->crypto, &bytes, &receipt->issuer, receipt->signature);
    buf_free(&encoded);
    return err;
}
