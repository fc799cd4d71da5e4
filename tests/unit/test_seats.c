/* test_seats.c - the draw of supernodes: shares, splitting, terms, numbers of seats, committees. */
#include <math.h>
#include <stdio.h>

#include "tests/unit/testlib.h"

#include "common/limits.h"
#include "common/mem.h"
#include "common/rank.h"
#include "common/seats.h"

static struct crypto crypto = {.sha256 = test_sha256};

static struct node_id id_of(uint64_t number) {
    struct node_id id;
    struct rng rng;
    rng_seed(&rng, number);
    rng_fill(&rng, id.b, sizeof id.b);
    return id;
}

static double uniform(struct rng *rng) {
    return (double)(rng_u64(rng) >> 11) / (double)(1ULL << 53);
}

/* ---- Shares ---- */

struct setting {
    uint32_t honest; /* candidates */
    uint32_t wanted; /* seats */
    double share;    /* of all mass, held by the attacker */
    uint32_t forged; /* identities it is spread over */
    uint32_t draws;
    double sigma;
};

/* Line rates of honest candidates: log-normal. */
static void fill_honest(struct ticket *tickets, const struct setting *setting, struct rng *rng) {
    uint32_t count = setting->honest;
    double mass = 1 - setting->share, sum = 0, *rates = mem_array(count, sizeof *rates);
    for (uint32_t i = 0; i < count; i++) {
        double radius = sqrt(-2 * log(1 - uniform(rng)));
        rates[i] = exp(setting->sigma * radius * cos(2 * 3.141592653589793 * uniform(rng)));
        sum += rates[i];
    }
    for (uint32_t i = 0; i < count; i++) {
        tickets[i] = (struct ticket){.id = id_of(i),
                                     .mass = (uint64_t)(rates[i] / sum * mass * (double)RANK_ONE)};
    }
    mem_free(rates);
}

/* The share of the seats that the attacker gets on average. */
static double attacker_share(const struct setting *setting) {
    struct rng rng;
    rng_seed(&rng, 1);
    uint32_t count = setting->honest + setting->forged;
    struct ticket *all = mem_array(count, sizeof *all), *drawn = mem_array(count, sizeof *drawn);
    fill_honest(all, setting, &rng);
    for (uint32_t i = 0; i < setting->forged; i++) {
        all[setting->honest + i] = (struct ticket){
            .id = id_of(1000000 + i),
            .mass = (uint64_t)(setting->share / setting->forged * (double)RANK_ONE)};
    }
    uint64_t won = 0;
    for (uint32_t draw = 0; draw < setting->draws; draw++) {
        struct beacon beacon = {.epoch = draw};
        rng_fill(&rng, beacon.hash.b, sizeof beacon.hash.b);
        struct beacons beacons = {&beacon, 1};
        for (uint32_t i = 0; i < count; i++) {
            drawn[i] = all[i];
            drawn[i].number = seats_number(&crypto, &beacons, &all[i].id);
        }
        uint64_t price = seats_price(drawn, count, setting->wanted);
        uint32_t winners = 0;
        for (uint32_t i = 0; i < count; i++) {
            uint64_t number = seats_number(&crypto, &beacons, &all[i].id);
            bool wins = number < seats_threshold(all[i].mass, price);
            winners += wins;
            won += wins && i >= setting->honest;
        }
        assert_int_equal(winners, setting->wanted);
    }
    mem_free(all);
    mem_free(drawn);
    return (double)won / setting->draws / setting->wanted;
}

/* 5, 10 and 20 % of the rows hold 9, 16 to 17 and 27 to 28 % of the seats where a few honest lines
 * are so fast that their seats are certain, and little more than their part where none is; and no
 * more for being spread over 1,000 identities instead of 100. */
static void test_shares(void **state) {
    (void)state;
    static const double heavy[] = {.09, .165, .275};
    for (int i = 0; i < 3; i++) {
        double share = .05 * (1 << i);
        double few = attacker_share(&(struct setting){300, 100, share, 100, 60, 1.6});
        double many = attacker_share(&(struct setting){300, 100, share, 1000, 60, 1.6});
        double mild = attacker_share(&(struct setting){200, 30, share, 200, 60, 1});
        printf("mass %.2f: seats %.3f of 100 identities, %.3f of 1,000; equal lines %.3f\n", share,
               few, many, mild);
        assert_true(fabs(few - heavy[i]) < .02 && fabs(many - heavy[i]) < .02);
        assert_true(few <= 2 * share && many <= 2 * share);
        assert_true(fabs(few - many) < .015);
        assert_true(mild < 1.25 * share);
    }
}

/* One identity with all the mass of a thousand is worth its one seat; ten have ten. */
static void test_splitting(void **state) {
    (void)state;
    double one = attacker_share(&(struct setting){200, 30, .2, 1, 60, 1});
    double ten = attacker_share(&(struct setting){200, 30, .2, 10, 60, 1});
    double many = attacker_share(&(struct setting){200, 30, .2, 1000, 60, 1});
    assert_true(fabs(one - 1.0 / 30) < 1e-9);
    assert_true(ten > .15 && many < ten + .03);
}

static void test_draw(void **state) {
    (void)state;
    struct ticket tickets[4];
    for (uint32_t i = 0; i < 4; i++) {
        tickets[i] = (struct ticket){id_of(i), i == 3 ? 0 : RANK_ONE / 4, (uint64_t)(3 - i) << 60};
    }
    struct node_id first = tickets[2].id, none = tickets[3].id;
    assert_int_equal(seats_price(tickets, 0, 3), 1);
    /* Nobody without mass wins, however many seats there are. */
    assert_int_equal(seats_price(tickets, 4, 4), 1);
    assert_memory_equal(&tickets[0].id, &first, sizeof first);
    assert_memory_equal(&tickets[3].id, &none, sizeof none);
    assert_int_equal(seats_threshold(0, 1), 0);
    assert_true(seats_threshold(1, 1) == UINT64_MAX);
    assert_true(seats_threshold(1, 2) == 1ULL << 63);
    assert_true(seats_threshold(3, 4) == 3ULL << 62);
    for (uint32_t wanted = 0; wanted < 3; wanted++) {
        uint64_t price = seats_price(tickets, 4, wanted);
        for (uint32_t i = 0; i < 4; i++) {
            bool wins = tickets[i].number < seats_threshold(tickets[i].mass, price);
            assert_true(wins == (i < wanted));
        }
    }
}

/* A key's number changes once in a term, and not all numbers at once; epochs without a checkpoint
 * change nothing but that. */
static void test_terms(void **state) {
    (void)state;
    enum { KEYS = 600, TERMS = 5, EPOCHS = TERMS * SEATS_TERM_EPOCHS };
    struct beacon history[EPOCHS + 1]; /* newest first */
    struct rng rng;
    rng_seed(&rng, 3);
    for (uint32_t i = 0; i <= EPOCHS; i++) {
        rng_fill(&rng, history[i].hash.b, sizeof history[i].hash.b);
        history[i].epoch = EPOCHS - i + (i < EPOCHS / 2 ? 3 : 0); /* three are missing */
    }
    uint32_t changes_max = 0, changes = 0;
    for (uint32_t i = 0; i + 2 * SEATS_TERM_EPOCHS < EPOCHS; i++) {
        uint32_t changed = 0;
        for (uint32_t key = 0; key < KEYS; key++) {
            struct node_id id = id_of(key);
            struct beacons new = {history + i, SEATS_TERM_EPOCHS};
            struct beacons old = {history + i + 1, SEATS_TERM_EPOCHS};
            changed += seats_number(&crypto, &new, &id) != seats_number(&crypto, &old, &id);
        }
        changes += changed;
        changes_max = changed > changes_max ? changed : changes_max;
    }
    uint32_t per_epoch = KEYS / SEATS_TERM_EPOCHS;
    assert_in_range(changes, per_epoch * (EPOCHS - 2 * SEATS_TERM_EPOCHS + 2),
                    per_epoch * (EPOCHS - 2 * SEATS_TERM_EPOCHS + 4));
    assert_true(changes_max < 5 * per_epoch); /* after the gap: of four epochs */
}

/* A key and its masses, newest first. */
struct history {
    struct node_id id;
    struct seats_mass masses[SEATS_HISTORY];
    uint32_t count;
};

static uint64_t note(struct history *history, uint32_t epoch, uint64_t mass) {
    memmove(history->masses + 1, history->masses, sizeof history->masses - sizeof *history->masses);
    history->masses[0] = (struct seats_mass){epoch, mass};
    history->count += history->count < SEATS_HISTORY;
    return seats_counts(&history->id, history->masses, history->count);
}

/* Mass that comes after the number was drawn counts only for the next one; mass that goes is gone.
 */
static void test_masses(void **state) {
    (void)state;
    const uint32_t term = SEATS_TERM_EPOCHS;
    struct history history = {.count = 0}; /* this id's terms begin at 0, T, 2T ... */
    assert_int_equal(seats_counts(&history.id, NULL, 0), 0);
    for (uint32_t epoch = 0; epoch < 2 * term; epoch++) {
        uint64_t counts = note(&history, epoch, 100 * term);
        assert_int_equal(counts, 100 * (epoch < term ? epoch + 1 : term));
    }
    for (uint32_t epoch = 2 * term; epoch < 3 * term; epoch++) { /* ten times as much: too late */
        assert_int_equal(note(&history, epoch, 1000 * term), 100 * (term - 1) + 1000);
    }
    assert_int_equal(note(&history, 3 * term, 0), 1000 * (term - 1));
    assert_int_equal(note(&history, 3 * term + 1, 0), 1000 * (term - 2));
    for (uint32_t epoch = 3 * term + 2; epoch < 5 * term; epoch++) {
        note(&history, epoch, 0);
    }
    assert_int_equal(note(&history, 5 * term, 9000 * term), 9000);
    /* Who came in the middle of a term is not held to what he had not yet. */
    struct history late = {.count = 0};
    for (uint32_t epoch = 1; epoch <= term; epoch++) {
        assert_int_equal(note(&late, epoch, 100 * term), 100 * epoch);
    }
    assert_int_equal(note(&late, 9 * term, 100 * term), 100 * term); /* no decision in between */
}

/* One line that is lent to one key after the other, each just before its number is drawn, counts no
 * more in all than if it had stayed. */
static void test_lending(void **state) {
    (void)state;
    enum { KEYS = 100, EPOCHS = 10 * SEATS_TERM_EPOCHS };
    static struct history histories[KEYS];
    const uint64_t line = 1ULL << 40;
    for (uint32_t epoch = 0; epoch < EPOCHS; epoch++) {
        uint64_t sum = 0;
        for (uint32_t key = 0; key < KEYS; key++) {
            histories[key].id.b[31] = (uint8_t)key;
            sum += note(&histories[key], epoch, key == epoch * 7 % KEYS ? line : 0);
        }
        assert_true(sum <= line);
    }
}

static void test_wanted(void **state) {
    (void)state;
    static const struct {
        struct seats_load load;
        uint32_t wanted;
    } rows[] = {
        {{0, 0, 0, 0, 0}, SEATS_MIN}, {{0, 1, 300, 0, 0}, SEATS_MIN},
        {{10, 10, 1000, 700, 0}, 10}, {{10, 10, 1000, 701, 0}, 11},
        {{10, 10, 1000, 300, 0}, 10}, {{10, 10, 1000, 299, 0}, 9},
        {{3, 3, 300, 0, 0}, 3},       {{0, 10, 1000, 900, 0}, 11},
        {{10, 7, 700, 690, 0}, 10}, /* not all seats are taken yet: no more are made */
        {{10, 12, 1200, 100, 0}, 10}, /* those too many go first */ {{5, 5, 500, 0, 8}, 8},
        {{9, 9, 900, 10, 0}, 8},      {{SEATS_MAX, SEATS_MAX, 10, 10, 0}, SEATS_MAX},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        assert_int_equal(seats_wanted(&rows[i].load), rows[i].wanted);
    }
    /* Whatever the load, steps lead into the band and stay there: no oscillation. */
    for (uint64_t used = 100; used < 20000; used += 700) {
        struct seats_load load = {.wanted = 3, .members = 3};
        uint32_t turns = 0, before = 3;
        bool was_up = true;
        for (uint32_t epoch = 0; epoch < 400; epoch++) {
            load.slots = 100ULL * load.members;
            load.used = used < load.slots ? used : load.slots;
            load.wanted = seats_wanted(&load);
            load.members = load.wanted;
            turns += load.wanted != before && (load.wanted > before) != was_up;
            was_up = load.wanted != before ? load.wanted > before : was_up;
            before = load.wanted;
        }
        assert_int_equal(turns, 0);
        assert_true(load.wanted == SEATS_MIN || used <= 70ULL * load.wanted);
    }
}

static void test_quorum(void **state) {
    (void)state;
    static const uint32_t needed[] = {1, 1, 1, 1, 3, 4, 4, 5, 6, 6, 7, 8, 8, 9, 10, 10, 11, 11};
    for (uint32_t n = 0; n < LENGTH(needed); n++) {
        struct quorum quorum = seats_quorum(n);
        assert_int_equal(quorum.signatures, needed[n]);
        assert_int_equal(quorum.needs_anchor, n < 16);
        assert_int_equal(quorum.is_drawn, n >= 16);
        assert_int_equal(quorum.of, n < 16 ? n : 16);
        assert_true(seats_quorum_is_met(&quorum, needed[n], true));
        assert_int_equal(seats_quorum_is_met(&quorum, needed[n], false), n >= 16);
        assert_false(seats_quorum_is_met(&quorum, needed[n] - 1, true));
    }
}

static void test_committee(void **state) {
    (void)state;
    enum { MEMBERS = 40, SUBJECTS = 2000 };
    struct node_id members[MEMBERS];
    struct slice list = {members[0].b, sizeof members};
    uint32_t drawn[MEMBERS] = {0}, places[SEATS_COMMITTEE], again[SEATS_COMMITTEE];
    for (uint32_t i = 0; i < MEMBERS; i++) {
        members[i] = id_of(i);
    }
    struct hash beacon = {{7}};
    for (uint32_t subject = 0; subject < SUBJECTS; subject++) {
        struct node_id id = id_of(1000 + subject);
        assert_int_equal(seats_committee(&crypto, &beacon, &id, list, places), SEATS_COMMITTEE);
        assert_int_equal(seats_committee(&crypto, &beacon, &id, list, again), SEATS_COMMITTEE);
        assert_memory_equal(places, again, sizeof places);
        for (uint32_t i = 0; i < SEATS_COMMITTEE; i++) {
            drawn[places[i]]++;
            for (uint32_t j = 0; j < i; j++) {
                assert_true(places[i] != places[j]);
            }
        }
    }
    for (uint32_t i = 0; i < MEMBERS; i++) { /* 800 each, deviation 22 */
        assert_true(drawn[i] > 690 && drawn[i] < 910);
    }
    /* Nobody judges itself, and fewer than a committee are all. */
    list.len = 5 * sizeof members[0];
    assert_int_equal(seats_committee(&crypto, &beacon, &members[2], list, places), 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(places[i] != 2 && places[i] < 5);
    }
    list.len = 0;
    assert_int_equal(seats_committee(&crypto, &beacon, &members[2], list, places), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares),    cmocka_unit_test(test_splitting),
        cmocka_unit_test(test_draw),      cmocka_unit_test(test_terms),
        cmocka_unit_test(test_masses),    cmocka_unit_test(test_lending),
        cmocka_unit_test(test_wanted),    cmocka_unit_test(test_quorum),
        cmocka_unit_test(test_committee),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
