/* hostile.h - supernodes of a simulated network that do not play by the rules of the flood. */
#ifndef TRUNKLINE_TESTS_SIM_HOSTILE_H
#define TRUNKLINE_TESTS_SIM_HOSTILE_H

#include "common/node.h"

enum hostile_manner {
    HOSTILE_POISONER, /* tells a summary that has every word, and so claims every query */
    HOSTILE_FORGER    /* sends each copy twice, with answers to what nobody asked it */
};

/* Turn a supernode into one of these; the node returned owns the one given. */
struct node hostile_new(struct node supernode, const struct node_env *env,
                        enum hostile_manner manner);

#endif
