/* test_trust.c - the evidence of promotion: what is taken, what is refused, who is condemned. */
#include "tests/unit/trust_people.h"

#include "common/seats.h"

static bool knows(const struct trust *trust, const struct buf *bytes) {
    return trust_find(trust, trust_prefix(trust, slice_of(bytes))) != NULL;
}

static struct buf row_of(struct test_identity *issuer, uint32_t epoch, uint16_t weight) {
    const struct test_identity *subject = people[issuer == people[PEOPLE - 1] ? 0 : PEOPLE - 1];
    struct row_record row = {.issuer = issuer->id,
                             .epoch = epoch,
                             .count = 1,
                             .entries = {{.subject = subject->id, .weight = weight}}};
    struct signer_env env = signer(issuer);
    struct buf bytes = {0};
    wire_row_sign(&row, &env);
    wire_row_encode(&bytes, &row);
    return bytes;
}

static enum err take_vote_of(struct trust *trust, uint16_t place, const struct node_id *subject,
                             const struct hash *fixed) {
    struct buf vote = vote_of(place, subject, fixed);
    enum err err = take(trust, MSG_CERT, &vote);
    buf_free(&vote);
    return err;
}

static enum err take_row(struct trust *trust, struct test_identity *issuer, uint32_t epoch) {
    struct buf row = row_of(issuer, epoch, 1);
    enum err err = take(trust, MSG_ROW, &row);
    buf_free(&row);
    return err;
}

/* ---- Rows ---- */

static void test_rows(void **state) {
    (void)state;
    struct trust trust;
    struct hash fixed;
    make_network(1);
    open_trust(&trust, 1);
    assert_int_equal(take_row(&trust, people[0], EPOCH), OK);
    assert_non_null(added);
    assert_int_equal(added->type, MSG_ROW);
    uint32_t records = trust.records.count;
    assert_int_equal(take_row(&trust, people[0], EPOCH), OK); /* once more */
    assert_null(added);
    assert_int_equal(trust.records.count, records);
    assert_int_equal(trust.refused, 0);

    assert_int_equal(take_row(&trust, people[1], EPOCH), ERR_POLICY); /* nobody yet */
    assert_null(added);
    fix(&trust, EPOCH, 2, &fixed);
    assert_int_equal(take_row(&trust, people[1], EPOCH), OK); /* a member */
    assert_int_equal(take_row(&trust, people[2], EPOCH), ERR_POLICY);
    assert_int_equal(take_row(&trust, people[1], EPOCH - 1), ERR_POLICY); /* not then */

    assert_int_equal(take_row(&trust, people[0], EPOCH - TRUST_EPOCHS), ERR_POLICY);
    assert_int_equal(take_row(&trust, people[0], EPOCH - TRUST_EPOCHS + 1), OK);
    assert_int_equal(take_row(&trust, people[0], EPOCH + 1), OK);
    assert_int_equal(take_row(&trust, people[0], EPOCH + 2), ERR_POLICY);
    assert_int_equal(trust.refused, 5);
    trust_free(&trust);
}

static void test_forged_rows(void **state) {
    (void)state;
    struct trust trust;
    make_network(1);
    open_trust(&trust, 2);
    struct buf row = row_of(people[0], EPOCH, 5);
    for (size_t at = 32 + 4; at < row.len; at += 13) { /* behind issuer and epoch */
        row.data[at] ^= 1;
        enum err err = take(&trust, MSG_ROW, &row);
        assert_true(err == ERR_AUTH || err == ERR_FORMAT);
        row.data[at] ^= 1;
    }
    row.data[row.len - 1] ^= 1;
    assert_int_equal(take(&trust, MSG_ROW, &row), ERR_AUTH);
    row.data[row.len - 1] ^= 1;
    row.len--;
    assert_true(take(&trust, MSG_ROW, &row) != OK);
    row.len++;
    assert_int_equal(trust.records.count, 0);
    struct network other = network; /* the same keys elsewhere */
    other.id.b[0] ^= 1;
    trust.env.network = &other;
    assert_int_equal(take(&trust, MSG_ROW, &row), ERR_AUTH);
    trust.env.network = &network;
    assert_int_equal(take(&trust, MSG_ROW, &row), OK);
    buf_free(&row);
    trust_free(&trust);
}

/* Rows go with their epochs. */
static void test_rows_expire(void **state) {
    (void)state;
    struct trust trust;
    make_network(1);
    open_trust(&trust, 3);
    assert_int_equal(take_row(&trust, people[0], EPOCH), OK);
    trust_advance(&trust, EPOCH + TRUST_EPOCHS - 1);
    assert_int_equal(trust.records.count, 1);
    trust_advance(&trust, EPOCH - 5); /* a clock that is set back */
    assert_int_equal(trust.now_epoch, EPOCH + TRUST_EPOCHS - 1);
    trust_advance(&trust, EPOCH + TRUST_EPOCHS);
    assert_int_equal(trust.records.count, 0);
    assert_int_equal(trust.issuers.count, 0);
    trust_free(&trust);
}

/* One was certified, told a row and left, before a checkpoint named it: who comes later has no way
 * to check that row. Both hold the same evidence, or nobody would be sure for 24 epochs. */
static void test_rows_that_all_can_check(void **state) {
    (void)state;
    struct trust old, young;
    struct hash fixed, roots[2];
    make_network(1);
    open_trust(&old, 8);
    open_trust(&young, 9);
    fix(&old, EPOCH, 1, &fixed);
    fix(&young, EPOCH, 1, &fixed);
    assert_int_equal(take_vote_of(&old, 0, &people[1]->id, &fixed), OK);
    assert_int_equal(take_row(&old, people[1], EPOCH), OK);
    assert_int_equal(take_row(&young, people[1], EPOCH), ERR_POLICY);
    assert_int_equal(take_row(&old, people[0], EPOCH), OK);
    assert_false(trust_row_counts(&old, &people[1]->id, EPOCH));
    assert_true(trust_row_counts(&old, &people[0]->id, EPOCH));
    trust_candidate_root(&old, EPOCH + 1, NULL, 0, &roots[0]);
    trust_candidate_root(&young, EPOCH + 1, NULL, 0, &roots[1]);
    assert_memory_not_equal(&roots[0], &roots[1], sizeof roots[0]);
    assert_int_equal(take_row(&young, people[0], EPOCH), OK);
    trust_candidate_root(&young, EPOCH + 1, NULL, 0, &roots[1]);
    assert_memory_equal(&roots[0], &roots[1], sizeof roots[0]);
    trust_free(&old);
    trust_free(&young);
}

/* ---- Fraud ---- */

/* people[1] is certified, has a candidacy and two rows. */
static void raise(struct trust *trust, uint64_t seed) {
    struct hash fixed;
    open_trust(trust, seed);
    fix(trust, EPOCH, 2, &fixed);
    assert_int_equal(take_vote_of(trust, 0, &people[1]->id, &fixed), OK);
    struct buf candidacy = candidacy_of(people[5], people[1], EPOCH, 64);
    assert_int_equal(take(trust, MSG_CANDIDACY, &candidacy), OK);
    buf_free(&candidacy);
    assert_int_equal(take_row(trust, people[1], EPOCH + 1), OK);
}

static struct hash root_of(const struct trust *trust) {
    struct hash root;
    trust_candidate_root(trust, EPOCH, NULL, 0, &root);
    return root;
}

static void assert_condemned(struct trust *trust, const struct buf *cert) {
    const struct node_id *id = &people[1]->id;
    struct buf bytes = {0};
    uint32_t until;
    assert_true(trust_is_fraud(trust, id));
    assert_null(map_get(&trust->issuers, id->b));
    assert_false(trust_cert_of(trust, id, &bytes));
    assert_int_equal(trust_certified(trust, id, slice_of(cert), &until), ERR_AUTH);
    assert_int_equal(take_row(trust, people[1], EPOCH), ERR_POLICY);
    bytes = candidacy_of(people[5], people[1], EPOCH, 65);
    struct hash fixed, before = root_of(trust), after;
    (void)take(trust, MSG_CANDIDACY, &bytes); /* it may have a place */
    buf_free(&bytes);
    after = root_of(trust);
    assert_memory_equal(after.b, before.b, sizeof after.b);
    fix(trust, EPOCH + 1, 1, &fixed);
    struct ballot again = {id, EPOCH + 2, CERT_VALID_EPOCHS, 0, fixed, 0};
    bytes = signed_by(people[0], &again);
    assert_int_equal(take(trust, MSG_CERT, &bytes), ERR_POLICY);
    buf_free(&bytes);
    trust_advance(trust, EPOCH + 3 * TRUST_EPOCHS); /* not forgotten */
    assert_true(trust_is_fraud(trust, id));
}

static void test_row_fraud(void **state) {
    (void)state;
    struct trust trust, other, third;
    make_network(1);
    raise(&trust, 4);
    raise(&other, 5);
    raise(&third, 6);
    struct buf cert = {0};
    uint32_t until;
    assert_true(trust_cert_of(&trust, &people[1]->id, &cert));
    assert_int_equal(trust_certified(&trust, &people[1]->id, slice_of(&cert), &until), OK);
    struct buf one = row_of(people[1], EPOCH, 10), two = row_of(people[1], EPOCH, 20);
    assert_int_equal(take(&trust, MSG_ROW, &one), OK);
    assert_int_equal(take(&trust, MSG_ROW, &two), OK);
    assert_non_null(added);
    assert_int_equal(added->type, MSG_FRAUD);
    struct buf proof = {0};
    buf_append(&proof, added->bytes, added->len);
    assert_false(knows(&trust, &one) || knows(&trust, &two));
    assert_int_equal(take(&trust, MSG_FRAUD, &proof), OK); /* known */
    assert_null(added);

    assert_int_equal(take(&other, MSG_ROW, &two), OK); /* the other order, the same proof */
    assert_int_equal(take(&other, MSG_ROW, &one), OK);
    assert_int_equal(added->len, proof.len);
    assert_memory_equal(added->bytes, proof.data, proof.len);

    proof.data[proof.len - 1] ^= 1;
    assert_int_equal(take(&third, MSG_FRAUD, &proof), ERR_AUTH);
    assert_false(trust_is_fraud(&third, &people[1]->id));
    proof.data[proof.len - 1] ^= 1;
    assert_int_equal(take(&third, MSG_FRAUD, &proof), OK);
    struct hash roots[3];
    trust_candidate_root(&trust, EPOCH + 1, NULL, 0, &roots[0]);
    trust_candidate_root(&other, EPOCH + 1, NULL, 0, &roots[1]);
    trust_candidate_root(&third, EPOCH + 1, NULL, 0, &roots[2]);
    assert_memory_equal(&roots[0], &roots[1], sizeof roots[0]);
    assert_memory_equal(&roots[0], &roots[2], sizeof roots[0]);
    assert_condemned(&trust, &cert);
    assert_condemned(&other, &cert);
    assert_condemned(&third, &cert);
    buf_free(&one);
    buf_free(&two);
    buf_free(&proof);
    buf_free(&cert);
    trust_free(&trust);
    trust_free(&other);
    trust_free(&third);
}

/* A proof against nobody is refused: anybody can make keys that contradict themselves. */
static void test_fraud_of_nobody(void **state) {
    (void)state;
    struct trust trust;
    make_network(1);
    raise(&trust, 11);
    for (uint32_t who = 1; who < 3; who++) { /* a member, a stranger */
        struct buf one = row_of(people[who], EPOCH, 10), two = row_of(people[who], EPOCH, 20);
        bool is_first = wire_compare_signed(slice_of(&one), slice_of(&two)) < 0;
        struct fraud fraud = {.type = RECORD_ROW,
                              .first = slice_of(is_first ? &one : &two),
                              .second = slice_of(is_first ? &two : &one)};
        struct buf proof = {0}, padded = {0};
        static const uint8_t tlv[] = {2, 0, 1, 7};
        wire_fraud_encode(&proof, &fraud);
        fraud.tlvs = (struct slice){tlv, sizeof tlv}; /* nobody has signed those */
        wire_fraud_encode(&padded, &fraud);
        assert_int_equal(take(&trust, MSG_FRAUD, &padded), ERR_POLICY);
        buf_free(&padded);
        assert_int_equal(take(&trust, MSG_FRAUD, &proof), who == 1 ? OK : ERR_POLICY);
        assert_int_equal(trust_is_fraud(&trust, &people[who]->id), who == 1);
        buf_free(&one);
        buf_free(&two);
        buf_free(&proof);
    }
    trust_free(&trust);
}

/* A signer may draw its nonce as it likes (RFC 8032 only proposes one), so one body can carry more
 * than one right signature. Stands in for that: the last byte of a signature does not matter. */
static bool verify_loosely(void *context, const struct node_id *signer, struct slice message,
                           const uint8_t signature[SIGNATURE_BYTES]) {
    uint8_t plain[SIGNATURE_BYTES];
    memcpy(plain, signature, sizeof plain);
    plain[SIGNATURE_BYTES - 1] &= 0x1f; /* the top bits of S are zero in any right one */
    return test_verify(context, signer, message, plain);
}

static void test_signed_twice(void **state) {
    (void)state;
    struct trust trust;
    make_network(1);
    open_trust(&trust, 10);
    struct crypto loose = identities[0].crypto;
    loose.verify = verify_loosely;
    trust.env.crypto = &loose;
    struct buf row = row_of(people[0], EPOCH, 5), checkpoint = checkpoint_of(0, EPOCH, 2, 1);
    assert_int_equal(take(&trust, MSG_ROW, &row), OK);
    assert_int_equal(take(&trust, MSG_CHECKPOINT, &checkpoint), OK);
    row.data[row.len - 1] ^= 0x80;
    checkpoint.data[checkpoint.len - 1] ^= 0x80;
    assert_int_equal(take(&trust, MSG_ROW, &row), ERR_POLICY);
    assert_int_equal(take(&trust, MSG_CHECKPOINT, &checkpoint), ERR_POLICY);
    assert_false(trust_is_fraud(&trust, &people[0]->id));
    assert_int_equal(trust.records.count, 2);
    buf_free(&row);
    buf_free(&checkpoint);
    trust_free(&trust);
}

/* An anchor that fixes one epoch twice is out; the next one may fix it, and everybody ends with the
 * same, whichever came first. */
static void test_checkpoint_fraud(void **state) {
    (void)state;
    make_network(2);
    struct buf before = checkpoint_of(0, EPOCH - 1, 2, 9), second = checkpoint_of(1, EPOCH, 2, 3);
    struct buf twins[2] = {checkpoint_of(0, EPOCH, 2, 1), checkpoint_of(0, EPOCH, 2, 2)};
    struct buf next = checkpoint_of(0, EPOCH + 1, 2, 4), proof = {0};
    for (int order = 0; order < 3; order++) {
        struct trust trust;
        open_trust(&trust, 20 + (uint64_t)order);
        assert_int_equal(take(&trust, MSG_CHECKPOINT, &before), OK);
        if (order < 2) {
            assert_int_equal(take(&trust, MSG_CHECKPOINT, &twins[order]), OK);
            assert_int_equal(take(&trust, MSG_CHECKPOINT, &second), ERR_POLICY); /* beaten */
            assert_int_equal(take(&trust, MSG_CHECKPOINT, &twins[1 - order]), OK);
        } else { /* it had the other's, and hears of the fraud */
            assert_int_equal(take(&trust, MSG_CHECKPOINT, &second), OK);
            assert_int_equal(take(&trust, MSG_FRAUD, &proof), OK);
        }
        assert_int_equal(added->type, MSG_FRAUD);
        if (proof.len == 0) {
            buf_append(&proof, added->bytes, added->len);
        }
        assert_int_equal(added->len, proof.len);
        assert_memory_equal(added->bytes, proof.data, proof.len);
        assert_true(trust_is_fraud(&trust, &people[0]->id));
        assert_false(knows(&trust, &twins[0]) || knows(&trust, &twins[1]));
        assert_true(knows(&trust, &before)); /* nobody contradicts that */
        assert_int_equal(trust.latest->checkpoint.epoch, order < 2 ? EPOCH - 1 : EPOCH);
        assert_int_equal(take(&trust, MSG_CHECKPOINT, &second), OK);
        assert_int_equal(trust.latest->checkpoint.epoch, EPOCH);
        assert_int_equal(trust.latest->checkpoint.anchor, 1);
        assert_int_equal(take(&trust, MSG_CHECKPOINT, &next), ERR_POLICY);
        assert_int_equal(take_row(&trust, people[0], EPOCH), ERR_POLICY);
        trust_free(&trust);
    }
    buf_free(&before);
    buf_free(&second);
    buf_free(&twins[0]);
    buf_free(&twins[1]);
    buf_free(&next);
    buf_free(&proof);
}

/* ---- Checkpoints and members ---- */

static void test_checkpoints(void **state) {
    (void)state;
    struct trust trust;
    make_network(2);
    open_trust(&trust, 30);
    struct buf higher = checkpoint_of(1, EPOCH, 2, 1), lower = checkpoint_of(0, EPOCH, 2, 2);
    struct buf early = checkpoint_of(0, EPOCH + 2, 2, 3);
    struct buf stale = checkpoint_of(0, EPOCH - TRUST_EPOCHS, 2, 3);
    struct buf stranger = checkpoint_of(2, EPOCH, 2, 3);
    assert_int_equal(take(&trust, MSG_CHECKPOINT, &higher), OK);
    assert_int_equal(take(&trust, MSG_CHECKPOINT, &lower), OK); /* the lower anchor's stays */
    assert_false(knows(&trust, &higher));
    assert_int_equal(take(&trust, MSG_CHECKPOINT, &higher), ERR_POLICY);
    assert_int_equal(take(&trust, MSG_CHECKPOINT, &early), ERR_POLICY);
    assert_int_equal(take(&trust, MSG_CHECKPOINT, &stale), ERR_POLICY);
    assert_int_equal(take(&trust, MSG_CHECKPOINT, &stranger), ERR_AUTH);
    assert_int_equal(trust.latest->checkpoint.anchor, 0);
    trust_free(&trust);
    open_trust(&trust, 31);
    lower.data[70] ^= 1; /* in a root */
    assert_int_equal(take(&trust, MSG_CHECKPOINT, &lower), ERR_AUTH);
    assert_null(trust.latest);
    buf_free(&higher);
    buf_free(&lower);
    buf_free(&early);
    buf_free(&stale);
    buf_free(&stranger);
    trust_free(&trust);
}

static void test_members(void **state) {
    (void)state;
    static const uint8_t tlv[] = {2, 0, 1, 7};
    struct trust trust;
    make_network(1);
    open_trust(&trust, 32);
    struct buf checkpoint = checkpoint_of(0, EPOCH, 5, 1);
    struct buf right = members_of(0, EPOCH, 5, (struct slice){0});
    struct buf again = members_of(0, EPOCH, 5, (struct slice){tlv, sizeof tlv});
    struct buf others = members_of(1, EPOCH, 5, (struct slice){0});
    struct buf fewer = members_of(0, EPOCH, 4, (struct slice){0});
    struct buf elsewhen = members_of(0, EPOCH - 1, 5, (struct slice){0});
    assert_int_equal(take(&trust, MSG_MEMBERS, &right), ERR_NOT_FOUND); /* no checkpoint yet */
    assert_int_equal(take(&trust, MSG_CHECKPOINT, &checkpoint), OK);
    assert_int_equal(take(&trust, MSG_MEMBERS, &others), ERR_AUTH);
    assert_int_equal(take(&trust, MSG_MEMBERS, &fewer), ERR_AUTH);
    assert_int_equal(take(&trust, MSG_MEMBERS, &elsewhen), ERR_NOT_FOUND);
    assert_int_equal(take(&trust, MSG_MEMBERS, &again),
                     ERR_POLICY); /* the root says nothing of it */
    assert_false(trust_may_issue(&trust, &people[4]->id, EPOCH));
    assert_int_equal(take(&trust, MSG_MEMBERS, &right), OK);
    assert_true(trust_may_issue(&trust, &people[4]->id, EPOCH));
    assert_false(trust_may_issue(&trust, &people[5]->id, EPOCH));
    assert_int_equal(take(&trust, MSG_MEMBERS, &again), ERR_POLICY);
    buf_free(&checkpoint);
    buf_free(&right);
    buf_free(&again);
    buf_free(&others);
    buf_free(&fewer);
    buf_free(&elsewhen);
    trust_free(&trust);
}

/* ---- Candidacies ---- */

static void test_candidacies(void **state) {
    (void)state;
    make_network(1);
    const struct node_id *subject = &people[3]->id;
    struct buf twins[2] = {candidacy_of(people[4], people[3], EPOCH, 64),
                           candidacy_of(people[4], people[3], EPOCH, 65)};
    struct trust trust;
    open_trust(&trust, 40);
    bool first_stays =
        trust_prefix(&trust, slice_of(&twins[0])) < trust_prefix(&trust, slice_of(&twins[1]));
    trust_free(&trust);
    for (int order = 0; order < 2; order++) {
        open_trust(&trust, 41);
        assert_int_equal(take(&trust, MSG_CANDIDACY, &twins[order]), OK);
        bool is_better = (order == 0) != first_stays;
        assert_int_equal(take(&trust, MSG_CANDIDACY, &twins[1 - order]),
                         is_better ? OK : ERR_POLICY);
        const struct trust_candidate *known = map_get(&trust.candidates, subject->b);
        assert_int_equal(known->rate_kib, first_stays ? 64 : 65);
        assert_int_equal(trust.records.count, 1);
        assert_false(trust_is_fraud(&trust, &people[4]->id)); /* it was started again */
        trust_free(&trust);
    }
    buf_free(&twins[0]);
    buf_free(&twins[1]);
}

static void test_refused_candidacies(void **state) {
    (void)state;
    make_network(1);
    const struct node_id *subject = &people[3]->id;
    struct trust trust;
    open_trust(&trust, 42);
    struct buf stale = candidacy_of(people[4], people[3], EPOCH - 2, 64);
    struct buf early = candidacy_of(people[4], people[3], EPOCH + 2, 64);
    struct buf fine = candidacy_of(people[4], people[3], EPOCH, 64);
    struct buf next = candidacy_of(people[4], people[3], EPOCH + 1, 66);
    struct buf rival = candidacy_of(people[5], people[3], EPOCH + 1, 64);
    assert_int_equal(take(&trust, MSG_CANDIDACY, &stale), ERR_POLICY);
    assert_int_equal(take(&trust, MSG_CANDIDACY, &early), ERR_POLICY);
    static const size_t parts[] = {1, 65, 129, 3 * 64 + 32 + 1}; /* signatures, the last flag */
    for (size_t i = 0; i < LENGTH(parts); i++) {
        fine.data[fine.len - parts[i]] ^= 1;
        assert_int_equal(take(&trust, MSG_CANDIDACY, &fine), ERR_AUTH);
        fine.data[fine.len - parts[i]] ^= 1;
    }
    fine.data[40] ^= 1; /* in the address record */
    assert_int_equal(take(&trust, MSG_CANDIDACY, &fine), ERR_AUTH);
    fine.data[40] ^= 1;
    network.profile = NETWORK_INTERNET; /* where nobody dials 10.0.0.9 */
    assert_int_equal(take(&trust, MSG_CANDIDACY, &fine), ERR_POLICY);
    network.profile = NETWORK_LAN;
    assert_int_equal(take(&trust, MSG_CANDIDACY, &fine), OK);
    assert_int_equal(take(&trust, MSG_CANDIDACY, &rival), OK); /* the key itself moves on */
    bool rival_stays =
        trust_prefix(&trust, slice_of(&rival)) < trust_prefix(&trust, slice_of(&next));
    assert_int_equal(take(&trust, MSG_CANDIDACY, &next), rival_stays ? ERR_POLICY : OK);
    assert_int_equal(take(&trust, MSG_CANDIDACY, &fine), ERR_POLICY);
    const struct trust_candidate *known = map_get(&trust.candidates, subject->b);
    assert_int_equal(known->rate_kib, rival_stays ? 64 : 66);
    assert_int_equal(known->first_epoch, EPOCH);
    trust_advance(&trust, EPOCH + 2);
    assert_int_equal(trust.candidates.count, 1);
    trust_advance(&trust, EPOCH + 3);
    assert_int_equal(trust.candidates.count, 0);
    assert_int_equal(trust.records.count, 0);
    buf_free(&stale);
    buf_free(&early);
    buf_free(&fine);
    buf_free(&next);
    buf_free(&rival);
    trust_free(&trust);
}

/* ---- Votes ---- */

/* True when the person is certified, also as others see it. */
static bool is_certified(const struct trust *trust, const struct node_id *id) {
    struct buf cert = {0};
    uint32_t until;
    bool is_held = trust_cert_of(trust, id, &cert);
    assert_int_equal(trust_certified(trust, id, slice_of(&cert), &until) == OK, is_held);
    buf_free(&cert);
    return is_held;
}

static void test_quorum_of_one(void **state) {
    (void)state;
    const struct node_id *subject = &people[PEOPLE - 1]->id;
    struct trust trust;
    struct hash fixed, unknown = {{1}};
    make_network(2);
    open_trust(&trust, 50);
    assert_int_equal(take_vote_of(&trust, 0, subject, &unknown), ERR_NOT_FOUND);
    fix(&trust, EPOCH, 3, &fixed);
    assert_int_equal(take_vote_of(&trust, 2, subject, &fixed), ERR_POLICY); /* no anchor */
    struct buf forged = vote_of(1, subject, &fixed);
    forged.data[forged.len - 1] ^= 1;
    assert_int_equal(take(&trust, MSG_CERT, &forged), ERR_AUTH);
    forged.data[forged.len - 1] ^= 1;
    assert_false(is_certified(&trust, subject));
    assert_int_equal(take(&trust, MSG_CERT, &forged), OK);
    assert_true(is_certified(&trust, subject));
    assert_int_equal(take(&trust, MSG_CERT, &forged), OK);
    assert_null(added);
    buf_free(&forged);
    trust_free(&trust);
}

/* Votes are alike, else the signatures of one certificate would be over different bytes and whoever
 * came first could spoil it. */
static void test_irregular_votes(void **state) {
    (void)state;
    const struct node_id *subject = &people[PEOPLE - 1]->id;
    struct trust trust;
    struct hash fixed;
    make_network(1);
    open_trust(&trust, 51);
    fix(&trust, EPOCH, 4, &fixed);
    const struct ballot irregular[] = {
        {subject, EPOCH + 1, CERT_VALID_EPOCHS, 1, fixed, 1},
        {subject, EPOCH + 1, CERT_VALID_EPOCHS + 1, 0, fixed, 1},
        {subject, EPOCH + 2, CERT_VALID_EPOCHS, 0, fixed, 1},
        {subject, EPOCH, CERT_VALID_EPOCHS, 0, fixed, 1},
    };
    for (size_t i = 0; i < LENGTH(irregular); i++) {
        struct buf vote = signed_by(people[1], &irregular[i]);
        assert_int_equal(take(&trust, MSG_CERT, &vote), ERR_POLICY);
        buf_free(&vote);
    }
    assert_int_equal(take_vote_of(&trust, 1, subject, &fixed), OK);
    assert_int_equal(take_vote_of(&trust, 2, subject, &fixed), OK);
    assert_int_equal(take_vote_of(&trust, 0, subject, &fixed), OK);
    assert_true(is_certified(&trust, subject));
    trust_free(&trust);
}

/* Two thirds, one of them an anchor. */
static void test_quorum_shared(void **state) {
    (void)state;
    static const struct {
        uint16_t members, needed;
    } sizes[] = {{4, 3}, {5, 4}, {6, 4}, {10, 7}, {15, 10}};
    const struct node_id *subject = &people[PEOPLE - 1]->id;
    make_network(1);
    for (size_t i = 0; i < LENGTH(sizes); i++) {
        struct trust trust;
        struct hash fixed;
        open_trust(&trust, 52);
        fix(&trust, EPOCH, sizes[i].members, &fixed);
        assert_int_equal(take_vote_of(&trust, sizes[i].members, subject, &fixed), ERR_POLICY);
        for (uint16_t place = 1; place < sizes[i].members; place++) { /* all but the anchor */
            assert_int_equal(take_vote_of(&trust, place, subject, &fixed), OK);
            assert_false(is_certified(&trust, subject));
        }
        assert_int_equal(take_vote_of(&trust, 0, subject, &fixed), OK);
        assert_true(is_certified(&trust, subject));
        trust_free(&trust);
        open_trust(&trust, 53);
        fix(&trust, EPOCH, sizes[i].members, &fixed);
        for (uint16_t place = 0; place < sizes[i].needed; place++) {
            assert_false(is_certified(&trust, subject));
            assert_int_equal(take_vote_of(&trust, place, subject, &fixed), OK);
        }
        assert_true(is_certified(&trust, subject));
        trust_free(&trust);
    }
}

static void test_quorum_drawn(void **state) {
    (void)state;
    enum { MEMBERS = 22 };
    const struct node_id *subject = &people[PEOPLE - 1]->id;
    struct trust trust;
    struct hash fixed;
    make_network(1);
    open_trust(&trust, 54);
    fix(&trust, EPOCH, MEMBERS, &fixed);
    uint32_t drawn = 0, others = 0;
    for (uint16_t place = 0; place < MEMBERS; place++) {
        uint16_t at;
        bool may = trust_may_sign(&trust, trust.latest, subject, &people[place]->id, &at);
        assert_int_equal(at, place);
        assert_int_equal(take_vote_of(&trust, place, subject, &fixed), may ? OK : ERR_POLICY);
        drawn += may;
        others += !may;
        assert_int_equal(is_certified(&trust, subject), drawn >= SEATS_COMMITTEE_SIGN);
    }
    assert_int_equal(drawn, SEATS_COMMITTEE);
    assert_int_equal(others, MEMBERS - SEATS_COMMITTEE);
    uint16_t at;
    assert_false(trust_may_sign(&trust, trust.latest, subject, subject, &at));
    trust_free(&trust);
}

/* A signature of one who was condemned since does not count any more. */
static void test_fraud_among_signers(void **state) {
    (void)state;
    const struct node_id *subject = &people[PEOPLE - 1]->id;
    struct trust trust;
    struct hash fixed;
    struct buf cert = {0};
    uint32_t until;
    make_network(1);
    open_trust(&trust, 55);
    fix(&trust, EPOCH, 4, &fixed);
    for (uint16_t place = 0; place < 3; place++) {
        assert_int_equal(take_vote_of(&trust, place, subject, &fixed), OK);
    }
    assert_true(trust_cert_of(&trust, subject, &cert));
    struct buf twins[2] = {row_of(people[1], EPOCH, 1), row_of(people[1], EPOCH, 2)};
    assert_int_equal(take(&trust, MSG_ROW, &twins[0]), OK);
    assert_int_equal(take(&trust, MSG_ROW, &twins[1]), OK);
    assert_int_equal(trust_certified(&trust, subject, slice_of(&cert), &until), ERR_AUTH);
    buf_free(&cert);
    assert_int_equal(take_vote_of(&trust, 3, subject, &fixed), OK); /* another makes up for it */
    assert_true(is_certified(&trust, subject));
    buf_free(&twins[0]);
    buf_free(&twins[1]);
    trust_free(&trust);
}

/* One member cannot take the room for everybody's votes with names that nobody else knows. */
static void test_votes_alone(void **state) {
    (void)state;
    struct trust trust;
    struct hash fixed;
    struct node_id subject = {{1}};
    make_network(1);
    open_trust(&trust, 56);
    fix(&trust, EPOCH, 4, &fixed);
    uint32_t begun = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        subject.b[1] = (uint8_t)i;
        subject.b[2] = (uint8_t)(i >> 8);
        enum err err = take_vote_of(&trust, 3, &subject, &fixed);
        assert_int_equal(err, begun == i && err == OK ? OK : ERR_BUSY); /* once too many, always */
        begun += err == OK;
    }
    assert_in_range(begun, 4, 999);
    assert_int_equal(take_vote_of(&trust, 2, &people[9]->id, &fixed), OK); /* others may */
    assert_int_equal(take_vote_of(&trust, 3, &people[9]->id, &fixed), OK); /* and it with them */
    trust_free(&trust);
}

/* ---- Time ---- */

static void test_by_hand(void **state) {
    (void)state;
    const struct node_id *subject = &people[9]->id;
    struct ballot ballot = {subject, EPOCH, 3, 0, {{0}}, 1};
    struct trust trust;
    uint32_t until;
    make_network(2);
    open_trust(&trust, 60);
    struct buf cert = signed_by(people[1], &ballot), wrong = signed_by(people[2], &ballot);
    ballot.place = 2;
    struct buf stranger = signed_by(people[2], &ballot);
    assert_int_equal(trust_certified(&trust, subject, slice_of(&cert), &until), OK);
    assert_int_equal(until, EPOCH + 3);
    assert_int_equal(trust_certified(&trust, subject, slice_of(&wrong), &until), ERR_AUTH);
    assert_int_equal(trust_certified(&trust, subject, slice_of(&stranger), &until), ERR_AUTH);
    assert_int_equal(trust_certified(&trust, &people[8]->id, slice_of(&cert), &until), ERR_AUTH);
    assert_int_equal(trust_certified(&trust, subject, (struct slice){0}, &until), ERR_AUTH);
    assert_int_equal(trust_certified(&trust, &people[0]->id, (struct slice){0}, &until), OK);
    assert_int_equal(until, UINT32_MAX);
    trust_advance(&trust, EPOCH + 2);
    assert_int_equal(trust_certified(&trust, subject, slice_of(&cert), &until), OK);
    trust_advance(&trust, EPOCH + 3);
    assert_int_equal(trust_certified(&trust, subject, slice_of(&cert), &until), ERR_POLICY);
    buf_free(&cert);
    ballot = (struct ballot){subject, EPOCH + 4, 3, 0, {{0}}, 1};
    cert = signed_by(people[1], &ballot);
    assert_int_equal(trust_certified(&trust, subject, slice_of(&cert), &until), ERR_POLICY);
    buf_free(&cert);
    buf_free(&wrong);
    buf_free(&stranger);
    trust_free(&trust);
}

static enum err certified_at(struct trust *trust, uint32_t epoch, const struct buf *cert) {
    uint32_t until;
    trust_advance(trust, epoch);
    enum err err = trust_certified(trust, &people[5]->id, slice_of(cert), &until);
    assert_int_equal(until, EPOCH + 1 + CERT_VALID_EPOCHS);
    return err;
}

static void begin_time(struct trust *trust, struct buf *cert) {
    struct hash fixed;
    open_trust(trust, 61);
    fix(trust, EPOCH, 2, &fixed);
    assert_int_equal(take_vote_of(trust, 0, &people[5]->id, &fixed), OK);
    assert_true(trust_cert_of(trust, &people[5]->id, cert));
}

static void test_expiry(void **state) {
    (void)state;
    struct trust trust;
    struct buf cert = {0};
    struct hash fixed;
    make_network(1);
    begin_time(&trust, &cert);
    uint32_t end = EPOCH + 1 + CERT_VALID_EPOCHS;
    for (uint32_t epoch = EPOCH + 1; epoch < end; epoch++) {
        assert_int_equal(certified_at(&trust, epoch, &cert), OK);
        fix(&trust, epoch, 2, &fixed);
    }
    assert_int_equal(certified_at(&trust, end, &cert), ERR_POLICY);
    assert_false(trust_may_issue(&trust, &people[5]->id, end));
    for (uint32_t epoch = end; epoch < EPOCH + TRUST_EPOCHS + 1; epoch++) {
        trust_advance(&trust, epoch);
        fix(&trust, epoch, 2, &fixed);
    }
    assert_int_equal(trust.certified.count, 0);
    assert_int_equal(trust.votes.count, 0);
    assert_null(trust_checkpoint_at(&trust, EPOCH));
    assert_int_equal(trust.records.count, 2 * TRUST_EPOCHS); /* nothing but what is fixed */
    buf_free(&cert);
    trust_free(&trust);
}

/* An anchor that is away for some days costs nobody the role; one that is away for good does. */
static void test_freeze(void **state) {
    (void)state;
    struct trust trust;
    struct buf cert = {0};
    struct hash fixed;
    uint32_t freeze = TRUST_FREEZE_S / EPOCH_S;
    make_network(1);
    begin_time(&trust, &cert);
    assert_int_equal(certified_at(&trust, EPOCH + 100, &cert), OK);
    assert_int_equal(certified_at(&trust, EPOCH + freeze, &cert), OK);
    struct trust back;
    struct buf same = {0};
    begin_time(&back, &same); /* another, whose anchor comes back in time */
    assert_int_equal(certified_at(&back, EPOCH + freeze, &same), OK);
    fix(&back, EPOCH + freeze, 2, &fixed);
    assert_int_equal(certified_at(&back, EPOCH + freeze + 1, &same), ERR_POLICY);
    assert_int_equal(certified_at(&trust, EPOCH + freeze + 1, &cert), ERR_POLICY);
    buf_free(&cert);
    buf_free(&same);
    trust_free(&trust);
    trust_free(&back);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_forged_rows),
        cmocka_unit_test(test_rows_expire),
        cmocka_unit_test(test_rows_that_all_can_check),
        cmocka_unit_test(test_row_fraud),
        cmocka_unit_test(test_fraud_of_nobody),
        cmocka_unit_test(test_signed_twice),
        cmocka_unit_test(test_checkpoint_fraud),
        cmocka_unit_test(test_checkpoints),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_candidacies),
        cmocka_unit_test(test_refused_candidacies),
        cmocka_unit_test(test_quorum_of_one),
        cmocka_unit_test(test_irregular_votes),
        cmocka_unit_test(test_quorum_shared),
        cmocka_unit_test(test_quorum_drawn),
        cmocka_unit_test(test_fraud_among_signers),
        cmocka_unit_test(test_votes_alone),
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_freeze),
    };
    return cmocka_run_group_tests(tests, make_people, free_people);
}
