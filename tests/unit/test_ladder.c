/* test_ladder.c - how a leaf's search widens: steps, what ends it, whom summaries spare, whose turn
 * it is. */
#include "tests/unit/supernode_fake.h"

/* A supernode with a leaf that asks and a neighbour that does as told; it knows of `strangers`
 * supernodes more, which nothing leads to. */
struct scene {
    struct net *net;
    struct net_node *place;
    struct fake *leaf;
    struct fake *mesh;
    struct link *leaf_link;
    struct link *mesh_link;
    uint8_t asked; /* the salt of the last query */
    struct query_id id;
};

static void know_stranger(struct net_node *place) {
    struct net_node *other = net_add(place->net);
    struct supernode *supernode = supernode_of(place);
    hostcache_add_introducer(&supernode->hosts, &other->env.id, &other->env.listen[0]);
    struct host *host = hostcache_find(&supernode->hosts, &other->env.id);
    host->retry_us = UINT64_MAX; /* it is not dialled */
}

static struct scene *scene_new(uint32_t strangers) {
    struct scene *scene = mem_new(sizeof *scene);
    scene->net = net_new(31 + strangers);
    scene->place = start_plain(scene->net);
    for (uint32_t i = 0; i < strangers; i++) {
        know_stranger(scene->place);
    }
    scene->leaf = fake_add(scene->net);
    scene->mesh = fake_add(scene->net);
    scene->leaf_link = fake_dial(scene->leaf, scene->place, PURPOSE_LEAF);
    scene->mesh_link = fake_dial(scene->mesh, scene->place, PURPOSE_MESH);
    fake_forget(scene->mesh);
    return scene;
}

static void scene_free(struct scene *scene) {
    net_free(scene->net);
    mem_free(scene);
}

static void ask_for(struct scene *scene, const char *text, uint8_t ttl, uint16_t want) {
    struct fake_query query = {.ttl = ttl, .text = text, .want = want, .salt = ++scene->asked};
    struct buf body = {0};
    fake_body(scene->leaf, &query, &body);
    wire_query_id((struct slice){body.data, body.len}, &scene->place->crypto, &scene->id);
    buf_free(&body);
    fake_forget(scene->leaf);
    fake_forget(scene->mesh);
    fake_ask(scene->leaf_link, &query);
    net_run(scene->net, 100);
}

static void answer_with(struct scene *scene, uint8_t ttl, const struct coverage *coverage) {
    struct query_end end = {.id = scene->id, .ttl = ttl, .coverage = *coverage};
    struct buf payload = {0};
    wire_end_encode(&payload, &end);
    fake_send(scene->mesh_link, MSG_END, &payload);
    net_run(scene->net, 100);
}

static void hit_with(struct scene *scene, uint8_t ttl, uint8_t files) {
    struct hits *hits = mem_new(sizeof *hits);
    hits->id = scene->id;
    hits->ttl = ttl;
    hits->holder_count = 1;
    hits->hit_count = files;
    for (uint8_t i = 0; i < files; i++) {
        struct fake_file file = {i, "whale"};
        hits->hits[i] = (struct hit){.file = fake_record(&file), .holder_count = 1};
    }
    struct buf payload = {0};
    wire_hits_encode(&payload, hits);
    fake_send(scene->mesh_link, MSG_HITS, &payload);
    net_run(scene->net, 100);
    mem_free(hits);
}

static const struct coverage one = {.supernodes = 1, .leaves = 2, .files = 3};

static struct query_header heard_query(const struct scene *scene, uint32_t n) {
    struct query_header header;
    const struct heard *heard = fake_nth(scene->mesh, MSG_QUERY, n);
    assert_int_equal(wire_query_decode(heard_payload(heard), &header), OK);
    return header;
}

/* ---- Steps ---- */

static void each_step_goes_one_hop_farther(void **state) {
    (void)state;
    struct scene *scene = scene_new(3);
    ask_for(scene, "whale", 3, 100);
    for (uint8_t radius = 1; radius <= 3; radius++) {
        assert_int_equal(fake_count(scene->mesh, MSG_QUERY), radius);
        struct query_header header = heard_query(scene, radius - 1u);
        assert_int_equal(header.ttl, radius - 1);
        assert_int_equal(header.hops, 1);
        assert_int_equal(header.deadline_ms, LADDER_STEP_MS * radius - QUERY_DEADLINE_STEP_MS);
        assert_int_equal(fake_result(scene->leaf).lasts, 0);
        answer_with(scene, (uint8_t)(radius - 1), &one);
    }
    struct fake_result result = fake_result(scene->leaf);
    assert_int_equal(result.lasts, 1);
    assert_int_equal(result.coverage.supernodes,
                     4); /* ours, and three that were farther and farther */
    assert_int_equal(result.coverage.files, 9);
    assert_int_equal(result.coverage.copies, 3);
    assert_int_equal(result.coverage.known, 5);
    assert_int_equal(result.coverage.reached, 2);
    nothing_is_left(scene->net, 1);
    scene_free(scene);
}

/* SUMMARY without bits: nothing but that the neighbour has so many links. */
static void tell_degree(struct scene *scene, uint16_t degree) {
    struct summary_part part = {.version = 1,
                                .log2_bits = SUMMARY_LOG2_MIN,
                                .hashes = SUMMARY_HASHES,
                                .degree = degree,
                                .kind = SUMMARY_DELTA};
    struct buf payload = {0};
    wire_summary_encode(&payload, &part);
    fake_send(scene->mesh_link, MSG_SUMMARY, &payload);
    net_run(scene->net, 100);
}

/* A chain of three: who knows only the one in the middle learns by its links of one behind it. */
static void a_neighbour_s_links_tell_of_others(void **state) {
    (void)state;
    struct scene *scene = scene_new(0);
    tell_degree(scene, 1);
    ask_for(scene, "whale", 3, 100);
    answer_with(scene, 0, &one);
    assert_int_equal(fake_count(scene->mesh, MSG_QUERY), 1); /* all there is was reached */
    assert_int_equal(fake_result(scene->leaf).coverage.known, 2);
    assert_int_equal(fake_result(scene->leaf).coverage.reached, 2);
    tell_degree(scene, 2);
    ask_for(scene, "whale", 3, 100);
    answer_with(scene, 0, &one);
    assert_int_equal(fake_count(scene->mesh, MSG_QUERY), 2); /* farther, then */
    struct coverage more = one;
    more.reach[0] = 0x80; /* the one behind, whom we do not know */
    answer_with(scene, 1, &more);
    assert_int_equal(fake_count(scene->mesh, MSG_QUERY), 2);
    assert_int_equal(fake_result(scene->leaf).coverage.known, 3);
    assert_int_equal(fake_result(scene->leaf).coverage.reached, 3);
    scene_free(scene);
}

/* ... so it is told when the number of links has changed, though no word has come. */
static void links_that_come_and_go_are_told(void **state) {
    (void)state;
    struct scene *scene = scene_new(0);
    struct fake *other = fake_add(scene->net);
    net_run(scene->net, 3 * SUMMARY_PACE_MS);
    for (uint16_t degree = 2; degree >= 1; degree--) {
        fake_forget(scene->mesh);
        if (degree == 2) {
            (void)fake_dial(other, scene->place, PURPOSE_MESH);
        } else {
            net_kill(other->place);
        }
        net_run(scene->net, 3 * SUMMARY_PACE_MS);
        assert_int_equal(fake_count(scene->mesh, MSG_SUMMARY), 1);
        struct summary_part part;
        const struct heard *heard = fake_nth(scene->mesh, MSG_SUMMARY, 0);
        assert_int_equal(wire_summary_decode(heard_payload(heard), &part), OK);
        assert_int_equal(part.degree, degree);
    }
    scene_free(scene);
}

/* The leaf asks again with a larger ttl: only the steps that are left are made. */
static void a_larger_ttl_goes_on_from_there(void **state) {
    (void)state;
    struct scene *scene = scene_new(3);
    ask_for(scene, "whale", 2, 100);
    answer_with(scene, 0, &one);
    answer_with(scene, 1, &one);
    assert_int_equal(fake_result(scene->leaf).lasts, 1);
    scene->asked--;
    ask_for(scene, "whale", 4, 100);
    assert_int_equal(fake_count(scene->mesh, MSG_QUERY), 1);
    assert_int_equal(heard_query(scene, 0).ttl, 2);
    answer_with(scene, 2, &one);
    answer_with(scene, 3, &one);
    assert_int_equal(fake_result(scene->leaf).lasts, 1);
    assert_int_equal(fake_result(scene->leaf).coverage.supernodes, 2);
    scene_free(scene);
}

static void a_silent_step_is_waited_for_and_no_longer(void **state) {
    (void)state;
    struct scene *scene = scene_new(3);
    ask_for(scene, "whale", 3, 100);
    net_run(scene->net, LADDER_STEP_MS - 150);
    assert_int_equal(fake_count(scene->mesh, MSG_QUERY), 1);
    net_run(scene->net, 100);
    assert_int_equal(fake_count(scene->mesh, MSG_QUERY), 2);
    hit_with(scene, 0, 2); /* late, and welcome */
    assert_int_equal(fake_result(scene->leaf).records, 2);
    answer_with(scene, 0, &one);
    answer_with(scene, 1, &one);
    net_run(scene->net, 3ull * LADDER_STEP_MS + 100);
    struct fake_result result = fake_result(scene->leaf);
    assert_int_equal(result.lasts, 1);
    assert_int_equal(result.coverage.supernodes, 3);
    assert_int_equal(result.coverage.refused, 1); /* the third step; the first was answered late */
    nothing_is_left(scene->net, 1);
    scene_free(scene);
}

static void the_ladder_ends_when_it_should(void **state) {
    (void)state;
    static const struct {
        uint32_t strangers;
        uint16_t want;
        uint8_t files; /* found in the first step */
        struct coverage coverage;
        uint32_t steps;
    } rows[] = {
        {3, 100, 0, {.supernodes = 1}, 2},
        {0, 100, 0, {.supernodes = 1}, 1}, /* everybody was reached */
        {3, 2, 2, {.supernodes = 1}, 1},   /* enough was found */
        {3, 3, 2, {.supernodes = 1}, 2},
        {3, 100, 0, {.supernodes = 1, .copies = LADDER_COPIES_MAX}, 1},
        {3, 100, 0, {.supernodes = 1, .copies = LADDER_COPIES_MAX - 2}, 2},
        /* thirty known and all reached: as long as few links led there, there may be more */
        {29, 100, 0, {.supernodes = 1, .reach = {0}}, 2},
        {29, 100, 0, {.supernodes = 1, .copies = 40}, 2},
        {29, 100, 0, {.supernodes = 1, .copies = 1200}, 1},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct scene *scene = scene_new(rows[i].strangers);
        struct coverage coverage = rows[i].coverage;
        if (rows[i].strangers > MESH_FULL_MAX) {
            struct supernode *supernode = supernode_of(scene->place);
            uint32_t cursor = 0;
            for (struct host *host;
                 (host = map_next(&supernode->hosts.hosts, &cursor, NULL)) != NULL;) {
                uint32_t bit = wire_reach_bit(&host->id);
                coverage.reach[bit >> 3] |= (uint8_t)(0x80 >> (bit & 7));
            }
        }
        ask_for(scene, "whale", 3, rows[i].want);
        if (rows[i].files > 0) {
            hit_with(scene, 0, rows[i].files);
        }
        answer_with(scene, 0, &coverage);
        if (fake_count(scene->mesh, MSG_QUERY) != rows[i].steps) {
            fail_msg("row %zu: %u steps", i, fake_count(scene->mesh, MSG_QUERY));
        }
        assert_int_equal(fake_result(scene->leaf).lasts, rows[i].steps == 1);
        scene_free(scene);
    }
}

/* ---- Sources of a content ---- */

/* A holder that registered with the supernode itself. */
static void add_source(struct scene *scene, const struct fake_file *file) {
    struct fake *holder = fake_add(scene->net);
    struct link *link = fake_dial(holder, scene->place, PURPOSE_LEAF);
    assert_int_equal(fake_register(link, 1, file, 1), REG_DONE);
}

/* A neighbour names so many holders, in records of as many as fit. */
static void name_holders(struct scene *scene, const struct fake_file *file, uint8_t count) {
    struct hits *hits = mem_new(sizeof *hits);
    *hits = (struct hits){.id = scene->id, .holder_count = count, .last = true, .coverage = one};
    for (uint8_t i = 0; i < count; i++) {
        memset(hits->holders[i].id.b, 100 + i, sizeof hits->holders[i].id.b);
        struct hit *hit = &hits->hits[i / RECORD_HOLDERS_MAX];
        hit->file = fake_record(file);
        hit->holders[hit->holder_count++] = i;
        hits->hit_count = (uint8_t)(i / RECORD_HOLDERS_MAX + 1);
    }
    struct buf payload = {0};
    wire_hits_encode(&payload, hits);
    fake_send(scene->mesh_link, MSG_HITS, &payload);
    net_run(scene->net, 100);
    mem_free(hits);
}

/* Sources are counted, not records: 20 end the search, wherever they are. Our own are told before
 * anybody is asked, and nobody is when they are enough. */
static void a_search_for_sources_ends_with_twenty(void **state) {
    (void)state;
    static const struct {
        uint8_t ours, theirs;
        uint32_t steps;
    } rows[] = {{0, 19, 2}, {0, 20, 1}, {2, 17, 2}, {2, 18, 1}, {16, 0, 1}, {1, 0, 1}};
    static const struct fake_file file = {7, "whale"};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct scene *scene = scene_new(3);
        for (uint8_t n = 0; n < rows[i].ours; n++) {
            add_source(scene, &file);
        }
        struct fake_query query = {.ttl = 3};
        query.content = fake_record(&file).content;
        query.want = rows[i].theirs == 0 ? rows[i].ours : LOCATE_WANT;
        struct buf body = {0};
        fake_body(scene->leaf, &query, &body);
        wire_query_id((struct slice){body.data, body.len}, &scene->place->crypto, &scene->id);
        buf_free(&body);
        fake_ask(scene->leaf_link, &query);
        net_run(scene->net, 50);
        assert_int_equal(fake_result(scene->leaf).records, rows[i].ours > 0);
        if (rows[i].theirs == 0) {
            assert_int_equal(fake_count(scene->mesh, MSG_LOCATE), 0);
        } else {
            assert_int_equal(fake_count(scene->mesh, MSG_LOCATE), 1);
            name_holders(scene, &file, rows[i].theirs);
            assert_int_equal(fake_count(scene->mesh, MSG_LOCATE), rows[i].steps);
        }
        assert_int_equal(fake_result(scene->leaf).lasts, rows[i].steps == 1);
        scene_free(scene);
    }
}

/* ---- Summaries ---- */

static void tell(struct scene *scene, struct summary *summary) {
    struct summary_part part = {0};
    struct buf payload = {0};
    summary_put_chunk(summary, &part, &payload);
    fake_send(scene->mesh_link, MSG_SUMMARY, &payload);
    net_run(scene->net, 100);
    mem_free(summary);
}

static struct summary *words_of(const char *first, const char *second) {
    struct summary *summary = summary_new(1, 10);
    (void)summary_add(summary, summary_hash(test_slice(first)), NULL);
    (void)summary_add(summary, summary_hash(test_slice(second)), NULL);
    return summary;
}

static struct summary *poisoned(void) {
    struct summary *summary = summary_new(1, 10);
    memset(summary->bits, 0xff, 65);
    return summary;
}

/* What a neighbour has told decides over copies that it would not relay, and over no others. */
static void summaries_spare_copies(void **state) {
    (void)state;
    enum { NOTHING, OTHER_WORDS, THE_WORDS, ONE_WORD, POISON };
    static const struct {
        uint8_t told;
        uint32_t wait_ms;
        uint8_t first; /* ttl of the first copy that the neighbour gets */
        uint16_t reached;
    } rows[] = {{NOTHING, 0, 0, 2},      {NOTHING, SUMMARY_GRACE_MS, 1, 2},
                {OTHER_WORDS, 0, 1, 2},  {THE_WORDS, 0, 0, 2},
                {ONE_WORD, 0, 1, 2},     {POISON, 0, 1, 2},
                {THE_WORDS, 60000, 0, 2}};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct scene *scene = scene_new(3);
        struct summary *summary = rows[i].told == OTHER_WORDS ? words_of("red", "fox")
                                  : rows[i].told == THE_WORDS ? words_of("whale", "blue")
                                  : rows[i].told == ONE_WORD  ? words_of("whale", "fox")
                                                              : poisoned();
        if (rows[i].told != NOTHING) {
            tell(scene, summary);
        } else {
            mem_free(summary);
        }
        net_run(scene->net, rows[i].wait_ms);
        ask_for(scene, "Blue WHALE", 3, 100);
        assert_int_equal(fake_count(scene->mesh, MSG_QUERY), 1);
        assert_int_equal(heard_query(scene, 0).ttl, rows[i].first);
        answer_with(scene, rows[i].first, &one);
        scene_free(scene);
    }
}

/* In a network where all are neighbours a word that nobody has costs no copy at all; a poisoned
 * summary does not count as an answer but as a refusal, a LOCATE is not spared. */
static void what_nobody_has_costs_nothing(void **state) {
    (void)state;
    struct scene *scene = scene_new(0);
    tell(scene, words_of("red", "fox"));
    ask_for(scene, "whale", 3, 100);
    assert_int_equal(fake_count(scene->mesh, MSG_QUERY), 0);
    struct fake_result result = fake_result(scene->leaf);
    assert_int_equal(result.lasts, 1);
    assert_int_equal(result.coverage.supernodes, 1);
    assert_int_equal(result.coverage.spared, 1);
    assert_int_equal(result.coverage.reached, 2);
    assert_int_equal(result.coverage.known, 2);
    struct fake_query locate = {.ttl = 3, .content = {.size = 9}};
    fake_ask(scene->leaf_link, &locate);
    net_run(scene->net, 100);
    assert_int_equal(fake_count(scene->mesh, MSG_LOCATE), 1);
    tell(scene, poisoned());
    ask_for(scene, "whale", 3, 100);
    assert_int_equal(fake_count(scene->mesh, MSG_QUERY), 0); /* nor does it draw copies of others */
    result = fake_result(scene->leaf);
    assert_int_equal(result.lasts, 1);
    assert_int_equal(result.coverage.refused, 1);
    assert_int_equal(result.coverage.spared, 0);
    scene_free(scene);
}

/* Our own words reach a neighbour: at once when it comes, within two seconds when they come. */
static void our_words_are_told(void **state) {
    (void)state;
    struct scene *scene = scene_new(0);
    static const struct fake_file files[] = {{1, "Blue Whale.ogg"}, {2, "red fox.ogg"}};
    struct hearsay hearsay = {0};
    assert_int_equal(fake_register(scene->leaf_link, 7, files, 2), REG_DONE);
    net_run(scene->net, 2000);
    struct fake *late = fake_add(scene->net);
    assert_non_null(fake_dial(late, scene->place, PURPOSE_MESH));
    struct fake *tellers[] = {scene->mesh, late};
    for (int i = 0; i < 2; i++) {
        struct summary_part part;
        for (uint32_t n = 0; n < fake_count(tellers[i], MSG_SUMMARY); n++) {
            struct slice payload = heard_payload(fake_nth(tellers[i], MSG_SUMMARY, n));
            assert_int_equal(wire_summary_decode(payload, &part), OK);
            assert_int_equal(hearsay_take(&hearsay, &part, SIZE_MAX), OK);
        }
        if (i == 0) { /* the chunk was told before this scene forgot it: only a delta is here */
            assert_int_equal(part.kind, SUMMARY_DELTA);
            assert_int_equal(part.words, 5);
            continue;
        }
        assert_non_null(hearsay.whole);
        assert_true(summary_has(hearsay.whole, summary_hash(test_slice("whale"))));
        assert_true(summary_has(hearsay.whole, summary_hash(test_slice("fox"))));
        assert_false(summary_has(hearsay.whole, summary_hash(test_slice("cat"))));
        assert_int_equal(hearsay.files, 2);
    }
    hearsay_free(&hearsay);
    scene_free(scene);
}

/* ---- Silence ---- */

static void a_mute_neighbour_is_asked_now_and_then(void **state) {
    (void)state;
    struct scene *scene = scene_new(0);
    for (int i = 0; i < MUTE_SILENCES; i++) {
        ask_for(scene, "whale", 1, 100);
        assert_int_equal(fake_count(scene->mesh, MSG_QUERY), 1);
        net_run(scene->net, 2000);
        assert_int_equal(fake_result(scene->leaf).coverage.refused, 1);
    }
    ask_for(scene, "whale", 1, 100);
    assert_int_equal(fake_count(scene->mesh, MSG_QUERY), 0);
    assert_int_equal(fake_result(scene->leaf).lasts, 1); /* and not waited for */
    net_run(scene->net, MUTE_MS);
    ask_for(scene, "whale", 1, 100);
    assert_int_equal(fake_count(scene->mesh, MSG_QUERY), 1);
    answer_with(scene, 0, &one);
    ask_for(scene, "whale", 1, 100);
    assert_int_equal(fake_count(scene->mesh, MSG_QUERY), 1); /* it speaks again */
    scene_free(scene);
}

/* ---- Turns ---- */

struct race {
    const struct net_node *slow;
    const struct net_node *fast;
    uint32_t slow_answers; /* before the fast one had its own */
    bool is_over;
};

static void watch_race(void *watcher, const struct net_message *message) {
    struct race *race = watcher;
    if (message->type == MSG_END && message->to == race->fast) {
        race->is_over = true;
    }
    race->slow_answers += message->type == MSG_END && message->to == race->slow && !race->is_over;
}

/* One link brings hundreds of queries at once, another one right after it: that one is not behind
 * them all. */
static void a_link_that_floods_does_not_delay_others(void **state) {
    (void)state;
    struct net *net = net_new(41);
    net->latency_us_min = net->latency_us_max = 1000;
    struct net_node *place = start_plain(net);
    struct fake *many = fake_add(net);
    struct fake *few = fake_add(net);
    struct link *many_link = fake_dial(many, place, PURPOSE_MESH);
    struct link *few_link = fake_dial(few, place, PURPOSE_MESH);
    struct race race = {.slow = many->place, .fast = few->place};
    net->watcher = &race;
    net->watch = watch_race;
    fake_begin(many);
    for (uint32_t i = 0; i < MESH_QUERIES_BURST; i++) {
        char text[16];
        snprintf(text, sizeof text, "word%u", i);
        struct fake_query query = {.ttl = 0, .hops = 1, .text = text};
        struct buf body = {0};
        struct buf payload = {0};
        fake_body(many, &query, &body);
        struct query_header header = {
            .hops = 1, .want = 9, .deadline_ms = 1000, .body = {body.data, body.len}};
        wire_query_encode(&payload, &header);
        links_send(many_link, MSG_QUERY, (struct slice){payload.data, payload.len});
        buf_free(&payload);
        buf_free(&body);
    }
    fake_end(many);
    struct fake_query query = {.ttl = 0, .hops = 1, .text = "whale"};
    fake_ask(few_link, &query);
    net_run(net, 1000);
    assert_true(race.is_over);
    assert_true(race.slow_answers <= 2 * TURN_STEP_COST / TURN_COST_NEW);
    assert_int_equal(fake_result(many).lasts, MESH_QUERIES_BURST);
    assert_int_equal(supernode_of(place)->counts.limited, 0);
    net_free(net);
}

/* A link may go while its copies wait, and a broken body closes it when its turn comes. */
static void what_waits_goes_with_its_link(void **state) {
    (void)state;
    for (int is_broken = 0; is_broken < 2; is_broken++) {
        struct net *net = net_new(43);
        struct net_node *place = start_plain(net);
        struct fake *mesh = fake_add(net);
        struct link *link = fake_dial(mesh, place, PURPOSE_MESH);
        fake_begin(mesh);
        for (uint8_t i = 0; i < 200; i++) {
            uint8_t rubbish[4] = {i, 0xff, 0xff, 0xff};
            struct fake_query query = {.text = "whale", .salt = i, .hops = 1};
            struct buf body = {0};
            struct buf payload = {0};
            fake_body(mesh, &query, &body);
            struct query_header header = {
                .hops = 1, .want = 9, .deadline_ms = 1000, .body = {body.data, body.len}};
            if (is_broken && i == 150) {
                header.body = (struct slice){rubbish, sizeof rubbish};
            }
            wire_query_encode(&payload, &header);
            links_send(link, MSG_QUERY, (struct slice){payload.data, payload.len});
            buf_free(&payload);
            buf_free(&body);
        }
        if (!is_broken) {
            links_close(link, GOAWAY_SHUTDOWN, ERR_SHUTDOWN);
        }
        fake_end(mesh);
        net_run(net, 2000);
        assert_int_equal(mesh->closed, 1);
        assert_int_equal(supernode_of(place)->neighbour_count, 0);
        assert_true(supernode_of(place)->counts.queries <= 150);
        assert_null(supernode_of(place)->turns.next);
        net_free(net);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_step_goes_one_hop_farther),
        cmocka_unit_test(a_neighbour_s_links_tell_of_others),
        cmocka_unit_test(links_that_come_and_go_are_told),
        cmocka_unit_test(a_larger_ttl_goes_on_from_there),
        cmocka_unit_test(a_silent_step_is_waited_for_and_no_longer),
        cmocka_unit_test(the_ladder_ends_when_it_should),
        cmocka_unit_test(a_search_for_sources_ends_with_twenty),
        cmocka_unit_test(summaries_spare_copies),
        cmocka_unit_test(what_nobody_has_costs_nothing),
        cmocka_unit_test(our_words_are_told),
        cmocka_unit_test(a_mute_neighbour_is_asked_now_and_then),
        cmocka_unit_test(a_link_that_floods_does_not_delay_others),
        cmocka_unit_test(what_waits_goes_with_its_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
