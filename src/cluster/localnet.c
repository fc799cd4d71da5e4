/* localnet.c - a whole network of real supernodes and peers on this machine. */
#include "src/cluster/localnet.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"

#define COMMAND_MS 20000 /* a command that makes keys or signs */
#define START_MS 20000
#define STOP_MS 12000    /* a node takes at most 10 s */
#define NETWORKS_MAX 256 /* pairs of middle octets tried */
#define WORDS_MAX 32

static enum err trouble(struct localnet *net, enum err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static enum err trouble(struct localnet *net, enum err err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(net->trouble, sizeof net->trouble, format, args);
    va_end(args);
    return err;
}

/* ---- Addresses ---- */

static bool can_listen(uint32_t x, uint32_t y) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int yes = 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(LOCALNET_PORT),
                                  .sin_addr.s_addr = htonl(127u << 24 | x << 16 | y << 8 | 1)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    bool good = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return good;
}

/* Begin at a place that depends on the process, so that two runs at once rarely meet. */
static bool choose_octets(uint32_t *x, uint32_t *y) {
    uint32_t start = (uint32_t)getpid();
    for (uint32_t i = 0; i < NETWORKS_MAX; i++) {
        *x = 32 + (start + i) / 256 % 64;
        *y = (start + i) % 256;
        if (can_listen(*x, *y)) {
            return true;
        }
    }
    return false;
}

static void name_node(struct localnet *net, struct localnet_node *node, enum localnet_role role,
                      uint32_t number) {
    node->role = role;
    node->number = number;
    snprintf(node->name, sizeof node->name, "%s-%02u",
             role == LOCALNET_SUPERNODE ? "supernode" : "peer", number % 1000);
    node->dir = owner_path(net->owner, "%s", node->name);
    node->files = owner_path(net->owner, "%s.files", node->name);
    node->downloads = owner_path(net->owner, "%s.downloads", node->name);
    node->log = owner_path(net->owner, "%s.log", node->name);
}

static enum err place_nodes(struct localnet *net, const struct netns *netns) {
    uint32_t x = 0, y = 0;
    char host[NETNS_ADDRESS_BYTES];
    if (netns == NULL && !choose_octets(&x, &y)) {
        return trouble(net, ERR_BUSY, "no free addresses 127.x.y.1 with port %d", LOCALNET_PORT);
    }
    for (uint32_t i = 0; i < net->supernode_count + net->peer_count; i++) {
        bool super = i < net->supernode_count;
        uint32_t number = super ? i : i - net->supernode_count;
        struct localnet_node *node = super ? &net->supernodes[number] : &net->peers[number];
        name_node(net, node, super ? LOCALNET_SUPERNODE : LOCALNET_PEER, number);
        if (netns == NULL) {
            snprintf(host, sizeof host, "127.%u.%u.%u", x % 256, y % 256, (i + 1) % 256);
        } else {
            netns_address(i, host);
            node->netns = netns_of(netns, i);
        }
        snprintf(node->address, sizeof node->address, "%s:%d", host, LOCALNET_PORT);
        if (!super && (mkdir(node->files, 0755) != 0 || mkdir(node->downloads, 0755) != 0)) {
            return trouble(net, ERR_IO, "cannot make %s", node->files);
        }
    }
    return OK;
}

/* ---- Commands ---- */

struct words {
    const char *list[WORDS_MAX];
    uint32_t count;
};

static void add_words(struct words *words, const char *const *more) {
    for (uint32_t i = 0; more[i] != NULL && words->count < WORDS_MAX - 1; i++) {
        words->list[words->count++] = more[i];
    }
    words->list[words->count] = NULL;
}

static char *program_of(const struct localnet *net, enum localnet_role role) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", net->bin,
             role == LOCALNET_SUPERNODE ? "supernode" : "peer");
    return mem_string(path);
}

/* Run a program to its end; what it prints is appended to `out`, its complaints too on failure. */
static enum err run(struct localnet *net, const char *const *argv, int timeout_ms,
                    struct buf *out) {
    char *complaints = owner_path(net->owner, "complaints");
    unlink(complaints);
    int status;
    const struct process_options options = {.argv = argv, .log = complaints};
    enum err err = process_capture(net->owner, &options, timeout_ms, out, &status);
    if (err != OK) {
        err = trouble(net, err, "%s %s: %s", argv[0], argv[1], err_text(err));
    } else if (status != 0) {
        char said[512] = "";
        FILE *file = fopen(complaints, "r");
        if (file != NULL) {
            said[fread(said, 1, sizeof said - 1, file)] = '\0';
            fclose(file);
        }
        said[strcspn(said, "\n")] = '\0';
        err = trouble(net, ERR_REFUSED, "%s %s ended with %d: %s", argv[0], argv[1], status, said);
    }
    mem_free(complaints);
    return err;
}

static enum err run_supernode(struct localnet *net, const char *const *arguments, struct buf *out) {
    char *program = program_of(net, LOCALNET_SUPERNODE);
    struct words words = {.list = {program}, .count = 1};
    add_words(&words, arguments);
    enum err err = run(net, words.list, COMMAND_MS, out);
    mem_free(program);
    return err;
}

/* ---- Making the network ---- */

static enum err init_supernode(struct localnet *net, struct localnet_node *node) {
    struct buf out = {0};
    enum err err;
    if (node->number == 0) {
        err = run_supernode(net,
                            (const char *const[]){"init", "--dir", node->dir, "--anchor", "--name",
                                                  "localnet", "--address", node->address,
                                                  "--promotion", "by-hand", NULL},
                            &out);
    } else {
        err = run_supernode(net, (const char *const[]){"init", "--dir", node->dir, NULL}, &out);
    }
    out.len = 0;
    if (err == OK) {
        err = run_supernode(net, (const char *const[]){"id", "--dir", node->dir, NULL}, &out);
    }
    if (err == OK) {
        snprintf(node->id, sizeof node->id, "%.*s", (int)strcspn((const char *)out.data, " \n"),
                 (const char *)out.data);
    }
    buf_free(&out);
    return err;
}

static enum err certify(struct localnet *net, const struct localnet_node *node) {
    char path[4096];
    struct buf out = {0};
    snprintf(path, sizeof path, "%s/cert", node->dir);
    enum err err = run_supernode(net,
                                 (const char *const[]){"certify", node->id, "--dir",
                                                       net->supernodes[0].dir, "--out", path, NULL},
                                 &out);
    buf_free(&out);
    return err;
}

static enum err make(struct localnet *net, const struct netns *netns) {
    uint32_t supernodes = net->supernode_count, peers = net->peer_count;
    if (supernodes == 0 || supernodes > LOCALNET_NODES_MAX ||
        peers > LOCALNET_NODES_MAX - supernodes) {
        return trouble(net, ERR_LIMIT, "at least 1 supernode, and at most %d nodes in all",
                       LOCALNET_NODES_MAX);
    }
    enum err err = place_nodes(net, netns);
    net->network_file = owner_path(net->owner, "%s/network.ini", net->supernodes[0].name);
    for (uint32_t i = 0; i < supernodes && err == OK; i++) {
        err = init_supernode(net, &net->supernodes[i]);
        if (err == OK && i > 0) {
            err = certify(net, &net->supernodes[i]);
        }
    }
    return err;
}

enum err localnet_init(struct localnet *net, struct owner *owner, const char *bin,
                       uint32_t supernodes, uint32_t peers) {
    *net = (struct localnet){
        .owner = owner, .bin = mem_string(bin), .supernode_count = supernodes, .peer_count = peers};
    return make(net, NULL);
}

enum err localnet_init_apart(struct localnet *net, struct owner *owner, const char *bin,
                             const struct netns *netns, struct localnet_size size) {
    *net = (struct localnet){.owner = owner,
                             .bin = mem_string(bin),
                             .supernode_count = size.supernodes,
                             .peer_count = size.peers};
    return make(net, netns);
}

enum err localnet_elect(struct localnet *net, const struct localnet_election *election) {
    net->election = *election;
    enum err err = localnet_election_rules(election, net->network_file);
    for (uint32_t i = 0; i < election->consenting && i < net->peer_count && err == OK; i++) {
        err = localnet_election_prepare(election, net->peers[i].dir);
    }
    if (err != OK) {
        return trouble(net, err, "%s: cannot be written", net->network_file);
    }
    for (uint32_t i = 1; i < net->supernode_count && err == OK; i++) {
        err = certify(net, &net->supernodes[i]); /* it is another network now */
    }
    return err;
}

static void free_node(struct localnet_node *node) {
    process_free(node->process);
    mem_free(node->dir);
    mem_free(node->files);
    mem_free(node->downloads);
    mem_free(node->log);
    *node = (struct localnet_node){0};
}

void localnet_free(struct localnet *net) {
    for (uint32_t i = 0; i < LOCALNET_NODES_MAX; i++) {
        free_node(&net->peers[i]);
        free_node(&net->supernodes[i]);
    }
    mem_free(net->network_file);
    mem_free(net->bin);
    *net = (struct localnet){0};
}

uint32_t localnet_index(const struct localnet *net, const struct localnet_node *node) {
    return node->number + (node->role == LOCALNET_PEER ? net->supernode_count : 0);
}

uint64_t localnet_memory_max(const struct localnet_node *node) {
    char path[64], line[256];
    unsigned long long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)process_pid(node->process));
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        (void)sscanf(line, "VmHWM: %llu", &kib);
    }
    if (file != NULL) {
        fclose(file);
    }
    return kib * 1024;
}

/* ---- Running ---- */

static enum err does_not_start(struct localnet *net, const struct localnet_node *node,
                               enum err err) {
    return trouble(net, err, "%s does not start: %s; see %s", node->name, err_text(err), node->log);
}

enum err localnet_launch(struct localnet *net, struct localnet_node *node) {
    char *program = program_of(net, node->role);
    char leaves[16];
    struct words words = {.list = {program}, .count = 1};
    add_words(&words, (const char *const[]){"run", "--dir", node->dir, "--network",
                                            net->network_file, "--listen", node->address, NULL});
    if (node->role == LOCALNET_PEER) {
        /* Names of test files are nobody's secrets, whatever they look like. */
        add_words(&words, (const char *const[]){"--share", node->files, "--private", "--downloads",
                                                node->downloads, NULL});
    } else {
        /* Programs ask faster than people. */
        const char *rate = net->leaf_query_rate == NULL ? "1000" : net->leaf_query_rate;
        add_words(&words, (const char *const[]){"--leaf-query-rate", rate, "--leaf-query-burst",
                                                rate, NULL});
    }
    if (node->role == LOCALNET_SUPERNODE && net->leaves > 0) {
        snprintf(leaves, sizeof leaves, "%" PRIu32, net->leaves);
        add_words(&words, (const char *const[]){"--leaves", leaves, NULL});
    }
    char beside[48];
    if (node->role == LOCALNET_PEER && node->number < net->election.consenting) {
        snprintf(beside, sizeof beside, "%.*s:%d", (int)strcspn(node->address, ":"), node->address,
                 LOCALNET_PORT + 1);
        add_words(&words, (const char *const[]){"--consent", "--cap-rate", "100M",
                                                "--supernode-listen", beside, NULL});
    }
    if (node->advertise[0] != '\0') {
        add_words(&words, (const char *const[]){"--advertise", node->advertise, NULL});
    }
    if (node->upload_rate != NULL) {
        add_words(&words, (const char *const[]){"--upload-rate", node->upload_rate, NULL});
    }
    if (node->line[0] != '\0') {
        add_words(&words, (const char *const[]){"--limit", node->line, NULL});
    }
    if (node->index_memory != NULL) {
        add_words(&words, (const char *const[]){"--index-memory", node->index_memory, NULL});
    }
    process_free(node->process);
    const struct process_options options = {.argv = words.list,
                                            .log = node->log,
                                            .descriptors_max = node->descriptors_max,
                                            .memory_max = node->memory_max,
                                            .netns = node->netns};
    enum err err = process_start(net->owner, &options, &node->process);
    mem_free(program);
    return err == OK ? OK : does_not_start(net, node, err);
}

enum err localnet_await(struct localnet *net, struct localnet_node *node) {
    char *socket = owner_path(net->owner, "%s/control.sock", node->name);
    enum err err = process_wait_socket(node->process, socket, START_MS);
    mem_free(socket);
    return err == OK ? OK : does_not_start(net, node, err);
}

enum err localnet_start(struct localnet *net, struct localnet_node *node) {
    enum err err = localnet_launch(net, node);
    return err == OK ? localnet_await(net, node) : err;
}

static void forget_process(struct localnet_node *node) {
    process_free(node->process);
    node->process = NULL;
}

void localnet_stop(struct localnet_node *node) {
    if (node->process != NULL) {
        process_stop(node->process, STOP_MS);
        forget_process(node);
    }
}

void localnet_cut(struct localnet_node *node) {
    if (node->process != NULL) {
        process_kill(node->process);
        forget_process(node);
    }
}

static uint32_t stop_nodes(struct localnet *net, struct localnet_node *nodes, uint32_t count) {
    uint32_t untidy = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (nodes[i].process != NULL) {
            process_ask_to_stop(nodes[i].process);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        if (nodes[i].process != NULL) {
            int status = process_stop(nodes[i].process, STOP_MS);
            forget_process(&nodes[i]);
            if (status != 0) {
                untidy++;
                (void)trouble(net, ERR_IO, "%s ended with status %d; see %s", nodes[i].name, status,
                              nodes[i].log);
            }
        }
    }
    return untidy;
}

uint32_t localnet_stop_all(struct localnet *net) {
    uint32_t peers = stop_nodes(net, net->peers, net->peer_count);
    return peers + stop_nodes(net, net->supernodes, net->supernode_count);
}

/* ---- Asking ---- */

static struct words command_words(const struct localnet_node *node, const char *program,
                                  const char *const *arguments) {
    struct words words = {.list = {program}, .count = 1};
    add_words(&words, arguments);
    add_words(&words, (const char *const[]){"--dir", node->dir, "--json", NULL});
    return words;
}

static enum err parse_lines(struct localnet *net, char *text, json_t **answer) {
    *answer = json_array();
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        json_error_t error;
        json_t *object = line[0] == '\0' ? NULL : json_loads(line, 0, &error);
        if (object != NULL) {
            json_array_append_new(*answer, object);
        } else if (line[0] != '\0') {
            json_decref(*answer);
            *answer = NULL;
            return trouble(net, ERR_FORMAT, "not JSON: %.200s", line);
        }
    }
    return OK;
}

enum err localnet_ask(struct localnet *net, const struct localnet_node *node,
                      const char *const *words, int timeout_ms, json_t **answer) {
    *answer = NULL;
    char *program = program_of(net, node->role);
    struct words all = command_words(node, program, words);
    struct buf out = {0};
    enum err err = run(net, all.list, timeout_ms, &out);
    if (err == OK) {
        err = parse_lines(net, (char *)out.data, answer);
    }
    buf_free(&out);
    mem_free(program);
    return err;
}

enum err localnet_command(struct localnet *net, const struct localnet_node *node,
                          const char *const *words, struct process **process) {
    char *program = program_of(net, node->role);
    struct words all = command_words(node, program, words);
    const struct process_options options = {.argv = all.list, .pipe = true, .log = node->log};
    enum err err = process_start(net->owner, &options, process);
    mem_free(program);
    return err == OK ? OK : trouble(net, err, "peer %s: %s", words[0], err_text(err));
}

const char *localnet_text(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "" : text;
}

int64_t localnet_number(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}

uint64_t localnet_bytes(const json_t *status, const char *direction) {
    char all[32], files[32], overlay[32]; /* a supernode tells `all`, a peer what it consists of */
    snprintf(all, sizeof all, "bytes_%s", direction);
    snprintf(files, sizeof files, "files_%s_bytes", direction);
    snprintf(overlay, sizeof overlay, "overlay_%s_bytes", direction);
    return (uint64_t)(localnet_number(status, all) + localnet_number(status, files) +
                      localnet_number(status, overlay));
}

const json_t *localnet_find(const json_t *answer, const char *kind) {
    for (size_t i = 0; i < json_array_size(answer); i++) {
        const json_t *object = json_array_get(answer, i);
        if (strcmp(localnet_text(object, "kind"), kind) == 0) {
            return object;
        }
    }
    return NULL;
}

/* ---- Settling ---- */

static uint32_t running_supernodes(const struct localnet *net) {
    uint32_t running = 0;
    for (uint32_t i = 0; i < net->supernode_count; i++) {
        running += net->supernodes[i].process != NULL;
    }
    return running;
}

static uint32_t parents_wanted(const struct localnet *net) {
    uint32_t supernodes = running_supernodes(net);
    return supernodes < PARENTS_WANTED ? supernodes : PARENTS_WANTED;
}

static uint32_t count_open(const json_t *answer, const char *kind) {
    uint32_t count = 0;
    for (size_t i = 0; i < json_array_size(answer); i++) {
        const json_t *object = json_array_get(answer, i);
        const char *state = localnet_text(object, "state");
        count += strcmp(localnet_text(object, "kind"), kind) == 0 &&
                 (state[0] == '\0' || strcmp(state, "registered") == 0 ||
                  strcmp(state, "updating") == 0);
    }
    return count;
}

uint32_t localnet_parents(const json_t *answer) {
    return count_open(answer, "parent");
}

static bool is_settled(struct localnet *net, const struct localnet_node *node) {
    bool peer = node->role == LOCALNET_PEER;
    json_t *answer;
    if (localnet_ask(net, node, (const char *const[]){"status", NULL}, COMMAND_MS, &answer) != OK) {
        return false;
    }
    uint32_t links = count_open(answer, peer ? "parent" : "neighbour");
    json_decref(answer);
    return peer ? links >= parents_wanted(net) : links + 1 >= running_supernodes(net);
}

static enum err settle_nodes(struct localnet *net, struct localnet_node *nodes, uint32_t count,
                             int64_t until_ms) {
    for (uint32_t i = 0; i < count; i++) {
        while (nodes[i].process != NULL && !is_settled(net, &nodes[i])) {
            if (process_now_ms() > until_ms) {
                return trouble(net, ERR_TIMEOUT, "%s has not joined; see %s", nodes[i].name,
                               nodes[i].log);
            }
            process_sleep_ms(100);
        }
    }
    return OK;
}

uint32_t localnet_entries(const char *folder) {
    DIR *entries = opendir(folder);
    uint32_t count = 0;
    const struct dirent *entry;
    while (entries != NULL && (entry = readdir(entries)) != NULL) {
        count += entry->d_name[0] != '.';
    }
    if (entries != NULL) {
        closedir(entries);
    }
    return count;
}

/* Files that all running supernodes together index for the leaves they have. */
static int64_t files_indexed(struct localnet *net) {
    int64_t files = 0;
    for (uint32_t i = 0; i < net->supernode_count; i++) {
        json_t *answer = NULL;
        if (net->supernodes[i].process == NULL ||
            localnet_ask(net, &net->supernodes[i], (const char *const[]){"status", NULL},
                         COMMAND_MS, &answer) != OK) {
            continue;
        }
        for (size_t j = 0; j < json_array_size(answer); j++) {
            const json_t *object = json_array_get(answer, j);
            bool leaf = strcmp(localnet_text(object, "kind"), "leaf") == 0;
            files += leaf ? localnet_number(object, "files") : 0;
        }
        json_decref(answer);
    }
    return files;
}

static enum err settle_index(struct localnet *net, int64_t until_ms) {
    int64_t wanted = 0, indexed;
    for (uint32_t i = 0; i < net->peer_count; i++) {
        wanted += net->peers[i].process != NULL ? localnet_entries(net->peers[i].files) : 0;
    }
    wanted *= parents_wanted(net);
    while ((indexed = files_indexed(net)) < wanted) {
        if (process_now_ms() > until_ms) {
            return trouble(net, ERR_TIMEOUT, "%lld of %lld files are indexed", (long long)indexed,
                           (long long)wanted);
        }
        process_sleep_ms(100);
    }
    return OK;
}

enum err localnet_settle(struct localnet *net, int timeout_ms) {
    int64_t until = process_now_ms() + timeout_ms;
    enum err err = settle_nodes(net, net->supernodes, net->supernode_count, until);
    err = err != OK ? err : settle_nodes(net, net->peers, net->peer_count, until);
    return err != OK ? err : settle_index(net, until);
}
