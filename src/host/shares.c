/* shares.c - the folders a peer shares: remembered in its state folder, refused when careless. */
#include "src/host/shares.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"
#include "src/host/failure.h"
#include "src/host/filter.h"
#include "src/host/places.h"
#include "src/host/textfile.h"

#define SHARES_BYTES_MAX (SHARES_MAX * (PATH_MAX + 2 * FILTER_BYTES_MAX))
#define REMEDY "make a folder just for what you share and name that"

/* ---- What may be shared ---- */

/* True when `inner` is `outer` or lies in it; both real paths. */
static bool contains(const char *outer, const char *inner) {
    size_t len = strlen(outer);
    return strcmp(outer, "/") == 0 ||
           (strncmp(outer, inner, len) == 0 && (inner[len] == '/' || inner[len] == '\0'));
}

static bool is_hidden(const char *path) {
    return strstr(path, "/.") != NULL;
}

static bool is_system(const char *path) {
    static const char *const folders[] = {"/etc",       "/dev",    "/proc",    "/sys",
                                          "/run",       "/boot",   "/var/lib", "/var/mail",
                                          "/var/spool", "/var/log"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        if (contains(folders[i], path) || contains(path, folders[i])) {
            return true;
        }
    }
    return false;
}

static bool holds(const char *real, const char *other) {
    char other_real[PATH_MAX];
    return other != NULL && realpath(other, other_real) != NULL && contains(real, other_real);
}

static enum err check_policy(const char *real, const char *state_dir, bool lets_private,
                             struct host_error *error) {
    static const char told[] = REMEDY ", or say --private when you mean it";
    const char *why = NULL, *remedy = REMEDY;
    if (strcmp(real, "/") == 0) {
        why = "is the whole machine";
    } else if (!lets_private && holds(real, places_home())) {
        why = "holds your home folder with all your private files";
        remedy = told;
    } else if (!lets_private && is_hidden(real)) {
        why = "is hidden: such folders hold keys, mail and settings";
        remedy = told;
    } else if (is_system(real)) {
        why = "holds the system's own files";
    } else if (holds(real, state_dir)) {
        why = "holds this peer's state folder with its private key";
    } else if (!lets_private && filter_is_private(real)) {
        why = "has the name of mail, keys, wallets or other private things";
        remedy = told;
    }
    return why == NULL
               ? OK
               : fail(error, ERR_POLICY, "%.300s is not shared: it %s; %s", real, why, remedy);
}

static enum err check_folder(const char *folder, char real[PATH_MAX], struct host_error *error) {
    struct stat stat_of;
    if (realpath(folder, real) == NULL || stat(real, &stat_of) != 0) {
        return errno == ENOENT
                   ? fail(error, ERR_NOT_FOUND,
                          "%.300s: there is no such folder; make it with mkdir, or check the path",
                          folder)
                   : fail_errno(error, folder, "cannot be shared");
    }
    if (!S_ISDIR(stat_of.st_mode)) {
        return fail(error, ERR_CONFIG, "%.300s is a file; only folders are shared", folder);
    }
    if (access(real, R_OK | X_OK) != 0) {
        return fail_errno(error, folder, "cannot be read");
    }
    return strchr(real, '\n') == NULL
               ? OK
               : fail(error, ERR_CONFIG, "the folder's name has a line end; rename it");
}

enum err shares_check(const struct share *share, const char *state_dir, char real[PATH_MAX],
                      struct host_error *error) {
    struct filter *filter = filter_new(share->filter, error);
    if (filter == NULL) {
        return error->err;
    }
    enum err err = check_folder(share->folder, real, error);
    err = err != OK ? err : check_policy(real, state_dir, filter_lets_private(filter), error);
    filter_free(filter);
    return err;
}

/* ---- The list ---- */

static uint32_t find(const struct shares *shares, const char *real) {
    uint32_t at = 0;
    while (at < shares->count && strcmp(shares->paths[at], real) != 0) {
        at++;
    }
    return at;
}

enum err shares_add(struct shares *shares, const struct share *share, struct host_error *error) {
    const char *filter = share->filter == NULL ? "" : share->filter;
    uint32_t at = find(shares, share->folder);
    if (at < shares->count && strcmp(shares->filters[at], filter) == 0) {
        return fail(error, ERR_EXISTS, "%.300s is shared already", share->folder);
    }
    if (at < shares->count) {
        mem_free(shares->filters[at]);
        shares->filters[at] = mem_string(filter);
        return OK;
    }
    if (shares->count == SHARES_MAX) {
        return fail(error, ERR_LIMIT, "more than %d shared folders; share one that holds them",
                    SHARES_MAX);
    }
    shares->filters[shares->count] = mem_string(filter);
    shares->paths[shares->count++] = mem_string(share->folder);
    return OK;
}

enum err shares_remove(struct shares *shares, const char *real, struct host_error *error) {
    uint32_t at = find(shares, real);
    if (at == shares->count) {
        return fail(error, ERR_NOT_FOUND, "%.300s is not in the list; `peer share list` shows it",
                    real);
    }
    mem_free(shares->paths[at]);
    mem_free(shares->filters[at]);
    shares->count--;
    memmove(&shares->paths[at], &shares->paths[at + 1],
            (shares->count - at) * sizeof *shares->paths);
    memmove(&shares->filters[at], &shares->filters[at + 1],
            (shares->count - at) * sizeof *shares->filters);
    return OK;
}

void shares_free(struct shares *shares) {
    for (uint32_t i = 0; i < shares->count; i++) {
        mem_free(shares->paths[i]);
        mem_free(shares->filters[i]);
    }
    shares->count = 0;
}

/* ---- The file ---- */

static enum err path_of(const char *state_dir, char path[PATH_MAX], struct host_error *error) {
    return snprintf(path, PATH_MAX, "%s/" SHARES_NAME, state_dir) < PATH_MAX
               ? OK
               : fail(error, ERR_CONFIG, "%.300s: the path is too long", state_dir);
}

/* What is known of the folder whose lines are being read. */
struct reading {
    const char *path;
    struct buf filter;
    uint32_t line; /* of the path */
};

/* The folder's lines are over. */
static enum err end_folder(struct shares *shares, struct reading *reading, const char *path,
                           struct host_error *error) {
    struct host_error why = {0};
    enum err err = OK;
    if (reading->path != NULL) {
        buf_u8(&reading->filter, '\0');
        const struct share share = {reading->path, (const char *)reading->filter.data};
        struct filter *filter = filter_new(share.filter, &why);
        err = filter == NULL ? why.err : shares_add(shares, &share, &why);
        filter_free(filter);
    }
    reading->path = NULL;
    reading->filter.len = 0;
    return err == OK || err == ERR_EXISTS
               ? OK
               : fail(error, ERR_CONFIG, "%.200s:%u: %.200s", path, reading->line, why.text);
}

static enum err load_lines(struct shares *shares, char *text, const char *path,
                           struct host_error *error) {
    struct reading reading = {0};
    uint32_t number = 0;
    enum err err = OK;
    for (char *line; err == OK && (line = strsep(&text, "\n")) != NULL;) {
        number++;
        if (line[0] == ' ' && reading.path != NULL) {
            buf_append(&reading.filter, line + 1, strlen(line + 1));
            buf_u8(&reading.filter, '\n');
        } else if (line[0] == '/') {
            err = end_folder(shares, &reading, path, error);
            reading.path = line;
            reading.line = number;
        } else if (line[0] != '\0') {
            err = fail(error, ERR_CONFIG, "%.300s:%u: not an absolute path; remove the line", path,
                       number);
        }
    }
    err = err != OK ? err : end_folder(shares, &reading, path, error);
    buf_free(&reading.filter);
    return err;
}

enum err shares_load(struct shares *shares, const char *state_dir, struct host_error *error) {
    char path[PATH_MAX];
    struct buf text = {0};
    enum err err = path_of(state_dir, path, error);
    err = err != OK ? err : textfile_load(path, SHARES_BYTES_MAX, &text, error);
    if (err == OK) {
        buf_u8(&text, '\0');
        err = load_lines(shares, (char *)text.data, path, error);
    }
    buf_free(&text);
    return err == ERR_NOT_FOUND ? OK : err;
}

static void save_filter(struct buf *text, const char *filter) {
    while (*filter != '\0') {
        size_t len = strcspn(filter, "\n");
        buf_u8(text, ' ');
        buf_append(text, filter, len);
        buf_u8(text, '\n');
        filter += len + (filter[len] == '\n');
    }
}

enum err shares_save(const struct shares *shares, const char *state_dir, struct host_error *error) {
    char path[PATH_MAX];
    struct buf text = {0};
    for (uint32_t i = 0; i < shares->count; i++) {
        buf_append(&text, shares->paths[i], strlen(shares->paths[i]));
        buf_u8(&text, '\n');
        save_filter(&text, shares->filters[i]);
    }
    enum err err = path_of(state_dir, path, error);
    err =
        err != OK ? err : textfile_replace(path, 0600, (struct slice){text.data, text.len}, error);
    buf_free(&text);
    return err;
}
