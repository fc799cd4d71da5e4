/* map.h - a hash map from fixed-length keys to pointers that iterates in insertion order.
 *
 * SipHash-1-3 keyed per map keeps strangers from choosing collisions; insertion order keeps two
 * runs of one seed alike on every compiler. An empty map holds no memory beyond itself, and a small
 * one only its entries: most maps of an idle node have three. */
#ifndef TRUNKLINE_COMMON_MAP_H
#define TRUNKLINE_COMMON_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Up to MAP_LISTED entries are just looked through; more have buckets behind them. */
#define MAP_LISTED 8

struct map {
    uint8_t *entries; /* {void *value; key bytes}, oldest first; value NULL = removed */
    uint64_t seed;
    uint32_t used;  /* entries written, removed ones included */
    uint32_t count; /* entries that live */
    uint32_t cap;   /* entries that fit */
    uint16_t key_bytes;
};

/* Start an empty map for keys of `key_bytes` (1 to 256) bytes. */
void map_init(struct map *map, size_t key_bytes, uint64_t seed);

/* Release the map's memory, not the values; it may be used again. */
void map_free(struct map *map);

/* Return the value or NULL. */
void *map_get(const struct map *map, const void *key);

/* Set a value (not NULL) for a key that is copied; return the former value or NULL. */
void *map_put(struct map *map, const void *key, void *value);

/* Remove and return the value, or NULL when there is none. `key` may be the one map_next pointed
 * at, which is gone afterwards. */
void *map_remove(struct map *map, const void *key);

/* Walk: start with *cursor = 0; return the next value and point *key (may be NULL) at its key, or
 * return NULL at the end. Removing any entry while walking is allowed, adding is not. */
void *map_next(const struct map *map, uint32_t *cursor, const void **key);

/* SipHash-1-3 of bytes (Aumasson and Bernstein, 2012; the 1-3 variant that Rust and Python use). */
uint64_t siphash(const uint64_t key[2], const void *bytes, size_t len);

#endif
