/* test_tell.c - when an epoch begins everybody is told everything, and the store forgets what has
 * been forgotten: in slices that lose nothing and tell nothing twice, in an order in which it is
 * taken. */
#include "tests/unit/supernode_stage.h"

#include "supernode/tally.h"

#define SUBJECTS 2500 /* both anchors sign for each: two lists and a half */
#define TICK_MS 100
#define STORE_KEY_BYTES 9
#define WAITING 400

static void take(struct stage *stage, uint8_t type, struct buf *bytes) {
    struct trust_record *added;
    assert_int_equal(
        trust_take(trust_of(stage), type, (struct slice){bytes->data, bytes->len}, &added), OK);
    assert_non_null(added);
    buf_free(bytes);
}

/* Of an anchor; to seal a network puts them in order. */
static uint16_t place_of(struct stage *stage, const struct node_env *env) {
    const struct network *network = &stage->net->network;
    return (uint16_t)trust_place(network->anchors, network->anchor_count, &env->id);
}

/* Both anchors are members; *fixed is the checkpoint's hash. */
static struct buf checkpoint_of(struct stage *stage, struct buf *members_record,
                                struct hash *fixed) {
    const struct node_env *env = &stage->one->env;
    struct node_id keys[2] = {env->id, stage->bob->place->env.id};
    if (memcmp(keys[0].b, keys[1].b, sizeof keys[0].b) > 0) {
        keys[0] = keys[1];
        keys[1] = env->id;
    }
    struct checkpoint checkpoint = {
        .epoch = EPOCH_NOW - 1, .members = 2, .anchor = (uint8_t)place_of(stage, env)};
    struct signer_env signer = {env->crypto, &env->network->id};
    struct members members = {.epoch = EPOCH_NOW - 1, .count = 2, .keys = {keys[0].b, sizeof keys}};
    struct buf bytes = {0};
    trust_set_root(trust_of(stage), keys, 2, &checkpoint.set_root);
    wire_checkpoint_sign(&checkpoint, &signer);
    wire_checkpoint_encode(&bytes, &checkpoint);
    wire_members_encode(members_record, &members);
    crypto_hash(env->crypto, (struct slice){bytes.data, bytes.len}, fixed);
    return bytes;
}

static struct buf vote_for(struct stage *stage, uint32_t subject, const struct node_env *env,
                           const struct hash *fixed) {
    struct cert cert = {.subject = {{1, (uint8_t)(subject >> 8), (uint8_t)subject}},
                        .epoch = EPOCH_NOW,
                        .life = CERT_VALID_EPOCHS,
                        .checkpoint = *fixed,
                        .signer_count = 1,
                        .signers = {{.signer = place_of(stage, env)}}};
    struct buf body = {0}, bytes = {0};
    wire_cert_signed_bytes(&body, &cert);
    struct signed_bytes covered = {&env->network->id, RECORD_CERT, {body.data, body.len}};
    crypto_sign(env->crypto, &covered, cert.signers[0].signature);
    wire_cert_encode(&bytes, &cert);
    buf_free(&body);
    return bytes;
}

static struct buf row_by(const struct node_id *id, const struct network *network, uint8_t subject) {
    struct row_record row = {
        .issuer = *id, .epoch = EPOCH_NOW, .count = 1, .entries = {{{{subject}}, 1}}};
    struct net_node itself = {.env.id = *id};
    struct crypto crypto = net_crypto;
    crypto.context = &itself;
    struct signer_env signer = {&crypto, &network->id};
    struct buf bytes = {0};
    wire_row_sign(&row, &signer);
    wire_row_encode(&bytes, &row);
    return bytes;
}

static struct buf fraud_of(const struct node_id *id, const struct network *network) {
    struct buf one = row_by(id, network, 1), two = row_by(id, network, 2), bytes = {0};
    struct fraud fraud = {
        .type = RECORD_ROW, .first = {one.data, one.len}, .second = {two.data, two.len}};
    wire_fraud_encode(&bytes, &fraud);
    buf_free(&one);
    buf_free(&two);
    return bytes;
}

/* One of each type at least. The candidate that contradicted itself is nothing but a candidate. */
static void fill(struct stage *stage) {
    const struct node_id liar = {{9}};
    struct hash fixed;
    struct buf members = {0}, checkpoint = checkpoint_of(stage, &members, &fixed);
    take(stage, MSG_CHECKPOINT, &checkpoint);
    take(stage, MSG_MEMBERS, &members);
    struct buf candidacy = candidacy_of(stage->bob, liar.b[0]);
    take(stage, MSG_CANDIDACY, &candidacy);
    struct buf proof = fraud_of(&liar, &stage->net->network);
    take(stage, MSG_FRAUD, &proof);
    struct buf row = row_by(&stage->bob->place->env.id, &stage->net->network, 1);
    take(stage, MSG_ROW, &row);
    for (uint32_t i = 0; i < SUBJECTS; i++) {
        struct buf vote = vote_for(stage, i, &stage->one->env, &fixed);
        take(stage, MSG_CERT, &vote);
        vote = vote_for(stage, i, &stage->bob->place->env, &fixed);
        take(stage, MSG_CERT, &vote);
    }
    assert_int_equal(trust_count(trust_of(stage)), 2 * SUBJECTS + 5);
}

/* A record comes while all are being told. */
static void add_late(struct stage *stage, uint8_t number) {
    struct buf bytes = candidacy_of(stage->bob, number);
    assert_int_equal(evidence_add(supernode_of(stage->one), MSG_CANDIDACY,
                                  (struct slice){bytes.data, bytes.len}),
                     OK);
    buf_free(&bytes);
}

/* Somebody whose certificate cannot be checked yet: a neighbour that is told all, too. */
static struct fake *add_stranger(struct stage *stage, struct link **link) {
    struct fake *stranger = fake_add(stage->net);
    struct buf bytes = unproven_cert(stranger);
    stranger->links.cert = (struct slice){bytes.data, bytes.len};
    *link = fake_dial(stranger, stage->one, PURPOSE_MESH);
    assert_non_null(*link);
    stranger->links.cert = (struct slice){0};
    buf_free(&bytes);
    return stranger;
}

static struct neighbour *neighbour_at(struct stage *stage, const struct fake *fake) {
    struct link *link =
        links_find(&supernode_of(stage->one)->links, &fake->place->env.id, PURPOSE_MESH);
    assert_non_null(link);
    return link->owner;
}

/* It was told to do something outside of its steps. */
static void look_now(struct stage *stage) {
    struct node_event look = {.kind = NODE_TIMER};
    net_step(stage->net, stage->one, &look);
}

static void tell_all(struct stage *stage, const struct fake *fake) {
    evidence_tell_all(supernode_of(stage->one), neighbour_at(stage, fake));
    look_now(stage);
}

static void tick(struct stage *stage, uint32_t ticks) {
    net_run(stage->net, (uint64_t)ticks * TICK_MS);
}

static int compare_prefixes(const void *a, const void *b) {
    return memcmp(a, b, sizeof(uint64_t));
}

static void heard_haves(const struct fake *fake, struct buf *prefixes) {
    for (uint32_t i = 0; i < fake_count(fake, MSG_TRUST_HAVE); i++) {
        struct trust_list list;
        struct slice payload = heard_payload(fake_nth(fake, MSG_TRUST_HAVE, i));
        assert_int_equal(wire_trust_list_decode(payload, &list), OK);
        buf_append(prefixes, list.prefixes.data, list.prefixes.len);
    }
}

/* All records that there are, and `more` of them a second time. */
static void heard_all(struct stage *stage, const struct fake *fake, uint32_t more) {
    struct buf heard = {0}, wanted = {0};
    heard_haves(fake, &heard);
    trust_tell(trust_of(stage), &wanted);
    size_t count = wanted.len / sizeof(uint64_t), kept = 0;
    assert_int_equal(heard.len, wanted.len + more * sizeof(uint64_t));
    qsort(heard.data, count + more, sizeof(uint64_t), compare_prefixes);
    qsort(wanted.data, count, sizeof(uint64_t), compare_prefixes);
    for (size_t i = 0; i < heard.len; i += sizeof(uint64_t)) {
        bool is_new = kept == 0 || compare_prefixes(heard.data + kept - 8, heard.data + i) != 0;
        memmove(heard.data + kept, heard.data + i, is_new ? sizeof(uint64_t) : 0);
        kept += is_new ? sizeof(uint64_t) : 0;
    }
    assert_int_equal(kept, wanted.len);
    assert_memory_equal(heard.data, wanted.data, wanted.len);
    buf_free(&heard);
    buf_free(&wanted);
}

static int set_up_full(void **state) {
    (void)elected(state);
    struct stage *stage = *state;
    assert_non_null(fake_dial(stage->bob, stage->one, PURPOSE_MESH));
    fill(stage);
    return 0;
}

/* What comes in between is told as well, and once. */
static void nothing_is_lost_or_told_twice(void **state) {
    struct stage *stage = *state;
    tell_all(stage, stage->bob);
    net_run(stage->net, TICK_MS / 2); /* the first list is told at once, and gets there */
    assert_int_equal(fake_count(stage->bob, MSG_TRUST_HAVE), 1);
    add_late(stage, 1);
    tick(stage, 1);
    add_late(stage, 2);
    assert_non_null(neighbour_at(stage, stage->bob)->tally); /* in slices */
    tick(stage, 2);
    heard_all(stage, stage->bob, 0);
    assert_null(neighbour_at(stage, stage->bob)->tally);
    tick(stage, 5);
    heard_all(stage, stage->bob, 0);
}

/* One walk for all: but each hears all of it, whoever else comes, goes or begins again. */
static void each_hears_all_of_it(void **state) {
    struct stage *stage = *state;
    struct link *first, *second;
    struct fake *one = add_stranger(stage, &first), *two = add_stranger(stage, &second);
    tick(stage, 10);
    heard_all(stage, one, 0); /* whoever comes is told all */
    fake_forget(one);
    fake_forget(two);
    fake_forget(stage->bob);
    tell_all(stage, one);
    tell_all(stage, two);
    net_run(stage->net, TICK_MS / 2);
    assert_ptr_equal(neighbour_at(stage, one)->tally, neighbour_at(stage, two)->tally);
    tick(stage, 1);
    tell_all(stage, stage->bob); /* of the same, later */
    assert_ptr_equal(neighbour_at(stage, two)->tally, neighbour_at(stage, stage->bob)->tally);
    fake_begin(two);
    links_close(second, GOAWAY_SHUTDOWN, ERR_SHUTDOWN);
    fake_end(two);
    assert_int_equal(fake_count(one, MSG_TRUST_HAVE), 2);
    add_late(stage, 1);
    tell_all(stage, one); /* again; the new record is told for itself, too */
    assert_ptr_not_equal(neighbour_at(stage, one)->tally, neighbour_at(stage, stage->bob)->tally);
    tick(stage, 10);
    heard_all(stage, stage->bob, 0);
    heard_all(stage, one, 2 * TRUST_LIST_MAX + 1);
    assert_in_range(fake_count(two, MSG_TRUST_HAVE), 1, 2);
}

/* What one list holds is taken before what the next one holds: a proof comes last. */
static void lists_are_told_in_order(void **state) {
    struct stage *stage = *state;
    uint8_t last = 0;
    tell_all(stage, stage->bob);
    tick(stage, 6);
    for (uint32_t i = 0; i < fake_count(stage->bob, MSG_TRUST_HAVE); i++) {
        struct trust_list list;
        struct slice payload = heard_payload(fake_nth(stage->bob, MSG_TRUST_HAVE, i));
        assert_int_equal(wire_trust_list_decode(payload, &list), OK);
        struct reader reader = reader_of(list.prefixes.data, list.prefixes.len);
        uint8_t from = last;
        for (uint16_t j = 0; j < list.count; j++) {
            uint8_t type = trust_find(trust_of(stage), reader_u64(&reader))->type, place = 0;
            while (trust_told(place) != type) {
                place++;
            }
            assert_true(place >= from);
            last = place > last ? place : last;
        }
    }
    assert_int_equal(trust_told(last), MSG_FRAUD);
    assert_int_equal(trust_told((uint8_t)(last + 1)), 0);
}

/* Nobody is told more while it does not read, or has not got what it wanted before; then the rest.
 */
static void who_is_slow_hears_the_rest_later(void **state) {
    struct stage *stage = *state;
    struct neighbour *neighbour = neighbour_at(stage, stage->bob);
    tell_all(stage, stage->bob);
    net_run(stage->net, TICK_MS / 2);
    neighbour->link->stalled = true;
    tick(stage, 5);
    assert_int_equal(fake_count(stage->bob, MSG_TRUST_HAVE), 1);
    struct link *link = links_find(&stage->bob->links, &stage->one->env.id, PURPOSE_MESH);
    struct buf want = {0};
    struct slice list = heard_payload(fake_nth(stage->bob, MSG_TRUST_HAVE, 0));
    buf_append(&want, list.data, list.len);
    fake_send(link, MSG_TRUST_WANT, &want);
    tick(stage, 2);
    neighbour->link->stalled = false;
    for (uint32_t i = 0; neighbour->to_send.len > 0 && i < 100; i++) {
        assert_int_equal(fake_count(stage->bob, MSG_TRUST_HAVE), 1);
        tick(stage, 1);
    }
    tick(stage, 3);
    assert_int_equal(fake_count(stage->bob, MSG_CERT),
                     TRUST_LIST_MAX - 2); /* one list, all of it */
    heard_all(stage, stage->bob, 0);
}

/* ---- The store ---- */

static void put(struct stage *stage, uint8_t rank, uint64_t prefix) {
    uint8_t key[STORE_KEY_BYTES] = {rank};
    for (int i = 0; i < 8; i++) {
        key[1 + i] = (uint8_t)(prefix >> (56 - 8 * i));
    }
    store_put(stage->one->store, STORE_TRUST, (struct slice){key, sizeof key},
              (struct slice){key, 1});
}

static uint32_t stored(struct stage *stage) {
    struct slice key, value, after = {0};
    uint32_t count = 0;
    for (; store_next(stage->one->store, STORE_TRUST, after, &key, &value); count++) {
        after = key;
    }
    return count;
}

/* Slice by slice; what is forgotten meanwhile goes now or the next time. */
static void the_store_keeps_what_is_held(void **state) {
    struct stage *stage = *state;
    struct buf held = {0};
    trust_tell(trust_of(stage), &held);
    struct reader reader = reader_of(held.data, held.len);
    uint32_t count = trust_count(trust_of(stage));
    for (uint32_t i = 0; i < count; i++) {
        uint64_t prefix = reader_u64(&reader);
        put(stage, trust_rank(trust_find(trust_of(stage), prefix)->type), prefix);
    }
    for (uint64_t i = 0; i < 600; i++) { /* neighbours of each other, first, and last */
        put(stage, (uint8_t)(i / 100 % 3 * 3), i < 300 ? i : UINT64_MAX - i);
    }
    evidence_sweep(supernode_of(stage->one));
    look_now(stage);
    tick(stage, 1);
    assert_in_range(stored(stage), count + 500, count + 599);
    evidence_sweep(supernode_of(stage->one)); /* goes on where it is */
    tick(stage, 40);
    assert_int_equal(stored(stage), count);
    reader = reader_of(held.data, held.len);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t prefix = reader_u64(&reader);
        put(stage, trust_rank(trust_find(trust_of(stage), prefix)->type), prefix);
    }
    assert_int_equal(stored(stage), count); /* just these */
    put(stage, 0, 0);
    evidence_sweep(supernode_of(stage->one)); /* from the start again */
    look_now(stage);
    tick(stage, 40);
    assert_int_equal(stored(stage), count);
    buf_free(&held);
}

/* ---- What waits ---- */

static uint32_t votes(struct stage *stage) {
    return trust_of(stage)->records[trust_rank(MSG_CERT)].count;
}

/* Votes that came before their checkpoint: a step judges some of them, and the next ones the rest.
 */
static void what_waited_is_judged_in_slices(void **state) {
    struct stage *stage = *state;
    struct link *link = fake_dial(stage->bob, stage->one, PURPOSE_MESH);
    assert_non_null(link);
    struct hash fixed;
    struct buf members = {0}, checkpoint = checkpoint_of(stage, &members, &fixed);
    neighbour_at(stage, stage->bob)->wanted = WAITING;
    for (uint32_t i = 0; i < WAITING; i++) {
        struct buf vote = vote_for(stage, i, &stage->one->env, &fixed);
        fake_send(link, MSG_CERT, &vote);
    }
    tick(stage, 5);
    assert_int_equal(votes(stage), 0);
    struct supernode *one = supernode_of(stage->one);
    assert_int_equal(
        evidence_add(one, MSG_CHECKPOINT, (struct slice){checkpoint.data, checkpoint.len}), OK);
    uint32_t before = votes(stage);
    assert_in_range(before, 1, WAITING / 4);
    look_now(stage);
    tick(stage, 1);
    assert_in_range(votes(stage), before + 1, WAITING / 2);
    assert_int_equal(/* begins again, and loses none */
                     evidence_add(one, MSG_MEMBERS, (struct slice){members.data, members.len}), OK);
    look_now(stage);
    tick(stage, 20);
    assert_int_equal(votes(stage), WAITING);
    buf_free(&checkpoint);
    buf_free(&members);
}

/* ---- Proofs ---- */

/* Who comes later is told of a candidate and of the proof against it at once: the proof counts. */
static void a_proof_comes_after_its_candidacy(void **state) {
    struct stage *stage = *state;
    struct supernode_config config = {0};
    net_introduce(&config, stage->one);
    struct net_node *two = net_add(stage->net);
    struct network *network = &stage->net->network;
    network->anchors[network->anchor_count++] = two->env.id;
    assert_int_equal(network_seal(network, &stage->one->crypto), OK);
    fill(stage);
    two->node = supernode_new(&two->env, &config);
    net_start(two);
    net_run(stage->net, 20000); /* no epoch begins meanwhile */
    struct trust *trust = &supernode_of(two)->trust;
    assert_int_equal(trust->candidates.count, 1);
    assert_int_equal(trust->frauds.count, 1);
    assert_int_equal(trust_count(trust), trust_count(trust_of(stage)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_lost_or_told_twice, set_up_full, teardown),
        cmocka_unit_test_setup_teardown(each_hears_all_of_it, set_up_full, teardown),
        cmocka_unit_test_setup_teardown(lists_are_told_in_order, set_up_full, teardown),
        cmocka_unit_test_setup_teardown(who_is_slow_hears_the_rest_later, set_up_full, teardown),
        cmocka_unit_test_setup_teardown(the_store_keeps_what_is_held, set_up_full, teardown),
        cmocka_unit_test_setup_teardown(what_waited_is_judged_in_slices, elected, teardown),
        cmocka_unit_test_setup_teardown(a_proof_comes_after_its_candidacy, elected, teardown),
    };
    return cmocka_run_group_tests_name("tell", tests, NULL, NULL);
}
