/* cli_search.c - `peer search`: a table that grows while hits come in, then how far it reached. */
#include "src/host/cli_search.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/limits.h"
#include "common/mem.h"
#include "src/host/failure.h"
#include "src/host/terminal.h"
#include "src/host/units.h"

#define QUERY_WORD_ROOM (QUERY_TEXT_MAX + 1)

struct row {
    uint64_t number;
    uint64_t size;
    uint64_t sources;
    bool reachable;
    char *name;
    char *link;
};

/* On a terminal a row appears when its hit does and is redrawn in place while it can be seen;
 * elsewhere rows are printed at the end, with their final counts. */
struct search {
    const struct cli *cli;
    bool live;
    uint32_t columns;
    uint32_t screen_rows;
    uint32_t count;
    struct row rows[SEARCH_RESULTS_MAX];
    bool ended;
    uint64_t supernodes, leaves, files, refused, reached;
    bool truncated;
    bool farther;
};

/* ---- Printing ---- */

#define FIXED_COLUMNS 28 /* of a row before the name */

static void print_heading(void) {
    printf("%4s  %10s  %7s  %s\n", "No.", "Size", "Sources", "Name");
}

static void print_row(const struct search *search, const struct row *row) {
    char size[UNITS_TEXT_BYTES];
    char name[4 * NAME_BYTES_MAX];
    uint32_t columns = 0;
    if (search->live) {
        columns = search->columns > FIXED_COLUMNS + 8 ? search->columns - FIXED_COLUMNS : 8;
    }
    units_bytes(size, row->size);
    terminal_clean(name, sizeof name, row->name, columns);
    printf("%4" PRIu64 "  %10s  %6" PRIu64 "%s  %s\n", row->number, size, row->sources,
           row->reachable ? " " : "?", name);
    if (search->cli->settings.links) {
        terminal_clean(name, sizeof name, row->link, 0);
        printf("      %s\n", name);
    }
}

/* Go up to the row, draw it again, come back. */
static void redraw_row(const struct search *search, uint32_t at) {
    uint32_t height = search->cli->settings.links ? 2 : 1;
    uint32_t up = (search->count - at) * height;
    if (up >= search->screen_rows) {
        return;
    }
    printf("\033[%" PRIu32 "A\r\033[K", up);
    print_row(search, &search->rows[at]);
    if (up > height) {
        printf("\033[%" PRIu32 "B", up - height);
    }
}

static void print_end(const struct search *search) {
    if (search->count == 0) {
        printf("nothing found");
    } else {
        printf("%" PRIu32 " file%s found", search->count, search->count == 1 ? "" : "s");
    }
    printf("; asked %" PRIu64 " supernode%s with %" PRIu64 " leaves and %" PRIu64 " files",
           search->supernodes, search->supernodes == 1 ? "" : "s", search->leaves, search->files);
    if (search->reached > search->supernodes) {
        printf("; %" PRIu64 " more cannot match", search->reached - search->supernodes);
    }
    if (search->refused > 0) {
        printf("; %" PRIu64 " refused", search->refused);
    }
    if (search->farther) {
        printf("; there may be more with --farther");
    }
    printf("%s\n", search->truncated ? "; not all results are shown, use more words" : "");
}

/* ---- Taking hits ---- */

static uint32_t find_row(const struct search *search, uint64_t number) {
    uint32_t at = 0;
    while (at < search->count && search->rows[at].number != number) {
        at++;
    }
    return at;
}

static void fill_row(struct row *row, const json_t *hit) {
    row->number = client_number(hit, "number");
    row->size = client_number(hit, "size");
    row->sources = client_number(hit, "sources");
    row->reachable = !json_is_false(json_object_get(hit, "reachable")) &&
                     !(json_is_integer(json_object_get(hit, "reachable")) &&
                       client_number(hit, "reachable") == 0);
}

static void take_hit(struct search *search, const json_t *hit) {
    uint32_t at = find_row(search, client_number(hit, "number"));
    if (at == SEARCH_RESULTS_MAX) {
        return;
    }
    struct row *row = &search->rows[at];
    fill_row(row, hit);
    if (at < search->count) {
        if (search->live) {
            redraw_row(search, at);
        }
        return;
    }
    row->name = mem_string(client_text(hit, "name"));
    row->link = mem_string(client_text(hit, "content"));
    search->count++;
    if (search->live) {
        if (search->count == 1) {
            print_heading();
        }
        print_row(search, row);
    }
}

static bool on_line(void *context, const json_t *object, const char *text) {
    struct search *search = context;
    const char *kind = client_text(object, "kind");
    if (search->cli->settings.json) {
        puts(text);
    } else if (strcmp(kind, "hit") == 0) {
        take_hit(search, object);
    } else if (strcmp(kind, "end") == 0) {
        search->ended = true;
        search->supernodes = client_number(object, "supernodes");
        search->leaves = client_number(object, "leaves");
        search->files = client_number(object, "files");
        search->refused = client_number(object, "refused");
        search->reached = client_number(object, "reached");
        search->truncated = json_is_true(json_object_get(object, "truncated"));
        search->farther = json_is_true(json_object_get(object, "farther"));
    }
    fflush(stdout);
    return true;
}

/* ---- The command ---- */

/* Join the words by blanks; they must fit a query. */
static enum err join_words(const struct option_list *words, char text[QUERY_WORD_ROOM],
                           struct host_error *error) {
    size_t len = 0;
    for (uint32_t i = 0; i < words->count; i++) {
        int more = snprintf(text + len, QUERY_WORD_ROOM - len, "%s%s", i == 0 ? "" : " ",
                            words->values[i]);
        len += (size_t)more;
        if (len >= QUERY_WORD_ROOM) {
            return fail(error, ERR_CONFIG, "the search is longer than %d bytes; use fewer words",
                        QUERY_TEXT_MAX);
        }
    }
    return OK;
}

static void show_result(struct search *search) {
    if (search->cli->settings.json) {
        return;
    }
    if (!search->live && search->count > 0) {
        print_heading();
        for (uint32_t i = 0; i < search->count; i++) {
            print_row(search, &search->rows[i]);
        }
    }
    if (search->ended) {
        print_end(search);
    }
}

static void free_rows(struct search *search) {
    for (uint32_t i = 0; i < search->count; i++) {
        mem_free(search->rows[i].name);
        mem_free(search->rows[i].link);
    }
    mem_free(search);
}

int cli_search(struct cli *cli) {
    char text[QUERY_WORD_ROOM] = "";
    char want[UNITS_TEXT_BYTES];
    struct host_error error = {0};
    struct search *search = mem_new(sizeof *search);
    search->cli = cli;
    search->live = terminal_is(stdout) && !cli->settings.json;
    terminal_size(stdout, &search->columns, &search->screen_rows);
    snprintf(want, sizeof want, "%" PRIu64, cli->settings.want);
    struct command_arg args[3] = {{"text", text}};
    uint32_t count = 1;
    if (cli->settings.want > 0) {
        args[count++] = (struct command_arg){"want", want};
    }
    if (cli->settings.farther) {
        args[count++] = (struct command_arg){"farther", "1"};
    }
    struct client_call call = {
        .command = "search", .args = args, .count = count, .line = on_line, .context = search};
    enum err err = join_words(&cli->options.words, text, &error);
    err = err != OK ? err : cli_call(cli, &call, &error);
    show_result(search);
    free_rows(search);
    return err == OK ? CLI_OK : cli_fail(cli, &error);
}
