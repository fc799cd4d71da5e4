/* bench_attack.h - those who ask too much, in a process of their own. */
#ifndef TRUNKLINE_TESTS_BENCH_BENCH_ATTACK_H
#define TRUNKLINE_TESTS_BENCH_BENCH_ATTACK_H

#include "tests/bench/bench_network.h"

/* Start an attack on a network's first supernode:
 *   hello    2,000 connections a second from 200 addresses, each with a ClientHello and no more
 *   one      the same from one address
 *   queries  1,000 queries a second from one leaf, which comes back under another name when sent
 * off lists    20 leaves that register 10,000 files each, all at once */
struct process *attack_start(const struct bench_network *network, const char *kind);

/* That process: `bench --role attack KIND ADDRESS ID NETWORK_FILE FOLDER`; ends with its parent. */
int bench_role_attack(int argc, char **argv);

#endif
