/* share.h - the table of files this peer shares, by content and by the driver's number. */
#ifndef TRUNKLINE_PEER_SHARE_H
#define TRUNKLINE_PEER_SHARE_H

#include "common/map.h"
#include "common/node.h"
#include "common/wire.h"

/* Two names for one content are two files here: either serves. */
struct shared_file {
    uint64_t number; /* the driver's */
    struct content_id content;
    struct shared_file *same; /* the next of the same content */
    struct hash *pieces;      /* NULL for a single piece */
    struct hash record_hash;
    uint32_t name_len;
    char *name; /* as people see it, without control characters */
};

struct share_maps;

struct share {
    struct share_maps *maps; /* NULL until a file is shared: an idle peer is to be small */
    uint64_t seed;
    uint64_t bytes;
    uint32_t version; /* rises with every change */
    bool ready;       /* the first scan is complete */
};

void share_init(struct share *share, uint64_t seed);
void share_free(struct share *share);

/* Handle NODE_SHARED (the same number again replaces the file) and NODE_UNSHARED. */
void share_add(struct share *share, const struct crypto *crypto, const struct node_event *event);
void share_remove(struct share *share, uint64_t number);

/* A file of this content, or NULL. */
const struct shared_file *share_find(const struct share *share, const struct content_id *content);

/* How it is registered. */
struct file_record share_record(const struct shared_file *file);

/* How many files there are, and a walk over them in the order they appeared (*cursor from 0;
 * nothing may be added meanwhile). */
uint32_t share_count(const struct share *share);
const struct shared_file *share_next(const struct share *share, uint32_t *cursor);

/* How many files are registered: at most LEAF_FILES_MAX, the first ones of that walk. */
uint32_t share_registered(const struct share *share);

/* The root over the sorted record hashes of those. */
void share_root(const struct share *share, const struct crypto *crypto, struct hash *root);

#endif
