/* deal.c - finds files that really exist on this machine and lays them into shared folders. */
#include "src/cluster/deal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/rng.h"

#define PATH_BYTES 4096
#define DEPTH_MAX 3
#define CHUNK_BYTES (1024 * 1024)

struct walk {
    struct dealt_file *found;
    uint32_t count;
    size_t root_len; /* of the path, with its slash: what the name leaves out */
};

static void note_file(struct walk *walk, const char *path, uint64_t size) {
    struct dealt_file *file = &walk->found[walk->count++];
    *file = (struct dealt_file){mem_string(path), mem_string(path + walk->root_len), size};
    for (char *p = file->name; *p != '\0'; p++) {
        *p = *p == '/' ? '-' : *p;
    }
}

static void walk_folder(struct walk *walk, const char *folder, int depth) {
    struct dirent **entries;
    int count = depth < DEPTH_MAX ? scandir(folder, &entries, NULL, alphasort) : -1;
    for (int i = 0; i < count; i++) {
        char path[PATH_BYTES];
        struct stat info;
        int len = snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        bool known = entries[i]->d_name[0] != '.' && len < (int)sizeof path &&
                     strcmp(entries[i]->d_name, "build") != 0 && lstat(path, &info) == 0;
        free(entries[i]);
        if (known && S_ISDIR(info.st_mode)) {
            walk_folder(walk, path, depth + 1);
        } else if (known && S_ISREG(info.st_mode) && info.st_size >= DEAL_FILE_BYTES_MIN &&
                   info.st_size <= DEAL_FILE_BYTES_MAX && walk->count < DEAL_CANDIDATES_MAX &&
                   access(path, R_OK) == 0) {
            note_file(walk, path, (uint64_t)info.st_size);
        }
    }
    if (count >= 0) {
        free(entries);
    }
}

static bool size_is_taken(const struct deal *deal, uint64_t size) {
    for (uint32_t i = 0; i < deal->count; i++) {
        if (deal->files[i].size == size) {
            return true;
        }
    }
    return false;
}

static void release(struct dealt_file *file) {
    mem_free(file->path);
    mem_free(file->name);
    *file = (struct dealt_file){0};
}

/* Take every n-th, then every n-th shifted by one, and so on until there are enough. */
static void choose_spread(struct deal *deal, struct walk *walk, uint32_t wanted) {
    uint32_t step = walk->count / wanted + 1;
    for (uint32_t shift = 0; shift < step; shift++) {
        for (uint32_t i = shift; i < walk->count && deal->count < wanted; i += step) {
            if (!size_is_taken(deal, walk->found[i].size)) {
                deal->files[deal->count++] = walk->found[i];
                walk->found[i] = (struct dealt_file){0};
            }
        }
    }
}

void deal_choose(struct deal *deal, const char *const *roots, uint32_t wanted) {
    *deal = (struct deal){.files = mem_array(wanted, sizeof *deal->files)};
    struct walk walk = {.found = mem_array(DEAL_CANDIDATES_MAX, sizeof *walk.found)};
    for (size_t i = 0; roots[i] != NULL && deal->count < wanted; i++) {
        walk.count = 0;
        walk.root_len = strlen(roots[i]) + 1;
        walk_folder(&walk, roots[i], 0);
        choose_spread(deal, &walk, wanted);
        for (uint32_t j = 0; j < walk.count; j++) {
            release(&walk.found[j]);
        }
    }
    mem_free(walk.found);
}

void deal_free(struct deal *deal) {
    for (uint32_t i = 0; i < deal->count; i++) {
        release(&deal->files[i]);
    }
    mem_free(deal->files);
    *deal = (struct deal){0};
}

static enum err err_of_errno(void) {
    return errno == ENOSPC   ? ERR_NO_SPACE
           : errno == ENOENT ? ERR_NOT_FOUND
           : errno == EEXIST ? ERR_EXISTS
                             : ERR_IO;
}

static bool write_all(int fd, const uint8_t *bytes, size_t len) {
    while (len > 0) {
        ssize_t done = write(fd, bytes, len);
        if (done <= 0) {
            return false;
        }
        bytes += done;
        len -= (size_t)done;
    }
    return true;
}

enum err deal_copy(const char *from, const char *to) {
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = in < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    uint8_t *chunk = mem_new(CHUNK_BYTES);
    ssize_t got = -1;
    while (out >= 0 && (got = read(in, chunk, CHUNK_BYTES)) > 0) {
        if (!write_all(out, chunk, (size_t)got)) {
            got = -1;
            break;
        }
    }
    enum err err = got == 0 ? OK : err_of_errno();
    mem_free(chunk);
    if (out >= 0 && close(out) != 0 && err == OK) {
        err = err_of_errno();
    }
    if (in >= 0) {
        close(in);
    }
    return err;
}

enum err deal_generate(const char *path, uint64_t bytes, uint64_t seed) {
    int out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (out < 0) {
        return err_of_errno();
    }
    struct rng rng;
    rng_seed(&rng, seed);
    uint64_t *chunk = mem_new(CHUNK_BYTES);
    enum err err = OK;
    while (bytes > 0 && err == OK) {
        size_t len = bytes < CHUNK_BYTES ? (size_t)bytes : CHUNK_BYTES;
        for (size_t i = 0; i < CHUNK_BYTES / sizeof *chunk; i++) {
            chunk[i] = rng_u64(&rng);
        }
        err = write_all(out, (const uint8_t *)chunk, len) ? OK : err_of_errno();
        bytes -= len;
    }
    mem_free(chunk);
    if (close(out) != 0 && err == OK) {
        err = err_of_errno();
    }
    return err;
}
