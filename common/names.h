/* names.h - turns a name from the wire into one safe file name. */
#ifndef TRUNKLINE_COMMON_NAMES_H
#define TRUNKLINE_COMMON_NAMES_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/limits.h"

#define NAMES_DISK_MAX 240 /* bytes, room for " (2)" and ".part" below the usual 255 */

/* Write a NUL-terminated name of 1 to NAMES_DISK_MAX bytes: slashes, backslashes, <>:"|?*, control,
 * bidi and invisible characters become '_', leading '.', '-', '~' and blanks '_', blanks of other
 * widths plain ones; trailing dots and blanks go, Windows device names (CON, NUL, COM1 ...) get a
 * '_' in front, an empty rest is "unnamed"; cut at a character, keeping the extension. The result
 * is valid UTF-8, and sanitised once more it is the same. */
void names_sanitise(struct slice name, char out[NAMES_DISK_MAX + 1]);

/* A way of FOLDER_DEPTH_MAX folders and a name, each as names_sanitise makes it. */
#define NAMES_PATH_MAX 2048

/* Write the folders of a path, as names_sanitise makes each and with one slash between two; empty
 * ones are left out. False, and nothing is left, when they are too many or too long. */
bool names_sanitise_path(struct slice path, char out[NAMES_PATH_MAX + 1]);

#endif
