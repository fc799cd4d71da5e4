/* actions.c - carries out what a step left in the outbox: one row per kind of action. */
#include "common/check.h"
#include "src/host/child.h"
#include "src/host/conn.h"
#include "src/host/files.h"

/* Everything an action needs. */
struct doing {
    struct host_node *node;
    struct action *action;
    struct slice bytes;
};

/* The link of an action; NULL when it has just gone (its NODE_LINK_DOWN is on the way). */
static struct conn *conn_of(const struct doing *doing) {
    return conn_find(doing->node, doing->action->link);
}

static void do_dial(const struct doing *doing) {
    const struct action *action = doing->action;
    if (doing->node->state == NODE_STOPPED) {
        return;
    }
    conn_dial(doing->node, action->token32, &action->id, &action->address);
}

static void do_write(const struct doing *doing) {
    struct conn *conn = conn_of(doing);
    if (conn != NULL) {
        conn_write(conn, doing->bytes);
    }
}

static void do_send_block(const struct doing *doing) {
    struct conn *conn = conn_of(doing);
    if (conn != NULL) {
        blocks_queue(conn, doing->action, doing->bytes);
    }
}

static void do_read_stop(const struct doing *doing) {
    struct conn *conn = conn_of(doing);
    if (conn != NULL) {
        conn_read_stop(conn);
    }
}

static void do_read_start(const struct doing *doing) {
    struct conn *conn = conn_of(doing);
    if (conn != NULL) {
        conn_read_start(conn);
    }
}

static void do_close(const struct doing *doing) {
    struct conn *conn = conn_of(doing);
    if (conn != NULL) {
        conn_close(conn, doing->action->reason);
    }
}

static void do_link_files(const struct doing *doing) {
    struct conn *conn = conn_of(doing);
    if (conn != NULL) {
        flow_account(conn); /* what went before counts as it was */
        conn->traffic = TRAFFIC_FILES;
    }
}

static void do_resolve(const struct doing *doing) {
    resolve_name(doing->node, doing->action->token32, doing->bytes);
}

static void do_file_open(const struct doing *doing) {
    file_open(doing->node, doing->action);
}

static void do_file_write(const struct doing *doing) {
    file_write(doing->node, doing->action);
}

static void do_file_commit(const struct doing *doing) {
    file_commit(doing->node, doing->action, doing->bytes);
}

static void do_file_hash(const struct doing *doing) {
    file_hash(doing->node, doing->action);
}

static void do_file_finish(const struct doing *doing) {
    file_finish(doing->node, doing->action, doing->bytes);
}

static void do_file_close(const struct doing *doing) {
    file_close(doing->node, doing->action->file, false);
}

static void do_file_discard(const struct doing *doing) {
    file_close(doing->node, doing->action->file, true);
}

static void do_supernode_name(const struct doing *doing) {
    child_name(doing->node);
}

static void do_supernode_sign(const struct doing *doing) {
    child_sign(doing->node, (uint8_t)doing->action->token32, doing->bytes);
}

static void do_supernode_start(const struct doing *doing) {
    child_start(doing->node, doing->bytes);
}

static void do_supernode_stop(const struct doing *doing) {
    child_stop(doing->node);
}

static void do_report(const struct doing *doing) {
    command_report(doing->node, doing->action, doing->bytes);
}

static void do_stopped(const struct doing *doing) {
    node_stopped(doing->node);
}

void actions_run(struct host_node *node, struct outbox *out) {
    static void (*const handlers[])(const struct doing *doing) = {
        [ACTION_DIAL] = do_dial,
        [ACTION_WRITE] = do_write,
        [ACTION_SEND_BLOCK] = do_send_block,
        [ACTION_READ_STOP] = do_read_stop,
        [ACTION_READ_START] = do_read_start,
        [ACTION_CLOSE] = do_close,
        [ACTION_LINK_FILES] = do_link_files,
        [ACTION_RESOLVE] = do_resolve,
        [ACTION_FILE_OPEN] = do_file_open,
        [ACTION_FILE_WRITE] = do_file_write,
        [ACTION_FILE_COMMIT] = do_file_commit,
        [ACTION_FILE_HASH] = do_file_hash,
        [ACTION_FILE_FINISH] = do_file_finish,
        [ACTION_FILE_CLOSE] = do_file_close,
        [ACTION_FILE_DISCARD] = do_file_discard,
        [ACTION_SUPERNODE_NAME] = do_supernode_name,
        [ACTION_SUPERNODE_SIGN] = do_supernode_sign,
        [ACTION_SUPERNODE_START] = do_supernode_start,
        [ACTION_SUPERNODE_STOP] = do_supernode_stop,
        [ACTION_REPORT] = do_report,
        [ACTION_STOPPED] = do_stopped,
    };
    for (uint32_t i = 0; i < out->count; i++) {
        struct action *action = &out->actions[i];
        CHECK((size_t)action->kind < sizeof handlers / sizeof *handlers);
        const struct doing doing = {node, action, outbox_bytes(out, action)};
        handlers[action->kind](&doing);
    }
}
