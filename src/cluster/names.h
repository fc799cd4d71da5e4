/* names.h - what the files of a test network are called: names from a list, or of this machine. */
#ifndef TRUNKLINE_CLUSTER_NAMES_H
#define TRUNKLINE_CLUSTER_NAMES_H

#include <stddef.h>

#include "src/cluster/spec.h"

struct names {
    char **list;
    uint32_t count;
    uint32_t room;
};

/* Read a file with a name, or a path that ends with one, per line; NULL = about `wanted` names of
 * files below /usr/share/doc. ERR_NOT_FOUND when there are none; `trouble` says more. names_free
 * follows in any case. */
MUST_CHECK enum err names_load(struct names *names, const char *path, uint32_t wanted,
                               char trouble[SPEC_TROUBLE_BYTES]);
void names_free(struct names *names);

/* The n-th name, beginning again after the last, with a word at the end of its stem: `whale
 * song.ogg` and `i000017` make `whale song i000017.ogg`. */
void names_with_word(const struct names *names, uint32_t n, const char *word, char *name,
                     size_t bytes);

#endif
