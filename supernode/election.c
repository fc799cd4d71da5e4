/* election.c - the calendar of an epoch: candidates are dialled, measured together, rows are told,
 * an anchor fixes a checkpoint, everybody decides by the same rules, signs, and hands out what is
 * signed by enough. docs/PROMOTION.md tells it for people. */
#include "supernode/election.h"

#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "supernode/core.h"
#include "supernode/hints.h"

#define SIXTEENTHS 16 /* of an epoch, in which the calendar counts */
#define WINDOW_US_MAX 2500000
#define OFFSET_STRAY_US 2500000 /* the clock was set */
#define DECIDE_BUDGET 20000     /* edges per step: a millisecond */
#define SUM_BUDGET 8000         /* records per step: two milliseconds */
#define DRAW_BUDGET 500         /* candidates per step: a millisecond */
#define VOTE_BUDGET 4000        /* hashes per step: some milliseconds ... */
#define VOTE_COST 200           /* ... and a signature in hashes */
#define ANCHOR_TURN_US 200000   /* that the next anchor waits for the one before it */
#define RENEW_EPOCHS 2          /* left, when a certificate is renewed */

bool election_is_on(const struct supernode *supernode) {
    const struct network *network = supernode->env->network;
    return network->policy == NETWORK_CERTIFIED && network->promotion.policy[0] != '\0';
}

static uint64_t epoch_us(const struct supernode *supernode) {
    return network_epoch_s(supernode->env->network) * 1000000ull;
}

static struct signer_env signer_env(const struct supernode *supernode) {
    return (struct signer_env){supernode->env->crypto, &supernode->env->network->id};
}

/* ---- The clock ---- */

/* The wall clock comes in whole seconds: the largest difference to the other clock is the best. */
void election_tick(struct supernode *supernode) {
    struct election *election = &supernode->election;
    int64_t offset_us = supernode->links.wall_s * 1000000 - (int64_t)supernode->links.mono_us;
    bool is_set = !election->has_offset || election->wall_offset_us - offset_us > OFFSET_STRAY_US;
    if (is_set || offset_us > election->wall_offset_us) {
        election->wall_offset_us = offset_us;
        election->has_offset = true;
    }
    uint64_t wall_s = supernode->links.wall_s > 0 ? (uint64_t)supernode->links.wall_s : 0;
    uint32_t epoch = (uint32_t)(wall_s / network_epoch_s(supernode->env->network));
    trust_set_back(&supernode->trust, epoch); /* one look at a wrong clock must not last */
    trust_advance(&supernode->trust, epoch);
}

static uint64_t wall_us(const struct supernode *supernode) {
    int64_t wall = (int64_t)supernode->links.mono_us + supernode->election.wall_offset_us;
    return wall > 0 ? (uint64_t)wall : 0;
}

/* ---- What we have said before ---- */

/* To say two things in one epoch is fraud, so what is said is written down first: the epochs of our
 * last row and checkpoint, and the start of that row's hash. Nothing is sent before it is durable.
 */
static const struct slice spoken_key = {(const uint8_t *)"election", 8};
#define SPOKEN_BYTES (4 + 4 + ROW_PREVIOUS_BYTES)

static void load_spoken(struct supernode *supernode) {
    struct election *election = &supernode->election;
    struct slice value;
    if (store_get(supernode->env->store, STORE_META, spoken_key, &value) &&
        value.len == SPOKEN_BYTES) {
        struct reader reader = reader_of(value.data, value.len);
        election->last_row = reader_u32(&reader);
        election->last_checkpoint = reader_u32(&reader);
        reader_copy(&reader, election->previous, sizeof election->previous);
    }
}

/* Write down that we speak, and send `said` once that cannot be lost any more. */
static void say(struct supernode *supernode, uint8_t type, struct slice said) {
    struct election *election = &supernode->election;
    struct buf value = {0};
    buf_u32(&value, election->last_row);
    buf_u32(&value, election->last_checkpoint);
    buf_append(&value, election->previous, sizeof election->previous);
    store_put(supernode->env->store, STORE_META, spoken_key, (struct slice){value.data, value.len});
    buf_free(&value);
    election->said_type = type;
    buf_free(&election->said);
    buf_append(&election->said, said.data, said.len);
    store_sync(supernode->env->store, ++election->said_token);
}

/* ---- The row ---- */

static bool may_speak(const struct supernode *supernode) {
    return trust_may_issue(&supernode->trust, &supernode->env->id, supernode->election.epoch);
}

static uint16_t capped(uint32_t count) {
    return count < UINT16_MAX ? (uint16_t)count : UINT16_MAX;
}

static void issue_row(struct supernode *supernode) {
    struct election *election = &supernode->election;
    if (!may_speak(supernode) || election->last_row >= election->epoch) {
        measure_end(supernode);
        return;
    }
    struct row_record row = {.issuer = supernode->env->id, .epoch = election->epoch};
    memcpy(row.previous, election->previous, sizeof row.previous);
    struct row_load load = {.leaves = capped(supernode->leaf_links),
                            .slots = capped(supernode->config.leaves_max),
                            .bytes = measure_row(supernode, &row)};
    uint64_t window_us = epoch_us(supernode) * 4 / SIXTEENTHS;
    load.ms = (uint32_t)((window_us < WINDOW_US_MAX ? window_us : WINDOW_US_MAX) / 1000);
    struct buf tlvs = {0};
    wire_row_load_put(&tlvs, &load);
    row.tlvs = (struct slice){tlvs.data, tlvs.len};
    struct signer_env env = signer_env(supernode);
    wire_row_sign(&row, &env);
    struct buf bytes = {0};
    wire_row_encode(&bytes, &row);
    struct hash hash;
    crypto_hash(supernode->env->crypto, (struct slice){bytes.data, bytes.len}, &hash);
    memcpy(election->previous, hash.b, sizeof election->previous);
    election->last_row = election->epoch;
    log_info(supernode->env->log, "election.row epoch=%u measured=%u bytes=%llu blocks=%llu",
             row.epoch, row.count, (unsigned long long)load.bytes,
             (unsigned long long)measure_by_blocks(supernode));
    say(supernode, MSG_ROW, (struct slice){bytes.data, bytes.len});
    buf_free(&bytes);
    buf_free(&tlvs);
    measure_end(supernode);
}

/* ---- The checkpoint ---- */

static int32_t anchor_place(const struct supernode *supernode) {
    const struct network *network = supernode->env->network;
    return trust_place(network->anchors, network->anchor_count, &supernode->env->id);
}

static void fill_checkpoint(struct supernode *supernode, struct checkpoint *checkpoint,
                            struct buf *tlvs) {
    struct trust *trust = &supernode->trust;
    const struct crypto *crypto = supernode->env->crypto;
    struct fixing *fixing = &supernode->election.fixing;
    checkpoint->epoch = fixing->epoch;
    checkpoint->anchor = (uint8_t)anchor_place(supernode);
    checkpoint->members = fixing->count;
    trust_set_root(trust, fixing->members, fixing->count, &checkpoint->set_root);
    (void)list_root_set(&fixing->sum, crypto, &checkpoint->candidate_root);
    crypto->fill_random(crypto->context, checkpoint->beacon.b, sizeof checkpoint->beacon.b);
    if (trust->latest != NULL) {
        checkpoint->previous = trust->latest->hash;
    }
    if (supernode->election.decided + 1 == checkpoint->epoch) {
        wire_checkpoint_wanted_put(tlvs, (uint16_t)supernode->election.decide.wanted);
        checkpoint->tlvs = (struct slice){tlvs->data, tlvs->len};
    }
    struct signer_env env = signer_env(supernode);
    wire_checkpoint_sign(checkpoint, &env);
}

static void free_fixing(struct fixing *fixing) {
    list_root_free(&fixing->sum);
    mem_free(fixing->members);
    *fixing = (struct fixing){0};
}

/* Whether we are to fix this epoch: an anchor that nobody has been before, and that stays. */
static bool may_fix(const struct supernode *supernode) {
    const struct election *election = &supernode->election;
    const struct trust_checkpoint *latest = supernode->trust.latest;
    bool is_there = latest != NULL && latest->checkpoint.epoch >= election->epoch;
    return anchor_place(supernode) >= 0 && !is_there && !supernode->is_stopping &&
           may_speak(supernode) && election->last_checkpoint < election->epoch &&
           election->last_row == election->epoch;
}

static void say_checkpoint(struct supernode *supernode) {
    struct election *election = &supernode->election;
    const struct fixing *fixing = &election->fixing;
    struct checkpoint checkpoint = {0};
    struct buf tlvs = {0}, bytes = {0};
    fill_checkpoint(supernode, &checkpoint, &tlvs);
    log_info(supernode->env->log, "election.checkpoint epoch=%u members=%u", checkpoint.epoch,
             checkpoint.members);
    struct members members = {.epoch = checkpoint.epoch, .count = (uint16_t)checkpoint.members};
    members.keys = (struct slice){fixing->members[0].b, members.count * sizeof *fixing->members};
    buf_free(&election->said_members);
    wire_members_encode(&election->said_members, &members);
    wire_checkpoint_encode(&bytes, &checkpoint);
    election->last_checkpoint = election->epoch;
    say(supernode, MSG_CHECKPOINT, (struct slice){bytes.data, bytes.len});
    buf_free(&bytes);
    buf_free(&tlvs);
}

/* A slice of what the evidence comes to that a checkpoint will fix; true when that is said. */
static bool go_on_fixing(struct supernode *supernode) {
    struct fixing *fixing = &supernode->election.fixing;
    if (!list_root_take(&fixing->sum, supernode->env->crypto, SUM_BUDGET)) {
        return false;
    }
    if (may_fix(supernode) && fixing->epoch == supernode->election.epoch) {
        say_checkpoint(supernode);
    }
    free_fixing(fixing);
    return true;
}

/* Take down who and what counts as of now. */
static void begin_fixing(struct supernode *supernode) {
    struct election *election = &supernode->election;
    struct fixing *fixing = &election->fixing;
    struct trust *trust = &supernode->trust;
    if (!may_fix(supernode)) {
        return;
    }
    election->checkpoint_waits = election->said.len > 0; /* our row is not durable yet */
    if (election->checkpoint_waits) {
        return;
    }
    if (election->epoch > 0) {
        trust_note_shirkers(trust, election->epoch - 1);
    }
    free_fixing(fixing);
    fixing->epoch = election->epoch;
    fixing->count = trust_live_members(trust, fixing->epoch, &fixing->members);
    if (fixing->count == 0) { /* our row was refused: there is a proof of fraud against us */
        log_warn(supernode->env->log, "election.alone epoch=%u", fixing->epoch);
        free_fixing(fixing);
        return;
    }
    trust_evidence(trust, fixing->epoch, fixing->members, fixing->count, &fixing->sum);
    timers_set(&supernode->timers, &election->timer, supernode_next_step(supernode));
}

void election_stored(struct supernode *supernode, uint64_t token) {
    struct election *election = &supernode->election;
    if (token != election->said_token || election->said.len == 0 || supernode->is_stopping) {
        return;
    }
    struct slice said = {election->said.data, election->said.len};
    enum err err = evidence_add(supernode, election->said_type, said);
    if (err == OK && election->said_type == MSG_CHECKPOINT) {
        err = evidence_add(supernode, MSG_MEMBERS,
                           (struct slice){election->said_members.data, election->said_members.len});
    }
    if (err != OK) {
        log_warn(supernode->env->log, "election.not_said type=%u error=%s", election->said_type,
                 err_name(err));
    }
    buf_free(&election->said);
    buf_free(&election->said_members);
    if (election->checkpoint_waits) {
        begin_fixing(supernode);
    }
}

/* ---- Votes ---- */

static void vote(struct supernode *supernode, const struct trust_checkpoint *checkpoint,
                 const struct node_id *subject) {
    struct cert cert = {.subject = *subject,
                        .epoch = checkpoint->checkpoint.epoch + 1,
                        .life = CERT_VALID_EPOCHS,
                        .checkpoint = checkpoint->hash,
                        .signer_count = 1};
    if (!trust_may_sign(&supernode->trust, checkpoint, subject, &supernode->env->id,
                        &cert.signers[0].signer)) {
        return;
    }
    struct buf body = {0};
    wire_cert_signed_bytes(&body, &cert);
    struct signed_bytes bytes = {&supernode->env->network->id, RECORD_CERT, {body.data, body.len}};
    crypto_sign(supernode->env->crypto, &bytes, cert.signers[0].signature);
    buf_free(&body);
    wire_cert_encode(&body, &cert);
    enum err err = evidence_add(supernode, MSG_CERT, (struct slice){body.data, body.len});
    if (err != OK) {
        log_warn(supernode->env->log, "election.vote_refused error=%s", err_name(err));
    }
    buf_free(&body);
}

static bool needs_renewal(const struct supernode *supernode, const struct decide_row *row,
                          uint32_t epoch) {
    const struct trust_certified *held = map_get(&supernode->trust.certified, row->id.b);
    return held == NULL || held->cert.epoch + held->cert.life <= epoch + 1 + RENEW_EPOCHS;
}

/* Whether a checkpoint names us; false, too, when there is none of that epoch. */
static bool is_listed(const struct supernode *supernode, const struct trust_checkpoint *known) {
    return known != NULL && known->members != NULL &&
           trust_place(known->members, known->checkpoint.members, &supernode->env->id) >= 0;
}

/* Whether we have just been certified: no role ends within the dwell time, but by a decision. */
static bool is_new_here(const struct supernode *supernode, uint32_t epoch) {
    const struct trust_certified *held = map_get(&supernode->trust.certified, supernode->env->id.b);
    uint32_t dwell =
        supernode->env->network->promotion.dwell_s / network_epoch_s(supernode->env->network);
    return held != NULL && held->cert.epoch + dwell > epoch;
}

/* The anchor had our row and does not name us: it had decided so, when we were not sure, or not
 * there. (To be told by a row that all evidence of its checkpoint has.) */
static bool has_lost_seat(const struct supernode *supernode) {
    const struct trust *trust = &supernode->trust;
    uint32_t epoch = supernode->election.decide.epoch;
    const struct trust_checkpoint *known = trust_checkpoint_at(trust, epoch);
    bool was_listed = epoch > 0 && is_listed(supernode, trust_checkpoint_at(trust, epoch - 1));
    return known != NULL && known->checkpoint.members < MEMBERS_MAX &&
           anchor_place(supernode) < 0 && trust_has_row(trust, &supernode->env->id, epoch) &&
           !is_listed(supernode, known) && (was_listed || !is_new_here(supernode, epoch));
}

/* A supernode that is not wanted any more goes, politely, when the epoch is over: until then others
 * may still ask it for what it has just signed, and certificates of others need that. */
static void check_own_seat(struct supernode *supernode) {
    const struct decide_row *own = decide_find(&supernode->election.decide, &supernode->env->id);
    bool is_demoted = own != NULL && own->verdict == POLICY_DEMOTE;
    if (supernode->election.is_unsure || supernode->is_stopping ||
        (!is_demoted && !has_lost_seat(supernode))) {
        return;
    }
    log_info(supernode->env->log, "election.demoted reason=\"%s\"",
             is_demoted ? own->reason : "the checkpoint does not name it any more");
    supernode->election.is_demoted = true;
}

/* Whether we are to sign for it. */
static bool is_voted_for(const struct supernode *supernode, const struct decide_row *row) {
    return row->verdict == POLICY_PROMOTE ||
           (row->is_member && row->verdict == POLICY_KEEP &&
            !network_is_anchor(supernode->env->network, &row->id) &&
            needs_renewal(supernode, row, supernode->election.decide.epoch));
}

/* Sign for some; true when all that is to be signed is. To draw a committee is a hash for each
 * member. */
static bool vote_some(struct supernode *supernode) {
    struct election *election = &supernode->election;
    const struct decide *decide = &election->decide;
    const struct trust_checkpoint *checkpoint =
        trust_checkpoint_at(&supernode->trust, decide->epoch);
    if (!decide_holds(decide, &supernode->trust)) {
        return true;
    }
    for (uint32_t spent = 0; spent < VOTE_BUDGET && election->vote_at < decide->count; spent++) {
        const struct decide_row *row = &decide->rows[election->vote_at++];
        if (is_voted_for(supernode, row)) {
            vote(supernode, checkpoint, &row->id);
            spent += VOTE_COST + decide->members;
        }
    }
    return election->vote_at == decide->count;
}

/* It is decided: vote from now on. */
static void decided(struct supernode *supernode) {
    struct election *election = &supernode->election;
    const struct decide *decide = &election->decide;
    election->is_voting = decide_holds(decide, &supernode->trust);
    if (!election->is_voting) {
        return; /* what there is of a decision is on another checkpoint */
    }
    election->decided = decide->epoch;
    election->vote_at = 0;
    uint32_t promoted = 0;
    for (uint32_t i = 0; i < decide->count; i++) {
        promoted += decide->rows[i].verdict == POLICY_PROMOTE;
        if (decide->rows[i].verdict == POLICY_DEMOTE && !election->is_unsure) {
            trust_note_demoted(&supernode->trust, &decide->rows[i].id, decide->epoch);
        }
    }
    log_info(supernode->env->log,
             "election.decided epoch=%u members=%u wanted=%u candidates=%u promoted=%u sure=%d",
             decide->epoch, decide->members, decide->wanted, decide->count, promoted,
             !election->is_unsure);
}

/* What our evidence comes to is known: decide if it is exactly what the anchor fixed, no more, no
 * less. True when there is nothing to decide now; the rest may be on its way. */
static bool begin_deciding(struct supernode *supernode) {
    struct election *election = &supernode->election;
    struct trust *trust = &supernode->trust;
    const struct trust_checkpoint *latest = trust->latest;
    struct hash root;
    (void)list_root_set(&election->sum, supernode->env->crypto, &root);
    list_root_free(&election->sum);
    election->is_summing = false;
    if (latest == NULL || latest->members == NULL) {
        return true; /* a fraud took it away */
    }
    election->is_unsure = election->summed != trust->changes ||
                          memcmp(root.b, latest->checkpoint.candidate_root.b, sizeof root.b) != 0;
    if (election->is_unsure && !election->decides_anyway) {
        return true;
    }
    decide_begin(&election->decide, trust, latest);
    election->is_voting = false;
    return false;
}

/* A slice of what comes before a decision, of that, or of the votes that follow; true when there is
 * no more to do. */
static bool go_on_deciding(struct supernode *supernode) {
    struct election *election = &supernode->election;
    if (election->is_summing) {
        return list_root_take(&election->sum, supernode->env->crypto, SUM_BUDGET) &&
               begin_deciding(supernode);
    }
    if (!election->is_voting) {
        if (decide_step(&election->decide, &supernode->trust, DECIDE_BUDGET)) {
            decided(supernode);
            return !election->is_voting;
        }
        return false;
    }
    if (!vote_some(supernode)) {
        return false;
    }
    election->is_voting = false;
    if (decide_holds(&election->decide, &supernode->trust)) {
        check_own_seat(supernode);
    }
    return true;
}

/* Decide once the evidence is the anchor's; with `anyway` by what there is. */
static void decide_on(struct supernode *supernode, bool anyway) {
    struct election *election = &supernode->election;
    struct trust *trust = &supernode->trust;
    const struct trust_checkpoint *latest = trust->latest;
    bool is_looked_at = election->is_unsure && election->summed == trust->changes;
    if (latest == NULL || latest->members == NULL || election->is_deciding ||
        latest->checkpoint.epoch < election->decided || (is_looked_at && !anyway) ||
        (latest->checkpoint.epoch == election->decided && decide_holds(&election->decide, trust))) {
        return;
    }
    election->sum = (struct list_root){0};
    trust_evidence(trust, latest->checkpoint.epoch, NULL, 0, &election->sum);
    election->summed = trust->changes;
    election->decides_anyway = anyway;
    election->is_summing = true;
    election->is_deciding = true;
    timers_set(&supernode->timers, &election->timer, supernode_next_step(supernode));
}

/* ---- Certificates that are complete ---- */

static void take_own_cert(struct supernode *supernode) {
    struct buf *cert = &supernode->election.cert;
    buf_free(cert);
    (void)trust_cert_of(&supernode->trust, &supernode->env->id, cert);
    supernode->links.cert = (struct slice){cert->data, cert->len};
}

/* The owner of a candidacy runs the supernode: it gets the certificate, if it is a leaf of ours. */
static void hand_out(struct supernode *supernode, const struct node_id *subject) {
    const struct trust_candidate *candidate = map_get(&supernode->trust.candidates, subject->b);
    struct leaf *leaf = candidate != NULL ? map_get(&supernode->leaves, candidate->owner.b) : NULL;
    struct buf cert = {0};
    if (leaf != NULL && leaf->link != NULL && !leaf->link->closing &&
        trust_cert_of(&supernode->trust, subject, &cert)) {
        supernode_send(leaf->link, MSG_CERT, &cert);
    }
    buf_free(&cert);
}

/* Candidates check by checkpoints and members who may measure them. */
static void pass_on(struct supernode *supernode, const struct trust_record *record) {
    uint32_t cursor = 0;
    for (const struct trust_candidate *candidate;
         (candidate = map_next(&supernode->trust.candidates, &cursor, NULL)) != NULL;) {
        struct leaf *leaf = map_get(&supernode->leaves, candidate->owner.b);
        if (leaf != NULL && leaf->link != NULL && !leaf->link->closing &&
            leaf->passed_on != record->prefix) { /* it may stand for many keys */
            leaf->passed_on = record->prefix;
            links_send(leaf->link, record->type, (struct slice){record->bytes, record->len});
        }
    }
}

void election_noted(struct supernode *supernode, const struct trust_record *record) {
    if (record->type == MSG_CERT) {
        struct cert cert;
        CHECK(wire_cert_decode((struct slice){record->bytes, record->len}, &cert) == OK);
        const struct trust_certified *held = map_get(&supernode->trust.certified, cert.subject.b);
        if (held == NULL || held->cert.epoch != cert.epoch) {
            return; /* not complete yet */
        }
        if (node_id_equal(&cert.subject, &supernode->env->id)) {
            take_own_cert(supernode);
        }
        hand_out(supernode, &cert.subject);
        mesh_prove(supernode);
    } else if (record->type == MSG_CHECKPOINT || record->type == MSG_MEMBERS) {
        pass_on(supernode, record);
        mesh_prove(supernode);
    }
}

bool election_recheck(struct supernode *supernode) {
    if (election_is_on(supernode) && !supernode->is_stopping) {
        decide_on(supernode, false);
    }
    return !supernode->election.is_summing;
}

struct slice election_cert(const struct supernode *supernode) {
    const struct buf *own = &supernode->election.cert;
    return own->len > 0 ? (struct slice){own->data, own->len} : supernode->env->cert;
}

/* ---- Candidacies of our leaves ---- */

/* What a new candidate needs to judge those who measure it. */
static void brief(struct supernode *supernode, struct link *link) {
    uint32_t now = supernode->trust.now_epoch;
    for (uint32_t ago = CERT_VALID_EPOCHS; ago > 0 && now >= ago; ago--) {
        const struct trust_checkpoint *known =
            trust_checkpoint_at(&supernode->trust, now + 1 - ago);
        if (known == NULL || known->members_record == NULL) {
            continue;
        }
        const struct trust_record *records[] = {known->record, known->members_record};
        for (int i = 0; i < 2; i++) {
            links_send(link, records[i]->type, (struct slice){records[i]->bytes, records[i]->len});
        }
    }
}

/* Four signatures are checked for each, and one is made. */
static bool may_stand(struct supernode *supernode, struct leaf *leaf) {
    return election_is_on(supernode) &&
           ratelimit_take(&leaf->candidacies, CANDIDACIES_MILLI_PER_S, CANDIDACIES_BURST, 1,
                          supernode->links.mono_us);
}

/* A peer stands for one key at a time: else one of them could take all the room there is. */
static bool stands_for_another(const struct supernode *supernode, const struct candidacy *candidacy,
                               const struct node_id *owner) {
    uint32_t cursor = 0;
    for (const struct trust_candidate *candidate;
         (candidate = map_next(&supernode->trust.candidates, &cursor, NULL)) != NULL;) {
        if (node_id_equal(&candidate->owner, owner) &&
            !node_id_equal(&candidate->subject, &candidacy->subject)) {
            return true;
        }
    }
    return false;
}

/* We stand for it from now on. */
static enum err sponsor(struct supernode *supernode, struct link *link,
                        struct candidacy *candidacy) {
    struct signer_env env = signer_env(supernode);
    bool is_known = map_get(&supernode->trust.candidates, candidacy->subject.b) != NULL;
    wire_candidacy_sponsor(candidacy, &env);
    struct buf bytes = {0};
    wire_candidacy_encode(&bytes, candidacy);
    enum err err = evidence_add(supernode, MSG_CANDIDACY, (struct slice){bytes.data, bytes.len});
    buf_free(&bytes);
    if (err == OK && !is_known) {
        brief(supernode, link);
        hand_out(supernode, &candidacy->subject);
    }
    if (err == ERR_POLICY || err == ERR_BUSY) {
        log_debug(supernode->env->log, "election.candidacy_refused link=%u error=%s", link->number,
                  err_name(err));
        return OK;
    }
    return err;
}

enum err election_take_candidacy(struct supernode *supernode, struct link *link,
                                 struct slice payload) {
    struct candidacy candidacy;
    enum err err = wire_candidacy_decode(payload, &candidacy);
    if (err != OK || !may_stand(supernode, link->owner)) {
        return err;
    }
    struct node_id owner = wire_candidacy_owner(&candidacy);
    if (!node_id_equal(&owner, &link->id)) {
        return ERR_AUTH;
    }
    bool is_late = supernode->election.phase > PHASE_ROW;
    if (is_late || !node_id_equal(&candidacy.sponsor, &supernode->env->id) ||
        stands_for_another(supernode, &candidacy, &owner) ||
        trust_is_fraud(&supernode->trust, &candidacy.subject) ||
        candidacy.epoch != supernode->trust.now_epoch ||
        !leaves_record_is_seen(supernode, link, candidacy.address_record)) {
        log_debug(supernode->env->log, "election.candidacy_ignored link=%u late=%d", link->number,
                  is_late);
        return OK;
    }
    return sponsor(supernode, link, &candidacy);
}

/* ---- The calendar ---- */

static void begin_epoch(struct supernode *supernode) {
    evidence_sweep(supernode);
    uint32_t cursor = 0;
    for (struct link *link; (link = links_next(&supernode->links, &cursor)) != NULL;) {
        if (link->purpose == PURPOSE_MESH && link->open && !link->closing && link->owner != NULL) {
            evidence_tell_all(supernode, link->owner); /* what got lost on its way */
        }
    }
}

static void begin_measuring(struct supernode *supernode) {
    uint64_t window_us = epoch_us(supernode) * 4 / SIXTEENTHS;
    measure_begin(supernode,
                  (uint32_t)((window_us < WINDOW_US_MAX ? window_us : WINDOW_US_MAX) / 1000));
}

static uint64_t window_end(const struct supernode *supernode) {
    uint64_t window_us = epoch_us(supernode) * 4 / SIXTEENTHS;
    return epoch_us(supernode) * 6 / SIXTEENTHS +
           (window_us < WINDOW_US_MAX ? window_us : WINDOW_US_MAX);
}

/* When a phase of an epoch is due, microseconds after its start. */
static uint64_t phase_us(const struct supernode *supernode, uint8_t phase) {
    uint64_t unit_us = epoch_us(supernode) / SIXTEENTHS;
    int32_t place = anchor_place(supernode);
    switch (phase) {
    case PHASE_BEGIN:
        return 0;
    case PHASE_DIAL:
        return 4 * unit_us;
    case PHASE_MEASURE:
        return 6 * unit_us;
    case PHASE_ROW:
        return window_end(supernode);
    case PHASE_TELL:
        return 11 * unit_us;
    case PHASE_DECIDE:
        return 14 * unit_us;
    default:
        return 12 * unit_us + (place > 0 ? (uint64_t)place * ANCHOR_TURN_US : 0);
    }
}

static void run_phase(struct supernode *supernode, uint8_t phase) {
    switch (phase) {
    case PHASE_BEGIN:
    case PHASE_TELL:
        begin_epoch(supernode);
        break;
    case PHASE_DIAL:
        measure_dial(supernode);
        break;
    case PHASE_MEASURE:
        begin_measuring(supernode);
        break;
    case PHASE_ROW:
        issue_row(supernode);
        break;
    case PHASE_DECIDE:
        decide_on(supernode, true);
        break;
    default:
        begin_fixing(supernode);
        break;
    }
}

/* A new epoch, or one that the clock was set into: only the phases from here on count. */
static void enter_epoch(struct supernode *supernode, uint32_t epoch, uint64_t into_us) {
    struct election *election = &supernode->election;
    election->epoch = epoch;
    election->checkpoint_waits = false;
    election->phase = PHASE_BEGIN;
    while (election->phase < PHASES &&
           phase_us(supernode, election->phase) + epoch_us(supernode) / SIXTEENTHS < into_us) {
        election->phase++;
    }
}

static void set_timer(struct supernode *supernode) {
    struct election *election = &supernode->election;
    uint64_t into_us = wall_us(supernode) - election->epoch * epoch_us(supernode);
    uint64_t due_us =
        election->phase < PHASES ? phase_us(supernode, election->phase) : epoch_us(supernode);
    uint64_t wait_us = due_us > into_us ? due_us - into_us : 1;
    timers_set(&supernode->timers, &election->timer, supernode->links.mono_us + wait_us);
}

void election_timer(struct supernode *supernode) {
    struct election *election = &supernode->election;
    if (election->fixing.members != NULL && !go_on_fixing(supernode)) {
        timers_set(&supernode->timers, &election->timer, supernode_next_step(supernode));
        return;
    }
    if (election->is_deciding) {
        if (!go_on_deciding(supernode)) {
            timers_set(&supernode->timers, &election->timer, supernode_next_step(supernode));
            return;
        }
        election->is_deciding = false;
    }
    uint64_t now_us = wall_us(supernode);
    uint32_t epoch = (uint32_t)(now_us / epoch_us(supernode));
    uint64_t into_us = now_us % epoch_us(supernode);
    if (epoch != election->epoch) {
        measure_end(supernode);
        hints_sweep(supernode);
        enter_epoch(supernode, epoch, into_us);
        if (election->is_demoted) {
            supernode_shutdown(supernode);
        }
    }
    while (election->phase < PHASES && phase_us(supernode, election->phase) <= into_us &&
           !supernode->is_stopping) {
        run_phase(supernode, election->phase++);
    }
    if (supernode->is_stopping || election->is_deciding || election->fixing.members != NULL) {
        return;
    }
    if (measure_draw(supernode, DRAW_BUDGET)) {
        set_timer(supernode);
    } else {
        timers_set(&supernode->timers, &election->timer, supernode_next_step(supernode));
    }
}

void election_start(struct supernode *supernode) {
    if (!election_is_on(supernode)) {
        return;
    }
    uint64_t now_us = wall_us(supernode);
    load_spoken(supernode);
    evidence_load(supernode);
    enter_epoch(supernode, (uint32_t)(now_us / epoch_us(supernode)), now_us % epoch_us(supernode));
    set_timer(supernode);
}

void election_init(struct supernode *supernode) {
    supernode->election.timer.kind = TIMER_ELECTION;
    evidence_init(supernode);
    measure_init(supernode);
    hints_init(supernode);
    decide_init(&supernode->election.decide, supernode->env->network, supernode->env->crypto,
                supernode->env->seed);
    supernode->links.cert = supernode->env->cert;
}

void election_free(struct supernode *supernode) {
    timers_cancel(&supernode->timers, &supernode->election.timer);
    buf_free(&supernode->election.cert);
    buf_free(&supernode->election.said);
    buf_free(&supernode->election.said_members);
    list_root_free(&supernode->election.sum);
    free_fixing(&supernode->election.fixing);
    decide_free(&supernode->election.decide);
    measure_free(supernode);
    hints_free(supernode);
    evidence_free(supernode);
}
