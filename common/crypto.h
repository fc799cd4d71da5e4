/* crypto.h - the four injected operations that need secrets or speed; see node.h. */
#ifndef TRUNKLINE_COMMON_CRYPTO_H
#define TRUNKLINE_COMMON_CRYPTO_H

#include <stddef.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/ids.h"

#define SIGNATURE_BYTES 64

/* Injected by the driver. The simulator may use a fast stand-in that nobody could mistake for it.
 */
struct crypto {
    void *context;
    /* SHA-256 of two runs of bytes, one after the other; the second may be empty. */
    void (*sha256)(void *context, struct slice first, struct slice second, struct hash *out);
    /* Ed25519 over `message` with this node's own key. */
    void (*sign)(void *context, struct slice message, uint8_t signature[SIGNATURE_BYTES]);
    /* True when `signature` is `signer`'s over `message`. */
    bool (*verify)(void *context, const struct node_id *signer, struct slice message,
                   const uint8_t signature[SIGNATURE_BYTES]);
    /* HMAC-SHA-256 (RFC 2104). */
    void (*hmac)(void *context, struct slice key, struct slice message, struct hash *out);
    /* Unguessable bytes. */
    void (*fill_random)(void *context, void *to, size_t len);
};

/* SHA-256 of one run of bytes. */
void crypto_hash(const struct crypto *crypto, struct slice bytes, struct hash *out);

/* What a signature covers: "trunkline-sig-1\0" . network id . type . body length (u32) . body, so
 * that it can be replayed neither in another network nor as another kind of record. */
struct signed_bytes {
    const struct hash *network_id;
    uint8_t type; /* enum record_type */
    struct slice body;
};

/* Sign with this node's own key. */
void crypto_sign(const struct crypto *crypto, const struct signed_bytes *bytes,
                 uint8_t signature[SIGNATURE_BYTES]);

/* Return ERR_AUTH unless the signature is `signer`'s. */
MUST_CHECK enum err crypto_verify(const struct crypto *crypto, const struct signed_bytes *bytes,
                                  const struct node_id *signer,
                                  const uint8_t signature[SIGNATURE_BYTES]);

#endif
