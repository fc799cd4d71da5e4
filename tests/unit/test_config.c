/* test_config.c - the network file: what is read, what is refused and in which words. */
#include <fcntl.h>

#include "src/host/config.h"
#include "src/host/crypto.h"
#include "tests/unit/hostlib.h"

struct desk {
    char folder[64];
    char path[100];
    char ids[3][NODE_ID_TEXT_BYTES];
};

static void desk_init(struct desk *desk) {
    folder_make_temporary(desk->folder);
    snprintf(desk->path, sizeof desk->path, "%s/network", desk->folder);
    for (uint8_t i = 0; i < 3; i++) {
        uint8_t seed[32] = {i};
        struct identity *identity = identity_ephemeral(seed);
        node_id_format(desk->ids[i], identity_id(identity));
        identity_free(identity);
    }
}

/* Write the file, with @0 to @2 replaced by node ids, and load it. */
static enum err load(const struct desk *desk, const char *text, struct network_file *file,
                     struct host_error *error) {
    FILE *out = fopen(desk->path, "we");
    assert_non_null(out);
    for (; *text != '\0'; text++) {
        if (text[0] == '@' && text[1] >= '0' && text[1] <= '2') {
            fputs(desk->ids[text[1] - '0'], out);
            text++;
        } else {
            fputc(*text, out);
        }
    }
    fclose(out);
    return network_load(desk->path, file, error);
}

static void test_good_file(void **state) {
    (void)state;
    struct desk desk;
    struct network_file file;
    struct host_error error = {0};
    desk_init(&desk);
    enum err err = load(&desk,
                        "# a comment\n\n[network]\nname = campus-1\npolicy = certified ; so\n"
                        "profile=lan\nepoch = 7200\nanchor = @1\nanchor = @0\n"
                        "secret = 00112233445566778899aabbccddeeff\n"
                        "introducer = @0@localhost:6346\nintroducer = @2@[::1]:7000\n",
                        &file, &error);
    if (err != OK) {
        fail_msg("%s", error.text);
    }
    assert_string_equal(file.network.name, "campus-1");
    assert_int_equal(file.network.policy, NETWORK_CERTIFIED);
    assert_int_equal(file.network.profile, NETWORK_LAN);
    assert_int_equal(file.network.epoch_s, 7200);
    assert_int_equal(file.network.anchor_count, 2);
    assert_true(memcmp(&file.network.anchors[0], &file.network.anchors[1], 32) < 0);
    assert_int_equal(file.network.secret_len, 16);
    assert_int_equal(file.network.secret[15], 0xff);
    assert_int_equal(file.introducer_count, 2);
    assert_string_equal(file.introducers[0].host, "localhost");
    assert_string_equal(file.introducers[1].host, "::1");
    assert_int_equal(file.introducers[1].port, 7000);
    struct network_file plain;
    assert_int_equal(load(&desk, "[network]\nname = x\npolicy = open\n", &plain, &error), OK);
    assert_int_equal(plain.network.epoch_s, NETWORK_EPOCH_S_DEFAULT);
    assert_memory_not_equal(&plain.network.id, &file.network.id, sizeof plain.network.id);
    folder_remove(desk.folder);
}

/* What is wrong, the line it must be said of (0 = the file), and words of the answer. */
static const struct row {
    const char *text;
    int line;
    const char *words;
} rows[] = {
    {"name = x\n", 1, "below [network]"},
    {"[netwerk]\nname = x\n", 2, "unknown section `netwerk`"},
    {"[network]\nnaem = x\n", 2, "unknown key `naem`"},
    {"[network]\nname = x\nname = y\n", 3, "given twice: `name`"},
    {"[network]\nname = two words\n", 2, "without blanks"},
    {"[network]\nname =\n", 2, "bad value of `name`"},
    {"[network]\npolicy = maybe\n", 2, "`certified` or `open`"},
    {"[network]\nprofile = wan\n", 2, "`lan` or `internet`"},
    {"[network]\nepoch = 1h\n", 2, "seconds from 4"},
    {"[network]\nepoch = 3\n", 2, "seconds from 4"},
    {"[network]\nepoch = 99999999999999999999\n", 2, "seconds from 4"},
    {"[network]\nepoch = -3600\n", 2, "seconds from 4"},
    {"[network]\npromotion = bribes\n", 2, "reputation"},
    {"[network]\ndwell = -1\n", 2, "seconds from 0"},
    {"[network]\nkey_age = 25\n", 2, "epochs from 0 to 24"},
    {"[network]\nmeasure = 5M\n", 2, "64K to 4M"},
    {"[network]\nsupernodes_min = 0\n", 2, "from 1 to 1000"},
    {"[network]\nname = x\nanchor = ABCDEFG\n", 3, "bad value of `anchor`"},
    {"[network]\nsecret = 0011\n", 2, "32 to 128 hexadecimal digits"},
    {"[network]\nsecret = 0011223344556677889900112233445g\n", 2, "hexadecimal"},
    {"[network]\nintroducer = @0\n", 2, "ID@HOST:PORT"},
    {"[network]\nintroducer = @0@host:99999\n", 2, "ID@HOST:PORT"},
    {"[network]\nname x\n", 2, "`key = value`"},
    {"[network\nname = x\n", 1, "`key = value`"},
    {"[network]\nname = x\n  policy = open\n", 3, "begins with a blank"},
    {"", 0, "has no name"},
    {"[network]\npolicy = open\n", 0, "has no name"},
    {"[network]\nname = x\n", 0, "needs an anchor"},
    {"[network]\nname = x\nanchor = @0\nanchor = @0\n", 0, "stands twice"},
};

static void test_bad_lines(void **state) {
    (void)state;
    struct desk desk;
    desk_init(&desk);
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct network_file file;
        struct host_error error = {0};
        assert_int_equal(load(&desk, rows[i].text, &file, &error), ERR_CONFIG);
        char place[150];
        snprintf(place, sizeof place, rows[i].line > 0 ? "%s:%d: " : "%s: ", desk.path,
                 rows[i].line);
        if (strncmp(error.text, place, strlen(place)) != 0 ||
            strstr(error.text, rows[i].words) == NULL || strchr(error.text, ';') == NULL) {
            fail_msg("for %s: \"%s\"", rows[i].text, error.text);
        }
    }
    folder_remove(desk.folder);
}

static void test_no_file(void **state) {
    (void)state;
    struct network_file file;
    struct host_error error = {0};
    assert_int_equal(network_load("/nonexistent/network", &file, &error), ERR_NOT_FOUND);
    assert_non_null(strstr(error.text, "/nonexistent/network"));
    assert_int_equal(network_load("/", &file, &error), ERR_IO);
}

/* Random bytes and cut files never do more than fail. */
static void test_random_bytes(void **state) {
    (void)state;
    static const char good[] = "[network]\nname = campus\npolicy = open\nepoch = 3600\n"
                               "secret = 00112233445566778899aabbccddeeff\n";
    struct desk desk;
    struct rng rng;
    desk_init(&desk);
    rng_seed(&rng, 4);
    for (int i = 0; i < 2000; i++) {
        char text[sizeof good];
        memcpy(text, good, sizeof good);
        for (int j = 0; j < 3; j++) {
            uint64_t at = rng_below(&rng, sizeof good - 1);
            uint64_t byte = rng_below(&rng, 255);
            text[at] = (char)(byte + 1);
        }
        text[rng_below(&rng, sizeof good)] = '\0';
        struct network_file file;
        struct host_error error = {0};
        enum err err = load(&desk, text, &file, &error);
        assert_true(err == OK || (err == ERR_CONFIG && error.text[0] != '\0'));
    }
    folder_remove(desk.folder);
}

static void test_write(void **state) {
    (void)state;
    struct desk desk;
    struct network_file file;
    struct network_file read;
    struct host_error error = {0};
    struct stat stat_after;
    desk_init(&desk);
    assert_int_equal(load(&desk,
                          "[network]\nname = a\nanchor = @1\nanchor = @2\nprofile = lan\n"
                          "secret = 00112233445566778899aabbccddeeff00\n"
                          "introducer = @0@[::1]:7000\nintroducer = @1@example.org:80\n",
                          &file, &error),
                     OK);
    assert_int_equal(network_write(desk.path, &file, &error), ERR_EXISTS);
    assert_int_equal(unlink(desk.path), 0);
    assert_int_equal(network_write(desk.path, &file, &error), OK);
    assert_int_equal(stat(desk.path, &stat_after), 0);
    assert_int_equal(stat_after.st_mode & 0777, 0600);
    if (network_load(desk.path, &read, &error) != OK) {
        fail_msg("%s", error.text);
    }
    assert_memory_equal(&read.network.id, &file.network.id, sizeof read.network.id);
    assert_int_equal(read.network.secret_len, 17);
    assert_memory_equal(read.network.secret, file.network.secret, 17);
    assert_int_equal(read.introducer_count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(read.introducers[i].host, file.introducers[i].host);
        assert_int_equal(read.introducers[i].port, file.introducers[i].port);
        assert_true(node_id_equal(&read.introducers[i].id, &file.introducers[i].id));
    }
    assert_int_equal(network_write("/nonexistent/network", &file, &error), ERR_NOT_FOUND);
    folder_remove(desk.folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_file), cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_no_file),   cmocka_unit_test(test_random_bytes),
        cmocka_unit_test(test_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
