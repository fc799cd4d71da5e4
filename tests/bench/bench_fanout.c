/* bench_fanout.c - the smallest node behind our driver: what its first link brings goes to all the
 * others. It runs in a process of its own, so that its CPU time can be told from the client's. */
#include "tests/bench/bench_fanout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "src/host/host.h"
#include "tests/bench/bench_network.h"

struct fanout {
    uint32_t links[FANOUT_LINKS_MAX]; /* [0] is the source */
    uint32_t count;
    uint8_t partial[FANOUT_BYTES];
    size_t partial_len;
};

static void pass_on(const struct fanout *fanout, const uint8_t *message, struct outbox *out) {
    for (uint32_t i = 1; i < fanout->count; i++) {
        outbox_write(out, fanout->links[i], (struct slice){message, FANOUT_BYTES});
    }
}

/* Whole messages only, as a node that has to look at each. */
static void take_bytes(struct fanout *fanout, struct slice data, struct outbox *out) {
    while (data.len > 0) {
        size_t more = FANOUT_BYTES - fanout->partial_len;
        more = more < data.len ? more : data.len;
        memcpy(fanout->partial + fanout->partial_len, data.data, more);
        fanout->partial_len += more;
        data.data += more;
        data.len -= more;
        if (fanout->partial_len == FANOUT_BYTES) {
            pass_on(fanout, fanout->partial, out);
            fanout->partial_len = 0;
        }
    }
}

static void step(void *self, const struct node_event *event, struct outbox *out) {
    struct fanout *fanout = self;
    if (event->kind == NODE_LINK_UP && fanout->count < FANOUT_LINKS_MAX) {
        fanout->links[fanout->count++] = event->up.link;
    } else if (event->kind == NODE_LINK_BYTES && event->bytes.link == fanout->links[0]) {
        take_bytes(fanout, event->bytes.data, out);
    } else if (event->kind == NODE_SHUTDOWN) {
        outbox_add(out, ACTION_STOPPED);
    }
}

static uint64_t deadline(const void *self) {
    (void)self;
    return UINT64_MAX;
}

static void free_fanout(void *self) {
    mem_free(self);
}

static struct node make_fanout(const struct node_env *env, const void *config) {
    static const struct node_ops ops = {step, deadline, free_fanout};
    (void)env;
    (void)config;
    return (struct node){&ops, mem_new(sizeof(struct fanout))};
}

int bench_role_fanout(int argc, char **argv) {
    static const struct network network = {.name = "bench", .policy = NETWORK_OPEN};
    struct host_error error = {0};
    struct host_config config = {
        .log_level = LOG_LEVEL_ERROR, .handshakes_per_s = 100000, .handle_signals = true};
    struct host_node_config node_config = {.network = &network, .make = make_fanout};
    if (argc != 2 || address_parse(&node_config.listen, argv[0], 0) != OK) {
        bench_fail("fanout takes an address and a folder");
    }
    node_config.state_dir = argv[1];
    struct host *host = host_new(&config, &error);
    struct host_node *node = host != NULL ? host_add(host, &node_config, &error) : NULL;
    if (node == NULL) {
        bench_fail("%s", error.text);
    }
    char id[NODE_ID_TEXT_BYTES];
    node_id_format(id, host_node_id(node));
    printf("%s\n", id);
    fflush(stdout);
    int code = host_run(host);
    host_free(host);
    return code;
}

void bench_fanout_start(struct bench_fanout *fanout, const struct bench *bench) {
    char listen[ADDRESS_TEXT_BYTES];
    fanout->address = bench_address();
    fanout->address.port = FANOUT_PORT;
    address_format(listen, &fanout->address);
    char *folder = owner_path(bench->owner, "fanout-%s", listen);
    const char *argv[] = {"/proc/self/exe", "--role", "fanout", listen, folder, NULL};
    struct process_options options = {.argv = argv, .pipe = true};
    struct buf line = {0};
    if (process_start(bench->owner, &options, &fanout->process) != OK ||
        process_line(fanout->process, &line, 10000) != OK ||
        node_id_parse(&fanout->id, (const char *)line.data) != OK) {
        bench_fail("the fan-out server does not start");
    }
    buf_free(&line);
    mem_free(folder);
}

void bench_fanout_stop(struct bench_fanout *fanout) {
    process_stop(fanout->process, 5000);
    process_free(fanout->process);
}
