/* test_names.c - no name from the wire leaves its folder, hides, or is another thing than a file.
 */
#include "tests/unit/testlib.h"

#include <ctype.h>
#include <strings.h>

#include "common/names.h"
#include "common/words.h"

static void test_table(void **state) {
    (void)state;
    static const struct {
        const char *name;
        const char *safe;
    } rows[] = {
        {"Blue Whale - song (live).ogg", "Blue Whale - song (live).ogg"},
        {"한국어 ß 🐋.txt", "한국어 ß 🐋.txt"},
        {"", "unnamed"},
        {".", "unnamed"},
        {"..", "unnamed"},
        {" . .. ", "unnamed"},
        {"../../etc/passwd", "___.._etc_passwd"},
        {"/etc/passwd", "_etc_passwd"},
        {"..\\..\\x", "___.._x"},
        {"C:\\autoexec.bat", "C__autoexec.bat"},
        {".bashrc", "_bashrc"},
        {"-rf", "_rf"},
        {"--help", "__help"},
        {"  lead", "__lead"},
        {". .-x", "____x"},
        {"trail. . ", "trail"},
        {"a<b>c:d\"e|f?g*h", "a_b_c_d_e_f_g_h"},
        {"line\nbreak\ttab\x1b[31m\x7f", "line_break_tab_[31m_"},
        {"c1 \xc2\x9b", "c1 _"},
        {"exe.\xe2\x80\xaegpj", "exe._gpj"}, /* right-to-left override */
        {"\xe2\x81\xa6iso\xe2\x81\xa9", "_iso_"},
        {"sep\xe2\x80\xa8", "sep_"},
        {"bad \xff\xc3 utf8", "bad __ utf8"},
        {"con", "_con"},
        {"CON.txt", "_CON.txt"},
        {"Con .tar.gz", "_Con .tar.gz"},
        {"NUL", "_NUL"},
        {"com1.log", "_com1.log"},
        {"LPT\xc2\xb2", "_LPT\xc2\xb2"},
        {"CONOUT$", "_CONOUT$"},
        {"CON:", "CON_"},
        {"console.txt", "console.txt"},
        {"COM", "COM"},
        {"COM10", "COM10"},
        {"aux.", "_aux"},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        char safe[NAMES_DISK_MAX + 1];
        names_sanitise(test_slice(rows[i].name), safe);
        assert_string_equal(safe, rows[i].safe);
    }
    char safe[NAMES_DISK_MAX + 1];
    names_sanitise((struct slice){(const uint8_t *)"a\0b", 3}, safe);
    assert_string_equal(safe, "a_b");
}

static void test_cut_keeps_extension(void **state) {
    (void)state;
    char name[400];
    char safe[NAMES_DISK_MAX + 1];
    memset(name, 'x', 300);
    strcpy(name + 300, ".flac");
    names_sanitise(test_slice(name), safe);
    assert_int_equal(strlen(safe), NAMES_DISK_MAX);
    assert_string_equal(safe + NAMES_DISK_MAX - 6, "x.flac");

    for (size_t i = 0; i < 100; i++) { /* three bytes each: 240 - 5 is no multiple */
        memcpy(name + 3 * i, "한", 3);
    }
    strcpy(name + 300, ".flac");
    names_sanitise(test_slice(name), safe);
    assert_int_equal(strlen(safe), 3 * 78 + 5);
    assert_true(words_text_ok(test_slice(safe)));

    memset(name, 'x', 300); /* too long for an extension */
    name[100] = '.';
    name[300] = '\0';
    names_sanitise(test_slice(name), safe);
    assert_int_equal(strlen(safe), NAMES_DISK_MAX);

    memset(name, ' ', 300); /* what the cut leaves must not be a device */
    memcpy(name, "CON", 3);
    strcpy(name + 300, "x");
    names_sanitise(test_slice(name), safe);
    assert_string_equal(safe, "_CON");
}

/* What every result must be, whatever went in. */
static void expect_safe(const char *safe) {
    size_t len = strlen(safe);
    assert_in_range(len, 1, NAMES_DISK_MAX);
    assert_null(strpbrk(safe, "/\\<>:\"|?*"));
    assert_null(strchr(".- ", safe[0]));
    assert_null(strchr(". ", safe[len - 1]));
    assert_true(words_text_ok(test_slice(safe))); /* UTF-8 without control characters */
    assert_null(strstr(safe, "\xe2\x80\xae"));
    static const char *const devices[] = {"con", "prn", "aux", "nul", "com1", "lpt9"};
    for (size_t i = 0; i < LENGTH(devices); i++) {
        size_t device_len = strlen(devices[i]);
        bool is_device = strncasecmp(safe, devices[i], device_len) == 0 &&
                         (safe[device_len] == '\0' || safe[device_len] == '.');
        assert_false(is_device);
    }
}

/* Random bytes, and random sequences of evil parts; sanitising twice changes nothing. */
static void test_invariants(void **state) {
    (void)state;
    static const char *const parts[] = {".",   "..",           "/",        "\\",
                                        "con", "NUL",          "com1",     " ",
                                        "-",   "\n",           "\xff",     "한",
                                        "🐋",   "\xe2\x80\xae", ".mp3",     ":",
                                        "a",   "\xc2\x9f",     "\xe2\x80", "long name here"};
    struct rng rng;
    rng_seed(&rng, 11);
    for (int round = 0; round < 100000; round++) {
        uint8_t name[600];
        size_t len = rng_below(&rng, 280);
        rng_fill(&rng, name, len);
        if (round % 2 == 0) {
            size_t wanted = len;
            for (len = 0; len < wanted;) {
                const char *part = parts[rng_below(&rng, LENGTH(parts))];
                memcpy(name + len, part, strlen(part));
                len += strlen(part);
            }
        }
        char safe[NAMES_DISK_MAX + 1];
        char again[NAMES_DISK_MAX + 1];
        names_sanitise((struct slice){name, len}, safe);
        expect_safe(safe);
        names_sanitise(test_slice(safe), again);
        assert_string_equal(again, safe);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_cut_keeps_extension),
        cmocka_unit_test(test_invariants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
