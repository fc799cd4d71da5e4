/* test_duty.c - a peer that would be a supernode: what it says of itself, when its supernode runs,
 * what it gives, and when it rests. */
#include "tests/unit/peer_duty.h"

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
        cmocka_unit_test(test_why_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
