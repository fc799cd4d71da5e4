/* test_tidy.c - the tree keeps its rules, and every rule catches what it is there to catch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "tests/tidy/tidy.h"

#define PLANTED TESTS_DIR "/tidy/planted"
#define ALLOW_LIST TESTS_DIR "/tidy/symbols.txt"
#define FILES_AT_LEAST 50 /* a walk that finds fewer has not walked */

static void expect_none(struct faults *faults) {
    if (faults->count > 0) {
        buf_u8(&faults->text, 0);
        print_error("%s", (const char *)faults->text.data);
        fail_msg("%zu faults", faults->count);
    }
}

static void test_the_tree_keeps_its_rules(void **state) {
    (void)state;
    struct faults faults = {0};
    size_t files = tree_check(ROOT_DIR, BUILD_DIR_BELOW_ROOT, &faults);
    assert_true(files >= FILES_AT_LEAST);
    expect_none(&faults);
    buf_free(&faults.text);
}

/* Keep `path:line: rule` of every line. */
static char *without_details(const char *text) {
    struct buf out = {0};
    for (const char *p = text; *p != '\0'; p += strcspn(p, "\n") + 1) {
        size_t len = 0;
        for (int colons = 0; p[len] != '\n' && colons < 3; len++) {
            colons += p[len + 1] == ':';
        }
        buf_append(&out, p, len);
        buf_u8(&out, '\n');
    }
    buf_u8(&out, 0);
    return (char *)out.data;
}

static void test_every_rule_catches_its_planted_fault(void **state) {
    (void)state;
    struct faults faults = {0};
    tree_check(PLANTED, NULL, &faults);
    buf_u8(&faults.text, 0);
    char *found = without_details((const char *)faults.text.data);
    char *expected = read_text(TESTS_DIR "/tidy/planted.expected");
    assert_non_null(expected);
    assert_string_equal(found, expected);
    mem_free(expected);
    mem_free(found);
    buf_free(&faults.text);
}

static void test_code_is_told_from_comments(void **state) {
    (void)state;
    char *code = scan_code("a /* { */ = \"}\\\"{\"; // }\n#define X {\nb = '{';\n");
    assert_string_equal(code, "a         =       ;     \n           \nb =    ;\n");
    mem_free(code);
}

#ifdef TIDY_LIBRARIES
static void test_pure_libraries_ask_for_nothing_else(void **state) {
    (void)state;
    static const char *const libraries[] = {TIDY_LIBRARIES};
    struct faults faults = {0};
    symbols_check(ALLOW_LIST, libraries, sizeof libraries / sizeof *libraries, &faults);
    expect_none(&faults);
    buf_free(&faults.text);
}
#endif

static void test_a_planted_symbol_is_caught(void **state) {
    (void)state;
    static const char *const libraries[] = {PLANTED_LIBRARY};
    struct faults faults = {0};
    symbols_check(ALLOW_LIST, libraries, 1, &faults);
    buf_u8(&faults.text, 0);
    const char *text = (const char *)faults.text.data;
    assert_non_null(strstr(text, "symbol: getenv\n"));
    assert_non_null(strstr(text, "symbol: time\n"));
    assert_null(strstr(text, "symbol: strlen\n"));
    buf_free(&faults.text);
    static const char *const nowhere[] = {"/nonexistent.a"};
    faults = (struct faults){0};
    symbols_check(ALLOW_LIST, nowhere, 1, &faults);
    assert_int_equal(faults.count, 1);
    buf_free(&faults.text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_tree_keeps_its_rules),
        cmocka_unit_test(test_every_rule_catches_its_planted_fault),
        cmocka_unit_test(test_code_is_told_from_comments),
#ifdef TIDY_LIBRARIES
        cmocka_unit_test(test_pure_libraries_ask_for_nothing_else),
#endif
        cmocka_unit_test(test_a_planted_symbol_is_caught),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
