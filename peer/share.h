/* share.h - the table of files this peer shares, by content and by the driver's number. */
#ifndef TRUNKLINE_PEER_SHARE_H
#define TRUNKLINE_PEER_SHARE_H

#include "common/map.h"
#include "common/node.h"
#include "common/wire.h"
#include "peer/changes.h"

/* Two names for one content are two files here: either serves. Of files that are one record (in
 * two folders) one is listed. What is only for some is not listed, unless it is locked: then it is,
 * as such, while its content is not there for everybody. */
struct shared_file {
    uint64_t number; /* the driver's */
    struct content_id content;
    struct shared_file *same; /* the next of the same content */
    struct hash *pieces;      /* NULL for a single piece */
    uint8_t *meta;            /* NULL when nothing is known */
    struct hash record_hash;
    uint32_t group; /* who may have it; 0 = everybody */
    uint16_t name_len;
    uint16_t meta_len;
    bool is_locked;              /* everybody may know of it */
    bool is_listed;              /* it stands for its record in the list that is registered */
    char *name;                  /* as people see it, without control characters */
    struct share_folder *folder; /* where it is; NULL = not told */
};

/* A folder, from the shared folder's name on, as people see it; of all its files together. */
struct share_folder {
    struct hash key; /* of the text */
    uint32_t files;
    uint16_t len;
    char *text;
};

struct share_maps;

struct share {
    struct share_maps *maps; /* NULL until a file is shared: an idle peer is to be small */
    uint64_t seed;
    uint64_t bytes;
    uint64_t sequence;       /* of the list as it was last registered; 0 = never */
    struct changes *changes; /* since then and before */
    uint32_t version;        /* rises with every change */
    uint32_t listed;         /* records in the list, at most LEAF_FILES_MAX */
    bool ready;              /* the first scan is complete */
};

void share_init(struct share *share, uint64_t seed);
void share_free(struct share *share);

/* Handle NODE_GROUP. */
void share_group(struct share *share, const struct node_event *event);

/* Handle NODE_SHARED (the same number again replaces the file; of the same content it may come
 * without pieces) and NODE_UNSHARED. */
void share_add(struct share *share, const struct crypto *crypto, const struct node_event *event);
void share_remove(struct share *share, uint64_t number);

/* A file of this content, whoever may have it, or NULL. */
const struct shared_file *share_find(const struct share *share, const struct content_id *content);

/* True when this node may have the file. */
bool share_is_visible(const struct share *share, const struct shared_file *file,
                      const struct node_id *id);
/* A file of this content that this node may have, or NULL. */
const struct shared_file *share_find_for(const struct share *share,
                                         const struct content_id *content,
                                         const struct node_id *id);
/* A file of this content that everybody may know of: one for everybody if there is one, else a
 * locked one, or NULL. */
const struct shared_file *share_find_known(const struct share *share,
                                           const struct content_id *content);

/* How it is registered. */
struct file_record share_record(const struct shared_file *file);

/* How many files there are, and a walk over them in the order they appeared (*cursor from 0;
 * nothing may be added meanwhile). */
uint32_t share_count(const struct share *share);
const struct shared_file *share_next(const struct share *share, uint32_t *cursor);

/* The root of the list: of the records of all listed files. */
void share_root(const struct share *share, const struct crypto *crypto, struct hash *root);

/* The list has been looked at: it is `sequence` from now on. */
void share_settle(struct share *share, uint64_t sequence);

/* How many lists back it is known what changed. */
uint64_t share_reach(const struct share *share);

#endif
