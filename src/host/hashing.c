/* hashing.c - turns found files into content ids: from the cache, or by reading them.
 *
 *     files --> batch: LOOK_UP --all known--> told
 *                         `--some not--> READ --> told --> STORE
 *
 * Batches are read side by side, on as many workers as are free for slow jobs; looking up and
 * storing share a strand, so that the cache needs no lock, and are one transaction each. */
#include "src/host/hashing.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/hashtree.h"
#include "common/mem.h"
#include "src/host/extract.h"
#include "src/host/hashcache.h"

#define BATCH_FILES 128
#define BATCH_BYTES (32u << 20) /* the first file may be larger */
#define SETTLE_NS 20000000ull   /* the kernel's file times are that coarse */

#define BATCHES_MAX 8 /* at a time: enough for WORKERS_MAX, and little to wait for */

struct item {
    struct item *next;
    struct found_file found; /* root and path are owned */
    bool is_given;           /* the content was known before; on its way into the cache only */
    bool is_cached;          /* ... or it stands there */
    bool is_moved;           /* ... under another path: looked at before it is believed */
    enum err err;
};

struct hashing {
    struct hashing_config config;
    struct hashcache *cache; /* the job's */
    bool is_open;
    struct item *first;
    struct item *last;
    struct strand strand;
    uint32_t batches; /* under way */
    bool is_started;
    struct description *described; /* on their way into the cache */
    bool is_describing;
};

struct description {
    struct description *next;
    struct content_id content;
    struct buf meta;
    uint32_t by;
};

struct describe_job {
    struct job job;
    struct hashing *hashing;
    struct description *first;
};

enum stage { LOOK_UP, READ, STORE };

struct batch {
    struct job job;
    struct hashing *hashing;
    enum stage stage;
    struct item *items;
};

char *path_join(const char *root, const char *path) {
    size_t size = strlen(root) + strlen(path) + 2;
    char *full = mem_new(size);
    snprintf(full, size, "%s/%s", root, path);
    return full;
}

static void free_item(struct item *item) {
    mem_free((char *)(uintptr_t)item->found.root);
    mem_free((char *)(uintptr_t)item->found.path);
    mem_free((struct hash *)(uintptr_t)item->found.pieces);
    mem_free((uint8_t *)(uintptr_t)item->found.meta.data);
    mem_free(item);
}

/* ---- On a worker ---- */

static bool has_stamp(int fd, const struct stamp *wanted) {
    struct stat stat;
    if (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode)) {
        return false;
    }
    struct stamp stamp = stamp_of(&stat);
    return stamp_equal(&stamp, wanted);
}

/* A file written this instant could be written again without a new time: wait until it could not.
 */
static void let_settle(const struct stamp *stamp) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    if (stamp->ctime_ns <= now_ns && now_ns - stamp->ctime_ns < SETTLE_NS) {
        usleep(SETTLE_NS / 1000);
    }
}

/* True when a file that was moved is what it was where its first and last piece tell. Who writes
 * titles into a file may leave its size and its time, and change its name. */
static bool has_its_ends(int fd, const struct found_file *found) {
    uint32_t last = hashtree_pieces(found->stamp.size) - 1;
    struct hash ends[2];
    return last > 0 && tree_of_piece(fd, found->stamp.size, 0, &ends[0]) == OK &&
           tree_of_piece(fd, found->stamp.size, last, &ends[1]) == OK &&
           memcmp(&ends[0], &found->pieces[0], sizeof ends[0]) == 0 &&
           memcmp(&ends[1], &found->pieces[last], sizeof ends[1]) == 0;
}

static enum err read_all(const struct workers *workers, int fd, struct found_file *found) {
    struct tree tree = {0};
    enum err err = tree_of_file(fd, found->stamp.size, workers, &tree);
    if (err == OK && !content_equal(&tree.content, &found->content)) {
        mem_free((uint8_t *)(uintptr_t)found->meta.data); /* of what it was */
        found->meta = (struct slice){0};
        found->meta_by = 0;
    }
    mem_free((struct hash *)(uintptr_t)found->pieces);
    found->content = tree.content;
    found->pieces = tree.pieces;
    return err;
}

static enum err read_item(const struct workers *workers, struct item *item) {
    struct found_file *found = &item->found;
    let_settle(&found->stamp);
    int fd = open_beneath(found->root, found->path);
    if (fd < 0) {
        return ERR_NOT_FOUND;
    }
    enum err err = has_stamp(fd, &found->stamp) && !is_being_written(fd) ? OK : ERR_CHANGED;
    if (err == OK && !(item->is_moved && has_its_ends(fd, found))) {
        err = read_all(workers, fd, found);
    }
    if (err == OK && !has_stamp(fd, &found->stamp)) {
        err = ERR_CHANGED;
    }
    close(fd);
    return err;
}

/* Find a file under its path, or under one that it has been moved away from. */
static void look_up(struct hashing *hashing, struct item *item) {
    struct found_file *found = &item->found;
    char *full = path_join(found->root, found->path);
    struct hash *pieces = NULL;
    item->is_cached = hashcache_get(hashing->cache, full, &found->stamp, &found->content, &pieces);
    item->is_moved = !item->is_cached &&
                     hashcache_take_moved(hashing->cache, &found->stamp, &found->content, &pieces);
    found->pieces = pieces;
    mem_free(full);
    if ((item->is_cached || item->is_moved) && extract_wants(found->path)) {
        struct buf meta = {0};
        found->meta_by = hashcache_described(hashing->cache, &found->content, &meta);
        found->meta = (struct slice){meta.data, meta.len};
    }
}

static void store(struct hashing *hashing, const struct item *item) {
    const struct found_file *found = &item->found;
    char *full = path_join(found->root, found->path);
    hashcache_put(hashing->cache, full, &found->stamp, &found->content, found->pieces);
    mem_free(full);
}

static bool needs_reading(const struct item *item) {
    return !item->is_given && !item->is_cached;
}

static void run_read(struct job *base) {
    struct batch *batch = (struct batch *)base;
    for (struct item *item = batch->items; item != NULL; item = item->next) {
        if (needs_reading(item)) {
            item->err = read_item(batch->hashing->config.workers, item);
        }
    }
}

static void open_cache(struct hashing *hashing) {
    if (!hashing->is_open) {
        hashing->is_open = true;
        hashing->cache = hashcache_open(hashing->config.state_dir, hashing->config.log);
    }
}

static void run_describe(struct job *base) {
    const struct describe_job *job = (const struct describe_job *)base;
    struct hashing *hashing = job->hashing;
    open_cache(hashing);
    hashcache_begin(hashing->cache);
    for (const struct description *at = job->first; at != NULL; at = at->next) {
        hashcache_describe(hashing->cache, &at->content,
                           (struct slice){at->meta.data, at->meta.len}, at->by);
    }
    hashcache_commit(hashing->cache);
}

static void run_cache(struct job *base) {
    struct batch *batch = (struct batch *)base;
    struct hashing *hashing = batch->hashing;
    open_cache(hashing);
    hashcache_begin(hashing->cache);
    for (struct item *item = batch->items; item != NULL; item = item->next) {
        if (batch->stage == STORE && !item->is_cached && item->err == OK) {
            store(hashing, item);
        } else if (batch->stage == LOOK_UP && !item->is_given) {
            look_up(hashing, item);
        }
    }
    hashcache_commit(hashing->cache);
}

/* ---- On the loop ---- */

static struct item *take_batch(struct hashing *hashing) {
    struct item *first = hashing->first;
    struct item *last = first;
    uint64_t bytes = first->found.stamp.size;
    for (uint32_t files = 1; last->next != NULL && files < BATCH_FILES; files++) {
        bytes += last->next->found.stamp.size;
        if (bytes > BATCH_BYTES) {
            break;
        }
        last = last->next;
    }
    hashing->first = last->next;
    if (hashing->first == NULL) {
        hashing->last = NULL;
    }
    last->next = NULL;
    return first;
}

static void go_on(struct hashing *hashing);
static void done(struct job *base);

static void submit(struct batch *batch, enum stage stage) {
    struct hashing *hashing = batch->hashing;
    batch->stage = stage;
    batch->job = (struct job){.run = stage == READ ? run_read : run_cache,
                              .done = done,
                              .strand = stage == READ ? NULL : &hashing->strand,
                              .slow = true};
    workers_submit(hashing->config.workers, &batch->job);
}

/* A file has come to be read (1), or has been, or will not be (-1). */
static void count(const struct hashing *hashing, const struct item *item, int change) {
    struct driver_counts *counts = hashing->config.counts;
    if (!item->is_given) {
        counts->hashing_files += (uint64_t)change;
        counts->hashing_bytes += (uint64_t)change * item->found.stamp.size;
    }
}

static void tell(const struct batch *batch) {
    const struct hashing_config *config = &batch->hashing->config;
    for (struct item *item = batch->items; item != NULL; item = item->next) {
        count(batch->hashing, item, -1);
        if (item->err == OK && !item->is_given) {
            config->hashed(config->context, &item->found);
        }
    }
}

static void free_batch(struct batch *batch) {
    for (struct item *item = batch->items; item != NULL;) {
        struct item *next = item->next;
        free_item(item);
        item = next;
    }
    batch->hashing->batches--;
    mem_free(batch);
}

static bool any_item(const struct batch *batch, bool (*test)(const struct item *item)) {
    const struct item *item = batch->items;
    while (item != NULL && !test(item)) {
        item = item->next;
    }
    return item != NULL;
}

static bool is_given(const struct item *item) {
    return item->is_given;
}

static void done(struct job *base) {
    struct batch *batch = (struct batch *)base;
    struct hashing *hashing = batch->hashing;
    if (batch->stage == LOOK_UP && any_item(batch, needs_reading)) {
        submit(batch, READ);
        return;
    }
    if (batch->stage != STORE) {
        tell(batch);
    }
    if (batch->stage == READ || (batch->stage == LOOK_UP && any_item(batch, is_given))) {
        submit(batch, STORE);
        return;
    }
    free_batch(batch);
    go_on(hashing);
}

static void drop_all(struct hashing *hashing) {
    while (hashing->first != NULL) {
        struct item *item = hashing->first;
        hashing->first = item->next;
        count(hashing, item, -1);
        free_item(item);
    }
    hashing->last = NULL;
}

static void go_on(struct hashing *hashing) {
    if (workers_stopping(hashing->config.workers)) {
        drop_all(hashing);
    }
    while (hashing->first != NULL && hashing->batches < BATCHES_MAX) {
        struct batch *batch = mem_new(sizeof *batch);
        batch->hashing = hashing;
        batch->items = take_batch(hashing);
        hashing->batches++;
        submit(batch, LOOK_UP);
    }
    if (hashing->batches == 0 && hashing->is_started) {
        hashing->is_started = false;
        hashing->config.idle(hashing->config.context);
    }
}

static struct item *add_item(struct hashing *hashing, const char *root, const char *path,
                             const struct stamp *stamp) {
    struct item *item = mem_new(sizeof *item);
    item->found.root = mem_string(root);
    item->found.path = mem_string(path);
    item->found.stamp = *stamp;
    if (hashing->last != NULL) {
        hashing->last->next = item;
    } else {
        hashing->first = item;
    }
    hashing->last = item;
    return item;
}

void hashing_add(struct hashing *hashing, const char *root, const char *path,
                 const struct stamp *stamp) {
    count(hashing, add_item(hashing, root, path, stamp), 1);
}

void hashing_start(struct hashing *hashing) {
    hashing->is_started = true;
    go_on(hashing);
}

void hashing_remember(struct hashing *hashing, const struct found_file *found) {
    struct item *item = add_item(hashing, found->root, found->path, &found->stamp);
    uint32_t count = hashtree_pieces(found->content.size);
    item->is_given = true;
    item->found.content = found->content;
    item->found.pieces = count > 1 ? mem_copy(found->pieces, count * sizeof *found->pieces) : NULL;
    go_on(hashing);
}

static void done_describe(struct job *base);

/* One transaction at a time: what is read meanwhile goes into the next one. */
static void store_described(struct hashing *hashing) {
    if (hashing->is_describing || hashing->described == NULL) {
        return;
    }
    struct describe_job *job = mem_new(sizeof *job);
    job->job = (struct job){
        .run = run_describe, .done = done_describe, .strand = &hashing->strand, .slow = true};
    job->hashing = hashing;
    job->first = hashing->described;
    hashing->described = NULL;
    hashing->is_describing = true;
    workers_submit(hashing->config.workers, &job->job);
}

static void done_describe(struct job *base) {
    struct describe_job *job = (struct describe_job *)base;
    struct hashing *hashing = job->hashing;
    while (job->first != NULL) {
        struct description *description = job->first;
        job->first = description->next;
        buf_free(&description->meta);
        mem_free(description);
    }
    mem_free(job);
    hashing->is_describing = false;
    store_described(hashing);
}

void hashing_describe(struct hashing *hashing, const struct content_id *content, struct slice meta,
                      uint32_t by) {
    struct description *description = mem_new(sizeof *description);
    description->content = *content;
    description->by = by;
    buf_append(&description->meta, meta.data, meta.len);
    description->next = hashing->described;
    hashing->described = description;
    store_described(hashing);
}

struct hashing *hashing_new(const struct hashing_config *config) {
    struct hashing *hashing = mem_new(sizeof *hashing);
    hashing->config = *config;
    return hashing;
}

void hashing_free(struct hashing *hashing) {
    if (hashing != NULL) {
        drop_all(hashing);
        hashcache_close(hashing->cache);
        mem_free(hashing);
    }
}
