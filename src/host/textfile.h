/* textfile.h - small files as a whole: read with a cap, written durable or not at all. */
#ifndef TRUNKLINE_HOST_TEXTFILE_H
#define TRUNKLINE_HOST_TEXTFILE_H

#include <sys/types.h>

#include "common/buf.h"
#include "src/host/host.h"

/* Append the file's bytes. ERR_NOT_FOUND, ERR_PERMISSION, ERR_IO, or ERR_LIMIT beyond `max`. */
MUST_CHECK enum err textfile_load(const char *path, size_t max, struct buf *out,
                                  struct host_error *error);

/* Put the bytes in place of the file: a new file beside it, fsync, rename, fsync of the folder. */
MUST_CHECK enum err textfile_replace(const char *path, mode_t mode, struct slice bytes,
                                     struct host_error *error);

/* What inih would take in silence and wrongly in a line that it was given room of `size` for: a cut
 * one, and one that begins with a blank, which goes on the value before. NULL = nothing; else what
 * is wrong, and *remedy. */
const char *ini_line_problem(const char *line, int size, const char **remedy);

/* Make a folder and its parents (0700) where they are missing. */
MUST_CHECK enum err folder_make(const char *path, struct host_error *error);

#endif
