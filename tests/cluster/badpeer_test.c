/* badpeer_test.c - sets badpeer upon a network of real processes, one wrong after the other, while
 * honest users search and fetch: they must not notice, and who did wrong must be sent off for it.
 *
 * badpeer_test [--mode NAME] [--long] [--bin FOLDER] */
#include <dirent.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/rng.h"
#include "src/cluster/ask.h"
#include "src/cluster/deal.h"
#include "src/cluster/localnet.h"
#include "tests/cluster/badpeer_rows.h"

#define SUPERNODES 3 /* the last one's name and certificate are badpeer's */
#define GOOD_SUPERNODES 2
#define PEERS 6
#define SMALL 10 /* files that one peer has, per peer */
#define FILES (PEERS * SMALL)
#define BIGS 8 /* one for each kind of liar; the first two peers have them */
#define BIG_BYTES (3 * 1024 * 1024 + 12345)
#define BIG_RATE "1M"
#define BIG_SOURCES 2
#define FETCHER (PEERS - 1)
#define LEAVER (PEERS - 2) /* it makes room for an imposter, and is a newcomer */
#define LEAF_RATE                                                                                  \
    "15" /* a leaf's searches a second; five times that for a minute ends its link                 \
          */
#define SETTLE_MS 60000
#define ANSWER_MS 15000
#define GET_MS 60000
#define KNOWN_MS 300 /* from a dial-back to those who hear of it */
#define MODE_MS 120000
#define SEARCH_EVERY_MS 25
#define BASELINE_MS 2000
#define SAMPLES_MAX 20000
/* What is promised: nobody waits longer than three times as long as before, or a third of a second,
 * which is what a busy machine of two cores does to a search now and then by itself. */
#define P99_FACTOR 3
#define P99_MS 300
#define MEMORY_MAX (96ULL << 20) /* of a process, at its worst */
#define LOG_MAX (4ULL << 20)
#define LOOK_MS 1000
#define FDS_MS 20000 /* for what was opened to be closed again */

struct file {
    char name[64];
    char word[24];
    uint32_t holder;
};

static struct test {
    struct owner *owner;
    struct localnet net;
    struct asker *asker;
    struct rng rng;
    char *bin;
    char *badpeer;
    struct file files[FILES];
    uint32_t absent; /* the peer that an imposter stands in for */
    char *bigs[BIGS];
    char contents[BIGS][CONTENT_TEXT_BYTES];
    uint32_t big; /* the next liar's */
    double samples[SAMPLES_MAX];
    uint32_t sample_count;
    uint32_t asked;
    uint32_t found;
    uint32_t refused;
    uint32_t false_hits;
    int64_t next_ms;
    double baseline_p99;
    uint32_t failures;
    uint32_t fds_before[SUPERNODES + PEERS];
    bool is_fetched;
    bool is_fetching;
    enum err fetch_err;
    char fetched[4096];
} test;

/* ---- Words ---- */

static _Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void fault(const struct row *row, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(FILE *to, const char *what, const char *format, va_list args) {
    fprintf(to, "%s: ", what);
    vfprintf(to, format, args);
    fprintf(to, "\n");
}

static void die(const char *format, ...) {
    va_list args;
    va_start(args, format);
    say(stderr, "badpeer_test", format, args);
    va_end(args);
    exit(1);
}

static void fault(const struct row *row, const char *format, ...) {
    va_list args;
    va_start(args, format);
    say(stderr, row == NULL ? "FAILED" : row->mode, format, args);
    va_end(args);
    test.failures++;
}

static void must(enum err err) {
    if (err != OK) {
        die("%s: %s", err_text(err), test.net.trouble);
    }
}

/* ---- The network ---- */

static void make_files(void) {
    for (uint32_t i = 0; i < FILES; i++) {
        struct file *file = &test.files[i];
        char path[4096];
        file->holder = i % PEERS;
        snprintf(file->word, sizeof file->word, "honest%03u", i);
        snprintf(file->name, sizeof file->name, "a honest%03u file.txt", i);
        snprintf(path, sizeof path, "%s/%s", test.net.peers[file->holder].files, file->name);
        must(deal_generate(path, 1000 + i, i + 1));
    }
    for (uint32_t i = 0; i < BIGS; i++) {
        test.bigs[i] = owner_path(test.owner, "big%u.bin", i);
        must(deal_generate(test.bigs[i], BIG_BYTES + i, 100 + i));
        for (uint32_t j = 0; j < BIG_SOURCES; j++) {
            char path[4096];
            snprintf(path, sizeof path, "%s/large volume%u.bin", test.net.peers[j].files, i);
            if (link(test.bigs[i], path) != 0) {
                die("cannot lay %s", path);
            }
            test.net.peers[j].upload_rate = BIG_RATE;
        }
    }
}

static void start_network(void) {
    must(localnet_init(&test.net, test.owner, test.bin, SUPERNODES, PEERS));
    test.net.leaf_query_rate = LEAF_RATE;
    make_files();
    for (uint32_t i = 0; i < GOOD_SUPERNODES; i++) {
        must(localnet_start(&test.net, &test.net.supernodes[i]));
    }
    for (uint32_t i = 0; i < PEERS; i++) {
        must(localnet_start(&test.net, &test.net.peers[i]));
    }
    must(localnet_settle(&test.net, SETTLE_MS));
    json_t *answer = NULL;
    struct localnet_node *peer = &test.net.peers[0];
    must(localnet_ask(&test.net, peer, (const char *const[]){"status", NULL}, ANSWER_MS, &answer));
    snprintf(peer->id, sizeof peer->id, "%s", localnet_text(localnet_find(answer, "status"), "id"));
    json_decref(answer);
}

static struct localnet_node *node_of(uint32_t i) {
    return i < SUPERNODES ? &test.net.supernodes[i] : &test.net.peers[i - SUPERNODES];
}

static uint32_t open_fds(const struct localnet_node *node) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)process_pid(node->process));
    return localnet_entries(path);
}

/* ---- Honest searches ---- */

struct search {
    const struct file *file;
    int64_t begun_us;
};

static void on_search(void *context, enum err err, const json_t *answer) {
    struct search *search = context;
    double ms = (double)(process_now_us() - search->begun_us) / 1000;
    bool is_found = false;
    for (size_t i = 0; err != ERR_SHUTDOWN && i < json_array_size(answer); i++) {
        const json_t *hit = json_array_get(answer, i);
        if (strcmp(localnet_text(hit, "kind"), "hit") == 0) {
            bool is_it = strcmp(localnet_text(hit, "name"), search->file->name) == 0;
            is_found = is_found || is_it;
            test.false_hits += !is_it;
        }
    }
    if (err != ERR_SHUTDOWN) {
        test.asked++;
        test.found += is_found;
        test.refused += err != OK;
        if (test.sample_count < SAMPLES_MAX) {
            test.samples[test.sample_count++] = ms;
        }
    }
    mem_free(search);
}

static void begin_search(void) {
    struct search *search = mem_new(sizeof *search);
    uint32_t peer;
    do {
        search->file = &test.files[rng_below(&test.rng, FILES)];
        peer = (uint32_t)rng_below(&test.rng, PEERS);
    } while (peer == search->file->holder || peer == test.absent ||
             search->file->holder == test.absent);
    search->begun_us = process_now_us();
    json_t *args = json_pack("{s:s,s:s}", "text", search->file->word, "want", "10");
    const struct ask ask = {.state_dir = test.net.peers[peer].dir,
                            .command = "search",
                            .args = args,
                            .timeout_ms = ANSWER_MS};
    asker_start(test.asker, &ask, on_search, search);
    json_decref(args);
}

/* Honest life for a moment. */
static void live(void) {
    int64_t now_ms = process_now_ms();
    if (now_ms >= test.next_ms) {
        begin_search();
        test.next_ms = now_ms + SEARCH_EVERY_MS;
    }
    asker_step(test.asker, 5);
}

static void live_for(int64_t ms) {
    int64_t until_ms = process_now_ms() + ms;
    while (process_now_ms() < until_ms) {
        live();
    }
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double p99(void) {
    qsort(test.samples, test.sample_count, sizeof *test.samples, compare_doubles);
    return test.sample_count == 0 ? 0 : test.samples[test.sample_count * 99 / 100];
}

static void begin_samples(void) {
    test.sample_count = test.asked = test.found = test.refused = test.false_hits = 0;
}

/* Those that are under way belong to what came before. */
static void drain(void) {
    int64_t until_ms = process_now_ms() + ANSWER_MS + 1000;
    while (asker_open(test.asker) > 0 && process_now_ms() < until_ms) {
        asker_step(test.asker, 20);
    }
}

/* ---- Downloads among liars ---- */

static void learn_contents(void) {
    for (uint32_t i = 0; i < BIGS; i++) {
        json_t *answer = NULL;
        char words[32], name[64];
        snprintf(words, sizeof words, "large volume%u", i);
        snprintf(name, sizeof name, "large volume%u.bin", i);
        must(localnet_ask(&test.net, &test.net.peers[FETCHER],
                          (const char *const[]){"search", words, NULL}, ANSWER_MS, &answer));
        const json_t *hit = localnet_find(answer, "hit");
        if (hit == NULL || strcmp(localnet_text(hit, "name"), name) != 0) {
            die("%s is not found", name);
        }
        snprintf(test.contents[i], sizeof test.contents[i], "%s", localnet_text(hit, "content"));
        json_decref(answer);
    }
}

static void on_get(void *context, enum err err, const json_t *answer) {
    (void)context;
    const json_t *finished = err == OK ? localnet_find(answer, "finished") : NULL;
    test.is_fetching = false;
    test.is_fetched = finished != NULL;
    test.fetch_err = err;
    snprintf(test.fetched, sizeof test.fetched, "%s", localnet_text(finished, "path"));
}

static void ask_fetcher(const char *command, json_t *args, asker_fn *done, uint32_t *big) {
    const struct ask ask = {.state_dir = test.net.peers[FETCHER].dir,
                            .command = command,
                            .args = args,
                            .timeout_ms = GET_MS};
    asker_start(test.asker, &ask, done, big);
    json_decref(args);
}

/* Now it knows the liar as one of the sources. */
static void on_known(void *context, enum err err, const json_t *answer) {
    const uint32_t *big = context;
    (void)err;
    (void)answer;
    json_t *args = json_pack("{s:s,s:s}", "content", test.contents[*big], "wait", "1");
    ask_fetcher("get", args, on_get, NULL);
}

static void begin_get(uint32_t *big) {
    char words[32];
    snprintf(words, sizeof words, "large volume%u", *big);
    test.is_fetching = true;
    test.is_fetched = false;
    ask_fetcher("search", json_pack("{s:s}", "text", words), on_known, big);
}

static bool is_same(const char *original, const char *copy) {
    FILE *first = fopen(original, "rb"), *second = fopen(copy, "rb");
    static uint8_t a[1 << 16], b[1 << 16];
    bool same = first != NULL && second != NULL;
    size_t got = 1;
    while (same && got > 0) {
        got = fread(a, 1, sizeof a, first);
        same = fread(b, 1, sizeof b, second) == got && memcmp(a, b, got) == 0;
    }
    if (first != NULL) {
        fclose(first);
    }
    if (second != NULL) {
        fclose(second);
    }
    return same;
}

/* ---- A newcomer ---- */

static void add_newcomer(void) {
    char path[4096];
    snprintf(path, sizeof path, "%s/the newcomer's file.txt", test.net.peers[LEAVER].files);
    must(deal_generate(path, 5000, 999));
}

/* Has the supernode that is set upon all files of the newcomer? */
static bool has_newcomer(void) {
    json_t *answer = NULL;
    bool has = false;
    if (localnet_ask(&test.net, &test.net.supernodes[0], (const char *const[]){"status", NULL},
                     ANSWER_MS, &answer) == OK) {
        for (size_t i = 0; i < json_array_size(answer); i++) {
            const json_t *leaf = json_array_get(answer, i);
            has = has || (strcmp(localnet_text(leaf, "kind"), "leaf") == 0 &&
                          localnet_number(leaf, "files") == SMALL + 1);
        }
        json_decref(answer);
    }
    return has;
}

/* ---- One wrong ---- */

#define WORDS_MAX 40

struct run {
    const struct row *row;
    struct process *process;
    uint32_t big;
    char line[256]; /* that was looked for in a log */
    bool is_ready;
    bool is_hoarding;
    int64_t newcomer_ms; /* when its file came, then how long it took */
    int64_t look_ms;
    bool is_registered;
    json_t *report; /* of the program itself; those of a source's links are summed up in: */
    int64_t links;  /* of a source: that ended by themselves */
    int64_t links_protocol;
    int64_t asked; /* of a source: links on which it was asked for blocks */
    off_t logs[SUPERNODES + PEERS];
};

static void note_logs(struct run *run) {
    for (uint32_t i = 0; i < SUPERNODES + PEERS; i++) {
        struct stat status;
        run->logs[i] = stat(node_of(i)->log, &status) == 0 ? status.st_size : 0;
    }
}

/* Has any node noted this since the wrong began, in a line without that? */
static bool is_logged(struct run *run, const char *text, const char *without) {
    for (uint32_t i = 0; i < SUPERNODES + PEERS; i++) {
        char line[1024];
        FILE *file = fopen(node_of(i)->log, "re");
        if (file == NULL) {
            continue;
        }
        fseeko(file, run->logs[i], SEEK_SET);
        bool is_there = false;
        while (!is_there && fgets(line, sizeof line, file) != NULL) {
            is_there = strstr(line, text) != NULL && strstr(line, without) == NULL;
        }
        fclose(file);
        if (is_there) {
            snprintf(run->line, sizeof run->line, "%.60s %.180s", node_of(i)->name, line);
            return true;
        }
    }
    return false;
}

/* False where the user has run out of inotify: then folders are looked at once a minute. */
static bool is_watching(const struct localnet_node *node) {
    char line[1024];
    FILE *file = fopen(node->log, "re");
    bool is_watching = true;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        is_watching = is_watching && strstr(line, "watch.none") == NULL;
    }
    if (file != NULL) {
        fclose(file);
    }
    return is_watching;
}

static void start_badpeer(struct run *run) {
    const struct row *row = run->row;
    const struct localnet_node *target =
        row->target == AT_PEER ? &test.net.peers[0] : &test.net.supernodes[0];
    char from[32], listen[40], seconds[16], name[64];
    char id[NODE_ID_TEXT_BYTES];
    const char *words[WORDS_MAX] = {test.badpeer, row->mode};
    uint32_t count = 2;
    int network = (int)strlen(target->address) - (int)strlen(strrchr(target->address, '.'));
    snprintf(from, sizeof from, "%.*s.250:0", network, target->address);
    snprintf(listen, sizeof listen, "%.*s.250:%d", network, target->address,
             LOCALNET_PORT + (int)(row - rows));
    if (row->is_imposter) {
        snprintf(listen, sizeof listen, "%s", test.net.peers[LEAVER].address);
    }
    snprintf(seconds, sizeof seconds, "%u", row->is_source ? 60 : row->seconds);
    snprintf(name, sizeof name, row->is_source ? "large volume%u.bin" : "no such file %u",
             run->big);
    snprintf(id, sizeof id, "%s", target->id);
    const char *const common[] = {"--network",
                                  test.net.network_file,
                                  "--to",
                                  target->address,
                                  id,
                                  "--from",
                                  from,
                                  "--seconds",
                                  seconds,
                                  "--content",
                                  test.contents[run->big],
                                  "--file",
                                  test.bigs[run->big],
                                  "--name",
                                  name};
    for (size_t i = 0; i < sizeof common / sizeof *common; i++) {
        words[count++] = common[i];
    }
    if (row->target == AT_PEER) {
        words[count++] = "--as";
        words[count++] = "transfer";
    }
    if (row->is_certified) {
        words[count++] = "--dir";
        words[count++] = test.net.supernodes[SUPERNODES - 1].dir;
    }
    if (row->is_listening || row->is_source || row->is_imposter) {
        words[count++] = "--listen";
        words[count++] = listen;
    }
    char *log = owner_path(test.owner, "badpeer.log");
    const struct process_options options = {.argv = words, .pipe = true, .log = log};
    must(process_start(test.owner, &options, &run->process));
    mem_free(log);
}

/* Take its next line if there is one; false when it has ended. */
static bool take_line(struct run *run) {
    struct buf line = {0};
    enum err err = process_line(run->process, &line, 1);
    if (err == OK) {
        json_t *object = json_loads((const char *)line.data, 0, NULL);
        const char *kind = localnet_text(object, "kind");
        run->is_ready = run->is_ready || strcmp(kind, "ready") == 0;
        run->asked += strcmp(kind, "asked") == 0;
        run->is_hoarding = run->is_hoarding || strcmp(kind, "hoarding") == 0;
        if (strcmp(kind, "bad") == 0 && run->row->is_source) {
            run->links++;
            run->links_protocol += localnet_number(object, "protocol");
        }
        if (strcmp(kind, "bad") == 0) {
            json_decref(run->report);
            run->report = json_incref(object);
        }
        json_decref(object);
    }
    buf_free(&line);
    return err == OK || err == ERR_TIMEOUT;
}

static void watch_newcomer(struct run *run) {
    if (run->newcomer_ms == 0) {
        add_newcomer();
        run->newcomer_ms = process_now_ms();
    } else if (!run->is_registered && process_now_ms() >= run->look_ms) {
        run->look_ms = process_now_ms() + LOOK_MS; /* searches wait meanwhile */
        run->is_registered = has_newcomer();
        run->newcomer_ms =
            run->is_registered ? process_now_ms() - run->newcomer_ms : run->newcomer_ms;
    }
}

static void watch_badpeer(struct run *run) {
    int64_t until_ms = process_now_ms() + MODE_MS;
    bool has_begun = false;
    while (take_line(run)) {
        live();
        if (process_now_ms() > until_ms) {
            die("badpeer %s does not end", run->row->mode);
        }
        if (run->row->is_source && run->is_ready && !has_begun) {
            has_begun = true;
            live_for(KNOWN_MS);
            begin_get(&run->big);
        }
        if (run->row->newcomer_ms > 0 && run->is_hoarding) {
            watch_newcomer(run);
        }
        if (has_begun && !test.is_fetching) {
            process_kill(run->process);
        }
    }
}

static void check_report(const struct run *run) {
    const struct row *row = run->row;
    int64_t cases = localnet_number(run->report, "cases");
    int64_t ended = row->end == NULL ? 0 : localnet_number(run->report, row->end);
    bool is_right = row->amount == ANY || (row->amount == ALL && ended == cases && cases > 0) ||
                    (row->amount == SOME && ended > 0) || (row->amount == NONE && ended == 0);
    char *text = json_dumps(run->report, JSON_COMPACT);
    if (text == NULL) {
        fault(row, "it told nothing");
        return;
    }
    if (!is_right) {
        fault(row, "its links did not end as they should (%s): %s", row->end, text);
    }
    if (row->answered_max > 0 &&
        localnet_number(run->report, "answered") > (int64_t)row->answered_max) {
        fault(row, "it was given more than %llu: %s", (unsigned long long)row->answered_max, text);
    }
    free(text);
}

static void check_source(const struct run *run) {
    if (run->row->amount == SOME && run->links_protocol == 0) {
        fault(run->row, "its links were not closed for what it did");
    }
    if (run->asked == 0) {
        fault(run->row, "nobody asked it for a block");
    }
    if (!test.is_fetched) {
        fault(run->row, "the file was not fetched: %s", err_text(test.fetch_err));
    } else if (!is_same(test.bigs[run->big], test.fetched)) {
        fault(run->row, "WRONG BYTES in %s", test.fetched);
    }
}

static void check_honest(struct run *run) {
    double most = fmax(P99_FACTOR * test.baseline_p99, fmax(P99_MS, run->row->p99_ms));
    double now = p99();
    if (now > most) {
        fault(run->row, "searches took %.1f ms (p99), %.1f before", now, test.baseline_p99);
    }
    if (test.found < test.asked) {
        fault(run->row, "%u of %u searches found their file, %u were refused", test.found,
              test.asked, test.refused);
    }
    if (is_logged(run, "uplink.lost", "state=0")) { /* one that was never open may be badpeer's */
        fault(run->row, "an honest peer has lost its supernode: %s", run->line);
    }
    if (run->row->newcomer_ms > 0 &&
        (!run->is_registered || run->newcomer_ms > run->row->newcomer_ms)) {
        fault(run->row, "a new file was not registered in time%s",
              is_watching(&test.net.peers[LEAVER])
                  ? ""
                  : ": its peer had no inotify; see fs.inotify.max_user_instances");
    }
    if (test.false_hits > 0) {
        fault(run->row, "%u hits match nothing that was asked", test.false_hits);
    }
    for (uint32_t i = 0; i < SUPERNODES + PEERS; i++) {
        if (node_of(i)->process != NULL && !process_running(node_of(i)->process)) {
            die("%s ended by itself during %s", node_of(i)->name, run->row->mode);
        }
    }
}

/* A peer goes; another one is told to fetch a file of which it was the only source. */
static void leave_room(char content[CONTENT_TEXT_BYTES]) {
    json_t *answer = NULL;
    const struct file *file = &test.files[LEAVER];
    must(localnet_ask(&test.net, &test.net.peers[FETCHER],
                      (const char *const[]){"search", file->word, NULL}, ANSWER_MS, &answer));
    snprintf(content, CONTENT_TEXT_BYTES, "%s",
             localnet_text(localnet_find(answer, "hit"), "content"));
    json_decref(answer);
    test.absent = LEAVER;
    drain();
    localnet_cut(&test.net.peers[LEAVER]);
}

static void ask_imposter(struct run *run, const char *content) {
    json_t *answer = NULL;
    const struct file *file = &test.files[LEAVER];
    while (!run->is_ready && take_line(run)) {
        live();
    }
    must(
        localnet_ask(&test.net, &test.net.peers[FETCHER],
                     (const char *const[]){"get", content, "--name", file->name, "--no-wait", NULL},
                     ANSWER_MS, &answer));
    json_decref(answer);
}

static void come_back(const struct run *run) {
    char original[4096], copy[4096];
    const char *name = test.files[LEAVER].name;
    snprintf(original, sizeof original, "%s/%s", test.net.peers[LEAVER].files, name);
    snprintf(copy, sizeof copy, "%s/%s", test.net.peers[FETCHER].downloads, name);
    if (localnet_number(run->report, "sent") == 0) {
        fault(run->row, "nobody dialled it");
    }
    if (localnet_number(run->report, "answered") > 0) {
        fault(run->row, "somebody said HELLO to it");
    }
    if (access(copy, F_OK) == 0) {
        fault(run->row, "a file came from it");
    }
    must(localnet_start(&test.net, &test.net.peers[LEAVER]));
    must(localnet_settle(&test.net, SETTLE_MS));
    int64_t until_ms = process_now_ms() + GET_MS;
    while (access(copy, F_OK) != 0 && process_now_ms() < until_ms) {
        live();
    }
    test.absent = PEERS;
    if (!is_same(original, copy)) {
        fault(run->row, "the file was not fetched from the honest one then");
    }
}

static void do_wrong(const struct row *row) {
    struct run run = {.row = row, .big = row->is_source ? test.big++ : 0};
    uint32_t failures = test.failures;
    drain();
    begin_samples();
    note_logs(&run);
    int64_t begun_ms = process_now_ms();
    char content[CONTENT_TEXT_BYTES] = "";
    if (row->is_imposter) {
        leave_room(content);
    }
    start_badpeer(&run);
    if (row->is_imposter) {
        ask_imposter(&run, content);
    }
    watch_badpeer(&run);
    if (row->is_imposter) {
        come_back(&run);
    }
    live_for(200);
    drain();
    int status = 0;
    must(process_wait(run.process, MODE_MS, &status));
    if (status != 0 && !row->is_source) {
        fault(row, "badpeer ended with %d", status);
    }
    if (row->is_source) {
        check_source(&run);
    } else {
        check_report(&run);
    }
    if (row->log != NULL && !is_logged(&run, row->log, "\a")) {
        fault(row, "nobody noted %s", row->log);
    }
    check_honest(&run);
    char *text = run.report == NULL ? NULL : json_dumps(run.report, JSON_COMPACT);
    printf("%-8s %-18s %5.1f s  %u of %u found, p99 %.1f ms; links %lld, protocol %lld, asked %lld "
           " %s\n",
           test.failures == failures ? "held" : "FAILED", row->mode,
           (double)(process_now_ms() - begun_ms) / 1000, test.found, test.asked, p99(),
           (long long)run.links, (long long)run.links_protocol, (long long)run.asked,
           text == NULL ? "" : text);
    fflush(stdout);
    free(text);
    json_decref(run.report);
    process_free(run.process);
}

/* ---- The end ---- */

static void check_descriptors(uint32_t i) {
    int64_t until_ms = process_now_ms() + FDS_MS;
    uint32_t now;
    /* A link between two of them may be there that was not: those are few. */
    while ((now = open_fds(node_of(i))) > test.fds_before[i] + PEERS &&
           process_now_ms() < until_ms) {
        process_sleep_ms(200);
    }
    if (now > test.fds_before[i] + PEERS) {
        fault(NULL, "%s has %u descriptors open, %u before", node_of(i)->name, now,
              test.fds_before[i]);
    }
}

static void check_end(void) {
    uint64_t memory = 0;
    off_t log = 0;
    for (uint32_t i = 0; i < SUPERNODES + PEERS; i++) {
        const struct localnet_node *node = node_of(i);
        struct stat status;
        if (node->process == NULL) {
            continue;
        }
        check_descriptors(i);
        uint64_t its = localnet_memory_max(node);
        memory = its > memory ? its : memory;
        if (stat(node->log, &status) == 0 && status.st_size > log) {
            log = status.st_size;
        }
    }
    printf("at most %.1f MiB of memory, %.1f KiB of log in a process\n", (double)memory / (1 << 20),
           (double)log / 1024);
    if (memory > MEMORY_MAX || (uint64_t)log > LOG_MAX) {
        fault(NULL, "more memory or log than allowed");
    }
}

static void run_all(const char *mode, bool is_long) {
    for (uint32_t i = 0; i < SUPERNODES + PEERS; i++) {
        test.fds_before[i] = node_of(i)->process == NULL ? 0 : open_fds(node_of(i));
    }
    live_for(500);
    drain();
    begin_samples();
    live_for(BASELINE_MS);
    drain();
    test.baseline_p99 = p99();
    printf("before: %u of %u found, p99 %.1f ms\n", test.found, test.asked, test.baseline_p99);
    for (size_t i = 0; i < ROWS; i++) {
        bool is_chosen =
            mode == NULL ? is_long || !rows[i].is_long_only : strcmp(rows[i].mode, mode) == 0;
        if (is_chosen) {
            do_wrong(&rows[i]);
        }
    }
    check_end();
}

int main(int argc, char **argv) {
    const char *mode = NULL, *bin = BIN_DIR;
    bool is_long = false;
    for (int i = 1; i < argc; i++) {
        is_long = is_long || strcmp(argv[i], "--long") == 0;
        mode = i + 1 < argc && strcmp(argv[i], "--mode") == 0 ? argv[i + 1] : mode;
        bin = i + 1 < argc && strcmp(argv[i], "--bin") == 0 ? argv[i + 1] : bin;
    }
    test.bin = mem_string(bin);
    test.owner = owner_new("trunkline-bad");
    if (test.owner == NULL) {
        perror("badpeer_test");
        return 1;
    }
    char path[4096];
    snprintf(path, sizeof path, "%s/badpeer", bin);
    test.badpeer = mem_string(path);
    test.asker = asker_new();
    test.absent = PEERS;
    rng_seed(&test.rng, 3);
    start_network();
    learn_contents();
    run_all(mode, is_long);
    asker_cancel(test.asker);
    asker_free(test.asker);
    if (localnet_stop_all(&test.net) > 0) {
        fault(NULL, "%s", test.net.trouble);
    }
    for (uint32_t i = 0; i < BIGS; i++) {
        mem_free(test.bigs[i]);
    }
    localnet_free(&test.net);
    owner_free(test.owner);
    mem_free(test.badpeer);
    mem_free(test.bin);
    printf("%u failures\n", test.failures);
    return test.failures == 0 ? 0 : 1;
}
