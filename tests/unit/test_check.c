/* test_check.c - a broken claim ends the process in every build; error codes have names and texts.
 */
#include "tests/unit/testlib.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/check.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/store.h"

/* Run in a child with its complaint on a pipe; return its wait status. */
static int run_child(void (*body)(void), char said[512]) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        alarm(10);
        body();
        _exit(0);
    }
    close(ends[1]);
    size_t len = 0;
    ssize_t got;
    while (len < 511 && (got = read(ends[0], said + len, 511 - len)) > 0) {
        len += (size_t)got;
    }
    said[len] = '\0';
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void broken_claim(void) {
    int apples = 3;
    CHECK(apples == 4);
}

static void kept_claim(void) {
    CHECK(1 + 1 == 2);
}

static void too_much_memory(void) {
    mem_free(mem_array(SIZE_MAX / 2, 3));
}

static void empty_store_key(void) {
    struct store *store = store_memory_new(NULL, NULL);
    store_put(store, STORE_META, (struct slice){0}, (struct slice){0});
}

static void test_check(void **state) {
    (void)state;
    char said[512];
    int status = run_child(broken_claim, said);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(said, "apples == 4"));
    assert_non_null(strstr(said, "test_check.c:"));
    status = run_child(kept_claim, said);
    assert_true(WIFEXITED(status));
    assert_string_equal(said, "");
}

static void test_claims_of_others(void **state) {
    (void)state;
    char said[512];
    int status = run_child(too_much_memory, said);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    status = run_child(empty_store_key, said);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void test_errors_have_words(void **state) {
    (void)state;
    for (int i = 0; i < ERR_COUNT; i++) {
        const char *name = err_name((enum err)i);
        const char *text = err_text((enum err)i);
        assert_non_null(name);
        assert_non_null(text);
        assert_true(islower((unsigned char)text[0]));
        assert_true(text[strlen(text) - 1] != '.');
        assert_null(strchr(name, ' '));
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(name, err_name((enum err)j));
            assert_string_not_equal(text, err_text((enum err)j));
        }
    }
}

static void keep_line(void *context, enum log_level level, const char *line) {
    (void)level;
    strcpy(context, line);
}

static void test_log(void **state) {
    (void)state;
    char last[500] = "";
    struct log log = {.level = LOG_LEVEL_INFO, .write = keep_line, .context = last};
    log_info(&log, "flood.relay ttl=%d", 1);
    assert_string_equal(last, "flood.relay ttl=1");
    log_debug(&log, "flood.detail");
    assert_string_equal(last, "flood.relay ttl=1");
    log_error(&log, "long %0600d", 1);
    assert_int_equal(strlen(last), 399);
    log_error(NULL, "nobody listens");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_claims_of_others),
        cmocka_unit_test(test_errors_have_words),
        cmocka_unit_test(test_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
