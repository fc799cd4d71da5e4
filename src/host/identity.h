/* identity.h - the node's Ed25519 key on disk, and what is made from it.
 *
 * The key is `node.key` (PKCS#8 PEM, mode 0600) in the node's state folder. It is written once; a
 * damaged or readable-by-others file is an error for a person to settle, never replaced. */
#ifndef TRUNKLINE_HOST_IDENTITY_H
#define TRUNKLINE_HOST_IDENTITY_H

#include "common/crypto.h"
#include "src/host/host.h"

struct identity;

enum identity_mode {
    IDENTITY_LOAD,        /* ERR_NOT_FOUND when there is no key */
    IDENTITY_LOAD_OR_MAKE /* make folder (0700) and key when there are none */
};

/* Load (or make) the key of a state folder. Does not lock the folder, so that a command may sign
 * while the daemon runs. NULL with *error set. */
struct identity *identity_open(const char *state_dir, enum identity_mode mode,
                               struct host_error *error);
/* A key in memory only, from 32 seed bytes (NULL: random); for tests and short-lived programs. */
struct identity *identity_ephemeral(const uint8_t *seed);
void identity_free(struct identity *identity);

const struct node_id *identity_id(const struct identity *identity);
/* sha256, sign (with this key), verify, hmac and fill_random over OpenSSL; lives as long as the
 * identity. For one thread at a time. (Without a key: crypto_keyless of src/host/crypto.h.) */
const struct crypto *identity_crypto(struct identity *identity);

/* For TLS: the private key and a self-signed certificate over it, both borrowed. */
struct evp_pkey_st *identity_key(const struct identity *identity);
struct x509_st *identity_certificate(const struct identity *identity);

/* Make the state folder (0700) when missing and lock it. Return a descriptor to close when done, or
 * -1 with *error set: ERR_DUPLICATE when another process has it. */
int state_lock(const char *state_dir, struct host_error *error);

#endif
