/* trust_take.c - takes one record: checks it, keeps it, notices who contradicts himself. */
#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "common/trust_parts.h"

#define EARLY_EPOCHS 1     /* that a record may be ahead of our clock */
#define VOTES_ALONE_MIN 64 /* of one signer that nobody else has signed */

bool trust_is_current(const struct trust *trust, uint32_t epoch, uint32_t kept) {
    return epoch <= trust->now_epoch + EARLY_EPOCHS && epoch + kept > trust->now_epoch;
}

bool trust_is_fraud(const struct trust *trust, const struct node_id *id) {
    return map_get(&trust->frauds, id->b) != NULL;
}

/* ---- FRAUD ---- */

/* Which of an anchor's checkpoints of one epoch came first differs from node to node: none counts,
 * and the next anchor may fix that epoch. */
static void drop_contested(struct trust *trust, const struct trust_record *record) {
    struct fraud fraud;
    struct checkpoint checkpoint;
    CHECK(wire_fraud_decode(trust_bytes(record), &fraud) == OK);
    if (fraud.type == RECORD_CHECKPOINT) {
        CHECK(wire_checkpoint_decode(fraud.first, &checkpoint) == OK);
        struct trust_checkpoint *known = trust_checkpoint_at(trust, checkpoint.epoch);
        if (known != NULL && known->checkpoint.anchor == checkpoint.anchor) {
            trust_drop_checkpoint(trust, known);
        }
    }
}

/* Whoever signed it is nobody any more: what he said does not count, and his seat is lost. */
static void condemn(struct trust *trust, const struct node_id *signer,
                    struct trust_record *record) {
    map_put(&trust->frauds, signer->b, record);
    struct trust_issuer *issuer = map_remove(&trust->issuers, signer->b);
    for (uint32_t i = 0; issuer != NULL && i < TRUST_EPOCHS; i++) {
        trust_drop(trust, issuer->rows[i]);
    }
    mem_free(issuer);
    mem_free(map_remove(&trust->certified, signer->b));
    drop_contested(trust, record);
    char id[NODE_ID_SHORT_BYTES];
    node_id_short(id, signer);
    log_warn(trust->env.log, "trust.fraud id=%s", id);
}

/* For what is remembered for good. */
static bool has_room(const struct trust *trust) {
    return trust->frauds.count - trust->passing < TRUST_FRAUDS_MAX;
}

/* Build the proof out of two encoded records, and act on it. */
static enum err accuse(struct trust *trust, const struct trust_record *known, struct slice other,
                       const struct node_id *signer, struct trust_record **added) {
    struct slice one = trust_bytes(known);
    uint8_t type = known->type == MSG_ROW ? RECORD_ROW : RECORD_CHECKPOINT;
    int order = wire_compare_signed(one, other);
    if (order == 0 || trust_is_fraud(trust, signer) || !has_room(trust)) {
        return ERR_POLICY; /* order 0: the same, signed once more, contradicts nothing */
    }
    struct fraud fraud = {
        .type = type, .first = order < 0 ? one : other, .second = order < 0 ? other : one};
    struct buf encoded = {0};
    wire_fraud_encode(&encoded, &fraud);
    struct slice bytes = {encoded.data, encoded.len};
    bool is_taken = trust_find(trust, trust_prefix(trust, bytes)) != NULL; /* 64 bits can collide */
    if (!is_taken) {
        *added = trust_keep(trust, MSG_FRAUD, trust->now_epoch, bytes);
        condemn(trust, signer, *added);
    }
    buf_free(&encoded);
    return is_taken ? ERR_POLICY : OK;
}

/* Whether what this key says has counted for anything of late. */
static bool is_somebody(const struct trust *trust, const struct node_id *id) {
    bool is_known = network_is_anchor(trust->env.network, id) ||
                    map_get(&trust->certified, id->b) != NULL ||
                    map_get(&trust->issuers, id->b) != NULL;
    for (uint32_t i = 0; i < TRUST_EPOCHS && !is_known; i++) {
        const struct trust_checkpoint *past = trust->checkpoints[i];
        is_known = past != NULL && past->members != NULL &&
                   trust_place(past->members, past->checkpoint.members, id) >= 0;
    }
    return is_known;
}

/* Whether a proof against this key is taken. Anybody can make keys that contradict themselves:
 * those of nobody do not count, and those of candidates take no room but theirs. One who was
 * condemned before we came is a candidate, and so condemned, when he comes back. */
static enum err room_for(const struct trust *trust, const struct node_id *signer,
                         bool *is_passing) {
    if (trust->is_loading || is_somebody(trust, signer)) {
        return has_room(trust) ? OK : ERR_BUSY;
    }
    *is_passing = map_get(&trust->candidates, signer->b) != NULL;
    return *is_passing ? OK : ERR_POLICY;
}

/* Who signed the records of a proof, when both signatures are right. */
static enum err check_fraud(const struct trust *trust, const struct fraud *fraud,
                            struct node_id *signer) {
    struct signer_env env = trust_signer_env(trust);
    const struct network *network = trust->env.network;
    struct slice halves[2] = {fraud->first, fraud->second};
    enum err err = OK;
    for (int i = 0; i < 2 && err == OK; i++) {
        if (fraud->type == RECORD_ROW) {
            struct row_record row;
            CHECK(wire_row_decode(halves[i], &row) == OK);
            err = wire_row_check(&row, &env);
            *signer = row.issuer;
        } else {
            struct checkpoint checkpoint;
            CHECK(wire_checkpoint_decode(halves[i], &checkpoint) == OK);
            err = checkpoint.anchor < network->anchor_count ? OK : ERR_AUTH;
            *signer = network->anchors[err == OK ? checkpoint.anchor : 0];
            err = err != OK ? err : wire_checkpoint_check(&checkpoint, signer, &env);
        }
    }
    return err;
}

static enum err take_fraud(struct trust *trust, struct slice bytes, struct trust_record **added) {
    struct fraud fraud;
    struct node_id signer = {0};
    bool is_passing = false;
    enum err err = wire_fraud_decode(bytes, &fraud);
    err = err == OK && fraud.tlvs.len > 0 ? ERR_POLICY : err; /* nobody has signed those */
    err = err != OK ? err : check_fraud(trust, &fraud, &signer);
    if (err == OK && trust_is_fraud(trust, &signer)) {
        return OK; /* another proof of the same */
    }
    if (err == OK) {
        err = room_for(trust, &signer, &is_passing);
    }
    if (err == OK) {
        *added = trust_keep(trust, MSG_FRAUD, trust->now_epoch, bytes);
        (*added)->is_passing = is_passing;
        trust->passing += is_passing;
        condemn(trust, &signer, *added);
    }
    return err;
}

/* ---- ROW ---- */

static struct trust_issuer *issuer_of(struct trust *trust, const struct node_id *id) {
    struct trust_issuer *issuer = map_get(&trust->issuers, id->b);
    if (issuer == NULL) {
        issuer = mem_new(sizeof *issuer);
        issuer->id = *id;
        map_put(&trust->issuers, id->b, issuer);
    }
    return issuer;
}

static enum err take_row(struct trust *trust, struct slice bytes, struct trust_record **added) {
    struct row_record row;
    struct signer_env env = trust_signer_env(trust);
    enum err err = wire_row_decode(bytes, &row);
    if (err != OK) {
        return err;
    }
    if (!trust_is_current(trust, row.epoch, TRUST_EPOCHS) || trust_is_fraud(trust, &row.issuer) ||
        !trust_may_issue(trust, &row.issuer, row.epoch)) {
        return ERR_POLICY;
    }
    err = wire_row_check(&row, &env);
    if (err != OK) {
        return err;
    }
    struct trust_issuer *issuer = issuer_of(trust, &row.issuer);
    struct trust_record **place = &issuer->rows[row.epoch % TRUST_EPOCHS];
    if (*place != NULL && (*place)->epoch == row.epoch) {
        return accuse(trust, *place, bytes, &row.issuer, added);
    }
    if (*place != NULL && (*place)->epoch > row.epoch) {
        return ERR_POLICY;
    }
    trust_drop(trust, *place);
    *place = trust_keep(trust, MSG_ROW, row.epoch, bytes);
    *added = *place;
    return OK;
}

/* ---- CHECKPOINT and MEMBERS ---- */

static void keep_checkpoint(struct trust *trust, const struct checkpoint *checkpoint,
                            struct slice bytes, struct trust_record **added) {
    struct trust_checkpoint *before = trust->checkpoints[checkpoint->epoch % TRUST_EPOCHS];
    if (before != NULL) {
        trust_drop_checkpoint(trust, before);
    }
    struct trust_checkpoint *kept = mem_new(sizeof *kept);
    kept->checkpoint = *checkpoint;
    kept->wanted = wire_checkpoint_wanted(checkpoint);
    kept->checkpoint.tlvs = (struct slice){0};
    crypto_hash(trust->env.crypto, bytes, &kept->hash);
    kept->record = trust_keep(trust, MSG_CHECKPOINT, checkpoint->epoch, bytes);
    trust->checkpoints[checkpoint->epoch % TRUST_EPOCHS] = kept;
    if (trust->latest == NULL || trust->latest->checkpoint.epoch < checkpoint->epoch) {
        trust->latest = kept;
    }
    trust_note_gaps(trust);
    *added = kept->record;
}

/* While no anchor was there the epochs of what is kept do not move on: they are counted from the
 * latest checkpoint. */
static bool checkpoint_is_current(const struct trust *trust, uint32_t epoch) {
    uint32_t at = trust_cert_epoch(trust);
    return epoch <= trust->now_epoch + EARLY_EPOCHS && epoch + TRUST_EPOCHS > at;
}

static enum err take_checkpoint(struct trust *trust, struct slice bytes,
                                struct trust_record **added) {
    struct checkpoint checkpoint;
    struct signer_env env = trust_signer_env(trust);
    const struct network *network = trust->env.network;
    enum err err = wire_checkpoint_decode(bytes, &checkpoint);
    if (err != OK) {
        return err;
    }
    if (checkpoint.anchor >= network->anchor_count) {
        return ERR_AUTH;
    }
    const struct node_id *anchor = &network->anchors[checkpoint.anchor];
    if (!checkpoint_is_current(trust, checkpoint.epoch) || trust_is_fraud(trust, anchor)) {
        return ERR_POLICY;
    }
    err = wire_checkpoint_check(&checkpoint, anchor, &env);
    if (err != OK) {
        return err;
    }
    struct trust_checkpoint *known = trust_checkpoint_at(trust, checkpoint.epoch);
    if (known != NULL && known->checkpoint.anchor == checkpoint.anchor) {
        return accuse(trust, known->record, bytes, anchor, added);
    }
    struct trust_checkpoint *place = trust->checkpoints[checkpoint.epoch % TRUST_EPOCHS];
    bool is_beaten = known != NULL && known->checkpoint.anchor < checkpoint.anchor;
    if (is_beaten || (place != NULL && place->checkpoint.epoch > checkpoint.epoch)) {
        return ERR_POLICY;
    }
    keep_checkpoint(trust, &checkpoint, bytes, added);
    return OK;
}

static enum err take_members(struct trust *trust, struct slice bytes, struct trust_record **added) {
    struct members members;
    enum err err = wire_members_decode(bytes, &members);
    if (err != OK) {
        return err;
    }
    if (members.tlvs.len > 0) {
        return ERR_POLICY; /* the root does not stand for them: anybody could have put them there */
    }
    struct trust_checkpoint *checkpoint = trust_checkpoint_at(trust, members.epoch);
    if (checkpoint == NULL) {
        return ERR_NOT_FOUND;
    }
    if (checkpoint->members != NULL) {
        return ERR_POLICY; /* known bytes do not come here: these are others */
    }
    struct node_id *keys = mem_copy(members.keys.data, members.keys.len);
    struct hash root;
    trust_set_root(trust, keys, members.count, &root);
    if (members.count != checkpoint->checkpoint.members ||
        memcmp(root.b, checkpoint->checkpoint.set_root.b, sizeof root.b) != 0) {
        mem_free(keys);
        return ERR_AUTH;
    }
    checkpoint->members = keys;
    checkpoint->members_record = trust_keep(trust, MSG_MEMBERS, members.epoch, bytes);
    *added = checkpoint->members_record;
    return OK;
}

/* ---- CERT: a vote ---- */

static struct trust_checkpoint *checkpoint_named(const struct trust *trust,
                                                 const struct hash *hash) {
    for (uint32_t i = 0; i < TRUST_EPOCHS; i++) {
        struct trust_checkpoint *checkpoint = trust->checkpoints[i];
        if (checkpoint != NULL && memcmp(checkpoint->hash.b, hash->b, sizeof hash->b) == 0) {
            return checkpoint;
        }
    }
    return NULL;
}

/* Put a signature in its place; false when it stands there already or there are enough. */
static bool add_signer(struct cert *cert, const struct cert_signer *signer) {
    uint8_t at = 0;
    while (at < cert->signer_count && cert->signers[at].signer < signer->signer) {
        at++;
    }
    if (cert->signer_count == CERT_SIGNERS_MAX ||
        (at < cert->signer_count && cert->signers[at].signer == signer->signer)) {
        return false;
    }
    memmove(&cert->signers[at + 1], &cert->signers[at],
            (size_t)(cert->signer_count - at) * sizeof *signer);
    cert->signers[at] = *signer;
    cert->signer_count++;
    return true;
}

static bool same_cert(const struct cert *a, const struct cert *b) {
    return a->epoch == b->epoch && a->life == b->life;
}

/* When the signatures are enough it is the subject's certificate, unless that has a longer one. */
static void complete(struct trust *trust, const struct cert *cert) {
    if (trust_check_signers(trust, cert) != OK) {
        return;
    }
    struct trust_certified *held = map_get(&trust->certified, cert->subject.b);
    if (held == NULL && trust->certified.count >= TRUST_CERTIFIED_MAX) {
        return;
    }
    if (held == NULL) {
        held = mem_new(sizeof *held);
        map_put(&trust->certified, cert->subject.b, held);
    }
    bool is_longer = held->cert.epoch + held->cert.life < cert->epoch + cert->life;
    bool is_same = same_cert(&held->cert, cert);
    if (is_longer || (is_same && held->cert.signer_count < cert->signer_count)) {
        held->cert = *cert;
    }
}

/* Whether this signer is the first of more certificates under a checkpoint than one decision makes:
 * a liar could fill the room for all votes with names that nobody knows. Anchors that sign alone
 * may: they raise the first supernodes of a network at once. */
static bool begins_too_many(const struct trust *trust, const struct trust_checkpoint *checkpoint,
                            const struct cert *cert) {
    uint32_t begun = 0;
    uint32_t cursor = 0;
    for (const struct trust_certified *growing;
         (growing = map_next(&trust->votes, &cursor, NULL)) != NULL;) {
        begun +=
            growing->cert.signer_count == 1 &&
            growing->cert.signers[0].signer == cert->signers[0].signer &&
            memcmp(growing->cert.checkpoint.b, cert->checkpoint.b, sizeof cert->checkpoint) == 0;
    }
    uint32_t members = checkpoint->checkpoint.members;
    return members >= SEATS_QUORUM_SHARED && begun >= VOTES_ALONE_MIN + 2 * members;
}

static enum err take_vote(struct trust *trust, struct slice bytes, struct trust_record **added) {
    struct cert cert;
    enum err err = wire_cert_decode(bytes, &cert);
    if (err != OK) {
        return err;
    }
    struct trust_checkpoint *checkpoint = checkpoint_named(trust, &cert.checkpoint);
    if (checkpoint == NULL) {
        return ERR_NOT_FOUND;
    }
    bool is_regular = cert.signer_count == 1 && cert.tlvs.len == 0 && cert.flags == 0 &&
                      cert.life == CERT_VALID_EPOCHS && /* all votes sign the same bytes */
                      cert.epoch == checkpoint->checkpoint.epoch + 1;
    bool is_over = trust_cert_end(trust, &cert) < trust_cert_epoch(trust);
    if (!is_regular || is_over || trust_is_fraud(trust, &cert.subject)) {
        return ERR_POLICY;
    }
    err = trust_check_vote(trust, checkpoint, &cert, &cert.signers[0]);
    if (err != OK) {
        return err;
    }
    uint8_t key[VOTE_KEY_BYTES];
    trust_vote_key(key, &cert.subject, &cert.checkpoint);
    struct trust_certified *growing = map_get(&trust->votes, key);
    if (growing == NULL) {
        if (trust->votes.count >= TRUST_VOTES_MAX || begins_too_many(trust, checkpoint, &cert)) {
            return ERR_BUSY;
        }
        growing = mem_new(sizeof *growing);
        growing->cert = cert;
        trust_draw_committee(trust, checkpoint, growing);
        map_put(&trust->votes, key, growing);
    } else if (!add_signer(&growing->cert, &cert.signers[0])) {
        return ERR_POLICY;
    }
    *added = trust_keep(trust, MSG_CERT, cert.epoch, bytes);
    complete(trust, &growing->cert);
    return OK;
}

/* ---- All of them ---- */

enum err trust_take(struct trust *trust, uint8_t type, struct slice bytes,
                    struct trust_record **added) {
    static const struct {
        uint8_t type;
        enum err (*take)(struct trust *trust, struct slice bytes, struct trust_record **added);
    } takers[] = {
        {MSG_ROW, take_row},         {MSG_CANDIDACY, trust_take_candidacy},
        {MSG_FRAUD, take_fraud},     {MSG_CHECKPOINT, take_checkpoint},
        {MSG_MEMBERS, take_members}, {MSG_CERT, take_vote},
    };
    *added = NULL;
    if (trust_find(trust, trust_prefix(trust, bytes)) != NULL) {
        return OK;
    }
    enum err err = ERR_UNEXPECTED;
    for (size_t i = 0; i < sizeof takers / sizeof takers[0]; i++) {
        err = takers[i].type == type ? takers[i].take(trust, bytes, added) : err;
    }
    trust->refused += err != OK;
    return err;
}
