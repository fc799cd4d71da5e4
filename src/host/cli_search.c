/* cli_search.c - `peer search`: a table that grows while hits come in, then how far it reached.
 *
 * The text is read here too, so that a mistake is shown under its place before anybody is asked. */
#include "src/host/cli_search.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/filelink.h"
#include "common/mem.h"
#include "common/query.h"
#include "common/units.h"
#include "src/host/failure.h"
#include "src/host/terminal.h"

#define QUERY_WORD_ROOM (QUERY_TEXT_MAX + 1)
#define DETAILS_ROOM 1024 /* three texts, cleaned, and some numbers */
#define INDENT "      "   /* of lines below a row */

struct row {
    uint64_t number;
    uint64_t size;
    uint64_t sources;
    uint64_t busy; /* of them, as far as is known */
    bool reachable;
    char *name;
    char *details; /* what its owner tells of it; "" = nothing */
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
    uint64_t supernodes, leaves, files, refused, dropped, reached;
    bool truncated;
    bool farther;
    char *note; /* NULL = none */
};

/* ---- Printing ---- */

#define FIXED_COLUMNS 28 /* of a row before the name */
#define COLUMNS_MIN 8    /* for a text, however narrow the terminal is */

static void print_heading(void) {
    printf("%4s  %10s  %7s  %s\n", "No.", "Size", "Sources", "Name");
}

/* Columns for a text behind `used` others; 0 = no bound. */
static uint32_t columns_after(const struct search *search, uint32_t used) {
    if (!search->live) {
        return 0;
    }
    return search->columns > used + COLUMNS_MIN ? search->columns - used : COLUMNS_MIN;
}

/* What is behind the number of sources. */
static const char *mark_of(const struct row *row) {
    if (!row->reachable) {
        return "?";
    }
    return row->busy >= row->sources ? "-" : " ";
}

static void print_row(const struct search *search, const struct row *row) {
    char size[UNITS_TEXT_BYTES];
    char name[4 * NAME_BYTES_MAX];
    char details[2 * DETAILS_ROOM];
    units_bytes(size, row->size);
    terminal_clean(name, sizeof name, row->name, columns_after(search, FIXED_COLUMNS));
    printf("%4" PRIu64 "  %10s  %6" PRIu64 "%s  %s\n", row->number, size, row->sources,
           mark_of(row), name);
    if (row->details[0] != '\0') {
        terminal_clean(details, sizeof details, row->details,
                       columns_after(search, sizeof INDENT - 1));
        printf(INDENT "%s\n", details);
    }
    if (search->cli->settings.links) {
        char link[FILELINK_BYTES_MAX + 1];
        terminal_clean(link, sizeof link, row->link, 0);
        printf(INDENT "%s\n", link);
    }
}

static uint32_t row_height(const struct search *search, const struct row *row) {
    return 1U + (row->details[0] != '\0') + search->cli->settings.links;
}

/* Go up to the row, draw it again, come back. */
static void redraw_row(const struct search *search, uint32_t at) {
    uint32_t height = row_height(search, &search->rows[at]);
    uint32_t up = 0;
    for (uint32_t i = at; i < search->count; i++) {
        up += row_height(search, &search->rows[i]);
    }
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
    printf("; asked %" PRIu64 " supernode%s with %" PRIu64 " %s and %" PRIu64 " file%s",
           search->supernodes, search->supernodes == 1 ? "" : "s", search->leaves,
           search->leaves == 1 ? "leaf" : "leaves", search->files, search->files == 1 ? "" : "s");
    if (search->reached > search->supernodes) {
        printf("; %" PRIu64 " more cannot match", search->reached - search->supernodes);
    }
    if (search->refused > 0) {
        printf("; %" PRIu64 " refused", search->refused);
    }
    if (search->dropped > 0) {
        printf("; %" PRIu64 " answers did not match", search->dropped);
    }
    if (search->farther) {
        printf("; there may be more with --farther");
    }
    printf("%s\n", search->truncated ? "; not all results are shown, use more words" : "");
    if (search->note != NULL) {
        printf("%s\n", search->note);
    }
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
    row->busy = client_number(hit, "busy");
    row->reachable = !json_is_false(json_object_get(hit, "reachable")) &&
                     !(json_is_integer(json_object_get(hit, "reachable")) &&
                       client_number(hit, "reachable") == 0);
}

/* Append a detail behind ", ". */
static void add_detail(char details[DETAILS_ROOM], const char *text, const char *unit) {
    size_t at = strlen(details);
    if (text[0] != '\0') {
        snprintf(details + at, DETAILS_ROOM - at, "%s%s%s", at > 0 ? ", " : "", text, unit);
    }
}

static void add_number(char details[DETAILS_ROOM], const json_t *hit, const char *key,
                       const char *unit) {
    char text[UNITS_TEXT_BYTES];
    uint64_t number = client_number(hit, key);
    snprintf(text, sizeof text, "%" PRIu64, number);
    add_detail(details, number > 0 ? text : "", unit);
}

/* "Blue Whales, Song of the Deep, Ocean, 1994, 3:30, 192 kbit/s": what is known, the rest not. */
static void fill_details(char details[DETAILS_ROOM], const json_t *hit) {
    char text[UNITS_TEXT_BYTES] = "";
    uint64_t duration = client_number(hit, "duration");
    uint64_t width = client_number(hit, "width");
    uint64_t height = client_number(hit, "height");
    details[0] = '\0';
    add_detail(details, json_is_true(json_object_get(hit, "locked")) ? "locked" : "", "");
    add_detail(details, client_text(hit, "artist"), "");
    add_detail(details, client_text(hit, "title"), "");
    add_detail(details, client_text(hit, "album"), "");
    add_number(details, hit, "year", "");
    if (duration > 0) {
        units_duration(text, duration);
    }
    add_detail(details, text, "");
    add_number(details, hit, "bitrate", " kbit/s");
    snprintf(text, sizeof text, "%" PRIu64 "x%" PRIu64, width, height);
    add_detail(details, width > 0 && height > 0 ? text : "", "");
    add_detail(details, client_text(hit, "language"), "");
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
    row->link = mem_string(client_text(hit, "link"));
    char details[DETAILS_ROOM];
    fill_details(details, hit);
    row->details = mem_string(details);
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
        search->dropped = client_number(object, "dropped");
        mem_free(search->note);
        search->note =
            client_text(object, "note")[0] != '\0' ? mem_string(client_text(object, "note")) : NULL;
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

/* The text as it was given, a caret under the place, and the reason. */
static int fail_text(const struct cli *cli, const char *text, enum err err,
                     const struct query_error *error) {
    char before[2 * QUERY_WORD_ROOM];
    char clean[2 * QUERY_WORD_ROOM];
    char head[QUERY_WORD_ROOM];
    memcpy(head, text, error->at);
    head[error->at] = '\0';
    terminal_clean(before, sizeof before, head, 0);
    terminal_clean(clean, sizeof clean, text, 0);
    fprintf(stderr, "%s: the search cannot be read: %s\n" INDENT "%s\n" INDENT "%*s^\n",
            cli->program->name, error->why, clean, (int)terminal_width_of(before), "");
    if (cli->settings.json) {
        json_t *line = json_pack("{s:s, s:s, s:s, s:I, s:s}", "kind", "error", "error",
                                 err_name(err), "text", "the search cannot be read", "position",
                                 (json_int_t)error->at, "reason", error->why);
        json_dumpf(line, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(line);
    }
    return CLI_USAGE;
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
        mem_free(search->rows[i].details);
        mem_free(search->rows[i].link);
    }
    mem_free(search->note);
    mem_free(search);
}

static int ask(struct cli *cli, char *text) {
    char want[UNITS_TEXT_BYTES];
    struct host_error error = {0};
    struct search *search = mem_new(sizeof *search);
    search->cli = cli;
    search->live = terminal_is(stdout) && !cli->settings.json;
    terminal_size(stdout, &search->columns, &search->screen_rows);
    snprintf(want, sizeof want, "%" PRIu64, cli->settings.want);
    struct command_arg args[4] = {{"text", text}};
    uint32_t count = 1;
    if (cli->settings.want > 0) {
        args[count++] = (struct command_arg){"want", want};
    }
    if (cli->settings.farther) {
        args[count++] = (struct command_arg){"farther", "1"};
    }
    if (cli->settings.links) {
        args[count++] = (struct command_arg){"links", "1"};
    }
    struct client_call call = {
        .command = "search", .args = args, .count = count, .line = on_line, .context = search};
    enum err err = cli_call(cli, &call, &error);
    show_result(search);
    free_rows(search);
    return err == OK ? CLI_OK : cli_fail(cli, &error);
}

int cli_search(struct cli *cli) {
    char text[QUERY_WORD_ROOM] = "";
    struct query_expr query;
    struct query_error problem;
    struct host_error error = {0};
    if (join_words(&cli->options.words, text, &error) != OK) {
        return cli_fail(cli, &error);
    }
    enum err err =
        query_parse((struct slice){(const uint8_t *)text, strlen(text)}, &query, &problem);
    return err == OK ? ask(cli, text) : fail_text(cli, text, err, &problem);
}
