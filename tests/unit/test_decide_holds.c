/* test_decide_holds.c - a decision is on the checkpoint that it was begun under, or none. */
#include "tests/unit/trust_people.h"

#include "common/decide.h"

static const struct trust_checkpoint *known(const struct trust *trust) {
    const struct trust_checkpoint *checkpoint = trust_checkpoint_at(trust, EPOCH);
    assert_non_null(checkpoint);
    return checkpoint;
}

static void take_one(struct trust *trust, uint8_t type, struct buf bytes) {
    assert_int_equal(take(trust, type, &bytes), OK);
    buf_free(&bytes);
}

static void finish(struct decide *decide, const struct trust *trust) {
    uint32_t steps = 0;
    while (!decide_step(decide, trust, 100)) {
        assert_true(++steps < 100000);
    }
}

static void test_replaced_checkpoint(void **state) {
    (void)state;
    struct trust trust;
    struct decide decide;
    const struct slice none = {0};
    make_network(2);
    snprintf(network.promotion.policy, sizeof network.promotion.policy, "%s",
             policy_find(NULL)->name);
    open_trust(&trust, 1);
    decide_init(&decide, &network, &people[0]->crypto, 2);
    take_one(&trust, MSG_CHECKPOINT, checkpoint_of(1, EPOCH, 3, 1));
    take_one(&trust, MSG_MEMBERS, members_of(0, EPOCH, 3, none));
    decide_begin(&decide, &trust, known(&trust));
    finish(&decide, &trust);
    assert_true(decide_holds(&decide, &trust));
    assert_int_equal(decide.members, 3);

    decide_begin(&decide, &trust, known(&trust));
    take_one(&trust, MSG_CHECKPOINT, checkpoint_of(0, EPOCH, 5, 2)); /* the first anchor's counts */
    assert_true(decide_step(&decide, &trust, 100));                  /* for nothing */
    assert_false(decide_holds(&decide, &trust));
    take_one(&trust, MSG_MEMBERS, members_of(0, EPOCH, 5, none));
    assert_false(decide_holds(&decide, &trust));
    assert_true(decide_step(&decide, &trust, 100));
    decide_begin(&decide, &trust, known(&trust));
    finish(&decide, &trust);
    assert_true(decide_holds(&decide, &trust));
    assert_int_equal(decide.members, 5);
    decide_free(&decide);
    trust_free(&trust);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replaced_checkpoint),
    };
    return cmocka_run_group_tests(tests, make_people, free_people);
}
