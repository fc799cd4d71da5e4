/* trust_quorum.c - who is a supernode: members, committees, quorums and certificates. */
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/limits.h"
#include "common/mem.h"
#include "common/seats.h"
#include "common/trust_parts.h"

#define NEW_EPOCHS 2 /* in which a new supernode need not have issued a row to count */

int32_t trust_place(const struct node_id *keys, uint32_t count, const struct node_id *id) {
    uint32_t low = 0;
    uint32_t high = count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (memcmp(keys[middle].b, id->b, sizeof id->b) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < count && node_id_equal(&keys[low], id) ? (int32_t)low : -1;
}

/* ---- Who may sign ---- */

/* The committee of a subject: as it was drawn for the first vote, or drawn now. */
static uint32_t committee_of(const struct trust *trust, const struct trust_checkpoint *checkpoint,
                             const struct node_id *subject, uint32_t places[SEATS_COMMITTEE]) {
    uint8_t key[VOTE_KEY_BYTES];
    trust_vote_key(key, subject, &checkpoint->hash);
    const struct trust_certified *vote = map_get(&trust->votes, key);
    if (vote != NULL && vote->committee_count > 0) {
        for (uint32_t i = 0; i < vote->committee_count; i++) {
            places[i] = vote->committee[i];
        }
        return vote->committee_count;
    }
    struct slice members = {checkpoint->members[0].b,
                            checkpoint->checkpoint.members * sizeof(struct node_id)};
    return seats_committee(trust->env.crypto, &checkpoint->checkpoint.beacon, subject, members,
                           places);
}

void trust_draw_committee(const struct trust *trust, const struct trust_checkpoint *checkpoint,
                          struct trust_certified *vote) {
    uint32_t places[SEATS_COMMITTEE];
    uint32_t count = 0;
    if (checkpoint->members != NULL && seats_quorum(checkpoint->checkpoint.members).is_drawn) {
        count = committee_of(trust, checkpoint, &vote->cert.subject, places);
    }
    vote->committee_count = (uint8_t)count;
    for (uint32_t i = 0; i < count; i++) {
        vote->committee[i] = (uint16_t)places[i];
    }
}

static bool is_drawn(const struct trust *trust, const struct trust_checkpoint *checkpoint,
                     const struct node_id *subject, uint16_t place) {
    uint32_t places[SEATS_COMMITTEE];
    uint32_t count = committee_of(trust, checkpoint, subject, places);
    bool is_there = false;
    for (uint32_t i = 0; i < count; i++) {
        is_there = is_there || places[i] == place;
    }
    return is_there;
}

/* True while anchors alone sign. */
static bool is_small(const struct trust_checkpoint *checkpoint) {
    return checkpoint->checkpoint.members < SEATS_QUORUM_SHARED;
}

/* The key behind a signer's place, or NULL when it may not sign for this subject. */
static const struct node_id *signer_key(const struct trust *trust,
                                        const struct trust_checkpoint *checkpoint,
                                        const struct node_id *subject, uint16_t place) {
    const struct network *network = trust->env.network;
    uint32_t members = checkpoint->checkpoint.members;
    if (is_small(checkpoint)) {
        return place < network->anchor_count ? &network->anchors[place] : NULL;
    }
    if (place >= members || checkpoint->members == NULL ||
        (seats_quorum(members).is_drawn && !is_drawn(trust, checkpoint, subject, place))) {
        return NULL;
    }
    return &checkpoint->members[place];
}

bool trust_may_sign(const struct trust *trust, const struct trust_checkpoint *checkpoint,
                    const struct node_id *subject, const struct node_id *signer, uint16_t *place) {
    const struct network *network = trust->env.network;
    int32_t at = -1;
    if (is_small(checkpoint)) {
        at = trust_place(network->anchors, network->anchor_count, signer);
    } else if (checkpoint->members != NULL) {
        at = trust_place(checkpoint->members, checkpoint->checkpoint.members, signer);
    }
    *place = (uint16_t)(at < 0 ? 0 : at);
    return at >= 0 && !trust_is_fraud(trust, signer) &&
           signer_key(trust, checkpoint, subject, *place) != NULL;
}

/* ---- Signatures ---- */

static enum err check_signature(const struct trust *trust, const struct cert *cert,
                                const struct node_id *key, const struct cert_signer *signer) {
    struct buf body = {0};
    wire_cert_signed_bytes(&body, cert);
    struct signed_bytes bytes = {&trust->env.network->id, RECORD_CERT, {body.data, body.len}};
    enum err err = crypto_verify(trust->env.crypto, &bytes, key, signer->signature);
    buf_free(&body);
    return err;
}

enum err trust_check_vote(const struct trust *trust, const struct trust_checkpoint *checkpoint,
                          const struct cert *cert, const struct cert_signer *signer) {
    if (checkpoint->members == NULL && !is_small(checkpoint)) {
        return ERR_NOT_FOUND;
    }
    const struct node_id *key = signer_key(trust, checkpoint, &cert->subject, signer->signer);
    if (key == NULL || trust_is_fraud(trust, key)) {
        return ERR_POLICY;
    }
    return check_signature(trust, cert, key, signer);
}

/* An anchor's word, given by hand. */
static enum err check_by_hand(const struct trust *trust, const struct cert *cert) {
    const struct network *network = trust->env.network;
    for (uint8_t i = 0; i < cert->signer_count; i++) {
        uint16_t place = cert->signers[i].signer;
        if (place < network->anchor_count && !trust_is_fraud(trust, &network->anchors[place]) &&
            check_signature(trust, cert, &network->anchors[place], &cert->signers[i]) == OK) {
            return OK;
        }
    }
    return ERR_AUTH;
}

static bool is_by_hand(const struct cert *cert) {
    static const struct hash zero;
    return memcmp(cert->checkpoint.b, zero.b, sizeof zero.b) == 0;
}

static const struct trust_checkpoint *checkpoint_of(const struct trust *trust,
                                                    const struct cert *cert) {
    const struct trust_checkpoint *checkpoint =
        cert->epoch > 0 ? trust_checkpoint_at(trust, cert->epoch - 1) : NULL;
    bool is_it = checkpoint != NULL &&
                 memcmp(checkpoint->hash.b, cert->checkpoint.b, sizeof checkpoint->hash.b) == 0;
    return is_it ? checkpoint : NULL;
}

enum err trust_check_signers(const struct trust *trust, const struct cert *cert) {
    if (is_by_hand(cert)) {
        return check_by_hand(trust, cert);
    }
    const struct trust_checkpoint *checkpoint = checkpoint_of(trust, cert);
    if (checkpoint == NULL) {
        return ERR_NOT_FOUND;
    }
    if (checkpoint->members == NULL && !is_small(checkpoint)) {
        return ERR_NOT_FOUND;
    }
    struct quorum quorum = seats_quorum(checkpoint->checkpoint.members);
    if (cert->signer_count < quorum.signatures) {
        return ERR_AUTH; /* whatever they are */
    }
    uint32_t valid = 0;
    bool has_anchor = false;
    for (uint8_t i = 0; i < cert->signer_count; i++) {
        enum err err = trust_check_vote(trust, checkpoint, cert, &cert->signers[i]);
        if (err == ERR_AUTH) {
            return err; /* one forged signature is enough: do not check 15 more for a stranger */
        }
        if (err == OK) {
            const struct node_id *key =
                signer_key(trust, checkpoint, &cert->subject, cert->signers[i].signer);
            valid++;
            has_anchor = has_anchor || network_is_anchor(trust->env.network, key);
        }
    }
    return seats_quorum_is_met(&quorum, valid, has_anchor) ? OK : ERR_AUTH;
}

const struct node_id *trust_signer(const struct trust *trust, const struct cert *cert,
                                   const struct cert_signer *signer, bool *is_valid) {
    const struct network *network = trust->env.network;
    const struct trust_checkpoint *checkpoint = checkpoint_of(trust, cert);
    const struct node_id *key = NULL;
    if (is_by_hand(cert)) {
        key = signer->signer < network->anchor_count ? &network->anchors[signer->signer] : NULL;
    } else if (checkpoint != NULL) {
        key = signer_key(trust, checkpoint, &cert->subject, signer->signer);
    }
    *is_valid = key != NULL && !trust_is_fraud(trust, key) &&
                check_signature(trust, cert, key, signer) == OK;
    return key;
}

/* ---- Certificates ---- */

enum err trust_certified(const struct trust *trust, const struct node_id *id, struct slice encoded,
                         uint32_t *until_epoch) {
    const struct network *network = trust->env.network;
    *until_epoch = UINT32_MAX;
    if (network->policy == NETWORK_OPEN) {
        return OK;
    }
    if (trust_is_fraud(trust, id)) {
        return ERR_AUTH;
    }
    if (network_is_anchor(network, id)) {
        return OK;
    }
    struct cert cert;
    if (encoded.len == 0 || encoded.len > CERT_BYTES_MAX ||
        wire_cert_decode(encoded, &cert) != OK || !node_id_equal(&cert.subject, id)) {
        return ERR_AUTH;
    }
    uint32_t at = is_by_hand(&cert) ? trust->now_epoch : trust_cert_epoch(trust);
    *until_epoch = is_by_hand(&cert) ? cert.epoch + cert.life : trust_cert_end(trust, &cert);
    bool is_early = cert.epoch > trust->now_epoch + (is_by_hand(&cert) ? 0 : 1);
    return is_early || at >= *until_epoch ? ERR_POLICY : trust_check_signers(trust, &cert);
}

bool trust_cert_of(const struct trust *trust, const struct node_id *id, struct buf *out) {
    const struct trust_certified *held = map_get(&trust->certified, id->b);
    if (held != NULL) {
        wire_cert_encode(out, &held->cert);
    }
    return held != NULL;
}

bool trust_may_issue(const struct trust *trust, const struct node_id *id, uint32_t epoch) {
    if (network_is_anchor(trust->env.network, id)) {
        return true;
    }
    const struct trust_checkpoint *checkpoint = trust_checkpoint_at(trust, epoch);
    if (checkpoint != NULL && checkpoint->members != NULL &&
        trust_place(checkpoint->members, checkpoint->checkpoint.members, id) >= 0) {
        return true;
    }
    const struct trust_certified *held = map_get(&trust->certified, id->b);
    return held != NULL && epoch + 1 >= held->cert.epoch &&
           trust_cert_epoch(trust) < trust_cert_end(trust, &held->cert);
}

/* ---- Who measures ---- */

void trust_measure_lot(const struct trust *trust, const struct node_id *subject,
                       const struct node_id *member, struct hash *lot) {
    const struct crypto *crypto = trust->env.crypto;
    uint8_t first[64] = {0};
    if (trust->latest != NULL) {
        memcpy(first, trust->latest->checkpoint.beacon.b, 32);
    }
    memcpy(first + 32, subject->b, 32);
    crypto->sha256(crypto->context, (struct slice){first, sizeof first},
                   (struct slice){member->b, sizeof member->b}, lot);
}

bool trust_measures(const struct trust *trust, const struct node_id *subject,
                    const struct hash *lot) {
    const struct trust_checkpoint *latest = trust->latest;
    if (latest == NULL || latest->members == NULL) {
        return false;
    }
    uint32_t before = 0;
    for (uint32_t i = 0; i < latest->checkpoint.members && before < MEASURERS; i++) {
        struct hash other;
        trust_measure_lot(trust, subject, &latest->members[i], &other);
        before += !node_id_equal(&latest->members[i], subject) &&
                  memcmp(other.b, lot->b, sizeof other.b) < 0;
    }
    return before < MEASURERS;
}

/* ---- Members ---- */

static int compare_ids(const void *a, const void *b) {
    return memcmp(a, b, sizeof(struct node_id));
}

bool trust_has_row(const struct trust *trust, const struct node_id *id, uint32_t epoch) {
    const struct trust_issuer *issuer = map_get(&trust->issuers, id->b);
    const struct trust_record *row = issuer != NULL ? issuer->rows[epoch % TRUST_EPOCHS] : NULL;
    return row != NULL && row->epoch == epoch;
}

/* A row may come too late once. */
static bool is_heard(const struct trust *trust, const struct node_id *id, uint32_t epoch) {
    return trust_has_row(trust, id, epoch) || (epoch > 0 && trust_has_row(trust, id, epoch - 1));
}

/* What one member owed under a checkpoint, and gave. */
struct duty {
    uint32_t owed;
    uint32_t given;
};

/* Count one certificate that is complete: who was to sign it, and who did. */
static void count_duties(const struct trust *trust, const struct trust_checkpoint *checkpoint,
                         const struct cert *cert, struct duty *duties) {
    uint32_t places[SEATS_COMMITTEE];
    uint32_t members = checkpoint->checkpoint.members;
    bool is_drawn = seats_quorum(members).is_drawn;
    uint32_t count = is_drawn ? committee_of(trust, checkpoint, &cert->subject, places) : members;
    for (uint32_t i = 0; i < count; i++) {
        duties[is_drawn ? places[i] : i].owed++;
    }
    for (uint8_t i = 0; i < cert->signer_count; i++) {
        duties[cert->signers[i].signer].given++; /* its place was checked when it came */
    }
}

static void exclude(struct trust *trust, const struct node_id *id,
                    const struct trust_shirker *what) {
    struct trust_shirker *shirker = map_get(&trust->shirkers, id->b);
    if (shirker == NULL) {
        shirker = mem_new(sizeof *shirker);
        map_put(&trust->shirkers, id->b, shirker);
    }
    *shirker = *what;
}

static void note_shirker(struct trust *trust, const struct node_id *id, uint32_t epoch) {
    const struct trust_shirker *known = map_get(&trust->shirkers, id->b);
    if (known == NULL || known->cert_epoch > 0) {
        char text[NODE_ID_SHORT_BYTES];
        node_id_short(text, id);
        log_warn(trust->env.log, "trust.shirker id=%s epoch=%u", text, epoch);
        exclude(trust, id, &(struct trust_shirker){.until_epoch = epoch + CERT_VALID_EPOCHS});
    }
}

/* It may have gone, or not: its certificate is still good, and a row of the epoch before counts. */
void trust_note_demoted(struct trust *trust, const struct node_id *id, uint32_t epoch) {
    const struct trust_shirker *known = map_get(&trust->shirkers, id->b);
    if (known == NULL || known->cert_epoch > 0) {
        exclude(trust, id,
                &(struct trust_shirker){.until_epoch = epoch + 1 + CERT_VALID_EPOCHS,
                                        .cert_epoch = epoch + 1});
    }
}

static bool is_excluded(const struct trust *trust, const struct node_id *id,
                        const struct cert *cert) {
    const struct trust_shirker *shirker = map_get(&trust->shirkers, id->b);
    return shirker != NULL && (shirker->cert_epoch == 0 || cert->epoch <= shirker->cert_epoch);
}

void trust_note_shirkers(struct trust *trust, uint32_t epoch) {
    const struct trust_checkpoint *checkpoint = trust_checkpoint_at(trust, epoch);
    if (checkpoint == NULL || checkpoint->members == NULL || is_small(checkpoint)) {
        return;
    }
    uint32_t members = checkpoint->checkpoint.members;
    struct duty *duties = mem_array(members, sizeof *duties);
    uint32_t cursor = 0;
    for (const struct trust_certified *vote;
         (vote = map_next(&trust->votes, &cursor, NULL)) != NULL;) {
        bool is_complete = vote->cert.signer_count >= seats_quorum(members).signatures;
        if (is_complete && checkpoint_of(trust, &vote->cert) == checkpoint) {
            count_duties(trust, checkpoint, &vote->cert, duties);
        }
    }
    for (uint32_t i = 0; i < members; i++) {
        const struct node_id *id = &checkpoint->members[i];
        if (duties[i].owed > 0 && duties[i].given == 0 && trust_has_row(trust, id, epoch) &&
            !network_is_anchor(trust->env.network, id)) {
            note_shirker(trust, id, epoch);
        }
    }
    mem_free(duties);
}

uint32_t trust_live_members(const struct trust *trust, uint32_t epoch, struct node_id **keys) {
    const struct network *network = trust->env.network;
    struct node_id *live =
        mem_array(trust->certified.count + network->anchor_count + 1, sizeof *live);
    uint32_t count = 0;
    for (uint32_t i = 0; i < network->anchor_count; i++) {
        if (is_heard(trust, &network->anchors[i], epoch)) {
            live[count++] = network->anchors[i];
        }
    }
    uint32_t last = trust->latest != NULL ? trust->latest->checkpoint.epoch : epoch;
    uint32_t gap = last + 1 < epoch ? epoch - last - 1 : 0; /* which this checkpoint ends */
    uint32_t cursor = 0;
    const void *key;
    for (const struct trust_certified *held;
         (held = map_next(&trust->certified, &cursor, &key)) != NULL;) {
        const struct node_id *id = key;
        bool is_new =
            held->cert.epoch + NEW_EPOCHS > epoch && map_get(&trust->issuers, id->b) == NULL;
        bool holds =
            held->cert.epoch <= epoch + 1 && epoch < trust_cert_end(trust, &held->cert) + gap;
        bool is_out = network_is_anchor(network, id) || is_excluded(trust, id, &held->cert);
        if (holds && (is_new || is_heard(trust, id, epoch)) && !is_out) {
            live[count++] = *id;
        }
    }
    qsort(live, count, sizeof *live, compare_ids); /* first: whoever is cut off, all cut the same */
    *keys = live;
    return count > MEMBERS_MAX ? MEMBERS_MAX : count;
}
