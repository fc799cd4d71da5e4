/* test_filelink.c - links as people pass them on: read, written, and what is wrong with bad ones.
 */
#include "common/filelink.h"
#include "tests/unit/testlib.h"

#define ROOT "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define BARE "trunkline:" ROOT ":65536"
#define NODE "IUPBR2X-F3ZHATP-C7KTUC6-OX7WZTK-2FI2474-7KIYHSX-HRBRJLU-ZTRHBQ5"

static void what_is_written_is_read(void **state) {
    (void)state;
    struct filelink link = {.content.size = 65536, .has_network = true, .source_count = 2};
    struct filelink back;
    struct filelink_error error = {0};
    struct buf text = {0};
    assert_int_equal(hex_parse(link.content.root.b, HASH_BYTES, ROOT), OK);
    assert_int_equal(hex_parse(link.network.b, HASH_BYTES, ROOT), OK);
    strcpy(link.name, "blue & \"whale\" 100%+=?/鯨.ogg");
    assert_int_equal(node_place_parse(&link.sources[0], NODE "@[fe80::1]:6347"), OK);
    assert_int_equal(node_place_parse(&link.sources[1], NODE), OK);
    filelink_format(&text, &link);
    buf_u8(&text, '\0');
    assert_string_equal((const char *)text.data,
                        BARE "?name=blue%20%26%20%22whale%22%20100%25%2b%3d%3f%2f%e9%af%a8.ogg"
                             "&network=" ROOT "&source=" NODE "@%5bfe80::1%5d:6347&source=" NODE);
    assert_int_equal(filelink_parse(&back, (const char *)text.data, &error), OK);
    assert_true(content_equal(&back.content, &link.content) && back.has_network);
    assert_string_equal(back.name, link.name);
    assert_memory_equal(back.network.b, link.network.b, HASH_BYTES);
    assert_int_equal(back.source_count, 2);
    assert_true(address_equal(&back.sources[0].address, &link.sources[0].address));
    assert_int_equal(back.sources[1].address.family, ADDRESS_NONE);
    buf_free(&text);
}

static void what_is_good(void **state) {
    (void)state;
    static const char *const good[] = {
        BARE,
        ROOT ":65536",
        BARE "?",
        BARE "?size=65536",
        BARE "?colour=blue%00&name=a+b",
        BARE "?name=%41&x=",
        BARE "?source=" NODE "@127.0.0.1:1",
    };
    for (size_t i = 0; i < LENGTH(good); i++) {
        struct filelink link;
        struct filelink_error error = {0};
        if (filelink_parse(&link, good[i], &error) != OK) {
            fail_msg("%s: %u: %s", good[i], error.at, error.why);
        }
        assert_int_equal(link.content.size, 65536);
    }
}

/* The place is that of the fault, and the reason says what is wrong. */
static void what_is_bad_is_explained(void **state) {
    (void)state;
    static const struct {
        const char *behind; /* of BARE, or the whole when it begins with ! */
        uint32_t at;        /* behind BARE */
        const char *why;
    } rows[] = {
        {"!trunkline:" ROOT, 0, "does not begin with"},
        {"!magnet:?xt=urn", 0, "does not begin with"},
        {"!", 0, "does not begin with"},
        {"!trunkline:" ROOT ":0", 0, "does not begin with"},
        {"x", 0, "does not begin with"},
        {"?name", 1, "key=value"},
        {"?=x", 1, "key=value"},
        {"?name=a&", 8, "key=value"},
        {"?name=a&&size=65536", 8, "key=value"},
        {"?name=a%", 7, "two hexadecimal digits"},
        {"?name=a%4", 7, "two hexadecimal digits"},
        {"?name=a%4&x=y", 7, "two hexadecimal digits"},
        {"?x=%zz", 3, "two hexadecimal digits"},
        {"?name=a b", 7, "%20"},
        {"?name=a\nb", 7, "%20"},
        {"?name=", 6, "a name is"},
        {"?name=%0a", 6, "a name is"},
        {"?name=a%00b", 6, "a name is"},
        {"?name=%ff", 6, "a name is"},
        {"?name=a&name=b", 13, "a second name"},
        {"?size=65535", 6, "not the size"},
        {"?size=065536", 6, "not the size"},
        {"?size=65536%00", 6, "not the size"},
        {"?network=00", 9, "64 hexadecimal"},
        {"?network=" ROOT "&network=" ROOT, 82, "64 hexadecimal"},
        {"?source=whale@1.2.3.4:5", 8, "a source is ID"},
        {"?source=" NODE "@example.org:5", 8, "a source is ID"},
        {"?source=" NODE "@127.0.0.1", 8, "a source is ID"},
        {"?source=JUPBR2X-F3ZHATP-C7KTUC6-OX7WZTK-2FI2474-7KIYHSX-HRBRJLU-ZTRHBQ5", 8, "check"},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        char text[1000];
        bool is_whole = rows[i].behind[0] == '!';
        snprintf(text, sizeof text, "%s%s", is_whole ? "" : BARE, rows[i].behind + is_whole);
        struct filelink link;
        struct filelink_error error = {0};
        assert_int_equal(filelink_parse(&link, text, &error), ERR_FORMAT);
        uint32_t at = rows[i].at + (rows[i].at > 0 ? (uint32_t)strlen(BARE) : 0);
        if (error.at != at || strstr(error.why, rows[i].why) == NULL) {
            fail_msg("%s: wanted %u %s, got %u %s", text, at, rows[i].why, error.at, error.why);
        }
    }
}

static void too_much_is_refused(void **state) {
    (void)state;
    struct filelink link;
    struct filelink_error error = {0};
    char text[2 * FILELINK_BYTES_MAX] = BARE "?x=";
    size_t len = strlen(text);
    memset(text + len, 'x', 600);
    assert_int_equal(filelink_parse(&link, text, &error), ERR_FORMAT);
    assert_non_null(strstr(error.why, "too long"));
    memset(text + len, 'x', FILELINK_BYTES_MAX);
    assert_int_equal(filelink_parse(&link, text, &error), ERR_FORMAT);
    assert_non_null(strstr(error.why, "4096"));
    strcpy(text, BARE "?x=y");
    for (int i = 0; i <= SOURCES_TOLD_MAX; i++) {
        assert_int_equal(filelink_parse(&link, text, &error), OK);
        strcat(text, "&source=" NODE);
    }
    assert_int_equal(filelink_parse(&link, text, &error), ERR_FORMAT);
    assert_non_null(strstr(error.why, "more than 8"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_is_good),
        cmocka_unit_test(what_is_bad_is_explained),
        cmocka_unit_test(too_much_is_refused),
    };
    return cmocka_run_group_tests_name("filelink", tests, NULL, NULL);
}
