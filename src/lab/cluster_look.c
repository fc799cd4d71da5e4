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

#define STATUS_MS 2000
#define EVERY_MS 1000

struct row {
    const json_t *node;
    enum err err;
    json_t *answer; /* NULL until it has come */
    uint64_t bytes; /* sent and received, of the time before */
    uint64_t queries;
};

static volatile sig_atomic_t over;

static void on_interrupt(int number) {
    (void)number;
    over = 1;
}

static void on_answer(void *context, enum err err, const json_t *answer) {
    struct row *row = context;
    row->err = err;
    row->answer = json_deep_copy(answer);
}

static void print_row(struct row *row, bool json) {
    const json_t *status = localnet_find(row->answer, "status");
    const char *name = localnet_text(row->node, "name");
    bool peer = strcmp(localnet_text(row->node, "role"), "peer") == 0;
    uint64_t bytes =
        (uint64_t)(localnet_number(status, "bytes_in") + localnet_number(status, "bytes_out"));
    if (json) {
        json_t *object =
            json_pack("{s:s,s:s,s:b}", "kind", "node", "name", name, "answers", status != NULL);
        if (status != NULL) {
            json_object_set(object, "status", (json_t *)(uintptr_t)status);
        }
        json_dumpf(object, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(object);
    } else if (status == NULL) {
        printf("%-14s %-22s does not answer\n", name, localnet_text(row->node, "address"));
    } else if (peer) {
        printf("%-14s %-22s %2u parents %7" PRId64 " files %4" PRId64 " uploads %4" PRId64
               " downloads\n",
               name, localnet_text(row->node, "address"), localnet_parents(row->answer),
               localnet_number(status, "files"), localnet_number(status, "uploads"),
               localnet_number(status, "downloads"));
    } else {
        char rate[UNITS_TEXT_BYTES];
        units_bytes(rate, row->bytes == 0 || bytes < row->bytes ? 0 : bytes - row->bytes);
        printf("%-14s %-22s %3" PRId64 " leaves %7" PRId64 " files %3" PRId64
               " neighbours %4" PRId64 " open %10s/s\n",
               name, localnet_text(row->node, "address"), localnet_number(status, "leaves"),
               localnet_number(status, "files"), localnet_number(status, "neighbours"),
               localnet_number(status, "open"), rate);
    }
    row->bytes = bytes;
}

static void ask_all(struct asker *asker, struct row *rows, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const struct ask ask = {.state_dir = localnet_text(rows[i].node, "dir"),
                                .command = "status",
                                .timeout_ms = STATUS_MS};
        asker_start(asker, &ask, on_answer, &rows[i]);
    }
    while (asker_open(asker) > 0) {
        asker_step(asker, 50);
    }
}

/* As many rows as the terminal has lines; the supernodes come first. */
static uint32_t rows_shown(bool live, uint32_t count) {
    struct winsize size;
    if (live && isatty(1) && ioctl(1, TIOCGWINSZ, &size) == 0 && size.ws_row > 3) {
        return count < size.ws_row - 3u ? count : size.ws_row - 3u;
    }
    return count;
}

static void print_all(const json_t *description, struct row *rows, uint32_t count, bool json,
                      bool live) {
    uint32_t shown = json ? count : rows_shown(live, count), answers = 0;
    for (uint32_t i = 0; i < count; i++) {
        answers += rows[i].err == OK;
    }
    if (!json) {
        printf("%s%s: %u of %u nodes answer\n", live && isatty(1) ? "\033[H\033[2J" : "",
               localnet_text(description, "name"), answers, count);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (i < shown) {
            print_row(&rows[i], json);
        }
        json_decref(rows[i].answer);
        rows[i].answer = NULL;
    }
    if (shown < count) {
        printf("... and %u more\n", count - shown);
    }
    fflush(stdout);
}

int look_at_cluster(const char *folder, const json_t *description, bool json, bool live) {
    const json_t *nodes = json_object_get(description, "nodes");
    uint32_t count = (uint32_t)json_array_size(nodes);
    struct row *rows = mem_array(count + 1, sizeof *rows);
    struct asker *asker = asker_new();
    for (uint32_t i = 0; i < count; i++) {
        rows[i].node = json_array_get(nodes, i);
    }
    signal(SIGINT, on_interrupt);
    do {
        ask_all(asker, rows, count);
        print_all(description, rows, count, json, live);
        if (live && !over) {
            process_sleep_ms(EVERY_MS);
        }
    } while (live && !over && cluster_control_runs(folder));
    asker_free(asker);
    mem_free(rows);
    return 0;
}
