/* test_hostcache.c - which supernodes are believed, kept, dialled, told of, and remembered. */
#include "tests/unit/testlib.h"

#include <malloc.h>
#include <stdio.h>

#include "common/hostcache.h"
#include "common/mem.h"

#define NOW_S 1750000000

/* A node's environment with a store that outlives its caches. */
struct fixture {
    struct test_identity self;
    struct network network;
    struct node_env env;
    struct hostcache cache;
    struct rng rng;
};

static int set_up(void **state) {
    struct fixture *fixture = mem_new(sizeof *fixture);
    test_identity_init(&fixture->self, 1);
    fixture->network = (struct network){.name = "test", .policy = NETWORK_OPEN};
    assert_int_equal(network_seal(&fixture->network, &fixture->self.crypto), OK);
    fixture->env = (struct node_env){.id = fixture->self.id,
                                     .seed = 7,
                                     .network = &fixture->network,
                                     .crypto = &fixture->self.crypto,
                                     .store = store_memory_new(NULL, NULL)};
    rng_seed(&fixture->rng, 18);
    hostcache_init(&fixture->cache, &fixture->env);
    *state = fixture;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    hostcache_free(&fixture->cache);
    store_free(fixture->env.store);
    test_identity_free(&fixture->self);
    mem_free(fixture);
    return 0;
}

static void reopen(struct fixture *fixture) {
    hostcache_free(&fixture->cache);
    hostcache_init(&fixture->cache, &fixture->env);
}

/* The record of the node with this seed: 10.x.y.z:6346 unless `address` says otherwise. */
static struct node_id make_record(struct fixture *fixture, uint64_t seed, uint64_t seq,
                                  const struct address *address, struct buf *out) {
    struct test_identity identity;
    test_identity_init(&identity, seed);
    struct address_record record = {
        .key = identity.id, .seq = seq, .minutes = 60, .address_count = 1};
    record.addresses[0] = address != NULL ? *address : test_address((uint32_t)seed, 6346);
    wire_address_record_sign(&record, &identity.crypto, &fixture->network.id);
    wire_address_record_encode(out, &record);
    struct node_id id = identity.id;
    test_identity_free(&identity);
    return id;
}

static enum err add(struct fixture *fixture, uint64_t seed, uint64_t seq, struct node_id *id) {
    struct buf record = {0};
    *id = make_record(fixture, seed, seq, NULL, &record);
    enum err err = hostcache_add(&fixture->cache, (struct slice){record.data, record.len}, NOW_S);
    buf_free(&record);
    return err;
}

static struct host *added(struct fixture *fixture, uint64_t seed) {
    struct node_id id;
    assert_int_equal(add(fixture, seed, NOW_S, &id), OK);
    struct host *host = hostcache_find(&fixture->cache, &id);
    assert_non_null(host);
    return host;
}

/* ---- Introducers ---- */

#define ID_TEXT "P56IOI7-MZJNU2Y-IQGDREY-DM2MGTI-MGL3BXN-PQ6W5BM-TBBZ4TJ-XZWICQ2"

static void test_introducer_texts(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *host;    /* NULL = refused */
        const char *address; /* NULL = a name */
    } rows[] = {
        {ID_TEXT "@10.1.2.3:6346", "10.1.2.3", "10.1.2.3:6346"},
        {ID_TEXT "@[2001:db8::1]:6346", "2001:db8::1", "[2001:db8::1]:6346"},
        {ID_TEXT "@sn1.example.org:65535", "sn1.example.org", NULL},
        {ID_TEXT "@localhost:1", "localhost", NULL},
        {ID_TEXT, NULL, NULL},
        {"", NULL, NULL},
        {"@10.1.2.3:6346", NULL, NULL},
        {ID_TEXT "@", NULL, NULL},
        {ID_TEXT "@10.1.2.3", NULL, NULL},
        {ID_TEXT "@10.1.2.3:", NULL, NULL},
        {ID_TEXT "@10.1.2.3:0", NULL, NULL},
        {ID_TEXT "@10.1.2.3:65536", NULL, NULL},
        {ID_TEXT "@10.1.2.3:123456", NULL, NULL},
        {ID_TEXT "@10.1.2.3:6346x", NULL, NULL},
        {ID_TEXT "@:6346", NULL, NULL},
        {ID_TEXT "@[]:6346", NULL, NULL},
        {ID_TEXT "@2001:db8::1:6346", NULL, NULL},
        {ID_TEXT "@[2001:db8::1]6346", NULL, NULL},
        {ID_TEXT "@[2001:db8::g]:6346", NULL, NULL},
        {ID_TEXT "@[10.1.2.3]:6346", NULL, NULL},
        {ID_TEXT "@two words:6346", NULL, NULL},
        {ID_TEXT "@evil;host:6346", NULL, NULL},
        {"AAAA@10.1.2.3:6346", NULL, NULL},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct introducer introducer;
        enum err err = introducer_parse(&introducer, rows[i].text);
        if (err != (rows[i].host != NULL ? OK : ERR_CONFIG)) {
            fail_msg("%s: %s", rows[i].text, err_name(err));
        }
        if (rows[i].host == NULL) {
            continue;
        }
        assert_string_equal(introducer.host, rows[i].host);
        struct address address;
        assert_int_equal(introducer_address(&introducer, &address), rows[i].address != NULL);
        if (rows[i].address != NULL) {
            char text[ADDRESS_TEXT_BYTES];
            address_format(text, &address);
            assert_string_equal(text, rows[i].address);
        }
    }
}

static void test_long_host_names(void **state) {
    (void)state;
    for (size_t len = HOST_NAME_MAX_BYTES - 1; len <= 2000; len = len < 256 ? len + 1 : len * 2) {
        char text[4200];
        struct introducer introducer;
        struct address address;
        size_t at = (size_t)snprintf(text, sizeof text, "%s@", ID_TEXT);
        memset(text + at, 'x', len);
        strcpy(text + at + len, ":6346");
        enum err wanted = len <= HOST_NAME_MAX_BYTES ? OK : ERR_CONFIG;
        assert_int_equal(introducer_parse(&introducer, text), wanted);
        if (wanted == OK) {
            assert_false(introducer_address(&introducer, &address));
        }
    }
}

static void test_add_introducer(void **state) {
    struct fixture *fixture = *state;
    struct address first = test_address(1, 1);
    struct address second = test_address(2, 2);
    struct node_id id = {{5}};
    struct host *host = hostcache_add_introducer(&fixture->cache, &id, &first);
    assert_true(host->introducer);
    assert_ptr_equal(hostcache_add_introducer(&fixture->cache, &id, &second), host);
    assert_true(address_equal(&host->address, &second));
    assert_null(hostcache_add_introducer(&fixture->cache, &fixture->env.id, &first));
    assert_int_equal(fixture->cache.hosts.count, 1);
    hostcache_succeeded(&fixture->cache, host, NOW_S); /* nothing to keep without a record */
    reopen(fixture);
    assert_int_equal(fixture->cache.hosts.count, 0);
}

/* ---- Records ---- */

static void test_add_replaces_by_seq(void **state) {
    struct fixture *fixture = *state;
    struct host *host = added(fixture, 100);
    struct address wanted = test_address(100, 6346);
    assert_true(address_equal(&host->address, &wanted));
    struct address moved = test_address(9, 9);
    struct buf older = {0};
    struct buf newer = {0};
    make_record(fixture, 100, NOW_S - 1, &moved, &older);
    make_record(fixture, 100, NOW_S + 1, &moved, &newer);
    assert_int_equal(hostcache_add(&fixture->cache, (struct slice){older.data, older.len}, NOW_S),
                     OK);
    assert_true(address_equal(&host->address, &wanted));
    newer.data[newer.len - 1] ^= 1; /* a forged newer one changes nothing either */
    assert_int_equal(hostcache_add(&fixture->cache, (struct slice){newer.data, newer.len}, NOW_S),
                     ERR_AUTH);
    assert_true(address_equal(&host->address, &wanted));
    newer.data[newer.len - 1] ^= 1;
    assert_int_equal(hostcache_add(&fixture->cache, (struct slice){newer.data, newer.len}, NOW_S),
                     OK);
    assert_true(address_equal(&host->address, &moved));
    struct slice kept = hostcache_record(&fixture->cache, host);
    assert_int_equal(kept.len, newer.len);
    assert_memory_equal(kept.data, newer.data, newer.len);
    assert_int_equal(fixture->cache.hosts.count, 1);
    buf_free(&older);
    buf_free(&newer);
}

static void test_add_refuses(void **state) {
    struct fixture *fixture = *state;
    struct node_id id;
    assert_int_equal(add(fixture, 1, NOW_S, &id), ERR_DUPLICATE); /* our own */
    assert_int_equal(add(fixture, 2, NOW_S - 3 * 86400, &id), ERR_POLICY);
    assert_int_equal(add(fixture, 2, NOW_S + 3 * 86400, &id), ERR_POLICY);
    struct address nowhere = test_address(1, 80);
    nowhere.ip[0] = 224;
    struct buf record = {0};
    make_record(fixture, 3, NOW_S, &nowhere, &record);
    struct slice bytes = {record.data, record.len};
    assert_int_equal(hostcache_add(&fixture->cache, bytes, NOW_S), ERR_POLICY);
    bytes.len--;
    assert_int_equal(hostcache_add(&fixture->cache, bytes, NOW_S), ERR_FORMAT);
    assert_int_equal(hostcache_add(&fixture->cache, (struct slice){0}, NOW_S), ERR_FORMAT);
    fixture->network.profile = NETWORK_INTERNET; /* where 10.0.0.0/8 cannot be dialled */
    assert_int_equal(add(fixture, 4, NOW_S, &id), ERR_POLICY);
    assert_int_equal(fixture->cache.hosts.count, 0);
    buf_free(&record);
}

/* Every single flipped bit of a record is noticed, and nothing is stored. */
static void test_altered_records(void **state) {
    struct fixture *fixture = *state;
    struct buf record = {0};
    make_record(fixture, 5, NOW_S, NULL, &record);
    for (size_t bit = 0; bit < record.len * 8; bit++) {
        record.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct slice bytes = {record.data, record.len};
        assert_int_not_equal(hostcache_add(&fixture->cache, bytes, NOW_S), OK);
        record.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(fixture->cache.hosts.count, 0);
    struct slice key;
    struct slice value;
    assert_false(store_next(fixture->env.store, STORE_HOSTS, (struct slice){0}, &key, &value));
    buf_free(&record);
}

/* When full, the host that failed most goes first, then the one whose success is oldest. */
static void test_full_cache(void **state) {
    struct fixture *fixture = *state;
    struct host *hosts[HOSTCACHE_MAX];
    for (uint32_t i = 0; i < HOSTCACHE_MAX; i++) {
        hosts[i] = added(fixture, 1000 + i);
        hosts[i]->succeeded_s = i == 20 ? 1 : NOW_S;
    }
    hosts[10]->failures = 3;
    hosts[11]->failures = 9;
    hosts[11]->in_use = true;
    hosts[12]->failures = 9;
    hosts[12]->introducer = true;
    struct node_id gone_first = hosts[10]->id;
    struct node_id gone_next = hosts[20]->id;
    added(fixture, 5000)->succeeded_s = NOW_S;
    assert_int_equal(fixture->cache.hosts.count, HOSTCACHE_MAX);
    assert_null(hostcache_find(&fixture->cache, &gone_first));
    assert_non_null(hostcache_find(&fixture->cache, &gone_next));
    added(fixture, 5001)->succeeded_s = NOW_S;
    assert_null(hostcache_find(&fixture->cache, &gone_next));
    uint32_t cursor = 0;
    for (struct host *host; (host = map_next(&fixture->cache.hosts, &cursor, NULL)) != NULL;) {
        host->in_use = true;
    }
    struct node_id id;
    assert_int_equal(add(fixture, 5002, NOW_S, &id), ERR_LIMIT);
    reopen(fixture);
    assert_int_equal(fixture->cache.hosts.count, HOSTCACHE_MAX);
}

/* ---- Dialling ---- */

static void test_pick_prefers_few_failures(void **state) {
    struct fixture *fixture = *state;
    uint64_t wait_us = 5;
    assert_null(hostcache_pick(&fixture->cache, &fixture->rng, 0, &wait_us));
    assert_true(wait_us == UINT64_MAX);
    struct host *hosts[6];
    for (uint32_t i = 0; i < LENGTH(hosts); i++) {
        hosts[i] = added(fixture, 100 + i);
        hosts[i]->failures = i < 4 ? 1 : 2;
    }
    uint32_t picked[6] = {0};
    for (uint32_t round = 0; round < 400; round++) {
        struct host *host = hostcache_pick(&fixture->cache, &fixture->rng, 0, &wait_us);
        for (uint32_t i = 0; i < LENGTH(hosts); i++) {
            picked[i] += hosts[i] == host;
        }
    }
    for (uint32_t i = 0; i < LENGTH(hosts); i++) {
        assert_in_range(picked[i], i < 4 ? 60 : 0, i < 4 ? 140 : 0);
    }
    for (uint32_t i = 0; i < 4; i++) {
        hosts[i]->in_use = true;
    }
    hosts[4]->retry_us = 2000;
    hosts[5]->retry_us = 1000;
    assert_null(hostcache_pick(&fixture->cache, &fixture->rng, 999, &wait_us));
    assert_int_equal(wait_us, 1000);
    assert_ptr_equal(hostcache_pick(&fixture->cache, &fixture->rng, 1000, &wait_us), hosts[5]);
    hosts[5]->in_use = true;
    assert_null(hostcache_pick(&fixture->cache, &fixture->rng, 1000, &wait_us));
    assert_int_equal(wait_us, 2000);
}

/* Each failure draws from twice the span of the one before, up to the longest. */
static void test_back_off(void **state) {
    struct fixture *fixture = *state;
    struct host *host = added(fixture, 100);
    host->succeeded_s = NOW_S;
    const uint64_t now_us = 77;
    for (uint8_t failures = 1; failures <= 40; failures++) {
        uint64_t span_us = REDIAL_MS_MAX * 1000ULL;
        if (failures < 20 && (REDIAL_MS_MIN * 1000ULL) << failures < span_us) {
            span_us = (REDIAL_MS_MIN * 1000ULL) << failures;
        }
        uint64_t longest_us = 0;
        uint64_t shortest_us = UINT64_MAX;
        for (uint32_t draw = 0; draw < 300; draw++) {
            host->failures = (uint8_t)(failures - 1);
            hostcache_failed(&fixture->cache, host, &fixture->rng, 0, now_us);
            uint64_t delay_us = host->retry_us - now_us;
            longest_us = delay_us > longest_us ? delay_us : longest_us;
            shortest_us = delay_us < shortest_us ? delay_us : shortest_us;
        }
        assert_int_equal(host->failures, failures);
        assert_in_range(longest_us, span_us * 9 / 10, span_us);
        assert_in_range(shortest_us, 1, span_us / 10);
    }
    host->failures = UINT8_MAX;
    hostcache_failed(&fixture->cache, host, &fixture->rng, 600, now_us);
    assert_int_equal(host->failures, UINT8_MAX);
    assert_in_range(host->retry_us, now_us + 600000000, now_us + 900000000);
    hostcache_succeeded(&fixture->cache, host, NOW_S);
    assert_int_equal(host->failures, 0);
    assert_int_equal(host->retry_us, 0);
}

/* An address that somebody made up is dialled once in ten minutes, under whatever ids. */
static void test_hearsay(void **state) {
    struct fixture *fixture = *state;
    const uint64_t long_us = UNPROVEN_DIAL_MS * 1000ULL;
    struct address victim = test_address(1, 80);
    struct buf record = {0};
    struct host *hosts[3];
    for (uint64_t i = 0; i < 3; i++) {
        record.len = 0;
        struct node_id id = make_record(fixture, 100 + i, (uint64_t)NOW_S, &victim, &record);
        struct slice bytes = {record.data, record.len};
        assert_int_equal(hostcache_add(&fixture->cache, bytes, NOW_S), OK);
        hosts[i] = hostcache_find(&fixture->cache, &id);
    }
    buf_free(&record);
    struct host *elsewhere = added(fixture, 200);
    hosts[2]->introducer = true;
    hostcache_failed(&fixture->cache, hosts[0], &fixture->rng, 0, 5);
    assert_in_range(hosts[0]->retry_us, long_us, long_us + 2 * REDIAL_MS_MIN * 1000 + 5);
    assert_int_equal(hosts[1]->retry_us, hosts[0]->retry_us);
    assert_int_equal(hosts[2]->retry_us, 0); /* configured by hand */
    assert_int_equal(elsewhere->retry_us, 0);
    /* To be busy is no answer: anybody may say so. It comes on top. */
    uint64_t spared_us = hosts[0]->retry_us;
    hostcache_put_off(hosts[0], 16);
    assert_int_equal(hosts[0]->retry_us, spared_us + 16000000);
    /* Who answers with a GOAWAY, or did answer once, is no victim. */
    hostcache_failed(&fixture->cache, elsewhere, &fixture->rng, 30, 5);
    assert_in_range(elsewhere->retry_us, 30000000, 33000000);
    hostcache_succeeded(&fixture->cache, hosts[1], NOW_S);
    hostcache_failed(&fixture->cache, hosts[1], &fixture->rng, 0, 5);
    assert_in_range(hosts[1]->retry_us, 5, 3000000);
}

/* ---- Telling others ---- */

static void test_sample(void **state) {
    struct fixture *fixture = *state;
    struct host *hosts[100];
    for (uint32_t i = 0; i < LENGTH(hosts); i++) {
        hosts[i] = added(fixture, 100 + i);
        if (i >= 10) { /* the first ten were never reached */
            hostcache_succeeded(&fixture->cache, hosts[i], NOW_S - i % 30);
        }
    }
    struct node_id id = {{5}};
    struct address address = test_address(1, 1);
    struct host *bare = hostcache_add_introducer(&fixture->cache, &id, &address);
    hostcache_succeeded(&fixture->cache, bare, NOW_S + 5); /* no record to pass on */
    struct record_list list;
    hostcache_sample(&fixture->cache, &fixture->rng, 1000, &hosts[30]->id, &list);
    assert_int_equal(list.count, NODES_MAX);
    int64_t last_s = NOW_S;
    for (uint32_t i = 0; i < list.count; i++) {
        struct address_record record;
        assert_int_equal(wire_address_record_decode(list.records[i], &record), OK);
        struct host *host = hostcache_find(&fixture->cache, &record.key);
        assert_non_null(host);
        assert_ptr_not_equal(host, hosts[30]);
        assert_true(host->succeeded_s <= last_s && host->succeeded_s > 0);
        last_s = host->succeeded_s;
        for (uint32_t j = 0; j < i; j++) {
            assert_ptr_not_equal(list.records[j].data, list.records[i].data);
        }
    }
    hostcache_sample(&fixture->cache, &fixture->rng, 3, NULL, &list);
    assert_int_equal(list.count, 3);
    hostcache_sample(&fixture->cache, &fixture->rng, 0, NULL, &list);
    assert_int_equal(list.count, 0);
}

/* ---- Remembering ---- */

static void test_survives(void **state) {
    struct fixture *fixture = *state;
    for (uint32_t i = 0; i < 20; i++) {
        struct host *host = added(fixture, 100 + i);
        if (i % 2 == 0) {
            hostcache_succeeded(&fixture->cache, host, NOW_S + i);
        } else {
            hostcache_failed(&fixture->cache, host, &fixture->rng, 0, 0);
        }
    }
    reopen(fixture);
    assert_int_equal(fixture->cache.hosts.count, 20);
    for (uint32_t i = 0; i < 20; i++) {
        struct buf record = {0};
        struct node_id id = make_record(fixture, 100 + i, NOW_S, NULL, &record);
        const struct host *host = hostcache_find(&fixture->cache, &id);
        assert_non_null(host);
        struct address address = test_address(100 + i, 6346);
        assert_true(address_equal(&host->address, &address));
        assert_true(host->succeeded_s == (i % 2 == 0 ? NOW_S + (int64_t)i : 0));
        assert_int_equal(host->failures, 0);
        assert_int_equal(host->retry_us, 0);
        struct slice kept = hostcache_record(&fixture->cache, host);
        assert_int_equal(kept.len, record.len); /* its sequence number is part of it */
        assert_memory_equal(kept.data, record.data, record.len);
        buf_free(&record);
    }
}

static void count_line(void *context, enum log_level level, const char *line) {
    uint32_t *lines = context;
    assert_int_equal(level, LOG_LEVEL_WARN);
    assert_non_null(strstr(line, "hostcache.dropped"));
    (*lines)++;
}

/* Damaged entries are removed and logged; the good one beside them stays. */
static void test_damaged_store(void **state) {
    struct fixture *fixture = *state;
    struct node_id id = added(fixture, 100)->id;
    struct slice good;
    struct store *store = fixture->env.store;
    assert_true(store_get(store, STORE_HOSTS, (struct slice){id.b, sizeof id.b}, &good));
    uint8_t *entry = mem_copy(good.data, good.len);
    struct slice whole = {entry, good.len};
    store_put(store, STORE_HOSTS, test_slice("no id"), whole);
    struct node_id other = {{1}};
    store_put(store, STORE_HOSTS, (struct slice){other.b, 32}, whole); /* another's record */
    other.b[0] = 2;
    store_put(store, STORE_HOSTS, (struct slice){other.b, 32}, (struct slice){entry, 8});
    other.b[0] = 3;
    store_put(store, STORE_HOSTS, (struct slice){other.b, 32}, (struct slice){0});
    other.b[0] = 4;
    entry[0] = 99; /* a version of the future */
    store_put(store, STORE_HOSTS, (struct slice){other.b, 32}, whole);
    uint32_t lines = 0;
    struct log log = {.level = LOG_LEVEL_DEBUG, .write = count_line, .context = &lines};
    fixture->env.log = &log;
    reopen(fixture);
    assert_int_equal(lines, 5);
    assert_int_equal(fixture->cache.hosts.count, 1);
    assert_non_null(hostcache_find(&fixture->cache, &id));
    reopen(fixture);
    assert_int_equal(lines, 5); /* they are gone from the store, too */
    mem_free(entry);
}

/* An idle leaf may cost 2 KiB in all: two known supernodes, in cache and store. */
static void test_memory_of_an_idle_leaf(void **state) {
    struct fixture *fixture = *state;
    hostcache_succeeded(&fixture->cache, added(fixture, 100), NOW_S); /* what is made once is */
    hostcache_free(&fixture->cache);
    store_free(fixture->env.store);
    size_t before = mallinfo2().uordblks;
    fixture->env.store = store_memory_new(NULL, NULL);
    hostcache_init(&fixture->cache, &fixture->env);
    hostcache_succeeded(&fixture->cache, added(fixture, 101), NOW_S);
    hostcache_succeeded(&fixture->cache, added(fixture, 102), NOW_S);
    size_t after = mallinfo2().uordblks;
    print_message("cache and store with two hosts: %zu bytes\n", after - before);
    assert_true(after - before <= 1536);
}

#define FIXTURE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_introducer_texts),
        cmocka_unit_test(test_long_host_names),
        FIXTURE_TEST(test_add_introducer),
        FIXTURE_TEST(test_add_replaces_by_seq),
        FIXTURE_TEST(test_add_refuses),
        FIXTURE_TEST(test_altered_records),
        FIXTURE_TEST(test_full_cache),
        FIXTURE_TEST(test_pick_prefers_few_failures),
        FIXTURE_TEST(test_back_off),
        FIXTURE_TEST(test_hearsay),
        FIXTURE_TEST(test_sample),
        FIXTURE_TEST(test_survives),
        FIXTURE_TEST(test_damaged_store),
        FIXTURE_TEST(test_memory_of_an_idle_leaf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
