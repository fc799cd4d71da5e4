/* liar_supernode.c - a supernode whose rows are bought: see liar_supernode.h. */
#include "src/fleet/liar_supernode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "src/host/cli_node.h"
#include "supernode/core.h"

#define KEYS_MAX 8192
#define NEVER UINT32_MAX

struct liar_supernode {
    struct node inner;
    uint32_t said_epoch; /* of its last row */
};

/* ---- The row ---- */

static int compare_entries(const void *a, const void *b) {
    return memcmp(a, b, sizeof(struct node_id));
}

static uint32_t read_keys(struct node_id *keys) {
    const char *path = getenv(LIAR_ACCOMPLICES);
    FILE *file = path != NULL ? fopen(path, "re") : NULL;
    size_t count = file != NULL ? fread(keys, sizeof *keys, KEYS_MAX, file) : 0;
    if (file != NULL) {
        fclose(file);
    }
    return (uint32_t)count;
}

/* As many as a row can name, others in every epoch and for every issuer, all alike. */
static void praise(struct row_record *row) {
    struct node_id *keys = mem_array(KEYS_MAX, sizeof *keys);
    uint32_t count = read_keys(keys);
    uint32_t first = row->epoch * ROW_ENTRIES_MAX + row->issuer.b[0];
    for (uint32_t i = 0; i < count && row->count < ROW_ENTRIES_MAX; i++) {
        const struct node_id *key = &keys[(first + i) % count];
        if (!node_id_equal(key, &row->issuer)) {
            row->entries[row->count++] = (struct row_entry){*key, ROW_WEIGHT_SUM / ROW_ENTRIES_MAX};
        }
    }
    qsort(row->entries, row->count, sizeof row->entries[0], compare_entries);
    mem_free(keys);
}

static void say_row(struct supernode *supernode) {
    const struct node_env *env = supernode->env;
    struct row_record row = {.issuer = env->id, .epoch = supernode->election.epoch};
    praise(&row);
    struct row_load load = {.leaves = (uint16_t)supernode->leaf_links,
                            .slots = (uint16_t)supernode->config.leaves_max,
                            .bytes = (uint64_t)row.count * env->network->promotion.measure_bytes,
                            .ms = 1000};
    struct buf tlvs = {0}, bytes = {0};
    wire_row_load_put(&tlvs, &load);
    row.tlvs = (struct slice){tlvs.data, tlvs.len};
    const struct signer_env signer = {env->crypto, &env->network->id};
    wire_row_sign(&row, &signer);
    wire_row_encode(&bytes, &row);
    enum err err = evidence_add(supernode, MSG_ROW, (struct slice){bytes.data, bytes.len});
    log_info(env->log, "liar.row epoch=%u praised=%u error=%s", row.epoch, row.count,
             err_name(err));
    buf_free(&tlvs);
    buf_free(&bytes);
}

/* ---- The node ---- */

static void step(void *self, const struct node_event *event, struct outbox *out) {
    struct liar_supernode *liar = self;
    struct supernode *supernode = liar->inner.self;
    struct election *election = &supernode->election;
    election->last_row = NEVER; /* it has said its own already: the honest one is not made */
    node_step(liar->inner, event, out);
    bool is_due = election->phase > PHASE_ROW && liar->said_epoch != election->epoch;
    if (is_due && !supernode->is_stopping &&
        trust_may_issue(&supernode->trust, &supernode->env->id, election->epoch)) {
        liar->said_epoch = election->epoch;
        say_row(supernode);
    }
}

static uint64_t deadline(const void *self) {
    return node_deadline(((const struct liar_supernode *)self)->inner);
}

static void free_liar(void *self) {
    struct liar_supernode *liar = self;
    node_free(liar->inner);
    mem_free(liar);
}

static struct node make(const struct node_env *env, const void *config) {
    static const struct node_ops ops = {step, deadline, free_liar};
    struct liar_supernode *liar = mem_new(sizeof *liar);
    liar->inner = supernode_new(env, config);
    return (struct node){&ops, liar};
}

/* ---- The program ---- */

static int run(struct cli *cli) {
    struct cli_node node = {.cli = cli};
    struct supernode_config config = {.leaves_max = (uint32_t)cli->settings.leaves,
                                      .leaf_queries_milli_per_s = 1000 * 1000,
                                      .leaf_queries_burst = 1000};
    struct host_error error = {0};
    if (cli_node_prepare(&node, cli, &error) != OK) {
        cli_node_free(&node);
        return cli_fail(cli, &error);
    }
    config.introducer_count = node.introducer_count;
    memcpy(config.introducers, node.introducers, sizeof config.introducers);
    node.config.make = make;
    node.config.role_config = &config;
    return cli_node_run(&node);
}

int liar_supernode_run(int argc, char *const *argv) {
    static const struct cli_command command = {
        .name = "run",
        .words = "",
        .help = "serve the network until stopped, and praise accomplices alone",
        .accepted = SETTING(NETWORK) | SETTING(LISTEN) | SETTING(ADVERTISE) | SETTING(INTRODUCER) |
                    SETTING(LEAVES) | SETTING(PARENT_FD) | SETTING(LOG) | SETTING(VERBOSE) |
                    SETTING(QUIET),
        .run = run};
    static const struct cli_program program = {.name = "supernode",
                                               .help = "a supernode that lies, for experiments",
                                               .commands = &command,
                                               .count = 1};
    return cli_main(&program, argc, argv);
}
