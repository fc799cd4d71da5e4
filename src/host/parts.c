/* parts.c - files on their way: part file and journal, written by workers in the order asked.
 *
 * Every unfinished file has a line (strand) of its own, shared by all who open the same content, so
 * that closing and opening again cannot meet. The journal vouches only for what was durable before
 * it (files_commit); it is locked, so that nobody else writes the same part file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/check.h"
#include "common/hashtree.h"
#include "common/mem.h"
#include "common/names.h"
#include "src/host/conn.h"
#include "src/host/failure.h"
#include "src/host/files.h"
#include "src/host/journal.h"
#include "src/host/library.h"

#define PARTS_FOLDER ".trunkline"
#define STEM_BYTES 96 /* "<root>-<size>" */
#define FILE_NAME_BYTES (STEM_BYTES + 16)
#define BACKLOG_HIGH (32u << 20) /* bytes not yet written: stop reading from links */
#define LOCK_WAITS 50            /* of LOCK_WAIT_US each: a second */
#define LOCK_WAIT_US 20000
#define LOCK_TRIES 10
#define BACKLOG_LOW (16u << 20)

/* The order of everything that happens to one content's files. */
struct part_line {
    struct part_line *next;
    struct strand strand;
    struct content_id content;
    uint32_t references;
};

struct part {
    struct host_node *node;
    struct part_line *line;
    uint64_t file;
    struct content_id content;
    struct source *source; /* set when open */
    bool has_failed;       /* told; what follows is dropped */
    uint8_t *known;        /* pieces that were read back since it was opened; NULL = none */
    struct hash *roots;    /* ... and their hashes, one per piece */
    uint32_t rereads;      /* under way */
    struct part_job *wish; /* to finish, when they are done */
    /* The workers', in the order of the line: */
    int fd;
    int journal_fd;
    bool is_broken; /* a write failed: what is committed after it cannot be vouched for */
    char stem[STEM_BYTES];
    char name[JOURNAL_NAME_MAX +
              1]; /* "" = a part file; else fd is the finished file of this name */
};

/* A finished file whose journal waits for the store to forget the download: a crash before that
 * must not fetch it once more. */
struct ending {
    struct job job; /* first */
    struct ending *next;
    struct host_node *node;
    struct part_line *line;
    uint64_t token;
    char stem[STEM_BYTES];
};

/* One action on its way through the line. */
struct part_job {
    struct job job;
    struct part *part;
    uint64_t offset;
    uint32_t len;
    uint8_t *owned;    /* bytes to write */
    struct buf bitmap; /* commit: pieces; open: what the journal vouches for */
    struct finish finish;
    bool discard;
    enum err err;
};

static void part_path(const struct part *part, const char *ending, char to[FILE_NAME_BYTES]) {
    snprintf(to, FILE_NAME_BYTES, "%s.%s", part->stem, ending);
}

/* ---- Events ---- */

static void tell_failed(struct part *part, enum err reason) {
    if (part->has_failed) {
        return;
    }
    part->has_failed = true;
    struct node_event event = {.kind = NODE_FILE_FAILED,
                               .file = {.file = part->file, .reason = reason}};
    node_queue(part->node, &event, NULL);
}

static void free_job(struct part_job *job) {
    mem_free(job->owned);
    buf_free(&job->bitmap);
    mem_free(job->finish.pieces);
    mem_free(job);
}

static struct part_job *new_job(struct part *part, void (*run)(struct job *),
                                void (*done)(struct job *)) {
    struct part_job *job = mem_new(sizeof *job);
    job->job = (struct job){.run = run, .done = done, .strand = &part->line->strand};
    job->part = part;
    return job;
}

static void submit(struct part_job *job) {
    workers_submit(job->part->node->host->workers, &job->job);
}

static struct part *find_part(const struct host_node *node, uint64_t file) {
    return map_get(&node->parts, &file);
}

/* ---- Lines ---- */

static struct part_line *line_of(struct host_node *node, const struct content_id *content) {
    struct part_line *line = node->lines;
    while (line != NULL && !content_equal(&line->content, content)) {
        line = line->next;
    }
    if (line == NULL) {
        line = mem_new(sizeof *line);
        line->content = *content;
        line->next = node->lines;
        node->lines = line;
    }
    line->references++;
    return line;
}

static void release_line(struct host_node *node, struct part_line *line) {
    if (--line->references > 0) {
        return;
    }
    struct part_line **at = &node->lines;
    while (*at != line) {
        at = &(*at)->next;
    }
    *at = line->next;
    mem_free(line);
}

static void free_part(struct part *part) {
    if (part->source != NULL) {
        source_release(part->source); /* closes fd, once nobody reads from it */
    } else if (part->fd >= 0) {
        close(part->fd);
    }
    if (part->journal_fd >= 0) {
        close(part->journal_fd);
    }
    release_line(part->node, part->line);
    mem_free(part->known);
    mem_free(part->roots);
    mem_free(part);
}

/* Lock a journal. A process that is just being started holds all that we had open, locks too, until
 * it has become its program: it is waited for. False when somebody else keeps the lock. */
static bool lock_when_free(int fd) {
    for (int tries = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; tries++) {
        if (errno != EWOULDBLOCK || tries == LOCK_WAITS) {
            return false;
        }
        usleep(LOCK_WAIT_US);
    }
    return true;
}

/* ---- Opening ---- */

/* Room is taken at once, so that a full disk shows now and not at 99 %. */
static enum err take_room(int fd, uint64_t size) {
    if (ftruncate(fd, (off_t)size) != 0) {
        return failure_of(errno);
    }
    bool has_room;
    do {
        has_room = fallocate(fd, 0, 0, (off_t)size) == 0;
    } while (!has_room && errno == EINTR);
    /* Where it cannot be taken ahead, a full disk shows when it is written to. */
    return has_room || errno == EOPNOTSUPP || errno == ENOSYS ? OK : failure_of(errno);
}

/* Keep what cannot be believed for a person to look at. */
static void save_bad_tail(const struct part *part, struct slice tail) {
    char path[FILE_NAME_BYTES];
    part_path(part, "journal.bad", path);
    int fd = openat(part->node->parts_fd, path,
                    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0) {
        (void)!write_exactly(fd, tail.data, tail.len, 0);
        (void)fsync(fd);
        close(fd);
    }
}

/* Replace the journal by the shortest one that says the same. */
static enum err rewrite_journal(struct part *part, struct slice bitmap) {
    char path[FILE_NAME_BYTES];
    char path_new[FILE_NAME_BYTES];
    part_path(part, "journal", path);
    part_path(part, "journal.new", path_new);
    int folder = part->node->parts_fd;
    int fd = openat(folder, path_new, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return failure_of(errno);
    }
    struct buf bytes = {0};
    journal_begin(&bytes, &part->content);
    journal_pieces(&bytes, bitmap, hashtree_pieces(part->content.size));
    enum err err = lock_when_free(fd) ? append_durably(fd, &bytes) : ERR_DUPLICATE;
    if (err == OK && (renameat(folder, path_new, folder, path) != 0 || fsync(folder) != 0)) {
        err = failure_of(errno);
    }
    buf_free(&bytes);
    if (err == OK) {
        close(part->journal_fd);
        part->journal_fd = fd;
    } else {
        close(fd);
    }
    return err;
}

/* Open the journal and lock it; false with errno set. Who held it before may have put another one
 * in its place meanwhile. */
static enum err lock_journal(struct part *part) {
    int folder = part->node->parts_fd;
    char path[FILE_NAME_BYTES];
    part_path(part, "journal", path);
    for (int try = 0; try < LOCK_TRIES; try++) {
        int fd = openat(folder, path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0) {
            return failure_of(errno);
        }
        struct stat opened;
        struct stat named;
        bool is_locked = lock_when_free(fd);
        if (is_locked && fstat(fd, &opened) == 0 &&
            fstatat(folder, path, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
            opened.st_ino == named.st_ino && S_ISREG(opened.st_mode)) {
            part->journal_fd = fd;
            return OK;
        }
        close(fd);
        if (!is_locked) {
            break;
        }
    }
    return ERR_DUPLICATE;
}

/* Open the part file, or else the finished file if the journal names one, or else make a part file.
 * `*size` is what it holds. */
static enum err open_data(struct part *part, uint64_t *size) {
    char path[FILE_NAME_BYTES];
    struct stat stat;
    int flags = O_NOFOLLOW | O_CLOEXEC;
    part_path(part, "part", path);
    int fd = openat(part->node->parts_fd, path, O_RDWR | flags);
    if (fd < 0 && errno == ENOENT && part->name[0] != '\0') {
        fd = open_beneath(part->node->download_dir, part->name);
        if (fd >= 0 && (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode) ||
                        (uint64_t)stat.st_size != part->content.size)) {
            close(fd);
            fd = -1;
        }
        errno = ENOENT;
    } else {
        part->name[0] = '\0';
    }
    if (fd < 0 && errno == ENOENT) {
        part->name[0] = '\0';
        fd = openat(part->node->parts_fd, path, O_RDWR | O_CREAT | O_EXCL | flags, 0600);
    }
    part->fd = fd;
    if (fd < 0 || fstat(fd, &stat) != 0) {
        return failure_of(errno);
    }
    *size = (uint64_t)stat.st_size;
    return S_ISREG(stat.st_mode) ? OK : ERR_PERMISSION;
}

/* Forget what the journal says unless there is all the data that it speaks of. */
static enum err match_journal(struct part *part, struct slice bytes, size_t good,
                              struct buf *bitmap) {
    uint64_t size = 0;
    enum err err = open_data(part, &size);
    if (err == OK && size != part->content.size) {
        memset(bitmap->data, 0, bitmap->len);
        good = 0;
    }
    if (err == OK && good < bytes.len) {
        save_bad_tail(part, (struct slice){bytes.data + good, bytes.len - good});
    }
    bool is_finished = part->name[0] != '\0'; /* its name must stay in the journal */
    if (err == OK && !is_finished &&
        (good < bytes.len || good == 0 || bytes.len > JOURNAL_COMPACT_BYTES)) {
        err = rewrite_journal(part, (struct slice){bitmap->data, bitmap->len});
    }
    return err;
}

static enum err open_files(struct part *part, struct buf *bitmap) {
    uint32_t count = hashtree_pieces(part->content.size);
    memset(buf_reserve(bitmap, (count + 7) / 8), 0, (count + 7) / 8);
    bitmap->len = (count + 7) / 8;
    struct stat stat;
    enum err err = lock_journal(part);
    if (err != OK || fstat(part->journal_fd, &stat) != 0) {
        return err != OK ? err : ERR_IO;
    }
    size_t len = stat.st_size > JOURNAL_BYTES_MAX ? JOURNAL_BYTES_MAX : (size_t)stat.st_size;
    uint8_t *bytes = mem_new(len);
    err = read_exactly(part->journal_fd, bytes, len, 0);
    if (err == OK) {
        struct slice journal = {bytes, len};
        size_t good = journal_read(journal, &part->content, bitmap->data, count, part->name);
        err = match_journal(part, journal, good, bitmap);
    }
    mem_free(bytes);
    return err == OK && part->name[0] == '\0' ? take_room(part->fd, part->content.size) : err;
}

static void run_open(struct job *base) {
    struct part_job *job = (struct part_job *)base;
    job->err = open_files(job->part, &job->bitmap);
}

static void done_open(struct job *base) {
    struct part_job *job = (struct part_job *)base;
    struct part *part = job->part;
    struct host_node *node = part->node;
    if (job->err != OK) {
        tell_failed(part, job->err);
    } else {
        part->source = source_new(part->fd, NULL, NULL, NULL);
        struct node_event event = {
            .kind = NODE_FILE_OPENED,
            .file = {.file = part->file, .pieces = {job->bitmap.data, job->bitmap.len}}};
        node_queue(node, &event, job->bitmap.data);
        job->bitmap = (struct buf){0};
    }
    free_job(job);
    node_run(node);
}

void file_open(struct host_node *node, const struct action *action) {
    CHECK((action->file & FILE_PART) != 0 && find_part(node, action->file) == NULL);
    struct part *part = mem_new(sizeof *part);
    part->node = node;
    part->file = action->file;
    part->content = action->content;
    part->line = line_of(node, &action->content);
    part->fd = -1;
    part->journal_fd = -1;
    char root[2 * HASH_BYTES + 1];
    hex_format(root, action->content.root.b, HASH_BYTES);
    snprintf(part->stem, sizeof part->stem, "%s-%llu", root,
             (unsigned long long)action->content.size);
    map_put(&node->parts, &part->file, part);
    if (node->parts_fd < 0) {
        tell_failed(part, ERR_PERMISSION);
    } else {
        submit(new_job(part, run_open, done_open));
    }
}

/* ---- Writing ---- */

static void set_behind(struct host_node *node, bool is_behind) {
    if (node->is_behind != is_behind) {
        node->is_behind = is_behind;
        log_debug(&node->host->log, "files.behind now=%d bytes=%llu", is_behind,
                  (unsigned long long)node->write_backlog);
        for (struct conn *conn = node->conns; conn != NULL; conn = conn->next) {
            conn_hold(conn, is_behind);
        }
    }
}

static void run_write(struct job *base) {
    struct part_job *job = (struct part_job *)base;
    job->err = job->part->fd >= 0 ? write_exactly(job->part->fd, job->owned, job->len, job->offset)
                                  : ERR_IO;
    job->part->is_broken = job->part->is_broken || job->err != OK;
    mem_free(job->owned);
    job->owned = NULL;
}

static void done_write(struct job *base) {
    struct part_job *job = (struct part_job *)base;
    struct part *part = job->part;
    struct host_node *node = part->node;
    node->write_backlog -= job->len;
    if (node->write_backlog <= BACKLOG_LOW) {
        set_behind(node, false);
    }
    if (job->err != OK) {
        tell_failed(part, job->err);
    } else if (!part->has_failed) {
        struct node_event event = {
            .kind = NODE_FILE_WRITTEN,
            .file = {.file = part->file, .offset = job->offset, .len = job->len}};
        node_queue(node, &event, NULL);
    }
    free_job(job);
    node_run(node);
}

void file_write(struct host_node *node, struct action *action) {
    struct part *part = find_part(node, action->file);
    if (part == NULL || part->has_failed) {
        return; /* outbox_clear frees the bytes */
    }
    struct part_job *job = new_job(part, run_write, done_write);
    job->owned = action->owned;
    action->owned = NULL;
    job->offset = action->offset;
    job->len = action->len;
    node->write_backlog += job->len;
    if (node->write_backlog > BACKLOG_HIGH) {
        set_behind(node, true);
    }
    submit(job);
}

/* ---- Committing ---- */

static void run_commit(struct job *base) {
    struct part_job *job = (struct part_job *)base;
    struct part *part = job->part;
    if (part->is_broken || part->journal_fd < 0) {
        job->err = ERR_IO; /* why was told already */
        return;
    }
    if (fdatasync(part->fd) != 0) {
        part->is_broken = true; /* what it had is lost, though the next one may say it is fine */
        job->err = failure_of(errno);
        return;
    }
    struct buf records = {0};
    journal_pieces(&records, (struct slice){job->bitmap.data, job->bitmap.len},
                   hashtree_pieces(part->content.size));
    if (records.len > 0) {
        job->err = append_durably(part->journal_fd, &records);
    }
    buf_free(&records);
}

static void done_commit(struct job *base) {
    struct part_job *job = (struct part_job *)base;
    struct part *part = job->part;
    struct host_node *node = part->node;
    if (job->err != OK) {
        tell_failed(part, job->err);
    } else if (!part->has_failed) {
        struct node_event event = {
            .kind = NODE_FILE_COMMITTED,
            .file = {.file = part->file, .pieces = {job->bitmap.data, job->bitmap.len}}};
        part->rereads++;
        reread_start(node, part->file, part->content.size, event.file.pieces);
        node_queue(node, &event, job->bitmap.data);
        job->bitmap = (struct buf){0};
    }
    free_job(job);
    node_run(node);
}

void file_commit(struct host_node *node, const struct action *action, struct slice bitmap) {
    struct part *part = find_part(node, action->file);
    if (part != NULL && !part->has_failed) {
        struct part_job *job = new_job(part, run_commit, done_commit);
        buf_append(&job->bitmap, bitmap.data, bitmap.len);
        submit(job);
    }
}

/* ---- Finishing ---- */

static void finish_when_read(struct part *part) {
    struct part_job *wish = part->wish;
    if (wish != NULL && part->rereads == 0) {
        part->wish = NULL;
        wish->finish.known = part->known;
        wish->finish.roots = part->roots;
        submit(wish);
    }
}

void parts_reread(struct host_node *node, uint64_t file, struct slice bitmap,
                  const struct hash *roots) {
    struct part *part = find_part(node, file);
    if (part == NULL) {
        return;
    }
    uint32_t count = hashtree_pieces(part->content.size);
    if (part->known == NULL) {
        part->known = mem_new((count + 7) / 8);
        part->roots = mem_array(count, sizeof *part->roots);
    }
    for (uint32_t piece = 0; piece < count && piece / 8 < bitmap.len; piece++) {
        if ((bitmap.data[piece / 8] & (0x80 >> piece % 8)) != 0) {
            part->known[piece / 8] |= (uint8_t)(0x80 >> piece % 8);
            part->roots[piece] = *roots++;
        }
    }
    part->rereads--;
    finish_when_read(part);
}

/* Nothing in the part file can be believed: the next opening starts anew. */
static void forget_pieces(struct part *part) {
    uint8_t none[1] = {0};
    (void)!rewrite_journal(part, (struct slice){none, 0});
}

static void run_finish(struct job *base) {
    struct part_job *job = (struct part_job *)base;
    struct part *part = job->part;
    char part_name[FILE_NAME_BYTES];
    part_path(part, "part", part_name);
    job->finish.node = part->node;
    job->finish.workers = part->node->host->workers;
    job->finish.fd = part->fd;
    job->finish.journal_fd = part->journal_fd;
    job->finish.part_name = part_name;
    if (part->name[0] != '\0') { /* before a crash it came so far */
        job->finish.part_name = NULL;
        memcpy(job->finish.path, part->name, sizeof part->name);
    }
    job->finish.content = part->content;
    job->err = part->fd >= 0 ? finish_file(&job->finish) : ERR_IO;
    if (job->err == ERR_MISMATCH) {
        forget_pieces(part);
    }
}

/* On a worker or at the end: remove the journal and what is left of it, unless the same file is
 * already being fetched again. */
static void remove_journal(const struct host_node *node, const char *stem) {
    static const char *const endings[] = {"journal.new", "journal.bad", "journal"};
    char path[FILE_NAME_BYTES];
    snprintf(path, sizeof path, "%s.journal", stem);
    int fd = openat(node->parts_fd, path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    for (size_t i = 0; fd >= 0 && lock_when_free(fd) && i < 3; i++) {
        snprintf(path, sizeof path, "%s.%s", stem, endings[i]);
        unlinkat(node->parts_fd, path, 0);
    }
    if (fd >= 0) {
        close(fd);
    }
}

static void run_ending(struct job *base) {
    const struct ending *ending = (struct ending *)base;
    remove_journal(ending->node, ending->stem);
}

static void done_ending(struct job *base) {
    struct ending *ending = (struct ending *)base;
    release_line(ending->node, ending->line);
    mem_free(ending);
}

void files_stored(struct host_node *node, uint64_t token) {
    struct ending **at = &node->endings;
    while (*at != NULL && (*at)->token != token) {
        at = &(*at)->next;
    }
    struct ending *ending = *at;
    if (ending != NULL) {
        *at = ending->next;
        workers_submit(node->host->workers, &ending->job);
    }
}

static struct ending *end_part(struct part *part) {
    struct host_node *node = part->node;
    struct ending *ending = mem_new(sizeof *ending);
    ending->job = (struct job){.run = run_ending, .done = done_ending};
    ending->job.strand = &part->line->strand;
    ending->node = node;
    ending->line = line_of(node, &part->content);
    ending->token = part->file;
    ending->next = node->endings;
    node->endings = ending;
    memcpy(ending->stem, part->stem, sizeof ending->stem);
    map_remove(&node->parts, &part->file);
    free_part(part);
    return ending;
}

static void done_finish(struct job *base) {
    struct part_job *job = (struct part_job *)base;
    struct part *part = job->part;
    struct host_node *node = part->node;
    uint64_t token = 0;
    if (job->err != OK) {
        tell_failed(part, job->err);
    } else {
        size_t size = strlen(node->download_dir) + strlen(job->finish.path) + 2;
        char *path = mem_new(size);
        snprintf(path, size, "%s/%s", node->download_dir, job->finish.path);
        struct node_event event = {
            .kind = NODE_FILE_FINISHED,
            .file = {.file = part->file, .name = {(uint8_t *)path, strlen(path)}}};
        node_queue(node, &event, path);
        struct found_file found = {.root = node->download_dir,
                                   .path = job->finish.path,
                                   .content = part->content,
                                   .pieces = job->finish.pieces,
                                   .stamp = job->finish.stamp};
        library_add(node, &found);
        token = end_part(part)->token;
    }
    bool has_finished = job->err == OK;
    free_job(job);
    node_run(node);
    if (has_finished) { /* behind what the node has just written */
        store_sync(node->env.store, token);
    }
}

void file_finish(struct host_node *node, const struct action *action, struct slice name) {
    struct part *part = find_part(node, action->file);
    if (part != NULL && !part->has_failed) {
        struct part_job *job = new_job(part, run_finish, done_finish);
        job->job.slow = true;
        if (!names_sanitise_path(name, job->finish.path) || job->finish.path[0] == '\0') {
            names_sanitise(name, job->finish.path);
        }
        part->wish = job;
        finish_when_read(part);
    }
}

/* ---- Closing ---- */

static void run_close(struct job *base) {
    struct part_job *job = (struct part_job *)base;
    struct part *part = job->part;
    if (job->discard && part->journal_fd >= 0) { /* else it is somebody else's */
        char path[FILE_NAME_BYTES];
        part_path(part, "part", path);
        unlinkat(part->node->parts_fd, path, 0);
    }
    if (part->journal_fd >= 0) { /* unlock before the next in line opens it */
        close(part->journal_fd);
        part->journal_fd = -1;
        if (job->discard) {
            remove_journal(part->node, part->stem);
        }
    }
}

static void done_close(struct job *base) {
    struct part_job *job = (struct part_job *)base;
    struct host_node *node = job->part->node;
    free_part(job->part);
    free_job(job);
    node_run(node);
}

void file_close(struct host_node *node, uint64_t file, bool discard) {
    struct part *part = map_remove(&node->parts, &file);
    if (part != NULL) {
        part->has_failed = true; /* what is still in line is not told */
        if (part->wish != NULL) {
            free_job(part->wish);
            part->wish = NULL;
        }
        struct part_job *job = new_job(part, run_close, done_close);
        job->discard = discard;
        submit(job);
    }
}

/* ---- What others may read ---- */

uint64_t file_bytes(const struct host_node *node, uint64_t file) {
    const struct part *part = find_part(node, file);
    return part != NULL ? part->content.size : library_size(node, file);
}

struct source *file_source(struct host_node *node, uint64_t file) {
    if ((file & FILE_PART) == 0) {
        return library_source(node, file);
    }
    struct part *part = find_part(node, file);
    return part != NULL && part->source != NULL ? source_hold(part->source) : NULL;
}

/* ---- The folders ---- */

static bool open_folders(struct host_node *node, const char *download_dir) {
    node->download_fd = open(download_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (node->download_fd < 0) {
        return false;
    }
    if (mkdirat(node->download_fd, PARTS_FOLDER, 0700) != 0 && errno != EEXIST) {
        return false;
    }
    node->parts_fd =
        openat(node->download_fd, PARTS_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return node->parts_fd >= 0;
}

enum err files_init(struct host_node *node, const char *download_dir, struct host_error *error) {
    node->download_fd = -1;
    node->parts_fd = -1;
    map_init(&node->parts, sizeof(uint64_t), node->env.seed ^ 0x7061727473);
    if (download_dir == NULL) {
        return OK;
    }
    if ((mkdir(download_dir, 0755) != 0 && errno != EEXIST) || !open_folders(node, download_dir)) {
        return fail_errno(error, download_dir, "the download folder cannot be used");
    }
    char *path = realpath(download_dir, NULL);
    if (path == NULL) {
        return fail_errno(error, download_dir, "the download folder cannot be used");
    }
    node->download_dir = mem_string(path);
    free(path);
    return OK;
}

void files_close(struct host_node *node) {
    uint32_t cursor = 0;
    for (struct part *part; (part = map_next(&node->parts, &cursor, NULL)) != NULL;) {
        file_close(node, part->file, false);
    }
}

void files_free(struct host_node *node) {
    map_free(&node->parts);
    for (struct ending *ending; (ending = node->endings) != NULL;) {
        node->endings = ending->next;
        remove_journal(node, ending->stem);
        done_ending(&ending->job);
    }
    if (node->parts_fd >= 0) {
        close(node->parts_fd);
    }
    if (node->download_fd >= 0) {
        close(node->download_fd);
    }
    mem_free(node->download_dir);
}
