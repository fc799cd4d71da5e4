/* sqlite_file.h - opens a SQLite file that may be damaged without ever refusing to start. */
#ifndef TRUNKLINE_HOST_SQLITE_FILE_H
#define TRUNKLINE_HOST_SQLITE_FILE_H

#include <sqlite3.h>

#include "common/log.h"
#include "src/host/host.h"

/* Open (0600) or make the file with this schema and version (PRAGMA user_version). A damaged file,
 * or one of another version, is moved to PATH.bad-<Unix time> and made anew. WAL, synchronous =
 * NORMAL. NULL with *error set when the disk or the
 * file's mode does not allow it: the file then stays as it is. */
sqlite3 *sqlite_file_open(const char *path, const char *schema, int version, const struct log *log,
                          struct host_error *error);

#endif
