/* postings.c - runs in chunks behind a directory of skips: they are added, and swept. */
#include <string.h>

#include "common/check.h"
#include "supernode/postings_parts.h"

#define CHUNK_RUNS (CHUNK_BYTES - 1)
#define RUN_BYTES 6 /* at most: a gap below 2^25 and a length */
#define SWEPT_RUNS (CHUNK_RUNS * (POSTINGS_RUN_MAX / 2)) /* a chunk whose every other is gone */
/* Per step of a sweep; a piece of it is a chunk looked at or written, or ... */
#define SWEEP_WORK 128
#define MOVED_PER_WORK 16384 /* ... bytes of a directory that are pushed along */
#define COPIED_PER_WORK 4096 /* ... that go to other memory, which may have to be fetched first */
#define ADDED_PER_WORK 8     /* runs added one by one */
#define SKETCH_CHUNKS_MIN 16 /* of a list that is sketched */
/* The span of a sketched list at most: so its sketch has 5 eighths of its chunks' bytes at most. */
#define NUMBERS_PER_CHUNK 10240
#define ROOM_BYTES 6 /* for runs to come, in a chunk behind a directory that has grown */
#define SMALL_BYTES (CHUNK_BYTES / 2 - 4)

/* ---- Bytes of runs ---- */

static uint8_t *put_vbyte(uint8_t *to, uint32_t value) {
    while (value >= 0x80) {
        *to++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *to++ = (uint8_t)value;
    return to;
}

static uint8_t *put_run(uint8_t *to, uint32_t next, struct run run) {
    uint32_t more = run.last - run.first;
    to = put_vbyte(to, (run.first - next) << 1 | (more > 0));
    if (more > 0) {
        *to++ = (uint8_t)(more - 1);
    }
    return to;
}

static uint32_t decode(const uint8_t *chunk, uint32_t base, struct run runs[CHUNK_RUNS]) {
    const uint8_t *end = chunk + chunk[0];
    uint32_t count = 0;
    for (const uint8_t *at = chunk + 1; at < end; count++) {
        at = get_run(at, base, &runs[count]);
        base = runs[count].last + 1;
    }
    return count;
}

/* Write as many of the runs as a chunk holds to `chunk`, which has room for CHUNK_BYTES; return
 * their number. */
static uint32_t encode(const struct run *runs, uint32_t count, uint32_t base,
                       uint8_t chunk[CHUNK_BYTES]) {
    uint8_t *at = chunk + 1;
    uint32_t i = 0;
    for (; i < count && at + RUN_BYTES <= chunk + CHUNK_BYTES; i++) {
        at = put_run(at, base, runs[i]);
        base = runs[i].last + 1;
    }
    for (; i < count; i++) { /* near the end */
        uint8_t bytes[RUN_BYTES];
        size_t len = (size_t)(put_run(bytes, base, runs[i]) - bytes);
        if (at + len > chunk + CHUNK_BYTES) {
            break;
        }
        memcpy(at, bytes, len);
        at += len;
        base = runs[i].last + 1;
    }
    chunk[0] = (uint8_t)(at - chunk);
    return i;
}

/* Put an encoded chunk where *block is, or elsewhere when it does not fit or wastes half. */
static void store(struct pool *pool, uint32_t *block, const uint8_t *chunk) {
    uint32_t cap = *block == POOL_NONE ? 0 : pool_bytes(pool, *block);
    if (cap < chunk[0] || cap > chunk[0] * 2U) {
        if (*block != POOL_NONE) {
            pool_give(pool, *block);
        }
        *block = pool_take(pool, chunk[0]);
    }
    memcpy(pool_at(pool, *block), chunk, chunk[0]);
}

/* ---- Directories ---- */

static uint32_t directory_bytes(uint32_t count) {
    return (uint32_t)(sizeof(struct directory) + count * sizeof(struct skip));
}

/* Move a directory to a block with room for `cap` skips. */
static struct directory *resize(struct pool *pool, uint32_t *list, uint32_t cap) {
    const struct directory *old = directory_of(pool, *list);
    uint32_t block = pool_take(pool, directory_bytes(cap));
    struct directory *made = pool_at(pool, block);
    memcpy(made, old, directory_bytes(old->count));
    pool_give(pool, *list);
    *list = block;
    return made;
}

/* ---- Sketches ---- */

/* The number behind which nothing of a directory's list stands. */
static uint32_t last_of(const struct pool *pool, const struct directory *directory) {
    const struct skip *skip = &directory->skips[directory->count - 1];
    struct run run = {0, skip->first};
    const uint8_t *chunk = pool_at(pool, skip->chunk);
    for (const uint8_t *at = chunk + 1; at < chunk + chunk[0];) {
        at = get_run(at, at == chunk + 1 ? skip->first : run.last + 1, &run);
    }
    return run.last;
}

/* Set the bits of all numbers behind a skip. */
static void sketch_chunk(const struct pool *pool, struct sketch sketch, const struct skip *skip) {
    const uint8_t *chunk = pool_at(pool, skip->chunk);
    uint32_t base = skip->first;
    for (const uint8_t *at = chunk + 1; at < chunk + chunk[0];) {
        struct run run;
        at = get_run(at, base, &run);
        sketch_set(sketch, run.first, run.last);
        base = run.last + 1;
    }
}

/* Sketch a list that has become long enough for its span. */
static void consider_sketch(struct pool *pool, uint32_t list) {
    struct directory *directory = directory_of(pool, list);
    if (directory->sketch != POOL_NONE || directory->count < SKETCH_CHUNKS_MIN) {
        return;
    }
    uint32_t last = last_of(pool, directory);
    if (directory->count >= last / NUMBERS_PER_CHUNK) {
        sketch_resize(pool, &directory->sketch, last);
        for (uint32_t i = 0; i < directory->count; i++) {
            sketch_chunk(pool, sketch_at(pool, directory->sketch), &directory->skips[i]);
        }
    }
}

/* Note a run that was added. A list that has become short for its span loses its sketch. */
static void sketch_run(struct pool *pool, uint32_t list, struct run run) {
    struct directory *directory = directory_of(pool, list);
    if (directory->sketch == POOL_NONE) {
        return;
    }
    if (run.last / SKETCH_WORD_NUMBERS >= sketch_at(pool, directory->sketch).words) {
        if (directory->count < run.last / NUMBERS_PER_CHUNK / 2) {
            sketch_free(pool, &directory->sketch);
            return;
        }
        sketch_resize(pool, &directory->sketch, run.last);
    }
    sketch_set(sketch_at(pool, directory->sketch), run.first, run.last);
}

/* Make room for `more` skips at `at`; return how much work that was. */
static uint32_t insert_skips(struct pool *pool, uint32_t *list, uint32_t at, uint32_t more) {
    struct directory *directory = directory_of(pool, *list);
    uint32_t work = 0;
    if (directory_bytes(directory->count + more) > pool_bytes(pool, *list)) {
        work += directory_bytes(directory->count) / COPIED_PER_WORK;
        directory = resize(pool, list, directory->count + directory->count / 16 + more);
    }
    size_t moved = (directory->count - at) * sizeof(struct skip);
    memmove(&directory->skips[at + more], &directory->skips[at], moved);
    directory->count += more;
    for (uint32_t i = at; i < at + more; i++) {
        directory->skips[i].chunk = POOL_NONE;
    }
    return work + (uint32_t)(moved / MOVED_PER_WORK);
}

/* ---- Adding ---- */

/* Put a run among others, joined to a neighbour if it touches it; return where. */
static uint32_t insert_run(struct run *runs, uint32_t *count, struct run run) {
    uint32_t at = *count;
    while (at > 0 && runs[at - 1].first > run.first) {
        at--;
    }
    if (at > 0 && runs[at - 1].last + 1 == run.first &&
        run.last - runs[at - 1].first < POSTINGS_RUN_MAX) {
        runs[at - 1].last = run.last;
        return at - 1;
    }
    if (at < *count && run.last + 1 == runs[at].first &&
        runs[at].last - run.first < POSTINGS_RUN_MAX) {
        runs[at].first = run.first;
        return at;
    }
    memmove(&runs[at + 1], &runs[at], (*count - at) * sizeof *runs);
    runs[at] = run;
    ++*count;
    return at;
}

/* Where a run belongs in a chunk: between the runs `before` and `after`, if there are any. */
struct gap {
    uint8_t *from; /* bytes of `before` begin */
    uint8_t *at;   /* ... end, and those of `after` begin */
    uint8_t *to;   /* ... end */
    uint32_t base; /* number from which the gap of `before` counts */
    struct run before;
    struct run after;
};

static struct gap find_gap(uint8_t *chunk, uint32_t base, uint32_t number) {
    uint8_t *end = chunk + chunk[0], *next = chunk + 1;
    struct gap gap = {.from = next, .at = next, .to = next, .base = base, .before = {base, base}};
    gap.before.last = base - 1; /* so that counting goes on at base */
    while (next < end) {
        struct run run;
        gap.to = next + (get_run(next, gap.before.last + 1, &run) - next);
        if (run.first > number) {
            gap.after = run;
            return gap;
        }
        gap.base = gap.before.last + 1;
        gap.before = run;
        gap.from = next;
        gap.at = next = gap.to;
    }
    return gap;
}

static bool join_before(const struct gap *gap, struct run *run) {
    bool joins = gap->from < gap->at && gap->before.last + 1 == run->first &&
                 run->last - gap->before.first < POSTINGS_RUN_MAX;
    run->first = joins ? gap->before.first : run->first;
    return joins;
}

static bool join_after(const struct gap *gap, struct run *run) {
    bool joins = gap->at < gap->to && run->last + 1 == gap->after.first &&
                 gap->after.last - run->first < POSTINGS_RUN_MAX;
    run->last = joins ? gap->after.last : run->last;
    return joins;
}

/* What putting a run into a chunk comes to: `len` other bytes between those before `from` and those
 * from `to` on. */
struct change {
    uint32_t from;
    uint32_t to;
    uint32_t len;
    uint8_t bytes[2 * RUN_BYTES];
};

/* A run is put where it stands, joined to its neighbours if it touches them: most of the bytes stay
 * as they are. */
static struct change plan(uint8_t *chunk, uint32_t base, struct run run) {
    struct gap gap = find_gap(chunk, base, run.first);
    struct change change = {(uint32_t)(gap.at - chunk), (uint32_t)(gap.to - chunk), 0, {0}};
    uint32_t next = gap.before.last + 1;
    if (join_before(&gap, &run)) {
        change.from = (uint32_t)(gap.from - chunk);
        next = gap.base;
    }
    bool has_joined = join_after(&gap, &run);
    uint8_t *end = put_run(change.bytes, next, run);
    if (!has_joined && gap.at < gap.to) {
        end = put_run(end, run.last + 1, gap.after);
    }
    change.len = (uint32_t)(end - change.bytes);
    return change;
}

static void apply(const struct change *change, uint8_t *chunk, uint32_t used) {
    memmove(chunk + change->from + change->len, chunk + change->to, chunk[0] - change->to);
    memcpy(chunk + change->from, change->bytes, change->len);
    chunk[0] = (uint8_t)used;
}

/* Put a run into the chunk at *block, base being where its first gap counts from; false when it
 * does not fit a chunk. One that moves gets `room` for more. */
static bool add_to_chunk(struct pool *pool, uint32_t *block, uint32_t base, uint32_t room,
                         struct run run) {
    uint8_t *chunk = pool_at(pool, *block);
    struct change change = plan(chunk, base, run);
    uint32_t used = chunk[0] + change.len - (change.to - change.from);
    if (used > CHUNK_BYTES) {
        return false;
    }
    if (used > pool_bytes(pool, *block)) {
        uint8_t kept[CHUNK_BYTES];
        memcpy(kept, chunk, chunk[0]);
        pool_give(pool, *block);
        room += used;
        *block = pool_take(pool, room < CHUNK_BYTES ? room : CHUNK_BYTES);
        chunk = pool_at(pool, *block);
        memcpy(chunk, kept, kept[0]);
    }
    apply(&change, chunk, used);
    return true;
}

/* Where to cut runs that no longer fit one chunk: in half, or before the last when it is new, so
 * that lists which grow at their end have full chunks. */
static uint32_t cut_of(uint32_t count, uint32_t inserted) {
    return inserted + 1 == count ? count - 1 : count / 2;
}

/* The skip to whose chunk a number is added: often the last, for new numbers are high. */
static uint32_t skip_for(const struct directory *directory, uint32_t number) {
    uint32_t last = directory->count - 1;
    return directory->skips[last].first <= number
               ? last
               : find_skip(directory->skips, directory->count, number);
}

/* Add a run; true when that took one chunk more. */
static bool add_to_directory(struct pool *pool, uint32_t *list, struct run run) {
    struct directory *directory = directory_of(pool, *list);
    uint32_t at = skip_for(directory, run.first);
    struct skip *skip = &directory->skips[at];
    if (run.first >= skip->first &&
        add_to_chunk(pool, &skip->chunk, skip->first, ROOM_BYTES, run)) {
        return false;
    }
    struct run runs[CHUNK_RUNS + 1];
    uint32_t count = decode(pool_at(pool, skip->chunk), skip->first, runs);
    uint32_t inserted = insert_run(runs, &count, run);
    uint8_t chunk[CHUNK_BYTES];
    skip->first = runs[0].first;
    if (encode(runs, count, runs[0].first, chunk) == count) {
        store(pool, &skip->chunk, chunk);
        return false;
    }
    uint32_t cut = cut_of(count, inserted);
    CHECK(encode(runs, cut, runs[0].first, chunk) == cut);
    store(pool, &skip->chunk, chunk);
    (void)insert_skips(pool, list, at + 1, 1);
    skip = &directory_of(pool, *list)->skips[at + 1];
    skip->first = runs[cut].first;
    CHECK(encode(runs + cut, count - cut, runs[cut].first, chunk) == count - cut);
    store(pool, &skip->chunk, chunk);
    return true;
}

/* Put two chunks behind a directory. */
static void make_directory(struct pool *pool, uint32_t *list, const struct run *runs,
                           uint32_t count, uint32_t cut) {
    if (*list != POSTINGS_EMPTY) {
        pool_give(pool, *list);
    }
    *list = pool_take(pool, directory_bytes(2));
    struct directory *directory = pool_at(pool, *list);
    *directory = (struct directory){.mark = DIRECTORY, .count = 2, .sketch = POOL_NONE};
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t from = i == 0 ? 0 : cut, to = i == 0 ? cut : count;
        uint8_t chunk[CHUNK_BYTES];
        CHECK(encode(runs + from, to - from, runs[from].first, chunk) == to - from);
        directory->skips[i] = (struct skip){runs[from].first, POOL_NONE};
        store(pool, &directory->skips[i].chunk, chunk);
    }
}

void postings_add(struct pool *pool, uint32_t *list, struct run run) {
    struct run runs[CHUNK_RUNS + 1];
    uint32_t count = 0;
    if (*list == POSTINGS_EMPTY && run.first == run.last) {
        *list = SINGLE | run.first;
        return;
    }
    if (directory_of(pool, *list) != NULL) {
        if (add_to_directory(pool, list, run)) {
            consider_sketch(pool, *list);
        }
        sketch_run(pool, *list, run);
        return;
    }
    if (!is_single(*list)) {
        if (add_to_chunk(pool, list, 0, 0, run)) {
            return;
        }
        count = decode(pool_at(pool, *list), 0, runs);
    } else if (*list != POSTINGS_EMPTY) {
        runs[count++] = (struct run){*list & ~SINGLE, *list & ~SINGLE};
        *list = POSTINGS_EMPTY;
    }
    uint32_t inserted = insert_run(runs, &count, run);
    uint8_t chunk[CHUNK_BYTES];
    if (encode(runs, count, 0, chunk) == count) {
        store(pool, list, chunk);
    } else {
        make_directory(pool, list, runs, count, cut_of(count, inserted));
    }
}

void postings_prefetch(const struct pool *pool, uint32_t list) {
    if (!is_single(list)) {
        __builtin_prefetch(pool_at(pool, list));
    }
}

void postings_prefetch_at(const struct pool *pool, uint32_t list, uint32_t number) {
    const struct directory *directory = directory_of(pool, list);
    if (directory != NULL) {
        fetch_chunk(pool, directory->skips[skip_for(directory, number)].chunk);
    }
}

void postings_free(struct pool *pool, uint32_t *list) {
    if (!is_single(*list)) {
        struct directory *directory = directory_of(pool, *list);
        for (uint32_t i = 0; directory != NULL && i < directory->count; i++) {
            pool_give(pool, directory->skips[i].chunk);
        }
        if (directory != NULL) {
            sketch_free(pool, &directory->sketch);
        }
        pool_give(pool, *list);
    }
    *list = POSTINGS_EMPTY;
}

uint32_t postings_weight(const struct pool *pool, uint32_t list) {
    if (is_single(list)) {
        return 0;
    }
    const struct directory *directory = directory_of(pool, list);
    const uint8_t *chunk = pool_at(pool, list);
    return directory != NULL ? directory->count * CHUNK_BYTES : chunk[0];
}

/* ---- Sweeping ---- */

/* The bits of the 64 numbers that one stands among. */
static uint64_t bits_at(uint64_t *const *alive, uint32_t number) {
    return alive[number / POSTINGS_PAGE_NUMBERS][number % POSTINGS_PAGE_NUMBERS / 64];
}

static bool is_alive(uint64_t *const *alive, uint32_t number) {
    return (bits_at(alive, number) >> (number % 64) & 1) != 0;
}

/* Numbers from `from` to at most `last` whose bits are all alike. */
static uint32_t end_of_streak(uint64_t *const *alive, uint32_t from, uint32_t last) {
    bool is_set = is_alive(alive, from);
    uint32_t at = from;
    while (at <= last) {
        uint64_t bits = is_set ? ~bits_at(alive, at) : bits_at(alive, at);
        bits >>= at % 64;
        if (bits != 0) {
            at += (uint32_t)__builtin_ctzll(bits);
            break;
        }
        at += 64 - at % 64;
    }
    return at <= last ? at : last + 1;
}

static bool all_alive(uint64_t *const *alive, struct run run) {
    for (uint32_t at = run.first; at <= run.last; at += 64 - at % 64) {
        uint32_t left = run.last - at;
        uint64_t dead = ~bits_at(alive, at) >> (at % 64);
        if ((left < 63 ? dead << (63 - left) : dead) != 0) {
            return false;
        }
    }
    return true;
}

/* True when nothing in a chunk is dead, as in most of them. */
static bool chunk_is_alive(const uint8_t *chunk, uint32_t base, uint64_t *const *alive) {
    const uint8_t *end = chunk + chunk[0];
    for (const uint8_t *at = chunk + 1; at < end;) {
        struct run run;
        at = get_run(at, base, &run);
        if (!all_alive(alive, run)) {
            return false;
        }
        base = run.last + 1;
    }
    return true;
}

/* Copy what lives of the runs; return how many runs that makes. */
static uint32_t keep_alive(const struct run *runs, uint32_t count, uint64_t *const *alive,
                           struct run kept[SWEPT_RUNS]) {
    uint32_t made = 0;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t at = runs[i].first; at <= runs[i].last;) {
            uint32_t end = end_of_streak(alive, at, runs[i].last);
            if (is_alive(alive, at)) {
                kept[made++] = (struct run){at, end - 1};
            }
            at = end;
        }
    }
    return made;
}

/* What a sweep of a directory carries along. */
struct sweep {
    struct pool *pool;
    uint32_t *list;
    uint64_t *const *alive;
    uint32_t kept; /* the skip last written, UINT32_MAX = none */
    uint32_t work;
};

/* Chunks that runs make. */
static uint32_t chunks_of(const struct run *runs, uint32_t count) {
    uint8_t chunk[CHUNK_BYTES];
    uint32_t chunks = 0;
    for (uint32_t done = 0; done < count; chunks++) {
        done += encode(runs + done, count - done, runs[done].first, chunk);
    }
    return chunks;
}

/* Write runs as the chunks of skips `at` and on, of which the first takes the place of what is
 * there; return their number. Room for all others is made at once: what stands behind moves once.
 */
static uint32_t store_runs(struct sweep *sweep, uint32_t at, const struct run *runs,
                           uint32_t count) {
    uint8_t chunk[CHUNK_BYTES];
    uint32_t done = encode(runs, count, runs[0].first, chunk);
    uint32_t more = done == count ? 0 : chunks_of(runs + done, count - done);
    if (more > 0) {
        sweep->work += more + insert_skips(sweep->pool, sweep->list, at + 1, more);
    }
    struct skip *skip = &directory_of(sweep->pool, *sweep->list)->skips[at];
    skip->first = runs[0].first;
    store(sweep->pool, &skip->chunk, chunk);
    while (done < count) {
        skip++;
        skip->first = runs[done].first;
        done += encode(runs + done, count - done, skip->first, chunk);
        store(sweep->pool, &skip->chunk, chunk);
    }
    return 1 + more;
}

/* Join the chunk of skip `at` to the one before if both are small; true when it went there. */
static bool join_before_it(struct sweep *sweep, uint32_t at) {
    struct pool *pool = sweep->pool;
    struct skip *skips = directory_of(pool, *sweep->list)->skips;
    if (sweep->kept == UINT32_MAX) {
        return false;
    }
    struct skip *before = &skips[sweep->kept], *skip = &skips[at];
    const uint8_t *former = pool_at(pool, before->chunk), *chunk = pool_at(pool, skip->chunk);
    if (former[0] > SMALL_BYTES || chunk[0] > SMALL_BYTES) {
        return false;
    }
    struct run runs[2 * CHUNK_RUNS];
    uint32_t count = decode(former, before->first, runs);
    count += decode(chunk, skip->first, runs + count);
    pool_give(pool, skip->chunk);
    skip->chunk = POOL_NONE;
    CHECK(store_runs(sweep, sweep->kept, runs, count) == 1);
    return true;
}

/* Note which of the runs of a chunk are left. Bits at its ends may be its neighbours' too. */
static void sketch_anew(const struct sweep *sweep, struct run all, const struct run *kept,
                        uint32_t count) {
    struct sketch sketch = sketch_at(sweep->pool, directory_of(sweep->pool, *sweep->list)->sketch);
    if (sketch.words > 0) {
        sketch_clear_between(sketch, all.first, all.last);
        for (uint32_t i = 0; i < count; i++) {
            sketch_set(sketch, kept[i].first, kept[i].last);
        }
    }
}

/* Sweep the chunk of skip `at`. Its skip's chunk becomes POOL_NONE when nothing is left of it, or
 * when it went into the chunk before. Return how many skips it has become, at least 1. */
static uint32_t sweep_chunk(struct sweep *sweep, uint32_t at) {
    struct pool *pool = sweep->pool;
    struct skip *skip = &directory_of(pool, *sweep->list)->skips[at];
    uint32_t chunks = 1;
    if (!chunk_is_alive(pool_at(pool, skip->chunk), skip->first, sweep->alive)) {
        struct run runs[CHUNK_RUNS], kept[SWEPT_RUNS];
        uint32_t count = decode(pool_at(pool, skip->chunk), skip->first, runs);
        struct run all = {runs[0].first, runs[count - 1].last};
        count = keep_alive(runs, count, sweep->alive, kept);
        sketch_anew(sweep, all, kept, count);
        if (count == 0) {
            pool_give(pool, skip->chunk);
            skip->chunk = POOL_NONE;
            return 1;
        }
        chunks = store_runs(sweep, at, kept, count);
    }
    if (chunks > 1 || !join_before_it(sweep, at)) {
        sweep->kept = at + chunks - 1;
    }
    return chunks;
}

/* Close the gaps that a step of a sweep left in skips `from` to `end`. */
static void compact(struct sweep *sweep, uint32_t from, uint32_t end) {
    struct directory *directory = directory_of(sweep->pool, *sweep->list);
    uint32_t to = from;
    for (uint32_t i = from; i < end; i++) {
        if (directory->skips[i].chunk != POOL_NONE) {
            directory->skips[to++] = directory->skips[i];
        }
    }
    if (to < end) {
        size_t moved = (directory->count - end) * sizeof(struct skip);
        memmove(&directory->skips[to], &directory->skips[end], moved);
        directory->count -= end - to;
        sweep->work += (uint32_t)(moved / MOVED_PER_WORK);
    }
}

/* Do without a directory when there is no need for it any more. */
static void settle(struct sweep *sweep) {
    struct pool *pool = sweep->pool;
    uint32_t *list = sweep->list;
    struct directory *directory = directory_of(pool, *list);
    if (directory->count < SKETCH_CHUNKS_MIN / 2) {
        sketch_free(pool, &directory->sketch);
    }
    if (directory->count > 1) {
        if (directory_bytes(directory->count * 2) < pool_bytes(pool, *list)) {
            sweep->work += directory_bytes(directory->count) / COPIED_PER_WORK;
            resize(pool, list, directory->count);
        }
        return;
    }
    struct run runs[CHUNK_RUNS];
    uint32_t count = 0;
    if (directory->count == 1) {
        count = decode(pool_at(pool, directory->skips[0].chunk), directory->skips[0].first, runs);
    }
    postings_free(pool, list);
    for (uint32_t i = 0; i < count; i++) {
        postings_add(pool, list, runs[i]);
    }
    sweep->work += count / ADDED_PER_WORK;
}

static bool sweep_directory(struct sweep *sweep, uint32_t *from) {
    const struct directory *directory = directory_of(sweep->pool, *sweep->list);
    uint32_t start = find_skip(directory->skips, directory->count, *from), at = start;
    while (sweep->work < SWEEP_WORK && at < directory->count) {
        sweep->work++;
        at += sweep_chunk(sweep, at);
        directory = directory_of(sweep->pool, *sweep->list);
    }
    bool is_done = at == directory->count;
    *from = is_done ? 0 : directory->skips[at].first;
    compact(sweep, start, at);
    if (is_done) {
        settle(sweep);
    }
    return is_done;
}

/* Sweep a list of one chunk; return how much work it was to write it anew. */
static uint32_t sweep_alone(struct pool *pool, uint32_t *list, uint64_t *const *alive) {
    if (chunk_is_alive(pool_at(pool, *list), 0, alive)) {
        return 0;
    }
    struct run runs[CHUNK_RUNS], kept[SWEPT_RUNS];
    uint32_t count = decode(pool_at(pool, *list), 0, runs);
    count = keep_alive(runs, count, alive, kept);
    postings_free(pool, list);
    for (uint32_t i = 0; i < count; i++) {
        postings_add(pool, list, kept[i]);
    }
    return count / ADDED_PER_WORK;
}

bool postings_sweep(struct pool *pool, uint32_t *list, uint64_t *const *alive, uint32_t *from,
                    uint32_t *work) {
    ++*work;
    if (*list == POSTINGS_EMPTY) {
        return true;
    }
    if (is_single(*list)) {
        *list = is_alive(alive, *list & ~SINGLE) ? *list : POSTINGS_EMPTY;
        return true;
    }
    if (directory_of(pool, *list) == NULL) {
        *work += sweep_alone(pool, list, alive);
        return true;
    }
    struct sweep sweep = {pool, list, alive, .kept = UINT32_MAX};
    bool is_done = sweep_directory(&sweep, from);
    *work += sweep.work;
    return is_done;
}
