/* table.c - open addressing in shards, each in the order of its hashes. */
#include "supernode/table.h"

#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "supernode/pool.h"

#define EMPTY 0U /* what a place holds instead of a number + 1 */
#define HOMES_MIN 8
#define WALK_PLACES 10 /* that a walk looks at, most often */
#define PLACE_BYTES sizeof(struct table_place)
_Static_assert(sizeof(struct table_place) == 6, "places have no gaps");

/* A hash, from its top: 10 bits of shard, 16 bits of home, and 8 bits of tag at the bottom. */
static struct table_shard *shard_of(const struct table *table, uint64_t hash) {
    return &table->shards[hash >> 54];
}

static uint16_t home_of(uint64_t hash) {
    return (uint16_t)(hash >> 38);
}

/* Tag and number in one load: most of what a table costs is to look at places. */
static inline uint32_t tagged(const struct table_place *place) {
    const uint8_t *b = place->tagged;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static inline uint32_t held(const struct table_place *place) {
    return tagged(place) >> 8;
}

static inline bool is_empty(const struct table_place *place) {
    return held(place) == EMPTY;
}

static struct table_place place_of(uint64_t hash, uint32_t number) {
    number++;
    return (struct table_place){
        home_of(hash),
        {(uint8_t)hash, (uint8_t)number, (uint8_t)(number >> 8), (uint8_t)(number >> 16)}};
}

/* The place where a home's numbers begin when nothing is in their way. */
static uint32_t first_place(uint16_t home, uint32_t homes) {
    return (uint32_t)((uint64_t)home * homes >> 16);
}

/* Places of a shard: behind its homes some more, for what is pushed along. The last place is always
 * empty, so that walks end. */
static uint32_t places_of(uint32_t homes) {
    return homes == 0 ? 0 : homes + homes / 64 + HOMES_MIN;
}

void table_init(struct table *table, uint64_t *bytes) {
    *table = (struct table){.bytes = bytes};
}

static uint64_t places_bytes(uint32_t homes) {
    return homes == 0 ? 0 : (uint64_t)places_of(homes) * PLACE_BYTES + MALLOC_BYTES;
}

#define SHARDS_BYTES (TABLE_SHARDS * sizeof(struct table_shard) + MALLOC_BYTES)

/* Put what stands at the places of `from` where it belongs among `homes` homes; false when it does
 * not fit. `to` is empty. */
static bool lay_out(struct table_place *to, uint32_t homes, const struct table_place *from,
                    uint32_t count) {
    uint32_t end = 0, limit = places_of(homes) - 1;
    for (uint32_t i = 0; i < count; i++) {
        if (!is_empty(&from[i])) {
            uint32_t first = first_place(from[i].home, homes);
            end = first > end ? first : end;
            if (end == limit) {
                return false;
            }
            to[end++] = from[i];
        }
    }
    return true;
}

/* Give a shard `homes` homes, or a few more when its numbers crowd at its end. */
static void resize(struct table *table, struct table_shard *shard, uint32_t homes) {
    struct table_shard old = *shard;
    uint32_t old_places = places_of(old.homes);
    shard->places = NULL;
    while (homes > 0 && shard->places == NULL) {
        shard->places = mem_array(places_of(homes), PLACE_BYTES);
        if (!lay_out(shard->places, homes, old.places, old_places)) {
            mem_free(shard->places);
            shard->places = NULL;
            homes += homes / 8 + 1;
        }
    }
    shard->homes = homes;
    *table->bytes += places_bytes(homes);
    *table->bytes -= places_bytes(old.homes);
    mem_free(old.places);
}

static void free_shards(struct table *table) {
    for (uint32_t i = 0; i < TABLE_SHARDS; i++) {
        *table->bytes -= places_bytes(table->shards[i].homes);
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
    static const struct table_place none;
    uint16_t home = home_of(hash);
    const struct table_shard *shard = table->shards == NULL ? NULL : shard_of(table, hash);
    const struct table_place *at = &none;
    if (shard != NULL && shard->homes > 0) {
        at = &shard->places[first_place(home, shard->homes)];
    }
    return (struct table_walk){at, (uint8_t)hash, home};
}

void table_prefetch(const struct table *table, uint64_t hash) {
    struct table_walk walk = table_start(table, hash);
    __builtin_prefetch(walk.at);
    __builtin_prefetch(walk.at + WALK_PLACES);
    __builtin_prefetch(walk.at + 2 * WALK_PLACES);
}

uint32_t table_next(struct table_walk *walk) {
    const struct table_place *place = walk->at;
    while (place->home < walk->home && !is_empty(place)) {
        place++;
    }
    for (; place->home == walk->home && !is_empty(place); place++) {
        if (place->tagged[0] == walk->tag) {
            walk->at = place + 1;
            return held(place) - 1;
        }
    }
    walk->at = place;
    return TABLE_NONE;
}

/* Put a place among the others, which it pushes along; false when there is no room at the end. */
static bool insert(struct table_shard *shard, struct table_place place) {
    struct table_place *at = &shard->places[first_place(place.home, shard->homes)];
    while (!is_empty(at) && at->home <= place.home) {
        at++;
    }
    struct table_place *end = at;
    while (!is_empty(end)) {
        end++;
    }
    if (end == &shard->places[places_of(shard->homes) - 1]) {
        return false;
    }
    memmove(at + 1, at, (size_t)(end - at) * PLACE_BYTES);
    *at = place;
    return true;
}

/* Homes to begin with; there are more once a twelfth is left. */
static uint32_t homes_for(uint32_t live) {
    return live + live / 5 + HOMES_MIN;
}

void table_add(struct table *table, uint64_t hash, uint32_t number) {
    CHECK(number < TABLE_NUMBERS_MAX);
    if (table->shards == NULL) {
        table->shards = mem_array(TABLE_SHARDS, sizeof *table->shards);
        *table->bytes += SHARDS_BYTES;
    }
    struct table_shard *shard = shard_of(table, hash);
    if (shard->live >= shard->homes - shard->homes / 12) {
        resize(table, shard, homes_for(shard->live));
    }
    while (!insert(shard, place_of(hash, number))) {
        resize(table, shard, homes_for(shard->homes));
    }
    shard->live++;
    table->count++;
}

/* Give back the memory of a shard with few numbers left; return how many places it had if so. */
static uint32_t shrink(struct table *table, struct table_shard *shard) {
    uint32_t places = places_of(shard->homes);
    if (shard->live == 0) {
        resize(table, shard, 0);
    } else if (shard->homes > 4 * HOMES_MIN && shard->live < shard->homes / 4) {
        resize(table, shard, shard->live * 2);
    } else {
        places = 0;
    }
    if (table->count == 0) {
        free_shards(table);
    }
    return places;
}

uint32_t table_remove(struct table *table, uint64_t hash, uint32_t number) {
    CHECK(table->shards != NULL);
    struct table_shard *shard = shard_of(table, hash);
    struct table_walk walk = table_start(table, hash);
    uint32_t found;
    do {
        found = table_next(&walk);
        CHECK(found != TABLE_NONE);
    } while (found != number);
    struct table_place *at = &shard->places[walk.at - shard->places], *end = at;
    while (!is_empty(end) && end > &shard->places[first_place(end->home, shard->homes)]) {
        end++; /* was pushed along: comes one back */
    }
    memmove(at - 1, at, (size_t)(end - at) * PLACE_BYTES);
    end[-1] = (struct table_place){0};
    shard->live--;
    table->count--;
    return shrink(table, shard);
}

uint32_t table_sweep(struct table *table, uint32_t number, table_keep_fn *keep,
                     const void *context) {
    if (table->shards == NULL) {
        return 0;
    }
    struct table_shard *shard = &table->shards[number];
    uint32_t places = places_of(shard->homes), end = 0, live = 0;
    for (uint32_t at = 0; at < places; at++) { /* nothing moves to the right */
        struct table_place place = shard->places[at];
        shard->places[at] = (struct table_place){0};
        if (!is_empty(&place) && keep(context, held(&place) - 1)) {
            uint32_t first = first_place(place.home, shard->homes);
            end = first > end ? first : end;
            shard->places[end++] = place;
            live++;
        }
    }
    table->count -= shard->live - live;
    if (live < shard->live) {
        shard->live = live;
        places += shrink(table, shard);
    }
    return places;
}
