/* store_sqlite.h - the store that survives: tables in memory, written to SQLite by a worker. */
#ifndef TRUNKLINE_HOST_STORE_SQLITE_H
#define TRUNKLINE_HOST_STORE_SQLITE_H

#include "common/log.h"
#include "common/store.h"
#include "src/host/host.h"
#include "src/host/workers.h"

#define STORE_FILE "state.db"

struct store_sqlite_config {
    const char *state_dir;
    struct workers *workers;
    const struct log *log;
    void (*synced)(void *context, uint64_t token); /* on the loop, never from inside sync */
    void *context;
};

/* Open or make `state.db` and load it. A damaged file is moved to `state.db.bad-<time>` and
 * replaced by an empty one. NULL with *error set when the folder cannot be written. Free (with
 * store_free) after the workers are; what is still queued is written then. */
struct store *store_sqlite_open(const struct store_sqlite_config *config, struct host_error *error);

#endif
