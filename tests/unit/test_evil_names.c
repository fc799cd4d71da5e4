/* test_evil_names.c - every name of the corpus becomes a harmless one, and names a file in its
 * folder.
 */
#include <fcntl.h>

#include "common/names.h"
#include "tests/names_check.h"
#include "tests/unit/hostlib.h"

#define NAMES_LEAST 500

/* Undo \\xNN in place; return the length. */
static size_t decode(char *text) {
    size_t len = 0;
    for (const char *at = text; *at != '\0';) {
        unsigned byte = (uint8_t)*at;
        int taken = 1;
        if (at[0] == '\\') {
            assert_int_equal(sscanf(at, "\\x%2x%n", &byte, &taken), 1);
            assert_int_equal(taken, 4);
        }
        text[len++] = (char)byte;
        at += taken;
    }
    text[len] = '\0';
    return len;
}

/* A file of that name is in the folder, and nowhere else. */
static void save_as(const char *folder, const char *name) {
    char path[400];
    int at = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = openat(at, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    char *real = realpath(path, NULL);
    char *root = realpath(folder, NULL);
    assert_non_null(real);
    assert_memory_equal(real, root, strlen(root));
    assert_string_equal(real + strlen(root) + 1, name);
    assert_int_equal(unlinkat(at, name, 0), 0);
    assert_int_equal(rmdir(folder), 0); /* it was the only one */
    assert_int_equal(mkdir(folder, 0700), 0);
    free(real);
    free(root);
    close(fd);
    close(at);
}

static void check_line(char *line, const char *folder) {
    char *wanted = strchr(line, '\t');
    if (wanted != NULL) {
        *wanted++ = '\0';
        (void)decode(wanted);
    }
    char shown[100];
    snprintf(shown, sizeof shown, "%.99s", line);
    size_t len = decode(line);
    char safe[NAMES_DISK_MAX + 1];
    char again[NAMES_DISK_MAX + 1];
    names_sanitise((struct slice){(const uint8_t *)line, len}, safe);
    if (names_complaint(safe) != NULL) {
        fail_msg("%s becomes %s: %s", shown, safe, names_complaint(safe));
    }
    names_sanitise(test_slice(safe), again);
    assert_string_equal(again, safe);
    if (wanted != NULL) {
        assert_string_equal(safe, wanted);
    }
    save_as(folder, safe);
}

static void test_corpus(void **state) {
    (void)state;
    char folder[64];
    char *line = NULL;
    size_t room = 0;
    uint32_t count = 0;
    folder_make_temporary(folder);
    FILE *file = fopen(TESTS_DIR "/vectors/evil_names.txt", "re");
    assert_non_null(file);
    while (getline(&line, &room, file) > 0) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] != '#') {
            check_line(line, folder);
            count++;
        }
    }
    fclose(file);
    free(line);
    folder_remove(folder);
    print_message("%u names\n", count);
    assert_true(count >= NAMES_LEAST);
}

/* The check itself is not blind. */
static void test_the_check_sees_evil(void **state) {
    (void)state;
    static const char *const evil[] = {"",
                                       "a/b",
                                       ".x",
                                       "-x",
                                       "~x",
                                       "x ",
                                       "x.",
                                       "a\nb",
                                       "a\x7f",
                                       "x\xff",
                                       "\xc0\xaf",
                                       "\xed\xa0\x80",
                                       "x\xe2\x80\xaey",
                                       "x\xef\xbb\xbfy",
                                       "x\xe3\x80\x80y",
                                       "con",
                                       "Nul.txt",
                                       "AUX .x",
                                       "com1",
                                       "LPT\xc2\xb3.x"};
    for (size_t i = 0; i < LENGTH(evil); i++) {
        assert_non_null(names_complaint(evil[i]));
    }
    assert_null(names_complaint("COM10"));
    assert_null(names_complaint("한국어 ß 🐋.txt"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_corpus),
        cmocka_unit_test(test_the_check_sees_evil),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
