/* elect_measure.c - drawn slots and rows of one simulated epoch. */
#include "src/lab/elect_measure.h"

#include "common/check.h"
#include "common/limits.h"
#include "common/mem.h"

#define NOISE_PERCENT 15 /* of a measurement, either way */

/* One supernode's row. */
struct draft {
    uint32_t issuer;              /* person */
    uint32_t to[ROW_ENTRIES_MAX]; /* persons */
    double bytes[ROW_ENTRIES_MAX];
    uint32_t count;
    uint32_t drawn; /* to it, as many as are measured or more */
};

struct slot {
    struct people *people;
    struct draft *drafts;
    uint32_t count;
    uint32_t *streams; /* by person: how many measure it */
};

static bool is_measured(const struct person *person) {
    return !person->is_anchor && person_is_candidate(person);
}

/* A supernode measures as many as a row has room for, of those drawn to it, whichever they are. */
static void draw_to(struct slot *slot, struct draft *draft, uint32_t subject) {
    uint64_t place = draft->drawn < ROW_ENTRIES_MAX
                         ? draft->drawn
                         : rng_below(&slot->people->rng, draft->drawn + 1);
    draft->drawn++;
    if (place < ROW_ENTRIES_MAX) {
        draft->to[place] = subject;
        draft->count += draft->count < ROW_ENTRIES_MAX;
    }
}

/* Each subject to MEASURERS supernodes, itself not among them. */
static void draw(struct slot *slot, uint32_t subject) {
    uint32_t chosen[MEASURERS];
    uint32_t count = 0;
    bool is_one = slot->people->list[subject].is_member;
    uint32_t others = slot->count - is_one;
    while (count < MEASURERS && count < others) {
        uint32_t at = (uint32_t)rng_below(&slot->people->rng, slot->count);
        bool is_new = slot->drafts[at].issuer != subject;
        for (uint32_t i = 0; i < count; i++) {
            is_new = is_new && chosen[i] != at;
        }
        if (is_new) {
            chosen[count++] = at;
            draw_to(slot, &slot->drafts[at], subject);
        }
    }
}

/* One measurement: a part of the subject's line, more or less. */
static void measure(struct slot *slot, struct draft *draft) {
    struct people *people = slot->people;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < draft->count; i++) {
        struct person *person = &people->list[draft->to[i]];
        double noise = 1 + NOISE_PERCENT / 100.0 * (2 * elect_uniform(&people->rng) - 1);
        double bytes = (double)person->rate / slot->streams[draft->to[i]] * noise;
        person->measured += (uint64_t)bytes;
        if (bytes >= 1) {
            draft->to[kept] = draft->to[i];
            draft->bytes[kept++] = bytes;
        }
    }
    draft->count = kept;
}

/* A forged supernode that sells its row: all of it to the attacker's own, in equal parts. */
static void sell(struct slot *slot, struct draft *draft) {
    struct people *people = slot->people;
    uint32_t identities = people->config->identities;
    uint32_t first = (uint32_t)rng_below(&people->rng, identities);
    draft->count = 0;
    for (uint32_t i = 0; i < identities && draft->count < ROW_ENTRIES_MAX; i++) {
        uint32_t place = people->honest + (first + i) % identities;
        if (place != draft->issuer) {
            draft->to[draft->count] = place;
            draft->bytes[draft->count++] = 1;
        }
    }
}

static void issue(const struct slot *slot, const struct draft *draft, const struct elect_load *load,
                  struct records *records) {
    const struct person *issuer = &slot->people->list[draft->issuer];
    uint32_t slots = person_slots(issuer);
    struct elect_row row = {.issuer = issuer->id, .slots = (uint16_t)slots};
    row.leaves = load->slots > 0 ? (uint16_t)(load->used * slots / load->slots) : 0;
    for (; row.count < draft->count; row.count++) {
        row.subjects[row.count] = slot->people->list[draft->to[row.count]].id;
        row.bytes[row.count] = draft->bytes[row.count];
    }
    elect_records_row(records, &row);
}

static void gather(struct slot *slot) {
    struct people *people = slot->people;
    for (uint32_t i = 0; i < people->count; i++) {
        struct person *person = &people->list[i];
        person->measured = 0;
        if (person->is_member && person->is_online) {
            slot->drafts[slot->count++].issuer = i;
        }
    }
    for (uint32_t i = 0; i < people->count; i++) {
        if (is_measured(&people->list[i])) {
            draw(slot, i);
        }
    }
    for (uint32_t i = 0; i < slot->count; i++) {
        for (uint32_t j = 0; j < slot->drafts[i].count; j++) {
            slot->streams[slot->drafts[i].to[j]]++;
        }
    }
}

void elect_measure(struct people *people, const struct elect_load *load, struct records *records) {
    uint32_t members = 0;
    for (uint32_t i = 0; i < people->count; i++) {
        members += people->list[i].is_member;
    }
    struct slot slot = {.people = people,
                        .drafts = mem_array(members + 1, sizeof *slot.drafts),
                        .streams = mem_array(people->count, sizeof *slot.streams)};
    gather(&slot);
    for (uint32_t i = 0; i < slot.count; i++) {
        struct draft *draft = &slot.drafts[i];
        bool lies =
            people->list[draft->issuer].is_forged && (people->config->attack & ELECT_BUY_ROWS) != 0;
        measure(&slot, draft);
        if (lies) {
            sell(&slot, draft);
        }
        if (records != NULL) {
            issue(&slot, draft, load, records);
        }
    }
    mem_free(slot.drafts);
    mem_free(slot.streams);
}
