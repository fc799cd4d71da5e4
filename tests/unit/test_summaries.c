/* test_summaries.c - when a supernode's own filter of words is told and built anew, and that each
 * neighbour's is held apart. */
#include "tests/unit/supernode_fake.h"

static const struct fake_file files[] = {{1, "blue whale song"}};

/* Let words come into the index while the filter of this size is too tight; return how many more
 * filters that makes. */
static uint32_t built(uint8_t log2_bits) {
    struct net *net = net_new(1);
    struct supernode *supernode = supernode_of(start_plain(net));
    struct summaries *summaries = &supernode->summaries;
    mem_free(summaries->own);
    summaries->own = summary_new(1, log2_bits);
    summaries->own->set = 1u << (log2_bits - 1);
    struct link *link = fake_dial(fake_add(net), net->nodes[0], PURPOSE_LEAF);
    assert_int_equal(fake_register(link, 1, files, LENGTH(files)), REG_DONE);
    uint32_t count = summaries->own->version - 1;
    net_free(net);
    return count;
}

/* A larger one than the largest there is not: it would only be told to everybody again. */
static void a_tight_filter_is_replaced_by_a_larger_one(void **state) {
    (void)state;
    assert_int_equal(built(SUMMARY_LOG2_MIN), 1);
    assert_int_equal(built(SUMMARY_LOG2_MAX - 1), 1);
    assert_int_equal(built(SUMMARY_LOG2_MAX), 0);
}

/* ---- Telling ---- */

#define NEIGHBOURS 2
#define MANY 128 /* files: the index sweeps 64 records that are gone together */

/* What the neighbours know by what has been sent to them. */
struct ears {
    const struct net *net;
    const struct net_node *places[NEIGHBOURS];
    struct hearsay heard[NEIGHBOURS];
    uint32_t deltas;
    uint64_t done_us; /* the leaf was told that its list is taken */
    uint64_t told_us; /* the last neighbour has all its words */
};

static bool has_heard(const struct hearsay *hearsay, const char *word) {
    return hearsay->whole != NULL && summary_has(hearsay->whole, summary_hash(test_slice(word)));
}

static bool have_all_heard(const struct ears *ears) {
    bool have_all = true;
    for (int i = 0; i < NEIGHBOURS; i++) {
        const struct hearsay *heard = &ears->heard[i];
        have_all = have_all && has_heard(heard, "blue") && has_heard(heard, "whale") &&
                   has_heard(heard, "song");
    }
    return have_all;
}

static void listen(void *watcher, const struct net_message *message) {
    struct ears *ears = watcher;
    struct summary_part part;
    if (message->type == MSG_REG_STATUS) {
        struct reg_status status;
        assert_int_equal(wire_reg_status_decode(message->payload, &status), OK);
        ears->done_us = status.verdict == REG_DONE ? ears->net->now_us : 0;
    }
    for (int i = 0; message->type == MSG_SUMMARY && i < NEIGHBOURS; i++) {
        if (message->to == ears->places[i]) {
            assert_int_equal(wire_summary_decode(message->payload, &part), OK);
            assert_int_equal(hearsay_take(&ears->heard[i], &part, SIZE_MAX), OK);
            ears->deltas += part.kind == SUMMARY_DELTA;
        }
    }
    if (ears->told_us == 0 && have_all_heard(ears)) {
        ears->told_us = ears->net->now_us;
    }
}

/* Words that come are told to all within two seconds; those that are gone leave the filter with the
 * next one, twenty minutes later at most: their list is kept for ten, a filter lives for ten. (A
 * few records stay in the index until there are enough to sweep.) */
static void words_come_at_once_and_go_in_time(void **state) {
    (void)state;
    static const struct fake_file others[] = {{2, "red fox"}};
    struct fake_file many[MANY];
    for (uint8_t i = 0; i < MANY; i++) {
        many[i] = (struct fake_file){i, "blue whale song"};
    }
    struct net *net = net_new(2);
    struct net_node *place = start_plain(net);
    struct ears ears = {.net = net};
    struct fake *neighbours[NEIGHBOURS];
    net->watcher = &ears;
    net->watch = listen;
    for (int i = 0; i < NEIGHBOURS; i++) {
        neighbours[i] = fake_add(net);
        ears.places[i] = neighbours[i]->place;
        assert_non_null(fake_dial(neighbours[i], place, PURPOSE_MESH));
    }
    struct link *goer = fake_dial(fake_add(net), place, PURPOSE_LEAF);
    struct link *stayer = fake_dial(fake_add(net), place, PURPOSE_LEAF);
    assert_int_equal(fake_register(stayer, 1, others, LENGTH(others)), REG_DONE);
    net_run(net, 5000);
    assert_false(has_heard(&ears.heard[0], "whale"));
    assert_int_equal(fake_register(goer, 1, many, MANY), REG_DONE);
    uint64_t done_us = ears.done_us;
    net_run(net, 5000);
    assert_true(ears.told_us >= done_us && ears.told_us - done_us <= 2000000);
    uint32_t version = ears.heard[0].whole->version;
    fake_close(goer);
    net_run(net, LEAF_KEEP_MS - 5000); /* kept, since it may come back */
    assert_true(have_all_heard(&ears));
    net_run(net, 5000 + SUMMARY_REBUILD_MS + 5000);
    for (int i = 0; i < NEIGHBOURS; i++) {
        assert_int_equal(neighbours[i]->closed, 0);
        assert_true(ears.heard[i].whole->version > version);
        assert_false(has_heard(&ears.heard[i], "whale"));
        assert_true(has_heard(&ears.heard[i], "fox"));
        hearsay_free(&ears.heard[i]);
    }
    net_free(net);
}

static void tell_word(struct link *link, const char *word) {
    struct summary *summary = summary_new(1, 10);
    struct summary_part part = {0};
    struct buf payload = {0};
    (void)summary_add(summary, summary_hash(test_slice(word)), NULL);
    summary_put_chunk(summary, &part, &payload);
    fake_send(link, MSG_SUMMARY, &payload);
    mem_free(summary);
}

/* Each neighbour gets the queries that its own words may match, in whatever order they told them.
 */
static void each_neighbour_has_a_filter_of_its_own(void **state) {
    (void)state;
    static const char *const words[] = {"whale", "fox"};
    struct net *net = net_new(3);
    struct net_node *place = start_plain(net);
    struct fake *neighbours[LENGTH(words)];
    for (size_t i = 0; i < LENGTH(words); i++) {
        neighbours[i] = fake_add(net);
        tell_word(fake_dial(neighbours[i], place, PURPOSE_MESH), words[i]);
    }
    net_run(net, 100);
    struct link *leaf = fake_dial(fake_add(net), place, PURPOSE_LEAF);
    for (size_t which = 0; which < LENGTH(words); which++) {
        for (size_t i = 0; i < LENGTH(words); i++) {
            fake_forget(neighbours[i]);
        }
        struct fake_query query = {.ttl = 1, .text = words[which]};
        fake_ask(leaf, &query);
        net_run(net, 100);
        for (size_t i = 0; i < LENGTH(words); i++) {
            assert_int_equal(fake_count(neighbours[i], MSG_QUERY), i == which);
        }
    }
    net_free(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_come_at_once_and_go_in_time),
        cmocka_unit_test(each_neighbour_has_a_filter_of_its_own),
        cmocka_unit_test(a_tight_filter_is_replaced_by_a_larger_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
