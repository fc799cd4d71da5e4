/* map.c - open addressing over an array of entries in insertion order.
 *
 * A map of more than MAP_LISTED entries has, behind its entries and in the same piece of memory,
 * its hash key (2 * u64) and twice as many buckets (u32) as entries: the index + 1 of an entry,
 * 0 = empty, MAP_REMOVED. */
#include "common/map.h"

#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "common/rng.h"

#define MAP_REMOVED UINT32_MAX
#define MAP_CAP_MIN 4

static inline uint64_t rotate(uint64_t value, int by) {
    return value << by | value >> (64 - by);
}

static inline void sip_round(uint64_t v[4]) {
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

static inline uint64_t load4(const uint8_t *bytes) {
    return bytes[0] | (uint64_t)bytes[1] << 8 | (uint64_t)bytes[2] << 16 | (uint64_t)bytes[3] << 24;
}

/* At most 7 bytes, little-endian, without a loop: most keys are short. */
static inline uint64_t load_last(const uint8_t *bytes, size_t len) {
    if (len >= 4) {
        return load4(bytes) | load4(bytes + len - 4) << (8 * (len - 4));
    }
    if (len == 0) {
        return 0;
    }
    return bytes[0] | (uint64_t)bytes[len / 2] << (8 * (len / 2)) |
           (uint64_t)bytes[len - 1] << (8 * (len - 1));
}

uint64_t siphash(const uint64_t key[2], const void *bytes, size_t len) {
    const uint8_t *at = bytes;
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
                     key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573};
    size_t left = len;
    for (; left >= 8; left -= 8, at += 8) {
        uint64_t word = load4(at) | load4(at + 4) << 32;
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    uint64_t last = load_last(at, left) | (uint64_t)len << 56;
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static size_t entry_bytes(const struct map *map) {
    size_t bytes = sizeof(void *) + map->key_bytes;
    return (bytes + sizeof(void *) - 1) / sizeof(void *) * sizeof(void *);
}

static uint8_t *entry_at(const struct map *map, uint32_t index) {
    return map->entries + (size_t)index * entry_bytes(map);
}

static void *entry_value(const uint8_t *entry) {
    void *value;
    memcpy(&value, entry, sizeof value);
    return value;
}

static bool has_buckets(const struct map *map) {
    return map->cap > MAP_LISTED;
}

static uint64_t *sip_key_of(const struct map *map) {
    return (uint64_t *)(void *)entry_at(map, map->cap);
}

static uint32_t *buckets_of(const struct map *map) {
    return (uint32_t *)(void *)(sip_key_of(map) + 2);
}

static bool is_at(const struct map *map, uint32_t index, const void *key) {
    return memcmp(entry_at(map, index) + sizeof(void *), key, map->key_bytes) == 0;
}

/* Return the bucket of the key, or the empty one that ends its probe sequence. */
static uint32_t *find_bucket(const struct map *map, const void *key) {
    uint32_t *buckets = buckets_of(map);
    uint32_t mask = map->cap * 2 - 1;
    uint32_t at = (uint32_t)siphash(sip_key_of(map), key, map->key_bytes) & mask;
    while (buckets[at] != 0 && (buckets[at] == MAP_REMOVED || !is_at(map, buckets[at] - 1, key))) {
        at = (at + 1) & mask;
    }
    return &buckets[at];
}

/* Return the living entry of a key, or NULL; *bucket is where its index is kept, if anywhere. */
static uint8_t *find_entry(const struct map *map, const void *key, uint32_t **bucket) {
    *bucket = NULL;
    if (map->count == 0) {
        return NULL;
    }
    if (has_buckets(map)) {
        *bucket = find_bucket(map, key);
        return **bucket == 0 ? NULL : entry_at(map, **bucket - 1);
    }
    for (uint32_t i = 0; i < map->used; i++) {
        uint8_t *entry = entry_at(map, i);
        if (is_at(map, i, key) && entry_value(entry) != NULL) {
            return entry;
        }
    }
    return NULL;
}

/* The key is new and there is room. */
static void append_entry(struct map *map, const void *key, void *value) {
    uint8_t *entry = entry_at(map, map->used);
    memcpy(entry, &value, sizeof value);
    memmove(entry + sizeof value, key, map->key_bytes); /* compact: it may be there already */
    map->used++;
    map->count++;
    if (has_buckets(map)) {
        *find_bucket(map, key) = map->used;
    }
}

/* Get memory for `cap` entries, all of them free. */
static void allocate(struct map *map, uint32_t cap) {
    map->cap = cap;
    map->used = 0;
    map->count = 0;
    size_t bytes = entry_bytes(map);
    if (!has_buckets(map)) {
        map->entries = mem_array(cap, bytes);
        return;
    }
    /* Two buckets per entry; two entries' worth is enough for the hash key. */
    map->entries = mem_array((size_t)cap + 2, bytes + 2 * sizeof(uint32_t));
    struct rng rng;
    rng_seed(&rng, map->seed);
    sip_key_of(map)[0] = rng_u64(&rng);
    sip_key_of(map)[1] = rng_u64(&rng);
}

/* Move the live entries to the front, over the removed ones: a map through which much passes keeps
 * its memory instead of asking for as much again and again. */
static void compact(struct map *map) {
    uint32_t used = map->used;
    map->used = 0;
    map->count = 0;
    if (has_buckets(map)) {
        memset(buckets_of(map), 0, (size_t)map->cap * 2 * sizeof(uint32_t));
    }
    for (uint32_t i = 0; i < used; i++) {
        const uint8_t *entry = entry_at(map, i);
        void *value = entry_value(entry);
        if (value != NULL) {
            append_entry(map, entry + sizeof(void *), value);
        }
    }
}

/* Move the live entries to memory for `cap` entries. */
static void rebuild(struct map *map, uint32_t cap) {
    if (cap == map->cap) {
        compact(map);
        return;
    }
    struct map old = *map;
    allocate(map, cap);
    for (uint32_t i = 0; i < old.used; i++) {
        const uint8_t *entry = entry_at(&old, i);
        void *value = entry_value(entry);
        if (value != NULL) {
            append_entry(map, entry + sizeof(void *), value);
        }
    }
    mem_free(old.entries);
}

void map_init(struct map *map, size_t key_bytes, uint64_t seed) {
    CHECK(key_bytes > 0 && key_bytes <= 256);
    *map = (struct map){.key_bytes = (uint16_t)key_bytes, .seed = seed};
}

void map_free(struct map *map) {
    mem_free(map->entries);
    map->entries = NULL;
    map->used = map->count = map->cap = 0;
}

void *map_get(const struct map *map, const void *key) {
    uint32_t *bucket;
    const uint8_t *entry = find_entry(map, key, &bucket);
    return entry == NULL ? NULL : entry_value(entry);
}

void *map_put(struct map *map, const void *key, void *value) {
    CHECK(value != NULL);
    uint32_t *bucket;
    uint8_t *entry = find_entry(map, key, &bucket);
    if (entry != NULL) {
        void *former = entry_value(entry);
        memcpy(entry, &value, sizeof value);
        return former;
    }
    if (map->used == map->cap) {
        uint32_t cap = map->cap < MAP_CAP_MIN ? MAP_CAP_MIN : map->cap;
        rebuild(map, map->count * 4 > cap * 3 ? cap * 2 : cap);
    }
    append_entry(map, key, value);
    return NULL;
}

void *map_remove(struct map *map, const void *key) {
    uint32_t *bucket;
    uint8_t *entry = find_entry(map, key, &bucket);
    if (entry == NULL) {
        return NULL;
    }
    void *value = entry_value(entry);
    memset(entry, 0, sizeof(void *));
    if (bucket != NULL) {
        *bucket = MAP_REMOVED;
    }
    if (--map->count == 0) {
        map_free(map);
    }
    return value;
}

void *map_next(const struct map *map, uint32_t *cursor, const void **key) {
    while (*cursor < map->used) {
        uint8_t *entry = entry_at(map, (*cursor)++);
        void *value = entry_value(entry);
        if (value != NULL) {
            if (key != NULL) {
                *key = entry + sizeof(void *);
            }
            return value;
        }
    }
    return NULL;
}
