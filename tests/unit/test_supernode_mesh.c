/* test_supernode_mesh.c - supernodes among themselves: certificates, who is told of whom,
 * dial-back. */
#include "tests/unit/supernode_fake.h"

static const struct fake_file songs[] = {
    {1, "Blue Whale Song.ogg"}, {2, "humpback whale.ogg"}, {3, "north wind.ogg"}};

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

/* One that nobody will link with says so in its status. */
static void a_supernode_knows_whether_it_is_certified(void **state) {
    (void)state;
    for (int has_cert = 0; has_cert < 2; has_cert++) {
        struct net *net = net_new(51);
        struct net_node *anchor = net_add(net);
        struct net_node *place = net_add(net);
        certify(net, anchor, NULL);
        struct buf cert = {0};
        struct paper paper = {.epoch_shift = -3}; /* ends within the hour */
        write_cert(&paper, anchor, place, &cert);
        place->env.cert = has_cert ? (struct slice){cert.data, cert.len} : (struct slice){0};
        struct supernode_config config = {0};
        place->node = supernode_new(&place->env, &config);
        net_start(place);
        assert_non_null(
            strstr(net_command(place, "status"), has_cert ? "certified=1" : "certified=0"));
        net_run(net, 3600 * 1000);
        assert_non_null(strstr(net_command(place, "status"), "certified=0"));
        net_free(net);
        buf_free(&cert);
    }
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

/* A full mesh up to 25 known supernodes, 12 dialled links up to 300, 8 beyond. */
static void how_many_are_dialled_depends_on_how_many_there_are(void **state) {
    (void)state;
    static const struct {
        uint32_t known, dialled;
    } rows[] = {{1, 1},
                {MESH_FULL_MAX, MESH_FULL_MAX},
                {MESH_FULL_MAX + 1, MESH_DIAL_MEDIUM},
                {MESH_MEDIUM_MAX, MESH_DIAL_MEDIUM},
                {MESH_MEDIUM_MAX + 1, MESH_DIAL_LARGE},
                {HOSTCACHE_MAX, MESH_DIAL_LARGE}};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct net *net = net_new(66);
        struct supernode_config config = {0};
        struct net_node *place = net_add(net);
        place->node = supernode_new(&place->env, &config);
        struct supernode *supernode = supernode_of(place);
        for (uint32_t n = 0; n < rows[i].known; n++) {
            const struct net_node *other = fake_add(net)->place;
            hostcache_add_introducer(&supernode->hosts, &other->env.id, &other->env.listen[0]);
        }
        net_start(place);
        net_run(net, 5000);
        assert_int_equal(supernode->hosts.hosts.count, rows[i].known);
        assert_int_equal(supernode->neighbour_count, rows[i].dialled);
        for (uint32_t n = 0; n < supernode->neighbour_count; n++) {
            assert_true(supernode->neighbours[n]->link->token != 0); /* each dialled by it */
        }
        net_free(net);
    }
}

/* For experiments: a chain of three stays a chain. */
static void a_fixed_mesh_does_not_grow(void **state) {
    (void)state;
    for (int fixed = 0; fixed < 2; fixed++) {
        struct net *net = net_new(65);
        struct supernode_config config = {.fixed_mesh = fixed == 1};
        struct net_node *chain[3] = {start(net, &config)};
        for (int i = 1; i < 3; i++) {
            struct supernode_config next = config;
            net_introduce(&next, chain[i - 1]);
            chain[i] = start(net, &next);
        }
        net_run(net, 3 * NODES_EVERY_MS);
        assert_int_equal(supernode_of(chain[0])->neighbour_count, fixed ? 1 : 2);
        assert_int_equal(supernode_of(chain[1])->neighbour_count, 2);
        net_free(net);
    }
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

    struct fake *talker = fake_add(net);
    struct link *talker_link = fake_dial(talker, one, PURPOSE_MESH);
    struct nodes many = {.list.count = 33}; /* one more than it asks for */
    fake_begin(talker);
    for (uint8_t i = 0; i < many.list.count; i++) {
        many.list.records[i] = links_own_record(&talker->links, NULL);
    }
    struct buf payload = {0};
    wire_nodes_encode(&payload, &many);
    fake_end(talker);
    fake_send(talker_link, MSG_NODES, &payload);
    net_run(net, 100);
    assert_int_equal(talker->closed, 1);
    net_free(net);
}

static void few_neighbours_are_accepted(void **state) {
    (void)state;
    struct net *net = net_new(65);
    struct net_node *one = start_plain(net);
    for (uint32_t i = 0; i <= MESH_ACCEPT_MAX; i++) {
        struct fake *fake = fake_add(net);
        struct link *link = fake_dial(fake, one, PURPOSE_MESH);
        if (i < MESH_ACCEPT_MAX) {
            assert_non_null(link);
        } else {
            assert_int_equal(last_goaway(fake).reason, GOAWAY_FULL);
        }
    }
    assert_int_equal(supernode_of(one)->neighbour_count, MESH_ACCEPT_MAX);
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
    buf_free(&mover->links.address_records[0]);
    assert_non_null(fake_dial(mover, one, PURPOSE_MESH));
    assert_int_equal(host->succeeded_s, 0);
    net_free(net);
}

/* Whoever is busy is left alone for as long as it asks. */
static void a_busy_one_is_dialled_later(void **state) {
    (void)state;
    struct net *net = net_new(73);
    struct net_node *one = start_plain(net);
    one->busy_s = 16;
    struct net_node *two = start_friend(net, one);
    net_run(net, 15000);
    assert_int_equal(one->dials, 1);
    net_run(net, 10000);
    assert_in_range(one->dials, 2, 3);
    one->busy_s = 0;
    net_run(net, 40000);
    assert_int_equal(supernode_of(two)->neighbour_count, 1);
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

/* A crowd's dial-backs wait for each other, but not for those that never answer. */
static void a_crowd_is_dialled_back_in_turn(void **state) {
    (void)state;
    enum { HIDDEN = 2 * DIALBACKS_AT_ONCE, OPEN = 3 * DIALBACKS_AT_ONCE };
    struct net *net = net_new(72);
    struct net_node *one = start_plain(net);
    for (int i = 0; i < HIDDEN; i++) {
        struct fake *hidden = fake_add(net);
        hidden->place->is_hidden = true;
        fake_start_dial(hidden, one, PURPOSE_LEAF);
    }
    net_run(net, DIALBACK_SLOW_MS / 2);
    assert_int_equal(supernode_of(one)->counts.dialbacks, DIALBACKS_AT_ONCE);
    struct fake *open[OPEN];
    for (int i = 0; i < OPEN; i++) {
        open[i] = fake_add(net);
        fake_start_dial(open[i], one, PURPOSE_LEAF);
    }
    net_run(net, DIALBACK_SLOW_MS);
    assert_int_equal(supernode_of(one)->counts.dialbacks, HIDDEN);
    /* Those that answer make room at once. */
    net_run(net, DIALBACK_SLOW_MS);
    for (int i = 0; i < OPEN; i++) {
        assert_int_equal(reach_of(one, open[i]), REACH_PROVEN);
    }
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mesh_links_need_a_certificate),
        cmocka_unit_test(an_expired_certificate_ends_the_link),
        cmocka_unit_test(a_supernode_knows_whether_it_is_certified),
        cmocka_unit_test(supernodes_find_each_other),
        cmocka_unit_test(how_many_are_dialled_depends_on_how_many_there_are),
        cmocka_unit_test(a_fixed_mesh_does_not_grow),
        cmocka_unit_test(introducers_are_looked_up_by_name),
        cmocka_unit_test(nodes_are_told_on_request_only),
        cmocka_unit_test(few_neighbours_are_accepted),
        cmocka_unit_test(unseen_addresses_are_not_passed_on),
        cmocka_unit_test(a_moved_supernode_must_be_seen_again),
        cmocka_unit_test(a_busy_one_is_dialled_later),
        cmocka_unit_test(another_supernode_dials_back),
        cmocka_unit_test(a_target_is_dialled_once_for_all_who_ask),
        cmocka_unit_test(a_lone_supernode_dials_back_itself),
        cmocka_unit_test(a_crowd_is_dialled_back_in_turn),
        cmocka_unit_test(dialbacks_are_not_a_weapon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
