/* test_shirkers.c - who does not sign what he should is no member of the next checkpoints. */
#include "tests/unit/testlib.h"

#include <stdlib.h>

#include "common/mem.h"
#include "common/trust.h"

enum { PEOPLE = 6, EPOCH = 500, EPOCH_S = 3600, IDLE = 4, SHIRKER = 5 };

struct scene {
    struct test_identity people[PEOPLE]; /* by rising id; the first is the anchor */
    struct network network;
    struct trust trust;
    struct hash fixed; /* the checkpoint */
};

static int compare_people(const void *a, const void *b) {
    const struct test_identity *first = a, *second = b;
    return memcmp(first->id.b, second->id.b, sizeof first->id.b);
}

static void take(struct scene *scene, uint8_t type, struct buf *bytes) {
    struct trust_record *added;
    enum err err = trust_take(&scene->trust, type, (struct slice){bytes->data, bytes->len}, &added);
    assert_int_equal(err, OK);
    buf_free(bytes);
}

static struct signer_env signer(struct scene *scene, uint32_t place) {
    return (struct signer_env){&scene->people[place].crypto, &scene->network.id};
}

static void fix_checkpoint(struct scene *scene, uint32_t epoch) {
    struct node_id keys[PEOPLE];
    struct checkpoint checkpoint = {.epoch = epoch, .members = PEOPLE, .previous = scene->fixed};
    struct buf bytes = {0};
    for (uint32_t i = 0; i < PEOPLE; i++) {
        keys[i] = scene->people[i].id;
    }
    trust_set_root(&scene->trust, keys, PEOPLE, &checkpoint.set_root);
    struct signer_env env = signer(scene, 0);
    wire_checkpoint_sign(&checkpoint, &env);
    wire_checkpoint_encode(&bytes, &checkpoint);
    crypto_hash(env.crypto, (struct slice){bytes.data, bytes.len}, &scene->fixed);
    take(scene, MSG_CHECKPOINT, &bytes);
    struct members members = {.epoch = epoch, .count = PEOPLE, .keys = {keys[0].b, sizeof keys}};
    wire_members_encode(&bytes, &members);
    take(scene, MSG_MEMBERS, &bytes);
}

static void say_row(struct scene *scene, uint32_t place, uint32_t epoch) {
    struct row_record row = {.issuer = scene->people[place].id, .epoch = epoch};
    struct signer_env env = signer(scene, place);
    struct buf bytes = {0};
    wire_row_sign(&row, &env);
    wire_row_encode(&bytes, &row);
    take(scene, MSG_ROW, &bytes);
}

/* The first `signers` of the people sign for one of them. */
static void sign_for(struct scene *scene, uint32_t subject, uint32_t signers) {
    for (uint16_t place = 0; place < signers; place++) {
        struct cert cert = {.subject = scene->people[subject].id,
                            .epoch = EPOCH + 1,
                            .life = CERT_VALID_EPOCHS,
                            .checkpoint = scene->fixed,
                            .signer_count = 1,
                            .signers = {{.signer = place}}};
        struct buf body = {0};
        wire_cert_signed_bytes(&body, &cert);
        struct signed_bytes bytes = {&scene->network.id, RECORD_CERT, {body.data, body.len}};
        crypto_sign(&scene->people[place].crypto, &bytes, cert.signers[0].signature);
        buf_free(&body);
        wire_cert_encode(&body, &cert);
        take(scene, MSG_CERT, &body);
    }
}

static bool is_live(struct scene *scene, uint32_t place, uint32_t epoch) {
    struct node_id *keys;
    uint32_t count = trust_live_members(&scene->trust, epoch, &keys);
    bool is_there = trust_place(keys, count, &scene->people[place].id) >= 0;
    mem_free(keys);
    return is_there;
}

static int open_scene(void **state) {
    struct scene *scene = mem_new(sizeof *scene);
    for (uint32_t i = 0; i < PEOPLE; i++) {
        test_identity_init(&scene->people[i], 4200 + i);
    }
    qsort(scene->people, PEOPLE, sizeof scene->people[0], compare_people);
    for (uint32_t i = 0; i < PEOPLE; i++) { /* it moved: what points into it is made anew */
        scene->people[i].crypto.context = &scene->people[i];
    }
    scene->network = (struct network){.name = "tested", .epoch_s = EPOCH_S, .anchor_count = 1};
    scene->network.anchors[0] = scene->people[0].id;
    assert_int_equal(network_seal(&scene->network, &scene->people[0].crypto), OK);
    struct trust_env env = {.network = &scene->network, .crypto = &scene->people[0].crypto};
    trust_init(&scene->trust, &env);
    trust_advance(&scene->trust, EPOCH);
    fix_checkpoint(scene, EPOCH);
    for (uint32_t i = 0; i < PEOPLE; i++) {
        if (i != IDLE) { /* who was not there owes nothing */
            say_row(scene, i, EPOCH);
        }
    }
    *state = scene;
    return 0;
}

static int close_scene(void **state) {
    struct scene *scene = *state;
    trust_free(&scene->trust);
    for (uint32_t i = 0; i < PEOPLE; i++) {
        test_identity_free(&scene->people[i]);
    }
    mem_free(scene);
    return 0;
}

static void test_who_signs_nothing_is_out(void **state) {
    struct scene *scene = *state;
    sign_for(scene, SHIRKER, 4); /* its own renewal: two thirds, an anchor among them */
    sign_for(scene, 1, 4);
    assert_true(is_live(scene, SHIRKER, EPOCH + 1));
    trust_note_shirkers(&scene->trust, EPOCH);
    assert_int_equal(scene->trust.shirkers.count, 1);
    assert_non_null(map_get(&scene->trust.shirkers, scene->people[SHIRKER].id.b));
    assert_false(is_live(scene, SHIRKER, EPOCH + 1));
    assert_true(is_live(scene, 1, EPOCH + 1)); /* it signed */
    trust_advance(&scene->trust, EPOCH + CERT_VALID_EPOCHS);
    assert_int_equal(scene->trust.shirkers.count, 0);
}

/* Its row of that epoch, and its certificate, would make it a member of the next checkpoint: one
 * epoch without a seat, and then with it again. */
static void test_who_lost_its_seat_is_out(void **state) {
    struct scene *scene = *state;
    sign_for(scene, 1, 4);
    sign_for(scene, 2, 4);
    assert_true(is_live(scene, 1, EPOCH + 1));
    trust_note_demoted(&scene->trust, &scene->people[1].id, EPOCH + 1);
    assert_false(is_live(scene, 1, EPOCH + 2));
    assert_false(is_live(scene, 1, EPOCH + 1));
    assert_true(is_live(scene, 2, EPOCH + 1));
    trust_note_demoted(&scene->trust, &scene->people[2].id, EPOCH - 1); /* certified anew since */
    assert_true(is_live(scene, 2, EPOCH + 1));
    trust_note_shirkers(&scene->trust, EPOCH); /* and who shirks is out in any case */
    trust_note_demoted(&scene->trust, &scene->people[SHIRKER].id, EPOCH - 1);
    assert_false(is_live(scene, SHIRKER, EPOCH + 1));
}

static enum err certified(struct scene *scene, uint32_t place) {
    struct buf cert = {0};
    uint32_t until;
    enum err err = ERR_NOT_FOUND;
    if (trust_cert_of(&scene->trust, &scene->people[place].id, &cert)) {
        err = trust_certified(&scene->trust, &scene->people[place].id,
                              (struct slice){cert.data, cert.len}, &until);
    }
    buf_free(&cert);
    return err;
}

/* The anchors were away for longer than a certificate holds: it goes on where it was, and is over
 * after as many checkpoints as it would have been. */
static void test_no_certificate_ends_while_anchors_are_away(void **state) {
    struct scene *scene = *state;
    uint32_t back = EPOCH + CERT_VALID_EPOCHS + 3;
    sign_for(scene, 1, 4);
    trust_advance(&scene->trust, back);
    assert_int_equal(certified(scene, 1), OK);
    say_row(scene, 1, back);
    assert_true(is_live(scene, 1, back));
    fix_checkpoint(scene, back);
    for (uint32_t epoch = back; epoch < back + CERT_VALID_EPOCHS; epoch++) {
        trust_advance(&scene->trust, epoch);
        if (epoch > back) {
            fix_checkpoint(scene, epoch);
        }
        assert_int_equal(certified(scene, 1), OK);
    }
    trust_advance(&scene->trust, back + CERT_VALID_EPOCHS);
    fix_checkpoint(scene, back + CERT_VALID_EPOCHS);
    assert_int_equal(certified(scene, 1), ERR_POLICY);
}

/* What was not completed may have been wrong: nobody had to sign it. */
static void test_nothing_is_owed_without_a_quorum(void **state) {
    struct scene *scene = *state;
    sign_for(scene, 1, 3);
    trust_note_shirkers(&scene->trust, EPOCH);
    trust_note_shirkers(&scene->trust, EPOCH + 1); /* no such checkpoint */
    assert_int_equal(scene->trust.shirkers.count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_who_signs_nothing_is_out, open_scene, close_scene),
        cmocka_unit_test_setup_teardown(test_who_lost_its_seat_is_out, open_scene, close_scene),
        cmocka_unit_test_setup_teardown(test_no_certificate_ends_while_anchors_are_away, open_scene,
                                        close_scene),
        cmocka_unit_test_setup_teardown(test_nothing_is_owed_without_a_quorum, open_scene,
                                        close_scene),
    };
    return cmocka_run_group_tests_name("shirkers", tests, NULL, NULL);
}
