/* cli_get.c - `peer get`: fetch files, and watch one that is waited for. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/units.h"
#include "src/host/cli_browse.h"
#include "src/host/cli_search.h"
#include "src/host/cli_targets.h"
#include "src/host/failure.h"
#include "src/host/interrupts.h"
#include "src/host/progress.h"
#include "src/host/terminal.h"

#define US_PER_S 1000000ULL

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

static void print_progress(struct get *get, const json_t *object) {
    char note[CLI_NOTE_BYTES];
    const json_t *eta = json_object_get(object, "eta_s");
    struct progress_state state = {.done = client_number(object, "done"),
                                   .size = client_number(object, "size"),
                                   .rate = client_number(object, "rate"),
                                   .sources = client_number(object, "sources"),
                                   .eta_s = json_is_integer(eta) ? client_number(object, "eta_s")
                                                                 : UINT64_MAX,
                                   .note = cli_note_of(note, object)};
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
                               .interrupted = interrupts_pending};
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
        words->count == 1 && (!cli_range(words->values[0], &first, &last) || first == last);
    struct get get = {.cli = cli, .is_one = is_one, .waits = is_one && !cli->settings.no_wait};
    struct host_error error = {0};
    const struct cli_targets targets = {"number", false, get_one, &get};
    enum err err = OK;
    if (!is_one && cli->settings.name != NULL) {
        err = fail(&error, ERR_CONFIG, "--name is for one file; get the others without it");
    }
    if (get.waits) {
        interrupts_hold();
    }
    for (uint32_t i = 0; i < words->count && err == OK; i++) {
        err = cli_target(&targets, words->values[i], &error);
    }
    if (err == ERR_SHUTDOWN && interrupts_pending(NULL)) {
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
