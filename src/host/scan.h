/* scan.h - finds the files of shared folders, on a worker. */
#ifndef TRUNKLINE_HOST_SCAN_H
#define TRUNKLINE_HOST_SCAN_H

#include "src/host/files.h"
#include "src/host/filter.h"

#define SCAN_FILES_MAX 100000 /* per node; ten times what a leaf may register */
#define SCAN_DEPTH_MAX 64

/* One file that may be shared: regular, not empty, no dot anywhere on its way, a name that the
 * wire can carry. */
struct scanned {
    uint32_t root; /* place among the folders */
    char *path;    /* from there */
    struct stamp stamp;
    struct hash key; /* of the full path; the caller's */
};

struct scan {
    struct scanned *files; /* sorted by root and path */
    uint32_t count;
    uint32_t cap;
    const struct watch *watch; /* set by the caller; NULL = none */
    int *folders;              /* that are watched now */
    uint32_t folder_count;
    uint32_t folder_cap;
    uint32_t unwatched;     /* folders that could not be */
    struct share_left left; /* what is left out */
    uint64_t bytes;         /* of the files */
};

/* A shared folder: its number among the folders, where it is, and what of it is shared. */
struct scan_root {
    uint32_t number;
    const char *folder;
    const struct filter *filter;
};

/* Add the files below a folder, and watch all folders. Folders that vanish meanwhile are passed
 * over. It ends early when the workers are to stop (NULL = never). */
void scan_folder(struct scan *scan, const struct scan_root *root, const struct workers *workers);
void scan_sort(struct scan *scan);
void scan_free(struct scan *scan);

#endif
