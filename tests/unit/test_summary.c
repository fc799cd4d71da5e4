/* test_summary.c - Bloom filters of words: their bits, how they are told, what strangers may say.
 */
#include "tests/unit/testlib.h"

#include <stdio.h>

#include "common/mem.h"
#include "common/rng.h"
#include "supernode/summary.h"

/* By an implementation of SipHash-1-3 that is not ours. */
#define WHALE_HASH 0xd0671910560aa8ea

static uint64_t hash_of(const char *word) {
    return summary_hash(test_slice(word));
}

/* Every implementation must set these. */
static void bits_are_those_of_the_protocol(void **state) {
    (void)state;
    assert_int_equal(hash_of("whale"), WHALE_HASH);
    struct summary *summary = summary_new(1, 10);
    uint32_t fresh[SUMMARY_HASHES];
    assert_int_equal(summary_add(summary, hash_of("whale"), fresh), SUMMARY_HASHES);
    uint32_t first = (uint32_t)WHALE_HASH;
    uint32_t step = (uint32_t)(WHALE_HASH >> 32) | 1;
    for (uint32_t i = 0; i < SUMMARY_HASHES; i++) {
        uint32_t bit = (first + i * step) % 1024;
        assert_int_equal(fresh[i], bit);
        assert_true((summary->bits[bit / 8] & 0x80 >> bit % 8) != 0);
    }
    assert_int_equal(summary_add(summary, hash_of("whale"), fresh), 0);
    assert_int_equal(summary->set, SUMMARY_HASHES);
    mem_free(summary);
}

static uint32_t fill(struct summary *summary, uint32_t words) {
    char word[32];
    for (uint32_t i = 0; i < words; i++) {
        snprintf(word, sizeof word, "word%u", i);
        (void)summary_add(summary, hash_of(word), NULL);
    }
    uint32_t missing = 0;
    for (uint32_t i = 0; i < words; i++) {
        snprintf(word, sizeof word, "word%u", i);
        missing += !summary_has(summary, hash_of(word));
    }
    return missing;
}

/* No word is missed; of others fewer than one in a hundred is mistaken for one. */
static void what_is_there_is_found(void **state) {
    (void)state;
    for (uint32_t words = 1; words < 100000; words = words * 3 + 1) {
        struct summary *summary = summary_new(1, summary_fit(words));
        assert_int_equal(fill(summary, words), 0);
        assert_false(summary_is_full(summary, SUMMARY_TIGHT_PERCENT));
        uint32_t mistaken = 0;
        for (uint32_t i = 0; i < 10000; i++) {
            char word[32];
            snprintf(word, sizeof word, "other%u", i);
            mistaken += summary_has(summary, hash_of(word));
        }
        assert_true(mistaken < 100);
        mem_free(summary);
    }
}

/* At 10 bits a word it is just about half full, and too tight well before. */
static void fullness_is_noticed(void **state) {
    (void)state;
    struct summary *summary = summary_new(1, 16);
    fill(summary, 65536 / 12);
    assert_false(summary_is_full(summary, SUMMARY_TIGHT_PERCENT));
    fill(summary, 65536 / 10);
    assert_true(summary_is_full(summary, SUMMARY_TIGHT_PERCENT));
    fill(summary, 65536 / 9);
    assert_true(summary_is_full(summary, SUMMARY_POISON_PERCENT));
    mem_free(summary);
}

/* ---- Told and heard ---- */

static enum err hear(struct hearsay *hearsay, struct buf *payload, size_t room) {
    struct summary_part part;
    assert_int_equal(wire_summary_decode((struct slice){payload->data, payload->len}, &part), OK);
    enum err err = hearsay_take(hearsay, &part, room);
    buf_free(payload);
    return err;
}

static enum err hear_chunk(struct hearsay *hearsay, const struct summary *summary, uint32_t first,
                           size_t room) {
    struct summary_part part = {.leaves = 5, .files = 6, .degree = 7, .first = first};
    struct buf payload = {0};
    summary_put_chunk(summary, &part, &payload);
    return hear(hearsay, &payload, room);
}

static void hear_word(struct hearsay *hearsay, struct summary *summary, const char *word) {
    uint32_t fresh[SUMMARY_HASHES];
    struct summary_part part = {0};
    struct buf payload = {0};
    uint32_t count = summary_add(summary, hash_of(word), fresh);
    summary_put_delta(summary, &part, fresh, count, &payload);
    assert_int_equal(hear(hearsay, &payload, SIZE_MAX), OK);
}

static void assert_same(const struct hearsay *hearsay, const struct summary *summary) {
    assert_non_null(hearsay->whole);
    assert_int_equal(hearsay->whole->set, summary->set);
    assert_memory_equal(hearsay->whole->bits, summary->bits, summary_bytes(summary));
}

/* Words that come while the chunks are under way are in the filter that arrives. */
static void chunks_and_deltas_make_the_same_filter(void **state) {
    (void)state;
    struct summary *summary = summary_new(3, 20); /* four chunks */
    struct hearsay hearsay = {0};
    fill(summary, 50000);
    for (uint32_t first = 0; first < summary_bytes(summary); first += SUMMARY_CHUNK_BYTES) {
        char word[32];
        snprintf(word, sizeof word, "late%u", first);
        hear_word(&hearsay, summary, word); /* before the first chunk it is in the chunks */
        assert_null(hearsay.whole);
        assert_int_equal(hear_chunk(&hearsay, summary, first, SIZE_MAX), OK);
    }
    assert_same(&hearsay, summary);
    assert_int_equal(hearsay.leaves, 5);
    hear_word(&hearsay, summary, "later");
    assert_same(&hearsay, summary);
    assert_true(summary_has(hearsay.whole, hash_of("later")));
    hearsay_free(&hearsay);
    mem_free(summary);
}

/* The former filter holds until the last chunk of the next one; deltas of another are skipped. */
static void a_new_version_takes_over_as_a_whole(void **state) {
    (void)state;
    struct summary *old = summary_new(1, 10);
    struct summary *next = summary_new(2, 19); /* two chunks */
    struct hearsay hearsay = {0};
    (void)summary_add(old, hash_of("old"), NULL);
    (void)summary_add(next, hash_of("new"), NULL);
    assert_int_equal(hear_chunk(&hearsay, old, 0, SIZE_MAX), OK);
    assert_int_equal(hear_chunk(&hearsay, next, 0, SIZE_MAX), OK);
    assert_true(summary_has(hearsay.whole, hash_of("old")));
    assert_int_equal(hear_chunk(&hearsay, next, SUMMARY_CHUNK_BYTES, SIZE_MAX), OK);
    assert_true(summary_has(hearsay.whole, hash_of("new")));
    assert_false(summary_has(hearsay.whole, hash_of("old")));
    hear_word(&hearsay, old, "stale");
    assert_false(summary_has(hearsay.whole, hash_of("stale")));
    hearsay_free(&hearsay);
    mem_free(old);
    mem_free(next);
}

static void chunks_out_of_order_are_refused(void **state) {
    (void)state;
    struct summary *summary = summary_new(1, 20);
    struct summary *other = summary_new(2, 20);
    struct hearsay hearsay = {0};
    assert_int_equal(hear_chunk(&hearsay, summary, SUMMARY_CHUNK_BYTES, SIZE_MAX), ERR_UNEXPECTED);
    assert_int_equal(hear_chunk(&hearsay, summary, 0, SIZE_MAX), OK);
    assert_int_equal(hear_chunk(&hearsay, summary, 2 * SUMMARY_CHUNK_BYTES, SIZE_MAX),
                     ERR_UNEXPECTED);
    assert_int_equal(hear_chunk(&hearsay, other, SUMMARY_CHUNK_BYTES, SIZE_MAX), ERR_UNEXPECTED);
    assert_int_equal(hear_chunk(&hearsay, summary, SUMMARY_CHUNK_BYTES, SIZE_MAX), OK);
    hearsay_free(&hearsay);
    mem_free(summary);
    mem_free(other);
}

/* A filter that does not fit is left out, all of it, and the one before it goes. */
static void there_is_a_cap(void **state) {
    (void)state;
    struct summary *small = summary_new(1, 10);
    struct summary *large = summary_new(2, 19);
    struct hearsay hearsay = {0};
    size_t room = 65535;
    assert_int_equal(hear_chunk(&hearsay, small, 0, room), OK);
    assert_int_equal(hearsay_bytes(&hearsay), 128);
    assert_int_equal(hear_chunk(&hearsay, large, 0, room), OK);
    assert_int_equal(hear_chunk(&hearsay, large, SUMMARY_CHUNK_BYTES, room), OK);
    assert_true(hearsay.is_left_out);
    assert_int_equal(hearsay_bytes(&hearsay), 0);
    assert_int_equal(hear_chunk(&hearsay, small, 0, room), OK);
    assert_false(hearsay.is_left_out);
    assert_non_null(hearsay.whole);
    hearsay_free(&hearsay);
    mem_free(small);
    mem_free(large);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_are_those_of_the_protocol),
        cmocka_unit_test(what_is_there_is_found),
        cmocka_unit_test(fullness_is_noticed),
        cmocka_unit_test(chunks_and_deltas_make_the_same_filter),
        cmocka_unit_test(a_new_version_takes_over_as_a_whole),
        cmocka_unit_test(chunks_out_of_order_are_refused),
        cmocka_unit_test(there_is_a_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
