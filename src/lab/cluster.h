/* cluster.h - `lab cluster`: start, watch, break, measure and stop a network of real processes. */
#ifndef TRUNKLINE_LAB_CLUSTER_H
#define TRUNKLINE_LAB_CLUSTER_H

/* argv[0] is "cluster". Return the exit status: 0 when all went as it should and every check held,
 * 1 when not, 2 when a command or option was wrong. */
int cluster_run(int argc, char *const *argv);

/* `lab proxy SOCKET`: what the links of a cluster go through. */
int cluster_proxy_run(int argc, char *const *argv);

#endif
