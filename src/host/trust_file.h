/* trust_file.h - the evidence of promotion that a supernode has written down, read from outside. */
#ifndef TRUNKLINE_HOST_TRUST_FILE_H
#define TRUNKLINE_HOST_TRUST_FILE_H

#include <stdint.h>

#include "common/buf.h"

typedef void trust_file_fn(void *context, uint8_t type, struct slice bytes);

/* Call `each` for every record in the store of a state folder, in the order in which they are best
 * taken (trust_rank); the supernode may run meanwhile. Without a store nothing is called. Bytes are
 * borrowed for the call. */
void trust_file_each(const char *dir, trust_file_fn *each, void *context);

#endif
