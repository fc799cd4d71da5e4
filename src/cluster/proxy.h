/* proxy.h - makes the links between nodes worse: a program that stands between them.
 *
 * Each node listens on an address that nobody is told, and the proxy on the one that everybody is;
 * it knows who dials by the address that the connection comes from. A link has the properties of
 * every link, and those of both its ends.
 * The faults are those of Shopify's Toxiproxy: latency, jitter, rate, slices, reset, slow close,
 * and a black hole. */
#ifndef TRUNKLINE_CLUSTER_PROXY_H
#define TRUNKLINE_CLUSTER_PROXY_H

#include "src/cluster/spec.h"

#define PROXY_LINE_BYTES 160

/* Run the proxy until the connection on its control socket ends, or SIGTERM. It takes lines there:
 *
 *     node LISTEN TARGET [NETNS]         127.1.2.3:7646 127.1.2.3:7647; numbered from 0; with the
 *                                        path of the network namespace where both are
 *     set NODE LATENCY JITTER RATE SLICE RESET CLOSE HOLE        ms and bytes; NODE may be `every`
 *     group NODE GROUP                   nothing passes between groups; all begin in group 0
 *
 * and answers each with `ok` or `error WHY`. Return the exit status. */
int proxy_run(const char *control_path);

#endif
