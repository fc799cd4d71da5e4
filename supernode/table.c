/* table.c - open addressing in shards. */
#include "supernode/table.h"

#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "supernode/pool.h"

/* What a place holds instead of a number + 1. Empty is all zero. */
#define EMPTY 0U
#define GONE 0xffffffU /* a number was here: walks go on */
#define CAP_MIN 8
#define PLACE_BYTES sizeof(struct table_place)
_Static_assert(sizeof(struct table_place) == 6, "places have no gaps");

/* A hash, from its top: 10 bits of shard, 16 bits of home, and 8 bits of tag at the bottom. */
static struct table_shard *shard_of(const struct table *table, uint64_t hash) {
    return &table->shards[hash >> 54];
}

static uint16_t home_of(uint64_t hash) {
    return (uint16_t)(hash >> 38);
}

static uint32_t held(const struct table_place *place) {
    return (uint32_t)(place->number[0] | place->number[1] << 8 | place->number[2] << 16);
}

static void hold(struct table_place *place, uint32_t value) {
    place->number[0] = (uint8_t)value;
    place->number[1] = (uint8_t)(value >> 8);
    place->number[2] = (uint8_t)(value >> 16);
}

static bool is_empty(const struct table_place *place) {
    return held(place) == EMPTY;
}

static bool has_number(const struct table_place *place) {
    return held(place) != EMPTY && held(place) != GONE;
}

static struct table_place place_of(uint64_t hash, uint32_t number) {
    struct table_place place = {.home = home_of(hash), .tag = (uint8_t)hash};
    hold(&place, number + 1);
    return place;
}

/* Where a walk begins. */
static uint32_t first_place(uint16_t home, uint32_t cap) {
    return (uint32_t)((uint64_t)home * cap >> 16);
}

void table_init(struct table *table, uint64_t *bytes) {
    *table = (struct table){.bytes = bytes};
}

static uint64_t places_bytes(uint32_t cap) {
    return cap == 0 ? 0 : (uint64_t)cap * PLACE_BYTES + MALLOC_BYTES;
}

#define SHARDS_BYTES (TABLE_SHARDS * sizeof(struct table_shard) + MALLOC_BYTES)

/* Put a number at the first place of its walk that has none. */
static void put(struct table_shard *shard, struct table_place place) {
    uint32_t at = first_place(place.home, shard->cap);
    while (has_number(&shard->places[at])) {
        at = at + 1 < shard->cap ? at + 1 : 0;
    }
    shard->used += is_empty(&shard->places[at]);
    shard->places[at] = place;
}

static void resize(struct table *table, struct table_shard *shard, uint32_t cap) {
    struct table_shard old = *shard;
    shard->cap = cap;
    shard->used = 0;
    shard->places = cap == 0 ? NULL : mem_array(cap, PLACE_BYTES);
    for (uint32_t i = 0; i < old.cap; i++) {
        if (has_number(&old.places[i])) {
            put(shard, old.places[i]);
        }
    }
    *table->bytes += places_bytes(cap);
    *table->bytes -= places_bytes(old.cap);
    mem_free(old.places);
}

static void free_shards(struct table *table) {
    for (uint32_t i = 0; i < TABLE_SHARDS; i++) {
        *table->bytes -= places_bytes(table->shards[i].cap);
        mem_free(table->shards[i].places);
    }
    *table->bytes -= SHARDS_BYTES;
    mem_free(table->shards);
    table->shards = NULL;
}

void table_free(struct table *table) {
    if (table->shards != NULL) {
        free_shards(table);
    }
    table->count = 0;
}

struct table_walk table_start(const struct table *table, uint64_t hash) {
    static const struct table_shard none;
    const struct table_shard *shard = table->shards == NULL ? &none : shard_of(table, hash);
    uint16_t home = home_of(hash);
    return (struct table_walk){shard, first_place(home, shard->cap), (uint8_t)hash, home};
}

void table_prefetch(const struct table *table, uint64_t hash) {
    struct table_walk walk = table_start(table, hash);
    if (walk.shard->cap > 0) {
        __builtin_prefetch(&walk.shard->places[walk.at]);
    }
}

uint32_t table_next(struct table_walk *walk) {
    const struct table_shard *shard = walk->shard;
    while (shard->cap > 0 && !is_empty(&shard->places[walk->at])) {
        const struct table_place *place = &shard->places[walk->at];
        walk->at = walk->at + 1 < shard->cap ? walk->at + 1 : 0;
        if (place->home == walk->home && place->tag == walk->tag && has_number(place)) {
            return held(place) - 1;
        }
    }
    return TABLE_NONE;
}

/* At least an eighth of the places stays empty, so that walks end. */
static void make_room(struct table *table, struct table_shard *shard) {
    if (shard->used < shard->cap - shard->cap / 8 && shard->cap > 0) {
        return;
    }
    uint32_t wanted = shard->live + shard->live / 4 + CAP_MIN;
    resize(table, shard, wanted + wanted / 8);
}

void table_add(struct table *table, uint64_t hash, uint32_t number) {
    CHECK(number < TABLE_NUMBERS_MAX);
    if (table->shards == NULL) {
        table->shards = mem_array(TABLE_SHARDS, sizeof *table->shards);
        *table->bytes += SHARDS_BYTES;
    }
    struct table_shard *shard = shard_of(table, hash);
    make_room(table, shard);
    put(shard, place_of(hash, number));
    shard->live++;
    table->count++;
}

/* Empty the place, with those before it that only kept walks going. */
static void clear_place(struct table_shard *shard, uint32_t at) {
    uint32_t after = at + 1 < shard->cap ? at + 1 : 0;
    hold(&shard->places[at], GONE);
    if (!is_empty(&shard->places[after])) {
        return;
    }
    while (held(&shard->places[at]) == GONE) {
        hold(&shard->places[at], EMPTY);
        shard->used--;
        at = at > 0 ? at - 1 : shard->cap - 1;
    }
}

static void drop_place(struct table *table, struct table_shard *shard, uint32_t at) {
    clear_place(shard, at);
    shard->live--;
    table->count--;
}

/* Give back the memory of a shard with few numbers left. */
static void shrink(struct table *table, struct table_shard *shard) {
    if (shard->live == 0) {
        resize(table, shard, 0);
    } else if (shard->cap > 4 * CAP_MIN && shard->live < shard->cap / 4) {
        resize(table, shard, shard->live * 2);
    }
    if (table->count == 0) {
        free_shards(table);
    }
}

void table_remove(struct table *table, uint64_t hash, uint32_t number) {
    CHECK(table->shards != NULL);
    struct table_shard *shard = shard_of(table, hash);
    uint32_t at = first_place(home_of(hash), shard->cap);
    while (held(&shard->places[at]) != number + 1) {
        CHECK(!is_empty(&shard->places[at]));
        at = at + 1 < shard->cap ? at + 1 : 0;
    }
    drop_place(table, shard, at);
    shrink(table, shard);
}

uint32_t table_sweep(struct table *table, uint32_t number, table_keep_fn *keep,
                     const void *context) {
    if (table->shards == NULL) {
        return 0;
    }
    struct table_shard *shard = &table->shards[number];
    uint32_t live = shard->live, cap = shard->cap;
    for (uint32_t at = shard->cap; at-- > 0;) { /* downwards: what is gone merges with the empty */
        const struct table_place *place = &shard->places[at];
        if (has_number(place) && !keep(context, held(place) - 1)) {
            drop_place(table, shard, at);
        }
    }
    if (shard->live < live) {
        shrink(table, shard);
    }
    return cap;
}
