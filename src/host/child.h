/* child.h - the supernode that a peer runs beside itself: a process of its own, watched.
 *
 * It is tied to this process by a pair of sockets: when one of the two ends, the other one sees it.
 * What becomes of it is told to the node as NODE_SUPERNODE. */
#ifndef TRUNKLINE_HOST_CHILD_H
#define TRUNKLINE_HOST_CHILD_H

#include "src/host/internal.h"

struct child;

/* ACTION_SUPERNODE_NAME, _SIGN, _START and _STOP. */
void child_name(struct host_node *node);
void child_sign(struct host_node *node, uint8_t record_type, struct slice body);
void child_start(struct host_node *node, struct slice cert);
void child_stop(struct host_node *node);

/* True while there is a process. */
bool child_lives(const struct host_node *node);
/* End it at once. */
void child_kill(struct host_node *node);

/* Copy the configuration. */
struct child *child_new(struct host_node *node, const struct child_config *config);
void child_free(struct child *child);

#endif
