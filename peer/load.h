/* load.h - tells the parents how many upload slots are free, and how many wait for one. */
#ifndef TRUNKLINE_PEER_LOAD_H
#define TRUNKLINE_PEER_LOAD_H

struct parent;
struct peer;

/* A list is offered to a parent: tell it, too, unless it was told on this link, or the list is
 * empty, and it names us to nobody. */
void load_tell_first(struct peer *peer, struct parent *parent);
/* Tell every parent that was last told something else, none more often than once in LOAD_EVERY_MS:
 * what must wait for that sets TIMER_SERVE. */
void load_tell(struct peer *peer);

#endif
