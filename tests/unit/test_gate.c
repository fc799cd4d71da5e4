/* test_gate.c - who may begin a handshake, when there are few and when there are too many. */
#include "src/host/gate.h"
#include "tests/unit/testlib.h"

#define S 1000000ull

struct world {
    struct gate gate;
    struct driver_counts counts;
};

static struct world *world_new(void) {
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    gate_init(&world->gate, 0, 1, &world->counts);
    return world;
}

static void world_free(struct world *world) {
    gate_free(&world->gate);
    free(world);
}

static struct address address_number(uint32_t number) {
    return (struct address){
        .family = ADDRESS_IPV4,
        .ip = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number},
        .port = (uint16_t)number};
}

/* Try so many handshakes of one address; return how many were let in. They stay under way. */
static uint32_t enter(struct world *world, uint32_t number, uint32_t tries, uint64_t now_us) {
    uint32_t entered = 0;
    struct address address = address_number(number);
    for (uint32_t i = 0; i < tries; i++) {
        entered += gate_enter(&world->gate, &address, now_us) == GATE_OPEN;
    }
    return entered;
}

static void leave(struct world *world, uint32_t number, uint32_t count, bool proven) {
    struct address address = address_number(number);
    for (uint32_t i = 0; i < count; i++) {
        gate_left(&world->gate, &address, proven);
    }
}

/* Enter and leave at once, as a handshake that is over quickly. */
static uint32_t pass(struct world *world, uint32_t number, uint32_t tries, uint64_t now_us) {
    uint32_t passed = 0;
    for (uint32_t i = 0; i < tries; i++) {
        if (enter(world, number, 1, now_us) == 1) {
            leave(world, number, 1, true);
            passed++;
        }
    }
    return passed;
}

static void one_address_may_use_what_nobody_wants(void **state) {
    (void)state;
    struct world *world = world_new();
    assert_int_equal(pass(world, 1, 90, S), 90);
    for (uint64_t t = 2; t < 10; t++) {
        assert_int_equal(pass(world, 1, 90, t * S), 90);
    }
    assert_int_equal(world->counts.refused_share, 0);
    assert_int_equal(world->counts.accepted, 9 * 90);
    assert_int_equal(meter_per_s(&world->counts.accepting, 10 * S), 90);
    world_free(world);
}

/* More than half of a second's handshakes are used up: who has had 16 must wait, others not. */
static void too_many_are_shared(void **state) {
    (void)state;
    struct world *world = world_new();
    uint32_t half = HANDSHAKES_PER_S * HANDSHAKES_BURST_S / 2 + 1;
    assert_int_equal(pass(world, 1, 1000, S), half);
    assert_int_equal(world->counts.refused_share, 1000 - half);
    assert_int_equal(pass(world, 2, HANDSHAKES_SHARE_BURST, S), HANDSHAKES_SHARE_BURST);
    assert_int_equal(pass(world, 2, 1, S), 0);
    assert_int_equal(pass(world, 3, 1, S), 1);
    /* Refused ones were not charged: there is still room at once. */
    assert_int_equal(gate_wait(&world->gate, S), 0);
    world_free(world);
}

static void the_rate_has_an_end(void **state) {
    (void)state;
    struct world *world = world_new();
    uint32_t entered = 0;
    for (uint32_t i = 0; i < 1000 && gate_wait(&world->gate, S) == 0; i++) {
        entered += pass(world, i, 1, S);
    }
    assert_int_equal(entered, HANDSHAKES_PER_S * HANDSHAKES_BURST_S);
    assert_int_equal(gate_wait(&world->gate, S), S / HANDSHAKES_PER_S);
    assert_int_equal(gate_wait(&world->gate, S + S / HANDSHAKES_PER_S), 0);
    world_free(world);
}

/* Slow handshakes fill the places: no address holds more than four once half of them are taken, and
 * the last quarter is for those who have been here before. */
static void places_are_kept_for_the_known(void **state) {
    (void)state;
    struct world *world = world_new();
    assert_int_equal(pass(world, 1, 1, S), 1);
    uint32_t strangers = HANDSHAKES_PENDING_MAX / 4 * 3;
    uint32_t entered = 0;
    for (uint32_t i = 0; entered < strangers; i++) {
        assert_true(i < 1000);
        entered += enter(world, 100 + i, HANDSHAKES_SHARE_PENDING + 2, (2 + i) * S);
    }
    assert_int_equal(entered, strangers);
    assert_true(world->counts.refused_share > 0);
    uint64_t full = world->counts.refused_full;
    struct address stranger = address_number(5000);
    struct address known = address_number(1);
    assert_int_equal(gate_enter(&world->gate, &stranger, 2000 * S), GATE_FULL);
    assert_int_equal(gate_enter(&world->gate, &known, 2000 * S), GATE_OPEN);
    for (uint32_t i = 1; i < HANDSHAKES_SHARE_PENDING; i++) {
        assert_int_equal(gate_enter(&world->gate, &known, 2000 * S), GATE_OPEN);
    }
    assert_int_equal(gate_enter(&world->gate, &known, 2000 * S), GATE_SHARE);
    assert_int_equal(world->counts.handshakes, strangers + HANDSHAKES_SHARE_PENDING);
    assert_int_equal(world->counts.refused_full, full + 1);
    leave(world, 1, HANDSHAKES_SHARE_PENDING, false);
    assert_int_equal(world->counts.failed, HANDSHAKES_SHARE_PENDING);
    world_free(world);
}

/* An IPv6 host has a /64 to itself. */
static void a_prefix_is_one_address(void **state) {
    (void)state;
    struct world *world = world_new();
    (void)pass(world, 1, 1000, S); /* now it is shared */
    uint32_t entered = 0;
    for (uint8_t i = 0; i < 100; i++) {
        struct address address = {.family = ADDRESS_IPV6, .ip = {0x20, 1, 0xd, 0xb8}};
        address.ip[15] = i;
        if (gate_enter(&world->gate, &address, S) == GATE_OPEN) {
            entered++;
            gate_left(&world->gate, &address, false);
        }
    }
    assert_int_equal(entered, HANDSHAKES_SHARE_BURST);
    world_free(world);
}

static void strangers_do_not_bloat_it(void **state) {
    (void)state;
    struct world *world = world_new();
    assert_int_equal(pass(world, 1, 1, S), 1);
    for (uint32_t i = 0; i < 3 * GATE_ADDRESSES_MAX; i++) {
        assert_int_equal(enter(world, 2 + i, 1, S + i * S), 1);
        leave(world, 2 + i, 1, false);
    }
    assert_int_equal(world->gate.strangers.count, GATE_ADDRESSES_MAX);
    assert_int_equal(world->gate.known.count, 1);
    world_free(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_address_may_use_what_nobody_wants),
        cmocka_unit_test(too_many_are_shared),
        cmocka_unit_test(the_rate_has_an_end),
        cmocka_unit_test(places_are_kept_for_the_known),
        cmocka_unit_test(a_prefix_is_one_address),
        cmocka_unit_test(strangers_do_not_bloat_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
