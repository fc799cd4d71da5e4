/* test_supernode.c - whole supernodes on a small net: admission, leaves, mesh, dial-back, goodbye.
 */
#include "tests/unit/supernode_fake.h"

#include "supernode/core.h"

static const struct fake_file songs[] = {
    {1, "Blue Whale Song.ogg"}, {2, "humpback whale.ogg"}, {3, "north wind.ogg"}};
static const struct fake_file others[] = {{1, "Blue Whale Song.ogg"}, {4, "whale of a time.txt"}};

static struct supernode *supernode_of(const struct net_node *place) {
    return place->node.self;
}

static struct net_node *start(struct net *net, const struct supernode_config *config) {
    struct net_node *place = net_add(net);
    place->node = supernode_new(&place->env, config);
    net_start(place);
    return place;
}

static struct net_node *start_plain(struct net *net) {
    struct supernode_config config = {0};
    return start(net, &config);
}

/* Another supernode that knows the first. */
static struct net_node *start_friend(struct net *net, const struct net_node *first) {
    struct supernode_config config = {0};
    net_introduce(&config, first);
    struct net_node *place = start(net, &config);
    net_run(net, 2000);
    return place;
}

static struct goaway last_goaway(const struct fake *fake) {
    struct goaway goaway = {0};
    uint32_t count = fake_count(fake, MSG_GOAWAY);
    if (count > 0) {
        const struct heard *heard = fake_nth(fake, MSG_GOAWAY, count - 1);
        assert_int_equal(wire_goaway_decode(heard_payload(heard), &goaway), OK);
    }
    return goaway;
}

static struct hits first_hits(const struct fake *fake) {
    struct hits hits;
    assert_int_equal(wire_hits_decode(heard_payload(fake_nth(fake, MSG_HITS, 0)), &hits), OK);
    return hits;
}

static struct fake_result ask(struct link *link, const char *text, uint8_t ttl, uint8_t salt) {
    struct fake *fake = link->links->context;
    struct fake_query query = {.ttl = ttl, .text = text, .salt = salt};
    fake_forget(fake);
    fake_ask(link, &query);
    net_run(fake->place->net, 1000);
    return fake_result(fake);
}

/* ---- Leaves and searching ---- */

static void a_leaf_finds_what_others_share(void **state) {
    (void)state;
    struct net *net = net_new(1);
    struct net_node *one = start_plain(net);
    struct net_node *two = start_friend(net, one);
    struct fake *alice = fake_add(net);
    struct fake *bob = fake_add(net);
    struct link *alice_link = fake_dial(alice, one, PURPOSE_LEAF);
    struct link *bob_link = fake_dial(bob, two, PURPOSE_LEAF);
    assert_int_equal(fake_register(alice_link, 7, songs, LENGTH(songs)), REG_DONE);
    assert_int_equal(fake_register(bob_link, 8, others, LENGTH(others)), REG_DONE);

    struct fake_result near = ask(bob_link, "whale", 0, 1);
    assert_int_equal(near.records, 0); /* nobody gets his own files */
    assert_int_equal(near.coverage.supernodes, 1);
    struct fake_result far = ask(bob_link, "WHALE", 1, 2);
    assert_int_equal(far.records, 2);
    assert_int_equal(far.lasts, 1);
    assert_int_equal(far.coverage.supernodes, 2);
    assert_int_equal(far.coverage.leaves, 2);
    assert_int_equal(far.coverage.files, 5);
    assert_int_equal(far.coverage.refused, 0);
    struct hits hits = first_hits(bob);
    assert_int_equal(hits.ttl, 1); /* of the copy that bob sent, not of the one between them */
    assert_false(hits.last);
    assert_int_equal(hits.holder_count, 1);
    assert_memory_equal(hits.holders[0].id.b, alice->place->env.id.b, 32);
    assert_int_equal(hits.holders[0].flags, HOLDER_REACHABLE);
    struct address_record record;
    assert_int_equal(wire_address_record_decode(hits.holders[0].address_record, &record), OK);
    assert_true(address_equal(&record.addresses[0], &alice->place->env.listen[0]));
    assert_int_equal(wire_address_record_decode(hits.answerer, &record), OK);
    assert_memory_equal(record.key.b, one->env.id.b, 32);

    fake_forget(bob);
    struct fake_query locate = {.ttl = 1, .content = fake_record(&songs[2]).content};
    fake_ask(bob_link, &locate);
    net_run(net, 1000);
    assert_int_equal(fake_result(bob).records, 1);
    hits = first_hits(bob);
    assert_int_equal(hits.hits[0].file.name.len, strlen(songs[2].name));
    net_free(net);
}

static void want_bounds_each_answer(void **state) {
    (void)state;
    struct net *net = net_new(2);
    struct net_node *one = start_plain(net);
    struct fake *alice = fake_add(net);
    struct fake *bob = fake_add(net);
    struct link *alice_link = fake_dial(alice, one, PURPOSE_LEAF);
    struct link *bob_link = fake_dial(bob, one, PURPOSE_LEAF);
    assert_int_equal(fake_register(alice_link, 7, songs, LENGTH(songs)), REG_DONE);
    struct fake_query query = {.text = "ogg", .want = 2};
    fake_ask(bob_link, &query);
    net_run(net, 100);
    struct fake_result result = fake_result(bob);
    assert_int_equal(result.records, 2);
    assert_true(result.coverage.truncated);
    net_free(net);
}

static void long_answers_come_in_several_messages(void **state) {
    (void)state;
    struct net *net = net_new(3);
    struct net_node *one = start_plain(net);
    static char names[150][NAME_BYTES_MAX + 1];
    struct fake_file files[150];
    for (int i = 0; i < 150; i++) {
        memset(names[i], 'a' + i % 26, NAME_BYTES_MAX);
        memcpy(names[i], "whale ", 6);
        snprintf(names[i] + 6, 8, "%d", i);
        names[i][strlen(names[i])] = ' ';
        files[i] = (struct fake_file){(uint8_t)i, names[i]};
    }
    for (int leaf = 0; leaf < 6; leaf++) {
        struct fake *fake = fake_add(net);
        struct link *link = fake_dial(fake, one, PURPOSE_LEAF);
        assert_int_equal(fake_register(link, 7, files + 10 * leaf, 100), REG_DONE);
    }
    struct fake *bob = fake_add(net);
    struct link *bob_link = fake_dial(bob, one, PURPOSE_LEAF);
    struct fake_query query = {.text = "whale", .want = 1000};
    fake_ask(bob_link, &query);
    net_run(net, 200);
    struct fake_result result = fake_result(bob);
    assert_int_equal(result.records, 150);
    assert_int_equal(result.lasts, 1);
    assert_true(fake_count(bob, MSG_HITS) >= 3);
    assert_false(result.coverage.truncated);
    net_free(net);
}

/* An address record as long as they may be: one address and a field that nobody knows yet. */
static void write_long_record(const struct fake *fake, struct buf *out) {
    static uint8_t field[ADDRESS_RECORD_BYTES_MAX - 116] = {2, 1, 0x89}; /* tag 2, 393 bytes */
    struct address_record record = {.key = fake->place->env.id,
                                    .seq = NET_WALL_S,
                                    .minutes = 1440,
                                    .address_count = 1,
                                    .addresses = {fake->place->env.listen[0]},
                                    .tlvs = {field, sizeof field}};
    wire_address_record_sign(&record, &fake->place->crypto, &fake->place->net->network.id);
    wire_address_record_encode(out, &record);
    assert_int_equal(out->len, ADDRESS_RECORD_BYTES_MAX);
}

/* The longest records, names and metadata, each with other holders: more than a frame holds in
 * bytes before 50 records or 64 holders are reached. */
static void the_longest_answers_fit_their_frames(void **state) {
    (void)state;
    enum { FILES = 100, LEAVES = 64 };
    struct net *net = net_new(14);
    struct net_node *one = start_plain(net);
    struct supernode *supernode = supernode_of(one);
    struct fake *bob = fake_add(net);
    assert_non_null(fake_dial(bob, one, PURPOSE_LEAF));
    struct leaf *leaves = mem_array(LEAVES, sizeof *leaves);
    for (int i = 0; i < LEAVES; i++) {
        struct fake *fake = fake_add(net);
        leaves[i].id = fake->place->env.id;
        write_long_record(fake, &leaves[i].record);
    }
    static uint8_t name[NAME_BYTES_MAX];
    static uint8_t meta[FILE_META_MAX] = {2, 1, 0xfd}; /* tag 2, 509 bytes */
    memset(name, 'x', sizeof name);
    struct index_answer *answer = mem_new(sizeof *answer);
    answer->count = FILES;
    for (uint32_t i = 0; i < FILES; i++) {
        struct index_found *found = &answer->found[i];
        found->file = (struct file_record){.content.size = 1 + i, .name = {name, sizeof name}};
        found->file.meta = (struct slice){meta, sizeof meta};
        found->holder_count = RECORD_HOLDERS_MAX;
        for (uint32_t n = 0; n < RECORD_HOLDERS_MAX; n++) {
            found->holders[n] = &leaves[(i * 7 + n * 5) % LEAVES];
        }
    }
    const struct leaf *asker = map_get(&supernode->leaves, bob->place->env.id.b);
    struct reply reply = {.link = asker->link};
    struct coverage coverage = {.supernodes = 1};
    fake_forget(bob);
    assert_true(answer_send(supernode, &reply, answer, &coverage));
    net_carry_out(net, one);
    net_run(net, 200);
    assert_int_equal(fake_result(bob).records, FILES);
    assert_int_equal(fake_result(bob).lasts, 1);
    assert_in_range(fake_count(bob, MSG_HITS), 3, 4);
    for (int i = 0; i < LEAVES; i++) {
        buf_free(&leaves[i].record);
    }
    mem_free(leaves);
    mem_free(answer);
    net_free(net);
}

static void an_unchanged_list_is_not_sent_again(void **state) {
    (void)state;
    struct net *net = net_new(4);
    struct net_node *one = start_plain(net);
    struct fake *alice = fake_add(net);
    struct fake *bob = fake_add(net);
    struct link *alice_link = fake_dial(alice, one, PURPOSE_LEAF);
    struct link *bob_link = fake_dial(bob, one, PURPOSE_LEAF);
    assert_int_equal(fake_register(alice_link, 7, songs, LENGTH(songs)), REG_DONE);
    assert_int_equal(ask(bob_link, "whale", 0, 1).records, 2);
    fake_close(alice_link);
    assert_int_equal(ask(bob_link, "whale", 0, 2).records, 0);
    alice_link = fake_dial(alice, one, PURPOSE_LEAF);
    assert_int_equal(ask(bob_link, "whale", 0, 3).records, 0); /* not before it says so */
    struct reg_state state_again = fake_state(alice, 7, songs, LENGTH(songs));
    fake_forget(alice);
    fake_send_state(alice_link, MSG_REG_BEGIN, &state_again);
    net_run(net, 100);
    assert_int_equal(fake_verdict(alice), REG_DONE);
    assert_int_equal(supernode_of(one)->counts.unchanged, 1);
    assert_int_equal(ask(bob_link, "whale", 0, 4).records, 2);

    struct link *second = fake_dial(alice, one, PURPOSE_LEAF); /* its old link is closed */
    assert_ptr_not_equal(second, alice_link);
    alice_link = second;
    assert_int_equal(ask(bob_link, "whale", 0, 5).records, 0);
    fake_send_state(alice_link, MSG_REG_BEGIN, &state_again);
    net_run(net, 100);
    assert_int_equal(ask(bob_link, "whale", 0, 6).records, 2);

    fake_close(alice_link);
    net_run(net, LEAF_KEEP_MS + 1000);
    assert_null(map_get(&supernode_of(one)->leaves, alice->place->env.id.b));
    assert_int_equal(index_count(supernode_of(one)->index).records, 0);
    alice_link = fake_dial(alice, one, PURPOSE_LEAF);
    fake_forget(alice);
    fake_send_state(alice_link, MSG_REG_BEGIN, &state_again);
    net_run(net, 100);
    assert_int_equal(fake_verdict(alice), REG_SEND_ALL);
    net_free(net);
}

static void a_wrong_root_leaves_the_old_list_in_place(void **state) {
    (void)state;
    struct net *net = net_new(5);
    struct net_node *one = start_plain(net);
    struct fake *alice = fake_add(net);
    struct fake *bob = fake_add(net);
    struct link *alice_link = fake_dial(alice, one, PURPOSE_LEAF);
    struct link *bob_link = fake_dial(bob, one, PURPOSE_LEAF);
    assert_int_equal(fake_register(alice_link, 7, songs, LENGTH(songs)), REG_DONE);

    struct reg_state wrong = fake_state(alice, 7, others, LENGTH(others));
    fake_send_state(alice_link, MSG_REG_BEGIN, &wrong);
    fake_send_files(alice_link, songs, LENGTH(others)); /* not what was promised */
    assert_int_equal(ask(bob_link, "whale", 0, 1).records, 2);
    fake_send_state(alice_link, MSG_REG_COMMIT, &wrong);
    net_run(net, 100);
    assert_int_equal(fake_verdict(alice), REG_SEND_ALL);
    assert_int_equal(ask(bob_link, "wind", 0, 2).records, 1);
    fake_send_files(alice_link, others, LENGTH(others)); /* as it was asked to */
    fake_send_state(alice_link, MSG_REG_COMMIT, &wrong);
    net_run(net, 100);
    assert_int_equal(fake_verdict(alice), REG_DONE);
    assert_int_equal(ask(bob_link, "wind", 0, 3).records, 0);
    assert_int_equal(ask(bob_link, "time", 0, 4).records, 1);
    assert_int_equal(index_count(supernode_of(one)->index).records, LENGTH(others));

    assert_int_equal(fake_register(alice_link, 7, NULL, 0), REG_DONE); /* shares nothing now */
    assert_int_equal(ask(bob_link, "time", 0, 5).records, 0);
    net_free(net);
}

static void registration_out_of_order_closes_the_link(void **state) {
    (void)state;
    for (int which = 0; which < 3; which++) {
        struct net *net = net_new(6);
        struct net_node *one = start_plain(net);
        struct fake *alice = fake_add(net);
        struct link *link = fake_dial(alice, one, PURPOSE_LEAF);
        struct reg_state promised = fake_state(alice, 7, songs, 1);
        if (which == 0) {
            fake_send_files(link, songs, 1);
        } else if (which == 1) {
            fake_send_state(link, MSG_REG_COMMIT, &promised);
        } else {
            fake_send_state(link, MSG_REG_BEGIN, &promised);
            fake_send_files(link, songs, 2); /* more than promised */
        }
        net_run(net, 100);
        assert_int_equal(alice->closed, 1);
        assert_int_equal(last_goaway(alice).reason, GOAWAY_PROTOCOL);
        net_free(net);
    }
}

static void a_list_too_long_is_sent_elsewhere(void **state) {
    (void)state;
    struct net *net = net_new(7);
    struct net_node *one = start_plain(net);
    start_friend(net, one);
    struct fake *alice = fake_add(net);
    struct link *link = fake_dial(alice, one, PURPOSE_LEAF);
    struct reg_state state_long = {.index_id = 1, .sequence = 1, .count = LEAF_FILES_MAX + 1};
    state_long.root.b[0] = 1;
    fake_send_state(link, MSG_REG_BEGIN, &state_long);
    net_run(net, 100);
    assert_int_equal(fake_verdict(alice), REG_REFUSED);
    assert_int_equal(last_goaway(alice).reason, GOAWAY_FULL);
    assert_int_equal(last_goaway(alice).alternatives.count, 1);
    assert_int_equal(alice->closed, 1);
    net_free(net);
}

static void lists_of_many_departed_leaves_are_reclaimed(void **state) {
    (void)state;
    struct net *net = net_new(8);
    struct supernode_config config = {.leaves_max = 4};
    struct net_node *one = start(net, &config);
    static struct fake_file files[3000];
    static char names[3000][32];
    for (int i = 0; i < 3000; i++) {
        snprintf(names[i], sizeof names[i], "file number %d", i);
        files[i] = (struct fake_file){(uint8_t)i, names[i]};
    }
    for (int round = 0; round < 3; round++) {
        struct fake *leaves[4];
        struct link *links[4];
        for (int i = 0; i < 4; i++) {
            leaves[i] = fake_add(net);
            links[i] = fake_dial(leaves[i], one, PURPOSE_LEAF);
            assert_int_equal(fake_register(links[i], 1, files + 500 * round, 1500), REG_DONE);
        }
        for (int i = 0; i < 4; i++) {
            fake_close(links[i]);
        }
        assert_int_equal(index_count(supernode_of(one)->index).files, 0);
    }
    assert_int_equal(supernode_of(one)->leaf_links, 0);
    net_run(net, LEAF_KEEP_MS + 5000);
    assert_int_equal(index_count(supernode_of(one)->index).bytes, 0);
    assert_int_equal(supernode_of(one)->leaves.count, 0);
    net_free(net);
}

/* ---- Admission ---- */

static void a_full_house_names_others(void **state) {
    (void)state;
    struct net *net = net_new(20);
    struct supernode_config config = {.leaves_max = 2};
    struct net_node *one = start(net, &config);
    struct net_node *two = start_friend(net, one);
    struct fake *leaves[3];
    for (int i = 0; i < 3; i++) {
        leaves[i] = fake_add(net);
        fake_dial(leaves[i], one, PURPOSE_LEAF);
    }
    assert_int_equal(leaves[1]->opened, 1);
    assert_int_equal(leaves[2]->opened, 0);
    struct goaway goaway = last_goaway(leaves[2]);
    assert_int_equal(goaway.reason, GOAWAY_FULL);
    assert_in_range(goaway.retry_after_s, 30, 90);
    assert_int_equal(goaway.alternatives.count, 1);
    struct address_record record;
    assert_int_equal(wire_address_record_decode(goaway.alternatives.records[0], &record), OK);
    assert_memory_equal(record.key.b, two->env.id.b, 32);
    /* A leaf that comes back before its old link is known to be dead takes its own place. */
    assert_non_null(fake_dial(leaves[0], one, PURPOSE_LEAF));
    assert_int_equal(supernode_of(one)->leaf_links, 2);
    net_free(net);
}

static void only_fitting_purposes_come_in(void **state) {
    (void)state;
    static const struct {
        enum purpose purpose;
        bool is_welcome;
    } rows[] = {{PURPOSE_LEAF, true},  {PURPOSE_MESH, true},      {PURPOSE_TRANSFER, false},
                {PURPOSE_PROBE, true}, {PURPOSE_CALLBACK, false}, {PURPOSE_DIRECTORY, true}};
    struct net *net = net_new(21);
    struct net_node *one = start_plain(net);
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct fake *fake = fake_add(net);
        struct link *link = fake_dial(fake, one, rows[i].purpose);
        assert_int_equal(link != NULL, rows[i].is_welcome);
        if (!rows[i].is_welcome) {
            assert_int_equal(last_goaway(fake).reason, GOAWAY_POLICY);
        }
    }
    net_run(net, VISITOR_MS + 1000);
    assert_int_equal(supernode_of(one)->visitors, 0); /* visitors do not stay */
    assert_int_equal(supernode_of(one)->leaf_links, 1);
    assert_int_equal(supernode_of(one)->neighbour_count, 1);
    net_free(net);
}

static void visitors_are_few(void **state) {
    (void)state;
    struct net *net = net_new(22);
    struct net_node *one = start_plain(net);
    struct fake *fake = NULL;
    net->latency_us_max = 1000;
    for (int i = 0; i <= VISITORS_MAX; i++) {
        fake = fake_add(net);
        fake_begin(fake);
        links_dial(&fake->links, &one->env.id, &one->env.listen[0], PURPOSE_DIRECTORY, NULL);
        fake_end(fake);
        net_run(net, 20);
    }
    assert_int_equal(supernode_of(one)->visitors, VISITORS_MAX);
    assert_int_equal(last_goaway(fake).reason, GOAWAY_FULL);
    net_free(net);
}

/* ---- Certificates ---- */

struct paper {
    const char *what;
    bool has_cert;
    bool other_subject;
    bool other_signer; /* signed by nobody who is an anchor */
    bool bad_place;    /* names an anchor that does not exist */
    int32_t epoch_shift;
    bool is_anchor;
    bool is_welcome;
};

static const struct paper papers[] = {
    {.what = "none"},
    {.what = "right", .has_cert = true, .is_welcome = true},
    {.what = "last epoch", .has_cert = true, .epoch_shift = -3, .is_welcome = true},
    {.what = "expired", .has_cert = true, .epoch_shift = -4},
    {.what = "not yet", .has_cert = true, .epoch_shift = 1},
    {.what = "somebody else's", .has_cert = true, .other_subject = true},
    {.what = "signed by itself", .has_cert = true, .other_signer = true},
    {.what = "signed by no place", .has_cert = true, .bad_place = true},
    {.what = "an anchor without", .is_anchor = true, .is_welcome = true},
};

/* Make a network with two anchors: the first is place 0's key, the second nobody's or `also`'s. */
static void certify(struct net *net, const struct net_node *anchor, const struct node_id *also) {
    net->network.policy = NETWORK_CERTIFIED;
    net->network.anchors[0] = anchor->env.id;
    net->network.anchors[1] = also != NULL ? *also : (struct node_id){{9}};
    net->network.anchor_count = 2;
    assert_int_equal(network_seal(&net->network, &net_crypto), OK);
}

static void write_cert(const struct paper *paper, const struct net_node *anchor,
                       const struct net_node *subject, struct buf *out) {
    const struct network *network = &anchor->net->network;
    struct cert cert = {.subject = subject->env.id, .life = 4, .signer_count = 1};
    cert.subject.b[0] ^= paper->other_subject ? 1 : 0;
    cert.epoch = (uint32_t)(NET_WALL_S / (int64_t)network->epoch_s + paper->epoch_shift);
    bool is_first = node_id_equal(&network->anchors[0], &anchor->env.id);
    cert.signers[0].signer = paper->bad_place ? 2 : !is_first;
    struct buf body = {0};
    wire_cert_signed_bytes(&body, &cert);
    struct signed_bytes bytes = {&network->id, RECORD_CERT, {body.data, body.len}};
    const struct net_node *signer = paper->other_signer ? subject : anchor;
    crypto_sign(&signer->crypto, &bytes, cert.signers[0].signature);
    buf_free(&body);
    wire_cert_encode(out, &cert);
}

static void mesh_links_need_a_certificate(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(papers); i++) {
        for (int they_dial = 0; they_dial < 2; they_dial++) {
            struct net *net = net_new(30 + i);
            struct net_node *anchor = net_add(net);
            struct net_node *place = net_add(net);
            certify(net, anchor, papers[i].is_anchor ? &place->env.id : NULL);
            struct buf cert = {0};
            if (papers[i].has_cert) {
                write_cert(&papers[i], anchor, place, &cert);
                place->env.cert = (struct slice){cert.data, cert.len};
            }
            struct fake *fake = fake_start(place);
            struct supernode_config config = {0};
            if (!they_dial) {
                net_introduce(&config, place);
            }
            anchor->node = supernode_new(&anchor->env, &config);
            net_start(anchor);
            if (they_dial) {
                fake_dial(fake, anchor, PURPOSE_MESH);
            }
            net_run(net, 500);
            uint32_t neighbours = supernode_of(anchor)->neighbour_count;
            if (neighbours != papers[i].is_welcome) {
                fail_msg("%s, they_dial %d: %u neighbours", papers[i].what, they_dial, neighbours);
            }
            if (!papers[i].is_welcome) {
                assert_int_equal(last_goaway(fake).reason, GOAWAY_POLICY);
            }
            net_free(net);
            buf_free(&cert);
        }
    }
}

static void an_expired_certificate_ends_the_link(void **state) {
    (void)state;
    struct net *net = net_new(50);
    struct net_node *anchor = net_add(net);
    struct net_node *place = net_add(net);
    certify(net, anchor, NULL);
    struct buf cert = {0};
    struct paper paper = {.epoch_shift = -3}; /* ends within the hour */
    write_cert(&paper, anchor, place, &cert);
    place->env.cert = (struct slice){cert.data, cert.len};
    struct fake *fake = fake_start(place);
    struct supernode_config config = {0};
    anchor->node = supernode_new(&anchor->env, &config);
    net_start(anchor);
    assert_non_null(fake_dial(fake, anchor, PURPOSE_MESH));
    assert_int_equal(supernode_of(anchor)->neighbour_count, 1);
    net_run(net, 3600 * 1000 + 2 * NODES_EVERY_MS);
    assert_int_equal(supernode_of(anchor)->neighbour_count, 0);
    assert_int_equal(last_goaway(fake).reason, GOAWAY_POLICY);
    net_free(net);
    buf_free(&cert);
}

/* ---- Mesh ---- */

static void supernodes_find_each_other(void **state) {
    (void)state;
    struct net *net = net_new(60);
    struct net_node *first = start_plain(net);
    enum { COUNT = 12 };
    for (int i = 1; i < COUNT; i++) {
        struct supernode_config config = {0};
        net_introduce(&config, first);
        start(net, &config);
    }
    net_run(net, 3 * NODES_EVERY_MS);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(supernode_of(net->nodes[i])->neighbour_count, COUNT - 1);
    }
    net_kill(net->nodes[5]);
    net_run(net, 1000);
    assert_int_equal(supernode_of(first)->neighbour_count, COUNT - 2);
    struct supernode_config config = {0};
    net_introduce(&config, first);
    net->nodes[5]->node = supernode_new(&net->nodes[5]->env, &config);
    net_start(net->nodes[5]);
    net_run(net, 2 * REDIAL_MS_MAX);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(supernode_of(net->nodes[i])->neighbour_count, COUNT - 1);
    }
    net_free(net);
}

static void introducers_are_looked_up_by_name(void **state) {
    (void)state;
    struct net *net = net_new(61);
    struct net_node *one = start_plain(net);
    struct net_node *place = net_add(net);
    struct supernode_config config = {0};
    net_introduce(&config, one);
    strcpy(config.introducers[0].host, "one.example");
    place->node = supernode_new(&place->env, &config);
    struct node_event event = {.kind = NODE_START, .mono_us = net->now_us};
    node_step(place->node, &event, &place->out);
    assert_int_equal(place->out.count, 1);
    assert_int_equal(place->out.actions[0].kind, ACTION_RESOLVE);
    struct slice name = outbox_bytes(&place->out, &place->out.actions[0]);
    assert_int_equal(name.len, strlen("one.example"));
    uint32_t token = place->out.actions[0].token32;
    net_carry_out(net, place);
    event = (struct node_event){.kind = NODE_RESOLVED};
    event.resolved.token = token; /* unknown: asked again later */
    net_step(net, place, &event);
    net_run(net, 1000);
    assert_int_equal(supernode_of(place)->neighbour_count, 0);
    event.resolved.count = 1;
    event.resolved.addresses[0] = one->host;
    net_step(net, place, &event);
    net_run(net, 1000);
    assert_int_equal(supernode_of(place)->neighbour_count, 1);
    net_free(net);
}

static void send_nodes_request(struct link *link) {
    struct nodes_request request = {.count = 8};
    struct buf payload = {0};
    wire_nodes_request_encode(&payload, &request);
    fake_send(link, MSG_NODES_REQUEST, &payload);
}

static void nodes_are_told_on_request_only(void **state) {
    (void)state;
    struct net *net = net_new(62);
    struct net_node *one = start_plain(net);
    struct net_node *two = start_friend(net, one);
    struct fake *asker = fake_add(net);
    struct link *link = fake_dial(asker, one, PURPOSE_DIRECTORY);
    for (int i = 0; i < NODES_BURST + 3; i++) {
        send_nodes_request(link);
    }
    net_run(net, 200);
    assert_int_equal(fake_count(asker, MSG_NODES), NODES_BURST);
    struct nodes nodes;
    assert_int_equal(wire_nodes_decode(heard_payload(fake_nth(asker, MSG_NODES, 0)), &nodes), OK);
    assert_int_equal(nodes.list.count, 2);
    struct address_record record;
    assert_int_equal(wire_address_record_decode(nodes.list.records[0], &record), OK);
    assert_memory_equal(record.key.b, two->env.id.b, 32);

    struct fake *mesh = fake_add(net);
    struct link *mesh_link = fake_dial(mesh, one, PURPOSE_MESH);
    assert_int_equal(fake_count(mesh, MSG_NODES_REQUEST), 1);
    for (int i = 0; i < 2; i++) {
        struct nodes none = {0};
        struct buf payload = {0};
        wire_nodes_encode(&payload, &none);
        fake_send(mesh_link, MSG_NODES, &payload);
        net_run(net, 100);
        assert_int_equal(mesh->closed, i); /* the second was not asked for */
    }
    net_free(net);
}

/* A record that names a host where nobody has seen its owner is not passed on: not to askers, and
 * not as a holder's address. */
static void unseen_addresses_are_not_passed_on(void **state) {
    (void)state;
    struct net *net = net_new(63);
    struct net_node *one = start_plain(net);
    struct fake *liar = fake_add(net);
    liar->place->env.listen[0] = test_address(99999, NET_PORT);
    liar->links.address_record_flags = ADDRESS_RECORD_SUPERNODE;
    assert_non_null(fake_dial(liar, one, PURPOSE_MESH));
    struct fake *honest = fake_add(net);
    honest->links.address_record_flags = ADDRESS_RECORD_SUPERNODE;
    assert_non_null(fake_dial(honest, one, PURPOSE_MESH));
    struct fake *asker = fake_add(net);
    struct link *link = fake_dial(asker, one, PURPOSE_LEAF);
    send_nodes_request(link);
    net_run(net, 200);
    struct nodes nodes;
    assert_int_equal(wire_nodes_decode(heard_payload(fake_nth(asker, MSG_NODES, 0)), &nodes), OK);
    assert_int_equal(nodes.list.count, 2);
    for (uint8_t i = 0; i < nodes.list.count; i++) {
        struct address_record record;
        assert_int_equal(wire_address_record_decode(nodes.list.records[i], &record), OK);
        assert_memory_not_equal(record.key.b, liar->place->env.id.b, 32);
    }
    struct link *liar_leaf = fake_dial(liar, one, PURPOSE_LEAF);
    assert_int_equal(fake_register(liar_leaf, 1, songs, LENGTH(songs)), REG_DONE);
    assert_int_equal(ask(link, "whale", 0, 1).records, 2);
    struct hits hits = first_hits(asker);
    assert_int_equal(hits.holders[0].address_record.len, 0);
    assert_memory_equal(hits.holders[0].id.b, liar->place->env.id.b, 32);
    net_free(net);
}

/* A supernode that was seen where it said, and then says that it is elsewhere. */
static void a_moved_supernode_must_be_seen_again(void **state) {
    (void)state;
    struct net *net = net_new(64);
    struct net_node *one = start_plain(net);
    struct fake *mover = fake_add(net);
    mover->links.address_record_flags = ADDRESS_RECORD_SUPERNODE;
    struct link *link = fake_dial(mover, one, PURPOSE_MESH);
    struct host *host = hostcache_find(&supernode_of(one)->hosts, &mover->place->env.id);
    assert_true(host->succeeded_s > 0);
    fake_close(link);
    mover->place->env.listen[0] = test_address(99999, NET_PORT);
    buf_free(&mover->links.address_record);
    assert_non_null(fake_dial(mover, one, PURPOSE_MESH));
    assert_int_equal(host->succeeded_s, 0);
    net_free(net);
}

/* ---- Dial-back ---- */

static enum reach reach_of(const struct net_node *place, const struct fake *fake) {
    const struct leaf *leaf = map_get(&supernode_of(place)->leaves, fake->place->env.id.b);
    assert_non_null(leaf);
    return leaf->reach;
}

static void another_supernode_dials_back(void **state) {
    (void)state;
    struct net *net = net_new(70);
    struct net_node *one = start_plain(net);
    struct net_node *two = start_friend(net, one);
    struct fake *open = fake_add(net);
    struct fake *closed = fake_add(net);
    struct fake *mute = fake_add(net);
    closed->place->is_deaf = true;
    mute->place->env.listen_count = 0;
    fake_dial(open, one, PURPOSE_LEAF);
    fake_dial(closed, one, PURPOSE_LEAF);
    fake_dial(mute, one, PURPOSE_LEAF);
    net_run(net, 1000);
    assert_int_equal(reach_of(one, open), REACH_PROVEN);
    assert_int_equal(reach_of(one, closed), REACH_FAILED);
    assert_int_equal(reach_of(one, mute), REACH_UNKNOWN);
    assert_int_equal(open->last_purpose, PURPOSE_PROBE);
    assert_int_equal(supernode_of(one)->counts.dialbacks, 0);
    assert_int_equal(supernode_of(two)->counts.dialbacks, 2);
    /* The other parent asks about the same leaf: it is not dialled again. */
    struct net_node *three = start_friend(net, one);
    net_run(net, 1000);
    fake_dial(open, three, PURPOSE_LEAF);
    net_run(net, 1000);
    assert_int_equal(reach_of(three, open), REACH_PROVEN);
    uint64_t dialled = supernode_of(one)->counts.dialbacks + supernode_of(two)->counts.dialbacks +
                       supernode_of(three)->counts.dialbacks;
    assert_in_range(dialled, 2, 3); /* one and two each at most once */
    /* A leaf that comes and goes is not dialled each time; later it is tried again. */
    for (int i = 0; i < 5; i++) {
        fake_close(links_find(&closed->links, &one->env.id, PURPOSE_LEAF));
        fake_dial(closed, one, PURPOSE_LEAF);
    }
    closed->place->is_deaf = false;
    net_run(net, 1000);
    assert_int_equal(reach_of(one, closed), REACH_FAILED);
    net_run(net, PROBE_KEEP_MS + PROBE_KEEP_MS / 2);
    assert_int_equal(reach_of(one, closed), REACH_PROVEN);
    net_free(net);
}

static void a_lone_supernode_dials_back_itself(void **state) {
    (void)state;
    struct net *net = net_new(71);
    struct net_node *one = start_plain(net);
    struct fake *open = fake_add(net);
    struct fake *closed = fake_add(net);
    closed->place->is_deaf = true;
    fake_dial(open, one, PURPOSE_LEAF);
    fake_dial(closed, one, PURPOSE_LEAF);
    net_run(net, 500);
    assert_int_equal(reach_of(one, open), REACH_PROVEN);
    assert_int_equal(reach_of(one, closed), REACH_FAILED);
    net_free(net);
}

static void send_dialback(struct link *link, const struct fake *target, uint64_t nonce) {
    struct dialback wanted = {
        .target = target->place->env.id, .address = target->place->env.listen[0], .nonce = nonce};
    struct buf payload = {0};
    wire_dialback_encode(&payload, &wanted);
    fake_send(link, MSG_DIALBACK, &payload);
}

static void a_target_is_dialled_once_for_all_who_ask(void **state) {
    (void)state;
    struct net *net = net_new(73);
    struct net_node *one = start_plain(net);
    struct fake *target = fake_add(net);
    struct fake *askers[2];
    struct link *links[2];
    for (int i = 0; i < 2; i++) {
        askers[i] = fake_add(net);
        links[i] = fake_dial(askers[i], one, PURPOSE_MESH);
    }
    for (int round = 0; round < 2; round++) { /* while it is dialled, and when that is done */
        for (int i = 0; i < 2; i++) {
            fake_forget(askers[i]);
            send_dialback(links[i], target, 40 + (uint64_t)i);
        }
        net_run(net, 500);
        for (int i = 0; i < 2; i++) {
            struct dialback_done done;
            assert_int_equal(fake_count(askers[i], MSG_DIALBACK_DONE), 1);
            const struct heard *heard = fake_nth(askers[i], MSG_DIALBACK_DONE, 0);
            assert_int_equal(wire_dialback_done_decode(heard_payload(heard), &done), OK);
            assert_int_equal(done.nonce, 40 + i);
            assert_true(done.reached);
        }
        assert_int_equal(supernode_of(one)->counts.dialbacks, 1);
    }
    /* Another id at the same place is not dialled, and not said to be there. */
    struct fake *other = fake_add(net);
    other->place->env.listen[0] = target->place->env.listen[0];
    fake_forget(askers[0]);
    send_dialback(links[0], other, 50);
    net_run(net, 500);
    struct dialback_done done;
    const struct heard *heard = fake_nth(askers[0], MSG_DIALBACK_DONE, 0);
    assert_int_equal(wire_dialback_done_decode(heard_payload(heard), &done), OK);
    assert_false(done.reached);
    assert_int_equal(supernode_of(one)->counts.dialbacks, 1);
    net_free(net);
}

static void dialbacks_are_not_a_weapon(void **state) {
    (void)state;
    struct net *net = net_new(72);
    net->network.profile = NETWORK_INTERNET;
    struct net_node *one = net_add(net);
    struct supernode_config config = {0};
    one->node = supernode_new(&one->env, &config);
    net_start(one);
    struct fake *mesh = fake_add(net);
    struct link *link = fake_dial(mesh, one, PURPOSE_MESH);
    static const struct {
        uint8_t ip[4];
        uint16_t port;
        bool is_dialled;
    } rows[] = {
        {{10, 0, 0, 9}, 7000, false}, {{127, 0, 0, 1}, 7000, false}, {{8, 8, 4, 4}, 22, false},
        {{8, 8, 4, 4}, 7000, true},   {{8, 8, 4, 4}, 7000, false},   {{8, 8, 4, 4}, 7001, true},
    };
    uint64_t dialled = 0;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct dialback ask_for = {.target = {{3}}, .nonce = i};
        ask_for.address.family = ADDRESS_IPV4;
        memcpy(ask_for.address.ip, rows[i].ip, 4);
        ask_for.address.port = rows[i].port;
        struct buf payload = {0};
        wire_dialback_encode(&payload, &ask_for);
        fake_send(link, MSG_DIALBACK, &payload);
        net_run(net, 500);
        dialled += rows[i].is_dialled;
        assert_int_equal(supernode_of(one)->counts.dialbacks, dialled);
    }
    for (int i = 0; i < 3 * DIALBACKS_BURST; i++) {
        struct dialback ask_for = {.target = {{3}}, .nonce = 100};
        ask_for.address = (struct address){ADDRESS_IPV4, {8, 8, 8, 8}, (uint16_t)(2000 + i)};
        struct buf payload = {0};
        wire_dialback_encode(&payload, &ask_for);
        fake_send(link, MSG_DIALBACK, &payload);
    }
    net_run(net, 500);
    assert_in_range(supernode_of(one)->counts.dialbacks, DIALBACKS_BURST - 10, DIALBACKS_BURST + 5);
    net_run(net, 2 * PROBE_KEEP_MS);
    assert_int_equal(supernode_of(one)->probes.count, 0);
    net_free(net);
}

/* ---- Push, misuse, status, goodbye ---- */

static void push_goes_to_our_leaf_from_its_true_sender(void **state) {
    (void)state;
    struct net *net = net_new(80);
    struct net_node *one = start_plain(net);
    struct fake *alice = fake_add(net);
    struct fake *bob = fake_add(net);
    assert_non_null(fake_dial(alice, one, PURPOSE_LEAF));
    struct link *bob_link = fake_dial(bob, one, PURPOSE_DIRECTORY);
    for (int which = 0; which < 3; which++) {
        struct fake *signer = which == 1 ? alice : bob; /* 1: a record that is not the sender's */
        struct push push = {.target = alice->place->env.id, .nonce = {5}};
        push.target.b[0] ^= which == 2; /* 2: a leaf that is not here */
        fake_begin(signer);
        push.requester = links_own_record(&signer->links);
        struct buf payload = {0};
        wire_push_encode(&payload, &push);
        fake_end(signer);
        fake_send(bob_link, MSG_PUSH, &payload);
        net_run(net, 100);
        assert_int_equal(fake_count(alice, MSG_PUSH), 1);
    }
    assert_int_equal(supernode_of(one)->counts.pushes, 1);
    assert_int_equal(supernode_of(one)->counts.pushes_dropped, 2);
    net_free(net);
}

static void messages_on_the_wrong_link_close_it(void **state) {
    (void)state;
    static const struct {
        enum purpose purpose;
        uint8_t type;
    } rows[] = {{PURPOSE_LEAF, MSG_END},        {PURPOSE_LEAF, MSG_HITS},
                {PURPOSE_LEAF, MSG_DIALBACK},   {PURPOSE_MESH, MSG_REG_BEGIN},
                {PURPOSE_DIRECTORY, MSG_QUERY}, {PURPOSE_PROBE, MSG_NODES_REQUEST},
                {PURPOSE_LEAF, MSG_OPEN},       {PURPOSE_MESH, MSG_PUSH}};
    struct net *net = net_new(81);
    struct net_node *one = start_plain(net);
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct fake *fake = fake_add(net);
        struct link *link = fake_dial(fake, one, rows[i].purpose);
        struct buf payload = {0};
        buf_u8(&payload, 1);
        fake_send(link, rows[i].type, &payload);
        net_run(net, 100);
        assert_int_equal(fake->closed, 1);
        assert_int_equal(last_goaway(fake).reason, GOAWAY_PROTOCOL);
    }
    net_free(net);
}

static void status_tells_what_is(void **state) {
    (void)state;
    struct net *net = net_new(82);
    struct net_node *one = start_plain(net);
    start_friend(net, one);
    struct fake *alice = fake_add(net);
    struct link *link = fake_dial(alice, one, PURPOSE_LEAF);
    assert_int_equal(fake_register(link, 1, songs, LENGTH(songs)), REG_DONE);
    const char *text = net_command(one, "status");
    assert_non_null(strstr(text, "kind=status"));
    assert_non_null(strstr(text, "leaves=1 files=3 records=3"));
    assert_non_null(strstr(text, "neighbours=1"));
    assert_non_null(strstr(text, "kind=leaf"));
    assert_non_null(strstr(text, "files=3 reachable=1"));
    assert_non_null(strstr(text, "kind=neighbour"));
    assert_non_null(strstr(text, "dialled=0"));
    assert_null(strstr(net_command(one, "search"), "kind=status"));
    net_free(net);
}

static void shutdown_says_where_else_to_go(void **state) {
    (void)state;
    struct net *net = net_new(83);
    struct net_node *one = start_plain(net);
    struct net_node *two = start_friend(net, one);
    struct fake *alice = fake_add(net);
    struct link *link = fake_dial(alice, one, PURPOSE_LEAF);
    assert_non_null(link);
    struct node_event event = {.kind = NODE_SHUTDOWN};
    net_step(net, one, &event);
    assert_false(one->is_stopped);
    net_run(net, 200);
    assert_true(one->is_stopped);
    assert_int_equal(last_goaway(alice).reason, GOAWAY_SHUTDOWN);
    assert_int_equal(last_goaway(alice).alternatives.count, 1);
    assert_int_equal(supernode_of(two)->neighbour_count, 0);
    /* Ends that never confirm do not hold it up. */
    event = (struct node_event){.kind = NODE_SHUTDOWN};
    net_step(net, two, &event);
    net_run(net, STOP_MS + 100);
    assert_true(two->is_stopped);
    net_free(net);
}

/* What one idle leaf costs a supernode, beside its list. */
static void a_leaf_is_small(void **state) {
    (void)state;
    print_message("sizeof leaf %zu, neighbour %zu, link %zu, supernode %zu\n", sizeof(struct leaf),
                  sizeof(struct neighbour), sizeof(struct link), sizeof(struct supernode));
    assert_true(sizeof(struct leaf) <= 640);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leaf_finds_what_others_share),
        cmocka_unit_test(want_bounds_each_answer),
        cmocka_unit_test(long_answers_come_in_several_messages),
        cmocka_unit_test(the_longest_answers_fit_their_frames),
        cmocka_unit_test(an_unchanged_list_is_not_sent_again),
        cmocka_unit_test(a_wrong_root_leaves_the_old_list_in_place),
        cmocka_unit_test(registration_out_of_order_closes_the_link),
        cmocka_unit_test(a_list_too_long_is_sent_elsewhere),
        cmocka_unit_test(lists_of_many_departed_leaves_are_reclaimed),
        cmocka_unit_test(a_full_house_names_others),
        cmocka_unit_test(only_fitting_purposes_come_in),
        cmocka_unit_test(visitors_are_few),
        cmocka_unit_test(mesh_links_need_a_certificate),
        cmocka_unit_test(an_expired_certificate_ends_the_link),
        cmocka_unit_test(supernodes_find_each_other),
        cmocka_unit_test(introducers_are_looked_up_by_name),
        cmocka_unit_test(nodes_are_told_on_request_only),
        cmocka_unit_test(unseen_addresses_are_not_passed_on),
        cmocka_unit_test(a_moved_supernode_must_be_seen_again),
        cmocka_unit_test(another_supernode_dials_back),
        cmocka_unit_test(a_target_is_dialled_once_for_all_who_ask),
        cmocka_unit_test(a_lone_supernode_dials_back_itself),
        cmocka_unit_test(dialbacks_are_not_a_weapon),
        cmocka_unit_test(push_goes_to_our_leaf_from_its_true_sender),
        cmocka_unit_test(messages_on_the_wrong_link_close_it),
        cmocka_unit_test(status_tells_what_is),
        cmocka_unit_test(shutdown_says_where_else_to_go),
        cmocka_unit_test(a_leaf_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
