/* localnet.h - a whole network of real supernodes and peers on this machine.
 *
 * Node n listens on and dials from 127.x.y.n, always the same port; x and y are free ones, so that
 * several networks stand side by side. The first supernode is the anchor and the introducer. Every
 * node has a folder below the owner's scratch folder:
 *
 *     supernode-00/            state: key, network.ini, certificate, control.sock
 *     peer-07/                 state
 *     peer-07.files/           what it shares
 *     peer-07.downloads/       what it fetches
 *     peer-07.log              what it prints */
#ifndef TRUNKLINE_CLUSTER_LOCALNET_H
#define TRUNKLINE_CLUSTER_LOCALNET_H

#include <jansson.h>

#include "common/ids.h"
#include "src/cluster/localnet_election.h"
#include "src/cluster/netns.h"
#include "src/cluster/process.h"

#define LOCALNET_PORT 7646
#define LOCALNET_NODES_MAX 254 /* of both roles: addresses 127.x.y.1 to .254 */

#define PARENTS_WANTED 2

enum localnet_role { LOCALNET_SUPERNODE, LOCALNET_PEER };

struct localnet_node {
    enum localnet_role role;
    uint32_t number; /* of its role, from 0 */
    char name[16];
    char address[32];            /* with the port */
    char id[NODE_ID_TEXT_BYTES]; /* supernodes */
    char *dir;
    char *files;
    char *downloads;
    char *log;
    char advertise[32];       /* the address that others are told; empty = `address` */
    const char *upload_rate;  /* borrowed, such as "8M"; NULL = unlimited */
    char line[32];            /* limit on all that it sends, such as "up=100000"; empty = none */
    const char *index_memory; /* borrowed: of a supernode; NULL = as it is */
    uint64_t descriptors_max; /* as in process_options */
    uint64_t memory_max;
    int netns;               /* namespace that it runs in (process_options); 0 = ours */
    struct process *process; /* NULL when it does not run */
};

struct localnet {
    struct owner *owner;
    char *bin; /* the folder with peer and supernode */
    char *network_file;
    const char *leaf_query_rate; /* borrowed: per second and at once; NULL = 1000 */
    uint32_t supernode_count;
    uint32_t peer_count;
    struct localnet_node supernodes[LOCALNET_NODES_MAX];
    struct localnet_node peers[LOCALNET_NODES_MAX];
    struct localnet_election election;
    uint32_t leaves;    /* that a supernode takes; 0 = its default */
    char trouble[1024]; /* what went wrong, for people, after an error */
};

/* Make folders, keys, the network's file and the certificates; nothing runs yet. `bin` is the
 * folder of the programs. */
MUST_CHECK enum err localnet_init(struct localnet *net, struct owner *owner, const char *bin,
                                  uint32_t supernodes, uint32_t peers);

/* The same for nodes in namespaces of their own, supernodes first. */
struct localnet_size {
    uint32_t supernodes;
    uint32_t peers;
};
MUST_CHECK enum err localnet_init_apart(struct localnet *net, struct owner *owner, const char *bin,
                                        const struct netns *netns, struct localnet_size size);

/* Have supernodes elected; called before anything runs. */
MUST_CHECK enum err localnet_elect(struct localnet *net, const struct localnet_election *election);

/* Forget the network; its processes and folders are the owner's to end. */
void localnet_free(struct localnet *net);

/* Its number among all nodes, supernodes first. */
uint32_t localnet_index(const struct localnet *net, const struct localnet_node *node);

/* The most bytes that its process ever had resident; 0 when it does not run. */
uint64_t localnet_memory_max(const struct localnet_node *node);

/* Start a node, also one that ran before, and wait until it takes commands; */
MUST_CHECK enum err localnet_start(struct localnet *net, struct localnet_node *node);
/* ... or do not wait; */
MUST_CHECK enum err localnet_launch(struct localnet *net, struct localnet_node *node);
/* ... and wait later. */
MUST_CHECK enum err localnet_await(struct localnet *net, struct localnet_node *node);

/* Stop a node as a person would (SIGTERM), or as a power cut (SIGKILL). */
void localnet_stop(struct localnet_node *node);
void localnet_cut(struct localnet_node *node);

/* Stop all nodes at once, peers first; return how many had to be killed or ended with an
 * error; net->trouble tells of the last one. */
uint32_t localnet_stop_all(struct localnet *net);

/* Wait until every running supernode is linked to every other one, and every running peer has its
 * parents, which index every file in its folder. */
MUST_CHECK enum err localnet_settle(struct localnet *net, int timeout_ms);

/* Run a command against a node and return what it printed with --json as an array of objects,
 * which the caller releases with json_decref; `words` ends with NULL. ERR_REFUSED when the command
 * failed (net->trouble says what it said), ERR_FORMAT when it printed something else. */
MUST_CHECK enum err localnet_ask(struct localnet *net, const struct localnet_node *node,
                                 const char *const *words, int timeout_ms, json_t **answer);

/* Start the same command and read its lines one by one (process_line). */
MUST_CHECK enum err localnet_command(struct localnet *net, const struct localnet_node *node,
                                     const char *const *words, struct process **process);

/* The first object of that kind in an answer, or NULL. */
const json_t *localnet_find(const json_t *answer, const char *kind);

/* How many entries a folder has whose names do not begin with a dot. */
uint32_t localnet_entries(const char *folder);

/* How many supernodes hold the list of the peer whose status this is. */
uint32_t localnet_parents(const json_t *answer);

/* A number or a text of an object; 0 or "" when it has none. */
int64_t localnet_number(const json_t *object, const char *key);
/* Bytes that a node has sent ("out") or received ("in") over all links, from its status. */
uint64_t localnet_bytes(const json_t *status, const char *direction);
const char *localnet_text(const json_t *object, const char *key);

#endif
