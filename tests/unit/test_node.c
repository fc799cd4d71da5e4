/* test_node.c - the outbox keeps order, joins writes and gives memory back; reports read back. */
#include "tests/unit/testlib.h"

#include "common/mem.h"
#include "common/node.h"

static void expect_bytes(const struct outbox *out, uint32_t index, const char *wanted) {
    struct slice bytes = outbox_bytes(out, &out->actions[index]);
    assert_int_equal(bytes.len, strlen(wanted));
    if (bytes.len > 0) {
        assert_memory_equal(bytes.data, wanted, bytes.len);
    }
}

static void test_command_arg(void **state) {
    (void)state;
    const struct command_arg args[] = {{"text", "blue whale"}, {"want", "7"}};
    struct node_event event = {.kind = NODE_COMMAND, .command = {.count = 2, .args = args}};
    assert_string_equal(command_arg(&event, "want"), "7");
    assert_string_equal(command_arg(&event, "text"), "blue whale");
    assert_null(command_arg(&event, "wan"));
}

static void test_writes_join(void **state) {
    (void)state;
    struct outbox out = {0};
    outbox_write(&out, 1, test_slice("ab"));
    outbox_write(&out, 1, test_slice("cd"));
    outbox_write(&out, 2, test_slice("ef"));
    outbox_write(&out, 1, test_slice("gh"));
    outbox_add(&out, ACTION_READ_STOP)->link = 1;
    outbox_write(&out, 1, test_slice("ij"));
    outbox_add_bytes(&out, ACTION_RESOLVE, test_slice("host"))->token32 = 9;
    outbox_write(&out, 1, test_slice(""));
    outbox_write(&out, 1, test_slice("kl"));
    static const struct {
        enum action_kind kind;
        uint32_t link;
        const char *bytes;
    } wanted[] = {{ACTION_WRITE, 1, "abcd"}, {ACTION_WRITE, 2, "ef"}, {ACTION_WRITE, 1, "gh"},
                  {ACTION_READ_STOP, 1, ""}, {ACTION_WRITE, 1, "ij"}, {ACTION_RESOLVE, 0, "host"},
                  {ACTION_WRITE, 1, "kl"}};
    assert_int_equal(out.count, LENGTH(wanted));
    for (uint32_t i = 0; i < LENGTH(wanted); i++) {
        assert_int_equal(out.actions[i].kind, wanted[i].kind);
        assert_int_equal(out.actions[i].link, wanted[i].link);
        expect_bytes(&out, i, wanted[i].bytes);
    }
    outbox_clear(&out);
    assert_int_equal(out.count, 0);
    outbox_write(&out, 1, test_slice("new"));
    expect_bytes(&out, 0, "new");
    outbox_free(&out);
}

/* An action that takes memory and is never carried out must not leak (the sanitizer looks). */
static void test_clear_frees_what_is_owned(void **state) {
    (void)state;
    struct outbox out = {0};
    outbox_add(&out, ACTION_FILE_WRITE)->owned = mem_new(1000);
    struct action *taken = outbox_add(&out, ACTION_FILE_WRITE);
    uint8_t *owned = mem_new(10);
    taken->owned = owned;
    taken->owned = NULL;
    outbox_clear(&out);
    mem_free(owned);
    outbox_free(&out);
}

static void test_clear_gives_memory_back(void **state) {
    (void)state;
    struct outbox out = {0};
    outbox_write(&out, 1, test_slice("small"));
    outbox_clear(&out);
    assert_non_null(out.bytes.data); /* small memory is kept for the next step */
    assert_non_null(out.actions);
    uint8_t block[1000] = {0};
    for (uint32_t i = 0; i < 10000; i++) {
        outbox_write(&out, i, (struct slice){block, sizeof block});
    }
    outbox_clear(&out);
    assert_true(out.bytes.cap <= 512 * 1024);
    assert_true(out.cap * sizeof *out.actions <= 512 * 1024);
    outbox_write(&out, 1, test_slice("again"));
    expect_bytes(&out, 0, "again");
    outbox_free(&out);
}

static void expect_field(struct slice *bytes, const char *key, const char *text, uint64_t number) {
    struct report_field field;
    assert_true(report_next(bytes, &field));
    assert_int_equal(field.key.len, strlen(key));
    assert_memory_equal(field.key.data, key, field.key.len);
    assert_int_equal(field.number, number);
    assert_int_equal(field.text.len, text != NULL ? strlen(text) : 0);
    assert_int_equal(field.type == REPORT_TEXT, text != NULL);
    if (field.text.len > 0) {
        assert_memory_equal(field.text.data, text, field.text.len);
    }
}

static void test_reports(void **state) {
    (void)state;
    struct outbox out = {0};
    outbox_write(&out, 5, test_slice("before"));
    report_begin(&out, 42, "hit");
    report_text(&out, "name", "wal ß.ogg");
    report_number(&out, "size", UINT64_MAX);
    report_flag(&out, "reachable", true);
    report_flag(&out, "queued", false);
    report_text(&out, "empty", "");
    report_begin(&out, 42, "end");
    report_done(&out, 42);
    report_error(&out, 43, ERR_NOT_FOUND, "no such download; see `peer downloads`");
    assert_int_equal(out.count, 5);

    struct slice bytes = outbox_bytes(&out, &out.actions[1]);
    assert_int_equal(out.actions[1].kind, ACTION_REPORT);
    assert_int_equal(out.actions[1].token, 42);
    assert_false(out.actions[1].last);
    expect_field(&bytes, "kind", "hit", 0);
    expect_field(&bytes, "name", "wal ß.ogg", 0);
    expect_field(&bytes, "size", NULL, UINT64_MAX);
    expect_field(&bytes, "reachable", NULL, 1);
    expect_field(&bytes, "queued", NULL, 0);
    expect_field(&bytes, "empty", "", 0);
    struct report_field field;
    assert_false(report_next(&bytes, &field));

    bytes = outbox_bytes(&out, &out.actions[3]);
    expect_field(&bytes, "kind", "done", 0);
    assert_false(report_next(&bytes, &field));
    assert_true(out.actions[3].last);
    assert_int_equal(out.actions[3].reason, OK);

    bytes = outbox_bytes(&out, &out.actions[4]);
    expect_field(&bytes, "kind", "error", 0);
    expect_field(&bytes, "error", "not-found", 0);
    expect_field(&bytes, "text", "no such download; see `peer downloads`", 0);
    assert_true(out.actions[4].last);
    assert_int_equal(out.actions[4].token, 43);
    assert_int_equal(out.actions[4].reason, ERR_NOT_FOUND);
    outbox_free(&out);
}

/* A text too long for its field is cut between characters. */
static void test_long_text_is_cut_at_a_character(void **state) {
    (void)state;
    char *text = mem_new(70001);
    for (size_t i = 0; i < 70000; i += 2) {
        memcpy(text + i, "ß", 2);
    }
    struct outbox out = {0};
    report_begin(&out, 1, "x");
    report_text(&out, "t", text);
    struct slice bytes = outbox_bytes(&out, &out.actions[0]);
    struct report_field field;
    assert_true(report_next(&bytes, &field));
    assert_true(report_next(&bytes, &field));
    assert_int_equal(field.text.len, 65534);
    assert_int_equal(bytes.len, 0);
    outbox_free(&out);
    mem_free(text);
}

/* Whatever the bytes are, report_next ends and never leaves them. */
static void test_report_next_on_noise(void **state) {
    (void)state;
    struct rng rng;
    rng_seed(&rng, 4);
    for (int round = 0; round < 20000; round++) {
        uint8_t noise[64];
        rng_fill(&rng, noise, sizeof noise);
        size_t len = rng_below(&rng, sizeof noise + 1);
        for (size_t i = 0; i < len; i += 4) {
            noise[i] = (uint8_t)(noise[i] % 5); /* many plausible types and lengths */
        }
        uint8_t *exact = mem_copy(noise, len);
        struct slice bytes = {exact, len};
        struct report_field field;
        size_t left = bytes.len;
        while (report_next(&bytes, &field)) {
            assert_true(bytes.len < left);
            left = bytes.len;
        }
        mem_free(exact);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command_arg),
        cmocka_unit_test(test_writes_join),
        cmocka_unit_test(test_clear_frees_what_is_owned),
        cmocka_unit_test(test_clear_gives_memory_back),
        cmocka_unit_test(test_reports),
        cmocka_unit_test(test_long_text_is_cut_at_a_character),
        cmocka_unit_test(test_report_next_on_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
