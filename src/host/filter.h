/* filter.h - which files of a shared folder are shared, with whom, and under which names: patterns,
 * sizes, aliases, and what is private by its name.
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
 *     for ID            only for this node, and others that are named so
 *     locked yes        ... and everybody may see that the files are there
 *     as NAME           others are told this name of the folder
 *     alias PATH=NAME   ... and this one of the file at PATH below it
 *
 * Patterns are those of the shell, in any case; one with a slash is for the path below the shared
 * folder, one without for the name of a file or folder. Aliases are names that names_sanitise
 * leaves as they are, without `=`; what is judged is the name on the disk. NULL with the reason in
 * *error (ERR_CONFIG, ERR_LIMIT). */
struct filter *filter_new(const char *text, struct host_error *error);
void filter_free(struct filter *filter);

/* Its text, as it was read; "" without rules. */
const char *filter_text(const struct filter *filter);

/* `path` is below the shared folder; a folder that is out is not looked into. */
enum filter_verdict filter_file(const struct filter *filter, const char *path, uint64_t size);
enum filter_verdict filter_folder(const struct filter *filter, const char *path);

/* What others are told instead of the name of the folder, or of a file in it; NULL = its own. */
const char *filter_label(const struct filter *filter);
const char *filter_alias(const struct filter *filter, const char *path);

/* The nodes that the files are for; none = everybody. */
uint32_t filter_readers(const struct filter *filter, const struct node_id **ids);
/* True when everybody may see that the files are there. */
bool filter_is_locked(const struct filter *filter);
/* How closed it is: 0 = for everybody, 1 = locked, 2 = only the readers know. */
uint32_t filter_closeness(const struct filter *filter);

/* True when private names are let in, by the rule `private yes`. */
bool filter_lets_private(const struct filter *filter);

/* True when a shared folder of this real path would be one of mail, keys, wallets or the like. */
bool filter_is_private(const char *real);

#endif
