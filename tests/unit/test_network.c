/* test_network.c - a network's id depends on its rules and nothing else; secrets; dialling rules.
 */
#include "tests/unit/testlib.h"

#include "common/network.h"

static const struct crypto crypto = {.sha256 = test_sha256, .hmac = test_hmac};

static struct network campus(void) {
    struct network network = {.name = "campus",
                              .policy = NETWORK_CERTIFIED,
                              .profile = NETWORK_LAN,
                              .epoch_s = 3600,
                              .anchor_count = 3};
    for (uint8_t i = 0; i < 3; i++) {
        memset(network.anchors[i].b, 3 - i, sizeof network.anchors[i].b);
    }
    return network;
}

/* The id is in every signature: should these bytes change, no two versions would understand each
 * other. Computed with Python's hashlib from the layout in network.h. */
static void test_id_golden(void **state) {
    (void)state;
    struct network network = campus();
    assert_int_equal(network_seal(&network, &crypto), OK);
    char text[2 * HASH_BYTES + 1];
    hex_format(text, network.id.b, HASH_BYTES);
    assert_string_equal(text, "76e60133de7f65dfc43eacc8ab879fcbd6f5a2612468f1cdb7fb854f3eac1482");
}

static void test_seal(void **state) {
    (void)state;
    struct network sealed = campus();
    assert_int_equal(network_seal(&sealed, &crypto), OK);
    assert_int_equal(sealed.anchors[0].b[0], 1);
    assert_int_equal(sealed.anchors[2].b[0], 3);

    struct network other = campus(); /* order and secret do not matter */
    struct node_id first = other.anchors[0];
    other.anchors[0] = other.anchors[2];
    other.anchors[2] = first;
    other.secret_len = 4;
    assert_int_equal(network_seal(&other, &crypto), OK);
    assert_memory_equal(other.id.b, sealed.id.b, HASH_BYTES);

    for (int change = 0; change < 5; change++) { /* everything else does */
        other = campus();
        other.name[0] = change == 0 ? 'C' : 'c';
        other.policy = change == 1 ? NETWORK_OPEN : NETWORK_CERTIFIED;
        other.profile = change == 2 ? NETWORK_INTERNET : NETWORK_LAN;
        other.epoch_s = change == 3 ? 3601 : 3600;
        other.anchor_count = change == 4 ? 2 : 3;
        assert_int_equal(network_seal(&other, &crypto), OK);
        assert_memory_not_equal(other.id.b, sealed.id.b, HASH_BYTES);
    }
}

static void test_seal_refuses(void **state) {
    (void)state;
    struct network network = campus();
    network.name[0] = '\0';
    assert_int_equal(network_seal(&network, &crypto), ERR_CONFIG);
    network = campus();
    network.anchors[2] = network.anchors[0];
    assert_int_equal(network_seal(&network, &crypto), ERR_CONFIG);
    network = campus();
    network.anchor_count = 0;
    assert_int_equal(network_seal(&network, &crypto), ERR_CONFIG);
    network.policy = NETWORK_OPEN;
    assert_int_equal(network_seal(&network, &crypto), OK);
}

static void test_anchors(void **state) {
    (void)state;
    struct network network = campus();
    struct node_id anchor = network.anchors[1];
    assert_int_equal(network_seal(&network, &crypto), OK);
    assert_true(network_is_anchor(&network, &anchor));
    anchor.b[31] ^= 1;
    assert_false(network_is_anchor(&network, &anchor));
    network.anchor_count = 0;
    assert_false(network_is_anchor(&network, &network.anchors[0]));
}

static void test_auth(void **state) {
    (void)state;
    struct network network = campus();
    struct hash exporter = {{7}};
    struct hash dialled;
    struct hash accepted;
    struct hash zero = {0};
    memset(&dialled, 1, sizeof dialled);
    network_auth(&network, &crypto, &exporter, true, &dialled);
    assert_memory_equal(dialled.b, zero.b, HASH_BYTES);

    network.secret_len = 4;
    memcpy(network.secret, "blue", 4);
    network_auth(&network, &crypto, &exporter, true, &dialled);
    network_auth(&network, &crypto, &exporter, false, &accepted);
    assert_memory_not_equal(dialled.b, accepted.b, HASH_BYTES); /* cannot be reflected */
    uint8_t message[HASH_BYTES + 1] = {7};
    struct hash wanted;
    test_hmac(NULL, test_slice("blue"), (struct slice){message, sizeof message}, &wanted);
    assert_memory_equal(dialled.b, wanted.b, HASH_BYTES);
    exporter.b[31] = 1;
    network_auth(&network, &crypto, &exporter, true, &accepted);
    assert_memory_not_equal(dialled.b, accepted.b, HASH_BYTES); /* bound to the link */
}

static void test_may_dial(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool lan;
        bool internet;
    } rows[] = {
        {"8.8.8.8:1", true, true},          {"172.15.0.1:80", true, true},
        {"172.32.0.1:80", true, true},      {"11.0.0.1:80", true, true},
        {"223.255.255.255:80", true, true}, {"100.128.0.1:80", true, true},
        {"127.1.2.3:80", true, false},      {"10.0.0.1:80", true, false},
        {"172.16.0.1:80", true, false},     {"172.31.255.255:80", true, false},
        {"192.168.7.7:80", true, false},    {"169.254.1.1:80", true, false},
        {"100.64.0.1:80", true, false},     {"0.0.0.0:80", false, false},
        {"0.1.2.3:80", false, false},       {"224.0.0.1:80", false, false},
        {"240.0.0.1:80", false, false},     {"255.255.255.255:80", false, false},
        {"[2001:db9::1]:80", true, true},   {"[::1]:80", true, false},
        {"[fe80::1]:80", true, false},      {"[febf::1]:80", true, false},
        {"[fd00::1]:80", true, false},      {"[::]:80", false, false},
        {"[ff02::1]:80", false, false},     {"[::ffff:8.8.8.8]:80", false, false},
        {"8.8.8.8:0", false, false},
    };
    struct network lan = campus();
    struct network internet = campus();
    internet.profile = NETWORK_INTERNET;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct address address;
        assert_int_equal(address_parse(&address, rows[i].text, true), OK);
        if (network_may_dial(&lan, &address) != rows[i].lan ||
            network_may_dial(&internet, &address) != rows[i].internet) {
            fail_msg("%s", rows[i].text);
        }
    }
    struct address none = {.port = 80};
    assert_false(network_may_dial(&lan, &none));
}

/* What a signature covers, byte for byte, and that each part of it matters. */
static void test_signed_bytes(void **state) {
    (void)state;
    struct test_identity identity;
    test_identity_init(&identity, 1);
    struct hash network_id = {{1, 2, 3}};
    struct signed_bytes bytes = {.network_id = &network_id, .type = 1, .body = test_slice("body")};
    uint8_t signature[SIGNATURE_BYTES];
    crypto_sign(&identity.crypto, &bytes, signature);
    assert_int_equal(crypto_verify(&identity.crypto, &bytes, &identity.id, signature), OK);

    uint8_t message[16 + 32 + 1 + 4 + 4] = "trunkline-sig-1";
    memcpy(message + 16, network_id.b, 32);
    memcpy(message + 48,
           "\x01\0\0\0\x04"
           "body",
           9);
    assert_true(
        test_verify(NULL, &identity.id, (struct slice){message, sizeof message}, signature));

    bytes.type = 2;
    assert_int_equal(crypto_verify(&identity.crypto, &bytes, &identity.id, signature), ERR_AUTH);
    bytes.type = 1;
    bytes.body.len = 3;
    assert_int_equal(crypto_verify(&identity.crypto, &bytes, &identity.id, signature), ERR_AUTH);
    bytes.body.len = 4;
    network_id.b[31] ^= 1;
    assert_int_equal(crypto_verify(&identity.crypto, &bytes, &identity.id, signature), ERR_AUTH);
    network_id.b[31] ^= 1;
    struct node_id other = identity.id;
    other.b[0] ^= 1;
    assert_int_equal(crypto_verify(&identity.crypto, &bytes, &other, signature), ERR_AUTH);
    signature[10] ^= 1;
    assert_int_equal(crypto_verify(&identity.crypto, &bytes, &identity.id, signature), ERR_AUTH);
    test_identity_free(&identity);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_id_golden),    cmocka_unit_test(test_seal),
        cmocka_unit_test(test_seal_refuses), cmocka_unit_test(test_anchors),
        cmocka_unit_test(test_auth),         cmocka_unit_test(test_may_dial),
        cmocka_unit_test(test_signed_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
