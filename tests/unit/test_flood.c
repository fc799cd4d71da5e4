/* test_flood.c - floods on random graphs: who is reached, and that every copy is answered once. */
#include "tests/unit/supernode_fake.h"

#define UNREACHED UINT32_MAX

/* ---- The ledger: every copy of a query, and what answered it ---- */

struct ledger_key {
    struct query_id id;
    uint32_t link;
    uint32_t to; /* who owes the answer */
    uint8_t ttl;
    uint8_t zero[7];
};

struct ledger_copy {
    struct ledger_key key;
    uint32_t answers;
    bool may_fail; /* its link broke or its receiver hung: no answer is fine, two are not */
};

struct ledger {
    struct map copies;
    uint64_t sent;        /* between supernodes */
    uint64_t answered;    /* by supernodes, HITS marked last included */
    uint64_t zeros;       /* ... with nothing in them: duplicates */
    uint64_t orphans;     /* answers to no copy */
    uint8_t *was_reached; /* by place */
    uint32_t places;
};

static void ledger_copy(struct ledger *ledger, const struct net_message *message) {
    struct query_header header;
    assert_int_equal(wire_query_decode(message->payload, &header), OK);
    struct ledger_copy *copy = mem_new(sizeof *copy);
    wire_query_id(header.body, &message->from->crypto, &copy->key.id);
    copy->key.link = message->link;
    copy->key.to = message->to->number;
    copy->key.ttl = header.ttl;
    ledger->sent += header.hops > 0;
    assert_true(header.ttl + header.hops <= TTL_POLICY);
    void *former = map_put(&ledger->copies, &copy->key, copy);
    assert_null(former); /* on one link the ttl of a query's copies rises */
    if (!message->to->is_hung && message->to->number < ledger->places) {
        ledger->was_reached[message->to->number] = 1;
    }
}

static void ledger_answer(struct ledger *ledger, const struct net_message *message,
                          const struct query_id *id, uint8_t ttl, const struct coverage *coverage) {
    struct ledger_key key = {
        .id = *id, .link = message->link, .to = message->from->number, .ttl = ttl};
    struct ledger_copy *copy = map_get(&ledger->copies, &key);
    ledger->answered++;
    ledger->zeros += coverage->supernodes == 0;
    if (copy == NULL) {
        ledger->orphans++;
    } else {
        copy->answers++;
    }
}

static void ledger_watch(void *watcher, const struct net_message *message) {
    struct ledger *ledger = watcher;
    struct query_end end;
    if (message->type == MSG_QUERY) {
        ledger_copy(ledger, message);
    } else if (message->type == MSG_END) {
        assert_int_equal(wire_end_decode(message->payload, &end), OK);
        ledger_answer(ledger, message, &end.id, end.ttl, &end.coverage);
    } else if (message->type == MSG_HITS) {
        struct hits *hits = mem_new(sizeof *hits);
        assert_int_equal(wire_hits_decode(message->payload, hits), OK);
        if (hits->last) {
            ledger_answer(ledger, message, &hits->id, hits->ttl, &hits->coverage);
        }
        mem_free(hits);
    }
}

static struct ledger *ledger_new(struct net *net) {
    struct ledger *ledger = mem_new(sizeof *ledger);
    map_init(&ledger->copies, sizeof(struct ledger_key), 1);
    ledger->places = net->count;
    ledger->was_reached = mem_new(net->count);
    net->watcher = ledger;
    net->watch = ledger_watch;
    return ledger;
}

static void ledger_clear(struct ledger *ledger) {
    uint32_t cursor = 0;
    for (struct ledger_copy *copy; (copy = map_next(&ledger->copies, &cursor, NULL)) != NULL;) {
        mem_free(copy);
    }
    map_free(&ledger->copies);
    memset(ledger->was_reached, 0, ledger->places);
    ledger->sent = ledger->answered = ledger->zeros = ledger->orphans = 0;
}

static void ledger_free(struct ledger *ledger) {
    ledger_clear(ledger);
    mem_free(ledger->was_reached);
    mem_free(ledger);
}

/* Every copy has its one answer. */
static void ledger_check(const struct ledger *ledger) {
    assert_int_equal(ledger->orphans, 0);
    uint32_t cursor = 0;
    for (struct ledger_copy *copy; (copy = map_next(&ledger->copies, &cursor, NULL)) != NULL;) {
        if (copy->may_fail) {
            assert_in_range(copy->answers, 0, 1);
        } else {
            assert_int_equal(copy->answers, 1);
        }
    }
}

/* ---- The graph ---- */

static struct net_node *place_of(const struct net *net, const struct node_id *id) {
    for (uint32_t i = 0; i < net->count; i++) {
        if (node_id_equal(&net->nodes[i]->env.id, id)) {
            return net->nodes[i];
        }
    }
    return NULL;
}

/* Distances from `start` over open mesh links; a hung node is reached but leads nowhere. */
static void breadth_first(const struct net *net, uint32_t places, uint32_t start,
                          uint32_t *distance) {
    uint32_t *queue = mem_array(places, sizeof *queue);
    uint32_t head = 0;
    uint32_t tail = 0;
    for (uint32_t i = 0; i < places; i++) {
        distance[i] = UNREACHED;
    }
    distance[start] = 0;
    queue[tail++] = start;
    while (head < tail) {
        uint32_t at = queue[head++];
        if (net->nodes[at]->is_hung) {
            continue;
        }
        const struct supernode *supernode = supernode_of(net->nodes[at]);
        for (uint32_t i = 0; i < supernode->neighbour_count; i++) {
            const struct net_node *next = place_of(net, &supernode->neighbours[i]->link->id);
            if (distance[next->number] == UNREACHED) {
                distance[next->number] = distance[at] + 1;
                queue[tail++] = next->number;
            }
        }
    }
    mem_free(queue);
}

/* Supernodes at places 0 to count - 1, each told of `dials` others and dialling as many. */
static struct net *random_graph(uint64_t seed, uint32_t count, uint32_t dials) {
    struct net *net = net_new(seed);
    for (uint32_t i = 0; i < count; i++) {
        net_add(net);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct supernode_config config = {.mesh_dial_max = dials};
        for (uint32_t n = 0; n < dials; n++) {
            uint64_t other = (i + 1 + rng_below(&net->rng, count - 1)) % count;
            net_introduce(&config, net->nodes[other]);
        }
        net->nodes[i]->node = supernode_new(&net->nodes[i]->env, &config);
    }
    for (uint32_t i = 0; i < count; i++) { /* when all are there, or late ones get no links */
        net_start(net->nodes[i]);
    }
    net_run(net, 20000);
    return net;
}

static uint64_t copies_of(const struct net *net, uint32_t places) {
    uint64_t copies = 0;
    for (uint32_t i = 0; i < places; i++) {
        if (net->nodes[i]->node.self != NULL) {
            copies += supernode_of(net->nodes[i])->counts.copies;
        }
    }
    return copies;
}

static void nothing_is_left(const struct net *net, uint32_t places) {
    for (uint32_t i = 0; i < places; i++) {
        const struct net_node *place = net->nodes[i];
        if (place->node.self != NULL && !place->is_hung) {
            assert_int_equal(supernode_of(place)->flood.wave_count, 0);
            assert_int_equal(supernode_of(place)->counts.unmatched, 0);
        }
    }
}

/* ---- 1,000 small graphs ---- */

struct totals {
    uint64_t copies;
    uint64_t zeros;
    uint64_t hung;
    uint64_t broken;
    uint64_t graphs_checked_for_reach;
};

static void mark_may_fail(struct ledger *ledger, const struct net *net, const uint8_t *broken) {
    uint32_t cursor = 0;
    for (struct ledger_copy *copy; (copy = map_next(&ledger->copies, &cursor, NULL)) != NULL;) {
        copy->may_fail |= net->nodes[copy->key.to]->is_hung || broken[copy->key.link] != 0;
    }
}

/* Hang a node or break a link, now or while the query is under way. */
static void make_trouble(struct net *net, uint32_t places, uint8_t *broken, struct totals *totals) {
    uint64_t what = rng_below(&net->rng, 3);
    net_run(net, rng_below(&net->rng, 40));
    if (what == 0) {
        uint64_t which = 1 + rng_below(&net->rng, places - 1);
        net->nodes[which]->is_hung = true;
        totals->hung++;
        return;
    }
    uint32_t number = (uint32_t)(1 + rng_below(&net->rng, net->last_link));
    struct net_link *link = map_get(&net->links, &number);
    if (link != NULL && link->ends[0]->number < places) { /* not a leaf's */
        net_break(net, link);
        broken[number] = 1;
        totals->broken++;
    }
}

/* Ask with rising ttl, each time after the last answer or before it. */
static uint32_t climb(struct link *link, uint8_t salt) {
    struct fake *fake = link->links->context;
    struct net *net = fake->place->net;
    uint32_t copies = 0;
    for (uint8_t ttl = 0; ttl <= TTL_POLICY; ttl++) {
        if (ttl < TTL_POLICY && rng_below(&net->rng, 2) == 0) {
            continue;
        }
        struct fake_query query = {.ttl = ttl, .text = "whale", .salt = salt};
        fake_ask(link, &query);
        copies++;
        if (rng_below(&net->rng, 2) == 0) {
            net_run(net, rng_below(&net->rng, 300));
        }
    }
    return copies;
}

static uint32_t sum_supernodes(const struct fake *fake) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < fake->count; i++) {
        struct query_end end;
        if (fake->heard[i].type == MSG_END) {
            assert_int_equal(wire_end_decode(heard_payload(&fake->heard[i]), &end), OK);
            sum += end.coverage.supernodes;
        }
    }
    return sum;
}

/* All within TTL hops of the entry are counted in coverage and were reached. */
static void check_reach(const struct net *net, const struct ledger *ledger, uint32_t entry,
                        const struct fake *leaf) {
    uint32_t *distance = mem_array(ledger->places, sizeof *distance);
    breadth_first(net, ledger->places, entry, distance);
    uint32_t within = 0;
    for (uint32_t i = 0; i < ledger->places; i++) {
        bool is_within = distance[i] <= TTL_POLICY;
        within += is_within;
        assert_int_equal(ledger->was_reached[i], is_within);
    }
    assert_int_equal(sum_supernodes(leaf), within);
    mem_free(distance);
}

static void one_small_graph(uint64_t seed, struct totals *totals) {
    struct rng rng;
    rng_seed(&rng, seed);
    uint32_t places = (uint32_t)(3 + rng_below(&rng, 12));
    uint32_t dials = (uint32_t)(1 + rng_below(&rng, 3));
    struct net *net = random_graph(seed, places, dials);
    net->latency_us_max = seed % 2 == 0 ? 20000 : 70000; /* both ways within a hop's 150 ms */
    struct ledger *ledger = ledger_new(net);
    struct fake *leaf = fake_add(net);
    bool has_two_entries = rng_below(&rng, 4) == 0;
    bool has_trouble = rng_below(&rng, 3) == 0;
    struct link *link = fake_dial(leaf, net->nodes[0], PURPOSE_LEAF);
    assert_non_null(link);
    struct link *second = has_two_entries ? fake_dial(leaf, net->nodes[1], PURPOSE_LEAF) : NULL;
    uint8_t *broken = mem_new(1 << 16);
    uint32_t copies = climb(link, 1);
    copies += second != NULL ? climb(second, 1) : 0;
    if (has_trouble) {
        make_trouble(net, places, broken, totals);
        copies += climb(link, 2);
    }
    net_run(net, QUERY_DEADLINE_MS + 200);
    assert_true(net->last_link < 1 << 16);
    mark_may_fail(ledger, net, broken);
    ledger_check(ledger);
    nothing_is_left(net, places);
    bool entry_failed = second != NULL && net->nodes[1]->is_hung;
    if (!entry_failed) {
        assert_int_equal(fake_result(leaf).lasts, copies);
    }
    if (!has_trouble && second == NULL) {
        check_reach(net, ledger, 0, leaf);
        totals->graphs_checked_for_reach++;
    }
    totals->copies += ledger->sent;
    totals->zeros += ledger->zeros;
    mem_free(broken);
    ledger_free(ledger);
    net_free(net);
}

static void every_copy_is_answered_once(void **state) {
    (void)state;
    struct totals totals = {0};
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        one_small_graph(seed, &totals);
    }
    print_message("1,000 graphs: %llu copies between supernodes, %llu duplicates, %llu hung nodes, "
                  "%llu broken links, reach compared on %llu\n",
                  (unsigned long long)totals.copies, (unsigned long long)totals.zeros,
                  (unsigned long long)totals.hung, (unsigned long long)totals.broken,
                  (unsigned long long)totals.graphs_checked_for_reach);
    assert_true(totals.hung > 50 && totals.broken > 50);
    assert_true(totals.graphs_checked_for_reach > 300);
}

/* ---- 300 supernodes, 2 dialled links each ---- */

#define LARGE 300
#define ENTRIES 8

struct large_totals {
    uint32_t degree; /* sum over all */
    uint32_t expected;
    uint32_t reached;
    uint32_t covered;
    uint64_t copies;
    uint64_t duplicates;
    uint64_t slowest_us;
};

/* Run until the leaf has its answer; return how long that took. */
static uint64_t wait_for_end(struct net *net, const struct fake *leaf) {
    uint64_t start_us = net->now_us;
    while (fake_count(leaf, MSG_END) == 0) {
        net_run(net, 5);
        assert_true(net->now_us - start_us < (QUERY_DEADLINE_MS + 200) * 1000ull);
    }
    return net->now_us - start_us;
}

static void flood_from(struct net *net, struct ledger *ledger, struct fake *leaf, uint32_t entry,
                       struct large_totals *totals) {
    uint32_t distance[LARGE];
    struct link *link = fake_dial(leaf, net->nodes[entry], PURPOSE_LEAF);
    assert_non_null(link);
    ledger_clear(ledger);
    fake_forget(leaf);
    uint64_t before = copies_of(net, LARGE);
    struct fake_query query = {.ttl = TTL_POLICY, .text = "whale", .salt = (uint8_t)entry};
    fake_ask(link, &query);
    uint64_t took_us = wait_for_end(net, leaf);
    net_run(net, QUERY_DEADLINE_MS);
    totals->slowest_us = took_us > totals->slowest_us ? took_us : totals->slowest_us;
    breadth_first(net, LARGE, entry, distance);
    for (uint32_t i = 0; i < LARGE; i++) {
        bool is_within = distance[i] <= TTL_POLICY && !net->nodes[i]->is_hung;
        totals->expected += is_within;
        totals->reached += ledger->was_reached[i] && is_within;
        assert_int_equal(ledger->was_reached[i], is_within);
    }
    static const uint8_t none[1 << 16];
    mark_may_fail(ledger, net, none);
    ledger_check(ledger);
    nothing_is_left(net, LARGE);
    totals->covered += sum_supernodes(leaf);
    totals->copies += copies_of(net, LARGE) - before;
    totals->duplicates += ledger->zeros;
    fake_close(link);
}

static void large_graph(uint32_t hung, struct large_totals *totals) {
    struct net *net = random_graph(4711 + hung, LARGE, 2);
    struct ledger *ledger = ledger_new(net);
    struct fake *leaf = fake_add(net);
    for (uint32_t i = 0; i < LARGE; i++) {
        totals->degree += supernode_of(net->nodes[i])->neighbour_count;
    }
    for (uint32_t i = 0; i < hung;) {
        uint64_t which = rng_below(&net->rng, LARGE);
        i += !net->nodes[which]->is_hung;
        net->nodes[which]->is_hung = true;
    }
    for (uint32_t done = 0; done < ENTRIES;) {
        uint32_t entry = (uint32_t)rng_below(&net->rng, LARGE);
        if (!net->nodes[entry]->is_hung) {
            flood_from(net, ledger, leaf, entry, totals);
            done++;
        }
    }
    ledger_free(ledger);
    net_free(net);
}

static void a_sparse_graph_with_hung_nodes_is_reached_as_far_as_ttl(void **state) {
    (void)state;
    static const uint32_t hung[] = {0, 15, 30, 90};
    for (size_t i = 0; i < LENGTH(hung); i++) {
        struct large_totals totals = {0};
        large_graph(hung[i], &totals);
        print_message("300 supernodes, mean degree %.2f, %2u hung: reached %u of %u within TTL 4 "
                      "(%u counted in coverage), %.0f copies and %.0f duplicates a query, "
                      "slowest answer %.3f s\n",
                      (double)totals.degree / LARGE, hung[i], totals.reached, totals.expected,
                      totals.covered, (double)totals.copies / ENTRIES,
                      (double)totals.duplicates / ENTRIES, (double)totals.slowest_us / 1e6);
        assert_int_equal(totals.reached, totals.expected);
        assert_int_equal(totals.covered, totals.expected);
    }
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
    struct net_node *place = start_plain(net);
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
    struct net_node *place = start_plain(net);
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
    struct net_node *place = start_plain(net);
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
    struct net_node *place = start_plain(net);
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

/* Who sent us a copy has had it with one more: only what goes beyond that is worth sending. */
static void a_neighbour_is_not_sent_what_it_had(void **state) {
    (void)state;
    static const struct {
        uint8_t from_mesh, from_leaf;
        bool is_sent;
    } rows[] = {{0, 1, false}, {0, 2, false}, {0, 3, true}, {1, 3, false}, {1, 4, true}};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct net *net = net_new(13);
        struct net_node *place = start_plain(net);
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

/* Ids are kept a minute: the same query then is a new one; within it, a repeated ttl is a zero. */
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
    assert_int_equal(fake_result(leaf).lasts, 2);
    assert_int_equal(fake_result(leaf).coverage.supernodes, 0);
    net_run(net, 1000);
    assert_int_equal(supernode_of(place)->flood.queries.count, 0);
    fake_ask(link, &query);
    net_run(net, 100);
    assert_int_equal(fake_result(leaf).lasts, 3);
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
    assert_int_equal(supernode_of(place)->counts.limited, 5);
    assert_int_equal(supernode_of(place)->counts.queries, LEAF_QUERIES_BURST);
    net_run(net, 2000);
    struct fake_query query = {.ttl = 1, .text = "whale", .salt = 99};
    fake_ask(link, &query);
    net_run(net, 100);
    assert_int_equal(fake_result(leaf).coverage.refused, 0);
    net_free(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_to_nothing_close_the_link),
        cmocka_unit_test(late_answers_are_dropped_without_blame),
        cmocka_unit_test(coverage_saturates),
        cmocka_unit_test(a_lost_child_is_not_waited_for),
        cmocka_unit_test(a_neighbour_is_not_sent_what_it_had),
        cmocka_unit_test(copies_are_bounded),
        cmocka_unit_test(wrong_bodies_close_the_link),
        cmocka_unit_test(ids_are_forgotten_after_a_minute),
        cmocka_unit_test(leaves_are_held_to_a_rate),
        cmocka_unit_test(every_copy_is_answered_once),
        cmocka_unit_test(a_sparse_graph_with_hung_nodes_is_reached_as_far_as_ttl),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
