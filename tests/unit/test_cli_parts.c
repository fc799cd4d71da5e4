/* test_cli_parts.c - what the commands are made of: shares, certificates as text, safe printing,
 * the progress line, the usual places. */
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/mem.h"
#include "src/host/certfile.h"
#include "src/host/filter.h"
#include "src/host/places.h"
#include "src/host/progress.h"
#include "src/host/shares.h"
#include "src/host/terminal.h"
#include "src/host/textfile.h"

/* ---- A scratch folder with a home in it ---- */

struct world {
    char root[64];
    char home[96];
};

static int set_up(void **state) {
    struct world *world = mem_new(sizeof *world);
    char path[PATH_MAX];
    snprintf(world->root, sizeof world->root, "/tmp/test_cli_parts.XXXXXX");
    assert_non_null(mkdtemp(world->root));
    snprintf(world->home, sizeof world->home, "%s/home/me", world->root);
    static const char *const folders[] = {"home",
                                          "home/me",
                                          "home/me/Music",
                                          "home/me/.ssh",
                                          "home/me/.ssh/deep",
                                          "home/me/.state",
                                          "outside",
                                          "state_in",
                                          "state_in/state",
                                          "line\nend",
                                          "home/me/Mail",
                                          "home/me/maildir",
                                          "home/me/maildir/cur",
                                          "home/me/Outlook Files",
                                          "home/me/Thunderbird",
                                          "home/me/Keychains",
                                          "home/me/AppData",
                                          "home/me/Wallets",
                                          "home/me/passwords"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        snprintf(path, sizeof path, "%s/%s", world->root, folders[i]);
        assert_int_equal(mkdir(path, 0755), 0);
    }
    assert_int_equal(setenv("HOME", world->home, 1), 0);
    *state = world;
    return 0;
}

static int tear_down(void **state) {
    struct world *world = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", world->root);
    assert_int_equal(system(command), 0);
    mem_free(world);
    return 0;
}

/* ---- Shares ---- */

static void careless_folders_are_refused(void **state) {
    const struct world *world = *state;
    static const struct {
        const char *below; /* the scratch folder; an absolute path stands for itself */
        enum err err;
        const char *why;
    } cases[] = {
        {"home/me/Music", OK, ""},
        {"outside", OK, ""},
        {"home/me/../me/Music/.", OK, ""},
        {"home/me", ERR_POLICY, "home folder"},
        {"home", ERR_POLICY, "home folder"},
        {"", ERR_POLICY, "home folder"},
        {"home/me/Mail", ERR_POLICY, "mail, keys"},
        {"home/me/maildir/cur", ERR_POLICY, "mail, keys"},
        {"home/me/Outlook Files", ERR_POLICY, "mail, keys"},
        {"home/me/Thunderbird", ERR_POLICY, "mail, keys"},
        {"home/me/Keychains", ERR_POLICY, "mail, keys"},
        {"home/me/AppData", ERR_POLICY, "mail, keys"},
        {"home/me/Wallets", ERR_POLICY, "mail, keys"},
        {"home/me/passwords", ERR_POLICY, "mail, keys"},
        {"home/me/.ssh", ERR_POLICY, "hidden"},
        {"home/me/.ssh/deep", ERR_POLICY, "hidden"},
        {"state_in", ERR_POLICY, "private key"},
        {"state_in/state", ERR_POLICY, "private key"},
        {"link", ERR_POLICY, "hidden"}, /* to home/me/.ssh */
        {"missing", ERR_NOT_FOUND, "mkdir"},
        {"file", ERR_CONFIG, "only folders"},
        {"line\nend", ERR_CONFIG, "line end"},
        {"/", ERR_POLICY, "whole machine"},
        {"/etc", ERR_POLICY, "system's own"},
        {"/proc/self", ERR_POLICY, "system's own"},
        {"/var", ERR_POLICY, "system's own"},
        {"/usr/share", OK, ""},
    };
    char state_dir[PATH_MAX];
    char path[PATH_MAX];
    char target[PATH_MAX];
    snprintf(state_dir, sizeof state_dir, "%s/state_in/state", world->root);
    snprintf(path, sizeof path, "%s/link", world->root);
    snprintf(target, sizeof target, "%s/.ssh", world->home);
    assert_int_equal(symlink(target, path), 0);
    snprintf(path, sizeof path, "%s/file", world->root);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct host_error error = {0};
        char real[PATH_MAX];
        bool absolute = cases[i].below[0] == '/';
        snprintf(path, sizeof path, "%s/%s", world->root, cases[i].below);
        const struct share share = {absolute ? cases[i].below : path, NULL};
        enum err err = shares_check(&share, state_dir, real, &error);
        if (err != cases[i].err || strstr(error.text, cases[i].why) == NULL) {
            fail_msg("%s: %s: %s", cases[i].below, err_name(err), error.text);
        }
    }
}

/* Whoever says so may share his home, but never the machine, the system or the key. */
static void who_means_it_may_share_more(void **state) {
    const struct world *world = *state;
    static const struct {
        const char *below;
        enum err err;
    } cases[] = {{"home/me", OK},          {"home/me/.ssh", OK}, {"home/me/Mail", OK},
                 {"state_in", ERR_POLICY}, {"/", ERR_POLICY},    {"/etc", ERR_POLICY}};
    char state_dir[PATH_MAX], path[PATH_MAX], real[PATH_MAX];
    snprintf(state_dir, sizeof state_dir, "%s/state_in/state", world->root);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct host_error error = {0};
        snprintf(path, sizeof path, "%s/%s", world->root, cases[i].below);
        const struct share share = {cases[i].below[0] == '/' ? cases[i].below : path,
                                    "private yes\n"};
        assert_int_equal(shares_check(&share, state_dir, real, &error), cases[i].err);
    }
}

static void filters_judge_files(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *path;
        uint64_t size;
        enum filter_verdict verdict;
    } cases[] = {
        {NULL, "a/song.ogg", 1, FILTER_IN},
        {"only *.pdf\nonly *.txt\n", "a/b.PDF", 1, FILTER_IN},
        {"only *.pdf\nonly *.txt\n", "a/b.txt", 1, FILTER_IN},
        {"only *.pdf\n", "a/b.pdf.exe", 1, FILTER_OUT},
        {"exclude *.tmp\n", "a/b.tmp", 1, FILTER_OUT},
        {"exclude drafts/*\n", "drafts/b", 1, FILTER_OUT},
        {"exclude drafts/*\n", "my/drafts/b", 1, FILTER_IN},
        {"min 1K\nmax 2K\n", "b", 1023, FILTER_OUT},
        {"min 1K\nmax 2K\n", "b", 1024, FILTER_IN},
        {"min 1K\nmax 2K\n", "b", 2049, FILTER_OUT},
        {NULL, "backup/id_rsa", 1, FILTER_PRIVATE},
        {NULL, "backup/id_ed25519.pub", 1, FILTER_PRIVATE},
        {NULL, "server.PEM", 1, FILTER_PRIVATE},
        {NULL, "Archive.pst", 1, FILTER_PRIVATE},
        {NULL, "wallet.dat", 1, FILTER_PRIVATE},
        {NULL, "my passwords.txt", 1, FILTER_PRIVATE},
        {NULL, "profile/logins.json", 1, FILTER_PRIVATE},
        {"private yes\n", "backup/id_rsa", 1, FILTER_IN},
        {"private yes\nexclude id_*\n", "backup/id_rsa", 1, FILTER_OUT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct host_error error = {0};
        struct filter *filter = filter_new(cases[i].text, &error);
        assert_non_null(filter);
        if (filter_file(filter, cases[i].path, cases[i].size) != cases[i].verdict) {
            fail_msg("%s by %s", cases[i].path, cases[i].text);
        }
        filter_free(filter);
    }
    struct filter *filter = filter_new("exclude node_modules\n", NULL);
    assert_int_equal(filter_folder(filter, "web/node_modules"), FILTER_OUT);
    assert_int_equal(filter_folder(filter, "web/Mail"), FILTER_PRIVATE);
    assert_int_equal(filter_folder(filter, "web/src"), FILTER_IN);
    filter_free(filter);
}

static void filters_know_aliases(void **state) {
    (void)state;
    struct filter *filter = filter_new(
        "as My papers\nalias a=b/draft 7.pdf=whales.pdf\nalias x=y.txt\nexclude whales*\n", NULL);
    assert_non_null(filter);
    assert_string_equal(filter_label(filter), "My papers");
    assert_string_equal(filter_alias(filter, "a=b/draft 7.pdf"), "whales.pdf");
    assert_string_equal(filter_alias(filter, "x"), "y.txt");
    assert_null(filter_alias(filter, "a/x"));
    assert_int_equal(filter_file(filter, "a=b/draft 7.pdf", 1), FILTER_IN);
    filter_free(filter);
    filter = filter_new("only x\n", NULL);
    assert_null(filter_label(filter));
    assert_null(filter_alias(filter, "x"));
    filter_free(filter);
    struct buf many = {0};
    for (int i = 0; i <= FILTER_LINES_MAX; i++) {
        buf_append(&many, "alias a=b\n", 10);
    }
    buf_u8(&many, 0);
    struct host_error error = {0};
    assert_null(filter_new((const char *)many.data, &error));
    assert_int_equal(error.err, ERR_LIMIT);
    buf_free(&many);
}

static void bad_filters_say_why(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *why;
    } cases[] = {{"only\n", "its value is missing"},  {"min big\n", "is no size"},
                 {"smell bad\n", "is no rule"},       {"private no\n", "is no rule"},
                 {"for ann\n", "is no node id"},      {"locked yes\n", "--for"},
                 {"min 2K\nmax 1K\n", "no file is"},  {"as ../etc\n", "etc` can"},
                 {"as CON\n", "`_CON` can"},          {"alias b.txt\n", "is no alias"},
                 {"alias =b\n", "is no alias"},       {"alias /b=c\n", "is no alias"},
                 {"alias b.txt=\n", "`unnamed` can"}, {"alias b.txt=a/b.txt\n", "`a_b.txt` can"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct host_error error = {0};
        assert_null(filter_new(cases[i].text, &error));
        assert_non_null(strstr(error.text, cases[i].why));
    }
    struct buf many = {0};
    for (int i = 0; i <= FILTER_LINES_MAX; i++) {
        buf_append(&many, "only a\n", 7);
    }
    buf_u8(&many, 0);
    struct host_error error = {0};
    assert_null(filter_new((const char *)many.data, &error));
    assert_int_equal(error.err, ERR_LIMIT);
    buf_free(&many);
}

static void shares_are_remembered(void **state) {
    const struct world *world = *state;
    struct shares shares = {0};
    struct shares again = {0};
    struct host_error error = {0};
    char path[PATH_MAX];
    struct stat stat_of;
    assert_int_equal(shares_load(&shares, world->home, &error), OK); /* none yet */
    assert_int_equal(shares_add(&shares, &(struct share){"/b", NULL}, &error), OK);
    assert_int_equal(shares_add(&shares, &(struct share){"/a b", NULL}, &error), OK);
    assert_int_equal(shares_add(&shares, &(struct share){"/c", NULL}, &error), OK);
    assert_int_equal(shares_add(&shares, &(struct share){"/b", NULL}, &error), ERR_EXISTS);
    const struct share filtered = {"/c", "only *.pdf\nmin 10K\n"};
    assert_int_equal(shares_add(&shares, &filtered, &error), OK); /* by other rules */
    assert_int_equal(shares_add(&shares, &filtered, &error), ERR_EXISTS);
    assert_int_equal(shares_remove(&shares, "/b", &error), OK);
    assert_int_equal(shares_remove(&shares, "/b", &error), ERR_NOT_FOUND);
    assert_int_equal(shares_save(&shares, world->home, &error), OK);
    assert_int_equal(shares_load(&again, world->home, &error), OK);
    assert_int_equal(again.count, 2);
    assert_string_equal(again.paths[0], "/a b");
    assert_string_equal(again.paths[1], "/c");
    assert_string_equal(again.filters[0], "");
    assert_string_equal(again.filters[1], "only *.pdf\nmin 10K\n");
    snprintf(path, sizeof path, "%s/" SHARES_NAME, world->home);
    assert_int_equal(stat(path, &stat_of), 0);
    assert_int_equal(stat_of.st_mode & 0777, 0600);
    shares_free(&shares);
    shares_free(&again);
}

static void a_damaged_list_names_its_line(void **state) {
    const struct world *world = *state;
    struct shares shares = {0};
    struct host_error error = {0};
    char path[PATH_MAX];
    static const char text[] = "/a\nrelative\n";
    snprintf(path, sizeof path, "%s/" SHARES_NAME, world->home);
    assert_int_equal(textfile_replace(path, 0600,
                                      (struct slice){(const uint8_t *)text, sizeof text - 1},
                                      &error),
                     OK);
    assert_int_equal(shares_load(&shares, world->home, &error), ERR_CONFIG);
    assert_non_null(strstr(error.text, "/" SHARES_NAME ":2: "));
    shares_free(&shares);
}

static void the_list_has_an_end(void **state) {
    struct shares shares = {0};
    struct host_error error = {0};
    char path[32];
    (void)state;
    for (int i = 0; i < SHARES_MAX; i++) {
        snprintf(path, sizeof path, "/%d", i);
        assert_int_equal(shares_add(&shares, &(struct share){path, NULL}, &error), OK);
    }
    assert_int_equal(shares_add(&shares, &(struct share){"/one-more", NULL}, &error), ERR_LIMIT);
    shares_free(&shares);
}

/* ---- Certificates ---- */

static struct buf sample_cert(void) {
    struct buf bytes = {0};
    struct cert cert = {.epoch = 77, .life = 3, .signer_count = 1};
    memset(cert.subject.b, 0xab, sizeof cert.subject.b);
    memset(cert.signers[0].signature, 0xcd, sizeof cert.signers[0].signature);
    wire_cert_encode(&bytes, &cert);
    return bytes;
}

static enum err parse_text(struct slice text, struct buf *cert) {
    struct host_error error = {0};
    enum err err = certfile_parse(text, cert, &error);
    assert_true(err == OK || error.text[0] != '\0');
    assert_true(err == OK || cert->len == 0);
    return err;
}

static void certificates_survive_a_mail(void **state) {
    struct buf cert = sample_cert();
    struct buf text = {0};
    struct buf back = {0};
    static const char before[] = "Dear Ada,\r\nhere it is:\r\n";
    static const char after[] = "Yours, the anchor\n";
    (void)state;
    buf_append(&text, before, sizeof before - 1);
    certfile_format(&text, (struct slice){cert.data, cert.len});
    buf_append(&text, after, sizeof after - 1);
    assert_int_equal(parse_text((struct slice){text.data, text.len}, &back), OK);
    assert_int_equal(back.len, cert.len);
    assert_memory_equal(back.data, cert.data, cert.len);
    buf_free(&cert);
    buf_free(&text);
    buf_free(&back);
}

/* Every single character that is replaced, and every cut, is noticed. */
static void damaged_certificates_are_noticed(void **state) {
    struct buf cert = sample_cert();
    struct buf text = {0};
    struct buf back = {0};
    (void)state;
    certfile_format(&text, (struct slice){cert.data, cert.len});
    for (size_t i = 0; i < text.len; i++) {
        uint8_t kept = text.data[i];
        if (kept == '\n' || kept == ' ') {
            continue; /* white space does not count */
        }
        text.data[i] = kept == '7' ? '8' : '7';
        enum err err = parse_text((struct slice){text.data, text.len}, &back);
        assert_true(err == ERR_FORMAT || err == ERR_MISMATCH);
        text.data[i] = kept;
    }
    for (size_t len = 0; len + 1 < text.len; len++) {
        assert_int_equal(parse_text((struct slice){text.data, len}, &back), ERR_FORMAT);
    }
    buf_free(&cert);
    buf_free(&text);
    buf_free(&back);
}

static void long_certificates_are_refused(void **state) {
    struct buf text = {0};
    struct buf back = {0};
    uint8_t bytes[CERT_BYTES_MAX + 1] = {0};
    (void)state;
    certfile_format(&text, (struct slice){bytes, sizeof bytes});
    assert_int_equal(parse_text((struct slice){text.data, text.len}, &back), ERR_FORMAT);
    buf_free(&text);
    certfile_format(&text, (struct slice){bytes, 40}); /* whole, but no certificate */
    assert_int_equal(parse_text((struct slice){text.data, text.len}, &back), ERR_FORMAT);
    buf_free(&text);
    buf_free(&back);
}

/* ---- Printing ---- */

static void strangers_cannot_paint(void **state) {
    static const struct {
        const char *text;
        uint32_t columns;
        const char *clean;
    } cases[] = {
        {"plain", 0, "plain"},
        {"blåhval 鯨", 0, "blåhval 鯨"},
        {"a\033[2Jb", 0, "a?[2Jb"},
        {"a\nb\tc\rd\x7f", 0, "a?b?c?d?"},
        {"gpj.\xe2\x80\xae exe", 0, "gpj.? exe"}, /* U+202E turns the direction */
        {"a\xc2\x9b"
         "31mb",
         0, "a?31mb"}, /* C1 */
        {"a\xff\xfe", 0, "a??"},
        {"\xe2\x80\xa8", 0, "?"}, /* line separator */
        {"abcdefghij", 10, "abcdefghij"},
        {"abcdefghijk", 10, "abcdefg..."},
        {"鯨鯨鯨鯨鯨鯨", 10, "鯨鯨鯨..."}, /* two columns each */
        {"abc", 2, "..."},
        {"", 5, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char clean[128];
        terminal_clean(clean, sizeof clean, cases[i].text, cases[i].columns);
        assert_string_equal(clean, cases[i].clean);
    }
    char small[8];
    terminal_clean(small, sizeof small, "鯨鯨鯨鯨", 0); /* never half a character, never too long */
    assert_string_equal(small, "鯨...");
}

static void the_progress_line_fits(void **state) {
    struct progress_state half = {
        .done = 134217728, .size = 268435456, .rate = 33554432, .sources = 4, .eta_s = 4};
    char line[PROGRESS_LINE_BYTES];
    (void)state;
    progress_format(line, &half, 81);
    assert_string_equal(
        line, "[########--------]  50%  128.0 MiB of 256.0 MiB  32.0 MiB/s  4 sources  ETA 0:04");
    progress_format(line, &half, 40); /* no room for a bar */
    assert_string_equal(line, " 50%  128.0 MiB of 256.0 MiB  32.0 MiB/s  4 sources  ETA 0:04");
    for (uint32_t columns = 70; columns < 200; columns++) {
        progress_format(line, &half, columns);
        assert_true(strlen(line) < columns);
    }
    struct progress_state odd[] = {{.done = 5, .size = 0, .eta_s = UINT64_MAX},
                                   {.done = 7, .size = 5, .sources = 1, .eta_s = 0},
                                   {.done = 0, .size = 5, .eta_s = UINT64_MAX}};
    static const char *const starts[] = {"] 100%", "] 100%", "]   0%"};
    for (size_t i = 0; i < 3; i++) {
        progress_format(line, &odd[i], 100);
        assert_non_null(strstr(line, starts[i]));
    }
    assert_non_null(strstr(line, "ETA --:--"));
    half.note = "looking for sources";
    progress_format(line, &half, 40);
    assert_string_equal(line, " 50%  128.0 MiB of 256.0 MiB  looking for sources");
}

static void files_get_a_line_every_two_seconds(void **state) {
    struct progress progress;
    struct progress_state at = {.size = 100};
    char text[4096] = "";
    FILE *file = tmpfile();
    uint32_t lines = 0;
    (void)state;
    assert_non_null(file);
    progress_start(&progress, file);
    for (uint64_t tenth = 0; tenth <= 70; tenth++) { /* 7 s */
        at.done = tenth;
        progress_show(&progress, &at, 1000000 + tenth * 100000);
    }
    for (uint64_t tenth = 0; tenth <= 1200; tenth++) { /* two minutes in which nothing moves */
        progress_show(&progress, &at, 9000000 + tenth * 100000);
    }
    progress_clear(&progress);
    rewind(file);
    while (fgets(text, sizeof text, file) != NULL) {
        assert_null(strchr(text, '\033'));
        lines++;
    }
    assert_int_equal(lines, 4 + 1 + 2); /* at 0, 2, 4 and 6 s; the last state; once a minute */
    fclose(file);
}

/* ---- Places ---- */

static void places_follow_xdg(void **state) {
    const struct world *world = *state;
    char path[PATH_MAX];
    char wanted[PATH_MAX];
    struct host_error error = {0};
    unsetenv("XDG_STATE_HOME");
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("XDG_DOWNLOAD_DIR");
    assert_int_equal(places_state("peer", path, &error), OK);
    snprintf(wanted, sizeof wanted, "%s/.local/state/trunkline/peer", world->home);
    assert_string_equal(path, wanted);
    assert_int_equal(places_config("supernode", path, &error), OK);
    snprintf(wanted, sizeof wanted, "%s/.config/trunkline/supernode.ini", world->home);
    assert_string_equal(path, wanted);
    assert_int_equal(places_downloads(path, &error), OK);
    snprintf(wanted, sizeof wanted, "%s/Downloads/trunkline", world->home);
    assert_string_equal(path, wanted);
    setenv("XDG_STATE_HOME", "/elsewhere", 1);
    assert_int_equal(places_state("peer", path, &error), OK);
    assert_string_equal(path, "/elsewhere/trunkline/peer");
    setenv("XDG_STATE_HOME", "relative", 1); /* must be ignored */
    assert_int_equal(places_state("peer", path, &error), OK);
    assert_memory_equal(path, world->home, strlen(world->home));
    unsetenv("XDG_STATE_HOME");
}

/* ---- Whole files ---- */

static void files_are_replaced_whole(void **state) {
    const struct world *world = *state;
    struct host_error error = {0};
    struct buf back = {0};
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/outside/file", world->root);
    for (int i = 0; i < 2; i++) {
        const char *text = i == 0 ? "the first, longer text" : "second";
        assert_int_equal(textfile_replace(path, 0640,
                                          (struct slice){(const uint8_t *)text, strlen(text)},
                                          &error),
                         OK);
        back.len = 0;
        assert_int_equal(textfile_load(path, 100, &back, &error), OK);
        assert_int_equal(back.len, strlen(text));
        assert_memory_equal(back.data, text, back.len);
    }
    assert_int_equal(textfile_load(path, 5, &back, &error), ERR_LIMIT);
    snprintf(path, sizeof path, "%s/nowhere/file", world->root);
    assert_int_equal(textfile_load(path, 5, &back, &error), ERR_NOT_FOUND);
    assert_int_equal(textfile_replace(path, 0640, (struct slice){back.data, 1}, &error),
                     ERR_NOT_FOUND);
    snprintf(path, sizeof path, "%s/x/y/z", world->root);
    assert_int_equal(folder_make(path, &error), OK);
    assert_int_equal(folder_make(path, &error), OK);
    assert_int_equal(access(path, R_OK | W_OK | X_OK), 0);
    buf_free(&back);
}

/* A disk that is full (here: a limit on the size of files) leaves the old file as it was. */
static void a_full_disk_loses_nothing(void **state) {
    const struct world *world = *state;
    struct host_error error = {0};
    struct rlimit before;
    struct buf back = {0};
    char path[PATH_MAX];
    uint8_t *bytes = mem_new(65536);
    snprintf(path, sizeof path, "%s/outside/file", world->root);
    assert_int_equal(textfile_replace(path, 0600, (struct slice){bytes, 3}, &error), OK);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit small = {.rlim_cur = 4096, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum err err = textfile_replace(path, 0600, (struct slice){bytes, 65536}, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(err, ERR_NO_SPACE);
    assert_int_equal(textfile_load(path, 65536, &back, &error), OK);
    assert_int_equal(back.len, 3);
    snprintf(path, sizeof path, "%s/outside", world->root);
    assert_int_equal(rmdir(path), -1);
    snprintf(path, sizeof path, "%s/outside/file", world->root);
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof path, "%s/outside", world->root);
    assert_int_equal(rmdir(path), 0); /* no half-written file was left in it */
    assert_int_equal(mkdir(path, 0700), 0);
    buf_free(&back);
    mem_free(bytes);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(careless_folders_are_refused),
        TEST(who_means_it_may_share_more),
        TEST(filters_judge_files),
        TEST(filters_know_aliases),
        TEST(bad_filters_say_why),
        TEST(shares_are_remembered),
        TEST(a_damaged_list_names_its_line),
        cmocka_unit_test(the_list_has_an_end),
        cmocka_unit_test(certificates_survive_a_mail),
        cmocka_unit_test(damaged_certificates_are_noticed),
        cmocka_unit_test(long_certificates_are_refused),
        cmocka_unit_test(strangers_cannot_paint),
        cmocka_unit_test(the_progress_line_fits),
        cmocka_unit_test(files_get_a_line_every_two_seconds),
        TEST(places_follow_xdg),
        TEST(files_are_replaced_whole),
        TEST(a_full_disk_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
