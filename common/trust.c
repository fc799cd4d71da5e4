/* trust.c - keeps the evidence of promotion: what there is, by which key it is found, when it goes.
 */
#include "common/trust.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/mem.h"
#include "common/trust_parts.h"

#define CANDIDACY_EPOCHS 2 /* of the last ones that are kept */

void trust_init(struct trust *trust, const struct trust_env *env) {
    *trust = (struct trust){.env = *env};
    map_init(&trust->records, sizeof(uint64_t), env->seed ^ 0x7265636f726473);
    map_init(&trust->issuers, sizeof(struct node_id), env->seed ^ 0x69737375657273);
    map_init(&trust->candidates, sizeof(struct node_id), env->seed ^ 0x63616e6469);
    map_init(&trust->sponsors, sizeof(struct node_id), env->seed ^ 0x73706f6e73);
    map_init(&trust->votes, VOTE_KEY_BYTES, env->seed ^ 0x766f746573);
    map_init(&trust->certified, sizeof(struct node_id), env->seed ^ 0x63657274);
    map_init(&trust->shirkers, sizeof(struct node_id), env->seed ^ 0x736869726b);
    map_init(&trust->frauds, sizeof(struct node_id), env->seed ^ 0x667261756473);
}

/* ---- Records ---- */

static const uint8_t order[] = {MSG_CHECKPOINT, MSG_MEMBERS, MSG_FRAUD,
                                MSG_CERT,       MSG_ROW,     MSG_CANDIDACY};

uint8_t trust_type(uint8_t rank) {
    return rank < sizeof order ? order[rank] : 0;
}

uint8_t trust_rank(uint8_t type) {
    uint8_t rank = 0;
    while (rank < sizeof order && order[rank] != type) {
        rank++;
    }
    return rank;
}

static uint64_t prefix_of(const struct hash *hash) {
    struct reader reader = reader_of(hash->b, sizeof hash->b);
    return reader_u64(&reader);
}

uint64_t trust_prefix(const struct trust *trust, struct slice bytes) {
    struct hash hash;
    crypto_hash(trust->env.crypto, bytes, &hash);
    return prefix_of(&hash);
}

struct trust_record *trust_find(const struct trust *trust, uint64_t prefix) {
    return map_get(&trust->records, &prefix);
}

struct slice trust_bytes(const struct trust_record *record) {
    return (struct slice){record->bytes, record->len};
}

struct trust_record *trust_keep(struct trust *trust, uint8_t type, uint32_t epoch,
                                struct slice bytes) {
    struct trust_record *record = mem_new(sizeof *record);
    crypto_hash(trust->env.crypto, bytes, &record->hash);
    record->prefix = prefix_of(&record->hash);
    record->type = type;
    record->epoch = epoch;
    record->len = (uint32_t)bytes.len;
    record->bytes = mem_copy(bytes.data, bytes.len);
    struct trust_record *before = map_put(&trust->records, &record->prefix, record);
    CHECK(before == NULL); /* looked for before it was taken */
    trust->changes += type != MSG_CERT;
    return record;
}

void trust_drop(struct trust *trust, struct trust_record *record) {
    if (record != NULL) {
        map_remove(&trust->records, &record->prefix);
        trust->changes += record->type != MSG_CERT;
        mem_free(record->bytes);
        mem_free(record);
    }
}

/* ---- What is too old ---- */

static struct trust_checkpoint *find_latest(const struct trust *trust) {
    struct trust_checkpoint *latest = NULL;
    for (uint32_t i = 0; i < TRUST_EPOCHS; i++) {
        struct trust_checkpoint *known = trust->checkpoints[i];
        bool is_later =
            known != NULL && (latest == NULL || known->checkpoint.epoch > latest->checkpoint.epoch);
        latest = is_later ? known : latest;
    }
    return latest;
}

void trust_drop_checkpoint(struct trust *trust, struct trust_checkpoint *checkpoint) {
    trust->checkpoints[checkpoint->checkpoint.epoch % TRUST_EPOCHS] = NULL;
    trust->latest = find_latest(trust);
    trust_drop(trust, checkpoint->record);
    trust_drop(trust, checkpoint->members_record);
    mem_free(checkpoint->members);
    mem_free(checkpoint);
}

static void expire_rows(struct trust *trust, uint32_t oldest) {
    uint32_t cursor = 0;
    for (struct trust_issuer *issuer;
         (issuer = map_next(&trust->issuers, &cursor, NULL)) != NULL;) {
        bool has_any = false;
        for (uint32_t i = 0; i < TRUST_EPOCHS; i++) {
            if (issuer->rows[i] != NULL && issuer->rows[i]->epoch < oldest) {
                trust_drop(trust, issuer->rows[i]);
                issuer->rows[i] = NULL;
            }
            has_any = has_any || issuer->rows[i] != NULL;
        }
        if (!has_any) {
            map_remove(&trust->issuers, issuer->id.b);
            mem_free(issuer);
        }
    }
}

static void expire_candidates(struct trust *trust, uint32_t oldest) {
    uint32_t cursor = 0;
    for (struct trust_candidate *candidate;
         (candidate = map_next(&trust->candidates, &cursor, NULL)) != NULL;) {
        if (candidate->record->epoch < oldest) {
            trust_drop_candidate(trust, candidate);
        }
    }
}

/* Votes have records of their own; what they grew into goes when it can hold no more. */
static void expire_certs(const struct trust *trust, struct map *map, uint32_t oldest) {
    uint32_t cursor = 0;
    const void *key;
    for (struct trust_certified *held; (held = map_next(map, &cursor, &key)) != NULL;) {
        if (trust_cert_end(trust, &held->cert) < oldest) {
            map_remove(map, key);
            mem_free(held);
        }
    }
}

static void expire_votes(struct trust *trust, uint32_t oldest) {
    uint32_t cursor = 0;
    for (struct trust_record *record;
         (record = map_next(&trust->records, &cursor, NULL)) != NULL;) {
        const struct cert vote = {.epoch = record->epoch, .life = CERT_VALID_EPOCHS};
        if (record->type == MSG_CERT && trust_cert_end(trust, &vote) < oldest) {
            trust_drop(trust, record);
        }
    }
}

static void expire_shirkers(struct trust *trust, uint32_t epoch) {
    uint32_t cursor = 0;
    const void *key;
    for (struct trust_shirker *shirker;
         (shirker = map_next(&trust->shirkers, &cursor, &key)) != NULL;) {
        if (shirker->until_epoch <= epoch) {
            map_remove(&trust->shirkers, key);
            mem_free(shirker);
        }
    }
}

/* The epoch that certificates are held against: it stops where the checkpoints stop. */
uint32_t trust_cert_epoch(const struct trust *trust) {
    uint32_t freeze = TRUST_FREEZE_S / network_epoch_s(trust->env.network);
    if (trust->latest == NULL || trust->now_epoch > trust->latest->checkpoint.epoch + freeze) {
        return trust->now_epoch;
    }
    uint32_t reached = trust->latest->checkpoint.epoch + 1;
    return reached < trust->now_epoch ? reached : trust->now_epoch;
}

uint32_t trust_cert_end(const struct trust *trust, const struct cert *cert) {
    uint32_t end = cert->epoch + cert->life;
    for (uint32_t i = 0; i < TRUST_EPOCHS; i++) {
        const struct trust_checkpoint *known = trust->checkpoints[i];
        /* Signed under an earlier one, and so before the gap. */
        end += known != NULL && known->checkpoint.epoch >= cert->epoch ? known->gap : 0;
    }
    return end;
}

void trust_note_gaps(struct trust *trust) {
    for (uint32_t i = 0; i < TRUST_EPOCHS; i++) {
        struct trust_checkpoint *known = trust->checkpoints[i];
        for (uint32_t j = 0; known != NULL && j < TRUST_EPOCHS; j++) {
            const struct trust_checkpoint *before = trust->checkpoints[j];
            if (before != NULL && before->checkpoint.epoch < known->checkpoint.epoch &&
                memcmp(before->hash.b, known->checkpoint.previous.b, sizeof before->hash.b) == 0) {
                known->gap = known->checkpoint.epoch - before->checkpoint.epoch - 1;
            }
        }
    }
}

void trust_advance(struct trust *trust, uint32_t epoch) {
    if (epoch <= trust->now_epoch) {
        return; /* forgets nothing */
    }
    trust->now_epoch = epoch;
    uint32_t at = trust_cert_epoch(trust);
    uint32_t oldest = at > TRUST_EPOCHS ? at - TRUST_EPOCHS + 1 : 0;
    for (uint32_t i = 0; i < TRUST_EPOCHS; i++) {
        struct trust_checkpoint *checkpoint = trust->checkpoints[i];
        if (checkpoint != NULL && checkpoint->checkpoint.epoch < oldest) {
            trust_drop_checkpoint(trust, checkpoint);
        }
    }
    expire_rows(trust, oldest);
    expire_candidates(trust, epoch >= CANDIDACY_EPOCHS ? epoch - CANDIDACY_EPOCHS + 1 : 0);
    expire_certs(trust, &trust->votes, at);
    expire_certs(trust, &trust->certified, at);
    expire_votes(trust, at);
    expire_shirkers(trust, epoch);
}

void trust_set_back(struct trust *trust, uint32_t epoch) {
    trust->now_epoch = epoch < trust->now_epoch ? epoch : trust->now_epoch;
}

struct trust_checkpoint *trust_checkpoint_at(const struct trust *trust, uint32_t epoch) {
    struct trust_checkpoint *checkpoint = trust->checkpoints[epoch % TRUST_EPOCHS];
    return checkpoint != NULL && checkpoint->checkpoint.epoch == epoch ? checkpoint : NULL;
}

/* ---- The end ---- */

static void free_values(struct map *map) {
    uint32_t cursor = 0;
    for (void *value; (value = map_next(map, &cursor, NULL)) != NULL;) {
        mem_free(value);
    }
    map_free(map);
}

void trust_free(struct trust *trust) {
    uint32_t cursor = 0;
    for (struct trust_record *record;
         (record = map_next(&trust->records, &cursor, NULL)) != NULL;) {
        mem_free(record->bytes);
    }
    for (uint32_t i = 0; i < TRUST_EPOCHS; i++) {
        if (trust->checkpoints[i] != NULL) {
            mem_free(trust->checkpoints[i]->members);
            mem_free(trust->checkpoints[i]);
        }
    }
    free_values(&trust->records);
    free_values(&trust->issuers);
    free_values(&trust->candidates);
    free_values(&trust->sponsors);
    free_values(&trust->votes);
    free_values(&trust->certified);
    free_values(&trust->shirkers);
    map_free(&trust->frauds); /* its values are records */
}
