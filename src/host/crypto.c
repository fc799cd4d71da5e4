/* crypto.c - the injected crypto (common/crypto.h) over OpenSSL.
 *
 * OpenSSL 3 looks an algorithm up on every use unless it was fetched before, which costs as much
 * as hashing 700 bytes; so the SHA-256 of crypto_make is fetched once and its context reused. */
#include "src/host/crypto.h"

#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "common/check.h"
#include "common/mem.h"

struct openssl {
    struct crypto crypto;
    EVP_PKEY *key;
    EVP_MD *sha256;
    EVP_MD_CTX *hash;
    EVP_MD_CTX *signing;
};

static void digest(EVP_MD_CTX *context, const EVP_MD *md, const struct slice parts[2],
                   struct hash *out) {
    unsigned len = 0;
    bool ok = EVP_DigestInit_ex2(context, md, NULL) == 1 &&
              EVP_DigestUpdate(context, parts[0].data, parts[0].len) == 1 &&
              (parts[1].len == 0 || EVP_DigestUpdate(context, parts[1].data, parts[1].len) == 1) &&
              EVP_DigestFinal_ex(context, out->b, &len) == 1;
    CHECK(ok && len == sizeof out->b);
}

static void hash_reused(void *context, struct slice first, struct slice second, struct hash *out) {
    struct openssl *openssl = context;
    digest(openssl->hash, openssl->sha256, (const struct slice[2]){first, second}, out);
}

static void hash_stateless(void *context, struct slice first, struct slice second,
                           struct hash *out) {
    (void)context;
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    CHECK(hash != NULL);
    digest(hash, EVP_sha256(), (const struct slice[2]){first, second}, out);
    EVP_MD_CTX_free(hash);
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
    openssl->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    openssl->hash = EVP_MD_CTX_new();
    openssl->signing = EVP_MD_CTX_new();
    CHECK(openssl->sha256 != NULL && openssl->hash != NULL && openssl->signing != NULL);
    openssl->crypto = (struct crypto){.context = openssl,
                                      .sha256 = hash_reused,
                                      .sign = sign,
                                      .verify = verify,
                                      .hmac = hmac,
                                      .fill_random = fill_random};
    return &openssl->crypto;
}

void crypto_delete(struct crypto *crypto) {
    if (crypto != NULL) {
        struct openssl *openssl = crypto->context;
        EVP_MD_CTX_free(openssl->hash);
        EVP_MD_CTX_free(openssl->signing);
        EVP_MD_free(openssl->sha256);
        mem_free(openssl);
    }
}

const struct crypto *crypto_keyless(void) {
    static const struct crypto keyless = {.sha256 = hash_stateless,
                                          .sign = sign,
                                          .verify = verify,
                                          .hmac = hmac,
                                          .fill_random = fill_random};
    return &keyless;
}
