/* demo.c - shows a network of real processes at work, step by step, with figures. */
#include "src/lab/demo.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/units.h"
#include "src/cluster/deal.h"
#include "src/cluster/localnet.h"
#include "src/lab/show.h"

#define SUPERNODES 3
#define PEERS 12
#define SOURCES 4 /* of a file that has several */
#define FILES_WITH_ONE (PEERS * 3)
#define FILES_WITH_FOUR 12
#define READER (PEERS - 1) /* the peer that searches and fetches */
#define SMALL_FETCHES 3    /* of each kind */
#define BIG_NAME "whale-song-field-recordings.bin"
#define BIG_WORDS "whale song recordings"
#define BIG_MIB 256
#define BIG_MIB_MAX 65536
#define SPARE_MIB 64 /* beside the big file and its copy: stores, logs, small files */
#define UPLOAD_RATE "8M"
#define UPLOAD_MIB_PER_S 8
#define SETTLE_MS 60000
#define SEARCH_MS 20000
#define GET_MS 30000
#define LINE_MS 30000 /* a fetch that says nothing for so long has failed */

struct demo {
    struct owner *owner;
    struct localnet net;
    struct deal deal;
    char *big;
    uint64_t big_mib;
    uint32_t step;
    int64_t begun_ms;
};

/* What a search found of the wanted file. */
struct found {
    char content[CONTENT_TEXT_BYTES];
    int64_t sources;
};

static bool failed(struct demo *demo, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Say why the demo ends here; always false. */
static bool failed(struct demo *demo, const char *format, ...) {
    va_list args;
    fflush(stdout);
    fprintf(stderr, "\nlab demo: step %u failed: ", demo->step);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return false;
}

static struct localnet_node *reader(struct demo *demo) {
    return &demo->net.peers[READER];
}

/* Better said at the start than found out by a peer in the middle. */
static bool has_room(struct demo *demo) {
    struct statvfs room;
    uint64_t wanted = 2 * demo->big_mib + SPARE_MIB;
    if (statvfs(owner_folder(demo->owner), &room) != 0) {
        return failed(demo, "statvfs of the folder: %s", strerror(errno));
    }
    uint64_t free_mib = (uint64_t)room.f_bavail * room.f_frsize >> 20;
    return free_mib >= wanted ||
           failed(demo,
                  "there is room for %llu MiB and it takes %llu;\n"
                  "set TMPDIR to a folder with more, or let it fetch less with --mib N",
                  (unsigned long long)free_mib, (unsigned long long)wanted);
}

/* ---- The steps ---- */

static bool make_network(struct demo *demo, const char *bin) {
    int64_t start = process_now_ms();
    if (!has_room(demo)) {
        return false;
    }
    if (localnet_init(&demo->net, demo->owner, bin, SUPERNODES, PEERS) != OK) {
        return failed(demo, "%s", demo->net.trouble);
    }
    show_result("%d keys, an anchor's certificate for %d of them, a network file", SUPERNODES,
                SUPERNODES - 1);
    show_time(start);
    return true;
}

/* Lay a file into peers `first`, first + 3, ... so that it has `sources` of them. */
static bool lay(struct demo *demo, const struct dealt_file *file, uint32_t first,
                uint32_t sources) {
    for (uint32_t i = 0; i < sources; i++) {
        const struct localnet_node *peer = &demo->net.peers[(first + i * PEERS / SOURCES) % PEERS];
        char to[4096];
        snprintf(to, sizeof to, "%s/%s", peer->files, file->name);
        enum err err = deal_copy(file->path, to);
        if (err != OK) {
            return failed(demo, "cannot copy %s to %s: %s", file->path, to, err_text(err));
        }
    }
    return true;
}

static bool deal_small(struct demo *demo) {
    int64_t start = process_now_ms();
    static const char *const roots[] = {"/usr/share/common-licenses", "/usr/share/doc", ".", NULL};
    deal_choose(&demo->deal, roots, FILES_WITH_ONE + FILES_WITH_FOUR);
    const struct deal *deal = &demo->deal;
    if (deal->count < FILES_WITH_ONE) {
        return failed(demo,
                      "only %u fit files in /usr/share/doc and in this folder;\n"
                      "run it in the source tree",
                      deal->count);
    }
    uint64_t bytes = 0;
    uint32_t four = deal->count * FILES_WITH_FOUR / (FILES_WITH_ONE + FILES_WITH_FOUR);
    for (uint32_t i = 0; i < deal->count; i++) {
        bytes += deal->files[i].size;
        if (!lay(demo, &deal->files[i], i % PEERS, i < four ? SOURCES : 1)) {
            return false;
        }
    }
    char size[UNITS_TEXT_BYTES];
    units_bytes(size, bytes);
    show_result("%u local files (%s): %u with 1 source, %u with %d", deal->count, size,
                deal->count - four, four, SOURCES);
    show_time(start);
    return true;
}

/* One file, linked into four folders: the sources are four processes all the same. */
static bool deal_big(struct demo *demo) {
    int64_t start = process_now_ms();
    demo->big = owner_path(demo->owner, BIG_NAME);
    enum err err = deal_generate(demo->big, demo->big_mib << 20, (uint64_t)start);
    if (err != OK) {
        return failed(demo, "cannot write %s: %s", demo->big, err_text(err));
    }
    for (uint32_t i = 0; i < SOURCES; i++) {
        struct localnet_node *peer = &demo->net.peers[i];
        char to[4096];
        snprintf(to, sizeof to, "%s/%s", peer->files, BIG_NAME);
        peer->upload_rate = UPLOAD_RATE;
        if (link(demo->big, to) != 0) {
            return failed(demo, "cannot link %s: %s", to, strerror(errno));
        }
    }
    show_result("a generated file of %llu MiB, %d sources held to %d MiB/s each",
                (unsigned long long)demo->big_mib, SOURCES, UPLOAD_MIB_PER_S);
    show_time(start);
    return true;
}

static bool start_nodes(struct demo *demo, struct localnet_node *nodes, uint32_t count,
                        const char *what) {
    int64_t start = process_now_ms();
    for (uint32_t i = 0; i < count; i++) {
        if (localnet_start(&demo->net, &nodes[i]) != OK) {
            show_file_end(nodes[i].log, stderr);
            return failed(demo, "%s", demo->net.trouble);
        }
    }
    show_result("%u %s run, %s to %s", count, what, nodes[0].address, nodes[count - 1].address);
    show_time(start);
    return true;
}

static bool settle(struct demo *demo) {
    int64_t start = process_now_ms();
    if (localnet_settle(&demo->net, SETTLE_MS) != OK) {
        return failed(demo, "%s", demo->net.trouble);
    }
    show_result("supernodes linked to each other, every peer to two of them");
    show_time(start);
    return true;
}

static void show_hits(const json_t *answer) {
    enum { SHOWN = 3 };
    int shown = 0, hits = 0;
    for (size_t i = 0; i < json_array_size(answer); i++) {
        const json_t *hit = json_array_get(answer, i);
        if (strcmp(localnet_text(hit, "kind"), "hit") != 0) {
            continue;
        }
        hits++;
        if (shown < SHOWN) {
            char size[UNITS_TEXT_BYTES];
            units_bytes(size, (uint64_t)localnet_number(hit, "size"));
            printf("       %10s  %lld source%s  %s\n", size,
                   (long long)localnet_number(hit, "sources"),
                   localnet_number(hit, "sources") == 1 ? " " : "s", localnet_text(hit, "name"));
            shown++;
        }
    }
    if (hits > shown) {
        printf("       ... and %d more\n", hits - shown);
    }
}

/* Search for `words` and pick the hit called `name`, as often as it takes until it is indexed. */
static bool search(struct demo *demo, const char *words, const char *name, struct found *found) {
    int64_t start = process_now_ms();
    json_t *answer;
    *found = (struct found){0};
    if (localnet_ask(&demo->net, reader(demo), (const char *const[]){"search", words, NULL},
                     SEARCH_MS, &answer) != OK) {
        return failed(demo, "%s", demo->net.trouble);
    }
    for (size_t i = 0; i < json_array_size(answer); i++) {
        const json_t *hit = json_array_get(answer, i);
        if (strcmp(localnet_text(hit, "name"), name) == 0 &&
            localnet_number(hit, "sources") >= found->sources) {
            snprintf(found->content, sizeof found->content, "%s", localnet_text(hit, "content"));
            found->sources = localnet_number(hit, "sources");
        }
    }
    show_result("search \"%s\", reached %lld supernodes:", words,
                (long long)localnet_number(localnet_find(answer, "end"), "reached"));
    show_time(start);
    show_hits(answer);
    json_decref(answer);
    return found->content[0] != '\0' || failed(demo, "%s was not found", name);
}

/* Compare two files by what Debian's sha256sum says of them. */
static bool same_by_sha256sum(struct demo *demo, const char *original, const char *copy,
                              char digest[65]) {
    struct buf out = {0};
    int status;
    const struct process_options options = {
        .argv = (const char *const[]){"sha256sum", "--", original, copy, NULL}};
    enum err err = process_capture(demo->owner, &options, GET_MS, &out, &status);
    const char *first = (const char *)out.data, *second = strchr(first, '\n');
    bool same = err == OK && status == 0 && out.len > 2 * 65 && second != NULL &&
                memcmp(first, second + 1, 64) == 0;
    snprintf(digest, 65, "%.64s", first);
    if (!same) {
        failed(demo, "sha256sum says otherwise:\n%s", first);
    }
    buf_free(&out);
    return same;
}

/* Follow `peer get` to its end; the bar is drawn when the file is big. */
static bool fetch(struct demo *demo, const struct found *found, bool bar, char path[4096]) {
    struct process *process;
    struct buf line = {0};
    path[0] = '\0';
    if (localnet_command(&demo->net, reader(demo),
                         (const char *const[]){"get", found->content, NULL}, &process) != OK) {
        return failed(demo, "%s", demo->net.trouble);
    }
    enum err err;
    int64_t shown_ms = 0;
    while ((err = process_line(process, &line, LINE_MS)) == OK) {
        json_t *object = json_loads((const char *)line.data, 0, NULL);
        const char *kind = localnet_text(object, "kind");
        if (bar && strcmp(kind, "progress") == 0) {
            const struct show_progress progress = {
                .done = (uint64_t)localnet_number(object, "done"),
                .size = (uint64_t)localnet_number(object, "size"),
                .rate = (uint64_t)localnet_number(object, "rate"),
                .sources = (uint32_t)localnet_number(object, "sources"),
            };
            show_bar(&progress, &shown_ms);
        } else if (strcmp(kind, "finished") == 0) {
            snprintf(path, 4096, "%s", localnet_text(object, "path"));
        }
        json_decref(object);
    }
    int status = -1;
    err = err == ERR_CLOSED ? process_wait(process, GET_MS, &status) : err;
    process_free(process);
    buf_free(&line);
    if (bar) {
        show_bar_end();
    }
    return (err == OK && status == 0 && path[0] != '\0') ||
           failed(demo, "peer get: %s, status %d; see %s", err_text(err), status,
                  reader(demo)->log);
}

/* Names become the words of a search: what a person would type. */
static void words_of_name(char words[256], const char *name) {
    snprintf(words, 256, "%s", name);
    for (char *p = words; *p != '\0'; p++) {
        *p = strchr("-_.,+~()[]{}#:'", *p) != NULL ? ' ' : *p;
    }
}

/* True when peer READER was dealt that file itself. */
static bool reader_has(const struct demo *demo, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", demo->net.peers[READER].files, name);
    return access(path, F_OK) == 0;
}

static bool fetch_small(struct demo *demo, const struct dealt_file *file) {
    char words[256], path[4096], digest[65];
    struct found found;
    words_of_name(words, file->name);
    if (!search(demo, words, file->name, &found)) {
        return false;
    }
    int64_t start = process_now_ms();
    if (!fetch(demo, &found, false, path) || !same_by_sha256sum(demo, file->path, path, digest)) {
        return false;
    }
    show_result("fetched and compared: sha256sum %.16s... twice", digest);
    show_time(start);
    return true;
}

/* Fetch some files with four sources (they come first) and some with one. */
static bool fetch_several(struct demo *demo) {
    uint32_t four = demo->deal.count * FILES_WITH_FOUR / (FILES_WITH_ONE + FILES_WITH_FOUR);
    for (uint32_t kind = 0; kind < 2; kind++) {
        uint32_t done = 0;
        for (uint32_t i = kind == 0 ? 0 : four; i < demo->deal.count && done < SMALL_FETCHES;
             i += 5) {
            if (!reader_has(demo, demo->deal.files[i].name)) {
                if (!fetch_small(demo, &demo->deal.files[i])) {
                    return false;
                }
                done++;
            }
        }
    }
    return true;
}

static bool fetch_big(struct demo *demo) {
    struct found found;
    char path[4096], digest[65];
    if (!search(demo, BIG_WORDS, BIG_NAME, &found)) {
        return false;
    }
    if (found.sources != SOURCES) {
        return failed(demo, "%lld sources instead of %d", (long long)found.sources, SOURCES);
    }
    int64_t start = process_now_ms();
    if (!fetch(demo, &found, true, path)) {
        return false;
    }
    double seconds = (double)(process_now_ms() - start) / 1000;
    show_result("%llu MiB in %.1f s: %.1f MiB/s from %d sources of %d MiB/s",
                (unsigned long long)demo->big_mib, seconds, (double)demo->big_mib / seconds,
                SOURCES, UPLOAD_MIB_PER_S);
    show_time(start);
    start = process_now_ms();
    if (!same_by_sha256sum(demo, demo->big, path, digest)) {
        return false;
    }
    show_result("compared with the original: sha256sum %.16s... twice", digest);
    show_time(start);
    return true;
}

static bool stop_nodes(struct demo *demo) {
    int64_t start = process_now_ms();
    uint32_t untidy = localnet_stop_all(&demo->net);
    if (untidy > 0) {
        return failed(demo, "%u processes did not end as they should: %s", untidy,
                      demo->net.trouble);
    }
    show_result("%d processes have ended, the folder is removed", SUPERNODES + PEERS);
    show_time(start);
    return true;
}

static bool start_supernodes(struct demo *demo) {
    return start_nodes(demo, demo->net.supernodes, SUPERNODES, "supernodes");
}

static bool start_peers(struct demo *demo) {
    return start_nodes(demo, demo->net.peers, PEERS, "peers") && settle(demo);
}

static bool deal_files(struct demo *demo) {
    return deal_small(demo) && deal_big(demo);
}

static bool make_here(struct demo *demo) {
    char self[4096];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    self[len > 0 ? len : 0] = '\0';
    char *slash = strrchr(self, '/');
    if (slash == NULL) {
        return failed(demo, "cannot tell where this program is; is /proc mounted?");
    }
    *slash = '\0';
    return make_network(demo, self);
}

static const struct {
    const char *title;
    bool (*run)(struct demo *demo);
} steps[] = {
    {"A network is made", make_here},
    {"Files are dealt out", deal_files},
    {"Supernodes start", start_supernodes},
    {"Peers start and join", start_peers},
    {"A peer searches and fetches small files", fetch_several},
    {"The same peer fetches a big file from four sources", fetch_big},
    {"Everything is stopped", stop_nodes},
};

/* Read `--mib N`; false when something else stands there. */
static bool read_options(struct demo *demo, int argc, char *const *argv) {
    demo->big_mib = BIG_MIB;
    for (int i = 1; i < argc; i++) {
        char *end = NULL;
        if (strcmp(argv[i], "--mib") == 0 && i + 1 < argc) {
            demo->big_mib = strtoull(argv[++i], &end, 10);
        }
        if (end == NULL || *end != '\0' || demo->big_mib < 1 || demo->big_mib > BIG_MIB_MAX) {
            return false;
        }
    }
    return true;
}

static void usage(FILE *file) {
    fprintf(
        file,
        "usage: lab demo [--mib N]\n\n"
        "Starts %d supernodes and %d peers as processes on 127.x.y.z addresses, shares files\n"
        "of this machine, searches, fetches (a file of N MiB, %d by default, from %d sources),\n"
        "compares with sha256sum, and stops them all, also on Ctrl-C. Needs about twice N MiB\n"
        "in $TMPDIR (or /tmp).\n",
        SUPERNODES, PEERS, BIG_MIB, SOURCES);
}

int demo_run(int argc, char *const *argv) {
    struct demo demo = {.begun_ms = process_now_ms()};
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        usage(stdout);
        return 0;
    }
    if (!read_options(&demo, argc, argv)) {
        usage(stderr);
        return 2;
    }
    demo.owner = owner_new("trunkline-demo");
    if (demo.owner == NULL) {
        fprintf(stderr, "lab demo: cannot make a folder in $TMPDIR or /tmp: %s\n", strerror(errno));
        return 1;
    }
    printf("Trunkline on one machine: %d supernodes and %d peers, each a process of its own,\n"
           "in %s\n",
           SUPERNODES, PEERS, owner_folder(demo.owner));
    bool good = true;
    for (size_t i = 0; i < sizeof steps / sizeof *steps && good; i++) {
        demo.step = (uint32_t)i + 1;
        show_step(demo.step, (uint32_t)(sizeof steps / sizeof *steps), steps[i].title);
        good = steps[i].run(&demo);
    }
    mem_free(demo.big);
    deal_free(&demo.deal);
    localnet_free(&demo.net);
    owner_free(demo.owner);
    if (good) {
        printf("\nAll of it worked, in %.1f s.\n",
               (double)(process_now_ms() - demo.begun_ms) / 1000);
    }
    return good ? 0 : 1;
}
