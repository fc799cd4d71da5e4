/* test_trust_root.c - what an anchor fixes is the same however it is worked out, and whatever came
 * and went before. */
#include "tests/unit/trust_people.h"

#include "common/hashtree.h"
#include "common/mem.h"
#include "common/rng.h"

enum { ANCHORS = 2, STEPS = 1500, LATEST = EPOCH + 1, SPAN = TRUST_EPOCHS + 4 };

static int compare_hashes(const void *a, const void *b) {
    return memcmp(((const struct hash *)a)->b, ((const struct hash *)b)->b, sizeof(struct hash));
}

/* Whether a record counts, as PROTOCOL.md says it (CHECKPOINT): one by one, by what it holds. */
static bool counts(const struct trust *trust, const struct trust_record *record, uint32_t epoch,
                   const struct members *members) {
    struct row_record row;
    if (record->epoch > epoch) {
        return false;
    }
    if (record->type == MSG_CANDIDACY) {
        struct candidacy candidacy;
        struct slice bytes = {record->bytes, record->len};
        assert_int_equal(wire_candidacy_decode(bytes, &candidacy), OK);
        return epoch - record->epoch < 2 && !trust_is_fraud(trust, &candidacy.subject);
    }
    if (record->type != MSG_ROW || epoch - record->epoch >= TRUST_EPOCHS) {
        return false;
    }
    assert_int_equal(wire_row_decode((struct slice){record->bytes, record->len}, &row), OK);
    if (members == NULL || record->epoch != epoch) {
        return trust_row_counts(trust, &row.issuer, record->epoch);
    }
    bool is_named = network_is_anchor(&network, &row.issuer);
    for (size_t at = 0; at < members->keys.len; at += sizeof row.issuer.b) {
        is_named = is_named || memcmp(members->keys.data + at, row.issuer.b, 32) == 0;
    }
    return is_named;
}

static struct hash from_scratch(const struct trust *trust, uint32_t epoch,
                                const struct members *members) {
    struct hash *hashes = mem_array(trust->records.count + 1, sizeof *hashes), root;
    uint32_t count = 0, cursor = 0;
    for (const struct trust_record *record;
         (record = map_next(&trust->records, &cursor, NULL)) != NULL;) {
        if (counts(trust, record, epoch, members)) {
            hashes[count++] = record->hash;
        }
    }
    qsort(hashes, count, sizeof *hashes, compare_hashes);
    hashtree_root(&people[0]->crypto, hashes, count, 0, &root);
    mem_free(hashes);
    return root;
}

/* In slices, as supernodes do. */
static struct hash by_slices(const struct trust *trust, uint32_t epoch,
                             const struct members *members, struct rng *rng) {
    struct list_root list = {0};
    struct hash root;
    trust_evidence(trust, epoch, members != NULL ? (const void *)members->keys.data : NULL,
                   members != NULL ? members->count : 0, &list);
    while (!list_root_take(&list, &people[0]->crypto, 1 + (uint32_t)rng_below(rng, 9))) {
    }
    assert_true(list_root_set(&list, &people[0]->crypto, &root));
    list_root_free(&list);
    return root;
}

/* ---- Anything that may come ---- */

static struct buf any_row(struct rng *rng) {
    uint32_t place = (uint32_t)rng_below(rng, PEOPLE);
    struct test_identity *issuer = people[place];
    struct row_record row = {.issuer = issuer->id,
                             .epoch = LATEST - (uint32_t)rng_below(rng, SPAN),
                             .count = 1,
                             .entries = {{people[0]->id, 1}}};
    row.entries[0].subject.b[0] ^= 1; /* nobody */
    if (place >= ANCHORS && rng_below(rng, 10) == 0) {
        row.entries[0].weight = 2; /* a fraud, if it was said otherwise */
    }
    struct signer_env env = signer(issuer);
    struct buf bytes = {0};
    wire_row_sign(&row, &env);
    wire_row_encode(&bytes, &row);
    return bytes;
}

/* Mostly a record; or a checkpoint with its members; or time goes on. */
static void change(struct trust *trust, struct rng *rng) {
    uint32_t what = (uint32_t)rng_below(rng, 100);
    struct buf bytes = {0};
    if (what == 0 && rng_below(rng, 4) == 0 &&
        trust->now_epoch < LATEST + 8) { /* some are too old then */
        trust_advance(trust, trust->now_epoch + 1);
    } else if (what < 5) {
        uint32_t epoch = LATEST - (uint32_t)rng_below(rng, SPAN);
        uint8_t anchor = (uint8_t)rng_below(rng, ANCHORS);
        uint16_t count = (uint16_t)(1 + (epoch * 5 + anchor) % PEOPLE); /* it never says another */
        bytes = checkpoint_of(anchor, epoch, count, 1);
        (void)take(trust, MSG_CHECKPOINT, &bytes);
        buf_free(&bytes);
        bytes = members_of(0, epoch, count, (struct slice){0});
        (void)take(trust, MSG_MEMBERS, &bytes);
    } else if (what < 25) {
        bytes = candidacy_of(people[PEOPLE - 1], people[rng_below(rng, PEOPLE - 1)],
                             LATEST - (uint32_t)rng_below(rng, 3), 64);
        (void)take(trust, MSG_CANDIDACY, &bytes);
    } else {
        bytes = any_row(rng);
        (void)take(trust, MSG_ROW, &bytes);
    }
    buf_free(&bytes);
}

/* A root moves only when the number of changes does, so that a root worked out is good until then.
 */
static void test_any_history(void **state) {
    (void)state;
    struct trust trust;
    struct rng rng;
    rng_seed(&rng, 8);
    make_network(ANCHORS);
    open_trust(&trust, 6);
    struct hash before = {0};
    uint64_t changes = UINT64_MAX;
    uint32_t moved = 0;
    for (uint32_t i = 0; i < STEPS; i++) {
        change(&trust, &rng);
        struct hash whole = from_scratch(&trust, LATEST, NULL);
        struct hash sliced = by_slices(&trust, LATEST, NULL, &rng);
        assert_memory_equal(sliced.b, whole.b, sizeof whole.b);
        bool has_moved = memcmp(whole.b, before.b, sizeof before.b) != 0;
        assert_true(!has_moved || trust.changes != changes);
        moved += has_moved;
        before = whole;
        changes = trust.changes;
    }
    assert_in_range(moved, 100, STEPS);
    assert_in_range(trust.frauds.count, 1, PEOPLE);
    trust_free(&trust);
}

/* An anchor fixes rows of those it is about to name; the others, once it has. */
static void test_members_to_be(void **state) {
    (void)state;
    struct rng rng;
    uint32_t new_ones = 0;
    rng_seed(&rng, 4);
    make_network(ANCHORS);
    for (uint16_t count = 1; count < PEOPLE; count++) {
        struct trust trust;
        open_trust(&trust, count);
        struct hash fixed, to_be, then;
        for (uint32_t i = 0; i < 300; i++) {
            change(&trust, &rng);
        }
        uint32_t epoch = EPOCH + count % 2; /* fixed already, or not yet */
        struct buf bytes = members_of(0, epoch, count, (struct slice){0});
        struct members members;
        assert_int_equal(wire_members_decode(slice_of(&bytes), &members), OK);
        to_be = by_slices(&trust, epoch, &members, &rng);
        then = from_scratch(&trust, epoch, &members);
        assert_memory_equal(to_be.b, then.b, sizeof then.b);
        if (trust_checkpoint_at(&trust, epoch) == NULL) {
            new_ones++;
            fix(&trust, epoch, count, &fixed);
            then = by_slices(&trust, epoch, NULL, &rng);
            assert_memory_equal(to_be.b, then.b, sizeof then.b);
        }
        buf_free(&bytes);
        trust_free(&trust);
    }
    assert_in_range(new_ones, 1, PEOPLE - 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_history),
        cmocka_unit_test(test_members_to_be),
    };
    return cmocka_run_group_tests(tests, make_people, free_people);
}
