/* fuzz_hearsay.c - what a neighbour tells of its words, in any order: the filter that is kept is
 * the one that a naive model keeps. */
#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "supernode/summary.h"
#include "tests/fuzz/fuzz.h"

#define FILTER_MAX 131072 /* four chunks */
#define BIT_BYTES 3
#define DELTA_BITS 4

/* A filter as plain bytes. */
struct plain {
    bool is_there;
    uint32_t version;
    uint8_t log2_bits;
    uint32_t have; /* bytes */
    uint8_t bytes[FILTER_MAX];
};

struct model {
    struct plain whole;
    struct plain coming;
    bool is_left_out;
};

struct dice {
    const uint8_t *data;
    size_t size;
    size_t at;
};

static uint32_t draw(struct dice *dice, uint32_t bound) {
    uint32_t byte = dice->at < dice->size ? dice->data[dice->at++] : 0;
    return byte % bound;
}

static bool is_of(const struct plain *plain, const struct summary_part *part) {
    return plain->is_there && plain->version == part->version &&
           plain->log2_bits == part->log2_bits;
}

static enum err model_chunk(struct model *model, const struct summary_part *part, size_t room) {
    struct plain *coming = &model->coming;
    uint32_t all = 1u << (part->log2_bits - 3);
    if (part->first == 0) {
        model->is_left_out = all > room;
        coming->is_there = !model->is_left_out;
        coming->version = part->version;
        coming->log2_bits = part->log2_bits;
        coming->have = 0;
        memset(coming->bytes, 0, all);
    }
    if (model->is_left_out) {
        model->whole.is_there = false;
        return OK;
    }
    if (!is_of(coming, part) || part->first != coming->have) {
        return ERR_UNEXPECTED;
    }
    memcpy(coming->bytes + part->first, part->bytes.data, part->bytes.len);
    coming->have += (uint32_t)part->bytes.len;
    if (coming->have == all) {
        model->whole = *coming;
        coming->is_there = false;
    }
    return OK;
}

static void model_delta(struct plain *plain, const struct summary_part *part) {
    for (size_t i = 0; is_of(plain, part) && i < part->bytes.len; i += BIT_BYTES) {
        const uint8_t *at = part->bytes.data + i;
        uint32_t bit = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
        plain->bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
    }
}

/* A chunk of one byte again and again, or a few rising bits. */
static void make_part(struct dice *dice, struct summary_part *part, uint8_t bytes[FILTER_MAX]) {
    static const uint8_t sizes[] = {10, 18, 19, 20};
    *part = (struct summary_part){.hashes = SUMMARY_HASHES};
    part->version = 1 + draw(dice, 3);
    part->log2_bits = sizes[draw(dice, sizeof sizes)];
    part->kind = draw(dice, 3) > 0 ? SUMMARY_CHUNK : SUMMARY_DELTA;
    uint32_t all = 1u << (part->log2_bits - 3);
    if (part->kind == SUMMARY_CHUNK) {
        part->first = draw(dice, (all - 1) / SUMMARY_CHUNK_BYTES + 1) * SUMMARY_CHUNK_BYTES;
        part->bytes.len = all < SUMMARY_CHUNK_BYTES ? all : SUMMARY_CHUNK_BYTES;
        memset(bytes, (int)draw(dice, 256), part->bytes.len);
    } else {
        uint32_t bit = 0;
        uint32_t count = draw(dice, DELTA_BITS + 1);
        for (uint32_t i = 0; i < count; i++) {
            bit += 1 + draw(dice, 256) * ((all * 8 / DELTA_BITS - 1) / 256);
            uint8_t *at = bytes + i * (size_t)BIT_BYTES;
            at[0] = (uint8_t)(bit >> 16);
            at[1] = (uint8_t)(bit >> 8);
            at[2] = (uint8_t)bit;
        }
        part->bytes.len = (size_t)count * BIT_BYTES;
    }
    part->bytes.data = bytes;
}

static void compare(const struct model *model, const struct hearsay *hearsay) {
    const struct summary *whole = hearsay->whole;
    CHECK(hearsay->is_left_out == model->is_left_out);
    CHECK((whole != NULL) == model->whole.is_there);
    CHECK((hearsay->coming != NULL) == model->coming.is_there);
    if (whole == NULL) {
        return;
    }
    uint32_t set = 0;
    CHECK(whole->version == model->whole.version && whole->log2_bits == model->whole.log2_bits);
    CHECK(memcmp(whole->bits, model->whole.bytes, summary_bytes(whole)) == 0);
    for (uint32_t i = 0; i < summary_bytes(whole); i++) {
        set += (uint32_t)__builtin_popcount(whole->bits[i]);
    }
    CHECK(whole->set == set);
    CHECK(summary_is_full(whole, SUMMARY_POISON_PERCENT) == (set >= summary_bytes(whole) * 4));
}

static void step(struct dice *dice, struct model *model, struct hearsay *hearsay) {
    static uint8_t bytes[FILTER_MAX];
    struct summary_part made, part;
    struct buf payload = {0};
    make_part(dice, &made, bytes);
    size_t room = draw(dice, 8) == 0 ? FILTER_MAX / 8 : FILTER_MAX;
    wire_summary_encode(&payload, &made);
    enum err err = wire_summary_decode((struct slice){payload.data, payload.len}, &part);
    CHECK(err == OK);
    enum err expected = OK;
    if (part.kind == SUMMARY_CHUNK) {
        expected = model_chunk(model, &part, room);
    } else {
        model_delta(&model->whole, &part);
        model_delta(&model->coming, &part);
    }
    err = hearsay_take(hearsay, &part, room);
    CHECK(err == expected);
    compare(model, hearsay);
    buf_free(&payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct dice dice = {data, size, 0};
    struct model *model = mem_new(sizeof *model);
    struct hearsay hearsay = {0};
    while (dice.at < dice.size) {
        step(&dice, model, &hearsay);
    }
    hearsay_free(&hearsay);
    mem_free(model);
    return 0;
}
