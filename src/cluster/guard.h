/* guard.h - a small process that clears up behind an owner of processes, however that one ended.
 *
 * Every process of an owner carries the owner's token in its environment, and so does whatever
 * those start in turn. The guard waits for the owner's end (a pipe that only the owner holds open),
 * then kills whatever still carries the token and removes the owner's scratch folder. */
#ifndef TRUNKLINE_CLUSTER_GUARD_H
#define TRUNKLINE_CLUSTER_GUARD_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/err.h"

#define GUARD_TOKEN_BYTES 40 /* with the NUL */
#define GUARD_ENVIRONMENT "TRUNKLINE_OWNER"

struct guard {
    pid_t pid;
    int pipe; /* closing it, or dying, lets the guard begin */
};

/* Make a token that no other process carries. */
void guard_token(char token[GUARD_TOKEN_BYTES]);

/* Start the guard. `scratch` is a folder to remove at the end, or NULL. ERR_IO when the system
 * refuses. */
MUST_CHECK enum err guard_start(struct guard *guard, const char *token, const char *scratch);

/* Let the guard do its work and wait until it is done; async-signal-safe. */
void guard_finish(const struct guard *guard);

/* Kill every process that carries the token, but for this one. Return how many there were. */
int guard_sweep(const char *token);

/* Remove a folder with everything in it; symbolic links are removed, not followed. */
void guard_remove_folder(const char *path);

#endif
