/* throttle.h - lets bytes through at the rates that are set, by direction and by class.
 *
 * Every byte of every link is drawn from two buckets: that of its direction and that of its class
 * in it. A bucket may be overdrawn by what was let through last, and lets nothing more through
 * until that has come back: so the sum over any time is exact but for one chunk and one burst.
 * What keeps the overlay together goes first: it may overdraw the direction's bucket by a
 * quarter of a second's worth, which files then wait for. */
#ifndef TRUNKLINE_COMMON_THROTTLE_H
#define TRUNKLINE_COMMON_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

enum traffic_class { TRAFFIC_OVERLAY, TRAFFIC_FILES, TRAFFICS };
enum direction { DIRECTION_OUT, DIRECTION_IN, DIRECTIONS };

/* All zero is one without a limit. */
struct bucket {
    uint64_t rate; /* bytes per second; 0 = unlimited */
    int64_t level; /* millionths of a byte; below zero: overdrawn */
    uint64_t at_us;
};

struct throttle {
    struct bucket all[DIRECTIONS];
    struct bucket of[DIRECTIONS][TRAFFICS];
};

/* Set a bucket's rate; it is full when it had none. */
void bucket_set(struct bucket *bucket, uint64_t rate, uint64_t now_us);

/* True when a limit applies to this kind of traffic. */
bool throttle_is_limited(const struct throttle *throttle, enum direction direction,
                         enum traffic_class traffic);

/* How many bytes may go in one piece: a twentieth of a second's worth, and at least a packet. */
uint32_t throttle_chunk(const struct throttle *throttle, enum direction direction,
                        enum traffic_class traffic, uint32_t most);

/* Microseconds until a chunk may go; 0 = now. */
uint64_t throttle_wait(const struct throttle *throttle, enum direction direction,
                       enum traffic_class traffic, uint64_t now_us);

/* So many bytes went, whether they should have or not. */
void throttle_draw(struct throttle *throttle, enum direction direction, enum traffic_class traffic,
                   uint64_t bytes, uint64_t now_us);

#endif
