/* cli_downloads.c - `peer downloads`: what is being fetched, what has finished, and changes. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/names.h"
#include "common/units.h"
#include "src/host/cli_search.h"
#include "src/host/cli_targets.h"
#include "src/host/failure.h"
#include "src/host/interrupts.h"
#include "src/host/terminal.h"

struct listing {
    struct cli *cli;
    const char *command; /* that changes some */
    const char *priority;
    uint32_t count;
};

/* What somebody would want to do about it, or NULL. */
static const char *advice_of(char to[CLI_NOTE_BYTES], const json_t *object) {
    if (strcmp(client_text(object, "state"), "fetching") != 0) {
        const char *error = client_text(object, "error");
        return error[0] != '\0' ? error : NULL;
    }
    return client_number(object, "sources") == 0 ? cli_note_of(to, object) : NULL;
}

static void print_heading(void) {
    printf("%4s  %-8s  %-9s  %-18s %12s %9s  %-10s %s\n", "No.", "Id", "State", "Done", "Rate",
           "Left", "Sources", "Name");
}

static void print_download(const json_t *object) {
    char name[1024], folder[2 * NAMES_PATH_MAX], size[UNITS_TEXT_BYTES], rate[UNITS_TEXT_BYTES];
    char eta[UNITS_TEXT_BYTES] = "", done_of[64], note[CLI_NOTE_BYTES];
    uint64_t total = client_number(object, "size"), done = client_number(object, "done");
    uint64_t sources = client_number(object, "sources");
    const char *advice = advice_of(note, object), *priority = client_text(object, "priority");
    const char *id = strchr(client_text(object, "content"), ':');
    bool is_normal = strcmp(priority, "normal") == 0;
    units_bytes(size, total);
    units_bytes(rate, client_number(object, "rate"));
    if (json_object_get(object, "eta_s") != NULL) {
        units_duration(eta, client_number(object, "eta_s"));
    }
    snprintf(done_of, sizeof done_of, "%3" PRIu64 "%% of %s",
             total > 0 && done < total ? done * 100 / total : 100, size);
    terminal_clean(name, sizeof name, client_text(object, "name"), 0);
    terminal_clean(folder, sizeof folder, client_text(object, "folder"), 0);
    printf("%4" PRIu64 "  %-8.8s  %-9s  %-18s %10s/s %9s  %2" PRIu64 " source%s %s%s%s%s%s%s\n",
           client_number(object, "number"), id != NULL ? id + 1 : "", client_text(object, "state"),
           done_of, rate, eta, sources, sources == 1 ? " " : "s", folder,
           folder[0] != '\0' ? "/" : "", name, is_normal ? "" : "  (", is_normal ? "" : priority,
           is_normal ? "" : ")");
    if (advice != NULL) {
        printf("      %s\n", advice);
    }
}

static bool on_download(void *context, const json_t *object, const char *text) {
    struct listing *listing = context;
    if (listing->cli->settings.json) {
        puts(text);
        return true;
    }
    if (listing->count++ == 0) {
        print_heading();
    }
    print_download(object);
    return true;
}

/* ---- What has finished ---- */

static bool on_finished(void *context, const json_t *object, const char *text) {
    struct listing *listing = context;
    char when[32] = "", path[2 * PATH_MAX], size[UNITS_TEXT_BYTES];
    listing->count++;
    if (listing->cli->settings.json) {
        puts(text);
        return true;
    }
    time_t finished = (time_t)client_number(object, "finished");
    struct tm parts;
    if (localtime_r(&finished, &parts) != NULL) {
        (void)strftime(when, sizeof when, "%Y-%m-%d %H:%M", &parts);
    }
    units_bytes(size, client_number(object, "size"));
    terminal_clean(path, sizeof path, client_text(object, "path"), 0);
    printf("%-16s  %10s  %s\n", when, size, path);
    return true;
}

static int show_finished(struct cli *cli, bool clears) {
    struct host_error error = {0};
    struct listing listing = {.cli = cli};
    const struct command_arg clear = {"clear", "1"};
    struct client_call call = {.command = "history",
                               .args = &clear,
                               .count = clears ? 1 : 0,
                               .line = on_finished,
                               .context = &listing};
    if (cli_call(cli, &call, &error) != OK) {
        return cli_fail(cli, &error);
    }
    if (!cli->settings.json && (clears || listing.count == 0)) {
        printf(clears ? "what has finished is forgotten; the files stay\n"
                      : "nothing has finished yet\n");
    }
    return CLI_OK;
}

/* ---- Changing ---- */

static bool on_changed(void *context, const json_t *object, const char *text) {
    const struct listing *listing = context;
    char name[1024];
    if (listing->cli->settings.json) {
        puts(text);
        return true;
    }
    terminal_clean(name, sizeof name, client_text(object, "name"), 0);
    printf("%s: %s\n", listing->priority != NULL ? listing->priority : listing->command, name);
    return true;
}

static enum err change_one(void *context, const struct command_arg *target,
                           struct host_error *error) {
    struct listing *listing = context;
    struct command_arg args[2] = {*target, {"priority", listing->priority}};
    struct client_call call = {.command = listing->command,
                               .args = args,
                               .count = listing->priority != NULL ? 2 : 1,
                               .line = on_changed,
                               .context = listing};
    return cli_call(listing->cli, &call, error);
}

static int change_downloads(struct cli *cli) {
    static const struct {
        const char *word;
        const char *command;
    } rows[] = {{"pause", "pause"},   {"resume", "resume"},   {"cancel", "cancel"},
                {"high", "priority"}, {"normal", "priority"}, {"low", "priority"}};
    const struct option_list *words = &cli->options.words;
    struct listing listing = {.cli = cli};
    struct host_error error = {0};
    const struct cli_targets targets = {"download", true, change_one, &listing};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(words->values[0], rows[i].word) == 0) {
            listing.command = rows[i].command;
            listing.priority = strcmp(rows[i].command, "priority") == 0 ? rows[i].word : NULL;
        }
    }
    enum err err =
        listing.command != NULL && words->count > 1
            ? OK
            : fail(&error, ERR_CONFIG,
                   "expected `downloads`, `downloads clear`, or "
                   "`downloads pause|resume|cancel|high|normal|low` and which ones, or all");
    for (uint32_t i = 1; i < words->count && err == OK; i++) {
        err = cli_target(&targets, words->values[i], &error);
    }
    return err == OK ? CLI_OK : cli_fail(cli, &error);
}

int cli_downloads(struct cli *cli) {
    struct host_error error = {0};
    const struct option_list *words = &cli->options.words;
    bool clears = words->count == 1 && strcmp(words->values[0], "clear") == 0;
    if (clears || cli->settings.done) {
        return show_finished(cli, clears);
    }
    if (words->count > 0) {
        return change_downloads(cli);
    }
    if (cli->settings.watch) {
        interrupts_hold();
    }
    do {
        struct listing listing = {.cli = cli};
        struct client_call call = {
            .command = "downloads", .line = on_download, .context = &listing};
        if (cli->settings.watch && terminal_is(stdout) && !cli->settings.json) {
            printf("\033[H\033[2J");
        }
        if (cli_call(cli, &call, &error) != OK) {
            return cli_fail(cli, &error);
        }
        if (listing.count == 0 && !cli->settings.json) {
            printf("nothing is being fetched\n");
        }
        fflush(stdout);
        if (cli->settings.watch) {
            const struct timespec pause = {.tv_sec = 1};
            nanosleep(&pause, NULL);
        }
    } while (cli->settings.watch && !interrupts_pending(NULL));
    return CLI_OK;
}
