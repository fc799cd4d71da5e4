/* test_forward.c - what a copy costs on its way, and what answers are taken from whom.
 *
 * deflate() and inflate() are defined here, so that the supernode's calls can be counted. */
#include <dlfcn.h>

#define ZLIB_CONST
#include <zlib.h>

#include "tests/unit/supernode_fake.h"

static uint32_t deflated;
static uint32_t inflated;

int deflate(z_streamp stream, int flush) {
    int (*real)(z_streamp, int);
    *(void **)&real = dlsym(RTLD_NEXT, "deflate");
    deflated++;
    return real(stream, flush);
}

int inflate(z_streamp stream, int flush) {
    int (*real)(z_streamp, int);
    *(void **)&real = dlsym(RTLD_NEXT, "inflate");
    inflated++;
    return real(stream, flush);
}

/* ---- What a copy costs ---- */

#define MOST_OTHERS 16

/* Copies as they leave the supernode. */
struct passage {
    const struct net_node *place;
    struct query_header came; /* borrows `payload` */
    struct buf payload;
    uint32_t copies;
};

static void watch_copies(void *watcher, const struct net_message *message) {
    struct passage *passage = watcher;
    if (message->type != MSG_QUERY && message->type != MSG_LOCATE) {
        return;
    }
    struct query_header header;
    assert_int_equal(wire_query_decode(message->payload, &header), OK);
    if (message->to == passage->place) {
        buf_append(&passage->payload, message->payload.data, message->payload.len);
        struct slice payload = {passage->payload.data, passage->payload.len};
        assert_int_equal(wire_query_decode(payload, &passage->came), OK);
        return;
    }
    passage->copies++;
    assert_int_equal(message->payload.len, passage->payload.len);
    assert_int_equal(header.body.len, passage->came.body.len);
    assert_memory_equal(header.body.data, passage->came.body.data, header.body.len);
    assert_int_equal(header.want, passage->came.want);
    assert_int_equal(header.hops, passage->came.hops + 1);
    assert_true(header.ttl < passage->came.ttl);
}

/* Pass one query on to so many neighbours; return how often it was inflated on the way. */
static uint32_t pass_on(enum purpose purpose, const char *text, uint32_t others) {
    struct net *net = net_new(71);
    struct net_node *place = start_plain(net);
    struct fake *asker = fake_add(net);
    struct link *link = fake_dial(asker, place, purpose);
    for (uint32_t i = 0; i < others; i++) {
        assert_non_null(fake_dial(fake_add(net), place, PURPOSE_MESH));
    }
    net_run(net, 5000);
    struct passage passage = {.place = place};
    net->watcher = &passage;
    net->watch = watch_copies;
    struct fake_query query = {.ttl = 3, .text = text, .content.size = 9};
    query.hops = purpose == PURPOSE_MESH;
    fake_ask(link, &query);
    deflated = inflated = 0; /* its body was deflated where it was asked */
    net_run(net, 100);
    assert_int_equal(passage.copies, others);
    assert_int_equal(deflated, 0);
    uint32_t count = inflated;
    buf_free(&passage.payload);
    net_free(net);
    return count;
}

/* A forward is a header patched and bytes appended: nothing is deflated, nothing but the header
 * differs, and the body is read as often for many neighbours as for one. */
static void a_forward_is_a_patch_and_an_append(void **state) {
    (void)state;
    static const struct {
        enum purpose purpose;
        const char *text;
    } rows[] = {{PURPOSE_MESH, "blue whale"},
                {PURPOSE_LEAF, "blue whale"},
                {PURPOSE_MESH, NULL},
                {PURPOSE_LEAF, NULL}};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        uint32_t one = pass_on(rows[i].purpose, rows[i].text, 1);
        uint32_t many = pass_on(rows[i].purpose, rows[i].text, MOST_OTHERS);
        assert_in_range(one, 1, 2); /* to look it up, and to see whom a summary spares */
        assert_int_equal(many, one);
    }
}

/* ---- Ids that are not one's own ---- */

struct scene {
    struct net *net;
    struct net_node *place;
    struct fake *leaf;
    struct fake *asked;  /* a neighbour who gets the leaf's query */
    struct fake *forger; /* one whose summary spares him */
    struct link *leaf_link;
    struct link *asked_link;
    struct link *forger_link;
};

static void tell_nothing(struct link *link) {
    struct summary *summary = summary_new(1, 10);
    struct summary_part part = {0};
    struct buf payload = {0};
    (void)summary_add(summary, summary_hash(test_slice("fox")), NULL);
    summary_put_chunk(summary, &part, &payload);
    fake_send(link, MSG_SUMMARY, &payload);
    mem_free(summary);
}

static int setup(void **state) {
    struct scene *scene = mem_new(sizeof *scene);
    scene->net = net_new(72);
    scene->net->latency_us_min = scene->net->latency_us_max = 1000;
    scene->place = start_plain(scene->net);
    scene->leaf = fake_add(scene->net);
    scene->asked = fake_add(scene->net);
    scene->forger = fake_add(scene->net);
    scene->leaf_link = fake_dial(scene->leaf, scene->place, PURPOSE_LEAF);
    scene->asked_link = fake_dial(scene->asked, scene->place, PURPOSE_MESH);
    scene->forger_link = fake_dial(scene->forger, scene->place, PURPOSE_MESH);
    tell_nothing(scene->forger_link);
    net_run(scene->net, 100);
    *state = scene;
    return 0;
}

static int teardown(void **state) {
    struct scene *scene = *state;
    net_free(scene->net);
    mem_free(scene);
    return 0;
}

static struct query_id id_of(const struct fake *fake, const struct fake_query *query) {
    struct buf body = {0};
    struct query_id id;
    fake_body(fake, query, &body);
    wire_query_id((struct slice){body.data, body.len}, &fake->place->crypto, &id);
    buf_free(&body);
    return id;
}

static void send_hit(struct link *link, const struct query_id *id, uint8_t ttl) {
    struct hits *hits = mem_new(sizeof *hits);
    struct fake_file file = {1, "whale"};
    *hits = (struct hits){.id = *id, .ttl = ttl, .holder_count = 1, .hit_count = 1, .last = true};
    hits->hits[0] = (struct hit){.file = fake_record(&file), .holder_count = 1};
    struct buf payload = {0};
    wire_hits_encode(&payload, hits);
    fake_send(link, MSG_HITS, &payload);
    mem_free(hits);
    const struct fake *fake = link->links->context;
    net_run(fake->place->net, 5);
}

/* Hits for an id that nobody has, and for a query that went to somebody else, go nowhere; a whole
 * row of them costs the link, and the true answer still arrives. */
static void hits_for_others_queries_go_nowhere(void **state) {
    for (int is_known = 0; is_known < 2; is_known++) {
        struct scene *scene = *state;
        struct fake_query query = {.ttl = 1, .text = "whale"};
        struct query_id id = id_of(scene->leaf, &query);
        fake_ask(scene->leaf_link, &query);
        net_run(scene->net, 50);
        assert_int_equal(fake_count(scene->asked, MSG_QUERY), 1);
        assert_int_equal(fake_count(scene->forger, MSG_QUERY), 0);
        struct query_id forged = id;
        forged.b[0] ^= is_known ? 0 : 1;
        for (uint8_t i = 0; i < MISDEEDS_MAX; i++) {
            assert_int_equal(scene->forger->closed, 0);
            send_hit(scene->forger_link, &forged, i % 4);
        }
        assert_int_equal(scene->forger->closed, 1);
        assert_int_equal(last_goaway(scene->forger).reason, GOAWAY_PROTOCOL);
        assert_int_equal(supernode_of(scene->place)->counts.unmatched, MISDEEDS_MAX);
        assert_int_equal(fake_result(scene->leaf).records, 0);
        assert_int_equal(fake_result(scene->leaf).lasts, 0);
        send_hit(scene->asked_link, &id, 0);
        assert_int_equal(fake_result(scene->leaf).records, 1);
        assert_int_equal(fake_result(scene->leaf).lasts, 1);
        assert_int_equal(scene->asked->closed, 0);
        teardown(state);
        setup(state);
    }
}

/* A neighbour that sends the same copy over and over gets the answer to it, once, and is sent off;
 * nobody else notices. */
static void the_same_copy_again_and_again_costs_the_link(void **state) {
    struct scene *scene = *state;
    struct fake_query query = {.ttl = 2, .hops = 1, .text = "whale"};
    for (uint32_t i = 0; i <= MISDEEDS_MAX; i++) {
        assert_int_equal(scene->forger->closed, 0);
        fake_ask(scene->forger_link, &query);
        net_run(scene->net, 50);
    }
    assert_int_equal(fake_result(scene->forger).lasts, 0);
    struct query_id id = id_of(scene->forger, &query);
    send_hit(scene->asked_link, &id, 1);
    net_run(scene->net, 50);
    assert_int_equal(fake_result(scene->forger).records, 1);
    assert_int_equal(fake_result(scene->forger).lasts, 1);
    assert_int_equal(scene->forger->closed, 1);
    assert_int_equal(last_goaway(scene->forger).reason, GOAWAY_PROTOCOL);
    assert_int_equal(fake_count(scene->asked, MSG_QUERY), 1);
    assert_int_equal(supernode_of(scene->place)->counts.queries, 1);
    assert_int_equal(scene->asked->closed, 0);
}

/* Whoever has seen a query can send it on as his own, and is answered for it. Its first asker is
 * answered still, and asked for him is everybody that the other's copy did not reach. */
static void a_query_that_another_sent_first_goes_on(void **state) {
    struct scene *scene = *state;
    struct fake_query stolen = {.ttl = 0, .hops = 1, .text = "whale"};
    fake_ask(scene->forger_link, &stolen);
    net_run(scene->net, 50);
    assert_int_equal(fake_result(scene->forger).lasts, 1);
    assert_int_equal(fake_count(scene->asked, MSG_QUERY), 0);
    struct fake_query query = {.ttl = 1, .text = "whale"};
    struct query_id id = id_of(scene->leaf, &query);
    fake_ask(scene->leaf_link, &query);
    net_run(scene->net, 50);
    assert_int_equal(fake_count(scene->asked, MSG_QUERY), 1);
    send_hit(scene->asked_link, &id, 0);
    assert_int_equal(fake_result(scene->leaf).records, 1);
    assert_int_equal(fake_result(scene->leaf).lasts, 1);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_forward_is_a_patch_and_an_append),
        CASE(hits_for_others_queries_go_nowhere),
        CASE(the_same_copy_again_and_again_costs_the_link),
        CASE(a_query_that_another_sent_first_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
