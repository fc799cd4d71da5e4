/* parent.h - a program that another one runs: it ends with that, and reads its certificate again
 * when told to. */
#ifndef TRUNKLINE_HOST_PARENT_H
#define TRUNKLINE_HOST_PARENT_H

#include "src/host/host.h"

struct parent_tie;

/* End the host soon after the other end of this descriptor closes; reload the nodes' certificates
 * at SIGHUP. Takes the descriptor. NULL with *error set when it is none. */
struct parent_tie *parent_watch(struct host *host, int fd, struct host_error *error);
void parent_free(struct parent_tie *tie);

#endif
