/* deal.h - finds files that really exist on this machine and lays them into shared folders. */
#ifndef TRUNKLINE_CLUSTER_DEAL_H
#define TRUNKLINE_CLUSTER_DEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define DEAL_FILE_BYTES_MIN 1024
#define DEAL_FILE_BYTES_MAX (8 * 1024 * 1024)
#define DEAL_CANDIDATES_MAX 50000 /* files looked at; a desktop has 30,000 in /usr/share/doc */

struct dealt_file {
    char *path;
    char *name; /* the path below its root with '-' for '/': what it is shared as */
    uint64_t size;
};

struct deal {
    struct dealt_file *files;
    uint32_t count;
};

/* Choose `wanted` regular files below the roots, spread evenly over them in order of their names.
 * Their sizes all differ, so that no two are the same content. Fewer when there are fewer; roots
 * (ends with NULL) are opened one after the other until there are enough. */
void deal_choose(struct deal *deal, const char *const *roots, uint32_t wanted);
void deal_free(struct deal *deal);

/* Copy a file's bytes to a new one. ERR_IO, ERR_NO_SPACE, ERR_NOT_FOUND, ERR_EXISTS. */
MUST_CHECK enum err deal_copy(const char *from, const char *to);

/* Write a new file of pseudo-random bytes, the same for the same seed. Errors as deal_copy. */
MUST_CHECK enum err deal_generate(const char *path, uint64_t bytes, uint64_t seed);

#endif
