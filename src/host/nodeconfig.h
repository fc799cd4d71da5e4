/* nodeconfig.h - a program's configuration file: the long options as `name = value` lines. */
#ifndef TRUNKLINE_HOST_NODECONFIG_H
#define TRUNKLINE_HOST_NODECONFIG_H

#include "src/host/options.h"

/* Read the file's section (its only one, named as the program) into the options; the command line
 * wins. ERR_NOT_FOUND, ERR_PERMISSION or ERR_IO when it cannot be read; ERR_CONFIG with
 * "file:line: what; remedy". */
MUST_CHECK enum err nodeconfig_load(const char *path, const char *section, struct options *options,
                                    struct host_error *error);

#endif
