/* test_options.c - options, sizes, configuration files: what is taken, what is refused and how. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/units.h"
#include "src/host/nodeconfig.h"
#include "src/host/settings.h"

#define RUN                                                                                        \
    (SETTING(LISTEN) | SETTING(SHARE) | SETTING(UPLOAD_RATE) | SETTING(UPLOAD_SLOTS) |             \
     SETTING(LEAF_QUERY_RATE) | SETTING(VERBOSE) | SETTING(POLICY) | SETTING(JSON) |               \
     SETTING(DIR) | SETTING(HELP))

struct parsed {
    struct settings settings;
    struct options options;
    struct host_error error;
    enum err err;
};

#define ARGS_MAX 80

/* Parse a NULL-ended list of arguments. */
static void parse(struct parsed *parsed, ...) {
    char *argv[ARGS_MAX];
    int argc = 0;
    va_list list;
    va_start(list, parsed);
    for (char *text = va_arg(list, char *); text != NULL; text = va_arg(list, char *)) {
        argv[argc++] = text;
    }
    va_end(list);
    *parsed = (struct parsed){0};
    parsed->options = (struct options){
        .rows = settings_rows, .row_count = SETTINGS, .accepted = RUN, .values = &parsed->settings};
    parsed->err = options_parse(&parsed->options, argc, argv, &parsed->error);
}

static void assert_refused(struct parsed *parsed, const char *part) {
    assert_int_equal(parsed->err, ERR_CONFIG);
    if (strstr(parsed->error.text, part) == NULL) {
        fail_msg("wanted `%s` in `%s`", part, parsed->error.text);
    }
}

/* ---- The command line ---- */

static void every_type_is_read(void **state) {
    struct parsed p;
    (void)state;
    parse(&p, "one", "--listen", "127.0.0.1:80", "--upload-rate=1.5M", "--leaf-query-rate", "0.25",
          "-v", "--share", "/a", "two", "-s", "/b", "--policy", "open", "--", "--three", "-d",
          NULL);
    assert_int_equal(p.err, OK);
    assert_int_equal(p.settings.listen.port, 80);
    assert_int_equal(p.settings.upload_rate, 1572864);
    assert_int_equal(p.settings.leaf_query_rate, 250);
    assert_true(p.settings.verbose);
    assert_int_equal(p.settings.policy, 1);
    assert_int_equal(p.settings.shares.count, 2);
    assert_string_equal(p.settings.shares.values[1], "/b");
    assert_int_equal(p.options.words.count, 4);
    assert_string_equal(p.options.words.values[1], "two");
    assert_string_equal(p.options.words.values[2], "--three");
    assert_string_equal(p.options.words.values[3], "-d");
    assert_null(p.settings.dir);
    assert_false(p.settings.json);
}

/* A command whose words may begin with a dash: letters that it knows stay options. */
static void dashes_may_begin_words(void **state) {
    (void)state;
    char *argv[] = {"-remix", "-v", "-x", "-\"a b\"", "--want=3", "--", "-v"};
    struct settings settings = {0};
    struct host_error error = {0};
    struct options options = {.rows = settings_rows,
                              .row_count = SETTINGS,
                              .accepted = SETTING(VERBOSE) | SETTING(WANT),
                              .values = &settings,
                              .dash_words = true};
    assert_int_equal(options_parse(&options, (int)(sizeof argv / sizeof *argv), argv, &error), OK);
    assert_true(settings.verbose);
    assert_int_equal(settings.want, 3);
    static const char *const words[] = {"-remix", "-x", "-\"a b\"", "-v"};
    assert_int_equal(options.words.count, sizeof words / sizeof *words);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        assert_string_equal(options.words.values[i], words[i]);
    }
}

static void refusals_name_the_remedy(void **state) {
    static const struct {
        const char *args[3];
        const char *part;
    } cases[] = {
        {{"--lisen"}, "did you mean `--listen`?"},
        {{"--upload-rat=5M"}, "did you mean `--upload-rate`?"},
        {{"--zzzzzzzzz"}, "`--help` lists them"},
        {{"--wat"}, "unknown option `--wat`"}, /* --want is no option of this command */
        {{"--want", "3"}, "does not belong to this command"},
        {{"-x"}, "unknown option `-x`"},
        {{"-vx"}, "unknown option `-vx`"},
        {{"--listen"}, "needs a value: --listen ADDR:PORT"},
        {{"--listen", "here"}, "expected an address and a port"},
        {{"--listen", "localhost:80"}, "no host names"},
        {{"--listen", "1.2.3.4"}, "expected an address and a port"},
        {{"--listen", "1.2.3.4:65536"}, "expected an address and a port"},
        {{"--json=yes"}, "takes no value"},
        {{"--upload-rate", "fast"}, "8M"},
        {{"--upload-rate", "1"}, "1024 to "},
        {{"--upload-slots", "0"}, "1 to 1000"},
        {{"--upload-slots", "1001"}, "1 to 1000"},
        {{"--upload-slots", "-1"}, "a number"},
        {{"--upload-slots", "99999999999999999999"}, "a number"},
        {{"--leaf-query-rate", "0"}, "0 to 1000"},
        {{"--leaf-query-rate", "0.0001"}, "0.5"},
        {{"--policy", "closed"}, "certified|open"},
        {{"--policy", "open|"}, "certified|open"},
        {{"--policy", ""}, "certified|open"},
        {{"--dir", ""}, "expected something"},
        {{"--share", ""}, "expected something"},
        {{"--dir=a", "--dir=b"}, "given twice"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct parsed p;
        parse(&p, cases[i].args[0], cases[i].args[1], cases[i].args[2], NULL);
        assert_refused(&p, cases[i].part);
    }
}

static void lists_have_an_end(void **state) {
    struct parsed p = {0};
    char *argv[OPTION_VALUES_MAX + 1];
    (void)state;
    for (int i = 0; i <= OPTION_VALUES_MAX; i++) {
        argv[i] = "--share=/x";
    }
    p.options = (struct options){
        .rows = settings_rows, .row_count = SETTINGS, .accepted = RUN, .values = &p.settings};
    p.err = options_parse(&p.options, OPTION_VALUES_MAX + 1, argv, &p.error);
    assert_refused(&p, "more than 64 times");
    for (int i = 0; i <= OPTION_VALUES_MAX; i++) {
        argv[i] = "word";
    }
    p.err = options_parse(&p.options, OPTION_VALUES_MAX + 1, argv, &p.error);
    assert_refused(&p, "more than 64 words");
}

static void the_table_is_sound(void **state) {
    (void)state;
    assert_true(SETTINGS <= OPTION_ROWS_MAX);
    for (uint32_t i = 0; i < SETTINGS; i++) {
        const struct option_row *row = &settings_rows[i];
        assert_non_null(row->name);
        assert_non_null(row->help);
        assert_true((row->type == OPTION_FLAG) == (row->argument == NULL));
        for (uint32_t j = 0; j < i; j++) {
            assert_string_not_equal(row->name, settings_rows[j].name);
            assert_true(row->letter == 0 || row->letter != settings_rows[j].letter);
            assert_true(row->offset != settings_rows[j].offset);
        }
    }
}

static void the_nearest_name_is_near(void **state) {
    static const char *const names[] = {"search", "get", NULL, "share", "status", "stop"};
    (void)state;
    assert_string_equal(options_nearest("serach", names, 6), "search");
    assert_string_equal(options_nearest("stat", names, 6), "status");
    assert_string_equal(options_nearest("gte", names, 6), "get");
    assert_string_equal(options_nearest("shar", names, 6), "share");
    assert_null(options_nearest("xyzzy", names, 6));
    assert_null(options_nearest("", names, 6));
    assert_null(options_nearest("sssssssssssssssssssssssssssssssssssssssssssssssss", names, 6));
}

static void choices_have_names(void **state) {
    char word[32];
    (void)state;
    options_choice_name(&settings_rows[SETTING_POLICY], 0, word);
    assert_string_equal(word, "certified");
    options_choice_name(&settings_rows[SETTING_POLICY], 1, word);
    assert_string_equal(word, "open");
    options_choice_name(&settings_rows[SETTING_POLICY], 2, word);
    assert_string_equal(word, "");
}

/* ---- Sizes and times ---- */

static void sizes_are_read(void **state) {
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0},
                {"100", 100},
                {"7B", 7},
                {"1k", 1024},
                {"8M", 8388608},
                {"8MB", 8388608},
                {"8MiB", 8388608},
                {"512 KiB", 524288},
                {"1.5G", 1610612736},
                {"0.125K", 128},
                {"2T", 2199023255552ULL},
                {"9223372036854775806", 9223372036854775806ULL}};
    static const char *const bad[] = {"",
                                      "M",
                                      "-1",
                                      "1.M",
                                      ".5M",
                                      "1.5",
                                      "1.2345K",
                                      "1e6",
                                      "8 M B",
                                      "0x10",
                                      "8MM",
                                      "1 ",
                                      " 1",
                                      "9223372036854775808",
                                      "9999999999T",
                                      "1,5M"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        uint64_t bytes = 1;
        assert_int_equal(units_parse_bytes(good[i].text, &bytes), OK);
        assert_int_equal(bytes, good[i].bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t bytes = 1;
        if (units_parse_bytes(bad[i], &bytes) != ERR_CONFIG) {
            fail_msg("`%s` was taken as %llu", bad[i], (unsigned long long)bytes);
        }
    }
}

static void sizes_and_times_are_written(void **state) {
    static const struct {
        uint64_t number;
        const char *size;
        const char *time;
    } rows[] = {{0, "0 B", "0:00"},
                {7, "7 B", "0:07"},
                {1023, "1023 B", "17:03"},
                {1024, "1.0 KiB", "17:04"},
                {1535, "1.4 KiB", "25:35"},
                {11109, "10.8 KiB", "3:05:09"},
                {1048575, "1023.9 KiB", "12d 03h"},
                {268435456, "256.0 MiB", "3106d 21h"},
                {UINT64_MAX, "15.9 EiB", "--:--"}};
    char text[UNITS_TEXT_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        units_bytes(text, rows[i].number);
        assert_string_equal(text, rows[i].size);
        units_duration(text, rows[i].number);
        assert_string_equal(text, rows[i].time);
    }
}

/* ---- Files ---- */

/* Write the text to a file and read it into options that were given `--upload-slots 3`. */
static void load(struct parsed *parsed, char path[32], const char *text) {
    snprintf(path, 32, "/tmp/test_options.XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    parse(parsed, "--upload-slots", "3", NULL);
    assert_int_equal(parsed->err, OK);
    parsed->err = nodeconfig_load(path, "peer", &parsed->options, &parsed->error);
    unlink(path);
}

static void files_are_read(void **state) {
    struct parsed p;
    char path[32];
    (void)state;
    load(&p, path,
         "; a comment\n# another\n\n[peer]\nlisten = 10.0.0.1:6347 ; here\nshare = /with a blank\n"
         "share=/b\nupload-slots = 5\nverbose = yes\nlog=/tmp/x\n");
    assert_int_equal(p.err, OK);
    assert_int_equal(p.settings.listen.port, 6347);
    assert_int_equal(p.settings.shares.count, 2);
    assert_string_equal(p.settings.shares.values[0], "/with a blank");
    assert_int_equal(p.settings.upload_slots, 3); /* the command line wins */
    assert_true(p.settings.verbose);
    assert_string_equal(p.settings.log, "/tmp/x"); /* whatever this command accepts */
    options_free(&p.options);
}

static void bad_lines_are_named(void **state) {
    static const struct {
        const char *text;
        int line;
        const char *part;
    } cases[] = {
        {"[peer]\nlisten = nowhere\n", 2, "expected an address"},
        {"[peer]\n\nlissten = 1.2.3.4:5\n", 3, "did you mean `listen`?"},
        {"[peer]\njson = yes\n", 2, "unknown key `json`"},
        {"[peer]\nwhat\n", 2, "not a line of the form"},
        {"[peer\n", 1, "not a line of the form"},
        {"listen = 1.2.3.4:5\n", 1, "go below [peer]"},
        {"[supernode]\nlisten = 1.2.3.4:5\n", 2, "unknown section `supernode`"},
        {"[peer]\nverbose = 1\n", 2, "yes or no"},
        {"[peer]\nlog = /a\nquiet = no\nlog = /b\n", 4, "stands here twice"},
        {"[peer]\nshare =\n", 2, "expected something"},
        {"[peer]\nwhat\nlisten = nowhere\n", 2, "not a line of the form"},
        {"[peer]\nlisten = nowhere\nwhat\n", 2, "expected an address"},
        {"[peer]\nupload-slots = many\nlog = /a\nlog = /b\n", 4, "stands here twice"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct parsed p;
        char path[32];
        char place[64];
        load(&p, path, cases[i].text);
        snprintf(place, sizeof place, "%s:%d: ", path, cases[i].line);
        assert_refused(&p, place);
        assert_refused(&p, cases[i].part);
        options_free(&p.options);
    }
}

static void endless_lines_are_refused(void **state) {
    struct parsed p;
    char path[32];
    char text[2000] = "[peer]\nlog = ";
    (void)state;
    memset(text + strlen(text), 'x', sizeof text - strlen(text) - 1);
    load(&p, path, text);
    assert_refused(&p, ":2: the line is too long");
    options_free(&p.options);
}

static void missing_files_are_told_apart(void **state) {
    struct parsed p;
    (void)state;
    parse(&p, NULL);
    assert_int_equal(nodeconfig_load("/nonexistent.ini", "peer", &p.options, &p.error),
                     ERR_NOT_FOUND);
    assert_non_null(strstr(p.error.text, "/nonexistent.ini"));
    assert_int_not_equal(nodeconfig_load("/", "peer", &p.options, &p.error), OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_read),           cmocka_unit_test(dashes_may_begin_words),
        cmocka_unit_test(refusals_name_the_remedy),     cmocka_unit_test(lists_have_an_end),
        cmocka_unit_test(the_table_is_sound),           cmocka_unit_test(the_nearest_name_is_near),
        cmocka_unit_test(choices_have_names),           cmocka_unit_test(sizes_are_read),
        cmocka_unit_test(sizes_and_times_are_written),  cmocka_unit_test(files_are_read),
        cmocka_unit_test(bad_lines_are_named),          cmocka_unit_test(endless_lines_are_refused),
        cmocka_unit_test(missing_files_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
