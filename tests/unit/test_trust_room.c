/* test_trust_room.c - what liars may take of the room and the time that all records share. */
#include "tests/unit/trust_people.h"

enum { MEMBERS = 8, LIAR = 5, HONEST = 6 };

static enum err vote(struct trust *trust, uint16_t place, const struct node_id *subject,
                     const struct hash *fixed) {
    struct buf bytes = vote_of(place, subject, fixed);
    enum err err = take(trust, MSG_CERT, &bytes);
    buf_free(&bytes);
    return err;
}

/* One that makes up whom it votes for comes to an end; others do not, nor its votes with them. */
static void test_made_up_votes(void **state) {
    (void)state;
    struct trust trust;
    struct hash fixed;
    make_network(1);
    open_trust(&trust, 1);
    fix(&trust, EPOCH, MEMBERS, &fixed);
    enum err err = OK;
    uint32_t begun = 0;
    while (err == OK && begun < TRUST_VOTES_MAX) {
        struct node_id nobody = {{0xee, (uint8_t)begun, (uint8_t)(begun >> 8)}};
        err = vote(&trust, LIAR, &nobody, &fixed);
        begun += err == OK;
    }
    assert_int_equal(err, ERR_BUSY);
    assert_in_range(begun, 2 * MEMBERS, TRUST_VOTES_MAX / 8);
    assert_int_equal(vote(&trust, HONEST, &people[PEOPLE - 1]->id, &fixed), OK);
    assert_int_equal(vote(&trust, LIAR, &people[PEOPLE - 1]->id, &fixed), OK);
    assert_int_equal(vote(&trust, LIAR, &people[PEOPLE - 2]->id, &fixed), ERR_BUSY);
    trust_free(&trust);
}

static void test_votes_that_are_over(void **state) {
    (void)state;
    struct trust trust;
    struct hash fixed, later;
    make_network(1);
    open_trust(&trust, 2);
    fix(&trust, EPOCH, MEMBERS, &fixed);
    assert_int_equal(vote(&trust, HONEST, &people[PEOPLE - 1]->id, &fixed), OK);
    trust_advance(&trust, EPOCH + CERT_VALID_EPOCHS + 2);
    assert_int_equal(vote(&trust, LIAR, &people[PEOPLE - 1]->id, &fixed),
                     OK); /* frozen: it holds */
    fix(&trust, EPOCH + CERT_VALID_EPOCHS + 2, MEMBERS, &later);
    trust_advance(&trust, EPOCH + CERT_VALID_EPOCHS + 3);
    assert_int_equal(trust.votes.count, 0);
    assert_int_equal(vote(&trust, HONEST, &people[PEOPLE - 1]->id, &fixed), ERR_POLICY);
    assert_int_equal(trust.votes.count, 0);
    trust_free(&trust);
}

/* Each for itself, in whatever order they came. */
static void test_votes_go_with_their_epoch(void **state) {
    (void)state;
    struct trust trust;
    struct hash fixed[2], later;
    make_network(1);
    open_trust(&trust, 4);
    trust_advance(&trust, EPOCH + 1);
    fix(&trust, EPOCH, MEMBERS, &fixed[0]);
    fix(&trust, EPOCH + 1, MEMBERS, &fixed[1]);
    for (uint32_t i = 0; i < 6; i++) {
        struct ballot ballot = {.subject = &people[PEOPLE - 1 - i / 2]->id,
                                .epoch = EPOCH + 1 + i % 2,
                                .life = CERT_VALID_EPOCHS,
                                .checkpoint = fixed[i % 2],
                                .place = HONEST};
        struct buf bytes = signed_by(people[HONEST], &ballot);
        assert_int_equal(take(&trust, MSG_CERT, &bytes), OK);
        buf_free(&bytes);
    }
    const uint32_t left[] = {6, 3, 0};
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t now = EPOCH + 1 + CERT_VALID_EPOCHS + i;
        trust_advance(&trust, now - 1);
        fix(&trust, now - 1, MEMBERS, &later);
        trust_advance(&trust, now);
        assert_int_equal(trust.votes.count, left[i]);
        assert_int_equal(trust.records[trust_rank(MSG_CERT)].count, left[i]);
    }
    trust_free(&trust);
}

static uint32_t checks;

static bool count_verify(void *context, const struct node_id *id, struct slice message,
                         const uint8_t signature[SIGNATURE_BYTES]) {
    checks++;
    return test_verify(context, id, message, signature);
}

/* A stranger's certificate, as big as it may be, costs one signature; one too small costs none. */
static void test_forged_certificates(void **state) {
    (void)state;
    struct trust trust;
    struct cert cert = {.subject = people[PEOPLE - 1]->id,
                        .epoch = EPOCH + 1,
                        .life = CERT_VALID_EPOCHS,
                        .signer_count = MEMBERS};
    uint32_t until;
    make_network(1);
    open_trust(&trust, 3);
    fix(&trust, EPOCH, MEMBERS, &cert.checkpoint);
    for (uint16_t i = 0; i < MEMBERS; i++) {
        cert.signers[i].signer = i;
    }
    struct crypto counting = people[0]->crypto;
    counting.verify = count_verify;
    trust.env.crypto = &counting;
    for (uint32_t wanted = 2; wanted-- > 0; cert.signer_count = 2) {
        struct buf bytes = {0};
        checks = 0;
        wire_cert_encode(&bytes, &cert);
        assert_int_equal(trust_certified(&trust, &cert.subject, slice_of(&bytes), &until),
                         ERR_AUTH);
        assert_int_equal(checks, wanted);
        buf_free(&bytes);
    }
    trust_free(&trust);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_made_up_votes),
        cmocka_unit_test(test_votes_that_are_over),
        cmocka_unit_test(test_votes_go_with_their_epoch),
        cmocka_unit_test(test_forged_certificates),
    };
    return cmocka_run_group_tests(tests, make_people, free_people);
}
