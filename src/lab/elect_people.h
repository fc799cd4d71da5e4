/* elect_people.h - who lives in a simulated network: sessions, lines, consent, and an attacker with
 * many identities behind one line. */
#ifndef TRUNKLINE_LAB_ELECT_PEOPLE_H
#define TRUNKLINE_LAB_ELECT_PEOPLE_H

#include "common/policy.h"
#include "common/rng.h"

/* How long sessions, and the times between them, are. */
enum elect_churn {
    ELECT_AQUALAB, /* power law of Bustamante and Qiao (ToN 2007): P(> T) = 4338.8 T^-1.0607 */
    ELECT_WEIBULL, /* k = 0.5, mean 10,000 s: OverSim's model of Kad */
};

/* What an attacker does beside serving with his line, as flags. */
#define ELECT_LIE_UPTIME 1 /* says that his identities have been up for a year */
#define ELECT_LIE_RATE 2   /* says that each has a line of 1 GB/s */
#define ELECT_BUY_ROWS 4   /* his supernodes measure his identities alone; all praise each other */
#define ELECT_CHASE 8      /* gives his line to the identities whose numbers turned out well */
#define ELECT_SIGN_OWN 16  /* his supernodes sign for his identities, and for nobody else's */

struct elect_config {
    uint64_t seed;
    uint32_t nodes; /* online on average */
    uint32_t anchors;
    uint32_t epochs;
    uint32_t warm_up; /* epochs before them that are not counted */
    uint32_t epoch_s;
    uint32_t dwell_s; /* within which nobody changes his role twice */
    enum elect_churn churn;
    const struct policy *policy;
    uint32_t share_percent; /* of the candidates' bandwidth, that the attacker has */
    uint32_t identities;    /* of the attacker; 0 = there is none */
    uint32_t attack;        /* ELECT_* */
    uint32_t key_age;       /* epochs, once there are SEATS_COMMITTEE supernodes */
    bool voting_duty;       /* who did not sign what he should have loses his seat */
    uint32_t away_from;     /* counted epoch at which the anchors go away ... */
    uint32_t away;          /* ... for so many; 0 = never */
};

struct person {
    struct node_id id;
    bool is_anchor;
    bool is_forged; /* an identity of the attacker */
    bool is_online;
    bool consents;
    bool accepts_links;
    bool is_member;
    bool has_left;     /* since the epoch before, if only for a moment */
    bool has_refused;  /* to sign, in this epoch */
    bool is_captured;  /* a member by a captured committee, until the next checkpoint */
    uint64_t rate;     /* bytes per second, upward; of forged ones this epoch's part of the line */
    int64_t turns_s;   /* when it goes or comes */
    int64_t since_s;   /* of this session, or the time away */
    int64_t mean_s;    /* of its sessions so far */
    int64_t changed_s; /* its role */
    uint32_t signed_until; /* its certificate, in checkpoints; 0 = it has none that is good */
    uint64_t measured;     /* bytes per second, this epoch */
};

struct people {
    struct person *list; /* anchors first, then honest people, then forged identities */
    uint32_t count;
    uint32_t honest; /* anchors included */
    const struct elect_config *config;
    struct rng rng;
};

void people_init(struct people *people, const struct elect_config *config);
void people_free(struct people *people);

/* Let everybody go and come until `now_s`. */
void people_churn(struct people *people, int64_t now_s);

/* True when it may be measured: it consents, is online and reachable. */
bool person_is_candidate(const struct person *person);

/* How many leaves it takes as a supernode. */
uint32_t person_slots(const struct person *person);

/* Share the attacker's line among his identities, so that he has his part of the bandwidth of all
 * candidates; `numbers` tells him theirs when he chases them, one per identity. */
void people_share_line(struct people *people, const uint64_t *numbers);

double elect_uniform(struct rng *rng);

#endif
