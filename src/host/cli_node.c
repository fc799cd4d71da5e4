/* cli_node.c - `run`: from settings to a running node with its control socket. */
#include "src/host/cli_node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/check.h"
#include "src/host/cli_limit.h"
#include "src/host/cli_share.h"
#include "src/host/control.h"
#include "src/host/failure.h"
#include "src/host/parent.h"
#include "src/host/places.h"
#include "src/host/preview.h"
#include "src/host/sockets.h"
#include "src/host/textfile.h"

static enum log_level level_of(const struct settings *settings) {
    if (settings->verbose) {
        return LOG_LEVEL_DEBUG;
    }
    return settings->quiet ? LOG_LEVEL_WARN : LOG_LEVEL_INFO;
}

/* ---- Network and introducers ---- */

static enum err load_network(struct cli_node *node, struct host_error *error) {
    const struct cli *cli = node->cli;
    char *path = node->network_path;
    bool is_given = cli->settings.network != NULL;
    if (snprintf(path, PATH_MAX, is_given ? "%s" : "%s/network.ini",
                 is_given ? cli->settings.network : cli->dir) >= PATH_MAX) {
        return fail(error, ERR_CONFIG, "%.300s: the path is too long", cli->dir);
    }
    if (is_given) {
        return network_load(path, &node->network, error);
    }
    if (access(path, F_OK) != 0) {
        return fail(error, ERR_NOT_FOUND,
                    "which network? Ask whoever runs it for its file and name it with --network "
                    "FILE, or make a network: supernode init --anchor");
    }
    return network_load(path, &node->network, error);
}

static enum err collect_introducers(struct cli_node *node, struct host_error *error) {
    const struct option_list *given = &node->cli->settings.introducers;
    if (given->count > INTRODUCERS_MAX) {
        return fail(error, ERR_CONFIG, "more than %d introducers; a few are enough",
                    INTRODUCERS_MAX);
    }
    for (uint32_t i = 0; i < given->count; i++) {
        CHECK(introducer_parse(&node->introducers[node->introducer_count++], given->values[i]) ==
              OK); /* the option's row has checked it */
    }
    for (uint32_t i = 0;
         i < node->network.introducer_count && node->introducer_count < INTRODUCERS_MAX; i++) {
        node->introducers[node->introducer_count++] = node->network.introducers[i];
    }
    return OK;
}

/* ---- Folders ---- */

/* Finished files are shared from where they lie, and so is whatever else lies there: the same
 * folders are refused, and the usual one is of its own. */
static enum err choose_downloads(struct cli_node *node, struct host_error *error) {
    const char *given = node->cli->settings.downloads;
    char usual[PATH_MAX];
    enum err err = given != NULL ? OK : places_downloads(usual, error);
    if (err == OK && given == NULL) {
        err = folder_make(usual, error);
    }
    const struct share share = {given != NULL ? given : usual, NULL};
    return err != OK ? err : shares_check(&share, node->cli->dir, node->downloads, error);
}

/* The supernode that this peer may have to run: as the peer, but where it is told to listen. */
static enum err prepare_child(struct cli_node *node, struct host_error *error) {
    const struct settings *settings = &node->cli->settings;
    struct child_config *child = &node->config.child;
    struct address advertise = settings->advertise;
    child->network = node->network_path;
    child->introducers = settings->introducers.values;
    child->introducer_count = settings->introducers.count;
    child->log_level = level_of(settings);
    if (settings->supernode_listen.family != ADDRESS_NONE) {
        address_format(node->child_listen, &settings->supernode_listen);
        child->listen = node->child_listen;
        advertise.port = settings->supernode_listen.port;
    }
    /* Whoever forwards one port to the peer forwards one to its supernode as well, the same. */
    if (advertise.family != ADDRESS_NONE && child->listen != NULL && advertise.port != 0) {
        address_format(node->child_advertise, &advertise);
        child->advertise = node->child_advertise;
    }
    if (settings->log != NULL) {
        if (snprintf(node->child_log, PATH_MAX, "%s.supernode", settings->log) >= PATH_MAX) {
            return fail(error, ERR_CONFIG, "%.300s: the path is too long", settings->log);
        }
        child->log = node->child_log;
    }
    return OK;
}

static enum err prepare_peer(struct cli_node *node, struct host_error *error) {
    enum err err = choose_downloads(node, error);
    err = err != OK ? err : cli_share_collect(node, error);
    node->config.download_dir = node->downloads;
    node->config.share_dirs = (const char *const *)node->shared.paths;
    node->config.share_filters = (const char *const *)node->shared.filters;
    node->config.share_count = node->shared.count;
    node->config.no_metadata = node->cli->settings.no_metadata;
    return err != OK ? err : prepare_child(node, error);
}

static enum err choose_addresses(struct cli_node *node, struct host_error *error) {
    const struct settings *settings = &node->cli->settings;
    struct host_node_config *config = &node->config;
    config->no_listen = settings->dial_only;
    config->advertise = settings->advertise;
    config->listen = settings->listen;
    if (settings->listen.family == ADDRESS_NONE) {
        config->listen = (struct address){.family = ADDRESS_IPV4, .port = node->default_port};
    }
    if (config->advertise.family != ADDRESS_NONE &&
        (config->advertise.port == 0 || address_is_any(&config->advertise))) {
        return fail(error, ERR_CONFIG,
                    "nobody could dial what --advertise says; give the address and port that "
                    "others reach this node by");
    }
    if (config->advertise.family != ADDRESS_NONE && settings->dial_only) {
        return fail(error, ERR_CONFIG, "--advertise and --dial-only contradict each other");
    }
    if (settings->interface == NULL) {
        return OK;
    }
    struct address first = config->listen;
    config->interface = settings->interface;
    enum err err = host_interface(settings->interface, &first, error);
    if (err == OK && address_is_any(&config->listen)) {
        config->listen = first;
    }
    return err;
}

enum err cli_node_prepare(struct cli_node *node, struct cli *cli, struct host_error *error) {
    node->cli = cli;
    enum err err = folder_make(cli->dir, error);
    err = err != OK ? err : load_network(node, error);
    err = err != OK ? err : collect_introducers(node, error);
    err = err != OK ? err : cli_limit_collect(node, error);
    err = err != OK || !node->is_peer ? err : prepare_peer(node, error);
    node->config.network = &node->network.network;
    node->config.state_dir = cli->dir;
    return err != OK ? err : choose_addresses(node, error);
}

/* ---- Running ---- */

static uint64_t on_command(void *context, const struct control_request *request,
                           host_report_fn *report, void *report_context) {
    struct cli_node *node = context;
    const struct host_request command = {.name = request->name,
                                         .args = request->args,
                                         .count = request->count,
                                         .report = report,
                                         .context = report_context};
    return host_command(node->node, &command);
}

static void on_gone(void *context, uint64_t id) {
    struct cli_node *node = context;
    host_command_gone(node->node, id);
}

static bool on_local(void *context, const struct control_request *request, struct buf *lines,
                     struct host_error *error) {
    struct cli_node *node = context;
    return cli_limit_answer(node, request, lines, error) ||
           (node->is_peer && cli_share_answer(node, request, lines, error));
}

static void on_stop(void *context) {
    struct cli_node *node = context;
    host_stop(node->host);
}

static void say_ready(const struct cli_node *node) {
    char id[NODE_ID_TEXT_BYTES];
    char address[ADDRESS_TEXT_BYTES];
    struct address listening = host_node_address(node->node);
    const char *program = node->cli->program->name;
    node_id_format(id, host_node_id(node->node));
    address_format(address, &listening);
    if (node->config.no_listen) {
        snprintf(address, sizeof address, "nothing");
    }
    if (node->cli->settings.json) {
        printf("{\"kind\":\"ready\",\"id\":\"%s\",\"address\":\"%s\",\"folders\":%u}\n", id,
               address, node->shared.count);
    } else if (node->is_peer) {
        printf("%s %s listening on %s, sharing %u folder%s\n", program, id, address,
               node->shared.count, node->shared.count == 1 ? "" : "s");
    } else {
        printf("%s %s listening on %s, network %s\n", program, id, address,
               node->network.network.name);
    }
    fflush(stdout);
}

static int run_host(struct cli_node *node, struct host_error *error) {
    static const struct control_ops ops = {on_command, on_gone, on_local, on_stop};
    const struct cli *cli = node->cli;
    if (node->is_peer) {
        preview_first(cli, &node->shared);
    }
    node->node = host_add(node->host, &node->config, error);
    if (node->node == NULL) {
        return cli_fail(cli, error);
    }
    struct control *control = control_new(host_base(node->host), cli->dir, &ops, node, error);
    if (control == NULL) {
        return cli_fail(cli, error);
    }
    struct parent_tie *tie = NULL;
    if (cli->settings.parent_fd != 0 &&
        (tie = parent_watch(node->host, (int)cli->settings.parent_fd, error)) == NULL) {
        control_free(control);
        return cli_fail(cli, error);
    }
    say_ready(node);
    int code = host_run(node->host);
    parent_free(tie);
    control_free(control);
    return code == 0 ? CLI_OK : CLI_FAILED;
}

int cli_node_run(struct cli_node *node) {
    struct host_error error = {0};
    struct host_config config = {.log_level = level_of(&node->cli->settings),
                                 .log_file = node->cli->settings.log,
                                 .handle_signals = true};
    node->host = host_new(&config, &error);
    int code = node->host != NULL ? run_host(node, &error) : cli_fail(node->cli, &error);
    if (node->host != NULL) {
        host_free(node->host);
    }
    cli_node_free(node);
    return code;
}

void cli_node_free(struct cli_node *node) {
    shares_free(&node->remembered);
    shares_free(&node->shared);
}
