/* nodes.c - the life of one node in a host: everything around its logic. */
#include "src/host/nodes.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/check.h"
#include "common/mem.h"
#include "src/host/certfile.h"
#include "src/host/child.h"
#include "src/host/conn.h"
#include "src/host/failure.h"
#include "src/host/files.h"
#include "src/host/library.h"
#include "src/host/store_sqlite.h"

#define AGENT "trunkline/" TRUNKLINE_VERSION

/* ---- Starting ---- */

static enum err load_cert(struct host_node *node, struct host_error *error) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", node->state_dir, CERTFILE_NAME);
    enum err err = certfile_load(path, &node->cert, error);
    return err == ERR_NOT_FOUND ? OK : err;
}

void node_reload_cert(struct host_node *node) {
    struct buf before = node->cert;
    struct host_error error = {0};
    node->cert = (struct buf){0};
    if (load_cert(node, &error) != OK) {
        log_warn(&node->host->log, "node.cert_unread reason=\"%s\"", error.text);
        buf_free(&node->cert);
        node->cert = before;
        return;
    }
    buf_free(&before);
    node->env.cert = (struct slice){node->cert.data, node->cert.len};
    log_info(&node->host->log, "node.cert_read bytes=%zu", node->cert.len);
}

static void on_stored(void *context, uint64_t token) {
    struct host_node *node = context;
    if ((token & FILE_PART) != 0) { /* our own */
        files_stored(node, token);
        return;
    }
    struct node_event event = {.kind = NODE_STORED, .stored = {.token = token}};
    node_queue(node, &event, NULL);
}

/* Key, lock, store and certificate: what lies in the state folder. */
static enum err open_state(struct host_node *node, struct host_error *error) {
    node->lock_fd = state_lock(node->state_dir, error);
    if (node->lock_fd < 0) {
        return error->err;
    }
    node->identity = identity_open(node->state_dir, IDENTITY_LOAD_OR_MAKE, error);
    if (node->identity == NULL) {
        return error->err;
    }
    struct store_sqlite_config store = {.state_dir = node->state_dir,
                                        .workers = node->host->workers,
                                        .log = &node->host->log,
                                        .synced = on_stored,
                                        .context = node};
    node->env.store = store_sqlite_open(&store, error);
    if (node->env.store == NULL) {
        return error->err;
    }
    return load_cert(node, error);
}

static void fill_env(struct host_node *node, const struct host_node_config *config) {
    struct node_env *env = &node->env;
    env->id = *identity_id(node->identity);
    env->crypto = identity_crypto(node->identity);
    env->network = config->network;
    env->log = &node->host->log;
    env->packer = node->host->packer;
    env->driver = &node->host->counts;
    env->traffic = &node->traffic;
    env->agent = AGENT;
    env->cert = (struct slice){node->cert.data, node->cert.len};
    env->listen_count = listen_addresses(node, env->listen);
    env->seed = config->seed;
    if (env->seed == 0) {
        env->crypto->fill_random(env->crypto->context, &env->seed, sizeof env->seed);
    }
}

static enum err add_shares(struct host_node *node, const struct host_node_config *config,
                           struct host_error *error) {
    enum err err = OK;
    for (uint32_t i = 0; i < config->share_count && (err == OK || err == ERR_EXISTS); i++) {
        const char *filter = config->share_filters != NULL ? config->share_filters[i] : NULL;
        err = library_add_folder(node->library, config->share_dirs[i], filter, error);
    }
    if ((err == OK || err == ERR_EXISTS) && node->download_dir != NULL) {
        err = library_add_folder(node->library, node->download_dir, NULL, error);
    }
    return err == ERR_EXISTS ? OK : err; /* a folder named twice is shared once */
}

static enum err start(struct host_node *node, const struct host_node_config *config,
                      struct host_error *error) {
    enum err err = open_state(node, error);
    if (err == OK && !config->no_listen) {
        err = listen_start(node, error);
    }
    if (err != OK) {
        return err;
    }
    fill_env(node, config);
    map_init(&node->links, sizeof(uint32_t), node->env.seed ^ 0x6c696e6b);
    map_init(&node->commands, sizeof(uint64_t), node->env.seed ^ 0x636f6d6d);
    err = files_init(node, config->download_dir, error);
    node->library = library_new(node, config);
    node->child = child_new(node, &config->child);
    if (err == OK) {
        err = add_shares(node, config, error);
    }
    if (err == OK) {
        node->node = config->make(&node->env, config->role_config);
        node->has_node = true;
    }
    return err;
}

struct host_node *host_add(struct host *host, const struct host_node_config *config,
                           struct host_error *error) {
    struct host_error ignored;
    struct host_node *node = mem_new(sizeof *node);
    node->host = host;
    node->lock_fd = -1;
    node->download_fd = -1;
    node->parts_fd = -1;
    node->listen = config->listen;
    node->advertise = config->advertise;
    snprintf(node->interface, sizeof node->interface, "%s",
             config->interface != NULL ? config->interface : "");
    node->state_dir = mem_string(config->state_dir);
    drive_init(node);
    flow_init(node, config->limits);
    if (start(node, config, error != NULL ? error : &ignored) != OK) {
        node->state = NODE_STOPPED;
        node_release(node);
        node_delete(node);
        return NULL;
    }
    node->next = host->nodes;
    host->nodes = node;
    struct node_event event = {.kind = NODE_START};
    node_queue(node, &event, NULL);
    library_start(node->library);
    return node;
}

const struct node_id *host_node_id(const struct host_node *node) {
    return &node->env.id;
}

struct address host_node_address(const struct host_node *node) {
    return node->listen;
}

enum err host_share_add(struct host_node *node, const char *folder, const char *filter,
                        struct host_error *error) {
    return library_add_folder(node->library, folder, filter, error);
}

enum err host_share_remove(struct host_node *node, const char *folder) {
    return library_remove_folder(node->library, folder);
}

struct share_left host_share_left(const struct host_node *node) {
    return library_left(node->library);
}

/* ---- Stopping ---- */

void node_shut_down(struct host_node *node) {
    listen_stop(node);
    if (node->state == NODE_RUNNING) {
        node->state = NODE_STOPPING;
        if (child_lives(node)) {
            child_stop(node);
        }
        struct node_event event = {.kind = NODE_SHUTDOWN};
        node_queue(node, &event, NULL);
    }
}

void node_stopped(struct host_node *node) {
    if (node->state == NODE_STOPPED) {
        return;
    }
    node->state = NODE_STOPPED;
    listen_stop(node);
    commands_end(node);
    files_close(node);
    uint32_t cursor = 0;
    for (struct conn *conn; (conn = map_next(&node->links, &cursor, NULL)) != NULL;) {
        conn_close(conn, ERR_SHUTDOWN);
    }
    conns_drop_pending(node);
    host_check_stopped(node->host);
}

void node_release(struct host_node *node) {
    node->state = NODE_STOPPED;
    listen_stop(node);
    conns_drop(node);
    flow_free(node);
    files_close(node);
    library_stop(node->library);
    drive_free(node);
}

void node_delete(struct host_node *node) {
    if (node->has_node) {
        commands_end(node);
        node_free(node->node);
    }
    drive_free(node);
    library_free(node->library);
    child_free(node->child);
    store_free(node->env.store);
    files_free(node);
    identity_free(node->identity);
    map_free(&node->links);
    map_free(&node->commands);
    buf_free(&node->cert);
    if (node->lock_fd >= 0) {
        close(node->lock_fd);
    }
    mem_free(node->state_dir);
    mem_free(node);
}
