/* cli_share.c - shared folders: collected at the start, changed while the peer runs. */
#include "src/host/cli_share.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/units.h"
#include "src/host/control_socket.h"
#include "src/host/failure.h"
#include "src/host/filter.h"
#include "src/host/identity.h"
#include "src/host/preview.h"
#include "src/host/terminal.h"
#include "src/host/textfile.h"

/* ---- At the start ---- */

/* Check a folder and add it; one that is there already is fine, and stays closed when it is. */
static enum err share_too(struct cli_node *node, const struct share *share,
                          struct host_error *error) {
    char real[PATH_MAX];
    struct host_error none = {0};
    enum err err = shares_check(share, node->cli->dir, real, error);
    if (err == OK) {
        const struct share checked = {real, share->filter};
        if (shares_is_closed(&node->shared, real)) {
            return OK;
        }
        err = shares_add(&node->shared, &checked, &none);
        err = err == ERR_LIMIT ? fail(error, err, "%s", none.text) : OK;
    }
    return err;
}

enum err cli_share_collect(struct cli_node *node, struct host_error *error) {
    const struct option_list *named = &node->cli->settings.shares;
    const char *dir = node->cli->dir;
    enum err err = shares_load(&node->remembered, dir, error);
    for (uint32_t i = 0; err == OK && i < node->remembered.count; i++) {
        struct host_error why = {0};
        const struct share share = {node->remembered.paths[i], node->remembered.filters[i]};
        if (share_too(node, &share, &why) != OK) {
            fprintf(stderr, "%s: not shared now: %s\n", node->cli->program->name, why.text);
        }
    }
    for (uint32_t i = 0; err == OK && i < named->count; i++) {
        const char *filter = node->cli->settings.private ? "private yes\n" : NULL;
        const struct share share = {named->values[i], filter};
        err = share_too(node, &share, error);
    }
    if (err == OK) { /* it was made by us: no rule of ours stands against it */
        const struct share downloads = {node->downloads, NULL};
        struct host_error none = {0};
        bool is_closed = shares_is_closed(&node->shared, node->downloads);
        err = is_closed ? OK : shares_add(&node->shared, &downloads, &none);
        err = err == ERR_LIMIT ? fail(error, err, "%s", none.text) : OK;
    }
    return err;
}

/* ---- In the running peer ---- */

static void list_left_out(const struct share_left *left, struct buf *lines) {
    const struct {
        uint32_t count;
        const char *text;
    } rows[] = {
        {left->private, "look like keys, passwords, mail or wallets; see --private"},
        {left->filtered, "by the rules given for their folders"},
        {left->unfit, "files whose name is no UTF-8 or which are too many or too large, and "
                      "folders that cannot be read"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[200];
        if (rows[i].count > 0) {
            snprintf(text, sizeof text, "%u left out: %s", rows[i].count, rows[i].text);
            control_json_line(lines, "note", "text", text);
        }
    }
}

static enum err list_folders(struct cli_node *node, struct buf *lines) {
    for (uint32_t i = 0; i < node->shared.count; i++) {
        control_json_line(lines, "folder", "path", node->shared.paths[i]);
        for (const char *at = node->shared.filters[i]; *at != '\0'; at += strcspn(at, "\n") + 1) {
            char rule[FILTER_BYTES_MAX + 1];
            snprintf(rule, sizeof rule, "%.*s", (int)strcspn(at, "\n"), at);
            control_json_line(lines, "rule", "text", rule);
        }
    }
    const struct share_left left = host_share_left(node->node);
    list_left_out(&left, lines);
    return OK;
}

/* Undo an addition. */
static void forget(struct shares *shares, const char *real) {
    struct host_error none = {0};
    enum err gone = shares_remove(shares, real, &none);
    (void)gone; /* it was there a moment ago */
}

/* Share from now on; a folder that is shared already is from now on by this filter. */
static enum err share_now(struct cli_node *node, const struct share *share,
                          struct host_error *error) {
    struct host_error none = {0};
    enum err err = shares_add(&node->shared, share, &none);
    if (err == ERR_EXISTS) {
        return OK;
    }
    if (err != OK) {
        return fail(error, err, "%s", none.text);
    }
    enum err was = host_share_remove(node->node, share->folder);
    (void)was; /* fine when it was not shared yet */
    err = host_share_add(node->node, share->folder, share->filter, error);
    if (err != OK) {
        forget(&node->shared, share->folder);
    }
    return err;
}

static enum err add_folder(struct cli_node *node, const struct share *asked, struct buf *lines,
                           struct host_error *error) {
    const char *dir = node->cli->dir;
    char real[PATH_MAX];
    enum err err = shares_check(asked, dir, real, error);
    const struct share share = {real, asked->filter};
    err = err != OK ? err : shares_add(&node->remembered, &share, error);
    if (err != OK) {
        return err;
    }
    err = share_now(node, &share, error);
    err = err != OK ? err : shares_save(&node->remembered, dir, error);
    if (err != OK) {
        forget(&node->remembered, real);
        return err;
    }
    control_json_line(lines, "added", "path", real);
    return OK;
}

static enum err remove_folder(struct cli_node *node, const char *folder, struct buf *lines,
                              struct host_error *error) {
    char real[PATH_MAX];
    struct host_error none = {0};
    if (realpath(folder, real) == NULL) { /* gone from the disk: by the name it had */
        snprintf(real, sizeof real, "%s", folder);
    }
    enum err remembered = shares_remove(&node->remembered, real, &none);
    enum err shared = shares_remove(&node->shared, real, error);
    if (remembered != OK && shared != OK) {
        return shared;
    }
    *error = (struct host_error){0};
    if (shared == OK && host_share_remove(node->node, real) != OK) {
        return fail(error, ERR_NOT_FOUND, "%.300s was not being shared", real);
    }
    if (remembered == OK && shares_save(&node->remembered, node->cli->dir, error) != OK) {
        return error->err;
    }
    control_json_line(lines, "removed", "path", real);
    return OK;
}

bool cli_share_answer(struct cli_node *node, const struct control_request *request,
                      struct buf *lines, struct host_error *error) {
    const char *folder = control_json_argument(request, "folder");
    bool adds = strcmp(request->name, "share-add") == 0;
    bool removes = strcmp(request->name, "share-remove") == 0;
    if (strcmp(request->name, "folders") == 0) {
        error->err = list_folders(node, lines);
        return true;
    }
    if (!adds && !removes) {
        return false;
    }
    if (folder == NULL || folder[0] != '/') {
        (void)fail(error, ERR_CONFIG, "`folder` must be an absolute path");
    } else {
        const struct share share = {folder, control_json_argument(request, "filter")};
        error->err = adds ? add_folder(node, &share, lines, error)
                          : remove_folder(node, folder, lines, error);
    }
    return true;
}

/* ---- The command ---- */

static void print_share(const json_t *object) {
    char size[UNITS_TEXT_BYTES];
    uint64_t left = client_number(object, "hashing_files");
    units_bytes(size, client_number(object, "bytes"));
    printf("%" PRIu64 " files, %s", client_number(object, "files"), size);
    units_bytes(size, client_number(object, "hashing_bytes"));
    if (left > 0) {
        printf("; %" PRIu64 " more to be hashed, %s", left, size);
    } else if (json_is_false(json_object_get(object, "ready"))) {
        printf(" (still scanning)");
    }
    printf("\n");
}

static bool print_line(void *context, const json_t *object, const char *text) {
    const struct cli *cli = context;
    if (cli->settings.json) {
        puts(text);
        return true;
    }
    const char *kind = client_text(object, "kind");
    char clean[PATH_MAX];
    char size[UNITS_TEXT_BYTES];
    if (strcmp(kind, "share") == 0) {
        print_share(object);
    } else if (strcmp(kind, "file") == 0) {
        terminal_clean(clean, sizeof clean, client_text(object, "name"), 0);
        units_bytes(size, client_number(object, "size"));
        printf("  %10s  %s\n", size, clean);
        if (cli->settings.links) {
            printf("              %s\n", client_text(object, "link"));
        }
    } else if (strcmp(kind, "note") == 0 || strcmp(kind, "rule") == 0) {
        terminal_clean(clean, sizeof clean, client_text(object, "text"), 0);
        printf("%s%s\n", kind[0] == 'r' ? "  " : "", clean);
    } else {
        terminal_clean(clean, sizeof clean, client_text(object, "path"), 0);
        printf("%s %s\n", kind, clean);
    }
    return true;
}

static int list(struct cli *cli) {
    static const char *const commands[] = {"folders", "share"};
    for (uint32_t i = 0; i < 2; i++) {
        struct host_error error = {0};
        const struct command_arg links = {"links", "1"};
        struct client_call call = {.command = commands[i],
                                   .args = &links,
                                   .count = cli->settings.links ? 1 : 0,
                                   .line = print_line,
                                   .context = cli};
        if (cli_call(cli, &call, &error) != OK) {
            return cli_fail(cli, &error);
        }
    }
    return CLI_OK;
}

/* No peer runs: change its list for the next start. The lock keeps a starting peer out. */
static enum err change_stored(struct cli *cli, bool adds, const struct share *share,
                              struct host_error *error) {
    struct shares shares = {0};
    enum err err = folder_make(cli->dir, error);
    int lock = err == OK ? state_lock(cli->dir, error) : -1;
    if (lock < 0) {
        return error->err;
    }
    err = shares_load(&shares, cli->dir, error);
    if (err == OK) {
        err =
            adds ? shares_add(&shares, share, error) : shares_remove(&shares, share->folder, error);
    }
    err = err != OK ? err : shares_save(&shares, cli->dir, error);
    shares_free(&shares);
    close(lock);
    return err;
}

static enum err change_running(struct cli *cli, bool adds, const struct share *share,
                               struct host_error *error) {
    struct command_arg args[] = {{"folder", share->folder}, {"filter", share->filter}};
    struct client_call call = {.command = adds ? "share-add" : "share-remove",
                               .args = args,
                               .count = adds ? 2 : 1,
                               .line = print_line,
                               .context = cli};
    return cli_call(cli, &call, error);
}

static int change(struct cli *cli, bool adds, const struct share *share) {
    struct host_error error = {0};
    struct host_error none = {0};
    int running = control_socket_connect(cli->dir, &none);
    if (running >= 0) {
        close(running);
        return change_running(cli, adds, share, &error) == OK ? CLI_OK : cli_fail(cli, &error);
    }
    if (change_stored(cli, adds, share, &error) != OK) {
        return cli_fail(cli, &error);
    }
    if (cli->settings.json) {
        printf("{\"kind\":\"stored\"}\n");
    } else {
        printf("%s %s from the next start on (no peer is running in %s)\n",
               adds ? "shared" : "no longer shared", share->folder, cli->dir);
    }
    return CLI_OK;
}

/* The options as the text of a filter. */
static void write_filter(const struct settings *settings, struct buf *text) {
    const struct {
        const char *key;
        const struct option_list *list;
    } lists[] = {{"only ", &settings->only},
                 {"exclude ", &settings->exclude},
                 {"alias ", &settings->aliases},
                 {"for ", &settings->readers}};
    const struct {
        const char *key;
        const char *value;
    } values[] = {{"as ", settings->as},
                  {"min ", settings->min_size},
                  {"max ", settings->max_size},
                  {"private ", settings->private ? "yes" : NULL},
                  {"locked ", settings->locked ? "yes" : NULL}};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        for (uint32_t j = 0; j < lists[i].list->count; j++) {
            buf_append(text, lists[i].key, strlen(lists[i].key));
            buf_append(text, lists[i].list->values[j], strlen(lists[i].list->values[j]));
            buf_u8(text, '\n');
        }
    }
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        if (values[i].value != NULL) {
            buf_append(text, values[i].key, strlen(values[i].key));
            buf_append(text, values[i].value, strlen(values[i].value));
            buf_u8(text, '\n');
        }
    }
    buf_u8(text, '\0');
}

static int add(struct cli *cli, const char *folder) {
    char real[PATH_MAX];
    struct host_error error = {0};
    struct buf filter = {0};
    write_filter(&cli->settings, &filter);
    const struct share asked = {folder, (const char *)filter.data}, share = {real, asked.filter};
    int status;
    if (shares_check(&asked, cli->dir, real, &error) != OK) {
        status = cli_fail(cli, &error);
    } else if (!preview_share(cli, &share, &error)) {
        status = error.err != OK ? cli_fail(cli, &error) : CLI_OK;
    } else {
        status = change(cli, true, &share);
    }
    buf_free(&filter);
    return status;
}

static int take_away(struct cli *cli, const char *folder) {
    char real[PATH_MAX];
    if (realpath(folder, real) == NULL) { /* gone from the disk: by the name it had */
        snprintf(real, sizeof real, "%s", folder);
    }
    const struct share share = {real, NULL};
    return change(cli, false, &share);
}

int cli_share(struct cli *cli) {
    const struct option_list *words = &cli->options.words;
    const char *verb = words->count > 0 ? words->values[0] : "list";
    struct host_error error = {0};
    if (strcmp(verb, "list") == 0 && words->count <= 1) {
        return list(cli);
    }
    if (strcmp(verb, "add") == 0 && words->count == 2) {
        return add(cli, words->values[1]);
    }
    if (strcmp(verb, "remove") == 0 && words->count == 2) {
        return take_away(cli, words->values[1]);
    }
    (void)fail(&error, ERR_CONFIG,
               "expected `share list`, `share add FOLDER` or `share remove "
               "FOLDER`");
    return cli_fail(cli, &error);
}
