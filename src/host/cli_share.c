/* cli_share.c - shared folders: collected at the start, changed while the peer runs. */
#include "src/host/cli_share.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/units.h"
#include "src/host/control_socket.h"
#include "src/host/failure.h"
#include "src/host/identity.h"
#include "src/host/terminal.h"
#include "src/host/textfile.h"

/* ---- At the start ---- */

/* Add a checked folder; one that is there already is fine. */
static enum err share_too(struct shares *shares, const char *real, struct host_error *error) {
    enum err err = shares_add(shares, real, error);
    return err == ERR_EXISTS ? OK : err;
}

enum err cli_share_collect(struct cli_node *node, struct host_error *error) {
    const struct option_list *named = &node->cli->settings.shares;
    const char *dir = node->cli->dir;
    char real[PATH_MAX];
    enum err err = shares_load(&node->remembered, dir, error);
    for (uint32_t i = 0; err == OK && i < node->remembered.count; i++) {
        struct host_error why = {0};
        if (shares_check(node->remembered.paths[i], dir, real, &why) == OK) {
            err = share_too(&node->shared, real, error);
        } else {
            fprintf(stderr, "%s: not shared now: %s\n", node->cli->program->name, why.text);
        }
    }
    for (uint32_t i = 0; err == OK && i < named->count; i++) {
        err = shares_check(named->values[i], dir, real, error);
        err = err != OK ? err : share_too(&node->shared, real, error);
    }
    return err != OK ? err : share_too(&node->shared, node->downloads, error);
}

/* ---- In the running peer ---- */

static enum err list_folders(struct cli_node *node, struct buf *lines) {
    for (uint32_t i = 0; i < node->shared.count; i++) {
        control_json_line(lines, "folder", "path", node->shared.paths[i]);
    }
    uint32_t skipped = host_share_skipped(node->node);
    if (skipped > 0) {
        char text[160];
        snprintf(
            text, sizeof text,
            "%u left out: files whose name is no UTF-8 or which are too many or too large, and "
            "folders that cannot be read",
            skipped);
        control_json_line(lines, "note", "text", text);
    }
    return OK;
}

/* Undo an addition. */
static void forget(struct shares *shares, const char *real) {
    struct host_error none = {0};
    enum err gone = shares_remove(shares, real, &none);
    (void)gone; /* it was there a moment ago */
}

/* Share from now on; a folder that an option named is shared already. */
static enum err share_now(struct cli_node *node, const char *real, struct host_error *error) {
    struct host_error none = {0};
    enum err err = shares_add(&node->shared, real, &none);
    if (err == ERR_EXISTS) {
        return OK;
    }
    if (err != OK) {
        return fail(error, err, "%s", none.text);
    }
    err = host_share_add(node->node, real, error);
    if (err != OK) {
        forget(&node->shared, real);
    }
    return err;
}

static enum err add_folder(struct cli_node *node, const char *folder, struct buf *lines,
                           struct host_error *error) {
    const char *dir = node->cli->dir;
    char real[PATH_MAX];
    enum err err = shares_check(folder, dir, real, error);
    err = err != OK ? err : shares_add(&node->remembered, real, error);
    if (err != OK) {
        return err;
    }
    err = share_now(node, real, error);
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
        error->err = adds ? add_folder(node, folder, lines, error)
                          : remove_folder(node, folder, lines, error);
    }
    return true;
}

/* ---- The command ---- */

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
        units_bytes(size, client_number(object, "bytes"));
        printf("%llu files, %s%s\n", (unsigned long long)client_number(object, "files"), size,
               json_is_false(json_object_get(object, "ready")) ? " (still scanning)" : "");
    } else if (strcmp(kind, "file") == 0) {
        terminal_clean(clean, sizeof clean, client_text(object, "name"), 0);
        units_bytes(size, client_number(object, "size"));
        printf("  %10s  %s\n", size, clean);
        if (cli->settings.links) {
            printf("              %s\n", client_text(object, "content"));
        }
    } else if (strcmp(kind, "note") == 0) {
        printf("%s\n", client_text(object, "text"));
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
        struct client_call call = {.command = commands[i], .line = print_line, .context = cli};
        if (cli_call(cli, &call, &error) != OK) {
            return cli_fail(cli, &error);
        }
    }
    return CLI_OK;
}

/* No peer runs: change its list for the next start. The lock keeps a starting peer out. */
static enum err change_stored(struct cli *cli, bool adds, const char *real,
                              struct host_error *error) {
    struct shares shares = {0};
    enum err err = folder_make(cli->dir, error);
    int lock = err == OK ? state_lock(cli->dir, error) : -1;
    if (lock < 0) {
        return error->err;
    }
    err = shares_load(&shares, cli->dir, error);
    if (err == OK) {
        err = adds ? shares_add(&shares, real, error) : shares_remove(&shares, real, error);
    }
    err = err != OK ? err : shares_save(&shares, cli->dir, error);
    shares_free(&shares);
    close(lock);
    return err;
}

static enum err change_running(struct cli *cli, bool adds, const char *real,
                               struct host_error *error) {
    struct command_arg args[] = {{"folder", real}};
    struct client_call call = {.command = adds ? "share-add" : "share-remove",
                               .args = args,
                               .count = 1,
                               .line = print_line,
                               .context = cli};
    return cli_call(cli, &call, error);
}

static int change(struct cli *cli, bool adds, const char *folder) {
    char real[PATH_MAX];
    struct host_error error = {0};
    struct host_error none = {0};
    if (adds && shares_check(folder, cli->dir, real, &error) != OK) {
        return cli_fail(cli, &error);
    }
    if (!adds && realpath(folder, real) == NULL) { /* gone from the disk: by the name it had */
        snprintf(real, sizeof real, "%s", folder);
    }
    int running = control_socket_connect(cli->dir, &none);
    if (running >= 0) {
        close(running);
        return change_running(cli, adds, real, &error) == OK ? CLI_OK : cli_fail(cli, &error);
    }
    if (change_stored(cli, adds, real, &error) != OK) {
        return cli_fail(cli, &error);
    }
    if (cli->settings.json) {
        printf("{\"kind\":\"stored\"}\n");
    } else {
        printf("%s %s from the next start on (no peer is running in %s)\n",
               adds ? "shared" : "no longer shared", real, cli->dir);
    }
    return CLI_OK;
}

int cli_share(struct cli *cli) {
    const struct option_list *words = &cli->options.words;
    const char *verb = words->count > 0 ? words->values[0] : "list";
    struct host_error error = {0};
    bool adds = strcmp(verb, "add") == 0;
    if (strcmp(verb, "list") == 0 && words->count <= 1) {
        return list(cli);
    }
    if ((adds || strcmp(verb, "remove") == 0) && words->count == 2) {
        return change(cli, adds, words->values[1]);
    }
    (void)fail(&error, ERR_CONFIG,
               "expected `share list`, `share add FOLDER` or `share remove "
               "FOLDER`");
    return cli_fail(cli, &error);
}
