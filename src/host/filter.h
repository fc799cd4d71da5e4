/* filter.h - which files of a shared folder are shared: patterns, sizes, and what is private by its
 * name.
 *
 * People were found to share their mail and keys without knowing (Good and Krekelberg, CHI 2003):
 * so names that such things have are left out unless somebody says otherwise. */
#ifndef TRUNKLINE_HOST_FILTER_H
#define TRUNKLINE_HOST_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "src/host/host.h"

#define FILTER_LINES_MAX 64
#define FILTER_BYTES_MAX 4096 /* of its text */

struct filter;

enum filter_verdict {
    FILTER_IN,
    FILTER_OUT,    /* by a rule of the filter */
    FILTER_PRIVATE /* by its name */
};

/* Read a filter's text, one rule a line; NULL and "" let everything in that is not private:
 *
 *     only PATTERN      just files that match one of these
 *     exclude PATTERN   no files and folders that do
 *     min SIZE, max SIZE
 *     private yes       private names too
 *
 * Patterns are those of the shell, in any case; one with a slash is for the path below the shared
 * folder, one without for the name of a file or folder. NULL with the reason in *error (ERR_CONFIG,
 * ERR_LIMIT). */
struct filter *filter_new(const char *text, struct host_error *error);
void filter_free(struct filter *filter);

/* Its text, as it was read; "" without rules. */
const char *filter_text(const struct filter *filter);

/* `path` is below the shared folder; a folder that is out is not looked into. */
enum filter_verdict filter_file(const struct filter *filter, const char *path, uint64_t size);
enum filter_verdict filter_folder(const struct filter *filter, const char *path);

/* True when private names are let in, by the rule `private yes`. */
bool filter_lets_private(const struct filter *filter);

/* True when a shared folder of this real path would be one of mail, keys, wallets or the like. */
bool filter_is_private(const char *real);

#endif
