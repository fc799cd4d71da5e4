/* test_supernode.c - whole supernodes on a small net: admission, leaves, searches, goodbye. */
#include "tests/unit/supernode_fake.h"

static const struct fake_file songs[] = {
    {1, "Blue Whale Song.ogg"}, {2, "humpback whale.ogg"}, {3, "north wind.ogg"}};
static const struct fake_file others[] = {{1, "Blue Whale Song.ogg"}, {4, "whale of a time.txt"}};

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
    net_run(net, 600000 - 5000); /* kept ten minutes, and seen by nobody */
    assert_int_equal(ask(bob_link, "whale", 0, 7).records, 0);
    alice_link = fake_dial(alice, one, PURPOSE_LEAF);
    fake_forget(alice);
    fake_send_state(alice_link, MSG_REG_BEGIN, &state_again);
    net_run(net, 100);
    assert_int_equal(fake_verdict(alice), REG_DONE);

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

/* A list of fewer files than a leaf may have, with names that take more than 2 MiB. */
static void a_list_too_large_is_sent_elsewhere(void **state) {
    (void)state;
    enum { FILES = 9000, NAME = 250 };
    struct net *net = net_new(10);
    struct net_node *one = start_plain(net);
    start_friend(net, one);
    struct fake *alice = fake_add(net);
    struct link *link = fake_dial(alice, one, PURPOSE_LEAF);
    struct fake_file *files = mem_array(FILES, sizeof *files);
    char *names = mem_array(FILES, NAME);
    for (uint32_t i = 0; i < FILES; i++) {
        char *name = names + (size_t)i * NAME;
        memset(name, 'x', NAME - 1);
        snprintf(name + NAME - 20, 20, " number %u", i);
        files[i] = (struct fake_file){(uint8_t)i, name};
    }
    assert_int_equal(fake_register(link, 1, files, FILES), REG_REFUSED);
    assert_int_equal(last_goaway(alice).reason, GOAWAY_FULL);
    assert_int_equal(last_goaway(alice).alternatives.count, 1);
    net_run(net, 5000);
    assert_int_equal(alice->closed, 1);
    assert_int_equal(index_count(supernode_of(one)->index).files, 0);
    assert_true(index_count(supernode_of(one)->index).bytes <= LEAF_INDEX_BYTES_MAX);
    mem_free(names);
    mem_free(files);
    net_free(net);
}

/* From 85 % of the index's memory on, new lists are sent elsewhere, also one that was on its way.
 * Who is there stays, and is found; who comes back with the list that is kept is welcome. */
static void a_full_index_sends_lists_elsewhere(void **state) {
    (void)state;
    enum { BUDGET = 400000, EACH = 200, MOST = 60 };
    static struct fake_file files[EACH];
    static char names[EACH][64];
    struct net *net = net_new(9);
    struct supernode_config config = {.index_bytes_max = BUDGET};
    struct net_node *one = start(net, &config);
    const struct supernode *supernode = supernode_of(one);
    struct net_node *two = start_friend(net, one);
    struct fake *leaves[MOST];
    struct link *links[MOST];
    uint32_t taken = 0;
    uint64_t bytes = 0;
    for (uint8_t verdict = REG_DONE; verdict == REG_DONE; taken += verdict == REG_DONE) {
        assert_true(taken < MOST);
        bytes = index_count(supernode->index).bytes;
        for (uint32_t i = 0; i < EACH; i++) {
            snprintf(names[i], sizeof names[i], "whale of leaf%u with number%u", taken, i);
            files[i] = (struct fake_file){(uint8_t)i, names[i]};
        }
        leaves[taken] = fake_add(net);
        links[taken] = fake_dial(leaves[taken], one, PURPOSE_LEAF);
        verdict = fake_register(links[taken], 1, files, EACH);
    }
    assert_true(taken > 3);
    assert_true(bytes < BUDGET / 100 * 85); /* when the last one began */
    struct goaway goaway = last_goaway(leaves[taken]);
    struct address_record record;
    assert_int_equal(goaway.reason, GOAWAY_FULL);
    assert_true(goaway.retry_after_s > 0);
    assert_int_equal(goaway.alternatives.count, 1);
    assert_int_equal(wire_address_record_decode(goaway.alternatives.records[0], &record), OK);
    assert_memory_equal(record.key.b, two->env.id.b, sizeof record.key.b);
    assert_int_equal(supernode->counts.refused_room, 1);
    assert_true(index_count(supernode->index).bytes < BUDGET);
    for (uint32_t i = 0; i < taken; i++) {
        char text[32];
        snprintf(text, sizeof text, "whale leaf%u", i);
        assert_int_equal(leaves[i]->closed, 0);
        assert_int_equal(ask(links[i > 0 ? 0 : 1], text, 0, (uint8_t)i).records, 100);
        net_run(net, 2500); /* within its rate */
    }
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
        push.requester = links_own_record(&signer->links, NULL);
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

/* A leaf is not made to call more often than PUSHES_PER_S by one asker. */
static void pushes_are_rationed(void **state) {
    (void)state;
    struct net *net = net_new(84);
    struct net_node *one = start_plain(net);
    struct fake *alice = fake_add(net);
    struct fake *bob = fake_add(net);
    assert_non_null(fake_dial(alice, one, PURPOSE_LEAF));
    struct link *link = fake_dial(bob, one, PURPOSE_DIRECTORY);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < PUSHES_BURST + 5; i++) {
            struct push push = {.target = alice->place->env.id};
            fake_begin(bob);
            push.requester = links_own_record(&bob->links, NULL);
            struct buf payload = {0};
            wire_push_encode(&payload, &push);
            fake_end(bob);
            fake_send(link, MSG_PUSH, &payload);
        }
        net_run(net, 100);
        assert_int_equal(fake_count(alice, MSG_PUSH), PUSHES_BURST + round * 10 * PUSHES_PER_S);
        net_run(net, 9900);
    }
    assert_int_equal(bob->closed, 0);
    net_free(net);
}

static void lists_are_rationed(void **state) {
    (void)state;
    struct net *net = net_new(85);
    struct net_node *one = start_plain(net);
    struct fake *alice = fake_add(net);
    struct link *link = fake_dial(alice, one, PURPOSE_LEAF);
    struct reg_state list = {.index_id = 1, .count = 1};
    for (int i = 0; i < LISTS_BURST; i++) {
        list.root.b[0] = (uint8_t)i;
        fake_send_state(link, MSG_REG_BEGIN, &list);
    }
    net_run(net, 100);
    assert_int_equal(fake_count(alice, MSG_REG_STATUS), LISTS_BURST);
    assert_int_equal(alice->closed, 0);
    fake_send_state(link, MSG_REG_BEGIN, &list);
    net_run(net, 100);
    assert_int_equal(alice->closed, 1);
    assert_int_equal(last_goaway(alice).reason, GOAWAY_RATE);
    net_free(net);
}

/* ---- How busy a leaf is ---- */

static void say_load(struct link *link, uint8_t free_slots, uint16_t queue) {
    struct load load = {.free_slots = free_slots, .queue = queue};
    struct buf payload = {0};
    wire_load_encode(&payload, &load);
    fake_send(link, MSG_LOAD, &payload);
    net_run(((struct fake *)link->links->context)->place->net, 100);
}

/* What the only holder of a search looks like from here. */
static struct holder seen_from(struct link *link, uint8_t salt) {
    assert_int_equal(ask(link, "whale", 1, salt).records, 2);
    struct hits hits = first_hits(link->links->context);
    assert_int_equal(hits.holder_count, 1);
    return hits.holders[0];
}

static void assert_load(struct link *link, uint8_t salt, uint8_t free_slots, uint16_t queue) {
    struct holder holder = seen_from(link, salt);
    assert_int_equal(holder.flags, HOLDER_REACHABLE | HOLDER_LOAD_KNOWN);
    assert_int_equal(holder.free_slots, free_slots);
    assert_int_equal(holder.queue, queue);
}

static void hits_tell_how_busy_a_holder_is(void **state) {
    (void)state;
    struct net *net = net_new(86);
    struct net_node *one = start_plain(net);
    struct net_node *two = start_friend(net, one);
    struct fake *alice = fake_add(net);
    struct fake *bob = fake_add(net);
    struct link *alice_link = fake_dial(alice, one, PURPOSE_LEAF);
    struct link *bob_link = fake_dial(bob, two, PURPOSE_LEAF);
    assert_int_equal(fake_register(alice_link, 7, songs, LENGTH(songs)), REG_DONE);
    net_run(net, 2 * SUMMARY_PUSH_MS);
    struct holder unknown = seen_from(bob_link, 1);
    assert_int_equal(unknown.flags, HOLDER_REACHABLE);
    assert_true(unknown.free_slots == 0 && unknown.queue == 0 && unknown.speed_kib == 0);
    say_load(alice_link, 5, 0);
    assert_load(bob_link, 2, 5, 0);
    say_load(alice_link, 0, 300);
    assert_load(bob_link, 3, 0, 300);
    fake_close(alice_link); /* what was said before does not hold for the next stay */
    alice_link = fake_dial(alice, one, PURPOSE_LEAF);
    assert_int_equal(fake_register(alice_link, 7, songs, LENGTH(songs)), REG_DONE);
    net_run(net, 2 * SUMMARY_PUSH_MS);
    unknown = seen_from(bob_link, 4);
    assert_int_equal(unknown.flags, HOLDER_REACHABLE);
    assert_true(unknown.free_slots == 0 && unknown.queue == 0);
    net_free(net);
}

static void loads_are_rationed(void **state) {
    (void)state;
    struct net *net = net_new(87);
    struct net_node *one = start_plain(net);
    struct fake *alice = fake_add(net);
    struct fake *bob = fake_add(net);
    struct link *alice_link = fake_dial(alice, one, PURPOSE_LEAF);
    struct link *bob_link = fake_dial(bob, one, PURPOSE_LEAF);
    assert_int_equal(fake_register(alice_link, 7, songs, LENGTH(songs)), REG_DONE);
    for (uint16_t i = 1; i <= LOADS_BURST + 3; i++) {
        say_load(alice_link, 0, i);
    }
    assert_load(bob_link, 1, 0, LOADS_BURST);
    assert_int_equal(supernode_of(one)->counts.loads_limited, 3);
    for (uint16_t i = 0; i < 10; i++) { /* who keeps to the rate is heard each time */
        net_run(net, LOAD_EVERY_MS);
        say_load(alice_link, 1, i);
    }
    assert_load(bob_link, 2, 1, 9);
    assert_int_equal(supernode_of(one)->counts.loads_limited, 3);
    assert_int_equal(alice->closed, 0);
    struct buf payload = {0};
    buf_u8(&payload, 1);
    fake_send(alice_link, MSG_LOAD, &payload); /* cut short */
    net_run(net, 100);
    assert_int_equal(alice->closed, 1);
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
                {PURPOSE_LEAF, MSG_OPEN},       {PURPOSE_MESH, MSG_PUSH},
                {PURPOSE_MESH, MSG_LOAD},       {PURPOSE_DIRECTORY, MSG_LOAD}};
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
        cmocka_unit_test(a_list_too_large_is_sent_elsewhere),
        cmocka_unit_test(a_full_index_sends_lists_elsewhere),
        cmocka_unit_test(lists_of_many_departed_leaves_are_reclaimed),
        cmocka_unit_test(a_full_house_names_others),
        cmocka_unit_test(only_fitting_purposes_come_in),
        cmocka_unit_test(visitors_are_few),
        cmocka_unit_test(push_goes_to_our_leaf_from_its_true_sender),
        cmocka_unit_test(pushes_are_rationed),
        cmocka_unit_test(lists_are_rationed),
        cmocka_unit_test(hits_tell_how_busy_a_holder_is),
        cmocka_unit_test(loads_are_rationed),
        cmocka_unit_test(messages_on_the_wrong_link_close_it),
        cmocka_unit_test(status_tells_what_is),
        cmocka_unit_test(shutdown_says_where_else_to_go),
        cmocka_unit_test(a_leaf_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
