/* cluster_look.c - `lab cluster status` and `top`: what every node of a running cluster does. */
#include "src/lab/cluster_look.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/units.h"
#include "src/cluster/ask.h"
#include "src/cluster/cluster_control.h"
#include "src/cluster/localnet.h"
#include "src/cluster/process.h"
#include "src/cluster/procfs.h"

#define STATUS_MS 2000
#define EVERY_MS 1000
#define NAME_BYTES 64

struct usage {
    int64_t at_us; /* when that was; 0 = never */
    pid_t pid;
    uint64_t cpu_ms;
    uint64_t in;
    uint64_t out;
    uint64_t queries; /* a supernode's: that came; a peer's: that it sent */
};

/* A node, or the supernode beside one. */
struct row {
    const json_t *node;
    char *dir; /* of its state */
    bool is_peer;
    bool is_beside;
    bool is_there;
    json_t *answer; /* NULL until it has come */
    struct usage before;
    struct usage now;
};

static volatile sig_atomic_t over;

static void on_interrupt(int number) {
    (void)number;
    over = 1;
}

static void on_answer(void *context, enum err err, const json_t *answer) {
    struct row *row = context;
    row->answer = err == OK ? json_deep_copy(answer) : NULL;
}

static uint64_t queries_of(const struct row *row) {
    for (size_t i = 0; i < json_array_size(row->answer); i++) {
        const json_t *object = json_array_get(row->answer, i);
        if (strcmp(localnet_text(object, "message"), "QUERY") == 0) {
            return (uint64_t)localnet_number(object, row->is_peer ? "sent" : "received");
        }
    }
    return 0;
}

static void use(struct row *row) {
    const json_t *status = localnet_find(row->answer, "status");
    pid_t pid = procfs_listener(row->dir);
    row->before = row->now;
    row->now = (struct usage){.at_us = process_now_us(),
                              .pid = pid,
                              .cpu_ms = procfs_cpu_ms(pid),
                              .in = localnet_bytes(status, "in"),
                              .out = localnet_bytes(status, "out"),
                              .queries = queries_of(row)};
}

/* Per second since the last time; of a process that was not the same then, 0. */
static double rate(const struct row *row, uint64_t before, uint64_t now) {
    double seconds = (double)(row->now.at_us - row->before.at_us) / 1e6;
    bool is_same = row->before.at_us != 0 && row->before.pid == row->now.pid;
    return is_same && now > before && seconds > 0 ? (double)(now - before) / seconds : 0;
}

struct figures {
    int64_t leaves;
    int64_t links;
    int64_t files;
    int64_t promotions;
    double queries_per_s;
    double in_per_s;
    double out_per_s;
    double cpu_percent;
    uint64_t memory;
};

static struct figures figures_of(const struct row *row) {
    const json_t *status = localnet_find(row->answer, "status");
    return (struct figures){.leaves = localnet_number(status, "leaves"),
                            .links = row->is_peer ? (int64_t)localnet_parents(row->answer)
                                                  : localnet_number(status, "neighbours"),
                            .files = localnet_number(status, "files"),
                            .promotions =
                                row->is_beside ? 0 : localnet_number(row->node, "promotions"),
                            .queries_per_s = rate(row, row->before.queries, row->now.queries),
                            .in_per_s = rate(row, row->before.in, row->now.in),
                            .out_per_s = rate(row, row->before.out, row->now.out),
                            .cpu_percent = rate(row, row->before.cpu_ms, row->now.cpu_ms) / 10,
                            .memory = procfs_resident(row->now.pid)};
}

static void name_of(const struct row *row, char name[NAME_BYTES]) {
    snprintf(name, NAME_BYTES, "%s%s", localnet_text(row->node, "name"),
             row->is_beside ? "/supernode" : "");
}

static void print_json(const struct row *row, const char *name) {
    const struct figures figures = figures_of(row);
    const json_t *status = localnet_find(row->answer, "status");
    json_t *object =
        json_pack("{s:s,s:s,s:b}", "kind", "node", "name", name, "answers", row->answer != NULL);
    if (status != NULL) {
        json_t *more =
            json_pack("{s:i,s:I,s:I,s:I,s:f,s:f,s:f,s:I,s:f,s:I}", "pid", (int)row->now.pid,
                      "leaves", (json_int_t)figures.leaves, "links", (json_int_t)figures.links,
                      "files", (json_int_t)figures.files, "queries_per_s", figures.queries_per_s,
                      "in_per_s", figures.in_per_s, "out_per_s", figures.out_per_s, "promotions",
                      (json_int_t)figures.promotions, "cpu_percent", figures.cpu_percent,
                      "memory_bytes", (json_int_t)figures.memory);
        json_object_update(object, more);
        json_decref(more);
        json_object_set(object, "status", (json_t *)(uintptr_t)status);
    }
    json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(object);
}

static void print_head(void) {
    printf("%-17s %6s %5s %7s %9s %10s %10s %4s %6s %10s\n", "", "leaves", "links", "files",
           "queries/s", "in/s", "out/s", "prom", "CPU", "memory");
}

static void print_row(const struct row *row) {
    char name[NAME_BYTES], in[UNITS_TEXT_BYTES], out[UNITS_TEXT_BYTES], memory[UNITS_TEXT_BYTES];
    const struct figures figures = figures_of(row);
    name_of(row, name);
    if (row->answer == NULL) {
        printf("%-17s does not answer\n", name);
        return;
    }
    units_bytes(in, (uint64_t)figures.in_per_s);
    units_bytes(out, (uint64_t)figures.out_per_s);
    units_bytes(memory, figures.memory);
    printf("%-17s %6" PRId64 " %5" PRId64 " %7" PRId64 " %9.1f %10s %10s %4" PRId64
           " %4.0f %% %10s\n",
           name, figures.leaves, figures.links, figures.files, figures.queries_per_s, in, out,
           figures.promotions, figures.cpu_percent, memory);
}

static void ask_all(struct asker *asker, struct row *rows, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        rows[i].is_there = !rows[i].is_beside || procfs_listener(rows[i].dir) != 0;
        const struct ask ask = {
            .state_dir = rows[i].dir, .command = "status", .timeout_ms = STATUS_MS};
        json_decref(rows[i].answer);
        rows[i].answer = NULL;
        if (rows[i].is_there) {
            asker_start(asker, &ask, on_answer, &rows[i]);
        }
    }
    while (asker_open(asker) > 0) {
        asker_step(asker, 50);
    }
    for (uint32_t i = 0; i < count; i++) {
        use(&rows[i]);
    }
}

/* As many rows as the terminal has lines; the supernodes come first. */
static uint32_t rows_shown(bool live, uint32_t count) {
    struct winsize size;
    if (live && isatty(1) && ioctl(1, TIOCGWINSZ, &size) == 0 && size.ws_row > 4) {
        return count < size.ws_row - 4u ? count : size.ws_row - 4u;
    }
    return count;
}

static void print_all(const char *name, const struct row *rows, uint32_t count, bool live) {
    uint32_t there = 0, shown = 0, nodes = 0, answers = 0;
    for (uint32_t i = 0; i < count; i++) {
        there += rows[i].is_there;
        nodes += !rows[i].is_beside;
        answers += !rows[i].is_beside && rows[i].answer != NULL;
    }
    uint32_t room = rows_shown(live, there);
    printf("%s%s: %u of %u nodes answer\n", live && isatty(1) ? "\033[H\033[2J" : "", name, answers,
           nodes);
    print_head();
    for (uint32_t i = 0; i < count && shown < room; i++) {
        if (rows[i].is_there) {
            print_row(&rows[i]);
            shown++;
        }
    }
    if (shown < there) {
        printf("... and %u more\n", there - shown);
    }
}

static void print_all_json(const struct row *rows, uint32_t count) {
    char name[NAME_BYTES];
    for (uint32_t i = 0; i < count; i++) {
        name_of(&rows[i], name);
        if (rows[i].is_there) {
            print_json(&rows[i], name);
        }
    }
}

/* A row for each node, a peer's followed by that of the supernode that may be beside it. */
static uint32_t make_rows(const json_t *nodes, struct row *rows) {
    uint32_t count = 0;
    char dir[4096];
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *node = json_array_get(nodes, i);
        bool is_peer = strcmp(localnet_text(node, "role"), "peer") == 0;
        rows[count++] = (struct row){
            .node = node, .dir = mem_string(localnet_text(node, "dir")), .is_peer = is_peer};
        if (is_peer) {
            snprintf(dir, sizeof dir, "%s/supernode", localnet_text(node, "dir"));
            rows[count++] = (struct row){.node = node, .dir = mem_string(dir), .is_beside = true};
        }
    }
    return count;
}

/* It says how often each was promoted; the nodes are the same all the time. */
static void read_again(const char *folder, json_t *nodes) {
    json_t *description;
    if (cluster_control_read(folder, &description) == OK) {
        const json_t *news = json_object_get(description, "nodes");
        for (size_t i = 0; i < json_array_size(nodes); i++) {
            json_object_set(json_array_get(nodes, i), "promotions",
                            json_object_get(json_array_get(news, i), "promotions"));
        }
        json_decref(description);
    }
}

int look_at_cluster(const char *folder, const json_t *description, bool json, bool live) {
    json_t *nodes = json_object_get(description, "nodes");
    struct row *rows = mem_array(2 * json_array_size(nodes) + 1, sizeof *rows);
    uint32_t count = make_rows(nodes, rows);
    struct asker *asker = asker_new();
    signal(SIGINT, on_interrupt);
    ask_all(asker, rows, count); /* rates are from one time to the next */
    do {
        process_sleep_ms(EVERY_MS);
        ask_all(asker, rows, count);
        read_again(folder, nodes);
        if (json) {
            print_all_json(rows, count);
        } else {
            print_all(localnet_text(description, "name"), rows, count, live);
        }
        fflush(stdout);
    } while (live && !over && cluster_control_runs(folder));
    for (uint32_t i = 0; i < count; i++) {
        json_decref(rows[i].answer);
        mem_free(rows[i].dir);
    }
    asker_free(asker);
    mem_free(rows);
    return 0;
}
