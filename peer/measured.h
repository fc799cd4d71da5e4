/* measured.h - a candidate shows supernodes what its line carries: sends them what they ask for. */
#ifndef TRUNKLINE_PEER_MEASURED_H
#define TRUNKLINE_PEER_MEASURED_H

#include "common/links.h"

struct peer;

/* Whether to welcome such a link. */
enum err measured_admit(struct peer *peer, const struct link *link, const struct hello *hello,
                        struct goaway *goaway);
void measured_opened(struct peer *peer, struct link *link);
void measured_closed(struct peer *peer, struct link *link);
enum err measured_take(struct peer *peer, struct link *link, struct slice payload);
enum err measured_take_hashes_request(struct peer *peer, struct link *link, struct slice payload);
enum err measured_take_blocks(struct peer *peer, struct link *link, struct slice payload);
/* A block has left, or could not be read. */
void measured_block_done(struct peer *peer, struct link *link);
/* The link stalls, or takes more again. */
void measured_flow(struct peer *peer, struct link *link);
/* TIMER_MEASURE. */
void measured_timer(struct peer *peer);
/* End every such link: nothing more is given. */
void measured_stop(struct peer *peer);
/* Also those of links that are still there. */
void measured_free(struct peer *peer);

#endif
