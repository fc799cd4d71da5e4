/* elect_world.h - one simulated network that elects its supernodes epoch by epoch, with the code
 * that real ones use: common/decide.h over their records, seats.h and policy.h. */
#ifndef TRUNKLINE_LAB_ELECT_WORLD_H
#define TRUNKLINE_LAB_ELECT_WORLD_H

#include "src/lab/elect_people.h"

/* What one epoch left behind. */
struct elect_epoch {
    uint32_t epoch; /* counted ones from 0 */
    uint32_t online;
    uint32_t candidates; /* that pass the gate, supernodes not included */
    uint32_t members;    /* anchors included */
    uint32_t wanted;
    uint32_t forged; /* supernodes of the attacker */
    uint32_t promoted;
    uint32_t demoted;     /* by decision */
    uint32_t left;        /* went away */
    uint32_t returned;    /* came back in the time of their certificates */
    uint32_t expired;     /* certificates that nobody renewed */
    uint32_t expelled;    /* who had not signed what they should have */
    uint32_t blocked;     /* promotions without a quorum */
    uint32_t captured;    /* identities of the attacker that their committees sign for: at least the
                             quorum of them are his */
    uint32_t uncertified; /* supernodes whose certificates nobody could check */
    uint32_t flaps;       /* second changes of role within the dwell time, by decision */
    bool is_frozen;       /* no anchor was there */
    double use;           /* leaves' places taken, of all that there are */
    double homeless;      /* part of the leaves that find no supernode */
    double bandwidth;     /* the attacker's part of what was measured */
};

/* What a run comes to; means over the counted epochs. */
struct elect_result {
    double members;
    double ratio; /* nodes online per supernode */
    double use, use_min, use_max;
    double in_band; /* part of the epochs with an anchor in which the use was 20 to 80 % */
    double seats;   /* the attacker's part, of those that are not anchors' */
    double seats_max;
    double bandwidth;
    double homeless, homeless_max;
    double changes; /* promotions and demotions by decision, per supernode and day */
    double turns;   /* of `wanted`, from growing to shrinking and back, per day */
    uint32_t flaps;
    uint32_t uncertified;
    uint32_t captured;
    uint32_t blocked;
    uint32_t expired;
};

/* Run one network; `on_epoch` may be NULL. */
void elect_simulate(const struct elect_config *config, struct elect_result *result,
                    void (*on_epoch)(void *context, const struct elect_epoch *epoch),
                    void *context);

#endif
