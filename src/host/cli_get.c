/* cli_get.c - `peer get` and `peer downloads`: fetch a file and watch what is being fetched. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/filelink.h"
#include "common/units.h"
#include "src/host/cli_browse.h"
#include "src/host/cli_search.h"
#include "src/host/failure.h"
#include "src/host/progress.h"
#include "src/host/terminal.h"

#define US_PER_S 1000000ULL
#define RANGE_MAX 1000 /* downloads that one word may name */

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
    struct cli *cli;
    struct progress progress;
    uint64_t size;
    struct host_error paused; /* err OK = it was not */
    uint32_t count;           /* asked for so far */
    bool is_one;
    bool waits;
    bool has_failed;
};

static void print_queued(struct get *get, const json_t *object) {
    char name[1024];
    char size[UNITS_TEXT_BYTES];
    get->size = client_number(object, "size");
    units_bytes(size, get->size);
    terminal_clean(name, sizeof name, client_text(object, "name"), 0);
    printf("fetching %s (%s)\n", name, size);
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
    if (client_text(object, "error")[0] == '\0') {
        get->paused = (struct host_error){
            ERR_REFUSED, "it was paused; `peer downloads resume` and its number lets it go on"};
        return true;
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

/* ---- Numbers and links ---- */

/* `7` or `3-9`; false for anything else. */
static bool read_range(const char *text, uint64_t *first, uint64_t *last) {
    char from[16];
    const char *dash = strchr(text, '-');
    size_t len = dash != NULL ? (size_t)(dash - text) : strlen(text);
    if (len == 0 || len >= sizeof from) {
        return false;
    }
    snprintf(from, sizeof from, "%.*s", (int)len, text);
    bool good = units_parse_number(from, first) == OK;
    *last = *first;
    good = good && (dash == NULL || units_parse_number(dash + 1, last) == OK);
    return good && *first >= 1 && *first <= *last && *last - *first < RANGE_MAX &&
           *last <= UINT32_MAX;
}

/* What is done with every word: a number as text, or a link, under the key that goes with it. */
typedef enum err target_fn(void *context, const struct command_arg *arg, struct host_error *error);

/* Take words one by one: numbers and ranges of them under `key`, links under `content`, and `all`
 * where `takes_all`. */
struct targets {
    const char *key;
    bool takes_all;
    target_fn *fn;
    void *context;
};

static enum err take_range(const struct targets *targets, uint64_t first, uint64_t last,
                           struct host_error *error) {
    enum err err = OK;
    for (uint64_t i = first; i <= last && err == OK; i++) {
        char number[UNITS_TEXT_BYTES];
        snprintf(number, sizeof number, "%" PRIu64, i);
        const struct command_arg arg = {targets->key, number};
        err = targets->fn(targets->context, &arg, error);
    }
    return err;
}

/* The link as it is, or, where only the file matters, what it begins with. */
static enum err take_link(const struct targets *targets, const char *word,
                          struct host_error *error) {
    struct filelink link;
    struct filelink_error why = {0};
    char content[CONTENT_TEXT_BYTES];
    if (filelink_parse(&link, word, &why) != OK) {
        return fail(error, ERR_CONFIG, "the link cannot be read at character %u: %s", why.at + 1,
                    why.why);
    }
    content_format(content, &link.content);
    const struct command_arg arg = {"content", targets->takes_all ? content : word};
    return targets->fn(targets->context, &arg, error);
}

static enum err take_word(const struct targets *targets, const char *word,
                          struct host_error *error) {
    struct content_id content;
    uint64_t first, last;
    if (read_range(word, &first, &last)) {
        return take_range(targets, first, last, error);
    }
    if (targets->takes_all && strcmp(word, "all") == 0) {
        return targets->fn(targets->context, &(struct command_arg){"all", "1"}, error);
    }
    if (strncmp(word, "trunkline:", strlen("trunkline:")) == 0 ||
        content_parse(&content, word) == OK) {
        return take_link(targets, word, error);
    }
    return fail(error, ERR_CONFIG,
                "`%.120s` is neither a number, such as 3 or 5-7, nor a link "
                "(trunkline:HASH:SIZE, as `peer search --links` shows)",
                word);
}

/* ---- get ---- */

/* Fetch one: waited for when it is the only one that was asked for. */
static enum err get_one(void *context, const struct command_arg *target, struct host_error *error) {
    struct get *get = context;
    struct cli *cli = get->cli;
    struct command_arg args[3] = {*target};
    struct client_call call = {.command = "get",
                               .args = args,
                               .count = 1,
                               .line = on_get_line,
                               .context = get,
                               .interrupted = was_interrupted};
    if (cli->settings.name != NULL) {
        args[call.count++] = (struct command_arg){"name", cli->settings.name};
    }
    if (get->waits) {
        args[call.count++] = (struct command_arg){"wait", "1"};
    }
    progress_start(&get->progress, stdout);
    enum err err = cli_call(cli, &call, error);
    progress_clear(&get->progress);
    if (err == OK && get->paused.err != OK) {
        *error = get->paused;
        err = error->err;
    }
    get->count++;
    if (err != OK && !get->is_one) { /* the others are still wanted */
        get->has_failed = true;
        cli_fail(get->cli, error);
        *error = (struct host_error){0};
        err = OK;
    }
    return err;
}

/* Whole folders, one after the other. */
static int get_folders(struct cli *cli) {
    const struct option_list *words = &cli->options.words;
    struct host_error error = {0};
    enum err err = cli->settings.name == NULL
                       ? OK
                       : fail(&error, ERR_CONFIG, "--name is for one file, not for a folder");
    for (uint32_t i = 0; i < words->count && err == OK; i++) {
        err = browse_get_folder(cli, words->values[i], &error);
    }
    if (err == OK && !cli->settings.json) {
        printf("in the background; `peer downloads` shows how far it is\n");
    }
    return err == OK ? CLI_OK : cli_fail(cli, &error);
}

int cli_get(struct cli *cli) {
    if (cli->settings.folder) {
        return get_folders(cli);
    }
    const struct option_list *words = &cli->options.words;
    uint64_t first = 0, last = 0;
    bool is_one =
        words->count == 1 && (!read_range(words->values[0], &first, &last) || first == last);
    struct get get = {.cli = cli, .is_one = is_one, .waits = is_one && !cli->settings.no_wait};
    struct host_error error = {0};
    const struct targets targets = {"number", false, get_one, &get};
    enum err err = OK;
    if (!is_one && cli->settings.name != NULL) {
        err = fail(&error, ERR_CONFIG, "--name is for one file; get the others without it");
    }
    if (get.waits) {
        hold_interrupts();
    }
    for (uint32_t i = 0; i < words->count && err == OK; i++) {
        err = take_word(&targets, words->values[i], &error);
    }
    if (err == ERR_SHUTDOWN && was_interrupted(NULL)) {
        (void)fail(&error, err,
                   "not waiting any longer; the peer goes on in the background (`peer downloads`)");
    }
    if (!get.waits && get.count > 0 && !cli->settings.json) {
        printf("in the background; `peer downloads` shows how far it is\n");
    }
    if (err == OK && get.has_failed) {
        return CLI_FAILED;
    }
    return err == OK ? CLI_OK : cli_fail(cli, &error);
}

/* ---- downloads ---- */

struct listing {
    struct cli *cli;
    const char *command; /* that changes some */
    const char *priority;
    uint32_t count;
};

/* What somebody would want to do about it, or NULL. */
static const char *advice_of(const json_t *object) {
    if (strcmp(client_text(object, "state"), "fetching") != 0) {
        const char *error = client_text(object, "error");
        return error[0] != '\0' ? error : NULL;
    }
    return client_number(object, "sources") == 0 ? note_of(object) : NULL;
}

static bool on_download(void *context, const json_t *object, const char *text) {
    struct listing *listing = context;
    char name[1024], size[UNITS_TEXT_BYTES], rate[UNITS_TEXT_BYTES];
    listing->count++;
    if (listing->cli->settings.json) {
        puts(text);
        return true;
    }
    uint64_t total = client_number(object, "size");
    uint64_t done = client_number(object, "done");
    const char *advice = advice_of(object), *priority = client_text(object, "priority");
    units_bytes(size, total);
    units_bytes(rate, client_number(object, "rate"));
    terminal_clean(name, sizeof name, client_text(object, "name"), 0);
    printf("%4" PRIu64 "  %-9s %3" PRIu64 "%% of %-10s %10s/s  %2" PRIu64 " source%s  %s%s%s%s\n",
           client_number(object, "number"), client_text(object, "state"),
           total > 0 && done < total ? done * 100 / total : 100, size, rate,
           client_number(object, "sources"), client_number(object, "sources") == 1 ? " " : "s",
           name, strcmp(priority, "normal") == 0 ? "" : "  (",
           strcmp(priority, "normal") == 0 ? "" : priority,
           strcmp(priority, "normal") == 0 ? "" : ")");
    if (advice != NULL) {
        printf("      %s\n", advice);
    }
    return true;
}

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
    const struct targets targets = {"download", true, change_one, &listing};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(words->values[0], rows[i].word) == 0) {
            listing.command = rows[i].command;
            listing.priority = strcmp(rows[i].command, "priority") == 0 ? rows[i].word : NULL;
        }
    }
    enum err err = listing.command != NULL && words->count > 1
                       ? OK
                       : fail(&error, ERR_CONFIG,
                              "expected `downloads`, or `downloads "
                              "pause|resume|cancel|high|normal|low` and which ones, or all");
    for (uint32_t i = 1; i < words->count && err == OK; i++) {
        err = take_word(&targets, words->values[i], &error);
    }
    return err == OK ? CLI_OK : cli_fail(cli, &error);
}

int cli_downloads(struct cli *cli) {
    struct host_error error = {0};
    if (cli->options.words.count > 0) {
        return change_downloads(cli);
    }
    if (cli->settings.watch) {
        hold_interrupts();
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
    } while (cli->settings.watch && !was_interrupted(NULL));
    return CLI_OK;
}
