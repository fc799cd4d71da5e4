/* liar_supernode.h - the supernode that a liar runs once it has a seat: it does its duty, but its
 * rows praise nobody but its accomplices. */
#ifndef TRUNKLINE_FLEET_LIAR_SUPERNODE_H
#define TRUNKLINE_FLEET_LIAR_SUPERNODE_H

/* Where its environment names the file with the keys of its accomplices, 32 bytes each. */
#define LIAR_ACCOMPLICES "TRUNKLINE_ACCOMPLICES"

/* Run `lab liar run ...`, with the options of `supernode run`; argv[0] is "liar". A fleet of liars
 * starts it. Returns the exit status. */
int liar_supernode_run(int argc, char *const *argv);

#endif
