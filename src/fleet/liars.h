/* liars.h - a fleet that wants to be supernodes and lies about itself: many identities behind one
 * line, forged claims, supernodes that praise each other; and what became of it, by the evidence
 * of an anchor. */
#ifndef TRUNKLINE_FLEET_LIARS_H
#define TRUNKLINE_FLEET_LIARS_H

#include "peer/peer.h"
#include "src/fleet/liar_node.h"
#include "src/host/config.h"
#include "src/host/host.h"

struct liars_config {
    uint64_t line;       /* bytes per second, of all together */
    uint32_t identities; /* at most */
    const char *dir;     /* of the fleet */
    const char *network; /* the network's file */
    const char *watch;   /* the state folder of an anchor; NULL = nothing is looked up */
    const struct network *rules;
    bool json;
};

struct liars;

/* Borrows the configuration's texts and rules. NULL when its folder cannot be written. */
struct liars *liars_new(const struct liars_config *config);
void liars_free(struct liars *liars);

/* Make a peer that is about to be added one of them. *config and *role are changed; both are
 * borrowed until it has been added. */
void liars_enlist(struct liars *liars, struct host_node_config *config, struct liar_role *role);

/* Every second: print a line for each epoch whose checkpoint has come since:
 *
 *     {"kind":"seats","epoch":178,"elected":11,"liars":1,"named":700,"liars_named":590,
 *      "bytes":8123904,"liar_bytes":812000}
 *
 * where `elected` counts the members that are no anchors, `named` the streams of which honest
 * supernodes measured anything in that epoch, and bytes what came on them. */
void liars_look(struct liars *liars);

#endif
