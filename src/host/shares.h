/* shares.h - the folders a peer shares: remembered in its state folder, refused when careless. */
#ifndef TRUNKLINE_HOST_SHARES_H
#define TRUNKLINE_HOST_SHARES_H

#include <limits.h>

#include "src/host/host.h"

#define SHARES_NAME "shares" /* in the state folder: one absolute path per line */
#define SHARES_MAX 256       /* folders: each costs watches and a scan */

struct shares {
    uint32_t count;
    char *paths[SHARES_MAX]; /* owned, absolute, without links, none twice */
};

/* Find out what a folder really is and whether it may be shared; the real path goes to `real`.
 * ERR_NOT_FOUND, ERR_PERMISSION, or ERR_POLICY: the root, a home folder or what contains one,
 * hidden folders, the system's own, and whatever holds the state folder with the private key. */
MUST_CHECK enum err shares_check(const char *folder, const char *state_dir, char real[PATH_MAX],
                                 struct host_error *error);

/* Add a real path (a copy). ERR_EXISTS when it is there, ERR_LIMIT at SHARES_MAX. */
MUST_CHECK enum err shares_add(struct shares *shares, const char *real, struct host_error *error);
/* ERR_NOT_FOUND when it is not there. */
MUST_CHECK enum err shares_remove(struct shares *shares, const char *real,
                                  struct host_error *error);

/* Read the list of a state folder; none is an empty list. ERR_CONFIG names the bad line. */
MUST_CHECK enum err shares_load(struct shares *shares, const char *state_dir,
                                struct host_error *error);
MUST_CHECK enum err shares_save(const struct shares *shares, const char *state_dir,
                                struct host_error *error);

void shares_free(struct shares *shares);

#endif
