/* supernode_stage.h - a supernode of a network that elects, other ends that do as told, and the
 * candidacies of these. */
#ifndef TRUNKLINE_TESTS_UNIT_SUPERNODE_STAGE_H
#define TRUNKLINE_TESTS_UNIT_SUPERNODE_STAGE_H

#include "tests/unit/supernode_fake.h"

#include "common/policy.h"

#define EPOCH_S 3600
#define EPOCH_NOW (NET_WALL_S / EPOCH_S)

/* Supernode `one` and the other end `bob` are the anchors. */
struct stage {
    struct net *net;
    struct net_node *one;
    struct fake *bob;
};

static inline struct stage *set_up(const char *policy) {
    struct stage *stage = mem_new(sizeof *stage);
    struct supernode_config config = {0};
    stage->net = net_new(11);
    stage->one = net_add(stage->net);
    struct net_node *other = net_add(stage->net);
    struct network *network = &stage->net->network;
    network->policy = NETWORK_CERTIFIED;
    network->anchor_count = 2;
    network->anchors[0] = stage->one->env.id;
    network->anchors[1] = other->env.id;
    snprintf(network->promotion.policy, sizeof network->promotion.policy, "%s", policy);
    network->promotion.measure_bytes = 65536;
    assert_int_equal(network_seal(network, &stage->one->crypto), OK);
    stage->one->node = supernode_new(&stage->one->env, &config);
    net_start(stage->one);
    stage->bob = fake_start(other);
    return stage;
}

static inline int elected(void **state) {
    *state = set_up(policy_find(NULL)->name);
    return 0;
}

static inline int by_hand(void **state) {
    *state = set_up("");
    return 0;
}

static inline int teardown(void **state) {
    struct stage *stage = *state;
    net_free(stage->net);
    mem_free(stage);
    return 0;
}

static inline struct trust *trust_of(const struct stage *stage) {
    return &supernode_of(stage->one)->trust;
}

/* `owner` would run the supernode with this number; who is to stand for it has signed, or not. */
static inline struct buf draw_up(const struct fake *owner, uint16_t number,
                                 const struct node_env *sponsor, bool is_whole) {
    const struct node_env *env = &owner->place->env;
    struct address_record record = {.key = env->id,
                                    .seq = NET_WALL_S,
                                    .minutes = 60,
                                    .address_count = 1,
                                    .addresses = {env->listen[0]}};
    static struct net_node child; /* whose id signs, and nothing else */
    child.env.id = (struct node_id){{(uint8_t)number, (uint8_t)(number >> 8)}};
    struct crypto its_key = net_crypto;
    its_key.context = &child;
    struct buf address = {0}, body = {0}, bytes = {0};
    wire_address_record_sign(&record, env->crypto, &env->network->id);
    wire_address_record_encode(&address, &record);
    struct candidacy candidacy = {.subject = child.env.id,
                                  .address_record = {address.data, address.len},
                                  .epoch = EPOCH_NOW,
                                  .rate_kib = 64,
                                  .day_mib = 64,
                                  .sponsor = sponsor->id};
    struct signer_env signer = {env->crypto, &env->network->id};
    struct signer_env stander = {sponsor->crypto, &env->network->id};
    wire_candidacy_subject_bytes(&body, &candidacy);
    struct signed_bytes agreed = {
        &env->network->id, RECORD_CANDIDACY_SUBJECT, {body.data, body.len}};
    crypto_sign(&its_key, &agreed, candidacy.by_subject);
    wire_candidacy_sign(&candidacy, &signer);
    if (is_whole) {
        wire_candidacy_sponsor(&candidacy, &stander);
    }
    wire_candidacy_encode(&bytes, &candidacy);
    buf_free(&body);
    buf_free(&address);
    return bytes;
}

/* It names who is to stand for it, and is the sponsor itself, or that one has not signed yet. */
static inline struct buf candidacy_for(const struct fake *owner, uint16_t number,
                                       const struct node_env *sponsor) {
    return draw_up(owner, number, sponsor, sponsor == &owner->place->env);
}

static inline struct buf sponsored_by(const struct fake *owner, uint16_t number,
                                      const struct node_env *sponsor) {
    return draw_up(owner, number, sponsor, true);
}

/* It stands for itself: of an anchor's such a record is whole. */
static inline struct buf candidacy_of(const struct fake *owner, uint16_t number) {
    return candidacy_for(owner, number, &owner->place->env);
}

/* A certificate that a made-up checkpoint is said to stand behind. */
static inline struct buf unproven_cert(const struct fake *fake) {
    struct cert cert = {.subject = fake->place->env.id,
                        .epoch = EPOCH_NOW,
                        .life = CERT_VALID_EPOCHS,
                        .checkpoint = {{7}},
                        .signer_count = 1};
    struct buf bytes = {0};
    wire_cert_encode(&bytes, &cert);
    return bytes;
}

#endif
