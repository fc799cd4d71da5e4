/* peer_main.c - the program `peer`: an ordinary peer and the commands that speak to it. */
#include "peer/duty.h"
#include "peer/peer.h"
#include "src/host/cli_browse.h"
#include "src/host/cli_duty.h"
#include "src/host/cli_limit.h"
#include "src/host/cli_node.h"
#include "src/host/cli_search.h"
#include "src/host/cli_share.h"

#define PEER_PORT 6347

static struct node make_peer(const struct node_env *env, const void *config) {
    return peer_new(env, config);
}

static int run(struct cli *cli) {
    struct cli_node node = {.is_peer = true, .default_port = PEER_PORT};
    struct peer_config config = {.upload_slots = (uint32_t)cli->settings.upload_slots,
                                 .downloads_active = (uint32_t)cli->settings.downloads_active,
                                 .no_browse = cli->settings.no_browse,
                                 .consents = cli->settings.consent,
                                 .duty_rate = cli->settings.cap_rate,
                                 .duty_day_bytes = cli->settings.cap_bytes};
    struct host_error error = {0};
    if (cli_node_prepare(&node, cli, &error) != OK) {
        cli_node_free(&node);
        return cli_fail(cli, &error);
    }
    config.introducer_count = node.introducer_count;
    for (uint32_t i = 0; i < node.introducer_count; i++) {
        config.introducers[i] = node.introducers[i];
    }
    node.config.make = make_peer;
    node.config.role_config = &config;
    return cli_node_run(&node);
}

#define RUN_SETTINGS                                                                               \
    (SETTING(NETWORK) | SETTING(LISTEN) | SETTING(ADVERTISE) | SETTING(INTERFACE) |                \
     SETTING(DIAL_ONLY) | SETTING(INTRODUCER) | SETTING(SHARE) | SETTING(PRIVATE) |                \
     SETTING(DOWNLOADS) | SETTING(NO_METADATA) | SETTING(NO_BROWSE) | SETTING(UPLOAD_RATE) |       \
     SETTING(LIMIT) | SETTING(UPLOAD_SLOTS) | SETTING(DOWNLOADS_ACTIVE) | SETTING(CONSENT) |       \
     SETTING(CAP_RATE) | SETTING(CAP_BYTES) | SETTING(SUPERNODE_LISTEN) | SETTING(LOG) |           \
     SETTING(VERBOSE) | SETTING(QUIET))

static const struct cli_command commands[] = {
    {.name = "run",
     .words = "",
     .help = "take part in the network until stopped",
     .more = "Runs in the foreground and prints one line when it is ready. Every option but\n"
             "--config may stand as `name = value` below [peer] in the configuration file\n"
             "(~/.config/trunkline/peer.ini); the command line wins. Folders of `peer share add`\n"
             "are shared too. State is kept in ~/.local/state/trunkline/peer, finished files go\n"
             "to ~/Downloads/trunkline, where everything is shared. SIGTERM, Ctrl-C or\n"
             "`peer stop` end it.",
     .accepted = RUN_SETTINGS,
     .run = run},
    {.name = "search",
     .words = "WORDS...",
     .help = "find files that have all the words and pass the filters",
     .more = "  blue whale            both words, in any order and case\n"
             "  '\"blue whale\"'        the words side by side\n"
             "  whale -remix          without this word; also -'\"radio edit\"'\n"
             "  title:whale           in the title; artist: and album: likewise\n"
             "  type:audio,video      also image, document, archive, software, other\n"
             "  ext:flac,mp3          by the end of the name\n"
             "  'size:>10M'           also size:1M..10M, size:1.5G.. and year:, bitrate:\n"
             "  year:1990..1999       (kbit/s), width:, height: (pixels); any of > >= < <= =\n"
             "  duration:3m..1h       also seconds and 3:30\n"
             "  language:en           by its code, with all its kinds (en-GB)\n\n"
             "At least one word is needed, filters only narrow; what is not known of a file does\n"
             "not match. The shell takes quotes, > and < for itself unless they are quoted. Text\n"
             "with a colon that is no field goes into quotes.\n\n"
             "The numbers shown are for `peer get`. A `?` after the sources means that none of\n"
             "them is known to be reachable from outside.",
     .accepted = SETTING(WANT) | SETTING(FARTHER) | SETTING(LINKS),
     .words_min = 1,
     .words_max = OPTION_VALUES_MAX,
     .dash_words = true,
     .run = cli_search},
    {.name = "browse",
     .words = "NODE[/FOLDER]",
     .help = "show what one node shares",
     .more = "NODE is the number of a search result (its first source), the id of a node that\n"
             "searches have found, or ID@ADDRESS:PORT. Locked files are marked; what is shared\n"
             "with you alone is found only so. Its owner may have switched browsing off.",
     .accepted = SETTING(LINKS),
     .words_min = 1,
     .words_max = 1,
     .run = cli_browse},
    {.name = "get",
     .words = "NUMBER|LINK|NODE/FOLDER...",
     .help = "fetch files, every block verified",
     .more = "NUMBER is what a search of this peer showed (3, or 5-9); LINK is\n"
             "trunkline:HASH:SIZE from anywhere, with what --links adds to it. The last line "
             "printed is the path of the file.\n"
             "Ctrl-C stops waiting; the peer goes on, also after a restart. Several are fetched\n"
             "in the background. With --folder all files of a folder that `peer browse` shows\n"
             "are fetched into a folder of its name; done again it fetches what is missing.",
     .accepted = SETTING(NAME) | SETTING(FOLDER) | SETTING(NO_WAIT),
     .words_min = 1,
     .words_max = OPTION_VALUES_MAX,
     .run = cli_get},
    {.name = "share",
     .words = "[list|add FOLDER|remove FOLDER]",
     .help = "show or change what is shared",
     .more = "`add` first shows what would be shared, and asks on a terminal. Changes are\n"
             "remembered, and take effect at once when the peer runs; adding a folder again\n"
             "changes what is left out of it. Refused: /, home folders, hidden folders, the\n"
             "system's own, those of mail and keys. Left out of what is shared: empty and\n"
             "hidden files, links, names that are no UTF-8, files of keys, passwords, mail and\n"
             "wallets (--private lets them in). Removing a folder that an option or the\n"
             "configuration file names holds until the next start.",
     .accepted = SETTING(LINKS) | SETTING(ONLY) | SETTING(EXCLUDE) | SETTING(AS) | SETTING(ALIAS) |
                 SETTING(MIN_SIZE) | SETTING(MAX_SIZE) | SETTING(PRIVATE) | SETTING(FOR) |
                 SETTING(LOCKED) | SETTING(DRY_RUN) | SETTING(YES),
     .words_max = 2,
     .run = cli_share},
    {.name = "status", .words = "", .help = "show how the peer is doing", .run = cli_status},
    {.name = "downloads",
     .words = "[pause|resume|cancel|... WHICH...]",
     .help = "show what is being fetched, or change it",
     .more = "pause, resume, cancel, high, normal and low are followed by WHICH: numbers that the\n"
             "list shows (3, 5-7), how an id in it begins (4 digits or more), links, or all. A\n"
             "paused download keeps what it has; those that wait have their turn by priority,\n"
             "then by number. `downloads clear` forgets what --done shows.",
     .accepted = SETTING(WATCH) | SETTING(DONE),
     .words_max = OPTION_VALUES_MAX,
     .run = cli_downloads},
    {.name = "supernode",
     .words = "[consent|withdraw|status]",
     .help = "serve as a supernode, too, or show what that costs",
     .more = "A network chooses its supernodes among the peers that consent, by what others have\n"
             "measured of their lines; a chosen peer runs one beside itself, with a key of its\n"
             "own. `consent` asks on a terminal, once, and is remembered; what you give is\n"
             "limited by --cap-rate and --cap-bytes (1M a second and 20G a day at first), and\n"
             "measuring counts, too. `withdraw` ends it after a hand-over. `status` tells the\n"
             "state, and bytes, processor time and leaves of today (UTC).",
     .accepted = SETTING(CAP_RATE) | SETTING(CAP_BYTES) | SETTING(YES),
     .words_max = 1,
     .run = cli_duty},
    {.name = "why",
     .words = "[ID]",
     .help = "show why a node is a supernode, or is not",
     .more = "Asks a supernode for its last decision on the node ID, or on this peer's own\n"
             "candidacy: what was required, the score, the draw, and each piece of evidence.",
     .words_max = 1,
     .run = cli_why},
    CLI_LIMIT_COMMAND,
    {.name = "stop", .words = "", .help = "stop the peer and wait for its end", .run = cli_stop},
};

int main(int argc, char **argv) {
    static const struct cli_program program = {
        .name = "peer",
        .help = "share files, and find and fetch those of others",
        .commands = commands,
        .count = sizeof commands / sizeof *commands,
        .consent_key = DUTY_STATE_KEY,
        .consent_kept = duty_consent_kept};
    return cli_main(&program, argc, argv);
}
