/* shares.h - the folders a peer shares: remembered in its state folder, refused when careless. */
#ifndef TRUNKLINE_HOST_SHARES_H
#define TRUNKLINE_HOST_SHARES_H

#include <limits.h>

#include "src/host/host.h"

/* In the state folder: one absolute path per line, and below it, each after a blank, the rules of
 * its filter. */
#define SHARES_NAME "shares"
#define SHARES_MAX 256 /* folders: each costs watches and a scan */

/* A folder to share, and the text of its filter; NULL = none. */
struct share {
    const char *folder;
    const char *filter;
};

struct shares {
    uint32_t count;
    char *paths[SHARES_MAX];   /* owned, absolute, without links, none twice */
    char *filters[SHARES_MAX]; /* owned, beside them: as filter_new reads them, never NULL */
};

/* Find out what a folder really is and whether it may be shared; the real path goes to `real`.
 * ERR_NOT_FOUND, ERR_PERMISSION, or ERR_POLICY: the root, the system's own folders, and whatever
 * holds the state folder with the private key; and, unless the filter lets private things in, a
 * home folder or what contains one, hidden folders, and those of mail, keys and the like.
 * ERR_CONFIG when the filter (NULL = none) is none. */
MUST_CHECK enum err shares_check(const struct share *share, const char *state_dir,
                                 char real[PATH_MAX], struct host_error *error);

/* Add a real path with its filter (copies). ERR_EXISTS when it is there with this filter, ERR_LIMIT
 * at SHARES_MAX; one that is there with another filter gets this one. */
MUST_CHECK enum err shares_add(struct shares *shares, const struct share *share,
                               struct host_error *error);
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
