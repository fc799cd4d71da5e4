/* supernode.c - one supernode as a node: hands each event, timer and message to its module. */
#include "supernode/supernode.h"

#include "common/check.h"
#include "common/mem.h"
#include "supernode/core.h"
#include "supernode/hints.h"

/* ---- What the modules share ---- */

struct link *supernode_link(const struct supernode *supernode, uint32_t number) {
    struct link *link = map_get(&supernode->links.by_number, &number);
    return link != NULL && link->open ? link : NULL;
}

struct port *supernode_port(const struct link *link) {
    switch (link->purpose) {
    case PURPOSE_LEAF:
        return &((struct leaf *)link->owner)->port;
    case PURPOSE_MESH:
        return &((struct neighbour *)link->owner)->port;
    default:
        return &((struct visitor *)link->owner)->port;
    }
}

void supernode_send(struct link *link, uint8_t type, struct buf *payload) {
    links_send(link, type, (struct slice){payload->data, payload->len});
    buf_free(payload);
}

enum err supernode_misdeed(struct link *link) {
    return ++supernode_port(link)->misdeeds >= MISDEEDS_MAX ? ERR_UNEXPECTED : OK;
}

/* ---- Messages ---- */

#define LEAF (1u << PURPOSE_LEAF)
#define MESH (1u << PURPOSE_MESH)
#define PROBE (1u << PURPOSE_PROBE)
#define DIRECTORY (1u << PURPOSE_DIRECTORY)
#define MEASURE (1u << PURPOSE_MEASURE)

struct handler {
    uint8_t type;
    uint8_t purposes; /* links that may bring it */
    enum err (*take)(struct supernode *supernode, struct link *link, struct slice payload);
};

static const struct handler handlers[] = {
    {MSG_QUERY, LEAF | MESH, flood_take_query},
    {MSG_HITS, MESH, flood_take_hits},
    {MSG_END, MESH, flood_take_end},
    {MSG_LOCATE, LEAF | MESH, flood_take_locate},
    {MSG_REG_BEGIN, LEAF, register_take_begin},
    {MSG_REG_REMOVE, LEAF, register_take_remove},
    {MSG_REG_ADD, LEAF, register_take_add},
    {MSG_REG_COMMIT, LEAF, register_take_commit},
    {MSG_HAVE, LEAF, audit_take_have},
    {MSG_BLOCK, LEAF, audit_take_block},
    {MSG_HASHES, LEAF, audit_take_hashes},
    {MSG_REJECT, LEAF, audit_take_reject},
    {MSG_NODES_REQUEST, LEAF | MESH | DIRECTORY, mesh_take_nodes_request},
    {MSG_NODES, MESH, mesh_take_nodes},
    {MSG_DIALBACK, MESH, dialback_take},
    {MSG_DIALBACK_DONE, MESH, dialback_take_done},
    {MSG_PUSH, LEAF | DIRECTORY, leaves_take_push},
    {MSG_SUMMARY, MESH, summaries_take},
    {MSG_SNAPSHOT, MESH, handover_take_snapshot},
    {MSG_REG_ADD, MESH, handover_take_add},
    {MSG_GOAWAY, LEAF | MESH | PROBE | DIRECTORY | MEASURE, mesh_take_goaway},
    {MSG_MEASURED, MEASURE, measure_take},
    {MSG_MEASURE_FILES, MEASURE, measure_take_files},
    {MSG_HASHES, MEASURE, measure_take_hashes},
    {MSG_BLOCK, MEASURE, measure_take_block},
    {MSG_REJECT, MEASURE, measure_take_reject},
    {MSG_LOAD, LEAF, leaves_take_load},
    {MSG_RECEIPT, LEAF, hints_take},
    {MSG_TRUST_HAVE, MESH, evidence_take_have},
    {MSG_TRUST_WANT, MESH, evidence_take_want},
    {MSG_ROW, MESH, evidence_take_row},
    {MSG_CHECKPOINT, MESH, evidence_take_checkpoint},
    {MSG_MEMBERS, MESH, evidence_take_members},
    {MSG_CERT, MESH, evidence_take_cert},
    {MSG_FRAUD, MESH, evidence_take_fraud},
    {MSG_CANDIDACY, MESH | LEAF, evidence_take_candidacy},
    {MSG_WHY, LEAF, election_take_why},
};

/* Until it has proven to be a supernode a neighbour may only bring what proves it. */
static bool is_heard(const struct link *link, uint8_t type) {
    const struct neighbour *neighbour = link->owner;
    bool is_unproven = link->purpose == PURPOSE_MESH && neighbour->is_unproven;
    return !is_unproven || type == MSG_CHECKPOINT || type == MSG_MEMBERS || type == MSG_CERT ||
           type == MSG_TRUST_HAVE || type == MSG_TRUST_WANT || type == MSG_GOAWAY;
}

static enum err take_message(void *role, struct link *link, uint8_t type, struct slice payload) {
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++) {
        bool is_wanted = (handlers[i].purposes & 1u << link->purpose) != 0;
        if (handlers[i].type == type && is_wanted) {
            return is_heard(link, type) ? handlers[i].take(role, link, payload) : OK;
        }
    }
    return ERR_UNEXPECTED;
}

/* ---- Links ---- */

static bool is_our_probe(const struct link *link) {
    return link->purpose == PURPOSE_PROBE && link->token != 0;
}

static void link_opened(void *role, struct link *link, const struct hello *hello) {
    struct supernode *supernode = role;
    if (is_our_probe(link)) {
        dialback_opened(supernode, link);
    } else if (link->purpose == PURPOSE_MEASURE) {
        measure_opened(supernode, link);
    } else if (link->purpose == PURPOSE_MESH) {
        mesh_opened(supernode, link, hello);
    } else if (link->purpose == PURPOSE_LEAF) {
        leaves_opened(supernode, link, hello);
    } else {
        visitor_opened(supernode, link);
    }
}

static void link_closed(void *role, struct link *link, enum err reason) {
    struct supernode *supernode = role;
    if (is_our_probe(link)) {
        dialback_closed(supernode, link);
        return;
    }
    if (link->purpose == PURPOSE_MEASURE) {
        measure_closed(link);
        return;
    }
    if (link->open && link->owner != NULL) {
        turns_drop(supernode, link);
    }
    if (link->purpose == PURPOSE_MESH && link->owner != NULL) {
        mesh_closed(supernode, link, reason);
    } else if (link->purpose == PURPOSE_LEAF && link->open) {
        leaves_closed(supernode, link);
    } else if (link->owner != NULL) {
        visitor_closed(supernode, link);
    }
    if (link->open) { /* when it is no neighbour any more: a search may be sent on here */
        flood_link_closed(supernode, link);
    }
}

static const struct links_role links_role = {
    .admit = admission_admit,
    .opened = link_opened,
    .message = take_message,
    .closed = link_closed,
};

/* ---- Timers ---- */

static void on_mesh(struct supernode *supernode, void *owner) {
    (void)owner;
    mesh_maintain(supernode);
}

static void on_resolve(struct supernode *supernode, void *owner) {
    (void)owner;
    mesh_resolve(supernode);
}

static void on_neighbour(struct supernode *supernode, void *owner) {
    mesh_neighbour_timer(supernode, owner);
}

static void on_leaf(struct supernode *supernode, void *owner) {
    leaves_timer(supernode, owner);
}

static void on_reclaim(struct supernode *supernode, void *owner) {
    (void)owner;
    register_reclaim(supernode);
}

static void on_audit(struct supernode *supernode, void *owner) {
    (void)supernode;
    audit_timer(owner);
}

static void on_intake(struct supernode *supernode, void *owner) {
    (void)owner;
    register_intake_timer(supernode);
}

static void on_settle(struct supernode *supernode, void *owner) {
    (void)owner;
    register_settle_timer(supernode);
}

static void on_wave(struct supernode *supernode, void *owner) {
    flood_wave_timer(supernode, owner);
}

static void on_queries(struct supernode *supernode, void *owner) {
    (void)owner;
    flood_expire(supernode);
}

static void on_probes(struct supernode *supernode, void *owner) {
    (void)owner;
    dialback_expire(supernode);
}

static void on_dials(struct supernode *supernode, void *owner) {
    (void)owner;
    dialback_serve(supernode);
}

static void on_visitor(struct supernode *supernode, void *owner) {
    (void)supernode;
    links_close(owner, GOAWAY_IDLE, ERR_TIMEOUT);
}

static void on_turns(struct supernode *supernode, void *owner) {
    (void)owner;
    turns_serve(supernode);
}

static void on_summary(struct supernode *supernode, void *owner) {
    (void)owner;
    summaries_tell(supernode);
}

static void on_rebuild(struct supernode *supernode, void *owner) {
    (void)owner;
    summaries_rebuild(supernode);
}

static void on_evidence(struct supernode *supernode, void *owner) {
    (void)owner;
    evidence_timer(supernode);
}

static void on_handover(struct supernode *supernode, void *owner) {
    (void)owner;
    handover_timer(supernode);
}

static void on_fill(struct supernode *supernode, void *owner) {
    (void)owner;
    fill_timer(supernode);
}

static void on_election(struct supernode *supernode, void *owner) {
    (void)owner;
    election_timer(supernode);
}

static void stop(struct supernode *supernode) {
    if (!supernode->is_stopped) {
        supernode->is_stopped = true;
        timers_cancel(&supernode->timers, &supernode->stop_timer);
        outbox_add(supernode->links.out, ACTION_STOPPED);
    }
}

static void on_stop(struct supernode *supernode, void *owner) {
    (void)owner;
    log_warn(supernode->env->log, "supernode.stopped_late");
    stop(supernode);
}

static void (*const timer_handlers[TIMER_KINDS])(struct supernode *supernode, void *owner) = {
    [TIMER_MESH] = on_mesh,           [TIMER_RESOLVE] = on_resolve,
    [TIMER_NEIGHBOUR] = on_neighbour, [TIMER_LEAF] = on_leaf,
    [TIMER_RECLAIM] = on_reclaim,     [TIMER_WAVE] = on_wave,
    [TIMER_QUERIES] = on_queries,     [TIMER_PROBES] = on_probes,
    [TIMER_VISITOR] = on_visitor,     [TIMER_AUDIT] = on_audit,
    [TIMER_INTAKE] = on_intake,       [TIMER_TURNS] = on_turns,
    [TIMER_SUMMARY] = on_summary,     [TIMER_REBUILD] = on_rebuild,
    [TIMER_STOP] = on_stop,           [TIMER_EVIDENCE] = on_evidence,
    [TIMER_ELECTION] = on_election,   [TIMER_HANDOVER] = on_handover,
    [TIMER_SETTLE] = on_settle,       [TIMER_FILL] = on_fill,
    [TIMER_DIALS] = on_dials,
};

static void run_timers(struct supernode *supernode) {
    uint64_t now_us = supernode->links.mono_us;
    for (struct timer *timer; (timer = timers_take(&supernode->timers, now_us)) != NULL;) {
        if (timer->kind == LINKS_TIMER) {
            links_timer(&supernode->links, timer);
        } else {
            timer_handlers[timer->kind](supernode, timer->owner);
        }
    }
}

/* ---- Start and end ---- */

void supernode_shutdown(struct supernode *supernode) {
    if (supernode->is_stopping) {
        return;
    }
    supernode->is_stopping = true;
    if (!handover_begin(supernode)) {
        supernode_goodbye(supernode);
    }
}

void supernode_goodbye(struct supernode *supernode) {
    timers_set(&supernode->timers, &supernode->stop_timer, supernode_after_ms(supernode, STOP_MS));
    uint32_t cursor = 0;
    for (struct link *link; (link = links_next(&supernode->links, &cursor)) != NULL;) {
        struct goaway goaway = {.reason = GOAWAY_SHUTDOWN};
        admission_alternatives(supernode, &link->id, &goaway);
        links_goaway(link, &goaway, ERR_SHUTDOWN);
    }
}

static void check_stopped(struct supernode *supernode) {
    uint32_t cursor = 0;
    if (supernode->is_stopping && links_next(&supernode->links, &cursor) == NULL) {
        stop(supernode);
    }
}

/* ---- The node ---- */

static void step(void *self, const struct node_event *event, struct outbox *out) {
    struct supernode *supernode = self;
    links_begin(&supernode->links, event, out);
    if (supernode->is_stopped) {
        return;
    }
    election_tick(supernode);
    if (!links_handle(&supernode->links, event)) {
        switch (event->kind) {
        case NODE_START:
            mesh_start(supernode);
            election_start(supernode);
            break;
        case NODE_RESOLVED:
            mesh_resolved(supernode, event);
            break;
        case NODE_STORED:
            election_stored(supernode, event->stored.token);
            break;
        case NODE_COMMAND:
            status_command(supernode, event);
            break;
        case NODE_SHUTDOWN:
            supernode_shutdown(supernode);
            break;
        default: /* files are a peer's; a timer is looked at below */
            break;
        }
    } else if (event->kind == NODE_LINK_BYTES) {
        turns_serve(supernode);
    }
    run_timers(supernode);
    check_stopped(supernode);
}

static uint64_t deadline(const void *self) {
    const struct supernode *supernode = self;
    return supernode->is_stopped ? TIMERS_NEVER : timers_next(&supernode->timers);
}

static void free_owner(struct supernode *supernode, struct link *link) {
    if (link->owner == NULL || is_our_probe(link) || link->purpose == PURPOSE_LEAF ||
        link->purpose == PURPOSE_MEASURE) {
        return; /* probes, leaves and streams have their own tables */
    }
    if (link->purpose == PURPOSE_MESH) {
        mesh_free_neighbour(supernode, link->owner);
        return;
    }
    timers_cancel(&supernode->timers, &((struct visitor *)link->owner)->timer);
    mem_free(link->owner);
}

static void free_supernode(void *self) {
    struct supernode *supernode = self;
    turns_free(supernode);
    uint32_t cursor = 0;
    for (struct link *link; (link = links_next(&supernode->links, &cursor)) != NULL;) {
        free_owner(supernode, link);
    }
    leaves_free(supernode);
    admission_free(supernode);
    fill_free(supernode);
    flood_free(supernode);
    dialback_free(supernode);
    handover_free(supernode);
    election_free(supernode);
    summaries_free(supernode);
    index_free(supernode->index);
    mesh_free(supernode);
    links_free(&supernode->links);
    timers_free(&supernode->timers);
    mem_free(supernode);
}

static const struct node_ops node_ops = {step, deadline, free_supernode};

struct node supernode_new(const struct node_env *env, const struct supernode_config *config) {
    struct supernode *supernode = mem_new(sizeof *supernode);
    supernode->env = env;
    supernode->config = *config;
    CHECK(config->introducer_count <= INTRODUCERS_MAX);
    if (supernode->config.leaves_max == 0) {
        supernode->config.leaves_max = LEAVES_MAX;
    }
    if (supernode->config.leaf_queries_milli_per_s == 0) {
        supernode->config.leaf_queries_milli_per_s = (uint64_t)(LEAF_QUERIES_PER_S * 1000);
    }
    if (supernode->config.index_bytes_max == 0) {
        supernode->config.index_bytes_max = INDEX_BYTES_MAX;
    }
    if (supernode->config.leaf_queries_burst == 0) {
        supernode->config.leaf_queries_burst = LEAF_QUERIES_BURST;
    }
    if (supernode->config.mesh_queries_per_s == 0) {
        supernode->config.mesh_queries_per_s = MESH_QUERIES_PER_S;
    }
    rng_seed(&supernode->rng, env->seed);
    links_init(&supernode->links, env, &links_role, supernode, &supernode->timers);
    supernode->links.address_record_flags = ADDRESS_RECORD_SUPERNODE;
    supernode->index = index_new(env->seed ^ 0x696e646578, supernode->config.index_bytes_max);
    map_init(&supernode->leaves, sizeof(struct node_id), env->seed ^ 0x6c6561766573);
    map_init(&supernode->probes, PROBE_KEY_BYTES, env->seed ^ 0x70726f626573);
    supernode->reclaim_timer.kind = TIMER_RECLAIM;
    supernode->probes_timer.kind = TIMER_PROBES;
    supernode->dials_timer.kind = TIMER_DIALS;
    supernode->stop_timer.kind = TIMER_STOP;
    fill_init(supernode);
    admission_init(supernode);
    register_init(supernode);
    supernode->turns.timer.kind = TIMER_TURNS;
    flood_init(supernode);
    election_init(supernode);
    summaries_init(supernode);
    mesh_init(supernode);
    return (struct node){&node_ops, supernode};
}
