/* cli_get.c - `peer get` and `peer downloads`: fetch a file and watch what is being fetched. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/ids.h"
#include "common/units.h"
#include "src/host/cli_search.h"
#include "src/host/failure.h"
#include "src/host/progress.h"
#include "src/host/terminal.h"

#define US_PER_S 1000000ULL

/* Ctrl-C stays pending instead of ending us in the middle of a line; asking for it needs neither a
 * handler nor a global. */
static void hold_interrupts(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

static bool was_interrupted(void *context) {
    sigset_t set;
    (void)context;
    return sigpending(&set) == 0 &&
           (sigismember(&set, SIGINT) == 1 || sigismember(&set, SIGTERM) == 1);
}

static uint64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * US_PER_S + (uint64_t)now.tv_nsec / 1000;
}

/* ---- get ---- */

struct get {
    const struct cli *cli;
    struct progress progress;
    uint64_t size;
    struct host_error paused; /* err OK = it was not */
};

static void print_queued(struct get *get, const json_t *object) {
    char name[1024];
    char size[UNITS_TEXT_BYTES];
    get->size = client_number(object, "size");
    units_bytes(size, get->size);
    terminal_clean(name, sizeof name, client_text(object, "name"), 0);
    printf("fetching %s (%s)\n", name, size);
    if (get->cli->settings.no_wait) {
        printf("in the background; `peer downloads` shows how far it is\n");
    }
}

/* Why nothing moves, or NULL when it does. */
static const char *note_of(const json_t *object) {
    const char *state = client_text(object, "state");
    if (strcmp(state, "verifying") == 0) {
        return "verifying the whole file";
    }
    if (client_number(object, "sources") > 0) {
        return NULL;
    }
    return client_number(object, "known") > 0 ? "waiting for a source" : "looking for sources";
}

static void print_progress(struct get *get, const json_t *object) {
    const json_t *eta = json_object_get(object, "eta_s");
    struct progress_state state = {.done = client_number(object, "done"),
                                   .size = client_number(object, "size"),
                                   .rate = client_number(object, "rate"),
                                   .sources = client_number(object, "sources"),
                                   .eta_s = json_is_integer(eta) ? client_number(object, "eta_s")
                                                                 : UINT64_MAX,
                                   .note = note_of(object)};
    if (state.size > 0) {
        progress_show(&get->progress, &state, now_us());
    }
}

/* A download that the disk has stopped: the peer tries again by itself, but nobody should wait for
 * that without knowing. */
static bool take_pause(struct get *get, const json_t *object) {
    static const struct {
        const char *error;
        enum err err;
        const char *text;
    } reasons[] = {
        {"no-space", ERR_NO_SPACE,
         "the disk is full; make room in the folder for downloads, the peer then goes on by itself "
         "(`peer downloads`)"},
        {"mismatch", ERR_MISMATCH,
         "the finished file was not what was written; the peer tries again by itself, but check "
         "the disk"},
    };
    if (strcmp(client_text(object, "state"), "paused") != 0) {
        return false;
    }
    get->paused = (struct host_error){ERR_IO, "the disk fails; see the peer's log. The peer tries "
                                              "again by itself (`peer downloads`)"};
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        if (strcmp(client_text(object, "error"), reasons[i].error) == 0) {
            (void)fail(&get->paused, reasons[i].err, "%s", reasons[i].text);
        }
    }
    return true;
}

static void print_finished(struct get *get, const json_t *object) {
    char path[4096];
    char size[UNITS_TEXT_BYTES];
    char rate[UNITS_TEXT_BYTES];
    uint64_t bytes = client_number(object, "bytes");
    uint64_t ms = client_number(object, "milliseconds");
    (void)get;
    units_bytes(size, bytes);
    /* files are below 2^43 bytes, so that this cannot overflow */
    units_bytes(rate, bytes * 1000 / (ms > 0 ? ms : 1));
    terminal_clean(path, sizeof path, client_text(object, "path"), 0);
    printf("%s in %" PRIu64 ".%" PRIu64 " s (%s/s), every block verified\n%s\n", size, ms / 1000,
           ms / 100 % 10, rate, path);
}

static bool on_get_line(void *context, const json_t *object, const char *text) {
    static const struct {
        const char *kind;
        void (*print)(struct get *get, const json_t *object);
    } kinds[] = {
        {"queued", print_queued}, {"progress", print_progress}, {"finished", print_finished}};
    struct get *get = context;
    const char *kind = client_text(object, "kind");
    if (get->cli->settings.json) {
        puts(text);
    }
    for (size_t i = 0; !get->cli->settings.json && i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].kind, kind) == 0) {
            if (kinds[i].print != print_progress) {
                progress_clear(&get->progress);
            }
            kinds[i].print(get, object);
        }
    }
    fflush(stdout);
    return !take_pause(get, object);
}

/* A number that a search showed, or a link. */
static enum err read_target(const char *text, struct command_arg *arg, struct host_error *error) {
    struct content_id content;
    if (text[0] != '\0' && text[strspn(text, "0123456789")] == '\0' && strlen(text) < 10) {
        *arg = (struct command_arg){"number", text};
        return OK;
    }
    if (content_parse(&content, text) == OK) {
        *arg = (struct command_arg){"content", text};
        return OK;
    }
    return fail(error, ERR_CONFIG,
                "`%.120s` is neither a number of a search nor a link "
                "(trunkline:HASH:SIZE, as `peer search --links` shows)",
                text);
}

int cli_get(struct cli *cli) {
    struct get get = {.cli = cli};
    struct host_error error = {0};
    struct command_arg args[3];
    struct client_call call = {.command = "get",
                               .args = args,
                               .count = 1,
                               .line = on_get_line,
                               .context = &get,
                               .interrupted = was_interrupted};
    if (read_target(cli->options.words.values[0], &args[0], &error) != OK) {
        return cli_fail(cli, &error);
    }
    if (cli->settings.name != NULL) {
        args[call.count++] = (struct command_arg){"name", cli->settings.name};
    }
    if (!cli->settings.no_wait) {
        args[call.count++] = (struct command_arg){"wait", "1"};
        hold_interrupts();
    }
    progress_start(&get.progress, stdout);
    enum err err = cli_call(cli, &call, &error);
    progress_clear(&get.progress);
    if (err == OK && get.paused.err != OK) {
        return cli_fail(cli, &get.paused);
    }
    if (err == ERR_SHUTDOWN && was_interrupted(NULL)) {
        (void)fail(&error, err,
                   "not waiting any longer; the peer goes on in the background (`peer downloads`)");
    }
    return err == OK ? CLI_OK : cli_fail(cli, &error);
}

/* ---- downloads ---- */

struct listing {
    const struct cli *cli;
    uint32_t count;
};

static bool on_download(void *context, const json_t *object, const char *text) {
    struct listing *listing = context;
    char name[1024];
    char size[UNITS_TEXT_BYTES];
    char rate[UNITS_TEXT_BYTES];
    listing->count++;
    if (listing->cli->settings.json) {
        puts(text);
        return true;
    }
    uint64_t total = client_number(object, "size");
    uint64_t done = client_number(object, "done");
    units_bytes(size, total);
    units_bytes(rate, client_number(object, "rate"));
    terminal_clean(name, sizeof name, client_text(object, "name"), 0);
    printf("%3" PRIu64 "%% of %-10s %10s/s  %2" PRIu64 " source%s  %-10s  %s\n      %s\n",
           total > 0 && done < total ? done * 100 / total : 100, size, rate,
           client_number(object, "sources"), client_number(object, "sources") == 1 ? " " : "s",
           client_text(object, "state"), name, client_text(object, "content"));
    return true;
}

static int cancel(struct cli *cli, struct listing *listing) {
    struct host_error error = {0};
    struct command_arg args[1];
    struct client_call call = {
        .command = "cancel", .args = args, .count = 1, .line = on_download, .context = listing};
    enum err err = read_target(cli->settings.cancel, &args[0], &error);
    if (err == OK && strcmp(args[0].key, "content") != 0) {
        err = fail(&error, ERR_CONFIG, "--cancel needs a link, as `peer downloads` shows");
    }
    err = err != OK ? err : cli_call(cli, &call, &error);
    if (err != OK) {
        return cli_fail(cli, &error);
    }
    printf(cli->settings.json ? "{\"kind\":\"cancelled\"}\n" : "cancelled\n");
    return CLI_OK;
}

int cli_downloads(struct cli *cli) {
    struct listing listing = {.cli = cli};
    struct host_error error = {0};
    struct client_call call = {.command = "downloads", .line = on_download, .context = &listing};
    if (cli->settings.cancel != NULL) {
        return cancel(cli, &listing);
    }
    if (cli_call(cli, &call, &error) != OK) {
        return cli_fail(cli, &error);
    }
    if (listing.count == 0 && !cli->settings.json) {
        printf("nothing is being fetched\n");
    }
    return CLI_OK;
}
