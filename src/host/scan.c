/* scan.c - finds the files of shared folders, on a worker.
 *
 * Folders wait in a list instead of on the stack. Nothing is reached through a symbolic link, so
 * that a share cannot grow beyond its folder. */
#include "src/host/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utf8proc.h>

#include "common/mem.h"
#include "src/host/watch.h"

struct folder_list {
    char **paths;
    uint32_t count;
    uint32_t cap;
    int fd; /* of the folder that is being read */
};

/* UTF-8 that fits text8 of the wire; the node makes what it must not hold visible. */
static bool name_is_fine(const char *name) {
    size_t len = strlen(name);
    const uint8_t *at = (const uint8_t *)name;
    size_t left = len;
    while (left > 0) {
        utf8proc_int32_t rune;
        utf8proc_ssize_t used = utf8proc_iterate(at, (utf8proc_ssize_t)left, &rune);
        if (used <= 0) {
            return false;
        }
        at += used;
        left -= (size_t)used;
    }
    return len >= 1 && len <= NAME_BYTES_MAX;
}

static char *join(const char *folder, const char *name) {
    size_t folder_len = strlen(folder);
    char *path = mem_new(folder_len + strlen(name) + 2);
    char *at = folder_len > 0 ? stpcpy(stpcpy(path, folder), "/") : path;
    strcpy(at, name);
    return path;
}

static void add_folder(struct folder_list *list, char *path) {
    if (list->count == list->cap) {
        list->cap = list->cap == 0 ? 16 : list->cap * 2;
        list->paths = mem_resize(list->paths, list->cap, sizeof *list->paths);
    }
    list->paths[list->count++] = path;
}

static uint32_t depth_of(const char *path) {
    uint32_t depth = 1;
    for (; *path != '\0'; path++) {
        depth += *path == '/';
    }
    return depth;
}

static void add_file(struct scan *scan, uint32_t root, char *path, const struct stat *stat) {
    if (scan->count == scan->cap) {
        scan->cap = scan->cap == 0 ? 64 : scan->cap * 2;
        scan->files = mem_resize(scan->files, scan->cap, sizeof *scan->files);
    }
    scan->bytes += (uint64_t)stat->st_size;
    scan->files[scan->count++] =
        (struct scanned){.root = root, .path = path, .stamp = stamp_of(stat)};
}

/* True when it is let in; what is not is counted. */
static bool let_in(struct scan *scan, enum filter_verdict verdict) {
    scan->left.filtered += verdict == FILTER_OUT;
    scan->left.private += verdict == FILTER_PRIVATE;
    return verdict == FILTER_IN;
}

static void take_file(struct scan *scan, const struct scan_root *root, char *path,
                      const struct stat *stat) {
    const char *slash = strrchr(path, '/');
    bool is_fine = name_is_fine(slash != NULL ? slash + 1 : path) &&
                   (uint64_t)stat->st_size <= FILE_BYTES_MAX && scan->count < SCAN_FILES_MAX;
    scan->left.unfit += !is_fine;
    if (is_fine && let_in(scan, filter_file(root->filter, path, (uint64_t)stat->st_size))) {
        add_file(scan, root->number, path, stat);
    } else {
        mem_free(path);
    }
}

/* Look at one entry of a folder. */
static void take_entry(struct scan *scan, const struct scan_root *root, struct folder_list *waiting,
                       const char *folder, const char *name) {
    struct stat stat;
    if (name[0] == '.' || fstatat(waiting->fd, name, &stat, AT_SYMLINK_NOFOLLOW) != 0) {
        return;
    }
    if (S_ISREG(stat.st_mode) && stat.st_size > 0) {
        take_file(scan, root, join(folder, name), &stat);
    } else if (S_ISDIR(stat.st_mode) && depth_of(folder) < SCAN_DEPTH_MAX) {
        char *path = join(folder, name);
        if (let_in(scan, filter_folder(root->filter, path))) {
            add_folder(waiting, path);
        } else {
            mem_free(path);
        }
    }
}

/* Open a folder below the root without following links; "" is the root itself. */
static int open_folder(const char *folder, const char *path) {
    if (path[0] == '\0') {
        return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    return open_beneath(folder, path);
}

/* Before its entries are read, so that no change is missed. */
static void watch_one(struct scan *scan, int fd) {
    int number = watch_folder(scan->watch, fd);
    if (number < 0) {
        scan->unwatched++;
        return;
    }
    if (scan->folder_count == scan->folder_cap) {
        scan->folder_cap = scan->folder_cap == 0 ? 16 : scan->folder_cap * 2;
        scan->folders = mem_resize(scan->folders, scan->folder_cap, sizeof *scan->folders);
    }
    scan->folders[scan->folder_count++] = number;
}

void scan_folder(struct scan *scan, const struct scan_root *root, const struct workers *workers) {
    struct folder_list waiting = {0};
    add_folder(&waiting, mem_string(""));
    while (waiting.count > 0) {
        char *path = waiting.paths[--waiting.count];
        bool is_over = workers != NULL && workers_stopping(workers);
        waiting.fd = is_over ? -1 : open_folder(root->folder, path);
        DIR *dir = waiting.fd >= 0 ? fdopendir(waiting.fd) : NULL;
        if (dir == NULL && waiting.fd >= 0) {
            close(waiting.fd);
        }
        if (dir != NULL) {
            watch_one(scan, waiting.fd);
        }
        scan->left.unfit += dir == NULL;
        scan->unwatched += dir == NULL && path[0] == '\0'; /* not mounted yet, it may be */
        for (struct dirent *at; dir != NULL && (at = readdir(dir)) != NULL;) {
            take_entry(scan, root, &waiting, path, at->d_name);
        }
        if (dir != NULL) {
            closedir(dir);
        }
        mem_free(path);
    }
    mem_free(waiting.paths);
}

static int by_path(const void *a, const void *b) {
    const struct scanned *one = a;
    const struct scanned *other = b;
    if (one->root != other->root) {
        return one->root < other->root ? -1 : 1;
    }
    return strcmp(one->path, other->path);
}

void scan_sort(struct scan *scan) {
    if (scan->count > 1) {
        qsort(scan->files, scan->count, sizeof *scan->files, by_path);
    }
}

void scan_free(struct scan *scan) {
    for (uint32_t i = 0; i < scan->count; i++) {
        mem_free(scan->files[i].path);
    }
    mem_free(scan->files);
    mem_free(scan->folders);
    *scan = (struct scan){0};
}
