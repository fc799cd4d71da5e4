/* test_sponsors.c - who may enter a key as a candidate, and how the room for candidates is shared
 * among the supernodes that stand for them. */
#include "tests/unit/trust_people.h"

enum { ANCHORS = 5, MEMBERS = 18, CROWD = CANDIDATES_SPONSOR_MAX + 60 };

static struct network other_network;

static enum err take_standing(struct trust *trust, const struct standing *standing) {
    struct buf bytes = standing_of(standing);
    enum err err = take(trust, MSG_CANDIDACY, &bytes);
    buf_free(&bytes);
    return err;
}

/* Enter what somebody else's key never agreed to, or agreed to for another owner, time or place. */
static void test_a_key_is_not_squatted(void **state) {
    (void)state;
    make_network(1);
    struct trust trust;
    open_trust(&trust, 1);
    const struct standing honest = {people[4], people[3], people[0], EPOCH, 64};
    struct buf bytes = standing_of(&honest);
    struct candidacy candidacy;
    struct signer_env rogue = signer(people[5]), sponsor = signer(people[0]);
    assert_int_equal(wire_candidacy_decode(slice_of(&bytes), &candidacy), OK);
    struct buf record = address_record_of(people[5], EPOCH), squat = {0};
    candidacy.address_record = slice_of(&record);
    wire_candidacy_sign(&candidacy, &rogue);
    wire_candidacy_sponsor(&candidacy, &sponsor);
    wire_candidacy_encode(&squat, &candidacy);
    assert_int_equal(take(&trust, MSG_CANDIDACY, &squat), ERR_AUTH);
    other_network = network;
    other_network.id.b[5] ^= 1;
    trust.env.network = &other_network;
    assert_int_equal(take(&trust, MSG_CANDIDACY, &bytes), ERR_AUTH);
    trust.env.network = &network;
    assert_int_equal(take(&trust, MSG_CANDIDACY, &bytes), OK);
    const struct trust_candidate *known = map_get(&trust.candidates, people[3]->id.b);
    assert_true(node_id_equal(&known->owner, &people[4]->id));
    assert_int_equal(known->sponsor->candidates, 1);
    trust_advance(&trust, EPOCH + 1); /* agreed to for one epoch: the bytes cannot say another */
    assert_int_equal(wire_candidacy_decode(slice_of(&bytes), &candidacy), OK);
    candidacy.epoch++;
    struct signer_env owner = signer(people[4]);
    wire_candidacy_sign(&candidacy, &owner);
    wire_candidacy_sponsor(&candidacy, &sponsor);
    buf_free(&squat);
    wire_candidacy_encode(&squat, &candidacy);
    assert_int_equal(take(&trust, MSG_CANDIDACY, &squat), ERR_AUTH);
    buf_free(&squat);
    buf_free(&record);
    buf_free(&bytes);
    trust_free(&trust);
}

/* An address record that has run out, or is of another network, goes into no table. */
static void test_the_address_is_fresh(void **state) {
    (void)state;
    make_network(1);
    struct trust trust;
    open_trust(&trust, 5);
    for (int is_fresh = 0; is_fresh < 2; is_fresh++) {
        struct buf record = address_record_of(people[4], is_fresh ? EPOCH : EPOCH - 100);
        struct candidacy candidacy = {.subject = people[3]->id,
                                      .address_record = slice_of(&record),
                                      .epoch = EPOCH,
                                      .rate_kib = 64,
                                      .day_mib = 64,
                                      .sponsor = people[0]->id};
        struct buf body = {0}, bytes = {0};
        struct signer_env owner = signer(people[4]), sponsor = signer(people[0]);
        wire_candidacy_subject_bytes(&body, &candidacy);
        struct signed_bytes agreed = {&network.id, RECORD_CANDIDACY_SUBJECT, slice_of(&body)};
        crypto_sign(&people[3]->crypto, &agreed, candidacy.by_subject);
        wire_candidacy_sign(&candidacy, &owner);
        wire_candidacy_sponsor(&candidacy, &sponsor);
        wire_candidacy_encode(&bytes, &candidacy);
        enum err err = take(&trust, MSG_CANDIDACY, &bytes);
        assert_int_equal(err == OK, is_fresh);
        buf_free(&record);
        buf_free(&body);
        buf_free(&bytes);
    }
    trust_free(&trust);
}

static void test_only_supernodes_stand(void **state) {
    (void)state;
    struct trust trust;
    struct hash fixed;
    make_network(1);
    open_trust(&trust, 2);
    struct standing standing = {people[4], people[3], people[1], EPOCH, 64};
    assert_int_equal(take_standing(&trust, &standing), ERR_POLICY);
    fix(&trust, EPOCH, 2, &fixed);
    assert_int_equal(take_standing(&trust, &standing), OK);
    standing = (struct standing){people[4], people[3], people[0], EPOCH + 1, 64};
    assert_int_equal(take_standing(&trust, &standing), OK); /* another one, of the next epoch */
    assert_int_equal(trust.sponsors.count, 1);
    trust_advance(&trust, EPOCH + 3);
    assert_int_equal(trust.candidates.count, 0);
    assert_int_equal(trust.sponsors.count, 0);
    trust_free(&trust);
}

/* ---- Room: signatures are believed here, since thousands of keys would take their time ---- */

static bool believe(void *context, const struct node_id *signer, struct slice message,
                    const uint8_t signature[SIGNATURE_BYTES]) {
    (void)context;
    (void)signer;
    (void)message;
    (void)signature;
    return true;
}

static struct crypto believing;

static void open_room(struct trust *trust, uint64_t seed) {
    make_network(ANCHORS);
    open_trust(trust, seed);
    believing = people[0]->crypto;
    believing.verify = believe;
    trust->env.crypto = &believing;
    struct hash fixed;
    fix(trust, EPOCH, MEMBERS, &fixed);
}

/* The numbered candidate of a member. */
static enum err enter(struct trust *trust, uint32_t member, uint32_t number) {
    struct buf record = address_record_of(people[PEOPLE - 1], EPOCH), bytes = {0};
    struct candidacy candidacy = {
        .subject = {{(uint8_t)member, (uint8_t)(number >> 8), (uint8_t)number}},
        .address_record = slice_of(&record),
        .epoch = EPOCH,
        .rate_kib = 64,
        .day_mib = 64,
        .sponsor = people[member]->id};
    wire_candidacy_encode(&bytes, &candidacy);
    enum err err = take(trust, MSG_CANDIDACY, &bytes);
    buf_free(&bytes);
    buf_free(&record);
    return err;
}

static uint32_t held_by(const struct trust *trust, uint32_t member) {
    const struct trust_sponsor *sponsor = map_get(&trust->sponsors, people[member]->id.b);
    return sponsor != NULL ? sponsor->candidates : 0;
}

static struct hash kept_of(const struct trust *trust) {
    struct hash root;
    trust_candidate_root(trust, EPOCH, NULL, 0, &root);
    return root;
}

/* One that enters more than its share keeps the same ones, whatever the order. */
static void test_one_sponsor_has_a_share(void **state) {
    (void)state;
    static const uint32_t steps[] = {1, 5, 7, CROWD - 1}; /* these go through all of them */
    struct hash first = {0};
    for (size_t at = 0; at < LENGTH(steps); at++) {
        struct trust trust;
        open_room(&trust, 3);
        for (uint32_t i = 0; i < CROWD; i++) {
            enum err err = enter(&trust, 1, i * steps[at] % CROWD);
            assert_true(err == OK || (err == ERR_BUSY && i >= CANDIDATES_SPONSOR_MAX));
        }
        assert_int_equal(enter(&trust, 2, 1), OK); /* it is nobody else's loss */
        assert_int_equal(held_by(&trust, 1), CANDIDATES_SPONSOR_MAX);
        assert_int_equal(trust.candidates.count, CANDIDATES_SPONSOR_MAX + 1);
        struct hash kept = kept_of(&trust);
        first = at == 0 ? kept : first;
        assert_memory_equal(kept.b, first.b, sizeof kept.b);
        trust_free(&trust);
    }
}

/* Seventeen hostile ones fill all there is; the few of an honest one stay, or find their place
 * afterwards, and everybody keeps the same ones. */
static void test_hostile_sponsors_cannot_fill_the_room(void **state) {
    (void)state;
    struct hash kept[2];
    for (int late = 0; late < 2; late++) {
        struct trust trust;
        open_room(&trust, 4);
        for (uint32_t i = 0; late == 0 && i < 40; i++) {
            assert_int_equal(enter(&trust, MEMBERS - 1, i), OK);
        }
        for (uint32_t at = 0; at < CANDIDATES_SPONSOR_MAX * (MEMBERS - 1u); at++) {
            uint32_t member = late == 0 ? at % (MEMBERS - 1) : at / CANDIDATES_SPONSOR_MAX;
            uint32_t number = late == 0 ? at / (MEMBERS - 1) : at % CANDIDATES_SPONSOR_MAX;
            enum err err = enter(&trust, member, number);
            assert_true(err == OK || err == ERR_BUSY);
        }
        for (uint32_t i = 0; late == 1 && i < 40; i++) {
            assert_int_equal(enter(&trust, MEMBERS - 1, i), OK);
        }
        assert_int_equal(trust.candidates.count, CANDIDATES_MAX);
        assert_int_equal(held_by(&trust, MEMBERS - 1), 40);
        for (uint32_t member = 0; member < MEMBERS - 1; member++) {
            uint32_t share = (CANDIDATES_MAX - 40) / (MEMBERS - 1);
            assert_in_range(held_by(&trust, member), share, share + 1);
        }
        kept[late] = kept_of(&trust);
        trust_free(&trust);
    }
    assert_memory_equal(kept[0].b, kept[1].b, sizeof kept[0].b);
}

/* ---- Candidates that contradict themselves ---- */

static enum err condemn(struct trust *trust, const struct node_id *signer) {
    struct buf rows[2] = {{0}, {0}}, proof = {0};
    for (uint8_t i = 0; i < 2; i++) {
        struct row_record row = {
            .issuer = *signer, .epoch = EPOCH, .count = 1, .entries = {{{{0xee, i}}, 1}}};
        wire_row_encode(&rows[i], &row);
    }
    struct fraud fraud = {
        .type = RECORD_ROW, .first = slice_of(&rows[0]), .second = slice_of(&rows[1])};
    wire_fraud_encode(&proof, &fraud);
    enum err err = take(trust, MSG_FRAUD, &proof);
    buf_free(&rows[0]);
    buf_free(&rows[1]);
    buf_free(&proof);
    return err;
}

static enum err condemn_candidate(struct trust *trust, uint32_t member, uint32_t number) {
    const struct node_id subject = {{(uint8_t)member, (uint8_t)(number >> 8), (uint8_t)number}};
    return condemn(trust, &subject);
}

enum { HOSTILE = 3, HONEST_HAS = 40 };

/* Each hostile sponsor enters more than it may, all of them contradict themselves: first all enter,
 * or each is condemned as soon as it is there, and the other way round. */
static void enter_liars(struct trust *trust, bool at_once) {
    for (uint32_t at = 0; at < HOSTILE * CROWD; at++) {
        uint32_t i = at_once ? HOSTILE * CROWD - 1 - at : at;
        enum err err = enter(trust, i % HOSTILE, i / HOSTILE);
        assert_true(err == OK || err == ERR_BUSY);
        if (at_once && err == OK && added != NULL) {
            assert_int_equal(condemn_candidate(trust, i % HOSTILE, i / HOSTILE), OK);
        }
    }
    for (uint32_t at = 0; at < HOSTILE * CROWD; at++) { /* all are told again */
        (void)condemn_candidate(trust, at % HOSTILE, at / HOSTILE);
    }
}

/* They take nobody's room: everybody condemns the same ones, while they stand. */
static void test_liars_take_their_own_room(void **state) {
    (void)state;
    for (int order = 0; order < 2; order++) {
        struct trust trust;
        open_room(&trust, 5);
        for (uint32_t i = 0; i < HONEST_HAS; i++) {
            assert_int_equal(enter(&trust, MEMBERS - 1, i), OK);
        }
        struct hash honest = kept_of(&trust);
        enter_liars(&trust, order == 1);
        assert_int_equal(trust.passing, HOSTILE * CANDIDATES_SPONSOR_MAX);
        assert_int_equal(trust.frauds.count, trust.passing);
        struct hash kept = kept_of(&trust);
        assert_memory_equal(kept.b, honest.b, sizeof honest.b);
        assert_int_equal(condemn(&trust, &people[HOSTILE]->id), OK); /* a member: for good */
        trust_advance(&trust, EPOCH + 2);
        assert_int_equal(trust.passing, 0);
        assert_int_equal(trust.frauds.count, 1);
        trust_free(&trust);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_key_is_not_squatted),
        cmocka_unit_test(test_the_address_is_fresh),
        cmocka_unit_test(test_only_supernodes_stand),
        cmocka_unit_test(test_one_sponsor_has_a_share),
        cmocka_unit_test(test_hostile_sponsors_cannot_fill_the_room),
        cmocka_unit_test(test_liars_take_their_own_room),
    };
    return cmocka_run_group_tests(tests, make_people, free_people);
}
