/* finish.c - turns a complete part file into a finished download that is never wrong.
 *
 * Verify every byte against the content id (those that were read back from the file after they had
 * become durable are not read again), sync, write the name into the journal, rename without
 * replacing anything, sync the folders. A crash in between leaves either the part file with its
 * journal, or the finished file with a journal that names it. The journal goes when the store no
 * longer asks for the file (parts.c). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/check.h"
#include "common/mem.h"
#include "src/host/failure.h"
#include "src/host/files.h"
#include "src/host/folders.h"
#include "src/host/journal.h"

#define COPIES_MAX 1000

static enum err verify(struct finish *finish) {
    struct stat stat;
    if (fstat(finish->fd, &stat) != 0) {
        return ERR_IO;
    }
    if ((uint64_t)stat.st_size != finish->content.size) {
        return ERR_MISMATCH;
    }
    struct tree tree = {.known = finish->known, .roots = finish->roots};
    enum err err = tree_of_file(finish->fd, finish->content.size, finish->workers, &tree);
    finish->pieces = tree.pieces;
    if (err == OK && !content_equal(&tree.content, &finish->content)) {
        err = ERR_MISMATCH;
    }
    return err == ERR_CHANGED ? ERR_MISMATCH : err;
}

/* "song.ogg" -> "song (2).ogg"; the dot of ".hidden" is no extension. */
static void numbered_name(char *to, size_t size, const char *name, int number) {
    const char *dot = strrchr(name, '.');
    size_t stem = dot != NULL && dot != name ? (size_t)(dot - name) : strlen(name);
    snprintf(to, size, "%.*s (%d)%s", (int)stem, name, number, name + stem);
}

static bool is_taken(const struct finish *finish) {
    struct stat stat;
    return fstatat(finish->folder_fd, finish->name, &stat, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The whole of where it goes, from folder and name. */
static void set_path(struct finish *finish) {
    if (finish->folder[0] == '\0') {
        snprintf(finish->path, sizeof finish->path, "%s", finish->name);
        return;
    }
    size_t len = strlen(finish->folder);
    CHECK(len + 1 + strlen(finish->name) < sizeof finish->path);
    memcpy(finish->path, finish->folder, len);
    finish->path[len] = '/';
    strcpy(finish->path + len + 1, finish->name);
}

/* Folder and name from the path; the folder is made unless the file lies there already. */
static enum err open_folder(struct finish *finish) {
    const char *slash = strrchr(finish->path, '/');
    const char *name = slash != NULL ? slash + 1 : finish->path;
    snprintf(finish->folder, sizeof finish->folder, "%.*s",
             slash != NULL ? (int)(slash - finish->path) : 0, finish->path);
    snprintf(finish->name, sizeof finish->name, "%.*s", (int)sizeof finish->name - 1, name);
    finish->folder_fd = folders_make(finish->node->download_fd, finish->folder);
    bool has_room = strlen(finish->folder) + 1 + sizeof finish->name <= sizeof finish->path;
    return finish->folder_fd < 0 ? failure_of(errno) : has_room ? OK : ERR_IO;
}

static enum err note_name(struct finish *finish) {
    struct buf record = {0};
    set_path(finish);
    journal_name(&record, finish->path);
    enum err err = append_durably(finish->journal_fd, &record);
    buf_free(&record);
    return err;
}

/* What has the name now is what was verified; else somebody has exchanged the part file. */
static enum err expect_verified(const struct finish *finish) {
    const struct host_node *node = finish->node;
    struct stat named;
    struct stat open;
    if (fstatat(finish->folder_fd, finish->name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
        fstat(finish->fd, &open) == 0 && named.st_ino == open.st_ino &&
        named.st_dev == open.st_dev) {
        return OK;
    }
    (void)renameat2(finish->folder_fd, finish->name, node->parts_fd, finish->part_name,
                    RENAME_NOREPLACE);
    return ERR_MISMATCH;
}

static enum err rename_to_free_name(struct finish *finish) {
    const struct host_node *node = finish->node;
    char wanted[sizeof finish->name];
    memcpy(wanted, finish->name, sizeof wanted);
    for (int number = 2; number < COPIES_MAX; number++) {
        if (!is_taken(finish)) {
            enum err err = note_name(finish);
            if (err != OK) {
                return err;
            }
            if (renameat2(node->parts_fd, finish->part_name, finish->folder_fd, finish->name,
                          RENAME_NOREPLACE) == 0) {
                return expect_verified(finish);
            }
            if (errno != EEXIST) {
                return failure_of(errno);
            }
        }
        numbered_name(finish->name, sizeof finish->name, wanted, number);
    }
    return ERR_EXISTS;
}

/* Where both folders are known to hold what they show; else the file goes back, to be finished
 * again when the disk does better. */
static enum err sync_folders(const struct finish *finish) {
    const struct host_node *node = finish->node;
    if (fsync(finish->folder_fd) == 0 && fsync(node->parts_fd) == 0) {
        return OK;
    }
    enum err err = failure_of(errno);
    if (finish->part_name != NULL) {
        (void)renameat2(finish->folder_fd, finish->name, node->parts_fd, finish->part_name,
                        RENAME_NOREPLACE);
    }
    return err;
}

static enum err finish_in_folder(struct finish *finish) {
    const struct host_node *node = finish->node;
    enum err err = OK;
    if (err == OK && (fchmod(finish->fd, node->host->file_mode) != 0 || fsync(finish->fd) != 0)) {
        err = failure_of(errno);
    }
    if (err == OK && finish->part_name != NULL) {
        err = rename_to_free_name(finish);
    }
    if (err == OK) {
        err = sync_folders(finish);
    }
    struct stat stat;
    if (err == OK && fstat(finish->fd, &stat) == 0) {
        finish->stamp = stamp_of(&stat);
    }
    return err;
}

enum err finish_file(struct finish *finish) {
    enum err err = verify(finish);
    err = err != OK ? err : open_folder(finish);
    if (err != OK) {
        return err;
    }
    err = finish_in_folder(finish);
    close(finish->folder_fd);
    set_path(finish);
    return err;
}
