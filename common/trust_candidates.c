/* trust_candidates.c - takes candidacies: who would serve, agreed to by the key itself, by its
 * owner and by the supernode that stands for it.
 *
 * Room is shared among sponsors, or one of them could fill it with keys that it made up: none has
 * more than CANDIDATES_SPONSOR_MAX, and when there are CANDIDATES_MAX the sponsor of the most loses
 * one. Those with the smallest hashes stay, so that it does not matter which came first. */
#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "common/trust_parts.h"

/* ---- Sponsors ---- */

static struct trust_sponsor *sponsor_of(struct trust *trust, const struct node_id *id) {
    struct trust_sponsor *sponsor = map_get(&trust->sponsors, id->b);
    if (sponsor == NULL) {
        sponsor = mem_new(sizeof *sponsor);
        sponsor->id = *id;
        map_put(&trust->sponsors, id->b, sponsor);
    }
    return sponsor;
}

static void leave_sponsor(struct trust *trust, struct trust_candidate *candidate) {
    struct trust_sponsor *sponsor = candidate->sponsor;
    candidate->sponsor = NULL;
    if (sponsor != NULL && --sponsor->candidates == 0) {
        map_remove(&trust->sponsors, sponsor->id.b);
        mem_free(sponsor);
    }
}

static void enter_sponsor(struct trust *trust, struct trust_candidate *candidate,
                          const struct node_id *id) {
    struct trust_sponsor *sponsor = sponsor_of(trust, id);
    sponsor->candidates++;
    leave_sponsor(trust, candidate); /* it may be the same: not gone in between */
    candidate->sponsor = sponsor;
}

/* Of two with as many, everybody means the same one. */
static bool stands_for_more(const struct trust_sponsor *a, const struct trust_sponsor *b) {
    return a->candidates != b->candidates ? a->candidates > b->candidates
                                          : memcmp(a->id.b, b->id.b, sizeof a->id.b) > 0;
}

/* Who must lose a candidate, now that this sponsor has got one; NULL when nobody must. */
static struct trust_sponsor *who_has_too_many(const struct trust *trust,
                                              struct trust_sponsor *sponsor) {
    if (sponsor->candidates > CANDIDATES_SPONSOR_MAX) {
        return sponsor;
    }
    struct trust_sponsor *most = NULL;
    uint32_t cursor = 0;
    for (struct trust_sponsor *other;
         trust->candidates.count > CANDIDATES_MAX &&
         (other = map_next(&trust->sponsors, &cursor, NULL)) != NULL;) {
        most = most == NULL || stands_for_more(other, most) ? other : most;
    }
    return most;
}

/* The last of a sponsor's, by the hash of its record. */
static struct trust_candidate *last_of(const struct trust *trust,
                                       const struct trust_sponsor *sponsor) {
    struct trust_candidate *last = NULL;
    uint32_t cursor = 0;
    for (struct trust_candidate *candidate;
         (candidate = map_next(&trust->candidates, &cursor, NULL)) != NULL;) {
        bool is_later = candidate->sponsor == sponsor &&
                        (last == NULL || candidate->record->prefix > last->record->prefix);
        last = is_later ? candidate : last;
    }
    return last;
}

/* Before the signatures are looked at, which cost most: false for one that would have to go again
 * at once. */
static bool has_room(const struct trust *trust, const struct node_id *sponsor_id, uint64_t prefix) {
    struct trust_sponsor *sponsor = map_get(&trust->sponsors, sponsor_id->b);
    struct trust_sponsor new_one = {.id = *sponsor_id};
    struct trust_sponsor grown = sponsor != NULL ? *sponsor : new_one;
    grown.candidates++;
    bool is_full = trust->candidates.count >= CANDIDATES_MAX;
    bool is_last = grown.candidates > CANDIDATES_SPONSOR_MAX;
    if (!is_last && is_full) {
        is_last = true;
        uint32_t cursor = 0;
        for (const struct trust_sponsor *other;
             (other = map_next(&trust->sponsors, &cursor, NULL)) != NULL;) {
            is_last = is_last && (other == sponsor || stands_for_more(&grown, other));
        }
    }
    if (!is_last) {
        return true;
    }
    const struct trust_candidate *last = sponsor != NULL ? last_of(trust, sponsor) : NULL;
    return last != NULL && prefix < last->record->prefix;
}

/* ---- Candidates ---- */

void trust_drop_candidate(struct trust *trust, struct trust_candidate *candidate) {
    if (candidate != NULL) {
        struct trust_record *fraud = map_get(&trust->frauds, candidate->subject.b);
        if (fraud != NULL && fraud->is_passing) {
            map_remove(&trust->frauds, candidate->subject.b);
            trust_drop(trust, fraud);
            trust->passing--;
        }
        leave_sponsor(trust, candidate);
        map_remove(&trust->candidates, candidate->subject.b);
        trust_drop(trust, candidate->record);
        mem_free(candidate);
    }
}

static struct trust_candidate *candidate_of(struct trust *trust,
                                            const struct candidacy *candidacy) {
    struct trust_candidate *candidate = map_get(&trust->candidates, candidacy->subject.b);
    if (candidate == NULL) {
        candidate = mem_new(sizeof *candidate);
        candidate->subject = candidacy->subject;
        candidate->first_epoch = candidacy->epoch;
        map_put(&trust->candidates, candidacy->subject.b, candidate);
    }
    return candidate;
}

/* A candidate's first address that may be dialled; false when it has none. */
static bool pick_address(const struct trust *trust, const struct address_record *record,
                         struct address *address) {
    for (uint8_t i = 0; i < record->address_count; i++) {
        if (network_may_dial(trust->env.network, &record->addresses[i])) {
            *address = record->addresses[i];
            return true;
        }
    }
    return false;
}

/* Of two of one epoch (its owner was started again, or has another parent) everybody keeps the one
 * with the smaller hash. */
static bool replaces(const struct trust_record *known, uint32_t epoch, uint64_t prefix) {
    return epoch > known->epoch || (epoch == known->epoch && prefix < known->prefix);
}

/* All but the signatures. */
static enum err look(const struct trust *trust, const struct candidacy *candidacy,
                     uint64_t prefix) {
    const struct trust_candidate *known = map_get(&trust->candidates, candidacy->subject.b);
    if (!trust_is_current(trust, candidacy->epoch, 2) ||
        trust_is_fraud(trust, &candidacy->sponsor) ||
        !trust_may_issue(trust, &candidacy->sponsor, candidacy->epoch)) {
        return ERR_POLICY;
    }
    if (known != NULL) {
        return replaces(known->record, candidacy->epoch, prefix) ? OK : ERR_POLICY;
    }
    return has_room(trust, &candidacy->sponsor, prefix) ? OK : ERR_BUSY;
}

/* Those of the address record and of all parties. */
static enum err check_signatures(const struct trust *trust, const struct candidacy *candidacy,
                                 const struct address_record *record) {
    struct signer_env env = trust_signer_env(trust);
    int64_t wall_s = (int64_t)trust->now_epoch * network_epoch_s(trust->env.network);
    enum err err = wire_candidacy_check(candidacy, &env);
    return err != OK ? err : wire_address_record_check(record, env.crypto, env.network_id, wall_s);
}

enum err trust_take_candidacy(struct trust *trust, struct slice bytes,
                              struct trust_record **added) {
    struct candidacy candidacy;
    struct address_record record;
    struct address address;
    enum err err = wire_candidacy_decode(bytes, &candidacy);
    if (err != OK) {
        return err;
    }
    CHECK(wire_address_record_decode(candidacy.address_record, &record) == OK);
    err = pick_address(trust, &record, &address) ? OK : ERR_POLICY;
    err = err != OK ? err : look(trust, &candidacy, trust_prefix(trust, bytes));
    err = err != OK ? err : check_signatures(trust, &candidacy, &record);
    if (err != OK) {
        return err;
    }
    struct trust_candidate *candidate = candidate_of(trust, &candidacy);
    trust_drop(trust, candidate->record);
    enter_sponsor(trust, candidate, &candidacy.sponsor);
    candidate->owner = record.key;
    candidate->address = address;
    candidate->rate_kib = candidacy.rate_kib;
    candidate->day_mib = candidacy.day_mib;
    candidate->record = trust_keep(trust, MSG_CANDIDACY, candidacy.epoch, bytes);
    *added = candidate->record;
    struct trust_sponsor *rich = who_has_too_many(trust, candidate->sponsor);
    if (rich != NULL) {
        struct trust_candidate *last = last_of(trust, rich);
        *added = last == candidate ? NULL : *added;
        trust_drop_candidate(trust, last);
    }
    return OK;
}
