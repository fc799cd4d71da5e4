/* places.h - where state, configuration and downloads live when nobody says (XDG base folders). */
#ifndef TRUNKLINE_HOST_PLACES_H
#define TRUNKLINE_HOST_PLACES_H

#include <limits.h>

#include "src/host/host.h"

/* Absolute paths; `program` is "peer" or "supernode". ERR_CONFIG when there is no home folder.
 *   state      $XDG_STATE_HOME/trunkline/PROGRAM      (~/.local/state/...)
 *   config     $XDG_CONFIG_HOME/trunkline/PROGRAM.ini (~/.config/...)
 *   downloads  $XDG_DOWNLOAD_DIR/trunkline            (~/Downloads/...) */
MUST_CHECK enum err places_state(const char *program, char path[PATH_MAX],
                                 struct host_error *error);
MUST_CHECK enum err places_config(const char *program, char path[PATH_MAX],
                                  struct host_error *error);
MUST_CHECK enum err places_downloads(char path[PATH_MAX], struct host_error *error);

/* The path of another program of ours: beside this one, or where programs are installed that nobody
 * starts by hand. NULL when it is nowhere; else mem_free it. */
char *places_program(const char *program);

/* The user's home folder ($HOME, else from the user database), or NULL. */
const char *places_home(void);

#endif
