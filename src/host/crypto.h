/* crypto.h - the injected crypto (common/crypto.h) over OpenSSL. */
#ifndef TRUNKLINE_HOST_CRYPTO_H
#define TRUNKLINE_HOST_CRYPTO_H

#include <openssl/evp.h>

#include "common/crypto.h"

/* Return operations with reused contexts, for one thread at a time; free with crypto_delete. The
 * key is borrowed; NULL = `sign` aborts. */
struct crypto *crypto_make(EVP_PKEY *key);
void crypto_delete(struct crypto *crypto);

/* Keyless and stateless, for any thread; SHA-256 costs about 0.4 us more than crypto_make's. */
const struct crypto *crypto_keyless(void);

#endif
