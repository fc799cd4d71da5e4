/* test_supernode_election.c - what strangers, leaves and neighbours may make a supernode do by the
 * messages of an election. */
#include "tests/unit/supernode_stage.h"

static void send_have(struct stage *stage, struct link *link, const struct buf *record) {
    struct buf prefix = {0}, payload = {0};
    buf_u64(&prefix, trust_prefix(trust_of(stage), (struct slice){record->data, record->len}));
    struct trust_list list = {.count = 1, .prefixes = {prefix.data, prefix.len}};
    wire_trust_list_encode(&payload, &list);
    fake_send(link, MSG_TRUST_HAVE, &payload);
    buf_free(&prefix);
    net_run(stage->net, 1000);
}

static void add_evidence(struct stage *stage, uint8_t type, struct buf *bytes) {
    enum err err =
        evidence_add(supernode_of(stage->one), type, (struct slice){bytes->data, bytes->len});
    assert_int_equal(err, OK);
    buf_free(bytes);
}

static void only_what_was_asked_for_is_looked_at(void **state) {
    struct stage *stage = *state;
    struct link *link = fake_dial(stage->bob, stage->one, PURPOSE_MESH);
    assert_non_null(link);
    struct buf unasked = candidacy_of(stage->bob, 1), asked = candidacy_of(stage->bob, 1);
    fake_send(link, MSG_CANDIDACY, &unasked);
    net_run(stage->net, 1000);
    assert_int_equal(trust_of(stage)->candidates.count, 0);
    send_have(stage, link, &asked);
    assert_int_equal(fake_count(stage->bob, MSG_TRUST_WANT), 1);
    fake_send(link, MSG_CANDIDACY, &asked);
    net_run(stage->net, 1000);
    assert_int_equal(trust_of(stage)->candidates.count, 1);
    unasked = candidacy_of(stage->bob, 2); /* once is once */
    fake_send(link, MSG_CANDIDACY, &unasked);
    net_run(stage->net, 1000);
    assert_int_equal(trust_of(stage)->candidates.count, 1);
}

static void a_leaf_stands_for_one_key(void **state) {
    struct stage *stage = *state;
    struct fake *leaf = fake_add(stage->net);
    struct link *link = fake_dial(leaf, stage->one, PURPOSE_LEAF);
    for (uint8_t number = 1; number < 6; number++) {
        struct buf candidacy = candidacy_for(leaf, number, &stage->one->env);
        fake_send(link, MSG_CANDIDACY, &candidacy);
        net_run(stage->net, 1000);
    }
    assert_int_equal(trust_of(stage)->candidates.count, 1);
    assert_false(link->closing);
}

/* A supernode may make keys as fast as it likes: what is judged is bounded by what that costs. */
static void signatures_are_what_counts(void **state) {
    struct stage *stage = *state;
    struct link *link = fake_dial(stage->bob, stage->one, PURPOSE_MESH);
    assert_non_null(link);
    struct supernode *one = supernode_of(stage->one);
    assert_int_equal(one->neighbour_count, 1);
    for (uint32_t left = 1; left <= 4; left += 3) {
        struct buf candidacy = candidacy_of(stage->bob, (uint8_t)left);
        send_have(stage, link, &candidacy);
        one->neighbours[0]->records =
            (struct ratelimit){.spent_micro = (TRUST_RECORDS_BURST - left) * 1000000ull,
                               .at_us = stage->net->now_us + 1000000};
        fake_send(link, MSG_CANDIDACY, &candidacy);
        net_run(stage->net, 500); /* nothing comes back before at_us */
        assert_int_equal(trust_of(stage)->candidates.count, left == 4);
    }
}

/* Only the one that a candidate names stands for it, and every other supernode sees that it does.
 */
static void who_is_named_stands_for_it(void **state) {
    struct stage *stage = *state;
    struct fake *leaf = fake_add(stage->net);
    struct link *link = fake_dial(leaf, stage->one, PURPOSE_LEAF);
    struct buf other = candidacy_for(leaf, 1, &stage->bob->place->env);
    struct buf ours = candidacy_for(leaf, 1, &stage->one->env);
    fake_send(link, MSG_CANDIDACY, &other);
    net_run(stage->net, 1000);
    assert_int_equal(trust_of(stage)->candidates.count, 0);
    fake_send(link, MSG_CANDIDACY, &ours);
    net_run(stage->net, 1000);
    assert_int_equal(trust_of(stage)->candidates.count, 1);
    uint32_t cursor = 0;
    const struct trust_candidate *known = map_next(&trust_of(stage)->candidates, &cursor, NULL);
    struct candidacy candidacy;
    struct signer_env env = {stage->one->env.crypto, &stage->net->network.id};
    assert_int_equal(
        wire_candidacy_decode((struct slice){known->record->bytes, known->record->len}, &candidacy),
        OK);
    assert_int_equal(wire_candidacy_check(&candidacy, &env), OK);
    assert_true(node_id_equal(&candidacy.sponsor, &stage->one->env.id));
}

static bool may_wait(struct stage *stage) {
    struct fake *stranger = fake_add(stage->net);
    struct buf cert = unproven_cert(stranger);
    stranger->links.cert = (struct slice){cert.data, cert.len};
    bool is_open = fake_dial(stranger, stage->one, PURPOSE_MESH) != NULL;
    buf_free(&cert);
    return is_open;
}

static void a_stranger_may_wait_for_its_checkpoint(void **state) {
    assert_true(may_wait(*state));
}

/* Neighbours, with or without a place yet, that are still to be told many records; with `more`
 * they all are from now on. */
static uint32_t long_lists(struct supernode *supernode, bool more) {
    uint32_t count = 0;
    uint32_t cursor = 0;
    for (struct link *link; (link = links_next(&supernode->links, &cursor)) != NULL;) {
        struct neighbour *neighbour = link->purpose == PURPOSE_MESH ? link->owner : NULL;
        for (uint64_t prefix = 0; more && neighbour != NULL && prefix <= TRUST_LIST_MAX; prefix++) {
            buf_u64(&neighbour->to_tell, prefix);
        }
        count += neighbour != NULL && neighbour->to_tell.len > TRUST_LIST_MAX * sizeof(uint64_t);
    }
    return count;
}

/* When an epoch begins everybody is told everything, which is put in order first: one after the
 * other, or with many neighbours and records it would be one long step. */
static void long_lists_are_told_one_by_one(void **state) {
    struct stage *stage = *state;
    struct supernode *one = supernode_of(stage->one);
    assert_non_null(fake_dial(stage->bob, stage->one, PURPOSE_MESH));
    for (int i = 0; i < 3; i++) {
        assert_true(may_wait(stage));
    }
    net_run(stage->net, 1000);
    struct buf candidacy = candidacy_of(stage->bob, 1);
    add_evidence(stage, MSG_CANDIDACY, &candidacy); /* there is something to tell, and soon */
    uint32_t left = long_lists(one, true);
    assert_int_equal(left, 4);
    while (left > 0) {
        struct node_event look = {.kind = NODE_TIMER};
        stage->net->now_us += 100000;
        net_step(stage->net, stage->one, &look);
        assert_int_equal(long_lists(one, false), --left);
    }
}

static void by_hand_nobody_hears_of_elections(void **state) {
    struct stage *stage = *state;
    assert_false(may_wait(stage));
    struct link *link = fake_dial(stage->bob, stage->one, PURPOSE_MESH);
    assert_non_null(link);
    assert_false(timer_is_set(&supernode_of(stage->one)->election.timer));
    struct buf candidacy = candidacy_of(stage->bob, 1);
    send_have(stage, link, &candidacy);
    assert_int_equal(fake_count(stage->bob, MSG_TRUST_WANT), 0);
    fake_send(link, MSG_CANDIDACY, &candidacy);
    net_run(stage->net, 1000);
    assert_int_equal(trust_count(trust_of(stage)), 0);
    assert_false(link->closing);
}

/* A record of an epoch far ahead is none; nor does a clock that was there for a while last. */
static void a_wrong_clock_does_not_last(void **state) {
    struct stage *stage = *state;
    struct trust *trust = trust_of(stage);
    trust_advance(trust, EPOCH_NOW + 10000);
    net_run(stage->net, 1000);
    struct link *link = fake_dial(stage->bob, stage->one, PURPOSE_MESH);
    assert_non_null(link);
    assert_int_equal(trust->now_epoch, EPOCH_NOW);
    struct buf candidacy = candidacy_of(stage->bob, 1);
    send_have(stage, link, &candidacy);
    fake_send(link, MSG_CANDIDACY, &candidacy);
    net_run(stage->net, 1000);
    assert_int_equal(trust->candidates.count, 1);
}

static struct buf row_by(struct fake *issuer, const struct node_id *id, uint8_t subject) {
    const struct node_env *env = &issuer->place->env;
    struct row_record row = {
        .issuer = *id, .epoch = EPOCH_NOW, .count = 1, .entries = {{{{subject}}, 1}}};
    struct signer_env signer = {env->crypto, &env->network->id};
    struct buf bytes = {0};
    wire_row_sign(&row, &signer);
    wire_row_encode(&bytes, &row);
    return bytes;
}

/* The proof that this one contradicted himself. */
static struct buf fraud_of(struct fake *fake) {
    struct buf one = row_by(fake, &fake->place->env.id, 1);
    struct buf two = row_by(fake, &fake->place->env.id, 2), bytes = {0};
    struct fraud fraud = {
        .type = RECORD_ROW, .first = {one.data, one.len}, .second = {two.data, two.len}};
    wire_fraud_encode(&bytes, &fraud);
    buf_free(&one);
    buf_free(&two);
    return bytes;
}

static void only_who_counts_is_condemned(void **state) {
    struct stage *stage = *state;
    struct fake *nobody = fake_add(stage->net);
    struct buf made_up = fraud_of(nobody), real = fraud_of(stage->bob);
    struct trust_record *added;
    assert_int_equal(
        trust_take(trust_of(stage), MSG_FRAUD, (struct slice){made_up.data, made_up.len}, &added),
        ERR_POLICY);
    assert_int_equal(
        trust_take(trust_of(stage), MSG_FRAUD, (struct slice){real.data, real.len}, &added), OK);
    assert_int_equal(trust_of(stage)->frauds.count, 1);
    buf_free(&made_up);
    buf_free(&real);
}

/* One more anchor, that is not there yet. */
static struct net_node *add_second(struct stage *stage) {
    struct net_node *two = net_add(stage->net);
    struct network *network = &stage->net->network;
    network->anchors[network->anchor_count++] = two->env.id;
    assert_int_equal(network_seal(network, &stage->one->crypto), OK);
    return two;
}

static struct trust *start_second(struct stage *stage, struct net_node *two) {
    struct supernode_config config = {0};
    net_introduce(&config, stage->one);
    two->node = supernode_new(&two->env, &config);
    net_start(two);
    net_run(stage->net, 5000);
    return &supernode_of(two)->trust;
}

/* Whoever holds the row of one that contradicted himself hears of the proof from a neighbour, and
 * drops the row. */
static void the_condemned_are_removed_everywhere(void **state) {
    struct stage *stage = *state;
    const struct node_id *signer = &stage->bob->place->env.id;
    struct trust *trusts[2] = {trust_of(stage), start_second(stage, add_second(stage))};
    struct buf row = row_by(stage->bob, signer, 1), proof = fraud_of(stage->bob);
    add_evidence(stage, MSG_ROW, &row);
    net_carry_out(stage->net, stage->one);
    net_run(stage->net, 5000);
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(trust_has_row(trusts[i], signer, EPOCH_NOW));
    }
    add_evidence(stage, MSG_FRAUD, &proof);
    net_carry_out(stage->net, stage->one);
    net_run(stage->net, 5000);
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(trust_is_fraud(trusts[i], signer));
        assert_false(trust_has_row(trusts[i], signer, EPOCH_NOW));
    }
}

/* The proof that the candidate with this number contradicted itself. */
static struct buf fraud_of_candidate(const struct stage *stage, uint8_t number) {
    struct net_node child = {.env = stage->one->env}; /* whose id signs, and nothing else */
    struct crypto its_key = net_crypto;
    struct fake liar = {.place = &child};
    child.env.id = (struct node_id){{number}};
    child.env.crypto = &its_key;
    its_key.context = &child;
    return fraud_of(&liar);
}

/* Whoever joins later is told of a candidate and that it contradicted itself, in an order in which
 * both count. */
static void who_joins_condemns_as_well(void **state) {
    struct stage *stage = *state;
    const struct node_id subject = {{3}};
    struct net_node *two = add_second(stage);
    struct buf candidacy = candidacy_of(stage->bob, 3), proof = fraud_of_candidate(stage, 3);
    add_evidence(stage, MSG_CANDIDACY, &candidacy);
    add_evidence(stage, MSG_FRAUD, &proof);
    const struct trust *trust = start_second(stage, two);
    assert_int_equal(trust->candidates.count, 1);
    assert_true(trust_is_fraud(trust, &subject));
}

/* Nobody stands for a condemned one anew, though one record of several is the one that all keep. */
static void nobody_stands_for_the_condemned(void **state) {
    struct stage *stage = *state;
    struct buf candidacy = candidacy_of(stage->bob, 3), proof = fraud_of_candidate(stage, 3);
    add_evidence(stage, MSG_CANDIDACY, &candidacy);
    add_evidence(stage, MSG_FRAUD, &proof);
    uint32_t cursor = 0;
    const struct trust_candidate *known = map_next(&trust_of(stage)->candidates, &cursor, NULL);
    for (uint32_t i = 0; i < 8; i++) {
        struct fake *leaf = fake_add(stage->net);
        struct link *link = fake_dial(leaf, stage->one, PURPOSE_LEAF);
        candidacy = candidacy_for(leaf, 3, &stage->one->env);
        fake_send(link, MSG_CANDIDACY, &candidacy);
        net_run(stage->net, 1000);
    }
    assert_true(node_id_equal(&known->owner, &stage->bob->place->env.id));
}

/* Of two candidates that are drawn to it a supernode dials the one that is not condemned. */
static void the_condemned_are_not_measured(void **state) {
    struct stage *stage = *state;
    struct fake *leaves[2];
    for (uint8_t i = 0; i < 2; i++) {
        leaves[i] = fake_add(stage->net);
        struct link *link = fake_dial(leaves[i], stage->one, PURPOSE_LEAF);
        struct buf candidacy = candidacy_for(leaves[i], 3 + i, &stage->one->env);
        fake_send(link, MSG_CANDIDACY, &candidacy);
        net_run(stage->net, 1000);
    }
    struct buf proof = fraud_of_candidate(stage, 3);
    add_evidence(stage, MSG_FRAUD, &proof);
    net_run(stage->net, 110 * 1000); /* 800 seconds of the epoch had passed */
    const struct node_id *one = &stage->one->env.id;
    assert_null(links_find(&leaves[0]->links, one, PURPOSE_MEASURE));
    assert_non_null(links_find(&leaves[1]->links, one, PURPOSE_MEASURE));
}

/* The anchor `bob` fixes who the members are: itself, and `one` as well or not. */
static void add_checkpoint(struct stage *stage, uint32_t epoch, bool is_with_one) {
    const struct node_env *env = &stage->bob->place->env;
    struct node_id keys[2] = {env->id, stage->one->env.id};
    uint16_t count = is_with_one ? 2 : 1;
    if (is_with_one && memcmp(keys[0].b, keys[1].b, sizeof keys[0].b) > 0) {
        keys[0] = stage->one->env.id;
        keys[1] = env->id;
    }
    struct checkpoint checkpoint = {.epoch = epoch, .members = count};
    trust_set_root(trust_of(stage), keys, count, &checkpoint.set_root);
    trust_candidate_root(trust_of(stage), epoch, keys, count, &checkpoint.candidate_root);
    struct signer_env signer = {env->crypto, &env->network->id};
    wire_checkpoint_sign(&checkpoint, &signer);
    struct members members = {.epoch = epoch, .count = count};
    members.keys = (struct slice){keys[0].b, count * sizeof keys[0]};
    struct buf bytes = {0};
    wire_checkpoint_encode(&bytes, &checkpoint);
    add_evidence(stage, MSG_CHECKPOINT, &bytes);
    wire_members_encode(&bytes, &members);
    add_evidence(stage, MSG_MEMBERS, &bytes);
}

/* From now on `bob` is the only anchor. */
static void make_only_anchor(struct stage *stage) {
    struct network *network = &stage->net->network;
    network->anchor_count = 1;
    network->anchors[0] = stage->bob->place->env.id;
    assert_int_equal(network_seal(network, &stage->one->crypto), OK);
    net_run(stage->net, 1000);
}

/* However many keys a peer stands for, at however many sponsors, it is told once. */
static void a_candidate_is_told_once(void **state) {
    struct stage *stage = *state;
    make_only_anchor(stage);
    struct fake *leaf = fake_add(stage->net);
    struct net_node *sponsor = stage->bob->place;
    assert_non_null(fake_dial(leaf, stage->one, PURPOSE_LEAF));
    for (uint8_t number = 1; number <= 5; number++) {
        struct buf candidacy = sponsored_by(leaf, number, &sponsor->env);
        add_evidence(stage, MSG_CANDIDACY, &candidacy);
    }
    assert_int_equal(trust_of(stage)->candidates.count, 5);
    add_checkpoint(stage, EPOCH_NOW - 1, true);
    net_carry_out(stage->net, stage->one);
    net_run(stage->net, 1000);
    assert_int_equal(fake_count(leaf, MSG_CHECKPOINT), 1);
    assert_int_equal(fake_count(leaf, MSG_MEMBERS), 1);
}

static void decide_now(struct stage *stage) {
    election_recheck(supernode_of(stage->one));
    struct node_event look = {.kind = NODE_TIMER};
    net_step(stage->net, stage->one, &look);
    net_run(stage->net, 1000);
    assert_int_equal(supernode_of(stage->one)->election.decided, EPOCH_NOW);
}

/* Others still want the votes that it gave in its last decision. */
static void the_demoted_stay_until_the_epoch_ends(void **state) {
    struct stage *stage = *state;
    struct supernode *one = supernode_of(stage->one);
    make_only_anchor(stage);
    add_checkpoint(stage, EPOCH_NOW, true);
    decide_now(stage);
    assert_true(one->election.is_demoted); /* it does not consent */
    assert_false(one->is_stopping);
    net_run(stage->net, (EPOCH_S - NET_WALL_S % EPOCH_S) * 1000);
    assert_true(one->is_stopping);
}

/* To see whether all is here takes steps of its own: what comes meanwhile is not what was fixed. */
static void what_comes_while_it_looks_is_seen(void **state) {
    struct stage *stage = *state;
    const struct election *election = &supernode_of(stage->one)->election;
    make_only_anchor(stage);
    add_checkpoint(stage, EPOCH_NOW, true);
    assert_false(election_recheck(supernode_of(stage->one)));
    assert_true(election->is_summing);
    struct buf candidacy = candidacy_of(stage->bob, 1);
    add_evidence(stage, MSG_CANDIDACY, &candidacy);
    struct node_event look = {.kind = NODE_TIMER};
    net_step(stage->net, stage->one, &look);
    net_run(stage->net, 1000);
    assert_true(election->is_unsure);
    assert_false(election->is_deciding);
    assert_int_equal(election->decided, 0);
}

/* Until an anchor has fixed an epoch, long before all decide in any case; what is said becomes
 * durable some time later. */
static void live_until_fixed(struct stage *stage, uint32_t epoch) {
    struct election *election = &supernode_of(stage->one)->election;
    int64_t end_s = (int64_t)epoch * EPOCH_S + EPOCH_S * 13 / 16;
    while (NET_WALL_S + (int64_t)(stage->net->now_us / 1000000) < end_s) {
        net_run(stage->net, 60000);
        struct node_event stored = {.kind = NODE_STORED, .stored.token = election->said_token};
        net_step(stage->net, stage->one, &stored);
    }
}

/* An anchor fixes what it had when it began to work out what that comes to, and says so once. */
static void an_anchor_fixes_what_it_has(void **state) {
    struct stage *stage = *state;
    const struct election *election = &supernode_of(stage->one)->election;
    struct link *link = fake_dial(stage->bob, stage->one, PURPOSE_MESH);
    assert_non_null(link);
    struct buf candidacy = candidacy_of(stage->bob, 1);
    add_evidence(stage, MSG_CANDIDACY, &candidacy);
    live_until_fixed(stage, EPOCH_NOW + 1);
    const struct trust_checkpoint *latest = trust_of(stage)->latest;
    assert_non_null(latest);
    assert_int_equal(latest->checkpoint.epoch, EPOCH_NOW + 1);
    assert_int_equal(latest->checkpoint.members, 1); /* the other anchor has no row */
    assert_null(election->fixing.members);
    struct hash root;
    trust_candidate_root(trust_of(stage), EPOCH_NOW + 1, NULL, 0, &root);
    assert_memory_equal(root.b, latest->checkpoint.candidate_root.b, sizeof root.b);
    assert_int_equal(election->decided, EPOCH_NOW + 1);
    assert_false(election->is_unsure);
    live_until_fixed(stage, EPOCH_NOW + 2);
    assert_int_equal(trust_of(stage)->latest->checkpoint.epoch, EPOCH_NOW + 2);
}

/* An anchor that is stopped while it works that out has not spoken: when it comes back it may. */
static void who_stops_fixes_nothing(void **state) {
    struct stage *stage = *state;
    const struct election *election = &supernode_of(stage->one)->election;
    assert_non_null(fake_dial(stage->bob, stage->one, PURPOSE_MESH));
    struct buf candidacy = candidacy_of(stage->bob, 1);
    add_evidence(stage, MSG_CANDIDACY, &candidacy);
    for (int i = 0; i < 200 && !election->checkpoint_waits; i++) {
        net_run(stage->net, 60000);
    }
    struct node_event stored = {.kind = NODE_STORED, .stored.token = election->said_token};
    net_step(stage->net, stage->one, &stored);
    assert_non_null(election->fixing.members);
    struct node_event stop = {.kind = NODE_SHUTDOWN}, look = {.kind = NODE_TIMER};
    net_step(stage->net, stage->one, &stop);
    net_run(stage->net, 1);
    net_step(stage->net, stage->one, &look);
    assert_null(election->fixing.members);
    assert_true(election->last_checkpoint < election->epoch);
}

/* The anchor's word for `one`, under its checkpoint of an epoch. */
static void add_certificate(struct stage *stage, uint32_t epoch) {
    const struct node_env *env = &stage->bob->place->env;
    struct cert cert = {.subject = stage->one->env.id,
                        .epoch = epoch + 1,
                        .life = CERT_VALID_EPOCHS,
                        .checkpoint = trust_checkpoint_at(trust_of(stage), epoch)->hash,
                        .signer_count = 1};
    struct buf body = {0}, bytes = {0};
    wire_cert_signed_bytes(&body, &cert);
    struct signed_bytes covered = {&env->network->id, RECORD_CERT, {body.data, body.len}};
    crypto_sign(env->crypto, &covered, cert.signers[0].signature);
    wire_cert_encode(&bytes, &cert);
    add_evidence(stage, MSG_CERT, &bytes);
    buf_free(&body);
}

/* `one` comes back with a certificate that is in time. The others decided meanwhile that it has no
 * seat: it is named no more, though the anchor had its row. */
static bool leaves_when_it_comes_back(struct stage *stage, bool is_heard) {
    struct supernode *one = supernode_of(stage->one);
    make_only_anchor(stage);
    add_checkpoint(stage, EPOCH_NOW - 3, false);
    add_certificate(stage, EPOCH_NOW - 3);
    add_checkpoint(stage, EPOCH_NOW - 1, false);
    if (is_heard) {
        struct fake itself = {.place = stage->one};
        struct buf row = row_by(&itself, &stage->one->env.id, 1);
        add_evidence(stage, MSG_ROW, &row);
    }
    add_checkpoint(stage, EPOCH_NOW, false);
    decide_now(stage);
    return one->election.is_demoted;
}

static void who_comes_back_without_a_seat_leaves(void **state) {
    assert_true(leaves_when_it_comes_back(*state, true));
}

static void who_has_just_been_certified_stays(void **state) {
    struct stage *stage = *state;
    stage->net->network.promotion.dwell_s = 3 * EPOCH_S;
    assert_false(leaves_when_it_comes_back(stage, true));
}

static void who_was_not_heard_stays(void **state) {
    assert_false(leaves_when_it_comes_back(*state, false));
}

/* Who measures cannot claim more bytes than there are, to no one's good or harm. */
static void weights_stand_for_no_more_than_a_stream(void **state) {
    (void)state;
    struct row_load load = {.bytes = UINT64_MAX, .ms = 1};
    struct buf tlvs = {0};
    wire_row_load_put(&tlvs, &load);
    struct row_record row = {.tlvs = {tlvs.data, tlvs.len}};
    assert_int_equal(wire_row_bytes(&row, ROW_WEIGHT_SUM), MEASURE_BYTES_MAX);
    tlvs.len = 0;
    load.bytes = 1000003;
    wire_row_load_put(&tlvs, &load);
    assert_int_equal(wire_row_bytes(&row, ROW_WEIGHT_SUM), 1000003);
    assert_int_equal(wire_row_bytes(&row, 0), 0);
    buf_free(&tlvs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_what_was_asked_for_is_looked_at, elected, teardown),
        cmocka_unit_test_setup_teardown(a_leaf_stands_for_one_key, elected, teardown),
        cmocka_unit_test_setup_teardown(signatures_are_what_counts, elected, teardown),
        cmocka_unit_test_setup_teardown(who_is_named_stands_for_it, elected, teardown),
        cmocka_unit_test_setup_teardown(a_stranger_may_wait_for_its_checkpoint, elected, teardown),
        cmocka_unit_test_setup_teardown(long_lists_are_told_one_by_one, elected, teardown),
        cmocka_unit_test_setup_teardown(a_wrong_clock_does_not_last, elected, teardown),
        cmocka_unit_test_setup_teardown(only_who_counts_is_condemned, elected, teardown),
        cmocka_unit_test_setup_teardown(the_condemned_are_removed_everywhere, elected, teardown),
        cmocka_unit_test_setup_teardown(who_joins_condemns_as_well, elected, teardown),
        cmocka_unit_test_setup_teardown(nobody_stands_for_the_condemned, elected, teardown),
        cmocka_unit_test_setup_teardown(the_condemned_are_not_measured, elected, teardown),
        cmocka_unit_test_setup_teardown(a_candidate_is_told_once, elected, teardown),
        cmocka_unit_test_setup_teardown(the_demoted_stay_until_the_epoch_ends, elected, teardown),
        cmocka_unit_test_setup_teardown(what_comes_while_it_looks_is_seen, elected, teardown),
        cmocka_unit_test_setup_teardown(an_anchor_fixes_what_it_has, elected, teardown),
        cmocka_unit_test_setup_teardown(who_stops_fixes_nothing, elected, teardown),
        cmocka_unit_test_setup_teardown(who_comes_back_without_a_seat_leaves, elected, teardown),
        cmocka_unit_test_setup_teardown(who_has_just_been_certified_stays, elected, teardown),
        cmocka_unit_test_setup_teardown(who_was_not_heard_stays, elected, teardown),
        cmocka_unit_test(weights_stand_for_no_more_than_a_stream),
        cmocka_unit_test_setup_teardown(by_hand_nobody_hears_of_elections, by_hand, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
