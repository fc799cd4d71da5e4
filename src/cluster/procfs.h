/* procfs.h - what the system says of a process. All are 0 of one that is gone. */
#ifndef TRUNKLINE_CLUSTER_PROCFS_H
#define TRUNKLINE_CLUSTER_PROCFS_H

#include <stdint.h>
#include <sys/types.h>

uint64_t procfs_resident(pid_t pid);     /* bytes */
uint64_t procfs_proportional(pid_t pid); /* bytes: what it shares with others, such as libraries,
                                            counts by how many they are */
uint64_t procfs_cpu_ms(pid_t pid);       /* used so far */
uint32_t procfs_descriptors(pid_t pid);  /* open */

/* The process that listens on the control socket of a node's state folder; 0 when nobody does. */
pid_t procfs_listener(const char *state_dir);

#endif
