/* peer_world.h - a small world for tests of peers: nodes, links, disks and reports in memory, on
 * virtual time, from one seed.
 *
 * It carries out every action of node.h and holds the node to the contract: no COMMIT before it was
 * told of the WRITE, no wrong byte written, no part file opened twice. Much of it can be spoilt. */
#ifndef TRUNKLINE_TESTS_UNIT_PEER_WORLD_H
#define TRUNKLINE_TESTS_UNIT_PEER_WORLD_H

#include "tests/unit/peer_world_parts.h"

/* ---- Actions and events ---- */

static inline void world_report(struct world_node *node, const struct action *action,
                                struct slice bytes) {
    struct world_report *report = mem_new(sizeof *report);
    report->command = action->token;
    report->last = action->last;
    report->reason = action->reason;
    buf_append(&report->fields, bytes.data, bytes.len);
    *node->reports_end = report;
    node->reports_end = &report->next;
}

static inline void world_sign(struct world_node *node, uint8_t type, struct slice body) {
    node->supernode_signs++;
    if (node->supernode_key != NULL) {
        struct world_item *item = world_post(node, NODE_SUPERNODE, DISK_US);
        struct signed_bytes bytes = {&node->world->network.id, type, body};
        item->event.supernode.state = SUPERNODE_SIGNED;
        crypto_sign(node->supernode_key, &bytes, item->event.supernode.signature);
    }
}

static inline void world_supernode(struct world_node *node, enum action_kind kind,
                                   struct slice cert) {
    node->supernode_names += kind == ACTION_SUPERNODE_NAME;
    node->supernode_stops += kind == ACTION_SUPERNODE_STOP;
    if (kind == ACTION_SUPERNODE_START) {
        node->supernode_starts++;
        node->supernode_cert.len = 0;
        buf_append(&node->supernode_cert, cert.data, cert.len);
    }
}

static inline void world_close(struct world_part *part, bool discard) {
    part->is_open = false;
    memset(part->committed, 0, discard ? (hashtree_pieces(part->content.size) + 7) / 8 : 0);
}

static inline void world_act(struct world_node *node, struct action *action, struct slice bytes) {
    switch (action->kind) {
    case ACTION_DIAL:
        world_dial(node, action);
        break;
    case ACTION_WRITE:
        world_send(node, action->link, bytes);
        break;
    case ACTION_SEND_BLOCK:
        world_block(node, action, bytes);
        break;
    case ACTION_CLOSE:
        world_cut(node->world, action->link, ERR_CLOSED);
        break;
    case ACTION_FILE_OPEN:
        world_open(node, action);
        break;
    case ACTION_FILE_WRITE:
        world_write(node, action);
        break;
    case ACTION_FILE_COMMIT:
        world_commit(node, action, bytes);
        break;
    case ACTION_FILE_HASH:
        world_hash(node, action);
        break;
    case ACTION_FILE_FINISH:
        world_finish(node, action, bytes);
        break;
    case ACTION_FILE_CLOSE:
    case ACTION_FILE_DISCARD:
        world_close(world_part(node, action->file), action->kind == ACTION_FILE_DISCARD);
        break;
    case ACTION_REPORT:
        world_report(node, action, bytes);
        break;
    case ACTION_SUPERNODE_SIGN:
        world_sign(node, (uint8_t)action->token32, bytes);
        break;
    case ACTION_SUPERNODE_NAME:
    case ACTION_SUPERNODE_START:
    case ACTION_SUPERNODE_STOP:
        world_supernode(node, action->kind, bytes);
        break;
    case ACTION_STOPPED:
        node->is_stopped = true;
        break;
    default: /* nothing is limited here; all others are carried out */
        assert_int_equal(action->kind, ACTION_LINK_FILES);
    }
}

static inline void world_step(struct world_node *node, struct node_event *event) {
    struct world *world = node->world;
    event->mono_us = world->now_us;
    event->wall_s = WORLD_WALL_S + (int64_t)(world->now_us / SECOND_US);
    if (event->kind == NODE_FILE_WRITTEN) {
        struct world_part *part = world_part(node, event->file.file);
        if (part != NULL) {
            part->told[event->file.offset / PIECE_BYTES] = 1;
        }
    }
    node_step(node->node, event, &node->out);
    struct outbox out = node->out;
    node->out = (struct outbox){0};
    for (uint32_t i = 0; i < out.count; i++) {
        world_act(node, &out.actions[i], outbox_bytes(&out, &out.actions[i]));
    }
    outbox_free(&out);
    uint64_t due_us = node_deadline(node->node);
    if (due_us == TIMERS_NEVER) {
        timers_cancel(&world->timers, &node->wake);
    } else {
        timers_set(&world->timers, &node->wake, due_us > world->now_us ? due_us : world->now_us);
    }
}

static inline void world_deliver(struct world_item *item) {
    struct world_node *node = item->node;
    if (item->is_bytes) {
        item->event.bytes.data = (struct slice){item->owned.data, item->owned.len};
    }
    if (node->node.ops != NULL && item->life == node->life && !node->is_hung) {
        world_step(node, &item->event);
    }
    buf_free(&item->owned);
    mem_free(item);
}

/* Run until this moment. */
static inline void world_run(struct world *world, uint64_t until_us) {
    uint32_t spins = 0;
    while (timers_next(&world->timers) <= until_us) {
        uint64_t next_us = timers_next(&world->timers);
        spins = next_us > world->now_us ? 0 : spins + 1;
        assert_true(spins < 100000);
        world->now_us = next_us > world->now_us ? next_us : world->now_us;
        struct timer *timer = timers_take(&world->timers, world->now_us);
        if (timer->kind == WORLD_ITEM) {
            world_deliver(timer->owner);
        } else {
            struct world_node *node = timer->owner;
            struct node_event event = {.kind = NODE_TIMER};
            if (!node->is_hung) {
                world_step(node, &event);
            }
        }
    }
    world->now_us = until_us > world->now_us ? until_us : world->now_us;
}

static inline void world_run_for(struct world *world, uint64_t us) {
    world_run(world, world->now_us + us);
}

/* ---- Nodes and files ---- */

static inline void world_log(void *context, enum log_level level, const char *line) {
    struct world *world = context;
    (void)level;
    world->bans += strncmp(line, "fetch.banned", 12) == 0;
    if (world->is_loud) {
        printf("%10.6f %s\n", (double)world->now_us / 1e6, line);
    }
}

static inline struct world *world_new(uint64_t seed) {
    struct world *world = mem_new(sizeof *world);
    rng_seed(&world->rng, seed);
    world->now_us = SECOND_US;
    world->packer = packer_new();
    world->log = (struct log){LOG_LEVEL_DEBUG, world_log, world};
    world->network = (struct network){
        .name = "test", .policy = NETWORK_OPEN, .profile = NETWORK_LAN, .epoch_s = 3600};
    for (uint32_t i = 0; i < WORLD_NODES; i++) {
        test_identity_init(&world->nodes[i].identity, seed * 1000 + i + 1);
    }
    assert_int_equal(network_seal(&world->network, &world->nodes[0].identity.crypto), OK);
    return world;
}

static inline void world_synced(void *context, uint64_t token) {
    struct world_node *node = context;
    if (!node->syncs_never) {
        world_post(node, NODE_STORED, DISK_US)->event.stored.token = token;
    }
}

/* Take the next place; start it with world_start. */
static inline struct world_node *world_add(struct world *world) {
    assert_true(world->node_count < WORLD_NODES);
    struct world_node *node = &world->nodes[world->node_count];
    node->world = world;
    node->number = world->node_count++;
    node->store = store_memory_new(world_synced, node);
    node->wake.kind = WORLD_WAKE;
    node->wake.owner = node;
    node->reports_end = &node->reports;
    node->env = (struct node_env){.id = node->identity.id,
                                  .seed = rng_u64(&world->rng),
                                  .network = &world->network,
                                  .crypto = &node->identity.crypto,
                                  .log = &world->log,
                                  .store = node->store,
                                  .packer = world->packer,
                                  .listen_count = 1,
                                  .agent = "test/1"};
    node->env.listen[0] = test_address(node->number + 1, 7000);
    return node;
}

/* What is shared from now on is for these nodes; 0 of them = nobody. */
static inline void world_share_for(struct world_node *node, bool is_locked, uint32_t count,
                                   const struct node_id *ids) {
    struct node_event event = {.kind = NODE_GROUP};
    event.group.group = ++node->share_group;
    event.group.is_locked = is_locked;
    event.group.ids = (struct slice){(const uint8_t *)ids, count * sizeof *ids};
    world_step(node, &event);
}

static inline void world_share(struct world_node *node, const struct world_file *file) {
    assert_true(node->shared_count < WORLD_FILES);
    node->shared[node->shared_count++] = file;
    if (node->node.ops == NULL) {
        return;
    }
    struct node_event event = {.kind = NODE_SHARED};
    event.shared.file = node->shared_count;
    event.shared.group = node->share_group;
    event.shared.content = file->content;
    event.shared.name = test_slice(file->name);
    if (hashtree_pieces(file->content.size) > 1) {
        event.shared.pieces = (struct slice){
            file->pieces[0].b, (size_t)hashtree_pieces(file->content.size) * HASH_BYTES};
    }
    world_step(node, &event);
}

/* Start a node with the shares it has. */
static inline void world_start(struct world_node *node, struct node made) {
    node->node = made;
    node->is_stopped = false;
    struct node_event event = {.kind = NODE_START};
    world_step(node, &event);
    uint32_t count = node->shared_count;
    node->shared_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        world_share(node, node->shared[i]);
    }
    event = (struct node_event){.kind = NODE_SHARES_READY};
    world_step(node, &event);
}

/* The process is gone at once; disk and store stay. */
static inline void world_kill(struct world_node *node) {
    world_cut_all(node);
    timers_cancel(&node->world->timers, &node->wake);
    node_free(node->node);
    node->node = (struct node){0};
    node->life++;
    for (struct world_part *part = node->parts; part != NULL; part = part->next) {
        part->is_open = false;
        memset(part->told, 0, hashtree_pieces(part->content.size));
    }
}

static inline void world_free(struct world *world) {
    for (uint32_t i = 0; i < world->node_count; i++) {
        struct world_node *node = &world->nodes[i];
        if (node->node.ops != NULL) {
            node_free(node->node);
        }
        outbox_free(&node->out);
        store_free(node->store);
        buf_free(&node->supernode_cert);
        while (node->parts != NULL) {
            struct world_part *part = node->parts;
            node->parts = part->next;
            mem_free(part->bytes);
            mem_free(part->told);
            mem_free(part->committed);
            mem_free(part);
        }
        while (node->reports != NULL) {
            struct world_report *report = node->reports;
            node->reports = report->next;
            buf_free(&report->fields);
            mem_free(report);
        }
        timers_cancel(&world->timers, &node->wake);
    }
    for (struct timer *timer; (timer = timers_take(&world->timers, UINT64_MAX)) != NULL;) {
        struct world_item *item = timer->owner;
        buf_free(&item->owned);
        mem_free(item);
    }
    for (uint32_t i = 0; i < WORLD_NODES; i++) {
        test_identity_free(&world->nodes[i].identity);
    }
    for (uint32_t i = 0; i < 2 * WORLD_LINKS; i++) {
        buf_free(&world->links[i / 2].ends[i % 2].held);
    }
    for (uint32_t i = 0; i < world->file_count; i++) {
        mem_free(world->files[i].bytes);
        mem_free(world->files[i].pieces);
    }
    timers_free(&world->timers);
    packer_free(world->packer);
    mem_free(world);
}

#endif
