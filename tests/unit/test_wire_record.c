/* test_wire_record.c - what signatures and hashes of records cover, against values that another
 * implementation of Ed25519 and SHA-256 computed from the layout alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "common/wire.h"
#include "src/host/crypto.h"

#define ISSUED_S 1700000000
#define DAY_S 86400

/* Secret key 00 01 .. 1f, network id 32 x 4e, one address 127.0.0.2:6346, two hours. */
static const char signed_record[] =
    "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8000000006553f100007800010104"
    "7f00000218ca5614ef3b33c87ced8d5bbbfdab032f22f5bced1806cf616e6438008563618cf723c68b75397628f3"
    "5a3c4c19113760b381cf733e2b74910f190bafe96782ca00";

/* Subject 32 x 44, epoch 19675, life 3, signed by the same key as anchor 0. */
static const char signed_cert[] =
    "444444444444444444444444444444444444444444444444444444444444444400004cdb03000000000000000000"
    "0000000000000000000000000000000000000000000000000000010000d58bdeb3739fd0947d7e65ddbaa62a869f"
    "4ac97f27742f5c2034663489d944e9dc82c3ad32f078d55883283487c00d1c32335020f4ac585e4b3791ba306378"
    "04";

struct fixture {
    EVP_PKEY *key;
    struct crypto *crypto;
    struct hash network_id;
    uint8_t bytes[256];
    size_t len;
    struct address_record record; /* the signed one */
};

static int set_up(void **state) {
    static struct fixture fixture;
    uint8_t secret[32];
    for (uint8_t i = 0; i < sizeof secret; i++) {
        secret[i] = i;
    }
    fixture.key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, sizeof secret);
    fixture.crypto = crypto_make(fixture.key);
    memset(fixture.network_id.b, 0x4e, sizeof fixture.network_id.b);
    fixture.len = strlen(signed_record) / 2;
    assert_int_equal(hex_parse(fixture.bytes, fixture.len, signed_record), OK);
    assert_int_equal(
        wire_address_record_decode((struct slice){fixture.bytes, fixture.len}, &fixture.record),
        OK);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    crypto_delete(fixture->crypto);
    EVP_PKEY_free(fixture->key);
    return 0;
}

static enum err check(const struct fixture *fixture, const struct address_record *record,
                      int64_t wall_s) {
    return wire_address_record_check(record, fixture->crypto, &fixture->network_id, wall_s);
}

static void test_known_signature(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(check(fixture, &fixture->record, ISSUED_S), OK);
    struct address_record again = fixture->record;
    memset(again.signature, 0, sizeof again.signature);
    wire_address_record_sign(&again, fixture->crypto, &fixture->network_id);
    assert_memory_equal(again.signature, fixture->record.signature, SIGNATURE_BYTES);
}

/* No field, no TLV and no network can change under a signature. */
static void test_every_byte_is_covered(void **state) {
    struct fixture *fixture = *state;
    for (size_t at = 0; at < fixture->len; at++) {
        struct address_record record;
        fixture->bytes[at] ^= 1;
        enum err err =
            wire_address_record_decode((struct slice){fixture->bytes, fixture->len}, &record);
        if (err == OK) {
            assert_int_equal(check(fixture, &record, ISSUED_S), ERR_AUTH);
        }
        fixture->bytes[at] ^= 1;
    }
    struct hash other_network = fixture->network_id;
    other_network.b[0] ^= 1;
    assert_int_equal(
        wire_address_record_check(&fixture->record, fixture->crypto, &other_network, ISSUED_S),
        ERR_AUTH);
    struct address_record with_tlv = fixture->record;
    with_tlv.tlvs = (struct slice){(const uint8_t *)"\2\0\0", 3};
    assert_int_equal(check(fixture, &with_tlv, ISSUED_S), ERR_AUTH);
}

static void test_validity(void **state) {
    struct fixture *fixture = *state;
    const struct address_record *record = &fixture->record;
    const int64_t first = ISSUED_S - DAY_S, last = ISSUED_S + 120 * 60 + DAY_S;
    assert_int_equal(check(fixture, record, first), OK);
    assert_int_equal(check(fixture, record, first - 1), ERR_POLICY);
    assert_int_equal(check(fixture, record, last), OK);
    assert_int_equal(check(fixture, record, last + 1), ERR_POLICY);
    assert_int_equal(check(fixture, record, -1), ERR_POLICY);
    struct address_record endless = *record;
    for (uint64_t seq = UINT64_MAX; seq > INT64_MAX / 4; seq /= 2) {
        endless.seq = seq;
        wire_address_record_sign(&endless, fixture->crypto, &fixture->network_id);
        assert_int_equal(check(fixture, &endless, ISSUED_S), ERR_POLICY);
        assert_int_equal(check(fixture, &endless, INT64_MAX), ERR_POLICY);
    }
}

/* A victim's address beside the true one is as bad as alone. */
static void test_record_is_at(void **state) {
    struct fixture *fixture = *state;
    struct address_record record = fixture->record;
    struct address host = record.addresses[0];
    host.port++;
    record.address_count = 1;
    assert_true(address_record_is_at(&record, &host));
    record.address_count = 2;
    record.addresses[1] = host; /* another port of the same host */
    assert_true(address_record_is_at(&record, &host));
    for (int victim = 0; victim < 2; victim++) {
        record.addresses[victim].ip[3] ^= 1;
        assert_false(address_record_is_at(&record, &host));
        record.addresses[victim].ip[3] ^= 1;
    }
    record.address_count = 0;
    assert_false(address_record_is_at(&record, &host));
}

static void test_cert_signed_bytes(void **state) {
    struct fixture *fixture = *state;
    uint8_t bytes[256];
    size_t len = strlen(signed_cert) / 2;
    assert_int_equal(hex_parse(bytes, len, signed_cert), OK);
    struct cert cert;
    assert_int_equal(wire_cert_decode((struct slice){bytes, len}, &cert), OK);
    struct buf body = {0};
    wire_cert_signed_bytes(&body, &cert);
    assert_memory_equal(body.data, bytes, body.len);
    struct signed_bytes covered = {&fixture->network_id, RECORD_CERT, {body.data, body.len}};
    const struct node_id *anchor = &fixture->record.key;
    const uint8_t *signature = cert.signers[0].signature;
    assert_int_equal(crypto_verify(fixture->crypto, &covered, anchor, signature), OK);
    covered.type = RECORD_ADDRESS;
    assert_int_equal(crypto_verify(fixture->crypto, &covered, anchor, signature), ERR_AUTH);
    buf_free(&body);
}

static void test_hashes_of_records(void **state) {
    struct fixture *fixture = *state;
    struct file_record file = {.content.size = 65537, .name = {(const uint8_t *)"Read me.txt", 11}};
    memset(file.content.root.b, 0xaa, HASH_BYTES);
    struct hash hash;
    char text[2 * HASH_BYTES + 1];
    wire_file_record_hash(&file, fixture->crypto, &hash);
    hex_format(text, hash.b, sizeof hash.b);
    assert_string_equal(text, "8abceb577602d81093b1c4cab97ce50c8db7667fae93eeb99765d6529a26a1c5");
    struct query_id id;
    wire_query_id((struct slice){(const uint8_t *)"\1\2\3compressed", 13}, fixture->crypto, &id);
    hex_format(text, id.b, sizeof id.b);
    assert_string_equal(text, "7175e1a70c341f8860355b32a7aa5041");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_signature),   cmocka_unit_test(test_every_byte_is_covered),
        cmocka_unit_test(test_validity),          cmocka_unit_test(test_cert_signed_bytes),
        cmocka_unit_test(test_hashes_of_records), cmocka_unit_test(test_record_is_at),
    };
    return cmocka_run_group_tests_name("wire records", tests, set_up, tear_down);
}
