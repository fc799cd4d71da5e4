/* test_cli.c - the two programs as people use them: what they print, refuse and return. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/mem.h"
#include "common/wire.h"
#include "src/cluster/process.h"
#include "src/host/certfile.h"
#include "src/host/config.h"
#include "src/host/crypto.h"

#define COMMAND_MS 30000
#define START_MS 20000
#define END_MS 15000
#define FOUND_MS 30000

/* One owner for all processes of this test; everything happens below its folder, which is also the
 * home folder of the programs. */
struct world {
    struct owner *owner;
    const char *root;
    char net[16];   /* the beginning of its addresses: another process has others */
    struct buf out; /* of the last command, both streams */
    int status;
};

/* ---- Running commands ---- */

#define PRELUDE                                                                                    \
    "export HOME='%s/home' NET=%s P=" BIN_DIR "/peer S=" BIN_DIR "/supernode; "                    \
    "unset XDG_STATE_HOME XDG_CONFIG_HOME XDG_DOWNLOAD_DIR; "

/* Run a line in a shell in the scratch folder, where $P and $S are the programs. */
static void run(struct world *world, const char *format, ...) {
    char line[4096];
    va_list list;
    int len = snprintf(line, sizeof line, PRELUDE, world->root, world->net);
    va_start(list, format);
    vsnprintf(line + len, sizeof line - (size_t)len, format, list);
    va_end(list);
    const char *const argv[] = {"/bin/sh", "-c", line, NULL};
    struct process_options options = {.argv = argv, .cwd = world->root};
    world->out.len = 0;
    enum err err = process_capture(world->owner, &options, COMMAND_MS, &world->out, &world->status);
    if (err != OK) {
        fail_msg("%s: %s", line, err_text(err));
    }
}

static const char *output(const struct world *world) {
    return (const char *)world->out.data;
}

static void assert_result(const struct world *world, int status, const char *part) {
    if (world->status != status || strstr(output(world), part) == NULL) {
        fail_msg("wanted %d and `%s`, got %d and `%s`", status, part, world->status, output(world));
    }
}

/* Start a program that stays; its first line is kept in world->out. */
static struct process *start(struct world *world, const char *program, const char *options) {
    char line[2048];
    struct process *process = NULL;
    snprintf(line, sizeof line, PRELUDE "exec " BIN_DIR "/%s run %s", world->root, world->net,
             program, options);
    const char *const argv[] = {"/bin/sh", "-c", line, NULL};
    struct process_options how = {.argv = argv, .cwd = world->root, .pipe = true};
    assert_int_equal(process_start(world->owner, &how, &process), OK);
    if (process_line(process, &world->out, START_MS) != OK) {
        fail_msg("%s did not start", line);
    }
    return process;
}

static int set_up(void **state) {
    struct world *world = mem_new(sizeof *world);
    world->owner = owner_new("test_cli");
    assert_non_null(world->owner);
    world->root = owner_folder(world->owner);
    snprintf(world->net, sizeof world->net, "127.%d.%d", 160 + (int)getpid() / 256 % 64,
             (int)getpid() % 256);
    run(world, "mkdir home home/shared home/extra down");
    assert_int_equal(world->status, 0);
    *state = world;
    return 0;
}

static int tear_down(void **state) {
    struct world *world = *state;
    owner_free(world->owner);
    buf_free(&world->out);
    mem_free(world);
    return 0;
}

/* ---- Usage ---- */

static const struct {
    const char *line;
    int status;
    const char *part;
} usages[] = {
    {"$P", 2, "Commands:"},
    {"$P --help", 0, "Commands:"},
    {"$P help get", 0, "NUMBER|LINK"},
    {"$P get --help", 0, "--no-wait"},
    {"$S certify -h", 0, "--days N"},
    {"$P --version", 0, "peer (trunkline) "},
    {"$S -V", 0, "supernode (trunkline) "},
    {"$P serach x", 2, "did you mean `search`?"},
    {"$P help nothing", 2, "unknown command `nothing`"},
    {"$P run --limit up=fast", 2, "at `up=fast`: expected bytes per second"},
    {"$S run --limit 'mo 08:00-18:00 up=1M'", 2, "at `mo`: expected [mon-fri]"},
    {"$P limit up=1M", 1, "peer run"},
    {"$P search", 2, "needs WORDS..."},
    {"$P get", 2, "needs NUMBER|LINK"},
    {"$P get 1 2 --name x", 2, "--name is for one file"},
    {"$P get 5-3", 2, "neither a number"},
    {"$P downloads pause", 2, "expected `downloads`"},
    {"$P downloads juggle 3", 2, "expected `downloads`"},
    {"$P get whale", 2, "neither a number"},
    {"$P get trunkline:abc", 2, "the link cannot be read at character 1: it does not begin with"},
    {"$P downloads cancel 'trunkline:abc?x'", 2, "the link cannot be read at character 1"},
    {"$P browse", 2, "needs NODE[/FOLDER]"},
    {"$P get --folder 1/x --name y", 2, "not for a folder"},
    {"$P browse 1", 1, "no peer is running in "},
    {"$P search --wnat 5 x", 2, "did you mean `--want`?"},
    {"$P search x --want 1001", 2, "1 to 1000"},
    {"$P stop --share x", 2, "does not belong to this command"},
    {"$P share rename x", 2, "expected `share list`"},
    {"$P search $(head -c 300 /dev/zero | tr '\\0' x)", 2, "longer than 256 bytes"},
    {"$P run --config missing.ini", 1, "missing.ini"},
    {"printf '[peer]\\n\\nshare\\n' >bad.ini; $P status --config bad.ini", 2, "bad.ini:3: "},
    {"printf '[peer]\\nshare = x\\n\\tquiet = yes\\n' >bad.ini; $P status --config bad.ini", 2,
     "bad.ini:3: the line begins with a blank; remove it"},
    {"printf '[peer]\\n#\\nintroducer = x@y:1\\n' >bad.ini; $P status --config bad.ini", 2,
     "bad.ini:3: introducer `x@y:1`: the node id"},
    {"$P --json status", 2, "write `peer COMMAND [OPTIONS]`"},
    {"$P run -i x@y:1", 2, "introducer `x@y:1`: the node id"},
    {"$P run", 1, "--network FILE"},
    {"$P status", 1, "start one with `peer run`"},
    {"$P search whale colour:blue", 2,
     "no such field; known are type, ext, size, year, bitrate, duration, width, height, title, "
     "artist, album and language; put text with a colon in quotes\n"
     "      whale colour:blue\n"
     "            ^\n"},
    {"$P search '鯨 size:10X'", 2, "      鯨 size:10X\n                ^\n"},
    {"$P search '\"whale' song", 2, "this quote has no end\n      \"whale song\n      ^\n"},
    {"$P search type:audio --json", 2, "\"position\":0,\"reason\":\"a word to look for"},
    {"$P search --help", 0, "duration:3m..1h"},
    {"$P search whale", 1, "no peer is running in "},
    {"$P stop", 1, "start one with `peer run`"},
    {"$S status --dir nowhere", 1, "start one with `supernode run`"},
    {"$P status --json 2>/dev/null", 1, "{\"kind\":\"error\",\"error\":\"not-found\","},
    {"$S id", 1, "make one with `supernode init`"},
    {"$S certify AAAA", 2, "no node id"},
    {"$S init --policy open", 2, "add --anchor"},
    {"$S init --anchor --name 'two words' --dir bad", 2, "without blanks"},
    {"$S init --anchor --address nowhere --dir bad", 2, "HOST:PORT"},
    {"$S init --anchor --dir bad $(for i in $(seq 17); do echo --address h:$i; done)", 2,
     "more than 16 addresses"},
    {"ls bad", 2, "bad"}, /* nothing was made for a wrong option */
    {"$P share add home", 1, "home folder"},
    {"$P share add missing", 1, "mkdir"},
    {"$S init --anchor --dir n && $P run --network n/network.ini --downloads .", 1, "home folder"},
    {"$P run --network n/network.ini --downloads missing", 1, "mkdir"},
    {"$P run --network n/network.ini --downloads n --interface nosuch0", 1,
     "`ip link` lists those"},
    {"$P run --network n/network.ini --downloads n --interface nosuch0 --listen 127.0.0.9:0", 1,
     "`ip link` lists those"},
    {"$P --version >/dev/full", 1, "standard output"},
    {"$P supernode resign", 2, "consent, withdraw and status are"},
    {"$P supernode consent --cap-rate 1K", 2, "cap-rate"},
    {"$P supernode consent", 1, "no peer is running in "},
    {"$P why", 1, "no peer is running in "},
    {"$P run --consent --network n/network.ini --supernode-listen nowhere", 2,
     "supernode-listen: expected an address"},
    {"$S run --dir n --network n/network.ini --listen 127.0.0.1:0 --parent-fd 99", 1,
     "is no open descriptor"},
    {"$P status extra", 2, "does not know what to do with `extra`"},
};

static void wrong_usage_is_explained(void **state) {
    struct world *world = *state;
    for (size_t i = 0; i < sizeof usages / sizeof *usages; i++) {
        run(world, "{ %s; } 2>&1", usages[i].line);
        if (world->status != usages[i].status || strstr(output(world), usages[i].part) == NULL) {
            fail_msg("%s: wanted %d and `%s`, got %d and `%s`", usages[i].line, usages[i].status,
                     usages[i].part, world->status, output(world));
        }
    }
}

static void every_command_has_help_and_manual(void **state) {
    struct world *world = *state;
    static const char *const commands[] = {
        "peer run",      "peer search",      "peer get",       "peer share",
        "peer status",   "peer downloads",   "peer stop",      "peer supernode",
        "peer why",      "peer browse",      "supernode init", "supernode certify",
        "supernode run", "supernode status", "supernode id",   "supernode stop"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        run(world, BIN_DIR "/%s --help", commands[i]);
        assert_result(world, 0, "Usage: ");
        assert_result(world, 0, "--json");
        /* each option stands in the manual of its program */
        run(world,
            "for o in $(" BIN_DIR "/%s --help | grep -o -e '--[a-z][a-z-]*'); do"
            " grep -q -e \"Fl -${o#--}\" " TESTS_DIR "/../docs/man/%.*s.1 || echo \"missing $o\";"
            " done",
            commands[i], (int)strcspn(commands[i], " "), commands[i]);
        assert_string_equal(world->out.len > 0 ? output(world) : "", "");
    }
}

/* ---- Making a network ---- */

static void networks_are_made_once(void **state) {
    struct world *world = *state;
    struct network_file file;
    struct host_error error = {0};
    struct stat stat_of;
    char *path = owner_path(world->owner, "net/network.ini");
    char *key = owner_path(world->owner, "net/node.key");
    run(world, "$S init --anchor --name campus --profile internet --epoch 7200 --secret "
               "--address 10.1.2.3:6346 --address sn.example.org:7000 --dir net 2>&1");
    assert_result(world, 0, "made the network `campus`");
    assert_int_equal(network_load(path, &file, &error), OK);
    assert_string_equal(file.network.name, "campus");
    assert_int_equal(file.network.policy, NETWORK_CERTIFIED);
    assert_int_equal(file.network.profile, NETWORK_INTERNET);
    assert_int_equal(file.network.epoch_s, 7200);
    assert_int_equal(file.network.secret_len, 32);
    assert_int_equal(file.introducer_count, 2);
    assert_string_equal(file.introducers[1].host, "sn.example.org");
    assert_int_equal(stat(path, &stat_of), 0);
    assert_int_equal(stat_of.st_mode & 0777, 0600); /* it holds the secret */
    assert_int_equal(stat(key, &stat_of), 0);
    assert_int_equal(stat_of.st_mode & 0777, 0600);
    run(world, "$S id --dir net");
    char text[NODE_ID_TEXT_BYTES];
    node_id_format(text, &file.network.anchors[0]);
    assert_result(world, 0, text);
    run(world, "cat net/*.* >before; $S init --anchor --dir net 2>&1; echo $?; cat net/*.* | cmp - "
               "before");
    assert_result(world, 0, "is not overwritten");
    assert_result(world, 0, "1\n");
    mem_free(path);
    mem_free(key);
}

/* What `certify` printed, checked as another supernode would. */
static void assert_certified(const char *path, const struct network *network,
                             const struct node_id *subject, uint64_t days) {
    struct buf bytes = {0};
    struct buf body = {0};
    struct cert cert;
    struct host_error error = {0};
    assert_int_equal(certfile_load(path, &bytes, &error), OK);
    assert_int_equal(wire_cert_decode((struct slice){bytes.data, bytes.len}, &cert), OK);
    wire_cert_signed_bytes(&body, &cert);
    struct signed_bytes covered = {
        .network_id = &network->id, .type = RECORD_CERT, .body = {body.data, body.len}};
    assert_int_equal(
        crypto_verify(crypto_keyless(), &covered, &network->anchors[0], cert.signers[0].signature),
        OK);
    assert_true(node_id_equal(&cert.subject, subject));
    int64_t until = (int64_t)(cert.epoch + cert.life) * network->epoch_s;
    int64_t wanted = (int64_t)time(NULL) + (int64_t)days * 86400;
    assert_true(until >= wanted - 60 && until <= wanted + network->epoch_s);
    buf_free(&bytes);
    buf_free(&body);
}

static void certificates_are_what_they_say(void **state) {
    struct world *world = *state;
    struct network_file file;
    struct host_error error = {0};
    struct node_id id;
    char *network = owner_path(world->owner, "ca/network.ini");
    char *cert = owner_path(world->owner, "other/cert");
    char text[NODE_ID_TEXT_BYTES];
    run(world, "$S init --anchor --dir ca >/dev/null && $S init --dir other");
    assert_int_equal(world->status, 0);
    snprintf(text, sizeof text, "%.63s", output(world));
    assert_int_equal(node_id_parse(&id, text), OK);
    assert_int_equal(network_load(network, &file, &error), OK);
    run(world, "$S certify %s --dir ca --days 3 >other/cert 2>says", text);
    assert_int_equal(world->status, 0);
    assert_certified(cert, &file.network, &id, 3);
    run(world, "$S certify %s --dir ca --out other/cert 2>&1", text);
    assert_result(world, 0, "may be a supernode until ");
    assert_certified(cert, &file.network, &id, 7);
    run(world, "$S certify %s --dir ca --days 11 2>&1", text);
    assert_result(world, 2, "at most 10 days");
    run(world, "$S certify %s --dir other --network ca/network.ini 2>&1", text);
    assert_result(world, 1, "is no anchor of this network");
    text[0] = text[0] == 'A' ? 'B' : 'A';
    run(world, "$S certify %s --dir ca 2>&1", text);
    assert_result(world, 2, "check character");
    mem_free(network);
    mem_free(cert);
}

/* ---- A network of three ---- */

/* Search until a line of the answer has this text: registration takes a moment. */
static void search_until(struct world *world, const char *line, const char *part) {
    int64_t end = process_now_ms() + FOUND_MS;
    do {
        run(world, "%s", line);
        if (world->status == 0 && strstr(output(world), part) != NULL) {
            return;
        }
        process_sleep_ms(500);
    } while (process_now_ms() < end);
    fail_msg("%s: no `%s` in `%s`", line, part, output(world));
}

/* Every line is a JSON object with a kind. */
static void assert_json_lines(struct world *world) {
    char *rest = NULL;
    unsigned count = 0;
    for (char *line = strtok_r((char *)world->out.data, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        json_t *object = json_loads(line, 0, NULL);
        assert_non_null(json_string_value(json_object_get(object, "kind")));
        json_decref(object);
        count++;
    }
    assert_true(count > 0);
}

static void sharing_while_it_runs(struct world *world) {
    run(world, "$P share add home/extra --dir p1; $P share add home/extra --dir p1 2>&1");
    assert_result(world, 1, "is shared already");
    assert_result(world, 1, "added ");
    search_until(world, "$P search green tea --dir p2 --links", "green tea notes.txt");
    assert_result(world, 0, "trunkline:");
    run(world, "$P get 2 --dir p2 --name tea.txt --json && cmp home/extra/* down/tea.txt");
    assert_result(world, 0, "\"kind\":\"finished\"");
    assert_json_lines(world);
    run(world, "$P share --dir p1");
    assert_result(world, 0, "/home/extra\n");
    assert_result(world, 0, "/down\n");
    run(world, "$P share remove home/extra --dir p1 && cat p1/shares");
    assert_result(world, 0, "removed ");
}

/* Put the id of a running peer where the shell finds it. */
#define ID_OF(dir)                                                                                 \
    "$($P status --dir " dir " --json | sed -n 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/p' | head -n 1)"

#define NUMBER_OF(word) "$(sed -n '/ruby " word "/s/.*\"number\":\\([0-9]*\\).*/\\1/p' ruby)"

/* Locked files are found by everybody and fetched by who is named; what is for some alone is found
 * by nobody. */
static void sharing_with_some(struct world *world) {
    run(world, "mkdir home/vault home/shut home/few && echo gold >'home/vault/ruby open.txt' && "
               "echo silver >'home/shut/ruby shut.txt' && echo tin >'home/few/ruby few.txt' && "
               "$P share add home/few --dir p1 --for " ID_OF(
                   "p2") " && "
                         "$P share add home/vault --dir p1 --locked --for " ID_OF(
                             "p2") " && "
                                   "$P share add home/shut --dir p1 --locked --for " ID_OF(
                                       "p1") "; cat p1/shares");
    assert_result(world, 0, "locked yes\n");
    search_until(world, "$P search ruby --dir p2 --json >ruby; cat ruby", "ruby shut.txt");
    assert_result(world, 0, "ruby open.txt");
    assert_result(world, 0, "\"locked\":true");
    assert_null(strstr(output(world), "ruby few.txt"));
    run(world, "timeout 25 $P get " NUMBER_OF("open") " --dir p2 --json && "
                                                      "cmp home/vault/* 'down/ruby open.txt'");
    assert_result(world, 0, "\"kind\":\"finished\"");
    run(world, "$P get " NUMBER_OF("shut") " --no-wait --dir p2");
    assert_int_equal(world->status, 0);
    search_until(world, "cat p2.log", "fetch.locked");
    run(world, "! test -e 'down/ruby shut.txt'");
    assert_int_equal(world->status, 0);
}

#define PLACE_OF(dir)                                                                              \
    "$($P status --dir " dir                                                                       \
    " --json | sed -n 's/.*\"id\":\"\\([^\"]*\\)\",\"address\":\"\\([^\"]*\\)\".*/\\1@\\2/p' | "   \
    "head -n "                                                                                     \
    "1)"

/* Others find, see and fetch what has an alias by that alone; the rest of the rules hold. */
static void sharing_under_other_names(struct world *world) {
    run(world,
        "mkdir -p home/q7/x && echo opal >home/q7/x/draft7.txt && $P share add home/q7 --dir p1 "
        "--as 'Field notes' --alias 'x/draft7.txt=topaz report.txt' && cat p1/shares");
    assert_result(world, 0, "home/q7: 1 files, 5 B would be shared as Field notes\n");
    assert_result(world, 0, "x/draft7.txt as topaz report.txt\n");
    assert_result(world, 0, "\n as Field notes\n");
    assert_result(world, 0, "\n alias x/draft7.txt=topaz report.txt\n");
    search_until(world, "$P search topaz --dir p2 --links >topaz; cat topaz", "topaz report.txt");
    assert_result(world, 0, "name=topaz%20report.txt");
    search_until(world, "$P search draft7 --dir p2; true", "; asked ");
    assert_null(strstr(output(world), "draft7.txt"));
    run(world, "$P get \"$(grep -o 'trunkline:.*' topaz)\" --dir p2 && "
               "cmp home/q7/x/draft7.txt 'down/topaz report.txt'");
    assert_result(world, 0, "/down/topaz report.txt\n");
    run(world, "$P browse " PLACE_OF("p1") " --dir p2");
    assert_result(world, 0, "Field notes/x/\n");
    assert_result(world, 0, "topaz report.txt\n");
    assert_null(strstr(output(world), "q7"));
    assert_null(strstr(output(world), "draft7"));
    run(world, "$P share add home/q7 --dir p1 --yes");
    assert_int_equal(world->status, 0);
    search_until(world, "$P search draft7 --dir p2", "draft7.txt");
    run(world, "$P share remove home/q7 --dir p1");
    assert_int_equal(world->status, 0);
}

/* What one peer shares, a folder of it fetched with its sub-folders, and one that says no. */
static void browsing(struct world *world) {
    run(world,
        "mkdir -p 'home/shared/album/CD 1' home/shared/album/CD2 && "
        "echo one >'home/shared/album/CD 1/one.ogg' && echo two >home/shared/album/CD2/x.ogg "
        "&& echo three >home/shared/album/x.ogg && mkdir home/mine && "
        "echo four >home/mine/four.ogg && $P share add home/mine --dir p1 --for " ID_OF("p2"));
    assert_int_equal(world->status, 0);
    search_until(world, "$P browse " PLACE_OF("p1") " --dir p2", "x.ogg");
    search_until(world, "$P browse " PLACE_OF("p1") " --dir p2", "mine/\n");
    assert_result(world, 0, "shared/album/CD 1/\n");
    assert_result(world, 0, "ruby shut.txt  (locked)\n");
    assert_result(world, 0, "ruby few.txt\n");
    run(world, "$P browse 1/shared/album --links --dir p2");
    assert_result(world, 0, "3 files, 14 B");
    assert_result(world, 0, "trunkline:");
    run(world, "$P get --folder 1/shared/album/ --dir p2");
    assert_result(world, 0, "fetching 3 files (14 B)");
    search_until(world, "diff -r home/shared/album down/album && echo same", "same");
    run(world, "$P get --folder 1/shared/album --dir p2");
    assert_result(world, 0, "fetching 0 files (0 B); 3 here already");
    run(world, "$P get --folder " PLACE_OF("p1") "/mine --dir p2 --json");
    assert_result(world, 0, "\"folder\":\"mine\"");
    search_until(world, "cat down/mine/four.ogg", "four");
    run(world, "rm -f down/whole.txt; echo five >home/mine/five.ogg");
    search_until(world, "$P share --links --dir p1 >links; cat links", "five.ogg");
    run(world, "$P get \"$(grep -o 'trunkline:.*five.ogg.*' links)\" --dir p2 --name whole.txt");
    assert_result(world, 0, "/down/whole.txt\n");
    run(world,
        "$P get \"$(grep -o 'trunkline:.*five.ogg&network=' links)$(printf %%064d 7)\" --dir p2 "
        "2>&1");
    assert_result(world, 1, "this link is for another network");
    run(world, "$P get --folder 1/nothing --dir p2 2>&1");
    assert_result(world, 1, "there is no such folder");
    run(world, "$P browse " PLACE_OF("p2") " --dir p1 2>&1");
    assert_result(world, 1, "does not let anybody browse it");
}

static void fetching(struct world *world) {
    search_until(world, "$P search WHALE song --dir p2", "blue whale song.bin");
    assert_result(world, 0, "1 file found; asked 1 supernode");
    run(world, "timeout 25 $P get 1 --dir p2 || tail -n 20 p1.log p2.log; cmp 'home/shared/blue "
               "whale song.bin' "
               "'down/blue whale song.bin'");
    assert_result(world, 0, "every block verified\n");
    run(world, "$P get 99 --dir p2 2>&1");
    assert_result(world, 1, "search again");
    run(world, "$P search '\"whale song\"' ext:bin type:software 'size:>0' -tea --dir p2");
    assert_result(world, 0, "1 file found");
    run(world, "$P search '\"song whale\"' --dir p2");
    assert_result(world, 0, "nothing found");
    run(world, "$P search whale -song --dir p2");
    assert_result(world, 0, "nothing found");
    run(world, "$P search 鯨 --dir p2");
    assert_result(world, 0, "stands alone");
    run(world, "$P downloads --dir p2");
    assert_result(world, 0, "nothing is being fetched");
    run(world, "$P downloads --done --dir p2");
    assert_result(world, 0, "/down/blue whale song.bin\n");
    run(world, "$P get trunkline:%064d:77 --no-wait --dir p2", 7);
    search_until(world, "$P downloads --dir p2", "00000000  fetching     0% of 77 B");
    assert_result(world, 0, "looking for sources");
    run(world, "$P downloads pause abcd --dir p2 2>&1");
    assert_result(world, 1, "there is no such download");
    run(world, "$P downloads cancel 00000000000000 --dir p2 && $P downloads clear --dir p2");
    assert_result(world, 0, "cancel: 0000");
    assert_result(world, 0, "is forgotten");
    run(world, "$P downloads --done --dir p2");
    assert_result(world, 0, "nothing has finished yet");
}

/* Limits on traffic are shown and changed while it runs, and what has moved is told by class. */
static void limiting(struct world *world) {
    run(world, "$P limit --dir p1");
    assert_result(world, 0, "now    up=64M");
    assert_result(world, 0, "limit  mon,tue,wed,thu,fri,sat 03:00-03:01 down=1M\n");
    assert_result(world, 0, "moved  files ");
    run(world, "$P limit --dir p1 mon-fri 08:00-18:00 up=500K down=2M");
    assert_result(world, 0, "limit  mon,tue,wed,thu,fri 08:00-18:00 up=500K down=2M\n");
    run(world, "$P limit --dir p1 up=4M overlay=100K --json");
    assert_result(world, 0, "\"overlay\":102400");
    assert_json_lines(world);
    run(world, "$P limit --dir p1 up=4M up=5M 2>&1");
    assert_result(world, 2, "at `up=5M`: this limit is given twice");
    run(world, "$P limit --dir p1 none");
    assert_result(world, 0, "now    none\n");
    assert_null(strstr(output(world), "limit  "));
    run(world, "$P status --dir p1 --json");
    assert_result(world, 0, "\"limits\":\"none\"");
    assert_result(world, 0, "\"overlay_in_bytes\":");
    assert_null(strstr(output(world), "\"overlay_in_bytes\":0"));
    run(world, "$S limit --dir sn up=8M");
    assert_result(world, 0, "now    up=8M\n");
}

static void refusing_a_second(struct world *world) {
    run(world, "$P run --dir p1 --network sn/network.ini --downloads down 2>&1");
    assert_result(world, 1, "stop it, or give this one a folder of its own");
    run(world, "$P run --dir p9 --network sn/network.ini --downloads down --listen $NET.1:6346 "
               "2>&1");
    assert_result(world, 1, "another program listens there");
}

/* On a terminal a peer says what it will share before it does so for the first time. */
static void showing_first(struct world *world) {
    for (int times = 1; times >= 0; times--) {
        run(world,
            "script -qefc '%s run --dir p7 --network sn/network.ini --listen 127.78.2.7:0 --share "
            "home/shared --downloads home/extra' said >/dev/null & "
            "for i in $(seq 200); do grep -q listening said && break; sleep 0.05; done; sleep 0.5; "
            "%s stop --dir p7; wait; sed -n '1,/listening/p' said",
            BIN_DIR "/peer", BIN_DIR "/peer");
        assert_result(world, 0, "sharing 2 folders");
        assert_int_equal(strstr(output(world), "home/shared: ") != NULL, times);
        assert_int_equal(strstr(output(world), "would be shared") != NULL, times);
        assert_int_equal(strstr(output(world), "  blue whale song.bin") != NULL, times);
    }
}

/* What is bound, what is dialled from, and what others are told are three things. */
static void binding(struct world *world) {
    struct process *bound =
        start(world, "peer",
              "--dir p8 --network sn/network.ini --interface lo --listen 0.0.0.0:0 "
              "--advertise 127.78.9.9:7777 --downloads down --log p8.log");
    assert_result(world, 0, "listening on 127.0.0.1:");
    search_until(world, "$P status --dir p8 --json", "\"state\":\"registered\"");
    assert_result(world, 0, "\"address\":\"127.78.9.9:7777\"");
    run(world, "ss -Htnl | grep -q '127.0.0.1%%lo:' && ss -Htn | grep '127.0.0.1%%lo:.*:6346'");
    assert_result(world, 0, "ESTAB"); /* kept to the device, not to its address alone */
    assert_int_equal(process_stop(bound, END_MS), 0);
    process_free(bound);
}

/* Said while it does not run, it counts when it does; what it was to give stays as it was. */
static void consenting_for_later(struct world *world) {
    run(world, "$P supernode consent --cap-rate 3M --dir p1 && $P supernode consent --dir p1");
    assert_result(world, 0, "from its next start on\n");
    struct process *again = start(
        world, "peer", "--dir p1 --network sn/network.ini --listen 127.78.2.1:0 --log p1.log");
    run(world, "$P supernode status --dir p1");
    assert_result(world, 0, "gives up to        3.0 MiB/s\n");
    run(world, "$P supernode consent --cap-rate 2M --dir p1 2>&1"); /* now it is asked */
    assert_result(world, 0, "up to 2.0 MiB/s");
    assert_int_equal(process_stop(again, END_MS), 0);
    process_free(again);
}

static void a_network_of_three(void **state) {
    struct world *world = *state;
    int status = -1;
    run(world, "head -c 3000000 /dev/urandom >'home/shared/blue whale song.bin' && "
               "echo leaves >'home/extra/green tea notes.txt' && "
               "$S init --anchor --name three --address $NET.1:6346 --dir sn");
    assert_int_equal(world->status, 0);
    struct process *supernode =
        start(world, "supernode", "--dir sn --listen $NET.1:6346 --log sn.log");
    char line[128];
    snprintf(line, sizeof line, "listening on %s.1:6346, network three", world->net);
    assert_result(world, 0, line);
    struct process *sharer =
        start(world, "peer",
              "--dir p1 --network sn/network.ini --listen $NET.2:0 "
              "--share home/shared --log p1.log --downloads down --limit up=64M "
              "--limit 'mon-sat 03:00-03:01 down=1M'");
    assert_result(world, 0, "sharing 2 folders"); /* and what it fetches */
    run(world, "printf \"[peer]\\ndir = p2\\nnetwork = sn/network.ini\\nlisten = $NET.3:0\\n"
               "downloads = down\\nno-browse = yes\\nlog = nowhere/p2.log\\n\" >p2.ini");
    struct process *seeker = start(world, "peer", "--config p2.ini --log p2.log --json");
    assert_json_lines(world);
    fetching(world);
    sharing_while_it_runs(world);
    sharing_with_some(world);
    sharing_under_other_names(world);
    browsing(world);
    limiting(world);
    binding(world);
    showing_first(world);
    refusing_a_second(world);
    run(world, "$P status --dir p1 --json; $S status --dir sn --json");
    assert_json_lines(world);
    run(world, "$S status --dir sn");
    assert_result(world, 0, "leaf  ");
    run(world, "test $(stat -c %%a p1/control.sock) = 600 && $P stop --dir p1 && "
               "! test -e p1/control.sock && $P stop --dir p1 2>&1");
    assert_result(world, 1, "start one with `peer run`");
    assert_int_equal(process_wait(sharer, END_MS, &status), OK);
    assert_int_equal(status, 0);
    consenting_for_later(world);
    assert_int_equal(process_stop(seeker, END_MS), 0); /* SIGTERM is a proper end */
    assert_int_equal(process_stop(supernode, END_MS), 0);
    process_free(sharer);
    process_free(seeker);
    process_free(supernode);
}

/* Started by something careless: no socket or database may become what is printed to. */
static void closed_standard_streams(void **state) {
    struct world *world = *state;
    run(world,
        "$S init --anchor --dir mute >/dev/null; "
        "$S run --dir mute --listen $NET.4:6346 <&- >&- 2>&- & "
        "for i in $(seq 200); do $S status --dir mute >/dev/null 2>&1 && break; sleep 0.1; done; "
        "readlink /proc/$!/fd/0 /proc/$!/fd/1 /proc/$!/fd/2; $S stop --dir mute");
    assert_result(world, 0, "/dev/null\n/dev/null\n/dev/null\nstopped\n");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(wrong_usage_is_explained), TEST(every_command_has_help_and_manual),
        TEST(networks_are_made_once),   TEST(certificates_are_what_they_say),
        TEST(a_network_of_three),       TEST(closed_standard_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
