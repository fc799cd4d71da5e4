/* library.c - what a node shares: folders scanned and hashed by workers, changes noticed.
 *
 * A round: one job walks the folders; the loop compares what it found with what is shared and
 * withdraws what is gone or different; batches of the rest are hashed (or found in the cache), one
 * job after the other, and shared as they come. The next round begins soon after a watched folder
 * has changed (but rounds take at most a fifth of the time, unless they are long), at once when a
 * block could not be served because its file had changed, and without either after a while: not
 * every file system tells of its changes, and a system may have fewer watches than there are
 * folders. */
#include "src/host/library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/check.h"
#include "common/hashtree.h"
#include "common/mem.h"
#include "src/host/crypto.h"
#include "src/host/extract.h"
#include "src/host/failure.h"
#include "src/host/hashing.h"
#include "src/host/scan.h"
#include "src/host/watch.h"

#define LIBRARY_RESCAN_MS 600000  /* when every folder is watched */
#define LIBRARY_UNWATCHED_MS 2000 /* ... and when not: at least, ... */
#define LIBRARY_UNWATCHED_MS_MAX 60000
#define LIBRARY_UNWATCHED_REST 50 /* ... and so many times as long as the round took */
#define LIBRARY_SOON_MS 100
#define LIBRARY_PAUSE_MS 500    /* after a round, for changes to add up ... */
#define LIBRARY_REST 4          /* ... or so many times as long as the round took, ... */
#define LIBRARY_REST_MS 2000    /* ... but no longer: a round may have waited for a busy disk */
#define LIBRARY_CALM_MS 1000    /* a file that was written to so recently may well be again */
#define LIBRARY_FOLDERS_MAX 257 /* 256 shares and the downloads */

struct shared {
    uint64_t file;
    struct hash key; /* of the full path */
    struct content_id content;
    char *root;
    struct source *source;
    uint64_t round; /* in which it was last found */
};

struct folder {
    char *path;  /* real */
    char *label; /* what others are told instead */
    struct filter *filter;
    uint32_t group; /* who may have its files, as the node was told; 0 = not told */
};

struct library {
    struct host_node *node;
    struct folder folders[LIBRARY_FOLDERS_MAX];
    uint32_t folder_count;
    struct map by_file; /* u64 -> struct shared */
    struct map by_path; /* hash -> struct shared */
    uint64_t last_file;
    uint32_t last_group;
    uint64_t round;
    bool is_working;   /* a round is under way */
    bool is_wanted;    /* another one right after it */
    bool is_watched;   /* all folders are */
    bool is_ready;     /* NODE_SHARES_READY was told */
    uint64_t round_us; /* when it began, and when it ended */
    uint64_t rest_us;
    struct share_left left; /* by the last scan */
    struct event timer;
    struct hashing *hashing;
    struct extract *extract; /* NULL = no metadata is read or told */
};

struct scan_job {
    struct job job;
    struct library *library;
    struct folder folders[LIBRARY_FOLDERS_MAX];
    uint32_t folder_count;
    struct scan scan;
};

static void free_folder(struct folder *folder) {
    mem_free(folder->path);
    mem_free(folder->label);
    filter_free(folder->filter);
}

static void schedule(struct library *library, uint32_t ms) {
    struct timeval wait = {.tv_sec = (time_t)(ms / 1000),
                           .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
    event_add(&library->timer, &wait);
}

/* The next round: soon after a change, but not one after the other. */
static void schedule_changed(struct library *library) {
    uint64_t now_us = clock_mono_us();
    uint64_t wait_us = library->rest_us > now_us ? library->rest_us - now_us : 0;
    schedule(library, LIBRARY_SOON_MS + (uint32_t)(wait_us / 1000));
}

static void key_of(struct hash *key, const char *root, const char *path) {
    const struct crypto *crypto = crypto_keyless();
    char *full = path_join(root, path);
    crypto_hash(crypto, (struct slice){(uint8_t *)full, strlen(full)}, key);
    mem_free(full);
}

/* ---- Sharing and withdrawing ---- */

static uint32_t find_folder(const struct library *library, const char *folder) {
    uint32_t i = 0;
    while (i < library->folder_count && strcmp(library->folders[i].path, folder) != 0) {
        i++;
    }
    return i;
}

/* Tell who may have a folder's files; none = its group is over. */
static void tell_group(const struct library *library, const struct folder *folder, uint32_t count) {
    const struct node_id *ids;
    (void)filter_readers(folder->filter, &ids);
    struct buf owned = {0};
    buf_append(&owned, ids, count * sizeof *ids);
    struct node_event event = {.kind = NODE_GROUP,
                               .group = {.group = folder->group,
                                         .is_locked = filter_is_locked(folder->filter),
                                         .ids = {owned.data, owned.len}}};
    node_queue(library->node, &event, owned.data);
}

/* The group of the files of a folder, told when it is new; 0 = they are for everybody. */
static uint32_t group_of(struct library *library, const char *root) {
    const struct node_id *ids;
    struct folder *folder = &library->folders[find_folder(library, root)];
    CHECK(folder->filter != NULL);
    uint32_t count = filter_readers(folder->filter, &ids);
    if (count > 0 && folder->group == 0) {
        folder->group = ++library->last_group;
        tell_group(library, folder, count);
    }
    return folder->group;
}

/* Append where a file is: nothing of what is above the shared folder is told. */
static void append_folder(struct buf *out, const struct library *library,
                          const struct shared *shared) {
    const char *label = library->folders[find_folder(library, shared->root)].label;
    const char *slash = strrchr(shared->source->path, '/');
    buf_append(out, label, strlen(label));
    if (slash != NULL) {
        buf_u8(out, '/');
        buf_append(out, shared->source->path, (size_t)(slash - shared->source->path));
    }
}

/* What others are told as a file's name. */
static const char *name_of(const struct library *library, const struct shared *shared) {
    const struct folder *folder = &library->folders[find_folder(library, shared->root)];
    const char *path = shared->source->path;
    const char *alias = filter_alias(folder->filter, path);
    const char *slash = strrchr(path, '/');
    return alias != NULL ? alias : slash != NULL ? slash + 1 : path;
}

/* `pieces` may be NULL when the node has them already. */
static void tell_shared(struct library *library, const struct shared *shared,
                        const struct hash *pieces, struct slice meta) {
    uint32_t group = group_of(library, shared->root);
    const char *name = name_of(library, shared);
    uint32_t count = hashtree_pieces(shared->content.size);
    struct buf owned = {0};
    buf_append(&owned, pieces, count > 1 && pieces != NULL ? count * sizeof *pieces : 0);
    size_t pieces_len = owned.len;
    buf_append(&owned, name, strlen(name));
    size_t name_end = owned.len;
    buf_append(&owned, meta.data, library->extract != NULL ? meta.len : 0);
    size_t meta_end = owned.len;
    append_folder(&owned, library, shared);
    struct node_event event = {.kind = NODE_SHARED,
                               .shared = {.file = shared->file,
                                          .group = group,
                                          .content = shared->content,
                                          .pieces = {owned.data, pieces_len},
                                          .name = {owned.data + pieces_len, strlen(name)},
                                          .folder = {owned.data + meta_end, owned.len - meta_end},
                                          .meta = {owned.data + name_end, meta_end - name_end}}};
    node_queue(library->node, &event, owned.data);
}

static void free_shared(struct shared *shared) {
    source_release(shared->source);
    mem_free(shared->root);
    mem_free(shared);
}

static void withdraw(struct library *library, struct shared *shared) {
    map_remove(&library->by_file, &shared->file);
    map_remove(&library->by_path, &shared->key);
    struct node_event event = {.kind = NODE_UNSHARED, .shared = {.file = shared->file}};
    node_queue(library->node, &event, NULL);
    free_shared(shared);
}

/* Share a file of a folder that is shared (it may have been removed meanwhile). */
static void share(struct library *library, const struct found_file *found) {
    struct hash key;
    if (find_folder(library, found->root) == library->folder_count) {
        return;
    }
    key_of(&key, found->root, found->path);
    struct shared *before = map_get(&library->by_path, &key);
    if (before != NULL) {
        withdraw(library, before);
    }
    struct shared *shared = mem_new(sizeof *shared);
    shared->file = ++library->last_file;
    shared->key = key;
    shared->content = found->content;
    shared->root = mem_string(found->root);
    shared->source = source_new(-1, found->root, found->path, &found->stamp);
    shared->round = library->round;
    map_put(&library->by_file, &shared->file, shared);
    map_put(&library->by_path, &shared->key, shared);
    tell_shared(library, shared, found->pieces, found->meta);
    bool is_known = extract_is_current(found->meta_by);
    if (library->extract != NULL && extract_wants(found->path) &&
        !(is_known && extract_is_full(found->meta_by))) {
        extract_add(library->extract, shared->file, is_known);
    }
}

/* Shared first, described later: replace what the node knows. */
static void on_described(void *context, uint64_t file, struct slice meta, uint32_t by) {
    struct library *library = context;
    struct shared *shared = map_get(&library->by_file, &file);
    if (shared == NULL) {
        return;
    }
    hashing_describe(library->hashing, &shared->content, meta, by);
    if (meta.len > 0) {
        tell_shared(library, shared, NULL, meta);
    }
    node_run(library->node);
}

static struct source *on_wanted(void *context, uint64_t file) {
    struct library *library = context;
    return library_source(library->node, file);
}

void library_add(struct host_node *node, const struct found_file *found) {
    share(node->library, found);
    hashing_remember(node->library->hashing, found);
}

void library_changed(struct host_node *node, uint64_t file) {
    struct library *library = node->library;
    struct shared *shared = map_get(&library->by_file, &file);
    if (shared != NULL) {
        log_info(&node->host->log, "library.changed file=%llu", (unsigned long long)file);
        withdraw(library, shared);
        library->is_wanted = true;
        if (!library->is_working) {
            schedule(library, LIBRARY_SOON_MS);
        }
    }
}

struct source *library_source(struct host_node *node, uint64_t file) {
    const struct shared *shared = map_get(&node->library->by_file, &file);
    return shared != NULL ? source_hold(shared->source) : NULL;
}

uint64_t library_size(const struct host_node *node, uint64_t file) {
    const struct shared *shared = map_get(&node->library->by_file, &file);
    return shared != NULL ? shared->content.size : 0;
}

/* ---- A round ---- */

static void run_scan(struct job *base) {
    struct scan_job *job = (struct scan_job *)base;
    for (uint32_t i = 0; i < job->folder_count; i++) {
        const struct scan_root root = {i, job->folders[i].path, job->folders[i].filter};
        scan_folder(&job->scan, &root, base->workers);
    }
    scan_sort(&job->scan);
    for (uint32_t i = 0; i < job->scan.count; i++) {
        struct scanned *file = &job->scan.files[i];
        key_of(&file->key, job->folders[file->root].path, file->path);
    }
}

/* What is not watched is looked through often, as long as that is quick. */
static uint32_t unwatched_ms(uint64_t round_us) {
    uint64_t ms = LIBRARY_UNWATCHED_REST * round_us / 1000;
    ms = ms > LIBRARY_UNWATCHED_MS ? ms : LIBRARY_UNWATCHED_MS;
    return ms < LIBRARY_UNWATCHED_MS_MAX ? (uint32_t)ms : LIBRARY_UNWATCHED_MS_MAX;
}

static void end_round(void *context) {
    struct library *library = context;
    struct host_node *node = library->node;
    library->is_working = false;
    if (!library->is_ready && node->state == NODE_RUNNING) {
        library->is_ready = true;
        log_info(&node->host->log, "library.ready files=%u", library->by_file.count);
        struct node_event event = {.kind = NODE_SHARES_READY};
        node_queue(node, &event, NULL);
        if (library->extract != NULL) {
            extract_start(library->extract); /* it must not hold up the hashers */
        }
    }
    uint64_t now_us = clock_mono_us();
    uint64_t round_us = now_us - library->round_us;
    uint64_t rest_us = LIBRARY_REST * round_us;
    rest_us = rest_us < LIBRARY_REST_MS * 1000 ? rest_us : LIBRARY_REST_MS * 1000;
    library->rest_us =
        now_us + (rest_us > LIBRARY_PAUSE_MS * 1000 ? rest_us : LIBRARY_PAUSE_MS * 1000);
    if (workers_stopping(node->host->workers)) {
        node_run(node);
        return;
    }
    if (library->is_wanted) {
        schedule_changed(library);
    } else {
        schedule(library, library->is_watched ? LIBRARY_RESCAN_MS : unwatched_ms(round_us));
    }
    node_run(node);
}

static void on_hashed(void *context, const struct found_file *found) {
    struct library *library = context;
    share(library, found);
    node_run(library->node);
}

/* True for a file that was changed a moment ago (a wall clock set back makes none older). */
static bool is_fresh(const struct stamp *stamp) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    return stamp->mtime_ns <= now_ns && now_ns - stamp->mtime_ns < LIBRARY_CALM_MS * 1000000ull;
}

/* Keep what is as it was and where it was: of folders in one another the most open one is looked at
 * first and has the files. Hand what is new or different to the hashers. */
static void compare(struct library *library, struct scan_job *job) {
    for (uint32_t i = 0; i < job->scan.count; i++) {
        struct scanned *file = &job->scan.files[i];
        const char *root = job->folders[file->root].path;
        if (find_folder(library, root) == library->folder_count) {
            continue; /* not shared any more */
        }
        struct shared *shared = map_get(&library->by_path, &file->key);
        bool is_same = shared != NULL && strcmp(shared->root, root) == 0 &&
                       stamp_equal(&shared->source->stamp, &file->stamp);
        if (is_same) {
            shared->round = library->round;
        } else if (shared == NULL || shared->round < library->round) {
            if (library->is_ready && is_fresh(&file->stamp)) {
                library->is_wanted = true; /* hash it when it is at rest */
            } else {
                hashing_add(library->hashing, root, file->path, &file->stamp);
            }
        }
    }
}

static void withdraw_missing(struct library *library) {
    uint32_t cursor = 0;
    for (struct shared *shared; (shared = map_next(&library->by_file, &cursor, NULL)) != NULL;) {
        if (shared->round < library->round) {
            withdraw(library, shared);
        }
    }
}

static void done_scan(struct job *base) {
    struct scan_job *job = (struct scan_job *)base;
    struct library *library = job->library;
    struct host_node *node = library->node;
    const struct share_left left = job->scan.left;
    library->left = left;
    if (left.unfit + left.filtered + left.private > 0) {
        log_info(&node->host->log, "library.left_out unfit=%u filtered=%u private=%u", left.unfit,
                 left.filtered, left.private);
    }
    if (!workers_stopping(base->workers)) { /* else the scan may have been cut short */
        compare(library, job);
        withdraw_missing(library);
        watch_keep(node->host->watch, library, job->scan.folders, job->scan.folder_count);
        library->is_watched = job->scan.unwatched == 0;
    }
    for (uint32_t i = 0; i < job->folder_count; i++) {
        free_folder(&job->folders[i]);
    }
    scan_free(&job->scan);
    mem_free(job);
    hashing_start(library->hashing);
    node_run(node);
}

static void add_folders(struct scan_job *job, uint32_t closeness) {
    for (uint32_t i = 0; i < job->library->folder_count; i++) {
        const struct folder *folder = &job->library->folders[i];
        if (filter_closeness(folder->filter) == closeness) {
            job->folders[job->folder_count++] =
                (struct folder){.path = mem_string(folder->path),
                                .filter = filter_new(filter_text(folder->filter), NULL)};
        }
    }
}

static void start_round(struct library *library) {
    struct scan_job *job = mem_new(sizeof *job);
    job->job = (struct job){.run = run_scan, .done = done_scan, .slow = true};
    job->library = library;
    for (uint32_t closeness = 0; closeness <= 2; closeness++) {
        add_folders(job, closeness);
    }
    job->scan.watch = library->node->host->watch;
    library->round_us = clock_mono_us();
    library->round++; /* what is shared from now on is not missed by this scan */
    library->is_working = true;
    library->is_wanted = false;
    workers_submit(library->node->host->workers, &job->job);
}

void library_watched(void *context, void *owner) {
    struct host *host = context;
    for (struct host_node *node = host->nodes; node != NULL; node = node->next) {
        struct library *library = node->library;
        if (library == NULL || (owner != NULL && owner != library) || library->is_wanted) {
            continue;
        }
        library->is_wanted = true;
        if (!library->is_working && library->is_ready) {
            schedule_changed(library);
        }
    }
}

static void on_timer(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    struct library *library = context;
    if (!library->is_working && library->node->state == NODE_RUNNING) {
        start_round(library);
    }
}

/* ---- Folders ---- */

static void look_soon(struct library *library) {
    library->is_wanted = true;
    if (!library->is_working && library->is_ready) {
        schedule(library, 0);
    }
}

/* The folder's name or alias, numbered when another folder is told by it already; mem_* memory. */
static char *label_of(const struct library *library, const char *real,
                      const struct filter *filter) {
    const char *alias = filter_label(filter);
    const char *name = alias != NULL ? alias : strrchr(real, '/') + 1; /* real is absolute */
    size_t size = strlen(name) + 16;
    char *label = mem_new(size);
    snprintf(label, size, "%s", name[0] != '\0' ? name : "files");
    uint32_t i = 0;
    for (uint32_t number = 2; i < library->folder_count; i++) {
        if (strcmp(library->folders[i].label, label) == 0) {
            snprintf(label, size, "%s (%u)", name, number++);
            i = UINT32_MAX; /* look at all again */
        }
    }
    return label;
}

enum err library_add_folder(struct library *library, const char *folder, const char *filter,
                            struct host_error *error) {
    char *real = realpath(folder, NULL);
    struct stat stat;
    if (real == NULL || lstat(real, &stat) != 0) {
        enum err err = fail_errno(error, folder, "cannot be shared");
        free(real);
        return err;
    }
    enum err err = OK;
    if (!S_ISDIR(stat.st_mode)) {
        err = fail(error, ERR_NOT_FOUND, "%.300s: not a folder; share the folder it is in", folder);
    } else if (find_folder(library, real) < library->folder_count) {
        err = fail(error, ERR_EXISTS, "%.300s: shared already", folder);
    } else if (library->folder_count == LIBRARY_FOLDERS_MAX) {
        err = fail(error, ERR_LIMIT, "%.300s: too many folders; share one above them", folder);
    } else {
        struct filter *read = filter_new(filter, error);
        err = read == NULL ? error->err : OK;
        if (err == OK) {
            uint32_t place = library->folder_count;
            library->folders[place] = (struct folder){.path = mem_string(real), .filter = read};
            library->folders[place].label = label_of(library, real, read);
            library->folder_count++;
            look_soon(library);
        }
    }
    free(real);
    return err;
}

enum err library_remove_folder(struct library *library, const char *folder) {
    char *real = realpath(folder, NULL); /* gone folders are removed by their name */
    uint32_t place = find_folder(library, real != NULL ? real : folder);
    free(real);
    if (place == library->folder_count) {
        return ERR_NOT_FOUND;
    }
    struct folder removed = library->folders[place];
    library->folder_count--;
    memmove(library->folders + place, library->folders + place + 1,
            (library->folder_count - place) * sizeof *library->folders);
    uint32_t cursor = 0;
    for (struct shared *shared; (shared = map_next(&library->by_file, &cursor, NULL)) != NULL;) {
        if (strcmp(shared->root, removed.path) == 0) {
            withdraw(library, shared);
        }
    }
    if (removed.group != 0) {
        tell_group(library, &removed, 0);
    }
    free_folder(&removed);
    look_soon(library); /* another folder may hold the same files */
    return OK;
}

/* ---- Life ---- */

struct library *library_new(struct host_node *node, const struct host_node_config *config) {
    struct library *library = mem_new(sizeof *library);
    library->node = node;
    map_init(&library->by_file, sizeof(uint64_t), node->env.seed ^ 0x66696c65);
    map_init(&library->by_path, sizeof(struct hash), node->env.seed ^ 0x70617468);
    evtimer_assign(&library->timer, node->host->base, on_timer, library);
    struct hashing_config hashing = {.workers = node->host->workers,
                                     .log = &node->host->log,
                                     .counts = &node->host->counts,
                                     .state_dir = node->state_dir,
                                     .hashed = on_hashed,
                                     .idle = end_round,
                                     .context = library};
    library->hashing = hashing_new(&hashing);
    if (!config->no_metadata) {
        struct extract_config extract = {.host = node->host,
                                         .program = config->extract_program,
                                         .open = on_wanted,
                                         .done = on_described,
                                         .context = library};
        library->extract = extract_new(&extract);
    } else {
        node->host->counts.metadata = "off";
    }
    return library;
}

void library_start(struct library *library) {
    start_round(library);
}

struct share_left library_left(const struct library *library) {
    return library->left;
}

void library_stop(struct library *library) {
    if (library != NULL) {
        event_del(&library->timer);
        extract_stop(library->extract);
        watch_keep(library->node->host->watch, library, NULL, 0);
    }
}

void library_free(struct library *library) {
    if (library == NULL) {
        return;
    }
    library_stop(library);
    extract_free(library->extract);
    hashing_free(library->hashing);
    uint32_t cursor = 0;
    for (struct shared *shared; (shared = map_next(&library->by_file, &cursor, NULL)) != NULL;) {
        free_shared(shared);
    }
    map_free(&library->by_file);
    map_free(&library->by_path);
    for (uint32_t i = 0; i < library->folder_count; i++) {
        free_folder(&library->folders[i]);
    }
    mem_free(library);
}
