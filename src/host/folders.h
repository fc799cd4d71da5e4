/* folders.h - folders below the download folder, made without ever leaving it. */
#ifndef TRUNKLINE_HOST_FOLDERS_H
#define TRUNKLINE_HOST_FOLDERS_H

#include "common/names.h"

/* Open the folder at a sanitised path ("" = the root itself) below an open folder, made where it is
 * missing and durable when it is. Where something else than a folder has a name on the way, a link
 * too, a numbered name is taken instead; `path` is then what it became. -1 with errno set (EEXIST
 * when there are too many such). Takes nothing; the caller closes what is returned. */
int folders_make(int root, char path[NAMES_PATH_MAX + 1]);

#endif
