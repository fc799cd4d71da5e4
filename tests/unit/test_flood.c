/* test_flood.c - the rules of the flood, against neighbours that lie, hang, or ask too much. */
#include "tests/unit/supernode_fake.h"

/* A supernode that floods to the full ttl at once: the rules of a flood by themselves. */
static struct net_node *start_flooding(struct net *net) {
    struct supernode_config config = {.plain_flood = true};
    return start(net, &config);
}

/* ---- What a hostile or slow neighbour may do ---- */

/* A query's id, as the supernode computes it. */
static struct query_id id_of(const struct fake *fake, const struct fake_query *query) {
    struct buf body = {0};
    fake_body(fake, query, &body);
    struct query_id id;
    wire_query_id((struct slice){body.data, body.len}, &fake->place->crypto, &id);
    buf_free(&body);
    return id;
}

static void send_end(struct link *link, const struct query_id *id, uint8_t ttl,
                     uint16_t supernodes) {
    struct query_end end = {.id = *id, .ttl = ttl, .coverage.supernodes = supernodes};
    struct buf payload = {0};
    wire_end_encode(&payload, &end);
    fake_send(link, MSG_END, &payload);
}

static void answers_to_nothing_close_the_link(void **state) {
    (void)state;
    struct net *net = net_new(5);
    struct net_node *place = start_flooding(net);
    struct fake *leaf = fake_add(net);
    struct fake *mesh = fake_add(net);
    struct link *leaf_link = fake_dial(leaf, place, PURPOSE_LEAF);
    struct link *mesh_link = fake_dial(mesh, place, PURPOSE_MESH);
    struct fake_query query = {.ttl = 2, .text = "whale"};
    fake_ask(leaf_link, &query);
    net_run(net, 100);
    assert_int_equal(fake_count(mesh, MSG_QUERY), 1);
    struct query_id id = id_of(leaf, &query);
    send_end(mesh_link, &id, 2, 7); /* wrong ttl: the copy had 1 */
    net_run(net, 100);
    assert_int_equal(fake_result(leaf).lasts, 0);
    send_end(mesh_link, &id, 1, 7);
    send_end(mesh_link, &id, 1, 7); /* answered already */
    net_run(net, 100);
    assert_int_equal(fake_result(leaf).lasts, 1);
    assert_int_equal(fake_result(leaf).coverage.supernodes, 8);
    assert_int_equal(supernode_of(place)->counts.unmatched, 2);
    for (int i = 2; i < MISDEEDS_MAX; i++) {
        assert_int_equal(mesh->closed, 0);
        send_end(mesh_link, &id, 1, 7);
        net_run(net, 100);
    }
    assert_int_equal(mesh->closed, 1);
    struct goaway goaway;
    assert_int_equal(wire_goaway_decode(heard_payload(fake_nth(mesh, MSG_GOAWAY, 0)), &goaway), OK);
    assert_int_equal(goaway.reason, GOAWAY_PROTOCOL);
    net_free(net);
}

static void late_answers_are_dropped_without_blame(void **state) {
    (void)state;
    struct net *net = net_new(6);
    struct net_node *place = start_flooding(net);
    struct fake *leaf = fake_add(net);
    struct fake *mesh = fake_add(net);
    struct link *leaf_link = fake_dial(leaf, place, PURPOSE_LEAF);
    struct link *mesh_link = fake_dial(mesh, place, PURPOSE_MESH);
    struct fake_query query = {.ttl = 2, .text = "whale", .deadline_ms = 500};
    fake_ask(leaf_link, &query);
    net_run(net, 450);
    assert_int_equal(fake_result(leaf).lasts, 0);
    net_run(net, 150);
    assert_int_equal(fake_result(leaf).lasts, 1);
    assert_int_equal(fake_result(leaf).coverage.supernodes, 1);
    assert_int_equal(fake_result(leaf).coverage.refused, 1);
    struct query_id id = id_of(leaf, &query);
    send_end(mesh_link, &id, 1, 7);
    net_run(net, 100);
    assert_int_equal(supernode_of(place)->counts.unmatched, 0);
    assert_int_equal(fake_result(leaf).lasts, 1);
    send_end(mesh_link, &id, 1, 7);
    net_run(net, 100);
    assert_int_equal(supernode_of(place)->counts.unmatched, 1);
    net_free(net);
}

/* A child says it reached more than there can be: sums do not wrap. */
static void coverage_saturates(void **state) {
    (void)state;
    struct net *net = net_new(7);
    struct net_node *place = start_flooding(net);
    struct fake *leaf = fake_add(net);
    struct fake *mesh = fake_add(net);
    struct link *leaf_link = fake_dial(leaf, place, PURPOSE_LEAF);
    struct link *mesh_link = fake_dial(mesh, place, PURPOSE_MESH);
    struct fake_query query = {.ttl = 1, .text = "whale"};
    fake_ask(leaf_link, &query);
    net_run(net, 100);
    struct query_id id = id_of(leaf, &query);
    send_end(mesh_link, &id, 0, UINT16_MAX);
    net_run(net, 100);
    assert_int_equal(fake_result(leaf).coverage.supernodes, UINT16_MAX);
    net_free(net);
}

/* A child's link ends: its parent is answered at once, not at the deadline. */
static void a_lost_child_is_not_waited_for(void **state) {
    (void)state;
    struct net *net = net_new(12);
    struct net_node *place = start_flooding(net);
    struct fake *leaf = fake_add(net);
    struct fake *mesh = fake_add(net);
    struct link *leaf_link = fake_dial(leaf, place, PURPOSE_LEAF);
    struct link *mesh_link = fake_dial(mesh, place, PURPOSE_MESH);
    struct fake_query query = {.ttl = 1, .text = "whale"};
    fake_ask(leaf_link, &query);
    net_run(net, 100);
    assert_int_equal(fake_result(leaf).lasts, 0);
    fake_close(mesh_link);
    assert_int_equal(fake_result(leaf).lasts, 1);
    assert_int_equal(fake_result(leaf).coverage.refused, 1);
    query.salt = 1;
    assert_non_null(fake_dial(mesh, place, PURPOSE_MESH));
    fake_ask(leaf_link, &query);
    net_run(net, 100);
    fake_close(leaf_link); /* and nobody waits for a leaf that is gone */
    nothing_is_left(net, 1);
    net_free(net);
}

/* Between two neighbours: one asks, the other is asked. */
struct pair {
    struct net *net;
    struct net_node *place;
    struct fake *asker;
    struct fake *child;
    struct link *asker_link;
    struct link *child_link;
};

static struct pair pair_new(uint64_t seed) {
    struct pair pair = {.net = net_new(seed)};
    pair.place = start_plain(pair.net);
    pair.asker = fake_add(pair.net);
    pair.child = fake_add(pair.net);
    pair.asker_link = fake_dial(pair.asker, pair.place, PURPOSE_MESH);
    pair.child_link = fake_dial(pair.child, pair.place, PURPOSE_MESH);
    return pair;
}

/* It comes before the true answer would: whoever asked would take zeroes for that. */
static void a_repeated_copy_has_no_answer_of_its_own(void **state) {
    (void)state;
    struct pair pair = pair_new(19);
    struct fake_query query = {.ttl = 2, .hops = 1, .text = "whale"};
    fake_ask(pair.asker_link, &query);
    fake_ask(pair.asker_link, &query);
    query.ttl = 1;
    fake_ask(pair.asker_link, &query);
    net_run(pair.net, 100);
    assert_int_equal(fake_count(pair.child, MSG_QUERY), 1);
    assert_int_equal(fake_result(pair.asker).lasts, 0);
    struct query_id id = id_of(pair.asker, &query);
    send_end(pair.child_link, &id, 1, 7);
    net_run(pair.net, 100);
    assert_int_equal(fake_result(pair.asker).lasts, 1);
    assert_int_equal(fake_result(pair.asker).coverage.supernodes, 8);
    query.ttl = 2;
    fake_ask(pair.asker_link, &query); /* and none afterwards */
    net_run(pair.net, 100);
    assert_int_equal(fake_result(pair.asker).lasts, 1);
    net_free(pair.net);
}

/* One copy that is let on, and as many misdeeds as end a link. */
static struct query_id misbehave(const struct pair *pair) {
    struct fake_query query = {.ttl = 2, .hops = 1, .text = "whale"};
    struct query_id id = id_of(pair->asker, &query);
    for (uint32_t i = 0; i <= MISDEEDS_MAX; i++) {
        fake_ask(pair->asker_link, &query);
    }
    net_run(pair->net, 100);
    assert_int_equal(fake_count(pair->child, MSG_QUERY), 1);
    return id;
}

/* They are for the leaves behind him: nobody answers an id twice. */
static void who_misbehaves_goes_with_the_answers_he_is_owed(void **state) {
    (void)state;
    for (int is_answered = 0; is_answered < 2; is_answered++) {
        struct pair pair = pair_new(20);
        struct query_id id = misbehave(&pair);
        assert_int_equal(pair.asker->closed, 0);
        struct fake_query other = {.ttl = 2, .hops = 1, .text = "song", .salt = 1};
        fake_ask(pair.asker_link, &other); /* nothing else is done for him ... */
        fake_ask(pair.child_link, &other); /* ... or asked of him */
        net_run(pair.net, 100);
        assert_int_equal(fake_result(pair.asker).lasts, 1);
        assert_int_equal(fake_result(pair.asker).coverage.refused, 1);
        assert_int_equal(fake_count(pair.asker, MSG_QUERY), 0);
        assert_int_equal(fake_count(pair.child, MSG_QUERY), 1);
        if (is_answered != 0) {
            send_end(pair.child_link, &id, 1, 7);
            net_run(pair.net, 100);
        } else {
            net_run(pair.net, QUERY_DEADLINE_MS - QUERY_DEADLINE_STEP_MS - 400);
            assert_int_equal(pair.asker->closed, 0);
            net_run(pair.net, 400);
        }
        assert_int_equal(fake_result(pair.asker).lasts, 2);
        assert_int_equal(fake_result(pair.asker).coverage.supernodes, is_answered != 0 ? 8 : 1);
        assert_int_equal(pair.asker->closed, 1);
        assert_int_equal(last_goaway(pair.asker).reason, GOAWAY_PROTOCOL);
        assert_int_equal(pair.child->closed, 0);
        net_free(pair.net);
    }
}

/* The wait for an answer is no leave to go on. */
static void who_goes_on_misbehaving_is_owed_nothing(void **state) {
    (void)state;
    struct pair pair = pair_new(21);
    struct query_id id = misbehave(&pair);
    for (uint32_t i = MISDEEDS_MAX; i < MISDEEDS_OWED_MAX; i++) {
        assert_int_equal(pair.asker->closed, 0);
        send_end(pair.asker_link, &id, 1, 7);
        net_run(pair.net, 10);
    }
    net_run(pair.net, 100);
    assert_int_equal(pair.asker->closed, 1);
    assert_int_equal(fake_result(pair.asker).lasts, 0);
    net_free(pair.net);
}

/* Who sent us a copy has had it with one more: only what goes beyond that is worth sending. */
static void a_neighbour_is_not_sent_what_it_had(void **state) {
    (void)state;
    static const struct {
        uint8_t from_mesh, from_leaf;
        bool is_sent;
    } rows[] = {{0, 1, false}, {0, 2, false}, {0, 3, true}, {1, 3, false}, {1, 4, true}};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct net *net = net_new(13);
        struct net_node *place = start_flooding(net);
        struct fake *leaf = fake_add(net);
        struct fake *mesh = fake_add(net);
        struct link *leaf_link = fake_dial(leaf, place, PURPOSE_LEAF);
        struct link *mesh_link = fake_dial(mesh, place, PURPOSE_MESH);
        struct fake_query query = {.ttl = rows[i].from_mesh, .hops = 1, .text = "whale"};
        fake_ask(mesh_link, &query);
        net_run(net, 100);
        query.ttl = rows[i].from_leaf;
        query.hops = 0;
        fake_ask(leaf_link, &query);
        net_run(net, 100);
        assert_int_equal(fake_count(mesh, MSG_QUERY), rows[i].is_sent);
        assert_int_equal(fake_result(leaf).lasts, !rows[i].is_sent);
        net_free(net);
    }
}

/* Headers from the mesh are held to our own rules. */
static void copies_are_bounded(void **state) {
    (void)state;
    struct net *net = net_new(8);
    struct net_node *place = start_plain(net);
    struct fake *from = fake_add(net);
    struct fake *to = fake_add(net);
    struct link *from_link = fake_dial(from, place, PURPOSE_MESH);
    assert_non_null(fake_dial(to, place, PURPOSE_MESH));
    static const struct {
        uint8_t ttl, hops, ttl_out, hops_out;
        bool is_relayed;
    } rows[] = {
        {15, 0, 2, 2, true}, /* no supernode is the first: at least one hop was made */
        {3, 1, 2, 2, true},  {15, 3, 0, 4, true}, {1, 3, 0, 4, true},
        {0, 1, 0, 0, false}, {2, 4, 0, 0, false}, {15, 15, 0, 0, false},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        fake_forget(from);
        fake_forget(to);
        struct fake_query query = {
            .ttl = rows[i].ttl, .hops = rows[i].hops, .text = "whale", .salt = (uint8_t)i};
        query.deadline_ms = UINT16_MAX;
        fake_ask(from_link, &query);
        net_run(net, 100);
        assert_int_equal(fake_count(to, MSG_QUERY), rows[i].is_relayed);
        assert_int_equal(fake_count(from, MSG_QUERY), 0); /* not back where it came from */
        assert_int_equal(fake_result(from).lasts, !rows[i].is_relayed);
        if (rows[i].is_relayed) {
            struct query_header header;
            assert_int_equal(wire_query_decode(heard_payload(fake_nth(to, MSG_QUERY, 0)), &header),
                             OK);
            assert_int_equal(header.ttl, rows[i].ttl_out);
            assert_int_equal(header.hops, rows[i].hops_out);
            assert_int_equal(header.deadline_ms,
                             QUERY_DEADLINE_MS - QUERY_DEADLINE_STEP_MS * rows[i].hops_out);
        }
        net_run(net, QUERY_DEADLINE_MS); /* `to` never answers */
        assert_int_equal(fake_result(from).lasts, 1);
        struct query_end end;
        assert_int_equal(wire_end_decode(heard_payload(fake_nth(from, MSG_END, 0)), &end), OK);
        assert_int_equal(end.ttl, rows[i].ttl); /* as it was sent, not as we count */
    }
    net_free(net);
}

/* The same body as QUERY and LOCATE, a broken body, a leaf that claims hops: all close the link. */
static void wrong_bodies_close_the_link(void **state) {
    (void)state;
    for (int which = 0; which < 4; which++) {
        struct net *net = net_new(9);
        struct net_node *place = start_plain(net);
        struct fake *leaf = fake_add(net);
        struct link *link = fake_dial(leaf, place, PURPOSE_LEAF);
        struct fake_query query = {.ttl = 1, .text = "whale", .hops = which == 3};
        struct buf body = {0};
        fake_body(leaf, &query, &body);
        body.data[0] ^= which == 2 ? 0xff : 0;
        struct query_header header = {.ttl = 1, .hops = query.hops, .want = 9};
        header.deadline_ms = 1000;
        header.body = (struct slice){body.data, body.len};
        for (int n = 0; n < 2; n++) {
            struct buf payload = {0};
            header.ttl = (uint8_t)(1 + n);
            wire_query_encode(&payload, &header);
            bool is_located = which == 0 || (which == 1 && n == 1);
            fake_send(link, is_located ? MSG_LOCATE : MSG_QUERY, &payload);
            net_run(net, 100);
            if (leaf->closed > 0) {
                break;
            }
        }
        assert_int_equal(leaf->closed, 1);
        buf_free(&body);
        net_free(net);
    }
}

/* What a leaf sends that is no query closes its link. A neighbour only relays: he is told. */
static void texts_that_are_no_query(void **state) {
    (void)state;
    static const char *const texts[] = {"type:audio", "whale \"song", "whale colour:blue", "..."};
    for (size_t i = 0; i < LENGTH(texts); i++) {
        struct net *net = net_new(17);
        struct net_node *place = start_plain(net);
        struct fake *leaf = fake_add(net);
        struct fake *mesh = fake_add(net);
        struct fake *next = fake_add(net);
        struct link *mesh_link = fake_dial(mesh, place, PURPOSE_MESH);
        assert_non_null(fake_dial(next, place, PURPOSE_MESH));
        struct fake_query query = {.ttl = 2, .text = texts[i]};
        fake_ask(fake_dial(leaf, place, PURPOSE_LEAF), &query);
        query.hops = 1;
        fake_ask(mesh_link, &query);
        net_run(net, 100);
        assert_int_equal(leaf->closed, 1);
        assert_int_equal(last_goaway(leaf).reason, GOAWAY_PROTOCOL);
        assert_int_equal(mesh->closed, 0);
        assert_int_equal(fake_result(mesh).lasts, 1);
        assert_int_equal(fake_result(mesh).coverage.refused, 1);
        assert_int_equal(supernode_of(place)->counts.unread, 1);
        assert_int_equal(fake_count(next, MSG_QUERY), 0);
        net_free(net);
    }
}

/* Words find candidates, phrases and filters decide, and `want` counts what is left. */
static void answers_match_in_full(void **state) {
    (void)state;
    static const struct fake_file files[] = {
        {200, "blue whale song.mp3"},  {9, "whale song, blue.mp3"},  {3, "blue whale.txt"},
        {4, "blue whales, whale.ogg"}, {5, "blue whale song b.mp3"}, {6, "blue whale remix.mp3"},
    };
    static const struct {
        const char *text;
        uint16_t want;
        uint32_t records;
        bool truncated;
    } rows[] = {
        {"whale blue", 100, 6, false},
        {"\"blue whale\"", 100, 4, false},
        {"blue whale type:audio", 100, 5, false},
        {"blue whale type:audio", 2, 2, true},
        {"whale -remix", 100, 5, false},
        {"whale ext:ogg,txt", 2, 2, false},
        {"whale size:>100", 100, 1, false},
        {"whale year:1990..", 100, 0, false},
        {"\"whale song\" -\"song blue\" type:audio size:>6", 100, 1, false},
    };
    struct net *net = net_new(18);
    struct net_node *place = start_plain(net);
    struct fake *owner = fake_add(net);
    struct fake *leaf = fake_add(net);
    struct link *owner_link = fake_dial(owner, place, PURPOSE_LEAF);
    assert_int_equal(fake_register(owner_link, 1, files, LENGTH(files)), REG_DONE);
    struct link *link = fake_dial(leaf, place, PURPOSE_LEAF);
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct fake_query query = {.text = rows[i].text, .want = rows[i].want, .salt = (uint8_t)i};
        fake_forget(leaf);
        fake_ask(link, &query);
        net_run(net, 1000);
        struct fake_result result = fake_result(leaf);
        assert_int_equal(result.lasts, 1);
        assert_int_equal(result.records, rows[i].records);
        assert_int_equal(result.coverage.truncated, rows[i].truncated);
    }
    net_free(net);
}

/* Ids are kept a minute: the same query then is a new one; within it, a repeated ttl is nothing. */
static void ids_are_forgotten_after_a_minute(void **state) {
    (void)state;
    struct net *net = net_new(10);
    struct net_node *place = start_plain(net);
    struct fake *leaf = fake_add(net);
    struct link *link = fake_dial(leaf, place, PURPOSE_LEAF);
    struct fake_query query = {.ttl = 1, .text = "whale"};
    fake_ask(link, &query);
    net_run(net, 59000);
    fake_ask(link, &query);
    net_run(net, 100);
    assert_int_equal(fake_result(leaf).lasts, 1);
    net_run(net, 1000);
    assert_int_equal(supernode_of(place)->flood.queries.count, 0);
    fake_ask(link, &query);
    net_run(net, 100);
    assert_int_equal(fake_result(leaf).lasts, 2);
    assert_int_equal(fake_result(leaf).coverage.supernodes, 1);
    net_free(net);
}

static void leaves_are_held_to_a_rate(void **state) {
    (void)state;
    struct net *net = net_new(11);
    struct net_node *place = start_plain(net);
    struct fake *leaf = fake_add(net);
    struct link *link = fake_dial(leaf, place, PURPOSE_LEAF);
    for (uint8_t i = 0; i < LEAF_QUERIES_BURST + 5; i++) {
        struct fake_query query = {.ttl = 1, .text = "whale", .salt = i};
        fake_ask(link, &query);
    }
    net_run(net, 500);
    assert_int_equal(fake_result(leaf).lasts, LEAF_QUERIES_BURST + 5);
    assert_int_equal(fake_result(leaf).coverage.refused, 1);
    assert_int_equal(fake_result(leaf).coverage.reached, 0); /* of the one there is */
    assert_int_equal(fake_result(leaf).coverage.known, 1);
    assert_int_equal(supernode_of(place)->counts.limited, 5);
    assert_int_equal(supernode_of(place)->counts.queries, LEAF_QUERIES_BURST);
    struct query_end end;
    assert_int_equal(wire_end_decode(heard_payload(fake_nth(leaf, MSG_END, 0)), &end), OK);
    assert_int_equal(wire_end_wait_ms(&end), 0);
    const struct heard *last = fake_nth(leaf, MSG_END, LEAF_QUERIES_BURST + 4);
    assert_int_equal(wire_end_decode(heard_payload(last), &end), OK);
    assert_in_range(wire_end_wait_ms(&end), 1000, (uint32_t)(1000 / LEAF_QUERIES_PER_S) + 1);
    net_run(net, wire_end_wait_ms(&end) - 400);
    struct fake_query query = {.ttl = 1, .text = "whale", .salt = 99};
    fake_ask(link, &query);
    net_run(net, 100);
    assert_int_equal(fake_result(leaf).coverage.refused, 0);
    net_free(net);
}

/* ---- Caps ---- */

/* The supernode hears that this link takes no more for now, or does again. */
static void set_stalled(struct net_node *place, const struct link *link, bool is_stalled) {
    struct node_event event = {.kind = is_stalled ? NODE_LINK_STALLED : NODE_LINK_READY};
    event.link.link = link->number;
    net_step(place->net, place, &event);
}

/* Records of contents `first` and on. */
static void send_hits(struct link *link, const struct query_id *id, uint8_t records,
                      uint32_t first) {
    struct hits *hits = mem_new(sizeof *hits);
    hits->id = *id;
    hits->holder_count = 1;
    hits->hit_count = records;
    for (uint8_t i = 0; i < records; i++) {
        struct fake_file file = {1, "whale"};
        hits->hits[i] = (struct hit){.file = fake_record(&file), .holder_count = 1};
        hits->hits[i].file.content.size = 1 + first + i;
    }
    struct buf payload = {0};
    wire_hits_encode(&payload, hits);
    fake_send(link, MSG_HITS, &payload);
    mem_free(hits);
}

/* 500 records of one query are passed back, also when they come in many small messages or when the
 * messages hold none at all. */
static void routed_hits_are_capped(void **state) {
    (void)state;
    static const struct {
        uint8_t per_message;
        uint32_t messages, records;
    } rows[] = {{50, 12, 500}, {30, 20, 510}, {1, 550, 500}, {0, 550, 0}};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct net *net = net_new(14);
        struct net_node *place = start_flooding(net);
        struct fake *leaf = fake_add(net);
        struct fake *mesh = fake_add(net);
        struct link *leaf_link = fake_dial(leaf, place, PURPOSE_LEAF);
        struct link *mesh_link = fake_dial(mesh, place, PURPOSE_MESH);
        struct fake_query query = {.ttl = 1, .text = "whale"};
        fake_ask(leaf_link, &query);
        net_run(net, 100);
        struct query_id id = id_of(leaf, &query);
        for (uint32_t n = 0; n < rows[i].messages; n++) {
            send_hits(mesh_link, &id, rows[i].per_message, n * rows[i].per_message);
        }
        net_run(net, 100);
        assert_int_equal(fake_result(leaf).records, rows[i].records);
        assert_true(fake_count(leaf, MSG_HITS) <= QUERY_ROUTED_MAX);
        send_end(mesh_link, &id, 0, 1);
        net_run(net, 100);
        assert_int_equal(fake_result(leaf).lasts, 1);
        assert_true(fake_result(leaf).coverage.truncated);
        net_free(net);
    }
}

/* The same file comes back a few times, for its holders, and then no more; a message that brings
 * anything else with it still passes. */
static void popular_hits_do_not_drown_rare_ones(void **state) {
    (void)state;
    struct net *net = net_new(17);
    struct net_node *place = start_flooding(net);
    struct fake *leaf = fake_add(net);
    struct fake *mesh = fake_add(net);
    struct link *leaf_link = fake_dial(leaf, place, PURPOSE_LEAF);
    struct link *mesh_link = fake_dial(mesh, place, PURPOSE_MESH);
    struct fake_query query = {.ttl = 1, .text = "whale"};
    fake_ask(leaf_link, &query);
    net_run(net, 100);
    struct query_id id = id_of(leaf, &query);
    for (uint32_t n = 0; n < 2 * QUERY_ROUTED_MAX; n++) {
        send_hits(mesh_link, &id, 10, 0);
    }
    net_run(net, 100);
    assert_int_equal(fake_result(leaf).records, 10 * ROUTED_SAME_MAX);
    send_hits(mesh_link, &id, 2, 9);
    send_end(mesh_link, &id, 0, 1);
    net_run(net, 100);
    assert_int_equal(fake_result(leaf).records, 10 * ROUTED_SAME_MAX + 2);
    assert_int_equal(fake_result(leaf).lasts, 1);
    assert_false(fake_result(leaf).coverage.truncated);
    net_free(net);
}

#define ASKERS 23

/* A supernode with many neighbours who only ask. */
struct crowd {
    struct net *net;
    struct net_node *place;
    struct fake *askers[ASKERS];
    struct link *links[ASKERS];
    uint32_t asked;
};

static struct crowd *crowd_new(uint64_t seed) {
    struct crowd *crowd = mem_new(sizeof *crowd);
    crowd->net = net_new(seed);
    crowd->place = start_plain(crowd->net);
    for (int i = 0; i < ASKERS; i++) {
        crowd->askers[i] = fake_add(crowd->net);
        crowd->links[i] = fake_dial(crowd->askers[i], crowd->place, PURPOSE_MESH);
        assert_non_null(crowd->links[i]);
    }
    return crowd;
}

/* Everybody asks so many new queries, within their rates. */
static void crowd_asks(struct crowd *crowd, uint32_t each, uint8_t ttl) {
    for (uint32_t n = 0; n < each; n++) {
        for (int i = 0; i < ASKERS; i++) {
            char text[32];
            snprintf(text, sizeof text, "word%u", crowd->asked++);
            struct fake_query query = {.ttl = ttl, .hops = 1, .text = text};
            fake_ask(crowd->links[i], &query);
        }
    }
    net_run(crowd->net, 1000);
}

static void crowd_free(struct crowd *crowd) {
    net_free(crowd->net);
    mem_free(crowd);
}

/* A leaf dials again while copies of its first link wait for their turn: they go with that link. */
static void copies_of_a_replaced_link_are_forgotten(void **state) {
    (void)state;
    struct net *net = net_new(18);
    struct net_node *place = start_flooding(net);
    struct supernode *supernode = supernode_of(place);
    struct fake *leaf = fake_add(net);
    assert_non_null(fake_dial(leaf, place, PURPOSE_LEAF));
    struct link *first = links_find(&supernode->links, &leaf->place->env.id, PURPOSE_LEAF);
    struct fake_query query = {.ttl = 1, .text = "whale"};
    struct buf body = {0};
    struct buf payload = {0};
    fake_body(leaf, &query, &body);
    struct query_header header = {.ttl = 1, .want = 1, .body = {body.data, body.len}};
    wire_query_encode(&payload, &header);
    assert_true(turns_add(supernode, first, MSG_QUERY, (struct slice){payload.data, payload.len}));
    struct link *second = fake_dial(leaf, place, PURPOSE_LEAF);
    assert_non_null(second);
    assert_null(supernode->turns.next);
    assert_int_equal(ask(second, "wind", 1, 1).lasts, 1);
    assert_int_equal(supernode->counts.queries, 1);
    buf_free(&payload);
    buf_free(&body);
    net_free(net);
}

/* A leaf has dialled again, and its first link, which takes a while to close, is nobody's when a
 * wave ends that began with it. */
static void waves_of_a_replaced_link_end_quietly(void **state) {
    (void)state;
    struct net *net = net_new(20);
    struct net_node *place = start_plain(net);
    struct supernode *supernode = supernode_of(place);
    struct fake *leaf = fake_add(net);
    struct link *asker = fake_dial(leaf, place, PURPOSE_LEAF);
    assert_non_null(fake_dial(fake_add(net), place, PURPOSE_MESH)); /* it never answers */
    fake_ask(asker, &(struct fake_query){.ttl = 3, .text = "wind"});
    net_run(net, 100);
    assert_int_equal(supernode->flood.wave_count, 1);
    struct link *first = links_find(&supernode->links, &leaf->place->env.id, PURPOSE_LEAF);
    void *owner = first->owner;
    first->owner = NULL;
    first->closing = true;
    net_run(net, QUERY_DEADLINE_MS);
    assert_int_equal(supernode->flood.wave_count, 0);
    first->owner = owner;
    first->closing = false;
    net_free(net);
}

/* Neighbours that do not read are left out and counted; when too many queries are open, new ones
 * are answered from the index alone. */
static void open_queries_are_capped(void **state) {
    (void)state;
    struct crowd *crowd = crowd_new(15);
    struct fake *silent = fake_add(crowd->net);
    assert_non_null(fake_dial(silent, crowd->place, PURPOSE_MESH));
    for (int i = 0; i < ASKERS; i++) {
        set_stalled(crowd->place, crowd->links[i], true);
    }
    uint32_t each = MESH_QUERIES_BURST;
    crowd_asks(crowd, each, 1);
    const struct supernode *supernode = supernode_of(crowd->place);
    assert_int_equal(supernode->counts.queries, each * ASKERS);
    assert_true(each * ASKERS > QUERIES_OPEN_MAX);
    assert_int_equal(supernode->flood.wave_count, QUERIES_OPEN_MAX);
    assert_int_equal(supernode->counts.refused_waves, each * ASKERS - QUERIES_OPEN_MAX);
    assert_int_equal(fake_count(silent, MSG_QUERY), QUERIES_OPEN_MAX);
    assert_int_equal(fake_count(crowd->askers[0], MSG_QUERY), 0);
    net_run(crowd->net, QUERY_DEADLINE_MS);
    assert_int_equal(supernode->flood.wave_count, 0);
    for (int i = 0; i < ASKERS; i++) {
        assert_int_equal(fake_result(crowd->askers[i]).lasts, each);
    }
    struct query_end end; /* an early one: the silent child and all stalled but the asker */
    const struct heard *last = fake_nth(crowd->askers[0], MSG_END, each - 1);
    assert_int_equal(wire_end_decode(heard_payload(last), &end), OK);
    assert_int_equal(end.coverage.refused, ASKERS);
    for (int i = 0; i < ASKERS; i++) {
        set_stalled(crowd->place, crowd->links[i], false);
    }
    crowd_free(crowd);
}

/* Ask something new, and let the time pass in which it should be answered. */
static void ask_in_vain(struct net *net, struct link *asker) {
    static uint32_t asked;
    char text[32];
    snprintf(text, sizeof text, "wind%u", asked++);
    fake_ask(asker, &(struct fake_query){.ttl = 3, .text = text});
    net_run(net, 2 * LADDER_STEP_MS);
}

static void say_something(struct net *net, struct link *link) {
    struct buf payload = {0};
    wire_ping_encode(&payload, &(struct ping){.token = 1});
    fake_send(link, MSG_PING, &payload);
    net_run(net, 100);
}

/* Who does not answer is asked no more for a while. Who said nothing at all was hung, or cut off:
 * he is asked as soon as he is heard again, but not time after time. */
static void the_silent_are_left_out_until_they_are_heard(void **state) {
    (void)state;
    for (int speaks = 0; speaks < 2; speaks++) {
        struct net *net = net_new(19);
        struct net_node *place = start_plain(net);
        struct fake *leaf = fake_add(net), *silent = fake_add(net);
        struct link *asker = fake_dial(leaf, place, PURPOSE_LEAF);
        struct link *link = fake_dial(silent, place, PURPOSE_MESH);
        for (uint32_t i = 0; i < MUTE_SILENCES; i++) {
            ask_in_vain(net, asker);
            if (speaks) {
                say_something(net, link);
            }
        }
        uint32_t copies = MUTE_SILENCES;
        assert_int_equal(fake_count(silent, MSG_QUERY), copies);
        ask_in_vain(net, asker);
        assert_int_equal(fake_count(silent, MSG_QUERY), copies);
        say_something(net, link);
        for (uint32_t i = 0; i < MUTE_SILENCES; i++) {
            ask_in_vain(net, asker);
        }
        copies += speaks ? 0 : MUTE_SILENCES;
        assert_int_equal(fake_count(silent, MSG_QUERY), copies);
        say_something(net, link); /* so soon again */
        ask_in_vain(net, asker);
        assert_int_equal(fake_count(silent, MSG_QUERY), copies);
        net_run(net, MUTE_MS);
        ask_in_vain(net, asker);
        assert_int_equal(fake_count(silent, MSG_QUERY), copies + 1);
        net_free(net);
    }
}

static void remembered_ids_are_capped(void **state) {
    (void)state;
    struct crowd *crowd = crowd_new(16);
    const struct supernode *supernode = supernode_of(crowd->place);
    uint32_t most = 0;
    while (crowd->asked < QUERY_IDS_MAX + 8000) {
        crowd_asks(crowd, MESH_QUERIES_PER_S, 0);
        uint32_t kept = supernode->flood.queries.count;
        most = kept > most ? kept : most;
        for (int i = 0; i < ASKERS; i++) {
            fake_forget(crowd->askers[i]);
        }
    }
    assert_int_equal(supernode->counts.queries, crowd->asked);
    assert_int_equal(most, QUERY_IDS_MAX);
    net_run(crowd->net, QUERY_ID_KEEP_MS + 1000);
    assert_int_equal(supernode->flood.queries.count, 0);
    crowd_free(crowd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_to_nothing_close_the_link),
        cmocka_unit_test(late_answers_are_dropped_without_blame),
        cmocka_unit_test(coverage_saturates),
        cmocka_unit_test(a_lost_child_is_not_waited_for),
        cmocka_unit_test(a_repeated_copy_has_no_answer_of_its_own),
        cmocka_unit_test(who_misbehaves_goes_with_the_answers_he_is_owed),
        cmocka_unit_test(who_goes_on_misbehaving_is_owed_nothing),
        cmocka_unit_test(a_neighbour_is_not_sent_what_it_had),
        cmocka_unit_test(copies_are_bounded),
        cmocka_unit_test(wrong_bodies_close_the_link),
        cmocka_unit_test(texts_that_are_no_query),
        cmocka_unit_test(answers_match_in_full),
        cmocka_unit_test(ids_are_forgotten_after_a_minute),
        cmocka_unit_test(leaves_are_held_to_a_rate),
        cmocka_unit_test(routed_hits_are_capped),
        cmocka_unit_test(popular_hits_do_not_drown_rare_ones),
        cmocka_unit_test(copies_of_a_replaced_link_are_forgotten),
        cmocka_unit_test(waves_of_a_replaced_link_end_quietly),
        cmocka_unit_test(open_queries_are_capped),
        cmocka_unit_test(the_silent_are_left_out_until_they_are_heard),
        cmocka_unit_test(remembered_ids_are_capped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
