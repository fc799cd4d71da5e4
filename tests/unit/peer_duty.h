/* peer_duty.h - a peer that would be a supernode, and a parent without a mind that is the network's
 * anchor. */
#ifndef TRUNKLINE_TESTS_UNIT_PEER_DUTY_H
#define TRUNKLINE_TESTS_UNIT_PEER_DUTY_H

#include "tests/unit/peer_cast.h"
#include "tests/unit/peer_raw.h"

#include "common/wire_trust.h"

#define EPOCH_S 3600ull
#define RATE (256ull << 10)

/* Node 0 is a parent without a mind and the network's anchor, node 1 the peer; the supernode's key
 * is one that nobody runs. */
struct scene {
    struct world *world;
    struct raw *parent;
    struct world_node *peer;
    struct node_id child;
};

/* A parent that is content with every list, and knows an answer when `context` is set. */
static inline void answer(struct raw *raw, struct link *link, uint8_t type, struct slice payload) {
    struct buf reply = {0};
    if (type == MSG_REG_BEGIN) {
        struct reg_state begun;
        assert_int_equal(wire_reg_state_decode(payload, &begun), OK);
        struct reg_status status = {.verdict = REG_DONE,
                                    .sequence = begun.sequence,
                                    .count = begun.count,
                                    .root = begun.root};
        wire_reg_status_encode(&reply, &status);
        links_send(link, MSG_REG_STATUS, (struct slice){reply.data, reply.len});
    } else if (type == MSG_WHY && raw->context != NULL) {
        struct why why;
        assert_int_equal(wire_why_decode(payload, &why), OK);
        struct decision decision = {.id = why.id,
                                    .epoch = 7,
                                    .verdict = DECISION_PROMOTED,
                                    .reason = test_slice("drawn"),
                                    .members = 3,
                                    .wanted = 4,
                                    .gate = DECISION_GATE_CONSENT | DECISION_GATE_DIALLED,
                                    .score = 1ull << 47,
                                    .draw = 1ull << 63,
                                    .threshold = UINT64_MAX,
                                    .evidence_count = 1};
        decision.evidence[0] = (struct decision_evidence){raw->node->identity.id, 6, 123456};
        wire_decision_encode(&reply, &decision);
        links_send(link, MSG_DECISION, (struct slice){reply.data, reply.len});
    }
    buf_free(&reply);
}

static inline struct scene scene_new(uint64_t seed, enum network_policy policy) {
    struct scene scene = {.world = world_new(seed)};
    struct network *network = &scene.world->network;
    network->policy = policy;
    network->anchor_count = 1;
    network->anchors[0] = scene.world->nodes[0].identity.id;
    assert_int_equal(network_seal(network, &scene.world->nodes[0].identity.crypto), OK);
    scene.parent = raw_add(scene.world);
    scene.parent->answer = answer;
    scene.peer = world_add(scene.world);
    scene.child = scene.world->nodes[WORLD_NODES - 1].identity.id;
    return scene;
}

static inline void start_peer(struct scene *scene) {
    cast_start(scene->peer, 0, 0);
    world_run_for(scene->world, SECOND_US / 10);
}

static inline void tell(struct scene *scene, enum supernode_state state, uint64_t bytes,
                        bool certified) {
    struct node_event event = {.kind = NODE_SUPERNODE};
    for (int i = 0; i < WORLD_NODES; i++) {
        const struct test_identity *key = &scene->world->nodes[i].identity;
        bool is_named = state == SUPERNODE_NAMED && node_id_equal(&key->id, &scene->child);
        scene->peer->supernode_key = is_named ? &key->crypto : scene->peer->supernode_key;
    }
    event.supernode.state = (uint8_t)state;
    event.supernode.id = scene->child;
    event.supernode.bytes_in = bytes;
    event.supernode.is_certified = certified;
    event.supernode.leaves = 7;
    event.supernode.address = test_address(99, 7000);
    world_step(scene->peer, &event);
}

static inline uint64_t consent(struct scene *scene, const char *rate, const char *bytes) {
    const struct command_arg args[] = {{"rate", rate}, {"bytes", bytes}};
    return world_command_args(scene->peer, "supernode-consent", args, 2);
}

/* A peer that has agreed, and whose supernode has a key. */
static inline struct scene scene_of_candidate(uint64_t seed, enum network_policy policy) {
    struct scene scene = scene_new(seed, policy);
    start_peer(&scene);
    consent(&scene, "256K", "64M");
    tell(&scene, SUPERNODE_NAMED, 0, false);
    world_run_for(scene.world, SECOND_US / 10);
    return scene;
}

static inline void state_is(struct scene *scene, const char *wanted) {
    char text[256];
    uint64_t command = world_command(scene->peer, "supernode-status", NULL, NULL);
    const struct world_report *report = world_reported(scene->peer, command, "duty", 0);
    assert_non_null(report);
    assert_true(world_field(report, "state", text, NULL));
    assert_string_equal(text, wanted);
}

static inline uint64_t status_number(struct scene *scene, const char *key) {
    uint64_t command = world_command(scene->peer, "supernode-status", NULL, NULL);
    return world_number(world_reported(scene->peer, command, "duty", 0), key);
}

static inline uint64_t wall_s(const struct scene *scene) {
    return WORLD_WALL_S + scene->world->now_us / SECOND_US;
}

static inline uint32_t epoch_now(const struct scene *scene) {
    return (uint32_t)(wall_s(scene) / EPOCH_S);
}

/* Run to so many seconds into the next epoch. */
static inline void next_epoch(struct scene *scene, uint64_t seconds) {
    uint64_t wait_s = (epoch_now(scene) + 1) * EPOCH_S - wall_s(scene) + seconds;
    world_run_for(scene->world, wait_s * SECOND_US);
}

static inline void send_cert(struct scene *scene, const struct node_id *subject, uint32_t epoch,
                             uint8_t life) {
    struct cert cert = {.subject = *subject, .epoch = epoch, .life = life, .signer_count = 1};
    struct buf covered = {0};
    wire_cert_signed_bytes(&covered, &cert);
    struct signed_bytes body = {
        &scene->world->network.id, RECORD_CERT, {covered.data, covered.len}};
    crypto_sign(&scene->parent->node->identity.crypto, &body, cert.signers[0].signature);
    buf_free(&covered);
    struct buf bytes = {0};
    wire_cert_encode(&bytes, &cert);
    raw_send(scene->parent, scene->parent->link, MSG_CERT, &bytes);
    world_run_for(scene->world, SECOND_US / 10);
}

#endif
