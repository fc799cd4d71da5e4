/* test_flood_graph.c - floods on random graphs: who is reached, and that every copy is answered
 * once. */
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

/* Supernodes at places 0 to count - 1, each told of `dials` others and dialling as many; they climb
 * a ladder, or flood to the full ttl at once. */
static struct net *random_graph(uint64_t seed, uint32_t count, uint32_t dials, bool is_plain) {
    struct net *net = net_new(seed);
    for (uint32_t i = 0; i < count; i++) {
        net_add(net);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct supernode_config config = {.mesh_dial_max = dials, .plain_flood = is_plain};
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

static void one_small_graph(uint64_t seed, bool is_plain, struct totals *totals) {
    struct rng rng;
    rng_seed(&rng, seed);
    uint32_t places = (uint32_t)(3 + rng_below(&rng, 12));
    uint32_t dials = (uint32_t)(1 + rng_below(&rng, 3));
    struct net *net = random_graph(seed, places, dials, is_plain);
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
    if (is_plain && !has_trouble && second == NULL) {
        check_reach(net, ledger, 0, leaf);
        totals->graphs_checked_for_reach++;
    }
    totals->copies += ledger->sent;
    totals->zeros += ledger->zeros;
    mem_free(broken);
    ledger_free(ledger);
    net_free(net);
}

static void small_graphs(bool is_plain, struct totals *totals) {
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        one_small_graph(seed, is_plain, totals);
    }
    print_message("1,000 graphs: %llu copies between supernodes, %llu duplicates, %llu hung nodes, "
                  "%llu broken links, reach compared on %llu\n",
                  (unsigned long long)totals->copies, (unsigned long long)totals->zeros,
                  (unsigned long long)totals->hung, (unsigned long long)totals->broken,
                  (unsigned long long)totals->graphs_checked_for_reach);
    assert_true(totals->hung > 50 && totals->broken > 50);
}

static void every_copy_of_a_flood_is_answered_once(void **state) {
    (void)state;
    struct totals totals = {0};
    small_graphs(true, &totals);
    assert_true(totals.graphs_checked_for_reach > 300);
}

static void every_copy_of_a_ladder_is_answered_once(void **state) {
    (void)state;
    struct totals totals = {0};
    small_graphs(false, &totals);
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
    struct net *net = random_graph(4711 + hung, LARGE, 2, true);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_copy_of_a_flood_is_answered_once),
        cmocka_unit_test(every_copy_of_a_ladder_is_answered_once),
        cmocka_unit_test(a_sparse_graph_with_hung_nodes_is_reached_as_far_as_ttl),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
