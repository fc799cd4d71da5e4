/* testlib.h - what unit tests share: real cryptography by OpenSSL, a node's environment, text. */
#ifndef TRUNKLINE_TESTS_UNIT_TESTLIB_H
#define TRUNKLINE_TESTS_UNIT_TESTLIB_H

/* cmocka.h needs these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "common/node.h"
#include "common/rng.h"

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

/* Borrow the bytes of a string. */
static inline struct slice test_slice(const char *text) {
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

/* A key of its own and the operations a driver would inject. fill_random is seeded, so that a
 * failing test can be run again. Lives where the test puts it; it must not move after
 * test_identity_init, since crypto.context points at it. */
struct test_identity {
    struct crypto crypto;
    struct node_id id;
    struct rng rng;
    EVP_PKEY *key;
};

static inline void test_sha256(void *context, struct slice first, struct slice second,
                               struct hash *out) {
    (void)context;
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    assert_non_null(digest);
    assert_int_equal(EVP_DigestInit_ex(digest, EVP_sha256(), NULL), 1);
    assert_int_equal(EVP_DigestUpdate(digest, first.data, first.len), 1);
    assert_int_equal(EVP_DigestUpdate(digest, second.data, second.len), 1);
    assert_int_equal(EVP_DigestFinal_ex(digest, out->b, NULL), 1);
    EVP_MD_CTX_free(digest);
}

static inline void test_sign(void *context, struct slice message,
                             uint8_t signature[SIGNATURE_BYTES]) {
    struct test_identity *identity = context;
    size_t len = SIGNATURE_BYTES;
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    assert_non_null(digest);
    assert_int_equal(EVP_DigestSignInit(digest, NULL, NULL, NULL, identity->key), 1);
    assert_int_equal(EVP_DigestSign(digest, signature, &len, message.data, message.len), 1);
    EVP_MD_CTX_free(digest);
}

static inline bool test_verify(void *context, const struct node_id *signer, struct slice message,
                               const uint8_t signature[SIGNATURE_BYTES]) {
    (void)context;
    EVP_PKEY *key =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, signer->b, sizeof signer->b);
    if (key == NULL) {
        return false;
    }
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool is_right =
        EVP_DigestVerifyInit(digest, NULL, NULL, NULL, key) == 1 &&
        EVP_DigestVerify(digest, signature, SIGNATURE_BYTES, message.data, message.len) == 1;
    EVP_MD_CTX_free(digest);
    EVP_PKEY_free(key);
    return is_right;
}

static inline void test_hmac(void *context, struct slice key, struct slice message,
                             struct hash *out) {
    (void)context;
    unsigned len = 0;
    assert_non_null(
        HMAC(EVP_sha256(), key.data, (int)key.len, message.data, message.len, out->b, &len));
    assert_int_equal(len, HASH_BYTES);
}

static inline void test_fill_random(void *context, void *to, size_t len) {
    struct test_identity *identity = context;
    rng_fill(&identity->rng, to, len);
}

/* Make the key whose private bytes are drawn from `seed`: the same seed, the same node. */
static inline void test_identity_init(struct test_identity *identity, uint64_t seed) {
    uint8_t private_key[32];
    rng_seed(&identity->rng, seed);
    rng_fill(&identity->rng, private_key, sizeof private_key);
    identity->key =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, private_key, sizeof private_key);
    assert_non_null(identity->key);
    size_t len = sizeof identity->id.b;
    assert_int_equal(EVP_PKEY_get_raw_public_key(identity->key, identity->id.b, &len), 1);
    identity->crypto = (struct crypto){.context = identity,
                                       .sha256 = test_sha256,
                                       .sign = test_sign,
                                       .verify = test_verify,
                                       .hmac = test_hmac,
                                       .fill_random = test_fill_random};
}

static inline void test_identity_free(struct test_identity *identity) {
    EVP_PKEY_free(identity->key);
    identity->key = NULL;
}

/* An IPv4 address 10.x.y.z. */
static inline struct address test_address(uint32_t number, uint16_t port) {
    return (struct address){
        .family = ADDRESS_IPV4,
        .ip = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number},
        .port = port};
}

#endif
