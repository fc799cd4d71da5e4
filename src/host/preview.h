/* preview.h - shows what of a folder would be shared, before anything is. */
#ifndef TRUNKLINE_HOST_PREVIEW_H
#define TRUNKLINE_HOST_PREVIEW_H

#include "src/host/cli.h"
#include "src/host/shares.h"

/* Walk through a checked folder, print how much would be shared, some of it, and what is left out;
 * on a terminal ask whether to go on. False when not: because of --dry-run, of the answer, or of
 * an error, which *error then has. */
bool preview_share(struct cli *cli, const struct share *share, struct host_error *error);

/* On a terminal, before a peer runs that has never registered anything: the same of all its folders
 * that have files, without asking, since they were named by an option or before. */
void preview_first(const struct cli *cli, const struct shares *shares);

#endif
