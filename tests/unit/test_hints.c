/* test_hints.c - what receipts of leaves do: better a lot within bounds, and nothing else. */
#include "tests/unit/supernode_stage.h"

#include "common/wire_receipt.h"
#include "supernode/hints.h"
#include "supernode/measure.h"

enum { CROWD = 200, MILLION = 1000000 };

/* The numbered candidate; whoever owns it cannot be reached. */
static void enter(struct stage *stage, uint16_t number) {
    static struct net_node owner;
    owner = (struct net_node){.env = stage->bob->place->env, .crypto = net_crypto};
    owner.crypto.context = &owner;
    owner.env.crypto = &owner.crypto;
    owner.env.id = (struct node_id){{0xee, (uint8_t)number, (uint8_t)(number >> 8)}};
    const struct fake fake = {.place = &owner};
    struct node_env sponsor = stage->one->env;
    struct buf bytes = candidacy_for(&fake, number, &sponsor);
    struct candidacy candidacy;
    struct signer_env env = {stage->one->env.crypto, &stage->net->network.id};
    struct trust_record *added;
    assert_int_equal(wire_candidacy_decode((struct slice){bytes.data, bytes.len}, &candidacy), OK);
    wire_candidacy_sponsor(&candidacy, &env);
    struct buf whole = {0};
    wire_candidacy_encode(&whole, &candidacy);
    assert_int_equal(
        trust_take(trust_of(stage), MSG_CANDIDACY, (struct slice){whole.data, whole.len}, &added),
        OK);
    buf_free(&bytes);
    buf_free(&whole);
}

static void enter_all(struct stage *stage) {
    for (uint16_t i = 1; i <= CROWD; i++) {
        enter(stage, i);
    }
}

static struct receipt receipt_of(const struct fake *leaf, uint8_t number) {
    struct receipt receipt = {.issuer = leaf->place->env.id,
                              .subject = {{0xee, number}},
                              .epoch = EPOCH_NOW,
                              .kind = RECEIPT_TRANSFER,
                              .amount = 5 << 20};
    return receipt;
}

static struct buf signed_receipt(const struct fake *leaf, struct receipt receipt) {
    struct signer_env env = {leaf->place->env.crypto, &leaf->place->net->network.id};
    struct buf bytes = {0};
    wire_receipt_sign(&receipt, &env);
    wire_receipt_encode(&bytes, &receipt);
    return bytes;
}

static void send_receipt(const struct fake *leaf, struct link *link, struct receipt receipt) {
    struct buf bytes = signed_receipt(leaf, receipt);
    fake_send(link, MSG_RECEIPT, &bytes);
    net_run(leaf->place->net, 1500);
}

static uint8_t hosts(const struct stage *stage, uint8_t number) {
    const struct node_id subject = {{number}};
    return hints_for(supernode_of(stage->one), &subject);
}

static void receipts_are_counted_by_address(void **state) {
    struct stage *stage = *state;
    enter_all(stage);
    for (uint8_t i = 1; i <= HINT_HOSTS_MAX + 1; i++) {
        struct fake *leaf = fake_add(stage->net);
        struct link *link = fake_dial(leaf, stage->one, PURPOSE_LEAF);
        send_receipt(leaf, link, receipt_of(leaf, 7));
        send_receipt(leaf, link, receipt_of(leaf, 7)); /* once more */
        assert_int_equal(hosts(stage, 7), i < HINT_HOSTS_MAX ? i : HINT_HOSTS_MAX);
        assert_false(link->closing);
    }
}

static void others_are_refused(void **state) {
    struct stage *stage = *state;
    enter_all(stage);
    struct fake *leaf = fake_add(stage->net);
    struct link *link = fake_dial(leaf, stage->one, PURPOSE_LEAF);
    struct receipt stale = receipt_of(leaf, 1), early = stale, unknown = stale;
    stale.epoch -= 2;
    early.epoch += 1;
    unknown.subject.b[5] = 1;
    send_receipt(leaf, link, stale);
    send_receipt(leaf, link, early);
    send_receipt(leaf, link, unknown);
    const struct supernode *supernode = supernode_of(stage->one);
    assert_int_equal(supernode->hints.count, 0);
    assert_int_equal(supernode->counts.receipts_ignored, 3);
    struct buf forged = signed_receipt(leaf, receipt_of(leaf, 1));
    forged.data[forged.len - 1] ^= 1;
    fake_send(link, MSG_RECEIPT, &forged);
    net_run(stage->net, 1500);
    assert_int_equal(supernode->hints.count, 0);
    assert_false(link->closing); /* one misdeed */
    struct receipt foreign = receipt_of(leaf, 1);
    foreign.issuer.b[3] ^= 1;
    send_receipt(leaf, link, foreign);
    assert_int_equal(leaf->closed, 1);
    assert_int_equal(supernode->hints.count, 0);
}

/* ---- The draw ---- */

/* Bit n: the candidate with this number is measured. */
struct drawn {
    bool is_in[CROWD + 1];
    uint32_t count;
};

/* So many candidates at a time. */
static struct drawn go_on_drawing(struct stage *stage, uint32_t budget) {
    struct supernode *supernode = supernode_of(stage->one);
    struct drawn drawn = {0};
    struct node_event event = {.kind = NODE_TIMER, .mono_us = stage->net->now_us};
    event.wall_s = NET_WALL_S + (int64_t)(event.mono_us / 1000000);
    links_begin(&supernode->links, &event, &stage->one->out);
    while (!measure_draw(supernode, budget)) {
    }
    uint32_t cursor = 0;
    for (const struct link *link; (link = links_next(&supernode->links, &cursor)) != NULL;) {
        if (link->purpose == PURPOSE_MEASURE && link->owner != NULL) {
            drawn.is_in[((const struct stream *)link->owner)->subject.b[0]] = true;
            drawn.count++;
        }
    }
    measure_end(supernode);
    outbox_clear(&stage->one->out);
    return drawn;
}

static struct drawn draw_by(struct stage *stage, uint32_t budget) {
    measure_dial(supernode_of(stage->one));
    return go_on_drawing(stage, budget);
}

static struct drawn draw(struct stage *stage) {
    return draw_by(stage, CROWD / 3);
}

static uint32_t differences(const struct drawn *a, const struct drawn *b) {
    uint32_t count = 0;
    for (uint32_t i = 1; i <= CROWD; i++) {
        count += a->is_in[i] && !b->is_in[i];
    }
    return count;
}

/* A million receipts of one identity: no record that a score is made of changes, and few places. */
static void a_million_receipts_are_eight(void **state) {
    struct stage *stage = *state;
    struct supernode *supernode = supernode_of(stage->one);
    enter_all(stage);
    struct drawn blind = draw(stage);
    struct fake *leaf = fake_add(stage->net);
    assert_non_null(fake_dial(leaf, stage->one, PURPOSE_LEAF));
    struct link *link = links_find(&supernode->links, &leaf->place->env.id, PURPOSE_LEAF);
    assert_non_null(link);
    struct hash before, after;
    uint32_t records = trust_count(trust_of(stage));
    trust_candidate_root(trust_of(stage), EPOCH_NOW, NULL, 0, &before);
    struct buf receipts[CROWD];
    for (uint32_t i = 0; i < CROWD; i++) {
        receipts[i] = signed_receipt(leaf, receipt_of(leaf, (uint8_t)(i + 1)));
    }
    for (uint32_t i = 0; i < MILLION; i++) {
        const struct buf *receipt = &receipts[i % CROWD];
        supernode->links.mono_us += 1000000; /* as slowly as its rate allows */
        assert_int_equal(hints_take(supernode, link, (struct slice){receipt->data, receipt->len}),
                         OK);
    }
    supernode->links.mono_us = stage->net->now_us;
    assert_int_equal(supernode->hints.count, RECEIPTS_LEAF_MAX);
    assert_int_equal(supernode->counts.receipts, RECEIPTS_LEAF_MAX);
    assert_int_equal(supernode->counts.receipts_ignored, MILLION - RECEIPTS_LEAF_MAX);
    trust_candidate_root(trust_of(stage), EPOCH_NOW, NULL, 0, &after);
    assert_memory_equal(before.b, after.b, sizeof before.b);
    assert_int_equal(trust_count(trust_of(stage)), records);
    struct drawn hinted = draw(stage);
    assert_int_equal(blind.count, ROW_ENTRIES_MAX);
    assert_int_equal(hinted.count, ROW_ENTRIES_MAX);
    assert_true(differences(&blind, &hinted) <= RECEIPTS_LEAF_MAX);
    for (uint32_t i = 0; i < CROWD; i++) {
        buf_free(&receipts[i]);
    }
}

/* The number of a candidate's lot, without any hint: there is no checkpoint, so no beacon. */
static struct hash lot_of(const struct stage *stage, uint8_t number) {
    uint8_t bytes[96] = {[32] = number};
    struct hash lot;
    memcpy(bytes + 64, stage->one->env.id.b, 32);
    crypto_hash(stage->one->env.crypto, (struct slice){bytes, sizeof bytes}, &lot);
    return lot;
}

/* Whether fewer than MEASURE_BLIND have a better lot. */
static bool is_blindly_in(const struct stage *stage, uint8_t number) {
    struct hash own = lot_of(stage, number);
    uint32_t better = 0;
    for (uint32_t i = 1; i <= CROWD; i++) {
        struct hash other = lot_of(stage, (uint8_t)i);
        better += memcmp(other.b, own.b, sizeof own.b) < 0;
    }
    return better < MEASURE_BLIND;
}

/* Leaves at three addresses speak for each of those whom the lot left out: these get the second
 * half of the places and no more, and two epochs later that is forgotten. */
static void receipts_better_a_lot(void **state) {
    struct stage *stage = *state;
    enter_all(stage);
    struct drawn blind = draw(stage);
    uint8_t left[CROWD], count = 0;
    for (uint32_t i = 1; i <= CROWD; i++) {
        left[count] = (uint8_t)i;
        count += !blind.is_in[i];
    }
    for (uint32_t turn = 0; turn < HINT_HOSTS_MAX; turn++) {
        for (uint32_t at = 0; at < count;) {
            struct fake *leaf = fake_add(stage->net);
            struct link *link = fake_dial(leaf, stage->one, PURPOSE_LEAF);
            assert_non_null(link);
            for (uint32_t i = 0; i < RECEIPTS_LEAF_MAX && at < count; i++, at++) {
                send_receipt(leaf, link, receipt_of(leaf, left[at]));
            }
        }
    }
    struct supernode *supernode = supernode_of(stage->one);
    assert_int_equal(supernode->hints.count, count);
    struct drawn hinted = draw(stage);
    assert_int_equal(hinted.count, ROW_ENTRIES_MAX);
    assert_in_range(differences(&blind, &hinted), MEASURE_BLIND / 2,
                    ROW_ENTRIES_MAX - MEASURE_BLIND);
    for (uint32_t i = 1; i <= CROWD; i++) {
        assert_true(hinted.is_in[i] || !is_blindly_in(stage, (uint8_t)i));
    }
    trust_advance(trust_of(stage), EPOCH_NOW + 1);
    hints_sweep(supernode);
    assert_int_equal(supernode->hints.count, count);
    trust_advance(trust_of(stage), EPOCH_NOW + 2);
    hints_sweep(supernode);
    assert_int_equal(supernode->hints.count, 0);
}

/* The last checkpoint does not name it: it stands in for those that have left since. */
static void who_was_elected_since_measures(void **state) {
    struct stage *stage = *state;
    struct trust *trust = trust_of(stage);
    struct network *network = &stage->net->network;
    struct node_id bob = stage->bob->place->env.id;
    struct trust_checkpoint latest = {.checkpoint = {.epoch = EPOCH_NOW - 1, .members = 1},
                                      .members = &bob};
    enter_all(stage);
    network->anchor_count = 1;
    network->anchors[0] = bob;
    trust->latest = &latest;
    assert_int_equal(draw(stage).count, 0);
    struct trust_certified *held = mem_new(sizeof *held);
    held->cert =
        (struct cert){.subject = stage->one->env.id, .epoch = EPOCH_NOW, .life = CERT_VALID_EPOCHS};
    map_put(&trust->certified, held->cert.subject.b, held);
    assert_int_equal(draw(stage).count, ROW_ENTRIES_MAX);
    trust->latest = NULL;
}

/* ---- In slices ---- */

static bool same_draw(const struct drawn *a, const struct drawn *b) {
    return a->count == b->count && differences(a, b) == 0;
}

static void slices_draw_the_same(void **state) {
    struct stage *stage = *state;
    enter_all(stage);
    struct drawn whole = draw_by(stage, UINT32_MAX);
    assert_int_equal(whole.count, ROW_ENTRIES_MAX);
    for (uint32_t budget = 1; budget <= CROWD + 1; budget += 40) {
        struct drawn drawn = draw_by(stage, budget);
        assert_true(same_draw(&whole, &drawn));
    }
}

static uint32_t dialled(struct stage *stage) {
    uint32_t count = 0, cursor = 0;
    for (const struct link *link;
         (link = links_next(&supernode_of(stage->one)->links, &cursor)) != NULL;) {
        count += link->purpose == PURPOSE_MEASURE;
    }
    return count;
}

/* More than one step takes: the next one, at once, takes the rest. */
static void many_are_drawn_step_by_step(void **state) {
    struct stage *stage = *state;
    struct supernode *supernode = supernode_of(stage->one);
    struct node_event look = {.kind = NODE_TIMER};
    net_run(stage->net, (EPOCH_S / 4 - NET_WALL_S % EPOCH_S - 2) * 1000);
    for (uint16_t i = 1; i < CANDIDATES_SPONSOR_MAX; i++) {
        enter(stage, i);
    }
    for (uint32_t ms = 0; supernode->election.phase <= PHASE_DIAL && ms < 4000; ms++) {
        assert_int_equal(dialled(stage), 0);
        stage->net->now_us += 1000;
        stage->net->steps_now = 0;
        net_step(stage->net, stage->one, &look);
    }
    assert_int_equal(supernode->election.phase, PHASE_DIAL + 1);
    assert_int_equal(dialled(stage), 0);
    stage->net->now_us += 1;
    net_step(stage->net, stage->one, &look);
    assert_int_equal(dialled(stage), ROW_ENTRIES_MAX);
}

/* What is drawn by other dice counts for nothing; nor does who is no candidate any more. */
static void a_draw_follows_what_changes(void **state) {
    struct stage *stage = *state;
    struct supernode *supernode = supernode_of(stage->one);
    struct trust *trust = trust_of(stage);
    struct node_id keys[2] = {stage->one->env.id, stage->bob->place->env.id};
    struct trust_checkpoint latest = {
        .checkpoint = {.epoch = EPOCH_NOW - 1, .members = 2}, .hash = {{1}}, .members = keys};
    enter_all(stage);
    struct drawn before = draw(stage);
    trust->latest = &latest;
    latest.checkpoint.beacon.b[0] = 7;
    struct drawn after = draw(stage);
    assert_false(same_draw(&before, &after));
    trust->latest = NULL;
    measure_dial(supernode);
    assert_false(measure_draw(supernode, CROWD / 2));
    trust->latest = &latest;
    struct drawn changed = go_on_drawing(stage, CROWD / 3);
    assert_true(same_draw(&after, &changed));
    trust->latest = NULL;
    measure_dial(supernode);
    assert_false(measure_draw(supernode, CROWD - 1));
    trust_advance(trust, EPOCH_NOW + 2); /* all of them are over */
    assert_int_equal(go_on_drawing(stage, 1).count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, elected, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(receipts_are_counted_by_address), TEST(others_are_refused),
        TEST(a_million_receipts_are_eight),    TEST(receipts_better_a_lot),
        TEST(who_was_elected_since_measures),  TEST(slices_draw_the_same),
        TEST(many_are_drawn_step_by_step),     TEST(a_draw_follows_what_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
