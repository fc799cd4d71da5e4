/* test_sim.c - the simulated world itself, with toy nodes that only note what they are told. */
#include "common/hashtree.h"
#include "common/rng.h"
#include "common/session.h"
#include "tests/unit/sim_toy.h"

static void test_two_nodes_talk(void **state) {
    (void)state;
    struct pair pair;
    pair_begin(&pair, 1);
    pair.toys[0].act = greet;
    pair_start(&pair);
    sim_run(pair.sim, 10 * SECOND);
    assert_int_equal(pair.toys[0].seen[NODE_LINK_UP], 1);
    assert_int_equal(pair.toys[1].seen[NODE_LINK_UP], 1);
    assert_memory_equal(pair.toys[0].exporter.b, pair.toys[1].exporter.b, HASH_BYTES);
    assert_int_equal(pair.toys[1].bytes, 1000);
    assert_int_equal(pair.toys[1].seen[NODE_LINK_BYTES], 10);
    assert_int_equal(sim_now_us(pair.sim), 10 * SECOND);
    pair_end(&pair);
}

static void test_dials_fail_for_the_right_reason(void **state) {
    (void)state;
    const struct {
        enum err reason;
        bool is_off, is_elsewhere, is_wrong;
    } rows[] = {{ERR_REFUSED, true, false, false},
                {ERR_TIMEOUT, false, true, false},
                {ERR_AUTH, false, false, true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pair pair;
        pair_begin(&pair, 2);
        pair.toys[0].output.data[0] ^= rows[i].is_wrong ? 1 : 0;
        sim_set_group(pair.sim, 1, rows[i].is_elsewhere ? 7 : 0);
        if (!rows[i].is_off) {
            sim_start(pair.sim, 1);
        }
        sim_start(pair.sim, 0);
        sim_run(pair.sim, 20 * SECOND);
        assert_int_equal(pair.toys[0].seen[NODE_DIAL_FAILED], 1);
        assert_int_equal(pair.toys[0].reason, rows[i].reason);
        assert_int_equal(pair.toys[1].seen[NODE_LINK_UP], 0);
        pair_end(&pair);
    }
}

static void test_partition_holds_then_breaks(void **state) {
    (void)state;
    struct pair pair;
    pair_begin(&pair, 3);
    pair.toys[0].act = greet;
    pair_start(&pair);
    sim_run(pair.sim, 5 * SECOND);
    sim_set_group(pair.sim, 1, 1);
    uint64_t heard = pair.toys[1].bytes;
    sim_run(pair.sim, 25 * SECOND);
    assert_int_equal(pair.toys[1].bytes, heard);
    sim_set_group(pair.sim, 1, 0);
    sim_run(pair.sim, 30 * SECOND);
    assert_int_equal(pair.toys[1].bytes, 3000); /* late, and nothing is lost */
    sim_set_group(pair.sim, 1, 1);
    sim_run(pair.sim, 100 * SECOND);
    assert_int_equal(pair.toys[0].seen[NODE_LINK_DOWN], 1);
    assert_int_equal(pair.toys[1].seen[NODE_LINK_DOWN], 1);
    assert_int_equal(pair.toys[0].reason, ERR_TIMEOUT);
    assert_int_equal(sim_counts(pair.sim).links_open, 0);
    pair_end(&pair);
}

static void test_a_killed_node_is_noticed(void **state) {
    (void)state;
    struct pair pair;
    pair_begin(&pair, 4);
    pair_start(&pair);
    sim_run(pair.sim, 5 * SECOND);
    sim_crash(pair.sim, 1, SIM_KILL);
    sim_run(pair.sim, 6 * SECOND);
    assert_int_equal(pair.toys[0].seen[NODE_LINK_DOWN], 1);
    assert_int_equal(pair.toys[1].seen[NODE_LINK_DOWN], 0);
    pair_end(&pair);
}

static void test_lost_power_is_silent(void **state) {
    (void)state;
    struct pair pair;
    pair_begin(&pair, 5);
    pair_start(&pair);
    sim_run(pair.sim, 5 * SECOND);
    sim_crash(pair.sim, 1, SIM_POWER);
    sim_run(pair.sim, 500 * SECOND);
    assert_int_equal(pair.toys[0].seen[NODE_LINK_DOWN], 0);
    sim_start(pair.sim, 1);
    pair.toys[0].act = greet;
    struct command_arg none = {"a", "b"};
    pair.toys[0].due_us = 1; /* armed by the next step */
    sim_command(pair.sim, 0, "wake", &none, 1);
    sim_run(pair.sim, 510 * SECOND);
    assert_int_equal(pair.toys[0].seen[NODE_LINK_DOWN], 1);
    assert_int_equal(pair.toys[1].bytes, 0);
    pair_end(&pair);
}

static void test_a_hung_node_gets_all_at_once(void **state) {
    (void)state;
    struct pair pair;
    pair_begin(&pair, 19);
    pair.toys[0].act = greet;
    pair_start(&pair);
    sim_run(pair.sim, 5 * SECOND);
    uint64_t heard = pair.toys[1].bytes;
    uint64_t said = pair.toys[1].seen_us[NODE_LINK_BYTES];
    sim_freeze(pair.sim, 1, 500 * SECOND);
    sim_run(pair.sim, 500 * SECOND - 1);
    assert_true(sim_is_frozen(pair.sim, 1));
    assert_int_equal(pair.toys[1].bytes, heard);
    assert_int_equal(pair.toys[0].seen[NODE_LINK_DOWN], 0);
    sim_run(pair.sim, 500 * SECOND);
    assert_int_equal(pair.toys[1].bytes, heard + 49500);
    assert_in_range(pair.toys[1].seen_us[NODE_LINK_BYTES], said + 494 * SECOND,
                    said + 500 * SECOND);
    pair_end(&pair);
}

/* Answers link-up with 600,000 bytes, then 100,000 per READY. */
static void pour(struct toy *toy, const struct node_event *event, struct outbox *out) {
    if (event->kind == NODE_LINK_UP) {
        say(toy, out, 600000);
    }
    if (event->kind == NODE_LINK_READY) {
        say(toy, out, 1000);
    }
}

static void stop_reading(struct toy *toy, const struct node_event *event, struct outbox *out) {
    if (event->kind == NODE_LINK_UP) {
        outbox_add(out, ACTION_READ_STOP)->link = toy->link;
    }
    if (event->kind == NODE_COMMAND) {
        outbox_add(out, ACTION_READ_START)->link = toy->link;
    }
}

static void test_a_slow_reader_stalls_the_writer(void **state) {
    (void)state;
    struct pair pair;
    pair_begin(&pair, 6);
    pair.toys[0].act = pour;
    pair.toys[1].act = stop_reading;
    pair_start(&pair);
    sim_run(pair.sim, 5 * SECOND);
    assert_int_equal(pair.toys[0].seen[NODE_LINK_STALLED], 1);
    assert_int_equal(pair.toys[0].seen[NODE_LINK_READY], 0);
    assert_int_equal(pair.toys[1].bytes, 0);
    sim_command(pair.sim, 1, "read", NULL, 0);
    sim_run(pair.sim, 10 * SECOND);
    assert_int_equal(pair.toys[0].seen[NODE_LINK_READY], 1);
    assert_int_equal(pair.toys[1].bytes, 601000);
    pair_end(&pair);
}

static void flood(struct toy *toy, const struct node_event *event, struct outbox *out) {
    if (event->kind == NODE_LINK_UP) {
        say(toy, out, 900000);
        toy->due_us = event->mono_us + SECOND;
    }
    if (event->kind == NODE_TIMER) {
        say(toy, out, 900000);
        toy->due_us = 0;
    }
}

static void test_output_has_a_hard_cap(void **state) {
    (void)state;
    struct pair pair;
    pair_begin(&pair, 7);
    pair.toys[0].act = flood;
    pair.toys[1].act = stop_reading;
    pair_start(&pair);
    sim_run(pair.sim, 5 * SECOND);
    assert_int_equal(pair.toys[0].reason, ERR_STALLED);
    assert_int_equal(sim_counts(pair.sim).hard_caps, 1);
    pair_end(&pair);
}

static void hang_up(struct toy *toy, const struct node_event *event, struct outbox *out) {
    if (event->kind == NODE_LINK_UP) {
        say(toy, out, 50000);
        outbox_add(out, ACTION_CLOSE)->link = toy->link;
    }
}

static void test_close_flushes_first(void **state) {
    (void)state;
    struct pair pair;
    pair_begin(&pair, 8);
    pair.toys[0].act = hang_up;
    pair_start(&pair);
    sim_run(pair.sim, 5 * SECOND);
    assert_int_equal(pair.toys[1].bytes, 50000);
    assert_int_equal(pair.toys[0].seen[NODE_LINK_DOWN], 1);
    assert_int_equal(pair.toys[1].seen[NODE_LINK_DOWN], 1);
    assert_int_equal(sim_counts(pair.sim).links_open, 0);
    pair_end(&pair);
}

static void write_after_down(struct toy *toy, const struct node_event *event, struct outbox *out) {
    if (event->kind == NODE_LINK_DOWN) {
        say(toy, out, 1);
    }
}

static void test_breaches_of_the_contract_are_found(void **state) {
    (void)state;
    struct pair pair;
    pair_begin(&pair, 9);
    pair.toys[0].act = write_after_down;
    pair_start(&pair);
    sim_run(pair.sim, 5 * SECOND);
    assert_null(sim_failure(pair.sim));
    sim_crash(pair.sim, 1, SIM_KILL);
    sim_run(pair.sim, 6 * SECOND);
    assert_non_null(sim_failure(pair.sim));
    assert_non_null(strstr(sim_failure(pair.sim), "told is gone"));
    sim_free(pair.sim);
    buf_free(&pair.toys[0].output);
}

static void spin(struct toy *toy, const struct node_event *event, struct outbox *out) {
    (void)out;
    toy->due_us = event->mono_us;
}

static void test_a_spinning_node_is_found(void **state) {
    (void)state;
    struct pair pair;
    pair_begin(&pair, 10);
    pair.toys[1].act = spin;
    sim_start(pair.sim, 1);
    sim_run(pair.sim, SECOND);
    assert_non_null(sim_failure(pair.sim));
    assert_non_null(strstr(sim_failure(pair.sim), "spins"));
    sim_free(pair.sim);
    buf_free(&pair.toys[0].output);
}

static struct hash trace_of(uint64_t seed) {
    struct pair pair;
    pair_begin(&pair, seed);
    struct sim_faults faults = {.jitter_us_max = 50000, .reset_ppm = 20000, .split_ppm = 300000};
    sim_set_faults(pair.sim, &faults);
    pair.toys[0].act = greet;
    pair_start(&pair);
    sim_run(pair.sim, 30 * SECOND);
    struct hash hash = sim_trace_hash(pair.sim);
    pair_end(&pair);
    return hash;
}

static void test_one_seed_one_trace(void **state) {
    (void)state;
    struct hash first = trace_of(11);
    struct hash again = trace_of(11);
    struct hash other = trace_of(12);
    assert_memory_equal(first.b, again.b, HASH_BYTES);
    assert_memory_not_equal(first.b, other.b, HASH_BYTES);
}

/* ---- Frames and clocks ---- */

/* Sends one message that deflates well, and asks for two names. */
static void send_frame(struct toy *toy, const struct node_event *event, struct outbox *out) {
    if (event->kind == NODE_LINK_UP) {
        uint8_t payload[5000];
        struct rng rng;
        rng_seed(&rng, 1);
        for (size_t i = 0; i < sizeof payload; i++) {
            payload[i] = (uint8_t)('a' + rng_below(&rng, 8)); /* deflates to less than half */
        }
        struct buf frame = {0};
        session_pack(toy->env->packer, MSG_REG_ADD, (struct slice){payload, sizeof payload},
                     &frame);
        toy->due_us = frame.len < 2500 ? event->mono_us + SECOND : 0;
        outbox_write(out, toy->link, (struct slice){frame.data, frame.len});
        buf_free(&frame);
        outbox_add_bytes(out, ACTION_RESOLVE, (struct slice){(const uint8_t *)"m1.sim", 6});
    }
    if (event->kind == NODE_RESOLVED) {
        struct address expected = sim_address(1);
        assert_int_equal(event->resolved.count, 1);
        assert_true(address_same_host(&event->resolved.addresses[0], &expected));
    }
    if (event->kind == NODE_TIMER) {
        toy->due_us = 0;
    }
}

static void test_frames_are_charged_uncompressed(void **state) {
    (void)state;
    struct pair pair;
    pair_begin(&pair, 17);
    pair.toys[0].act = send_frame;
    pair_start(&pair);
    sim_run(pair.sim, 5 * SECOND);
    assert_int_equal(sim_counts(pair.sim).messages, 1);
    assert_int_equal(sim_counts(pair.sim).bytes, 5000 + FRAME_HEADER_BYTES);
    assert_in_range(pair.toys[1].bytes, 1, 2500);
    assert_int_equal(pair.toys[0].seen[NODE_TIMER], 1);
    assert_int_equal(pair.toys[0].seen[NODE_RESOLVED], 1);
    pair_end(&pair);
}

static void note_wall(struct toy *toy, const struct node_event *event, struct outbox *out) {
    (void)out;
    toy->bytes = (uint64_t)event->wall_s;
    toy->due_us = event->mono_us + SECOND;
}

static void test_clocks_jump_only_on_the_wall(void **state) {
    (void)state;
    struct pair pair;
    pair_begin(&pair, 18);
    pair.toys[1].act = note_wall;
    sim_start(pair.sim, 1);
    sim_run(pair.sim, 100 * SECOND);
    uint64_t wall = pair.toys[1].bytes;
    uint64_t mono = pair.toys[1].seen_us[NODE_TIMER];
    sim_set_wall_offset(pair.sim, 1, -3600);
    sim_run(pair.sim, 101 * SECOND);
    assert_int_equal(pair.toys[1].bytes, wall - 3599);
    assert_int_equal(pair.toys[1].seen_us[NODE_TIMER], mono + SECOND);
    /* A killed process keeps its machine's clock; a machine without power begins anew. */
    sim_crash(pair.sim, 1, SIM_KILL);
    sim_start(pair.sim, 1);
    sim_run(pair.sim, 102 * SECOND);
    assert_in_range(pair.toys[1].seen_us[NODE_TIMER], mono + SECOND, mono + 2 * SECOND);
    sim_crash(pair.sim, 1, SIM_POWER);
    sim_start(pair.sim, 1);
    sim_run(pair.sim, 104 * SECOND);
    assert_not_in_range(pair.toys[1].seen_us[NODE_TIMER], mono, mono + 10 * SECOND);
    pair_end(&pair);
}

/* ---- Disks ---- */

#define PART (FILE_PART | 5)

static struct content_id wanted;
static uint8_t first_block[BLOCK_BYTES];

static void receive_block(const struct node_event *event) {
    if (event->kind == NODE_LINK_BYTES && event->bytes.data.len == BLOCK_BYTES + 3) {
        memcpy(first_block, event->bytes.data.data + 3, BLOCK_BYTES);
    }
}

static void send_first_block(struct toy *toy, const struct node_event *event, struct outbox *out) {
    if (event->kind == NODE_SHARED) {
        struct action *action =
            outbox_add_bytes(out, ACTION_SEND_BLOCK, (struct slice){(const uint8_t *)"abc", 3});
        action->link = toy->link;
        action->file = event->shared.file;
        action->len = BLOCK_BYTES;
    }
}

static void fetch_toy(struct toy *toy, const struct node_event *event, struct outbox *out) {
    receive_block(event);
    if (event->kind == NODE_FILE_OPENED) {
        toy->piece_bits = event->file.pieces.data[0];
    }
    if (event->kind != NODE_COMMAND) {
        return;
    }
    const char *name = event->command.name;
    struct action *action = NULL;
    if (strcmp(name, "open") == 0) {
        action =
            outbox_add_bytes(out, ACTION_FILE_OPEN, (struct slice){(const uint8_t *)"name", 4});
        action->content = wanted;
    } else if (strcmp(name, "write") == 0) {
        action = outbox_add(out, ACTION_FILE_WRITE);
        action->len = BLOCK_BYTES;
        action->owned = mem_copy(first_block, BLOCK_BYTES);
    } else if (strcmp(name, "commit") == 0) {
        action =
            outbox_add_bytes(out, ACTION_FILE_COMMIT, (struct slice){(const uint8_t *)"\x80", 1});
    } else {
        action =
            outbox_add_bytes(out, ACTION_FILE_FINISH, (struct slice){(const uint8_t *)"name", 4});
    }
    (void)toy;
    action->file = PART;
}

/* Toy 1 shares a file of one block and sends it to toy 0, which has it in `first_block`. */
static void disk_begin(struct pair *pair, uint64_t seed, uint32_t rot_ppm) {
    pair_begin(pair, seed);
    struct sim_faults faults = {.rot_ppm = rot_ppm};
    sim_set_faults(pair->sim, &faults);
    uint32_t file = sim_file_add(pair->sim, BLOCK_BYTES);
    wanted = *sim_file_content(pair->sim, file);
    pair->toys[0].act = fetch_toy;
    pair->toys[1].act = send_first_block;
    pair_start(pair);
    sim_run(pair->sim, SECOND);
    sim_share(pair->sim, 1, file, "blue whale");
    sim_run(pair->sim, 2 * SECOND);
    assert_int_equal(pair->toys[1].seen[NODE_BLOCK_SENT], 1);
}

static void disk_do(struct pair *pair, const char *command) {
    sim_command(pair->sim, 0, command, NULL, 0);
    sim_run(pair->sim, sim_now_us(pair->sim) + SECOND);
}

static void test_a_block_crosses_and_is_kept(void **state) {
    (void)state;
    struct pair pair;
    disk_begin(&pair, 13, 0);
    struct hash root;
    crypto_hash(sim_crypto(pair.sim), (struct slice){first_block, BLOCK_BYTES}, &root);
    assert_memory_equal(root.b, wanted.root.b, HASH_BYTES);
    disk_do(&pair, "open");
    assert_int_equal(pair.toys[0].piece_bits, 0);
    disk_do(&pair, "write");
    disk_do(&pair, "commit");
    assert_int_equal(pair.toys[0].seen[NODE_FILE_COMMITTED], 1);
    sim_crash(pair.sim, 0, SIM_POWER);
    sim_start(pair.sim, 0);
    disk_do(&pair, "open");
    assert_int_equal(pair.toys[0].piece_bits, 0x80);
    disk_do(&pair, "finish");
    assert_int_equal(pair.toys[0].seen[NODE_FILE_FINISHED], 1);
    assert_true(sim_has_file(pair.sim, 0, 0));
    pair_end(&pair);
}

static uint32_t told_group; /* by the last NODE_GROUP, and by the last file */
static uint32_t file_group;
static struct node_id told_reader;

static void see_group(struct toy *toy, const struct node_event *event, struct outbox *out) {
    (void)toy;
    (void)out;
    if (event->kind == NODE_GROUP) {
        assert_true(event->group.is_locked && event->group.ids.len == sizeof told_reader);
        told_group = event->group.group;
        memcpy(&told_reader, event->group.ids.data, sizeof told_reader);
    } else if (event->kind == NODE_SHARED) {
        assert_true(told_group != 0); /* its group comes first, at every start */
        file_group = event->shared.group;
    }
}

static void test_a_file_may_be_for_some(void **state) {
    (void)state;
    struct pair pair;
    pair_begin(&pair, 14);
    const uint32_t reader = 0;
    const struct sim_share how = {
        .name = "orca", .is_locked = true, .reader_count = 1, .readers = &reader};
    pair.toys[1].act = see_group;
    sim_share_for(pair.sim, 1, sim_file_add(pair.sim, BLOCK_BYTES), &how);
    told_group = file_group = 0;
    pair_start(&pair);
    sim_run(pair.sim, 2 * SECOND);
    assert_true(file_group != 0 && file_group == told_group);
    assert_memory_equal(&told_reader, &pair.toys[0].env->id, sizeof told_reader);
    pair_end(&pair);
}

static void test_wrong_bytes_fail_the_run(void **state) {
    (void)state;
    struct pair pair;
    disk_begin(&pair, 14, 1000000);
    disk_do(&pair, "open");
    assert_null(sim_failure(pair.sim));
    disk_do(&pair, "write");
    assert_non_null(sim_failure(pair.sim));
    assert_non_null(strstr(sim_failure(pair.sim), "wrong bytes"));
    sim_free(pair.sim);
    buf_free(&pair.toys[0].output);
}

static void test_finishing_early_fails_the_run(void **state) {
    (void)state;
    struct pair pair;
    disk_begin(&pair, 15, 0);
    disk_do(&pair, "open");
    disk_do(&pair, "finish");
    assert_non_null(sim_failure(pair.sim));
    assert_non_null(strstr(sim_failure(pair.sim), "without block"));
    sim_free(pair.sim);
    buf_free(&pair.toys[0].output);
}

/* ---- Store and crypto ---- */

static void count_up(struct toy *toy, const struct node_event *event, struct outbox *out) {
    (void)out;
    if (event->kind == NODE_COMMAND) {
        uint8_t key = (uint8_t)++toy->bytes;
        store_put(toy->env->store, STORE_META, (struct slice){&key, 1}, (struct slice){&key, 1});
        if (event->command.count > 0) {
            store_sync(toy->env->store, 1);
        }
    }
}

static uint32_t keys_in(struct store *store) {
    struct slice after = {0};
    struct slice value;
    uint8_t last = 0;
    uint32_t count = 0;
    while (store_next(store, STORE_META, after, &after, &value)) {
        assert_int_equal(after.data[0], last + 1); /* a prefix: nothing is missing before it */
        last = after.data[0];
        after = (struct slice){&last, 1};
        count++;
    }
    return count;
}

static void test_a_crash_loses_only_the_newest_writes(void **state) {
    (void)state;
    uint32_t lost = 0;
    for (uint64_t seed = 100; seed < 120; seed++) {
        struct pair pair;
        pair_begin(&pair, seed);
        pair.toys[1].act = count_up;
        sim_start(pair.sim, 1);
        struct command_arg sync = {"sync", "1"};
        for (uint32_t i = 0; i < 10; i++) {
            sim_command(pair.sim, 1, "put", &sync, i == 4 ? 1 : 0);
            sim_run(pair.sim, sim_now_us(pair.sim) + 10000);
        }
        assert_int_equal(pair.toys[1].seen[NODE_STORED], 1);
        sim_crash(pair.sim, 1, SIM_POWER);
        uint32_t kept = keys_in(pair.toys[1].env->store);
        assert_in_range(kept, 5, 10);
        lost += 10 - kept;
        pair_end(&pair);
    }
    assert_in_range(lost, 20, 80);
}

static void test_the_stand_in_signs_and_hashes(void **state) {
    (void)state;
    struct pair pair;
    pair_begin(&pair, 16);
    const struct crypto *crypto = sim_crypto(pair.sim);
    struct slice message = {(const uint8_t *)"a message", 9};
    uint8_t signature[SIGNATURE_BYTES];
    struct node_id ids[2] = {sim_node_id(pair.sim, 0), sim_node_id(pair.sim, 1)};
    sim_sign_as(pair.sim, 1);
    crypto->sign(crypto->context, message, signature);
    assert_true(crypto->verify(crypto->context, &ids[1], message, signature));
    assert_false(crypto->verify(crypto->context, &ids[0], message, signature));
    message.len--;
    assert_false(crypto->verify(crypto->context, &ids[1], message, signature));
    /* Where a message is cut into two runs does not matter; any bit of it does. */
    uint8_t bytes[100];
    struct hash whole;
    struct hash other;
    memset(bytes, 7, sizeof bytes);
    crypto_hash(crypto, (struct slice){bytes, sizeof bytes}, &whole);
    for (size_t cut = 0; cut <= sizeof bytes; cut++) {
        crypto->sha256(crypto->context, (struct slice){bytes, cut},
                       (struct slice){bytes + cut, sizeof bytes - cut}, &other);
        assert_memory_equal(whole.b, other.b, HASH_BYTES);
    }
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        crypto_hash(crypto, (struct slice){bytes, sizeof bytes}, &other);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_memory_not_equal(whole.b, other.b, 8);
        assert_memory_not_equal(whole.b + 24, other.b + 24, 8);
    }
    pair_end(&pair);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_nodes_talk),
        cmocka_unit_test(test_dials_fail_for_the_right_reason),
        cmocka_unit_test(test_partition_holds_then_breaks),
        cmocka_unit_test(test_a_killed_node_is_noticed),
        cmocka_unit_test(test_lost_power_is_silent),
        cmocka_unit_test(test_a_hung_node_gets_all_at_once),
        cmocka_unit_test(test_a_slow_reader_stalls_the_writer),
        cmocka_unit_test(test_output_has_a_hard_cap),
        cmocka_unit_test(test_close_flushes_first),
        cmocka_unit_test(test_breaches_of_the_contract_are_found),
        cmocka_unit_test(test_a_spinning_node_is_found),
        cmocka_unit_test(test_one_seed_one_trace),
        cmocka_unit_test(test_frames_are_charged_uncompressed),
        cmocka_unit_test(test_clocks_jump_only_on_the_wall),
        cmocka_unit_test(test_a_block_crosses_and_is_kept),
        cmocka_unit_test(test_a_file_may_be_for_some),
        cmocka_unit_test(test_wrong_bytes_fail_the_run),
        cmocka_unit_test(test_finishing_early_fails_the_run),
        cmocka_unit_test(test_a_crash_loses_only_the_newest_writes),
        cmocka_unit_test(test_the_stand_in_signs_and_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
