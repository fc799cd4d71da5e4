/* summary.h - a Bloom filter of words: which queries a supernode cannot match.
 *
 * A filter of 2^n bits starts empty. A word (normalised, UTF-8) has the 64-bit number SipHash-1-3
 * under the key "trunkline-words1"; with a = its low 32 bits and b = its high 32 bits with the
 * lowest one set, the word's bits are a + i * b modulo 2^n for i = 0 to 6 (Kirsch and Mitzenmacher,
 * 2006: two hash functions are as good as seven). The first bit is the highest of its byte.
 *
 * Here is only the filter, with the messages that carry it; summaries.c exchanges them. */
#ifndef TRUNKLINE_SUPERNODE_SUMMARY_H
#define TRUNKLINE_SUPERNODE_SUMMARY_H

#include "common/wire.h"

struct summary {
    uint32_t version;
    uint8_t log2_bits;
    uint32_t words; /* as its maker counts */
    uint32_t set;   /* bits */
    uint8_t bits[];
};

/* The size for so many words, with room to grow. */
uint8_t summary_fit(uint32_t words);

/* Return an empty filter; free with mem_free. */
struct summary *summary_new(uint32_t version, uint8_t log2_bits);

uint32_t summary_bytes(const struct summary *summary);

uint64_t summary_hash(struct slice word);

/* Add a word; write the numbers of the bits that were not set before to `fresh` (borrowed, NULL =
 * not wanted) and return how many. */
uint32_t summary_add(struct summary *summary, uint64_t hash, uint32_t fresh[SUMMARY_HASHES]);

/* False when the word is certainly not in it. */
bool summary_has(const struct summary *summary, uint64_t hash);

/* True when so many percent of the bits are set, or more. */
bool summary_is_full(const struct summary *summary, uint32_t percent);

/* Append SUMMARY with the chunk that starts at byte `part->first`, or with a delta of `count`
 * distinct bits (0 = the counts alone), which are sorted in place. Of *part only leaves, files,
 * degree (and first) are read. */
void summary_put_chunk(const struct summary *summary, struct summary_part *part, struct buf *out);
void summary_put_delta(const struct summary *summary, struct summary_part *part, uint32_t *bits,
                       uint32_t count, struct buf *out);

/* What a neighbour has told of itself. All zero at first. */
struct hearsay {
    struct summary *whole;  /* NULL = none yet */
    struct summary *coming; /* NULL = none; takes the place of `whole` with its last chunk */
    uint32_t coming_bytes;  /* of it that are there */
    bool is_left_out;       /* there was no room for its last filter */
    uint32_t leaves;
    uint64_t files;
    uint16_t degree;
};

/* Take a message. A chunk must be the next of its filter or the first of one (ERR_UNEXPECTED); a
 * filter that needs more than `room` bytes is left out, the one before it too. A delta of another
 * version is skipped. */
MUST_CHECK enum err hearsay_take(struct hearsay *hearsay, const struct summary_part *part,
                                 size_t room);

/* Bytes of its filters. */
size_t hearsay_bytes(const struct hearsay *hearsay);
void hearsay_free(struct hearsay *hearsay);

#endif
