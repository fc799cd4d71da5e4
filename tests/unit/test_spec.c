/* test_spec.c - the file of a test network: what it may say, and what is said of what it may not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/cluster/spec.h"

static char path[64];

static enum err read_text(struct spec *spec, const char *text, char trouble[SPEC_TROUBLE_BYTES]) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    trouble[0] = '\0';
    return spec_read(spec, path, trouble);
}

static int make_file(void **state) {
    (void)state;
    snprintf(path, sizeof path, "/tmp/trunkline-spec-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    return 0;
}

static int remove_file(void **state) {
    (void)state;
    return unlink(path);
}

static void test_everything_is_read(void **state) {
    (void)state;
    struct spec spec;
    char trouble[SPEC_TROUBLE_BYTES];
    assert_int_equal(read_text(&spec,
                               "[network]\nname = lab-1\nsupernodes = 4\npeers = 30\n"
                               "duration = 2m\nsettle = 30s\nsample = 250ms\nseed = 9\n"
                               "upload-rate = 2M\n"
                               "[library]\nfiles = 7\ncopies = 3\nsizes = 1K..1M\n"
                               "[load]\nsearches = 2.5/s\ndownloads = 1/s\nfrom = 4-11\n"
                               "[link]\nlatency = 20ms\nrate = 1M\n"
                               "[schedule]\n"
                               "30s = link peers 10% black-hole=yes\n"
                               "10s = kill supernode 1-2 ; a remark\n"
                               "10s = freeze peers 50%\n"
                               "[checks]\nrecall at 60s = 0.99\ngap p99 = 10s\nmemory = 64M\n"
                               "again p99 = 10s\nagain warm p99 = 2s\nkills fetching = 300\n",
                               trouble),
                     OK);
    assert_string_equal(spec.name, "lab-1");
    assert_int_equal(spec.supernodes, 4);
    assert_int_equal(spec.peers, 30);
    assert_int_equal(spec.duration_ms, 120000);
    assert_int_equal(spec.sample_ms, 250);
    assert_int_equal(spec.upload_rate, 2 << 20);
    assert_int_equal(spec.size_max, 1 << 20);
    assert_int_equal(spec.search_milli, 2500);
    assert_int_equal(spec.load_first, 4);
    assert_int_equal(spec.load_last, 11);
    assert_int_equal(spec.link.latency_ms, 20);
    assert_true(spec.has_faults);
    /* By time, and within one moment in the order of the file. */
    assert_int_equal(spec.event_count, 3);
    assert_int_equal(spec.events[0].verb, SPEC_KILL);
    assert_int_equal(spec.events[0].targets.first, 1);
    assert_int_equal(spec.events[0].targets.last, 2);
    assert_true(spec.events[0].targets.supernodes && !spec.events[0].targets.peers);
    assert_int_equal(spec.events[1].verb, SPEC_FREEZE);
    assert_int_equal(spec.events[1].targets.percent, 50);
    assert_int_equal(spec.events[2].verb, SPEC_LINK);
    assert_true(spec.events[2].link.black_hole);
    assert_int_equal(spec.check_count, 6);
    assert_true(spec.checks[0].is_timed);
    assert_int_equal(spec.checks[0].at_ms, 60000);
    assert_true(spec.checks[0].bound > 0.989 && spec.checks[0].bound < 0.991);
    assert_int_equal((int)spec.checks[1].bound, 10000);
    assert_int_equal((int)spec.checks[2].bound, 64 << 20);
    assert_int_equal(spec.checks[3].measure, SPEC_AGAIN_P99);
    assert_int_equal((int)spec.checks[4].bound, 2000);
    assert_true(spec_measures[spec.checks[5].measure].is_least);
    spec_free(&spec);
}

static void test_elections_are_read(void **state) {
    (void)state;
    struct spec spec;
    char trouble[SPEC_TROUBLE_BYTES];
    assert_int_equal(read_text(&spec,
                               "[network]\nsupernodes = 1\npeers = 9\n"
                               "[election]\npolicy = self-declared\nepoch = 5s\ndwell = 1m\n"
                               "measure = 128K\nminimum = 2\nconsenting = 8\n"
                               "lines = 5K..20K\n"
                               "[liars]\nidentities = 200\nrate = 40K\njoin = 5s\nfrom = 10s\n"
                               "[schedule]\n5s = kill elected 50%\n6s = kill fetchers 30%\n"
                               "[checks]\nsupernodes at 20s = 3\nsupernodes most = 6\n"
                               "role flaps = 0\nliar ratio = 2.5\nliar seats = 0.9\n",
                               trouble),
                     OK);
    assert_string_equal(spec.election.policy, "self-declared");
    assert_int_equal(spec.election.epoch_ms, 5000);
    assert_int_equal(spec.election.dwell_ms, 60000);
    assert_int_equal(spec.election.measure, 128 << 10);
    assert_int_equal(spec.election.minimum, 2);
    assert_int_equal(spec.election.consenting, 8);
    assert_int_equal(spec.election.line_min, 5 << 10);
    assert_int_equal(spec.election.line_max, 20 << 10);
    assert_int_equal(spec.liars.identities, 200);
    assert_int_equal(spec.liars.rate, 40 << 10);
    assert_int_equal(spec.liars.join_ms, 5000);
    assert_int_equal(spec.liars.from_ms, 10000);
    assert_int_equal(spec.checks[3].measure, SPEC_LIAR_RATIO);
    assert_true(spec.checks[3].bound > 2.49 && spec.checks[3].bound < 2.51);
    assert_int_equal(spec.checks[4].measure, SPEC_LIAR_SEATS);
    assert_true(spec.events[0].targets.elected && spec.events[0].targets.peers);
    assert_true(spec.events[1].targets.fetchers && spec.events[1].targets.peers);
    assert_int_equal(spec.events[1].targets.percent, 30);
    assert_int_equal(spec.checks[0].measure, SPEC_SUPERNODES);
    assert_true(spec.checks[0].is_timed);
    assert_int_equal(spec.checks[1].measure, SPEC_SUPERNODES_MOST);
    assert_int_equal(spec.checks[2].measure, SPEC_ROLE_FLAPS);
    spec_free(&spec);
}

/* Which faults a description wants decides what its links go through. */
static void test_the_links_are_as_their_faults_need(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool has_faults;
        bool has_delays;
        bool has_loss;
    } rows[] = {
        {"[network]\nnetns = yes\n[schedule]\n1s = kill all\n", false, false, false},
        {"[link]\nloss = 0.5%\n", true, false, true},
        {"[link]\nlatency = 0ms\n", true, true, false},
        {"[link]\nrate = 1M\nblack-hole = no\n", true, false, false},
        {"[schedule]\n1s = split peers 1-2\n", true, false, false},
        {"[schedule]\n1s = link all loss=20% rate=1M\n", true, false, true},
        {"[schedule]\n1s = link all reset=5s\n", true, true, false},
    };
    char trouble[SPEC_TROUBLE_BYTES];
    static struct spec spec;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(read_text(&spec, rows[i].text, trouble), OK);
        assert_int_equal(spec.has_faults, rows[i].has_faults);
        assert_int_equal(spec.has_delays, rows[i].has_delays);
        assert_int_equal(spec.has_loss, rows[i].has_loss);
        assert_int_equal(spec.is_netns, i == 0);
        spec_free(&spec);
    }
    assert_int_equal(read_text(&spec, "[link]\nloss = 0.5%\n", trouble), OK);
    assert_int_equal(spec.link.loss, SPEC_LOSS_ALL / 200);
    spec_free(&spec);
}

/* Each is refused, with its line and a remedy that has this in it. */
static const struct bad {
    const char *text;
    const char *said;
} bads[] = {
    {"[network]\nname = a/b\n", ":2: `name`: write 1 to 32 letters"},
    {"[network]\nname = .hidden\n", ":2: `name`"},
    {"[network]\nname =\n", ":2: `name`"},
    {"[network]\nsupernodes = 0\n", ":2: `supernodes`: write a number from 1"},
    {"[network]\nsupernodes = 255\n", ":2: `supernodes`"},
    {"[network]\nsupernodes = three\n", ":2: `supernodes`"},
    {"[network]\npeers = -1\n", ":2: `peers`"},
    {"[election]\npolicy = bribes\n", ":2: `policy`: write reputation"},
    {"[election]\nepoch = 3s\n", ":2: `epoch`"},
    {"[election]\nmeasure = 1K\n", ":2: `measure`"},
    {"[network]\nsupernodes = 200\npeers = 55\n", "at most 254"},
    {"[network]\nduration = 60\n", ":2: `duration`: write a time such as"},
    {"[network]\nduration = 8d\n", ":2: `duration`"},
    {"[network]\nduration = 999999h\n", ":2: `duration`"},
    {"[network]\nsample = 1ms\n", ":2: `sample`"},
    {"[network]\nseed = x\n", ":2: `seed`"},
    {"[network]\nupload-rate = fast\n", ":2: `upload-rate`"},
    {"[network]\nsuperpowers = 3\n", ":2: `superpowers`: there is no such key"},
    {"[netwrok]\nname = x\n", "there is no such key"},
    {"[library]\nfiles = 10001\n", ":2: `files`"},
    {"[library]\ncopies = 0\n", ":2: `copies`"},
    {"[network]\npeers = 2\n[library]\ncopies = 3\n", "more copies than there are peers"},
    {"[library]\nsizes = 1K\n", ":2: `sizes`: write a range"},
    {"[library]\nsizes = 2K..1K\n", ":2: `sizes`"},
    {"[library]\nsizes = 1..1K\n", ":2: `sizes`"},
    {"[library]\nsizes = 1K..2G\n", ":2: `sizes`"},
    {"[load]\nsearches = 5\n", ":2: `searches`: write a rate"},
    {"[load]\nsearches = 5000/s\n", ":2: `searches`"},
    {"[load]\ndownloads = x/s\n", ":2: `downloads`"},
    {"[network]\npeers = 1\n[library]\ncopies = 1\n[load]\nsearches = 1/s\n", "at least 2 peers"},
    {"[link]\nlatency = soon\n", ":2: `latency`"},
    {"[link]\nwarp = 9\n", ":2: `warp`: write latency"},
    {"[link]\nloss = 5\n", ":2: `loss`"},
    {"[link]\nloss = 101%\n", ":2: `loss`"},
    {"[link]\nloss = %\n", ":2: `loss`"},
    {"[schedule]\n1s = link all loss=-1%\n", "of a link"},
    {"[network]\nnetns = maybe\n", ":2: `netns`: write yes or no"},
    {"[network]\nleaves = 0\n", ":2: `leaves`"},
    {"[fleet]\npeers = 5001\n", ":2: `peers`: write a number from 0 to 5000"},
    {"[fleet]\nfiles = 1001\n", ":2: `files`"},
    {"[fleet]\nsearches = 10\n", ":2: `searches`: write a rate"},
    {"[liars]\nidentities = 1001\n", ":2: `identities`: write a number from 0 to 1000"},
    {"[liars]\nrate = 0\n", ":2: `rate`: write the bytes per second"},
    {"[liars]\njoin = soon\n", ":2: `join`"},
    {"[liars]\nfrom = 5\n", ":2: `from`"},
    {"[liars]\nidentities = 5\nrate = 1K\n", "liars need a `rate`, and a `policy`"},
    {"[election]\npolicy = random\n[liars]\nidentities = 5\n", "liars need a `rate`"},
    {"[network]\nnetns = yes\n[election]\npolicy = random\n[liars]\nidentities = 5\nrate = 1K\n",
     "no network namespaces"},
    {"[election]\nlines = 5K\n", ":2: `lines`: write a range"},
    {"[election]\nlines = 5K..4K\n", ":2: `lines`"},
    {"[checks]\nliar seats = 2\n", "write a share"},
    {"[checks]\nliar bandwidth = 2\n", "write a share"},
    {"[checks]\nliar ratio = most\n", "write a share"},
    {"[checks]\nliar ratio at 5s = 2\n", "only recall, registered and supernodes have a time"},
    {"[link]\nblack-hole = maybe\n", ":2: `black-hole`"},
    {"[schedule]\nlater = kill all\n", "write when, such as"},
    {"[schedule]\n1s..5s = kill all\n", "`10s..60s/5s` for every 5 s"},
    {"[schedule]\n5s..1s/1s = kill all\n", "write when"},
    {"[schedule]\n1s..2s/0s = kill all\n", "write when"},
    {"[network]\nduration = 1h\n[schedule]\n1s..1h/1s = kill all\n", "at most 1024 events"},
    {"[schedule]\n10s = explode supernode 1\n", "begin with kill"},
    {"[schedule]\n10s = kill\n", "then say which"},
    {"[schedule]\n10s = kill everybody\n", "then say which"},
    {"[schedule]\n10s = kill supernode\n", "a number, a range"},
    {"[schedule]\n10s = kill supernode 3\n", "counted from 0"},
    {"[schedule]\n10s = kill peer 2-1\n", "a number, a range"},
    {"[schedule]\n10s = kill peers 0%\n", "a number, a range"},
    {"[schedule]\n10s = kill peers 101%\n", "a number, a range"},
    {"[schedule]\n10s = kill peers 10% now\n", "nothing may follow"},
    {"[schedule]\n10s = link all warp=9\n", "of a link: latency="},
    {"[schedule]\n31s = kill all\n", "an event stands after the end"},
    {"[load]\nfrom = 4\n", "write a range"},
    {"[load]\nfrom = 9-4\n", "write a range"},
    {"[checks]\nhappiness = 1\n", "write recall, registered"},
    {"[checks]\nrecall = 99\n", "write a share such as 0.99"},
    {"[checks]\nrecall at noon = 0.9\n", "only recall, registered and supernodes have a time"},
    {"[checks]\nmemory at 5s = 1M\n", "only recall, registered and supernodes have a time"},
    {"[checks]\ngap p99 = 10\n", "write a share"},
    {"[checks]\nmemory = big\n", "write a share"},
    {"[checks]\nrecall at 31s = 1\n", "a check stands after the end"},
    {"this is not a file of ours\n", ":1: "},
};

static void test_what_is_wrong_is_said(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
        struct spec spec;
        char trouble[SPEC_TROUBLE_BYTES];
        enum err err = read_text(&spec, bads[i].text, trouble);
        if (err != ERR_CONFIG || strstr(trouble, bads[i].said) == NULL) {
            fail_msg("%s gives %s: %s", bads[i].text, err_name(err), trouble);
        }
        spec_free(&spec);
    }
}

static void test_an_event_can_be_repeated(void **state) {
    (void)state;
    struct spec spec;
    char trouble[SPEC_TROUBLE_BYTES];
    assert_int_equal(read_text(&spec,
                               "[schedule]\n5s..20s/5s = kill peers 10%\n"
                               "7s = start peers all\n",
                               trouble),
                     OK);
    static const uint64_t times[] = {5000, 7000, 10000, 15000, 20000};
    assert_int_equal(spec.event_count, 5);
    for (uint32_t i = 0; i < spec.event_count; i++) {
        assert_int_equal(spec.events[i].at_ms, times[i]);
        assert_int_equal(spec.events[i].verb, i == 1 ? SPEC_START : SPEC_KILL);
    }
    spec_free(&spec);
}

static void test_a_missing_file_is_said(void **state) {
    (void)state;
    struct spec spec;
    char trouble[SPEC_TROUBLE_BYTES];
    assert_int_equal(spec_read(&spec, "/nonexistent/net.ini", trouble), ERR_NOT_FOUND);
    assert_non_null(strstr(trouble, "/nonexistent/net.ini"));
    spec_free(&spec);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_is_read),
        cmocka_unit_test(test_elections_are_read),
        cmocka_unit_test(test_the_links_are_as_their_faults_need),
        cmocka_unit_test(test_what_is_wrong_is_said),
        cmocka_unit_test(test_an_event_can_be_repeated),
        cmocka_unit_test(test_a_missing_file_is_said),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
