/* crypto.c - what is hashed and what is signed, by the functions that the driver injects. */
#include "common/crypto.h"

void crypto_hash(const struct crypto *crypto, struct slice bytes, struct hash *out) {
    crypto->sha256(crypto->context, bytes, (struct slice){0}, out);
}

/* Append everything that a signature covers. */
static void append_signed(struct buf *out, const struct signed_bytes *bytes) {
    static const char prefix[] = "trunkline-sig-1"; /* with its NUL */
    buf_append(out, prefix, sizeof prefix);
    buf_append(out, bytes->network_id->b, sizeof bytes->network_id->b);
    buf_u8(out, bytes->type);
    buf_u32(out, (uint32_t)bytes->body.len);
    buf_append(out, bytes->body.data, bytes->body.len);
}

void crypto_sign(const struct crypto *crypto, const struct signed_bytes *bytes,
                 uint8_t signature[SIGNATURE_BYTES]) {
    struct buf message = {0};
    append_signed(&message, bytes);
    crypto->sign(crypto->context, (struct slice){message.data, message.len}, signature);
    buf_free(&message);
}

enum err crypto_verify(const struct crypto *crypto, const struct signed_bytes *bytes,
                       const struct node_id *signer, const uint8_t signature[SIGNATURE_BYTES]) {
    struct buf message = {0};
    append_signed(&message, bytes);
    bool is_right = crypto->verify(crypto->context, signer,
                                   (struct slice){message.data, message.len}, signature);
    buf_free(&message);
    return is_right ? OK : ERR_AUTH;
}
