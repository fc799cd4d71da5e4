/* peer_world.h - a small world for tests of peers: nodes, links, disks and reports in memory, on
 * virtual time, from one seed.
 *
 * It carries out every action of node.h and holds the node to the contract: no COMMIT before it was
 * told of the WRITE, no wrong byte written, no part file opened twice. Much of it can be spoilt. */
#ifndef TRUNKLINE_TESTS_UNIT_PEER_WORLD_H
#define TRUNKLINE_TESTS_UNIT_PEER_WORLD_H

#include "tests/unit/testlib.h"

#include <stdio.h>

#include "common/hashtree.h"
#include "common/links.h"
#include "common/mem.h"
#include "common/pack.h"
#include "common/timers.h"

#define WORLD_NODES 16
#define WORLD_LINKS 1024
#define WORLD_FILES 8
#define WORLD_WALL_S 1700000000
#define LATENCY_US 1000
#define DISK_US 200
#define SECOND_US 1000000ull

struct world;

/* A file that exists in this world; nodes share it or fetch it. */
struct world_file {
    struct content_id content;
    uint8_t *bytes;
    struct hash *pieces;
    char name[64];
};

struct world_part {
    struct world_part *next;
    const struct world_file *of; /* NULL = content that nobody has */
    struct content_id content;
    uint64_t number;
    bool is_open;
    bool has_failed;
    bool is_finished;
    uint8_t *bytes;
    uint8_t *told;      /* per piece: NODE_FILE_WRITTEN was delivered */
    uint8_t *committed; /* journal bitmap */
    uint32_t commits;
};

struct world_report {
    struct world_report *next;
    uint64_t command;
    struct buf fields;
    bool last;
    enum err reason;
};

struct world_node {
    struct world *world;
    uint32_t number;
    struct node node; /* ops NULL = off */
    bool is_hung;     /* takes nothing, says nothing, its links stay */
    struct node_env env;
    struct test_identity identity;
    struct store *store;
    struct outbox out;
    struct timer wake;
    const struct world_file *shared[WORLD_FILES];
    uint32_t shared_count;
    uint32_t share_group; /* of the files shared from now on */
    /* Bytes of a file that was shared by an event alone, NULL = it is gone. */
    const uint8_t *(*other_file)(const struct world_node *node, uint64_t file);
    struct world_part *parts;
    struct world_report *reports;
    struct world_report **reports_end;
    uint64_t busy_us;     /* its uplink */
    uint64_t bytes_per_s; /* of its uplink, 0 = unlimited */
    uint64_t blocks_sent;
    uint64_t blocks_read;   /* SEND_BLOCK actions */
    uint64_t bytes_written; /* to part files */
    uint64_t dials;
    uint32_t spoil_every; /* every so many blocks it sends have a wrong bit; 0 = none */
    enum err disk_fails;  /* what is done to part files fails with this ... */
    uint32_t disk_spares; /* ... but for these: 1 opening, 2 writes, 4 commits, 8 finishing */
    enum err read_fails;  /* SEND_BLOCK fails with this */
    bool is_hidden;       /* cannot be dialled */
    bool reads_nothing;   /* what comes to it waits */
    bool is_stopped;
    uint32_t life;
    bool syncs_never;                   /* its store is never done */
    const struct crypto *supernode_key; /* what signs for ACTION_SUPERNODE_SIGN; NULL = nothing */
    uint32_t supernode_names;           /* ACTION_SUPERNODE_NAME, _SIGN, _START and _STOP */
    uint32_t supernode_signs;
    uint32_t supernode_starts;
    uint32_t supernode_stops;
    struct buf supernode_cert; /* of the last start */
};

struct world_end {
    struct world_node *node;
    uint32_t life;
    uint64_t queued; /* bytes towards this end that wait for its reading */
    struct buf held;
    bool told_stalled; /* the other end was */
};

struct world_link {
    struct world_end ends[2]; /* 0 dialled */
    bool is_open;
};

struct world_item {
    struct timer timer;
    struct world_node *node;
    uint32_t life;
    struct node_event event;
    struct buf owned;
    bool is_bytes;
};

struct world {
    uint64_t now_us;
    struct rng rng;
    struct network network;
    struct packer *packer;
    struct timers timers;
    struct log log;
    struct world_node nodes[WORLD_NODES];
    uint32_t node_count;
    struct world_link links[WORLD_LINKS];
    uint32_t link_count;
    struct world_file files[WORLD_FILES];
    uint32_t file_count;
    uint64_t last_command;
    uint32_t bans; /* log lines "fetch.banned" */
    bool is_loud;
    void *context; /* the test's */
};

enum { WORLD_WAKE, WORLD_ITEM };

static inline void world_step(struct world_node *node, struct node_event *event);

/* ---- Links ---- */

static inline struct world_end *world_far(struct world *world, uint32_t link,
                                          const struct world_node *node) {
    struct world_link *it = &world->links[link];
    return it->ends[0].node == node && it->ends[0].life == node->life ? &it->ends[1] : &it->ends[0];
}

static inline struct world_item *world_post(struct world_node *node, enum node_event_kind kind,
                                            uint64_t delay_us) {
    struct world *world = node->world;
    struct world_item *item = mem_new(sizeof *item);
    item->node = node;
    item->life = node->life;
    item->event.kind = kind;
    item->timer.kind = WORLD_ITEM;
    item->timer.owner = item;
    timers_set(&world->timers, &item->timer, world->now_us + delay_us);
    return item;
}

/* End a link for both. */
static inline void world_cut(struct world *world, uint32_t link, enum err reason) {
    struct world_link *it = &world->links[link];
    if (!it->is_open) {
        return;
    }
    it->is_open = false;
    for (int i = 0; i < 2; i++) {
        buf_free(&it->ends[i].held);
        /* After what is on its way. */
        struct world_item *item = world_post(it->ends[i].node, NODE_LINK_DOWN, 2 * LATENCY_US);
        item->life = it->ends[i].life;
        item->event.link.link = link;
        item->event.link.reason = reason;
    }
}

static inline void world_cut_all(struct world_node *node) {
    for (uint32_t i = 1; i <= node->world->link_count; i++) {
        struct world_link *link = &node->world->links[i];
        if (link->ends[0].node == node || link->ends[1].node == node) {
            world_cut(node->world, i, ERR_CLOSED);
        }
    }
}

static inline void world_stall(struct world *world, uint32_t link, struct world_end *to,
                               bool is_full) {
    struct world_node *from = world_far(world, link, to->node)->node;
    if (is_full != to->told_stalled) {
        to->told_stalled = is_full;
        struct world_item *item =
            world_post(from, is_full ? NODE_LINK_STALLED : NODE_LINK_READY, 0);
        item->event.link.link = link;
    }
}

static inline void world_send(struct world_node *from, uint32_t link, struct slice bytes) {
    struct world *world = from->world;
    struct world_end *to = world_far(world, link, from);
    if (!world->links[link].is_open) {
        return;
    }
    if (to->node->reads_nothing) {
        buf_append(&to->held, bytes.data, bytes.len);
        world_stall(world, link, to, to->held.len > LINK_OUTPUT_SOFT);
        assert_true(to->held.len < LINK_OUTPUT_HARD);
        return;
    }
    uint64_t start_us = from->busy_us > world->now_us ? from->busy_us : world->now_us;
    uint64_t took_us = from->bytes_per_s > 0 ? bytes.len * SECOND_US / from->bytes_per_s : 0;
    from->busy_us = start_us + took_us;
    struct world_item *item =
        world_post(to->node, NODE_LINK_BYTES, from->busy_us - world->now_us + LATENCY_US);
    item->life = to->life;
    buf_append(&item->owned, bytes.data, bytes.len);
    item->is_bytes = true;
    item->event.bytes.link = link;
}

/* It reads again: what was held comes now. */
static inline void world_read_again(struct world_node *node) {
    struct world *world = node->world;
    node->reads_nothing = false;
    for (uint32_t i = 1; i <= world->link_count; i++) {
        for (int side = 0; side < 2; side++) {
            struct world_end *end = &world->links[i].ends[side];
            if (end->node != node || !world->links[i].is_open || end->held.len == 0) {
                continue;
            }
            struct buf held = end->held;
            end->held = (struct buf){0};
            world_send(world_far(world, i, node)->node, i, (struct slice){held.data, held.len});
            buf_free(&held);
            world_stall(world, i, end, false);
        }
    }
}

static inline struct world_node *world_at(struct world *world, const struct address *address) {
    for (uint32_t i = 0; i < world->node_count; i++) {
        if (address_equal(&world->nodes[i].env.listen[0], address)) {
            return &world->nodes[i];
        }
    }
    return NULL;
}

static inline void world_dial(struct world_node *from, const struct action *action) {
    struct world *world = from->world;
    struct world_node *to = world_at(world, &action->address);
    from->dials++;
    bool is_there = to != NULL && to->node.ops != NULL && !to->is_hidden && to != from &&
                    node_id_equal(&to->identity.id, &action->id);
    if (!is_there) {
        struct world_item *item = world_post(from, NODE_DIAL_FAILED, 2 * LATENCY_US);
        item->event.dial.token = action->token32;
        item->event.dial.reason = ERR_UNREACHABLE;
        return;
    }
    uint32_t link = ++world->link_count;
    assert_true(link < WORLD_LINKS);
    world->links[link].is_open = true;
    world->links[link].ends[0] = (struct world_end){.node = from, .life = from->life};
    world->links[link].ends[1] = (struct world_end){.node = to, .life = to->life};
    for (int i = 0; i < 2; i++) {
        struct world_node *node = world->links[link].ends[i].node;
        struct world_node *other = world->links[link].ends[1 - i].node;
        struct world_item *item = world_post(node, NODE_LINK_UP, 2 * LATENCY_US);
        item->event.up.link = link;
        item->event.up.token = i == 0 ? action->token32 : 0;
        item->event.up.id = other->identity.id;
        item->event.up.remote = other->env.listen[0];
        memset(item->event.up.exporter.b, (int)(link % 251), HASH_BYTES);
    }
}

/* ---- Disk ---- */

static inline const struct world_file *world_file_of(const struct world *world,
                                                     const struct content_id *content) {
    for (uint32_t i = 0; i < world->file_count; i++) {
        if (content_equal(&world->files[i].content, content)) {
            return &world->files[i];
        }
    }
    return NULL;
}

static inline struct world_part *world_part(struct world_node *node, uint64_t number) {
    struct world_part *part = node->parts;
    while (part != NULL && (part->number != number || !part->is_open)) {
        part = part->next;
    }
    return part;
}

static inline struct world_part *world_part_of(struct world_node *node,
                                               const struct content_id *content) {
    struct world_part *part = node->parts;
    while (part != NULL && !content_equal(&part->content, content)) {
        part = part->next;
    }
    return part;
}

static inline struct world_item *world_post_file(struct world_node *node, enum node_event_kind kind,
                                                 const struct action *action) {
    struct world_item *item = world_post(node, kind, DISK_US);
    item->event.file.file = action->file;
    item->event.file.token = action->token;
    item->event.file.offset = action->offset;
    item->event.file.len = action->len;
    return item;
}

static inline bool world_disk_fails(struct world_node *node, struct world_part *part,
                                    const struct action *action) {
    uint32_t step = action->kind == ACTION_FILE_OPEN     ? 1
                    : action->kind == ACTION_FILE_WRITE  ? 2
                    : action->kind == ACTION_FILE_COMMIT ? 4
                                                         : 8;
    if (node->disk_fails == OK || (node->disk_spares & step) != 0) {
        return false;
    }
    part->has_failed = true;
    world_post_file(node, NODE_FILE_FAILED, action)->event.file.reason = node->disk_fails;
    return true;
}

static inline void world_open(struct world_node *node, const struct action *action) {
    struct world_part *part = world_part_of(node, &action->content);
    uint32_t pieces = hashtree_pieces(action->content.size);
    if (part == NULL) {
        part = mem_new(sizeof *part);
        part->content = action->content;
        part->of = world_file_of(node->world, &action->content);
        part->bytes = mem_new(part->of != NULL ? part->content.size : 1);
        part->told = mem_new(pieces);
        part->committed = mem_new((pieces + 7) / 8);
        part->next = node->parts;
        node->parts = part;
    }
    assert_false(part->is_open);
    part->is_open = true;
    part->has_failed = false;
    part->number = action->file;
    if (world_disk_fails(node, part, action)) {
        return;
    }
    struct world_item *item = world_post_file(node, NODE_FILE_OPENED, action);
    buf_append(&item->owned, part->committed, (pieces + 7) / 8);
    item->event.file.pieces = (struct slice){item->owned.data, item->owned.len};
}

static inline void world_write(struct world_node *node, struct action *action) {
    struct world_part *part = world_part(node, action->file);
    if (part == NULL || part->has_failed) {
        return;
    }
    if (world_disk_fails(node, part, action)) {
        return;
    }
    assert_non_null(part->of);
    assert_true(action->offset + action->len <= part->content.size);
    assert_memory_equal(action->owned, part->of->bytes + action->offset, action->len);
    memcpy(part->bytes + action->offset, action->owned, action->len);
    node->bytes_written += action->len;
    world_post_file(node, NODE_FILE_WRITTEN, action);
}

static inline void world_commit(struct world_node *node, const struct action *action,
                                struct slice bitmap) {
    struct world_part *part = world_part(node, action->file);
    if (part == NULL || part->has_failed || world_disk_fails(node, part, action)) {
        return;
    }
    uint32_t pieces = hashtree_pieces(part->content.size);
    assert_int_equal(bitmap.len, (pieces + 7) / 8);
    for (uint32_t i = 0; i < pieces; i++) {
        if ((bitmap.data[i / 8] & (0x80 >> i % 8)) != 0) {
            assert_true(part->told[i]); /* never before NODE_FILE_WRITTEN */
            part->committed[i / 8] |= (uint8_t)(0x80 >> i % 8);
        }
    }
    part->commits++;
    struct world_item *item = world_post_file(node, NODE_FILE_COMMITTED, action);
    buf_append(&item->owned, bitmap.data, bitmap.len);
    item->event.file.pieces = (struct slice){item->owned.data, item->owned.len};
}

static inline void world_finish(struct world_node *node, const struct action *action,
                                struct slice name) {
    struct world_part *part = world_part(node, action->file);
    if (part == NULL || part->has_failed || world_disk_fails(node, part, action)) {
        return;
    }
    uint32_t pieces = hashtree_pieces(part->content.size);
    for (uint32_t i = 0; i < pieces; i++) {
        assert_true((part->committed[i / 8] & (0x80 >> i % 8)) != 0);
    }
    assert_memory_equal(part->bytes, part->of->bytes, part->content.size);
    part->is_open = false;
    part->is_finished = true;
    struct world_item *item = world_post_file(node, NODE_FILE_FINISHED, action);
    buf_append(&item->owned, name.data, name.len);
    item->event.file.name = (struct slice){item->owned.data, item->owned.len};
}

static inline void world_hash(struct world_node *node, const struct action *action) {
    const struct world_file *file = NULL;
    if ((action->file & FILE_PART) == 0) {
        assert_in_range(action->file, 1, node->shared_count);
        file = node->shared[action->file - 1];
    }
    if (file == NULL || node->read_fails != OK) {
        struct world_item *failed = world_post_file(node, NODE_FILE_FAILED, action);
        failed->event.file.reason = node->read_fails != OK ? node->read_fails : ERR_NOT_FOUND;
        return;
    }
    struct world_item *item = world_post_file(node, NODE_FILE_HASHED, action);
    for (uint32_t i = 0; i < action->len; i++) {
        uint32_t block = (uint32_t)action->offset + i;
        uint32_t len = hashtree_block_bytes(file->content.size, block);
        struct hash hash;
        crypto_hash(node->env.crypto,
                    (struct slice){file->bytes + (uint64_t)block * BLOCK_BYTES, len}, &hash);
        buf_append(&item->owned, hash.b, sizeof hash.b);
    }
    item->event.file.hashes = (struct slice){item->owned.data, item->owned.len};
}

static inline void world_block(struct world_node *node, const struct action *action,
                               struct slice header) {
    const uint8_t *bytes = NULL;
    node->blocks_read++;
    if ((action->file & FILE_PART) != 0) {
        const struct world_part *part = world_part(node, action->file);
        bytes = part != NULL ? part->bytes : NULL;
    } else if (node->other_file != NULL) {
        bytes = node->other_file(node, action->file);
    } else {
        assert_in_range(action->file, 1, node->shared_count);
        bytes = node->shared[action->file - 1]->bytes;
    }
    bool is_sent = bytes != NULL && node->read_fails == OK;
    struct world_item *item =
        world_post(node, is_sent ? NODE_BLOCK_SENT : NODE_BLOCK_FAILED, DISK_US);
    item->event.block.link = action->link;
    item->event.block.token = action->token;
    item->event.block.reason = node->read_fails != OK ? node->read_fails : ERR_NOT_FOUND;
    if (!is_sent) {
        return;
    }
    struct buf message = {0};
    buf_append(&message, header.data, header.len);
    buf_append(&message, bytes + action->offset, action->len);
    node->blocks_sent++;
    if (node->spoil_every > 0 && node->blocks_sent % node->spoil_every == 0) {
        message.data[message.len - 1] ^= 0x10;
    }
    world_send(node, action->link, (struct slice){message.data, message.len});
    buf_free(&message);
}

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
