/* extract.h - has the metadata of shared files read by a process of its own, one file at a time. */
#ifndef TRUNKLINE_HOST_EXTRACT_H
#define TRUNKLINE_HOST_EXTRACT_H

#include "src/host/files.h"

struct extract;

struct extract_config {
    struct host *host;
    const char *program; /* copied; NULL = where it is installed with this one */
    /* A shared file, held for the caller; NULL = it is gone. */
    struct source *(*open)(void *context, uint64_t file);
    /* What it says of itself, canonical and borrowed; empty = nothing that a record tells. */
    void (*done)(void *context, uint64_t file, struct slice meta, uint32_t by);
    void *context;
};

struct extract *extract_new(const struct extract_config *config);

/* True for a file whose name promises that there is something to read. */
bool extract_wants(const char *path);

/* True for metadata read by a program like the one of today (`by` is what was told with it); false
 * when reading again may tell more. */
bool extract_is_current(uint32_t by);
/* ... and by all that may be installed. */
bool extract_is_full(uint32_t by);

/* Read a file when its turn comes; `again` = only when more is installed than when it was last
 * read. */
void extract_add(struct extract *extract, uint64_t file, bool again);

/* Begin; what was added before has waited. */
void extract_start(struct extract *extract);

/* End the process and forget what waits. */
void extract_stop(struct extract *extract);
/* After all jobs are done. */
void extract_free(struct extract *extract);

#endif
