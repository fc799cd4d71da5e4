/* summary.c - a Bloom filter of words: which queries a supernode cannot match. */
#include "supernode/summary.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/map.h"
#include "common/mem.h"

#define BIT_BYTES 3 /* of a bit's number in a delta */

uint8_t summary_fit(uint32_t words) {
    uint8_t log2_bits = SUMMARY_LOG2_MIN;
    while (log2_bits < SUMMARY_LOG2_MAX &&
           (uint64_t)words * SUMMARY_BITS_PER_WORD > 1ull << log2_bits) {
        log2_bits++;
    }
    return log2_bits;
}

struct summary *summary_new(uint32_t version, uint8_t log2_bits) {
    CHECK(log2_bits >= SUMMARY_LOG2_MIN && log2_bits <= SUMMARY_LOG2_MAX);
    struct summary *summary = mem_new(sizeof *summary + (1u << (log2_bits - 3)));
    summary->version = version;
    summary->log2_bits = log2_bits;
    return summary;
}

uint32_t summary_bytes(const struct summary *summary) {
    return 1u << (summary->log2_bits - 3);
}

uint64_t summary_hash(struct slice word) {
    /* "trunkline-words1", two little-endian words */
    static const uint64_t key[2] = {0x6e696c6b6e757274, 0x317364726f772d65};
    return siphash(key, word.data, word.len);
}

static uint32_t bit_of(const struct summary *summary, uint64_t hash, uint32_t i) {
    uint32_t step = (uint32_t)(hash >> 32) | 1;
    return ((uint32_t)hash + i * step) & ((1u << summary->log2_bits) - 1);
}

static bool is_set(const struct summary *summary, uint32_t bit) {
    return (summary->bits[bit >> 3] & 0x80 >> (bit & 7)) != 0;
}

/* True when it was not set before. */
static bool set(struct summary *summary, uint32_t bit) {
    if (is_set(summary, bit)) {
        return false;
    }
    summary->bits[bit >> 3] |= (uint8_t)(0x80 >> (bit & 7));
    summary->set++;
    return true;
}

uint32_t summary_add(struct summary *summary, uint64_t hash, uint32_t fresh[SUMMARY_HASHES]) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < SUMMARY_HASHES; i++) {
        uint32_t bit = bit_of(summary, hash, i);
        if (set(summary, bit)) {
            if (fresh != NULL) {
                fresh[count] = bit;
            }
            count++;
        }
    }
    summary->words++;
    return count;
}

bool summary_has(const struct summary *summary, uint64_t hash) {
    uint32_t i = 0;
    while (i < SUMMARY_HASHES && is_set(summary, bit_of(summary, hash, i))) {
        i++;
    }
    return i == SUMMARY_HASHES;
}

bool summary_is_full(const struct summary *summary, uint32_t percent) {
    return (uint64_t)summary->set * 100 >= (uint64_t)percent << summary->log2_bits;
}

/* ---- Telling it ---- */

static void describe(const struct summary *summary, enum summary_kind kind,
                     struct summary_part *part) {
    part->version = summary->version;
    part->log2_bits = summary->log2_bits;
    part->hashes = SUMMARY_HASHES;
    part->words = summary->words;
    part->kind = (uint8_t)kind;
}

void summary_put_chunk(const struct summary *summary, struct summary_part *part, struct buf *out) {
    uint32_t left = summary_bytes(summary) - part->first;
    describe(summary, SUMMARY_CHUNK, part);
    part->bytes = (struct slice){summary->bits + part->first,
                                 left < SUMMARY_CHUNK_BYTES ? left : SUMMARY_CHUNK_BYTES};
    wire_summary_encode(out, part);
}

static int compare_bits(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

void summary_put_delta(const struct summary *summary, struct summary_part *part, uint32_t *bits,
                       uint32_t count, struct buf *out) {
    struct buf numbers = {0};
    if (count > 1) {
        qsort(bits, count, sizeof *bits, compare_bits);
    }
    for (uint32_t i = 0; i < count; i++) {
        buf_u24(&numbers, bits[i]);
    }
    describe(summary, SUMMARY_DELTA, part);
    part->first = 0;
    part->bytes = (struct slice){numbers.data, numbers.len};
    wire_summary_encode(out, part);
    buf_free(&numbers);
}

/* ---- Hearing it ---- */

size_t hearsay_bytes(const struct hearsay *hearsay) {
    return (hearsay->whole != NULL ? summary_bytes(hearsay->whole) : 0) +
           (hearsay->coming != NULL ? summary_bytes(hearsay->coming) : 0);
}

void hearsay_free(struct hearsay *hearsay) {
    mem_free(hearsay->whole);
    mem_free(hearsay->coming);
    *hearsay = (struct hearsay){0};
}

static uint32_t count_bits(const struct summary *summary) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < summary_bytes(summary); i += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, summary->bits + i, sizeof word);
        count += (uint32_t)__builtin_popcountll(word);
    }
    return count;
}

/* Make room for a filter whose first chunk is here. */
static void begin_filter(struct hearsay *hearsay, const struct summary_part *part, size_t room) {
    mem_free(hearsay->coming);
    hearsay->coming = NULL;
    hearsay->coming_bytes = 0;
    hearsay->is_left_out = 1u << (part->log2_bits - 3) > room;
    if (hearsay->is_left_out) {
        mem_free(hearsay->whole);
        hearsay->whole = NULL;
    } else {
        hearsay->coming = summary_new(part->version, part->log2_bits);
    }
}

static enum err take_chunk(struct hearsay *hearsay, const struct summary_part *part, size_t room) {
    if (part->first == 0) {
        begin_filter(hearsay, part, room);
    }
    struct summary *coming = hearsay->coming;
    if (hearsay->is_left_out) {
        return OK;
    }
    if (coming == NULL || part->version != coming->version ||
        part->log2_bits != coming->log2_bits || part->first != hearsay->coming_bytes) {
        return ERR_UNEXPECTED;
    }
    memcpy(coming->bits + part->first, part->bytes.data, part->bytes.len);
    hearsay->coming_bytes += (uint32_t)part->bytes.len;
    if (hearsay->coming_bytes == summary_bytes(coming)) {
        coming->words = part->words;
        coming->set = count_bits(coming);
        mem_free(hearsay->whole);
        hearsay->whole = coming;
        hearsay->coming = NULL;
    }
    return OK;
}

/* A bit beyond the chunks that are there comes again with its chunk. */
static void take_delta(struct summary *summary, const struct summary_part *part) {
    if (summary == NULL || summary->version != part->version ||
        summary->log2_bits != part->log2_bits) {
        return;
    }
    struct reader reader = reader_of(part->bytes.data, part->bytes.len);
    for (size_t left = part->bytes.len; left > 0; left -= BIT_BYTES) {
        (void)set(summary, reader_u24(&reader));
    }
    summary->words = part->words;
}

enum err hearsay_take(struct hearsay *hearsay, const struct summary_part *part, size_t room) {
    enum err err = OK;
    if (part->kind == SUMMARY_CHUNK) {
        err = take_chunk(hearsay, part, room);
    } else {
        take_delta(hearsay->whole, part);
        take_delta(hearsay->coming, part);
    }
    if (err == OK) {
        hearsay->leaves = part->leaves;
        hearsay->files = part->files;
        hearsay->degree = part->degree;
    }
    return err;
}
