/* listing.h - shows others what is shared, a page at a time. */
#ifndef TRUNKLINE_PEER_LISTING_H
#define TRUNKLINE_PEER_LISTING_H

#include "common/links.h"

struct peer;

enum err listing_take_browse(struct peer *peer, struct link *link, struct slice payload);
void listing_free(struct peer *peer);

#endif
