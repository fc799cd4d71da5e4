/* test_policy.c - who is promoted: gates, seats, dwell times, and what each policy goes by. */
#include "tests/unit/testlib.h"

#include "common/limits.h"
#include "common/mem.h"
#include "common/policy.h"
#include "common/rank.h"

#define NODES 60
#define HOUR_S 3600

static struct crypto crypto = {.sha256 = test_sha256};

struct town {
    struct policy_view view;
    struct policy_node nodes[NODES];
    struct policy_decision decisions[NODES];
    struct beacon beacons[SEATS_TERM_EPOCHS];
    struct rng rng;
};

/* One anchor and NODES - 1 candidates of growing rates and ages, that say of themselves what is
 * true. */
static void town_init(struct town *town) {
    memset(town, 0, sizeof *town);
    rng_seed(&town->rng, 5);
    for (uint32_t i = 0; i < SEATS_TERM_EPOCHS; i++) {
        rng_fill(&town->rng, town->beacons[i].hash.b, HASH_BYTES);
        town->beacons[i].epoch = 100 - i;
    }
    town->view = (struct policy_view){.crypto = &crypto,
                                      .beacons = {town->beacons, SEATS_TERM_EPOCHS},
                                      .epoch_s = HOUR_S,
                                      .dwell_s = HOUR_S,
                                      .members = 1,
                                      .slots = 300,
                                      .used = 100};
    for (uint32_t i = 0; i < NODES; i++) {
        struct policy_node *node = &town->nodes[i];
        rng_fill(&town->rng, node->id.b, sizeof node->id.b);
        node->is_anchor = node->is_member = i == 0;
        node->consents = node->is_gated = true;
        node->mass = RANK_ONE / 1000 * (1 + i % 7);
        node->measured_rate = 50000 + 1000 * i;
        node->witnessed_s = 20000 + 100 * ((i * 7) % NODES);
        node->role_s = UINT32_MAX;
        node->claimed = (struct policy_claims){node->measured_rate, 4 * node->measured_rate,
                                               node->witnessed_s, node->witnessed_s, true};
        node->slots = 300;
        node->leaves = 50;
    }
}

static uint32_t decide(struct town *town, const char *name) {
    return policy_decide(policy_find(name), &town->view, town->nodes, NODES, town->decisions);
}

static uint32_t count(const struct town *town, enum policy_verdict verdict) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < NODES; i++) {
        assert_non_null(town->decisions[i].reason);
        found += town->decisions[i].verdict == verdict;
    }
    return found;
}

/* What was decided happens, and an epoch passes. */
static void carry_out(struct town *town, uint32_t wanted) {
    for (uint32_t i = 0; i < NODES; i++) {
        struct policy_node *node = &town->nodes[i];
        bool changes = town->decisions[i].verdict != POLICY_KEEP;
        assert_true(!changes || (town->decisions[i].verdict == POLICY_PROMOTE) != node->is_member);
        node->is_member ^= changes;
        town->view.members += changes ? (node->is_member ? 1 : UINT32_MAX) : 0;
        node->role_s = changes                      ? 0
                       : node->role_s == UINT32_MAX ? UINT32_MAX
                                                    : node->role_s + town->view.epoch_s;
    }
    town->view.wanted = wanted;
    town->view.slots = 300ULL * town->view.members;
    memmove(town->beacons + 1, town->beacons, sizeof town->beacons - sizeof *town->beacons);
    town->beacons[0].epoch++;
    rng_fill(&town->rng, town->beacons[0].hash.b, HASH_BYTES);
}

static void test_table(void **state) {
    (void)state;
    static const char *const names[] = {"reputation", "capacity",      "age",
                                        "random",     "limewire",      "gtk-gnutella",
                                        "dlm",        "self-declared", "eigentrust"};
    for (size_t i = 0; i < LENGTH(names); i++) {
        assert_non_null(policy_find(names[i]));
        assert_string_equal(policy_at((uint32_t)i)->name, names[i]);
        struct town town;
        town_init(&town);
        decide(&town, names[i]); /* any of them decides about everybody, with a reason */
        assert_int_equal(town.decisions[0].verdict, POLICY_KEEP);
        assert_true(count(&town, POLICY_DEMOTE) == 0);
        policy_decide(policy_find(names[i]), &town.view, NULL, 0, NULL);
    }
    assert_null(policy_at(LENGTH(names)));
    assert_null(policy_find("oracle"));
    assert_string_equal(policy_find(NULL)->name, "reputation");
}

/* Grows from one anchor to the minimum at once, then by one in an epoch while it is full. */
static void test_growth(void **state) {
    (void)state;
    static const char *const names[] = {"reputation", "capacity",      "age",
                                        "random",     "self-declared", "eigentrust"};
    for (size_t i = 0; i < LENGTH(names); i++) {
        struct town town;
        town_init(&town);
        uint32_t wanted = decide(&town, names[i]);
        assert_int_equal(wanted, SEATS_MIN);
        assert_int_equal(count(&town, POLICY_PROMOTE), SEATS_MIN - 1);
        carry_out(&town, wanted);
        for (uint32_t members = SEATS_MIN; members < 8; members++) {
            town.view.used = town.view.slots * 9 / 10;
            carry_out(&town, decide(&town, names[i]));
            assert_int_equal(town.view.members, members + 1);
        }
        for (uint32_t members = 8; members > SEATS_MIN; members--) {
            for (uint32_t j = 0; j < NODES; j++) {
                town.nodes[j].role_s = HOUR_S;
            }
            town.view.used = 0;
            carry_out(&town, decide(&town, names[i]));
            assert_int_equal(town.view.members, members - 1);
        }
        carry_out(&town, decide(&town, names[i]));
        assert_int_equal(town.view.members, SEATS_MIN);
    }
}

static void test_gate(void **state) {
    (void)state;
    struct town town;
    town_init(&town);
    town.view.minimum = 20;
    for (uint32_t i = 1; i < NODES; i++) {
        town.nodes[i].is_gated = i >= 10;
        town.nodes[i].consents = i != 10;
    }
    town.nodes[1].is_member = town.nodes[10].is_member = true;
    town.view.members = 3;
    decide(&town, "reputation");
    assert_int_equal(town.decisions[1].verdict, POLICY_DEMOTE);
    assert_string_equal(town.decisions[1].reason, "fails the gate");
    assert_int_equal(town.decisions[10].verdict, POLICY_DEMOTE);
    assert_string_equal(town.decisions[10].reason, "does not consent");
    for (uint32_t i = 2; i < 10; i++) {
        assert_int_equal(town.decisions[i].verdict, POLICY_KEEP);
    }
    assert_int_equal(count(&town, POLICY_PROMOTE), 19);
    /* Nobody without mass is ever promoted, though seats are free. */
    town.view.minimum = 1000;
    town.nodes[20].mass = 0;
    decide(&town, "reputation");
    assert_int_equal(town.decisions[20].verdict, POLICY_KEEP);
    assert_int_equal(count(&town, POLICY_PROMOTE), NODES - 12);
}

static void test_frozen(void **state) {
    (void)state;
    struct town town;
    town_init(&town);
    town.view.is_frozen = true;
    town.view.wanted = 7;
    for (uint32_t i = 1; i < 7; i++) {
        town.nodes[i].is_member = true;
        town.nodes[i].is_gated = false;
    }
    for (uint32_t i = 0; policy_at(i) != NULL; i++) {
        assert_int_equal(decide(&town, policy_at(i)->name), 7);
        assert_int_equal(count(&town, POLICY_KEEP), NODES);
    }
}

/* A verdict is what the row says that explains it: number below threshold, or not. */
static void test_explained(void **state) {
    (void)state;
    struct town town;
    town_init(&town);
    town.view.minimum = 12;
    decide(&town, "reputation");
    for (uint32_t i = 1; i < NODES; i++) {
        const struct policy_decision *decision = &town.decisions[i];
        assert_true((decision->draw < decision->threshold) ==
                    (decision->verdict == POLICY_PROMOTE));
        assert_true(decision->score == town.nodes[i].mass);
    }
}

/* The three that believe a node are taken in by it; the others look elsewhere. */
static void test_claims(void **state) {
    (void)state;
    for (uint32_t i = 0; policy_at(i) != NULL; i++) {
        const struct policy *policy = policy_at(i);
        struct town town, lied;
        town_init(&town);
        town.view.used = town.view.slots;
        for (uint32_t j = 1; j < NODES; j++) {
            town.nodes[j].claimed = (struct policy_claims){0};
        }
        lied = town;
        lied.view.beacons.list = lied.beacons;
        lied.nodes[5].claimed = (struct policy_claims){1 << 30, 1 << 30, 1 << 20, 1 << 20, true};
        lied.nodes[5].is_gated = town.nodes[5].is_gated = false;
        decide(&town, policy->name);
        decide(&lied, policy->name);
        assert_int_equal(town.decisions[5].verdict, POLICY_KEEP);
        assert_int_equal(lied.decisions[5].verdict,
                         policy->believes_claims ? POLICY_PROMOTE : POLICY_KEEP);
    }
    assert_true(policy_find("self-declared")->believes_claims);
    assert_true(policy_find("limewire")->believes_claims);
    assert_true(policy_find("gtk-gnutella")->believes_claims);
    assert_false(policy_find("reputation")->believes_claims);
}

static void test_order_of_merit(void **state) {
    (void)state;
    struct town town;
    town_init(&town);
    decide(&town, "capacity"); /* two seats beside the anchor's */
    assert_int_equal(town.decisions[NODES - 1].verdict, POLICY_PROMOTE);
    assert_int_equal(town.decisions[NODES - 2].verdict, POLICY_PROMOTE);
    decide(&town, "age");
    for (uint32_t i = 1; i < NODES; i++) {
        assert_int_equal(town.decisions[i].verdict == POLICY_PROMOTE,
                         town.nodes[i].witnessed_s >= 20000 + 100 * (NODES - 2));
    }
    town.nodes[9].mass = town.nodes[8].mass = RANK_ONE / 10;
    decide(&town, "eigentrust");
    assert_int_equal(town.decisions[8].verdict, POLICY_PROMOTE);
    assert_int_equal(town.decisions[9].verdict, POLICY_PROMOTE);
}

static void test_limewire(void **state) {
    (void)state;
    static const struct {
        struct policy_claims claims;
        bool is_capable;
    } rows[] = {
        {{10240, 0, 0, 3600, true}, true},          {{10239, 20479, 9999, 9999, true}, false},
        {{0, 20480, 7200, 0, true}, true},          {{0, 20480, 7199, 3599, true}, false},
        {{10240, 20480, 9999, 9999, false}, false},
    };
    struct town town;
    town_init(&town);
    for (size_t i = 0; i < LENGTH(rows); i++) {
        town.nodes[1].claimed = rows[i].claims;
        town.view.used = 270;
        decide(&town, "limewire");
        assert_int_equal(town.decisions[1].verdict == POLICY_PROMOTE, rows[i].is_capable);
        town.view.used = 269; /* less than 90 %: no supernode is needed */
        decide(&town, "limewire");
        assert_int_equal(count(&town, POLICY_PROMOTE), 0);
    }
    town.nodes[2].is_member = true;
    town.nodes[2].leaves = 0;
    decide(&town, "limewire");
    assert_int_equal(town.decisions[2].verdict, POLICY_DEMOTE);
}

static void test_gtk_gnutella(void **state) {
    (void)state;
    static const struct {
        struct policy_claims claims;
        bool is_qualified;
    } rows[] = {
        {{14976, 0, 3601, 10800, true}, true},   {{14975, 99999, 3601, 10800, true}, false},
        {{14976, 0, 3600, 10800, true}, false},  {{14976, 0, 3601, 10799, true}, false},
        {{14976, 0, 3601, 10800, false}, false},
    };
    struct town town;
    town_init(&town);
    for (size_t i = 0; i < LENGTH(rows); i++) {
        town.nodes[1].claimed = rows[i].claims;
        decide(&town, "gtk-gnutella");
        assert_int_equal(town.decisions[1].verdict == POLICY_PROMOTE, rows[i].is_qualified);
    }
}

/* More leaves than aimed at: the able and old rise; fewer: the worst fall; and then it rests. */
static void test_dlm(void **state) {
    (void)state;
    struct town town;
    town_init(&town);
    for (uint32_t i = 1; i < 8; i++) {
        town.nodes[i * 3].is_member = true;
    }
    town.view.members = 8;
    town.view.slots = 2400;
    town.view.used = 2300; /* 1,200 are aimed at */
    decide(&town, "dlm");
    uint32_t rising = count(&town, POLICY_PROMOTE);
    assert_in_range(rising, 3, 20);
    assert_int_equal(town.decisions[NODES - 1].verdict, POLICY_PROMOTE);
    assert_int_equal(town.decisions[1].verdict, POLICY_KEEP);
    town.view.used = 200;
    decide(&town, "dlm");
    assert_in_range(count(&town, POLICY_DEMOTE), 3, 7);
    assert_in_range(count(&town, POLICY_PROMOTE), 0, 1); /* an able one, when enough are gone */
}

/* Loads, masses and gates that jump about: nobody changes his role twice within the dwell time
 * unless he fails the gate, and never are there more seats taken than the load asks for. */
static void test_dwell(void **state) {
    (void)state;
    for (uint32_t at = 0; policy_at(at) != NULL; at++) {
        const char *name = policy_at(at)->name;
        struct town town;
        town_init(&town);
        town.view.epoch_s = 600;
        town.view.dwell_s = 3000;
        uint32_t wanted = 0, changes = 0;
        for (uint32_t epoch = 0; epoch < 300; epoch++) {
            uint64_t used = (epoch / 40 % 2 + 1) * 1500 + rng_below(&town.rng, 600);
            town.view.used = used < town.view.slots ? used : town.view.slots;
            for (uint32_t i = 1; i < NODES; i++) {
                town.nodes[i].mass = RANK_ONE / 10000 * (1 + rng_below(&town.rng, 50));
                town.nodes[i].claimed.up_rate = rng_below(&town.rng, 100000);
                town.nodes[i].leaves = (uint32_t)rng_below(&town.rng, 3);
            }
            wanted = decide(&town, name);
            for (uint32_t i = 0; i < NODES; i++) {
                bool changed = town.decisions[i].verdict != POLICY_KEEP;
                changes += changed;
                assert_false(changed && town.nodes[i].role_s < town.view.dwell_s);
            }
            carry_out(&town, wanted);
            assert_true(policy_at(at)->decide != NULL || town.view.members <= wanted + 5);
        }
        assert_true(changes > 5 && town.nodes[0].is_member);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),          cmocka_unit_test(test_growth),
        cmocka_unit_test(test_gate),           cmocka_unit_test(test_frozen),
        cmocka_unit_test(test_explained),      cmocka_unit_test(test_claims),
        cmocka_unit_test(test_order_of_merit), cmocka_unit_test(test_limewire),
        cmocka_unit_test(test_gtk_gnutella),   cmocka_unit_test(test_dlm),
        cmocka_unit_test(test_dwell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
