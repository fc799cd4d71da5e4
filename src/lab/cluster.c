/* cluster.c - `lab cluster`: the commands that own a network, and those that go to a running one.
 */
#include "src/lab/cluster.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/units.h"
#include "src/cluster/cluster.h"
#include "src/cluster/cluster_control.h"
#include "src/cluster/cluster_report.h"
#include "src/cluster/cluster_sample.h"
#include "src/cluster/proxy.h"
#include "src/lab/cluster_look.h"

#define TICK_MS 20
#define LINE_MS 1000    /* between redrawn lines on a terminal */
#define PLAIN_MS 10000  /* between lines elsewhere */
#define SETTLE_MS 60000 /* for downloads that are open at the end */
#define STOP_WAIT_MS 30000
#define STATUS_LACKING 3 /* exit status: no namespaces for this user or on this machine */

struct options {
    const char *command;
    const char *name; /* of the cluster, or NULL */
    const char *out;
    const char *from; /* a peer */
    bool json;
    bool netns;
    const char *fleet; /* how many peers it has, or NULL */
    int word_count;
    char *const *words;
};

static int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int complain(const char *format, ...) {
    va_list args;
    fflush(stdout);
    fprintf(stderr, "lab cluster: ");
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return 1;
}

/* ---- Owning a network ---- */

/* Ctrl-C once: stop what is under way, and report. Twice: end everything at once. */
static volatile sig_atomic_t interrupted;
static struct sigaction end_at_once[NSIG];

static void on_interrupt(int number) {
    interrupted = 1;
    sigaction(number, &end_at_once[number], NULL);
}

static void watch_interrupts(void) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_interrupt};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        sigaction(numbers[i], &action, &end_at_once[numbers[i]]);
    }
}

struct showing {
    const struct options *options;
    int64_t shown_ms;
    bool is_begun;
};

static void show_line(struct showing *showing, const struct cluster *cluster) {
    const struct cluster_counts *counts = &cluster->counts;
    uint32_t running = 0;
    for (uint32_t i = 0; i < cluster->member_count; i++) {
        running += cluster->members[i].state == CLUSTER_RUNNING;
    }
    bool terminal = isatty(1);
    int64_t now = process_now_ms();
    if (showing->options->json || now - showing->shown_ms < (terminal ? LINE_MS : PLAIN_MS)) {
        return;
    }
    showing->shown_ms = now;
    char memory[UNITS_TEXT_BYTES];
    units_bytes(memory, cluster->memory_total_max);
    printf("%s%5.0f s  %u of %u nodes  %3.0f %% registered", terminal ? "\r" : "",
           showing->is_begun ? (double)cluster_now(cluster) / 1000 : 0.0, running,
           cluster->member_count, 100 * sample_registered(cluster));
    if (counts->searches > 0) {
        printf("  found %" PRIu64 "/%" PRIu64, counts->found, counts->searches);
    }
    if (counts->downloads > 0) {
        printf("  fetched %" PRIu64 "/%" PRIu64, counts->downloads_done, counts->downloads);
    }
    printf("  %s%s", memory, terminal ? "\033[K" : "\n");
    fflush(stdout);
}

static void end_line(const struct showing *showing) {
    if (!showing->options->json && isatty(1)) {
        printf("\r\033[K");
        fflush(stdout);
    }
}

static void on_beginning(void *context, const struct cluster *cluster) {
    show_line(context, cluster);
}

static void show_checks(struct cluster *cluster) {
    for (uint32_t i = 0; i < cluster->spec.check_count; i++) {
        const struct outcome *outcome = &cluster->outcomes[i];
        printf("  %-8s %-32s %.6g\n", outcome->is_held ? "held" : "NOT HELD",
               cluster->spec.checks[i].text, outcome->value);
    }
}

static void show_result(const struct options *options, struct cluster *cluster, uint32_t untidy) {
    const struct cluster_counts *counts = &cluster->counts;
    if (options->json) {
        json_t *result = report_json(cluster, untidy);
        json_object_set_new(result, "kind", json_string("result"));
        json_object_set_new(result, "folder", json_string(cluster->folder));
        json_dumpf(result, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(result);
        return;
    }
    char memory[UNITS_TEXT_BYTES];
    units_bytes(memory, cluster->memory_total_max);
    printf("%" PRIu64 " of %" PRIu64 " searches found what was there, median %.1f ms, p99 %.1f ms\n"
           "%" PRIu64 " of %" PRIu64 " downloads are done, %" PRIu64 " with wrong bytes\n"
           "%u gaps without a parent, p99 %.1f s; %" PRIu64 " crashes; at most %s of memory\n",
           counts->found, counts->searches, series_quantile(&cluster->latencies, 0.5),
           series_quantile(&cluster->latencies, 0.99), counts->downloads_done, counts->downloads,
           counts->downloads_wrong, cluster->gaps.count,
           series_quantile(&cluster->gaps, 0.99) / 1000, counts->crashes, memory);
    if (cluster->agains.count > 0) {
        printf("%u times a peer lost a parent; it searched again after %.1f ms (median), %.1f ms "
               "(p99)\n",
               cluster->agains.count, series_quantile(&cluster->agains, 0.5),
               series_quantile(&cluster->agains, 0.99));
    }
    show_checks(cluster);
    printf("%s; the report is %s/report.html\n",
           report_is_good(cluster, untidy) ? "All of it held" : "NOT GOOD", cluster->folder);
}

/* `run` ends by itself, `up` when it is told to. */
static bool goes_on(const struct options *options, const struct cluster *cluster) {
    return !interrupted && !cluster->is_stopping &&
           (strcmp(options->command, "up") == 0 ||
            cluster_now(cluster) <= (int64_t)cluster->spec.duration_ms);
}

static enum err live(const struct options *options, struct cluster *cluster) {
    struct showing showing = {.options = options};
    enum err err = cluster_begin(cluster, on_beginning, &showing);
    if (err == OK && strcmp(options->command, "up") == 0 && !options->json) {
        end_line(&showing);
        printf("%s is up: %u supernodes and %u peers. In another terminal:\n"
               "  lab cluster top|status|search WORDS|get WORDS|fault EVENT|stop --name %s\n",
               cluster->spec.name, cluster->spec.supernodes, cluster->spec.peers,
               cluster->spec.name);
    }
    showing.is_begun = true;
    while (err == OK && goes_on(options, cluster)) {
        cluster_tick(cluster, TICK_MS);
        show_line(&showing, cluster);
    }
    if (err == OK) {
        cluster_settle(cluster, interrupted ? 0 : SETTLE_MS);
    }
    end_line(&showing);
    return err;
}

static char *folder_of(const struct options *options, const char *name) {
    return options->out != NULL ? mem_string(options->out) : cluster_folder(name);
}

static bool find_programs(char bin[4096]) {
    ssize_t len = readlink("/proc/self/exe", bin, 4095);
    bin[len > 0 ? len : 0] = '\0';
    char *slash = strrchr(bin, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    return slash != NULL;
}

static int own(const struct options *options) {
    struct spec spec;
    struct cluster cluster;
    char why[SPEC_TROUBLE_BYTES], bin[4096];
    if (options->word_count != 1) {
        complain("`%s` takes the file of a network; there are some in docs/clusters",
                 options->command);
        return 2;
    }
    if (spec_read(&spec, options->words[0], why) != OK) {
        spec_free(&spec);
        complain("%s", why);
        return 2;
    }
    if (options->name != NULL) {
        snprintf(spec.name, sizeof spec.name, "%s", options->name);
    }
    spec.is_netns = spec.is_netns || options->netns;
    if (options->fleet != NULL && !spec_take_fleet(&spec, options->fleet)) {
        spec_free(&spec);
        complain("--fleet: write a number from 0 to %d", SPEC_FLEET_MAX);
        return 2;
    }
    if (strcmp(options->command, "up") == 0) { /* a person breaks it and looks at it */
        spec.event_count = spec.check_count = 0;
        spec.search_milli = spec.download_milli = 0;
    }
    if (!find_programs(bin)) {
        spec_free(&spec);
        return complain("cannot tell where this program is; is /proc mounted?");
    }
    char *folder = folder_of(options, spec.name);
    enum err err = cluster_new(&cluster, &spec, bin, folder);
    spec_free(&spec);
    if (err == OK) {
        watch_interrupts();
        err = live(options, &cluster);
    }
    uint32_t untidy = cluster_stop(&cluster);
    int status = 1;
    if (err != OK) {
        complain("%s", cluster.trouble);
        status = cluster.is_lacking ? STATUS_LACKING : 1;
    } else if (!report_write(&cluster, untidy)) {
        complain("%s", cluster.trouble);
    } else {
        show_result(options, &cluster, untidy);
        status = report_is_good(&cluster, untidy) ? 0 : 1;
    }
    cluster_free(&cluster);
    mem_free(folder);
    return status;
}

/* ---- Going to a running one ---- */

static int nobody(const char *folder) {
    return complain("no cluster runs in %s; start one with `lab cluster up FILE`", folder);
}

static int send_line(const struct options *options, const char *line) {
    char answer[512];
    char *folder = folder_of(options, options->name != NULL ? options->name : "cluster");
    enum err err = cluster_control_send(folder, line, answer, sizeof answer);
    int status = 0;
    if (err == ERR_NOT_FOUND) {
        status = nobody(folder);
    } else if (err != OK) {
        status = complain("%s", answer[0] != '\0' ? answer : "it does not answer");
    } else if (options->json) {
        puts("{\"kind\":\"done\"}");
    }
    mem_free(folder);
    return status;
}

static int fault(const struct options *options) {
    char line[SPEC_TEXT_BYTES + 8] = "fault";
    size_t len = strlen(line);
    for (int i = 0; i < options->word_count && len < sizeof line - 1; i++) {
        len += (size_t)snprintf(line + len, sizeof line - len, " %s", options->words[i]);
    }
    if (options->word_count == 0 || len >= sizeof line - 1) {
        complain("`fault` takes an event such as `kill supernode 1`");
        return 2;
    }
    return send_line(options, line);
}

/* Returns when it has ended and everything is written. */
static int stop(const struct options *options) {
    char *folder = folder_of(options, options->name != NULL ? options->name : "cluster");
    int status = send_line(options, "stop");
    int64_t until = process_now_ms() + STOP_WAIT_MS;
    while (status == 0 && cluster_control_runs(folder)) {
        if (process_now_ms() > until) {
            status = complain("it is still stopping");
        }
        process_sleep_ms(50);
    }
    mem_free(folder);
    return status;
}

/* The state folder of the peer that is meant, or of the first. */
static const char *dir_of(const json_t *description, const char *from) {
    const json_t *nodes = json_object_get(description, "nodes");
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *node = json_array_get(nodes, i);
        if (from != NULL ? strcmp(localnet_text(node, "name"), from) == 0
                         : strcmp(localnet_text(node, "role"), "peer") == 0) {
            return localnet_text(node, "dir");
        }
    }
    return NULL;
}

/* `search` and `get` are those of peer(1), for one of the cluster's peers. */
static int become_peer(const struct options *options) {
    const char *words[64];
    char program[4096];
    json_t *description;
    char *folder = folder_of(options, options->name != NULL ? options->name : "cluster");
    if (cluster_control_read(folder, &description) != OK) {
        int status = nobody(folder);
        mem_free(folder);
        return status;
    }
    mem_free(folder);
    const char *dir = dir_of(description, options->from);
    if (dir == NULL || options->word_count > 50) {
        json_decref(description);
        return complain(dir == NULL ? "there is no such peer; `lab cluster status` lists them"
                                    : "too many words");
    }
    snprintf(program, sizeof program, "%s/peer", localnet_text(description, "bin"));
    int count = 0;
    words[count++] = program;
    words[count++] = options->command;
    words[count++] = "--dir";
    words[count++] = dir;
    if (options->json) {
        words[count++] = "--json";
    }
    words[count++] = "--";
    for (int i = 0; i < options->word_count; i++) {
        words[count++] = options->words[i];
    }
    words[count] = NULL;
    execv(program, (char *const *)(uintptr_t)words);
    json_decref(description);
    return complain("%s: %s", program, strerror(errno));
}

static int look(const struct options *options) {
    json_t *description;
    char *folder = folder_of(options, options->name != NULL ? options->name : "cluster");
    bool live_view = strcmp(options->command, "top") == 0;
    if (cluster_control_read(folder, &description) != OK) {
        int status = nobody(folder);
        mem_free(folder);
        return status;
    }
    int status = look_at_cluster(folder, description, options->json, live_view);
    json_decref(description);
    mem_free(folder);
    return status;
}

/* ---- Commands ---- */

static const struct command {
    const char *name;
    int (*run)(const struct options *options);
    const char *words;
    const char *help;
} commands[] = {
    {"run", own, "FILE", "start, break and check a network as its file says, report, stop"},
    {"up", own, "FILE", "start a network and keep it until Ctrl-C or `stop`"},
    {"status", look, "", "what every node is doing"},
    {"top", look, "", "the same, live"},
    {"search", become_peer, "WORDS", "search from one of its peers (--from NODE)"},
    {"get", become_peer, "WHAT", "fetch with one of its peers (--from NODE)"},
    {"fault", fault, "EVENT", "kill, stop, freeze, thaw, start or link, as in a schedule"},
    {"stop", stop, "", "stop it and write its report"},
};
#define COMMANDS (sizeof commands / sizeof *commands)

static void usage(FILE *file) {
    fprintf(file, "usage: lab cluster COMMAND [OPTIONS] [WORDS]\n\n");
    for (size_t i = 0; i < COMMANDS; i++) {
        fprintf(file, "  %-8s %-7s %s\n", commands[i].name, commands[i].words, commands[i].help);
    }
    fprintf(file,
            "\nOptions:\n"
            "  --name NAME    of the cluster, instead of what its file says, or `cluster`\n"
            "  --out FOLDER   where the run's logs, figures and report go\n"
            "  --from NODE    which peer searches or fetches, such as peer-03\n"
            "  --fleet N      so many more peers, in one process\n"
            "  --netns        a network namespace for each node, with an address of its own;\n"
            "                 as root only\n"
            "  --json         print JSON, one object per line\n");
}

/* Read the options in front of and between the words; false when one is wrong. */
static bool read_options(struct options *options, int argc, char *const *argv, char **words) {
    bool only_words = false;
    for (int i = 2; i < argc; i++) {
        const char **value = only_words                        ? NULL
                             : strcmp(argv[i], "--name") == 0  ? &options->name
                             : strcmp(argv[i], "--out") == 0   ? &options->out
                             : strcmp(argv[i], "--from") == 0  ? &options->from
                             : strcmp(argv[i], "--fleet") == 0 ? &options->fleet
                                                               : NULL;
        if (value != NULL && i + 1 < argc) {
            *value = argv[++i];
        } else if (!only_words && strcmp(argv[i], "--json") == 0) {
            options->json = true;
        } else if (!only_words && strcmp(argv[i], "--netns") == 0) {
            options->netns = true;
        } else if (!only_words && strcmp(argv[i], "--") == 0) {
            only_words = true;
        } else if (!only_words && argv[i][0] == '-' && argv[i][1] == '-') {
            return false;
        } else {
            words[options->word_count++] = argv[i];
        }
    }
    options->words = words;
    return true;
}

int cluster_run(int argc, char *const *argv) {
    struct options options = {.command = argc > 1 ? argv[1] : ""};
    if (strcmp(options.command, "--help") == 0 || strcmp(options.command, "-h") == 0) {
        usage(stdout);
        return 0;
    }
    char **words = mem_array((size_t)argc + 1, sizeof *words);
    int status = 2;
    bool known = false;
    bool good = read_options(&options, argc, argv, words);
    if (good && options.name != NULL && !spec_name_ok(options.name)) {
        complain("a cluster's name is 1 to 32 letters, digits, `-`, `_` and `.`");
        known = true;
    } else if (good) {
        for (size_t i = 0; i < COMMANDS && !known; i++) {
            if (strcmp(commands[i].name, options.command) == 0) {
                known = true;
                status = commands[i].run(&options);
            }
        }
    }
    if (!known) {
        usage(stderr);
    }
    mem_free(words);
    return status;
}

int cluster_proxy_run(int argc, char *const *argv) {
    if (argc != 2 || argv[1][0] == '-') {
        fprintf(stderr, "usage: lab proxy SOCKET\n");
        return 2;
    }
    return proxy_run(argv[1]);
}
