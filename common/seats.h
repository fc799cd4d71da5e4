/* seats.h - the lottery for the seats of the supernode layer, how many seats there are, and who
 * signs.
 *
 * Every candidate has a number, SHA-256 over a checkpoint's beacon and its key, and a seat when
 * number / 2^64 < min(1, mass / price). The price is such that as many win as are wanted: it is the
 * order sampling of Ohlsson (1990) and Rosen (1997), the smallest number / mass first. Whoever
 * splits one identity into many splits its mass with it and gains nothing but the part above the
 * price, at which one identity has its seat for certain.
 *
 * A number holds for a term of SEATS_TERM_EPOCHS, which begins in different epochs for different
 * keys, so that the layer changes slowly. Who moves mass to the keys whose numbers turned out well
 * comes too late: a mass counts at most as what it was when the number was drawn (seats_counts). */
#ifndef TRUNKLINE_COMMON_SEATS_H
#define TRUNKLINE_COMMON_SEATS_H

#include "common/crypto.h"
#include "common/limits.h"

/* A candidate's ticket. */
struct ticket {
    struct node_id id;
    uint64_t mass;
    uint64_t number;
};

/* A checkpoint's dice. */
struct beacon {
    struct hash hash;
    uint32_t epoch;
};

/* Those of the last checkpoints, newest first; at least one. The newest tells the epoch that is
 * decided about; epochs without a checkpoint are left out. */
struct beacons {
    const struct beacon *list;
    uint32_t count;
};

/* The number of a key: by the first beacon since its term began, as far as they are given. */
uint64_t seats_number(const struct crypto *crypto, const struct beacons *beacons,
                      const struct node_id *id);

/* Negative when a wins before b, positive when after. Who has no mass comes last. */
int seats_compare(const struct ticket *a, const struct ticket *b);

/* Sort tickets by who wins first and return the price (in parts of mass) at which the first
 * `wanted` of them win, 1 when all with any mass do. */
uint64_t seats_price(struct ticket *tickets, uint32_t count, uint32_t wanted);

/* The number below which a mass wins at a price; UINT64_MAX when it wins for certain. */
uint64_t seats_threshold(uint64_t mass, uint64_t price);

/* ---- How many ---- */

struct seats_load {
    uint32_t wanted; /* seats of the epoch before; 0 = as many as there are members */
    uint32_t members;
    uint64_t slots; /* for leaves, of all members */
    uint64_t used;
    uint32_t minimum; /* 0 = SEATS_MIN */
};

/* One seat more above SEATS_USE_HIGH percent of the slots, one less below SEATS_USE_LOW, never
 * below the minimum. */
uint32_t seats_wanted(const struct seats_load *load);

/* ---- The mass that counts ---- */

/* A key's mass by the rows of one epoch. */
struct seats_mass {
    uint32_t epoch;
    uint64_t mass;
};

/* From the masses of the last decisions, newest first (SEATS_HISTORY are enough; 0 where nothing
 * was measured, nothing where there was no checkpoint), return what counts: the mean of the last
 * SEATS_TERM_EPOCHS, those before the first as 0, but not more than the mean of those there were in
 * the first decision of the key's term. So neither moving mass after the draw nor lending it to one
 * key after the other makes more of it. */
uint64_t seats_counts(const struct node_id *id, const struct seats_mass *masses, uint32_t count);

/* ---- Who signs ---- */

struct quorum {
    uint32_t signatures; /* needed */
    uint32_t of;         /* supernodes who may sign */
    bool needs_anchor;   /* one of them an anchor */
    bool is_drawn;       /* only the committee of the subject may sign */
};

/* What a certificate needs in a network of so many supernodes: one anchor below 4, two thirds and
 * an anchor among them up to 15, SEATS_COMMITTEE_SIGN of a drawn committee from then on. */
struct quorum seats_quorum(uint32_t supernodes);

/* True when so many different valid signatures, all of those who may sign, are enough. */
bool seats_quorum_is_met(const struct quorum *quorum, uint32_t signatures, bool has_anchor);

/* Draw the committee for a subject: the places of the SEATS_COMMITTEE members (or all when there
 * are fewer) that come first by a hash of beacon, subject and member, in that order; the subject is
 * never one. Return their number. */
uint32_t seats_committee(const struct crypto *crypto, const struct hash *beacon,
                         const struct node_id *subject, struct slice members,
                         uint32_t places[SEATS_COMMITTEE]);

#endif
