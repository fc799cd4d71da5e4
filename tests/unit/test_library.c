/* test_library.c - what is shared and what is not, what is remembered, and what is served. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/inotify.h>

#include "common/hashtree.h"
#include "src/host/crypto.h"
#include "src/host/files.h"
#include "tests/unit/hostlib.h"

#define SHARED_MAX 32

struct known {
    uint64_t file;
    struct content_id content;
    size_t pieces_len;
    uint32_t group;
    char name[256];
    char folder[256];
};

/* A node that shares a folder and keeps a list of what it is told. */
struct shelf {
    struct host *host;
    struct probe probe;
    char state[64];
    char folder[64];
    struct known known[SHARED_MAX];
    uint32_t count;
    uint32_t withdrawn;
    probe_fn *when_ready;
    probe_fn *later; /* NODE_TIMER, and everything that is not about shares */
    const char *other;
    uint64_t hashing_files; /* yet to be read: most that was told with a file ... */
    uint64_t hashing_bytes;
    uint64_t unread_files; /* ... and when all was said to be ready */
    struct rateplan limits;
    uint32_t last_group; /* that was told of */
    bool is_locked;
    struct node_id reader;
};

static struct known *find(struct shelf *shelf, const char *name) {
    for (uint32_t i = 0; i < shelf->count; i++) {
        if (strcmp(shelf->known[i].name, name) == 0) {
            return &shelf->known[i];
        }
    }
    return NULL;
}

static void forget(struct shelf *shelf, uint64_t file) {
    for (uint32_t i = 0; i < shelf->count; i++) {
        if (shelf->known[i].file == file) {
            shelf->known[i] = shelf->known[--shelf->count];
            shelf->withdrawn++;
            return;
        }
    }
    fail_msg("withdrawn twice or never shared: %llu", (unsigned long long)file);
}

static void shelf_script(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct shelf *shelf = probe->context;
    if (event->kind == NODE_SHARED) {
        assert_true(shelf->count < SHARED_MAX);
        struct known *known = &shelf->known[shelf->count++];
        known->file = event->shared.file;
        known->content = event->shared.content;
        known->pieces_len = event->shared.pieces.len;
        known->group = event->shared.group;
        snprintf(known->name, sizeof known->name, "%.*s", (int)event->shared.name.len,
                 (const char *)event->shared.name.data);
        snprintf(known->folder, sizeof known->folder, "%.*s", (int)event->shared.folder.len,
                 (const char *)event->shared.folder.data);
        if (probe->env->driver->hashing_files > shelf->hashing_files) {
            shelf->hashing_files = probe->env->driver->hashing_files;
            shelf->hashing_bytes = probe->env->driver->hashing_bytes;
        }
    } else if (event->kind == NODE_UNSHARED) {
        forget(shelf, event->shared.file);
    } else if (event->kind == NODE_GROUP && event->group.ids.len > 0) {
        shelf->last_group = event->group.group;
        shelf->is_locked = event->group.is_locked;
        memcpy(&shelf->reader, event->group.ids.data, sizeof shelf->reader);
    } else if (event->kind == NODE_SHARES_READY) {
        shelf->unread_files = probe->env->driver->hashing_files;
        if (shelf->when_ready != NULL) {
            shelf->when_ready(probe, event, out);
        } else {
            host_stop(shelf->host);
        }
    } else if (shelf->later != NULL) {
        shelf->later(probe, event, out);
    }
}

static void shelf_init(struct shelf *shelf) {
    *shelf = (struct shelf){0};
    folder_make_temporary(shelf->state);
    folder_make_temporary(shelf->folder);
}

static void put(const struct shelf *shelf, const char *name, size_t size, uint32_t salt) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", shelf->folder, name);
    file_make(path, size, salt);
}

static void put_folder(const struct shelf *shelf, const char *name) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", shelf->folder, name);
    assert_int_equal(mkdir(path, 0755), 0);
}

static void shelf_run(struct shelf *shelf) {
    struct host_error error;
    const char *folders[] = {shelf->folder, shelf->folder}; /* twice is once */
    shelf->host = test_host();
    shelf->probe = (struct probe){.on = shelf_script, .context = shelf};
    shelf->count = 0;
    struct host_node_config config = {.network = test_network(),
                                      .state_dir = shelf->state,
                                      .share_dirs = folders,
                                      .share_count = 2,
                                      .listen = {.family = ADDRESS_IPV4, .ip = {127, 0, 0, 41}},
                                      .make = probe_make,
                                      .role_config = &shelf->probe,
                                      .limits = &shelf->limits,
                                      .seed = 3};
    shelf->probe.node = host_add(shelf->host, &config, &error);
    assert_non_null(shelf->probe.node);
    assert_int_equal(host_run(shelf->host), 0);
    host_free(shelf->host);
}

static void shelf_free(struct shelf *shelf) {
    folder_remove(shelf->state);
    folder_remove(shelf->folder);
}

/* The id of a file by the definition: leaves, layers, padding (BEP 52). */
static struct content_id id_of(const char *path) {
    struct content_id id = {.size = 0};
    static uint8_t block[BLOCK_BYTES];
    struct hash *leaves = mem_array(4096, sizeof *leaves);
    uint32_t count = 0;
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    for (size_t got; (got = fread(block, 1, sizeof block, file)) > 0;) {
        assert_true(count < 4096);
        crypto_hash(crypto_keyless(), (struct slice){block, got}, &leaves[count++]);
        id.size += got;
    }
    fclose(file);
    hashtree_root(crypto_keyless(), leaves, count, 0, &id.root);
    mem_free(leaves);
    return id;
}

static void assert_known(struct shelf *shelf, const char *name) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", shelf->folder, name);
    const char *slash = strrchr(name, '/');
    const struct known *known = find(shelf, slash != NULL ? slash + 1 : name);
    assert_non_null(known);
    struct content_id id = id_of(path);
    assert_true(content_equal(&id, &known->content));
    size_t pieces = id.size > PIECE_BYTES ? hashtree_pieces(id.size) * sizeof(struct hash) : 0;
    assert_int_equal(known->pieces_len, pieces);
}

static void test_what_is_shared(void **state) {
    (void)state;
    struct shelf shelf;
    shelf_init(&shelf);
    char path[400];
    put_folder(&shelf, "deep");
    put_folder(&shelf, "deep/er");
    put_folder(&shelf, ".hidden");
    put(&shelf, "one byte", 1, 1);
    put(&shelf, "block", BLOCK_BYTES, 2);
    put(&shelf, "deep/piece", PIECE_BYTES, 3);
    put(&shelf, "deep/er/bigger", 3 * PIECE_BYTES + 77, 4);
    put(&shelf, "\xc3\xa9t\xc3\xa9", 100, 5);
    put(&shelf, "empty", 0, 6);
    put(&shelf, ".secret", 100, 7);
    put(&shelf, ".hidden/file", 100, 8);
    put(&shelf, "latin\xe9", 100, 9);
    put(&shelf, "line\nbreak", 100, 10);
    snprintf(path, sizeof path, "%s/link", shelf.folder);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    snprintf(path, sizeof path, "%s/linked", shelf.folder);
    assert_int_equal(symlink("/usr/share/common-licenses", path), 0);
    snprintf(path, sizeof path, "%s/fifo", shelf.folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    shelf_run(&shelf);
    assert_int_equal(shelf.count, 6);
    assert_known(&shelf, "line\nbreak");
    assert_known(&shelf, "one byte");
    assert_known(&shelf, "block");
    assert_known(&shelf, "deep/piece");
    assert_known(&shelf, "deep/er/bigger");
    assert_known(&shelf, "\xc3\xa9t\xc3\xa9");
    snprintf(path, sizeof path, "%s/deep/er", strrchr(shelf.folder, '/') + 1);
    assert_string_equal(find(&shelf, "bigger")->folder, path); /* nothing of what is above it */
    assert_string_equal(find(&shelf, "block")->folder, strrchr(shelf.folder, '/') + 1);
    assert_in_range(shelf.hashing_files, 1, 5);
    assert_in_range(shelf.hashing_bytes, 1, 5 * PIECE_BYTES);
    assert_int_equal(shelf.unread_files, 0);
    shelf_free(&shelf);
}

/* What was hashed once is not read again; what changed is. A file whose bytes were exchanged
 * behind unchanged times shows which. */
static void exchange_keeping_times(const struct shelf *shelf, const char *name) {
    char path[400];
    struct stat stat_before;
    snprintf(path, sizeof path, "%s/%s", shelf->folder, name);
    assert_int_equal(stat(path, &stat_before), 0);
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "?", 1, stat_before.st_size / 2), 1);
    close(fd);
    struct timespec times[2] = {stat_before.st_atim, stat_before.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0); /* ctime cannot be set back */
}

static void test_cache(void **state) {
    (void)state;
    struct shelf shelf;
    shelf_init(&shelf);
    put(&shelf, "kept", 40 * PIECE_BYTES, 1);
    put(&shelf, "changed", 1000, 2);
    double start_s = seconds_now();
    shelf_run(&shelf);
    double first_s = seconds_now() - start_s;
    struct content_id before = find(&shelf, "kept")->content;
    exchange_keeping_times(&shelf, "changed");
    start_s = seconds_now();
    shelf_run(&shelf);
    double second_s = seconds_now() - start_s;
    print_message("first scan %.3f s, second %.3f s\n", first_s, second_s);
    assert_int_equal(shelf.count, 2);
    assert_true(content_equal(&before, &find(&shelf, "kept")->content));
    assert_int_equal(find(&shelf, "kept")->pieces_len, 40 * sizeof(struct hash));
    assert_known(&shelf, "changed");
    /* A damaged cache is put aside, and everything hashed again. */
    char path[400];
    snprintf(path, sizeof path, "%s/hashes.db", shelf.state);
    file_make(path, 5000, 9);
    shelf_run(&shelf);
    assert_int_equal(shelf.count, 2);
    assert_known(&shelf, "kept");
    shelf_free(&shelf);
}

/* What a filter leaves out, and what looks private, is never told to the node, nor are names that
 * have an alias. */
static void add_filtered(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct shelf *shelf = probe->context;
    struct host_error error;
    (void)out;
    assert_int_equal(host_share_add(probe->node, shelf->other, "smell bad\n", &error), ERR_CONFIG);
    assert_int_equal(
        host_share_add(probe->node, shelf->other,
                       "only *.pdf\nonly id_rsa\nmax 6000\nas Papers\nalias in/b.pdf=c.pdf\n",
                       &error),
        OK);
    probe_wake(probe, event, 20);
}

static void end_when_filtered(struct probe *probe, const struct node_event *event,
                              struct outbox *out) {
    struct shelf *shelf = probe->context;
    (void)out;
    const struct share_left left = host_share_left(probe->node);
    if (find(shelf, "wanted.pdf") == NULL || find(shelf, "c.pdf") == NULL || left.filtered < 2) {
        probe_wake(probe, event, 20);
        return;
    }
    assert_int_equal(left.filtered, 2);
    assert_int_equal(left.private, 2); /* the key, and the folder of mail */
    assert_int_equal(shelf->count, 3);
    assert_string_equal(find(shelf, "wanted.pdf")->folder, "Papers");
    assert_string_equal(find(shelf, "c.pdf")->folder, "Papers/in");
    host_stop(shelf->host);
}

static void test_a_filter_keeps_files_back(void **state) {
    (void)state;
    struct shelf shelf, other;
    shelf_init(&shelf);
    shelf_init(&other);
    put(&shelf, "first", 5000, 1);
    put(&other, "wanted.pdf", 5000, 2);
    put(&other, "unwanted.txt", 5000, 3);
    put(&other, "large.pdf", 7000, 4);
    put(&other, "id_rsa", 5000, 5);
    put_folder(&other, "in");
    put(&other, "in/b.pdf", 5000, 7);
    put_folder(&other, "Mail");
    put(&other, "Mail/letter.pdf", 5000, 6);
    shelf.other = other.folder;
    shelf.when_ready = add_filtered;
    shelf.later = end_when_filtered;
    shelf_run(&shelf);
    shelf_free(&other);
    shelf_free(&shelf);
}

/* ---- Folders that are not for everybody ---- */

/* A locked folder, and one for some within the first, which is for everybody. */
static void add_closed(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct shelf *shelf = probe->context;
    struct host_error error;
    const struct node_id reader = {{1, 2, 3}};
    char id[NODE_ID_TEXT_BYTES], rules[200], inner[400];
    (void)out;
    assert_int_equal(find(shelf, "inner")->group, 0);
    node_id_format(id, &reader);
    snprintf(rules, sizeof rules, "for %s\n", id);
    snprintf(inner, sizeof inner, "%s/sub", shelf->folder);
    assert_int_equal(host_share_add(probe->node, inner, rules, &error), OK);
    snprintf(rules, sizeof rules, "for %s\nlocked yes\n", id);
    assert_int_equal(host_share_add(probe->node, shelf->other, rules, &error), OK);
    probe_wake(probe, event, 20);
}

static void see_closed(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct shelf *shelf = probe->context;
    const struct known *vault = find(shelf, "vault");
    const struct known *inner = find(shelf, "inner");
    (void)out;
    if (event->kind != NODE_TIMER) {
        return;
    }
    if (vault != NULL && find(shelf, "first") != NULL) {
        assert_true(vault->group != 0 && vault->group == shelf->last_group && shelf->is_locked);
        assert_int_equal(shelf->reader.b[2], 3);
        assert_int_equal(inner->group, 0); /* the more open folder has it */
        assert_int_equal(host_share_remove(probe->node, shelf->folder), OK);
    } else if (vault != NULL && inner != NULL) {
        assert_true(inner->group == 0 || inner->group == shelf->last_group);
        if (inner->group != 0) {
            assert_true(inner->group != vault->group && !shelf->is_locked);
            host_stop(shelf->host);
            return;
        }
    }
    probe_wake(probe, event, 20);
}

static void test_who_may_have_files_is_told(void **state) {
    (void)state;
    struct shelf shelf, other;
    char path[400];
    shelf_init(&shelf);
    shelf_init(&other);
    snprintf(path, sizeof path, "%s/sub", shelf.folder);
    assert_int_equal(mkdir(path, 0755), 0);
    put(&shelf, "first", 5000, 1);
    put(&shelf, "sub/inner", 5000, 2);
    put(&other, "vault", 5000, 3);
    shelf.other = other.folder;
    shelf.when_ready = add_closed;
    shelf.later = see_closed;
    shelf_run(&shelf);
    shelf_free(&other);
    shelf_free(&shelf);
}

/* Folders added and removed while it runs. */
static void add_other(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct shelf *shelf = probe->context;
    struct host_error error;
    (void)out;
    assert_int_equal(host_share_add(probe->node, shelf->other, NULL, &error), OK);
    assert_int_equal(host_share_add(probe->node, shelf->other, NULL, &error), ERR_EXISTS);
    assert_int_equal(host_share_add(probe->node, "/nonexistent", NULL, &error), ERR_NOT_FOUND);
    probe_wake(probe, event, 20);
}

static void remove_first(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct shelf *shelf = probe->context;
    (void)out;
    if (event->kind != NODE_TIMER) {
        return;
    }
    if (find(shelf, "other") == NULL) {
        probe_wake(probe, event, 20);
    } else if (shelf->withdrawn == 0) {
        assert_int_equal(host_share_remove(probe->node, shelf->folder), OK);
        assert_int_equal(host_share_remove(probe->node, shelf->folder), ERR_NOT_FOUND);
        probe_wake(probe, event, 300);
    } else {
        host_stop(shelf->host);
    }
}

static void test_folders_come_and_go(void **state) {
    (void)state;
    struct shelf shelf;
    struct shelf other;
    shelf_init(&shelf);
    shelf_init(&other);
    put(&shelf, "first", 5000, 1);
    char same[200]; /* a folder of the same name elsewhere is told by another one */
    snprintf(same, sizeof same, "%s/%s", other.folder, strrchr(shelf.folder, '/') + 1);
    assert_int_equal(mkdir(same, 0700), 0);
    snprintf(same, sizeof same, "%s/other", strrchr(shelf.folder, '/') + 1);
    put(&other, same, 5000, 2);
    snprintf(same, sizeof same, "%s/%s", other.folder, strrchr(shelf.folder, '/') + 1);
    shelf.other = same;
    shelf.when_ready = add_other;
    shelf.later = remove_first;
    shelf_run(&shelf);
    assert_int_equal(shelf.count, 1);
    assert_int_equal(shelf.withdrawn, 1);
    assert_non_null(find(&shelf, "other"));
    char label[200];
    snprintf(label, sizeof label, "%s (2)", strrchr(shelf.folder, '/') + 1);
    assert_string_equal(find(&shelf, "other")->folder, label);
    shelf_free(&shelf);
    shelf_free(&other);
}

/* ---- Watching ---- */

/* One thing done to the folder, and what the node must be told of it, long before any rescan. */
struct change {
    void (*make)(struct shelf *shelf);
    bool (*is_known)(struct shelf *shelf);
};

struct watching {
    struct shelf shelf; /* first: it is its probe's context */
    const struct change *changes;
    uint32_t count;
    uint32_t at;
    bool is_made;
    double made_s;
    double slowest_s;
    struct content_id before;
};

#define NOTICED_S 5.0

static void move(const struct shelf *shelf, const char *from, const char *to) {
    char one[400], other[400];
    snprintf(one, sizeof one, "%s/%s", shelf->folder, from);
    snprintf(other, sizeof other, "%s/%s", shelf->folder, to);
    assert_int_equal(rename(one, other), 0);
}

static void make_new(struct shelf *shelf) {
    put(shelf, "new", 3 * PIECE_BYTES, 1);
}

static bool new_is_known(struct shelf *shelf) {
    return find(shelf, "new") != NULL;
}

/* Other bytes in its middle, behind an unchanged time, show whether it is read again. */
static void make_renamed(struct shelf *shelf) {
    ((struct watching *)shelf)->before = find(shelf, "new")->content;
    exchange_keeping_times(shelf, "new");
    move(shelf, "new", "renamed");
}

static bool renamed_is_known(struct shelf *shelf) {
    return find(shelf, "renamed") != NULL && find(shelf, "new") == NULL;
}

static void make_rewritten(struct shelf *shelf) {
    const struct content_id *before = &((struct watching *)shelf)->before;
    assert_true(content_equal(before, &find(shelf, "renamed")->content));
    put(shelf, "renamed", 5000, 3);
}

static bool rewritten_is_known(struct shelf *shelf) {
    const struct known *known = find(shelf, "renamed");
    const struct content_id *before = &((struct watching *)shelf)->before;
    return known != NULL && !content_equal(before, &known->content);
}

static void make_folder(struct shelf *shelf) {
    assert_known(shelf, "renamed");
    put_folder(shelf, "folder");
    put_folder(shelf, "folder/below");
    put(shelf, "folder/below/deep", 100, 4);
}

static bool deep_is_known(struct shelf *shelf) {
    return find(shelf, "deep") != NULL;
}

static void make_deeper(struct shelf *shelf) {
    put(shelf, "folder/below/deeper", 100, 5);
}

static bool deeper_is_known(struct shelf *shelf) {
    return find(shelf, "deeper") != NULL;
}

static void hide_folder(struct shelf *shelf) {
    move(shelf, "folder", ".folder");
}

static bool folder_is_gone(struct shelf *shelf) {
    return find(shelf, "deep") == NULL && find(shelf, "deeper") == NULL;
}

static void make_gone(struct shelf *shelf) {
    char path[400];
    snprintf(path, sizeof path, "%s/renamed", shelf->folder);
    assert_int_equal(unlink(path), 0);
}

static bool all_is_gone(struct shelf *shelf) {
    return shelf->count == 0;
}

static void watch_changes(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct watching *watching = probe->context;
    (void)out;
    if (event->kind != NODE_TIMER && event->kind != NODE_SHARES_READY) {
        return;
    }
    const struct change *change = &watching->changes[watching->at];
    double now_s = seconds_now();
    if (!watching->is_made) {
        change->make(&watching->shelf);
        watching->is_made = true;
        watching->made_s = now_s;
    } else if (change->is_known(&watching->shelf)) {
        double took_s = now_s - watching->made_s;
        watching->slowest_s = took_s > watching->slowest_s ? took_s : watching->slowest_s;
        watching->is_made = false;
        watching->at++;
    } else if (now_s - watching->made_s > 2 * NOTICED_S) {
        fail_msg("change %u is not noticed", watching->at);
    }
    if (watching->at == watching->count) {
        host_stop(watching->shelf.host);
    } else {
        probe_wake(probe, event, 20);
    }
}

/* Each change is made when the one before is known. */
static void watching_run(struct watching *watching) {
    watching->shelf.when_ready = watch_changes;
    watching->shelf.later = watch_changes;
    shelf_run(&watching->shelf);
    print_message("the slowest was noticed after %.3f s\n", watching->slowest_s);
    assert_true(watching->slowest_s < NOTICED_S);
    shelf_free(&watching->shelf);
}

static void test_changes_are_noticed(void **state) {
    (void)state;
    static const struct change changes[] = {
        {make_new, new_is_known},
        {make_renamed, renamed_is_known},
        {make_rewritten, rewritten_is_known},
        {make_folder, deep_is_known},
        {make_deeper, deeper_is_known},
        {hide_folder, folder_is_gone},
        {make_gone, all_is_gone},
    };
    struct watching watching = {.changes = changes, .count = sizeof changes / sizeof *changes};
    shelf_init(&watching.shelf);
    watching_run(&watching);
}

/* ---- A slow disk ---- */

static uint32_t stat_ms; /* that a stat takes longer */

int fstatat(int at, const char *path, struct stat *to, int flags) {
    typedef int real_fn(int, const char *, struct stat *, int);
    real_fn *real = (real_fn *)(uintptr_t)dlsym(RTLD_NEXT, "fstatat");
    usleep(stat_ms * 1000);
    return real(at, path, to, flags);
}

/* A round that took long is no reason to rest for long. */
static void test_changes_are_noticed_on_a_slow_disk(void **state) {
    (void)state;
    static const struct change changes[] = {{make_gone, all_is_gone}};
    struct watching watching = {.changes = changes, .count = 1};
    shelf_init(&watching.shelf);
    put(&watching.shelf, "renamed", 5000, 1);
    stat_ms = 2000;
    watching_run(&watching);
    stat_ms = 0;
}

/* ---- Without watches ---- */

static bool has_no_watches; /* as when max_user_watches is reached */

int inotify_add_watch(int fd, const char *path, uint32_t mask) {
    typedef int real_fn(int, const char *, uint32_t);
    real_fn *real = (real_fn *)(uintptr_t)dlsym(RTLD_NEXT, "inotify_add_watch");
    if (has_no_watches) {
        errno = ENOSPC;
        return -1;
    }
    return real(fd, path, mask);
}

/* A system that has no more watches: the folders are walked through now and then instead. */
static void test_changes_are_found_without_watches(void **state) {
    (void)state;
    static const struct change changes[] = {
        {make_new, new_is_known},
        {make_renamed, renamed_is_known},
        {make_rewritten, rewritten_is_known},
        {make_gone, all_is_gone},
    };
    struct watching watching = {.changes = changes, .count = sizeof changes / sizeof *changes};
    shelf_init(&watching.shelf);
    has_no_watches = true;
    watching_run(&watching);
    has_no_watches = false;
}

/* ---- Blocks ---- */

#define SERVED_BYTES (300 * BLOCK_BYTES + 100)
#define HEADER "0123456789abc"

/* A shelf and a reader that links to it; the shelf sends blocks when the link is up. */
struct lending {
    struct shelf shelf; /* first: it is its probe's context */
    struct probe reader;
    struct buf received;
    bool will_change; /* the file, before it is asked for */
    uint32_t asked;
    enum err reason;
    double up_s;
    double done_s;
};

static void ask_all(struct lending *lending, uint32_t link, struct outbox *out) {
    uint64_t file = lending->shelf.known[0].file;
    for (uint64_t offset = 0; offset < SERVED_BYTES; offset += BLOCK_BYTES) {
        uint64_t left = SERVED_BYTES - offset;
        struct action *action = outbox_add_bytes(out, ACTION_SEND_BLOCK, test_slice(HEADER));
        action->link = link;
        action->file = file;
        action->offset = offset;
        action->len = left < BLOCK_BYTES ? (uint32_t)left : BLOCK_BYTES;
        action->token = ++lending->asked;
    }
}

static void lend(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct lending *lending = (struct lending *)probe->context;
    if (event->kind == NODE_LINK_UP) {
        if (lending->will_change) {
            put(&lending->shelf, "file", SERVED_BYTES, 99);
        }
        lending->up_s = seconds_now();
        ask_all(lending, event->up.link, out);
    } else if (event->kind == NODE_BLOCK_FAILED) {
        lending->reason = event->block.reason;
    }
    uint32_t answered = probe->counts[NODE_BLOCK_SENT] + probe->counts[NODE_BLOCK_FAILED];
    if (lending->asked > 0 && answered == lending->asked && lending->done_s == 0) {
        lending->done_s = seconds_now();
        probe_wake(probe, event, 300); /* time for the bytes to arrive, and for UNSHARED */
    }
    if (event->kind == NODE_TIMER && lending->shelf.count == 0) {
        probe_wake(probe, event, 50); /* what was changed comes again when it is at rest */
    } else if (event->kind == NODE_TIMER) {
        host_stop(lending->shelf.host);
    }
}

static void begin_lending(struct probe *probe, const struct node_event *event, struct outbox *out) {
    (void)event;
    (void)out;
    struct lending *lending = (struct lending *)probe->context;
    struct probe *reader = &lending->reader;
    probe_add(lending->shelf.host, reader, 42);
}

static void read_all(struct probe *probe, const struct node_event *event, struct outbox *out) {
    struct lending *lending = probe->context;
    if (event->kind == NODE_START) {
        probe_dial(&lending->shelf.probe, out, 1);
    } else if (event->kind == NODE_LINK_BYTES) {
        buf_append(&lending->received, event->bytes.data.data, event->bytes.data.len);
    }
}

static void lending_run(struct lending *lending) {
    struct rateplan limits = lending->shelf.limits;
    shelf_init(&lending->shelf);
    lending->shelf.limits = limits;
    put(&lending->shelf, "file", SERVED_BYTES, 1);
    lending->shelf.when_ready = begin_lending;
    lending->shelf.later = lend;
    lending->reader = (struct probe){.on = read_all, .context = lending};
    shelf_run(&lending->shelf);
    folder_remove(lending->reader.folder);
}

static void assert_received_whole(const struct lending *lending) {
    char path[400];
    snprintf(path, sizeof path, "%s/file", lending->shelf.folder);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    static uint8_t block[BLOCK_BYTES];
    size_t at = 0;
    for (size_t got; (got = fread(block, 1, sizeof block, file)) > 0;) {
        assert_true(at + strlen(HEADER) + got <= lending->received.len);
        assert_memory_equal(lending->received.data + at, HEADER, strlen(HEADER));
        assert_memory_equal(lending->received.data + at + strlen(HEADER), block, got);
        at += strlen(HEADER) + got;
    }
    assert_int_equal(at, lending->received.len);
    fclose(file);
}

static void test_blocks_are_sent(void **state) {
    (void)state;
    struct lending lending = {0};
    lending_run(&lending);
    assert_int_equal(lending.shelf.probe.counts[NODE_BLOCK_FAILED], 0);
    assert_int_equal(lending.shelf.probe.counts[NODE_BLOCK_SENT], 301);
    assert_received_whole(&lending);
    buf_free(&lending.received);
    shelf_free(&lending.shelf);
}

/* The rate of a node holds over all that is sent. */
static void test_pace(void **state) {
    (void)state;
    struct lending lending = {.shelf = {.limits = {.count = 1, .rows = {{.days = ALL_DAYS}}}}};
    lending.shelf.limits.rows[0].rates.of[RATE_OVERLAY] = 8000000; /* of links without a label */
    lending_run(&lending);
    double wanted_s = SERVED_BYTES / 8e6;
    double took_s = lending.done_s - lending.up_s;
    print_message("%.3f s, by the rate %.3f s\n", took_s, wanted_s);
    assert_true(took_s > wanted_s * 0.8 && took_s < wanted_s * 1.3);
    assert_received_whole(&lending);
    buf_free(&lending.received);
    shelf_free(&lending.shelf);
}

/* Not one byte of a file that is not what was promised; it is withdrawn at once, and shared again
 * as what it is now. */
static void test_changed_file_is_not_sent(void **state) {
    (void)state;
    struct lending lending = {.will_change = true};
    lending_run(&lending);
    assert_int_equal(lending.shelf.probe.counts[NODE_BLOCK_SENT], 0);
    assert_int_equal(lending.shelf.probe.counts[NODE_BLOCK_FAILED], 301);
    assert_true(lending.reason == ERR_CHANGED || lending.reason == ERR_NOT_FOUND);
    assert_int_equal(lending.received.len, 0);
    assert_int_equal(lending.shelf.withdrawn, 1);
    assert_int_equal(lending.shelf.count, 1);
    assert_known(&lending.shelf, "file");
    buf_free(&lending.received);
    shelf_free(&lending.shelf);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_shared),
        cmocka_unit_test(test_cache),
        cmocka_unit_test(test_folders_come_and_go),
        cmocka_unit_test(test_changes_are_noticed),
        cmocka_unit_test(test_changes_are_noticed_on_a_slow_disk),
        cmocka_unit_test(test_changes_are_found_without_watches),
        cmocka_unit_test(test_blocks_are_sent),
        cmocka_unit_test(test_pace),
        cmocka_unit_test(test_changed_file_is_not_sent),
        cmocka_unit_test(test_a_filter_keeps_files_back),
        cmocka_unit_test(test_who_may_have_files_is_told),
    };
    alarm(290);
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
