/* peer_world_parts.h - what the small world of peer_world.h is made of: nodes, links and disks. */
#ifndef TRUNKLINE_TESTS_UNIT_PEER_WORLD_PARTS_H
#define TRUNKLINE_TESTS_UNIT_PEER_WORLD_PARTS_H

#include "tests/unit/testlib.h"

#include <stdio.h>

#include "common/hashtree.h"
#include "common/links.h"
#include "common/mem.h"
#include "common/pack.h"
#include "common/timers.h"

#define WORLD_NODES 20
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

#endif
