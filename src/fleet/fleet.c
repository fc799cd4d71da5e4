/* fleet.c - many peers in one process, over real sockets and real TLS. */
#include "src/fleet/fleet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/rng.h"
#include "common/traffic.h"
#include "common/units.h"
#include "common/wire.h"
#include "peer/peer.h"
#include "src/cluster/deal.h"
#include "src/cluster/names.h"
#include "src/cluster/process.h"
#include "src/fleet/liars.h"
#include "src/host/config.h"

#define PEERS_MAX SPEC_FLEET_MAX
#define FILE_BYTES 256 /* of each file: the loads are searches, not bytes */
#define TICK_US 2000   /* how late a search may begin */
#define START_US 10000 /* between two peers that are started: a supernode takes 200 a second */
#define SIGNALS 4
#define MEASURED_PER_S 2000 /* all liars are dialled at once by all who measure them */
#define WANT "10"           /* hits that end a search */
#define WORD_BYTES 24

struct fleet;

struct fleet_peer {
    struct fleet *fleet;
    struct host_node *node;
    bool is_asked;
    uint32_t parents; /* counted so far in the answer */
    bool is_registered;
    int64_t lost_ms;                          /* when it was last seen registered; 0 = never */
    struct traffic_count sent[TRAFFIC_TYPES]; /* so far, as it last said */
};

struct fleet_options {
    const char *network;
    const char *dir;
    const char *names; /* NULL = of this machine */
    struct address base;
    uint32_t peers;
    uint32_t files;
    uint64_t search_milli; /* searches per second in all, thousandths */
    uint64_t seed;
    bool json;
    bool held;
    bool keep;
    uint64_t line; /* bytes per second that they share; 0 = they are honest */
    const char *watch;
};

struct fleet {
    struct fleet_options options;
    struct network_file network;
    struct host *host;
    struct liars *liars; /* NULL = they are honest */
    struct rng rng;
    struct names names;
    struct fleet_peer *peers;
    uint32_t count;   /* of them, started so far */
    int64_t start_us; /* when the next one is started */
    struct event *tick;
    struct event *second;
    struct event *signals[SIGNALS];
    bool is_ending;
    bool is_failed;
    bool is_searching;
    bool has_searched; /* once whole, it begins by itself */
    uint32_t turn;     /* whose search is next */
    int64_t due_us;
    /* Of this second: */
    uint64_t searches;
    uint64_t found;
    uint64_t refused;
    json_t *ms;
    json_t *gaps;
};

struct search {
    struct fleet *fleet;
    char word[WORD_BYTES];
    int64_t begun_us;
    bool is_found;
    bool is_refused;
};

static int complain(const char *what, const char *why) {
    fflush(stdout);
    fprintf(stderr, "lab fleet: %s%s%s\n", what, why[0] == '\0' ? "" : ": ", why);
    return 1;
}

/* ---- Peers ---- */

static void make_word(char word[WORD_BYTES], uint32_t peer, uint32_t file) {
    snprintf(word, WORD_BYTES, "f%05" PRIu32 "n%05" PRIu32, peer, file);
}

static bool make_share(const struct fleet *fleet, uint32_t peer, const char *folder) {
    char word[WORD_BYTES], name[256], path[4096];
    bool good = mkdir(folder, 0700) == 0 || errno == EEXIST;
    for (uint32_t i = 0; good && i < fleet->options.files; i++) {
        uint32_t number = peer * fleet->options.files + i;
        make_word(word, peer, i);
        names_with_word(&fleet->names, number, word, name, sizeof name);
        snprintf(path, sizeof path, "%s/%s", folder, name);
        enum err err = deal_generate(path, FILE_BYTES, fleet->options.seed << 32 | number);
        good = err == OK || err == ERR_EXISTS;
    }
    return good;
}

/* 127.97.0.0 has 127.97.0.1 to 127.97.0.250, then 127.97.1.1; the port is any. */
static struct address address_of(const struct fleet *fleet, uint32_t peer) {
    struct address address = fleet->options.base;
    uint32_t third = address.ip[2] + peer / 250u;
    address.ip[1] = (uint8_t)(address.ip[1] + third / 256);
    address.ip[2] = (uint8_t)(third % 256);
    address.ip[3] = (uint8_t)(1 + peer % 250);
    return address;
}

static struct node make_peer(const struct node_env *env, const void *config) {
    return peer_new(env, config);
}

static bool add_peer(struct fleet *fleet, uint32_t number, struct host_error *error) {
    char state[2048], folder[2048 + 8];
    struct liar_role role = {.peer.introducer_count = fleet->network.introducer_count};
    for (uint32_t i = 0; i < role.peer.introducer_count; i++) {
        role.peer.introducers[i] = fleet->network.introducers[i];
    }
    snprintf(state, sizeof state, "%s/peer-%05" PRIu32, fleet->options.dir, number);
    snprintf(folder, sizeof folder, "%s.files", state);
    if (!make_share(fleet, number, folder)) {
        *error = (struct host_error){.err = ERR_IO};
        snprintf(error->text, sizeof error->text, "%.300s: %.100s", folder, strerror(errno));
        return false;
    }
    /* Names of test files are nobody's secrets, whatever they look like. */
    const char *share = folder, *filter = "private yes\n";
    struct host_node_config config = {.network = &fleet->network.network,
                                      .state_dir = state,
                                      .share_dirs = &share,
                                      .share_filters = &filter,
                                      .share_count = 1,
                                      .listen = address_of(fleet, number),
                                      .no_metadata = true,
                                      .make = make_peer,
                                      .role_config = &role.peer};
    if (fleet->liars != NULL) {
        liars_enlist(fleet->liars, &config, &role);
    }
    fleet->peers[number] = (struct fleet_peer){.fleet = fleet};
    fleet->peers[number].node = host_add(fleet->host, &config, error);
    return fleet->peers[number].node != NULL;
}

/* ---- Reports ---- */

static bool is_text(struct slice text, const char *value) {
    return text.len == strlen(value) && memcmp(text.data, value, text.len) == 0;
}

static bool find_text(struct slice fields, const char *key, struct slice *text) {
    struct report_field field;
    while (report_next(&fields, &field)) {
        if (field.type == REPORT_TEXT && is_text(field.key, key)) {
            *text = field.text;
            return true;
        }
    }
    return false;
}

static uint64_t find_number(struct slice fields, const char *key) {
    struct report_field field;
    while (report_next(&fields, &field)) {
        if (field.type != REPORT_TEXT && is_text(field.key, key)) {
            return field.number;
        }
    }
    return 0;
}

static void take_traffic(struct fleet_peer *peer, struct slice fields) {
    struct slice name;
    const struct message_info *info;
    bool is_named = find_text(fields, "message", &name);
    for (uint32_t i = 0; is_named && (info = wire_message_at(i)) != NULL; i++) {
        if (is_text(name, info->name)) {
            peer->sent[i].messages = find_number(fields, "sent");
            peer->sent[i].bytes = find_number(fields, "sent_bytes");
        }
    }
}

static void on_status(void *context, struct slice fields, bool last, enum err err) {
    struct fleet_peer *peer = context;
    struct slice kind, state;
    if (find_text(fields, "kind", &kind) && is_text(kind, "traffic")) {
        take_traffic(peer, fields);
    }
    if (find_text(fields, "kind", &kind) && is_text(kind, "parent") &&
        find_text(fields, "state", &state)) {
        peer->parents += is_text(state, "registered") || is_text(state, "updating");
    }
    if (!last) {
        return;
    }
    int64_t now = process_now_ms();
    bool registered = err == OK && peer->parents > 0;
    if (registered && !peer->is_registered && peer->lost_ms > 0) {
        json_array_append_new(peer->fleet->gaps, json_integer(now - peer->lost_ms));
    }
    peer->lost_ms = registered ? now : peer->lost_ms;
    peer->is_registered = registered;
    peer->is_asked = false;
}

static void ask_all(struct fleet *fleet) {
    for (uint32_t i = 0; i < fleet->count && !fleet->is_ending; i++) {
        struct fleet_peer *peer = &fleet->peers[i];
        const struct host_request request = {
            .name = "status", .report = on_status, .context = peer};
        if (!peer->is_asked) {
            peer->is_asked = true;
            peer->parents = 0;
            host_command(peer->node, &request);
        }
    }
}

/* ---- Searches ---- */

static void on_search(void *context, struct slice fields, bool last, enum err err) {
    struct search *search = context;
    struct fleet *fleet = search->fleet;
    struct slice kind, name;
    if (find_text(fields, "kind", &kind) && is_text(kind, "hit") &&
        find_text(fields, "name", &name)) {
        search->is_found = search->is_found ||
                           memmem(name.data, name.len, search->word, strlen(search->word)) != NULL;
    }
    search->is_refused = search->is_refused || find_number(fields, "refused") > 0;
    if (!last) {
        return;
    }
    fleet->searches++;
    fleet->found += search->is_found;
    fleet->refused += search->is_refused || err != OK;
    if (search->is_found) {
        json_array_append_new(fleet->ms,
                              json_real((double)(process_now_us() - search->begun_us) / 1000));
    }
    mem_free(search);
}

static void begin_search(struct fleet *fleet) {
    uint32_t from = fleet->turn++ % fleet->options.peers;
    uint32_t to = (uint32_t)rng_below(&fleet->rng, fleet->options.peers - 1);
    to += to >= from;
    struct search *search = mem_new(sizeof *search);
    *search = (struct search){.fleet = fleet, .begun_us = process_now_us()};
    make_word(search->word, to, (uint32_t)rng_below(&fleet->rng, fleet->options.files));
    const struct command_arg args[] = {{"text", search->word}, {"want", WANT}};
    const struct host_request request = {.name = "search",
                                         .args = args,
                                         .count = sizeof args / sizeof *args,
                                         .report = on_search,
                                         .context = search};
    host_command(fleet->peers[from].node, &request);
}

static void search_from_now_on(struct fleet *fleet, bool is_searching) {
    fleet->is_searching = is_searching && fleet->options.search_milli > 0 &&
                          fleet->options.peers > 1 && fleet->options.files > 0;
    fleet->has_searched = true;
    fleet->due_us = process_now_us();
}

/* One after the other, so that the first join while the last are not there yet. */
static void start_some(struct fleet *fleet) {
    struct host_error error;
    while (fleet->count < fleet->options.peers && !fleet->is_ending &&
           process_now_us() >= fleet->start_us) {
        fleet->start_us = (fleet->count == 0 ? process_now_us() : fleet->start_us) + START_US;
        if (add_peer(fleet, fleet->count, &error)) {
            fleet->count++;
        } else {
            complain(error.text, "");
            fleet->is_failed = fleet->is_ending = true;
            host_stop(fleet->host);
        }
    }
}

static void on_tick(evutil_socket_t fd, short what, void *context) {
    struct fleet *fleet = context;
    (void)fd;
    (void)what;
    start_some(fleet);
    while (fleet->is_searching && !fleet->is_ending && fleet->due_us <= process_now_us()) {
        begin_search(fleet);
        fleet->due_us += (int64_t)(1000000000 / fleet->options.search_milli);
    }
}

static void on_signal(evutil_socket_t number, short what, void *context) {
    (void)what;
    struct fleet *fleet = context;
    if (number == SIGUSR1 || number == SIGUSR2) {
        search_from_now_on(fleet, number == SIGUSR1);
    } else {
        fleet->is_ending = true; /* the host stops the peers */
    }
}

/* ---- Every second ---- */

static double mean_of(const json_t *ms) {
    double sum = 0;
    for (size_t i = 0; i < json_array_size(ms); i++) {
        sum += json_real_value(json_array_get(ms, i));
    }
    return json_array_size(ms) == 0 ? 0 : sum / (double)json_array_size(ms);
}

/* Of all peers, so far: as the `traffic` rows of a node's status. */
static json_t *traffic_rows(const struct fleet *fleet) {
    json_t *rows = json_array();
    const struct message_info *info;
    for (uint32_t i = 0; (info = wire_message_at(i)) != NULL; i++) {
        struct traffic_count sent = {0};
        for (uint32_t peer = 0; peer < fleet->count; peer++) {
            sent.messages += fleet->peers[peer].sent[i].messages;
            sent.bytes += fleet->peers[peer].sent[i].bytes;
        }
        if (sent.messages > 0) {
            json_array_append_new(rows, json_pack("{s:s,s:s,s:I,s:I}", "kind", "traffic", "message",
                                                  info->name, "sent", (json_int_t)sent.messages,
                                                  "sent_bytes", (json_int_t)sent.bytes));
        }
    }
    return rows;
}

static json_int_t bytes_of(const struct fleet *fleet, enum direction direction) {
    const struct driver_counts *counts = host_counts(fleet->host);
    uint64_t bytes =
        counts->wire[direction][TRAFFIC_FILES] + counts->wire[direction][TRAFFIC_OVERLAY];
    return (json_int_t)bytes;
}

static void print_second(struct fleet *fleet, uint32_t registered) {
    if (fleet->options.json) {
        json_t *line =
            json_pack("{s:s,s:i,s:i,s:I,s:I,s:I,s:O,s:O,s:I,s:I,s:o}", "kind", "fleet", "peers",
                      (int)fleet->options.peers, "registered", (int)registered, "searches",
                      (json_int_t)fleet->searches, "found", (json_int_t)fleet->found, "refused",
                      (json_int_t)fleet->refused, "ms", fleet->ms, "gaps_ms", fleet->gaps,
                      "bytes_in", bytes_of(fleet, DIRECTION_IN), "bytes_out",
                      bytes_of(fleet, DIRECTION_OUT), "traffic", traffic_rows(fleet));
        json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
        putchar('\n');
        json_decref(line);
    } else {
        printf("%" PRIu32 " of %" PRIu32 " registered  found %" PRIu64 "/%" PRIu64
               "  mean %.1f ms\n",
               registered, fleet->options.peers, fleet->found, fleet->searches, mean_of(fleet->ms));
    }
    fflush(stdout);
}

static void on_second(evutil_socket_t fd, short what, void *context) {
    struct fleet *fleet = context;
    uint32_t registered = 0;
    (void)fd;
    (void)what;
    for (uint32_t i = 0; i < fleet->count; i++) {
        registered += fleet->peers[i].is_registered;
    }
    if (fleet->liars != NULL) {
        liars_look(fleet->liars);
    }
    print_second(fleet, registered);
    fleet->searches = fleet->found = fleet->refused = 0;
    json_array_clear(fleet->ms);
    json_array_clear(fleet->gaps);
    if (registered == fleet->options.peers && !fleet->has_searched && !fleet->options.held) {
        search_from_now_on(fleet, true);
    }
    ask_all(fleet);
}

/* ---- The program ---- */

static void usage(FILE *file) {
    fprintf(file, "usage: lab fleet --network FILE --dir FOLDER [OPTIONS]\n\n"
                  "Options:\n"
                  "  --network FILE     the network to join\n"
                  "  --dir FOLDER       where the peers' keys, state and files are\n"
                  "  --peers N          how many (100)\n"
                  "  --files N          of each (10)\n"
                  "  --searches N       per second, of all together (0)\n"
                  "  --addresses A      theirs begin after this one (127.97.0.0)\n"
                  "  --names FILE       with a file name per line\n"
                  "  --seed N           of files and searches (1)\n"
                  "  --line RATE        all of them would be supernodes, share a line of so many\n"
                  "                     bytes a second, and lie about it\n"
                  "  --watch FOLDER     of an anchor: tell what seats they won\n"
                  "  --keep             keep their keys, state and files in FOLDER, not in memory\n"
                  "  --held             search only from SIGUSR1 to SIGUSR2\n"
                  "  --json             print JSON\n");
}

static bool read_count(const char *text, uint64_t least, uint64_t most, uint32_t *count) {
    uint64_t number;
    bool good = units_parse_number(text, &number) == OK && number >= least && number <= most;
    *count = good ? (uint32_t)number : *count;
    return good;
}

static bool read_base(const char *text, struct address *base) {
    *base = (struct address){.family = ADDRESS_IPV4};
    return inet_pton(AF_INET, text, base->ip) == 1;
}

static bool take_option(struct fleet_options *options, int letter, const char *value) {
    switch (letter) {
    case 'n':
        options->network = value;
        return true;
    case 'd':
        options->dir = value;
        return true;
    case 'm':
        options->names = value;
        return true;
    case 'p':
        return read_count(value, 1, PEERS_MAX, &options->peers);
    case 'f':
        return read_count(value, 0, SPEC_FLEET_FILES_MAX, &options->files);
    case 's':
        return units_parse_milli(value, &options->search_milli) == OK &&
               options->search_milli <= SPEC_RATE_MILLI_MAX;
    case 'a':
        return read_base(value, &options->base);
    case 'e':
        return units_parse_number(value, &options->seed) == OK;
    case 'j':
        options->json = true;
        return true;
    case 'k':
        options->keep = true;
        return true;
    case 'l':
        return units_parse_bytes(value, &options->line) == OK && options->line > 0;
    case 'w':
        options->watch = value;
        return true;
    case 'h':
        options->held = true;
        return true;
    default:
        return false;
    }
}

static bool read_options(struct fleet_options *options, int argc, char *const *argv) {
    static const struct option rows[] = {{"network", required_argument, NULL, 'n'},
                                         {"dir", required_argument, NULL, 'd'},
                                         {"names", required_argument, NULL, 'm'},
                                         {"peers", required_argument, NULL, 'p'},
                                         {"files", required_argument, NULL, 'f'},
                                         {"searches", required_argument, NULL, 's'},
                                         {"addresses", required_argument, NULL, 'a'},
                                         {"seed", required_argument, NULL, 'e'},
                                         {"json", no_argument, NULL, 'j'},
                                         {"held", no_argument, NULL, 'h'},
                                         {"keep", no_argument, NULL, 'k'},
                                         {"line", required_argument, NULL, 'l'},
                                         {"watch", required_argument, NULL, 'w'},
                                         {NULL, 0, NULL, 0}};
    *options = (struct fleet_options){.peers = 100, .files = 10, .seed = 1};
    int letter;
    bool good = read_base("127.97.0.0", &options->base);
    optind = 1;
    while (good && (letter = getopt_long(argc, argv, "", rows, NULL)) != -1) {
        good = take_option(options, letter, optarg);
        if (!good && letter != '?') {
            fprintf(stderr, "lab fleet: %s is no value of that option\n", optarg);
        }
    }
    return good && optind == argc && options->network != NULL && options->dir != NULL;
}

static bool make_events(struct fleet *fleet) {
    static const int numbers[SIGNALS] = {SIGUSR1, SIGUSR2, SIGTERM, SIGINT};
    struct event_base *base = host_base(fleet->host);
    const struct timeval tick = {.tv_usec = TICK_US}, second = {.tv_sec = 1};
    fleet->tick = event_new(base, -1, EV_PERSIST, on_tick, fleet);
    fleet->second = event_new(base, -1, EV_PERSIST, on_second, fleet);
    bool good = event_add(fleet->tick, &tick) == 0 && event_add(fleet->second, &second) == 0;
    for (size_t i = 0; i < SIGNALS; i++) {
        fleet->signals[i] = evsignal_new(base, numbers[i], on_signal, fleet);
        good = event_add(fleet->signals[i], NULL) == 0 && good;
    }
    return good;
}

static bool write_line(const char *path, const char *line) {
    FILE *file = fopen(path, "we");
    bool good = file != NULL && fputs(line, file) >= 0;
    return file != NULL && fclose(file) == 0 && good;
}

/* A mount namespace of our own; others than root get one within a user namespace. */
static bool leave_mounts(void) {
    char uid[64], gid[64];
    if (geteuid() == 0) {
        return unshare(CLONE_NEWNS) == 0;
    }
    snprintf(uid, sizeof uid, "%u %u 1", (unsigned)geteuid(), (unsigned)geteuid());
    snprintf(gid, sizeof gid, "%u %u 1", (unsigned)getegid(), (unsigned)getegid());
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
           write_line("/proc/self/setgroups", "deny") && write_line("/proc/self/uid_map", uid) &&
           write_line("/proc/self/gid_map", gid);
}

/* Thousands of nodes on one disk would wait for each other's fsync most of the time. What the peers
 * keep is put into memory, where this process alone sees it and which is freed when it ends. */
static void keep_in_memory(const char *dir) {
    if (!leave_mounts() || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("trunkline-fleet", dir, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700") != 0) {
        fprintf(stderr, "lab fleet: the peers' files stay on the disk, which is slow: %s\n",
                strerror(errno));
    }
}

static bool make_liars(struct fleet *fleet) {
    const struct liars_config config = {.line = fleet->options.line,
                                        .identities = fleet->options.peers,
                                        .dir = fleet->options.dir,
                                        .network = fleet->options.network,
                                        .watch = fleet->options.watch,
                                        .rules = &fleet->network.network,
                                        .json = fleet->options.json};
    fleet->liars = liars_new(&config);
    return fleet->liars != NULL;
}

static int run(struct fleet *fleet) {
    struct host_error error;
    char why[SPEC_TROUBLE_BYTES];
    if (network_load(fleet->options.network, &fleet->network, &error) != OK) {
        return complain(error.text, "");
    }
    if (names_load(&fleet->names, fleet->options.names, 1000, why) != OK) {
        return complain(why, "");
    }
    if (mkdir(fleet->options.dir, 0700) != 0 && errno != EEXIST) {
        return complain(fleet->options.dir, strerror(errno));
    }
    if (!fleet->options.keep) {
        keep_in_memory(fleet->options.dir);
    }
    if (fleet->options.line > 0 && !make_liars(fleet)) {
        return complain(fleet->options.dir, strerror(errno));
    }
    const struct host_config config = {.log_level = LOG_LEVEL_WARN,
                                       .handshakes_per_s =
                                           fleet->liars != NULL ? MEASURED_PER_S : 0,
                                       .handle_signals = true};
    fleet->host = host_new(&config, &error);
    if (fleet->host == NULL || !make_events(fleet)) {
        return complain(fleet->host == NULL ? error.text : "no events to be had", "");
    }
    start_some(fleet); /* a host without any would have nothing to run */
    int status = host_run(fleet->host);
    return fleet->is_failed ? 1 : status;
}

static void free_event(struct event *event) {
    if (event != NULL) {
        event_free(event);
    }
}

int fleet_run(int argc, char *const *argv) {
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        usage(stdout);
        return 0;
    }
    struct fleet fleet = {.ms = json_array(), .gaps = json_array()};
    if (!read_options(&fleet.options, argc, argv)) {
        usage(stderr);
        return 2;
    }
    fleet.peers = mem_array(fleet.options.peers, sizeof *fleet.peers);
    rng_seed(&fleet.rng, fleet.options.seed);
    int status = run(&fleet);
    for (size_t i = 0; i < SIGNALS; i++) {
        free_event(fleet.signals[i]);
    }
    free_event(fleet.tick);
    free_event(fleet.second);
    if (fleet.host != NULL) {
        host_free(fleet.host);
    }
    liars_free(fleet.liars);
    names_free(&fleet.names);
    json_decref(fleet.ms);
    json_decref(fleet.gaps);
    mem_free(fleet.peers);
    return status;
}
