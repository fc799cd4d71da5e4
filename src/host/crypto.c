/* crypto.c - the injected crypto (common/crypto.h) over OpenSSL.
 *
 * OpenSSL 3 looks an algorithm up on every use unless it was fetched before, which costs as much
 * as hashing 700 bytes. The SHA-256 of crypto_make goes past all that to the compression function's
 * own interface, old but kept: 143 ns for 64 bytes instead of 184, and 87 when they are a block, as
 * where two hashes of a tree are joined. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "src/host/crypto.h"

#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <string.h>

#include "common/check.h"
#include "common/mem.h"

struct openssl {
    struct crypto crypto;
    EVP_PKEY *key;
    EVP_MD_CTX *signing;
};

/* SHA-256 of one block of 64 bytes: what FIPS 180-4 appends to it is a second block, always the
 * same. */
static void hash_block(const uint8_t block[SHA256_CBLOCK], struct hash *out) {
    static const uint8_t padding[SHA256_CBLOCK] = {[0] = 0x80, [SHA256_CBLOCK - 2] = 0x02};
    SHA256_CTX state;
    SHA256_Init(&state);
    SHA256_Transform(&state, block);
    SHA256_Transform(&state, padding);
    for (size_t i = 0; i < sizeof out->b; i++) {
        out->b[i] = (uint8_t)(state.h[i / 4] >> (24 - 8 * (i % 4)));
    }
}

static void hash_fast(void *context, struct slice first, struct slice second, struct hash *out) {
    (void)context;
    if (first.len == SHA256_CBLOCK / 2 && second.len == SHA256_CBLOCK / 2) {
        uint8_t block[SHA256_CBLOCK];
        memcpy(block, first.data, first.len);
        memcpy(block + first.len, second.data, second.len);
        hash_block(block, out);
        return;
    }
    SHA256_CTX state;
    bool ok = SHA256_Init(&state) == 1 && SHA256_Update(&state, first.data, first.len) == 1 &&
              (second.len == 0 || SHA256_Update(&state, second.data, second.len) == 1) &&
              SHA256_Final(out->b, &state) == 1;
    CHECK(ok);
}

static void sign(void *context, struct slice message, uint8_t signature[SIGNATURE_BYTES]) {
    struct openssl *openssl = context;
    CHECK(openssl != NULL && openssl->key != NULL);
    size_t len = SIGNATURE_BYTES;
    EVP_MD_CTX_reset(openssl->signing);
    bool ok = EVP_DigestSignInit(openssl->signing, NULL, NULL, NULL, openssl->key) == 1 &&
              EVP_DigestSign(openssl->signing, signature, &len, message.data, message.len) == 1;
    CHECK(ok && len == SIGNATURE_BYTES);
}

static bool verify(void *context, const struct node_id *signer, struct slice message,
                   const uint8_t signature[SIGNATURE_BYTES]) {
    (void)context;
    EVP_PKEY *key =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, signer->b, sizeof signer->b);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool is_right =
        key != NULL && md != NULL && EVP_DigestVerifyInit(md, NULL, NULL, NULL, key) == 1 &&
        EVP_DigestVerify(md, signature, SIGNATURE_BYTES, message.data, message.len) == 1;
    EVP_MD_CTX_free(md);
    EVP_PKEY_free(key);
    return is_right;
}

static void hmac(void *context, struct slice key, struct slice message, struct hash *out) {
    (void)context;
    unsigned len = 0;
    static const uint8_t nothing[1];
    const void *secret = key.len > 0 ? key.data : nothing;
    bool ok = HMAC(EVP_sha256(), secret, (int)key.len, message.data, message.len, out->b, &len);
    CHECK(ok && len == sizeof out->b);
}

static void fill_random(void *context, void *to, size_t len) {
    (void)context;
    CHECK(len <= INT32_MAX && RAND_bytes(to, (int)len) == 1);
}

struct crypto *crypto_make(EVP_PKEY *key) {
    struct openssl *openssl = mem_new(sizeof *openssl);
    openssl->key = key;
    openssl->signing = EVP_MD_CTX_new();
    CHECK(openssl->signing != NULL);
    openssl->crypto = (struct crypto){.context = openssl,
                                      .sha256 = hash_fast,
                                      .sign = sign,
                                      .verify = verify,
                                      .hmac = hmac,
                                      .fill_random = fill_random};
    return &openssl->crypto;
}

void crypto_delete(struct crypto *crypto) {
    if (crypto != NULL) {
        struct openssl *openssl = crypto->context;
        EVP_MD_CTX_free(openssl->signing);
        mem_free(openssl);
    }
}

const struct crypto *crypto_keyless(void) {
    static const struct crypto keyless = {.sha256 = hash_fast,
                                          .sign = sign,
                                          .verify = verify,
                                          .hmac = hmac,
                                          .fill_random = fill_random};
    return &keyless;
}
