/* library.h - what a node shares: folders scanned and hashed by workers, changes noticed. */
#ifndef TRUNKLINE_HOST_LIBRARY_H
#define TRUNKLINE_HOST_LIBRARY_H

#include "src/host/files.h"

/* A regular file whose content is known. */
struct found_file {
    const char *root; /* folder, absolute */
    const char *path; /* from there */
    struct content_id content;
    const struct hash *pieces; /* NULL for a single piece */
    struct stamp stamp;
};

/* Open the hash cache in the state folder (a damaged one is moved aside and made anew). */
struct library *library_new(struct host_node *node);

/* Share a folder, or what a filter (filter_new) lets in of it: scanned soon, and again every
 * LIBRARY_RESCAN_MS. */
MUST_CHECK enum err library_add_folder(struct library *library, const char *folder,
                                       const char *filter, struct host_error *error);
/* Stop sharing it. ERR_NOT_FOUND. */
MUST_CHECK enum err library_remove_folder(struct library *library, const char *folder);
/* Begin with the first scan; NODE_SHARES_READY follows. */
void library_start(struct library *library);

/* Share a download that has just been verified, without hashing it again. */
void library_add(struct host_node *node, const struct found_file *found);
/* A shared file is not what it was: withdraw it and look again. */
void library_changed(struct host_node *node, uint64_t file);

/* Something in a watched folder is different: look again soon. `owner` is a library, NULL = each of
 * the host's. */
void library_watched(void *host, void *owner);

/* A shared file, held for the caller; NULL when it is gone. */
struct source *library_source(struct host_node *node, uint64_t file);
/* Its size in bytes; 0 when it is gone. */
uint64_t library_size(const struct host_node *node, uint64_t file);

/* What the last scan left out. */
struct share_left library_left(const struct library *library);

/* No more rounds. */
void library_stop(struct library *library);
/* After all jobs are done. */
void library_free(struct library *library);

#endif
