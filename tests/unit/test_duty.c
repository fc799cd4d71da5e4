/* test_duty.c - a peer that would be a supernode: what it says of itself, when its supernode runs,
 * what it gives, and when it rests. */
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
static void answer(struct raw *raw, struct link *link, uint8_t type, struct slice payload) {
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

static struct scene scene_new(uint64_t seed, enum network_policy policy) {
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

static void start_peer(struct scene *scene) {
    cast_start(scene->peer, 0, 0);
    world_run_for(scene->world, SECOND_US / 10);
}

static void tell(struct scene *scene, enum supernode_state state, uint64_t bytes, bool certified) {
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

static uint64_t consent(struct scene *scene, const char *rate, const char *bytes) {
    const struct command_arg args[] = {{"rate", rate}, {"bytes", bytes}};
    return world_command_args(scene->peer, "supernode-consent", args, 2);
}

/* A peer that has agreed, and whose supernode has a key. */
static struct scene scene_of_candidate(uint64_t seed, enum network_policy policy) {
    struct scene scene = scene_new(seed, policy);
    start_peer(&scene);
    consent(&scene, "256K", "64M");
    tell(&scene, SUPERNODE_NAMED, 0, false);
    world_run_for(scene.world, SECOND_US / 10);
    return scene;
}

static void state_is(struct scene *scene, const char *wanted) {
    char text[256];
    uint64_t command = world_command(scene->peer, "supernode-status", NULL, NULL);
    const struct world_report *report = world_reported(scene->peer, command, "duty", 0);
    assert_non_null(report);
    assert_true(world_field(report, "state", text, NULL));
    assert_string_equal(text, wanted);
}

static uint64_t status_number(struct scene *scene, const char *key) {
    uint64_t command = world_command(scene->peer, "supernode-status", NULL, NULL);
    return world_number(world_reported(scene->peer, command, "duty", 0), key);
}

static uint64_t wall_s(const struct scene *scene) {
    return WORLD_WALL_S + scene->world->now_us / SECOND_US;
}

static uint32_t epoch_now(const struct scene *scene) {
    return (uint32_t)(wall_s(scene) / EPOCH_S);
}

/* Run to so many seconds into the next epoch. */
static void next_epoch(struct scene *scene, uint64_t seconds) {
    uint64_t wait_s = (epoch_now(scene) + 1) * EPOCH_S - wall_s(scene) + seconds;
    world_run_for(scene->world, wait_s * SECOND_US);
}

static void send_cert(struct scene *scene, const struct node_id *subject, uint32_t epoch,
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

/* ---- Candidacies ---- */

static void test_candidacy_is_signed_and_whole(void **state) {
    (void)state;
    struct scene scene = scene_new(1, NETWORK_CERTIFIED);
    start_peer(&scene);
    state_is(&scene, "no consent");
    assert_int_equal(scene.peer->supernode_names, 0);
    consent(&scene, "256K", "64M");
    assert_int_equal(scene.peer->supernode_names, 1);
    state_is(&scene, "preparing");
    tell(&scene, SUPERNODE_NAMED, 0, false);
    world_run_for(scene.world, SECOND_US / 10);
    state_is(&scene, "candidate");
    assert_int_equal(raw_count(scene.parent, MSG_CANDIDACY), 1);
    struct candidacy candidacy;
    struct slice payload = raw_payload(scene.parent, MSG_CANDIDACY, 0);
    assert_int_equal(wire_candidacy_decode(payload, &candidacy), OK);
    const struct signer_env env = {&scene.parent->node->identity.crypto, &scene.world->network.id};
    assert_true(node_id_equal(&candidacy.sponsor, &scene.parent->node->identity.id));
    assert_int_equal(wire_candidacy_check_subject(&candidacy, &env), OK);
    assert_int_equal(wire_candidacy_check(&candidacy, &env), ERR_AUTH); /* nobody stands for it */
    wire_candidacy_sponsor(&candidacy, &env);
    assert_int_equal(wire_candidacy_check(&candidacy, &env), OK);
    struct node_id owner = wire_candidacy_owner(&candidacy);
    assert_true(node_id_equal(&owner, &scene.peer->identity.id));
    assert_true(node_id_equal(&candidacy.subject, &scene.child));
    assert_int_equal(candidacy.epoch, epoch_now(&scene));
    assert_int_equal(candidacy.rate_kib, 256);
    assert_int_equal(candidacy.day_mib, 64);
    assert_int_equal(candidacy.flags, CANDIDACY_ACCEPTS_LINKS);
    world_free(scene.world);
}

static void test_one_candidacy_per_epoch(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(2, NETWORK_CERTIFIED);
    struct buf first = {0};
    struct slice payload = raw_payload(scene.parent, MSG_CANDIDACY, 0);
    buf_append(&first, payload.data, payload.len);
    /* Other caps, and a process of another uptime: still the same bytes. */
    consent(&scene, "512K", "128M");
    world_run_for(scene.world, 60 * SECOND_US);
    world_kill(scene.peer);
    raw_forget(scene.parent);
    world_run_for(scene.world, 60 * SECOND_US);
    start_peer(&scene);
    tell(&scene, SUPERNODE_NAMED, 0, false);
    world_run_for(scene.world, 60 * SECOND_US);
    assert_true(raw_count(scene.parent, MSG_CANDIDACY) >= 1);
    payload = raw_payload(scene.parent, MSG_CANDIDACY, 0);
    assert_int_equal(payload.len, first.len);
    assert_memory_equal(payload.data, first.data, first.len);
    /* The next epoch has another one, in its first fifth. */
    next_epoch(&scene, 0);
    raw_forget(scene.parent);
    world_run_for(scene.world, EPOCH_S / 5 * SECOND_US + 2 * SECOND_US);
    assert_int_equal(raw_count(scene.parent, MSG_CANDIDACY), 1);
    struct candidacy candidacy;
    assert_int_equal(wire_candidacy_decode(raw_payload(scene.parent, MSG_CANDIDACY, 0), &candidacy),
                     OK);
    assert_int_equal(candidacy.epoch, epoch_now(&scene));
    assert_int_equal(candidacy.rate_kib, 512);
    assert_true(candidacy.uptime_s > 0);
    buf_free(&first);
    world_free(scene.world);
}

/* Another key of the supernode, or a clock that went back: nothing until there is a new epoch. */
static void test_never_two_that_differ(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(3, NETWORK_CERTIFIED);
    world_kill(scene.peer);
    raw_forget(scene.parent);
    world_run_for(scene.world, SECOND_US);
    scene.child = scene.world->nodes[WORLD_NODES - 2].identity.id;
    start_peer(&scene);
    tell(&scene, SUPERNODE_NAMED, 0, false);
    world_run_for(scene.world, 60 * SECOND_US);
    assert_int_equal(raw_count(scene.parent, MSG_CANDIDACY), 0);
    next_epoch(&scene, EPOCH_S / 5 + 2);
    assert_int_equal(raw_count(scene.parent, MSG_CANDIDACY), 1);
    world_free(scene.world);
}

/* Without the key's own signature there is nothing to show, and a wrong one is none. */
static void test_the_key_must_agree(void **state) {
    (void)state;
    struct scene scene = scene_new(22, NETWORK_CERTIFIED);
    start_peer(&scene);
    consent(&scene, "256K", "64M");
    struct node_id child = scene.child;
    scene.child = (struct node_id){{1}}; /* a key that nobody here signs with: another one does */
    scene.peer->supernode_key = &scene.peer->identity.crypto;
    tell(&scene, SUPERNODE_NAMED, 0, false);
    scene.child = child;
    world_run_for(scene.world, 60 * SECOND_US);
    assert_int_equal(scene.peer->supernode_signs, 1);
    assert_int_equal(raw_count(scene.parent, MSG_CANDIDACY), 0);
    tell(&scene, SUPERNODE_SIGNED, 0, false);
    world_run_for(scene.world, 60 * SECOND_US);
    assert_int_equal(raw_count(scene.parent, MSG_CANDIDACY), 0);
    tell(&scene, SUPERNODE_NAMED, 0, false);
    next_epoch(&scene, EPOCH_S / 5 + 2);
    assert_int_equal(raw_count(scene.parent, MSG_CANDIDACY), 1);
    world_free(scene.world);
}

static void test_shown_only_when_durable(void **state) {
    (void)state;
    struct scene scene = scene_new(4, NETWORK_CERTIFIED);
    scene.peer->syncs_never = true;
    start_peer(&scene);
    consent(&scene, "256K", "64M");
    tell(&scene, SUPERNODE_NAMED, 0, false);
    world_run_for(scene.world, 60 * SECOND_US);
    assert_int_equal(raw_count(scene.parent, MSG_CANDIDACY), 0);
    world_free(scene.world);
}

static void test_consent_is_remembered_and_configured(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(5, NETWORK_CERTIFIED);
    world_kill(scene.peer);
    start_peer(&scene);
    assert_int_equal(scene.peer->supernode_names, 2);
    world_command(scene.peer, "supernode-withdraw", NULL, NULL);
    world_kill(scene.peer);
    start_peer(&scene);
    assert_int_equal(scene.peer->supernode_names, 2);
    world_kill(scene.peer);
    struct peer_config config;
    cast_config(scene.world, &config);
    config.consents = true;
    world_start(scene.peer, peer_new(&scene.peer->env, &config));
    assert_int_equal(scene.peer->supernode_names, 3);
    assert_int_equal(status_number(&scene, "rate"), 256 << 10); /* as agreed before */
    uint64_t command = world_command(scene.peer, "supernode-withdraw", NULL, NULL);
    assert_int_equal(
        world_number(world_reported(scene.peer, command, "withdrawn", 0), "configured"), 1);
    world_free(scene.world);
}

static void test_bad_caps_are_refused(void **state) {
    (void)state;
    struct scene scene = scene_new(6, NETWORK_CERTIFIED);
    start_peer(&scene);
    const char *const bad[][2] = {{"1K", "64M"}, {"256K", "1M"}, {"fast", "64M"}, {"256K", ""}};
    for (size_t i = 0; i < LENGTH(bad); i++) {
        uint64_t command = consent(&scene, bad[i][0], bad[i][1]);
        assert_int_equal(world_count(scene.peer, command, "error"), 1);
    }
    assert_int_equal(scene.peer->supernode_names, 0);
    world_free(scene.world);
}

/* ---- The supernode ---- */

static void test_certificate_starts_and_renews(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(7, NETWORK_CERTIFIED);
    uint32_t epoch = epoch_now(&scene);
    send_cert(&scene, &scene.peer->identity.id, epoch, 2); /* of another */
    send_cert(&scene, &scene.child, epoch - 4, 2);         /* over */
    assert_int_equal(scene.peer->supernode_starts, 0);
    send_cert(&scene, &scene.child, epoch, 2);
    assert_int_equal(scene.peer->supernode_starts, 1);
    struct cert cert;
    struct slice started = {scene.peer->supernode_cert.data, scene.peer->supernode_cert.len};
    assert_int_equal(wire_cert_decode(started, &cert), OK);
    assert_true(node_id_equal(&cert.subject, &scene.child));
    tell(&scene, SUPERNODE_STARTED, 0, false);
    tell(&scene, SUPERNODE_READY, 0, true);
    state_is(&scene, "serving");
    send_cert(&scene, &scene.child, epoch, 2); /* the other parent's */
    send_cert(&scene, &scene.child, epoch, 1); /* an older one */
    assert_int_equal(scene.peer->supernode_starts, 1);
    send_cert(&scene, &scene.child, epoch, 6);
    assert_int_equal(scene.peer->supernode_starts, 2);
    /* A peer that was killed goes on with it. */
    world_kill(scene.peer);
    start_peer(&scene);
    assert_int_equal(scene.peer->supernode_starts, 2);
    tell(&scene, SUPERNODE_NAMED, 0, false);
    assert_int_equal(scene.peer->supernode_starts, 3);
    world_free(scene.world);
}

static void test_demoted_ends_renewed_goes_on(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(8, NETWORK_CERTIFIED);
    send_cert(&scene, &scene.child, epoch_now(&scene), 1);
    tell(&scene, SUPERNODE_STARTED, 0, false);
    tell(&scene, SUPERNODE_READY, 0, true);
    next_epoch(&scene, 30);
    tell(&scene, SUPERNODE_READY, 0, true); /* it has heard of a renewal by itself */
    assert_int_equal(scene.peer->supernode_stops, 0);
    tell(&scene, SUPERNODE_READY, 0, false);
    assert_int_equal(scene.peer->supernode_stops, 1);
    state_is(&scene, "draining");
    tell(&scene, SUPERNODE_STOPPED, 0, false);
    state_is(&scene, "candidate");
    assert_int_equal(scene.peer->supernode_starts, 1);
    world_free(scene.world);
}

/* It goes by itself when the others decide so: its certificate does not bring it back. */
static void test_demoted_stays_away(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(20, NETWORK_CERTIFIED);
    next_epoch(&scene, 10);
    uint32_t epoch = epoch_now(&scene);
    send_cert(&scene, &scene.child, epoch - 1, 6);
    tell(&scene, SUPERNODE_STARTED, 0, false);
    tell(&scene, SUPERNODE_READY, 0, true);
    tell(&scene, SUPERNODE_STOPPED, 0, false);
    state_is(&scene, "candidate");
    send_cert(&scene, &scene.child, epoch - 1, 6);
    world_kill(scene.peer);
    start_peer(&scene);
    tell(&scene, SUPERNODE_NAMED, 0, false);
    world_run_for(scene.world, SECOND_US);
    send_cert(&scene, &scene.child, epoch - 1, 6);
    assert_int_equal(scene.peer->supernode_starts, 1);
    send_cert(&scene, &scene.child, epoch, 6);
    assert_int_equal(scene.peer->supernode_starts, 2);
    world_free(scene.world);
}

/* Others may have counted it among the supernodes once more, and renewed what it had. */
static void test_demoted_keeps_its_role_for_a_while(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(21, NETWORK_CERTIFIED);
    scene.world->network.promotion.dwell_s = 2 * EPOCH_S;
    uint32_t epoch = epoch_now(&scene);
    send_cert(&scene, &scene.child, epoch, 6);
    tell(&scene, SUPERNODE_STARTED, 0, false);
    tell(&scene, SUPERNODE_READY, 0, true);
    tell(&scene, SUPERNODE_STOPPED, 0, false);
    next_epoch(&scene, 10);
    send_cert(&scene, &scene.child, epoch + 1, 6);
    state_is(&scene, "candidate");
    assert_int_equal(scene.peer->supernode_starts, 1);
    next_epoch(&scene, 10);
    send_cert(&scene, &scene.child, epoch + 2, 6);
    assert_int_equal(scene.peer->supernode_starts, 2);
    world_free(scene.world);
}

static void test_withdraw_drains(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(9, NETWORK_CERTIFIED);
    send_cert(&scene, &scene.child, epoch_now(&scene), 6);
    tell(&scene, SUPERNODE_STARTED, 0, false);
    tell(&scene, SUPERNODE_FAILED, 0, false); /* the driver tries again by itself */
    state_is(&scene, "starting");
    assert_int_equal(scene.peer->supernode_starts, 1);
    assert_int_equal(status_number(&scene, "today_failures"), 1);
    world_command(scene.peer, "supernode-withdraw", NULL, NULL);
    assert_int_equal(scene.peer->supernode_stops, 1);
    tell(&scene, SUPERNODE_STOPPED, 0, false);
    state_is(&scene, "no consent");
    raw_forget(scene.parent);
    next_epoch(&scene, EPOCH_S / 2);
    assert_int_equal(raw_count(scene.parent, MSG_CANDIDACY), 0);
    /* It agrees again while it is still certified. */
    consent(&scene, "256K", "64M");
    assert_int_equal(scene.peer->supernode_starts, 2);
    world_free(scene.world);
}

static void test_stops_with_the_peer(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(10, NETWORK_CERTIFIED);
    send_cert(&scene, &scene.child, epoch_now(&scene), 6);
    struct node_event event = {.kind = NODE_SHUTDOWN};
    world_step(scene.peer, &event);
    assert_int_equal(scene.peer->supernode_stops, 1);
    world_free(scene.world);
}

/* ---- Caps ---- */

static void test_rests_when_the_day_is_used_up(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(11, NETWORK_CERTIFIED);
    send_cert(&scene, &scene.child, epoch_now(&scene), 100);
    tell(&scene, SUPERNODE_STARTED, 0, false);
    tell(&scene, SUPERNODE_READY, 63 << 20, true);
    assert_int_equal(scene.peer->supernode_stops, 0);
    tell(&scene, SUPERNODE_STARTED, 0, false); /* another process: its counts begin again */
    tell(&scene, SUPERNODE_READY, 1 << 20, true);
    assert_int_equal(scene.peer->supernode_stops, 1);
    tell(&scene, SUPERNODE_STOPPED, 1 << 20, false);
    state_is(&scene, "resting: the day's bytes are used up");
    assert_int_equal(status_number(&scene, "today_bytes"), 64 << 20);
    assert_int_equal(scene.peer->supernode_starts, 1);
    /* Neither a restart nor another consent gives more of the same. */
    world_kill(scene.peer);
    start_peer(&scene);
    tell(&scene, SUPERNODE_NAMED, 0, false);
    consent(&scene, "256K", "64M");
    assert_int_equal(scene.peer->supernode_starts, 1);
    raw_forget(scene.parent);
    next_epoch(&scene, EPOCH_S / 2);
    assert_int_equal(raw_count(scene.parent, MSG_CANDIDACY), 0);
    uint64_t midnight_s = (wall_s(&scene) / 86400 + 1) * 86400;
    world_run_for(scene.world, (midnight_s - wall_s(&scene) + EPOCH_S / 2) * SECOND_US);
    assert_int_equal(scene.peer->supernode_starts, 2);
    assert_int_equal(raw_count(scene.parent, MSG_CANDIDACY), 1);
    world_free(scene.world);
}

static void test_rests_when_over_its_rate(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(12, NETWORK_CERTIFIED);
    consent(&scene, "256K", "64G");
    send_cert(&scene, &scene.child, epoch_now(&scene), 100);
    tell(&scene, SUPERNODE_STARTED, 0, false);
    uint64_t bytes = 0;
    for (int i = 0; i < 200; i++) { /* a burst at first, then within the rate */
        bytes += i == 0 ? 20 * RATE : 3 * RATE / 2;
        world_run_for(scene.world, 3 * SECOND_US);
        tell(&scene, SUPERNODE_READY, bytes, true);
    }
    assert_int_equal(scene.peer->supernode_stops, 0);
    for (int i = 0; i < 200; i++) {
        bytes += 4 * RATE;
        world_run_for(scene.world, 3 * SECOND_US);
        tell(&scene, SUPERNODE_READY, bytes, true);
    }
    assert_int_equal(scene.peer->supernode_stops, 1);
    assert_in_range(status_number(&scene, "today_leaf_s"), 7 * 1190, 7 * 1200);
    tell(&scene, SUPERNODE_STOPPED, bytes, false);
    state_is(&scene, "resting: it was over its rate");
    next_epoch(&scene, EPOCH_S / 2);
    next_epoch(&scene, EPOCH_S / 2);
    assert_int_equal(scene.peer->supernode_starts, 2);
    world_free(scene.world);
}

/* ---- Being measured ---- */

static struct link *dial_to_measure(struct scene *scene, struct raw *by) {
    return raw_dial(by, scene->peer, PURPOSE_MEASURE);
}

static void send_measure(struct raw *by, struct link *link, uint64_t seed, uint32_t bytes,
                         uint16_t ms) {
    struct measure measure = {.seed = seed, .bytes = bytes, .ms = ms};
    struct buf payload = {0};
    wire_measure_encode(&payload, &measure);
    raw_send(by, link, MSG_MEASURE, &payload);
}

/* How much of the stream of a seed has come, in order and right. */
static uint64_t stream_bytes(const struct raw *raw, uint64_t seed) {
    uint64_t at = 0;
    for (uint32_t i = 0; i < raw_count(raw, MSG_MEASURED); i++) {
        struct measured measured;
        uint8_t wanted[MEASURED_DATA_MAX];
        assert_int_equal(wire_measured_decode(raw_payload(raw, MSG_MEASURED, i), &measured), OK);
        assert_int_equal(measured.offset, at);
        wire_measure_fill(seed, measured.offset, wanted, measured.data.len);
        assert_memory_equal(measured.data.data, wanted, measured.data.len);
        at += measured.data.len;
    }
    return at;
}

static void test_streams_share_the_rate(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(13, NETWORK_OPEN);
    struct raw *other = raw_add(scene.world);
    struct link *first = dial_to_measure(&scene, scene.parent);
    struct link *second = dial_to_measure(&scene, other);
    assert_non_null(first);
    assert_non_null(second);
    raw_forget(scene.parent);
    uint64_t start_us = scene.world->now_us;
    send_measure(scene.parent, first, 1, 300001, 60000);
    send_measure(other, second, 2, 300001, 60000);
    world_run_for(scene.world, SECOND_US);
    uint64_t both = stream_bytes(scene.parent, 1) + stream_bytes(other, 2);
    uint64_t spent_us = scene.world->now_us - start_us;
    assert_in_range(both, RATE * 9 / 10 * spent_us / SECOND_US,
                    RATE * 12 / 10 * spent_us / SECOND_US + 2 * MEASURED_DATA_MAX);
    assert_in_range(stream_bytes(scene.parent, 1), both * 4 / 10, both * 6 / 10);
    world_run_for(scene.world, 4 * SECOND_US);
    assert_int_equal(stream_bytes(scene.parent, 1), 300001);
    assert_int_equal(stream_bytes(other, 2), 300001);
    assert_int_equal(status_number(&scene, "today_measured_bytes"), 600002);
    assert_int_equal(status_number(&scene, "today_measurements"), 2);
    world_run_for(scene.world, 70 * SECOND_US); /* who asks nothing more is let go */
    assert_int_equal(other->closed, 1);
    world_free(scene.world);
}

static void test_stream_ends_with_its_time(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(14, NETWORK_OPEN);
    struct link *link = dial_to_measure(&scene, scene.parent);
    send_measure(scene.parent, link, 5, MEASURE_BYTES_MAX, 1000);
    world_run_for(scene.world, 5 * SECOND_US);
    assert_in_range(stream_bytes(scene.parent, 5), RATE * 9 / 10, RATE * 12 / 10);
    world_free(scene.world);
}

/* Whoever does not read gets no more than a link may hold. */
static void test_stalled_stream_waits(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(15, NETWORK_OPEN);
    consent(&scene, "100M", "1G");
    struct link *link = dial_to_measure(&scene, scene.parent);
    scene.parent->node->reads_nothing = true;
    send_measure(scene.parent, link, 6, MEASURE_BYTES_MAX, 60000);
    world_run_for(scene.world, SECOND_US);
    uint64_t sent = status_number(&scene, "today_measured_bytes");
    assert_in_range(sent, LINK_OUTPUT_SOFT - MEASURE_STEP_BYTES,
                    LINK_OUTPUT_SOFT + MEASURE_STEP_BYTES);
    world_read_again(scene.parent->node);
    world_run_for(scene.world, SECOND_US);
    assert_int_equal(stream_bytes(scene.parent, 6), MEASURE_BYTES_MAX);
    world_free(scene.world);
}

static void test_only_the_certified_measure(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(16, NETWORK_CERTIFIED);
    struct raw *stranger = raw_add(scene.world);
    dial_to_measure(&scene, stranger);
    world_run_for(scene.world, SECOND_US);
    assert_int_equal(stranger->opened, 0);
    assert_int_equal(stranger->closed, 1);
    assert_non_null(dial_to_measure(&scene, scene.parent)); /* the anchor */
    assert_int_equal(scene.parent->link->purpose, PURPOSE_MEASURE);
    world_command(scene.peer, "supernode-withdraw", NULL, NULL);
    world_run_for(scene.world, SECOND_US);
    uint32_t opened = scene.parent->opened;
    dial_to_measure(&scene, scene.parent);
    world_run_for(scene.world, SECOND_US);
    assert_int_equal(scene.parent->opened, opened);
    world_free(scene.world);
}

/* The anchor says who the supernodes are. */
static void send_checkpoint(struct scene *scene, const struct node_id *member) {
    const struct crypto *crypto = &scene->parent->node->identity.crypto;
    struct node_id keys[2] = {scene->parent->node->identity.id, *member};
    struct hash hashes[2];
    if (memcmp(keys[0].b, keys[1].b, sizeof keys[0].b) > 0) {
        keys[1] = keys[0];
        keys[0] = *member;
    }
    for (int i = 0; i < 2; i++) {
        crypto_hash(crypto, (struct slice){keys[i].b, sizeof keys[i].b}, &hashes[i]);
    }
    struct checkpoint checkpoint = {.epoch = epoch_now(scene), .members = 2};
    assert_true(wire_list_root(crypto, hashes, 2, &checkpoint.set_root));
    const struct signer_env env = {crypto, &scene->world->network.id};
    wire_checkpoint_sign(&checkpoint, &env);
    struct members members = {
        .epoch = checkpoint.epoch, .count = 2, .keys = {keys[0].b, sizeof keys}};
    struct buf bytes = {0};
    wire_checkpoint_encode(&bytes, &checkpoint);
    raw_send(scene->parent, scene->parent->link, MSG_CHECKPOINT, &bytes);
    wire_members_encode(&bytes, &members);
    raw_send(scene->parent, scene->parent->link, MSG_MEMBERS, &bytes);
    world_run_for(scene->world, SECOND_US / 10);
}

static void test_members_of_a_checkpoint_measure(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(21, NETWORK_CERTIFIED);
    struct raw *member = raw_add(scene.world);
    struct raw *stranger = raw_add(scene.world);
    assert_null(dial_to_measure(&scene, member));
    send_checkpoint(&scene, &member->node->identity.id);
    assert_non_null(dial_to_measure(&scene, member));
    assert_null(dial_to_measure(&scene, stranger));
    /* It is not forgotten with the process. */
    world_kill(scene.peer);
    world_run_for(scene.world, SECOND_US);
    start_peer(&scene);
    tell(&scene, SUPERNODE_NAMED, 0, false);
    assert_non_null(dial_to_measure(&scene, member));
    /* A forged one ends the link. */
    struct link *link = scene.parent->link;
    assert_non_null(link);
    uint32_t closed = scene.parent->closed;
    struct checkpoint forged = {.epoch = epoch_now(&scene), .members = 1};
    struct buf bytes = {0};
    wire_checkpoint_encode(&bytes, &forged);
    raw_send(scene.parent, link, MSG_CHECKPOINT, &bytes);
    world_run_for(scene.world, SECOND_US / 10);
    assert_int_equal(scene.parent->closed, closed + 1);
    world_free(scene.world);
}

static void test_one_supernode_cannot_drain_it(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(17, NETWORK_OPEN);
    struct raw *other = raw_add(scene.world);
    for (uint32_t i = 0; i < MEASURES_SAME_MAX; i++) {
        struct link *link = dial_to_measure(&scene, other);
        assert_non_null(link);
        send_measure(other, link, i, 4096, 1000);
        world_run_for(scene.world, 2 * SECOND_US);
    }
    assert_int_equal(status_number(&scene, "today_measurements"), MEASURES_SAME_MAX);
    struct link *link = dial_to_measure(&scene, other);
    send_measure(other, link, 9, 4096, 1000);
    world_run_for(scene.world, SECOND_US);
    assert_null(other->link);
    assert_int_equal(status_number(&scene, "today_measurements"), MEASURES_SAME_MAX);
    next_epoch(&scene, 1);
    link = dial_to_measure(&scene, other);
    send_measure(other, link, 9, 4096, 1000);
    world_run_for(scene.world, SECOND_US);
    assert_int_equal(status_number(&scene, "today_measurements"), MEASURES_SAME_MAX + 1);
    world_free(scene.world);
}

static void test_measuring_ends_at_the_cap(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(18, NETWORK_OPEN);
    send_cert(&scene, &scene.child, epoch_now(&scene), 100);
    tell(&scene, SUPERNODE_STARTED, 0, false);
    tell(&scene, SUPERNODE_READY, (64 << 20) - 100000, true);
    struct link *link = dial_to_measure(&scene, scene.parent);
    send_measure(scene.parent, link, 1, MEASURE_BYTES_MAX, 60000);
    world_run_for(scene.world, 5 * SECOND_US);
    assert_in_range(status_number(&scene, "today_measured_bytes"), 100000,
                    100000 + MEASURE_STEP_BYTES);
    assert_int_equal(scene.peer->supernode_stops, 1);
    world_free(scene.world);
}

/* ---- Why ---- */

static void test_why_is_answered(void **state) {
    (void)state;
    struct scene scene = scene_of_candidate(19, NETWORK_CERTIFIED);
    uint64_t silent = world_command(scene.peer, "why", NULL, NULL);
    world_run_for(scene.world, 6 * SECOND_US);
    assert_int_equal(world_count(scene.peer, silent, "error"), 1);
    scene.parent->context = scene.parent;
    uint64_t command = world_command(scene.peer, "why", NULL, NULL);
    world_run_for(scene.world, SECOND_US);
    const struct world_report *decision = world_reported(scene.peer, command, "decision", 0);
    char text[NODE_ID_TEXT_BYTES];
    char wanted[NODE_ID_TEXT_BYTES];
    assert_non_null(decision);
    assert_true(world_field(decision, "id", text, NULL));
    node_id_format(wanted, &scene.child);
    assert_string_equal(text, wanted);
    assert_int_equal(world_number(decision, "consent"), 1);
    assert_int_equal(world_number(decision, "member"), 0);
    assert_int_equal(world_number(decision, "draw"), 1ull << 47);
    assert_int_equal(world_number(world_reported(scene.peer, command, "evidence", 0), "bytes"),
                     123456);
    assert_int_equal(world_count(scene.peer, command, "done"), 1);
    uint64_t bad = world_command(scene.peer, "why", "id", "nobody");
    assert_int_equal(world_count(scene.peer, bad, "error"), 1);
    world_free(scene.world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_candidacy_is_signed_and_whole),
        cmocka_unit_test(test_one_candidacy_per_epoch),
        cmocka_unit_test(test_never_two_that_differ),
        cmocka_unit_test(test_the_key_must_agree),
        cmocka_unit_test(test_shown_only_when_durable),
        cmocka_unit_test(test_consent_is_remembered_and_configured),
        cmocka_unit_test(test_bad_caps_are_refused),
        cmocka_unit_test(test_certificate_starts_and_renews),
        cmocka_unit_test(test_demoted_ends_renewed_goes_on),
        cmocka_unit_test(test_demoted_stays_away),
        cmocka_unit_test(test_demoted_keeps_its_role_for_a_while),
        cmocka_unit_test(test_withdraw_drains),
        cmocka_unit_test(test_stops_with_the_peer),
        cmocka_unit_test(test_rests_when_the_day_is_used_up),
        cmocka_unit_test(test_rests_when_over_its_rate),
        cmocka_unit_test(test_streams_share_the_rate),
        cmocka_unit_test(test_stream_ends_with_its_time),
        cmocka_unit_test(test_stalled_stream_waits),
        cmocka_unit_test(test_only_the_certified_measure),
        cmocka_unit_test(test_members_of_a_checkpoint_measure),
        cmocka_unit_test(test_one_supernode_cannot_drain_it),
        cmocka_unit_test(test_measuring_ends_at_the_cap),
        cmocka_unit_test(test_why_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
