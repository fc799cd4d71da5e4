/* trust_people.h - people with real keys, their network, and the records of promotion that they
 * sign: for tests of what is made of such records. */
#ifndef TRUNKLINE_TESTS_UNIT_TRUST_PEOPLE_H
#define TRUNKLINE_TESTS_UNIT_TRUST_PEOPLE_H

#include "tests/unit/testlib.h"

#include <stdlib.h>

#include "common/limits.h"
#include "common/trust.h"

enum { PEOPLE = 24, EPOCH = 1000, EPOCH_S = 3600 };

static struct test_identity identities[PEOPLE];
static struct test_identity *people[PEOPLE]; /* by rising id */
static struct network network;
static struct trust_record *added; /* by the last record that was taken */

static inline int compare_people(const void *a, const void *b) {
    const struct test_identity *const *first = a, *const *second = b;
    return memcmp((*first)->id.b, (*second)->id.b, sizeof(struct node_id));
}

static inline int make_people(void **state) {
    (void)state;
    for (uint32_t i = 0; i < PEOPLE; i++) {
        test_identity_init(&identities[i], 7000 + i);
        people[i] = &identities[i];
    }
    qsort(people, PEOPLE, sizeof *people, compare_people);
    return 0;
}

static inline int free_people(void **state) {
    (void)state;
    for (uint32_t i = 0; i < PEOPLE; i++) {
        test_identity_free(&identities[i]);
    }
    return 0;
}

/* The first of the people are the anchors, at the places of their numbers. */
static inline void make_network(uint32_t anchors) {
    network = (struct network){.name = "tested", .epoch_s = EPOCH_S, .anchor_count = anchors};
    for (uint32_t i = 0; i < anchors; i++) {
        network.anchors[i] = people[i]->id;
    }
    assert_int_equal(network_seal(&network, &people[0]->crypto), OK);
}

static inline void open_trust(struct trust *trust, uint64_t seed) {
    struct trust_env env = {.network = &network, .crypto = &identities[0].crypto, .seed = seed};
    trust_init(trust, &env);
    trust_advance(trust, EPOCH);
}

static inline struct slice slice_of(const struct buf *buf) {
    return (struct slice){buf->data, buf->len};
}

static inline enum err take(struct trust *trust, uint8_t type, const struct buf *bytes) {
    return trust_take(trust, type, slice_of(bytes), &added);
}

static inline struct signer_env signer(const struct test_identity *identity) {
    return (struct signer_env){&identity->crypto, &network.id};
}

/* ---- Makers; the caller frees ---- */

/* Members are the first `count` of the people. */
static inline struct buf checkpoint_of(uint8_t anchor, uint32_t epoch, uint32_t count,
                                       uint8_t beacon) {
    struct checkpoint checkpoint = {
        .epoch = epoch, .members = count, .anchor = anchor, .beacon = {{beacon}}};
    struct node_id keys[PEOPLE];
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = people[i]->id;
    }
    struct trust trust = {.env = {.crypto = &people[0]->crypto}};
    trust_set_root(&trust, keys, count, &checkpoint.set_root);
    struct signer_env env = signer(people[anchor]);
    struct buf bytes = {0};
    wire_checkpoint_sign(&checkpoint, &env);
    wire_checkpoint_encode(&bytes, &checkpoint);
    return bytes;
}

static inline struct buf members_of(uint32_t first, uint32_t epoch, uint16_t count,
                                    struct slice tlvs) {
    struct buf keys = {0}, bytes = {0};
    for (uint32_t i = first; i < first + count; i++) {
        buf_append(&keys, people[i]->id.b, sizeof people[i]->id.b);
    }
    struct members members = {
        .epoch = epoch, .count = count, .keys = slice_of(&keys), .tlvs = tlvs};
    wire_members_encode(&bytes, &members);
    buf_free(&keys);
    return bytes;
}

/* A checkpoint and its members are known; *hash is the checkpoint's. */
static inline void fix(struct trust *trust, uint32_t epoch, uint16_t count, struct hash *hash) {
    struct buf checkpoint = checkpoint_of(0, epoch, count, 1);
    struct buf members = members_of(0, epoch, count, (struct slice){0});
    assert_int_equal(take(trust, MSG_CHECKPOINT, &checkpoint), OK);
    assert_int_equal(take(trust, MSG_MEMBERS, &members), OK);
    crypto_hash(&people[0]->crypto, slice_of(&checkpoint), hash);
    buf_free(&checkpoint);
    buf_free(&members);
}

static inline struct buf address_record_of(struct test_identity *owner, uint32_t epoch) {
    struct address_record record = {.key = owner->id,
                                    .seq = (uint64_t)epoch * EPOCH_S,
                                    .minutes = 60,
                                    .address_count = 1,
                                    .addresses = {test_address(9, 6346)}};
    struct buf bytes = {0};
    wire_address_record_sign(&record, &owner->crypto, &network.id);
    wire_address_record_encode(&bytes, &record);
    return bytes;
}

/* All that is said of one who would serve. */
struct standing {
    struct test_identity *owner;
    struct test_identity *subject;
    struct test_identity *sponsor;
    uint32_t epoch;
    uint32_t rate_kib;
};

static inline struct buf standing_of(const struct standing *standing) {
    struct buf record = address_record_of(standing->owner, standing->epoch), body = {0},
               bytes = {0};
    struct candidacy candidacy = {.subject = standing->subject->id,
                                  .address_record = slice_of(&record),
                                  .epoch = standing->epoch,
                                  .rate_kib = standing->rate_kib,
                                  .day_mib = 20480,
                                  .sponsor = standing->sponsor->id};
    struct signer_env owner = signer(standing->owner), sponsor = signer(standing->sponsor);
    wire_candidacy_subject_bytes(&body, &candidacy);
    struct signed_bytes agreed = {&network.id, RECORD_CANDIDACY_SUBJECT, slice_of(&body)};
    crypto_sign(&standing->subject->crypto, &agreed, candidacy.by_subject);
    wire_candidacy_sign(&candidacy, &owner);
    wire_candidacy_sponsor(&candidacy, &sponsor);
    wire_candidacy_encode(&bytes, &candidacy);
    buf_free(&body);
    buf_free(&record);
    return bytes;
}

/* The first anchor stands for it. */
static inline struct buf candidacy_of(struct test_identity *owner, struct test_identity *subject,
                                      uint32_t epoch, uint32_t rate_kib) {
    const struct standing standing = {owner, subject, people[0], epoch, rate_kib};
    return standing_of(&standing);
}

/* What a person at a place signs about a subject. */
struct ballot {
    const struct node_id *subject;
    uint32_t epoch;
    uint8_t life;
    uint8_t flags;
    struct hash checkpoint; /* zero: by hand */
    uint16_t place;
};

static inline struct buf signed_by(struct test_identity *identity, const struct ballot *ballot) {
    struct cert cert = {.subject = *ballot->subject,
                        .epoch = ballot->epoch,
                        .life = ballot->life,
                        .flags = ballot->flags,
                        .checkpoint = ballot->checkpoint,
                        .signer_count = 1,
                        .signers = {{.signer = ballot->place}}};
    struct buf body = {0}, bytes = {0};
    wire_cert_signed_bytes(&body, &cert);
    struct signed_bytes covered = {&network.id, RECORD_CERT, slice_of(&body)};
    crypto_sign(&identity->crypto, &covered, cert.signers[0].signature);
    wire_cert_encode(&bytes, &cert);
    buf_free(&body);
    return bytes;
}

static inline struct buf vote_of(uint16_t place, const struct node_id *subject,
                                 const struct hash *fixed) {
    struct ballot ballot = {.subject = subject,
                            .epoch = EPOCH + 1,
                            .life = CERT_VALID_EPOCHS,
                            .checkpoint = *fixed,
                            .place = place};
    return signed_by(people[place], &ballot);
}

#endif
