/* elect_world.c - epochs of a simulated network: measure, decide, sign, and count. */
#include "src/lab/elect_world.h"

#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "src/lab/elect_measure.h"
#include "src/sim/sim.h"

#define PARENTS 2           /* of a leaf */
#define UPTIME_MIN_EPOCHS 2 /* that supernodes have seen a candidate */
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
    struct network network;
    struct beacon beacons[SEATS_TERM_EPOCHS];
    uint32_t known; /* beacons */
    uint32_t epoch; /* warm-up included, from 1 */
    int64_t now_s;
    uint32_t wanted;
    uint64_t slots; /* of the supernodes */
    uint64_t used;
    uint32_t leaves;
    struct policy_node *nodes; /* as the policy sees them */
    struct policy_decision *decisions;
    uint32_t *persons; /* whom nodes[i] is about */
    uint32_t count;
    struct node_id *set; /* the members of the last checkpoint, */
    uint32_t *set_persons;
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

static bool is_gated(const struct world *world, const struct person *person) {
    int64_t age_s = world->now_s - person->since_s, epoch_s = world->config->epoch_s;
    return person_is_candidate(person) && age_s >= UPTIME_MIN_EPOCHS * epoch_s &&
           (world->figures.members < SEATS_COMMITTEE || age_s >= world->config->key_age * epoch_s);
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

static uint64_t note_mass(const struct world *world, struct person *person) {
    memmove(person->masses + 1, person->masses, sizeof person->masses - sizeof *person->masses);
    person->masses[0] = (struct seats_mass){world->epoch, person->mass};
    person->noted += person->noted < SEATS_HISTORY;
    return seats_counts(&person->id, person->masses, person->noted);
}

static void list_nodes(struct world *world) {
    world->count = 0;
    world->figures.candidates = 0;
    for (uint32_t i = 0; i < world->people.count; i++) {
        struct person *person = &world->people.list[i];
        if (!person_is_candidate(person)) {
            continue;
        }
        bool has_changed = person->changed_s != INT64_MIN;
        int64_t role_s = has_changed ? world->now_s - person->changed_s : UINT32_MAX;
        uint64_t mass = note_mass(world, person);
        uint32_t slots = person_slots(person);
        world->persons[world->count] = i;
        struct policy_node *node = &world->nodes[world->count++];
        *node = (struct policy_node){
            .id = person->id,
            .is_anchor = person->is_anchor,
            .is_member = person->is_member,
            .consents = true,
            .is_gated = is_gated(world, person),
            .mass = mass,
            .measured_rate = person->measured,
            .witnessed_s = (uint32_t)(world->now_s - person->since_s),
            .role_s = (uint32_t)role_s,
            .claimed = claims_of(world, person),
            .slots = slots,
            .leaves = world->slots > 0 ? (uint32_t)(world->used * slots / world->slots) : 0};
        world->figures.candidates += node->is_gated && !node->is_member;
    }
}

/* ---- Signatures ---- */

static void change_role(struct world *world, struct person *person, bool by_decision) {
    bool is_soon = person->changed_s != INT64_MIN &&
                   world->now_s - person->changed_s < (int64_t)world->config->dwell_s;
    world->figures.flaps += by_decision && is_soon;
    person->is_member = !person->is_member;
    person->changed_s = world->now_s;
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
            change_role(world, person, false);
        }
        person->is_captured = person->has_refused = false;
        if (person->is_member) {
            world->set[world->set_count] = person->id;
            world->set_persons[world->set_count++] = i;
        }
    }
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
        struct person *signer = &world->people.list[world->set_persons[places[i]]];
        bool is_there = signer->is_online && !(signer->is_anchor && anchors_are_away(world));
        bool is_liar = signer->is_forged && (world->config->attack & ELECT_SIGN_OWN) != 0;
        bool signs = is_there && (is_liar ? subject->is_forged : is_favoured);
        signer->has_refused = signer->has_refused || (is_there && is_favoured && !signs);
        signatures += signs;
        has_anchor = has_anchor || (signs && signer->is_anchor);
    }
    return seats_quorum_is_met(&quorum, signatures, has_anchor);
}

static void promote(struct world *world, struct person *person, bool is_favoured) {
    if (is_signed(world, person, is_favoured)) {
        world->figures.promoted += is_favoured;
        world->figures.captured += !is_favoured;
        person->is_captured = !is_favoured;
        change_role(world, person, is_favoured);
        person->signed_until = world->epoch + CERT_VALID_EPOCHS;
    } else {
        world->figures.blocked += is_favoured;
    }
}

/* ---- One epoch ---- */

/* Those who went away, or whose certificate ended, are supernodes no longer. */
static void lose_members(struct world *world) {
    for (uint32_t i = 0; i < world->people.count; i++) {
        struct person *person = &world->people.list[i];
        bool is_over = !person->is_anchor && world->epoch > person->signed_until;
        if (person->is_member && (person->has_left || is_over)) {
            world->figures.left += person->has_left;
            world->figures.expired += !person->has_left;
            change_role(world, person, false);
        }
    }
}

static void carry_out(struct world *world) {
    for (uint32_t i = 0; i < world->count; i++) {
        struct person *person = &world->people.list[world->persons[i]];
        enum policy_verdict verdict = world->decisions[i].verdict;
        if (verdict == POLICY_PROMOTE) {
            promote(world, person, true);
        } else if (verdict == POLICY_DEMOTE) {
            world->figures.demoted++;
            change_role(world, person, true);
        } else if (person->is_member && !person->is_anchor) {
            bool is_due = world->epoch + CERT_VALID_EPOCHS >= person->signed_until + RENEW_EPOCHS;
            if (is_due && is_signed(world, person, true)) {
                person->signed_until = world->epoch + CERT_VALID_EPOCHS;
            }
        } else if (person->is_forged && world->nodes[i].is_gated &&
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

static void step(struct world *world) {
    const struct elect_config *config = world->config;
    world->epoch++;
    world->now_s += config->epoch_s;
    world->figures = (struct elect_epoch){.epoch = world->epoch - 1 - config->warm_up};
    people_churn(&world->people, world->now_s);
    lose_members(world);
    share_line(world);
    elect_measure(&world->people);
    note_bandwidth(world);
    if (!anchors_are_away(world)) {
        set_checkpoint(world);
    }
    count_layer(world);
    list_nodes(world);
    struct policy_view view = {.crypto = world->crypto,
                               .beacons = {world->beacons, world->known},
                               .epoch_s = config->epoch_s,
                               .dwell_s = config->dwell_s,
                               .members = world->figures.members,
                               .wanted = world->wanted,
                               .slots = world->slots,
                               .used = world->used,
                               .is_frozen = anchors_are_away(world)};
    world->wanted =
        policy_decide(config->policy, &view, world->nodes, world->count, world->decisions);
    carry_out(world);
    uint32_t candidates = world->figures.candidates;
    count_layer(world);
    world->figures.candidates = candidates;
    world->figures.wanted = world->wanted;
    world->figures.is_frozen = anchors_are_away(world);
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
    world->nodes = mem_array(count, sizeof *world->nodes);
    world->decisions = mem_array(count, sizeof *world->decisions);
    world->persons = mem_array(count, sizeof *world->persons);
    world->set = mem_array(count, sizeof *world->set);
    world->set_persons = mem_array(count, sizeof *world->set_persons);
    certify_first(world);
}

static void world_free(struct world *world) {
    people_free(&world->people);
    mem_free(world->nodes);
    mem_free(world->decisions);
    mem_free(world->persons);
    mem_free(world->set);
    mem_free(world->set_persons);
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
