/* elect_people.c - sessions, lines and consent of a simulated network's people. */
#include "src/lab/elect_people.h"

#include <math.h>
#include <stdlib.h>

#include "common/mem.h"

#define POWER_EXPONENT 1.0607
#define POWER_FROM_S 2687.0 /* where the published tail reaches 1 */
#define SESSION_S_MAX (7 * 86400.0)
#define WEIBULL_SHAPE 0.5
#define WEIBULL_SCALE_S 5000.0 /* mean 10,000 s */
#define SETTLE_S (4 * 86400)   /* of going and coming before the network begins */
#define RATE_MEDIAN 100e3      /* bytes per second, log-normal ... */
#define RATE_SIGMA 1.0
#define LINE_RATE_MIN 8e3
#define LINE_RATE_MAX 12.5e6
#define CONSENT_PERCENT 40
#define REACHABLE_PERCENT 60
#define LEAF_RATE 400 /* bytes per second that a leaf costs its supernode */
#define SLOTS_MIN 20
#define SLOTS_MAX 300
#define ANCHOR_RATE 2000000
#define FORGED_SLOTS 150
#define CHASED_PERCENT 5 /* of the identities have the line */

double elect_uniform(struct rng *rng) {
    return (double)(rng_u64(rng) >> 11) / (double)(1ULL << 53);
}

static int64_t draw_span_s(struct people *people) {
    double chance = 1 - elect_uniform(&people->rng);
    double span = people->config->churn == ELECT_AQUALAB
                      ? POWER_FROM_S * pow(chance, -1 / POWER_EXPONENT)
                      : WEIBULL_SCALE_S * pow(-log(chance), 1 / WEIBULL_SHAPE);
    return 1 + (int64_t)(span < SESSION_S_MAX ? span : SESSION_S_MAX);
}

static uint64_t draw_rate(struct rng *rng) {
    double radius = sqrt(-2 * log(1 - elect_uniform(rng)));
    double normal = radius * cos(2 * 3.141592653589793 * elect_uniform(rng));
    double rate = RATE_MEDIAN * exp(RATE_SIGMA * normal);
    return (uint64_t)(rate < LINE_RATE_MIN   ? LINE_RATE_MIN
                      : rate > LINE_RATE_MAX ? LINE_RATE_MAX
                                             : rate);
}

static void person_init(struct people *people, struct person *person, uint32_t place) {
    *person = (struct person){.changed_s = INT64_MIN, .since_s = -SETTLE_S};
    rng_fill(&people->rng, person->id.b, sizeof person->id.b);
    person->is_anchor = place < people->config->anchors;
    person->is_forged = place >= people->honest;
    uint64_t consent = rng_below(&people->rng, 100), reach = rng_below(&people->rng, 100);
    uint64_t rate = draw_rate(&people->rng);
    person->consents = consent < CONSENT_PERCENT;
    person->accepts_links = reach < REACHABLE_PERCENT;
    person->rate = rate;
    if (person->is_anchor || person->is_forged) { /* always there */
        person->consents = person->accepts_links = person->is_online = true;
        person->rate = person->is_anchor ? ANCHOR_RATE : 0;
        person->turns_s = INT64_MAX;
        person->since_s = person->is_anchor ? -SETTLE_S : 0;
        person->mean_s = SETTLE_S;
        person->is_member = person->is_anchor;
        return;
    }
    person->is_online = place % 2 == 0;
    person->turns_s = -SETTLE_S + draw_span_s(people);
    person->mean_s = draw_span_s(people);
}

void people_init(struct people *people, const struct elect_config *config) {
    *people = (struct people){.config = config};
    rng_seed(&people->rng, config->seed);
    people->honest = config->anchors + 2 * config->nodes; /* half of them are there */
    people->count = people->honest + config->identities;
    people->list = mem_array(people->count, sizeof *people->list);
    for (uint32_t i = 0; i < people->count; i++) {
        person_init(people, &people->list[i], i);
    }
    people_churn(people, 0);
}

void people_free(struct people *people) {
    mem_free(people->list);
}

void people_churn(struct people *people, int64_t now_s) {
    for (uint32_t i = 0; i < people->count; i++) {
        struct person *person = &people->list[i];
        person->has_left = false;
        while (person->turns_s <= now_s) {
            if (person->is_online) {
                person->mean_s += (person->turns_s - person->since_s - person->mean_s) / 4;
                person->has_left = true;
            }
            person->is_online = !person->is_online;
            person->since_s = person->turns_s;
            person->turns_s += draw_span_s(people);
        }
    }
}

bool person_is_candidate(const struct person *person) {
    return person->is_online && person->consents && person->accepts_links;
}

uint32_t person_slots(const struct person *person) {
    uint64_t slots = person->is_forged ? FORGED_SLOTS : person->rate / LEAF_RATE;
    return (uint32_t)(slots < SLOTS_MIN ? SLOTS_MIN : slots > SLOTS_MAX ? SLOTS_MAX : slots);
}

static int compare_numbers(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The number that so many identities are at or below. */
static uint64_t low_number(const uint64_t *numbers, uint32_t count, uint32_t wanted) {
    uint64_t *sorted = mem_copy(numbers, count * sizeof *numbers);
    qsort(sorted, count, sizeof *sorted, compare_numbers);
    uint64_t limit = sorted[wanted - 1];
    mem_free(sorted);
    return limit;
}

void people_share_line(struct people *people, const uint64_t *numbers) {
    const struct elect_config *config = people->config;
    if (config->identities == 0) {
        return;
    }
    double honest = 0;
    for (uint32_t i = config->anchors; i < people->honest; i++) {
        honest += person_is_candidate(&people->list[i]) ? (double)people->list[i].rate : 0;
    }
    double share = config->share_percent / 100.0;
    double line = share < 1 ? honest * share / (1 - share) : honest;
    uint32_t used = config->identities;
    uint64_t limit = UINT64_MAX;
    if ((config->attack & ELECT_CHASE) != 0) {
        used = used * CHASED_PERCENT / 100 > 0 ? used * CHASED_PERCENT / 100 : 1;
        limit = low_number(numbers, config->identities, used);
    }
    for (uint32_t i = 0; i < config->identities; i++) {
        people->list[people->honest + i].rate = numbers[i] <= limit ? (uint64_t)(line / used) : 0;
    }
}
