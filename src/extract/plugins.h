/* plugins.h - libextractor, when it is installed, for the formats and texts that media.c lacks. */
#ifndef TRUNKLINE_EXTRACT_PLUGINS_H
#define TRUNKLINE_EXTRACT_PLUGINS_H

#include "src/extract/media.h"

struct plugins;

/* Load the library and its plugins, and all that they load in turn: nothing can be opened later.
 * NULL when it is not installed. */
struct plugins *plugins_open(void);

/* Add what they find in these bytes of a file to what is known. NULL as plugins is fine. */
void plugins_read(struct plugins *plugins, struct slice bytes, struct media *media);

#endif
