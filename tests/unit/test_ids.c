/* test_ids.c - texts of ids, addresses and content: golden, round trip, every single slip. */
#include "tests/unit/testlib.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/ids.h"
#include "common/limits.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

static struct node_id random_id(struct rng *rng) {
    struct node_id id;
    rng_fill(rng, id.b, sizeof id.b);
    return id;
}

/* The device id of Syncthing's own tests (lib/protocol/deviceid_test.go). */
static const char golden_id[] = "P56IOI7-MZJNU2Y-IQGDREY-DM2MGTI-MGL3BXN-PQ6W5BM-TBBZ4TJ-XZWICQ2";

static void test_id_golden(void **state) {
    (void)state;
    static const char *const spellings[] = {
        golden_id,
        "P56IOI7MZJNU2YIQGDREYDM2MGTIMGL3BXNPQ6W5BMTBBZ4TJXZWICQ2",
        "p56ioi7-mzjnu2y-iqgdrey-dm2mgti-mgl3bxn-pq6w5bm-tbbz4tj-xzwicq2",
        "P56IOI7 MZJNU2Y IQGDREY DM2MGTI MGL3BXN PQ6W5BM TBBZ4TJ XZWICQ2\n",
        "P561017MZJNU2YIQGDREYDM2MGTIMGL3BXNPQ6W5BMTBBZ4TJXZWICQ2",
        "P56IOI7MZJNU2YIQGDREYDM2MGTIMGL3BXNPQ6W58MT88Z4TJXZWICQ2",
    };
    for (size_t i = 0; i < LENGTH(spellings); i++) {
        struct node_id id;
        char text[NODE_ID_TEXT_BYTES];
        assert_int_equal(node_id_parse(&id, spellings[i]), OK);
        node_id_format(text, &id);
        assert_string_equal(text, golden_id);
    }
    struct node_id id;
    char text[NODE_ID_SHORT_BYTES];
    assert_int_equal(node_id_parse(&id, golden_id), OK);
    node_id_short(text, &id);
    assert_string_equal(text, "P56IOI7");
    assert_int_equal(id.b[0], 0x7f); /* "P5": 15 << 3 | 29 >> 2 */
}

static void test_id_round_trip(void **state) {
    (void)state;
    struct rng rng;
    rng_seed(&rng, 1);
    for (int i = 0; i < 10000; i++) {
        struct node_id id = random_id(&rng);
        struct node_id back;
        char text[NODE_ID_TEXT_BYTES];
        node_id_format(text, &id);
        assert_int_equal(strlen(text), NODE_ID_TEXT_BYTES - 1);
        assert_int_equal(node_id_parse(&back, text), OK);
        assert_true(node_id_equal(&id, &back));
    }
}

/* Every other letter in every place must be noticed. */
static void test_id_single_slips(void **state) {
    (void)state;
    struct rng rng;
    rng_seed(&rng, 2);
    for (int round = 0; round < 20; round++) {
        struct node_id id = random_id(&rng);
        char text[NODE_ID_TEXT_BYTES];
        node_id_format(text, &id);
        for (size_t at = 0; text[at] != '\0'; at++) {
            char right = text[at];
            for (const char *wrong = letters; *wrong != '\0'; wrong++) {
                text[at] = *wrong;
                struct node_id back;
                enum err wanted = right == '-' ? ERR_FORMAT : ERR_MISMATCH;
                assert_int_equal(node_id_parse(&back, text), *wrong == right ? OK : wanted);
            }
            text[at] = right;
        }
    }
}

static void test_id_refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "A",
        "-",
        "P56IOI7-MZJNU2Y-IQGDREY-DM2MGTI-MGL3BXN-PQ6W5BM-TBBZ4TJ-XZWICQ",
        "P56IOI7-MZJNU2Y-IQGDREY-DM2MGTI-MGL3BXN-PQ6W5BM-TBBZ4TJ-XZWICQ2A",
        "P56IOI9-MZJNU2Y-IQGDREY-DM2MGTI-MGL3BXN-PQ6W5BM-TBBZ4TJ-XZWICQ2",
        "P56IOI7_MZJNU2Y_IQGDREY_DM2MGTI_MGL3BXN_PQ6W5BM_TBBZ4TJ_XZWICQ2"};
    for (size_t i = 0; i < LENGTH(texts); i++) {
        struct node_id id;
        assert_int_equal(node_id_parse(&id, texts[i]), ERR_FORMAT);
    }
}

/* 52 letters hold 4 bits more than an id has; set ones are another spelling of no id. */
static void test_id_spare_bits(void **state) {
    (void)state;
    struct node_id id = {0};
    char text[NODE_ID_TEXT_BYTES];
    node_id_format(text, &id);
    size_t last = strlen(text) - 2; /* the last letter before its check letter */
    size_t accepted = 0;
    for (const char *digit = letters; *digit != '\0'; digit++) {
        for (const char *check = letters; *check != '\0'; check++) {
            text[last] = *digit;
            text[last + 1] = *check;
            accepted += node_id_parse(&id, text) == OK;
        }
    }
    assert_int_equal(accepted, 2); /* the one bit that belongs to the id, with its check letter */
}

static void test_hex(void **state) {
    (void)state;
    uint8_t bytes[4];
    char text[9];
    assert_int_equal(hex_parse(bytes, 4, "00fFA9c1"), OK);
    hex_format(text, bytes, 4);
    assert_string_equal(text, "00ffa9c1");
    static const char *const wrong[] = {"",         "0",        "00ffa9c",  "00ffa9c11",
                                        "00ffa9cg", "00ffa9c ", " 0ffa9c1", "0x00ffa9"};
    for (size_t i = 0; i < LENGTH(wrong); i++) {
        assert_int_equal(hex_parse(bytes, 4, wrong[i]), ERR_FORMAT);
    }
    assert_int_equal(hex_parse(bytes, 0, ""), OK);
}

static const struct {
    const char *text;
    const char *printed; /* NULL = refused */
} address_rows[] = {
    {"127.0.0.1:6346", "127.0.0.1:6346"},
    {"255.255.255.255:65535", "255.255.255.255:65535"},
    {"[::1]:6346", "[::1]:6346"},
    {"[::]:1", "[::]:1"},
    {"[2001:DB8:0:0:0:0:0:1]:80", "[2001:db8::1]:80"},
    {"[2001:db8:0:1:1:1:1:1]:80", "[2001:db8:0:1:1:1:1:1]:80"},
    {"[1:0:0:2:0:0:0:3]:80", "[1:0:0:2::3]:80"},
    {"[1::]:80", "[1::]:80"},
    {"[1:2:3:4:5:6:7::]:80", "[1:2:3:4:5:6:7:0]:80"},
    {"[::ffff:10.1.2.3]:80", "[::ffff:a01:203]:80"},
    {"[1:2:3:4:5:6:10.1.2.3]:80", "[1:2:3:4:5:6:a01:203]:80"},
    {"", NULL},
    {"127.0.0.1", NULL},
    {"127.0.0.1:", NULL},
    {"127.0.0.1:0", NULL},
    {"127.0.0.1:65536", NULL},
    {"127.0.0.1:99999999999999999999", NULL},
    {"127.0.0.1:080", NULL},
    {"127.0.0.1:80 ", NULL},
    {" 127.0.0.1:80", NULL},
    {"127.0.0.256:80", NULL},
    {"127.0.0.01:80", NULL},
    {"127.0.0:80", NULL},
    {"127.0.0.0.1:80", NULL},
    {"localhost:80", NULL},
    {"::1:80", NULL},
    {"[::1]", NULL},
    {"[::1]80", NULL},
    {"[]:80", NULL},
    {"[:]:80", NULL},
    {"[:::]:80", NULL},
    {"[1::2::3]:80", NULL},
    {"[1:2:3:4:5:6:7]:80", NULL},
    {"[1:2:3:4:5:6:7:]:80", NULL},
    {"[:1:2:3:4:5:6:7]:80", NULL},
    {"[1:2:3:4:5:6:7:8:9]:80", NULL},
    {"[1:2:3:4:5:6:7:8::]:80", NULL},
    {"[12345::]:80", NULL},
    {"[fe80::1%eth0]:80", NULL},
    {"[::10.1.2]:80", NULL},
    {"[10.1.2.3::]:80", NULL},
    {"[::1", NULL},
};

static void test_address_texts(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(address_rows); i++) {
        struct address address;
        char text[ADDRESS_TEXT_BYTES];
        enum err err = address_parse(&address, address_rows[i].text, false);
        if (address_rows[i].printed == NULL) {
            if (err != ERR_FORMAT) {
                fail_msg("accepted %s", address_rows[i].text);
            }
            continue;
        }
        if (err != OK) {
            fail_msg("refused %s", address_rows[i].text);
        }
        address_format(text, &address);
        assert_string_equal(text, address_rows[i].printed);
    }
    struct address any;
    assert_int_equal(address_parse(&any, "10.0.0.1:0", true), OK);
    assert_int_equal(any.port, 0);
}

/* Random addresses with many zero groups, compared with the system's own reading and writing. */
static void test_address_against_system(void **state) {
    (void)state;
    struct rng rng;
    rng_seed(&rng, 3);
    for (int i = 0; i < 20000; i++) {
        struct address address = {.family = i % 4 == 0 ? ADDRESS_IPV4 : ADDRESS_IPV6};
        size_t bytes = address.family == ADDRESS_IPV4 ? 4 : 16;
        address.port = (uint16_t)(1 + rng_below(&rng, 65535));
        for (size_t at = 0; at < bytes; at++) {
            uint64_t draw = rng_below(&rng, 1024);
            address.ip[at] = draw < 600 ? 0 : (uint8_t)draw;
        }
        char host[INET6_ADDRSTRLEN];
        char wanted[ADDRESS_TEXT_BYTES];
        char text[ADDRESS_TEXT_BYTES];
        int family = bytes == 4 ? AF_INET : AF_INET6;
        assert_non_null(inet_ntop(family, address.ip, host, sizeof host));
        snprintf(wanted, sizeof wanted, bytes == 4 ? "%s:%u" : "[%s]:%u", host, address.port);
        struct address back;
        assert_int_equal(address_parse(&back, wanted, false), OK);
        assert_true(address_equal(&back, &address));
        address_format(text, &address);
        if (bytes == 4 || strchr(host, '.') == NULL) { /* the system mixes in dotted quads */
            assert_string_equal(text, wanted);
        }
        assert_int_equal(address_parse(&back, text, false), OK);
        assert_true(address_equal(&back, &address));
    }
}

static void test_address_compare(void **state) {
    (void)state;
    struct address a = test_address(7, 80);
    struct address b = test_address(7, 81);
    struct address c = test_address(8, 80);
    assert_true(address_same_host(&a, &b));
    assert_false(address_equal(&a, &b));
    assert_false(address_same_host(&a, &c));
    struct address none = {0};
    char text[ADDRESS_TEXT_BYTES];
    address_format(text, &none);
    assert_string_equal(text, "none");
}

static void test_content(void **state) {
    (void)state;
    struct content_id id = {.size = 123456789};
    for (size_t i = 0; i < HASH_BYTES; i++) {
        id.root.b[i] = (uint8_t)(i * 9);
    }
    static const char wanted[] =
        "trunkline:0009121b242d363f48515a636c757e879099a2abb4bdc6cfd8e1eaf3fc050e17:123456789";
    char text[CONTENT_TEXT_BYTES];
    content_format(text, &id);
    assert_string_equal(text, wanted);
    struct content_id back = {0};
    assert_int_equal(content_parse(&back, text), OK);
    assert_true(content_equal(&id, &back));
    assert_int_equal(content_parse(&back, text + strlen("trunkline:")), OK);
    assert_true(content_equal(&id, &back));
    uint8_t key[CONTENT_KEY_BYTES];
    content_key(key, &id);
    assert_memory_equal(key, id.root.b, HASH_BYTES);
    assert_memory_equal(key + HASH_BYTES, "\0\0\0\0\x07\x5b\xcd\x15", 8);
    back.size++;
    assert_false(content_equal(&id, &back));
}

static void test_content_refused(void **state) {
    (void)state;
    static const char root[] = "0009121b242d363f48515a636c757e879099a2abb4bdc6cfd8e1eaf3fc050e17";
    static const struct {
        const char *before;
        const char *after;
        enum err wanted;
    } rows[] = {
        {"", "", ERR_FORMAT},
        {"", ":", ERR_FORMAT},
        {"", ":0", ERR_FORMAT},
        {"", ":-1", ERR_FORMAT},
        {"", ":01", ERR_FORMAT},
        {"", ":1 ", ERR_FORMAT},
        {"", "0:1", ERR_FORMAT},
        {"tr:", ":1", ERR_FORMAT},
        {"", ":4398046511105", ERR_LIMIT},
        {"", ":99999999999999999999999", ERR_LIMIT},
        {"", ":4398046511104", OK},
        {"trunkline:", ":1", OK},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        char text[200];
        struct content_id id;
        snprintf(text, sizeof text, "%s%s%s", rows[i].before, root, rows[i].after);
        assert_int_equal(content_parse(&id, text), rows[i].wanted);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_id_golden),       cmocka_unit_test(test_id_round_trip),
        cmocka_unit_test(test_id_single_slips), cmocka_unit_test(test_id_refused),
        cmocka_unit_test(test_id_spare_bits),   cmocka_unit_test(test_hex),
        cmocka_unit_test(test_address_texts),   cmocka_unit_test(test_address_against_system),
        cmocka_unit_test(test_address_compare), cmocka_unit_test(test_content),
        cmocka_unit_test(test_content_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
