/* elect_world.c - epochs of a simulated network: measure, decide, sign, and count. */
#include "src/lab/elect_world.h"

#include <string.h>

#include "common/check.h"
#include "common/map.h"
#include "common/mem.h"
#include "src/lab/elect_measure.h"
#include "src/sim/sim.h"

#define PARENTS 2 /* of a leaf */
#define LIED_UPTIME_S (365 * 86400)
#define LIED_RATE 1000000000
#define RENEW_EPOCHS 1 /* after so many a certificate is renewed */
#define DAY_S 86400
#define MEMBERS_FIRST 20 /* who is certified by hand before the network begins, of 2,000 nodes */
#define NODES_OF_THEM 2000

struct world {
    const struct elect_config *config;
    struct people people;
    struct sim *sim; /* for its hash */
    const struct crypto *crypto;
    struct network network; /* of the sim, which nobody runs in */
    struct records *records;
    struct map places; /* id -> person, + 1 */
    struct beacon beacons[SEATS_TERM_EPOCHS];
    uint32_t known;       /* beacons */
    uint32_t epoch;       /* warm-up included, from 1 */
    uint32_t checkpoints; /* so far: certificates run on their time */
    int64_t now_s;
    uint32_t wanted;
    uint64_t slots; /* of the supernodes */
    uint64_t used;
    uint32_t leaves;
    struct node_id *set; /* the members of the last checkpoint, */
    uint32_t set_count;
    struct elect_epoch figures;
};

static bool anchors_are_away(const struct world *world) {
    uint32_t from = world->config->warm_up + world->config->away_from + 1;
    return world->epoch >= from && world->epoch < from + world->config->away;
}

/* ---- The lists that policy and committees work on ---- */

static void count_layer(struct world *world) {
    uint32_t members = 0, online = 0, forged = 0;
    world->slots = 0;
    for (uint32_t i = 0; i < world->people.count; i++) {
        const struct person *person = &world->people.list[i];
        members += person->is_member;
        forged += person->is_member && person->is_forged;
        online += person->is_online && !person->is_forged;
        world->slots += person->is_member ? person_slots(person) : 0;
    }
    world->leaves = online - (members - forged);
    uint64_t places = (uint64_t)PARENTS * world->leaves;
    world->used = places < world->slots ? places : world->slots;
    world->figures.online = online;
    world->figures.members = members;
    world->figures.forged = forged;
    world->figures.use = world->slots > 0 ? (double)world->used / (double)world->slots : 1;
    /* One place is enough to be found. */
    world->figures.homeless =
        world->leaves > world->slots ? 1 - (double)world->slots / world->leaves : 0;
}

static struct policy_claims claims_of(const struct world *world, const struct person *person) {
    uint32_t attack = person->is_forged ? world->config->attack : 0;
    int64_t uptime = person->is_online ? world->now_s - person->since_s : 0;
    struct policy_claims claims = {.up_rate = person->rate,
                                   .down_rate = 4 * person->rate,
                                   .uptime_s = (uint32_t)uptime,
                                   .mean_uptime_s = (uint32_t)person->mean_s,
                                   .accepts_links = person->accepts_links};
    if ((attack & ELECT_LIE_UPTIME) != 0) {
        claims.uptime_s = claims.mean_uptime_s = LIED_UPTIME_S;
    }
    if ((attack & ELECT_LIE_RATE) != 0) {
        claims.up_rate = claims.down_rate = LIED_RATE;
    }
    return claims;
}

static struct person *person_of(const struct world *world, const struct node_id *id) {
    uintptr_t place = (uintptr_t)map_get(&world->places, id->b);
    CHECK(place > 0);
    return &world->people.list[place - 1];
}

static void stand(struct world *world) {
    for (uint32_t i = 0; i < world->people.count; i++) {
        const struct person *person = &world->people.list[i];
        if (!person->is_anchor && person_is_candidate(person)) {
            struct policy_claims claims = claims_of(world, person);
            elect_records_candidacy(world->records, person, &claims);
        }
    }
}

/* ---- Signatures ---- */

static void change_role(struct world *world, struct person *person, bool by_decision) {
    bool is_soon = person->changed_s != INT64_MIN &&
                   world->now_s - person->changed_s < (int64_t)world->config->dwell_s;
    world->figures.flaps += by_decision && is_soon;
    person->is_member = !person->is_member;
    person->changed_s = by_decision ? world->now_s : person->changed_s; /* to go home is no flap */
}

/* Its certificate is worth nothing any more. */
static void expel(struct world *world, struct person *person, bool by_decision) {
    change_role(world, person, by_decision);
    person->signed_until = 0;
}

static void set_checkpoint(struct world *world) {
    memmove(world->beacons + 1, world->beacons, sizeof world->beacons - sizeof *world->beacons);
    world->beacons[0].epoch = world->epoch;
    rng_fill(&world->people.rng, world->beacons[0].hash.b, HASH_BYTES);
    world->known += world->known < SEATS_TERM_EPOCHS;
    world->set_count = 0;
    for (uint32_t i = 0; i < world->people.count; i++) {
        struct person *person = &world->people.list[i];
        /* The anchor knows who was to be promoted, and who was to sign for it. */
        bool is_out = person->is_captured || (person->has_refused && world->config->voting_duty);
        if (person->is_member && !person->is_anchor && is_out) {
            world->figures.expelled += !person->is_captured;
            expel(world, person, false);
        }
        person->is_captured = person->has_refused = false;
        if (person->is_member) {
            world->set[world->set_count++] = person->id;
        }
    }
    world->checkpoints++;
    elect_records_checkpoint(world->records, world->beacons, world->set, world->set_count,
                             world->wanted);
}

/* True when enough of those who may sign for a subject do. Honest ones sign for whom the decision
 * favours; the attacker's sign for his own, and for nobody else if they are told so. */
static bool is_signed(struct world *world, const struct person *subject, bool is_favoured) {
    struct quorum quorum = seats_quorum(world->set_count);
    uint32_t places[SEATS_COMMITTEE], count = 0, signatures = 0;
    bool has_anchor = false;
    struct slice set = {world->set->b, world->set_count * sizeof *world->set};
    if (quorum.is_drawn) {
        count = seats_committee(world->crypto, &world->beacons[0].hash, &subject->id, set, places);
    } else {
        for (; count < world->set_count; count++) {
            places[count] = count;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        struct person *signer = person_of(world, &world->set[places[i]]);
        bool is_there = signer->is_online && !(signer->is_anchor && anchors_are_away(world));
        bool is_liar = signer->is_forged && (world->config->attack & ELECT_SIGN_OWN) != 0;
        bool signs = is_there && (is_liar ? subject->is_forged : is_favoured);
        signer->has_refused = signer->has_refused || (is_there && is_favoured && !signs);
        has_anchor = has_anchor || (signs && signer->is_anchor);
        if (signs) {
            places[signatures++] = places[i];
        }
    }
    bool is_met = seats_quorum_is_met(&quorum, signatures, has_anchor);
    if (is_met) {
        elect_records_vote(world->records, &subject->id, places, signatures);
    }
    return is_met;
}

static void promote(struct world *world, struct person *person, bool is_favoured) {
    if (is_signed(world, person, is_favoured)) {
        world->figures.promoted += is_favoured;
        world->figures.captured += !is_favoured;
        person->is_captured = !is_favoured;
        change_role(world, person, is_favoured);
        person->signed_until = world->checkpoints + CERT_VALID_EPOCHS;
    } else {
        world->figures.blocked += is_favoured;
    }
}

/* ---- One epoch ---- */

/* It has a certificate that everybody can check; those by hand, from before elections began, end in
 * their time. */
static bool is_certified(const struct world *world, const struct person *person) {
    bool is_by_hand = person->signed_until == CERT_VALID_EPOCHS;
    return person->signed_until > 0 &&
           (is_by_hand ? world->checkpoints <= CERT_VALID_EPOCHS
                       : elect_records_is_certified(world->records, &person->id));
}

/* Who went away is no supernode; who comes back in the time of its certificate goes on as one, as
 * a peer does that starts again. Without checkpoints no certificate ends. */
static void lose_members(struct world *world) {
    for (uint32_t i = 0; i < world->people.count; i++) {
        struct person *person = &world->people.list[i];
        bool is_good = person->is_anchor || is_certified(world, person);
        if (person->is_member && (!person->is_online || !is_good)) {
            world->figures.left += !person->is_online;
            world->figures.expired += person->is_online;
            change_role(world, person, false);
        } else if (!person->is_member && person->is_online && person->signed_until > 0 && is_good) {
            world->figures.returned++;
            change_role(world, person, false);
        }
    }
}

static void carry_out(struct world *world, const struct decide *decide) {
    for (uint32_t i = 0; i < decide->count; i++) {
        const struct decide_row *row = &decide->rows[i];
        struct person *person = person_of(world, &row->id);
        world->figures.candidates += elect_records_is_gated(row) && !row->is_member;
        if (row->verdict == POLICY_PROMOTE) {
            promote(world, person, true);
        } else if (row->verdict == POLICY_DEMOTE) {
            world->figures.demoted++;
            expel(world, person, true);
        } else if (person->is_member && !person->is_anchor) {
            bool is_due =
                world->checkpoints + CERT_VALID_EPOCHS >= person->signed_until + RENEW_EPOCHS;
            if (is_due && is_signed(world, person, true)) {
                person->signed_until = world->checkpoints + CERT_VALID_EPOCHS;
            }
        } else if (person->is_forged && elect_records_is_gated(row) &&
                   (world->config->attack & ELECT_SIGN_OWN) != 0) {
            promote(world, person, false);
        }
    }
}

static void share_line(struct world *world) {
    uint32_t count = world->config->identities;
    uint64_t *numbers = mem_array(count, sizeof *numbers);
    struct beacons beacons = {world->beacons, world->known};
    for (uint32_t i = 0; i < count && world->known > 0; i++) {
        const struct person *person = &world->people.list[world->people.honest + i];
        numbers[i] = seats_number(world->crypto, &beacons, &person->id);
    }
    people_share_line(&world->people, numbers);
    mem_free(numbers);
}

static void note_bandwidth(struct world *world) {
    double all = 0, forged = 0;
    for (uint32_t i = 0; i < world->people.count; i++) {
        const struct person *person = &world->people.list[i];
        all += (double)person->measured;
        forged += person->is_forged ? (double)person->measured : 0;
    }
    world->figures.bandwidth = all > 0 ? forged / all : 0;
}

static void check_certificates(struct world *world) {
    for (uint32_t i = 0; i < world->people.count; i++) {
        const struct person *person = &world->people.list[i];
        world->figures.uncertified +=
            person->is_member && !person->is_anchor && !is_certified(world, person);
    }
}

static void step(struct world *world) {
    const struct elect_config *config = world->config;
    world->epoch++;
    world->now_s += config->epoch_s;
    world->figures = (struct elect_epoch){.epoch = world->epoch - 1 - config->warm_up};
    elect_records_advance(world->records, world->epoch);
    people_churn(&world->people, world->now_s);
    lose_members(world);
    share_line(world);
    count_layer(world);
    bool is_frozen = anchors_are_away(world);
    if (!is_frozen) {
        set_checkpoint(world);
    }
    count_layer(world);
    struct elect_load load = {world->used, world->slots};
    elect_measure(&world->people, &load, is_frozen ? NULL : world->records);
    note_bandwidth(world);
    if (!is_frozen) {
        stand(world);
        const struct decide *decide = elect_records_decide(world->records);
        world->wanted = decide->wanted;
        carry_out(world, decide);
    }
    check_certificates(world);
    count_layer(world);
    world->figures.wanted = world->wanted;
    world->figures.is_frozen = is_frozen;
}

/* ---- A run ---- */

/* Before elections begin, anchors certify by hand those who have been there for longest. */
static void certify_first(struct world *world) {
    uint32_t wanted = MEMBERS_FIRST * world->config->nodes / NODES_OF_THEM;
    for (uint32_t n = 0; n < wanted; n++) {
        struct person *oldest = NULL;
        for (uint32_t i = 0; i < world->people.honest; i++) {
            struct person *person = &world->people.list[i];
            if (person_is_candidate(person) && !person->is_member &&
                (oldest == NULL || person->since_s < oldest->since_s)) {
                oldest = person;
            }
        }
        if (oldest != NULL) {
            oldest->is_member = true;
            oldest->signed_until = CERT_VALID_EPOCHS;
        }
    }
}

static void world_init(struct world *world, const struct elect_config *config) {
    *world = (struct world){.config = config};
    world->sim = sim_new(&(struct sim_config){.seed = config->seed, .network = &world->network});
    world->crypto = sim_crypto(world->sim);
    people_init(&world->people, config);
    uint32_t count = world->people.count;
    world->set = mem_array(count, sizeof *world->set);
    world->records = elect_records_new(config, &world->people, world->crypto);
    map_init(&world->places, sizeof(struct node_id), config->seed);
    for (uint32_t i = 0; i < count; i++) {
        map_put(&world->places, world->people.list[i].id.b, (void *)((uintptr_t)i + 1));
    }
    certify_first(world);
}

static void world_free(struct world *world) {
    elect_records_free(world->records);
    map_free(&world->places);
    people_free(&world->people);
    mem_free(world->set);
    sim_free(world->sim);
}

/* What a run has come to so far. */
struct tally {
    uint32_t epochs;
    uint32_t frozen; /* of them */
    uint32_t wanted; /* before */
    int direction;   /* of its last change */
    uint32_t turns;
    uint32_t changes;
};

static void add(struct elect_result *sum, struct tally *tally, const struct elect_config *config,
                const struct elect_epoch *epoch) {
    uint32_t seats = epoch->members - config->anchors;
    double share = seats > 0 ? (double)epoch->forged / seats : 0;
    sum->members += epoch->members;
    sum->ratio += (double)epoch->online / epoch->members;
    sum->use += epoch->use;
    sum->use_min = tally->epochs == 0 || epoch->use < sum->use_min ? epoch->use : sum->use_min;
    sum->use_max = epoch->use > sum->use_max ? epoch->use : sum->use_max;
    sum->in_band += !epoch->is_frozen && epoch->use >= .2 && epoch->use <= .8;
    tally->frozen += epoch->is_frozen;
    sum->seats += share;
    sum->seats_max = share > sum->seats_max ? share : sum->seats_max;
    sum->bandwidth += epoch->bandwidth;
    sum->homeless += epoch->homeless;
    sum->homeless_max = epoch->homeless > sum->homeless_max ? epoch->homeless : sum->homeless_max;
    sum->flaps += epoch->flaps;
    sum->uncertified += epoch->uncertified;
    sum->captured += epoch->captured;
    sum->blocked += epoch->blocked;
    sum->expired += epoch->expired;
    int direction = tally->epochs == 0 || epoch->wanted == tally->wanted ? 0
                    : epoch->wanted > tally->wanted                      ? 1
                                                                         : -1;
    tally->turns += direction != 0 && tally->direction != 0 && direction != tally->direction;
    tally->direction = direction != 0 ? direction : tally->direction;
    tally->wanted = epoch->wanted;
    tally->changes += epoch->promoted + epoch->demoted;
    tally->epochs++;
}

static void divide(struct elect_result *sum, const struct tally *tally,
                   const struct elect_config *config) {
    double epochs = tally->epochs, days = epochs * config->epoch_s / DAY_S;
    sum->members /= epochs;
    sum->ratio /= epochs;
    sum->use /= epochs;
    sum->in_band /= tally->frozen < tally->epochs ? epochs - tally->frozen : 1;
    sum->seats /= epochs;
    sum->bandwidth /= epochs;
    sum->homeless /= epochs;
    sum->changes = tally->changes / sum->members / days;
    sum->turns = tally->turns / days;
}

void elect_simulate(const struct elect_config *config, struct elect_result *result,
                    void (*on_epoch)(void *context, const struct elect_epoch *epoch),
                    void *context) {
    struct world world;
    struct tally tally = {.epochs = 0};
    CHECK(config->epochs > 0 && config->anchors > 0);
    *result = (struct elect_result){.members = 0};
    world_init(&world, config);
    for (uint32_t i = 0; i < config->warm_up + config->epochs; i++) {
        step(&world);
        if (i >= config->warm_up) {
            add(result, &tally, config, &world.figures);
            if (on_epoch != NULL) {
                on_epoch(context, &world.figures);
            }
        }
    }
    divide(result, &tally, config);
    world_free(&world);
}
