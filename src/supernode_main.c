/* supernode_main.c - the program `supernode`: makes networks and indexes what peers share. */
#include "src/host/cli_limit.h"
#include "src/host/cli_network.h"
#include "src/host/cli_node.h"
#include "src/host/cli_verify.h"
#include "src/host/pins.h"
#include "supernode/supernode.h"

#define SUPERNODE_PORT 6346

static struct node make_supernode(const struct node_env *env, const void *config) {
    return supernode_new(env, config);
}

static int run(struct cli *cli) {
    pins_init();
    const struct settings *settings = &cli->settings;
    struct cli_node node = {.default_port = SUPERNODE_PORT};
    struct supernode_config config = {.leaves_max = (uint32_t)settings->leaves,
                                      .mesh_dial_max = (uint32_t)settings->mesh_links,
                                      .fixed_mesh = settings->fixed_mesh,
                                      .leaf_queries_milli_per_s = settings->leaf_query_rate,
                                      .leaf_queries_burst = settings->leaf_query_burst,
                                      .index_bytes_max = settings->index_memory,
                                      .mesh_queries_per_s = (uint32_t)settings->mesh_query_rate};
    struct host_error error = {0};
    if (cli_node_prepare(&node, cli, &error) != OK) {
        cli_node_free(&node);
        return cli_fail(cli, &error);
    }
    config.introducer_count = node.introducer_count;
    for (uint32_t i = 0; i < node.introducer_count; i++) {
        config.introducers[i] = node.introducers[i];
    }
    node.config.make = make_supernode;
    node.config.role_config = &config;
    return cli_node_run(&node);
}

#define RUN_SETTINGS                                                                               \
    (SETTING(NETWORK) | SETTING(LISTEN) | SETTING(ADVERTISE) | SETTING(INTERFACE) |                \
     SETTING(INTRODUCER) | SETTING(LEAVES) | SETTING(LEAF_QUERY_RATE) |                            \
     SETTING(LEAF_QUERY_BURST) | SETTING(INDEX_MEMORY) | SETTING(MESH_QUERY_RATE) |                \
     SETTING(MESH_LINKS) | SETTING(FIXED_MESH) | SETTING(PARENT_FD) | SETTING(LIMIT) |             \
     SETTING(LOG) | SETTING(VERBOSE) | SETTING(QUIET))
#define ANCHOR_SETTINGS                                                                            \
    (SETTING(ANCHOR) | SETTING(NAME) | SETTING(POLICY) | SETTING(PROFILE) | SETTING(EPOCH) |       \
     SETTING(PROMOTION) | SETTING(SECRET) | SETTING(ADDRESS) | SETTING(NETWORK))

static const struct cli_command commands[] = {
    {.name = "init",
     .words = "",
     .help = "make a supernode's key, and with --anchor a network",
     .more = "Prints the node id. With --anchor it also writes network.ini into the state folder\n"
             "(or where --network says): the file that every member needs. Give --address so\n"
             "that they know where to begin. Nothing that is there is ever overwritten.",
     .accepted = ANCHOR_SETTINGS,
     .run = cli_init},
    {.name = "certify",
     .words = "ID",
     .help = "sign another supernode's certificate (anchor only)",
     .more = "Prints the certificate, or writes it to --out. The other supernode keeps it as\n"
             "`cert` in its state folder and is let into the mesh until it ends.",
     .accepted = SETTING(DAYS) | SETTING(OUT) | SETTING(NETWORK),
     .words_min = 1,
     .words_max = 1,
     .run = cli_certify},
    {.name = "verify",
     .words = "FILE|ID",
     .help = "check a certificate and its quorum again, offline",
     .more =
         "FILE holds a certificate, as `certify` prints it; ID is an elected supernode's. Every\n"
         "signature is checked by the checkpoints and member lists that the supernode of --dir\n"
         "has kept; nothing is asked of anybody.",
     .accepted = SETTING(NETWORK),
     .words_min = 1,
     .words_max = 1,
     .run = cli_verify},
    {.name = "run",
     .words = "",
     .help = "serve the network until stopped",
     .more = "Runs in the foreground and prints one line when it is ready. Every option but\n"
             "--config may stand as `name = value` below [supernode] in the configuration file\n"
             "(~/.config/trunkline/supernode.ini); the command line wins. State is kept in\n"
             "~/.local/state/trunkline/supernode. SIGTERM, Ctrl-C or `supernode stop` end it.",
     .accepted = RUN_SETTINGS,
     .run = run},
    {.name = "status", .words = "", .help = "show leaves, neighbours and load", .run = cli_status},
    CLI_LIMIT_COMMAND,
    {.name = "id", .words = "", .help = "print the node id", .run = cli_id},
    {.name = "stop",
     .words = "",
     .help = "stop the supernode and wait for its end",
     .run = cli_stop},
};

int main(int argc, char **argv) {
    static const struct cli_program program = {
        .name = "supernode",
        .help = "index what peers share and pass their searches on",
        .commands = commands,
        .count = sizeof commands / sizeof *commands};
    return cli_main(&program, argc, argv);
}
