/* files.h - the files a node serves and fetches: where their bytes are and who may read them. */
#ifndef TRUNKLINE_HOST_FILES_H
#define TRUNKLINE_HOST_FILES_H

#include <sys/stat.h>

#include "common/names.h"
#include "src/host/internal.h"

/* What a file was when it was hashed; when any of it differs, its bytes are not believed. */
struct stamp {
    uint64_t size;
    uint64_t mtime_ns;
    uint64_t ctime_ns;
    uint64_t inode;
    uint64_t device;
};
struct stamp stamp_of(const struct stat *stat);
bool stamp_equal(const struct stamp *a, const struct stamp *b);

/* Where a file's bytes are. Counted by the loop; a worker only reads it. */
struct source {
    uint32_t references;
    int fd;     /* a part file's, kept open; -1 = a shared file: */
    char *root; /* a shared folder, */
    char *path; /* and the way from there, without symbolic links */
    struct stamp stamp;
};

struct source *source_new(int fd, const char *root, const char *path, const struct stamp *stamp);
struct source *source_hold(struct source *source);
/* Let go; the last one frees it and closes a part file's descriptor. */
void source_release(struct source *source);

/* Open what is below a folder, to read, without following any symbolic link or leaving the folder,
 * whatever is exchanged meanwhile; -1 with errno set. openat2(2) does it where the kernel has it
 * (Linux 5.6), else one openat(2) per step. */
int open_beneath(const char *root, const char *path);
enum beneath { BENEATH_ANY, BENEATH_RESOLVED, BENEATH_STEPWISE };
int open_beneath_by(enum beneath how, const char *root, const char *path); /* for tests */

/* True when somebody has an open file (O_RDONLY) open for writing, as far as this can be told: it
 * must be ours, on a file system of this machine. What is mapped to be written changes without a
 * new time once its first byte has. */
bool is_being_written(int fd);

/* On a worker: get a descriptor to read from; source_end gives it back and says whether what was
 * read in between can be believed (OK, ERR_CHANGED, ERR_IO). */
MUST_CHECK enum err source_begin(const struct source *source, int *fd);
MUST_CHECK enum err source_end(const struct source *source, int fd);
/* Read exactly len bytes; ERR_CHANGED when the file ends before. */
MUST_CHECK enum err read_exactly(int fd, void *to, size_t len, uint64_t offset);
MUST_CHECK enum err write_exactly(int fd, const void *from, size_t len, uint64_t offset);
/* Write at the end, and wait for the disk. */
MUST_CHECK enum err append_durably(int fd, const struct buf *bytes);

/* The bytes of a shared file or a part file, held for the caller; NULL when it is gone. */
struct source *file_source(struct host_node *node, uint64_t file);
/* How many there are; 0 when it is gone. */
uint64_t file_bytes(const struct host_node *node, uint64_t file);

/* The actions ACTION_FILE_* (parts.c). */
void file_open(struct host_node *node, const struct action *action);
void file_write(struct host_node *node, struct action *action);
void file_commit(struct host_node *node, const struct action *action, struct slice bitmap);
void file_hash(struct host_node *node, const struct action *action);
void file_finish(struct host_node *node, const struct action *action, struct slice name);
void file_close(struct host_node *node, uint64_t file, bool discard);

/* Open the download folder and its folder of unfinished files. */
MUST_CHECK enum err files_init(struct host_node *node, const char *download_dir,
                               struct host_error *error);
/* Close every part file once its jobs are done; journals stay. */
void files_close(struct host_node *node);
/* The store has forgotten a finished download: so may its journal. */
void files_stored(struct host_node *node, uint64_t token);
/* After all jobs are done, and after the store is closed. */
void files_free(struct host_node *node);

/* ---- Hashing whole files, on a worker (treehash.c) ---- */

/* The hash tree of a file down to its pieces. */
struct tree {
    const uint8_t *known;     /* bitmap of pieces that need not be read; NULL = none */
    const struct hash *roots; /* ... and their hashes */
    struct content_id content;
    struct hash *pieces; /* mem_* memory; NULL for a single piece */
};

/* Set content and pieces of an open file of `size` bytes. ERR_SHUTDOWN when the workers stop. */
MUST_CHECK enum err tree_of_file(int fd, uint64_t size, const struct workers *workers,
                                 struct tree *tree);
/* The hash of one piece. */
MUST_CHECK enum err tree_of_piece(int fd, uint64_t size, uint32_t piece, struct hash *root);
/* The leaf hashes of a run of blocks. */
MUST_CHECK enum err tree_of_blocks(int fd, uint64_t size, uint32_t first, uint32_t count,
                                   struct hash *hashes);

/* ---- Reading back what was written (reread.c) ---- */

/* Hash these pieces of a part file beside the download; parts_reread takes the result. */
void reread_start(struct host_node *node, uint64_t file, uint64_t size, struct slice bitmap);
/* What was read of a part file, unless it is closed: the hashes of the pieces of a bitmap, in their
 * order. An empty bitmap = nothing could be read. */
void parts_reread(struct host_node *node, uint64_t file, struct slice bitmap,
                  const struct hash *roots);

/* ---- Finishing, on a worker (finish.c) ---- */

struct finish {
    const struct host_node *node; /* folders and modes only */
    const struct workers *workers;
    int fd;
    int journal_fd;
    const char *part_name; /* in the folder of unfinished files; NULL = it has its name already */
    struct content_id content;
    char path[NAMES_PATH_MAX + 1];   /* wanted, sanitised; the one it got, afterwards */
    int folder_fd;                   /* finish_file's own: where it goes, ... */
    char folder[NAMES_PATH_MAX + 1]; /* ... below the download folder, "" = there, ... */
    char name[256];                  /* ... and by which name */
    const uint8_t *known;            /* pieces that were read back before, and ... */
    const struct hash *roots;        /* ... what they were */
    struct hash *pieces;             /* mem_* memory */
    struct stamp stamp;
};

/* Verify all bytes, sync, note the name in the journal, rename to it if it is free, sync the
 * folders. ERR_MISMATCH when the bytes are not what they should be. */
MUST_CHECK enum err finish_file(struct finish *finish);

#endif
