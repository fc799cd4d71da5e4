/* measure.h - a candidate shows supernodes what its line carries: sends them what they ask for. */
#ifndef TRUNKLINE_PEER_MEASURE_H
#define TRUNKLINE_PEER_MEASURE_H

#include "common/links.h"

struct peer;

/* Whether to welcome such a link. */
enum err measure_admit(struct peer *peer, const struct link *link, const struct hello *hello,
                       struct goaway *goaway);
void measure_opened(struct peer *peer, struct link *link);
void measure_closed(struct peer *peer, struct link *link);
enum err measure_take(struct peer *peer, struct link *link, struct slice payload);
/* The link stalls, or takes more again. */
void measure_flow(struct peer *peer, struct link *link);
/* TIMER_MEASURE. */
void measure_timer(struct peer *peer);
/* End every such link: nothing more is given. */
void measure_stop(struct peer *peer);
/* Also those of links that are still there. */
void measure_free(struct peer *peer);

#endif
