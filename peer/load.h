/* load.h - tells the parents how many upload slots are free, and how many wait for one. */
#ifndef TRUNKLINE_PEER_LOAD_H
#define TRUNKLINE_PEER_LOAD_H

struct peer;

/* Tell every parent that has our list and was last told something else, none more often than once
 * in LOAD_EVERY_MS: what must wait for that sets TIMER_SERVE. */
void load_tell(struct peer *peer);

#endif
