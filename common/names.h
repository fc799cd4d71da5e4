/* names.h - turns a name from the wire into one safe file name. */
#ifndef TRUNKLINE_COMMON_NAMES_H
#define TRUNKLINE_COMMON_NAMES_H

#include "common/buf.h"

#define NAMES_DISK_MAX 240 /* bytes, room for " (2)" and ".part" below the usual 255 */

/* Write a NUL-terminated name of 1 to NAMES_DISK_MAX bytes: slashes, backslashes, <>:"|?*, control,
 * bidi and invisible characters become '_', leading '.', '-', '~' and blanks '_', blanks of other
 * widths plain ones; trailing dots and blanks go, Windows device names (CON, NUL, COM1 ...) get a
 * '_' in front, an empty rest is "unnamed"; cut at a character, keeping the extension. The result
 * is valid UTF-8, and sanitised once more it is the same. */
void names_sanitise(struct slice name, char out[NAMES_DISK_MAX + 1]);

#endif
