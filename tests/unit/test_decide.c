/* test_decide.c - everybody with the same evidence decides the same, however it came. */
#include "tests/unit/trust_people.h"

#include "common/decide.h"
#include "common/mem.h"

enum { ANCHORS = 3, MEMBERS = 6, CANDIDATES = 16, LAST = MEMBERS + CANDIDATES, EPOCHS = 5 };
enum { RECORDS_MAX = EPOCHS * (2 + MEMBERS) + LAST };

/* The evidence of a small network up to EPOCH, as messages. */
struct evidence {
    struct {
        uint8_t type;
        struct buf bytes;
    } records[RECORDS_MAX];
    uint32_t count;
};

static void add(struct evidence *evidence, uint8_t type, struct buf bytes) {
    assert_true(evidence->count < RECORDS_MAX);
    evidence->records[evidence->count].type = type;
    evidence->records[evidence->count++].bytes = bytes;
}

static void make_electing_network(void) {
    make_network(ANCHORS);
    network.promotion = (struct promotion){
        .policy = "reputation", .dwell_s = EPOCH_S, .measure_bytes = 1 << 20, .seats_min = 12};
    assert_int_equal(network_seal(&network, &people[0]->crypto), OK);
}

/* Some of those that are measured; whom and how much the dice say. */
static struct buf measured_row(struct test_identity *issuer, uint32_t epoch, struct rng *rng) {
    struct row_record row = {.issuer = issuer->id, .epoch = epoch};
    for (uint32_t i = ANCHORS; i < LAST; i++) {
        if (people[i] != issuer && rng_below(rng, 4) != 0) {
            row.entries[row.count++] = (struct row_entry){
                .subject = people[i]->id, .weight = (uint16_t)(1 + rng_below(rng, 3000))};
        }
    }
    struct buf tlvs = {0}, bytes = {0};
    struct row_load load = {.leaves = 40, .slots = 100, .bytes = 8000000, .ms = 2500};
    wire_row_load_put(&tlvs, &load);
    row.tlvs = slice_of(&tlvs);
    struct signer_env env = signer(issuer);
    wire_row_sign(&row, &env);
    wire_row_encode(&bytes, &row);
    buf_free(&tlvs);
    return bytes;
}

/* Checkpoints first, each with its members; then candidacies, then rows, the last epoch's last. */
static void make_evidence(struct evidence *evidence, uint64_t seed) {
    struct rng rng;
    rng_seed(&rng, seed);
    *evidence = (struct evidence){0};
    for (uint32_t epoch = EPOCH - EPOCHS + 1; epoch <= EPOCH; epoch++) {
        uint8_t beacon = (uint8_t)(rng_u64(&rng) & 0xff);
        add(evidence, MSG_CHECKPOINT, checkpoint_of(0, epoch, MEMBERS, beacon));
        add(evidence, MSG_MEMBERS, members_of(0, epoch, MEMBERS, (struct slice){0}));
    }
    for (uint32_t i = ANCHORS; i < LAST; i++) {
        add(evidence, MSG_CANDIDACY, candidacy_of(people[i], people[i], EPOCH, 1024));
    }
    for (uint32_t epoch = EPOCH - EPOCHS + 1; epoch <= EPOCH; epoch++) {
        for (uint32_t i = 0; i < MEMBERS; i++) {
            add(evidence, MSG_ROW, measured_row(people[i], epoch, &rng));
        }
    }
}

static void free_evidence(struct evidence *evidence) {
    for (uint32_t i = 0; i < evidence->count; i++) {
        buf_free(&evidence->records[i].bytes);
    }
}

/* Take records in an order that the dice say, those that came too early again: all are taken. */
static void take_shuffled(struct trust *trust, const struct evidence *evidence, uint64_t seed) {
    uint32_t order[RECORDS_MAX];
    struct rng rng;
    rng_seed(&rng, seed);
    for (uint32_t i = 0; i < evidence->count; i++) {
        uint32_t at = (uint32_t)rng_below(&rng, i + 1);
        order[i] = order[at];
        order[at] = i;
    }
    bool is_whole = false;
    for (int round = 0; round < 4 && !is_whole; round++) {
        is_whole = true;
        for (uint32_t i = 0; i < evidence->count; i++) {
            uint32_t at = order[i];
            enum err err = take(trust, evidence->records[at].type, &evidence->records[at].bytes);
            is_whole = is_whole && err == OK;
        }
    }
    assert_true(is_whole);
}

static void decide_at(struct decide *decide, const struct trust *trust, uint32_t epoch,
                      uint32_t budget) {
    const struct trust_checkpoint *checkpoint = trust_checkpoint_at(trust, epoch);
    uint32_t steps = 0;
    decide_begin(decide, trust, checkpoint);
    while (!decide_step(decide, trust, budget)) {
        assert_true(++steps < 1000000);
        assert_in_range(decide->spent, 0, budget + DECIDE_BUDGET_PAST);
    }
}

static void assert_same(const struct decide *a, const struct decide *b) {
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->members, b->members);
    assert_int_equal(a->wanted, b->wanted);
    for (uint32_t i = 0; i < a->count; i++) {
        const struct decide_row *x = &a->rows[i], *y = &b->rows[i];
        assert_true(node_id_equal(&x->id, &y->id));
        assert_int_equal(x->verdict, y->verdict);
        assert_string_equal(x->reason, y->reason);
        assert_true(x->gate == y->gate && x->is_member == y->is_member);
        assert_true(x->score == y->score && x->draw == y->draw && x->threshold == y->threshold);
        assert_true(x->rate == y->rate && x->witnessed_s == y->witnessed_s);
    }
}

static uint32_t promoted(const struct decide *decide) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < decide->count; i++) {
        count += decide->rows[i].verdict == POLICY_PROMOTE;
    }
    return count;
}

/* One who knows it all in the order it was made. */
struct decider {
    struct trust trust;
    struct decide decide;
};

static void open_decider(struct decider *decider, uint64_t seed) {
    open_trust(&decider->trust, seed);
    decide_init(&decider->decide, &network, &identities[0].crypto, seed);
}

static void close_decider(struct decider *decider) {
    decide_free(&decider->decide);
    trust_free(&decider->trust);
}

static void test_any_order(void **state) {
    (void)state;
    struct evidence evidence;
    make_electing_network();
    uint32_t all = 0;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct decider first, other;
        make_evidence(&evidence, seed);
        open_decider(&first, 100 + seed);
        open_decider(&other, 200 + seed);
        take_shuffled(&first.trust, &evidence, 300 + seed);
        take_shuffled(&other.trust, &evidence, 400 + seed);
        decide_at(&first.decide, &first.trust, EPOCH, 20000);
        decide_at(&other.decide, &other.trust, EPOCH, 7); /* and in other slices */
        assert_same(&first.decide, &other.decide);
        assert_int_equal(first.decide.count, LAST);
        all += promoted(&first.decide);
        close_decider(&first);
        close_decider(&other);
        free_evidence(&evidence);
    }
    assert_true(all >= 8); /* there was something to decide */
}

/* A row that comes after one decision counts in the next: whoever was offline then decides as those
 * who were not. */
static void test_late_row(void **state) {
    (void)state;
    struct evidence evidence;
    make_electing_network();
    make_evidence(&evidence, 21);
    struct decider there, late;
    open_decider(&there, 22);
    open_decider(&late, 23);
    take_shuffled(&there.trust, &evidence, 24);
    uint32_t missed = evidence.count - MEMBERS - 1; /* of the epoch before the last */
    struct buf row = evidence.records[missed].bytes;
    assert_int_equal(evidence.records[missed].type, MSG_ROW);
    evidence.records[missed].bytes = evidence.records[0].bytes; /* known anyway */
    evidence.records[missed].type = evidence.records[0].type;
    take_shuffled(&late.trust, &evidence, 25);
    decide_at(&there.decide, &there.trust, EPOCH - 1, 20000);
    decide_at(&late.decide, &late.trust, EPOCH - 1, 20000);
    assert_int_equal(take(&late.trust, MSG_ROW, &row), OK);
    decide_at(&there.decide, &there.trust, EPOCH, 20000);
    decide_at(&late.decide, &late.trust, EPOCH, 20000);
    assert_same(&there.decide, &late.decide);
    evidence.records[missed].bytes = row;
    close_decider(&there);
    close_decider(&late);
    free_evidence(&evidence);
}

/* So does what a FRAUD takes away, also of past epochs. */
static void test_late_fraud(void **state) {
    (void)state;
    struct evidence evidence;
    struct rng rng;
    make_electing_network();
    make_evidence(&evidence, 31);
    rng_seed(&rng, 32);
    struct buf twin = measured_row(people[4], EPOCH, &rng);
    struct decider before, after;
    open_decider(&before, 33);
    open_decider(&after, 34);
    take_shuffled(&before.trust, &evidence, 35);
    take_shuffled(&after.trust, &evidence, 36);
    decide_at(&after.decide, &after.trust, EPOCH - 1, 20000);
    assert_int_equal(take(&before.trust, MSG_ROW, &twin), OK);
    assert_int_equal(take(&after.trust, MSG_ROW, &twin), OK);
    assert_true(trust_is_fraud(&after.trust, &people[4]->id));
    decide_at(&before.decide, &before.trust, EPOCH, 20000);
    decide_at(&after.decide, &after.trust, EPOCH, 20000);
    assert_same(&before.decide, &after.decide);
    const struct decide_row *row = decide_find(&after.decide, &people[4]->id);
    assert_true(row != NULL && (row->gate & DECISION_GATE_HONEST) == 0);
    buf_free(&twin);
    close_decider(&before);
    close_decider(&after);
    free_evidence(&evidence);
}

/* Two rows of one issuer that cannot both be true. */
static struct buf proof_against(struct test_identity *liar) {
    struct buf rows[2] = {{0}, {0}}, proof = {0};
    struct signer_env env = signer(liar);
    for (uint8_t i = 0; i < 2; i++) {
        struct row_record row = {
            .issuer = liar->id, .epoch = EPOCH, .count = 1, .entries = {{people[0]->id, 1u + i}}};
        wire_row_sign(&row, &env);
        wire_row_encode(&rows[i], &row);
    }
    bool is_first = wire_compare_signed(slice_of(&rows[0]), slice_of(&rows[1])) < 0;
    struct fraud fraud = {.type = RECORD_ROW,
                          .first = slice_of(&rows[!is_first]),
                          .second = slice_of(&rows[is_first])};
    wire_fraud_encode(&proof, &fraud);
    buf_free(&rows[0]);
    buf_free(&rows[1]);
    return proof;
}

/* A condemned candidate takes nobody's seat, whatever it claims, and a condemned supernode keeps
 * none: who never heard of the one decides as who knows what it is. */
static void test_the_condemned_stand_for_nothing(void **state) {
    (void)state;
    struct evidence evidence;
    make_electing_network();
    strcpy(network.promotion.policy, "self-declared");
    assert_int_equal(network_seal(&network, &people[0]->crypto), OK);
    make_evidence(&evidence, 51);
    struct decider before, after;
    open_decider(&before, 52);
    open_decider(&after, 53);
    take_shuffled(&before.trust, &evidence, 54);
    take_shuffled(&after.trust, &evidence, 55);
    struct buf entered = candidacy_of(people[LAST], people[LAST], EPOCH, 1024);
    struct buf proof = proof_against(people[LAST]), other = proof_against(people[4]);
    assert_int_equal(take(&after.trust, MSG_CANDIDACY, &entered), OK);
    assert_int_equal(take(&after.trust, MSG_FRAUD, &proof), OK);
    assert_int_equal(take(&before.trust, MSG_FRAUD, &other), OK);
    assert_int_equal(take(&after.trust, MSG_FRAUD, &other), OK);
    struct hash one, same;
    trust_candidate_root(&before.trust, EPOCH, NULL, 0, &one);
    trust_candidate_root(&after.trust, EPOCH, NULL, 0, &same);
    assert_memory_equal(one.b, same.b, sizeof one.b);
    decide_at(&before.decide, &before.trust, EPOCH, 20000);
    decide_at(&after.decide, &after.trust, EPOCH, 20000);
    assert_same(&before.decide, &after.decide);
    const struct decide_row *row = decide_find(&after.decide, &people[4]->id);
    assert_true(row != NULL && row->verdict == POLICY_DEMOTE);
    buf_free(&entered);
    buf_free(&proof);
    buf_free(&other);
    close_decider(&before);
    close_decider(&after);
    free_evidence(&evidence);
}

/* True when a candidate that all members reached so many epochs ago, and one of them since, may
 * still have a seat. */
static bool counts_as_reached(uint32_t ago) {
    struct decider decider;
    make_electing_network();
    open_decider(&decider, 41);
    for (uint32_t epoch = EPOCH - EPOCHS + 1; epoch <= EPOCH; epoch++) {
        struct buf records[] = {checkpoint_of(0, epoch, MEMBERS, 1),
                                members_of(0, epoch, MEMBERS, (struct slice){0})};
        assert_int_equal(take(&decider.trust, MSG_CHECKPOINT, &records[0]), OK);
        assert_int_equal(take(&decider.trust, MSG_MEMBERS, &records[1]), OK);
        buf_free(&records[0]);
        buf_free(&records[1]);
        for (uint32_t i = 0; i < MEMBERS; i++) {
            struct row_record row = {.issuer = people[i]->id, .epoch = epoch};
            if (i == 0 || epoch + ago == EPOCH) {
                row.entries[row.count++] = (struct row_entry){people[LAST - 1]->id, 1000};
            }
            struct buf bytes = {0};
            struct signer_env env = signer(people[i]);
            wire_row_sign(&row, &env);
            wire_row_encode(&bytes, &row);
            assert_int_equal(take(&decider.trust, MSG_ROW, &bytes), OK);
            buf_free(&bytes);
        }
    }
    struct buf candidacy = candidacy_of(people[LAST - 1], people[LAST - 1], EPOCH, 1024);
    assert_int_equal(take(&decider.trust, MSG_CANDIDACY, &candidacy), OK);
    buf_free(&candidacy);
    decide_at(&decider.decide, &decider.trust, EPOCH, 20000);
    const struct decide_row *row = decide_find(&decider.decide, &people[LAST - 1]->id);
    bool counts = row != NULL && (row->gate & DECISION_GATE_DIALLED) != 0;
    close_decider(&decider);
    return counts;
}

/* Those who were to measure it may have left, or name their friends alone. */
static void test_the_gate_looks_back(void **state) {
    (void)state;
    assert_true(counts_as_reached(0));
    assert_true(counts_as_reached(3));
    assert_false(counts_as_reached(4));
}

/* What is decided at EPOCH about one who has been a member for so many epochs and has sent no
 * candidacy since; rate_kib > 0: it says in this one what it gives. */
static struct decide_row decided_about(uint32_t epochs, uint32_t rate_kib) {
    struct decider decider;
    make_electing_network();
    network.promotion.dwell_s = 3 * EPOCH_S;
    assert_int_equal(network_seal(&network, &people[0]->crypto), OK);
    open_decider(&decider, 51);
    for (uint32_t epoch = EPOCH - EPOCHS + 1; epoch <= EPOCH; epoch++) {
        struct hash hash;
        fix(&decider.trust, epoch, (uint16_t)(MEMBERS - (epoch + epochs <= EPOCH)), &hash);
    }
    struct test_identity *last = people[MEMBERS - 1];
    struct buf candidacy = candidacy_of(last, last, EPOCH, rate_kib > 0 ? rate_kib : 1);
    if (rate_kib > 0) {
        assert_int_equal(take(&decider.trust, MSG_CANDIDACY, &candidacy), OK);
    }
    buf_free(&candidacy);
    decide_at(&decider.decide, &decider.trust, EPOCH, 20000);
    const struct decide_row *found = decide_find(&decider.decide, &last->id);
    assert_non_null(found);
    struct decide_row row = *found;
    close_decider(&decider);
    return row;
}

/* A peer without a parent can tell nobody that it consents: that ends no role within the dwell
 * time. */
static void test_silence_is_consent_for_a_while(void **state) {
    (void)state;
    for (uint32_t epochs = 1; epochs <= 3; epochs++) {
        struct decide_row row = decided_about(epochs, 0);
        assert_true(row.is_member);
        assert_int_equal(row.verdict, POLICY_KEEP);
    }
    struct decide_row row = decided_about(4, 0);
    assert_int_equal(row.verdict, POLICY_DEMOTE);
    assert_string_equal(row.reason, "does not consent");
    row = decided_about(2, 1); /* who speaks is believed, too */
    assert_int_equal(row.verdict, POLICY_DEMOTE);
}

/* How many seats are wanted when five members are half full and one tells this of itself. */
static uint32_t wanted_with(uint16_t leaves, uint16_t slots) {
    struct decider decider;
    struct hash hash;
    make_electing_network();
    network.promotion.seats_min = 3;
    assert_int_equal(network_seal(&network, &people[0]->crypto), OK);
    open_decider(&decider, 61);
    fix(&decider.trust, EPOCH, MEMBERS, &hash);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        struct row_record row = {.issuer = people[i]->id, .epoch = EPOCH};
        struct row_load load = {.leaves = LEAVES_MAX / 2, .slots = LEAVES_MAX};
        load.leaves = i == MEMBERS - 1 ? leaves : load.leaves;
        load.slots = i == MEMBERS - 1 ? slots : load.slots;
        struct buf tlvs = {0}, bytes = {0};
        wire_row_load_put(&tlvs, &load);
        row.tlvs = slice_of(&tlvs);
        struct signer_env env = signer(people[i]);
        wire_row_sign(&row, &env);
        wire_row_encode(&bytes, &row);
        assert_int_equal(take(&decider.trust, MSG_ROW, &bytes), OK);
        buf_free(&tlvs);
        buf_free(&bytes);
    }
    decide_at(&decider.decide, &decider.trust, EPOCH, 20000);
    uint32_t wanted = decider.decide.wanted;
    close_decider(&decider);
    return wanted;
}

/* What one says of its own load weighs no more than what any other says. */
static void test_one_load_is_one_of_many(void **state) {
    (void)state;
    assert_int_equal(wanted_with(LEAVES_MAX / 2, LEAVES_MAX), MEMBERS);
    assert_int_equal(wanted_with(UINT16_MAX, UINT16_MAX), MEMBERS);
    assert_int_equal(wanted_with(0, UINT16_MAX), MEMBERS);
    assert_int_equal(wanted_with(UINT16_MAX, 1), MEMBERS);
    assert_int_equal(wanted_with(UINT16_MAX, 0), MEMBERS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_late_row),
        cmocka_unit_test(test_late_fraud),
        cmocka_unit_test(test_the_condemned_stand_for_nothing),
        cmocka_unit_test(test_the_gate_looks_back),
        cmocka_unit_test(test_one_load_is_one_of_many),
        cmocka_unit_test(test_silence_is_consent_for_a_while),
    };
    return cmocka_run_group_tests(tests, make_people, free_people);
}
