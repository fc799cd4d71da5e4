/* elect_measure.c - drawn slots, rows and masses of one simulated epoch. */
#include "src/lab/elect_measure.h"

#include "common/check.h"
#include "common/mem.h"
#include "common/rank.h"
#include "common/wire_trust.h"

#define NOISE_PERCENT 15 /* of a measurement, either way */
#define OPINIONS 8       /* of everybody, where a policy counts them */

/* One supernode's row. */
struct draft {
    uint32_t issuer; /* person */
    uint32_t to[ROW_ENTRIES_MAX];
    double bytes[ROW_ENTRIES_MAX];
    uint32_t count;
};

struct slot {
    struct people *people;
    uint32_t *subjects; /* persons */
    uint32_t subject_count;
    struct draft *drafts;
    uint32_t draft_count;
};

static bool is_measured(const struct person *person) {
    return !person->is_anchor && person_is_candidate(person);
}

static void gather(struct slot *slot) {
    struct people *people = slot->people;
    for (uint32_t i = 0; i < people->count; i++) {
        struct person *person = &people->list[i];
        person->measured = 0;
        person->mass = 0;
        if (is_measured(person)) {
            slot->subjects[slot->subject_count++] = i;
        }
        if (person->is_member && person->is_online) {
            slot->drafts[slot->draft_count++].issuer = i;
        }
    }
}

static void shuffle(struct rng *rng, uint32_t *values, uint32_t count) {
    for (uint32_t i = count; i > 1; i--) {
        uint64_t at = rng_below(rng, i);
        uint32_t value = values[at];
        values[at] = values[i - 1];
        values[i - 1] = value;
    }
}

/* One measurement: a part of the subject's line, more or less. */
static void measure(struct slot *slot, struct draft *draft, uint32_t subject, double part) {
    struct person *person = &slot->people->list[subject];
    double noise = 1 + NOISE_PERCENT / 100.0 * (2 * elect_uniform(&slot->people->rng) - 1);
    double bytes = (double)person->rate * part * noise;
    person->measured += (uint64_t)bytes;
    bool lies = slot->people->list[draft->issuer].is_forged &&
                (slot->people->config->attack & ELECT_BUY_ROWS) != 0;
    if (!lies && bytes >= 1) {
        draft->to[draft->count] = subject;
        draft->bytes[draft->count++] = bytes;
    }
}

/* Deal the subjects round the supernodes, so that all rows are of about one length: first as many
 * to each anchor as fit, since their rows weigh most, then to all. */
static void deal(struct slot *slot) {
    uint32_t entries = slot->draft_count * ROW_ENTRIES_MAX;
    uint32_t measurers = slot->subject_count > 0 ? entries / slot->subject_count : 0;
    measurers = measurers > MEASURERS ? MEASURERS : measurers;
    measurers = measurers > slot->draft_count ? slot->draft_count : measurers;
    measurers = measurers < 1 ? 1 : measurers;
    uint32_t next = 0;
    for (uint32_t round = 0; round < measurers; round++) {
        shuffle(&slot->people->rng, slot->subjects, slot->subject_count);
        for (uint32_t i = 0; i < slot->subject_count; i++) {
            uint32_t tries = 0;
            while (tries < slot->draft_count &&
                   slot->drafts[next % slot->draft_count].count >= ROW_ENTRIES_MAX) {
                next++;
                tries++;
            }
            if (tries == slot->draft_count) {
                return;
            }
            measure(slot, &slot->drafts[next++ % slot->draft_count], slot->subjects[i],
                    1.0 / measurers);
        }
    }
}

/* A forged supernode that sells its row: all of it to the attacker's own, in equal parts. */
static void sell(struct slot *slot, struct draft *draft) {
    struct people *people = slot->people;
    uint32_t identities = people->config->identities;
    for (uint32_t i = 0; i < identities && i < ROW_ENTRIES_MAX; i++) {
        uint64_t place = rng_below(&people->rng, identities);
        draft->to[draft->count] = people->honest + (uint32_t)place;
        draft->bytes[draft->count++] = 1;
    }
}

static void set_row(struct rank *rank, const uint32_t *indices, const struct draft *draft) {
    uint32_t to[ROW_ENTRIES_MAX];
    uint16_t weights[ROW_ENTRIES_MAX];
    double sum = 0;
    for (uint32_t i = 0; i < draft->count; i++) {
        sum += draft->bytes[i];
    }
    for (uint32_t i = 0; i < draft->count; i++) {
        to[i] = indices[draft->to[i]];
        weights[i] = (uint16_t)(ROW_WEIGHT_SUM * draft->bytes[i] / sum);
    }
    CHECK(rank_row(rank, indices[draft->issuer], to, weights, draft->count) == OK);
}

/* Where everybody's opinion counts: those who are no supernodes praise some who served them well,
 * and forged identities each other. */
static void add_opinions(struct slot *slot, struct rank *rank, const uint32_t *indices) {
    struct people *people = slot->people;
    for (uint32_t i = 0; i < people->count && slot->subject_count > 0; i++) {
        const struct person *person = &people->list[i];
        struct draft draft = {.issuer = i};
        bool lies = person->is_forged && (people->config->attack & ELECT_BUY_ROWS) != 0;
        if (!person->is_online || person->is_member) {
            continue;
        }
        for (uint32_t j = 0; j < OPINIONS && !lies; j++) {
            uint32_t subject = slot->subjects[rng_below(&people->rng, slot->subject_count)];
            draft.to[draft.count] = subject;
            draft.bytes[draft.count++] = 1 + (double)people->list[subject].rate;
        }
        if (lies) {
            sell(slot, &draft);
        }
        set_row(rank, indices, &draft);
    }
}

static void rank_people(struct slot *slot, const struct policy *policy) {
    struct people *people = slot->people;
    struct rank_config config = rank_defaults(people->config->seed);
    config.teleport_milli = policy->teleport_milli;
    config.row_cap_percent = policy->row_cap_percent;
    struct rank *rank = rank_new(&config);
    uint32_t *indices = mem_array(people->count, sizeof *indices);
    for (uint32_t i = 0; i < people->count; i++) {
        const struct person *person = &people->list[i];
        bool is_named = person->is_anchor || person->is_member || person_is_candidate(person) ||
                        (policy->believes_everybody && person->is_online);
        indices[i] = is_named ? rank_node(rank, &person->id) : RANK_NONE;
        if (person->is_anchor) {
            rank_seed(rank, indices[i]);
        }
    }
    for (uint32_t i = 0; i < slot->draft_count; i++) {
        set_row(rank, indices, &slot->drafts[i]);
    }
    if (policy->believes_everybody) {
        add_opinions(slot, rank, indices);
    }
    rank_begin(rank);
    while (!rank_step(rank, UINT32_MAX)) {
    }
    for (uint32_t i = 0; i < people->count; i++) {
        people->list[i].mass = indices[i] != RANK_NONE ? rank_mass(rank, indices[i]) : 0;
    }
    rank_free(rank);
    mem_free(indices);
}

static uint32_t count_members(const struct people *people) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < people->count; i++) {
        count += people->list[i].is_member;
    }
    return count;
}

void elect_measure(struct people *people) {
    struct slot slot = {.people = people,
                        .subjects = mem_array(people->count, sizeof *slot.subjects),
                        .drafts = mem_array(count_members(people), sizeof *slot.drafts)};
    gather(&slot);
    if (slot.draft_count > 0) {
        deal(&slot);
    }
    for (uint32_t i = 0; i < slot.draft_count; i++) {
        if (people->list[slot.drafts[i].issuer].is_forged &&
            (people->config->attack & ELECT_BUY_ROWS) != 0) {
            sell(&slot, &slot.drafts[i]);
        }
    }
    if (people->config->policy->teleport_milli > 0) {
        rank_people(&slot, people->config->policy);
    }
    mem_free(slot.subjects);
    mem_free(slot.drafts);
}
