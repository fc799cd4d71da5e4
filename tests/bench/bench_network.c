/* bench_network.c - starts supernode processes in a row and drives peers in this process. */
#include "tests/bench/bench_network.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"

#define PORT 7646

struct address bench_address(void) {
    static uint32_t last;
    last++;
    uint32_t run = (uint32_t)getpid();
    return (struct address){
        .family = ADDRESS_IPV4,
        .ip = {127, (uint8_t)(128 + run % 100), (uint8_t)(last / 250), (uint8_t)(1 + last % 250)},
        .port = 0};
}

static void run_tool(const struct bench *bench, const char *const *argv, struct buf *out) {
    int status = 0;
    struct process_options options = {.argv = argv};
    enum err err = process_capture(bench->owner, &options, 10000, out, &status);
    if (err != OK || status != 0) {
        bench_fail("%s %s failed: %s, status %d", argv[0], argv[1], err_text(err), status);
    }
}

/* Make the first supernode's folder, which is also the network's. */
static void init_anchor(struct bench_network *network, const char *folder) {
    const char *init[] = {BIN_DIR "/supernode",
                          "init",
                          "--anchor",
                          "--policy",
                          "open",
                          "--name",
                          "bench",
                          "--dir",
                          folder,
                          NULL};
    struct buf out = {0};
    run_tool(network->bench, init, &out);
    buf_free(&out);
    char path[512];
    snprintf(path, sizeof path, "%s/network.ini", folder);
    network->network_path = mem_string(path);
    struct host_error error;
    if (network_load(path, &network->file, &error) != OK) {
        bench_fail("%s", error.text);
    }
}

static void read_id(struct bench_network *network, const char *folder, uint32_t index) {
    const char *argv[] = {BIN_DIR "/supernode", "id", "--dir", folder, NULL};
    struct buf out = {0};
    run_tool(network->bench, argv, &out);
    char text[128];
    snprintf(text, sizeof text, "%.*s", (int)strcspn((const char *)out.data, " \n"),
             (const char *)out.data);
    buf_free(&out);
    if (node_id_parse(&network->introducers[index].id, text) != OK) {
        bench_fail("supernode id printed no node id: %s", text);
    }
}

static void start_supernode(struct bench_network *network, const char *folder, uint32_t index) {
    struct address address = bench_address();
    address.port = PORT;
    char listen[ADDRESS_TEXT_BYTES], id[NODE_ID_TEXT_BYTES];
    char introducer[NODE_ID_TEXT_BYTES + sizeof network->introducers->host + 8] = "";
    address_format(listen, &address);
    if (index > 0) {
        const struct introducer *before = &network->introducers[index - 1];
        node_id_format(id, &before->id);
        snprintf(introducer, sizeof introducer, "%s@%s:%u", id, before->host, before->port);
    }
    const char *argv[] = {BIN_DIR "/supernode",
                          "run",
                          "--quiet",
                          "--dir",
                          folder,
                          "--network",
                          network->network_path,
                          "--listen",
                          listen,
                          "--leaves",
                          "5000",
                          network->is_strict ? NULL : "--fixed-mesh",
                          "--leaf-query-rate",
                          "1000",
                          "--leaf-query-burst",
                          "100000",
                          "--mesh-query-rate",
                          "100000",
                          index > 0 ? "--introducer" : NULL,
                          introducer,
                          NULL};
    char *log = owner_path(network->bench->owner, "supernode%u.log", index);
    char *ready = owner_path(network->bench->owner, "sn%u/control.sock", index);
    struct process_options options = {.argv = argv, .log = log};
    enum err err = process_start(network->bench->owner, &options, &network->supernodes[index]);
    if (err == OK) {
        err = process_wait_socket(network->supernodes[index], ready, 10000);
    }
    if (err != OK) {
        bench_show_log(log);
        bench_fail("a supernode does not start: %s", err_text(err));
    }
    mem_free(log);
    mem_free(ready);
    snprintf(network->introducers[index].host, sizeof network->introducers[index].host,
             "127.%u.%u.%u", address.ip[1], address.ip[2], address.ip[3]);
    network->introducers[index].port = PORT;
}

static void start_all(struct bench_network *network) {
    const struct bench *bench = network->bench;
    for (uint32_t i = 0; i < network->count; i++) {
        char *folder = owner_path(bench->owner, "sn%u", i);
        if (i == 0) {
            init_anchor(network, folder);
        } else {
            const char *init[] = {BIN_DIR "/supernode", "init", "--dir", folder, NULL};
            struct buf out = {0};
            run_tool(bench, init, &out);
            buf_free(&out);
        }
        read_id(network, folder, i);
        start_supernode(network, folder, i);
        mem_free(folder);
    }
}

void bench_network_start(struct bench_network *network, const struct bench *bench, uint32_t count) {
    *network = (struct bench_network){.bench = bench, .count = count};
    start_all(network);
}

void bench_network_start_strict(struct bench_network *network, const struct bench *bench) {
    *network = (struct bench_network){.bench = bench, .count = 1, .is_strict = true};
    start_all(network);
}

void bench_remove_folder(const struct bench *bench, const char *folder) {
    const char *argv[] = {"rm", "-r", folder, NULL};
    struct buf out = {0};
    run_tool(bench, argv, &out);
    buf_free(&out);
}

void bench_network_stop(struct bench_network *network) {
    for (uint32_t i = 0; i < network->count; i++) {
        process_stop(network->supernodes[i], 5000);
        process_free(network->supernodes[i]);
        char *folder = owner_path(network->bench->owner, "sn%u", i);
        bench_remove_folder(network->bench, folder);
        mem_free(folder);
    }
    mem_free(network->network_path);
}

static struct node make_peer(const struct node_env *env, const void *config) {
    return peer_new(env, config);
}

struct host_node *bench_peer(struct host *host, const struct bench_network *network,
                             uint32_t supernode, const char *share, const char *downloads) {
    static uint32_t peers;
    struct peer_config role = {.introducers = {network->introducers[supernode]},
                               .introducer_count = 1};
    char *state = owner_path(network->bench->owner, "peer%u", peers++);
    struct host_node_config config = {.network = &network->file.network,
                                      .state_dir = state,
                                      .download_dir = downloads,
                                      .share_dirs = &share,
                                      .share_count = share != NULL ? 1 : 0,
                                      .listen = bench_address(),
                                      .make = make_peer,
                                      .role_config = &role};
    struct host_error error;
    struct host_node *node = host_add(host, &config, &error);
    if (node == NULL) {
        bench_fail("%s", error.text);
    }
    mem_free(state);
    return node;
}

struct address bench_supernode_address(const struct bench_network *network, uint32_t index) {
    char text[sizeof network->introducers[index].host + sizeof ":65535"];
    struct address address;
    snprintf(text, sizeof text, "%s:%u", network->introducers[index].host,
             network->introducers[index].port);
    if (address_parse(&address, text, false) != OK) {
        bench_fail("%s is no address", text);
    }
    return address;
}

uint64_t bench_status(const struct bench_network *network, uint32_t index, const char *key) {
    char *folder = owner_path(network->bench->owner, "sn%u", index);
    const char *argv[] = {BIN_DIR "/supernode", "status", "--json", "--dir", folder, NULL};
    char wanted[64];
    struct buf out = {0};
    run_tool(network->bench, argv, &out);
    snprintf(wanted, sizeof wanted, "\"%s\":", key);
    const char *at = strstr((const char *)out.data, wanted);
    uint64_t value = at != NULL ? strtoull(at + strlen(wanted), NULL, 10) : 0;
    buf_free(&out);
    mem_free(folder);
    return value;
}

struct host *bench_host(void) {
    struct host_error error;
    struct host *host = host_new(&(struct host_config){.log_level = LOG_LEVEL_ERROR}, &error);
    if (host == NULL) {
        bench_fail("%s", error.text);
    }
    return host;
}

void bench_host_stop(struct host *host) {
    host_stop(host);
    host_run(host);
    host_free(host);
}

static bool is_time(void *context) {
    return bench_now() >= *(double *)context;
}

void bench_run_for(struct host *host, double seconds) {
    double end = bench_now() + seconds;
    bench_loop_until(host, is_time, &end, seconds + 10, "time to pass");
}

static void wake(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    (void)context;
}

void bench_loop_until(struct host *host, bool (*test)(void *context), void *context,
                      double timeout_s, const char *what) {
    double end = bench_now() + timeout_s;
    struct event *tick = event_new(host_base(host), -1, EV_PERSIST, wake, NULL);
    struct timeval often = {0, 20000};
    event_add(tick, &often);
    while (!test(context)) {
        if (bench_now() > end) {
            bench_fail("waited %.0f s in vain: %s", timeout_s, what);
        }
        event_base_loop(host_base(host), EVLOOP_ONCE);
    }
    event_free(tick);
}

static void take_report(void *context, struct slice fields, bool last, enum err err) {
    struct bench_command *command = context;
    struct report_field field;
    bool is_wanted = false;
    while (report_next(&fields, &field)) {
        bool is_kind = field.key.len == 4 && memcmp(field.key.data, "kind", 4) == 0;
        if (is_kind) {
            is_wanted = field.text.len == strlen(command->kind) &&
                        memcmp(field.text.data, command->kind, field.text.len) == 0;
        } else if (is_wanted && command->field != NULL && field.type == REPORT_NUMBER &&
                   field.key.len == strlen(command->field) &&
                   memcmp(field.key.data, command->field, field.key.len) == 0) {
            command->most = field.number > command->most ? field.number : command->most;
        }
    }
    if (is_wanted && !command->has_record) {
        command->has_record = true;
        command->first_s = bench_now();
    }
    if (last) {
        command->is_over = true;
        command->err = err;
    }
}

void bench_command_args(struct host_node *node, const char *name, const struct command_arg *args,
                        uint32_t count, struct bench_command *command) {
    command->has_record = command->is_over = false;
    command->most = 0;
    const struct host_request request = {
        .name = name, .args = args, .count = count, .report = take_report, .context = command};
    host_command(node, &request);
}

void bench_command_start(struct host_node *node, const char *name, const char *key,
                         const char *value, struct bench_command *command) {
    struct command_arg arg = {key, value};
    bench_command_args(node, name, &arg, key != NULL ? 1 : 0, command);
}
