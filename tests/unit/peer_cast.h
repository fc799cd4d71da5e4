/* peer_cast.h - a supernode and peers around it, for tests that need a whole small network. */
#ifndef TRUNKLINE_TESTS_UNIT_PEER_CAST_H
#define TRUNKLINE_TESTS_UNIT_PEER_CAST_H

#include "tests/unit/peer_asks.h"
#include "tests/unit/peer_files.h"

#include "peer/peer.h"
#include "supernode/supernode.h"

/* Node 0 is the supernode that everybody is introduced to. */
static inline void cast_supernode(struct world *world) {
    struct world_node *node = world_add(world);
    assert_int_equal(node->number, 0);
    struct supernode_config config = {0};
    world_start(node, supernode_new(&node->env, &config));
}

static inline void cast_config(const struct world *world, struct peer_config *config) {
    *config = (struct peer_config){.introducer_count = 1};
    config->introducers[0].id = world->nodes[0].identity.id;
    char text[ADDRESS_TEXT_BYTES];
    address_format(text, &world->nodes[0].env.listen[0]);
    *strchr(text, ':') = '\0';
    snprintf(config->introducers[0].host, sizeof config->introducers[0].host, "%s", text);
    config->introducers[0].port = world->nodes[0].env.listen[0].port;
}

static inline void cast_start(struct world_node *node, uint64_t upload_bytes_per_s,
                              uint32_t upload_slots) {
    struct peer_config config;
    cast_config(node->world, &config);
    config.upload_bytes_per_s = upload_bytes_per_s;
    config.upload_slots = upload_slots;
    world_start(node, peer_new(&node->env, &config));
}

/* Add a peer that shares a file (may be NULL), at this rate. */
static inline struct world_node *cast_peer(struct world *world, const struct world_file *file,
                                           uint64_t upload_bytes_per_s) {
    struct world_node *node = world_add(world);
    if (file != NULL) {
        world_share(node, file);
    }
    cast_start(node, upload_bytes_per_s, 0);
    return node;
}

/* Run until a command is answered, at most so long; return the microseconds it took. */
static inline uint64_t cast_wait(struct world_node *node, uint64_t command, uint64_t at_most_us) {
    struct world *world = node->world;
    uint64_t start_us = world->now_us;
    while (world->now_us - start_us < at_most_us) {
        for (const struct world_report *at = node->reports; at != NULL; at = at->next) {
            if (at->command == command && at->last) {
                return world->now_us - start_us;
            }
        }
        world_run_for(world, 10000);
    }
    return UINT64_MAX;
}

static inline void cast_assert_fetched(struct world_node *node, uint64_t command,
                                       const struct world_file *file) {
    const struct world_report *finished = world_reported(node, command, "finished", 0);
    assert_non_null(finished);
    assert_int_equal(world_number(finished, "bytes"), file->content.size);
    const struct world_part *part = world_part_of(node, &file->content);
    assert_non_null(part);
    assert_true(part->is_finished);
    assert_memory_equal(part->bytes, file->bytes, file->content.size);
}

#endif
