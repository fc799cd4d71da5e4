/* hashcache.h - remembers the hashes of shared files, so that nothing is hashed twice. */
#ifndef TRUNKLINE_HOST_HASHCACHE_H
#define TRUNKLINE_HOST_HASHCACHE_H

#include "src/host/files.h"

#define HASHCACHE_FILE "hashes.db"

struct hashcache;

/* Open it in the state folder; from one thread at a time. NULL when it cannot be made: then
 * everything is hashed anew. */
struct hashcache *hashcache_open(const char *state_dir, const struct log *log);
void hashcache_close(struct hashcache *cache);

/* Group what follows into one transaction. NULL as cache is fine everywhere. */
void hashcache_begin(struct hashcache *cache);
void hashcache_commit(struct hashcache *cache);

/* Content and piece hashes (mem_* memory; NULL for one piece) of the file at `path`, when it still
 * has this stamp (the device number aside: it may change with every start). */
bool hashcache_get(struct hashcache *cache, const char *path, const struct stamp *stamp,
                   struct content_id *content, struct hash **pieces);
/* The same for a file that was known under another path, where it stands no more: a rename keeps
 * size, modification time and inode. That row is taken out. */
bool hashcache_take_moved(struct hashcache *cache, const struct stamp *stamp,
                          struct content_id *content, struct hash **pieces);
void hashcache_put(struct hashcache *cache, const char *path, const struct stamp *stamp,
                   const struct content_id *content, const struct hash *pieces);

/* What was read of a content: append it and return by whom (never 0); 0 = it was never read. */
uint32_t hashcache_described(struct hashcache *cache, const struct content_id *content,
                             struct buf *meta);
void hashcache_describe(struct hashcache *cache, const struct content_id *content,
                        struct slice meta, uint32_t by);

void hashcache_remove(struct hashcache *cache, const char *path);

#endif
