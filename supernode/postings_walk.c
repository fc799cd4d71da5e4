/* postings_walk.c - walks over posting lists. */
#include "supernode/postings_parts.h"

#define CHUNKS_AHEAD 3 /* of a walk that reads on and on */

static void prefetch_chunk(const struct postings_walk *walk, uint32_t skip_at) {
    if (skip_at < walk->skip_count) {
        fetch_chunk(walk->pool, walk->skips[skip_at].chunk);
    }
}

static void enter_chunk(struct postings_walk *walk, const uint8_t *chunk, uint32_t base) {
    walk->end = chunk + chunk[0];
    walk->at = get_run(chunk + 1, base, &walk->run);
}

static void enter_skip(struct postings_walk *walk, uint32_t skip_at) {
    const struct skip *skip = &walk->skips[skip_at];
    walk->skip_at = skip_at;
    enter_chunk(walk, pool_at(walk->pool, skip->chunk), skip->first);
}

/* Read on in the chunk, up to the first run that ends at `number` or later, or the chunk's end. */
static void read_to(struct postings_walk *walk, uint32_t number) {
    const uint8_t *at = walk->at, *end = walk->end; /* in registers: bytes may alias the walk */
    struct run run = walk->run;
    while (run.last < number && at < end) {
        at = get_run(at, run.last + 1, &run);
    }
    walk->at = at;
    walk->run = run;
}

void postings_start(struct postings_walk *walk, const struct pool *pool, uint32_t list) {
    *walk = (struct postings_walk){.pool = pool};
    const struct directory *directory = directory_of(pool, list);
    if (is_single(list)) {
        walk->run = (struct run){list & ~SINGLE, list & ~SINGLE};
    } else if (directory == NULL) {
        enter_chunk(walk, pool_at(pool, list), 0);
    } else {
        walk->sketch = sketch_at(pool, directory->sketch);
        walk->skips = directory->skips;
        walk->skip_count = directory->count;
        enter_skip(walk, 0);
        prefetch_chunk(walk, 1);
    }
}

/* The last skip from `at` on that begins at `number` or before; the one at `at` does. Gallops, for
 * most steps are short. */
static uint32_t gallop(const struct postings_walk *walk, uint32_t at, uint32_t number) {
    uint32_t step = 1;
    while (at + step < walk->skip_count && walk->skips[at + step].first <= number) {
        at += step;
        step *= 2;
    }
    uint32_t left = walk->skip_count - at < step ? walk->skip_count - at : step;
    return at + find_skip(walk->skips + at, left, number);
}

bool postings_seek(struct postings_walk *walk, uint32_t number) {
    if (walk->run.last >= number) {
        return true;
    }
    uint32_t next = walk->skip_at + 1;
    if (next < walk->skip_count && walk->skips[next].first <= number) {
        enter_skip(walk, gallop(walk, next, number));
    }
    read_to(walk, number);
    if (walk->run.last < number && walk->skip_at + 1 < walk->skip_count) {
        enter_skip(walk, walk->skip_at + 1); /* begins behind `number` */
        prefetch_chunk(walk, walk->skip_at + 1);
    }
    return walk->run.last >= number;
}

void postings_look_ahead(struct postings_walk *walk, uint32_t number) {
    if (walk->skip_count == 0) {
        return;
    }
    uint32_t at = walk->ahead > walk->skip_at ? walk->ahead : walk->skip_at;
    if (at + 1 < walk->skip_count && walk->skips[at + 1].first <= number) {
        at = gallop(walk, at + 1, number);
    }
    if (at != walk->ahead) {
        prefetch_chunk(walk, at);
    }
    walk->ahead = at;
}

void postings_fetch_on(const struct postings_walk *walk) {
    for (uint32_t i = 1; i <= CHUNKS_AHEAD; i++) {
        prefetch_chunk(walk, walk->skip_at + i);
    }
}
