/* seats.c - a draw in proportion to mass, the number of seats, and the committees that sign. */
#include "common/seats.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"

#define PERCENT 100

__extension__ typedef unsigned __int128 wide;

/* ---- The draw ---- */

static uint64_t first_bytes(const struct hash *hash) {
    uint64_t number = 0;
    for (int i = 0; i < 8; i++) {
        number = number << 8 | hash->b[i];
    }
    return number;
}

/* Terms are numbered; each key's begin in epochs of its own. */
static uint32_t term_of(uint32_t epoch, const struct node_id *id) {
    uint32_t offset = ((uint32_t)id->b[30] << 8 | id->b[31]) % SEATS_TERM_EPOCHS;
    return (epoch + offset) / SEATS_TERM_EPOCHS;
}

uint64_t seats_number(const struct crypto *crypto, const struct beacons *beacons,
                      const struct node_id *id) {
    static const char label[] = "trunkline-seat-1";
    CHECK(beacons->count > 0);
    uint32_t term = term_of(beacons->list[0].epoch, id), first = 0;
    while (first + 1 < beacons->count && term_of(beacons->list[first + 1].epoch, id) == term) {
        first++;
    }
    uint8_t text[sizeof label + HASH_BYTES];
    memcpy(text, label, sizeof label);
    memcpy(text + sizeof label, beacons->list[first].hash.b, HASH_BYTES);
    struct hash hash;
    crypto->sha256(crypto->context, (struct slice){text, sizeof text},
                   (struct slice){id->b, sizeof id->b}, &hash);
    return first_bytes(&hash);
}

int seats_compare(const struct ticket *a, const struct ticket *b) {
    /* number / mass, multiplied out; no mass is the largest of all. */
    wide left = (wide)a->number * b->mass, right = (wide)b->number * a->mass;
    if (a->mass == 0 || b->mass == 0) {
        left = a->mass == 0;
        right = b->mass == 0;
    }
    return left != right ? (left < right ? -1 : 1) : memcmp(a->id.b, b->id.b, sizeof a->id.b);
}

static int compare_tickets(const void *a, const void *b) {
    return seats_compare(a, b);
}

/* top * 2^64 / bottom, at most UINT64_MAX; top and bottom below 2^63. */
static uint64_t divide_up(uint64_t top, uint64_t bottom) {
    if (top >= bottom) {
        return UINT64_MAX;
    }
    uint64_t quotient = 0;
    for (int i = 0; i < 64; i++) {
        top <<= 1;
        quotient = quotient << 1 | (top >= bottom);
        top -= top >= bottom ? bottom : 0;
    }
    return quotient;
}

uint64_t seats_price(struct ticket *tickets, uint32_t count, uint32_t wanted) {
    qsort(tickets, count, sizeof *tickets, compare_tickets);
    if (wanted >= count || tickets[wanted].mass == 0) {
        return 1;
    }
    /* The first who does not win sets the price at which his number is just not enough. */
    const struct ticket *loser = &tickets[wanted];
    uint64_t low = 1, high = UINT64_MAX / 2;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (loser->number >= seats_threshold(loser->mass, middle)) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

uint64_t seats_threshold(uint64_t mass, uint64_t price) {
    CHECK(price > 0 && price <= UINT64_MAX / 2 && mass <= UINT64_MAX / 2);
    return mass == 0 ? 0 : divide_up(mass, price);
}

/* ---- How many ---- */

uint32_t seats_wanted(const struct seats_load *load) {
    uint32_t minimum = load->minimum != 0 ? load->minimum : SEATS_MIN;
    uint32_t wanted = load->wanted != 0 ? load->wanted : load->members;
    if (load->slots == 0) {
        return wanted > minimum ? wanted : minimum;
    }
    uint64_t use = load->used * PERCENT;
    if (use > load->slots * SEATS_USE_HIGH && wanted <= load->members && wanted < SEATS_MAX) {
        wanted++;
    } else if (use < load->slots * SEATS_USE_LOW && wanted >= load->members && wanted > 0) {
        wanted--;
    }
    return wanted > minimum ? wanted : minimum;
}

/* ---- The mass that counts ---- */

/* The mean of a term's masses, or of those there are, as if they were `of`. */
static uint64_t mean_of(const struct seats_mass *masses, uint32_t count, uint32_t of) {
    uint64_t mean = 0;
    for (uint32_t i = 0; i < count && i < SEATS_TERM_EPOCHS; i++) {
        mean += masses[i].mass / of;
    }
    return mean;
}

uint64_t seats_counts(const struct node_id *id, const struct seats_mass *masses, uint32_t count) {
    while (count > 0 && masses[count - 1].mass == 0) {
        count--; /* it was not there yet */
    }
    if (count == 0) {
        return 0;
    }
    uint32_t term = term_of(masses[0].epoch, id), first = 0;
    while (first + 1 < count && term_of(masses[first + 1].epoch, id) == term) {
        first++;
    }
    uint32_t known = count - first < SEATS_TERM_EPOCHS ? count - first : SEATS_TERM_EPOCHS;
    uint64_t now = mean_of(masses, count, SEATS_TERM_EPOCHS);
    uint64_t drawn = mean_of(masses + first, known, known);
    return now < drawn ? now : drawn;
}

/* ---- Who signs ---- */

struct quorum seats_quorum(uint32_t supernodes) {
    if (supernodes < SEATS_QUORUM_SHARED) {
        return (struct quorum){.signatures = 1, .of = supernodes, .needs_anchor = true};
    }
    if (supernodes < SEATS_COMMITTEE) {
        return (struct quorum){
            .signatures = (2 * supernodes + 2) / 3, .of = supernodes, .needs_anchor = true};
    }
    return (struct quorum){
        .signatures = SEATS_COMMITTEE_SIGN, .of = SEATS_COMMITTEE, .is_drawn = true};
}

bool seats_quorum_is_met(const struct quorum *quorum, uint32_t signatures, bool has_anchor) {
    return signatures >= quorum->signatures && (has_anchor || !quorum->needs_anchor);
}

uint32_t seats_committee(const struct crypto *crypto, const struct hash *beacon,
                         const struct node_id *subject, struct slice members,
                         uint32_t places[SEATS_COMMITTEE]) {
    static const char label[] = "trunkline-committee-1";
    uint8_t text[sizeof label + HASH_BYTES + sizeof subject->b];
    memcpy(text, label, sizeof label);
    memcpy(text + sizeof label, beacon->b, HASH_BYTES);
    memcpy(text + sizeof label + HASH_BYTES, subject->b, sizeof subject->b);
    uint64_t numbers[SEATS_COMMITTEE];
    uint32_t chosen = 0;
    for (uint32_t i = 0; i < members.len / sizeof subject->b; i++) {
        struct slice member = {members.data + i * sizeof subject->b, sizeof subject->b};
        if (memcmp(member.data, subject->b, member.len) == 0) {
            continue;
        }
        struct hash hash;
        crypto->sha256(crypto->context, (struct slice){text, sizeof text}, member, &hash);
        uint64_t number = first_bytes(&hash);
        uint32_t at = chosen < SEATS_COMMITTEE ? chosen : SEATS_COMMITTEE - 1;
        if (chosen == SEATS_COMMITTEE && number >= numbers[at]) {
            continue;
        }
        for (; at > 0 && numbers[at - 1] > number; at--) {
            numbers[at] = numbers[at - 1];
            places[at] = places[at - 1];
        }
        numbers[at] = number;
        places[at] = i;
        chosen += chosen < SEATS_COMMITTEE;
    }
    return chosen;
}
