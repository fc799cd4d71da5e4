/* test_summaries.c - when a supernode's own filter of words is built anew. */
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tight_filter_is_replaced_by_a_larger_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
