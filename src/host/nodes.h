/* nodes.h - the life of one node in a host: everything around its logic. */
#ifndef TRUNKLINE_HOST_NODES_H
#define TRUNKLINE_HOST_NODES_H

#include "src/host/internal.h"

/* Stop to listen and ask the node to finish. */
void node_shut_down(struct host_node *node);

/* Take the certificate in its folder as it is now; one that cannot be read leaves the old one. */
void node_reload_cert(struct host_node *node);

/* Cut its links and files; jobs may still be under way. */
void node_release(struct host_node *node);

/* Free it. After all jobs are done. */
void node_delete(struct host_node *node);

#endif
