/* hashing.h - turns found files into content ids: from the cache, or by reading them. */
#ifndef TRUNKLINE_HOST_HASHING_H
#define TRUNKLINE_HOST_HASHING_H

#include "src/host/library.h"

struct hashing;

struct hashing_config {
    struct workers *workers;
    const struct log *log;
    struct driver_counts *counts;
    const char *state_dir; /* of the cache; borrowed */
    /* A file's content is known now; borrowed. */
    void (*hashed)(void *context, const struct found_file *found);
    /* Everything that was added has been looked at. */
    void (*idle)(void *context);
    void *context;
};

struct hashing *hashing_new(const struct hashing_config *config);

/* Add a file (copied); nothing happens before hashing_start. */
void hashing_add(struct hashing *hashing, const char *root, const char *path,
                 const struct stamp *stamp);
/* Work through what was added, then call `idle`, also when there was nothing. */
void hashing_start(struct hashing *hashing);
/* Put a file whose content is known into the cache. */
void hashing_remember(struct hashing *hashing, const struct found_file *found);

/* Put what was read of a content into the cache. */
void hashing_describe(struct hashing *hashing, const struct content_id *content, struct slice meta,
                      uint32_t by);

/* After all jobs are done. */
void hashing_free(struct hashing *hashing);

/* "root/path" as mem_* memory. */
char *path_join(const char *root, const char *path);

#endif
